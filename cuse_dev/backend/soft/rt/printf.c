/* SPDX-License-Identifier: MIT */
/*
 * printf.c - formats what a kernel prints. The C library does each conversion; here the format is
 * taken apart, so that a kernel's format never reaches it whole.
 */
#include "cuse_dev/backend/soft/rt/printf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FORMAT_MAX RT_PRINTF_MAX /* bytes of a format that are looked at */
#define CHUNK	   16		 /* aligned reads of this size do not leave an object's page */

/* A zero-terminated string in device memory. */
struct text_in {
	rt_read_fn read;
	void *ctx;
	uint64_t va;
	char buf[CHUNK];
	uint32_t pos, have;
};

/* The packed arguments. */
struct args_in {
	rt_read_fn read;
	void *ctx;
	uint64_t va, offset;
	int taken;
};

struct text_out {
	char *buf;
	size_t size, used;
};

/* One conversion specification. */
struct spec {
	char flags[8];
	int width;     /* 0: none */
	int precision; /* -1: none */
	int length;    /* bytes of an integer: 1, 2, 4, 8 */
	char conv;
};

static int text_next(struct text_in *t, char *ret_c)
{
	int r;

	if (t->pos == t->have) {
		uint32_t n = CHUNK - (uint32_t)(t->va % CHUNK);

		r = t->read(t->ctx, t->va, t->buf, n);
		if (r < 0) {
			n = 1;
			r = t->read(t->ctx, t->va, t->buf, n);
		}
		if (r < 0)
			return r;
		t->va += n;
		t->pos = 0;
		t->have = n;
	}
	*ret_c = t->buf[t->pos++];
	return 0;
}

static int arg_next(struct args_in *a, uint32_t bytes, uint64_t *ret_value)
{
	uint64_t value = 0;
	int r;

	a->offset = (a->offset + bytes - 1) / bytes * bytes;
	r = a->read(a->ctx, a->va + a->offset, &value, bytes);
	if (r < 0)
		return r;
	a->offset += bytes;
	a->taken++;
	*ret_value = value;
	return 0;
}

static void out_bytes(struct text_out *o, const char *s, size_t n)
{
	if (n > o->size - o->used)
		n = o->size - o->used;
	memcpy(o->buf + o->used, s, n);
	o->used += n;
}

static void out_pad(struct text_out *o, int n)
{
	for (; n > 0 && o->used < o->size; n--)
		o->buf[o->used++] = ' ';
}

static int clamp_field(int n)
{
	return n > RT_PRINTF_MAX ? RT_PRINTF_MAX : n;
}

static int parse_number(struct text_in *t, char *c, int *ret_n)
{
	int n = 0, r = 0;

	while (r == 0 && *c >= '0' && *c <= '9') {
		n = clamp_field(n * 10 + (*c - '0'));
		r = text_next(t, c);
	}
	*ret_n = n;
	return r;
}

/* A width or precision: digits, or * for the next argument. */
static int parse_field(struct text_in *t, struct args_in *a, char *c, int *ret_n)
{
	uint64_t v;
	int r;

	if (*c != '*')
		return parse_number(t, c, ret_n);
	r = arg_next(a, 4, &v);
	if (r < 0)
		return r;
	*ret_n = (int32_t)v;
	return text_next(t, c);
}

static int parse_length(struct text_in *t, char *c, int *ret_length)
{
	int h = 0, r = 0, length = 4;

	for (; r == 0 && *c && strchr("hlLqjzt", *c); r = text_next(t, c)) {
		if (*c == 'h')
			length = ++h > 1 ? 1 : 2;
		else
			length = 8;
	}
	*ret_length = length;
	return r;
}

/* Behind the '%'. */
static int parse_spec(struct text_in *t, struct args_in *a, struct spec *s)
{
	size_t nflags = 0;
	bool left = false;
	char c;
	int r;

	*s = (struct spec){ .precision = -1 };
	r = text_next(t, &c);
	for (; r == 0 && c && strchr("-+ #0", c); r = text_next(t, &c)) {
		left |= c == '-';
		if (!strchr(s->flags, c) && nflags < sizeof(s->flags) - 2)
			s->flags[nflags++] = c;
	}
	if (r == 0 && (c == '*' || (c >= '1' && c <= '9')))
		r = parse_field(t, a, &c, &s->width);
	if (s->width < 0) { /* a negative width argument: the flag '-' and its magnitude */
		if (!left)
			s->flags[nflags] = '-';
		s->width = s->width < -RT_PRINTF_MAX ? RT_PRINTF_MAX : -s->width;
	}
	s->width = clamp_field(s->width);
	if (r == 0 && c == '.') {
		r = text_next(t, &c);
		if (r == 0)
			r = parse_field(t, a, &c, &s->precision);
		s->precision = clamp_field(s->precision < 0 ? -1 : s->precision);
	}
	if (r == 0)
		r = parse_length(t, &c, &s->length);
	s->conv = c;
	return r;
}

/* Hands one value to the C library with a format of our own making. */
static void convert_number(const struct spec *s, uint64_t v, struct text_out *o)
{
	char format[48], tmp[RT_PRINTF_MAX + 1];
	const char *length = strchr("diouxX", s->conv) ? "ll" : "";
	double d;
	int n = 0;

	n = snprintf(format, sizeof(format), "%%%s", s->flags);
	if (s->width)
		n += snprintf(format + n, sizeof(format) - (size_t)n, "%d", s->width);
	if (s->precision >= 0)
		n += snprintf(format + n, sizeof(format) - (size_t)n, ".%d", s->precision);
	snprintf(format + n, sizeof(format) - (size_t)n, "%s%c", length, s->conv);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (strchr("fFeEgGaA", s->conv)) {
		memcpy(&d, &v, sizeof(d));
		n = snprintf(tmp, sizeof(tmp), format, d);
	} else if (s->conv == 'p') {
		n = snprintf(tmp, sizeof(tmp), format, (void *)(uintptr_t)v);
	} else {
		n = snprintf(tmp, sizeof(tmp), format, (unsigned long long)v);
	}
#pragma GCC diagnostic pop
	if (n > RT_PRINTF_MAX)
		n = RT_PRINTF_MAX;
	if (n > 0)
		out_bytes(o, tmp, (size_t)n);
}

static uint64_t narrow(uint64_t v, int bytes, bool is_signed)
{
	int shift = 64 - 8 * bytes;

	return is_signed ? (uint64_t)((int64_t)(v << shift) >> shift) : v << shift >> shift;
}

/* %s and %c: text of up to `precision` bytes, padded by hand because it comes in pieces. */
static int convert_string(const struct spec *s, struct text_in *t, struct text_out *o)
{
	char tmp[RT_PRINTF_MAX];
	size_t n = 0, max = s->precision >= 0 ? (size_t)s->precision : sizeof(tmp);
	bool left = strchr(s->flags, '-');
	int r = 0;

	if (max > o->size - o->used)
		max = o->size - o->used;
	while (n < max && n < sizeof(tmp)) {
		r = text_next(t, &tmp[n]);
		if (r < 0 || !tmp[n])
			break;
		n++;
	}
	if (!left)
		out_pad(o, s->width - (int)n);
	out_bytes(o, tmp, n);
	if (left)
		out_pad(o, s->width - (int)n);
	return r;
}

static int convert(const struct spec *s, struct args_in *a, struct text_out *o)
{
	struct text_in t = { .read = a->read, .ctx = a->ctx };
	uint64_t v;
	int r;

	switch (s->conv) {
	case '%':
		out_bytes(o, "%", 1);
		return 0;
	case 'd':
	case 'i':
	case 'o':
	case 'u':
	case 'x':
	case 'X':
		r = arg_next(a, s->length == 8 ? 8 : 4, &v);
		if (r == 0)
			convert_number(s, narrow(v, s->length, strchr("di", s->conv)), o);
		return r;
	case 'p':
	case 'f':
	case 'F':
	case 'e':
	case 'E':
	case 'g':
	case 'G':
	case 'a':
	case 'A':
		r = arg_next(a, 8, &v);
		if (r == 0)
			convert_number(s, v, o);
		return r;
	case 'c':
		r = arg_next(a, 4, &v);
		if (r == 0) {
			bool left = strchr(s->flags, '-');
			char c = (char)v;

			out_pad(o, left ? 0 : s->width - 1);
			out_bytes(o, &c, 1);
			out_pad(o, left ? s->width - 1 : 0);
		}
		return r;
	case 's':
		r = arg_next(a, 8, &v);
		if (r < 0)
			return r;
		t.va = v;
		if (!v) {
			snprintf(t.buf, sizeof(t.buf), "(null)");
			t.have = CHUNK;
		}
		return convert_string(s, &t, o);
	case 'n':
		return -EINVAL;
	default: /* no such conversion: show that */
		out_bytes(o, "%", 1);
		out_bytes(o, &s->conv, s->conv != 0);
		return 0;
	}
}

int rt_printf(rt_read_fn read, void *ctx, uint64_t format_va, uint64_t args_va, char *buf,
	      size_t size, size_t *ret_bytes)
{
	struct text_in t = { .read = read, .ctx = ctx, .va = format_va };
	struct args_in a = { .read = read, .ctx = ctx, .va = args_va };
	struct text_out o = { .buf = buf, .size = size < RT_PRINTF_MAX ? size : RT_PRINTF_MAX };
	struct spec s;
	char c = 0;
	int r = format_va ? 0 : -EINVAL;

	for (int i = 0; r == 0 && i < FORMAT_MAX; i++) {
		r = text_next(&t, &c);
		if (r < 0 || !c)
			break;
		if (c != '%') {
			out_bytes(&o, &c, 1);
			continue;
		}
		r = parse_spec(&t, &a, &s);
		if (r == 0)
			r = convert(&s, &a, &o);
		if (r == 0 && !s.conv)
			break;
	}
	*ret_bytes = o.used;
	return r < 0 ? r : a.taken;
}

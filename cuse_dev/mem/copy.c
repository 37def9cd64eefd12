/* SPDX-License-Identifier: MIT */
/*
 * copy.c - copies and fills between ranges that were checked first and are pinned meanwhile.
 *
 * A rectangle is checked as the span from its first to its last byte.
 */
#include "cuse_dev/mem/state.h"

#include <errno.h>
#include <string.h>

#define READ  VGPU_PROT_READ
#define WRITE VGPU_PROT_READ_WRITE

int mem_copy(struct mem *m, uint64_t dst, uint64_t src, uint64_t bytes)
{
	struct mem_pin from, to;
	int r;

	if (!bytes)
		return 0;
	r = mem_pin(m, &from, src, bytes, READ);
	if (r < 0)
		return r;
	r = mem_pin(m, &to, dst, bytes, WRITE);
	if (r == 0) {
		memmove((void *)dst, (const void *)src, bytes);
		mem_unpin(m, &to);
	}
	mem_unpin(m, &from);
	return r;
}

/* One side of a rectangle. */
struct side {
	uint64_t base, pitch, slice; /* bytes from row to row, from slice to slice */
	uint64_t span;		     /* bytes from the first to behind the last */
};

static int side_init(struct side *s, uint64_t base, uint64_t pitch, uint64_t rows_per_slice,
		     uint64_t width, uint64_t height, uint64_t depth)
{
	uint64_t a, b;

	/* Rows do not overlap, so there are no more of them than bytes. */
	if ((height > 1 && pitch < width) || (depth > 1 && rows_per_slice < height))
		return -EINVAL;
	s->base = base;
	s->pitch = pitch;
	if (depth == 1)
		rows_per_slice = 0; /* not looked at, may be anything */
	if (__builtin_mul_overflow(pitch, rows_per_slice, &s->slice) ||
	    __builtin_mul_overflow(s->slice, depth - 1, &a) ||
	    __builtin_mul_overflow(pitch, height - 1, &b) || __builtin_add_overflow(a, b, &a) ||
	    __builtin_add_overflow(a, width, &s->span))
		return -EFAULT;
	return 0;
}

int mem_copy_rect(struct mem *m, const struct vgpu_cmd_copy_rect *c)
{
	struct side d, s;
	struct mem_pin from, to;
	uint64_t y, z;
	int r;

	if (!c->width || !c->height || !c->depth)
		return 0;
	r = side_init(&d, c->dst, c->dst_pitch, c->dst_height, c->width, c->height, c->depth);
	if (r == 0)
		r = side_init(&s, c->src, c->src_pitch, c->src_height, c->width, c->height,
			      c->depth);
	if (r == 0)
		r = mem_pin(m, &from, s.base, s.span, READ);
	if (r < 0)
		return r;
	r = mem_pin(m, &to, d.base, d.span, WRITE);
	if (r < 0)
		goto unpin_from;
	for (z = 0; z < c->depth; z++)
		for (y = 0; y < c->height; y++)
			memmove((void *)(d.base + z * d.slice + y * d.pitch),
				(const void *)(s.base + z * s.slice + y * s.pitch), c->width);
	mem_unpin(m, &to);
unpin_from:
	mem_unpin(m, &from);
	return r;
}

static void fill_row(uint64_t va, uint64_t count, uint32_t element, uint32_t value)
{
	uint64_t i;

	switch (element) {
	case 1:
		memset((void *)va, (int)(value & 0xff), count);
		break;
	case 2:
		for (i = 0; i < count; i++)
			((uint16_t *)va)[i] = (uint16_t)value;
		break;
	case 4:
		for (i = 0; i < count; i++)
			((uint32_t *)va)[i] = value;
		break;
	}
}

int mem_fill(struct mem *m, const struct vgpu_cmd_fill *c)
{
	struct side d;
	struct mem_pin to;
	uint64_t y, width;
	int r;

	if ((c->element != 1 && c->element != 2 && c->element != 4) || c->dst % c->element ||
	    (c->height > 1 && c->pitch % c->element))
		return -EINVAL;
	if (!c->width || !c->height)
		return 0;
	if (__builtin_mul_overflow(c->width, (uint64_t)c->element, &width))
		return -EFAULT;
	r = side_init(&d, c->dst, c->pitch, 1, width, c->height, 1);
	if (r == 0)
		r = mem_pin(m, &to, d.base, d.span, WRITE);
	if (r < 0)
		return r;
	for (y = 0; y < c->height; y++)
		fill_row(d.base + y * d.pitch, c->width, c->element, c->value);
	mem_unpin(m, &to);
	return 0;
}

int mem_read(struct mem *m, uint64_t va, void *buf, uint64_t bytes)
{
	struct mem_pin from;
	int r = mem_pin(m, &from, va, bytes, READ);

	if (r < 0)
		return r;
	memcpy(buf, (const void *)va, bytes);
	mem_unpin(m, &from);
	return 0;
}

int mem_write(struct mem *m, uint64_t va, const void *buf, uint64_t bytes)
{
	struct mem_pin to;
	int r = mem_pin(m, &to, va, bytes, WRITE);

	if (r < 0)
		return r;
	memcpy((void *)va, buf, bytes);
	mem_unpin(m, &to);
	return 0;
}

bool mem_on_device(const struct mem *m, uint64_t va)
{
	return va >= m->base && va < m->upper;
}

static bool word(uint64_t va, uint32_t bytes)
{
	return (bytes == 4 || bytes == 8) && !(va % bytes);
}

int mem_load(struct mem *m, uint64_t va, uint32_t bytes, uint64_t *ret_value)
{
	struct mem_pin pin;
	int r;

	if (!word(va, bytes))
		return -EINVAL;
	r = mem_pin(m, &pin, va, bytes, READ);
	if (r < 0)
		return r;
	if (bytes == 4)
		*ret_value = __atomic_load_n((const uint32_t *)va, __ATOMIC_ACQUIRE);
	else
		*ret_value = __atomic_load_n((const uint64_t *)va, __ATOMIC_ACQUIRE);
	mem_unpin(m, &pin);
	return 0;
}

int mem_store(struct mem *m, uint64_t va, uint32_t bytes, uint64_t value)
{
	struct mem_pin pin;
	int r;

	if (!word(va, bytes))
		return -EINVAL;
	r = mem_pin(m, &pin, va, bytes, WRITE);
	if (r < 0)
		return r;
	if (bytes == 4)
		__atomic_store_n((uint32_t *)va, (uint32_t)value, __ATOMIC_RELEASE);
	else
		__atomic_store_n((uint64_t *)va, value, __ATOMIC_RELEASE);
	mem_unpin(m, &pin);
	return 0;
}

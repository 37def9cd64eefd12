/* SPDX-License-Identifier: MIT */
/*
 * ir_lex.c - the tokens of a unit's text.
 */
#include "cuse_dev/backend/soft/ir/ir_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/arena.h"

void ir_text_fail(struct reader *r, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	if (r->error)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->err_bytes)
		snprintf(r->err, r->err_bytes, "%u:%u: %s", r->tok_line, r->tok_column, text);
	r->error = -EINVAL;
	r->tok = TOK_END;
}

void *ir_text_take(struct reader *r, size_t bytes)
{
	void *p = arena_alloc(r->arena, bytes);

	if (!p && !r->error) {
		r->error = -ENOMEM;
		r->tok = TOK_END;
	}
	return p;
}

static void skip_blank(struct reader *r)
{
	for (;;) {
		if (*r->p == '\n') {
			r->line++;
			r->line_start = ++r->p;
		} else if (isspace((unsigned char)*r->p)) {
			r->p++;
		} else if (r->p[0] == '/' && r->p[1] == '/') {
			while (*r->p && *r->p != '\n')
				r->p++;
		} else {
			return;
		}
	}
}

static void lex_number(struct reader *r)
{
	const char *s = r->p;
	bool point = false;
	char *end;

	if (*s == '-')
		s++;
	if (!(s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))) {
		const char *q = s;

		while (isdigit((unsigned char)*q))
			q++;
		point = *q == '.';
	}
	if (point) {
		double v = strtod(r->p, &end);
		float f = (float)v;
		uint32_t bits;

		if (*end == 'f') {
			memcpy(&bits, &f, sizeof(bits));
			r->number = bits;
		} else if (*end == 'd') {
			memcpy(&r->number, &v, sizeof(v));
		} else {
			ir_text_fail(r, "a number with a point ends in f or d");
			return;
		}
		end++;
	} else {
		uint64_t v = strtoull(s, &end, 0);

		r->number = *r->p == '-' ? -v : v;
	}
	r->p = end;
	r->tok = TOK_NUMBER;
}

static void lex_string(struct reader *r)
{
	const char *s = ++r->p;
	char *d;

	while (*s && *s != '"' && *s != '\n')
		s += s[0] == '\\' && s[1] && s[1] != '\n' ? 2 : 1;
	if (*s != '"') {
		ir_text_fail(r, "string without end");
		return;
	}
	d = ir_text_take(r, (size_t)(s - r->p) + 1);
	if (!d)
		return;
	r->string = d;
	while (r->p < s) {
		if (*r->p == '\\')
			r->p++;
		*d++ = *r->p++;
	}
	r->p++;
	r->tok = TOK_STRING;
}

static bool word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '$';
}

/* Move to the next token. A register is the word "%12", a special one "%tid.x". */
void ir_text_next(struct reader *r)
{
	size_t n = 0;

	if (r->error)
		return;
	skip_blank(r);
	r->tok_line = r->line;
	r->tok_column = (uint32_t)(r->p - r->line_start) + 1;
	if (!*r->p) {
		r->tok = TOK_END;
	} else if (isdigit((unsigned char)*r->p) ||
		   (*r->p == '-' && isdigit((unsigned char)r->p[1]))) {
		lex_number(r);
	} else if (*r->p == '"') {
		lex_string(r);
	} else if (word_char(*r->p) || *r->p == '%') {
		do {
			if (n + 1 >= sizeof(r->word)) {
				ir_text_fail(r, "word too long");
				return;
			}
			r->word[n++] = *r->p++;
		} while (word_char(*r->p));
		r->word[n] = 0;
		r->tok = TOK_WORD;
	} else {
		r->punct = *r->p++;
		r->tok = TOK_PUNCT;
	}
}

bool ir_text_is_word(const struct reader *r, const char *w)
{
	return r->tok == TOK_WORD && strcmp(r->word, w) == 0;
}

bool ir_text_is_punct(const struct reader *r, char c)
{
	return r->tok == TOK_PUNCT && r->punct == c;
}

bool ir_text_accept_punct(struct reader *r, char c)
{
	if (!ir_text_is_punct(r, c))
		return false;
	ir_text_next(r);
	return true;
}

bool ir_text_accept_word(struct reader *r, const char *w)
{
	if (!ir_text_is_word(r, w))
		return false;
	ir_text_next(r);
	return true;
}

void ir_text_want_punct(struct reader *r, char c)
{
	if (!ir_text_accept_punct(r, c))
		ir_text_fail(r, "'%c' wanted", c);
}

uint64_t ir_text_want_number(struct reader *r)
{
	uint64_t v = r->number;

	if (r->tok != TOK_NUMBER) {
		ir_text_fail(r, "number wanted");
		return 0;
	}
	ir_text_next(r);
	return v;
}

const char *ir_text_want_string(struct reader *r)
{
	const char *s = r->string;

	if (r->tok != TOK_STRING) {
		ir_text_fail(r, "string wanted");
		return "";
	}
	ir_text_next(r);
	return s;
}

/* "%12" */
bool ir_text_is_reg(const struct reader *r)
{
	return r->tok == TOK_WORD && r->word[0] == '%' && isdigit((unsigned char)r->word[1]);
}

uint32_t ir_text_want_reg(struct reader *r)
{
	uint32_t reg;

	if (!ir_text_is_reg(r)) {
		ir_text_fail(r, "register wanted");
		return 0;
	}
	reg = (uint32_t)strtoul(r->word + 1, NULL, 10);
	ir_text_next(r);
	return reg;
}

uint32_t ir_text_key_number(struct reader *r, const char *key)
{
	if (!ir_text_accept_word(r, key)) {
		ir_text_fail(r, "'%s=' wanted", key);
		return 0;
	}
	ir_text_want_punct(r, '=');
	return (uint32_t)ir_text_want_number(r);
}

/* An array that grows while its end is not known; element zeroed. */
void *ir_text_push(struct reader *r, void **items, size_t *cap, uint32_t *count, size_t size)
{
	void *p = arena_grow(r->arena, *items, cap, (size_t)*count + 1, size);

	if (!p) {
		if (!r->error)
			r->error = -ENOMEM;
		r->tok = TOK_END;
		return NULL;
	}
	*items = p;
	p = (char *)p + (size_t)(*count)++ * size;
	memset(p, 0, size);
	return p;
}

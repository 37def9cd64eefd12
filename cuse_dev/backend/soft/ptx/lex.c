/* SPDX-License-Identifier: MIT */
/*
 * lex.c - tokens of PTX (ISA chapter 4). Opcodes with their modifiers are not one token here: the
 * parser takes the word and then asks for modifiers, because ".1d" or ".v2" would else be numbers.
 */
#include "cuse_dev/backend/soft/ptx/lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ptx_fail(struct ptx_error *e, uint32_t code, uint32_t line, uint32_t column, const char *fmt,
	      ...)
{
	va_list ap;

	if (e->code)
		return;
	e->code = code;
	e->line = line;
	e->column = column;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
}

void ptx_lex_fail(struct ptx_lex *lex, const char *fmt, ...)
{
	va_list ap;
	char text[200];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ptx_fail(lex->err, PTX_ERR_SYNTAX, lex->tok.line, lex->tok.column, "%s", text);
	lex->p = lex->end;
	lex->tok.kind = PTX_TOK_END;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static void new_line(struct ptx_lex *lex, const char *after)
{
	lex->line++;
	lex->line_start = after;
}

void ptx_lex_skip_blanks(struct ptx_lex *lex)
{
	const char *p = lex->p, *end = lex->end;

	while (p < end) {
		if (*p == '\n') {
			new_line(lex, ++p);
		} else if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\v' || *p == '\f') {
			p++;
		} else if (*p == '/' && p[1] == '/') {
			const char *nl = memchr(p, '\n', (size_t)(end - p));

			p = nl ? nl : end;
		} else if (*p == '/' && p[1] == '*') {
			for (p += 2; p < end && !(*p == '*' && p[1] == '/'); p++)
				if (*p == '\n')
					new_line(lex, p + 1);
			p = p < end ? p + 2 : end;
		} else if (*p == '#' && p == lex->line_start) {
			/* a line marker of the C preprocessor */
			const char *nl = memchr(p, '\n', (size_t)(end - p));

			p = nl ? nl : end;
		} else {
			break;
		}
	}
	lex->p = p > end ? end : p;
}

/* 0f and 0d: exactly 8 or 16 hexadecimal digits. */
static void lex_float_bits(struct ptx_lex *lex, uint32_t digits)
{
	struct ptx_tok *t = &lex->tok;
	const char *p = lex->p + 2;
	uint64_t v = 0;
	uint32_t i;

	for (i = 0; i < digits; i++, p++) {
		int h = p < lex->end ? hex_value(*p) : -1;

		if (h < 0) {
			ptx_lex_fail(lex, "a float literal needs %u hexadecimal digits", digits);
			return;
		}
		v = v << 4 | (uint32_t)h;
	}
	t->kind = digits == 8 ? PTX_TOK_F32 : PTX_TOK_F64;
	t->bits = v;
	lex->p = p;
}

static void lex_decimal_float(struct ptx_lex *lex)
{
	struct ptx_tok *t = &lex->tok;
	const char *p = lex->p;
	char buf[128];
	size_t n = 0;
	double d;

	while (p < lex->end && (is_digit(*p) || *p == '.' || *p == 'e' || *p == 'E' ||
				((*p == '+' || *p == '-') && (p[-1] == 'e' || p[-1] == 'E')))) {
		if (n + 1 >= sizeof(buf)) {
			ptx_lex_fail(lex, "number too long");
			return;
		}
		buf[n++] = *p++;
	}
	buf[n] = 0;
	d = strtod(buf, NULL);
	t->kind = PTX_TOK_F64;
	memcpy(&t->bits, &d, 8);
	lex->p = p;
}

static void lex_number(struct ptx_lex *lex)
{
	struct ptx_tok *t = &lex->tok;
	const char *p = lex->p;
	uint32_t base = 10;
	uint64_t v = 0;
	const char *digits;

	if (*p == '0' && (p[1] == 'f' || p[1] == 'F')) {
		lex_float_bits(lex, 8);
		return;
	}
	if (*p == '0' && (p[1] == 'd' || p[1] == 'D')) {
		lex_float_bits(lex, 16);
		return;
	}
	if (*p == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	} else if (*p == '0' && (p[1] == 'b' || p[1] == 'B')) {
		base = 2;
		p += 2;
	} else {
		while (p < lex->end && is_digit(*p))
			p++;
		if (*p == '.' || *p == 'e' || *p == 'E') {
			lex_decimal_float(lex);
			return;
		}
		p = lex->p;
		if (*p == '0')
			base = 8;
	}
	for (digits = p; p < lex->end; p++) {
		int h = hex_value(*p);

		if (h < 0 || (uint32_t)h >= base)
			break;
		if (v > (UINT64_MAX - (uint32_t)h) / base) {
			ptx_lex_fail(lex, "integer literal out of range");
			return;
		}
		v = v * base + (uint32_t)h;
	}
	t->kind = PTX_TOK_INT;
	t->bits = v;
	t->is_unsigned = v > INT64_MAX;
	if (p < lex->end && *p == 'U') {
		t->is_unsigned = true;
		p++;
	}
	if (p == digits || (p < lex->end && is_word(*p))) {
		ptx_lex_fail(lex, "bad number");
		return;
	}
	lex->p = p;
}

void ptx_lex_next(struct ptx_lex *lex)
{
	struct ptx_tok *t = &lex->tok;
	const char *p;

	ptx_lex_skip_blanks(lex);
	p = lex->p;
	t->text = p;
	t->len = 0;
	t->line = lex->line;
	t->column = (uint32_t)(p - lex->line_start) + 1;
	t->is_unsigned = false;
	if (p >= lex->end || lex->err->code) {
		t->kind = PTX_TOK_END;
		return;
	}
	if (is_digit(*p)) {
		lex_number(lex);
	} else if (is_word(*p) || (*p == '%' && is_word(p[1]))) {
		for (p++; p < lex->end && is_word(*p); p++)
			;
		t->kind = PTX_TOK_IDENT;
		lex->p = p;
	} else if (*p == '.' && is_digit(p[1])) {
		lex_decimal_float(lex);
	} else if (*p == '.' && is_word(p[1])) {
		t->text = ++p;
		while (p < lex->end &&
		       (is_word(*p) || (*p == ':' && p[1] == ':') || (*p == ':' && p[-1] == ':')))
			p++;
		t->kind = PTX_TOK_DIRECTIVE;
		lex->p = p;
	} else if (*p == '"') {
		const char *q = p + 1;

		t->text = q;
		while (q < lex->end && *q != '"' && *q != '\n')
			q++;
		if (q >= lex->end || *q != '"') {
			ptx_lex_fail(lex, "string without end");
			return;
		}
		t->kind = PTX_TOK_STRING;
		t->len = (uint32_t)(q - t->text);
		lex->p = q + 1;
		return;
	} else {
		t->kind = PTX_TOK_PUNCT;
		t->punct = *p;
		lex->p = p + 1;
	}
	if (t->kind != PTX_TOK_END)
		t->len = (uint32_t)(lex->p - t->text);
}

bool ptx_lex_modifier(struct ptx_lex *lex, const char **ret_text, uint32_t *ret_len)
{
	const char *p;

	ptx_lex_skip_blanks(lex);
	p = lex->p;
	if (p >= lex->end || *p != '.')
		return false;
	*ret_text = ++p;
	while (p < lex->end &&
	       (is_word(*p) || (*p == ':' && p[1] == ':') || (*p == ':' && p[-1] == ':')))
		p++;
	*ret_len = (uint32_t)(p - *ret_text);
	lex->p = p;
	return true;
}

void ptx_lex_start(struct ptx_lex *lex, const char *p, const char *end, const char *line_start,
		   uint32_t line, struct ptx_error *err)
{
	memset(lex, 0, sizeof(*lex));
	lex->p = p;
	lex->end = end;
	lex->line_start = line_start;
	lex->line = line;
	lex->err = err;
	ptx_lex_next(lex);
}

bool ptx_lex_is(const struct ptx_lex *lex, char punct)
{
	return lex->tok.kind == PTX_TOK_PUNCT && lex->tok.punct == punct;
}

bool ptx_lex_is_word(const struct ptx_lex *lex, enum ptx_tok_kind kind, const char *word)
{
	return lex->tok.kind == kind && strlen(word) == lex->tok.len &&
	       !memcmp(word, lex->tok.text, lex->tok.len);
}

bool ptx_lex_accept(struct ptx_lex *lex, char punct)
{
	if (!ptx_lex_is(lex, punct))
		return false;
	ptx_lex_next(lex);
	return true;
}

void ptx_lex_expect(struct ptx_lex *lex, char punct)
{
	const struct ptx_tok *t = &lex->tok;

	if (ptx_lex_accept(lex, punct))
		return;
	if (t->kind == PTX_TOK_END)
		ptx_lex_fail(lex, "syntax error: '%c' expected at the end", punct);
	else
		ptx_lex_fail(lex, "syntax error near '%.*s': '%c' expected",
			     (int)(t->len > 40 ? 40 : t->len), t->text, punct);
}

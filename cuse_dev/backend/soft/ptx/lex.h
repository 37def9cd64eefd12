/* SPDX-License-Identifier: MIT */
/*
 * lex.h - PTX text into tokens, one at a time.
 *
 * The text must be followed by a NUL at lex->end. Errors stick: the first one is kept in struct
 * ptx_error, after it every token is PTX_TOK_END, so that parsers come to an end by themselves.
 */
#ifndef SOFT_PTX_LEX_H
#define SOFT_PTX_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The first thing that went wrong, in the words of the JIT log. */
struct ptx_error {
	uint32_t code; /* CUresult: 0 none, 2 memory, 218 bad PTX, 801 not executed yet */
	uint32_t line, column;
	char text[256];
};

/** ptx_fail() - note an error unless there is one. */
void ptx_fail(struct ptx_error *e, uint32_t code, uint32_t line, uint32_t column, const char *fmt,
	      ...) __attribute__((format(printf, 5, 6)));

#define PTX_ERR_MEMORY	    2
#define PTX_ERR_SYNTAX	    218
#define PTX_ERR_UNSUPPORTED 801

enum ptx_tok_kind {
	PTX_TOK_END,
	PTX_TOK_IDENT,	   /* foo %r1 $L__1 _ */
	PTX_TOK_DIRECTIVE, /* .reg; text without the dot */
	PTX_TOK_INT,
	PTX_TOK_F32,	/* 0f3F800000: bits */
	PTX_TOK_F64,	/* 0d..., 1.0: bits */
	PTX_TOK_STRING, /* without the quotes */
	PTX_TOK_PUNCT,	/* one character */
};

struct ptx_tok {
	uint8_t kind;
	char punct;
	bool is_unsigned; /* INT with U, or beyond 2^63 */
	const char *text;
	uint32_t len;
	uint32_t line, column;
	uint64_t bits;
};

struct ptx_lex {
	const char *p, *end;
	const char *line_start;
	uint32_t line;
	struct ptx_tok tok; /* the current one */
	struct ptx_error *err;
};

/** ptx_lex_start() - begin at @p, which is column 1 + (p - line_start) of @line; reads one token.
 */
void ptx_lex_start(struct ptx_lex *lex, const char *p, const char *end, const char *line_start,
		   uint32_t line, struct ptx_error *err);
void ptx_lex_next(struct ptx_lex *lex);
/** ptx_lex_skip_blanks() - white space and comments; afterwards lex->p is at the next character. */
void ptx_lex_skip_blanks(struct ptx_lex *lex);
/** ptx_lex_modifier() - after an opcode: the next ".word" if there is one. */
bool ptx_lex_modifier(struct ptx_lex *lex, const char **ret_text, uint32_t *ret_len);

bool ptx_lex_is(const struct ptx_lex *lex, char punct);
bool ptx_lex_is_word(const struct ptx_lex *lex, enum ptx_tok_kind kind, const char *word);
/** ptx_lex_accept() - take the punctuation if it is there. */
bool ptx_lex_accept(struct ptx_lex *lex, char punct);
/** ptx_lex_expect() - take it, or fail. */
void ptx_lex_expect(struct ptx_lex *lex, char punct);
/** ptx_lex_fail() - an error at the current token. */
void ptx_lex_fail(struct ptx_lex *lex, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * ptx_scan_braces() - the end of a { } block, fast
 *
 * @p is just after the "{". Returns just after the matching "}", or NULL. Comments and strings are
 * respected. *line and *line_start are moved along. *ret_statics: a ".global" or ".const" in it is
 * no part of an instruction. Read are p[-1] and *end too.
 */
const char *ptx_scan_braces(const char *p, const char *end, uint32_t *line, const char **line_start,
			    bool *ret_statics);

#endif

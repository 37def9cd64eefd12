/* SPDX-License-Identifier: MIT */
/*
 * ir_text.h - what printing (ir_print.c) and reading (ir_lex.c, ir_read.c) of a unit share.
 *
 * White space and new lines only separate; // starts a comment.
 *
 *   unit shared=0 params=16 depth=1 barrier gridsync
 *   func "name" code=0 frame=0 params(0:4) rets(8:4)
 *   regs u32:"%r1" u32 pred
 *   block "label" !12
 *     @!%2 fma f32 round=rz ftz %0 = %0, %1, 0x3f800000 !13:5
 *     br !%2 1 2 uni
 *
 * Instruction: guard, operation, type, type2, attributes, results "=", sources, position.
 * Terminators: jump B / br [!]%P B B [uni] / switch %R [B B ...] / ret / exit.
 * A number with a point is the bits of an f32 (1.5f) or an f64 (1.5d).
 */
#ifndef IR_TEXT_H
#define IR_TEXT_H

#include "cuse_dev/backend/soft/ir/ir.h"

/* ---- ir_names.c ------------------------------------------------------------------------------- */

/* Names of enum values; the index is the value. NULL ends a list. */
extern const char *const ir_text_rounds[];
extern const char *const ir_text_cmps[];
extern const char *const ir_text_bools[];
extern const char *const ir_text_spaces[];
extern const char *const ir_text_sems[];
extern const char *const ir_text_scopes[];

/* clang-format off */
#define IR_TEXT_ENUM_FIELDS(X)                                                                     \
	X(round, ir_text_rounds) X(cmp, ir_text_cmps) X(boolop, ir_text_bools)                     \
	X(space, ir_text_spaces) X(sem, ir_text_sems) X(scope, ir_text_scopes)
#define IR_TEXT_FLAG_FIELDS(X)                                                                             \
	X(ftz, "ftz") X(sat, "sat") X(nan, "nan") X(relu, "relu") X(xorsign, "xorsign")            \
	X(integer_round, "int") X(sync, "sync")
/* clang-format on */

/** ir_text_sub_names() - of an operation's sub; NULL: it is a number. */
const char *const *ir_text_sub_names(uint16_t op);
uint32_t ir_text_name_count(const char *const *names);

/* ---- ir_lex.c --------------------------------------------------------------------------------- */

enum token { TOK_END, TOK_WORD, TOK_NUMBER, TOK_STRING, TOK_PUNCT };

struct reader {
	struct base_arena *arena;
	const char *p, *line_start;
	uint32_t line;
	/* the current token */
	enum token tok;
	char word[64];
	uint64_t number;
	const char *string;
	char punct;
	uint32_t tok_line, tok_column;
	char *err;
	size_t err_bytes;
	int error; /* sticky */
};

/** ir_text_fail() - the first error stays, and ends the text. */
void ir_text_fail(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** ir_text_next() - the next token. */
void ir_text_next(struct reader *r);
/** ir_text_take() - memory, zeroed; ir_text_push() - an element of an array that grows, zeroed. */
void *ir_text_take(struct reader *r, size_t bytes);
void *ir_text_push(struct reader *r, void **items, size_t *cap, uint32_t *count, size_t size);
/** ir_text_is_*() - is the token this? ir_text_accept_*() - and then goes on. ir_text_want_*() - must be. */
bool ir_text_is_word(const struct reader *r, const char *w);
bool ir_text_is_punct(const struct reader *r, char c);
bool ir_text_is_reg(const struct reader *r);
bool ir_text_accept_word(struct reader *r, const char *w);
bool ir_text_accept_punct(struct reader *r, char c);
void ir_text_want_punct(struct reader *r, char c);
uint64_t ir_text_want_number(struct reader *r);
const char *ir_text_want_string(struct reader *r);
uint32_t ir_text_want_reg(struct reader *r);
/** ir_text_key_number() - "key=12" */
uint32_t ir_text_key_number(struct reader *r, const char *key);

#endif

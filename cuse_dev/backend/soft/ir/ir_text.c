/* SPDX-License-Identifier: MIT */
/*
 * ir_text.c - a unit as text and back.
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
#include "cuse_dev/backend/soft/ir/ir.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/arena.h"

/* Names of enum values; the index is the value. */
static const char *const rounds[] = { "rn", "rz", "rm", "rp", "rna", "rs", "approx", NULL };
static const char *const cmps[] = { "eq",  "ne",  "lt",	 "le",	"gt",  "ge",  "equ", "neu",
				    "ltu", "leu", "gtu", "geu", "num", "nan", NULL };
static const char *const bools[] = { "none", "and", "or", "xor", NULL };
static const char *const spaces[] = { "generic", "global", "const", "shared",
				      "local",	 "param",  "frame", NULL };
static const char *const sems[] = { "weak",    "volatile", "relaxed", "acquire",
				    "release", "acq_rel",  "sc",      NULL };
static const char *const scopes[] = { "cta", "cluster", "gpu", "sys", NULL };
static const char *const atoms[] = { "add",  "min", "max", "and", "or", "xor",
				     "exch", "cas", "inc", "dec", NULL };
static const char *const votes[] = { "all", "any", "uni", "ballot", NULL };
static const char *const shfls[] = { "up", "down", "bfly", "idx", NULL };
static const char *const bars[] = { "sync", "arrive", "red.popc", "red.and", "red.or", NULL };
static const char *const mbars[] = { "init",	    "inval",	   "expect_tx", "complete_tx",
				     "arrive",	    "arrive_drop", "test",	"try",
				     "test.parity", "try.parity",  "pending",	NULL };
static const char *const tensors[] = { "load", "store", "red", "prefetch", NULL };
static const char *const tensormaps[] = { "address",	"rank",		 "box_dim",
					  "global_dim", "global_stride", "element_stride",
					  "elemtype",	"interleave",	 "swizzle",
					  "fill",	"atomicity",	 NULL };
static const char *const prmts[] = { "default", "f4e", "b4e", "rc8", "ecl", "ecr", "rc16", NULL };

#define ENUM_FIELDS(X)                                                                             \
	X(round, rounds)                                                                           \
	X(cmp, cmps) X(boolop, bools) X(space, spaces) X(sem, sems) X(scope, scopes)
/* clang-format off */
#define FLAG_FIELDS(X)                                                                             \
	X(ftz, "ftz") X(sat, "sat") X(nan, "nan") X(relu, "relu") X(xorsign, "xorsign")            \
	X(integer_round, "int") X(sync, "sync")
/* clang-format on */

static const char *const *sub_names(uint16_t op)
{
	switch (op) {
	case IR_OP_ATOM:
	case IR_OP_RED:
	case IR_OP_REDUX:
		return atoms;
	case IR_OP_VOTE:
		return votes;
	case IR_OP_SHFL:
		return shfls;
	case IR_OP_BAR:
		return bars;
	case IR_OP_PRMT:
		return prmts;
	case IR_OP_RED_BULK:
		return atoms;
	case IR_OP_MBAR:
		return mbars;
	case IR_OP_CP_TENSOR:
		return tensors;
	case IR_OP_TENSORMAP:
		return tensormaps;
	default:
		return NULL;
	}
}

static uint32_t name_count(const char *const *names)
{
	uint32_t n = 0;

	while (names && names[n])
		n++;
	return n;
}

/* ---- print ---------------------------------------------------------------------------------- */

static void print_string(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', f);
		putc(*s, f);
	}
	putc('"', f);
}

static void print_slots(FILE *f, const char *what, const struct ir_slot *s, uint32_t n)
{
	fprintf(f, " %s(", what);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "%s%u:%u", i ? " " : "", s[i].offset, s[i].size);
	putc(')', f);
}

static void print_enum(FILE *f, const char *key, uint32_t value, const char *const *names)
{
	if (!value)
		return;
	if (value < name_count(names))
		fprintf(f, " %s=%s", key, names[value]);
	else
		fprintf(f, " %s=%u", key, value);
}

static const char *const base_names[] = { "", "global", "managed" };

static void print_operands(FILE *f, const struct ir_unit *u, const struct ir_operand *o, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		fputs(i ? ", " : " ", f);
		if (o[i].kind == IR_OPND_REG)
			fprintf(f, "%%%u", o[i].reg);
		else if (o[i].kind == IR_OPND_IMM)
			fprintf(f, "%s%s0x%llx", base_names[o[i].base], o[i].base ? " " : "",
				(unsigned long long)(o[i].imm - u->base_va[o[i].base]));
		else
			putc('_', f);
	}
}

static void print_inst(FILE *f, const struct ir_unit *u, const struct ir_inst *in)
{
	putc('\t', f);
	if (in->guard >= 0)
		fprintf(f, "@%s%%%d ", in->guard_not ? "!" : "", in->guard);
	fputs(ir_op_text(in->op), f);
	if (in->type || in->type2)
		fprintf(f, " %s", ir_type_text(in->type));
	if (in->type2)
		fprintf(f, " %s", ir_type_text(in->type2));
#define X(field, names) print_enum(f, #field, in->field, names);
	ENUM_FIELDS(X)
#undef X
	if (in->op == IR_OP_SREG)
		fprintf(f, " sub=%s", ir_sreg_text(in->sub));
	else
		print_enum(f, "sub", in->sub, sub_names(in->op));
#define X(field, text)                                                                             \
	if (in->field)                                                                             \
		fprintf(f, " " text);
	FLAG_FIELDS(X)
#undef X
	if (in->offset)
		fprintf(f, " off=%lld", (long long)in->offset);
	if (in->aux && ir_op_is_matrix(in->op)) {
		fputs(" mma(", f);
#define X(field, text)                                                                             \
	if (in->aux->mma.field)                                                                    \
		fprintf(f, " " text "=%u", in->aux->mma.field);
		IR_MMA_FIELDS(X)
#undef X
		fputs(" )", f);
	} else if (in->aux) {
		print_slots(f, "args", in->aux->args, in->aux->count);
		print_slots(f, "rets", in->aux->rets, in->aux->nrets);
		fprintf(f, " func=%u", in->aux->func);
	}
	if (in->nd) {
		print_operands(f, u, in->opnd, in->nd);
		fputs(" =", f);
	}
	print_operands(f, u, in->opnd + in->nd, in->ns);
	if (in->line || in->column)
		fprintf(f, " !%u:%u", in->line, in->column);
	putc('\n', f);
}

static void print_block(FILE *f, const struct ir_unit *u, const struct ir_block *b)
{
	fputs("block", f);
	if (b->label) {
		putc(' ', f);
		print_string(f, b->label);
	}
	if (b->line)
		fprintf(f, " !%u", b->line);
	putc('\n', f);
	for (uint32_t i = 0; i < b->count; i++)
		print_inst(f, u, &b->insts[i]);
	switch (b->term) {
	case IR_TERM_JUMP:
		fprintf(f, "\tjump %u\n", b->target[0]);
		break;
	case IR_TERM_BRANCH:
		fprintf(f, "\tbr %s%%%u %u %u%s\n", b->pred_not ? "!" : "", b->pred, b->target[0],
			b->target[1], b->uniform ? " uni" : "");
		break;
	case IR_TERM_SWITCH:
		fprintf(f, "\tswitch %%%u [", b->pred);
		for (uint32_t i = 0; b->aux && i < b->aux->count; i++)
			fprintf(f, "%s%u", i ? " " : "", b->aux->targets[i]);
		fputs("]\n", f);
		break;
	case IR_TERM_RET:
		fputs("\tret\n", f);
		break;
	default:
		fputs("\texit\n", f);
		break;
	}
}

static void print_func(FILE *f, const struct ir_unit *u, const struct ir_func *fn)
{
	fputs("func ", f);
	print_string(f, fn->name ? fn->name : "");
	fprintf(f, " code=%u frame=%u", fn->code, fn->frame_bytes);
	print_slots(f, "params", fn->params, fn->nparams);
	print_slots(f, "rets", fn->rets, fn->nrets);
	fputs("\nregs", f);
	for (uint32_t i = 0; i < fn->nregs; i++) {
		fprintf(f, " %s", ir_type_text(fn->regs[i].type));
		if (fn->regs[i].name) {
			putc(':', f);
			print_string(f, fn->regs[i].name);
		}
	}
	putc('\n', f);
	for (uint32_t i = 0; i < fn->nblocks; i++)
		print_block(f, u, &fn->blocks[i]);
}

char *ir_print(const struct ir_unit *unit)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&text, &bytes);

	if (!f)
		return NULL;
	fprintf(f, "unit shared=%u params=%u depth=%u%s%s\n", unit->shared_bytes, unit->param_bytes,
		unit->max_call_depth, unit->uses_barrier ? " barrier" : "",
		unit->uses_grid_sync ? " gridsync" : "");
	for (uint32_t i = 0; i < unit->nfuncs; i++)
		print_func(f, unit, unit->funcs[i]);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- read ----------------------------------------------------------------------------------- */

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

__attribute__((format(printf, 2, 3))) static void fail(struct reader *r, const char *fmt, ...)
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

static void *take(struct reader *r, size_t bytes)
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
			fail(r, "a number with a point ends in f or d");
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
		fail(r, "string without end");
		return;
	}
	d = take(r, (size_t)(s - r->p) + 1);
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
static void next(struct reader *r)
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
				fail(r, "word too long");
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

static bool is_word(const struct reader *r, const char *w)
{
	return r->tok == TOK_WORD && strcmp(r->word, w) == 0;
}

static bool is_punct(const struct reader *r, char c)
{
	return r->tok == TOK_PUNCT && r->punct == c;
}

static bool accept_punct(struct reader *r, char c)
{
	if (!is_punct(r, c))
		return false;
	next(r);
	return true;
}

static bool accept_word(struct reader *r, const char *w)
{
	if (!is_word(r, w))
		return false;
	next(r);
	return true;
}

static void want_punct(struct reader *r, char c)
{
	if (!accept_punct(r, c))
		fail(r, "'%c' wanted", c);
}

static uint64_t want_number(struct reader *r)
{
	uint64_t v = r->number;

	if (r->tok != TOK_NUMBER) {
		fail(r, "number wanted");
		return 0;
	}
	next(r);
	return v;
}

static const char *want_string(struct reader *r)
{
	const char *s = r->string;

	if (r->tok != TOK_STRING) {
		fail(r, "string wanted");
		return "";
	}
	next(r);
	return s;
}

/* "%12" */
static bool is_reg(const struct reader *r)
{
	return r->tok == TOK_WORD && r->word[0] == '%' && isdigit((unsigned char)r->word[1]);
}

static uint32_t want_reg(struct reader *r)
{
	uint32_t reg;

	if (!is_reg(r)) {
		fail(r, "register wanted");
		return 0;
	}
	reg = (uint32_t)strtoul(r->word + 1, NULL, 10);
	next(r);
	return reg;
}

static uint32_t key_number(struct reader *r, const char *key)
{
	if (!accept_word(r, key)) {
		fail(r, "'%s=' wanted", key);
		return 0;
	}
	want_punct(r, '=');
	return (uint32_t)want_number(r);
}

/* An array that grows while its end is not known; element zeroed. */
static void *push(struct reader *r, void **items, size_t *cap, uint32_t *count, size_t size)
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

static void read_slots(struct reader *r, struct ir_slot **ret_slots, uint32_t *ret_count)
{
	void *items = NULL;
	size_t cap = 0;
	uint32_t n = 0;

	want_punct(r, '(');
	while (!r->error && !is_punct(r, ')')) {
		struct ir_slot *s = push(r, &items, &cap, &n, sizeof(*s));

		if (!s)
			return;
		s->offset = (uint32_t)want_number(r);
		want_punct(r, ':');
		s->size = (uint32_t)want_number(r);
	}
	next(r);
	*ret_slots = items;
	*ret_count = n;
}

static bool find_type(const char *word, uint8_t *ret_type)
{
	for (uint8_t t = 0; t < IR_TYPE_COUNT; t++) {
		if (strcmp(word, ir_type_text(t)) == 0) {
			*ret_type = t;
			return true;
		}
	}
	return false;
}

static uint8_t enum_value(struct reader *r, const char *const *names)
{
	if (r->tok == TOK_NUMBER)
		return (uint8_t)want_number(r);
	for (uint8_t i = 0; r->tok == TOK_WORD && i < name_count(names); i++) {
		if (strcmp(r->word, names[i]) == 0) {
			next(r);
			return i;
		}
	}
	fail(r, "unknown value");
	return 0;
}

static uint8_t sreg_value(struct reader *r)
{
	for (uint8_t i = 0; r->tok == TOK_WORD && i < IR_SREG_COUNT; i++) {
		if (strcmp(r->word, ir_sreg_text(i)) == 0) {
			next(r);
			return i;
		}
	}
	fail(r, "unknown special register");
	return 0;
}

static struct ir_aux *need_aux(struct reader *r, struct ir_inst *in)
{
	if (!in->aux)
		in->aux = take(r, sizeof(*in->aux));
	return in->aux;
}

/* A key: some are names of operations as well, so '=' must follow. */
static bool accept_key(struct reader *r, const char *key)
{
	const char *p = r->p;

	while (*p == ' ' || *p == '\t')
		p++;
	if (!is_word(r, key) || *p != '=')
		return false;
	next(r);
	next(r);
	return true;
}

/* mma( m=16 n=8 ... ) */
static void read_mma(struct reader *r, struct ir_inst *in)
{
	struct ir_aux *aux = need_aux(r, in);

	next(r);
	want_punct(r, '(');
	while (aux && !r->error && !accept_punct(r, ')')) {
#define X(field, text)                                                                             \
	if (accept_key(r, text)) {                                                                 \
		aux->mma.field = (uint16_t)want_number(r);                                         \
		continue;                                                                          \
	}
		IR_MMA_FIELDS(X)
#undef X
		fail(r, "no such field of a matrix instruction");
	}
}

/* One attribute, if the token starts one. */
static bool read_attr(struct reader *r, struct ir_inst *in)
{
	if (r->tok != TOK_WORD)
		return false;
#define X(field, text)                                                                             \
	if (accept_word(r, text)) {                                                                \
		in->field = true;                                                                  \
		return true;                                                                       \
	}
	FLAG_FIELDS(X)
#undef X
#define X(field, names)                                                                            \
	if (accept_key(r, #field)) {                                                               \
		in->field = enum_value(r, names);                                                  \
		return true;                                                                       \
	}
	ENUM_FIELDS(X)
#undef X
	if (accept_key(r, "sub")) {
		in->sub = in->op == IR_OP_SREG ? sreg_value(r) : enum_value(r, sub_names(in->op));
		return true;
	}
	if (accept_key(r, "off")) {
		in->offset = (int64_t)want_number(r);
		return true;
	}
	if (is_word(r, "mma")) {
		read_mma(r, in);
		return true;
	}
	if (is_word(r, "args") || is_word(r, "rets") || is_word(r, "func")) {
		struct ir_aux *aux = need_aux(r, in);

		if (!aux)
			return false;
		if (accept_word(r, "args"))
			read_slots(r, &aux->args, &aux->count);
		else if (accept_word(r, "rets"))
			read_slots(r, &aux->rets, &aux->nrets);
		else
			aux->func = key_number(r, "func");
		return true;
	}
	return false;
}

static uint32_t read_operands(struct reader *r, struct ir_operand *o, uint32_t max)
{
	uint32_t n = 0;

	if (!is_reg(r) && r->tok != TOK_NUMBER && !is_word(r, "_") && !is_word(r, "global") &&
	    !is_word(r, "managed"))
		return 0;
	do {
		if (n == max) {
			fail(r, "too many operands");
			return n;
		}
		memset(&o[n], 0, sizeof(o[n]));
		if (accept_word(r, "_")) {
			o[n].kind = IR_OPND_NONE;
		} else if (!is_reg(r)) {
			o[n].kind = IR_OPND_IMM;
			if (accept_word(r, "global"))
				o[n].base = IR_BASE_GLOBAL;
			else if (accept_word(r, "managed"))
				o[n].base = IR_BASE_MANAGED;
			o[n].imm = want_number(r);
		} else {
			o[n].kind = IR_OPND_REG;
			o[n].reg = want_reg(r);
		}
		n++;
	} while (accept_punct(r, ','));
	return n;
}

#define MAX_OPERANDS 300u /* wgmma: 128 results, as many sources and a few */

static void read_inst(struct reader *r, struct ir_inst *in)
{
	struct ir_operand o[MAX_OPERANDS];
	uint32_t n, m = 0;

	in->guard = -1;
	if (accept_punct(r, '@')) {
		in->guard_not = accept_punct(r, '!');
		in->guard = (int32_t)want_reg(r);
	}
	for (uint16_t op = 1; r->tok == TOK_WORD && op < IR_OP_COUNT; op++)
		if (strcmp(r->word, ir_op_text(op)) == 0)
			in->op = op;
	if (!in->op) {
		fail(r, "operation wanted");
		return;
	}
	next(r);
	if (r->tok == TOK_WORD && find_type(r->word, &in->type))
		next(r);
	if (r->tok == TOK_WORD && find_type(r->word, &in->type2))
		next(r);
	while (read_attr(r, in))
		;
	n = read_operands(r, o, MAX_OPERANDS);
	if (accept_punct(r, '=')) {
		m = n;
		n += read_operands(r, o + n, MAX_OPERANDS - n);
	}
	if (m > UINT8_MAX || n - m > UINT8_MAX) {
		fail(r, "too many operands");
		return;
	}
	in->nd = (uint8_t)m;
	in->ns = (uint8_t)(n - m);
	in->opnd = take(r, n * sizeof(*o) + 1);
	if (in->opnd)
		memcpy(in->opnd, o, n * sizeof(*o));
	if (accept_punct(r, '!')) {
		in->line = (uint32_t)want_number(r);
		want_punct(r, ':');
		in->column = (uint32_t)want_number(r);
	}
}

static void read_switch(struct reader *r, struct ir_block *b)
{
	void *items = NULL;
	size_t cap = 0;

	b->term = IR_TERM_SWITCH;
	b->pred = want_reg(r);
	b->aux = take(r, sizeof(*b->aux));
	want_punct(r, '[');
	while (!r->error && !is_punct(r, ']')) {
		uint32_t *t = push(r, &items, &cap, &b->aux->count, sizeof(*t));

		if (t)
			*t = (uint32_t)want_number(r);
	}
	next(r);
	if (b->aux)
		b->aux->targets = items;
}

static bool read_term(struct reader *r, struct ir_block *b)
{
	if (accept_word(r, "jump")) {
		b->term = IR_TERM_JUMP;
		b->target[0] = (uint32_t)want_number(r);
	} else if (accept_word(r, "br")) {
		b->term = IR_TERM_BRANCH;
		b->pred_not = accept_punct(r, '!');
		b->pred = want_reg(r);
		b->target[0] = (uint32_t)want_number(r);
		b->target[1] = (uint32_t)want_number(r);
		b->uniform = accept_word(r, "uni");
	} else if (accept_word(r, "switch")) {
		read_switch(r, b);
	} else if (accept_word(r, "ret")) {
		b->term = IR_TERM_RET;
	} else if (accept_word(r, "exit")) {
		b->term = IR_TERM_EXIT;
	} else {
		return false;
	}
	return true;
}

static void read_block(struct reader *r, struct ir_block *b)
{
	void *items = NULL;
	size_t cap = 0;

	if (r->tok == TOK_STRING)
		b->label = want_string(r);
	if (accept_punct(r, '!'))
		b->line = (uint32_t)want_number(r);
	while (!r->error && !read_term(r, b)) {
		struct ir_inst *in = push(r, &items, &cap, &b->count, sizeof(*in));

		if (in)
			read_inst(r, in);
	}
	b->insts = items;
}

static void read_func(struct reader *r, struct ir_func *f)
{
	void *items = NULL;
	size_t cap = 0;

	f->name = want_string(r);
	if (is_word(r, "code"))
		f->code = key_number(r, "code");
	if (is_word(r, "frame"))
		f->frame_bytes = key_number(r, "frame");
	if (accept_word(r, "params"))
		read_slots(r, &f->params, &f->nparams);
	if (accept_word(r, "rets"))
		read_slots(r, &f->rets, &f->nrets);
	if (!accept_word(r, "regs"))
		fail(r, "'regs' wanted");
	for (;;) {
		struct ir_reg *reg;
		uint8_t type;

		if (r->tok != TOK_WORD || !find_type(r->word, &type))
			break;
		reg = push(r, &items, &cap, &f->nregs, sizeof(*reg));
		if (!reg)
			return;
		reg->type = type;
		next(r);
		if (accept_punct(r, ':'))
			reg->name = want_string(r);
	}
	f->regs = items;
	items = NULL;
	cap = 0;
	while (accept_word(r, "block")) {
		struct ir_block *b = push(r, &items, &cap, &f->nblocks, sizeof(*b));

		if (b)
			read_block(r, b);
	}
	f->blocks = items;
}

static void read_unit(struct reader *r, struct ir_unit *u)
{
	void *items = NULL;
	size_t cap = 0;

	if (!accept_word(r, "unit"))
		fail(r, "'unit' wanted");
	if (is_word(r, "shared"))
		u->shared_bytes = key_number(r, "shared");
	if (is_word(r, "params"))
		u->param_bytes = key_number(r, "params");
	if (is_word(r, "depth"))
		u->max_call_depth = key_number(r, "depth");
	u->uses_barrier = accept_word(r, "barrier");
	u->uses_grid_sync = accept_word(r, "gridsync");
	while (accept_word(r, "func")) {
		struct ir_func **slot = push(r, &items, &cap, &u->nfuncs, sizeof(*slot));
		struct ir_func *f = take(r, sizeof(*f));

		if (!slot || !f)
			return;
		*slot = f;
		read_func(r, f);
	}
	u->funcs = (struct ir_func **)items;
	if (!r->error && r->tok != TOK_END)
		fail(r, "'func', 'block' or an instruction wanted");
}

int ir_read(const char *text, struct base_arena *arena, struct ir_unit **ret_unit, char *err,
	    size_t err_bytes)
{
	struct reader r = { .arena = arena,
			    .p = text,
			    .line_start = text,
			    .line = 1,
			    .err = err,
			    .err_bytes = err_bytes };
	struct ir_unit *u = take(&r, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->arena = arena;
	next(&r);
	read_unit(&r, u);
	if (r.error)
		return r.error;
	*ret_unit = u;
	return 0;
}

void ir_bind(struct ir_unit *unit, const uint64_t base_va[IR_BASE_COUNT])
{
	memcpy(unit->base_va, base_va, sizeof(unit->base_va));
	for (uint32_t f = 0; f < unit->nfuncs; f++) {
		for (uint32_t b = 0; b < unit->funcs[f]->nblocks; b++) {
			const struct ir_block *blk = &unit->funcs[f]->blocks[b];

			for (uint32_t i = 0; i < blk->count; i++) {
				struct ir_inst *in = &blk->insts[i];

				for (uint32_t k = 0; k < (uint32_t)in->nd + in->ns; k++)
					in->opnd[k].imm += base_va[in->opnd[k].base];
			}
		}
	}
}

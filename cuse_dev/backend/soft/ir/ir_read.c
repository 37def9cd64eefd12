/* SPDX-License-Identifier: MIT */
/*
 * ir_read.c - a unit from its text, see ir_text.h; and its addresses, when they are known.
 */
#include "cuse_dev/backend/soft/ir/ir_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void read_slots(struct reader *r, struct ir_slot **ret_slots, uint32_t *ret_count)
{
	void *items = NULL;
	size_t cap = 0;
	uint32_t n = 0;

	ir_text_want_punct(r, '(');
	while (!r->error && !ir_text_is_punct(r, ')')) {
		struct ir_slot *s = ir_text_push(r, &items, &cap, &n, sizeof(*s));

		if (!s)
			return;
		s->offset = (uint32_t)ir_text_want_number(r);
		ir_text_want_punct(r, ':');
		s->size = (uint32_t)ir_text_want_number(r);
	}
	ir_text_next(r);
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
		return (uint8_t)ir_text_want_number(r);
	for (uint8_t i = 0; r->tok == TOK_WORD && i < ir_text_name_count(names); i++) {
		if (strcmp(r->word, names[i]) == 0) {
			ir_text_next(r);
			return i;
		}
	}
	ir_text_fail(r, "unknown value");
	return 0;
}

static uint8_t sreg_value(struct reader *r)
{
	for (uint8_t i = 0; r->tok == TOK_WORD && i < IR_SREG_COUNT; i++) {
		if (strcmp(r->word, ir_sreg_text(i)) == 0) {
			ir_text_next(r);
			return i;
		}
	}
	ir_text_fail(r, "unknown special register");
	return 0;
}

static struct ir_aux *need_aux(struct reader *r, struct ir_inst *in)
{
	if (!in->aux)
		in->aux = ir_text_take(r, sizeof(*in->aux));
	return in->aux;
}

/* A key: some are names of operations as well, so '=' must follow. */
static bool accept_key(struct reader *r, const char *key)
{
	const char *p = r->p;

	while (*p == ' ' || *p == '\t')
		p++;
	if (!ir_text_is_word(r, key) || *p != '=')
		return false;
	ir_text_next(r);
	ir_text_next(r);
	return true;
}

/* mma( m=16 n=8 ... ) */
static void read_mma(struct reader *r, struct ir_inst *in)
{
	struct ir_aux *aux = need_aux(r, in);

	ir_text_next(r);
	ir_text_want_punct(r, '(');
	while (aux && !r->error && !ir_text_accept_punct(r, ')')) {
#define X(field, text)                                                                             \
	if (accept_key(r, text)) {                                                                 \
		aux->mma.field = (uint16_t)ir_text_want_number(r);                                 \
		continue;                                                                          \
	}
		IR_MMA_FIELDS(X)
#undef X
		ir_text_fail(r, "no such field of a matrix instruction");
	}
}

/* One attribute, if the token starts one. */
static bool read_attr(struct reader *r, struct ir_inst *in)
{
	if (r->tok != TOK_WORD)
		return false;
#define X(field, text)                                                                             \
	if (ir_text_accept_word(r, text)) {                                                        \
		in->field = true;                                                                  \
		return true;                                                                       \
	}
	IR_TEXT_FLAG_FIELDS(X)
#undef X
#define X(field, names)                                                                            \
	if (accept_key(r, #field)) {                                                               \
		in->field = enum_value(r, names);                                                  \
		return true;                                                                       \
	}
	IR_TEXT_ENUM_FIELDS(X)
#undef X
	if (accept_key(r, "sub")) {
		in->sub = in->op == IR_OP_SREG ? sreg_value(r)
					       : enum_value(r, ir_text_sub_names(in->op));
		return true;
	}
	if (accept_key(r, "off")) {
		in->offset = (int64_t)ir_text_want_number(r);
		return true;
	}
	if (ir_text_is_word(r, "mma")) {
		read_mma(r, in);
		return true;
	}
	if (ir_text_is_word(r, "args") || ir_text_is_word(r, "rets") ||
	    ir_text_is_word(r, "func")) {
		struct ir_aux *aux = need_aux(r, in);

		if (!aux)
			return false;
		if (ir_text_accept_word(r, "args"))
			read_slots(r, &aux->args, &aux->count);
		else if (ir_text_accept_word(r, "rets"))
			read_slots(r, &aux->rets, &aux->nrets);
		else
			aux->func = ir_text_key_number(r, "func");
		return true;
	}
	return false;
}

static uint32_t read_operands(struct reader *r, struct ir_operand *o, uint32_t max)
{
	uint32_t n = 0;

	if (!ir_text_is_reg(r) && r->tok != TOK_NUMBER && !ir_text_is_word(r, "_") &&
	    !ir_text_is_word(r, "global") && !ir_text_is_word(r, "managed"))
		return 0;
	do {
		if (n == max) {
			ir_text_fail(r, "too many operands");
			return n;
		}
		memset(&o[n], 0, sizeof(o[n]));
		if (ir_text_accept_word(r, "_")) {
			o[n].kind = IR_OPND_NONE;
		} else if (!ir_text_is_reg(r)) {
			o[n].kind = IR_OPND_IMM;
			if (ir_text_accept_word(r, "global"))
				o[n].base = IR_BASE_GLOBAL;
			else if (ir_text_accept_word(r, "managed"))
				o[n].base = IR_BASE_MANAGED;
			o[n].imm = ir_text_want_number(r);
		} else {
			o[n].kind = IR_OPND_REG;
			o[n].reg = ir_text_want_reg(r);
		}
		n++;
	} while (ir_text_accept_punct(r, ','));
	return n;
}

#define MAX_OPERANDS 300u /* wgmma: 128 results, as many sources and a few */

static void read_inst(struct reader *r, struct ir_inst *in)
{
	struct ir_operand o[MAX_OPERANDS];
	uint32_t n, m = 0;

	in->guard = -1;
	if (ir_text_accept_punct(r, '@')) {
		in->guard_not = ir_text_accept_punct(r, '!');
		in->guard = (int32_t)ir_text_want_reg(r);
	}
	for (uint16_t op = 1; r->tok == TOK_WORD && op < IR_OP_COUNT; op++)
		if (strcmp(r->word, ir_op_text(op)) == 0)
			in->op = op;
	if (!in->op) {
		ir_text_fail(r, "operation wanted");
		return;
	}
	ir_text_next(r);
	if (r->tok == TOK_WORD && find_type(r->word, &in->type))
		ir_text_next(r);
	if (r->tok == TOK_WORD && find_type(r->word, &in->type2))
		ir_text_next(r);
	while (read_attr(r, in))
		;
	n = read_operands(r, o, MAX_OPERANDS);
	if (ir_text_accept_punct(r, '=')) {
		m = n;
		n += read_operands(r, o + n, MAX_OPERANDS - n);
	}
	if (m > UINT8_MAX || n - m > UINT8_MAX) {
		ir_text_fail(r, "too many operands");
		return;
	}
	in->nd = (uint8_t)m;
	in->ns = (uint8_t)(n - m);
	in->opnd = ir_text_take(r, n * sizeof(*o) + 1);
	if (in->opnd)
		memcpy(in->opnd, o, n * sizeof(*o));
	if (ir_text_accept_punct(r, '!')) {
		in->line = (uint32_t)ir_text_want_number(r);
		ir_text_want_punct(r, ':');
		in->column = (uint32_t)ir_text_want_number(r);
	}
}

static void read_switch(struct reader *r, struct ir_block *b)
{
	void *items = NULL;
	size_t cap = 0;

	b->term = IR_TERM_SWITCH;
	b->pred = ir_text_want_reg(r);
	b->aux = ir_text_take(r, sizeof(*b->aux));
	ir_text_want_punct(r, '[');
	while (!r->error && !ir_text_is_punct(r, ']')) {
		uint32_t *t = ir_text_push(r, &items, &cap, &b->aux->count, sizeof(*t));

		if (t)
			*t = (uint32_t)ir_text_want_number(r);
	}
	ir_text_next(r);
	if (b->aux)
		b->aux->targets = items;
}

static bool read_term(struct reader *r, struct ir_block *b)
{
	if (ir_text_accept_word(r, "jump")) {
		b->term = IR_TERM_JUMP;
		b->target[0] = (uint32_t)ir_text_want_number(r);
	} else if (ir_text_accept_word(r, "br")) {
		b->term = IR_TERM_BRANCH;
		b->pred_not = ir_text_accept_punct(r, '!');
		b->pred = ir_text_want_reg(r);
		b->target[0] = (uint32_t)ir_text_want_number(r);
		b->target[1] = (uint32_t)ir_text_want_number(r);
		b->uniform = ir_text_accept_word(r, "uni");
	} else if (ir_text_accept_word(r, "switch")) {
		read_switch(r, b);
	} else if (ir_text_accept_word(r, "ret")) {
		b->term = IR_TERM_RET;
	} else if (ir_text_accept_word(r, "exit")) {
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
		b->label = ir_text_want_string(r);
	if (ir_text_accept_punct(r, '!'))
		b->line = (uint32_t)ir_text_want_number(r);
	while (!r->error && !read_term(r, b)) {
		struct ir_inst *in = ir_text_push(r, &items, &cap, &b->count, sizeof(*in));

		if (in)
			read_inst(r, in);
	}
	b->insts = items;
}

static void read_func(struct reader *r, struct ir_func *f)
{
	void *items = NULL;
	size_t cap = 0;

	f->name = ir_text_want_string(r);
	if (ir_text_is_word(r, "code"))
		f->code = ir_text_key_number(r, "code");
	if (ir_text_is_word(r, "frame"))
		f->frame_bytes = ir_text_key_number(r, "frame");
	if (ir_text_accept_word(r, "params"))
		read_slots(r, &f->params, &f->nparams);
	if (ir_text_accept_word(r, "rets"))
		read_slots(r, &f->rets, &f->nrets);
	if (!ir_text_accept_word(r, "regs"))
		ir_text_fail(r, "'regs' wanted");
	for (;;) {
		struct ir_reg *reg;
		uint8_t type;

		if (r->tok != TOK_WORD || !find_type(r->word, &type))
			break;
		reg = ir_text_push(r, &items, &cap, &f->nregs, sizeof(*reg));
		if (!reg)
			return;
		reg->type = type;
		ir_text_next(r);
		if (ir_text_accept_punct(r, ':'))
			reg->name = ir_text_want_string(r);
	}
	f->regs = items;
	items = NULL;
	cap = 0;
	while (ir_text_accept_word(r, "block")) {
		struct ir_block *b = ir_text_push(r, &items, &cap, &f->nblocks, sizeof(*b));

		if (b)
			read_block(r, b);
	}
	f->blocks = items;
}

static void read_unit(struct reader *r, struct ir_unit *u)
{
	void *items = NULL;
	size_t cap = 0;

	if (!ir_text_accept_word(r, "unit"))
		ir_text_fail(r, "'unit' wanted");
	if (ir_text_is_word(r, "shared"))
		u->shared_bytes = ir_text_key_number(r, "shared");
	if (ir_text_is_word(r, "params"))
		u->param_bytes = ir_text_key_number(r, "params");
	if (ir_text_is_word(r, "depth"))
		u->max_call_depth = ir_text_key_number(r, "depth");
	u->uses_barrier = ir_text_accept_word(r, "barrier");
	u->uses_grid_sync = ir_text_accept_word(r, "gridsync");
	while (ir_text_accept_word(r, "func")) {
		struct ir_func **slot = ir_text_push(r, &items, &cap, &u->nfuncs, sizeof(*slot));
		struct ir_func *f = ir_text_take(r, sizeof(*f));

		if (!slot || !f)
			return;
		*slot = f;
		read_func(r, f);
	}
	u->funcs = (struct ir_func **)items;
	if (!r->error && r->tok != TOK_END)
		ir_text_fail(r, "'func', 'block' or an instruction wanted");
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
	struct ir_unit *u = ir_text_take(&r, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->arena = arena;
	ir_text_next(&r);
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

/* SPDX-License-Identifier: MIT */
/*
 * cg_own.c - a register of its own for each definition that is alone where it is read.
 *
 * A register has one shape, the least special one of its definitions. Front ends write a register in several places:
 *
 *	mov r1, %tid.x				mov t, %tid.x;  mov r1, t
 *	mul.wide.s32 rd1, r1, 4		becomes	mul.wide.s32 rd1, t, 4
 *	...					...
 *	LOOP: ... add r1, r1, 256		LOOP: ... add r1, r1, 256
 *
 * Where only one definition can have made the value that is read, its own register is read, whose shape is that of
 * this value. Integers only: shapes of floats are of no use.
 */
#include <errno.h>
#include <string.h>

#include "cuse_dev/backend/soft/llvm/cg.h"
#include "cuse_dev/base/arena.h"

#define NONE	   UINT32_MAX	    /* no definition comes here */
#define MANY	   (UINT32_MAX - 1) /* several, or one that has no register of its own */
#define MOST_CELLS (4u << 20)

struct own {
	struct cg *g;
	struct ir_func *f;
	uint32_t *
		column; /* per register: its number among those with several definitions, or NONE */
	uint32_t ncolumns, ndefs;
	uint32_t *in;  /* per block and column: the definition that comes to its start */
	uint32_t *now; /* per column, while a block is gone through */
	uint32_t *reg; /* per definition: its own register; before: not NONE if it wants one */
};

static bool is_integer(const struct own *o, uint32_t reg)
{
	uint32_t bits = ir_type_bits(o->f->regs[reg].type);

	return bits == 32 || bits == 64;
}

static bool may_own(const struct ir_inst *in)
{
	return in->guard < 0 && in->nd == 1 && !ir_type_float(in->type) &&
	       (cg_pure(in) || in->op == IR_OP_SREG);
}

static uint32_t column_of(const struct own *o, const struct ir_operand *op)
{
	return op->kind == IR_OPND_REG ? o->column[op->reg] : NONE;
}

/* Registers with several definitions. */
static int find_columns(struct own *o)
{
	uint32_t *defs = arena_alloc(o->g->arena, o->f->nregs * sizeof(*defs) + 1);

	if (!defs)
		return -ENOMEM;
	for (uint32_t b = 0; b < o->f->nblocks; b++) {
		for (uint32_t i = 0; i < o->f->blocks[b].count; i++) {
			const struct ir_inst *in = &o->f->blocks[b].insts[i];

			for (uint32_t k = 0; k < in->nd; k++)
				if (in->opnd[k].kind == IR_OPND_REG)
					defs[in->opnd[k].reg]++;
		}
	}
	for (uint32_t r = 0; r < o->f->nregs; r++)
		o->column[r] = defs[r] > 1 && is_integer(o, r) ? o->ncolumns++ : NONE;
	return 0;
}

/* Definitions are numbered as they stand, the same in each pass. */
static void define(struct own *o, const struct ir_inst *in, uint32_t *def)
{
	for (uint32_t k = 0; k < in->nd; k++) {
		uint32_t c = column_of(o, &in->opnd[k]);

		if (c != NONE)
			o->now[c] = may_own(in) ? (*def)++ : MANY;
	}
}

static bool come_to(struct own *o, uint32_t block)
{
	uint32_t *to = o->in + (size_t)block * o->ncolumns;
	bool changed = false;

	for (uint32_t c = 0; c < o->ncolumns; c++) {
		uint32_t now = o->now[c];

		if (now == NONE || to[c] == now || to[c] == MANY)
			continue;
		to[c] = to[c] == NONE ? now : MANY;
		changed = true;
	}
	return changed;
}

static bool come_to_targets(struct own *o, const struct ir_block *b)
{
	bool changed = false;

	switch (b->term) {
	case IR_TERM_BRANCH:
		changed = come_to(o, b->target[1]);
		/* fall through */
	case IR_TERM_JUMP:
		return come_to(o, b->target[0]) || changed;
	case IR_TERM_SWITCH:
		for (uint32_t i = 0; i < b->aux->count; i++)
			changed |= come_to(o, b->aux->targets[i]);
		return changed;
	default:
		return false;
	}
}

static void enter(struct own *o, uint32_t block)
{
	memcpy(o->now, o->in + (size_t)block * o->ncolumns, o->ncolumns * sizeof(*o->now));
}

static void find_definitions(struct own *o)
{
	bool changed = true;

	memset(o->in, 0xff, (size_t)o->f->nblocks * o->ncolumns * sizeof(*o->in));
	for (uint32_t c = 0; c < o->ncolumns; c++)
		o->in[c] = MANY; /* at the start: nothing has been written */
	while (changed) {
		uint32_t def = 0;

		changed = false;
		for (uint32_t b = 0; b < o->f->nblocks; b++) {
			enter(o, b);
			for (uint32_t i = 0; i < o->f->blocks[b].count; i++)
				define(o, &o->f->blocks[b].insts[i], &def);
			changed |= come_to_targets(o, &o->f->blocks[b]);
		}
		o->ndefs = def;
	}
}

/* Sources that one definition has made: it wants a register, or has one that is read. */
static void sources(struct own *o, struct ir_inst *in, bool rename)
{
	for (uint32_t k = in->nd; k < (uint32_t)in->nd + in->ns; k++) {
		uint32_t c = column_of(o, &in->opnd[k]), def = c == NONE ? NONE : o->now[c];

		if (def == NONE || def == MANY)
			continue;
		if (rename)
			in->opnd[k].reg = o->reg[def];
		else
			o->reg[def] = 0;
	}
}

static void find_wanted(struct own *o)
{
	uint32_t def = 0;

	for (uint32_t b = 0; b < o->f->nblocks; b++) {
		enter(o, b);
		for (uint32_t i = 0; i < o->f->blocks[b].count; i++) {
			sources(o, &o->f->blocks[b].insts[i], false);
			define(o, &o->f->blocks[b].insts[i], &def);
		}
	}
}

static int give_registers(struct own *o)
{
	struct ir_reg *regs =
		arena_alloc(o->g->arena, (o->f->nregs + o->ndefs) * sizeof(*regs) + 1);
	uint32_t def = 0;

	if (!regs)
		return -ENOMEM;
	memcpy(regs, o->f->regs, o->f->nregs * sizeof(*regs));
	o->f->regs = regs;
	for (uint32_t b = 0; b < o->f->nblocks; b++) {
		for (uint32_t i = 0; i < o->f->blocks[b].count; i++) {
			const struct ir_inst *in = &o->f->blocks[b].insts[i];

			if (!may_own(in) || column_of(o, &in->opnd[0]) == NONE)
				continue;
			if (o->reg[def] != NONE) {
				regs[o->f->nregs] = regs[in->opnd[0].reg];
				o->reg[def] = o->f->nregs++;
			}
			def++;
		}
	}
	return 0;
}

/* The definition goes to its own register, and from there to the one that it had. */
static int split(struct own *o, struct ir_inst *in, struct ir_inst *copy, uint32_t own)
{
	*copy = (struct ir_inst){ .op = IR_OP_MOV,
				  .type = o->f->regs[own].type,
				  .guard = -1,
				  .nd = 1,
				  .ns = 1,
				  .line = in->line };
	copy->opnd = arena_alloc(o->g->arena, 2 * sizeof(*copy->opnd));
	if (!copy->opnd)
		return -ENOMEM;
	copy->opnd[0] = in->opnd[0];
	in->opnd[0].reg = own;
	copy->opnd[1] = in->opnd[0];
	return 0;
}

static int rewrite(struct own *o)
{
	uint32_t def = 0;

	for (uint32_t b = 0; b < o->f->nblocks; b++) {
		struct ir_block *blk = &o->f->blocks[b];
		struct ir_inst *out =
			arena_alloc(o->g->arena, 2 * (size_t)blk->count * sizeof(*out) + 1);
		uint32_t n = 0;

		if (!out)
			return -ENOMEM;
		enter(o, b);
		for (uint32_t i = 0; i < blk->count; i++) {
			struct ir_inst *in = &out[n++];
			uint32_t first = def;

			*in = blk->insts[i];
			sources(o, in, true);
			define(o, in, &def);
			if (def != first && o->reg[first] != NONE &&
			    split(o, in, &out[n++], o->reg[first]) < 0)
				return -ENOMEM;
		}
		blk->insts = out;
		blk->count = n;
	}
	return 0;
}

int cg_own_registers(struct cg *g, struct ir_func *f)
{
	struct own o = { .g = g, .f = f };

	if (g->opt->level == LLVM_QUICK)
		return 0;
	o.column = arena_alloc(g->arena, f->nregs * sizeof(*o.column) + 1);
	if (!o.column || find_columns(&o) < 0)
		return -ENOMEM;
	if (!o.ncolumns || (uint64_t)o.ncolumns * f->nblocks > MOST_CELLS)
		return 0;
	o.in = arena_alloc(g->arena, (size_t)f->nblocks * o.ncolumns * sizeof(*o.in));
	o.now = arena_alloc(g->arena, o.ncolumns * sizeof(*o.now));
	if (!o.in || !o.now)
		return -ENOMEM;
	find_definitions(&o);
	o.reg = arena_alloc(g->arena, o.ndefs * sizeof(*o.reg) + 1);
	if (!o.reg)
		return -ENOMEM;
	memset(o.reg, 0xff, o.ndefs * sizeof(*o.reg));
	find_wanted(&o);
	return give_registers(&o) < 0 ? -ENOMEM : rewrite(&o);
}

/* SPDX-License-Identifier: MIT */
/*
 * cg_own.c - registers of their own for values that live within a block.
 *
 * A register that is written in several places has one shape for all of them. Where a block reads what it has just
 * written, it gets a register of its own, whose shape is that of this value:
 *
 *	mov r1, %tid.x				mov t, %tid.x;  mov r1, t
 *	mul.wide.s32 rd1, r1, 4		becomes	mul.wide.s32 rd1, t, 4
 *	...					...
 *	LOOP: add r1, r1, 256			LOOP: add r1, r1, 256
 */
#include <errno.h>
#include <string.h>

#include "cuse_dev/backend/soft/llvm/cg.h"
#include "cuse_dev/base/arena.h"

struct own {
	struct ir_func *f;
	const uint32_t *defs;
	uint32_t *now; /* per register: its own one of this block, or NONE */
	uint32_t *set; /* registers that have one */
	uint32_t nset;
};

#define NONE UINT32_MAX

static bool writes(const struct ir_inst *in, uint32_t reg)
{
	for (uint32_t k = 0; k < in->nd; k++)
		if (in->opnd[k].kind == IR_OPND_REG && in->opnd[k].reg == reg)
			return true;
	return false;
}

static bool reads(const struct ir_inst *in, uint32_t reg)
{
	for (uint32_t k = in->nd; k < (uint32_t)in->nd + in->ns; k++)
		if (in->opnd[k].kind == IR_OPND_REG && in->opnd[k].reg == reg)
			return true;
	return false;
}

/* Is the result of instruction @i read in the block? */
static bool wants_own(const struct own *o, const struct ir_block *b, uint32_t i)
{
	const struct ir_inst *in = &b->insts[i];
	uint32_t reg, bits;

	if (in->guard >= 0 || in->nd != 1 || in->opnd[0].kind != IR_OPND_REG ||
	    ir_type_float(in->type) || !(cg_pure(in) || in->op == IR_OP_SREG))
		return false;
	reg = in->opnd[0].reg;
	bits = ir_type_bits(o->f->regs[reg].type);
	if (o->defs[reg] < 2 || (bits != 32 && bits != 64))
		return false;
	for (i++; i < b->count; i++) {
		if (reads(&b->insts[i], reg))
			return true;
		if (writes(&b->insts[i], reg))
			return false;
	}
	return false;
}

static void forget(struct own *o, const struct ir_inst *in)
{
	for (uint32_t k = 0; k < in->nd; k++)
		if (in->opnd[k].kind == IR_OPND_REG)
			o->now[in->opnd[k].reg] = NONE;
}

static int own_in_block(struct cg *g, struct own *o, struct ir_block *b)
{
	struct ir_inst *out = arena_alloc(g->arena, 2 * (size_t)b->count * sizeof(*out) + 1);
	uint32_t n = 0;

	if (!out)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->count; i++) {
		struct ir_inst *in = &b->insts[i], *copy;
		bool own = wants_own(o, b, i);
		uint32_t reg;

		for (uint32_t k = in->nd; k < (uint32_t)in->nd + in->ns; k++)
			if (in->opnd[k].kind == IR_OPND_REG && o->now[in->opnd[k].reg] != NONE)
				in->opnd[k].reg = o->now[in->opnd[k].reg];
		forget(o, in);
		out[n++] = *in;
		if (!own)
			continue;
		reg = in->opnd[0].reg;
		o->f->regs[o->f->nregs] = o->f->regs[reg];
		in->opnd[0].reg = o->f->nregs;
		copy = &out[n++];
		*copy = (struct ir_inst){ .op = IR_OP_MOV,
					  .type = o->f->regs[reg].type,
					  .guard = -1,
					  .nd = 1,
					  .ns = 1,
					  .line = in->line };
		copy->opnd = arena_alloc(g->arena, 2 * sizeof(*copy->opnd));
		if (!copy->opnd)
			return -ENOMEM;
		copy->opnd[0] = (struct ir_operand){ .kind = IR_OPND_REG, .reg = reg };
		copy->opnd[1] = in->opnd[0];
		o->now[reg] = o->f->nregs++;
		o->set[o->nset++] = reg;
	}
	while (o->nset)
		o->now[o->set[--o->nset]] = NONE;
	b->insts = out;
	b->count = n;
	return 0;
}

int cg_own_registers(struct cg *g, struct ir_func *f)
{
	uint32_t *defs = arena_alloc(g->arena, f->nregs * sizeof(*defs) + 1);
	struct own o = { .f = f, .defs = defs };
	struct ir_reg *regs;
	size_t insts = 0;

	for (uint32_t b = 0; b < f->nblocks; b++) {
		insts += f->blocks[b].count;
		for (uint32_t i = 0; defs && i < f->blocks[b].count; i++) {
			const struct ir_inst *in = &f->blocks[b].insts[i];

			for (uint32_t k = 0; k < in->nd; k++)
				if (in->opnd[k].kind == IR_OPND_REG)
					defs[in->opnd[k].reg]++;
		}
	}
	regs = arena_alloc(g->arena, (f->nregs + insts) * sizeof(*regs) + 1);
	o.now = arena_alloc(g->arena, (f->nregs + insts) * sizeof(*o.now) + 1);
	o.set = arena_alloc(g->arena, insts * sizeof(*o.set) + 1);
	if (!defs || !regs || !o.now || !o.set)
		return -ENOMEM;
	if (f->nregs)
		memcpy(regs, f->regs, f->nregs * sizeof(*regs));
	memset(o.now, 0xff, (f->nregs + insts) * sizeof(*o.now));
	f->regs = regs;
	for (uint32_t b = 0; b < f->nblocks; b++)
		if (own_in_block(g, &o, &f->blocks[b]) < 0)
			return -ENOMEM;
	return 0;
}

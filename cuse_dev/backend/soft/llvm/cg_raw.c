/* SPDX-License-Identifier: MIT */
/*
 * cg_raw.c - which f32 registers may hold a NaN that is not the canonical one yet.
 *
 * PTX has one f32 NaN, the CPU many; making it canonical costs two instructions after each operation. Float
 * arithmetic takes all NaNs as the same, so in
 *
 *	loop: fma f1, f2, f3, f1	the NaN is made canonical where f1 is stored, after the loop
 *
 * A register is raw when each of its definitions is float arithmetic, a constant that is no NaN, or a
 * copy of a raw register, also from another lane. One that also takes bits from elsewhere, such as a load, must keep those
 * bits and so cannot be.
 */
#include "cuse_dev/backend/soft/llvm/cg.h"

bool cg_makes_raw(const struct ir_inst *in)
{
	if (in->type != IR_F32 || in->sat || in->round != IR_RN)
		return false;
	return in->op == IR_OP_ADD || in->op == IR_OP_SUB || in->op == IR_OP_MUL ||
	       in->op == IR_OP_FMA;
}

static bool copies(const struct ir_inst *in, uint32_t source)
{
	return (in->op == IR_OP_MOV || (in->op == IR_OP_SELP && source < 2) ||
		(in->op == IR_OP_SHFL && source == 0)) &&
	       ir_type_bits(in->type) == 32;
}

bool cg_takes_raw(const struct ir_inst *in, uint32_t source)
{
	switch (in->op) {
	case IR_OP_ADD:
	case IR_OP_SUB:
	case IR_OP_MUL:
	case IR_OP_FMA:
	case IR_OP_DIV:
	case IR_OP_RCP:
	case IR_OP_SQRT:
	case IR_OP_RSQRT:
	case IR_OP_EX2:
	case IR_OP_LG2:
	case IR_OP_SIN:
	case IR_OP_COS:
	case IR_OP_TANH:
	case IR_OP_MIN:
	case IR_OP_MAX:
		return in->type == IR_F32;
	case IR_OP_SETP:
		return in->type == IR_F32 && source < 2;
	case IR_OP_CVT:
		return in->type2 == IR_F32 && in->ns < 3;
	default:
		return copies(in, source);
	}
}

static bool nan_bits(uint64_t imm)
{
	return ((uint32_t)imm & 0x7fffffffu) > 0x7f800000u;
}

/* Can the definition stand in a raw register? */
static bool fits(const struct cg *g, const struct ir_inst *in, uint32_t k)
{
	if (k == 0 && cg_makes_raw(in))
		return true;
	for (uint32_t i = 0; i < in->ns; i++) {
		const struct ir_operand *o = &in->opnd[in->nd + i];

		if ((in->op == IR_OP_SELP && i == 2) || (in->op == IR_OP_SHFL && i == 1))
			return true;
		if (!copies(in, i))
			return false;
		if (o->kind == IR_OPND_IMM ? ir_is_number(o) && nan_bits(o->imm)
					   : g->regs[o->reg].mixed)
			return false;
	}
	return in->ns > 0;
}

static bool source_raw(const struct cg *g, const struct ir_inst *in)
{
	if (cg_makes_raw(in))
		return true;
	for (uint32_t i = 0; i < in->ns; i++)
		if (copies(in, i) && in->opnd[in->nd + i].kind == IR_OPND_REG &&
		    g->regs[in->opnd[in->nd + i].reg].s.raw)
			return true;
	return false;
}

/* One pass over all definitions; @mixed: which of the two questions. */
static bool pass(struct cg *g, bool mixed)
{
	bool changed = false;

	for (uint32_t b = 0; b < g->nblocks; b++) {
		for (uint32_t i = 0; i < g->blocks[b].count; i++) {
			const struct ir_inst *in = &g->blocks[b].insts[i];

			for (uint32_t k = 0; k < in->nd; k++) {
				struct cg_reg *r = &g->regs[in->opnd[k].reg];

				if (in->opnd[k].kind != IR_OPND_REG || r->bits != 32)
					continue;
				if (mixed && !r->mixed && !fits(g, in, k)) {
					r->mixed = true;
					changed = true;
				} else if (!mixed && !r->mixed && !r->s.raw && source_raw(g, in)) {
					r->s.raw = true;
					changed = true;
				}
			}
		}
	}
	return changed;
}

void cg_raw_solve(struct cg *g)
{
	while (pass(g, true))
		;
	while (pass(g, false))
		;
}

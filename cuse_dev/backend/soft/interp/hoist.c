/* SPDX-License-Identifier: MIT */
/*
 * hoist.c - what a kernel computes the same for all warps of a launch, or of a block.
 *
 * Parameters, the shape of the grid and what is computed from them alone fill the first dozen
 * instructions of most kernels. A frame is used by one warp after the other, so such registers can
 * be computed once per launch (or per block) and keep their places. That is allowed for a
 * register with a single, unguarded definition that reads nothing else: whoever reads it after the
 * definition gets the same value; whoever reads it before gets what PTX leaves open.
 */
#include "cuse_dev/backend/soft/interp/alloc.h"

#include <errno.h>

#include "cuse_dev/base/arena.h"

#define HOIST_MAX 24u /* registers: each warp that lives has its own copy */

static void count_defs(const struct ir_func *f, uint8_t *defs)
{
	for (uint32_t b = 0; b < f->nblocks; b++) {
		for (uint32_t i = 0; i < f->blocks[b].count; i++) {
			const struct ir_inst *in = &f->blocks[b].insts[i];

			for (uint32_t k = 0; k < in->nd; k++)
				if (in->opnd[k].kind == IR_OPND_REG && defs[in->opnd[k].reg] < 2)
					defs[in->opnd[k].reg]++;
		}
	}
}

/* What an instruction without register sources depends on. */
static enum hoist_level own_level(const struct ir_inst *in)
{
	switch (in->op) {
	case IR_OP_SREG:
		if (in->sub >= IR_SREG_NTID_X && in->sub <= IR_SREG_NTID_Z)
			return HOIST_LAUNCH;
		if (in->sub >= IR_SREG_NCTAID_X && in->sub <= IR_SREG_NCTAID_Z)
			return HOIST_LAUNCH;
		if (in->sub >= IR_SREG_CTAID_X && in->sub <= IR_SREG_CTAID_Z)
			return HOIST_BLOCK;
		return HOIST_NOT;
	case IR_OP_LD:
		/* By a fixed address; whether that is a parameter, the decoder checks. */
		return in->space == IR_SPACE_PARAM && in->opnd[in->nd].kind == IR_OPND_IMM &&
				       ir_type_bits(in->type) <= 64
			       ? HOIST_LAUNCH
			       : HOIST_NOT;
	case IR_OP_CVTA:
	case IR_OP_CVTA_TO:
		return in->space == IR_SPACE_FRAME ? HOIST_NOT : HOIST_LAUNCH;
	default:
		return in->op <= IR_OP_CVT_PACK && in->op != IR_OP_UNPACK ? HOIST_LAUNCH
									  : HOIST_NOT;
	}
}

/* Known to work for every type: may be computed although its block might never be reached. */
static bool harmless(const struct ir_inst *in)
{
	switch (in->op) {
	case IR_OP_SREG:
	case IR_OP_LD:
	case IR_OP_CVTA:
	case IR_OP_CVTA_TO:
	case IR_OP_MOV:
		return true;
	case IR_OP_ADD:
	case IR_OP_SUB:
	case IR_OP_MUL:
	case IR_OP_MUL_WIDE:
	case IR_OP_MAD:
	case IR_OP_SHL:
	case IR_OP_SHR:
	case IR_OP_AND:
	case IR_OP_OR:
	case IR_OP_XOR:
		return !ir_type_float(in->type) && !in->sat;
	default:
		return false;
	}
}

static enum hoist_level level_of(const struct ir_inst *in, const uint8_t *defs,
				 const uint8_t *level)
{
	enum hoist_level l = own_level(in);

	if (l == HOIST_NOT || in->guard >= 0 || in->nd == 0)
		return HOIST_NOT;
	for (uint32_t k = 0; k < in->nd; k++)
		if (in->opnd[k].kind != IR_OPND_REG || defs[in->opnd[k].reg] != 1)
			return HOIST_NOT;
	for (uint32_t k = in->nd; k < (uint32_t)in->nd + in->ns; k++) {
		if (in->opnd[k].kind != IR_OPND_REG)
			continue;
		if (level[in->opnd[k].reg] == HOIST_NOT)
			return HOIST_NOT;
		if (level[in->opnd[k].reg] > l)
			l = level[in->opnd[k].reg];
	}
	return l;
}

int interp_hoist(struct base_arena *tmp, const struct ir_func *f, uint8_t **ret_inst,
		 uint8_t **ret_reg)
{
	uint8_t *defs = arena_alloc(tmp, (size_t)f->nregs + 1);
	uint8_t *reg = arena_alloc(tmp, (size_t)f->nregs + 1), *inst;
	uint32_t n = 0, total = 0;

	for (uint32_t b = 0; b < f->nblocks; b++)
		n += f->blocks[b].count;
	inst = arena_alloc(tmp, (size_t)n + 1);
	if (!defs || !reg || !inst)
		return -ENOMEM;
	count_defs(f, defs);
	*ret_inst = inst;
	*ret_reg = reg;
	for (uint32_t b = 0; b < f->nblocks; b++) {
		for (uint32_t i = 0; i < f->blocks[b].count; i++, inst++) {
			const struct ir_inst *in = &f->blocks[b].insts[i];

			if (total + in->nd > HOIST_MAX)
				return 0;
			if (b == 0 || harmless(in))
				*inst = (uint8_t)level_of(in, defs, reg);
			for (uint32_t k = 0; *inst && k < in->nd; k++)
				reg[in->opnd[k].reg] = *inst;
			total += *inst ? in->nd : 0;
		}
	}
	return 0;
}

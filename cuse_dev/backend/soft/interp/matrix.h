/* SPDX-License-Identifier: MIT */
/*
 * matrix.h - what the matrix instructions' handlers share: mma.c, matrix.c, wgmma.c.
 */
#ifndef SOFT_INTERP_MATRIX_H
#define SOFT_INTERP_MATRIX_H

#include "cuse_dev/backend/soft/interp/code.h"
#include "cuse_dev/backend/soft/rt/mma.h"

/** Of an instruction, made by the decoder. */
struct interp_mma {
	struct ir_mma x;
	struct ir_mma_regs regs;
	const struct rt_mma_ops *ops;
	const void **fixed; /* [nd + ns]: 32 lanes of an immediate, or NULL for a register */
};

/** interp_mma_source() - the lanes of operand @i, counted from the first source. */
static inline const void *interp_mma_source(const struct interp_warp *w, const struct interp_ext *x,
					    uint32_t i)
{
	uint32_t k = x->ir.nd + i;

	return x->opnd[k].off == NO_REG ? x->mma->fixed[k] : w->regs + x->opnd[k].off;
}

/** interp_mma_results() - registers from @from, for the running lanes; @from: one per result. */
void interp_mma_results(struct interp_warp *w, const struct interp_ext *x, void *const *from);

const struct interp_inst *interp_op_mma(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_ldmatrix(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_stmatrix(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_movmatrix(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_wmma_ld(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_wmma_st(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_wgmma(struct interp_warp *w, const struct interp_inst *in);

#endif

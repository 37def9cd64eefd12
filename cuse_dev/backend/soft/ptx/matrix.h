/* SPDX-License-Identifier: MIT */
/*
 * matrix.h - words and operands of the matrix instructions, for lower_mma.c and lower_matrix.c.
 */
#ifndef SOFT_PTX_MATRIX_H
#define SOFT_PTX_MATRIX_H

#include "cuse_dev/backend/soft/ptx/lower.h"

/** ptx_matrix_word() - take a word by its text. */
bool ptx_matrix_word(struct ptx_lower *l, const char *text);
/** ptx_matrix_shape() - take .m<M>n<N>{k<K>}; an error when there is none. */
bool ptx_matrix_shape(struct ptx_lower *l, struct ir_mma *x);
/** ptx_matrix_type() - take the next type of elements; IR_MAT_NONE: none is left. */
uint16_t ptx_matrix_type(struct ptx_lower *l);
/** ptx_matrix_layout() - take the next .row or .col; false: none is left. */
bool ptx_matrix_layout(struct ptx_lower *l, uint16_t *ret_col);
/** ptx_matrix_bitop() - take .xor.popc or .and.popc. */
void ptx_matrix_bitop(struct ptx_lower *l, struct ir_mma *x);
/**
 * ptx_matrix_regs() - the registers of a fragment
 *
 * A list of @count * @copies registers of which the first @count are wanted: a wmma fragment may hold
 * its elements more than once.
 */
bool ptx_matrix_regs(struct ptx_lower *l, const struct ptx_opnd *o, uint32_t type, uint32_t count,
		     uint32_t copies, bool result, struct ir_operand *ret);
/** ptx_matrix_valid() - ir_mma_valid() with an error. */
bool ptx_matrix_valid(struct ptx_lower *l, enum ir_op op, const struct ir_mma *x,
		      struct ir_mma_regs *ret);
struct ir_inst *ptx_matrix_emit(struct ptx_lower *l, enum ir_op op, const struct ir_mma *x,
				uint32_t nd, const struct ir_operand *d, uint32_t ns,
				const struct ir_operand *s);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * rt.h - the exact meaning of every operation that computes, for one thread.
 *
 * Here: rt_eval(), the reference that faster code is tested against and falls back to. Not here:
 * vectors of lanes (vec.h), small inline helpers (num.h), memory, control flow and whatever needs
 * to know the thread or the warp.
 */
#ifndef SOFT_RT_H
#define SOFT_RT_H

#include <stdint.h>

#include "cuse_dev/backend/soft/ir/ir.h"

/** The content of a register: the value in the low bits. hi is used by 128-bit values only. */
struct rt_value {
	uint64_t lo, hi;
};

/**
 * rt_eval() - one instruction for one thread
 *
 * Covers the sections arithmetic, bits, compare/select, and moves/conversions of ir_op.def, except
 * SREG and FRAME_ADDR. Operands are given in the order of ir_inst.opnd: src[0 .. ns), dst[0 .. nd).
 *
 *   - Of a source only the bits of its type count; what lies above is ignored. Predicates are
 *     bit 0.
 *   - A result is zero-extended to 64 bits, one of a signed integer type is sign-extended: its low
 *     bits are the register, whatever the register's width.
 *   - in->opnd, in->guard and positions are not looked at. All nd results are written (room for
 *     them is needed even where the operand is "_").
 *   - The rounding mode and the flush bits of the caller's thread do not matter.
 *
 * CVT_PACK: in->sub = 2 or 4 selects the .u2/.s2/.u4/.s4 forms (type U8/S8); 0 is the width of type.
 * DIV with IR_APPROX covers .approx and .full.
 *
 * CVT: in->round is the mode also for .rni and the like. in->sub = 1 means .satfinite, with or without
 * in->sat; in->sat alone means [0, 1] for f16, bf16, f32 and f64 and .satfinite for the narrower formats
 * and tf32, which have no other kind. Stochastic rounding (.rs) is -ENOTSUP.
 *
 * MIN3/MAX3 of floats: in->sat means .abs.
 *
 * Returns 0, or -ENOTSUP when the manual has no such combination of operation, type and modifiers;
 * dst is untouched then.
 */
int rt_eval(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * eval.h - how the files of rt_eval() share the work; private to this room.
 *
 * Scalar functions see one element: sources and result are bit patterns of at most 64 bits,
 * what lies above the type's width is zero in sources and ignored in results.
 */
#ifndef SOFT_RT_EVAL_H
#define SOFT_RT_EVAL_H

#include "cuse_dev/backend/soft/rt/real.h"
#include "cuse_dev/backend/soft/rt/rt.h"

/* ADD .. TESTP of one element. @t: its type. -ENOTSUP for what is not an integer/float operation. */
int rt_int_arith(const struct ir_inst *in, enum ir_type t, const uint64_t *s, uint64_t *ret_d);
int rt_float_arith(const struct ir_inst *in, enum ir_type t, const uint64_t *s, uint64_t *ret_d);

/* Operations with a shape of their own: carries, wide results. */
int rt_int_wide(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst);
/* The section "bits". */
int rt_bits(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst);
/* SETP, SET, SELP, SLCT. */
int rt_select(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst);
/* MOV, PACK, UNPACK, CVT, CVT_PACK, CVTA, CVTA_TO, ISSPACEP. */
int rt_move(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst);
int rt_cvt(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst);

/* The .approx functions on f32 bits; any floating point environment. -ENOTSUP for other operations. */
int rt_approx_f32(enum ir_op op, bool ftz, uint32_t a, uint32_t b, uint32_t *ret_d);

/* Element type of a packed arithmetic type, or t itself. */
enum ir_type rt_element(enum ir_type t);

static inline uint64_t rt_zext(uint64_t v, uint32_t bits)
{
	return bits >= 64 ? v : v & ((1ull << bits) - 1);
}

static inline int64_t rt_sext(uint64_t v, uint32_t bits)
{
	return bits >= 64 ? (int64_t)v : (int64_t)(v << (64 - bits)) >> (64 - bits);
}

/* A source of type t as a number. */
static inline rt_s128 rt_number(enum ir_type t, uint64_t v)
{
	uint32_t bits = ir_type_bits(t);

	return ir_type_signed(t) ? (rt_s128)rt_sext(v, bits) : (rt_s128)(rt_u128)rt_zext(v, bits);
}

/* A result as rt_eval() hands it out. */
static inline struct rt_value rt_result(enum ir_type t, uint64_t v)
{
	uint32_t bits = ir_type_bits(t);
	bool sign = ir_type_signed(t) && rt_element(t) == t;

	return (struct rt_value){ .lo = sign ? (uint64_t)rt_sext(v, bits) : rt_zext(v, bits) };
}

/* Nearest value of integer type t. */
static inline uint64_t rt_clamp(enum ir_type t, rt_s128 v)
{
	uint32_t bits = ir_type_bits(t);
	rt_s128 low = ir_type_signed(t) ? -((rt_s128)1 << (bits - 1)) : 0;
	rt_s128 high = low + (((rt_s128)1 << bits) - 1);

	return (uint64_t)(v < low ? low : v > high ? high : v);
}

static inline bool rt_is_int(enum ir_type t)
{
	return t >= IR_U8 && t <= IR_S64;
}

#endif

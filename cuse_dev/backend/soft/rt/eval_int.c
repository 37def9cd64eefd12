/* SPDX-License-Identifier: MIT */
/*
 * eval_int.c - integer arithmetic (PTX ISA 9.7.1, 9.7.2). Everything is computed in 128 bits and cut.
 */
#include <errno.h>

#include "cuse_dev/backend/soft/rt/eval.h"

static int divide(const struct ir_inst *in, enum ir_type t, const uint64_t *s, uint64_t *ret_d)
{
	rt_s128 a = rt_number(t, s[0]), b = rt_number(t, s[1]);

	if (b == 0) /* the manual leaves it open; this is what NVIDIA's assembler folds and calls */
		*ret_d = ~0ull;
	else
		*ret_d = (uint64_t)(in->op == IR_OP_DIV ? a / b : a % b);
	return 0;
}

/* The 24-bit multiplications take the low 24 bits of their operands. */
static rt_s128 mul24(enum ir_type t, const uint64_t *s)
{
	if (ir_type_signed(t))
		return (rt_s128)rt_sext(s[0], 24) * rt_sext(s[1], 24);
	return (rt_s128)rt_zext(s[0], 24) * (rt_s128)rt_zext(s[1], 24);
}

static rt_s128 min_max(const struct ir_inst *in, enum ir_type t, const uint64_t *s)
{
	bool max = in->op == IR_OP_MAX || in->op == IR_OP_MAX3;
	rt_s128 best = rt_number(t, s[0]);

	for (uint32_t i = 1; i < in->ns; i++) {
		rt_s128 v = rt_number(t, s[i]);

		if (max ? v > best : v < best)
			best = v;
	}
	return in->relu && best < 0 ? 0 : best;
}

int rt_int_arith(const struct ir_inst *in, enum ir_type t, const uint64_t *s, uint64_t *ret_d)
{
	uint32_t bits = ir_type_bits(t);
	rt_s128 a = rt_number(t, s[0]), b = rt_number(t, s[1]), c = rt_number(t, s[2]), d;

	if (!rt_is_int(t))
		return -ENOTSUP;
	switch (in->op) {
	case IR_OP_ADD:
		d = a + b;
		break;
	case IR_OP_SUB:
		d = a - b;
		break;
	case IR_OP_MUL:
		d = (rt_s128)((rt_u128)a * (rt_u128)b);
		break;
	case IR_OP_MUL_HI:
		d = (rt_s128)((rt_u128)a * (rt_u128)b) >> bits;
		break;
	case IR_OP_MAD:
		d = (rt_s128)((rt_u128)a * (rt_u128)b + (rt_u128)c);
		break;
	case IR_OP_MAD_HI:
		d = ((rt_s128)((rt_u128)a * (rt_u128)b) >> bits) + c;
		break;
	case IR_OP_MUL24_LO:
		d = mul24(t, s);
		break;
	case IR_OP_MUL24_HI:
		d = mul24(t, s) >> 16;
		break;
	case IR_OP_MAD24_LO:
		d = mul24(t, s) + c;
		break;
	case IR_OP_MAD24_HI:
		d = (mul24(t, s) >> 16) + c;
		break;
	case IR_OP_SAD:
		d = c + (a < b ? b - a : a - b);
		break;
	case IR_OP_DIV:
	case IR_OP_REM:
		return divide(in, t, s, ret_d);
	case IR_OP_ABS:
		d = a < 0 ? -a : a;
		break;
	case IR_OP_NEG:
		d = -a;
		break;
	case IR_OP_MIN:
	case IR_OP_MAX:
	case IR_OP_MIN3:
	case IR_OP_MAX3:
		d = min_max(in, t, s);
		break;
	default:
		return -ENOTSUP;
	}
	*ret_d = in->sat ? rt_clamp(t, d) : (uint64_t)d;
	return 0;
}

static struct rt_value value128(rt_u128 v)
{
	return (struct rt_value){ .lo = (uint64_t)v, .hi = (uint64_t)(v >> 64) };
}

/* A result of twice the width; a signed one is extended like every other. */
static struct rt_value wide_result(enum ir_type t, rt_u128 v)
{
	uint32_t bits = 2 * ir_type_bits(t);

	if (bits == 128)
		return value128(v);
	return (struct rt_value){ .lo = ir_type_signed(t) ? (uint64_t)rt_sext((uint64_t)v, bits)
							  : rt_zext((uint64_t)v, bits) };
}

int rt_int_wide(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	enum ir_type t = in->type;
	uint32_t bits = ir_type_bits(t);
	rt_u128 a, b, c, sum;
	rt_s128 product;

	if (!rt_is_int(t))
		return -ENOTSUP;
	/* Carries are defined on bit patterns, whatever the type. */
	a = rt_zext(src[0].lo, bits);
	b = rt_zext(src[1].lo, bits);
	product = (rt_s128)((rt_u128)rt_number(t, src[0].lo) * (rt_u128)rt_number(t, src[1].lo));

	switch (in->op) {
	case IR_OP_MUL_WIDE:
		dst[0] = wide_result(t, (rt_u128)product);
		return 0;
	case IR_OP_MAD_WIDE:
		c = (rt_u128)src[2].hi << 64 | src[2].lo;
		dst[0] = wide_result(t, (rt_u128)product + c);
		return 0;
	case IR_OP_ADDC:
		sum = a + b + (src[2].lo & 1);
		break;
	case IR_OP_SUBC: /* the borrow shows in the bits above */
		sum = a - b - (src[2].lo & 1);
		break;
	case IR_OP_MADC_LO:
	case IR_OP_MADC_HI:
		c = rt_zext(src[2].lo, bits);
		a = in->op == IR_OP_MADC_HI ? (rt_u128)(product >> bits) : (rt_u128)product;
		sum = (rt_u128)rt_zext((uint64_t)a, bits) + c + (src[3].lo & 1);
		break;
	default:
		return -ENOTSUP;
	}
	dst[0] = rt_result(t, (uint64_t)sum);
	dst[1] = (struct rt_value){ .lo = (uint64_t)(sum >> bits) & 1 };
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * eval_move.c - moves, packing, address conversions (PTX ISA 9.7.9).
 */
#include <errno.h>

#include "cuse_dev/backend/soft/rt/eval.h"

static rt_u128 get128(struct rt_value v)
{
	return (rt_u128)v.hi << 64 | v.lo;
}

static struct rt_value put128(rt_u128 v)
{
	return (struct rt_value){ .lo = (uint64_t)v, .hi = (uint64_t)(v >> 64) };
}

static int eval_pack(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	uint32_t bits = ir_type_bits(in->type), each = in->ns ? bits / in->ns : 0;
	rt_u128 d = 0;

	if (!each || each > 64 || each * in->ns != bits)
		return -ENOTSUP;
	for (uint32_t i = 0; i < in->ns; i++)
		d |= (rt_u128)rt_zext(src[i].lo, each) << (each * i);
	dst[0] = bits > 64 ? put128(d) : rt_result(in->type, (uint64_t)d);
	return 0;
}

static int eval_unpack(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	uint32_t bits = ir_type_bits(in->type), each = in->nd ? bits / in->nd : 0;
	rt_u128 a = get128(src[0]);

	if (!each || each > 64 || each * in->nd != bits)
		return -ENOTSUP;
	for (uint32_t i = 0; i < in->nd; i++)
		dst[i] = (struct rt_value){ .lo = rt_zext((uint64_t)(a >> (each * i)), each) };
	return 0;
}

/* Where a space begins in the generic address space; true if it has an aperture of its own. */
static bool aperture(uint32_t space, uint64_t *ret_base)
{
	switch (space) {
	case IR_SPACE_SHARED:
		*ret_base = IR_SHARED_APERTURE;
		return true;
	case IR_SPACE_LOCAL:
		*ret_base = IR_LOCAL_APERTURE;
		return true;
	case IR_SPACE_PARAM:
		*ret_base = IR_PARAM_APERTURE;
		return true;
	default:
		*ret_base = 0;
		return false;
	}
}

static int eval_cvta(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	uint64_t base, a = rt_zext(src[0].lo, ir_type_bits(in->type));

	/* Offsets in a frame depend on the thread; 32 bits do not reach the apertures. */
	if (in->space == IR_SPACE_FRAME || (aperture(in->space, &base) && in->type != IR_U64))
		return -ENOTSUP;
	dst[0] = rt_result(in->type, in->op == IR_OP_CVTA ? a + base : a - base);
	return 0;
}

/* Constants lie in global memory, so only ".global" can be told from the apertures. */
static int eval_isspacep(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	uint64_t a = src[0].lo, base;
	bool p;

	if (aperture(in->space, &base))
		p = a - base < IR_APERTURE_BYTES;
	else if (in->space == IR_SPACE_GLOBAL)
		p = a < IR_SHARED_APERTURE || a >= IR_CODE_BASE;
	else
		return -ENOTSUP;
	dst[0] = (struct rt_value){ .lo = p };
	return 0;
}

int rt_move(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	switch (in->op) {
	case IR_OP_MOV:
		dst[0] = in->type == IR_U128 ? src[0] : rt_result(in->type, src[0].lo);
		return 0;
	case IR_OP_PACK:
		return eval_pack(in, src, dst);
	case IR_OP_UNPACK:
		return eval_unpack(in, src, dst);
	case IR_OP_CVTA:
	case IR_OP_CVTA_TO:
		return eval_cvta(in, src, dst);
	case IR_OP_ISSPACEP:
		return eval_isspacep(in, src, dst);
	default:
		return -ENOTSUP;
	}
}

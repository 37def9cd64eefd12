/* SPDX-License-Identifier: MIT */
/*
 * eval_select.c - comparisons and selections (PTX ISA 9.7.6, 9.7.7).
 */
#include <errno.h>

#include "cuse_dev/backend/soft/rt/eval.h"

/* The relation of two values as one of these bits; a comparison is the set it accepts. */
enum { LESS = 1, EQUAL = 2, GREATER = 4, UNORDERED = 8 };

static const uint8_t accepts[] = {
	[IR_EQ] = EQUAL,
	[IR_NE] = LESS | GREATER,
	[IR_LT] = LESS,
	[IR_LE] = LESS | EQUAL,
	[IR_GT] = GREATER,
	[IR_GE] = GREATER | EQUAL,
	[IR_EQU] = EQUAL | UNORDERED,
	[IR_NEU] = LESS | GREATER | UNORDERED,
	[IR_LTU] = LESS | UNORDERED,
	[IR_LEU] = LESS | EQUAL | UNORDERED,
	[IR_GTU] = GREATER | UNORDERED,
	[IR_GEU] = GREATER | EQUAL | UNORDERED,
	[IR_NUM] = LESS | EQUAL | GREATER,
	[IR_NAN] = UNORDERED,
};

static uint32_t relation_float(const struct rt_format *f, bool ftz, uint64_t a, uint64_t b)
{
	struct rt_real x, y, d;

	if (ftz && rt_subnormal(f, a))
		a = 0;
	if (ftz && rt_subnormal(f, b))
		b = 0;
	x = rt_real_get(f, a);
	y = rt_real_get(f, b);
	if (x.cls == RT_NAN || y.cls == RT_NAN)
		return UNORDERED;
	if (x.cls == RT_INF && y.cls == RT_INF && x.neg == y.neg)
		return EQUAL;
	y.neg = !y.neg;
	d = rt_real_add(&x, &y, IR_RN);
	return d.cls == RT_ZERO ? EQUAL : d.neg ? LESS : GREATER;
}

static int relation(const struct ir_inst *in, enum ir_type t, uint64_t a, uint64_t b,
		    uint32_t *ret_relation)
{
	rt_s128 x, y;

	if (t == IR_F16 || t == IR_BF16 || t == IR_F32 || t == IR_F64) {
		*ret_relation = relation_float(rt_format(t), in->ftz, a, b);
		return 0;
	}
	if (!rt_is_int(t))
		return -ENOTSUP;
	x = rt_number(t, a);
	y = rt_number(t, b);
	*ret_relation = x < y ? LESS : x > y ? GREATER : EQUAL;
	return 0;
}

static bool combine(uint32_t boolop, bool p, bool c)
{
	return boolop == IR_BOOL_AND   ? p && c
	       : boolop == IR_BOOL_OR  ? p || c
	       : boolop == IR_BOOL_XOR ? p != c
				       : p;
}

/*
 * Compares the elements of type t in a and b: ret_p[i] for each, before .BoolOp.
 */
static int compare(const struct ir_inst *in, enum ir_type t, const struct rt_value *src,
		   bool *ret_p)
{
	enum ir_type e = rt_element(t);
	uint32_t bits = ir_type_bits(e), total = ir_type_bits(t), rel;
	int r;

	if (!bits || bits > 64 || in->cmp > IR_NAN || total > 2 * bits)
		return -ENOTSUP;
	for (uint32_t at = 0, i = 0; at < total; at += bits, i++) {
		r = relation(in, e, rt_zext(src[0].lo >> at, bits), rt_zext(src[1].lo >> at, bits),
			     &rel);
		if (r < 0)
			return r;
		ret_p[i] = accepts[in->cmp] & rel;
	}
	return 0;
}

/* For packed types p and q belong to the two elements; else q is the opposite of p. */
static int eval_setp(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	bool c = in->boolop != IR_BOOL_NONE && src[2].lo & 1, p[2];
	int r = compare(in, in->type, src, p);

	if (r < 0)
		return r;
	if (rt_element(in->type) == in->type)
		p[1] = !p[0];
	for (uint32_t i = 0; i < in->nd && i < 2; i++)
		dst[i] = (struct rt_value){ .lo = combine(in->boolop, p[i], c) };
	return 0;
}

/* set: true is 1.0 in a float type, all ones in an integer type. */
static int eval_set(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	bool c = in->boolop != IR_BOOL_NONE && src[2].lo & 1, p[2];
	enum ir_type e = rt_element(in->type);
	const struct rt_format *f = rt_format(e);
	uint32_t bits = ir_type_bits(in->type);
	uint64_t yes = ~0ull, d = 0;
	int r;

	if (bits > 32 || !(rt_is_int(e) || e == IR_F32 || e == IR_F16 || e == IR_BF16))
		return -ENOTSUP;
	r = compare(in, in->type2, src, p);
	if (r < 0)
		return r;
	if (f)
		yes = ((1ull << (f->exp_bits - 1)) - 1) << f->man_bits;
	if (rt_element(in->type2) == in->type2) {
		d = combine(in->boolop, p[0], c) ? yes : 0;
	} else { /* a packed source sets halves, whatever the type of the result */
		for (uint32_t i = 0; i < 2; i++) {
			if (combine(in->boolop, p[i], c))
				d |= rt_zext(yes, bits / 2) << (bits / 2 * i);
		}
	}
	dst[0] = rt_result(in->type, d);
	return 0;
}

/* slct: c >= 0 ? a : b; -0 counts as zero, NaN takes b */
static int eval_slct(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	uint32_t rel;
	int r;

	if (in->type2 != IR_S32 && in->type2 != IR_F32)
		return -ENOTSUP;
	r = relation(in, in->type2, rt_zext(src[2].lo, 32), 0, &rel);
	if (r < 0)
		return r;
	dst[0] = rt_result(in->type, src[rel & (GREATER | EQUAL) ? 0 : 1].lo);
	return 0;
}

int rt_select(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	switch (in->op) {
	case IR_OP_SETP:
		return eval_setp(in, src, dst);
	case IR_OP_SET:
		return eval_set(in, src, dst);
	case IR_OP_SELP:
		if (in->type == IR_U128)
			dst[0] = src[src[2].lo & 1 ? 0 : 1];
		else
			dst[0] = rt_result(in->type, src[src[2].lo & 1 ? 0 : 1].lo);
		return 0;
	case IR_OP_SLCT:
		return eval_slct(in, src, dst);
	default:
		return -ENOTSUP;
	}
}

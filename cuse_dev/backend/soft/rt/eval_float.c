/* SPDX-License-Identifier: MIT */
/*
 * eval_float.c - float arithmetic of f16, bf16, f32, f64 (PTX ISA 9.7.3 - 9.7.5).
 *
 *	flush subnormal sources (.ftz) -> exact operation -> round once -> flush -> .sat / .relu
 *
 * "Flush" looks at the rounded result. NaN results are the canonical one, but f64 keeps the payload
 * of the first NaN operand.
 */
#include <errno.h>

#include "cuse_dev/backend/soft/rt/eval.h"
#include "cuse_dev/backend/soft/rt/num.h"

static uint64_t sign_bit(const struct rt_format *f)
{
	return 1ull << (f->bits - 1);
}

static uint64_t flush(const struct rt_format *f, uint64_t v)
{
	return rt_subnormal(f, v) ? v & sign_bit(f) : v;
}

static uint64_t one(const struct rt_format *f)
{
	return ((1ull << (f->exp_bits - 1)) - 1) << f->man_bits;
}

static bool is_nan(const struct rt_format *f, uint64_t v)
{
	return rt_real_get(f, v).cls == RT_NAN;
}

/* .sat: to [+0, 1], NaN to +0. .relu: negative to +0, NaN to the canonical one. */
static uint64_t finish(const struct ir_inst *in, const struct rt_format *f, uint64_t v)
{
	bool nan = is_nan(f, v);

	if (in->ftz)
		v = flush(f, v);
	if (in->sat) {
		if (nan || v & sign_bit(f))
			v = 0;
		else if (v > one(f)) /* positive floats are ordered like their bits */
			v = one(f);
	}
	if (in->relu)
		v = nan ? f->nan_bits : v & sign_bit(f) ? 0 : v;
	return v;
}

/* -1, 0, 1 for numbers; -0 is below +0 */
static int order(const struct rt_format *f, uint64_t a, uint64_t b)
{
	bool na = a & sign_bit(f), nb = b & sign_bit(f);

	if (na != nb)
		return na ? -1 : 1;
	if (a == b)
		return 0;
	return (a < b) != na ? -1 : 1;
}

/*
 * min, max of two or three: a NaN loses against a number, with .NaN it wins. .abs (in->sat for three
 * operands) compares magnitudes; .xorsign.abs gives the result the product's sign.
 */
static uint64_t min_max(const struct ir_inst *in, const struct rt_format *f, const uint64_t *s)
{
	bool max = in->op == IR_OP_MAX || in->op == IR_OP_MAX3, abs = in->xorsign || in->sat;
	uint64_t sign = (s[0] ^ s[1]) & sign_bit(f), best = f->nan_bits;
	bool any = false;

	for (uint32_t i = 0; i < in->ns; i++) {
		uint64_t v = abs ? s[i] & ~sign_bit(f) : s[i];

		if (is_nan(f, v)) {
			if (in->nan)
				return f->nan_bits;
			continue;
		}
		if (!any || (max ? order(f, v, best) > 0 : order(f, v, best) < 0))
			best = v;
		any = true;
	}
	if (!any)
		return f->nan_bits;
	if (in->xorsign)
		best = (best & ~sign_bit(f)) | sign;
	if (in->relu && best & sign_bit(f))
		best = 0;
	return best;
}

/*
 * rcp and rsqrt .approx of f64: the upper halves only, the lower half of the result is zero. The odd
 * format below rounds to the 20 mantissa bits that leaves.
 */
static int approx_f64(const struct ir_inst *in, uint64_t a, uint64_t *ret_d)
{
	static const struct rt_format high = { 64, 11, 20, 32, true, true, RT_NAN_F64 };
	struct rt_real v, o = rt_real_from_int(1, false);

	if (in->op != IR_OP_RCP && in->op != IR_OP_RSQRT)
		return -ENOTSUP;
	a &= ~0xffffffffull;
	v = rt_real_get(&high, a);
	if (in->op == IR_OP_RSQRT)
		v = rt_real_sqrt(&v);
	v = rt_real_div(&o, &v);
	v.nan = RT_NAN_F64;
	*ret_d = rt_real_put(&high, &v, IR_RN, false);
	return 0;
}

/* .approx of any type: f16 and bf16 go through f32, whose error is far below theirs. */
static int approx(const struct ir_inst *in, enum ir_type t, const uint64_t *s, uint64_t *ret_d)
{
	const struct rt_format *f = rt_format(t), *f32 = rt_format(IR_F32);
	struct rt_real v;
	uint32_t d;
	int r;

	if (t == IR_F64)
		return approx_f64(in, s[0], ret_d);
	if (t == IR_F32) {
		r = rt_approx_f32(in->op, in->ftz, (uint32_t)s[0], (uint32_t)s[1], &d);
		*ret_d = d;
		return r;
	}
	if (in->op != IR_OP_EX2 && in->op != IR_OP_TANH)
		return -ENOTSUP;
	v = rt_real_get(f, s[0]);
	r = rt_approx_f32(in->op, false, (uint32_t)rt_real_put(f32, &v, IR_RN, false), 0, &d);
	if (r < 0)
		return r;
	v = rt_real_get(f32, d);
	*ret_d = rt_real_put(f, &v, IR_RN, false);
	return 0;
}

static int exact(const struct ir_inst *in, const struct rt_format *f, const uint64_t *s,
		 uint64_t *ret_d)
{
	struct rt_real a = rt_real_get(f, s[0]), b = rt_real_get(f, s[1]), c, d;

	switch (in->op) {
	case IR_OP_ADD:
		d = rt_real_add(&a, &b, in->round);
		break;
	case IR_OP_SUB:
		b.neg = !b.neg;
		d = rt_real_add(&a, &b, in->round);
		break;
	case IR_OP_MUL:
		d = rt_real_mul(&a, &b);
		break;
	case IR_OP_FMA:
	case IR_OP_MAD:
		c = rt_real_get(f, s[2]);
		d = rt_real_mul(&a, &b);
		/* An operand's NaN comes before the one that inf * 0 makes. */
		if (c.cls == RT_NAN && a.cls != RT_NAN && b.cls != RT_NAN)
			d = c;
		d = rt_real_add(&d, &c, in->round);
		break;
	case IR_OP_DIV:
		d = rt_real_div(&a, &b);
		break;
	case IR_OP_RCP:
		b = rt_real_from_int(1, false);
		d = rt_real_div(&b, &a);
		break;
	case IR_OP_SQRT:
		d = rt_real_sqrt(&a);
		break;
	default:
		return -ENOTSUP;
	}
	*ret_d = rt_real_put(f, &d, in->round, false);
	return 0;
}

static bool legal(const struct ir_inst *in, enum ir_type t)
{
	if (t != IR_F16 && t != IR_BF16 && t != IR_F32 && t != IR_F64)
		return false;
	return in->round <= IR_RP || in->round == IR_APPROX;
}

int rt_float_arith(const struct ir_inst *in, enum ir_type t, const uint64_t *s, uint64_t *ret_d)
{
	const struct rt_format *f = rt_format(t);
	uint64_t v[3] = { 0 }, d;
	int r = 0;

	if (!legal(in, t))
		return -ENOTSUP;
	for (uint32_t i = 0; i < in->ns; i++)
		v[i] = in->ftz ? flush(f, s[i]) : s[i];

	switch (in->op) {
	case IR_OP_ABS:
	case IR_OP_NEG: /* additions on hardware, so a NaN does not keep its bits; f64 does */
		d = in->op == IR_OP_ABS ? v[0] & ~sign_bit(f) : v[0] ^ sign_bit(f);
		if (t != IR_F64 && is_nan(f, d))
			d = f->nan_bits;
		break;
	case IR_OP_COPYSIGN:
		d = (v[0] & sign_bit(f)) | (v[1] & ~sign_bit(f));
		break;
	case IR_OP_MIN:
	case IR_OP_MAX:
	case IR_OP_MIN3:
	case IR_OP_MAX3:
		*ret_d = min_max(in, f, v);
		return 0;
	case IR_OP_RSQRT:
	case IR_OP_SIN:
	case IR_OP_COS:
	case IR_OP_LG2:
	case IR_OP_EX2:
	case IR_OP_TANH:
		r = approx(in, t, v, &d);
		break;
	default:
		r = in->round == IR_APPROX ? approx(in, t, v, &d) : exact(in, f, v, &d);
		break;
	}
	if (r == 0)
		*ret_d = finish(in, f, d);
	return r;
}

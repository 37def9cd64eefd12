/* SPDX-License-Identifier: MIT */
/*
 * eval_cvt.c - cvt and cvt.pack (PTX ISA 9.7.9).
 *
 * What the manual leaves to the reader: a conversion to a narrower float rounds once from the
 * source; .ftz looks at f32 on either side only; -0 with .relu gives +0.
 */
#include <errno.h>

#include "cuse_dev/backend/soft/rt/eval.h"
#include "cuse_dev/backend/soft/rt/num.h"

#define UE8M0_NAN 0xffu

static bool is_scalar_float(enum ir_type t)
{
	return t == IR_F16 || t == IR_BF16 || t == IR_F32 || t == IR_F64;
}

static bool is_packed_float(enum ir_type t)
{
	return t == IR_F16X2 || t == IR_BF16X2 || (t >= IR_E4M3X2 && t <= IR_UE8M0X2);
}

/* A float of any format; UE8M0 is a bare exponent. */
static struct rt_real get_float(enum ir_type t, uint64_t v)
{
	struct rt_real r;

	if (t != IR_UE8M0X2)
		return rt_real_get(rt_format(t), v);
	r = rt_real_from_int(1, false);
	if (v == UE8M0_NAN)
		return rt_real_get(rt_format(IR_F32), RT_NAN_F32);
	r.exp += (int32_t)v - 127;
	return r;
}

/* The power of two below (.rz) or above (.rp) the magnitude, within what the format has. */
static uint64_t put_ue8m0(const struct rt_real *r, enum ir_round round)
{
	int32_t e = r->exp + 126;

	if (r->cls == RT_NAN)
		return UE8M0_NAN;
	if (r->cls == RT_INF)
		return UE8M0_NAN - 1;
	if (r->cls == RT_ZERO)
		return 0;
	if (round == IR_RP && r->sig != (rt_u128)1 << 126)
		e++;
	return (uint64_t)(e < -127 ? 0 : e > 127 ? 254 : e + 127);
}

/* Float to float of one element; in->sat means what rt.h says. */
static uint64_t put_float(const struct ir_inst *in, enum ir_type t, struct rt_real r)
{
	const struct rt_format *f;
	bool unit = in->sat && in->sub != 1 && is_scalar_float(rt_element(t));
	uint64_t v;

	if (t == IR_UE8M0X2)
		return put_ue8m0(&r, in->round);
	f = rt_format(t);
	if (in->relu && r.cls != RT_NAN && r.neg)
		return 0;
	if (unit && (r.cls == RT_NAN || r.neg))
		return 0;
	v = rt_real_put(f, &r, in->round, in->sub == 1 || (in->sat && !unit));
	if (in->ftz && f->bits == 32 && rt_subnormal(f, v))
		v &= 1ull << 31;
	if (unit) {
		uint64_t one = ((1ull << (f->exp_bits - 1)) - 1) << f->man_bits;

		v = v > one ? one : v;
	}
	return v;
}

/* .rni and the like between floats: the value becomes an integer, its format stays. */
static struct rt_real to_integral(const struct rt_real *r, enum ir_round round)
{
	struct rt_real d;

	if (r->cls != RT_FINITE || r->exp >= 0)
		return *r;
	d = rt_real_from_int(rt_real_to_int(r, round), r->neg);
	d.neg = r->neg; /* also of zero */
	return d;
}

/* Out of range is clamped, with or without .sat. */
static uint64_t float_to_int(const struct ir_inst *in, const struct rt_real *r)
{
	uint32_t bits = ir_type_bits(in->type);
	rt_u128 m;

	if (r->cls == RT_NAN)
		return in->type2 == IR_F64 || bits == 64 ? 1ull << (bits - 1) : 0;
	m = r->cls == RT_INF ? ~(rt_u128)0 : rt_real_to_int(r, in->round);
	if (m > (rt_u128)1 << 100)
		m = (rt_u128)1 << 100;
	return rt_clamp(in->type, r->neg ? -(rt_s128)m : (rt_s128)m);
}

static int cvt_scalar(const struct ir_inst *in, uint64_t a, uint64_t *ret_d)
{
	enum ir_type to = in->type, from = in->type2;
	bool float_to = is_scalar_float(to) || to == IR_TF32;
	struct rt_real r;
	rt_s128 n;

	if (!(float_to || rt_is_int(to)) || !(is_scalar_float(from) || rt_is_int(from)))
		return -ENOTSUP;
	if (to == IR_TF32 && from != IR_F32)
		return -ENOTSUP;

	a = rt_zext(a, ir_type_bits(from));
	if (rt_is_int(from)) {
		n = rt_number(from, a);
		if (rt_is_int(to)) {
			*ret_d = in->sat ? rt_clamp(to, n) : (uint64_t)n;
			return 0;
		}
		r = rt_real_from_int((rt_u128)(n < 0 ? -n : n), n < 0);
	} else {
		if (in->ftz && from == IR_F32 && rt_subnormal(rt_format(IR_F32), a))
			a &= 1ull << 31;
		r = get_float(from, a);
	}
	if (!float_to) {
		*ret_d = float_to_int(in, &r);
		return 0;
	}
	if (in->integer_round)
		r = to_integral(&r, in->round);
	*ret_d = put_float(in, to, r);
	return 0;
}

/* Two elements: from one packed source, or from two f32, the first of which is the upper one. */
static int cvt_packed(const struct ir_inst *in, const struct rt_value *src, uint64_t *ret_d)
{
	uint32_t to = ir_type_bits(in->type) / 2, from = ir_type_bits(in->type2) / 2;
	bool pair = in->ns == 2 && in->type2 == IR_F32;
	struct rt_real r;
	uint64_t a;

	if (!is_packed_float(in->type) || !(pair || (in->ns == 1 && is_packed_float(in->type2))))
		return -ENOTSUP;
	*ret_d = 0;
	for (uint32_t i = 0; i < 2; i++) {
		if (pair) {
			a = rt_zext(src[1 - i].lo, 32);
			if (in->ftz && rt_subnormal(rt_format(IR_F32), a))
				a &= 1ull << 31;
		} else {
			a = rt_zext(src[0].lo >> (from * i), from);
		}
		r = get_float(in->type2, a);
		*ret_d |= put_float(in, in->type, r) << (to * i);
	}
	return 0;
}

/* cvt.pack.sat: b and above it a, and above both the low bits of c */
static int cvt_pack(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	uint32_t width = in->sub ? in->sub : ir_type_bits(in->type);
	rt_s128 low, high;
	uint64_t d;

	if (in->ns < 2 || !rt_is_int(in->type) || !rt_is_int(in->type2) || width > 16)
		return -ENOTSUP;
	d = in->ns > 2 ? src[2].lo << (2 * width) : 0;
	low = ir_type_signed(in->type) ? -((rt_s128)1 << (width - 1)) : 0;
	high = low + ((1 << width) - 1);
	for (uint32_t i = 0; i < 2; i++) {
		rt_s128 v = rt_number(in->type2, src[1 - i].lo);

		v = v < low ? low : v > high ? high : v;
		d |= rt_zext((uint64_t)v, width) << (width * i);
	}
	dst[0] = rt_result(IR_U32, d);
	return 0;
}

int rt_cvt(const struct ir_inst *in, const struct rt_value *src, struct rt_value *dst)
{
	bool packed = is_packed_float(in->type) || is_packed_float(in->type2) || in->ns > 1;
	uint64_t d;
	int r;

	if (in->op == IR_OP_CVT_PACK)
		return cvt_pack(in, src, dst);
	if (in->round > IR_RNA || in->ns > 2)
		return -ENOTSUP;
	r = packed ? cvt_packed(in, src, &d) : cvt_scalar(in, src[0].lo, &d);
	if (r == 0)
		dst[0] = rt_result(in->type, d);
	return r;
}

/* SPDX-License-Identifier: MIT */
/*
 * cg_cvt.c - conversions between integers, f64, f32 and halves (PTX ISA 9.7.9.21).
 *
 * Float to integer clamps; where neither side is 64 bits wide NaN gives 0, else the integer with only the
 * top bit set. Halves come and go through f32. Saturation of integers, other rounding modes and the
 * narrow formats are the interpreter's.
 */
#include "cuse_dev/backend/soft/llvm/cg.h"

#include "cuse_dev/backend/soft/rt/num.h"

typedef LLVMValueRef V;

static LLVMTypeRef like(V v, LLVMTypeRef t)
{
	return cg_is_vector(v) ? cg_vec(t) : t;
}

static V pick(struct cg *g, V c, V a, V b)
{
	return LLVMBuildSelect(g->b, c, a, b, "");
}

static V number(struct cg *g, V v, double d)
{
	V c = LLVMConstReal(cg_width(v) == 64 ? g->f64 : g->f32, d);

	return cg_is_vector(v) ? cg_splat(g, c) : c;
}

static bool is_int(uint8_t t)
{
	return t >= IR_U8 && t <= IR_S64;
}

static V flush(struct cg *g, V u)
{
	V e = LLVMBuildAnd(g->b, u, cg_const_like(g, u, 0x7f800000u), "");

	e = LLVMBuildICmp(g->b, LLVMIntEQ, e, cg_const_like(g, u, 0), "");
	return pick(g, e, LLVMBuildAnd(g->b, u, cg_const_like(g, u, 0x80000000u), ""), u);
}

static V int_to_int(struct cg *g, const struct ir_inst *in, V x)
{
	uint32_t from = ir_type_bits(in->type2), to = ir_type_bits(in->type);

	x = cg_resize(g, x, from, false);
	x = cg_resize(g, x, to, ir_type_signed(in->type2));
	return to < 16 ? cg_resize(g, x, 16, ir_type_signed(in->type)) : x;
}

static V int_to_float(struct cg *g, const struct ir_inst *in, V x)
{
	LLVMTypeRef t;

	if ((in->type != IR_F32 && in->type != IR_F64) || in->round != IR_RN || in->integer_round)
		return NULL;
	x = cg_resize(g, x, ir_type_bits(in->type2), false);
	t = like(x, in->type == IR_F64 ? g->f64 : g->f32);
	x = ir_type_signed(in->type2) ? LLVMBuildSIToFP(g->b, x, t, "")
				      : LLVMBuildUIToFP(g->b, x, t, "");
	return cg_bits_of(g, x);
}

static V round_to_int(struct cg *g, const struct ir_inst *in, V f)
{
	switch (in->round) {
	case IR_RN:
		return cg_fcall1(g, "llvm.rint", f);
	case IR_RZ:
		return cg_fcall1(g, "llvm.trunc", f);
	case IR_RM:
		return cg_fcall1(g, "llvm.floor", f);
	case IR_RP:
		return cg_fcall1(g, "llvm.ceil", f);
	default:
		return NULL;
	}
}

static V float_to_int(struct cg *g, const struct ir_inst *in, V u)
{
	uint32_t bits = ir_type_bits(in->type);
	bool sign = ir_type_signed(in->type), wide = bits == 64 || in->type2 == IR_F64;
	double top = sign ? (bits == 64 ? 0x1p63 : 0x1p31) : (bits == 64 ? 0x1p64 : 0x1p32);
	LLVMTypeRef t;
	V f, r, big, nan;

	if (bits < 32 || (in->type2 != IR_F32 && in->type2 != IR_F64) || !in->integer_round)
		return NULL;
	f = cg_float(g, in->ftz ? flush(g, u) : u);
	if (in->round != IR_RZ)
		f = round_to_int(g, in, f);
	if (!f)
		return NULL;
	t = like(f, cg_int(g, bits));
	r = sign ? LLVMBuildFPToSI(g->b, f, t, "") : LLVMBuildFPToUI(g->b, f, t, "");
	big = LLVMBuildFCmp(g->b, LLVMRealOGE, f, number(g, f, top), "");
	r = pick(g, big, cg_const_like(g, r, sign ? ~0ull >> (65 - bits) : ~0ull), r);
	if (sign)
		r = pick(g, LLVMBuildFCmp(g->b, LLVMRealOLT, f, number(g, f, -top), ""),
			 cg_const_like(g, r, 1ull << (bits - 1)), r);
	else
		r = pick(g, LLVMBuildFCmp(g->b, LLVMRealOGT, f, number(g, f, 0), ""), r,
			 cg_const_like(g, r, 0));
	nan = LLVMBuildFCmp(g->b, LLVMRealUNO, f, f, "");
	return pick(g, nan, cg_const_like(g, r, wide ? 1ull << (bits - 1) : 0), r);
}

/* ---- between floats ------------------------------------------------------------------------- */

static V half_to_f32(struct cg *g, V h)
{
	V f = LLVMBuildBitCast(g->b, h, like(h, LLVMHalfTypeInContext(g->lc)), "");

	f = LLVMBuildFPExt(g->b, f, like(h, g->f32), "");
	return cg_canonical(g, cg_bits_of(g, f));
}

static V f32_to_half(struct cg *g, V u)
{
	V f = cg_float(g, u), h, nan = LLVMBuildFCmp(g->b, LLVMRealUNO, f, f, "");

	h = LLVMBuildFPTrunc(g->b, f, like(u, LLVMHalfTypeInContext(g->lc)), "");
	h = LLVMBuildBitCast(g->b, h, like(u, g->i16), "");
	return pick(g, nan, cg_const_like(g, h, RT_NAN_F16), h);
}

static V bf16_to_f32(struct cg *g, V h)
{
	V u = cg_resize(g, h, 32, false);

	return cg_canonical(g, LLVMBuildShl(g->b, u, cg_const_like(g, u, 16), ""));
}

/* nearest even */
static V f32_to_bf16(struct cg *g, V u)
{
	V odd = LLVMBuildLShr(g->b, u, cg_const_like(g, u, 16), ""), r, f = cg_float(g, u);

	odd = LLVMBuildAnd(g->b, odd, cg_const_like(g, u, 1), "");
	r = LLVMBuildAdd(g->b, LLVMBuildAdd(g->b, u, cg_const_like(g, u, 0x7fff), ""), odd, "");
	r = cg_resize(g, LLVMBuildLShr(g->b, r, cg_const_like(g, r, 16), ""), 16, false);
	return pick(g, LLVMBuildFCmp(g->b, LLVMRealUNO, f, f, ""), cg_const_like(g, r, RT_NAN_F16),
		    r);
}

static V f32_to_f32(struct cg *g, const struct ir_inst *in, V u)
{
	V f = cg_float(g, u), r;

	if (in->ftz)
		return NULL;
	if (in->sat)
		return in->integer_round ? NULL : cg_bits_of(g, cg_saturate(g, f));
	if (!in->integer_round)
		return NULL;
	r = round_to_int(g, in, f);
	return r ? cg_canonical(g, cg_bits_of(g, r)) : NULL;
}

static V pair(struct cg *g, V high, V low)
{
	high = cg_resize(g, high, 32, false);
	return LLVMBuildOr(g->b, LLVMBuildShl(g->b, high, cg_const_like(g, high, 16), ""),
			   cg_resize(g, low, 32, false), "");
}

static V float_to_float(struct cg *g, const struct ir_inst *in, V *s)
{
	if (in->type == IR_F32 && in->type2 == IR_F32)
		return in->ns == 1 ? f32_to_f32(g, in, s[0]) : NULL;
	if (in->sat || in->round != IR_RN || in->integer_round || in->relu || in->sub)
		return NULL;
	if (in->type == IR_F64 && in->type2 == IR_F32)
		return cg_bits_of(g,
				  LLVMBuildFPExt(g->b, cg_float(g, in->ftz ? flush(g, s[0]) : s[0]),
						 like(s[0], g->f64), ""));
	if (in->ftz)
		return NULL;
	if (in->type == IR_F32 && in->type2 == IR_F64)
		return cg_canonical(g, cg_bits_of(g, LLVMBuildFPTrunc(g->b, cg_float(g, s[0]),
								      like(s[0], g->f32), "")));
	if (in->type == IR_F32 && in->type2 == IR_F16)
		return half_to_f32(g, s[0]);
	if (in->type == IR_F32 && in->type2 == IR_BF16)
		return bf16_to_f32(g, s[0]);
	if (in->type2 != IR_F32)
		return NULL;
	if (in->type == IR_F16)
		return f32_to_half(g, s[0]);
	if (in->type == IR_BF16)
		return f32_to_bf16(g, s[0]);
	if (in->type == IR_F16X2 && in->ns == 2)
		return pair(g, f32_to_half(g, s[0]), f32_to_half(g, s[1]));
	if (in->type == IR_BF16X2 && in->ns == 2)
		return pair(g, f32_to_bf16(g, s[0]), f32_to_bf16(g, s[1]));
	return NULL;
}

LLVMValueRef cg_alu_cvt(struct cg *g, const struct ir_inst *in, LLVMValueRef *s)
{
	if (is_int(in->type) && is_int(in->type2))
		return in->sat || in->ns != 1 ? NULL : int_to_int(g, in, s[0]);
	if (in->sat && is_int(in->type2))
		return NULL;
	if (is_int(in->type2))
		return in->ns == 1 ? int_to_float(g, in, s[0]) : NULL;
	if (is_int(in->type))
		return in->ns == 1 && !in->sat ? float_to_int(g, in, s[0]) : NULL;
	return float_to_float(g, in, s);
}

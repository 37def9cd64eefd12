/* SPDX-License-Identifier: MIT */
/*
 * cg_float.c - f32 and f64 arithmetic and comparison, and the .approx functions.
 *
 * Results are the interpreter's bit by bit: the same IEEE operations in the same order (rt/approx.h),
 * one NaN for f32 (see cg_raw.c), for f64 the first operand's. Rounding modes but to nearest are an
 * instruction's of AVX-512, where there is one; else they are, as halves, the interpreter's own.
 */
#include "cuse_dev/backend/soft/llvm/cg.h"

#include "cuse_dev/backend/soft/rt/num.h"

typedef LLVMValueRef V;

static LLVMTypeRef scalar(V v)
{
	LLVMTypeRef t = LLVMTypeOf(v);

	return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
}

static V number(struct cg *g, V like, double d)
{
	V c = LLVMConstReal(scalar(like), d);

	return cg_is_vector(like) ? cg_splat(g, c) : c;
}

static V pick(struct cg *g, V c, V a, V b)
{
	return LLVMBuildSelect(g->b, c, a, b, "");
}

static V is_nan(struct cg *g, V f)
{
	return LLVMBuildFCmp(g->b, LLVMRealUNO, f, f, "");
}

LLVMValueRef cg_canonical(struct cg *g, LLVMValueRef v)
{
	return pick(g, is_nan(g, cg_float(g, v)), cg_const_like(g, v, RT_NAN_F32), v);
}

/* Subnormal to zero, sign kept; on floats. */
static V flush(struct cg *g, V f)
{
	V u = cg_bits_of(g, f), e = LLVMBuildAnd(g->b, u, cg_const_like(g, u, 0x7f800000u), "");
	V sign = LLVMBuildAnd(g->b, u, cg_const_like(g, u, 0x80000000u), "");

	e = LLVMBuildICmp(g->b, LLVMIntEQ, e, cg_const_like(g, u, 0), "");
	return cg_float(g, pick(g, e, sign, u));
}

LLVMValueRef cg_saturate(struct cg *g, LLVMValueRef f)
{
	f = pick(g, LLVMBuildFCmp(g->b, LLVMRealOGT, f, number(g, f, 0), ""), f, number(g, f, 0));
	return pick(g, LLVMBuildFCmp(g->b, LLVMRealOLT, f, number(g, f, 1), ""), f,
		    number(g, f, 1));
}

static V fma3(struct cg *g, V a, V b, V c)
{
	LLVMTypeRef t = LLVMTypeOf(a);
	V args[3] = { a, b, c };

	return cg_intrinsic(g, "llvm.fma", &t, 1, args, 3);
}

static V plain(struct cg *g, uint16_t op, V *f)
{
	switch (op) {
	case IR_OP_ADD:
		return LLVMBuildFAdd(g->b, f[0], f[1], "");
	case IR_OP_SUB:
		return LLVMBuildFSub(g->b, f[0], f[1], "");
	case IR_OP_MUL:
		return LLVMBuildFMul(g->b, f[0], f[1], "");
	case IR_OP_FMA:
		return fma3(g, f[0], f[1], f[2]);
	case IR_OP_DIV:
		return LLVMBuildFDiv(g->b, f[0], f[1], "");
	case IR_OP_RCP:
		return LLVMBuildFDiv(g->b, number(g, f[0], 1), f[0], "");
	case IR_OP_SQRT:
		return cg_fcall1(g, "llvm.sqrt", f[0]);
	default:
		return NULL;
	}
}

/* Lanes [from, from + n) of a vector. */
static V lanes(struct cg *g, V v, uint32_t from, uint32_t n)
{
	V pick[CG_LANES];

	for (uint32_t i = 0; i < n; i++)
		pick[i] = cg_i32(g, from + i);
	return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(LLVMTypeOf(v)),
				      LLVMConstVector(pick, n), "");
}

/* Another rounding mode: 16 lanes at a time, the mode in the instruction; f32 vectors only. */
static V rounded(struct cg *g, const struct ir_inst *in, V *f)
{
	static const uint8_t modes[] = { [IR_RN] = 8, [IR_RZ] = 11, [IR_RM] = 9, [IR_RP] = 10 };
	const char *name = in->op == IR_OP_ADD	 ? "llvm.x86.avx512.add.ps.512"
			   : in->op == IR_OP_SUB ? "llvm.x86.avx512.sub.ps.512"
			   : in->op == IR_OP_MUL ? "llvm.x86.avx512.mul.ps.512"
			   : in->op == IR_OP_FMA ? "llvm.x86.avx512.vfmadd.ps.512"
			   : in->op == IR_OP_DIV ? "llvm.x86.avx512.div.ps.512"
						 : NULL;
	V half[2], a[4], pick[CG_LANES];

	if (!g->avx512 || !name || !cg_is_vector(f[0]) || in->round > IR_RP)
		return NULL;
	for (uint32_t h = 0; h < 2; h++) {
		for (uint32_t i = 0; i < in->ns; i++)
			a[i] = lanes(g, f[i], 16 * h, 16);
		a[in->ns] = cg_i32(g, modes[in->round]);
		half[h] = cg_intrinsic(g, name, NULL, 0, a, in->ns + 1u);
	}
	for (uint32_t i = 0; i < CG_LANES; i++)
		pick[i] = cg_i32(g, i);
	return LLVMBuildShuffleVector(g->b, half[0], half[1], LLVMConstVector(pick, CG_LANES), "");
}

/* NaN loses against a number; -0 is less than +0. The result's NaN is canonical. */
static V min_max(struct cg *g, bool min, bool nan, V x, V y)
{
	V a = cg_bits_of(g, x), b = cg_bits_of(g, y), m;
	uint64_t canon = cg_width(a) == 64 ? RT_NAN_F64 : RT_NAN_F32;

	m = pick(g, LLVMBuildFCmp(g->b, min ? LLVMRealOLT : LLVMRealOGT, x, y, ""), a, b);
	m = pick(g, LLVMBuildFCmp(g->b, LLVMRealOEQ, x, y, ""),
		 min ? LLVMBuildOr(g->b, a, b, "") : LLVMBuildAnd(g->b, a, b, ""), m);
	if (nan)
		return pick(g, LLVMBuildFCmp(g->b, LLVMRealUNO, x, y, ""),
			    cg_const_like(g, m, canon), m);
	m = pick(g, is_nan(g, y), a, m);
	m = pick(g, is_nan(g, x), b, m);
	return pick(g, is_nan(g, cg_float(g, m)), cg_const_like(g, m, canon), m);
}

static V f32_op(struct cg *g, const struct ir_inst *in, V *s)
{
	V f[3], r;

	if (in->relu || in->xorsign || (in->round != IR_RN && in->ftz))
		return NULL;
	for (uint32_t i = 0; i < in->ns; i++) {
		f[i] = cg_float(g, s[i]);
		f[i] = in->ftz ? flush(g, f[i]) : f[i];
	}
	if (in->round != IR_RN && in->op > IR_OP_FMA && in->op != IR_OP_DIV)
		return NULL;
	if (in->op == IR_OP_MIN || in->op == IR_OP_MAX)
		return in->sat ? NULL : min_max(g, in->op == IR_OP_MIN, in->nan, f[0], f[1]);
	if (in->op == IR_OP_NEG || in->op == IR_OP_ABS) {
		r = cg_bits_of(g, f[0]);
		r = in->op == IR_OP_NEG
			    ? LLVMBuildXor(g->b, r, cg_const_like(g, r, 0x80000000u), "")
			    : LLVMBuildAnd(g->b, r, cg_const_like(g, r, 0x7fffffffu), "");
		return in->sat ? NULL : cg_canonical(g, r);
	}
	r = in->round == IR_RN ? plain(g, in->op, f) : rounded(g, in, f);
	if (!r)
		return NULL;
	r = in->ftz ? flush(g, r) : r;
	if (in->sat)
		return cg_bits_of(g, cg_saturate(g, r));
	r = cg_bits_of(g, r);
	if (cg_makes_raw(in) && in->opnd[0].kind == IR_OPND_REG && g->regs[in->opnd[0].reg].s.raw)
		return r;
	return cg_canonical(g, r);
}

/* A NaN is the first operand's that is one, quiet; else the CPU's own, which is PTX's. */
static V f64_nan(struct cg *g, V r, const V *f, uint32_t n)
{
	V u = cg_const_like(g, cg_bits_of(g, r), RT_NAN_F64);

	for (uint32_t i = n; i-- > 0;) {
		V b = cg_bits_of(g, f[i]);

		u = pick(g, is_nan(g, f[i]),
			 LLVMBuildOr(g->b, b, cg_const_like(g, b, 1ull << 51), ""), u);
	}
	return pick(g, is_nan(g, r), u, cg_bits_of(g, r));
}

static V f64_op(struct cg *g, const struct ir_inst *in, V *s)
{
	V f[3], r;

	if (in->relu || in->xorsign || in->round != IR_RN || in->sat || in->ftz)
		return NULL;
	for (uint32_t i = 0; i < in->ns; i++)
		f[i] = cg_float(g, s[i]);
	switch (in->op) {
	case IR_OP_MIN:
	case IR_OP_MAX:
		return min_max(g, in->op == IR_OP_MIN, in->nan, f[0], f[1]);
	case IR_OP_NEG:
		return LLVMBuildXor(g->b, s[0], cg_const_like(g, s[0], 1ull << 63), "");
	case IR_OP_ABS:
		return LLVMBuildAnd(g->b, s[0], cg_const_like(g, s[0], ~(1ull << 63)), "");
	default:
		break;
	}
	r = plain(g, in->op, f);
	return r ? f64_nan(g, r, f, in->ns) : NULL;
}

static V copysign_op(struct cg *g, const struct ir_inst *in, V *s)
{
	uint64_t sign = 1ull << (cg_width(s[0]) - 1);

	if (in->type != IR_F32 && in->type != IR_F64)
		return NULL;
	return LLVMBuildOr(g->b, LLVMBuildAnd(g->b, s[0], cg_const_like(g, s[0], sign), ""),
			   LLVMBuildAnd(g->b, s[1], cg_const_like(g, s[1], ~sign), ""), "");
}

LLVMValueRef cg_alu_float(struct cg *g, const struct ir_inst *in, LLVMValueRef *s)
{
	if (in->op == IR_OP_COPYSIGN)
		return copysign_op(g, in, s);
	if (in->round == IR_APPROX)
		return in->type == IR_F32 ? cg_alu_approx(g, in, s) : NULL;
	if (in->type == IR_F32)
		return f32_op(g, in, s);
	return in->type == IR_F64 ? f64_op(g, in, s) : NULL;
}

/* ---- .approx: rt/approx.h, operation by operation ------------------------------------------- */

static V mul(struct cg *g, V a, V b)
{
	return LLVMBuildFMul(g->b, a, b, "");
}

static V add(struct cg *g, V a, V b)
{
	return LLVMBuildFAdd(g->b, a, b, "");
}

static V sub(struct cg *g, V a, V b)
{
	return LLVMBuildFSub(g->b, a, b, "");
}

/* c[0] x^n-1 + .. + c[n - 1] */
static V poly(struct cg *g, V x, const double *c, uint32_t n)
{
	V p = number(g, x, c[0]);

	for (uint32_t i = 1; i < n; i++)
		p = add(g, mul(g, p, x), number(g, x, c[i]));
	return p;
}

static V lesser(struct cg *g, V a, double b)
{
	V n = number(g, a, b);

	return pick(g, LLVMBuildFCmp(g->b, LLVMRealOLT, a, n, ""), a, n);
}

static V greater(struct cg *g, V a, double b)
{
	V n = number(g, a, b);

	return pick(g, LLVMBuildFCmp(g->b, LLVMRealOGT, a, n, ""), a, n);
}

static V finish(struct cg *g, V r, V nan, bool ftz)
{
	V u = cg_bits_of(g, ftz ? flush(g, r) : r);

	return pick(g, nan, cg_const_like(g, u, RT_NAN_F32), u);
}

static V power_of_2(struct cg *g, V n)
{
	n = LLVMBuildAdd(g->b, n, cg_const_like(g, n, 127), "");
	return cg_float(g, LLVMBuildShl(g->b, n, cg_const_like(g, n, 23), ""));
}

static V ex2(struct cg *g, V x, bool ftz)
{
	static const double c[] = { 1.529732435e-05f, 1.546144485e-04f,
				    1.333350199e-03f, 9.618056938e-03f,
				    5.550410971e-02f, 2.402265072e-01f,
				    6.931471825e-01f, 1.0f };
	LLVMTypeRef t = LLVMTypeOf(cg_bits_of(g, x));
	V k = greater(g, lesser(g, x, 130), -152), n, f, i, half;

	n = sub(g, add(g, k, number(g, k, 0x1.8p23)), number(g, k, 0x1.8p23));
	f = sub(g, k, n);
	i = LLVMBuildFPToSI(g->b, n, t, "");
	half = LLVMBuildAShr(g->b, i, cg_const_like(g, i, 1), "");
	f = mul(g, poly(g, f, c, 8), power_of_2(g, half));
	f = mul(g, f, power_of_2(g, LLVMBuildSub(g->b, i, half, "")));
	return finish(g, f, is_nan(g, x), ftz);
}

static V lg2(struct cg *g, V x, bool ftz)
{
	static const double c[] = { -1.074978933e-01f, 1.847603321e-01f,  -1.913883835e-01f,
				    2.048576474e-01f,  -2.396081239e-01f, 2.885525525e-01f,
				    -3.606965542e-01f, 4.808985293e-01f,  -7.213473320e-01f,
				    1.442695022e+00f };
	V z = ftz ? flush(g, x) : x, tiny, y, u, e, p;

	tiny = LLVMBuildFCmp(g->b, LLVMRealOLT, z, number(g, z, 0x1p-126), "");
	y = pick(g, tiny, mul(g, z, number(g, z, 0x1p24)), z);
	u = cg_bits_of(g, y);
	e = LLVMBuildSub(g->b, u, cg_const_like(g, u, 0x3f3504f3u), "");
	e = LLVMBuildAShr(g->b, e, cg_const_like(g, e, 23), "");
	u = LLVMBuildSub(g->b, u, LLVMBuildShl(g->b, e, cg_const_like(g, e, 23), ""), "");
	p = sub(g, cg_float(g, u), number(g, z, 1));
	p = mul(g, poly(g, p, c, 10), p);
	e = LLVMBuildSub(g->b, e, pick(g, tiny, cg_const_like(g, e, 24), cg_const_like(g, e, 0)),
			 "");
	p = add(g, p, LLVMBuildSIToFP(g->b, e, LLVMTypeOf(p), ""));
	p = pick(g, LLVMBuildFCmp(g->b, LLVMRealOEQ, x, number(g, x, __builtin_inf()), ""),
		 number(g, x, __builtin_inf()), p);
	p = pick(g, LLVMBuildFCmp(g->b, LLVMRealOEQ, z, number(g, z, 0), ""),
		 number(g, z, -__builtin_inf()), p);
	return finish(g, p, LLVMBuildFCmp(g->b, LLVMRealULT, z, number(g, z, 0), ""), ftz);
}

/* quarter: 0 for sin, 1 for cos */
static V sine(struct cg *g, V x, uint32_t quarter, bool ftz)
{
	static const double sc[] = { 2.71734578488284198e-06, -1.98392022251216339e-04,
				     8.33332878251091466e-03, -1.66666666315918421e-01, 1.0 };
	static const double cc[] = { 2.43798312661701440e-05, -1.38866179997819026e-03,
				     4.16666166925357961e-02, -4.99999996148576209e-01, 1.0 };
	LLVMTypeRef wide = cg_is_vector(x) ? cg_vec(g->f64) : g->f64;
	V d = LLVMBuildFPExt(g->b, ftz ? flush(g, x) : x, wide, ""), m, q, r, z, s, c, k, v, odd;

	m = add(g, mul(g, d, number(g, d, 0x1.45f306dc9c883p-1)), number(g, d, 0x1.8p52));
	q = sub(g, m, number(g, d, 0x1.8p52));
	k = cg_resize(g, cg_bits_of(g, m), 32, false);
	k = LLVMBuildAdd(g->b, k, cg_const_like(g, k, quarter), "");
	r = sub(g, d, mul(g, q, number(g, d, 0x1.921fb54442d18p+0)));
	r = sub(g, r, mul(g, q, number(g, d, 0x1.1a62633145c07p-54)));
	r = pick(g, LLVMBuildFCmp(g->b, LLVMRealOGT, r, number(g, r, 0.8), ""), number(g, r, 0.8),
		 r);
	r = pick(g, LLVMBuildFCmp(g->b, LLVMRealOLT, r, number(g, r, -0.8), ""), number(g, r, -0.8),
		 r);
	z = mul(g, r, r);
	s = mul(g, poly(g, z, sc, 5), r);
	c = poly(g, z, cc, 5);
	odd = LLVMBuildAnd(g->b, k, cg_const_like(g, k, 1), "");
	v = pick(g, LLVMBuildICmp(g->b, LLVMIntNE, odd, cg_const_like(g, k, 0), ""), c, s);
	odd = LLVMBuildAnd(g->b, k, cg_const_like(g, k, 2), "");
	v = pick(g, LLVMBuildICmp(g->b, LLVMIntNE, odd, cg_const_like(g, k, 0), ""),
		 LLVMBuildFNeg(g->b, v, ""), v);
	v = LLVMBuildFPTrunc(g->b, v, LLVMTypeOf(x), "");
	s = LLVMBuildFCmp(g->b, LLVMRealUNE, sub(g, x, x), number(g, x, 0), "");
	return finish(g, v, s, ftz);
}

static V tanh_of(struct cg *g, V x)
{
	static const double c[] = { -5.657135043e-03f, 2.058819123e-02f, -5.372010916e-02f,
				    1.333111376e-01f, -3.333325982e-01f };
	V sign = cg_const_like(g, cg_bits_of(g, x), 0x80000000u), a, t, z, p, r, u;

	a = cg_float(g, LLVMBuildAnd(g->b, cg_bits_of(g, x), LLVMBuildNot(g->b, sign, ""), ""));
	t = cg_float(g, ex2(g, mul(g, a, number(g, a, -2.885390082f)), false));
	z = mul(g, x, x);
	p = poly(g, z, c, 5);
	p = add(g, a, mul(g, a, mul(g, p, z)));
	r = LLVMBuildFDiv(g->b, sub(g, number(g, t, 1), t), add(g, number(g, t, 1), t), "");
	r = pick(g, LLVMBuildFCmp(g->b, LLVMRealOLT, a, number(g, a, 0.625f), ""), p, r);
	u = LLVMBuildAnd(g->b, cg_bits_of(g, r), LLVMBuildNot(g->b, sign, ""), "");
	u = LLVMBuildOr(g->b, u, LLVMBuildAnd(g->b, cg_bits_of(g, x), sign, ""), "");
	return finish(g, cg_float(g, u), is_nan(g, x), false);
}

LLVMValueRef cg_alu_approx(struct cg *g, const struct ir_inst *in, LLVMValueRef *s)
{
	V a = cg_float(g, s[0]), b, r;

	if (in->sat || in->relu)
		return NULL;
	switch (in->op) {
	case IR_OP_EX2:
		return ex2(g, a, in->ftz);
	case IR_OP_LG2:
		return lg2(g, a, in->ftz);
	case IR_OP_SIN:
		return sine(g, a, 0, in->ftz);
	case IR_OP_COS:
		return sine(g, a, 1, in->ftz);
	case IR_OP_TANH:
		return in->ftz ? NULL : tanh_of(g, a);
	default:
		break;
	}
	a = in->ftz ? flush(g, a) : a;
	switch (in->op) {
	case IR_OP_DIV:
		b = cg_float(g, s[1]);
		r = LLVMBuildFDiv(g->b, a, in->ftz ? flush(g, b) : b, "");
		break;
	case IR_OP_RCP:
		r = LLVMBuildFDiv(g->b, number(g, a, 1), a, "");
		break;
	case IR_OP_SQRT:
		r = cg_fcall1(g, "llvm.sqrt", a);
		break;
	case IR_OP_RSQRT:
		r = LLVMBuildFDiv(g->b, number(g, a, 1), cg_fcall1(g, "llvm.sqrt", a), "");
		break;
	default:
		return NULL;
	}
	return finish(g, r, is_nan(g, r), in->ftz);
}

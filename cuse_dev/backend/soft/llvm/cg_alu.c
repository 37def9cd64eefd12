/* SPDX-License-Identifier: MIT */
/*
 * cg_alu.c - integer arithmetic, bits, comparison and selection on scalars or vectors.
 *
 * Each function gets its sources as integers of their registers' widths, all scalar or all vector,
 * and returns the result, or NULL for a combination that the interpreter has to do. What PTX leaves
 * defined and LLVM does not (shifts by the width or more, division by zero) is selected away.
 */
#include "cuse_dev/backend/soft/llvm/cg.h"

typedef LLVMValueRef V;

static uint32_t bits_of(const struct ir_inst *in)
{
	return ir_type_bits(in->type);
}

static V konst(struct cg *g, V like, uint64_t v)
{
	return cg_const_like(g, like, v);
}

static V cmp(struct cg *g, LLVMIntPredicate p, V a, V b)
{
	return LLVMBuildICmp(g->b, p, a, b, "");
}

static V pick(struct cg *g, V c, V a, V b)
{
	return LLVMBuildSelect(g->b, c, a, b, "");
}

static V call2(struct cg *g, const char *name, V a, V b)
{
	LLVMTypeRef t = LLVMTypeOf(a);
	V args[2] = { a, b };

	return cg_intrinsic(g, name, &t, 1, args, 2);
}

/* ---- shifts --------------------------------------------------------------------------------- */

/* d = x << y or x >> y; y >= width leaves only signs */
static V shift(struct cg *g, const struct ir_inst *in, V x, V y)
{
	uint32_t bits = cg_width(x);
	bool left = in->op == IR_OP_SHL, sign = !left && ir_type_signed(in->type);
	V small = cmp(g, LLVMIntULT, y, konst(g, y, bits)), n, r;

	n = cg_resize(g, y, bits, false);
	if (sign) {
		n = pick(g, small, n, konst(g, n, bits - 1));
		return LLVMBuildAShr(g->b, x, n, "");
	}
	n = LLVMBuildAnd(g->b, n, konst(g, n, bits - 1), "");
	r = left ? LLVMBuildShl(g->b, x, n, "") : LLVMBuildLShr(g->b, x, n, "");
	return pick(g, small, r, konst(g, r, 0));
}

/* shf.l/r: the 64 bits b:a, clamp (sub 0) or wrap */
static V funnel(struct cg *g, const struct ir_inst *in, V *s)
{
	bool left = in->op == IR_OP_SHF_L;
	LLVMTypeRef t = LLVMTypeOf(s[0]);
	V args[3] = { s[1], s[0], s[2] }, r;

	if (bits_of(in) != 32 || in->sub > 1)
		return NULL;
	args[2] = LLVMBuildAnd(g->b, s[2], konst(g, s[2], 31), "");
	r = cg_intrinsic(g, left ? "llvm.fshl" : "llvm.fshr", &t, 1, args, 3);
	if (in->sub == 1)
		return r;
	return pick(g, cmp(g, LLVMIntULT, s[2], konst(g, s[2], 32)), r, s[left ? 0 : 1]);
}

/* (1 << n) - 1 for n that may be 32 */
static V ones(struct cg *g, V n)
{
	V k = LLVMBuildAnd(g->b, n, konst(g, n, 31), "");
	V m = LLVMBuildSub(g->b, LLVMBuildShl(g->b, konst(g, n, 1), k, ""), konst(g, n, 1), "");

	return pick(g, cmp(g, LLVMIntULT, n, konst(g, n, 32)), m, konst(g, n, ~0u));
}

static V byte_of(struct cg *g, V n)
{
	return LLVMBuildAnd(g->b, n, konst(g, n, 255), "");
}

static V bfe(struct cg *g, const struct ir_inst *in, V *s)
{
	V pos = byte_of(g, s[1]), len = byte_of(g, s[2]), x, n;

	if (bits_of(in) != 32)
		return NULL;
	if (in->type != IR_S32) {
		x = LLVMBuildLShr(g->b, s[0], LLVMBuildAnd(g->b, pos, konst(g, pos, 31), ""), "");
		x = pick(g, cmp(g, LLVMIntULT, pos, konst(g, pos, 32)), x, konst(g, x, 0));
		return LLVMBuildAnd(g->b, x, ones(g, len), "");
	}
	n = pick(g, cmp(g, LLVMIntULT, pos, konst(g, pos, 31)), pos, konst(g, pos, 31));
	x = LLVMBuildAShr(g->b, s[0], n, "");
	n = LLVMBuildAnd(g->b, LLVMBuildSub(g->b, konst(g, len, 32), len, ""), konst(g, len, 31),
			 "");
	n = pick(g, cmp(g, LLVMIntULT, len, konst(g, len, 32)), n, konst(g, n, 0));
	x = LLVMBuildAShr(g->b, LLVMBuildShl(g->b, x, n, ""), n, "");
	return pick(g, cmp(g, LLVMIntEQ, len, konst(g, len, 0)), konst(g, x, 0), x);
}

static V bfi(struct cg *g, const struct ir_inst *in, V *s)
{
	V pos = byte_of(g, s[2]), len = byte_of(g, s[3]), k, field, a;

	if (bits_of(in) != 32)
		return NULL;
	k = LLVMBuildAnd(g->b, pos, konst(g, pos, 31), "");
	field = LLVMBuildShl(g->b, ones(g, len), k, "");
	field = pick(g, cmp(g, LLVMIntULT, pos, konst(g, pos, 32)), field, konst(g, field, 0));
	a = LLVMBuildAnd(g->b, LLVMBuildShl(g->b, s[0], k, ""), field, "");
	return LLVMBuildOr(g->b, a, LLVMBuildAnd(g->b, s[1], LLVMBuildNot(g->b, field, ""), ""),
			   "");
}

/* ---- division ------------------------------------------------------------------------------- */

/*
 * 32 bits by way of f64: the quotient's distance to the next integer is more than 2^-32 of it, so
 * rounding cannot reach it.
 */
static V quotient32(struct cg *g, V a, V b, bool sign)
{
	LLVMTypeRef f = cg_is_vector(a) ? cg_vec(g->f64) : g->f64;
	LLVMTypeRef i = cg_is_vector(a) ? cg_vec(g->i64) : g->i64;
	V x, y, q;

	x = sign ? LLVMBuildSIToFP(g->b, a, f, "") : LLVMBuildUIToFP(g->b, a, f, "");
	y = sign ? LLVMBuildSIToFP(g->b, b, f, "") : LLVMBuildUIToFP(g->b, b, f, "");
	q = LLVMBuildFDiv(g->b, x, y, "");
	q = sign ? LLVMBuildFPToSI(g->b, q, i, "") : LLVMBuildFPToUI(g->b, q, i, "");
	return cg_resize(g, q, 32, false);
}

/* by 0: all ones; MIN / -1 wraps */
static V divide(struct cg *g, const struct ir_inst *in, V a, V b)
{
	bool sign = ir_type_signed(in->type), rem = in->op == IR_OP_REM;
	V zero = cmp(g, LLVMIntEQ, b, konst(g, b, 0)), minus, by, q;

	if (sign && cg_width(a) != 32) {
		minus = cmp(g, LLVMIntEQ, b, konst(g, b, ~0ull));
		by = pick(g, LLVMBuildOr(g->b, zero, minus, ""), konst(g, b, 1), b);
		q = LLVMBuildSDiv(g->b, a, by, "");
		q = pick(g, minus, LLVMBuildNeg(g->b, a, ""), q);
	} else {
		by = pick(g, zero, konst(g, b, 1), b);
		if (cg_width(a) == 32 && cg_is_vector(a) && !LLVMIsConstant(b))
			q = quotient32(g, a, by, sign);
		else if (!sign)
			q = LLVMBuildUDiv(g->b, a, by, "");
		else
			q = cg_resize(g,
				      LLVMBuildSDiv(g->b, cg_resize(g, a, 64, true),
						    cg_resize(g, by, 64, true), ""),
				      32, true);
	}
	if (rem)
		q = LLVMBuildSub(g->b, a, LLVMBuildMul(g->b, q, b, ""), "");
	return pick(g, zero, konst(g, q, ~0ull), q);
}

/* ---- products ------------------------------------------------------------------------------- */

static V wide_mul(struct cg *g, const struct ir_inst *in, V a, V b)
{
	bool sign = ir_type_signed(in->type);
	uint32_t bits = cg_width(a);

	return LLVMBuildMul(g->b, cg_resize(g, a, 2 * bits, sign), cg_resize(g, b, 2 * bits, sign),
			    "");
}

static V high_mul(struct cg *g, const struct ir_inst *in, V a, V b)
{
	uint32_t bits = cg_width(a);
	V p;

	if (bits == 64 && cg_is_vector(a))
		return NULL;
	p = wide_mul(g, in, a, b);
	return cg_resize(g, LLVMBuildLShr(g->b, p, konst(g, p, bits), ""), bits, false);
}

/* c + the four products of bytes */
static V dp4a(struct cg *g, const struct ir_inst *in, V *s)
{
	bool sa = in->type == IR_S32, sb = in->type2 == IR_S32;
	V sum = s[2];

	for (uint32_t k = 0; k < 4; k++) {
		V up = konst(g, s[0], 24 - 8 * k), down = konst(g, s[0], 24);
		V a = LLVMBuildShl(g->b, s[0], up, ""), b = LLVMBuildShl(g->b, s[1], up, "");

		a = sa ? LLVMBuildAShr(g->b, a, down, "") : LLVMBuildLShr(g->b, a, down, "");
		b = sb ? LLVMBuildAShr(g->b, b, down, "") : LLVMBuildLShr(g->b, b, down, "");
		sum = LLVMBuildAdd(g->b, sum, LLVMBuildMul(g->b, a, b, ""), "");
	}
	return sum;
}

/* ---- logic ---------------------------------------------------------------------------------- */

/* Any function of three bits as a few operations; LLVM makes vpternlog of it. */
static V lop3(struct cg *g, V *s, uint64_t table)
{
	V na = LLVMBuildNot(g->b, s[0], ""), nb = LLVMBuildNot(g->b, s[1], ""), r = NULL;
	V nc = LLVMBuildNot(g->b, s[2], "");

	if ((table & 255) == 0)
		return konst(g, s[0], 0);
	if ((table & 255) == 0x96)
		return LLVMBuildXor(g->b, LLVMBuildXor(g->b, s[0], s[1], ""), s[2], "");
	for (uint32_t k = 0; k < 8; k++) {
		V t;

		if (!(table >> k & 1))
			continue;
		t = LLVMBuildAnd(g->b, k & 4 ? s[0] : na, k & 2 ? s[1] : nb, "");
		t = LLVMBuildAnd(g->b, t, k & 1 ? s[2] : nc, "");
		r = r ? LLVMBuildOr(g->b, r, t, "") : t;
	}
	return r;
}

static V count_zeros(struct cg *g, V x)
{
	LLVMTypeRef t = LLVMTypeOf(x);
	V a[2] = { x, LLVMConstInt(g->i1, 0, false) };

	return cg_intrinsic(g, "llvm.ctlz", &t, 1, a, 2);
}

static V bfind(struct cg *g, const struct ir_inst *in, V x)
{
	uint32_t bits = cg_width(x);
	V n, r;

	if (ir_type_signed(in->type))
		x = LLVMBuildXor(g->b, x, LLVMBuildAShr(g->b, x, konst(g, x, bits - 1), ""), "");
	n = cg_resize(g, count_zeros(g, x), 32, false);
	r = in->sub ? n : LLVMBuildSub(g->b, konst(g, n, bits - 1), n, "");
	return pick(g, cmp(g, LLVMIntEQ, x, konst(g, x, 0)), konst(g, r, ~0u), r);
}

static V prmt(struct cg *g, const struct ir_inst *in, V *s)
{
	V v, r = NULL;

	if (in->sub != IR_PRMT_DEFAULT)
		return NULL;
	v = LLVMBuildOr(g->b, cg_resize(g, s[0], 64, false),
			LLVMBuildShl(g->b, cg_resize(g, s[1], 64, false),
				     konst(g, cg_resize(g, s[1], 64, false), 32), ""),
			"");
	for (uint32_t k = 0; k < 4; k++) {
		V sel = LLVMBuildLShr(g->b, s[2], konst(g, s[2], 4 * k), ""), at, b, sign;

		at = LLVMBuildShl(g->b, LLVMBuildAnd(g->b, sel, konst(g, sel, 7), ""),
				  konst(g, sel, 3), "");
		b = LLVMBuildLShr(g->b, v, cg_resize(g, at, 64, false), "");
		b = cg_resize(g, b, 32, false);
		sign = LLVMBuildAShr(g->b, LLVMBuildShl(g->b, b, konst(g, b, 24), ""),
				     konst(g, b, 31), "");
		at = LLVMBuildAnd(g->b, sel, konst(g, sel, 8), "");
		b = pick(g, cmp(g, LLVMIntNE, at, konst(g, at, 0)), sign, b);
		b = LLVMBuildShl(g->b, LLVMBuildAnd(g->b, b, konst(g, b, 255), ""),
				 konst(g, b, 8 * k), "");
		r = r ? LLVMBuildOr(g->b, r, b, "") : b;
	}
	return r;
}

static V add_products(struct cg *g, V p, V c)
{
	return p ? LLVMBuildAdd(g->b, p, c, "") : NULL;
}

static V min_max(struct cg *g, const struct ir_inst *in, V a, V b)
{
	bool sign = ir_type_signed(in->type), min = in->op == IR_OP_MIN;

	return call2(g,
		     sign ? (min ? "llvm.smin" : "llvm.smax") : (min ? "llvm.umin" : "llvm.umax"),
		     a, b);
}

static V sum_of_differences(struct cg *g, const struct ir_inst *in, V *s)
{
	V less = cmp(g, ir_type_signed(in->type) ? LLVMIntSLT : LLVMIntULT, s[0], s[1]);
	V d = pick(g, less, LLVMBuildSub(g->b, s[1], s[0], ""), LLVMBuildSub(g->b, s[0], s[1], ""));

	return LLVMBuildAdd(g->b, d, s[2], "");
}

static bool packed(uint8_t t)
{
	return t == IR_U16X2 || t == IR_S16X2;
}

/* ADD .. MAX of integers */
static V arithmetic(struct cg *g, const struct ir_inst *in, V *s)
{
	V n;

	if (in->sat || in->relu || packed(in->type))
		return NULL;
	switch (in->op) {
	case IR_OP_ADD:
		return LLVMBuildAdd(g->b, s[0], s[1], "");
	case IR_OP_SUB:
		return LLVMBuildSub(g->b, s[0], s[1], "");
	case IR_OP_MUL:
		return LLVMBuildMul(g->b, s[0], s[1], "");
	case IR_OP_MUL_HI:
		return high_mul(g, in, s[0], s[1]);
	case IR_OP_MUL_WIDE:
		return wide_mul(g, in, s[0], s[1]);
	case IR_OP_MAD:
		return add_products(g, LLVMBuildMul(g->b, s[0], s[1], ""), s[2]);
	case IR_OP_MAD_HI:
		return add_products(g, high_mul(g, in, s[0], s[1]), s[2]);
	case IR_OP_MAD_WIDE:
		return add_products(g, wide_mul(g, in, s[0], s[1]), s[2]);
	case IR_OP_SAD:
		return sum_of_differences(g, in, s);
	case IR_OP_DIV:
	case IR_OP_REM:
		return divide(g, in, s[0], s[1]);
	case IR_OP_NEG:
		return LLVMBuildNeg(g->b, s[0], "");
	case IR_OP_ABS:
		n = cmp(g, LLVMIntSLT, s[0], konst(g, s[0], 0));
		return pick(g, n, LLVMBuildNeg(g->b, s[0], ""), s[0]);
	case IR_OP_MIN:
	case IR_OP_MAX:
		return min_max(g, in, s[0], s[1]);
	default:
		return NULL;
	}
}

static V logic(struct cg *g, const struct ir_inst *in, V *s)
{
	switch (in->op) {
	case IR_OP_AND:
		return LLVMBuildAnd(g->b, s[0], s[1], "");
	case IR_OP_OR:
		return LLVMBuildOr(g->b, s[0], s[1], "");
	case IR_OP_XOR:
		return LLVMBuildXor(g->b, s[0], s[1], "");
	case IR_OP_NOT:
		return LLVMBuildNot(g->b, s[0], "");
	case IR_OP_CNOT:
		return cg_resize(g, cmp(g, LLVMIntEQ, s[0], konst(g, s[0], 0)), cg_width(s[0]),
				 false);
	case IR_OP_LOP3:
		return bits_of(in) == 32 && ir_is_number(&in->opnd[in->nd + 3])
			       ? lop3(g, s, in->opnd[in->nd + 3].imm)
			       : NULL;
	case IR_OP_SHL:
	case IR_OP_SHR:
		return shift(g, in, s[0], s[1]);
	case IR_OP_SHF_L:
	case IR_OP_SHF_R:
		return funnel(g, in, s);
	case IR_OP_BFE:
		return bfe(g, in, s);
	case IR_OP_BFI:
		return bfi(g, in, s);
	case IR_OP_BFIND:
		return bfind(g, in, s[0]);
	case IR_OP_BREV:
		return cg_fcall1(g, "llvm.bitreverse", s[0]);
	case IR_OP_POPC:
		return cg_resize(g, cg_fcall1(g, "llvm.ctpop", s[0]), 32, false);
	case IR_OP_CLZ:
		return cg_resize(g, count_zeros(g, s[0]), 32, false);
	case IR_OP_PRMT:
		return prmt(g, in, s);
	case IR_OP_DP4A:
		return dp4a(g, in, s);
	default:
		return NULL;
	}
}

/* ---- moves ---------------------------------------------------------------------------------- */

static uint64_t aperture(uint8_t space)
{
	switch (space) {
	case IR_SPACE_SHARED:
		return IR_SHARED_APERTURE;
	case IR_SPACE_LOCAL:
		return IR_LOCAL_APERTURE;
	case IR_SPACE_PARAM:
		return IR_PARAM_APERTURE;
	default:
		return 0;
	}
}

/* Moves between generic addresses and a space are additions. */
static V convert_address(struct cg *g, const struct ir_inst *in, V a)
{
	uint64_t base = aperture(in->space);

	if (cg_width(a) != 64 || in->space == IR_SPACE_FRAME)
		return NULL;
	return LLVMBuildAdd(g->b, a, konst(g, a, in->op == IR_OP_CVTA_TO ? -base : base), "");
}

static V pack(struct cg *g, const struct ir_inst *in, V *s)
{
	uint32_t bits = bits_of(in), part = bits / in->ns;
	V r = NULL;

	if (bits > 64 || part < 16)
		return NULL;
	for (uint32_t i = 0; i < in->ns; i++) {
		V p = cg_resize(g, s[i], bits, false);

		p = i ? LLVMBuildShl(g->b, p, konst(g, p, i * part), "") : p;
		r = r ? LLVMBuildOr(g->b, r, p, "") : p;
	}
	return r;
}

static V moves(struct cg *g, const struct ir_inst *in, V *s)
{
	V c;

	switch (in->op) {
	case IR_OP_MOV:
		return s[0];
	case IR_OP_SELP:
		return pick(g, s[2], s[0], s[1]);
	case IR_OP_SLCT:
		if (in->type2 == IR_F32)
			c = LLVMBuildFCmp(g->b, LLVMRealOGE, cg_float(g, s[2]),
					  LLVMConstNull(LLVMTypeOf(cg_float(g, s[2]))), "");
		else
			c = cmp(g, LLVMIntSGE, s[2], konst(g, s[2], 0));
		return in->ftz ? NULL : pick(g, c, s[0], s[1]);
	case IR_OP_PACK:
		return pack(g, in, s);
	case IR_OP_CVTA:
	case IR_OP_CVTA_TO:
		return convert_address(g, in, s[0]);
	default:
		return NULL;
	}
}

LLVMValueRef cg_alu(struct cg *g, const struct ir_inst *in, LLVMValueRef *s)
{
	if (in->op >= IR_OP_AND && in->op <= IR_OP_DP4A)
		return logic(g, in, s);
	if (in->op >= IR_OP_ADD && in->op <= IR_OP_MAX)
		return arithmetic(g, in, s);
	return moves(g, in, s);
}

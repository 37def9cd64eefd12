/* SPDX-License-Identifier: MIT */
/*
 * cg_compare.c - comparisons (setp), and operations on values whose lanes follow a rule (cg_affine).
 */
#include "cuse_dev/backend/soft/llvm/cg.h"

typedef LLVMValueRef V;

static V flush(struct cg *g, V u)
{
	V e = LLVMBuildAnd(g->b, u, cg_const_like(g, u, 0x7f800000u), "");

	e = LLVMBuildICmp(g->b, LLVMIntEQ, e, cg_const_like(g, u, 0), "");
	return LLVMBuildSelect(g->b, e, LLVMBuildAnd(g->b, u, cg_const_like(g, u, 0x80000000u), ""),
			       u, "");
}

LLVMValueRef cg_compare(struct cg *g, const struct ir_inst *in, LLVMValueRef *s)
{
	static const LLVMRealPredicate real[] = {
		[IR_EQ] = LLVMRealOEQ,	[IR_NE] = LLVMRealONE,	[IR_LT] = LLVMRealOLT,
		[IR_LE] = LLVMRealOLE,	[IR_GT] = LLVMRealOGT,	[IR_GE] = LLVMRealOGE,
		[IR_EQU] = LLVMRealUEQ, [IR_NEU] = LLVMRealUNE, [IR_LTU] = LLVMRealULT,
		[IR_LEU] = LLVMRealULE, [IR_GTU] = LLVMRealUGT, [IR_GEU] = LLVMRealUGE,
		[IR_NUM] = LLVMRealORD, [IR_NAN] = LLVMRealUNO,
	};
	static const LLVMIntPredicate ints[2][6] = {
		{ LLVMIntEQ, LLVMIntNE, LLVMIntULT, LLVMIntULE, LLVMIntUGT, LLVMIntUGE },
		{ LLVMIntEQ, LLVMIntNE, LLVMIntSLT, LLVMIntSLE, LLVMIntSGT, LLVMIntSGE },
	};

	if (in->type == IR_F32 || in->type == IR_F64) {
		bool ftz = in->ftz && in->type == IR_F32;

		if (in->cmp > IR_NAN)
			return NULL;
		return LLVMBuildFCmp(g->b, real[in->cmp], cg_float(g, ftz ? flush(g, s[0]) : s[0]),
				     cg_float(g, ftz ? flush(g, s[1]) : s[1]), "");
	}
	if (in->type < IR_U16 || in->type > IR_S64 || in->cmp > IR_GE)
		return NULL;
	return LLVMBuildICmp(g->b, ints[ir_type_signed(in->type)][in->cmp], s[0], s[1], "");
}

/* ---- affine values -------------------------------------------------------------------------- */

/*
 * AFF results: the operation on each group's bases, with the operands' groups made as fine as the
 * result's. That is right for all operations that cg_shape.c lets through.
 */
static struct cg_val by_group(struct cg *g, const struct ir_inst *in, const struct cg_shape *want)
{
	struct cg_val s[3], r = { .s = *want };
	V src[3], x;

	for (uint32_t i = 0; i < in->ns && i < 3; i++) {
		s[i] = cg_read(g, &in->opnd[in->nd + i], 32);
		if (s[i].s.kind == CG_UNI || s[i].s.groups != want->groups)
			s[i] = cg_groups(g, &s[i], want->groups);
	}
	for (uint32_t k = 0; k < want->groups; k++) {
		for (uint32_t i = 0; i < in->ns && i < 3; i++)
			src[i] = s[i].x[k];
		x = cg_compute(g, in, src);
		r.x[k] = x ? x : LLVMGetUndef(g->i32);
	}
	return r;
}

/* 64 bits to 32: scale and base both wrap. */
static struct cg_val narrow(struct cg *g, const struct cg_val *a, const struct cg_shape *want)
{
	struct cg_val r = { .s = *want };
	V u = cg_resize(g, a->u, 32, false);

	for (uint32_t i = 0; i < want->groups; i++) {
		r.x[i] = LLVMBuildMul(g->b, a->x[i], cg_i32(g, (uint32_t)a->s.scale), "");
		r.x[i] = LLVMBuildAdd(g->b, r.x[i], u, "");
	}
	return r;
}

/* 32 bits to 64, times want->scale. */
static struct cg_val widen(struct cg *g, const struct cg_val *a, const struct cg_shape *want)
{
	struct cg_val r = *a;

	r.s = *want;
	r.u = cg_i64(g, 0);
	if (want->vector)
		r.v = cg_vector(g, a);
	return r;
}

/* mul.wide and mad.wide by a number */
static struct cg_val product(struct cg *g, const struct ir_inst *in, const struct cg_shape *want)
{
	bool second = ir_is_number(&in->opnd[in->nd + 1]);
	struct cg_val a = cg_read(g, &in->opnd[in->nd + (second ? 0 : 1)], 32), c, r;
	bool sign = ir_type_signed(in->type);
	uint64_t imm = in->opnd[in->nd + (second ? 1 : 0)].imm;
	V p;

	if (a.s.kind != CG_UNI) {
		r = widen(g, &a, want);
		if (in->op == IR_OP_MAD_WIDE) {
			c = cg_read(g, &in->opnd[in->nd + 2], 64);
			r.u = c.u;
		}
		return r;
	}
	/* The product is uniform; what it is added to is not. */
	r = cg_read(g, &in->opnd[in->nd + 2], 64);
	p = LLVMBuildMul(g->b, cg_resize(g, a.u, 64, sign),
			 cg_i64(g, sign ? (uint64_t)(int64_t)(int32_t)imm : (uint32_t)imm), "");
	r.u = LLVMBuildAdd(g->b, r.u, p, "");
	return r;
}

/* One source is WIDE; the other one is uniform. */
static struct cg_val wide_op(struct cg *g, const struct ir_inst *in, const struct cg_shape *want)
{
	struct cg_val a = cg_read(g, &in->opnd[in->nd], 64), b, r;
	bool first = a.s.kind == CG_WIDE;
	V src[2] = { a.u, NULL };

	r = a;
	if (in->ns > 1) {
		b = cg_read(g, &in->opnd[in->nd + 1], in->op == IR_OP_SHL ? 32 : 64);
		src[1] = b.u;
		if (!first)
			r = b;
	}
	r.s = *want;
	r.u = cg_compute(g, in, src);
	if (!r.u)
		r.u = LLVMGetUndef(g->i64);
	return r;
}

struct cg_val cg_affine(struct cg *g, const struct ir_inst *in, const struct cg_shape *want)
{
	struct cg_val a;

	switch (in->op) {
	case IR_OP_MUL_WIDE:
	case IR_OP_MAD_WIDE:
		return product(g, in, want);
	case IR_OP_CVT:
		a = cg_read(g, &in->opnd[in->nd], 32);
		if (a.s.kind == CG_WIDE && want->kind == CG_AFF)
			return narrow(g, &a, want);
		if (a.s.kind != CG_WIDE && want->kind == CG_WIDE)
			return widen(g, &a, want);
		return a;
	case IR_OP_MOV:
		return cg_read(g, &in->opnd[in->nd], 64);
	default:
		return want->kind == CG_AFF ? by_group(g, in, want) : wide_op(g, in, want);
	}
}

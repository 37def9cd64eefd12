/* SPDX-License-Identifier: MIT */
/*
 * cg_value.c - registers and constants as LLVM values, in and out of their shapes.
 *
 * Registers are allocas, one per scalar or vector that their shape consists of; LLVM's mem2reg makes
 * SSA of them. All values are integers; floats are the same bits, cast around an operation.
 */
#include <errno.h>
#include <string.h>

#include "cuse_dev/backend/soft/llvm/cg.h"

LLVMTypeRef cg_int(struct cg *g, uint32_t bits)
{
	switch (bits) {
	case 1:
		return g->i1;
	case 8:
		return g->i8;
	case 16:
		return g->i16;
	case 32:
		return g->i32;
	case 64:
		return g->i64;
	default:
		return LLVMIntTypeInContext(g->lc, bits);
	}
}

LLVMTypeRef cg_vec(LLVMTypeRef t)
{
	return LLVMVectorType(t, CG_LANES);
}

LLVMValueRef cg_i32(struct cg *g, uint64_t v)
{
	return LLVMConstInt(g->i32, v, false);
}

LLVMValueRef cg_i64(struct cg *g, uint64_t v)
{
	return LLVMConstInt(g->i64, v, false);
}

bool cg_is_vector(LLVMValueRef v)
{
	return LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind;
}

static LLVMTypeRef element(LLVMTypeRef t)
{
	return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
}

uint32_t cg_width(LLVMValueRef v)
{
	LLVMTypeRef t = element(LLVMTypeOf(v));

	switch (LLVMGetTypeKind(t)) {
	case LLVMFloatTypeKind:
		return 32;
	case LLVMDoubleTypeKind:
		return 64;
	case LLVMHalfTypeKind:
		return 16;
	default:
		return LLVMGetIntTypeWidth(t);
	}
}

LLVMValueRef cg_const_like(struct cg *g, LLVMValueRef like, uint64_t v)
{
	LLVMTypeRef t = LLVMTypeOf(like);
	LLVMValueRef all[64], c = LLVMConstInt(element(t), v, false);
	uint32_t n;

	if (LLVMGetTypeKind(t) != LLVMVectorTypeKind)
		return c;
	n = LLVMGetVectorSize(t);
	for (uint32_t i = 0; i < n; i++)
		all[i] = c;
	return LLVMConstVector(all, n);
}

LLVMValueRef cg_splat(struct cg *g, LLVMValueRef scalar)
{
	LLVMValueRef all[CG_LANES];
	LLVMTypeRef t = cg_vec(LLVMTypeOf(scalar));
	LLVMValueRef v;

	if (LLVMIsConstant(scalar)) {
		for (uint32_t i = 0; i < CG_LANES; i++)
			all[i] = scalar;
		return LLVMConstVector(all, CG_LANES);
	}
	v = LLVMBuildInsertElement(g->b, LLVMGetPoison(t), scalar, cg_i32(g, 0), "");
	return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(t), LLVMConstNull(cg_vec(g->i32)), "");
}

LLVMValueRef cg_intrinsic(struct cg *g, const char *name, LLVMTypeRef *over, uint32_t n,
			  LLVMValueRef *args, uint32_t nargs)
{
	unsigned int id = LLVMLookupIntrinsicID(name, strlen(name));
	LLVMValueRef f = LLVMGetIntrinsicDeclaration(g->mod, id, over, n);

	return LLVMBuildCall2(g->b, LLVMIntrinsicGetType(g->lc, id, over, n), f, args, nargs, "");
}

LLVMValueRef cg_fcall1(struct cg *g, const char *name, LLVMValueRef a)
{
	LLVMTypeRef t = LLVMTypeOf(a);

	return cg_intrinsic(g, name, &t, 1, &a, 1);
}

static LLVMTypeRef like(LLVMValueRef v, LLVMTypeRef scalar)
{
	return cg_is_vector(v) ? LLVMVectorType(scalar, LLVMGetVectorSize(LLVMTypeOf(v))) : scalar;
}

LLVMValueRef cg_resize(struct cg *g, LLVMValueRef v, uint32_t bits, bool sign)
{
	uint32_t have = cg_width(v);
	LLVMTypeRef t;

	if (have == bits)
		return v;
	t = like(v, cg_int(g, bits));
	if (have > bits)
		return LLVMBuildTrunc(g->b, v, t, "");
	return sign ? LLVMBuildSExt(g->b, v, t, "") : LLVMBuildZExt(g->b, v, t, "");
}

LLVMValueRef cg_float(struct cg *g, LLVMValueRef v)
{
	return LLVMBuildBitCast(g->b, v, like(v, cg_width(v) == 64 ? g->f64 : g->f32), "");
}

LLVMValueRef cg_bits_of(struct cg *g, LLVMValueRef v)
{
	return LLVMBuildBitCast(g->b, v, like(v, cg_int(g, cg_width(v))), "");
}

/* ---- shapes to vectors ---------------------------------------------------------------------- */

struct cg_val cg_value_uni(LLVMValueRef u)
{
	return (struct cg_val){ .s = { .kind = CG_UNI }, .u = u };
}

struct cg_val cg_value_var(LLVMValueRef v)
{
	return (struct cg_val){ .s = { .kind = CG_VAR }, .v = v };
}

/* stride * (lane within its group) */
static LLVMValueRef steps(struct cg *g, uint32_t groups, int32_t stride)
{
	LLVMValueRef e[CG_LANES];

	for (uint32_t i = 0; i < CG_LANES; i++)
		e[i] = cg_i32(g, (uint32_t)stride * (i % (CG_LANES / groups)));
	return LLVMConstVector(e, CG_LANES);
}

/* Each base in the lanes of its group. */
static LLVMValueRef spread_bases(struct cg *g, const LLVMValueRef *x, uint32_t groups)
{
	LLVMTypeRef t = LLVMVectorType(g->i32, groups);
	LLVMValueRef v = LLVMGetPoison(t), pick[CG_LANES];

	if (groups == 1)
		return cg_splat(g, x[0]);
	for (uint32_t i = 0; i < groups; i++)
		v = LLVMBuildInsertElement(g->b, v, x[i], cg_i32(g, i), "");
	for (uint32_t i = 0; i < CG_LANES; i++)
		pick[i] = cg_i32(g, i / (CG_LANES / groups));
	return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(t), LLVMConstVector(pick, CG_LANES),
				      "");
}

static LLVMValueRef aff_vector(struct cg *g, const struct cg_val *v)
{
	LLVMValueRef base = spread_bases(g, v->x, v->s.groups);

	if (!v->s.stride)
		return base;
	return LLVMBuildAdd(g->b, base, steps(g, v->s.groups, v->s.stride), "");
}

LLVMValueRef cg_vector(struct cg *g, const struct cg_val *v)
{
	LLVMValueRef part;

	switch (v->s.kind) {
	case CG_UNI:
		return cg_splat(g, v->u);
	case CG_AFF:
		return aff_vector(g, v);
	case CG_WIDE:
		part = v->s.vector ? v->v : aff_vector(g, v);
		part = cg_resize(g, part, 64, v->s.sign);
		if (v->s.scale != 1)
			part = LLVMBuildMul(g->b, part,
					    cg_const_like(g, part, (uint64_t)v->s.scale), "");
		return LLVMBuildAdd(g->b, part, cg_splat(g, v->u), "");
	default:
		return v->v;
	}
}

struct cg_val cg_groups(struct cg *g, const struct cg_val *v, uint32_t groups)
{
	uint32_t have = v->s.kind == CG_UNI ? 1 : v->s.groups, width = CG_LANES / groups;
	struct cg_val r = *v;

	r.s.kind = v->s.kind == CG_UNI ? CG_AFF : v->s.kind;
	r.s.groups = (uint8_t)groups;
	for (uint32_t i = groups; i-- > 0;) {
		uint32_t from = i * have / groups, in = i * width % (CG_LANES / have);
		LLVMValueRef x = v->s.kind == CG_UNI ? v->u : v->x[from];

		if (v->s.kind != CG_UNI && in && v->s.stride)
			x = LLVMBuildAdd(g->b, x, cg_i32(g, (uint32_t)v->s.stride * in), "");
		r.x[i] = x;
	}
	return r;
}

/* ---- registers ------------------------------------------------------------------------------ */

static LLVMValueRef load(struct cg *g, LLVMValueRef at, LLVMTypeRef t)
{
	return LLVMBuildLoad2(g->b, t, at, "");
}

static LLVMValueRef immediate(struct cg *g, const struct ir_operand *o, uint32_t bits)
{
	LLVMValueRef offset;

	if (o->kind == IR_OPND_NONE || ir_is_number(o))
		return LLVMConstInt(cg_int(g, bits), o->imm, false);
	offset = cg_i64(g, o->imm - g->unit->base_va[o->base]);
	return cg_resize(g, LLVMBuildAdd(g->b, g->base_va[o->base], offset, ""), bits, false);
}

struct cg_val cg_read(struct cg *g, const struct ir_operand *o, uint32_t bits)
{
	const struct cg_reg *r;
	struct cg_val v;

	if (o->kind != IR_OPND_REG)
		return cg_value_uni(immediate(g, o, bits));
	r = &g->regs[o->reg];
	v.s = r->s;
	switch (r->s.kind) {
	case CG_UNI:
		v.u = load(g, r->u, cg_int(g, r->bits));
		break;
	case CG_AFF:
		for (uint32_t i = 0; i < r->s.groups; i++)
			v.x[i] = load(g, r->x[i], g->i32);
		break;
	case CG_WIDE:
		v.u = load(g, r->u, g->i64);
		for (uint32_t i = 0; !r->s.vector && i < r->s.groups; i++)
			v.x[i] = load(g, r->x[i], g->i32);
		if (r->s.vector)
			v.v = load(g, r->v, cg_vec(g->i32));
		break;
	default:
		v.v = load(g, r->v, cg_vec(cg_int(g, r->bits)));
		break;
	}
	return v;
}

static LLVMValueRef choose(struct cg *g, LLVMValueRef cond, LLVMValueRef new, LLVMValueRef at)
{
	if (!cond)
		return new;
	return LLVMBuildSelect(g->b, cond, new, load(g, at, LLVMTypeOf(new)), "");
}

static void write_var(struct cg *g, const struct ir_operand *o, const struct cg_val *v)
{
	struct cg_reg *r = &g->regs[o->reg];
	LLVMValueRef new = cg_vector(g, v);

	if (g->guarded || cg_bit(g->blocks[g->block].keep, o->reg))
		new = choose(g, cg_mask_vector(g), new, r->v);
	LLVMBuildStore(g->b, new, r->v);
}

/*
 * Shapes are worked out before code is made. Where the two disagree the unit is not one that a front
 * end makes, and stays with the interpreter.
 */
static bool holds(const struct cg_reg *r, const struct cg_val *v)
{
	if (r->s.kind == CG_AFF)
		return v->s.kind == CG_UNI || v->s.kind == CG_AFF;
	if (r->s.kind != CG_WIDE)
		return true;
	return v->s.kind == CG_WIDE && v->s.vector == r->s.vector;
}

/* Only a uniform guard can stand here; it was made a branch by cg_inst(). */
void cg_write(struct cg *g, const struct ir_operand *o, const struct cg_val *v)
{
	struct cg_reg *r;
	struct cg_val w = *v;

	if (o->kind != IR_OPND_REG)
		return;
	r = &g->regs[o->reg];
	if (!holds(r, &w)) {
		cg_fail(g, -EINVAL, "register %u: the value has another shape", o->reg);
		return;
	}
	switch (r->s.kind) {
	case CG_UNI:
		LLVMBuildStore(g->b, w.s.kind == CG_UNI ? w.u : cg_first_lane(g, cg_vector(g, &w)),
			       r->u);
		break;
	case CG_AFF:
		if (w.s.kind == CG_UNI || w.s.groups != r->s.groups)
			w = cg_groups(g, &w, r->s.groups);
		for (uint32_t i = 0; i < r->s.groups; i++)
			LLVMBuildStore(g->b, w.x[i], r->x[i]);
		break;
	case CG_WIDE:
		if (!r->s.vector && w.s.groups != r->s.groups)
			w = cg_groups(g, &w, r->s.groups);
		LLVMBuildStore(g->b, w.u, r->u);
		for (uint32_t i = 0; !r->s.vector && i < r->s.groups; i++)
			LLVMBuildStore(g->b, w.x[i], r->x[i]);
		if (r->s.vector)
			LLVMBuildStore(g->b, w.v, r->v);
		break;
	default:
		write_var(g, o, v);
		break;
	}
}

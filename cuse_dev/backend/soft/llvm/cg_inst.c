/* SPDX-License-Identifier: MIT */
/*
 * cg_inst.c - one instruction: its guard, its sources, who emits it, and the bridge to the interpreter.
 *
 * A guard that is the same for all lanes is a branch. Another one narrows the mask; computing goes on for all
 * lanes and only the write looks at it, accesses to memory and calls are jumped over when no lane is
 * left.
 *
 * The bridge: whatever no emitter knows is put into a unit of its own (one function per instruction),
 * which the worker decodes as the interpreter always does. Generated code stores the operands of all
 * lanes into slots, calls, and loads the results. So every instruction that the interpreter has is there.
 */
#include <errno.h>
#include <string.h>

#include "cuse_dev/backend/soft/llvm/cg.h"
#include "cuse_dev/base/arena.h"

/* The width of a source, for immediates: what ir_verify.c wants of a register. */
static uint32_t source_bits(const struct ir_inst *in, uint32_t i)
{
	uint32_t t = ir_type_bits(in->type), t2 = ir_type_bits(in->type2);

	t = t > 1 && t < 16 ? 16 : t;
	t2 = t2 > 1 && t2 < 16 ? 16 : t2;
	switch (in->op) {
	case IR_OP_MAD_WIDE:
		return i == 2 ? 2 * t : t;
	case IR_OP_ADDC:
	case IR_OP_SUBC:
	case IR_OP_SELP:
	case IR_OP_SETP:
		return i == 2 ? 1 : t;
	case IR_OP_MADC_LO:
	case IR_OP_MADC_HI:
		return i == 3 ? 1 : t;
	case IR_OP_LOP3:
		return i == 3 ? 32 : t;
	case IR_OP_SHL:
	case IR_OP_SHR:
		return i == 1 ? 32 : t;
	case IR_OP_BFE:
		return i >= 1 ? 32 : t;
	case IR_OP_BFI:
		return i >= 2 ? 32 : t;
	case IR_OP_SHF_L:
	case IR_OP_SHF_R:
	case IR_OP_PRMT:
	case IR_OP_DP4A:
	case IR_OP_SHFL:
		return 32;
	case IR_OP_SLCT:
		return i == 2 ? t2 : t;
	case IR_OP_PACK:
		return t / in->ns;
	case IR_OP_CVT:
		return t2;
	case IR_OP_VOTE:
		return i == 0 ? 1 : 32;
	case IR_OP_CVTA:
	case IR_OP_CVTA_TO:
		return 64;
	default:
		return t;
	}
}

static bool canonical_wanted(const struct cg *g, const struct ir_inst *in, uint32_t i)
{
	const struct ir_operand *o = &in->opnd[in->nd + i], *d = in->opnd;

	if (o->kind != IR_OPND_REG || !g->regs[o->reg].s.raw)
		return false;
	if (!cg_takes_raw(in, i))
		return true;
	return (in->op == IR_OP_MOV || in->op == IR_OP_SELP || in->op == IR_OP_SHFL) &&
	       d->kind == IR_OPND_REG && !g->regs[d->reg].s.raw;
}

static struct cg_val source(struct cg *g, const struct ir_inst *in, uint32_t i)
{
	struct cg_val v = cg_read(g, &in->opnd[in->nd + i], source_bits(in, i));

	if (!canonical_wanted(g, in, i))
		return v;
	if (v.s.kind == CG_UNI)
		v.u = cg_canonical(g, v.u);
	else
		v = cg_value_var(cg_canonical(g, cg_vector(g, &v)));
	return v;
}

/* All sources, as scalars or as vectors. */
static void sources(struct cg *g, const struct ir_inst *in, bool vector, LLVMValueRef *ret)
{
	for (uint32_t i = 0; i < in->ns; i++) {
		struct cg_val v;

		ret[i] = NULL;
		if (in->opnd[in->nd + i].kind == IR_OPND_NONE)
			continue;
		v = source(g, in, i);
		ret[i] = vector ? cg_vector(g, &v) : v.u;
	}
}

static bool all_uniform(const struct cg *g, const struct ir_inst *in)
{
	for (uint32_t i = 0; i < in->ns; i++)
		if (cg_shape_operand(g, &in->opnd[in->nd + i]).kind != CG_UNI)
			return false;
	return true;
}

static void put(struct cg *g, const struct ir_operand *o, LLVMValueRef r)
{
	struct cg_val v = cg_is_vector(r) ? cg_value_var(r) : cg_value_uni(r);

	cg_write(g, o, &v);
}

/* ---- the bridge ----------------------------------------------------------------------------- */

static bool bridge_unit(struct cg *g, const struct ir_inst *in)
{
	uint32_t n = (uint32_t)in->nd + in->ns;
	struct ir_func *f = arena_alloc(g->arena, sizeof(*f));
	struct ir_block *b = arena_alloc(g->arena, sizeof(*b));
	struct ir_inst *i = arena_alloc(g->arena, sizeof(*i));
	struct ir_operand *o = arena_alloc(g->arena, n * sizeof(*o) + 1);
	struct ir_reg *r = arena_alloc(g->arena, n * sizeof(*r) + 1);

	if (!f || !b || !i || !o || !r)
		return cg_fail(g, -ENOMEM, "out of memory") == 0;
	*i = *in;
	i->guard = -1;
	i->guard_not = false;
	i->opnd = o;
	for (uint32_t k = 0; k < n; k++) {
		o[k] = in->opnd[k];
		r[k].type = IR_U32;
		if (o[k].kind == IR_OPND_REG) {
			r[k].type = g->f->regs[o[k].reg].type;
			o[k].reg = k;
		}
	}
	*b = (struct ir_block){ .insts = i, .count = 1, .term = IR_TERM_EXIT, .line = in->line };
	*f = (struct ir_func){ .name = "",
			       .regs = r,
			       .nregs = n,
			       .blocks = b,
			       .nblocks = 1,
			       .frame_bytes = g->f->frame_bytes };
	return cg_bridge_add(g, f);
}

static LLVMValueRef slot(struct cg *g, uint32_t k)
{
	LLVMValueRef at = cg_i64(g, (uint64_t)k * LLVM_SLOT);

	return LLVMBuildGEP2(g->b, g->i8, g->slots, &at, 1, "");
}

void cg_bridge(struct cg *g, const struct ir_inst *in)
{
	LLVMValueRef args[2] = { cg_i32(g, g->nbridged), g->mask };

	if (!bridge_unit(g, in))
		return;
	for (uint32_t i = 0; i < in->ns; i++) {
		struct cg_val v;
		LLVMValueRef s, st;

		if (in->opnd[in->nd + i].kind != IR_OPND_REG)
			continue;
		v = source(g, in, i);
		s = g->regs[in->opnd[in->nd + i].reg].bits == 1 ? cg_pred_mask(g, &v)
								: cg_vector(g, &v);
		st = LLVMBuildStore(g->b, s, slot(g, in->nd + i));
		LLVMSetAlignment(st, cg_is_vector(s) ? 64 : 4);
	}
	cg_runtime(g, CG_RT_bridge, LLVMVoidTypeInContext(g->lc), args, 2);
	for (uint32_t k = 0; k < in->nd; k++) {
		const struct ir_operand *o = &in->opnd[k];
		LLVMValueRef v;

		if (o->kind != IR_OPND_REG)
			continue;
		if (g->regs[o->reg].bits == 1) {
			v = cg_mask_to_vector(g, LLVMBuildLoad2(g->b, g->i32, slot(g, k), ""));
		} else {
			v = LLVMBuildLoad2(g->b, cg_vec(cg_int(g, g->regs[o->reg].bits)),
					   slot(g, k), "");
			LLVMSetAlignment(v, 64);
		}
		put(g, o, v);
	}
}

/* ---- computing ------------------------------------------------------------------------------ */

LLVMValueRef cg_compute(struct cg *g, const struct ir_inst *in, LLVMValueRef *s)
{
	if (in->op == IR_OP_CVT)
		return cg_alu_cvt(g, in, s);
	if (in->type != IR_PRED && ir_type_float(in->type) && in->op <= IR_OP_COPYSIGN)
		return cg_alu_float(g, in, s);
	return cg_alu(g, in, s);
}

/* p, q = cmp(a, b) boolop c */
static bool emit_setp(struct cg *g, const struct ir_inst *in)
{
	LLVMValueRef s[3], c, p, q;

	sources(g, in, !all_uniform(g, in), s);
	c = cg_compare(g, in, s);
	if (!c)
		return false;
	p = c;
	q = LLVMBuildNot(g->b, c, "");
	if (in->boolop != IR_BOOL_NONE && s[2]) {
		LLVMOpcode op = in->boolop == IR_BOOL_AND  ? LLVMAnd
				: in->boolop == IR_BOOL_OR ? LLVMOr
							   : LLVMXor;

		p = LLVMBuildBinOp(g->b, op, p, s[2], "");
		q = LLVMBuildBinOp(g->b, op, q, s[2], "");
	}
	put(g, &in->opnd[0], p);
	put(g, &in->opnd[1], q);
	return true;
}

static bool emit_unpack(struct cg *g, const struct ir_inst *in)
{
	uint32_t bits = ir_type_bits(in->type), part = bits / in->nd;
	LLVMValueRef s, r;

	if (bits > 64 || part < 16)
		return false;
	sources(g, in, !all_uniform(g, in), &s);
	for (uint32_t k = 0; k < in->nd; k++) {
		if (in->opnd[k].kind != IR_OPND_REG)
			continue;
		r = LLVMBuildLShr(g->b, s, cg_const_like(g, s, k * part), "");
		put(g, &in->opnd[k], cg_resize(g, r, part, false));
	}
	return true;
}

/* d, out = a +- b +- c; madc adds a product */
static bool emit_carry(struct cg *g, const struct ir_inst *in)
{
	bool mad = in->op == IR_OP_MADC_LO || in->op == IR_OP_MADC_HI;
	bool vector = !all_uniform(g, in);
	struct ir_inst mul = *in;
	LLVMValueRef s[4], a, b, c, x, y, out;

	if (in->sat || ir_type_bits(in->type) < 32)
		return false;
	sources(g, in, vector, s);
	a = s[0];
	b = s[1];
	c = cg_resize(g, s[mad ? 3 : 2], cg_width(s[0]), false);
	if (mad) {
		mul.op = in->op == IR_OP_MADC_LO ? IR_OP_MUL : IR_OP_MUL_HI;
		a = cg_compute(g, &mul, s);
		b = s[2];
	}
	if (!a)
		return false;
	if (in->op == IR_OP_SUBC) {
		x = LLVMBuildSub(g->b, a, b, "");
		y = LLVMBuildSub(g->b, x, c, "");
		out = LLVMBuildOr(g->b, LLVMBuildICmp(g->b, LLVMIntULT, a, b, ""),
				  LLVMBuildICmp(g->b, LLVMIntULT, x, c, ""), "");
	} else {
		x = LLVMBuildAdd(g->b, a, b, "");
		y = LLVMBuildAdd(g->b, x, c, "");
		out = LLVMBuildOr(g->b, LLVMBuildICmp(g->b, LLVMIntULT, x, a, ""),
				  LLVMBuildICmp(g->b, LLVMIntULT, y, x, ""), "");
	}
	put(g, &in->opnd[0], y);
	put(g, &in->opnd[1], out);
	return true;
}

static bool emit_pure(struct cg *g, const struct ir_inst *in)
{
	static const struct cg_shape line = { .kind = CG_AFF, .groups = 1 };
	struct cg_shape want;
	LLVMValueRef s[MAX_SOURCES], r;
	struct cg_val v;
	bool used = false;

	for (uint32_t k = 0; k < in->nd; k++)
		used |= in->opnd[k].kind == IR_OPND_REG;
	if (!used)
		return true;
	switch (in->op) {
	case IR_OP_SETP:
		return emit_setp(g, in);
	case IR_OP_UNPACK:
		return emit_unpack(g, in);
	case IR_OP_ADDC:
	case IR_OP_SUBC:
	case IR_OP_MADC_LO:
	case IR_OP_MADC_HI:
		return emit_carry(g, in);
	default:
		break;
	}
	if (in->nd != 1 || in->ns > MAX_SOURCES)
		return false;
	want = cg_shape_of(g, in, 0);
	if (want.kind == CG_AFF || want.kind == CG_WIDE) {
		v = cg_affine(g, in, &want);
		cg_write(g, &in->opnd[0], &v);
		return true;
	}
	/* Lanes that differ, and a result that does not: tid.x >> 5. */
	if (want.kind == CG_UNI && !all_uniform(g, in)) {
		v = cg_affine(g, in, &line);
		put(g, &in->opnd[0], v.x[0]);
		return true;
	}
	sources(g, in, want.kind != CG_UNI, s);
	r = cg_compute(g, in, s);
	if (!r)
		return false;
	put(g, &in->opnd[0], cg_resize(g, r, g->regs[in->opnd[0].reg].bits, false));
	return true;
}

static bool wide(const struct cg *g, const struct ir_inst *in)
{
	for (uint32_t k = 0; k < (uint32_t)in->nd + in->ns; k++)
		if (in->opnd[k].kind == IR_OPND_REG && g->regs[in->opnd[k].reg].bits > 64)
			return true;
	return false;
}

static void emit(struct cg *g, const struct ir_inst *in)
{
	bool done = false;

	g->in = in;
	if (wide(g, in)) {
		cg_bridge(g, in);
		return;
	}
	switch (in->op) {
	case IR_OP_LD:
	case IR_OP_ST:
		done = cg_memory(g, in);
		break;
	case IR_OP_ATOM:
	case IR_OP_RED:
		done = cg_atomic(g, in);
		break;
	case IR_OP_SREG:
		done = cg_sreg(g, in);
		break;
	case IR_OP_FENCE:
		LLVMBuildFence(g->b, LLVMAtomicOrderingSequentiallyConsistent, false, "");
		return;
	case IR_OP_PREFETCH:
	case IR_OP_PMEVENT:
	case IR_OP_WARP_SYNC:
		return;
	default:
		done = cg_pure(in) ? emit_pure(g, in) : cg_warp_op(g, in);
		break;
	}
	if (!done)
		cg_bridge(g, in);
}

/* Computing for lanes that do not run is harmless; everything else is jumped over for none. */
static void emit_guarded(struct cg *g, const struct ir_inst *in, const struct cg_val *p)
{
	LLVMValueRef all = g->mask, bits = cg_pred_mask(g, p), none;
	LLVMBasicBlockRef act, skip;
	bool jump = !cg_pure(in) || p->s.kind == CG_UNI;

	if (in->guard_not)
		bits = LLVMBuildNot(g->b, bits, "");
	g->mask = p->s.kind == CG_UNI ? all : LLVMBuildAnd(g->b, all, bits, "guarded");
	g->guarded = p->s.kind != CG_UNI;
	if (jump) {
		act = LLVMAppendBasicBlockInContext(g->lc, g->fn, "guard");
		skip = LLVMAppendBasicBlockInContext(g->lc, g->fn, "skip");
		none = LLVMBuildICmp(g->b, LLVMIntEQ, p->s.kind == CG_UNI ? bits : g->mask,
				     cg_i32(g, 0), "");
		LLVMBuildCondBr(g->b, none, skip, act);
		LLVMPositionBuilderAtEnd(g->b, act);
		emit(g, in);
		LLVMBuildBr(g->b, skip);
		LLVMPositionBuilderAtEnd(g->b, skip);
	} else {
		emit(g, in);
	}
	g->mask = all;
	g->guarded = false;
	g->noted = NULL;
}

void cg_inst(struct cg *g, const struct ir_inst *in, bool bare)
{
	struct ir_operand o = { .kind = IR_OPND_REG, .reg = (uint32_t)in->guard };
	struct cg_val p;

	if (in->guard < 0 || bare) {
		emit(g, in);
		return;
	}
	p = cg_read(g, &o, 1);
	emit_guarded(g, in, &p);
}

/* SPDX-License-Identifier: MIT */
/*
 * cg_warp.c - special registers, and what lanes say to each other: shuffles, votes.
 *
 * Who takes part was settled at the start of the block (cg_func.c).
 */
#include "cuse_dev/backend/soft/llvm/cg.h"

typedef LLVMValueRef V;

/* ---- special registers ---------------------------------------------------------------------- */

/* Thread index along @axis at the start of group @k of the running warp. */
static V tid_at(struct cg *g, uint32_t axis, uint32_t k, uint32_t groups)
{
	const uint32_t *n = g->opt->block;
	V t = LLVMBuildLoad2(g->b, g->i32, g->warp_var, "");

	t = LLVMBuildShl(g->b, t, cg_i32(g, 5), "");
	if (k)
		t = LLVMBuildAdd(g->b, t, cg_i32(g, k * (CG_LANES / groups)), "");
	if (n[1] == 1 && n[2] == 1)
		return axis == 0 ? t : cg_i32(g, 0);
	if (axis == 0)
		return LLVMBuildURem(g->b, t, cg_i32(g, n[0]), "");
	t = LLVMBuildUDiv(g->b, t, cg_i32(g, n[0]), "");
	if (axis == 1)
		return n[2] == 1 ? t : LLVMBuildURem(g->b, t, cg_i32(g, n[1]), "");
	return n[2] == 1 ? cg_i32(g, 0) : LLVMBuildUDiv(g->b, t, cg_i32(g, n[1]), "");
}

static bool emit_tid(struct cg *g, const struct ir_inst *in)
{
	struct cg_val v = { .s = cg_shape_of(g, in, 0) };
	uint32_t axis = in->sub - IR_SREG_TID_X;

	if (v.s.kind == CG_UNI)
		v.u = tid_at(g, axis, 0, 1);
	else if (v.s.kind != CG_AFF)
		return false;
	for (uint32_t k = 0; v.s.kind == CG_AFF && k < v.s.groups; k++)
		v.x[k] = tid_at(g, axis, k, v.s.groups);
	cg_write(g, &in->opnd[0], &v);
	return true;
}

static bool emit_lane_mask(struct cg *g, const struct ir_inst *in)
{
	V e[CG_LANES];
	struct cg_val v;

	for (uint32_t i = 0; i < CG_LANES; i++) {
		uint32_t at = 1u << i;

		switch (in->sub) {
		case IR_SREG_LANEMASK_LE:
			at |= at - 1;
			break;
		case IR_SREG_LANEMASK_LT:
			at = at - 1;
			break;
		case IR_SREG_LANEMASK_GE:
			at = ~(at - 1);
			break;
		case IR_SREG_LANEMASK_GT:
			at = ~(at | (at - 1));
			break;
		default:
			break;
		}
		e[i] = cg_i32(g, at);
	}
	v = cg_value_var(LLVMConstVector(e, CG_LANES));
	cg_write(g, &in->opnd[0], &v);
	return true;
}

bool cg_sreg(struct cg *g, const struct ir_inst *in)
{
	static const uint32_t fields[] = {
		offsetof(struct llvm_ctx, ntid_x),   offsetof(struct llvm_ctx, ntid_y),
		offsetof(struct llvm_ctx, ntid_z),   offsetof(struct llvm_ctx, ctaid_x),
		offsetof(struct llvm_ctx, ctaid_y),  offsetof(struct llvm_ctx, ctaid_z),
		offsetof(struct llvm_ctx, nctaid_x), offsetof(struct llvm_ctx, nctaid_y),
		offsetof(struct llvm_ctx, nctaid_z),
	};
	struct cg_val v = { .s = { .kind = CG_UNI } };

	if (in->opnd[0].kind != IR_OPND_REG)
		return true;
	if (g->regs[in->opnd[0].reg].bits != 32)
		return false;
	switch (in->sub) {
	case IR_SREG_TID_X:
	case IR_SREG_TID_Y:
	case IR_SREG_TID_Z:
		return emit_tid(g, in);
	case IR_SREG_NTID_X:
	case IR_SREG_NTID_Y:
	case IR_SREG_NTID_Z:
	case IR_SREG_CTAID_X:
	case IR_SREG_CTAID_Y:
	case IR_SREG_CTAID_Z:
	case IR_SREG_NCTAID_X:
	case IR_SREG_NCTAID_Y:
	case IR_SREG_NCTAID_Z:
		if (in->sub <= IR_SREG_NTID_Z && g->opt->block[0])
			v.u = cg_i32(g, g->opt->block[in->sub - IR_SREG_NTID_X]);
		else
			v.u = cg_field(g, fields[in->sub - IR_SREG_NTID_X], g->i32,
				       ir_sreg_text(in->sub) + 1);
		break;
	case IR_SREG_LANEID:
		v.s = cg_shape_of(g, in, 0);
		v.x[0] = cg_i32(g, 0);
		break;
	case IR_SREG_WARPID:
		v.u = LLVMBuildLoad2(g->b, g->i32, g->warp_var, "warpid");
		break;
	case IR_SREG_LANEMASK_EQ:
	case IR_SREG_LANEMASK_LE:
	case IR_SREG_LANEMASK_LT:
	case IR_SREG_LANEMASK_GE:
	case IR_SREG_LANEMASK_GT:
		return emit_lane_mask(g, in);
	default:
		return false;
	}
	cg_write(g, &in->opnd[0], &v);
	return true;
}

/* ---- shuffles ------------------------------------------------------------------------------- */

/* The lane that lane i reads from when distance and limits are known; false: from itself. */
static bool shuffle_from(uint32_t mode, uint32_t i, uint32_t b, uint32_t c, uint32_t *ret_from)
{
	uint32_t clamp = c & 31, seg = c >> 8 & 31, n = b & 31, max = (i & seg) | (clamp & ~seg), j;
	bool ok;

	switch (mode & 3) {
	case IR_SHFL_UP:
		j = i - n;
		ok = (int32_t)j >= (int32_t)max;
		break;
	case IR_SHFL_DOWN:
		j = i + n;
		ok = j <= max;
		break;
	case IR_SHFL_BFLY:
		j = i ^ n;
		ok = j <= max;
		break;
	default:
		j = (i & seg) | (n & ~seg);
		ok = j <= max;
		break;
	}
	*ret_from = ok ? j & 31 : i;
	return ok;
}

static void put(struct cg *g, const struct ir_operand *o, V v)
{
	struct cg_val r = cg_is_vector(v) ? cg_value_var(v) : cg_value_uni(v);

	cg_write(g, o, &r);
}

static V shuffled(struct cg *g, const struct ir_inst *in)
{
	const struct ir_operand *o = &in->opnd[in->nd], *d = in->opnd;
	struct cg_val a = cg_read(g, o, 32);
	V v = cg_vector(g, &a);

	if (o->kind == IR_OPND_REG && g->regs[o->reg].s.raw &&
	    !(d->kind == IR_OPND_REG && g->regs[d->reg].s.raw))
		v = cg_canonical(g, v);
	return v;
}

/* v[from[i]] in each lane i. */
/* Numbers from @first on, as many as @n. */
static V row(struct cg *g, uint32_t first, uint32_t n)
{
	V all[CG_LANES];

	for (uint32_t i = 0; i < n; i++)
		all[i] = cg_i32(g, first + i);
	return LLVMConstVector(all, n);
}

static V half(struct cg *g, V v, uint32_t k)
{
	return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(LLVMTypeOf(v)),
				      row(g, k * CG_LANES / 2, CG_LANES / 2), "");
}

/* v[from[i]] in each lane i: through memory, or one instruction for 16 lanes. */
static V permute(struct cg *g, V v, V from)
{
	LLVMTypeRef over[2] = { LLVMTypeOf(v) };
	V a[4], r[2];

	if (!g->avx512) {
		LLVMBuildStore(g->b, v, g->room[0]);
		a[0] = LLVMBuildGEP2(g->b, g->i32, g->room[0], &from, 1, "");
		a[1] = cg_i32(g, 4);
		a[2] = LLVMConstAllOnes(cg_vec(g->i1));
		a[3] = LLVMGetPoison(over[0]);
		over[1] = LLVMTypeOf(a[0]);
		return cg_intrinsic(g, "llvm.masked.gather", over, 2, a, 4);
	}
	a[0] = half(g, v, 0);
	a[2] = half(g, v, 1);
	for (uint32_t k = 0; k < 2; k++) {
		a[1] = half(g, from, k);
		r[k] = cg_intrinsic(g, "llvm.x86.avx512.vpermi2var.d.512", NULL, 0, a, 3);
	}
	return LLVMBuildShuffleVector(g->b, r[0], r[1], row(g, 0, CG_LANES), "shfl");
}

/* As shuffle_from(), for distances and limits that are known when the code runs. */
static V shuffle_lanes(struct cg *g, uint32_t mode, V n, V c, V *ret_ok)
{
	V i = row(g, 0, CG_LANES), low = cg_const_like(g, i, 31), seg, rest, max, j;

	n = LLVMBuildAnd(g->b, n, low, "");
	seg = LLVMBuildAnd(g->b, LLVMBuildLShr(g->b, c, cg_const_like(g, c, 8), ""), low, "");
	rest = LLVMBuildNot(g->b, seg, "");
	max = LLVMBuildOr(g->b, LLVMBuildAnd(g->b, i, seg, ""),
			  LLVMBuildAnd(g->b, LLVMBuildAnd(g->b, c, low, ""), rest, ""), "");
	switch (mode & 3) {
	case IR_SHFL_UP:
		j = LLVMBuildSub(g->b, i, n, "");
		break;
	case IR_SHFL_DOWN:
		j = LLVMBuildAdd(g->b, i, n, "");
		break;
	case IR_SHFL_BFLY:
		j = LLVMBuildXor(g->b, i, n, "");
		break;
	default:
		j = LLVMBuildOr(g->b, LLVMBuildAnd(g->b, i, seg, ""),
				LLVMBuildAnd(g->b, n, rest, ""), "");
		break;
	}
	*ret_ok =
		LLVMBuildICmp(g->b, (mode & 3) == IR_SHFL_UP ? LLVMIntSGE : LLVMIntULE, j, max, "");
	return LLVMBuildSelect(g->b, *ret_ok, LLVMBuildAnd(g->b, j, low, ""), i, "from");
}

static V read_vector(struct cg *g, const struct ir_operand *o)
{
	struct cg_val v = cg_read(g, o, 32);

	return cg_vector(g, &v);
}

static bool emit_shuffle(struct cg *g, const struct ir_inst *in)
{
	const struct ir_operand *o = &in->opnd[in->nd];
	V pick[CG_LANES], ok[CG_LANES], v, from;

	if (!ir_is_number(&o[1]) || !ir_is_number(&o[2])) {
		from = shuffle_lanes(g, in->sub, read_vector(g, &o[1]), read_vector(g, &o[2]), ok);
		v = permute(g, shuffled(g, in), from);
		put(g, &in->opnd[0], v);
		put(g, &in->opnd[1], ok[0]);
		return true;
	}
	for (uint32_t i = 0; i < CG_LANES; i++) {
		uint32_t lane;

		ok[i] = LLVMConstInt(
			g->i1,
			shuffle_from(in->sub, i, (uint32_t)o[1].imm, (uint32_t)o[2].imm, &lane),
			false);
		pick[i] = cg_i32(g, lane);
	}
	v = shuffled(g, in);
	v = LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(LLVMTypeOf(v)),
				   LLVMConstVector(pick, CG_LANES), "shfl");
	put(g, &in->opnd[0], v);
	put(g, &in->opnd[1], LLVMConstVector(ok, CG_LANES));
	return true;
}

/* ---- votes ---------------------------------------------------------------------------------- */

static bool emit_vote(struct cg *g, const struct ir_inst *in)
{
	const struct ir_operand *o = &in->opnd[in->nd];
	struct cg_val p = cg_read(g, &o[0], 1), members;
	V m = g->mask, v, all, low, r;

	if (o[1].kind != IR_OPND_NONE) {
		members = cg_read(g, &o[1], 32);
		low = LLVMBuildAnd(g->b, m, LLVMBuildNeg(g->b, m, ""), "");
		v = members.s.kind == CG_UNI ? members.u : cg_first_lane(g, cg_vector(g, &members));
		m = LLVMBuildAnd(g->b, m, LLVMBuildOr(g->b, v, low, ""), "");
	}
	v = LLVMBuildAnd(g->b, cg_pred_mask(g, &p), m, "");
	all = LLVMBuildICmp(g->b, LLVMIntEQ, v, m, "");
	switch (in->sub) {
	case IR_VOTE_ALL:
		r = all;
		break;
	case IR_VOTE_ANY:
		r = LLVMBuildICmp(g->b, LLVMIntNE, v, cg_i32(g, 0), "");
		break;
	case IR_VOTE_UNI:
		r = LLVMBuildOr(g->b, all, LLVMBuildICmp(g->b, LLVMIntEQ, v, cg_i32(g, 0), ""), "");
		break;
	default:
		r = v;
		break;
	}
	put(g, &in->opnd[0], r);
	return true;
}

bool cg_warp_op(struct cg *g, const struct ir_inst *in)
{
	switch (in->op) {
	case IR_OP_SHFL:
		return emit_shuffle(g, in);
	case IR_OP_VOTE:
		return emit_vote(g, in);
	case IR_OP_ACTIVEMASK:
		put(g, &in->opnd[0], g->mask);
		return true;
	case IR_OP_FRAME_ADDR:
		/* The kernel's own frame starts at 0. */
		if (in->opnd[0].kind == IR_OPND_REG)
			put(g, &in->opnd[0],
			    LLVMConstInt(cg_int(g, g->regs[in->opnd[0].reg].bits),
					 (uint64_t)in->offset, false));
		return true;
	default:
		return false;
	}
}

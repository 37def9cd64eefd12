/* SPDX-License-Identifier: MIT */
/*
 * decode_warp.c - instructions at which lanes wait for others, or go on elsewhere: votes and shuffles,
 * matrices, barriers, calls. They have segments of their own.
 */
#include <errno.h>

#include "cuse_dev/backend/soft/interp/decode.h"
#include "cuse_dev/backend/soft/interp/matrix.h"

/* Which source is the mask of members, or -1. */
int decode_member_source(const struct ir_inst *in)
{
	switch (in->op) {
	case IR_OP_SHFL:
		return 3;
	case IR_OP_VOTE:
	case IR_OP_MATCH_ANY:
	case IR_OP_MATCH_ALL:
	case IR_OP_REDUX:
		return 1;
	case IR_OP_ELECT:
	case IR_OP_WARP_SYNC:
		return 0;
	default:
		return ir_op_is_matrix(in->op) ? 0 : -1;
	}
}

static void decode_shfl(struct dec *d)
{
	int32_t a = decode_vec_src(d, 0, 32), b = decode_vec_src(d, 1, 32),
		c = decode_vec_src(d, 2, 32);
	struct interp_inst *p = emit_vec(d, VEC_X_shfl);

	if (!p)
		return;
	p->d = dst_off(d, 0);
	p->e = dst_off(d, 1);
	p->a = a;
	p->b = b;
	p->c = c;
	p->imm = d->in->sub;
}

static void decode_vote(struct dec *d)
{
	int32_t a = decode_pred_src(d, 0), b = NO_REG;
	struct interp_inst *p;

	if (src(d, 1)->kind != IR_OPND_NONE)
		b = decode_vec_src(d, 1, 32);
	p = emit_vec(d, VEC_X_vote);
	if (!p)
		return;
	p->d = dst_off(d, 0);
	p->a = a;
	p->b = b;
	p->imm = d->in->sub;
}

static const struct rt_mma_ops *mma_ops(const interp_fn *handlers)
{
	if (handlers == interp_vec_handlers())
		return rt_mma_ops();
#ifdef __x86_64__
	if (handlers == interp_vec_avx512)
		return &rt_mma_avx512;
	if (handlers == interp_vec_avx2)
		return &rt_mma_avx2;
#endif
	return &rt_mma_sse2;
}

/* 32 lanes of an immediate, as a register would hold them. */
static const void *fixed_lanes(struct dec *d, const struct ir_operand *o)
{
	bool wide = d->in->aux->mma.a == IR_MAT_F64;
	uint32_t *p = arena_alloc(d->arena, 2 * LANES_N * sizeof(*p));

	for (uint32_t i = 0; p && i < 2 * LANES_N; i++)
		p[i] = (uint32_t)(wide && i % 2 ? o->imm >> 32 : o->imm);
	return p;
}

static void decode_matrix(struct dec *d)
{
	static const interp_fn fns[] = {
		[IR_OP_MMA - IR_OP_MMA] = interp_op_mma,
		[IR_OP_LDMATRIX - IR_OP_MMA] = interp_op_ldmatrix,
		[IR_OP_STMATRIX - IR_OP_MMA] = interp_op_stmatrix,
		[IR_OP_MOVMATRIX - IR_OP_MMA] = interp_op_movmatrix,
		[IR_OP_WMMA_LD - IR_OP_MMA] = interp_op_wmma_ld,
		[IR_OP_WMMA_ST - IR_OP_MMA] = interp_op_wmma_st,
		[IR_OP_WGMMA - IR_OP_MMA] = interp_op_wgmma,
	};
	const struct ir_inst *in = d->in;
	uint32_t n = (uint32_t)in->nd + in->ns;
	struct interp_mma *m = arena_alloc(d->arena, sizeof(*m));
	struct interp_ext *x = decode_make_ext(d);
	struct interp_inst *p;

	if (m)
		m->fixed = arena_alloc(d->arena, n * sizeof(*m->fixed));
	if (!m || !x || !m->fixed) {
		d->error = d->error ? d->error : -ENOMEM;
		return;
	}
	m->x = in->aux->mma;
	ir_mma_valid(in->op, &m->x, &m->regs);
	m->ops = mma_ops(d->vec);
	x->mma = m;
	for (uint32_t i = in->nd; i < n; i++) {
		if (in->opnd[i].kind == IR_OPND_REG)
			continue;
		m->fixed[i] = fixed_lanes(d, &in->opnd[i]);
		if (!m->fixed[i])
			d->error = d->error ? d->error : -ENOMEM;
	}
	p = decode_emit(d, fns[in->op - IR_OP_MMA]);
	if (p)
		p->ext = x;
	if (in->op == IR_OP_LDMATRIX || in->op == IR_OP_STMATRIX)
		decode_set_place(d, p, 1, 16, src(d, 1));
	else if (in->op == IR_OP_WMMA_LD || in->op == IR_OP_WMMA_ST)
		decode_set_place(d, p, 1, 1, src(d, 1));
	else if (in->op == IR_OP_WGMMA && p)
		p->space = in->space;
}

/* Instructions at which lanes wait for others of their warp. */
static void decode_warp_op(struct dec *d)
{
	int m = decode_member_source(d->in);
	struct interp_inst *p;

	if (m >= 0 && src(d, (uint32_t)m)->kind != IR_OPND_NONE) {
		uint32_t at = decode_new_seg(d);
		const struct ir_operand *o = src(d, (uint32_t)m);

		decode_place_seg(d, at);
		p = decode_emit(d, interp_op_sync);
		if (p) {
			p->seg = at;
			p->a = o->kind == IR_OPND_REG ? d->off[o->reg] : NO_REG;
			p->imm = o->imm;
		}
	}
	if (d->in->op == IR_OP_SHFL)
		decode_shfl(d);
	else if (d->in->op == IR_OP_VOTE)
		decode_vote(d);
	else if (ir_op_is_matrix(d->in->op))
		decode_matrix(d);
	else if (d->in->op != IR_OP_WARP_SYNC)
		decode_emit_ext(d, interp_op_misc);
}

static void decode_call(struct dec *d, uint32_t after)
{
	const struct ir_inst *in = d->in;
	struct interp_ext *x = decode_make_ext(d);
	struct interp_inst *p;

	if (!x || !decode_copy_slots(d, in->aux->args, in->aux->count, &x->args) ||
	    !decode_copy_slots(d, in->aux->rets, in->aux->nrets, &x->rets))
		return;
	x->nargs = in->aux->count;
	x->nrets = in->aux->nrets;
	p = decode_emit(d, in->op == IR_OP_CALL ? interp_call : interp_call_indirect);
	if (p) {
		p->ext = x;
		p->imm = in->aux->func;
		p->seg = after;
	}
}

bool decode_stops_lanes(const struct ir_inst *in)
{
	switch (in->op) {
	case IR_OP_CALL:
	case IR_OP_CALL_INDIRECT:
	case IR_OP_BAR:
	case IR_OP_CLUSTER_WAIT:
		return true;
	default:
		return decode_member_source(in) >= 0;
	}
}

/* Operations after which lanes go on elsewhere or later: they stand on their own, with segments. */
void decode_stopping(struct dec *d)
{
	const struct ir_inst *in = d->in;
	uint32_t around = 0, after;
	struct interp_inst *p;

	if (in->guard >= 0) {
		uint32_t at = decode_new_seg(d);

		around = d->n;
		p = emit_vec(d, VEC_X_branch);
		if (!p)
			return;
		p->a = d->off[in->guard];
		p->flags = in->guard_not ? INTERP_NOT : 0;
		p->seg = at;
		decode_place_seg(d, at);
	}
	if (decode_member_source(in) >= 0) {
		decode_warp_op(d);
		if (in->guard < 0)
			return;
		after = decode_new_seg(d);
	} else {
		after = decode_new_seg(d);
		if (in->op == IR_OP_CALL || in->op == IR_OP_CALL_INDIRECT) {
			decode_call(d, after);
		} else {
			p = decode_emit_ext(d, in->op == IR_OP_BAR ? interp_op_bar
								   : interp_op_cluster_wait);
			if (p)
				p->seg = after;
		}
	}
	if (in->guard >= 0) {
		d->insts[around].seg2 = after;
		p = emit_vec(d, VEC_X_jump);
		if (p)
			p->seg = after;
	}
	decode_place_seg(d, after);
}

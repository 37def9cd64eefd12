/* SPDX-License-Identifier: MIT */
/*
 * cg_func.c - the function that runs warps: allocas, the loop over warps, blocks and their ends.
 *
 *	for (warp = first; warp < last; warp++) {
 *		mask = lanes of the warp
 *		block 0, 1, ...		each: mask |= pending[block]; pending[block] = 0; instructions
 *		dispatch:		the runtime picks the next block (rare, see cg_frontier.c)
 *	}
 *
 * Kernels with barriers: see cg_phase.c.
 *
 * A jump to block t first runs blocks before t where lanes wait: pending[t] |= mask; on to that block.
 * Which blocks these can be is known (order), usually none or one. The mask is never empty in a block.
 */
#include <errno.h>
#include <stdio.h>

#include "cuse_dev/backend/soft/llvm/cg.h"
#include "cuse_dev/base/arena.h"

typedef LLVMValueRef V;

#define MOST_ASIDES 6u /* ways into a slow copy; each costs phis for all that is live */
#define MOST_COPIED                                                                                \
	200u /* instructions of a block that has one: LLVM looks at all of it for each register */
#define MOST_CHECKS 4u /* blocks looked at in line; more go through the dispatcher */

static V load32(struct cg *g, V at)
{
	return LLVMBuildLoad2(g->b, g->i32, at, "");
}

static LLVMBasicBlockRef new_block(struct cg *g, const char *name)
{
	return LLVMAppendBasicBlockInContext(g->lc, g->fn, name);
}

static V pending_at(struct cg *g, uint32_t block)
{
	V i = cg_i64(g, (uint64_t)block * 4);

	return LLVMBuildGEP2(g->b, g->i8, g->pending, &i, 1, "");
}

static void add_pending(struct cg *g, uint32_t block, V lanes)
{
	V at = pending_at(g, block);

	LLVMBuildStore(g->b, LLVMBuildOr(g->b, load32(g, at), lanes, ""), at);
}

void cg_likely(struct cg *g, V br)
{
	V v[3] = { LLVMMDStringInContext(g->lc, "branch_weights", 14), cg_i32(g, 2000),
		   cg_i32(g, 1) };

	LLVMSetMetadata(br, LLVMGetMDKindIDInContext(g->lc, "prof", 4),
			LLVMMDNodeInContext(g->lc, v, 3));
}

static void unlikely(struct cg *g, V br)
{
	V v[3] = { LLVMMDStringInContext(g->lc, "branch_weights", 14), cg_i32(g, 1),
		   cg_i32(g, 2000) };

	LLVMSetMetadata(br, LLVMGetMDKindIDInContext(g->lc, "prof", 4),
			LLVMMDNodeInContext(g->lc, v, 3));
}

/* ---- leaving a block ------------------------------------------------------------------------ */

static void to_dispatch(struct cg *g)
{
	g->dispatches = true;
	LLVMBuildStore(g->b, cg_i32(g, 0), g->mask_var);
	LLVMBuildBr(g->b, g->dispatch);
}

/* To block @k if lanes wait there; else go on at the returned position. */
static void check_waiting(struct cg *g, uint32_t k)
{
	LLVMBasicBlockRef go = new_block(g, "waiting"), on = new_block(g, "on");
	V some = LLVMBuildICmp(g->b, LLVMIntNE, load32(g, pending_at(g, k)), cg_i32(g, 0), "");

	LLVMBuildCondBr(g->b, some, go, on);
	LLVMPositionBuilderAtEnd(g->b, go);
	LLVMBuildStore(g->b, cg_i32(g, 0), g->mask_var);
	LLVMBuildBr(g->b, g->blocks[k].bb);
	LLVMPositionBuilderAtEnd(g->b, on);
}

/* After many back edges: cancelled? Others of the warp, or of the block, may need a turn. */
static void count_back_edge(struct cg *g, uint32_t t, V lanes)
{
	bool turns = g->blocks[g->block].turns;
	LLVMBasicBlockRef look = new_block(g, "look"), on = new_block(g, "on");
	V left = LLVMBuildSub(g->b, load32(g, g->budget_var),
			      cg_i32(g, turns ? LLVM_BUDGET / LLVM_BUDGET_POLLS : 1), "");
	V none, other = cg_i32(g, turns && !cg_converged(g, g->block) ? t + 1 : 0);

	LLVMBuildStore(g->b, left, g->budget_var);
	none = LLVMBuildICmp(g->b, LLVMIntSLE, left, cg_i32(g, 0), "");
	unlikely(g, LLVMBuildCondBr(g->b, none, look, on));
	LLVMPositionBuilderAtEnd(g->b, look);
	none = cg_runtime(g, CG_RT_look, g->i32, &other, 1);
	LLVMBuildStore(g->b, CG_FIELD(g, budget, i32), g->budget_var);
	if (turns && !cg_converged(g, g->block)) {
		LLVMBasicBlockRef turn = new_block(g, "turn");

		none = LLVMBuildICmp(g->b, LLVMIntNE, none, cg_i32(g, 0), "");
		LLVMBuildCondBr(g->b, none, turn, on);
		LLVMPositionBuilderAtEnd(g->b, turn);
		add_pending(g, t, lanes);
		to_dispatch(g);
	} else {
		LLVMBuildBr(g->b, on);
	}
	LLVMPositionBuilderAtEnd(g->b, on);
}

/* @lanes, which are not none, go to block @t. */
static void jump(struct cg *g, uint32_t t, V lanes)
{
	const struct cg_block *b = &g->blocks[g->block];
	uint32_t n = 0, k;

	cg_phase_edge(g, t);
	if (t <= g->block)
		count_back_edge(g, t, lanes);
	for (k = cg_bits_next(b->order, g->block_words, 0); k < t;
	     k = cg_bits_next(b->order, g->block_words, k + 1))
		n++;
	if (n) {
		add_pending(g, t, lanes);
		if (n > MOST_CHECKS) {
			to_dispatch(g);
			return;
		}
		for (k = cg_bits_next(b->order, g->block_words, 0); k < t;
		     k = cg_bits_next(b->order, g->block_words, k + 1))
			check_waiting(g, k);
		LLVMBuildStore(g->b, cg_i32(g, 0), g->mask_var);
	} else {
		LLVMBuildStore(g->b, lanes, g->mask_var);
	}
	LLVMBuildBr(g->b, g->blocks[t].bb);
}

static void tell_exit(struct cg *g, V lanes)
{
	if (g->exits_count)
		cg_runtime(g, CG_RT_exit, LLVMVoidTypeInContext(g->lc), &lanes, 1);
}

/* Nobody goes on from here: who waits, or the end of the warp. */
static void nobody_left(struct cg *g)
{
	const struct cg_block *b = &g->blocks[g->block];
	uint32_t n = 0, k;

	for (k = cg_bits_next(b->order, g->block_words, 0); k != UINT32_MAX;
	     k = cg_bits_next(b->order, g->block_words, k + 1))
		n++;
	if (n > MOST_CHECKS || cg_bits_any(b->park, g->block_words)) {
		to_dispatch(g);
		return;
	}
	for (k = cg_bits_next(b->order, g->block_words, 0); n && k != UINT32_MAX;
	     k = cg_bits_next(b->order, g->block_words, k + 1))
		check_waiting(g, k);
	LLVMBuildBr(g->b, g->warp_end);
}

static void end_lanes(struct cg *g)
{
	if (!cg_converged(g, g->block))
		tell_exit(g, g->mask);
	nobody_left(g);
}

/* A target that only ends: its lanes are gone at once. */
static void branch_to_end(struct cg *g, uint32_t other, V stay, V leave)
{
	LLVMBasicBlockRef go = new_block(g, "stay"), out = new_block(g, "gone");
	V none = LLVMBuildICmp(g->b, LLVMIntEQ, stay, cg_i32(g, 0), "");

	LLVMBuildCondBr(g->b, none, out, go);
	LLVMPositionBuilderAtEnd(g->b, out);
	end_lanes(g);
	LLVMPositionBuilderAtEnd(g->b, go);
	if (g->exits_count) {
		LLVMBasicBlockRef some = new_block(g, "leave"), on = new_block(g, "on");

		none = LLVMBuildICmp(g->b, LLVMIntEQ, leave, cg_i32(g, 0), "");
		LLVMBuildCondBr(g->b, none, on, some);
		LLVMPositionBuilderAtEnd(g->b, some);
		tell_exit(g, leave);
		LLVMBuildBr(g->b, on);
		LLVMPositionBuilderAtEnd(g->b, on);
	}
	jump(g, other, stay);
}

static void branch_apart(struct cg *g, uint32_t lo, uint32_t hi, V to_lo, V to_hi)
{
	LLVMBasicBlockRef all_lo = new_block(g, "all_lo"), not_lo = new_block(g, "not_lo");
	LLVMBasicBlockRef all_hi = new_block(g, "all_hi"), both = new_block(g, "both");
	V none = LLVMBuildICmp(g->b, LLVMIntEQ, to_hi, cg_i32(g, 0), "");

	LLVMBuildCondBr(g->b, none, all_lo, not_lo);
	LLVMPositionBuilderAtEnd(g->b, not_lo);
	none = LLVMBuildICmp(g->b, LLVMIntEQ, to_lo, cg_i32(g, 0), "");
	LLVMBuildCondBr(g->b, none, all_hi, both);
	LLVMPositionBuilderAtEnd(g->b, both);
	cg_phase_edge(g, hi);
	add_pending(g, hi, to_hi);
	jump(g, lo, to_lo);
	LLVMPositionBuilderAtEnd(g->b, all_lo);
	jump(g, lo, g->mask);
	LLVMPositionBuilderAtEnd(g->b, all_hi);
	jump(g, hi, g->mask);
}

static void end_branch(struct cg *g, const struct cg_block *b)
{
	struct ir_operand o = { .kind = IR_OPND_REG, .reg = b->pred };
	struct cg_val p = cg_read(g, &o, 1);
	uint32_t yes = b->targets[b->pred_not ? 1 : 0], no = b->targets[b->pred_not ? 0 : 1];
	V bits, t, n;

	if (p.s.kind == CG_UNI || b->uni) {
		LLVMBasicBlockRef y = new_block(g, "yes"), x = new_block(g, "no");

		t = p.u;
		if (p.s.kind != CG_UNI)
			t = LLVMBuildICmp(g->b, LLVMIntNE,
					  LLVMBuildAnd(g->b, cg_pred_mask(g, &p), g->mask, ""),
					  cg_i32(g, 0), "");
		LLVMBuildCondBr(g->b, t, y, x);
		LLVMPositionBuilderAtEnd(g->b, y);
		jump(g, yes, g->mask);
		LLVMPositionBuilderAtEnd(g->b, x);
		jump(g, no, g->mask);
		return;
	}
	bits = cg_pred_mask(g, &p);
	t = LLVMBuildAnd(g->b, g->mask, bits, "");
	n = LLVMBuildAnd(g->b, g->mask, LLVMBuildNot(g->b, bits, ""), "");
	if (g->blocks[yes].ends && g->blocks[no].ends)
		end_lanes(g);
	else if (g->blocks[yes].ends)
		branch_to_end(g, no, n, t);
	else if (g->blocks[no].ends)
		branch_to_end(g, yes, t, n);
	else if (yes < no)
		branch_apart(g, yes, no, t, n);
	else
		branch_apart(g, no, yes, n, t);
}

/* ---- brx.idx -------------------------------------------------------------------------------- */

static void check_index(struct cg *g, const struct cg_block *b, V bad)
{
	LLVMBasicBlockRef fault = new_block(g, "bad_index"), on = new_block(g, "on");
	V args[2] = { bad, cg_i32(g, b->line) };
	V none = LLVMBuildICmp(g->b, LLVMIntEQ, bad, cg_i32(g, 0), "");

	cg_likely(g, LLVMBuildCondBr(g->b, none, on, fault));
	LLVMPositionBuilderAtEnd(g->b, fault);
	cg_runtime(g, CG_RT_bad_switch, LLVMVoidTypeInContext(g->lc), args, 2);
	LLVMBuildUnreachable(g->b);
	LLVMPositionBuilderAtEnd(g->b, on);
}

static void end_switch(struct cg *g, const struct cg_block *b)
{
	struct ir_operand o = { .kind = IR_OPND_REG, .reg = b->pred };
	struct cg_val p = cg_read(g, &o, 32);
	V v, bad;

	if (p.s.kind == CG_UNI) {
		LLVMBasicBlockRef none = new_block(g, "none"), to;

		bad = LLVMBuildICmp(g->b, LLVMIntUGE, p.u, cg_i32(g, b->ntargets), "");
		check_index(g, b, LLVMBuildSelect(g->b, bad, g->mask, cg_i32(g, 0), ""));
		v = LLVMBuildSwitch(g->b, p.u, none, b->ntargets);
		LLVMPositionBuilderAtEnd(g->b, none);
		LLVMBuildUnreachable(g->b);
		for (uint32_t i = 0; i < b->ntargets; i++) {
			to = new_block(g, "case");
			LLVMAddCase(v, cg_i32(g, i), to);
			LLVMPositionBuilderAtEnd(g->b, to);
			jump(g, b->targets[i], g->mask);
		}
		return;
	}
	v = cg_vector(g, &p);
	bad = LLVMBuildICmp(g->b, LLVMIntUGE, v, cg_const_like(g, v, b->ntargets), "");
	check_index(g, b, LLVMBuildAnd(g->b, cg_mask_from_vector(g, bad), g->mask, ""));
	for (uint32_t i = 0; i < b->ntargets; i++) {
		V is = LLVMBuildICmp(g->b, LLVMIntEQ, v, cg_const_like(g, v, i), "");

		cg_phase_edge(g, b->targets[i]);
		add_pending(g, b->targets[i],
			    LLVMBuildAnd(g->b, cg_mask_from_vector(g, is), g->mask, ""));
	}
	to_dispatch(g);
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* Lanes that name the members that the first one names go on; the others come to this block again. */
static V same_members(struct cg *g, V members)
{
	V first = cg_first_lane(g, members), same, others;

	same = LLVMBuildICmp(g->b, LLVMIntEQ, members, cg_splat(g, first), "");
	same = LLVMBuildAnd(g->b, cg_mask_from_vector(g, same), g->mask, "same");
	others = LLVMBuildAnd(g->b, g->mask, LLVMBuildNot(g->b, same, ""), "");
	LLVMBuildStore(g->b, others, pending_at(g, g->block));
	g->mask = same;
	return first;
}

/* The lanes that run want others: they go on when those have come too. */
static void want_members(struct cg *g, const struct cg_block *b)
{
	const struct ir_inst *in = &b->insts[0];
	const struct ir_operand *o = &in->opnd[in->nd + (uint32_t)cg_members(in)];
	LLVMBasicBlockRef ask, park, on;
	struct cg_val members;
	V args[3], miss, alive;

	if (cg_converged(g, g->block))
		return;
	ask = new_block(g, "ask");
	park = new_block(g, "park");
	on = new_block(g, "on");
	members = cg_read(g, o, 32);
	if (cg_members_differ(g, b))
		members = cg_value_uni(same_members(g, cg_vector(g, &members)));
	alive = LLVMBuildAnd(g->b, CG_FIELD(g, lanes, i32),
			     LLVMBuildNot(g->b, CG_FIELD(g, exited, i32), ""), "");
	miss = LLVMBuildAnd(g->b, LLVMBuildAnd(g->b, members.u, alive, ""),
			    LLVMBuildNot(g->b, g->mask, ""), "");
	miss = LLVMBuildOr(g->b, miss, CG_FIELD(g, sync_ok, i32), "");
	miss = LLVMBuildICmp(g->b, LLVMIntEQ, miss, cg_i32(g, 0), "");
	cg_likely(g, LLVMBuildCondBr(g->b, miss, on, ask));
	LLVMPositionBuilderAtEnd(g->b, ask);
	args[0] = cg_i32(g, g->block);
	args[1] = g->mask;
	args[2] = members.u;
	miss = cg_runtime(g, CG_RT_sync, g->i32, args, 3);
	miss = LLVMBuildICmp(g->b, LLVMIntEQ, miss, cg_i32(g, 0), "");
	LLVMBuildCondBr(g->b, miss, park, on);
	LLVMPositionBuilderAtEnd(g->b, park);
	to_dispatch(g);
	LLVMPositionBuilderAtEnd(g->b, on);
}

static V bar_source(struct cg *g, const struct ir_inst *in, uint32_t i)
{
	struct cg_val v;

	if (i >= in->ns || in->opnd[in->nd + i].kind == IR_OPND_NONE)
		return cg_i32(g, 0);
	v = cg_read(g, &in->opnd[in->nd + i], i == 2 ? 1 : 32);
	if (i == 2)
		return cg_pred_mask(g, &v);
	if (v.s.kind == CG_UNI)
		return v.u;
	cg_fail(g, -ENOTSUP, "%u: a barrier whose number or count may differ between threads",
		in->line);
	return cg_i32(g, 0);
}

static void bar_result(struct cg *g, const struct ir_inst *in, V v)
{
	struct cg_val r;

	if (!in->nd)
		return;
	if (in->sub == IR_BAR_RED_POPC)
		v = LLVMBuildAnd(g->b, v, cg_i32(g, ~SIMT_VALUE_ALL), "");
	else if (in->sub == IR_BAR_RED_AND)
		v = LLVMBuildICmp(g->b, LLVMIntSLT, v, cg_i32(g, 0), "");
	else
		v = LLVMBuildICmp(g->b, LLVMIntNE,
				  LLVMBuildAnd(g->b, v, cg_i32(g, ~SIMT_VALUE_ALL), ""),
				  cg_i32(g, 0), "");
	r = cg_value_uni(v);
	cg_write(g, &in->opnd[0], &r);
}

/* Says whether lanes go on behind it (else they are parked and come back at the next block). */
static bool barrier(struct cg *g, const struct ir_inst *in, uint32_t next)
{
	uint32_t flags = LLVM_BAR_WAIT | (in->op == IR_OP_CLUSTER_WAIT ? LLVM_BAR_CLUSTER : 0);
	V id = bar_source(g, in, 0), count = bar_source(g, in, 1), preds = bar_source(g, in, 2),
	  args[5];

	args[0] = id;
	args[1] = count;
	args[2] = g->mask;
	if (g->phases) {
		bar_result(g, in, cg_phase_wait(g, preds));
		return true;
	}
	cg_set_field(g, offsetof(struct llvm_ctx, line), cg_i32(g, in->line));
	if (cg_converged(g, g->block)) {
		args[3] = preds;
		args[4] = cg_i32(g, flags);
		bar_result(g, in, cg_runtime(g, CG_RT_bar, g->i32, args, 5));
		return true;
	}
	if (in->nd)
		cg_fail(g, -ENOTSUP, "%u: bar.red in diverged code", in->line);
	args[3] = cg_i32(g, next);
	args[4] = cg_i32(g, flags);
	cg_runtime(g, CG_RT_bar_park, LLVMVoidTypeInContext(g->lc), args, 5);
	to_dispatch(g);
	return false;
}

/* ---- blocks --------------------------------------------------------------------------------- */

bool cg_may_aside(const struct cg *g)
{
	return g->aside && g->opt->level != LLVM_QUICK &&
	       g->blocks[g->block].count <= MOST_COPIED &&
	       (g->aside[g->at] || g->nasides < MOST_ASIDES);
}

LLVMBasicBlockRef cg_aside(struct cg *g)
{
	if (!g->aside[g->at]) {
		g->aside[g->at] = new_block(g, "aside");
		g->nasides++;
	}
	return g->aside[g->at];
}

/*
 * The instructions of a block: once with the fast forms of accesses, and from the first access on a second time,
 * all of them through the bridge. Who fails a check goes on there. So the fast copy is straight code, in which
 * what was checked stays so. After many checks, accesses take the slow way one by one.
 */
static void instructions(struct cg *g, const struct cg_block *b, uint32_t count)
{
	LLVMBasicBlockRef *aside = arena_alloc(g->arena, count * sizeof(*aside) + 1), tail;
	uint32_t first = 0;

	if (!aside) {
		cg_fail(g, -ENOMEM, "out of memory");
		return;
	}
	g->aside = aside;
	g->nasides = 0;
	for (g->at = 0; g->at < count && !g->error; g->at++)
		cg_inst(g, &b->insts[g->at], b->bare && g->at == 0);
	g->aside = NULL;
	while (first < count && !aside[first])
		first++;
	if (first == count)
		return;
	tail = new_block(g, "tail");
	LLVMBuildBr(g->b, tail);
	LLVMPositionBuilderAtEnd(g->b, aside[first]);
	for (g->at = first; g->at < count && !g->error; g->at++) {
		if (aside[g->at] && g->at > first) {
			LLVMBuildBr(g->b, aside[g->at]);
			LLVMPositionBuilderAtEnd(g->b, aside[g->at]);
		}
		cg_inst(g, &b->insts[g->at], b->bare && g->at == 0);
	}
	LLVMBuildBr(g->b, tail);
	LLVMPositionBuilderAtEnd(g->b, tail);
}

static void block(struct cg *g, uint32_t n)
{
	struct cg_block *b = &g->blocks[n];
	uint32_t count = b->waits ? b->count - 1 : b->count;

	g->block = n;
	g->nchecks = 0;
	g->noted = NULL;
	LLVMPositionBuilderAtEnd(g->b, b->bb);
	g->mask = load32(g, g->mask_var);
	if (b->pendable) {
		V at = pending_at(g, n);

		g->mask = LLVMBuildOr(g->b, g->mask, load32(g, at), "mask");
		LLVMBuildStore(g->b, cg_i32(g, 0), at);
	}
	if (b->full)
		g->mask = cg_i32(g, ~0u);
	cg_home_load(g, b);
	if (b->sync)
		want_members(g, b);
	instructions(g, b, count);
	cg_home_store(g, b);
	if (b->waits && !barrier(g, &b->insts[count], b->targets[0]))
		return;
	if (b->waits && b->insts[count].nd)
		cg_home_store(g, b);
	switch (b->term) {
	case CG_JUMP:
		jump(g, b->targets[0], g->mask);
		break;
	case CG_BRANCH:
		end_branch(g, b);
		break;
	case CG_SWITCH:
		end_switch(g, b);
		break;
	default:
		end_lanes(g);
		break;
	}
}

/* ---- the frame around ----------------------------------------------------------------------- */

static V alloca_of(struct cg *g, LLVMTypeRef t, const char *name)
{
	return LLVMBuildAlloca(g->b, t, name);
}

void cg_allocate(struct cg *g, uint32_t reg)
{
	struct cg_reg *r = &g->regs[reg];
	const char *name = g->f->regs[reg].name ? g->f->regs[reg].name : "";
	LLVMTypeRef t = cg_int(g, r->bits);

	if (r->s.kind == CG_UNI)
		r->u = alloca_of(g, t, name);
	if (r->s.kind == CG_WIDE)
		r->u = alloca_of(g, g->i64, name);
	if (r->s.kind == CG_VAR)
		r->v = alloca_of(g, cg_vec(t), name);
	if (r->s.kind == CG_WIDE && r->s.vector)
		r->v = alloca_of(g, cg_vec(g->i32), name);
	for (uint32_t k = 0; k < r->s.groups && (r->s.kind == CG_AFF || r->s.kind == CG_WIDE); k++)
		r->x[k] = alloca_of(g, g->i32, name);
}

static void allocate(struct cg *g)
{
	for (uint32_t i = 0; i < g->f->nregs; i++)
		cg_allocate(g, i);
	g->mask_var = alloca_of(g, g->i32, "mask");
	g->warp_var = alloca_of(g, g->i32, "warp");
	g->budget_var = alloca_of(g, g->i32, "budget");
	cg_home_init(g);
	for (uint32_t i = 0; i < CG_ROOMS; i++)
		g->room[i] = alloca_of(g, cg_vec(g->i64), "room");
}

void cg_clear_register(struct cg *g, uint32_t reg)
{
	const struct cg_reg *r = &g->regs[reg];
	V all[CG_PARTS];

	if (!r->crosses || (r->homed && !r->zeroed))
		return;
	cg_parts(r, all);
	for (uint32_t k = 0; k < CG_PARTS; k++) {
		LLVMTypeRef t;

		if (!all[k])
			continue;
		t = LLVMGetAllocatedType(all[k]);
		LLVMBuildStore(g->b, r->zeroed ? LLVMConstNull(t) : LLVMGetUndef(t), all[k]);
	}
	if (r->homed)
		cg_home_clear(g, r);
}

static void invariants(struct cg *g)
{
	g->window_base = CG_FIELD(g, window_base, i64);
	g->window_size = CG_FIELD(g, window_size, i64);
	g->base_va[IR_BASE_GLOBAL] = CG_FIELD(g, global_va, i64);
	g->base_va[IR_BASE_MANAGED] = CG_FIELD(g, managed_va, i64);
	g->shared = CG_FIELD(g, shared, ptr);
	g->shared_bytes = CG_FIELD(g, shared_bytes, i32);
	g->params = CG_FIELD(g, params, ptr);
	g->pending = CG_FIELD(g, pending, ptr);
	g->slots = CG_FIELD(g, slots, ptr);
}

/* Threads of the running warp that exist, as bits. */
static V lanes_of(struct cg *g, V warp)
{
	const uint32_t *n = g->opt->block;
	V threads, left, bits;

	if (n[0] && n[0] * n[1] * n[2] % CG_LANES == 0)
		return cg_i32(g, ~0u);
	threads = n[0] ? cg_i32(g, n[0] * n[1] * n[2]) : CG_FIELD(g, threads, i32);
	left = LLVMBuildSub(g->b, threads, LLVMBuildShl(g->b, warp, cg_i32(g, 5), ""), "");
	bits = LLVMBuildAnd(g->b, left, cg_i32(g, 31), "");
	bits = LLVMBuildSub(g->b, LLVMBuildShl(g->b, cg_i32(g, 1), bits, ""), cg_i32(g, 1), "");
	return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntUGE, left, cg_i32(g, CG_LANES), ""),
			       cg_i32(g, ~0u), bits, "lanes");
}

static void begin_warp(struct cg *g)
{
	V warp = load32(g, g->warp_var), lanes = lanes_of(g, warp);

	cg_set_field(g, offsetof(struct llvm_ctx, warp), warp);
	cg_set_field(g, offsetof(struct llvm_ctx, lanes), lanes);
	cg_set_field(g, offsetof(struct llvm_ctx, exited), cg_i32(g, 0));
	cg_set_field(g, offsetof(struct llvm_ctx, sync_ok), cg_i32(g, 0));
	if (g->phases) {
		LLVMBasicBlockRef start = new_block(g, "start");

		g->resumes = cg_phase_begin(g, start);
		LLVMPositionBuilderAtEnd(g->b, start);
	}
	/* Registers start as nothing, so that no value comes from the warp before. */
	for (uint32_t i = 0; i < g->f->nregs; i++)
		cg_clear_register(g, i);
	LLVMBuildStore(g->b, lanes, g->mask_var);
	LLVMBuildBr(g->b, g->blocks[0].bb);
}

static void end_warp(struct cg *g, LLVMBasicBlockRef again, LLVMBasicBlockRef done)
{
	LLVMBasicBlockRef over = g->phases ? new_block(g, "over") : done;
	V next;

	if (g->phases) {
		cg_phase_end_warp(g);
		LLVMPositionBuilderAtEnd(g->b, g->next_warp);
	}
	next = LLVMBuildAdd(g->b, load32(g, g->warp_var), cg_i32(g, 1), "");
	LLVMBuildStore(g->b, next, g->warp_var);
	LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntULT, next, LLVMGetParam(g->fn, 2), ""),
			again, over);
	if (g->phases) {
		LLVMPositionBuilderAtEnd(g->b, over);
		cg_phase_over(g, again, done);
	}
}

static void dispatcher(struct cg *g)
{
	V next, sw;

	LLVMPositionBuilderAtEnd(g->b, g->dispatch);
	if (!g->dispatches) {
		LLVMBuildUnreachable(g->b);
		return;
	}
	next = cg_runtime(g, CG_RT_pick, g->i32, NULL, 0);
	sw = LLVMBuildSwitch(g->b, next, g->warp_end, 8);
	for (uint32_t i = 0; i < g->nblocks; i++)
		if (g->blocks[i].pendable)
			LLVMAddCase(sw, cg_i32(g, i), g->blocks[i].bb);
}

int cg_func(struct cg *g)
{
	LLVMBasicBlockRef entry = new_block(g, "entry"), warp = new_block(g, "warp"), done;

	for (uint32_t i = 0; i < g->nblocks; i++) {
		char name[24];

		snprintf(name, sizeof(name), "b%u", i);
		g->blocks[i].bb = new_block(g, name);
	}
	g->dispatch = new_block(g, "dispatch");
	g->warp_end = new_block(g, "warp_end");
	done = new_block(g, "done");
	LLVMPositionBuilderAtEnd(g->b, entry);
	g->ctx = LLVMGetParam(g->fn, 0);
	allocate(g);
	invariants(g);
	LLVMBuildStore(g->b, LLVMGetParam(g->fn, 1), g->warp_var);
	LLVMBuildStore(g->b, cg_i32(g, LLVM_BUDGET), g->budget_var);
	if (g->phases) {
		g->next_warp = new_block(g, "next_warp");
		cg_phase_entry(g);
	}
	LLVMBuildBr(g->b, warp);
	LLVMPositionBuilderAtEnd(g->b, warp);
	begin_warp(g);
	for (uint32_t i = 0; i < g->nblocks && !g->error; i++)
		block(g, i);
	if (g->error)
		return g->error;
	dispatcher(g);
	LLVMPositionBuilderAtEnd(g->b, g->warp_end);
	end_warp(g, warp, done);
	LLVMPositionBuilderAtEnd(g->b, done);
	LLVMBuildRetVoid(g->b);
	return 0;
}

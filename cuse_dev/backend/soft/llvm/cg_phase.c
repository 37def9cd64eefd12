/* SPDX-License-Identifier: MIT */
/*
 * cg_phase.c - barriers without stacks: a block of threads runs in phases, from barrier to barrier.
 *
 *	for (more = true; more;) {			a phase
 *		more = false
 *		for (warp = 0; warp < warps; warp++)
 *			switch (resume[warp]) {		start, behind barrier 1, 2, ..., ended
 *			...
 *			barrier k: what lives goes into the warp's frame; resume[warp] = k; more = true; next
 *			case k: what lives comes out of the frame again
 *			}
 *	}
 *
 * It needs that a barrier is complete when each warp has come to one or has ended: all lanes of a warp come
 * together, there is one barrier for the whole block, and nothing else waits. Other kernels run each warp on a
 * stack of its own (warp.c).
 *
 * A register is stored when its place in the frame may be out of date; what a loop with barriers does not write is
 * stored before the loop. Places lie behind the mask of lanes that run and the lanes that have ended.
 */
#include <errno.h>
#include <string.h>

#include "cuse_dev/backend/soft/llvm/cg.h"
#include "cuse_dev/base/arena.h"

typedef LLVMValueRef V;

enum { FRAME_MASK = 0, FRAME_EXITED = 4, FRAME_HEAD = 64 };
enum { RESUME_START = 0, RESUME_ENDED = UINT16_MAX };

/* ---- which kernels -------------------------------------------------------------------------- */

static bool is_number(const struct ir_inst *in, uint32_t i, uint64_t want)
{
	const struct ir_operand *o = &in->opnd[in->nd + i];

	if (i >= in->ns || o->kind == IR_OPND_NONE)
		return want == 0;
	return ir_is_number(o) && (uint32_t)o->imm == want;
}

static const struct ir_inst *last(const struct cg_block *b)
{
	return &b->insts[b->count - 1];
}

static bool fits(const struct cg *g)
{
	const struct ir_inst *first = NULL;

	for (uint32_t b = 0; b < g->nblocks; b++) {
		const struct cg_block *blk = &g->blocks[b];
		const struct ir_inst *in;

		for (uint32_t i = 0; i < blk->count; i++)
			if (blk->insts[i].op == IR_OP_BAR && blk->insts[i].sub == IR_BAR_ARRIVE)
				return false;
		if (!blk->waits)
			continue;
		in = last(blk);
		first = first ? first : in;
		if (in->op != IR_OP_BAR || !cg_converged(g, b) || !is_number(in, 1, 0) ||
		    !ir_is_number(&first->opnd[first->nd]) ||
		    !is_number(in, 0, (uint32_t)first->opnd[first->nd].imm) ||
		    first->opnd[first->nd].imm >= SIMT_BAR_CLUSTER)
			return false;
	}
	return first != NULL;
}

/* ---- frames --------------------------------------------------------------------------------- */

static uint32_t part_bytes(const struct cg_reg *r)
{
	uint32_t bits = r->bits == 1 ? 8 : r->bits;

	switch (r->s.kind) {
	case CG_UNI:
		return bits / 8;
	case CG_AFF:
		return 4u * r->s.groups;
	case CG_WIDE:
		return 8 + (r->s.vector ? 4 * CG_LANES : 4u * r->s.groups);
	default:
		return r->bits == 1 ? 4 : bits / 8 * CG_LANES;
	}
}

static bool holds_vector(const struct cg_reg *r)
{
	return (r->s.kind == CG_VAR && r->bits > 1) || (r->s.kind == CG_WIDE && r->s.vector);
}

/* Vectors first, so that they lie on lines of their own. */
static void lay_out(struct cg *g, const uint64_t *kept)
{
	uint32_t at = FRAME_HEAD;

	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < g->f->nregs; i++) {
			struct cg_reg *r = &g->regs[i];
			uint32_t n = part_bytes(r), align = pass ? 8 : 64;

			if (!cg_bit(kept, i) || holds_vector(r) != (pass == 0))
				continue;
			at = (at + align - 1) & -align;
			r->place = at;
			at += n;
		}
	}
	/* An odd number of lines, so that frames do not fight for the same cache sets. */
	g->frame_bytes = ((at + 63) & ~63u) | 64;
}

static void add_written(const struct cg_block *b, uint64_t *set)
{
	for (uint32_t i = 0; i < b->count; i++)
		for (uint32_t k = 0; k < b->insts[i].nd; k++)
			if (b->insts[i].opnd[k].kind == IR_OPND_REG)
				cg_bit_set(set, b->insts[i].opnd[k].reg);
}

/* What of @b is unsaved when its lanes leave it: behind a barrier, the result of that. */
static void leaves_unsaved(struct cg *g, struct cg_block *b)
{
	const struct ir_inst *in = b->waits ? last(b) : NULL;

	memset(b->unsaved_end, 0, g->reg_words * 8);
	if (!in) {
		cg_bits_or(b->unsaved_end, b->unsaved, g->reg_words);
		add_written(b, b->unsaved_end);
	} else if (in->nd && in->opnd[0].kind == IR_OPND_REG) {
		cg_bit_set(b->unsaved_end, in->opnd[0].reg);
	}
}

/*
 * Which registers are unsaved at the start of each block: those that are so on all ways to it. Whoever comes another
 * way saves the rest as he goes, which is before loops rather than in them.
 */
static void find_unsaved(struct cg *g)
{
	bool changed = true;

	for (uint32_t b = 0; b < g->nblocks; b++)
		memset(g->blocks[b].unsaved, 0xff, g->reg_words * 8);
	while (changed) {
		changed = false;
		for (uint32_t b = 0; b < g->nblocks; b++) {
			struct cg_block *blk = &g->blocks[b];

			leaves_unsaved(g, blk);
			for (uint32_t t = 0; t < blk->ntargets; t++) {
				uint64_t *to = g->blocks[blk->targets[t]].unsaved;

				for (uint32_t i = 0; blk->targets[t] && i < g->reg_words; i++) {
					changed |= (to[i] & ~blk->unsaved_end[i]) != 0;
					to[i] &= blk->unsaved_end[i];
				}
			}
		}
	}
}

/* What lives behind the barrier at the end of @b, but for its result. */
static bool is_kept(const struct cg *g, const struct cg_block *b, uint32_t reg)
{
	const struct ir_inst *in = last(b);

	return cg_bit(g->blocks[b->targets[0]].live, reg) &&
	       !(in->nd && in->opnd[0].kind == IR_OPND_REG && in->opnd[0].reg == reg);
}

int cg_phases(struct cg *g)
{
	const size_t bytes = (size_t)g->reg_words * 8 + 8;
	uint64_t *kept = arena_alloc(g->arena, bytes);
	bool waits = false;

	for (uint32_t b = 0; b < g->nblocks; b++)
		waits |= g->blocks[b].waits;
	if (!waits)
		return 0;
	if (g->stops || !fits(g)) {
		g->stops = true;
		return 0;
	}
	g->phases = true;
	g->exits_count = false;
	for (uint32_t b = 0; b < g->nblocks; b++) {
		struct cg_block *blk = &g->blocks[b];

		g->exits_count |= blk->sync && !cg_converged(g, b);
		g->counts |= blk->waits && last(blk)->nd;
		blk->unsaved = arena_alloc(g->arena, bytes);
		blk->unsaved_end = arena_alloc(g->arena, bytes);
		if (!blk->unsaved || !blk->unsaved_end || !kept)
			return cg_fail(g, -ENOMEM, "out of memory");
		for (uint32_t i = 0; blk->waits && i < g->f->nregs; i++)
			if (is_kept(g, blk, i))
				cg_bit_set(kept, i);
	}
	lay_out(g, kept);
	find_unsaved(g);
	return 0;
}

/* ---- in and out of the frame ---------------------------------------------------------------- */

static V at_offset(struct cg *g, V base, uint32_t offset)
{
	V i = cg_i64(g, offset);

	return LLVMBuildGEP2(g->b, g->i8, base, &i, 1, "");
}

static V frame(struct cg *g)
{
	V i = LLVMBuildZExt(g->b, LLVMBuildLoad2(g->b, g->i32, g->warp_var, ""), g->i64, "");

	i = LLVMBuildMul(g->b, i, cg_i64(g, g->frame_bytes), "");
	return LLVMBuildGEP2(g->b, g->i8, g->frames, &i, 1, "frame");
}

void cg_phase_homes(struct cg *g, uint32_t bytes)
{
	g->frame_bytes = ((FRAME_HEAD + bytes + 63) & ~63u) | 64;
}

LLVMValueRef cg_phase_home(struct cg *g)
{
	return at_offset(g, frame(g), FRAME_HEAD);
}

/* One part of a register, between its alloca and the frame. */
static void move_part(struct cg *g, V var, V place, uint32_t align, bool save)
{
	LLVMTypeRef t = LLVMGetAllocatedType(var), m = t;
	bool bits = t == cg_vec(g->i1);
	V v;

	if (bits)
		m = g->i32;
	if (t == g->i1)
		m = g->i8;
	if (save) {
		v = LLVMBuildLoad2(g->b, t, var, "");
		v = bits ? cg_mask_from_vector(g, v) : m == g->i8 ? cg_resize(g, v, 8, false) : v;
		LLVMSetAlignment(LLVMBuildStore(g->b, v, place), align);
		return;
	}
	v = LLVMBuildLoad2(g->b, m, place, "");
	LLVMSetAlignment(v, align);
	v = bits ? cg_mask_to_vector(g, v) : t == g->i1 ? LLVMBuildTrunc(g->b, v, t, "") : v;
	LLVMBuildStore(g->b, v, var);
}

static void move_register(struct cg *g, const struct cg_reg *r, V frame, bool save)
{
	uint32_t at = r->place;

	if (r->v) {
		move_part(g, r->v, at_offset(g, frame, at), holds_vector(r) ? 64 : 4, save);
		at += 4 * CG_LANES;
	}
	if (r->u) {
		move_part(g, r->u, at_offset(g, frame, at),
			  r->bits == 1	 ? 1
			  : r->bits > 64 ? 8
					 : r->bits / 8,
			  save);
		at += 8;
	}
	for (uint32_t k = 0; k < CG_MAX_GROUPS && r->x[k]; k++, at += 4)
		move_part(g, r->x[k], at_offset(g, frame, at), 4, save);
}

/* ---- phases --------------------------------------------------------------------------------- */

static V resume_at(struct cg *g)
{
	V i = LLVMBuildZExt(g->b, LLVMBuildLoad2(g->b, g->i32, g->warp_var, ""), g->i64, "");

	return LLVMBuildGEP2(g->b, g->i16, g->resume_var, &i, 1, "");
}

static void set_resume(struct cg *g, uint32_t n)
{
	LLVMBuildStore(g->b, LLVMConstInt(g->i16, n, false), resume_at(g));
}

static V var32(struct cg *g, const char *name)
{
	V v = LLVMBuildAlloca(g->b, g->i32, name);

	LLVMBuildStore(g->b, cg_i32(g, 0), v);
	return v;
}

static V get32(struct cg *g, V var)
{
	return LLVMBuildLoad2(g->b, g->i32, var, "");
}

void cg_phase_entry(struct cg *g)
{
	LLVMTypeRef t = LLVMVectorType(g->i16, SIMT_MAX_WARPS);

	g->frames = CG_FIELD(g, frames, ptr);
	g->resume_var = LLVMBuildAlloca(g->b, t, "resume");
	LLVMBuildStore(g->b, LLVMConstNull(t), g->resume_var);
	g->more_var = var32(g, "more");
	if (!g->counts)
		return;
	g->pred_var = var32(g, "preds");
	g->come_var = var32(g, "come");
	g->value_var = var32(g, "value");
}

/* Warps that take turns must not share local memory; whoever starts the block has made room for all. */
static void own_local(struct cg *g)
{
	V i = LLVMBuildZExt(g->b, get32(g, g->warp_var), g->i64, "");

	i = LLVMBuildMul(g->b, i, cg_i64(g, CG_LANES), "");
	i = LLVMBuildMul(g->b, i, CG_FIELD(g, local_stride, i64), "");
	cg_set_field(g, offsetof(struct llvm_ctx, local),
		     LLVMBuildGEP2(g->b, g->i8, CG_FIELD(g, locals, ptr), &i, 1, ""));
}

LLVMValueRef cg_phase_begin(struct cg *g, LLVMBasicBlockRef start)
{
	V n = LLVMBuildLoad2(g->b, g->i16, resume_at(g), ""), sw;

	if (g->f->frame_bytes)
		own_local(g);
	sw = LLVMBuildSwitch(g->b, n, start, 8);
	LLVMAddCase(sw, LLVMConstInt(g->i16, RESUME_ENDED, false), g->next_warp);
	return sw;
}

void cg_phase_end_warp(struct cg *g)
{
	set_resume(g, RESUME_ENDED);
	LLVMBuildBr(g->b, g->next_warp);
}

/* All warps have had their turn. */
void cg_phase_over(struct cg *g, LLVMBasicBlockRef again, LLVMBasicBlockRef done)
{
	LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(g->lc, g->fn, "phase");
	V none = LLVMBuildICmp(g->b, LLVMIntEQ, get32(g, g->more_var), cg_i32(g, 0), "");

	LLVMBuildCondBr(g->b, none, done, next);
	LLVMPositionBuilderAtEnd(g->b, next);
	LLVMBuildStore(g->b, cg_i32(g, 0), g->more_var);
	LLVMBuildStore(g->b, LLVMGetParam(g->fn, 1), g->warp_var);
	if (g->counts) {
		V preds = get32(g, g->pred_var), all;

		all = LLVMBuildICmp(g->b, LLVMIntEQ, preds, get32(g, g->come_var), "");
		all = LLVMBuildSelect(g->b, all, cg_i32(g, SIMT_VALUE_ALL), cg_i32(g, 0), "");
		LLVMBuildStore(g->b, LLVMBuildOr(g->b, preds, all, ""), g->value_var);
		LLVMBuildStore(g->b, cg_i32(g, 0), g->pred_var);
		LLVMBuildStore(g->b, cg_i32(g, 0), g->come_var);
	}
	LLVMBuildBr(g->b, again);
}

static void count_lanes(struct cg *g, V var, V lanes)
{
	V n = cg_intrinsic(g, "llvm.ctpop", &g->i32, 1, &lanes, 1);

	LLVMBuildStore(g->b, LLVMBuildAdd(g->b, get32(g, var), n, ""), var);
}

void cg_phase_edge(struct cg *g, uint32_t t)
{
	const struct cg_block *b = &g->blocks[g->block], *to = &g->blocks[t];
	V f = NULL;

	for (uint32_t i = 0; g->phases && !g->has_homes && i < g->f->nregs; i++) {
		if (!g->regs[i].place || !cg_bit(to->live, i) || !cg_bit(b->unsaved_end, i) ||
		    cg_bit(to->unsaved, i))
			continue;
		f = f ? f : frame(g);
		move_register(g, &g->regs[i], f, true);
	}
}

static void save_kept(struct cg *g, const struct cg_block *b, V frame)
{
	uint64_t *unsaved = arena_alloc(g->arena, (size_t)g->reg_words * 8 + 8);

	if (!unsaved) {
		cg_fail(g, -ENOMEM, "out of memory");
		return;
	}
	cg_bits_or(unsaved, b->unsaved, g->reg_words);
	add_written(b, unsaved);
	for (uint32_t i = 0; i < g->f->nregs; i++)
		if (is_kept(g, b, i) && cg_bit(unsaved, i))
			move_register(g, &g->regs[i], frame, true);
}

static void load_kept(struct cg *g, const struct cg_block *b, V frame)
{
	for (uint32_t i = 0; i < g->f->nregs; i++) {
		if (is_kept(g, b, i))
			move_register(g, &g->regs[i], frame, false);
		else
			cg_clear_register(g, i);
	}
}

/*
 * The barrier at the end of a block. What follows is emitted at its resume point, where g->mask is the mask as it was.
 * Returns the value for bar.red, or NULL.
 */
LLVMValueRef cg_phase_wait(struct cg *g, V preds)
{
	const struct cg_block *b = &g->blocks[g->block];
	LLVMBasicBlockRef go_on = LLVMAppendBasicBlockInContext(g->lc, g->fn, "resume");
	uint32_t n = ++g->nresumes;
	V f = frame(g);

	if (g->nresumes == RESUME_ENDED) {
		cg_fail(g, -ENOTSUP, "too many barriers");
		g->nresumes = 1;
	}
	if (!g->has_homes) /* else the block has stored all it changed */
		save_kept(g, b, f);
	if (!b->full)
		LLVMBuildStore(g->b, g->mask, at_offset(g, f, FRAME_MASK));
	if (g->exits_count)
		LLVMBuildStore(g->b, CG_FIELD(g, exited, i32), at_offset(g, f, FRAME_EXITED));
	if (g->counts) {
		count_lanes(g, g->pred_var, LLVMBuildAnd(g->b, preds, g->mask, ""));
		count_lanes(g, g->come_var, g->mask);
	}
	set_resume(g, n);
	LLVMBuildStore(g->b, cg_i32(g, 1), g->more_var);
	LLVMBuildBr(g->b, g->next_warp);

	LLVMAddCase(g->resumes, LLVMConstInt(g->i16, n, false), go_on);
	LLVMPositionBuilderAtEnd(g->b, go_on);
	f = frame(g);
	if (!g->has_homes)
		load_kept(g, b, f);
	else if (last(b)->nd)
		cg_home_resume(g, b); /* the block will store again */
	if (!b->full)
		g->mask = LLVMBuildLoad2(g->b, g->i32, at_offset(g, f, FRAME_MASK), "mask");
	if (g->exits_count)
		cg_set_field(g, offsetof(struct llvm_ctx, exited),
			     LLVMBuildLoad2(g->b, g->i32, at_offset(g, f, FRAME_EXITED), ""));
	return g->counts ? get32(g, g->value_var) : NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * warp.c - groups of lanes and frames: who runs next in a warp.
 *
 * A warp runs one group of lanes at a time: lanes of one frame at one place. All others wait, at a
 * segment of their frame (they could run) or in w->groups (for a barrier, for other lanes). The
 * newest frame with lanes that could run goes first, in it the earliest segment; so lanes meet again
 * behind branches, loops and calls. Lanes that spin while others wait give them a turn after a
 * number of back edges; an out-of-order turn ("exclusive") lasts for a number of jumps.
 *
 * Frames form a tree: two groups may be in different calls at once. Nothing here recurses.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/backend/soft/interp/code.h"

/* ---- waiting lanes of a frame --------------------------------------------------------------- */

static uint32_t first_waiting(const struct interp_frame *f, uint32_t from)
{
	uint32_t words = (f->func->nsegs + 63) / 64, i = from / 64;
	uint64_t v;

	if (i >= words)
		return NO_SEG;
	v = f->bits[i] & (~0ull << (from % 64));
	while (!v) {
		if (++i >= words)
			return NO_SEG;
		v = f->bits[i];
	}
	return i * 64 + (uint32_t)__builtin_ctzll(v);
}

void interp_wait(struct interp_warp *w, struct interp_frame *f, uint32_t seg, uint32_t lanes)
{
	if (!f->waiting[seg]) {
		f->bits[seg / 64] |= 1ull << (seg % 64);
		f->nwaiting++;
		w->waiting++;
	}
	f->waiting[seg] |= lanes;
	if (seg < f->limit)
		f->limit = seg;
}

static uint32_t take(struct interp_warp *w, struct interp_frame *f, uint32_t seg)
{
	uint32_t lanes = f->waiting[seg];

	if (!lanes)
		return 0;
	f->waiting[seg] = 0;
	f->bits[seg / 64] &= ~(1ull << (seg % 64));
	f->nwaiting--;
	w->waiting--;
	return lanes;
}

static void set_limit(struct interp_frame *f)
{
	f->limit = f->nwaiting ? first_waiting(f, 0) : NO_SEG;
}

static void leave_exclusive(struct interp_warp *w)
{
	if (!w->exclusive)
		return;
	w->exclusive = 0;
	set_limit(w->frame);
}

/* Run the lanes at @seg of @f, which are still in its waiting set. */
static const struct interp_inst *resume(struct interp_warp *w, struct interp_frame *f, uint32_t seg,
					bool exclusive)
{
	w->frame = f;
	w->regs = f->regs;
	w->mask = take(w, f, seg);
	w->full = w->mask == f->lanes;
	if (exclusive && w->waiting) {
		w->exclusive = INTERP_EXCLUSIVE;
		f->limit = 0;
	} else {
		set_limit(f);
	}
	return f->func->segs[seg].inst;
}

/* ---- blocked groups ------------------------------------------------------------------------- */

static void drop_group(struct interp_warp *w, uint32_t i)
{
	w->groups[i] = w->groups[--w->ngroups];
}

/* bar.red: what came out, for the lanes that go on. */
static void bar_result(struct interp_warp *w, const struct interp_group *g, uint32_t lanes)
{
	const struct interp_ext *x = g->in->ext;
	uint32_t v = w->base.release_value[g->id], r;
	uint8_t *regs = w->regs;

	if (x->ir.op != IR_OP_BAR || !x->ir.nd || x->opnd[0].off == NO_REG)
		return;
	if (x->ir.sub == IR_BAR_RED_POPC)
		r = v & ~SIMT_VALUE_ALL;
	else if (x->ir.sub == IR_BAR_RED_AND)
		r = v & SIMT_VALUE_ALL ? 1 : 0;
	else
		r = v & ~SIMT_VALUE_ALL ? 1 : 0;
	w->regs = g->frame->regs;
	for (; lanes; lanes &= lanes - 1)
		interp_put(w, x->opnd[0].off, x->opnd[0].bits, (uint32_t)__builtin_ctz(lanes), r,
			   0);
	w->regs = regs;
}

static void take_released(struct interp_warp *w)
{
	uint32_t released = w->base.released;

	w->base.released = 0;
	for (uint32_t i = 0; i < w->ngroups;) {
		struct interp_group *g = &w->groups[i];
		uint32_t lanes = g->mask & released;

		if (g->kind != WAIT_BAR || !lanes) {
			i++;
			continue;
		}
		bar_result(w, g, lanes);
		interp_wait(w, g->frame, g->seg, lanes);
		g->mask &= ~lanes;
		if (!g->mask)
			drop_group(w, i);
		else
			i++;
	}
}

/* Lanes of the same members that wait, wherever they are. When all have come, all go on. */
static void meet(struct interp_warp *w)
{
	uint32_t alive = w->base.lanes & ~w->base.exited;

	for (uint32_t i = 0; i < w->ngroups;) {
		uint32_t members = w->groups[i].members, here = 0;

		if (w->groups[i].kind == WAIT_SYNC)
			for (uint32_t k = 0; k < w->ngroups; k++)
				if (w->groups[k].kind == WAIT_SYNC &&
				    w->groups[k].members == members)
					here |= w->groups[k].mask;
		if (w->groups[i].kind != WAIT_SYNC || (members & alive & ~here)) {
			i++;
			continue;
		}
		w->sync_ok |= here;
		for (uint32_t k = 0; k < w->ngroups;) {
			struct interp_group *g = &w->groups[k];

			if (g->kind != WAIT_SYNC || g->members != members) {
				k++;
				continue;
			}
			interp_wait(w, g->frame, g->seg, g->mask);
			drop_group(w, k);
		}
		i = 0;
	}
}

const struct interp_inst *interp_block(struct interp_warp *w, const struct interp_inst *in,
				       enum interp_wait kind, uint32_t members)
{
	struct interp_group *g = NULL;

	/* Lanes that join others at the same place need no entry of their own: 32 are enough. */
	for (uint32_t i = 0; i < w->ngroups && !g; i++) {
		struct interp_group *o = &w->groups[i];

		if (o->frame == w->frame && o->seg == in->seg && o->kind == kind &&
		    o->members == members)
			g = o;
	}
	if (g) {
		g->mask |= w->mask;
	} else {
		g = &w->groups[w->ngroups++];
		*g = (struct interp_group){ .frame = w->frame,
					    .mask = w->mask,
					    .seg = in->seg,
					    .members = members,
					    .kind = kind,
					    .in = in };
	}
	if (kind == WAIT_BAR)
		g->id = members;
	return interp_pick(w);
}

/* ---- who runs next -------------------------------------------------------------------------- */

const struct interp_inst *interp_pick(struct interp_warp *w)
{
	struct interp_frame *f;

	leave_exclusive(w);
	if (w->base.released)
		take_released(w);
	if (w->ngroups)
		meet(w);
	for (f = w->newest; f; f = f->older)
		if (f->nwaiting)
			return resume(w, f, first_waiting(f, 0), false);
	w->frame = NULL;
	w->stop = w->base.exited == w->base.lanes ? SIMT_DONE : SIMT_BLOCKED;
	return NULL;
}

const struct interp_inst *interp_jump_slow(struct interp_warp *w, uint32_t seg)
{
	struct interp_frame *f = w->frame;

	if (w->exclusive) {
		if (--w->exclusive) {
			w->mask |= take(w, f, seg);
			w->full = w->mask == f->lanes;
			return f->func->segs[seg].inst;
		}
		set_limit(f);
	}
	if (seg < f->limit)
		return f->func->segs[seg].inst;
	interp_wait(w, f, seg, w->mask);
	return resume(w, f, f->limit, false);
}

const struct interp_inst *interp_diverge(struct interp_warp *w, const struct interp_inst *in,
					 uint32_t t, uint32_t n)
{
	uint32_t first = in->seg, second = in->seg2, lanes = t;

	if (first == second)
		return interp_jump(w, in, first);
	if (second < first) {
		first = in->seg2;
		second = in->seg;
		lanes = n;
	}
	interp_wait(w, w->frame, second, w->mask & ~lanes);
	w->mask = lanes;
	w->full = false;
	return interp_jump(w, in, first);
}

/* The waiting group after (f, seg) in a circle over all. There is one. */
static struct interp_frame *next_turn(struct interp_warp *w, struct interp_frame *f, uint32_t *seg)
{
	uint32_t s = first_waiting(f, *seg + 1);

	while (s == NO_SEG) {
		f = f->older ? f->older : w->newest;
		s = f->nwaiting ? first_waiting(f, 0) : NO_SEG;
	}
	*seg = s;
	return f;
}

static bool cancelled(struct interp_warp *w)
{
	const volatile uint32_t *cancel = w->base.grid->launch->cancel;

	if (cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED))
		simt_fault(&w->base, 719, -1, 0, 0, "cancelled");
	return __atomic_load_n(&w->base.grid->stop, __ATOMIC_RELAXED);
}

const struct interp_inst *interp_look(struct interp_warp *w, uint32_t seg)
{
	struct interp_frame *f = w->frame;
	bool polls = w->polls != 0;

	w->budget = INTERP_BUDGET;
	w->rounds++;
	if (w->base.released)
		take_released(w);
	if (cancelled(w)) {
		w->stop = SIMT_FAULT;
		return NULL;
	}
	if (w->waiting && w->rounds >= INTERP_ROUNDS) {
		leave_exclusive(w);
		interp_wait(w, f, seg, w->mask);
		f = next_turn(w, f, &seg);
		w->rounds = 0;
		w->polls = 0;
		if (!polls)
			return resume(w, f, seg, true);
		w->prefer = f;
		w->prefer_seg = seg;
		w->budget = INTERP_POLLS;
		w->stop = SIMT_YIELD;
		return NULL;
	}
	if ((polls && !w->waiting) || w->rounds >= INTERP_LONG / INTERP_BUDGET) {
		w->rounds = 0;
		w->polls = 0;
		w->budget = polls ? INTERP_POLLS : INTERP_BUDGET;
		leave_exclusive(w);
		interp_wait(w, f, seg, w->mask);
		w->stop = SIMT_YIELD;
		return NULL;
	}
	if (seg < f->limit)
		return f->func->segs[seg].inst;
	return interp_jump_slow(w, seg);
}

/* ---- frames --------------------------------------------------------------------------------- */

static struct interp_frame *frame_alloc(struct interp_warp *w, const struct interp_func *func)
{
	struct interp_frame *f = w->cache[func->index];
	size_t head = (sizeof(*f) + 63) & ~(size_t)63;
	size_t bits = (func->nsegs + 63) / 64 * 8, waiting = (size_t)func->nsegs * 4;
	size_t regs_at = (head + bits + waiting + 63) & ~(size_t)63;
	size_t bytes = (regs_at + func->reg_bytes + 63 + 64) & ~(size_t)63;

	if (f) {
		w->cache[func->index] = f->older;
		return f;
	}
	f = aligned_alloc(64, bytes);
	if (!f)
		return NULL;
	memset(f, 0, bytes);
	f->func = func;
	f->bits = (uint64_t *)((uint8_t *)f + head);
	f->waiting = (uint32_t *)((uint8_t *)f + head + bits);
	f->regs = (uint8_t *)f + regs_at;
	return f;
}

static void frame_free(struct interp_warp *w, struct interp_frame *f)
{
	if (f->newer)
		f->newer->older = f->older;
	else
		w->newest = f->older;
	if (f->older)
		f->older->newer = f->newer;
	f->older = w->cache[f->func->index];
	w->cache[f->func->index] = f;
}

const struct interp_inst *interp_op_end(struct interp_warp *w, const struct interp_inst *in)
{
	return NULL;
}

/* Registers that keep their values while frames are used again: for all lanes, whoever runs. */
static void run_prologues(struct interp_warp *w, struct interp_frame *f)
{
	const struct interp_func *func = f->func;
	uint64_t launch = w->base.grid->id, block = w->base.block->linear + 1;
	uint8_t *regs = w->regs;
	uint32_t mask = w->mask;
	bool full = w->full;
	const struct interp_inst *in;

	w->regs = f->regs;
	w->mask = ~0u;
	w->full = true;
	for (in = f->launch != launch ? func->prologue[0] : NULL; in;)
		in = in->fn(w, in);
	if (f->launch != launch || f->block != block)
		for (in = func->prologue[1]; in;)
			in = in->fn(w, in);
	f->launch = launch;
	f->block = block;
	w->regs = regs;
	w->mask = mask;
	w->full = full;
}

/* A frame for @lanes, the newest one; nothing of it waits yet. */
static struct interp_frame *frame_push(struct interp_warp *w, const struct interp_func *func,
				       uint32_t lanes)
{
	struct interp_frame *f = frame_alloc(w, func);

	if (!f)
		return NULL;
	f->lanes = lanes;
	f->limit = NO_SEG;
	f->parent = NULL;
	f->call = NULL;
	f->newer = NULL;
	f->older = w->newest;
	if (w->newest)
		w->newest->newer = f;
	w->newest = f;
	f->base = 0;
	f->top = func->frame_bytes;
	if (func->prologue[0] || func->prologue[1])
		run_prologues(w, f);
	return f;
}

static uint8_t *lane_local(const struct interp_warp *w, uint32_t lane)
{
	return w->base.local + lane * w->base.local_stride;
}

static void copy_slots(struct interp_warp *w, uint32_t lanes, uint32_t to_base,
		       const struct ir_slot *to, uint32_t from_base, const struct ir_slot *from,
		       uint32_t n)
{
	for (; n && lanes; lanes &= lanes - 1) {
		uint8_t *l = lane_local(w, (uint32_t)__builtin_ctz(lanes));

		for (uint32_t i = 0; i < n; i++)
			memcpy(l + to_base + to[i].offset, l + from_base + from[i].offset,
			       to[i].size < from[i].size ? to[i].size : from[i].size);
	}
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* A frame of @func for @lanes of the running group, arguments copied. NULL: fault. */
static struct interp_frame *enter(struct interp_warp *w, const struct interp_inst *in,
				  const struct interp_func *func, uint32_t lanes)
{
	struct interp_frame *caller = w->frame, *f;
	uint64_t base = (uint64_t)caller->top + INTERP_SLOT;

	if (base + func->frame_bytes > w->base.grid->local_bytes) {
		interp_fault(w, in, 719, __builtin_ctz(lanes), 0,
			     "stack overflow: %s needs %u bytes, %u of %u are in use", func->name,
			     func->frame_bytes, caller->top, w->base.grid->local_bytes);
		return NULL;
	}
	f = frame_push(w, func, lanes);
	if (!f) {
		interp_fault(w, in, 719, __builtin_ctz(lanes), 0, "out of memory for a call");
		return NULL;
	}
	f->parent = caller;
	f->call = in->ext;
	f->ret_seg = in->seg;
	f->base = (uint32_t)base;
	f->top = f->base + func->frame_bytes;
	copy_slots(w, lanes, f->base, func->params, caller->base, in->ext->args,
		   min_u32(func->nparams, in->ext->nargs));
	return f;
}

const struct interp_inst *interp_call(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_func *func = &w->code->funcs[in->imm];
	struct interp_frame *f;

	leave_exclusive(w);
	f = enter(w, in, func, w->mask);
	if (!f)
		return NULL;
	w->frame = f;
	w->regs = f->regs;
	w->full = true;
	return func->segs[0].inst;
}

static const struct interp_func *func_by_address(const struct interp_code *code, uint64_t va)
{
	uint64_t n = va - IR_CODE_BASE;

	if (n % 16 || n / 16 > UINT32_MAX)
		return NULL;
	for (uint32_t i = 0; i < code->nfuncs; i++)
		if (code->funcs[i].code == n / 16)
			return &code->funcs[i];
	return NULL;
}

const struct interp_inst *interp_call_indirect(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_opnd *o = &in->ext->opnd[0];
	uint32_t left = w->mask;

	leave_exclusive(w);
	while (left) {
		uint32_t lane = (uint32_t)__builtin_ctz(left), same = 0;
		uint64_t va = interp_value(w, o, lane);
		const struct interp_func *func = func_by_address(w->code, va);
		struct interp_frame *f;

		if (!func)
			return interp_fault(w, in, 718, (int)lane, va,
					    "call of 0x%llx, which is no function",
					    (unsigned long long)va);
		for (uint32_t m = left; m; m &= m - 1)
			if (interp_value(w, o, (uint32_t)__builtin_ctz(m)) == va)
				same |= m & -m;
		f = enter(w, in, func, same);
		if (!f)
			return NULL;
		interp_wait(w, f, 0, same);
		left &= ~same;
	}
	return interp_pick(w);
}

const struct interp_inst *interp_ret(struct interp_warp *w, const struct interp_inst *in)
{
	struct interp_frame *f = w->frame, *p = f->parent;

	if (!p)
		return interp_exit(w, in);
	leave_exclusive(w);
	copy_slots(w, w->mask, p->base, f->call->rets, f->base, f->func->rets,
		   min_u32(f->func->nrets, f->call->nrets));
	f->lanes &= ~w->mask;
	interp_wait(w, p, f->ret_seg, w->mask);
	if (!f->lanes)
		frame_free(w, f);
	return interp_pick(w);
}

const struct interp_inst *interp_exit(struct interp_warp *w, const struct interp_inst *in)
{
	struct interp_frame *f = w->frame;
	uint32_t lanes = w->mask;

	leave_exclusive(w);
	while (f) {
		struct interp_frame *p = f->parent;

		f->lanes &= ~lanes;
		if (!f->lanes)
			frame_free(w, f);
		f = p;
	}
	simt_barrier_exit(&w->base, lanes);
	return interp_pick(w);
}

const struct interp_inst *interp_op_switch(struct interp_warp *w, const struct interp_inst *in)
{
	const uint32_t *index = (const uint32_t *)(w->regs + in->a);
	const struct interp_ext *x = in->ext;
	uint32_t first, mask = w->mask;

	for (uint32_t m = mask; m; m &= m - 1)
		if (index[__builtin_ctz(m)] >= x->count)
			return interp_fault(w, in, 715, __builtin_ctz(m), 0,
					    "brx.idx: index %u of %u targets",
					    index[__builtin_ctz(m)], x->count);
	first = NO_SEG;
	for (uint32_t m = mask; m; m &= m - 1)
		first = min_u32(first, x->targets[index[__builtin_ctz(m)]]);
	w->mask = 0;
	for (uint32_t m = mask; m; m &= m - 1) {
		uint32_t seg = x->targets[index[__builtin_ctz(m)]];

		if (seg == first)
			w->mask |= m & -m;
		else
			interp_wait(w, w->frame, seg, m & -m);
	}
	w->full = w->full && w->mask == mask;
	return interp_jump(w, in, first);
}

/* ---- the warp ------------------------------------------------------------------------------- */

const struct interp_inst *interp_fault(struct interp_warp *w, const struct interp_inst *in,
				       uint32_t error, int lane, uint64_t address, const char *fmt,
				       ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	simt_fault(&w->base, error, lane, address, in ? in->line : 0, "%s", text);
	w->stop = SIMT_FAULT;
	return NULL;
}

static void drop_cache(struct interp_warp *w)
{
	for (uint32_t i = 0; i < w->ncache; i++) {
		while (w->cache[i]) {
			struct interp_frame *f = w->cache[i];

			w->cache[i] = f->older;
			free(f);
		}
	}
	free(w->cache);
	w->cache = NULL;
	w->ncache = 0;
	w->serial = 0;
}

static struct simt_warp *warp_create(void)
{
	struct interp_warp *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	return &w->base;
}

/* A warp that was stopped in the middle leaves frames behind. */
static void drop_frames(struct interp_warp *w)
{
	while (w->newest) {
		struct interp_frame *f = w->newest;

		w->newest = f->older;
		free(f);
	}
}

static void warp_destroy(struct simt_warp *base)
{
	struct interp_warp *w = (struct interp_warp *)base;

	drop_frames(w);
	drop_cache(w);
	free(w);
}

static int warp_start(struct simt_warp *base, const struct simt_code *c)
{
	const struct interp_code *code = (const struct interp_code *)c;
	struct interp_warp *w = (struct interp_warp *)base;
	struct interp_frame *f;

	if (w->newest)
		drop_frames(w);
	if (w->serial != code->serial) {
		drop_cache(w);
		w->cache = calloc(code->nfuncs, sizeof(struct interp_frame *));
		if (!w->cache)
			return -ENOMEM;
		w->ncache = code->nfuncs;
		w->serial = code->serial;
	}
	w->code = code;
	w->budget = INTERP_BUDGET;
	w->rounds = 0;
	w->polls = 0;
	w->exclusive = 0;
	w->waiting = 0;
	w->ngroups = 0;
	w->sync_ok = 0;
	w->prefer = NULL;
	w->cur = NULL;
	f = frame_push(w, &code->funcs[0], base->lanes);
	if (!f)
		return -ENOMEM;
	interp_wait(w, f, 0, base->lanes);
	return 0;
}

/*
 * A page that is not there: which lane was it? Lanes are moved together, in whatever order, so it
 * is the first one that touches the page.
 */
static void report_trap(struct interp_warp *w)
{
	const struct interp_inst *in = w->cur;
	uint64_t at = w->trap.address, page = at & ~4095ull, va = at;
	int lane = -1;

	if (in && !in->n)
		lane = (int)w->cur_lane;
	for (uint32_t m = w->mask; in && in->n && m; m &= m - 1) {
		uint64_t a = interp_lane_address(w, in, (uint32_t)__builtin_ctz(m));

		if (a - page < 4096 || page - a < (uint64_t)in->n * in->bytes) {
			lane = __builtin_ctz(m);
			va = a;
			break;
		}
	}
	if (lane < 0 && w->mask)
		lane = __builtin_ctz(w->mask);
	interp_fault(w, in, 700, lane, va, "access to 0x%llx, where no memory is mapped",
		     (unsigned long long)va);
}

static const struct interp_inst *continue_warp(struct interp_warp *w)
{
	struct interp_frame *f = w->prefer;

	w->prefer = NULL;
	if (!f || !f->waiting[w->prefer_seg])
		return interp_pick(w);
	if (w->base.released)
		take_released(w);
	return resume(w, f, w->prefer_seg, true);
}

static enum simt_stop warp_run(struct simt_warp *base)
{
	struct interp_warp *w = (struct interp_warp *)base;
	const struct interp_inst *in;

	w->outer_trap = simt_trap_set(NULL);
	if (sigsetjmp(w->trap.jmp, 0)) {
		report_trap(w);
		simt_trap_set(w->outer_trap);
		return SIMT_FAULT;
	}
	simt_trap_set(&w->trap);
	in = continue_warp(w);
	while (in)
		in = in->fn(w, in);
	simt_trap_set(w->outer_trap);
	return w->stop;
}

const struct simt_tier interp_tier = {
	.warp_create = warp_create,
	.warp_destroy = warp_destroy,
	.warp_start = warp_start,
	.warp_run = warp_run,
	.code_destroy = interp_code_destroy,
};

/* SPDX-License-Identifier: MIT */
/*
 * warp.c - the compiled tier's warps: stacks, barriers, who runs next, and faults.
 *
 * The function of an object runs on the warp's own stack. What may wait calls the runtime, which goes
 * back to whoever runs the warp (simt/exec.c); the next run goes on behind the call. Lanes of a warp
 * that are apart are known to generated code; the runtime keeps those that wait for a barrier or
 * for other lanes (groups) and says which block comes next when generated code cannot know.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cuse_dev/backend/soft/llvm/run.h"

_Static_assert(LLVM_SLOT == INTERP_BRIDGE_SLOT, "operands of bridged operations");

static struct llvm_warp *warp_of(struct llvm_ctx *c)
{
	return (struct llvm_warp *)((uint8_t *)c - offsetof(struct llvm_warp, c));
}

/* ---- in and out ----------------------------------------------------------------------------- */

static __thread struct llvm_warp *running;

/* Back to whoever runs the warp; returns when it runs again. */
static void leave(struct llvm_warp *w, enum simt_stop stop)
{
	w->stop = stop;
	llvm_switch(&w->sp, w->caller_sp);
}

/* After a fault: the stack is left as it is. */
__attribute__((noreturn)) static void leave_for_good(struct llvm_warp *w)
{
	leave(w, SIMT_FAULT);
	__builtin_trap();
}

/* What differs between the blocks of a grid. */
static void place(struct llvm_warp *w)
{
	const struct simt_block *b = w->iw.base.block;
	struct llvm_ctx *c = &w->c;

	c->ctaid_x = b->ctaid[0];
	c->ctaid_y = b->ctaid[1];
	c->ctaid_z = b->ctaid[2];
	c->sync_ok = 0;
	c->polls = 0;
	c->line = 0;
}

static void start(void)
{
	struct llvm_warp *w = running;

	if (w->code->base.whole) {
		struct simt_block *b = w->iw.base.block;

		w->code->entry(&w->c, 0, b->nwarps);
		while (simt_next_block(b)) {
			place(w);
			w->code->entry(&w->c, 0, b->nwarps);
		}
	} else {
		w->code->entry(&w->c, w->iw.base.index, w->iw.base.index + 1);
		simt_barrier_exit(&w->iw.base, w->iw.base.lanes & ~w->iw.base.exited);
	}
	leave(w, SIMT_DONE);
	__builtin_trap();
}

/* Of all that a context runs, the warp that is running. */
static void identify(struct llvm_warp *w)
{
	if (!w->code->base.whole)
		return;
	w->iw.base.index = w->c.warp;
	w->iw.base.lanes = w->c.lanes;
	w->iw.base.exited = w->c.exited;
	w->frame.lanes = w->c.lanes;
	if (w->code->base.turns)
		w->iw.base.local = w->c.local;
}

/* The interpreter's warp looks like this for a bridged operation. */
static void pose(struct llvm_warp *w, uint32_t lanes)
{
	identify(w);
	w->iw.regs = w->slots;
	w->iw.mask = lanes;
	w->iw.full = lanes == ~0u;
	w->iw.frame = &w->frame;
}

static void rt_bridge(struct llvm_ctx *c, uint32_t id, uint32_t lanes)
{
	struct llvm_warp *w = warp_of(c);
	const struct interp_code *code = (const struct interp_code *)w->code->bridge;
	const struct interp_inst *in;

	if (!lanes)
		return;
	if (id >= w->code->info.nbridged)
		leave_for_good(w);
	pose(w, lanes);
	in = code->funcs[id].insts;
	c->line = 0;
	while (in && in->fn != interp_exit)
		in = in->fn == interp_op_sync ? in + 1 : in->fn(&w->iw, in);
	c->polls |= w->iw.polls;
	w->iw.polls = 0;
	w->iw.cur = NULL;
	if (!in)
		leave_for_good(w);
}

static void rt_exit(struct llvm_ctx *c, uint32_t lanes)
{
	struct llvm_warp *w = warp_of(c);

	/* Nobody waits for lanes of a block that never waits. */
	if (w->code->base.whole) {
		c->exited |= lanes;
		return;
	}
	simt_barrier_exit(&w->iw.base, lanes);
	c->exited = w->iw.base.exited;
}

static void rt_bad_switch(struct llvm_ctx *c, uint32_t lanes, uint32_t line)
{
	struct llvm_warp *w = warp_of(c);

	identify(w);
	simt_fault(&w->iw.base, 715, __builtin_ctz(lanes), 0, line,
		   "brx.idx: an index beyond the targets");
	leave_for_good(w);
}

/* ---- groups that wait ----------------------------------------------------------------------- */

static void add_group(struct llvm_warp *w, struct llvm_group g)
{
	for (uint32_t i = 0; i < w->ngroups; i++) {
		struct llvm_group *o = &w->groups[i];

		if (o->block == g.block && o->bar == g.bar && o->members == g.members) {
			o->lanes |= g.lanes;
			return;
		}
	}
	/* Groups are disjoint and not empty, so there are at most as many as lanes. */
	w->groups[w->ngroups++] = g;
}

static void drop_group(struct llvm_warp *w, uint32_t i)
{
	w->groups[i] = w->groups[--w->ngroups];
}

/* Lanes that a barrier has let go may run. */
static void take_released(struct llvm_warp *w)
{
	uint32_t released = w->iw.base.released;

	w->iw.base.released = 0;
	for (uint32_t i = 0; i < w->ngroups;) {
		struct llvm_group *g = &w->groups[i];
		uint32_t lanes = g->bar ? g->lanes & released : 0;

		w->pending[g->block] |= lanes;
		g->lanes &= ~lanes;
		if (!g->lanes)
			drop_group(w, i);
		else
			i++;
	}
}

/* Lanes that wait for the same members: when all of these have come, all go on. */
static void meet(struct llvm_warp *w)
{
	uint32_t alive = w->iw.base.lanes & ~w->iw.base.exited;

	for (uint32_t i = 0; i < w->ngroups;) {
		uint32_t members = w->groups[i].members, here = 0;

		for (uint32_t k = 0; k < w->ngroups && !w->groups[i].bar; k++)
			if (!w->groups[k].bar && w->groups[k].members == members)
				here |= w->groups[k].lanes;
		if (w->groups[i].bar || (members & alive & ~here)) {
			i++;
			continue;
		}
		w->c.sync_ok |= here;
		for (uint32_t k = 0; k < w->ngroups;) {
			struct llvm_group *g = &w->groups[k];

			if (g->bar || g->members != members) {
				k++;
				continue;
			}
			w->pending[g->block] |= g->lanes;
			drop_group(w, k);
		}
		i = 0;
	}
}

#define STEP 16u

static bool any_of(const uint32_t *pending)
{
	uint32_t any = 0;

	for (uint32_t i = 0; i < STEP; i++)
		any |= pending[i];
	return any;
}

/* Large kernels have hundreds of blocks, and lanes wait in few of them. */
static uint32_t next_pending(const struct llvm_warp *w, uint32_t from)
{
	uint32_t i = from, n = w->code->info.nblocks;

	while (i + STEP <= n && !any_of(w->pending + i))
		i += STEP;
	for (; i < n; i++)
		if (w->pending[i])
			return i;
	return LLVM_NO_BLOCK;
}

static uint32_t rt_pick(struct llvm_ctx *c)
{
	struct llvm_warp *w = warp_of(c);
	uint32_t turn = w->turn, b;

	identify(w);
	w->turn = 0;
	for (;;) {
		if (w->iw.base.released)
			take_released(w);
		if (w->ngroups)
			meet(w);
		b = next_pending(w, turn);
		if (b == LLVM_NO_BLOCK && turn)
			b = next_pending(w, 0);
		if (b != LLVM_NO_BLOCK || !w->ngroups)
			return b;
		leave(w, SIMT_BLOCKED);
	}
}

static uint32_t rt_sync(struct llvm_ctx *c, uint32_t here, uint32_t lanes, uint32_t members)
{
	struct llvm_warp *w = warp_of(c);
	uint32_t alive = c->lanes & ~c->exited;

	/* Both ways on use the permission up; left over, it would let lanes pass the next one alone. */
	if (!(members & alive & ~lanes) || !(lanes & ~c->sync_ok)) {
		c->sync_ok &= ~lanes;
		return 1;
	}
	add_group(w, (struct llvm_group){ .lanes = lanes, .members = members, .block = here });
	return 0;
}

/* ---- barriers ------------------------------------------------------------------------------- */

static uint32_t arrive(struct llvm_warp *w, uint32_t id, uint32_t count, uint32_t lanes,
		       uint32_t preds, uint32_t flags)
{
	uint32_t line = w->c.line;

	if (id >= SIMT_BAR_CLUSTER) {
		simt_fault(&w->iw.base, 715, __builtin_ctz(lanes), 0, line, "no barrier %u", id);
		leave_for_good(w);
	} else if (count % SIMT_LANES) {
		simt_fault(&w->iw.base, 715, __builtin_ctz(lanes), 0, line,
			   "barrier for %u threads, which is no multiple of 32", count);
		leave_for_good(w);
	}
	simt_barrier_arrive(&w->iw.base, id, count, lanes, flags & LLVM_BAR_WAIT, preds);
	return id;
}

static uint32_t rt_bar(struct llvm_ctx *c, uint32_t id, uint32_t count, uint32_t lanes,
		       uint32_t preds, uint32_t flags)
{
	struct llvm_warp *w = warp_of(c);

	if (!(flags & LLVM_BAR_CLUSTER))
		id = arrive(w, id, count, lanes, preds, flags);
	else if (simt_cluster_wait(&w->iw.base, lanes) == lanes)
		return 0;
	while (!w->iw.base.released)
		leave(w, SIMT_BLOCKED);
	w->iw.base.released = 0;
	return w->iw.base.release_value[id];
}

static void rt_bar_park(struct llvm_ctx *c, uint32_t id, uint32_t count, uint32_t lanes,
			uint32_t next, uint32_t flags)
{
	struct llvm_warp *w = warp_of(c);
	uint32_t pass = 0;

	if (flags & LLVM_BAR_CLUSTER)
		pass = simt_cluster_wait(&w->iw.base, lanes);
	w->pending[next] |= pass;
	lanes &= ~pass;
	if (lanes)
		add_group(w, (struct llvm_group){ .lanes = lanes, .block = next, .bar = true });
	if (!(flags & LLVM_BAR_CLUSTER))
		arrive(w, id, count, lanes, 0, flags);
}

/* ---- loops ---------------------------------------------------------------------------------- */

static uint32_t rt_look(struct llvm_ctx *c, uint32_t others)
{
	struct llvm_warp *w = warp_of(c);
	const volatile uint32_t *cancel = w->iw.base.grid->launch->cancel;

	c->budget = LLVM_BUDGET;
	if (cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED))
		simt_fault(&w->iw.base, 719, -1, 0, 0, "cancelled");
	if (__atomic_load_n(&w->iw.base.grid->stop, __ATOMIC_RELAXED))
		leave_for_good(w);
	if (w->iw.base.released && w->ngroups)
		take_released(w);
	/* First those of the warp, then the others of the block. */
	if (others && next_pending(w, 0) != LLVM_NO_BLOCK && ++w->looks % 4) {
		w->turn = others;
		return 1;
	}
	if (c->polls || w->looks++ % 16 == 15) {
		c->polls = 0;
		leave(w, SIMT_YIELD);
	}
	return 0;
}

static const struct llvm_table table = {
#define X(ret, name, params) .name = rt_##name,
	LLVM_TABLE(X)
#undef X
};

/* ---- faults --------------------------------------------------------------------------------- */

/* An access of generated code, or of a bridged operation: which lane was it? */
static void report(struct llvm_warp *w)
{
	uint64_t at = w->iw.trap.address, va = at;
	const struct interp_inst *in = w->iw.cur;
	uint32_t line = in ? in->line : w->c.line, mask = in ? w->iw.mask : w->c.running;
	int lane = mask ? __builtin_ctz(mask) : -1;

	identify(w);
	for (uint32_t m = mask; in && m; m &= m - 1) {
		uint64_t a = interp_lane_address(&w->iw, in, (uint32_t)__builtin_ctz(m));

		if (at - a < (uint64_t)in->n * in->bytes) {
			lane = __builtin_ctz(m);
			va = a;
			break;
		}
	}
	for (uint32_t m = mask; !in && w->c.address && w->c.step && m; m &= m - 1) {
		uint64_t a = w->c.address + w->c.step * (uint32_t)__builtin_ctz(m);

		if (at - a < w->c.step) {
			lane = __builtin_ctz(m);
			va = a;
			break;
		}
	}
	if (!in && w->c.address && !w->c.step)
		va = w->c.address;
	simt_fault(&w->iw.base, 700, lane, va, line, "access to 0x%llx, where no memory is mapped",
		   (unsigned long long)va);
}

/* Called in place of the access that has faulted, on the warp's stack. */
static void trapped(struct simt_trap *t)
{
	struct llvm_warp *w =
		(struct llvm_warp *)((uint8_t *)t - offsetof(struct llvm_warp, iw.trap));

	report(w);
	leave_for_good(w);
}

/* ---- the tier ------------------------------------------------------------------------------- */

static struct simt_warp *warp_create(void)
{
	struct llvm_warp *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->stack = llvm_stack_create();
	if (!w->stack) {
		free(w);
		return NULL;
	}
	return &w->iw.base;
}

static void warp_destroy(struct simt_warp *base)
{
	struct llvm_warp *w = (struct llvm_warp *)base;

	llvm_stack_destroy(w->stack);
	free(w->pending);
	free(w->slots);
	free(w->frames);
	free(w);
}

/* Room for what the code wants; pending is all zero between warps. */
static int make_room(struct llvm_warp *w, const struct llvm_code *code)
{
	size_t slots = code->slot_bytes;
	size_t frames = (size_t)code->info.frame_bytes * w->iw.base.block->nwarps;

	if (code->info.nblocks > w->npending) {
		free(w->pending);
		w->npending = 0;
		w->pending = calloc(code->info.nblocks, sizeof(*w->pending));
		if (!w->pending)
			return -ENOMEM;
		w->npending = code->info.nblocks;
	}
	if (slots > w->slot_bytes) {
		free(w->slots);
		w->slot_bytes = 0;
		w->slots = aligned_alloc(64, (slots + 63) & ~(size_t)63);
		if (!w->slots)
			return -ENOMEM;
		memset(w->slots, 0, slots);
		w->slot_bytes = slots;
	}
	if (frames > w->frames_bytes) {
		free(w->frames);
		w->frames_bytes = 0;
		w->frames = aligned_alloc(64, frames);
		if (!w->frames)
			return -ENOMEM;
		w->frames_bytes = frames;
	}
	return 0;
}

/* What is the same for all warps of a block. */
static void fill(struct llvm_warp *w)
{
	const struct simt_grid *g = w->iw.base.grid;
	const struct simt_block *b = w->iw.base.block;
	const uint32_t *n = g->launch->block, *dim = g->launch->grid;
	struct llvm_ctx *c = &w->c;

	c->table = &table;
	c->window_base = g->window_base;
	c->window_size = g->window_size;
	c->global_va = w->code->base_va[IR_BASE_GLOBAL];
	c->managed_va = w->code->base_va[IR_BASE_MANAGED];
	c->shared = b->shared;
	c->params = g->params;
	c->local = w->iw.base.local;
	c->locals = w->iw.base.local;
	c->frames = w->frames;
	c->local_stride = w->iw.base.local_stride;
	c->pending = w->pending;
	c->slots = w->slots + INTERP_BRIDGE_HEAD;
	c->shared_bytes = g->shared_bytes;
	c->local_bytes = g->local_bytes;
	c->nctaid_x = dim[0];
	c->nctaid_y = dim[1];
	c->nctaid_z = dim[2];
	c->ntid_x = n[0];
	c->ntid_y = n[1];
	c->ntid_z = n[2];
	c->threads = n[0] * n[1] * n[2];
	place(w);
}

static int warp_start(struct simt_warp *base, const struct simt_code *simt)
{
	const struct llvm_code *code = (const struct llvm_code *)simt;
	struct llvm_warp *w = (struct llvm_warp *)base;
	int r = make_room(w, code);

	if (r < 0)
		return r;
	/* Not only when it is another one: a new code may lie where an old one lay. */
	w->code = code;
	w->iw.code = (const struct interp_code *)code->bridge;
	/* One that was stopped in the middle leaves lanes behind, also while it waited or had given way. */
	if (w->stop != SIMT_DONE)
		memset(w->pending, 0, w->npending * sizeof(*w->pending));
	fill(w);
	w->ngroups = 0;
	w->turn = 0;
	w->iw.polls = 0;
	w->iw.cur = NULL;
	w->frame.base = 0;
	w->frame.lanes = base->lanes;
	w->sp = llvm_stack_begin(w->stack, start);
	return 0;
}

static enum simt_stop warp_run(struct simt_warp *base)
{
	struct llvm_warp *w = (struct llvm_warp *)base;
	struct simt_trap *outer;

	w->iw.trap.resume = trapped;
	outer = simt_trap_set(&w->iw.trap);
	running = w;
	llvm_switch(&w->caller_sp, w->sp);
	w->iw.base.local = w->c.locals;
	simt_trap_set(outer);
	return w->stop;
}

const struct simt_tier llvm_tier = {
	.warp_create = warp_create,
	.warp_destroy = warp_destroy,
	.warp_start = warp_start,
	.warp_run = warp_run,
	.code_destroy = llvm_code_destroy,
};

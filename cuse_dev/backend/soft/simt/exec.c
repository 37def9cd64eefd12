/* SPDX-License-Identifier: MIT */
/*
 * exec.c - run clusters of blocks on one CPU thread.
 *
 * A cluster runs until all its warps have ended, one block after the other as far as each gets. When
 * nothing in it moves except spinning warps, the thread starts or resumes others, so that blocks may wait for each other through memory:
 * cooperative grids need it, and hand-made grid barriers get it as far as residency goes. Blocks start in order; a block
 * that waits for an earlier one always finds it started. While a more urgent grid has blocks to start, a thread starts
 * no others.
 */
#include "cuse_dev/backend/soft/simt/exec.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum warp_state { WARP_NEW, WARP_READY, WARP_BLOCKED, WARP_ENDED };
enum block_stop { BLOCK_DONE, BLOCK_YIELD, BLOCK_WAIT, BLOCK_STOP };

#define SHARED_ALIGN 1024u /* of dynamic shared memory; more than any program asks for */
#define SHARED_PAD   64u
#define TAKE_MAX     4u /* clusters that a thread takes at once; blocks may wait for earlier ones */
#define TAKE_PART    16u /* and at most one in so many of its share of what is left */

struct simt_exec *simt_exec_create(void)
{
	return calloc(1, sizeof(struct simt_exec));
}

static void drop_warps(struct simt_exec *x, uint32_t i)
{
	struct simt_warp *w;

	while ((w = x->free[i].warps)) {
		x->free[i].warps = w->next;
		if (w->local)
			munmap(w->local, w->local_cap);
		x->free[i].tier->warp_destroy(w);
	}
	x->free[i].tier = NULL;
}

/* The list of a tier's free warps; the last place goes to whoever comes when all are taken. */
static struct simt_warp **free_warps(struct simt_exec *x, const struct simt_tier *tier)
{
	uint32_t i;

	for (i = 0; i < SIMT_TIERS - 1; i++)
		if (!x->free[i].tier || x->free[i].tier == tier)
			break;
	if (x->free[i].tier != tier) {
		drop_warps(x, i);
		x->free[i].tier = tier;
	}
	return &x->free[i].warps;
}

void simt_exec_destroy(struct simt_exec *x)
{
	if (!x)
		return;
	for (uint32_t i = 0; i < SIMT_TIERS; i++)
		drop_warps(x, i);
	while (x->free_blocks) {
		struct simt_block *b = x->free_blocks;

		x->free_blocks = b->next;
		free(b->shared);
		free(b);
	}
	free(x);
}

/* ---- memory --------------------------------------------------------------------------------- */

static int warp_local(struct simt_warp *w, uint32_t bytes, uint32_t warps)
{
	/* An odd number of lines between lanes, so that they do not fight for the same cache sets. */
	size_t stride = ((size_t)bytes + 63) / 64 * 64 + 64;
	size_t want = stride * SIMT_LANES * warps;
	void *p;

	w->local_stride = stride;
	if (want <= w->local_cap)
		return 0;
	p = mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	if (w->local)
		munmap(w->local, w->local_cap);
	w->local = p;
	w->local_cap = want;
	return 0;
}

static struct simt_warp *get_warp(struct simt_exec *x, struct simt_block *b, uint32_t index)
{
	const uint32_t *n = b->grid->launch->block;
	uint32_t threads = n[0] * n[1] * n[2], left = threads - index * SIMT_LANES;
	const struct simt_tier *tier = b->code->tier;
	struct simt_warp **list = free_warps(x, tier), *w = *list;

	if (w)
		*list = w->next;
	else
		w = tier->warp_create();
	if (!w)
		return NULL;
	w->block = b;
	w->grid = b->grid;
	w->index = index;
	w->lanes = left >= SIMT_LANES ? ~0u : (1u << left) - 1;
	w->exited = 0;
	w->released = 0;
	w->cluster_arrived = 0;
	w->cluster_passed = 0;
	w->cluster_waiting = 0;
	if ((b->grid->code->uses_local &&
	     warp_local(w, b->grid->local_bytes, b->code->turns ? b->nwarps : 1) < 0) ||
	    tier->warp_start(w, b->code) < 0) {
		w->next = *list;
		*list = w;
		return NULL;
	}
	return w;
}

static void put_warp(struct simt_exec *x, struct simt_warp *w)
{
	struct simt_warp **list = free_warps(x, w->block->code->tier);

	w->next = *list;
	*list = w;
}

static void put_block(struct simt_exec *x, struct simt_block *b)
{
	for (uint32_t i = 0; i < b->nwarps; i++) {
		if (b->warps[i])
			put_warp(x, b->warps[i]);
		b->warps[i] = NULL;
	}
	b->next = x->free_blocks;
	x->free_blocks = b;
}

/* A cluster with all its blocks. */
static void put_cluster(struct simt_exec *x, struct simt_block *leader)
{
	for (uint32_t i = leader->npeers; i--;)
		put_block(x, leader->peers[i]);
}

void simt_cluster_ctaid(const struct simt_grid *g, uint64_t n, uint32_t rank, uint32_t ret_ctaid[3])
{
	const uint32_t *c = g->cluster, *dim = g->launch->grid;
	uint64_t at[3] = { n, 0, 0 };

	/* Divisions are slow, and most grids are one row without clusters. */
	if (g->cluster_blocks > 1 || n >= dim[0]) {
		at[0] = n % (dim[0] / c[0]);
		at[1] = n / (dim[0] / c[0]) % (dim[1] / c[1]);
		at[2] = n / (dim[0] / c[0]) / (dim[1] / c[1]);
	}
	if (g->cluster_blocks == 1) {
		for (int i = 0; i < 3; i++)
			ret_ctaid[i] = (uint32_t)at[i];
		return;
	}
	ret_ctaid[0] = (uint32_t)at[0] * c[0] + rank % c[0];
	ret_ctaid[1] = (uint32_t)at[1] * c[1] + rank / c[0] % c[1];
	ret_ctaid[2] = (uint32_t)at[2] * c[2] + rank / c[0] / c[1];
}

bool simt_cluster_cancel(struct simt_grid *g, uint32_t ret_ctaid[3])
{
	uint64_t n = __atomic_load_n(&g->next_cluster, __ATOMIC_RELAXED);

	do {
		if (n >= g->clusters)
			return false;
	} while (!__atomic_compare_exchange_n(&g->next_cluster, &n, n + 1, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	simt_cluster_ctaid(g, n, 0, ret_ctaid);
	return true;
}

/*
 * The number of the next cluster. Threads take several at a time while many are left, because the counter is
 * in a line of memory that all of them write.
 */
static uint64_t take_cluster(struct simt_exec *x, struct simt_grid *g)
{
	uint64_t n = __atomic_load_n(&g->next_cluster, __ATOMIC_RELAXED), take;

	if (x->taken == x->taken_end) {
		if (n >= g->clusters)
			return n;
		take = (g->clusters - n) / ((uint64_t)g->dev->threads * TAKE_PART);
		take = take > TAKE_MAX ? TAKE_MAX : take < 1 ? 1 : take;
		x->taken = __atomic_fetch_add(&g->next_cluster, take, __ATOMIC_RELAXED);
		x->taken_end = x->taken + take;
		if (g->shared_by && x->taken < g->clusters && x->taken_end >= g->clusters)
			simt_all_started(g);
	}
	return x->taken++;
}

/* Is there a more urgent grid, and nothing of this one that has to be done here? */
static bool gives_way(const struct simt_exec *x, const struct simt_grid *g)
{
	return g->shared_by && x->taken == x->taken_end && simt_gives_way(g);
}

/* The best code there is for a block that starts now. */
static const struct simt_code *best_code(const struct simt_grid *g)
{
	const struct simt_code *code =
		g->better ? __atomic_load_n(g->better, __ATOMIC_ACQUIRE) : NULL;

	return code ? code : g->code;
}

static void place_block(struct simt_block *b, uint64_t cluster)
{
	const uint32_t *dim = b->grid->launch->grid;

	simt_cluster_ctaid(b->grid, cluster, b->rank, b->ctaid);
	b->linear = b->ctaid[0] + dim[0] * (b->ctaid[1] + (uint64_t)dim[1] * b->ctaid[2]);
}

static struct simt_block *get_block(struct simt_exec *x, struct simt_grid *g, uint64_t cluster,
				    uint32_t rank)
{
	const uint32_t *n = g->launch->block;
	struct simt_block *b = x->free_blocks;
	uint32_t threads = n[0] * n[1] * n[2];

	if (b)
		x->free_blocks = b->next;
	else
		b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	if (b->shared_cap < g->shared_bytes) {
		size_t cap = ((size_t)g->shared_bytes + SHARED_PAD + SHARED_ALIGN - 1) &
			     -(size_t)SHARED_ALIGN;

		free(b->shared);
		b->shared = aligned_alloc(SHARED_ALIGN, cap);
		b->shared_cap = b->shared ? cap - SHARED_PAD : 0;
		if (!b->shared) {
			put_block(x, b);
			return NULL;
		}
		memset(b->shared, 0, cap);
	}
	b->grid = g;
	b->exec = x;
	b->code = best_code(g);
	b->leader = b;
	b->rank = rank;
	place_block(b, cluster);
	b->nwarps = (threads + SIMT_LANES - 1) / SIMT_LANES;
	b->live = threads;
	b->done = 0;
	if (b->used_bars)
		memset(b->bar, 0, sizeof(b->bar));
	b->used_bars = 0;
	memset(b->state, WARP_NEW, b->nwarps);
	b->next = NULL;
	return b;
}

bool simt_next_block(struct simt_block *b)
{
	struct simt_grid *g = b->grid;
	struct simt_exec *x = b->exec;
	const volatile uint32_t *cancel = g->launch->cancel;
	uint64_t n;

	if (g->cluster_blocks > 1 || x->nlive > 1 || best_code(g) != b->code || gives_way(x, g) ||
	    __atomic_load_n(&g->stop, __ATOMIC_RELAXED) ||
	    (cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED)))
		return false;
	n = take_cluster(x, g);
	if (n >= g->clusters)
		return false;
	if (n == b->linear + 1 && b->ctaid[0] + 1 < g->launch->grid[0]) {
		b->ctaid[0]++;
		b->linear++;
	} else {
		place_block(b, n);
	}
	return true;
}

/* All blocks of cluster @n; the leader. */
static struct simt_block *get_cluster(struct simt_exec *x, struct simt_grid *g, uint64_t n)
{
	struct simt_block *leader = get_block(x, g, n, 0);

	if (!leader)
		return NULL;
	leader->peers[0] = leader;
	leader->npeers = 1;
	leader->cluster_live = leader->live;
	leader->cluster_arrived = 0;
	while (leader->npeers < g->cluster_blocks) {
		struct simt_block *b = get_block(x, g, n, leader->npeers);

		if (!b) {
			put_cluster(x, leader);
			return NULL;
		}
		b->leader = leader;
		leader->peers[leader->npeers++] = b;
		leader->cluster_live += b->live;
	}
	return leader;
}

/* ---- one block ------------------------------------------------------------------------------ */

static void out_of_memory(struct simt_grid *g, struct simt_block *b)
{
	struct simt_warp w = { .grid = g, .block = b };

	simt_fault(&w, 719, -1, 0, 0, "out of memory for the state of a warp");
}

/* Warps that have arrived somewhere wait for a lane that cannot come any more. */
static void deadlock(struct simt_block *leader)
{
	for (uint32_t k = 0; k < leader->npeers; k++) {
		struct simt_block *b = leader->peers[k];

		for (uint32_t i = 0; i < b->nwarps; i++) {
			struct simt_warp *w = b->warps[i];
			uint32_t alive = w ? w->lanes & ~w->exited : 0;

			if (alive) {
				simt_fault(w, 719, __builtin_ctz(alive), 0, 0,
					   "deadlock: all threads of the %s wait at barriers that "
					   "cannot complete",
					   leader->npeers > 1 ? "cluster" : "block");
				return;
			}
		}
	}
}

/* One turn of warp @i. Says whether anything but spinning happened in *moved. */
static enum block_stop turn(struct simt_exec *x, struct simt_block *b, uint32_t i, bool *moved)
{
	struct simt_warp *w = b->warps[i];

	if (b->state[i] == WARP_NEW) {
		w = get_warp(x, b, i);
		if (!w) {
			out_of_memory(b->grid, b);
			return BLOCK_STOP;
		}
		b->warps[i] = w;
		*moved = true;
		if (b->code->whole) {
			memset(b->state + 1, WARP_ENDED, b->nwarps - 1);
			b->done = b->nwarps - 1;
		}
	}
	switch (b->code->tier->warp_run(w)) {
	case SIMT_DONE:
		*moved = true;
		b->state[i] = WARP_ENDED;
		b->done++;
		b->warps[i] = NULL;
		put_warp(x, w);
		break;
	case SIMT_BLOCKED:
		*moved = true;
		b->state[i] = WARP_BLOCKED;
		break;
	case SIMT_YIELD:
		b->state[i] = WARP_READY;
		break;
	default:
		return BLOCK_STOP;
	}
	return BLOCK_DONE;
}

/* *moved is set when anything but spinning happened. */
static enum block_stop run_block(struct simt_exec *x, struct simt_block *b, bool *moved)
{
	for (;;) {
		bool now = false, ran = false;

		for (uint32_t i = 0; i < b->nwarps; i++) {
			if (b->state[i] == WARP_ENDED)
				continue;
			if (b->state[i] == WARP_BLOCKED && !b->warps[i]->released)
				continue;
			ran = true;
			if (turn(x, b, i, &now) == BLOCK_STOP)
				return BLOCK_STOP;
		}
		*moved |= now;
		if (b->done == b->nwarps)
			return BLOCK_DONE;
		if (__atomic_load_n(&b->grid->stop, __ATOMIC_RELAXED))
			return BLOCK_STOP;
		if (!ran)
			return BLOCK_WAIT;
		if (!now)
			return BLOCK_YIELD;
	}
}

static enum block_stop run_cluster(struct simt_exec *x, struct simt_block *leader)
{
	for (;;) {
		bool moved = false, spins = false, more = false;

		for (uint32_t i = 0; i < leader->npeers; i++) {
			struct simt_block *b = leader->peers[i];

			if (b->done == b->nwarps)
				continue;
			switch (run_block(x, b, &moved)) {
			case BLOCK_STOP:
				return BLOCK_STOP;
			case BLOCK_YIELD:
				spins = true;
				/* fall through */
			case BLOCK_WAIT:
				more = true;
				break;
			case BLOCK_DONE:
				break;
			}
		}
		if (!more)
			return BLOCK_DONE;
		if (moved && leader->npeers > 1)
			continue;
		if (spins)
			return BLOCK_YIELD;
		deadlock(leader);
		return BLOCK_STOP;
	}
}

/* ---- many ----------------------------------------------------------------------------------- */

/* Out of line: a block is large, and this one is needed by nobody but a fault. */
static __attribute__((noinline)) void refuse_cluster(struct simt_grid *g, bool cancelled)
{
	struct simt_block none = { .grid = g };
	struct simt_warp w = { .grid = g, .block = &none };

	if (cancelled)
		simt_fault(&w, 719, -1, 0, 0, "cancelled");
	else
		out_of_memory(g, &none);
}

/* The next cluster of the grid, appended at @tail. */
static bool start_cluster(struct simt_exec *x, struct simt_grid *g, struct simt_block **tail)
{
	const volatile uint32_t *cancel = g->launch->cancel;
	uint64_t n = take_cluster(x, g);
	struct simt_block *b;

	if (n >= g->clusters)
		return false;
	if (cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED)) {
		refuse_cluster(g, true);
		return false;
	}
	b = get_cluster(x, g, n);
	if (!b) {
		refuse_cluster(g, false);
		return false;
	}
	*tail = b;
	x->nlive++;
	return true;
}

/* Live clusters from @p on, once each; returns whether one has ended. */
static bool pass(struct simt_exec *x, struct simt_block **p, bool *ret_stop)
{
	bool ended = false;

	while (*p) {
		struct simt_block *b = *p;
		enum block_stop stop = run_cluster(x, b);

		if (stop == BLOCK_YIELD) {
			p = &b->next;
			continue;
		}
		*p = b->next;
		x->nlive--;
		put_cluster(x, b);
		ended = true;
		if (stop == BLOCK_STOP) {
			*ret_stop = true;
			return ended;
		}
	}
	return ended;
}

bool simt_exec_run(struct simt_exec *x, struct simt_grid *g, uint32_t resident)
{
	bool more = true, stop = false, ended = true;

	x->taken = x->taken_end = 0;
	while (!stop && !__atomic_load_n(&g->stop, __ATOMIC_RELAXED)) {
		struct simt_block **p = &x->live;

		if (more && !x->nlive && gives_way(x, g))
			return true;
		if (more && (!x->nlive || (!ended && x->nlive < resident))) {
			/* Only the new one runs now: the others spin. */
			while (*p)
				p = &(*p)->next;
			more = start_cluster(x, g, p);
			if (more) {
				ended = pass(x, p, &stop);
				continue;
			}
			p = &x->live;
		}
		if (!x->nlive)
			break;
		if (!ended)
			sched_yield(); /* they wait for blocks on other threads */
		ended = pass(x, p, &stop);
	}
	while (x->live) {
		struct simt_block *b = x->live;

		x->live = b->next;
		put_cluster(x, b);
	}
	x->nlive = 0;
	return false;
}

/* SPDX-License-Identifier: MIT */
/*
 * barrier.c - bar.sync, bar.arrive and bar.red of one block (PTX ISA 9.7.13.1), barrier.cluster.
 *
 * Lanes arrive one by one or in groups. A barrier without a count completes when every lane that
 * has not ended is there. With a count, a warp whose living lanes are all there counts as 32, as on
 * hardware, else each lane counts as one. A cluster runs on one CPU thread, so there are no locks.
 *
 * The barrier of a cluster is split: a lane arrives, later it waits. What it waits for is the phase in
 * which it has arrived, so a lane whose phase is complete by then passes.
 */
#include <string.h>

#include "cuse_dev/backend/soft/simt/warp.h"

static uint32_t counted(const struct simt_block *b, const struct simt_barrier *bar)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < b->nwarps; i++) {
		const struct simt_warp *w = b->warps[i];
		uint32_t alive = w ? w->lanes & ~w->exited : 0;

		if (!bar->arrived[i])
			continue;
		sum += (alive & ~bar->arrived[i]) ? (uint32_t)__builtin_popcount(bar->arrived[i])
						  : SIMT_LANES;
	}
	return sum;
}

static bool is_complete(const struct simt_block *b, const struct simt_barrier *bar)
{
	return bar->count ? counted(b, bar) >= bar->count : bar->lanes >= b->live;
}

static void complete(struct simt_block *b, uint32_t id)
{
	struct simt_barrier *bar = &b->bar[id];
	uint32_t value = bar->pred_lanes | (bar->pred_lanes == bar->lanes ? SIMT_VALUE_ALL : 0);

	for (uint32_t i = 0; i < b->nwarps; i++) {
		if (!bar->waiting[i] || !b->warps[i])
			continue;
		b->warps[i]->released |= bar->waiting[i];
		b->warps[i]->release_value[id] = value;
	}
	memset(bar, 0, sizeof(*bar));
	b->used_bars &= ~(1u << id);
}

void simt_barrier_arrive(struct simt_warp *w, uint32_t id, uint32_t count, uint32_t lanes,
			 bool wait, uint32_t pred_lanes)
{
	struct simt_block *b = w->block;
	struct simt_barrier *bar = &b->bar[id];

	b->used_bars |= 1u << id;
	bar->lanes += (uint32_t)__builtin_popcount(lanes & ~bar->arrived[w->index]);
	bar->arrived[w->index] |= lanes;
	bar->pred_lanes += (uint32_t)__builtin_popcount(pred_lanes & lanes);
	bar->count = count;
	if (wait)
		bar->waiting[w->index] |= lanes;
	if (is_complete(b, bar))
		complete(b, id);
}

/* ---- of the cluster ------------------------------------------------------------------------- */

static void cluster_complete(struct simt_block *leader)
{
	for (uint32_t k = 0; k < leader->npeers; k++) {
		struct simt_block *b = leader->peers[k];

		for (uint32_t i = 0; i < b->nwarps; i++) {
			struct simt_warp *w = b->warps[i];

			if (!w)
				continue;
			w->released |= w->cluster_waiting;
			w->cluster_passed |= w->cluster_arrived & ~w->cluster_waiting;
			w->cluster_arrived = 0;
			w->cluster_waiting = 0;
		}
	}
	leader->cluster_arrived = 0;
}

void simt_cluster_arrive(struct simt_warp *w, uint32_t lanes)
{
	struct simt_block *leader = w->block->leader;

	lanes &= ~w->cluster_arrived;
	w->cluster_arrived |= lanes;
	leader->cluster_arrived += (uint32_t)__builtin_popcount(lanes);
	if (leader->cluster_arrived >= leader->cluster_live)
		cluster_complete(leader);
}

uint32_t simt_cluster_wait(struct simt_warp *w, uint32_t lanes)
{
	uint32_t pass = lanes & w->cluster_passed;

	w->cluster_passed &= ~pass;
	w->cluster_waiting |= lanes & ~pass;
	return pass;
}

/* Lanes that end do not count any more, whether they had come or not. */
static void cluster_exit(struct simt_warp *w, uint32_t lanes)
{
	struct simt_block *leader = w->block->leader;

	leader->cluster_live -= (uint32_t)__builtin_popcount(lanes);
	leader->cluster_arrived -= (uint32_t)__builtin_popcount(lanes & w->cluster_arrived);
	w->cluster_arrived &= ~lanes;
	if (leader->cluster_arrived && leader->cluster_arrived >= leader->cluster_live)
		cluster_complete(leader);
}

void simt_barrier_exit(struct simt_warp *w, uint32_t lanes)
{
	struct simt_block *b = w->block;
	uint32_t bars = b->used_bars;

	lanes &= ~w->exited;
	b->live -= (uint32_t)__builtin_popcount(lanes);
	w->exited |= lanes;
	cluster_exit(w, lanes);
	while (bars) {
		uint32_t id = (uint32_t)__builtin_ctz(bars);

		bars &= bars - 1;
		if (b->bar[id].lanes && is_complete(b, &b->bar[id]))
			complete(b, id);
	}
}

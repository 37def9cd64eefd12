/* SPDX-License-Identifier: MIT */
/*
 * exec.h - one CPU thread's share of a launch, and the memory it keeps between launches.
 */
#ifndef SOFT_SIMT_EXEC_H
#define SOFT_SIMT_EXEC_H

#include "cuse_dev/backend/soft/simt/warp.h"

#define SIMT_TIERS 2u /* whose warps are kept at the same time */

/** struct simt_exec - used by one thread at a time */
struct simt_exec {
	struct {
		const struct simt_tier *tier; /* NULL: not in use */
		struct simt_warp *warps;
	} free[SIMT_TIERS];
	struct simt_block *free_blocks;
	struct simt_block *live; /* blocks that have started, in order */
	uint32_t nlive;
	uint64_t taken, taken_end; /* clusters of the grid that are this one's to start */
	struct simt_exec *next;	   /* free list of the device */
};

struct simt_exec *simt_exec_create(void);
void simt_exec_destroy(struct simt_exec *x);

/**
 * simt_exec_run() - take blocks of the grid until there are none; at most @resident alive here
 *
 * True: there are more, but it gave way to a grid that is more urgent; none of this grid is alive here.
 */
bool simt_exec_run(struct simt_exec *x, struct simt_grid *g, uint32_t resident);

/* launch.c, for grids that threads share */
/** simt_gives_way() - has a more urgent grid blocks that did not start? */
bool simt_gives_way(const struct simt_grid *g);
/** simt_all_started() - the last cluster of @g has been taken. */
void simt_all_started(const struct simt_grid *g);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * warp.h - what a tier and simt share: grid, block and warp, and what a tier must offer.
 *
 * Here: the structs. Not here: how lanes compute (a tier's own part of a warp), the scheduling of
 * blocks (exec.c).
 *
 *   grid 1 --- n cluster 1 --- n block 1 --- n warp
 *
 * The blocks of a cluster live on one CPU thread from start to end, so nothing that only they can
 * reach (shared memory, barriers) needs locks. Without clusters each block is a cluster of its own.
 */
#ifndef SOFT_SIMT_WARP_H
#define SOFT_SIMT_WARP_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "cuse_dev/backend/backend.h"
#include "cuse_dev/backend/soft/simt/launch.h"

#define SIMT_LANES	 32u
#define SIMT_MAX_WARPS	 32u
#define SIMT_BARRIERS	 17u /* bar 0 .. 15; who waits for the cluster is released as from one more */
#define SIMT_BAR_CLUSTER 16u
#define SIMT_CLUSTER_MAX 16u /* blocks of a cluster */

struct simt_warp;

enum simt_stop {
	SIMT_DONE,    /* all lanes have ended */
	SIMT_BLOCKED, /* every lane waits for a barrier */
	SIMT_YIELD,   /* it spins: let others run */
	SIMT_FAULT,   /* recorded in the grid */
};

/** struct simt_tier - how warps of a code run */
struct simt_tier {
	/* A context for warps, reused for many; NULL when out of memory. */
	struct simt_warp *(*warp_create)(void);
	void (*warp_destroy)(struct simt_warp *w);
	/* Begin at the entry; the base part is filled in. 0 or -ENOMEM. */
	int (*warp_start)(struct simt_warp *w, const struct simt_code *code);
	enum simt_stop (*warp_run)(struct simt_warp *w);
	void (*code_destroy)(struct simt_code *code);
};

/** struct simt_code - the part of an executable kernel that every tier has */
struct simt_code {
	const struct simt_tier *tier;
	uint32_t shared_bytes; /* static */
	uint32_t param_bytes;
	uint32_t local_bytes; /* deepest chain of frames without recursion */
	uint32_t registers;   /* 32-bit, per thread */
	uint32_t insts;	      /* a measure of work */
	bool recursive;	      /* or indirect calls: stack_bytes of the launch counts */
	bool uses_local;      /* wants local memory at all */
	bool has_loops;
	bool whole; /* a context runs all warps of a block in its turn, and never waits */
	bool turns; /* that, and its warps take turns: each needs local memory of its own */
};

/** struct simt_grid - one launch; read-only for warps except as marked */
struct simt_grid {
	const struct simt_code *code;
	const struct simt_code *const *better; /* NULL, or where better code may appear (atomic) */
	const struct backend_launch *launch;
	const struct backend_device *dev;
	struct simt_device *shared_by; /* whose threads share it; NULL: the caller runs it alone */
	const struct simt_textures *textures;
	struct simt_children *children; /* locks itself; NULL: it can have none */
	const char *name;
	uint64_t window_base, window_size;
	const uint64_t (*ranges)[2]; /* memory outside the window, {start, bytes} */
	size_t nranges;
	const uint8_t *params;
	uint32_t shared_bytes; /* static + dynamic */
	uint32_t local_bytes;  /* per thread */
	uint64_t blocks;
	uint32_t cluster[3];	 /* shape in blocks, at least 1 */
	uint32_t cluster_blocks; /* product of it */
	uint64_t clusters;	 /* blocks / cluster_blocks */
	uint64_t id;
	struct {
		uint32_t size, barrier;
	} workspace;	       /* of cooperative groups; written by device code */
	uint64_t next_cluster; /* atomic */
	uint32_t stop;	       /* atomic: a fault or a cancel; polled in loops */
	uint32_t fault_taken;  /* atomic: who sets it first writes fault */
	struct backend_fault fault;
};

/** struct simt_barrier - who has come, per warp, in the current phase */
struct simt_barrier {
	uint32_t arrived[SIMT_MAX_WARPS];
	uint32_t waiting[SIMT_MAX_WARPS]; /* subset that sleeps */
	uint32_t lanes;			  /* sum of bits in arrived */
	uint32_t count;			  /* threads wanted, 0: all of the block */
	uint32_t pred_lanes;		  /* lanes that came with a true predicate */
};

struct simt_block {
	struct simt_grid *grid;
	struct simt_exec *exec;	      /* that runs it */
	const struct simt_code *code; /* the best there was when the block started */
	uint32_t ctaid[3];
	uint64_t linear;
	uint8_t *shared;
	size_t shared_cap;
	uint32_t nwarps;
	uint32_t live;				 /* lanes that have not ended */
	uint32_t done;				 /* warps that have ended */
	uint32_t used_bars;			 /* bit per barrier that holds something */
	struct simt_warp *warps[SIMT_MAX_WARPS]; /* NULL: not started or ended */
	uint8_t state[SIMT_MAX_WARPS];
	struct simt_barrier bar[SIMT_BARRIERS];
	struct simt_block *leader; /* block 0 of the cluster, may be itself; has what follows */
	uint32_t rank;		   /* in the cluster */
	struct simt_block *peers[SIMT_CLUSTER_MAX];
	uint32_t npeers;
	uint32_t cluster_live;	  /* lanes of all of them that have not ended */
	uint32_t cluster_arrived; /* lanes that have come to the cluster's barrier in this phase */
	struct simt_block *next;  /* in the executor's lists: leaders, or free ones */
};

/** struct simt_warp - first member of a tier's warp */
struct simt_warp {
	struct simt_block *block;
	struct simt_grid *grid;
	uint32_t index;		  /* in the block */
	uint32_t lanes;		  /* that exist */
	uint32_t exited;	  /* of those, ended */
	uint32_t released;	  /* lanes that a barrier has let go; the tier takes them */
	uint32_t cluster_arrived; /* lanes that have come to the cluster's barrier in this phase, */
	uint32_t cluster_passed;  /* whose phase is complete, and need not wait, */
	uint32_t cluster_waiting; /* and that sleep in barrier.cluster.wait */
	uint32_t release_value[SIMT_BARRIERS]; /* popc of the predicates; bit 31: all were true */
	uint8_t *local;			       /* lane i at local + i * local_stride */
	size_t local_stride;
	size_t local_cap;
	struct simt_warp *next; /* free list */
};

#define SIMT_VALUE_ALL 0x80000000u

/* ---- barrier.c ------------------------------------------------------------------------------ */

/**
 * simt_barrier_arrive() - lanes of a warp come to barrier @id
 *
 * @count: threads, 0 for all that live. @wait: the lanes sleep until it completes. When it
 * completes, released and release_value of all sleeping warps are set, this one's included.
 */
void simt_barrier_arrive(struct simt_warp *w, uint32_t id, uint32_t count, uint32_t lanes,
			 bool wait, uint32_t pred_lanes);
/** simt_barrier_exit() - lanes have ended: that may complete barriers. Updates exited and live. */
void simt_barrier_exit(struct simt_warp *w, uint32_t lanes);
/** simt_cluster_arrive() - lanes of a warp come to the barrier of their cluster. */
void simt_cluster_arrive(struct simt_warp *w, uint32_t lanes);
/**
 * simt_cluster_wait() - returns the lanes whose phase is complete already; the others sleep until
 * they are in released, as with simt_barrier_arrive().
 */
uint32_t simt_cluster_wait(struct simt_warp *w, uint32_t lanes);
/** simt_cluster_peer() - block @rank of the cluster; NULL: there is none. */
static inline struct simt_block *simt_cluster_peer(const struct simt_block *b, uint64_t rank)
{
	return rank < b->leader->npeers ? b->leader->peers[rank] : NULL;
}
/**
 * simt_cluster_cancel() - take the next cluster of the grid from the dispenser, so that it will not
 * run; false: all have been taken. @ret_ctaid: its first block.
 */
bool simt_cluster_cancel(struct simt_grid *g, uint32_t ret_ctaid[3]);
/**
 * simt_next_block() - @b has ended and nothing of it waits: make it the next block of the grid, if this is
 * the thread's only one and the code stays. Only ctaid and linear change. False: leave it.
 */
bool simt_next_block(struct simt_block *b);
/** simt_cluster_ctaid() - index of block @rank of cluster number @n. */
void simt_cluster_ctaid(const struct simt_grid *g, uint64_t n, uint32_t rank,
			uint32_t ret_ctaid[3]);

/* ---- fault.c -------------------------------------------------------------------------------- */

/** struct simt_trap - catches SIGSEGV and SIGBUS of the code that runs on this thread */
struct simt_trap {
	sigjmp_buf jmp;
	volatile uint64_t address;
	/*
	 * If set, called on the stack of the access in its place, instead of a jump to jmp; it must
	 * not return. For code that runs on a stack of its own.
	 */
	void (*resume)(struct simt_trap *t);
};

/** simt_trap_install() - the process-wide handler, once. 0 or a negative errno. */
int simt_trap_install(void);
/** simt_trap_set() - from now on faults of this thread go to @t; returns what was set before. */
struct simt_trap *simt_trap_set(struct simt_trap *t);

/** simt_fault() - record the launch's fault unless there is one, and stop the grid. @lane or -1. */
__attribute__((format(printf, 6, 7))) void simt_fault(struct simt_warp *w, uint32_t error, int lane,
						      uint64_t address, uint32_t line,
						      const char *fmt, ...);

/** simt_lane_tid() - thread index of a lane. */
void simt_lane_tid(const struct simt_warp *w, uint32_t lane, uint32_t tid[3]);

#endif

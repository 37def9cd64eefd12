/* SPDX-License-Identifier: MIT */
/*
 * graph.h - what the files of graphs share: graph.c (lists of commands, checked), plan.c (their launches,
 * prepared), graph_run.c (a run).
 */
#ifndef QUEUE_GRAPH_H
#define QUEUE_GRAPH_H

#include "cuse_dev/queue/state.h"

/* One command; they are found by number here, not by byte. */
struct step {
	uint32_t offset;
	uint32_t arg; /* LAUNCH: index of its kernel; BRANCH: number of the step it leads to */
};

/**
 * Steps that run one after the other. Those of a list without VGPU_CMD_TASK are one task; else what
 * stands before the first TASK is task 0, and each TASK begins one.
 */
struct task {
	uint32_t begin, end; /* steps, without the TASK command */
	uint32_t deps;
	uint32_t first_next, nexts; /* in queue_graph.next_of: the tasks that wait for it */
	bool waits;		    /* for a value in memory: maybe another task's */
	atomic_uint ns;		    /* how long it took last time, saturating; 0: not known */
};

struct queue_graph {
	struct queue_graph *next; /* of its context; guarded by queue.lock */
	struct queue_ctx *ctx;
	uint32_t id;
	uint32_t refs; /* guarded by queue.lock: the handle, and each run */
	uint32_t bytes, steps, kernels, launches, tasks;
	uint8_t *command; /* aligned as malloc does */
	struct step *step;
	uint32_t *kernel; /* handles, each once */
	struct task *task;
	uint32_t *next_of;
	_Atomic(struct plan *) plan; /* nobody uses it; NULL: none, or a run has it */
	atomic_uint runs;
};

/* A kernel during a run. */
struct held {
	struct queue_kernel *kernel;
	struct backend_func_info info;
};

static inline const struct vgpu_cmd *command_at(const struct queue_graph *g, uint32_t step)
{
	return (const struct vgpu_cmd *)(g->command + g->step[step].offset);
}

/* ---- graph.c -------------------------------------------------------------------------------- */

void queue_graph_put(struct queue *q, struct queue_graph *g);

/* ---- plan.c --------------------------------------------------------------------------------- */

/** The launches of a graph, prepared; of one run at a time. */
struct plan;

/**
 * plan_take() - for a run with these kernels and what all its launches have in common; NULL: launch
 * them as others.
 */
struct plan *plan_take(struct queue_stream *s, struct queue_graph *g, const struct held *held,
		       const struct backend_launch *common);
/** plan_leave() - for the next run. */
void plan_leave(struct queue_graph *g, struct plan *p);
/** plan_destroy() - NULL is fine. */
void plan_destroy(struct queue *q, struct plan *p);
/** plan_launch() - of a step; NULL: it is not prepared. */
struct backend_ready *plan_launch(const struct plan *p, uint32_t step);

#endif

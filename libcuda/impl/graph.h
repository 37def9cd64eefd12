/* SPDX-License-Identifier: MIT */
/*
 * graph.h - graphs: nodes, the order between them, and what each does.
 *
 *   cu_graph ── graph_node, in order of creation ── graph_work, what it does
 *                  │ in, out: edges, kept on both sides
 *   cu_exec  ── a cu_graph of its own, a copy of the program's
 *
 * A node keeps its serial number in every copy of its graph: so a node of the program's graph finds
 * its twin in an executable one.
 *
 * As the manual says, graphs are not guarded against several threads; those being captured into are
 * (capture.c).
 */
#ifndef IMPL_GRAPH_H
#define IMPL_GRAPH_H

#include "libcuda/core/stream.h"
#include "libcuda/impl/launch.h"

struct graph_node;
struct queue;

/** A kernel with its parameters; constant once made, shared by all copies. */
struct graph_kernel {
	_Atomic unsigned refs;
	CUfunction func; /* as the program gave it, NULL if it gave kern */
	CUkernel kern;
	CUfunction run; /* what is launched */
	CUcontext ctx;
	struct launch launch; /* without a stream; its parameters are the block */
	unsigned attr_count;  /* hints of the program: kept, handed back */
	CUlaunchAttribute attr[12];
	unsigned param_count;
	void **params; /* into the block */
	uint8_t block[] __attribute__((aligned(16)));
};

/** What a node does. Owns what it points to; see graph_work_fini(). */
struct graph_work {
	CUgraphNodeType type;
	union {
		struct graph_kernel *kernel;
		struct {
			CUDA_MEMCPY3D p;
			CUcontext ctx;
		} copy;
		struct {
			CUDA_MEMSET_NODE_PARAMS p;
			CUcontext ctx;
		} fill;
		CUDA_HOST_NODE_PARAMS host;
		struct cu_graph *child;
		CUevent event;
		struct {
			CUcontext ctx;
			unsigned count, flags;
			CUstreamBatchMemOpParams *ops;
		} batch;
		struct {
			struct graph_cond *handle; /* a reference */
			CUgraphConditionalNodeType type;
			CUcontext ctx;
			unsigned size;
			struct cu_graph **body; /* size of them; the node's own */
		} cond;
		struct graph_mem *mem; /* of MEM_ALLOC and MEM_FREE: a reference */
	};
};

struct graph_edge {
	struct graph_node *node; /* the other end */
	CUgraphEdgeData data;
};

struct graph_edges {
	struct graph_edge *edge;
	size_t count, cap;
};

/** struct graph_node - a CUgraphNode. */
/** How far a program has come when a node is done: task @task of part @part; 0: not recorded. */
struct graph_point {
	uint32_t part, task;
};

struct graph_node {
	struct cu_head head;
	struct cu_graph *graph;
	uint64_t serial; /* in its graph and all copies */
	struct graph_work work;
	struct graph_edges in, out; /* what it waits for; what waits for it */
	bool disabled;		    /* in executable graphs */
	size_t mark;		    /* of whoever walks */
	struct graph_point done;    /* graph_record.c */
	uint32_t group;		    /* graph_lane.c */
};

struct graph_held; /* user objects; graph_object.c */

/**
 * struct graph_cond - behind a CUgraphConditionalHandle, which is its device address: what kernels set
 * there decides what a conditional node does.
 */
struct graph_cond {
	struct graph_cond *next; /* of the graph that it was made for */
	_Atomic unsigned refs;	 /* that graph, and nodes */
	struct cu_ctx *ctx;
	uint64_t ctx_id;
	CUdeviceptr va; /* 32 bits of device memory */
	unsigned value; /* at each launch, if assign */
	bool assign;
};

/** struct cu_graph - a CUgraph. */
struct cu_graph {
	struct cu_head head;
	uint64_t id;		  /* never used again */
	uint64_t source_id;	  /* graph it is a copy of, 0 */
	struct graph_node *owner; /* the node that it is the child of, NULL */
	bool capturing;		  /* cuStreamBeginCapture made it: not the program's yet */
	struct graph_node **node; /* by serial */
	size_t count, cap;
	uint64_t next_serial;
	struct graph_node **order; /* of an executable one: as they are launched */
	struct graph_held *held;
	struct graph_cond *conds;
};

/** struct graph_part - of an executable graph: commands that the worker keeps, or a single node. */
struct graph_part {
	uint32_t graph;		 /* handle of the worker, 0 */
	struct graph_node *node; /* if there is none */
	uint32_t lane;
	uint32_t first_wait, waits; /* in cu_exec.wait: parts of other lanes that it follows */
	uint64_t seq;		    /* at the last launch, in its lane's stream */
};

#define GRAPH_LANES 4u /* streams that a launch uses at most; 0 is the one it was launched into */

/** struct cu_exec - a CUgraphExec. */
struct cu_exec {
	struct cu_head head;
	pthread_mutex_t lock; /* one launch at a time; guards last, last_seq */
	struct cu_graph *graph;
	uint64_t source_id; /* the program's graph */
	uint64_t flags;
	struct queue *last; /* where it was launched last; a reference */
	uint64_t last_seq;
	/* graph_program.c; guarded by lock */
	struct cu_ctx *ctx; /* of the parts */
	uint64_t ctx_id;
	struct graph_part *part; /* NULL: not made */
	size_t parts, part_cap;
	uint32_t *wait;
	uint32_t lanes;
	struct cu_stream *lane[GRAPH_LANES]; /* from 1 on */
	bool launched;			     /* as it is now */
	bool changed;			     /* since it was instantiated */
};

/** graph_child() - the graphs that a node owns, one by one; NULL: no more. */
static inline struct cu_graph *graph_child(const struct graph_work *w, unsigned index)
{
	if (w->type == CU_GRAPH_NODE_TYPE_GRAPH)
		return index ? NULL : w->child;
	if (w->type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
		return index < w->cond.size ? w->cond.body[index] : NULL;
	return NULL;
}

/* ---- graph.c: structure --------------------------------------------------------------------- */

CUresult graph_create(struct cu_graph **ret_graph);
void graph_destroy(struct cu_graph *g);
/** graph_clone() - serials stay. */
CUresult graph_clone(const struct cu_graph *g, struct cu_graph **ret_graph);
/** graph_get() - check a CUgraph. */
CUresult graph_get(CUgraph handle, struct cu_graph **ret_graph);
CUresult graph_node_get(CUgraphNode handle, struct graph_node **ret_node);
/** graph_add() - a node behind @deps; @work is the graph's from here on, also on failure. */
CUresult graph_add(struct cu_graph *g, struct graph_node *const *deps, const CUgraphEdgeData *data,
		   size_t count, struct graph_work *work, struct graph_node **ret_node);
/** graph_own() - what the node's work holds of graphs is the node's. */
void graph_own(struct graph_node *n);
/** graph_find() - by serial, NULL. */
struct graph_node *graph_find(const struct cu_graph *g, uint64_t serial);
/** graph_sort() - fills @g->order; INVALID_VALUE if there is a circle. */
CUresult graph_sort(struct cu_graph *g);
/** graph_reaches() - marks (mark = 1) all that @from and what they wait for; all others 0. */
void graph_mark_before(struct cu_graph *g, struct graph_node *const *from, size_t count);

/* ---- graph_work.c: what nodes do ------------------------------------------------------------ */

void graph_work_fini(struct graph_work *w);
CUresult graph_work_copy(const struct graph_work *w, struct graph_work *ret_work);
/** graph_work_launch() - a launch that has been checked; copies its parameters. */
CUresult graph_work_launch(struct cu_func *f, const struct launch *l, struct graph_work *ret_work);
CUresult graph_work_kernel(const CUDA_KERNEL_NODE_PARAMS *p, struct graph_work *ret_work);
CUresult graph_work_memcpy(const CUDA_MEMCPY3D *p, CUcontext ctx, struct graph_work *ret_work);
CUresult graph_work_memset(const CUDA_MEMSET_NODE_PARAMS *p, CUcontext ctx,
			   struct graph_work *ret_work);
CUresult graph_work_host(const CUDA_HOST_NODE_PARAMS *p, struct graph_work *ret_work);
CUresult graph_work_child(CUgraph child, struct graph_work *ret_work);
CUresult graph_work_event(CUgraphNodeType type, CUevent event, struct graph_work *ret_work);
CUresult graph_work_batch(const CUDA_BATCH_MEM_OP_NODE_PARAMS *p, struct graph_work *ret_work);
/** graph_work_any() - of cuGraphAddNode and its like; @g: the graph of the node. */
CUresult graph_work_any(struct cu_graph *g, const CUgraphNodeParams *p,
			struct graph_work *ret_work);
/** graph_work_replace() - of the same type; @work is the node's from here on, also on failure. */
CUresult graph_work_replace(struct graph_node *n, struct graph_work *work);
/** graph_work_run() - into @s, in order; does not wait. */
CUresult graph_work_run(const struct graph_work *w, struct cu_stream *s);

/* ---- graph_exec.c --------------------------------------------------------------------------- */

/** graph_run() - all nodes of an executable graph into @s. */
CUresult graph_run(struct cu_graph *g, struct cu_stream *s);

/* ---- graph_program.c ------------------------------------------------------------------------ */

/** graph_recordable() - can it be commands of the worker's? */
bool graph_recordable(const struct graph_work *w);

/** graph_program_check() - what only the worker can run must be what it can run. */
CUresult graph_program_check(const struct cu_graph *g);
/** graph_program_make() - commands for launches into the context of @s; the caller has e->lock. */
CUresult graph_program_make(struct cu_exec *e, struct cu_stream *s);
/** graph_program_run() - what was made. */
CUresult graph_program_run(struct cu_exec *e, struct cu_stream *s);
/** graph_program_drop() - @e changed, or goes; runs that are queued still run. */
void graph_program_drop(struct cu_exec *e);
/** graph_program_needed() - is there a node that nothing but the worker can run? */
bool graph_program_needed(const struct cu_graph *g);
void graph_program_fini_ctx(struct cu_ctx *ctx);

/* ---- graph_cond.c --------------------------------------------------------------------------- */

void graph_cond_put(struct graph_cond *c);
/** graph_work_cond() - a conditional node of @g with empty bodies. */
CUresult graph_work_cond(struct cu_graph *g, const CUDA_CONDITIONAL_NODE_PARAMS *p,
			 struct graph_work *ret_work);
CUresult graph_work_cond_copy(const struct graph_work *w, struct graph_work *ret_work);
void graph_work_cond_fini(struct graph_work *w);

/* ---- graph_mem.c ---------------------------------------------------------------------------- */

struct graph_mem;

void graph_mem_get(struct graph_mem *m);
void graph_mem_put(struct graph_mem *m);
CUdeviceptr graph_mem_va(const struct graph_mem *m);
void graph_mem_params(const struct graph_mem *m, CUDA_MEM_ALLOC_NODE_PARAMS *ret_params);
/** graph_work_alloc() - memory at an address of its own. */
CUresult graph_work_alloc(const CUDA_MEM_ALLOC_NODE_PARAMS *p, struct graph_work *ret_work);
/** graph_work_free() - of what an allocation node gave. */
CUresult graph_work_free(CUdeviceptr va, struct graph_work *ret_work);
/** graph_mem_used() - has @g such nodes? Then it cannot be copied by the program, nor cut. */
bool graph_mem_used(const struct cu_graph *g);
/** graph_mem_claim() - @g is instantiated: NOT_SUPPORTED if it is already. */
CUresult graph_mem_claim(const struct cu_graph *g);
void graph_mem_disclaim(const struct cu_graph *g);
/**
 * graph_mem_launch() - before each launch of @g: memory is there, and what the launch leaves allocated is
 * known. INVALID_VALUE: it is allocated from the launch before, unless @auto_free, or is freed and is not.
 */
CUresult graph_mem_launch(const struct cu_graph *g, bool auto_free);
/** graph_mem_free() - by cuMemFree and cuMemFreeAsync; INVALID_VALUE if nothing is allocated there. */
CUresult graph_mem_free(CUdeviceptr va);

/* ---- graph_object.c ------------------------------------------------------------------------- */

/** graph_hold_all() - @to keeps what @from keeps. */
CUresult graph_hold_all(struct cu_graph *to, const struct cu_graph *from);
void graph_unhold_all(struct cu_graph *g);

#endif

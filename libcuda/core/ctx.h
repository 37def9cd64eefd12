/* SPDX-License-Identifier: MIT */
/*
 * ctx.h - contexts: the handle type, which one is current, and what hangs on them.
 *
 * A context exists in the worker from creation (or first activation, for a primary one) to
 * destruction. A destroyed created context's handle is freed; a primary one's handle stays valid
 * for the life of the process, inactive, as hardware's does.
 */
#ifndef CORE_CTX_H
#define CORE_CTX_H

#include "ioctl/vgpu_share.h"
#include "libcuda/core/process.h"

struct cu_module;

/** Key and value of the runtime's context-local storage (a private table of cuGetExportTable). */
struct cu_ctx_local {
	struct cu_ctx_local *next;
	void *key, *value;
	void (*dtor)(CUcontext ctx, void *key, void *value);
};

struct cu_ctx {
	struct cu_head head;
	struct cu_device *dev;
	uint64_t id;	/* unique in the process, never used again; changes when a primary
			 * context is activated anew */
	uint32_t ctx;	/* the worker's handle */
	uint32_t slot;	/* into vgpu_share_control.ctx */
	unsigned flags; /* CUctx_flags */
	unsigned api_version;
	bool primary;
	_Atomic bool active;	/* exists in the worker */
	_Atomic bool said;	/* the log has told of its error */
	_Atomic uint32_t error; /* last sticky CUresult seen, where there is no control page */
	int cache_config;	/* CUfunc_cache */
	int shared_config;	/* CUsharedconfig */

	pthread_mutex_t lock;			  /* guards the lists below */
	struct cu_module *modules;		  /* impl/module.c */
	struct cu_ctx_local *locals;		  /* impl/export.c */
	unsigned attached;			  /* attach count of the old API */
	uint64_t peers[VGPU_SHARE_CONTEXTS / 64]; /* slots of contexts it may reach */

	struct cu_ctx *next_live; /* guarded by the process lock */

	/* Owned by impl/stream.c; made by cu_stream_ctx_init(). */
	struct cu_stream *legacy;  /* the legacy default stream */
	struct cu_stream *streams; /* all others, per-thread ones too */
	void *stream_priv;
	/* Owned by impl/memory.c. */
	void *memory_priv;
	/* impl/graph_program.c: what the worker is to forget once it is done; guarded by lock. */
	struct graph_dead *dead_graphs;
};

/** cu_ctx_flags_valid() - known CUctx_flags, and at most one way to wait. */
static inline bool cu_ctx_flags_valid(unsigned flags)
{
	unsigned sched = flags & CU_CTX_SCHED_MASK;

	return !(flags & ~(unsigned)CU_CTX_FLAGS_MASK) && !(sched & (sched - 1));
}

/** cu_ctx_create() - an inactive context of @dev; its handle. */
CUresult cu_ctx_create(struct cu_device *dev, unsigned flags, bool primary,
		       struct cu_ctx **ret_ctx);
/** cu_ctx_activate() - make it exist in the worker. */
CUresult cu_ctx_activate(struct cu_ctx *ctx);
/** cu_ctx_deactivate() - wait for its work and end it with all it owns; the handle stays. */
void cu_ctx_deactivate(struct cu_ctx *ctx);
/** cu_ctx_destroy() - deactivate and free the handle. */
void cu_ctx_destroy(struct cu_ctx *ctx);

/* The calling thread's stack of contexts. */
CUresult cu_ctx_push(struct cu_ctx *ctx);
/** cu_ctx_pop() - CUDA_ERROR_INVALID_CONTEXT when the stack is empty. */
CUresult cu_ctx_pop(struct cu_ctx **ret_ctx);
/** cu_ctx_set() - replace the top; NULL pops. */
CUresult cu_ctx_set(struct cu_ctx *ctx);
/**
 * cu_ctx_top() - what is bound, NULL for nothing; a primary one may be inactive.
 * CUDA_ERROR_CONTEXT_IS_DESTROYED if it is gone.
 */
CUresult cu_ctx_top(struct cu_ctx **ret_ctx);

/**
 * cu_ctx_current() - the calling thread's context.
 *
 * CUDA_ERROR_INVALID_CONTEXT if there is none, CUDA_ERROR_CONTEXT_IS_DESTROYED if it is gone. Does
 * not look at the sticky error.
 */
CUresult cu_ctx_current(struct cu_ctx **ret_ctx);
/** cu_ctx_usable() - cu_ctx_current(), and the sticky error of that context if it has one. */
CUresult cu_ctx_usable(struct cu_ctx **ret_ctx);
/** cu_ctx_get() - check a CUcontext; NULL means the current one. */
CUresult cu_ctx_get(CUcontext handle, struct cu_ctx **ret_ctx);
/** cu_ctx_error() - sticky error, CUDA_SUCCESS if it has none. */
CUresult cu_ctx_error(struct cu_ctx *ctx);
/** cu_ctx_sticky() - note a sticky error that a wait brought (link_stream_error()). */
void cu_ctx_sticky(struct cu_ctx *ctx, uint32_t error);

/**
 * cu_ctx_console() - hand what kernels printed to stdout and stderr.
 *
 * After every call that synchronises: ctx, stream and event waits, synchronous copies, unload,
 * destroy. Costs one load where nothing was printed.
 */
void cu_ctx_console(struct cu_ctx *ctx);
/** cu_ctx_console_all() - of all contexts; at exit. */
void cu_ctx_console_all(void);

/** Walk all live contexts (of @dev, or all with NULL) under the process lock. */
void cu_ctx_each(struct cu_device *dev, void (*fn)(struct cu_ctx *ctx, void *user), void *user);

/*
 * What the rooms of impl/ add to a context's life. Called with the context made current nowhere;
 * _fini runs before the worker's context is destroyed and must not fail.
 */
CUresult cu_stream_ctx_init(struct cu_ctx *ctx); /* impl/stream.c: the legacy stream */
void cu_stream_ctx_fini(struct cu_ctx *ctx); /* impl/stream.c: all streams, events lose theirs */
void cu_memory_ctx_fini(struct cu_ctx *ctx); /* impl/memory.c: its allocations are gone */
void cu_module_ctx_fini(struct cu_ctx *ctx); /* impl/module.c */

#endif

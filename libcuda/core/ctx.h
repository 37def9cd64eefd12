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
	_Atomic uint32_t error; /* last sticky CUresult seen, where there is no control page */
	int cache_config;	/* CUfunc_cache */
	int shared_config;	/* CUsharedconfig */

	pthread_mutex_t lock;	     /* guards the lists below */
	struct cu_module *modules;   /* impl/module.c */
	struct cu_ctx_local *locals; /* core/export.c */
	void *attached;		     /* attach count of the old API */

	/* Owned by impl/stream.c; made by cu_stream_ctx_init(). */
	struct cu_stream *legacy;  /* the legacy default stream */
	struct cu_stream *streams; /* all others, per-thread ones too */
	void *stream_priv;
	/* Owned by impl/memory.c. */
	void *memory_priv;
};

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
/** cu_ctx_of_address() is in impl/memory.c. */

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

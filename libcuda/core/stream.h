/* SPDX-License-Identifier: MIT */
/*
 * stream.h - the handle types of streams and events, and the submit path that launches use.
 *
 * Implemented in impl/stream.c and impl/event.c; here because several files of impl/ need it.
 */
#ifndef CORE_STREAM_H
#define CORE_STREAM_H

#include "ioctl/vgpu_share.h"
#include "libcuda/core/ctx.h"

struct link_stream;

struct cu_stream {
	struct cu_head head;
	struct cu_ctx *ctx;
	uint64_t ctx_id;	  /* ctx->id at creation */
	struct cu_stream *next;	  /* in ctx->streams; guarded by ctx->lock */
	struct link_stream *link; /* its queue */
	uint64_t id;		  /* cuStreamGetId */
	unsigned flags;		  /* CU_STREAM_NON_BLOCKING */
	int priority;
	uint64_t last_seq;	/* of the last command submitted */
	struct cu_green *green; /* whose it is, NULL; impl/green.c */
	void *priv;		/* impl/stream.c */
};

struct cu_event {
	struct cu_head head;
	struct cu_ctx *ctx;
	uint64_t ctx_id;
	unsigned flags;	      /* CUevent_flags */
	uint32_t slot;	      /* into vgpu_share_control.event */
	_Atomic uint64_t gen; /* of the last record submitted, 0 none */
	void *priv;	      /* impl/event.c */
};

/**
 * cu_stream_get() - a CUstream argument of an entry point as a stream.
 *
 * Takes 0, CU_STREAM_LEGACY and CU_STREAM_PER_THREAD (0 means the latter when
 * cu_thread()->per_thread) for the current context. CUDA_ERROR_INVALID_HANDLE for what is no
 * stream; the current context's errors as cu_ctx_usable().
 */
CUresult cu_stream_get(CUstream handle, struct cu_stream **ret_stream);

/** cu_stream_make() - one of the driver's own, which the legacy stream does not wait for. */
CUresult cu_stream_make(struct cu_ctx *ctx, int priority, struct cu_stream **ret_stream);
/** cu_stream_drop() - what is in it still runs. */
void cu_stream_drop(struct cu_stream *s);

/**
 * cu_stream_submit() - append one command of @bytes, with @body_bytes behind it (kernel parameters;
 * may be 0), after what the legacy rules say it must follow. Returns at once. @ret_seq may be NULL.
 */
CUresult cu_stream_submit(struct cu_stream *s, struct vgpu_cmd *cmd, size_t bytes, const void *body,
			  size_t body_bytes, uint64_t *ret_seq);

/** cu_stream_sync() - until all submitted so far is done; returns the sticky error. */
CUresult cu_stream_sync(struct cu_stream *s);
/** cu_stream_sync_ctx() - the same for all streams of a context. */
CUresult cu_stream_sync_ctx(struct cu_ctx *ctx);

#endif

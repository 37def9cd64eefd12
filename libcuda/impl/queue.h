/* SPDX-License-Identifier: MIT */
/*
 * queue.h - what stands behind a stream handle: its ring, its place in the order of its context.
 *
 * A queue outlives its handle: cuStreamDestroy returns at once while commands still run, events
 * that were recorded in it may still be waited for, and a context is not idle before they are done.
 * So queues are counted; the daemon's stream goes when the handle is gone, all is done, and nobody
 * waits.
 *
 * Order (the manual's "legacy default stream"): a command in the legacy queue follows all that was
 * submitted to the context's blocking queues before; a command in a blocking queue follows all that
 * was submitted to the legacy queue before. Each is a STREAM_WAIT that names a seq submitted
 * earlier, so no circle can come about.
 */
#ifndef IMPL_QUEUE_H
#define IMPL_QUEUE_H

#include <stdatomic.h>

#include "libcuda/core/stream.h"
#include "libcuda/link/link.h"

struct callback_thread;
struct capture_stream;

struct queue {
	struct queue *next; /* in the context's list; guarded by ctx->lock */
	struct cu_ctx *ctx; /* valid as long as the queue is listed there */
	struct link_stream *link;
	_Atomic unsigned refs;
	unsigned busy;	       /* threads that wait on link; guarded by ctx->lock */
	bool legacy, blocking; /* constant */
	const void *owner;     /* thread whose default stream this is, NULL; constant */
	bool closed;	       /* handle destroyed; guarded by ctx->lock */
	_Atomic bool gone;     /* link is not to be used any more: all was done */
	uint64_t
		legacy_seen; /* seq of the legacy queue that was waited for; guarded by ctx->lock */
	uint64_t seen_by_legacy; /* seq of ours that the legacy queue waited for; guarded by
				    ctx->lock */
	struct callback_thread *callbacks; /* impl/callback.c; guarded by ctx->lock */
	struct capture_stream *capture;	   /* impl/capture.c; guarded by its lock */
	CUstreamAttrValue window, policy;  /* stored attributes; guarded by ctx->lock */
};

/** queue_of() - behind a live stream handle. */
static inline struct queue *queue_of(const struct cu_stream *s)
{
	return s->priv;
}

/** queue_create() - in @ctx's list, one reference for the list. */
CUresult queue_create(struct cu_ctx *ctx, unsigned flags, int priority, struct queue **ret_queue);
/** queue_create_legacy() - as above; the caller holds ctx->lock, and there is none yet. */
CUresult queue_create_legacy(struct cu_ctx *ctx, struct queue **ret_queue);
/** queue_close() - the handle is gone; what is queued still runs. */
void queue_close(struct queue *q);
void queue_get(struct queue *q);
void queue_put(struct queue *q);

/** queue_submit() - append in order; -errno. */
int queue_submit(struct queue *q, const struct vgpu_cmd *cmd, uint64_t *ret_seq);
int queue_submit_body(struct queue *q, const struct vgpu_cmd *cmd, const void *body,
		      size_t body_bytes, uint64_t *ret_seq);
/**
 * struct queue_recorder - while a thread records a queue, what it submits there is kept here, as it would
 * lie in the ring.
 */
struct queue_recorder {
	struct queue *queue;
	uint8_t *data; /* free() it */
	size_t bytes, cap;
};

/** queue_record() - begin for this thread, or end with NULL. */
void queue_record(struct queue_recorder *r);
/** queue_record_add() - one command, as queue_submit_body() would submit it; -errno. */
int queue_record_add(struct queue_recorder *r, const struct vgpu_cmd *cmd, const void *body,
		     size_t body_bytes);

/** queue_order() - make what is submitted next follow what it must. */
int queue_order(struct queue *q);

/** queue_follow() - what is submitted to @q next waits until @other has done @seq; any context. */
int queue_follow(struct queue *q, struct queue *other, uint64_t seq);

/** queue_done() - 1 done, 0 not, -errno. */
int queue_done(struct queue *q, uint64_t seq);
/** queue_wait() - until @seq is done. */
int queue_wait(struct queue *q, uint64_t seq);

/** queue_idle() - would a command submitted now run at once? 1, 0, -errno. */
int queue_idle(struct queue *q);
/** queue_quiesce() - wait for that. */
int queue_quiesce(struct queue *q);
/** queue_sync_ctx() - until all that was submitted to any queue of @ctx is done. */
int queue_sync_ctx(struct cu_ctx *ctx);

/** queue_result() - @r of a wait as a CUresult, or the sticky error; hands out console text. */
CUresult queue_result(struct cu_ctx *ctx, int r);

/** queue_fini_ctx() - the context goes; its queues are idle. Also drops their callbacks. */
void queue_fini_ctx(struct cu_ctx *ctx);

#endif

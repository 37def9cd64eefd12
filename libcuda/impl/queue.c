/* SPDX-License-Identifier: MIT */
/* queue.c - life, order and waits of queues; queue.h says what they are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/callback.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/queue.h"

/* The list's head is the context's stream_priv. */
static struct queue *first_of(struct cu_ctx *ctx)
{
	return ctx->stream_priv;
}

static struct queue *legacy_of(struct cu_ctx *ctx)
{
	for (struct queue *q = first_of(ctx); q; q = q->next)
		if (q->legacy)
			return q;
	return NULL;
}

void queue_get(struct queue *q)
{
	atomic_fetch_add(&q->refs, 1);
}

void queue_put(struct queue *q)
{
	if (q && atomic_fetch_sub(&q->refs, 1) == 1)
		free(q);
}

/*
 * Closed queues that are done leave the list. Their slot in the daemon is given to the next stream,
 * with counters from 0: from here on nobody may look at them, hence gone and busy. Guarded by
 * ctx->lock.
 */
static void reap(struct cu_ctx *ctx)
{
	struct queue **at = (struct queue **)&ctx->stream_priv;

	while (*at) {
		struct queue *q = *at;

		if (!q->closed || q->busy || callback_pending(q) ||
		    !link_done(q->link, link_submitted(q->link))) {
			at = &q->next;
			continue;
		}
		*at = q->next;
		atomic_store(&q->gone, true);
		callback_detach(q);
		link_stream_destroy(q->link, true);
		q->link = NULL;
		q->ctx = NULL;
		queue_put(q);
	}
}

/* The caller holds ctx->lock. */
static CUresult create(struct cu_ctx *ctx, unsigned flags, int priority, bool legacy,
		       struct queue **ret_queue)
{
	struct queue *q;
	int r;

	reap(ctx);
	q = calloc(1, sizeof(*q));
	if (!q)
		return CUDA_ERROR_OUT_OF_MEMORY;
	q->ctx = ctx;
	q->legacy = legacy;
	q->blocking = !legacy && !(flags & CU_STREAM_NON_BLOCKING);
	q->refs = 1;
	r = link_stream_create(ctx->dev->link, ctx->ctx, ctx->slot, flags, priority, &q->link);
	if (r < 0) {
		free(q);
		return cu_from_errno(r);
	}
	q->next = first_of(ctx);
	ctx->stream_priv = q;
	*ret_queue = q;
	return CUDA_SUCCESS;
}

CUresult queue_create(struct cu_ctx *ctx, unsigned flags, int priority, struct queue **ret_queue)
{
	CUresult r;

	pthread_mutex_lock(&ctx->lock);
	r = create(ctx, flags, priority, false, ret_queue);
	pthread_mutex_unlock(&ctx->lock);
	return r;
}

CUresult queue_create_legacy(struct cu_ctx *ctx, struct queue **ret_queue)
{
	return create(ctx, 0, 0, true, ret_queue);
}

void queue_close(struct queue *q)
{
	struct cu_ctx *ctx = q->ctx;

	capture_queue_gone(q);
	pthread_mutex_lock(&ctx->lock);
	q->closed = true;
	reap(ctx);
	pthread_mutex_unlock(&ctx->lock);
}

/* ---- order ---------------------------------------------------------------------------------- */

static int submit_wait(struct queue *q, const struct queue *other, uint64_t seq)
{
	struct vgpu_cmd_stream_wait cmd = {
		.head = { .op = VGPU_CMD_STREAM_WAIT, .bytes = sizeof(cmd) },
		.stream = other->link->handle,
		.seq = seq,
	};

	return link_submit(q->link, &cmd.head, NULL);
}

/* Makes @q follow @other as it stands, unless *seen says that it does already. */
static int follow(struct queue *q, struct queue *other, uint64_t *seen)
{
	uint64_t target = link_submitted(other->link);
	int r;

	if (target <= *seen)
		return 0;
	r = link_done(other->link, target);
	if (!r)
		r = submit_wait(q, other, target);
	if (r >= 0)
		*seen = target;
	return r < 0 ? r : 0;
}

int queue_order(struct queue *q)
{
	struct cu_ctx *ctx = q->ctx;
	struct queue *legacy;
	int r = 0;

	if (!q->legacy && !q->blocking)
		return 0;
	pthread_mutex_lock(&ctx->lock);
	if (q->legacy) {
		for (struct queue *o = first_of(ctx); o && r >= 0; o = o->next)
			if (o->blocking)
				r = follow(q, o, &o->seen_by_legacy);
	} else {
		legacy = legacy_of(ctx);
		if (legacy)
			r = follow(q, legacy, &q->legacy_seen);
	}
	pthread_mutex_unlock(&ctx->lock);
	return r;
}

void queue_record(struct queue_recorder *r)
{
	cu_thread()->recorder = r;
}

int queue_record_add(struct queue_recorder *r, const struct vgpu_cmd *cmd, const void *body,
		     size_t body_bytes)
{
	size_t padded = (cmd->bytes + body_bytes + 7) & ~(size_t)7;
	size_t cap = r->cap ? r->cap : 4096;
	struct vgpu_cmd head = { .op = cmd->op, .bytes = (uint32_t)padded };
	uint8_t *at;

	if (padded > VGPU_CMD_MAX_BYTES)
		return -EINVAL;
	while (cap < r->bytes + padded)
		cap *= 2;
	if (cap != r->cap) {
		at = realloc(r->data, cap);
		if (!at)
			return -ENOMEM;
		r->data = at;
		r->cap = cap;
	}
	at = r->data + r->bytes;
	memset(at + padded - 8, 0, 8);
	memcpy(at, cmd, cmd->bytes);
	memcpy(at, &head, sizeof(head));
	if (body_bytes)
		memcpy(at + cmd->bytes, body, body_bytes);
	r->bytes += padded;
	return 0;
}

int queue_submit_body(struct queue *q, const struct vgpu_cmd *cmd, const void *body,
		      size_t body_bytes, uint64_t *ret_seq)
{
	struct queue_recorder *rec = cu_thread()->recorder;
	int r;

	if (rec && rec->queue == q)
		return queue_record_add(rec, cmd, body, body_bytes);
	r = queue_order(q);
	return r < 0 ? r : link_submit_body(q->link, cmd, body, body_bytes, ret_seq);
}

int queue_submit(struct queue *q, const struct vgpu_cmd *cmd, uint64_t *ret_seq)
{
	return queue_submit_body(q, cmd, NULL, 0, ret_seq);
}

/* ---- waits ---------------------------------------------------------------------------------- */

/* Without a control page the error comes with the reply to a wait. */
static void note_error(struct cu_ctx *ctx, struct link_stream *link)
{
	uint32_t seen = link->share ? 0 : link_stream_error(link);

	if (seen)
		atomic_store(&ctx->error, seen);
}

/* Keeps the link alive for a wait; false when all of the queue was done long ago. */
static bool enter(struct queue *q, struct cu_ctx **ret_ctx)
{
	struct cu_ctx *ctx = q->ctx;

	if (atomic_load(&q->gone) || !ctx)
		return false;
	pthread_mutex_lock(&ctx->lock);
	if (atomic_load(&q->gone)) {
		pthread_mutex_unlock(&ctx->lock);
		return false;
	}
	q->busy++;
	pthread_mutex_unlock(&ctx->lock);
	*ret_ctx = ctx;
	return true;
}

static void leave(struct queue *q, struct cu_ctx *ctx)
{
	note_error(ctx, q->link);
	pthread_mutex_lock(&ctx->lock);
	q->busy--;
	pthread_mutex_unlock(&ctx->lock);
}

int queue_done(struct queue *q, uint64_t seq)
{
	struct cu_ctx *ctx;
	int r;

	if (!enter(q, &ctx))
		return 1;
	r = link_done(q->link, seq);
	leave(q, ctx);
	return r;
}

int queue_wait(struct queue *q, uint64_t seq)
{
	struct cu_ctx *ctx;
	int r;

	if (!enter(q, &ctx))
		return 0;
	r = link_wait(q->link, seq, LINK_FOREVER);
	leave(q, ctx);
	return r;
}

int queue_follow(struct queue *q, struct queue *other, uint64_t seq)
{
	struct cu_ctx *ctx;
	int r;

	if (q == other || !enter(other, &ctx))
		return 0;
	r = link_done(other->link, seq);
	if (!r)
		r = submit_wait(q, other, seq);
	leave(other, ctx);
	return r < 0 ? r : 0;
}

/* Does a new command in @q wait for what is in @o? */
static bool concerns(const struct queue *q, const struct queue *o)
{
	return o == q || (q->legacy && o->blocking) || (q->blocking && o->legacy);
}

int queue_idle(struct queue *q)
{
	struct cu_ctx *ctx = q->ctx;
	int r = 1;

	pthread_mutex_lock(&ctx->lock);
	for (struct queue *o = first_of(ctx); o && r == 1; o = o->next)
		if (concerns(q, o)) {
			r = link_done(o->link, link_submitted(o->link));
			note_error(ctx, o->link);
		}
	pthread_mutex_unlock(&ctx->lock);
	return r;
}

/*
 * Waits for each queue that @q must follow (with @q NULL: for all), as they stand now. The lock is
 * not held during a wait; busy keeps the queue listed, so that its next is valid afterwards.
 */
static int wait_all(struct cu_ctx *ctx, struct queue *q)
{
	struct queue *o;
	int r = 0;

	pthread_mutex_lock(&ctx->lock);
	for (o = first_of(ctx); o && r >= 0; o = o->next) {
		uint64_t target = link_submitted(o->link);

		if (q && !concerns(q, o))
			continue;
		if (link_done(o->link, target) == 1) {
			note_error(ctx, o->link);
			continue;
		}
		o->busy++;
		pthread_mutex_unlock(&ctx->lock);
		r = link_wait(o->link, target, LINK_FOREVER);
		note_error(ctx, o->link);
		pthread_mutex_lock(&ctx->lock);
		o->busy--;
	}
	pthread_mutex_unlock(&ctx->lock);
	return r;
}

int queue_quiesce(struct queue *q)
{
	return wait_all(q->ctx, q);
}

int queue_sync_ctx(struct cu_ctx *ctx)
{
	return wait_all(ctx, NULL);
}

CUresult queue_result(struct cu_ctx *ctx, int r)
{
	CUresult error = cu_ctx_error(ctx);

	cu_ctx_console(ctx);
	return error != CUDA_SUCCESS ? error : cu_from_errno(r);
}

void queue_fini_ctx(struct cu_ctx *ctx)
{
	struct queue *q;

	graph_program_fini_ctx(ctx);
	pthread_mutex_lock(&ctx->lock);
	while ((q = first_of(ctx))) {
		ctx->stream_priv = q->next;
		atomic_store(&q->gone, true);
		pthread_mutex_unlock(&ctx->lock);
		capture_queue_gone(q);
		callback_detach(q);
		pthread_mutex_lock(&ctx->lock);
		/* The worker drops the context's streams with the context. */
		link_stream_destroy(q->link, false);
		q->link = NULL;
		q->ctx = NULL;
		queue_put(q);
	}
	pthread_mutex_unlock(&ctx->lock);
}

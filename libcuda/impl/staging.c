/* SPDX-License-Identifier: MIT */
/* staging.c - the buffers of staging.h; memory of a context, made with the first need of one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/impl/staging.h"

#define SLOTS 32u

struct staging {
	uint64_t va;
	bool here; /* it is at this address in this process, too */
	struct slot {
		struct queue *queue; /* reference; NULL: free */
		uint64_t seq;
	} slot[SLOTS]; /* guarded by ctx->lock, but for the waits */
};

static struct staging *create(struct cu_ctx *ctx)
{
	struct link_dev *dev = ctx->dev->link;
	bool here = dev->link->host_fd >= 0;
	/* Without shared pages device memory serves as well, written by the node. */
	struct vgpu_mem_alloc req = {
		.ctx = ctx->ctx,
		.kind = here ? VGPU_MEM_HOST : VGPU_MEM_DEVICE,
		.size = SLOTS * STAGING_BYTES,
		.align = 4096,
	};
	struct vgpu_mem_free undo;
	struct staging *st;

	st = calloc(1, sizeof(*st));
	if (!st)
		return NULL;
	st->here = here;
	if (link_call(dev, VGPU_OP_MEM_ALLOC, &req, sizeof(req)) < 0)
		goto free_staging;
	if (here && link_pages_map_host(dev->link, req.va, req.size, req.arena_off) < 0)
		goto free_memory;
	st->va = req.va;
	return st;

free_memory:
	undo.va = req.va;
	link_call(dev, VGPU_OP_MEM_FREE, &undo, sizeof(undo));
free_staging:
	free(st);
	return NULL;
}

static struct staging *get(struct cu_ctx *ctx)
{
	struct staging *st;

	pthread_mutex_lock(&ctx->lock);
	if (!ctx->memory_priv)
		ctx->memory_priv = create(ctx);
	st = ctx->memory_priv;
	pthread_mutex_unlock(&ctx->lock);
	return st;
}

/* A free slot, taken for @q; a slot whose command is done is free. */
static struct slot *take(struct cu_ctx *ctx, struct staging *st, struct queue *q)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &st->slot[i];
		struct queue *old = s->queue;

		if (old && (s->seq == LINK_FOREVER || queue_done(old, s->seq) != 1))
			continue;
		pthread_mutex_lock(&ctx->lock);
		if (s->queue != old || (old && s->seq == LINK_FOREVER)) {
			pthread_mutex_unlock(&ctx->lock);
			continue;
		}
		queue_get(q);
		s->queue = q;
		s->seq = LINK_FOREVER; /* not submitted yet */
		pthread_mutex_unlock(&ctx->lock);
		queue_put(old);
		return s;
	}
	return NULL;
}

int staging_copy(struct queue *q, uint64_t dst, const void *src, uint64_t bytes)
{
	struct vgpu_cmd_copy cmd = {
		.head = { .op = VGPU_CMD_COPY, .bytes = sizeof(cmd) },
		.dst = dst,
		.bytes = bytes,
	};
	struct staging *st;
	struct slot *s;
	uint64_t seq;
	int r = 0;

	if (bytes > STAGING_BYTES)
		return 0;
	st = get(q->ctx);
	if (!st)
		return 0;
	s = take(q->ctx, st, q);
	if (!s)
		return 0;
	cmd.src = st->va + (uint64_t)(s - st->slot) * STAGING_BYTES;
	if (st->here)
		memcpy((void *)(uintptr_t)cmd.src, src, bytes);
	else
		r = link_write(q->ctx->dev->link, cmd.src, src, bytes);
	if (!r)
		r = queue_submit(q, &cmd.head, &seq);
	pthread_mutex_lock(&q->ctx->lock);
	s->seq = r < 0 ? 0 : seq;
	pthread_mutex_unlock(&q->ctx->lock);
	return r < 0 ? r : 1;
}

void staging_fini(struct cu_ctx *ctx)
{
	struct staging *st = ctx->memory_priv;

	if (!st)
		return;
	for (unsigned i = 0; i < SLOTS; i++)
		queue_put(st->slot[i].queue);
	if (st->here)
		link_pages_unmap(ctx->dev->link->link, st->va, SLOTS * STAGING_BYTES);
	ctx->memory_priv = NULL;
	free(st);
}

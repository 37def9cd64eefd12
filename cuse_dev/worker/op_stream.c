/* SPDX-License-Identifier: MIT */
/* op_stream.c - streams, the slow way to feed them and to wait for them, graphs. */
#include <errno.h>

#include "cuse_dev/worker/worker.h"

#define NONE UINT64_MAX /* in struct vgpu_wait */

int op_stream_create(struct worker_call *c, struct vgpu_stream_create *a)
{
	struct queue_ctx *ctx;
	int r = vdev_ctx_find(c->w->vdev, a->ctx, &ctx, NULL);

	if (r < 0)
		return r;
	if (a->pad)
		return -EINVAL;
	return queue_stream_create(c->w->queue, ctx, a->priority, &a->stream, &a->slot);
}

int op_stream_sms(struct worker_call *c, struct vgpu_stream_sms *a)
{
	return queue_stream_sms(c->w->queue, a->stream, a->sms);
}

int op_stream_destroy(struct worker_call *c, struct vgpu_stream_destroy *a)
{
	return a->pad ? -EINVAL : queue_stream_close(c->w->queue, a->stream);
}

int op_submit(struct worker_call *c, struct vgpu_submit *a)
{
	if (!a->bytes || a->bytes % 8 || a->bytes > sizeof(a->data))
		return -EINVAL;
	return queue_submit(c->w->queue, a->stream, a->data, a->bytes);
}

int op_wait(struct worker_call *c, struct vgpu_wait *a)
{
	uint64_t until;
	int r = queue_stream_state(c->w->queue, a->stream, a);

	if (r < 0)
		return r;
	if (a->error || (a->seq != NONE && a->done_seq >= a->seq) ||
	    (a->host_token != NONE && a->done_token >= a->host_token) ||
	    (a->seq == NONE && a->host_token == NONE))
		return 0;
	if (__builtin_add_overflow(c->since_ns, a->timeout_ns, &until))
		until = UINT64_MAX;
	if (!a->timeout_ns || (until != UINT64_MAX && queue_now_ns() >= until))
		return 0;
	c->until_ns = until;
	return WORKER_PARK;
}

int op_event_query(struct worker_call *c, struct vgpu_event_query *a)
{
	return a->pad ? -EINVAL : queue_event(c->w->queue, a->slot, &a->gen, &a->time_ns);
}

int op_host_done(struct worker_call *c, struct vgpu_host_done *a)
{
	return a->pad ? -EINVAL : queue_host_done(c->w->queue, a->stream, a->token);
}

int op_graph_create(struct worker_call *c, struct vgpu_graph_create *a)
{
	struct queue_ctx *ctx;
	const void *commands;
	uint64_t bytes;
	int r = vdev_ctx_find(c->w->vdev, a->ctx, &ctx, NULL);

	if (r < 0)
		return r;
	commands = vdev_blob_find(c->w->vdev, a->blob, &bytes);
	if (!commands)
		return -EBADF;
	return a->pad ? -EINVAL : queue_graph_create(c->w->queue, ctx, commands, bytes, &a->graph);
}

int op_graph_destroy(struct worker_call *c, struct vgpu_graph_destroy *a)
{
	return a->pad ? -EINVAL : queue_graph_destroy(c->w->queue, a->graph);
}

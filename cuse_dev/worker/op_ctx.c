/* SPDX-License-Identifier: MIT */
/* op_ctx.c - contexts, their console, blobs. */
#include <errno.h>

#include "cuse_dev/worker/worker.h"

int op_ctx_create(struct worker_call *c, struct vgpu_ctx_create *a)
{
	return vdev_ctx_create(c->w->vdev, c->msg.device, a);
}

int op_ctx_destroy(struct worker_call *c, struct vgpu_ctx_destroy *a)
{
	uint64_t when = UINT64_MAX;
	int r;

	if (!c->again) {
		if (a->pad)
			return -EINVAL;
		r = vdev_ctx_destroy(c->w->vdev, a->ctx, &c->ticket);
		if (r < 0)
			return r;
		vdev_reap(c->w->vdev, &when);
	}
	return vdev_settled(c->w->vdev, c->ticket) ? 0 : WORKER_PARK;
}

int op_ctx_status(struct worker_call *c, struct vgpu_ctx_status *a)
{
	struct queue_ctx *ctx;
	int r = vdev_ctx_find(c->w->vdev, a->ctx, &ctx, NULL);

	if (r < 0)
		return r;
	queue_ctx_status(ctx, a);
	return 0;
}

int op_ctx_limit(struct worker_call *c, struct vgpu_ctx_limit *a)
{
	return vdev_ctx_limit(c->w->vdev, a);
}

int op_console_read(struct worker_call *c, struct vgpu_console_read *a)
{
	struct queue_ctx *ctx;
	int r = vdev_ctx_find(c->w->vdev, a->ctx, &ctx, NULL);

	if (r < 0)
		return r;
	queue_ctx_console(ctx, a);
	return 0;
}

int op_blob_create(struct worker_call *c, struct vgpu_blob_create *a)
{
	/* Read before the reply; the descriptor stays the call's. */
	int fd = c->fd_count == 1 ? c->fds[0] : -1;

	if ((a->fd >= 0) != (fd >= 0))
		return -EINVAL;
	return vdev_blob_create(c->w->vdev, a, fd);
}

int op_blob_destroy(struct worker_call *c, struct vgpu_blob_destroy *a)
{
	return a->pad ? -EINVAL : vdev_blob_destroy(c->w->vdev, a->blob);
}

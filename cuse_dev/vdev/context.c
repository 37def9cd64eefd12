/* SPDX-License-Identifier: MIT */
/*
 * context.c - contexts by handle, and their limits.
 */
#include "cuse_dev/vdev/state.h"

#include <errno.h>
#include <stdlib.h>

/* CUlimit */
enum {
	CU_STACK_SIZE = 0,
	CU_PRINTF_FIFO_SIZE = 1,
	CU_MALLOC_HEAP_SIZE = 2,
	CU_PENDING_LAUNCH_COUNT = 4,
	CU_MAX_L2_FETCH = 5,
	CU_PERSISTING_L2 = 6,
};

#define PENDING_LAUNCHES_DEFAULT 2048
#define L2_FETCH_DEFAULT	 64
#define L2_FETCH_MAX		 128
#define L2_PERSISTING_MAX	 (1u << 30) /* a hint; nothing is set aside */

int vdev_ctx_create(struct vdev *v, uint32_t device, struct vgpu_ctx_create *req)
{
	struct queue_device qd;
	struct profile_sm sm;
	struct vdev_ctx *c;
	int r;

	if (device >= v->device_count || req->pad)
		return -EINVAL;
	r = vdev_device_open(v, device);
	if (r < 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->device = device;
	c->flags = req->flags;
	c->pending_launches = PENDING_LAUNCHES_DEFAULT;
	c->l2_fetch = L2_FETCH_DEFAULT;
	profile_sm_limits(v->device[device].profile, &sm);
	qd = (struct queue_device){
		.index = device,
		.ops = v->ops,
		.max_threads = v->device[device].backend.max_threads_per_block,
		.sm_count = v->device[device].backend.sm_count,
		.sm_warps = sm.max_warps,
		.sm_blocks = sm.max_blocks,
	};
	r = queue_ctx_create(v->queue, &qd, &c->queue_ctx);
	if (r < 0)
		goto free_ctx;
	r = idtab_add(&v->ctxs, c, &c->id);
	if (r < 0)
		goto destroy_queue_ctx;
	req->ctx = c->id;
	req->slot = queue_ctx_slot(c->queue_ctx);
	return 0;

destroy_queue_ctx:
	queue_ctx_destroy(c->queue_ctx);
free_ctx:
	free(c);
	return r == -ENOSPC ? -ENOMEM : r;
}

int vdev_ctx_destroy(struct vdev *v, uint32_t ctx, uint64_t *ret_ticket)
{
	struct vdev_ctx *c = idtab_remove(&v->ctxs, ctx);
	struct vdev_module *m;

	if (!c)
		return -EBADF;
	for (m = c->modules; m; m = m->next)
		vdev_module_hide(v, m);
	queue_ctx_close(c->queue_ctx);
	c->ticket = *ret_ticket = ++v->ticket;
	c->next = v->zombie_ctxs;
	v->zombie_ctxs = c;
	return 0;
}

void vdev_ctx_free(struct vdev *v, struct vdev_ctx *c)
{
	struct vdev_module *m;

	while ((m = c->modules)) {
		c->modules = m->next;
		vdev_module_free(v, m);
	}
	queue_ctx_destroy(c->queue_ctx);
	vdev_host_ranges(v); /* what it had registered is gone */
	vdev_tex_free_all(v, c);
	free(c);
}

int vdev_ctx_find(struct vdev *v, uint32_t ctx, struct queue_ctx **ret_ctx, uint32_t *ret_device)
{
	struct vdev_ctx *c = idtab_get(&v->ctxs, ctx);

	if (!c)
		return -EBADF;
	*ret_ctx = c->queue_ctx;
	if (ret_device)
		*ret_device = c->device;
	return 0;
}

static int queue_limit(struct vdev_ctx *c, enum queue_limit limit, struct vgpu_ctx_limit *req)
{
	int r = req->set ? queue_ctx_set_limit(c->queue_ctx, limit, req->value) : 0;

	if (r == 0)
		req->value = queue_ctx_limit(c->queue_ctx, limit);
	return r;
}

static int hint(uint64_t *kept, uint64_t max, struct vgpu_ctx_limit *req)
{
	if (req->set)
		*kept = req->value < max ? req->value : max;
	req->value = *kept;
	return 0;
}

int vdev_ctx_limit(struct vdev *v, struct vgpu_ctx_limit *req)
{
	struct vdev_ctx *c = idtab_get(&v->ctxs, req->ctx);

	if (!c)
		return -EBADF;
	if (req->set > 1 || req->pad)
		return -EINVAL;
	switch (req->limit) {
	case CU_STACK_SIZE:
		return queue_limit(c, QUEUE_LIMIT_STACK, req);
	case CU_PRINTF_FIFO_SIZE:
		return queue_limit(c, QUEUE_LIMIT_CONSOLE, req);
	case CU_MALLOC_HEAP_SIZE:
		return queue_limit(c, QUEUE_LIMIT_HEAP, req);
	case CU_PENDING_LAUNCH_COUNT:
		return hint(&c->pending_launches, UINT32_MAX, req);
	case CU_MAX_L2_FETCH:
		return hint(&c->l2_fetch, L2_FETCH_MAX, req);
	case CU_PERSISTING_L2:
		return hint(&c->l2_persisting, L2_PERSISTING_MAX, req);
	default:
		return -ENOTSUP;
	}
}

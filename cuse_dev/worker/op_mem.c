/* SPDX-License-Identifier: MIT */
/*
 * op_mem.c - memory. Operations that take memory away wait for streams that were destroyed with
 * work still queued: nobody else can wait for those any more.
 */
#include <errno.h>
#include <unistd.h>

#include "cuse_dev/worker/worker.h"

int op_mem_alloc(struct worker_call *c, struct vgpu_mem_alloc *a)
{
	struct queue_ctx *ctx;
	uint32_t device;
	int r = vdev_ctx_find(c->w->vdev, a->ctx, &ctx, &device);

	return r < 0 ? r : mem_alloc(c->w->mem, queue_ctx_owner(ctx), device, a);
}

int op_mem_free(struct worker_call *c, struct vgpu_mem_free *a)
{
	return worker_drained(c) ? mem_free(c->w->mem, a->va) : WORKER_PARK;
}

int op_va_reserve(struct worker_call *c, struct vgpu_va_reserve *a)
{
	return mem_va_reserve(c->w->mem, a);
}

int op_va_free(struct worker_call *c, struct vgpu_va_free *a)
{
	return mem_va_free(c->w->mem, a->va, a->size);
}

int op_phys_create(struct worker_call *c, struct vgpu_phys_create *a)
{
	int fd = worker_take_fd(c);
	int r = mem_phys_create(c->w->mem, c->msg.device, a, fd);

	if (r < 0 && fd >= 0)
		close(fd);
	return r;
}

int op_phys_release(struct worker_call *c, struct vgpu_phys_release *a)
{
	return a->pad ? -EINVAL : mem_phys_release(c->w->mem, a->phys);
}

int op_phys_import(struct worker_call *c, struct vgpu_phys_import *a)
{
	int fd = worker_take_fd(c);
	int r = mem_phys_import(c->w->mem, a, fd);

	if (r < 0 && fd >= 0)
		close(fd);
	return r;
}

int op_va_map(struct worker_call *c, struct vgpu_va_map *a)
{
	return mem_va_map(c->w->mem, a);
}

int op_va_unmap(struct worker_call *c, struct vgpu_va_unmap *a)
{
	return worker_drained(c) ? mem_va_unmap(c->w->mem, a->va, a->size) : WORKER_PARK;
}

int op_va_access(struct worker_call *c, struct vgpu_va_access *a)
{
	return worker_drained(c) ? mem_va_access(c->w->mem, a) : WORKER_PARK;
}

int op_host_register(struct worker_call *c, struct vgpu_host_register *a)
{
	struct queue_ctx *ctx;
	int fd, r = vdev_ctx_find(c->w->vdev, a->ctx, &ctx, NULL);

	if (r < 0)
		return r;
	fd = worker_take_fd(c);
	if (fd < 0)
		return -EBADF;
	r = mem_host_register(c->w->mem, queue_ctx_owner(ctx), a, fd);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = vdev_host_ranges(c->w->vdev);
	if (r < 0)
		mem_host_unregister(c->w->mem, a->va);
	return r;
}

int op_host_unregister(struct worker_call *c, struct vgpu_host_unregister *a)
{
	int r;

	if (!worker_drained(c))
		return WORKER_PARK;
	r = mem_host_unregister(c->w->mem, a->va);
	if (r == 0)
		vdev_host_ranges(c->w->vdev);
	return r;
}

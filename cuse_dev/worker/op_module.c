/* SPDX-License-Identifier: MIT */
/* op_module.c - modules, functions, globals. */
#include <errno.h>

#include "cuse_dev/worker/worker.h"

int op_module_load(struct worker_call *c, struct vgpu_module_load *a)
{
	if (worker_aside_running(c))
		return WORKER_PARK;
	return worker_aside_end(c, vdev_module_load(c->w->vdev, a, &c->job));
}

int op_module_unload(struct worker_call *c, struct vgpu_module_unload *a)
{
	uint64_t when = UINT64_MAX;
	int r;

	if (a->pad)
		return -EINVAL;
	if (!c->ticket) {
		if (!worker_drained(c))
			return WORKER_PARK;
		r = vdev_module_unload(c->w->vdev, a->module, &c->ticket);
		if (r < 0)
			return r;
		vdev_reap(c->w->vdev, &when);
	}
	return vdev_settled(c->w->vdev, c->ticket) ? 0 : WORKER_PARK;
}

int op_module_info(struct worker_call *c, struct vgpu_module_info *a)
{
	return vdev_module_info(c->w->vdev, a);
}

int op_func_get(struct worker_call *c, struct vgpu_func_get *a)
{
	return vdev_func_get(c->w->vdev, a);
}

int op_func_info(struct worker_call *c, struct vgpu_func_info *a)
{
	if (worker_aside_running(c))
		return WORKER_PARK;
	return worker_aside_end(c, vdev_func_info(c->w->vdev, a, &c->job));
}

int op_func_params(struct worker_call *c, struct vgpu_func_params *a)
{
	if (worker_aside_running(c))
		return WORKER_PARK;
	return worker_aside_end(c, vdev_func_params(c->w->vdev, a, &c->job));
}

int op_func_name(struct worker_call *c, struct vgpu_func_name *a)
{
	return vdev_func_name(c->w->vdev, a);
}

int op_func_set(struct worker_call *c, struct vgpu_func_set *a)
{
	if (worker_aside_running(c))
		return WORKER_PARK;
	return worker_aside_end(c, vdev_func_set(c->w->vdev, a, &c->job));
}

int op_func_occupancy(struct worker_call *c, struct vgpu_func_occupancy *a)
{
	if (worker_aside_running(c))
		return WORKER_PARK;
	return worker_aside_end(c, vdev_func_occupancy(c->w->vdev, a, &c->job));
}

int op_global_get(struct worker_call *c, struct vgpu_global_get *a)
{
	return vdev_global_get(c->w->vdev, a);
}

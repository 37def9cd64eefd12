/* SPDX-License-Identifier: MIT */
/*
 * function.c - kernels of a module by handle. One kernel has one handle; its attributes come from
 * the backend, which compiles it when they are first wanted.
 */
#include "cuse_dev/vdev/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vdev_func *entry(struct avl_node *n)
{
	return avl_entry(n, struct vdev_func, node);
}

static int before(const struct avl_node *a, const struct avl_node *b)
{
	return (uintptr_t)entry((struct avl_node *)a)->func <
	       (uintptr_t)entry((struct avl_node *)b)->func;
}

static struct vdev_func *known(struct vdev_module *m, const struct backend_func *func)
{
	struct avl_node *n = m->funcs.root;

	while (n && entry(n)->func != func)
		n = n->child[(uintptr_t)func > (uintptr_t)entry(n)->func];
	return entry(n);
}

static int func_create(struct vdev *v, struct vdev_module *m, struct backend_func *func,
		       struct vdev_func **ret_func)
{
	struct vdev_func *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->module = m;
	f->func = func;
	r = queue_kernel_add(v->queue, m->ctx->queue_ctx, func, f, &f->kernel, &f->id);
	if (r < 0) {
		free(f);
		return r;
	}
	avl_insert(&m->funcs, &f->node, before);
	*ret_func = f;
	return 0;
}

int vdev_func_get(struct vdev *v, struct vgpu_func_get *req)
{
	struct vdev_module *m = idtab_get(&v->modules, req->module);
	struct backend_func *func;
	struct vdev_func *f;
	int r;

	if (!m)
		return -EBADF;
	if (req->pad)
		return -EINVAL;
	if (req->index == VGPU_BY_NAME) {
		if (!memchr(req->name, 0, sizeof(req->name)))
			return -EINVAL;
		r = v->ops->func_by_name(m->image, req->name, &func);
	} else {
		r = v->ops->func_by_index(m->image, req->index, &func);
	}
	if (r < 0)
		return r;
	f = known(m, func);
	if (!f) {
		r = func_create(v, m, func, &f);
		if (r < 0)
			return r;
	}
	req->func = f->id;
	return 0;
}

static struct vdev_func *find(struct vdev *v, uint32_t id)
{
	struct queue_kernel *k = queue_kernel_find(v->queue, id);

	return k ? queue_kernel_owner(k) : NULL;
}

static struct vdev_device *device_of(struct vdev *v, const struct vdev_func *f)
{
	return &v->device[f->module->ctx->device];
}

int vdev_func_info(struct vdev *v, struct vgpu_func_info *req)
{
	struct vdev_func *f = find(v, req->func);
	struct backend_func_info info = { 0 };
	struct backend_log log = { .bytes = 0 };

	if (!f)
		return -EBADF;
	*req = (struct vgpu_func_info){ .func = req->func };
	req->result = queue_kernel_info(f->kernel, &info, &log);
	req->log_bytes = log.bytes < sizeof(req->log) ? log.bytes : sizeof(req->log);
	memcpy(req->log, log.text, req->log_bytes);
	if (req->result)
		return 0;
	req->max_threads = info.max_threads;
	req->shared_bytes = info.shared_bytes;
	req->const_bytes = info.const_bytes;
	req->local_bytes = info.local_bytes;
	req->num_regs = info.num_regs;
	req->ptx_version = info.ptx_version;
	req->binary_version = device_of(v, f)->backend.cc;
	req->max_dynamic_shared = info.max_dynamic_shared;
	req->preferred_carveout = (uint32_t)info.preferred_carveout;
	req->param_count = info.param_count;
	req->param_bytes = info.param_bytes;
	memcpy(req->reqntid, info.reqntid, sizeof(req->reqntid));
	memcpy(req->cluster, info.cluster, sizeof(req->cluster));
	req->cluster_must_be_set = info.cluster_must_be_set;
	req->nonportable_cluster = info.nonportable_cluster;
	req->cluster_policy = info.cluster_policy;
	return 0;
}

/* Attributes of a kernel that compiles; -ENOEXEC otherwise, FUNC_INFO says why. */
static int compiled(struct vdev_func *f, struct backend_func_info *ret_info)
{
	struct backend_log log = { .bytes = 0 };

	return queue_kernel_info(f->kernel, ret_info, &log) ? -ENOEXEC : 0;
}

int vdev_func_params(struct vdev *v, struct vgpu_func_params *req)
{
	struct vdev_func *f = find(v, req->func);
	struct backend_func_info info = { 0 };
	uint32_t i;
	int r;

	if (!f)
		return -EBADF;
	r = compiled(f, &info);
	if (r < 0)
		return r;
	if (req->first > info.param_count)
		return -EINVAL;
	req->total = info.param_count;
	req->count = info.param_count - req->first;
	if (req->count > VGPU_MAX_PARAMS)
		req->count = VGPU_MAX_PARAMS;
	for (i = 0; i < req->count; i++) {
		req->offset[i] = info.param_offset[req->first + i];
		req->size[i] = info.param_size[req->first + i];
	}
	return 0;
}

int vdev_func_name(struct vdev *v, struct vgpu_func_name *req)
{
	struct vdev_func *f = find(v, req->func);
	const char *name;

	if (!f)
		return -EBADF;
	name = v->ops->func_name(f->func);
	if (strlen(name) >= sizeof(req->name))
		return -ENAMETOOLONG;
	req->module = f->module->id;
	memset(req->name, 0, sizeof(req->name));
	snprintf(req->name, sizeof(req->name), "%s", name);
	return 0;
}

int vdev_func_set(struct vdev *v, const struct vgpu_func_set *req)
{
	struct vdev_func *f = find(v, req->func);

	if (!f)
		return -EBADF;
	if (req->pad)
		return -EINVAL;
	return queue_kernel_set(f->kernel, req->attr, req->value);
}

int vdev_func_occupancy(struct vdev *v, struct vgpu_func_occupancy *req)
{
	struct vdev_func *f = find(v, req->func);
	struct backend_func_info info = { 0 };
	struct profile_block block;
	int r;

	if (!f)
		return -EBADF;
	if (!req->block_size || req->pad)
		return -EINVAL;
	r = compiled(f, &info);
	if (r < 0)
		return r;
	req->blocks = 0;
	if (req->block_size > info.max_threads || req->dynamic_shared > UINT32_MAX)
		return 0;
	block = (struct profile_block){
		.threads = req->block_size,
		.regs_per_thread = info.num_regs,
		.shared_bytes = info.shared_bytes + req->dynamic_shared,
	};
	req->blocks = profile_occupancy(device_of(v, f)->profile, &block);
	return 0;
}

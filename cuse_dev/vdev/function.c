/* SPDX-License-Identifier: MIT */
/*
 * function.c - kernels of a module by handle. One kernel has one handle; its attributes come from
 * the backend, which compiles it when they are first wanted: a job (job.c).
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

static void compile(struct vdev_job *j)
{
	j->result = queue_kernel_info(j->kernel, &j->info, &j->log);
}

static void set(struct vdev_job *j)
{
	j->status = queue_kernel_set(j->kernel, j->attr, j->value);
}

static int begin(struct vdev *v, struct vdev_func *f, void (*run)(struct vdev_job *),
		 struct vdev_job **ret_job)
{
	int r = vdev_job_create(v, f->module->ctx, run, ret_job);

	if (r < 0)
		return r;
	(*ret_job)->kernel = f->kernel;
	queue_kernel_pin(f->kernel);
	return VDEV_LATER;
}

/*
 * The attributes of a kernel: 0, VDEV_LATER with a job when it must be compiled first, -EBADF;
 * *ret_result is a CUresult, and *ret_log says why (NULL: nothing).
 */
static int attributes(struct vdev *v, uint32_t id, struct vdev_job **job,
		      struct backend_func_info *ret_info, uint32_t *ret_result,
		      const struct backend_log **ret_log)
{
	struct vdev_func *f = find(v, id);

	if (!f)
		return -EBADF;
	*ret_result = 0;
	*ret_log = NULL;
	if (*job) {
		*ret_info = (*job)->info;
		*ret_result = (*job)->result;
		*ret_log = &(*job)->log;
		return 0;
	}
	return queue_kernel_known(f->kernel, ret_info) ? 0 : begin(v, f, compile, job);
}

int vdev_func_info(struct vdev *v, struct vgpu_func_info *req, struct vdev_job **job)
{
	struct backend_func_info info = { 0 };
	const struct backend_log *log;
	uint32_t result;
	int r = attributes(v, req->func, job, &info, &result, &log);

	if (r != 0)
		return r;
	*req = (struct vgpu_func_info){ .func = req->func, .result = result };
	if (log) {
		req->log_bytes = log->bytes < sizeof(req->log) ? log->bytes : sizeof(req->log);
		memcpy(req->log, log->text, req->log_bytes);
	}
	if (result)
		return 0;
	req->max_threads = info.max_threads;
	req->shared_bytes = info.shared_bytes;
	req->const_bytes = info.const_bytes;
	req->local_bytes = info.local_bytes;
	req->num_regs = info.num_regs;
	req->ptx_version = info.ptx_version;
	req->binary_version = device_of(v, find(v, req->func))->backend.cc;
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
static int compiled(struct vdev *v, uint32_t id, struct vdev_job **job,
		    struct backend_func_info *ret_info)
{
	const struct backend_log *log;
	uint32_t result;
	int r = attributes(v, id, job, ret_info, &result, &log);

	return r == 0 && result ? -ENOEXEC : r;
}

int vdev_func_params(struct vdev *v, struct vgpu_func_params *req, struct vdev_job **job)
{
	struct backend_func_info info = { 0 };
	uint32_t i;
	int r = compiled(v, req->func, job, &info);

	if (r != 0)
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

int vdev_func_set(struct vdev *v, const struct vgpu_func_set *req, struct vdev_job **job)
{
	struct vdev_func *f = find(v, req->func);
	int r;

	if (*job)
		return (*job)->status;
	if (!f)
		return -EBADF;
	if (req->pad)
		return -EINVAL;
	r = begin(v, f, set, job);
	if (r < 0)
		return r;
	(*job)->attr = req->attr;
	(*job)->value = req->value;
	return r;
}

int vdev_func_occupancy(struct vdev *v, struct vgpu_func_occupancy *req, struct vdev_job **job)
{
	struct backend_func_info info = { 0 };
	struct profile_block block;
	int r;

	if (!req->block_size || req->pad)
		return find(v, req->func) ? -EINVAL : -EBADF;
	r = compiled(v, req->func, job, &info);
	if (r != 0)
		return r;
	req->blocks = 0;
	if (req->block_size > info.max_threads || req->dynamic_shared > UINT32_MAX)
		return 0;
	block = (struct profile_block){
		.threads = req->block_size,
		.regs_per_thread = info.num_regs,
		.shared_bytes = info.shared_bytes + req->dynamic_shared,
	};
	req->blocks = profile_occupancy(device_of(v, find(v, req->func))->profile, &block);
	return 0;
}

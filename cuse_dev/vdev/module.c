/* SPDX-License-Identifier: MIT */
/*
 * module.c - images of a context: load, give memory to their variables, find those, unload.
 */
#include "cuse_dev/vdev/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Memory for managed variables of its own, unless it was given another module's. */
static int take_managed(struct vdev *v, struct vdev_module *m)
{
	if (m->managed || !m->info.managed_bytes)
		return 0;
	m->managed = calloc(1, sizeof(*m->managed));
	if (!m->managed)
		return -ENOMEM;
	m->managed->refs = 1;
	return mem_alloc_zeroed(v->mem, &m->managed->owner, m->ctx->device, VGPU_MEM_MANAGED,
				m->info.managed_bytes, &m->managed->va, &m->managed->off);
}

static void put_managed(struct vdev *v, struct vdev_managed *g)
{
	if (!g || --g->refs)
		return;
	if (g->va)
		mem_free(v->mem, g->va);
	free(g);
}

/* Memory for the variables; module_free() gives it back, also half of it. */
static int bind(struct vdev *v, struct vdev_module *m)
{
	struct mem_owner *owner = queue_ctx_owner(m->ctx->queue_ctx);
	bool managed_new = !m->managed;
	int r = 0;

	if (m->info.global_bytes)
		r = mem_alloc_zeroed(v->mem, owner, m->ctx->device, VGPU_MEM_DEVICE,
				     m->info.global_bytes, &m->global_va, &m->global_off);
	if (r == 0)
		r = take_managed(v, m);
	if (r == 0)
		r = v->ops->module_bind(m->image, m->global_va, m->managed ? m->managed->va : 0,
					managed_new);
	return r;
}

/* Whether the managed variables of @m lie where those of @of do, all of them. */
static bool same_managed(const struct vdev *v, const struct vdev_module *m,
			 const struct vdev_module *of)
{
	struct backend_global a, b;

	if (m->info.managed_bytes != of->info.managed_bytes)
		return false;
	for (uint32_t i = 0; i < m->info.globals; i++) {
		if (v->ops->module_global(m->image, i, &a) < 0)
			return false;
		if (a.managed && (v->ops->module_find_global(of->image, a.name, &b) < 0 ||
				  !b.managed || a.offset != b.offset || a.size != b.size))
			return false;
	}
	return true;
}

static void load(struct vdev_job *j)
{
	struct vdev *v = j->v;
	struct vdev_module *m = j->module;

	j->result = v->ops->module_load(j->backend, j->blob->data, j->blob->size, j->lenient,
					&m->image, &m->info, &j->log);
	if (j->result)
		return;
	/* Of another size: load_end() says so, and nothing must be written there. */
	if (m->managed && j->managed_bytes != m->info.managed_bytes)
		j->status = -EINVAL;
	else
		j->status = bind(v, m);
}

static int load_begin(struct vdev *v, const struct vgpu_module_load *req, struct vdev_job **ret_job)
{
	struct vdev_ctx *c = idtab_get(&v->ctxs, req->ctx);
	struct vdev_blob *b = idtab_get(&v->blobs, req->blob);
	struct vdev_module *of = NULL;
	struct vdev_job *j;
	int r;

	if (!c || !b)
		return -EBADF;
	if (req->flags & ~VGPU_MODULE_LENIENT_CC || req->pad || req->pad2)
		return -EINVAL;
	if (req->managed_of) {
		of = idtab_get(&v->modules, req->managed_of);
		if (!of)
			return -EBADF;
	}
	if (v->modules.used >= LIMIT_MODULES)
		return -ENOMEM;
	r = vdev_job_create(v, c, load, &j);
	if (r < 0)
		return r;
	j->module = calloc(1, sizeof(*j->module));
	if (!j->module) {
		vdev_job_end(j);
		return -ENOMEM;
	}
	j->module->ctx = c;
	if (of && of->managed) {
		j->module->managed = of->managed;
		j->managed_bytes = of->info.managed_bytes;
		of->managed->refs++;
	}
	j->backend = v->device[c->device].handle;
	j->lenient = req->flags & VGPU_MODULE_LENIENT_CC;
	j->blob = b;
	b->pins++;
	*ret_job = j;
	return VDEV_LATER;
}

int vdev_module_load(struct vdev *v, struct vgpu_module_load *req, struct vdev_job **job)
{
	struct vdev_job *j = *job;
	struct vdev_ctx *c;
	struct vdev_module *m, *of;
	int r;

	if (!j)
		return load_begin(v, req, job);
	c = j->ctx;
	m = j->module;
	req->result = j->result;
	req->log_bytes = j->log.bytes < sizeof(req->log) ? j->log.bytes : sizeof(req->log);
	memcpy(req->log, j->log.text, req->log_bytes);
	req->module = 0;
	req->ptx_target = 0;
	if (req->result)
		return 0;
	if (j->status < 0)
		return j->status;
	if (idtab_get(&v->ctxs, req->ctx) != c)
		return -EBADF; /* closed meanwhile */
	if (req->managed_of) {
		of = idtab_get(&v->modules, req->managed_of);
		if (!of)
			return -EBADF; /* the same */
		if (of->managed && !same_managed(v, m, of))
			return -EINVAL;
	}
	r = idtab_add(&v->modules, m, &m->id);
	if (r < 0)
		return r == -ENOSPC ? -ENOMEM : r;
	j->module = NULL;
	m->next = c->modules;
	if (m->next)
		m->next->prev = m;
	c->modules = m;
	req->module = m->id;
	req->ptx_target = m->info.ptx_target;
	return 0;
}

void vdev_module_hide(struct vdev *v, struct vdev_module *m)
{
	struct avl_node *n;

	idtab_remove(&v->modules, m->id);
	for (n = avl_first(&m->funcs); n; n = avl_next(n))
		queue_kernel_remove(avl_entry(n, struct vdev_func, node)->kernel);
}

bool vdev_module_busy(const struct vdev_module *m)
{
	struct avl_node *n;

	for (n = avl_first(&m->funcs); n; n = avl_next(n))
		if (queue_kernel_busy(avl_entry(n, struct vdev_func, node)->kernel))
			return true;
	return false;
}

void vdev_module_free(struct vdev *v, struct vdev_module *m)
{
	struct avl_node *n;

	while ((n = m->funcs.root)) {
		struct vdev_func *f = avl_entry(n, struct vdev_func, node);

		avl_remove(&m->funcs, n);
		queue_kernel_free(f->kernel);
		free(f);
	}
	if (m->image)
		v->ops->module_unload(m->image);
	if (m->global_va)
		mem_free(v->mem, m->global_va);
	put_managed(v, m->managed);
	free(m);
}

int vdev_module_unload(struct vdev *v, uint32_t module, uint64_t *ret_ticket)
{
	struct vdev_module *m = idtab_get(&v->modules, module);

	if (!m)
		return -EBADF;
	vdev_module_hide(v, m);
	if (m->next)
		m->next->prev = m->prev;
	if (m->prev)
		m->prev->next = m->next;
	else
		m->ctx->modules = m->next;
	m->prev = NULL;
	m->next = v->zombie_modules;
	if (m->next)
		m->next->prev = m;
	v->zombie_modules = m;
	m->ctx->zombie_modules++;
	m->ticket = *ret_ticket = ++v->ticket;
	return 0;
}

int vdev_module_info(struct vdev *v, struct vgpu_module_info *req)
{
	struct vdev_module *m = idtab_get(&v->modules, req->module);

	if (!m)
		return -EBADF;
	if (req->pad)
		return -EINVAL;
	req->functions = m->info.functions;
	req->globals = m->info.globals;
	return 0;
}

int vdev_global_get(struct vdev *v, struct vgpu_global_get *req)
{
	struct vdev_module *m = idtab_get(&v->modules, req->module);
	struct backend_global g;
	int r;

	if (!m)
		return -EBADF;
	if (req->index == VGPU_BY_NAME) {
		if (!memchr(req->name, 0, sizeof(req->name)))
			return -EINVAL;
		r = v->ops->module_find_global(m->image, req->name, &g);
	} else {
		r = v->ops->module_global(m->image, req->index, &g);
	}
	if (r < 0)
		return r;
	if (req->index != VGPU_BY_NAME) {
		if (strlen(g.name) >= sizeof(req->name))
			return -ENAMETOOLONG;
		memset(req->name, 0, sizeof(req->name));
		snprintf(req->name, sizeof(req->name), "%s", g.name);
	}
	if (g.managed && !m->managed)
		return -EIO;
	req->va = (g.managed ? m->managed->va : m->global_va) + g.offset;
	req->arena_off = (g.managed ? m->managed->off : m->global_off) + g.offset;
	req->size = g.size;
	req->managed = g.managed;
	req->kind = g.opaque ? 1u + g.opaque : g.constant;
	return 0;
}

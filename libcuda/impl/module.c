/* SPDX-License-Identifier: MIT */
/*
 * module.c - images in a context: load, unload, and finding functions and variables in them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcuda/core/call.h"
#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/module.h"
#include "libcuda/impl/texture.h"
#include "libcuda/link/link.h"

#define FUNC_BUCKETS 256u /* of a module's functions by name */

/* ---- load and unload ------------------------------------------------------------------------ */

static CUresult load_blob(struct cu_ctx *ctx, const struct image *image,
			  struct vgpu_module_load *req)
{
	struct vgpu_blob_destroy drop = { 0 };
	struct link_dev *dev = ctx->dev->link;
	int r;

	r = image_send(dev, image, &req->blob);
	if (r < 0)
		return cu_from_errno(r);
	drop.blob = req->blob;
	r = link_call(dev, VGPU_OP_MODULE_LOAD, req, sizeof(*req));
	link_call(dev, VGPU_OP_BLOB_DESTROY, &drop, sizeof(drop));
	if (r < 0)
		return cu_from_errno(r);
	req->log[sizeof(req->log) - 1] = 0;
	if (req->result && req->log[0])
		cu_log(CU_LOG_ERROR, "image of %zu bytes refused: %s", image->size, req->log);
	return (CUresult)req->result;
}

/*
 * Kernels are compiled when they are needed. Who gives a text and a buffer for its errors asks for
 * them now, so all of it is looked at; the log takes the place of the image's.
 */
static CUresult check_bodies(struct cu_ctx *ctx, struct vgpu_module_load *load)
{
	struct vgpu_module_info count = { .module = load->module };
	struct link_dev *dev = ctx->dev->link;
	struct vgpu_func_info info;
	struct vgpu_func_get get;
	int r;

	r = link_call(dev, VGPU_OP_MODULE_INFO, &count, sizeof(count));
	for (uint32_t i = 0; !r && i < count.functions; i++) {
		memset(&get, 0, offsetof(struct vgpu_func_get, name));
		get.module = load->module;
		get.index = i;
		r = link_call(dev, VGPU_OP_FUNC_GET, &get, offsetof(struct vgpu_func_get, name));
		info = (struct vgpu_func_info){ .func = get.func };
		if (!r)
			r = link_call(dev, VGPU_OP_FUNC_INFO, &info, sizeof(info));
		if (!r && info.result) {
			memcpy(load->log, info.log, sizeof(load->log));
			load->log[sizeof(load->log) - 1] = 0;
			return (CUresult)info.result;
		}
	}
	return cu_from_errno(r);
}

CUresult module_load(struct cu_ctx *ctx, const struct image *image, bool lenient,
		     const struct jit_options *jit, struct cu_library *library,
		     const struct cu_module *same, struct cu_module **ret_module)
{
	struct vgpu_module_load req = { .ctx = ctx->ctx,
					.flags = lenient ? VGPU_MODULE_LENIENT_CC : 0,
					.managed_of = same ? same->module : 0 };
	struct vgpu_module_unload undo;
	struct cu_module *m;
	CUresult r;

	r = load_blob(ctx, image, &req);
	if (r == CUDA_SUCCESS && jit && jit->error && image->text)
		r = check_bodies(ctx, &req);
	if (jit)
		jit_finish(jit, r, req.log);
	if (r != CUDA_SUCCESS)
		goto unload;
	m = cu_handle_create(CU_KIND_MODULE, sizeof(*m));
	if (!m) {
		r = CUDA_ERROR_OUT_OF_MEMORY;
		goto unload;
	}
	m->ctx = ctx;
	m->ctx_id = ctx->id;
	m->module = req.module;
	m->ptx_target = req.ptx_target;
	m->wrapped = image->wrapped;
	m->library = library;
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_lock(&ctx->lock);
	m->next = ctx->modules;
	ctx->modules = m;
	pthread_mutex_unlock(&ctx->lock);
	*ret_module = m;
	return CUDA_SUCCESS;

unload:
	undo = (struct vgpu_module_unload){ .module = req.module };
	if (req.module)
		link_call(ctx->dev->link, VGPU_OP_MODULE_UNLOAD, &undo, sizeof(undo));
	return r;
}

void module_bequeath(struct cu_module *from, struct cu_module *to)
{
	struct cu_ctx *ctx = to->ctx;
	struct module_global *g, **p = &from->globals;

	pthread_mutex_lock(&to->lock);
	while ((g = *p)) {
		if (!g->map_size) {
			p = &g->next;
			continue;
		}
		*p = g->next;
		link_map_set_owner(&ctx->dev->link->link->ranges, g->va, ctx->dev->link, ctx);
		g->next = to->globals;
		to->globals = g;
	}
	pthread_mutex_unlock(&to->lock);
}

static void drop_globals(struct cu_module *m)
{
	struct link *l = m->ctx->dev->link->link;
	struct module_global *g;

	while ((g = m->globals)) {
		m->globals = g->next;
		link_map_remove(&l->ranges, g->va, NULL);
		if (g->map_size)
			link_pages_unmap(l, g->map_va, g->map_size);
		free(g);
	}
}

static void drop_funcs(struct cu_module *m)
{
	struct cu_func *f;

	for (unsigned i = 0; m->bucket && i < FUNC_BUCKETS; i++) {
		while ((f = m->bucket[i])) {
			m->bucket[i] = f->next;
			free(atomic_load(&f->layout));
			free(f->old);
			free(f->name);
			pthread_mutex_destroy(&f->lock);
			cu_handle_destroy(f);
		}
	}
	free(m->bucket);
}

void module_destroy(struct cu_module *m, bool in_worker)
{
	struct vgpu_module_unload req = { .module = m->module };
	struct cu_module **p;

	pthread_mutex_lock(&m->ctx->lock);
	for (p = &m->ctx->modules; *p; p = &(*p)->next) {
		if (*p == m) {
			*p = m->next;
			break;
		}
	}
	pthread_mutex_unlock(&m->ctx->lock);
	if (m->library)
		library_forget(m->library, m);
	drop_globals(m);
	drop_funcs(m);
	texref_fini(m, in_worker);
	if (in_worker)
		link_call(m->ctx->dev->link, VGPU_OP_MODULE_UNLOAD, &req, sizeof(req));
	pthread_mutex_destroy(&m->lock);
	cu_handle_destroy(m);
}

void cu_module_ctx_fini(struct cu_ctx *ctx)
{
	struct cu_module *m;

	for (;;) {
		pthread_mutex_lock(&ctx->lock);
		m = ctx->modules;
		pthread_mutex_unlock(&ctx->lock);
		if (!m)
			return;
		module_destroy(m, false); /* the worker's goes with the context */
	}
}

CUresult module_get(CUmodule handle, struct cu_module **ret_module)
{
	struct cu_module *m = cu_handle_get(handle, CU_KIND_MODULE);

	if (!m)
		return CUDA_ERROR_INVALID_HANDLE;
	*ret_module = m;
	return cu_ctx_error(m->ctx);
}

/* ---- functions ------------------------------------------------------------------------------ */

static uint32_t hash_text(const char *s)
{
	uint32_t h = 2166136261u;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h;
}

static struct cu_func *find_locked(struct cu_module *m, const char *name)
{
	struct cu_func *f = m->bucket ? m->bucket[hash_text(name) % FUNC_BUCKETS] : NULL;

	while (f && strcmp(f->name, name))
		f = f->next;
	return f;
}

static CUresult add_locked(struct cu_module *m, const char *name, uint32_t func,
			   struct cu_func **ret_func)
{
	struct cu_func *f, **bucket;

	if (!m->bucket)
		m->bucket = calloc(FUNC_BUCKETS, sizeof(*m->bucket));
	if (!m->bucket)
		return CUDA_ERROR_OUT_OF_MEMORY;
	f = cu_handle_create(CU_KIND_FUNC, sizeof(*f));
	if (!f)
		return CUDA_ERROR_OUT_OF_MEMORY;
	f->name = strdup(name);
	if (!f->name) {
		cu_handle_destroy(f);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	f->module = m;
	f->func = func;
	pthread_mutex_init(&f->lock, NULL);
	bucket = &m->bucket[hash_text(name) % FUNC_BUCKETS];
	f->next = *bucket;
	*bucket = f;
	*ret_func = f;
	return CUDA_SUCCESS;
}

static CUresult func_by_name_locked(struct cu_module *m, const char *name,
				    struct cu_func **ret_func)
{
	struct vgpu_func_get req = { .module = m->module, .index = VGPU_BY_NAME };
	size_t n = strlen(name);
	int r;

	*ret_func = find_locked(m, name);
	if (*ret_func)
		return CUDA_SUCCESS;
	if (n >= sizeof(req.name))
		return CUDA_ERROR_NOT_FOUND;
	memcpy(req.name, name, n + 1);
	r = link_call(m->ctx->dev->link, VGPU_OP_FUNC_GET, &req,
		      offsetof(struct vgpu_func_get, name) + n + 1);
	if (r < 0)
		return cu_from_errno(r);
	return add_locked(m, name, req.func, ret_func);
}

CUresult module_func(struct cu_module *m, const char *name, struct cu_func **ret_func)
{
	CUresult r;

	pthread_mutex_lock(&m->lock);
	r = func_by_name_locked(m, name, ret_func);
	pthread_mutex_unlock(&m->lock);
	return r;
}

CUresult module_func_at(struct cu_module *m, uint32_t index, struct cu_func **ret_func)
{
	struct vgpu_func_get req = { .module = m->module, .index = index };
	struct vgpu_func_name name = { 0 };
	CUresult res = CUDA_SUCCESS;
	int r;

	r = link_call(m->ctx->dev->link, VGPU_OP_FUNC_GET, &req,
		      offsetof(struct vgpu_func_get, name));
	if (r < 0)
		return cu_from_errno(r);
	name.func = req.func;
	r = link_call(m->ctx->dev->link, VGPU_OP_FUNC_NAME, &name, sizeof(name));
	if (r < 0)
		return cu_from_errno(r);
	name.name[sizeof(name.name) - 1] = 0;
	pthread_mutex_lock(&m->lock);
	*ret_func = find_locked(m, name.name);
	if (!*ret_func)
		res = add_locked(m, name.name, req.func, ret_func);
	pthread_mutex_unlock(&m->lock);
	return res;
}

CUresult module_func_count(struct cu_module *m, uint32_t *ret_count)
{
	struct vgpu_module_info req = { .module = m->module };
	int r = link_call(m->ctx->dev->link, VGPU_OP_MODULE_INFO, &req, sizeof(req));

	if (r < 0)
		return cu_from_errno(r);
	*ret_count = req.functions;
	return CUDA_SUCCESS;
}

uint64_t cu_module_each_func(CUmodule handle, void (*fn)(void *user, CUfunction f, uint64_t owner),
			     void *user)
{
	struct cu_module *m;
	struct cu_func *f;
	uint32_t n = 0;

	if (module_get(handle, &m) != CUDA_SUCCESS || module_func_count(m, &n) != CUDA_SUCCESS)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (module_func_at(m, i, &f) != CUDA_SUCCESS)
			return i;
		fn(user, (CUfunction)f, (uint64_t)(uintptr_t)m);
	}
	return n;
}

/* ---- variables ------------------------------------------------------------------------------ */

/*
 * List the variable's address, so that copies and pointer queries know it. A managed one also gets
 * its pages at the same address in this process, once for all modules of a library. Called with
 * m->lock held, and the library's.
 */
static CUresult list_global(struct cu_module *m, const struct vgpu_global_get *got)
{
	struct link_dev *dev = m->ctx->dev->link;
	struct link *l = dev->link;
	struct link_range range = {
		.va = got->va,
		.size = got->size,
		.kind = got->managed ? LINK_MANAGED : LINK_GLOBAL,
		.dev = dev,
		.ctx = m->ctx,
		.arena_off = got->arena_off,
		.worker_visible = true,
	};
	struct module_global *g;
	struct link_range there;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), head;
	int r;

	for (g = m->globals; g; g = g->next)
		if (g->va == got->va)
			return CUDA_SUCCESS;
	if (got->managed && m->library && !link_map_find(&l->ranges, got->va, &there) &&
	    there.va == got->va)
		return CUDA_SUCCESS; /* another module of the library has listed it */
	g = calloc(1, sizeof(*g));
	if (!g)
		return CUDA_ERROR_OUT_OF_MEMORY;
	g->va = got->va;
	if (got->managed) {
		head = got->va % page;
		g->map_va = got->va - head;
		g->map_size = (got->size + head + page - 1) / page * page;
		r = link_pages_map_host(l, g->map_va, g->map_size, got->arena_off - head);
		if (r < 0)
			goto free_global;
		range.host = (void *)(uintptr_t)got->va;
	} else if (dev->arena) {
		range.host = dev->arena + got->arena_off;
	}
	r = link_map_add(&l->ranges, &range);
	if (r < 0)
		goto unmap;
	g->next = m->globals;
	m->globals = g;
	return CUDA_SUCCESS;

unmap:
	if (g->map_size)
		link_pages_unmap(l, g->map_va, g->map_size);
free_global:
	free(g);
	return cu_from_errno(r);
}

static CUresult ask_global(struct cu_module *m, const char *name, struct vgpu_global_get *ret_got)
{
	size_t n = strlen(name);
	int r;

	*ret_got = (struct vgpu_global_get){ .module = m->module, .index = VGPU_BY_NAME };
	if (n >= sizeof(ret_got->name))
		return CUDA_ERROR_NOT_FOUND;
	memcpy(ret_got->name, name, n + 1);
	r = link_call(m->ctx->dev->link, VGPU_OP_GLOBAL_GET, ret_got,
		      offsetof(struct vgpu_global_get, name) + n + 1);
	return cu_from_errno(r);
}

CUresult module_variable(struct cu_module *m, const char *name, uint32_t kind, uint64_t *ret_va)
{
	struct vgpu_global_get req;
	CUresult r = ask_global(m, name, &req);

	if (r == CUDA_SUCCESS && req.kind != kind)
		r = CUDA_ERROR_NOT_FOUND;
	if (r == CUDA_SUCCESS)
		*ret_va = req.va;
	return r;
}

CUresult module_global(struct cu_module *m, const char *name, bool managed, CUdeviceptr *ret_va,
		       size_t *ret_size)
{
	struct vgpu_global_get req;
	CUresult res = ask_global(m, name, &req);

	if (res != CUDA_SUCCESS)
		return res;
	if (managed && !req.managed)
		return CUDA_ERROR_NOT_FOUND;
	if (req.size) {
		if (m->library)
			library_lock(m->library);
		pthread_mutex_lock(&m->lock);
		res = list_global(m, &req);
		pthread_mutex_unlock(&m->lock);
		if (m->library)
			library_unlock(m->library);
	}
	if (res != CUDA_SUCCESS)
		return res;
	if (ret_va)
		*ret_va = (CUdeviceptr)req.va;
	if (ret_size)
		*ret_size = (size_t)req.size;
	return CUDA_SUCCESS;
}

/* ---- entry points --------------------------------------------------------------------------- */

CUresult impl_cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int numOptions,
				 CUjit_option *options, void **optionValues)
{
	struct jit_options jit;
	struct image img;
	struct cu_module *m;
	struct cu_ctx *ctx;
	CUresult r;

	if (!module || !image)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	r = jit_parse(numOptions, options, optionValues, &jit);
	if (r != CUDA_SUCCESS)
		return r;
	r = image_find(image, &img);
	if (r != CUDA_SUCCESS) {
		jit_finish(&jit, r, "");
		return r;
	}
	r = module_load(ctx, &img, cu_caller_is_library(ctx->dev), &jit, NULL, NULL, &m);
	free(img.made);
	if (r == CUDA_SUCCESS)
		*module = (CUmodule)m;
	return r;
}

CUresult impl_cuModuleLoadData(CUmodule *module, const void *image)
{
	return impl_cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

CUresult impl_cuModuleLoadFatBinary(CUmodule *module, const void *fatCubin)
{
	return impl_cuModuleLoadDataEx(module, fatCubin, 0, NULL, NULL);
}

CUresult impl_cuModuleLoad(CUmodule *module, const char *fname)
{
	struct cu_ctx *ctx;
	void *data;
	CUresult r;

	if (!module)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	r = image_read(fname, &data, NULL);
	if (r != CUDA_SUCCESS)
		return r;
	r = impl_cuModuleLoadData(module, data);
	free(data);
	return r;
}

CUresult impl_cuModuleUnload(CUmodule hmod)
{
	struct cu_module *m = cu_handle_get(hmod, CU_KIND_MODULE);

	if (!m || m->library)
		return CUDA_ERROR_INVALID_HANDLE;
	cu_stream_sync_ctx(m->ctx);
	cu_ctx_console(m->ctx);
	module_destroy(m, true);
	return CUDA_SUCCESS;
}

CUresult impl_cuModuleGetFunction(CUfunction *hfunc, CUmodule hmod, const char *name)
{
	struct cu_module *m;
	struct cu_func *f;
	CUresult r;

	if (!hfunc || !name)
		return CUDA_ERROR_INVALID_VALUE;
	r = module_get(hmod, &m);
	if (r != CUDA_SUCCESS)
		return r;
	r = module_func(m, name, &f);
	if (r == CUDA_SUCCESS)
		*hfunc = (CUfunction)f;
	return r;
}

CUresult impl_cuModuleGetFunctionCount(unsigned int *count, CUmodule mod)
{
	struct cu_module *m;
	CUresult r;

	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	r = module_get(mod, &m);
	return r == CUDA_SUCCESS ? module_func_count(m, count) : r;
}

CUresult impl_cuModuleEnumerateFunctions(CUfunction *functions, unsigned int numFunctions,
					 CUmodule mod)
{
	struct cu_module *m;
	struct cu_func *f;
	uint32_t n = 0;
	CUresult r;

	if (!functions || !numFunctions)
		return CUDA_ERROR_INVALID_VALUE;
	r = module_get(mod, &m);
	if (r == CUDA_SUCCESS)
		r = module_func_count(m, &n);
	if (r != CUDA_SUCCESS)
		return r;
	for (uint32_t i = 0; i < n && i < numFunctions; i++) {
		r = module_func_at(m, i, &f);
		if (r != CUDA_SUCCESS)
			return r;
		functions[i] = (CUfunction)f;
	}
	return CUDA_SUCCESS;
}

CUresult impl_cuModuleGetGlobal_v2(CUdeviceptr *dptr, size_t *bytes, CUmodule hmod,
				   const char *name)
{
	struct cu_module *m;
	CUresult r;

	if (!name || (!dptr && !bytes))
		return CUDA_ERROR_INVALID_VALUE;
	r = module_get(hmod, &m);
	return r == CUDA_SUCCESS ? module_global(m, name, false, dptr, bytes) : r;
}

/* Kernels are compiled when first needed, whatever the program wishes: so lazy is the truth. */
CUresult impl_cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
	if (!mode)
		return CUDA_ERROR_INVALID_VALUE;
	*mode = CU_MODULE_LAZY_LOADING;
	return CUDA_SUCCESS;
}

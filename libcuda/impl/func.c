/* SPDX-License-Identifier: MIT */
/*
 * func.c - functions: attributes, parameters, names. A CUkernel is taken wherever a CUfunction is:
 * the runtime library passes them so.
 */
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/module.h"
#include "libcuda/link/link.h"

CUresult func_get(CUfunction handle, struct cu_func **ret_func)
{
	struct cu_ctx *ctx;
	struct cu_func *f;
	CUresult r;

	switch (cu_handle_kind(handle)) {
	case CU_KIND_FUNC:
		f = (struct cu_func *)handle;
		r = cu_ctx_error(f->module->ctx);
		if (r == CUDA_SUCCESS)
			*ret_func = f;
		return r;
	case CU_KIND_KERNEL:
		r = cu_ctx_usable(&ctx);
		return r == CUDA_SUCCESS ? kernel_func((struct cu_kernel *)handle, ctx, ret_func)
					 : r;
	default:
		return CUDA_ERROR_INVALID_HANDLE;
	}
}

/* Called with f->lock held. */
static CUresult load_info(struct cu_func *f)
{
	struct vgpu_func_info req = { .func = f->func };
	int r;

	if (f->info_known)
		return CUDA_SUCCESS;
	r = link_call(f->module->ctx->dev->link, VGPU_OP_FUNC_INFO, &req, sizeof(req));
	if (r < 0)
		return cu_from_errno(r);
	if (req.result) {
		req.log[sizeof(req.log) - 1] = 0;
		if (!f->refused)
			cu_log(CU_LOG_ERROR, "kernel %s cannot be compiled: %s", f->name, req.log);
		f->refused = true;
		return (CUresult)req.result;
	}
	memcpy(f->info, &req, sizeof(f->info));
	f->info_known = true;
	return CUDA_SUCCESS;
}

CUresult func_info(struct cu_func *f, struct vgpu_func_info *ret_info)
{
	CUresult r;

	pthread_mutex_lock(&f->lock);
	r = load_info(f);
	if (r == CUDA_SUCCESS)
		memcpy(ret_info, f->info, sizeof(f->info));
	pthread_mutex_unlock(&f->lock);
	return r;
}

static CUresult load_layout(struct cu_func *f, struct func_layout **ret_layout)
{
	struct vgpu_func_params req = { .func = f->func };
	struct link_dev *dev = f->module->ctx->dev->link;
	struct func_layout *l = NULL, *more;
	uint32_t done = 0;
	int r;

	do {
		req.first = done;
		r = link_call(dev, VGPU_OP_FUNC_PARAMS, &req, sizeof(req));
		if (r < 0 || req.count > VGPU_MAX_PARAMS || req.total < done + req.count ||
		    (!req.count && done < req.total)) {
			free(l);
			return r < 0 ? cu_from_errno(r) : CUDA_ERROR_UNKNOWN;
		}
		more = realloc(l, sizeof(*l) + (done + req.count) * sizeof(l->param[0]));
		if (!more) {
			free(l);
			return CUDA_ERROR_OUT_OF_MEMORY;
		}
		l = more;
		for (uint32_t i = 0; i < req.count; i++) {
			l->param[done + i].offset = req.offset[i];
			l->param[done + i].size = req.size[i];
		}
		done += req.count;
	} while (done < req.total);
	l->count = done;
	*ret_layout = l;
	return CUDA_SUCCESS;
}

CUresult func_layout(struct cu_func *f, const struct func_layout **ret_layout)
{
	struct func_layout *l = atomic_load_explicit(&f->layout, memory_order_acquire);
	CUresult r = CUDA_SUCCESS;

	if (l) {
		*ret_layout = l;
		return CUDA_SUCCESS;
	}
	pthread_mutex_lock(&f->lock);
	l = atomic_load(&f->layout);
	if (!l) {
		r = load_info(f);
		if (r == CUDA_SUCCESS)
			r = load_layout(f, &l);
		if (r == CUDA_SUCCESS) {
			l->bytes = ((const struct vgpu_func_info *)f->info)->param_bytes;
			atomic_store_explicit(&f->layout, l, memory_order_release);
		}
	}
	pthread_mutex_unlock(&f->lock);
	if (r == CUDA_SUCCESS)
		*ret_layout = l;
	return r;
}

CUresult func_attribute(struct cu_func *f, CUfunction_attribute attr, int *ret_value)
{
	struct vgpu_func_info i;
	CUresult r;

	r = func_info(f, &i);
	if (r != CUDA_SUCCESS)
		return r;
	switch ((int)attr) {
#define ATTR(name, field)                                                                          \
	case CU_FUNC_ATTRIBUTE_##name:                                                             \
		*ret_value = (int)(i.field);                                                       \
		return CUDA_SUCCESS;
		ATTR(MAX_THREADS_PER_BLOCK, max_threads)
		ATTR(SHARED_SIZE_BYTES, shared_bytes)
		ATTR(CONST_SIZE_BYTES, const_bytes)
		ATTR(LOCAL_SIZE_BYTES, local_bytes)
		ATTR(NUM_REGS, num_regs)
		ATTR(PTX_VERSION, ptx_version)
		ATTR(BINARY_VERSION, binary_version)
		ATTR(MAX_DYNAMIC_SHARED_SIZE_BYTES, max_dynamic_shared)
		ATTR(PREFERRED_SHARED_MEMORY_CARVEOUT, preferred_carveout)
		ATTR(CLUSTER_SIZE_MUST_BE_SET, cluster_must_be_set)
		ATTR(REQUIRED_CLUSTER_WIDTH, cluster[0])
		ATTR(REQUIRED_CLUSTER_HEIGHT, cluster[1])
		ATTR(REQUIRED_CLUSTER_DEPTH, cluster[2])
		ATTR(NON_PORTABLE_CLUSTER_SIZE_ALLOWED, nonportable_cluster)
		ATTR(CLUSTER_SCHEDULING_POLICY_PREFERENCE, cluster_policy)
#undef ATTR
	case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
		*ret_value = 0; /* no image was compiled for a cache */
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult func_set(struct cu_func *f, uint32_t attr, int value)
{
	struct vgpu_func_set req = { .func = f->func, .attr = attr, .value = value };
	int r = link_call(f->module->ctx->dev->link, VGPU_OP_FUNC_SET, &req, sizeof(req));

	if (r < 0)
		return cu_from_errno(r);
	pthread_mutex_lock(&f->lock);
	f->info_known = false;
	pthread_mutex_unlock(&f->lock);
	return CUDA_SUCCESS;
}

CUresult func_param(struct cu_func *f, size_t index, size_t *ret_offset, size_t *ret_size)
{
	const struct func_layout *l;
	CUresult r = func_layout(f, &l);

	if (r != CUDA_SUCCESS)
		return r;
	if (index >= l->count)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_offset = l->param[index].offset;
	if (ret_size)
		*ret_size = l->param[index].size;
	return CUDA_SUCCESS;
}

/* ---- entry points --------------------------------------------------------------------------- */

CUresult impl_cuFuncGetAttribute(int *pi, CUfunction_attribute attrib, CUfunction hfunc)
{
	struct cu_func *f;
	CUresult r;

	if (!pi)
		return CUDA_ERROR_INVALID_VALUE;
	r = func_get(hfunc, &f);
	return r == CUDA_SUCCESS ? func_attribute(f, attrib, pi) : r;
}

CUresult impl_cuFuncSetAttribute(CUfunction hfunc, CUfunction_attribute attrib, int value)
{
	struct cu_func *f;
	CUresult r = func_get(hfunc, &f);

	if (r != CUDA_SUCCESS)
		return r;
	if ((unsigned)attrib >= CU_FUNC_ATTRIBUTE_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	return func_set(f, (uint32_t)attrib, value);
}

CUresult impl_cuFuncSetCacheConfig(CUfunction hfunc, CUfunc_cache config)
{
	struct cu_func *f;
	CUresult r = func_get(hfunc, &f);

	if (r != CUDA_SUCCESS)
		return r;
	if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
		return CUDA_ERROR_INVALID_VALUE;
	return func_set(f, FUNC_CACHE_CONFIG, (int)config);
}

/* Banks cannot be configured since Maxwell: checked, without effect. */
CUresult impl_cuFuncSetSharedMemConfig(CUfunction hfunc, CUsharedconfig config)
{
	struct cu_func *f;

	if ((unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
		return CUDA_ERROR_INVALID_VALUE;
	return func_get(hfunc, &f);
}

CUresult impl_cuFuncGetModule(CUmodule *hmod, CUfunction hfunc)
{
	struct cu_func *f;
	CUresult r;

	if (!hmod)
		return CUDA_ERROR_INVALID_VALUE;
	r = func_get(hfunc, &f);
	if (r == CUDA_SUCCESS)
		*hmod = (CUmodule)f->module;
	return r;
}

CUresult impl_cuFuncGetName(const char **name, CUfunction hfunc)
{
	struct cu_func *f;
	CUresult r;

	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	r = func_get(hfunc, &f);
	if (r == CUDA_SUCCESS)
		*name = f->name;
	return r;
}

CUresult impl_cuFuncGetParamInfo(CUfunction func, size_t paramIndex, size_t *paramOffset,
				 size_t *paramSize)
{
	struct cu_func *f;
	CUresult r;

	if (!paramOffset)
		return CUDA_ERROR_INVALID_VALUE;
	r = func_get(func, &f);
	return r == CUDA_SUCCESS ? func_param(f, paramIndex, paramOffset, paramSize) : r;
}

CUresult impl_cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction function)
{
	struct cu_func *f;
	CUresult r;

	if (!state)
		return CUDA_ERROR_INVALID_VALUE;
	r = func_get(function, &f);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&f->lock);
	*state = f->info_known ? CU_FUNCTION_LOADING_STATE_LOADED
			       : CU_FUNCTION_LOADING_STATE_UNLOADED;
	pthread_mutex_unlock(&f->lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuFuncLoad(CUfunction function)
{
	struct vgpu_func_info info;
	struct cu_func *f;
	CUresult r = func_get(function, &f);

	return r == CUDA_SUCCESS ? func_info(f, &info) : r;
}

/* SPDX-License-Identifier: MIT */
/*
 * launch_old.c - the launch API before CUDA 4: shape and parameters are set on the function, one by
 * one, and stay there.
 */
#include <stdlib.h>
#include <string.h>

#include "libcuda/impl/impl.h"
#include "libcuda/impl/launch.h"

/* Returns with f->lock held, or an error. */
static CUresult old_lock(CUfunction handle, struct cu_func **ret_func)
{
	struct cu_func *f;
	CUresult r = func_get(handle, &f);

	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&f->lock);
	if (!f->old) {
		f->old = calloc(1, sizeof(*f->old));
		if (!f->old) {
			pthread_mutex_unlock(&f->lock);
			return CUDA_ERROR_OUT_OF_MEMORY;
		}
		f->old->block[0] = f->old->block[1] = f->old->block[2] = 1;
	}
	*ret_func = f;
	return CUDA_SUCCESS;
}

CUresult impl_cuFuncSetBlockShape(CUfunction hfunc, int x, int y, int z)
{
	struct cu_func *f;
	CUresult r;

	if (x <= 0 || y <= 0 || z <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	r = old_lock(hfunc, &f);
	if (r != CUDA_SUCCESS)
		return r;
	f->old->block[0] = (unsigned)x;
	f->old->block[1] = (unsigned)y;
	f->old->block[2] = (unsigned)z;
	pthread_mutex_unlock(&f->lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuFuncSetSharedSize(CUfunction hfunc, unsigned int bytes)
{
	struct cu_func *f;
	CUresult r = old_lock(hfunc, &f);

	if (r != CUDA_SUCCESS)
		return r;
	f->old->shared_bytes = bytes;
	pthread_mutex_unlock(&f->lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuParamSetSize(CUfunction hfunc, unsigned int numbytes)
{
	struct cu_func *f;
	CUresult r;

	if (numbytes > sizeof(f->old->params))
		return CUDA_ERROR_INVALID_VALUE;
	r = old_lock(hfunc, &f);
	if (r != CUDA_SUCCESS)
		return r;
	f->old->param_bytes = numbytes;
	pthread_mutex_unlock(&f->lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuParamSetv(CUfunction hfunc, int offset, void *ptr, unsigned int numbytes)
{
	struct cu_func *f;
	CUresult r;

	if (offset < 0 || (!ptr && numbytes) || numbytes > sizeof(f->old->params) ||
	    (size_t)offset > sizeof(f->old->params) - numbytes)
		return CUDA_ERROR_INVALID_VALUE;
	r = old_lock(hfunc, &f);
	if (r != CUDA_SUCCESS)
		return r;
	if (numbytes)
		memcpy(f->old->params + offset, ptr, numbytes);
	pthread_mutex_unlock(&f->lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuParamSeti(CUfunction hfunc, int offset, unsigned int value)
{
	return impl_cuParamSetv(hfunc, offset, &value, sizeof(value));
}

CUresult impl_cuParamSetf(CUfunction hfunc, int offset, float value)
{
	return impl_cuParamSetv(hfunc, offset, &value, sizeof(value));
}

CUresult impl_cuLaunchGridAsync(CUfunction hfunc, int grid_width, int grid_height, CUstream hStream)
{
	struct launch l = { .grid = { (unsigned)grid_width, (unsigned)grid_height, 1 },
			    .stream = hStream };
	struct func_old old;
	struct cu_func *f;
	CUresult r;

	if (grid_width <= 0 || grid_height <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	r = old_lock(hfunc, &f);
	if (r != CUDA_SUCCESS)
		return r;
	old = *f->old;
	pthread_mutex_unlock(&f->lock);
	memcpy(l.block, old.block, sizeof(l.block));
	l.shared_bytes = old.shared_bytes;
	l.block_of_params = old.params;
	l.block_bytes = old.param_bytes;
	return launch_func(f, &l);
}

CUresult impl_cuLaunchGrid(CUfunction f, int grid_width, int grid_height)
{
	return impl_cuLaunchGridAsync(f, grid_width, grid_height, NULL);
}

CUresult impl_cuLaunch(CUfunction f)
{
	return impl_cuLaunchGridAsync(f, 1, 1, NULL);
}

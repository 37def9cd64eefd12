/* SPDX-License-Identifier: MIT */
/* primary.c - the context that all users of a device share: counted, made with the first retain. */
#include "libcuda/core/ctx.h"
#include "libcuda/impl/primary.h"
#include "libcuda/impl/impl.h"

CUresult cu_primary_handle(struct cu_device *dev, struct cu_ctx **ret_ctx)
{
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&dev->primary_lock);
	if (!dev->primary)
		r = cu_ctx_create(dev, dev->primary_flags, true, &dev->primary);
	if (r == CUDA_SUCCESS)
		*ret_ctx = dev->primary;
	pthread_mutex_unlock(&dev->primary_lock);
	return r;
}

CUresult impl_cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);
	struct cu_ctx *ctx;
	CUresult r;

	if (!pctx)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	r = cu_primary_handle(d, &ctx);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&d->primary_lock);
	if (!ctx->active) {
		ctx->flags = d->primary_flags;
		r = cu_ctx_activate(ctx);
	}
	if (r == CUDA_SUCCESS) {
		d->primary_refs++;
		*pctx = (CUcontext)ctx;
	}
	pthread_mutex_unlock(&d->primary_lock);
	return r;
}

CUresult impl_cuDevicePrimaryCtxRelease_v2(CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);
	CUresult r = CUDA_SUCCESS;

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&d->primary_lock);
	if (!d->primary_refs)
		r = CUDA_ERROR_INVALID_CONTEXT;
	else if (!--d->primary_refs)
		cu_ctx_deactivate(d->primary);
	pthread_mutex_unlock(&d->primary_lock);
	return r;
}

CUresult impl_cuDevicePrimaryCtxRelease(CUdevice dev)
{
	return impl_cuDevicePrimaryCtxRelease_v2(dev);
}

CUresult impl_cuDevicePrimaryCtxReset_v2(CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&d->primary_lock);
	if (d->primary)
		cu_ctx_deactivate(d->primary);
	d->primary_refs = 0;
	d->primary_flags = 0;
	pthread_mutex_unlock(&d->primary_lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuDevicePrimaryCtxReset(CUdevice dev)
{
	return impl_cuDevicePrimaryCtxReset_v2(dev);
}

CUresult impl_cuDevicePrimaryCtxGetState(CUdevice dev, unsigned int *flags, int *active)
{
	struct cu_device *d = cu_device_get(dev);

	if (!flags || !active)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&d->primary_lock);
	*active = d->primary && d->primary->active;
	*flags = d->primary_flags;
	pthread_mutex_unlock(&d->primary_lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuDevicePrimaryCtxSetFlags_v2(CUdevice dev, unsigned int flags)
{
	struct cu_device *d = cu_device_get(dev);

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	if (!cu_ctx_flags_valid(flags))
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&d->primary_lock);
	d->primary_flags = flags;
	if (d->primary)
		d->primary->flags = flags;
	pthread_mutex_unlock(&d->primary_lock);
	return CUDA_SUCCESS;
}

/* The old one may not change a context that is active. */
CUresult impl_cuDevicePrimaryCtxSetFlags(CUdevice dev, unsigned int flags)
{
	struct cu_device *d = cu_device_get(dev);
	bool active;

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&d->primary_lock);
	active = d->primary && d->primary->active;
	pthread_mutex_unlock(&d->primary_lock);
	return active ? CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE
		      : impl_cuDevicePrimaryCtxSetFlags_v2(dev, flags);
}

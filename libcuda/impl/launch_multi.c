/* SPDX-License-Identifier: MIT */
/*
 * launch_multi.c - one cooperative kernel on several devices.
 *
 * What the call promises is order: no grid starts before all that the streams hold is done, and what comes later in any
 * of them follows all grids. Blocks of different devices do not meet inside the kernel: what CUDA 9 to 11 had for that
 * (multi_grid_group, gone since) is not built.
 */
#include <string.h>

#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/launch.h"
#include "libcuda/impl/queue.h"
#include "libcuda/link/link.h"

#define KNOWN_FLAGS                                                                                \
	(CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_PRE_LAUNCH_SYNC |                                 \
	 CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_POST_LAUNCH_SYNC)

/** One device's part. */
struct part {
	struct cu_stream *stream;
	struct cu_func *func;
	struct launch launch;
};

/* A kernel without a context takes that of the stream. */
static CUresult get_func(CUfunction handle, struct cu_ctx *ctx, struct cu_func **ret_func)
{
	if (cu_handle_kind(handle) == CU_KIND_KERNEL)
		return kernel_func((struct cu_kernel *)handle, ctx, ret_func);
	return func_get(handle, ret_func);
}

static CUresult get_part(const CUDA_LAUNCH_PARAMS *p, struct part *ret)
{
	bool capturing;
	CUresult r;

	if (!p->hStream || p->hStream == CU_STREAM_LEGACY || p->hStream == CU_STREAM_PER_THREAD)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(p->hStream, &ret->stream);
	if (r == CUDA_SUCCESS)
		r = capture_check(ret->stream, &capturing);
	if (r == CUDA_SUCCESS && capturing)
		r = capture_refuse(ret->stream);
	if (r == CUDA_SUCCESS)
		r = get_func(p->function, ret->stream->ctx, &ret->func);
	if (r != CUDA_SUCCESS)
		return r;
	if (ret->func->module->ctx != ret->stream->ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	ret->launch = (struct launch){
		.grid = { p->gridDimX, p->gridDimY, p->gridDimZ },
		.block = { p->blockDimX, p->blockDimY, p->blockDimZ },
		.shared_bytes = p->sharedMemBytes,
		.cooperative = true,
		.stream = p->hStream,
		.params = p->kernelParams,
	};
	return launch_check(ret->func, &ret->launch, NULL);
}

/* The same kernel in the same shape, each on a device of its own. */
static CUresult check_match(const struct part *part, unsigned n)
{
	const struct launch *a = &part[0].launch, *b;

	for (unsigned i = 1; i < n; i++) {
		b = &part[i].launch;
		if (strcmp(part[i].func->name, part[0].func->name) ||
		    memcmp(a->grid, b->grid, sizeof(a->grid)) ||
		    memcmp(a->block, b->block, sizeof(a->block)) ||
		    a->shared_bytes != b->shared_bytes)
			return CUDA_ERROR_INVALID_VALUE;
		for (unsigned k = 0; k < i; k++)
			if (part[k].stream->ctx->dev == part[i].stream->ctx->dev)
				return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

/* What comes next in each stream follows all that is in all of them. */
static CUresult meet(const struct part *part, unsigned n)
{
	uint64_t seq[VGPU_MAX_DEVICES];
	struct queue *q, *other;
	int err = 0;

	for (unsigned i = 0; i < n; i++)
		seq[i] = link_submitted(queue_of(part[i].stream)->link);
	for (unsigned i = 0; i < n && !err; i++) {
		q = queue_of(part[i].stream);
		for (unsigned k = 0; k < n && !err; k++) {
			other = queue_of(part[k].stream);
			if (k != i)
				err = queue_follow(q, other, seq[k]);
		}
	}
	return cu_from_errno(err);
}

CUresult impl_cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS *launchParamsList,
						   unsigned int numDevices, unsigned int flags)
{
	struct part part[VGPU_MAX_DEVICES];
	CUresult r = CUDA_SUCCESS;

	if (!launchParamsList || !numDevices || numDevices > VGPU_MAX_DEVICES ||
	    (flags & ~(unsigned)KNOWN_FLAGS))
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < numDevices && r == CUDA_SUCCESS; i++)
		r = get_part(&launchParamsList[i], &part[i]);
	if (r == CUDA_SUCCESS)
		r = check_match(part, numDevices);
	if (r == CUDA_SUCCESS && !(flags & CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_PRE_LAUNCH_SYNC))
		r = meet(part, numDevices);
	for (unsigned i = 0; i < numDevices && r == CUDA_SUCCESS; i++)
		r = launch_func(part[i].func, &part[i].launch);
	if (r == CUDA_SUCCESS &&
	    !(flags & CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_POST_LAUNCH_SYNC))
		r = meet(part, numDevices);
	return r;
}

/* SPDX-License-Identifier: MIT */
/*
 * profiler.c - cuProfilerStart and cuProfilerStop. They mark a range for a profiler; with none
 * attached they have no effect on hardware either. The old configuration call is refused, as
 * drivers do now.
 */
#include "libcuda/core/ctx.h"
#include "libcuda/impl/impl.h"

CUresult impl_cuProfilerInitialize(const char *configFile, const char *outputFile,
				   CUoutput_mode outputMode)
{
	return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult impl_cuProfilerStart(void)
{
	struct cu_ctx *ctx;

	return cu_ctx_current(&ctx);
}

CUresult impl_cuProfilerStop(void)
{
	struct cu_ctx *ctx;

	return cu_ctx_current(&ctx);
}

/* SPDX-License-Identifier: MIT */
/*
 * memory.c - device and managed memory: allocation, and what of it a context takes along when it
 * goes.
 */
#include <errno.h>

#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/array.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/external.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/hints.h"
#include "libcuda/impl/hostmem.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/ipc.h"
#include "libcuda/impl/place.h"
#include "libcuda/impl/pool.h"
#include "libcuda/impl/staging.h"
#include "libcuda/impl/texture.h"

#define PITCH_ALIGN 512
#define PAGE	    4096ull

/* ---- ranges --------------------------------------------------------------------------------- */

int cu_memory_add(struct cu_ctx *ctx, enum link_kind kind, uint64_t va, uint64_t size,
		  uint64_t arena_off, unsigned flags)
{
	struct link_dev *dev = ctx->dev->link;
	struct link_range r = {
		.va = va,
		.size = size,
		.kind = kind,
		.flags = flags,
		.dev = dev,
		.ctx = ctx,
		.arena_off = arena_off,
		.worker_visible = true,
	};

	if (kind == LINK_PINNED || kind == LINK_MANAGED)
		r.host = (void *)(uintptr_t)va;
	else if (dev->arena && arena_off <= dev->arena_bytes &&
		 size <= dev->arena_bytes - arena_off)
		r.host = dev->arena + arena_off;
	return link_map_add(&dev->link->ranges, &r);
}

void cu_memory_remove(uint64_t va)
{
	link_map_remove(&cu_link()->ranges, va, NULL);
}

static void free_in_worker(struct link_dev *dev, uint64_t va)
{
	struct vgpu_mem_free req = { .va = va };
	int r = link_call(dev, VGPU_OP_MEM_FREE, &req, sizeof(req));

	if (r < 0 && r != -ENODEV)
		cu_log(CU_LOG_ERROR, "freeing 0x%llx: error %d", (unsigned long long)va, -r);
}

void cu_memory_ctx_fini(struct cu_ctx *ctx)
{
	struct link *l = cu_link();
	struct link_range r;
	uint64_t at = 0;

	staging_fini(ctx);
	texture_ctx_fini(ctx);
	pool_ctx_fini(ctx);
	while (!link_map_next(&l->ranges, at, &r)) {
		at = r.va + r.size;
		if (r.ctx != ctx)
			continue;
		/* The worker gives its part back with the context. */
		link_map_remove(&l->ranges, r.va, NULL);
		if (r.kind == LINK_MANAGED)
			cu_hints_forget(r.va, r.size);
		if (r.kind == LINK_PINNED || r.kind == LINK_MANAGED)
			link_pages_unmap(l, r.va, (r.size + PAGE - 1) & ~(PAGE - 1));
		else if (r.kind == LINK_REGISTERED)
			cu_hostmem_unregister(&r);
		else if (r.kind == LINK_ARRAY)
			cu_array_forget(r.object);
		else if (r.kind == LINK_IPC)
			cu_ipc_forget(r.object);
	}
}

/* ---- entry points --------------------------------------------------------------------------- */

CUresult impl_cuMemGetInfo_v2(size_t *free, size_t *total)
{
	struct vgpu_mem_info info = { 0 };
	struct cu_device *dev;
	struct cu_ctx *ctx;
	CUresult r;
	int err;

	if (!free || !total)
		return CUDA_ERROR_INVALID_VALUE;
	/* Allowed without a context and before cuInit: the first device then. */
	r = cu_process_devices();
	if (r != CUDA_SUCCESS)
		return r;
	dev = cu_ctx_current(&ctx) == CUDA_SUCCESS ? ctx->dev : cu_device_get(0);
	if (!dev)
		return CUDA_ERROR_NO_DEVICE;
	err = link_call(dev->link, VGPU_OP_MEM_INFO, &info, sizeof(info));
	if (err < 0)
		return cu_from_errno(err);
	*free = info.free;
	*total = info.total;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)
{
	struct vgpu_mem_alloc req = { .kind = VGPU_MEM_DEVICE, .size = bytesize };
	struct cu_ctx *ctx;
	CUresult r;
	int err;

	if (!dptr || !bytesize)
		return CUDA_ERROR_INVALID_VALUE;
	r = capture_unsafe();
	if (r == CUDA_SUCCESS)
		r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	req.ctx = ctx->ctx;
	err = link_call(ctx->dev->link, VGPU_OP_MEM_ALLOC, &req, sizeof(req));
	if (err < 0)
		return cu_from_errno(err);
	err = cu_memory_add(ctx, LINK_DEVICE, req.va, bytesize, req.arena_off, 0);
	if (err < 0) {
		free_in_worker(ctx->dev->link, req.va);
		return cu_from_errno(err);
	}
	*dptr = req.va;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemAllocPitch_v2(CUdeviceptr *dptr, size_t *pPitch, size_t WidthInBytes,
				 size_t Height, unsigned int ElementSizeBytes)
{
	size_t pitch, bytes;
	CUresult r;

	if (!dptr || !pPitch || !WidthInBytes || !Height)
		return CUDA_ERROR_INVALID_VALUE;
	if (ElementSizeBytes != 4 && ElementSizeBytes != 8 && ElementSizeBytes != 16)
		return CUDA_ERROR_INVALID_VALUE;
	if (WidthInBytes > SIZE_MAX - PITCH_ALIGN)
		return CUDA_ERROR_INVALID_VALUE;
	pitch = (WidthInBytes + PITCH_ALIGN - 1) & ~(size_t)(PITCH_ALIGN - 1);
	if (__builtin_mul_overflow(pitch, Height, &bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = impl_cuMemAlloc_v2(dptr, bytes);
	if (r == CUDA_SUCCESS)
		*pPitch = pitch;
	return r;
}

CUresult impl_cuMemAllocManaged(CUdeviceptr *dptr, size_t bytesize, unsigned int flags)
{
	struct vgpu_mem_alloc req = { .kind = VGPU_MEM_MANAGED, .align = PAGE };
	struct link *l;
	struct cu_ctx *ctx;
	CUresult r;
	int err;

	if (!dptr || !bytesize || bytesize > SIZE_MAX - PAGE ||
	    (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
		return CUDA_ERROR_INVALID_VALUE;
	r = capture_unsafe();
	if (r == CUDA_SUCCESS)
		r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	l = ctx->dev->link->link;
	/* Both sides must see the same pages. */
	if (l->host_fd < 0)
		return CUDA_ERROR_NOT_SUPPORTED;
	req.ctx = ctx->ctx;
	req.size = (bytesize + PAGE - 1) & ~(PAGE - 1);
	err = link_call(ctx->dev->link, VGPU_OP_MEM_ALLOC, &req, sizeof(req));
	if (err < 0)
		return cu_from_errno(err);
	err = link_pages_map_host(l, req.va, (bytesize + PAGE - 1) & ~(PAGE - 1), req.arena_off);
	if (!err) {
		err = cu_memory_add(ctx, LINK_MANAGED, req.va, bytesize, req.arena_off, flags);
		if (err < 0)
			link_pages_unmap(l, req.va, (bytesize + PAGE - 1) & ~(PAGE - 1));
	}
	if (err < 0) {
		free_in_worker(ctx->dev->link, req.va);
		return cu_from_errno(err);
	}
	*dptr = req.va;
	return CUDA_SUCCESS;
}

/* A module's managed variable has no such flag, and goes with its module. */
static bool is_allocation(const struct link_range *r)
{
	return r->kind == LINK_DEVICE || (r->kind == LINK_MANAGED &&
					  (r->flags & (CU_MEM_ATTACH_GLOBAL | CU_MEM_ATTACH_HOST)));
}

CUresult impl_cuMemFree_v2(CUdeviceptr dptr)
{
	struct link *l = cu_link();
	struct link_range r;
	CUresult error;

	if (!dptr)
		return CUDA_SUCCESS;
	if (external_free(dptr, &error))
		return error;
	if (link_map_find(&l->ranges, dptr, &r) < 0 || r.va != dptr)
		return CUDA_ERROR_INVALID_VALUE;
	if (r.kind == LINK_POOL)
		return pool_free(dptr, NULL); /* the manual: without any wait */
	if (r.kind == LINK_GRAPH)
		return graph_mem_free(dptr);
	if (r.kind == LINK_IPC)
		return cu_ipc_close(dptr, true);
	if (!is_allocation(&r))
		return CUDA_ERROR_INVALID_VALUE;

	error = capture_unsafe();
	if (error != CUDA_SUCCESS)
		return error;
	/* What is queued may still use it. */
	error = cu_stream_sync_ctx(r.ctx);
	if (link_map_remove(&l->ranges, dptr, &r) < 0)
		return CUDA_ERROR_INVALID_VALUE; /* another thread was faster */
	if (r.kind == LINK_MANAGED) {
		link_pages_unmap(l, r.va, (r.size + PAGE - 1) & ~(PAGE - 1));
		cu_hints_forget(r.va, r.size);
	}
	free_in_worker(r.dev, r.va);
	return error;
}

CUresult impl_cuMemGetAddressRange_v2(CUdeviceptr *pbase, size_t *psize, CUdeviceptr dptr)
{
	struct link *l = cu_link();
	struct link_range r;

	if (link_map_find(&l->ranges, dptr, &r) < 0 || r.kind == LINK_REGISTERED)
		return CUDA_ERROR_NOT_FOUND;
	if (pbase)
		*pbase = r.va;
	if (psize)
		*psize = r.size;
	return CUDA_SUCCESS;
}

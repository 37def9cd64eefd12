/* SPDX-License-Identifier: MIT */
/*
 * copy.c - linear copies.
 *
 * Who moves the bytes:
 *   both sides known to the worker     a command, in stream order; small ones by the client itself
 * when the stream has nothing to do, since waking the worker costs more pageable to device, stream
 * busy    through a staging buffer if small, else after waiting all else the client, when the
 * streams to be respected are idle
 *
 * "Synchronous" is what the manual's table of synchronisation behaviour says: copies between device
 * memory return at once.
 */
#include <errno.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/copy.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/staging.h"

#define BY_HAND_BYTES (256u << 10)

static bool is_host_memory(const struct place *p)
{
	return !p->device || p->range.kind == LINK_PINNED || p->range.kind == LINK_REGISTERED;
}

/* Does the place fit what the entry point's name says? */
static bool fits(const struct place *p, enum copy_side side)
{
	return side != COPY_DEVICE || p->device;
}

static CUresult by_command(struct queue *q, uint64_t dst, uint64_t src, uint64_t bytes, bool wait)
{
	struct vgpu_cmd_copy cmd = {
		.head = { .op = VGPU_CMD_COPY, .bytes = sizeof(cmd) },
		.dst = dst,
		.src = src,
		.bytes = bytes,
	};
	struct cu_ctx *ctx = q->ctx;
	uint64_t seq;
	int r;

	r = queue_submit(q, &cmd.head, &seq);
	if (r < 0)
		return cu_from_errno(r);
	return wait ? queue_result(ctx, queue_wait(q, seq)) : CUDA_SUCCESS;
}

static CUresult by_hand(struct queue *q, uint64_t dst, uint64_t src, uint64_t bytes)
{
	CUresult r = queue_result(q->ctx, queue_quiesce(q));

	return r == CUDA_SUCCESS ? cu_from_errno(place_copy(dst, src, bytes)) : r;
}

static void set_side(enum copy_side side, uint64_t va, CUmemorytype *type, CUdeviceptr *device)
{
	*type = side == COPY_DEVICE ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_UNIFIED;
	*device = va;
}

static CUresult capture(struct cu_stream *s, uint64_t dst, enum copy_side dst_side, uint64_t src,
			enum copy_side src_side, uint64_t bytes)
{
	CUDA_MEMCPY3D p = { .WidthInBytes = bytes, .Height = 1, .Depth = 1 };
	struct graph_work w;
	CUresult r;

	if (dst_side == COPY_HOST) {
		p.dstMemoryType = CU_MEMORYTYPE_HOST;
		p.dstHost = (void *)(uintptr_t)dst;
	} else {
		set_side(dst_side, dst, &p.dstMemoryType, &p.dstDevice);
	}
	if (src_side == COPY_HOST) {
		p.srcMemoryType = CU_MEMORYTYPE_HOST;
		p.srcHost = (const void *)(uintptr_t)src;
	} else {
		set_side(src_side, src, &p.srcMemoryType, &p.srcDevice);
	}
	r = graph_work_memcpy(&p, (CUcontext)s->ctx, &w);
	return r == CUDA_SUCCESS ? capture_add(s, &w) : r;
}

CUresult cu_copy_linear(uint64_t dst, enum copy_side dst_side, uint64_t src,
			enum copy_side src_side, uint64_t bytes, CUstream stream, bool async)
{
	struct place d, s;
	struct cu_stream *st;
	struct queue *q;
	bool device_only, capturing;
	CUresult r;
	int err;

	r = cu_stream_get(stream, &st);
	if (r == CUDA_SUCCESS)
		r = async ? capture_check(st, &capturing) : capture_refuse(st);
	if (r != CUDA_SUCCESS)
		return r;
	if (!bytes)
		return CUDA_SUCCESS;
	if (async && capturing)
		return capture(st, dst, dst_side, src, src_side, bytes);
	if (!dst || !src || place_find(dst, bytes, &d) < 0 || place_find(src, bytes, &s) < 0 ||
	    !fits(&d, dst_side) || !fits(&s, src_side) || d.read_only)
		return CUDA_ERROR_INVALID_VALUE;
	q = queue_of(st);

	if (d.worker_visible && s.worker_visible) {
		device_only = !is_host_memory(&d) && !is_host_memory(&s);
		if (bytes <= BY_HAND_BYTES && place_moves_fast(&d, &s) && queue_idle(q) == 1)
			return by_hand(q, dst, src, bytes);
		if (async || device_only)
			return by_command(q, dst, src, bytes, false);
		/* The program waits in any case; this side of the arena is as good as that one. */
		if (place_moves_fast(&d, &s))
			return by_hand(q, dst, src, bytes);
		return by_command(q, dst, src, bytes, true);
	}
	if (async && d.worker_visible && s.host && bytes <= STAGING_BYTES && queue_idle(q) == 0) {
		err = staging_copy(q, dst, s.host, bytes);
		if (err)
			return err < 0 ? cu_from_errno(err) : CUDA_SUCCESS;
	}
	return by_hand(q, dst, src, bytes);
}

/* ---- entry points --------------------------------------------------------------------------- */

#define H(p) ((uint64_t)(uintptr_t)(p))

CUresult impl_cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount)
{
	return cu_copy_linear(dst, COPY_UNIFIED, src, COPY_UNIFIED, ByteCount, NULL, false);
}

CUresult impl_cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount, CUstream hStream)
{
	return cu_copy_linear(dst, COPY_UNIFIED, src, COPY_UNIFIED, ByteCount, hStream, true);
}

CUresult impl_cuMemcpyHtoD_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount)
{
	return cu_copy_linear(dstDevice, COPY_DEVICE, H(srcHost), COPY_HOST, ByteCount, NULL,
			      false);
}

CUresult impl_cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount,
				   CUstream hStream)
{
	return cu_copy_linear(dstDevice, COPY_DEVICE, H(srcHost), COPY_HOST, ByteCount, hStream,
			      true);
}

CUresult impl_cuMemcpyDtoH_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount)
{
	return cu_copy_linear(H(dstHost), COPY_HOST, srcDevice, COPY_DEVICE, ByteCount, NULL,
			      false);
}

CUresult impl_cuMemcpyDtoHAsync_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount,
				   CUstream hStream)
{
	return cu_copy_linear(H(dstHost), COPY_HOST, srcDevice, COPY_DEVICE, ByteCount, hStream,
			      true);
}

CUresult impl_cuMemcpyDtoD_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount)
{
	return cu_copy_linear(dstDevice, COPY_DEVICE, srcDevice, COPY_DEVICE, ByteCount, NULL,
			      false);
}

CUresult impl_cuMemcpyDtoDAsync_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount,
				   CUstream hStream)
{
	return cu_copy_linear(dstDevice, COPY_DEVICE, srcDevice, COPY_DEVICE, ByteCount, hStream,
			      true);
}

/* All devices of a process are one worker's: a copy between them is a copy. */
static CUresult check_contexts(CUcontext a, CUcontext b)
{
	if (!cu_handle_get(a, CU_KIND_CTX) || !cu_handle_get(b, CU_KIND_CTX))
		return CUDA_ERROR_INVALID_CONTEXT;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemcpyPeer(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice,
			   CUcontext srcContext, size_t ByteCount)
{
	CUresult r = check_contexts(dstContext, srcContext);

	return r != CUDA_SUCCESS ? r : impl_cuMemcpyDtoD_v2(dstDevice, srcDevice, ByteCount);
}

CUresult impl_cuMemcpyPeerAsync(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice,
				CUcontext srcContext, size_t ByteCount, CUstream hStream)
{
	CUresult r = check_contexts(dstContext, srcContext);

	return r != CUDA_SUCCESS
		       ? r
		       : impl_cuMemcpyDtoDAsync_v2(dstDevice, srcDevice, ByteCount, hStream);
}

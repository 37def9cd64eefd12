/* SPDX-License-Identifier: MIT */
/*
 * rect.c - 2D and 3D copies: the descriptors checked, then one command or rows by hand.
 *
 * An array is a side whose pitch and height are known.
 */
#include <errno.h>
#include <stdlib.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/array.h"
#include "libcuda/impl/callback.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/copy.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"

/* One side after the descriptor has been read; byte 0 of row (z, y) is at base + (z * height + y) *
 * pitch. */
struct side {
	uint64_t base, pitch, height;
	enum copy_side kind;
	const struct cu_array *array; /* NULL: plain memory */
	struct place place;
};

struct rect {
	struct side dst, src;
	uint64_t width, height, depth;
};

static CUresult memory_side(CUmemorytype type, const void *host, CUdeviceptr device, CUarray array,
			    struct side *ret)
{
	struct cu_array *a;
	CUresult r;

	switch (type) {
	case CU_MEMORYTYPE_HOST:
		ret->kind = COPY_HOST;
		ret->base = (uint64_t)(uintptr_t)host;
		return CUDA_SUCCESS;
	case CU_MEMORYTYPE_DEVICE:
		ret->kind = COPY_DEVICE;
		ret->base = device;
		return CUDA_SUCCESS;
	case CU_MEMORYTYPE_UNIFIED:
		ret->kind = COPY_UNIFIED;
		ret->base = device;
		return CUDA_SUCCESS;
	case CU_MEMORYTYPE_ARRAY:
		r = cu_array_get(array, &a);
		if (r != CUDA_SUCCESS)
			return r;
		ret->kind = COPY_DEVICE;
		ret->array = a;
		ret->base = a->va;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static bool inside(uint64_t at, uint64_t n, uint64_t most)
{
	return at <= most && n <= most - at;
}

/* The box must lie in the array, and begin and end between texels. */
static CUresult settle_array(struct side *s, const struct rect *c, uint64_t x, uint64_t y,
			     uint64_t z)
{
	const struct cu_array *a = s->array;

	if (x % a->texel || c->width % a->texel)
		return CUDA_ERROR_INVALID_VALUE;
	if (!inside(x, c->width, (uint64_t)a->width * a->texel) ||
	    !inside(y, c->height, a->height) || !inside(z, c->depth, a->depth))
		return CUDA_ERROR_INVALID_VALUE;
	s->pitch = a->pitch;
	s->height = a->height;
	return CUDA_SUCCESS;
}

/* Applies offsets and defaults, and finds the memory. @x, @y, @z: where in the side the box starts.
 */
static CUresult settle(struct side *s, const struct rect *c, uint64_t x, uint64_t y, uint64_t z)
{
	uint64_t row, rows, bytes;

	if (!s->base)
		return CUDA_ERROR_INVALID_VALUE;
	if (s->array && settle_array(s, c, x, y, z) != CUDA_SUCCESS)
		return CUDA_ERROR_INVALID_VALUE;
	/* 0 means tightly packed. */
	if (!s->pitch)
		s->pitch = c->width + x;
	if (!s->height)
		s->height = c->height + y;
	if (s->pitch < c->width || x > s->pitch - c->width)
		return CUDA_ERROR_INVALID_VALUE;
	if (c->depth > 1 && s->height < c->height)
		return CUDA_ERROR_INVALID_VALUE;
	if (__builtin_mul_overflow(z, s->height, &row) || __builtin_add_overflow(row, y, &row) ||
	    __builtin_mul_overflow(row, s->pitch, &row) || __builtin_add_overflow(row, x, &row) ||
	    __builtin_add_overflow(s->base, row, &s->base))
		return CUDA_ERROR_INVALID_VALUE;
	if (__builtin_mul_overflow(c->depth - 1, s->height, &rows) ||
	    __builtin_add_overflow(rows, c->height - 1, &rows) ||
	    __builtin_mul_overflow(rows, s->pitch, &bytes) ||
	    __builtin_add_overflow(bytes, c->width, &bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (place_find(s->base, bytes, &s->place) < 0 ||
	    (s->kind == COPY_DEVICE && !s->place.device))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult by_command(struct queue *q, const struct rect *c, bool wait)
{
	struct vgpu_cmd_copy_rect cmd = {
		.head = { .op = VGPU_CMD_COPY_RECT, .bytes = sizeof(cmd) },
		.dst = c->dst.base,
		.dst_pitch = c->dst.pitch,
		.dst_height = c->dst.height,
		.src = c->src.base,
		.src_pitch = c->src.pitch,
		.src_height = c->src.height,
		.width = c->width,
		.height = c->height,
		.depth = c->depth,
	};
	struct cu_ctx *ctx = q->ctx;
	uint64_t seq;
	int r = queue_submit(q, &cmd.head, &seq);

	if (r < 0)
		return cu_from_errno(r);
	return wait ? queue_result(ctx, queue_wait(q, seq)) : CUDA_SUCCESS;
}

static uint64_t row_at(const struct side *s, uint64_t z, uint64_t y)
{
	return s->base + (z * s->height + y) * s->pitch;
}

static int copy_rows(const struct rect *c)
{
	int err = 0;

	for (uint64_t z = 0; z < c->depth && !err; z++) {
		if (c->width == c->dst.pitch && c->width == c->src.pitch) {
			err = place_copy(row_at(&c->dst, z, 0), row_at(&c->src, z, 0),
					 c->width * c->height);
			continue;
		}
		for (uint64_t y = 0; y < c->height && !err; y++)
			err = place_copy(row_at(&c->dst, z, y), row_at(&c->src, z, y), c->width);
	}
	return err;
}

static CUresult by_hand(struct queue *q, const struct rect *c)
{
	CUresult r = queue_result(q->ctx, queue_quiesce(q));

	return r == CUDA_SUCCESS ? cu_from_errno(copy_rows(c)) : r;
}

static CUresult run(const struct rect *c, struct queue *q, bool async)
{
	if (c->dst.place.worker_visible && c->src.place.worker_visible)
		return by_command(q, c, !async);
	return by_hand(q, c);
}

static bool is_empty(const struct rect *c)
{
	return !c->width || !c->height || !c->depth;
}

/* CUDA_MEMCPY3D as the general case; 2D is a box of depth 1. An empty one has no sides. */
static CUresult read_descriptor(const CUDA_MEMCPY3D *p, struct rect *c)
{
	CUresult r;

	*c = (struct rect){ .width = p->WidthInBytes, .height = p->Height, .depth = p->Depth };
	if (p->srcLOD || p->dstLOD)
		return CUDA_ERROR_INVALID_VALUE;
	r = memory_side(p->dstMemoryType, p->dstHost, p->dstDevice, p->dstArray, &c->dst);
	if (r == CUDA_SUCCESS)
		r = memory_side(p->srcMemoryType, p->srcHost, p->srcDevice, p->srcArray, &c->src);
	if (r != CUDA_SUCCESS || is_empty(c))
		return r;
	c->dst.pitch = p->dstPitch;
	c->dst.height = p->dstHeight;
	c->src.pitch = p->srcPitch;
	c->src.height = p->srcHeight;
	r = settle(&c->dst, c, p->dstXInBytes, p->dstY, p->dstZ);
	if (r == CUDA_SUCCESS && c->dst.place.read_only)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = settle(&c->src, c, p->srcXInBytes, p->srcY, p->srcZ);
	return r;
}

CUresult cu_copy_3d(const CUDA_MEMCPY3D *p, CUstream stream, bool async)
{
	bool capturing = false;
	struct graph_work w;
	struct cu_stream *s;
	struct rect c;
	CUresult r;

	r = read_descriptor(p, &c);
	if (r != CUDA_SUCCESS || is_empty(&c))
		return r;
	r = cu_stream_get(stream, &s);
	if (r == CUDA_SUCCESS)
		r = async ? capture_check(s, &capturing) : capture_refuse(s);
	if (r != CUDA_SUCCESS)
		return r;
	if (!capturing)
		return run(&c, queue_of(s), async);
	r = graph_work_memcpy(p, (CUcontext)s->ctx, &w);
	return r == CUDA_SUCCESS ? capture_add(s, &w) : r;
}

CUresult cu_copy_3d_check(const CUDA_MEMCPY3D *p)
{
	struct rect c;

	return p ? read_descriptor(p, &c) : CUDA_ERROR_INVALID_VALUE;
}

/* In a thread of ours; the stream stands still meanwhile. */
static void copy_late(CUstream stream, CUresult error, void *user)
{
	struct rect *c = user;

	if (error == CUDA_SUCCESS && copy_rows(c) < 0)
		cu_log(CU_LOG_ERROR, "a copy of pageable memory in a graph failed");
	free(c);
}

bool cu_copy_3d_late(const CUDA_MEMCPY3D *p)
{
	struct rect c;

	return read_descriptor(p, &c) != CUDA_SUCCESS ||
	       (!is_empty(&c) && !(c.dst.place.worker_visible && c.src.place.worker_visible));
}

CUresult cu_copy_3d_into(const CUDA_MEMCPY3D *p, struct cu_stream *s)
{
	struct rect c, *late;
	CUresult r;

	r = read_descriptor(p, &c);
	if (r != CUDA_SUCCESS || is_empty(&c))
		return r;
	if (c.dst.place.worker_visible && c.src.place.worker_visible)
		return by_command(queue_of(s), &c, false);
	late = malloc(sizeof(*late));
	if (!late)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*late = c;
	r = callback_add(s, NULL, copy_late, late);
	if (r != CUDA_SUCCESS)
		free(late);
	return r;
}

static CUresult copy_2d(const CUDA_MEMCPY2D *p, CUstream stream, bool async)
{
	CUDA_MEMCPY3D c = { 0 };

	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	c.srcXInBytes = p->srcXInBytes;
	c.srcY = p->srcY;
	c.srcMemoryType = p->srcMemoryType;
	c.srcHost = p->srcHost;
	c.srcDevice = p->srcDevice;
	c.srcArray = p->srcArray;
	c.srcPitch = p->srcPitch;
	c.dstXInBytes = p->dstXInBytes;
	c.dstY = p->dstY;
	c.dstMemoryType = p->dstMemoryType;
	c.dstHost = p->dstHost;
	c.dstDevice = p->dstDevice;
	c.dstArray = p->dstArray;
	c.dstPitch = p->dstPitch;
	c.WidthInBytes = p->WidthInBytes;
	c.Height = p->Height;
	c.Depth = 1;
	return cu_copy_3d(&c, stream, async);
}

/* ---- entry points --------------------------------------------------------------------------- */

CUresult impl_cuMemcpy2D_v2(const CUDA_MEMCPY2D *pCopy)
{
	return copy_2d(pCopy, NULL, false);
}

CUresult impl_cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *pCopy)
{
	return copy_2d(pCopy, NULL, false);
}

CUresult impl_cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *pCopy, CUstream hStream)
{
	return copy_2d(pCopy, hStream, true);
}

CUresult impl_cuMemcpy3D_v2(const CUDA_MEMCPY3D *pCopy)
{
	return pCopy ? cu_copy_3d(pCopy, NULL, false) : CUDA_ERROR_INVALID_VALUE;
}

CUresult impl_cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *pCopy, CUstream hStream)
{
	return pCopy ? cu_copy_3d(pCopy, hStream, true) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult copy_3d_peer(const CUDA_MEMCPY3D_PEER *p, CUstream stream, bool async)
{
	CUDA_MEMCPY3D c = { 0 };

	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	if (!cu_handle_get(p->srcContext, CU_KIND_CTX) ||
	    !cu_handle_get(p->dstContext, CU_KIND_CTX))
		return CUDA_ERROR_INVALID_CONTEXT;
	c.srcXInBytes = p->srcXInBytes;
	c.srcY = p->srcY;
	c.srcZ = p->srcZ;
	c.srcLOD = p->srcLOD;
	c.srcMemoryType = p->srcMemoryType;
	c.srcHost = p->srcHost;
	c.srcDevice = p->srcDevice;
	c.srcArray = p->srcArray;
	c.srcPitch = p->srcPitch;
	c.srcHeight = p->srcHeight;
	c.dstXInBytes = p->dstXInBytes;
	c.dstY = p->dstY;
	c.dstZ = p->dstZ;
	c.dstLOD = p->dstLOD;
	c.dstMemoryType = p->dstMemoryType;
	c.dstHost = p->dstHost;
	c.dstDevice = p->dstDevice;
	c.dstArray = p->dstArray;
	c.dstPitch = p->dstPitch;
	c.dstHeight = p->dstHeight;
	c.WidthInBytes = p->WidthInBytes;
	c.Height = p->Height;
	c.Depth = p->Depth;
	return cu_copy_3d(&c, stream, async);
}

CUresult impl_cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *pCopy)
{
	return copy_3d_peer(pCopy, NULL, false);
}

CUresult impl_cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *pCopy, CUstream hStream)
{
	return copy_3d_peer(pCopy, hStream, true);
}

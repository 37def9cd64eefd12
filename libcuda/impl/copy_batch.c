/* SPDX-License-Identifier: MIT */
/*
 * copy_batch.c - many copies by one call: cuMemcpyBatchAsync, cuMemcpy3DBatchAsync.
 *
 * The manual lets them run in any order; here they go into the stream one after the other. All arguments are
 * looked at before the first one goes.
 */
#include <stdint.h>

#include "libcuda/impl/array.h"
#include "libcuda/impl/copy.h"
#include "libcuda/impl/impl.h"

#define NOT_ONE SIZE_MAX /* the error is of no single copy */

static void say(size_t *fail, size_t index)
{
	if (fail)
		*fail = index;
}

/* The manual: any stream but the legacy one. */
static CUresult check_stream(CUstream handle)
{
	struct cu_stream *s;
	CUresult r = cu_stream_get(handle, &s);

	if (r != CUDA_SUCCESS)
		return r;
	return queue_of(s)->legacy ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static bool order_valid(CUmemcpySrcAccessOrder order)
{
	return order == CU_MEMCPY_SRC_ACCESS_ORDER_STREAM ||
	       order == CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL ||
	       order == CU_MEMCPY_SRC_ACCESS_ORDER_ANY;
}

static bool flags_valid(unsigned flags)
{
	return !(flags & ~(unsigned)CU_MEMCPY_FLAG_PREFER_OVERLAP_WITH_COMPUTE);
}

/* Attributes i hold from copy attrsIdxs[i] to attrsIdxs[i + 1]. */
static CUresult check_attrs(const CUmemcpyAttributes *attrs, const size_t *at, size_t n,
			    size_t count)
{
	if (!n || !attrs || !at || n > count || at[0] != 0)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < n; i++)
		if (!order_valid(attrs[i].srcAccessOrder) || !flags_valid(attrs[i].flags) ||
		    at[i] >= count || (i && at[i] <= at[i - 1]))
			return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult check_linear(CUdeviceptr dst, CUdeviceptr src, size_t bytes)
{
	struct place p;

	if (!dst || !src || !bytes || place_find(dst, bytes, &p) < 0 || p.read_only ||
	    place_find(src, bytes, &p) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemcpyBatchAsync(CUdeviceptr *dsts, CUdeviceptr *srcs, size_t *sizes, size_t count,
				 CUmemcpyAttributes *attrs, size_t *attrsIdxs, size_t numAttrs,
				 size_t *failIdx, CUstream hStream)
{
	size_t attr = 0;
	CUresult r;

	say(failIdx, NOT_ONE);
	if (!count || !dsts || !srcs || !sizes)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_attrs(attrs, attrsIdxs, numAttrs, count);
	if (r == CUDA_SUCCESS)
		r = check_stream(hStream);
	if (r != CUDA_SUCCESS)
		return r;
	for (size_t i = 0; i < count; i++) {
		r = check_linear(dsts[i], srcs[i], sizes[i]);
		if (r != CUDA_SUCCESS) {
			say(failIdx, i);
			return r;
		}
	}
	for (size_t i = 0; i < count; i++) {
		bool now;

		while (attr + 1 < numAttrs && attrsIdxs[attr + 1] <= i)
			attr++;
		now = attrs[attr].srcAccessOrder == CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL;
		r = cu_copy_linear(dsts[i], COPY_UNIFIED, srcs[i], COPY_UNIFIED, sizes[i], hStream,
				   !now);
		if (r != CUDA_SUCCESS) {
			say(failIdx, i);
			return r;
		}
	}
	return CUDA_SUCCESS;
}

CUresult impl_cuMemcpyBatchAsync_v2(CUdeviceptr *dsts, CUdeviceptr *srcs, size_t *sizes,
				    size_t count, CUmemcpyAttributes *attrs, size_t *attrsIdxs,
				    size_t numAttrs, CUstream hStream)
{
	return impl_cuMemcpyBatchAsync(dsts, srcs, sizes, count, attrs, attrsIdxs, numAttrs, NULL,
				       hStream);
}

/* ---- boxes ---------------------------------------------------------------------------------- */

/* One side as cuMemcpy3D has it. */
struct side {
	CUmemorytype type;
	CUarray array;
	CUdeviceptr ptr;
	size_t x, y, z; /* x in bytes */
	size_t pitch, height;
};

/* Bytes of an element: of whichever array there is, else 1. */
static CUresult element(const CUDA_MEMCPY3D_BATCH_OP *op, size_t *ret_bytes)
{
	const CUmemcpy3DOperand *sides[] = { &op->src, &op->dst };
	uint32_t bytes, all = 0;

	for (int i = 0; i < 2; i++) {
		struct cu_array *a;
		CUresult r;

		if (sides[i]->type != CU_MEMCPY_OPERAND_TYPE_ARRAY)
			continue;
		r = cu_array_get(sides[i]->op.array.array, &a);
		if (r == CUDA_SUCCESS)
			r = cu_tex_texel(a->desc.Format, a->desc.NumChannels, &bytes);
		if (r != CUDA_SUCCESS)
			return r;
		if (all && all != bytes)
			return CUDA_ERROR_INVALID_VALUE;
		all = bytes;
	}
	*ret_bytes = all ? all : 1;
	return CUDA_SUCCESS;
}

static CUresult set_side(const CUmemcpy3DOperand *o, const CUextent3D *e, size_t texel,
			 struct side *ret)
{
	struct side s = { .type = CU_MEMORYTYPE_UNIFIED };
	size_t row, height;

	switch (o->type) {
	case CU_MEMCPY_OPERAND_TYPE_POINTER:
		row = o->op.ptr.rowLength ? o->op.ptr.rowLength : e->width;
		height = o->op.ptr.layerHeight ? o->op.ptr.layerHeight : e->height;
		if (!o->op.ptr.ptr || row < e->width || height < e->height ||
		    __builtin_mul_overflow(row, texel, &s.pitch))
			return CUDA_ERROR_INVALID_VALUE;
		s.ptr = o->op.ptr.ptr;
		s.height = height;
		break;
	case CU_MEMCPY_OPERAND_TYPE_ARRAY:
		s.type = CU_MEMORYTYPE_ARRAY;
		s.array = o->op.array.array;
		s.y = o->op.array.offset.y;
		s.z = o->op.array.offset.z;
		if (__builtin_mul_overflow(o->op.array.offset.x, texel, &s.x))
			return CUDA_ERROR_INVALID_VALUE;
		break;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	*ret = s;
	return CUDA_SUCCESS;
}

static CUresult to_copy(const CUDA_MEMCPY3D_BATCH_OP *op, CUDA_MEMCPY3D *ret_copy)
{
	struct side d, s;
	size_t texel, width;
	CUresult r;

	if (!order_valid(op->srcAccessOrder) || !flags_valid(op->flags) || !op->extent.width ||
	    !op->extent.height || !op->extent.depth)
		return CUDA_ERROR_INVALID_VALUE;
	r = element(op, &texel);
	if (r == CUDA_SUCCESS)
		r = set_side(&op->dst, &op->extent, texel, &d);
	if (r == CUDA_SUCCESS)
		r = set_side(&op->src, &op->extent, texel, &s);
	if (r == CUDA_SUCCESS && __builtin_mul_overflow(op->extent.width, texel, &width))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	*ret_copy = (CUDA_MEMCPY3D){
		.srcXInBytes = s.x,
		.srcY = s.y,
		.srcZ = s.z,
		.srcMemoryType = s.type,
		.srcDevice = s.ptr,
		.srcArray = s.array,
		.srcPitch = s.pitch,
		.srcHeight = s.height,
		.dstXInBytes = d.x,
		.dstY = d.y,
		.dstZ = d.z,
		.dstMemoryType = d.type,
		.dstDevice = d.ptr,
		.dstArray = d.array,
		.dstPitch = d.pitch,
		.dstHeight = d.height,
		.WidthInBytes = width,
		.Height = op->extent.height,
		.Depth = op->extent.depth,
	};
	return cu_copy_3d_check(ret_copy);
}

CUresult impl_cuMemcpy3DBatchAsync(size_t numOps, CUDA_MEMCPY3D_BATCH_OP *opList, size_t *failIdx,
				   unsigned long long flags, CUstream hStream)
{
	CUDA_MEMCPY3D copy;
	CUresult r;

	say(failIdx, NOT_ONE);
	if (!numOps || !opList || flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_stream(hStream);
	if (r != CUDA_SUCCESS)
		return r;
	for (size_t i = 0; i < numOps; i++) {
		r = to_copy(&opList[i], &copy);
		if (r != CUDA_SUCCESS) {
			say(failIdx, i);
			return r;
		}
	}
	for (size_t i = 0; i < numOps; i++) {
		bool now = opList[i].srcAccessOrder == CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL;

		r = to_copy(&opList[i], &copy);
		if (r == CUDA_SUCCESS)
			r = cu_copy_3d(&copy, hStream, !now);
		if (r != CUDA_SUCCESS) {
			say(failIdx, i);
			return r;
		}
	}
	return CUDA_SUCCESS;
}

CUresult impl_cuMemcpy3DBatchAsync_v2(size_t numOps, CUDA_MEMCPY3D_BATCH_OP *opList,
				      unsigned long long flags, CUstream hStream)
{
	return impl_cuMemcpy3DBatchAsync(numOps, opList, NULL, flags, hStream);
}

/* SPDX-License-Identifier: MIT */
/*
 * copy_array.c - the short names of copies between 1D arrays and memory: each is a box of one row.
 */
#include "libcuda/impl/array.h"
#include "libcuda/impl/copy.h"
#include "libcuda/impl/impl.h"

/* These calls know 1D arrays only. */
static CUresult one_row(CUarray handle)
{
	struct cu_array *a;
	CUresult r = cu_array_get(handle, &a);

	if (r != CUDA_SUCCESS)
		return r;
	return a->height > 1 || a->depth > 1 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static void from_array(CUDA_MEMCPY3D *c, CUarray array, size_t offset)
{
	c->srcMemoryType = CU_MEMORYTYPE_ARRAY;
	c->srcArray = array;
	c->srcXInBytes = offset;
}

static void to_array(CUDA_MEMCPY3D *c, CUarray array, size_t offset)
{
	c->dstMemoryType = CU_MEMORYTYPE_ARRAY;
	c->dstArray = array;
	c->dstXInBytes = offset;
}

static CUresult copy(CUDA_MEMCPY3D *c, size_t bytes, CUstream stream, bool async)
{
	CUresult r = CUDA_SUCCESS;

	if (c->srcMemoryType == CU_MEMORYTYPE_ARRAY)
		r = one_row(c->srcArray);
	if (r == CUDA_SUCCESS && c->dstMemoryType == CU_MEMORYTYPE_ARRAY)
		r = one_row(c->dstArray);
	if (r != CUDA_SUCCESS)
		return r;
	c->WidthInBytes = bytes;
	c->Height = 1;
	c->Depth = 1;
	return cu_copy_3d(c, stream, async);
}

static CUresult array_to_host(void *host, CUarray array, size_t offset, size_t bytes,
			      CUstream stream, bool async)
{
	CUDA_MEMCPY3D c = { .dstMemoryType = CU_MEMORYTYPE_HOST, .dstHost = host };

	from_array(&c, array, offset);
	return copy(&c, bytes, stream, async);
}

static CUresult host_to_array(CUarray array, size_t offset, const void *host, size_t bytes,
			      CUstream stream, bool async)
{
	CUDA_MEMCPY3D c = { .srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = host };

	to_array(&c, array, offset);
	return copy(&c, bytes, stream, async);
}

CUresult impl_cuMemcpyAtoA_v2(CUarray dstArray, size_t dstOffset, CUarray srcArray,
			      size_t srcOffset, size_t ByteCount)
{
	CUDA_MEMCPY3D c = { 0 };

	from_array(&c, srcArray, srcOffset);
	to_array(&c, dstArray, dstOffset);
	return copy(&c, ByteCount, NULL, false);
}

CUresult impl_cuMemcpyAtoD_v2(CUdeviceptr dstDevice, CUarray srcArray, size_t srcOffset,
			      size_t ByteCount)
{
	CUDA_MEMCPY3D c = { .dstMemoryType = CU_MEMORYTYPE_DEVICE, .dstDevice = dstDevice };

	from_array(&c, srcArray, srcOffset);
	return copy(&c, ByteCount, NULL, false);
}

CUresult impl_cuMemcpyDtoA_v2(CUarray dstArray, size_t dstOffset, CUdeviceptr srcDevice,
			      size_t ByteCount)
{
	CUDA_MEMCPY3D c = { .srcMemoryType = CU_MEMORYTYPE_DEVICE, .srcDevice = srcDevice };

	to_array(&c, dstArray, dstOffset);
	return copy(&c, ByteCount, NULL, false);
}

CUresult impl_cuMemcpyAtoH_v2(void *dstHost, CUarray srcArray, size_t srcOffset, size_t ByteCount)
{
	return array_to_host(dstHost, srcArray, srcOffset, ByteCount, NULL, false);
}

CUresult impl_cuMemcpyAtoHAsync_v2(void *dstHost, CUarray srcArray, size_t srcOffset,
				   size_t ByteCount, CUstream hStream)
{
	return array_to_host(dstHost, srcArray, srcOffset, ByteCount, hStream, true);
}

CUresult impl_cuMemcpyHtoA_v2(CUarray dstArray, size_t dstOffset, const void *srcHost,
			      size_t ByteCount)
{
	return host_to_array(dstArray, dstOffset, srcHost, ByteCount, NULL, false);
}

CUresult impl_cuMemcpyHtoAAsync_v2(CUarray dstArray, size_t dstOffset, const void *srcHost,
				   size_t ByteCount, CUstream hStream)
{
	return host_to_array(dstArray, dstOffset, srcHost, ByteCount, hStream, true);
}

/* SPDX-License-Identifier: MIT */
/* What an address is. */
#include "api/api_test.h"

namespace {

class Pointer : public Api {
protected:
	template <typename T> T get(CUpointer_attribute a, CUdeviceptr p)
	{
		T v = {};

		EXPECT_EQ(cuPointerGetAttribute(&v, a, p), CUDA_SUCCESS) << a;
		return v;
	}
};

TEST_F(Pointer, Device)
{
	CUdeviceptr p = alloc(1000), inside = p + 999, host;

	EXPECT_EQ(get<CUcontext>(CU_POINTER_ATTRIBUTE_CONTEXT, inside), ctx);
	EXPECT_EQ(get<unsigned>(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, inside), CU_MEMORYTYPE_DEVICE);
	EXPECT_EQ(get<CUdeviceptr>(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, inside), inside);
	EXPECT_EQ(get<unsigned>(CU_POINTER_ATTRIBUTE_IS_MANAGED, inside), 0u);
	EXPECT_EQ(get<int>(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, inside), dev);
	EXPECT_EQ(get<CUdeviceptr>(CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, inside), p);
	EXPECT_EQ(get<size_t>(CU_POINTER_ATTRIBUTE_RANGE_SIZE, inside), 1000u);
	EXPECT_EQ(get<int>(CU_POINTER_ATTRIBUTE_MAPPED, inside), 1);
	CU_IS(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, p),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemFree(p));
	CU_IS(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_CONTEXT, p),
	      CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Pointer, BufferIdsDiffer)
{
	CUdeviceptr a = alloc(10), b = alloc(10);
	auto ia = get<uint64_t>(CU_POINTER_ATTRIBUTE_BUFFER_ID, a);

	EXPECT_NE(ia, get<uint64_t>(CU_POINTER_ATTRIBUTE_BUFFER_ID, b));
	CU_OK(cuMemFree(a));
	a = alloc(10);
	EXPECT_NE(ia, get<uint64_t>(CU_POINTER_ATTRIBUTE_BUFFER_ID, a));
	CU_OK(cuMemFree(a));
	CU_OK(cuMemFree(b));
}

TEST_F(Pointer, Pinned)
{
	void *h;

	CU_OK(cuMemAllocHost(&h, 100));
	auto p = reinterpret_cast<CUdeviceptr>(h);
	EXPECT_EQ(get<unsigned>(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p), CU_MEMORYTYPE_HOST);
	EXPECT_EQ(get<void *>(CU_POINTER_ATTRIBUTE_HOST_POINTER, p), h);
	if (shared_pages()) {
		EXPECT_EQ(get<CUdeviceptr>(CU_POINTER_ATTRIBUTE_DEVICE_POINTER, p), p);
	}
	CU_OK(cuMemFreeHost(h));
}

TEST_F(Pointer, Managed)
{
	CUdeviceptr p;

	if (!shared_pages())
		GTEST_SKIP() << "no managed memory";
	CU_OK(cuMemAllocManaged(&p, 100, CU_MEM_ATTACH_GLOBAL));
	EXPECT_EQ(get<unsigned>(CU_POINTER_ATTRIBUTE_IS_MANAGED, p), 1u);
	EXPECT_EQ(get<unsigned>(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p), CU_MEMORYTYPE_DEVICE);
	EXPECT_EQ(get<CUdeviceptr>(CU_POINTER_ATTRIBUTE_HOST_POINTER, p), p);
	CU_OK(cuMemFree(p));
}

TEST_F(Pointer, UnknownAddress)
{
	int here = 0, ordinal = 5;
	unsigned type = 7;
	auto p = reinterpret_cast<CUdeviceptr>(&here);
	CUpointer_attribute which[] = { CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
					CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL };
	void *into[] = { &type, &ordinal };

	CU_IS(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p),
	      CUDA_ERROR_INVALID_VALUE);
	/* The plural one says so in its answers. */
	CU_OK(cuPointerGetAttributes(2, which, into, p));
	EXPECT_EQ(type, 0u);
	EXPECT_EQ(ordinal, -2);
}

TEST_F(Pointer, SeveralAtOnce)
{
	CUdeviceptr p = alloc(64), dptr = 0;
	void *hptr = this;
	unsigned type = 0;
	CUpointer_attribute which[] = { CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
					CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
					CU_POINTER_ATTRIBUTE_HOST_POINTER };
	void *into[] = { &type, &dptr, &hptr };

	CU_OK(cuPointerGetAttributes(3, which, into, p));
	EXPECT_EQ(type, static_cast<unsigned>(CU_MEMORYTYPE_DEVICE));
	EXPECT_EQ(dptr, p);
	EXPECT_EQ(hptr, nullptr);
	CU_IS(cuPointerGetAttributes(0, which, into, p), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuPointerGetAttributes(3, nullptr, into, p), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemFree(p));
}

TEST_F(Pointer, SyncMemops)
{
	CUdeviceptr p = alloc(64);
	unsigned on = 1;

	EXPECT_EQ(get<unsigned>(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p), 0u);
	CU_OK(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
	EXPECT_EQ(get<unsigned>(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p), 1u);
	CU_IS(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_BUFFER_ID, p),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemFree(p));
}

TEST_F(Pointer, ReservedButNotMapped)
{
	const size_t size = 4u << 20;
	CUdeviceptr va;
	unsigned type;

	CU_OK(cuMemAddressReserve(&va, size, 0, 0, 0));
	EXPECT_EQ(get<int>(CU_POINTER_ATTRIBUTE_MAPPED, va + 5), 0);
	EXPECT_EQ(get<CUdeviceptr>(CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, va + 5), va);
	EXPECT_EQ(get<size_t>(CU_POINTER_ATTRIBUTE_RANGE_SIZE, va + 5), size);
	CU_IS(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, va),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemAddressFree(va, size));
}

} // namespace

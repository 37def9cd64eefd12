/* SPDX-License-Identifier: MIT */
/* Stream-ordered allocation: order, reuse, what pools hold and give back. */
#include "api/api_test.h"

#include <thread>
#include <unistd.h>

namespace {

const size_t MiB = 1 << 20;

class MemPool : public Api {
protected:
	void SetUp() override
	{
		int can = 0;

		Api::SetUp();
		CU_OK(cuDeviceGetAttribute(&can, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, dev));
		ASSERT_EQ(can, 1);
		CU_OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
		CU_OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
		props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
		props.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
		props.location.id = dev;
		CU_OK(cuMemPoolCreate(&pool, &props));
	}

	void TearDown() override
	{
		CU_OK(cuStreamDestroy(a));
		CU_OK(cuStreamDestroy(b));
		if (pool) {
			CU_OK(cuMemPoolDestroy(pool));
		}
		Api::TearDown();
	}

	CUdeviceptr take(size_t bytes, CUstream s)
	{
		CUdeviceptr p = 0;

		EXPECT_EQ(cuMemAllocFromPoolAsync(&p, bytes, pool, s), CUDA_SUCCESS);
		return p;
	}

	uint64_t attr(CUmemPool_attribute which)
	{
		cuuint64_t v = ~0ull;

		EXPECT_EQ(cuMemPoolGetAttribute(pool, which, &v), CUDA_SUCCESS);
		return v;
	}

	void set(CUmemPool_attribute which, int v)
	{
		EXPECT_EQ(cuMemPoolSetAttribute(pool, which, &v), CUDA_SUCCESS);
	}

	void threshold(cuuint64_t v)
	{
		EXPECT_EQ(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &v),
			  CUDA_SUCCESS);
	}

	CUmemPoolProps props = {};
	CUmemoryPool pool = nullptr;
	CUstream a, b;
};

TEST_F(MemPool, MemoryIsUsableInStreamOrder)
{
	std::vector<uint8_t> in = pattern(100000), out(in.size());
	CUdeviceptr p, q;

	CU_OK(cuMemAllocAsync(&p, in.size(), a));
	CU_OK(cuMemAllocAsync(&q, in.size(), a));
	EXPECT_NE(p, q);
	CU_OK(cuMemcpyHtoDAsync(p, in.data(), in.size(), a));
	CU_OK(cuMemcpyDtoDAsync(q, p, in.size(), a));
	CU_OK(cuMemFreeAsync(p, a));
	CU_OK(cuMemcpyDtoHAsync(out.data(), q, in.size(), a));
	CU_OK(cuMemFreeAsync(q, a));
	CU_OK(cuStreamSynchronize(a));
	EXPECT_EQ(in, out);
}

TEST_F(MemPool, SameStreamGetsItsMemoryBackAtOnce)
{
	Gate gate;
	CUdeviceptr p = take(MiB, a), q;

	CU_OK(gate.hold(a));
	CU_OK(cuMemFreeAsync(p, a));
	q = take(MiB, a);
	EXPECT_EQ(p, q);
	CU_OK(cuMemFreeAsync(q, a));
	gate.open();
	CU_OK(cuStreamSynchronize(a));
}

TEST_F(MemPool, OtherStreamGetsItWhenTheFreeIsDone)
{
	CUdeviceptr p, q;
	{
		Gate gate;

		threshold(1ull << 30);
		p = take(32 * MiB, a);
		CU_OK(gate.hold(a));
		CU_OK(cuMemFreeAsync(p, a));
		q = take(32 * MiB, b);
		EXPECT_NE(p, q);
		CU_OK(cuMemFreeAsync(q, b));
		gate.open();
		CU_OK(cuStreamSynchronize(a));
		CU_OK(cuStreamSynchronize(b));
	}
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), 64 * MiB);
	p = take(32 * MiB, b);
	q = take(32 * MiB, b);
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), 64 * MiB);
	CU_OK(cuMemFreeAsync(p, b));
	CU_OK(cuMemFreeAsync(q, b));
	CU_OK(cuStreamSynchronize(b));
}

TEST_F(MemPool, FullPoolMakesTheStreamWait)
{
	CUmemoryPool small;
	CUdeviceptr p, q;
	Gate gate;

	props.maxSize = 32 * MiB;
	CU_OK(cuMemPoolCreate(&small, &props));
	CU_OK(cuMemAllocFromPoolAsync(&p, 20 * MiB, small, a));
	CU_IS(cuMemAllocFromPoolAsync(&q, 20 * MiB, small, b), CUDA_ERROR_OUT_OF_MEMORY);
	CU_OK(cuMemsetD8Async(p, 1, 20 * MiB, a));
	CU_OK(gate.hold(a));
	CU_OK(cuMemsetD8Async(p, 1, 20 * MiB, a));
	CU_OK(cuMemFreeAsync(p, a));
	CU_OK(cuMemAllocFromPoolAsync(&q, 20 * MiB, small, b));
	EXPECT_EQ(p, q);
	CU_OK(cuMemsetD8Async(q, 2, 20 * MiB, b));
	CU_IS(cuStreamQuery(b), CUDA_ERROR_NOT_READY);
	gate.open();
	CU_OK(cuStreamSynchronize(b));
	EXPECT_EQ(read(q, 1)[0], 2);
	CU_OK(cuMemFreeAsync(q, b));
	CU_OK(cuStreamSynchronize(b));
	CU_OK(cuMemPoolDestroy(small));
}

TEST_F(MemPool, InternalDependenciesCanBeForbidden)
{
	CUmemoryPool small, mine = pool;
	CUdeviceptr p, q;
	Gate gate;

	props.maxSize = 32 * MiB;
	CU_OK(cuMemPoolCreate(&small, &props));
	pool = small;
	set(CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES, 0);
	p = take(32 * MiB, a);
	CU_OK(gate.hold(a));
	CU_OK(cuMemFreeAsync(p, a));
	CU_IS(cuMemAllocFromPoolAsync(&q, 32 * MiB, small, b), CUDA_ERROR_OUT_OF_MEMORY);
	gate.open();
	CU_OK(cuStreamSynchronize(a));
	pool = mine;
	CU_OK(cuMemPoolDestroy(small));
}

TEST_F(MemPool, WhatIsAboveTheThresholdGoesAtTheNextWait)
{
	CUdeviceptr p = take(3, a);

	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), 32 * MiB);
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 512u);
	CU_OK(cuMemFreeAsync(p, a));
	CU_OK(cuStreamSynchronize(a));
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), 0u);
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH), 32 * MiB);
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0u);
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_USED_MEM_HIGH), 512u);

	threshold(32 * MiB);
	p = take(1, a);
	CUdeviceptr q = take(32 * MiB, a);
	CU_OK(cuMemFreeAsync(p, a));
	CU_OK(cuMemFreeAsync(q, a));
	CU_OK(cuCtxSynchronize());
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), 32 * MiB);
	CU_OK(cuMemPoolTrimTo(pool, 32 * MiB));
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), 32 * MiB);
	CU_OK(cuMemPoolTrimTo(pool, 0));
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), 0u);
}

TEST_F(MemPool, DeviceMemoryIsCharged)
{
	size_t before, during, after, total;

	CU_OK(cuMemGetInfo(&before, &total));
	CUdeviceptr p = take(100 * MiB, a);
	CU_OK(cuMemGetInfo(&during, &total));
	EXPECT_EQ(before - during, 128 * MiB);
	CU_OK(cuMemFreeAsync(p, a));
	CU_OK(cuStreamSynchronize(a));
	CU_OK(cuMemGetInfo(&after, &total));
	EXPECT_EQ(after, before);
}

TEST_F(MemPool, MorethanTheDeviceHas)
{
	size_t free_bytes, total;
	CUdeviceptr p;

	CU_OK(cuMemGetInfo(&free_bytes, &total));
	CU_IS(cuMemAllocAsync(&p, total + MiB, a), CUDA_ERROR_OUT_OF_MEMORY);
	CU_IS(cuMemAllocAsync(&p, ~static_cast<size_t>(0), a), CUDA_ERROR_OUT_OF_MEMORY);
	CU_OK(cuMemAllocAsync(&p, 100, a));
	CU_OK(cuMemFreeAsync(p, a));
	CU_OK(cuStreamSynchronize(a));
}

TEST_F(MemPool, ManyPiecesNeverOverlap)
{
	std::vector<std::pair<CUdeviceptr, size_t>> live;
	uint32_t x = 1;

	threshold(~0ull);
	for (int i = 0; i < 2000; i++) {
		x = x * 1664525u + 1013904223u;
		CUstream s = x & 0x100 ? a : b;
		if (live.size() > 50 || (!live.empty() && (x >> 28) < 6)) {
			size_t at = (x >> 12) % live.size();
			CU_OK(cuMemFreeAsync(live[at].first, s));
			live.erase(live.begin() + static_cast<long>(at));
			continue;
		}
		size_t bytes = 1 + (x >> 8) % (i % 10 ? 70000 : 9000000);
		CUdeviceptr p = take(bytes, s);
		for (auto &l : live)
			ASSERT_TRUE(p + bytes <= l.first || l.first + l.second <= p);
		live.emplace_back(p, bytes);
	}
	for (auto &l : live)
		CU_OK(cuMemFreeAsync(l.first, a));
	CU_OK(cuCtxSynchronize());
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0u);
	CU_OK(cuMemPoolTrimTo(pool, 0));
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), 0u);
}

TEST_F(MemPool, DestroyedPoolLivesOnInItsAllocations)
{
	size_t before, now, total;

	CU_OK(cuMemGetInfo(&before, &total));
	CUdeviceptr p = take(MiB, a);
	CU_OK(cuMemPoolDestroy(pool));
	CU_IS(cuMemPoolDestroy(pool), CUDA_ERROR_INVALID_VALUE);
	pool = nullptr;
	CU_OK(cuMemsetD8Async(p, 7, MiB, a));
	CU_OK(cuStreamSynchronize(a));
	EXPECT_EQ(read(p, 1)[0], 7);
	CU_OK(cuMemFreeAsync(p, a));
	CU_OK(cuStreamSynchronize(a));
	CU_OK(cuMemGetInfo(&now, &total));
	EXPECT_EQ(now, before);
}

TEST_F(MemPool, DefaultAndCurrentPool)
{
	CUmemoryPool first, now;

	CU_OK(cuDeviceGetDefaultMemPool(&first, dev));
	CU_OK(cuDeviceGetMemPool(&now, dev));
	EXPECT_EQ(first, now);
	CU_OK(cuDeviceSetMemPool(dev, pool));
	CU_OK(cuDeviceGetMemPool(&now, dev));
	EXPECT_EQ(now, pool);
	CUdeviceptr p;
	CU_OK(cuMemAllocAsync(&p, 1, a));
	CUmemoryPool of = nullptr;
	CU_OK(cuPointerGetAttribute(&of, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p));
	EXPECT_EQ(of, pool);
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 512u);
	CU_OK(cuMemFree(p));
	EXPECT_EQ(attr(CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0u);
	CU_OK(cuMemPoolDestroy(pool));
	pool = nullptr;
	CU_OK(cuDeviceGetMemPool(&now, dev));
	EXPECT_EQ(now, first);
	CU_IS(cuMemPoolDestroy(first), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDeviceGetMemPool(&now, 99), CUDA_ERROR_INVALID_DEVICE);
}

TEST_F(MemPool, Pointers)
{
	CUdeviceptr p = take(1000, a), base;
	unsigned type = 0;
	size_t size;
	int ordinal = -1;

	CU_OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 999));
	EXPECT_EQ(type, static_cast<unsigned>(CU_MEMORYTYPE_DEVICE));
	CU_OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p));
	EXPECT_EQ(ordinal, dev);
	CU_OK(cuMemGetAddressRange(&base, &size, p + 5));
	EXPECT_EQ(base, p);
	EXPECT_EQ(size, 1000u);
	CU_OK(cuMemFreeAsync(p, a));
	CU_IS(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemFreeAsync(p, a), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuStreamSynchronize(a));
}

TEST_F(MemPool, FreeAsyncTakesMemoryOfMemAllocToo)
{
	CUdeviceptr p = alloc(1000);

	CU_IS(cuMemFreeAsync(p + 8, a), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemFreeAsync(p, a));
	CU_IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(MemPool, Access)
{
	CUmemAccessDesc d = {};
	CUmemAccess_flags f = CU_MEM_ACCESS_FLAGS_PROT_NONE;

	d.location = props.location;
	CU_OK(cuMemPoolGetAccess(&f, pool, &d.location));
	EXPECT_EQ(f, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
	d.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
	CU_OK(cuMemPoolSetAccess(pool, &d, 1));
	d.flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
	CU_IS(cuMemPoolSetAccess(pool, &d, 1), CUDA_ERROR_INVALID_DEVICE);
	d.location.id = 99;
	CU_IS(cuMemPoolSetAccess(pool, &d, 1), CUDA_ERROR_INVALID_DEVICE);
}

TEST_F(MemPool, Refusals)
{
	CUmemPoolProps bad = props;
	CUmemoryPool p;
	CUdeviceptr ptr;
	cuuint64_t v = 1;

	CU_IS(cuMemPoolCreate(nullptr, &props), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemPoolCreate(&p, nullptr), CUDA_ERROR_INVALID_VALUE);
	bad.allocType = CU_MEM_ALLOCATION_TYPE_INVALID;
	CU_IS(cuMemPoolCreate(&p, &bad), CUDA_ERROR_INVALID_VALUE);
	bad = props;
	bad.handleTypes = CU_MEM_HANDLE_TYPE_FABRIC;
	CU_IS(cuMemPoolCreate(&p, &bad), CUDA_ERROR_NOT_SUPPORTED);
	bad = props;
	bad.location.id = 99;
	CU_IS(cuMemPoolCreate(&p, &bad), CUDA_ERROR_INVALID_DEVICE);
	bad = props;
	bad.reserved[3] = 1;
	CU_IS(cuMemPoolCreate(&p, &bad), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAllocAsync(&ptr, 0, a), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAllocAsync(nullptr, 1, a), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemFreeAsync(0, a), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &v),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &v),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemPoolGetAttribute(pool, static_cast<CUmemPool_attribute>(99), &v),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemPoolTrimTo(reinterpret_cast<CUmemoryPool>(&v), 0), CUDA_ERROR_INVALID_VALUE);
}

} // namespace

/* SPDX-License-Identifier: MIT */
/* Pinned memory: allocated and registered. */
#include "api/api_test.h"

#include <sys/mman.h>
#include <unistd.h>

namespace {

using HostMemory = Api;

CUdeviceptr at(const void *p)
{
	return reinterpret_cast<CUdeviceptr>(p);
}

TEST_F(HostMemory, AllocateWriteFree)
{
	void *h = nullptr;
	unsigned flags = 77;

	CU_OK(cuMemHostAlloc(&h, 10000, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP));
	EXPECT_EQ(at(h) % 4096, 0u);
	memset(h, 0x42, 10000);
	CU_OK(cuMemHostGetFlags(&flags, h));
	EXPECT_EQ(flags,
		  static_cast<unsigned>(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP));
	CU_OK(cuMemFreeHost(h));
	CU_IS(cuMemFreeHost(h), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(HostMemory, TheDeviceSeesItAtItsAddress)
{
	CUdeviceptr p = 0;
	uint32_t *h;

	CU_OK(cuMemAllocHost(reinterpret_cast<void **>(&h), 4096));
	if (!shared_pages()) {
		CU_IS(cuMemHostGetDevicePointer(&p, h, 0), CUDA_ERROR_NOT_SUPPORTED);
	} else {
		CU_OK(cuMemHostGetDevicePointer(&p, h + 1, 0));
		EXPECT_EQ(p, at(h + 1));
		CU_OK(cuMemsetD32Async(p, 99, 1, nullptr));
		CU_OK(cuCtxSynchronize());
		EXPECT_EQ(h[1], 99u);
	}
	CU_OK(cuMemFreeHost(h));
	CU_IS(cuMemHostGetDevicePointer(&p, h, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(HostMemory, ManyAllocationsDoNotShareAPage)
{
	std::vector<void *> all(300);

	for (size_t i = 0; i < all.size(); i++) {
		CU_OK(cuMemAllocHost(&all[i], 1 + i * 31));
		memset(all[i], static_cast<int>(i), 1 + i * 31);
	}
	for (size_t i = 0; i < all.size(); i += 2)
		CU_OK(cuMemFreeHost(all[i]));
	for (size_t i = 1; i < all.size(); i += 2) {
		auto *b = static_cast<uint8_t *>(all[i]);

		EXPECT_EQ(b[0], static_cast<uint8_t>(i));
		EXPECT_EQ(b[i * 31], static_cast<uint8_t>(i));
		CU_OK(cuMemFreeHost(all[i]));
	}
}

TEST_F(HostMemory, Refusals)
{
	CUdeviceptr p = alloc(16);
	unsigned flags;
	void *h;

	CU_IS(cuMemAllocHost(&h, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAllocHost(nullptr, 4), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemHostAlloc(&h, 4, 0x80), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemFreeHost(nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemFreeHost(reinterpret_cast<void *>(p)), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemHostGetFlags(&flags, reinterpret_cast<void *>(p)), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemAllocHost(&h, 64));
	CU_IS(cuMemFree(at(h)), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemHostGetDevicePointer(&p, h, 1), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemFreeHost(h));
}

/* ---- registered ----------------------------------------------------------------------------- */

TEST_F(HostMemory, RegisterKeepsContentBothWays)
{
	const size_t n = 1 << 20;
	auto data = pattern(n);
	std::vector<uint8_t> own(data);
	CUdeviceptr d = 0;

	CU_OK(cuMemHostRegister(own.data(), n, CU_MEMHOSTREGISTER_DEVICEMAP));
	EXPECT_EQ(own, data);
	if (shared_pages()) {
		CU_OK(cuMemHostGetDevicePointer(&d, own.data(), 0));
		EXPECT_EQ(d, at(own.data()));
		CU_OK(cuMemsetD8Async(d + 1000, 0xcc, 10, nullptr));
		CU_OK(cuCtxSynchronize());
		EXPECT_EQ(own[1000], 0xcc);
		EXPECT_EQ(own[1010], data[1010]);
	}
	own[5] = 1;
	CU_OK(cuMemHostUnregister(own.data()));
	EXPECT_EQ(own[5], 1);
	EXPECT_EQ(own[n - 1], data[n - 1]);
}

TEST_F(HostMemory, RegisteredMemoryInCopies)
{
	const size_t n = 300000;
	auto data = pattern(n);
	std::vector<uint8_t> own(data), back(n);
	CUdeviceptr p = alloc(n);
	CUstream s;

	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(cuMemHostRegister(own.data(), n, 0));
	CU_OK(cuMemcpyHtoDAsync(p, own.data(), n, s));
	CU_OK(cuMemcpyDtoHAsync(back.data(), p, n, s));
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(back, data);
	CU_OK(cuMemHostUnregister(own.data()));
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuMemFree(p));
}

TEST_F(HostMemory, RegisterRefusals)
{
	std::vector<uint8_t> own(10000);
	CUdeviceptr p = alloc(4096);

	CU_IS(cuMemHostRegister(nullptr, 4, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemHostRegister(own.data(), 0, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemHostRegister(own.data(), 4, 0x100), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemHostUnregister(own.data()), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
	CU_OK(cuMemHostRegister(own.data(), own.size(), 0));
	CU_IS(cuMemHostRegister(own.data(), own.size(), 0),
	      CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	CU_IS(cuMemHostRegister(own.data() + 100, 4, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	CU_IS(cuMemHostUnregister(own.data() + 100), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
	CU_OK(cuMemHostUnregister(own.data()));
	CU_OK(cuMemFree(p));
}

TEST_F(HostMemory, WhatCannotBeSharedIsRefusedAndUnharmed)
{
	char *shared = static_cast<char *>(
		mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));

	if (!shared_pages())
		GTEST_SKIP() << "nothing is shared, so anything can be registered";
	strcpy(shared, "as it was");
	CU_IS(cuMemHostRegister(shared, 8192, 0), CUDA_ERROR_NOT_SUPPORTED);
	EXPECT_STREQ(shared, "as it was");
	CU_IS(cuMemHostUnregister(shared), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
	munmap(shared, 8192);
}

TEST_F(HostMemory, WhatIsNoMemoryIsNotRegistered)
{
	void *p = mmap(nullptr, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(p, MAP_FAILED);
	if (!shared_pages())
		GTEST_SKIP() << "nothing is mapped anew without shared pages";
	CU_IS(cuMemHostRegister(p, 8192, 0), CUDA_ERROR_INVALID_VALUE);
	munmap(p, 8192);
	CU_IS(cuMemHostRegister(p, 8192, 0), CUDA_ERROR_INVALID_VALUE);
}

} // namespace

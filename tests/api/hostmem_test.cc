/* SPDX-License-Identifier: MIT */
/* Pinned memory: allocated and registered. */
#include "api/api_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

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

/* value[i] += 1, on one thread. */
static const char increment[] = ".version 7.0\n.target sm_75\n.address_size 64\n"
				".visible .entry increment(.param .u64 p)\n{\n"
				"\t.reg .u64 %a;\n\t.reg .u32 %r;\n"
				"\tld.param.u64 %a, [p];\n\tld.global.u32 %r, [%a];\n"
				"\tadd.u32 %r, %r, 1;\n\tst.global.u32 [%a], %r;\n\tret;\n}\n";

class Registered : public HostMemory {
protected:
	/* What a kernel does there, with the device pointer that the driver gives. */
	CUresult increment_there(void *p)
	{
		CUfunction f;
		CUmodule mod;
		CUdeviceptr d;
		CUresult r = cuMemHostGetDevicePointer(&d, p, 0);
		void *params[] = { &d };

		if (r == CUDA_SUCCESS)
			r = cuModuleLoadData(&mod, increment);
		if (r != CUDA_SUCCESS)
			return r;
		if ((r = cuModuleGetFunction(&f, mod, "increment")) == CUDA_SUCCESS)
			r = cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr);
		if (r == CUDA_SUCCESS)
			r = cuCtxSynchronize();
		return r;
	}
	void SetUp() override
	{
		HostMemory::SetUp();
		if (!shared_pages())
			GTEST_SKIP() << "kernels see host memory only with shared pages";
	}
};

TEST_F(Registered, KernelsReachPrivateMemory)
{
	/* Neighbours, but on pages of their own. */
	auto *own = static_cast<uint32_t *>(aligned_alloc(4096, 2 * 409600));
	uint32_t *more = own + 102400;

	std::fill(own, more, 6);
	std::fill(more, more + 102400, 8);
	CU_OK(cuMemHostRegister(own, 409600, 0));
	CU_OK(cuMemHostRegister(more, 409600, 0));
	CU_OK(increment_there(more - 1));
	CU_OK(increment_there(more));
	EXPECT_EQ(more[-1], 7u);
	EXPECT_EQ(more[0], 9u);
	CU_OK(cuMemHostUnregister(own));
	CU_OK(increment_there(more));
	EXPECT_EQ(more[0], 10u);
	CU_OK(cuMemHostUnregister(more));
	EXPECT_EQ(more[-1], 7u);
	free(own);
}

/* Buffers of a heap: the end of one and the beginning of the next lie on the same page. */
TEST_F(Registered, NeighboursShareAPage)
{
	auto *heap = static_cast<uint32_t *>(aligned_alloc(4096, 5 * 4096));
	uint32_t *a = heap, *b = heap + 1536, *c = heap + 3584; /* 1.5, 2 and 1.5 pages */

	std::fill(heap, heap + 5120, 3);
	CU_OK(cuMemHostRegister(a, 6144, 0));
	CU_OK(cuMemHostRegister(c, 6144, 0));
	CU_OK(cuMemHostRegister(b, 8192, 0));
	CU_OK(increment_there(b - 1));
	CU_OK(increment_there(b));
	CU_OK(cuMemHostUnregister(a));
	CU_OK(increment_there(b));
	CU_OK(increment_there(c - 1));
	CU_OK(cuMemHostRegister(a, 6144, 0));
	CU_OK(cuMemHostUnregister(b));
	CU_OK(increment_there(c));
	CU_OK(increment_there(a));
	CU_OK(cuMemHostUnregister(a));
	CU_OK(cuMemHostUnregister(c));
	EXPECT_EQ(a[0], 4u);
	EXPECT_EQ(b[-1], 4u);
	EXPECT_EQ(b[0], 5u);
	EXPECT_EQ(c[-1], 4u);
	EXPECT_EQ(c[0], 4u);
	EXPECT_EQ(heap[5119], 3u);
	free(heap);
}

TEST_F(Registered, KernelsReachSharedMappings)
{
	char name[] = "/dev/shm/vgpu-hostmem-XXXXXX";
	int memfd = memfd_create("test", MFD_CLOEXEC), shm = mkstemp(name);

	unlink(name); /* only its descriptor tells */
	for (int fd : { memfd, shm, -1 }) {
		ASSERT_TRUE(fd < 0 || ftruncate(fd, 16384) == 0);
		auto *p = static_cast<uint32_t *>(mmap(
			nullptr, 8192, PROT_READ | PROT_WRITE,
			fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, fd < 0 ? 0 : 4096));
		ASSERT_NE(p, MAP_FAILED);
		p[1024] = 41;
		CU_OK(cuMemHostRegister(p, 8192, CU_MEMHOSTREGISTER_DEVICEMAP));
		CU_OK(increment_there(p + 1024));
		EXPECT_EQ(p[1024], 42u);
		CU_OK(cuMemHostUnregister(p));
		EXPECT_EQ(p[1024], 42u);
		if (fd >= 0) {
			uint32_t in_file = 0;

			ASSERT_EQ(pread(fd, &in_file, 4, 8192), 4);
			EXPECT_EQ(in_file, 42u);
			close(fd);
		}
		munmap(p, 8192);
	}
}

TEST_F(Registered, FilesToReadFrom)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	std::vector<uint8_t> was(65536), back(65536);
	CUdeviceptr d = alloc(65536);

	ASSERT_EQ(pread(file, was.data(), was.size(), 0), static_cast<ssize_t>(was.size()));
	for (int how : { MAP_PRIVATE, MAP_SHARED }) {
		void *p = mmap(nullptr, 65536, PROT_READ, how, file, 0);

		ASSERT_NE(p, MAP_FAILED);
		CUresult r = cuMemHostRegister(p, 65536, CU_MEMHOSTREGISTER_READ_ONLY);
		if (how == MAP_SHARED && r == CUDA_ERROR_NOT_SUPPORTED) {
			munmap(p, 65536); /* the build lies where the daemon opens nothing */
			continue;
		}
		CU_OK(r);
		CU_OK(cuMemsetD8(d, 0, 65536));
		CU_OK(cuMemcpyHtoDAsync(d, p, 65536, nullptr));
		CU_OK(cuMemcpyDtoH(back.data(), d, 65536));
		EXPECT_EQ(back, was);
		CU_OK(cuMemHostUnregister(p));
		EXPECT_EQ(memcmp(p, was.data(), 65536), 0);
		munmap(p, 65536);
	}
	CU_OK(cuMemFree(d));
	close(file);
}

/* A kernel that writes to a file that is open for reading: its fault, and nothing is written. */
TEST_F(Registered, WhatIsReadOnlyStaysSo)
{
	int memfd = memfd_create("test", MFD_CLOEXEC);
	const uint32_t before = 41;
	uint32_t after = 0;
	CUcontext own;
	char path[64];

	CU_OK(cuCtxCreate_v4(&own, nullptr, 0, dev)); /* it will be broken */

	ASSERT_EQ(pwrite(memfd, &before, 4, 0), 4);
	ASSERT_EQ(ftruncate(memfd, 4096), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	int reader = open(path, O_RDONLY | O_CLOEXEC);
	void *p = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, reader, 0);
	ASSERT_NE(p, MAP_FAILED);
	CU_OK(cuMemHostRegister(p, 4096, CU_MEMHOSTREGISTER_READ_ONLY));
	CU_IS(increment_there(p), CUDA_ERROR_ILLEGAL_ADDRESS);
	ASSERT_EQ(pread(memfd, &after, 4, 0), 4);
	EXPECT_EQ(after, before);
	CU_IS(cuCtxSetCurrent(ctx), CUDA_SUCCESS);
	cuCtxDestroy(own);
	munmap(p, 4096);
	close(reader);
	close(memfd);
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

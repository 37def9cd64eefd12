/* SPDX-License-Identifier: MIT */
/* Device and managed memory: allocation, pitch, address ranges, accounts, exhaustion. */
#include "api/api_test.h"

#include <sys/wait.h>
#include <unistd.h>

namespace {

/* First in this program on purpose: nothing is initialised yet. */
TEST(BeforeInit, GetInfoIsTrue)
{
	size_t free = 0, total = 0;

	CU_OK(cuMemGetInfo(&free, &total));
	EXPECT_EQ(total, 80ull << 30);
	EXPECT_GE(free, 70ull << 30);
	EXPECT_LT(free, total);
}

TEST(BeforeInit, OthersRefuse)
{
	CUdeviceptr p;

	CU_IS(cuMemAlloc(&p, 4), CUDA_ERROR_NOT_INITIALIZED);
}

using Memory = Api;

TEST_F(Memory, AllocationIsAlignedAndUsable)
{
	auto data = pattern(1000);
	CUdeviceptr p = alloc(1000);

	EXPECT_EQ(p % 256, 0u);
	CU_OK(cuMemcpyHtoD(p, data.data(), 1000));
	EXPECT_EQ(read(p, 1000), data);
	CU_OK(cuMemFree(p));
}

TEST_F(Memory, BadArguments)
{
	CUdeviceptr p;
	size_t pitch, n;

	CU_IS(cuMemAlloc(&p, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAlloc(nullptr, 4), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemGetInfo(nullptr, &n), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemGetInfo(&n, nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAllocPitch(&p, &pitch, 0, 4, 4), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAllocPitch(&p, &pitch, 4, 0, 4), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAllocPitch(&p, &pitch, 4, 4, 3), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAllocManaged(&p, 4, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAllocManaged(&p, 4, CU_MEM_ATTACH_SINGLE), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Memory, FreeWantsTheStartOfAnAllocation)
{
	CUdeviceptr p = alloc(4096);

	CU_IS(cuMemFree(p + 1), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemFree(p));
	CU_IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemFree(0x1234), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Memory, NoContextNoMemory)
{
	CUdeviceptr p;

	CU_OK(cuCtxSetCurrent(nullptr));
	CU_IS(cuMemAlloc(&p, 4), CUDA_ERROR_INVALID_CONTEXT);
	CU_OK(cuCtxSetCurrent(ctx));
}

TEST_F(Memory, Pitch)
{
	CUdeviceptr p;
	size_t pitch = 0, size;

	CU_OK(cuMemAllocPitch(&p, &pitch, 100, 7, 4));
	EXPECT_GE(pitch, 100u);
	EXPECT_EQ(pitch % 256, 0u);
	CU_OK(cuMemGetAddressRange(nullptr, &size, p));
	EXPECT_GE(size, pitch * 7);
	CU_OK(cuMemFree(p));
}

TEST_F(Memory, AddressRange)
{
	CUdeviceptr p = alloc(12345), base = 0;
	size_t size = 0;

	CU_OK(cuMemGetAddressRange(&base, &size, p + 12344));
	EXPECT_EQ(base, p);
	EXPECT_EQ(size, 12345u);
	CU_OK(cuMemGetAddressRange(&base, nullptr, p));
	CU_OK(cuMemFree(p));
	CU_IS(cuMemGetAddressRange(&base, &size, p), CUDA_ERROR_NOT_FOUND);
}

TEST_F(Memory, AccountsFollow)
{
	size_t before, during, after, total;

	CU_OK(cuMemGetInfo(&before, &total));
	CUdeviceptr p = alloc(512 << 20);
	CU_OK(cuMemGetInfo(&during, &total));
	EXPECT_EQ(before - during, 512u << 20);
	CU_OK(cuMemFree(p));
	CU_OK(cuMemGetInfo(&after, &total));
	EXPECT_EQ(after, before);
}

TEST_F(Memory, ExhaustionIsRecoverable)
{
	CUdeviceptr big = 0, p;
	size_t free, total;

	CU_IS(cuMemAlloc(&big, 100ull << 30), CUDA_ERROR_OUT_OF_MEMORY);
	CU_OK(cuMemGetInfo(&free, &total));
	CU_OK(cuMemAlloc(&big, free - (256u << 20)));
	CU_IS(cuMemAlloc(&p, 512u << 20), CUDA_ERROR_OUT_OF_MEMORY);
	CU_OK(cuMemFree(big));
	CU_OK(cuMemAlloc(&p, 512u << 20));
	CU_OK(cuMemFree(p));
}

TEST_F(Memory, ManySmallOnesAreDisjoint)
{
	std::vector<CUdeviceptr> all(500);

	for (size_t i = 0; i < all.size(); i++) {
		uint32_t v = static_cast<uint32_t>(i);

		all[i] = alloc(4 + i * 7 % 3000);
		CU_OK(cuMemcpyHtoD(all[i], &v, 4));
	}
	for (size_t i = 0; i < all.size(); i++) {
		uint32_t v = 0;

		CU_OK(cuMemcpyDtoH(&v, all[i], 4));
		EXPECT_EQ(v, i);
		CU_OK(cuMemFree(all[i]));
	}
}

TEST_F(Memory, ManagedHasOneAddress)
{
	CUdeviceptr p;

	if (!shared_pages()) {
		CU_IS(cuMemAllocManaged(&p, 5000, CU_MEM_ATTACH_GLOBAL), CUDA_ERROR_NOT_SUPPORTED);
		return;
	}
	CU_OK(cuMemAllocManaged(&p, 5000, CU_MEM_ATTACH_GLOBAL));
	uint8_t *host = reinterpret_cast<uint8_t *>(p);
	CU_OK(cuMemsetD8(p, 0x5a, 5000));
	CU_OK(cuCtxSynchronize());
	EXPECT_EQ(host[0], 0x5a);
	EXPECT_EQ(host[4999], 0x5a);
	host[7] = 1;
	EXPECT_EQ(read(p, 8)[7], 1);
	CUmemLocation here = {};

	here.type = CU_MEM_LOCATION_TYPE_DEVICE;
	here.id = dev;
	CU_OK(cuMemAdvise(p, 5000, CU_MEM_ADVISE_SET_READ_MOSTLY, here));
	CU_OK(cuMemFree(p));
	CU_IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Memory, ResetFreesEverything)
{
	size_t before, after, total;
	CUdeviceptr p;

	CU_OK(cuMemGetInfo(&before, &total));
	p = alloc(64 << 20);
	CU_OK(cuDevicePrimaryCtxReset(dev));
	CU_OK(cuMemGetInfo(&after, &total));
	EXPECT_GE(after, before);
	/* The handle is valid again after the next retain; the old pointer is not. */
	CUcontext again;
	CU_OK(cuDevicePrimaryCtxRetain(&again, dev));
	CU_OK(cuCtxSetCurrent(again));
	CU_IS(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Memory, ForkedChildIsRefused)
{
	CUdeviceptr p = alloc(4096);
	pid_t pid = fork();

	if (!pid) {
		CUdeviceptr q;

		_exit(cuMemAlloc(&q, 4) == CUDA_ERROR_NOT_INITIALIZED &&
				      cuMemFree(p) == CUDA_ERROR_NOT_INITIALIZED
			      ? 0
			      : 1);
	}
	int status = -1;
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	CU_OK(cuMemFree(p));
}

} // namespace

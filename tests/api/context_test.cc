/* SPDX-License-Identifier: MIT */
/* Contexts: created and primary ones, the stack of each thread, what destruction leaves behind. */
#include "api/api_test.h"

#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

class Context : public testing::Test {
protected:
	void SetUp() override
	{
		CU_OK(cuInit(0));
		CU_OK(cuDeviceGet(&dev, 0));
	}

	void TearDown() override
	{
		CUcontext c;

		while (cuCtxPopCurrent(&c) == CUDA_SUCCESS)
			;
	}

	CUcontext current()
	{
		CUcontext c = nullptr;

		EXPECT_EQ(cuCtxGetCurrent(&c), CUDA_SUCCESS);
		return c;
	}

	CUdevice dev;
};

TEST_F(Context, NoneAtFirst)
{
	size_t bytes;
	CUdevice d;

	EXPECT_EQ(current(), nullptr);
	CU_IS(cuCtxGetDevice(&d), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuCtxGetLimit(&bytes, CU_LIMIT_STACK_SIZE), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuCtxPopCurrent(nullptr), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuCtxSetCurrent(nullptr), CUDA_SUCCESS);
}

TEST_F(Context, CreatePushesDestroyPops)
{
	CUcontext a, b, top;
	CUdevice d;

	CU_OK(cuCtxCreate(&a, nullptr, 0, dev));
	EXPECT_EQ(current(), a);
	CU_OK(cuCtxCreate(&b, nullptr, CU_CTX_SCHED_SPIN, dev));
	EXPECT_EQ(current(), b);
	CU_OK(cuCtxGetDevice(&d));
	EXPECT_EQ(d, dev);
	CU_OK(cuCtxPopCurrent(&top));
	EXPECT_EQ(top, b);
	EXPECT_EQ(current(), a);
	CU_OK(cuCtxPushCurrent(b));
	CU_OK(cuCtxDestroy(b));
	EXPECT_EQ(current(), a);
	CU_OK(cuCtxDestroy(a));
	EXPECT_EQ(current(), nullptr);
}

TEST_F(Context, BadArguments)
{
	CUcontext c;

	CU_IS(cuCtxCreate(nullptr, nullptr, 0, dev), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuCtxCreate(&c, nullptr, 0x10000, dev), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuCtxCreate(&c, nullptr, 0, 99), CUDA_ERROR_INVALID_DEVICE);
	CU_IS(cuCtxDestroy(nullptr), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuCtxSetCurrent(reinterpret_cast<CUcontext>(&c)), CUDA_ERROR_INVALID_CONTEXT);
}

TEST_F(Context, ADestroyedOneIsKnownAsSuch)
{
	CUcontext c;

	CU_OK(cuCtxCreate(&c, nullptr, 0, dev));
	CU_OK(cuCtxPopCurrent(nullptr));
	std::thread holder([c] {
		CU_OK(cuCtxSetCurrent(c));
		std::thread other([c] { CU_IS(cuCtxDestroy(c), CUDA_SUCCESS); });
		other.join();
		CU_IS(cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
		CUdeviceptr p;
		CU_IS(cuMemAlloc(&p, 4), CUDA_ERROR_CONTEXT_IS_DESTROYED);
		CU_IS(cuCtxSetCurrent(nullptr), CUDA_SUCCESS);
	});
	holder.join();
	CU_IS(cuCtxPushCurrent(c), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuCtxDestroy(c), CUDA_ERROR_INVALID_CONTEXT);
}

TEST_F(Context, EachThreadHasItsOwnStack)
{
	CUcontext c;

	CU_OK(cuCtxCreate(&c, nullptr, 0, dev));
	std::thread t([] {
		CUcontext seen = reinterpret_cast<CUcontext>(1);

		CU_IS(cuCtxGetCurrent(&seen), CUDA_SUCCESS);
		EXPECT_EQ(seen, nullptr);
	});
	t.join();
	CU_OK(cuCtxDestroy(c));
}

TEST_F(Context, PrimaryIsOneAndCounted)
{
	CUcontext a, b;
	CUdeviceptr p;
	unsigned flags;
	int active;

	CU_OK(cuDevicePrimaryCtxGetState(dev, &flags, &active));
	EXPECT_EQ(active, 0);
	CU_IS(cuDevicePrimaryCtxRelease(dev), CUDA_ERROR_INVALID_CONTEXT);
	CU_OK(cuDevicePrimaryCtxSetFlags(dev, CU_CTX_SCHED_YIELD));
	CU_OK(cuDevicePrimaryCtxRetain(&a, dev));
	CU_OK(cuDevicePrimaryCtxRetain(&b, dev));
	EXPECT_EQ(a, b);
	EXPECT_EQ(current(), nullptr) << "retain does not make it current";
	CU_OK(cuDevicePrimaryCtxGetState(dev, &flags, &active));
	EXPECT_EQ(active, 1);
	EXPECT_EQ(flags, unsigned(CU_CTX_SCHED_YIELD));
	CU_OK(cuCtxSetCurrent(a));
	CU_OK(cuDevicePrimaryCtxRelease(dev));
	CU_OK(cuMemAlloc(&p, 100));
	CU_IS(cuCtxDestroy(a), CUDA_ERROR_INVALID_CONTEXT);
	CU_OK(cuDevicePrimaryCtxRelease(dev));
	CU_IS(cuMemAlloc(&p, 100), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	CU_OK(cuDevicePrimaryCtxRetain(&b, dev));
	EXPECT_EQ(a, b);
	CU_OK(cuMemAlloc(&p, 100));
	CU_OK(cuDevicePrimaryCtxReset(dev));
	CU_OK(cuDevicePrimaryCtxGetState(dev, &flags, &active));
	EXPECT_EQ(active, 0);
}

TEST_F(Context, ItsMemoryGoesWithIt)
{
	size_t before, during, after, total;
	CUcontext c;
	CUdeviceptr p;

	CU_OK(cuMemGetInfo(&before, &total));
	CU_OK(cuCtxCreate(&c, nullptr, 0, dev));
	CU_OK(cuMemAlloc(&p, 64 << 20));
	CU_OK(cuMemGetInfo(&during, &total));
	EXPECT_LE(during, before - (64 << 20));
	CU_OK(cuCtxDestroy(c));
	CU_OK(cuMemGetInfo(&after, &total));
	EXPECT_EQ(after, before);
}

TEST_F(Context, LimitsAndIds)
{
	CUcontext a, b;
	unsigned long long ida, idb;
	unsigned version;
	size_t v;

	CU_OK(cuCtxCreate(&a, nullptr, 0, dev));
	CU_OK(cuCtxCreate(&b, nullptr, 0, dev));
	CU_OK(cuCtxGetId(a, &ida));
	CU_OK(cuCtxGetId(nullptr, &idb));
	EXPECT_NE(ida, idb);
	CU_OK(cuCtxGetApiVersion(a, &version));
	EXPECT_EQ(version, 3020u);
	CU_OK(cuCtxGetLimit(&v, CU_LIMIT_PRINTF_FIFO_SIZE));
	EXPECT_GT(v, 0u);
	CU_OK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
	CU_OK(cuCtxGetLimit(&v, CU_LIMIT_STACK_SIZE));
	EXPECT_GE(v, 4096u);
	CU_IS(cuCtxGetLimit(&v, CU_LIMIT_MAX), CUDA_ERROR_INVALID_VALUE);
	/* cuBLAS 13 asks: no context of ours shares the GPU with graphics. */
	v = 1;
	CU_OK(cuCtxGetLimit(&v, CU_LIMIT_CIG_ENABLED));
	EXPECT_EQ(v, 0u);
	CU_OK(cuCtxGetLimit(&v, CU_LIMIT_SHMEM_SIZE));
	EXPECT_GE(v, 49152u);
	CU_IS(cuCtxSetLimit(CU_LIMIT_CIG_ENABLED, 1), CUDA_ERROR_UNSUPPORTED_LIMIT);
	CU_IS(cuCtxGetLimit(nullptr, CU_LIMIT_STACK_SIZE), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuCtxDestroy(a));
	CU_OK(cuCtxDestroy(b));
}

TEST_F(Context, AForkedChildIsNotInitialised)
{
	CUcontext c;
	int status;

	CU_OK(cuCtxCreate(&c, nullptr, 0, dev));
	pid_t pid = fork();
	if (!pid) {
		int n, bad = 0;

		bad += cuInit(0) != CUDA_ERROR_NOT_INITIALIZED;
		bad += cuDeviceGetCount(&n) != CUDA_ERROR_NOT_INITIALIZED;
		bad += cuCtxSynchronize() != CUDA_ERROR_NOT_INITIALIZED;
		bad += cuCtxDestroy(c) != CUDA_ERROR_NOT_INITIALIZED;
		_exit(bad);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	CU_IS(cuCtxSynchronize(), CUDA_SUCCESS) << "the parent goes on";
	CU_OK(cuCtxDestroy(c));
}

TEST_F(Context, OneWayToWaitOnly)
{
	CUcontext c;

	CU_IS(cuDevicePrimaryCtxSetFlags(dev, CU_CTX_SCHED_SPIN | CU_CTX_SCHED_YIELD),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuCtxSetFlags(CU_CTX_SCHED_BLOCKING_SYNC | CU_CTX_SCHED_YIELD),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuCtxCreate_v4(&c, nullptr, CU_CTX_SCHED_SPIN | CU_CTX_SCHED_YIELD, dev),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuCtxCreate_v4(&c, nullptr, CU_CTX_SCHED_YIELD | CU_CTX_MAP_HOST, dev));
	CU_OK(cuCtxDestroy(c));
}

} // namespace

/* SPDX-License-Identifier: MIT */
/* A kernel that goes wild: its context is lost, with the code hardware gives; others are not. */
#include "api/api_test.h"
#include "api/kernels.h"

#include <cstdio>
#include <string>
#include <unistd.h>

namespace {

class Fault : public testing::Test {
protected:
	void SetUp() override
	{
		CU_OK(cuInit(0));
		CU_OK(cuDeviceGet(&dev, 0));
		CU_OK(cuCtxCreate(&ctx, nullptr, 0, dev));
		CU_OK(cuModuleLoadData(&mod, kernels_ptx));
	}

	void TearDown() override { CU_IS(cuCtxDestroy(ctx), CUDA_SUCCESS); }

	CUresult run(const char *name, void **args = nullptr)
	{
		CUfunction f;
		CUresult r = cuModuleGetFunction(&f, mod, name);

		return r ? r : cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, args, nullptr);
	}

	CUdevice dev;
	CUcontext ctx;
	CUmodule mod;
};

TEST_F(Fault, TheErrorStays)
{
	CUdeviceptr p;

	CU_OK(run("wild"));
	CU_IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	CU_IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	CU_IS(run("wild"), CUDA_ERROR_ILLEGAL_ADDRESS);
	CU_IS(cuMemAlloc(&p, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
	CU_IS(cuStreamSynchronize(nullptr), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_F(Fault, AnotherContextGoesOn)
{
	CUcontext other;
	CUdeviceptr p;

	CU_OK(run("wild"));
	CU_IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	CU_OK(cuCtxCreate(&other, nullptr, 0, dev));
	CU_OK(cuMemAlloc(&p, 4));
	CU_OK(cuMemsetD32(p, 1, 1));
	CU_OK(cuCtxSynchronize());
	CU_OK(cuCtxDestroy(other));
}

/* What a kernel prints is there when a synchronising call returns. */
TEST_F(Fault, PrintedTextReachesStdout)
{
	unsigned v = 42;
	void *args[] = { &v };
	char path[] = "/tmp/api_faultXXXXXX", text[64] = "";
	int fd = mkstemp(path), saved;

	ASSERT_GE(fd, 0);
	fflush(stdout);
	saved = dup(1);
	dup2(fd, 1);
	EXPECT_EQ(run("hello", args), CUDA_SUCCESS);
	EXPECT_EQ(cuCtxSynchronize(), CUDA_SUCCESS);
	fflush(stdout);
	dup2(saved, 1);
	close(saved);
	EXPECT_EQ(pread(fd, text, sizeof(text) - 1, 0), 6);
	EXPECT_STREQ(text, "hi 42\n");
	close(fd);
	unlink(path);
}

} // namespace

/* SPDX-License-Identifier: MIT */
/* Launches: the ways to pass parameters, what is refused, attributes, occupancy, the old API. */
#include "api/api_test.h"
#include "api/kernels.h"

#include <cstring>

/* The old calls are tested, too. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace {

class Launch : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuModuleLoadData(&mod, kernels_ptx));
		CU_OK(cuModuleGetFunction(&saxpy, mod, "saxpy"));
		x = alloc(4096);
		y = alloc(4096);
		CU_OK(cuMemsetD32(x, 0x40000000, 1024)); /* 2.0 */
		CU_OK(cuMemsetD32(y, 0x3f800000, 1024)); /* 1.0 */
		/* Memsets do not wait, and non-blocking streams do not wait for them. */
		CU_OK(cuCtxSynchronize());
	}

	void TearDown() override
	{
		CU_IS(cuMemFree(x), CUDA_SUCCESS);
		CU_IS(cuMemFree(y), CUDA_SUCCESS);
		CU_IS(cuModuleUnload(mod), CUDA_SUCCESS);
		Api::TearDown();
	}

	CUfunction func(const char *name)
	{
		CUfunction f = nullptr;

		EXPECT_EQ(cuModuleGetFunction(&f, mod, name), CUDA_SUCCESS);
		return f;
	}

	float result(int i)
	{
		float v[1024];

		EXPECT_EQ(cuMemcpyDtoH(v, y, sizeof(v)), CUDA_SUCCESS);
		return v[i];
	}

	CUresult go(unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
		    unsigned shared = 0)
	{
		return cuLaunchKernel(saxpy, gx, gy, gz, bx, by, bz, shared, nullptr, args,
				      nullptr);
	}

	CUmodule mod;
	CUfunction saxpy;
	CUdeviceptr x, y;
	unsigned n = 1000;
	float a = 3;
	void *args[4] = { &n, &a, &x, &y };
};

TEST_F(Launch, ParametersByPointer)
{
	CU_OK(go(8, 1, 1, 128, 1, 1));
	EXPECT_EQ(result(0), 7.f);
	EXPECT_EQ(result(999), 7.f);
	EXPECT_EQ(result(1000), 1.f);
}

TEST_F(Launch, ParametersAsABlock)
{
	struct {
		unsigned n;
		float a;
		CUdeviceptr x, y;
	} block = { 1000, 1, x, y };
	size_t bytes = sizeof(block);
	void *extra[] = { CU_LAUNCH_PARAM_BUFFER_POINTER, &block, CU_LAUNCH_PARAM_BUFFER_SIZE,
			  &bytes, CU_LAUNCH_PARAM_END };

	CU_OK(cuLaunchKernel(saxpy, 8, 1, 1, 128, 1, 1, 0, nullptr, nullptr, extra));
	EXPECT_EQ(result(999), 3.f);
	CU_IS(cuLaunchKernel(saxpy, 8, 1, 1, 128, 1, 1, 0, nullptr, args, extra),
	      CUDA_ERROR_INVALID_VALUE);
	bytes -= 8;
	CU_IS(cuLaunchKernel(saxpy, 8, 1, 1, 128, 1, 1, 0, nullptr, nullptr, extra),
	      CUDA_ERROR_INVALID_VALUE);
	extra[2] = CU_LAUNCH_PARAM_END;
	CU_IS(cuLaunchKernel(saxpy, 8, 1, 1, 128, 1, 1, 0, nullptr, nullptr, extra),
	      CUDA_ERROR_INVALID_VALUE);
	extra[0] = &block;
	CU_IS(cuLaunchKernel(saxpy, 8, 1, 1, 128, 1, 1, 0, nullptr, nullptr, extra),
	      CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Launch, ParametersOfManyBytes)
{
	uint32_t block[1000] = {}, v;
	void *big[] = { block, &y };

	block[999] = 0xabcd1234;
	CU_OK(cuLaunchKernel(func("big"), 1, 1, 1, 1, 1, 1, 0, nullptr, big, nullptr));
	CU_OK(cuMemcpyDtoH(&v, y, 4));
	EXPECT_EQ(v, 0xabcd1234u);
}

TEST_F(Launch, ParametersAreTakenAtTheCall)
{
	Gate gate;
	CUstream s;

	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(gate.hold(s));
	CU_OK(cuLaunchKernel(saxpy, 8, 1, 1, 128, 1, 1, 0, s, args, nullptr));
	a = 100;
	n = 0;
	gate.open();
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(result(999), 7.f);
	CU_OK(cuStreamDestroy(s));
}

TEST_F(Launch, WhatIsRefused)
{
	CU_IS(cuLaunchKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, args, nullptr),
	      CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuLaunchKernel(reinterpret_cast<CUfunction>(mod), 1, 1, 1, 1, 1, 1, 0, nullptr, args,
			     nullptr),
	      CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuLaunchKernel(saxpy, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLaunchKernel(saxpy, 1, 1, 1, 1, 1, 1, 0, reinterpret_cast<CUstream>(&mod), args,
			     nullptr),
	      CUDA_ERROR_INVALID_HANDLE);
	CU_IS(go(0, 1, 1, 1, 1, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(go(1, 1, 1, 1, 0, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(go(1, 65536, 1, 1, 1, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(go(1, 1, 65536, 1, 1, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(go(0x80000000u, 1, 1, 1, 1, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(go(1, 1, 1, 1025, 1, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(go(1, 1, 1, 64, 32, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(go(1, 1, 1, 1, 1, 65), CUDA_ERROR_INVALID_VALUE);
	CU_IS(go(1, 1, 1, 32, 1, 1, 49153), CUDA_ERROR_INVALID_VALUE);
	CU_IS(go(1, 1, 1, 1024, 1, 1, 49152), CUDA_SUCCESS);
}

TEST_F(Launch, BoundsOfTheKernel)
{
	void *one[] = { &y };
	int v;

	CU_OK(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, func("bounded")));
	EXPECT_EQ(v, 64);
	CU_IS(cuLaunchKernel(func("bounded"), 1, 1, 1, 64, 1, 1, 0, nullptr, one, nullptr),
	      CUDA_SUCCESS);
	CU_IS(cuLaunchKernel(func("bounded"), 1, 1, 1, 65, 1, 1, 0, nullptr, one, nullptr),
	      CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
	CU_IS(cuLaunchKernel(func("fixed"), 1, 1, 1, 32, 2, 1, 0, nullptr, one, nullptr),
	      CUDA_SUCCESS);
	CU_IS(cuLaunchKernel(func("fixed"), 1, 1, 1, 64, 1, 1, 0, nullptr, one, nullptr),
	      CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Launch, SharedMemoryAboveTheDefaultMustBeAskedFor)
{
	int v;

	CU_IS(go(1, 1, 1, 32, 1, 1, 100000), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuFuncSetAttribute(saxpy, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100000));
	CU_OK(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, saxpy));
	EXPECT_EQ(v, 100000);
	CU_IS(go(1, 1, 1, 32, 1, 1, 100000), CUDA_SUCCESS);
	CU_IS(cuFuncSetAttribute(saxpy, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 300000),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuFuncSetAttribute(saxpy, CU_FUNC_ATTRIBUTE_MAX, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Launch, AFunctionOfAnotherContext)
{
	CUcontext other;

	CU_OK(cuCtxCreate(&other, nullptr, 0, dev));
	CU_IS(go(1, 1, 1, 32, 1, 1), CUDA_ERROR_INVALID_HANDLE);
	CU_OK(cuCtxDestroy(other));
}

TEST_F(Launch, Attributes)
{
	CUlaunchConfig c = {};
	CUlaunchAttribute at[2] = {};

	c.gridDimX = 8;
	c.blockDimX = 128;
	c.gridDimY = c.gridDimZ = c.blockDimY = c.blockDimZ = 1;
	c.attrs = at;
	c.numAttrs = 2;
	at[0].id = CU_LAUNCH_ATTRIBUTE_PRIORITY;
	at[1].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
	at[1].value.programmaticStreamSerializationAllowed = 1;
	CU_OK(cuLaunchKernelEx(&c, saxpy, args, nullptr));
	EXPECT_EQ(result(999), 7.f);

	at[1].id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
	at[1].value.cooperative = 1;
	CU_OK(cuLaunchKernelEx(&c, saxpy, args, nullptr));
	EXPECT_EQ(result(999), 13.f);
	c.gridDimX = 1 << 20;
	CU_IS(cuLaunchKernelEx(&c, saxpy, args, nullptr), CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);

	c.gridDimX = 8;
	at[1].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
	at[1].value.clusterDim.x = 3;
	at[1].value.clusterDim.y = at[1].value.clusterDim.z = 1;
	CU_IS(cuLaunchKernelEx(&c, saxpy, args, nullptr), CUDA_ERROR_INVALID_CLUSTER_SIZE);

	at[1].id = static_cast<CUlaunchAttributeID>(63);
	CU_IS(cuLaunchKernelEx(&c, saxpy, args, nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLaunchKernelEx(nullptr, saxpy, args, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Launch, CompletionEvent)
{
	CUlaunchConfig c = {};
	CUlaunchAttribute at = {};
	CUevent e;

	CU_OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	c.gridDimX = 8;
	c.blockDimX = 128;
	c.gridDimY = c.gridDimZ = c.blockDimY = c.blockDimZ = 1;
	c.attrs = &at;
	c.numAttrs = 1;
	at.id = CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT;
	at.value.launchCompletionEvent.event = e;
	CU_OK(cuLaunchKernelEx(&c, saxpy, args, nullptr));
	CU_OK(cuEventSynchronize(e));
	EXPECT_EQ(result(999), 7.f);
	CU_OK(cuEventDestroy(e));
}

TEST_F(Launch, TheOldWay)
{
	CU_OK(cuFuncSetBlockShape(saxpy, 128, 1, 1));
	CU_OK(cuParamSetSize(saxpy, 24));
	CU_OK(cuParamSeti(saxpy, 0, 1000));
	CU_OK(cuParamSetf(saxpy, 4, 3));
	CU_OK(cuParamSetv(saxpy, 8, &x, 8));
	CU_OK(cuParamSetv(saxpy, 16, &y, 8));
	CU_OK(cuLaunchGrid(saxpy, 8, 1));
	EXPECT_EQ(result(999), 7.f);
	CU_IS(cuParamSetv(saxpy, -1, &y, 8), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuParamSetSize(saxpy, 5000), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuFuncSetBlockShape(saxpy, 0, 1, 1), CUDA_ERROR_INVALID_VALUE);
}

size_t shared_of(int block)
{
	return size_t(block) * 512;
}

TEST_F(Launch, Occupancy)
{
	int blocks, grid, block;
	size_t bytes;

	CU_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, saxpy, 256, 0));
	EXPECT_EQ(blocks, 8);
	CU_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, saxpy, 1024, 0));
	EXPECT_EQ(blocks, 2);
	CU_OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, saxpy, nullptr, 0, 0));
	EXPECT_EQ(block, 1024);
	EXPECT_EQ(grid, 264);
	CU_OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, saxpy, shared_of, 0, 256));
	EXPECT_LE(block, 96) << "48 KiB at most";
	EXPECT_GT(block, 0);
	CU_OK(cuOccupancyAvailableDynamicSMemPerBlock(&bytes, saxpy, 8, 256));
	EXPECT_GT(bytes, 20000u);
	EXPECT_LE(bytes, 49152u);
	CU_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, saxpy, 256, bytes));
	EXPECT_GE(blocks, 8);
	CU_IS(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, saxpy, 0, 0),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuOccupancyMaxActiveBlocksPerMultiprocessor(nullptr, saxpy, 32, 0),
	      CUDA_ERROR_INVALID_VALUE);
}

/* The runtime library hands codes on: 9 is cudaErrorInvalidConfiguration, which its users look for. */
TEST_F(Launch, WhatTheRuntimeLoadedIsAnInvalidConfiguration)
{
	struct {
		int magic, version;
		const void *data;
		void *more;
	} wrapper = { 0x466243b1, 1, kernels_ptx, nullptr };
	void *out[] = { &x };
	CUfunction f;
	CUmodule m;

	CU_OK(cuModuleLoadFatBinary(&m, &wrapper));
	CU_OK(cuModuleGetFunction(&f, m, "tid"));
	CU_IS(cuLaunchKernel(f, 1, 1, 1, 2000, 1, 1, 0, nullptr, out, nullptr), CUresult(9));
	CU_IS(cuLaunchKernel(f, 0, 1, 1, 1, 1, 1, 0, nullptr, out, nullptr), CUresult(9));
	CU_IS(cuLaunchKernel(func("tid"), 0, 1, 1, 1, 1, 1, 0, nullptr, out, nullptr),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 50000, nullptr, out, nullptr),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuModuleUnload(m));
}

} // namespace

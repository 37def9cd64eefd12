/* SPDX-License-Identifier: MIT */
/* Green contexts: parts of the multiprocessors, their streams; events of all work of a context. */
#include "api/api_test.h"
#include "api/kernels.h"

namespace {

class Green : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuDeviceGetDevResource(dev, &whole, CU_DEV_RESOURCE_TYPE_SM));
	}
	CUgreenCtx create(const CUdevResource &r)
	{
		CUdevResource copy = r;
		CUdevResourceDesc desc;
		CUgreenCtx g = nullptr;

		EXPECT_EQ(cuDevResourceGenerateDesc(&desc, &copy, 1), CUDA_SUCCESS);
		EXPECT_EQ(cuGreenCtxCreate(&g, desc, dev, CU_GREEN_CTX_DEFAULT_STREAM),
			  CUDA_SUCCESS);
		return g;
	}

	CUdevResource whole = {};
};

TEST_F(Green, Splits)
{
	CUdevResource part[32], rest, again[2];
	unsigned n = 0, all = whole.sm.smCount, few = 3;
	int sms;

	CU_OK(cuDeviceGetAttribute(&sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, dev));
	EXPECT_EQ(all, static_cast<unsigned>(sms));
	CU_OK(cuDevSmResourceSplitByCount(nullptr, &n, &whole, nullptr, 0, 10));
	EXPECT_EQ(n, all / 16); /* multiples of 8 */
	CU_OK(cuDevSmResourceSplitByCount(part, &few, &whole, &rest, 0, 10));
	EXPECT_EQ(few, 3u);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(part[i].sm.smCount, 16u);
	EXPECT_EQ(rest.sm.smCount, all - 48);
	few = 2;
	CU_IS(cuDevSmResourceSplitByCount(again, &few, &part[0], nullptr, 0, 8),
	      CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION);
	n = 0;
	CU_OK(cuDevSmResourceSplitByCount(nullptr, &n, &whole, nullptr,
					  CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING, 3));
	EXPECT_EQ(n, all / 4);
	CU_IS(cuDevSmResourceSplitByCount(nullptr, &n, &whole, nullptr, 0, all + 1),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDevSmResourceSplitByCount(nullptr, nullptr, &whole, nullptr, 0, 1),
	      CUDA_ERROR_INVALID_VALUE);
	rest = {};
	CU_IS(cuDevSmResourceSplitByCount(nullptr, &n, &rest, nullptr, 0, 1),
	      CUDA_ERROR_INVALID_RESOURCE_TYPE);
}

TEST_F(Green, KernelsOfThePrimaryContextRunInItsStreams)
{
	CUdevResource part, got;
	unsigned one = 1, n = 1000;
	unsigned long long id = 0;
	CUgreenCtx g, of;
	CUcontext c;
	CUmodule module;
	CUfunction f;
	CUstream s;

	CU_OK(cuDevSmResourceSplitByCount(&part, &one, &whole, nullptr, 0, 8));
	g = create(part);
	CU_OK(cuGreenCtxGetDevResource(g, &got, CU_DEV_RESOURCE_TYPE_SM));
	EXPECT_EQ(got.sm.smCount, 8u);
	CU_OK(cuCtxFromGreenCtx(&c, g));
	EXPECT_EQ(c, ctx);
	CU_OK(cuGreenCtxGetId(g, &id));
	EXPECT_NE(id, 0u);
	CU_OK(cuGreenCtxStreamCreate(&s, g, CU_STREAM_NON_BLOCKING, 0));
	CU_OK(cuStreamGetGreenCtx(s, &of));
	EXPECT_EQ(of, g);
	CU_OK(cuStreamGetCtx_v2(s, &c, &of));
	EXPECT_EQ(of, g);
	CU_OK(cuModuleLoadData(&module, kernels_ptx));
	CU_OK(cuModuleGetFunction(&f, module, "tid"));
	CUdeviceptr p = alloc(n * 64 * 4);
	void *args[] = { &p };
	CU_OK(cuLaunchKernel(f, n, 1, 1, 64, 1, 1, 0, s, args, nullptr));
	CU_OK(cuStreamSynchronize(s));
	uint32_t last;
	CU_OK(cuMemcpyDtoH(&last, p + (n * 64 - 1) * 4, 4));
	EXPECT_EQ(last, 63u);
	CU_OK(cuMemFree(p));
	CU_OK(cuModuleUnload(module));
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuGreenCtxDestroy(g));
	CU_IS(cuGreenCtxDestroy(g), CUDA_ERROR_INVALID_CONTEXT);
}

TEST_F(Green, EventsOfAContext)
{
	CUdeviceptr p = alloc(64);
	CUstream a, b;
	CUevent e, later;
	Gate gate;

	CU_OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	CU_OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	CU_OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	CU_OK(cuEventCreate(&later, CU_EVENT_DISABLE_TIMING));
	CU_OK(cuMemsetD8(p, 0, 64));
	CU_OK(cuCtxSynchronize());
	CU_OK(gate.hold(a));
	CU_OK(cuCtxRecordEvent(ctx, e)); /* behind what a holds up */
	CU_IS(cuEventQuery(e), CUDA_ERROR_NOT_READY);
	CU_OK(cuCtxWaitEvent(ctx, e)); /* now b is held up, too */
	CU_OK(cuMemsetD8Async(p, 1, 64, b));
	CU_OK(cuEventRecord(later, b));
	CU_IS(cuEventQuery(later), CUDA_ERROR_NOT_READY);
	gate.open();
	CU_OK(cuEventSynchronize(later));
	CU_OK(cuEventQuery(e));
	EXPECT_EQ(read(p, 64), std::vector<uint8_t>(64, 1));
	CU_IS(cuCtxRecordEvent(ctx, nullptr), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuCtxWaitEvent(ctx, nullptr), CUDA_ERROR_INVALID_HANDLE);
	CU_OK(cuEventDestroy(e));
	CU_OK(cuEventDestroy(later));
	CU_OK(cuStreamDestroy(a));
	CU_OK(cuStreamDestroy(b));
	CU_OK(cuMemFree(p));
}

TEST_F(Green, EventsOfItsStreamsAlone)
{
	CUgreenCtx g = create(whole);
	CUstream mine, other;
	CUevent e;
	Gate gate;

	CU_OK(cuGreenCtxStreamCreate(&mine, g, CU_STREAM_NON_BLOCKING, 0));
	CU_OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	CU_OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	CU_OK(gate.hold(other));
	CU_OK(cuGreenCtxRecordEvent(g, e));
	CU_OK(cuEventSynchronize(e)); /* nothing of the other stream */
	CU_OK(cuGreenCtxWaitEvent(g, e));
	CU_OK(cuStreamSynchronize(mine));
	gate.open();
	CU_OK(cuStreamSynchronize(other));
	CU_OK(cuEventDestroy(e));
	CU_OK(cuStreamDestroy(mine));
	CU_OK(cuStreamDestroy(other));
	CU_OK(cuGreenCtxDestroy(g));
}

TEST_F(Green, Refused)
{
	CUdevResource two[2] = { whole, whole }, none = {};
	CUdevResourceDesc desc;
	CUgreenCtx g;
	CUstream s;

	CU_IS(cuDevResourceGenerateDesc(&desc, two, 2), CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION);
	CU_IS(cuDevResourceGenerateDesc(&desc, &none, 1), CUDA_ERROR_INVALID_RESOURCE_TYPE);
	CU_IS(cuDevResourceGenerateDesc(&desc, two, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDeviceGetDevResource(dev, two, CU_DEV_RESOURCE_TYPE_INVALID),
	      CUDA_ERROR_INVALID_RESOURCE_TYPE);
	CU_IS(cuDeviceGetDevResource(99, two, CU_DEV_RESOURCE_TYPE_SM), CUDA_ERROR_INVALID_DEVICE);
	CU_OK(cuDevResourceGenerateDesc(&desc, two, 1));
	CU_IS(cuGreenCtxCreate(&g, desc, dev, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGreenCtxCreate(&g, nullptr, dev, CU_GREEN_CTX_DEFAULT_STREAM),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGreenCtxCreate(&g, desc, 99, CU_GREEN_CTX_DEFAULT_STREAM),
	      CUDA_ERROR_INVALID_DEVICE);
	g = create(whole);
	CU_IS(cuGreenCtxStreamCreate(&s, g, CU_STREAM_DEFAULT, 0), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuGreenCtxDestroy(g));
	CU_IS(cuGreenCtxStreamCreate(&s, g, CU_STREAM_NON_BLOCKING, 0), CUDA_ERROR_INVALID_CONTEXT);
	CU_OK(cuStreamGetGreenCtx(nullptr, &g));
	EXPECT_EQ(g, nullptr);
}

} // namespace

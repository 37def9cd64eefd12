/* SPDX-License-Identifier: MIT */
/* Two devices in one process: copies between them, access to each other's memory, a kernel on both. */
#include "api/api_test.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace {

static const char peer_ptx[] = R"(
.version 6.5
.target sm_70
.address_size 64

.visible .entry add(.param .u64 from, .param .u64 to, .param .u32 n)
{
	.reg .b64 %f, %t, %a;
	.reg .b32 %r<2>, %i;
	ld.param.u64 %f, [from];
	ld.param.u64 %t, [to];
	ld.param.u32 %r0, [n];
	mov.u32 %i, %tid.x;
	mul.wide.u32 %a, %i, 4;
	add.u64 %f, %f, %a;
	add.u64 %t, %t, %a;
	ld.global.u32 %r1, [%f];
	add.u32 %r1, %r1, %r0;
	st.global.u32 [%t], %r1;
	ret;
}

.visible .entry count(.param .u64 at)
{
	.reg .b64 %a;
	.reg .b32 %r;
	ld.param.u64 %a, [at];
	atom.sys.global.add.u32 %r, [%a], 1;
	ret;
}

.visible .entry other()
{
	ret;
}
)";

class Peers : public Api {
protected:
	void SetUp() override
	{
		int n = 0;

		CU_OK(cuInit(0));
		CU_OK(cuDeviceGetCount(&n));
		if (n < 2)
			GTEST_SKIP() << "needs two devices";
		for (int i = 0; i < 2; i++) {
			CU_OK(cuDeviceGet(&device[i], i));
			CU_OK(cuDevicePrimaryCtxRetain(&context[i], device[i]));
			CU_OK(cuCtxSetCurrent(context[i]));
			CU_OK(cuModuleLoadData(&module[i], peer_ptx));
			CU_OK(cuStreamCreate(&stream[i], CU_STREAM_NON_BLOCKING));
			CU_OK(cuMemAlloc(&memory[i], kBytes));
			ready = i + 1;
		}
	}

	void TearDown() override
	{
		for (int i = 0; i < ready; i++) {
			CU_IS(cuCtxSetCurrent(context[i]), CUDA_SUCCESS);
			CU_IS(cuCtxSynchronize(), CUDA_SUCCESS);
			CU_IS(cuMemFree(memory[i]), CUDA_SUCCESS);
			CU_IS(cuStreamDestroy(stream[i]), CUDA_SUCCESS);
			CU_IS(cuModuleUnload(module[i]), CUDA_SUCCESS);
			CU_IS(cuCtxSetCurrent(nullptr), CUDA_SUCCESS);
			CU_IS(cuDevicePrimaryCtxRelease(device[i]), CUDA_SUCCESS);
		}
	}

	void on(int i) { ASSERT_EQ(cuCtxSetCurrent(context[i]), CUDA_SUCCESS); }

	CUfunction function(int i, const char *name)
	{
		CUfunction f = nullptr;

		EXPECT_EQ(cuModuleGetFunction(&f, module[i], name), CUDA_SUCCESS);
		return f;
	}

	/* A launch of @name for both devices; the parameters stay the caller's. */
	std::vector<CUDA_LAUNCH_PARAMS> both(const char *name, void **p0, void **p1)
	{
		std::vector<CUDA_LAUNCH_PARAMS> v(2);

		for (int i = 0; i < 2; i++) {
			CUDA_LAUNCH_PARAMS &p = v[static_cast<size_t>(i)];

			p.function = function(i, name);
			p.gridDimX = 4;
			p.gridDimY = p.gridDimZ = 1;
			p.blockDimX = 32;
			p.blockDimY = p.blockDimZ = 1;
			p.hStream = stream[i];
			p.kernelParams = i ? p1 : p0;
		}
		return v;
	}

	static constexpr size_t kBytes = 1 << 20;
	CUdevice device[2];
	CUcontext context[2];
	CUmodule module[2];
	CUstream stream[2];
	CUdeviceptr memory[2];
	int ready = 0;
};

TEST_F(Peers, BothSayTheyCan)
{
	int can = 0, v = -1;

	CU_OK(cuDeviceCanAccessPeer(&can, device[0], device[1]));
	EXPECT_EQ(can, 1);
	CU_OK(cuDeviceCanAccessPeer(&can, device[1], device[0]));
	EXPECT_EQ(can, 1);
	CU_OK(cuDeviceGetP2PAttribute(&v, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, device[0],
				      device[1]));
	EXPECT_EQ(v, 1);
	CU_IS(cuDeviceGetP2PAttribute(&v, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, device[1],
				      device[1]),
	      CUDA_ERROR_INVALID_DEVICE);
}

TEST_F(Peers, AccessIsEnabledOnceAndDisabledOnce)
{
	on(0);
	CU_IS(cuCtxDisablePeerAccess(context[1]), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
	CU_OK(cuCtxEnablePeerAccess(context[1], 0));
	CU_IS(cuCtxEnablePeerAccess(context[1], 0), CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
	on(1); /* the other direction is another matter */
	CU_IS(cuCtxDisablePeerAccess(context[0]), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
	on(0);
	CU_OK(cuCtxDisablePeerAccess(context[1]));
	CU_IS(cuCtxDisablePeerAccess(context[1]), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
}

TEST_F(Peers, CopiesBetweenThem)
{
	auto v = pattern(kBytes, 1), w = pattern(kBytes, 2);
	CUdevice where = -1;

	on(0);
	CU_OK(cuMemcpyHtoD(memory[0], v.data(), kBytes));
	CU_OK(cuMemcpyPeer(memory[1], context[1], memory[0], context[0], kBytes));
	EXPECT_EQ(read(memory[1], kBytes), v);
	on(1);
	CU_OK(cuMemcpyHtoD(memory[1], w.data(), kBytes));
	CU_OK(cuMemcpyPeerAsync(memory[0], context[0], memory[1], context[1], kBytes, stream[1]));
	CU_OK(cuStreamSynchronize(stream[1]));
	EXPECT_EQ(read(memory[0], kBytes), w);
	/* By the addresses alone. */
	CU_OK(cuMemcpyDtoD(memory[1] + 4096, memory[0], 4096));
	EXPECT_EQ(read(memory[1] + 4096, 4096), std::vector<uint8_t>(w.begin(), w.begin() + 4096));
	CU_OK(cuPointerGetAttribute(&where, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, memory[0]));
	EXPECT_EQ(where, device[0]);
	CU_OK(cuPointerGetAttribute(&where, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, memory[1]));
	EXPECT_EQ(where, device[1]);
}

TEST_F(Peers, Boxes)
{
	auto v = pattern(64 * 16);
	CUDA_MEMCPY3D_PEER c = {};

	on(0);
	CU_OK(cuMemcpyHtoD(memory[0], v.data(), v.size()));
	CU_OK(cuMemsetD8(memory[1], 0, 4096));
	c.srcMemoryType = c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
	c.srcContext = context[0];
	c.dstContext = context[1];
	c.srcDevice = memory[0];
	c.dstDevice = memory[1];
	c.srcPitch = 64;
	c.dstPitch = 128;
	c.srcHeight = c.dstHeight = 16;
	c.WidthInBytes = 32;
	c.Height = 16;
	c.Depth = 1;
	CU_OK(cuMemcpy3DPeer(&c));

	auto got = read(memory[1], 16 * 128);

	for (size_t y = 0; y < 16; y++) {
		ASSERT_EQ(memcmp(&got[y * 128], &v[y * 64], 32), 0) << y;
		ASSERT_EQ(got[y * 128 + 32], 0) << y;
	}
}

TEST_F(Peers, KernelsReachTheOthersMemory)
{
	std::vector<uint32_t> v(32), got(32);
	uint32_t n = 1000;
	void *params[] = { &memory[1], &memory[0], &n };

	for (uint32_t i = 0; i < 32; i++)
		v[i] = i;
	on(1);
	CU_OK(cuMemcpyHtoD(memory[1], v.data(), 128));
	on(0);
	CU_OK(cuCtxEnablePeerAccess(context[1], 0));
	CU_OK(cuLaunchKernel(function(0, "add"), 1, 1, 1, 32, 1, 1, 0, stream[0], params, nullptr));
	CU_OK(cuStreamSynchronize(stream[0]));
	CU_OK(cuMemcpyDtoH(got.data(), memory[0], 128));
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(got[i], i + 1000);
	CU_OK(cuCtxDisablePeerAccess(context[1]));
}

TEST_F(Peers, StreamsWaitForEachOther)
{
	uint32_t one = 1, two = 2, got = 0;
	void *first[] = { &memory[0], &memory[0], &one },
	     *second[] = { &memory[0], &memory[1], &two };
	CUevent e;

	on(0);
	CU_OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	for (int i = 0; i < 50; i++) {
		CU_OK(cuMemsetD32(memory[0], 0, 32));
		CU_OK(cuCtxSynchronize());
		CU_OK(cuLaunchKernel(function(0, "add"), 1, 1, 1, 32, 1, 1, 0, stream[0], first,
				     nullptr));
		CU_OK(cuEventRecord(e, stream[0]));
		CU_OK(cuStreamWaitEvent(stream[1], e, 0));
		CU_OK(cuLaunchKernel(function(1, "add"), 1, 1, 1, 32, 1, 1, 0, stream[1], second,
				     nullptr));
		CU_OK(cuStreamSynchronize(stream[1]));
		CU_OK(cuMemcpyDtoH(&got, memory[1], 4));
		ASSERT_EQ(got, 3u);
	}
	CU_OK(cuEventDestroy(e));
}

TEST_F(Peers, OneKernelOnBoth)
{
	void *params[] = { &memory[0] };
	auto list = both("count", params, params);
	uint32_t got = 0;

	on(0);
	CU_OK(cuMemsetD32(memory[0], 0, 1));
	CU_OK(cuCtxSynchronize());
	CU_OK(cuLaunchCooperativeKernelMultiDevice(list.data(), 2, 0));
	CU_OK(cuStreamSynchronize(
		stream[0])); /* what follows in either stream follows both grids */
	CU_OK(cuMemcpyDtoH(&got, memory[0], 4));
	EXPECT_EQ(got, 2u * 4 * 32);
	CU_OK(cuLaunchCooperativeKernelMultiDevice(
		list.data(), 2,
		CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_PRE_LAUNCH_SYNC |
			CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_POST_LAUNCH_SYNC));
	CU_OK(cuStreamSynchronize(stream[0]));
	CU_OK(cuStreamSynchronize(stream[1]));
	CU_OK(cuLaunchCooperativeKernelMultiDevice(list.data(), 1, 0));
	CU_OK(cuStreamSynchronize(stream[0]));
	CU_OK(cuMemcpyDtoH(&got, memory[0], 4));
	EXPECT_EQ(got, 5u * 4 * 32);
}

/* Neither grid starts while one of the streams is held up, and what comes later waits for both. */
TEST_F(Peers, BothWaitForBothStreams)
{
	void *params[] = { &memory[0] };
	auto list = both("count", params, params);
	uint32_t got = 99;
	Gate gate;

	on(0);
	CU_OK(cuMemsetD32(memory[0], 0, 1));
	CU_OK(cuCtxSynchronize());
	CU_OK(gate.hold(stream[1]));
	CU_OK(cuLaunchCooperativeKernelMultiDevice(list.data(), 2, 0));
	CU_IS(cuStreamQuery(stream[0]), CUDA_ERROR_NOT_READY);
	CU_OK(cuMemcpyDtoH(&got, memory[0], 4));
	EXPECT_EQ(got, 0u);
	gate.open();
	CU_OK(cuStreamSynchronize(stream[0]));
	CU_OK(cuMemcpyDtoH(&got, memory[0], 4));
	EXPECT_EQ(got, 256u);
}

TEST_F(Peers, WrongLaunches)
{
	void *params[] = { &memory[0] };
	const auto right = both("count", params, params);
	auto list = right;

	CU_IS(cuLaunchCooperativeKernelMultiDevice(nullptr, 1, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLaunchCooperativeKernelMultiDevice(list.data(), 0, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLaunchCooperativeKernelMultiDevice(list.data(), 2, 4), CUDA_ERROR_INVALID_VALUE);
	list[1].hStream = nullptr;
	CU_IS(cuLaunchCooperativeKernelMultiDevice(list.data(), 2, 0), CUDA_ERROR_INVALID_VALUE);
	list[1] = right[0]; /* twice on one device */
	CU_IS(cuLaunchCooperativeKernelMultiDevice(list.data(), 2, 0), CUDA_ERROR_INVALID_VALUE);
	list[1] = right[1];
	list[1].hStream = stream[0]; /* not of the function's context */
	CU_IS(cuLaunchCooperativeKernelMultiDevice(list.data(), 2, 0), CUDA_ERROR_INVALID_HANDLE);
	list[1] = right[1];
	list[1].gridDimX = 5;
	CU_IS(cuLaunchCooperativeKernelMultiDevice(list.data(), 2, 0), CUDA_ERROR_INVALID_VALUE);
	list[1] = right[1];
	list[1].function = function(1, "other");
	CU_IS(cuLaunchCooperativeKernelMultiDevice(list.data(), 2, 0), CUDA_ERROR_INVALID_VALUE);
	list = right;
	list[0].gridDimX = list[1].gridDimX = 1 << 20;
	CU_IS(cuLaunchCooperativeKernelMultiDevice(list.data(), 2, 0),
	      CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	list = right;
	CU_OK(cuLaunchCooperativeKernelMultiDevice(list.data(), 2, 0));
}

TEST_F(Peers, ManagedMemoryIsOne)
{
	uint32_t n = 5, *host;
	CUdeviceptr p;

	on(0);
	if (!shared_pages()) {
		CU_IS(cuMemAllocManaged(&p, 4096, CU_MEM_ATTACH_GLOBAL), CUDA_ERROR_NOT_SUPPORTED);
		return;
	}
	CU_OK(cuMemAllocManaged(&p, 4096, CU_MEM_ATTACH_GLOBAL));
	host = reinterpret_cast<uint32_t *>(p);
	memset(host, 0, 4096);
	for (int i = 0; i < 2; i++) {
		void *params[] = { &p, &p, &n };

		CU_OK(cuLaunchKernel(function(i, "add"), 1, 1, 1, 32, 1, 1, 0, stream[i], params,
				     nullptr));
		CU_OK(cuStreamSynchronize(stream[i]));
	}
	EXPECT_EQ(host[31], 10u);
	CU_OK(cuMemFree(p));
}

} // namespace

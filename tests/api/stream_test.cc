/* SPDX-License-Identifier: MIT */
/* Streams: handles, order between them, waits, values in memory. */
#include "api/api_test.h"

#include <atomic>
#include <thread>
#include <unistd.h>

namespace {

using Stream = Api;

TEST_F(Stream, CreateAskDestroy)
{
	unsigned long long id = 0, other = 0;
	unsigned flags = 9;
	int priority = 9;
	CUcontext c = nullptr;
	CUdevice d = 9;
	CUstream s;

	CU_OK(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, -100));
	CU_OK(cuStreamGetFlags(s, &flags));
	EXPECT_EQ(flags, static_cast<unsigned>(CU_STREAM_NON_BLOCKING));
	CU_OK(cuStreamGetPriority(s, &priority));
	int least, greatest;
	CU_OK(cuCtxGetStreamPriorityRange(&least, &greatest));
	EXPECT_EQ(priority, greatest);
	CU_OK(cuStreamGetCtx(s, &c));
	EXPECT_EQ(c, ctx);
	CU_OK(cuStreamGetDevice(s, &d));
	EXPECT_EQ(d, dev);
	CU_OK(cuStreamGetId(s, &id));
	CU_OK(cuStreamGetId(nullptr, &other));
	EXPECT_NE(id, other);
	CU_OK(cuStreamQuery(s));
	CU_OK(cuStreamSynchronize(s));
	CU_OK(cuStreamDestroy(s));
	CU_IS(cuStreamDestroy(s), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuStreamQuery(s), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuStreamSynchronize(s), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Stream, Refusals)
{
	CUstream s;

	CU_IS(cuStreamCreate(nullptr, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuStreamCreate(&s, 2), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuStreamDestroy(nullptr), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuStreamDestroy(CU_STREAM_LEGACY), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuStreamDestroy(CU_STREAM_PER_THREAD), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuStreamSynchronize(reinterpret_cast<CUstream>(&s)), CUDA_ERROR_INVALID_HANDLE);
	CU_OK(cuCtxSetCurrent(nullptr));
	CU_IS(cuStreamCreate(&s, 0), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuStreamSynchronize(nullptr), CUDA_ERROR_INVALID_CONTEXT);
	CU_OK(cuCtxSetCurrent(ctx));
}

TEST_F(Stream, NotReadyWhileItWorks)
{
	CUstream s;
	Gate gate;

	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(gate.hold(s));
	CU_IS(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
	gate.open();
	CU_OK(cuStreamSynchronize(s));
	CU_OK(cuStreamQuery(s));
	CU_OK(cuStreamDestroy(s));
}

TEST_F(Stream, LegacyFollowsBlockingStreams)
{
	CUstream s;
	Gate gate;

	CU_OK(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	CU_OK(gate.hold(s));
	CUdeviceptr p = alloc(4);
	CU_OK(cuMemsetD32Async(p, 1, 1, CU_STREAM_LEGACY));
	CU_IS(cuStreamQuery(CU_STREAM_LEGACY), CUDA_ERROR_NOT_READY);
	usleep(10000);
	CU_IS(cuStreamQuery(CU_STREAM_LEGACY), CUDA_ERROR_NOT_READY);
	gate.open();
	CU_OK(cuStreamSynchronize(CU_STREAM_LEGACY));
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuMemFree(p));
}

TEST_F(Stream, BlockingStreamsFollowLegacy)
{
	CUstream s, free_one;
	CUdeviceptr p = alloc(8);
	Gate gate;

	CU_OK(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	CU_OK(cuStreamCreate(&free_one, CU_STREAM_NON_BLOCKING));
	CU_OK(gate.hold(CU_STREAM_LEGACY));
	CU_OK(cuMemsetD32Async(p, 1, 1, s));
	CU_OK(cuMemsetD32Async(p + 4, 1, 1, free_one));
	CU_OK(cuStreamSynchronize(free_one));
	CU_IS(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
	gate.open();
	CU_OK(cuStreamSynchronize(s));
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuStreamDestroy(free_one));
	CU_OK(cuMemFree(p));
}

TEST_F(Stream, PerThreadStreamsAreIndependent)
{
	unsigned long long mine = 0, theirs = 0;
	Gate gate;

	CU_OK(cuStreamGetId(CU_STREAM_PER_THREAD, &mine));
	CU_OK(gate.hold(CU_STREAM_PER_THREAD));
	std::thread other([&] {
		CU_OK(cuCtxSetCurrent(ctx));
		CU_OK(cuStreamGetId(CU_STREAM_PER_THREAD, &theirs));
		CU_OK(cuStreamQuery(CU_STREAM_PER_THREAD));
		CU_OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
	});
	other.join();
	EXPECT_NE(mine, theirs);
	CU_IS(cuStreamQuery(CU_STREAM_PER_THREAD), CUDA_ERROR_NOT_READY);
	gate.open();
	CU_OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
}

TEST_F(Stream, ThreadsComeAndGo)
{
	for (int i = 0; i < 600; i++) {
		std::thread t([&] {
			CU_OK(cuCtxSetCurrent(ctx));
			CU_OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
		});
		t.join();
	}
}

TEST_F(Stream, DestroyDoesNotWait)
{
	CUdeviceptr p = alloc(4);
	uint32_t v = 0;
	CUstream s;
	Gate gate;

	CU_OK(cuMemsetD32(p, 0, 1));
	CU_OK(cuCtxSynchronize());
	CU_OK(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	CU_OK(gate.hold(s));
	CU_OK(cuMemsetD32Async(p, 5, 1, s));
	CU_OK(cuStreamDestroy(s));
	gate.open();
	/* The context is idle only when that has run as well. */
	CU_OK(cuCtxSynchronize());
	CU_OK(cuMemcpyDtoH(&v, p, 4));
	EXPECT_EQ(v, 5u);
	CU_OK(cuMemFree(p));
}

TEST_F(Stream, ManyStreams)
{
	std::vector<CUstream> all(200);
	CUdeviceptr p = alloc(4 * all.size());

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < all.size(); i++) {
			CU_OK(cuStreamCreate(&all[i], CU_STREAM_NON_BLOCKING));
			CU_OK(cuMemsetD32Async(p + 4 * i, static_cast<unsigned>(i + round), 1,
					       all[i]));
		}
		for (auto s : all)
			CU_OK(cuStreamDestroy(s));
		CU_OK(cuCtxSynchronize());
		std::vector<uint32_t> v(all.size());
		CU_OK(cuMemcpyDtoH(v.data(), p, 4 * v.size()));
		for (size_t i = 0; i < v.size(); i++)
			ASSERT_EQ(v[i], i + round);
	}
	CU_OK(cuMemFree(p));
}

TEST_F(Stream, ThousandsOfCommandsInOrder)
{
	CUdeviceptr p = alloc(8);
	uint32_t v[2];

	for (unsigned i = 0; i < 20000; i++)
		CU_OK(cuMemsetD32Async(p + 4 * (i & 1), i, 1, nullptr));
	CU_OK(cuMemcpyDtoH(v, p, 8));
	EXPECT_EQ(v[0], 19998u);
	EXPECT_EQ(v[1], 19999u);
	CU_OK(cuMemFree(p));
}

TEST_F(Stream, NotCapturing)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_ACTIVE;

	CU_OK(cuStreamIsCapturing(nullptr, &status));
	EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_NONE);
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
	CU_OK(cuThreadExchangeStreamCaptureMode(&mode));
	EXPECT_EQ(mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
	CU_OK(cuThreadExchangeStreamCaptureMode(&mode));
	EXPECT_EQ(mode, CU_STREAM_CAPTURE_MODE_RELAXED);
}

TEST_F(Stream, ValuesInMemory)
{
	CUdeviceptr p = alloc(16);
	uint64_t v = 0;
	CUstream a, b;

	CU_OK(cuMemsetD8(p, 0, 16));
	CU_OK(cuCtxSynchronize());
	CU_OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	CU_OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	CU_OK(cuStreamWaitValue32(a, p, 5, CU_STREAM_WAIT_VALUE_GEQ));
	CU_OK(cuStreamWriteValue64(a, p + 8, 0x1122334455667788ull, 0));
	CU_IS(cuStreamQuery(a), CUDA_ERROR_NOT_READY);
	CU_OK(cuStreamWriteValue32(b, p, 4, 0));
	CU_OK(cuStreamSynchronize(b));
	usleep(5000);
	CU_IS(cuStreamQuery(a), CUDA_ERROR_NOT_READY);
	CU_OK(cuStreamWriteValue32(b, p, 6, 0));
	CU_OK(cuStreamSynchronize(a));
	CU_OK(cuMemcpyDtoH(&v, p + 8, 8));
	EXPECT_EQ(v, 0x1122334455667788ull);
	CU_IS(cuStreamWriteValue32(a, p + 2, 1, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuStreamWriteValue64(a, p + 4, 1, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuStreamWaitValue32(a, p, 1, 7), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuStreamDestroy(a));
	CU_OK(cuStreamDestroy(b));
	CU_OK(cuMemFree(p));
}

/*
 * A kernel, a copy, a host function and a wait, each in a stream of its own and each in need of the next one:
 * they end only if all of them are under way at once.
 */
TEST_F(Stream, EverythingOverlaps)
{
	static const char meet_ptx[] = R"(
.version 7.0
.target sm_75
.address_size 64
.visible .entry meet(.param .u64 mine, .param .u64 other)
{
	.reg .pred %p;
	.reg .b32 %r<2>;
	.reg .b64 %d<2>;
	ld.param.u64 %d0, [mine];
	ld.param.u64 %d1, [other];
	mov.u32 %r0, 1;
	st.volatile.global.u32 [%d0], %r0;
AGAIN:
	ld.volatile.global.u32 %r1, [%d1];
	setp.eq.u32 %p, %r1, 0;
	@%p bra AGAIN;
	ret;
}
)";
	static std::atomic<bool> go;
	CUdeviceptr p = alloc(64), mine = p, other = p + 4, copied = p + 8;
	void *params[] = { &mine, &other };
	CUstream kernel, copy, host, look;
	uint32_t seen = 0;
	CUmodule m;
	CUfunction f;

	go = false;
	CU_OK(cuModuleLoadData(&m, meet_ptx));
	CU_OK(cuModuleGetFunction(&f, m, "meet"));
	CU_OK(cuMemsetD32(p, 0, 16));
	CU_OK(cuCtxSynchronize());
	for (CUstream *s : { &kernel, &copy, &host, &look })
		CU_OK(cuStreamCreate(s, CU_STREAM_NON_BLOCKING));
	CU_OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, kernel, params, nullptr));
	CU_OK(cuStreamWaitValue32(copy, mine, 1, CU_STREAM_WAIT_VALUE_EQ));
	CU_OK(cuMemcpyDtoDAsync(copied, mine, 4, copy));
	CU_OK(cuLaunchHostFunc(
		host,
		[](void *) {
			while (!go)
				usleep(100);
		},
		nullptr));
	CU_OK(cuMemsetD32Async(other, 1, 1, host));
	while (!seen) {
		CU_OK(cuMemcpyDtoHAsync(&seen, copied, 4, look));
		CU_OK(cuStreamSynchronize(look));
	}
	CU_OK(cuStreamSynchronize(copy));
	CU_IS(cuStreamQuery(kernel), CUDA_ERROR_NOT_READY);
	CU_IS(cuStreamQuery(host), CUDA_ERROR_NOT_READY);
	go = true;
	CU_OK(cuStreamSynchronize(kernel));
	for (CUstream s : { kernel, copy, host, look })
		CU_OK(cuStreamDestroy(s));
	CU_OK(cuModuleUnload(m));
	CU_OK(cuMemFree(p));
}

TEST_F(Stream, Attributes)
{
	CUlaunchAttributeValue in = {}, out = {};
	CUstream a, b;

	CU_OK(cuStreamCreate(&a, 0));
	CU_OK(cuStreamCreate(&b, 0));
	in.syncPolicy = CU_SYNC_POLICY_YIELD;
	CU_OK(cuStreamSetAttribute(a, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &in));
	CU_OK(cuStreamCopyAttributes(b, a));
	CU_OK(cuStreamGetAttribute(b, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &out));
	EXPECT_EQ(out.syncPolicy, CU_SYNC_POLICY_YIELD);
	CU_IS(cuStreamGetAttribute(b, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &out),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuStreamDestroy(a));
	CU_OK(cuStreamDestroy(b));
}

TEST_F(Stream, ManyThreadsOneStream)
{
	std::vector<std::thread> threads;
	CUdeviceptr p = alloc(4 * 8);
	uint32_t v[8];

	for (unsigned t = 0; t < 8; t++)
		threads.emplace_back([&, t] {
			CU_OK(cuCtxSetCurrent(ctx));
			for (unsigned i = 0; i < 500; i++) {
				CU_OK(cuMemsetD32Async(p + 4 * t, i, 1, nullptr));
				if (i % 100 == 0) {
					CU_OK(cuStreamSynchronize(nullptr));
				}
			}
		});
	for (auto &t : threads)
		t.join();
	CU_OK(cuMemcpyDtoH(v, p, sizeof(v)));
	for (auto x : v)
		EXPECT_EQ(x, 499u);
	CU_OK(cuMemFree(p));
}

} // namespace

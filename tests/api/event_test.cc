/* SPDX-License-Identifier: MIT */
/* Events: state, time, waits across streams, what lives on after a stream. */
#include "api/api_test.h"

#include <thread>
#include <unistd.h>

namespace {

using Event = Api;

TEST_F(Event, LifeAndState)
{
	CUevent e;
	CUstream s;
	Gate gate;

	CU_OK(cuEventCreate(&e, CU_EVENT_DEFAULT));
	/* Never recorded counts as complete. */
	CU_OK(cuEventQuery(e));
	CU_OK(cuEventSynchronize(e));
	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(gate.hold(s));
	CU_OK(cuEventRecord(e, s));
	CU_IS(cuEventQuery(e), CUDA_ERROR_NOT_READY);
	std::thread opener([&] {
		usleep(20000);
		gate.open();
	});
	CU_OK(cuEventSynchronize(e));
	CU_OK(cuEventQuery(e));
	opener.join();
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuEventDestroy(e));
	CU_IS(cuEventDestroy(e), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuEventQuery(e), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Event, Refusals)
{
	CUevent e;
	float ms;

	CU_IS(cuEventCreate(nullptr, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuEventCreate(&e, 0x100), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuEventCreate(&e, CU_EVENT_INTERPROCESS), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuEventQuery(nullptr), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuEventRecord(nullptr, nullptr), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuEventElapsedTime(&ms, nullptr, nullptr), CUDA_ERROR_INVALID_HANDLE);
	CU_OK(cuEventCreate(&e, 0));
	CU_IS(cuEventRecord(e, reinterpret_cast<CUstream>(0x1000)), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuEventElapsedTime(nullptr, e, e), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuStreamWaitEvent(nullptr, nullptr, 0), CUDA_ERROR_INVALID_HANDLE);
	CU_OK(cuEventDestroy(e));
}

TEST_F(Event, ElapsedTime)
{
	CUevent a, b, untimed;
	float ms = -1;
	CUstream s;
	Gate gate;

	CU_OK(cuEventCreate(&a, 0));
	CU_OK(cuEventCreate(&b, 0));
	CU_OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(cuEventRecord(a, s));
	CU_IS(cuEventElapsedTime(&ms, a, b), CUDA_ERROR_INVALID_HANDLE); /* b never recorded */
	CU_OK(gate.hold(s));
	CU_OK(cuEventRecord(b, s));
	CU_OK(cuEventRecord(untimed, s));
	CU_OK(cuEventSynchronize(a));
	CU_IS(cuEventElapsedTime(&ms, a, b), CUDA_ERROR_NOT_READY);
	usleep(30000);
	gate.open();
	CU_OK(cuEventSynchronize(b));
	CU_OK(cuEventElapsedTime(&ms, a, b));
	EXPECT_GE(ms, 29.0f);
	EXPECT_LT(ms, 5000.0f);
	float back;
	CU_OK(cuEventElapsedTime(&back, b, a));
	EXPECT_FLOAT_EQ(back, -ms);
	CU_IS(cuEventElapsedTime(&ms, a, untimed), CUDA_ERROR_INVALID_HANDLE);
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuEventDestroy(a));
	CU_OK(cuEventDestroy(b));
	CU_OK(cuEventDestroy(untimed));
}

TEST_F(Event, RecordAgainMovesIt)
{
	CUevent e;
	CUstream s;
	Gate gate;

	CU_OK(cuEventCreate(&e, 0));
	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(cuEventRecord(e, s));
	CU_OK(cuEventSynchronize(e));
	CU_OK(gate.hold(s));
	CU_OK(cuEventRecord(e, s));
	CU_IS(cuEventQuery(e), CUDA_ERROR_NOT_READY);
	gate.open();
	CU_OK(cuEventSynchronize(e));
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuEventDestroy(e));
}

TEST_F(Event, StreamWaitsForIt)
{
	CUdeviceptr p = alloc(4);
	uint32_t v = 0;
	CUstream a, b;
	CUevent e;
	Gate gate;

	CU_OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	CU_OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	CU_OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	CU_OK(gate.hold(a));
	CU_OK(cuMemsetD32Async(p, 1, 1, a));
	CU_OK(cuEventRecord(e, a));
	CU_OK(cuStreamWaitEvent(b, e, 0));
	CU_OK(cuMemsetD32Async(p, 2, 1, b));
	usleep(10000);
	CU_IS(cuStreamQuery(b), CUDA_ERROR_NOT_READY);
	gate.open();
	CU_OK(cuStreamSynchronize(b));
	CU_OK(cuMemcpyDtoH(&v, p, 4));
	EXPECT_EQ(v, 2u);
	CU_OK(cuStreamDestroy(a));
	CU_OK(cuStreamDestroy(b));
	CU_OK(cuEventDestroy(e));
	CU_OK(cuMemFree(p));
}

TEST_F(Event, OutlivesItsStream)
{
	CUstream s;
	CUevent e;
	Gate gate;

	CU_OK(cuEventCreate(&e, 0));
	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(gate.hold(s));
	CU_OK(cuEventRecord(e, s));
	CU_OK(cuStreamDestroy(s));
	CU_IS(cuEventQuery(e), CUDA_ERROR_NOT_READY);
	gate.open();
	CU_OK(cuEventSynchronize(e));
	/* Its slot in the daemon now serves other streams; the event must not look at those. */
	for (int i = 0; i < 5; i++) {
		CU_OK(cuStreamCreate(&s, 0));
		CU_OK(cuStreamDestroy(s));
	}
	CU_OK(cuEventSynchronize(e));
	CU_OK(cuEventQuery(e));
	CU_OK(cuEventDestroy(e));
}

TEST_F(Event, DestroyedWhilePending)
{
	CUstream s;
	Gate gate;

	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(gate.hold(s));
	for (int i = 0; i < 100; i++) {
		CUevent e;

		CU_OK(cuEventCreate(&e, 0));
		CU_OK(cuEventRecord(e, s));
		CU_OK(cuEventDestroy(e));
	}
	CUevent fresh;
	CU_OK(cuEventCreate(&fresh, 0));
	CU_OK(cuEventQuery(fresh));
	gate.open();
	CU_OK(cuStreamSynchronize(s));
	CU_OK(cuEventDestroy(fresh));
	CU_OK(cuStreamDestroy(s));
}

TEST_F(Event, RecordFlags)
{
	CUevent e;

	CU_OK(cuEventCreate(&e, 0));
	CU_OK(cuEventRecordWithFlags(e, nullptr, CU_EVENT_RECORD_DEFAULT));
	CU_IS(cuEventRecordWithFlags(e, nullptr, CU_EVENT_RECORD_EXTERNAL),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuEventRecordWithFlags(e, nullptr, 8), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuEventSynchronize(e));
	CU_OK(cuEventDestroy(e));
}

} // namespace

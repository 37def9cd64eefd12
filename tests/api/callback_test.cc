/* SPDX-License-Identifier: MIT */
/* Host functions and callbacks in streams. */
#include "api/api_test.h"

#include <atomic>
#include <thread>
#include <unistd.h>

namespace {

using Callback = Api;

TEST_F(Callback, RunsInOrderBetweenCommands)
{
	struct State {
		std::atomic<int> count{ 0 };
		std::vector<int> seen;
	} state;
	CUstream s;

	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < 50; i++)
		CU_OK(cuLaunchHostFunc(
			s,
			[](void *p) {
				auto *st = static_cast<State *>(p);

				st->seen.push_back(st->count++);
			},
			&state));
	CU_OK(cuStreamSynchronize(s));
	ASSERT_EQ(state.seen.size(), 50u);
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(state.seen[i], i);
	CU_OK(cuStreamDestroy(s));
}

TEST_F(Callback, CommandsWaitForIt)
{
	struct State {
		std::atomic<bool> returned{ false };
	} state;
	CUdeviceptr p = alloc(4);
	CUevent e;
	CUstream s;

	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(cuEventCreate(&e, 0));
	CU_OK(cuLaunchHostFunc(
		s,
		[](void *q) {
			usleep(20000);
			static_cast<State *>(q)->returned = true;
		},
		&state));
	CU_OK(cuMemsetD32Async(p, 1, 1, s));
	CU_OK(cuEventRecord(e, s));
	CU_OK(cuEventSynchronize(e));
	EXPECT_TRUE(state.returned);
	CU_OK(cuEventDestroy(e));
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuMemFree(p));
}

TEST_F(Callback, GetsStreamAndStatus)
{
	struct State {
		CUstream stream = nullptr;
		CUresult status = CUDA_ERROR_UNKNOWN;
	} state;
	CUstream s;

	CU_OK(cuStreamCreate(&s, 0));
	CU_OK(cuStreamAddCallback(
		s,
		[](CUstream stream, CUresult status, void *p) {
			auto *st = static_cast<State *>(p);

			st->stream = stream;
			st->status = status;
		},
		&state, 0));
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(state.stream, s);
	EXPECT_EQ(state.status, CUDA_SUCCESS);
	CU_OK(cuStreamDestroy(s));
}

TEST_F(Callback, StreamsDoNotHoldEachOtherUp)
{
	CUstream a, b;
	Gate first, second;
	std::atomic<int> ran{ 0 };

	CU_OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	CU_OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	CU_OK(first.hold(a));
	CU_OK(cuLaunchHostFunc(
		b, [](void *p) { static_cast<std::atomic<int> *>(p)->fetch_add(1); }, &ran));
	CU_OK(cuStreamSynchronize(b));
	EXPECT_EQ(ran, 1);
	first.open();
	CU_OK(cuStreamSynchronize(a));
	CU_OK(cuStreamDestroy(a));
	CU_OK(cuStreamDestroy(b));
}

TEST_F(Callback, StartsAgainAfterAPause)
{
	std::atomic<int> ran{ 0 };
	CUstream s;

	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < 2; i++) {
		CU_OK(cuLaunchHostFunc(
			s, [](void *p) { static_cast<std::atomic<int> *>(p)->fetch_add(1); },
			&ran));
		CU_OK(cuStreamSynchronize(s));
		EXPECT_EQ(ran, i + 1);
		if (!i)
			usleep(2200000);
	}
	CU_OK(cuStreamDestroy(s));
}

TEST_F(Callback, Refusals)
{
	CU_IS(cuLaunchHostFunc(nullptr, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuStreamAddCallback(nullptr, nullptr, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuStreamAddCallback(
		      nullptr, [](CUstream, CUresult, void *) {}, nullptr, 1),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLaunchHostFunc(
		      reinterpret_cast<CUstream>(0x1000), [](void *) {}, nullptr),
	      CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Callback, DestroyedStreamStillCalls)
{
	std::atomic<int> ran{ 0 };
	CUstream s;
	Gate gate;

	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(gate.hold(s));
	CU_OK(cuLaunchHostFunc(
		s, [](void *p) { static_cast<std::atomic<int> *>(p)->fetch_add(1); }, &ran));
	CU_OK(cuStreamDestroy(s));
	gate.open();
	CU_OK(cuCtxSynchronize());
	EXPECT_EQ(ran, 1);
}

TEST_F(Callback, MayNotCallTheDriver)
{
	struct State {
		CUresult alloc = CUDA_SUCCESS, wait = CUDA_SUCCESS, name = CUDA_ERROR_UNKNOWN;
		CUstream s;
	} state;
	const char *text;

	CU_OK(cuStreamCreate(&state.s, 0));
	CU_OK(cuLaunchHostFunc(
		state.s,
		[](void *p) {
			auto *st = static_cast<State *>(p);
			const char *name;
			CUdeviceptr d;

			st->alloc = cuMemAlloc(&d, 4);
			st->wait = cuStreamSynchronize(st->s);
			st->name = cuGetErrorName(CUDA_SUCCESS, &name);
		},
		&state));
	CU_OK(cuStreamSynchronize(state.s));
	EXPECT_EQ(state.alloc, CUDA_ERROR_NOT_PERMITTED);
	EXPECT_EQ(state.wait, CUDA_ERROR_NOT_PERMITTED);
	EXPECT_EQ(state.name, CUDA_SUCCESS);
	CU_OK(cuGetErrorName(CUDA_SUCCESS, &text));
	CU_OK(cuStreamDestroy(state.s));
}

} // namespace

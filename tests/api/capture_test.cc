/* SPDX-License-Identifier: MIT */
/* Stream capture: it records and never executes; forks, joins, and all the ways to spoil it. */
#include "api/api_test.h"
#include "api/kernels.h"

#include <thread>

namespace {

class Capture : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		CU_OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
		CU_OK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
		CU_OK(cuEventCreate(&f, CU_EVENT_DISABLE_TIMING));
		p = alloc(64);
		q = alloc(64);
		CU_OK(cuMemsetD32(p, 7, 16));
		CU_OK(cuMemsetD32(q, 7, 16));
		CU_OK(cuCtxSynchronize());
	}

	void TearDown() override
	{
		if (exec) {
			CU_OK(cuGraphExecDestroy(exec));
		}
		if (graph) {
			CU_OK(cuGraphDestroy(graph));
		}
		CU_OK(cuStreamDestroy(s));
		CU_OK(cuStreamDestroy(t));
		CU_OK(cuEventDestroy(e));
		CU_OK(cuEventDestroy(f));
		CU_OK(cuMemFree(p));
		CU_OK(cuMemFree(q));
		Api::TearDown();
	}

	void begin(CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL)
	{
		CU_OK(cuStreamBeginCapture(s, mode));
	}

	CUstreamCaptureStatus status(CUstream which)
	{
		CUstreamCaptureStatus st = CU_STREAM_CAPTURE_STATUS_NONE;

		EXPECT_EQ(cuStreamIsCapturing(which, &st), CUDA_SUCCESS);
		return st;
	}

	size_t count(CUgraph g)
	{
		size_t n = 0;

		EXPECT_EQ(cuGraphGetNodes(g, nullptr, &n), CUDA_SUCCESS);
		return n;
	}

	uint32_t word(CUdeviceptr at)
	{
		uint32_t v = 0;

		EXPECT_EQ(cuMemcpyDtoH(&v, at, 4), CUDA_SUCCESS);
		return v;
	}

	void run()
	{
		CU_OK(cuGraphInstantiate(&exec, graph, 0));
		CU_OK(cuGraphLaunch(exec, s));
		CU_OK(cuStreamSynchronize(s));
	}

	/* The capture in s is invalid, and ends so. */
	void spoilt()
	{
		EXPECT_EQ(status(s), CU_STREAM_CAPTURE_STATUS_INVALIDATED);
		CU_IS(cuMemsetD32Async(p, 1, 1, s), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
		CU_IS(cuStreamEndCapture(s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
		EXPECT_EQ(graph, nullptr);
		EXPECT_EQ(status(s), CU_STREAM_CAPTURE_STATUS_NONE);
		CU_OK(cuMemsetD32Async(p, 1, 1, s));
		CU_OK(cuStreamSynchronize(s));
	}

	CUstream s, t;
	CUevent e, f;
	CUdeviceptr p, q;
	CUgraph graph = nullptr;
	CUgraphExec exec = nullptr;
};

TEST_F(Capture, RecordsAndDoesNotExecute)
{
	uint32_t out = 0;
	int calls = 0;

	begin();
	EXPECT_EQ(status(s), CU_STREAM_CAPTURE_STATUS_ACTIVE);
	EXPECT_EQ(status(t), CU_STREAM_CAPTURE_STATUS_NONE);
	CU_OK(cuMemsetD32Async(p, 5, 16, s));
	CU_OK(cuMemcpyDtoDAsync(q, p, 64, s));
	CU_OK(cuLaunchHostFunc(
		s, [](void *n) { ++*static_cast<int *>(n); }, &calls));
	CU_OK(cuMemcpyDtoHAsync(&out, q, 4, s));
	CU_OK(cuStreamEndCapture(s, &graph));
	EXPECT_EQ(word(p), 7u);
	EXPECT_EQ(calls, 0);
	ASSERT_EQ(count(graph), 4u);
	run();
	EXPECT_EQ(out, 5u);
	EXPECT_EQ(calls, 1);
	CU_OK(cuGraphLaunch(exec, t));
	CU_OK(cuStreamSynchronize(t));
	EXPECT_EQ(calls, 2);
}

TEST_F(Capture, Kernels)
{
	CUfunction tid;
	CUmodule m;
	CUdeviceptr out = p;
	void *args[] = { &out };

	CU_OK(cuModuleLoadData(&m, kernels_ptx));
	CU_OK(cuModuleGetFunction(&tid, m, "tid"));
	begin();
	CU_OK(cuLaunchKernel(tid, 1, 1, 1, 16, 1, 1, 0, s, args, nullptr));
	CU_IS(cuLaunchKernel(tid, 0, 1, 1, 16, 1, 1, 0, s, args, nullptr),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuStreamEndCapture(s, &graph));
	out = q;
	EXPECT_EQ(word(p + 12), 7u);
	run();
	EXPECT_EQ(word(p + 12), 3u);
	EXPECT_EQ(word(q + 12), 7u);
	/* A graph whose module has gone does not run. */
	CU_OK(cuModuleUnload(m));
	CU_IS(cuGraphLaunch(exec, s), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Capture, ForkAndJoin)
{
	CUgraphNode nodes[4], deps[4];
	size_t n = 4;

	begin();
	CU_OK(cuMemsetD32Async(p, 1, 1, s));
	CU_OK(cuEventRecord(e, s));
	CU_OK(cuStreamWaitEvent(t, e, 0));
	EXPECT_EQ(status(t), CU_STREAM_CAPTURE_STATUS_ACTIVE);
	CU_OK(cuMemsetD32Async(q, 2, 1, t));
	CU_OK(cuMemsetD32Async(p + 4, 3, 1, s));
	CU_OK(cuEventRecord(f, t));
	CU_OK(cuStreamWaitEvent(s, f, 0));
	CU_OK(cuMemcpyDtoDAsync(p + 8, q, 4, s));
	CU_OK(cuStreamEndCapture(s, &graph));
	EXPECT_EQ(status(t), CU_STREAM_CAPTURE_STATUS_NONE);
	CU_OK(cuGraphGetNodes(graph, nodes, &n));
	ASSERT_EQ(n, 4u);
	CU_OK(cuGraphNodeGetDependencies(nodes[1], deps, nullptr, &n));
	ASSERT_EQ(n, 1u);
	EXPECT_EQ(deps[0], nodes[0]);
	n = 4;
	CU_OK(cuGraphNodeGetDependencies(nodes[3], deps, nullptr, &n));
	EXPECT_EQ(n, 2u);
	run();
	EXPECT_EQ(word(p + 8), 2u);
	EXPECT_EQ(word(p + 4), 3u);
	/* What was recorded in the capture can be waited for nowhere else. */
	CU_IS(cuEventQuery(e), CUDA_ERROR_CAPTURED_EVENT);
	CU_IS(cuStreamWaitEvent(t, e, 0), CUDA_ERROR_CAPTURED_EVENT);
	CU_OK(cuEventRecord(e, s));
	CU_OK(cuEventSynchronize(e));
}

TEST_F(Capture, UnjoinedWork)
{
	begin();
	CU_OK(cuEventRecord(e, s));
	CU_OK(cuStreamWaitEvent(t, e, 0));
	CU_OK(cuMemsetD32Async(q, 2, 1, t));
	CU_IS(cuStreamEndCapture(s, &graph), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
	EXPECT_EQ(graph, nullptr);
	EXPECT_EQ(status(t), CU_STREAM_CAPTURE_STATUS_NONE);
}

TEST_F(Capture, EndsWhereItBegan)
{
	begin();
	CU_IS(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_ILLEGAL_STATE);
	CU_OK(cuEventRecord(e, s));
	CU_OK(cuStreamWaitEvent(t, e, 0));
	CU_IS(cuStreamEndCapture(t, &graph), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
	CU_IS(cuStreamEndCapture(s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CU_IS(cuStreamEndCapture(s, &graph), CUDA_ERROR_ILLEGAL_STATE);
	CU_IS(cuStreamBeginCapture(nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL),
	      CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

TEST_F(Capture, EndsInItsThreadUnlessRelaxed)
{
	CUresult r = CUDA_SUCCESS;
	auto end = [&] {
		cuCtxSetCurrent(ctx);
		r = cuStreamEndCapture(s, &graph);
		cuCtxSetCurrent(nullptr);
	};

	begin();
	std::thread(end).join();
	EXPECT_EQ(r, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
	CU_OK(cuStreamEndCapture(s, &graph));
	CU_OK(cuGraphDestroy(graph));
	graph = nullptr;
	begin(CU_STREAM_CAPTURE_MODE_RELAXED);
	std::thread(end).join();
	EXPECT_EQ(r, CUDA_SUCCESS);
	EXPECT_NE(graph, nullptr);
}

TEST_F(Capture, WaitingSpoilsIt)
{
	begin();
	CU_IS(cuStreamSynchronize(s), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	spoilt();
	begin();
	CU_IS(cuStreamQuery(s), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	spoilt();
	begin();
	CU_IS(cuCtxSynchronize(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	spoilt();
	begin();
	CU_OK(cuEventRecord(e, s));
	CU_IS(cuEventSynchronize(e), CUDA_ERROR_CAPTURED_EVENT);
	CU_OK(cuStreamEndCapture(s, &graph));
}

TEST_F(Capture, UnsafeCalls)
{
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
	CUresult r = CUDA_SUCCESS;
	CUdeviceptr m = 0;
	auto elsewhere = [&] {
		cuCtxSetCurrent(ctx);
		r = cuMemAlloc(&m, 16);
		cuCtxSetCurrent(nullptr);
	};

	begin();
	CU_IS(cuMemAlloc(&m, 16), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	spoilt();
	begin();
	std::thread(elsewhere).join();
	EXPECT_EQ(r, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	spoilt();
	begin(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
	std::thread(elsewhere).join();
	EXPECT_EQ(r, CUDA_SUCCESS);
	CU_OK(cuThreadExchangeStreamCaptureMode(&mode));
	EXPECT_EQ(mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
	CU_OK(cuMemFree(m));
	CU_OK(cuThreadExchangeStreamCaptureMode(&mode));
	EXPECT_EQ(mode, CU_STREAM_CAPTURE_MODE_RELAXED);
	CU_OK(cuStreamEndCapture(s, &graph));
	CU_OK(cuGraphDestroy(graph));
	graph = nullptr;
	begin(CU_STREAM_CAPTURE_MODE_RELAXED);
	CU_OK(cuMemAlloc(&m, 16));
	CU_OK(cuMemFree(m));
	CU_OK(cuStreamEndCapture(s, &graph));
}

TEST_F(Capture, LegacyStreamNextToABlockingOne)
{
	CUstreamCaptureStatus st;
	CUstream blocking;
	uint32_t v;

	CU_OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
	CU_OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
	CU_IS(cuStreamIsCapturing(nullptr, &st), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
	CU_OK(cuMemsetD32Async(p, 1, 1, blocking));
	CU_IS(cuMemcpyDtoH(&v, p, 4), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
	CU_IS(cuStreamEndCapture(blocking, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	CU_OK(cuStreamDestroy(blocking));
	/* One that the legacy stream does not wait for is not disturbed. */
	begin(CU_STREAM_CAPTURE_MODE_RELAXED);
	CU_OK(cuMemsetD32(q, 9, 1));
	CU_OK(cuStreamEndCapture(s, &graph));
}

TEST_F(Capture, EventsFromOutsideAndOtherCaptures)
{
	CU_OK(cuEventRecord(e, t));
	begin();
	CU_IS(cuStreamWaitEvent(s, e, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
	spoilt();
	begin();
	CU_OK(cuStreamBeginCapture(t, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU_OK(cuEventRecord(e, t));
	CU_IS(cuStreamWaitEvent(s, e, 0), CUDA_ERROR_STREAM_CAPTURE_MERGE);
	CU_IS(cuStreamEndCapture(t, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	spoilt();
}

TEST_F(Capture, ExternalEventsAreNodes)
{
	CUgraphNode nodes[2];
	CUgraphNodeType type;
	size_t n = 2;

	begin();
	CU_OK(cuStreamWaitEvent(s, f, CU_EVENT_WAIT_EXTERNAL));
	CU_OK(cuEventRecordWithFlags(e, s, CU_EVENT_RECORD_EXTERNAL));
	CU_OK(cuStreamEndCapture(s, &graph));
	CU_OK(cuGraphGetNodes(graph, nodes, &n));
	ASSERT_EQ(n, 2u);
	CU_OK(cuGraphNodeGetType(nodes[0], &type));
	EXPECT_EQ(type, CU_GRAPH_NODE_TYPE_WAIT_EVENT);
	CU_OK(cuGraphNodeGetType(nodes[1], &type));
	EXPECT_EQ(type, CU_GRAPH_NODE_TYPE_EVENT_RECORD);
	run();
	CU_OK(cuEventQuery(e));
	CU_IS(cuEventRecordWithFlags(e, s, CU_EVENT_RECORD_EXTERNAL), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Capture, InfoAndDependencies)
{
	CUstreamCaptureStatus st;
	const CUgraphNode *deps = nullptr;
	cuuint64_t id = 0, other = 0;
	CUgraphNode extra, got[2];
	CUgraph g = nullptr;
	size_t n = 9;

	begin();
	CU_OK(cuMemsetD32Async(p, 1, 1, s));
	CU_OK(cuStreamGetCaptureInfo(s, &st, &id, &g, &deps, nullptr, &n));
	EXPECT_EQ(st, CU_STREAM_CAPTURE_STATUS_ACTIVE);
	ASSERT_EQ(n, 1u);
	CU_IS(cuGraphDestroy(g), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuGraphAddEmptyNode(&extra, g, nullptr, 0));
	CU_OK(cuStreamUpdateCaptureDependencies(s, &extra, nullptr, 1,
						CU_STREAM_ADD_CAPTURE_DEPENDENCIES));
	CU_OK(cuMemsetD32Async(p, 2, 1, s));
	CU_OK(cuStreamGetCaptureInfo(s, &st, &other, &g, &deps, nullptr, &n));
	EXPECT_EQ(id, other);
	ASSERT_EQ(n, 1u);
	n = 2;
	CU_OK(cuGraphNodeGetDependencies(deps[0], got, nullptr, &n));
	EXPECT_EQ(n, 2u);
	CU_OK(cuStreamUpdateCaptureDependencies(s, &extra, nullptr, 1,
						CU_STREAM_SET_CAPTURE_DEPENDENCIES));
	CU_OK(cuStreamGetCaptureInfo(s, &st, nullptr, nullptr, &deps, nullptr, &n));
	ASSERT_EQ(n, 1u);
	EXPECT_EQ(deps[0], extra);
	CU_OK(cuStreamEndCapture(s, &graph));
	EXPECT_EQ(graph, g);
	CU_IS(cuStreamUpdateCaptureDependencies(s, &extra, nullptr, 1, 0),
	      CUDA_ERROR_ILLEGAL_STATE);
}

TEST_F(Capture, IntoAGraphOfTheProgram)
{
	CUgraphNode first;
	CUgraph out = nullptr;

	CU_OK(cuGraphCreate(&graph, 0));
	CU_OK(cuGraphAddEmptyNode(&first, graph, nullptr, 0));
	CU_OK(cuStreamBeginCaptureToGraph(s, graph, &first, nullptr, 1,
					  CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU_OK(cuMemsetD32Async(p, 3, 1, s));
	CU_OK(cuStreamEndCapture(s, &out));
	EXPECT_EQ(out, graph);
	EXPECT_EQ(count(graph), 2u);
	size_t n = 0;
	CU_OK(cuGraphGetEdges(graph, nullptr, nullptr, nullptr, &n));
	EXPECT_EQ(n, 1u);
	run();
	EXPECT_EQ(word(p), 3u);
}

TEST_F(Capture, ALaunchedGraphBecomesAChild)
{
	CUgraphNode node;
	CUgraphNodeType type;
	CUgraph outer;
	size_t n = 1;

	begin();
	CU_OK(cuMemsetD32Async(p, 3, 1, s));
	CU_OK(cuStreamEndCapture(s, &graph));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	begin();
	CU_OK(cuGraphLaunch(exec, s));
	CU_OK(cuStreamEndCapture(s, &outer));
	CU_OK(cuGraphGetNodes(outer, &node, &n));
	ASSERT_EQ(n, 1u);
	CU_OK(cuGraphNodeGetType(node, &type));
	EXPECT_EQ(type, CU_GRAPH_NODE_TYPE_GRAPH);
	EXPECT_EQ(word(p), 7u);
	CU_OK(cuGraphExecDestroy(exec));
	CU_OK(cuGraphDestroy(graph));
	graph = outer;
	run();
	EXPECT_EQ(word(p), 3u);
}

TEST_F(Capture, StreamsThatEndWhileCapturing)
{
	CUstream gone;

	CU_OK(cuStreamCreate(&gone, CU_STREAM_NON_BLOCKING));
	CU_OK(cuStreamBeginCapture(gone, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU_OK(cuMemsetD32Async(p, 3, 1, gone));
	CU_OK(cuStreamDestroy(gone));
	CU_OK(cuCtxSynchronize());
	CU_OK(cuStreamCreate(&gone, CU_STREAM_NON_BLOCKING));
	begin();
	CU_OK(cuEventRecord(e, s));
	CU_OK(cuStreamWaitEvent(gone, e, 0));
	CU_OK(cuStreamDestroy(gone));
	spoilt();
	EXPECT_EQ(word(q), 7u);
}

TEST_F(Capture, WhatCannotBeCaptured)
{
	begin();
	CU_IS(cuStreamAddCallback(
		      s, [](CUstream, CUresult, void *) {}, nullptr, 0),
	      CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	spoilt();
}

} // namespace

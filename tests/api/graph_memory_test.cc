/* SPDX-License-Identifier: MIT */
/* Graphs that allocate and free: nodes, captures, what a launch leaves behind, what is refused. */
#include "api/api_test.h"

namespace {

class GraphMemory : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuGraphCreate(&graph, 0));
		CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		out = alloc(BYTES);
	}
	void TearDown() override
	{
		if (exec) {
			CU_OK(cuGraphExecDestroy(exec));
		}
		CU_OK(cuGraphDestroy(graph));
		CU_OK(cuStreamDestroy(s));
		CU_OK(cuMemFree(out));
		CU_OK(cuDeviceGraphMemTrim(dev));
		EXPECT_EQ(amount(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT), 0u);
		Api::TearDown();
	}
	CUgraphNode allocation(CUdeviceptr *va, size_t bytes = BYTES)
	{
		CUDA_MEM_ALLOC_NODE_PARAMS p = {};
		CUgraphNode n = nullptr;

		p.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
		p.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
		p.poolProps.location.id = dev;
		p.bytesize = bytes;
		EXPECT_EQ(cuGraphAddMemAllocNode(&n, graph, nullptr, 0, &p), CUDA_SUCCESS);
		*va = p.dptr;
		return n;
	}
	CUgraphNode fill(CUdeviceptr p, unsigned char value, CUgraphNode after)
	{
		CUDA_MEMSET_NODE_PARAMS m = {};
		CUgraphNode n = nullptr;

		m.dst = p;
		m.value = value;
		m.elementSize = 1;
		m.width = BYTES;
		m.height = 1;
		EXPECT_EQ(cuGraphAddMemsetNode(&n, graph, &after, 1, &m, ctx), CUDA_SUCCESS);
		return n;
	}
	CUgraphNode copy(CUdeviceptr dst, CUdeviceptr src, CUgraphNode after)
	{
		CUDA_MEMCPY3D c = {};
		CUgraphNode n = nullptr;

		c.dstMemoryType = c.srcMemoryType = CU_MEMORYTYPE_DEVICE;
		c.dstDevice = dst;
		c.srcDevice = src;
		c.WidthInBytes = BYTES;
		c.Height = c.Depth = 1;
		EXPECT_EQ(cuGraphAddMemcpyNode(&n, graph, &after, 1, &c, ctx), CUDA_SUCCESS);
		return n;
	}
	CUresult launch()
	{
		CUresult r = cuGraphLaunch(exec, s);

		return r == CUDA_SUCCESS ? cuStreamSynchronize(s) : r;
	}
	uint64_t amount(CUgraphMem_attribute attr)
	{
		cuuint64_t n = 77;

		EXPECT_EQ(cuDeviceGetGraphMemAttribute(dev, attr, &n), CUDA_SUCCESS);
		return n;
	}

	static constexpr size_t BYTES = 5000;
	CUgraph graph = nullptr;
	CUgraphExec exec = nullptr;
	CUstream s = nullptr;
	CUdeviceptr out = 0;
};

TEST_F(GraphMemory, AllocatedUsedFreedManyTimes)
{
	CUgraphNode a, f, c, d;
	CUdeviceptr va, again;
	CUDA_MEM_ALLOC_NODE_PARAMS p = {};
	CUgraphNodeType type;

	a = allocation(&va);
	f = fill(va, 0x5a, a);
	c = copy(out, va, f);
	CU_OK(cuGraphAddMemFreeNode(&d, graph, &c, 1, va));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (int i = 0; i < 5; i++) {
		CU_OK(cuMemsetD8Async(out, 0, BYTES, s));
		CU_OK(launch());
		EXPECT_EQ(read(out, BYTES), std::vector<uint8_t>(BYTES, 0x5a)) << i;
	}
	EXPECT_EQ(amount(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT), 0u);
	EXPECT_GE(amount(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT), BYTES);
	CU_OK(cuGraphMemAllocNodeGetParams(a, &p));
	EXPECT_EQ(p.dptr, va);
	EXPECT_EQ(p.bytesize, BYTES);
	CU_OK(cuGraphMemFreeNodeGetParams(d, &again));
	EXPECT_EQ(again, va);
	CU_OK(cuGraphNodeGetType(a, &type));
	EXPECT_EQ(type, CU_GRAPH_NODE_TYPE_MEM_ALLOC);
	CU_IS(cuGraphMemFreeNodeGetParams(a, &again), CUDA_ERROR_INVALID_VALUE);
	/* A trim takes the memory, not the graph. */
	CU_OK(cuDeviceGraphMemTrim(dev));
	EXPECT_EQ(amount(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT), 0u);
	CU_OK(cuMemsetD8Async(out, 0, BYTES, s));
	CU_OK(launch());
	EXPECT_EQ(read(out, BYTES), std::vector<uint8_t>(BYTES, 0x5a));
}

TEST_F(GraphMemory, LeftForTheProgram)
{
	CUdeviceptr va;
	CUgraphNode a = allocation(&va);

	fill(va, 0x11, a);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_OK(launch());
	EXPECT_EQ(read(va, BYTES), std::vector<uint8_t>(BYTES, 0x11));
	EXPECT_GE(amount(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT), BYTES);
	CU_IS(launch(), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemFreeAsync(va, s));
	CU_IS(cuMemFreeAsync(va, s), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(amount(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT), 0u);
	CU_OK(launch());
	CU_OK(cuMemFree(va));
	CU_IS(cuMemFree(va), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(GraphMemory, OutlivesItsGraph)
{
	CUdeviceptr va;
	CUgraphNode a = allocation(&va);

	fill(va, 0x12, a);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_OK(launch());
	CU_OK(cuGraphExecDestroy(exec));
	CU_OK(cuGraphDestroy(graph));
	exec = nullptr;
	EXPECT_EQ(read(va, BYTES), std::vector<uint8_t>(BYTES, 0x12));
	CU_OK(cuMemFree(va));
	CU_IS(cuMemFree(va), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuGraphCreate(&graph, 0));
}

TEST_F(GraphMemory, AutoFree)
{
	CUdeviceptr va;
	CUgraphNode a = allocation(&va);

	fill(va, 0x21, a);
	CU_OK(cuGraphInstantiate(&exec, graph, CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH));
	for (int i = 0; i < 3; i++)
		CU_OK(launch());
	CU_OK(cuMemFree(va));
}

TEST_F(GraphMemory, FreedByAnotherGraph)
{
	CUgraph other;
	CUgraphExec free_it;
	CUgraphNode n;
	CUdeviceptr va;

	allocation(&va);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_OK(cuGraphCreate(&other, 0));
	CU_OK(cuGraphAddMemFreeNode(&n, other, nullptr, 0, va));
	CU_IS(cuGraphAddMemFreeNode(&n, other, nullptr, 0, va), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuGraphInstantiate(&free_it, other, 0));
	CU_IS(cuGraphLaunch(free_it, s), CUDA_ERROR_INVALID_VALUE);
	for (int i = 0; i < 2; i++) {
		CU_OK(launch());
		CU_OK(cuGraphLaunch(free_it, s));
	}
	CU_OK(cuStreamSynchronize(s));
	CU_OK(cuGraphExecDestroy(free_it));
	CU_OK(cuGraphDestroy(other));
}

TEST_F(GraphMemory, Captured)
{
	CUgraph g;
	CUdeviceptr a, b;
	size_t n = 0;

	CU_OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU_OK(cuMemAllocAsync(&a, BYTES, s));
	CU_OK(cuMemAllocAsync(&b, BYTES, s));
	CU_OK(cuMemsetD8Async(a, 3, BYTES, s));
	CU_OK(cuMemcpyDtoDAsync(b, a, BYTES, s));
	CU_OK(cuMemcpyDtoDAsync(out, b, BYTES, s));
	CU_OK(cuMemFreeAsync(b, s));
	CU_OK(cuMemFreeAsync(a, s));
	CU_OK(cuStreamEndCapture(s, &g));
	CU_OK(cuGraphGetNodes(g, nullptr, &n));
	EXPECT_EQ(n, 7u);
	EXPECT_NE(a, b);
	CU_OK(cuGraphInstantiate(&exec, g, 0));
	for (int i = 0; i < 3; i++)
		CU_OK(launch());
	EXPECT_EQ(read(out, BYTES), std::vector<uint8_t>(BYTES, 3));
	CU_OK(cuGraphDestroy(g));
}

TEST_F(GraphMemory, WhatCannotBeFreedInACapture)
{
	CUgraph g = nullptr;

	CU_OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	CU_IS(cuMemFreeAsync(out, s), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuStreamEndCapture(s, &g));
	CU_OK(cuGraphDestroy(g));
}

TEST_F(GraphMemory, StructureIsFixed)
{
	CUgraphNode a, f, child;
	CUgraph copy, outer;
	CUgraphExec second;
	CUdeviceptr va;

	a = allocation(&va);
	f = fill(va, 1, a);
	CU_IS(cuGraphClone(&copy, graph), CUDA_ERROR_NOT_SUPPORTED);
	CU_IS(cuGraphDestroyNode(f), CUDA_ERROR_NOT_SUPPORTED);
	CU_IS(cuGraphRemoveDependencies(graph, &a, &f, nullptr, 1), CUDA_ERROR_NOT_SUPPORTED);
	CU_OK(cuGraphCreate(&outer, 0));
	CU_IS(cuGraphAddChildGraphNode(&child, outer, nullptr, 0, graph), CUDA_ERROR_NOT_SUPPORTED);
	CU_OK(cuGraphDestroy(outer));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_IS(cuGraphInstantiate(&second, graph, 0), CUDA_ERROR_NOT_SUPPORTED);
	CU_OK(cuGraphExecDestroy(exec));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
}

TEST_F(GraphMemory, Refused)
{
	CUDA_MEM_ALLOC_NODE_PARAMS good = {}, p;
	cuuint64_t n = 1;
	CUgraphNode node;

	good.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
	good.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
	good.bytesize = 64;
	CU_IS(cuGraphAddMemAllocNode(&node, graph, nullptr, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
	p = good;
	p.bytesize = 0;
	CU_IS(cuGraphAddMemAllocNode(&node, graph, nullptr, 0, &p), CUDA_ERROR_INVALID_VALUE);
	p = good;
	p.poolProps.location.id = 99;
	CU_IS(cuGraphAddMemAllocNode(&node, graph, nullptr, 0, &p), CUDA_ERROR_INVALID_DEVICE);
	p = good;
	p.poolProps.handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	CU_IS(cuGraphAddMemAllocNode(&node, graph, nullptr, 0, &p), CUDA_ERROR_INVALID_VALUE);
	p = good;
	p.accessDescCount = 1;
	CU_IS(cuGraphAddMemAllocNode(&node, graph, nullptr, 0, &p), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphAddMemFreeNode(&node, graph, nullptr, 0, out), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphAddMemFreeNode(&node, graph, nullptr, 0, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDeviceGraphMemTrim(99), CUDA_ERROR_INVALID_DEVICE);
	CU_IS(cuDeviceGetGraphMemAttribute(dev, static_cast<CUgraphMem_attribute>(9), &n),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDeviceSetGraphMemAttribute(dev, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &n),
	      CUDA_ERROR_INVALID_VALUE);
	n = 0;
	CU_IS(cuDeviceSetGraphMemAttribute(dev, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &n),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuDeviceSetGraphMemAttribute(dev, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &n));
}

TEST_F(GraphMemory, MoreThanTheDeviceHas)
{
	CUdeviceptr va;
	size_t total;

	CU_OK(cuDeviceTotalMem(&total, dev));
	allocation(&va, total * 2);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_IS(cuGraphLaunch(exec, s), CUDA_ERROR_OUT_OF_MEMORY);
	EXPECT_EQ(amount(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT), 0u);
}

} // namespace

/* SPDX-License-Identifier: MIT */
/* Graphs: built by hand, asked about, instantiated, launched, updated. */
#include "api/api_test.h"
#include "api/kernels.h"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

namespace {

class Graph : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuGraphCreate(&graph, 0));
		CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		CU_OK(cuModuleLoadData(&module, kernels_ptx));
		CU_OK(cuModuleGetFunction(&saxpy, module, "saxpy"));
		x = alloc(N * 4);
		y = alloc(N * 4);
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
		CU_OK(cuMemFree(x));
		CU_OK(cuMemFree(y));
		CU_OK(cuModuleUnload(module));
		Api::TearDown();
	}

	CUgraphNode fill(CUdeviceptr p, unsigned value, std::vector<CUgraphNode> deps = {})
	{
		CUDA_MEMSET_NODE_PARAMS m = {};
		CUgraphNode n = nullptr;

		m.dst = p;
		m.value = value;
		m.elementSize = 4;
		m.width = N;
		m.height = 1;
		EXPECT_EQ(cuGraphAddMemsetNode(&n, graph, deps.data(), deps.size(), &m, ctx),
			  CUDA_SUCCESS);
		return n;
	}

	/* y = a * x + y */
	CUDA_KERNEL_NODE_PARAMS kernel_params(float value)
	{
		CUDA_KERNEL_NODE_PARAMS k = {};

		n_ = N;
		a_ = value;
		k.func = saxpy;
		k.gridDimX = k.gridDimY = k.gridDimZ = 1;
		k.blockDimX = N;
		k.blockDimY = k.blockDimZ = 1;
		k.kernelParams = args_;
		return k;
	}

	CUgraphNode kernel(float value, std::vector<CUgraphNode> deps = {})
	{
		CUDA_KERNEL_NODE_PARAMS k = kernel_params(value);
		CUgraphNode n = nullptr;

		EXPECT_EQ(cuGraphAddKernelNode(&n, graph, deps.data(), deps.size(), &k),
			  CUDA_SUCCESS);
		return n;
	}

	CUDA_MEMCPY3D copy_params(void *dst, CUdeviceptr src)
	{
		CUDA_MEMCPY3D c = {};

		c.dstMemoryType = CU_MEMORYTYPE_HOST;
		c.dstHost = dst;
		c.srcMemoryType = CU_MEMORYTYPE_DEVICE;
		c.srcDevice = src;
		c.WidthInBytes = N * 4;
		c.Height = c.Depth = 1;
		return c;
	}

	void launch()
	{
		CU_OK(cuGraphLaunch(exec, s));
		CU_OK(cuStreamSynchronize(s));
	}

	float first(CUdeviceptr p)
	{
		float v = -1;

		EXPECT_EQ(cuMemcpyDtoH(&v, p, 4), CUDA_SUCCESS);
		return v;
	}

	static size_t read_text(const char *path, char *text, size_t room)
	{
		FILE *in = fopen(path, "re");
		size_t n = in ? fread(text, 1, room - 1, in) : 0;

		if (in)
			fclose(in);
		return n;
	}

	static constexpr unsigned N = 64;
	static constexpr unsigned ONE = 0x3f800000u, TWO = 0x40000000u;
	CUgraph graph = nullptr;
	CUgraphExec exec = nullptr;
	CUstream s;
	CUmodule module;
	CUfunction saxpy;
	CUdeviceptr x, y;
	unsigned n_;
	float a_;
	void *args_[4] = { &n_, &a_, &x, &y };
};

TEST_F(Graph, FillsKernelAndCopyRunInTheOrderOfTheEdges)
{
	std::vector<float> out(N, -1);
	CUDA_MEMCPY3D c = copy_params(out.data(), y);
	CUgraphNode copy, k, fx, fy;

	/* Created against the order, so that only the edges can put it right. */
	CU_OK(cuGraphAddMemcpyNode(&copy, graph, nullptr, 0, &c, ctx));
	k = kernel(3);
	fx = fill(x, TWO);
	fy = fill(y, ONE);
	CUgraphNode from[] = { k, fx, fy }, to[] = { copy, k, k };
	CU_OK(cuGraphAddDependencies(graph, from, to, nullptr, 3));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	/* The parameters were copied. */
	a_ = 100;
	for (int i = 0; i < 3; i++) {
		std::fill(out.begin(), out.end(), -1.0f);
		launch();
		EXPECT_EQ(out[0], 7.0f);
		EXPECT_EQ(out[N - 1], 7.0f);
	}
}

TEST_F(Graph, LaunchDoesNotWaitForPageableMemory)
{
	std::vector<float> out(N, -1);
	CUDA_MEMCPY3D c = copy_params(out.data(), y);
	CUgraphNode f = fill(y, ONE), copy;
	Gate gate;

	CU_OK(cuGraphAddMemcpyNode(&copy, graph, &f, 1, &c, ctx));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_OK(gate.hold(s));
	CU_OK(cuGraphLaunch(exec, s));
	CU_IS(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
	EXPECT_EQ(out[0], -1.0f);
	gate.open();
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(out[0], 1.0f);
}

TEST_F(Graph, OneExecutableNeverRunsTwiceAtOnce)
{
	CUstream other;
	Gate gate;

	fill(y, ONE);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	CU_OK(gate.hold(s));
	CU_OK(cuGraphLaunch(exec, s));
	CU_OK(cuGraphLaunch(exec, other));
	CU_IS(cuStreamQuery(other), CUDA_ERROR_NOT_READY);
	gate.open();
	CU_OK(cuStreamSynchronize(other));
	CU_OK(cuStreamDestroy(other));
	CU_OK(cuStreamSynchronize(s));
}

TEST_F(Graph, ExecutableLivesWithoutItsGraph)
{
	fill(y, TWO);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_OK(cuGraphDestroy(graph));
	CU_IS(cuGraphDestroy(graph), CUDA_ERROR_INVALID_VALUE);
	graph = nullptr;
	CU_OK(cuGraphUpload(exec, s));
	launch();
	EXPECT_EQ(first(y), 2.0f);
	CU_OK(cuGraphLaunch(exec, s));
	CU_OK(cuGraphExecDestroy(exec));
	CU_IS(cuGraphLaunch(exec, s), CUDA_ERROR_INVALID_VALUE);
	exec = nullptr;
	CU_OK(cuStreamSynchronize(s));
}

TEST_F(Graph, HostEventsAndChildren)
{
	CUgraphNode f = fill(y, ONE), host, rec, wait, child, node;
	CUDA_HOST_NODE_PARAMS h = {};
	CUgraph inner, owned;
	int calls = 0;
	CUevent e, got;

	h.fn = [](void *p) { ++*static_cast<int *>(p); };
	h.userData = &calls;
	CU_OK(cuGraphCreate(&inner, 0));
	CU_OK(cuGraphAddHostNode(&host, inner, nullptr, 0, &h));
	CU_OK(cuGraphAddEmptyNode(&node, inner, &host, 1));
	CU_OK(cuGraphAddHostNode(&host, inner, &node, 1, &h));
	CU_OK(cuEventCreate(&e, 0));
	CU_OK(cuGraphAddEventRecordNode(&rec, graph, &f, 1, e));
	CU_OK(cuGraphAddEventWaitNode(&wait, graph, &rec, 1, e));
	CU_OK(cuGraphEventWaitNodeGetEvent(wait, &got));
	EXPECT_EQ(got, e);
	CU_IS(cuGraphEventRecordNodeGetEvent(wait, &got), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuGraphAddChildGraphNode(&child, graph, &wait, 1, inner));
	CU_OK(cuGraphDestroy(inner));
	CU_OK(cuGraphChildGraphNodeGetGraph(child, &owned));
	size_t count = 0;
	CU_OK(cuGraphGetNodes(owned, nullptr, &count));
	EXPECT_EQ(count, 3u);
	CU_IS(cuGraphDestroy(owned), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	launch();
	launch();
	EXPECT_EQ(calls, 4);
	CU_OK(cuEventQuery(e));
	CU_OK(cuEventSynchronize(e));
	CU_OK(cuEventDestroy(e));
}

TEST_F(Graph, Questions)
{
	CUgraphNode a = fill(x, ONE), b = fill(y, ONE), c = kernel(1, { a, b }), list[5], from[5],
		    to[5];
	CUgraphNodeType type;
	size_t n = 5;

	CU_OK(cuGraphGetNodes(graph, list, &n));
	ASSERT_EQ(n, 3u);
	EXPECT_EQ(list[0], a);
	EXPECT_EQ(list[2], c);
	EXPECT_EQ(list[3], nullptr);
	n = 5;
	CU_OK(cuGraphGetRootNodes(graph, list, &n));
	ASSERT_EQ(n, 2u);
	EXPECT_EQ(list[1], b);
	n = 0;
	CU_OK(cuGraphGetEdges(graph, nullptr, nullptr, nullptr, &n));
	EXPECT_EQ(n, 2u);
	CU_OK(cuGraphGetEdges(graph, from, to, nullptr, &n));
	EXPECT_EQ(from[0], a);
	EXPECT_EQ(to[0], c);
	EXPECT_EQ(from[1], b);
	n = 1;
	CU_OK(cuGraphNodeGetDependencies(c, list, nullptr, &n));
	EXPECT_EQ(n, 1u);
	EXPECT_EQ(list[0], a);
	n = 5;
	CU_OK(cuGraphNodeGetDependentNodes(b, list, nullptr, &n));
	ASSERT_EQ(n, 1u);
	EXPECT_EQ(list[0], c);
	CU_OK(cuGraphNodeGetType(c, &type));
	EXPECT_EQ(type, CU_GRAPH_NODE_TYPE_KERNEL);
	CU_OK(cuGraphNodeGetType(a, &type));
	EXPECT_EQ(type, CU_GRAPH_NODE_TYPE_MEMSET);

	CUDA_KERNEL_NODE_PARAMS k;
	CU_OK(cuGraphKernelNodeGetParams(c, &k));
	EXPECT_EQ(k.func, saxpy);
	EXPECT_EQ(k.blockDimX, N);
	EXPECT_EQ(*static_cast<float *>(k.kernelParams[1]), 1.0f);
	EXPECT_EQ(*static_cast<CUdeviceptr *>(k.kernelParams[3]), y);

	CU_OK(cuGraphDestroyNode(b));
	CU_IS(cuGraphNodeGetType(b, &type), CUDA_ERROR_INVALID_VALUE);
	n = 5;
	CU_OK(cuGraphNodeGetDependencies(c, list, nullptr, &n));
	EXPECT_EQ(n, 1u);
	CU_OK(cuGraphRemoveDependencies(graph, &a, &c, nullptr, 1));
	CU_IS(cuGraphRemoveDependencies(graph, &a, &c, nullptr, 1), CUDA_ERROR_INVALID_VALUE);
	n = 5;
	CU_OK(cuGraphGetRootNodes(graph, list, &n));
	EXPECT_EQ(n, 2u);
}

TEST_F(Graph, ACircleIsRefused)
{
	CUgraphNode a = fill(x, ONE), b = fill(y, ONE, { a });
	CUDA_GRAPH_INSTANTIATE_PARAMS p = {};

	CU_OK(cuGraphAddDependencies(graph, &b, &a, nullptr, 1));
	CU_IS(cuGraphInstantiate(&exec, graph, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphInstantiateWithParams(&exec, graph, &p), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(p.result_out, CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE);
	exec = nullptr;
}

TEST_F(Graph, CloneFindsItsNodes)
{
	CUgraphNode a = fill(x, ONE), b = fill(y, TWO, { a }), twin, dep;
	CUgraph copy;
	size_t n = 1;

	CU_OK(cuGraphDestroyNode(a));
	a = fill(x, TWO);
	CU_OK(cuGraphAddDependencies(graph, &a, &b, nullptr, 1));
	CU_OK(cuGraphClone(&copy, graph));
	CU_OK(cuGraphNodeFindInClone(&twin, b, copy));
	EXPECT_NE(twin, b);
	CU_OK(cuGraphNodeGetDependencies(twin, &dep, nullptr, &n));
	CU_OK(cuGraphNodeFindInClone(&twin, a, copy));
	EXPECT_EQ(dep, twin);
	CU_IS(cuGraphNodeFindInClone(&twin, dep, copy), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphNodeFindInClone(&twin, a, graph), CUDA_ERROR_INVALID_VALUE);
	/* A node of one graph is no dependency in another. */
	CUgraphNode e;
	CU_IS(cuGraphAddEmptyNode(&e, copy, &a, 1), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuGraphDestroy(copy));
}

TEST_F(Graph, NodesOfAnExecutableChangeAlone)
{
	CUgraphNode fx = fill(x, TWO), fy = fill(y, ONE, { fx }), k = kernel(3, { fy });
	CUDA_MEMSET_NODE_PARAMS m = {};
	unsigned on = 9;

	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CUDA_KERNEL_NODE_PARAMS p = kernel_params(10);
	CU_OK(cuGraphExecKernelNodeSetParams(exec, k, &p));
	launch();
	EXPECT_EQ(first(y), 21.0f);
	/* The program's graph did not change. */
	CU_OK(cuGraphKernelNodeGetParams(k, &p));
	EXPECT_EQ(*static_cast<float *>(p.kernelParams[1]), 3.0f);
	m.dst = y;
	m.value = TWO;
	m.elementSize = 4;
	m.width = N;
	m.height = 1;
	CU_OK(cuGraphExecMemsetNodeSetParams(exec, fy, &m, ctx));
	launch();
	EXPECT_EQ(first(y), 22.0f);
	CU_OK(cuGraphNodeSetEnabled(exec, k, 0));
	CU_OK(cuGraphNodeGetEnabled(exec, k, &on));
	EXPECT_EQ(on, 0u);
	launch();
	EXPECT_EQ(first(y), 2.0f);
	CU_OK(cuGraphNodeSetEnabled(exec, k, 1));
	CU_IS(cuGraphExecMemsetNodeSetParams(exec, k, &m, ctx), CUDA_ERROR_INVALID_VALUE);
	launch();
	EXPECT_EQ(first(y), 22.0f);
}

TEST_F(Graph, WholeUpdate)
{
	CUgraphNode f = fill(x, TWO), k = kernel(3, { f });
	CUgraphExecUpdateResultInfo info;
	CUgraph copy;

	(void)k;
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_OK(cuGraphClone(&copy, graph));
	CUgraphNode twin;
	CU_OK(cuGraphNodeFindInClone(&twin, k, copy));
	CUDA_KERNEL_NODE_PARAMS p = kernel_params(5);
	CU_OK(cuGraphKernelNodeSetParams(twin, &p));
	CU_OK(cuGraphExecUpdate(exec, copy, &info));
	EXPECT_EQ(info.result, CU_GRAPH_EXEC_UPDATE_SUCCESS);
	CU_OK(cuMemsetD32(y, ONE, N));
	CU_OK(cuCtxSynchronize());
	launch();
	EXPECT_EQ(first(y), 11.0f);
	CUgraphNode e;
	CU_OK(cuGraphAddEmptyNode(&e, copy, nullptr, 0));
	CU_IS(cuGraphExecUpdate(exec, copy, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
	EXPECT_EQ(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
	CU_OK(cuGraphAddEmptyNode(&e, graph, &k, 1));
	CU_OK(cuGraphExecDestroy(exec));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_IS(cuGraphExecUpdate(exec, copy, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
	EXPECT_EQ(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
	CU_OK(cuGraphDestroy(copy));
}

TEST_F(Graph, NodesByTheCommonForm)
{
	CUgraphNodeParams p = {};
	CUgraphNode n, k;

	p.type = CU_GRAPH_NODE_TYPE_MEMSET;
	p.memset.dst = y;
	p.memset.value = TWO;
	p.memset.elementSize = 4;
	p.memset.width = N;
	p.memset.height = 1;
	CU_OK(cuGraphAddNode(&n, graph, nullptr, nullptr, 0, &p));
	p = {};
	p.type = CU_GRAPH_NODE_TYPE_KERNEL;
	CUDA_KERNEL_NODE_PARAMS q = kernel_params(0);
	memcpy(&p.kernel, &q, sizeof(q));
	CU_OK(cuGraphAddNode(&k, graph, &n, nullptr, 1, &p));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	launch();
	EXPECT_EQ(first(y), 2.0f);
	p = {};
	p.type = CU_GRAPH_NODE_TYPE_CONDITIONAL;
	CU_IS(cuGraphAddNode(&k, graph, nullptr, nullptr, 0, &p), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Graph, ValuesInMemory)
{
	CUstreamBatchMemOpParams op = {};
	CUDA_BATCH_MEM_OP_NODE_PARAMS p = {};
	CUgraphNode f = fill(y, ONE), n;

	op.writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
	op.writeValue.address = y;
	op.writeValue.value = TWO;
	p.ctx = ctx;
	p.count = 1;
	p.paramArray = &op;
	CU_OK(cuGraphAddBatchMemOpNode(&n, graph, &f, 1, &p));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	launch();
	EXPECT_EQ(first(y), 2.0f);
}

TEST_F(Graph, AttributesOfKernels)
{
	CUkernelNodeAttrValue v = {}, got = {};
	CUgraphNode k = kernel(1), other = kernel(1);
	CUgraph copy;

	CU_OK(cuGraphClone(&copy, graph));
	v.priority = -3;
	CU_OK(cuGraphKernelNodeSetAttribute(k, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
	CU_OK(cuGraphKernelNodeGetAttribute(k, CU_LAUNCH_ATTRIBUTE_PRIORITY, &got));
	EXPECT_EQ(got.priority, -3);
	CUgraphNode twin;
	CU_OK(cuGraphNodeFindInClone(&twin, k, copy));
	CU_OK(cuGraphKernelNodeGetAttribute(twin, CU_LAUNCH_ATTRIBUTE_PRIORITY, &got));
	EXPECT_EQ(got.priority, 0);
	CU_OK(cuGraphKernelNodeCopyAttributes(other, k));
	CU_OK(cuGraphKernelNodeGetAttribute(other, CU_LAUNCH_ATTRIBUTE_PRIORITY, &got));
	EXPECT_EQ(got.priority, -3);
	CU_OK(cuGraphDestroy(copy));
}

TEST_F(Graph, UserObjectsLiveAsLongAsTheirGraphs)
{
	CUuserObject o;
	int gone = 0;
	CUgraph copy;

	CU_IS(cuUserObjectCreate(
		      &o, &gone, [](void *) {}, 1, 0),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuUserObjectCreate(
		&o, &gone, [](void *p) { ++*static_cast<int *>(p); }, 1,
		CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	CU_OK(cuGraphRetainUserObject(graph, o, 1, CU_GRAPH_USER_OBJECT_MOVE));
	CU_OK(cuGraphClone(&copy, graph));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_OK(cuGraphDestroy(graph));
	graph = nullptr;
	EXPECT_EQ(gone, 0);
	CU_OK(cuGraphDestroy(copy));
	EXPECT_EQ(gone, 0);
	CU_OK(cuGraphExecDestroy(exec));
	exec = nullptr;
	EXPECT_EQ(gone, 1);
	CU_IS(cuUserObjectRetain(o, 1), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Graph, PrintsAPicture)
{
	char path[] = "/tmp/vgpu-graph-XXXXXX", text[4096] = {};
	CUgraphNode a = fill(x, ONE);
	int fd = mkstemp(path);

	kernel(1, { a });
	ASSERT_GE(fd, 0);
	CU_OK(cuGraphDebugDotPrint(graph, path, 0));
	EXPECT_GT(read_text(path, text, sizeof(text)), 0u);
	EXPECT_NE(strstr(text, "digraph"), nullptr);
	EXPECT_NE(strstr(text, "KERNEL"), nullptr);
	EXPECT_NE(strstr(text, "_node_0\" -> \"graph_"), nullptr);
	CU_IS(cuGraphDebugDotPrint(graph, "/nonexistent/x", 0), CUDA_ERROR_OPERATING_SYSTEM);
	close(fd);
	unlink(path);
}

TEST_F(Graph, Refusals)
{
	CUDA_KERNEL_NODE_PARAMS k = kernel_params(1);
	CUDA_MEMSET_NODE_PARAMS m = {};
	CUgraphNode n, foreign = reinterpret_cast<CUgraphNode>(&k);
	CUDA_MEMCPY3D c = copy_params(nullptr, y);
	CUgraph g;

	CU_IS(cuGraphCreate(nullptr, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphCreate(&g, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphAddEmptyNode(nullptr, graph, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphAddEmptyNode(&n, graph, &foreign, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphAddEmptyNode(&n, graph, nullptr, 1), CUDA_ERROR_INVALID_VALUE);
	CUgraphNode a = fill(x, 0), twice[] = { a, a };
	CU_IS(cuGraphAddEmptyNode(&n, graph, twice, 2), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphAddDependencies(graph, &a, &a, nullptr, 1), CUDA_ERROR_INVALID_VALUE);
	k.blockDimX = 5000;
	CU_IS(cuGraphAddKernelNode(&n, graph, nullptr, 0, &k), CUDA_ERROR_INVALID_VALUE);
	k = kernel_params(1);
	k.kernelParams = nullptr;
	CU_IS(cuGraphAddKernelNode(&n, graph, nullptr, 0, &k), CUDA_ERROR_INVALID_VALUE);
	m.dst = y;
	m.elementSize = 3;
	m.width = m.height = 1;
	CU_IS(cuGraphAddMemsetNode(&n, graph, nullptr, 0, &m, ctx), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphAddMemcpyNode(&n, graph, nullptr, 0, &c, ctx), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphInstantiate(&exec, graph, 1u << 20), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphInstantiate(&exec, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
	exec = nullptr;
}

/* The second launch and those after it are commands that the worker keeps: all must do the same. */
TEST_F(Graph, ManyLaunchesAndAChangeBetween)
{
	CUDA_KERNEL_NODE_PARAMS k = kernel_params(3);
	CUgraphNode n;
	float one = 1;
	unsigned bits;

	memcpy(&bits, &one, 4);
	n = kernel(2, { fill(x, bits), fill(y, bits) });
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (int i = 0; i < 4; i++) {
		CU_OK(cuGraphLaunch(exec, s));
		CU_OK(cuStreamSynchronize(s));
		EXPECT_EQ(reinterpret_cast<const float *>(read(y, N * 4).data())[N - 1], 3.0f) << i;
		CU_OK(cuMemsetD32Async(y, 0, N, s));
	}
	k = kernel_params(3);
	CU_OK(cuGraphExecKernelNodeSetParams(exec, n, &k));
	for (int i = 0; i < 3; i++) {
		CU_OK(cuGraphLaunch(exec, s));
		CU_OK(cuStreamSynchronize(s));
		EXPECT_EQ(reinterpret_cast<const float *>(read(y, N * 4).data())[0], 4.0f) << i;
	}
	CU_OK(cuGraphNodeSetEnabled(exec, n, 0));
	CU_OK(cuGraphLaunch(exec, s));
	CU_OK(cuGraphLaunch(exec, s));
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(reinterpret_cast<const float *>(read(y, N * 4).data())[0], 1.0f);
}

/* Host functions cut a graph into parts; their order holds, launch after launch. */
TEST_F(Graph, PartsAroundAHostFunction)
{
	struct seen {
		CUdeviceptr y;
		int calls;
	} seen = { y, 0 };
	CUDA_HOST_NODE_PARAMS h = {};
	CUgraphNode a = fill(y, 1), b, c;
	uint32_t *pinned;

	CU_OK(cuMemAllocHost(reinterpret_cast<void **>(&pinned), N * 4));

	CUDA_MEMCPY3D down = copy_params(pinned, y);

	down.dstMemoryType = CU_MEMORYTYPE_HOST;
	CU_OK(cuGraphAddMemcpyNode(&b, graph, &a, 1, &down, ctx));
	h.fn = [](void *p) { static_cast<struct seen *>(p)->calls++; };
	h.userData = &seen;
	CU_OK(cuGraphAddHostNode(&c, graph, &b, 1, &h));
	fill(y, 9, { c });
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (int i = 1; i <= 4; i++) {
		pinned[0] = 0;
		CU_OK(cuGraphLaunch(exec, s));
		CU_OK(cuStreamSynchronize(s));
		EXPECT_EQ(seen.calls, i);
		EXPECT_EQ(pinned[0], 1u);
		EXPECT_EQ(*reinterpret_cast<const uint32_t *>(read(y, 4).data()), 9u);
	}
	CU_OK(cuMemFreeHost(pinned));
}

/* Destroyed while it waits in a stream: it runs all the same. */
TEST_F(Graph, DestroyedBehindItsLaunch)
{
	Gate gate;

	fill(y, 5);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_OK(cuGraphUpload(exec, s));
	CU_OK(gate.hold(s));
	CU_OK(cuGraphLaunch(exec, s));
	CU_OK(cuGraphExecDestroy(exec));
	exec = nullptr;
	gate.open();
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(*reinterpret_cast<const uint32_t *>(read(y, 4).data()), 5u);
}

} // namespace

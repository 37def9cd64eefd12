/* SPDX-License-Identifier: MIT */
/* Conditional nodes of graphs: what a kernel sets decides what runs next. */
#include "api/api_test.h"

namespace {

/* count: p[0]-- and p[1]++ until p[0] is 0; choose: the value is p[0]; mark: p[2] = v. */
const char *const ptx = R"(
.version 8.3
.target sm_75
.address_size 64
.extern .func cudaGraphSetConditional(.param .b64 h, .param .b32 v);
.visible .entry count(.param .u64 h, .param .u64 p)
{
	.reg .pred %q;
	.reg .b32 %r<3>;
	.reg .b64 %d<3>;
	ld.param.u64 %d0, [h];
	ld.param.u64 %d1, [p];
	ld.global.u32 %r0, [%d1];
	sub.u32 %r0, %r0, 1;
	st.global.u32 [%d1], %r0;
	ld.global.u32 %r1, [%d1+4];
	add.u32 %r1, %r1, 1;
	st.global.u32 [%d1+4], %r1;
	setp.ne.u32 %q, %r0, 0;
	@%q bra DONE;
	{
		.param .b64 a;
		.param .b32 b;
		st.param.b64 [a], %d0;
		st.param.b32 [b], %r0;
		call.uni cudaGraphSetConditional, (a, b);
	}
DONE:
	ret;
}
.visible .entry choose(.param .u64 h, .param .u64 p)
{
	.reg .b32 %r0;
	.reg .b64 %d<3>;
	ld.param.u64 %d0, [h];
	ld.param.u64 %d1, [p];
	ld.global.u32 %r0, [%d1];
	{
		.param .b64 a;
		.param .b32 b;
		st.param.b64 [a], %d0;
		st.param.b32 [b], %r0;
		call.uni cudaGraphSetConditional, (a, b);
	}
	ret;
}
.visible .entry mark(.param .u64 p, .param .u32 v)
{
	.reg .b32 %r0;
	.reg .b64 %d0;
	ld.param.u64 %d0, [p];
	ld.param.u32 %r0, [v];
	st.global.u32 [%d0+8], %r0;
	ret;
}
)";

class Conditional : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuModuleLoadData(&module, ptx));
		CU_OK(cuGraphCreate(&graph, 0));
		CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		p = alloc(64);
	}
	void TearDown() override
	{
		if (exec) {
			CU_OK(cuGraphExecDestroy(exec));
		}
		CU_OK(cuGraphDestroy(graph));
		CU_OK(cuStreamDestroy(s));
		CU_OK(cuMemFree(p));
		CU_OK(cuModuleUnload(module));
		Api::TearDown();
	}

	CUgraphNode kernel(CUgraph g, const char *name, void **args,
			   std::vector<CUgraphNode> deps = {})
	{
		CUDA_KERNEL_NODE_PARAMS k = {};
		CUgraphNode n = nullptr;

		EXPECT_EQ(cuModuleGetFunction(&k.func, module, name), CUDA_SUCCESS);
		k.gridDimX = k.gridDimY = k.gridDimZ = 1;
		k.blockDimX = k.blockDimY = k.blockDimZ = 1;
		k.kernelParams = args;
		EXPECT_EQ(cuGraphAddKernelNode(&n, g, deps.data(), deps.size(), &k), CUDA_SUCCESS);
		return n;
	}
	void mark(CUgraph g, uint32_t value)
	{
		void *args[] = { &p, &value };

		kernel(g, "mark", args);
	}
	CUgraphConditionalHandle handle(unsigned value, unsigned flags)
	{
		CUgraphConditionalHandle h = 0;

		EXPECT_EQ(cuGraphConditionalHandleCreate(&h, graph, ctx, value, flags),
			  CUDA_SUCCESS);
		return h;
	}
	/* The bodies. */
	std::vector<CUgraph> node(CUgraph g, CUgraphConditionalHandle h,
				  CUgraphConditionalNodeType type, unsigned size,
				  std::vector<CUgraphNode> deps = {})
	{
		CUgraphNodeParams np = {};
		CUgraphNode n;

		np.type = CU_GRAPH_NODE_TYPE_CONDITIONAL;
		np.conditional.handle = h;
		np.conditional.type = type;
		np.conditional.size = size;
		np.conditional.ctx = ctx;
		EXPECT_EQ(cuGraphAddNode(&n, g, deps.data(), nullptr, deps.size(), &np),
			  CUDA_SUCCESS);
		return { np.conditional.phGraph_out, np.conditional.phGraph_out + size };
	}
	/* Launches with p[0] = first; p[0..2] afterwards. */
	std::vector<uint32_t> launch(uint32_t first)
	{
		uint32_t v[3] = { first, 0, 0 };

		EXPECT_EQ(cuMemcpyHtoD(p, v, sizeof(v)), CUDA_SUCCESS);
		EXPECT_EQ(cuGraphLaunch(exec, s), CUDA_SUCCESS);
		EXPECT_EQ(cuStreamSynchronize(s), CUDA_SUCCESS);
		EXPECT_EQ(cuMemcpyDtoH(v, p, sizeof(v)), CUDA_SUCCESS);
		return { v, v + 3 };
	}

	CUmodule module = nullptr;
	CUgraph graph = nullptr;
	CUgraphExec exec = nullptr;
	CUstream s = nullptr;
	CUdeviceptr p = 0;
};

TEST_F(Conditional, WhileRunsUntilAKernelSaysNo)
{
	CUgraphConditionalHandle h = handle(1, CU_GRAPH_COND_ASSIGN_DEFAULT);
	auto body = node(graph, h, CU_GRAPH_COND_TYPE_WHILE, 1);
	void *args[] = { &h, &p };

	kernel(body[0], "count", args);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (uint32_t n : { 1u, 7u, 100u })
		EXPECT_EQ(launch(n), (std::vector<uint32_t>{ 0, n, 0 }));
}

TEST_F(Conditional, IfWithAndWithoutElse)
{
	for (unsigned size : { 1u, 2u }) {
		CUgraphConditionalHandle h = handle(0, 0);
		void *args[] = { &h, &p };
		CUgraphNode first = kernel(graph, "choose", args);
		auto body = node(graph, h, CU_GRAPH_COND_TYPE_IF, size, { first });

		mark(body[0], 10);
		if (size == 2)
			mark(body[1], 20);
		CU_OK(cuGraphInstantiate(&exec, graph, 0));
		EXPECT_EQ(launch(0)[2], size == 2 ? 20u : 0u);
		EXPECT_EQ(launch(1)[2], 10u);
		EXPECT_EQ(launch(5)[2], 10u);
		CU_OK(cuGraphExecDestroy(exec));
		exec = nullptr;
		CU_OK(cuGraphDestroy(graph));
		CU_OK(cuGraphCreate(&graph, 0));
	}
}

TEST_F(Conditional, SwitchTakesOneOrNone)
{
	CUgraphConditionalHandle h = handle(0, 0);
	void *args[] = { &h, &p };
	auto body = node(graph, h, CU_GRAPH_COND_TYPE_SWITCH, 3, { kernel(graph, "choose", args) });

	for (uint32_t i = 0; i < 3; i++)
		mark(body[i], 100 + i);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_EQ(launch(i)[2], 100 + i);
	EXPECT_EQ(launch(3)[2], 0u);
	EXPECT_EQ(launch(4000000000u)[2], 0u);
}

/* An IF in a WHILE, captured into the body from a stream. */
TEST_F(Conditional, NestedAndCaptured)
{
	CUgraphConditionalHandle loop = handle(1, CU_GRAPH_COND_ASSIGN_DEFAULT);
	CUgraphConditionalHandle inner = handle(1, CU_GRAPH_COND_ASSIGN_DEFAULT);
	auto body = node(graph, loop, CU_GRAPH_COND_TYPE_WHILE, 1);
	void *args[] = { &loop, &p };
	CUfunction f;

	mark(node(body[0], inner, CU_GRAPH_COND_TYPE_IF, 1)[0], 42);
	CU_OK(cuModuleGetFunction(&f, module, "count"));
	CU_OK(cuStreamBeginCaptureToGraph(s, body[0], nullptr, nullptr, 0,
					  CU_STREAM_CAPTURE_MODE_RELAXED));
	CU_OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, args, nullptr));
	CU_OK(cuStreamEndCapture(s, nullptr));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	EXPECT_EQ(launch(6), (std::vector<uint32_t>{ 0, 6, 42 }));
	EXPECT_EQ(launch(2), (std::vector<uint32_t>{ 0, 2, 42 }));
}

/* In a child graph, and the program's graph gone before the launch. */
TEST_F(Conditional, InACopy)
{
	CUgraphConditionalHandle h = handle(1, CU_GRAPH_COND_ASSIGN_DEFAULT);
	void *args[] = { &h, &p };
	CUgraph outer;
	CUgraphNode n;

	kernel(node(graph, h, CU_GRAPH_COND_TYPE_WHILE, 1)[0], "count", args);
	CU_OK(cuGraphCreate(&outer, 0));
	CU_OK(cuGraphAddChildGraphNode(&n, outer, nullptr, 0, graph));
	CU_OK(cuGraphDestroy(graph));
	CU_OK(cuGraphInstantiate(&exec, outer, 0));
	graph = outer;
	EXPECT_EQ(launch(9), (std::vector<uint32_t>{ 0, 9, 0 }));
}

TEST_F(Conditional, Refusals)
{
	CUgraphConditionalHandle h = handle(0, 0);
	CUgraphNodeParams np = {};
	CUgraphNode n;

	CU_IS(cuGraphConditionalHandleCreate(nullptr, graph, ctx, 0, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphConditionalHandleCreate(&h, nullptr, ctx, 0, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuGraphConditionalHandleCreate(&h, graph, ctx, 0, 2), CUDA_ERROR_INVALID_VALUE);
	np.type = CU_GRAPH_NODE_TYPE_CONDITIONAL;
	np.conditional.ctx = ctx;
	np.conditional.handle = h + 4;
	np.conditional.size = 1;
	CU_IS(cuGraphAddNode(&n, graph, nullptr, nullptr, 0, &np), CUDA_ERROR_INVALID_VALUE);
	np.conditional.handle = h;
	for (unsigned size : { 0u, 3u }) {
		np.conditional.size = size;
		CU_IS(cuGraphAddNode(&n, graph, nullptr, nullptr, 0, &np),
		      CUDA_ERROR_INVALID_VALUE);
	}
	np.conditional.type = CU_GRAPH_COND_TYPE_WHILE;
	np.conditional.size = 2;
	CU_IS(cuGraphAddNode(&n, graph, nullptr, nullptr, 0, &np), CUDA_ERROR_INVALID_VALUE);
	np.conditional.type = CUgraphConditionalNodeType(9);
	np.conditional.size = 1;
	CU_IS(cuGraphAddNode(&n, graph, nullptr, nullptr, 0, &np), CUDA_ERROR_INVALID_VALUE);
}

/* What needs this process cannot be in a body; it is said when the graph is instantiated. */
TEST_F(Conditional, HostFunctionInABody)
{
	CUgraphConditionalHandle h = handle(1, CU_GRAPH_COND_ASSIGN_DEFAULT);
	auto body = node(graph, h, CU_GRAPH_COND_TYPE_IF, 1);
	CUDA_HOST_NODE_PARAMS host = {};
	CUgraphNode n;

	host.fn = [](void *) {};
	CU_OK(cuGraphAddHostNode(&n, body[0], nullptr, 0, &host));
	CU_IS(cuGraphInstantiate(&exec, graph, 0), CUDA_ERROR_NOT_SUPPORTED);
	exec = nullptr;
}

} // namespace

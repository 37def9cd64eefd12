/* SPDX-License-Identifier: MIT */
/* Branches of graphs: side by side where the edges allow, in order where they do not. */
#include "api/api_test.h"

#include <atomic>
#include <unistd.h>

namespace {

/*
 * meet: *mine = 1, then until *other is not 0 (both u64); add: p[i] = p[j] + p[k] + 1 (u64 p, u32 i, j, k);
 * bump: p[i] += 1 (u64 p, u32 i)
 */
const char *const ptx = R"(
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
.visible .entry add(.param .u64 p, .param .u32 i, .param .u32 j, .param .u32 k)
{
	.reg .b32 %r<6>;
	.reg .b64 %d<5>;
	ld.param.u64 %d0, [p];
	ld.param.u32 %r0, [i];
	ld.param.u32 %r1, [j];
	ld.param.u32 %r2, [k];
	mad.wide.u32 %d1, %r0, 4, %d0;
	mad.wide.u32 %d2, %r1, 4, %d0;
	mad.wide.u32 %d3, %r2, 4, %d0;
	ld.global.u32 %r3, [%d2];
	ld.global.u32 %r4, [%d3];
	add.u32 %r3, %r3, %r4;
	add.u32 %r3, %r3, 1;
	st.global.u32 [%d1], %r3;
	ret;
}
.visible .entry bump(.param .u64 p, .param .u32 i)
{
	.reg .b32 %r<3>;
	.reg .b64 %d<2>;
	ld.param.u64 %d0, [p];
	ld.param.u32 %r0, [i];
	mad.wide.u32 %d1, %r0, 4, %d0;
	ld.global.u32 %r1, [%d1];
	add.u32 %r1, %r1, 1;
	st.global.u32 [%d1], %r1;
	ret;
}
)";

constexpr uint32_t kWords = 1024;

class Branch : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuModuleLoadData(&module, ptx));
		CU_OK(cuModuleGetFunction(&meet, module, "meet"));
		CU_OK(cuModuleGetFunction(&add, module, "add"));
		CU_OK(cuModuleGetFunction(&bump, module, "bump"));
		CU_OK(cuGraphCreate(&graph, 0));
		CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		p = alloc(kWords * 4);
		CU_OK(cuMemsetD32Async(p, 0, kWords, s));
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
	CUgraphNode kernel(CUfunction f, std::vector<CUgraphNode> deps, void **params)
	{
		CUDA_KERNEL_NODE_PARAMS k = {};
		CUgraphNode n = nullptr;

		k.func = f;
		k.gridDimX = k.gridDimY = k.gridDimZ = 1;
		k.blockDimX = k.blockDimY = k.blockDimZ = 1;
		k.kernelParams = params;
		EXPECT_EQ(cuGraphAddKernelNode(&n, graph, deps.data(), deps.size(), &k),
			  CUDA_SUCCESS);
		return n;
	}
	CUgraphNode meet_node(std::vector<CUgraphNode> deps, uint32_t mine, uint32_t other)
	{
		CUdeviceptr a = p + 4 * mine, b = p + 4 * other;
		void *params[] = { &a, &b };

		return kernel(meet, deps, params);
	}
	CUgraphNode add_node(std::vector<CUgraphNode> deps, uint32_t i, uint32_t j, uint32_t k)
	{
		void *params[] = { &p, &i, &j, &k };

		return kernel(add, deps, params);
	}
	CUgraphNode bump_node(std::vector<CUgraphNode> deps, uint32_t i)
	{
		void *params[] = { &p, &i };

		return kernel(bump, deps, params);
	}
	uint32_t word(uint32_t i)
	{
		uint32_t v = 0;

		EXPECT_EQ(cuMemcpyDtoH(&v, p + 4 * i, 4), CUDA_SUCCESS);
		return v;
	}
	void launch()
	{
		CU_OK(cuGraphLaunch(exec, s));
		CU_OK(cuStreamSynchronize(s));
	}

	CUmodule module;
	CUfunction meet, add, bump;
	CUgraph graph;
	CUgraphExec exec = nullptr;
	CUstream s;
	CUdeviceptr p;
};

/* Two branches that wait for each other, behind a common node, at the first launch and at later ones. */
TEST_F(Branch, KernelsRunSideBySide)
{
	CUgraphNode root = bump_node({}, 10), left = meet_node({ root }, 0, 1),
		    right = meet_node({ root }, 1, 0);

	bump_node({ left, right }, 11);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (uint32_t i = 1; i < 8; i++) {
		CU_OK(cuMemsetD32Async(p, 0, 2, s));
		launch();
		EXPECT_EQ(word(10), i);
		EXPECT_EQ(word(11), i);
	}
}

/* They met at once before, so that nothing spoke for running them side by side; now one is late. */
TEST_F(Branch, OneThatWasShortWaitsForAnother)
{
	meet_node({}, 0, 1);
	meet_node({}, 1, 0);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (int i = 0; i < 20; i++) {
		CU_OK(cuMemsetD32Async(p, 1, 2, s));
		launch();
	}
	for (int i = 0; i < 20; i++) {
		CU_OK(cuMemsetD32Async(p, 0, 2, s));
		launch();
	}
}

TEST_F(Branch, CapturedStreamsRunSideBySide)
{
	CUdeviceptr a = p, b = p + 4;
	void *left[] = { &a, &b }, *right[] = { &b, &a };
	CUevent fork, joined;
	CUstream t;

	CU_OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
	CU_OK(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
	CU_OK(cuEventCreate(&joined, CU_EVENT_DISABLE_TIMING));
	CU_OK(cuGraphDestroy(graph));
	CU_OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU_OK(cuEventRecord(fork, s));
	CU_OK(cuStreamWaitEvent(t, fork, 0));
	CU_OK(cuLaunchKernel(meet, 1, 1, 1, 1, 1, 1, 0, s, left, nullptr));
	CU_OK(cuLaunchKernel(meet, 1, 1, 1, 1, 1, 1, 0, t, right, nullptr));
	CU_OK(cuEventRecord(joined, t));
	CU_OK(cuStreamWaitEvent(s, joined, 0));
	CU_OK(cuMemsetD32Async(p, 0, 2, s));
	CU_OK(cuStreamEndCapture(s, &graph));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (int i = 0; i < 5; i++) {
		launch();
		EXPECT_EQ(word(0), 0u);
	}
	CU_OK(cuEventDestroy(fork));
	CU_OK(cuEventDestroy(joined));
	CU_OK(cuStreamDestroy(t));
}

/* A sum over a random graph: wrong as soon as one node runs before another that it waits for. */
TEST_F(Branch, EveryEdgeHolds)
{
	std::vector<CUgraphNode> nodes;
	std::vector<uint32_t> sum(kWords);
	uint32_t x = 12345;

	for (uint32_t i = 0; i < 400; i++) {
		uint32_t j, k;

		if (i < 7) {
			nodes.push_back(add_node({}, i, 1000, 1000)); /* 0 + 0 + 1 */
			sum[i] = 1;
			continue;
		}
		x = x * 1664525 + 1013904223;
		j = (x >> 8) % i;
		k = (x >> 20) % 4 ? i - 1 - (x >> 28) % 4 : (j + 1) % i;
		if (j == k)
			k = (j + 1) % i;
		nodes.push_back(add_node({ nodes[j], nodes[k] }, i, j, k));
		sum[i] = sum[j] + sum[k] + 1;
	}
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (int round = 0; round < 10; round++) {
		CU_OK(cuMemsetD32Async(p, 0, kWords, s));
		launch();
		std::vector<uint8_t> got = read(p, 400 * 4);

		ASSERT_EQ(memcmp(got.data(), sum.data(), 400 * 4), 0) << "round " << round;
	}
}

/* A child with branches between two nodes; one node of it is switched off. */
TEST_F(Branch, ChildrenAndDisabledNodes)
{
	CUgraphNode first, middle, last, off;
	CUgraph outer;

	bump_node({}, 1);
	off = bump_node({}, 2);
	bump_node({ off }, 3);
	CU_OK(cuGraphCreate(&outer, 0));
	std::swap(outer, graph);
	first = add_node({}, 0, 4, 4);
	CU_OK(cuGraphAddChildGraphNode(&middle, graph, &first, 1, outer));
	last = add_node({ middle }, 5, 1, 3); /* behind all of it */
	bump_node({ last }, 6);
	CU_OK(cuGraphDestroy(outer));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	launch();
	launch();
	EXPECT_EQ(word(0), 1u);
	EXPECT_EQ(word(1), 2u);
	EXPECT_EQ(word(2), 2u);
	EXPECT_EQ(word(5), 5u); /* 2 + 2 + 1 */
	EXPECT_EQ(word(6), 2u);
	CU_OK(cuGraphNodeSetEnabled(exec, last, 0));
	launch();
	launch();
	EXPECT_EQ(word(1), 4u);
	EXPECT_EQ(word(5), 5u);
	EXPECT_EQ(word(6), 4u);
}

/* Copies of a branch beside a kernel of another that waits for what they bring. */
TEST_F(Branch, CopiesBesideKernels)
{
	CUDA_MEMCPY3D c = {};
	CUgraphNode n;
	uint32_t *host;

	CU_OK(cuMemHostAlloc(reinterpret_cast<void **>(&host), 64, 0));
	*host = 1;
	meet_node({}, 0, 1);
	c.srcMemoryType = CU_MEMORYTYPE_HOST;
	c.srcHost = host;
	c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
	c.dstDevice = p + 4;
	c.WidthInBytes = 4;
	c.Height = c.Depth = 1;
	CU_OK(cuGraphAddMemcpyNode(&n, graph, nullptr, 0, &c, ctx));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (int i = 0; i < 5; i++) {
		CU_OK(cuMemsetD32Async(p, 0, 2, s));
		launch();
		EXPECT_EQ(word(0), 1u);
	}
	CU_OK(cuMemFreeHost(host));
}

/* A host function of one branch waits for a kernel of another, and that for it. */
TEST_F(Branch, HostFunctionsBesideKernels)
{
	static uint32_t *flags;
	CUDA_HOST_NODE_PARAMS h = {};
	CUgraphNode root, host, k, end;
	CUdeviceptr d;

	CU_OK(cuMemHostAlloc(reinterpret_cast<void **>(&flags), 64, CU_MEMHOSTALLOC_DEVICEMAP));
	if (cuMemHostGetDevicePointer(&d, flags, 0) != CUDA_SUCCESS ||
	    getenv("VGPU_SHARED_PAGES") == nullptr || *getenv("VGPU_SHARED_PAGES") == '0') {
		CU_OK(cuMemFreeHost(flags));
		GTEST_SKIP() << "needs memory that host and kernels see at once";
	}
	h.fn = [](void *) {
		while (!__atomic_load_n(&flags[0], __ATOMIC_ACQUIRE))
			usleep(100);
		__atomic_store_n(&flags[1], 1, __ATOMIC_RELEASE);
	};
	root = bump_node({}, 10);
	CUdeviceptr mine = d, other = d + 4;
	void *params[] = { &mine, &other };
	k = kernel(meet, { root }, params);
	CU_OK(cuGraphAddHostNode(&host, graph, &root, 1, &h));
	end = bump_node({ k, host }, 11);
	bump_node({ end }, 12);
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (uint32_t i = 1; i < 6; i++) {
		flags[0] = flags[1] = 0;
		launch();
		EXPECT_EQ(word(10), i);
		EXPECT_EQ(word(11), i);
		EXPECT_EQ(word(12), i);
	}
	CU_OK(cuMemFreeHost(flags));
}

/* A random graph whose nodes are host functions and kernels: each says in which order it came. */
TEST_F(Branch, EdgesHoldOverHostFunctions)
{
	struct note {
		std::atomic<uint32_t> *clock;
		uint32_t begin;
	};
	static std::atomic<uint32_t> clock;
	std::vector<note> notes(60);
	std::vector<std::vector<uint32_t>> before(60);
	std::vector<CUgraphNode> nodes;
	uint32_t x = 99;

	for (uint32_t i = 0; i < 60; i++) {
		std::vector<CUgraphNode> deps;
		CUgraphNode n;

		for (uint32_t k = 0; k < 2 && i > 3; k++) {
			x = x * 1664525 + 1013904223;
			uint32_t j = (x >> 8) % i;

			if (deps.empty() || deps[0] != nodes[j]) {
				deps.push_back(nodes[j]);
				before[i].push_back(j);
			}
		}
		notes[i] = { &clock, 0 };
		if (i % 3 == 1) {
			CUDA_HOST_NODE_PARAMS h = {};

			h.fn = [](void *arg) {
				note *w = static_cast<note *>(arg);

				w->begin = ++*w->clock;
			};
			h.userData = &notes[i];
			CU_OK(cuGraphAddHostNode(&n, graph, deps.data(), deps.size(), &h));
		} else if (i < 4) {
			n = add_node(deps, i, 1000, 1000);
		} else {
			n = add_node(deps, i, before[i][0], before[i].back());
		}
		nodes.push_back(n);
	}
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	for (int round = 0; round < 5; round++) {
		std::vector<uint32_t> sum(60);

		CU_OK(cuMemsetD32Async(p, 0, kWords, s));
		launch();
		std::vector<uint8_t> got = read(p, 60 * 4);

		for (uint32_t i = 0; i < 60; i++) {
			if (i % 3 == 1)
				for (uint32_t j : before[i])
					EXPECT_TRUE(j % 3 != 1 || notes[j].begin < notes[i].begin)
						<< j << " before " << i;
			else
				sum[i] = i < 4 ? 1 : sum[before[i][0]] + sum[before[i].back()] + 1;
		}
		EXPECT_EQ(memcmp(got.data(), sum.data(), 60 * 4), 0) << "round " << round;
	}
}

} // namespace

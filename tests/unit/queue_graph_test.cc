// SPDX-License-Identifier: MIT
// Graphs of the worker: lists of commands that run as one, branches, and every list that is refused.
#include "tests/unit/worker_front.h"

namespace {

class QueueGraph : public ::testing::Test {
protected:
	QueueGraph() : f(false), ctx(f.ctx()), stream(f.stream(ctx)), va(f.alloc(ctx, 4096))
	{
		mod = f.module(ctx);
		write = f.func(mod, "write");
	}

	template <class T> void add(uint32_t op, T c)
	{
		c.head = { op, uint32_t(sizeof(c)) };
		list.append(reinterpret_cast<const char *>(&c), sizeof(c));
	}
	void launch(uint32_t word, uint32_t value)
	{
		auto c = Front::make_launch(write, 16, va + word * 4, value);

		list.append(reinterpret_cast<const char *>(&c), c.l.head.bytes);
	}
	void branch(uint32_t when, uint64_t target, uint64_t word_va = 0, uint32_t value = 0)
	{
		struct vgpu_cmd_branch b = {};

		b.when = when;
		b.target = target;
		b.va = word_va;
		b.value = value;
		add(VGPU_CMD_BRANCH, b);
	}
	void write_value(uint32_t word, uint32_t value)
	{
		struct vgpu_cmd_value_write v = {};

		v.va = va + word * 4;
		v.value = value;
		v.bytes = 4;
		add(VGPU_CMD_VALUE_WRITE, v);
	}
	int create(uint32_t *ret_graph = nullptr)
	{
		struct vgpu_blob_create b = {};
		struct vgpu_blob_destroy d = {};
		struct vgpu_graph_create g = {};

		b.size = list.size();
		b.fd = -1;
		EXPECT_EQ(0, f.call(VGPU_OP_BLOB_CREATE, &b));
		for (size_t at = 0; at < list.size(); at += 4096) {
			uint32_t n = uint32_t(std::min<size_t>(4096, list.size() - at));

			EXPECT_EQ(int(n),
				  f.bulk(true, VGPU_BLOB_OFFSET(b.slot) + at, list.data() + at, n));
		}
		g.ctx = ctx;
		g.blob = d.blob = b.blob;
		int r = f.call(VGPU_OP_GRAPH_CREATE, &g);

		EXPECT_EQ(0, f.call(VGPU_OP_BLOB_DESTROY, &d));
		if (ret_graph)
			*ret_graph = g.graph;
		return r;
	}
	// Runs it; the error of the context.
	uint32_t run(uint32_t graph)
	{
		struct vgpu_cmd_graph_run c = {};

		c.head = { VGPU_CMD_GRAPH_RUN, sizeof(c) };
		c.graph = graph;
		EXPECT_EQ(0, f.submit(stream, &c, sizeof(c)));
		return f.wait(stream, ++seq);
	}
	uint32_t word(uint32_t i) { return __atomic_load_n((uint32_t *)va + i, __ATOMIC_ACQUIRE); }

	Front f;
	uint32_t ctx, stream, mod, write;
	uint64_t va, seq = 0;
	std::string list;
};

} // namespace

TEST_F(QueueGraph, RunsAllAsOneCommand)
{
	uint32_t g;

	for (uint32_t i = 0; i < 100; i++)
		launch(i, i + 1);
	write_value(200, 77);
	ASSERT_EQ(0, create(&g));
	for (int round = 0; round < 3; round++) {
		memset((void *)va, 0, 4096);
		EXPECT_EQ(0u, run(g));
		for (uint32_t i = 0; i < 100; i++)
			EXPECT_EQ(i + 1, word(i));
		EXPECT_EQ(77u, word(200));
	}
}

TEST_F(QueueGraph, BranchesBothWays)
{
	uint32_t g;
	const uint64_t write_at = sizeof(struct vgpu_cmd_branch);
	const uint64_t bytes = sizeof(struct vgpu_cmd_value_write);

	branch(VGPU_BRANCH_EQUAL, write_at + bytes, va, 5); /* passes the first write over */
	write_value(1, 11);
	branch(VGPU_BRANCH_NOT_EQUAL, 2 * (write_at + bytes), va, 5);
	write_value(2, 22);
	ASSERT_EQ(0, create(&g));
	for (uint32_t v : { 5u, 6u }) {
		memset((void *)va, 0, 4096);
		((uint32_t *)va)[0] = v;
		EXPECT_EQ(0u, run(g));
		EXPECT_EQ(v == 5 ? 0u : 11u, word(1));
		EXPECT_EQ(v == 5 ? 22u : 0u, word(2));
	}
}

/* A list that never ends is cut short with its context, as a kernel is. */
TEST_F(QueueGraph, EndlessOnesEndWithTheirContext)
{
	struct vgpu_ctx_destroy d = { ctx, 0 };
	struct vgpu_cmd_graph_run c = {};
	uint32_t g;

	write_value(0, 1);
	branch(VGPU_BRANCH_ALWAYS, 0);
	ASSERT_EQ(0, create(&g));
	c.head = { VGPU_CMD_GRAPH_RUN, sizeof(c) };
	c.graph = g;
	ASSERT_EQ(0, f.submit(stream, &c, sizeof(c)));
	while (!word(0))
		usleep(1000);
	EXPECT_EQ(0, f.call(VGPU_OP_CTX_DESTROY, &d));
}

TEST_F(QueueGraph, GoneMeansRefused)
{
	struct vgpu_graph_destroy d = {};
	uint32_t g;

	launch(0, 1);
	ASSERT_EQ(0, create(&g));
	d.graph = g;
	d.pad = 1;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_GRAPH_DESTROY, &d));
	d.pad = 0;
	EXPECT_EQ(0, f.call(VGPU_OP_GRAPH_DESTROY, &d));
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_GRAPH_DESTROY, &d));
	EXPECT_EQ(719u, run(g));
}

TEST_F(QueueGraph, OfAnotherContextIsRefused)
{
	uint32_t g;

	launch(0, 1);
	ASSERT_EQ(0, create(&g));
	stream = f.stream(f.ctx());
	EXPECT_EQ(719u, run(g));
}

TEST_F(QueueGraph, AKernelThatWentAwayIsFoundAtTheRun)
{
	struct vgpu_module_unload u = { mod, 0 };
	uint32_t g;

	write_value(0, 3);
	launch(1, 1);
	ASSERT_EQ(0, create(&g));
	EXPECT_EQ(0, f.call(VGPU_OP_MODULE_UNLOAD, &u));
	EXPECT_EQ(719u, run(g));
	EXPECT_EQ(0u, word(0));
}

TEST_F(QueueGraph, AFaultEndsTheRun)
{
	auto c = Front::make_launch(f.func(mod, "fault"));
	uint32_t g;

	launch(0, 1);
	list.append(reinterpret_cast<const char *>(&c), c.l.head.bytes);
	launch(1, 1);
	ASSERT_EQ(0, create(&g));
	EXPECT_NE(0u, run(g));
	EXPECT_EQ(1u, word(0));
	EXPECT_EQ(0u, word(1));
}

TEST_F(QueueGraph, AWordThatIsNotThere)
{
	uint32_t g;

	branch(VGPU_BRANCH_EQUAL, sizeof(struct vgpu_cmd_branch), 4096, 1);
	ASSERT_EQ(0, create(&g));
	EXPECT_EQ(700u, run(g));
}

TEST_F(QueueGraph, RefusedHandlesAndPads)
{
	struct vgpu_graph_create g = {};

	g.ctx = 12345;
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_GRAPH_CREATE, &g));
	g.ctx = ctx;
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_GRAPH_CREATE, &g));
	launch(0, 1);

	struct vgpu_blob_create b = {};

	b.size = 8;
	b.fd = -1;
	ASSERT_EQ(0, f.call(VGPU_OP_BLOB_CREATE, &b));
	g.blob = b.blob;
	g.pad = 1;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_GRAPH_CREATE, &g));
}

TEST_F(QueueGraph, RefusedLists)
{
	struct vgpu_cmd head;

	/* Sizes: not of eight bytes, too small, beyond the end, not that of the command. */
	list = std::string(12, '\0');
	EXPECT_EQ(-EINVAL, create());
	list = std::string(8, '\0');
	EXPECT_EQ(-EINVAL, create());
	for (uint32_t bytes : { 0u, 4u, 16u, 100000u }) {
		head = { VGPU_CMD_NOP, bytes };
		list.assign(reinterpret_cast<const char *>(&head), sizeof(head));
		EXPECT_EQ(-EINVAL, create()) << bytes;
	}
	list.clear();
	launch(0, 1);
	reinterpret_cast<vgpu_cmd_launch *>(&list[0])->param_bytes = 8;
	EXPECT_EQ(-EINVAL, create());
}

TEST_F(QueueGraph, RefusedCommands)
{
	add(VGPU_CMD_EVENT_RECORD, vgpu_cmd_event_record());
	EXPECT_EQ(-EINVAL, create());
	list.clear();
	add(VGPU_CMD_EVENT_WAIT, vgpu_cmd_event_wait());
	EXPECT_EQ(-EINVAL, create());
	list.clear();
	add(VGPU_CMD_STREAM_WAIT, vgpu_cmd_stream_wait());
	EXPECT_EQ(-EINVAL, create());
	list.clear();
	add(VGPU_CMD_HOST_CALL, vgpu_cmd_host_call());
	EXPECT_EQ(-EINVAL, create());
	list.clear();
	add(VGPU_CMD_GRAPH_RUN, vgpu_cmd_graph_run());
	EXPECT_EQ(-EINVAL, create());
	list.clear();
	add(99, vgpu_cmd_nop());
	EXPECT_EQ(-EINVAL, create());
}

TEST_F(QueueGraph, RefusedBranches)
{
	const uint64_t end = sizeof(struct vgpu_cmd_branch);

	branch(3, end, va);
	EXPECT_EQ(-EINVAL, create());
	list.clear();
	branch(VGPU_BRANCH_EQUAL, end, va + 2);
	EXPECT_EQ(-EINVAL, create());
	list.clear();
	branch(VGPU_BRANCH_ALWAYS, end, va);
	EXPECT_EQ(-EINVAL, create());
	list.clear();
	branch(VGPU_BRANCH_ALWAYS, end, 0, 1);
	EXPECT_EQ(-EINVAL, create());
	for (uint64_t target : { uint64_t(end - 8), uint64_t(end + 8), UINT64_MAX }) {
		list.clear();
		branch(VGPU_BRANCH_ALWAYS, target);
		EXPECT_EQ(-EINVAL, create()) << target;
	}
}

/* A branch alone in a ring leads nowhere. */
TEST_F(QueueGraph, BranchOutsideAGraph)
{
	struct vgpu_cmd_branch b = {};

	b.head = { VGPU_CMD_BRANCH, sizeof(b) };
	EXPECT_EQ(0, f.submit(stream, &b, sizeof(b)));
	EXPECT_EQ(719u, f.wait(stream, 1));
}

TEST_F(QueueGraph, PadOfARun)
{
	struct vgpu_cmd_graph_run c = {};

	launch(0, 1);
	ASSERT_EQ(0, create(&c.graph));
	c.head = { VGPU_CMD_GRAPH_RUN, sizeof(c) };
	c.pad = 1;
	EXPECT_EQ(0, f.submit(stream, &c, sizeof(c)));
	EXPECT_EQ(719u, f.wait(stream, 1));
}

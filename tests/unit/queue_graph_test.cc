// SPDX-License-Identifier: MIT
// Graphs of the worker: lists of commands that run as one, branches, and every list that is refused.
#include "cuse_dev/base/limits.h"
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
	void task(std::vector<uint32_t> deps)
	{
		struct vgpu_cmd_task t = {};
		uint32_t bytes = uint32_t(sizeof(t) + (deps.size() * 4 + 7) / 8 * 8);

		t.head = { VGPU_CMD_TASK, bytes };
		t.deps = uint32_t(deps.size());
		deps.resize(deps.size() + deps.size() % 2);
		list.append(reinterpret_cast<const char *>(&t), sizeof(t));
		list.append(reinterpret_cast<const char *>(deps.data()), deps.size() * 4);
	}
	void wait_value(uint32_t word, uint32_t value)
	{
		struct vgpu_cmd_value_wait v = {};

		v.va = va + word * 4;
		v.value = value;
		v.bytes = 4;
		v.flags = 1;
		add(VGPU_CMD_VALUE_WAIT, v);
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

/* What launches have in common is worked out once, and again when it has changed. */
TEST_F(QueueGraph, LaunchesArePreparedOnce)
{
	struct vgpu_func_set set = { write, 8, 100, 0 };
	struct vgpu_ctx_limit limit = {};
	uint64_t prepared = fake::prepared, runs = fake::ready_launches;
	uint32_t g;

	for (uint32_t i = 0; i < 10; i++)
		launch(i, i + 1);
	ASSERT_EQ(0, create(&g));
	for (int round = 0; round < 5; round++) {
		memset((void *)va, 0, 4096);
		EXPECT_EQ(0u, run(g));
		EXPECT_EQ(10u, word(9));
	}
	EXPECT_EQ(10u, fake::prepared - prepared);
	EXPECT_EQ(50u, fake::ready_launches - runs);
	EXPECT_EQ(0u, fake::seats);
	ASSERT_EQ(0, f.call(VGPU_OP_FUNC_SET, &set)); /* an attribute of the kernel */
	EXPECT_EQ(0u, run(g));
	EXPECT_EQ(0u, run(g));
	EXPECT_EQ(20u, fake::prepared - prepared);
	limit.ctx = ctx; /* the stack of its threads */
	limit.set = 1;
	limit.value = 4096;
	ASSERT_EQ(0, f.call(VGPU_OP_CTX_LIMIT, &limit));
	EXPECT_EQ(0u, run(g));
	EXPECT_EQ(30u, fake::prepared - prepared);
	stream = f.stream(ctx); /* another one that can be cancelled */
	seq = 0;
	EXPECT_EQ(0u, run(g));
	EXPECT_EQ(40u, fake::prepared - prepared);
}

/* So many launches are kept prepared, and one more is not; both run. */
TEST_F(QueueGraph, LimitOfPreparedLaunches)
{
	struct vgpu_graph_destroy d = {};

	for (uint32_t more : { 0u, 1u }) {
		uint64_t prepared = fake::prepared, runs = fake::ready_launches;

		list.clear();
		for (uint32_t i = 0; i < LIMIT_GRAPH_PREPARED + more; i++)
			launch(i % 1000, i + 1);
		ASSERT_EQ(0, create(&d.graph));
		memset((void *)va, 0, 4096);
		EXPECT_EQ(0u, run(d.graph));
		EXPECT_EQ(LIMIT_GRAPH_PREPARED + more,
			  word((LIMIT_GRAPH_PREPARED + more - 1) % 1000));
		EXPECT_EQ(more ? 0u : LIMIT_GRAPH_PREPARED, fake::prepared - prepared);
		EXPECT_EQ(more ? 0u : LIMIT_GRAPH_PREPARED, fake::ready_launches - runs);
		EXPECT_EQ(0, f.call(VGPU_OP_GRAPH_DESTROY, &d));
	}
}

/* Launches have the priority of the stream that they run in. */
TEST_F(QueueGraph, PrioritiesOfStreams)
{
	uint32_t g;

	launch(0, 1);
	ASSERT_EQ(0, create(&g));
	for (int priority : { -3, 0, -5 }) {
		stream = f.stream(ctx, nullptr, priority);
		seq = 0;
		EXPECT_EQ(0u, run(g));
		EXPECT_EQ(priority, fake::priority);
		EXPECT_EQ(0, f.submit(stream, list.data(), uint32_t(list.size())));
		EXPECT_EQ(0u, f.wait(stream, ++seq));
		EXPECT_EQ(priority, fake::priority);
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

/* Each of 64 tasks waits for the one before it by the list of tasks alone, in an order of its own. */
TEST_F(QueueGraph, TasksFollowThoseTheyWaitFor)
{
	uint32_t g;

	launch(0, 1);
	for (uint32_t i = 1; i < 64; i++) {
		task(i % 3 ? std::vector<uint32_t>{ i - 1 }
			   : std::vector<uint32_t>{ i - 1, i / 2 });
		wait_value(i - 1, i); /* ends the context by waiting for ever if it has not run */
		launch(i, i + 1);
	}
	ASSERT_EQ(0, create(&g));
	for (int round = 0; round < 20; round++) {
		memset((void *)va, 0, 4096);
		EXPECT_EQ(0u, run(g));
		for (uint32_t i = 0; i < 64; i++)
			ASSERT_EQ(i + 1, word(i));
	}
}

/* Two tasks that wait for each other in the middle: only side by side do they end. */
TEST_F(QueueGraph, TasksRunSideBySide)
{
	uint32_t g;

	launch(0, 1);
	task({ 0 });
	write_value(1, 1);
	wait_value(2, 1);
	launch(3, 4);
	task({ 0 });
	write_value(2, 1);
	wait_value(1, 1);
	launch(4, 5);
	task({ 1, 2 });
	launch(5, 6);
	ASSERT_EQ(0, create(&g));
	for (int round = 0; round < 3; round++) {
		memset((void *)va, 0, 4096);
		EXPECT_EQ(0u, run(g));
		EXPECT_EQ(1u, word(0));
		EXPECT_EQ(4u, word(3));
		EXPECT_EQ(5u, word(4));
		EXPECT_EQ(6u, word(5));
	}
}

/* Wide and short: many tasks, most without work worth a helper. */
TEST_F(QueueGraph, ManySmallTasks)
{
	std::vector<uint32_t> all;
	uint32_t g;

	write_value(0, 1);
	for (uint32_t i = 1; i < 900; i++) {
		task({ 0 });
		write_value(i, i + 1);
		all.push_back(i);
	}
	task(all);
	write_value(1000, 7);
	ASSERT_EQ(0, create(&g));
	for (int round = 0; round < 30; round++) {
		memset((void *)va, 0, 4096);
		EXPECT_EQ(0u, run(g));
		for (uint32_t i = 0; i < 900; i++)
			ASSERT_EQ(i + 1, word(i));
		ASSERT_EQ(7u, word(1000));
	}
}

TEST_F(QueueGraph, AFaultEndsAllTasks)
{
	auto c = Front::make_launch(f.func(mod, "fault"));
	uint32_t g;

	launch(0, 1);
	task({ 0 });
	wait_value(1, 1); /* which nobody writes */
	task({ 0 });
	list.append(reinterpret_cast<const char *>(&c), c.l.head.bytes);
	task({ 1, 2 });
	launch(2, 1);
	ASSERT_EQ(0, create(&g));
	EXPECT_NE(0u, run(g));
	EXPECT_EQ(0u, word(2));
}

TEST_F(QueueGraph, RefusedTasks)
{
	struct vgpu_cmd_task t = {};

	for (uint32_t dep : { 1u, 2u, UINT32_MAX }) { /* itself, a later one, none */
		list.clear();
		write_value(0, 1);
		task({ dep });
		task({ 0 });
		EXPECT_EQ(-EINVAL, create()) << dep;
	}
	list.clear();
	t.pad = 1;
	add(VGPU_CMD_TASK, t);
	EXPECT_EQ(-EINVAL, create());
	list.clear();
	t.pad = 0;
	for (uint32_t deps : { 1u, 3u, 0x40000000u, UINT32_MAX }) { /* more than its bytes */
		t.deps = deps;
		list.clear();
		add(VGPU_CMD_TASK, t);
		EXPECT_EQ(-EINVAL, create()) << deps;
	}
}

/* A branch stays in its task; its end is a place, too. */
TEST_F(QueueGraph, BranchesOfTasks)
{
	const uint64_t b = sizeof(struct vgpu_cmd_branch), t = sizeof(struct vgpu_cmd_task);
	uint32_t g;

	branch(VGPU_BRANCH_ALWAYS, b + sizeof(struct vgpu_cmd_value_write));
	write_value(0, 1);
	task({});
	write_value(1, 1);
	ASSERT_EQ(0, create(&g));
	memset((void *)va, 0, 4096);
	EXPECT_EQ(0u, run(g));
	EXPECT_EQ(0u, word(0));
	EXPECT_EQ(1u, word(1));
	for (uint64_t target : { b + t, b + t + sizeof(struct vgpu_cmd_value_write) }) {
		list.clear();
		branch(VGPU_BRANCH_ALWAYS, target);
		task({});
		write_value(1, 1);
		EXPECT_EQ(-EINVAL, create()) << target;
	}
	list.clear();
	task({});
	branch(VGPU_BRANCH_ALWAYS, 0);
	EXPECT_EQ(-EINVAL, create());
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

TEST_F(QueueGraph, TaskOutsideAGraph)
{
	struct vgpu_cmd_task t = {};

	t.head = { VGPU_CMD_TASK, sizeof(t) };
	EXPECT_EQ(0, f.submit(stream, &t, sizeof(t)));
	EXPECT_EQ(719u, f.wait(stream, 1));
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

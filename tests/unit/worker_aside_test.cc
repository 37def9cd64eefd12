// SPDX-License-Identifier: MIT
// Images and kernels that take long to read: other requests of the same client go on meanwhile, and
// what they destroy stays until it is no longer looked at.
#include "tests/unit/worker_front.h"

namespace {

// Closes the fake backend's gate for the length of a test, however it ends.
struct Gate {
	Gate() { fake::gate = true; }
	~Gate() { open(); }
	void open() { fake::gate = false; }
	void wait(int n)
	{
		for (int i = 0; fake::at_gate != n && i < 5000; i++)
			usleep(1000);
		ASSERT_EQ(n, fake::at_gate);
	}
};

struct Slow {
	vgpu_blob_create blob = {};
	vgpu_module_load load = {};
	uint64_t tag;

	Slow(Front &f, uint32_t ctx)
	{
		blob.size = 8;
		blob.fd = -1;
		EXPECT_EQ(0, f.call(VGPU_OP_BLOB_CREATE, &blob));
		EXPECT_EQ(8, f.bulk(true, VGPU_BLOB_OFFSET(blob.slot), "FAKESLOW", 8));
		load.ctx = ctx;
		load.blob = blob.blob;
		tag = f.send(WIRE_CALL, VGPU_OP_MODULE_LOAD, &load, sizeof(load));
	}
	int result(Front &f) { return f.receive(tag, &load, sizeof(load)); }
};

} // namespace

TEST(WorkerAside, OthersAreAnsweredWhileAnImageIsRead)
{
	Front f(false);
	Gate gate;
	uint32_t ctx = f.ctx();
	Slow slow(f, ctx);

	gate.wait(1);
	f.alloc(ctx, 4096);
	EXPECT_NE(0u, f.func(f.module(ctx), "write"));
	EXPECT_FALSE(f.answered(slow.tag, 0));
	gate.open();
	EXPECT_EQ(0, slow.result(f));
	EXPECT_EQ(0u, slow.load.result);
	EXPECT_NE(0u, f.func(slow.load.module, "write"));
}

TEST(WorkerAside, OthersAreAnsweredWhileAKernelIsCompiled)
{
	Front f(false);
	Gate gate;
	uint32_t ctx = f.ctx(), module = f.module(ctx);
	vgpu_func_info slow = {}, quick = {};
	vgpu_func_params params = {};
	vgpu_func_occupancy occupancy = {};
	uint64_t tag[3];

	slow.func = params.func = occupancy.func = f.func(module, "slow_compile");
	occupancy.block_size = 128;
	quick.func = f.func(module, "write");
	tag[0] = f.send(WIRE_CALL, VGPU_OP_FUNC_INFO, &slow, sizeof(slow));
	gate.wait(1);
	tag[1] = f.send(WIRE_CALL, VGPU_OP_FUNC_PARAMS, &params, sizeof(params));
	tag[2] = f.send(WIRE_CALL, VGPU_OP_FUNC_OCCUPANCY, &occupancy, sizeof(occupancy));
	EXPECT_EQ(0, f.call(VGPU_OP_FUNC_INFO, &quick));
	EXPECT_EQ(16u, quick.param_bytes);
	for (uint64_t t : tag)
		EXPECT_FALSE(f.answered(t, 0));
	gate.open();
	EXPECT_EQ(0, f.receive(tag[0], &slow, sizeof(slow)));
	EXPECT_EQ(32u, slow.num_regs);
	EXPECT_EQ(0, f.receive(tag[1], &params, sizeof(params)));
	EXPECT_EQ(0u, params.total);
	EXPECT_EQ(0, f.receive(tag[2], &occupancy, sizeof(occupancy)));
	EXPECT_EQ(16u, occupancy.blocks);
}

TEST(WorkerAside, AsManyImagesAtATimeAsTheLimitSays)
{
	Front f(false);
	Gate gate;
	uint32_t ctx = f.ctx();
	std::vector<Slow> slow;

	for (int i = 0; i < LIMIT_WORKER_JOBS + 1; i++)
		slow.emplace_back(f, ctx);
	gate.wait(LIMIT_WORKER_JOBS);
	f.alloc(ctx, 4096);
	EXPECT_EQ(LIMIT_WORKER_JOBS, fake::at_gate);
	gate.open();
	for (auto &s : slow) {
		EXPECT_EQ(0, s.result(f));
		EXPECT_NE(0u, s.load.module);
	}
}

TEST(WorkerAside, ABlobThatIsReadIsNotWrittenAndNotFreed)
{
	Front f(false);
	Gate gate;
	uint32_t ctx = f.ctx();
	Slow slow(f, ctx);
	vgpu_blob_destroy d = {};

	gate.wait(1);
	EXPECT_EQ(-EBUSY, f.bulk(true, VGPU_BLOB_OFFSET(slow.blob.slot), "xxxx", 4));
	d.blob = slow.blob.blob;
	EXPECT_EQ(0, f.call(VGPU_OP_BLOB_DESTROY, &d));
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_BLOB_DESTROY, &d));
	EXPECT_EQ(-EBADF, f.bulk(true, VGPU_BLOB_OFFSET(slow.blob.slot), "xxxx", 4));
	gate.open();
	EXPECT_EQ(0, slow.result(f));
	EXPECT_EQ(0u, slow.load.result);
	EXPECT_EQ(-EBADF, f.bulk(true, VGPU_BLOB_OFFSET(slow.blob.slot), "xxxx", 4));
}

TEST(WorkerAside, AContextClosedMeanwhileTakesItsImageAlong)
{
	Front f(false);
	Gate gate;
	uint32_t ctx = f.ctx();
	Slow slow(f, ctx);
	vgpu_ctx_destroy d = { ctx, 0 };
	int before = fake::modules;
	uint64_t tag;

	gate.wait(1);
	tag = f.send(WIRE_CALL, VGPU_OP_CTX_DESTROY, &d, sizeof(d));
	EXPECT_FALSE(f.answered(tag, 50));
	gate.open();
	EXPECT_EQ(-EBADF, slow.result(f));
	EXPECT_EQ(0, f.receive(tag, &d, sizeof(d)));
	EXPECT_EQ(before, fake::modules);
	EXPECT_EQ(0, f.charge);
}

TEST(WorkerAside, UnloadWaitsForTheCompiler)
{
	Front f(false);
	Gate gate;
	uint32_t ctx = f.ctx(), module = f.module(ctx);
	vgpu_func_info info = {};
	vgpu_module_unload u = { module, 0 };
	int before = fake::modules;
	uint64_t compile, unload;

	info.func = f.func(module, "slow_compile");
	compile = f.send(WIRE_CALL, VGPU_OP_FUNC_INFO, &info, sizeof(info));
	gate.wait(1);
	unload = f.send(WIRE_CALL, VGPU_OP_MODULE_UNLOAD, &u, sizeof(u));
	EXPECT_FALSE(f.answered(unload, 50));
	EXPECT_EQ(before, fake::modules);
	gate.open();
	EXPECT_EQ(-EBADF, f.receive(compile, &info, sizeof(info)));
	EXPECT_EQ(0, f.receive(unload, &u, sizeof(u)));
	EXPECT_EQ(before - 1, fake::modules);
}

TEST(WorkerAside, ASignalDoesNotBeginItAgain)
{
	Front f(false);
	Gate gate;
	uint32_t ctx = f.ctx();
	Slow slow(f, ctx);

	gate.wait(1);
	f.send(WIRE_CANCEL, 0, nullptr, 0, {}, slow.tag);
	f.alloc(ctx, 4096);
	EXPECT_FALSE(f.answered(slow.tag, 0));
	gate.open();
	EXPECT_EQ(0, slow.result(f));
	EXPECT_NE(0u, slow.load.module);
}

TEST(WorkerAside, TheEndWaitsForWhatHasBegun)
{
	int before = fake::modules;
	{
		Front f(false);
		Gate gate;
		uint32_t ctx = f.ctx();
		std::vector<Slow> slow;

		for (int i = 0; i < LIMIT_WORKER_JOBS + 2; i++)
			slow.emplace_back(f, ctx);
		gate.wait(LIMIT_WORKER_JOBS);
		std::thread later([&] {
			usleep(20000);
			gate.open();
		});
		f.leave();
		later.join();
	}
	EXPECT_EQ(before, fake::modules);
}

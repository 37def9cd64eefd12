// SPDX-License-Identifier: MIT
// A whole worker behind a socket: objects by handle, charges, refusals, waits, cancellation.
#include "tests/unit/worker_front.h"

TEST(Worker, NonsenseIsAnsweredNotObeyed)
{
	Front f(false);
	struct vgpu_ctx_create a = {};
	char big[64] = {};

	EXPECT_EQ(-EIO, f.receive(f.send(WIRE_CALL, VGPU_OP_HELLO, big, 64), big, 64));
	EXPECT_EQ(-EIO, f.receive(f.send(WIRE_CALL, 0x7f, big, 8), big, 64));
	EXPECT_EQ(-EIO, f.receive(f.send(WIRE_CALL, 0xffffffff, big, 8), big, 64));
	EXPECT_EQ(-EIO, f.receive(f.send(WIRE_CALL, VGPU_OP_CTX_CREATE, big, 8), big, 64));
	EXPECT_EQ(-EPROTO, f.receive(f.send(99, 0, big, 8), big, 64));
	EXPECT_EQ(-EPROTO, f.receive(f.send(WIRE_INIT, 0, big, 64), big, 64));
	a.pad = 1;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_CTX_CREATE, &a));
	f.send(WIRE_CANCEL, 0, nullptr, 0, {}, 4711);
	f.ctx();
}

TEST(Worker, ChargesComeWithTheReplies)
{
	Front f(false);
	uint32_t ctx = f.ctx();
	uint64_t a = f.alloc(ctx, 5 << 20), b = f.alloc(ctx, 100);
	struct vgpu_mem_free m = { a };
	struct vgpu_ctx_destroy d = { ctx, 0 };

	EXPECT_EQ(8 << 20, f.charge);
	EXPECT_EQ(0, f.call(VGPU_OP_MEM_FREE, &m));
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_MEM_FREE, &m));
	EXPECT_EQ(2 << 20, f.charge);
	f.alloc(ctx, 1 << 20, VGPU_MEM_HOST);
	EXPECT_EQ(2 << 20, f.charge);
	EXPECT_EQ(0, f.call(VGPU_OP_CTX_DESTROY, &d));
	EXPECT_EQ(0, f.charge);
	m.va = b;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_MEM_FREE, &m));
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_CTX_DESTROY, &d));
}

TEST(Worker, ContextLimitIsExact)
{
	Front f(false);
	struct vgpu_ctx_create a = {};
	struct vgpu_ctx_destroy d = {};

	for (int i = 0; i < LIMIT_CONTEXTS; i++)
		d.ctx = f.ctx();
	EXPECT_EQ(-ENOMEM, f.call(VGPU_OP_CTX_CREATE, &a));
	EXPECT_EQ(0, f.call(VGPU_OP_CTX_DESTROY, &d));
	EXPECT_EQ(0, f.call(VGPU_OP_CTX_CREATE, &a));
	EXPECT_EQ((uint32_t)LIMIT_CONTEXTS - 1, a.slot);
}

TEST(Worker, StreamLimitIsExact)
{
	Front f(false);
	uint32_t ctx = f.ctx();
	struct vgpu_stream_create s = {};
	struct vgpu_stream_destroy d = {};

	for (int i = 0; i < LIMIT_STREAMS; i++)
		d.stream = f.stream(ctx);
	s.ctx = ctx;
	EXPECT_EQ(-ENOMEM, f.call(VGPU_OP_STREAM_CREATE, &s));
	EXPECT_EQ(0, f.call(VGPU_OP_STREAM_DESTROY, &d));
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_STREAM_DESTROY, &d));
	EXPECT_EQ(0, f.call(VGPU_OP_STREAM_CREATE, &s));
}

TEST(Worker, AStreamUsesAtMostTheDevice)
{
	Front f(false);
	uint32_t ctx = f.ctx();
	struct vgpu_stream_sms s = {};

	s.stream = f.stream(ctx);
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_STREAM_SMS, &s));
	s.sms = 1;
	EXPECT_EQ(0, f.call(VGPU_OP_STREAM_SMS, &s));
	s.sms = 1u << 20;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_STREAM_SMS, &s));
	s.sms = 1;
	s.stream = 12345;
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_STREAM_SMS, &s));
}

TEST(Worker, BlobLimitsAreExact)
{
	Front f(false);
	struct vgpu_blob_create b = {};
	struct vgpu_blob_destroy d = {};
	char x[8] = {};

	b.fd = -1;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_BLOB_CREATE, &b));
	b.size = LIMIT_BLOB_BYTES + 1;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_BLOB_CREATE, &b));
	b.size = LIMIT_BLOB_BYTES;
	ASSERT_EQ(0, f.call(VGPU_OP_BLOB_CREATE, &b));
	d.blob = b.blob;
	EXPECT_EQ(8, f.bulk(true, VGPU_BLOB_OFFSET(b.slot) + LIMIT_BLOB_BYTES - 8, x, 8));
	b.size = 1;
	EXPECT_EQ(-ENOMEM, f.call(VGPU_OP_BLOB_CREATE, &b));
	EXPECT_EQ(0, f.call(VGPU_OP_BLOB_DESTROY, &d));
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_BLOB_DESTROY, &d));
	for (int i = 0; i < LIMIT_BLOBS; i++)
		ASSERT_EQ(0, f.call(VGPU_OP_BLOB_CREATE, &b));
	EXPECT_EQ(-EOVERFLOW, f.bulk(true, VGPU_BLOB_OFFSET(b.slot), x, 8));
	EXPECT_EQ(-ENOMEM, f.call(VGPU_OP_BLOB_CREATE, &b));
}

TEST(Worker, BlobFromAMemfd)
{
	Front f(false);
	uint32_t ctx = f.ctx();
	struct vgpu_blob_create b = {};
	struct vgpu_module_load l = {};
	int fd = f.memfd(4096);

	ASSERT_EQ(4, pwrite(fd, "FAKE", 4, 0));
	b.size = 4096;
	b.fd = 5;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_BLOB_CREATE, &b));
	EXPECT_EQ(0, f.call(VGPU_OP_BLOB_CREATE, &b, fd));
	l.ctx = ctx;
	l.blob = b.blob;
	EXPECT_EQ(0, f.call(VGPU_OP_MODULE_LOAD, &l));
	EXPECT_EQ(0u, l.result);
	EXPECT_EQ(90u, l.ptx_target);
	b.size = 4097;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_BLOB_CREATE, &b, fd));
}

TEST(Worker, RefusedImageIsAResultWithALog)
{
	Front f(false);
	uint32_t ctx = f.ctx();
	struct vgpu_blob_create b = {};
	struct vgpu_module_load l = {};

	b.size = 100;
	b.fd = -1;
	ASSERT_EQ(0, f.call(VGPU_OP_BLOB_CREATE, &b));
	l.ctx = ctx;
	l.blob = b.blob;
	ASSERT_EQ(0, f.call(VGPU_OP_MODULE_LOAD, &l));
	EXPECT_EQ(218u, l.result);
	EXPECT_EQ(0u, l.module);
	EXPECT_STREQ("1:1: no image", l.log);
	l.blob++;
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_MODULE_LOAD, &l));
}

/* A module may have the managed variables of another, in another context, and outlives it. */
TEST(Worker, ManagedVariablesOfAnotherModule)
{
	Front f(false);
	uint32_t ctx[2] = { f.ctx(), f.ctx() }, first = f.module(ctx[0]);
	struct vgpu_module_unload u = {};
	struct vgpu_blob_create b = {};
	struct vgpu_module_load l = {};
	struct vgpu_global_get a = {}, c = {};

	a.module = first;
	a.index = VGPU_BY_NAME;
	strcpy(a.name, "managed");
	ASSERT_EQ(0, f.call(VGPU_OP_GLOBAL_GET, &a));
	b.size = 4;
	b.fd = -1;
	ASSERT_EQ(0, f.call(VGPU_OP_BLOB_CREATE, &b));
	ASSERT_EQ(4, f.bulk(true, VGPU_BLOB_OFFSET(b.slot), "FAKE", 4));
	l.ctx = ctx[1];
	l.blob = b.blob;
	l.managed_of = first + 1;
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_MODULE_LOAD, &l));
	l.managed_of = first;
	ASSERT_EQ(0, f.call(VGPU_OP_MODULE_LOAD, &l));
	u.module = first;
	EXPECT_EQ(0, f.call(VGPU_OP_MODULE_UNLOAD, &u));
	c.module = l.module;
	c.index = VGPU_BY_NAME;
	strcpy(c.name, "managed");
	ASSERT_EQ(0, f.call(VGPU_OP_GLOBAL_GET, &c));
	EXPECT_EQ(a.va, c.va);
	EXPECT_EQ(a.arena_off, c.arena_off);
	strcpy(c.name, "device");
	strcpy(a.name, "device");
	ASSERT_EQ(0, f.call(VGPU_OP_GLOBAL_GET, &c));
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_GLOBAL_GET, &a));
	u.module = l.module;
	EXPECT_EQ(0, f.call(VGPU_OP_MODULE_UNLOAD, &u));
}

TEST(Worker, ModulesFunctionsGlobals)
{
	Front f(false);
	uint32_t ctx = f.ctx(), mod = f.module(ctx);
	struct vgpu_module_info mi = {};
	struct vgpu_global_get g = {};
	struct vgpu_func_get fg = {};
	struct vgpu_func_info fi = {};
	struct vgpu_func_params fp = {};
	struct vgpu_func_name fn = {};
	struct vgpu_func_occupancy oc = {};
	struct vgpu_func_set set = {};
	uint32_t word = 0;

	mi.module = mod;
	ASSERT_EQ(0, f.call(VGPU_OP_MODULE_INFO, &mi));
	EXPECT_EQ(7u, mi.functions);
	EXPECT_EQ(2u, mi.globals);
	g.module = mod;
	g.index = VGPU_BY_NAME;
	strcpy(g.name, "managed");
	ASSERT_EQ(0, f.call(VGPU_OP_GLOBAL_GET, &g));
	EXPECT_EQ(1u, g.managed);
	EXPECT_EQ(4, f.bulk(false, g.va, &word, 4));
	EXPECT_EQ(5678u, word);
	g.index = 0;
	ASSERT_EQ(0, f.call(VGPU_OP_GLOBAL_GET, &g));
	EXPECT_STREQ("device", g.name);
	EXPECT_EQ(4, f.bulk(false, g.va - 512, &word, 4));
	EXPECT_EQ(1234u, word);
	g.index = 2;
	EXPECT_EQ(-ENOENT, f.call(VGPU_OP_GLOBAL_GET, &g));

	fg.module = mod;
	fg.index = 0;
	ASSERT_EQ(0, f.call(VGPU_OP_FUNC_GET, &fg));
	EXPECT_EQ(fg.func, f.func(mod, "write"));
	fi.func = fp.func = fn.func = oc.func = set.func = fg.func;
	ASSERT_EQ(0, f.call(VGPU_OP_FUNC_INFO, &fi));
	EXPECT_EQ(16u, fi.param_bytes);
	EXPECT_EQ(90u, fi.binary_version);
	ASSERT_EQ(0, f.call(VGPU_OP_FUNC_PARAMS, &fp));
	EXPECT_EQ(2u, fp.count);
	EXPECT_EQ(8u, fp.offset[1]);
	fp.first = 3;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_FUNC_PARAMS, &fp));
	ASSERT_EQ(0, f.call(VGPU_OP_FUNC_NAME, &fn));
	EXPECT_STREQ("write", fn.name);
	EXPECT_EQ(mod, fn.module);
	oc.block_size = 256;
	ASSERT_EQ(0, f.call(VGPU_OP_FUNC_OCCUPANCY, &oc));
	EXPECT_EQ(8u, oc.blocks);
	oc.block_size = 1025;
	ASSERT_EQ(0, f.call(VGPU_OP_FUNC_OCCUPANCY, &oc));
	EXPECT_EQ(0u, oc.blocks);
	set.attr = 8;
	set.value = 100000;
	ASSERT_EQ(0, f.call(VGPU_OP_FUNC_SET, &set));
	ASSERT_EQ(0, f.call(VGPU_OP_FUNC_INFO, &fi));
	EXPECT_EQ(100000u, fi.max_dynamic_shared);
	fg.index = 7;
	EXPECT_EQ(-ENOENT, f.call(VGPU_OP_FUNC_GET, &fg));
	fg.index = VGPU_BY_NAME;
	memset(fg.name, 'x', sizeof(fg.name));
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_FUNC_GET, &fg));
	fi.func = f.func(mod, "broken");
	ASSERT_EQ(0, f.call(VGPU_OP_FUNC_INFO, &fi));
	EXPECT_EQ(218u, fi.result);
	EXPECT_STREQ("7:3: bad", fi.log);

	struct vgpu_module_unload u = { mod, 0 };
	EXPECT_EQ(0, f.call(VGPU_OP_MODULE_UNLOAD, &u));
	EXPECT_EQ(0, fake::modules);
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_MODULE_UNLOAD, &u));
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_FUNC_INFO, &fi));
	EXPECT_EQ(0, f.charge);
}

TEST(Worker, BulkTransfersAreChecked)
{
	Front f(false);
	uint32_t ctx = f.ctx();
	uint64_t va = f.alloc(ctx, 3 << 20);
	std::vector<char> a(1 << 20, 7), b(1 << 20);
	struct wire_bulk bad = { va, WIRE_BOUNCE_BYTES + 1, 0 };

	EXPECT_EQ(1 << 20, f.bulk(true, va + 5, a.data(), 1 << 20));
	EXPECT_EQ(1 << 20, f.bulk(false, va + 5, b.data(), 1 << 20));
	EXPECT_EQ(a, b);
	EXPECT_EQ(-EFAULT, f.bulk(true, va + (4 << 20) - 8, a.data(), 16));
	EXPECT_EQ(-EFAULT, f.bulk(true, (uint64_t)&f, a.data(), 16));
	EXPECT_EQ(-EFAULT, f.bulk(false, ~0ull - 4, a.data(), 16));
	EXPECT_EQ(-EIO, f.receive(f.send(WIRE_READ, 0, &bad, sizeof(bad)), nullptr, 0));
	bad = { va, 8, WIRE_BOUNCE_SLOTS };
	EXPECT_EQ(-EIO, f.receive(f.send(WIRE_READ, 0, &bad, sizeof(bad)), nullptr, 0));
}

TEST(Worker, LaunchRunsInOrderAndHeapComesWithTheFirst)
{
	Front f(false);
	uint32_t ctx = f.ctx(), mod = f.module(ctx), s = f.stream(ctx);
	uint64_t va = f.alloc(ctx, 64);
	uint32_t slow = f.func(mod, "slow_write"), quick = f.func(mod, "write"), v = 0;

	EXPECT_EQ(0, f.run(s, Front::make_launch(slow, 16, va, 1)));
	EXPECT_EQ(0, f.run(s, Front::make_launch(quick, 16, va, 2)));
	EXPECT_EQ(0u, f.wait(s, 2));
	EXPECT_EQ(2u, f.done);
	EXPECT_EQ(4, f.bulk(false, va, &v, 4));
	EXPECT_EQ(2u, v);
	EXPECT_NE(0u, fake::heap_va.load());
}

TEST(Worker, WaitEndsByTimeAndByCancel)
{
	Front f(false);
	uint32_t ctx = f.ctx(), s = f.stream(ctx);
	struct vgpu_wait w = {};

	EXPECT_EQ(0u, f.wait(s, 1, 0));
	EXPECT_EQ(0u, f.wait(s, 1, 20000000));
	EXPECT_EQ(0u, f.done);
	w.stream = s;
	w.seq = 1;
	w.host_token = ~0ull;
	w.timeout_ns = ~0ull;
	uint64_t tag = f.send(WIRE_CALL, VGPU_OP_WAIT, &w, sizeof(w));
	EXPECT_FALSE(f.answered(tag, 20));
	f.alloc(ctx, 1); /* others are served */
	f.send(WIRE_CANCEL, 0, nullptr, 0, {}, tag);
	EXPECT_EQ(-EINTR, f.receive(tag, &w, sizeof(w)));
	w.stream++;
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_WAIT, &w));
}

TEST(Worker, FaultIsStickyAndTold)
{
	Front f(false);
	uint32_t ctx = f.ctx(), mod = f.module(ctx), s = f.stream(ctx), other = f.stream(ctx);
	uint64_t va = f.alloc(ctx, 64);
	struct vgpu_ctx_status st = {};
	struct vgpu_cmd_event_wait never = {};
	uint32_t v = 77;

	never.gen = 5;
	EXPECT_EQ(0, f.command(other, VGPU_CMD_EVENT_WAIT, never));
	EXPECT_EQ(0, f.run(s, Front::make_launch(f.func(mod, "fault"))));
	EXPECT_EQ(0, f.run(s, Front::make_launch(f.func(mod, "write"), 16, va, 1)));
	EXPECT_EQ(700u, f.wait(s, 1));
	for (int i = 0; i < 1000 && f.done < 2; i++)
		f.wait(s, 2, 1000000);
	EXPECT_EQ(2u, f.done);
	for (f.done = 0; f.done < 1;)
		EXPECT_EQ(700u, f.wait(other, 1));
	st.ctx = ctx;
	ASSERT_EQ(0, f.call(VGPU_OP_CTX_STATUS, &st));
	EXPECT_EQ(700u, st.error);
	EXPECT_EQ(7u, st.ctaid[0]);
	EXPECT_EQ(3u, st.tid[1]);
	EXPECT_EQ(0xdeadu, st.address);
	EXPECT_EQ(12u, st.line);
	EXPECT_STREQ("fault", st.kernel);
	EXPECT_STREQ("it broke", st.what);
	EXPECT_EQ(4, f.bulk(true, va, &v, 4));
	EXPECT_EQ(4, f.bulk(false, va, &v, 4));
	EXPECT_EQ(77u, v);
	/* Another context goes on. */
	uint32_t ctx2 = f.ctx(), s2 = f.stream(ctx2);
	EXPECT_EQ(0, f.command(s2, VGPU_CMD_NOP, vgpu_cmd_nop()));
	EXPECT_EQ(0u, f.wait(s2, 1));
}

TEST(Worker, LaunchesThatBreakTheRulesAreRefused)
{
	Front f(false);

	for (int i = 0; i < 14; i++) {
		uint32_t ctx = f.ctx(), mod = f.module(ctx), s = f.stream(ctx), expect = 719;
		uint64_t va = f.alloc(ctx, 64);
		auto c = Front::make_launch(f.func(mod, "write"), 16, va, 9);
		struct vgpu_ctx_destroy d = { ctx, 0 };
		uint32_t v = 0;

		switch (i) {
		case 0:
			c.l.func++;
			break;
		case 1:
			c.l.block[0] = 1025;
			break;
		case 2:
			c.l.block[2] = 65;
			break;
		case 3:
			c.l.grid[1] = 65536;
			break;
		case 4:
			c.l.grid[0] = 0;
			break;
		case 5:
			c.l.shared_bytes = 49153;
			break;
		case 6:
			c.l.param_bytes = 15;
			break;
		case 7:
			c.l.flags = 2;
			break;
		case 8:
			c.l.pad = 1;
			break;
		case 9:
			c.l.cluster[0] = 0;
			break;
		case 10:
			c.l.block[0] = c.l.block[1] = 33;
			break;
		case 11:
			c.l.flags = VGPU_LAUNCH_COOPERATIVE;
			c.l.grid[0] = 0x7fffffff;
			break;
		case 12:
			c.l.func = f.func(mod, "broken");
			break;
		case 13: /* at the limits all is well */
			c.l.block[0] = 1024;
			c.l.grid[0] = 0x7fffffff;
			c.l.grid[1] = 65535;
			c.l.shared_bytes = 49152;
			expect = 0;
			break;
		}
		EXPECT_EQ(0, f.run(s, c));
		EXPECT_EQ(expect, f.wait(s, 1)) << i;
		EXPECT_EQ(4, f.bulk(false, va, &v, 4));
		EXPECT_EQ(expect ? 0u : 9u, v) << i;
		EXPECT_EQ(0, f.call(VGPU_OP_CTX_DESTROY, &d));
	}
}

TEST(Worker, DestroyingAStreamLetsItsWorkFinishBeforeMemoryGoes)
{
	Front f(false);
	uint32_t ctx = f.ctx(), mod = f.module(ctx), s = f.stream(ctx);
	uint64_t va = f.alloc(ctx, 4 << 20);
	struct vgpu_stream_destroy d = { s, 0 };
	struct vgpu_mem_free m = { va };
	struct vgpu_ctx_status st = {};

	EXPECT_EQ(0, f.run(s, Front::make_launch(f.func(mod, "slow_write"), 16, va, 1)));
	EXPECT_EQ(0, f.call(VGPU_OP_STREAM_DESTROY, &d));
	EXPECT_EQ(-EBADF, f.submit(s, &d, 8));
	EXPECT_EQ(0, f.call(VGPU_OP_MEM_FREE, &m)); /* a worker that frees too early dies here */
	st.ctx = ctx;
	EXPECT_EQ(0, f.call(VGPU_OP_CTX_STATUS, &st));
	EXPECT_EQ(0u, st.error);
}

TEST(Worker, UnloadWaitsForTheRunningKernel)
{
	Front f(false);
	uint32_t ctx = f.ctx(), mod = f.module(ctx), s = f.stream(ctx);
	uint64_t va = f.alloc(ctx, 64);
	struct vgpu_module_unload u = { mod, 0 };
	uint32_t v = 0;

	EXPECT_EQ(0, f.run(s, Front::make_launch(f.func(mod, "slow_write"), 16, va, 1)));
	usleep(10000);
	EXPECT_EQ(0, f.call(VGPU_OP_MODULE_UNLOAD, &u));
	EXPECT_EQ(4, f.bulk(false, va, &v, 4));
	EXPECT_EQ(1u, v);
}

TEST(Worker, EndOfTheFrontEndsAWildKernel)
{
	Front f(false);
	uint32_t ctx = f.ctx(), mod = f.module(ctx), s = f.stream(ctx);

	EXPECT_EQ(0, f.run(s, Front::make_launch(f.func(mod, "spin"))));
	f.leave();
	EXPECT_EQ(0, fake::modules);
}

TEST(Worker, ConsoleText)
{
	Front f(false);
	uint32_t ctx = f.ctx(), mod = f.module(ctx), s = f.stream(ctx);
	struct vgpu_console_read c = {};

	EXPECT_EQ(0, f.run(s, Front::make_launch(f.func(mod, "print"))));
	EXPECT_EQ(0u, f.wait(s, 1));
	c.ctx = ctx;
	ASSERT_EQ(0, f.call(VGPU_OP_CONSOLE_READ, &c));
	EXPECT_EQ(6u, c.bytes);
	EXPECT_EQ(1u, c.stream);
	EXPECT_EQ(0, memcmp(c.text, "hello\n", 6));
	ASSERT_EQ(0, f.call(VGPU_OP_CONSOLE_READ, &c));
	EXPECT_EQ(0u, c.bytes);
}

TEST(Worker, Limits)
{
	Front f(false);
	uint32_t ctx = f.ctx();
	auto limit = [&](uint32_t which, int64_t set) {
		struct vgpu_ctx_limit l = {};

		l.ctx = ctx;
		l.limit = which;
		l.set = set >= 0;
		l.value = set >= 0 ? (uint64_t)set : 0;
		int r = f.call(VGPU_OP_CTX_LIMIT, &l);
		return r < 0 ? (int64_t)r : (int64_t)l.value;
	};

	EXPECT_EQ(1024, limit(0, -1));
	EXPECT_EQ(1 << 20, limit(1, -1));
	EXPECT_EQ(8 << 20, limit(2, -1));
	EXPECT_EQ(2048, limit(0, 2048));
	EXPECT_EQ(LIMIT_STACK_BYTES_MAX, limit(0, LIMIT_STACK_BYTES_MAX));
	EXPECT_EQ(-EINVAL, limit(0, LIMIT_STACK_BYTES_MAX + 1));
	EXPECT_EQ(LIMIT_CONSOLE_BYTES_MAX, limit(1, LIMIT_CONSOLE_BYTES_MAX));
	EXPECT_EQ(-EINVAL, limit(1, (int64_t)LIMIT_CONSOLE_BYTES_MAX + 1));
	EXPECT_EQ(16 << 20, limit(2, 16 << 20));
	EXPECT_EQ(-ENOTSUP, limit(3, -1));
	EXPECT_EQ(-ENOTSUP, limit(99, -1));
}

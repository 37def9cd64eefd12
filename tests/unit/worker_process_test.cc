// SPDX-License-Identifier: MIT
// The program vgpu-worker itself: real PTX behind its system call filter, and its end.
#include "tests/unit/worker_front.h"

#include <sys/resource.h>

#include <csignal>
#include <string>

namespace {
const char *ptx = R"(
.version 7.0
.target sm_75
.address_size 64
.visible .entry fill(.param .u64 p, .param .u32 v)
{
	.reg .b64 %rd<4>;
	.reg .b32 %r<6>;
	ld.param.u64 %rd1, [p];
	ld.param.u32 %r1, [v];
	mov.u32 %r2, %ctaid.x;
	mov.u32 %r3, %ntid.x;
	mov.u32 %r4, %tid.x;
	mad.lo.s32 %r5, %r2, %r3, %r4;
	mul.wide.u32 %rd2, %r5, 4;
	add.s64 %rd3, %rd1, %rd2;
	add.s32 %r5, %r5, %r1;
	st.global.u32 [%rd3], %r5;
	ret;
}
.visible .entry loop()
{
$top:
	bra.uni $top;
}
)";

std::string program()
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	std::string s(self, n > 0 ? (size_t)n : 0);

	s.erase(s.rfind('/'));
	s += "/../cuse_dev/worker/vgpu-worker";
	return access(s.c_str(), X_OK) == 0 ? s : "";
}

class WorkerProcess : public ::testing::Test {
protected:
	void SetUp() override
	{
		path = program();
		if (path.empty())
			GTEST_SKIP() << "vgpu-worker is not built";
	}
	std::string status(pid_t pid, const char *key)
	{
		std::string name = "/proc/" + std::to_string(pid) + "/status", text;
		FILE *f = fopen(name.c_str(), "r");
		char line[256];

		while (f && fgets(line, sizeof(line), f))
			if (!strncmp(line, key, strlen(key)))
				text = line + strlen(key);
		if (f)
			fclose(f);
		return text;
	}
	std::string path;
};
} // namespace

TEST_F(WorkerProcess, RunsAKernelInItsJail)
{
	Front f(true, path.c_str());
	uint32_t ctx = f.ctx(), mod = f.module(ctx, ptx), s = 0, slot = 0, v[256];
	uint64_t va = f.alloc(ctx, sizeof(v));

	EXPECT_EQ("\t2\n", status(f.pid, "Seccomp:"));
	EXPECT_EQ("\t1\n", status(f.pid, "NoNewPrivs:"));
	s = f.stream(ctx, &slot);
	auto c = Front::make_launch(f.func(mod, "fill"), 12, va, 1000);
	c.l.head.bytes = sizeof(c.l) + 16;
	c.l.grid[0] = 4;
	c.l.block[0] = 64;
	memcpy((uint8_t *)f.control + VGPU_SHARE_RING_OFF(slot), &c, sizeof(c));
	__atomic_store_n(&f.control->stream[slot].tail, c.l.head.bytes, __ATOMIC_SEQ_CST);
	EXPECT_EQ(0u, f.wait(s, 1));
	EXPECT_EQ(1u, f.done);
	ASSERT_EQ((int)sizeof(v), f.bulk(false, va, v, sizeof(v)));
	for (uint32_t i = 0; i < 256; i++)
		ASSERT_EQ(1000 + i, v[i]);
}

TEST_F(WorkerProcess, WildAddressIsAFaultNotADeath)
{
	Front f(false, path.c_str());
	uint32_t ctx = f.ctx(), mod = f.module(ctx, ptx), s = f.stream(ctx);
	struct vgpu_ctx_status st = {};
	auto c = Front::make_launch(f.func(mod, "fill"), 12, Front::kWindow + (1 << 30), 0);

	c.l.head.bytes = sizeof(c.l) + 16;
	EXPECT_EQ(0, f.run(s, c));
	EXPECT_EQ(700u, f.wait(s, 1));
	st.ctx = ctx;
	ASSERT_EQ(0, f.call(VGPU_OP_CTX_STATUS, &st));
	EXPECT_EQ(Front::kWindow + (1 << 30), st.address);
	EXPECT_STREQ("fill", st.kernel);
	uint32_t next = f.ctx();
	EXPECT_NE(0u, next);
}

TEST_F(WorkerProcess, LeavesWithTheFrontWhateverRuns)
{
	Front f(false, path.c_str());
	uint32_t ctx = f.ctx(), mod = f.module(ctx, ptx), s = f.stream(ctx);

	EXPECT_EQ(0, f.run(s, Front::make_launch(f.func(mod, "loop"))));
	usleep(20000);
	f.leave();
}

TEST_F(WorkerProcess, StartedByHandItSaysSo)
{
	std::string cmd = path + " </dev/null 3<&- 2>/dev/null";
	int r = system(cmd.c_str());

	EXPECT_EQ(2, WEXITSTATUS(r));
}

TEST_F(WorkerProcess, NoMoreDescriptorsIsNoMoreMemoryNotTheEnd)
{
	Front f(true, path.c_str());
	struct rlimit few = { 64, 64 };
	struct vgpu_phys_create p = {};
	struct vgpu_phys_release r = {};
	std::vector<uint32_t> all;
	int status = 0;

	f.ctx();
	ASSERT_EQ(0, prlimit(f.pid, RLIMIT_NOFILE, &few, nullptr));
	p.size = 2 << 20;
	p.flags = VGPU_PHYS_FD;
	p.fd = 0;
	while (all.size() < 64) {
		status = f.call(VGPU_OP_PHYS_CREATE, &p, f.memfd(p.size));
		if (status < 0)
			break;
		all.push_back(p.phys);
	}
	EXPECT_EQ(-ENOMEM, status);
	EXPECT_GT(all.size(), 32u);
	EXPECT_EQ((int64_t)all.size() << 21, f.charge);
	r.phys = all.back();
	EXPECT_EQ(0, f.call(VGPU_OP_PHYS_RELEASE, &r));
	EXPECT_EQ(0, f.call(VGPU_OP_PHYS_CREATE, &p, f.memfd(p.size)));
	EXPECT_EQ(-ENOMEM, f.call(VGPU_OP_PHYS_CREATE, &p, f.memfd(p.size)));
}

/* SPDX-License-Identifier: MIT */
/*
 * hostile_test.cc - clients that speak to the node without libcuda and mean no good, and one that
 * goes on asking meanwhile and is to be answered in time.
 *
 * VGPU_TEST_NOISE: seconds of noise, 3 by default.
 */
#include <fcntl.h>
#include <pthread.h>
#include <random>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cuse_dev/base/limits.h"
#include "ioctl/vgpu_ioctl.h"
#include "ioctl/vgpu_share.h"
#include "system/system_test.h"

static double now_ms()
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return static_cast<double>(ts.tv_sec) * 1e3 + static_cast<double>(ts.tv_nsec) / 1e6;
}

class Noise : public ::testing::Test {
protected:
	support_daemon *daemon = nullptr;
	const char *node = nullptr;
	std::vector<pid_t> children;

	void SetUp() override
	{
		const char *missing = support_missing(SUPPORT_NEED_ROOT | SUPPORT_NEED_FUSE |
						      SUPPORT_NEED_DAEMON);

		if (missing)
			GTEST_SKIP() << missing;
		ASSERT_EQ(support_daemon_start(nullptr, &daemon), 0);
		node = support_daemon_node(daemon, 0);
	}
	void TearDown() override
	{
		if (!daemon)
			return;
		for (pid_t p : children)
			end(p);
		EXPECT_EQ(support_daemon_settle(daemon, 5000), 0) << "workers stayed behind";
		char *bad = support_daemon_stop(daemon);
		EXPECT_EQ(bad, nullptr) << bad;
		free(bad);
	}
	/* greeted() - an open file after HELLO, or -errno. */
	int greeted() const
	{
		struct vgpu_hello h = {};
		int fd = open(node, O_RDWR | O_CLOEXEC), r;

		if (fd < 0)
			return -errno;
		h.magic = VGPU_MAGIC;
		h.version_major = VGPU_VERSION_MAJOR;
		h.version_minor = VGPU_VERSION_MINOR;
		h.features = ~0ull;
		h.window_base = 0x700000000000ull;
		h.window_size = 1ull << 40;
		r = ioctl(fd, VGPU_IOC(HELLO), &h) < 0 ? -errno : fd;
		if (r < 0)
			close(fd);
		return r;
	}
	static uint64_t free_bytes(int fd)
	{
		struct vgpu_mem_info m = {};

		return ioctl(fd, VGPU_IOC(MEM_INFO), &m) < 0 ? 0 : m.free;
	}
	/* A child that is somebody else, dies with us, and ends with what @body returns. */
	template <typename F> pid_t child(F body)
	{
		pid_t p = fork();

		if (!p) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
				_exit(99);
			_exit(body());
		}
		children.push_back(p);
		return p;
	}
	/* end() - SIGKILL; what it had answered before, or -1. */
	int end(pid_t p, bool kill_it = true)
	{
		int status = 0;

		if (kill_it)
			kill(p, SIGKILL);
		if (waitpid(p, &status, 0) != p)
			return -1;
		for (pid_t &c : children)
			if (c == p) {
				c = children.back();
				children.pop_back();
				break;
			}
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	/* worst_answer() - of MEM_INFO, asked until @seconds are over. */
	static double worst_answer(int fd, double seconds)
	{
		double worst = 0, until = now_ms() + seconds * 1e3, t;

		while ((t = now_ms()) < until) {
			struct vgpu_mem_info m = {};

			EXPECT_EQ(ioctl(fd, VGPU_IOC(MEM_INFO), &m), 0);
			t = now_ms() - t;
			worst = t > worst ? t : worst;
			usleep(1000);
		}
		return worst;
	}
};

/* ---- open files ----------------------------------------------------------------------------- */

TEST_F(Noise, ThousandsOfShortVisitsLeaveNothing)
{
	support_daemon_usage before{}, after{};
	int fd;

	for (int i = 0; i < 3000; i++) {
		fd = i % 3 ? greeted() : open(node, i % 2 ? O_RDONLY : O_WRONLY);
		ASSERT_GE(fd, 0) << i;
		close(fd);
		if (i == 999)
			support_daemon_measure(daemon, &before);
	}
	/* The last release may still be on its way. */
	ASSERT_GE(fd = greeted(), 0);
	close(fd);
	support_daemon_measure(daemon, &after);
	EXPECT_LE(after.fds, before.fds + 1);
	EXPECT_LE(after.rss_kib, before.rss_kib + 256);
}

TEST_F(Noise, OneProcessCannotTakeAllFiles)
{
	pid_t p = child([&] {
		for (int i = 0; i < LIMIT_SESSIONS_PER_PROC; i++)
			if (greeted() < 0)
				return 1;
		return greeted() == -EMFILE ? 0 : 2;
	});

	EXPECT_EQ(end(p, false), 0);
	EXPECT_GE(greeted(), 0);
}

static void *ask(void *fd)
{
	struct vgpu_mem_info m = {};

	return reinterpret_cast<void *>(static_cast<intptr_t>(
		ioctl(*static_cast<int *>(fd), VGPU_IOC(MEM_INFO), &m) ? errno : 0));
}

TEST_F(Noise, AFileBelongsToTheProcessThatGreeted)
{
	int fd = greeted(), copy, pair[2];
	struct vgpu_ctx_create ctx = {};
	struct vgpu_mem_info m;
	void *result = nullptr;
	pthread_t thread;

	ASSERT_GE(fd, 0);
	copy = dup(fd);
	EXPECT_EQ(ioctl(copy, VGPU_IOC(MEM_INFO), &m), 0) << "a copy is the same file";
	close(fd);
	pthread_create(&thread, nullptr, ask, &copy);
	pthread_join(thread, &result);
	EXPECT_EQ(result, nullptr) << "threads are the process";

	/* By fork, and through a socket. */
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid_t p = child([&] {
		char control[CMSG_SPACE(sizeof(int))], byte;
		struct iovec iov = { &byte, 1 };
		struct msghdr mh = {};
		char one[8];
		int got;

		mh.msg_iov = &iov;
		mh.msg_iovlen = 1;
		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
		if (ioctl(copy, VGPU_IOC(MEM_INFO), &m) != -1 || errno != EACCES)
			return 1;
		if (recvmsg(pair[1], &mh, 0) != 1)
			return 2;
		memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(got));
		if (ioctl(got, VGPU_IOC(CTX_CREATE), &ctx) != -1 || errno != EACCES)
			return 3;
		return pread(got, one, sizeof(one), 0) == -1 && errno == EACCES ? 0 : 4;
	});
	alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr mh = {};
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = control;
	mh.msg_controllen = sizeof(control);
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &copy, sizeof(int));
	ASSERT_EQ(sendmsg(pair[0], &mh, 0), 1);
	EXPECT_EQ(end(p, false), 0);
	EXPECT_EQ(support_daemon_workers(daemon, nullptr, 0), 0u);
	close(copy);
	close(pair[0]);
	close(pair[1]);
}

TEST_F(Noise, WhatTheDeadHavePassedOnIsDead)
{
	struct vgpu_mem_info m;
	int fd;

	/* The child greets; the open file stays in us, who inherit nothing of its rights. */
	fd = open(node, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	pid_t p = child([&] {
		struct vgpu_hello h = {};

		h.magic = VGPU_MAGIC;
		h.version_minor = VGPU_VERSION_MINOR;
		return ioctl(fd, VGPU_IOC(HELLO), &h) ? 1 : 0;
	});
	EXPECT_EQ(end(p, false), 0) << "who greets owns it";
	for (int i = 0; i < 200 && (ioctl(fd, VGPU_IOC(MEM_INFO), &m) != -1 || errno != ENODEV);
	     i++)
		usleep(1000);
	EXPECT_EQ(ioctl(fd, VGPU_IOC(MEM_INFO), &m), -1);
	EXPECT_EQ(errno, ENODEV);
	close(fd);
}

/*
 * A daemon in a pid namespace of its own cannot see us: no pages can be shared, and everything goes
 * through the node. Runs in a child, because the namespace holds for all its later children.
 * Returns the number of the step that went wrong, or 0.
 */
static int without_pages()
{
	struct vgpu_bulk_base base = {};
	struct vgpu_share share = {};
	struct vgpu_ctx_create ctx = {};
	struct vgpu_mem_alloc m = {};
	struct vgpu_hello h = {};
	support_daemon *d = nullptr;
	char out[3000], in[3000];
	int fd, memory;

	if (unshare(CLONE_NEWPID))
		return 1;
	if (!fork()) { /* its first process, with which it ends */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (support_daemon_start(nullptr, &d))
		return 1;
	fd = open(support_daemon_node(d, 0), O_RDWR | O_CLOEXEC);
	h.magic = VGPU_MAGIC;
	h.version_minor = VGPU_VERSION_MINOR;
	h.features = ~0ull;
	if (ioctl(fd, VGPU_IOC(HELLO), &h) || h.pid || h.features & VGPU_FEATURE_SHARED_PAGES)
		return 2;
	memory = memfd_create("control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ftruncate(memory, VGPU_SHARE_CONTROL_BYTES) ||
	    fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return 3;
	share = { VGPU_SHARE_CONTROL, memory, VGPU_SHARE_CONTROL_BYTES };
	if (ioctl(fd, VGPU_IOC(SHARE), &share) != -1 || errno != ENOTSUP)
		return 4;
	if (ioctl(fd, VGPU_IOC(CTX_CREATE), &ctx))
		return 5;
	m.ctx = ctx.ctx;
	m.size = sizeof(out);
	if (ioctl(fd, VGPU_IOC(MEM_ALLOC), &m))
		return 6;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = static_cast<char>(i * 7);
	base.base = m.va;
	if (ioctl(fd, VGPU_IOC(BULK_BASE), &base) ||
	    pwrite(fd, out, sizeof(out), 0) != sizeof(out) ||
	    pread(fd, in, sizeof(in), 0) != sizeof(in) || memcmp(in, out, sizeof(in)))
		return 7;
	close(fd);
	if (support_daemon_settle(d, 5000))
		return 8;
	char *bad = support_daemon_stop(d);
	if (bad)
		fprintf(stderr, "%s\n", bad);
	return bad ? 9 : 0;
}

TEST_F(Noise, AClientThatCannotBeSeenIsServedWithoutPages)
{
	pid_t p = fork();
	int status = -1;

	if (!p)
		_exit(without_pages());
	ASSERT_EQ(waitpid(p, &status, 0), p);
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(WEXITSTATUS(status), 0);
}

/* ---- waiting and dying ---------------------------------------------------------------------- */

static void nothing(int)
{
}

/* A stream's first command never comes: for ever, unless a signal does. 0: EINTR. */
static int wait_for_ever(int fd)
{
	struct vgpu_ctx_create ctx = {};
	struct vgpu_stream_create stream = {};
	struct vgpu_wait wait = {};

	if (ioctl(fd, VGPU_IOC(CTX_CREATE), &ctx))
		return 10;
	stream.ctx = ctx.ctx;
	if (ioctl(fd, VGPU_IOC(STREAM_CREATE), &stream))
		return 11;
	wait.stream = stream.stream;
	wait.seq = 1;
	wait.host_token = ~0ull;
	wait.timeout_ns = ~0ull;
	return ioctl(fd, VGPU_IOC(WAIT), &wait) ? (errno == EINTR ? 0 : 12) : 13;
}

TEST_F(Noise, WaitingStoppedAndInterruptedClientsHoldUpNobody)
{
	std::vector<pid_t> waiting;
	int fd = greeted();

	for (int i = 0; i < 8; i++)
		waiting.push_back(child([&] {
			struct sigaction sa = {};

			sa.sa_handler = nothing; /* without SA_RESTART */
			sigaction(SIGUSR1, &sa, nullptr);
			int mine = greeted();
			return mine < 0 ? 9 : wait_for_ever(mine);
		}));
	for (int i = 0; i < 2000 && support_daemon_workers(daemon, nullptr, 0) < 8; i++)
		usleep(5000);
	usleep(300000);
	EXPECT_LT(worst_answer(fd, 0.5), 500);
	for (int i = 0; i < 4; i++)
		kill(waiting[static_cast<size_t>(i)], SIGSTOP);
	EXPECT_LT(worst_answer(fd, 0.5), 500);
	for (size_t i = 4; i < 8; i++) {
		kill(waiting[i], SIGUSR1);
		EXPECT_EQ(end(waiting[i], false), 0) << "a signal ends a wait";
	}
	/* The stopped ones die with their question unanswered. */
	for (size_t i = 0; i < 4; i++)
		end(waiting[i]);
	close(fd);
}

TEST_F(Noise, AKilledClientIsGoneAtOnceWithItsMemory)
{
	int fd = greeted(), ready[2];
	uint64_t all = free_bytes(fd);
	double worst = 0;
	char byte;

	ASSERT_EQ(pipe(ready), 0);
	for (int round = 0; round < 10; round++) {
		pid_t p = child([&] {
			struct vgpu_ctx_create ctx = {};
			struct vgpu_mem_alloc m = {};
			int mine = greeted();

			if (ioctl(mine, VGPU_IOC(CTX_CREATE), &ctx))
				return 1;
			m.ctx = ctx.ctx;
			m.size = 8ull << 30;
			if (ioctl(mine, VGPU_IOC(MEM_ALLOC), &m) || write(ready[1], "x", 1) != 1)
				return 2;
			pause();
			return 3;
		});
		ASSERT_EQ(read(ready[0], &byte, 1), 1);
		ASSERT_EQ(free_bytes(fd), all - (8ull << 30));
		double t = now_ms();
		kill(p, SIGKILL);
		while (free_bytes(fd) != all && now_ms() < t + 5000)
			usleep(100);
		t = now_ms() - t;
		worst = t > worst ? t : worst;
		end(p);
	}
	printf("from SIGKILL to all memory credited: %.1f ms at worst\n", worst);
	EXPECT_LT(worst, 500);
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

/* ---- noise ---------------------------------------------------------------------------------- */

/* Requests of the right form with words that hurt, and some of no form at all. */
static int make_noise(int fd, unsigned seed, double seconds)
{
	static const uint32_t good[] = {
#define X(nr, NAME, name, where, since) static_cast<uint32_t>(VGPU_IOC_##NAME),
		VGPU_OPS(X)
#undef X
	};
	static const uint64_t hurt[] = { 0,	   1,	       2,	   8,
					 4096,	   0x7fffffff, 0x80000000, 0xffffffff,
					 ~0ull,	   1ull << 63, 2 << 20,	   0x700000000000ull,
					 0x100001, 0x100002 };
	static uint64_t arg[2048 + 1];
	std::mt19937 rng(seed);
	double until = now_ms() + seconds * 1e3;
	struct vgpu_ctx_create ctx = {};

	ioctl(fd, VGPU_IOC(CTX_CREATE), &ctx);
	while (now_ms() < until) {
		uint32_t cmd = good[rng() % (sizeof(good) / sizeof(good[0]))];

		if (_IOC_NR(cmd) == VGPU_OP_WAIT || _IOC_NR(cmd) == VGPU_OP_CTX_DESTROY)
			continue; /* they may take their time */
		memset(arg, 0, sizeof(arg));
		for (size_t i = 0; i < _IOC_SIZE(cmd) / 8 && i < 16; i++)
			arg[i] = rng() % 3 ? hurt[rng() % (sizeof(hurt) / sizeof(hurt[0]))] : rng();
		if (rng() % 2)
			memcpy(arg, &ctx.ctx, sizeof(ctx.ctx));
		if (rng() % 16 == 0)
			cmd = static_cast<uint32_t>(rng());
		if (_IOC_SIZE(cmd) > sizeof(arg))
			continue;
		ioctl(fd, cmd, arg);
		if (rng() % 8 == 0 &&
		    pread(fd, arg, sizeof(arg),
			  static_cast<off_t>(hurt[rng() % 14] & ~(1ull << 63))) < 0)
			errno = 0;
		if (rng() % 8 == 0 &&
		    pwrite(fd, arg, sizeof(arg),
			   static_cast<off_t>(hurt[rng() % 14] & ~(1ull << 63))) < 0)
			errno = 0;
	}
	return 0;
}

/* Shared pages of one's own, then anything on them. */
static int scribble(int fd, unsigned seed, double seconds)
{
	int control = memfd_create("control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct vgpu_share share = {};
	struct vgpu_ctx_create ctx = {};
	double until = now_ms() + seconds * 1e3;
	std::mt19937 rng(seed);

	if (ftruncate(control, VGPU_SHARE_CONTROL_BYTES) ||
	    fcntl(control, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return 1;
	share.kind = VGPU_SHARE_CONTROL;
	share.fd = control;
	share.size = VGPU_SHARE_CONTROL_BYTES;
	if (ioctl(fd, VGPU_IOC(SHARE), &share) || ioctl(fd, VGPU_IOC(CTX_CREATE), &ctx))
		return 2;
	for (int i = 0; i < 4; i++) {
		struct vgpu_stream_create s = {};

		s.ctx = ctx.ctx;
		if (ioctl(fd, VGPU_IOC(STREAM_CREATE), &s))
			return 3;
	}
	auto *words = static_cast<uint32_t *>(mmap(nullptr, VGPU_SHARE_CONTROL_BYTES,
						   PROT_READ | PROT_WRITE, MAP_SHARED, control, 0));
	if (words == MAP_FAILED)
		return 4;
	while (now_ms() < until) {
		size_t at = rng() % 4 ? rng() % 65536 : rng() % (VGPU_SHARE_CONTROL_BYTES / 4);

		words[at] = rng() % 3 ? rng() % 256 : rng();
	}
	return 0;
}

TEST_F(Noise, NoiseOfAllKindsIsNoneOfOthersBusiness)
{
	const char *text = getenv("VGPU_TEST_NOISE");
	double seconds = text ? atof(text) : 3;
	int fd = greeted();
	uint64_t all = free_bytes(fd);

	/* A worker that its own client drove to its end is news, not a fault. */
	support_daemon_allow(daemon, "its client sees error 719");
	support_daemon_allow(daemon, "the command ring is corrupt");
	for (unsigned i = 0; i < 4; i++)
		child([&, i] {
			int mine = greeted();

			return mine < 0 ? 9 : make_noise(mine, i, seconds);
		});
	for (unsigned i = 0; i < 2; i++)
		child([&, i] {
			int mine = greeted();

			return mine < 0 ? 9 : scribble(mine, i, seconds);
		});
	double worst = worst_answer(fd, seconds);
	printf("the worst answer to a bystander in %.0f s: %.1f ms\n", seconds, worst);
	EXPECT_LT(worst, 1000);
	while (!children.empty())
		end(children.back()); /* some may be in an operation that waits */
	for (int i = 0; i < 400 && free_bytes(fd) != all; i++)
		usleep(5000);
	EXPECT_EQ(free_bytes(fd), all);
	close(fd);
}

/* ---- memory --------------------------------------------------------------------------------- */

#define GROUP_MIB 512

/* A memory control group of their own for daemon, workers and clients. */
class Memory : public Noise {
protected:
	std::string group, home, kills;

	static bool put(const std::string &path, const std::string &text)
	{
		FILE *f = fopen(path.c_str(), "we");
		bool ok = f && fputs(text.c_str(), f) >= 0;

		return f && fclose(f) == 0 && ok;
	}
	static std::string get(const std::string &path)
	{
		FILE *f = fopen(path.c_str(), "re");
		char buf[4096];
		size_t n = f ? fread(buf, 1, sizeof(buf), f) : 0;

		if (f)
			fclose(f);
		return std::string(buf, n);
	}
	/* Our own group in the hierarchy whose line in /proc/self/cgroup has @key. */
	static std::string own(const std::string &key)
	{
		std::string all = get("/proc/self/cgroup");
		size_t at = all.find(key), end;

		if (at == std::string::npos)
			return "";
		at += key.size();
		end = all.find('\n', at);
		return all.substr(at, end - at);
	}
	bool enter(const std::string &root, const std::string &key, const char *limit,
		   const char *count)
	{
		home = root + own(key) + "/cgroup.procs";
		if (access(home.c_str(), W_OK))
			home = root + "/cgroup.procs";
		group = root + "/vgpu-test-" + std::to_string(getpid());
		if (mkdir(group.c_str(), 0755))
			return false;
		kills = group + "/" + count;
		if (put(group + "/" + limit, std::to_string(GROUP_MIB << 20)) &&
		    put(group + "/cgroup.procs", std::to_string(getpid())))
			return true;
		rmdir(group.c_str());
		return false;
	}
	void SetUp() override
	{
		if (!enter("/sys/fs/cgroup/memory", ":memory:", "memory.limit_in_bytes",
			   "memory.oom_control") &&
		    !enter("/sys/fs/cgroup", "0::", "memory.max", "memory.events"))
			GTEST_SKIP() << "needs a memory control group that can be written";
		Noise::SetUp();
	}
	void TearDown() override
	{
		Noise::TearDown();
		put(home, std::to_string(getpid()));
		for (int i = 0; i < 100 && rmdir(group.c_str()) && errno == EBUSY; i++)
			usleep(10000);
	}
	/* How many the kernel has ended for want of memory. */
	int kernel_kills() const
	{
		std::string text = get(kills);
		size_t at = text.find("oom_kill ");

		return at == std::string::npos ? 0 : atoi(text.c_str() + at + strlen("oom_kill "));
	}
};

/* Fills device memory until the worker is gone. 0: that came before the memory's end. */
static int fill_device(int fd)
{
	int control = memfd_create("control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int arena = memfd_create("arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct vgpu_share share = {};
	struct vgpu_mem_info info = {};
	struct vgpu_ctx_create ctx = {};
	struct vgpu_mem_alloc m = {};
	const uint64_t most = 2ull * GROUP_MIB << 20;
	static char data[1 << 20];

	if (ioctl(fd, VGPU_IOC(MEM_INFO), &info) || ftruncate(control, VGPU_SHARE_CONTROL_BYTES) ||
	    ftruncate(arena, static_cast<off_t>(info.total)) ||
	    fcntl(control, F_ADD_SEALS, seals) || fcntl(arena, F_ADD_SEALS, seals))
		return 1;
	share = { VGPU_SHARE_CONTROL, control, VGPU_SHARE_CONTROL_BYTES };
	if (ioctl(fd, VGPU_IOC(SHARE), &share))
		return 2;
	share = { VGPU_SHARE_DEVICE, arena, info.total };
	if (ioctl(fd, VGPU_IOC(SHARE), &share) || ioctl(fd, VGPU_IOC(CTX_CREATE), &ctx))
		return 3;
	m.ctx = ctx.ctx;
	m.size = most;
	if (ioctl(fd, VGPU_IOC(MEM_ALLOC), &m))
		return 4;
	auto *page = static_cast<struct vgpu_share_control *>(
		mmap(nullptr, 1 << 20, PROT_READ, MAP_SHARED, control, 0));
	memset(data, 'x', sizeof(data));
	for (uint64_t at = 0; at < most; at += sizeof(data)) {
		/* As libcuda does before each copy. */
		if (__atomic_load_n(&page->worker_alive, __ATOMIC_ACQUIRE) == 3)
			return ioctl(fd, VGPU_IOC(CTX_CREATE), &ctx) && errno == ENODEV ? 0 : 5;
		if (pwrite(arena, data, sizeof(data), static_cast<off_t>(m.arena_off + at)) < 0)
			return 6;
	}
	return 7;
}

TEST_F(Memory, WhenItRunsOutAWorkerEndsAndNobodyElse)
{
	int fd = greeted();
	uint64_t all = free_bytes(fd);

	support_daemon_allow(daemon, "memory runs out");
	pid_t bystander = child([] {
		static char mine[32 << 20];

		memset(mine, 1, sizeof(mine));
		pause();
		return 1;
	});
	for (int i = 0; i < 3; i++) { /* what was given back can be had again */
		pid_t greedy = child([&] {
			int mine = greeted();

			return mine < 0 ? 9 : fill_device(mine);
		});
		EXPECT_EQ(end(greedy, false), 0);
	}
	EXPECT_EQ(kill(bystander, 0), 0);
	EXPECT_EQ(waitpid(bystander, nullptr, WNOHANG), 0) << "a bystander was ended";
	EXPECT_EQ(kernel_kills(), 0);
	EXPECT_EQ(free_bytes(fd), all);
	close(fd);
}

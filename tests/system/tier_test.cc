/* SPDX-License-Identifier: MIT */
/*
 * tier_test.cc - hot kernels are compiled, kept per user, and taken from there by the next process.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system/system_test.h"

namespace {

class Tier : public ::testing::Test {
protected:
	support_daemon *daemon = nullptr;
	char cache[32] = "/tmp/vgpu-tier.XXXXXX";

	void SetUp() override
	{
		const char *missing = support_missing(SUPPORT_NEED_SYSTEM);

		if (missing)
			GTEST_SKIP() << missing;
		if (!support_path_compiler())
			GTEST_SKIP() << "vgpu-compiler was not built: no LLVM";
		ASSERT_NE(mkdtemp(cache), nullptr);
		ASSERT_EQ(support_world_enter(), 0);
		start({});
	}
	void start(std::vector<std::string> more)
	{
		std::string dir = std::string("--cache-dir=") + cache;
		std::vector<const char *> args = { "--log-level=debug", dir.c_str() };
		support_daemon_options opt{};

		for (const auto &a : more)
			args.push_back(a.c_str());
		args.push_back(nullptr);
		opt.args = args.data();
		ASSERT_EQ(support_world_daemon(&opt, &daemon), 0);
	}
	void stop()
	{
		char *bad = support_daemon_stop(daemon);

		EXPECT_EQ(bad, nullptr) << bad;
		free(bad);
		daemon = nullptr;
	}
	void TearDown() override
	{
		std::string remove = std::string("rm -rf ") + cache;

		if (!daemon)
			return;
		EXPECT_EQ(support_daemon_settle(daemon, 5000), 0) << "processes stayed behind";
		stop();
		EXPECT_EQ(system(remove.c_str()), 0);
	}
	unsigned started()
	{
		char *log = support_daemon_log(daemon);
		unsigned n = 0;

		for (const char *p = log; p && (p = strstr(p, "compiler ")); p++) {
			const char *end = strchr(p, '\n');

			n += end && memmem(p, (size_t)(end - p), "started for process", 19);
		}
		free(log);
		return n;
	}
	/* "heat": until it is three times as fast as at first; "warm": all the time. */
	std::map<std::string, std::string> heat(const char *seconds = "20",
						const char *how = "heat")
	{
		auto r = prog({ client(), how, seconds }).user(NOBODY).timeout(60000).run();

		EXPECT_EQ(r->res.code, 0) << r->text();
		return r->values();
	}
};

TEST_F(Tier, HotKernelIsCompiledWhileItRuns)
{
	auto v = heat();

	EXPECT_LT(atof(v["best_us"].c_str()) * 3, atof(v["first_us"].c_str()));
	EXPECT_EQ(started(), 1u);
}

TEST_F(Tier, NextProcessTakesItFromTheCache)
{
	unsigned compilers;
	double best;

	best = atof(heat()["best_us"].c_str());
	EXPECT_EQ(started(), 1u);
	/* From its first launches on; three times as fast again it cannot become. Long enough for good code. */
	auto v = heat("2", "warm");
	EXPECT_LT(atof(v["best_us"].c_str()), best * 3);
	compilers = started();
	heat("1");
	EXPECT_EQ(started(), compilers) << "compiled once more";
}

TEST_F(Tier, AnotherUserHasAnotherCache)
{
	heat();
	auto r = prog({ client(), "heat", "20" }).user(NOBODY - 1).timeout(60000).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_EQ(started(), 2u);
}

TEST_F(Tier, VgpuctlShowsAndClearsTheCache)
{
	std::string dir = std::string("--dir=") + cache;
	auto ctl = [&](std::vector<std::string> args) {
		args.insert(args.begin(), { support_path_vgpuctl(), "cache", dir });
		auto r = prog(args).run();

		EXPECT_EQ(r->res.code, 0) << r->text();
		return r->text();
	};

	EXPECT_NE(ctl({}).find("nothing is kept"), std::string::npos);
	heat();
	EXPECT_NE(ctl({}).find("user 65534 ("), std::string::npos) << ctl({});
	EXPECT_NE(ctl({}).find("): 1 kernels, "), std::string::npos) << ctl({});
	EXPECT_NE(ctl({ "--clear", "65533" }).find("0 cache files"), std::string::npos);
	EXPECT_NE(ctl({ "--clear" }).find("1 cache files"), std::string::npos);
	EXPECT_NE(ctl({}).find("nothing is kept"), std::string::npos);
	heat();
	EXPECT_EQ(started(), 2u);
}

TEST_F(Tier, WithoutCompilerEverythingIsInterpreted)
{
	stop();
	start({ "--compiler=none" });
	heat("1");
	EXPECT_EQ(started(), 0u);
}

/* As when a program is so short that its worker has gone before the compiler begins. */
TEST(Compiler, EndsQuietlyWithoutAWorker)
{
	int pair[2], err[2], status = -1;
	char text[512] = "";

	if (!support_path_compiler())
		GTEST_SKIP() << "built without a compiler";
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	ASSERT_EQ(pipe(err), 0);
	close(pair[1]);
	pid_t pid = fork();
	if (!pid) {
		dup2(err[1], STDERR_FILENO);
		dup2(pair[0], 3);
		for (int fd = 4; fd < 64; fd++)
			close(fd);
		execl(support_path_compiler(), "vgpu-compiler", nullptr);
		_exit(127);
	}
	close(pair[0]);
	close(err[1]);
	EXPECT_EQ(read(err[0], text, sizeof(text) - 1), 0) << text;
	close(err[0]);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

} // namespace

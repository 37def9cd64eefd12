/* SPDX-License-Identifier: MIT */
/* session_jail_test.cc - what a process in the jail is, and has not, as far as this host permits
 * it. */
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include "cuse_dev/base/log.h"
#include "cuse_dev/session/jail.h"
}

class Jail : public ::testing::Test {
protected:
	void SetUp() override
	{
		log_init("test", LOG_L_ERROR);
		ASSERT_EQ(jail_init(&jail, ""), 0);
		ASSERT_GT(readlink("/proc/self/exe", program, sizeof(program) - 1), 0);
		jail_program(&jail, program, "test-program");
		missing = jail_probe(&jail);
	}
	/* inside() - runs @f in the jail; its exit code, or -1 when it was ended by a signal. */
	template <typename F> int inside(F f)
	{
		int pidfd = -1, status = 0;
		pid_t pid = jail_clone(&jail, &pidfd);

		if (!pid) {
			if (jail_enter(&jail) != missing)
				_exit(100);
			_exit(f());
		}
		EXPECT_GT(pid, 0);
		close(pidfd);
		waitpid(pid, &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	bool has(enum jail_wall wall) const { return !(missing & 1u << wall); }

	struct jail jail = {};
	uint32_t missing = 0;
	char program[4096] = {};
};

#define NEED(wall)                                                                                 \
	if (!has(JAIL_##wall))                                                                     \
	GTEST_SKIP() << jail_wall_text(JAIL_##wall) << ": not permitted here"

TEST_F(Jail, WhatTheProbeFoundHolds)
{
	EXPECT_EQ(inside([] { return 0; }), 0);
}

TEST_F(Jail, TheUserIsNotRootAndCannotBecomeIt)
{
	NEED(USER);
	EXPECT_EQ(inside([] { return getuid() == 0 || geteuid() == 0 || getgid() == 0; }), 0);
	EXPECT_EQ(inside([] { return setuid(0) == 0; }), 0);
	EXPECT_EQ(inside([] { return getgroups(0, nullptr); }), 0);
}

TEST_F(Jail, NoNewPrivileges)
{
	NEED(NO_NEW_PRIVS);
	EXPECT_EQ(inside([] { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); }), 1);
}

TEST_F(Jail, NoCoreFilesFewDescriptorsAndThreads)
{
	NEED(LIMITS);
	EXPECT_EQ(inside([] {
			  struct rlimit core, files, threads;

			  getrlimit(RLIMIT_CORE, &core);
			  getrlimit(RLIMIT_NOFILE, &files);
			  getrlimit(RLIMIT_NPROC, &threads);
			  return core.rlim_max != 0 || files.rlim_max > 16384 ||
				 threads.rlim_max > 32768;
		  }),
		  0);
}

TEST_F(Jail, ProcessIdsOfItsOwn)
{
	NEED(PID_NS);
	EXPECT_EQ(inside([] { return static_cast<int>(getpid()); }), 1);
	EXPECT_EQ(inside([] { return static_cast<int>(getppid()); }), 0);
}

TEST_F(Jail, TheFileSystemHasLibrariesOnly)
{
	NEED(MOUNT_NS);
	EXPECT_EQ(inside([] { return access("/usr", F_OK) ? 1 : 0; }), 0);
	EXPECT_EQ(inside([this] { return access(jail.at, R_OK) ? 1 : 0; }), 0);
	for (const char *path :
	     { "/home", "/root", "/etc/passwd", "/dev/null", "/sys", "/var", "/run" })
		EXPECT_EQ(inside([path] { return access(path, F_OK) ? 0 : 1; }), 0) << path;
}

TEST_F(Jail, ThereIsNoPlaceToWriteTo)
{
	NEED(MOUNT_NS);
	EXPECT_EQ(inside([] {
			  std::ofstream a("/x"), b("/tmp/x"), c("/usr/x"), d("/etc/x");

			  return a.is_open() || b.is_open() || c.is_open() || d.is_open();
		  }),
		  0);
}

TEST_F(Jail, DiesWithItsParent)
{
	NEED(DEATH);
	int pair[2];
	char c;

	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid_t middle = fork();
	if (!middle) {
		int pidfd;

		close(pair[0]);
		if (!jail_clone(&jail, &pidfd)) {
			jail_enter(&jail);
			if (write(pair[1], "r", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		close(pair[1]);
		for (;;)
			pause();
	}
	close(pair[1]);
	ASSERT_EQ(read(pair[0], &c, 1), 1);
	kill(middle, SIGKILL);
	waitpid(middle, nullptr, 0);
	EXPECT_EQ(read(pair[0], &c, 1), 0) << "the other end lives";
	close(pair[0]);
}

TEST_F(Jail, RootIsNoUserForWorkers)
{
	struct jail j;

	testing::internal::CaptureStderr();
	EXPECT_LT(jail_init(&j, "root"), 0);
	EXPECT_LT(jail_init(&j, "no-such-user"), 0);
	EXPECT_NE(testing::internal::GetCapturedStderr().find("no-such-user"), std::string::npos);
}

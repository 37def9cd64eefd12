/* SPDX-License-Identifier: MIT */
/* session_lock_test.cc - one daemon per run directory. */
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include "cuse_dev/base/log.h"
#include "cuse_dev/session/lock.h"
}

class Lock : public ::testing::Test {
protected:
	void SetUp() override
	{
		char name[] = "/tmp/vgpu-lock-XXXXXX";

		ASSERT_NE(mkdtemp(name), nullptr);
		top = name;
		dir = top + "/a/b";
		log_init("test", LOG_L_INFO);
	}
	void TearDown() override
	{
		unlink((dir + "/vgpu-cuse.lock").c_str());
		rmdir(dir.c_str());
		rmdir((top + "/a").c_str());
		rmdir(top.c_str());
	}
	std::string top, dir;
};

TEST_F(Lock, TheSecondOneHearsWhoTheFirstIs)
{
	struct lock a, b;

	ASSERT_EQ(lock_take(&a, dir.c_str()), 0);
	testing::internal::CaptureStderr();
	EXPECT_EQ(lock_take(&b, dir.c_str()), -EBUSY);
	EXPECT_NE(
		testing::internal::GetCapturedStderr().find("process " + std::to_string(getpid())),
		std::string::npos);
	EXPECT_EQ(b.fd, -1);
	lock_drop(&b);
	lock_drop(&a);
	EXPECT_EQ(access((dir + "/vgpu-cuse.lock").c_str(), F_OK), -1);
	ASSERT_EQ(lock_take(&b, dir.c_str()), 0);
	lock_drop(&b);
}

TEST_F(Lock, DeathLetsGo)
{
	struct lock l;
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(lock_take(&l, dir.c_str()) ? 1 : 0); /* ends without dropping it */
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_EQ(status, 0);
	EXPECT_EQ(lock_take(&l, dir.c_str()), 0);
	lock_drop(&l);
}

TEST_F(Lock, ADirectoryThatCannotBe)
{
	struct lock l;

	testing::internal::CaptureStderr();
	EXPECT_LT(lock_take(&l, "/proc/nothing/here"), 0);
	EXPECT_NE(testing::internal::GetCapturedStderr().find("/proc/nothing/here"),
		  std::string::npos);
}

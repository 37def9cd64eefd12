/* SPDX-License-Identifier: MIT */
/* door_node_test.cc - what may lie where a node is to be: ours goes, everything else stays. */
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

extern "C" {
#include "cuse_dev/base/log.h"
#include "cuse_dev/door/door.h"
}

class Node : public ::testing::Test {
protected:
	void SetUp() override
	{
		char name[] = "/tmp/vgpu-node-XXXXXX";

		ASSERT_NE(mkdtemp(name), nullptr);
		dir = name;
		path = dir + "/nvidia-vgpu0";
		log_init("test", LOG_L_ERROR);
	}
	void TearDown() override
	{
		umount2(path.c_str(), MNT_DETACH);
		unlink(path.c_str());
		rmdir(path.c_str());
		rmdir(dir.c_str());
	}
	void file(const char *text)
	{
		FILE *f = fopen(path.c_str(), "w");

		ASSERT_NE(f, nullptr);
		fputs(text, f);
		fclose(f);
	}
	bool there() const
	{
		struct stat st;

		return !lstat(path.c_str(), &st);
	}
	/* clear() - quietly. */
	int clear()
	{
		testing::internal::CaptureStderr();
		int r = door_clear_node(path.c_str());

		log = testing::internal::GetCapturedStderr();
		return r;
	}
	std::string dir, path, log;
};

TEST_F(Node, NothingIsFine)
{
	EXPECT_EQ(clear(), 0);
}

TEST_F(Node, AnEmptyFileIsOurs)
{
	file("");
	EXPECT_EQ(clear(), 0);
	EXPECT_FALSE(there());
}

TEST_F(Node, AFileWithContentIsNot)
{
	file("precious");
	EXPECT_EQ(clear(), -EEXIST);
	EXPECT_TRUE(there());
	EXPECT_NE(log.find(path), std::string::npos);
}

TEST_F(Node, ADirectoryIsNot)
{
	ASSERT_EQ(mkdir(path.c_str(), 0755), 0);
	EXPECT_EQ(clear(), -EEXIST);
	EXPECT_TRUE(there());
}

TEST_F(Node, ALinkIsNotFollowed)
{
	std::string target = dir + "/target";
	FILE *f = fopen(target.c_str(), "w");

	ASSERT_NE(f, nullptr);
	fclose(f);
	ASSERT_EQ(symlink(target.c_str(), path.c_str()), 0);
	EXPECT_EQ(clear(), -EEXIST);
	EXPECT_EQ(access(target.c_str(), F_OK), 0);
	unlink(target.c_str());
}

TEST_F(Node, AMountThatWorksIsSomebodyElses)
{
	file("");
	if (mount("/dev/null", path.c_str(), nullptr, MS_BIND, nullptr) < 0)
		GTEST_SKIP() << "mounting is not permitted here";
	EXPECT_EQ(clear(), -EBUSY);
}

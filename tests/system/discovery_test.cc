/* SPDX-License-Identifier: MIT */
/*
 * discovery_test.cc - every process that can open the node finds the device, whatever its environment.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/system_test.h"

using Discovery = SystemTest;

static void expect_h100(const ran &r)
{
	auto v = r.values();

	ASSERT_EQ(r.res.code, 0) << r.text();
	EXPECT_EQ(v["count"], "1") << r.text();
	EXPECT_EQ(v["name"], "NVIDIA H100 80GB HBM3");
	EXPECT_EQ(v["cc"], "9.0");
	EXPECT_EQ(v["total"], std::to_string(80ull << 30));
	EXPECT_EQ(v["early_free"], std::to_string(78ull << 30));
	EXPECT_EQ(v["uuid"].substr(0, 4), "GPU-");
}

TEST_F(Discovery, WithAnEmptyEnvironment)
{
	expect_h100(*prog({ client(), "probe" }).run());
}

TEST_F(Discovery, AsAnotherUser)
{
	auto r = prog({ client(), "probe" }).user(NOBODY).run();

	expect_h100(*r);
	EXPECT_EQ(r->values()["uid"], std::to_string(NOBODY));
}

TEST_F(Discovery, InAGrandchildWithScrubbedEnvironment)
{
	std::string inner = "exec /usr/bin/env -i " + client() + " probe";

	expect_h100(*prog({ "/bin/sh", "-c", "/bin/sh -c '" + inner + "'; exit $?" })
			     .user(NOBODY)
			     .run());
}

TEST_F(Discovery, AfterSetuid)
{
	auto r = prog({ client(), "probe", "1234" }).run();

	expect_h100(*r);
	EXPECT_EQ(r->values()["uid"], "1234");
}

TEST_F(Discovery, ComputesAfterSetuidBetweenInitAndContext)
{
	auto r = prog({ client(), "after", "1234" }).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
}

TEST_F(Discovery, UuidIsTheSameInEveryProcess)
{
	auto a = prog({ client(), "probe" }).run(),
	     b = prog({ client(), "probe" }).user(NOBODY).run();

	EXPECT_EQ(a->values()["uuid"], b->values()["uuid"]);
	EXPECT_EQ(a->values()["uuid"].size(), strlen("GPU-") + 36);
}

TEST_F(Discovery, FiftyProcessesAtOnce)
{
	std::vector<support_child *> all;
	unsigned right = 0;

	for (int i = 0; i < 50; i++)
		all.push_back(prog({ client(), "cycle" }).user(i % 2 ? NOBODY : 0).start());
	for (support_child *c : all) {
		ASSERT_NE(c, nullptr);
		auto r = finish(c);
		if (r->res.code == 0)
			right++;
		else
			ADD_FAILURE() << r->text();
	}
	EXPECT_EQ(right, 50u);
	EXPECT_EQ(support_daemon_settle(daemon, 5000), 0) << "workers stayed behind";
}

TEST_F(Discovery, QueriesStartNoWorker)
{
	support_child *c = prog({ client(), "probe" }).start();
	unsigned seen = 0;

	ASSERT_NE(c, nullptr);
	for (int i = 0; i < 100; i++) {
		seen += support_daemon_workers(daemon, nullptr, 0);
		usleep(1000);
	}
	expect_h100(*finish(c));
	EXPECT_EQ(seen, 0u);
}

/* A root that holds the node, the program and the libraries it needs, and nothing else. */
class Chroot : public SystemTest {
protected:
	std::string dir;

	static void sh(const std::string &cmd)
	{
		auto r = prog({ "/bin/sh", "-ec", cmd }).run();

		ASSERT_EQ(r->res.code, 0) << cmd << "\n" << r->text();
	}
	void make_root()
	{
		dir = std::string(support_world_dir()) + "/root";
		std::string libs = std::string(support_world_dir()) + "/lib";

		sh("mkdir -p " + dir + "/dev " + dir + "/etc " + dir + "/opt/vgpu && cp " +
		   client() + " " + dir + "/client && cp " + libs + "/libcuda.so.1 " + dir +
		   "/opt/vgpu/");
		/* What ldd names: "lib => /path (addr)" or "/lib64/ld... (addr)". */
		sh("for f in $(ldd " + client() + " " + libs +
		   "/libcuda.so.1 | sed -n 's/.*=> \\(\\/[^ ]*\\) .*/\\1/p; "
		   "s/^[[:space:]]*\\(\\/[^ ]*\\) (.*/\\1/p'); do "
		   "mkdir -p " +
		   dir + "$(dirname $f) && cp -L $f " + dir + "$f; done");
		sh("echo /opt/vgpu >" + dir + "/etc/ld.so.conf; /sbin/ldconfig -r " + dir);
		sh("touch " + dir + "/dev/nvidia-vgpu0");
		ASSERT_EQ(mount("/dev/nvidia-vgpu0", (dir + "/dev/nvidia-vgpu0").c_str(), nullptr,
				MS_BIND, nullptr),
			  0);
	}
	void TearDown() override
	{
		if (!dir.empty()) {
			umount2((dir + "/dev/nvidia-vgpu0").c_str(), MNT_DETACH);
			sh("rm -rf --one-file-system " + dir);
		}
		SystemTest::TearDown();
	}
};

TEST_F(Chroot, FindsTheDeviceWithNothingButNodeAndLibraries)
{
	make_root();
	expect_h100(*prog({ "/client", "probe" }).root(dir.c_str()).user(NOBODY).run());
}

TEST_F(Chroot, ComputesWithNothingButNodeAndLibraries)
{
	make_root();
	auto r = prog({ "/client", "cycle" }).root(dir.c_str()).user(NOBODY).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
}

/* SPDX-License-Identifier: MIT */
/*
 * root_test.h - programs of another system, in its own root directory (fetch_debian.sh), on our device.
 *
 * The root gets what an installation would give it: nodes in /dev, our libraries in its loader's cache, /proc.
 */
#ifndef SYSTEM_ROOT_TEST_H
#define SYSTEM_ROOT_TEST_H

#include <sys/mount.h>
#include <unistd.h>

#include "system/system_test.h"

class RootTest : public SystemTest {
protected:
	std::string root;

	/* Skips when @program is not there; @how says what fetches it. */
	void enter_root(const std::string &dir, const std::string &program, const std::string &how)
	{
		if (access((dir + program).c_str(), X_OK) < 0)
			GTEST_SKIP() << "needs " << program << " (" << how << ")";
		auto r = prog({ "/bin/sh", "-ec",
				"cd " + dir +
					" && mkdir -p opt/vgpu dev proc tmp && mount -t tmpfs -o "
					"mode=0755 vgpu "
					"opt/vgpu && mount -t tmpfs -o mode=1777 tmp tmp && mount "
					"--rbind /dev dev && "
					"mount --rbind /proc proc && cp " +
					support_world_dir() +
					"/lib/* opt/vgpu/ && /sbin/ldconfig -r ." })
				 .run();

		ASSERT_EQ(r->res.code, 0) << r->text();
		root = dir;
	}
	/* @argv[0] is a path inside. Its environment is empty. */
	std::unique_ptr<ran> in_root(std::vector<std::string> argv, unsigned seconds,
				     std::vector<std::string> env = {})
	{
		prog p(std::move(argv));

		p.env = std::move(env);
		return p.root(root.c_str()).timeout(seconds * 1000).run();
	}
	void TearDown() override
	{
		if (!root.empty())
			for (const char *d : { "/proc", "/dev", "/tmp", "/opt/vgpu" })
				umount2((root + d).c_str(), MNT_DETACH);
		SystemTest::TearDown();
	}
};

#endif

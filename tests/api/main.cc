/* SPDX-License-Identifier: MIT */
/*
 * main.cc - one daemon for all tests of a program, and a look at its log afterwards.
 */
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

extern "C" {
#include "support/daemon.h"
#include "support/paths.h"
}

namespace {

class Daemon : public testing::Environment {
public:
	void SetUp() override
	{
		support_daemon_options opt = {};
#ifdef API_TWO_DEVICES
		static const char *const two[] = { "--device=H100-80GB", "--device=RTX-5090",
						   nullptr };

		opt.args = two;
		opt.devices = 2;
#endif
		ASSERT_EQ(support_daemon_start(&opt, &daemon_), 0);
		setenv("VGPU_NODE_DIR", support_daemon_node_dir(daemon_), 1);
	}

	void TearDown() override
	{
		char *bad = daemon_ ? support_daemon_stop(daemon_) : nullptr;

		EXPECT_EQ(bad, nullptr) << bad;
		free(bad);
	}

private:
	struct support_daemon *daemon_ = nullptr;
};

} // namespace

int main(int argc, char **argv)
{
	testing::InitGoogleTest(&argc, argv);
	if (!getenv("VGPU_NODE_DIR")) {
		const char *missing = support_missing(SUPPORT_NEED_SYSTEM);

		if (missing) {
			printf("skipped: %s\n", missing);
			return 77;
		}
		testing::AddGlobalTestEnvironment(new Daemon);
	}
	return RUN_ALL_TESTS();
}

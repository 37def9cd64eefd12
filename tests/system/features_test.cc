/* SPDX-License-Identifier: MIT */
/*
 * features_test.cc - programs in CUDA C++ of what kernels are written with (feature_*.cu), each on a device of compute
 * capability 7.5, 8.0, 9.0 and 12.0, for which nvcc makes different PTX of the same source.
 */
#include <string.h>

#include "system/system_test.h"

namespace {

struct Features : public SystemTest, public ::testing::WithParamInterface<const char *> {
	void SetUp() override
	{
		const char *missing = support_missing(SUPPORT_NEED_SYSTEM);
		std::string device = std::string("--device=") + GetParam();
		const char *args[] = { device.c_str(), nullptr };
		support_daemon_options opt = {};

		if (missing)
			GTEST_SKIP() << missing;
		opt.args = args;
		ASSERT_EQ(support_world_enter(), 0);
		ASSERT_EQ(support_world_daemon(&opt, &daemon), 0);
	}

	/* @parts: how many it checks. */
	void check(const char *name, int parts)
	{
		std::string path = std::string(SYSTEM_PROGRAMS) + "/features/feature_" + name;

		if (access(path.c_str(), X_OK))
			GTEST_SKIP() << "needs nvcc (tests/system/build_features.sh)";
		auto r = prog({ path }).timeout(120000).run();
		std::string out = "\n" + std::string(r->res.out ? r->res.out : "");
		int right = 0;

		for (size_t at = 0; (at = out.find("\nright ", at)) != std::string::npos; at++)
			right++;
		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_EQ(out.find("\nwrong "), std::string::npos) << r->text();
		EXPECT_EQ(out.find("\nfailed "), std::string::npos) << r->text();
		EXPECT_NE(out.find("\ndone\n"), std::string::npos) << r->text();
		EXPECT_EQ(right, parts) << r->text();
	}
};

} // namespace

TEST_P(Features, Wmma)
{
	check("wmma", 3);
}

TEST_P(Features, CooperativeGroups)
{
	check("groups", 4);
}

TEST_P(Features, LibcudaxxAtomicsAndBarriers)
{
	check("atomics", 7);
}

TEST_P(Features, CurandInKernels)
{
	check("curand", 5);
}

TEST_P(Features, Cub)
{
	check("cub", 8);
}

TEST_P(Features, Thrust)
{
	check("thrust", 7);
}

INSTANTIATE_TEST_SUITE_P(Profiles, Features,
			 ::testing::Values("T4", "A100-80GB", "H100-80GB", "RTX-5090"),
			 [](const ::testing::TestParamInfo<const char *> &i) {
				 return std::string(i.param, strcspn(i.param, "-"));
			 });

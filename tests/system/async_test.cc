/* SPDX-License-Identifier: MIT */
/*
 * async_test.cc - CUDA C++ with asynchronous copies, barriers, clusters and tensor copies, compiled for
 * two architectures, gets right results.
 */
#include <string.h>

#include "system/system_test.h"

class Async : public SystemTest {
protected:
	void run_program(const char *path)
	{
		const char *p = path[0] ? support_world_program(path) : nullptr;

		if (!p)
			GTEST_SKIP() << "needs nvcc";
		auto r = prog({ p }).user(NOBODY).timeout(120000).run();

		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_NE(strstr(r->res.out, "all results right"), nullptr) << r->text();
	}
};

TEST_F(Async, CopiesAndBarriersOfCompute80)
{
	run_program(SYSTEM_ASYNC_80);
}

TEST_F(Async, ClustersAndTensorCopiesOfCompute90)
{
	run_program(SYSTEM_ASYNC_90);
}

/* SPDX-License-Identifier: MIT */
/*
 * demo_test.cc - an unmodified program, built by plain nvcc with the normal cudart, gets right results.
 */
#include <string.h>

#include "system/system_test.h"

using Demo = SystemTest;

static std::string demo()
{
	const char *p = SYSTEM_DEMO[0] ? support_world_program(SYSTEM_DEMO) : nullptr;

	return p ? p : "";
}

TEST_F(Demo, QueryPrintsTheDevice)
{
	if (demo().empty())
		GTEST_SKIP() << "needs nvcc";
	auto r = prog({ demo(), "--query" }).user(NOBODY).run();

	ASSERT_EQ(r->res.code, 0) << r->text();
	EXPECT_NE(strstr(r->res.out, "\"NVIDIA H100 80GB HBM3\""), nullptr) << r->text();
	EXPECT_NE(strstr(r->res.out, "CUDA capability:                       9.0"), nullptr)
		<< r->text();
	EXPECT_NE(strstr(r->res.out, "Multiprocessors:                       132"), nullptr)
		<< r->text();
}

TEST_F(Demo, ComputesAsAScrubbedGrandchildOfAnotherUser)
{
	if (demo().empty())
		GTEST_SKIP() << "needs nvcc";
	auto r = prog({ "/bin/sh", "-c",
			"/usr/bin/env -i /bin/sh -c '" + demo() + "; exit $?'; exit $?" })
			 .user(NOBODY)
			 .timeout(120000)
			 .run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_NE(strstr(r->res.out, "all results right"), nullptr) << r->text();
	EXPECT_NE(strstr(r->res.out, "block 0 of 2 says hello to the host: pi is about 3.14159"),
		  nullptr)
		<< r->text();
	EXPECT_NE(strstr(r->res.out, "block 1 of 2 says hello to the host: pi is about 3.14159"),
		  nullptr)
		<< r->text();
}

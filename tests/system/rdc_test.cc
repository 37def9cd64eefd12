/* SPDX-License-Identifier: MIT */
/*
 * rdc_test.cc - relocatable device code: an unmodified program of several files, linked by nvcc, whose
 * fat binary has machine code for the whole and PTX for the parts alone. And kernels that launch kernels,
 * which need the device runtime linked in.
 */
#include <string.h>

#include "system/system_test.h"

using Rdc = SystemTest;

TEST_F(Rdc, PartsAreLinkedHere)
{
	if (!*SYSTEM_RDC)
		GTEST_SKIP() << "needs nvcc";
	const char *program = support_world_program(SYSTEM_RDC);

	ASSERT_NE(program, nullptr);
	auto r = prog({ program }).user(NOBODY).timeout(60000).run();
	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_NE(strstr(r->res.out, "all results right"), nullptr) << r->text();
}

TEST_F(Rdc, KernelsLaunchKernels)
{
	if (!*SYSTEM_CDP)
		GTEST_SKIP() << "needs nvcc";
	const char *program = support_world_program(SYSTEM_CDP);

	ASSERT_NE(program, nullptr);
	auto r = prog({ program }).user(NOBODY).timeout(60000).run();
	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_NE(strstr(r->res.out, "all results right"), nullptr) << r->text();
}

/* SPDX-License-Identifier: MIT */
/*
 * texture_test.cc - an unmodified program reads and writes textures and surfaces of all shapes, and is
 * told when it does what it must not.
 */
#include <string.h>

#include "system/system_test.h"

using Texture = SystemTest;

static std::string program()
{
	const char *p = SYSTEM_TEXTURE[0] ? support_world_program(SYSTEM_TEXTURE) : nullptr;

	return p ? p : "";
}

TEST_F(Texture, EveryShapeAgainstTheReference)
{
	if (program().empty())
		GTEST_SKIP() << "needs nvcc";
	auto r = prog({ program() }).user(NOBODY).timeout(120000).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_NE(strstr(r->res.out, "values are right"), nullptr) << r->text();
}

TEST_F(Texture, OutsideOfASurfaceIsALaunchFailure)
{
	if (program().empty())
		GTEST_SKIP() << "needs nvcc";
	prog p({ program(), "outside" });

	p.env = { "VGPU_LOG=error" };
	auto r = p.user(NOBODY).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_NE(strstr(r->res.out, "outside: cudaErrorLaunchFailure"), nullptr) << r->text();
	EXPECT_NE(strstr(r->text().c_str(), "outside of a surface at x 400 bytes, y 0"), nullptr)
		<< r->text();
}

TEST_F(Texture, AStaleHandleIsAnIllegalAddress)
{
	if (program().empty())
		GTEST_SKIP() << "needs nvcc";
	prog p({ program(), "stale" });

	p.env = { "VGPU_LOG=error" };
	auto r = p.user(NOBODY).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_NE(strstr(r->res.out, "stale: cudaErrorIllegalAddress"), nullptr) << r->text();
	EXPECT_NE(strstr(r->text().c_str(), "is no texture"), nullptr) << r->text();
}

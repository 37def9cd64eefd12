// SPDX-License-Identifier: MIT
// The table of texture handles: stale ones, those of other devices, the limit.
#include <gtest/gtest.h>

#include <cerrno>

extern "C" {
#include "cuse_dev/backend/soft/simt/texture.h"
#include "cuse_dev/base/limits.h"
}

TEST(SimtTexture, HandlesAreFoundUntilRemoved)
{
	struct simt_textures *t, *u;
	struct vgpu_tex_desc d = {};
	uint64_t a, b, c;

	ASSERT_EQ(0, simt_textures_create(0, &t));
	ASSERT_EQ(0, simt_textures_create(1, &u));
	d.va = 1;
	ASSERT_EQ(0, simt_textures_add(t, &d, &a));
	d.va = 2;
	ASSERT_EQ(0, simt_textures_add(t, &d, &b));
	ASSERT_EQ(0, simt_textures_add(u, &d, &c));
	EXPECT_NE(a, c);
	EXPECT_EQ(nullptr, simt_textures_find(u, a)) << "another device's";
	ASSERT_NE(nullptr, simt_textures_find(t, a));
	EXPECT_EQ(1u, simt_textures_find(t, a)->va);
	EXPECT_EQ(2u, simt_textures_find(t, b)->va);
	EXPECT_EQ(0, simt_textures_remove(t, a));
	EXPECT_EQ(-ENOENT, simt_textures_remove(t, a));
	EXPECT_EQ(nullptr, simt_textures_find(t, a));
	for (uint64_t wild : { uint64_t(0), ~uint64_t(0), uint64_t(1), a + (2u << 20), b + 1,
			       uint64_t(0x700000000000), uint64_t(1) << 20 })
		EXPECT_EQ(nullptr, simt_textures_find(t, wild)) << std::hex << wild;
	simt_textures_destroy(t);
	simt_textures_destroy(u);
}

TEST(SimtTexture, LimitIsExactAndSlotsComeBack)
{
	struct simt_textures *t;
	struct vgpu_tex_desc d = {};
	uint64_t first, h, last = 0;

	ASSERT_EQ(0, simt_textures_create(0, &t));
	ASSERT_EQ(0, simt_textures_add(t, &d, &first));
	for (int i = 1; i < LIMIT_TEXTURES; i++)
		ASSERT_EQ(0, simt_textures_add(t, &d, &last));
	EXPECT_EQ(-ENOSPC, simt_textures_add(t, &d, &h));
	EXPECT_EQ(0, simt_textures_remove(t, first));
	EXPECT_EQ(0, simt_textures_add(t, &d, &h));
	EXPECT_NE(h, first) << "the same slot, another generation";
	EXPECT_EQ(nullptr, simt_textures_find(t, first));
	EXPECT_NE(nullptr, simt_textures_find(t, h));
	EXPECT_NE(nullptr, simt_textures_find(t, last));
	simt_textures_destroy(t);
}

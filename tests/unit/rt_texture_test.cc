// SPDX-License-Identifier: MIT
// Texture fetches as the programming guide's appendix says, case by case; whole shapes are compared
// with a reference in tests/system/texture.cu.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

extern "C" {
#include "cuse_dev/backend/soft/rt/texture.h"
}

namespace {

uint32_t bits(float f)
{
	uint32_t u;

	memcpy(&u, &f, 4);
	return u;
}

float value(uint32_t u)
{
	float f;

	memcpy(&f, &u, 4);
	return f;
}

// A row of floats.
struct Row {
	std::vector<float> texel;
	struct vgpu_tex_desc d = {};

	explicit Row(std::vector<float> t) : texel(std::move(t))
	{
		d.bytes = texel.size() * 4;
		d.shape = VGPU_TEX_1D;
		d.format = 0x20;
		d.channels = 1;
		d.levels = 1;
		d.level[0] = { 0, d.bytes, d.bytes, (uint32_t)texel.size(), 1, 1, 0 };
	}

	float at(float x, int32_t offset = 0)
	{
		struct rt_fetch f = {};
		struct rt_texture t;
		struct rt_sampler s;
		uint32_t out[4];

		EXPECT_TRUE(rt_texture_open(&d, (uint8_t *)texel.data(), &t));
		rt_texture_sampler(&d, &s);
		f.f[0] = x;
		f.offset[0] = offset;
		rt_texture_fetch(&t, &s, &f, out);
		EXPECT_EQ(0u, out[1]);
		EXPECT_EQ(1.0f, value(out[3]));
		return value(out[0]);
	}
};

TEST(RtTexture, PointIsTheTexelThatHoldsIt)
{
	Row r({ 1, 2, 3, 4 });

	r.d.address[0] = VGPU_TEX_CLAMP;
	EXPECT_EQ(1, r.at(0));
	EXPECT_EQ(1, r.at(0.999f));
	EXPECT_EQ(2, r.at(1));
	EXPECT_EQ(1, r.at(-5));
	EXPECT_EQ(4, r.at(100));
	EXPECT_EQ(3, r.at(1, 1));
	EXPECT_EQ(1, r.at(NAN));
	EXPECT_EQ(4, r.at(INFINITY));
	EXPECT_EQ(1, r.at(-INFINITY));
}

TEST(RtTexture, AddressModes)
{
	Row r({ 1, 2, 3, 4 });

	r.d.border[0] = bits(9);
	r.d.flags = VGPU_TEX_NORMALIZED;
	r.d.address[0] = VGPU_TEX_WRAP;
	EXPECT_EQ(1, r.at(1));
	EXPECT_EQ(4, r.at(-0.01f));
	EXPECT_EQ(3, r.at(1000000.5f));
	r.d.address[0] = VGPU_TEX_MIRROR;
	EXPECT_EQ(4, r.at(1.1f));
	EXPECT_EQ(1, r.at(1.9f));
	EXPECT_EQ(1, r.at(-0.1f));
	EXPECT_EQ(4, r.at(-0.9f));
	r.d.address[0] = VGPU_TEX_BORDER;
	EXPECT_EQ(9, r.at(1));
	EXPECT_EQ(9, r.at(-0.01f));
	EXPECT_EQ(4, r.at(0.99f));
	/* Without normalised coordinates there is no wrapping. */
	r.d.flags = 0;
	r.d.address[0] = VGPU_TEX_WRAP;
	EXPECT_EQ(4, r.at(4));
	r.d.address[0] = VGPU_TEX_MIRROR;
	EXPECT_EQ(4, r.at(7.5f));
}

TEST(RtTexture, WeightsHaveEightBits)
{
	Row r({ 0, 256 });

	r.d.filter = VGPU_TEX_BILIN;
	r.d.address[0] = VGPU_TEX_CLAMP;
	EXPECT_EQ(0, r.at(0.5f));
	EXPECT_EQ(256, r.at(1.5f));
	for (int k = 0; k <= 256; k++)
		EXPECT_EQ(k, r.at(0.5f + (float)k / 256));
	/* In between: the nearest of them, 1.0 included. */
	EXPECT_EQ(1, r.at(0.5f + 1.4f / 256));
	EXPECT_EQ(2, r.at(0.5f + 1.6f / 256));
	EXPECT_EQ(256, r.at(0.5f + 255.9f / 256));
}

TEST(RtTexture, AnUnusedNeighbourDoesNotCount)
{
	Row r({ 1, INFINITY });

	r.d.filter = VGPU_TEX_BILIN;
	r.d.address[0] = VGPU_TEX_CLAMP;
	EXPECT_EQ(1, r.at(0.5f));
}

TEST(RtTexture, BrokenDescriptionsStayInside)
{
	Row r({ 1, 2, 3, 4 });

	r.d.border[0] = bits(7);
	r.d.level[0].width = 1000; /* changed by another thread */
	EXPECT_EQ(7, r.at(500));
	r.d.level[0].offset = ~0ull - 3;
	EXPECT_EQ(7, r.at(0));
	r.d.level[0] = {};
	EXPECT_EQ(1, r.at(0));
	r.d.format = 0x7f;
	struct rt_texture t;
	EXPECT_FALSE(rt_texture_open(&r.d, nullptr, &t));
	r.d.format = 0x20;
	r.d.levels = 99;
	EXPECT_FALSE(rt_texture_open(&r.d, nullptr, &t));
}

struct Format {
	uint32_t format, channels, flags;
	std::vector<uint8_t> bytes;
	std::vector<float> want;
};

TEST(RtTexture, DecodesEveryClass)
{
	const Format all[] = {
		{ 1, 1, 0, { 255 }, { 1, 0, 0, 1 } },
		{ 8, 2, 0, { 0x80, 0x81 }, { -1, -1, 0, 1 } },
		{ 2, 2, 0, { 0xff, 0xff, 0, 0x80 }, { 1, 32768 / 65535.0f, 0, 1 } },
		{ 9, 1, 0, { 0xff, 0x7f }, { 1, 0, 0, 1 } },
		{ 0x10, 2, 0, { 0, 0x3c, 0, 0xc0 }, { 1, -2, 0, 1 } },
		{ 0xc2, 4, VGPU_TEX_AS_INTEGER, { 0, 51, 102, 255 }, { 0, 0.2f, 0.4f, 1 } },
		{ 0xc9, 1, 0, { 0, 0x80 }, { -1, 0, 0, 1 } },
		{ 1,
		  4,
		  VGPU_TEX_SRGB,
		  { 10, 0, 255, 10 },
		  { 10 / 255.0f / 12.92f, 0, 1, 10 / 255.0f } },
	};

	for (const auto &f : all) {
		struct vgpu_tex_desc d = {};
		struct rt_texture t;
		uint32_t out[4];

		d.format = f.format;
		d.channels = f.channels;
		d.flags = f.flags;
		d.levels = 1;
		ASSERT_TRUE(rt_texture_open(&d, nullptr, &t));
		rt_texel_decode(&t, f.bytes.data(), out);
		for (int c = 0; c < 4; c++)
			EXPECT_FLOAT_EQ(f.want[c], value(out[c])) << f.format << " channel " << c;
	}
}

TEST(RtTexture, FormattedStoresClampAndComeBack)
{
	struct vgpu_tex_desc d = {};
	struct rt_texture t;
	uint8_t m[16];
	uint32_t out[4];

	d.levels = 1;
	d.channels = 2;
	d.format = 1;
	ASSERT_TRUE(rt_texture_open(&d, m, &t));
	const uint32_t big[4] = { 300, 7, 0, 0 };
	rt_texel_encode(&t, big, m);
	EXPECT_EQ(255, m[0]);
	EXPECT_EQ(7, m[1]);
	d.format = 9;
	ASSERT_TRUE(rt_texture_open(&d, m, &t));
	const uint32_t low[4] = { (uint32_t)-70000, (uint32_t)-5, 0, 0 };
	rt_texel_encode(&t, low, m);
	EXPECT_EQ(-32768, *(int16_t *)m);
	EXPECT_EQ(-5, *(int16_t *)(m + 2));
	for (uint32_t format : { 0x10u, 0x20u, 0xc1u, 0xc7u, 0xcau }) {
		const uint32_t in[4] = { bits(0.5f), bits(1.0f), 0, 0 };

		d.format = format;
		ASSERT_TRUE(rt_texture_open(&d, m, &t));
		rt_texel_encode(&t, in, m);
		rt_texel_decode(&t, m, out);
		EXPECT_NEAR(0.5f, value(out[0]), 0.005f) << format;
		EXPECT_EQ(1.0f, value(out[1])) << format;
	}
}

TEST(RtTexture, SurfaceEdges)
{
	struct vgpu_tex_desc d = {};
	struct rt_texture t;
	uint8_t m[64];

	d.bytes = 64;
	d.shape = VGPU_TEX_2D;
	d.format = 2;
	d.channels = 1;
	d.levels = 1;
	d.level[0] = { 0, 16, 64, 5, 4, 1, 0 };
	ASSERT_TRUE(rt_texture_open(&d, m, &t));
	EXPECT_EQ(m + 16 + 8, rt_surface_at(&t, 8, 2, 1, 0, RT_EDGE_TRAP));
	EXPECT_EQ(nullptr, rt_surface_at(&t, 10, 2, 1, 0, RT_EDGE_TRAP));
	EXPECT_EQ(nullptr, rt_surface_at(&t, 8, 4, 1, 0, RT_EDGE_TRAP)) << "half outside";
	EXPECT_EQ(nullptr, rt_surface_at(&t, -2, 2, 1, 0, RT_EDGE_ZERO));
	EXPECT_EQ(nullptr, rt_surface_at(&t, 0, 2, 4, 0, RT_EDGE_ZERO));
	EXPECT_EQ(nullptr, rt_surface_at(&t, 0, 2, 0, 1, RT_EDGE_TRAP));
	EXPECT_EQ(m + 48 + 8, rt_surface_at(&t, 1000, 2, 1000, 3, RT_EDGE_CLAMP));
	EXPECT_EQ(m, rt_surface_at(&t, -1000, 2, -1, -1, RT_EDGE_CLAMP));
	EXPECT_EQ(nullptr, rt_surface_at(&t, 0, 16, 0, 0, RT_EDGE_CLAMP)) << "wider than it";
	d.level[0].pitch = 1 << 20;
	EXPECT_EQ(nullptr, rt_surface_at(&t, 0, 2, 1, 0, RT_EDGE_CLAMP));
}

} // namespace

// SPDX-License-Identifier: MIT
// TEX_CREATE and TEX_DESTROY against a whole worker: every refused input, handles, the limit.
#include "tests/unit/worker_front.h"

namespace {

// A 2D texture of 8 x 4 texels of 4 bytes.
struct vgpu_tex_create good(uint32_t ctx, uint64_t va)
{
	struct vgpu_tex_create a = {};

	a.ctx = ctx;
	a.desc.va = va;
	a.desc.bytes = 4 * 64;
	a.desc.shape = VGPU_TEX_2D;
	a.desc.format = 1;
	a.desc.channels = 4;
	a.desc.levels = 1;
	a.desc.level[0] = { 0, 64, 256, 8, 4, 1, 0 };
	return a;
}

TEST(WorkerTexture, HandlesLiveUntilDestroyed)
{
	Front f(false);
	uint32_t ctx = f.ctx(), other = f.ctx();
	struct vgpu_tex_create a = good(ctx, f.alloc(ctx, 4096)), b = a;
	struct vgpu_tex_destroy d = {};

	EXPECT_EQ(0, f.call(VGPU_OP_TEX_CREATE, &a));
	EXPECT_EQ(0, f.call(VGPU_OP_TEX_CREATE, &b));
	EXPECT_NE(0u, a.handle);
	EXPECT_NE(a.handle, b.handle);
	d.handle = a.handle;
	d.ctx = other;
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_TEX_DESTROY, &d));
	d.ctx = ctx;
	d.pad = 1;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_TEX_DESTROY, &d));
	d.pad = 0;
	EXPECT_EQ(0, f.call(VGPU_OP_TEX_DESTROY, &d));
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_TEX_DESTROY, &d));
	d.handle = b.handle + 1;
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_TEX_DESTROY, &d));
	d.ctx = 12345;
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_TEX_DESTROY, &d));

	struct vgpu_ctx_destroy c = { ctx, 0 };

	EXPECT_EQ(1u, fake::textures);
	EXPECT_EQ(0, f.call(VGPU_OP_CTX_DESTROY, &c));
	EXPECT_EQ(0u, fake::textures) << "went with their context";
	d.ctx = ctx;
	d.handle = b.handle;
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_TEX_DESTROY, &d));
}

// One wrong field each.
const struct {
	const char *what;
	void (*spoil)(struct vgpu_tex_desc *d);
} wrong[] = {
	{ "no format", [](struct vgpu_tex_desc *d) { d->format = 0; } },
	{ "unknown format", [](struct vgpu_tex_desc *d) { d->format = 0x91; } },
	{ "huge format", [](struct vgpu_tex_desc *d) { d->format = ~0u; } },
	{ "three channels", [](struct vgpu_tex_desc *d) { d->channels = 3; } },
	{ "no channels", [](struct vgpu_tex_desc *d) { d->channels = 0; } },
	{ "channels that are not the format's",
	  [](struct vgpu_tex_desc *d) {
		  d->format = 0xc1;
		  d->channels = 4;
	  } },
	{ "unknown flag", [](struct vgpu_tex_desc *d) { d->flags = VGPU_TEX_FLAGS + 1; } },
	{ "no levels", [](struct vgpu_tex_desc *d) { d->levels = 0; } },
	{ "too many levels", [](struct vgpu_tex_desc *d) { d->levels = VGPU_TEX_LEVELS + 1; } },
	{ "a second level that is empty", [](struct vgpu_tex_desc *d) { d->levels = 2; } },
	{ "a surface with levels",
	  [](struct vgpu_tex_desc *d) {
		  d->flags = VGPU_TEX_SURFACE;
		  d->levels = 2;
		  d->level[1] = d->level[0];
	  } },
	{ "unknown address mode", [](struct vgpu_tex_desc *d) { d->address[2] = 4; } },
	{ "unknown filter", [](struct vgpu_tex_desc *d) { d->filter = 2; } },
	{ "unknown filter of levels", [](struct vgpu_tex_desc *d) { d->mip_filter = 2; } },
	{ "anisotropy 17", [](struct vgpu_tex_desc *d) { d->anisotropy = 17; } },
	{ "unknown shape", [](struct vgpu_tex_desc *d) { d->shape = 8; } },
	{ "1D with rows", [](struct vgpu_tex_desc *d) { d->shape = VGPU_TEX_1D; } },
	{ "linear with rows", [](struct vgpu_tex_desc *d) { d->shape = VGPU_TEX_LINEAR; } },
	{ "layered 1D with rows", [](struct vgpu_tex_desc *d) { d->shape = VGPU_TEX_1D_LAYERED; } },
	{ "2D with slices",
	  [](struct vgpu_tex_desc *d) {
		  d->level[0].slice = 0;
		  d->level[0].depth = 2;
	  } },
	{ "cube with one face", [](struct vgpu_tex_desc *d) { d->shape = VGPU_TEX_CUBE; } },
	{ "cubes with seven faces",
	  [](struct vgpu_tex_desc *d) {
		  d->shape = VGPU_TEX_CUBE_LAYERED;
		  d->level[0].slice = 0;
		  d->level[0].width = d->level[0].height = 4;
		  d->level[0].depth = 7;
	  } },
	{ "a linear surface",
	  [](struct vgpu_tex_desc *d) {
		  d->shape = VGPU_TEX_LINEAR;
		  d->level[0].height = 1;
		  d->flags = VGPU_TEX_SURFACE;
	  } },
	{ "no width", [](struct vgpu_tex_desc *d) { d->level[0].width = 0; } },
	{ "no height", [](struct vgpu_tex_desc *d) { d->level[0].height = 0; } },
	{ "no depth", [](struct vgpu_tex_desc *d) { d->level[0].depth = 0; } },
	{ "too wide", [](struct vgpu_tex_desc *d) { d->level[0].width = VGPU_TEX_EXTENT + 1; } },
	{ "pad of a level", [](struct vgpu_tex_desc *d) { d->level[0].pad = 1; } },
	{ "a row beyond the end", [](struct vgpu_tex_desc *d) { d->level[0].height = 5; } },
	{ "a texel beyond the end", [](struct vgpu_tex_desc *d) { d->bytes = 3 * 64 + 31; } },
	{ "an offset beyond the end", [](struct vgpu_tex_desc *d) { d->level[0].offset = 64; } },
	{ "an offset that wraps", [](struct vgpu_tex_desc *d) { d->level[0].offset = ~0ull - 8; } },
	{ "a pitch that wraps", [](struct vgpu_tex_desc *d) { d->level[0].pitch = 1ull << 63; } },
	{ "a slice that wraps",
	  [](struct vgpu_tex_desc *d) {
		  d->shape = VGPU_TEX_3D;
		  d->level[0].depth = 3;
		  d->level[0].slice = 1ull << 63;
	  } },
	{ "memory that wraps", [](struct vgpu_tex_desc *d) { d->va = ~0ull - 10; } },
};

TEST(WorkerTexture, WrongDescriptionsAreRefused)
{
	Front f(false);
	uint32_t ctx = f.ctx();
	uint64_t va = f.alloc(ctx, 4096);
	struct vgpu_tex_create a = good(ctx, va);

	for (const auto &w : wrong) {
		a = good(ctx, va);
		w.spoil(&a.desc);
		EXPECT_EQ(-EINVAL, f.call(VGPU_OP_TEX_CREATE, &a)) << w.what;
	}
	a = good(ctx, va);
	a.pad = 1;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_TEX_CREATE, &a));
	a = good(ctx + 1, va);
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_TEX_CREATE, &a));
	a = good(ctx, va);
	a.desc.bytes = 3 * 64 + 32;
	EXPECT_EQ(0, f.call(VGPU_OP_TEX_CREATE, &a)) << "just fits";
}

} // namespace

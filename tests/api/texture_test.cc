/* SPDX-License-Identifier: MIT */
/* Texture and surface objects: what the manual refuses, what comes back, PTX forms that CUDA C++ lacks. */
#include "api/api_test.h"

#include <cmath>

namespace {

static const char texture_ptx[] = R"(
.version 8.0
.target sm_80
.address_size 64

.visible .entry fetch(.param .u64 tex, .param .f32 x, .param .u64 out)
{
	.reg .b64 %t, %o;
	.reg .f32 %f<6>;
	.reg .pred %p;
	.reg .b32 %r;
	ld.param.u64 %t, [tex];
	ld.param.f32 %f4, [x];
	ld.param.u64 %o, [out];
	tex.1d.v4.f32.f32 {%f0, %f1, %f2, %f3}|%p, [%t, {%f4}];
	selp.u32 %r, 1, 0, %p;
	st.global.v4.f32 [%o], {%f0, %f1, %f2, %f3};
	st.global.u32 [%o + 16], %r;
	ret;
}

.visible .entry integers(.param .u64 tex, .param .f32 x, .param .u64 out)
{
	.reg .b64 %t, %o;
	.reg .f32 %f;
	.reg .b32 %r<4>;
	ld.param.u64 %t, [tex];
	ld.param.f32 %f, [x];
	ld.param.u64 %o, [out];
	tex.1d.v4.u32.f32 {%r0, %r1, %r2, %r3}, [%t, {%f}];
	st.global.u32 [%o], %r0;
	ret;
}

.visible .entry late(.param .u64 tex, .param .f32 x, .param .u64 out)
{
	.reg .b64 %t, %o;
	.reg .f32 %f<5>;
	.reg .pred %p;
	.reg .b32 %i;
	ld.param.u64 %t, [tex];
	ld.param.f32 %f4, [x];
	ld.param.u64 %o, [out];
	mov.u32 %i, 0;
again:
	nanosleep.u32 1000000;
	add.u32 %i, %i, 1;
	setp.lt.u32 %p, %i, 50;
	@%p bra again;
	tex.1d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%t, {%f4}];
	st.global.f32 [%o], %f0;
	ret;
}

.visible .entry offsets(.param .u64 tex, .param .u64 out)
{
	.reg .b64 %t, %o;
	.reg .f32 %f<6>;
	ld.param.u64 %t, [tex];
	ld.param.u64 %o, [out];
	mov.f32 %f4, 0f40200000;
	mov.f32 %f5, 0f3FC00000;
	tex.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%t, {%f4, %f5}], {-1, 1};
	st.global.f32 [%o], %f0;
	tex.level.2d.v4.f32.f32 {%f0, _, _, _}, [%t, {%f4, %f5}], 0f00000000, {1, -1};
	st.global.f32 [%o + 4], %f0;
	tex.base.2d.v4.f32.f32 {%f0, _, _, _}, [%t, {%f4, %f5}];
	st.global.f32 [%o + 8], %f0;
	tex.2d.v4.f32.s32 {%f0, _, _, _}, [%t, {2, 1}];
	st.global.f32 [%o + 12], %f0;
	ret;
}

.visible .entry halves(.param .u64 tex, .param .u64 out)
{
	.reg .b64 %t, %o;
	.reg .b16 %h<4>;
	.reg .b32 %r<2>;
	.reg .f32 %x, %y;
	ld.param.u64 %t, [tex];
	ld.param.u64 %o, [out];
	mov.f32 %x, 0f40200000;
	mov.f32 %y, 0f3FC00000;
	tex.2d.v4.f16.f32 {%h0, %h1, %h2, %h3}, [%t, {%x, %y}];
	st.global.v4.b16 [%o], {%h0, %h1, %h2, %h3};
	tex.2d.v2.f16x2.f32 {%r0, %r1}, [%t, {%x, %y}];
	st.global.v2.b32 [%o + 8], {%r0, %r1};
	ret;
}

.visible .entry query(.param .u64 tex, .param .u64 out)
{
	.reg .b64 %t, %o;
	.reg .b32 %r<12>;
	ld.param.u64 %t, [tex];
	ld.param.u64 %o, [out];
	txq.width.b32 %r0, [%t];
	txq.height.b32 %r1, [%t];
	txq.depth.b32 %r2, [%t];
	txq.channel_data_type.b32 %r3, [%t];
	txq.channel_order.b32 %r4, [%t];
	txq.normalized_coords.b32 %r5, [%t];
	txq.filter_mode.b32 %r6, [%t];
	txq.addr_mode_1.b32 %r7, [%t];
	txq.array_size.b32 %r8, [%t];
	txq.num_mipmap_levels.b32 %r9, [%t];
	txq.num_samples.b32 %r10, [%t];
	st.global.v4.b32 [%o], {%r0, %r1, %r2, %r3};
	st.global.v4.b32 [%o + 16], {%r4, %r5, %r6, %r7};
	st.global.v2.b32 [%o + 32], {%r8, %r9};
	st.global.b32 [%o + 40], %r10;
	ret;
}

.visible .entry kinds(.param .u64 handle, .param .u64 out)
{
	.reg .b64 %t, %o;
	.reg .pred %p<3>;
	.reg .b32 %r<3>;
	ld.param.u64 %t, [handle];
	ld.param.u64 %o, [out];
	istypep.texref %p0, %t;
	istypep.samplerref %p1, %t;
	istypep.surfref %p2, %t;
	selp.u32 %r0, 1, 0, %p0;
	selp.u32 %r1, 1, 0, %p1;
	selp.u32 %r2, 1, 0, %p2;
	st.global.v2.b32 [%o], {%r0, %r1};
	st.global.b32 [%o + 8], %r2;
	ret;
}

.visible .entry squery(.param .u64 surf, .param .u64 out)
{
	.reg .b64 %t, %o;
	.reg .b32 %r<2>;
	ld.param.u64 %t, [surf];
	ld.param.u64 %o, [out];
	suq.width.b32 %r0, [%t];
	suq.height.b32 %r1, [%t];
	st.global.v2.b32 [%o], {%r0, %r1};
	ret;
}

.visible .entry formatted(.param .u64 surf)
{
	.reg .b64 %t;
	.reg .b32 %x, %r<4>;
	ld.param.u64 %t, [surf];
	mov.u32 %x, %tid.x;
	mov.u32 %r0, 300;
	mov.u32 %r1, %tid.x;
	mov.u32 %r2, 2;
	mov.u32 %r3, 3;
	sust.p.2d.v4.b32.trap [%t, {%x, 1}], {%r0, %r1, %r2, %r3};
	ret;
}

.visible .entry reduce(.param .u64 surf)
{
	.reg .b64 %t;
	.reg .b32 %x, %one;
	ld.param.u64 %t, [surf];
	mov.u32 %x, %tid.x;
	and.b32 %x, %x, 3;
	mov.u32 %one, 1;
	sured.p.add.1d.u32.trap [%t, {%x}], %one;
	shl.b32 %x, %x, 2;
	add.u32 %x, %x, 16;
	mov.u32 %one, %tid.x;
	sured.b.max.1d.u32.trap [%t, {%x}], %one;
	add.u32 %x, %x, 400;
	sured.b.min.1d.s32.zero [%t, {%x}], %one;
	ret;
}

.visible .entry cube(.param .u64 tex, .param .u64 out)
{
	.reg .b64 %t, %o, %a;
	.reg .b32 %r;
	.reg .f32 %f<8>;
	ld.param.u64 %t, [tex];
	ld.param.u64 %o, [out];
	mov.u32 %r, %tid.x;
	cvt.rn.f32.u32 %f4, %r;
	mul.f32 %f4, %f4, 0f3C800000;
	add.f32 %f4, %f4, 0f3F000000;
	mov.f32 %f5, 0f3DCCCCCD;
	mov.f32 %f6, 0f3F800000;
	tex.cube.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%t, {%f4, %f5, %f6, %f6}];
	mul.wide.u32 %a, %r, 4;
	add.u64 %a, %a, %o;
	st.global.f32 [%a], %f0;
	ret;
}

.visible .entry wild(.param .u64 tex, .param .u64 out)
{
	.reg .b64 %t, %o;
	.reg .f32 %f;
	ld.param.u64 %t, [tex];
	tex.3d.v4.f32.f32 {%f, _, _, _}, [%t, {%f, %f, %f, %f}];
	ret;
}
)";

class Texture : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuModuleLoadData(&mod, texture_ptx));
		out = alloc(4096);
	}

	void TearDown() override
	{
		CU_IS(cuMemFree(out), CUDA_SUCCESS);
		CU_IS(cuModuleUnload(mod), CUDA_SUCCESS);
		Api::TearDown();
	}

	CUarray array(size_t w, size_t h, size_t d, unsigned flags, CUarray_format f, unsigned n)
	{
		CUDA_ARRAY3D_DESCRIPTOR desc = {};
		CUarray a = nullptr;

		desc.Width = w;
		desc.Height = h;
		desc.Depth = d;
		desc.Flags = flags;
		desc.Format = f;
		desc.NumChannels = n;
		EXPECT_EQ(cuArray3DCreate(&a, &desc), CUDA_SUCCESS);
		return a;
	}

	/* texel i counts up from 0, over all rows and slices. */
	CUarray counting(size_t w, size_t h, size_t d, unsigned flags = 0)
	{
		CUarray a = array(w, h, d, flags, CU_AD_FORMAT_FLOAT, 1);
		std::vector<float> v(w * (h ? h : 1) * (d ? d : 1));
		CUDA_MEMCPY3D c = {};

		for (size_t i = 0; i < v.size(); i++)
			v[i] = static_cast<float>(i);
		c.srcMemoryType = CU_MEMORYTYPE_HOST;
		c.srcHost = v.data();
		c.dstMemoryType = CU_MEMORYTYPE_ARRAY;
		c.dstArray = a;
		c.WidthInBytes = w * 4;
		c.Height = h ? h : 1;
		c.Depth = d ? d : 1;
		EXPECT_EQ(cuMemcpy3D(&c), CUDA_SUCCESS);
		return a;
	}

	static CUDA_RESOURCE_DESC of(CUarray a)
	{
		CUDA_RESOURCE_DESC r = {};

		r.resType = CU_RESOURCE_TYPE_ARRAY;
		r.res.array.hArray = a;
		return r;
	}

	CUtexObject texture(CUarray a, const CUDA_TEXTURE_DESC &d)
	{
		CUDA_RESOURCE_DESC r = of(a);
		CUtexObject t = 0;

		EXPECT_EQ(cuTexObjectCreate(&t, &r, &d, nullptr), CUDA_SUCCESS);
		return t;
	}

	CUsurfObject surface(CUarray a)
	{
		CUDA_RESOURCE_DESC r = of(a);
		CUsurfObject s = 0;

		EXPECT_EQ(cuSurfObjectCreate(&s, &r), CUDA_SUCCESS);
		return s;
	}

	CUresult run(const char *name, std::vector<void *> params, unsigned threads = 1)
	{
		CUfunction f;
		CUresult r = cuModuleGetFunction(&f, mod, name);

		EXPECT_EQ(r, CUDA_SUCCESS) << name;
		r = cuLaunchKernel(f, 1, 1, 1, threads, 1, 1, 0, nullptr, params.data(), nullptr);
		return r == CUDA_SUCCESS ? cuCtxSynchronize() : r;
	}

	template <typename T> std::vector<T> result(size_t n)
	{
		std::vector<T> v(n);

		EXPECT_EQ(cuMemcpyDtoH(v.data(), out, n * sizeof(T)), CUDA_SUCCESS);
		return v;
	}

	CUmodule mod;
	CUdeviceptr out;
};

TEST_F(Texture, ObjectsGiveBackWhatMadeThem)
{
	CUarray a = counting(8, 4, 0);
	CUDA_RESOURCE_DESC r = of(a), r2;
	CUDA_TEXTURE_DESC d = {}, d2;
	CUDA_RESOURCE_VIEW_DESC v = {}, v2;
	CUtexObject t, u;
	CUsurfObject s;

	d.filterMode = CU_TR_FILTER_MODE_LINEAR;
	d.borderColor[2] = 5;
	CU_OK(cuTexObjectCreate(&t, &r, &d, nullptr));
	CU_OK(cuTexObjectGetResourceDesc(&r2, t));
	EXPECT_EQ(r2.res.array.hArray, a);
	CU_OK(cuTexObjectGetTextureDesc(&d2, t));
	EXPECT_EQ(memcmp(&d, &d2, sizeof(d)), 0);
	CU_IS(cuTexObjectGetResourceViewDesc(&v2, t), CUDA_ERROR_INVALID_VALUE);
	v.format = CU_RES_VIEW_FORMAT_UINT_4X8;
	v.width = 8;
	v.height = 4;
	d.filterMode = CU_TR_FILTER_MODE_POINT;
	CU_OK(cuTexObjectCreate(&u, &r, &d, &v));
	CU_OK(cuTexObjectGetResourceViewDesc(&v2, u));
	EXPECT_EQ(v2.format, CU_RES_VIEW_FORMAT_UINT_4X8);
	CU_IS(cuSurfObjectGetResourceDesc(&r2, t), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuSurfObjectDestroy(t), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuTexObjectDestroy(t));
	CU_IS(cuTexObjectDestroy(t), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTexObjectGetTextureDesc(&d2, t), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTexObjectDestroy(0), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuTexObjectDestroy(u));
	CU_IS(cuSurfObjectCreate(&s, &r), CUDA_ERROR_INVALID_VALUE); /* not made for it */
	CU_OK(cuArrayDestroy(a));
	CU_IS(cuTexObjectCreate(&t, &r, &d, nullptr), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Texture, RefusedDescriptors)
{
	CUarray a = counting(8, 4, 0), ints = array(8, 4, 0, 0, CU_AD_FORMAT_SIGNED_INT32, 1);
	CUDA_RESOURCE_DESC good = of(a), r;
	CUDA_TEXTURE_DESC plain = {}, d;
	CUDA_RESOURCE_VIEW_DESC v = {};
	CUtexObject t;

	CU_IS(cuTexObjectCreate(nullptr, &good, &plain, nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTexObjectCreate(&t, nullptr, &plain, nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTexObjectCreate(&t, &good, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
	r = good;
	r.flags = 1;
	CU_IS(cuTexObjectCreate(&t, &r, &plain, nullptr), CUDA_ERROR_INVALID_VALUE);
	r = good;
	r.resType = static_cast<CUresourcetype>(9);
	CU_IS(cuTexObjectCreate(&t, &r, &plain, nullptr), CUDA_ERROR_INVALID_VALUE);
	d = plain;
	d.flags = 0x80;
	CU_IS(cuTexObjectCreate(&t, &good, &d, nullptr), CUDA_ERROR_INVALID_VALUE);
	d = plain;
	d.addressMode[1] = static_cast<CUaddress_mode>(4);
	CU_IS(cuTexObjectCreate(&t, &good, &d, nullptr), CUDA_ERROR_INVALID_VALUE);
	d = plain;
	d.filterMode = CU_TR_FILTER_MODE_LINEAR;
	r = of(ints); /* integers cannot be filtered */
	CU_IS(cuTexObjectCreate(&t, &r, &d, nullptr), CUDA_ERROR_INVALID_VALUE);
	v.format = CU_RES_VIEW_FORMAT_UINT_1X8; /* another size of texel */
	v.width = 8;
	v.height = 4;
	CU_IS(cuTexObjectCreate(&t, &good, &plain, &v), CUDA_ERROR_INVALID_VALUE);
	v.format = CU_RES_VIEW_FORMAT_UNSIGNED_BC1;
	CU_IS(cuTexObjectCreate(&t, &good, &plain, &v), CUDA_ERROR_NOT_SUPPORTED);
	v.format = CU_RES_VIEW_FORMAT_NONE;
	v.width = 7;
	CU_IS(cuTexObjectCreate(&t, &good, &plain, &v), CUDA_ERROR_INVALID_VALUE);
	v.width = 8;
	v.lastLayer = 1;
	CU_IS(cuTexObjectCreate(&t, &good, &plain, &v), CUDA_ERROR_INVALID_VALUE);
	v.lastLayer = 0;
	v.lastMipmapLevel = 1;
	CU_IS(cuTexObjectCreate(&t, &good, &plain, &v), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuArrayDestroy(a));
	CU_OK(cuArrayDestroy(ints));
}

TEST_F(Texture, RefusedMemory)
{
	CUDA_RESOURCE_DESC lin = {}, pitch = {}, r;
	CUDA_TEXTURE_DESC d = {};
	CUtexObject t;

	lin.resType = CU_RESOURCE_TYPE_LINEAR;
	lin.res.linear.devPtr = out;
	lin.res.linear.format = CU_AD_FORMAT_FLOAT;
	lin.res.linear.numChannels = 1;
	lin.res.linear.sizeInBytes = 4096;
	pitch.resType = CU_RESOURCE_TYPE_PITCH2D;
	pitch.res.pitch2D.devPtr = out;
	pitch.res.pitch2D.format = CU_AD_FORMAT_UNSIGNED_INT8;
	pitch.res.pitch2D.numChannels = 1;
	pitch.res.pitch2D.width = 64;
	pitch.res.pitch2D.height = 64;
	pitch.res.pitch2D.pitchInBytes = 64;
	CU_OK(cuTexObjectCreate(&t, &lin, &d, nullptr));
	CU_OK(cuTexObjectDestroy(t));
	CU_OK(cuTexObjectCreate(&t, &pitch, &d, nullptr));
	CU_OK(cuTexObjectDestroy(t));
	r = lin;
	r.res.linear.devPtr = out + 4;
	CU_IS(cuTexObjectCreate(&t, &r, &d, nullptr), CUDA_ERROR_INVALID_VALUE);
	r = lin;
	r.res.linear.sizeInBytes = 3;
	CU_IS(cuTexObjectCreate(&t, &r, &d, nullptr), CUDA_ERROR_INVALID_VALUE);
	r = lin;
	r.res.linear.sizeInBytes = 1 << 30;
	CU_IS(cuTexObjectCreate(&t, &r, &d, nullptr), CUDA_ERROR_INVALID_VALUE);
	r = lin;
	r.res.linear.numChannels = 3;
	CU_IS(cuTexObjectCreate(&t, &r, &d, nullptr), CUDA_ERROR_INVALID_VALUE);
	r = pitch;
	r.res.pitch2D.pitchInBytes = 80;
	CU_IS(cuTexObjectCreate(&t, &r, &d, nullptr), CUDA_ERROR_INVALID_VALUE);
	r = pitch;
	r.res.pitch2D.pitchInBytes = 32;
	CU_IS(cuTexObjectCreate(&t, &r, &d, nullptr), CUDA_ERROR_INVALID_VALUE);
	r = pitch;
	r.res.pitch2D.height = 65001;
	CU_IS(cuTexObjectCreate(&t, &r, &d, nullptr), CUDA_ERROR_INVALID_VALUE);
	r = pitch;
	r.res.pitch2D.width = 0;
	CU_IS(cuTexObjectCreate(&t, &r, &d, nullptr), CUDA_ERROR_INVALID_VALUE);
	CUDA_RESOURCE_VIEW_DESC v = {};

	CU_IS(cuTexObjectCreate(&t, &lin, &d, &v), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Texture, FetchWithResidency)
{
	CUarray a = counting(8, 0, 0);
	CUDA_TEXTURE_DESC d = {};
	float x = 2.25f;

	d.filterMode = CU_TR_FILTER_MODE_LINEAR;
	d.addressMode[0] = CU_TR_ADDRESS_MODE_CLAMP;
	CUtexObject t = texture(a, d);

	CU_OK(run("fetch", { &t, &x, &out }));
	auto v = result<float>(5);
	EXPECT_EQ(v[0], 1.75f);
	EXPECT_EQ(v[1], 0);
	EXPECT_EQ(v[3], 1);
	EXPECT_EQ(result<uint32_t>(5)[4], 1u);
	CU_OK(cuTexObjectDestroy(t));
	CU_OK(cuArrayDestroy(a));
}

TEST_F(Texture, NarrowIntegersAreNotMixed)
{
	CUarray a = array(8, 0, 0, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1);
	const uint8_t texels[8] = { 10, 20, 30, 40, 50, 60, 70, 80 };
	CUDA_TEXTURE_DESC d = {};
	float x = 2.75f; /* between two texels, nearer to the next */

	CU_OK(cuMemcpyHtoA(a, 0, texels, 8));
	d.filterMode = CU_TR_FILTER_MODE_LINEAR;
	d.flags = CU_TRSF_READ_AS_INTEGER;
	CUtexObject t = texture(a, d);

	CU_OK(run("integers", { &t, &x, &out }));
	EXPECT_EQ(result<uint32_t>(1)[0], 30u);
	CU_OK(cuTexObjectDestroy(t));
	CU_OK(cuArrayDestroy(a));
}

TEST_F(Texture, DestroyedWhileAKernelWaitsToReadIt)
{
	CUarray a = counting(8, 0, 0);
	CUtexObject t = texture(a, CUDA_TEXTURE_DESC{});
	float x = 5.5f;
	void *params[] = { &t, &x, &out };
	CUfunction f;

	CU_OK(cuModuleGetFunction(&f, mod, "late"));
	CU_OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr));
	CU_OK(cuTexObjectDestroy(t));
	CU_OK(cuCtxSynchronize());
	EXPECT_EQ(result<float>(1)[0], 5);
	CU_IS(cuTexObjectDestroy(t), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuArrayDestroy(a));
}

TEST_F(Texture, OffsetsBaseAndWholeCoordinates)
{
	CUarray a = counting(8, 4, 0);
	CUDA_TEXTURE_DESC d = {};

	d.addressMode[0] = d.addressMode[1] = CU_TR_ADDRESS_MODE_CLAMP;
	CUtexObject t = texture(a, d);

	CU_OK(run("offsets", { &t, &out }));
	auto v = result<float>(4);
	EXPECT_EQ(v[0], 2 * 8 + 1); /* (2, 1) + (-1, 1) */
	EXPECT_EQ(v[1], 0 * 8 + 3);
	EXPECT_EQ(v[2], 1 * 8 + 2);
	EXPECT_EQ(v[3], 1 * 8 + 2);
	CU_OK(run("halves", { &t, &out }));
	auto h = result<uint16_t>(8);
	EXPECT_EQ(h[0], 0x4900); /* 10 */
	EXPECT_EQ(h[1], 0);
	EXPECT_EQ(h[3], 0x3c00);
	EXPECT_TRUE(std::equal(h.begin(), h.begin() + 4, h.begin() + 4));
	CU_OK(cuTexObjectDestroy(t));
	CU_OK(cuArrayDestroy(a));
}

TEST_F(Texture, Queries)
{
	CUarray a = array(8, 4, 3, CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST,
			  CU_AD_FORMAT_UNSIGNED_INT16, 2);
	CUDA_TEXTURE_DESC d = {};

	d.flags = CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_READ_AS_INTEGER;
	d.addressMode[1] = CU_TR_ADDRESS_MODE_BORDER;
	CUtexObject t = texture(a, d);
	CUsurfObject s = surface(a);
	const uint32_t want[11] = { 8, 4, 1, 0x10db, 0x10b2, 1, 0, 4, 3, 1, 1 };

	CU_OK(run("query", { &t, &out }));
	auto v = result<uint32_t>(11);
	for (int i = 0; i < 11; i++)
		EXPECT_EQ(v[i], want[i]) << i;
	CU_OK(run("squery", { &s, &out }));
	v = result<uint32_t>(2);
	EXPECT_EQ(v[0], 8u);
	EXPECT_EQ(v[1], 4u);
	CU_OK(run("kinds", { &t, &out }));
	EXPECT_EQ(result<uint32_t>(3), (std::vector<uint32_t>{ 1, 0, 0 }));
	CU_OK(run("kinds", { &s, &out }));
	EXPECT_EQ(result<uint32_t>(3), (std::vector<uint32_t>{ 0, 0, 1 }));
	uint64_t none = 77;
	CU_OK(run("kinds", { &none, &out }));
	EXPECT_EQ(result<uint32_t>(3), (std::vector<uint32_t>{ 0, 0, 0 }));
	CU_OK(cuTexObjectDestroy(t));
	CU_OK(cuSurfObjectDestroy(s));
	CU_OK(cuArrayDestroy(a));
}

TEST_F(Texture, FormattedStoresAndReductions)
{
	CUarray a = array(32, 2, 0, CUDA_ARRAY3D_SURFACE_LDST, CU_AD_FORMAT_UNSIGNED_INT8, 4),
		b = array(8, 0, 0, CUDA_ARRAY3D_SURFACE_LDST, CU_AD_FORMAT_UNSIGNED_INT32, 1);
	CUsurfObject s = surface(a), sb = surface(b);
	std::vector<uint8_t> texels(128);
	std::vector<uint32_t> words(8);
	CUDA_MEMCPY2D c = {};

	CU_OK(run("formatted", { &s }, 32));
	c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
	c.srcArray = a;
	c.srcY = 1;
	c.dstMemoryType = CU_MEMORYTYPE_HOST;
	c.dstHost = texels.data();
	c.WidthInBytes = 128;
	c.Height = 1;
	CU_OK(cuMemcpy2D(&c));
	for (unsigned i = 0; i < 32; i++) {
		EXPECT_EQ(texels[4 * i], 255); /* 300 does not fit */
		EXPECT_EQ(texels[4 * i + 1], i);
		EXPECT_EQ(texels[4 * i + 3], 3);
	}
	CU_OK(cuMemcpyHtoA(b, 0, words.data(), 32));
	CU_OK(run("reduce", { &sb }, 128));
	CU_OK(cuMemcpyAtoH(words.data(), b, 0, 32));
	EXPECT_EQ(words, (std::vector<uint32_t>{ 32, 32, 32, 32, 124, 125, 126, 127 }));
	CU_OK(cuSurfObjectDestroy(s));
	CU_OK(cuSurfObjectDestroy(sb));
	CU_OK(cuArrayDestroy(a));
	CU_OK(cuArrayDestroy(b));
}

/* A filter that reaches over a cube's edge takes the next face, if it is told to. */
TEST_F(Texture, SeamlessCube)
{
	CUarray a = array(2, 2, 6, CUDA_ARRAY3D_CUBEMAP, CU_AD_FORMAT_FLOAT, 1);
	std::vector<float> v(24);
	CUDA_TEXTURE_DESC d = {};
	CUDA_MEMCPY3D c = {};

	for (size_t i = 0; i < 24; i++)
		v[i] = i / 4 == 4 ? 1.0f : 0; /* +z is 1, all others 0 */
	c.srcMemoryType = CU_MEMORYTYPE_HOST;
	c.srcHost = v.data();
	c.dstMemoryType = CU_MEMORYTYPE_ARRAY;
	c.dstArray = a;
	c.WidthInBytes = 8;
	c.Height = 2;
	c.Depth = 6;
	CU_OK(cuMemcpy3D(&c));
	d.filterMode = CU_TR_FILTER_MODE_LINEAR;
	d.flags = CU_TRSF_NORMALIZED_COORDINATES;
	for (bool seamless : { false, true }) {
		if (seamless)
			d.flags |= CU_TRSF_SEAMLESS_CUBEMAP;
		CUtexObject t = texture(a, d);

		CU_OK(run("cube", { &t, &out }, 32));
		auto got = result<float>(32);
		for (int i = 0; i < 32; i++) {
			/* s on +z: texel units from the left edge of two; beyond 1.5 the next
			 * face counts */
			float s = (0.5f + static_cast<float>(i) / 64 + 1) / 2 * 2;
			float w = std::floor((s - 1.5f) * 256 + 0.5f) / 256;

			EXPECT_EQ(got[i], seamless && w > 0 ? 1 - w : 1) << i;
		}
		CU_OK(cuTexObjectDestroy(t));
	}
	CU_OK(cuArrayDestroy(a));
}

TEST_F(Texture, GoWithTheirContext)
{
	CUDA_TEXTURE_DESC d = {}, d2;
	CUcontext other;
	CUtexObject t;

	CU_OK(cuCtxCreate(&other, nullptr, 0, dev));
	t = texture(counting(8, 4, 0), d);
	CU_OK(cuCtxDestroy(other));
	CU_OK(cuCtxSetCurrent(ctx));
	CU_IS(cuTexObjectGetTextureDesc(&d2, t), CUDA_ERROR_INVALID_VALUE);
}

/* In a context of their own: the fault stays. */
TEST_F(Texture, WrongUseFaults)
{
	CUDA_TEXTURE_DESC d = {};

	for (int k = 0; k < 3; k++) {
		CUcontext other;
		CUtexObject t;
		CUmodule m;
		CUfunction f;

		CU_OK(cuCtxCreate(&other, nullptr, 0, dev));
		CUarray a =
			k == 2 ? array(8, 4, 0, CUDA_ARRAY3D_SURFACE_LDST, CU_AD_FORMAT_FLOAT, 1)
			       : counting(2048, 1024, 0); /* units of its own */
		CU_OK(cuModuleLoadData(&m, texture_ptx));
		t = k == 2 ? surface(a) : texture(a, d);
		void *params[] = { &t, &out };
		/* A first launch, that takes what memory contexts take. */
		CU_OK(cuModuleGetFunction(&f, m, "kinds"));
		CU_OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr));
		CU_OK(cuCtxSynchronize());
		/* memory gone under it */
		CU_IS(k == 1 ? cuArrayDestroy(a) : CUDA_SUCCESS, CUDA_SUCCESS);
		CU_OK(cuModuleGetFunction(&f, m, k == 1 ? "offsets" : "wild"));
		CU_OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr));
		/* 3d of a 2D texture; freed memory; a surface as a texture. */
		EXPECT_EQ(cuCtxSynchronize(),
			  k ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_ERROR_ILLEGAL_INSTRUCTION)
			<< k;
		cuCtxDestroy(other);
		CU_OK(cuCtxSetCurrent(ctx));
	}
}

} // namespace

/* SPDX-License-Identifier: MIT */
/* Texture and surface references: what is bound at a launch is read, settings come back, what the manual refuses. */
#include "api/api_test.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace {

static const char reference_ptx[] = R"(
.version 6.5
.target sm_70
.address_size 64

.global .texref image;
.global .texref other;
.global .surfref canvas;
.global .u32 plain;

.visible .entry at(.param .f32 x, .param .f32 y, .param .u64 out)
{
	.reg .b64 %o;
	.reg .f32 %f<6>;
	ld.param.f32 %f4, [x];
	ld.param.f32 %f5, [y];
	ld.param.u64 %o, [out];
	tex.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [image, {%f4, %f5}];
	st.global.f32 [%o], %f0;
	ret;
}

.visible .entry linear(.param .u64 out)
{
	.reg .b64 %o, %a;
	.reg .b32 %x, %r<4>;
	mov.u32 %x, %tid.x;
	ld.param.u64 %o, [out];
	tex.1d.v4.s32.s32 {%r0, %r1, %r2, %r3}, [image, {%x}];
	mul.wide.u32 %a, %x, 4;
	add.u64 %a, %a, %o;
	st.global.u32 [%a], %r0;
	ret;
}

.visible .entry paint()
{
	.reg .b32 %x, %r;
	mov.u32 %r, %tid.x;
	shl.b32 %x, %r, 2;
	add.u32 %r, %r, 7;
	sust.b.1d.b32.trap [canvas, {%x}], {%r};
	ret;
}

.visible .entry nothing()
{
	ret;
}
)";

class References : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuModuleLoadData(&mod, reference_ptx));
		CU_OK(cuModuleGetTexRef(&image, mod, "image"));
		out = alloc(4096);
	}

	void TearDown() override
	{
		CU_IS(cuMemFree(out), CUDA_SUCCESS);
		CU_IS(cuModuleUnload(mod), CUDA_SUCCESS);
		Api::TearDown();
	}

	CUarray array(size_t w, size_t h, unsigned flags, float first)
	{
		CUDA_ARRAY3D_DESCRIPTOR desc = {};
		std::vector<float> v(w * (h ? h : 1));
		CUDA_MEMCPY2D c = {};
		CUarray a = nullptr;

		desc.Width = w;
		desc.Height = h;
		desc.Flags = flags;
		desc.Format = CU_AD_FORMAT_FLOAT;
		desc.NumChannels = 1;
		EXPECT_EQ(cuArray3DCreate(&a, &desc), CUDA_SUCCESS);
		for (size_t i = 0; i < v.size(); i++)
			v[i] = first + static_cast<float>(i);
		c.srcMemoryType = CU_MEMORYTYPE_HOST;
		c.srcHost = v.data();
		c.srcPitch = w * 4;
		c.dstMemoryType = CU_MEMORYTYPE_ARRAY;
		c.dstArray = a;
		c.WidthInBytes = w * 4;
		c.Height = h ? h : 1;
		EXPECT_EQ(cuMemcpy2D(&c), CUDA_SUCCESS);
		return a;
	}

	CUresult launch(const char *name, std::vector<void *> params, unsigned threads = 1)
	{
		CUfunction f;

		EXPECT_EQ(cuModuleGetFunction(&f, mod, name), CUDA_SUCCESS) << name;
		return cuLaunchKernel(f, 1, 1, 1, threads, 1, 1, 0, nullptr, params.data(),
				      nullptr);
	}

	float at(float x, float y)
	{
		float v = -1;

		EXPECT_EQ(launch("at", { &x, &y, &out }), CUDA_SUCCESS);
		EXPECT_EQ(cuMemcpyDtoH(&v, out, 4), CUDA_SUCCESS);
		return v;
	}

	CUmodule mod;
	CUtexref image;
	CUdeviceptr out;
};

TEST_F(References, WhatIsBoundAtTheLaunchIsRead)
{
	CUarray a = array(8, 4, 0, 0), b = array(8, 4, 0, 100);

	CU_OK(cuTexRefSetArray(image, a, CU_TRSA_OVERRIDE_FORMAT));
	EXPECT_EQ(at(3.5f, 2.5f), 19);
	CU_OK(cuTexRefSetArray(image, b, CU_TRSA_OVERRIDE_FORMAT));
	EXPECT_EQ(at(3.5f, 2.5f), 119);
	EXPECT_EQ(at(3.5f, 2.5f), 119);
	CU_OK(cuArrayDestroy(a));
	EXPECT_EQ(at(0.5f, 0.5f), 100);
	CU_OK(cuTexRefSetAddress_v2(nullptr, image, 0, 0));
	CU_OK(cuArrayDestroy(b));
}

/* In a stream of a context that has no other, while another context is current. */
TEST_F(References, AnotherContextIsCurrent)
{
	float x = 2.5f, y = 1.5f, v = 0;
	CUcontext own, was;
	CUdeviceptr there;
	CUstream s;
	CUtexref t;
	CUfunction f;
	CUmodule m;
	CUarray a;

	CU_OK(cuCtxGetCurrent(&was));
	CU_OK(cuCtxCreate(&own, nullptr, 0, dev));
	CU_OK(cuModuleLoadData(&m, reference_ptx));
	CU_OK(cuModuleGetTexRef(&t, m, "image"));
	CU_OK(cuModuleGetFunction(&f, m, "at"));
	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	a = array(8, 4, 0, 50);
	there = alloc(4);
	CU_OK(cuTexRefSetArray(t, a, CU_TRSA_OVERRIDE_FORMAT));
	CU_OK(cuCtxSetCurrent(was));

	void *params[] = { &x, &y, &there };

	CU_OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, params, nullptr));
	CU_OK(cuStreamSynchronize(s));
	CU_OK(cuMemcpyDtoH(&v, there, 4));
	EXPECT_EQ(v, 60);
	CU_OK(cuCtxDestroy(own));
	CU_OK(cuCtxSetCurrent(was));
}

TEST_F(References, EarlierKernelsReadWhatWasBoundThen)
{
	CUarray a = array(8, 4, 0, 0), b = array(8, 4, 0, 100);
	float x = 1.5f, y = 0.5f, v[2];
	CUdeviceptr second = out + 4;

	for (int i = 0; i < 20; i++) {
		CU_OK(cuTexRefSetArray(image, a, CU_TRSA_OVERRIDE_FORMAT));
		CU_OK(launch("at", { &x, &y, &out }));
		CU_OK(cuTexRefSetArray(image, b, CU_TRSA_OVERRIDE_FORMAT));
		CU_OK(launch("at", { &x, &y, &second }));
		CU_OK(cuMemcpyDtoH(v, out, 8));
		ASSERT_EQ(v[0], 1);
		ASSERT_EQ(v[1], 101);
	}
	CU_OK(cuArrayDestroy(a));
	CU_OK(cuArrayDestroy(b));
}

TEST_F(References, SettingsHold)
{
	CUarray a = array(8, 4, 0, 0);
	float border[4] = { 42, 0, 0, 0 };

	CU_OK(cuTexRefSetArray(image, a, CU_TRSA_OVERRIDE_FORMAT));
	EXPECT_EQ(at(-3, 0.5f), 0); /* clamped */
	CU_OK(cuTexRefSetAddressMode(image, 0, CU_TR_ADDRESS_MODE_BORDER));
	CU_OK(cuTexRefSetAddressMode(image, 1, CU_TR_ADDRESS_MODE_BORDER));
	CU_OK(cuTexRefSetBorderColor(image, border));
	EXPECT_EQ(at(-3, 0.5f), 42);
	CU_OK(cuTexRefSetFilterMode(image, CU_TR_FILTER_MODE_LINEAR));
	EXPECT_EQ(at(2, 0.5f), 1.5f); /* between texels 1 and 2 */
	CU_OK(cuTexRefSetFlags(image, CU_TRSF_NORMALIZED_COORDINATES));
	EXPECT_EQ(at(0.25f, 0.125f), 1.5f);
	CU_OK(cuArrayDestroy(a));
}

TEST_F(References, Memory)
{
	CUdeviceptr p = alloc(8192), base = 0;
	CUDA_ARRAY_DESCRIPTOR desc = {};
	std::vector<int> v(1024);
	size_t offset = 99;
	int got[4];

	for (int i = 0; i < 1024; i++)
		v[static_cast<size_t>(i)] = 1000 + i;
	CU_OK(cuMemcpyHtoD(p, v.data(), 4096));
	CU_OK(cuTexRefSetFormat(image, CU_AD_FORMAT_SIGNED_INT32, 1));
	CU_OK(cuTexRefSetAddress(&offset, image, p, 4096));
	EXPECT_EQ(offset, 0u);
	CU_OK(launch("linear", { &out }, 4));
	CU_OK(cuMemcpyDtoH(got, out, sizeof(got)));
	EXPECT_EQ(got[3], 1003);

	/* Not aligned: the offset is the caller's to add. */
	CU_IS(cuTexRefSetAddress(nullptr, image, p + 64, 64), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuTexRefSetAddress(&offset, image, p + 512 + 64, 64));
	EXPECT_EQ(offset, 64u);
	CU_OK(cuTexRefGetAddress(&base, image));
	EXPECT_EQ(base, p + 512);
	CU_OK(launch("linear", { &out }, 4));
	CU_OK(cuMemcpyDtoH(got, out, sizeof(got)));
	EXPECT_EQ(got[2], 1000 + 512 / 4 + 2);

	desc.Width = 16;
	desc.Height = 8;
	desc.Format = CU_AD_FORMAT_FLOAT;
	desc.NumChannels = 1;
	CU_OK(cuMemsetD32(p, 0x40a00000, 512)); /* 5.0 */
	CU_OK(cuTexRefSetAddress2D(image, &desc, p, 512));
	EXPECT_EQ(at(3.5f, 2.5f), 5);
	CU_IS(cuTexRefSetAddress2D(image, &desc, p + 4, 512), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTexRefSetAddress2D(image, &desc, p, 511), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(at(3.5f, 2.5f), 5);
	CU_OK(cuMemFree(p));
}

TEST_F(References, Surface)
{
	CUarray a = array(16, 0, CUDA_ARRAY3D_SURFACE_LDST, 0), no = array(16, 0, 0, 0),
		b = nullptr;
	std::vector<uint32_t> v(16);
	CUsurfref canvas;

	CU_OK(cuModuleGetSurfRef(&canvas, mod, "canvas"));
	CU_IS(cuSurfRefGetArray(&b, canvas), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuSurfRefSetArray(canvas, no, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuSurfRefSetArray(canvas, a, 1), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuSurfRefSetArray(canvas, a, 0));
	CU_OK(cuSurfRefGetArray(&b, canvas));
	EXPECT_EQ(a, b);
	CU_OK(launch("paint", {}, 16));
	CU_OK(cuMemcpyAtoH(v.data(), a, 0, 64));
	for (uint32_t i = 0; i < 16; i++)
		EXPECT_EQ(v[i], i + 7);
	CU_OK(cuArrayDestroy(a));
	CU_OK(cuArrayDestroy(no));
}

TEST_F(References, WhatWasSetComesBack)
{
	float border[4] = { 1, 2, 3, 4 }, back[4], low, high, bias;
	CUmipmappedArray mip = nullptr, mip2 = nullptr;
	CUDA_ARRAY3D_DESCRIPTOR desc = {};
	CUarray a = array(8, 4, 0, 0), b = nullptr;
	CUaddress_mode mode;
	CUfilter_mode filter;
	CUarray_format format;
	CUtexref again, mine;
	CUdeviceptr p;
	unsigned flags;
	int n;

	CU_OK(cuModuleGetTexRef(&again, mod, "image"));
	EXPECT_EQ(again, image);
	CU_OK(cuTexRefCreate(&mine));
	for (CUtexref t : { image, mine }) {
		CU_IS(cuTexRefGetArray(&b, t), CUDA_ERROR_INVALID_VALUE);
		CU_IS(cuTexRefGetAddress(&p, t), CUDA_ERROR_INVALID_VALUE);
		CU_OK(cuTexRefSetArray(t, a, CU_TRSA_OVERRIDE_FORMAT));
		CU_OK(cuTexRefGetArray(&b, t));
		EXPECT_EQ(a, b);
		CU_OK(cuTexRefGetFormat(&format, &n, t));
		EXPECT_EQ(format, CU_AD_FORMAT_FLOAT);
		EXPECT_EQ(n, 1);
		CU_OK(cuTexRefSetAddressMode(t, 2, CU_TR_ADDRESS_MODE_MIRROR));
		CU_OK(cuTexRefGetAddressMode(&mode, t, 2));
		EXPECT_EQ(mode, CU_TR_ADDRESS_MODE_MIRROR);
		CU_OK(cuTexRefSetFilterMode(t, CU_TR_FILTER_MODE_LINEAR));
		CU_OK(cuTexRefGetFilterMode(&filter, t));
		EXPECT_EQ(filter, CU_TR_FILTER_MODE_LINEAR);
		CU_OK(cuTexRefSetMipmapFilterMode(t, CU_TR_FILTER_MODE_LINEAR));
		CU_OK(cuTexRefGetMipmapFilterMode(&filter, t));
		EXPECT_EQ(filter, CU_TR_FILTER_MODE_LINEAR);
		CU_OK(cuTexRefSetMipmapLevelBias(t, 0.5f));
		CU_OK(cuTexRefGetMipmapLevelBias(&bias, t));
		EXPECT_EQ(bias, 0.5f);
		CU_OK(cuTexRefSetMipmapLevelClamp(t, 1, 3));
		CU_OK(cuTexRefGetMipmapLevelClamp(&low, &high, t));
		EXPECT_EQ(low, 1);
		EXPECT_EQ(high, 3);
		CU_OK(cuTexRefSetMaxAnisotropy(t, 8));
		CU_OK(cuTexRefGetMaxAnisotropy(&n, t));
		EXPECT_EQ(n, 8);
		CU_OK(cuTexRefSetBorderColor(t, border));
		CU_OK(cuTexRefGetBorderColor(back, t));
		EXPECT_EQ(back[3], 4);
		CU_OK(cuTexRefSetFlags(t, CU_TRSF_READ_AS_INTEGER));
		CU_OK(cuTexRefGetFlags(&flags, t));
		EXPECT_EQ(flags, static_cast<unsigned>(CU_TRSF_READ_AS_INTEGER));
	}
	desc.Width = desc.Height = 8;
	desc.Format = CU_AD_FORMAT_UNSIGNED_INT8;
	desc.NumChannels = 4;
	CU_OK(cuMipmappedArrayCreate(&mip, &desc, 3));
	CU_OK(cuTexRefSetMipmappedArray(image, mip, CU_TRSA_OVERRIDE_FORMAT));
	CU_OK(cuTexRefGetMipmappedArray(&mip2, image));
	EXPECT_EQ(mip, mip2);
	CU_IS(cuTexRefGetArray(&b, image), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuTexRefGetFormat(&format, &n, image));
	EXPECT_EQ(format, CU_AD_FORMAT_UNSIGNED_INT8);
	EXPECT_EQ(n, 4);
	CU_OK(cuMipmappedArrayDestroy(mip));
	CU_OK(cuTexRefDestroy(mine));
	CU_OK(cuArrayDestroy(a));
}

TEST_F(References, WrongCalls)
{
	CUarray a = array(8, 4, 0, 0);
	CUtexref t, mine;
	CUsurfref s;
	CUfunction f;
	unsigned flags;

	CU_IS(cuModuleGetTexRef(&t, mod, "canvas"), CUDA_ERROR_NOT_FOUND);
	CU_IS(cuModuleGetTexRef(&t, mod, "plain"), CUDA_ERROR_NOT_FOUND);
	CU_IS(cuModuleGetTexRef(&t, mod, "absent"), CUDA_ERROR_NOT_FOUND);
	CU_IS(cuModuleGetTexRef(nullptr, mod, "image"), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuModuleGetSurfRef(&s, mod, "image"), CUDA_ERROR_NOT_FOUND);
	CU_IS(cuTexRefDestroy(image), CUDA_ERROR_INVALID_VALUE); /* the module's */
	CU_IS(cuTexRefSetArray(image, a, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTexRefSetArray(image, nullptr, CU_TRSA_OVERRIDE_FORMAT), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuTexRefSetArray(reinterpret_cast<CUtexref>(mod), a, CU_TRSA_OVERRIDE_FORMAT),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTexRefSetAddressMode(image, 3, CU_TR_ADDRESS_MODE_CLAMP), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTexRefSetFlags(image, 0x8000), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTexRefSetFormat(image, CU_AD_FORMAT_FLOAT, 3), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTexRefSetAddress(nullptr, image, 0x1000, 4096), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuModuleGetFunction(&f, mod, "at"));
	CU_OK(cuParamSetTexRef(f, CU_PARAM_TR_DEFAULT, image));
	CU_IS(cuParamSetTexRef(f, 0, image), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuTexRefCreate(&mine));
	CU_IS(cuParamSetTexRef(f, CU_PARAM_TR_DEFAULT, mine), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuTexRefDestroy(mine));
	CU_IS(cuTexRefGetFlags(&flags, mine), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuArrayDestroy(a));
}

/* An array that is gone hurts nobody who does not read it. */
TEST_F(References, GoneAndNotRead)
{
	CUarray a = array(8, 4, 0, 0);

	CU_OK(cuTexRefSetArray(image, a, CU_TRSA_OVERRIDE_FORMAT));
	CU_OK(cuArrayDestroy(a));
	CU_OK(launch("nothing", {}));
	CU_OK(cuCtxSynchronize());
}

/* Reading through one to which nothing is bound is the kernel's fault. */
TEST_F(References, NothingBound)
{
	CUcontext own, was;
	CUmodule m;
	CUfunction f;
	float x = 0;
	void *params[] = { &x, &x, &out };

	CU_OK(cuCtxGetCurrent(&was));
	CU_OK(cuCtxCreate(&own, nullptr, 0, dev));
	CU_OK(cuModuleLoadData(&m, reference_ptx));
	CU_OK(cuModuleGetFunction(&f, m, "at"));
	CU_OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr));
	CU_IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	cuCtxDestroy(own);
	CU_OK(cuCtxSetCurrent(was));
}

} // namespace

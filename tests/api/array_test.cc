/* SPDX-License-Identifier: MIT */
/* CUDA arrays: what may be made, what they say of themselves, copies in all directions. */
#include "api/api_test.h"

namespace {

CUDA_ARRAY3D_DESCRIPTOR shape(size_t w, size_t h, size_t d, unsigned flags = 0,
			      CUarray_format format = CU_AD_FORMAT_UNSIGNED_INT8,
			      unsigned channels = 4)
{
	CUDA_ARRAY3D_DESCRIPTOR r = {};

	r.Width = w;
	r.Height = h;
	r.Depth = d;
	r.Flags = flags;
	r.Format = format;
	r.NumChannels = channels;
	return r;
}

class Array : public Api {
protected:
	CUarray make(const CUDA_ARRAY3D_DESCRIPTOR &d)
	{
		CUarray a = nullptr;

		EXPECT_EQ(cuArray3DCreate(&a, &d), CUDA_SUCCESS);
		return a;
	}

	/* The box at x, y, z of an array of 4-byte texels, to or from packed host memory. */
	static CUDA_MEMCPY3D box(size_t w, size_t h, size_t d)
	{
		CUDA_MEMCPY3D c = {};

		c.WidthInBytes = w;
		c.Height = h;
		c.Depth = d;
		return c;
	}
};

TEST_F(Array, Descriptors)
{
	CUDA_ARRAY_DESCRIPTOR d2 = {}, got2;
	CUDA_ARRAY3D_DESCRIPTOR got3;
	CUarray a;

	d2.Width = 17;
	d2.Height = 5;
	d2.Format = CU_AD_FORMAT_HALF;
	d2.NumChannels = 2;
	CU_OK(cuArrayCreate(&a, &d2));
	CU_OK(cuArrayGetDescriptor(&got2, a));
	EXPECT_EQ(got2.Width, 17u);
	EXPECT_EQ(got2.Height, 5u);
	EXPECT_EQ(got2.Format, CU_AD_FORMAT_HALF);
	EXPECT_EQ(got2.NumChannels, 2u);
	CU_OK(cuArray3DGetDescriptor(&got3, a));
	EXPECT_EQ(got3.Depth, 0u);
	EXPECT_EQ(got3.Flags, 0u);
	CU_OK(cuArrayDestroy(a));
	CU_IS(cuArrayGetDescriptor(&got2, a), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuArrayDestroy(a), CUDA_ERROR_INVALID_HANDLE);

	a = make(shape(8, 8, 12,
		       CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST));
	CU_OK(cuArray3DGetDescriptor(&got3, a));
	EXPECT_EQ(got3.Depth, 12u);
	EXPECT_EQ(got3.Flags, static_cast<unsigned>(CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_LAYERED |
						    CUDA_ARRAY3D_SURFACE_LDST));
	CU_OK(cuArrayDestroy(a));
}

TEST_F(Array, EveryFormat)
{
	for (unsigned f : { 1, 2, 3, 8, 9, 10, 0x10, 0x20 })
		for (unsigned n : { 1, 2, 4 })
			CU_OK(cuArrayDestroy(
				make(shape(16, 3, 0, 0, static_cast<CUarray_format>(f), n))));
	for (unsigned f = 0; f < 12; f++) {
		static const unsigned channels[] = { 1, 2, 4 };

		CU_OK(cuArrayDestroy(make(shape(16, 3, 0, 0, static_cast<CUarray_format>(0xc0 + f),
						channels[f % 3]))));
	}
}

TEST_F(Array, Refused)
{
	const struct {
		CUDA_ARRAY3D_DESCRIPTOR d;
		CUresult code;
	} cases[] = {
		{ shape(0, 0, 0), CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 0, 8), CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 8, 6, CUDA_ARRAY3D_CUBEMAP | 0x8000), CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 4, 6, CUDA_ARRAY3D_CUBEMAP), CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 8, 12, CUDA_ARRAY3D_CUBEMAP), CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 8, 7, CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_LAYERED),
		  CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 8, 0, CUDA_ARRAY3D_LAYERED), CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 0, 0, CUDA_ARRAY3D_TEXTURE_GATHER), CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 8, 4, CUDA_ARRAY3D_TEXTURE_GATHER), CUDA_ERROR_INVALID_VALUE },
		{ shape(131073, 0, 0), CUDA_ERROR_INVALID_VALUE },
		{ shape(16385, 4, 4), CUDA_ERROR_INVALID_VALUE },
		{ shape(4, 4, 2049, CUDA_ARRAY3D_LAYERED), CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 8, 0, 0, CU_AD_FORMAT_UNSIGNED_INT8, 3), CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 8, 0, 0, static_cast<CUarray_format>(0x7f)), CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 8, 0, 0, CU_AD_FORMAT_UNORM_INT8X4, 2), CUDA_ERROR_INVALID_VALUE },
		{ shape(8, 8, 0, 0, CU_AD_FORMAT_BC1_UNORM), CUDA_ERROR_NOT_SUPPORTED },
		{ shape(8, 8, 0, 0, CU_AD_FORMAT_NV12, 1), CUDA_ERROR_NOT_SUPPORTED },
		{ shape(8, 8, 0, CUDA_ARRAY3D_SPARSE), CUDA_ERROR_NOT_SUPPORTED },
		{ shape(8, 8, 0, CUDA_ARRAY3D_DEFERRED_MAPPING), CUDA_ERROR_NOT_SUPPORTED },
	};
	CUarray a = nullptr;

	for (size_t i = 0; i < std::size(cases); i++) {
		EXPECT_EQ(cuArray3DCreate(&a, &cases[i].d), cases[i].code) << "case " << i;
		EXPECT_EQ(a, nullptr);
	}
	CU_IS(cuArray3DCreate(nullptr, &cases[0].d), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuArray3DCreate(&a, nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuArrayDestroy(nullptr), CUDA_ERROR_INVALID_HANDLE);
}

/* At the greatest sizes the attributes tell. */
TEST_F(Array, Widest)
{
	CU_OK(cuArrayDestroy(make(shape(131072, 0, 0))));
	CU_OK(cuArrayDestroy(make(shape(4, 4, 2048, CUDA_ARRAY3D_LAYERED))));
	CU_OK(cuArrayDestroy(make(shape(16384, 2, 2))));
	CU_OK(cuArrayDestroy(make(shape(2, 2, 32768))));
}

TEST_F(Array, AnswersOfPlainArrays)
{
	CUDA_ARRAY_MEMORY_REQUIREMENTS mem;
	CUDA_ARRAY_SPARSE_PROPERTIES sparse;
	CUarray a = make(shape(8, 8, 0)), plane;

	CU_IS(cuArrayGetMemoryRequirements(&mem, a, dev), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuArrayGetMemoryRequirements(&mem, a, 99), CUDA_ERROR_INVALID_DEVICE);
	CU_IS(cuArrayGetSparseProperties(&sparse, a), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuArrayGetPlane(&plane, a, 0), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuArrayDestroy(a));
}

TEST_F(Array, Copies1D)
{
	auto data = pattern(400);
	std::vector<uint8_t> back(400), part(40);
	CUarray a = make(shape(100, 0, 0)), b = make(shape(100, 0, 0)), c = make(shape(10, 2, 0));
	CUdeviceptr p = alloc(400);

	CU_OK(cuMemcpyHtoA(a, 0, data.data(), 400));
	CU_OK(cuMemcpyAtoA(b, 0, a, 0, 400));
	CU_OK(cuMemcpyAtoD(p, b, 0, 400));
	CU_OK(cuMemcpyDtoA(b, 200, p, 200));
	CU_OK(cuMemcpyAtoH(back.data(), b, 200, 200));
	EXPECT_TRUE(std::equal(back.begin(), back.begin() + 200, data.begin()));
	CU_OK(cuMemcpyAtoHAsync(part.data(), a, 40, 40, nullptr));
	CU_OK(cuStreamSynchronize(nullptr));
	EXPECT_TRUE(std::equal(part.begin(), part.end(), data.begin() + 40));
	CU_OK(cuMemcpyHtoAAsync(a, 360, part.data(), 40, nullptr));
	CU_OK(cuMemcpyAtoH(back.data(), a, 0, 400));
	EXPECT_TRUE(std::equal(part.begin(), part.end(), back.begin() + 360));

	CU_IS(cuMemcpyHtoA(a, 4, data.data(), 400), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyHtoA(a, 1, data.data(), 4), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyHtoA(a, 0, data.data(), 3), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyHtoA(c, 0, data.data(), 4), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyHtoA(reinterpret_cast<CUarray>(ctx), 0, data.data(), 4),
	      CUDA_ERROR_INVALID_HANDLE);
	for (CUarray x : { a, b, c })
		CU_OK(cuArrayDestroy(x));
	CU_IS(cuMemcpyHtoA(a, 0, data.data(), 4), CUDA_ERROR_INVALID_HANDLE);
	CU_OK(cuMemFree(p));
}

TEST_F(Array, Copies2D)
{
	auto data = pattern(37 * 4 * 11);
	std::vector<uint8_t> back(37 * 4 * 11);
	CUarray a = make(shape(37, 11, 0));
	CUDA_MEMCPY2D c = {};

	c.srcMemoryType = CU_MEMORYTYPE_HOST;
	c.srcHost = data.data();
	c.srcPitch = 37 * 4;
	c.dstMemoryType = CU_MEMORYTYPE_ARRAY;
	c.dstArray = a;
	c.WidthInBytes = 37 * 4;
	c.Height = 11;
	CU_OK(cuMemcpy2D(&c));

	/* A window of it: 9 texels from x 5, 3 rows from y 7. */
	CUDA_MEMCPY2D w = {};

	w.srcMemoryType = CU_MEMORYTYPE_ARRAY;
	w.srcArray = a;
	w.srcXInBytes = 20;
	w.srcY = 7;
	w.dstMemoryType = CU_MEMORYTYPE_HOST;
	w.dstHost = back.data();
	w.dstPitch = 36;
	w.WidthInBytes = 36;
	w.Height = 3;
	CU_OK(cuMemcpy2DUnaligned(&w));
	for (size_t y = 0; y < 3; y++)
		for (size_t x = 0; x < 36; x++)
			ASSERT_EQ(back[y * 36 + x], data[(y + 7) * 148 + x + 20]) << x << "," << y;
	w.Height = 5; /* one row too many */
	CU_IS(cuMemcpy2D(&w), CUDA_ERROR_INVALID_VALUE);
	w.Height = 3;
	w.srcXInBytes = 116;
	CU_IS(cuMemcpy2D(&w), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuArrayDestroy(a));
}

TEST_F(Array, Copies3DAndLayers)
{
	for (unsigned flags : { 0u, static_cast<unsigned>(CUDA_ARRAY3D_LAYERED),
				static_cast<unsigned>(CUDA_ARRAY3D_CUBEMAP) }) {
		CUarray a = make(shape(9, 9, 6, flags)), b = make(shape(9, 9, 6, flags));
		auto data = pattern(9 * 4 * 9 * 6, flags);
		std::vector<uint8_t> back(data.size());
		CUDA_MEMCPY3D c = box(36, 9, 6);

		c.srcMemoryType = CU_MEMORYTYPE_HOST;
		c.srcHost = data.data();
		c.dstMemoryType = CU_MEMORYTYPE_ARRAY;
		c.dstArray = a;
		CU_OK(cuMemcpy3D(&c));
		c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
		c.srcArray = a;
		c.dstArray = b;
		CU_OK(cuMemcpy3DAsync(&c, nullptr));
		c.srcArray = b;
		c.dstMemoryType = CU_MEMORYTYPE_HOST;
		c.dstHost = back.data();
		CU_OK(cuMemcpy3D(&c));
		EXPECT_EQ(back, data) << flags;
		c.srcZ = 1;
		CU_IS(cuMemcpy3D(&c), CUDA_ERROR_INVALID_VALUE);
		CU_OK(cuArrayDestroy(a));
		CU_OK(cuArrayDestroy(b));
	}
}

TEST_F(Array, Layers1D)
{
	CUarray a = make(shape(8, 0, 3, CUDA_ARRAY3D_LAYERED));
	auto data = pattern(32);
	std::vector<uint8_t> back(32);
	CUDA_MEMCPY3D c = box(32, 1, 1);

	c.srcMemoryType = CU_MEMORYTYPE_HOST;
	c.srcHost = data.data();
	c.dstMemoryType = CU_MEMORYTYPE_ARRAY;
	c.dstArray = a;
	c.dstZ = 2;
	CU_OK(cuMemcpy3D(&c));
	c = box(32, 1, 1);
	c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
	c.srcArray = a;
	c.srcZ = 2;
	c.dstMemoryType = CU_MEMORYTYPE_HOST;
	c.dstHost = back.data();
	CU_OK(cuMemcpy3D(&c));
	EXPECT_EQ(back, data);
	CU_OK(cuArrayDestroy(a));
}

TEST_F(Array, InAGraph)
{
	CUarray a = make(shape(16, 16, 0));
	auto data = pattern(1024);
	std::vector<uint8_t> back(1024);
	CUDA_MEMCPY3D in = box(64, 16, 1), out = box(64, 16, 1);
	CUgraphExec exec;
	CUgraph graph;
	CUstream s;

	in.srcMemoryType = CU_MEMORYTYPE_HOST;
	in.srcHost = data.data();
	in.dstMemoryType = CU_MEMORYTYPE_ARRAY;
	in.dstArray = a;
	out.srcMemoryType = CU_MEMORYTYPE_ARRAY;
	out.srcArray = a;
	out.dstMemoryType = CU_MEMORYTYPE_HOST;
	out.dstHost = back.data();
	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU_OK(cuMemcpy3DAsync(&in, s));
	CU_OK(cuMemcpy3DAsync(&out, s));
	CU_OK(cuStreamEndCapture(s, &graph));
	CU_OK(cuGraphInstantiate(&exec, graph, 0));
	CU_OK(cuGraphLaunch(exec, s));
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(back, data);
	CU_OK(cuGraphExecDestroy(exec));
	CU_OK(cuGraphDestroy(graph));
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuArrayDestroy(a));
}

TEST_F(Array, Mipmapped)
{
	CUDA_ARRAY3D_DESCRIPTOR d = shape(20, 10, 0), got;
	CUmipmappedArray m;
	CUarray level, again;

	CU_OK(cuMipmappedArrayCreate(&m, &d, 99));
	const struct {
		size_t w, h;
	} sizes[] = { { 20, 10 }, { 10, 5 }, { 5, 2 }, { 2, 1 }, { 1, 1 } };

	for (unsigned i = 0; i < 5; i++) {
		CU_OK(cuMipmappedArrayGetLevel(&level, m, i));
		CU_OK(cuArray3DGetDescriptor(&got, level));
		EXPECT_EQ(got.Width, sizes[i].w);
		EXPECT_EQ(got.Height, sizes[i].h);
		CU_IS(cuArrayDestroy(level), CUDA_ERROR_INVALID_HANDLE);
	}
	CU_IS(cuMipmappedArrayGetLevel(&level, m, 5), CUDA_ERROR_INVALID_VALUE);

	/* What goes into one level stays out of the others. */
	for (unsigned i = 0; i < 5; i++) {
		auto data = pattern(sizes[i].w * 4 * sizes[i].h, i);
		CUDA_MEMCPY3D c = box(sizes[i].w * 4, sizes[i].h, 1);

		CU_OK(cuMipmappedArrayGetLevel(&level, m, i));
		c.srcMemoryType = CU_MEMORYTYPE_HOST;
		c.srcHost = data.data();
		c.dstMemoryType = CU_MEMORYTYPE_ARRAY;
		c.dstArray = level;
		CU_OK(cuMemcpy3D(&c));
	}
	for (unsigned i = 0; i < 5; i++) {
		auto data = pattern(sizes[i].w * 4 * sizes[i].h, i);
		std::vector<uint8_t> back(data.size());
		CUDA_MEMCPY3D c = box(sizes[i].w * 4, sizes[i].h, 1);

		CU_OK(cuMipmappedArrayGetLevel(&level, m, i));
		c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
		c.srcArray = level;
		c.dstMemoryType = CU_MEMORYTYPE_HOST;
		c.dstHost = back.data();
		CU_OK(cuMemcpy3D(&c));
		EXPECT_EQ(back, data) << "level " << i;
	}
	CU_OK(cuMipmappedArrayGetLevel(&again, m, 4));
	EXPECT_EQ(level, again);
	CU_OK(cuMipmappedArrayDestroy(m));
	CU_IS(cuArray3DGetDescriptor(&got, level), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuMipmappedArrayDestroy(m), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuMipmappedArrayCreate(&m, &d, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Array, GoesWithItsContext)
{
	CUDA_ARRAY3D_DESCRIPTOR d = shape(20, 10, 0), got;
	CUmipmappedArray m;
	CUcontext other;
	CUarray a, level;

	CU_OK(cuCtxCreate(&other, nullptr, 0, dev));
	a = make(d);
	CU_OK(cuMipmappedArrayCreate(&m, &d, 2));
	CU_OK(cuMipmappedArrayGetLevel(&level, m, 1));
	CU_OK(cuCtxDestroy(other));
	CU_OK(cuCtxSetCurrent(ctx));
	CU_IS(cuArray3DGetDescriptor(&got, a), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuArray3DGetDescriptor(&got, level), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Array, MemoryComesBack)
{
	CUDA_ARRAY3D_DESCRIPTOR d = shape(8192, 8192, 0);
	size_t before, during, after, total;
	CUmipmappedArray m;

	CU_OK(cuMemGetInfo(&before, &total));
	CU_OK(cuMipmappedArrayCreate(&m, &d, 4));
	CU_OK(cuMemGetInfo(&during, &total));
	EXPECT_GE(before - during, 8192u * 8192 * 4);
	CU_OK(cuMipmappedArrayDestroy(m));
	CU_OK(cuMemGetInfo(&after, &total));
	EXPECT_EQ(after, before);
}

} // namespace

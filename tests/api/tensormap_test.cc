/* SPDX-License-Identifier: MIT */
/* Descriptions of tensors: what the manual allows, each refused input, what is not built. */
#include "api/api_test.h"

namespace {

class TensorMap : public Api {
protected:
	CUtensorMapDataType type = CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
	cuuint32_t rank = 4;
	void *address = (void *)0x700000000100;
	cuuint64_t dims[5] = { 64, 30, 20, 10, 5 }, strides[4] = { 256, 7680, 153600, 1536000 };
	cuuint32_t box[5] = { 8, 4, 4, 2, 1 }, steps[5] = { 1, 1, 1, 1, 1 };
	int lower[3] = { -1, -1, -1 }, upper[3] = { 0, 0, 0 };
	cuuint32_t channels = 8, pixels = 64;
	CUtensorMapInterleave interleave = CU_TENSOR_MAP_INTERLEAVE_NONE;
	CUtensorMapSwizzle swizzle = CU_TENSOR_MAP_SWIZZLE_NONE;
	CUtensorMapL2promotion l2 = CU_TENSOR_MAP_L2_PROMOTION_NONE;
	CUtensorMapFloatOOBfill fill = CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE;
	CUtensorMap map = {};

	CUresult tiled()
	{
		return cuTensorMapEncodeTiled(&map, type, rank, address, dims, strides, box, steps,
					      interleave, swizzle, l2, fill);
	}
	CUresult im2col()
	{
		return cuTensorMapEncodeIm2col(&map, type, rank, address, dims, strides, lower,
					       upper, channels, pixels, steps, interleave, swizzle,
					       l2, fill);
	}
};

/* One wrong value, the answer, the right value again. */
#define WITH(what, value, call, code)                                                              \
	do {                                                                                       \
		auto old_ = what;                                                                  \
		what = value;                                                                      \
		EXPECT_EQ(call, code) << #what " = " #value;                                       \
		what = old_;                                                                       \
	} while (0)
#define BAD(what, value) WITH(what, value, tiled(), CUDA_ERROR_INVALID_VALUE)

TEST_F(TensorMap, TiledRefusesEachWrongValue)
{
	CU_OK(tiled());
	BAD(rank, 0);
	BAD(rank, 6);
	BAD(address, (void *)0x700000000108);
	BAD(type, (CUtensorMapDataType)16);
	BAD(dims[1], 0);
	BAD(dims[1], (1ull << 32) + 1);
	BAD(strides[0], 264);
	BAD(strides[0], 1ull << 40);
	BAD(box[0], 0);
	BAD(box[0], 6);
	BAD(box[1], 0);
	BAD(box[1], 257);
	BAD(steps[2], 0);
	BAD(steps[2], 9);
	BAD(interleave, (CUtensorMapInterleave)3);
	BAD(swizzle, (CUtensorMapSwizzle)7);
	BAD(l2, (CUtensorMapL2promotion)4);
	BAD(fill, (CUtensorMapFloatOOBfill)2);
	swizzle = CU_TENSOR_MAP_SWIZZLE_32B;
	CU_OK(tiled());
	BAD(box[0], 16);
	swizzle = CU_TENSOR_MAP_SWIZZLE_NONE;
	fill = CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA;
	CU_OK(tiled());
	BAD(type, CU_TENSOR_MAP_DATA_TYPE_INT32);
	CU_IS(cuTensorMapEncodeTiled(nullptr, type, rank, address, dims, strides, box, steps,
				     interleave, swizzle, l2, fill),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTensorMapEncodeTiled(&map, type, rank, address, dims, strides, nullptr, steps,
				     interleave, swizzle, l2, fill),
	      CUDA_ERROR_INVALID_VALUE);
}

TEST_F(TensorMap, Im2colRefusesEachWrongValue)
{
#define BAD_IM2COL(what, value) WITH(what, value, im2col(), CUDA_ERROR_INVALID_VALUE)
	CU_OK(im2col());
	BAD_IM2COL(rank, 2);
	BAD_IM2COL(channels, 0);
	BAD_IM2COL(channels, 6);
	BAD_IM2COL(channels, 512);
	BAD_IM2COL(pixels, 0);
	BAD_IM2COL(pixels, 1025);
	BAD_IM2COL(lower[0], -129);
	BAD_IM2COL(lower[1], 128);
	BAD_IM2COL(upper[0], 128);
	BAD_IM2COL(upper[1], -128); /* 20 pixels: nothing is left */
	rank = 5;
	CU_OK(im2col());
	BAD_IM2COL(lower[2], -17);
	BAD_IM2COL(upper[2], 16);
	rank = 3;
	WITH(lower[0], -32768, im2col(), CUDA_SUCCESS);
}

TEST_F(TensorMap, WhatIsNotBuiltSaysSo)
{
	WITH(interleave, CU_TENSOR_MAP_INTERLEAVE_16B, tiled(), CUDA_ERROR_NOT_SUPPORTED);
	WITH(type, CU_TENSOR_MAP_DATA_TYPE_16U4_ALIGN8B, tiled(), CUDA_ERROR_NOT_SUPPORTED);
	WITH(swizzle, CU_TENSOR_MAP_SWIZZLE_128B_ATOM_64B, tiled(), CUDA_ERROR_NOT_SUPPORTED);
	WITH(swizzle, CU_TENSOR_MAP_SWIZZLE_128B, tiled(), CUDA_ERROR_NOT_SUPPORTED);
	CU_IS(cuTensorMapEncodeIm2colWide(&map, type, rank, address, dims, strides, 0, 0, channels,
					  pixels, steps, interleave,
					  CU_TENSOR_MAP_IM2COL_WIDE_MODE_W, swizzle, l2, fill),
	      CUDA_ERROR_NOT_SUPPORTED);
}

TEST_F(TensorMap, AnotherAddress)
{
	CUtensorMap none = {}, before;

	CU_OK(tiled());
	before = map;
	CU_OK(cuTensorMapReplaceAddress(&map, (void *)0x700000000200));
	EXPECT_NE(memcmp(&before, &map, sizeof(map)), 0);
	CU_OK(cuTensorMapReplaceAddress(&map, address));
	EXPECT_EQ(memcmp(&before, &map, sizeof(map)), 0);
	CU_IS(cuTensorMapReplaceAddress(&map, (void *)0x700000000208), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTensorMapReplaceAddress(&none, address), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuTensorMapReplaceAddress(nullptr, address), CUDA_ERROR_INVALID_VALUE);
}

} // namespace

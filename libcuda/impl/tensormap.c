/* SPDX-License-Identifier: MIT */
/*
 * tensormap.c - cuTensorMapEncode*: descriptions of tensors for a kernel's tensor copies.
 *
 * The opaque 128 bytes hold struct vgpu_tensormap. Nothing is asked of the device. Not built, because
 * what the hardware does with them is not published: interleaved layouts, pieces of 64 bytes in the
 * swizzle, packed types of 4 and 6 bits, the wide im2col modes.
 */
#include <string.h>

#include "ioctl/vgpu_tensormap.h"
#include "libcuda/core/error.h"
#include "libcuda/impl/impl.h"

#define STRIDE_MAX (1ull << 40)
#define DIM_MAX	   (1ull << 32)

/* X(CUDA's name, our type, bytes, is a float) */
#define TYPES(X)                                                                                   \
	X(UINT8, U8, 1, false)                                                                     \
	X(UINT16, U16, 2, false)                                                                   \
	X(UINT32, U32, 4, false)                                                                   \
	X(INT32, S32, 4, false)                                                                    \
	X(UINT64, U64, 8, false)                                                                   \
	X(INT64, S64, 8, false)                                                                    \
	X(FLOAT16, F16, 2, true)                                                                   \
	X(FLOAT32, F32, 4, true)                                                                   \
	X(FLOAT64, F64, 8, true)                                                                   \
	X(BFLOAT16, BF16, 2, true)                                                                 \
	X(FLOAT32_FTZ, F32_FTZ, 4, true)                                                           \
	X(TFLOAT32, TF32, 4, true)                                                                 \
	X(TFLOAT32_FTZ, TF32_FTZ, 4, true)

static const struct {
	uint8_t type, bytes;
	bool is_float;
} types[] = {
#define X(name, type, bytes, is_float)                                                             \
	[CU_TENSOR_MAP_DATA_TYPE_##name] = { VGPU_TENSORMAP_##type, bytes, is_float },
	TYPES(X)
#undef X
};

static const struct {
	uint8_t swizzle, atomicity;
} swizzles[] = {
	[CU_TENSOR_MAP_SWIZZLE_NONE] = { VGPU_TENSORMAP_SWIZZLE_NONE, VGPU_TENSORMAP_ATOM_16B },
	[CU_TENSOR_MAP_SWIZZLE_32B] = { VGPU_TENSORMAP_SWIZZLE_32B, VGPU_TENSORMAP_ATOM_16B },
	[CU_TENSOR_MAP_SWIZZLE_64B] = { VGPU_TENSORMAP_SWIZZLE_64B, VGPU_TENSORMAP_ATOM_16B },
	[CU_TENSOR_MAP_SWIZZLE_128B] = { VGPU_TENSORMAP_SWIZZLE_128B, VGPU_TENSORMAP_ATOM_16B },
	[CU_TENSOR_MAP_SWIZZLE_128B_ATOM_32B] = { VGPU_TENSORMAP_SWIZZLE_128B,
						  VGPU_TENSORMAP_ATOM_32B },
	[CU_TENSOR_MAP_SWIZZLE_128B_ATOM_32B_FLIP_8B] = { VGPU_TENSORMAP_SWIZZLE_128B,
							  VGPU_TENSORMAP_ATOM_32B_FLIP },
};

/* What both kinds of map are made of. */
struct tensor {
	CUtensorMapDataType type;
	cuuint32_t rank;
	const void *address;
	const cuuint64_t *dims, *strides;
	const cuuint32_t *element_strides;
	CUtensorMapInterleave interleave;
	CUtensorMapSwizzle swizzle;
	CUtensorMapL2promotion l2;
	CUtensorMapFloatOOBfill fill;
};

static CUresult unbuilt(const char *what)
{
	cu_log(CU_LOG_WARN, "cuTensorMapEncode: %s not supported", what);
	return CUDA_ERROR_NOT_SUPPORTED;
}

/* Those that exist, but not here. */
static CUresult check_built(const struct tensor *t)
{
	if ((unsigned)t->type > CU_TENSOR_MAP_DATA_TYPE_16U6_ALIGN16B ||
	    (unsigned)t->interleave > CU_TENSOR_MAP_INTERLEAVE_32B ||
	    (unsigned)t->swizzle > CU_TENSOR_MAP_SWIZZLE_128B_ATOM_64B)
		return CUDA_ERROR_INVALID_VALUE;
	if (t->type >= CU_TENSOR_MAP_DATA_TYPE_16U4_ALIGN8B)
		return unbuilt("packed data types are");
	if (t->interleave != CU_TENSOR_MAP_INTERLEAVE_NONE)
		return unbuilt("interleaved layouts are");
	if (t->swizzle == CU_TENSOR_MAP_SWIZZLE_128B_ATOM_64B)
		return unbuilt("CU_TENSOR_MAP_SWIZZLE_128B_ATOM_64B is");
	return CUDA_SUCCESS;
}

static CUresult fill_dims(const struct tensor *t, struct vgpu_tensormap *m)
{
	if (!t->dims || !t->element_strides || (t->rank > 1 && !t->strides))
		return CUDA_ERROR_INVALID_VALUE;
	for (cuuint32_t i = 0; i < t->rank; i++) {
		if (!t->dims[i] || t->dims[i] > DIM_MAX || !t->element_strides[i] ||
		    t->element_strides[i] > 8)
			return CUDA_ERROR_INVALID_VALUE;
		m->dim[i] = (uint32_t)(t->dims[i] - 1);
		m->element_stride[i] = (uint8_t)t->element_strides[i];
	}
	for (cuuint32_t i = 0; i + 1 < t->rank; i++) {
		if (t->strides[i] % 16 || t->strides[i] >= STRIDE_MAX)
			return CUDA_ERROR_INVALID_VALUE;
		m->stride[i] = t->strides[i];
	}
	return CUDA_SUCCESS;
}

static CUresult fill_common(const struct tensor *t, struct vgpu_tensormap *m)
{
	CUresult r;

	if (!t->rank || t->rank > VGPU_TENSORMAP_RANK_MAX || (uintptr_t)t->address % 16 ||
	    (unsigned)t->l2 > CU_TENSOR_MAP_L2_PROMOTION_L2_256B ||
	    (unsigned)t->fill > CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_built(t);
	if (r != CUDA_SUCCESS)
		return r;
	if (t->fill && !types[t->type].is_float)
		return CUDA_ERROR_INVALID_VALUE;
	memset(m, 0, sizeof(*m));
	m->magic = VGPU_TENSORMAP_MAGIC;
	m->rank = (uint8_t)t->rank;
	m->type = types[t->type].type;
	m->address = (uint64_t)(uintptr_t)t->address;
	m->swizzle = swizzles[t->swizzle].swizzle;
	m->atomicity = swizzles[t->swizzle].atomicity;
	m->fill = (uint8_t)t->fill;
	m->l2 = (uint8_t)t->l2;
	return fill_dims(t, m);
}

/* The innermost part of a box: @elements side by side. */
static CUresult check_row(const struct tensor *t, cuuint32_t elements)
{
	uint32_t bytes = elements * types[t->type].bytes;

	if (!elements || elements > VGPU_TENSORMAP_BOX_MAX || bytes % 16)
		return CUDA_ERROR_INVALID_VALUE;
	if (t->swizzle && bytes > 16u << swizzles[t->swizzle].swizzle)
		return CUDA_ERROR_INVALID_VALUE;
	if (t->swizzle && bytes < 16u << swizzles[t->swizzle].swizzle)
		return unbuilt("rows that do not fill the swizzle's span are");
	return CUDA_SUCCESS;
}

static CUresult hand_out(const struct vgpu_tensormap *m, CUtensorMap *ret_map)
{
	_Static_assert(sizeof(*m) == sizeof(*ret_map), "the size of a tensor map is public");

	memcpy(ret_map, m, sizeof(*m));
	return CUDA_SUCCESS;
}

static bool bad_map(const CUtensorMap *map)
{
	return !map || (uintptr_t)map % 64;
}

CUresult impl_cuTensorMapEncodeTiled(CUtensorMap *tensorMap, CUtensorMapDataType tensorDataType,
				     cuuint32_t tensorRank, void *globalAddress,
				     const cuuint64_t *globalDim, const cuuint64_t *globalStrides,
				     const cuuint32_t *boxDim, const cuuint32_t *elementStrides,
				     CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
				     CUtensorMapL2promotion l2Promotion,
				     CUtensorMapFloatOOBfill oobFill)
{
	struct tensor t = { tensorDataType, tensorRank, globalAddress, globalDim,   globalStrides,
			    elementStrides, interleave, swizzle,       l2Promotion, oobFill };
	struct vgpu_tensormap m;
	CUresult r;

	if (bad_map(tensorMap) || !boxDim)
		return CUDA_ERROR_INVALID_VALUE;
	r = fill_common(&t, &m);
	if (r == CUDA_SUCCESS)
		r = check_row(&t, boxDim[0]);
	if (r != CUDA_SUCCESS)
		return r;
	m.mode = VGPU_TENSORMAP_TILED;
	for (cuuint32_t i = 0; i < tensorRank; i++) {
		if (!boxDim[i] || boxDim[i] > VGPU_TENSORMAP_BOX_MAX)
			return CUDA_ERROR_INVALID_VALUE;
		m.box[i] = (uint16_t)boxDim[i];
	}
	return hand_out(&m, tensorMap);
}

/* Corners relative to the first and the last pixel, W first; the more there are, the smaller. */
static CUresult fill_corners(const struct tensor *t, const int *lower, const int *upper,
			     struct vgpu_tensormap *m)
{
	static const int most[] = { [3] = 32767, [4] = 127, [5] = 15 };

	for (cuuint32_t i = 0; i + 2 < t->rank; i++) {
		int limit = most[t->rank];

		if (lower[i] > limit || lower[i] < -limit - 1 || upper[i] > limit ||
		    upper[i] < -limit - 1)
			return CUDA_ERROR_INVALID_VALUE;
		if ((int64_t)m->dim[i + 1] + upper[i] < lower[i])
			return CUDA_ERROR_INVALID_VALUE; /* no area */
		m->lower[i] = (int16_t)lower[i];
		m->upper[i] = (int16_t)upper[i];
	}
	return CUDA_SUCCESS;
}

CUresult impl_cuTensorMapEncodeIm2col(CUtensorMap *tensorMap, CUtensorMapDataType tensorDataType,
				      cuuint32_t tensorRank, void *globalAddress,
				      const cuuint64_t *globalDim, const cuuint64_t *globalStrides,
				      const int *pixelBoxLowerCorner,
				      const int *pixelBoxUpperCorner, cuuint32_t channelsPerPixel,
				      cuuint32_t pixelsPerColumn, const cuuint32_t *elementStrides,
				      CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
				      CUtensorMapL2promotion l2Promotion,
				      CUtensorMapFloatOOBfill oobFill)
{
	struct tensor t = { tensorDataType, tensorRank, globalAddress, globalDim,   globalStrides,
			    elementStrides, interleave, swizzle,       l2Promotion, oobFill };
	struct vgpu_tensormap m;
	CUresult r;

	if (bad_map(tensorMap) || !pixelBoxLowerCorner || !pixelBoxUpperCorner || tensorRank < 3 ||
	    !pixelsPerColumn || pixelsPerColumn > VGPU_TENSORMAP_PIXEL_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	r = fill_common(&t, &m);
	if (r == CUDA_SUCCESS)
		r = check_row(&t, channelsPerPixel);
	if (r == CUDA_SUCCESS)
		r = fill_corners(&t, pixelBoxLowerCorner, pixelBoxUpperCorner, &m);
	if (r != CUDA_SUCCESS)
		return r;
	m.mode = VGPU_TENSORMAP_IM2COL;
	m.box[0] = (uint16_t)channelsPerPixel;
	m.box[1] = (uint16_t)pixelsPerColumn;
	return hand_out(&m, tensorMap);
}

CUresult impl_cuTensorMapReplaceAddress(CUtensorMap *tensorMap, void *globalAddress)
{
	struct vgpu_tensormap m;

	if (bad_map(tensorMap) || (uintptr_t)globalAddress % 16)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(&m, tensorMap, sizeof(m));
	if (m.magic != VGPU_TENSORMAP_MAGIC)
		return CUDA_ERROR_INVALID_VALUE;
	m.address = (uint64_t)(uintptr_t)globalAddress;
	return hand_out(&m, tensorMap);
}

/* SPDX-License-Identifier: MIT */
/*
 * array.h - CUDA arrays: texels in device memory, row after row.
 *
 *   texel (x, y, z) is at va + z * slice + y * pitch + x * texel
 *
 * z counts slices, layers, or the faces of cubes. A mipmapped array is one allocation; its levels are
 * arrays that lie in it and go with it.
 */
#ifndef IMPL_ARRAY_H
#define IMPL_ARRAY_H

#include "ioctl/vgpu_texture.h"
#include "libcuda/core/ctx.h"

struct cu_mipmap;

/** struct cu_array - a CUarray. Constant once made. */
struct cu_array {
	struct cu_head head;
	struct cu_ctx *ctx;
	CUDA_ARRAY3D_DESCRIPTOR desc; /* as the program gave it */
	struct cu_mipmap *owner;      /* the level's mipmapped array, NULL */
	uint64_t va, pitch, slice;
	uint32_t texel;		       /* bytes */
	uint32_t width, height, depth; /* texels, rows, slices; at least 1 */
};

/** struct cu_mipmap - a CUmipmappedArray. */
struct cu_mipmap {
	struct cu_head head;
	struct cu_ctx *ctx;
	CUDA_ARRAY3D_DESCRIPTOR desc;
	uint64_t va, bytes;
	unsigned levels;
	struct cu_array *level[VGPU_TEX_LEVELS];
};

/** struct cu_tex_format - what a CUarray_format means. */
struct cu_tex_format {
	uint32_t channels; /* 0: any of 1, 2, 4 */
	uint32_t bytes;	   /* of a channel */
	uint32_t class;	   /* VGPU_TEX_UINT ... */
};

/** cu_tex_format() - NULL: unknown. */
const struct cu_tex_format *cu_tex_format(unsigned format);
/**
 * cu_tex_texel() - bytes of a texel.
 *
 * CUDA_ERROR_NOT_SUPPORTED for formats of blocks and planes, INVALID_VALUE for what is none.
 */
CUresult cu_tex_texel(unsigned format, unsigned channels, uint32_t *ret_bytes);

/** cu_array_get(), cu_mipmap_get() - check a handle; CUDA_ERROR_INVALID_HANDLE. */
CUresult cu_array_get(CUarray handle, struct cu_array **ret_array);
CUresult cu_mipmap_get(CUmipmappedArray handle, struct cu_mipmap **ret_mipmap);
/** cu_array_forget() - the memory of an array or mipmapped array went with its context. */
void cu_array_forget(void *object);
/** cu_array_bytes() - from its first texel to its last. */
uint64_t cu_array_bytes(const struct cu_array *a);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * vgpu_texture.h - what a texture or surface is: formats, shapes, where its texels lie, how it is
 * read.
 *
 * Here: the description that TEX_CREATE carries. Not here: arrays, which are device memory that the
 * client lays out as it likes; how a texel is computed (the backend).
 */
#ifndef VGPU_TEXTURE_H
#define VGPU_TEXTURE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Formats; the numbers are those of CUarray_format.   X(nr, NAME, channels, bytes, class)
 * channels: of a texel, 0 where the description says how many; bytes: of one channel.
 */
/* clang-format off */
#define VGPU_TEX_FORMATS(X)                                                                        \
	X(0x01, UINT8,     0, 1, UINT)                                                             \
	X(0x02, UINT16,    0, 2, UINT)                                                             \
	X(0x03, UINT32,    0, 4, UINT)                                                             \
	X(0x08, SINT8,     0, 1, SINT)                                                             \
	X(0x09, SINT16,    0, 2, SINT)                                                             \
	X(0x0a, SINT32,    0, 4, SINT)                                                             \
	X(0x10, HALF,      0, 2, FLOAT)                                                            \
	X(0x20, FLOAT,     0, 4, FLOAT)                                                            \
	X(0xc0, UNORM8X1,  1, 1, UNORM)                                                            \
	X(0xc1, UNORM8X2,  2, 1, UNORM)                                                            \
	X(0xc2, UNORM8X4,  4, 1, UNORM)                                                            \
	X(0xc3, UNORM16X1, 1, 2, UNORM)                                                            \
	X(0xc4, UNORM16X2, 2, 2, UNORM)                                                            \
	X(0xc5, UNORM16X4, 4, 2, UNORM)                                                            \
	X(0xc6, SNORM8X1,  1, 1, SNORM)                                                            \
	X(0xc7, SNORM8X2,  2, 1, SNORM)                                                            \
	X(0xc8, SNORM8X4,  4, 1, SNORM)                                                            \
	X(0xc9, SNORM16X1, 1, 2, SNORM)                                                            \
	X(0xca, SNORM16X2, 2, 2, SNORM)                                                            \
	X(0xcb, SNORM16X4, 4, 2, SNORM)
/* clang-format on */

/* Classes of formats. */
#define VGPU_TEX_UINT  1
#define VGPU_TEX_SINT  2
#define VGPU_TEX_FLOAT 3
#define VGPU_TEX_UNORM 4
#define VGPU_TEX_SNORM 5

/* Shapes. */
#define VGPU_TEX_LINEAR	      0 /* 1D from plain memory: whole coordinates only, 0 outside */
#define VGPU_TEX_1D	      1
#define VGPU_TEX_2D	      2
#define VGPU_TEX_3D	      3
#define VGPU_TEX_1D_LAYERED   4
#define VGPU_TEX_2D_LAYERED   5
#define VGPU_TEX_CUBE	      6
#define VGPU_TEX_CUBE_LAYERED 7

#define VGPU_TEX_SURFACE    (1u << 0) /* a surface: for suld, sust, sured alone */
#define VGPU_TEX_NORMALIZED (1u << 1) /* coordinates 0 to 1 */
#define VGPU_TEX_AS_INTEGER (1u << 2) /* 8 and 16 bit integers are not made floats */
#define VGPU_TEX_SRGB	    (1u << 3) /* red, green, blue of 8 bits are sRGB */
#define VGPU_TEX_SEAMLESS   (1u << 4) /* cube: filter across edges */
#define VGPU_TEX_FLAGS	    0x1fu

/* Values of CUaddress_mode and CUfilter_mode. */
#define VGPU_TEX_WRAP	0
#define VGPU_TEX_CLAMP	1
#define VGPU_TEX_MIRROR 2
#define VGPU_TEX_BORDER 3
#define VGPU_TEX_POINT	0
#define VGPU_TEX_BILIN	1

#define VGPU_TEX_LEVELS 18	    /* most mip levels: of the widest texture */
#define VGPU_TEX_EXTENT 0x10000000u /* most texels in one direction */

/** One mip level: texel (x, y, z) is at offset + z * slice + y * pitch + x * size of a texel. */
struct vgpu_tex_level {
	uint64_t offset; /**< from vgpu_tex_desc.va */
	uint64_t pitch;	 /**< bytes from row to row */
	uint64_t slice;	 /**< bytes from slice, layer or face to the next */
	uint32_t width;	 /**< texels; at least 1, as the other two */
	uint32_t height; /**< rows */
	uint32_t depth;	 /**< slices, layers, faces */
	uint32_t pad;	 /**< MBZ */
};

/**
 * struct vgpu_tex_desc - a texture or surface
 *
 * Every texel of every level lies in [va, va + bytes). Floats travel as their bits.
 */
struct vgpu_tex_desc {
	uint64_t va;	     /**< of the memory */
	uint64_t bytes;	     /**< its size */
	uint32_t shape;	     /**< VGPU_TEX_LINEAR ... */
	uint32_t format;     /**< of VGPU_TEX_FORMATS */
	uint32_t channels;   /**< 1, 2 or 4; agrees with the format */
	uint32_t flags;	     /**< VGPU_TEX_SURFACE ... */
	uint32_t address[3]; /**< VGPU_TEX_WRAP ..., per direction */
	uint32_t filter;     /**< VGPU_TEX_POINT or VGPU_TEX_BILIN */
	uint32_t mip_filter; /**< the same, between levels */
	uint32_t anisotropy; /**< most samples along the longer axis, 0 to 16 */
	uint32_t bias;	     /**< float: added to the level */
	uint32_t min_level;  /**< float: least level */
	uint32_t max_level;  /**< float: greatest level */
	uint32_t border[4];  /**< float: outside, with VGPU_TEX_BORDER */
	uint32_t levels;     /**< of level that are used, 1 to VGPU_TEX_LEVELS */
	struct vgpu_tex_level level[VGPU_TEX_LEVELS];
};

#ifdef __cplusplus
}
#endif
#endif /* VGPU_TEXTURE_H */

/* SPDX-License-Identifier: MIT */
/*
 * vgpu_tensormap.h - what lies in the 128 opaque bytes of a CUtensorMap.
 *
 * Written by libcuda (cuTensorMapEncode*), handed to kernels as parameter or in memory, changed by
 * tensormap.replace, read by the worker at each tensor copy. A kernel may have scribbled on it, so
 * the reader checks every field. Dimension 0 is the innermost one; its elements lie side by side.
 */
#ifndef VGPU_TENSORMAP_H
#define VGPU_TENSORMAP_H

#include <stdint.h>

#define VGPU_TENSORMAP_MAGIC	 0x50414d54u /* "TMAP" */
#define VGPU_TENSORMAP_BYTES	 128u
#define VGPU_TENSORMAP_RANK_MAX	 5u
#define VGPU_TENSORMAP_BOX_MAX	 256u  /* elements of the box, channels per pixel */
#define VGPU_TENSORMAP_PIXEL_MAX 1024u /* pixels per column */

/* mode */
#define VGPU_TENSORMAP_TILED  0u
#define VGPU_TENSORMAP_IM2COL 1u

/* type; numbered as tensormap.replace wants it, not as CUtensorMapDataType is */
#define VGPU_TENSORMAP_U8	0u
#define VGPU_TENSORMAP_U16	1u
#define VGPU_TENSORMAP_U32	2u
#define VGPU_TENSORMAP_S32	3u
#define VGPU_TENSORMAP_U64	4u
#define VGPU_TENSORMAP_S64	5u
#define VGPU_TENSORMAP_F16	6u
#define VGPU_TENSORMAP_F32	7u
#define VGPU_TENSORMAP_F32_FTZ	8u /* subnormal numbers become 0 */
#define VGPU_TENSORMAP_F64	9u
#define VGPU_TENSORMAP_BF16	10u
#define VGPU_TENSORMAP_TF32	11u
#define VGPU_TENSORMAP_TF32_FTZ 12u
#define VGPU_TENSORMAP_TYPES	13u

/* swizzle: the span in which pieces of 16 bytes change places */
#define VGPU_TENSORMAP_SWIZZLE_NONE 0u
#define VGPU_TENSORMAP_SWIZZLE_32B  1u
#define VGPU_TENSORMAP_SWIZZLE_64B  2u
#define VGPU_TENSORMAP_SWIZZLE_128B 3u

/* atomicity, with SWIZZLE_128B: what changes places instead of 16 bytes */
#define VGPU_TENSORMAP_ATOM_16B	     0u
#define VGPU_TENSORMAP_ATOM_32B	     1u
#define VGPU_TENSORMAP_ATOM_32B_FLIP 2u /* and halves of 16 bytes in every other row of 128 */
#define VGPU_TENSORMAP_ATOM_64B	     3u /* refused: which pieces change places is not published */

/** struct vgpu_tensormap - VGPU_TENSORMAP_BYTES bytes, aligned to 64 */
struct vgpu_tensormap {
	uint32_t magic;		   /**< VGPU_TENSORMAP_MAGIC */
	uint8_t mode;		   /**< VGPU_TENSORMAP_TILED, _IM2COL */
	uint8_t rank;		   /**< 1 .. 5; im2col: 3 .. 5 */
	uint8_t type;		   /**< of an element */
	uint8_t interleave;	   /**< 0 */
	uint64_t address;	   /**< of element 0, multiple of 16 */
	uint64_t stride[4];	   /**< bytes from one to the next in dimension 1 .. 4 */
	uint32_t dim[5];	   /**< elements - 1 */
	uint16_t box[5];	   /**< elements; im2col: channels per pixel, pixels per column */
	uint8_t element_stride[5]; /**< 1 .. 8 */
	uint8_t swizzle;	   /**< VGPU_TENSORMAP_SWIZZLE_* */
	uint8_t atomicity;	   /**< VGPU_TENSORMAP_ATOM_* */
	uint8_t fill;		   /**< outside: 0 zero, 1 the special NaN */
	int16_t lower[3];	   /**< im2col: corners of the pixels' box, dimension 1 .. 3, */
	int16_t upper[3];	   /**< relative to the first and to the last element */
	uint8_t l2;		   /**< CUtensorMapL2promotion, without effect */
	uint8_t pad[29];	   /**< 0 */
};

#endif

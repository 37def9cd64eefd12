/* SPDX-License-Identifier: MIT */
/*
 * texture.h - what a texture fetch or a surface access means, for one thread.
 *
 * Here: formats, addressing, filters, levels, cube faces. Not here: handles and who may use them
 * (simt/texture.h), operands of instructions (interp/texture.c). Numbers follow the appendix "Texture
 * Fetching" of the CUDA C++ programming guide and the PTX ISA, section 9.7.10; what both leave open
 * stands in docs/numerics.md.
 */
#ifndef SOFT_RT_TEXTURE_H
#define SOFT_RT_TEXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "ioctl/vgpu_texture.h"

/**
 * struct rt_texture - a description opened for use.
 *
 * The description may be rewritten by another thread at any time (a program that destroys a texture
 * in use): what is read twice is copied here, and every texel is checked against mem and bytes.
 */
struct rt_texture {
	const struct vgpu_tex_desc *desc;
	uint8_t *mem; /* byte 0 */
	uint64_t bytes;
	uint32_t shape, flags, channels, levels;
	uint32_t size; /* bytes of a channel */
	uint32_t kind; /* VGPU_TEX_UINT ... */
	bool floats;   /* fetches give floats */
};

struct rt_sampler {
	uint32_t address[3], filter, mip_filter, anisotropy;
	bool normalized, seamless;
	float bias, min_level, max_level;
	float border[4];
};

/** Which level: the first, one that is given, or by how fast coordinates change. */
enum rt_lod { RT_LOD_BASE, RT_LOD_LEVEL, RT_LOD_GRAD };

struct rt_fetch {
	bool integer;	/* coordinates are texels, in i; else in f */
	uint8_t gather; /* 1 + component: that of four texels; 0: a fetch */
	uint8_t lod;	/* enum rt_lod */
	uint32_t layer;
	float f[3];
	int32_t i[3];
	float level;
	float dx[3], dy[3];
	int32_t offset[3]; /* texels */
};

/** rt_texture_open() - @mem: where desc->va is in this process. false: the description is broken. */
bool rt_texture_open(const struct vgpu_tex_desc *desc, uint8_t *mem, struct rt_texture *ret);
void rt_texture_sampler(const struct vgpu_tex_desc *desc, struct rt_sampler *ret);
/** rt_texture_fetch() - four values of 32 bits: floats, or integers as they are. */
void rt_texture_fetch(const struct rt_texture *t, const struct rt_sampler *s,
		      const struct rt_fetch *f, uint32_t out[4]);
/** rt_texture_size() - of a level: width, height, depth (slices, layers, or cubes). */
void rt_texture_size(const struct rt_texture *t, uint32_t level, uint32_t ret[3]);

/** rt_texel_decode(), rt_texel_encode() - between memory and four 32-bit values. */
void rt_texel_decode(const struct rt_texture *t, const uint8_t *p, uint32_t out[4]);
void rt_texel_encode(const struct rt_texture *t, const uint32_t in[4], uint8_t *p);

enum rt_edge { RT_EDGE_TRAP, RT_EDGE_CLAMP, RT_EDGE_ZERO };

/**
 * rt_surface_at() - where [x, +bytes) of row y of slice (layer, face) z is; x counts bytes.
 *
 * NULL: outside, with RT_EDGE_TRAP or RT_EDGE_ZERO; or the description is broken.
 */
uint8_t *rt_surface_at(const struct rt_texture *t, int64_t x, uint32_t bytes, int64_t y, int64_t z,
		       enum rt_edge edge);

#endif

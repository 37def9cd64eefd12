/* SPDX-License-Identifier: MIT */
/*
 * texel.c - texels between memory and registers, and where surfaces keep them.
 */
#include <math.h>
#include <string.h>

#include "cuse_dev/backend/soft/rt/num.h"
#include "cuse_dev/backend/soft/rt/texture.h"

struct format {
	uint8_t channels, bytes, kind;
};

static const struct format formats[] = {
#define X(nr, NAME, channels, bytes, class) [nr] = { channels, bytes, VGPU_TEX_##class },
	VGPU_TEX_FORMATS(X)
#undef X
};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

bool rt_texture_open(const struct vgpu_tex_desc *desc, uint8_t *mem, struct rt_texture *ret)
{
	uint32_t format = desc->format;

	if (format >= FORMATS || !formats[format].bytes)
		return false;
	*ret = (struct rt_texture){
		.desc = desc,
		.mem = mem,
		.bytes = desc->bytes,
		.shape = desc->shape,
		.flags = desc->flags,
		.channels = desc->channels,
		.levels = desc->levels,
		.size = formats[format].bytes,
		.kind = formats[format].kind,
	};
	ret->floats = ret->kind >= VGPU_TEX_FLOAT ||
		      (ret->size < 4 && !(ret->flags & VGPU_TEX_AS_INTEGER));
	return ret->channels >= 1 && ret->channels <= 4 && ret->levels >= 1 &&
	       ret->levels <= VGPU_TEX_LEVELS;
}

/* ---- decode --------------------------------------------------------------------------------- */

static uint32_t channel(const uint8_t *p, uint32_t size)
{
	uint16_t h;
	uint32_t w;

	switch (size) {
	case 1:
		return *p;
	case 2:
		memcpy(&h, p, 2);
		return h;
	default:
		memcpy(&w, p, 4);
		return w;
	}
}

static int32_t extended(uint32_t v, uint32_t size)
{
	return size == 1 ? (int8_t)v : size == 2 ? (int16_t)v : (int32_t)v;
}

static float unorm(uint32_t v, uint32_t size)
{
	return (float)v / (size == 1 ? 255.0f : 65535.0f);
}

/* Both of the two lowest values are -1. */
static float snorm(uint32_t v, uint32_t size)
{
	float f = (float)extended(v, size) / (size == 1 ? 127.0f : 32767.0f);

	return f < -1.0f ? -1.0f : f;
}

static float from_srgb(float c)
{
	return c <= 0.04045f ? c / 12.92f : powf((c + 0.055f) / 1.055f, 2.4f);
}

static uint32_t decode(const struct rt_texture *t, uint32_t v, uint32_t c)
{
	bool sign = t->kind == VGPU_TEX_SINT || t->kind == VGPU_TEX_SNORM;
	float f;

	if (t->kind == VGPU_TEX_FLOAT)
		return t->size == 2 ? rt_bits_f32(rt_f16_to_f32((uint16_t)v)) : v;
	if (!t->floats)
		return sign ? (uint32_t)extended(v, t->size) : v;
	f = sign ? snorm(v, t->size) : unorm(v, t->size);
	if ((t->flags & VGPU_TEX_SRGB) && t->size == 1 && !sign && c < 3)
		f = from_srgb(f);
	return rt_bits_f32(f);
}

void rt_texel_decode(const struct rt_texture *t, const uint8_t *p, uint32_t out[4])
{
	for (uint32_t c = 0; c < t->channels; c++)
		out[c] = decode(t, channel(p + c * t->size, t->size), c);
	for (uint32_t c = t->channels; c < 4; c++)
		out[c] = c < 3 ? 0 : t->floats ? rt_bits_f32(1.0f) : 1;
}

/* ---- encode (formatted stores): what does not fit is clamped --------------------------------- */

static uint32_t clamp_unsigned(uint32_t v, uint32_t size)
{
	uint32_t most = size == 1 ? 255 : size == 2 ? 65535 : UINT32_MAX;

	return v < most ? v : most;
}

static uint32_t clamp_signed(uint32_t bits, uint32_t size)
{
	int32_t v = (int32_t)bits, most = size == 1 ? 127 : size == 2 ? 32767 : INT32_MAX;

	return (uint32_t)(v > most ? most : v < -most - 1 ? -most - 1 : v);
}

static uint32_t encode(const struct rt_texture *t, uint32_t v)
{
	float f = rt_f32(v);

	switch (t->kind) {
	case VGPU_TEX_UINT:
		return clamp_unsigned(v, t->size);
	case VGPU_TEX_SINT:
		return clamp_signed(v, t->size);
	case VGPU_TEX_FLOAT:
		return t->size == 2 ? rt_f32_to_f16(f) : v;
	case VGPU_TEX_UNORM:
		return (uint32_t)(rt_sat_f32(f) * (t->size == 1 ? 255.0f : 65535.0f) + 0.5f);
	default:
		f = !(f > -1.0f) ? -1.0f : f > 1.0f ? 1.0f : f;
		return (uint32_t)(int32_t)rintf(f * (t->size == 1 ? 127.0f : 32767.0f));
	}
}

void rt_texel_encode(const struct rt_texture *t, const uint32_t in[4], uint8_t *p)
{
	for (uint32_t c = 0; c < t->channels; c++) {
		uint32_t v = encode(t, in[c]);

		memcpy(p + c * t->size, &v, t->size); /* little endian */
	}
}

/* ---- surfaces ------------------------------------------------------------------------------- */

static int64_t clamped(int64_t v, int64_t most)
{
	return v < 0 ? 0 : v > most ? most : v;
}

uint8_t *rt_surface_at(const struct rt_texture *t, int64_t x, uint32_t bytes, int64_t y, int64_t z,
		       enum rt_edge edge)
{
	struct vgpu_tex_level l = t->desc->level[0];
	int64_t most_x = (int64_t)l.width * t->channels * t->size - bytes;
	int64_t most_y = (int64_t)l.height - 1, most_z = (int64_t)l.depth - 1;
	uint64_t off;

	if (most_x < 0 || most_y < 0 || most_z < 0)
		return NULL;
	if (edge == RT_EDGE_CLAMP) {
		x = clamped(x, most_x);
		y = clamped(y, most_y);
		z = clamped(z, most_z);
	} else if (x < 0 || x > most_x || y < 0 || y > most_y || z < 0 || z > most_z) {
		return NULL;
	}
	off = l.offset + (uint64_t)z * l.slice + (uint64_t)y * l.pitch + (uint64_t)x;
	return bytes <= t->bytes && off <= t->bytes - bytes ? t->mem + off : NULL;
}

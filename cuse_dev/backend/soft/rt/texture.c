/* SPDX-License-Identifier: MIT */
/*
 * texture.c - a texture fetch: levels, filters, addressing, cube faces.
 *
 * A linear filter's weights have 8 bits after the point, as the hardware's have: coordinates are
 * rounded to 1/256 of a texel before they are split into texel and weight.
 */
#include <math.h>

#include "cuse_dev/backend/soft/rt/num.h"
#include "cuse_dev/backend/soft/rt/texture.h"

#define FAR 0x1p29 /* texels; further out everything is outside alike */

/* A fetch on one level: what stays the same for all its texels. */
struct view {
	const struct rt_texture *t;
	const struct rt_sampler *s;
	struct vgpu_tex_level level;
	uint32_t n[3];	     /* texels per direction */
	uint32_t directions; /* 1, 2, 3 */
	uint32_t slice;	     /* of layers and faces */
	bool cube;
};

/* ---- cube faces ----------------------------------------------------------------------------- */

/* Direction to face and place on it, 0 to 1. */
static uint32_t face_of(const float c[3], double uv[2])
{
	double x = c[0], y = c[1], z = c[2], ax = fabs(x), ay = fabs(y), az = fabs(z), m, s, t;
	uint32_t face;

	if (az >= ax && az >= ay) {
		face = z < 0 ? 5 : 4;
		m = az;
		s = z < 0 ? -x : x;
		t = -y;
	} else if (ay >= ax) {
		face = y < 0 ? 3 : 2;
		m = ay;
		s = x;
		t = y < 0 ? -z : z;
	} else {
		face = x < 0 ? 1 : 0;
		m = ax;
		s = x < 0 ? z : -z;
		t = -y;
	}
	uv[0] = m > 0 ? (s / m + 1) / 2 : 0.5;
	uv[1] = m > 0 ? (t / m + 1) / 2 : 0.5;
	return face;
}

/* The reverse; s and t from -1 to 1. */
static void direction_of(uint32_t face, double s, double t, float c[3])
{
	const double v[6][3] = { { 1, -t, -s }, { -1, -t, s }, { s, 1, t },
				 { s, -1, -t }, { s, -t, 1 },  { -s, -t, -1 } };

	for (int i = 0; i < 3; i++)
		c[i] = (float)v[face][i];
}

/* A texel beyond the edge of its face lies on the next one. */
static void across_edge(const struct view *v, int64_t at[3], uint32_t *slice)
{
	uint32_t n = v->n[0], face = *slice % 6;
	double uv[2];
	float c[3];

	direction_of(face, ((double)at[0] + 0.5) * 2 / n - 1, ((double)at[1] + 0.5) * 2 / n - 1, c);
	face = face_of(c, uv);
	*slice = *slice / 6 * 6 + face;
	for (int i = 0; i < 2; i++) {
		at[i] = (int64_t)floor(uv[i] * n);
		at[i] = at[i] < 0 ? 0 : at[i] >= n ? n - 1 : at[i];
	}
}

/* ---- texels --------------------------------------------------------------------------------- */

/* Whole coordinate to the texel that is read; false: the border. */
static bool reach(int64_t *i, uint32_t n, uint32_t mode)
{
	int64_t m = n, period = 2 * m;

	if (*i >= 0 && *i < m)
		return true;
	switch (mode) {
	case VGPU_TEX_WRAP:
		*i = (*i % m + m) % m;
		return true;
	case VGPU_TEX_MIRROR:
		*i = (*i % period + period) % period;
		*i = *i < m ? *i : period - 1 - *i;
		return true;
	case VGPU_TEX_BORDER:
		return false;
	default:
		*i = *i < 0 ? 0 : m - 1;
		return true;
	}
}

static void border(const struct view *v, uint32_t out[4])
{
	for (uint32_t c = 0; c < 4; c++) {
		float f = v->s->border[c];

		if (v->t->floats)
			out[c] = rt_bits_f32(f);
		else if (v->t->kind == VGPU_TEX_SINT)
			out[c] = (uint32_t)rt_f32_to_s32(f);
		else
			out[c] = rt_f32_to_u32(f);
	}
	for (uint32_t c = v->t->channels; c < 4; c++)
		out[c] = c < 3 ? 0 : v->t->floats ? rt_bits_f32(1.0f) : 1;
}

/* Wrapping and mirrors exist for normalised coordinates only. */
static uint32_t mode_of(const struct view *v, uint32_t i)
{
	uint32_t mode = v->s->address[i];

	if (v->cube)
		return VGPU_TEX_CLAMP;
	if (!v->s->normalized && (mode == VGPU_TEX_WRAP || mode == VGPU_TEX_MIRROR))
		return VGPU_TEX_CLAMP;
	return mode;
}

static void texel(const struct view *v, const int64_t where[3], uint32_t out[4])
{
	const struct rt_texture *t = v->t;
	uint32_t bytes = t->channels * t->size, slice = v->slice;
	int64_t at[3] = { where[0], where[1], where[2] };
	uint64_t off;

	if (v->cube && v->s->seamless &&
	    (at[0] < 0 || at[0] >= v->n[0] || at[1] < 0 || at[1] >= v->n[1]))
		across_edge(v, at, &slice);
	for (uint32_t i = 0; i < v->directions; i++) {
		if (reach(&at[i], v->n[i], mode_of(v, i)))
			continue;
		border(v, out);
		return;
	}
	off = v->level.offset + (uint64_t)at[0] * bytes;
	if (v->directions > 1)
		off += (uint64_t)at[1] * v->level.pitch;
	off += (v->directions > 2 ? (uint64_t)at[2] : slice) * v->level.slice;
	if (bytes > t->bytes || off > t->bytes - bytes) {
		border(v, out); /* a description that changes under us */
		return;
	}
	rt_texel_decode(t, t->mem + off, out);
}

/* ---- coordinates ---------------------------------------------------------------------------- */

/* In texels, reduced so that wrapping keeps its precision. */
static double place(const struct view *v, double x, uint32_t i)
{
	if (!isfinite(x))
		x = isnan(x) ? 0 : x > 0 ? FAR : -FAR;
	if (v->s->normalized || v->cube) {
		if (mode_of(v, i) == VGPU_TEX_WRAP)
			x -= floor(x);
		else if (mode_of(v, i) == VGPU_TEX_MIRROR)
			x -= 2 * floor(x / 2);
		x *= v->n[i];
	}
	return x > FAR ? FAR : x < -FAR ? -FAR : x;
}

/* The texel below, and the weight of the next one in 1/256. */
static int64_t split(double u, uint32_t *ret_weight)
{
	int64_t fixed = (int64_t)floor((u - 0.5) * 256 + 0.5);

	*ret_weight = (uint32_t)(fixed & 255);
	return (fixed - (int64_t)*ret_weight) / 256;
}

static void nearest(const struct view *v, const double u[3], const int32_t offset[3],
		    uint32_t out[4])
{
	int64_t at[3] = { 0, 0, 0 };

	for (uint32_t i = 0; i < v->directions; i++)
		at[i] = (int64_t)floor(u[i]) + offset[i];
	texel(v, at, out);
}

static void linear(const struct view *v, const double u[3], const int32_t offset[3],
		   uint32_t out[4])
{
	float sum[4] = { 0, 0, 0, 0 };
	int64_t low[3] = { 0, 0, 0 };
	uint32_t weight[3] = { 0, 0, 0 };

	for (uint32_t i = 0; i < v->directions; i++)
		low[i] = split(u[i], &weight[i]) + offset[i];
	for (uint32_t corner = 0; corner < 1u << v->directions; corner++) {
		int64_t at[3] = { low[0], low[1], low[2] };
		uint32_t value[4];
		float w = 1;

		for (uint32_t i = 0; i < v->directions; i++) {
			bool next = corner >> i & 1;

			at[i] += next;
			w *= (float)(next ? weight[i] : 256 - weight[i]) / 256.0f;
		}
		if (w == 0.0f)
			continue;
		texel(v, at, value);
		for (uint32_t c = 0; c < 4; c++)
			sum[c] += w * rt_f32(value[c]);
	}
	for (uint32_t c = 0; c < 4; c++)
		out[c] = rt_bits_f32(sum[c]);
}

/* The four texels of a linear filter: (0,1), (1,1), (1,0), (0,0). */
static void gather(const struct view *v, const double u[3], const int32_t offset[3], uint32_t c,
		   uint32_t out[4])
{
	static const uint8_t order[4][2] = { { 0, 1 }, { 1, 1 }, { 1, 0 }, { 0, 0 } };
	uint32_t weight, value[4];
	int64_t low[2];

	for (uint32_t i = 0; i < 2; i++)
		low[i] = split(u[i], &weight) + offset[i];
	for (uint32_t k = 0; k < 4; k++) {
		int64_t at[3] = { low[0] + order[k][0], low[1] + order[k][1], 0 };

		texel(v, at, value);
		out[k] = value[c & 3];
	}
}

/* ---- levels --------------------------------------------------------------------------------- */

static uint32_t directions_of(uint32_t shape)
{
	switch (shape) {
	case VGPU_TEX_LINEAR:
	case VGPU_TEX_1D:
	case VGPU_TEX_1D_LAYERED:
		return 1;
	case VGPU_TEX_3D:
		return 3;
	default:
		return 2;
	}
}

static bool is_cube(uint32_t shape)
{
	return shape == VGPU_TEX_CUBE || shape == VGPU_TEX_CUBE_LAYERED;
}

static uint32_t at_least_1(uint32_t n)
{
	return n ? n : 1;
}

static void view_open(const struct rt_texture *t, const struct rt_sampler *s, uint32_t level,
		      struct view *v)
{
	v->t = t;
	v->s = s;
	v->level = t->desc->level[level < t->levels ? level : t->levels - 1];
	v->n[0] = at_least_1(v->level.width);
	v->n[1] = at_least_1(v->level.height);
	v->n[2] = at_least_1(v->level.depth);
	v->directions = directions_of(t->shape);
	v->cube = is_cube(t->shape);
	v->slice = 0;
}

void rt_texture_size(const struct rt_texture *t, uint32_t level, uint32_t ret[3])
{
	const struct vgpu_tex_level *l = &t->desc->level[level < t->levels ? level : t->levels - 1];

	ret[0] = l->width;
	ret[1] = l->height;
	ret[2] = is_cube(t->shape) ? l->depth / 6 : l->depth;
}

static uint32_t slice_of(const struct view *v, const struct rt_fetch *f, uint32_t face)
{
	uint32_t layers = v->cube ? v->n[2] / 6 : v->n[2], layer = 0;

	if (v->t->shape >= VGPU_TEX_1D_LAYERED && v->t->shape != VGPU_TEX_CUBE && layers)
		layer = f->layer < layers ? f->layer : layers - 1;
	return v->cube ? layer * 6 + face : layer;
}

/* One level, at coordinates moved by @along of the longer gradient. */
static void on_level(const struct rt_texture *t, const struct rt_sampler *s,
		     const struct rt_fetch *f, uint32_t level, const float shift[3],
		     uint32_t out[4])
{
	float c[3] = { f->f[0] + shift[0], f->f[1] + shift[1], f->f[2] + shift[2] };
	double x[3] = { c[0], c[1], c[2] }, u[3];
	uint32_t face = 0;
	struct view v;

	view_open(t, s, level, &v);
	if (v.cube)
		face = face_of(c, x);
	v.slice = slice_of(&v, f, face);
	for (uint32_t i = 0; i < v.directions; i++)
		u[i] = place(&v, x[i], i);
	if (f->gather)
		gather(&v, u, f->offset, f->gather - 1u, out);
	else if (s->filter == VGPU_TEX_BILIN && t->floats)
		linear(&v, u, f->offset, out);
	else
		nearest(&v, u, f->offset, out);
}

/* Between levels: @lod is clamped already. */
static void between_levels(const struct rt_texture *t, const struct rt_sampler *s,
			   const struct rt_fetch *f, float lod, const float shift[3],
			   uint32_t out[4])
{
	uint32_t fixed, low[4], high[4];
	float w;

	if (s->mip_filter == VGPU_TEX_POINT || !t->floats || f->gather) {
		float l = ceilf(lod + 0.5f) - 1;

		on_level(t, s, f, l > 0 ? (uint32_t)l : 0, shift, out);
		return;
	}
	fixed = (uint32_t)(lod * 256 + 0.5f);
	on_level(t, s, f, fixed >> 8, shift, low);
	if (!(fixed & 255)) {
		for (uint32_t c = 0; c < 4; c++)
			out[c] = low[c];
		return;
	}
	on_level(t, s, f, (fixed >> 8) + 1, shift, high);
	w = (float)(fixed & 255) / 256.0f;
	for (uint32_t c = 0; c < 4; c++)
		out[c] = rt_bits_f32((1 - w) * rt_f32(low[c]) + w * rt_f32(high[c]));
}

static float clamp_lod(const struct rt_texture *t, const struct rt_sampler *s, float lod)
{
	float most = (float)(t->levels - 1);

	lod += s->bias;
	lod = lod > s->max_level ? s->max_level : lod;
	lod = lod < s->min_level ? s->min_level : lod;
	lod = !(lod > 0) ? 0 : lod; /* NaN, too */
	return lod > most ? most : lod;
}

/* Length of a gradient, in texels of the first level. */
static float length_of(const struct rt_texture *t, const struct rt_sampler *s, const float d[3])
{
	struct view v;
	float sum = 0;

	view_open(t, s, 0, &v);
	for (uint32_t i = 0; i < (v.cube ? 3 : v.directions); i++) {
		float n = v.cube ? (float)v.n[0] / 2 : s->normalized ? (float)v.n[i] : 1;

		sum += d[i] * n * d[i] * n;
	}
	return sqrtf(sum);
}

/* Up to "anisotropy" samples along the longer gradient, of a level that fits the shorter one. */
static void by_gradient(const struct rt_texture *t, const struct rt_sampler *s,
			const struct rt_fetch *f, uint32_t out[4])
{
	float dx = length_of(t, s, f->dx), dy = length_of(t, s, f->dy), sum[4] = { 0, 0, 0, 0 };
	float most = dx > dy ? dx : dy, least = dx > dy ? dy : dx, ratio = 1, lod;
	const float *along = dx > dy ? f->dx : f->dy;
	uint32_t n;

	if (s->anisotropy > 1 && most > 0 && t->floats)
		ratio = least > 0 && most / least < (float)s->anisotropy ? most / least
									 : (float)s->anisotropy;
	n = (uint32_t)ceilf(ratio);
	lod = clamp_lod(t, s, most > 0 ? log2f(most / ratio) : 0);
	for (uint32_t k = 0; k < n; k++) {
		float at = ((float)k + 1) / ((float)n + 1) - 0.5f, shift[3];

		for (uint32_t i = 0; i < 3; i++)
			shift[i] = n > 1 ? along[i] * at : 0;
		between_levels(t, s, f, lod, shift, out);
		for (uint32_t c = 0; n > 1 && c < 4; c++)
			sum[c] += rt_f32(out[c]) / (float)n;
	}
	for (uint32_t c = 0; n > 1 && c < 4; c++)
		out[c] = rt_bits_f32(sum[c]);
}

/* ---- whole coordinates ---------------------------------------------------------------------- */

/* No filter; a level is taken as it is. Outside of plain memory there is nothing but 0. */
static void by_texel(const struct rt_texture *t, const struct rt_sampler *s,
		     const struct rt_fetch *f, uint32_t out[4])
{
	float level = f->lod == RT_LOD_LEVEL ? f->level : 0;
	int64_t at[3] = { 0, 0, 0 };
	struct view v;

	view_open(t, s, level > 0 ? rt_f32_to_u32(level) : 0, &v);
	v.slice = slice_of(&v, f, 0);
	for (uint32_t i = 0; i < v.directions; i++)
		at[i] = (int64_t)f->i[i] + f->offset[i];
	if (t->shape == VGPU_TEX_LINEAR && (at[0] < 0 || at[0] >= v.n[0])) {
		for (uint32_t c = 0; c < 4; c++)
			out[c] = 0;
		return;
	}
	texel(&v, at, out);
}

/* ---- the door ------------------------------------------------------------------------------- */

void rt_texture_sampler(const struct vgpu_tex_desc *desc, struct rt_sampler *ret)
{
	*ret = (struct rt_sampler){
		.address = { desc->address[0], desc->address[1], desc->address[2] },
		.filter = desc->filter,
		.mip_filter = desc->mip_filter,
		.anisotropy = desc->anisotropy < 16 ? desc->anisotropy : 16,
		.normalized = desc->flags & VGPU_TEX_NORMALIZED,
		.seamless = desc->flags & VGPU_TEX_SEAMLESS,
		.bias = rt_f32(desc->bias),
		.min_level = rt_f32(desc->min_level),
		.max_level = rt_f32(desc->max_level),
	};
	for (int i = 0; i < 4; i++)
		ret->border[i] = rt_f32(desc->border[i]);
}

void rt_texture_fetch(const struct rt_texture *t, const struct rt_sampler *s,
		      const struct rt_fetch *f, uint32_t out[4])
{
	static const float here[3] = { 0, 0, 0 };

	if (f->integer && !f->gather) {
		by_texel(t, s, f, out);
	} else if (f->lod == RT_LOD_GRAD) {
		by_gradient(t, s, f, out);
	} else if (f->lod == RT_LOD_LEVEL) {
		between_levels(t, s, f, clamp_lod(t, s, f->level), here, out);
	} else {
		/* .base and fetches outside of pixel shaders: the first level */
		between_levels(t, s, f, clamp_lod(t, s, 0), here, out);
	}
}

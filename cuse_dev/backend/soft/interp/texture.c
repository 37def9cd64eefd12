/* SPDX-License-Identifier: MIT */
/*
 * texture.c - texture and surface instructions, lane by lane: handles looked up, operands fetched.
 *
 * Not here: what a fetch computes (rt/texture.h). A handle that is none, a texture of another shape, or
 * memory that is gone is the kernel's fault, with its place in the PTX.
 */
#include <string.h>

#include "cuse_dev/backend/soft/interp/code.h"
#include "cuse_dev/backend/soft/rt/num.h"
#include "cuse_dev/backend/soft/rt/texture.h"
#include "cuse_dev/backend/soft/simt/texture.h"

static const char *const geom_names[] = { "1d",	  "2d",	   "3d",   "a1d",  "a2d",
					  "cube", "acube", "2dms", "a2dms" };
static const char *const shape_names[] = { "linear",	 "1D",	       "2D",   "3D",
					   "layered 1D", "layered 2D", "cube", "layered cube" };

/* What a lane's handle means; kept while lane after lane has the same one. */
struct bound {
	uint64_t value;
	const struct vgpu_tex_desc *desc;
	struct rt_texture tex;
};

struct bound_sampler {
	uint64_t value;
	bool valid;
	struct rt_sampler s;
};

static uint64_t source(const struct interp_warp *w, const struct interp_ext *x, uint32_t i,
		       uint32_t lane)
{
	return interp_value(w, &x->opnd[x->ir.nd + i], lane);
}

/* Sources that are not there read as 0; 0 is no sampler. */
static bool own_sampler(const struct interp_ext *x)
{
	const struct interp_opnd *o = &x->opnd[x->ir.nd + IR_TEX_S_SAMPLER];

	return o->off == NO_REG && !o->imm;
}

/* A handle, or the address of a variable that holds one. */
static const struct vgpu_tex_desc *find(struct interp_warp *w, uint32_t lane, uint64_t value,
					uint64_t *ret_handle)
{
	const struct simt_textures *t = w->base.grid->textures;
	const struct vgpu_tex_desc *d = simt_textures_find(t, value);
	const uint64_t *p;

	*ret_handle = value;
	if (d || value >> 48 == IR_SAMPLER_TAG || (value & 7))
		return d;
	p = (const uint64_t *)interp_generic_ptr(w, lane, value, 8);
	if (!p)
		return NULL;
	*ret_handle = __atomic_load_n(p, __ATOMIC_RELAXED);
	return simt_textures_find(t, *ret_handle);
}

/* false: the fault is noted. */
static bool bind(struct interp_warp *w, const struct interp_inst *in, uint32_t lane, bool surface,
		 struct bound *b)
{
	const struct interp_ext *x = in->ext;
	uint64_t value = source(w, x, IR_TEX_S_HANDLE, lane), handle;
	const char *what = surface ? "surface" : "texture";
	uint8_t *mem;

	if (b->desc && b->value == value)
		return true;
	b->value = value;
	b->desc = find(w, lane, value, &handle);
	if (!b->desc) {
		interp_fault(w, in, 700, (int)lane, handle, "0x%llx is no %s",
			     (unsigned long long)handle, what);
		return false;
	}
	if (!(b->desc->flags & VGPU_TEX_SURFACE) == surface) {
		interp_fault(w, in, 700, (int)lane, handle, "0x%llx is no %s but a %s",
			     (unsigned long long)handle, what, surface ? "texture" : "surface");
		return false;
	}
	mem = interp_generic_ptr(w, lane, b->desc->va, b->desc->bytes);
	if (!mem || !rt_texture_open(b->desc, mem, &b->tex)) {
		interp_fault(w, in, 700, (int)lane, b->desc->va, "the memory of %s 0x%llx is gone",
			     what, (unsigned long long)handle);
		return false;
	}
	return true;
}

static bool shape_fits(uint32_t geom, uint32_t shape, bool surface)
{
	switch (geom) {
	case IR_GEOM_1D:
		return shape == VGPU_TEX_1D || shape == VGPU_TEX_LINEAR;
	case IR_GEOM_2D:
		return shape == VGPU_TEX_2D;
	case IR_GEOM_3D:
		return shape == VGPU_TEX_3D;
	case IR_GEOM_A1D:
		return shape == VGPU_TEX_1D_LAYERED;
	case IR_GEOM_A2D: /* to surfaces faces are layers */
		return shape == VGPU_TEX_2D_LAYERED || (surface && shape >= VGPU_TEX_CUBE);
	case IR_GEOM_CUBE:
		return shape == VGPU_TEX_CUBE;
	case IR_GEOM_ACUBE:
		return shape == VGPU_TEX_CUBE_LAYERED;
	default: /* nothing makes textures with several samples */
		return false;
	}
}

static bool check_shape(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			const struct bound *b, bool surface)
{
	uint32_t geom = in->ext->ir.sub, shape = b->tex.shape;

	if (shape_fits(geom, shape, surface))
		return true;
	interp_fault(w, in, 715, (int)lane, b->value, "geometry .%s for a %s %s", geom_names[geom],
		     shape < 8 ? shape_names[shape] : "broken", surface ? "surface" : "texture");
	return false;
}

/* ---- samplers -------------------------------------------------------------------------------- */

static void sampler_inline(const struct vgpu_tex_desc *d, uint64_t value, struct rt_sampler *s)
{
	rt_texture_sampler(d, s);
	for (uint32_t i = 0; i < 3; i++)
		s->address[i] = value >> (4 * i) & 3;
	s->filter = value >> 12 & 1;
	s->mip_filter = s->filter;
	s->normalized = s->normalized && !(value >> 13 & 1);
}

static bool bind_sampler(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			 const struct bound *b, struct bound_sampler *s)
{
	const struct interp_ext *x = in->ext;
	const struct vgpu_tex_desc *d;
	uint64_t value = b->value, handle;

	if (!own_sampler(x))
		value = source(w, x, IR_TEX_S_SAMPLER, lane);
	if (s->valid && s->value == value)
		return true;
	s->value = value;
	s->valid = true;
	if (own_sampler(x)) {
		rt_texture_sampler(b->desc, &s->s);
		return true;
	}
	d = find(w, lane, value, &handle);
	if (d) {
		rt_texture_sampler(d, &s->s);
		return true;
	}
	if (handle >> 48 == IR_SAMPLER_TAG) {
		sampler_inline(b->desc, handle, &s->s);
		return true;
	}
	interp_fault(w, in, 700, (int)lane, handle, "0x%llx is no sampler",
		     (unsigned long long)handle);
	return false;
}

/* ---- tex, tld4 ------------------------------------------------------------------------------- */

static float float_source(const struct interp_warp *w, const struct interp_ext *x, uint32_t i,
			  uint32_t lane)
{
	return rt_f32((uint32_t)source(w, x, i, lane));
}

static int32_t int_source(const struct interp_warp *w, const struct interp_ext *x, uint32_t i,
			  uint32_t lane)
{
	return (int32_t)source(w, x, i, lane);
}

static void read_fetch(const struct interp_warp *w, const struct interp_ext *x, uint32_t lane,
		       struct rt_fetch *f)
{
	uint32_t lod = (uint32_t)x->ir.offset & 15;

	f->integer = x->ir.type2 == IR_S32;
	f->gather = (uint8_t)(x->ir.offset >> 4);
	f->lod = lod == IR_TEX_LEVEL  ? RT_LOD_LEVEL
		 : lod == IR_TEX_GRAD ? RT_LOD_GRAD
				      : RT_LOD_BASE;
	f->layer = (uint32_t)int_source(w, x, IR_TEX_S_LAYER, lane);
	for (uint32_t i = 0; i < 3; i++) {
		if (f->integer)
			f->i[i] = int_source(w, x, IR_TEX_S_COORD + i, lane);
		else
			f->f[i] = float_source(w, x, IR_TEX_S_COORD + i, lane);
		f->offset[i] = int_source(w, x, IR_TEX_S_OFFSET + i, lane);
		if (f->lod != RT_LOD_GRAD)
			continue;
		f->dx[i] = float_source(w, x, IR_TEX_S_DX + i, lane);
		f->dy[i] = float_source(w, x, IR_TEX_S_DY + i, lane);
	}
	if (f->lod == RT_LOD_LEVEL)
		f->level = f->integer ? (float)int_source(w, x, IR_TEX_S_LEVEL, lane)
				      : float_source(w, x, IR_TEX_S_LEVEL, lane);
}

/* Values into results of the instruction's type; .f16 and .f16x2 are made of floats. */
static void write_results(struct interp_warp *w, const struct interp_ext *x, uint32_t lane,
			  const struct rt_texture *t, const uint32_t v[4])
{
	uint16_t h[4];

	for (uint32_t i = 0; i < 4; i++)
		h[i] = t->floats ? rt_f32_to_f16(rt_f32(v[i])) : (uint16_t)v[i];
	for (uint32_t i = 0; i < 4; i++) {
		const struct interp_opnd *o = &x->opnd[i];
		uint32_t value = v[i];

		if (o->off == NO_REG)
			continue;
		if (x->ir.type == IR_F16)
			value = h[i];
		else if (x->ir.type == IR_F16X2)
			value = i < 2 ? h[2 * i] | (uint32_t)h[2 * i + 1] << 16 : 0;
		interp_put(w, o->off, o->bits, lane, value, 0);
	}
	if (x->opnd[4].off != NO_REG)
		interp_put(w, x->opnd[4].off, 1, lane, 1, 0);
}

const struct interp_inst *interp_op_tex(struct interp_warp *w, const struct interp_inst *in)
{
	struct bound_sampler sampler = { .valid = false };
	const struct interp_ext *x = in->ext;
	struct bound b = { .desc = NULL };
	struct rt_fetch f = { .lod = 0 };

	w->cur = in;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m), v[4];

		if (!bind(w, in, lane, false, &b) || !check_shape(w, in, lane, &b, false) ||
		    !bind_sampler(w, in, lane, &b, &sampler))
			return NULL;
		read_fetch(w, x, lane, &f);
		if (b.tex.shape == VGPU_TEX_LINEAR && !f.integer) {
			f.integer = true;
			f.i[0] = rt_f32_to_s32(f.f[0]);
		}
		rt_texture_fetch(&b.tex, &sampler.s, &f, v);
		f.integer = x->ir.type2 == IR_S32;
		write_results(w, x, lane, &b.tex, v);
	}
	return in + 1;
}

/* ---- txq, suq, istypep ----------------------------------------------------------------------- */

/* The enumerations of OpenCL, as the PTX ISA wants them. */
static uint32_t data_type(const struct rt_texture *t)
{
	switch (t->kind) {
	case VGPU_TEX_UINT:
		if (t->floats)
			return t->size == 1 ? 0x10d2 : 0x10d3;
		return t->size == 1 ? 0x10da : t->size == 2 ? 0x10db : 0x10dc;
	case VGPU_TEX_SINT:
		if (t->floats)
			return t->size == 1 ? 0x10d0 : 0x10d1;
		return t->size == 1 ? 0x10d7 : t->size == 2 ? 0x10d8 : 0x10d9;
	case VGPU_TEX_FLOAT:
		return t->size == 2 ? 0x10dd : 0x10de;
	case VGPU_TEX_UNORM:
		return t->size == 1 ? 0x10d2 : 0x10d3;
	default:
		return t->size == 1 ? 0x10d0 : 0x10d1;
	}
}

/* wrap, mirror, clamp_ogl, clamp_to_edge, clamp_to_border */
static uint32_t address_mode(uint32_t mode)
{
	static const uint8_t modes[] = { 0, 3, 1, 4 };

	return modes[mode & 3];
}

static uint32_t query_sampler(const struct rt_sampler *s, enum ir_query q)
{
	switch (q) {
	case IR_QUERY_FILTER:
		return s->filter;
	case IR_QUERY_FORCE_UNNORMALIZED:
		return !s->normalized;
	default:
		return address_mode(s->address[q - IR_QUERY_ADDR_0]);
	}
}

static uint32_t query(const struct bound *b, enum ir_query q, uint32_t level)
{
	const struct rt_texture *t = &b->tex;
	struct rt_sampler s;
	uint32_t n[3];

	rt_texture_size(t, level, n);
	switch (q) {
	case IR_QUERY_WIDTH:
		return n[0];
	case IR_QUERY_HEIGHT:
		return n[1];
	case IR_QUERY_DEPTH:
		return t->shape == VGPU_TEX_3D ? n[2] : 1;
	case IR_QUERY_ARRAY_SIZE:
		return t->shape == VGPU_TEX_3D ? 1 : n[2];
	case IR_QUERY_DATA_TYPE:
		return data_type(t);
	case IR_QUERY_ORDER:
		return t->channels == 1 ? 0x10b0 : t->channels == 2 ? 0x10b2 : 0x10b5;
	case IR_QUERY_NORMALIZED:
		return !!(t->flags & VGPU_TEX_NORMALIZED);
	case IR_QUERY_LEVELS:
		return t->levels;
	case IR_QUERY_SAMPLES:
		return 1;
	case IR_QUERY_MEMORY_LAYOUT:
		return 0; /* rows */
	default:
		rt_texture_sampler(b->desc, &s);
		return query_sampler(&s, q);
	}
}

static bool is_sampler_query(uint32_t q)
{
	return q == IR_QUERY_FILTER || q == IR_QUERY_FORCE_UNNORMALIZED ||
	       (q >= IR_QUERY_ADDR_0 && q <= IR_QUERY_ADDR_2);
}

const struct interp_inst *interp_op_txq(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	struct bound b = { .desc = NULL };

	w->cur = in;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m), v;
		uint64_t value = source(w, x, IR_TEX_S_HANDLE, lane), handle;
		const struct vgpu_tex_desc *d = find(w, lane, value, &handle);
		static const struct vgpu_tex_desc none;
		struct rt_sampler s;

		if (!d && handle >> 48 == IR_SAMPLER_TAG && is_sampler_query(x->ir.sub)) {
			sampler_inline(&none, handle, &s);
			v = query_sampler(&s, x->ir.sub);
			if (x->ir.sub == IR_QUERY_FORCE_UNNORMALIZED)
				v = handle >> 13 & 1;
		} else {
			if (!bind(w, in, lane, d && d->flags & VGPU_TEX_SURFACE, &b))
				return NULL;
			v = query(&b, x->ir.sub, (uint32_t)int_source(w, x, 1, lane));
		}
		if (x->opnd[0].off != NO_REG)
			interp_put(w, x->opnd[0].off, x->opnd[0].bits, lane, v, 0);
	}
	return in + 1;
}

const struct interp_inst *interp_op_istypep(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;

	w->cur = in;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m), is = 1;
		uint64_t handle;
		const struct vgpu_tex_desc *d = find(w, lane, source(w, x, 0, lane), &handle);

		if (d)
			is = d->flags & VGPU_TEX_SURFACE ? 2 : 0;
		else if (handle >> 48 != IR_SAMPLER_TAG)
			is = UINT32_MAX;
		if (x->opnd[0].off != NO_REG)
			interp_put(w, x->opnd[0].off, 1, lane, is == x->ir.sub, 0);
	}
	return in + 1;
}

/* ---- suld, sust, sured ----------------------------------------------------------------------- */

/* Where a lane's access goes. *ret_ptr NULL: outside, and that is allowed. false: fault noted. */
static bool surface_place(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			  const struct bound *b, uint32_t bytes, uint8_t **ret_ptr)
{
	const struct interp_ext *x = in->ext;
	uint32_t edge = (uint32_t)x->ir.offset & 15;
	bool formatted = x->ir.offset >> 4 & 1;
	int64_t at = int_source(w, x, IR_TEX_S_COORD, lane);
	int64_t y = int_source(w, x, IR_TEX_S_COORD + 1, lane);
	int64_t z = int_source(w, x, IR_TEX_S_COORD + 2, lane);

	if (b->tex.shape == VGPU_TEX_1D_LAYERED || b->tex.shape >= VGPU_TEX_2D_LAYERED)
		z = int_source(w, x, IR_TEX_S_LAYER, lane);
	if (formatted) {
		bytes = b->tex.channels * b->tex.size;
		at *= bytes;
	} else if (at % bytes) {
		interp_fault(w, in, 716, (int)lane, (uint64_t)at,
			     "misaligned access to a surface at byte %lld, %u bytes", (long long)at,
			     bytes);
		return false;
	}
	*ret_ptr = rt_surface_at(&b->tex, at, bytes, y, z,
				 edge == IR_EDGE_CLAMP	? RT_EDGE_CLAMP
				 : edge == IR_EDGE_ZERO ? RT_EDGE_ZERO
							: RT_EDGE_TRAP);
	if (*ret_ptr || edge == IR_EDGE_ZERO)
		return true;
	interp_fault(w, in, 719, (int)lane, (uint64_t)at,
		     "access outside of a surface at x %lld%s, y %lld, z %lld", (long long)at,
		     formatted ? "" : " bytes", (long long)y, (long long)z);
	return false;
}

static bool surface_bind(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			 struct bound *b)
{
	return bind(w, in, lane, true, b) && check_shape(w, in, lane, b, true);
}

const struct interp_inst *interp_op_suld(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	uint32_t size = ir_type_bits(x->ir.type) / 8, n = x->ir.nd;
	struct bound b = { .desc = NULL };

	w->cur = in;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m), v[4];
		bool formatted = x->ir.offset >> 4 & 1;
		uint64_t value[4] = { 0 };
		uint8_t *p;

		if (!surface_bind(w, in, lane, &b) || !surface_place(w, in, lane, &b, size * n, &p))
			return NULL;
		if (p && formatted)
			rt_texel_decode(&b.tex, p, v);
		for (uint32_t i = 0; p && i < n; i++) {
			if (formatted)
				value[i] = v[i];
			else
				memcpy(&value[i], p + i * size, size);
		}
		for (uint32_t i = 0; i < n; i++)
			if (x->opnd[i].off != NO_REG)
				interp_put(w, x->opnd[i].off, x->opnd[i].bits, lane, value[i], 0);
	}
	return in + 1;
}

const struct interp_inst *interp_op_sust(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	uint32_t size = ir_type_bits(x->ir.type) / 8, n = x->ir.ns - IR_SURF_SOURCES;
	struct bound b = { .desc = NULL };

	w->cur = in;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m), v[4] = { 0 };
		bool formatted = x->ir.offset >> 4 & 1;
		uint8_t *p;

		if (!surface_bind(w, in, lane, &b) || !surface_place(w, in, lane, &b, size * n, &p))
			return NULL;
		for (uint32_t i = 0; p && i < n; i++) {
			uint64_t value = source(w, x, IR_SURF_SOURCES + i, lane);

			if (formatted)
				v[i] = (uint32_t)value;
			else
				memcpy(p + i * size, &value, size);
		}
		if (p && formatted)
			rt_texel_encode(&b.tex, v, p);
	}
	return in + 1;
}

static uint64_t reduced(uint64_t old, uint64_t v, uint32_t atom, uint8_t type)
{
	bool sign = ir_type_signed(type), wide = ir_type_bits(type) == 64, less;

	if (sign)
		less = wide ? (int64_t)v < (int64_t)old : (int32_t)v < (int32_t)old;
	else
		less = wide ? v < old : (uint32_t)v < (uint32_t)old;
	switch (atom) {
	case IR_ATOM_ADD:
		return old + v;
	case IR_ATOM_MIN:
		return less ? v : old;
	case IR_ATOM_MAX:
		return less ? old : v;
	case IR_ATOM_AND:
		return old & v;
	default:
		return old | v;
	}
}

static void reduce(uint8_t *p, uint64_t v, uint32_t atom, uint8_t type)
{
	if (ir_type_bits(type) == 64) {
		uint64_t old = __atomic_load_n((uint64_t *)p, __ATOMIC_RELAXED);

		while (!__atomic_compare_exchange_n((uint64_t *)p, &old,
						    reduced(old, v, atom, type), true,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			;
	} else {
		uint32_t old = __atomic_load_n((uint32_t *)p, __ATOMIC_RELAXED);

		while (!__atomic_compare_exchange_n((uint32_t *)p, &old,
						    (uint32_t)reduced(old, v, atom, type), true,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			;
	}
}

const struct interp_inst *interp_op_sured(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	uint32_t size = ir_type_bits(x->ir.type) / 8;
	struct bound b = { .desc = NULL };

	w->cur = in;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);
		uint8_t *p;

		if (!surface_bind(w, in, lane, &b) || !surface_place(w, in, lane, &b, size, &p))
			return NULL;
		if (p && ((uintptr_t)p & (size - 1) ||
			  (x->ir.offset >> 4 & 1 && b.tex.channels * b.tex.size < size)))
			return interp_fault(w, in, 716, (int)lane, 0,
					    "a reduction of %u bytes on texels of %u", size,
					    b.tex.channels * b.tex.size);
		if (p)
			reduce(p, source(w, x, IR_SURF_SOURCES, lane),
			       (uint32_t)(x->ir.offset >> 8), x->ir.type);
	}
	return in + 1;
}

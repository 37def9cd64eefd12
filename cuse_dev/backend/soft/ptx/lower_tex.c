/* SPDX-License-Identifier: MIT */
/*
 * lower_tex.c - textures and surfaces (ISA 9.7.10, 9.7.11).
 *
 * The first name in [ ] is a handle in a register, or a .texref or .surfref variable: its address
 * then stands for the handle that the driver puts there. With a third part in [ ] the second is the
 * sampler, as in the independent mode.
 */
#include "cuse_dev/backend/soft/ptx/lower.h"

#include <string.h>

/* Takes the modifier @text, which ptx_mod.def may know as something else. */
static bool word(struct ptx_lower *l, const char *text)
{
	size_t n = strlen(text);

	for (uint32_t i = 0; i < l->in->nmods; i++) {
		if (l->used >> i & 1 || l->in->mods[i].len != n ||
		    memcmp(l->in->mods[i].text, text, n))
			continue;
		l->used |= 1u << i;
		return true;
	}
	return false;
}

/* How many coordinates each shape has, and whether a layer (or sample) comes before them. */
static const struct {
	const char *text;
	uint8_t coords, before;
} geoms[] = {
	[IR_GEOM_1D] = { "1d", 1, 0 },	     [IR_GEOM_2D] = { "2d", 2, 0 },
	[IR_GEOM_3D] = { "3d", 3, 0 },	     [IR_GEOM_A1D] = { "a1d", 1, 1 },
	[IR_GEOM_A2D] = { "a2d", 2, 1 },     [IR_GEOM_CUBE] = { "cube", 3, 0 },
	[IR_GEOM_ACUBE] = { "acube", 3, 1 }, [IR_GEOM_2DMS] = { "2dms", 2, 1 },
	[IR_GEOM_A2DMS] = { "a2dms", 2, 2 },
};

static bool take_geom(struct ptx_lower *l, uint8_t *ret_geom)
{
	for (uint8_t i = 0; i < sizeof(geoms) / sizeof(geoms[0]); i++) {
		if (!word(l, geoms[i].text))
			continue;
		*ret_geom = i;
		return true;
	}
	ptx_lo_fail(l, "the geometry is missing");
	return false;
}

/* A handle: a register's value, or the place where one is. */
static struct ir_operand handle(struct ptx_lower *l, const struct ptx_opnd *o)
{
	struct ir_operand at, d;
	struct ir_inst *i;
	uint8_t space;

	if (o->kind != PTX_O_VAR || o->var->space != PTX_SPACE_PARAM)
		return ptx_lo_src(l, o, IR_U64);
	if (!ptx_lo_var(l, o->var, o, &space, &at))
		return ptx_lo_imm(0);
	d = ptx_lo_temp(l, IR_U64);
	i = ptx_lo_emit1(l, IR_OP_LD, IR_U64, d, 1, &at);
	i->type2 = IR_U64;
	i->space = space;
	return d;
}

/* [a, {c}] or [a, s, {c}]; @ret_coords: the vector, or the operand that stands for one. */
static bool take_place(struct ptx_lower *l, const struct ptx_opnd *o, bool sampler,
		       struct ir_operand *s, const struct ptx_opnd **ret_coords)
{
	uint32_t most = sampler ? 3 : 2;

	if (o->kind != PTX_O_MEM || o->nsub < 2 || o->nsub > most || o->offset) {
		ptx_lo_fail(l, "[name, coordinates] is expected");
		return false;
	}
	s[IR_TEX_S_HANDLE] = handle(l, &o->sub[0]);
	s[IR_TEX_S_SAMPLER] = o->nsub == 3 ? handle(l, &o->sub[1]) : ptx_lo_none();
	*ret_coords = &o->sub[o->nsub - 1];
	return true;
}

/* Vectors are padded to 1, 2 or 4: more parts than needed are no error. */
static bool take_vector(struct ptx_lower *l, const struct ptx_opnd *o, uint32_t n, uint8_t type,
			struct ir_operand *ret)
{
	const struct ptx_opnd *parts;

	if (ptx_lo_list(o, &parts) < n) {
		ptx_lo_fail(l, "a vector of %u is expected", n);
		return false;
	}
	for (uint32_t i = 0; i < n; i++)
		ret[i] = ptx_lo_src(l, &parts[i], type);
	return true;
}

static bool take_coords(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t geom, uint8_t type,
			struct ir_operand *s)
{
	uint32_t before = geoms[geom].before;
	const struct ptx_opnd *parts;

	if (ptx_lo_list(o, &parts) < before + geoms[geom].coords) {
		ptx_lo_fail(l, "%u coordinates are expected", before + geoms[geom].coords);
		return false;
	}
	if (before)
		s[IR_TEX_S_LAYER] = ptx_lo_src(l, &parts[0], IR_U32);
	for (uint32_t i = 0; i < geoms[geom].coords; i++)
		s[IR_TEX_S_COORD + i] = ptx_lo_src(l, &parts[before + i], type);
	return true;
}

/* {d0, d1, d2, d3}, alone or with |p that says whether the texels exist. */
static bool take_results(struct ptx_lower *l, const struct ptx_opnd *o, uint32_t n, uint8_t type,
			 struct ir_operand *d)
{
	const struct ptx_opnd *parts;

	for (uint32_t i = 0; i < IR_TEX_RESULTS; i++)
		d[i] = ptx_lo_none();
	if (o->kind == PTX_O_PAIR) {
		d[IR_TEX_RESULTS - 1] = ptx_lo_dst(l, &o->sub[1], IR_PRED);
		o = &o->sub[0];
	}
	if (ptx_lo_list(o, &parts) != n) {
		ptx_lo_fail(l, "a vector of %u is expected", n);
		return false;
	}
	for (uint32_t i = 0; i < n; i++)
		d[i] = ptx_lo_dst_wide(l, &parts[i], type);
	return true;
}

/* Offsets of whole texels may follow, and then a depth to compare with, which nothing here has. */
static bool take_rest(struct ptx_lower *l, uint32_t at, uint8_t geom, struct ir_operand *s)
{
	const struct ptx_opnd *o = ptx_lo_opnd(l, at), *parts;
	uint32_t n = geoms[geom].coords;

	if (l->in->nopnds == at)
		return true;
	if (l->in->nopnds > at + 1 || ptx_lo_list(o, &parts) < n || geom == IR_GEOM_CUBE ||
	    geom == IR_GEOM_ACUBE) {
		ptx_lo_refuse(l);
		return false;
	}
	return take_vector(l, o, n, IR_S32, &s[IR_TEX_S_OFFSET]);
}

static void no_sources(struct ir_operand *s)
{
	for (uint32_t i = 0; i < IR_TEX_SOURCES; i++)
		s[i] = ptx_lo_none();
}

/* tex{.base,.level,.grad}.geom.v4.dtype.ctype d{|p}, [a{, s}, c]{, lod or dPdx, dPdy}{, e}{, f} */
static void fetch(struct ptx_lower *l, uint32_t component)
{
	struct ir_operand d[IR_TEX_RESULTS], s[IR_TEX_SOURCES];
	bool level = word(l, "level"), grad = word(l, "grad"), base = word(l, "base");
	uint8_t geom, dtype, ctype, vec = 1;
	const struct ptx_opnd *coords;
	uint32_t rest = level ? 3 : grad ? 4 : 2;
	struct ir_inst *i;

	no_sources(s);
	if (!take_geom(l, &geom) || !ptx_lo_count(l, rest, rest + 2))
		return;
	ptx_lo_kind(l, PTX_KIND_VEC, &vec);
	dtype = ptx_lo_type(l);
	ctype = ptx_lo_type(l);
	if (ctype != IR_F32 && ctype != IR_S32) {
		ptx_lo_fail(l, "coordinates are .s32 or .f32");
		return;
	}
	if (!take_results(l, ptx_lo_opnd(l, 0), vec, dtype, d) ||
	    !take_place(l, ptx_lo_opnd(l, 1), true, s, &coords) ||
	    !take_coords(l, coords, geom, ctype, s))
		return;
	if (level)
		s[IR_TEX_S_LEVEL] = ptx_lo_src(l, ptx_lo_opnd(l, 2), ctype);
	if (grad &&
	    (!take_vector(l, ptx_lo_opnd(l, 2), geoms[geom].coords, IR_F32, &s[IR_TEX_S_DX]) ||
	     !take_vector(l, ptx_lo_opnd(l, 3), geoms[geom].coords, IR_F32, &s[IR_TEX_S_DY])))
		return;
	if (!take_rest(l, rest, geom, s))
		return;
	i = ptx_lo_emit(l, IR_OP_TEX, dtype, IR_TEX_RESULTS, d, IR_TEX_SOURCES, s);
	i->type2 = ctype;
	i->sub = geom;
	i->offset = IR_TEX_MODE(level && !base ? IR_TEX_LEVEL
				: grad	       ? IR_TEX_GRAD
					       : IR_TEX_BASE,
				component);
}

void ptx_lower_tex(struct ptx_lower *l, enum ir_op op)
{
	fetch(l, 0);
}

/* tld4.comp.geom.v4.dtype.f32 d{|p}, [a{, s}, c]{, e}{, f} */
void ptx_lower_tld4(struct ptx_lower *l, enum ir_op op)
{
	static const char *const comps[] = { "r", "g", "b", "a" };

	for (uint32_t i = 0; i < 4; i++) {
		if (!word(l, comps[i]))
			continue;
		fetch(l, i + 1);
		return;
	}
	ptx_lo_fail(l, "the component is missing");
}

/* txq{.level}.query.b32 d, [a]{, lod}; suq.query.b32 d, [a] */
void ptx_lower_txq(struct ptx_lower *l, enum ir_op op)
{
	static const char *const queries[] = {
#define X(NAME, text) text,
		IR_QUERIES(X)
#undef X
	};
	bool level = word(l, "level");
	const struct ptx_opnd *a = ptx_lo_opnd(l, 1);
	struct ir_operand s[2], d;
	struct ir_inst *i;
	uint8_t q;

	for (q = 0; q < sizeof(queries) / sizeof(queries[0]); q++)
		if (word(l, queries[q]))
			break;
	if (q == sizeof(queries) / sizeof(queries[0])) {
		ptx_lo_fail(l, "the query is missing");
		return;
	}
	if (!ptx_lo_count(l, level ? 3 : 2, level ? 3 : 2))
		return;
	if (a->kind != PTX_O_MEM || a->nsub != 1 || a->offset) {
		ptx_lo_fail(l, "[name] is expected");
		return;
	}
	ptx_lo_type(l);
	d = ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_U32);
	s[0] = handle(l, &a->sub[0]);
	s[1] = level ? ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U32) : ptx_lo_none();
	i = ptx_lo_emit1(l, IR_OP_TXQ, IR_U32, d, 2, s);
	i->sub = q;
}

/* istypep.type p, a */
void ptx_lower_istypep(struct ptx_lower *l, enum ir_op op)
{
	static const char *const types[] = { "texref", "samplerref", "surfref" };
	struct ir_operand d, s;
	struct ir_inst *i;

	if (!ptx_lo_count(l, 2, 2))
		return;
	for (uint8_t k = 0; k < 3; k++) {
		if (!word(l, types[k]))
			continue;
		d = ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_PRED);
		s = handle(l, ptx_lo_opnd(l, 1));
		i = ptx_lo_emit1(l, IR_OP_ISTYPEP, IR_PRED, d, 1, &s);
		i->sub = k;
		return;
	}
	ptx_lo_fail(l, "the type is missing");
}

/* ---- surfaces -------------------------------------------------------------------------------- */

/* .b or .p, the geometry, what happens outside. */
static bool take_surface(struct ptx_lower *l, uint8_t *ret_geom, int64_t *ret_mode)
{
	bool formatted = word(l, "p");
	int64_t edge = IR_EDGE_TRAP;

	if (!formatted && !word(l, "b")) {
		ptx_lo_fail(l, ".b or .p is missing");
		return false;
	}
	if (word(l, "clamp"))
		edge = IR_EDGE_CLAMP;
	else if (word(l, "zero"))
		edge = IR_EDGE_ZERO;
	else
		word(l, "trap");
	*ret_mode = IR_SURF_MODE(edge, formatted, 0);
	if (!take_geom(l, ret_geom))
		return false;
	if (*ret_geom > IR_GEOM_A2D) {
		ptx_lo_fail(l, "no surface has this geometry");
		return false;
	}
	ptx_lo_ignore(l, PTX_KIND_CACHE);
	return true;
}

static bool surface_place(struct ptx_lower *l, uint32_t at, uint8_t geom, struct ir_operand *s)
{
	const struct ptx_opnd *coords;

	no_sources(s);
	return take_place(l, ptx_lo_opnd(l, at), false, s, &coords) &&
	       take_coords(l, coords, geom, IR_S32, s);
}

/* suld.b.geom{.cop}{.vec}.dtype.clamp d, [a, b] */
void ptx_lower_suld(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand d[IR_TEX_RESULTS], s[IR_TEX_SOURCES];
	uint8_t geom, vec = 1, type;
	struct ir_inst *i;
	int64_t mode;

	if (!take_surface(l, &geom, &mode) || !ptx_lo_count(l, 2, 2))
		return;
	ptx_lo_kind(l, PTX_KIND_VEC, &vec);
	type = ptx_lo_type(l);
	if (vec > 4 || !take_results(l, ptx_lo_opnd(l, 0), vec, type, d) ||
	    !surface_place(l, 1, geom, s))
		return;
	i = ptx_lo_emit(l, IR_OP_SULD, type, vec, d, IR_SURF_SOURCES, s);
	i->sub = geom;
	i->offset = mode;
}

/* sust.b.geom{.cop}{.vec}.ctype.clamp [a, b], c */
void ptx_lower_sust(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand s[IR_TEX_SOURCES];
	const struct ptx_opnd *parts;
	uint8_t geom, vec = 1, type;
	struct ir_inst *i;
	int64_t mode;

	if (!take_surface(l, &geom, &mode) || !ptx_lo_count(l, 2, 2))
		return;
	ptx_lo_kind(l, PTX_KIND_VEC, &vec);
	type = ptx_lo_type(l);
	if (vec > 4 || !surface_place(l, 0, geom, s))
		return;
	if (ptx_lo_list(ptx_lo_opnd(l, 1), &parts) != vec) {
		ptx_lo_fail(l, "a vector of %u is expected", vec);
		return;
	}
	for (uint32_t k = 0; k < vec; k++)
		s[IR_SURF_SOURCES + k] = ptx_lo_src_wide(l, &parts[k], type);
	i = ptx_lo_emit(l, IR_OP_SUST, type, 0, NULL, IR_SURF_SOURCES + vec, s);
	i->sub = geom;
	i->offset = mode;
}

/* sured.b.op.geom.ctype.clamp [a, b], c */
void ptx_lower_sured(struct ptx_lower *l, enum ir_op op)
{
	static const struct {
		const char *text;
		uint8_t atom;
	} ops[] = { { "add", IR_ATOM_ADD },
		    { "min", IR_ATOM_MIN },
		    { "max", IR_ATOM_MAX },
		    { "and", IR_ATOM_AND },
		    { "or", IR_ATOM_OR } };
	struct ir_operand s[IR_TEX_SOURCES];
	uint8_t geom, type;
	struct ir_inst *i;
	int64_t mode;
	uint32_t k;

	for (k = 0; k < 5; k++)
		if (word(l, ops[k].text))
			break;
	if (k == 5) {
		ptx_lo_fail(l, "the operation is missing");
		return;
	}
	if (!take_surface(l, &geom, &mode) || !ptx_lo_count(l, 2, 2))
		return;
	type = ptx_lo_type(l);
	if (ptx_lo_bits(type) < 32 || ptx_lo_is_float(type)) {
		ptx_lo_fail(l, "the type must be an integer of 32 or 64 bits");
		return;
	}
	if (!surface_place(l, 0, geom, s))
		return;
	s[IR_SURF_SOURCES] = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
	i = ptx_lo_emit(l, IR_OP_SURED, type, 0, NULL, IR_SURF_SOURCES + 1, s);
	i->sub = geom;
	i->offset = mode | IR_SURF_MODE(0, 0, ops[k].atom);
}

/* SPDX-License-Identifier: MIT */
/*
 * lower_tma.c - tensor copies and tensor maps (ISA 9.7.9.27, 9.7.9.28).
 *
 *	cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier... [d], [map, {x, y}], [mbar]
 *	cp.tensor sub=load off=... %map, 0, %x, %y, %d, at, %mbar, at, _
 */
#include "cuse_dev/backend/soft/ptx/lower.h"

#define SOURCES_MOST 20

struct tensor {
	uint32_t dim, mode, sub, atom, coords, offsets;
	struct ir_operand s[SOURCES_MOST];
	uint32_t n;
};

static bool take_dim(struct ptx_lower *l, struct tensor *t)
{
	for (t->dim = 1; t->dim <= 5; t->dim++)
		if (ptx_lo_mod(l, (enum ptx_mod)(PTX_MOD_DIM_1D + t->dim - 1)))
			return true;
	ptx_lo_fail(l, "the number of dimensions is missing");
	return false;
}

/* How many offsets the mode wants. false: refused or wrong. */
static bool take_mode(struct ptx_lower *l, struct tensor *t)
{
	static const struct {
		uint16_t word;
		uint8_t mode;
	} modes[] = { { PTX_MOD_TILE_GATHER4, IR_TENSOR_TILE4 },
		      { PTX_MOD_TILE_SCATTER4, IR_TENSOR_TILE4 },
		      { PTX_MOD_TILE, IR_TENSOR_TILE },
		      { PTX_MOD_IM2COL_NO_OFFS, IR_TENSOR_IM2COL },
		      { PTX_MOD_IM2COL, IR_TENSOR_IM2COL },
		      { PTX_MOD_IM2COL_W, IR_TENSOR_IM2COL_W },
		      { PTX_MOD_IM2COL_W_128, IR_TENSOR_IM2COL_W_128 } };
	bool reads = t->sub == IR_TENSOR_LOAD || t->sub == IR_TENSOR_PREFETCH;
	uint32_t i, n = sizeof(modes) / sizeof(modes[0]);
	uint16_t word = 0;

	for (i = 0; i < n; i++)
		if (ptx_lo_mod(l, (enum ptx_mod)modes[i].word))
			break;
	t->mode = i < n ? modes[i].mode : IR_TENSOR_TILE;
	word = i < n ? modes[i].word : PTX_MOD_TILE;
	t->coords = t->mode == IR_TENSOR_TILE4 ? 5 : t->dim;
	if (t->mode >= IR_TENSOR_IM2COL_W) {
		ptx_lo_refuse(l);
		return false;
	}
	if (word != PTX_MOD_TILE &&
	    ((word == PTX_MOD_TILE_GATHER4 || word == PTX_MOD_IM2COL) != reads ||
	     (t->sub == IR_TENSOR_RED && t->mode == IR_TENSOR_TILE4))) {
		ptx_lo_fail(l, "this mode cannot stand here");
		return false;
	}
	if ((t->mode == IR_TENSOR_TILE4 && t->dim != 2) ||
	    (t->mode == IR_TENSOR_IM2COL && t->dim < 3)) {
		ptx_lo_fail(l, "this mode does not go with %u dimensions", t->dim);
		return false;
	}
	t->offsets = word == PTX_MOD_IM2COL ? t->dim - 2 : 0;
	return true;
}

/* [map, {coordinates}] */
static bool take_map(struct ptx_lower *l, const struct ptx_opnd *o, struct tensor *t)
{
	struct ptx_opnd map = *o;
	const struct ptx_opnd *part;
	uint32_t n;

	if (o->kind != PTX_O_MEM || o->nsub != 2) {
		ptx_lo_fail(l, "[map, {coordinates}] is expected");
		return false;
	}
	map.nsub = 1;
	if (!ptx_lo_place(l, &map, false, IR_SPACE_GENERIC, t->s))
		return false;
	n = ptx_lo_list(&o->sub[1], &part);
	if (n != t->coords) {
		ptx_lo_fail(l, "%u coordinates, not %u", n, t->coords);
		return false;
	}
	t->n = 2;
	for (uint32_t i = 0; i < n; i++)
		t->s[t->n++] = ptx_lo_src(l, &part[i], IR_S32);
	return true;
}

static bool take_shared(struct ptx_lower *l, const struct ptx_opnd *o, struct tensor *t)
{
	if (!ptx_lo_place(l, o, true, IR_SPACE_SHARED, t->s + t->n))
		return false;
	t->n += 2;
	return true;
}

static bool take_offsets(struct ptx_lower *l, const struct ptx_opnd *o, struct tensor *t)
{
	const struct ptx_opnd *part;

	if (ptx_lo_list(o, &part) != t->offsets) {
		ptx_lo_fail(l, "%u offsets are expected", t->offsets);
		return false;
	}
	for (uint32_t i = 0; i < t->offsets; i++)
		t->s[t->n++] = ptx_lo_src(l, &part[i], IR_U16);
	return true;
}

static void emit(struct ptx_lower *l, const struct tensor *t)
{
	struct ir_inst *i = ptx_lo_emit(l, IR_OP_CP_TENSOR, IR_NONE, 0, NULL, t->n, t->s);

	i->sub = (uint8_t)t->sub;
	i->offset = IR_TENSOR(t->mode, t->coords, t->offsets, t->atom);
}

/* [shared], [map, {..}], [mbar] {, offsets} {, block mask} {, policy} */
static void load(struct ptx_lower *l, struct tensor *t)
{
	bool multicast = ptx_lo_mod(l, PTX_MOD_MULTICAST), hint = ptx_lo_cache_hint(l);
	uint32_t k = 3, want = 3u + (t->offsets > 0) + multicast + hint;

	if (!ptx_lo_mod(l, PTX_MOD_MBARRIER_BYTES)) {
		ptx_lo_fail(l, ".mbarrier::complete_tx::bytes is expected");
		return;
	}
	if (!ptx_lo_count(l, want, want) || !take_map(l, ptx_lo_opnd(l, 1), t) ||
	    !take_shared(l, ptx_lo_opnd(l, 0), t) || !take_shared(l, ptx_lo_opnd(l, 2), t) ||
	    (t->offsets && !take_offsets(l, ptx_lo_opnd(l, k++), t)))
		return;
	t->s[t->n++] = multicast ? ptx_lo_src(l, ptx_lo_opnd(l, k++), IR_U16) : ptx_lo_none();
	if (hint)
		ptx_lo_policy(l, k);
	emit(l, t);
}

/* [map, {..}], [shared] {, policy} */
static void store(struct ptx_lower *l, struct tensor *t)
{
	bool hint = ptx_lo_cache_hint(l);

	if (!ptx_lo_mod(l, PTX_MOD_BULK_GROUP)) {
		ptx_lo_fail(l, ".bulk_group is expected");
		return;
	}
	if (!ptx_lo_count(l, 2u + hint, 2u + hint) || !take_map(l, ptx_lo_opnd(l, 0), t) ||
	    !take_shared(l, ptx_lo_opnd(l, 1), t))
		return;
	if (hint)
		ptx_lo_policy(l, 2);
	emit(l, t);
}

/* [map, {..}] {, offsets} {, policy} */
static void prefetch(struct ptx_lower *l, struct tensor *t)
{
	bool hint = ptx_lo_cache_hint(l);
	uint32_t want = 1u + (t->offsets > 0) + hint;

	if (!ptx_lo_count(l, want, want) || !take_map(l, ptx_lo_opnd(l, 0), t) ||
	    (t->offsets && !take_offsets(l, ptx_lo_opnd(l, 1), t)))
		return;
	if (hint)
		ptx_lo_policy(l, want - 1);
	emit(l, t);
}

void ptx_lo_tensor_copy(struct ptx_lower *l, bool reduce)
{
	bool prefetches = ptx_lo_mod(l, PTX_MOD_PREFETCH);
	uint8_t first = 0, second = 0, atom = 0;
	struct tensor t = { 0 };

	if (!take_dim(l, &t) || (reduce && !ptx_lo_reduction(l, &atom)))
		return;
	t.atom = atom;
	if (!ptx_lo_kind(l, PTX_KIND_SPACE, &first) ||
	    (!prefetches && !ptx_lo_kind(l, PTX_KIND_SPACE, &second)) ||
	    (prefetches ? first != IR_SPACE_GLOBAL
			: (first == IR_SPACE_SHARED) + (second == IR_SPACE_SHARED) != 1)) {
		ptx_lo_fail(l, "bad state spaces");
		return;
	}
	t.sub = prefetches		   ? IR_TENSOR_PREFETCH
		: reduce		   ? IR_TENSOR_RED
		: first == IR_SPACE_SHARED ? IR_TENSOR_LOAD
					   : IR_TENSOR_STORE;
	if (!take_mode(l, &t))
		return;
	if (t.sub == IR_TENSOR_LOAD)
		load(l, &t);
	else if (prefetches)
		prefetch(l, &t);
	else
		store(l, &t);
}

/* ---- tensor maps ----------------------------------------------------------------------------- */

/* Field by the word that names it, and whether a number of a dimension comes before the value. */
static const struct {
	uint16_t word;
	uint8_t field;
	bool ordinal, wide;
} fields[] = {
	{ PTX_MOD_GLOBAL_ADDRESS, IR_TENSORMAP_ADDRESS, false, true },
	{ PTX_MOD_RANK, IR_TENSORMAP_RANK, false, false },
	{ PTX_MOD_BOX_DIM, IR_TENSORMAP_BOX_DIM, true, false },
	{ PTX_MOD_GLOBAL_DIM, IR_TENSORMAP_GLOBAL_DIM, true, false },
	{ PTX_MOD_GLOBAL_STRIDE, IR_TENSORMAP_GLOBAL_STRIDE, true, true },
	{ PTX_MOD_ELEMENT_STRIDE, IR_TENSORMAP_ELEMENT_STRIDE, true, false },
	{ PTX_MOD_ELEMTYPE, IR_TENSORMAP_ELEMTYPE, false, false },
	{ PTX_MOD_INTERLEAVE_LAYOUT, IR_TENSORMAP_INTERLEAVE, false, false },
	{ PTX_MOD_SWIZZLE_MODE, IR_TENSORMAP_SWIZZLE, false, false },
	{ PTX_MOD_FILL_MODE, IR_TENSORMAP_FILL, false, false },
	{ PTX_MOD_SWIZZLE_ATOMICITY, IR_TENSORMAP_ATOMICITY, false, false },
};

/* tensormap.replace.tile.field{.space}.b1024.type [map] {, ordinal}, value */
static void replace(struct ptx_lower *l)
{
	uint32_t k, n = sizeof(fields) / sizeof(fields[0]);
	uint8_t space = IR_SPACE_GENERIC, type;
	struct ir_operand s[4];
	bool has;

	ptx_lo_mod(l, PTX_MOD_TILE);
	for (k = 0; k < n; k++)
		if (ptx_lo_mod(l, (enum ptx_mod)fields[k].word))
			break;
	if (k == n || !ptx_lo_mod(l, PTX_MOD_B1024)) {
		ptx_lo_fail(l, "a field and .b1024 are expected");
		return;
	}
	has = ptx_lo_kind(l, PTX_KIND_SPACE, &space);
	type = ptx_lo_type(l);
	if (type != (fields[k].wide ? IR_U64 : IR_U32)) {
		ptx_lo_fail(l, "the type must be %s", fields[k].wide ? ".b64" : ".b32");
		return;
	}
	if (!ptx_lo_count(l, 2u + fields[k].ordinal, 2u + fields[k].ordinal) ||
	    !ptx_lo_place(l, ptx_lo_opnd(l, 0), has, space, s))
		return;
	s[2] = fields[k].ordinal ? ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U32) : ptx_lo_none();
	s[3] = ptx_lo_src(l, ptx_lo_opnd(l, 1u + fields[k].ordinal), type);
	ptx_lo_emit(l, IR_OP_TENSORMAP, type, 0, NULL, 4, s)->sub = fields[k].field;
}

/*
 * cp_fenceproxy.global.shared::cta.tensormap::generic.release.scope.sync.aligned [dst], [src], 128
 * All lanes say the same; each copies it.
 */
static void copy_fence(struct ptx_lower *l)
{
	uint8_t to = 0, from = 0, sem, scope;
	struct ir_operand s[9];

	ptx_lo_mod(l, PTX_MOD_TENSORMAP_GENERIC);
	ptx_lo_mod(l, PTX_MOD_SYNC);
	ptx_lo_mod(l, PTX_MOD_ALIGNED);
	ptx_lo_kind(l, PTX_KIND_SEM, &sem);
	ptx_lo_kind(l, PTX_KIND_SCOPE, &scope);
	if (!ptx_lo_kind(l, PTX_KIND_SPACE, &to) || !ptx_lo_kind(l, PTX_KIND_SPACE, &from) ||
	    to != IR_SPACE_GLOBAL || from != IR_SPACE_SHARED) {
		ptx_lo_fail(l, ".global.shared::cta is expected");
		return;
	}
	if (!ptx_lo_count(l, 3, 3) || !ptx_lo_place(l, ptx_lo_opnd(l, 0), true, to, s) ||
	    !ptx_lo_place(l, ptx_lo_opnd(l, 1), true, from, s + 2))
		return;
	if (ptx_lo_opnd(l, 2)->kind != PTX_O_INT || ptx_lo_opnd(l, 2)->bits != 128) {
		ptx_lo_fail(l, "the size must be 128");
		return;
	}
	s[4] = ptx_lo_imm(128);
	for (uint32_t k = 5; k < 9; k++)
		s[k] = ptx_lo_none();
	ptx_lo_emit(l, IR_OP_CP_BULK, IR_NONE, 0, NULL, 9, s);
	ptx_lo_emit(l, IR_OP_FENCE, IR_NONE, 0, NULL, 0, NULL)->sem = IR_SEM_SC;
}

void ptx_lower_tensormap(struct ptx_lower *l, enum ir_op op)
{
	if (ptx_lo_mod(l, PTX_MOD_REPLACE))
		replace(l);
	else if (ptx_lo_mod(l, PTX_MOD_CP_FENCEPROXY))
		copy_fence(l);
	else
		ptx_lo_fail(l, "no such operation");
}

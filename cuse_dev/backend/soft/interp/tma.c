/* SPDX-License-Identifier: MIT */
/*
 * tma.c - tensor copies (PTX ISA 5.5, 9.7.9.27) and tensormap.replace, done at once by each lane.
 *
 * A box of the tensor is a list of rows: elements of dimension 0 that lie side by side in global
 * memory and, before swizzling, in shared memory. walk() makes the rows' coordinates in the order
 * in which they stand in shared memory; move_row() copies one through a buffer:
 *
 *	tile      rows of the box, dimension 1 fastest, each dimension by its element stride
 *	tile4     four rows of a matrix, by number
 *	im2col    pixels from a first one on: through a box of pixels that wraps from its upper to its
 *	          lower corner in W, H, D and then goes on in the next image; the offsets are added to
 *	          each pixel's coordinates
 *
 * Elements outside of the tensor are filled on a load, left out on a store. Swizzling exchanges bits
 * of the address in shared memory.
 */
#include <string.h>

#include "cuse_dev/backend/soft/interp/async.h"
#include "ioctl/vgpu_tensormap.h"

#define ROW_MAX	  (VGPU_TENSORMAP_BOX_MAX * 8u)
#define TMA_ALIGN 128u
#define MAP_ALIGN 64u
#define CORNERS	  3u

/* X(type, IR type, bits of the special NaN or 0) */
#define TYPES(X)                                                                                   \
	X(U8, U8, 0)                                                                               \
	X(U16, U16, 0)                                                                             \
	X(U32, U32, 0)                                                                             \
	X(S32, S32, 0)                                                                             \
	X(U64, U64, 0)                                                                             \
	X(S64, S64, 0)                                                                             \
	X(F16, F16, 0x7fff)                                                                        \
	X(F32, F32, 0x7fffffff)                                                                    \
	X(F32_FTZ, F32, 0x7fffffff)                                                                \
	X(F64, F64, 0x7fffffffffffffff)                                                            \
	X(BF16, BF16, 0x7fff)                                                                      \
	X(TF32, F32, 0x7fffffff)                                                                   \
	X(TF32_FTZ, F32, 0x7fffffff)

static const struct {
	uint8_t ir;
	uint64_t nan;
} types[VGPU_TENSORMAP_TYPES] = {
#define X(type, ir, nan) [VGPU_TENSORMAP_##type] = { IR_##ir, nan },
	TYPES(X)
#undef X
};

/** One copy of one lane. */
struct tma {
	struct interp_warp *w;
	const struct interp_inst *in;
	uint32_t lane;
	struct vgpu_tensormap map; /* a copy: a kernel may change the original meanwhile */
	uint32_t sub, mode;
	uint32_t bytes;	     /* of an element */
	uint32_t row;	     /* elements of a row */
	int64_t at[5];	     /* first element; at[1] .. at[4] of TILE4: the rows */
	int64_t offset[3];   /* im2col */
	uint64_t shared;     /* generic address */
	uint64_t done;	     /* bytes of shared memory so far */
	struct ir_inst atom; /* RED */
};

static bool tma_fault(struct tma *t, uint32_t error, const char *what, uint64_t value)
{
	interp_fault(t->w, t->in, error, (int)t->lane, value, "tensor map: %s (%llu)", what,
		     (unsigned long long)value);
	return false;
}

/* ---- what a map may say ---------------------------------------------------------------------- */

static bool check_map(struct tma *t)
{
	const struct vgpu_tensormap *m = &t->map;
	uint32_t tile = t->mode <= IR_TENSOR_TILE4,
		 coords = IR_TENSOR_COORDS(t->in->ext->ir.offset);

	if (m->magic != VGPU_TENSORMAP_MAGIC)
		return tma_fault(t, 719, "there is none at this address", m->magic);
	if (m->rank < 1 || m->rank > VGPU_TENSORMAP_RANK_MAX || m->type >= VGPU_TENSORMAP_TYPES)
		return tma_fault(t, 719, "bad rank or type", m->rank);
	if (m->interleave || m->atomicity > VGPU_TENSORMAP_ATOM_32B_FLIP ||
	    m->swizzle > VGPU_TENSORMAP_SWIZZLE_128B)
		return tma_fault(t, 801, "interleave or swizzle mode is not supported", m->swizzle);
	if (m->mode != (tile ? VGPU_TENSORMAP_TILED : VGPU_TENSORMAP_IM2COL))
		return tma_fault(t, 719, "of another mode", m->mode);
	if ((t->mode == IR_TENSOR_TILE4 ? 2 : coords) != m->rank)
		return tma_fault(t, 719, "of another rank", m->rank);
	if (!tile && (m->rank < 3 || IR_TENSOR_OFFSETS(t->in->ext->ir.offset) > m->rank - 2u))
		return tma_fault(t, 719, "im2col wants 3 to 5 dimensions", m->rank);
	for (uint32_t i = 0; i < m->rank; i++)
		if (m->element_stride[i] < 1 || m->element_stride[i] > 8)
			return tma_fault(t, 719, "bad element stride", m->element_stride[i]);
	for (uint32_t i = 0; i < (tile ? m->rank : 2u); i++)
		if (m->box[i] < 1 ||
		    m->box[i] > (!tile && i ? VGPU_TENSORMAP_PIXEL_MAX : VGPU_TENSORMAP_BOX_MAX))
			return tma_fault(t, 719, "bad box", m->box[i]);
	t->bytes = ir_type_bits(types[m->type].ir) / 8;
	t->row = m->box[0];
	if (t->row * t->bytes % 16)
		return tma_fault(t, 719, "the box's rows are no multiple of 16 bytes",
				 t->row * t->bytes);
	if (m->swizzle && t->row * t->bytes != 16u << m->swizzle)
		return tma_fault(t, 801, "rows that do not fill the swizzle's span",
				 t->row * t->bytes);
	return true;
}

/* What can be reduced: as cp.reduce.async.bulk, by the type of the map. */
static bool check_atom(struct tma *t)
{
	uint8_t type = types[t->map.type].ir, sub = (uint8_t)IR_TENSOR_ATOM(t->in->ext->ir.offset);
	bool ok = t->bytes > 1;

	if (ir_type_float(type))
		ok = sub == IR_ATOM_ADD ||
		     ((sub == IR_ATOM_MIN || sub == IR_ATOM_MAX) && t->bytes == 2);
	else if (sub == IR_ATOM_INC || sub == IR_ATOM_DEC)
		ok = type == IR_U32;
	else
		ok = t->bytes >= 4;
	t->atom = (struct ir_inst){ .op = IR_OP_RED, .type = type, .sub = sub };
	return ok || tma_fault(t, 719, "no such operation for its type", t->map.type);
}

/* ---- one row --------------------------------------------------------------------------------- */

/* Where byte @x of the box lies in shared memory. */
static uint64_t swizzled(const struct vgpu_tensormap *m, uint64_t va)
{
	uint64_t row = va >> 7;

	if (!m->swizzle)
		return va;
	if (m->atomicity == VGPU_TENSORMAP_ATOM_16B)
		return va ^ (row & ((1u << m->swizzle) - 1)) << 4;
	va ^= (row & 3) << 5;
	return m->atomicity == VGPU_TENSORMAP_ATOM_32B_FLIP ? va ^ (row & 1) << 3 : va;
}

/* Between the row's buffer and shared memory. */
static bool move_shared(struct tma *t, uint8_t *row, bool to)
{
	uint32_t n = t->row * t->bytes, piece = 16;

	if (!t->map.swizzle)
		piece = n;
	else if (t->map.atomicity == VGPU_TENSORMAP_ATOM_32B_FLIP)
		piece = 8;
	for (uint32_t i = 0; i < n; i += piece) {
		uint8_t *p = interp_async_ptr(t->w, t->in, t->lane,
					      swizzled(&t->map, t->shared + t->done + i), piece, 8);

		if (!p)
			return false;
		memcpy(to ? p : row + i, to ? row + i : p, piece);
	}
	t->done += n;
	return true;
}

static void fill(const struct tma *t, uint8_t *row)
{
	uint64_t v = t->map.fill ? types[t->map.type].nan : 0;

	if (!v)
		memset(row, 0, (size_t)t->row * t->bytes);
	for (uint32_t i = 0; v && i < t->row; i++)
		memcpy(row + i * t->bytes, &v, t->bytes);
}

static void flush_subnormal(uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t v;

		memcpy(&v, p + 4 * i, 4);
		if (!(v & 0x7f800000u))
			v &= 0x80000000u;
		memcpy(p + 4 * i, &v, 4);
	}
}

/* The part of a row that lies in the tensor: in global memory, and from where in the row. */
static uint8_t *inside(struct tma *t, const int64_t *at, uint32_t *ret_first, uint32_t *ret_n)
{
	const struct vgpu_tensormap *m = &t->map;
	int64_t from = at[0], to = at[0] + t->row, end = (int64_t)m->dim[0] + 1;
	uint64_t va = m->address;

	*ret_n = 0;
	for (uint32_t i = 1; i < m->rank; i++) {
		if (at[i] < 0 || at[i] > m->dim[i])
			return NULL;
		va += (uint64_t)at[i] * m->stride[i - 1];
	}
	from = from < 0 ? 0 : from;
	to = to > end ? end : to;
	if (from >= to)
		return NULL;
	*ret_first = (uint32_t)(from - at[0]);
	*ret_n = (uint32_t)(to - from);
	return interp_async_ptr(t->w, t->in, t->lane, va + (uint64_t)from * t->bytes,
				(uint64_t)*ret_n * t->bytes, t->bytes);
}

static bool move_row(struct tma *t, const int64_t *at)
{
	_Alignas(16) uint8_t row[ROW_MAX];
	uint32_t first = 0, n,
		 ftz = t->map.type == VGPU_TENSORMAP_F32_FTZ ||
		       t->map.type == VGPU_TENSORMAP_TF32_FTZ;
	uint8_t *p = inside(t, at, &first, &n), *q = row + (size_t)first * t->bytes;

	if (n && !p)
		return false;
	if (t->sub == IR_TENSOR_LOAD) {
		if (n < t->row)
			fill(t, row);
		if (n)
			memcpy(q, p, (size_t)n * t->bytes);
		if (ftz)
			flush_subnormal(row, t->row);
		return move_shared(t, row, true);
	}
	if (!move_shared(t, row, false))
		return false;
	if (ftz)
		flush_subnormal(row, t->row);
	if (t->sub == IR_TENSOR_STORE && n)
		memcpy(p, q, (size_t)n * t->bytes);
	for (uint32_t i = 0; t->sub == IR_TENSOR_RED && i < n; i++) {
		uint64_t v = 0;

		memcpy(&v, q + i * t->bytes, t->bytes);
		interp_atomic(p + i * t->bytes, &t->atom, false, v);
	}
	return true;
}

/* ---- all rows -------------------------------------------------------------------------------- */

static bool walk_tile(struct tma *t)
{
	const struct vgpu_tensormap *m = &t->map;
	uint32_t i[5] = { 0 }, k;

	for (;;) {
		int64_t at[5];

		for (k = 0; k < m->rank; k++)
			at[k] = t->at[k] + i[k];
		if (!move_row(t, at))
			return false;
		for (k = 1; k < m->rank; k++) {
			i[k] += m->element_stride[k];
			if (i[k] < m->box[k])
				break;
			i[k] = 0;
		}
		if (k >= m->rank)
			return true;
	}
}

static bool walk_rows(struct tma *t)
{
	for (uint32_t k = 0; k < 4; k++) {
		const int64_t at[5] = { t->at[0], t->at[1 + k] };

		if (!move_row(t, at))
			return false;
	}
	return true;
}

static bool walk_pixels(struct tma *t)
{
	const struct vgpu_tensormap *m = &t->map;
	uint32_t last = m->rank - 1u, k;
	int64_t at[5];

	memcpy(at, t->at, sizeof(at));
	for (uint32_t n = 0; n < m->box[1]; n++) {
		int64_t pixel[5];

		memcpy(pixel, at, sizeof(pixel));
		for (k = 1; k < last; k++)
			pixel[k] += t->offset[k - 1];
		if (!move_row(t, pixel))
			return false;
		for (k = 1; k < last; k++) {
			at[k] += m->element_stride[k];
			if (at[k] <= (int64_t)m->dim[k] + m->upper[k - 1])
				break;
			at[k] = m->lower[k - 1];
		}
		if (k == last)
			at[last]++;
	}
	return true;
}

static bool walk(struct tma *t, uint64_t shared)
{
	t->shared = shared;
	t->done = 0;
	if (!interp_want_shared(t->w, t->in, t->lane, shared) ||
	    (shared & (TMA_ALIGN - 1) &&
	     !tma_fault(t, 716, "shared address not aligned to 128", shared)))
		return false;
	if (t->mode == IR_TENSOR_TILE)
		return walk_tile(t);
	return t->mode == IR_TENSOR_TILE4 ? walk_rows(t) : walk_pixels(t);
}

/* ---- the instruction ------------------------------------------------------------------------- */

static int64_t signed_value(const struct interp_warp *w, const struct interp_opnd *o, uint32_t lane)
{
	return (int32_t)interp_value(w, o, lane);
}

static bool load(struct tma *t, const struct interp_opnd *s, const struct interp_opnd *mask)
{
	uint64_t shared = interp_async_address(t->w, s, t->lane),
		 mbar = interp_async_address(t->w, s + 2, t->lane), blocks;

	if (!(t->in->imm & 1))
		return walk(t, shared) &&
		       interp_mbar_complete_tx(t->w, t->in, t->lane, mbar, t->done);
	for (blocks = interp_value(t->w, mask, t->lane); blocks; blocks &= blocks - 1) {
		uint32_t rank = (uint32_t)__builtin_ctzll(blocks);

		if (!walk(t, interp_peer_address(shared, rank)) ||
		    !interp_mbar_complete_tx(t->w, t->in, t->lane, interp_peer_address(mbar, rank),
					     t->done))
			return false;
	}
	return true;
}

static bool copy_one(struct interp_warp *w, const struct interp_inst *in, uint32_t lane)
{
	const struct interp_ext *x = in->ext;
	const struct interp_opnd *s = x->opnd;
	uint32_t coords = IR_TENSOR_COORDS(x->ir.offset), offsets = IR_TENSOR_OFFSETS(x->ir.offset);
	struct tma t = { .w = w, .in = in, .lane = lane, .sub = x->ir.sub };
	const uint8_t *map;

	t.mode = IR_TENSOR_MODE(x->ir.offset);
	map = interp_async_ptr(w, in, lane, interp_async_address(w, s, lane), VGPU_TENSORMAP_BYTES,
			       MAP_ALIGN);
	if (!map)
		return false;
	memcpy(&t.map, map, sizeof(t.map));
	s += 2;
	for (uint32_t i = 0; i < coords; i++)
		t.at[i] = signed_value(w, s++, lane);
	if (!check_map(&t))
		return false;
	if (t.sub == IR_TENSOR_PREFETCH)
		return true;
	if (t.sub == IR_TENSOR_RED && !check_atom(&t))
		return false;
	if (t.sub != IR_TENSOR_LOAD)
		return walk(&t, interp_async_address(w, s, lane));
	for (uint32_t i = 0; i < offsets; i++)
		t.offset[i] = (int64_t)(interp_value(w, s + 4 + i, lane) & 0xffff);
	return load(&t, s, s + 4 + offsets);
}

/* ---- tensormap.replace ----------------------------------------------------------------------- */

static bool replace_dim(struct vgpu_tensormap *m, uint8_t field, uint64_t n, uint64_t v)
{
	if (n >= (field == IR_TENSORMAP_GLOBAL_STRIDE ? 4 : 5))
		return false;
	switch (field) {
	case IR_TENSORMAP_BOX_DIM:
		m->box[n] = (uint16_t)(v > UINT16_MAX ? UINT16_MAX : v);
		return true;
	case IR_TENSORMAP_GLOBAL_DIM:
		m->dim[n] = (uint32_t)v - 1;
		return true;
	case IR_TENSORMAP_GLOBAL_STRIDE:
		m->stride[n] = v;
		return true;
	default:
		m->element_stride[n] = (uint8_t)(v > 255 ? 255 : v);
		return true;
	}
}

/* false: no such value. What a field means is checked when the map is used. */
static bool replace(struct vgpu_tensormap *m, uint8_t field, uint64_t n, uint64_t v)
{
	switch (field) {
	case IR_TENSORMAP_ADDRESS:
		m->address = v;
		return !(v & 15);
	case IR_TENSORMAP_RANK:
		m->rank = (uint8_t)(v + 1);
		return v < VGPU_TENSORMAP_RANK_MAX;
	case IR_TENSORMAP_ELEMTYPE:
		m->type = (uint8_t)v;
		return v < VGPU_TENSORMAP_TYPES;
	case IR_TENSORMAP_INTERLEAVE:
		m->interleave = (uint8_t)v;
		return v < 3;
	case IR_TENSORMAP_SWIZZLE:
		m->swizzle = (uint8_t)v;
		return v < 4;
	case IR_TENSORMAP_FILL:
		m->fill = (uint8_t)v;
		return v < 2;
	case IR_TENSORMAP_ATOMICITY:
		m->atomicity = (uint8_t)v;
		return v < 4;
	default:
		return replace_dim(m, field, n, v);
	}
}

static bool replace_one(struct interp_warp *w, const struct interp_inst *in, uint32_t lane)
{
	const struct interp_ext *x = in->ext;
	const struct interp_opnd *s = x->opnd;
	uint64_t v = interp_value(w, &s[3], lane);
	uint8_t *p = interp_async_ptr(w, in, lane, interp_async_address(w, s, lane),
				      VGPU_TENSORMAP_BYTES, MAP_ALIGN);
	struct vgpu_tensormap m;

	if (!p)
		return false;
	memcpy(&m, p, sizeof(m));
	if (m.magic != VGPU_TENSORMAP_MAGIC ||
	    !replace(&m, x->ir.sub, interp_value(w, &s[2], lane), v)) {
		interp_fault(w, in, 719, (int)lane, v,
			     "tensormap.replace: no tensor map, or no such value: %llu",
			     (unsigned long long)v);
		return false;
	}
	memcpy(p, &m, sizeof(m));
	return true;
}

const struct interp_inst *interp_op_tensor(struct interp_warp *w, const struct interp_inst *in)
{
	bool copy = in->ext->ir.op == IR_OP_CP_TENSOR;

	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);

		if (copy ? !copy_one(w, in, lane) : !replace_one(w, in, lane))
			return NULL;
	}
	return in + 1;
}

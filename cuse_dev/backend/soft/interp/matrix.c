/* SPDX-License-Identifier: MIT */
/*
 * matrix.c - matrices between memory and registers: ldmatrix, stmatrix, movmatrix, wmma.load, wmma.store.
 *
 * Lanes that do not run give no address, and their rows are zero; a warp has all its lanes in any program
 * that keeps to the manual.
 */
#include "cuse_dev/backend/soft/interp/matrix.h"

#include <string.h>

#define ROW_BYTES 16u

/* ---- rows by lane ---------------------------------------------------------------------------- */

/* Where the rows of @lanes stand; false: a fault is recorded. */
static bool row_ptrs(struct interp_warp *w, const struct interp_inst *in, uint32_t lanes,
		     uint8_t *ret_ptr[LANES_N])
{
	w->cur = in;
	for (uint32_t lane = 0; lane < lanes; lane++) {
		ret_ptr[lane] = NULL;
		if (!(w->mask >> lane & 1))
			continue;
		ret_ptr[lane] = interp_lane_ptr(w, in, lane);
		if (!ret_ptr[lane])
			return false;
	}
	return true;
}

/* 16 elements of 6 or 4 bits in a row of memory, a byte each. */
static void spread(uint32_t bits, uint8_t row[ROW_BYTES])
{
	uint8_t from[ROW_BYTES + 1] = { 0 };

	memcpy(from, row, ROW_BYTES);
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t at = i * bits;

		row[i] = (uint8_t)((from[at / 8] | from[at / 8 + 1] << 8) >> at % 8 &
				   ((1 << bits) - 1));
	}
}

const struct interp_inst *interp_op_ldmatrix(struct interp_warp *w, const struct interp_inst *in)
{
	const struct ir_mma *m = &in->ext->mma->x;
	uint32_t lanes = m->num * m->m, regs = in->ext->mma->regs.d;
	uint8_t rows[LANES_N][ROW_BYTES] = { { 0 } }, *p[LANES_N];
	uint32_t out[4][LANES_N];
	void *d[4] = { out[0], out[1], out[2], out[3] };

	if (!row_ptrs(w, in, lanes, p))
		return NULL;
	for (uint32_t r = 0; r < lanes; r++) {
		if (p[r])
			memcpy(rows[r], p[r], ROW_BYTES);
		if (m->b == IR_MAT_B6P32 || m->b == IR_MAT_B4P64)
			spread(m->b == IR_MAT_B6P32 ? 6 : 4, rows[r]);
	}
	if (!m->acol) {
		for (uint32_t i = 0; i < regs; i++)
			memcpy(out[i], rows[8 * i], sizeof(out[i]));
	} else if (m->a == IR_MAT_B16) {
		for (uint32_t e = 0; e < regs * 64; e++) {
			uint32_t lane = e / 2 % 32, row = lane % 4 * 2 + e % 2;

			memcpy((uint16_t *)out[e / 64] + e % 64,
			       rows[e / 64 * 8 + row] + lane / 4 * 2, 2);
		}
	} else {
		for (uint32_t e = 0; e < regs * 128; e++) {
			uint32_t reg = e / 128, lane = e / 4 % 32, row = lane % 4 * 4 + e % 4;

			((uint8_t *)out[reg])[e % 128] =
				rows[reg / 2 * 16 + row][lane / 4 + reg % 2 * 8];
		}
	}
	interp_mma_results(w, in->ext, d);
	return in + 1;
}

const struct interp_inst *interp_op_stmatrix(struct interp_warp *w, const struct interp_inst *in)
{
	const struct ir_mma *m = &in->ext->mma->x;
	uint8_t rows[LANES_N][ROW_BYTES], *p[LANES_N];
	uint32_t lanes = m->num * 8u;

	if (!row_ptrs(w, in, lanes, p))
		return NULL;
	for (uint32_t i = 0; i < m->num; i++) {
		const uint8_t *reg = interp_mma_source(w, in->ext, 2 + i);

		for (uint32_t e = 0; e < 128; e++) {
			uint32_t lane = e / 4, row = lane / 4, byte = lane % 4 * 4 + e % 4;

			if (m->a == IR_MAT_B8) { /* 16x8: two rows, two columns each */
				byte = row + (e % 4 >= 2 ? 8 : 0);
				row = lane % 4 * 2 + e % 2;
			} else if (m->acol) {
				uint32_t column = byte / 2;

				byte = row * 2 + byte % 2;
				row = column;
			}
			rows[8 * i + row][byte] = reg[e];
		}
	}
	for (uint32_t r = 0; r < lanes; r++)
		if (p[r])
			memcpy(p[r], rows[r], ROW_BYTES);
	return in + 1;
}

const struct interp_inst *interp_op_movmatrix(struct interp_warp *w, const struct interp_inst *in)
{
	const uint16_t *a = interp_mma_source(w, in->ext, 1);
	uint16_t out[64];
	void *d = out;

	for (uint32_t i = 0; i < 64; i++)
		out[i] = a[i % 8 * 8 + i / 8];
	interp_mma_results(w, in->ext, &d);
	return in + 1;
}

/* ---- wmma ------------------------------------------------------------------------------------ */

/* A fragment as memory sees it: @lines of @elements; by_line: registers go along a line. */
struct shape {
	uint32_t lines, elements, bits;
	bool along;
};

static struct shape shape_of(const struct ir_mma *x)
{
	/* B is laid out as its transpose is. */
	uint32_t rows = x->frag == IR_FRAG_B ? x->n : x->m,
		 cols = x->frag == IR_FRAG_C ? x->n : x->k;
	bool along = x->frag == IR_FRAG_B ? x->acol : !x->acol;

	return (struct shape){ .lines = along ? rows : cols,
			       .elements = along ? cols : rows,
			       .bits = ir_mat_bits(x->frag == IR_FRAG_C ? x->d : x->a),
			       .along = along };
}

/* Register and place in it (in elements, over all lanes) of an element. */
static void place_of(const struct ir_mma *x, uint32_t row, uint32_t col, uint32_t bits,
		     uint32_t *ret_reg, uint32_t *ret_at)
{
	uint32_t rows = (x->frag == IR_FRAG_B ? x->n : x->m) / 8u,
		 wide = bits == 64 ? 4 : 128 / bits;
	uint32_t blocks = x->k / wide;

	if (x->frag == IR_FRAG_C && bits >= 32) {
		*ret_reg = 2 * (row / 8 + col / 8 * rows) + col % 2;
		*ret_at = row % 8 * 4 + col % 8 / 2;
		return;
	}
	*ret_reg =
		x->frag == IR_FRAG_B ? col / wide + row / 8 * blocks : row / 8 + col / wide * rows;
	*ret_at = row % 8 * wide + col % wide;
}

static void copy_element(void *to, uint32_t to_at, const void *from, uint32_t from_at,
			 uint32_t bits)
{
	uint8_t *t = to;
	const uint8_t *f = from;
	uint32_t bytes = bits / 8;

	if (bytes) {
		memcpy(t + (size_t)to_at * bytes, f + (size_t)from_at * bytes, bytes);
		return;
	}
	for (uint32_t i = 0; i < bits; i++) {
		uint32_t a = to_at * bits + i, b = from_at * bits + i;

		t[a / 8] = (uint8_t)((t[a / 8] & ~(1u << a % 8)) | (uint32_t)(f[b / 8] >> b % 8 & 1)
									   << a % 8);
	}
}

/* Where line @i stands; NULL: a fault is recorded. */
static uint8_t *line_ptr(struct interp_warp *w, const struct interp_inst *in, const struct shape *s,
			 uint32_t i)
{
	const struct interp_ext *x = in->ext;
	uint32_t lane = (uint32_t)__builtin_ctz(w->mask), bytes = s->elements * s->bits / 8;
	uint64_t stride = (uint32_t)interp_value(w, &x->opnd[x->ir.nd + 2], lane);
	uint64_t va = interp_lane_address(w, in, lane) + i * stride * s->bits / 8;
	uint32_t align = s->bits <= 32 ? 4 : s->bits / 8;
	uint8_t *p;

	if (s->bits == 16 && s->elements % 2 == 0 && va % 4)
		align = 2; /* hardware wants more, but no program may rely on that */
	if (va % align) {
		interp_fault(w, in, 716, (int)lane, va, "misaligned matrix at 0x%llx",
			     (unsigned long long)va);
		return NULL;
	}
	p = interp_space_ptr(w, in->space, lane, va, bytes);
	if (!p)
		interp_fault(w, in, 700, (int)lane, va,
			     "matrix outside of memory: 0x%llx, %u bytes", (unsigned long long)va,
			     bytes);
	return p;
}

const struct interp_inst *interp_op_wmma_ld(struct interp_warp *w, const struct interp_inst *in)
{
	const struct ir_mma *x = &in->ext->mma->x;
	uint32_t regs = in->ext->mma->regs.d, own;
	struct shape s = shape_of(x);
	uint32_t reg_bytes = s.bits == 64 ? 256 : 128;
	void *d[RT_MMA_REGS];

	w->cur = in;
	/* A fragment of f16 may hold its elements several times. */
	own = s.lines * s.elements * s.bits / 8 / reg_bytes;
	for (uint32_t i = 0; i < regs; i++)
		d[i] = w->scratch + (size_t)(i % own) * reg_bytes;
	for (uint32_t l = 0; l < s.lines; l++) {
		const uint8_t *p = line_ptr(w, in, &s, l);

		if (!p)
			return NULL;
		for (uint32_t e = 0; e < s.elements; e++) {
			uint32_t reg, at;

			place_of(x, s.along ? l : e, s.along ? e : l, s.bits, &reg, &at);
			copy_element(d[reg], at, p, e, s.bits);
		}
	}
	interp_mma_results(w, in->ext, d);
	return in + 1;
}

const struct interp_inst *interp_op_wmma_st(struct interp_warp *w, const struct interp_inst *in)
{
	const struct ir_mma *x = &in->ext->mma->x;
	struct shape s = shape_of(x);

	w->cur = in;
	for (uint32_t l = 0; l < s.lines; l++) {
		uint8_t *p = line_ptr(w, in, &s, l);

		if (!p)
			return NULL;
		for (uint32_t e = 0; e < s.elements; e++) {
			uint32_t reg, at;

			place_of(x, s.along ? l : e, s.along ? e : l, s.bits, &reg, &at);
			copy_element(p, e, interp_mma_source(w, in->ext, 3 + reg), at, s.bits);
		}
	}
	return in + 1;
}

/* SPDX-License-Identifier: MIT */
/*
 * wgmma.c - products whose operands lie in shared memory (ISA 9.7.15).
 *
 * Each of the four warps of a group multiplies its own 16 rows when it comes to the instruction; what
 * it reads has been written and fenced by then, and nobody may look at the result before wait_group.
 *
 * A descriptor (64 bits): 0-13 start / 16, 16-29 leading offset / 16, 32-45 stride offset / 16, 49-51 base
 * offset, 62-63 swizzle (0 none, 1: 128, 2: 64, 3: 32 bytes). With W bytes a row of the
 * swizzle pattern (16 without one), byte or element e along k of line l (row of A, column of B):
 *
 *   k-major     start + l / 8 * stride + l % 8 * W + byte / W * leading + byte % W
 *   transposed  start + l / (W / size) * leading + e / 8 * stride + e % 8 * W + l % (W / size) * size
 *               no swizzle: l / 8 * stride + e / 8 * leading + e % 8 * 16 + l % 8 * size
 *
 * and then bits 4.. of the address are xored with bits 7.. of it (3, 2 or 1 of them).
 */
#include "cuse_dev/backend/soft/interp/matrix.h"

#include <string.h>

#include "cuse_dev/backend/soft/rt/num.h"

#define ROWS	 16u /* of A, for one warp */
#define N_MOST	 256u
#define K_MOST	 64u /* elements; of bits 256 */
#define ROW_MOST 64u /* bytes along k */

struct descriptor {
	uint32_t start, leading, stride, base;
	uint32_t width;	  /* W */
	uint32_t swizzle; /* bits */
};

static struct descriptor descriptor_of(uint64_t v)
{
	static const uint8_t swizzles[] = { 0, 3, 2, 1 };
	struct descriptor d = { .start = (uint32_t)(v & 0x3fff) << 4,
				.leading = (uint32_t)(v >> 16 & 0x3fff) << 4,
				.stride = (uint32_t)(v >> 32 & 0x3fff) << 4,
				.base = (uint32_t)(v >> 49 & 7),
				.swizzle = swizzles[v >> 62] };

	d.width = 16u << d.swizzle;
	return d;
}

/* Address of byte @b (along k) of line @l; transposed: of the element whose number along k is @b. */
static uint32_t address_of(const struct descriptor *d, uint32_t l, uint32_t b, uint32_t size,
			   bool transposed)
{
	uint32_t at = d->start, per = d->width / size;

	if (!transposed)
		at += l / 8 * d->stride + l % 8 * d->width + b / d->width * d->leading +
		      b % d->width;
	else if (d->swizzle)
		at += l / per * d->leading + b / 8 * d->stride + b % 8 * d->width + l % per * size;
	else
		at += l / 8 * d->stride + b / 8 * d->leading + b % 8 * 16 + l % 8 * size;
	return at ^ (((at >> 7) - d->base) & ((1u << d->swizzle) - 1)) << 4;
}

/*
 * Lines of A or B into @ret, @bytes along k each. false: a fault is recorded.
 */
static bool fetch(struct interp_warp *w, const struct interp_inst *in, uint64_t desc,
		  uint32_t first, uint32_t lines, uint32_t bytes, uint32_t size, bool transposed,
		  uint8_t *ret)
{
	struct descriptor d = descriptor_of(desc);
	uint32_t piece = transposed ? size : 16, limit = (uint32_t)w->base.grid->shared_bytes;
	const uint8_t *shared = w->base.block->shared;

	for (uint32_t l = 0; l < lines; l++) {
		for (uint32_t b = 0; b < bytes; b += piece) {
			uint32_t at = address_of(&d, first + l, transposed ? b / size : b, size,
						 transposed);

			if (at > limit || piece > limit - at) {
				interp_fault(w, in, 700, __builtin_ctz(w->mask), at,
					     "matrix outside of shared memory: 0x%x", at);
				return false;
			}
			memcpy(ret + (size_t)l * bytes + b, shared + at, piece);
		}
	}
	return true;
}

/* 8 lines of 16 bytes as a register would hold them. */
static void to_block(const uint8_t *lines, uint32_t bytes, uint32_t *ret_reg)
{
	for (uint32_t r = 0; r < 8; r++)
		memcpy((uint8_t *)ret_reg + 16 * r, lines + (size_t)r * bytes, 16);
}

struct work {
	uint8_t a[ROWS * ROW_MOST], b[N_MOST * ROW_MOST];
	float fa[ROWS * K_MOST], fb[K_MOST * N_MOST], packed[ROWS * K_MOST / 2];
	float d[ROWS * N_MOST];
	uint32_t words[ROWS * N_MOST];
	uint32_t out[128][LANES_N];
};

/* Bytes, of what is smaller than one: one. */
static uint32_t element_size(const struct ir_mma *m)
{
	uint32_t bits = ir_mat_bits(m->a);

	return bits >= 8 ? bits / 8 : 1;
}

/* A from registers or from shared memory, line after line. */
static bool fetch_a(struct interp_warp *w, const struct interp_inst *in, struct work *k,
		    uint32_t bytes)
{
	const struct interp_ext *x = in->ext;
	const struct ir_mma *m = &x->mma->x;
	uint32_t at = 1 + x->mma->regs.d, lane = (uint32_t)__builtin_ctz(w->mask);

	if (m->adesc)
		return fetch(w, in, interp_value(w, &x->opnd[x->ir.nd + at], lane),
			     w->base.index % 4 * ROWS, ROWS, bytes, element_size(m), m->acol, k->a);
	for (uint32_t i = 0; i < x->mma->regs.a; i++) {
		const uint8_t *reg = interp_mma_source(w, x, at + i);

		for (uint32_t r = 0; r < 8; r++)
			memcpy(k->a + (size_t)(8 * (i % 2) + r) * bytes + 16 * (i / 2),
			       reg + 16 * r, 16);
	}
	return true;
}

static void floats(const struct interp_ext *x, struct work *k, uint32_t a_bytes, uint32_t b_bytes,
		   const uint32_t *meta, uint32_t selector)
{
	const struct ir_mma *m = &x->mma->x;
	const struct rt_mma_ops *ops = x->mma->ops;
	uint32_t wide = 128 / ir_mat_bits(m->a), lda = m->sparse ? m->k / 2u : m->k, reg[LANES_N];
	float *to = m->sparse ? k->packed : k->fa;

	for (uint32_t r = 0; r < ROWS; r += 8)
		for (uint32_t c = 0; c < a_bytes / 16; c++) {
			to_block(k->a + (size_t)r * a_bytes + 16 * c, a_bytes, reg);
			ops->rows(rt_mma_table(m->a), m->a, to + (size_t)r * lda + c * wide, lda,
				  reg);
		}
	if (m->sparse)
		rt_mma_sparse(m, ROWS, meta, selector, k->packed, k->fa);
	for (uint32_t j = 0; j < m->n; j += 8)
		for (uint32_t c = 0; c < b_bytes / 16; c++) {
			to_block(k->b + (size_t)j * b_bytes + 16 * c, b_bytes, reg);
			ops->columns(rt_mma_table(m->b), m->b, k->fb + (size_t)c * wide * m->n + j,
				     m->n, reg);
		}
	for (uint32_t i = 0; m->nega != m->negb && i < ROWS * m->k; i++)
		k->fa[i] = -k->fa[i];
}

/* D of before, where scale-d says so; else zero. */
static void begin(struct interp_warp *w, const struct interp_ext *x, struct work *k, bool keep)
{
	const struct ir_mma *m = &x->mma->x;

	memset(k->d, 0, ROWS * m->n * sizeof(float));
	memset(k->words, 0, ROWS * m->n * sizeof(uint32_t));
	for (uint32_t p = 0; keep && p < m->n / 4u; p++) {
		uint32_t at = p % 2 * 8 * m->n + p / 2 * 8;

		if (m->d == IR_MAT_F16)
			x->mma->ops->load_half(k->d + at, m->n, interp_mma_source(w, x, 1 + p));
		else
			x->mma->ops->load_pair(m->d == IR_MAT_S32 ? (float *)k->words + at
								  : k->d + at,
					       m->n, interp_mma_source(w, x, 1 + 2 * p),
					       interp_mma_source(w, x, 2 + 2 * p));
	}
}

static void finish(struct interp_warp *w, const struct interp_ext *x, struct work *k)
{
	const struct ir_mma *m = &x->mma->x;
	void *d[128];

	for (uint32_t i = 0; i < x->mma->regs.d; i++)
		d[i] = k->out[i];
	for (uint32_t p = 0; p < m->n / 4u; p++) {
		uint32_t at = p % 2 * 8 * m->n + p / 2 * 8;

		if (m->d == IR_MAT_F16) {
			x->mma->ops->store_half(d[p], k->d + at, m->n);
		} else if (m->d == IR_MAT_F32) {
			x->mma->ops->store_pair(d[2 * p], d[2 * p + 1], k->d + at, m->n);
		} else {
			for (uint32_t i = 0; i < LANES_N; i++) {
				const uint32_t *t = k->words + at + i / 4 * m->n + i % 4 * 2;

				k->out[2 * p][i] = t[0];
				k->out[2 * p + 1][i] = t[1];
			}
		}
	}
	interp_mma_results(w, x, d);
}

static void multiply(struct interp_warp *w, const struct interp_ext *x, struct work *k,
		     uint32_t a_bytes, uint32_t b_bytes, bool keep)
{
	const struct ir_mma *m = &x->mma->x;
	uint32_t lane = (uint32_t)__builtin_ctz(w->mask), last = x->ir.ns - 1u;

	begin(w, x, k, keep);
	if (m->a == IR_MAT_B1) {
		rt_mma_bits(k->words, (const uint32_t *)k->a, (const uint32_t *)k->b, ROWS, m->n,
			    m->k / 32u, m->bitop);
		return;
	}
	floats(x, k, a_bytes, b_bytes, m->sparse ? interp_mma_source(w, x, last - 1) : NULL,
	       m->sparse ? (uint32_t)interp_value(w, &x->opnd[x->ir.nd + last], lane) : 0);
	x->mma->ops->product(k->d, k->fa, k->fb, ROWS, m->n, m->k, m->k);
	for (uint32_t i = 0; m->d == IR_MAT_S32 && i < ROWS * m->n; i++)
		k->words[i] = rt_mma_integer(k->d[i], k->words[i], x->ir.sat);
}

const struct interp_inst *interp_op_wgmma(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	const struct ir_mma *m = &x->mma->x;
	uint32_t bits = ir_mat_bits(m->a), b_bytes = m->k * bits / 8,
		 a_bytes = b_bytes / (m->sparse ? 2 : 1);
	uint32_t at = 1 + x->mma->regs.d + x->mma->regs.a, lane = (uint32_t)__builtin_ctz(w->mask);
	struct work k;

	w->cur = in;
	if (!fetch_a(w, in, &k, a_bytes) ||
	    !fetch(w, in, interp_value(w, &x->opnd[x->ir.nd + at], lane), 0, m->n, b_bytes,
		   element_size(m), m->bcol, k.b))
		return NULL;
	multiply(w, x, &k, a_bytes, b_bytes, interp_value(w, &x->opnd[x->ir.nd + at + 1], lane));
	finish(w, x, &k);
	return in + 1;
}

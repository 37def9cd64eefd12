/* SPDX-License-Identifier: MIT */
/*
 * mma.h - products of matrices that lie in the registers of a warp.
 *
 * Here: the layout of fragments, conversion of elements, the products. Not here: where registers are
 * and which lanes run (interp/mma.c).
 *
 * A register is an array of 32 lanes. With one exception (m8n8k4 of f16) every fragment consists of
 * blocks: one register, 8 rows of 16 bytes (f64: 32), row after row:
 *
 *	lane = 4 * row + column * element bits / 32
 *
 *	A   register i is block row i % (m / 8), block column i / (m / 8)
 *	B   the same of the transposed matrix: n in place of rows; block k is i % k blocks
 *	C D of 16 bits like A; of 32 and 64 bits registers 2i and 2i + 1 hold even and odd columns of a block
 *
 * A float product: d[i][j] = fma(a[i][k], b[k][j], d[i][j]) for k ascending, beginning with C; f32 inside,
 * f64 for f64. Integers are exact.
 */
#ifndef SOFT_RT_MMA_H
#define SOFT_RT_MMA_H

#include <stdbool.h>
#include <stdint.h>

#include "cuse_dev/backend/soft/ir/ir.h"

#define RT_MMA_REGS 64 /* most registers of a part; wgmma's accumulators aside */

/** The parts that are compiled once per instruction set. All give the same bits. */
struct rt_mma_ops {
	/** rows() - a block of 8 rows, as f32: d[row * stride + column] */
	void (*rows)(const float *table, uint32_t mat, float *d, uint32_t stride,
		     const uint32_t *reg);
	/** columns() - the same transposed: d[column * stride + row] */
	void (*columns)(const float *table, uint32_t mat, float *d, uint32_t stride,
			const uint32_t *reg);
	/** product() - d[m][n] += a[m][k] * b[k][n]; n is a multiple of 8, lda and n are strides */
	void (*product)(float *d, const float *a, const float *b, uint32_t m, uint32_t n,
			uint32_t k, uint32_t lda);
	/** load_pair(), store_pair() - accumulators of 32 bits: even and odd columns */
	void (*load_pair)(float *d, uint32_t stride, const uint32_t *even, const uint32_t *odd);
	void (*store_pair)(uint32_t *even, uint32_t *odd, const float *s, uint32_t stride);
	/** load_half(), store_half() - accumulators of f16 */
	void (*load_half)(float *d, uint32_t stride, const uint32_t *reg);
	void (*store_half)(uint32_t *reg, const float *s, uint32_t stride);
};

extern const struct rt_mma_ops rt_mma_sse2, rt_mma_avx2, rt_mma_avx512;

/** rt_mma_ops() - the best that this CPU runs. */
const struct rt_mma_ops *rt_mma_ops(void);

/** The registers of one product; what an instruction does not have is NULL. */
struct rt_mma_args {
	const void *a[RT_MMA_REGS], *b[RT_MMA_REGS], *c[RT_MMA_REGS];
	const uint32_t *meta; /* metadata of a sparse A, and whose count */
	uint32_t selector;
	const uint32_t *scale[2]; /* of A and B */
	uint32_t byte_id[2], thread_id[2];
	bool sat;
	uint8_t round; /* of f64 */
};

/**
 * rt_mma() - d = a * b + c for the whole warp
 *
 * @d: registers of 32 lanes; they may not be among the sources.
 */
void rt_mma(const struct rt_mma_ops *ops, const struct ir_mma *x, const struct rt_mma_args *args,
	    void *const *d);

/** rt_mma_sparse() - a[m][k/2] to a[m][k] by the metadata of a group of four lanes. */
void rt_mma_sparse(const struct ir_mma *x, uint32_t m, const uint32_t *meta, uint32_t selector,
		   const float *packed, float *ret_a);
/** rt_mma_table() - values of the narrow float formats by their byte; NULL for other types. */
const float *rt_mma_table(uint32_t mat);
/** rt_mma_bits() - d += popc(a op b), words of 32 bits along k. */
void rt_mma_bits(uint32_t *d, const uint32_t *a, const uint32_t *b, uint32_t m, uint32_t n,
		 uint32_t words, uint32_t bitop);
/** rt_mma_integer() - the f32 sums of integer products onto c. */
uint32_t rt_mma_integer(float sum, uint32_t c, bool sat);

#endif

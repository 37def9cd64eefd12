/* SPDX-License-Identifier: MIT */
/*
 * mma_body.h - the hot parts of matrix products, for the instruction set of the including file.
 *
 * Included by mma_<isa>.c, which defines MMA_OPS. Plain loops that the compiler turns into vectors;
 * every float operation is one that IEEE defines, so all instruction sets give the same bits.
 */
#include <math.h>
#include <string.h>

#ifdef __F16C__
#include <immintrin.h>
#endif

#include "cuse_dev/backend/soft/rt/mma.h"
#include "cuse_dev/backend/soft/rt/num.h"

/* Elements of a block as f32, row after row. Returns how many stand in a row. */
static inline uint32_t block_values(const float *table, uint32_t mat, float *d, const uint32_t *reg)
{
	const uint16_t *h = (const uint16_t *)reg;
	const uint8_t *b = (const uint8_t *)reg;

	switch (mat) {
	case IR_MAT_F16:
#ifdef __F16C__
		for (uint32_t i = 0; i < 64; i += 8)
			_mm256_storeu_ps(d + i,
					 _mm256_cvtph_ps(_mm_loadu_si128((const void *)(h + i))));
#else
		for (uint32_t i = 0; i < 64; i++)
			d[i] = rt_f16_to_f32(h[i]);
#endif
		return 8;
	case IR_MAT_BF16:
		for (uint32_t i = 0; i < 64; i++)
			d[i] = rt_bf16_to_f32(h[i]);
		return 8;
	case IR_MAT_TF32:
		for (uint32_t i = 0; i < 32; i++)
			d[i] = rt_f32(reg[i] & ~0x1fffu);
		return 4;
	case IR_MAT_S8:
		for (uint32_t i = 0; i < 128; i++)
			d[i] = (float)(int8_t)b[i];
		return 16;
	case IR_MAT_U8:
		for (uint32_t i = 0; i < 128; i++)
			d[i] = (float)b[i];
		return 16;
	case IR_MAT_S4:
		for (uint32_t i = 0; i < 256; i++)
			d[i] = (float)((int8_t)(b[i / 2] << (i & 1 ? 0 : 4)) >> 4);
		return 32;
	case IR_MAT_U4:
		for (uint32_t i = 0; i < 256; i++)
			d[i] = (float)(b[i / 2] >> (i & 1 ? 4 : 0) & 15);
		return 32;
	case IR_MAT_P4:
		for (uint32_t i = 0; i < 256; i++)
			d[i] = table[b[i / 2] >> (i & 1 ? 4 : 0) & 15];
		return 32;
	default: /* a byte each, by table */
		for (uint32_t i = 0; i < 128; i++)
			d[i] = table[b[i]];
		return 16;
	}
}

static void rows(const float *table, uint32_t mat, float *d, uint32_t stride, const uint32_t *reg)
{
	float v[256];
	uint32_t n = block_values(table, mat, v, reg);

	for (uint32_t r = 0; r < 8; r++)
		memcpy(d + (size_t)r * stride, v + r * n, n * sizeof(float));
}

static void columns(const float *table, uint32_t mat, float *d, uint32_t stride,
		    const uint32_t *reg)
{
	float v[256];
	uint32_t n = block_values(table, mat, v, reg);

	for (uint32_t c = 0; c < n; c++)
		for (uint32_t r = 0; r < 8; r++)
			d[(size_t)c * stride + r] = v[r * n + c];
}

#ifdef __FMA__
typedef float v8 __attribute__((vector_size(32), aligned(4), may_alias));

static inline v8 fma8(float a, v8 b, v8 c)
{
	return (v8)_mm256_fmadd_ps(_mm256_set1_ps(a), (__m256)b, (__m256)c);
}

/* Four rows of eight columns stay in registers. */
static void product(float *d, const float *a, const float *b, uint32_t m, uint32_t n, uint32_t k,
		    uint32_t lda)
{
	for (uint32_t j = 0; j < n; j += 8) {
		for (uint32_t i = 0; i < m; i += 4) {
			float *at = d + (size_t)i * n + j;
			const float *ai = a + (size_t)i * lda;
			v8 d0 = *(v8 *)at, d1 = *(v8 *)(at + n), d2 = *(v8 *)(at + 2 * n),
			   d3 = *(v8 *)(at + 3 * n);

			for (uint32_t l = 0; l < k; l++) {
				v8 bl = *(const v8 *)(b + (size_t)l * n + j);

				d0 = fma8(ai[l], bl, d0);
				d1 = fma8(ai[l + lda], bl, d1);
				d2 = fma8(ai[l + 2 * lda], bl, d2);
				d3 = fma8(ai[l + 3 * lda], bl, d3);
			}
			*(v8 *)at = d0;
			*(v8 *)(at + n) = d1;
			*(v8 *)(at + 2 * n) = d2;
			*(v8 *)(at + 3 * n) = d3;
		}
	}
}
#else
static void product(float *d, const float *a, const float *b, uint32_t m, uint32_t n, uint32_t k,
		    uint32_t lda)
{
	for (uint32_t i = 0; i < m; i++)
		for (uint32_t l = 0; l < k; l++)
			for (uint32_t j = 0; j < n; j++)
				d[(size_t)i * n + j] =
					fmaf(a[(size_t)i * lda + l], b[(size_t)l * n + j],
					     d[(size_t)i * n + j]);
}
#endif

static void load_pair(float *d, uint32_t stride, const uint32_t *even, const uint32_t *odd)
{
	for (uint32_t r = 0; r < 8; r++)
		for (uint32_t c = 0; c < 4; c++) {
			d[r * stride + 2 * c] = rt_f32(even[4 * r + c]);
			d[r * stride + 2 * c + 1] = rt_f32(odd[4 * r + c]);
		}
}

/* A NaN becomes the canonical one. */
static void store_pair(uint32_t *even, uint32_t *odd, const float *s, uint32_t stride)
{
	for (uint32_t r = 0; r < 8; r++)
		for (uint32_t c = 0; c < 4; c++) {
			float x = s[r * stride + 2 * c], y = s[r * stride + 2 * c + 1];

			even[4 * r + c] = x == x ? rt_bits_f32(x) : RT_NAN_F32;
			odd[4 * r + c] = y == y ? rt_bits_f32(y) : RT_NAN_F32;
		}
}

static void load_half(float *d, uint32_t stride, const uint32_t *reg)
{
	rows(NULL, IR_MAT_F16, d, stride, reg);
}

static void store_half(uint32_t *reg, const float *s, uint32_t stride)
{
	uint16_t h[64];

	for (uint32_t r = 0; r < 8; r++)
		for (uint32_t c = 0; c < 8; c++)
			h[8 * r + c] = rt_f32_to_f16(s[r * stride + c]);
	memcpy(reg, h, sizeof(h));
}

const struct rt_mma_ops MMA_OPS = { .rows = rows,
				    .columns = columns,
				    .product = product,
				    .load_pair = load_pair,
				    .store_pair = store_pair,
				    .load_half = load_half,
				    .store_half = store_half };

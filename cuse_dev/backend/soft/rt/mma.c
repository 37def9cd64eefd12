/* SPDX-License-Identifier: MIT */
/*
 * mma.c - one matrix product from registers to registers: unpack, multiply, pack.
 *
 * Everything narrower than f64 is multiplied as f32: products of two elements of at most 11 bits are
 * exact there, and sums of products of integers stay below 2^24. Bits are counted, f64 has a loop
 * of its own.
 */
#include "cuse_dev/backend/soft/rt/mma.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "cuse_dev/backend/soft/rt/num.h"
#include "cuse_dev/backend/soft/rt/rt.h"

/* The largest parts: m32 and n32 of wmma, k128 of a sparse A. */
#define M_MOST 32
#define N_MOST 32
#define K_MOST 128

#ifdef __x86_64__
static bool has_f16c(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}
#endif

const struct rt_mma_ops *rt_mma_ops(void)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
	    __builtin_cpu_supports("bmi2") && has_f16c())
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
				       __builtin_cpu_supports("avx512dq") &&
				       __builtin_cpu_supports("avx512vl") &&
				       __builtin_cpu_supports("avx512cd")
			       ? &rt_mma_avx512
			       : &rt_mma_avx2;
#endif
	return &rt_mma_sse2;
}

/* ---- narrow formats -------------------------------------------------------------------------- */

/* shift: where the lowest bit stands in the byte. */
struct narrow {
	uint8_t mat, exponent, mantissa, shift;
	bool sign, inf; /* inf: the largest exponent means infinity and NaN */
	bool nan;	/* all ones means NaN */
};

static const struct narrow formats[] = {
	{ IR_MAT_E4M3, 4, 3, 0, true, false, true },
	{ IR_MAT_E5M2, 5, 2, 0, true, true, true },
	{ IR_MAT_E3M2, 3, 2, 0, true, false, false },
	{ IR_MAT_E2M3, 2, 3, 0, true, false, false },
	{ IR_MAT_E2M1, 2, 1, 2, true, false, false },
	{ IR_MAT_P4, 2, 1, 0, true, false, false },
	{ IR_MAT_UE8M0, 8, 0, 0, false, false, true },
	{ IR_MAT_UE4M3, 4, 3, 0, false, false, true },
};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

static float tables[FORMATS][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static float narrow_value(const struct narrow *f, uint32_t byte)
{
	uint32_t v = byte >> f->shift, m = v & ((1u << f->mantissa) - 1);
	uint32_t e = v >> f->mantissa & ((1u << f->exponent) - 1);
	int bias = (1 << (f->exponent - 1)) - 1;
	float r;

	if (f->nan && e == (1u << f->exponent) - 1 && (f->inf || m == (1u << f->mantissa) - 1))
		return rt_f32(f->inf && !m ? (byte & 0x80 ? 0xff800000u : 0x7f800000u)
					   : RT_NAN_F32);
	if (f->mantissa == 0)
		return ldexpf(1.0f, (int)e - bias);
	r = e ? ldexpf((float)(m + (1u << f->mantissa)), (int)e - bias - f->mantissa)
	      : ldexpf((float)m, 1 - bias - f->mantissa);
	return f->sign && v >> (f->exponent + f->mantissa) & 1 ? -r : r;
}

static void tables_init(void)
{
	for (uint32_t f = 0; f < FORMATS; f++)
		for (uint32_t i = 0; i < 256; i++)
			tables[f][i] = narrow_value(&formats[f], i);
}

const float *rt_mma_table(uint32_t mat)
{
	pthread_once(&tables_once, tables_init);
	for (uint32_t f = 0; f < FORMATS; f++)
		if (formats[f].mat == mat)
			return tables[f];
	return NULL;
}

/* ---- the sparse A ---------------------------------------------------------------------------- */

/*
 * 2 bits for each element that is there, 4 of them say where the two of four stand. Elements of 16 and
 * 32 bits: a lane has 16 bits of row g and 16 of row g + 8, and lanes go on along k. Smaller ones: a
 * lane has 32 bits of one row; rows g and g + 8 alternate. Elements of 4 bits count in pairs, those of
 * 32 bits as two halves.
 */
void rt_mma_sparse(const struct ir_mma *x, uint32_t m, const uint32_t *meta, uint32_t selector,
		   const float *packed, float *ret_a)
{
	uint32_t bits = ir_mat_bits(x->a), unit = bits == 4 ? 2 : 1;
	uint32_t chunks = bits == 32 ? x->k / 2 : x->k / 4 / unit; /* of 4 bits, in a row */
	uint32_t lanes = 4 * chunks * m / 8 / 32;		   /* of four that contribute */

	memset(ret_a, 0, (size_t)m * x->k * sizeof(float));
	for (uint32_t r = 0; r < m; r++) {
		const uint32_t *group = meta + 4 * (r % 8) + selector * lanes % 4;
		const float *from = packed + (size_t)r * x->k / 2;
		float *to = ret_a + (size_t)r * x->k;

		for (uint32_t c = 0; c < chunks; c++) {
			uint32_t v = bits >= 16 ? group[c / 4] >> (16 * (r / 8) + 4 * (c % 4))
						: group[2 * (c / 8) + r / 8] >> 4 * (c % 8);

			if (bits == 32) {
				to[2 * c + (v >> 1 & 1)] = *from++;
				continue;
			}
			for (uint32_t e = 0; e < 2; e++)
				for (uint32_t u = 0; u < unit; u++)
					to[unit * (4 * c + (v >> 2 * e & 3)) + u] = *from++;
		}
	}
}

/* ---- integers and bits ----------------------------------------------------------------------- */

uint32_t rt_mma_integer(float sum, uint32_t c, bool sat)
{
	int64_t v = (int64_t)(int32_t)c + (int32_t)sum;

	if (sat)
		v = v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v;
	return (uint32_t)v;
}

void rt_mma_bits(uint32_t *d, const uint32_t *a, const uint32_t *b, uint32_t m, uint32_t n,
		 uint32_t words, uint32_t bitop)
{
	for (uint32_t i = 0; i < m; i++) {
		for (uint32_t j = 0; j < n; j++) {
			const uint32_t *ai = a + (size_t)i * words, *bj = b + (size_t)j * words;
			uint32_t sum = 0;

			for (uint32_t w = 0; w < words; w++)
				sum += (uint32_t)__builtin_popcount(
					bitop == IR_BITOP_AND ? ai[w] & bj[w] : ai[w] ^ bj[w]);
			d[(size_t)i * n + j] += sum;
		}
	}
}

/* ---- accumulators ---------------------------------------------------------------------------- */

/* Registers of a 32-bit accumulator: block p has registers 2p and 2p + 1. */
static uint32_t *block_at(void *tile, uint32_t m, uint32_t n, uint32_t p)
{
	return (uint32_t *)tile + (size_t)(p % (m / 8)) * 8 * n + 8 * (p / (m / 8));
}

static void load_words(const struct ir_mma *x, const void *const *c, uint32_t *tile)
{
	for (uint32_t p = 0; p < (uint32_t)x->m * x->n / 64; p++) {
		const uint32_t *even = c[2 * p], *odd = c[2 * p + 1];
		uint32_t *t = block_at(tile, x->m, x->n, p);

		for (uint32_t i = 0; i < 32; i++) {
			t[i / 4 * x->n + i % 4 * 2] = even[i];
			t[i / 4 * x->n + i % 4 * 2 + 1] = odd[i];
		}
	}
}

static void store_words(const struct ir_mma *x, void *const *d, uint32_t *tile)
{
	for (uint32_t p = 0; p < (uint32_t)x->m * x->n / 64; p++) {
		uint32_t *even = d[2 * p], *odd = d[2 * p + 1];
		const uint32_t *t = block_at(tile, x->m, x->n, p);

		for (uint32_t i = 0; i < 32; i++) {
			even[i] = t[i / 4 * x->n + i % 4 * 2];
			odd[i] = t[i / 4 * x->n + i % 4 * 2 + 1];
		}
	}
}

static void load_floats(const struct rt_mma_ops *ops, const struct ir_mma *x, const void *const *c,
			float *tile)
{
	for (uint32_t p = 0; p < (uint32_t)x->m * x->n / 64; p++) {
		float *t = (float *)block_at(tile, x->m, x->n, p);

		if (x->c == IR_MAT_F16)
			ops->load_half(t, x->n, c[p]);
		else
			ops->load_pair(t, x->n, c[2 * p], c[2 * p + 1]);
	}
}

static void store_floats(const struct rt_mma_ops *ops, const struct ir_mma *x, void *const *d,
			 float *tile)
{
	for (uint32_t p = 0; p < (uint32_t)x->m * x->n / 64; p++) {
		const float *t = (const float *)block_at(tile, x->m, x->n, p);

		if (x->d == IR_MAT_F16)
			ops->store_half(d[p], t, x->n);
		else
			ops->store_pair(d[2 * p], d[2 * p + 1], t, x->n);
	}
}

/* ---- the kinds of products ------------------------------------------------------------------- */

static void bits(const struct ir_mma *x, const struct rt_mma_args *g, void *const *d)
{
	uint32_t a[16 * 8], b[8 * 8], t[16 * 8], words = x->k / 32u, rows = x->m / 8u;

	for (uint32_t i = 0; i < words / 4 * rows; i++)
		for (uint32_t l = 0; l < 32; l++)
			a[(8 * (i % rows) + l / 4) * words + 4 * (i / rows) + l % 4] =
				((const uint32_t *)g->a[i])[l];
	for (uint32_t i = 0; i < words / 4; i++)
		for (uint32_t l = 0; l < 32; l++)
			b[l / 4 * words + 4 * i + l % 4] = ((const uint32_t *)g->b[i])[l];
	load_words(x, g->c, t);
	rt_mma_bits(t, a, b, x->m, x->n, words, x->bitop);
	store_words(x, d, t);
}

static double fma_rounded(double a, double b, double c, uint8_t round)
{
	struct ir_inst in = { .op = IR_OP_FMA, .type = IR_F64, .nd = 1, .ns = 3, .round = round };
	struct rt_value s[3] = { { rt_bits_f64(a), 0 },
				 { rt_bits_f64(b), 0 },
				 { rt_bits_f64(c), 0 } };
	struct rt_value d;

	if (round == IR_RN)
		return fma(a, b, c);
	rt_eval(&in, s, &d);
	return rt_f64(d.lo);
}

static void doubles(const struct ir_mma *x, const struct rt_mma_args *g, void *const *d)
{
	uint32_t rows = x->m / 8u;

	for (uint32_t i = 0; i < x->m; i++) {
		for (uint32_t j = 0; j < x->n; j++) {
			uint32_t reg = 2 * (i / 8) + (j & 1), lane = 4 * (i % 8) + j / 2;
			double v = ((const double *)g->c[reg])[lane];

			for (uint32_t k = 0; k < x->k; k++) {
				const double *a = g->a[i / 8 + rows * (k / 4)], *b = g->b[k / 4];

				v = fma_rounded(a[4 * (i % 8) + k % 4], b[4 * j + k % 4], v,
						g->round);
			}
			((double *)d[reg])[lane] = v == v ? v : rt_f64(RT_NAN_F64);
		}
	}
}

/* Where element (row, column) of a part of m8n8k4 stands: register, lane and half of quad pair q. */
static float quad_half(const void *const *reg, uint32_t q, uint32_t line, uint32_t at)
{
	uint32_t lane = 4 * q + line % 4 + (line >= 4 ? 16 : 0);

	return rt_f16_to_f32(((const uint16_t *)reg[at / 2])[2 * lane + at % 2]);
}

/* Lanes hold lines along k, or (across) four values of one k each. */
static float quad_value(const void *const *reg, uint32_t q, uint32_t line, uint32_t k, bool across)
{
	return across ? quad_half(reg, q, k + (line >= 4 ? 4 : 0), line % 4)
		      : quad_half(reg, q, line, k);
}

/* Element (i, j) of an f32 accumulator. */
static void quad_place(uint32_t q, uint32_t i, uint32_t j, uint32_t *ret_reg, uint32_t *ret_lane)
{
	*ret_reg = (j & 4) | (i & 2) | (j & 1);
	*ret_lane = 4 * q + ((i & 1) | (j & 2)) + (i >= 4 ? 16 : 0);
}

static void quads(const struct ir_mma *x, const struct rt_mma_args *g, void *const *d)
{
	for (uint32_t e = 0; e < 4 * 64; e++) {
		uint32_t q = e / 64, i = e / 8 % 8, j = e % 8, reg, lane;
		float v;

		quad_place(q, i, j, &reg, &lane);
		v = x->c == IR_MAT_F16 ? quad_half(g->c, q, i, j)
				       : ((const float *)g->c[reg])[lane];
		for (uint32_t k = 0; k < 4; k++)
			v = fmaf(quad_value(g->a, q, i, k, x->acol),
				 quad_value(g->b, q, j, k, !x->bcol), v);
		if (x->d == IR_MAT_F32) {
			((uint32_t *)d[reg])[lane] = v == v ? rt_bits_f32(v) : RT_NAN_F32;
			continue;
		}
		lane = 4 * q + i % 4 + (i >= 4 ? 16 : 0);
		((uint16_t *)d[j / 2])[2 * lane + j % 2] = rt_f32_to_f16(v);
	}
}

/* The scale of line @i (row of A, column of B) in block @b along k. */
static float scale_of(const struct ir_mma *x, const struct rt_mma_args *g, uint32_t side,
		      uint32_t i, uint32_t b)
{
	uint32_t lane = side ? 4 * i + g->thread_id[1] % 4
			     : 4 * (i % 8) + i / 8 + 2 * (g->thread_id[0] % 2);
	uint32_t byte = (g->byte_id[side] + b) % 4;

	return rt_mma_table(x->stype)[g->scale[side][lane] >> 8 * byte & 255];
}

/* Block after block along k: d += a scale * b scale * product of the block. */
static void scaled(const struct rt_mma_ops *ops, const struct ir_mma *x,
		   const struct rt_mma_args *g, float *d, const float *a, const float *b)
{
	uint32_t step = x->k / x->scale;

	for (uint32_t s = 0; s < x->scale; s++) {
		float p[16 * 8] = { 0 };

		ops->product(p, a + s * step, b + (size_t)s * step * x->n, x->m, x->n, step, x->k);
		for (uint32_t i = 0; i < x->m; i++)
			for (uint32_t j = 0; j < x->n; j++) {
				double f = (double)scale_of(x, g, 0, i, s) *
					   (double)scale_of(x, g, 1, j, s);

				d[i * x->n + j] = (float)((double)d[i * x->n + j] +
							  (double)p[i * x->n + j] * f);
			}
	}
}

static void unpack(const struct rt_mma_ops *ops, const struct ir_mma *x,
		   const struct rt_mma_args *g, float *a, float *b)
{
	uint32_t lda = x->sparse ? x->k / 2u : x->k, wide_a = 128 / ir_mat_bits(x->a),
		 wide_b = 128 / ir_mat_bits(x->b), rows = x->m / 8u, kb = x->k / wide_b;
	const float *ta = rt_mma_table(x->a), *tb = rt_mma_table(x->b);
	float packed[16 * K_MOST / 2], *to = x->sparse ? packed : a;

	for (uint32_t i = 0; i < rows * lda / wide_a; i++)
		ops->rows(ta, x->a, to + 8 * (i % rows) * lda + i / rows * wide_a, lda, g->a[i]);
	if (x->sparse)
		rt_mma_sparse(x, x->m, g->meta, g->selector, packed, a);
	for (uint32_t i = 0; i < x->n / 8 * kb; i++)
		ops->columns(tb, x->b, b + (size_t)(i % kb) * wide_b * x->n + 8 * (i / kb), x->n,
			     g->b[i]);
}

void rt_mma(const struct rt_mma_ops *ops, const struct ir_mma *x, const struct rt_mma_args *g,
	    void *const *d)
{
	_Alignas(64) float a[M_MOST * K_MOST], b[K_MOST * N_MOST], t[M_MOST * N_MOST];
	uint32_t c[M_MOST * N_MOST];

	if (x->a == IR_MAT_B1) {
		bits(x, g, d);
		return;
	}
	if (x->a == IR_MAT_F64) {
		doubles(x, g, d);
		return;
	}
	if (x->quad) {
		quads(x, g, d);
		return;
	}
	unpack(ops, x, g, a, b);
	if (x->d == IR_MAT_S32) {
		memset(t, 0, (size_t)x->m * x->n * sizeof(float));
		ops->product(t, a, b, x->m, x->n, x->k, x->k);
		load_words(x, g->c, c);
		for (uint32_t i = 0; i < (uint32_t)x->m * x->n; i++)
			c[i] = rt_mma_integer(t[i], c[i], g->sat);
		store_words(x, d, c);
		return;
	}
	load_floats(ops, x, g->c, t);
	if (x->scale)
		scaled(ops, x, g, t, a, b);
	else
		ops->product(t, a, b, x->m, x->n, x->k, x->k);
	store_floats(ops, x, d, t);
}

/* SPDX-License-Identifier: MIT */
/*
 * vec_body.h - the vector handlers, for the instruction set that the including file is compiled for.
 *
 * Included by vec_<isa>.c, which defines VEC_TABLE. Loops over the 32 lanes are plain C that the
 * compiler vectorises; a handler computes all lanes and then, unless the frame is full, blends
 * the result under the mask. Lanes that do not run compute garbage and touch no memory.
 */
#include <string.h>

#ifdef __SSE2__
#include <immintrin.h>
#else
#include <fenv.h>
#endif

#include "cuse_dev/backend/soft/interp/vec.h"
#include "cuse_dev/backend/soft/rt/num.h"
#include "cuse_dev/backend/soft/rt/vec.h"

typedef struct interp_warp W;
typedef const struct interp_inst IN;

/* A result is either the same register as a source or shares nothing with it: no dependencies. */
#ifdef __clang__
#define LANES _Pragma("clang loop vectorize(assume_safety)") for (uint32_t i = 0; i < LANES_N; i++)
#else
#define LANES _Pragma("GCC ivdep") for (uint32_t i = 0; i < LANES_N; i++)
#endif

#define REG(T, off) ((T *)__builtin_assume_aligned(w->regs + (off), 64))
#define PRED(off)   (*(uint32_t *)(w->regs + (off)))
#define DST(T, off) \
	((T *)__builtin_assume_aligned(__builtin_expect(w->full, 1) ? w->regs + (off) : w->scratch, 64))

/* ---- helpers of the expressions in fast.def -------------------------------------------------- */

static inline float cf(float f)
{
	return f == f ? f : rt_f32(RT_NAN_F32);
}

/* The result d of operands x, y, z: a NaN is the first operand's that is one, quiet. */
static inline double cd(double d, double x, double y, double z)
{
	uint64_t n = RT_NAN_F64, quiet = 1ull << 51;

	n = z != z ? rt_bits_f64(z) | quiet : n;
	n = y != y ? rt_bits_f64(y) | quiet : n;
	n = x != x ? rt_bits_f64(x) | quiet : n;
	return d == d ? d : rt_f64(n);
}

static inline float Z(float f)
{
	return rt_ftz_f32(f);
}

/* NaN loses against a number; -0 is less than +0. */
static inline float min_of(float x, float y)
{
	float m = x < y ? x : y;

	m = x == y ? rt_f32(rt_bits_f32(x) | rt_bits_f32(y)) : m;
	m = y != y ? x : m;
	return cf(x != x ? y : m);
}

static inline float max_of(float x, float y)
{
	float m = x > y ? x : y;

	m = x == y ? rt_f32(rt_bits_f32(x) & rt_bits_f32(y)) : m;
	m = y != y ? x : m;
	return cf(x != x ? y : m);
}

static inline double min_of_f64(double x, double y)
{
	double m = x < y ? x : y;

	m = x == y ? rt_f64(rt_bits_f64(x) | rt_bits_f64(y)) : m;
	m = y != y ? x : m;
	m = x != x ? y : m;
	return m == m ? m : rt_f64(RT_NAN_F64);
}

static inline double max_of_f64(double x, double y)
{
	double m = x > y ? x : y;

	m = x == y ? rt_f64(rt_bits_f64(x) & rt_bits_f64(y)) : m;
	m = y != y ? x : m;
	m = x != x ? y : m;
	return m == m ? m : rt_f64(RT_NAN_F64);
}

static inline uint32_t half2(float lo, float hi)
{
	return rt_f32_to_f16(lo) | (uint32_t)rt_f32_to_f16(hi) << 16;
}

/* ---- halves: computed in f32 or f64, rounded once ---- */

static inline uint32_t bhalf2(float lo, float hi)
{
	return rt_f32_to_bf16(lo) | (uint32_t)rt_f32_to_bf16(hi) << 16;
}

/* To f32, to odd: rounding that to a half is as exact as rounding d itself. */
static inline float odd_f32(double d)
{
	float f = (float)d;
	uint32_t u = rt_bits_f32(f);
	uint32_t away = __builtin_fabs((double)f) > __builtin_fabs(d) ? ~0u : 1u;

	u += (double)f != d && d == d && !(u & 1) ? away : 0;
	return rt_f32(u);
}

/* x * y + z to odd, for x * y that is exact in f64. */
static inline double odd_fma(double x, double y, double z)
{
	double p = x * y, s = p + z, b = s - p, e = (p - (s - b)) + (z - b);
	uint64_t u = rt_bits_f64(s);
	uint64_t step = (e > 0) == (s > 0) ? 1 : ~0ull;

	u += e == e && e != 0 && !(u & 1) ? step : 0;
	return rt_f64(u);
}

static inline uint16_t f16_of_f64(double d)
{
	return rt_f32_to_f16(odd_f32(d));
}

static inline uint16_t h_nan(uint16_t unused, uint16_t v)
{
	return (v & 0x7fff) > 0x7c00 ? RT_NAN_F16 : v;
}

static inline uint16_t h_min(uint16_t x, uint16_t y)
{
	return rt_f32_to_f16(min_of(rt_f16_to_f32(x), rt_f16_to_f32(y)));
}

static inline uint16_t h_max(uint16_t x, uint16_t y)
{
	return rt_f32_to_f16(max_of(rt_f16_to_f32(x), rt_f16_to_f32(y)));
}

static inline uint16_t h_fma(uint16_t x, uint16_t y, uint16_t z)
{
	return f16_of_f64(odd_fma(rt_f16_to_f32(x), rt_f16_to_f32(y), rt_f16_to_f32(z)));
}

static inline uint16_t b_add(uint16_t x, uint16_t y)
{
	return rt_f32_to_bf16(rt_bf16_to_f32(x) + rt_bf16_to_f32(y));
}

static inline uint16_t b_sub(uint16_t x, uint16_t y)
{
	return rt_f32_to_bf16(rt_bf16_to_f32(x) - rt_bf16_to_f32(y));
}

static inline uint16_t b_mul(uint16_t x, uint16_t y)
{
	return rt_f32_to_bf16(rt_bf16_to_f32(x) * rt_bf16_to_f32(y));
}

static inline uint16_t b_min(uint16_t x, uint16_t y)
{
	return rt_f32_to_bf16(min_of(rt_bf16_to_f32(x), rt_bf16_to_f32(y)));
}

static inline uint16_t b_max(uint16_t x, uint16_t y)
{
	return rt_f32_to_bf16(max_of(rt_bf16_to_f32(x), rt_bf16_to_f32(y)));
}

static inline uint16_t b_fma(uint16_t x, uint16_t y, uint16_t z)
{
	return rt_f32_to_bf16(odd_f32(odd_fma(rt_bf16_to_f32(x), rt_bf16_to_f32(y), rt_bf16_to_f32(z))));
}

/* Both halves of a word. */
#define PAIR(f, x, y)                                                                              \
	(f((uint16_t)(x), (uint16_t)(y)) | (uint32_t)f((uint16_t)((x) >> 16), (uint16_t)((y) >> 16)) << 16)
#define PAIR3(f, x, y, z)                                                                          \
	(f((uint16_t)(x), (uint16_t)(y), (uint16_t)(z)) |                                          \
	 (uint32_t)f((uint16_t)((x) >> 16), (uint16_t)((y) >> 16), (uint16_t)((z) >> 16)) << 16)

#define islessgreater_of(x, y) ((int)((x) < (y)) | (int)((x) > (y)))
#define MIN_OF_TYPE(x)	       ((__typeof__(x))(1ull << (sizeof(x) * 8 - 1)))
#define IS_SIGNED(x)	       ((__typeof__(x))-1 < (__typeof__(x))1)
/* A shift by the width or more leaves only signs. */
#define shr_of(x, y)                                                                               \
	((y) >= sizeof(x) * 8 ? (__typeof__(x))(IS_SIGNED(x) ? (x) >> (sizeof(x) * 8 - 1) : 0) :    \
				(__typeof__(x))((x) >> ((y) & (sizeof(x) * 8 - 1))))
/* By 0 all ones; MIN / -1 wraps. */
#define div_of(x, y)                                                                               \
	((y) == 0 ? (__typeof__(x))-1 :                                                            \
	 IS_SIGNED(x) && (y) == (__typeof__(y))-1 ?                                                \
		    (__typeof__(x))(0 - (uint64_t)(x)) : (__typeof__(x))((x) / (y)))
#define rem_of(x, y)                                                                               \
	((y) == 0 ? (__typeof__(x))-1 :                                                            \
	 IS_SIGNED(x) && (y) == (__typeof__(y))-1 ? (__typeof__(x))0 : (__typeof__(x))((x) % (y)))

static inline uint32_t shf_of(uint32_t lo, uint32_t hi, uint32_t n)
{
	return (uint32_t)(((uint64_t)hi << 32 | lo) >> n);
}

static inline uint32_t brev_of(uint32_t x)
{
	x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
	x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
	x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
	return __builtin_bswap32(x);
}

static inline uint32_t bfe_of(uint32_t x, uint32_t pos, uint32_t len)
{
	pos &= 255;
	len &= 255;
	x = pos < 32 ? x >> (pos & 31) : 0;
	return len < 32 ? x & ((1u << (len & 31)) - 1) : x;
}

/* Bits beyond the value are copies of its sign or of the field's. */
static inline uint32_t bfe_signed(uint32_t x, uint32_t pos, uint32_t len)
{
	int32_t v;
	uint32_t s;

	pos &= 255;
	len &= 255;
	v = (int32_t)x >> (pos < 31 ? pos : 31);
	s = len < 32 ? (32 - len) & 31 : 0;
	v = (int32_t)((uint32_t)v << s) >> s;
	return len ? (uint32_t)v : 0;
}

static inline uint64_t bfe_wide(uint64_t x, uint32_t pos, uint32_t len)
{
	pos &= 255;
	len &= 255;
	x = pos < 64 ? x >> (pos & 63) : 0;
	return len < 64 ? x & ((1ull << (len & 63)) - 1) : x;
}

static inline uint32_t bmsk_of(uint32_t pos, uint32_t len)
{
	uint32_t ones = len < 32 ? (1u << (len & 31)) - 1 : ~0u;

	return pos < 32 ? ones << (pos & 31) : 0;
}

static inline uint32_t szext_of(uint32_t x, uint32_t n)
{
	uint32_t s = (32 - n) & 31;

	return n ? (uint32_t)((int32_t)(x << s) >> s) : 0;
}

static inline uint32_t dp4a_of(uint32_t x, uint32_t y, uint32_t z, int sx, int sy)
{
	for (uint32_t k = 0; k < 32; k += 8) {
		int32_t a = sx ? (int8_t)(x >> k) : (uint8_t)(x >> k);
		int32_t b = sy ? (int8_t)(y >> k) : (uint8_t)(y >> k);

		z += (uint32_t)(a * b);
	}
	return z;
}

static inline uint32_t prmt_of(uint32_t x, uint32_t y, uint32_t sel)
{
	uint64_t v = (uint64_t)y << 32 | x;
	uint32_t r = 0;

	for (uint32_t k = 0; k < 4; k++) {
		uint32_t s = sel >> (4 * k) & 15, b = (uint32_t)(v >> (8 * (s & 7))) & 255;

		b = s & 8 ? (b & 128 ? 255 : 0) : b;
		r |= b << (8 * k);
	}
	return r;
}

/* ---- results under the mask ------------------------------------------------------------------ */

static inline void blend(void *dst, const void *src, uint32_t mask, size_t size)
{
#ifdef __AVX512BW__
	if (size == 4) {
		_mm512_mask_storeu_epi32(dst, (__mmask16)mask, _mm512_loadu_si512(src));
		_mm512_mask_storeu_epi32((uint32_t *)dst + 16, (__mmask16)(mask >> 16),
					 _mm512_loadu_si512((const uint32_t *)src + 16));
		return;
	}
	if (size == 8) {
		for (uint32_t k = 0; k < 4; k++)
			_mm512_mask_storeu_epi64((uint64_t *)dst + 8 * k, (__mmask8)(mask >> (8 * k)),
						 _mm512_loadu_si512((const uint64_t *)src + 8 * k));
		return;
	}
	if (size == 2) {
		_mm512_mask_storeu_epi16(dst, mask, _mm512_loadu_si512(src));
		return;
	}
#endif
	while (mask) {
		uint32_t i = (uint32_t)__builtin_ctz(mask);

		memcpy((uint8_t *)dst + i * size, (const uint8_t *)src + i * size, size);
		mask &= mask - 1;
	}
}

#define DONE(T, off)                                                                               \
	do {                                                                                       \
		if (__builtin_expect(!w->full, 0))                                                 \
			blend(w->regs + (off), w->scratch, w->mask, sizeof(T));                    \
		return in + 1;                                                                     \
	} while (0)

static inline IN *put_pred(W *w, IN *in, uint32_t p)
{
	PRED(in->d) = w->full ? p : (PRED(in->d) & ~w->mask) | (p & w->mask);
	return in + 1;
}

/* bit i = flags[i] != 0; the flags are 0 or 1 */
static inline uint32_t bits_of(const uint8_t *flags)
{
#ifdef __AVX2__
	return (uint32_t)_mm256_movemask_epi8(
		_mm256_slli_epi16(_mm256_loadu_si256((const __m256i *)flags), 7));
#elif defined(__SSE2__)
	return (uint32_t)_mm_movemask_epi8(_mm_slli_epi16(_mm_loadu_si128((const __m128i *)flags), 7)) |
	       (uint32_t)_mm_movemask_epi8(
		       _mm_slli_epi16(_mm_loadu_si128((const __m128i *)(flags + 16)), 7)) << 16;
#else
	uint32_t m = 0;

	for (uint32_t i = 0; i < LANES_N; i++)
		m |= (uint32_t)flags[i] << i;
	return m;
#endif
}

/* ---- fast.def as functions ------------------------------------------------------------------- */

/* An immediate in the type of the use. */
#define IMM(T, v)                                                                                  \
	({                                                                                         \
		T imm_;                                                                            \
		uint64_t bits_ = (v);                                                              \
		memcpy(&imm_, &bits_, sizeof(imm_));                                               \
		imm_;                                                                              \
	})

#define UN(name, OP, TYPE, TYPE2, MODS, D, A, expr)                                                \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		D *d = DST(D, in->d);                                                              \
		const A *a = REG(const A, in->a);                                                  \
		LANES { const A x = a[i]; d[i] = (D)(expr); }                                      \
		DONE(D, in->d);                                                                    \
	}
#define BIN2(name, OP, TYPE, TYPE2, MODS, D, A, B, COMM, expr)                                             \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		D *d = DST(D, in->d);                                                              \
		const A *a = REG(const A, in->a);                                                  \
		const B *b = REG(const B, in->b);                                                  \
		LANES { const A x = a[i]; const B y = b[i]; d[i] = (D)(expr); }                    \
		DONE(D, in->d);                                                                    \
	}                                                                                          \
	static IN *op_##name##_i(W *w, IN *in)                                                     \
	{                                                                                          \
		D *d = DST(D, in->d);                                                              \
		const A *a = REG(const A, in->a);                                                  \
		const B y = IMM(B, in->imm);                                                       \
		LANES { const A x = a[i]; d[i] = (D)(expr); }                                      \
		DONE(D, in->d);                                                                    \
	}
#define TER2(name, OP, TYPE, TYPE2, MODS, D, A, B, C, expr)                                                \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		D *d = DST(D, in->d);                                                              \
		const A *a = REG(const A, in->a);                                                  \
		const B *b = REG(const B, in->b);                                                  \
		const C *c = REG(const C, in->c);                                                  \
		LANES { const A x = a[i]; const B y = b[i]; const C z = c[i]; d[i] = (D)(expr); }  \
		DONE(D, in->d);                                                                    \
	}                                                                                          \
	static IN *op_##name##_i(W *w, IN *in)                                                     \
	{                                                                                          \
		D *d = DST(D, in->d);                                                              \
		const A *a = REG(const A, in->a);                                                  \
		const B *b = REG(const B, in->b);                                                  \
		const C z = IMM(C, in->imm);                                                       \
		LANES { const A x = a[i]; const B y = b[i]; d[i] = (D)(expr); }                    \
		DONE(D, in->d);                                                                    \
	}                                                                                          \
	static IN *op_##name##_m(W *w, IN *in)                                                     \
	{                                                                                          \
		D *d = DST(D, in->d);                                                              \
		const A *a = REG(const A, in->a);                                                  \
		const B y = IMM(B, in->imm);                                                       \
		const C *c = REG(const C, in->c);                                                  \
		LANES { const A x = a[i]; const C z = c[i]; d[i] = (D)(expr); }                    \
		DONE(D, in->d);                                                                    \
	}

/*
 * The same under another rounding: a, b, c are read after the switch and d is written before the
 * switch back, so the arithmetic happens in between.
 */
static inline void round_as(uint32_t r)
{
#ifdef __SSE2__
	static const uint32_t bits[] = { [IR_RN] = 0, [IR_RM] = 0x2000, [IR_RP] = 0x4000, [IR_RZ] = 0x6000 };

	_mm_setcsr((_mm_getcsr() & ~0x6000u) | bits[r]);
#else
	fesetround(r == IR_RM ? FE_DOWNWARD : r == IR_RP ? FE_UPWARD : r == IR_RZ ? FE_TOWARDZERO :
		   FE_TONEAREST);
#endif
	__asm__ volatile("" ::: "memory");
}

#define ROUNDED_AS(R, ...)                                                                        \
	do {                                                                                       \
		round_as(IR_##R);                                                                  \
		__VA_ARGS__                                                                        \
		__asm__ volatile("" ::: "memory");                                                 \
		round_as(IR_RN);                                                                   \
	} while (0)
#define UNR(name, OP, TYPE, R, MODS, T, expr)                                                      \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		T *d = DST(T, in->d);                                                              \
		const T *a = REG(const T, in->a);                                                  \
		ROUNDED_AS(R, LANES { const T x = a[i]; d[i] = (expr); });                         \
		DONE(T, in->d);                                                                    \
	}
#define BINR(name, OP, TYPE, R, MODS, T, expr)                                                     \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		T *d = DST(T, in->d);                                                              \
		const T *a = REG(const T, in->a);                                                  \
		const T *b = REG(const T, in->b);                                                  \
		ROUNDED_AS(R, LANES { const T x = a[i], y = b[i]; d[i] = (expr); });               \
		DONE(T, in->d);                                                                    \
	}                                                                                          \
	static IN *op_##name##_i(W *w, IN *in)                                                     \
	{                                                                                          \
		T *d = DST(T, in->d);                                                              \
		const T *a = REG(const T, in->a);                                                  \
		const T y = IMM(T, in->imm);                                                       \
		ROUNDED_AS(R, LANES { const T x = a[i]; d[i] = (expr); });                         \
		DONE(T, in->d);                                                                    \
	}
#define TERR(name, OP, TYPE, R, MODS, T, expr)                                                     \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		T *d = DST(T, in->d);                                                              \
		const T *a = REG(const T, in->a);                                                  \
		const T *b = REG(const T, in->b);                                                  \
		const T *c = REG(const T, in->c);                                                  \
		ROUNDED_AS(R, LANES { const T x = a[i], y = b[i], z = c[i]; d[i] = (expr); });     \
		DONE(T, in->d);                                                                    \
	}                                                                                          \
	static IN *op_##name##_i(W *w, IN *in)                                                     \
	{                                                                                          \
		T *d = DST(T, in->d);                                                              \
		const T *a = REG(const T, in->a);                                                  \
		const T *b = REG(const T, in->b);                                                  \
		const T z = IMM(T, in->imm);                                                       \
		ROUNDED_AS(R, LANES { const T x = a[i], y = b[i]; d[i] = (expr); });               \
		DONE(T, in->d);                                                                    \
	}                                                                                          \
	static IN *op_##name##_m(W *w, IN *in)                                                     \
	{                                                                                          \
		T *d = DST(T, in->d);                                                              \
		const T *a = REG(const T, in->a);                                                  \
		const T y = IMM(T, in->imm);                                                       \
		const T *c = REG(const T, in->c);                                                  \
		ROUNDED_AS(R, LANES { const T x = a[i], z = c[i]; d[i] = (expr); });               \
		DONE(T, in->d);                                                                    \
	}
#ifdef __AVX512BW__
/* Comparisons straight into masks. The immediates of vpcmp and vcmp, by name of enum ir_cmp. */
enum { I_EQ = 0, I_LT = 1, I_LE = 2, I_NE = 4, I_GE = 5, I_GT = 6 };
enum { F_EQ = _CMP_EQ_OQ, F_NE = _CMP_NEQ_OQ, F_LT = _CMP_LT_OQ, F_LE = _CMP_LE_OQ, F_GT = _CMP_GT_OQ,
       F_GE = _CMP_GE_OQ, F_EQU = _CMP_EQ_UQ, F_NEU = _CMP_NEQ_UQ, F_LTU = _CMP_NGE_UQ,
       F_LEU = _CMP_NGT_UQ, F_GTU = _CMP_NLE_UQ, F_GEU = _CMP_NLT_UQ, F_NUM = _CMP_ORD_Q,
       F_NAN = _CMP_UNORD_Q };
/* GCC 12 may spill a mask as 16 bits and load it as 64: have it in a general register first. */
static inline uint64_t mask_bits(uint32_t m)
{
	__asm__("" : "+r"(m));
	return m;
}

#define CMP_U16(a, b, c, k) mask_bits(_mm512_cmp_epu16_mask(a, b, I_##c)) << (k)
#define CMP_S16(a, b, c, k) mask_bits(_mm512_cmp_epi16_mask(a, b, I_##c)) << (k)
#define CMP_U32(a, b, c, k) mask_bits(_mm512_cmp_epu32_mask(a, b, I_##c)) << (k)
#define CMP_S32(a, b, c, k) mask_bits(_mm512_cmp_epi32_mask(a, b, I_##c)) << (k)
#define CMP_U64(a, b, c, k) mask_bits(_mm512_cmp_epu64_mask(a, b, I_##c)) << (k)
#define CMP_S64(a, b, c, k) mask_bits(_mm512_cmp_epi64_mask(a, b, I_##c)) << (k)
#define CMP_F32(a, b, c, k) \
	mask_bits(_mm512_cmp_ps_mask(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), F_##c)) << (k)
#define CMP_F64(a, b, c, k) \
	mask_bits(_mm512_cmp_pd_mask(_mm512_castsi512_pd(a), _mm512_castsi512_pd(b), F_##c)) << (k)

static inline __m512i flush_f32(__m512i v)
{
	__mmask16 normal = _mm512_test_epi32_mask(v, _mm512_set1_epi32(0x7f800000));

	return _mm512_mask_and_epi32(v, (__mmask16)~normal, v, _mm512_set1_epi32((int)0x80000000));
}

static inline __m512i spread(uint64_t imm, size_t size)
{
	return size == 2 ? _mm512_set1_epi16((short)imm) : size == 4 ? _mm512_set1_epi32((int)imm) :
	       _mm512_set1_epi64((long long)imm);
}

#define CMP_MASK(name, TYPE, C, A, PRE)                                                            \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		const uint8_t *a = w->regs + in->a, *b = w->regs + in->b;                          \
		uint64_t p = 0;                                                                    \
		for (uint32_t k = 0; k < sizeof(A) / 2; k++)                                       \
			p |= CMP_##TYPE(PRE(_mm512_load_si512(a + 64 * k)),                        \
					PRE(_mm512_load_si512(b + 64 * k)), C, k * (64 / sizeof(A))); \
		return put_pred(w, in, (uint32_t)p);                                               \
	}                                                                                          \
	static IN *op_##name##_i(W *w, IN *in)                                                     \
	{                                                                                          \
		const uint8_t *a = w->regs + in->a;                                                \
		__m512i b = PRE(spread(in->imm, sizeof(A)));                                       \
		uint64_t p = 0;                                                                    \
		for (uint32_t k = 0; k < sizeof(A) / 2; k++)                                       \
			p |= CMP_##TYPE(PRE(_mm512_load_si512(a + 64 * k)), b, C, k * (64 / sizeof(A))); \
		return put_pred(w, in, (uint32_t)p);                                               \
	}
#define CMP(name, TYPE, C, A, expr)  CMP_MASK(name, TYPE, C, A, )
#define CMPZ(name, TYPE, C, A, expr) CMP_MASK(name, TYPE, C, A, flush_f32)
#else
#define CMP(name, TYPE, C, A, expr)                                                              \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		_Alignas(64) uint8_t f[LANES_N];                                                   \
		const A *a = REG(const A, in->a);                                                  \
		const A *b = REG(const A, in->b);                                                  \
		LANES { const A x = a[i]; const A y = b[i]; f[i] = (expr) ? 1 : 0; }               \
		return put_pred(w, in, bits_of(f));                                                \
	}                                                                                          \
	static IN *op_##name##_i(W *w, IN *in)                                                     \
	{                                                                                          \
		_Alignas(64) uint8_t f[LANES_N];                                                   \
		const A *a = REG(const A, in->a);                                                  \
		const A y = IMM(A, in->imm);                                                       \
		LANES { const A x = a[i]; f[i] = (expr) ? 1 : 0; }                                 \
		return put_pred(w, in, bits_of(f));                                                \
	}
#define CMPZ(name, TYPE, C, A, expr) CMP(name, TYPE, C, A, expr)
#endif
#define UNV(name, OP, TYPE, MODS, T, call)                                                         \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		T *d = DST(T, in->d);                                                              \
		const T *a = REG(const T, in->a);                                                  \
		call;                                                                              \
		DONE(T, in->d);                                                                    \
	}
#define BINV(name, OP, TYPE, MODS, T, call)                                                        \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		T *d = DST(T, in->d);                                                              \
		const T *a = REG(const T, in->a);                                                  \
		const T *b = REG(const T, in->b);                                                  \
		call;                                                                              \
		DONE(T, in->d);                                                                    \
	}
#include "cuse_dev/backend/soft/interp/fast.def"

/* ---- moves ----------------------------------------------------------------------------------- */

#define BCAST(name, T)                                                                             \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		T *d = DST(T, in->d);                                                              \
		const T y = (T)in->imm;                                                            \
		LANES d[i] = y;                                                                    \
		DONE(T, in->d);                                                                    \
	}
BCAST(bcast_16, uint16_t)
BCAST(bcast_32, uint32_t)
BCAST(bcast_64, uint64_t)

/* d = c ? a : b */
#ifdef __AVX512BW__
static inline __m512i pick_16(uint32_t p, const uint8_t *a, const uint8_t *b)
{
	return _mm512_mask_loadu_epi16(_mm512_load_si512(b), p, a);
}

static inline __m512i pick_32(uint32_t p, const uint8_t *a, const uint8_t *b)
{
	return _mm512_mask_loadu_epi32(_mm512_load_si512(b), (__mmask16)p, a);
}

static inline __m512i pick_64(uint32_t p, const uint8_t *a, const uint8_t *b)
{
	return _mm512_mask_loadu_epi64(_mm512_load_si512(b), (__mmask8)p, a);
}

#define SELP(bits, T)                                                                              \
	static IN *op_selp_##bits(W *w, IN *in)                                                    \
	{                                                                                          \
		const uint8_t *a = w->regs + in->a, *b = w->regs + in->b;                          \
		uint8_t *d = (uint8_t *)DST(T, in->d);                                             \
		uint32_t p = PRED(in->c);                                                          \
		for (uint32_t k = 0; k < bits / 16; k++)                                           \
			_mm512_store_si512(d + 64 * k, pick_##bits(p >> (k * (512 / bits)),        \
								   a + 64 * k, b + 64 * k));       \
		DONE(T, in->d);                                                                    \
	}
#else
#define SELP(bits, T)                                                                              \
	static IN *op_selp_##bits(W *w, IN *in)                                                    \
	{                                                                                          \
		const T *a = REG(const T, in->a), *b = REG(const T, in->b);                        \
		T *d = DST(T, in->d);                                                              \
		const uint32_t p = PRED(in->c);                                                    \
		LANES d[i] = p >> i & 1 ? a[i] : b[i];                                             \
		DONE(T, in->d);                                                                    \
	}
#endif
SELP(16, uint16_t)
SELP(32, uint32_t)
SELP(64, uint64_t)

static IN *op_lop3(W *w, IN *in)
{
	uint32_t *d = DST(uint32_t, in->d), m[8];
	const uint32_t *a = REG(const uint32_t, in->a), *b = REG(const uint32_t, in->b);
	const uint32_t *c = REG(const uint32_t, in->c);

	for (uint32_t k = 0; k < 8; k++)
		m[k] = in->imm >> k & 1 ? ~0u : 0;
	LANES {
		uint32_t x = a[i], y = b[i], z = c[i];
		uint32_t lo = (~y & ((~z & m[0]) | (z & m[1]))) | (y & ((~z & m[2]) | (z & m[3])));
		uint32_t hi = (~y & ((~z & m[4]) | (z & m[5]))) | (y & ((~z & m[6]) | (z & m[7])));

		d[i] = (~x & lo) | (x & hi);
	}
	DONE(uint32_t, in->d);
}

static IN *op_pack_32(W *w, IN *in)
{
	uint64_t *d = DST(uint64_t, in->d);
	const uint32_t *a = REG(const uint32_t, in->a), *b = REG(const uint32_t, in->b);

	LANES d[i] = a[i] | (uint64_t)b[i] << 32;
	DONE(uint64_t, in->d);
}

static IN *op_pack_16(W *w, IN *in)
{
	uint32_t *d = DST(uint32_t, in->d);
	const uint16_t *a = REG(const uint16_t, in->a), *b = REG(const uint16_t, in->b);

	LANES d[i] = a[i] | (uint32_t)b[i] << 16;
	DONE(uint32_t, in->d);
}

/* One part: imm is the shift. */
static IN *op_unpack_32(W *w, IN *in)
{
	uint32_t *d = DST(uint32_t, in->d);
	const uint64_t *a = REG(const uint64_t, in->a);
	const uint32_t n = (uint32_t)in->imm;

	LANES d[i] = (uint32_t)(a[i] >> n);
	DONE(uint32_t, in->d);
}

static IN *op_unpack_16(W *w, IN *in)
{
	uint16_t *d = DST(uint16_t, in->d);
	const uint32_t *a = REG(const uint32_t, in->a);
	const uint32_t n = (uint32_t)in->imm;

	LANES d[i] = (uint16_t)(a[i] >> n);
	DONE(uint16_t, in->d);
}

/*
 * imm: the axis of the thread index. Divisions of numbers below 1024 by a multiplication: rounded up,
 * the factor is wrong by less than what could reach the next integer.
 */
static IN *op_tid(W *w, IN *in)
{
	const uint32_t *n = w->base.grid->launch->block, first = w->base.index * LANES_N, nx = n[0], ny = n[1];
	const uint32_t mx = ((1u << 20) + nx - 1) / nx, my = ((1u << 20) + ny - 1) / ny;
	uint32_t *d = DST(uint32_t, in->d);

	if (ny == 1 && n[2] == 1) {
		const uint32_t step = in->imm == 0;

		LANES d[i] = (first + i) * step;
	} else if (in->imm == 0) {
		LANES { const uint32_t t = first + i; d[i] = t - (t * mx >> 20) * nx; }
	} else if (in->imm == 1) {
		LANES { const uint32_t q = (first + i) * mx >> 20; d[i] = q - (q * my >> 20) * ny; }
	} else {
		LANES { const uint32_t q = (first + i) * mx >> 20; d[i] = q * my >> 20; }
	}
	DONE(uint32_t, in->d);
}

/* d = b with the e low bits of a at c */
static IN *op_bfi_32(W *w, IN *in)
{
	uint32_t *d = DST(uint32_t, in->d);
	const uint32_t *a = REG(const uint32_t, in->a), *b = REG(const uint32_t, in->b);
	const uint32_t *c = REG(const uint32_t, in->c), *e = REG(const uint32_t, in->e);

	LANES {
		uint32_t pos = c[i] & 255, len = e[i] & 255;
		uint32_t ones = len < 32 ? (1u << (len & 31)) - 1 : ~0u;
		uint32_t field = pos < 32 ? ones << (pos & 31) : 0;

		d[i] = (b[i] & ~field) | (a[i] << (pos & 31) & field);
	}
	DONE(uint32_t, in->d);
}

/* d, e = a +- b +- c, where c and e are carries or borrows */
#define CARRY(name, T, sum, out)                                                                   \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		_Alignas(64) uint8_t f[LANES_N];                                                   \
		const T *a = REG(const T, in->a), *b = REG(const T, in->b);                        \
		const uint32_t carry = PRED(in->c);                                                \
		T *d = DST(T, in->d);                                                              \
		LANES {                                                                            \
			const T x = a[i], y = b[i], z = carry >> i & 1, s = (T)(sum);              \
			f[i] = (out) ? 1 : 0;                                                      \
			d[i] = s;                                                                  \
		}                                                                                  \
		if (!w->full)                                                                      \
			blend(w->regs + in->d, w->scratch, w->mask, sizeof(T));                    \
		if (in->e != NO_REG)                                                               \
			PRED(in->e) = (PRED(in->e) & ~w->mask) | (bits_of(f) & w->mask);           \
		return in + 1;                                                                     \
	}
CARRY(addc_32, uint32_t, x + y + z, z ? s <= x : s < x)
CARRY(addc_64, uint64_t, x + y + z, z ? s <= x : s < x)
CARRY(subc_32, uint32_t, x - y - z, z ? x <= y : x < y)
CARRY(subc_64, uint64_t, x - y - z, z ? x <= y : x < y)

/* ---- predicates ------------------------------------------------------------------------------ */

static IN *op_pmov(W *w, IN *in)
{
	return put_pred(w, in, PRED(in->a));
}

static IN *op_pimm(W *w, IN *in)
{
	return put_pred(w, in, in->imm & 1 ? ~0u : 0);
}

static IN *op_pand(W *w, IN *in)
{
	return put_pred(w, in, PRED(in->a) & PRED(in->b));
}

static IN *op_por(W *w, IN *in)
{
	return put_pred(w, in, PRED(in->a) | PRED(in->b));
}

static IN *op_pxor(W *w, IN *in)
{
	return put_pred(w, in, PRED(in->a) ^ PRED(in->b));
}

static IN *op_pnot(W *w, IN *in)
{
	return put_pred(w, in, ~PRED(in->a));
}

/* ---- control --------------------------------------------------------------------------------- */

static IN *op_jump(W *w, IN *in)
{
	return interp_jump(w, in, in->seg);
}

static IN *op_branch(W *w, IN *in)
{
	uint32_t p = PRED(in->a) ^ (in->flags & INTERP_NOT ? ~0u : 0), t = w->mask & p;

	if (t == w->mask)
		return interp_jump(w, in, in->seg);
	if (!t)
		return interp_jump(w, in, in->seg2);
	return interp_diverge(w, in, t, w->mask & ~p);
}

/* The next imm instructions run under a narrower mask; they never jump or wait. */
static IN *op_guard(W *w, IN *in)
{
	uint32_t p = PRED(in->a) ^ (in->flags & INTERP_NOT ? ~0u : 0), mask = w->mask, t = mask & p;
	IN *at = in + 1, *end = at + in->imm;
	bool full = w->full;

	if (!t)
		return end;
	w->full = full && t == mask;
	w->mask = t;
	while (at && at < end)
		at = at->fn(w, at);
	w->mask = mask;
	w->full = full;
	return at;
}

/* ---- warp ------------------------------------------------------------------------------------ */

/*
 * d, p = shfl(a, b, c): b lane or distance, c = segment mask << 8 | clamp. imm & 3: the mode. Lanes
 * that do not run give their old value as the manual leaves open. The mask of members was checked
 * by interp_op_sync(), which continues here.
 */
static IN *op_shfl(W *w, IN *in)
{
	const uint32_t *a = REG(const uint32_t, in->a), *b = REG(const uint32_t, in->b);
	const uint32_t *c = REG(const uint32_t, in->c);
	_Alignas(64) uint32_t t[LANES_N];
	uint32_t p = 0;

	for (uint32_t i = 0; i < LANES_N; i++) {
		uint32_t clamp = c[i] & 31, seg = c[i] >> 8 & 31, n = b[i] & 31;
		uint32_t max = (i & seg) | (clamp & ~seg), min = i & seg, j, ok;

		switch (in->imm & 3) {
		case IR_SHFL_UP:
			j = i - n;
			ok = (int32_t)j >= (int32_t)max;
			break;
		case IR_SHFL_DOWN:
			j = i + n;
			ok = j <= max;
			break;
		case IR_SHFL_BFLY:
			j = i ^ n;
			ok = j <= max;
			break;
		default:
			j = min | (n & ~seg);
			ok = j <= max;
			break;
		}
		t[i] = a[ok ? j & 31 : i];
		p |= ok << i;
	}
	if (in->d != NO_REG)
		blend(w->regs + in->d, t, w->mask, 4);
	if (in->e != NO_REG)
		PRED(in->e) = (PRED(in->e) & ~w->mask) | (p & w->mask);
	return in + 1;
}

/* imm & 3: the kind; a predicate; members in b (NO_REG: all that run). */
static IN *op_vote(W *w, IN *in)
{
	uint32_t p = PRED(in->a), m = w->mask, v = p & m;
	const uint32_t *members = in->b == NO_REG ? NULL : REG(const uint32_t, in->b);
	uint32_t *d;

	if (members)
		m &= members[__builtin_ctz(w->mask)] | (w->mask & -w->mask);
	v &= m;
	switch (in->imm & 3) {
	case IR_VOTE_ALL:
		p = v == m ? ~0u : 0;
		break;
	case IR_VOTE_ANY:
		p = v ? ~0u : 0;
		break;
	case IR_VOTE_UNI:
		p = v == m || !v ? ~0u : 0;
		break;
	default:
		if (in->d == NO_REG)
			return in + 1;
		d = DST(uint32_t, in->d);
		LANES d[i] = v;
		DONE(uint32_t, in->d);
	}
	return in->d == NO_REG ? in + 1 : put_pred(w, in, p);
}

/* ---- memory ---------------------------------------------------------------------------------- */

#include "cuse_dev/backend/soft/interp/vec_mem.h"

/* ---- the table ------------------------------------------------------------------------------- */

const interp_fn VEC_TABLE[VEC_COUNT] = {
#define UN(name, OP, TYPE, TYPE2, MODS, D, A, expr) [VEC_##name] = op_##name,
#define BIN2(name, OP, TYPE, TYPE2, MODS, D, A, B, COMM, expr) \
	[VEC_##name] = op_##name, [VEC_##name##_i] = op_##name##_i,
#define TER2(name, OP, TYPE, TYPE2, MODS, D, A, B, C, expr) \
	[VEC_##name] = op_##name, [VEC_##name##_i] = op_##name##_i, [VEC_##name##_m] = op_##name##_m,
#define CMP(name, TYPE, C, A, expr) [VEC_##name] = op_##name, [VEC_##name##_i] = op_##name##_i,
#define CMPZ(name, TYPE, C, A, expr) [VEC_##name] = op_##name, [VEC_##name##_i] = op_##name##_i,
#define UNV(name, OP, TYPE, MODS, T, call) [VEC_##name] = op_##name,
#define BINV(name, OP, TYPE, MODS, T, call) [VEC_##name] = op_##name,
#include "cuse_dev/backend/soft/interp/fast.def"
#define X(name) [VEC_X_##name] = op_##name,
	VEC_EXTRA(X)
#undef X
};

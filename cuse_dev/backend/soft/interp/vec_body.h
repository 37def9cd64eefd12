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

static inline uint32_t half2(float lo, float hi)
{
	return rt_f32_to_f16(lo) | (uint32_t)rt_f32_to_f16(hi) << 16;
}

#define islessgreater_of(x, y) ((int)((x) < (y)) | (int)((x) > (y)))
#define MIN_OF_TYPE(x)	       ((__typeof__(x))(1ull << (sizeof(x) * 8 - 1)))
#define IS_SIGNED(x)	       ((__typeof__(x))-1 < (__typeof__(x))1)
/* A shift by the width or more leaves only signs. */
#define shr_of(x, y)                                                                               \
	((y) >= sizeof(x) * 8 ? (__typeof__(x))(IS_SIGNED(x) ? (x) >> (sizeof(x) * 8 - 1) : 0) :    \
				(__typeof__(x))((x) >> ((y) & (sizeof(x) * 8 - 1))))
/* By 0 all ones and the dividend; MIN / -1 wraps. */
#define div_of(x, y)                                                                               \
	((y) == 0 ? (__typeof__(x))-1 :                                                            \
	 IS_SIGNED(x) && (y) == (__typeof__(y))-1 ?                                                \
		    (__typeof__(x))(0 - (uint64_t)(x)) : (__typeof__(x))((x) / (y)))
#define rem_of(x, y)                                                                               \
	((y) == 0 ? (x) :                                                                          \
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
#define BIN(name, OP, TYPE, MODS, D, A, B, COMM, expr)                                             \
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
#define TER(name, OP, TYPE, MODS, D, A, B, C, expr)                                                \
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

enum shape { SHAPE_FAULT, SHAPE_ANY, SHAPE_ROW, SHAPE_ONE };

/* Lane i: all ones when it runs. */
#define RUNS(i) (0 - (uint64_t)(w->mask >> (i) & 1))

/* Shared memory through 32-bit registers. */
static inline enum shape shared_shape(W *w, IN *in, uint32_t size, uint8_t **ret)
{
	const uint32_t *s = REG(const uint32_t, in->a);
	uint32_t total = w->base.grid->shared_bytes, off = (uint32_t)in->imm, max = total - size, wrong = 0;
	uint8_t *base = w->base.block->shared, *none = w->dummy;

	if (in->flags & INTERP_ADDR0) {
		if (in->imm > total || size > total - in->imm || in->imm % size)
			return interp_lane_ptrs(w, in, ret) ? SHAPE_ANY : SHAPE_FAULT;
		ret[0] = base + in->imm;
		return SHAPE_ONE;
	}
	LANES wrong |= (uint32_t)RUNS(i) & ((s[i] + off > max) | ((s[i] + off) & (size - 1)));
	if (total < size || wrong)
		return interp_lane_ptrs(w, in, ret) ? SHAPE_ANY : SHAPE_FAULT;
	LANES ret[i] = w->mask >> i & 1 ? base + (uint32_t)(s[i] + off) : none;
	return SHAPE_ANY;
}

/*
 * Where the lanes' accesses go. ROW: lane i at ret[0] + i * size, all 32 lanes run. ONE: all that
 * run at ret[0]. ANY: ret[i] for each lane, the dummy for those that do not run. A frame can be
 * full with lanes that do not run: only the mask counts here.
 */
static inline enum shape shape_of(W *w, IN *in, uint32_t size, uint8_t **ret)
{
	const struct simt_grid *g = w->base.grid;
	const uint64_t *a;
	uint64_t first, step, bad = 0, low, limit;
	uint8_t *none = w->dummy;

	w->cur = in;
	if (in->space == IR_SPACE_PARAM && (in->flags & INTERP_ADDR0)) {
		/* decode.c has checked it */
		ret[0] = (uint8_t *)g->params + in->imm;
		return SHAPE_ONE;
	}
	if (in->space == IR_SPACE_SHARED && !(in->flags & INTERP_ADDR64))
		return shared_shape(w, in, size, ret);
	if (in->space > IR_SPACE_CONST || !(in->flags & INTERP_ADDR64))
		return interp_lane_ptrs(w, in, ret) ? SHAPE_ANY : SHAPE_FAULT;

	a = REG(const uint64_t, in->a);
	low = g->window_base;
	limit = g->window_size - size;
	if (w->mask == ~0u) {
		first = a[0] + in->imm;
		step = a[1] - a[0];
		if (step == size || step == 0) {
			uint64_t last = first + step * (LANES_N - 1);

			LANES bad |= a[i] ^ (a[0] + i * step);
			if (!bad && first - low <= limit && last - low <= limit && !(first & (size - 1))) {
				ret[0] = (uint8_t *)first;
				return step ? SHAPE_ROW : SHAPE_ONE;
			}
			bad = 0;
		}
	}
	LANES bad |= RUNS(i) & ((uint64_t)(a[i] + in->imm - low > limit) | ((a[i] + in->imm) & (size - 1)));
	if (bad)
		return interp_lane_ptrs(w, in, ret) ? SHAPE_ANY : SHAPE_FAULT;
	LANES ret[i] = w->mask >> i & 1 ? (uint8_t *)(a[i] + in->imm) : none;
	return SHAPE_ANY;
}

/* The loads and stores must really happen, where shape_of() has allowed them. */
#define BARRIER() __asm__ volatile("" ::: "memory")

#ifdef __AVX512BW__
/*
 * One element of 4 or 8 bytes for 32 running lanes, by gathers: shared memory, and window addresses
 * without a pattern. false: not that case, or something to complain about; nothing was loaded.
 */
static inline bool gather(W *w, IN *in, size_t size, void *dst)
{
	const struct simt_grid *g = w->base.grid;
	__m512i off, max, v[4];

	if (w->mask != ~0u || in->n != 1 || in->d == NO_REG)
		return false;
	if (in->space == IR_SPACE_SHARED && !(in->flags & (INTERP_ADDR0 | INTERP_ADDR64))) {
		const uint8_t *base = w->base.block->shared;
		__mmask16 bad = 0;

		if (g->shared_bytes < size)
			return false;
		off = _mm512_set1_epi32((int)in->imm);
		max = _mm512_set1_epi32((int)(g->shared_bytes - size));
		for (int k = 0; k < 2; k++) {
			v[k] = _mm512_add_epi32(_mm512_load_si512(w->regs + in->a + 64 * k), off);
			bad |= _mm512_cmpgt_epu32_mask(v[k], max) |
			       _mm512_test_epi32_mask(v[k], _mm512_set1_epi32((int)size - 1));
		}
		if (bad)
			return false;
		for (int k = 0; size == 4 && k < 2; k++)
			_mm512_store_si512((uint8_t *)dst + 64 * k, _mm512_i32gather_epi32(v[k], base, 1));
		for (int k = 0; size == 8 && k < 4; k++) {
			__m256i i = k & 1 ? _mm512_extracti64x4_epi64(v[k / 2], 1) :
					    _mm512_castsi512_si256(v[k / 2]);

			_mm512_store_si512((uint8_t *)dst + 64 * k, _mm512_i32gather_epi64(i, base, 1));
		}
		return true;
	}
	return false;
}

/* The same for addresses that shape_of() has found good. */
static inline void gather_at(uint8_t *const *p, size_t size, void *dst)
{
	for (int k = 0; k < 4; k++) {
		__m512i a = _mm512_loadu_si512(p + 8 * k);

		if (size == 4)
			_mm256_store_si256((__m256i *)((uint8_t *)dst + 32 * k),
					   _mm512_i64gather_epi32(a, NULL, 1));
		else
			_mm512_store_si512((uint8_t *)dst + 64 * k, _mm512_i64gather_epi64(a, NULL, 1));
	}
}
#endif

#ifdef __AVX512BW__
#define GATHER(M, T, w, in) \
	(sizeof(M) == sizeof(T) && sizeof(M) >= 4 && gather(w, in, sizeof(M), (w)->regs + (in)->d))
#define GATHER_AT(M, T, n, p, d) \
	(sizeof(M) == sizeof(T) && sizeof(M) >= 4 && (n) == 1 && (gather_at(p, sizeof(M), d), true))
#else
#define GATHER(M, T, w, in)	 false
#define GATHER_AT(M, T, n, p, d) false
#endif

/* Element e of the lanes; results of an access never overlap its address register. */
#define LD(name, M, T)                                                                             \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		uint8_t *p[LANES_N];                                                               \
		uint32_t n = in->n;                                                                \
		enum shape shape;                                                                  \
		if (GATHER(M, T, w, in))                                                           \
			return in + 1;                                                             \
		shape = shape_of(w, in, n * (uint32_t)sizeof(M), p);                               \
		if (shape == SHAPE_FAULT)                                                          \
			return NULL;                                                               \
		w->polls += in->flags & INTERP_POLL ? 1 : 0;                                       \
		BARRIER();                                                                         \
		for (uint32_t e = 0; e < n; e++) {                                                 \
			int32_t off = in->ext ? in->ext->opnd[e].off : in->d;                      \
			T *d;                                                                      \
			if (off == NO_REG)                                                         \
				continue;                                                          \
			d = DST(T, off);                                                           \
			if (shape == SHAPE_ROW && n == 1) {                                        \
				M t[LANES_N];                                                      \
				memcpy(t, p[0], sizeof(t));                                        \
				LANES d[i] = (T)t[i];                                              \
			} else if (shape == SHAPE_ANY && GATHER_AT(M, T, n, p, d)) {               \
				;                                                                  \
			} else if (shape == SHAPE_ANY) {                                           \
				LANES d[i] = (T)((const M *)p[i])[e];                              \
			} else {                                                                   \
				const uint8_t *q = p[0] + e * sizeof(M);                           \
				size_t stride = shape == SHAPE_ROW ? n * sizeof(M) : 0;            \
				if (!stride) {                                                     \
					T v = (T) * (const volatile M *)q;                         \
					LANES d[i] = v;                                            \
				} else {                                                           \
					LANES d[i] = (T) * (const M *)(q + i * stride);            \
				}                                                                  \
			}                                                                          \
			if (!w->full)                                                              \
				blend(w->regs + off, w->scratch, w->mask, sizeof(T));              \
		}                                                                                  \
		BARRIER();                                                                         \
		return in + 1;                                                                     \
	}
LD(ld_8_u16, uint8_t, uint16_t)
LD(ld_8_s16, int8_t, uint16_t)
LD(ld_8_u32, uint8_t, uint32_t)
LD(ld_8_s32, int8_t, uint32_t)
LD(ld_8_u64, uint8_t, uint64_t)
LD(ld_8_s64, int8_t, uint64_t)
LD(ld_16_u16, uint16_t, uint16_t)
LD(ld_16_u32, uint16_t, uint32_t)
LD(ld_16_s32, int16_t, uint32_t)
LD(ld_16_u64, uint16_t, uint64_t)
LD(ld_16_s64, int16_t, uint64_t)
LD(ld_32_u32, uint32_t, uint32_t)
LD(ld_32_u64, uint32_t, uint64_t)
LD(ld_32_s64, int32_t, uint64_t)
LD(ld_64_u64, uint64_t, uint64_t)

/*
 * Lanes in ascending order, so that the highest wins where several write one place. All elements of
 * a lane before the next lane.
 */
#define ST(name, M, T)                                                                             \
	static IN *op_##name(W *w, IN *in)                                                         \
	{                                                                                          \
		uint8_t *p[LANES_N];                                                               \
		uint32_t n = in->n;                                                                \
		enum shape shape = shape_of(w, in, n * (uint32_t)sizeof(M), p);                    \
		if (shape == SHAPE_FAULT)                                                          \
			return NULL;                                                               \
		BARRIER();                                                                         \
		if (n == 1) {                                                                      \
			const T *s = REG(const T, in->d);                                          \
			if (shape == SHAPE_ROW) {                                                  \
				M t[LANES_N];                                                      \
				LANES t[i] = (M)s[i];                                              \
				memcpy(p[0], t, sizeof(t));                                        \
			} else if (shape == SHAPE_ONE) {                                           \
				uint32_t last = 31 - (uint32_t)__builtin_clz(w->mask);             \
				*(volatile M *)p[0] = (M)s[last];                                  \
			} else {                                                                   \
				for (uint32_t i = 0; i < LANES_N; i++)                             \
					*(volatile M *)p[i] = (M)s[i];                             \
			}                                                                          \
		} else {                                                                           \
			for (uint32_t i = 0; i < LANES_N; i++) {                                   \
				M *q = (M *)(shape == SHAPE_ANY ? p[i] :                           \
					     shape == SHAPE_ROW ? p[0] + i * n * sizeof(M) : p[0]); \
				if (shape == SHAPE_ONE && !(w->mask >> i & 1))                     \
					continue;                                                  \
				for (uint32_t e = 0; e < n; e++)                                   \
					q[e] = (M)REG(const T, in->ext->opnd[e].off)[i];           \
			}                                                                          \
		}                                                                                  \
		BARRIER();                                                                         \
		return in + 1;                                                                     \
	}
ST(st_8_16, uint8_t, uint16_t)
ST(st_8_32, uint8_t, uint32_t)
ST(st_8_64, uint8_t, uint64_t)
ST(st_16_16, uint16_t, uint16_t)
ST(st_16_32, uint16_t, uint32_t)
ST(st_16_64, uint16_t, uint64_t)
ST(st_32_32, uint32_t, uint32_t)
ST(st_32_64, uint32_t, uint64_t)
ST(st_64_64, uint64_t, uint64_t)

/* ---- the table ------------------------------------------------------------------------------- */

const interp_fn VEC_TABLE[VEC_COUNT] = {
#define UN(name, OP, TYPE, TYPE2, MODS, D, A, expr) [VEC_##name] = op_##name,
#define BIN(name, OP, TYPE, MODS, D, A, B, COMM, expr) \
	[VEC_##name] = op_##name, [VEC_##name##_i] = op_##name##_i,
#define TER(name, OP, TYPE, MODS, D, A, B, C, expr) \
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

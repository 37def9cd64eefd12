/* SPDX-License-Identifier: MIT */
/*
 * real.c - exact add, multiply, divide and square root, and the one rounding.
 *
 * Why the sticky bit is enough: operands have at most 53 significant bits, products 106. When
 * an addend is shifted so far that bits fall off its end, the other one is at least four times as
 * large, so at most one leading bit cancels, and more than 60 bits lie between the result's last kept
 * bit and the sticky one.
 */
#include "cuse_dev/backend/soft/rt/real.h"

#include <stddef.h>

#include "cuse_dev/backend/soft/rt/num.h"

#define TOP 126 /* where the leading bit of a significand stands */
#define ONE ((rt_u128)1)

const struct rt_format *rt_format(enum ir_type t)
{
	/* clang-format off */
	static const struct rt_format formats[IR_TYPE_COUNT] = {
		[IR_F16]    = { 16, 5, 10, 0, true, true, RT_NAN_F16 },
		[IR_F16X2]  = { 16, 5, 10, 0, true, true, RT_NAN_F16 },
		[IR_BF16]   = { 16, 8, 7, 0, true, true, RT_NAN_F16 },
		[IR_BF16X2] = { 16, 8, 7, 0, true, true, RT_NAN_F16 },
		[IR_F32]    = { 32, 8, 23, 0, true, true, RT_NAN_F32 },
		[IR_F32X2]  = { 32, 8, 23, 0, true, true, RT_NAN_F32 },
		[IR_TF32]   = { 32, 8, 10, 13, true, true, RT_NAN_F32 },
		[IR_F64]    = { 64, 11, 52, 0, true, true, RT_NAN_F64 },
		[IR_E4M3X2] = { 8, 4, 3, 0, false, true, 0x7f },
		[IR_E5M2X2] = { 8, 5, 2, 0, true, true, 0x7f },
		[IR_E2M3X2] = { 8, 2, 3, 0, false, false, 0x1f },
		[IR_E3M2X2] = { 8, 3, 2, 0, false, false, 0x1f },
		[IR_E2M1X2] = { 4, 2, 1, 0, false, false, 0x7 },
	};
	/* clang-format on */

	return t < IR_TYPE_COUNT && formats[t].bits ? &formats[t] : NULL;
}

static uint64_t format_sign(const struct rt_format *f)
{
	return 1ull << (f->exp_bits + f->man_bits + f->shift);
}

static uint64_t format_exp_mask(const struct rt_format *f)
{
	return (1ull << f->exp_bits) - 1;
}

/* Magnitude of the largest finite value, without the shift. */
static uint64_t format_max(const struct rt_format *f)
{
	uint64_t all = (1ull << (f->exp_bits + f->man_bits)) - 1;

	if (f->inf)
		return (format_exp_mask(f) << f->man_bits) - 1;
	return f->nan ? all - 1 : all;
}

static int32_t format_emin(const struct rt_format *f)
{
	return 2 - (1 << (f->exp_bits - 1));
}

bool rt_subnormal(const struct rt_format *f, uint64_t bits)
{
	uint64_t m = (bits & (format_sign(f) - 1)) >> f->shift;

	return m != 0 && m >> f->man_bits == 0;
}

static uint32_t top_bit(rt_u128 v)
{
	uint64_t high = (uint64_t)(v >> 64);

	return high ? 127 - (uint32_t)__builtin_clzll(high)
		    : 63 - (uint32_t)__builtin_clzll((uint64_t)v);
}

static rt_u128 shift_right_sticky(rt_u128 v, uint32_t n)
{
	if (n == 0)
		return v;
	if (n > 127)
		return v != 0;
	return v >> n | ((v & ((ONE << n) - 1)) != 0);
}

/* v * 2^exp, v != 0 */
static struct rt_real make_finite(bool neg, rt_u128 v, int32_t exp)
{
	struct rt_real r = { .cls = RT_FINITE, .neg = neg };
	uint32_t top = top_bit(v);

	if (top > TOP) {
		r.sig = shift_right_sticky(v, top - TOP);
		r.exp = exp + (int32_t)(top - TOP);
	} else {
		r.sig = v << (TOP - top);
		r.exp = exp - (int32_t)(TOP - top);
	}
	return r;
}

static struct rt_real special(enum rt_class cls, bool neg)
{
	return (struct rt_real){ .cls = (uint8_t)cls, .neg = neg, .nan = RT_NAN_F64 };
}

static struct rt_real first_nan(const struct rt_real *a, const struct rt_real *b)
{
	return a->cls == RT_NAN ? *a : *b;
}

struct rt_real rt_real_get(const struct rt_format *f, uint64_t bits)
{
	bool neg = bits & format_sign(f);
	uint64_t mag = (bits & (format_sign(f) - 1)) >> f->shift;
	uint64_t man = mag & ((1ull << f->man_bits) - 1), exp = mag >> f->man_bits;
	struct rt_real r;

	if (!mag)
		return special(RT_ZERO, neg);
	if (f->inf && exp == format_exp_mask(f)) {
		r = special(man ? RT_NAN : RT_INF, neg);
		if (man) /* as a widening conversion keeps it */
			r.nan = (uint64_t)neg << 63 | 0xfffull << 51 | man << (52 - f->man_bits);
		return r;
	}
	if (mag > format_max(f))
		return special(RT_NAN, neg);
	if (exp)
		man |= 1ull << f->man_bits;
	return make_finite(neg, man, format_emin(f) - f->man_bits + (exp ? (int32_t)exp - 1 : 0));
}

/* kept + remainder: does the magnitude go up? rem in [0, 2 * half) */
static bool rounds_up(enum ir_round round, bool neg, bool odd, rt_u128 rem, rt_u128 half)
{
	switch (round) {
	case IR_RZ:
		return false;
	case IR_RM:
		return neg && rem;
	case IR_RP:
		return !neg && rem;
	case IR_RNA:
		return rem >= half;
	default: /* nearest even */
		return rem > half || (rem == half && odd);
	}
}

/* sig without its last @drop bits, rounded. */
static rt_u128 drop_bits(const struct rt_real *r, uint32_t drop, enum ir_round round)
{
	rt_u128 kept, rem, half;

	if (drop > TOP + 1) { /* less than half of the last place */
		kept = 0;
		rem = 1;
		half = 2;
	} else {
		kept = r->sig >> drop;
		rem = r->sig & ((ONE << drop) - 1);
		half = ONE << (drop - 1);
	}
	return kept + rounds_up(round, r->neg, kept & 1, rem, half);
}

static uint64_t overflow(const struct rt_format *f, bool neg, enum ir_round round, bool to_finite)
{
	bool away = round == IR_RM ? neg : round == IR_RP ? !neg : round != IR_RZ;

	if (to_finite || !f->inf || !away)
		return format_max(f);
	return format_max(f) + 1;
}

uint64_t rt_real_put(const struct rt_format *f, const struct rt_real *r, enum ir_round round,
		     bool to_finite)
{
	uint64_t sign = r->neg ? format_sign(f) : 0, mag;
	int32_t emin = format_emin(f), e = r->exp + TOP, keep = f->man_bits + 1;

	switch (r->cls) {
	case RT_NAN:
		return f->bits == 64 ? r->nan : f->nan_bits;
	case RT_ZERO:
		return sign;
	case RT_INF:
		mag = to_finite || !f->inf ? format_max(f) : format_max(f) + 1;
		return sign | mag << f->shift;
	default:
		break;
	}

	if (e > emin + (int32_t)format_exp_mask(f)) {
		mag = overflow(f, r->neg, round, to_finite);
		return sign | mag << f->shift;
	}
	if (e < emin)
		keep -= emin - e;
	mag = (uint64_t)drop_bits(r, keep < 0 ? TOP + 2 : (uint32_t)(TOP + 1 - keep), round);
	if (e > emin) /* a carry out of the mantissa raises the exponent by itself */
		mag += (uint64_t)(e - emin) << f->man_bits;
	if (mag > format_max(f))
		mag = overflow(f, r->neg, round, to_finite);
	return sign | mag << f->shift;
}

struct rt_real rt_real_from_int(rt_u128 magnitude, bool neg)
{
	return magnitude ? make_finite(neg, magnitude, 0) : special(RT_ZERO, false);
}

rt_u128 rt_real_to_int(const struct rt_real *r, enum ir_round round)
{
	if (r->cls == RT_ZERO)
		return 0;
	if (r->exp > 0)
		return ~(rt_u128)0;
	if (r->exp == 0)
		return r->sig;
	return drop_bits(r, r->exp < -TOP - 1 ? TOP + 2 : (uint32_t)-r->exp, round);
}

static struct rt_real add_finite(const struct rt_real *a, const struct rt_real *b,
				 enum ir_round round)
{
	const struct rt_real *t;
	rt_u128 small;
	uint32_t shift;

	if (a->exp < b->exp || (a->exp == b->exp && a->sig < b->sig)) {
		t = a;
		a = b;
		b = t;
	}
	shift = (uint32_t)(a->exp - b->exp);
	small = shift_right_sticky(b->sig, shift);
	if (a->neg == b->neg)
		return make_finite(a->neg, a->sig + small, a->exp);
	if (a->sig == small)
		return special(RT_ZERO, round == IR_RM);
	return make_finite(a->neg, a->sig - small, a->exp);
}

struct rt_real rt_real_add(const struct rt_real *a, const struct rt_real *b, enum ir_round round)
{
	if (a->cls == RT_NAN || b->cls == RT_NAN)
		return first_nan(a, b);
	if (a->cls == RT_INF)
		return b->cls == RT_INF && a->neg != b->neg ? special(RT_NAN, true) : *a;
	if (b->cls == RT_INF)
		return *b;
	if (a->cls == RT_ZERO && b->cls == RT_ZERO)
		return special(RT_ZERO, a->neg == b->neg ? a->neg : round == IR_RM);
	if (a->cls == RT_ZERO)
		return *b;
	if (b->cls == RT_ZERO)
		return *a;
	return add_finite(a, b, round);
}

struct rt_real rt_real_mul(const struct rt_real *a, const struct rt_real *b)
{
	bool neg = a->neg != b->neg;

	if (a->cls == RT_NAN || b->cls == RT_NAN)
		return first_nan(a, b);
	if (a->cls == RT_INF || b->cls == RT_INF)
		return special(a->cls == RT_ZERO || b->cls == RT_ZERO ? RT_NAN : RT_INF, neg);
	if (a->cls == RT_ZERO || b->cls == RT_ZERO)
		return special(RT_ZERO, neg);
	/* Operands come from formats: their significant bits are the upper 63. */
	return make_finite(neg, (a->sig >> 64) * (b->sig >> 64), a->exp + b->exp + 128);
}

struct rt_real rt_real_div(const struct rt_real *a, const struct rt_real *b)
{
	bool neg = a->neg != b->neg;
	rt_u128 q, d;

	if (a->cls == RT_NAN || b->cls == RT_NAN)
		return first_nan(a, b);
	if (a->cls == RT_INF || b->cls == RT_ZERO)
		return special(a->cls == b->cls ? RT_NAN : RT_INF, neg);
	if (b->cls == RT_INF || a->cls == RT_ZERO)
		return special(RT_ZERO, neg);
	/* The divisor has at most 54 bits: the quotient gets 72 or more. */
	d = b->sig >> 72;
	q = a->sig / d;
	return make_finite(neg, q << 1 | (q * d != a->sig), a->exp - b->exp - 73);
}

struct rt_real rt_real_sqrt(const struct rt_real *a)
{
	rt_u128 v, root = 0, bit = ONE << 126;
	int32_t exp = a->exp;

	if (a->cls == RT_NAN || a->cls == RT_ZERO)
		return *a;
	if (a->neg)
		return special(RT_NAN, true);
	if (a->cls == RT_INF)
		return *a;
	v = a->sig;
	if (exp & 1) { /* the last bits of sig are zero: nothing is lost */
		v >>= 1;
		exp++;
	}
	for (; bit; bit >>= 2) { /* digit by digit; v ends as the remainder */
		if (v >= root + bit) {
			v -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return make_finite(false, root << 1 | (v != 0), exp / 2 - 1);
}

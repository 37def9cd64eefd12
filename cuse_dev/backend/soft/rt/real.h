/* SPDX-License-Identifier: MIT */
/*
 * real.h - exact numbers: what every float operation computes with before it rounds once.
 *
 * A value is taken apart into sign, exponent and a 127-bit significand; one rounding function puts
 * it into any format in any mode. Slow and independent of the CPU's floating point unit: this is
 * the reference.
 */
#ifndef SOFT_RT_REAL_H
#define SOFT_RT_REAL_H

#include <stdbool.h>
#include <stdint.h>

#include "cuse_dev/backend/soft/ir/ir.h"

typedef unsigned __int128 rt_u128;
typedef __int128 rt_s128;

enum rt_class { RT_ZERO, RT_FINITE, RT_INF, RT_NAN };

/*
 * FINITE: (-1)^neg * sig * 2^exp with 2^126 <= sig < 2^127. Bits that did not fit are OR-ed into
 * bit 0 ("sticky"); all results have at least 10 bits below what any format keeps.
 */
struct rt_real {
	uint8_t cls; /* enum rt_class */
	bool neg;
	int32_t exp;
	rt_u128 sig;
	uint64_t nan; /* f64 NaN: its bits, quiet */
};

/**
 * struct rt_format - one float format; the packed types of ir.h mean their element
 */
struct rt_format {
	uint8_t bits; /* of storage */
	uint8_t exp_bits, man_bits;
	uint8_t shift;	   /* low bits of storage that are always zero (tf32) */
	bool inf;	   /* has infinities, and NaNs with any mantissa */
	bool nan;	   /* has a NaN at all */
	uint64_t nan_bits; /* the canonical NaN; without one, what NaN becomes */
};

/** rt_format() - NULL if the type is no float, or UE8M0, which is none either. */
const struct rt_format *rt_format(enum ir_type t);

/** rt_subnormal() - @bits is a subnormal of the format. */
bool rt_subnormal(const struct rt_format *f, uint64_t bits);

struct rt_real rt_real_get(const struct rt_format *f, uint64_t bits);
/** rt_real_put() - round once. @finite: overflow and infinity become the largest finite value. */
uint64_t rt_real_put(const struct rt_format *f, const struct rt_real *r, enum ir_round round,
		     bool finite);

struct rt_real rt_real_from_int(rt_u128 magnitude, bool neg);
/**
 * rt_real_to_int() - round to an integer. Its magnitude, or the largest value of the type when it is
 * 2^127 or more. Not for INF and NAN.
 */
rt_u128 rt_real_to_int(const struct rt_real *r, enum ir_round round);

struct rt_real rt_real_add(const struct rt_real *a, const struct rt_real *b, enum ir_round round);
struct rt_real rt_real_mul(const struct rt_real *a, const struct rt_real *b);
struct rt_real rt_real_div(const struct rt_real *a, const struct rt_real *b);
struct rt_real rt_real_sqrt(const struct rt_real *a);

#endif

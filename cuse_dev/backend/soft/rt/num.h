/* SPDX-License-Identifier: MIT */
/*
 * num.h - small conversions for hot paths, inline and without branches where it counts.
 *
 * Results equal rt_eval()'s bit by bit: NaN comes out as the canonical one of the target format
 * (f16 and bf16 0x7fff, f32 0x7fffffff); only bf16 to f32 keeps the bits, it is a shift. The caller's
 * MXCSR must be the default one (round to nearest, no flushing).
 */
#ifndef SOFT_RT_NUM_H
#define SOFT_RT_NUM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define RT_NAN_F16 0x7fffu
#define RT_NAN_F32 0x7fffffffu
#define RT_NAN_F64 0xfff8000000000000ull

static inline uint32_t rt_bits_f32(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

static inline float rt_f32(uint32_t u)
{
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

static inline uint64_t rt_bits_f64(double d)
{
	uint64_t u;

	memcpy(&u, &d, sizeof(u));
	return u;
}

static inline double rt_f64(uint64_t u)
{
	double d;

	memcpy(&d, &u, sizeof(d));
	return d;
}

/** rt_ftz_f32() - subnormal to zero, sign kept. */
static inline float rt_ftz_f32(float f)
{
	uint32_t u = rt_bits_f32(f);

	return rt_f32((u & 0x7f800000u) ? u : u & 0x80000000u);
}

/** rt_sat_f32() - to [+0, 1]; NaN becomes +0. */
static inline float rt_sat_f32(float f)
{
	f = f > 0.0f ? f : 0.0f;
	return f < 1.0f ? f : 1.0f;
}

static inline float rt_f16_to_f32(uint16_t h)
{
	uint32_t em = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16, u;

	/* The exponent moves from bias 15 to 127 by a multiplication, which also makes subnormals
	 * normal. */
	u = rt_bits_f32(rt_f32(em) * 0x1p112f) | sign;
	u = em >= 0x0f800000u ? sign | 0x7f800000u : u;
	u = em > 0x0f800000u ? RT_NAN_F32 : u;
	return rt_f32(u);
}

/** rt_f32_to_f16() - nearest even */
static inline uint16_t rt_f32_to_f16(float f)
{
	uint32_t u = rt_bits_f32(f), a = u & 0x7fffffffu, r, sub;

	/* Below 2^-14 the last bit weighs 2^-24, the last bit of 0.5f: adding 0.5 rounds there. */
	sub = rt_bits_f32(rt_f32(a) + 0.5f) - 0x3f000000u;
	r = (a + 0xfffu + (a >> 13 & 1) - 0x38000000u) >> 13;
	r = a < 0x38800000u ? sub : r;
	r = a >= 0x477ff000u ? 0x7c00u : r;
	r |= u >> 16 & 0x8000u;
	return (uint16_t)(a > 0x7f800000u ? RT_NAN_F16 : r);
}

static inline float rt_bf16_to_f32(uint16_t h)
{
	return rt_f32((uint32_t)h << 16);
}

/** rt_f32_to_bf16() - nearest even */
static inline uint16_t rt_f32_to_bf16(float f)
{
	uint32_t u = rt_bits_f32(f), r;

	r = (u + 0x7fffu + (u >> 16 & 1)) >> 16;
	return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? RT_NAN_F16 : r);
}

/*
 * Float to integer, towards zero, out of range is clamped. NaN gives 0 where neither side is 64
 * bits wide, else the integer with only the top bit set, as the manual says.
 */
static inline int32_t rt_f32_to_s32(float f)
{
	if (f != f)
		return 0;
	if (f >= 0x1p31f)
		return INT32_MAX;
	return f < -0x1p31f ? INT32_MIN : (int32_t)f;
}

static inline uint32_t rt_f32_to_u32(float f)
{
	if (!(f > 0.0f))
		return 0;
	return f >= 0x1p32f ? UINT32_MAX : (uint32_t)f;
}

static inline int64_t rt_f32_to_s64(float f)
{
	if (f != f)
		return INT64_MIN;
	if (f >= 0x1p63f)
		return INT64_MAX;
	return f < -0x1p63f ? INT64_MIN : (int64_t)f;
}

static inline uint64_t rt_f32_to_u64(float f)
{
	if (f != f)
		return 1ull << 63;
	if (!(f > 0.0f))
		return 0;
	return f >= 0x1p64f ? UINT64_MAX : (uint64_t)f;
}

static inline int32_t rt_f64_to_s32(double f)
{
	if (f != f || f < -0x1p31)
		return INT32_MIN;
	return f >= 0x1p31 ? INT32_MAX : (int32_t)f;
}

static inline uint32_t rt_f64_to_u32(double f)
{
	if (f != f)
		return 1u << 31;
	if (!(f > 0.0))
		return 0;
	return f >= 0x1p32 ? UINT32_MAX : (uint32_t)f;
}

static inline int64_t rt_f64_to_s64(double f)
{
	if (f != f || f < -0x1p63)
		return INT64_MIN;
	return f >= 0x1p63 ? INT64_MAX : (int64_t)f;
}

static inline uint64_t rt_f64_to_u64(double f)
{
	if (f != f)
		return 1ull << 63;
	if (!(f > 0.0))
		return 0;
	return f >= 0x1p64 ? UINT64_MAX : (uint64_t)f;
}

#endif

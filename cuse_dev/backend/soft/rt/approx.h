/* SPDX-License-Identifier: MIT */
/*
 * approx.h - the .approx functions of one lane, inline and free of branches so that loops over lanes
 * become vector code. Private to this room: vec.c loops over them, eval_approx.c calls them once.
 *
 * Only IEEE operations in a fixed order: every build and both callers get the same bits. Bounds are the
 * PTX manual's (9.7.3), kept with room to spare:
 *
 *   ex2   2 ulp                        rcp   1 ulp (here: correctly rounded)
 *   lg2   2^-22 absolute in (0.5, 2),  sqrt  2^-23 relative (correctly rounded)
 *         2^-22 relative elsewhere     rsqrt 2^-22.9 relative
 *   sin, cos  2^-20.5 absolute         div   2 ulp (correctly rounded)
 *         in [-2 pi, 2 pi]             tanh  2^-11 relative
 *
 * Polynomials interpolate at Chebyshev nodes.
 */
#ifndef SOFT_RT_APPROX_H
#define SOFT_RT_APPROX_H

#include <math.h>

#include "cuse_dev/backend/soft/rt/num.h"

#define APPROX_FN static inline __attribute__((always_inline))

/* One NaN, and zero for subnormals where wanted. */
APPROX_FN float approx_finish(float r, bool nan, bool ftz)
{
	r = ftz ? rt_ftz_f32(r) : r;
	return nan ? rt_f32(RT_NAN_F32) : r;
}

APPROX_FN float approx_power_of_2(int32_t n)
{
	return rt_f32((uint32_t)(n + 127) << 23);
}

APPROX_FN float approx_ex2(float x, bool ftz)
{
	float c = x < 130.0f ? x : 130.0f, n, f, p;
	int32_t i, half;

	c = c > -152.0f ? c : -152.0f;
	n = (c + 0x1.8p23f) - 0x1.8p23f; /* nearest integer */
	f = c - n;
	i = (int32_t)n;
	half = i >> 1;
	p = 1.529732435e-05f;
	p = p * f + 1.546144485e-04f;
	p = p * f + 1.333350199e-03f;
	p = p * f + 9.618056938e-03f;
	p = p * f + 5.550410971e-02f;
	p = p * f + 2.402265072e-01f;
	p = p * f + 6.931471825e-01f;
	p = p * f + 1.0f;
	/* In two steps, so that subnormal results are reached and rounded once. */
	return approx_finish(p * approx_power_of_2(half) * approx_power_of_2(i - half), x != x,
			     ftz);
}

APPROX_FN float approx_lg2(float x, bool ftz)
{
	float z = ftz ? rt_ftz_f32(x) : x, f, p;
	bool tiny = z < 0x1p-126f;
	float y = tiny ? z * 0x1p24f : z;
	/* y = 2^e * m with sqrt(1/2) <= m < sqrt(2) */
	uint32_t u = rt_bits_f32(y);
	int32_t e = (int32_t)(u - 0x3f3504f3u) >> 23;

	f = rt_f32(u - ((uint32_t)e << 23)) - 1.0f;
	p = -1.074978933e-01f;
	p = p * f + 1.847603321e-01f;
	p = p * f - 1.913883835e-01f;
	p = p * f + 2.048576474e-01f;
	p = p * f - 2.396081239e-01f;
	p = p * f + 2.885525525e-01f;
	p = p * f - 3.606965542e-01f;
	p = p * f + 4.808985293e-01f;
	p = p * f - 7.213473320e-01f;
	p = p * f + 1.442695022e+00f;
	p = p * f + (float)(e - (tiny ? 24 : 0));
	p = x == INFINITY ? INFINITY : p;
	p = z == 0.0f ? -INFINITY : p;
	return approx_finish(p, !(z >= 0.0f), ftz);
}

/* quarter: 0 for sin, 1 for cos */
APPROX_FN float approx_sin(float x, uint32_t quarter, bool ftz)
{
	const double magic = 0x1.8p52;
	double d = ftz ? rt_ftz_f32(x) : x, m, q, r, z, s, c, v;
	uint32_t k;

	m = d * 0x1.45f306dc9c883p-1 + magic; /* the last bits of m are those of the integer */
	q = m - magic;
	k = (uint32_t)rt_bits_f64(m) + quarter;
	r = (d - q * 0x1.921fb54442d18p+0) - q * 0x1.1a62633145c07p-54;
	/* Beyond 2^50 nothing of the angle is left; stay in range. */
	r = r > 0.8 ? 0.8 : r;
	r = r < -0.8 ? -0.8 : r;
	z = r * r;
	s = 2.71734578488284198e-06;
	s = s * z - 1.98392022251216339e-04;
	s = s * z + 8.33332878251091466e-03;
	s = s * z - 1.66666666315918421e-01;
	s = (s * z + 1.0) * r; /* in this form -0 stays -0 */
	c = 2.43798312661701440e-05;
	c = c * z - 1.38866179997819026e-03;
	c = c * z + 4.16666166925357961e-02;
	c = c * z - 4.99999996148576209e-01;
	c = c * z + 1.0;
	v = k & 1 ? c : s;
	return approx_finish((float)(k & 2 ? -v : v), !(x - x == 0.0f), ftz);
}

APPROX_FN float approx_tanh(float x)
{
	float a = fabsf(x), t = approx_ex2(a * -2.885390082f, false), z = x * x, p, r;

	p = -5.657135043e-03f;
	p = p * z + 2.058819123e-02f;
	p = p * z - 5.372010916e-02f;
	p = p * z + 1.333111376e-01f;
	p = p * z - 3.333325982e-01f;
	r = a < 0.625f ? a + a * (p * z) : (1.0f - t) / (1.0f + t);
	return approx_finish(copysignf(r, x), x != x, false);
}

APPROX_FN float approx_div(float a, float b, bool ftz)
{
	float r;

	a = ftz ? rt_ftz_f32(a) : a;
	b = ftz ? rt_ftz_f32(b) : b;
	r = a / b;
	return approx_finish(r, r != r, ftz);
}

APPROX_FN float approx_rcp(float x, bool ftz)
{
	return approx_div(1.0f, x, ftz);
}

APPROX_FN float approx_sqrt(float x, bool ftz)
{
	float r = sqrtf(ftz ? rt_ftz_f32(x) : x);

	return approx_finish(r, r != r, ftz);
}

APPROX_FN float approx_rsqrt(float x, bool ftz)
{
	float r = 1.0f / sqrtf(ftz ? rt_ftz_f32(x) : x);

	return approx_finish(r, r != r, ftz);
}

#endif

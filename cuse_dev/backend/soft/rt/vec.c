/* SPDX-License-Identifier: MIT */
/*
 * vec.c - loops over 32 lanes that the compiler turns into vector code, once for each vector width.
 */
/* GCC turns conversions and selections into vector code from -O3 on, if traps do not matter. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3,no-trapping-math")
#endif

#include "cuse_dev/backend/soft/rt/vec.h"

#include "cuse_dev/backend/soft/rt/approx.h"

/*
 * The loader picks the clone. Instrumented builds cannot run code that early, and what clang 14 makes
 * of the attribute cannot be linked: the plain version then.
 */
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&                \
	!defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

/* The flush mode is taken out of the loop. */
#define VEC_FTZ(name, call)                                                                        \
	CLONES void rt_vec_##name##_f32(float *d, const float *a, bool ftz)                        \
	{                                                                                          \
		if (ftz) {                                                                         \
			for (int i = 0; i < RT_LANES; i++)                                         \
				d[i] = call(a[i], true);                                           \
		} else {                                                                           \
			for (int i = 0; i < RT_LANES; i++)                                         \
				d[i] = call(a[i], false);                                          \
		}                                                                                  \
	}

#define approx_sin0(x, ftz) approx_sin(x, 0, ftz)
#define approx_sin1(x, ftz) approx_sin(x, 1, ftz)

VEC_FTZ(ex2, approx_ex2)
VEC_FTZ(lg2, approx_lg2)
VEC_FTZ(sin, approx_sin0)
VEC_FTZ(cos, approx_sin1)
VEC_FTZ(rcp, approx_rcp)
VEC_FTZ(sqrt, approx_sqrt)
VEC_FTZ(rsqrt, approx_rsqrt)

CLONES void rt_vec_tanh_f32(float *d, const float *a)
{
	for (int i = 0; i < RT_LANES; i++)
		d[i] = approx_tanh(a[i]);
}

CLONES void rt_vec_div_f32(float *d, const float *a, const float *b, bool ftz)
{
	if (ftz) {
		for (int i = 0; i < RT_LANES; i++)
			d[i] = approx_div(a[i], b[i], true);
	} else {
		for (int i = 0; i < RT_LANES; i++)
			d[i] = approx_div(a[i], b[i], false);
	}
}

CLONES void rt_vec_f16_to_f32(float *d, const uint16_t *a)
{
	for (int i = 0; i < RT_LANES; i++)
		d[i] = rt_f16_to_f32(a[i]);
}

CLONES void rt_vec_f32_to_f16(uint16_t *d, const float *a)
{
	for (int i = 0; i < RT_LANES; i++)
		d[i] = rt_f32_to_f16(a[i]);
}

CLONES void rt_vec_bf16_to_f32(float *d, const uint16_t *a)
{
	for (int i = 0; i < RT_LANES; i++)
		d[i] = rt_bf16_to_f32(a[i]);
}

CLONES void rt_vec_f32_to_bf16(uint16_t *d, const float *a)
{
	for (int i = 0; i < RT_LANES; i++)
		d[i] = rt_f32_to_bf16(a[i]);
}

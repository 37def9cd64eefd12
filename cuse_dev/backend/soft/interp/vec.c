/* SPDX-License-Identifier: MIT */
/* vec.c - which vector handlers this CPU runs. */
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "cuse_dev/backend/soft/interp/vec.h"

#ifdef __x86_64__
/* Not every compiler's __builtin_cpu_supports() knows the name. */
static int has_f16c(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}
#endif

const interp_fn *interp_vec_handlers(void)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("fma"))
		return interp_vec_avx512;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
	    __builtin_cpu_supports("bmi2") && has_f16c())
		return interp_vec_avx2;
#endif
	return interp_vec_sse2;
}

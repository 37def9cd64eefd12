/* SPDX-License-Identifier: MIT */
/*
 * eval_approx.c - one lane of the .approx functions, in the floating point environment they want.
 */
#include <errno.h>
#include <fenv.h>

#ifdef __SSE2__
#include <immintrin.h>
#define MXCSR_DEFAULT 0x1f80 /* nearest, no flushing, no traps */
#endif

#include "cuse_dev/backend/soft/rt/approx.h"
#include "cuse_dev/backend/soft/rt/eval.h"

/* Not inlined: its arithmetic must stay between the two changes of the environment. */
static __attribute__((noinline)) int call(enum ir_op op, bool ftz, float a, float b, float *ret_d)
{
	switch (op) {
	case IR_OP_EX2:
		*ret_d = approx_ex2(a, ftz);
		return 0;
	case IR_OP_LG2:
		*ret_d = approx_lg2(a, ftz);
		return 0;
	case IR_OP_SIN:
		*ret_d = approx_sin(a, 0, ftz);
		return 0;
	case IR_OP_COS:
		*ret_d = approx_sin(a, 1, ftz);
		return 0;
	case IR_OP_TANH:
		*ret_d = approx_tanh(a);
		return 0;
	case IR_OP_RCP:
		*ret_d = approx_rcp(a, ftz);
		return 0;
	case IR_OP_SQRT:
		*ret_d = approx_sqrt(a, ftz);
		return 0;
	case IR_OP_RSQRT:
		*ret_d = approx_rsqrt(a, ftz);
		return 0;
	case IR_OP_DIV:
		*ret_d = approx_div(a, b, ftz);
		return 0;
	default:
		return -ENOTSUP;
	}
}

int rt_approx_f32(enum ir_op op, bool ftz, uint32_t a, uint32_t b, uint32_t *ret_d)
{
	float d = 0;
	int r;

#ifdef __SSE2__ /* the x87 part of the environment is slow to change and not used */
	uint32_t caller = _mm_getcsr();

	_mm_setcsr(MXCSR_DEFAULT);
	r = call(op, ftz, rt_f32(a), rt_f32(b), &d);
	_mm_setcsr(caller);
#else
	fenv_t caller;

	fegetenv(&caller);
	fesetenv(FE_DFL_ENV);
	r = call(op, ftz, rt_f32(a), rt_f32(b), &d);
	fesetenv(&caller);
#endif
	if (r == 0)
		*ret_d = rt_bits_f32(d);
	return r;
}

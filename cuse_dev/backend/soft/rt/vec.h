/* SPDX-License-Identifier: MIT */
/*
 * vec.h - 32 lanes at once: the approximate f32 functions of PTX.
 *
 * Every function computes d[i] for all RT_LANES lanes; lanes that do not run hold garbage and cost
 * nothing. d may be a. Results are the same bit by bit as rt_eval() gives. ftz: subnormal inputs
 * and results become zero with their sign.
 *
 * The caller's MXCSR must be the default one (round to nearest, no flushing).
 */
#ifndef SOFT_RT_VEC_H
#define SOFT_RT_VEC_H

#include <stdbool.h>
#include <stdint.h>

#define RT_LANES 32

void rt_vec_ex2_f32(float *d, const float *a, bool ftz);
void rt_vec_lg2_f32(float *d, const float *a, bool ftz);
void rt_vec_sin_f32(float *d, const float *a, bool ftz);
void rt_vec_cos_f32(float *d, const float *a, bool ftz);
void rt_vec_tanh_f32(float *d, const float *a);
void rt_vec_rcp_f32(float *d, const float *a, bool ftz);
void rt_vec_sqrt_f32(float *d, const float *a, bool ftz);
void rt_vec_rsqrt_f32(float *d, const float *a, bool ftz);
void rt_vec_div_f32(float *d, const float *a, const float *b, bool ftz); /* .approx and .full */

/* Conversions between packed halves in 16-bit lanes and f32, all nearest even. */
void rt_vec_f16_to_f32(float *d, const uint16_t *a);
void rt_vec_f32_to_f16(uint16_t *d, const float *a);
void rt_vec_bf16_to_f32(float *d, const uint16_t *a);
void rt_vec_f32_to_bf16(uint16_t *d, const float *a);

#endif

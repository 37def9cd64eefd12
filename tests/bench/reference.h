/* SPDX-License-Identifier: MIT */
/* reference.h - CPU counterparts of kernels.cu. Matrices are square, row-major, side n. */
#ifndef BENCH_REFERENCE_H
#define BENCH_REFERENCE_H

void reference_saxpy(float a, const float *x, float *y, int n);
void reference_sgemm(const float *a, const float *b, float *c, int n);

#endif

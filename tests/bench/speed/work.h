/* SPDX-License-Identifier: MIT */
/*
 * work.h - the rows of the speed table: one piece of work each, as CUDA kernels and in C.
 *
 *   X(name, n, words of in 0, words of in 1, words of out, tolerance)
 *
 * Words are of 32 bits. Inputs are floats between 0 and 1, or arbitrary words where the tolerance is 0:
 * then results must be the same.
 */
#ifndef BENCH_SPEED_WORK_H
#define BENCH_SPEED_WORK_H

#include <stddef.h>

#define REDUCTION_BLOCKS 64

/* clang-format off */
#define WORKS(X)                                                                                  \
	X(saxpy,     1 << 20, n,         n,     n,                    1e-6)                       \
	X(reduction, 1 << 20, n,         1,     REDUCTION_BLOCKS,     1e-4)                       \
	X(transpose, 1024,    n * n,     1,     n * n,                1e-6)                       \
	X(stencil,   1024,    n * n,     1,     n * n,                1e-5)                       \
	X(histogram, 1 << 18, n,         1,     256,                  0)                          \
	X(nbody,     2048,    4 * n,     1,     4 * n,                1e-3)                       \
	X(sgemm,     256,     n * n,     n * n, n * n,                1e-4)                       \
	X(softmax,   512,     n * n,     1,     n * n,                1e-4)                       \
	X(layernorm, 512,     n * n,     2 * n, n * n,                1e-3)                       \
	X(dot8,      2048,    n * n / 4, n / 4, n,                    0)                          \
	X(sort,      1 << 18, n,         1,     n,                    0)
/* clang-format on */

struct work {
	const char *name;
	int n;
	double tolerance;
	size_t words[3];
	void *gpu[3];
	void *cpu[3];
};

#ifdef __cplusplus
extern "C" {
#endif
#define X(name, n, in0, in1, out, tolerance) void native_##name(const struct work *w);
WORKS(X)
#undef X
void native_threads(int n);
#ifdef __cplusplus
}
#define X(name, n, in0, in1, out, tolerance) void gpu_##name(const struct work *w);
WORKS(X)
#undef X
#endif

#endif

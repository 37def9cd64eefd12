/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what the rows of the speed table share. Each runs in a process of its own.
 */
#ifndef BENCH_H
#define BENCH_H

#include <cuda.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** What `run` has started and built. */
struct bench {
	const char *echo; /* a door that answers every ioctl at once */
	const char *node;
	const char *ptx;	    /* of kernels.cu */
	const char *with, *without; /* programs that ask for the number of devices, and do not */
	const char *ggml;	    /* libggml-cuda.so, may be missing */
	pid_t daemon;
};

struct result {
	double value; /* in the row's unit */
	double ratio; /* what the bar is about */
	bool skipped;
	char note[120]; /* why, or what it was compared with */
};

enum { BENCH_ROUNDS = 9 };

double bench_now(void);
/** bench_die() - ends the row: it could not be measured. */
void bench_die(const char *what, int code) __attribute__((noreturn));
/** bench_pair() - seconds of each side, in turns so that noise meets both; the best of @rounds. */
void bench_pair(double (*a)(void *arg), double (*b)(void *arg), void *arg, int rounds,
		double *ret_a, double *ret_b);
/** bench_best() - the smallest of @n. */
double bench_best(const double *x, int n);
/**
 * bench_ratio() - how many times as long @a takes as @b, of times taken in turns
 *
 * The best of one against the best of the other is right where both met a quiet moment; the median of the
 * ratios of neighbours is where the noise lasted. The larger of the two.
 */
double bench_ratio(const double *a, const double *b, int n);
/** bench_context() - the device's primary context, current. */
void bench_context(void);
CUfunction bench_kernel(const struct bench *b, const char *name);
char *bench_file(const char *path, size_t *ret_bytes);
/** bench_traced() - system calls of @work's thread between two calls of bench_mark(); @only: of one number, or all. */
long bench_traced(void (*work)(const struct bench *b), const struct bench *b, long only);
void bench_mark(void);

#define CU(call)                                                                                   \
	do {                                                                                       \
		CUresult cu_r = (call);                                                            \
		if (cu_r != CUDA_SUCCESS)                                                          \
			bench_die(#call, (int)cu_r);                                               \
	} while (0)

/*
 * The table.   X(function, what, unit, bar)   bar: AT_MOST(x), AT_LEAST(x), or NO_BAR for a report
 */
/* clang-format off */
#define BENCH_ROWS(X)                                                                                    \
	X(query,          "query ioctl answered by the front / echo ioctl",         "us",   AT_MOST(1.5))   \
	X(start,          "process start to cudaGetDeviceCount, added (ms)",        "ms",   AT_MOST(15))    \
	X(launch,         "empty launch + synchronize / echo ioctl",                "us",   AT_MOST(4))     \
	X(enqueue,        "a launch while the worker is busy (us)",                 "us",   AT_MOST(1.5))   \
	X(enqueue_calls,  "system calls of 500 launches while it is busy",          "",     AT_MOST(0))     \
	X(attributes,     "ioctls of all attributes after the first",               "",     AT_MOST(0))     \
	X(copy_in,        "cuMemcpyHtoD of 256 MiB / memcpy",                       "GB/s", AT_LEAST(0.9))  \
	X(copy_out,       "cuMemcpyDtoH of 256 MiB / memcpy",                       "GB/s", AT_LEAST(0.9))  \
	X(copy_in_pinned, "the same from pinned memory",                            "GB/s", AT_LEAST(0.9))  \
	X(copy_out_pinned, "the same to pinned memory",                             "GB/s", AT_LEAST(0.9))  \
	X(graph,          "1,000 empty kernels as a graph / launched singly",       "us",   AT_MOST(0.3))   \
	X(branches,       "two branches of a graph / one after the other",          "ms",   NO_BAR)         \
	X(clients,        "8 clients that copy and launch / one, in sum",           "1/s",  AT_LEAST(0.9))  \
	X(module,         "largest module of libggml-cuda to first kernel (ms)",    "ms",   AT_MOST(150))   \
	X(saxpy,          "saxpy 4M: C -O2 on one core / here",                     "ms",   NO_BAR)         \
	X(sgemm,          "sgemm 512, 16x16 tiles: C -O2 on one core / here",       "ms",   NO_BAR)         \
	X(idle,           "wake-ups of an idle daemon in 10 s",                     "",     AT_MOST(0))     \
	X(resident,       "resident memory of the daemon (MB)",                     "MB",   AT_MOST(5))
/* clang-format on */

#define X(name, what, unit, bar) void bench_##name(const struct bench *b, struct result *ret);
BENCH_ROWS(X)
#undef X

#endif

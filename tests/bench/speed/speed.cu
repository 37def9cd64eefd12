// SPDX-License-Identifier: MIT
// speed.cu - times each piece of work on the GPU and in C, side by side, and checks that both agree.
//
//   speed THREADS LAUNCHES SECONDS [ROW]
//
// A line per row: name, seconds on the GPU, seconds in C; the first word of a line is "wrong" when the results
// differ. Exit status 1 then, 2 when it could not measure. Launches come first until the code is
// the one that is to be measured (LAUNCHES, and at most 20 seconds, because the good code of CUB's largest kernel takes
// several); then both are run in turn, for SECONDS each, and the best counts, because others share the machine. "warm" in place of THREADS: how
// long the first launch of a process takes, and the later ones.
#include <cuda_runtime.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure.h"
#include "work.h"

#define WARM_SECONDS 20

static void check(cudaError_t e, const char *what)
{
	if (e == cudaSuccess)
		return;
	fprintf(stderr, "speed: %s: %s\n", what, cudaGetErrorString(e));
	exit(2);
}

struct row {
	struct work w;
	void (*gpu)(const struct work *);
	void (*native)(const struct work *);
};

static double time_gpu(const struct row *r)
{
	double t = now();

	r->gpu(&r->w);
	check(cudaGetLastError(), r->w.name);
	check(cudaDeviceSynchronize(), r->w.name);
	return now() - t;
}

static double time_native(const struct row *r)
{
	double t = now();

	r->native(&r->w);
	return now() - t;
}

static void prepare(struct row *r)
{
	for (int i = 0; i < 3; i++) {
		size_t bytes = r->w.words[i] * 4;

		r->w.cpu[i] = aligned_alloc(64, (bytes + 63) / 64 * 64);
		if (!r->w.cpu[i])
			check(cudaErrorMemoryAllocation, r->w.name);
		check(cudaMalloc(&r->w.gpu[i], bytes), r->w.name);
		if (i < 2)
			fill(r->w.cpu[i], r->w.words[i], r->w.tolerance == 0);
		else
			memset(r->w.cpu[i], 0, bytes);
		check(cudaMemcpy(r->w.gpu[i], r->w.cpu[i], bytes, cudaMemcpyDefault), r->w.name);
	}
}

static void release(struct row *r)
{
	for (int i = 0; i < 3; i++) {
		cudaFree(r->w.gpu[i]);
		free(r->w.cpu[i]);
	}
}

static bool agree(const struct row *r)
{
	float *got = (float *)malloc(r->w.words[2] * 4);
	bool good;

	check(cudaMemcpy(got, r->w.gpu[2], r->w.words[2] * 4, cudaMemcpyDefault), r->w.name);
	good = work_agrees(&r->w, got);
	free(got);
	return good;
}

static bool measure(struct row *r, int launches, double seconds)
{
	double gpu = 1e9, native = 1e9, start = now(), spent[2] = { 0, 0 };
	bool good;

	prepare(r);
	for (int i = 0; i < launches && (i < 3 || now() - start < WARM_SECONDS); i++)
		time_gpu(r);
	for (int i = 0; i < 5 || (spent[0] < seconds && i < 2000); i++) {
		double t = time_gpu(r);

		spent[0] += t;
		gpu = t < gpu ? t : gpu;
		if (i >= 5 && spent[1] > seconds)
			continue;
		t = time_native(r);
		spent[1] += t;
		native = t < native ? t : native;
	}
	good = agree(r);
	printf("%s%s %.9f %.9f\n", good ? "" : "wrong ", r->w.name, gpu, native);
	fflush(stdout);
	release(r);
	return good;
}

static void warm(struct row *r)
{
	double first, later = 1e9;

	prepare(r);
	first = time_gpu(r);
	for (int i = 0; i < 200; i++) {
		double t = time_gpu(r);

		later = t < later ? t : later;
	}
	printf("%s %.9f %.9f\n", r->w.name, first, later);
	release(r);
}

int main(int argc, char **argv)
{
	int missed = 0;

	if (argc < 4) {
		fprintf(stderr, "usage: speed THREADS|warm LAUNCHES SECONDS [ROW]\n");
		return 2;
	}
	if (strcmp(argv[1], "warm"))
		native_threads(atoi(argv[1]));
#define X(row_name, size, in0, in1, out, tol)                                                      \
	if (argc == 4 || !strcmp(argv[4], #row_name)) {                                            \
		const size_t n = size;                                                             \
		struct row r = {};                                                                 \
                                                                                                   \
		r.w.name = #row_name;                                                              \
		r.w.n = (int)n;                                                                    \
		r.w.tolerance = tol;                                                               \
		r.w.words[0] = in0;                                                                \
		r.w.words[1] = in1;                                                                \
		r.w.words[2] = out;                                                                \
		r.gpu = gpu_##row_name;                                                            \
		r.native = native_##row_name;                                                      \
		if (!strcmp(argv[1], "warm"))                                                      \
			warm(&r);                                                                  \
		else                                                                               \
			missed |= !measure(&r, atoi(argv[2]), atof(argv[3]));                      \
	}
	WORKS(X)
#undef X
	return missed;
}

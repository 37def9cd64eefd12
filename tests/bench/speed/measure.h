/* SPDX-License-Identifier: MIT */
/*
 * measure.h - what the programs of the speed table share: the clock, the inputs, and whether results agree. For C and CUDA C++.
 */
#ifndef BENCH_SPEED_MEASURE_H
#define BENCH_SPEED_MEASURE_H

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "work.h"

/* Seconds. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Floats between 0 and 1, or, with @any, arbitrary words. */
static void fill(void *to, size_t words, bool any)
{
	unsigned int x = 88172645u;

	for (size_t i = 0; i < words; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		if (any)
			((unsigned int *)to)[i] = x;
		else
			((float *)to)[i] = (float)(x >> 8) / (1 << 24);
	}
}

/* Does @got, from the device, agree with w->cpu[2]? */
static bool work_agrees(const struct work *w, const float *got)
{
	const float *want = (const float *)w->cpu[2];
	size_t n = w->words[2];
	double sums[2] = { 0, 0 };
	bool good = true;

	if (w->tolerance == 0)
		good = !memcmp(got, want, n * 4);
	for (size_t i = 0; w->tolerance > 0 && i < n; i++) {
		sums[0] += got[i];
		sums[1] += want[i];
		/* Both divide the input differently; only the whole sum is the same. */
		if (strcmp(w->name, "reduction"))
			good &= fabs((double)got[i] - want[i]) <=
				w->tolerance * (1 + fabs(want[i]));
	}
	return good && fabs(sums[0] - sums[1]) <= w->tolerance * (1 + fabs(sums[1]));
}

#endif

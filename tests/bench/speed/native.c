/* SPDX-License-Identifier: MIT */
/*
 * native.c - what the kernels compute, in C with OpenMP, as one writes it for a CPU.
 *
 * Built by clang at -O3 for the machine that it runs on, into a shared object: the rest of the build
 * need not know OpenMP. Sums are vectorised where the source says that order does not matter.
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "work.h"

void native_threads(int n)
{
	omp_set_num_threads(n);
}

void native_saxpy(const struct work *w)
{
	const float *x = w->cpu[0], *y = w->cpu[1];
	float *out = w->cpu[2];

#pragma omp parallel for simd
	for (int i = 0; i < w->n; i++)
		out[i] = 2.5f * x[i] + y[i];
}

/* As many sums as the kernel makes, each over its share. */
void native_reduction(const struct work *w)
{
	const float *in = w->cpu[0];
	float *out = w->cpu[2];
	int each = w->n / REDUCTION_BLOCKS;

#pragma omp parallel for
	for (int b = 0; b < REDUCTION_BLOCKS; b++) {
		float sum = 0;

#pragma omp simd reduction(+ : sum)
		for (int i = 0; i < each; i++)
			sum += in[b * each + i];
		out[b] = sum;
	}
}

void native_transpose(const struct work *w)
{
	const float *in = w->cpu[0];
	float *out = w->cpu[2];
	int n = w->n;

#pragma omp parallel for collapse(2)
	for (int by = 0; by < n; by += 32)
		for (int bx = 0; bx < n; bx += 32)
			for (int y = by; y < by + 32; y++)
				for (int x = bx; x < bx + 32; x++)
					out[y * n + x] = in[x * n + y];
}

void native_stencil(const struct work *w)
{
	const float *in = w->cpu[0];
	float *out = w->cpu[2];
	int n = w->n;

#pragma omp parallel for
	for (int y = 1; y < n - 1; y++)
#pragma omp simd
		for (int x = 1; x < n - 1; x++)
			out[y * n + x] = 0.5f * in[y * n + x] +
					 0.125f * (in[y * n + x - 1] + in[y * n + x + 1] +
						   in[(y - 1) * n + x] + in[(y + 1) * n + x]);
}

void native_histogram(const struct work *w)
{
	const unsigned int *in = w->cpu[0];
	unsigned int *out = w->cpu[2];

	memset(out, 0, 256 * sizeof(*out));
#pragma omp parallel
	{
		unsigned int bins[256] = { 0 };

#pragma omp for
		for (int i = 0; i < w->n; i++) {
			unsigned int v = in[i];

			bins[v & 255]++;
			bins[v >> 8 & 255]++;
			bins[v >> 16 & 255]++;
			bins[v >> 24]++;
		}
#pragma omp critical
		for (int i = 0; i < 256; i++)
			out[i] += bins[i];
	}
}

struct body {
	float x, y, z, w;
};

#define WIDE 16

void native_nbody(const struct work *w)
{
	const struct body *in = w->cpu[0];
	struct body *out = w->cpu[2];

#pragma omp parallel for
	for (int b = 0; b < w->n; b += WIDE) {
		float x[WIDE], y[WIDE], z[WIDE], sx[WIDE], sy[WIDE], sz[WIDE];

		for (int i = 0; i < WIDE; i++) {
			x[i] = in[b + i].x;
			y[i] = in[b + i].y;
			z[i] = in[b + i].z;
			sx[i] = sy[i] = sz[i] = 0;
		}
		for (int j = 0; j < w->n; j++) {
			struct body o = in[j];

#pragma omp simd
			for (int i = 0; i < WIDE; i++) {
				float dx = o.x - x[i], dy = o.y - y[i], dz = o.z - z[i];
				float r = 1 / sqrtf(dx * dx + dy * dy + dz * dz + 1e-3f);
				float f = o.w * r * r * r;

				sx[i] += dx * f;
				sy[i] += dy * f;
				sz[i] += dz * f;
			}
		}
		for (int i = 0; i < WIDE; i++)
			out[b + i] = (struct body){ sx[i], sy[i], sz[i], 0 };
	}
}

#define TILE 16

void native_sgemm(const struct work *w)
{
	const float *a = w->cpu[0], *b = w->cpu[1];
	float *c = w->cpu[2];
	int n = w->n;

#pragma omp parallel for collapse(2)
	for (int bi = 0; bi < n; bi += TILE)
		for (int bj = 0; bj < n; bj += TILE) {
			float sum[TILE][TILE] = { { 0 } };

			for (int k = 0; k < n; k++)
#pragma clang loop unroll(full)
				for (int i = 0; i < TILE; i++)
#pragma omp simd
					for (int j = 0; j < TILE; j++)
						sum[i][j] +=
							a[(bi + i) * n + k] * b[k * n + bj + j];
			for (int i = 0; i < TILE; i++)
				memcpy(&c[(bi + i) * n + bj], sum[i], sizeof(sum[i]));
		}
}

void native_softmax(const struct work *w)
{
	int n = w->n;

#pragma omp parallel for
	for (int r = 0; r < n; r++) {
		const float *in = (const float *)w->cpu[0] + (size_t)r * n;
		float *out = (float *)w->cpu[2] + (size_t)r * n, most = -INFINITY, sum = 0;

#pragma omp simd reduction(max : most)
		for (int i = 0; i < n; i++)
			most = in[i] > most ? in[i] : most;
		for (int i = 0; i < n; i++)
			out[i] = expf(in[i] - most);
#pragma omp simd reduction(+ : sum)
		for (int i = 0; i < n; i++)
			sum += out[i];
		sum = 1 / sum;
#pragma omp simd
		for (int i = 0; i < n; i++)
			out[i] *= sum;
	}
}

void native_layernorm(const struct work *w)
{
	const float *scale = w->cpu[1], *bias = scale + w->n;
	int n = w->n;

#pragma omp parallel for
	for (int r = 0; r < n; r++) {
		const float *in = (const float *)w->cpu[0] + (size_t)r * n;
		float *out = (float *)w->cpu[2] + (size_t)r * n, sum = 0, var = 0;

#pragma omp simd reduction(+ : sum)
		for (int i = 0; i < n; i++)
			sum += in[i];
		sum /= (float)n;
#pragma omp simd reduction(+ : var)
		for (int i = 0; i < n; i++)
			var += (in[i] - sum) * (in[i] - sum);
		var = 1 / sqrtf(var / (float)n + 1e-5f);
#pragma omp simd
		for (int i = 0; i < n; i++)
			out[i] = (in[i] - sum) * var * scale[i] + bias[i];
	}
}

void native_dot8(const struct work *w)
{
	const signed char *a = w->cpu[0], *x = w->cpu[1];
	int *y = w->cpu[2], n = w->n;

#pragma omp parallel for
	for (int r = 0; r < n; r++) {
		int sum = 0;

		for (int i = 0; i < n; i++)
			sum += a[(size_t)r * n + i] * x[i];
		y[r] = sum;
	}
}

#define MOST_THREADS 64

/* Eight bits at a time, lowest first; each thread counts and moves its share. */
void native_sort(const struct work *w)
{
	static unsigned int *room;
	unsigned int count[MOST_THREADS][256], *from = w->cpu[0], *to, *out = w->cpu[2];
	int n = w->n;

	if (!room)
		room = malloc(sizeof(*room) * (size_t)n);
	if (!room)
		abort();
	to = room;
	for (int shift = 0; shift < 32; shift += 8) {
#pragma omp parallel
		{
			int t = omp_get_thread_num(), threads = omp_get_num_threads();
			int first = (int)((long)n * t / threads),
			    end = (int)((long)n * (t + 1) / threads);

			memset(count[t], 0, sizeof(count[t]));
			for (int i = first; i < end; i++)
				count[t][from[i] >> shift & 255]++;
#pragma omp barrier
#pragma omp single
			for (unsigned int sum = 0, d = 0; d < 256; d++)
				for (int k = 0; k < threads; k++) {
					unsigned int c = count[k][d];

					count[k][d] = sum;
					sum += c;
				}
			for (int i = first; i < end; i++)
				to[count[t][from[i] >> shift & 255]++] = from[i];
		}
		from = to;
		to = to == room ? out : room;
	}
}

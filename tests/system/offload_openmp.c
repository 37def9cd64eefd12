/* SPDX-License-Identifier: MIT */
/* offload.c - OpenMP regions that gcc offloads to nvptx; "right NAME" or "wrong NAME", then "done". */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#define N 4096

static void part(const char *name, int right)
{
	printf("%s %s\n", right ? "right" : "wrong", name);
	fflush(stdout);
}

static int on_device(void)
{
	int host = 1;

#pragma omp target map(from : host)
	host = omp_is_initial_device();
	return !host;
}

static int axpy(void)
{
	static float x[N], y[N];

	for (int i = 0; i < N; i++) {
		x[i] = (float)i;
		y[i] = 1;
	}
#pragma omp target teams distribute parallel for map(to : x) map(tofrom : y)
	for (int i = 0; i < N; i++)
		y[i] += 2 * x[i];
	for (int i = 0; i < N; i++)
		if (y[i] != 2 * (float)i + 1)
			return 0;
	return 1;
}

static int reduction(void)
{
	long sum = 0;
	int most = -1;

#pragma omp target teams distribute parallel for reduction(+ : sum) map(tofrom : sum)
	for (int i = 0; i < N; i++)
		sum += (long)i * i;
#pragma omp target teams distribute parallel for reduction(max : most) map(tofrom : most)
	for (int i = 0; i < N; i++) {
		int v = i * 7919 % 4093;

		most = v > most ? v : most;
	}
	return sum == (long)(N - 1) * N * (2 * N - 1) / 6 && most == 4092;
}

static int atomics(void)
{
	int bins[16] = { 0 };

#pragma omp target teams distribute parallel for map(tofrom : bins)
	for (int i = 0; i < N; i++) {
#pragma omp atomic
		bins[i % 16]++;
	}
	for (int i = 0; i < 16; i++)
		if (bins[i] != N / 16)
			return 0;
	return 1;
}

static int matrix(void)
{
	static double a[48][48], b[48][48], c[48][48];

	for (int i = 0; i < 48; i++)
		for (int j = 0; j < 48; j++) {
			a[i][j] = i - j;
			b[i][j] = i * j % 7;
		}
#pragma omp target teams distribute map(to : a, b) map(from : c)
	for (int i = 0; i < 48; i++) {
#pragma omp parallel for
		for (int j = 0; j < 48; j++) {
			double s = 0;

#pragma omp simd reduction(+ : s)
			for (int k = 0; k < 48; k++)
				s += a[i][k] * b[k][j];
			c[i][j] = s;
		}
	}
	for (int i = 0; i < 48; i++)
		for (int j = 0; j < 48; j++) {
			double s = 0;

			for (int k = 0; k < 48; k++)
				s += a[i][k] * b[k][j];
			if (s != c[i][j])
				return 0;
		}
	return 1;
}

static int kept(void)
{
	int *p = malloc(N * sizeof(*p)), right = 1;

	for (int i = 0; i < N; i++)
		p[i] = i;
#pragma omp target enter data map(to : p [0:N])
	for (int round = 0; round < 3; round++) {
#pragma omp target teams distribute parallel for
		for (int i = 0; i < N; i++)
			p[i] += i;
	}
#pragma omp target update from(p [0:N / 2])
	for (int i = 0; i < N; i++)
		right = right && p[i] == (i < N / 2 ? 4 * i : i);
#pragma omp target exit data map(delete : p [0:N])
	free(p);
	return right;
}

int main(void)
{
	part("devices", omp_get_num_devices() == 1);
	part("on_device", on_device());
	part("axpy", axpy());
	part("reduction", reduction());
	part("atomics", atomics());
	part("matrix", matrix());
	part("kept", kept());
	printf("done\n");
	return 0;
}

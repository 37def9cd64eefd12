/* SPDX-License-Identifier: MIT */
/* reference.c - the same algorithms in C, built at -O2, run on one core. */
#include "reference.h"

void reference_saxpy(float a, const float *x, float *y, int n)
{
	int i;

	for (i = 0; i < n; i++)
		y[i] = a * x[i] + y[i];
}

#define TILE 16

/* Tiled as the kernel is, so that both touch memory in the same order. */
void reference_sgemm(const float *a, const float *b, float *c, int n)
{
	int bi, bj, bk, i, j, k;

	for (bi = 0; bi < n; bi += TILE)
		for (bj = 0; bj < n; bj += TILE) {
			float sum[TILE][TILE] = { { 0 } };

			for (bk = 0; bk < n; bk += TILE)
				for (i = 0; i < TILE; i++)
					for (k = 0; k < TILE; k++)
						for (j = 0; j < TILE; j++)
							sum[i][j] += a[(bi + i) * n + bk + k] *
								     b[(bk + k) * n + bj + j];
			for (i = 0; i < TILE; i++)
				for (j = 0; j < TILE; j++)
					c[(bi + i) * n + bj + j] = sum[i][j];
		}
}

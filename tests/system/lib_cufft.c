/* SPDX-License-Identifier: MIT */
/* lib_cufft.c - transforms of cuFFT against the sums that define them; see lib_probe.h. */
#include "lib_probe.h"

enum { R2C = 0x2a, C2R = 0x2c, C2C = 0x29, Z2Z = 0x69, FORWARD = -1, INVERSE = 1 };

#define MOST 4096

static float in[2 * MOST], out[2 * MOST];
static double wanted[2 * MOST];

/* Of @rows sequences of length @n. */
static void reference(int n, int rows, int sign, const float *x, double *y)
{
	for (int r = 0; r < rows; r++)
		for (int k = 0; k < n; k++) {
			double re = 0, im = 0;

			for (int j = 0; j < n; j++) {
				double t = sign * 2 * M_PI * (double)((long)j * k % n) / n;
				const float *p = x + 2 * (r * n + j);

				re += p[0] * cos(t) - p[1] * sin(t);
				im += p[0] * sin(t) + p[1] * cos(t);
			}
			y[2 * (r * n + k)] = re;
			y[2 * (r * n + k) + 1] = im;
		}
}

static int plan_1d(const char *name, int n, int type, int rows, int *ret_plan)
{
	int r = LIB(int, "cufftPlan1d", (int *, int, int, int))(ret_plan, n, type, rows);

	if (r)
		printf("failed %s %d (plan)\n", name, r);
	return !r;
}

static void complex_1d(const char *name, int n, int rows, int sign)
{
	size_t bytes = 8 * (size_t)n * (size_t)rows;
	void *dx, *dy;
	int plan;

	if (!plan_1d(name, n, C2C, rows, &plan))
		return;
	dx = probe_up(in, bytes);
	dy = probe_up(NULL, bytes);
	if (probe_status(name, LIB(int, "cufftExecC2C", (int, void *, void *, int))(plan, dx, dy,
										    sign))) {
		probe_down(out, dy, bytes);
		reference(n, rows, sign, in, wanted);
		probe_report(name, probe_error(out, wanted, 2 * (size_t)n * (size_t)rows), 2e-6);
	}
	LIB(int, "cufftDestroy", (int))(plan);
	probe_free(dx);
	probe_free(dy);
}

static void real_1d(const char *name, int n)
{
	float x[MOST], back[MOST];
	double want[MOST];
	void *dx, *dy;
	int forward, inverse;

	if (!plan_1d(name, n, R2C, 1, &forward) || !plan_1d(name, n, C2R, 1, &inverse))
		return;
	for (int i = 0; i < n; i++) {
		x[i] = probe_value(i, 8);
		in[2 * i] = x[i];
		in[2 * i + 1] = 0;
		want[i] = (double)x[i] * n;
	}
	dx = probe_up(x, 4 * (size_t)n);
	dy = probe_up(NULL, 8 * (size_t)(n / 2 + 1));
	reference(n, 1, FORWARD, in, wanted);
	if (probe_status(name, LIB(int, "cufftExecR2C", (int, void *, void *))(forward, dx, dy))) {
		probe_down(out, dy, 8 * (size_t)(n / 2 + 1));
		probe_report(name, probe_error(out, wanted, (size_t)(n / 2 + 1) * 2), 2e-6);
	}
	if (probe_status("c2r", LIB(int, "cufftExecC2R", (int, void *, void *))(inverse, dy, dx))) {
		probe_down(back, dx, 4 * (size_t)n);
		probe_report("c2r", probe_error(back, want, (size_t)n), 2e-6);
	}
	probe_free(dx);
	probe_free(dy);
}

static void double_1d(const char *name, int n)
{
	double x[2 * MOST], y[2 * MOST];
	void *dx;
	int plan;

	if (!plan_1d(name, n, Z2Z, 1, &plan))
		return;
	for (int i = 0; i < 2 * n; i++)
		x[i] = in[i];
	dx = probe_up(x, 16 * (size_t)n);
	if (probe_status(name, LIB(int, "cufftExecZ2Z", (int, void *, void *, int))(plan, dx, dx,
										    FORWARD))) {
		probe_down(y, dx, 16 * (size_t)n);
		reference(n, 1, FORWARD, in, wanted);
		probe_report(name, probe_error64(y, wanted, 2 * (size_t)n), 1e-13);
	}
	probe_free(dx);
}

static void complex_2d(const char *name, int h, int w)
{
	size_t bytes = 8 * (size_t)(w * h);
	float col[2 * MOST] = { 0 };
	double tmp[2 * MOST], y[2 * MOST];
	void *dx;
	int plan, r;

	r = LIB(int, "cufftPlan2d", (int *, int, int, int))(&plan, h, w, C2C);
	if (r) {
		printf("failed %s %d (plan)\n", name, r);
		return;
	}
	reference(w, h, FORWARD, in, tmp);
	for (int i = 0; i < w; i++)
		for (int j = 0; j < h; j++)
			for (int c = 0; c < 2; c++)
				col[2 * (i * h + j) + c] = (float)tmp[2 * (j * w + i) + c];
	reference(h, w, FORWARD, col, y);
	for (int i = 0; i < w; i++)
		for (int j = 0; j < h; j++)
			for (int c = 0; c < 2; c++)
				wanted[2 * (j * w + i) + c] = y[2 * (i * h + j) + c];
	dx = probe_up(in, bytes);
	if (probe_status(name, LIB(int, "cufftExecC2C", (int, void *, void *, int))(plan, dx, dx,
										    FORWARD))) {
		probe_down(out, dx, bytes);
		probe_report(name, probe_error(out, wanted, 2 * (size_t)(w * h)), 2e-6);
	}
	probe_free(dx);
}

int main(int argc, char **argv)
{
	probe_start(argc, argv);
	for (int i = 0; i < 2 * MOST; i++)
		in[i] = probe_value(i, 7);
	complex_1d("c2c_256", 256, 1, FORWARD);
	complex_1d("c2c_256_inverse", 256, 1, INVERSE);
	complex_1d("c2c_4096", 4096, 1, FORWARD);
	complex_1d("c2c_64x16", 64, 16, FORWARD);
	complex_1d("c2c_105", 105, 3, FORWARD);	    /* 3 5 7 */
	complex_1d("c2c_prime_97", 97, 2, FORWARD); /* by Bluestein's way */
	real_1d("r2c_512", 512);
	double_1d("z2z_512", 512);
	complex_2d("c2c_2d_32x64", 32, 64);
	return probe_end();
}

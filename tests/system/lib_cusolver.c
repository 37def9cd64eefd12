/* SPDX-License-Identifier: MIT */
/* lib_cusolver.c - factorisations of cuSOLVER: each must give back what it took apart; see lib_probe.h. */
#include "lib_probe.h"

enum { N = 40, FILL_LOWER = 0, VECTORS = 1, OP_N = 0 };

static void *handle;
static float a[N * N], spd[N * N], rhs[N], got[N];
static double wanted[N];

static void make_matrices(void)
{
	for (int j = 0; j < N; j++)
		for (int i = 0; i < N; i++)
			a[j * N + i] = probe_value(j * N + i, 1) + (i == j ? 4 : 0);
	for (int j = 0; j < N; j++)
		for (int i = 0; i < N; i++) {
			double s = i == j ? 2 : 0;

			for (int k = 0; k < N; k++)
				s += (double)a[k * N + i] * a[k * N + j] / 16;
			spd[j * N + i] = (float)s;
		}
	for (int i = 0; i < N; i++)
		wanted[i] = probe_value(i, 3);
}

/* rhs = m * wanted */
static void make_rhs(const float *m)
{
	for (int i = 0; i < N; i++) {
		double s = 0;

		for (int k = 0; k < N; k++)
			s += (double)m[k * N + i] * wanted[k];
		rhs[i] = (float)s;
	}
}

static void lu(void)
{
	void *da = probe_up(a, sizeof(a)), *db, *work, *pivots = probe_up(NULL, 4 * N),
	     *info = probe_up(NULL, 4);
	int bytes = 0, r;

	make_rhs(a);
	db = probe_up(rhs, sizeof(rhs));
	r = LIB(int, "cusolverDnSgetrf_bufferSize",
		(void *, int, int, void *, int, int *))(handle, N, N, da, N, &bytes);
	work = probe_up(NULL, (size_t)bytes * 4);
	r = r ? r
	      : LIB(int, "cusolverDnSgetrf",
		    (void *, int, int, void *, int, void *, void *, void *))(handle, N, N, da, N,
									     work, pivots, info);
	if (!probe_status("sgetrf", r))
		return;
	r = LIB(int, "cusolverDnSgetrs",
		(void *, int, int, int, void *, int, void *, void *, int, void *))(
		handle, OP_N, N, 1, da, N, pivots, db, N, info);
	if (probe_status("sgetrs", r)) {
		probe_down(got, db, sizeof(got));
		probe_report("sgetrf+sgetrs", probe_error(got, wanted, N), 1e-4);
	}
}

static void cholesky(void)
{
	void *da = probe_up(spd, sizeof(spd)), *db, *work, *info = probe_up(NULL, 4);
	int bytes = 0, r;

	make_rhs(spd);
	db = probe_up(rhs, sizeof(rhs));
	r = LIB(int, "cusolverDnSpotrf_bufferSize",
		(void *, int, int, void *, int, int *))(handle, FILL_LOWER, N, da, N, &bytes);
	work = probe_up(NULL, (size_t)bytes * 4);
	r = r ? r
	      : LIB(int, "cusolverDnSpotrf", (void *, int, int, void *, int, void *, int, void *))(
			handle, FILL_LOWER, N, da, N, work, bytes, info);
	if (!probe_status("spotrf", r))
		return;
	r = LIB(int, "cusolverDnSpotrs", (void *, int, int, int, void *, int, void *, int, void *))(
		handle, FILL_LOWER, N, 1, da, N, db, N, info);
	if (probe_status("spotrs", r)) {
		probe_down(got, db, sizeof(got));
		probe_report("spotrf+spotrs", probe_error(got, wanted, N), 1e-4);
	}
}

/* Q R = A, by what R says of lengths: R'R = A'A. */
static void qr(void)
{
	void *da = probe_up(a, sizeof(a)), *tau = probe_up(NULL, 4 * N), *work,
	     *info = probe_up(NULL, 4);
	float f[N * N];
	double worst = 0, scale = 0;
	int bytes = 0, r;

	r = LIB(int, "cusolverDnSgeqrf_bufferSize",
		(void *, int, int, void *, int, int *))(handle, N, N, da, N, &bytes);
	work = probe_up(NULL, (size_t)bytes * 4);
	r = r ? r
	      : LIB(int, "cusolverDnSgeqrf",
		    (void *, int, int, void *, int, void *, void *, int, void *))(
			handle, N, N, da, N, tau, work, bytes, info);
	if (!probe_status("sgeqrf", r))
		return;
	probe_down(f, da, sizeof(f));
	for (int j = 0; j < N; j++)
		for (int i = 0; i <= j; i++) {
			double rr = 0, aa = 0;

			for (int k = 0; k <= i; k++)
				rr += (double)f[i * N + k] * f[j * N + k];
			for (int k = 0; k < N; k++)
				aa += (double)a[i * N + k] * a[j * N + k];
			worst = fmax(worst, fabs(rr - aa));
			scale = fmax(scale, fabs(aa));
		}
	probe_report("sgeqrf", worst / scale, 1e-5);
}

/* A v = w v for every pair. */
static void eigen(void)
{
	void *da = probe_up(spd, sizeof(spd)), *dw = probe_up(NULL, 4 * N), *work,
	     *info = probe_up(NULL, 4);
	float v[N * N], w[N];
	double worst = 0;
	int bytes = 0, r;

	r = LIB(int, "cusolverDnSsyevd_bufferSize",
		(void *, int, int, int, const void *, int, const void *, int *))(
		handle, VECTORS, FILL_LOWER, N, da, N, dw, &bytes);
	work = probe_up(NULL, (size_t)bytes * 4);
	r = r ? r
	      : LIB(int, "cusolverDnSsyevd",
		    (void *, int, int, int, void *, int, void *, void *, int, void *))(
			handle, VECTORS, FILL_LOWER, N, da, N, dw, work, bytes, info);
	if (!probe_status("ssyevd", r))
		return;
	probe_down(v, da, sizeof(v));
	probe_down(w, dw, sizeof(w));
	for (int e = 0; e < N; e++)
		for (int i = 0; i < N; i++) {
			double s = 0;

			for (int k = 0; k < N; k++)
				s += (double)spd[k * N + i] * v[e * N + k];
			worst = fmax(worst, fabs(s - (double)w[e] * v[e * N + i]));
		}
	probe_report("ssyevd", worst / w[N - 1], 1e-5);
}

int main(int argc, char **argv)
{
	probe_start(argc, argv);
	make_matrices();
	if (!probe_status("create", LIB(int, "cusolverDnCreate", (void **))(&handle)))
		return 1;
	printf("right create 0\n");
	lu();
	cholesky();
	qr();
	eigen();
	probe_status("destroy", LIB(int, "cusolverDnDestroy", (void *))(handle));
	return probe_end();
}

/* SPDX-License-Identifier: MIT */
/* lib_cublas.c - calls of cuBLAS against loops in C; see lib_probe.h. Matrices lie by columns. */
#include "lib_probe.h"

enum { M = 48, N = 40, K = 56, V = 1000 };
enum { OP_N = 0, OP_T = 1, FILL_LOWER = 0, FILL_UPPER = 1, SIDE_LEFT = 0, NON_UNIT = 0 };
enum { R_32F = 0, R_64F = 1, R_16F = 2, R_8I = 3, R_32I = 10, R_16BF = 14 };
enum { COMPUTE_16F = 64, COMPUTE_32F = 68, COMPUTE_32I = 72 };

static void *handle;
static float a[M * K], b[K * N], c[M * N], x[V], y[V];
static double wanted[M * N];

static void reference(int m, int n, int k, const float *pa, const float *pb, double *out)
{
	for (int j = 0; j < n; j++)
		for (int i = 0; i < m; i++) {
			double s = 0;

			for (int l = 0; l < k; l++)
				s += (double)pa[l * m + i] * pb[j * k + l];
			out[j * m + i] = s;
		}
}

/* IEEE half of a value that has one; and back. */
static uint16_t half_of(float f)
{
	uint32_t u;

	memcpy(&u, &f, 4);
	if (!(u & 0x7fffffff))
		return (uint16_t)(u >> 16);
	return (uint16_t)((u >> 16 & 0x8000) | ((((u >> 23) & 255) - 112) << 10) |
			  (u >> 13 & 0x3ff));
}

static float half_to(uint16_t h)
{
	float m = (float)(h & 0x3ff) / 1024;
	int e = h >> 10 & 31;
	float v = e ? ldexpf(1 + m, e - 15) : ldexpf(m, -14);

	return h & 0x8000 ? -v : v;
}

static uint16_t bf16_of(float f)
{
	uint32_t u;

	memcpy(&u, &f, 4);
	return (uint16_t)(u >> 16);
}

static void vectors(void)
{
	void *dx = probe_up(x, sizeof(x)), *dy = probe_up(y, sizeof(y));
	double dot = 0, nrm = 0, sum = 0, want[V];
	float got[V], r, two = 2, half = 0.5f;
	int best = 0, index;

	for (int i = 0; i < V; i++) {
		dot += (double)x[i] * y[i];
		nrm += (double)x[i] * x[i];
		sum += fabs(x[i]);
		if (fabsf(x[i]) > fabsf(x[best]))
			best = i;
		want[i] = 2.0 * x[i] + y[i];
	}
	if (probe_status("saxpy", LIB(int, "cublasSaxpy_v2",
				      (void *, int, const float *, const void *, int, void *, int))(
					  handle, V, &two, dx, 1, dy, 1))) {
		probe_down(got, dy, sizeof(got));
		probe_report("saxpy", probe_error(got, want, V), 1e-6);
	}
	CU(cuMemcpyHtoD_v2, (CUdeviceptr)(uintptr_t)dy, y, sizeof(y));
	if (probe_status("sdot", LIB(int, "cublasSdot_v2",
				     (void *, int, const void *, int, const void *, int, float *))(
					 handle, V, dx, 1, dy, 1, &r)))
		probe_report("sdot", fabs(r - dot) / (fabs(dot) + 1), 1e-5);
	if (probe_status("snrm2",
			 LIB(int, "cublasSnrm2_v2",
			     (void *, int, const void *, int, float *))(handle, V, dx, 1, &r)))
		probe_report("snrm2", fabs(r - sqrt(nrm)) / sqrt(nrm), 1e-5);
	if (probe_status("sasum",
			 LIB(int, "cublasSasum_v2",
			     (void *, int, const void *, int, float *))(handle, V, dx, 1, &r)))
		probe_report("sasum", fabs(r - sum) / sum, 1e-5);
	if (probe_status("isamax",
			 LIB(int, "cublasIsamax_v2",
			     (void *, int, const void *, int, int *))(handle, V, dx, 1, &index)))
		probe_report("isamax", fabs(fabs(x[index - 1]) - fabs(x[best])), 0);
	if (probe_status("sscal",
			 LIB(int, "cublasSscal_v2",
			     (void *, int, const float *, void *, int))(handle, V, &half, dx, 1))) {
		probe_down(got, dx, sizeof(got));
		for (int i = 0; i < V; i++)
			want[i] = 0.5 * x[i];
		probe_report("sscal", probe_error(got, want, V), 0);
	}
	probe_free(dx);
	probe_free(dy);
}

static void sgemv(int op, const char *name)
{
	int in = op == OP_N ? K : M, out = op == OP_N ? M : K;
	void *da = probe_up(a, sizeof(a)), *dx = probe_up(x, sizeof(x)),
	     *dy = probe_up(NULL, 4 * V);
	float one = 1, zero = 0, got[M + K];
	double want[M + K];

	for (int i = 0; i < out; i++) {
		want[i] = 0;
		for (int l = 0; l < in; l++)
			want[i] += (double)(op == OP_N ? a[l * M + i] : a[i * M + l]) * x[l];
	}
	if (probe_status(name, LIB(int, "cublasSgemv_v2",
				   (void *, int, int, int, const float *, const void *, int,
				    const void *, int, const float *, void *,
				    int))(handle, op, M, K, &one, da, M, dx, 1, &zero, dy, 1))) {
		probe_down(got, dy, (size_t)out * 4);
		probe_report(name, probe_error(got, want, (size_t)out), 1e-5);
	}
	probe_free(da);
	probe_free(dx);
	probe_free(dy);
}

static void sgemm(int opa, int opb, const char *name)
{
	float ta[M * K], tb[K * N], one = 1, zero = 0;
	void *da, *db, *dc = probe_up(NULL, sizeof(c));

	for (int i = 0; i < M; i++)
		for (int l = 0; l < K; l++)
			ta[opa == OP_N ? l * M + i : i * K + l] = a[l * M + i];
	for (int l = 0; l < K; l++)
		for (int j = 0; j < N; j++)
			tb[opb == OP_N ? j * K + l : l * N + j] = b[j * K + l];
	da = probe_up(ta, sizeof(ta));
	db = probe_up(tb, sizeof(tb));
	if (probe_status(name, LIB(int, "cublasSgemm_v2",
				   (void *, int, int, int, int, int, const float *, const void *,
				    int, const void *, int, const float *, void *,
				    int))(handle, opa, opb, M, N, K, &one, da, opa == OP_N ? M : K,
					  db, opb == OP_N ? K : N, &zero, dc, M))) {
		probe_down(c, dc, sizeof(c));
		probe_report(name, probe_error(c, wanted, M * N), 1e-5);
	}
	probe_free(da);
	probe_free(db);
	probe_free(dc);
}

static void dgemm(void)
{
	double xa[M * K], xb[K * N], xc[M * N], one = 1, zero = 0;
	void *da, *db, *dc = probe_up(NULL, sizeof(xc));

	for (int i = 0; i < M * K; i++)
		xa[i] = a[i];
	for (int i = 0; i < K * N; i++)
		xb[i] = b[i];
	da = probe_up(xa, sizeof(xa));
	db = probe_up(xb, sizeof(xb));
	if (probe_status("dgemm",
			 LIB(int, "cublasDgemm_v2",
			     (void *, int, int, int, int, int, const double *, const void *, int,
			      const void *, int, const double *, void *, int))(
				 handle, OP_N, OP_N, M, N, K, &one, da, M, db, K, &zero, dc, M))) {
		probe_down(xc, dc, sizeof(xc));
		probe_report("dgemm", probe_error64(xc, wanted, M * N), 1e-13);
	}
	probe_free(da);
	probe_free(db);
	probe_free(dc);
}

/* Of 16-bit types, with 32-bit sums. */
static void gemm_ex(int type, const char *name)
{
	uint16_t ha[M * K], hb[K * N];
	float one = 1, zero = 0;
	void *da, *db, *dc = probe_up(NULL, sizeof(c));

	for (int i = 0; i < M * K; i++)
		ha[i] = type == R_16F ? half_of(a[i]) : bf16_of(a[i]);
	for (int i = 0; i < K * N; i++)
		hb[i] = type == R_16F ? half_of(b[i]) : bf16_of(b[i]);
	da = probe_up(ha, sizeof(ha));
	db = probe_up(hb, sizeof(hb));
	if (probe_status(name,
			 LIB(int, "cublasGemmEx",
			     (void *, int, int, int, int, int, const void *, const void *, int, int,
			      const void *, int, int, const void *, void *, int, int, int,
			      int))(handle, OP_N, OP_N, M, N, K, &one, da, type, M, db, type, K,
				    &zero, dc, R_32F, M, COMPUTE_32F, -1))) {
		probe_down(c, dc, sizeof(c));
		probe_report(name, probe_error(c, wanted, M * N), 1e-5);
	}
	probe_free(da);
	probe_free(db);
	probe_free(dc);
}

static void hgemm(void)
{
	uint16_t ha[M * K], hb[K * N], hc[M * N], one = half_of(1), zero = 0;
	void *da, *db, *dc = probe_up(NULL, sizeof(hc));

	for (int i = 0; i < M * K; i++)
		ha[i] = half_of(a[i]);
	for (int i = 0; i < K * N; i++)
		hb[i] = half_of(b[i]);
	da = probe_up(ha, sizeof(ha));
	db = probe_up(hb, sizeof(hb));
	if (probe_status("hgemm",
			 LIB(int, "cublasHgemm",
			     (void *, int, int, int, int, int, const void *, const void *, int,
			      const void *, int, const void *, void *, int))(
				 handle, OP_N, OP_N, M, N, K, &one, da, M, db, K, &zero, dc, M))) {
		probe_down(hc, dc, sizeof(hc));
		for (int i = 0; i < M * N; i++)
			c[i] = half_to(hc[i]);
		probe_report("hgemm", probe_error(c, wanted, M * N), 4e-3);
	}
	probe_free(da);
	probe_free(db);
	probe_free(dc);
}

static void batched(void)
{
	enum { B = 3 };
	float xa[B * M * K], xb[B * K * N], xc[B * M * N], one = 1, zero = 0;
	double want[B * M * N];
	void *da, *db, *dc = probe_up(NULL, sizeof(xc));

	for (int i = 0; i < B * M * K; i++)
		xa[i] = probe_value(i, 5);
	for (int i = 0; i < B * K * N; i++)
		xb[i] = probe_value(i, 6);
	for (int i = 0; i < B; i++)
		reference(M, N, K, xa + i * M * K, xb + i * K * N, want + i * M * N);
	da = probe_up(xa, sizeof(xa));
	db = probe_up(xb, sizeof(xb));
	if (probe_status("sgemmStridedBatched",
			 LIB(int, "cublasSgemmStridedBatched",
			     (void *, int, int, int, int, int, const float *, const void *, int,
			      long long, const void *, int, long long, const float *, void *, int,
			      long long, int))(handle, OP_N, OP_N, M, N, K, &one, da, M, M * K, db,
					       K, K * N, &zero, dc, M, M * N, B))) {
		probe_down(xc, dc, sizeof(xc));
		probe_report("sgemmStridedBatched", probe_error(xc, want, B * M * N), 1e-5);
	}
	probe_free(da);
	probe_free(db);
	probe_free(dc);
}

/* L * X = B with a lower triangle that is easy to invert. */
static void strsm(void)
{
	float l[M * M], one = 1, got[M * N];
	double want[M * N];
	void *dl, *db;

	for (int j = 0; j < M; j++)
		for (int i = 0; i < M; i++)
			l[j * M + i] = i == j ? 2 : i > j ? probe_value(i * M + j, 3) / 64 : 99;
	for (int j = 0; j < N; j++)
		for (int i = 0; i < M; i++) {
			double s = c[j * M + i] = probe_value(j * M + i, 9);

			for (int k = 0; k < i; k++)
				s -= (double)l[k * M + i] * want[j * M + k];
			want[j * M + i] = s / 2;
		}
	dl = probe_up(l, sizeof(l));
	db = probe_up(c, sizeof(c));
	if (probe_status("strsm",
			 LIB(int, "cublasStrsm_v2",
			     (void *, int, int, int, int, int, int, const float *, const void *,
			      int, void *, int))(handle, SIDE_LEFT, FILL_LOWER, OP_N, NON_UNIT, M,
						 N, &one, dl, M, db, M))) {
		probe_down(got, db, sizeof(got));
		probe_report("strsm", probe_error(got, want, M * N), 1e-5);
	}
	probe_free(dl);
	probe_free(db);
}

static void ssyrk(void)
{
	float one = 1, zero = 0, got[M * M];
	double worst = 0;
	void *da = probe_up(a, sizeof(a)), *dc = probe_up(NULL, sizeof(got));

	if (probe_status("ssyrk", LIB(int, "cublasSsyrk_v2",
				      (void *, int, int, int, int, const float *, const void *, int,
				       const float *, void *, int))(handle, FILL_LOWER, OP_N, M, K,
								    &one, da, M, &zero, dc, M))) {
		probe_down(got, dc, sizeof(got));
		for (int j = 0; j < M; j++)
			for (int i = j; i < M; i++) {
				double s = 0;

				for (int l = 0; l < K; l++)
					s += (double)a[l * M + i] * a[l * M + j];
				worst = fmax(worst, fabs(s - got[j * M + i]));
			}
		probe_report("ssyrk", worst, 1e-4);
	}
	probe_free(da);
	probe_free(dc);
}

int main(int argc, char **argv)
{
	probe_start(argc, argv);
	for (int i = 0; i < M * K; i++)
		a[i] = probe_value(i, 1);
	for (int i = 0; i < K * N; i++)
		b[i] = probe_value(i, 2);
	for (int i = 0; i < V; i++) {
		x[i] = probe_value(i, 3);
		y[i] = probe_value(i, 4);
	}
	reference(M, N, K, a, b, wanted);
	if (!probe_status("create", LIB(int, "cublasCreate_v2", (void **))(&handle)))
		return 1;
	printf("right create 0\n");
	vectors();
	sgemv(OP_N, "sgemv");
	sgemv(OP_T, "sgemv_t");
	sgemm(OP_N, OP_N, "sgemm");
	sgemm(OP_T, OP_N, "sgemm_tn");
	sgemm(OP_N, OP_T, "sgemm_nt");
	dgemm();
	batched();
	strsm();
	ssyrk();
	hgemm();
	gemm_ex(R_16F, "gemmEx_f16");
	gemm_ex(R_16BF, "gemmEx_bf16");
	probe_status("destroy", LIB(int, "cublasDestroy_v2", (void *))(handle));
	return probe_end();
}

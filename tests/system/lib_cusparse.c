/* SPDX-License-Identifier: MIT */
/* lib_cusparse.c - sparse products of cuSPARSE against loops in C; see lib_probe.h. */
#include "lib_probe.h"

enum { ROWS = 120, COLS = 100, BANDS = 5, DENSE = 8, NNZ = ROWS * BANDS };
enum { INDEX_32 = 2, BASE_0 = 0, R_32F = 0, OP_N = 0, ORDER_COL = 1, ALG_DEFAULT = 0 };

static int row_at[ROWS + 1], row_of[NNZ], col[NNZ];
static float val[NNZ], x[COLS * DENSE], y[ROWS * DENSE];
static double wanted[ROWS * DENSE];
static void *handle, *d_row, *d_row_of, *d_col, *d_val;

static void make_matrix(void)
{
	int n = 0;

	for (int i = 0; i < ROWS; i++) {
		row_at[i] = n;
		for (int b = 0; b < BANDS; b++) {
			row_of[n] = i;
			col[n] = i * 3 % 17 + b * 16; /* rising in the row, below COLS */
			val[n] = probe_value(n, 1);
			n++;
		}
	}
	row_at[ROWS] = n;
	for (int j = 0; j < DENSE; j++)
		for (int i = 0; i < ROWS; i++)
			for (int k = row_at[i]; k < row_at[i + 1]; k++)
				wanted[j * ROWS + i] += (double)val[k] * x[j * COLS + col[k]];
	d_row = probe_up(row_at, sizeof(row_at));
	d_row_of = probe_up(row_of, sizeof(row_of));
	d_col = probe_up(col, sizeof(col));
	d_val = probe_up(val, sizeof(val));
}

static int create_csr(void **m)
{
	return LIB(int, "cusparseCreateCsr",
		   (void **, int64_t, int64_t, int64_t, void *, void *, void *, int, int, int,
		    int))(m, ROWS, COLS, NNZ, d_row, d_col, d_val, INDEX_32, INDEX_32, BASE_0,
			  R_32F);
}

static int create_coo(void **m)
{
	return LIB(int, "cusparseCreateCoo",
		   (void **, int64_t, int64_t, int64_t, void *, void *, void *, int, int, int))(
		m, ROWS, COLS, NNZ, d_row_of, d_col, d_val, INDEX_32, BASE_0, R_32F);
}

static void spmv(const char *name, int (*create)(void **))
{
	void *m, *vx, *vy, *buffer, *dx = probe_up(x, 4 * COLS), *dy = probe_up(NULL, 4 * ROWS);
	float one = 1, zero = 0;
	size_t bytes = 0;
	int r = create(&m);

	r = r ? r
	      : LIB(int, "cusparseCreateDnVec", (void **, int64_t, void *, int))(&vx, COLS, dx,
										 R_32F);
	r = r ? r
	      : LIB(int, "cusparseCreateDnVec", (void **, int64_t, void *, int))(&vy, ROWS, dy,
										 R_32F);
	r = r ? r
	      : LIB(int, "cusparseSpMV_bufferSize",
		    (void *, int, const void *, void *, void *, const void *, void *, int, int,
		     size_t *))(handle, OP_N, &one, m, vx, &zero, vy, R_32F, ALG_DEFAULT, &bytes);
	buffer = probe_up(NULL, bytes);
	r = r ? r
	      : LIB(int, "cusparseSpMV",
		    (void *, int, const void *, void *, void *, const void *, void *, int, int,
		     void *))(handle, OP_N, &one, m, vx, &zero, vy, R_32F, ALG_DEFAULT, buffer);
	if (probe_status(name, r)) {
		probe_down(y, dy, 4 * ROWS);
		probe_report(name, probe_error(y, wanted, ROWS), 1e-6);
	}
}

static void spmm(void)
{
	void *m, *mx, *my, *buffer, *dx = probe_up(x, sizeof(x)), *dy = probe_up(NULL, sizeof(y));
	float one = 1, zero = 0;
	size_t bytes = 0;
	int r = create_csr(&m);

	r = r ? r
	      : LIB(int, "cusparseCreateDnMat",
		    (void **, int64_t, int64_t, int64_t, void *, int, int))(&mx, COLS, DENSE, COLS,
									    dx, R_32F, ORDER_COL);
	r = r ? r
	      : LIB(int, "cusparseCreateDnMat",
		    (void **, int64_t, int64_t, int64_t, void *, int, int))(&my, ROWS, DENSE, ROWS,
									    dy, R_32F, ORDER_COL);
	r = r ? r
	      : LIB(int, "cusparseSpMM_bufferSize",
		    (void *, int, int, const void *, void *, void *, const void *, void *, int, int,
		     size_t *))(handle, OP_N, OP_N, &one, m, mx, &zero, my, R_32F, ALG_DEFAULT,
				&bytes);
	buffer = probe_up(NULL, bytes);
	r = r ? r
	      : LIB(int, "cusparseSpMM",
		    (void *, int, int, const void *, void *, void *, const void *, void *, int, int,
		     void *))(handle, OP_N, OP_N, &one, m, mx, &zero, my, R_32F, ALG_DEFAULT,
			      buffer);
	if (probe_status("spmm_csr", r)) {
		probe_down(y, dy, sizeof(y));
		probe_report("spmm_csr", probe_error(y, wanted, ROWS * DENSE), 1e-6);
	}
}

static void coo_to_csr(void)
{
	void *d = probe_up(NULL, sizeof(row_at));
	int got[ROWS + 1];

	if (probe_status("coo2csr", LIB(int, "cusparseXcoo2csr",
					(void *, const void *, int, int, void *, int))(
					    handle, d_row_of, NNZ, ROWS, d, BASE_0))) {
		probe_down(got, d, sizeof(got));
		probe_report("coo2csr", memcmp(got, row_at, sizeof(got)) != 0, 0);
	}
}

int main(int argc, char **argv)
{
	probe_start(argc, argv);
	for (int i = 0; i < COLS * DENSE; i++)
		x[i] = probe_value(i, 2);
	make_matrix();
	if (!probe_status("create", LIB(int, "cusparseCreate", (void **))(&handle)))
		return 1;
	printf("right create 0\n");
	spmv("spmv_csr", create_csr);
	spmv("spmv_coo", create_coo);
	spmm();
	coo_to_csr();
	probe_status("destroy", LIB(int, "cusparseDestroy", (void *))(handle));
	return probe_end();
}

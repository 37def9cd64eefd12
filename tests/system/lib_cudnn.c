/* SPDX-License-Identifier: MIT */
/* lib_cudnn.c - layers of cuDNN against loops in C; see lib_probe.h. */
#include "lib_probe.h"

enum { NCHW = 0, FLOAT = 0, CROSS_CORRELATION = 1, RELU = 1, POOL_MAX = 0, SOFTMAX_ACCURATE = 1 };
enum { B = 2, C = 3, H = 10, W = 12, F = 4, R = 3 };

static void *handle;
static float x[B * C * H * W], w[F * C * R * R];

static void *tensor(int n, int c, int h, int width)
{
	void *t;

	if (LIB(int, "cudnnCreateTensorDescriptor", (void **))(&t) ||
	    LIB(int, "cudnnSetTensor4dDescriptor",
		(void *, int, int, int, int, int, int))(t, NCHW, FLOAT, n, c, h, width))
		exit(5);
	return t;
}

static void activation(void)
{
	enum { COUNT = B * C * H * W };
	void *t = tensor(B, C, H, W), *act, *dx = probe_up(x, sizeof(x)),
	     *dy = probe_up(NULL, sizeof(x));
	float one = 1, zero = 0, got[COUNT];
	double want[COUNT];
	int r;

	r = LIB(int, "cudnnCreateActivationDescriptor", (void **))(&act);
	r = r ? r
	      : LIB(int, "cudnnSetActivationDescriptor", (void *, int, int, double))(act, RELU, 0,
										     0);
	r = r ? r
	      : LIB(int, "cudnnActivationForward",
		    (void *, void *, const void *, void *, void *, const void *, void *, void *))(
			handle, act, &one, t, dx, &zero, t, dy);
	if (probe_status("relu", r)) {
		probe_down(got, dy, sizeof(got));
		for (int i = 0; i < COUNT; i++)
			want[i] = x[i] > 0 ? x[i] : 0;
		probe_report("relu", probe_error(got, want, COUNT), 0);
	}
}

static void softmax(void)
{
	enum { COUNT = B * C * H * W };
	void *t = tensor(B, C, H, W), *dx = probe_up(x, sizeof(x)), *dy = probe_up(NULL, sizeof(x));
	float one = 1, zero = 0, got[COUNT];
	double want[COUNT];
	int r;

	r = LIB(int, "cudnnSoftmaxForward",
		(void *, int, int, const void *, void *, void *, const void *, void *, void *))(
		handle, SOFTMAX_ACCURATE, 1, &one, t, dx, &zero, t, dy);
	if (!probe_status("softmax", r))
		return;
	probe_down(got, dy, sizeof(got));
	for (int n = 0; n < B; n++)
		for (int p = 0; p < H * W; p++) {
			double sum = 0;

			for (int c = 0; c < C; c++)
				sum += exp(x[(n * C + c) * H * W + p]);
			for (int c = 0; c < C; c++)
				want[(n * C + c) * H * W + p] =
					exp(x[(n * C + c) * H * W + p]) / sum;
		}
	probe_report("softmax", probe_error(got, want, COUNT), 1e-5);
}

static void pooling(void)
{
	enum { COUNT = B * C * H / 2 * W / 2 };
	void *tx = tensor(B, C, H, W), *ty = tensor(B, C, H / 2, W / 2), *pool,
	     *dx = probe_up(x, sizeof(x)), *dy = probe_up(NULL, 4 * COUNT);
	float one = 1, zero = 0, got[COUNT];
	double want[COUNT];
	int r, n = 0;

	r = LIB(int, "cudnnCreatePoolingDescriptor", (void **))(&pool);
	r = r ? r
	      : LIB(int, "cudnnSetPooling2dDescriptor",
		    (void *, int, int, int, int, int, int, int, int))(pool, POOL_MAX, 0, 2, 2, 0, 0,
								      2, 2);
	r = r ? r
	      : LIB(int, "cudnnPoolingForward",
		    (void *, void *, const void *, void *, void *, const void *, void *, void *))(
			handle, pool, &one, tx, dx, &zero, ty, dy);
	if (!probe_status("maxpool", r))
		return;
	probe_down(got, dy, sizeof(got));
	for (int c = 0; c < B * C; c++)
		for (int i = 0; i < H; i += 2)
			for (int j = 0; j < W; j += 2) {
				const float *p = x + c * H * W + i * W + j;

				want[n++] = fmax(fmax(p[0], p[1]), fmax(p[W], p[W + 1]));
			}
	probe_report("maxpool", probe_error(got, want, COUNT), 0);
}

static void reference(double *want)
{
	for (int n = 0; n < B; n++)
		for (int f = 0; f < F; f++)
			for (int i = 0; i < H; i++)
				for (int j = 0; j < W; j++) {
					double s = 0;

					for (int c = 0; c < C; c++)
						for (int u = 0; u < R * R; u++) {
							int y = i + u / R - 1, z = j + u % R - 1;

							if (y >= 0 && y < H && z >= 0 && z < W)
								s += (double)x[((n * C + c) * H +
										y) * W +
									       z] *
								     w[(f * C + c) * R * R + u];
						}
					want[((n * F + f) * H + i) * W + j] = s;
				}
}

static void convolution(int algorithm)
{
	enum { COUNT = B * F * H * W };
	void *tx = tensor(B, C, H, W), *ty = tensor(B, F, H, W), *filter, *conv, *space;
	void *dx = probe_up(x, sizeof(x)), *dw = probe_up(w, sizeof(w)),
	     *dy = probe_up(NULL, 4 * COUNT);
	float one = 1, zero = 0, got[COUNT];
	double want[COUNT];
	char name[32];
	size_t bytes = 0;
	int r;

	snprintf(name, sizeof(name), "convolution_%d", algorithm);
	r = LIB(int, "cudnnCreateFilterDescriptor", (void **))(&filter);
	r = r ? r
	      : LIB(int, "cudnnSetFilter4dDescriptor",
		    (void *, int, int, int, int, int, int))(filter, FLOAT, NCHW, F, C, R, R);
	r = r ? r : LIB(int, "cudnnCreateConvolutionDescriptor", (void **))(&conv);
	r = r ? r
	      : LIB(int, "cudnnSetConvolution2dDescriptor",
		    (void *, int, int, int, int, int, int, int, int))(conv, 1, 1, 1, 1, 1, 1,
								      CROSS_CORRELATION, FLOAT);
	r = r ? r
	      : LIB(int, "cudnnGetConvolutionForwardWorkspaceSize",
		    (void *, void *, void *, void *, void *, int, size_t *))(
			handle, tx, filter, conv, ty, algorithm, &bytes);
	space = probe_up(NULL, bytes);
	r = r ? r
	      : LIB(int, "cudnnConvolutionForward",
		    (void *, const void *, void *, void *, void *, void *, void *, int, void *,
		     size_t, const void *, void *, void *))(handle, &one, tx, dx, filter, dw, conv,
							    algorithm, space, bytes, &zero, ty, dy);
	if (probe_status(name, r)) {
		probe_down(got, dy, sizeof(got));
		reference(want);
		probe_report(name, probe_error(got, want, COUNT), 1e-5);
	}
}

int main(int argc, char **argv)
{
	probe_start(argc, argv);
	for (int i = 0; i < B * C * H * W; i++)
		x[i] = probe_value(i, 1);
	for (int i = 0; i < F * C * R * R; i++)
		w[i] = probe_value(i, 2);
	if (!probe_status("create", LIB(int, "cudnnCreate", (void **))(&handle)))
		return 1;
	printf("right create 0\n");
	activation();
	softmax();
	pooling();
	convolution(0); /* implicit GEMM */
	convolution(1);
	convolution(2); /* GEMM */
	probe_status("destroy", LIB(int, "cudnnDestroy", (void *))(handle));
	return probe_end();
}

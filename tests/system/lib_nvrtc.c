/* SPDX-License-Identifier: MIT */
/*
 * lib_nvrtc.c - NVRTC compiles a text for the device that the program sees, and the result runs; see
 * lib_probe.h.
 */
#include "lib_probe.h"

#define N 1000

static const char source[] =
	"extern \"C\" __global__ void triad(float *y, const float *x, float a, int n)\n"
	"{\n"
	"	int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
	"	if (i < n)\n"
	"		y[i] = a * x[i] + y[i];\n"
	"}\n";

int main(int argc, char **argv)
{
	const char *options[] = { "--gpu-architecture=compute_90", "--fmad=false" };
	float x[N], y[N], got[N], a = 3;
	void *program, *dx, *dy;
	double want[N];
	CUfunction f;
	CUmodule m;
	size_t bytes = 0;
	char *ptx;
	int n = N, r;

	probe_start(argc, argv);
	r = LIB(int, "nvrtcCreateProgram",
		(void **, const char *, const char *, int, const char **, const char **))(
		&program, source, "triad.cu", 0, NULL, NULL);
	r = r ? r
	      : LIB(int, "nvrtcCompileProgram", (void *, int, const char **))(program, 2, options);
	r = r ? r : LIB(int, "nvrtcGetPTXSize", (void *, size_t *))(program, &bytes);
	if (!probe_status("compile", r))
		return 1;
	ptx = malloc(bytes + 1);
	r = LIB(int, "nvrtcGetPTX", (void *, char *))(program, ptx);
	if (!probe_status("ptx", r) || bytes < 100) {
		printf("wrong ptx %zu bytes\n", bytes);
		return 1;
	}
	for (int i = 0; i < N; i++) {
		x[i] = probe_value(i, 1);
		y[i] = probe_value(i, 2);
		want[i] = (double)a * x[i] + y[i];
	}
	dx = probe_up(x, sizeof(x));
	dy = probe_up(y, sizeof(y));
	CU(cuModuleLoadData, &m, ptx);
	CU(cuModuleGetFunction, &f, m, "triad");
	void *args[] = { &dy, &dx, &a, &n };
	CU(cuLaunchKernel, f, (N + 127) / 128, 1, 1, 128, 1, 1, 0, NULL, args, NULL);
	CU(cuCtxSynchronize);
	probe_down(got, dy, sizeof(got));
	probe_report("triad", probe_error(got, want, N), 0);
	return probe_end();
}

/* SPDX-License-Identifier: MIT */
/*
 * lib_probe.h - what the probes of NVIDIA's libraries share: the driver, memory, and a line per call.
 *
 * A probe opens one library by the path on its command line, makes calls, and compares with a
 * reference of its own. It prints one line for each call:
 *
 *	right NAME ERROR	    the result is within its bound
 *	wrong NAME ERROR BOUND	    it is not
 *	failed NAME STATUS	    the library answered with that status
 *
 * and ends with "done". Exit status 0 unless something was wrong; what may fail is the test's to say.
 */
#ifndef LIB_PROBE_H
#define LIB_PROBE_H

#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda.h>

#define DRIVER_CALLS(X)                                                                            \
	X(cuInit, (unsigned))                                                                      \
	X(cuDevicePrimaryCtxRetain, (CUcontext *, CUdevice))                                       \
	X(cuDevicePrimaryCtxRelease_v2, (CUdevice))                                                \
	X(cuCtxSetCurrent, (CUcontext))                                                            \
	X(cuCtxSynchronize, (void))                                                                \
	X(cuMemAlloc_v2, (CUdeviceptr *, size_t))                                                  \
	X(cuMemFree_v2, (CUdeviceptr))                                                             \
	X(cuMemcpyHtoD_v2, (CUdeviceptr, const void *, size_t))                                    \
	X(cuMemcpyDtoH_v2, (void *, CUdeviceptr, size_t))                                          \
	X(cuMemsetD8_v2, (CUdeviceptr, unsigned char, size_t))                                     \
	X(cuModuleLoadData, (CUmodule *, const void *))                                            \
	X(cuModuleGetFunction, (CUfunction *, CUmodule, const char *))                             \
	X(cuLaunchKernel, (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, \
			   unsigned, CUstream, void **, void **))

#define X(name, params) static CUresult(*p_##name) params;
DRIVER_CALLS(X)
#undef X

static void *probe_lib;
static int probe_wrong;

static inline void *probe_symbol(void *lib, const char *name)
{
	void *p = dlsym(lib, name);

	if (!p) {
		printf("no symbol: %s\n", dlerror());
		exit(3);
	}
	return p;
}

static inline void probe_cu(CUresult r, const char *what)
{
	if (r == CUDA_SUCCESS)
		return;
	printf("driver: %s: %d\n", what, (int)r);
	exit(4);
}

#define CU(name, ...) probe_cu(p_##name(__VA_ARGS__), #name)

/* A function of the library: LIB(int, "cublasCreate_v2", (void **))(&handle). */
#define LIB(type, name, params) ((type(*) params)probe_symbol(probe_lib, name))

static inline void probe_start(int argc, char **argv)
{
	CUcontext ctx;
	void *cuda;

	if (argc < 2) {
		fprintf(stderr, "usage: %s LIBRARY\n", argv[0]);
		exit(2);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	cuda = dlopen("libcuda.so.1", RTLD_NOW);
	probe_lib = dlopen(argv[1], RTLD_NOW);
	if (!cuda || !probe_lib) {
		printf("dlopen: %s\n", dlerror());
		exit(3);
	}
#define X(name, params) *(void **)&p_##name = probe_symbol(cuda, #name);
	DRIVER_CALLS(X)
#undef X
	CU(cuInit, 0);
	CU(cuDevicePrimaryCtxRetain, &ctx, 0);
	CU(cuCtxSetCurrent, ctx);
}

static inline int probe_end(void)
{
	printf("done\n");
	return probe_wrong != 0;
}

/* Device memory with a copy of @from (NULL: zeros). */
static inline void *probe_up(const void *from, size_t bytes)
{
	CUdeviceptr d;

	CU(cuMemAlloc_v2, &d, bytes ? bytes : 1);
	if (from)
		CU(cuMemcpyHtoD_v2, d, from, bytes);
	else
		CU(cuMemsetD8_v2, d, 0, bytes);
	return (void *)(uintptr_t)d;
}

static inline void probe_down(void *to, const void *device, size_t bytes)
{
	CU(cuMemcpyDtoH_v2, to, (CUdeviceptr)(uintptr_t)device, bytes);
}

static inline void probe_free(void *device)
{
	CU(cuMemFree_v2, (CUdeviceptr)(uintptr_t)device);
}

/* True if the call went well and left the context whole; else a line says so. */
static inline int probe_status(const char *name, int status)
{
	CUresult r = p_cuCtxSynchronize();

	if (r != CUDA_SUCCESS) {
		printf("failed %s %d, the context has error %d\n", name, status, (int)r);
		printf("done\n");
		exit(1); /* nothing after this can be right */
	}
	if (status)
		printf("failed %s %d\n", name, status);
	return !status;
}

static inline void probe_report(const char *name, double error, double bound)
{
	if (error <= bound) {
		printf("right %s %.3g\n", name, error);
		return;
	}
	printf("wrong %s %.3g %.3g\n", name, error, bound);
	probe_wrong++;
}

/* Small numbers that come back exactly the same; not symmetric in i and @salt. */
static inline float probe_value(int i, int salt)
{
	return (float)((i * 37 + salt * 11 + i / 7) % 17 - 8) * 0.125f;
}

/* Largest difference relative to the largest magnitude wanted. */
static inline double probe_error(const float *got, const double *want, size_t n)
{
	double worst = 0, scale = 1e-30;

	for (size_t i = 0; i < n; i++) {
		double d = fabs((double)got[i] - want[i]);

		if (!(d <= worst))
			worst = isnan(d) ? INFINITY : d;
		if (fabs(want[i]) > scale)
			scale = fabs(want[i]);
	}
	return worst / scale;
}

static inline double probe_error64(const double *got, const double *want, size_t n)
{
	double worst = 0, scale = 1e-300;

	for (size_t i = 0; i < n; i++) {
		double d = fabs(got[i] - want[i]);

		if (!(d <= worst))
			worst = isnan(d) ? INFINITY : d;
		if (fabs(want[i]) > scale)
			scale = fabs(want[i]);
	}
	return worst / scale;
}

#endif

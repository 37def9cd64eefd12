/* SPDX-License-Identifier: MIT */
/*
 * cudart_probe.c - drives one shared CUDA runtime library, of any version from 11 on, by name.
 *
 *   cudart_probe LIBCUDART FATBIN
 *
 * Registers the fat binary the way nvcc's start-up code does, then: device count, memory info, malloc,
 * copies, memset, a kernel launch with checked results, streams and events. Exit status 0 when every
 * result is right; the first wrong one is named.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dim3 {
	unsigned x, y, z;
};

struct fatbin_wrapper {
	int magic, version;
	const void *data;
	void *unused;
};

static void *lib;

static void *sym(const char *name)
{
	void *p = dlsym(lib, name);

	if (!p) {
		fprintf(stderr, "cudart_probe: %s\n", dlerror());
		exit(1);
	}
	return p;
}

#define CALL(name, types, args)                                                                    \
	do {                                                                                       \
		int call_r = ((int(*) types)sym(name))args;                                        \
		if (call_r) {                                                                      \
			fprintf(stderr, "cudart_probe: %s returned %d\n", name, call_r);           \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static void *read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	void *p;
	long n;

	if (!f || fseek(f, 0, SEEK_END) || (n = ftell(f)) < 0 || fseek(f, 0, SEEK_SET)) {
		perror(path);
		exit(1);
	}
	p = aligned_alloc(64, ((size_t)n + 63) & ~(size_t)63);
	if (!p || fread(p, 1, (size_t)n, f) != (size_t)n) {
		perror(path);
		exit(1);
	}
	fclose(f);
	return p;
}

/* Stands for the host stub of bench_saxpy: the runtime knows kernels by such addresses. */
static char saxpy_stub;

static void register_kernels(const char *fatbin)
{
	static struct fatbin_wrapper wrapper = { 0x466243b1, 1, NULL, NULL };
	void **handle;

	wrapper.data = read_file(fatbin);
	handle = ((void **(*)(void *))sym("__cudaRegisterFatBinary"))(&wrapper);
	((void (*)(void **, const char *, char *, const char *, int, void *, void *, void *, void *,
		   int *))sym("__cudaRegisterFunction"))(handle, &saxpy_stub, (char *)"bench_saxpy",
							 "bench_saxpy", -1, NULL, NULL, NULL, NULL,
							 NULL);
	/* The 11.x runtime does not export the end mark under this name in every build. */
	if (dlsym(lib, "__cudaRegisterFatBinaryEnd"))
		((void (*)(void **))sym("__cudaRegisterFatBinaryEnd"))(handle);
}

static void saxpy(void)
{
	enum { N = 100003 };
	static float x[N], y[N], z[N];
	void *dx, *dy, *stream, *start, *stop;
	float a = 2.5f, ms = -1;
	int n = N, i;
	void *args[] = { &a, &dx, &dy, &n };

	for (i = 0; i < N; i++) {
		x[i] = (float)i;
		y[i] = (float)(N - i);
	}
	CALL("cudaMalloc", (void **, size_t), (&dx, sizeof(x)));
	CALL("cudaMalloc", (void **, size_t), (&dy, sizeof(y)));
	CALL("cudaMemcpy", (void *, const void *, size_t, int), (dx, x, sizeof(x), 1));
	CALL("cudaMemcpy", (void *, const void *, size_t, int), (dy, y, sizeof(y), 1));
	CALL("cudaStreamCreate", (void **), (&stream));
	CALL("cudaEventCreate", (void **), (&start));
	CALL("cudaEventCreate", (void **), (&stop));
	CALL("cudaEventRecord", (void *, void *), (start, stream));
	CALL("cudaLaunchKernel", (const void *, struct dim3, struct dim3, void **, size_t, void *),
	     (&saxpy_stub, (struct dim3){ (N + 255) / 256, 1, 1 }, (struct dim3){ 256, 1, 1 }, args,
	      0, stream));
	CALL("cudaEventRecord", (void *, void *), (stop, stream));
	CALL("cudaStreamSynchronize", (void *), (stream));
	CALL("cudaEventElapsedTime", (float *, void *, void *), (&ms, start, stop));
	CALL("cudaMemcpy", (void *, const void *, size_t, int), (z, dy, sizeof(z), 2));
	for (i = 0; i < N; i++)
		if (z[i] != a * x[i] + y[i]) {
			fprintf(stderr, "cudart_probe: element %d is %g, not %g\n", i, z[i],
				a * x[i] + y[i]);
			exit(1);
		}
	CALL("cudaMemset", (void *, int, size_t), (dx, 0x11, sizeof(x)));
	CALL("cudaMemcpy", (void *, const void *, size_t, int), (z, dx, sizeof(z), 2));
	for (i = 0; i < (int)sizeof(z); i++)
		if (((unsigned char *)z)[i] != 0x11) {
			fprintf(stderr, "cudart_probe: memset missed byte %d\n", i);
			exit(1);
		}
	if (!(ms >= 0 && ms < 60000)) {
		fprintf(stderr, "cudart_probe: elapsed time %g ms\n", ms);
		exit(1);
	}
	CALL("cudaEventDestroy", (void *), (start));
	CALL("cudaEventDestroy", (void *), (stop));
	CALL("cudaStreamDestroy", (void *), (stream));
	CALL("cudaFree", (void *), (dx));
	CALL("cudaFree", (void *), (dy));
}

int main(int argc, char **argv)
{
	size_t free_bytes = 0, total = 0;
	int count = 0, runtime = 0, driver = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: %s LIBCUDART FATBIN\n", argv[0]);
		return 2;
	}
	lib = dlopen(argv[1], RTLD_NOW);
	if (!lib) {
		fprintf(stderr, "cudart_probe: %s\n", dlerror());
		return 1;
	}
	CALL("cudaRuntimeGetVersion", (int *), (&runtime));
	CALL("cudaDriverGetVersion", (int *), (&driver));
	register_kernels(argv[2]);
	CALL("cudaGetDeviceCount", (int *), (&count));
	CALL("cudaMemGetInfo", (size_t *, size_t *), (&free_bytes, &total));
	printf("runtime %d, driver %d, %d device(s), %zu of %zu MiB free\n", runtime, driver, count,
	       free_bytes >> 20, total >> 20);
	if (count < 1 || !free_bytes || free_bytes > total)
		return 1;
	saxpy();
	CALL("cudaDeviceReset", (void), ());
	printf("ok\n");
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * pocl.c - times the kernels of kernels.cl on an OpenCL device of this machine, and checks them.
 *
 *   pocl KERNELS.cl SECONDS [ROW]
 *
 * A line per row: name, seconds of the best launch with its wait. The first word of a line is "wrong" when
 * the results differ from C's; exit status 1 then, 2 when it could not measure, 77 without an
 * OpenCL platform. Sorting is not there: CUB has no like in OpenCL.
 */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure.h"
#include "work.h"

#define THREADS 256
#define TILE	16

struct cl {
	cl_context context;
	cl_command_queue queue;
	cl_program program;
};

/* How a row is launched: kernel arguments beyond buffers, and sizes. */
struct shape {
	size_t global[2], local[2];
	int last;    /* the last argument */
	bool second; /* input 1 is an argument */
};

static void check(cl_int r, const char *what)
{
	if (r == CL_SUCCESS)
		return;
	fprintf(stderr, "pocl: %s: OpenCL error %d\n", what, r);
	exit(2);
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text;
	long n;

	if (!f || fseek(f, 0, SEEK_END) || (n = ftell(f)) < 0 || fseek(f, 0, SEEK_SET)) {
		perror(path);
		exit(2);
	}
	text = calloc(1, (size_t)n + 1);
	if (!text || fread(text, 1, (size_t)n, f) != (size_t)n) {
		perror(path);
		exit(2);
	}
	fclose(f);
	return text;
}

static struct cl begin(const char *path)
{
	const char *text = read_file(path);
	struct cl cl;
	cl_platform_id platform;
	cl_device_id device;
	cl_uint n = 0;
	cl_int r;

	if (clGetPlatformIDs(1, &platform, &n) != CL_SUCCESS || !n) {
		fprintf(stderr, "pocl: no OpenCL platform is installed\n");
		exit(77);
	}
	check(clGetDeviceIDs(platform, CL_DEVICE_TYPE_CPU, 1, &device, NULL), "clGetDeviceIDs");
	cl.context = clCreateContext(NULL, 1, &device, NULL, NULL, &r);
	check(r, "clCreateContext");
	cl.queue = clCreateCommandQueue(cl.context, device, 0, &r);
	check(r, "clCreateCommandQueue");
	cl.program = clCreateProgramWithSource(cl.context, 1, &text, NULL, &r);
	check(r, "clCreateProgramWithSource");
	r = clBuildProgram(cl.program, 1, &device, "", NULL, NULL);
	if (r != CL_SUCCESS) {
		static char log[16384];

		clGetProgramBuildInfo(cl.program, device, CL_PROGRAM_BUILD_LOG, sizeof(log) - 1,
				      log, NULL);
		fprintf(stderr, "%s\n", log);
	}
	check(r, "clBuildProgram");
	return cl;
}

static struct shape shape_of(const struct work *w)
{
	size_t n = (size_t)w->n;
	struct shape s = { { n, 1 }, { THREADS, 1 }, w->n, false };

	if (!strcmp(w->name, "saxpy")) {
		s.second = true;
	} else if (!strcmp(w->name, "reduction")) {
		s.global[0] = (size_t)REDUCTION_BLOCKS * THREADS;
	} else if (!strcmp(w->name, "transpose")) {
		s = (struct shape){ { n, n / 32 * 8 }, { 32, 8 }, w->n, false };
	} else if (!strcmp(w->name, "stencil")) {
		s = (struct shape){ { n, n }, { 32, 8 }, w->n, false };
	} else if (!strcmp(w->name, "histogram")) {
		s.global[0] = (size_t)32 * THREADS;
	} else if (!strcmp(w->name, "sgemm")) {
		s = (struct shape){ { n, n }, { TILE, TILE }, w->n, true };
	} else if (!strcmp(w->name, "softmax")) {
		s.global[0] = n * THREADS;
	} else if (!strcmp(w->name, "layernorm")) {
		s.global[0] = n * THREADS;
		s.second = true;
	} else if (!strcmp(w->name, "dot8")) {
		s.global[0] = n * 32;
		s.second = true;
		s.last = w->n / 4;
	}
	return s;
}

static void set(cl_kernel k, cl_uint *at, size_t size, const void *value)
{
	check(clSetKernelArg(k, (*at)++, size, value), "clSetKernelArg");
}

static void set_arguments(const struct work *w, const struct shape *s, cl_kernel k,
			  const cl_mem m[4])
{
	const float a = 2.5f;
	cl_uint at = 0;

	if (!strcmp(w->name, "saxpy"))
		set(k, &at, sizeof(a), &a);
	set(k, &at, sizeof(m[0]), &m[0]);
	if (s->second)
		set(k, &at, sizeof(m[1]), &m[1]);
	if (!strcmp(w->name, "layernorm"))
		set(k, &at, sizeof(m[3]), &m[3]);
	set(k, &at, sizeof(m[2]), &m[2]);
	set(k, &at, sizeof(s->last), &s->last);
}

static double run_once(const struct cl *cl, const struct work *w, const struct shape *s,
		       cl_kernel k, cl_mem out)
{
	static const unsigned int zero;
	double t = now();

	if (!strcmp(w->name, "histogram"))
		check(clEnqueueFillBuffer(cl->queue, out, &zero, sizeof(zero), 0, 1024, 0, NULL,
					  NULL),
		      "clEnqueueFillBuffer");
	check(clEnqueueNDRangeKernel(cl->queue, k, 2, NULL, s->global, s->local, 0, NULL, NULL),
	      w->name);
	check(clFinish(cl->queue), w->name);
	return now() - t;
}

static bool agree(const struct cl *cl, const struct work *w, cl_mem out)
{
	size_t bytes = w->words[2] * 4;
	float *got = malloc(bytes);
	bool good;

	check(clEnqueueReadBuffer(cl->queue, out, CL_TRUE, 0, bytes, got, 0, NULL, NULL), w->name);
	good = work_agrees(w, got);
	free(got);
	return good;
}

static bool measure(const struct cl *cl, struct work *w, void (*native)(const struct work *),
		    double seconds)
{
	struct shape s = shape_of(w);
	double best = 1e9, end;
	cl_mem m[4] = { NULL };
	cl_kernel k;
	cl_int r;
	bool good;

	for (int i = 0; i < 3; i++) {
		size_t bytes = w->words[i] * 4;

		w->cpu[i] = aligned_alloc(64, (bytes + 63) / 64 * 64);
		if (!w->cpu[i])
			check(CL_OUT_OF_HOST_MEMORY, w->name);
		if (i < 2)
			fill(w->cpu[i], w->words[i], w->tolerance == 0);
		else
			memset(w->cpu[i], 0, bytes);
		m[i] = clCreateBuffer(cl->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, bytes,
				      w->cpu[i], &r);
		check(r, "clCreateBuffer");
	}
	if (!strcmp(w->name, "layernorm")) { /* scale and bias */
		m[3] = clCreateBuffer(cl->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
				      (size_t)w->n * 4, (float *)w->cpu[1] + w->n, &r);
		check(r, "clCreateBuffer");
	}
	k = clCreateKernel(cl->program, w->name, &r);
	check(r, w->name);
	set_arguments(w, &s, k, m);
	for (int i = 0; i < 3; i++)
		run_once(cl, w, &s, k, m[2]);
	end = now() + seconds;
	for (int i = 0; i < 5 || (now() < end && i < 2000); i++) {
		double t = run_once(cl, w, &s, k, m[2]);

		best = t < best ? t : best;
	}
	native(w);
	good = agree(cl, w, m[2]);
	printf("%s%s %.9f\n", good ? "" : "wrong ", w->name, best);
	fflush(stdout);
	clReleaseKernel(k);
	for (int i = 0; i < 4; i++)
		if (m[i])
			clReleaseMemObject(m[i]);
	for (int i = 0; i < 3; i++)
		free(w->cpu[i]);
	return good;
}

int main(int argc, char **argv)
{
	int missed = 0;
	struct cl cl;

	if (argc < 3) {
		fprintf(stderr, "usage: pocl KERNELS.cl SECONDS [ROW]\n");
		return 2;
	}
	cl = begin(argv[1]);
	native_threads(1);
#define X(row_name, size, in0, in1, out, tol)                                                      \
	if (strcmp("sort", #row_name) && (argc == 3 || !strcmp(argv[3], #row_name))) {             \
		const size_t n = size;                                                             \
		struct work w = { #row_name, (int)n, tol, { in0, in1, out }, { NULL }, { NULL } }; \
                                                                                                   \
		missed |= !measure(&cl, &w, native_##row_name, atof(argv[2]));                     \
	}
	WORKS(X)
#undef X
	clReleaseProgram(cl.program);
	clReleaseCommandQueue(cl.queue);
	clReleaseContext(cl.context);
	return missed;
}

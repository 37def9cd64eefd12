/* SPDX-License-Identifier: MIT */
/* work.c - copies, graphs and kernels, against the same done otherwise. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

/* ---- copies --------------------------------------------------------------------------------- */

#define COPY_BYTES ((size_t)256 << 20)

struct copies {
	unsigned char *host, *other;
	CUdeviceptr dev;
};

static double time_memcpy(void *to, const void *from)
{
	double t = bench_now();

	memcpy(to, from, COPY_BYTES);
	__asm__ volatile("" ::"r"(to) : "memory");
	return bench_now() - t;
}

/* From, or to, the same memory as the device's copy. */
static double memcpy_in(void *arg)
{
	struct copies *c = arg;

	return time_memcpy(c->other, c->host);
}

static double memcpy_out(void *arg)
{
	struct copies *c = arg;

	return time_memcpy(c->host, c->other);
}

static double time_in(void *arg)
{
	struct copies *c = arg;
	double t = bench_now();

	CU(cuMemcpyHtoD(c->dev, c->host, COPY_BYTES));
	return bench_now() - t;
}

static double time_out(void *arg)
{
	struct copies *c = arg;
	double t = bench_now();

	CU(cuMemcpyDtoH(c->host, c->dev, COPY_BYTES));
	return bench_now() - t;
}

static void copy_row(bool pinned, bool in, struct result *ret)
{
	struct copies c = { .other = malloc(COPY_BYTES) };
	double base[BENCH_ROUNDS], copy[BENCH_ROUNDS];

	bench_context();
	if (pinned)
		CU(cuMemAllocHost((void **)&c.host, COPY_BYTES));
	else
		c.host = malloc(COPY_BYTES);
	if (!c.host || !c.other)
		bench_die("malloc", ENOMEM);
	for (size_t i = 0; i < COPY_BYTES; i++)
		c.host[i] = (unsigned char)(i * 2654435761u >> 24);
	memcpy(c.other, c.host, COPY_BYTES);
	CU(cuMemAlloc(&c.dev, COPY_BYTES));
	CU(cuMemcpyHtoD(c.dev, c.host, COPY_BYTES));
	for (int i = 0; i < BENCH_ROUNDS; i++) {
		base[i] = (in ? memcpy_in : memcpy_out)(&c);
		copy[i] = (in ? time_in : time_out)(&c);
	}
	memset(c.host, 0, COPY_BYTES);
	CU(cuMemcpyDtoH(c.host, c.dev, COPY_BYTES));
	if (memcmp(c.host, c.other, COPY_BYTES))
		bench_die("copy there and back", 0);
	ret->value = (double)COPY_BYTES / bench_best(copy, BENCH_ROUNDS) * 1e-9;
	ret->ratio = bench_ratio(base, copy, BENCH_ROUNDS);
	snprintf(ret->note, sizeof(ret->note), "memcpy: %.2f GB/s",
		 (double)COPY_BYTES / bench_best(base, BENCH_ROUNDS) * 1e-9);
}

void bench_copy_in(const struct bench *b, struct result *ret)
{
	copy_row(false, true, ret);
}

void bench_copy_out(const struct bench *b, struct result *ret)
{
	copy_row(false, false, ret);
}

void bench_copy_in_pinned(const struct bench *b, struct result *ret)
{
	copy_row(true, true, ret);
}

void bench_copy_out_pinned(const struct bench *b, struct result *ret)
{
	copy_row(true, false, ret);
}

/* ---- graphs --------------------------------------------------------------------------------- */

#define KERNELS 1000

struct graphs {
	CUstream s;
	CUfunction f;
	CUgraphExec exec;
};

static double time_singly(void *arg)
{
	struct graphs *g = arg;
	double t = bench_now();

	for (int i = 0; i < KERNELS; i++)
		CU(cuLaunchKernel(g->f, 1, 1, 1, 32, 1, 1, 0, g->s, NULL, NULL));
	CU(cuStreamSynchronize(g->s));
	return bench_now() - t;
}

static double time_graph(void *arg)
{
	struct graphs *g = arg;
	double t = bench_now();

	CU(cuGraphLaunch(g->exec, g->s));
	CU(cuStreamSynchronize(g->s));
	return bench_now() - t;
}

/* Both until all are done: launching can be as fast as the ring takes them. */
void bench_graph(const struct bench *b, struct result *ret)
{
	double singly, together;
	struct graphs g;
	CUgraph graph;

	bench_context();
	g.f = bench_kernel(b, "bench_empty");
	CU(cuStreamCreate(&g.s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamBeginCapture(g.s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	for (int i = 0; i < KERNELS; i++)
		CU(cuLaunchKernel(g.f, 1, 1, 1, 32, 1, 1, 0, g.s, NULL, NULL));
	CU(cuStreamEndCapture(g.s, &graph));
	CU(cuGraphInstantiate(&g.exec, graph, 0));
	CU(cuGraphUpload(g.exec, g.s));
	bench_pair(time_singly, time_graph, &g, 5 * BENCH_ROUNDS, &singly, &together);
	ret->value = together / KERNELS * 1e6;
	ret->ratio = together / singly;
	snprintf(ret->note, sizeof(ret->note), "each; singly: %.2f us", singly / KERNELS * 1e6);
}

struct two {
	CUstream s;
	CUgraphExec row, fork;
};

static double time_exec(CUgraphExec exec, CUstream s)
{
	double t = bench_now();

	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	return bench_now() - t;
}

static double time_row(void *arg)
{
	struct two *w = arg;

	return time_exec(w->row, w->s);
}

static double time_fork(void *arg)
{
	struct two *w = arg;

	return time_exec(w->fork, w->s);
}

static CUgraphExec two_kernels(CUfunction f, CUdeviceptr p, int chained)
{
	int turns = 4000000;
	void *params[] = { &p, &turns };
	CUDA_KERNEL_NODE_PARAMS k = { .func = f,
				      .gridDimX = 1,
				      .gridDimY = 1,
				      .gridDimZ = 1,
				      .blockDimX = 32,
				      .blockDimY = 1,
				      .blockDimZ = 1,
				      .kernelParams = params };
	CUgraphExec exec;
	CUgraphNode a, c;
	CUgraph g;

	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddKernelNode(&a, g, NULL, 0, &k));
	p += 4096;
	CU(cuGraphAddKernelNode(&c, g, &a, chained ? 1 : 0, &k));
	CU(cuGraphInstantiate(&exec, g, 0));
	return exec;
}

void bench_branches(const struct bench *b, struct result *ret)
{
	double row, forked;
	CUfunction f;
	CUdeviceptr p;
	struct two w;

	bench_context();
	f = bench_kernel(b, "bench_turns");
	CU(cuMemAlloc(&p, 8192));
	CU(cuStreamCreate(&w.s, CU_STREAM_NON_BLOCKING));
	w.row = two_kernels(f, p, 1);
	w.fork = two_kernels(f, p, 0);
	bench_pair(time_row, time_fork, &w, BENCH_ROUNDS, &row, &forked);
	ret->value = forked * 1e3;
	ret->ratio = forked / row;
	snprintf(ret->note, sizeof(ret->note), "in a row: %.2f ms", row * 1e3);
}

/* ---- kernels -------------------------------------------------------------------------------- */

static void fill(float *p, int n)
{
	for (int i = 0; i < n; i++)
		p[i] = (float)((i * 37 + 11) % 101) * 0.25f - 12.0f;
}

struct arrays {
	CUfunction f;
	int n;
	size_t bytes;
	float *x, *y, *z;
	CUdeviceptr dx, dy, dz;
};

static void make_arrays(struct arrays *a, int n, size_t count)
{
	a->n = n;
	a->bytes = count * sizeof(float);
	a->x = malloc(a->bytes);
	a->y = malloc(a->bytes);
	a->z = malloc(a->bytes);
	if (!a->x || !a->y || !a->z)
		bench_die("malloc", ENOMEM);
	fill(a->x, (int)count);
	fill(a->y, (int)count);
	CU(cuMemAlloc(&a->dx, a->bytes));
	CU(cuMemAlloc(&a->dy, a->bytes));
	CU(cuMemAlloc(&a->dz, a->bytes));
	CU(cuMemcpyHtoD(a->dx, a->x, a->bytes));
	CU(cuMemcpyHtoD(a->dy, a->y, a->bytes));
}

/* What the device has at @p against @want. */
static void compare(const struct arrays *a, CUdeviceptr p, const float *want, float allowed)
{
	float *got = malloc(a->bytes);

	if (!got)
		bench_die("malloc", ENOMEM);
	CU(cuMemcpyDtoH(got, p, a->bytes));
	for (size_t i = 0; i < a->bytes / sizeof(float); i++)
		if (got[i] - want[i] > allowed || want[i] - got[i] > allowed)
			bench_die("a result", (int)i);
	free(got);
}

static void kernel_row(struct arrays *a, double (*cpu)(void *), double (*gpu)(void *), int rounds,
		       struct result *ret)
{
	double c, g;

	bench_pair(cpu, gpu, a, rounds, &c, &g);
	ret->value = g * 1e3;
	ret->ratio = c / g;
	snprintf(ret->note, sizeof(ret->note), "C: %.2f ms", c * 1e3);
}

static double saxpy_cpu(void *arg)
{
	struct arrays *a = arg;
	double t;

	fill(a->y, a->n);
	t = bench_now();
	reference_saxpy(0.5f, a->x, a->y, a->n);
	return bench_now() - t;
}

static double saxpy_gpu(void *arg)
{
	struct arrays *a = arg;
	float factor = 0.5f;
	void *params[] = { &factor, &a->dx, &a->dy, &a->n };
	double t;

	fill(a->z, a->n);
	CU(cuMemcpyHtoD(a->dy, a->z, a->bytes));
	t = bench_now();
	CU(cuLaunchKernel(a->f, (unsigned)(a->n + 255) / 256, 1, 1, 256, 1, 1, 0, NULL, params,
			  NULL));
	CU(cuCtxSynchronize());
	return bench_now() - t;
}

void bench_saxpy(const struct bench *b, struct result *ret)
{
	struct arrays a;

	bench_context();
	a.f = bench_kernel(b, "bench_saxpy");
	make_arrays(&a, 1 << 22, 1 << 22);
	kernel_row(&a, saxpy_cpu, saxpy_gpu, BENCH_ROUNDS, ret);
	compare(&a, a.dy, a.y, 1e-4f);
}

static double sgemm_cpu(void *arg)
{
	struct arrays *a = arg;
	double t = bench_now();

	reference_sgemm(a->x, a->y, a->z, a->n);
	return bench_now() - t;
}

static double sgemm_gpu(void *arg)
{
	struct arrays *a = arg;
	void *params[] = { &a->dx, &a->dy, &a->dz, &a->n };
	double t = bench_now();

	CU(cuLaunchKernel(a->f, (unsigned)a->n / 16, (unsigned)a->n / 16, 1, 16, 16, 1, 0, NULL,
			  params, NULL));
	CU(cuCtxSynchronize());
	return bench_now() - t;
}

void bench_sgemm(const struct bench *b, struct result *ret)
{
	struct arrays a;

	bench_context();
	a.f = bench_kernel(b, "bench_sgemm");
	make_arrays(&a, 512, 512 * 512);
	kernel_row(&a, sgemm_cpu, sgemm_gpu, 3, ret);
	compare(&a, a.dz, a.z, 1e-1f);
}

/* SPDX-License-Identifier: MIT */
/*
 * bench.c - the speed table of the first slice, as ratios taken side by side in one run.
 *
 *   vgpu-bench ECHO_FILE NODE PTX PROGRAM_WITH_CUDA PROGRAM_WITHOUT
 *
 * A daemon must serve NODE (found through the loader path and VGPU_NODE_DIR by libcuda) and an echo door
 * ECHO_FILE. Each line: what, measured, ratio, bar, verdict. Exit status: 0 all bars held, 1 a bar was
 * missed, 2 it could not measure. Each figure is the best of several rounds, because others share the
 * machine.
 */
#include <cuda.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ioctl/vgpu_ioctl.h"
#include "reference.h"

#define ROUNDS 7

static int missed;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what, int code)
{
	fprintf(stderr, "vgpu-bench: %s failed with %d\n", what, code);
	exit(2);
}

#define CU(call)                                                                                   \
	do {                                                                                       \
		CUresult cu_r = (call);                                                            \
		if (cu_r != CUDA_SUCCESS)                                                          \
			die(#call, (int)cu_r);                                                     \
	} while (0)

enum bar { BAR_NONE, BAR_AT_MOST, BAR_AT_LEAST };

static void report(const char *what, double value, const char *unit, double ratio, enum bar kind,
		   double bar)
{
	const char *verdict = "report";

	if (kind == BAR_AT_MOST)
		verdict = ratio <= bar ? "held" : "MISSED";
	else if (kind == BAR_AT_LEAST)
		verdict = ratio >= bar ? "held" : "MISSED";
	if (verdict[0] == 'M')
		missed++;
	printf("%-52s %10.2f %-5s %8.2f  %s %-6.2f %s\n", what, value, unit, ratio,
	       kind == BAR_AT_MOST    ? "<="
	       : kind == BAR_AT_LEAST ? ">="
				      : "  ",
	       bar, verdict);
	fflush(stdout);
}

/* ---- ioctl round trips --------------------------------------------------------------------------- */

static double time_ioctl(int fd, unsigned long cmd, void *arg, int n)
{
	double best = 1e9, t;
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		t = now();
		for (i = 0; i < n; i++)
			if (ioctl(fd, cmd, arg) < 0)
				die("ioctl", errno);
		t = (now() - t) / n;
		if (t < best)
			best = t;
	}
	return best;
}

static double bench_query(const char *echo_file, const char *node)
{
	struct vgpu_hello hello = { .magic = VGPU_MAGIC, .version_major = VGPU_VERSION_MAJOR };
	struct vgpu_mem_info info;
	int echo = open(echo_file, O_RDWR | O_CLOEXEC), fd = open(node, O_RDWR | O_CLOEXEC);
	double base, query;

	if (echo < 0)
		die(echo_file, errno);
	if (fd < 0)
		die(node, errno);
	if (ioctl(fd, VGPU_IOC(HELLO), &hello) < 0)
		die("HELLO", errno);
	memset(&info, 0, sizeof(info));
	base = time_ioctl(echo, VGPU_IOC(MEM_INFO), &info, 2000);
	query = time_ioctl(fd, VGPU_IOC(MEM_INFO), &info, 2000);
	report("bare echo ioctl", base * 1e6, "us", 1, BAR_NONE, 0);
	report("query ioctl answered by the front / echo", query * 1e6, "us", query / base,
	       BAR_AT_MOST, 1.5);
	close(fd);
	close(echo);
	return base;
}

/* ---- process start ------------------------------------------------------------------------------- */

static double time_program(const char *path)
{
	double best = 1e9, t;
	int round, status;
	pid_t pid;

	for (round = 0; round < 3 * ROUNDS; round++) {
		t = now();
		pid = fork();
		if (pid < 0)
			die("fork", errno);
		if (pid == 0) {
			execl(path, path, (char *)NULL);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
			die(path, status);
		t = now() - t;
		if (t < best)
			best = t;
	}
	return best;
}

static void bench_start(const char *with, const char *without)
{
	double a = time_program(with), b = time_program(without);

	/* The bar is a difference, so the ratio column carries milliseconds. */
	report("process start to cudaGetDeviceCount, added (ms)", (a - b) * 1e3, "ms",
	       (a - b) * 1e3, BAR_AT_MOST, 15);
}

/* ---- copies -------------------------------------------------------------------------------------- */

static double time_memcpy(void *dst, const void *src, size_t n)
{
	double best = 1e9, t;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		t = now();
		memcpy(dst, src, n);
		__asm__ volatile("" ::"r"(dst) : "memory");
		t = now() - t;
		if (t < best)
			best = t;
	}
	return best;
}

static void bench_copy(void)
{
	const size_t n = 256u << 20;
	unsigned char *a = malloc(n), *b = malloc(n);
	double base, up = 1e9, down = 1e9, t;
	CUdeviceptr d;
	size_t i;
	int round;

	if (!a || !b)
		die("malloc", (int)n);
	for (i = 0; i < n; i++)
		a[i] = (unsigned char)(i * 2654435761u >> 24);
	memset(b, 0, n);
	CU(cuMemAlloc(&d, n));
	base = time_memcpy(b, a, n);
	for (round = 0; round < ROUNDS; round++) {
		t = now();
		CU(cuMemcpyHtoD(d, a, n));
		t = now() - t;
		if (t < up)
			up = t;
	}
	memset(b, 0, n);
	for (round = 0; round < ROUNDS; round++) {
		t = now();
		CU(cuMemcpyDtoH(b, d, n));
		t = now() - t;
		if (t < down)
			down = t;
	}
	if (memcmp(a, b, n))
		die("copy there and back", 0);
	report("memcpy of 256 MiB", (double)n / base * 1e-9, "GB/s", 1, BAR_NONE, 0);
	report("cuMemcpyHtoD of 256 MiB / memcpy", (double)n / up * 1e-9, "GB/s", base / up,
	       BAR_AT_LEAST, 0.7);
	report("cuMemcpyDtoH of 256 MiB / memcpy", (double)n / down * 1e-9, "GB/s", base / down,
	       BAR_AT_LEAST, 0.7);
	CU(cuMemFree(d));
	free(a);
	free(b);
}

/* ---- launches ------------------------------------------------------------------------------------ */

static void bench_launch(CUmodule m, double echo)
{
	double best = 1e9, enqueue = 1e9, t;
	const int n = 2000, burst = 200;
	CUfunction f;
	int round, i;

	CU(cuModuleGetFunction(&f, m, "bench_empty"));
	for (round = 0; round < ROUNDS; round++) {
		t = now();
		for (i = 0; i < n; i++) {
			CU(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
			CU(cuCtxSynchronize());
		}
		t = (now() - t) / n;
		if (t < best)
			best = t;
		t = now();
		for (i = 0; i < burst; i++)
			CU(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
		t = (now() - t) / burst;
		if (t < enqueue)
			enqueue = t;
		CU(cuCtxSynchronize());
	}
	report("empty launch + synchronize / echo", best * 1e6, "us", best / echo, BAR_AT_MOST, 4);
	report("empty launch, enqueue only / echo", enqueue * 1e6, "us", enqueue / echo, BAR_NONE,
	       0);
}

/*
 * A captured graph of 1,000 small kernels against launching them one by one; both until all are done. Launching
 * can be as fast as the ring takes them, so what is compared is the whole way of a kernel.
 */
static void bench_graph(CUmodule m)
{
	double singly = 1e9, together = 1e9, t;
	const int n = 1000;
	CUgraphExec exec;
	CUstream s;
	CUgraph g;
	CUfunction f;
	int round, i;

	CU(cuModuleGetFunction(&f, m, "bench_empty"));
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	for (i = 0; i < n; i++)
		CU(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, s, NULL, NULL));
	CU(cuStreamEndCapture(s, &g));
	CU(cuGraphInstantiate(&exec, g, 0));
	CU(cuGraphUpload(exec, s));
	for (round = 0; round < 3 * ROUNDS; round++) {
		t = now();
		for (i = 0; i < n; i++)
			CU(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, s, NULL, NULL));
		CU(cuStreamSynchronize(s));
		t = (now() - t) / n;
		if (t < singly)
			singly = t;
		t = now();
		CU(cuGraphLaunch(exec, s));
		CU(cuStreamSynchronize(s));
		t = (now() - t) / n;
		if (t < together)
			together = t;
	}
	report("1,000 empty kernels, each launched", singly * 1e6, "us", 1, BAR_NONE, 0);
	report("the same as a graph / launched singly", together * 1e6, "us", together / singly,
	       BAR_AT_MOST, 0.3);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuStreamDestroy(s));
}

/* ---- kernels ------------------------------------------------------------------------------------- */

static void fill(float *p, int n)
{
	int i;

	for (i = 0; i < n; i++)
		p[i] = (float)((i * 37 + 11) % 101) * 0.25f - 12.0f;
}

static void bench_saxpy(CUmodule m)
{
	int n = 1 << 22, round, i;
	size_t bytes = (size_t)n * sizeof(float);
	float a = 0.5f, *x = malloc(bytes), *y = malloc(bytes), *z = malloc(bytes);
	double cpu = 1e9, gpu = 1e9, t;
	CUdeviceptr dx, dy;
	CUfunction f;
	void *args[] = { &a, &dx, &dy, &n };

	if (!x || !y || !z)
		die("malloc", n);
	fill(x, n);
	CU(cuModuleGetFunction(&f, m, "bench_saxpy"));
	CU(cuMemAlloc(&dx, bytes));
	CU(cuMemAlloc(&dy, bytes));
	CU(cuMemcpyHtoD(dx, x, bytes));
	for (round = 0; round < ROUNDS; round++) {
		fill(y, n);
		CU(cuMemcpyHtoD(dy, y, bytes));
		t = now();
		reference_saxpy(a, x, y, n);
		t = now() - t;
		if (t < cpu)
			cpu = t;
		t = now();
		CU(cuLaunchKernel(f, (unsigned)(n + 255) / 256, 1, 1, 256, 1, 1, 0, NULL, args,
				  NULL));
		CU(cuCtxSynchronize());
		t = now() - t;
		if (t < gpu)
			gpu = t;
	}
	CU(cuMemcpyDtoH(z, dy, bytes));
	for (i = 0; i < n; i++)
		if (z[i] - y[i] > 1e-4f || y[i] - z[i] > 1e-4f)
			die("saxpy result", i);
	report("saxpy 4M: C -O2 on one core / interpreter", gpu * 1e3, "ms", cpu / gpu, BAR_NONE,
	       0);
	CU(cuMemFree(dx));
	CU(cuMemFree(dy));
	free(x);
	free(y);
	free(z);
}

static void bench_sgemm(CUmodule m)
{
	int n = 512, round, i;
	size_t bytes = (size_t)n * (size_t)n * sizeof(float);
	float *a = malloc(bytes), *b = malloc(bytes), *c = malloc(bytes), *z = malloc(bytes);
	double cpu = 1e9, gpu = 1e9, t;
	CUdeviceptr da, db, dc;
	CUfunction f;
	void *args[] = { &da, &db, &dc, &n };

	if (!a || !b || !c || !z)
		die("malloc", n);
	fill(a, n * n);
	fill(b, n * n);
	CU(cuModuleGetFunction(&f, m, "bench_sgemm"));
	CU(cuMemAlloc(&da, bytes));
	CU(cuMemAlloc(&db, bytes));
	CU(cuMemAlloc(&dc, bytes));
	CU(cuMemcpyHtoD(da, a, bytes));
	CU(cuMemcpyHtoD(db, b, bytes));
	for (round = 0; round < 3; round++) {
		t = now();
		reference_sgemm(a, b, c, n);
		t = now() - t;
		if (t < cpu)
			cpu = t;
		t = now();
		CU(cuLaunchKernel(f, (unsigned)n / 16, (unsigned)n / 16, 1, 16, 16, 1, 0, NULL,
				  args, NULL));
		CU(cuCtxSynchronize());
		t = now() - t;
		if (t < gpu)
			gpu = t;
	}
	CU(cuMemcpyDtoH(z, dc, bytes));
	for (i = 0; i < n * n; i++)
		if (z[i] - c[i] > 1e-1f || c[i] - z[i] > 1e-1f)
			die("sgemm result", i);
	report("sgemm 512, 16x16 tiles: C -O2 one core / interpreter", gpu * 1e3, "ms", cpu / gpu,
	       BAR_NONE, 0);
	CU(cuMemFree(da));
	CU(cuMemFree(db));
	CU(cuMemFree(dc));
	free(a);
	free(b);
	free(c);
	free(z);
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text;
	long n;

	if (!f || fseek(f, 0, SEEK_END))
		die(path, errno);
	n = ftell(f);
	if (n < 0 || fseek(f, 0, SEEK_SET))
		die(path, errno);
	text = calloc(1, (size_t)n + 1);
	if (!text || fread(text, 1, (size_t)n, f) != (size_t)n)
		die(path, errno);
	fclose(f);
	return text;
}

int main(int argc, char **argv)
{
	CUdevice dev;
	CUcontext ctx;
	CUmodule m;
	char *ptx;
	double echo;

	if (argc != 6) {
		fprintf(stderr, "usage: %s ECHO_FILE NODE PTX PROGRAM_WITH_CUDA PROGRAM_WITHOUT\n",
			argv[0]);
		return 2;
	}
	printf("%-52s %10s %-5s %8s  %s\n", "what", "measured", "", "ratio", "bar");
	echo = bench_query(argv[1], argv[2]);
	bench_start(argv[4], argv[5]);
	CU(cuInit(0));
	CU(cuDeviceGet(&dev, 0));
	CU(cuDevicePrimaryCtxRetain(&ctx, dev));
	CU(cuCtxSetCurrent(ctx));
	ptx = read_file(argv[3]);
	CU(cuModuleLoadData(&m, ptx));
	free(ptx);
	bench_copy();
	bench_launch(m, echo);
	bench_graph(m);
	bench_saxpy(m);
	bench_sgemm(m);
	CU(cuModuleUnload(m));
	CU(cuDevicePrimaryCtxRelease(dev));
	printf("%d bars missed\n", missed);
	return missed ? 1 : 0;
}

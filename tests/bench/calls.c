/* SPDX-License-Identifier: MIT */
/* calls.c - what single calls cost, and which of them enter the kernel. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioctl/vgpu_ioctl.h"

/* ---- ioctls --------------------------------------------------------------------------------- */

#define ROUND 200 /* calls; short, so that some rounds fall into quiet moments */

struct doors {
	int echo, node;
	CUfunction empty;
};

static double time_ioctl(int fd)
{
	struct vgpu_mem_info info = { 0 };
	double t = bench_now();

	for (int i = 0; i < ROUND; i++)
		if (ioctl(fd, VGPU_IOC(MEM_INFO), &info) < 0)
			bench_die("ioctl", errno);
	return (bench_now() - t) / ROUND;
}

static double time_echo(void *arg)
{
	return time_ioctl(((struct doors *)arg)->echo);
}

static double time_query(void *arg)
{
	return time_ioctl(((struct doors *)arg)->node);
}

static int open_door(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		bench_die(path, errno);
	return fd;
}

void bench_query(const struct bench *b, struct result *ret)
{
	struct vgpu_hello hello = { .magic = VGPU_MAGIC, .version_major = VGPU_VERSION_MAJOR };
	struct doors d = { .echo = open_door(b->echo), .node = open_door(b->node) };
	double base, query;

	if (ioctl(d.node, VGPU_IOC(HELLO), &hello) < 0)
		bench_die("HELLO", errno);
	bench_pair(time_echo, time_query, &d, 8 * BENCH_ROUNDS, &base, &query);
	ret->value = query * 1e6;
	ret->ratio = query / base;
	snprintf(ret->note, sizeof(ret->note), "echo: %.2f us", base * 1e6);
}

/* ---- process start -------------------------------------------------------------------------- */

static double time_program(const char *path)
{
	double t = bench_now();
	int status;
	pid_t pid = fork();

	if (pid < 0)
		bench_die("fork", errno);
	if (pid == 0) {
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		bench_die(path, status);
	return bench_now() - t;
}

static double time_with(void *arg)
{
	return time_program(((const struct bench *)arg)->with);
}

static double time_without(void *arg)
{
	return time_program(((const struct bench *)arg)->without);
}

void bench_start(const struct bench *b, struct result *ret)
{
	double with, without;

	bench_pair(time_with, time_without, (void *)b, 2 * BENCH_ROUNDS, &with, &without);
	ret->value = ret->ratio = (with - without) * 1e3;
}

/* ---- launches ------------------------------------------------------------------------------- */

static double time_launch(void *arg)
{
	CUfunction f = ((struct doors *)arg)->empty;
	double t = bench_now();

	for (int i = 0; i < ROUND; i++) {
		CU(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
		CU(cuCtxSynchronize());
	}
	return (bench_now() - t) / ROUND;
}

void bench_launch(const struct bench *b, struct result *ret)
{
	struct doors d = { .echo = open_door(b->echo) };
	double base, launch;

	bench_context();
	d.empty = bench_kernel(b, "bench_empty");
	bench_pair(time_echo, time_launch, &d, 8 * BENCH_ROUNDS, &base, &launch);
	ret->value = launch * 1e6;
	ret->ratio = launch / base;
	snprintf(ret->note, sizeof(ret->note), "echo: %.2f us", base * 1e6);
}

/* A stream whose worker is busy until the flag is set. */
struct busy {
	CUstream s;
	CUfunction empty;
	volatile unsigned *flag;
};

static void make_busy(const struct bench *b, struct busy *ret)
{
	CUfunction wait = bench_kernel(b, "bench_wait");
	unsigned *flag;
	void *params[] = { &flag };

	CU(cuStreamCreate(&ret->s, CU_STREAM_NON_BLOCKING));
	CU(cuMemHostAlloc((void **)&flag, 64, CU_MEMHOSTALLOC_DEVICEMAP));
	ret->empty = bench_kernel(b, "bench_empty");
	ret->flag = flag;
	*ret->flag = 0;
	/* Once, so that what a first launch does is done. */
	CU(cuLaunchKernel(ret->empty, 1, 1, 1, 1, 1, 1, 0, ret->s, NULL, NULL));
	CU(cuStreamSynchronize(ret->s));
	CU(cuLaunchKernel(wait, 1, 1, 1, 1, 1, 1, 0, ret->s, params, NULL));
}

static void end_busy(struct busy *w)
{
	__atomic_store_n(w->flag, 1, __ATOMIC_RELEASE);
	CU(cuStreamSynchronize(w->s));
	CU(cuStreamDestroy(w->s));
}

#define BURST 500 /* fits the ring */

static void enqueue(const struct busy *w)
{
	for (int i = 0; i < BURST; i++)
		CU(cuLaunchKernel(w->empty, 1, 1, 1, 1, 1, 1, 0, w->s, NULL, NULL));
}

void bench_enqueue(const struct bench *b, struct result *ret)
{
	double best = 1e9, t;
	struct busy w;

	bench_context();
	for (int i = 0; i < BENCH_ROUNDS; i++) {
		make_busy(b, &w);
		t = bench_now();
		enqueue(&w);
		t = (bench_now() - t) / BURST;
		best = t < best ? t : best;
		end_busy(&w);
	}
	ret->value = ret->ratio = best * 1e6;
}

/* ---- which enter the kernel ----------------------------------------------------------------- */

/* A call that nothing here makes otherwise. */
#define MARK SYS_getppid

void bench_mark(void)
{
	syscall(MARK);
}

/* The number of the call that the stopped child begins; -1: it ends one. */
static long call_begun(pid_t pid)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
		bench_die("PTRACE_GET_SYSCALL_INFO", errno);
	return info.op == PTRACE_SYSCALL_INFO_ENTRY ? (long)info.entry.nr : -1;
}

long bench_traced(void (*work)(const struct bench *b), const struct bench *b, long only)
{
	long calls = 0, nr;
	int marks = 0, status, sig = 0;
	pid_t pid = fork();

	if (pid < 0)
		bench_die("fork", errno);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(2);
		raise(SIGSTOP);
		work(b);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
		bench_die("PTRACE_TRACEME", status);
	ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)sig) < 0 ||
		    waitpid(pid, &status, 0) < 0)
			bench_die("PTRACE_SYSCALL", errno);
		sig = 0;
		if (!WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			sig = WSTOPSIG(status);
			continue;
		}
		nr = call_begun(pid);
		if (nr == MARK)
			marks++;
		else if (nr >= 0 && marks == 1 && (only < 0 || nr == only))
			calls++;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) || marks != 2)
		bench_die("the traced process", status);
	return calls;
}

/* Does the counter count? */
static void three_calls(const struct bench *b)
{
	(void)b;
	bench_mark();
	for (int i = 0; i < 3; i++)
		syscall(SYS_getuid);
	bench_mark();
}

static void enqueue_while_busy(const struct bench *b)
{
	struct busy w;

	bench_context();
	make_busy(b, &w);
	bench_mark();
	enqueue(&w);
	bench_mark();
	end_busy(&w);
}

void bench_enqueue_calls(const struct bench *b, struct result *ret)
{
	if (bench_traced(three_calls, b, -1) != 3 || bench_traced(three_calls, b, SYS_ioctl) != 0)
		bench_die("counting system calls", 0);
	ret->value = ret->ratio = (double)bench_traced(enqueue_while_busy, b, -1);
}

/* Whatever cudaGetDeviceProperties and its like ask. */
static void ask_everything(CUdevice dev)
{
	char name[256];
	size_t bytes;
	CUuuid uuid;
	int value;

	CU(cuDeviceGetName(name, sizeof(name), dev));
	CU(cuDeviceGetUuid_v2(&uuid, dev));
	CU(cuDeviceTotalMem(&bytes, dev));
	CU(cuDeviceGetPCIBusId(name, sizeof(name), dev));
	for (int a = 1; a < CU_DEVICE_ATTRIBUTE_MAX; a++)
		cuDeviceGetAttribute(&value, (CUdevice_attribute)a, dev);
}

static void ask_twice(const struct bench *b)
{
	CUdevice dev;

	(void)b;
	CU(cuInit(0));
	CU(cuDeviceGet(&dev, 0));
	ask_everything(dev);
	bench_mark();
	ask_everything(dev);
	bench_mark();
}

void bench_attributes(const struct bench *b, struct result *ret)
{
	ret->value = ret->ratio = (double)bench_traced(ask_twice, b, SYS_ioctl);
}

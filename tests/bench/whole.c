/* SPDX-License-Identifier: MIT */
/* whole.c - several clients at once, a large library's module, and a daemon that has nothing to do. */
#include "bench.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- clients -------------------------------------------------------------------------------- */

#define CLIENTS	    8
#define CLIENT_S    0.7
#define CHUNK_BYTES ((size_t)1 << 20)

struct meeting {
	uint32_t ready, go; /* atomic */
	uint64_t turns[CLIENTS];
};

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Copies in, a kernel, copies out, over and over, as long as the clock says. */
static void client(const struct bench *b, struct meeting *m, int index)
{
	int n = (int)(CHUNK_BYTES / sizeof(float));
	float *host = calloc(1, CHUNK_BYTES), factor = 1;
	CUdeviceptr d;
	CUfunction f;
	void *params[] = { &factor, &d, &d, &n };
	uint64_t turns = 0;
	double until;

	if (!host)
		bench_die("calloc", ENOMEM);
	bench_context();
	f = bench_kernel(b, "bench_saxpy");
	CU(cuMemAlloc(&d, CHUNK_BYTES));
	__atomic_add_fetch(&m->ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&m->go, __ATOMIC_SEQ_CST))
		nap();
	for (until = bench_now() + CLIENT_S; bench_now() < until; turns++) {
		CU(cuMemcpyHtoD(d, host, CHUNK_BYTES));
		CU(cuLaunchKernel(f, (unsigned)n / 256, 1, 1, 256, 1, 1, 0, NULL, params, NULL));
		CU(cuMemcpyDtoH(host, d, CHUNK_BYTES));
	}
	m->turns[index] = turns;
}

/* Turns of all together in a second. */
static double rate(const struct bench *b, int clients)
{
	struct meeting *m =
		mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double sum = 0;
	int status;

	if (m == MAP_FAILED)
		bench_die("mmap", errno);
	for (int i = 0; i < clients; i++) {
		pid_t pid = fork();

		if (pid < 0)
			bench_die("fork", errno);
		if (pid == 0) {
			client(b, m, i);
			_exit(0);
		}
	}
	for (int i = 0; __atomic_load_n(&m->ready, __ATOMIC_SEQ_CST) < (uint32_t)clients; i++) {
		if (i > 20000)
			bench_die("a client's start", 0);
		nap();
	}
	__atomic_store_n(&m->go, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < clients; i++)
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
			bench_die("a client", status);
	for (int i = 0; i < clients; i++)
		sum += (double)m->turns[i] / CLIENT_S;
	munmap(m, sizeof(*m));
	return sum;
}

void bench_clients(const struct bench *b, struct result *ret)
{
	double one = 0, all = 0;

	for (int i = 0; i < 3; i++) {
		double x = rate(b, 1), y = rate(b, CLIENTS);

		one = x > one ? x : one;
		all = y > all ? y : all;
	}
	ret->value = all;
	ret->ratio = all / one;
	snprintf(ret->note, sizeof(ret->note), "one: %.0f /s", one);
}

/* ---- a large module ------------------------------------------------------------------------- */

#define FATBIN_MAGIC 0xba55ed50u

struct fatbin_head {
	uint32_t magic;
	uint16_t version, head_bytes;
	uint64_t bytes; /* behind the head */
};

/* The largest image of the section that nvcc puts them into. */
static const void *largest_image(const uint8_t *lib, size_t bytes, size_t *ret_bytes)
{
	const Elf64_Ehdr *e = (const void *)lib;
	const Elf64_Shdr *sh = (const void *)(lib + e->e_shoff);
	const char *names = (const char *)lib + sh[e->e_shstrndx].sh_offset;
	const void *best = NULL;

	for (int i = 0; i < e->e_shnum; i++) {
		const uint8_t *at = lib + sh[i].sh_offset, *end = at + sh[i].sh_size;

		if (strcmp(names + sh[i].sh_name, ".nv_fatbin") != 0)
			continue;
		while (at + sizeof(struct fatbin_head) <= end && at < lib + bytes) {
			const struct fatbin_head *h = (const void *)at;

			if (h->magic != FATBIN_MAGIC) {
				at += 8;
				continue;
			}
			if (!best || h->bytes + h->head_bytes > *ret_bytes) {
				best = h;
				*ret_bytes = h->bytes + h->head_bytes;
			}
			at += h->head_bytes + h->bytes;
		}
	}
	return best;
}

/* The kernel's parameters are all 0: one that is told of no elements ends at once. */
static CUresult launch_nothing(CUfunction f)
{
	static uint64_t zeros[512];
	size_t bytes = 0, offset, size;
	void *extra[] = { CU_LAUNCH_PARAM_BUFFER_POINTER, zeros, CU_LAUNCH_PARAM_BUFFER_SIZE,
			  &bytes, CU_LAUNCH_PARAM_END };
	CUresult r;

	for (size_t i = 0; cuFuncGetParamInfo(f, i, &offset, &size) == CUDA_SUCCESS; i++)
		bytes = offset + size;
	if (bytes > sizeof(zeros))
		return CUDA_ERROR_INVALID_VALUE;
	r = cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, extra);
	return r == CUDA_SUCCESS ? cuCtxSynchronize() : r;
}

struct trial {
	CUresult r;
	double seconds;
	unsigned functions;
	char name[256];
};

/* From the image to the end of its kernel number @index. */
static void try_kernel(const void *image, unsigned index, struct trial *t)
{
	const char *name;
	CUfunction *f;
	CUmodule m;
	double start;

	bench_context();
	start = bench_now();
	CU(cuModuleLoadData(&m, image));
	CU(cuModuleGetFunctionCount(&t->functions, m));
	f = calloc(t->functions + 1, sizeof(CUfunction));
	if (!f)
		bench_die("calloc", ENOMEM);
	CU(cuModuleEnumerateFunctions(f, t->functions, m));
	t->r = index < t->functions ? launch_nothing(f[index]) : CUDA_ERROR_NOT_FOUND;
	t->seconds = bench_now() - start;
	if (t->r == CUDA_SUCCESS && cuFuncGetName(&name, f[index]) == CUDA_SUCCESS)
		snprintf(t->name, sizeof(t->name), "%s", name);
}

/* In a process of its own: a kernel that faults ends the context. */
static bool try_apart(const void *image, unsigned index, struct trial *t)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		/* What kernels say that want more than nothing is no news. */
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		try_kernel(image, index, t);
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status) && t->r == CUDA_SUCCESS;
}

void bench_module(const struct bench *b, struct result *ret)
{
	struct trial *t =
		mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double best = 1e9;
	size_t bytes, image_bytes = 0;
	const void *image;
	unsigned index = 0;
	uint8_t *lib;

	if (t == MAP_FAILED)
		bench_die("mmap", errno);
	if (access(b->ggml, R_OK) < 0) {
		ret->skipped = true;
		snprintf(ret->note, sizeof(ret->note),
			 "no libggml-cuda.so; tests/system/fetch_llama.sh build/npm");
		return;
	}
	lib = (uint8_t *)bench_file(b->ggml, &bytes);
	image = largest_image(lib, bytes, &image_bytes);
	if (!image)
		bench_die("looking for an image", 0);
	while (!try_apart(image, index, t))
		if (++index >= 64 || (t->functions && index >= t->functions))
			bench_die("looking for a kernel that ends", (int)index);
	for (int i = 0; i < BENCH_ROUNDS; i++) {
		if (!try_apart(image, index, t))
			bench_die("the kernel", (int)t->r);
		best = t->seconds < best ? t->seconds : best;
	}
	ret->value = ret->ratio = best * 1e3;
	snprintf(ret->note, sizeof(ret->note), "%.1f MB, %u kernels; %.60s",
		 (double)image_bytes * 1e-6, t->functions, t->name);
}

/* ---- nothing to do -------------------------------------------------------------------------- */

/* The number behind @key in a file of the daemon's under /proc. */
static long number_in(pid_t pid, const char *file, const char *key)
{
	char path[128], *text, *at;
	FILE *f;
	long n = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	f = fopen(path, "r");
	text = malloc(65536);
	if (!f || !text)
		bench_die(path, errno);
	text[fread(text, 1, 65535, f)] = 0;
	fclose(f);
	at = strstr(text, key);
	if (at)
		n = atol(at + strlen(key));
	free(text);
	if (n < 0)
		bench_die(key, 0);
	return n;
}

/* Of all threads: each has a directory whose name is a number above the process's. */
static long wakeups(pid_t pid)
{
	char path[160];
	long n = 0;

	snprintf(path, sizeof(path), "ls /proc/%d/task", (int)pid);
	FILE *f = popen(path, "r");

	if (!f)
		bench_die(path, errno);
	while (fscanf(f, "%150s", path) == 1) {
		char file[192];

		snprintf(file, sizeof(file), "task/%s/status", path);
		n += number_in(pid, file, "\nvoluntary_ctxt_switches:");
	}
	pclose(f);
	return n;
}

void bench_idle(const struct bench *b, struct result *ret)
{
	long before;

	sleep(2); /* what the rows before left behind is put away */
	before = wakeups(b->daemon);
	sleep(10);
	ret->value = ret->ratio = (double)(wakeups(b->daemon) - before);
}

void bench_resident(const struct bench *b, struct result *ret)
{
	ret->value = ret->ratio = (double)number_in(b->daemon, "status", "\nVmRSS:") * 1024e-6;
}

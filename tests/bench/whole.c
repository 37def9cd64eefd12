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

#define CLIENTS 8
#define TURN_S	0.15 /* one client, then all of them, and again */
#define TURNS	12
#define CHUNK_BYTES                                                                                \
	((size_t)128 << 10) /* small: how much of the caches they share is not the question */

/* Clients with a smaller number than active work, the others sleep. */
struct meeting {
	uint32_t active, ready; /* atomic */
	bool over;
	uint64_t done[CLIENTS]; /* atomic: copies in, a kernel, copies out */
};

static void nap(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static void client(const struct bench *b, struct meeting *m, uint32_t index)
{
	int n = (int)(CHUNK_BYTES / sizeof(float));
	float *host = calloc(1, CHUNK_BYTES), factor = 1;
	CUdeviceptr d;
	CUfunction f;
	void *params[] = { &factor, &d, &d, &n };
	bool known = false;

	if (!host)
		bench_die("calloc", ENOMEM);
	bench_context();
	f = bench_kernel(b, "bench_saxpy");
	CU(cuMemAlloc(&d, CHUNK_BYTES));
	while (!__atomic_load_n(&m->over, __ATOMIC_ACQUIRE)) {
		if (known && index >= __atomic_load_n(&m->active, __ATOMIC_ACQUIRE)) {
			nap(3);
			continue;
		}
		CU(cuMemcpyHtoD(d, host, CHUNK_BYTES));
		CU(cuLaunchKernel(f, (unsigned)n / 256, 1, 1, 256, 1, 1, 0, NULL, params, NULL));
		CU(cuMemcpyDtoH(host, d, CHUNK_BYTES));
		/* The first ones are a warm-up: the kernel is compiled meanwhile. */
		if (__atomic_add_fetch(&m->done[index], 1, __ATOMIC_RELAXED) == 500) {
			known = true;
			__atomic_add_fetch(&m->ready, 1, __ATOMIC_RELEASE);
		}
	}
}

static uint64_t sum(const struct meeting *m)
{
	uint64_t n = 0;

	for (int i = 0; i < CLIENTS; i++)
		n += __atomic_load_n(&m->done[i], __ATOMIC_RELAXED);
	return n;
}

/* Rounds of @active clients together in a second. */
static double rate(struct meeting *m, uint32_t active)
{
	uint64_t before;
	double start;

	__atomic_store_n(&m->active, active, __ATOMIC_RELEASE);
	nap(10); /* all have seen it */
	before = sum(m);
	start = bench_now();
	nap((long)(TURN_S * 1e3));
	return (double)(sum(m) - before) / (bench_now() - start);
}

void bench_clients(const struct bench *b, struct result *ret)
{
	struct meeting *m =
		mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double one[TURNS], all[TURNS];
	int status;

	if (m == MAP_FAILED)
		bench_die("mmap", errno);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		pid_t pid = fork();

		if (pid < 0)
			bench_die("fork", errno);
		if (pid == 0) {
			client(b, m, i);
			_exit(0);
		}
	}
	for (int i = 0; __atomic_load_n(&m->ready, __ATOMIC_ACQUIRE) < CLIENTS; i++) {
		if (i > 30000 || waitpid(-1, &status, WNOHANG) > 0)
			bench_die("the start of the clients", i);
		nap(1);
	}
	for (int i = 0; i < TURNS; i++) {
		one[i] = 1 / rate(m, 1);
		all[i] = 1 / rate(m, CLIENTS);
	}
	__atomic_store_n(&m->over, true, __ATOMIC_RELEASE);
	for (int i = 0; i < CLIENTS; i++)
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
			bench_die("a client", status);
	ret->ratio = bench_ratio(one, all, TURNS);
	ret->value = 1 / bench_best(all, TURNS);
	snprintf(ret->note, sizeof(ret->note), "one: %.0f /s", 1 / bench_best(one, TURNS));
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

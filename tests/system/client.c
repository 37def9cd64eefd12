/* SPDX-License-Identifier: MIT */
/*
 * client.c - a small user of the driver API, as the system tests need it in strange places.
 *
 *	client probe [SETUID]	    find the device and say what it is; become SETUID before
 *	client cycle		    context, memory, module, launch, check, and an orderly end
 *	client drop		    the same, but exits without giving anything back
 *	client hold		    does a cycle, prints "holding", keeps everything until it is killed
 *	client keep BYTES	    takes them too, prints "keeping"; after SIGUSR1 one more launch
 *	client busy SECONDS	    checks results in a loop; prints "busy" first, then count and worst time
 *	client heat SECONDS	    launches until it is three times as fast as at first; "warm": all the time
 *	client spin		    launches a kernel that never ends, prints "spinning", waits for it
 *	client wild KIND	    kernels that break rules: store, load, trap, misaligned, shared
 *	client after UID	    cuInit first, then becomes UID, then a cycle
 *
 * It opens libcuda.so.1 by its bare name, so the loader alone decides which one it gets, and links
 * against nothing else, so that it runs in a nearly empty root. Exit code 0: as it should be, 1: a
 * wrong result, 2: a CUDA error (printed as "NAME: code").
 */
#include <dlfcn.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cuda.h>

/* X(symbol, parameters): what is used of libcuda. */
#define CALLS(X)                                                                                   \
	X(cuInit, (unsigned))                                                                      \
	X(cuDriverGetVersion, (int *))                                                             \
	X(cuDeviceGetCount, (int *))                                                               \
	X(cuDeviceGet, (CUdevice *, int))                                                          \
	X(cuDeviceGetName, (char *, int, CUdevice))                                                \
	X(cuDeviceGetUuid_v2, (CUuuid *, CUdevice))                                                \
	X(cuDeviceTotalMem_v2, (size_t *, CUdevice))                                               \
	X(cuDeviceGetAttribute, (int *, CUdevice_attribute, CUdevice))                             \
	X(cuCtxCreate_v2, (CUcontext *, unsigned, CUdevice))                                       \
	X(cuCtxDestroy_v2, (CUcontext))                                                            \
	X(cuCtxSynchronize, (void))                                                                \
	X(cuMemGetInfo_v2, (size_t *, size_t *))                                                   \
	X(cuMemAlloc_v2, (CUdeviceptr *, size_t))                                                  \
	X(cuMemFree_v2, (CUdeviceptr))                                                             \
	X(cuMemcpyHtoD_v2, (CUdeviceptr, const void *, size_t))                                    \
	X(cuMemcpyDtoH_v2, (void *, CUdeviceptr, size_t))                                          \
	X(cuModuleLoadData, (CUmodule *, const void *))                                            \
	X(cuModuleUnload, (CUmodule))                                                              \
	X(cuModuleGetFunction, (CUfunction *, CUmodule, const char *))                             \
	X(cuLaunchKernel, (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, \
			   unsigned, CUstream, void **, void **))

#define X(name, params) static CUresult(*p_##name) params;
CALLS(X)
#undef X

static void call(CUresult r, const char *name)
{
	if (r == CUDA_SUCCESS)
		return;
	printf("%s: %d\n", name, (int)r);
	fflush(stdout);
	exit(2);
}

#define CALL(name, ...) call(p_##name(__VA_ARGS__), #name)

/* clang-format off */
static const char ptx[] =
	".version 7.0\n.target sm_52\n.address_size 64\n"
	/* p[i] = p[i] * 3 + i */
	".visible .entry scale(.param .u64 p, .param .u32 n)\n{\n"
	"	.reg .pred %p<2>;\n	.reg .b32 %r<8>;\n	.reg .b64 %rd<4>;\n"
	"	ld.param.u64 %rd1, [p];\n	ld.param.u32 %r1, [n];\n"
	"	mov.u32 %r2, %ctaid.x;\n	mov.u32 %r3, %ntid.x;\n	mov.u32 %r4, %tid.x;\n"
	"	mad.lo.s32 %r5, %r2, %r3, %r4;\n	setp.ge.u32 %p1, %r5, %r1;\n	@%p1 bra DONE;\n"
	"	cvta.to.global.u64 %rd2, %rd1;\n	mul.wide.u32 %rd3, %r5, 4;\n"
	"	add.s64 %rd2, %rd2, %rd3;\n	ld.global.u32 %r6, [%rd2];\n"
	"	mad.lo.s32 %r7, %r6, 3, %r5;\n	st.global.u32 [%rd2], %r7;\n"
	"DONE:\n	ret;\n}\n"
	".visible .entry forever(.param .u64 p)\n{\n"
	"	.reg .b32 %r<4>;\n	.reg .pred %q<2>;\n	.reg .b64 %rd<4>;\n	ld.param.u64 %rd1, [p];\n"
	"L:	ld.volatile.global.u32 %r1, [%rd1];\n	setp.ne.u32 %q1, %r1, 123456789;\n"
	"	@%q1 bra L;\n	ret;\n}\n"
	".visible .entry poke(.param .u64 p)\n{\n"
	"	.reg .b32 %r<2>;\n	.reg .b64 %rd<4>;\n	ld.param.u64 %rd1, [p];\n"
	"	mov.u32 %r1, 7;\n	st.global.u32 [%rd1], %r1;\n	ret;\n}\n"
	".visible .entry peek(.param .u64 p, .param .u64 q)\n{\n"
	"	.reg .b32 %r<2>;\n	.reg .b64 %rd<4>;\n	ld.param.u64 %rd1, [p];\n	ld.param.u64 %rd2, [q];\n"
	"	ld.global.u32 %r1, [%rd1];\n	st.global.u32 [%rd2], %r1;\n	ret;\n}\n"
	/* p[i] = sum over k < n of (i ^ k) * k */
	".visible .entry sums(.param .u64 p, .param .u32 n)\n{\n"
	"	.reg .pred %p<2>;\n	.reg .b32 %r<9>;\n	.reg .b64 %rd<4>;\n"
	"	ld.param.u64 %rd1, [p];\n	ld.param.u32 %r1, [n];\n"
	"	mov.u32 %r2, %ctaid.x;\n	mov.u32 %r3, %ntid.x;\n	mov.u32 %r4, %tid.x;\n"
	"	mad.lo.s32 %r5, %r2, %r3, %r4;\n	mov.u32 %r6, 0;\n	mov.u32 %r7, 0;\n"
	"L:	xor.b32 %r8, %r5, %r7;\n	mad.lo.u32 %r6, %r8, %r7, %r6;\n	add.u32 %r7, %r7, 1;\n"
	"	setp.lt.u32 %p1, %r7, %r1;\n	@%p1 bra L;\n"
	"	mul.wide.u32 %rd2, %r5, 4;\n	add.s64 %rd3, %rd1, %rd2;\n	st.global.u32 [%rd3], %r6;\n"
	"	ret;\n}\n"
	".visible .entry trap()\n{\n	trap;\n	ret;\n}\n"
	".visible .entry shared(.param .u64 p)\n{\n"
	"	.reg .b32 %r<2>;\n	.reg .b64 %rd<4>;\n	.shared .align 4 .b8 s[64];\n	ld.param.u64 %rd1, [p];\n"
	"	mov.u32 %r1, 7;\n	st.shared.u32 [%rd1], %r1;\n	ret;\n}\n";
/* clang-format on */

#define COUNT 1000

struct gpu {
	CUdevice dev;
	CUcontext ctx;
	CUmodule mod;
	CUdeviceptr mem;
};

static void load_driver(void)
{
	void *lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

	if (!lib) {
		printf("dlopen: %s\n", dlerror());
		exit(3);
	}
#define X(name, params)                                                                            \
	*(void **)&p_##name = dlsym(lib, #name);                                                   \
	if (!p_##name) {                                                                           \
		printf("no symbol %s\n", #name);                                                   \
		exit(3);                                                                           \
	}
	CALLS(X)
#undef X
}

static void become(const char *uid_text)
{
	uid_t uid = (uid_t)atoi(uid_text);

	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
	    setresuid(uid, uid, uid) < 0) {
		perror("setuid");
		exit(3);
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static CUfunction kernel(struct gpu *g, const char *name)
{
	CUfunction f;

	CALL(cuModuleGetFunction, &f, g->mod, name);
	return f;
}

static void open_gpu(struct gpu *g)
{
	CALL(cuDeviceGet, &g->dev, 0);
	CALL(cuCtxCreate_v2, &g->ctx, 0, g->dev);
	CALL(cuMemAlloc_v2, &g->mem, COUNT * sizeof(uint32_t));
	CALL(cuModuleLoadData, &g->mod, ptx);
}

static void close_gpu(struct gpu *g)
{
	CALL(cuModuleUnload, g->mod);
	CALL(cuMemFree_v2, g->mem);
	CALL(cuCtxDestroy_v2, g->ctx);
}

/* One launch whose result is checked; @seed makes each round different. */
static void round_trip(struct gpu *g, uint32_t seed)
{
	uint32_t host[COUNT], n = COUNT, i;
	void *args[] = { &g->mem, &n };

	for (i = 0; i < n; i++)
		host[i] = seed ^ (i * 2654435761u);
	CALL(cuMemcpyHtoD_v2, g->mem, host, sizeof(host));
	CALL(cuLaunchKernel, kernel(g, "scale"), (n + 127) / 128, 1, 1, 128, 1, 1, 0, NULL, args,
	     NULL);
	memset(host, 0xee, sizeof(host));
	CALL(cuMemcpyDtoH_v2, host, g->mem, sizeof(host));
	for (i = 0; i < n; i++)
		if (host[i] != (seed ^ (i * 2654435761u)) * 3 + i) {
			printf("element %u is %u\n", i, host[i]);
			exit(1);
		}
}

static void print_uuid(CUdevice dev)
{
	CUuuid u;
	int i;

	CALL(cuDeviceGetUuid_v2, &u, dev);
	printf("uuid=GPU-");
	for (i = 0; i < 16; i++)
		printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
		       (unsigned char)u.bytes[i]);
	printf("\n");
}

static int cmd_probe(void)
{
	int count = 0, version = 0, major = 0, minor = 0, i;
	size_t total = 0, free_bytes = 0, all = 0;
	char name[256];
	CUdevice dev;

	/* True in any process, also before cuInit: DESIGN of the memory query. */
	CALL(cuMemGetInfo_v2, &free_bytes, &all);
	printf("early_free=%zu\nearly_total=%zu\n", free_bytes, all);
	CALL(cuInit, 0);
	CALL(cuDriverGetVersion, &version);
	CALL(cuDeviceGetCount, &count);
	printf("uid=%d\nversion=%d\ncount=%d\n", (int)getuid(), version, count);
	for (i = 0; i < count; i++) {
		CALL(cuDeviceGet, &dev, i);
		CALL(cuDeviceGetName, name, sizeof(name), dev);
		CALL(cuDeviceTotalMem_v2, &total, dev);
		CALL(cuDeviceGetAttribute, &major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
		     dev);
		CALL(cuDeviceGetAttribute, &minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
		     dev);
		printf("name=%s\ntotal=%zu\ncc=%d.%d\n", name, total, major, minor);
		print_uuid(dev);
	}
	return count > 0 ? 0 : 1;
}

static int cmd_cycle(int orderly, int hold)
{
	struct gpu g;

	open_gpu(&g);
	round_trip(&g, (uint32_t)getpid());
	if (hold) {
		printf("holding\n");
		fflush(stdout);
		pause();
	}
	if (orderly)
		close_gpu(&g);
	else
		_exit(0);
	printf("cycle ok\n");
	return 0;
}

static int cmd_keep(size_t bytes)
{
	CUdeviceptr mem;
	sigset_t set;
	struct gpu g;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	open_gpu(&g);
	CALL(cuMemAlloc_v2, &mem, bytes);
	round_trip(&g, 1);
	printf("keeping\n");
	fflush(stdout);
	sigwait(&set, &sig);
	round_trip(&g, 2);
	CALL(cuMemFree_v2, mem);
	close_gpu(&g);
	return 0;
}

static int cmd_busy(double seconds)
{
	double end, t, worst = 0;
	unsigned rounds = 0;
	struct gpu g;

	open_gpu(&g);
	round_trip(&g, 1);
	printf("busy\n");
	fflush(stdout);
	for (end = now() + seconds; now() < end; rounds++) {
		t = now();
		round_trip(&g, rounds);
		t = now() - t;
		worst = t > worst ? t : worst;
	}
	close_gpu(&g);
	printf("rounds=%u\nworst_ms=%.1f\n", rounds, worst * 1e3);
	return 0;
}

#define HEAT_THREADS 1024
#define HEAT_ROUNDS  20000

static int check_sums(const uint32_t *v)
{
	for (uint32_t i = 0; i < HEAT_THREADS; i++) {
		uint32_t sum = 0;

		for (uint32_t k = 0; k < HEAT_ROUNDS; k++)
			sum += (i ^ k) * k;
		if (v[i] != sum) {
			printf("thread %u: %u, not %u\n", i, v[i], sum);
			return 1;
		}
	}
	return 0;
}

static int cmd_heat(double seconds, bool to_its_end)
{
	double end = now() + seconds, t, first = 0, best = 1e9;
	uint32_t v[HEAT_THREADS], n = HEAT_ROUNDS, launches = 0;
	CUdeviceptr out;
	struct gpu g;
	void *args[] = { &out, &n };
	int wrong = 0;

	open_gpu(&g);
	CALL(cuMemAlloc_v2, &out, sizeof(v));
	while (!wrong && now() < end && (to_its_end || !(best * 3 < first))) {
		t = now();
		CALL(cuLaunchKernel, kernel(&g, "sums"), HEAT_THREADS / 64, 1, 1, 64, 1, 1, 0, NULL,
		     args, NULL);
		call(p_cuCtxSynchronize(), "cuCtxSynchronize");
		t = now() - t;
		first = launches++ ? first : t;
		best = t < best ? t : best;
		CALL(cuMemcpyDtoH_v2, v, out, sizeof(v));
		wrong = check_sums(v);
	}
	CALL(cuMemFree_v2, out);
	close_gpu(&g);
	printf("first_us=%.0f\nbest_us=%.0f\nlaunches=%u\n", first * 1e6, best * 1e6, launches);
	return wrong;
}

static int cmd_spin(void)
{
	struct gpu g;
	void *args[] = { &g.mem };

	open_gpu(&g);
	round_trip(&g, 1);
	CALL(cuLaunchKernel, kernel(&g, "forever"), 1, 1, 1, 32, 1, 1, 0, NULL, args, NULL);
	printf("spinning\n");
	fflush(stdout);
	call(p_cuCtxSynchronize(), "cuCtxSynchronize");
	return 1; /* it never ends by itself */
}

/* Prints "result=<code>" of the synchronisation after the kernel, and of a call after that. */
static int cmd_wild(const char *kind)
{
	CUdeviceptr bad, out;
	CUresult first, later;
	const char *name;
	struct gpu g;
	void *args[] = { &bad, &out };

	open_gpu(&g);
	round_trip(&g, 1);
	out = g.mem;
	bad = 0x123450000ull;
	name = "poke";
	if (strcmp(kind, "load") == 0) {
		name = "peek";
		bad = g.mem + (1ull << 35);
	} else if (strcmp(kind, "trap") == 0) {
		name = "trap";
	} else if (strcmp(kind, "misaligned") == 0) {
		bad = g.mem + 2;
	} else if (strcmp(kind, "shared") == 0) {
		name = "shared";
		bad = 1ull << 20;
	} else if (strcmp(kind, "store") != 0) {
		return 3;
	}
	CALL(cuLaunchKernel, kernel(&g, name), 1, 1, 1, 32, 1, 1, 0, NULL, args, NULL);
	first = p_cuCtxSynchronize();
	later = p_cuMemAlloc_v2(&bad, 4096);
	printf("result=%d\nlater=%d\n", (int)first, (int)later);
	return first == CUDA_SUCCESS;
}

static int run(int argc, char **argv)
{
	const char *cmd = argc > 1 ? argv[1] : "";
	const char *arg = argc > 2 ? argv[2] : NULL;

	if (strcmp(cmd, "probe") == 0) {
		if (arg)
			become(arg);
		load_driver();
		return cmd_probe();
	}
	load_driver();
	CALL(cuInit, 0);
	if (strcmp(cmd, "after") == 0 && arg) {
		become(arg);
		return cmd_cycle(1, 0);
	}
	if (strcmp(cmd, "cycle") == 0)
		return cmd_cycle(1, 0);
	if (strcmp(cmd, "drop") == 0)
		return cmd_cycle(0, 0);
	if (strcmp(cmd, "hold") == 0)
		return cmd_cycle(1, 1);
	if (strcmp(cmd, "keep") == 0 && arg)
		return cmd_keep(strtoull(arg, NULL, 10));
	if (strcmp(cmd, "busy") == 0 && arg)
		return cmd_busy(atof(arg));
	if (strcmp(cmd, "heat") == 0 && arg)
		return cmd_heat(atof(arg), false);
	if (strcmp(cmd, "warm") == 0 && arg)
		return cmd_heat(atof(arg), true);
	if (strcmp(cmd, "spin") == 0)
		return cmd_spin();
	if (strcmp(cmd, "wild") == 0 && arg)
		return cmd_wild(arg);
	fprintf(stderr, "client: unknown command '%s'\n", cmd);
	return 3;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	return run(argc, argv);
}

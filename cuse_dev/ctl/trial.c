/* SPDX-License-Identifier: MIT */
/*
 * trial.c - a program that uses the GPU as any other would: the loader finds the library, a kernel
 * computes, the result is compared. A process of its own, so that nothing of ours helps it.
 *
 *	vgpuctl trial cuda	"ok" TAB what it saw, or "fail" TAB code TAB what failed
 *	vgpuctl trial nvml
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cuda.h>

#include "cuse_dev/ctl/doctor.h"

#define TRIAL_SECONDS 60
#define COUNT	      100000

/* X(symbol, parameters) */
#define CALLS(X)                                                                                   \
	X(cuInit, (unsigned))                                                                      \
	X(cuDeviceGet, (CUdevice *, int))                                                          \
	X(cuDeviceGetName, (char *, int, CUdevice))                                                \
	X(cuCtxCreate_v2, (CUcontext *, unsigned, CUdevice))                                       \
	X(cuMemAlloc_v2, (CUdeviceptr *, size_t))                                                  \
	X(cuMemcpyHtoD_v2, (CUdeviceptr, const void *, size_t))                                    \
	X(cuMemcpyDtoH_v2, (void *, CUdeviceptr, size_t))                                          \
	X(cuModuleLoadData, (CUmodule *, const void *))                                            \
	X(cuModuleGetFunction, (CUfunction *, CUmodule, const char *))                             \
	X(cuLaunchKernel, (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, \
			   unsigned, CUstream, void **, void **))                                  \
	X(cuCtxDestroy_v2, (CUcontext))

struct driver {
#define X(name, params) CUresult(*name) params;
	CALLS(X)
#undef X
};

/* clang-format off */
static const char ptx[] =
	".version 7.0\n.target sm_52\n.address_size 64\n"
	/* p[i] = p[i] * 3 + i */
	".visible .entry trial(.param .u64 p, .param .u32 n)\n{\n"
	"	.reg .pred %p<2>;\n	.reg .b32 %r<8>;\n	.reg .b64 %rd<4>;\n"
	"	ld.param.u64 %rd1, [p];\n	ld.param.u32 %r1, [n];\n"
	"	mov.u32 %r2, %ctaid.x;\n	mov.u32 %r3, %ntid.x;\n	mov.u32 %r4, %tid.x;\n"
	"	mad.lo.s32 %r5, %r2, %r3, %r4;\n	setp.ge.u32 %p1, %r5, %r1;\n	@%p1 bra DONE;\n"
	"	cvta.to.global.u64 %rd2, %rd1;\n	mul.wide.u32 %rd3, %r5, 4;\n"
	"	add.s64 %rd2, %rd2, %rd3;\n	ld.global.u32 %r6, [%rd2];\n"
	"	mad.lo.s32 %r7, %r6, 3, %r5;\n	st.global.u32 [%rd2], %r7;\n"
	"DONE:\n	ret;\n}\n";
/* clang-format on */

static int fail(int code, const char *what)
{
	printf("fail\t%d\t%s\n", code, what);
	return 1;
}

/* ---- the child ------------------------------------------------------------------------------ */

static int load(struct driver *cu)
{
	void *lib = dlopen(DOCTOR_LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!lib)
		return fail(-1, dlerror());
#define X(name, params)                                                                            \
	*(void **)&cu->name = dlsym(lib, #name);                                                   \
	if (!cu->name)                                                                             \
		return fail(-2, "no symbol " #name);
	CALLS(X)
#undef X
	return 0;
}

#define TRY(name, ...)                                                                             \
	do {                                                                                       \
		CUresult r_ = cu->name(__VA_ARGS__);                                               \
		if (r_ != CUDA_SUCCESS)                                                            \
			return fail((int)r_, #name);                                               \
	} while (0)

static int compute(const struct driver *cu, CUdevice dev, uint32_t *host)
{
	uint32_t n = COUNT, i;
	CUdeviceptr mem;
	CUcontext ctx;
	CUfunction f;
	CUmodule m;
	void *args[] = { &mem, &n };

	for (i = 0; i < n; i++)
		host[i] = i * 2654435761u;
	TRY(cuCtxCreate_v2, &ctx, 0, dev);
	TRY(cuMemAlloc_v2, &mem, n * sizeof(*host));
	TRY(cuModuleLoadData, &m, ptx);
	TRY(cuModuleGetFunction, &f, m, "trial");
	TRY(cuMemcpyHtoD_v2, mem, host, n * sizeof(*host));
	TRY(cuLaunchKernel, f, (n + 255) / 256, 1, 1, 256, 1, 1, 0, NULL, args, NULL);
	memset(host, 0xee, n * sizeof(*host));
	TRY(cuMemcpyDtoH_v2, host, mem, n * sizeof(*host));
	TRY(cuCtxDestroy_v2, ctx);
	for (i = 0; i < n; i++) {
		if (host[i] != i * 2654435761u * 3 + i)
			return fail(-3, "a wrong result");
	}
	return 0;
}

/* The whole of it; @host has room for COUNT. */
static int use_gpu(uint32_t *host)
{
	struct timespec a, b;
	struct driver driver, *cu = &driver;
	char name[256];
	CUdevice dev;
	int r;

	r = load(cu);
	if (r)
		return r;
	clock_gettime(CLOCK_MONOTONIC, &a);
	TRY(cuInit, 0);
	TRY(cuDeviceGet, &dev, 0);
	TRY(cuDeviceGetName, name, sizeof(name), dev);
	r = compute(cu, dev, host);
	if (r)
		return r;
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("ok\t%d right results on %s in %ld ms\n", COUNT, name,
	       (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000);
	return 0;
}

static int trial_cuda(void)
{
	uint32_t *host = malloc(COUNT * sizeof(*host));
	int r = host ? use_gpu(host) : fail(-4, strerror(ENOMEM));

	free(host);
	return r;
}

static int trial_nvml(void)
{
	int (*init)(void), (*count)(unsigned *), (*version)(char *, unsigned);
	void *lib = dlopen(DOCTOR_NVML, RTLD_NOW | RTLD_LOCAL);
	unsigned devices = 0;
	char text[96] = "";
	int r;

	if (!lib)
		return fail(-1, dlerror());
	*(void **)&init = dlsym(lib, "nvmlInit_v2");
	*(void **)&count = dlsym(lib, "nvmlDeviceGetCount_v2");
	*(void **)&version = dlsym(lib, "nvmlSystemGetDriverVersion");
	if (!init || !count || !version)
		return fail(-2, "it lacks functions");
	r = init();
	if (r)
		return fail(r, "nvmlInit_v2");
	r = count(&devices);
	if (r)
		return fail(r, "nvmlDeviceGetCount_v2");
	r = version(text, sizeof(text));
	if (r)
		return fail(r, "nvmlSystemGetDriverVersion");
	printf("ok\t%u device%s, driver %s\n", devices, devices == 1 ? "" : "s", text);
	return 0;
}

static int trial(const struct ctl *ctl, const struct ctl_args *a)
{
	return strcmp(a->word[0], "nvml") ? trial_cuda() : trial_nvml();
}

const struct ctl_command ctl_command_trial = {
	.name = "trial",
	.arguments = "cuda|nvml",
	.min = 1,
	.max = 1,
	.summary = "Use the GPU once, as a program would",
	.run = trial,
	.hidden = true,
};

/* ---- the parent ----------------------------------------------------------------------------- */

struct outcome {
	bool right;
	int code;
	char text[1024];
};

static int run(const struct doctor *d, const char *which, struct outcome *ret_o)
{
	char path[sizeof(d->library_path) + 32], visible[sizeof(d->visible) + 32], node[PATH_MAX];
	char *const argv[] = { "", "trial", (char *)(uintptr_t)which, NULL };
	char *env[4] = { NULL }, text[2048], *tab;
	int n = 0, r;

	/* Nothing but what the unit itself sets. */
	snprintf(path, sizeof(path), "LD_LIBRARY_PATH=%s", d->library_path);
	snprintf(visible, sizeof(visible), "CUDA_VISIBLE_DEVICES=%s", d->visible);
	snprintf(node, sizeof(node), "VGPU_NODE_DIR=%s", d->node_dir);
	if (d->path_given)
		env[n++] = path;
	if (d->visible_given)
		env[n++] = visible;
	if (strcmp(d->node_dir, "/dev"))
		env[n++] = node;
	r = ctl_output(d, argv, env, TRIAL_SECONDS, text, sizeof(text));
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	tab = strchr(text, '\t');
	*ret_o = (struct outcome){ .right = !r && tab && !strncmp(text, "ok\t", 3), .code = r };
	if (tab && !ret_o->right) {
		ret_o->code = atoi(tab + 1);
		tab = strchr(tab + 1, '\t');
	}
	snprintf(ret_o->text, sizeof(ret_o->text), "%s", tab ? tab + 1 : "it ended without a word");
	return 0;
}

static const char *mend_of(int code)
{
	static const struct {
		int code;
		const char *mend;
	} mends[] = {
		{ -1, "see \"library\" above; a library it needs may be missing (ldd)" },
		{ -2, "that library is not the virtual GPU's; see \"library\" above" },
		{ -3, "please report this, with the output of vgpuctl status and the processor's "
		      "name" },
		{ CUDA_ERROR_OUT_OF_MEMORY, "the device's memory or the user's quota is used up: "
					    "vgpuctl status, vgpuctl clients" },
		{ CUDA_ERROR_NO_DEVICE, "libcuda.so.1 opened no node: see \"open\" above, and "
					"CUDA_VISIBLE_DEVICES" },
		{ CUDA_ERROR_DEVICE_UNAVAILABLE, "see the daemon's log: its worker cannot start" },
		{ CUDA_ERROR_LAUNCH_FAILED, "see the daemon's log: the worker ended" },
	};
	size_t i;

	for (i = 0; i < sizeof(mends) / sizeof(mends[0]); i++) {
		if (mends[i].code == code)
			return mends[i].mend;
	}
	return "see the daemon's log: journalctl -u vgpu-cuse, or /var/log/vgpu-cuse.log";
}

void doctor_kernel(struct doctor *d)
{
	struct outcome o;
	int r = run(d, "cuda", &o);

	if (r == -ETIMEDOUT)
		doctor_say(d, DOCTOR_FAIL, "kernel", mend_of(0),
			   "a trial kernel was not done after %d s", TRIAL_SECONDS);
	else if (r < 0)
		doctor_say(d, DOCTOR_FAIL, "kernel", "run it as root to look as another user",
			   "cannot run a trial as user %s: %s", d->user, strerror(-r));
	else if (o.right)
		doctor_say(d, DOCTOR_OK, "kernel", NULL, "%s", o.text);
	else if (o.code > 0)
		doctor_say(d, DOCTOR_FAIL, "kernel", mend_of(o.code), "%s answers error %d", o.text,
			   o.code);
	else
		doctor_say(d, DOCTOR_FAIL, "kernel", mend_of(o.code), "%s", o.text);
}

void doctor_nvml(struct doctor *d)
{
	struct outcome o;
	int r = run(d, "nvml", &o);

	if (r < 0 || (!o.right && o.code == -1))
		doctor_say(d, DOCTOR_NOTE, "nvml", NULL, "no " DOCTOR_NVML ": %s",
			   r < 0 ? strerror(-r) : o.text);
	else if (o.right)
		doctor_say(d, DOCTOR_OK, "nvml", NULL, "%s", o.text);
	else
		doctor_say(
			d, DOCTOR_FAIL, "nvml",
			"find out whose it is (ldconfig -p | grep nvidia-ml); see \"open\" above",
			DOCTOR_NVML ": %s answers %d", o.text, o.code);
}

/* SPDX-License-Identifier: MIT */
/* call.c - around every entry point; see call.h. */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "libcuda/core/call.h"
#include "libcuda/core/error.h"
#include "libcuda/core/logs.h"
#include "libcuda/link/link.h"

static pthread_once_t trace_once = PTHREAD_ONCE_INIT;
static int trace_fd = -1;

/* VGPU_TRACE=1 traces to stderr, anything else is a path. */
static void trace_setup(void)
{
	const char *s = secure_getenv("VGPU_TRACE");

	if (!s || !*s || !strcmp(s, "0"))
		return;
	trace_fd = strcmp(s, "1") ? cu_log_open(s) : 2;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

CUresult cu_enter(struct cu_call *call, const char *symbol, unsigned flags, const void *caller)
{
	struct cu_thread *t = cu_thread();

	call->outer = t->call;
	call->symbol = symbol;
	call->caller = caller;
	call->per_thread = flags & CU_CALL_PER_THREAD;
	call->start_ns = 0;
	call->told = false;
	t->call = call;
	t->per_thread = call->per_thread;

	pthread_once(&trace_once, trace_setup);
	if (trace_fd >= 0)
		call->start_ns = now_ns();
	if (flags & CU_CALL_EARLY)
		return CUDA_SUCCESS;
	return t->in_callback ? CUDA_ERROR_NOT_PERMITTED : cu_process_state();
}

static void trace_line(const struct cu_call *call, CUresult r)
{
	char line[256];
	const char *name = cu_error_name(r);
	int n = snprintf(line, sizeof(line), "vgpu[%d:%d] %s = %d %s  %.1f us\n", (int)getpid(),
			 (int)gettid(), call->symbol, (int)r, name ? name : "?",
			 (double)(now_ns() - call->start_ns) / 1000.0);

	if (n > 0 && write(trace_fd, line, (size_t)n) < 0)
		return;
}

/* Once per symbol, unless somebody below knew more and has said it. */
static void tell_unsupported(const struct cu_call *call, _Atomic bool *said)
{
	if (*said)
		return;
	*said = true;
	if (!call->told)
		cu_log(CU_LOG_WARN, "%s is not built, or not for these arguments: %s", call->symbol,
		       cu_error_name(CUDA_ERROR_NOT_SUPPORTED));
}

/* Answers that programs ask for are no errors. */
static void log_error(const struct cu_call *call, CUresult r)
{
	char text[160];

	if (r == CUDA_SUCCESS || r == CUDA_ERROR_NOT_READY || r == CUDA_ERROR_NOT_FOUND ||
	    r == CUDA_ERROR_DEINITIALIZED || call->outer)
		return;
	snprintf(text, sizeof(text), "Returning %d (%s) from %s", (int)r,
		 cu_error_name(r) ? cu_error_name(r) : "?", call->symbol);
	cu_logs_add(CU_LOG_LEVEL_ERROR, text);
}

CUresult cu_leave(struct cu_call *call, CUresult r, _Atomic bool *said)
{
	struct cu_thread *t = cu_thread();

	if (r == CUDA_ERROR_NOT_SUPPORTED)
		tell_unsupported(call, said);
	t->call = call->outer;
	t->per_thread = call->outer && call->outer->per_thread;
	log_error(call, r);
	if (trace_fd >= 0)
		trace_line(call, r);
	return r;
}

/* --------------------------------------------------------------------------------------------- */

/* Does @file begin with one of the comma-separated prefixes? */
static bool soname_listed(const char *list, size_t list_bytes, const char *file)
{
	const char *end = list + strnlen(list, list_bytes);

	while (list < end) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		size_t n = (size_t)((comma ? comma : end) - list);

		if (n && !strncmp(file, list, n))
			return true;
		list += n + 1;
	}
	return false;
}

/* Path of the object that holds @address, NULL for the program itself and for no object. */
static const char *object_path(const void *address)
{
#ifdef DLFO_STRUCT_HAS_EH_DBASE
	struct dl_find_object found;

	/* Takes no lock, so it is cheap enough to be asked every time. */
	if (_dl_find_object((void *)(uintptr_t)address, &found))
		return NULL;
	return found.dlfo_link_map ? found.dlfo_link_map->l_name : NULL;
#else
	Dl_info info;

	return dladdr(address, &info) ? info.dli_fname : NULL;
#endif
}

bool cu_caller_is_library(const struct cu_device *dev)
{
	const struct cu_call *call = cu_thread()->call;
	const struct vgpu_device_info *info = &dev->link->info;
	const char *path, *slash;

	if (!call || !info->library_sonames[0])
		return false;
	path = object_path(call->caller);
	if (!path || !*path)
		return false;
	slash = strrchr(path, '/');
	return soname_listed(info->library_sonames, sizeof(info->library_sonames),
			     slash ? slash + 1 : path);
}

int cu_caller_cc(const struct cu_device *dev)
{
	const struct vgpu_device_info *info = &dev->link->info;

	if (info->library_cc && cu_caller_is_library(dev))
		return (int)info->library_cc;
	return (int)(info->cc_major * 10 + info->cc_minor);
}

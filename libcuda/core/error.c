/* SPDX-License-Identifier: MIT */
/* error.c - errno to CUresult, names and texts of CUresults, and the client's log. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "libcuda/core/call.h"
#include "libcuda/core/error.h"
#include "libcuda/core/logs.h"

CUresult cu_from_errno(int err)
{
	switch (-err) {
	case 0:
		return CUDA_SUCCESS;
	case EINVAL:
	case E2BIG:
	case EOVERFLOW:
	case EFAULT:
		return CUDA_ERROR_INVALID_VALUE;
	case ENOMEM:
	case EDQUOT:
	case ENOSPC:
		return CUDA_ERROR_OUT_OF_MEMORY;
	case EBADF:
		return CUDA_ERROR_INVALID_HANDLE;
	case ENOENT:
		return CUDA_ERROR_NOT_FOUND;
	case ENODEV:
		/* The worker died under us: as with a wild kernel, nothing of it can be used again.
		 */
		return CUDA_ERROR_LAUNCH_FAILED;
	case EACCES:
	case EPERM:
		return CUDA_ERROR_NOT_PERMITTED;
	case ENOTSUP:
		return CUDA_ERROR_NOT_SUPPORTED;
	case EAGAIN:
		return CUDA_ERROR_NOT_READY;
	case ETIMEDOUT:
		return CUDA_ERROR_TIMEOUT;
	case ENOTTY:
	case EPROTO:
	case EPROTONOSUPPORT:
		return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
	case EMFILE:
	case ENFILE:
		return CUDA_ERROR_OPERATING_SYSTEM;
	default:
		return CUDA_ERROR_UNKNOWN;
	}
}

struct error_text {
	CUresult code;
	const char *name;
	const char *text;
};

static const struct error_text error_texts[] = {
#define CU_ERROR(code, text) { code, #code, text },
#include "libcuda/core/error.def"
#undef CU_ERROR
};

static const struct error_text *error_find(CUresult r)
{
	for (size_t i = 0; i < sizeof(error_texts) / sizeof(error_texts[0]); i++)
		if (error_texts[i].code == r)
			return &error_texts[i];
	return NULL;
}

const char *cu_error_name(CUresult r)
{
	const struct error_text *e = error_find(r);

	return e ? e->name : NULL;
}

const char *cu_error_text(CUresult r)
{
	const struct error_text *e = error_find(r);

	return e ? e->text : NULL;
}

/* --------------------------------------------------------------------------------------------- */

static pthread_once_t log_once = PTHREAD_ONCE_INIT;
static int log_level = CU_LOG_WARN;
static int log_fd = 2;

int cu_log_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);

	return fd < 0 ? 2 : fd;
}

static void log_setup(void)
{
	static const struct {
		const char *name;
		enum cu_log_level level;
	} levels[] = {
		{ "off", CU_LOG_OFF },	 { "error", CU_LOG_ERROR }, { "warn", CU_LOG_WARN },
		{ "info", CU_LOG_INFO }, { "debug", CU_LOG_DEBUG },
	};
	const char *s = secure_getenv("VGPU_LOG");

	if (!s || !*s)
		return;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		size_t n = strlen(levels[i].name);

		if (strncmp(s, levels[i].name, n) || (s[n] && s[n] != ':'))
			continue;
		log_level = levels[i].level;
		if (s[n] == ':')
			log_fd = cu_log_open(s + n + 1);
		return;
	}
	cu_log_line(CU_LOG_WARN, "VGPU_LOG=%.40s: off, error, warn, info or debug is expected", s);
}

bool cu_log_on(enum cu_log_level level)
{
	pthread_once(&log_once, log_setup);
	/* Errors and warnings are for the log that programs can read, too. */
	return (int)level <= log_level || level <= CU_LOG_WARN;
}

void cu_log_line(enum cu_log_level level, const char *fmt, ...)
{
	static const char *const words[] = {
		[CU_LOG_ERROR] = "error",
		[CU_LOG_WARN] = "warning",
		[CU_LOG_INFO] = "info",
		[CU_LOG_DEBUG] = "debug",
	};
	char line[1024];
	va_list ap;
	int n, m;

	n = snprintf(line, sizeof(line), "vgpu[%d] %s: ", (int)getpid(), words[level]);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	if (level <= CU_LOG_WARN)
		cu_logs_add(level <= CU_LOG_ERROR ? CU_LOG_LEVEL_ERROR : CU_LOG_LEVEL_WARNING,
			    line + n);
	if ((int)level > log_level)
		return;
	n += m;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (cu_thread()->call)
		cu_thread()->call->told = true;
	/* One write, so that lines of several threads do not mix; nobody to tell if it fails. */
	if (write(log_fd, line, (size_t)n) < 0)
		return;
}

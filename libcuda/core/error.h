/* SPDX-License-Identifier: MIT */
/*
 * error.h - the one place where errno values become CUresults, and the log of the client side.
 */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

#include <stdbool.h>

#include <cuda.h>

/** cu_from_errno() - @err: 0 or a negative errno of link/. */
CUresult cu_from_errno(int err);

/** cu_error_name(), cu_error_text() - NULL for a number that is no CUresult. */
const char *cu_error_name(CUresult r);
const char *cu_error_text(CUresult r);

/*
 * The client's log goes to stderr. VGPU_LOG=off|error|warn|info|debug says how much, and where with
 * a path after a colon ("info:/tmp/log"). Without it, warn: what is not built, kernels that were
 * refused or broke. To look for a device or a symbol that is not there is no warning.
 */
enum cu_log_level {
	CU_LOG_OFF = 0,
	CU_LOG_ERROR = 3,
	CU_LOG_WARN = 4,
	CU_LOG_INFO = 6,
	CU_LOG_DEBUG = 7
};

/** cu_log_open() - a descriptor to append to; 2 if @path cannot be opened. */
int cu_log_open(const char *path);
bool cu_log_on(enum cu_log_level level);
void cu_log_line(enum cu_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define cu_log(level, ...)                                                                         \
	do {                                                                                       \
		if (cu_log_on(level))                                                              \
			cu_log_line(level, __VA_ARGS__);                                           \
	} while (0)

/** cu_log_once() - one line per place. */
#define cu_log_once(level, ...)                                                                    \
	do {                                                                                       \
		static _Atomic bool said_;                                                         \
		if (cu_log_on(level) && !said_) {                                                  \
			said_ = true;                                                              \
			cu_log_line(level, __VA_ARGS__);                                           \
		}                                                                                  \
	} while (0)

#endif

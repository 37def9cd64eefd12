/* SPDX-License-Identifier: MIT */
/*
 * log.h - one line per event on stderr, in the form systemd-journald reads ("<3>vgpu-cuse: ...").
 *
 * Only programs log (front, worker main, tools); rooms below return errors. Lines say what happened
 * and what to do about it.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>

enum log_level {
	LOG_L_ERROR = 3,
	LOG_L_WARN = 4,
	LOG_L_NOTICE = 5,
	LOG_L_INFO = 6,
	LOG_L_DEBUG = 7
};

/** log_init() - @name stands in front of each line; @level: the most talkative one to print. */
void log_init(const char *name, enum log_level level);
/** log_never_wait() - from now on a line that nobody reads is lost, and counted, not waited for. */
void log_never_wait(void);
/** log_level_from_text() - "error" .. "debug"; -EINVAL otherwise. */
int log_level_from_text(const char *text, enum log_level *ret_level);
/**
 * log_capture() - until the next call errors are not logged; the first goes to @text, without the name
 * in front: for whoever asked for what failed. NULL: no more.
 */
void log_capture(char *text, size_t size);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	log_line(LOG_L_ERROR, __VA_ARGS__)
#define log_warn(...)	log_line(LOG_L_WARN, __VA_ARGS__)
#define log_notice(...) log_line(LOG_L_NOTICE, __VA_ARGS__)
#define log_info(...)	log_line(LOG_L_INFO, __VA_ARGS__)
#define log_debug(...)	log_line(LOG_L_DEBUG, __VA_ARGS__)

#endif

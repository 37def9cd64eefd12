/* SPDX-License-Identifier: MIT */
/*
 * log.c - formats a line and writes it with one write(2), so lines of several threads do not mix.
 *
 * A program that serves others must not wait for whoever reads its log: a stopped pager, a terminal
 * on hold, a journal that is being debugged. log_never_wait() has such lines counted instead. The
 * flag that makes a descriptor not wait belongs to all its holders, so stderr is opened again.
 */
#include "cuse_dev/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	const char *name;
	enum log_level level;
	int journal;   /* stderr is the journal: it wants "<level>" in front */
	char *capture; /* NULL: nobody asked */
	size_t capture_size;
	int fd;		  /* where the lines go */
	int is_socket;	  /* and must be sent, so as not to wait */
	atomic_uint lost; /* lines that nobody took */
} state = { .name = "vgpu", .level = LOG_L_INFO, .fd = STDERR_FILENO };

/* The variable names the file that systemd gave us; it is inherited where stderr is another. */
static int stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return text && sscanf(text, "%llu:%llu", &dev, &ino) == 2 && !fstat(STDERR_FILENO, &st) &&
	       st.st_dev == dev && st.st_ino == ino;
}

void log_init(const char *name, enum log_level level)
{
	state.name = name;
	state.level = level;
	state.journal = stderr_is_journal();
}

int log_level_from_text(const char *text, enum log_level *ret_level)
{
	static const char *const names[] = { "error", "warning", "notice", "info", "debug" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(text, names[i])) {
			*ret_level = (enum log_level)(LOG_L_ERROR + i);
			return 0;
		}
	}
	return -EINVAL;
}

void log_capture(char *text, size_t size)
{
	state.capture = text;
	state.capture_size = size;
	if (text)
		*text = '\0';
}

void log_never_wait(void)
{
	struct stat st;
	int fd;

	if (fstat(STDERR_FILENO, &st) < 0)
		return;
	if (S_ISSOCK(st.st_mode)) {
		state.is_socket = 1;
	} else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (fd >= 0)
			state.fd = fd;
	}
}

static int put(const char *line, size_t bytes)
{
	ssize_t n = state.is_socket ? send(state.fd, line, bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
				    : write(state.fd, line, bytes);

	return n < 0 ? -errno : 0;
}

/* What stands before the text of a line. */
static int put_head(char *line, size_t size, enum log_level level)
{
	static const char *const word[] = { "error: ", "warning: ", "", "", "debug: " };

	return snprintf(line, size, state.journal ? "<%d>%s: %s" : "%.0d%s: %s",
			state.journal ? (int)level : 0, state.name,
			state.journal ? "" : word[level - LOG_L_ERROR]);
}

/* There is room again, or there never was any trouble. */
static void tell_lost(void)
{
	unsigned int lost = atomic_exchange(&state.lost, 0);
	char line[160];
	int n;

	if (!lost)
		return;
	n = put_head(line, sizeof(line), LOG_L_WARN);
	n += snprintf(line + n, sizeof(line) - (size_t)n,
		      "%u lines are lost, because nobody read them\n", lost);
	if (put(line, (size_t)n) < 0)
		atomic_fetch_add(&state.lost, lost);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n, m;

	if (level == LOG_L_ERROR && state.capture) {
		va_start(ap, fmt);
		if (!*state.capture)
			vsnprintf(state.capture, state.capture_size, fmt, ap);
		va_end(ap);
		return;
	}
	if (level > state.level)
		return;
	n = put_head(line, sizeof(line), level);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m > 0)
		n += m;
	if ((size_t)n > sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	tell_lost();
	if (put(line, (size_t)n) == -EAGAIN)
		atomic_fetch_add(&state.lost, 1);
}

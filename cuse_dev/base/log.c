/* SPDX-License-Identifier: MIT */
/* log.c - formats a line and writes it with one write(2), so lines of several threads do not mix. */
#include "cuse_dev/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	const char *name;
	enum log_level level;
	int journal;   /* stderr is the journal: it wants "<level>" in front */
	char *capture; /* NULL: nobody asked */
	size_t capture_size;
} state = { .name = "vgpu", .level = LOG_L_INFO };

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

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const word[] = { "error: ", "warning: ", "", "", "debug: " };
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
	n = snprintf(line, sizeof(line), state.journal ? "<%d>%s: %s" : "%.0d%s: %s",
		     state.journal ? (int)level : 0, state.name,
		     state.journal ? "" : word[level - LOG_L_ERROR]);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m > 0)
		n += m;
	if ((size_t)n > sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to say so */
}

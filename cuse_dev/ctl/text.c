/* SPDX-License-Identifier: MIT */
/* text.c - numbers as people read them, and members of JSON objects. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuse_dev/ctl/ctl.h"

char *ctl_size(uint64_t bytes, char buf[24])
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double n = (double)bytes;
	size_t i = 0;

	while (n >= 1024 && i < sizeof(unit) / sizeof(unit[0]) - 1) {
		n /= 1024;
		i++;
	}
	snprintf(buf, 24, i ? "%.1f %s" : "%.0f %s", n, unit[i]);
	return buf;
}

char *ctl_duration(uint64_t s, char buf[32])
{
	if (s >= 86400)
		snprintf(buf, 32, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(buf, 32, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(buf, 32, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else
		snprintf(buf, 32, "%" PRIu64 " s", s);
	return buf;
}

char *ctl_time(int64_t ns, char buf[40])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	size_t n;

	localtime_r(&seconds, &tm);
	n = strftime(buf, 40, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(buf + n, 40 - n, ".%03d", (int)(ns / 1000000 % 1000));
	return buf;
}

bool ctl_number(const char *text, uint64_t max, uint64_t *ret_n)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || n > max)
		return false;
	*ret_n = n;
	return true;
}

int ctl_print_json(const json_t *object)
{
	if (json_dumpf(object, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) < 0 || puts("") == EOF)
		return CTL_FAILED;
	return CTL_OK;
}

int64_t ctl_get(const json_t *object, const char *key, const char *inner)
{
	const json_t *value = json_object_get(object, key);

	return json_integer_value(inner ? json_object_get(value, inner) : value);
}

const char *ctl_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

void ctl_error(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("vgpuctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

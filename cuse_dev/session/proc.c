/* SPDX-License-Identifier: MIT */
/* proc.c - small readers of /proc; a file is read in one go into a buffer that is large enough. */
#include "cuse_dev/session/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_file(const char *path, char *buf, size_t size)
{
	size_t used = 0;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while (used < size - 1) {
		n = read(fd, buf + used, size - 1 - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	close(fd);
	buf[used] = '\0';
	return used ? 0 : -ESRCH;
}

/* The text behind "\n<key>:" or NULL. */
static const char *field(const char *text, const char *key)
{
	size_t n = strlen(key);
	const char *p = text;

	while (p) {
		if (*p == '\n')
			p++;
		if (!strncmp(p, key, n) && p[n] == ':')
			return p + n + 1;
		p = strchr(p, '\n');
	}
	return NULL;
}

static int read_status(uint32_t tid, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/status", tid);
	return read_file(path, buf, size);
}

int proc_identify(uint32_t tid, struct proc_id *ret_id)
{
	char buf[8192], path[64];
	unsigned long long start;
	const char *p;
	uint32_t tgid;
	int i, r;

	if (!tid)
		return -ESRCH;
	r = read_status(tid, buf, sizeof(buf));
	if (r < 0)
		return r;
	p = field(buf, "Tgid");
	tgid = p ? (uint32_t)strtoul(p, NULL, 10) : 0;
	if (!tgid)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%u/stat", tgid);
	r = read_file(path, buf, sizeof(buf));
	if (r < 0)
		return r;
	/* Field 22; the name in field 2 may hold anything, so count from its closing bracket. */
	p = strrchr(buf, ')');
	for (i = 2; p && i < 22; i++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, "%llu", &start) != 1)
		return -ESRCH;
	*ret_id = (struct proc_id){ .tgid = tgid, .start = start };
	return 0;
}

bool proc_in_group(uint32_t tid, gid_t gid)
{
	char buf[65536], *end;
	const char *p;
	unsigned long g;

	if (!tid || read_status(tid, buf, sizeof(buf)) < 0)
		return false;
	p = field(buf, "Groups");
	while (p && *p && *p != '\n') {
		g = strtoul(p, &end, 10);
		if (end == p)
			break;
		if (g == gid)
			return true;
		p = end;
		while (*p == ' ' || *p == '\t')
			p++;
	}
	return false;
}

bool proc_dying(uint32_t tid)
{
	static const char *const keys[] = { "SigPnd", "ShdPnd" };
	char buf[8192];
	const char *p;
	size_t i;

	if (!tid)
		return false;
	if (read_status(tid, buf, sizeof(buf)) < 0)
		return true;
	for (i = 0; i < 2; i++) {
		p = field(buf, keys[i]);
		if (p && strtoull(p, NULL, 16) & 1ull << (SIGKILL - 1))
			return true;
	}
	return false;
}

uint64_t proc_mem_available(uint64_t *ret_total)
{
	char buf[8192];
	const char *avail, *total;

	if (read_file("/proc/meminfo", buf, sizeof(buf)) < 0)
		return 0;
	avail = field(buf, "MemAvailable");
	total = field(buf, "MemTotal");
	if (ret_total)
		*ret_total = total ? strtoull(total, NULL, 10) << 10 : 0;
	return avail ? strtoull(avail, NULL, 10) << 10 : 0;
}

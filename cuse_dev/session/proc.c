/* SPDX-License-Identifier: MIT */
/* proc.c - small readers of /proc; a file is read in one go into a buffer that is large enough. */
#include "cuse_dev/session/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

void proc_name(uint32_t tgid, char *name, size_t size)
{
	char path[64], buf[4096];

	snprintf(path, sizeof(path), "/proc/%u/cmdline", tgid);
	if (tgid && read_file(path, buf, sizeof(buf)) == 0 && *buf)
		snprintf(name, size, "%s", buf);
}

static bool namespace_of(const char *process, struct stat *st)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/ns/pid", process);
	return stat(path, st) == 0;
}

static bool namespace_of_pid(uint32_t pid, struct stat *st)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", pid);
	return pid && namespace_of(text, st);
}

void proc_view(uint32_t viewer, struct proc_viewer *ret_view)
{
	struct stat theirs, ours;

	*ret_view = (struct proc_viewer){ 0 };
	if (!namespace_of_pid(viewer, &theirs))
		return;
	ret_view->dev = theirs.st_dev;
	ret_view->ino = theirs.st_ino;
	ret_view->ours = namespace_of("self", &ours) && ours.st_dev == theirs.st_dev &&
			 ours.st_ino == theirs.st_ino;
}

uint32_t proc_seen(const struct proc_viewer *view, uint32_t tgid)
{
	unsigned long number = 0;
	struct stat st;
	char buf[8192], *end;
	const char *p;

	if (view->ours)
		return tgid;
	if (!view->ino || !namespace_of_pid(tgid, &st) || st.st_dev != view->dev ||
	    st.st_ino != view->ino || read_status(tgid, buf, sizeof(buf)) < 0)
		return 0;
	/* One number for each namespace, from the outermost to its own. */
	for (p = field(buf, "NSpid"); p && *p && *p != '\n'; p = end) {
		number = strtoul(p, &end, 10);
		if (end == p)
			break;
		while (*end == ' ' || *end == '\t')
			end++;
	}
	return (uint32_t)number;
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

/* ---- memory --------------------------------------------------------------------------------- */

/* The two kinds of memory control groups. */
static const struct cgroup_kind {
	const char *root, *limit, *usage, *cache;
} cgroup_v2 = { "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file" },
  cgroup_v1 = { "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
		"total_inactive_file" };

static uint64_t read_number(const char *dir, const char *name, uint64_t other)
{
	char path[PATH_MAX + 32], buf[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (read_file(path, buf, sizeof(buf)) < 0 || *buf < '0' || *buf > '9')
		return other; /* "max", or there is no such group */
	return strtoull(buf, NULL, 10);
}

/* File pages that the group could drop, which its usage counts. */
static uint64_t read_cache(const char *dir, const char *key)
{
	char path[PATH_MAX + 16], buf[8192], *line, *save = NULL;
	size_t n = strlen(key);

	snprintf(path, sizeof(path), "%s/memory.stat", dir);
	if (read_file(path, buf, sizeof(buf)) < 0)
		return 0;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!strncmp(line, key, n) && line[n] == ' ')
			return strtoull(line + n, NULL, 10);
	}
	return 0;
}

/* The group and those around it. In a container its path may be the host's; its root holds. */
static void apply_groups(const struct cgroup_kind *k, const char *group, uint64_t *avail,
			 uint64_t *total)
{
	uint64_t limit, usage, cache, left;
	char dir[PATH_MAX], *slash;

	snprintf(dir, sizeof(dir), "%s%s", k->root, group);
	for (;;) {
		limit = read_number(dir, k->limit, UINT64_MAX);
		if (limit < *total) {
			usage = read_number(dir, k->usage, 0);
			cache = read_cache(dir, k->cache);
			usage -= cache < usage ? cache : usage;
			left = usage < limit ? limit - usage : 0;
			*total = limit;
			*avail = left < *avail ? left : *avail;
		}
		slash = strrchr(dir, '/');
		if (strlen(dir) <= strlen(k->root) || !slash)
			return;
		*slash = '\0';
	}
}

static void apply_limits(uint64_t *avail, uint64_t *total)
{
	char buf[8192], *line, *save = NULL, *controllers, *group;

	if (read_file("/proc/self/cgroup", buf, sizeof(buf)) < 0)
		return;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		controllers = strchr(line, ':');
		group = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!group)
			continue;
		*group++ = '\0';
		controllers++;
		if (!*controllers)
			apply_groups(&cgroup_v2, group, avail, total);
		else if (!strcmp(controllers, "memory"))
			apply_groups(&cgroup_v1, group, avail, total);
	}
}

uint64_t proc_mem_available(uint64_t *ret_total)
{
	uint64_t avail, total;
	const char *a, *t;
	char buf[8192];

	if (read_file("/proc/meminfo", buf, sizeof(buf)) < 0)
		return 0;
	a = field(buf, "MemAvailable");
	t = field(buf, "MemTotal");
	avail = a ? strtoull(a, NULL, 10) << 10 : 0;
	total = t ? strtoull(t, NULL, 10) << 10 : 0;
	apply_limits(&avail, &total);
	if (ret_total)
		*ret_total = total;
	return avail;
}

uint64_t proc_mem_private(uint32_t pid)
{
	unsigned long long resident, shared;
	char path[64], buf[256];

	snprintf(path, sizeof(path), "/proc/%u/statm", pid);
	if (!pid || read_file(path, buf, sizeof(buf)) < 0 ||
	    sscanf(buf, "%*u %llu %llu", &resident, &shared) != 2 || shared > resident)
		return 0;
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

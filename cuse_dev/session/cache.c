/* SPDX-License-Identifier: MIT */
/* cache.c - directories and files of the cache; every failure means no cache, said once. */
#include "cuse_dev/session/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/base/store.h"
#include "cuse_dev/session/front.h"

#define PREFIX "kernels-"

static void add_file(struct store_hash *h, const char *path)
{
	char buf[65536];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		store_hash_add(h, buf, (size_t)n);
	close(fd);
}

/* Model and features of the first CPU; the clock in between changes all the time. */
static void add_cpu(struct store_hash *h)
{
	static const char *const wanted[] = { "vendor_id", "cpu family", "model", "flags" };
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t cap = 0, i;

	while (f && getline(&line, &cap, f) > 1) {
		for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			if (!strncmp(line, wanted[i], strlen(wanted[i])))
				store_hash_add(h, line, strlen(line));
		}
	}
	free(line);
	if (f)
		fclose(f);
}

uint64_t cache_stamp(const char *program)
{
	struct store_hash *h = store_hash_create();

	if (!h)
		return 0;
	add_file(h, program);
	add_cpu(h);
	return store_hash_end(h).word[0];
}

static int open_dir(int at, const char *path, mode_t mode)
{
	if (mkdirat(at, path, mode) < 0 && errno != EEXIST)
		return -errno;
	at = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return at < 0 ? -errno : at;
}

/* Files of other compilers: nobody will look into them any more. */
static void remove_others(int dir, const char *name)
{
	int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((e = readdir(d))) {
		if (!strncmp(e->d_name, PREFIX, strlen(PREFIX)) && strcmp(e->d_name, name))
			unlinkat(dir, e->d_name, 0);
	}
	closedir(d);
}

static bool is_store(int fd, uint64_t bytes)
{
	struct store *s;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != bytes ||
	    store_open(fd, &s) < 0)
		return false;
	store_close(s);
	return true;
}

/* Made beside it and moved over it: those who have the old one open are not disturbed. */
static int make_store(int dir, const char *name, uint64_t bytes)
{
	char temp[64];
	int fd, r;

	snprintf(temp, sizeof(temp), "new-%d", (int)getpid());
	unlinkat(dir, temp, 0);
	fd = openat(dir, temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = store_format(fd, bytes);
	if (r == 0 && renameat(dir, temp, dir, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dir, temp, 0);
		close(fd);
		return r;
	}
	remove_others(dir, name);
	return fd;
}

static int open_store(const struct front *f, int dir, const char *name, bool write)
{
	int fd, made;

	fd = openat(dir, name, (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && is_store(fd, f->config->cache_size))
		return fd;
	if (fd >= 0)
		close(fd);
	else if (errno != ENOENT)
		return -errno;
	made = make_store(dir, name, f->config->cache_size);
	if (made < 0 || write)
		return made;
	close(made);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cache_open(const struct front *f, uid_t uid, bool write)
{
	static bool told;
	const char *path = f->config->cache_dir;
	char user[24], name[48];
	int dir, sub, fd = -EINVAL;

	if (!f->cache_stamp || !strcmp(path, "none"))
		return -1;
	snprintf(user, sizeof(user), "%u", (unsigned)uid);
	snprintf(name, sizeof(name), PREFIX "%016llx", (unsigned long long)f->cache_stamp);
	dir = open_dir(AT_FDCWD, path, 0755);
	sub = dir < 0 ? dir : open_dir(dir, user, 0700);
	if (dir >= 0)
		close(dir);
	if (sub >= 0) {
		fd = open_store(f, sub, name, write);
		close(sub);
	}
	if (sub >= 0 && fd >= 0)
		return fd;
	if (!told)
		log_notice("%s: compiled kernels are not kept: %s", path,
			   strerror(sub < 0 ? -sub : -fd));
	told = true;
	return -1;
}

/* SPDX-License-Identifier: MIT */
/*
 * share.c - /proc/<tid>/fd/<n>, with care.
 *
 * The number may name anything: a FIFO, a tape, a file on a file system whose server never answers.
 * So the first look is through O_PATH, which starts nothing, and asks only for the device number,
 * which statx knows without asking the file system. Only what lies where the kernel keeps memfds is
 * opened; of what a program maps, also regular files of file systems that answer by themselves. The
 * caller is in its ioctl all the while, so the number cannot change owner.
 */
#include "cuse_dev/door/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int device_of(int fd, dev_t *ret_dev, bool *ret_regular)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return -errno;
	*ret_dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	*ret_regular = S_ISREG(st.stx_mode);
	return 0;
}

/* Whether a mount that we see has that device and never waits for anybody outside the kernel. */
static bool is_local(dev_t dev)
{
	static const char *const types[] = { "tmpfs", "ramfs", "ext2", "ext3", "ext4", "xfs" };
	unsigned int major, minor;
	char line[4096], type[32];
	const char *rest;
	bool found = false;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d %*d %u:%u", &major, &minor) != 2 ||
		    makedev(major, minor) != dev)
			continue;
		rest = strstr(line, " - ");
		if (!rest || sscanf(rest, " - %31s", type) != 1)
			continue;
		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
			found |= !strcmp(type, types[i]);
	}
	if (f)
		fclose(f);
	return found;
}

/* All memfds lie on one internal mount; one of our own tells which. */
static int may_open(int path_fd, bool any_file)
{
	dev_t mine, theirs;
	bool regular;
	int fd, r;

	fd = memfd_create("vgpu-compare", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = device_of(fd, &mine, &regular);
	close(fd);
	if (!r)
		r = device_of(path_fd, &theirs, &regular);
	if (r < 0)
		return r;
	if (mine == theirs || (any_file && regular && is_local(theirs)))
		return 0;
	return -EPERM;
}

static int check(int fd, const struct share_want *want)
{
	struct stat st;
	int seals;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (want->rule == SHARE_READ)
		return (uint64_t)st.st_size >= want->size ? 0 : -EINVAL;
	if (want->rule == SHARE_FILE || want->rule == SHARE_FILE_READ) {
		/* Its last page may be there in part. */
		if (!S_ISREG(st.st_mode))
			return -EPERM;
		return ((uint64_t)st.st_size + 4095) / 4096 >= want->size / 4096 ? 0 : -EINVAL;
	}
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS || seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	if (!st.st_size || (want->rule == SHARE_SEALED && (uint64_t)st.st_size != want->size))
		return -EINVAL;
	return 0;
}

int share_open(uint32_t tid, const struct share_want *want, int *ret_fd)
{
	bool file = want->rule == SHARE_FILE || want->rule == SHARE_FILE_READ;
	bool write = want->rule != SHARE_READ && want->rule != SHARE_FILE_READ;
	int path_fd, fd = -1, r;
	struct stat link;
	char path[64];

	if (want->fd < 0)
		return -EBADF;
	snprintf(path, sizeof(path), "/proc/%u/fd/%d", tid, want->fd);
	/* The link's mode says how the caller has it open; reading must not turn into writing. */
	if (lstat(path, &link) < 0)
		return errno == ENOENT ? -EBADF : -ENOTSUP;
	if (write && (link.st_mode & (S_IRUSR | S_IWUSR)) != (S_IRUSR | S_IWUSR))
		return -EPERM;
	path_fd = open(path, O_PATH | O_CLOEXEC);
	if (path_fd < 0)
		return errno == ENOENT ? -EBADF : -ENOTSUP;
	r = may_open(path_fd, file);
	if (r < 0)
		goto close_path;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	/* Without waiting for a lease of the caller's to end. */
	fd = open(path, (write ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
	r = fd < 0 ? -errno : check(fd, want);
	if (r < 0 && fd >= 0)
		close(fd);
close_path:
	close(path_fd);
	if (!r)
		*ret_fd = fd;
	return r;
}

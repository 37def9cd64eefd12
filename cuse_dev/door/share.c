/* SPDX-License-Identifier: MIT */
/*
 * share.c - /proc/<tid>/fd/<n>, with care.
 *
 * The number may name anything: a FIFO, a tape, a file on a file system whose server never answers.
 * So the first look is through O_PATH, which starts nothing, and asks only for the device number,
 * which statx knows without asking the file system. Only what lies where the kernel keeps memfds is
 * opened. The caller is in its ioctl all the while, so the number cannot change owner.
 */
#include "cuse_dev/door/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int device_of(int fd, dev_t *ret_dev)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return -errno;
	*ret_dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	return 0;
}

/* All memfds lie on one internal mount; one of our own tells which. */
static int is_memfd(int path_fd)
{
	dev_t mine, theirs;
	int fd, r;

	fd = memfd_create("vgpu-compare", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = device_of(fd, &mine);
	close(fd);
	if (!r)
		r = device_of(path_fd, &theirs);
	if (r < 0)
		return r;
	return mine == theirs ? 0 : -EPERM;
}

static int check(int fd, const struct share_want *want)
{
	struct stat st;
	int seals;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (want->rule == SHARE_READ)
		return (uint64_t)st.st_size >= want->size ? 0 : -EINVAL;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS || seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	if (!st.st_size || (want->rule == SHARE_SEALED && (uint64_t)st.st_size != want->size))
		return -EINVAL;
	return 0;
}

int share_open(uint32_t tid, const struct share_want *want, int *ret_fd)
{
	bool write = want->rule != SHARE_READ;
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
	r = is_memfd(path_fd);
	if (r < 0)
		goto close_path;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	r = fd < 0 ? -errno : check(fd, want);
	if (r < 0 && fd >= 0)
		close(fd);
close_path:
	close(path_fd);
	if (!r)
		*ret_fd = fd;
	return r;
}

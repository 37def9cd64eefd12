/* SPDX-License-Identifier: MIT */
/* lock.c - a file that holds our process id, with flock(2): the kernel lets go of it when we die.
 */
#include "cuse_dev/session/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"

static int make_dirs(const char *dir)
{
	char copy[PATH_MAX];
	char *p;

	snprintf(copy, sizeof(copy), "%s", dir);
	for (p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(copy, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* The file we locked may have been removed by its last owner meanwhile. */
static int still_there(const struct lock *l)
{
	struct stat ours, there;

	return !fstat(l->fd, &ours) && !stat(l->path, &there) && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

static int busy(const struct lock *l)
{
	char text[32] = "";
	ssize_t n = pread(l->fd, text, sizeof(text) - 1, 0);

	log_error("vgpu-cuse runs already as process %ld (%s)", n > 0 ? strtol(text, NULL, 10) : 0L,
		  l->path);
	return -EBUSY;
}

int lock_take(struct lock *l, const char *run_dir)
{
	char text[32];
	int r, n;

	l->fd = -1;
	if ((size_t)snprintf(l->path, sizeof(l->path), "%s/vgpu-cuse.lock", run_dir) >=
	    sizeof(l->path))
		return -ENAMETOOLONG;
	r = make_dirs(run_dir);
	if (r < 0) {
		log_error("%s: %s", run_dir, strerror(-r));
		return r;
	}
	for (;;) {
		l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (l->fd < 0) {
			r = -errno;
			log_error("%s: %s", l->path, strerror(-r));
			return r;
		}
		if (flock(l->fd, LOCK_EX | LOCK_NB) < 0) {
			r = errno == EWOULDBLOCK ? busy(l) : -errno;
			break;
		}
		if (still_there(l)) {
			n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
			r = ftruncate(l->fd, 0) < 0 || pwrite(l->fd, text, (size_t)n, 0) != n
				    ? -errno
				    : 0;
			break;
		}
		close(l->fd);
	}
	if (r < 0) {
		close(l->fd);
		l->fd = -1;
	}
	return r;
}

void lock_drop(struct lock *l)
{
	if (l->fd < 0)
		return;
	unlink(l->path);
	close(l->fd);
	l->fd = -1;
}

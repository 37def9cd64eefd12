/* SPDX-License-Identifier: MIT */
/* node.c - what may lie where a node is to be, after a crash or by somebody else's doing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/door/door.h"

#define MAX_STACKED 32 /* dead mounts on one node, one per crash */

extern char **environ;

/* Unprivileged users need the set-uid helper. */
static int unmount(const char *path)
{
	char *argv[] = { "fusermount3", "-u", "-z", "-q", "--", (char *)(uintptr_t)path, NULL };
	int status;
	pid_t pid;

	if (!umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW))
		return 0;
	if (errno != EPERM)
		return -errno;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) ||
	    waitpid(pid, &status, 0) < 0 || status)
		return -EPERM;
	return 0;
}

/* The attributes now, not those the kernel remembers: a dead server cannot say them. */
static int look(const char *path, struct statx *ret_st)
{
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS,
		  ret_st) < 0)
		return -errno;
	return 0;
}

static bool mounted_on(const char *path, const struct statx *st)
{
	char dir[PATH_MAX];
	struct statx up;
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash)
		return false;
	slash[slash == dir] = '\0';
	return statx(AT_FDCWD, dir, 0, STATX_BASIC_STATS, &up) == 0 &&
	       (up.stx_dev_major != st->stx_dev_major || up.stx_dev_minor != st->stx_dev_minor);
}

int door_clear_node(const char *path)
{
	struct statx st;
	int i, r;

	for (i = 0; i < MAX_STACKED; i++) {
		r = look(path, &st);
		if (r != -ENOTCONN && r != -ECONNABORTED)
			break;
		log_notice("%s: removing the mount of a daemon that has died", path);
		r = unmount(path);
		if (r < 0)
			break;
	}
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		log_error("%s: %s", path, strerror(-r));
		return r;
	}
	if (mounted_on(path, &st) || S_ISCHR(st.stx_mode)) {
		log_error("%s: a node that works is there already; another daemon serves it", path);
		return -EBUSY;
	}
	if (!S_ISREG(st.stx_mode) || st.stx_size) {
		log_error("%s: there is something else at this place; not touching it", path);
		return -EEXIST;
	}
	return unlink(path) < 0 ? -errno : 0;
}

/* SPDX-License-Identifier: MIT */
/* jail.c - namespaces by clone(2), the rest in the child; a probe finds out what may be had. */
#include "cuse_dev/session/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"

#define NOBODY	       65534
#define SCRATCH	       "9" /* a descriptor for the time between clone and exec */
#define SCRATCH_FD     9
#define WORKER_FILES   16384 /* descriptors: one per exportable allocation, and few others */
#define WORKER_THREADS 32768 /* of all workers together, which are one user: the host keeps some */

static const struct {
	uint32_t flag;
	enum jail_wall wall;
} namespaces[] = {
	{ CLONE_NEWPID, JAIL_PID_NS },
	{ CLONE_NEWNET, JAIL_NET_NS },
	{ CLONE_NEWIPC, JAIL_IPC_NS },
	{ CLONE_NEWNS, JAIL_MOUNT_NS },
};

const char *jail_wall_text(enum jail_wall wall)
{
	static const char *const text[] = {
#define X(NAME, text) text,
		JAIL_WALLS(X)
#undef X
	};

	return text[wall];
}

int jail_init(struct jail *j, const char *user)
{
	const struct passwd *p = getpwnam(*user ? user : "vgpu");

	*j = (struct jail){ .change_user = geteuid() == 0, .uid = NOBODY, .gid = NOBODY };
	if (!p && *user) {
		log_error("user \"%s\": there is no such user", user);
		return -EINVAL;
	}
	if (!p)
		p = getpwnam("nobody");
	if (p) {
		j->uid = p->pw_uid;
		j->gid = p->pw_gid;
	}
	if (!j->uid) {
		log_error("user \"%s\": workers must not be root", user);
		return -EINVAL;
	}
	return 0;
}

void jail_program(struct jail *j, const char *path, const char *name)
{
	j->program = path;
	snprintf(j->at, sizeof(j->at), "/%s", name);
}

pid_t jail_clone(const struct jail *j, int *ret_pidfd)
{
	int pidfd = -1;
	long pid;

	/* The other namespaces take milliseconds to make; the child does that in its own time. */
	pid = syscall(SYS_clone, (j->clone_flags & CLONE_NEWPID) | CLONE_PIDFD | SIGCHLD, NULL,
		      &pidfd, NULL, NULL);
	if (pid < 0)
		return -errno;
	if (pid)
		*ret_pidfd = pidfd;
	return (pid_t)pid;
}

static int write_file(const char *path, const char *text, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, bytes);
	close(fd);
	return n == (ssize_t)bytes ? 0 : -EIO;
}

/* Show @path of the host at @at, read-only; a link stays a link. */
static int show(const char *path, const char *at, bool file)
{
	char target[256];
	ssize_t n;
	int fd;

	n = readlink(path, target, sizeof(target) - 1);
	if (n > 0 && !file) {
		target[n] = '\0';
		return symlink(target, at) < 0 ? -errno : 0;
	}
	if (file) {
		fd = open(at, O_CREAT | O_WRONLY | O_CLOEXEC, 0444);
		if (fd < 0)
			return -errno;
		close(fd);
	} else if (mkdir(at, 0755) < 0) {
		return -errno;
	}
	if (mount(path, at, NULL, MS_BIND, NULL) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (mount(NULL, at, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) <
	    0)
		return -errno;
	return 0;
}

/*
 * A root of its own: the system's libraries, the worker, its own /proc, nothing else. /tmp is only
 * where it is put together.
 */
static int enter_root(const struct jail *j)
{
	static const struct {
		const char *path, *at;
		bool file;
	} shown[] = {
		{ "/usr", "/tmp/usr", false },
		{ "/lib", "/tmp/lib", false },
		{ "/lib64", "/tmp/lib64", false },
		{ "/etc/ld.so.cache", "/tmp/etc/ld.so.cache", true },
	};
	char at[4 + sizeof(j->at)] = "/tmp";
	size_t i;
	int fd, r;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	/* Held by descriptor, because it may lie below what is covered next. */
	fd = open(j->program, O_PATH | O_CLOEXEC);
	if (fd < 0 || dup3(fd, SCRATCH_FD, O_CLOEXEC) < 0)
		return -errno;
	if (mount("vgpu-worker", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755") < 0)
		return -errno;
	if (mkdir("/tmp/etc", 0755) < 0 || mkdir("/tmp/proc", 0755) < 0)
		return -errno;
	for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		r = show(shown[i].path, shown[i].at, shown[i].file);
		if (r < 0)
			return r;
	}
	r = show("/proc/self/fd/" SCRATCH, strcat(at, j->at), true);
	if (r < 0)
		return r;
	/* Only with its own process ids would /proc show nobody else; some containers refuse it. */
	if (j->clone_flags & CLONE_NEWPID &&
	    mount("proc", "/tmp/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 &&
	    errno != EPERM)
		return -errno;
	if (chdir("/tmp") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0
		       ? -errno
		       : 0;
}

static int set_limits(void)
{
	static const struct {
		__rlimit_resource_t which;
		rlim_t value;
	} limits[] = {
		{ RLIMIT_CORE, 0 },	{ RLIMIT_NOFILE, WORKER_FILES },
		{ RLIMIT_MSGQUEUE, 0 }, { RLIMIT_NPROC, WORKER_THREADS },
		{ RLIMIT_RTPRIO, 0 },	{ RLIMIT_MEMLOCK, 0 },
	};
	struct rlimit l;
	size_t i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (getrlimit(limits[i].which, &l) < 0)
			return -errno;
		if (l.rlim_max > limits[i].value)
			l.rlim_max = limits[i].value;
		l.rlim_cur = l.rlim_max;
		if (setrlimit(limits[i].which, &l) < 0)
			return -errno;
	}
	return 0;
}

/* Raw calls: glibc's wrappers talk to the threads of a process that this child is not. */
static int drop_user(const struct jail *j)
{
	int cap;

	for (cap = 0; cap <= CAP_LAST_CAP; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_setgroups, 0, NULL) < 0 ||
	    syscall(SYS_setresgid, j->gid, j->gid, j->gid) < 0 ||
	    syscall(SYS_setresuid, j->uid, j->uid, j->uid) < 0)
		return -errno;
	return 0;
}

uint32_t jail_enter(const struct jail *j)
{
	uint32_t missing = 0;
	size_t i;

	for (i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		if (!(j->clone_flags & namespaces[i].flag) ||
		    (namespaces[i].flag != CLONE_NEWPID && unshare((int)namespaces[i].flag) < 0))
			missing |= 1u << namespaces[i].wall;
	}
	syscall(SYS_setsid);
	if (write_file("/proc/self/oom_score_adj", "1000", 4) < 0)
		missing |= 1u << JAIL_OOM;
	if (set_limits() < 0)
		missing |= 1u << JAIL_LIMITS;
	if (!j->private_root || enter_root(j) < 0)
		missing |= 1u << JAIL_MOUNT_NS;
	if (!j->change_user || drop_user(j) < 0)
		missing |= 1u << JAIL_USER;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		missing |= 1u << JAIL_NO_NEW_PRIVS;
	/* After the change of user, which would clear it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		missing |= 1u << JAIL_DEATH;
	return missing;
}

/* Did it end with code 0? */
static bool wait_for(pid_t pid, int pidfd)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close(pidfd);
	return !status;
}

uint32_t jail_probe(struct jail *j)
{
	struct jail one = *j;
	uint32_t missing = (1u << JAIL_COUNT) - 1;
	int pidfd = -1, pair[2];
	size_t i;
	pid_t pid;

	j->clone_flags = 0;
	for (i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		one.clone_flags = namespaces[i].flag;
		pid = jail_clone(&one, &pidfd);
		if (!pid)
			_exit(one.clone_flags != CLONE_NEWPID && unshare((int)one.clone_flags) < 0);
		if (pid > 0 && wait_for(pid, pidfd))
			j->clone_flags |= namespaces[i].flag;
	}
	j->private_root = j->change_user && j->clone_flags & CLONE_NEWNS;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return missing;
	pid = jail_clone(j, &pidfd);
	if (!pid) {
		missing = jail_enter(j);
		_exit(write(pair[1], &missing, sizeof(missing)) == sizeof(missing) ? 0 : 1);
	}
	close(pair[1]);
	if (pid > 0) {
		if (read(pair[0], &missing, sizeof(missing)) != sizeof(missing))
			missing = (1u << JAIL_COUNT) - 1;
		wait_for(pid, pidfd);
	}
	close(pair[0]);
	if (missing & 1u << JAIL_MOUNT_NS)
		j->private_root = false;
	return missing;
}

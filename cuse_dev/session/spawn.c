/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - find the worker's binary, start it.
 *
 * The child shares nothing of ours but the socket and a pipe as its stderr: every descriptor is closed, the
 * environment is empty. Between clone and exec it makes system calls only, because the front has
 * a second thread that may hold any lock of libc.
 */
#include "cuse_dev/session/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/session/wire.h"

#define LOW_FDS	    16	/* kept free for the child's plumbing */
#define EXIT_JAIL   126 /* a wall that the probe had found possible failed */
#define EXIT_NOEXEC 127 /* also what the dynamic loader says when a library is missing */

#ifndef VGPU_LIBEXECDIR
#define VGPU_LIBEXECDIR "/usr/libexec/vgpu-cuse"
#endif

/* Out of the way of the numbers that the child's descriptors get. */
static int lift(int fd, int above)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, above);
}

static void plumb(const struct spawn_ends *ends, int program_fd)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	int sock = lift(ends->sock, program_fd + 1), extra = lift(ends->extra, program_fd + 1);
	int last = WIRE_WORKER_FD + (extra >= 0), null, sig;
	sigset_t none;

	for (sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(ends->err, STDERR_FILENO);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	} else {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		close(STDIN_FILENO);
	}
	dup2(sock, WIRE_WORKER_FD);
	if (extra >= 0)
		dup2(extra, last);
	/* What is missed here (before Linux 5.9) closes on exec. */
	syscall(SYS_close_range, last + 1, program_fd - 1, 0);
	syscall(SYS_close_range, program_fd + 1, ~0u, 0);
}

static void complain(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static void child(const struct spawn *sp, const struct spawn_ends *ends, char *const argv[])
	__attribute__((noreturn));

static void child(const struct spawn *sp, const struct spawn_ends *ends, char *const argv[])
{
	char *const envp[] = { NULL };
	uint32_t missing;

	plumb(ends, sp->program_fd);
	missing = jail_enter(&sp->jail);
	if (missing & ~sp->accept) {
		complain("vgpu-cuse: error: a wall of the worker's jail fell after the daemon's "
			 "start\n");
		_exit(EXIT_JAIL);
	}
	if (sp->jail.private_root)
		execve(sp->jail.at, argv, envp);
	else
		syscall(SYS_execveat, sp->program_fd, "", argv, envp, AT_EMPTY_PATH);
	complain("vgpu-cuse: error: the worker's binary cannot be executed\n");
	_exit(EXIT_NOEXEC);
}

static int start(const struct spawn *sp, const struct spawn_ends *ends, uint32_t client_tgid,
		 pid_t *ret_pid, int *ret_pidfd)
{
	char name[64], arg[2][sizeof(sp->arg[0])];
	char *argv[] = { name, *sp->arg[0] ? arg[0] : NULL, *sp->arg[1] ? arg[1] : NULL, NULL };
	pid_t pid;

	memcpy(arg, sp->arg, sizeof(arg));

	snprintf(name, sizeof(name), "%s [client %u]", sp->name, client_tgid);
	pid = jail_clone(&sp->jail, ret_pidfd);
	if (!pid)
		child(sp, ends, argv);
	if (pid < 0)
		return pid;
	*ret_pid = pid;
	return 0;
}

static int open_program(const char *path, int *ret_fd)
{
	int fd = open(path, O_PATH | O_CLOEXEC), high;

	if (fd < 0)
		return -errno;
	high = fcntl(fd, F_DUPFD_CLOEXEC, LOW_FDS);
	close(fd);
	if (high < 0)
		return -errno;
	*ret_fd = high;
	return 0;
}

/* Beside the daemon (a build tree has a directory per room), then where packages put it. */
static int find_program(struct spawn *sp, const char *program)
{
	static const char *const places[] = { "", "worker/", "compiler/", "../libexec/vgpu-cuse/",
					      "../lib/vgpu-cuse/" };
	char self[PATH_MAX], *slash;
	ssize_t n;
	size_t i;

	if (*program) {
		snprintf(sp->program, sizeof(sp->program), "%s", program);
		return open_program(sp->program, &sp->program_fd);
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		slash[1] = '\0';
		if ((size_t)snprintf(sp->program, sizeof(sp->program), "%s%s%s", self, places[i],
				     sp->name) < sizeof(sp->program) &&
		    !access(sp->program, X_OK) && !open_program(sp->program, &sp->program_fd))
			return 0;
	}
	snprintf(sp->program, sizeof(sp->program), "%s/%s", VGPU_LIBEXECDIR, sp->name);
	return open_program(sp->program, &sp->program_fd);
}

/* Does the binary run in this jail? It may not find its libraries in a private root. */
static bool runs(const struct spawn *sp)
{
	char name[] = "vgpu-worker", version[] = "--version";
	char *argv[] = { name, version, NULL };
	int pidfd = -1, quiet[2], status = -1;
	pid_t pid;

	if (pipe2(quiet, O_CLOEXEC) < 0)
		return false;
	pid = jail_clone(&sp->jail, &pidfd);
	if (!pid)
		child(sp, &(struct spawn_ends){ quiet[1], -1, quiet[1] }, argv);
	close(quiet[1]);
	if (pid > 0) {
		close(pidfd);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(quiet[0]);
	return !status;
}

static void tell(uint32_t missing)
{
	uint32_t i;

	for (i = 0; i < JAIL_COUNT; i++) {
		if (missing & 1u << i)
			log_notice("workers run without %s: not permitted here",
				   jail_wall_text((enum jail_wall)i));
	}
	if (!missing)
		log_info("workers run with all walls of their jail");
}

int spawn_init(struct spawn *sp, const char *program, const char *user)
{
	int r;

	*sp = (struct spawn){ .start = start, .name = "vgpu-worker", .program_fd = -1 };
	r = jail_init(&sp->jail, user);
	if (r < 0)
		return r;
	r = find_program(sp, program);
	if (r < 0 && *program)
		log_error("worker %s: %s", program, strerror(-r));
	else if (r < 0)
		log_error(
			"no vgpu-worker beside the daemon nor at %s; say where with --worker=PATH",
			sp->program);
	if (r < 0)
		return r;
	jail_program(&sp->jail, sp->program, sp->name);
	sp->accept = jail_probe(&sp->jail);
	if (sp->jail.private_root && !runs(sp)) {
		sp->jail.private_root = false;
		sp->accept |= 1u << JAIL_MOUNT_NS;
	}
	if (!sp->jail.private_root && !runs(sp)) {
		log_error("worker %s: cannot be executed", sp->program);
		spawn_fini(sp);
		return -ENOEXEC;
	}
	tell(sp->accept);
	return 0;
}

int spawn_init_like(struct spawn *sp, const struct spawn *model, const char *name,
		    const char *program)
{
	int r;

	*sp = *model;
	sp->name = name;
	sp->program_fd = -1;
	r = find_program(sp, program);
	if (r >= 0 && access(sp->program, X_OK) < 0) {
		r = -errno;
		spawn_fini(sp);
	}
	jail_program(&sp->jail, sp->program, sp->name);
	return r;
}

void spawn_fini(struct spawn *sp)
{
	if (sp->program_fd >= 0)
		close(sp->program_fd);
	sp->program_fd = -1;
}

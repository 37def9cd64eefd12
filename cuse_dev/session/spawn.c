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

static void plumb(int sock, int err, int program_fd)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;
	int null, sig;

	for (sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(err, STDERR_FILENO);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	} else {
		dup2(err, STDOUT_FILENO);
		close(STDIN_FILENO);
	}
	if (sock == WIRE_WORKER_FD)
		fcntl(sock, F_SETFD, 0);
	else
		dup2(sock, WIRE_WORKER_FD);
	/* What is missed here (before Linux 5.9) closes on exec. */
	syscall(SYS_close_range, WIRE_WORKER_FD + 1, program_fd - 1, 0);
	syscall(SYS_close_range, program_fd + 1, ~0u, 0);
}

static void complain(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static void child(const struct spawn *sp, int sock, int err, char *const argv[])
	__attribute__((noreturn));

static void child(const struct spawn *sp, int sock, int err, char *const argv[])
{
	char *const envp[] = { NULL };
	uint32_t missing;

	plumb(sock, err, sp->program_fd);
	missing = jail_enter(&sp->jail);
	if (missing & ~sp->accept) {
		complain("vgpu-cuse: error: a wall of the worker's jail fell after the daemon's "
			 "start\n");
		_exit(EXIT_JAIL);
	}
	if (sp->jail.private_root)
		execve(JAIL_PROGRAM, argv, envp);
	else
		syscall(SYS_execveat, sp->program_fd, "", argv, envp, AT_EMPTY_PATH);
	complain("vgpu-cuse: error: the worker's binary cannot be executed\n");
	_exit(EXIT_NOEXEC);
}

static int start(const struct spawn *sp, int sock, int err, uint32_t client_tgid, pid_t *ret_pid,
		 int *ret_pidfd)
{
	char name[64];
	char *argv[] = { name, NULL };
	pid_t pid;

	snprintf(name, sizeof(name), "vgpu-worker [client %u]", client_tgid);
	pid = jail_clone(&sp->jail, ret_pidfd);
	if (!pid)
		child(sp, sock, err, argv);
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
	static const char *const places[] = { "vgpu-worker", "worker/vgpu-worker",
					      "../libexec/vgpu-cuse/vgpu-worker",
					      "../lib/vgpu-cuse/vgpu-worker" };
	char self[PATH_MAX], *slash;
	ssize_t n;
	size_t i;
	int r;

	if (*program) {
		snprintf(sp->program, sizeof(sp->program), "%s", program);
		r = open_program(sp->program, &sp->program_fd);
		if (r < 0)
			log_error("worker %s: %s", program, strerror(-r));
		return r;
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		slash[1] = '\0';
		if ((size_t)snprintf(sp->program, sizeof(sp->program), "%s%s", self, places[i]) <
			    sizeof(sp->program) &&
		    !access(sp->program, X_OK) && !open_program(sp->program, &sp->program_fd))
			return 0;
	}
	snprintf(sp->program, sizeof(sp->program), "%s/vgpu-worker", VGPU_LIBEXECDIR);
	r = open_program(sp->program, &sp->program_fd);
	if (r < 0)
		log_error(
			"no vgpu-worker beside the daemon nor at %s; say where with --worker=PATH",
			sp->program);
	return r;
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
		child(sp, quiet[1], quiet[1], argv);
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

	memset(sp, 0, sizeof(*sp));
	sp->start = start;
	sp->program_fd = -1;
	r = jail_init(&sp->jail, user);
	if (r < 0)
		return r;
	r = find_program(sp, program);
	if (r < 0)
		return r;
	sp->jail.program = sp->program;
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

void spawn_fini(struct spawn *sp)
{
	if (sp->program_fd >= 0)
		close(sp->program_fd);
	sp->program_fd = -1;
}

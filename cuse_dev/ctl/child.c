/* SPDX-License-Identifier: MIT */
/* child.c - short-lived children: as another user, with a time that they do not exceed. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cuse_dev/ctl/doctor.h"

#define EXIT_BECOME 125
#define EXIT_EXEC   126

void ctl_become(const struct doctor *d)
{
	if (d->uid == geteuid())
		return;
	if (setgroups((size_t)d->groups, d->group) < 0 || setresgid(d->gid, d->gid, d->gid) < 0 ||
	    setresuid(d->uid, d->uid, d->uid) < 0)
		_exit(EXIT_BECOME);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Up to @size bytes until the other end is closed: bytes, or -ETIMEDOUT. */
static ssize_t read_until(int fd, int64_t end, void *data, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char *to = data, dropped[4096];
	size_t used = 0;
	int64_t left;
	ssize_t n;

	for (;;) {
		left = end - now_ms();
		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return -ETIMEDOUT;
		n = used < size ? read(fd, to + used, size - used)
				: read(fd, dropped, sizeof(dropped));
		if (n <= 0)
			return (ssize_t)used;
		used += used < size ? (size_t)n : 0;
	}
}

static int reap(pid_t pid, bool end_it)
{
	int status = 0;

	if (end_it)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int ctl_wait_bytes(pid_t pid, int fd, unsigned seconds, void *ret_data, size_t size)
{
	ssize_t n = read_until(fd, now_ms() + seconds * 1000, ret_data, size);
	int code = reap(pid, n < 0);

	if (n < 0)
		return (int)n;
	if (code == EXIT_BECOME)
		return -EPERM;
	return (size_t)n == size ? 0 : -EIO;
}

static void __attribute__((noreturn))
be_program(const struct doctor *d, char *const argv[], char *const env[], int out, int program)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 ||
	    dup2(out, STDOUT_FILENO) < 0)
		_exit(EXIT_EXEC);
	if (d)
		ctl_become(d);
	fexecve(program, argv, env);
	_exit(EXIT_EXEC);
}

/* "" as argv[0]: ourselves, whoever may or may not reach our file. */
static int open_program(const char *path)
{
	int fd = open(*path ? path : "/proc/self/exe", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int ctl_output(const struct doctor *d, char *const argv[], char *const env[], unsigned seconds,
	       char *ret_text, size_t size)
{
	int pipes[2], program, code;
	ssize_t n;
	pid_t pid;

	program = open_program(argv[0]);
	if (program < 0)
		return program;
	if (pipe2(pipes, O_CLOEXEC) < 0) {
		close(program);
		return -errno;
	}
	fflush(stdout);
	pid = fork();
	if (!pid)
		be_program(d, argv, env, pipes[1], program);
	close(program);
	close(pipes[1]);
	if (pid < 0) {
		close(pipes[0]);
		return -EAGAIN;
	}
	n = read_until(pipes[0], now_ms() + seconds * 1000, ret_text, size - 1);
	code = reap(pid, n < 0);
	close(pipes[0]);
	ret_text[n < 0 ? 0 : n] = '\0';
	if (n < 0)
		return (int)n;
	return code == EXIT_BECOME ? -EPERM : code;
}

/* SPDX-License-Identifier: MIT */
/*
 * child.c - programs under observation. See child.h.
 *
 * The child reports a failure before exec through a close-on-exec pipe, so that "could not start" and
 * "started and failed" are different answers. It leads its own process group: a time-out kills
 * the descendants with it.
 */
#include "support/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_MS 60000

struct sink {
	int fd; /* -1 once it is at its end */
	char *text;
	size_t bytes, cap;
};

struct support_child {
	pid_t pid;
	int pidfd; /* -1 where the kernel has none */
	struct sink out, err;
	int64_t started_ns, deadline_ns;
	bool timed_out;
	bool ended;
	int status;
	struct rusage usage;
	int64_t ended_ns;
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* --- in the child ---------------------------------------------------------------------------- */

static int child_become(const struct support_child_spec *spec)
{
	unsigned i;

	for (i = 0; i < spec->limits; i++) {
		struct rlimit lim = { spec->limit[i].value, spec->limit[i].value };

		if (setrlimit(spec->limit[i].resource, &lim) < 0)
			return -errno;
	}
	if (spec->chroot_dir && chroot(spec->chroot_dir) < 0)
		return -errno;
	if (chdir(spec->cwd ? spec->cwd : "/") < 0)
		return -errno;
	if (spec->drop) {
		if (setgroups(0, NULL) < 0 || setresgid(spec->gid, spec->gid, spec->gid) < 0 ||
		    setresuid(spec->uid, spec->uid, spec->uid) < 0)
			return -errno;
	}
	return 0;
}

__attribute__((noreturn)) static void child_exec(const struct support_child_spec *spec, int in,
						 int out, int err, int report, pid_t parent)
{
	static const char *const empty[] = { NULL };
	const char *const *env = spec->env ? spec->env : empty;
	sigset_t none;
	int r;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) {
		r = -errno;
		goto fail;
	}
	r = child_become(spec);
	if (r < 0)
		goto fail;
	/* After the change of user, which clears it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	execve(spec->argv[0], (char *const *)spec->argv, (char *const *)env);
	r = -errno;
fail:
	if (write(report, &r, sizeof(r)) < 0)
		_exit(126);
	_exit(127);
}

/* --- in the test ----------------------------------------------------------------------------- */

static int open_input(const char *text)
{
	int p[2], fd;

	if (!text) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	/* Input is short: it fits the pipe, so nobody has to feed it. */
	if (write(p[1], text, strlen(text)) != (ssize_t)strlen(text)) {
		close(p[0]);
		close(p[1]);
		return -EMSGSIZE;
	}
	close(p[1]);
	return p[0];
}

static int start_with(const struct support_child_spec *spec, struct support_child *c, int in,
		      int out, int err)
{
	pid_t parent = getpid();
	int report[2], r = 0;
	ssize_t n;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	c->started_ns = now_ns();
	c->deadline_ns =
		c->started_ns +
		(int64_t)(spec->timeout_ms ? spec->timeout_ms : DEFAULT_TIMEOUT_MS) * 1000000;
	c->pid = fork();
	if (c->pid == 0)
		child_exec(spec, in, out, err, report[1], parent);
	if (c->pid < 0)
		r = -errno;
	close(report[1]);
	if (r == 0) {
		do {
			n = read(report[0], &r, sizeof(r));
		} while (n < 0 && errno == EINTR);
		if (n == (ssize_t)sizeof(r))
			waitpid(c->pid, NULL, 0);
		else
			r = 0;
	}
	close(report[0]);
	return r;
}

static void close_pair(const int p[2])
{
	close(p[0]);
	close(p[1]);
}

int support_child_start(const struct support_child_spec *spec, struct support_child **ret_child)
{
	struct support_child *c;
	int out[2], err[2], in, r;

	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	in = open_input(spec->input);
	if (in < 0) {
		r = in;
		goto free_child;
	}
	if (pipe2(out, O_CLOEXEC) < 0) {
		r = -errno;
		goto close_in;
	}
	if (pipe2(err, O_CLOEXEC) < 0) {
		r = -errno;
		goto close_out;
	}
	r = start_with(spec, c, in, out[1], err[1]);
	if (r < 0)
		goto close_err;

	close(in);
	close(out[1]);
	close(err[1]);
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	c->out.fd = out[0];
	c->err.fd = err[0];
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	*ret_child = c;
	return 0;

close_err:
	close_pair(err);
close_out:
	close_pair(out);
close_in:
	close(in);
free_child:
	free(c);
	return r;
}

pid_t support_child_pid(const struct support_child *c)
{
	return c->pid;
}

int support_child_kill(struct support_child *c, int sig)
{
	if (c->ended)
		return -ESRCH;
	return kill(c->pid, sig) < 0 ? -errno : 0;
}

static void sink_keep(struct sink *s, const char *data, size_t n)
{
	size_t cap;
	char *text;

	if (s->bytes + n > SUPPORT_CHILD_OUTPUT)
		n = SUPPORT_CHILD_OUTPUT - s->bytes;
	if (s->bytes + n + 1 > s->cap) {
		cap = (s->bytes + n + 1) * 2;
		text = realloc(s->text, cap);
		if (!text)
			return;
		s->text = text;
		s->cap = cap;
	}
	memcpy(s->text + s->bytes, data, n);
	s->bytes += n;
	s->text[s->bytes] = '\0';
}

static void sink_read(struct sink *s)
{
	char buf[65536];
	ssize_t n;

	while (s->fd >= 0) {
		n = read(s->fd, buf, sizeof(buf));
		if (n > 0) {
			sink_keep(s, buf, (size_t)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		close(s->fd);
		s->fd = -1;
	}
}

static void note_end(struct support_child *c)
{
	if (!c->ended && wait4(c->pid, &c->status, WNOHANG, &c->usage) == c->pid) {
		c->ended = true;
		c->ended_ns = now_ns();
	}
}

/* One round of the wait: at most @ms. */
static void pump(struct support_child *c, int ms)
{
	struct pollfd p[3] = { { .fd = c->out.fd, .events = POLLIN },
			       { .fd = c->err.fd, .events = POLLIN },
			       { .fd = c->pidfd, .events = POLLIN } };

	poll(p, 3, ms);
	sink_read(&c->out);
	sink_read(&c->err);
	note_end(c);
	if (!c->ended && now_ns() > c->deadline_ns) {
		c->timed_out = true;
		kill(-c->pid, SIGKILL);
		kill(c->pid, SIGKILL);
		while (wait4(c->pid, &c->status, 0, &c->usage) < 0 && errno == EINTR)
			;
		c->ended = true;
		c->ended_ns = now_ns();
	}
}

int support_child_saw(struct support_child *c, const char *text, unsigned timeout_ms)
{
	int64_t end = now_ns() + (int64_t)timeout_ms * 1000000;

	for (;;) {
		bool was_ended = c->ended;

		if (c->out.text && strstr(c->out.text, text))
			return 0;
		if (was_ended)
			return -EPIPE;
		if (now_ns() > end)
			return -ETIMEDOUT;
		pump(c, 20);
	}
}

int support_child_wait(struct support_child *c, struct support_child_result *ret_result)
{
	while (!c->ended)
		pump(c, 20);
	/* What is in the pipes now; descendants that live on may keep them open. */
	sink_read(&c->out);
	sink_read(&c->err);
	if (c->out.fd >= 0)
		close(c->out.fd);
	if (c->err.fd >= 0)
		close(c->err.fd);
	if (c->pidfd >= 0)
		close(c->pidfd);
	sink_keep(&c->out, "", 0);
	sink_keep(&c->err, "", 0);

	memset(ret_result, 0, sizeof(*ret_result));
	ret_result->code = WIFEXITED(c->status) ? WEXITSTATUS(c->status) : -1;
	ret_result->signal = WIFSIGNALED(c->status) ? WTERMSIG(c->status) : 0;
	ret_result->timed_out = c->timed_out;
	ret_result->out = c->out.text;
	ret_result->err = c->err.text;
	ret_result->out_bytes = c->out.bytes;
	ret_result->err_bytes = c->err.bytes;
	ret_result->seconds = (double)(c->ended_ns - c->started_ns) / 1e9;
	ret_result->usage = c->usage;
	free(c);
	return 0;
}

int support_child_run(const struct support_child_spec *spec,
		      struct support_child_result *ret_result)
{
	struct support_child *c;
	int r;

	r = support_child_start(spec, &c);
	if (r < 0)
		return r;
	return support_child_wait(c, ret_result);
}

void support_child_result_free(struct support_child_result *res)
{
	free(res->out);
	free(res->err);
	res->out = NULL;
	res->err = NULL;
}

char *support_child_text(const struct support_child_result *res)
{
	char *text = NULL;

	if (asprintf(&text, "%s %d%s after %.2f s\n--- stdout\n%s\n--- stderr\n%s\n",
		     res->signal ? "signal" : "exit", res->signal ? res->signal : res->code,
		     res->timed_out ? " (timed out)" : "", res->seconds, res->out ? res->out : "",
		     res->err ? res->err : "") < 0)
		return NULL;
	return text;
}

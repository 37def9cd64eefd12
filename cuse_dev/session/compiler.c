/* SPDX-License-Identifier: MIT */
/*
 * compiler.c - waiting ─▶ running ─▶ waiting ... ─▶ given up; destroyed at any time.
 */
#include "cuse_dev/session/compiler.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/session/cache.h"
#include "cuse_dev/session/front.h"
#include "cuse_dev/session/said.h"
#include "cuse_dev/session/spawn.h"

#define DEATHS_MAX 3

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

struct compiler {
	struct front *front;
	uid_t uid;
	uint32_t tgid;		 /* of the client */
	struct loop_source sock; /* the compiler's end; -1: given up */
	struct loop_source exit; /* pidfd while one runs, else -1 */
	struct said said;
	unsigned deaths;
	bool orphan; /* its worker is gone */
};

static void compiler_free(struct compiler *k)
{
	if (k->sock.fd >= 0)
		close(k->sock.fd);
	said_close(&k->said);
	k->front->compiler_count--;
	free(k);
}

static void on_exit_of_compiler(struct loop_source *src, uint32_t events)
{
	struct compiler *k = container_of(src, struct compiler, exit);
	siginfo_t si = { 0 };

	if (waitid(P_PIDFD, (id_t)src->fd, &si, WEXITED | WNOHANG) < 0 || !si.si_pid)
		return;
	loop_remove(&k->front->loop, src);
	close(src->fd);
	src->fd = -1;
	said_close(&k->said);
	if (k->orphan) {
		compiler_free(k);
		return;
	}
	/* Its worker has ended, of which we have not heard yet: nobody is left to start another for. */
	if (si.si_code == CLD_EXITED && si.si_status == 0) {
		close(k->sock.fd);
		k->sock.fd = -1;
		return;
	}
	k->deaths++;
	log_warn("compiler %d of process %u ended (%s %d); %s", (int)si.si_pid, k->tgid,
		 si.si_code == CLD_EXITED ? "code" : "signal", si.si_status,
		 k->deaths < DEATHS_MAX ? "the next kernel starts another"
					: "no more for this process");
	if (k->deaths < DEATHS_MAX && loop_add(&k->front->loop, &k->sock, EPOLLIN) == 0)
		return;
	close(k->sock.fd);
	k->sock.fd = -1;
}

static int start(struct compiler *k)
{
	struct front *f = k->front;
	struct spawn_ends ends = { .sock = k->sock.fd, .err = -1 };
	pid_t pid = 0;
	int r;

	r = said_open(&k->said, &f->loop, &ends.err);
	if (r < 0)
		return r;
	ends.extra = cache_open(f, k->uid, true);
	r = f->compiler->start(f->compiler, &ends, k->tgid, &pid, &k->exit.fd);
	close(ends.err);
	if (ends.extra >= 0)
		close(ends.extra);
	if (r < 0) {
		said_close(&k->said);
		return r;
	}
	k->said.what = "compiler";
	k->said.pid = pid;
	k->said.tgid = k->tgid;
	log_debug("compiler %d started for process %u", (int)pid, k->tgid);
	return k->exit.fd >= 0 ? loop_add(&f->loop, &k->exit, EPOLLIN) : 0;
}

static void on_first_word(struct loop_source *src, uint32_t events)
{
	struct compiler *k = container_of(src, struct compiler, sock);
	int r;

	loop_remove(&k->front->loop, src);
	if (events & EPOLLHUP) /* the worker has ended, or never wants one */
		return;
	r = start(k);
	if (r < 0)
		log_error("compiler of process %u could not be started: %s", k->tgid, strerror(-r));
}

int compiler_create(struct client *c, struct compiler **ret_compiler, int *ret_sock)
{
	struct compiler *k;
	int pair[2], r;

	if (!c->front->compiler)
		return -ENOENT;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	*k = (struct compiler){ .front = c->front, .uid = c->uid, .tgid = c->id.tgid };
	k->sock.fd = k->exit.fd = -1;
	k->said.pipe.fd = k->said.pause.fd = -1;
	k->front->compiler_count++;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		r = -errno;
		goto free_compiler;
	}
	k->sock.fd = pair[0];
	k->sock.ready = on_first_word;
	k->exit.ready = on_exit_of_compiler;
	r = loop_add(&k->front->loop, &k->sock, EPOLLIN);
	if (r < 0) {
		close(pair[1]);
		goto free_compiler;
	}
	*ret_compiler = k;
	*ret_sock = pair[1];
	return 0;

free_compiler:
	compiler_free(k);
	return r;
}

void compiler_destroy(struct compiler *k)
{
	if (!k)
		return;
	k->orphan = true;
	if (k->sock.fd >= 0 && k->exit.fd < 0)
		loop_remove(&k->front->loop, &k->sock);
	if (k->exit.fd < 0) {
		compiler_free(k);
		return;
	}
	syscall(SYS_pidfd_send_signal, k->exit.fd, SIGKILL, NULL, 0);
}

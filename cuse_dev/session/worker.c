/* SPDX-License-Identifier: MIT */
/*
 * worker.c - a worker from start to reaping.
 *
 *	worker_start ─▶ serving ─┬─ socket closed, nonsense, worker_kill ─▶ broken: all ENODEV,
 *SIGKILL └─ process ended ──────────────────────────┬▶ reaped broken, process ended ──┘
 */
#include "cuse_dev/session/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuse_dev/base/limits.h"
#include "cuse_dev/base/log.h"
#include "cuse_dev/session/cache.h"
#include "cuse_dev/session/compiler.h"
#include "cuse_dev/session/spawn.h"

#define SEND_BUFFER	 (1 << 20)
#define WINDOW_BASE	 0x700000000000ull
#define WINDOW_SIZE	 (1ull << 40)
#define MESSAGES_AT_ONCE 32 /* of one worker before the others get their turn */

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

struct message {
	struct wire_msg head;
	unsigned char payload[WIRE_MAX_PAYLOAD];
};

static void free_outgoing(struct worker *w)
{
	struct outgoing *o;

	while ((o = w->out)) {
		w->out = o->next;
		if (o->fd >= 0)
			close(o->fd);
		free(o);
	}
	w->out_last = &w->out;
}

void worker_drop_meter(struct worker *w)
{
	if (w->meter)
		munmap((void *)(uintptr_t)w->meter, sizeof(*w->meter));
	w->meter = NULL;
	if (w->meter_fd >= 0)
		close(w->meter_fd);
	w->meter_fd = -1;
}

static void worker_free(struct worker *w)
{
	if (w->sock.fd >= 0)
		close(w->sock.fd);
	if (w->exit.fd >= 0)
		close(w->exit.fd);
	if (w->bounce)
		munmap(w->bounce, (size_t)WIRE_BOUNCE_SLOTS * WIRE_BOUNCE_BYTES);
	if (w->bounce_fd >= 0)
		close(w->bounce_fd);
	worker_drop_meter(w);
	said_close(&w->said);
	compiler_destroy(w->compiler);
	free_outgoing(w);
	free(w);
}

/* No more talk: what it owes is answered, and it must end. */
static void worker_break(struct worker *w)
{
	struct pending *p;

	if (w->sock.fd < 0)
		return;
	loop_remove(&w->front->loop, &w->sock);
	close(w->sock.fd);
	w->sock.fd = -1;
	free_outgoing(w);
	while ((p = w->pending)) {
		if (!p->answered)
			p->answer.ops->fail(p->answer.token, ENODEV);
		worker_forget(p);
	}
	if (w->exit.fd >= 0)
		syscall(SYS_pidfd_send_signal, w->exit.fd, SIGKILL, NULL, 0);
}

static void worker_reaped(struct worker *w)
{
	struct client *c = w->client;

	telemetry_fold(c);
	worker_break(w);
	if (w->exit.fd >= 0)
		loop_remove(&w->front->loop, &w->exit);
	worker_free(w);
	client_worker_reaped(c);
}

static void tell(const struct worker *w, enum event_kind kind, const char *text)
{
	const struct event e = { .kind = kind,
				 .pid = w->client->id.tgid,
				 .uid = w->client->uid,
				 .device = -1,
				 .worker = (uint32_t)w->pid };

	event_add(w->front, &e, "%s", text);
}

static void tell_end(const struct worker *w, const siginfo_t *si)
{
	uint32_t tgid = w->client->id.tgid;
	char text[EVENT_TEXT_BYTES];

	if (w->killed)
		return;
	if (si->si_code == CLD_EXITED)
		snprintf(text, sizeof(text), "code %d", si->si_status);
	else
		snprintf(text, sizeof(text), "signal %d (%s)", si->si_status,
			 strsignal(si->si_status));
	tell(w, EVENT_WORKER_ENDED, text);
	if (si->si_code == CLD_EXITED)
		log_warn("worker %d of process %u ended with code %d; its client sees error 719",
			 (int)w->pid, tgid, si->si_status);
	else
		log_warn("worker %d of process %u was ended by signal %d (%s); its client sees "
			 "error 719",
			 (int)w->pid, tgid, si->si_status, strsignal(si->si_status));
	fault_worker_died(w->client, "its worker has died");
}

static void on_exit_of_worker(struct loop_source *src, uint32_t events)
{
	struct worker *w = container_of(src, struct worker, exit);
	siginfo_t si = { 0 };

	if (waitid(P_PIDFD, (id_t)src->fd, &si, WEXITED | WNOHANG) < 0 || !si.si_pid)
		return;
	said_close(&w->said);
	tell_end(w, &si);
	worker_reaped(w);
}

void worker_kill(struct worker *w)
{
	w->killed = true;
	worker_break(w);
	if (w->exit.fd < 0)
		worker_reaped(w);
}

/* ---- sending -------------------------------------------------------------------------------- */

static int send_now(int sock, const void *data, size_t bytes, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = bytes };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm;

	if (count) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(count * sizeof(int));
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, count * sizeof(int));
	}
	if (sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	return 0;
}

static int enqueue(struct worker *w, const void *data, size_t bytes, int fd)
{
	struct outgoing *o = malloc(sizeof(*o) + bytes);

	if (!o)
		return -ENOMEM;
	*o = (struct outgoing){ .fd = fd, .bytes = bytes };
	memcpy(o->data, data, bytes);
	*w->out_last = o;
	w->out_last = &o->next;
	loop_change(&w->front->loop, &w->sock, EPOLLIN | EPOLLOUT);
	return 0;
}

int worker_send(struct worker *w, const struct wire_msg *msg, const void *payload, int fd)
{
	struct message m = { .head = *msg };
	size_t bytes = sizeof(m.head) + msg->payload_bytes;
	int r = -EAGAIN;

	if (w->sock.fd < 0 || msg->payload_bytes > sizeof(m.payload)) {
		r = w->sock.fd < 0 ? -ENODEV : -EINVAL;
		goto close_fd;
	}
	m.head.fds = fd >= 0;
	if (msg->payload_bytes)
		memcpy(m.payload, payload, msg->payload_bytes);
	if (!w->out)
		r = send_now(w->sock.fd, &m, bytes, &fd, m.head.fds);
	if (r == -EAGAIN) {
		r = enqueue(w, &m, bytes, fd);
		if (!r)
			return 0;
	}
	if (r == -EPIPE || r == -ECONNRESET)
		r = 0; /* it has died; the loop will hear so and answer */
close_fd:
	if (fd >= 0)
		close(fd);
	return r;
}

static void flush(struct worker *w)
{
	struct outgoing *o;

	while ((o = w->out)) {
		if (send_now(w->sock.fd, o->data, o->bytes, &o->fd, o->fd >= 0) == -EAGAIN)
			return;
		w->out = o->next;
		if (o->fd >= 0)
			close(o->fd);
		free(o);
	}
	w->out_last = &w->out;
	loop_change(&w->front->loop, &w->sock, EPOLLIN);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static int hear_fault(struct worker *w, const struct message *m)
{
	struct vgpu_ctx_status status;

	if (m->head.payload_bytes != sizeof(status) || m->head.device >= w->front->device_count)
		return -EIO;
	memcpy(&status, m->payload, sizeof(status));
	fault_add(w->client, m->head.device, &status);
	return 0;
}

/* One message: 1 handled, 0 none there, -errno: the worker is of no use any more. */
static int receive(struct worker *w)
{
	struct message m;
	ssize_t n;
	int r;

	/* No room for descriptors: the kernel drops any that a worker sends. */
	n = recv(w->sock.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!n)
		return -EPIPE;
	if ((size_t)n < sizeof(m.head) || (size_t)n > sizeof(m) ||
	    (size_t)n != sizeof(m.head) + m.head.payload_bytes)
		r = -EIO;
	else if (m.head.kind == WIRE_FAULT)
		r = hear_fault(w, &m);
	else
		r = m.head.kind == WIRE_REPLY ? relay_reply(w, &m.head, m.payload) : -EIO;
	if (r == -EIO) {
		log_error("worker %d of process %u sent a message that fits no request (kind %u, "
			  "op %#x, %zd bytes); ending it",
			  (int)w->pid, w->client->id.tgid, m.head.kind, m.head.op, n);
	}
	return r < 0 ? r : 1;
}

static void on_socket(struct loop_source *src, uint32_t events)
{
	struct worker *w = container_of(src, struct worker, sock);
	int r = 1, i;

	if (events & EPOLLOUT)
		flush(w);
	for (i = 0; i < MESSAGES_AT_ONCE && r > 0; i++)
		r = receive(w);
	if (r >= 0)
		return;
	worker_break(w);
	if (w->exit.fd < 0)
		worker_reaped(w);
}

/* ---- pending -------------------------------------------------------------------------------- */

struct pending *worker_pending(struct worker *w, enum wire_kind kind, uint32_t device,
			       const struct session_answer *answer)
{
	struct pending *p;

	if (w->pending_count >= LIMIT_PENDING_PER_PROC)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->worker = w;
	p->kind = kind;
	p->device = device;
	p->slot = -1;
	p->tag = ++w->front->last_tag;
	if (answer)
		p->answer = *answer;
	else
		p->answered = true;
	p->next = w->pending;
	p->link = &w->pending;
	if (p->next)
		p->next->link = &p->next;
	w->pending = p;
	w->pending_count++;
	return p;
}

void worker_forget(struct pending *p)
{
	struct worker *w = p->worker;
	struct pending **q;

	for (q = &w->waiting; *q; q = &(*q)->next_waiting) {
		if (*q != p)
			continue;
		*q = p->next_waiting;
		if (!*q)
			w->waiting_last = q;
		w->waiting_count--;
		break;
	}
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
	w->pending_count--;
	free(p->data);
	free(p);
}

/* ---- starting ------------------------------------------------------------------------------- */

/* A memfd of fixed size that the worker gets too, mapped here. */
static int make_pages(const char *name, size_t bytes, int prot, int *ret_fd, void **ret_pages)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p;

	if (fd < 0)
		return -errno;
	*ret_fd = fd; /* the worker's struct owns it from here */
	if (ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	p = mmap(NULL, bytes, prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret_pages = p;
	return 0;
}

static int make_shared(struct worker *w)
{
	void *bounce, *meter;
	int r;

	r = make_pages("vgpu-bounce", (size_t)WIRE_BOUNCE_SLOTS * WIRE_BOUNCE_BYTES,
		       PROT_READ | PROT_WRITE, &w->bounce_fd, &bounce);
	if (r < 0)
		return r;
	w->bounce = bounce;
	r = make_pages("vgpu-meter", sizeof(*w->meter), PROT_READ, &w->meter_fd, &meter);
	if (r < 0)
		return r;
	w->meter = meter;
	return 0;
}

/* @compiler, @cache: -1 if there is none */
static size_t fill_init(struct worker *w, struct wire_init *init, int compiler, int cache,
			int fds[WIRE_MAX_FDS])
{
	const struct front *f = w->front;
	const struct client_share *sh = w->client->share;
	size_t n = 0;
	uint32_t i;

	*init = (struct wire_init){
		.window_base = w->client->window_base,
		.window_size = w->client->window_size,
		.device_count = f->device_count,
		.threads = f->config->threads,
		.fd_mask = WIRE_FD_BOUNCE,
	};
	fds[n++] = w->bounce_fd;
	for (i = 0; i < SHARE_COUNT; i++) {
		if (sh[i].fd < 0)
			continue;
		fds[n++] = sh[i].fd;
		init->fd_mask |= WIRE_FD_CONTROL << i;
		if (i == SHARE_CONTROL)
			init->control_bytes = sh[i].bytes;
		else if (i == SHARE_HOST)
			init->host_bytes = sh[i].bytes;
		else
			init->device_bytes[i - SHARE_DEVICE0] = sh[i].bytes;
	}
	fds[n++] = w->meter_fd;
	init->fd_mask |= WIRE_FD_METER;
	for (i = 0; i < f->device_count; i++) {
		memcpy(init->device[i].profile, f->device[i].info.profile,
		       sizeof(init->device[i].profile));
		init->device[i].mem_total = f->device[i].total;
		init->device[i].mem_reserved = f->device[i].reserved;
		w->generation[i] = f->device[i].generation;
	}
	if (compiler >= 0) {
		fds[n++] = compiler;
		init->fd_mask |= WIRE_FD_COMPILER;
	}
	if (cache >= 0) {
		fds[n++] = cache;
		init->fd_mask |= WIRE_FD_CACHE;
	}
	return n;
}

static int send_init(struct worker *w)
{
	struct {
		struct wire_msg head;
		struct wire_init init;
	} m;
	struct pending *p;
	int fds[WIRE_MAX_FDS], compiler = -1, cache = -1;
	size_t count;
	int r;

	p = worker_pending(w, WIRE_INIT, 0, NULL);
	if (!p)
		return -ENOMEM;
	r = compiler_create(w->client, &w->compiler, &compiler);
	if (r < 0 && r != -ENOENT)
		log_warn("worker of process %u has no compiler: %s", w->client->id.tgid,
			 strerror(-r));
	if (compiler >= 0)
		cache = cache_open(w->front, w->client->uid, false);
	count = fill_init(w, &m.init, compiler, cache, fds);
	m.head = (struct wire_msg){ .kind = WIRE_INIT,
				    .tag = p->tag,
				    .payload_bytes = sizeof(m.init),
				    .fds = (uint32_t)count };
	r = send_now(w->sock.fd, &m, sizeof(m), fds, count);
	if (compiler >= 0)
		close(compiler);
	if (cache >= 0)
		close(cache);
	return r == -EPIPE ? 0 : r; /* died at once: as if it had died a moment later */
}

static int make_sockets(struct worker *w, int *ret_theirs)
{
	int pair[2], size = SEND_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	w->sock.fd = pair[0];
	*ret_theirs = pair[1];
	return 0;
}

int worker_start(struct client *c)
{
	struct front *f = c->front;
	struct worker *w;
	int theirs = -1, their_stderr = -1, r;

	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct worker){ .front = f, .client = c, .bounce_fd = -1, .meter_fd = -1 };
	w->born_ns = telemetry_now_ns();
	w->sock.fd = w->exit.fd = -1;
	w->out_last = &w->out;
	w->waiting_last = &w->waiting;
	w->sock.ready = on_socket;
	w->exit.ready = on_exit_of_worker;
	if (!c->window_size) {
		c->window_base = WINDOW_BASE;
		c->window_size = WINDOW_SIZE;
	}
	r = make_shared(w);
	if (r >= 0)
		r = make_sockets(w, &theirs);
	if (r >= 0)
		r = loop_add(&f->loop, &w->sock, EPOLLIN);
	if (r >= 0)
		r = said_open(&w->said, &f->loop, &their_stderr);
	if (r >= 0)
		r = f->spawn->start(f->spawn, &(struct spawn_ends){ theirs, -1, their_stderr },
				    c->id.tgid, &w->pid, &w->exit.fd);
	if (theirs >= 0)
		close(theirs);
	if (their_stderr >= 0)
		close(their_stderr);
	if (r < 0)
		goto fail;
	c->worker = w;
	proc_name(c->id.tgid, c->name, sizeof(c->name));
	w->said.pid = w->pid;
	w->said.tgid = c->id.tgid;
	if (w->exit.fd >= 0)
		r = loop_add(&f->loop, &w->exit, EPOLLIN);
	if (r >= 0)
		r = send_init(w);
	if (r < 0) {
		log_error("worker of process %u could not be set up: %s", c->id.tgid, strerror(-r));
		worker_kill(w);
		return r;
	}
	guard_wake(&f->guard);
	tell(w, EVENT_WORKER_STARTED, "");
	log_debug("worker %d started for process %u", (int)w->pid, c->id.tgid);
	return 0;

fail:
	log_error("worker of process %u could not be started: %s", c->id.tgid, strerror(-r));
	worker_free(w);
	return r;
}

/* SPDX-License-Identifier: MIT */
/*
 * loop.c - receive, answer, park.
 *
 *	message ─▶ handler ─┬─ 0, -errno ─▶ reply
 *	              ▲     └─ WORKER_PARK ─▶ parked ─┐
 *	              └── progress, time, cancel ◀────┘
 */
#include "cuse_dev/worker/worker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS 1000000ull

static void call_free(struct worker_call *c)
{
	uint32_t i;

	for (i = 0; i < c->fd_count; i++)
		if (c->fds[i] >= 0)
			close(c->fds[i]);
	free(c);
}

int worker_take_fd(struct worker_call *c)
{
	int fd;

	if (c->fd_count != 1)
		return -1;
	fd = c->fds[0];
	c->fds[0] = -1;
	return fd;
}

bool worker_drained(struct worker_call *c)
{
	return !queue_draining(c->w->queue);
}

static int reply(struct worker_call *c, int status)
{
	struct worker *w = c->w;
	struct wire_msg msg = {
		.kind = WIRE_REPLY,
		.op = c->msg.op,
		.tag = c->msg.tag,
		.device = c->msg.device,
		.status = status,
	};
	struct iovec iov[2] = { { &msg, sizeof(msg) }, { c->payload, 0 } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	if (c->msg.kind == WIRE_CALL && status == 0)
		msg.payload_bytes = c->msg.payload_bytes;
	/* What grew or shrank meanwhile on this device, whoever caused it. */
	if (c->msg.kind == WIRE_CALL && w->ready)
		msg.charge = mem_take_charge(w->mem, c->msg.device);
	iov[1].iov_len = msg.payload_bytes;
	do
		n = sendmsg(w->sock, &mh, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Descriptors that came with the message; more than there is room for are closed by the kernel. */
static void take_fds(struct worker_call *c, struct msghdr *mh)
{
	struct cmsghdr *cm;

	for (cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		c->fd_count = (uint32_t)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(c->fds, CMSG_DATA(cm), c->fd_count * sizeof(int));
	}
}

/* 0: *ret_call, or NULL at the end of the conversation. */
static int receive(struct worker *w, struct worker_call **ret_call)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
	} control;
	struct worker_call *c = malloc(sizeof(*c));
	struct iovec iov[2];
	struct msghdr mh = { .msg_iov = iov,
			     .msg_iovlen = 2,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	ssize_t n;
	int r;

	if (!c)
		return -ENOMEM;
	memset(c, 0, offsetof(struct worker_call, payload));
	c->w = w;
	iov[0] = (struct iovec){ &c->msg, sizeof(c->msg) };
	iov[1] = (struct iovec){ c->payload, sizeof(c->payload) };
	do
		n = recvmsg(w->sock, &mh, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		r = n < 0 && errno != ECONNRESET ? -errno : 0;
		free(c);
		*ret_call = NULL;
		return r;
	}
	take_fds(c, &mh);
	/* The client has as many exportable allocations as this process may have descriptors. */
	c->no_files =
		mh.msg_flags & MSG_CTRUNC && c->fd_count < c->msg.fds && c->msg.fds <= WIRE_MAX_FDS;
	if ((size_t)n < sizeof(c->msg) || (mh.msg_flags & MSG_TRUNC) ||
	    (size_t)n != sizeof(c->msg) + c->msg.payload_bytes ||
	    (c->fd_count != c->msg.fds && !c->no_files)) {
		call_free(c);
		return -EPROTO;
	}
	c->since_ns = queue_now_ns();
	c->until_ns = UINT64_MAX;
	*ret_call = c;
	return 0;
}

static int handle(struct worker_call *c)
{
	struct worker *w = c->w;

	if (c->no_files)
		return -ENOMEM;
	switch (c->msg.kind) {
	case WIRE_INIT:
		return w->ready ? -EPROTO : worker_init(w, c);
	case WIRE_CALL:
		return w->ready ? worker_dispatch(c) : -EPROTO;
	case WIRE_READ:
	case WIRE_WRITE:
		return w->ready ? worker_bulk(c) : -EPROTO;
	default:
		return -EPROTO;
	}
}

/* Try @c; it is answered and gone, or parked at the end of the list. */
static int try(struct worker_call *c)
{
	struct worker_call **link = &c->w->parked;
	int r = handle(c);

	if (r != WORKER_PARK || c->msg.kind != WIRE_CALL) {
		r = reply(c, r);
		call_free(c);
		return r;
	}
	c->again = true;
	while (*link)
		link = &(*link)->next;
	c->next = NULL;
	*link = c;
	return 0;
}

static int cancel(struct worker *w, uint64_t tag)
{
	struct worker_call **link, *c;
	int r;

	for (link = &w->parked; (c = *link); link = &c->next)
		if (c->msg.tag == tag)
			break;
	if (!c)
		return 0; /* it has been answered meanwhile */
	if (c->job)
		return 0; /* it ends by itself; begun again by a retry it might never */
	*link = c->next;
	r = reply(c, -EINTR);
	call_free(c);
	return r;
}

static int retry_parked(struct worker *w, uint64_t *ret_when_ns)
{
	struct worker_call *list = w->parked, *c;
	int r = 0;

	w->parked = NULL;
	while ((c = list)) {
		list = c->next;
		if (r == 0) {
			r = try(c);
		} else {
			c->next = w->parked;
			w->parked = c;
		}
	}
	for (c = w->parked; c; c = c->next)
		if (c->until_ns < *ret_when_ns)
			*ret_when_ns = c->until_ns;
	return r;
}

/* Contexts that broke are the front's news, too. */
static int tell_faults(struct worker *w)
{
	struct wire_msg msg = { .kind = WIRE_FAULT };
	struct vgpu_ctx_status status;
	struct iovec iov[2] = { { &msg, sizeof(msg) }, { &status, sizeof(status) } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = 0;

	msg.payload_bytes = sizeof(status);
	while (n >= 0 && queue_take_fault(w->queue, &msg.device, &status)) {
		do
			n = sendmsg(w->sock, &mh, MSG_NOSIGNAL);
		while (n < 0 && errno == EINTR);
	}
	return n < 0 ? -errno : 0;
}

/* See what has settled, try again what waits; *ret_ms is how long poll() may sleep. */
static int settle(struct worker *w, int *ret_ms)
{
	uint64_t when = UINT64_MAX, now;
	int r;

	*ret_ms = -1;
	if (!w->ready)
		return 0;
	/* First on, then look: what happens after the look writes to notify_fd. */
	queue_notify(w->queue, w->parked || vdev_zombies(w->vdev) || queue_draining(w->queue));
	r = tell_faults(w);
	if (r < 0)
		return r;
	vdev_reap(w->vdev, &when);
	r = retry_parked(w, &when);
	if (when != UINT64_MAX) {
		now = queue_now_ns();
		*ret_ms = when <= now			  ? 0
			  : when - now > 3600 * 1000 * MS ? 3600 * 1000
							  : (int)((when - now + MS - 1) / MS);
	}
	return r;
}

static int serve(struct worker *w)
{
	struct pollfd p[2] = { { .fd = w->sock, .events = POLLIN },
			       { .fd = w->notify_fd, .events = POLLIN } };
	struct worker_call *c;
	uint64_t count;
	int r, ms;

	for (;;) {
		r = settle(w, &ms);
		if (r < 0)
			return r;
		if (poll(p, 2, ms) < 0) {
			if (errno != EINTR)
				return -errno;
			continue; /* p is what it was before */
		}
		if ((p[1].revents & POLLIN) && read(w->notify_fd, &count, sizeof(count)) < 0 &&
		    errno != EAGAIN)
			return -errno;
		if (!p[0].revents)
			continue;
		r = receive(w, &c);
		if (r < 0 || !c)
			return r;
		if (c->msg.kind == WIRE_CANCEL) {
			r = cancel(w, c->msg.tag);
			call_free(c);
		} else {
			r = try(c);
		}
		if (r < 0)
			return r;
	}
}

int worker_run(int sock, const struct worker_options *options)
{
	struct worker w = { .options = options, .sock = sock };
	struct worker_call *c;
	int r;

	w.notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w.notify_fd < 0)
		return -errno;
	worker_aside_init(&w);
	r = serve(&w);
	if (r == -EPIPE)
		r = 0; /* the front left while we were answering */
	if (w.ready)
		queue_alive(w.queue, 2);
	if (options->teardown) {
		worker_aside_fini(&w);
		while ((c = w.parked)) {
			w.parked = c->next;
			vdev_job_end(c->job);
			call_free(c);
		}
		worker_fini(&w);
		close(w.notify_fd);
	}
	return r;
}

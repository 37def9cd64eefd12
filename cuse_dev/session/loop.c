/* SPDX-License-Identifier: MIT */
/* loop.c - epoll, one event per wait. */
#include "cuse_dev/session/loop.h"

#include <errno.h>
#include <unistd.h>

int loop_init(struct loop *l)
{
	l->stop = false;
	l->error = 0;
	l->fd = epoll_create1(EPOLL_CLOEXEC);
	return l->fd < 0 ? -errno : 0;
}

void loop_fini(struct loop *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

int loop_add(struct loop *l, struct loop_source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	return epoll_ctl(l->fd, EPOLL_CTL_ADD, src->fd, &ev) < 0 ? -errno : 0;
}

int loop_change(struct loop *l, struct loop_source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	return epoll_ctl(l->fd, EPOLL_CTL_MOD, src->fd, &ev) < 0 ? -errno : 0;
}

void loop_remove(struct loop *l, struct loop_source *src)
{
	epoll_ctl(l->fd, EPOLL_CTL_DEL, src->fd, NULL);
}

int loop_once(struct loop *l, int timeout_ms)
{
	struct epoll_event ev;
	struct loop_source *src;
	int n;

	/* One event per call: a second one of a batch could belong to a source just freed. */
	n = epoll_wait(l->fd, &ev, 1, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	if (!n)
		return 0;
	src = ev.data.ptr;
	src->ready(src, ev.events);
	return 1;
}

int loop_run(struct loop *l)
{
	int r = 0;

	while (!l->stop && r >= 0)
		r = loop_once(l, -1);
	return r < 0 ? r : l->error;
}

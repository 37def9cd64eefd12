/* SPDX-License-Identifier: MIT */
/* event.c - a ring that forgets its oldest. */
#include "cuse_dev/session/event.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "cuse_dev/session/front.h"

int event_init(struct event_log *l)
{
	l->last = 0;
	l->watched = false;
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return l->wake < 0 ? -errno : 0;
}

void event_fini(struct event_log *l)
{
	if (l->wake >= 0)
		close(l->wake);
	l->wake = -1;
}

void event_add(struct front *f, const struct event *e, const char *fmt, ...)
{
	struct event_log *l = &f->events;
	const uint64_t one = 1;
	struct timespec now;
	struct event *to;
	va_list ap;

	clock_gettime(CLOCK_REALTIME, &now);
	to = &l->ring[++l->last % LIMIT_EVENTS];
	*to = *e;
	to->seq = l->last;
	to->time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	va_start(ap, fmt);
	vsnprintf(to->text, sizeof(to->text), fmt, ap);
	va_end(ap);
	if (l->watched && write(l->wake, &one, sizeof(one)) < 0)
		return; /* it is full, so readable already */
}

const struct event *event_next(const struct front *f, uint64_t seq)
{
	const struct event_log *l = &f->events;

	if (seq >= l->last)
		return NULL;
	if (l->last - seq > LIMIT_EVENTS)
		seq = l->last - LIMIT_EVENTS;
	return &l->ring[(seq + 1) % LIMIT_EVENTS];
}

const char *event_kind_text(enum event_kind kind)
{
	static const char *const text[] = {
#define X(NAME, name) name,
		EVENT_KINDS(X)
#undef X
	};

	return kind < EVENT_KIND_COUNT ? text[kind] : "unknown";
}

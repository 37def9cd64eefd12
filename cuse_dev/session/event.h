/* SPDX-License-Identifier: MIT */
/*
 * event.h - what happened in the daemon, the last LIMIT_EVENTS of it, for whoever administers it.
 *
 * The log tells the same in words; here it is data, numbered without gaps. A reader that is too slow
 * sees from the numbers how much it has missed.
 */
#ifndef SESSION_EVENT_H
#define SESSION_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cuse_dev/base/limits.h"

struct front;

/*  X(NAME, text) */
#define EVENT_KINDS(X)                                                                             \
	X(CLIENT_OPENED, "client-opened")   /* a process opened its first device file */           \
	X(CLIENT_CLOSED, "client-closed")   /* it ended, or closed the last one */                 \
	X(CLIENT_EVICTED, "client-evicted") /* by an administrator */                              \
	X(WORKER_STARTED, "worker-started")                                                        \
	X(WORKER_ENDED, "worker-ended") /* not because its client did */                           \
	X(FAULT, "fault")		/* of a kernel, or a worker died */                        \
	X(MEMORY_LOW, "memory-low")	/* the host's; a worker was ended for it */                \
	X(DEVICE_ADDED, "device-added")                                                            \
	X(DEVICE_REMOVED, "device-removed")                                                        \
	X(QUOTA_CHANGED, "quota-changed")

enum event_kind {
#define X(NAME, text) EVENT_##NAME,
	EVENT_KINDS(X)
#undef X
		EVENT_KIND_COUNT
};

#define EVENT_TEXT_BYTES 160

struct event {
	uint64_t seq;	  /* from 1 */
	uint64_t time_ns; /* of CLOCK_REALTIME */
	enum event_kind kind;
	uint32_t pid;	 /* of the client, 0: none, or not visible */
	uint32_t uid;	 /* of the client */
	int32_t device;	 /* -1: none */
	uint32_t worker; /* pid, 0: none */
	char text[EVENT_TEXT_BYTES];
};

struct event_log {
	struct event ring[LIMIT_EVENTS]; /* event number n lies at n % LIMIT_EVENTS */
	uint64_t last;			 /* number of the newest, 0: none yet */
	int wake;			 /* eventfd: readable when there is news; -1 none */
	bool watched;			 /* somebody reads it */
};

int event_init(struct event_log *l);
void event_fini(struct event_log *l);

/** event_add() - @e without seq and time. @fmt: its text, "" for none. */
void event_add(struct front *f, const struct event *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** event_next() - the oldest that is kept and newer than @seq, NULL: there is none. */
const struct event *event_next(const struct front *f, uint64_t seq);
const char *event_kind_text(enum event_kind kind);

#endif

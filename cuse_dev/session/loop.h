/* SPDX-License-Identifier: MIT */
/*
 * loop.h - the front's one epoll loop.
 *
 * A source is embedded in its owner. Events are taken one at a time, so a handler may remove and
 * free any source, its own included.
 */
#ifndef SESSION_LOOP_H
#define SESSION_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct loop {
	int fd;
	bool stop;
	int error; /* what loop_run() answers when it has stopped: 0, or why it had to */
};

struct loop_source {
	int fd; /* the owner closes it */
	void (*ready)(struct loop_source *src, uint32_t events);
};

int loop_init(struct loop *l);
void loop_fini(struct loop *l);

/** loop_add() - @src->fd and @src->ready are set; @events as for epoll_ctl(2). */
int loop_add(struct loop *l, struct loop_source *src, uint32_t events);
int loop_change(struct loop *l, struct loop_source *src, uint32_t events);
void loop_remove(struct loop *l, struct loop_source *src);

/** loop_once() - wait for one event and handle it. 1 handled, 0 time over, -errno. -1 ms: for ever.
 */
int loop_once(struct loop *l, int timeout_ms);
/** loop_run() - until somebody sets stop. */
int loop_run(struct loop *l);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * guard.h - when memory runs out, a worker goes before the kernel looks for somebody to end.
 *
 * The kernel's choice would begin with a worker, too (oom_score_adj 1000). But device memory is
 * shared pages, which stay when their worker is dead, so the kernel would go on with whoever is
 * largest. The front can give them back: it ends the worker whose client holds most, and empties
 * its memory.
 */
#ifndef SESSION_GUARD_H
#define SESSION_GUARD_H

#include <stdint.h>

#include "cuse_dev/session/loop.h"

struct front;

struct guard {
	struct loop_source timer; /* -1: there is no worker to look after */
	struct front *front;
};

void guard_init(struct guard *g, struct front *f);
void guard_fini(struct guard *g);
/** guard_wake() - there is a worker now. */
void guard_wake(struct guard *g);
/**
 * guard_check() - with @available of @total bytes left: ends a worker if that is too little.
 *
 * Returns nanoseconds until the next look is due, 0 when there is no worker left to look after.
 */
uint64_t guard_check(struct guard *g, uint64_t available, uint64_t total);

#endif

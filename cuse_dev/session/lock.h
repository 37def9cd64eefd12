/* SPDX-License-Identifier: MIT */
/*
 * lock.h - one daemon per run directory.
 */
#ifndef SESSION_LOCK_H
#define SESSION_LOCK_H

#include <limits.h>

struct lock {
	int fd;
	char path[PATH_MAX];
};

/** lock_take() - -EBUSY: another one has it; the log says which process. */
int lock_take(struct lock *l, const char *run_dir);
void lock_drop(struct lock *l);

#endif

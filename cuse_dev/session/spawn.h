/* SPDX-License-Identifier: MIT */
/*
 * spawn.h - start a worker process in its jail.
 */
#ifndef SESSION_SPAWN_H
#define SESSION_SPAWN_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "cuse_dev/session/jail.h"

struct spawn {
	/**
	 * start() - a worker that has @sock as descriptor WIRE_WORKER_FD and @err as stderr.
	 * @ret_pid 0 and @ret_pidfd -1 for one that is no process (tests); otherwise the pidfd is
	 * the caller's.
	 */
	int (*start)(const struct spawn *sp, int sock, int err, uint32_t client_tgid,
		     pid_t *ret_pid, int *ret_pidfd);
	int program_fd;	 /* the worker's binary, opened */
	uint32_t accept; /* walls that may be missing: those the probe could not have */
	struct jail jail;
	char program[PATH_MAX];
};

/** spawn_init() - finds and opens the binary, tries the jail once and logs what it lacks. */
int spawn_init(struct spawn *sp, const char *program, const char *user);
void spawn_fini(struct spawn *sp);

#endif

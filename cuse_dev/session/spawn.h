/* SPDX-License-Identifier: MIT */
/*
 * spawn.h - start a worker, or a worker's compiler, in its jail.
 */
#ifndef SESSION_SPAWN_H
#define SESSION_SPAWN_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "cuse_dev/session/jail.h"

/* What a child gets; all stay the caller's. */
struct spawn_ends {
	int sock;  /* its descriptor WIRE_WORKER_FD */
	int extra; /* its descriptor WIRE_WORKER_FD + 1, or -1 */
	int err;   /* its stderr */
};

struct spawn {
	/**
	 * start() - a child for the client process @client_tgid.
	 * @ret_pid 0 and @ret_pidfd -1 for one that is no process (tests); otherwise the pidfd is
	 * the caller's.
	 */
	int (*start)(const struct spawn *sp, const struct spawn_ends *ends, uint32_t client_tgid,
		     pid_t *ret_pid, int *ret_pidfd);
	const char *name; /* of the program */
	char arg[2][40];  /* its arguments, "" none */
	int program_fd;	  /* its binary, opened */
	uint32_t accept;  /* walls that may be missing: those the probe could not have */
	struct jail jail;
	char program[PATH_MAX];
};

/** spawn_init() - finds and opens vgpu-worker, tries the jail once and logs what it lacks. */
int spawn_init(struct spawn *sp, const char *program, const char *user);
/** spawn_init_like() - another program, @name, in a jail like that of @model. -ENOENT. */
int spawn_init_like(struct spawn *sp, const struct spawn *model, const char *name,
		    const char *program);
void spawn_fini(struct spawn *sp);

#endif

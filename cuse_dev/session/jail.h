/* SPDX-License-Identifier: MIT */
/*
 * jail.h - what is taken away from a worker before it runs.
 *
 * Each wall is wanted, none is needed: what a host does not permit is left out and said once when
 * the daemon starts. The system call filter is put up by the worker itself after it has set up.
 */
#ifndef SESSION_JAIL_H
#define SESSION_JAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The walls, in words for the log.  X(NAME, text) */
#define JAIL_WALLS(X)                                                                              \
	X(USER, "an unprivileged user")                                                            \
	X(NO_NEW_PRIVS, "no new privileges")                                                       \
	X(PID_NS, "its own process ids")                                                           \
	X(NET_NS, "an empty network")                                                              \
	X(IPC_NS, "its own System V objects")                                                      \
	X(MOUNT_NS, "its own view of the file system")                                             \
	X(LIMITS, "resource limits")                                                               \
	X(OOM, "first in line when memory runs out (oom_score_adj 1000)")                          \
	X(DEATH, "death with the daemon")

enum jail_wall {
#define X(NAME, text) JAIL_##NAME,
	JAIL_WALLS(X)
#undef X
		JAIL_COUNT
};

struct jail {
	const char *program; /* the binary on the host; see jail_program() */
	char at[32];	     /* and in its private root, "/vgpu-worker": so it is called in lists */
	bool change_user;    /* the daemon is root */
	uid_t uid;
	gid_t gid;
	uint32_t clone_flags; /* namespaces that may be had, CLONE_NEW* */
	bool private_root;    /* the private view of the file system works */
};

/** jail_init() - @user: "" for the user vgpu or, without it, nobody. */
int jail_init(struct jail *j, const char *user);

/** jail_program() - @path is shown in the private root, as @name. @path stays the caller's. */
void jail_program(struct jail *j, const char *path, const char *name);

/** jail_probe() - tries all walls in a child; keeps what works in @j, returns the missing ones. */
uint32_t jail_probe(struct jail *j);

/** jail_clone() - fork(2), with its own process ids if @j has them. As fork, and *ret_pidfd in the
 * parent. */
pid_t jail_clone(const struct jail *j, int *ret_pidfd);

/**
 * jail_enter() - in the child: all the other walls. Returns those that failed, as a bit
 * mask of enum jail_wall. Calls nothing that is not async-signal-safe.
 */
uint32_t jail_enter(const struct jail *j);

const char *jail_wall_text(enum jail_wall wall);

#endif

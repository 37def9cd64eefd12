/* SPDX-License-Identifier: MIT */
/*
 * daemon.h - a vgpu-cuse of one's own: start, wait until its nodes answer, stop, read its log.
 *
 *	struct support_daemon *d;
 *	r = support_daemon_start(NULL, &d);	// fuse door, one default device, own node directory
 *	fd = open(support_daemon_node(d, 0), O_RDWR | O_CLOEXEC);
 *	...
 *	char *bad = support_daemon_stop(d);	// NULL, or what was wrong
 *	EXPECT_EQ(bad, nullptr) << bad;
 *
 * A client program finds the nodes with VGPU_NODE_DIR=<support_daemon_node_dir()>, or by itself in
 * a world of its own (world.h). The daemon dies with the test program.
 */
#ifndef SUPPORT_DAEMON_H
#define SUPPORT_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct support_daemon;

struct support_daemon_options {
	const char *node_dir;	 /* NULL: a fresh directory under /tmp, removed at the end */
	const char *door;	 /* NULL: "fuse" */
	const char *config;	 /* text of a configuration file; NULL: an empty one */
	const char *const *args; /* more arguments, NULL-terminated, e.g. "--device=T4"; or NULL */
	const char *run_dir;	 /* its run directory (lock); NULL: inside node_dir's parent */
	const char *program;	 /* vgpu-cuse to start; NULL: the build's */
	const char *worker;	 /* vgpu-worker it is to use; NULL: the build's */
	unsigned devices;	 /* nodes to wait for; 0: 1 */
	unsigned timeout_ms;	 /* for the nodes to answer; 0: 15 s */
};

/** support_daemon_start() - 0, or -errno after the log went to stderr. */
int support_daemon_start(const struct support_daemon_options *opt,
			 struct support_daemon **ret_daemon);

/**
 * support_daemon_stop() - SIGTERM, wait, clean up; frees @d.
 *
 * Returns NULL when all went well, else text (free it): it did not end in time or not with 0, a node
 * or a mount stayed behind, or its log has suspicious words that nobody announced.
 */
char *support_daemon_stop(struct support_daemon *d);

/** support_daemon_kill() - SIGKILL and wait; _stop() then only cleans up and reads the log. */
void support_daemon_kill(struct support_daemon *d);

/** support_daemon_restart() - start it again with the same options, after _kill(). */
int support_daemon_restart(struct support_daemon *d);

/** support_daemon_allow() - log lines that contain @text are expected, not suspicious. */
void support_daemon_allow(struct support_daemon *d, const char *text);

pid_t support_daemon_pid(const struct support_daemon *d);
const char *support_daemon_node_dir(const struct support_daemon *d);
/** support_daemon_node() - path of node @index; lives as long as @d. */
const char *support_daemon_node(struct support_daemon *d, unsigned index);
/** support_daemon_log() - all it said so far; free() it. */
char *support_daemon_log(const struct support_daemon *d);

/** What the daemon holds right now; for tests that look for growth. */
struct support_daemon_usage {
	unsigned fds;
	unsigned children; /* its live child processes: workers and their compilers */
	unsigned zombies;  /* dead ones it has not waited for */
	unsigned long rss_kib;
};

int support_daemon_measure(const struct support_daemon *d, struct support_daemon_usage *ret_usage);

/** support_daemon_workers() - pids of its workers, up to @max; returns how many there are. */
unsigned support_daemon_workers(const struct support_daemon *d, pid_t *pids, unsigned max);

/** support_daemon_settle() - wait until it has no children: 0 or -ETIMEDOUT. */
int support_daemon_settle(const struct support_daemon *d, unsigned timeout_ms);

#ifdef __cplusplus
}
#endif
#endif

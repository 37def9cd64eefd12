/* SPDX-License-Identifier: MIT */
/*
 * said.h - what a worker says on its stderr, passed on to the daemon's log.
 *
 * A worker runs code of its client, which may make it say anything, at any rate. So it gets a pipe,
 * and the log gets whole lines that name the worker, without control characters, SAID_LINES of them
 * in SAID_SECONDS; how many were lost is said as well. One that says more is made to wait.
 */
#ifndef SESSION_SAID_H
#define SESSION_SAID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cuse_dev/session/loop.h"

#define SAID_LINES	20
#define SAID_SECONDS	10
#define SAID_LINE_BYTES 512

struct said {
	struct loop *loop;
	const char *what;	  /* who speaks, for the log: "worker" unless set after opening */
	struct loop_source pipe;  /* fd -1: closed */
	struct loop_source pause; /* timer while it is made to wait, -1 otherwise */
	pid_t pid;
	uint32_t tgid;	   /* the client's process, for the log */
	uint64_t since_ns; /* when the lines were counted from 0 */
	uint32_t lines;	   /* said since then */
	uint64_t lost;
	size_t used; /* bytes of the line that has not ended yet */
	char line[SAID_LINE_BYTES];
};

/** said_open() - @ret_theirs is the worker's end, to be closed by the caller. */
int said_open(struct said *s, struct loop *loop, int *ret_theirs);
/** said_close() - after the worker's last word, which is read here. Once more is fine. */
void said_close(struct said *s);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * compiler.h - the process that compiles hot kernels for one worker, started when it is first asked.
 *
 * Worker and compiler talk over a socket of their own; the front never reads from it. It holds the
 * compiler's end and waits until something is there to be read, then starts the program with that
 * end. So a client whose kernels never get hot has no compiler, and one that crashed is started
 * again by the next request, a few times.
 *
 *	worker ◀── SOCK_SEQPACKET ──▶ compiler          (backend/soft/tier/job.h says what)
 */
#ifndef SESSION_COMPILER_H
#define SESSION_COMPILER_H

#include <sys/types.h>

struct client;
struct compiler;

/**
 * compiler_create() - for a worker that is about to start for @c
 *
 * @ret_sock: the worker's end, the caller's. -ENOENT: this daemon has no compiler.
 */
int compiler_create(struct client *c, struct compiler **ret_compiler, int *ret_sock);
/** compiler_destroy() - its worker is gone. What is left of it goes when the process has ended. */
void compiler_destroy(struct compiler *k);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * worker.h - the process that works for one client: what the front's messages (session/wire.h) do.
 *
 * One thread answers the front; streams and the backend have their own. A request that must wait is
 * parked and tried again when something has moved on, so others are answered meanwhile. What takes
 * long is a job: threads of aside.c run it while its request is parked.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cuse_dev/backend/backend.h"
#include "cuse_dev/base/limits.h"
#include "cuse_dev/session/wire.h"
#include "cuse_dev/vdev/vdev.h"

struct worker_options {
	const struct backend_ops *ops;
	bool jail;     /* put up the system call filter once set up */
	bool teardown; /* free everything at the end, not only leave */
};

/* The threads that run jobs; started when there is work and none of them is idle. */
struct worker_aside {
	pthread_mutex_t lock;
	pthread_cond_t some;
	struct worker_call *first; /* guarded by lock, as are the next ones */
	uint32_t threads, idle;
	bool stop;
	int notify_fd;
	pthread_t thread[LIMIT_WORKER_JOBS];
};

struct worker {
	const struct worker_options *options;
	int sock;
	int notify_fd; /* written by threads when something moved on */
	bool ready;    /* WIRE_INIT is done */
	uint8_t *bounce;
	uint32_t device_count;
	struct mem *mem;
	struct queue *queue;
	struct vdev *vdev;
	void *compiler;		    /* of ops->compiler_create(), NULL: none */
	struct worker_call *parked; /* oldest first */
	struct worker_aside aside;
};

/* A handler's answer beside 0 and -errno: not yet. It is called again with the same call. */
#define WORKER_PARK 1

/* One request under way. */
struct worker_call {
	struct worker_call *next; /* parked */
	struct worker *w;
	struct wire_msg msg;
	int fds[WIRE_MAX_FDS]; /* -1: taken over by the handler */
	uint32_t fd_count;
	bool no_files;		    /* fewer came than were sent: no room for them here */
	bool again;		    /* this is not the first try */
	uint64_t since_ns;	    /* of the first try */
	uint64_t until_ns;	    /* try again then at the latest; UINT64_MAX: none */
	uint64_t ticket;	    /* of the zombie it waits for */
	struct vdev_job *job;	    /* its answer comes from it */
	struct worker_call *queued; /* the next one whose job has not begun */
	uint8_t payload[WIRE_MAX_PAYLOAD] __attribute__((aligned(16)));
};

/** worker_run() - serve @sock until the front closes it. 0 or -errno. */
int worker_run(int sock, const struct worker_options *options);

/** worker_init() - WIRE_INIT: window, arenas, devices, filter. */
int worker_init(struct worker *w, struct worker_call *c);
void worker_fini(struct worker *w);

/** worker_dispatch() - WIRE_CALL: 0, -errno or WORKER_PARK. */
int worker_dispatch(struct worker_call *c);

/** worker_bulk() - WIRE_READ and WIRE_WRITE: bytes moved or -errno. */
int worker_bulk(struct worker_call *c);

/* aside.c */
void worker_aside_init(struct worker *w);
/** worker_aside_fini() - waits for the jobs that have begun. */
void worker_aside_fini(struct worker *w);
/** worker_aside_end() - what a handler gives back after a vdev function: VDEV_LATER has the job run
 * and parks; all else is the answer, and the job, if there was one, has ended. */
int worker_aside_end(struct worker_call *c, int r);
/** worker_aside_running() - the job of @c is not done: there is no answer yet. */
bool worker_aside_running(const struct worker_call *c);

/** worker_seccomp() - from now on only system calls that the worker needs. */
int worker_seccomp(void);

/* What the handlers of several groups use. */
int worker_take_fd(struct worker_call *c); /* the one descriptor that came, or -1 */
/** worker_drained() - false: destroyed streams still run, park what takes memory away. */
bool worker_drained(struct worker_call *c);

/* The handlers: op_<group>.c, one per operation of VGPU_OPS that goes to the worker. */
#define WORKER_OP_FRONT(name)
#define WORKER_OP_WORKER(name)		int op_##name(struct worker_call *c, struct vgpu_##name *a);
#define X(nr, NAME, name, where, since) WORKER_OP_##where(name)
VGPU_OPS(X)
#undef X

#endif

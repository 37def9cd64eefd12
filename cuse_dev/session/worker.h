/* SPDX-License-Identifier: MIT */
/*
 * worker.h - the front's end of one worker: its process, its socket, what it still owes.
 *
 * What a worker says is checked like what a client says: a reply that does not fit its request ends
 * the worker.
 */
#ifndef SESSION_WORKER_H
#define SESSION_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "cuse_dev/session/front.h"
#include "cuse_dev/session/said.h"

/** A request that was sent, or waits for a bounce slot. */
struct pending {
	struct pending *next, **link; /* in worker->pending */
	struct worker *worker;
	struct session_answer answer;
	bool answered; /* interrupted; the worker's reply only corrects the account */
	uint64_t tag;
	enum wire_kind kind;
	uint32_t nr, device;
	uint32_t reply_bytes;
	uint64_t taken; /* bytes charged beforehand */
	/* WIRE_READ and WIRE_WRITE: */
	int slot; /* -1: waits for one, in worker->waiting */
	uint64_t offset;
	uint32_t bytes;
	void *data; /* of a write that waits */
	struct pending *next_waiting;
};

struct outgoing {
	struct outgoing *next;
	int fd; /* -1 none; closed when sent */
	size_t bytes;
	unsigned char data[];
};

struct worker {
	struct front *front;
	struct client *client;
	pid_t pid;		   /* 0: not a process of ours (tests) */
	struct loop_source exit;   /* pidfd, -1 none */
	struct loop_source sock;   /* -1 once broken */
	struct said said;	   /* its stderr */
	struct compiler *compiler; /* NULL: none */
	struct pending *pending;
	uint32_t pending_count, waiting_count;
	struct pending *waiting, **waiting_last;
	struct outgoing *out, **out_last; /* what the socket did not take yet */
	int bounce_fd;
	uint8_t *bounce;
	uint32_t slots_used;		       /* bit mask */
	uint64_t generation[VGPU_MAX_DEVICES]; /* of the devices it knows, 0: none */
	int meter_fd;
	const struct meter_page *meter; /* written by the worker; NULL once folded */
	uint64_t born_ns;
	bool killed; /* by us: its end is no news */
};

/** worker_start() - for @c, with its pages. */
int worker_start(struct client *c);
/** worker_kill() - answers what is pending with ENODEV; the rest follows when it is dead. */
void worker_kill(struct worker *w);

/** worker_drop_meter() - its page is not looked at again. */
void worker_drop_meter(struct worker *w);

/** worker_pending() - a new request; NULL: -ENOMEM or at the limit. */
struct pending *worker_pending(struct worker *w, enum wire_kind kind, uint32_t device,
			       const struct session_answer *answer);
/** worker_forget() - remove and free it. */
void worker_forget(struct pending *p);
/** worker_send() - @fd is the socket's from now on, also on failure. Never waits. */
int worker_send(struct worker *w, const struct wire_msg *msg, const void *payload, int fd);

/** relay_reply() - relay.c: a message of the worker. -EIO: it makes no sense. */
int relay_reply(struct worker *w, const struct wire_msg *msg, const void *payload);

#endif

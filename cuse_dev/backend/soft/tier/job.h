/* SPDX-License-Identifier: MIT */
/*
 * job.h - what a worker and its compiler say to each other on their SOCK_SEQPACKET pair.
 *
 * One message is one struct job_msg, with at most one descriptor. Texts and objects travel as
 * memfds and are copied before they are looked at. Both sides treat the other as hostile: a worker
 * runs its client's code, a compiler has parsed what that worker sent.
 *
 *	worker                                     compiler
 *	                               ◀── HELLO threads; a new one: what an earlier one had begun is lost
 *	COMPILE id, level, block, memfd: IR ──▶
 *	                               ◀── BEGUN id
 *	                               ◀── DONE id, status, memfd: object
 */
#ifndef SOFT_TIER_JOB_H
#define SOFT_TIER_JOB_H

#include <stdint.h>

#include "cuse_dev/base/store.h"

#define JOB_MAX_TEXT   (128u << 20) /* bytes of IR text */
#define JOB_MAX_OBJECT (64u << 20)  /* bytes of an object */

enum job_kind { JOB_HELLO = 1, JOB_COMPILE, JOB_BEGUN, JOB_DONE };

/** struct job_msg */
struct job_msg {
	uint32_t kind;	   /* enum job_kind */
	uint32_t id;	   /* chosen by the worker */
	uint32_t block[3]; /* COMPILE: the shape to specialise for, 0, 0, 0: any */
	int32_t status;	   /* DONE: 0 or a negative errno; -ENOTSUP: the interpreter keeps it */
	uint32_t level;	   /* COMPILE: enum llvm_level */
	uint32_t threads;  /* HELLO: jobs that it works on at once */
	uint64_t bytes;	   /* of the memfd's content */
	char text[128];	   /* DONE: why not; NUL-terminated */
};

/** job_send() - waits for room unless @dontwait; @fd (-1 none) stays the caller's. 0 or -errno. */
int job_send(int sock, const struct job_msg *msg, int fd, int dontwait);
/** job_receive() - *ret_fd is the caller's, -1 none. 0; -EPIPE at the end; -EPROTO; -errno. */
int job_receive(int sock, struct job_msg *ret_msg, int *ret_fd);

/** job_pack() - a memfd with a copy of @data: a descriptor or -errno. */
int job_pack(const void *data, uint64_t bytes);
/** job_unpack() - a copy of a memfd's content with a NUL behind it, the caller's to free. */
int job_unpack(int fd, uint64_t bytes, uint64_t max, void **ret_data);

/** job_key() - under which the object of this text and shape is kept. */
int job_key(const char *text, uint64_t bytes, const uint32_t block[3], struct store_key *ret_key);

#endif

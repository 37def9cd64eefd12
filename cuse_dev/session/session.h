/* SPDX-License-Identifier: MIT */
/*
 * session.h - what a door asks for: devices served, files opened, operations called, data moved.
 *
 * An answer may come before the call returns or later; it comes exactly once, through the functions
 * the door gives along. Until then the door holds a struct pending, good for one thing: to say that
 * the caller was interrupted.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ioctl/ops.h"

struct config;
struct config_device;
struct front;
struct loop;
struct pending;
struct session;
struct spawn;

/** Who calls: from the FUSE request context. */
struct session_caller {
	uint32_t tid; /* 0: not visible from here */
	uid_t uid;
	gid_t gid;
};

/** How to answer; exactly one of the four, once. */
struct session_answer_ops {
	void (*fail)(void *token, int error);			   /* positive errno */
	void (*reply)(void *token, const void *out, size_t bytes); /* the struct of an operation */
	void (*data)(void *token, const void *data, size_t bytes); /* what a read got */
	void (*count)(void *token, size_t bytes);		   /* what a write put */
};

struct session_answer {
	const struct session_answer_ops *ops;
	void *token;
};

struct session_request {
	struct session_answer answer;
	const struct ops_desc *desc;
	uint32_t nr;
	uint32_t reply_bytes; /* what the caller has room for */
	void *arg;	      /* desc->size bytes, writable, admitted */
	int fd;		      /* opened and checked for the operations that carry one, else -1;
			       * the session owns it */
};

struct session_bulk {
	struct session_answer answer;
	uint64_t offset;
	uint32_t bytes;
	const void *data; /* to write; NULL to read */
};

/**
 * front_create() - the daemon without doors. @config stays the caller's and must live as long;
 * @spawn: how to start a worker; @compiler: how to start the compiler of one, or NULL.
 */
int front_create(const struct config *config, const struct spawn *spawn,
		 const struct spawn *compiler, struct front **ret_front);
/** front_destroy() - ends all workers and waits for them. No door may be left. */
void front_destroy(struct front *f);
struct loop *front_loop(struct front *f);
uint32_t front_device_count(const struct front *f);
/** front_add_device() - one more, @cd is copied. -ENOSPC; the log says what else. */
int front_add_device(struct front *f, const struct config_device *cd, uint32_t *ret_index);
/** front_remove_device() - the one with the highest number; whoever uses it is evicted. */
void front_remove_device(struct front *f);
/** front_device_users() - how many clients use it; the process ids of the first @max. */
uint32_t front_device_users(struct front *f, uint32_t device, uint32_t *pids, uint32_t max);
/** front_device_mode() - permission bits and group of the node. */
void front_device_mode(const struct front *f, uint32_t device, uint32_t *ret_mode, gid_t *ret_gid);

/**
 * session_open() - a file was opened. @access: bits of 4 (read) and 2 (write).
 *
 * -EACCES: not allowed here; -EMFILE, -ENFILE: too many files of this process, of all.
 */
int session_open(struct front *f, uint32_t device, const struct session_caller *who, int access,
		 struct session **ret_session);
void session_release(struct session *s);

bool session_greeted(const struct session *s);
/** session_check_caller() - 0, -EACCES: another process opened this file; -ENODEV: it is gone. */
int session_check_caller(struct session *s, const struct session_caller *who);
/** session_visible() - can descriptors of the process be opened? */
bool session_visible(const struct session *s);

/** session_call() - an admitted operation. NULL when it is answered already. */
struct pending *session_call(struct session *s, const struct session_request *call);
/** session_transfer() - pread or pwrite on the node. */
struct pending *session_transfer(struct session *s, const struct session_bulk *bulk);

/**
 * session_interrupt() - the caller got a signal; @dying: it will not come back for the answer.
 *
 * A wait is answered EINTR at once. Other operations have effects that must not get lost, and go on
 * unless the caller is dying. True: it is answered, and @p is gone.
 */
bool session_interrupt(struct pending *p, bool dying);

#endif

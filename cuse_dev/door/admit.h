/* SPDX-License-Identifier: MIT */
/*
 * admit.h - every check that does not depend on the operation, made once, ahead of the session.
 */
#ifndef DOOR_ADMIT_H
#define DOOR_ADMIT_H

#include <stddef.h>
#include <stdint.h>

#include "cuse_dev/session/session.h"

struct admit_request {
	struct session_answer answer;
	struct session_caller caller;
	uint32_t cmd;		    /* as given to ioctl(2) */
	const void *in;		    /* what the kernel copied in */
	size_t in_bytes, out_bytes; /* what it copied in and will copy out */
};

/** admit_ioctl() - check and pass on. NULL when it is answered already. */
struct pending *admit_ioctl(struct session *s, const struct admit_request *io);

#endif

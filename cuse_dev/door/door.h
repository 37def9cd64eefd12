/* SPDX-License-Identifier: MIT */
/*
 * door.h - the ways in: a node per device, made by CUSE or by FUSE, both with the same behaviour.
 *
 * Nothing here knows an operation. A door turns a kernel request into session calls, and answers
 * back into replies.
 */
#ifndef DOOR_DOOR_H
#define DOOR_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "cuse_dev/session/session.h"

struct door;

struct door_ops {
	const char *name;
	/** open() - the node of @device at @path. 0 or -errno, then the log says why. */
	int (*open)(struct front *f, uint32_t device, const char *path, struct door **ret_door);
	void (*close)(struct door *d);
};

extern const struct door_ops door_cuse; /* a character device through /dev/cuse */
extern const struct door_ops door_fuse; /* a file system of one file, mounted on the node */

/** door_cuse_here() - does this kernel offer CUSE to us? 0 or -errno. */
int door_cuse_here(void);

/** door_ready() - has the kernel accepted it, so that clients can open the node? */
bool door_ready(const struct door *d);
void door_close(struct door *d);

/** door_clear_node() - remove what an earlier run has left at @path. -EBUSY, -EEXIST: not ours. */
int door_clear_node(const char *path);

#endif

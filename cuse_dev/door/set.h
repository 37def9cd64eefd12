/* SPDX-License-Identifier: MIT */
/*
 * set.h - the doors of all devices: which kind, opened at start, added and removed later.
 */
#ifndef DOOR_SET_H
#define DOOR_SET_H

#include <limits.h>

#include "cuse_dev/door/door.h"
#include "cuse_dev/session/config.h"

struct door_set {
	struct front *front;
	const struct door_ops *ops;
	const char *node_dir;
	struct door *door[VGPU_MAX_DEVICES];
	uint32_t count;
};

/** door_set_open() - one for each device of @f. 0 or -errno, then the log says why. */
int door_set_open(struct door_set *set, const struct config *c, struct front *f);
void door_set_close(struct door_set *set);

/** door_set_wait() - run the loop until the kernel has taken all nodes, or it is to stop. */
int door_set_wait(struct door_set *set);

/** door_set_add() - one more device and its node, which clients can open a moment later. */
int door_set_add(struct door_set *set, const struct config_device *cd, uint32_t *ret_index);
/** door_set_remove() - the device with the highest number; whoever uses it is evicted. */
void door_set_remove(struct door_set *set);

/** door_set_path() - of the node of device @index. */
void door_set_path(const struct door_set *set, uint32_t index, char *ret_path, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/* set.c - see set.h. Devices are numbered without gaps, so they come and go at the end. */
#include "cuse_dev/door/set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/session/loop.h"

#define READY_SECONDS 10

static const struct door_ops *choose(const struct config *c)
{
	bool dev = !strcmp(c->node_dir, "/dev");
	int r;

	switch (c->door) {
	case CONFIG_DOOR_FUSE:
		return &door_fuse;
	case CONFIG_DOOR_CUSE:
		if (!dev)
			log_error("door cuse makes its nodes in /dev, not in %s", c->node_dir);
		return dev ? &door_cuse : NULL;
	default:
		break;
	}
	r = dev ? door_cuse_here() : -ENOTSUP;
	if (!r)
		return &door_cuse;
	log_info("door fuse: %s%s", dev ? "/dev/cuse: " : "door cuse makes nodes in /dev only",
		 dev ? strerror(-r) : "");
	return &door_fuse;
}

void door_set_path(const struct door_set *set, uint32_t index, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/nvidia-vgpu%u", set->node_dir, index);
}

static int open_next(struct door_set *set, const char *profile)
{
	char path[PATH_MAX + 32];
	int r;

	door_set_path(set, set->count, path, sizeof(path));
	r = set->ops->open(set->front, set->count, path, &set->door[set->count]);
	if (r < 0)
		return r;
	set->count++;
	log_info("%s: %s through %s", path, profile, set->ops->name);
	return 0;
}

int door_set_open(struct door_set *set, const struct config *c, struct front *f)
{
	int r = 0;

	*set = (struct door_set){ .front = f, .node_dir = c->node_dir, .ops = choose(c) };
	if (!set->ops)
		return -EINVAL;
	while (r >= 0 && set->count < c->device_count)
		r = open_next(set, c->device[set->count].profile);
	if (r < 0)
		door_set_close(set);
	return r;
}

void door_set_close(struct door_set *set)
{
	while (set->count)
		door_close(set->door[--set->count]);
}

int door_set_wait(struct door_set *set)
{
	struct loop *loop = front_loop(set->front);
	uint32_t i;

	for (i = 0; i < set->count && !loop->stop; i++) {
		while (!door_ready(set->door[i]) && !loop->stop) {
			if (loop_once(loop, READY_SECONDS * 1000) <= 0) {
				log_error("device %u: the kernel does not take the node", i);
				return -ETIMEDOUT;
			}
		}
	}
	return 0;
}

int door_set_add(struct door_set *set, const struct config_device *cd, uint32_t *ret_index)
{
	int r;

	r = front_add_device(set->front, cd, ret_index);
	if (r < 0)
		return r;
	r = open_next(set, cd->profile);
	if (r < 0)
		front_remove_device(set->front);
	return r;
}

void door_set_remove(struct door_set *set)
{
	/* First the device: what is answered needs the door. */
	front_remove_device(set->front);
	door_close(set->door[--set->count]);
}

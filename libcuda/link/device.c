/* SPDX-License-Identifier: MIT */
/*
 * device.c - finding the nodes, and the greeting on each.
 *
 * A process that only looks (cuDeviceGetCount, names, attributes, free memory) gets by with what is
 * fetched here: three front operations per node, and nothing is started for it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcuda/link/internal.h"

#ifndef VGPU_NODE_DIR
#define VGPU_NODE_DIR "/dev"
#endif

int link_fd_up(int fd)
{
	int up = fcntl(fd, F_DUPFD_CLOEXEC, LINK_FD_FLOOR);

	if (up < 0)
		return fd; /* a low limit on descriptors: stay where it is */
	close(fd);
	return up;
}

static int greet(struct link *l, struct link_dev *d)
{
	struct vgpu_hello hello = {
		.magic = VGPU_MAGIC,
		.version_major = VGPU_VERSION_MAJOR,
		.version_minor = VGPU_VERSION_MINOR,
		.features = VGPU_FEATURE_SHARED_PAGES | VGPU_FEATURE_VMM | VGPU_FEATURE_EXPORT |
			    VGPU_FEATURE_TASKS,
		.window_base = l->window_base,
		.window_size = l->window_size,
	};
	int r;

	r = link_call_raw(d, VGPU_OP_HELLO, &hello, sizeof(hello));
	if (r < 0)
		return r;
	if (hello.version_major != VGPU_VERSION_MAJOR)
		return -EPROTONOSUPPORT;

	d->index = hello.device;
	d->features = hello.features;
	d->driver_version = hello.driver_version;
	memcpy(d->driver_string, hello.driver_string, sizeof(d->driver_string));
	d->driver_string[sizeof(d->driver_string) - 1] = 0;
	if (hello.window_base != l->window_base || hello.window_size != l->window_size)
		link_window_adopt(l, hello.window_base, hello.window_size);

	r = link_call_raw(d, VGPU_OP_DEVICE_INFO, &d->info, sizeof(d->info));
	if (r < 0)
		return r;
	d->info.name[sizeof(d->info.name) - 1] = 0;
	d->info.profile[sizeof(d->info.profile) - 1] = 0;
	d->info.library_sonames[sizeof(d->info.library_sonames) - 1] = 0;
	return link_call_raw(d, VGPU_OP_DEVICE_ATTRS, &d->attrs, sizeof(d->attrs));
}

static int open_node(struct link *l, const char *dir, uint32_t node, struct link_dev **ret_dev)
{
	struct link_dev *d;
	char path[4096];
	int fd, r;

	r = snprintf(path, sizeof(path), "%s/nvidia-vgpu%u", dir, node);
	if (r < 0 || (size_t)r >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;

	d = calloc(1, sizeof(*d));
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	d->link = l;
	d->node = node;
	d->arena_fd = -1;
	d->fd = link_fd_up(fd);
	pthread_mutex_init(&d->bulk_lock, NULL);

	/* The first node that opens decides that there is a use for the window. */
	if (!l->window_size)
		link_window_reserve(l);

	r = greet(l, d);
	if (r < 0) {
		close(d->fd);
		free(d);
		return r;
	}
	*ret_dev = d;
	return 0;
}

static int link_create(struct link **ret_link)
{
	struct link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->host_fd = -1;
	pthread_mutex_init(&l->start_lock, NULL);
	pthread_mutex_init(&l->event_lock, NULL);
	pthread_mutex_init(&l->register_lock, NULL);
	r = link_map_init(&l->ranges);
	if (r < 0)
		goto free_link;
	r = link_map_init(&l->reserved);
	if (r < 0)
		goto fini_ranges;
	r = link_map_init(&l->textures);
	if (r < 0)
		goto fini_reserved;
	r = link_map_init(&l->registered);
	if (r < 0)
		goto fini_textures;
	*ret_link = l;
	return 0;

fini_textures:
	link_map_fini(&l->textures);
fini_reserved:
	link_map_fini(&l->reserved);
fini_ranges:
	link_map_fini(&l->ranges);
free_link:
	free(l);
	return r;
}

/* The more an error tells about why there is no device, the higher. */
static int telling(int err)
{
	switch (err) {
	case -ENOENT:
		return 0;
	case -EACCES:
	case -EPERM:
		return 2;
	case -EPROTONOSUPPORT:
		return 3;
	default:
		return 1;
	}
}

int link_open(struct link **ret_link)
{
	const char *dir = secure_getenv("VGPU_NODE_DIR");
	struct link *l;
	int worst = -ENOENT;
	int r;

	if (!dir || !*dir)
		dir = VGPU_NODE_DIR;
	r = link_create(&l);
	if (r < 0)
		return r;

	for (uint32_t node = 0; node < VGPU_MAX_DEVICES; node++) {
		r = open_node(l, dir, node, &l->dev[l->dev_count]);
		if (!r)
			l->dev_count++;
		else if (telling(r) > telling(worst))
			worst = r;
	}
	if (!l->dev_count) {
		link_close(l);
		if (worst == -EPERM)
			return -EACCES;
		return telling(worst) >= 2 ? worst : -ENODEV;
	}
	*ret_link = l;
	return 0;
}

void link_close(struct link *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < l->dev_count; i++)
		close(l->dev[i]->fd);
	link_unshare_pages(l);
	link_window_release(l);
	for (uint32_t i = 0; i < l->dev_count; i++)
		free(l->dev[i]);
	link_map_fini(&l->registered);
	link_map_fini(&l->textures);
	link_map_fini(&l->reserved);
	link_map_fini(&l->ranges);
	free(l);
}

void link_abandon(struct link *l)
{
	if (!l)
		return;
	/*
	 * The open file is the parent's session; the child's copies of the descriptors only keep it
	 * alive for longer than the parent lives. Locks may be held by threads that do not exist
	 * here: nothing else is touched, the memory stays.
	 */
	for (uint32_t i = 0; i < l->dev_count; i++) {
		close(l->dev[i]->fd);
		l->dev[i]->fd = -1;
		if (l->dev[i]->arena_fd >= 0)
			close(l->dev[i]->arena_fd);
		l->dev[i]->arena_fd = -1;
	}
	if (l->host_fd >= 0)
		close(l->host_fd);
	l->host_fd = -1;
	__atomic_store_n(&l->dead, 1, __ATOMIC_RELEASE);
}

/* SPDX-License-Identifier: MIT */
/* init.c - WIRE_INIT: what the front hands over becomes memory, streams and devices. */
#include "cuse_dev/worker/worker.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BOUNCE_BYTES ((size_t)WIRE_BOUNCE_SLOTS * WIRE_BOUNCE_BYTES)
#define HOST_BYTES   (256ull << 30) /* of a HOST arena of our own */

/* The descriptor that belongs to @bit, or -1. It stays the call's until taken. */
static int *fd_of(struct worker_call *c, uint32_t mask, uint32_t bit)
{
	static int none = -1;
	uint32_t before = (uint32_t)__builtin_popcount(mask & (bit - 1));

	return mask & bit ? &c->fds[before] : &none;
}

static uint32_t known_fds(uint32_t device_count)
{
	return (WIRE_FD_DEVICE(device_count) - 1) | WIRE_FD_METER | WIRE_FD_COMPILER |
	       WIRE_FD_CACHE;
}

static int fill_mem(struct worker_call *c, const struct wire_init *in, struct mem_config *m)
{
	uint32_t i;

	*m = (struct mem_config){
		.window_base = in->window_base,
		.window_size = in->window_size,
		.device_count = in->device_count,
		.host = { .fd = *fd_of(c, in->fd_mask, WIRE_FD_HOST),
			  .bytes = in->fd_mask & WIRE_FD_HOST ? in->host_bytes : HOST_BYTES },
	};
	for (i = 0; i < in->device_count; i++) {
		const struct wire_device *d = &in->device[i];
		bool given = in->fd_mask & WIRE_FD_DEVICE(i);

		if (d->mem_reserved >= d->mem_total || !memchr(d->profile, 0, sizeof(d->profile)))
			return -EINVAL;
		m->device[i] = (struct mem_arena_config){
			.fd = *fd_of(c, in->fd_mask, WIRE_FD_DEVICE(i)),
			.bytes = given ? in->device_bytes[i] : d->mem_total,
			.capacity = d->mem_total - d->mem_reserved,
		};
	}
	return 0;
}

static int create_mem(struct worker *w, struct worker_call *c, const struct wire_init *in)
{
	struct mem_config config;
	uint32_t i;
	int r;

	r = fill_mem(c, in, &config);
	if (r == 0)
		r = mem_create(&config, &w->mem);
	if (r < 0)
		return r;
	/* Now mem's. */
	if (in->fd_mask & WIRE_FD_HOST)
		*fd_of(c, in->fd_mask, WIRE_FD_HOST) = -1;
	for (i = 0; i < in->device_count; i++)
		if (in->fd_mask & WIRE_FD_DEVICE(i))
			*fd_of(c, in->fd_mask, WIRE_FD_DEVICE(i)) = -1;
	return 0;
}

/* Taken out of the call: whoever gets it closes it. */
static int take_fd(struct worker_call *c, uint32_t mask, uint32_t bit)
{
	int *at = fd_of(c, mask, bit), fd = *at;

	*at = -1;
	return fd;
}

/* Without one kernels are interpreted, which is no error. */
static void create_compiler(struct worker *w, struct worker_call *c, const struct wire_init *in)
{
	int sock = take_fd(c, in->fd_mask, WIRE_FD_COMPILER);
	int cache = take_fd(c, in->fd_mask, WIRE_FD_CACHE);

	if (sock >= 0 && w->options->ops->compiler_create) {
		w->options->ops->compiler_create(sock, cache, &w->compiler);
		return;
	}
	if (sock >= 0)
		close(sock);
	if (cache >= 0)
		close(cache);
}

static int create_vdev(struct worker *w, const struct wire_init *in)
{
	struct vdev_config config = {
		.mem = w->mem,
		.queue = w->queue,
		.ops = w->options->ops,
		.window_base = in->window_base,
		.window_size = in->window_size,
		.threads = in->threads,
		.compiler = w->compiler,
		.device_count = in->device_count,
	};
	uint32_t i;

	for (i = 0; i < in->device_count; i++)
		config.profile[i] = in->device[i].profile;
	return vdev_create(&config, &w->vdev);
}

int worker_init(struct worker *w, struct worker_call *c)
{
	const struct wire_init *in = (const struct wire_init *)c->payload;
	struct queue_config q = { .notify_fd = w->notify_fd };
	void *bounce;
	int r;

	if (c->msg.payload_bytes != sizeof(*in) || in->device_count > VGPU_MAX_DEVICES ||
	    (uint32_t)__builtin_popcount(in->fd_mask) != c->fd_count ||
	    in->fd_mask & ~(known_fds(in->device_count)) || !(in->fd_mask & WIRE_FD_BOUNCE) ||
	    (in->fd_mask & WIRE_FD_CONTROL && in->control_bytes != VGPU_SHARE_CONTROL_BYTES))
		return -EINVAL;
	bounce = mmap(NULL, BOUNCE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		      *fd_of(c, in->fd_mask, WIRE_FD_BOUNCE), 0);
	if (bounce == MAP_FAILED)
		return -errno;
	w->bounce = bounce;
	r = create_mem(w, c, in);
	if (r < 0)
		goto fini;
	q.mem = w->mem;
	q.control_fd = *fd_of(c, in->fd_mask, WIRE_FD_CONTROL);
	q.meter_fd = *fd_of(c, in->fd_mask, WIRE_FD_METER);
	r = queue_create(&q, &w->queue);
	if (r < 0)
		goto fini;
	create_compiler(w, c, in);
	r = create_vdev(w, in);
	if (r < 0)
		goto fini;
	w->device_count = in->device_count;
	if (w->options->jail) {
		r = worker_seccomp();
		if (r < 0)
			goto fini;
	}
	w->ready = true;
	queue_alive(w->queue, 1);
	return 0;

fini:
	worker_fini(w);
	return r;
}

void worker_fini(struct worker *w)
{
	vdev_destroy(w->vdev);
	if (w->compiler)
		w->options->ops->compiler_destroy(w->compiler);
	queue_destroy(w->queue);
	mem_destroy(w->mem);
	if (w->bounce)
		munmap(w->bounce, BOUNCE_BYTES);
	w->vdev = NULL;
	w->compiler = NULL;
	w->queue = NULL;
	w->mem = NULL;
	w->bounce = NULL;
	w->ready = false;
}

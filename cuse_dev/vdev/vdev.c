/* SPDX-License-Identifier: MIT */
/*
 * vdev.c - the devices of a process and the end of its objects.
 */
#include "cuse_dev/vdev/state.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>

static uint32_t cpu_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (uint32_t)CPU_COUNT(&set);
}

int vdev_create(const struct vdev_config *config, struct vdev **ret_vdev)
{
	struct vdev *v = calloc(1, sizeof(*v));
	uint32_t i;
	int r = 0;

	if (!v)
		return -ENOMEM;
	v->mem = config->mem;
	v->queue = config->queue;
	v->ops = config->ops;
	for (i = 0; r == 0 && i < config->device_count; i++) {
		struct vdev_device *d = &v->device[i];

		r = profile_find(config->profile[i], &d->profile);
		if (r < 0)
			break;
		profile_backend(d->profile, &d->backend);
		d->backend.index = i;
		d->backend.window_base = config->window_base;
		d->backend.window_size = config->window_size;
		d->backend.threads = config->threads ? config->threads : cpu_count();
		d->backend.compiler = config->compiler;
	}
	if (r < 0) {
		free(v);
		return r;
	}
	v->device_count = config->device_count;
	idtab_init(&v->ctxs, LIMIT_CONTEXTS);
	idtab_init(&v->modules, LIMIT_MODULES);
	idtab_init(&v->blobs, LIMIT_BLOBS);
	*ret_vdev = v;
	return 0;
}

int vdev_host_ranges(struct vdev *v)
{
	uint64_t(*ranges)[2];
	size_t count;
	int r = mem_host_ranges(v->mem, &ranges, &count);

	for (uint32_t i = 0; r == 0 && i < v->device_count; i++)
		if (v->device[i].handle)
			r = v->ops->host_ranges(v->device[i].handle, (const uint64_t(*)[2])ranges,
						count);
	free(ranges);
	return r;
}

int vdev_device_open(struct vdev *v, uint32_t device)
{
	struct vdev_device *d = &v->device[device];
	int r;

	if (d->handle)
		return 0;
	r = v->ops->open(&d->backend, &d->handle);
	return r < 0 ? r : vdev_host_ranges(v);
}

void vdev_reap(struct vdev *v, uint64_t *ret_when_ns)
{
	struct vdev_module *m, *next_m;
	struct vdev_ctx *c, **link = &v->zombie_ctxs;
	uint64_t when;

	queue_reap(v->queue);
	for (m = v->zombie_modules; m; m = next_m) {
		next_m = m->next;
		if (vdev_module_busy(m))
			continue;
		m->ctx->zombie_modules--;
		if (next_m)
			next_m->prev = m->prev;
		if (m->prev)
			m->prev->next = next_m;
		else
			v->zombie_modules = next_m;
		vdev_module_free(v, m);
	}
	while ((c = *link)) {
		when = UINT64_MAX;
		if (queue_ctx_settle(c->queue_ctx, &when) && !c->zombie_modules && !c->jobs) {
			*link = c->next;
			vdev_ctx_free(v, c);
			continue;
		}
		if (when < *ret_when_ns)
			*ret_when_ns = when;
		link = &c->next;
	}
}

bool vdev_zombies(const struct vdev *v)
{
	return v->zombie_ctxs || v->zombie_modules;
}

bool vdev_settled(const struct vdev *v, uint64_t ticket)
{
	const struct vdev_module *m;
	const struct vdev_ctx *c;

	for (m = v->zombie_modules; m; m = m->next)
		if (m->ticket == ticket)
			return false;
	for (c = v->zombie_ctxs; c; c = c->next)
		if (c->ticket == ticket)
			return false;
	return true;
}

void vdev_destroy(struct vdev *v)
{
	struct vdev_blob *b;
	struct vdev_ctx *c;
	uint64_t ticket, when;
	uint32_t i;

	if (!v)
		return;
	for (i = 0; (c = idtab_next(&v->ctxs, &i)); i = 0)
		vdev_ctx_destroy(v, c->id, &ticket);
	for (c = v->zombie_ctxs; c; c = c->next)
		queue_ctx_cut(c->queue_ctx, 2);
	for (;;) {
		when = UINT64_MAX;
		vdev_reap(v, &when);
		if (!v->zombie_ctxs)
			break;
		poll(NULL, 0, 1);
	}
	for (i = 0; (b = idtab_next(&v->blobs, &i));)
		vdev_blob_free(v, b);
	for (i = 0; i < v->device_count; i++)
		if (v->device[i].handle)
			v->ops->close(v->device[i].handle);
	idtab_fini(&v->ctxs);
	idtab_fini(&v->modules);
	idtab_fini(&v->blobs);
	free(v);
}

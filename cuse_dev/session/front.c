/* SPDX-License-Identifier: MIT */
/* front.c - the daemon without its doors: made from the configuration, taken down in order. */
#include "cuse_dev/session/front.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/limits.h"
#include "cuse_dev/base/log.h"
#include "cuse_dev/session/cache.h"
#include "cuse_dev/session/reap.h"
#include "cuse_dev/session/spawn.h"
#include "cuse_dev/session/worker.h"
#include "cuse_dev/vdev/profile.h"

static int make_device(struct front_device *d, const struct config_device *cd, uint32_t index)
{
	struct profile_override o = { .mem_total = cd->memory, .index = index };
	const struct profile *p;
	int r;

	r = profile_find(cd->profile, &p);
	if (r < 0)
		return r;
	d->own = *cd;
	d->config = &d->own;
	d->charged = 0;
	d->total = profile_mem_total(p, &o);
	d->reserved = profile_mem_reserved(p, &o);
	profile_attrs(p, &o, &d->attrs);
	profile_board(p, &d->board);
	memset(d->past, 0, sizeof(d->past));
	model_init(&d->model, &d->board, telemetry_now_ns());
	r = profile_info(p, &o, &d->info);
	if (r < 0)
		return r;
	if (cd->library_cc)
		d->info.library_cc = cd->library_cc;
	if (*cd->library_sonames)
		memcpy(d->info.library_sonames, cd->library_sonames,
		       sizeof(d->info.library_sonames));
	return 0;
}

int front_add_device(struct front *f, const struct config_device *cd, uint32_t *ret_index)
{
	uint32_t i = f->device_count;
	int r;

	if (i == VGPU_MAX_DEVICES)
		return -ENOSPC;
	r = make_device(&f->device[i], cd, i);
	if (r < 0) {
		log_error("device %u (%s): %s", i, cd->profile, strerror(-r));
		return r;
	}
	f->device[i].generation = ++f->last_generation;
	f->device_count++;
	if (ret_index)
		*ret_index = i;
	return 0;
}

static bool holds(const struct client *c, uint32_t device)
{
	const struct session *s;

	for (s = c->sessions; s; s = s->sibling) {
		if (s->device == device)
			return true;
	}
	return c->charged[device] || c->share[SHARE_DEVICE0 + device].fd >= 0;
}

uint32_t front_device_users(struct front *f, uint32_t device, uint32_t *pids, uint32_t max)
{
	struct session *s = f->sessions;
	const struct client *c;
	uint32_t n = 0;

	while ((c = client_next(&s))) {
		if (!holds(c, device))
			continue;
		if (n < max)
			pids[n] = c->id.tgid;
		n++;
	}
	return n;
}

/*
 * Evicting answers all that its users wait for; what is answered to a door that is gone would be
 * lost. Their files on the device end here, since no release will come for them.
 */
void front_remove_device(struct front *f)
{
	const uint32_t device = f->device_count - 1;
	struct session *s = f->sessions, *next;
	struct client *c;

	while ((c = client_next(&s))) {
		if (holds(c, device))
			client_evict(c, "its device is removed");
		c->use[device] = (struct client_use){ 0 };
	}
	for (s = f->sessions; s; s = next) {
		next = s->next;
		if (s->device == device)
			session_release(s);
	}
	f->device_count--;
}

int front_create(const struct config *config, const struct spawn *spawn,
		 const struct spawn *compiler, struct front **ret_front)
{
	struct front *f = calloc(1, sizeof(*f));
	uint32_t i;
	int r;

	if (!f)
		return -ENOMEM;
	f->config = config;
	f->spawn = spawn;
	f->born_ns = telemetry_now_ns();
	f->compiler = compiler;
	if (compiler)
		f->cache_stamp = cache_stamp(compiler->program);
	guard_init(&f->guard, f);
	f->ended = calloc(VGPU_CLIENTS_KEPT, sizeof(*f->ended));
	if (!f->ended) {
		r = -ENOMEM;
		goto free_front;
	}
	for (i = 0; i < config->device_count; i++) {
		r = front_add_device(f, &config->device[i], NULL);
		if (r < 0)
			goto free_front;
	}
	r = event_init(&f->events);
	if (r < 0)
		goto free_front;
	f->strict_budget = account_strict_budget();
	r = loop_init(&f->loop);
	if (r < 0)
		goto fini_events;
	r = reap_create(&f->reap);
	if (r < 0)
		goto fini_loop;
	r = fault_create(&f->faults);
	if (r < 0)
		goto destroy_reap;
	*ret_front = f;
	return 0;

destroy_reap:
	reap_destroy(f->reap);
fini_loop:
	loop_fini(&f->loop);
fini_events:
	event_fini(&f->events);
free_front:
	free(f->ended);
	free(f);
	return r;
}

void front_destroy(struct front *f)
{
	if (!f)
		return;
	guard_fini(&f->guard);
	while (f->sessions)
		session_release(f->sessions);
	while ((f->ending_count || f->compiler_count) && loop_once(&f->loop, 5000) > 0)
		;
	if (f->ending_count)
		log_warn("%u workers have not ended", f->ending_count);
	reap_destroy(f->reap);
	fault_destroy(f->faults);
	loop_fini(&f->loop);
	event_fini(&f->events);
	free(f->ended);
	free(f);
}

struct loop *front_loop(struct front *f)
{
	return &f->loop;
}

uint32_t front_device_count(const struct front *f)
{
	return f->device_count;
}

void front_device_mode(const struct front *f, uint32_t device, uint32_t *ret_mode, gid_t *ret_gid)
{
	const struct config_device *d = f->device[device].config;

	*ret_mode = d->mode;
	*ret_gid = d->group == CONFIG_NO_GROUP ? 0 : d->group;
}

/* SPDX-License-Identifier: MIT */
/* front.c - the daemon without its doors: made from the configuration, taken down in order. */
#include "cuse_dev/session/front.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/session/reap.h"
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
	d->config = cd;
	d->total = profile_mem_total(p, &o);
	d->reserved = profile_mem_reserved(p, &o);
	profile_attrs(p, &o, &d->attrs);
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

int front_create(const struct config *config, const struct spawn *spawn, struct front **ret_front)
{
	struct front *f = calloc(1, sizeof(*f));
	uint32_t i;
	int r;

	if (!f)
		return -ENOMEM;
	f->config = config;
	f->spawn = spawn;
	guard_init(&f->guard, f);
	for (i = 0; i < config->device_count; i++) {
		r = make_device(&f->device[i], &config->device[i], i);
		if (r < 0) {
			log_error("device %u (%s): %s", i, config->device[i].profile, strerror(-r));
			goto free_front;
		}
		f->device_count++;
	}
	f->strict_budget = account_strict_budget();
	r = loop_init(&f->loop);
	if (r < 0)
		goto free_front;
	r = reap_create(&f->reap);
	if (r < 0)
		goto fini_loop;
	*ret_front = f;
	return 0;

fini_loop:
	loop_fini(&f->loop);
free_front:
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
	while (f->ending_count && loop_once(&f->loop, 5000) > 0)
		;
	if (f->ending_count)
		log_warn("%u workers have not ended", f->ending_count);
	reap_destroy(f->reap);
	loop_fini(&f->loop);
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

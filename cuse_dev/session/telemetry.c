/* SPDX-License-Identifier: MIT */
/*
 * telemetry.c - who uses the devices, and how much.
 *
 * Busy time comes from the page that each worker shares with the front alone (base/meter.h). The
 * kernels of two processes never run at the same time on hardware that is not told otherwise, so
 * the device is as busy as all its clients together, at most all the time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuse_dev/base/limits.h"
#include "cuse_dev/session/front.h"
#include "cuse_dev/session/worker.h"

#define NS_PER_S   1000000000ull
#define NS_PER_US  1000ull
#define FULL	   10000ull /* hundredths of a percent */
#define LAST_SLOTS 8	    /* the last second: this one and seven before */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t telemetry_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t telemetry_now_us(void)
{
	return clock_ns(CLOCK_REALTIME) / NS_PER_US;
}

static bool opened(const struct client *c, uint32_t device)
{
	const struct session *s;

	for (s = c->sessions; s; s = s->sibling) {
		if (s->greeted && s->device == device)
			return true;
	}
	return false;
}

/* The counters of @c's worker on @device, NULL without. */
static const struct meter_track *tracks(const struct client *c, uint32_t device)
{
	return c->use[device].ever && c->worker && c->worker->meter
		       ? c->worker->meter->track[device]
		       : NULL;
}

/* ---- sums over one or all clients ----------------------------------------------------------- */

/** Of one client or of all. */
struct sums {
	uint64_t now, first;	       /* first: the slot where the last second begins */
	uint64_t busy_ns, copy_ns;     /* in all */
	uint64_t busy_last, copy_last; /* in the last second */
	uint64_t in, out, moved, kernels, in_last, out_last;
};

static struct sums sums_at(uint64_t now)
{
	return (struct sums){ .now = now, .first = (now >> METER_SHIFT) - (LAST_SLOTS - 1) };
}

static void add_tracks(struct sums *s, const struct meter_track *t, uint64_t born)
{
	s->busy_ns += meter_total(&t[METER_KERNEL], born, s->now);
	s->copy_ns += meter_total(&t[METER_COPY], born, s->now);
	s->busy_last += meter_busy(&t[METER_KERNEL], s->first, s->now);
	s->copy_last += meter_busy(&t[METER_COPY], s->first, s->now);
	s->kernels += t[METER_KERNEL].count;
	s->in += t[METER_IN].bytes;
	s->out += t[METER_OUT].bytes;
	s->moved += t[METER_COPY].bytes;
	s->in_last += meter_moved(&t[METER_IN], s->first, s->now);
	s->out_last += meter_moved(&t[METER_OUT], s->first, s->now);
}

static uint64_t span(const struct sums *s)
{
	return s->now - (s->first << METER_SHIFT);
}

static uint32_t util(const struct sums *s, uint64_t busy)
{
	uint64_t of = span(s);

	return (uint32_t)((busy < of ? busy : of) * FULL / of);
}

static uint64_t rate(const struct sums *s, uint64_t bytes)
{
	return (uint64_t)((double)bytes * NS_PER_S / (double)span(s));
}

void telemetry_state(struct front *f, uint32_t device, struct vgpu_device_state *ret_state)
{
	struct front_device *d = &f->device[device];
	struct session *at = f->sessions;
	struct sums all = sums_at(telemetry_now_ns());
	struct client *c;

	*ret_state = (struct vgpu_device_state){ 0 };
	add_tracks(&all, d->past, 0);
	while ((c = client_next(&at))) {
		ret_state->clients += opened(c, device);
		ret_state->contexts += c->use[device].contexts;
		if (tracks(c, device))
			add_tracks(&all, tracks(c, device), c->worker->born_ns);
	}
	ret_state->now_ns = all.now;
	ret_state->uptime_ns = all.now - f->born_ns;
	ret_state->mem_total = d->total;
	ret_state->mem_reserved = d->reserved;
	ret_state->mem_used = d->charged;
	ret_state->busy_ns = all.busy_ns;
	ret_state->copy_ns = all.copy_ns;
	ret_state->kernels = all.kernels;
	ret_state->in_bytes = all.in;
	ret_state->out_bytes = all.out;
	ret_state->moved_bytes = all.moved;
	ret_state->in_rate = rate(&all, all.in_last);
	ret_state->out_rate = rate(&all, all.out_last);
	ret_state->last_fault = fault_last(f);
	ret_state->util_kernel = util(&all, all.busy_last);
	ret_state->util_copy = util(&all, all.copy_last);
	model_move(&d->model, &d->board, all.now, all.busy_ns);
	model_fill(&d->model, &d->board, ret_state->contexts > 0, ret_state);
}

/* ---- clients -------------------------------------------------------------------------------- */

static void fill_entry(const struct client *c, uint32_t device, uint64_t now,
		       struct vgpu_client_entry *e)
{
	const struct client_use *u = &c->use[device];
	struct sums sums = sums_at(now);

	if (tracks(c, device))
		add_tracks(&sums, tracks(c, device), c->worker->born_ns);
	*e = (struct vgpu_client_entry){
		.serial = c->serial,
		.uid = c->uid,
		.contexts = u->contexts,
		.start_us = c->born_us,
		.time_ns = now - c->born_ns,
		.mem_used = c->charged[device],
		.mem_peak = u->peak,
		.busy_ns = u->busy_ns + sums.busy_ns,
		.copy_ns = u->copy_ns + sums.copy_ns,
		.in_bytes = u->in_bytes + sums.in,
		.out_bytes = u->out_bytes + sums.out,
		.kernels = u->kernels + sums.kernels,
		.util_kernel = util(&sums, sums.busy_last),
		.util_copy = util(&sums, sums.copy_last),
	};
	memcpy(e->name, c->name, sizeof(e->name));
}

void telemetry_client(const struct client *c, uint32_t device, struct vgpu_client_entry *ret_entry)
{
	fill_entry(c, device, telemetry_now_ns(), ret_entry);
}

/* Keep the entries with the smallest serials, in order. False: one found no room. */
static bool insert(struct vgpu_client_list *list, uint32_t tgids[VGPU_CLIENT_ENTRIES],
		   const struct vgpu_client_entry *e, uint32_t tgid)
{
	bool full = list->count == VGPU_CLIENT_ENTRIES;
	uint32_t i = list->count - full;

	if (full && e->serial >= list->entry[i].serial)
		return false;
	for (; i && list->entry[i - 1].serial > e->serial; i--) {
		list->entry[i] = list->entry[i - 1];
		tgids[i] = tgids[i - 1];
	}
	list->entry[i] = *e;
	tgids[i] = tgid;
	list->count += !full;
	return !full;
}

static bool collect_live(struct session *s, struct vgpu_client_list *list,
			 uint32_t tgids[VGPU_CLIENT_ENTRIES])
{
	struct session *at = s->front->sessions;
	uint64_t now = telemetry_now_ns();
	struct vgpu_client_entry e;
	struct client *c;
	bool all = true;

	while ((c = client_next(&at))) {
		if (c->serial <= list->after || !opened(c, s->device))
			continue;
		fill_entry(c, s->device, now, &e);
		e.flags = c == s->client ? VGPU_CLIENT_ME : 0;
		proc_name(c->id.tgid, e.name, sizeof(e.name));
		all &= insert(list, tgids, &e, c->id.tgid);
	}
	return all;
}

static bool collect_ended(struct session *s, struct vgpu_client_list *list,
			  uint32_t tgids[VGPU_CLIENT_ENTRIES])
{
	const struct front *f = s->front;
	bool all = true;
	uint32_t i;

	for (i = 0; i < VGPU_CLIENTS_KEPT && i < f->ended_count; i++) {
		const struct front_ended *e = &f->ended[i];

		if (e->device == s->device && e->entry.serial > list->after)
			all &= insert(list, tgids, &e->entry, e->tgid);
	}
	return all;
}

int telemetry_clients(struct session *s, struct vgpu_client_list *list)
{
	uint32_t tgids[VGPU_CLIENT_ENTRIES], i;
	struct proc_viewer view;
	bool all;

	if (list->kind > VGPU_CLIENTS_ENDED)
		return -EINVAL;
	list->count = 0;
	memset(list->entry, 0, sizeof(list->entry));
	all = list->kind == VGPU_CLIENTS_LIVE ? collect_live(s, list, tgids)
					      : collect_ended(s, list, tgids);
	list->more = !all;
	proc_view(s->client->id.tgid, &view);
	for (i = 0; i < list->count; i++)
		list->entry[i].pid = proc_seen(&view, tgids[i]);
	return 0;
}

void telemetry_context(struct client *c, uint32_t device, int change)
{
	struct client_use *u = &c->use[device];

	if (change > 0 && u->contexts < LIMIT_CONTEXTS) {
		u->contexts++;
		u->ever = true;
	} else if (change < 0 && u->contexts) {
		u->contexts--;
	}
}

void telemetry_fold(struct client *c)
{
	struct worker *w = c->worker;
	uint64_t now = telemetry_now_ns();
	uint32_t i, k;

	if (!w || !w->meter)
		return;
	for (i = 0; i < c->front->device_count; i++) {
		const struct meter_track *t = tracks(c, i);
		struct client_use *u = &c->use[i];

		u->contexts = 0;
		if (!t)
			continue;
		u->busy_ns += meter_total(&t[METER_KERNEL], w->born_ns, now);
		u->copy_ns += meter_total(&t[METER_COPY], w->born_ns, now);
		u->kernels += t[METER_KERNEL].count;
		u->in_bytes += t[METER_IN].bytes;
		u->out_bytes += t[METER_OUT].bytes;
		for (k = 0; k < METER_KINDS; k++)
			meter_fold(&c->front->device[i].past[k], &t[k], w->born_ns, now);
	}
	worker_drop_meter(w);
}

void telemetry_ended(struct client *c)
{
	struct front *f = c->front;
	uint64_t now = telemetry_now_ns();
	struct front_ended *e;
	uint32_t i;

	for (i = 0; i < f->device_count; i++) {
		if (!c->use[i].ever)
			continue;
		e = &f->ended[f->ended_count++ % VGPU_CLIENTS_KEPT];
		*e = (struct front_ended){ .device = i, .tgid = c->id.tgid };
		fill_entry(c, i, now, &e->entry);
		e->entry.flags = VGPU_CLIENT_ENDED;
		e->entry.mem_used = 0;
	}
}

/* ---- the last seconds ----------------------------------------------------------------------- */

static void fill_sample(const struct session *s, uint64_t slot, struct vgpu_sample *ret_sample)
{
	/* As if the slot had just ended. */
	struct sums sums = { .now = ((slot + 1) << METER_SHIFT) - 1, .first = slot };
	struct session *at = s->front->sessions;
	struct client *c;

	add_tracks(&sums, s->front->device[s->device].past, 0);
	while ((c = client_next(&at))) {
		if (tracks(c, s->device))
			add_tracks(&sums, tracks(c, s->device), c->worker->born_ns);
	}
	ret_sample->in_bytes = sums.in_last;
	ret_sample->out_bytes = sums.out_last;
	ret_sample->util_kernel = util(&sums, sums.busy_last);
	ret_sample->util_copy = util(&sums, sums.copy_last);
}

int telemetry_samples(struct session *s, struct vgpu_sample_list *list)
{
	uint64_t now = telemetry_now_ns(), us = telemetry_now_us(), slot = now >> METER_SHIFT;
	uint64_t born = s->front->born_ns >> METER_SHIFT, n, end_us;

	list->period_us = (uint32_t)(METER_SLOT_NS / NS_PER_US);
	list->count = 0;
	memset(list->sample, 0, sizeof(list->sample));
	n = slot > METER_SLOTS - 1 ? slot - (METER_SLOTS - 1) : 0;
	for (n = n < born ? born : n; n < slot; n++) {
		end_us = us - (now - ((n + 1) << METER_SHIFT)) / NS_PER_US;
		if (end_us <= list->after_us)
			continue;
		fill_sample(s, n, &list->sample[list->count]);
		list->sample[list->count++].time_us = end_us;
	}
	return 0;
}

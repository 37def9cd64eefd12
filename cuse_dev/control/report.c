/* SPDX-License-Identifier: MIT */
/*
 * report.c - the front's nouns as JSON. Sizes are bytes, times are nanoseconds.
 *
 * What /proc tells about a process (its name, what its worker used) is for the asker to look up: here it
 * would be read in the front's loop.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cuse_dev/control/conn.h"
#include "cuse_dev/session/worker.h"
#include "cuse_dev/vdev/profile.h"

static const char *const overcommit_text[] = { [CONFIG_LAZY] = "lazy", [CONFIG_STRICT] = "strict" };

static uint64_t seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)(now.tv_sec - start->tv_sec);
}

/* Takes @item, also when it fails. */
static int append(json_t *list, json_t *item)
{
	return list && item ? json_array_append_new(list, item) : (json_decref(item), -1);
}

static json_t *whole_or_none(json_t *object, int r)
{
	if (r >= 0)
		return object;
	json_decref(object);
	return NULL;
}

/* ---- devices -------------------------------------------------------------------------------- */

static void uuid_text(const uint8_t u[16], char ret_text[48])
{
	snprintf(ret_text, 48,
		 "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0],
		 u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
		 u[14], u[15]);
}

static json_t *device(const struct control *ctl, uint32_t index)
{
	const struct front_device *d = &ctl->front->device[index];
	uint64_t used = d->charged + d->reserved, free = d->total > used ? d->total - used : 0;
	char node[PATH_MAX + 32], uuid[48], pci[32], mode[8], cc[16];

	door_set_path(ctl->doors, index, node, sizeof(node));
	uuid_text(d->info.uuid, uuid);
	snprintf(pci, sizeof(pci), "%08x:%02x:%02x.0", d->info.pci_domain, d->info.pci_bus,
		 d->info.pci_device);
	snprintf(mode, sizeof(mode), "%04o", d->config->mode);
	snprintf(cc, sizeof(cc), "%u.%u", d->info.cc_major, d->info.cc_minor);
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:I, s:I, s:I, s:I}, "
			 "s:{s:I, s:I}, s:I, s:o}",
			 "index", (json_int_t)index, "node", node, "profile", d->info.profile,
			 "name", d->info.name, "uuid", uuid, "pci", pci, "mode", mode,
			 "compute_capability", cc, "memory", "total", (json_int_t)d->total,
			 "reserved", (json_int_t)d->reserved, "used", (json_int_t)d->charged,
			 "free", (json_int_t)free, "quota_per_user", "memory",
			 (json_int_t)d->config->quota_memory, "clients",
			 (json_int_t)d->config->quota_clients, "clients",
			 (json_int_t)front_device_users(ctl->front, index, NULL, 0), "telemetry",
			 usage_device(ctl, index));
}

static json_t *devices(const struct control *ctl)
{
	json_t *list = json_array();
	int r = list ? 0 : -1;
	uint32_t i;

	for (i = 0; i < ctl->front->device_count && r >= 0; i++)
		r = append(list, device(ctl, i));
	return whole_or_none(list, r);
}

json_t *report_status(const struct control *ctl)
{
	struct front *f = ctl->front;
	uint64_t total = 0, available = proc_mem_available(&total);
	uint32_t clients = 0, workers = 0;
	struct session *s = f->sessions;
	const struct client *c;
	char version[32];

	while ((c = client_next(&s))) {
		clients++;
		workers += c->worker != NULL;
	}
	snprintf(version, sizeof(version), "%d.%d", VGPU_VERSION_MAJOR, VGPU_VERSION_MINOR);
	return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:{s:I, s:I}, s:o}",
			 "version", version, "driver", frontop_driver(), "pid",
			 (json_int_t)getpid(), "uptime_seconds",
			 (json_int_t)seconds_since(&ctl->started), "door", ctl->doors->ops->name,
			 "overcommit", overcommit_text[ctl->config->overcommit], "clients",
			 (json_int_t)clients, "workers", (json_int_t)workers, "open_files",
			 (json_int_t)f->session_count, "faults", (json_int_t)fault_last(f),
			 "host_memory", "total", (json_int_t)total, "available",
			 (json_int_t)available, "devices", devices(ctl));
}

/* ---- clients -------------------------------------------------------------------------------- */

static bool opened(const struct client *c, uint32_t index)
{
	const struct session *s;

	for (s = c->sessions; s; s = s->sibling) {
		if (s->device == index)
			return true;
	}
	return c->charged[index] != 0;
}

static json_t *client(const struct client *c)
{
	json_t *list = json_array();
	int r = list ? 0 : -1;
	uint32_t i;

	for (i = 0; i < c->front->device_count && r >= 0; i++) {
		if (opened(c, i))
			r = append(list, usage_client(c, i));
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:o}", "client",
			 (json_int_t)c->sessions->number, "pid", (json_int_t)c->id.tgid, "uid",
			 (json_int_t)c->uid, "worker", (json_int_t)(c->worker ? c->worker->pid : 0),
			 "open_files", (json_int_t)c->session_count, "evicted", c->evicted,
			 "devices", whole_or_none(list, r));
}

json_t *report_clients(const struct control *ctl, uint64_t below)
{
	struct session *s = ctl->front->sessions;
	json_t *list = json_array();
	uint64_t last = 0;
	int r = list ? 0 : -1, n = 0;
	const struct client *c;

	/* The newest session is first, and so are the numbers by which clients are known here. */
	while ((c = client_next(&s)) && r >= 0) {
		if (c->sessions->number >= below)
			continue;
		if (n++ == LIMIT_CONTROL_PAGE)
			return json_pack("{s:o, s:I}", "clients", list, "below", (json_int_t)last);
		last = c->sessions->number;
		r = append(list, client(c));
	}
	return json_pack("{s:o}", "clients", whole_or_none(list, r));
}

/* ---- the rest ------------------------------------------------------------------------------- */

json_t *report_profiles(void)
{
	json_t *list = json_array();
	const struct profile *p;
	int r = list ? 0 : -1;
	uint32_t i;
	char cc[16];

	for (i = 0; (p = profile_at(i)) && r >= 0; i++) {
		snprintf(cc, sizeof(cc), "%u.%u", p->cc_major, p->cc_minor);
		r = append(list, json_pack("{s:s, s:s, s:s, s:I, s:b}", "profile", p->name, "name",
					   p->product, "compute_capability", cc, "memory",
					   (json_int_t)p->mem_total, "default",
					   !strcmp(p->name, PROFILE_DEFAULT)));
	}
	return json_pack("{s:o}", "profiles", whole_or_none(list, r));
}

json_t *report_event(const struct event *e)
{
	json_t *o = json_pack("{s:I, s:I, s:s, s:s}", "number", (json_int_t)e->seq, "time_ns",
			      (json_int_t)e->time_ns, "event", event_kind_text(e->kind), "text",
			      e->text);
	int r = o ? 0 : -1;

	if (r >= 0 && e->pid) {
		r = json_object_set_new(o, "pid", json_integer(e->pid));
		r |= json_object_set_new(o, "uid", json_integer(e->uid));
	}
	if (r >= 0 && e->device >= 0)
		r = json_object_set_new(o, "device", json_integer(e->device));
	if (r >= 0 && e->worker)
		r = json_object_set_new(o, "worker", json_integer(e->worker));
	return whole_or_none(o, r);
}

json_t *report_events(const struct control *ctl, uint64_t since)
{
	json_t *list = json_array();
	const struct event *e;
	int r = list ? 0 : -1;

	while ((e = event_next(ctl->front, since)) && r >= 0) {
		since = e->seq;
		r = append(list, report_event(e));
	}
	return json_pack("{s:o}", "events", whole_or_none(list, r));
}

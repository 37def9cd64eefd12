/* SPDX-License-Identifier: MIT */
/*
 * request.c - one line in, one object out.
 *
 *	{"op":"evict","pid":1234}	->	{"ok":true,"freed":2097152}
 *					or	{"ok":false,"error":"ESRCH","message":"no client ..."}
 *
 * Unknown members are refused, so that a misspelt one is not taken for a missing one.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/control/conn.h"

#define NAMED_USERS 8 /* process ids in the message about a device in use */

typedef int request_fn(struct conn *c, json_t *req, struct answer *a);

static int refuse(struct answer *a, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct answer *a, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->message, sizeof(a->message), fmt, ap);
	va_end(ap);
	return -error;
}

static int take_body(struct answer *a, json_t *body)
{
	a->body = body;
	return body ? 0 : -ENOMEM;
}

/* json_unpack() that refuses what the format does not name, in words for whoever wrote it. */
static int unpack(struct answer *a, json_t *req, const char *fmt, ...)
{
	json_error_t e;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = json_vunpack_ex(req, &e, JSON_STRICT, fmt, ap);
	va_end(ap);
	return r < 0 ? refuse(a, EINVAL, "%s", e.text) : 0;
}

/* ---- questions ------------------------------------------------------------------------------ */

static int op_hello(struct conn *c, json_t *req, struct answer *a)
{
	const char *op;
	char version[32];
	int r = unpack(a, req, "{s:s}", "op", &op);

	if (r < 0)
		return r;
	snprintf(version, sizeof(version), "%d.%d", VGPU_VERSION_MAJOR, VGPU_VERSION_MINOR);
	return take_body(a, json_pack("{s:i, s:s, s:I, s:b}", "protocol", CONTROL_PROTOCOL,
				      "version", version, "pid", (json_int_t)getpid(), "may_change",
				      c->may_change));
}

static int op_status(struct conn *c, json_t *req, struct answer *a)
{
	const char *op;
	int r = unpack(a, req, "{s:s}", "op", &op);

	return r < 0 ? r : take_body(a, report_status(c->ctl));
}

static int op_clients(struct conn *c, json_t *req, struct answer *a)
{
	json_int_t below = INT64_MAX;
	const char *op;
	int r = unpack(a, req, "{s:s, s?I}", "op", &op, "below", &below);

	if (r < 0)
		return r;
	if (below < 1)
		return refuse(a, EINVAL, "below = %lld: want a client's number", (long long)below);
	return take_body(a, report_clients(c->ctl, (uint64_t)below));
}

static int op_profiles(struct conn *c, json_t *req, struct answer *a)
{
	const char *op;
	int r = unpack(a, req, "{s:s}", "op", &op);

	return r < 0 ? r : take_body(a, report_profiles());
}

static int op_events(struct conn *c, json_t *req, struct answer *a)
{
	json_int_t since = 0;
	const char *op;
	int r = unpack(a, req, "{s:s, s?I}", "op", &op, "since", &since);

	if (r < 0)
		return r;
	if (since < 0)
		return refuse(a, EINVAL, "since = %lld: want an event's number", (long long)since);
	return take_body(a, report_events(c->ctl, (uint64_t)since));
}

static int op_faults(struct conn *c, json_t *req, struct answer *a)
{
	json_int_t since = 0;
	const char *op;
	int r = unpack(a, req, "{s:s, s?I}", "op", &op, "since", &since);

	if (r < 0)
		return r;
	if (since < 0)
		return refuse(a, EINVAL, "since = %lld: want a fault's number", (long long)since);
	return take_body(a, usage_faults(c->ctl, (uint64_t)since));
}

/* From now on the connection carries events, and nothing more is read from it. */
static int op_follow(struct conn *c, json_t *req, struct answer *a)
{
	struct event_log *l = &c->ctl->front->events;
	json_int_t since = (json_int_t)l->last;
	const char *op;
	int r = unpack(a, req, "{s:s, s?I}", "op", &op, "since", &since);

	if (r < 0)
		return r;
	if (since < 0 || (uint64_t)since > l->last)
		return refuse(a, EINVAL, "since = %lld: want an event's number, the last is %llu",
			      (long long)since, (unsigned long long)l->last);
	r = take_body(a, json_pack("{s:I}", "since", since));
	if (r < 0)
		return r;
	c->following = true;
	c->seen = (uint64_t)since;
	l->watched = true;
	return 0;
}

/* ---- changes -------------------------------------------------------------------------------- */

static int check_index(struct control *ctl, json_int_t device, struct answer *a)
{
	uint32_t count = ctl->front->device_count;

	if (device >= 0 && device < (json_int_t)count)
		return 0;
	if (!count)
		return refuse(a, ENODEV, "device %lld: there is no device", (long long)device);
	return refuse(a, ENODEV, "device %lld: there are 0 to %u", (long long)device, count - 1);
}

static void devices_changed(struct control *ctl, enum event_kind kind, uint32_t index,
			    const char *profile)
{
	const struct event e = { .kind = kind, .device = (int32_t)index };

	event_add(ctl->front, &e, "%s", profile);
	sd_notifyf(0, "STATUS=Serving %u device(s).", ctl->front->device_count);
}

/* What the configuration's reader and the door say into the log is the answer's message. */
static int add_device(struct control *ctl, const char *text, struct answer *a, uint32_t *ret_index)
{
	struct config *c = malloc(sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	config_init(c);
	/* Its number is its place, and stands in the messages. */
	c->device_count = ctl->front->device_count;
	for (uint32_t i = 0; i < c->device_count; i++)
		c->device[i] = *ctl->front->device[i].config;
	log_capture(a->message, sizeof(a->message));
	r = config_add_device(c, text);
	if (r >= 0)
		r = config_complete(c);
	if (r >= 0)
		r = door_set_add(ctl->doors, &c->device[c->device_count - 1], ret_index);
	log_capture(NULL, 0);
	free(c);
	return r;
}

static int op_add(struct conn *c, json_t *req, struct answer *a)
{
	const char *op, *text;
	char path[PATH_MAX + 32];
	uint32_t index = 0;
	int r = unpack(a, req, "{s:s, s:s}", "op", &op, "device", &text);

	if (r < 0)
		return r;
	r = add_device(c->ctl, text, a, &index);
	if (r < 0)
		return r;
	devices_changed(c->ctl, EVENT_DEVICE_ADDED, index,
			c->ctl->front->device[index].config->profile);
	door_set_path(c->ctl->doors, index, path, sizeof(path));
	return take_body(a, json_pack("{s:I, s:s}", "device", (json_int_t)index, "node", path));
}

static int refuse_in_use(struct answer *a, uint32_t device, const uint32_t *pids, uint32_t count)
{
	char list[NAMED_USERS * 12 + 1] = "";
	size_t n = 0;
	uint32_t i;

	for (i = 0; i < count && i < NAMED_USERS; i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%u", i ? ", " : "", pids[i]);
	return refuse(a, EBUSY, "device %u is in use by %u process%s (%s%s); force evicts them",
		      device, count, count == 1 ? "" : "es", list,
		      count > NAMED_USERS ? ", ..." : "");
}

static int op_remove(struct conn *c, json_t *req, struct answer *a)
{
	struct front *f = c->ctl->front;
	uint32_t pids[NAMED_USERS], users;
	char profile[sizeof(f->device[0].config->profile)];
	json_int_t device;
	const char *op;
	int force = 0;
	int r = unpack(a, req, "{s:s, s:I, s?b}", "op", &op, "device", &device, "force", &force);

	if (r >= 0)
		r = check_index(c->ctl, device, a);
	if (r < 0)
		return r;
	if (device != (json_int_t)f->device_count - 1)
		return refuse(a, EINVAL,
			      "device %lld: devices are numbered without gaps, so the last one, "
			      "%u, goes first",
			      (long long)device, f->device_count - 1);
	users = front_device_users(f, (uint32_t)device, pids, NAMED_USERS);
	if (users && !force)
		return refuse_in_use(a, (uint32_t)device, pids, users);
	strcpy(profile, f->device[device].config->profile);
	door_set_remove(c->ctl->doors);
	log_notice("device %u (%s) removed by uid %u", (unsigned)device, profile, (unsigned)c->uid);
	devices_changed(c->ctl, EVENT_DEVICE_REMOVED, (uint32_t)device, profile);
	return take_body(a, json_pack("{s:I}", "evicted", (json_int_t)users));
}

static struct client *find_client(struct front *f, json_int_t pid, json_int_t number)
{
	struct session *s = f->sessions;
	const struct session *o;
	struct client *c;

	while ((c = client_next(&s))) {
		if (pid > 0 && c->id.tgid == (uint64_t)pid)
			return c;
		for (o = number > 0 ? c->sessions : NULL; o; o = o->sibling) {
			if (o->number == (uint64_t)number)
				return c;
		}
	}
	return NULL;
}

static int op_evict(struct conn *c, json_t *req, struct answer *a)
{
	struct front *f = c->ctl->front;
	json_int_t pid = 0, number = 0;
	struct client *victim;
	char why[64];
	uint64_t freed = 0;
	const char *op;
	uint32_t i;
	int r = unpack(a, req, "{s:s, s?I, s?I}", "op", &op, "pid", &pid, "client", &number);

	if (r < 0)
		return r;
	if ((pid > 0) == (number > 0))
		return refuse(a, EINVAL, "evict wants either pid or client, a number above 0");
	victim = find_client(f, pid, number);
	if (!victim)
		return refuse(a, ESRCH, "%s %lld has no device open", pid ? "process" : "client",
			      (long long)(pid ? pid : number));
	for (i = 0; i < f->device_count; i++)
		freed += victim->charged[i];
	snprintf(why, sizeof(why), "asked for by uid %u", (unsigned)c->uid);
	client_evict(victim, why);
	return take_body(a, json_pack("{s:I}", "freed", (json_int_t)freed));
}

static int op_quota(struct conn *c, json_t *req, struct answer *a)
{
	const char *op, *memory = NULL, *clients = NULL;
	struct config_device *d, copy;
	struct event e = { .kind = EVENT_QUOTA_CHANGED };
	json_int_t device;
	int r = unpack(a, req, "{s:s, s:I, s?s, s?s}", "op", &op, "device", &device, "memory",
		       &memory, "clients", &clients);

	if (r >= 0)
		r = check_index(c->ctl, device, a);
	if (r < 0)
		return r;
	if (!memory && !clients)
		return refuse(a, EINVAL, "quota wants memory, clients, or both");
	d = &c->ctl->front->device[device].own;
	copy = *d;
	log_capture(a->message, sizeof(a->message));
	if (memory)
		r = config_set_device(&copy, "quota", "quota_memory_per_uid", memory);
	if (r >= 0 && clients)
		r = config_set_device(&copy, "quota", "quota_clients_per_uid", clients);
	log_capture(NULL, 0);
	if (r < 0)
		return r;
	*d = copy;
	e.device = (int32_t)device;
	event_add(c->ctl->front, &e, "memory %llu, clients %u, per user",
		  (unsigned long long)d->quota_memory, d->quota_clients);
	log_notice("device %u: quota per user: %llu bytes, %u processes; set by uid %u",
		   (unsigned)device, (unsigned long long)d->quota_memory, d->quota_clients,
		   (unsigned)c->uid);
	return take_body(a, json_pack("{s:I, s:I}", "memory", (json_int_t)d->quota_memory,
				      "clients", (json_int_t)d->quota_clients));
}

/* ---- which ---------------------------------------------------------------------------------- */

static const struct request_op {
	const char *name;
	bool change;
	request_fn *call;
} ops[] = {
	{ "hello", false, op_hello },	  { "status", false, op_status },
	{ "clients", false, op_clients }, { "profiles", false, op_profiles },
	{ "events", false, op_events },	  { "faults", false, op_faults },
	{ "follow", false, op_follow },	  { "add", true, op_add },
	{ "remove", true, op_remove },	  { "evict", true, op_evict },
	{ "quota", true, op_quota },
};

static int dispatch(struct conn *c, json_t *req, struct answer *a)
{
	const char *name = json_string_value(json_object_get(req, "op"));
	size_t i;
	int r;

	if (!name)
		return refuse(a, EINVAL, "a request is an object with a text \"op\"");
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(ops[i].name, name))
			continue;
		if (ops[i].change && !c->may_change)
			return refuse(a, EACCES,
				      "%s is for root and the members of control_group, not for "
				      "uid %u",
				      name, (unsigned)c->uid);
		r = ops[i].call(c, req, a);
		if (r < 0 && ops[i].change)
			log_info("%s is refused to uid %u: %s", name, (unsigned)c->uid,
				 *a->message ? a->message : strerror(-r));
		return r;
	}
	return refuse(a, ENOTSUP, "unknown op \"%.32s\"", name);
}

static json_t *refusal(int error, const char *message)
{
	const char *name = strerrorname_np(error);
	json_t *text = json_string(message);

	/* A message may quote a piece of what was no text. */
	return json_pack("{s:b, s:s, s:o}", "ok", 0, "error", name ? name : "EIO", "message",
			 text ? text : json_string(strerror(error)));
}

json_t *request_handle(struct conn *c, const char *line, size_t bytes)
{
	struct answer a = { 0 };
	json_error_t e;
	json_t *req;
	int r;

	req = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &e);
	if (!req) {
		refuse(&a, EINVAL, "not JSON: %s, byte %d", e.text, e.position);
		return refusal(EINVAL, a.message);
	}
	r = dispatch(c, req, &a);
	json_decref(req);
	if (r < 0) {
		json_decref(a.body);
		return refusal(-r, *a.message ? a.message : strerror(-r));
	}
	if (json_object_set_new(a.body, "ok", json_true()) < 0) {
		json_decref(a.body);
		return NULL;
	}
	return a.body;
}

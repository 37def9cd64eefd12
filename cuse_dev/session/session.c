/* SPDX-License-Identifier: MIT */
/* session.c - open files: who may, whose they are, where their calls go. */
#include "cuse_dev/session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/limits.h"
#include "cuse_dev/base/log.h"
#include "cuse_dev/session/front.h"

static bool in_group(const struct session_caller *who, gid_t gid)
{
	return who->gid == gid || proc_in_group(who->tid, gid);
}

/*
 * The node's permissions say the same, but on a CUSE node a udev rule may have set others; what
 * the configuration says holds in any case.
 */
static bool may_open(const struct config_device *d, const struct session_caller *who, int access)
{
	gid_t group = d->group == CONFIG_NO_GROUP ? 0 : d->group;
	uint32_t bits = d->mode & 7, i;

	if (!who->uid)
		return true;
	if ((bits & (uint32_t)access) != (uint32_t)access || (d->mode >> 3 & 7) != bits) {
		if (in_group(who, group))
			bits = d->mode >> 3 & 7;
		if ((bits & (uint32_t)access) != (uint32_t)access)
			return false;
	}
	if (!d->allow_uids && !d->allow_gids)
		return true;
	for (i = 0; i < d->allow_uids; i++) {
		if (d->allow_uid[i] == who->uid)
			return true;
	}
	for (i = 0; i < d->allow_gids; i++) {
		if (in_group(who, d->allow_gid[i]))
			return true;
	}
	return false;
}

static void join(struct session *s, struct client *c)
{
	s->client = c;
	s->sibling = c->sessions;
	s->sibling_link = &c->sessions;
	if (s->sibling)
		s->sibling->sibling_link = &s->sibling;
	c->sessions = s;
	c->session_count++;
}

static void leave(struct session *s)
{
	struct client *c = s->client;

	if (!c)
		return;
	*s->sibling_link = s->sibling;
	if (s->sibling)
		s->sibling->sibling_link = s->sibling_link;
	s->client = NULL;
	c->session_count--;
	client_put(c);
}

static uint32_t files_of(const struct front *f, uid_t uid)
{
	const struct session *s;
	uint32_t n = 0;

	for (s = f->sessions; s; s = s->next)
		n += s->uid == uid;
	return n;
}

static int find_client(struct front *f, const struct session_caller *who,
		       struct client **ret_client)
{
	struct proc_id id = { 0 };
	struct client *c;
	int r;

	if (proc_identify(who->tid, &id) < 0)
		id = (struct proc_id){ 0 };
	r = client_get(f, &id, who->uid, &c);
	if (r < 0)
		return r;
	/*
	 * A process that became another user's by executing a set-uid program, with a file left
	 * open for it: its pages would be known to whoever prepared it. One that was root's may
	 * become anybody's.
	 */
	if (c->uid && c->uid != who->uid)
		return -EACCES;
	if (c->session_count >= LIMIT_SESSIONS_PER_PROC)
		return -EMFILE;
	*ret_client = c;
	return 0;
}

int session_open(struct front *f, uint32_t device, const struct session_caller *who, int access,
		 struct session **ret_session)
{
	struct session *s;
	struct client *c;
	int r;

	if (!may_open(f->device[device].config, who, access)) {
		log_debug("device %u: thread %u of uid %u may not open it", device, who->tid,
			  (unsigned)who->uid);
		return -EACCES;
	}
	if (f->session_count >= LIMIT_SESSIONS)
		return -ENFILE;
	if (files_of(f, who->uid) >= LIMIT_SESSIONS_PER_UID)
		return -EDQUOT;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	r = find_client(f, who, &c);
	if (r < 0) {
		free(s);
		return r;
	}
	s->front = f;
	s->device = device;
	s->uid = who->uid;
	s->number = ++f->last_session;
	s->next = f->sessions;
	s->link = &f->sessions;
	if (s->next)
		s->next->link = &s->next;
	f->sessions = s;
	f->session_count++;
	join(s, c);
	*ret_session = s;
	return 0;
}

void session_release(struct session *s)
{
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	s->front->session_count--;
	leave(s);
	free(s);
}

bool session_greeted(const struct session *s)
{
	return s->greeted;
}

bool session_visible(const struct session *s)
{
	return s->client && s->client->id.tgid;
}

int session_check_caller(struct session *s, const struct session_caller *who)
{
	struct client *c;
	int r;

	if (s->client && client_has_thread(s->client, who->tid))
		return 0;
	if (s->greeted)
		return s->client ? -EACCES : -ENODEV;
	/* Opened by a parent (a shell's redirection), used by a child: whoever greets owns it. */
	r = find_client(s->front, who, &c);
	if (r < 0)
		return r;
	leave(s);
	join(s, c);
	return 0;
}

struct pending *session_call(struct session *s, const struct session_request *call)
{
	uint64_t out[(VGPU_MAX_PAYLOAD + 8) / 8];
	uint32_t bytes = call->desc->size;
	int r;

	if (call->desc->where == OPS_WORKER)
		return relay_call(s, call);
	r = s->client ? frontop_call(s, call) : -ENODEV;
	if (r < 0) {
		log_debug("session %llu: %s: %s", (unsigned long long)s->number, call->desc->name,
			  strerror(-r));
		call->answer.ops->fail(call->answer.token, -r);
		return NULL;
	}
	if (call->reply_bytes <= bytes) {
		call->answer.ops->reply(call->answer.token, call->arg, call->reply_bytes);
		return NULL;
	}
	memcpy(out, call->arg, bytes);
	memset((char *)out + bytes, 0, call->reply_bytes - bytes);
	call->answer.ops->reply(call->answer.token, out, call->reply_bytes);
	return NULL;
}

struct pending *session_transfer(struct session *s, const struct session_bulk *bulk)
{
	struct session_bulk b = *bulk;
	int r = 0;

	if (b.bytes > WIRE_BOUNCE_BYTES)
		r = -EINVAL;
	else if (__builtin_add_overflow(b.offset, s->bulk_base, &b.offset) ||
		 b.offset + b.bytes < b.offset)
		r = -EOVERFLOW;
	if (r < 0) {
		b.answer.ops->fail(b.answer.token, -r);
		return NULL;
	}
	return relay_bulk(s, &b);
}

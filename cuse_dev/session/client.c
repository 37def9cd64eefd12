/* SPDX-License-Identifier: MIT */
/* client.c - one per process, watched by pidfd; ends with it or with its last open file. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cuse_dev/base/limits.h"
#include "cuse_dev/base/log.h"
#include "cuse_dev/session/front.h"
#include "cuse_dev/session/reap.h"
#include "cuse_dev/session/worker.h"

static struct client **bucket(struct front *f, uint32_t tgid)
{
	return &f->clients[tgid % FRONT_CLIENT_BUCKETS];
}

/* A client is counted where its list of sessions begins. */
struct client *client_next(struct session **s)
{
	struct client *c;

	while (*s) {
		c = (*s)->client && (*s)->client->sessions == *s ? (*s)->client : NULL;
		*s = (*s)->next;
		if (c)
			return c;
	}
	return NULL;
}

static void tell(const struct client *c, enum event_kind kind, const char *text)
{
	const struct event e = { .kind = kind,
				 .pid = c->id.tgid,
				 .uid = c->uid,
				 .device = -1,
				 .worker = c->worker ? (uint32_t)c->worker->pid : 0 };

	event_add(c->front, &e, "%s", text);
}

static void on_exit_of_process(struct loop_source *src, uint32_t events)
{
	struct client *c = container_of(src, struct client, watch);

	log_debug("process %u has ended", c->id.tgid);
	client_end(c);
}

static int watch(struct client *c)
{
	int r;

	c->watch.ready = on_exit_of_process;
	c->watch.fd = (int)syscall(SYS_pidfd_open, c->id.tgid, 0);
	if (c->watch.fd < 0)
		return -errno;
	r = loop_add(&c->front->loop, &c->watch, EPOLLIN);
	if (r < 0) {
		close(c->watch.fd);
		c->watch.fd = -1;
	}
	return r;
}

static uint32_t processes_of(const struct front *f, uid_t uid)
{
	const struct client *c;
	uint32_t n = 0, i;

	for (i = 0; i < FRONT_CLIENT_BUCKETS; i++) {
		for (c = f->clients[i]; c; c = c->next)
			n += c->uid == uid;
	}
	return n;
}

int client_get(struct front *f, const struct proc_id *id, uid_t uid, struct client **ret_client)
{
	struct client *c, **b = bucket(f, id->tgid);
	int i, r;

	for (c = id->tgid ? *b : NULL; c; c = c->next) {
		if (c->id.tgid == id->tgid && c->id.start == id->start) {
			*ret_client = c;
			return 0;
		}
	}
	if (f->client_count >= LIMIT_PROCESSES)
		return -ENFILE;
	if (id->tgid && processes_of(f, uid) >= LIMIT_PROCESSES_PER_UID)
		return -EDQUOT;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->front = f;
	c->serial = ++f->last_client;
	c->born_ns = telemetry_now_ns();
	c->born_us = telemetry_now_us();
	c->id = *id;
	c->uid = uid;
	c->watch.fd = -1;
	for (i = 0; i < SHARE_COUNT; i++)
		c->share[i].fd = -1;
	if (id->tgid) {
		r = watch(c);
		if (r < 0) {
			free(c);
			return r;
		}
		c->next = *b;
		*b = c;
		f->client_count++;
	}
	tell(c, EVENT_CLIENT_OPENED, "");
	*ret_client = c;
	return 0;
}

static void unlink_client(struct client *c)
{
	struct client **p;

	if (!c->id.tgid)
		return;
	for (p = bucket(c->front, c->id.tgid); *p; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			c->front->client_count--;
			return;
		}
	}
}

/* Give all pages back. Freeing gigabytes takes its time, so another thread does it. */
static void drop_shares(struct client *c, bool died)
{
	struct reap_job *job = reap_job_create();
	int i;

	for (i = 0; i < SHARE_COUNT; i++) {
		if (c->share[i].fd < 0)
			continue;
		if (!job) {
			close(c->share[i].fd);
		} else if (i == SHARE_CONTROL) {
			job->control = c->share[i].fd;
			job->died = died;
		} else {
			/* Pinned memory holds the program's own data: it stays while it is used. */
			reap_job_add(job, c->share[i].fd,
				     i >= SHARE_DEVICE0 ? c->share[i].bytes : 0);
		}
		c->share[i].fd = -1;
	}
	if (job)
		reap_submit(c->front->reap, job);
}

void client_end(struct client *c)
{
	struct session *s;

	tell(c, EVENT_CLIENT_CLOSED, "");
	telemetry_fold(c);
	telemetry_ended(c);
	while ((s = c->sessions)) {
		c->sessions = s->sibling;
		s->client = NULL;
		s->sibling = NULL;
		s->sibling_link = NULL;
	}
	c->session_count = 0;
	unlink_client(c);
	if (c->watch.fd >= 0) {
		loop_remove(&c->front->loop, &c->watch);
		close(c->watch.fd);
		c->watch.fd = -1;
	}
	drop_shares(c, false);
	/*
	 * Its worker cannot serve any more, so the memory is free now. Whoever opens the device
	 * after the last close of this client must find it so; requests come in that order.
	 */
	account_close(c);
	if (!c->worker) {
		free(c);
		return;
	}
	c->gone = true;
	c->front->ending_count++;
	worker_kill(c->worker);
}

void client_put(struct client *c)
{
	if (!c->session_count)
		client_end(c);
}

/*
 * The pages are emptied when the worker is dead, since until then it may still write to them; the
 * account is closed now.
 */
void client_evict(struct client *c, const char *why)
{
	log_notice("process %u (uid %u) is evicted: %s", c->id.tgid, (unsigned)c->uid, why);
	tell(c, EVENT_CLIENT_EVICTED, why);
	c->worker_died = c->evicted = true;
	account_close(c);
	if (c->worker)
		worker_kill(c->worker);
	else
		drop_shares(c, true);
}

void client_worker_reaped(struct client *c)
{
	c->worker = NULL;
	if (c->gone) {
		c->front->ending_count--;
		free(c);
		return;
	}
	c->worker_died = true;
	drop_shares(c, true);
	account_close(c);
}

bool client_has_thread(struct client *c, uint32_t tid)
{
	uint32_t *known = &c->tids[tid % CLIENT_TIDS];
	struct proc_id id;

	if (!c->id.tgid || tid == c->id.tgid || *known == tid)
		return true;
	if (!tid || proc_identify(tid, &id) < 0 || id.tgid != c->id.tgid || id.start != c->id.start)
		return false;
	*known = tid;
	return true;
}

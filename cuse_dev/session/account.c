/* SPDX-License-Identifier: MIT */
/*
 * account.c - device memory and clients, counted.
 *
 *	free = total - reserved - charged          (never below 0)
 *
 * Two policies for the host's own memory. lazy: a device may promise more than the host has;
 * pages come when they are touched, and when the host runs out the kernel ends the worker that
 * stands first in its list (oom_score_adj 1000). strict: an allocation is refused when the promises
 * to all clients exceed what the host had to give when the daemon started, or when this one exceeds
 * what it has now, each less a margin.
 */
#include <errno.h>

#include "cuse_dev/session/front.h"

#define MARGIN_MIN (256ull << 20)
#define MARGIN_DIV 20 /* 5 % of the host's memory */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t host_free(void)
{
	uint64_t total = 0, avail = proc_mem_available(&total), margin = total / MARGIN_DIV;

	return less(avail, margin > MARGIN_MIN ? margin : MARGIN_MIN);
}

uint64_t account_strict_budget(void)
{
	return host_free();
}

static uint64_t charged_to_uid(const struct front *f, uid_t uid, uint32_t device)
{
	struct session *s = f->sessions;
	const struct client *c;
	uint64_t sum = 0;

	while ((c = client_next(&s)))
		sum += c->uid == uid ? c->charged[device] : 0;
	return sum;
}

static uint64_t device_free(const struct front_device *d)
{
	return less(less(d->total, d->reserved), d->charged);
}

static uint64_t strict_free(const struct front *f)
{
	uint64_t promised = 0, now = host_free(), left;
	uint32_t i;

	for (i = 0; i < f->device_count; i++)
		promised += f->device[i].charged;
	left = less(f->strict_budget, promised);
	return left < now ? left : now;
}

static void charge(struct client *c, uint32_t device, uint64_t bytes)
{
	c->charged[device] += bytes;
	if (c->charged[device] > c->use[device].peak)
		c->use[device].peak = c->charged[device];
}

int account_take(struct client *c, uint32_t device, uint64_t bytes)
{
	struct front *f = c->front;
	struct front_device *d = &f->device[device];
	uint64_t quota = d->config->quota_memory;

	if (bytes > device_free(d))
		return -ENOMEM;
	if (quota && bytes > less(quota, charged_to_uid(f, c->uid, device)))
		return -EDQUOT;
	if (f->config->overcommit == CONFIG_STRICT && bytes > strict_free(f))
		return -ENOMEM;
	d->charged += bytes;
	charge(c, device, bytes);
	return 0;
}

void account_give(struct client *c, uint32_t device, uint64_t bytes)
{
	/* A worker may lie; it cannot give back more than its own client was charged. */
	if (bytes > c->charged[device])
		bytes = c->charged[device];
	c->charged[device] -= bytes;
	c->front->device[device].charged -= bytes;
}

void account_correct(struct client *c, uint32_t device, uint64_t taken, int64_t grown)
{
	struct front_device *d = &c->front->device[device];
	uint64_t more;

	account_give(c, device, taken);
	if (grown < 0) {
		account_give(c, device, 0 - (uint64_t)grown);
	} else if (grown > 0) {
		/* It is there already; what does not fit shows as a device without free memory. */
		more = (uint64_t)grown < d->total ? (uint64_t)grown : d->total;
		charge(c, device, more);
		d->charged += more;
	}
}

void account_close(struct client *c)
{
	uint32_t i;

	for (i = 0; i < c->front->device_count; i++)
		account_give(c, i, c->charged[i]);
}

uint64_t account_free(const struct client *c, uint32_t device)
{
	const struct front *f = c->front;
	const struct front_device *d = &f->device[device];
	uint64_t left = device_free(d), other;

	if (d->config->quota_memory) {
		other = less(d->config->quota_memory, charged_to_uid(f, c->uid, device));
		left = other < left ? other : left;
	}
	if (f->config->overcommit == CONFIG_STRICT) {
		other = strict_free(f);
		left = other < left ? other : left;
	}
	return left;
}

static bool uses(const struct client *c, uint32_t device)
{
	const struct session *s;

	for (s = c->sessions; s; s = s->sibling) {
		if (s->greeted && s->device == device)
			return true;
	}
	return false;
}

int account_greet(const struct client *c, uint32_t device)
{
	uint32_t quota = c->front->device[device].config->quota_clients, n = 0;
	struct session *s = c->front->sessions;
	const struct client *o;

	if (!quota || uses(c, device))
		return 0;
	while ((o = client_next(&s)))
		n += o != c && o->uid == c->uid && uses(o, device);
	return n < quota ? 0 : -EDQUOT;
}

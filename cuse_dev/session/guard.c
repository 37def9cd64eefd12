/* SPDX-License-Identifier: MIT */
/*
 * guard.c - a timer that is the faster the less memory there is.
 *
 *	time to the next look = (available - reserve) / (what can be filled in a second)
 */
#include "cuse_dev/session/guard.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/session/front.h"
#include "cuse_dev/session/reap.h"
#include "cuse_dev/session/worker.h"

#define RESERVE_MIN (96ull << 20)
#define RESERVE_MAX (4ull << 30)
#define RESERVE_DIV 40 /* 2.5 % of all memory */
#define FILL_PER_MS (16ull << 20)
#define SOONEST_MS  5
#define LATEST_MS   1000
#define WORTH_IT    (32ull << 20) /* ending one that holds less would not help */
#define MS	    1000000ull
#define STAT_BLOCK  512

static uint64_t reserve_of(uint64_t total)
{
	uint64_t r = total / RESERVE_DIV;

	return r < RESERVE_MIN ? RESERVE_MIN : r > RESERVE_MAX ? RESERVE_MAX : r;
}

/* Bytes that would be free again without its worker. */
static uint64_t held_by(const struct client *c)
{
	uint64_t sum = proc_mem_private((uint32_t)c->worker->pid);
	struct stat st;
	int i;

	for (i = SHARE_DEVICE0; i < SHARE_COUNT; i++) {
		if (c->share[i].fd >= 0 && !fstat(c->share[i].fd, &st))
			sum += (uint64_t)st.st_blocks * STAT_BLOCK;
	}
	return sum;
}

static void end_one(struct front *f, struct client *c, uint64_t held, uint64_t available)
{
	const struct event e = { .kind = EVENT_MEMORY_LOW,
				 .pid = c->id.tgid,
				 .uid = c->uid,
				 .device = -1,
				 .worker = (uint32_t)c->worker->pid };

	event_add(f, &e, "%llu MiB left; it held %llu MiB", (unsigned long long)(available >> 20),
		  (unsigned long long)(held >> 20));
	log_warn("memory runs out, %llu MiB are left: ending worker %d of process %u, which holds "
		 "%llu MiB; its client sees error 719",
		 (unsigned long long)(available >> 20), (int)c->worker->pid, c->id.tgid,
		 (unsigned long long)(held >> 20));
	fault_worker_died(c, "its worker was ended because the host's memory ran out");
	worker_kill(c->worker);
}

uint64_t guard_check(struct guard *g, uint64_t available, uint64_t total)
{
	uint64_t reserve = reserve_of(total), most = 0, held, ms = SOONEST_MS;
	struct client *c, *worst = NULL;
	struct front *f = g->front;
	const struct session *s;
	bool any = false, ending = f->ending_count || reap_busy(f->reap);

	for (s = f->sessions; s; s = s->next) {
		c = s->client;
		if (!c || !c->worker)
			continue;
		any = true;
		ending |= c->worker->killed;
		if (available >= reserve)
			continue;
		held = held_by(c);
		if (held >= WORTH_IT && held > most) {
			most = held;
			worst = c;
		}
	}
	if (!any)
		return 0;
	/* What is about to be given back may be enough. */
	if (worst && !ending)
		end_one(f, worst, most, available);
	if (available > reserve)
		ms = (available - reserve) / FILL_PER_MS;
	return (ms < SOONEST_MS ? SOONEST_MS : ms > LATEST_MS ? LATEST_MS : ms) * MS;
}

static void arm(struct guard *g, uint64_t ns)
{
	const struct itimerspec when = { .it_value = { .tv_sec = (time_t)(ns / 1000 / MS),
						       .tv_nsec = (long)(ns % (1000 * MS)) } };

	timerfd_settime(g->timer.fd, 0, &when, NULL);
}

static void on_timer(struct loop_source *src, uint32_t events)
{
	struct guard *g = container_of(src, struct guard, timer);
	uint64_t count, total = 0, available, ns;

	if (read(src->fd, &count, sizeof(count)) < 0)
		return;
	available = proc_mem_available(&total);
	ns = total ? guard_check(g, available, total) : 0;
	if (ns)
		arm(g, ns);
	else
		guard_fini(g);
}

void guard_init(struct guard *g, struct front *f)
{
	*g = (struct guard){ .timer = { .fd = -1, .ready = on_timer }, .front = f };
}

void guard_fini(struct guard *g)
{
	if (g->timer.fd < 0)
		return;
	loop_remove(&g->front->loop, &g->timer);
	close(g->timer.fd);
	g->timer.fd = -1;
}

void guard_wake(struct guard *g)
{
	int r;

	if (g->timer.fd >= 0)
		return;
	g->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = g->timer.fd < 0 ? -errno : loop_add(&g->front->loop, &g->timer, EPOLLIN);
	if (r < 0) {
		log_warn("nobody looks at the host's memory: %m");
		if (g->timer.fd >= 0)
			close(g->timer.fd);
		g->timer.fd = -1;
		return;
	}
	arm(g, SOONEST_MS * MS);
}

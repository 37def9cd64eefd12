/* SPDX-License-Identifier: MIT */
/*
 * aside.c - the threads that run jobs (vdev/job.c) while the requests they belong to are parked.
 *
 * A thread is started when a job comes and all others are busy, up to LIMIT_WORKER_JOBS, and stays.
 * Where none can be started at all, the dispatching thread runs the job itself, late but truly.
 */
#include "cuse_dev/worker/worker.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

static void *serve(void *arg)
{
	struct worker_aside *a = arg;
	const uint64_t one = 1;
	struct worker_call *c;

	pthread_mutex_lock(&a->lock);
	for (;;) {
		while (!(c = a->first) && !a->stop) {
			a->idle++;
			pthread_cond_wait(&a->some, &a->lock);
			a->idle--;
		}
		if (a->stop)
			break;
		a->first = c->queued;
		pthread_mutex_unlock(&a->lock);
		/* The call may be answered and gone as soon as its job is done. */
		vdev_job_run(c->job);
		while (write(a->notify_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
		pthread_mutex_lock(&a->lock);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

void worker_aside_init(struct worker *w)
{
	struct worker_aside *a = &w->aside;

	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->some, NULL);
	a->notify_fd = w->notify_fd;
}

void worker_aside_fini(struct worker *w)
{
	struct worker_aside *a = &w->aside;
	uint32_t i;

	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_broadcast(&a->some);
	pthread_mutex_unlock(&a->lock);
	for (i = 0; i < a->threads; i++)
		pthread_join(a->thread[i], NULL);
	pthread_cond_destroy(&a->some);
	pthread_mutex_destroy(&a->lock);
}

/* False: there is no thread that could run it. */
static bool enqueue(struct worker_aside *a, struct worker_call *c)
{
	struct worker_call **link = &a->first;
	uint32_t waiting = 1;
	bool ok;

	pthread_mutex_lock(&a->lock);
	for (; *link; link = &(*link)->queued)
		waiting++;
	if (waiting > a->idle && a->threads < LIMIT_WORKER_JOBS &&
	    !pthread_create(&a->thread[a->threads], NULL, serve, a))
		a->threads++;
	ok = a->threads;
	if (ok) {
		c->queued = NULL;
		*link = c;
		pthread_cond_signal(&a->some);
	}
	pthread_mutex_unlock(&a->lock);
	return ok;
}

/* The loop looks again at what is parked and what is no longer in use. */
static int look_again(struct worker *w)
{
	const uint64_t one = 1;

	return write(w->notify_fd, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

int worker_aside_end(struct worker_call *c, int r)
{
	int e;

	if (r == VDEV_LATER) {
		if (enqueue(&c->w->aside, c))
			return WORKER_PARK;
		vdev_job_run(c->job);
		e = look_again(c->w);
		return e < 0 ? e : WORKER_PARK;
	}
	if (c->job) {
		vdev_job_end(c->job);
		c->job = NULL;
		e = look_again(c->w);
		return e < 0 ? e : r;
	}
	return r;
}

bool worker_aside_running(const struct worker_call *c)
{
	return c->job && !vdev_job_done(c->job);
}

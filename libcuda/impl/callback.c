/* SPDX-License-Identifier: MIT */
/*
 * callback.c - cuLaunchHostFunc and cuStreamAddCallback.
 *
 * A HOST_CALL command stops its stream at a token; a thread of this library waits for it, calls the
 * program, and acknowledges. Each queue with calls has a thread of its own, started with the first
 * and gone after a while without: were it one for all, a stream that waits for another one's call
 * would stop both.
 *
 * After a sticky error the stream passes its calls without stopping: host functions are then not
 * called, callbacks are, with the error.
 *
 * Both may not call the driver (CUDA_ERROR_NOT_PERMITTED): a wait for their own stream would never
 * end.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/callback.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/queue.h"

#define IDLE_SECONDS 2

struct callback {
	struct callback *next;
	uint64_t token, seq;
	CUhostFn host;		 /* this one or */
	CUstreamCallback status; /* that one */
	CUstream stream;	 /* as the program named it */
	void *user;
};

struct callback_thread {
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct callback *first, **last; /* guarded by lock; in order of tokens */
	_Atomic unsigned pending;	/* entries; written under lock */
	unsigned refs;			/* queue and thread; guarded by lock */
	bool running, stop;		/* guarded by lock */
	pthread_t self;			/* valid while running */
	struct cu_ctx *ctx;
	struct link_stream *link;
};

bool callback_pending(const struct queue *q)
{
	return q->callbacks && atomic_load(&q->callbacks->pending);
}

/* Called with the lock held, which it drops. */
static void unref(struct callback_thread *t)
{
	bool last = --t->refs == 0;

	pthread_mutex_unlock(&t->lock);
	if (!last)
		return;
	pthread_cond_destroy(&t->change);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static void run(struct callback_thread *t, const struct callback *c)
{
	int r = link_wait_token(t->link, c->token, c->seq, LINK_FOREVER);
	bool there = !r && link_at_token(t->link, c->token);
	CUresult error = cu_ctx_error(t->ctx);

	if (error == CUDA_SUCCESS && r < 0)
		error = cu_from_errno(r);
	cu_thread()->in_callback = true;
	if (c->status)
		c->status(c->stream, error, c->user);
	else if (error == CUDA_SUCCESS)
		c->host(c->user);
	cu_thread()->in_callback = false;
	if (there)
		link_host_done(t->link, c->token);
}

/* With the lock held: the next call, or NULL when the thread shall end. */
static struct callback *next_call(struct callback_thread *t)
{
	struct timespec until;
	int r = 0;

	while (!t->first && !t->stop && r != ETIMEDOUT) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += IDLE_SECONDS;
		r = pthread_cond_timedwait(&t->change, &t->lock, &until);
	}
	return t->first;
}

static void *thread_main(void *arg)
{
	struct callback_thread *t = arg;
	struct callback *c;

	pthread_mutex_lock(&t->lock);
	while ((c = next_call(t))) {
		pthread_mutex_unlock(&t->lock);
		run(t, c);
		pthread_mutex_lock(&t->lock);
		t->first = c->next;
		if (!t->first)
			t->last = &t->first;
		atomic_fetch_sub(&t->pending, 1);
		pthread_cond_broadcast(&t->change);
		free(c);
	}
	t->running = false;
	unref(t);
	return NULL;
}

/* With the lock held. The program's signals are the program's threads' affair. */
static int start(struct callback_thread *t)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int r;

	if (t->running)
		return 0;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&t->self, &attr, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r)
		return -r;
	t->running = true;
	t->refs++;
	return 0;
}

static struct callback_thread *thread_of(struct queue *q)
{
	struct cu_ctx *ctx = q->ctx;
	struct callback_thread *t;

	pthread_mutex_lock(&ctx->lock);
	t = q->callbacks;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (t) {
			pthread_mutex_init(&t->lock, NULL);
			pthread_cond_init(&t->change, NULL);
			t->last = &t->first;
			t->refs = 1;
			t->ctx = ctx;
			t->link = q->link;
			q->callbacks = t;
		}
	}
	pthread_mutex_unlock(&ctx->lock);
	return t;
}

void callback_detach(struct queue *q)
{
	struct callback_thread *t = q->callbacks;

	if (!t)
		return;
	q->callbacks = NULL;
	pthread_mutex_lock(&t->lock);
	while (t->running && atomic_load(&t->pending) && !pthread_equal(t->self, pthread_self()))
		pthread_cond_wait(&t->change, &t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->change);
	unref(t);
}

static CUresult add(struct cu_stream *s, CUstream handle, CUhostFn host, CUstreamCallback status,
		    void *user)
{
	struct queue *q = queue_of(s);
	struct callback_thread *t = thread_of(q);
	struct callback *c;
	int r;

	c = calloc(1, sizeof(*c));
	if (!t || !c) {
		free(c);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*c = (struct callback){ .host = host, .status = status, .stream = handle, .user = user };

	/* Takes ctx->lock, under which t->lock may be taken. */
	r = queue_order(q);
	pthread_mutex_lock(&t->lock);
	if (!r)
		r = start(t);
	if (!r)
		r = link_host_call(q->link, &c->token, &c->seq);
	if (!r) {
		*t->last = c;
		t->last = &c->next;
		atomic_fetch_add(&t->pending, 1);
		pthread_cond_broadcast(&t->change);
	}
	pthread_mutex_unlock(&t->lock);
	if (r)
		free(c);
	return cu_from_errno(r);
}

CUresult callback_add(struct cu_stream *s, CUhostFn host, CUstreamCallback status, void *user)
{
	return add(s, (CUstream)s, host, status, user);
}

CUresult impl_cuLaunchHostFunc(CUstream hStream, CUhostFn fn, void *userData)
{
	CUDA_HOST_NODE_PARAMS p = { fn, userData };
	struct graph_work w;
	struct cu_stream *s;
	bool capturing;
	CUresult r;

	if (!fn)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(hStream, &s);
	if (r == CUDA_SUCCESS)
		r = capture_check(s, &capturing);
	if (r != CUDA_SUCCESS)
		return r;
	if (!capturing)
		return add(s, hStream, fn, NULL, userData);
	r = graph_work_host(&p, &w);
	return r == CUDA_SUCCESS ? capture_add(s, &w) : r;
}

CUresult impl_cuStreamAddCallback(CUstream hStream, CUstreamCallback callback, void *userData,
				  unsigned int flags)
{
	struct cu_stream *s;
	CUresult r;

	if (!callback || flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(hStream, &s);
	if (r == CUDA_SUCCESS)
		r = capture_refuse(s);
	return r == CUDA_SUCCESS ? add(s, hStream, NULL, callback, userData) : r;
}

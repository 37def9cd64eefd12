/* SPDX-License-Identifier: MIT */
/*
 * queue.c - what all streams of a process share: the control page, event slots, and the one
 * condition on which threads sleep until something elsewhere has moved on.
 */
#include "cuse_dev/queue/state.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cuse_dev/base/limits.h"

_Static_assert(sizeof(struct vgpu_share_control) <= VGPU_SHARE_HEADER_BYTES,
	       "the control struct runs into the rings");

#define NS_PER_S 1000000000ull

uint64_t queue_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S),
				  .tv_nsec = (long)(ns % NS_PER_S) };
}

int queue_futex_wait(uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	struct timespec t = to_timespec(timeout_ns);

	/* Not PRIVATE: the other side is another process. */
	if (syscall(SYS_futex, word, FUTEX_WAIT, value, timeout_ns ? &t : NULL, NULL, 0) < 0)
		return -errno;
	return 0;
}

void queue_futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static int cpu_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return CPU_COUNT(&set);
}

int queue_create(const struct queue_config *config, struct queue **ret_queue)
{
	struct queue *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;
	int flags = MAP_NORESERVE;

	if (!q)
		return -ENOMEM;
	q->shared = config->control_fd >= 0;
	flags |= q->shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	q->control = mmap(NULL, VGPU_SHARE_CONTROL_BYTES, PROT_READ | PROT_WRITE, flags,
			  config->control_fd, 0);
	if (q->control == MAP_FAILED) {
		free(q);
		return -ENOMEM;
	}
	if (queue_meter_init(&q->meter, config->meter_fd) < 0) {
		munmap(q->control, VGPU_SHARE_CONTROL_BYTES);
		free(q);
		return -ENOMEM;
	}
	q->mem = config->mem;
	q->notify_fd = config->notify_fd;
	/* On one CPU whoever spins keeps the other side from answering. */
	q->max_spinners = cpu_count() / 2;
	idtab_init(&q->streams, LIMIT_STREAMS);
	idtab_init(&q->kernels, LIMIT_FUNCTIONS);
	idtab_init(&q->graphs, LIMIT_GRAPHS);
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->progress, &attr);
	pthread_cond_init(&q->run_work, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&q->run_lock, NULL);
	pthread_cond_init(&q->run_idle, NULL);
	*ret_queue = q;
	return 0;
}

void queue_destroy(struct queue *q)
{
	if (!q)
		return;
	queue_graph_stop(q);
	pthread_cond_destroy(&q->run_idle);
	pthread_cond_destroy(&q->run_work);
	pthread_mutex_destroy(&q->run_lock);
	idtab_fini(&q->streams);
	idtab_fini(&q->kernels);
	idtab_fini(&q->graphs);
	munmap(q->control, VGPU_SHARE_CONTROL_BYTES);
	queue_meter_fini(&q->meter);
	pthread_cond_destroy(&q->progress);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

void queue_alive(struct queue *q, uint32_t state)
{
	uint32_t i;

	__atomic_store_n(&q->control->worker_alive, state, __ATOMIC_RELEASE);
	if (state != 2)
		return;
	for (i = 0; i < VGPU_SHARE_STREAMS; i++) {
		struct vgpu_share_stream *s = &q->control->stream[i];

		if (!__atomic_load_n(&s->waiters, __ATOMIC_SEQ_CST))
			continue;
		__atomic_add_fetch(&s->done_word, 1, __ATOMIC_SEQ_CST);
		queue_futex_wake(&s->done_word);
	}
}

void queue_notify(struct queue *q, bool on)
{
	atomic_store(&q->notify, on);
}

uint32_t queue_draining(const struct queue *q)
{
	return atomic_load(&q->draining);
}

void queue_progress(struct queue *q)
{
	uint64_t one = 1;

	/* Pairs with the increments in queue_wait() and queue_notify(): state first, then look. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&q->waiters)) {
		pthread_mutex_lock(&q->lock);
		pthread_cond_broadcast(&q->progress);
		pthread_mutex_unlock(&q->lock);
	}
	/* A full counter already wakes the reader. */
	if (atomic_load(&q->notify) && write(q->notify_fd, &one, sizeof(one)) < 0)
		return;
}

bool queue_spin_begin(struct queue *q)
{
	if (atomic_fetch_add(&q->spinners, 1) < q->max_spinners)
		return true;
	atomic_fetch_sub(&q->spinners, 1);
	return false;
}

void queue_spin_end(struct queue *q)
{
	atomic_fetch_sub(&q->spinners, 1);
}

static bool spin(struct queue *q, bool (*done)(void *arg), void *arg)
{
	uint64_t until = queue_now_ns() + QUEUE_SPIN_NS / 2;
	bool ok = done(arg);
	int i;

	if (ok || !queue_spin_begin(q))
		return ok;
	while (!ok && queue_now_ns() < until) {
		for (i = 0; i < 16; i++)
			queue_pause();
		ok = done(arg);
	}
	queue_spin_end(q);
	return ok;
}

void queue_wait(struct queue *q, bool (*done)(void *arg), void *arg, uint64_t poll_ns)
{
	struct timespec t;

	if (spin(q, done, arg))
		return;
	atomic_fetch_add(&q->waiters, 1);
	pthread_mutex_lock(&q->lock);
	while (!done(arg)) {
		if (poll_ns) {
			t = to_timespec(queue_now_ns() + poll_ns);
			pthread_cond_timedwait(&q->progress, &q->lock, &t);
		} else {
			pthread_cond_wait(&q->progress, &q->lock);
		}
	}
	pthread_mutex_unlock(&q->lock);
	atomic_fetch_sub(&q->waiters, 1);
}

void queue_record(struct queue *q, uint32_t slot, uint64_t gen)
{
	struct vgpu_share_event *e = &q->control->event[slot];
	uint64_t now = queue_now_ns();

	pthread_mutex_lock(&q->lock);
	/* Two streams may record one event; the later generation stays. */
	if (gen > atomic_load(&q->event[slot].gen)) {
		q->event[slot].time_ns = now;
		__atomic_store_n(&e->time_ns, now, __ATOMIC_RELAXED);
		__atomic_store_n(&e->gen, gen, __ATOMIC_RELEASE);
		atomic_store(&q->event[slot].gen, gen);
	}
	pthread_mutex_unlock(&q->lock);
}

int queue_event(struct queue *q, uint32_t slot, uint64_t *ret_gen, uint64_t *ret_time_ns)
{
	if (slot >= VGPU_SHARE_EVENTS)
		return -EINVAL;
	pthread_mutex_lock(&q->lock);
	*ret_gen = atomic_load(&q->event[slot].gen);
	*ret_time_ns = q->event[slot].time_ns;
	pthread_mutex_unlock(&q->lock);
	return 0;
}

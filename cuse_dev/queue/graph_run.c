/* SPDX-License-Identifier: MIT */
/*
 * graph_run.c - a run of a graph: kernels are looked up and held, once each; then command after command,
 * without the ring, counters and locks that single ones need.
 *
 * Tasks that wait for nothing more are run by the stream's thread, and by threads of the queue beside it
 * (helpers) where that pays: waking one costs more than a small kernel, so how long each task took is
 * remembered. A task that nobody knows yet counts as long. That may be wrong, and branches may wait for
 * each other: so while there are runs, a helper looks now and then whether one stands still. A run that
 * never ends is cut short like a kernel that does not.
 */
#include "cuse_dev/queue/graph.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_LAUNCH_FAILED 719 /* CUresult */

#define LONG_NS	       30000u /* a task that is worth a helper */
#define MEASURE_FIRST  4u     /* runs whose tasks are measured; then one of so many */
#define MEASURE_ONE_OF 16u

#define LOOK_NS	   1000000u /* between two looks at the runs */
#define IDLE_LOOKS 20u	    /* that found none, before the helper sleeps */

struct run {
	struct queue_stream *s;
	struct queue_graph *g;
	struct held *held;
	struct plan *plan;	      /* NULL: none */
	struct backend_launch launch; /* what the context says */
	bool measure;
	atomic_int error;
	/* of several tasks; guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t moved; /* a task has ended */
	uint32_t *missing;    /* per task: what it still waits for */
	uint32_t *ready;      /* tasks, in the order in which they became ready */
	uint32_t head, tail;  /* of ready */
	uint32_t long_ready;  /* of those from head on */
	uint32_t left;	      /* tasks that have not ended */
	/* guarded by queue.run_lock */
	struct run *next;	 /* of several tasks */
	uint32_t wanted, inside; /* helpers */
	uint32_t seen;		 /* head, at the last look */
};

static void refuse(struct queue_stream *s, uint32_t error, const char *kernel, const char *what)
{
	struct backend_fault fault = { .error = error };

	snprintf(fault.what, sizeof(fault.what), "%.250s", what);
	queue_ctx_fault(s->ctx, &fault, kernel);
}

/* Looks up and holds the kernels; what does not compile is found out now. */
static int hold_kernels(struct run *r)
{
	struct queue *q = r->s->q;
	struct queue_graph *g = r->g;
	struct queue_kernel *k;
	uint32_t i, n;

	pthread_mutex_lock(&q->lock);
	for (n = 0; n < g->kernels; n++) {
		k = idtab_get(&q->kernels, g->kernel[n]);
		if (!k || k->ctx != r->s->ctx)
			break;
		atomic_fetch_add(&k->running, 1);
		r->held[n].kernel = k;
	}
	pthread_mutex_unlock(&q->lock);
	if (n < g->kernels)
		return -EBADF;
	for (i = 0; i < n; i++) {
		struct backend_log log = { .bytes = 0 };
		uint32_t result = queue_kernel_info(r->held[i].kernel, &r->held[i].info, &log);

		if (result) {
			refuse(r->s, ERROR_LAUNCH_FAILED,
			       r->s->ctx->device.ops->func_name(r->held[i].kernel->func),
			       log.bytes ? log.text : "kernel does not compile");
			return -ECANCELED;
		}
	}
	return 0;
}

static void release_kernels(struct run *r)
{
	for (uint32_t i = 0; i < r->g->kernels && r->held[i].kernel; i++)
		atomic_fetch_sub(&r->held[i].kernel->running, 1);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void run_launch(struct run *r, uint32_t step, struct backend_seat *seat)
{
	const struct vgpu_cmd_launch *c = (const void *)command_at(r->g, step);
	const struct held *h = &r->held[r->g->step[step].arg];
	struct backend_ready *ready = seat ? plan_launch(r->plan, step) : NULL;
	const struct backend_ops *ops = r->s->ctx->device.ops;
	struct backend_launch l;
	struct backend_fault fault;
	const char *why;

	if (ready) {
		if (ops->launch_ready(ready, seat, &fault))
			queue_ctx_fault(r->s->ctx, &fault, ops->func_name(h->kernel->func));
		return;
	}
	why = queue_refusal(r->s->ctx, &h->info, c);
	if (why) {
		refuse(r->s, ERROR_LAUNCH_FAILED, ops->func_name(h->kernel->func), why);
		return;
	}
	l = r->launch;
	queue_launch_begin(c, &l);
	fault.error = 0;
	if (ops->launch(h->kernel->func, &l, &fault))
		queue_ctx_fault(r->s->ctx, &fault, ops->func_name(h->kernel->func));
}

/* Does it lead away? -EFAULT: its word is not there. */
static int branches(const struct run *r, const struct vgpu_cmd_branch *b)
{
	uint64_t have;
	int e;

	if (b->when == VGPU_BRANCH_ALWAYS)
		return 1;
	e = mem_load(r->s->q->mem, b->va, 4, &have);
	if (e < 0)
		return e;
	return ((uint32_t)have == b->value) == (b->when == VGPU_BRANCH_EQUAL);
}

static int run_steps(struct run *r, const struct task *t, struct backend_seat *seat)
{
	const struct queue_graph *g = r->g;
	uint32_t at = t->begin;
	int e = 0;

	while (at < t->end && e >= 0 && !queue_stream_dead(r->s)) {
		const struct vgpu_cmd *cmd = command_at(g, at);
		uint32_t step = at++;

		if (cmd->op == VGPU_CMD_LAUNCH) {
			run_launch(r, step, seat);
		} else if (cmd->op == VGPU_CMD_BRANCH) {
			e = branches(r, (const void *)cmd);
			if (e > 0)
				at = g->step[step].arg;
		} else {
			e = queue_command_run(r->s, cmd);
		}
	}
	return e < 0 ? e : 0;
}

static struct backend_seat *take_seat(const struct run *r)
{
	struct backend_seat *seat;

	if (!r->plan || r->s->ctx->device.ops->seat_get(r->held[0].kernel->func, &seat) < 0)
		return NULL;
	return seat;
}

static void leave_seat(const struct run *r, struct backend_seat *seat)
{
	if (seat)
		r->s->ctx->device.ops->seat_put(seat);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

static bool is_long(const struct run *r, uint32_t task)
{
	const struct task *t = &r->g->task[task];
	uint64_t ns = atomic_load_explicit(&t->ns, memory_order_relaxed);

	return t->waits || !ns || ns >= LONG_NS;
}

static void run_task(struct run *r, uint32_t task, struct backend_seat *seat)
{
	struct task *t = &r->g->task[task];
	uint64_t start = r->measure ? queue_now_ns() : 0, ns;
	int none = 0, e = run_steps(r, t, seat);

	if (r->measure) {
		ns = queue_now_ns() - start + 1;
		atomic_store_explicit(&t->ns, ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX,
				      memory_order_relaxed);
	}
	if (e < 0)
		atomic_compare_exchange_strong(&r->error, &none, e);
}

static void push(struct run *r, uint32_t task)
{
	r->ready[r->tail++] = task;
	r->long_ready += is_long(r, task);
}

/* The caller holds r->lock and has just taken @mine: is there long work for somebody else? */
static bool helper_pays(const struct run *r, uint32_t mine)
{
	return r->long_ready > 1 || (r->long_ready && is_long(r, mine));
}

static void call_helper(struct run *r);

/* Tasks until there are none for this thread: at all, or, for a helper, now. */
static void run_tasks(struct run *r, bool helper)
{
	struct backend_seat *seat = take_seat(r);
	bool help;

	pthread_mutex_lock(&r->lock);
	while (r->left) {
		uint32_t task;

		if (r->head == r->tail && helper)
			break;
		if (r->head == r->tail) {
			pthread_cond_wait(&r->moved, &r->lock);
			continue;
		}
		task = r->ready[r->head++];
		/* Its duration may have changed since it was pushed: recount when none is left. */
		r->long_ready = r->head == r->tail
					? 0
					: r->long_ready - (r->long_ready && is_long(r, task));
		help = helper_pays(r, task);
		pthread_mutex_unlock(&r->lock);
		if (help)
			call_helper(r);
		run_task(r, task, seat);
		pthread_mutex_lock(&r->lock);
		for (uint32_t i = 0; i < r->g->task[task].nexts; i++) {
			uint32_t next = r->g->next_of[r->g->task[task].first_next + i];

			if (!--r->missing[next])
				push(r, next);
		}
		r->left--;
		pthread_cond_broadcast(&r->moved);
	}
	pthread_mutex_unlock(&r->lock);
	leave_seat(r, seat);
}

/* ---- helpers -------------------------------------------------------------------------------- */

/* Does a task of @r wait for a thread since the last look? The caller holds run_lock. */
static bool stands_still(struct run *r)
{
	bool still;

	pthread_mutex_lock(&r->lock);
	still = r->head < r->tail && r->head == r->seen;
	r->seen = r->head;
	pthread_mutex_unlock(&r->lock);
	return still;
}

/* One helper looks at the runs, the others sleep. Holds run_lock. */
static void wait_for_work(struct queue *q)
{
	struct timespec t;
	uint64_t when;

	q->idle_helpers++;
	if (q->looking || q->looks >= IDLE_LOOKS) {
		pthread_cond_wait(&q->run_work, &q->run_lock);
		q->idle_helpers--;
		return;
	}
	q->looking = true;
	when = queue_now_ns() + LOOK_NS;
	t = (struct timespec){ .tv_sec = (time_t)(when / 1000000000u),
			       .tv_nsec = (long)(when % 1000000000u) };
	if (pthread_cond_timedwait(&q->run_work, &q->run_lock, &t) == ETIMEDOUT) {
		q->looks = q->runs ? 0 : q->looks + 1;
		for (struct run *r = q->runs; r; r = r->next)
			if (!r->wanted && r->inside < QUEUE_HELPERS && stands_still(r))
				r->wanted = 1;
	}
	q->looking = false;
	q->idle_helpers--;
}

static void *helper_main(void *arg);

/* Holds run_lock. A helper that cannot be started is done without. */
static void wake_helper(struct queue *q)
{
	if (!q->idle_helpers && q->nhelpers < QUEUE_HELPERS &&
	    !pthread_create(&q->helper[q->nhelpers], NULL, helper_main, q))
		q->nhelpers++;
	pthread_cond_signal(&q->run_work);
}

static void *helper_main(void *arg)
{
	struct queue *q = arg;
	struct run *r;

	pthread_mutex_lock(&q->run_lock);
	for (;;) {
		for (r = q->runs; r && !r->wanted; r = r->next)
			;
		if (!r && q->run_stop)
			break;
		if (!r) {
			wait_for_work(q);
			continue;
		}
		r->wanted--;
		r->inside++;
		wake_helper(q); /* somebody has to go on looking */
		pthread_mutex_unlock(&q->run_lock);
		run_tasks(r, true);
		pthread_mutex_lock(&q->run_lock);
		if (!--r->inside)
			pthread_cond_broadcast(&q->run_idle);
	}
	pthread_mutex_unlock(&q->run_lock);
	return NULL;
}

/* One more, if there may be more. */
static void call_helper(struct run *r)
{
	struct queue *q = r->s->q;

	pthread_mutex_lock(&q->run_lock);
	if (r->wanted + r->inside < QUEUE_HELPERS) {
		r->wanted++;
		wake_helper(q);
	}
	pthread_mutex_unlock(&q->run_lock);
}

static void enlist(struct run *r)
{
	struct queue *q = r->s->q;

	pthread_mutex_lock(&q->run_lock);
	r->seen = UINT32_MAX;
	r->next = q->runs;
	q->runs = r;
	if (!q->looking) {
		q->looks = 0;
		wake_helper(q);
	}
	pthread_mutex_unlock(&q->run_lock);
}

static void dismiss(struct run *r)
{
	struct queue *q = r->s->q;
	struct run **p;

	pthread_mutex_lock(&q->run_lock);
	for (p = &q->runs; *p != r; p = &(*p)->next)
		;
	*p = r->next;
	while (r->inside)
		pthread_cond_wait(&q->run_idle, &q->run_lock);
	pthread_mutex_unlock(&q->run_lock);
}

void queue_graph_stop(struct queue *q)
{
	pthread_mutex_lock(&q->run_lock);
	q->run_stop = true;
	pthread_cond_broadcast(&q->run_work);
	pthread_mutex_unlock(&q->run_lock);
	for (uint32_t i = 0; i < q->nhelpers; i++)
		pthread_join(q->helper[i], NULL);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int run_branches(struct run *r)
{
	const struct queue_graph *g = r->g;

	r->missing = malloc(2 * g->tasks * sizeof(*r->missing));
	if (!r->missing)
		return -ENOMEM;
	r->ready = r->missing + g->tasks;
	r->left = g->tasks;
	for (uint32_t t = 0; t < g->tasks; t++) {
		r->missing[t] = g->task[t].deps;
		if (!g->task[t].deps)
			push(r, t);
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->moved, NULL);
	enlist(r);
	run_tasks(r, false);
	dismiss(r);
	pthread_cond_destroy(&r->moved);
	pthread_mutex_destroy(&r->lock);
	free(r->missing);
	return 0;
}

static int run_all(struct run *r)
{
	uint32_t runs = atomic_fetch_add_explicit(&r->g->runs, 1, memory_order_relaxed);
	struct backend_seat *seat;
	int e;

	if (r->g->tasks == 1) {
		seat = take_seat(r);
		e = run_steps(r, r->g->task, seat);
		leave_seat(r, seat);
		return e;
	}
	r->measure = runs < MEASURE_FIRST || runs % MEASURE_ONE_OF == 0;
	e = run_branches(r);
	return e < 0 ? e : atomic_load(&r->error);
}

static struct queue_graph *graph_get(struct queue_stream *s, uint32_t id)
{
	struct queue_graph *g;

	pthread_mutex_lock(&s->q->lock);
	g = idtab_get(&s->q->graphs, id);
	if (g && g->ctx == s->ctx)
		g->refs++;
	else
		g = NULL;
	pthread_mutex_unlock(&s->q->lock);
	return g;
}

int queue_graph_run(struct queue_stream *s, const struct vgpu_cmd_graph_run *c)
{
	struct run r = { .s = s };
	int e;

	r.g = graph_get(s, c->graph);
	if (!r.g)
		return -EBADF;
	e = -ENOMEM;
	r.held = calloc(r.g->kernels + 1, sizeof(*r.held));
	if (!r.held)
		goto put_graph;
	e = hold_kernels(&r);
	if (e == 0) {
		queue_ctx_enter(s->ctx, &r.launch);
		queue_launch_common(s, &r.launch);
		r.plan = plan_take(s, r.g, r.held, &r.launch);
		queue_meter_begin(s->ctx, METER_KERNEL);
		e = run_all(&r);
		queue_meter_end(s->ctx, METER_KERNEL);
		plan_leave(r.g, r.plan);
		queue_ctx_leave(s->ctx);
	}
	release_kernels(&r);
	free(r.held);
	queue_progress(s->q);
put_graph:
	queue_graph_put(s->q, r.g);
	return e == -ECANCELED ? 0 : e;
}

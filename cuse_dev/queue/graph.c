/* SPDX-License-Identifier: MIT */
/*
 * graph.c - commands that a client gave once, to be run together many times (GRAPH_CREATE).
 *
 *	create   every command is checked as far as it can be without running it
 *	run      kernels are looked up and held, once each; then command after command, without the
 *	         ring, counters and locks that single ones need
 *
 * The commands are private and never change. A BRANCH goes to a command or to the end, so a run
 * leaves the list nowhere; one that never ends is cut short like a kernel that does not.
 */
#include "cuse_dev/queue/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/limits.h"

#define ERROR_LAUNCH_FAILED 719 /* CUresult */

/* One command; they are found by number here, not by byte. */
struct step {
	uint32_t offset;
	uint32_t arg; /* LAUNCH: index of its kernel; BRANCH: number of the step it leads to */
};

struct queue_graph {
	struct queue_graph *next; /* of its context; guarded by queue.lock */
	struct queue_ctx *ctx;
	uint32_t id;
	uint32_t refs; /* guarded by queue.lock: the handle, and each run */
	uint32_t bytes, steps, kernels;
	uint8_t *command; /* aligned as malloc does */
	struct step *step;
	uint32_t *kernel; /* handles, each once */
};

/* A kernel during a run. */
struct held {
	struct queue_kernel *kernel;
	struct backend_func_info info;
};

static const struct vgpu_cmd *command_at(const struct queue_graph *g, uint32_t step)
{
	return (const struct vgpu_cmd *)(g->command + g->step[step].offset);
}

static void graph_free(struct queue_graph *g)
{
	if (!g)
		return;
	free(g->kernel);
	free(g->step);
	free(g->command);
	free(g);
}

/* ---- create --------------------------------------------------------------------------------- */

static bool allowed(uint32_t op)
{
	switch (op) {
	case VGPU_CMD_NOP:
	case VGPU_CMD_LAUNCH:
	case VGPU_CMD_COPY:
	case VGPU_CMD_COPY_RECT:
	case VGPU_CMD_FILL:
	case VGPU_CMD_VALUE_WRITE:
	case VGPU_CMD_VALUE_WAIT:
	case VGPU_CMD_BRANCH:
		return true;
	default:
		return false;
	}
}

static int find_steps(struct queue_graph *g)
{
	struct vgpu_cmd head;
	uint32_t at, n = 0;

	for (at = 0; at < g->bytes; at += head.bytes, n++) {
		if (g->bytes - at < sizeof(head))
			return -EINVAL;
		memcpy(&head, g->command + at, sizeof(head));
		if (head.bytes < sizeof(head) || head.bytes % 8 ||
		    head.bytes > VGPU_CMD_MAX_BYTES || head.bytes > g->bytes - at ||
		    !allowed(head.op))
			return -EINVAL;
	}
	g->step = calloc(n, sizeof(*g->step));
	if (!g->step)
		return -ENOMEM;
	for (at = 0, n = 0; at < g->bytes; n++) {
		g->step[n].offset = at;
		at += ((const struct vgpu_cmd *)(g->command + at))->bytes;
	}
	g->steps = n;
	for (n = 0; n < g->steps; n++)
		if (!queue_command_fits(command_at(g, n)))
			return -EINVAL;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int find_kernels(struct queue_graph *g)
{
	uint32_t i, n = 0, unique = 0;

	g->kernel = calloc(g->steps, sizeof(*g->kernel));
	if (!g->kernel)
		return -ENOMEM;
	for (i = 0; i < g->steps; i++)
		if (command_at(g, i)->op == VGPU_CMD_LAUNCH)
			g->kernel[n++] = ((const struct vgpu_cmd_launch *)command_at(g, i))->func;
	qsort(g->kernel, n, sizeof(*g->kernel), by_number);
	for (i = 0; i < n; i++)
		if (!i || g->kernel[i] != g->kernel[unique - 1])
			g->kernel[unique++] = g->kernel[i];
	g->kernels = unique;
	for (i = 0; i < g->steps; i++) {
		const struct vgpu_cmd_launch *l = (const void *)command_at(g, i);
		const uint32_t *k;

		if (l->head.op != VGPU_CMD_LAUNCH)
			continue;
		k = bsearch(&l->func, g->kernel, unique, sizeof(*k), by_number);
		g->step[i].arg = (uint32_t)(k - g->kernel);
	}
	return 0;
}

static int by_offset(const void *key, const void *step)
{
	uint64_t at = *(const uint64_t *)key, have = ((const struct step *)step)->offset;

	return at < have ? -1 : at > have;
}

static int find_branches(struct queue_graph *g)
{
	for (uint32_t i = 0; i < g->steps; i++) {
		const struct vgpu_cmd_branch *b = (const void *)command_at(g, i);
		const struct step *to;

		if (b->head.op != VGPU_CMD_BRANCH)
			continue;
		if (b->when > VGPU_BRANCH_NOT_EQUAL || b->va % 4 ||
		    (b->when == VGPU_BRANCH_ALWAYS && (b->va || b->value)))
			return -EINVAL;
		if (b->target == g->bytes) {
			g->step[i].arg = g->steps;
			continue;
		}
		to = bsearch(&b->target, g->step, g->steps, sizeof(*to), by_offset);
		if (!to)
			return -EINVAL;
		g->step[i].arg = (uint32_t)(to - g->step);
	}
	return 0;
}

/* Gives it a handle. */
static int enlist(struct queue *q, struct queue_graph *g)
{
	int r = -ENOMEM;

	pthread_mutex_lock(&q->lock);
	if (q->graph_bytes <= LIMIT_GRAPH_BYTES - g->bytes)
		r = idtab_add(&q->graphs, g, &g->id);
	if (r == 0) {
		q->graph_bytes += g->bytes;
		g->next = g->ctx->graphs;
		g->ctx->graphs = g;
	}
	pthread_mutex_unlock(&q->lock);
	return r == -ENOSPC ? -ENOMEM : r;
}

int queue_graph_create(struct queue *q, struct queue_ctx *c, const void *commands, uint64_t bytes,
		       uint32_t *ret_id)
{
	struct queue_graph *g;
	int r;

	if (!bytes || bytes % 8)
		return -EINVAL;
	if (bytes > LIMIT_GRAPH_BYTES)
		return -ENOMEM;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->ctx = c;
	g->refs = 1;
	g->bytes = (uint32_t)bytes;
	g->command = malloc(bytes);
	r = -ENOMEM;
	if (!g->command)
		goto free_graph;
	memcpy(g->command, commands, bytes);
	r = find_steps(g);
	if (r == 0)
		r = find_kernels(g);
	if (r == 0)
		r = find_branches(g);
	if (r == 0)
		r = enlist(q, g);
	if (r < 0)
		goto free_graph;
	*ret_id = g->id;
	return 0;

free_graph:
	graph_free(g);
	return r;
}

/* ---- its end -------------------------------------------------------------------------------- */

static void graph_put(struct queue *q, struct queue_graph *g)
{
	bool last;

	pthread_mutex_lock(&q->lock);
	last = --g->refs == 0;
	if (last)
		q->graph_bytes -= g->bytes;
	pthread_mutex_unlock(&q->lock);
	if (last)
		graph_free(g);
}

int queue_graph_destroy(struct queue *q, uint32_t id)
{
	struct queue_graph *g, **p;

	pthread_mutex_lock(&q->lock);
	g = idtab_remove(&q->graphs, id);
	if (g) {
		for (p = &g->ctx->graphs; *p != g; p = &(*p)->next)
			;
		*p = g->next;
	}
	pthread_mutex_unlock(&q->lock);
	if (!g)
		return -EBADF;
	graph_put(q, g);
	return 0;
}

void queue_graph_drop(struct queue_ctx *c)
{
	while (c->graphs)
		queue_graph_destroy(c->q, c->graphs->id);
}

/* ---- run ------------------------------------------------------------------------------------ */

struct run {
	struct queue_stream *s;
	struct queue_graph *g;
	struct held *held;
	struct backend_launch launch; /* what the context says */
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

static void run_launch(struct run *r, const struct vgpu_cmd_launch *c, const struct held *h)
{
	const struct backend_ops *ops = r->s->ctx->device.ops;
	const char *why = queue_refusal(r->s->ctx, &h->info, c);
	struct backend_fault fault = { .error = 0 };

	if (why) {
		refuse(r->s, ERROR_LAUNCH_FAILED, ops->func_name(h->kernel->func), why);
		return;
	}
	queue_launch_begin(r->s, c, &r->launch);
	fault.error = ops->launch(h->kernel->func, &r->launch, &fault);
	if (fault.error)
		queue_ctx_fault(r->s->ctx, &fault, ops->func_name(h->kernel->func));
}

/* Does it lead away? -EFAULT: its word is not there. */
static int branches(struct run *r, const struct vgpu_cmd_branch *b)
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

static int run_steps(struct run *r)
{
	const struct queue_graph *g = r->g;
	uint32_t at = 0;
	int e = 0;

	while (at < g->steps && e >= 0 && !queue_stream_dead(r->s)) {
		const struct vgpu_cmd *cmd = command_at(g, at);
		uint32_t arg = g->step[at].arg;

		at++;
		if (cmd->op == VGPU_CMD_LAUNCH) {
			run_launch(r, (const void *)cmd, &r->held[arg]);
		} else if (cmd->op == VGPU_CMD_BRANCH) {
			e = branches(r, (const void *)cmd);
			if (e > 0)
				at = arg;
		} else {
			e = queue_command_run(r->s, cmd);
		}
	}
	return e < 0 ? e : 0;
}

int queue_graph_run(struct queue_stream *s, const struct vgpu_cmd_graph_run *c)
{
	struct run r = { .s = s };
	struct queue *q = s->q;
	int e;

	pthread_mutex_lock(&q->lock);
	r.g = idtab_get(&q->graphs, c->graph);
	if (r.g && r.g->ctx == s->ctx)
		r.g->refs++;
	else
		r.g = NULL;
	pthread_mutex_unlock(&q->lock);
	if (!r.g)
		return -EBADF;
	e = -ENOMEM;
	r.held = calloc(r.g->kernels + 1, sizeof(*r.held));
	if (!r.held)
		goto put_graph;
	e = hold_kernels(&r);
	if (e == 0) {
		queue_ctx_enter(s->ctx, &r.launch);
		e = run_steps(&r);
		queue_ctx_leave(s->ctx);
	}
	release_kernels(&r);
	free(r.held);
	queue_progress(q);
put_graph:
	graph_put(q, r.g);
	return e == -ECANCELED ? 0 : e;
}

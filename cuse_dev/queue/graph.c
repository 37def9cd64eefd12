/* SPDX-License-Identifier: MIT */
/*
 * graph.c - commands that a client gave once, to be run together many times (GRAPH_CREATE).
 *
 * Here each of them is checked as far as it can be without running it; graph_run.c runs them. They are
 * private and never change. A BRANCH goes to a command of its task or to the task's end, and a task waits
 * for earlier ones only: so a run leaves the list nowhere and waits for nothing that cannot come.
 */
#include "cuse_dev/queue/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/limits.h"

static void graph_free(struct queue *q, struct queue_graph *g)
{
	if (!g)
		return;
	plan_destroy(q, atomic_load(&g->plan));
	free(g->next_of);
	free(g->task);
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
	case VGPU_CMD_TASK:
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
	g->launches = n;
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

static const uint32_t *deps_of(const struct vgpu_cmd_task *c)
{
	return (const uint32_t *)(c + 1);
}

static bool begins_task(const struct queue_graph *g, uint32_t step)
{
	return command_at(g, step)->op == VGPU_CMD_TASK;
}

/* Their steps, and how many wait for each. */
static int find_tasks(struct queue_graph *g)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->steps; i++)
		n += begins_task(g, i);
	g->task = calloc(n + 1, sizeof(*g->task));
	if (!g->task)
		return -ENOMEM;
	for (uint32_t i = 0; i < g->steps; i++) {
		const struct vgpu_cmd_task *c = (const void *)command_at(g, i);

		if (c->head.op == VGPU_CMD_VALUE_WAIT)
			g->task[g->tasks].waits = true;
		if (!begins_task(g, i))
			continue;
		if (c->pad)
			return -EINVAL;
		g->task[g->tasks++].end = i;
		g->task[g->tasks].begin = i + 1;
		g->task[g->tasks].deps = c->deps;
		for (uint32_t k = 0; k < c->deps; k++) {
			if (deps_of(c)[k] >= g->tasks)
				return -EINVAL;
			g->task[deps_of(c)[k]].nexts++;
		}
	}
	g->task[g->tasks++].end = g->steps;
	return 0;
}

/* Turns the lists of whom each waits for around. */
static int find_nexts(struct queue_graph *g)
{
	uint32_t n = 0;

	for (uint32_t t = 0; t < g->tasks; t++) {
		g->task[t].first_next = n;
		n += g->task[t].nexts;
		g->task[t].nexts = 0;
	}
	g->next_of = calloc((size_t)n + 1, sizeof(*g->next_of));
	if (!g->next_of)
		return -ENOMEM;
	for (uint32_t t = 1; t < g->tasks; t++) {
		const struct vgpu_cmd_task *c = (const void *)command_at(g, g->task[t].begin - 1);

		for (uint32_t k = 0; k < c->deps; k++) {
			struct task *from = &g->task[deps_of(c)[k]];

			g->next_of[from->first_next + from->nexts++] = t;
		}
	}
	return 0;
}

static int by_offset(const void *key, const void *step)
{
	uint64_t at = *(const uint64_t *)key, have = ((const struct step *)step)->offset;

	return at < have ? -1 : at > have;
}

/* The step where @target begins; -EINVAL: none of the task, nor its end. */
static int branch_step(const struct queue_graph *g, const struct task *t, uint64_t target,
		       uint32_t *ret_step)
{
	const struct step *to;
	uint32_t step = g->steps;

	if (target != g->bytes) {
		to = bsearch(&target, g->step, g->steps, sizeof(*to), by_offset);
		if (!to)
			return -EINVAL;
		step = (uint32_t)(to - g->step);
	}
	if (step < t->begin || step > t->end)
		return -EINVAL;
	*ret_step = step;
	return 0;
}

static int find_branches(struct queue_graph *g)
{
	int r = 0;

	for (uint32_t n = 0; n < g->tasks; n++) {
		const struct task *t = &g->task[n];

		for (uint32_t i = t->begin; i < t->end && r == 0; i++) {
			const struct vgpu_cmd_branch *b = (const void *)command_at(g, i);

			if (b->head.op != VGPU_CMD_BRANCH)
				continue;
			if (b->when > VGPU_BRANCH_NOT_EQUAL || b->va % 4 ||
			    (b->when == VGPU_BRANCH_ALWAYS && (b->va || b->value)))
				return -EINVAL;
			r = branch_step(g, t, b->target, &g->step[i].arg);
		}
	}
	return r;
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
		r = find_tasks(g);
	if (r == 0)
		r = find_nexts(g);
	if (r == 0)
		r = find_branches(g);
	if (r == 0)
		r = enlist(q, g);
	if (r < 0)
		goto free_graph;
	*ret_id = g->id;
	return 0;

free_graph:
	graph_free(q, g);
	return r;
}

/* ---- its end -------------------------------------------------------------------------------- */

void queue_graph_put(struct queue *q, struct queue_graph *g)
{
	bool last;

	pthread_mutex_lock(&q->lock);
	last = --g->refs == 0;
	if (last)
		q->graph_bytes -= g->bytes;
	pthread_mutex_unlock(&q->lock);
	if (last)
		graph_free(q, g);
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
	queue_graph_put(q, g);
	return 0;
}

void queue_graph_drop(struct queue_ctx *c)
{
	while (c->graphs)
		queue_graph_destroy(c->q, c->graphs->id);
}

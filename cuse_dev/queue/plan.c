/* SPDX-License-Identifier: MIT */
/*
 * plan.c - the launches of a graph, checked and prepared once for many runs.
 *
 * What a prepared launch depends on is kept beside it and compared before each run: the kernels with
 * their attributes, and what the context gives its kernels. A graph keeps one plan; a second run at
 * the same time makes one of its own.
 */
#include "cuse_dev/queue/graph.h"

#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/limits.h"

struct known {
	uint64_t serial; /* of the kernel: a handle may come again */
	struct backend_func_info info;
};

struct plan {
	const struct backend_ops *ops;
	uint32_t launches;
	uint32_t steps, kernels;
	struct backend_launch common;
	struct known *known;	       /* as held */
	struct backend_ready *ready[]; /* by step */
};

/* Room for as many prepared launches, of all graphs together. */
static bool book(struct queue *q, uint32_t launches)
{
	bool ok;

	pthread_mutex_lock(&q->lock);
	ok = launches <= LIMIT_GRAPH_PREPARED - q->prepared;
	if (ok)
		q->prepared += launches;
	pthread_mutex_unlock(&q->lock);
	return ok;
}

static void unbook(struct queue *q, uint32_t launches)
{
	pthread_mutex_lock(&q->lock);
	q->prepared -= launches;
	pthread_mutex_unlock(&q->lock);
}

void plan_destroy(struct queue *q, struct plan *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->steps; i++)
		if (p->ready[i])
			p->ops->unprepare(p->ready[i]);
	unbook(q, p->launches);
	free(p->known);
	free(p);
}

static bool fits(const struct plan *p, const struct held *held, const struct backend_launch *common)
{
	if (memcmp(&p->common, common, sizeof(*common)) != 0)
		return false;
	for (uint32_t i = 0; i < p->kernels; i++)
		if (p->known[i].serial != held[i].kernel->serial ||
		    memcmp(&p->known[i].info, &held[i].info, sizeof(held[i].info)) != 0)
			return false;
	return true;
}

/* A launch that is refused stays as it is: the run says why. */
static void prepare(struct plan *p, struct queue_stream *s, const struct queue_graph *g,
		    const struct held *held)
{
	for (uint32_t i = 0; i < g->steps; i++) {
		const struct vgpu_cmd_launch *c = (const void *)command_at(g, i);
		const struct held *h = &held[g->step[i].arg];
		struct backend_launch l = p->common;

		if (c->head.op != VGPU_CMD_LAUNCH || queue_refusal(s->ctx, &h->info, c))
			continue;
		queue_launch_begin(c, &l);
		if (p->ops->prepare(h->kernel->func, &l, &p->ready[i]) < 0)
			p->ready[i] = NULL;
	}
}

static struct plan *plan_create(struct queue_stream *s, const struct queue_graph *g,
				const struct held *held, const struct backend_launch *common)
{
	const struct backend_ops *ops = s->ctx->device.ops;
	struct plan *p;

	if (!ops->prepare || !g->launches || !book(s->q, g->launches))
		return NULL;
	p = calloc(1, sizeof(*p) + g->steps * sizeof(p->ready[0]));
	if (!p) {
		unbook(s->q, g->launches);
		return NULL;
	}
	p->ops = ops;
	p->launches = g->launches;
	p->known = calloc(g->kernels, sizeof(*p->known));
	if (!p->known) {
		plan_destroy(s->q, p);
		return NULL;
	}
	p->steps = g->steps;
	p->kernels = g->kernels;
	memcpy(&p->common, common, sizeof(*common));
	for (uint32_t i = 0; i < g->kernels; i++) {
		p->known[i].serial = held[i].kernel->serial;
		memcpy(&p->known[i].info, &held[i].info, sizeof(held[i].info));
	}
	prepare(p, s, g, held);
	return p;
}

struct plan *plan_take(struct queue_stream *s, struct queue_graph *g, const struct held *held,
		       const struct backend_launch *common)
{
	struct plan *p = atomic_exchange(&g->plan, NULL);

	if (p && fits(p, held, common))
		return p;
	plan_destroy(s->q, p);
	return plan_create(s, g, held, common);
}

void plan_leave(struct queue_graph *g, struct plan *p)
{
	struct plan *none = NULL;

	if (p && !atomic_compare_exchange_strong(&g->plan, &none, p))
		plan_destroy(g->ctx->q, p);
}

struct backend_ready *plan_launch(const struct plan *p, uint32_t step)
{
	return p ? p->ready[step] : NULL;
}

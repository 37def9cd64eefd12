/* SPDX-License-Identifier: MIT */
/*
 * graph_program.c - executable graphs as commands that the worker keeps: a launch of any length then
 * is one command in the ring, and its kernels cost the worker less than single ones.
 *
 * An executable graph becomes a list of parts: runs of nodes that are commands (kernels, fills, copies
 * between memory that the worker sees, values, conditional nodes), and between them, one by one, what
 * needs this process: host functions, events, pageable memory. graph_record.c records the commands, as
 * tasks that the worker may run side by side. Parts follow each other in the stream, or, where graph_lane.c
 * finds some that need not, in several.
 *
 * The worker forgets a part when told so; a launch may still stand in a ring then, so parts wait for
 * that on their context's list of the dead.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/call.h"
#include "libcuda/core/error.h"
#include "libcuda/impl/copy.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/graph_lane.h"
#include "libcuda/impl/graph_record.h"
#include "libcuda/impl/image.h"
#include "libcuda/impl/queue.h"

struct graph_dead {
	struct graph_dead *next;
	uint32_t graph;
	struct queue *queue; /* a reference; it has done what it must at seq */
	uint64_t seq;
};

struct maker {
	struct graph_recorder r;
	struct cu_exec *e;
};

/* ---- what can be commands ------------------------------------------------------------------- */

static bool all_recordable(const struct cu_graph *g)
{
	for (size_t i = 0; i < g->count; i++)
		if (!graph_recordable(&g->node[i]->work))
			return false;
	return true;
}

bool graph_recordable(const struct graph_work *w)
{
	switch (w->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
	case CU_GRAPH_NODE_TYPE_MEMSET:
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
	case CU_GRAPH_NODE_TYPE_EMPTY:
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
		return true;
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return !cu_copy_3d_late(&w->copy.p);
	case CU_GRAPH_NODE_TYPE_GRAPH:
		return all_recordable(w->child);
	case CU_GRAPH_NODE_TYPE_CONDITIONAL:
		for (unsigned i = 0; i < w->cond.size; i++)
			if (!all_recordable(w->cond.body[i]))
				return false;
		return true;
	default:
		return false;
	}
}

bool graph_program_needed(const struct cu_graph *g)
{
	for (size_t i = 0; i < g->count; i++) {
		const struct graph_work *w = &g->node[i]->work;

		if (w->type == CU_GRAPH_NODE_TYPE_CONDITIONAL ||
		    (w->type == CU_GRAPH_NODE_TYPE_GRAPH && graph_program_needed(w->child)))
			return true;
	}
	return false;
}

static bool allocates(const struct graph_work *w)
{
	for (unsigned i = 0; i < w->cond.size; i++)
		if (graph_mem_used(w->cond.body[i]))
			return true;
	return false;
}

CUresult graph_program_check(const struct cu_graph *g)
{
	CUresult r = CUDA_SUCCESS;

	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++) {
		const struct graph_work *w = &g->node[i]->work;

		if (w->type == CU_GRAPH_NODE_TYPE_GRAPH)
			r = graph_program_check(w->child);
		if (w->type != CU_GRAPH_NODE_TYPE_CONDITIONAL ||
		    (graph_recordable(w) && !allocates(w)))
			continue;
		cu_log(CU_LOG_ERROR,
		       "a conditional node with a host function, an event, an allocation or a "
		       "copy of pageable memory in its body");
		r = CUDA_ERROR_NOT_SUPPORTED;
	}
	return r;
}

/* ---- parts ---------------------------------------------------------------------------------- */

static CUresult add_part(struct cu_exec *e, uint32_t graph, struct graph_node *n)
{
	struct graph_part *more;

	if (e->parts == e->part_cap) {
		more = realloc(e->part, (e->part_cap * 2 + 4) * sizeof(*more));
		if (!more)
			return CUDA_ERROR_OUT_OF_MEMORY;
		e->part = more;
		e->part_cap = e->part_cap * 2 + 4;
	}
	e->part[e->parts++] = (struct graph_part){ .graph = graph, .node = n };
	return CUDA_SUCCESS;
}

static void forget(struct cu_ctx *ctx, uint32_t graph)
{
	struct vgpu_graph_destroy req = { .graph = graph };

	link_call(ctx->dev->link, VGPU_OP_GRAPH_DESTROY, &req, sizeof(req));
}

/* Hands what was recorded to the worker. */
static CUresult end_part(struct maker *m)
{
	struct link_dev *dev = m->r.s->ctx->dev->link;
	struct image image = { .data = m->r.rec.data, .size = m->r.rec.bytes };
	struct vgpu_graph_create req = { .ctx = m->r.s->ctx->ctx };
	struct vgpu_blob_destroy drop = { 0 };
	CUresult r;
	int err;

	graph_record_part(&m->r);
	if (!image.size)
		return CUDA_SUCCESS;
	err = image_send(dev, &image, &req.blob);
	if (err < 0)
		return cu_from_errno(err);
	drop.blob = req.blob;
	err = link_call(dev, VGPU_OP_GRAPH_CREATE, &req, sizeof(req));
	link_call(dev, VGPU_OP_BLOB_DESTROY, &drop, sizeof(drop));
	if (err < 0)
		return cu_from_errno(err);
	r = add_part(m->e, req.graph, NULL);
	if (r != CUDA_SUCCESS)
		forget(m->r.s->ctx, req.graph);
	return r;
}

static CUresult add_other(struct graph_recorder *r, struct graph_node *n)
{
	struct maker *m = (struct maker *)r;
	CUresult e = end_part(m);

	return e == CUDA_SUCCESS ? add_part(m->e, 0, n) : e;
}

/* Tells the worker of those that no stream needs any more. The caller holds ctx->lock. */
static void bury(struct cu_ctx *ctx)
{
	struct graph_dead **at = &ctx->dead_graphs, *d;

	while ((d = *at)) {
		if (!atomic_load(&d->queue->gone) && !link_done(d->queue->link, d->seq)) {
			at = &d->next;
			continue;
		}
		*at = d->next;
		forget(ctx, d->graph);
		queue_put(d->queue);
		free(d);
	}
}

static void part_drop(struct cu_exec *e, uint32_t graph)
{
	struct cu_ctx *ctx = e->ctx;
	struct graph_dead *d = e->last ? malloc(sizeof(*d)) : NULL;

	if (!d) {
		/* Never launched; or it is waited for here, for want of memory. */
		if (e->last)
			queue_wait(e->last, e->last_seq);
		forget(ctx, graph);
		return;
	}
	queue_get(e->last);
	*d = (struct graph_dead){ .graph = graph, .queue = e->last, .seq = e->last_seq };
	pthread_mutex_lock(&ctx->lock);
	d->next = ctx->dead_graphs;
	ctx->dead_graphs = d;
	bury(ctx);
	pthread_mutex_unlock(&ctx->lock);
}

void graph_program_drop(struct cu_exec *e)
{
	struct cu_ctx *ctx;
	bool alive;

	e->launched = false;
	if (!e->part)
		return;
	/* With its context the worker forgot all of it. */
	alive = cu_ctx_get((CUcontext)e->ctx, &ctx) == CUDA_SUCCESS && ctx->id == e->ctx_id;
	for (size_t i = 0; alive && i < e->parts; i++)
		if (e->part[i].graph)
			part_drop(e, e->part[i].graph);
	for (uint32_t i = 1; i < GRAPH_LANES; i++) {
		if (alive && e->lane[i])
			cu_stream_drop(e->lane[i]);
		e->lane[i] = NULL;
	}
	free(e->wait);
	free(e->part);
	e->wait = NULL;
	e->part = NULL;
	e->parts = e->part_cap = 0;
	e->lanes = 0;
}

void graph_program_fini_ctx(struct cu_ctx *ctx)
{
	struct graph_dead *d;

	while ((d = ctx->dead_graphs)) {
		ctx->dead_graphs = d->next;
		queue_put(d->queue);
		free(d);
	}
}

static CUresult make_part(struct maker *m, const struct graph_lanes *l, uint32_t index)
{
	const struct graph_lane_part *p = &l->part[index];
	struct cu_exec *e = m->e;
	CUresult r;

	if (p->other) {
		r = add_part(e, 0, p->other->disabled ? NULL : p->other);
	} else {
		r = graph_record_group(&m->r, e->graph, p->kind);
		if (r == CUDA_SUCCESS)
			r = end_part(m);
		if (r == CUDA_SUCCESS && e->parts == index) /* nothing in it is a command */
			r = add_part(e, 0, NULL);
	}
	if (r != CUDA_SUCCESS)
		return r;
	e->part[index].lane = p->lane;
	e->part[index].first_wait = p->first_wait;
	e->part[index].waits = p->waits;
	return CUDA_SUCCESS;
}

/* NOT_SUPPORTED: they must follow each other. */
static CUresult make_lanes(struct maker *m)
{
	struct cu_exec *e = m->e;
	struct graph_lanes l;
	CUresult r;

	/* A green context's share is that of its own streams. */
	if (m->r.s->green || !graph_lanes_wanted(e->graph))
		return CUDA_ERROR_NOT_SUPPORTED;
	r = graph_lanes_plan(e->graph, &l);
	for (uint32_t i = 1; r == CUDA_SUCCESS && i < l.lanes; i++)
		r = cu_stream_make(m->r.s->ctx, m->r.s->priority, &e->lane[i]);
	for (uint32_t i = 0; r == CUDA_SUCCESS && i < l.parts; i++)
		r = make_part(m, &l, i);
	if (r == CUDA_SUCCESS) {
		e->lanes = l.lanes;
		e->wait = l.wait;
		l.wait = NULL;
	}
	graph_lanes_fini(&l);
	return r;
}

CUresult graph_program_make(struct cu_exec *e, struct cu_stream *s)
{
	struct maker m = { .e = e };
	CUresult r;

	e->ctx = s->ctx;
	e->ctx_id = s->ctx->id;
	graph_record_init(&m.r, s, add_other);
	r = make_lanes(&m);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		r = graph_record(&m.r, e->graph);
	if (r == CUDA_SUCCESS)
		r = end_part(&m);
	if (r == CUDA_SUCCESS && !e->parts) /* an empty graph */
		r = add_part(e, 0, NULL);
	graph_record_fini(&m.r);
	if (r != CUDA_SUCCESS)
		graph_program_drop(e);
	/* Where the worker has no room, nodes go one by one. */
	return r == CUDA_ERROR_OUT_OF_MEMORY && !graph_program_needed(e->graph) ? CUDA_SUCCESS : r;
}

static CUresult run_part(const struct graph_part *p, struct cu_stream *s)
{
	struct vgpu_cmd_graph_run cmd = {
		.head = { .op = VGPU_CMD_GRAPH_RUN, .bytes = sizeof(cmd) },
		.graph = p->graph,
	};

	if (cmd.graph)
		return cu_from_errno(queue_submit(queue_of(s), &cmd.head, NULL));
	return p->node ? graph_work_run(&p->node->work, s) : CUDA_SUCCESS;
}

/* All lanes begin behind what is in the stream of the launch, and it goes on behind all of them. */
static CUresult run_lanes(struct cu_exec *e, struct cu_stream *s)
{
	struct vgpu_cmd_nop nop = { .head = { .op = VGPU_CMD_NOP, .bytes = sizeof(nop) } };
	struct queue *first = queue_of(s), *q;
	int r = queue_submit(first, &nop.head, NULL); /* what the stream must follow, they follow */
	CUresult e1 = CUDA_SUCCESS;
	uint64_t begin = link_submitted(first->link);

	for (uint32_t i = 1; i < e->lanes && r == 0; i++)
		r = queue_follow(queue_of(e->lane[i]), first, begin);
	for (size_t i = 0; i < e->parts && r == 0 && e1 == CUDA_SUCCESS; i++) {
		struct graph_part *p = &e->part[i];
		struct cu_stream *lane = p->lane ? e->lane[p->lane] : s;

		q = queue_of(lane);
		for (uint32_t k = 0; k < p->waits && r == 0; k++) {
			const struct graph_part *o = &e->part[e->wait[p->first_wait + k]];

			r = queue_follow(q, o->lane ? queue_of(e->lane[o->lane]) : first, o->seq);
		}
		if (r == 0)
			e1 = run_part(p, lane);
		p->seq = link_submitted(q->link);
	}
	for (uint32_t i = 1; i < e->lanes && r == 0; i++) {
		q = queue_of(e->lane[i]);
		r = queue_follow(first, q, link_submitted(q->link));
	}
	return e1 != CUDA_SUCCESS ? e1 : cu_from_errno(r);
}

CUresult graph_program_run(struct cu_exec *e, struct cu_stream *s)
{
	CUresult r = CUDA_SUCCESS;

	if (e->lanes > 1)
		return run_lanes(e, s);
	for (size_t i = 0; i < e->parts && r == CUDA_SUCCESS; i++)
		r = run_part(&e->part[i], s);
	return r;
}

/* SPDX-License-Identifier: MIT */
/*
 * graph_record.c - the nodes of an executable graph as commands of the worker, by submitting them to a queue
 * that keeps commands instead of sending them.
 *
 *	A ── B ── C ─┐          task 0: A B C
 *	             ├─ F       task 1: D E
 *	D ── E ──────┘          task 2: F, behind 0 and 1
 *
 * Nodes that only follow each other become one task; tasks may run side by side where the edges allow. What
 * is no command ends the part: the points that earlier parts have reached are behind all that follows.
 * Bodies of conditional nodes are a row of commands inside a task.
 */
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/graph_record.h"

/* ---- one node ------------------------------------------------------------------------------- */

static CUresult record_body(struct graph_recorder *m, const struct cu_graph *g);

/* A branch whose target is not known yet; *ret_at: where it stands. */
static CUresult record_branch(struct graph_recorder *m, uint32_t when, uint64_t va, uint32_t value,
			      size_t *ret_at)
{
	struct vgpu_cmd_branch cmd = {
		.head = { .op = VGPU_CMD_BRANCH, .bytes = sizeof(cmd) },
		.va = va,
		.value = value,
		.when = when,
	};

	*ret_at = m->rec.bytes;
	return cu_from_errno(queue_record_add(&m->rec, &cmd.head, NULL, 0));
}

/* The branch at @at leads to @target, or, with ~0, to what is recorded next. */
static void lead(struct graph_recorder *m, size_t at, size_t target)
{
	uint64_t to = target == (size_t)-1 ? m->rec.bytes : target;

	memcpy(m->rec.data + at + offsetof(struct vgpu_cmd_branch, target), &to, sizeof(to));
}

#define HERE ((size_t)-1)

static CUresult record_while(struct graph_recorder *m, const struct graph_work *w)
{
	size_t top = m->rec.bytes, out, back;
	CUresult r;

	r = record_branch(m, VGPU_BRANCH_EQUAL, w->cond.handle->va, 0, &out);
	if (r == CUDA_SUCCESS)
		r = record_body(m, w->cond.body[0]);
	if (r == CUDA_SUCCESS)
		r = record_branch(m, VGPU_BRANCH_ALWAYS, 0, 0, &back);
	if (r != CUDA_SUCCESS)
		return r;
	lead(m, back, top);
	lead(m, out, HERE);
	return CUDA_SUCCESS;
}

/*
 * One body after the other, each behind a branch that passes it over. Of an IF: the first when the value
 * is not 0, the second when it is; of a SWITCH: number i when the value is i. The value is looked at
 * again before each body, so each ends with a way out.
 */
static CUresult record_choice(struct graph_recorder *m, const struct graph_work *w)
{
	bool is_if = w->cond.type == CU_GRAPH_COND_TYPE_IF;
	size_t *out, pass;
	CUresult r = CUDA_SUCCESS;

	out = calloc(w->cond.size, sizeof(*out));
	if (!out)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (unsigned i = 0; i < w->cond.size && r == CUDA_SUCCESS; i++) {
		bool otherwise = is_if && i == 0;

		r = record_branch(m, otherwise ? VGPU_BRANCH_EQUAL : VGPU_BRANCH_NOT_EQUAL,
				  w->cond.handle->va, is_if ? 0 : i, &pass);
		if (r == CUDA_SUCCESS)
			r = record_body(m, w->cond.body[i]);
		if (r == CUDA_SUCCESS)
			r = record_branch(m, VGPU_BRANCH_ALWAYS, 0, 0, &out[i]);
		if (r == CUDA_SUCCESS)
			lead(m, pass, HERE);
	}
	for (unsigned i = 0; i < w->cond.size && r == CUDA_SUCCESS; i++)
		lead(m, out[i], HERE);
	free(out);
	return r;
}

static CUresult record_node(struct graph_recorder *m, const struct graph_node *n)
{
	CUresult r;

	switch (n->work.type) {
	case CU_GRAPH_NODE_TYPE_GRAPH:
		return record_body(m, n->work.child);
	case CU_GRAPH_NODE_TYPE_CONDITIONAL:
		return n->work.cond.type == CU_GRAPH_COND_TYPE_WHILE ? record_while(m, &n->work)
								     : record_choice(m, &n->work);
	default:
		queue_record(&m->rec);
		r = graph_work_run(&n->work, m->s);
		queue_record(NULL);
		return r;
	}
}

static CUresult record_body(struct graph_recorder *m, const struct cu_graph *g)
{
	CUresult r = CUDA_SUCCESS;

	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++)
		if (!g->order[i]->disabled)
			r = record_node(m, g->order[i]);
	return r;
}

/* What conditional nodes find at the start of each launch. */
static CUresult record_values(struct graph_recorder *m, const struct cu_graph *g)
{
	struct vgpu_cmd_value_write cmd = {
		.head = { .op = VGPU_CMD_VALUE_WRITE, .bytes = sizeof(cmd) },
		.bytes = 4,
	};
	struct cu_graph *child;
	CUresult r = CUDA_SUCCESS;

	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++) {
		const struct graph_work *w = &g->node[i]->work;

		if (w->type == CU_GRAPH_NODE_TYPE_CONDITIONAL && w->cond.handle->assign) {
			cmd.va = w->cond.handle->va;
			cmd.value = w->cond.handle->value;
			r = cu_from_errno(queue_record_add(&m->rec, &cmd.head, NULL, 0));
		}
		for (unsigned j = 0; r == CUDA_SUCCESS && (child = graph_child(w, j)); j++)
			r = record_values(m, child);
	}
	return r;
}

/* ---- tasks ---------------------------------------------------------------------------------- */

#define MAX_DEPS 8192u /* of one command */

static CUresult add_dep(struct graph_recorder *m, struct graph_point p)
{
	uint32_t *more;

	if (p.part != m->part || (m->ndeps && m->deps[m->ndeps - 1] == p.task))
		return CUDA_SUCCESS; /* done before this part begins; or known */
	if (m->ndeps == m->deps_cap) {
		more = realloc(m->deps, (m->deps_cap * 2 + 16) * sizeof(*more));
		if (!more)
			return CUDA_ERROR_OUT_OF_MEMORY;
		m->deps = more;
		m->deps_cap = m->deps_cap * 2 + 16;
	}
	m->deps[m->ndeps++] = p.task;
	return CUDA_SUCCESS;
}

/* Behind the first @count of m->deps. */
static CUresult add_task(struct graph_recorder *m, uint32_t count)
{
	struct vgpu_cmd_task cmd = {
		.head = { .op = VGPU_CMD_TASK, .bytes = sizeof(cmd) },
		.deps = count,
	};

	m->tasks++;
	return cu_from_errno(
		queue_record_add(&m->rec, &cmd.head, m->deps, count * sizeof(*m->deps)));
}

/* What is recorded from here on waits for m->deps, and for nothing else of this part. */
static CUresult begin_task(struct graph_recorder *m)
{
	CUresult r = CUDA_SUCCESS;

	if (!m->parallel) {
		m->tasks = 1;
		return CUDA_SUCCESS;
	}
	if (!m->tasks) {
		m->tasks = 1;
		if (!m->rec.bytes)
			return CUDA_SUCCESS; /* the first needs no command */
		m->values = true;
	}
	if (m->values && !m->ndeps)
		r = add_dep(m, (struct graph_point){ .part = m->part });
	while (m->ndeps > MAX_DEPS && r == CUDA_SUCCESS) {
		r = add_task(m, MAX_DEPS);
		m->ndeps -= MAX_DEPS;
		memmove(m->deps, m->deps + MAX_DEPS, m->ndeps * sizeof(*m->deps));
		if (r == CUDA_SUCCESS)
			r = add_dep(m, (struct graph_point){ m->part, m->tasks - 1 });
	}
	return r == CUDA_SUCCESS ? add_task(m, m->ndeps) : r;
}

static struct graph_point here(const struct graph_recorder *m)
{
	return (struct graph_point){ m->part, m->tasks - 1 };
}

/* One point behind all of m->deps. */
static CUresult join(struct graph_recorder *m, struct graph_point *ret_point)
{
	CUresult r = CUDA_SUCCESS;

	*ret_point = (struct graph_point){ .part = m->part - 1 };
	if (m->ndeps > 1)
		r = begin_task(m);
	if (m->ndeps > 1)
		*ret_point = here(m);
	else if (m->ndeps)
		*ret_point = (struct graph_point){ m->part, m->deps[0] };
	return r;
}

/* m->deps: what @n waits for. */
static CUresult find_deps(struct graph_recorder *m, const struct graph_node *n,
			  struct graph_point entry)
{
	CUresult r = CUDA_SUCCESS;

	m->ndeps = 0;
	if (!n->in.count)
		return add_dep(m, entry);
	for (size_t i = 0; i < n->in.count && r == CUDA_SUCCESS; i++)
		r = add_dep(m, n->in.edge[i].node->done);
	return r;
}

static bool is_command(const struct graph_node *n)
{
	return n->work.type != CU_GRAPH_NODE_TYPE_GRAPH && graph_recordable(&n->work);
}

/* The only one that waits for @n, and waits for nothing else; NULL. */
static struct graph_node *only_next(const struct graph_recorder *m, const struct graph_node *n)
{
	struct graph_node *next = n->out.count == 1 ? n->out.edge[0].node : NULL;

	if (!next || next->in.count != 1 || (m->grouped && next->group != n->group))
		return NULL;
	return next;
}

/* @n, which waits for recorded ones only, and those behind it that can be in its task. */
static CUresult record_chain(struct graph_recorder *m, struct graph_node *n,
			     struct graph_point entry)
{
	CUresult r = find_deps(m, n, entry);

	if (r == CUDA_SUCCESS)
		r = begin_task(m);
	for (; n && is_command(n) && r == CUDA_SUCCESS; n = only_next(m, n)) {
		if (!n->disabled)
			r = record_node(m, n);
		n->done = here(m);
	}
	return r;
}

static CUresult record_all(struct graph_recorder *m, const struct cu_graph *g,
			   struct graph_point entry, struct graph_point *ret_exit);

static CUresult record_child(struct graph_recorder *m, struct graph_node *n,
			     struct graph_point entry)
{
	CUresult r = find_deps(m, n, entry);

	if (r == CUDA_SUCCESS)
		r = join(m, &entry);
	return r == CUDA_SUCCESS ? record_all(m, n->work.child, entry, &n->done) : r;
}

static void forget_points(const struct cu_graph *g)
{
	for (size_t i = 0; i < g->count; i++)
		g->node[i]->done.part = 0;
}

static CUresult record_one(struct graph_recorder *m, struct graph_node *n, struct graph_point entry)
{
	CUresult r = CUDA_SUCCESS;

	if (n->work.type == CU_GRAPH_NODE_TYPE_GRAPH)
		return record_child(m, n, entry);
	if (is_command(n))
		return record_chain(m, n, entry);
	if (!n->disabled)
		r = m->other(m, n);
	n->done.part = m->part - 1;
	return r;
}

static CUresult record_all(struct graph_recorder *m, const struct cu_graph *g,
			   struct graph_point entry, struct graph_point *ret_exit)
{
	bool grouped = m->grouped;
	CUresult r = CUDA_SUCCESS;

	m->grouped = false; /* a child is recorded as a whole */
	forget_points(g);
	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++)
		if (!g->order[i]->done.part)
			r = record_one(m, g->order[i], entry);
	m->ndeps = 0;
	if (!g->count)
		r = add_dep(m, entry);
	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++)
		if (!g->node[i]->out.count)
			r = add_dep(m, g->node[i]->done);
	m->grouped = grouped;
	return r == CUDA_SUCCESS ? join(m, ret_exit) : r;
}

/* ---- a graph -------------------------------------------------------------------------------- */

void graph_record_init(struct graph_recorder *m, struct cu_stream *s,
		       CUresult (*other)(struct graph_recorder *m, struct graph_node *n))
{
	*m = (struct graph_recorder){
		.s = s,
		.rec = { .queue = queue_of(s) },
		.other = other,
		.parallel = s->ctx->dev->link->features & VGPU_FEATURE_TASKS,
		.part = 2, /* 1: before the first */
	};
}

void graph_record_part(struct graph_recorder *m)
{
	m->rec.bytes = 0;
	m->part++;
	m->tasks = 0;
	m->values = false;
}

void graph_record_fini(struct graph_recorder *m)
{
	free(m->rec.data);
	free(m->deps);
}

CUresult graph_record(struct graph_recorder *m, const struct cu_graph *g)
{
	struct graph_point begin = { .part = m->part - 1 }, end;
	CUresult r = record_values(m, g);

	return r == CUDA_SUCCESS ? record_all(m, g, begin, &end) : r;
}

CUresult graph_record_group(struct graph_recorder *m, const struct cu_graph *g, uint32_t group)
{
	struct graph_point begin = { .part = m->part - 1 };
	CUresult r = CUDA_SUCCESS;

	m->grouped = true;
	for (size_t i = 0; i < g->count; i++)
		if (g->node[i]->group == group)
			g->node[i]->done.part = 0;
	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++)
		if (g->order[i]->group == group && !g->order[i]->done.part)
			r = record_one(m, g->order[i], begin);
	return r;
}

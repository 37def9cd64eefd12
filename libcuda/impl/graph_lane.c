/* SPDX-License-Identifier: MIT */
/*
 * graph_lane.c - executable graphs with branches and nodes that are no commands of the worker's (host
 * functions, events, pageable memory): which parts they fall into, and on which lanes these run.
 *
 *	       ┌── H ──┐           part 0: A          lane 0
 *	A ── B─┤       ├─ E        H is a part        lane 1, behind part 0
 *	       └── C ──┘           part 2: C          lane 0
 *
 * Nodes that come behind the same of those nodes, and before the same, are one part: so no part waits for
 * more than its nodes do. (Along an edge the nodes that came before become more and those to come fewer, so
 * parts cannot wait for each other.) Lane 0 is the stream of the launch, the others are streams of the
 * executable graph. Few such nodes make few parts; where there are many the graph is one row.
 */
#include <stdlib.h>
#include <string.h>

#include "libcuda/impl/graph_lane.h"
#include "libcuda/impl/queue.h"

#define MAX_OTHERS 64u /* bits of a mask */
#define MAX_PARTS  512u

struct kind {
	uint64_t before, after; /* nodes that are no commands, by bit */
	struct graph_node *other;
};

struct planner {
	const struct cu_graph *g;
	uint64_t *before, *after; /* by place in the order, which is in node->mark */
	struct kind *kind;	  /* of parts, as they are found */
	uint32_t kinds;
	uint8_t *edge; /* edge[to * kinds + from] */
};

static bool is_other(const struct graph_node *n)
{
	return !graph_recordable(&n->work);
}

bool graph_lanes_wanted(const struct cu_graph *g)
{
	uint32_t others = 0;
	bool branches = false;
	size_t first = 0;

	if (graph_program_needed(g))
		return false;
	for (size_t i = 0; i < g->count; i++) {
		const struct graph_node *n = g->node[i];

		if (is_other(n) && n->work.type == CU_GRAPH_NODE_TYPE_GRAPH)
			return false;
		others += is_other(n);
		first += !n->in.count;
		branches |= first > 1 || n->out.count > 1;
	}
	return branches && others && others <= MAX_OTHERS;
}

/* Bits of the nodes that are no commands, and for each node which come before and after it. */
static void find_masks(struct planner *p)
{
	const struct cu_graph *g = p->g;
	uint64_t *bit = p->after + g->count;
	uint32_t others = 0;

	for (size_t i = 0; i < g->count; i++) {
		struct graph_node *n = g->order[i];

		n->mark = i;
		bit[i] = is_other(n) ? 1ull << others++ : 0;
		for (size_t k = 0; k < n->in.count; k++) {
			size_t from = n->in.edge[k].node->mark;

			p->before[i] |= p->before[from] | bit[from];
		}
	}
	for (size_t i = g->count; i-- > 0;) {
		const struct graph_node *n = g->order[i];

		for (size_t k = 0; k < n->out.count; k++) {
			size_t to = n->out.edge[k].node->mark;

			p->after[i] |= p->after[to] | bit[to];
		}
	}
}

/* Each node's part, in node->group; false: too many. */
static bool find_kinds(struct planner *p)
{
	for (size_t i = 0; i < p->g->count; i++) {
		struct graph_node *n = p->g->order[i];
		struct kind k = { p->before[i], p->after[i], is_other(n) ? n : NULL };
		uint32_t at = 0;

		while (at < p->kinds && memcmp(&p->kind[at], &k, sizeof(k)) != 0)
			at++;
		if (at == MAX_PARTS)
			return false;
		if (at == p->kinds)
			p->kind[p->kinds++] = k;
		n->group = at;
	}
	return true;
}

static CUresult find_edges(struct planner *p)
{
	p->edge = calloc(p->kinds, p->kinds);
	if (!p->edge)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < p->g->count; i++) {
		const struct graph_node *n = p->g->order[i];

		for (size_t k = 0; k < n->in.count; k++) {
			uint32_t from = n->in.edge[k].node->group;

			if (from != n->group)
				p->edge[n->group * p->kinds + from] = 1;
		}
	}
	return CUDA_SUCCESS;
}

/* Is all that @kind waits for in place? */
static bool can_come(const struct planner *p, uint32_t kind, const uint32_t *place)
{
	for (uint32_t from = 0; from < p->kinds; from++)
		if (p->edge[kind * p->kinds + from] && place[from] == UINT32_MAX)
			return false;
	return true;
}

/* On the lane whose last part it waits for; else on a new one, or on the one that has rested longest. */
static uint32_t choose_lane(const struct planner *p, const struct graph_lanes *l, uint32_t kind)
{
	uint32_t oldest = 0;

	for (uint32_t i = 0; i < l->lanes; i++)
		if (p->edge[kind * p->kinds + l->part[l->last[i]].kind])
			return i;
	if (l->lanes < GRAPH_LANES)
		return l->lanes;
	for (uint32_t i = 1; i < l->lanes; i++)
		if (l->last[i] < l->last[oldest])
			oldest = i;
	return oldest;
}

/* The next part is @kind. */
static void place_part(struct planner *p, struct graph_lanes *l, uint32_t kind, uint32_t *place)
{
	struct graph_lane_part *part = &l->part[l->parts];

	part->kind = kind;
	part->other = p->kind[kind].other;
	part->lane = choose_lane(p, l, kind);
	part->first_wait = l->waits;
	for (uint32_t from = 0; from < p->kinds; from++)
		if (p->edge[kind * p->kinds + from] && l->part[place[from]].lane != part->lane)
			l->wait[l->waits++] = place[from];
	part->waits = l->waits - part->first_wait;
	if (part->lane == l->lanes)
		l->lanes++;
	l->last[part->lane] = l->parts;
	place[kind] = l->parts++;
}

static CUresult place_all(struct planner *p, struct graph_lanes *l)
{
	uint32_t *place = malloc(p->kinds * sizeof(*place));
	size_t edges = 0;

	for (uint32_t i = 0; i < p->kinds * p->kinds; i++)
		edges += p->edge[i];
	l->part = calloc(p->kinds, sizeof(*l->part));
	l->wait = calloc(edges + 1, sizeof(*l->wait));
	if (!place || !l->part || !l->wait) {
		free(place);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	memset(place, 0xff, p->kinds * sizeof(*place));
	while (l->parts < p->kinds)
		for (uint32_t k = 0; k < p->kinds; k++)
			if (place[k] == UINT32_MAX && can_come(p, k, place))
				place_part(p, l, k, place);
	free(place);
	return CUDA_SUCCESS;
}

CUresult graph_lanes_plan(const struct cu_graph *g, struct graph_lanes *ret_lanes)
{
	struct planner p = { .g = g };
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

	*ret_lanes = (struct graph_lanes){ 0 };
	p.before = calloc(3 * g->count, sizeof(*p.before));
	p.kind = calloc(MAX_PARTS, sizeof(*p.kind));
	if (p.before && p.kind) {
		p.after = p.before + g->count;
		find_masks(&p);
		r = find_kinds(&p) ? find_edges(&p) : CUDA_ERROR_NOT_SUPPORTED;
		if (r == CUDA_SUCCESS)
			r = place_all(&p, ret_lanes);
	}
	if (r != CUDA_SUCCESS)
		graph_lanes_fini(ret_lanes);
	free(p.edge);
	free(p.kind);
	free(p.before);
	return r;
}

void graph_lanes_fini(struct graph_lanes *l)
{
	free(l->part);
	free(l->wait);
	*l = (struct graph_lanes){ 0 };
}

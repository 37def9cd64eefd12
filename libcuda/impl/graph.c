/* SPDX-License-Identifier: MIT */
/*
 * graph.c - graphs as a structure: nodes, edges, copies, and the questions about them.
 *
 * What a node does is in graph_work.c, how a graph runs in graph_exec.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"

/* ---- life ----------------------------------------------------------------------------------- */

CUresult graph_create(struct cu_graph **ret_graph)
{
	struct cu_graph *g = cu_handle_create(CU_KIND_GRAPH, sizeof(*g));

	if (!g)
		return CUDA_ERROR_OUT_OF_MEMORY;
	g->id = cu_next_id();
	*ret_graph = g;
	return CUDA_SUCCESS;
}

static void node_free(struct graph_node *n)
{
	graph_work_fini(&n->work);
	free(n->in.edge);
	free(n->out.edge);
	cu_handle_destroy(n);
}

void graph_destroy(struct cu_graph *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->count; i++)
		node_free(g->node[i]);
	graph_unhold_all(g);
	while (g->conds) {
		struct graph_cond *c = g->conds;

		g->conds = c->next;
		graph_cond_put(c);
	}
	free(g->node);
	free(g->order);
	cu_handle_destroy(g);
}

CUresult graph_get(CUgraph handle, struct cu_graph **ret_graph)
{
	struct cu_graph *g = cu_handle_get(handle, CU_KIND_GRAPH);

	if (!g)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_graph = g;
	return CUDA_SUCCESS;
}

CUresult graph_node_get(CUgraphNode handle, struct graph_node **ret_node)
{
	struct graph_node *n = cu_handle_get(handle, CU_KIND_GRAPH_NODE);

	if (!n)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_node = n;
	return CUDA_SUCCESS;
}

/* Room for one more of @bytes each; the array and its capacity grow together. */
static bool grow(void *array, size_t count, size_t *cap, size_t bytes)
{
	void **at = array, *larger;
	size_t wanted = *cap ? *cap * 2 : 4;

	if (count < *cap)
		return true;
	larger = realloc(*at, wanted * bytes);
	if (!larger)
		return false;
	*at = larger;
	*cap = wanted;
	return true;
}

/* ---- edges ---------------------------------------------------------------------------------- */

static struct graph_edge *edge_find(const struct graph_edges *es, const struct graph_node *n)
{
	for (size_t i = 0; i < es->count; i++)
		if (es->edge[i].node == n)
			return &es->edge[i];
	return NULL;
}

static CUresult edge_add(struct graph_node *from, struct graph_node *to,
			 const CUgraphEdgeData *data)
{
	CUgraphEdgeData d = { 0 };

	if (data)
		d = *data;
	if (!grow(&from->out.edge, from->out.count, &from->out.cap, sizeof(struct graph_edge)) ||
	    !grow(&to->in.edge, to->in.count, &to->in.cap, sizeof(struct graph_edge)))
		return CUDA_ERROR_OUT_OF_MEMORY;
	from->out.edge[from->out.count++] = (struct graph_edge){ to, d };
	to->in.edge[to->in.count++] = (struct graph_edge){ from, d };
	return CUDA_SUCCESS;
}

static void edge_cut(struct graph_edges *es, const struct graph_node *n)
{
	struct graph_edge *e = edge_find(es, n);

	if (!e)
		return;
	memmove(e, e + 1, (size_t)(es->edge + es->count - (e + 1)) * sizeof(*e));
	es->count--;
}

/* Ports are about how early the next kernel may start; later is right, too. */
static bool edge_data_valid(const struct graph_node *from, const CUgraphEdgeData *d)
{
	static const unsigned char zeros[sizeof(d->reserved)];

	if (d->to_port || d->type > CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC ||
	    memcmp(d->reserved, zeros, sizeof(zeros)) != 0)
		return false;
	if (from->work.type != CU_GRAPH_NODE_TYPE_KERNEL)
		return !d->from_port && !d->type;
	return d->from_port <= CU_GRAPH_KERNEL_NODE_PORT_LAUNCH_ORDER;
}

static bool edge_data_set(const CUgraphEdgeData *d)
{
	return d->from_port || d->to_port || d->type;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static CUresult check_deps(const struct cu_graph *g, struct graph_node *const *deps,
			   const CUgraphEdgeData *data, size_t count)
{
	if (count && !deps)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++) {
		if (!cu_handle_get(deps[i], CU_KIND_GRAPH_NODE) || deps[i]->graph != g ||
		    (data && !edge_data_valid(deps[i], &data[i])))
			return CUDA_ERROR_INVALID_VALUE;
		for (size_t j = 0; j < i; j++)
			if (deps[j] == deps[i])
				return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

void graph_own(struct graph_node *n)
{
	struct cu_graph *child;

	for (unsigned i = 0; (child = graph_child(&n->work, i)); i++)
		child->owner = n;
}

static CUresult node_create(struct cu_graph *g, struct graph_work *work, uint64_t serial,
			    struct graph_node **ret_node)
{
	struct graph_node *n;

	if (!grow(&g->node, g->count, &g->cap, sizeof(struct graph_node *)))
		return CUDA_ERROR_OUT_OF_MEMORY;
	n = cu_handle_create(CU_KIND_GRAPH_NODE, sizeof(*n));
	if (!n)
		return CUDA_ERROR_OUT_OF_MEMORY;
	n->graph = g;
	n->serial = serial;
	n->work = *work;
	graph_own(n);
	g->node[g->count++] = n;
	*ret_node = n;
	return CUDA_SUCCESS;
}

static void node_destroy(struct graph_node *n)
{
	struct cu_graph *g = n->graph;
	size_t at = 0;

	for (size_t i = 0; i < n->in.count; i++)
		edge_cut(&n->in.edge[i].node->out, n);
	for (size_t i = 0; i < n->out.count; i++)
		edge_cut(&n->out.edge[i].node->in, n);
	while (g->node[at] != n)
		at++;
	memmove(&g->node[at], &g->node[at + 1], (g->count - at - 1) * sizeof(struct graph_node *));
	g->count--;
	node_free(n);
}

/* One graph frees the same memory once. */
static bool freed_before(const struct cu_graph *g, const struct graph_work *w)
{
	if (w->type != CU_GRAPH_NODE_TYPE_MEM_FREE)
		return false;
	for (size_t i = 0; i < g->count; i++)
		if (g->node[i]->work.type == w->type && g->node[i]->work.mem == w->mem)
			return true;
	return false;
}

CUresult graph_add(struct cu_graph *g, struct graph_node *const *deps, const CUgraphEdgeData *data,
		   size_t count, struct graph_work *work, struct graph_node **ret_node)
{
	struct graph_node *n;
	CUresult r;

	r = check_deps(g, deps, data, count);
	if (r == CUDA_SUCCESS && freed_before(g, work))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = node_create(g, work, g->next_serial, &n);
	if (r != CUDA_SUCCESS) {
		graph_work_fini(work);
		return r;
	}
	g->next_serial++;
	for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++)
		r = edge_add(deps[i], n, data ? &data[i] : NULL);
	if (r != CUDA_SUCCESS) {
		node_destroy(n);
		return r;
	}
	*ret_node = n;
	return CUDA_SUCCESS;
}

struct graph_node *graph_find(const struct cu_graph *g, uint64_t serial)
{
	size_t lo = 0, hi = g->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (g->node[mid]->serial == serial)
			return g->node[mid];
		if (g->node[mid]->serial < serial)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

CUresult graph_clone(const struct cu_graph *g, struct cu_graph **ret_graph)
{
	struct cu_graph *copy;
	struct graph_node *n;
	struct graph_work w;
	CUresult r;

	r = graph_create(&copy);
	if (r != CUDA_SUCCESS)
		return r;
	copy->source_id = g->id;
	copy->next_serial = g->next_serial;
	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++) {
		r = graph_work_copy(&g->node[i]->work, &w);
		if (r != CUDA_SUCCESS)
			break;
		r = node_create(copy, &w, g->node[i]->serial, &n);
		if (r != CUDA_SUCCESS)
			graph_work_fini(&w);
		else
			n->disabled = g->node[i]->disabled;
	}
	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++) {
		const struct graph_edges *in = &g->node[i]->in;

		for (size_t j = 0; j < in->count && r == CUDA_SUCCESS; j++)
			r = edge_add(graph_find(copy, in->edge[j].node->serial), copy->node[i],
				     &in->edge[j].data);
	}
	if (r == CUDA_SUCCESS)
		r = graph_hold_all(copy, g);
	if (r != CUDA_SUCCESS) {
		graph_destroy(copy);
		return r;
	}
	*ret_graph = copy;
	return CUDA_SUCCESS;
}

/* In order of creation as far as the edges allow: so a captured stream runs as it was written. */
CUresult graph_sort(struct cu_graph *g)
{
	struct graph_node **order;
	size_t head = 0, tail = 0;

	order = malloc((g->count ? g->count : 1) * sizeof(struct graph_node *));
	if (!order)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < g->count; i++) {
		g->node[i]->mark = g->node[i]->in.count;
		if (!g->node[i]->mark)
			order[tail++] = g->node[i];
	}
	for (; head < tail; head++) {
		const struct graph_edges *out = &order[head]->out;

		for (size_t i = 0; i < out->count; i++)
			if (!--out->edge[i].node->mark)
				order[tail++] = out->edge[i].node;
	}
	if (tail < g->count) {
		free(order);
		return CUDA_ERROR_INVALID_VALUE;
	}
	free(g->order);
	g->order = order;
	return CUDA_SUCCESS;
}

void graph_mark_before(struct cu_graph *g, struct graph_node *const *from, size_t count)
{
	bool more = count != 0;

	for (size_t i = 0; i < g->count; i++)
		g->node[i]->mark = 0;
	for (size_t i = 0; i < count; i++)
		from[i]->mark = 1;
	/* Edges mostly point to later nodes: one round from the end, rarely two. */
	while (more) {
		more = false;
		for (size_t i = g->count; i-- > 0;) {
			const struct graph_edges *in = &g->node[i]->in;

			if (!g->node[i]->mark)
				continue;
			for (size_t j = 0; j < in->count; j++) {
				struct graph_node *n = in->edge[j].node;

				if (!n->mark && n->serial > g->node[i]->serial)
					more = true;
				n->mark = 1;
			}
		}
	}
}

/* ---- entry points: life --------------------------------------------------------------------- */

CUresult impl_cuGraphCreate(CUgraph *phGraph, unsigned int flags)
{
	struct cu_graph *g;
	CUresult r;

	if (!phGraph || flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_create(&g);
	if (r == CUDA_SUCCESS)
		*phGraph = (CUgraph)g;
	return r;
}

CUresult impl_cuGraphDestroy(CUgraph hGraph)
{
	struct cu_graph *g;
	CUresult r = graph_get(hGraph, &g);

	if (r != CUDA_SUCCESS)
		return r;
	/* A child goes with its node, a graph that streams still write into when they end. */
	if (g->owner || g->capturing)
		return CUDA_ERROR_INVALID_VALUE;
	graph_destroy(g);
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphClone(CUgraph *phGraphClone, CUgraph originalGraph)
{
	struct cu_graph *g, *copy;
	CUresult r;

	if (!phGraphClone)
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_get(originalGraph, &g);
	if (r == CUDA_SUCCESS && graph_mem_used(g))
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r == CUDA_SUCCESS)
		r = graph_clone(g, &copy);
	if (r == CUDA_SUCCESS)
		*phGraphClone = (CUgraph)copy;
	return r;
}

CUresult impl_cuGraphNodeFindInClone(CUgraphNode *phNode, CUgraphNode hOriginalNode,
				     CUgraph hClonedGraph)
{
	struct graph_node *n, *twin;
	struct cu_graph *g;
	CUresult r;

	if (!phNode)
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_node_get(hOriginalNode, &n);
	if (r == CUDA_SUCCESS)
		r = graph_get(hClonedGraph, &g);
	if (r != CUDA_SUCCESS)
		return r;
	if (g->source_id != n->graph->id)
		return CUDA_ERROR_INVALID_VALUE;
	twin = graph_find(g, n->serial);
	if (!twin)
		return CUDA_ERROR_INVALID_VALUE;
	*phNode = (CUgraphNode)twin;
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphDestroyNode(CUgraphNode hNode)
{
	struct graph_node *n;
	CUresult r = graph_node_get(hNode, &n);

	if (r != CUDA_SUCCESS)
		return r;
	if (n->graph->capturing)
		return CUDA_ERROR_INVALID_VALUE;
	if (graph_mem_used(n->graph))
		return CUDA_ERROR_NOT_SUPPORTED;
	node_destroy(n);
	return CUDA_SUCCESS;
}

/* ---- entry points: questions ---------------------------------------------------------------- */

/* A list goes out: with no array only its length; entries beyond it become NULL. */
static void hand_out(CUgraphNode *array, size_t room, size_t at, struct graph_node *n)
{
	if (array && at < room)
		array[at] = (CUgraphNode)n;
}

static void finish_list(CUgraphNode *array, size_t *size, size_t count)
{
	if (array)
		for (size_t i = count; i < *size; i++)
			array[i] = NULL;
	if (!array || count < *size)
		*size = count;
}

static CUresult list_nodes(CUgraph hGraph, CUgraphNode *nodes, size_t *numNodes, bool roots)
{
	struct cu_graph *g;
	size_t at = 0;
	CUresult r;

	if (!numNodes)
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_get(hGraph, &g);
	if (r != CUDA_SUCCESS)
		return r;
	for (size_t i = 0; i < g->count; i++)
		if (!roots || !g->node[i]->in.count)
			hand_out(nodes, *numNodes, at++, g->node[i]);
	finish_list(nodes, numNodes, at);
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphGetNodes(CUgraph hGraph, CUgraphNode *nodes, size_t *numNodes)
{
	return list_nodes(hGraph, nodes, numNodes, false);
}

CUresult impl_cuGraphGetRootNodes(CUgraph hGraph, CUgraphNode *rootNodes, size_t *numRootNodes)
{
	return list_nodes(hGraph, rootNodes, numRootNodes, true);
}

/* @lossy: the caller cannot say edge data; edges that have some are then refused. */
static CUresult list_edges(const struct graph_edges *es, CUgraphNode *nodes, CUgraphEdgeData *data,
			   size_t *count, bool lossy)
{
	if (lossy && nodes)
		for (size_t i = 0; i < es->count; i++)
			if (edge_data_set(&es->edge[i].data))
				return CUDA_ERROR_LOSSY_QUERY;
	for (size_t i = 0; i < es->count; i++) {
		hand_out(nodes, *count, i, es->edge[i].node);
		if (nodes && data && i < *count)
			data[i] = es->edge[i].data;
	}
	finish_list(nodes, count, es->count);
	return CUDA_SUCCESS;
}

static CUresult neighbours(CUgraphNode hNode, CUgraphNode *nodes, CUgraphEdgeData *data,
			   size_t *count, bool out, bool lossy)
{
	struct graph_node *n;
	CUresult r;

	if (!count || (data && !nodes))
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_node_get(hNode, &n);
	return r == CUDA_SUCCESS ? list_edges(out ? &n->out : &n->in, nodes, data, count, lossy)
				 : r;
}

CUresult impl_cuGraphNodeGetDependencies(CUgraphNode hNode, CUgraphNode *dependencies,
					 size_t *numDependencies)
{
	return neighbours(hNode, dependencies, NULL, numDependencies, false, true);
}

CUresult impl_cuGraphNodeGetDependencies_v2(CUgraphNode hNode, CUgraphNode *dependencies,
					    CUgraphEdgeData *edgeData, size_t *numDependencies)
{
	return neighbours(hNode, dependencies, edgeData, numDependencies, false, !edgeData);
}

CUresult impl_cuGraphNodeGetDependentNodes(CUgraphNode hNode, CUgraphNode *dependentNodes,
					   size_t *numDependentNodes)
{
	return neighbours(hNode, dependentNodes, NULL, numDependentNodes, true, true);
}

CUresult impl_cuGraphNodeGetDependentNodes_v2(CUgraphNode hNode, CUgraphNode *dependentNodes,
					      CUgraphEdgeData *edgeData, size_t *numDependentNodes)
{
	return neighbours(hNode, dependentNodes, edgeData, numDependentNodes, true, !edgeData);
}

static CUresult graph_edges(CUgraph hGraph, CUgraphNode *from, CUgraphNode *to,
			    CUgraphEdgeData *data, size_t *numEdges, bool lossy)
{
	struct cu_graph *g;
	size_t at = 0;
	CUresult r;

	if (!numEdges || !from != !to || (data && !from))
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_get(hGraph, &g);
	if (r != CUDA_SUCCESS)
		return r;
	for (size_t i = 0; i < g->count; i++) {
		for (size_t j = 0; j < g->node[i]->in.count; j++, at++) {
			const struct graph_edge *e = &g->node[i]->in.edge[j];

			if (lossy && from && edge_data_set(&e->data))
				return CUDA_ERROR_LOSSY_QUERY;
			hand_out(from, *numEdges, at, e->node);
			hand_out(to, *numEdges, at, g->node[i]);
			if (data && at < *numEdges)
				data[at] = e->data;
		}
	}
	if (to)
		for (size_t i = at; i < *numEdges; i++)
			to[i] = NULL;
	finish_list(from, numEdges, at);
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphGetEdges(CUgraph hGraph, CUgraphNode *from, CUgraphNode *to, size_t *numEdges)
{
	return graph_edges(hGraph, from, to, NULL, numEdges, true);
}

CUresult impl_cuGraphGetEdges_v2(CUgraph hGraph, CUgraphNode *from, CUgraphNode *to,
				 CUgraphEdgeData *edgeData, size_t *numEdges)
{
	return graph_edges(hGraph, from, to, edgeData, numEdges, !edgeData);
}

CUresult impl_cuGraphNodeGetType(CUgraphNode hNode, CUgraphNodeType *type)
{
	struct graph_node *n;
	CUresult r;

	if (!type)
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_node_get(hNode, &n);
	if (r == CUDA_SUCCESS)
		*type = n->work.type;
	return r;
}

/* ---- entry points: edges -------------------------------------------------------------------- */

/* Both ends of edge @i, in @g. */
static CUresult ends(const struct cu_graph *g, CUgraphNode from, CUgraphNode to,
		     struct graph_node **ret_from, struct graph_node **ret_to)
{
	CUresult r = graph_node_get(from, ret_from);

	if (r == CUDA_SUCCESS)
		r = graph_node_get(to, ret_to);
	if (r == CUDA_SUCCESS && ((*ret_from)->graph != g || (*ret_to)->graph != g))
		r = CUDA_ERROR_INVALID_VALUE;
	return r;
}

CUresult impl_cuGraphAddDependencies_v2(CUgraph hGraph, const CUgraphNode *from,
					const CUgraphNode *to, const CUgraphEdgeData *edgeData,
					size_t numDependencies)
{
	struct graph_node *a, *b;
	struct cu_graph *g;
	CUresult r;

	r = graph_get(hGraph, &g);
	if (r != CUDA_SUCCESS)
		return r;
	if (numDependencies && (!from || !to))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < numDependencies; i++) {
		r = ends(g, from[i], to[i], &a, &b);
		if (r != CUDA_SUCCESS)
			return r;
		if (a == b || edge_find(&b->in, a) ||
		    (edgeData && !edge_data_valid(a, &edgeData[i])))
			return CUDA_ERROR_INVALID_VALUE;
		r = edge_add(a, b, edgeData ? &edgeData[i] : NULL);
		if (r != CUDA_SUCCESS)
			return r;
	}
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphAddDependencies(CUgraph hGraph, const CUgraphNode *from, const CUgraphNode *to,
				     size_t numDependencies)
{
	return impl_cuGraphAddDependencies_v2(hGraph, from, to, NULL, numDependencies);
}

CUresult impl_cuGraphRemoveDependencies_v2(CUgraph hGraph, const CUgraphNode *from,
					   const CUgraphNode *to, const CUgraphEdgeData *edgeData,
					   size_t numDependencies)
{
	static const CUgraphEdgeData plain;
	struct graph_node *a, *b;
	struct graph_edge *e;
	struct cu_graph *g;
	CUresult r;

	r = graph_get(hGraph, &g);
	if (r != CUDA_SUCCESS)
		return r;
	if (numDependencies && (!from || !to))
		return CUDA_ERROR_INVALID_VALUE;
	if (numDependencies && graph_mem_used(g))
		return CUDA_ERROR_NOT_SUPPORTED;
	for (size_t i = 0; i < numDependencies; i++) {
		r = ends(g, from[i], to[i], &a, &b);
		if (r != CUDA_SUCCESS)
			return r;
		e = edge_find(&b->in, a);
		if (!e || memcmp(&e->data, edgeData ? &edgeData[i] : &plain, sizeof(plain)) != 0)
			return CUDA_ERROR_INVALID_VALUE;
		edge_cut(&b->in, a);
		edge_cut(&a->out, b);
	}
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphRemoveDependencies(CUgraph hGraph, const CUgraphNode *from,
					const CUgraphNode *to, size_t numDependencies)
{
	return impl_cuGraphRemoveDependencies_v2(hGraph, from, to, NULL, numDependencies);
}

/* ---- entry points: a picture ---------------------------------------------------------------- */

static const char *const type_names[] = {
	[CU_GRAPH_NODE_TYPE_KERNEL] = "KERNEL",
	[CU_GRAPH_NODE_TYPE_MEMCPY] = "MEMCPY",
	[CU_GRAPH_NODE_TYPE_MEMSET] = "MEMSET",
	[CU_GRAPH_NODE_TYPE_HOST] = "HOST",
	[CU_GRAPH_NODE_TYPE_GRAPH] = "GRAPH",
	[CU_GRAPH_NODE_TYPE_EMPTY] = "EMPTY",
	[CU_GRAPH_NODE_TYPE_WAIT_EVENT] = "WAIT_EVENT",
	[CU_GRAPH_NODE_TYPE_EVENT_RECORD] = "EVENT_RECORD",
	[CU_GRAPH_NODE_TYPE_BATCH_MEM_OP] = "BATCH_MEM_OP",
	[CU_GRAPH_NODE_TYPE_MEM_ALLOC] = "MEM_ALLOC",
	[CU_GRAPH_NODE_TYPE_MEM_FREE] = "MEM_FREE",
	[CU_GRAPH_NODE_TYPE_CONDITIONAL] = "CONDITIONAL",
};

/* One subgraph per graph, so that children can be told apart; names carry the graph's id. */
static void print_dot(FILE *out, const struct cu_graph *g, bool handles)
{
	fprintf(out, "subgraph cluster_%llu {\nlabel=\"graph_%llu\"\n", (unsigned long long)g->id,
		(unsigned long long)g->id);
	for (size_t i = 0; i < g->count; i++) {
		const struct graph_node *n = g->node[i];

		fprintf(out, "\"graph_%llu_node_%llu\" [label=\"%llu\\n%s",
			(unsigned long long)g->id, (unsigned long long)n->serial,
			(unsigned long long)n->serial, type_names[n->work.type]);
		if (handles)
			fprintf(out, "\\n%p", (const void *)n);
		fprintf(out, "\"]\n");
	}
	for (size_t i = 0; i < g->count; i++)
		for (size_t j = 0; j < g->node[i]->out.count; j++)
			fprintf(out, "\"graph_%llu_node_%llu\" -> \"graph_%llu_node_%llu\"\n",
				(unsigned long long)g->id, (unsigned long long)g->node[i]->serial,
				(unsigned long long)g->id,
				(unsigned long long)g->node[i]->out.edge[j].node->serial);
	for (size_t i = 0; i < g->count; i++)
		for (unsigned j = 0; graph_child(&g->node[i]->work, j); j++)
			print_dot(out, graph_child(&g->node[i]->work, j), handles);
	fprintf(out, "}\n");
}

CUresult impl_cuGraphDebugDotPrint(CUgraph hGraph, const char *path, unsigned int flags)
{
	struct cu_graph *g;
	FILE *out;
	CUresult r;
	bool bad;

	if (!path)
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_get(hGraph, &g);
	if (r != CUDA_SUCCESS)
		return r;
	out = fopen(path, "we");
	if (!out)
		return CUDA_ERROR_OPERATING_SYSTEM;
	fprintf(out, "digraph dot {\n");
	print_dot(out, g,
		  flags & (CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE | CU_GRAPH_DEBUG_DOT_FLAGS_HANDLES));
	fprintf(out, "}\n");
	bad = ferror(out) != 0;
	if (fclose(out) || bad)
		return CUDA_ERROR_OPERATING_SYSTEM;
	return CUDA_SUCCESS;
}

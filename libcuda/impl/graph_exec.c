/* SPDX-License-Identifier: MIT */
/*
 * graph_exec.c - executable graphs: instantiated, launched, updated.
 *
 * One is a copy of the program's graph with its nodes put in an order that the edges allow. A
 * launch submits them in that order to the stream, one by one or as commands that the worker keeps
 * (graph_program.c); only then branches run side by side. Launches of the same executable graph follow
 * each other, whatever their streams.
 */
#include <errno.h>
#include <stdlib.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/queue.h"

#define KNOWN_FLAGS                                                                                \
	((uint64_t)CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH |                               \
	 CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD | CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH |          \
	 CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY)

static CUresult exec_get(CUgraphExec handle, struct cu_exec **ret_exec)
{
	struct cu_exec *e = cu_handle_get(handle, CU_KIND_GRAPH_EXEC);

	if (!e)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_exec = e;
	return CUDA_SUCCESS;
}

/* Of children, too. */
static CUresult sort_all(struct cu_graph *g)
{
	CUresult r = graph_sort(g);

	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++)
		for (unsigned j = 0; r == CUDA_SUCCESS && graph_child(&g->node[i]->work, j); j++)
			r = sort_all(graph_child(&g->node[i]->work, j));
	return r;
}

static CUresult instantiate(CUgraph handle, uint64_t flags, struct cu_exec **ret_exec)
{
	struct cu_graph *g;
	struct cu_exec *e;
	CUresult r;

	if (flags & ~KNOWN_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	/* Kernels here cannot launch graphs. */
	if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH)
		return CUDA_ERROR_NOT_SUPPORTED;
	r = graph_get(handle, &g);
	if (r != CUDA_SUCCESS)
		return r;
	if (g->capturing)
		return CUDA_ERROR_INVALID_VALUE;
	e = cu_handle_create(CU_KIND_GRAPH_EXEC, sizeof(*e));
	if (!e)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = graph_clone(g, &e->graph);
	if (r == CUDA_SUCCESS)
		r = sort_all(e->graph);
	if (r == CUDA_SUCCESS)
		r = graph_program_check(e->graph);
	if (r == CUDA_SUCCESS)
		r = graph_mem_claim(e->graph);
	if (r != CUDA_SUCCESS) {
		graph_destroy(e->graph);
		cu_handle_destroy(e);
		return r;
	}
	pthread_mutex_init(&e->lock, NULL);
	e->source_id = g->id;
	e->flags = flags;
	*ret_exec = e;
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphInstantiateWithFlags(CUgraphExec *phGraphExec, CUgraph hGraph,
					  unsigned long long flags)
{
	struct cu_exec *e;
	CUresult r;

	if (!phGraphExec || (flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD))
		return CUDA_ERROR_INVALID_VALUE;
	r = instantiate(hGraph, flags, &e);
	if (r == CUDA_SUCCESS)
		*phGraphExec = (CUgraphExec)e;
	return r;
}

CUresult impl_cuGraphInstantiate_v2(CUgraphExec *phGraphExec, CUgraph hGraph,
				    CUgraphNode *phErrorNode, char *logBuffer, size_t bufferSize)
{
	if (phErrorNode)
		*phErrorNode = NULL;
	if (logBuffer && bufferSize)
		*logBuffer = 0;
	return impl_cuGraphInstantiateWithFlags(phGraphExec, hGraph, 0);
}

CUresult impl_cuGraphInstantiate(CUgraphExec *phGraphExec, CUgraph hGraph, CUgraphNode *phErrorNode,
				 char *logBuffer, size_t bufferSize)
{
	return impl_cuGraphInstantiate_v2(phGraphExec, hGraph, phErrorNode, logBuffer, bufferSize);
}

CUresult impl_cuGraphInstantiateWithParams(CUgraphExec *phGraphExec, CUgraph hGraph,
					   CUDA_GRAPH_INSTANTIATE_PARAMS *instantiateParams)
{
	struct cu_stream *s;
	struct cu_exec *e;
	CUresult r = CUDA_SUCCESS;

	if (!phGraphExec || !instantiateParams)
		return CUDA_ERROR_INVALID_VALUE;
	instantiateParams->hErrNode_out = NULL;
	instantiateParams->result_out = CUDA_GRAPH_INSTANTIATE_ERROR;
	if (instantiateParams->flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD)
		r = cu_stream_get(instantiateParams->hUploadStream, &s);
	if (r == CUDA_SUCCESS)
		r = instantiate(hGraph, instantiateParams->flags, &e);
	if (r == CUDA_ERROR_INVALID_VALUE)
		instantiateParams->result_out = CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE;
	if (r != CUDA_SUCCESS)
		return r;
	if (instantiateParams->flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD)
		r = impl_cuGraphUpload((CUgraphExec)e, instantiateParams->hUploadStream);
	if (r != CUDA_SUCCESS) {
		impl_cuGraphExecDestroy((CUgraphExec)e);
		return r;
	}
	instantiateParams->result_out = CUDA_GRAPH_INSTANTIATE_SUCCESS;
	*phGraphExec = (CUgraphExec)e;
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphExecDestroy(CUgraphExec hGraphExec)
{
	struct cu_exec *e;
	CUresult r = exec_get(hGraphExec, &e);

	if (r != CUDA_SUCCESS)
		return r;
	/* What was launched is in the stream already and needs nothing of this. */
	graph_program_drop(e);
	graph_mem_disclaim(e->graph);
	graph_destroy(e->graph);
	queue_put(e->last);
	pthread_mutex_destroy(&e->lock);
	cu_handle_destroy(e);
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphExecGetFlags(CUgraphExec hGraphExec, cuuint64_t *flags)
{
	struct cu_exec *e;
	CUresult r;

	if (!flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = exec_get(hGraphExec, &e);
	if (r == CUDA_SUCCESS)
		*flags = e->flags;
	return r;
}

/* ---- launch --------------------------------------------------------------------------------- */

CUresult graph_run(struct cu_graph *g, struct cu_stream *s)
{
	CUresult r = CUDA_SUCCESS;

	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++)
		if (!g->order[i]->disabled)
			r = graph_work_run(&g->order[i]->work, s);
	return r;
}

/* Is there anything but one row of nodes? */
static bool has_branches(const struct cu_graph *g)
{
	size_t first = 0;

	for (size_t i = 0; i < g->count; i++) {
		const struct graph_node *n = g->node[i];

		first += !n->in.count;
		if (first > 1 || n->out.count > 1 ||
		    (n->work.type == CU_GRAPH_NODE_TYPE_GRAPH && has_branches(n->work.child)))
			return true;
	}
	return false;
}

/*
 * What is launched a second time as it is will be launched often: then the worker keeps its commands; also
 * where they can run side by side. A graph that changes before each launch is submitted node by node.
 */
static CUresult run(struct cu_exec *e, struct cu_stream *s)
{
	CUresult r = CUDA_SUCCESS;

	if (e->part && (e->ctx != s->ctx || e->ctx_id != s->ctx->id))
		graph_program_drop(e);
	if (!e->part && (e->launched || graph_program_needed(e->graph) ||
			 (!e->changed && has_branches(e->graph))))
		r = graph_program_make(e, s);
	if (r != CUDA_SUCCESS)
		return r;
	r = e->part ? graph_program_run(e, s) : graph_run(e->graph, s);
	e->launched = r == CUDA_SUCCESS;
	return r;
}

static CUresult launch(struct cu_exec *e, struct cu_stream *s)
{
	struct queue *q = queue_of(s);
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&e->lock);
	if (e->last && e->last != q)
		r = cu_from_errno(queue_follow(q, e->last, e->last_seq));
	if (r == CUDA_SUCCESS)
		r = graph_mem_launch(e->graph,
				     e->flags & CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH);
	if (r == CUDA_SUCCESS)
		r = run(e, s);
	if (e->last != q) {
		queue_get(q);
		queue_put(e->last);
		e->last = q;
	}
	e->last_seq = link_submitted(q->link);
	pthread_mutex_unlock(&e->lock);
	return r;
}

CUresult impl_cuGraphLaunch(CUgraphExec hGraph, CUstream hStream)
{
	struct graph_work w = { .type = CU_GRAPH_NODE_TYPE_GRAPH };
	struct cu_stream *s;
	struct cu_exec *e;
	bool capturing;
	CUresult r;

	r = exec_get(hGraph, &e);
	if (r == CUDA_SUCCESS)
		r = cu_stream_get(hStream, &s);
	if (r == CUDA_SUCCESS)
		r = capture_check(s, &capturing);
	if (r != CUDA_SUCCESS)
		return r;
	if (!capturing)
		return launch(e, s);
	if (graph_mem_used(e->graph))
		return CUDA_ERROR_NOT_SUPPORTED;
	r = graph_clone(e->graph, &w.child);
	return r == CUDA_SUCCESS ? capture_add(s, &w) : r;
}

CUresult impl_cuGraphUpload(CUgraphExec hGraphExec, CUstream hStream)
{
	struct cu_stream *s;
	struct cu_exec *e;
	CUresult r;

	r = exec_get(hGraphExec, &e);
	if (r == CUDA_SUCCESS)
		r = cu_stream_get(hStream, &s);
	if (r == CUDA_SUCCESS)
		r = capture_refuse(s);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&e->lock);
	if (e->part && (e->ctx != s->ctx || e->ctx_id != s->ctx->id))
		graph_program_drop(e);
	if (!e->part)
		r = graph_program_make(e, s);
	pthread_mutex_unlock(&e->lock);
	return r;
}

/* ---- twins ---------------------------------------------------------------------------------- */

/* The copy in @e of a graph of the program: the one instantiated, or a child in it. */
static struct cu_graph *twin_graph(const struct cu_exec *e, const struct cu_graph *g)
{
	struct graph_node *n;
	struct cu_graph *outer;

	if (g->id == e->source_id)
		return e->graph;
	if (!g->owner)
		return NULL;
	outer = twin_graph(e, g->owner->graph);
	n = outer ? graph_find(outer, g->owner->serial) : NULL;
	for (unsigned i = 0; n && graph_child(&g->owner->work, i); i++)
		if (graph_child(&g->owner->work, i) == g)
			return graph_child(&n->work, i);
	return NULL;
}

static CUresult twin(CUgraphExec handle, CUgraphNode node, struct cu_exec **ret_exec,
		     struct graph_node **ret_node)
{
	struct graph_node *n;
	struct cu_graph *g;
	CUresult r;

	r = exec_get(handle, ret_exec);
	if (r == CUDA_SUCCESS)
		r = graph_node_get(node, &n);
	if (r != CUDA_SUCCESS)
		return r;
	g = twin_graph(*ret_exec, n->graph);
	*ret_node = g ? graph_find(g, n->serial) : NULL;
	return *ret_node ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* May a node that is instantiated do @b instead of @a? */
static CUgraphExecUpdateResult compare_work(const struct graph_work *a, const struct graph_work *b)
{
	if (a->type != b->type)
		return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
	switch (a->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		if (a->kernel->ctx != b->kernel->ctx)
			return CU_GRAPH_EXEC_UPDATE_ERROR_UNSUPPORTED_FUNCTION_CHANGE;
		break;
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		if (a->copy.p.srcMemoryType != b->copy.p.srcMemoryType ||
		    a->copy.p.dstMemoryType != b->copy.p.dstMemoryType)
			return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
		break;
	case CU_GRAPH_NODE_TYPE_MEMSET:
		if ((a->fill.p.height > 1) != (b->fill.p.height > 1))
			return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
		break;
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		if (a->batch.count != b->batch.count)
			return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
		break;
	case CU_GRAPH_NODE_TYPE_CONDITIONAL:
		if (a->cond.type != b->cond.type || a->cond.size != b->cond.size ||
		    a->cond.handle != b->cond.handle)
			return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
		break;
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
		if (a->mem != b->mem)
			return CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED;
		break;
	default:
		break;
	}
	return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

/* Nodes are paired by their place in the order of creation. */
static size_t place_of(const struct graph_node *n)
{
	const struct cu_graph *g = n->graph;
	size_t i = 0;

	while (g->node[i] != n)
		i++;
	return i;
}

static bool same_deps(const struct graph_node *a, const struct graph_node *b)
{
	if (a->in.count != b->in.count)
		return false;
	for (size_t i = 0; i < a->in.count; i++)
		if (place_of(a->in.edge[i].node) != place_of(b->in.edge[i].node))
			return false;
	return true;
}

static CUgraphExecUpdateResult compare(const struct cu_graph *a, const struct cu_graph *b,
				       CUgraphExecUpdateResultInfo *info)
{
	CUgraphExecUpdateResult r = CU_GRAPH_EXEC_UPDATE_SUCCESS;

	if (a->count != b->count)
		return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
	for (size_t i = 0; i < a->count && r == CU_GRAPH_EXEC_UPDATE_SUCCESS; i++) {
		if (!same_deps(a->node[i], b->node[i]))
			r = CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
		else
			r = compare_work(&a->node[i]->work, &b->node[i]->work);
		if (r != CU_GRAPH_EXEC_UPDATE_SUCCESS)
			info->errorNode = (CUgraphNode)b->node[i];
		for (unsigned j = 0;
		     r == CU_GRAPH_EXEC_UPDATE_SUCCESS && graph_child(&a->node[i]->work, j); j++)
			r = compare(graph_child(&a->node[i]->work, j),
				    graph_child(&b->node[i]->work, j), info);
	}
	return r;
}

/* Each node of @g does from here on what its pair in @from does. */
static CUresult take_over(struct cu_graph *g, const struct cu_graph *from)
{
	struct graph_work w;
	CUresult r = CUDA_SUCCESS;

	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++) {
		for (unsigned j = 0; r == CUDA_SUCCESS && graph_child(&g->node[i]->work, j); j++)
			r = take_over(graph_child(&g->node[i]->work, j),
				      graph_child(&from->node[i]->work, j));
		if (graph_child(&g->node[i]->work, 0))
			continue;
		r = graph_work_copy(&from->node[i]->work, &w);
		if (r == CUDA_SUCCESS) {
			graph_work_fini(&g->node[i]->work);
			g->node[i]->work = w;
		}
	}
	return r;
}

CUresult impl_cuGraphExecUpdate_v2(CUgraphExec hGraphExec, CUgraph hGraph,
				   CUgraphExecUpdateResultInfo *resultInfo)
{
	CUgraphExecUpdateResultInfo info = { .result = CU_GRAPH_EXEC_UPDATE_ERROR };
	struct cu_exec *e;
	struct cu_graph *g;
	CUresult r;

	if (!resultInfo)
		return CUDA_ERROR_INVALID_VALUE;
	r = exec_get(hGraphExec, &e);
	if (r == CUDA_SUCCESS)
		r = graph_get(hGraph, &g);
	if (r == CUDA_SUCCESS) {
		info.result = compare(e->graph, g, &info);
		if (info.result != CU_GRAPH_EXEC_UPDATE_SUCCESS) {
			r = CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
		} else {
			pthread_mutex_lock(&e->lock);
			graph_program_drop(e);
			e->changed = true;
			r = take_over(e->graph, g);
			pthread_mutex_unlock(&e->lock);
		}
	}
	*resultInfo = info;
	return r;
}

CUresult impl_cuGraphExecUpdate(CUgraphExec hGraphExec, CUgraph hGraph, CUgraphNode *hErrorNode_out,
				CUgraphExecUpdateResult *updateResult_out)
{
	CUgraphExecUpdateResultInfo info = { .result = CU_GRAPH_EXEC_UPDATE_ERROR };
	CUresult r;

	if (!hErrorNode_out || !updateResult_out)
		return CUDA_ERROR_INVALID_VALUE;
	r = impl_cuGraphExecUpdate_v2(hGraphExec, hGraph, &info);
	*hErrorNode_out = info.errorNode;
	*updateResult_out = info.result;
	return r;
}

/* ---- parameters of single nodes ------------------------------------------------------------- */

/* @made: whether @work was; @work is consumed. */
static CUresult exec_set(CUgraphExec handle, CUgraphNode node, CUresult made,
			 struct graph_work *work)
{
	struct graph_node *n;
	struct cu_exec *e;
	CUresult r;

	if (made != CUDA_SUCCESS)
		return made;
	r = twin(handle, node, &e, &n);
	if (r == CUDA_SUCCESS && compare_work(&n->work, work) != CU_GRAPH_EXEC_UPDATE_SUCCESS)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && work->type == CU_GRAPH_NODE_TYPE_GRAPH) {
		CUgraphExecUpdateResultInfo info;

		if (compare(n->work.child, work->child, &info) != CU_GRAPH_EXEC_UPDATE_SUCCESS)
			r = CUDA_ERROR_INVALID_VALUE;
		else
			r = sort_all(work->child);
	}
	if (r != CUDA_SUCCESS) {
		graph_work_fini(work);
		return r;
	}
	pthread_mutex_lock(&e->lock);
	graph_program_drop(e);
	e->changed = true;
	r = graph_work_replace(n, work);
	pthread_mutex_unlock(&e->lock);
	return r;
}

CUresult impl_cuGraphExecKernelNodeSetParams_v2(CUgraphExec hGraphExec, CUgraphNode hNode,
						const CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
	struct graph_work w;

	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	return exec_set(hGraphExec, hNode, graph_work_kernel(nodeParams, &w), &w);
}

CUresult impl_cuGraphExecKernelNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
					     const CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
	CUDA_KERNEL_NODE_PARAMS p = { 0 };

	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	__builtin_memcpy(&p, nodeParams, sizeof(*nodeParams));
	return impl_cuGraphExecKernelNodeSetParams_v2(hGraphExec, hNode, &p);
}

CUresult impl_cuGraphExecMemcpyNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
					     const CUDA_MEMCPY3D *copyParams, CUcontext ctx)
{
	struct graph_work w;

	return exec_set(hGraphExec, hNode, graph_work_memcpy(copyParams, ctx, &w), &w);
}

CUresult impl_cuGraphExecMemsetNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
					     const CUDA_MEMSET_NODE_PARAMS *memsetParams,
					     CUcontext ctx)
{
	struct graph_work w;

	return exec_set(hGraphExec, hNode, graph_work_memset(memsetParams, ctx, &w), &w);
}

CUresult impl_cuGraphExecHostNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
					   const CUDA_HOST_NODE_PARAMS *nodeParams)
{
	struct graph_work w;

	return exec_set(hGraphExec, hNode, graph_work_host(nodeParams, &w), &w);
}

CUresult impl_cuGraphExecChildGraphNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
						 CUgraph childGraph)
{
	struct graph_work w;

	return exec_set(hGraphExec, hNode, graph_work_child(childGraph, &w), &w);
}

CUresult impl_cuGraphExecEventRecordNodeSetEvent(CUgraphExec hGraphExec, CUgraphNode hNode,
						 CUevent event)
{
	struct graph_work w;

	return exec_set(hGraphExec, hNode,
			graph_work_event(CU_GRAPH_NODE_TYPE_EVENT_RECORD, event, &w), &w);
}

CUresult impl_cuGraphExecEventWaitNodeSetEvent(CUgraphExec hGraphExec, CUgraphNode hNode,
					       CUevent event)
{
	struct graph_work w;

	return exec_set(hGraphExec, hNode,
			graph_work_event(CU_GRAPH_NODE_TYPE_WAIT_EVENT, event, &w), &w);
}

CUresult impl_cuGraphExecBatchMemOpNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
						 const CUDA_BATCH_MEM_OP_NODE_PARAMS *nodeParams)
{
	struct graph_work w;

	return exec_set(hGraphExec, hNode, graph_work_batch(nodeParams, &w), &w);
}

CUresult impl_cuGraphExecNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
				       CUgraphNodeParams *nodeParams)
{
	struct graph_work w;

	return exec_set(hGraphExec, hNode, graph_work_any(NULL, nodeParams, &w), &w);
}

/* Only kernels, copies and fills can be switched off. */
static bool can_disable(const struct graph_node *n)
{
	return n->work.type == CU_GRAPH_NODE_TYPE_KERNEL ||
	       n->work.type == CU_GRAPH_NODE_TYPE_MEMCPY ||
	       n->work.type == CU_GRAPH_NODE_TYPE_MEMSET;
}

CUresult impl_cuGraphNodeSetEnabled(CUgraphExec hGraphExec, CUgraphNode hNode,
				    unsigned int isEnabled)
{
	struct graph_node *n;
	struct cu_exec *e;
	CUresult r = twin(hGraphExec, hNode, &e, &n);

	if (r != CUDA_SUCCESS)
		return r;
	if (!can_disable(n))
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&e->lock);
	if (n->disabled == (isEnabled != 0)) {
		graph_program_drop(e);
		e->changed = true;
	}
	n->disabled = !isEnabled;
	pthread_mutex_unlock(&e->lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphNodeGetEnabled(CUgraphExec hGraphExec, CUgraphNode hNode,
				    unsigned int *isEnabled)
{
	struct graph_node *n;
	struct cu_exec *e;
	CUresult r;

	if (!isEnabled)
		return CUDA_ERROR_INVALID_VALUE;
	r = twin(hGraphExec, hNode, &e, &n);
	if (r != CUDA_SUCCESS)
		return r;
	if (!can_disable(n))
		return CUDA_ERROR_INVALID_VALUE;
	*isEnabled = !n->disabled;
	return CUDA_SUCCESS;
}

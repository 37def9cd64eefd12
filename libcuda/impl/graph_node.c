/* SPDX-License-Identifier: MIT */
/*
 * graph_node.c - entry points that add nodes, and read and set what they do.
 */
#include <stdlib.h>
#include <string.h>

#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"

/* ---- adding --------------------------------------------------------------------------------- */

/* The arguments that all of them share. */
struct where {
	CUgraphNode *out;
	CUgraph graph;
	const CUgraphNode *deps;
	const CUgraphEdgeData *data;
	size_t count;
};

/* @made: whether @work was; @work is consumed. */
static CUresult add(const struct where *at, CUresult made, struct graph_work *work)
{
	struct graph_node *n;
	struct cu_graph *g;
	CUresult r;

	if (made != CUDA_SUCCESS)
		return made;
	r = at->out ? graph_get(at->graph, &g) : CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS) {
		graph_work_fini(work);
		return r;
	}
	r = graph_add(g, (struct graph_node *const *)at->deps, at->data, at->count, work, &n);
	if (r == CUDA_SUCCESS)
		*at->out = (CUgraphNode)n;
	return r;
}

#define WHERE(...) (&(struct where){ phGraphNode, hGraph, dependencies, __VA_ARGS__ })

CUresult impl_cuGraphAddKernelNode_v2(CUgraphNode *phGraphNode, CUgraph hGraph,
				      const CUgraphNode *dependencies, size_t numDependencies,
				      const CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
	struct graph_work w;

	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	return add(WHERE(NULL, numDependencies), graph_work_kernel(nodeParams, &w), &w);
}

CUresult impl_cuGraphAddKernelNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				   const CUgraphNode *dependencies, size_t numDependencies,
				   const CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
	CUDA_KERNEL_NODE_PARAMS p = { 0 };

	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(&p, nodeParams, sizeof(*nodeParams));
	return impl_cuGraphAddKernelNode_v2(phGraphNode, hGraph, dependencies, numDependencies, &p);
}

CUresult impl_cuGraphAddMemcpyNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				   const CUgraphNode *dependencies, size_t numDependencies,
				   const CUDA_MEMCPY3D *copyParams, CUcontext ctx)
{
	struct graph_work w;

	return add(WHERE(NULL, numDependencies), graph_work_memcpy(copyParams, ctx, &w), &w);
}

CUresult impl_cuGraphAddMemsetNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				   const CUgraphNode *dependencies, size_t numDependencies,
				   const CUDA_MEMSET_NODE_PARAMS *memsetParams, CUcontext ctx)
{
	struct graph_work w;

	return add(WHERE(NULL, numDependencies), graph_work_memset(memsetParams, ctx, &w), &w);
}

CUresult impl_cuGraphAddHostNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				 const CUgraphNode *dependencies, size_t numDependencies,
				 const CUDA_HOST_NODE_PARAMS *nodeParams)
{
	struct graph_work w;

	return add(WHERE(NULL, numDependencies), graph_work_host(nodeParams, &w), &w);
}

CUresult impl_cuGraphAddChildGraphNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				       const CUgraphNode *dependencies, size_t numDependencies,
				       CUgraph childGraph)
{
	struct graph_work w;

	return add(WHERE(NULL, numDependencies), graph_work_child(childGraph, &w), &w);
}

CUresult impl_cuGraphAddEmptyNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				  const CUgraphNode *dependencies, size_t numDependencies)
{
	struct graph_work w = { .type = CU_GRAPH_NODE_TYPE_EMPTY };

	return add(WHERE(NULL, numDependencies), CUDA_SUCCESS, &w);
}

CUresult impl_cuGraphAddEventRecordNode(CUgraphNode *phGraphNode, CUgraph hGraph,
					const CUgraphNode *dependencies, size_t numDependencies,
					CUevent event)
{
	struct graph_work w;

	return add(WHERE(NULL, numDependencies),
		   graph_work_event(CU_GRAPH_NODE_TYPE_EVENT_RECORD, event, &w), &w);
}

CUresult impl_cuGraphAddEventWaitNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				      const CUgraphNode *dependencies, size_t numDependencies,
				      CUevent event)
{
	struct graph_work w;

	return add(WHERE(NULL, numDependencies),
		   graph_work_event(CU_GRAPH_NODE_TYPE_WAIT_EVENT, event, &w), &w);
}

CUresult impl_cuGraphAddBatchMemOpNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				       const CUgraphNode *dependencies, size_t numDependencies,
				       const CUDA_BATCH_MEM_OP_NODE_PARAMS *nodeParams)
{
	struct graph_work w;

	return add(WHERE(NULL, numDependencies), graph_work_batch(nodeParams, &w), &w);
}

CUresult impl_cuGraphAddMemAllocNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				     const CUgraphNode *dependencies, size_t numDependencies,
				     CUDA_MEM_ALLOC_NODE_PARAMS *nodeParams)
{
	struct graph_work w;
	CUresult r;

	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	r = add(WHERE(NULL, numDependencies), graph_work_alloc(nodeParams, &w), &w);
	if (r == CUDA_SUCCESS)
		nodeParams->dptr = graph_mem_va(w.mem);
	return r;
}

CUresult impl_cuGraphAddMemFreeNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				    const CUgraphNode *dependencies, size_t numDependencies,
				    CUdeviceptr dptr)
{
	struct graph_work w;

	return add(WHERE(NULL, numDependencies), graph_work_free(dptr, &w), &w);
}

CUresult impl_cuGraphAddNode_v2(CUgraphNode *phGraphNode, CUgraph hGraph,
				const CUgraphNode *dependencies,
				const CUgraphEdgeData *dependencyData, size_t numDependencies,
				CUgraphNodeParams *nodeParams)
{
	struct cu_graph *g;
	struct graph_work w;
	CUresult r;

	r = graph_get(hGraph, &g);
	if (r != CUDA_SUCCESS)
		return r;
	r = add(WHERE(dependencyData, numDependencies), graph_work_any(g, nodeParams, &w), &w);
	/* The program learns the graphs that the node owns. */
	if (r == CUDA_SUCCESS && w.type == CU_GRAPH_NODE_TYPE_GRAPH)
		nodeParams->graph.graph = (CUgraph)w.child;
	else if (r == CUDA_SUCCESS && w.type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
		nodeParams->conditional.phGraph_out = (CUgraph *)w.cond.body;
	else if (r == CUDA_SUCCESS && w.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
		nodeParams->alloc.dptr = graph_mem_va(w.mem);
	return r;
}

CUresult impl_cuGraphAddNode(CUgraphNode *phGraphNode, CUgraph hGraph,
			     const CUgraphNode *dependencies, size_t numDependencies,
			     CUgraphNodeParams *nodeParams)
{
	return impl_cuGraphAddNode_v2(phGraphNode, hGraph, dependencies, NULL, numDependencies,
				      nodeParams);
}

/* ---- reading -------------------------------------------------------------------------------- */

static CUresult of_type(CUgraphNode handle, CUgraphNodeType type, const void *out,
			struct graph_work **ret_work)
{
	struct graph_node *n;
	CUresult r;

	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_node_get(handle, &n);
	if (r == CUDA_SUCCESS && n->work.type != type)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*ret_work = &n->work;
	return r;
}

CUresult impl_cuGraphKernelNodeGetParams_v2(CUgraphNode hNode, CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
	const struct graph_kernel *k;
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_KERNEL, nodeParams, &w);

	if (r != CUDA_SUCCESS)
		return r;
	k = w->kernel;
	*nodeParams = (CUDA_KERNEL_NODE_PARAMS){
		.func = k->func,
		.gridDimX = k->launch.grid[0],
		.gridDimY = k->launch.grid[1],
		.gridDimZ = k->launch.grid[2],
		.blockDimX = k->launch.block[0],
		.blockDimY = k->launch.block[1],
		.blockDimZ = k->launch.block[2],
		.sharedMemBytes = k->launch.shared_bytes,
		.kernelParams = k->param_count ? k->params : NULL,
		.kern = k->kern,
		.ctx = k->ctx,
	};
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphKernelNodeGetParams(CUgraphNode hNode, CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
	CUDA_KERNEL_NODE_PARAMS p;
	CUresult r;

	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	r = impl_cuGraphKernelNodeGetParams_v2(hNode, &p);
	if (r != CUDA_SUCCESS)
		return r;
	memcpy(nodeParams, &p, sizeof(*nodeParams));
	if (!nodeParams->func) /* this form has no room for a kernel */
		nodeParams->func = (CUfunction)p.kern;
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphMemcpyNodeGetParams(CUgraphNode hNode, CUDA_MEMCPY3D *nodeParams)
{
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_MEMCPY, nodeParams, &w);

	if (r == CUDA_SUCCESS)
		*nodeParams = w->copy.p;
	return r;
}

CUresult impl_cuGraphMemsetNodeGetParams(CUgraphNode hNode, CUDA_MEMSET_NODE_PARAMS *nodeParams)
{
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_MEMSET, nodeParams, &w);

	if (r == CUDA_SUCCESS)
		*nodeParams = w->fill.p;
	return r;
}

CUresult impl_cuGraphHostNodeGetParams(CUgraphNode hNode, CUDA_HOST_NODE_PARAMS *nodeParams)
{
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_HOST, nodeParams, &w);

	if (r == CUDA_SUCCESS)
		*nodeParams = w->host;
	return r;
}

CUresult impl_cuGraphChildGraphNodeGetGraph(CUgraphNode hNode, CUgraph *phGraph)
{
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_GRAPH, phGraph, &w);

	if (r == CUDA_SUCCESS)
		*phGraph = (CUgraph)w->child;
	return r;
}

CUresult impl_cuGraphEventRecordNodeGetEvent(CUgraphNode hNode, CUevent *event_out)
{
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_EVENT_RECORD, event_out, &w);

	if (r == CUDA_SUCCESS)
		*event_out = w->event;
	return r;
}

CUresult impl_cuGraphEventWaitNodeGetEvent(CUgraphNode hNode, CUevent *event_out)
{
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_WAIT_EVENT, event_out, &w);

	if (r == CUDA_SUCCESS)
		*event_out = w->event;
	return r;
}

CUresult impl_cuGraphBatchMemOpNodeGetParams(CUgraphNode hNode,
					     CUDA_BATCH_MEM_OP_NODE_PARAMS *nodeParams_out)
{
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, nodeParams_out, &w);

	if (r == CUDA_SUCCESS)
		*nodeParams_out = (CUDA_BATCH_MEM_OP_NODE_PARAMS){ w->batch.ctx, w->batch.count,
								   w->batch.ops, w->batch.flags };
	return r;
}

CUresult impl_cuGraphMemAllocNodeGetParams(CUgraphNode hNode,
					   CUDA_MEM_ALLOC_NODE_PARAMS *params_out)
{
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_MEM_ALLOC, params_out, &w);

	if (r == CUDA_SUCCESS)
		graph_mem_params(w->mem, params_out);
	return r;
}

CUresult impl_cuGraphMemFreeNodeGetParams(CUgraphNode hNode, CUdeviceptr *dptr_out)
{
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_MEM_FREE, dptr_out, &w);

	if (r == CUDA_SUCCESS)
		*dptr_out = graph_mem_va(w->mem);
	return r;
}

/* ---- setting -------------------------------------------------------------------------------- */

static CUresult set(CUgraphNode handle, CUresult made, struct graph_work *work)
{
	struct graph_node *n;
	CUresult r;

	if (made != CUDA_SUCCESS)
		return made;
	r = graph_node_get(handle, &n);
	if (r != CUDA_SUCCESS) {
		graph_work_fini(work);
		return r;
	}
	return graph_work_replace(n, work);
}

CUresult impl_cuGraphKernelNodeSetParams_v2(CUgraphNode hNode,
					    const CUDA_KERNEL_NODE_PARAMS *nodeParams)
{
	struct graph_work w;

	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	return set(hNode, graph_work_kernel(nodeParams, &w), &w);
}

CUresult impl_cuGraphKernelNodeSetParams(CUgraphNode hNode,
					 const CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
{
	CUDA_KERNEL_NODE_PARAMS p = { 0 };

	if (!nodeParams)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(&p, nodeParams, sizeof(*nodeParams));
	return impl_cuGraphKernelNodeSetParams_v2(hNode, &p);
}

CUresult impl_cuGraphMemcpyNodeSetParams(CUgraphNode hNode, const CUDA_MEMCPY3D *nodeParams)
{
	struct graph_work w, *old;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_MEMCPY, nodeParams, &old);

	if (r != CUDA_SUCCESS)
		return r;
	return set(hNode, graph_work_memcpy(nodeParams, old->copy.ctx, &w), &w);
}

CUresult impl_cuGraphMemsetNodeSetParams(CUgraphNode hNode,
					 const CUDA_MEMSET_NODE_PARAMS *nodeParams)
{
	struct graph_work w, *old;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_MEMSET, nodeParams, &old);

	if (r != CUDA_SUCCESS)
		return r;
	return set(hNode, graph_work_memset(nodeParams, old->fill.ctx, &w), &w);
}

CUresult impl_cuGraphHostNodeSetParams(CUgraphNode hNode, const CUDA_HOST_NODE_PARAMS *nodeParams)
{
	struct graph_work w;

	return set(hNode, graph_work_host(nodeParams, &w), &w);
}

CUresult impl_cuGraphEventRecordNodeSetEvent(CUgraphNode hNode, CUevent event)
{
	struct graph_work w;

	return set(hNode, graph_work_event(CU_GRAPH_NODE_TYPE_EVENT_RECORD, event, &w), &w);
}

CUresult impl_cuGraphEventWaitNodeSetEvent(CUgraphNode hNode, CUevent event)
{
	struct graph_work w;

	return set(hNode, graph_work_event(CU_GRAPH_NODE_TYPE_WAIT_EVENT, event, &w), &w);
}

CUresult impl_cuGraphBatchMemOpNodeSetParams(CUgraphNode hNode,
					     const CUDA_BATCH_MEM_OP_NODE_PARAMS *nodeParams)
{
	struct graph_work w;

	return set(hNode, graph_work_batch(nodeParams, &w), &w);
}

CUresult impl_cuGraphNodeSetParams(CUgraphNode hNode, CUgraphNodeParams *nodeParams)
{
	struct graph_work w;

	return set(hNode, graph_work_any(NULL, nodeParams, &w), &w);
}

/* ---- attributes of kernel nodes ------------------------------------------------------------- */

/* Kernels are shared between copies of a graph: one that changes becomes its own. */
static CUresult own_kernel(struct graph_work *w)
{
	const struct graph_kernel *k = w->kernel;
	struct graph_work mine;
	struct cu_func *f;
	CUresult r;

	if (k->refs == 1)
		return CUDA_SUCCESS;
	f = cu_handle_get(k->run, CU_KIND_FUNC);
	if (!f)
		return CUDA_ERROR_INVALID_HANDLE;
	r = graph_work_launch(f, &k->launch, &mine);
	if (r != CUDA_SUCCESS)
		return r;
	mine.kernel->func = k->func;
	mine.kernel->kern = k->kern;
	mine.kernel->attr_count = k->attr_count;
	memcpy(mine.kernel->attr, k->attr, sizeof(k->attr));
	graph_work_fini(w);
	*w = mine;
	return CUDA_SUCCESS;
}

static CUlaunchAttribute *stored(struct graph_kernel *k, CUlaunchAttributeID id)
{
	for (unsigned i = 0; i < k->attr_count; i++)
		if (k->attr[i].id == id)
			return &k->attr[i];
	return NULL;
}

CUresult impl_cuGraphKernelNodeGetAttribute(CUgraphNode hNode, CUkernelNodeAttrID attr,
					    CUkernelNodeAttrValue *value_out)
{
	const CUlaunchAttribute *a;
	struct graph_kernel *k;
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_KERNEL, value_out, &w);

	if (r != CUDA_SUCCESS)
		return r;
	k = w->kernel;
	memset(value_out, 0, sizeof(*value_out));
	switch (attr) {
	case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
		value_out->cooperative = k->launch.cooperative;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
		value_out->clusterDim.x = k->launch.cluster[0];
		value_out->clusterDim.y = k->launch.cluster[1];
		value_out->clusterDim.z = k->launch.cluster[2];
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
	case CU_LAUNCH_ATTRIBUTE_PRIORITY:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
		a = stored(k, attr);
		if (a)
			*value_out = a->value;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult impl_cuGraphKernelNodeSetAttribute(CUgraphNode hNode, CUkernelNodeAttrID attr,
					    const CUkernelNodeAttrValue *value)
{
	CUlaunchAttribute given = { .id = attr }, *a;
	struct graph_kernel *k;
	struct graph_work *w;
	CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_KERNEL, value, &w);

	if (r == CUDA_SUCCESS)
		r = own_kernel(w);
	if (r != CUDA_SUCCESS)
		return r;
	given.value = *value;
	k = w->kernel;
	r = launch_attribute(&given, &k->launch);
	if (r != CUDA_SUCCESS)
		return r;
	k->launch.done_event = NULL;
	a = stored(k, attr);
	if (!a && k->attr_count < sizeof(k->attr) / sizeof(k->attr[0]))
		a = &k->attr[k->attr_count++];
	if (!a)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*a = given;
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphKernelNodeCopyAttributes(CUgraphNode dst, CUgraphNode src)
{
	struct graph_work *to, *from;
	CUresult r = of_type(dst, CU_GRAPH_NODE_TYPE_KERNEL, dst, &to);

	if (r == CUDA_SUCCESS)
		r = of_type(src, CU_GRAPH_NODE_TYPE_KERNEL, src, &from);
	if (r == CUDA_SUCCESS)
		r = own_kernel(to);
	if (r != CUDA_SUCCESS)
		return r;
	to->kernel->attr_count = from->kernel->attr_count;
	memcpy(to->kernel->attr, from->kernel->attr, sizeof(to->kernel->attr));
	to->kernel->launch.cooperative = from->kernel->launch.cooperative;
	memcpy(to->kernel->launch.cluster, from->kernel->launch.cluster,
	       sizeof(to->kernel->launch.cluster));
	return CUDA_SUCCESS;
}

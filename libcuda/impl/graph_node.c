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

/* What one kind of node is made from stands behind the arguments of all. */
#define ADD_FN(name, make, ...)                                                                    \
	CUresult impl_cuGraphAdd##name(CUgraphNode *phGraphNode, CUgraph hGraph,                   \
				       const CUgraphNode *dependencies, size_t numDependencies,    \
				       __VA_ARGS__)                                                \
	{                                                                                          \
		struct graph_work w;                                                               \
                                                                                                   \
		return add(WHERE(NULL, numDependencies), make, &w);                                \
	}

/* The old form of a kernel's parameters lacks the last members. */
static CUresult kernel_v1(const CUDA_KERNEL_NODE_PARAMS_v1 *v1, struct graph_work *ret_work)
{
	CUDA_KERNEL_NODE_PARAMS p = { 0 };

	if (!v1)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(&p, v1, sizeof(*v1));
	return graph_work_kernel(&p, ret_work);
}

static CUresult kernel_v2(const CUDA_KERNEL_NODE_PARAMS *p, struct graph_work *ret_work)
{
	return p ? graph_work_kernel(p, ret_work) : CUDA_ERROR_INVALID_VALUE;
}

ADD_FN(KernelNode, kernel_v1(nodeParams, &w), const CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
ADD_FN(KernelNode_v2, kernel_v2(nodeParams, &w), const CUDA_KERNEL_NODE_PARAMS *nodeParams)
ADD_FN(MemcpyNode, graph_work_memcpy(copyParams, ctx, &w), const CUDA_MEMCPY3D *copyParams,
       CUcontext ctx)
ADD_FN(MemsetNode, graph_work_memset(memsetParams, ctx, &w),
       const CUDA_MEMSET_NODE_PARAMS *memsetParams, CUcontext ctx)
ADD_FN(HostNode, graph_work_host(nodeParams, &w), const CUDA_HOST_NODE_PARAMS *nodeParams)
ADD_FN(ChildGraphNode, graph_work_child(childGraph, &w), CUgraph childGraph)
ADD_FN(EventRecordNode, graph_work_event(CU_GRAPH_NODE_TYPE_EVENT_RECORD, event, &w), CUevent event)
ADD_FN(EventWaitNode, graph_work_event(CU_GRAPH_NODE_TYPE_WAIT_EVENT, event, &w), CUevent event)
ADD_FN(BatchMemOpNode, graph_work_batch(nodeParams, &w),
       const CUDA_BATCH_MEM_OP_NODE_PARAMS *nodeParams)
ADD_FN(MemFreeNode, graph_work_free(dptr, &w), CUdeviceptr dptr)

CUresult impl_cuGraphAddEmptyNode(CUgraphNode *phGraphNode, CUgraph hGraph,
				  const CUgraphNode *dependencies, size_t numDependencies)
{
	struct graph_work w = { .type = CU_GRAPH_NODE_TYPE_EMPTY };

	return add(WHERE(NULL, numDependencies), CUDA_SUCCESS, &w);
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

#define GET_FN(name, TYPE, type, value)                                                            \
	CUresult impl_cuGraph##name(CUgraphNode hNode, type *ret)                                  \
	{                                                                                          \
		struct graph_work *w;                                                              \
		CUresult r = of_type(hNode, CU_GRAPH_NODE_TYPE_##TYPE, ret, &w);                   \
                                                                                                   \
		if (r == CUDA_SUCCESS)                                                             \
			*ret = (value);                                                            \
		return r;                                                                          \
	}

static CUDA_BATCH_MEM_OP_NODE_PARAMS batch_params(const struct graph_work *w)
{
	return (CUDA_BATCH_MEM_OP_NODE_PARAMS){ w->batch.ctx, w->batch.count, w->batch.ops,
						w->batch.flags };
}

static CUDA_MEM_ALLOC_NODE_PARAMS alloc_params(const struct graph_work *w)
{
	CUDA_MEM_ALLOC_NODE_PARAMS p;

	graph_mem_params(w->mem, &p);
	return p;
}

GET_FN(MemcpyNodeGetParams, MEMCPY, CUDA_MEMCPY3D, w->copy.p)
GET_FN(MemsetNodeGetParams, MEMSET, CUDA_MEMSET_NODE_PARAMS, w->fill.p)
GET_FN(HostNodeGetParams, HOST, CUDA_HOST_NODE_PARAMS, w->host)
GET_FN(ChildGraphNodeGetGraph, GRAPH, CUgraph, (CUgraph)w->child)
GET_FN(EventRecordNodeGetEvent, EVENT_RECORD, CUevent, w->event)
GET_FN(EventWaitNodeGetEvent, WAIT_EVENT, CUevent, w->event)
GET_FN(BatchMemOpNodeGetParams, BATCH_MEM_OP, CUDA_BATCH_MEM_OP_NODE_PARAMS, batch_params(w))
GET_FN(MemAllocNodeGetParams, MEM_ALLOC, CUDA_MEM_ALLOC_NODE_PARAMS, alloc_params(w))
GET_FN(MemFreeNodeGetParams, MEM_FREE, CUdeviceptr, graph_mem_va(w->mem))

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

#define SET_FN(name, make, ...)                                                                    \
	CUresult impl_cuGraph##name(CUgraphNode hNode, __VA_ARGS__)                                \
	{                                                                                          \
		struct graph_work w;                                                               \
                                                                                                   \
		return set(hNode, make, &w);                                                       \
	}

/* Copies and fills keep their context. */
static CUresult other_copy(CUgraphNode node, const CUDA_MEMCPY3D *p, struct graph_work *ret_work)
{
	struct graph_work *old;
	CUresult r = of_type(node, CU_GRAPH_NODE_TYPE_MEMCPY, p, &old);

	return r == CUDA_SUCCESS ? graph_work_memcpy(p, old->copy.ctx, ret_work) : r;
}

static CUresult other_fill(CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *p,
			   struct graph_work *ret_work)
{
	struct graph_work *old;
	CUresult r = of_type(node, CU_GRAPH_NODE_TYPE_MEMSET, p, &old);

	return r == CUDA_SUCCESS ? graph_work_memset(p, old->fill.ctx, ret_work) : r;
}

SET_FN(KernelNodeSetParams, kernel_v1(nodeParams, &w), const CUDA_KERNEL_NODE_PARAMS_v1 *nodeParams)
SET_FN(KernelNodeSetParams_v2, kernel_v2(nodeParams, &w), const CUDA_KERNEL_NODE_PARAMS *nodeParams)
SET_FN(MemcpyNodeSetParams, other_copy(hNode, nodeParams, &w), const CUDA_MEMCPY3D *nodeParams)
SET_FN(MemsetNodeSetParams, other_fill(hNode, nodeParams, &w),
       const CUDA_MEMSET_NODE_PARAMS *nodeParams)
SET_FN(HostNodeSetParams, graph_work_host(nodeParams, &w), const CUDA_HOST_NODE_PARAMS *nodeParams)
SET_FN(EventRecordNodeSetEvent, graph_work_event(CU_GRAPH_NODE_TYPE_EVENT_RECORD, event, &w),
       CUevent event)
SET_FN(EventWaitNodeSetEvent, graph_work_event(CU_GRAPH_NODE_TYPE_WAIT_EVENT, event, &w),
       CUevent event)
SET_FN(BatchMemOpNodeSetParams, graph_work_batch(nodeParams, &w),
       const CUDA_BATCH_MEM_OP_NODE_PARAMS *nodeParams)
SET_FN(NodeSetParams, graph_work_any(NULL, nodeParams, &w), CUgraphNodeParams *nodeParams)

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

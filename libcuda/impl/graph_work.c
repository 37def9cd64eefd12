/* SPDX-License-Identifier: MIT */
/*
 * graph_work.c - what the nodes of graphs do: made from the program's parameters, copied, run.
 *
 * Running one is the same call that a program would make, into a stream. The only difference: a
 * copy that the daemon cannot do, from or to pageable memory, is done by a thread of ours when the
 * stream gets there, since a launch must not wait.
 *
 * Conditional nodes are in graph_cond.c, those that allocate in graph_mem.c. Not built: external semaphores.
 */
#include <stdlib.h>
#include <string.h>

#include "libcuda/impl/copy.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"

#define MAX_BATCH 256

/* ---- life ----------------------------------------------------------------------------------- */

static void kernel_put(struct graph_kernel *k)
{
	if (k && atomic_fetch_sub(&k->refs, 1) == 1) {
		free(k->params);
		free(k);
	}
}

void graph_work_fini(struct graph_work *w)
{
	switch (w->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		kernel_put(w->kernel);
		break;
	case CU_GRAPH_NODE_TYPE_GRAPH:
		graph_destroy(w->child);
		break;
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		free(w->batch.ops);
		break;
	case CU_GRAPH_NODE_TYPE_CONDITIONAL:
		graph_work_cond_fini(w);
		break;
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
		graph_mem_put(w->mem);
		break;
	default:
		break;
	}
	w->type = CU_GRAPH_NODE_TYPE_EMPTY;
}

CUresult graph_work_copy(const struct graph_work *w, struct graph_work *ret_work)
{
	struct graph_work copy = *w;
	CUresult r;

	switch (w->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		atomic_fetch_add(&copy.kernel->refs, 1);
		break;
	case CU_GRAPH_NODE_TYPE_GRAPH:
		r = graph_clone(w->child, &copy.child);
		if (r != CUDA_SUCCESS)
			return r;
		break;
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		copy.batch.ops = malloc(w->batch.count * sizeof(*copy.batch.ops));
		if (!copy.batch.ops)
			return CUDA_ERROR_OUT_OF_MEMORY;
		memcpy(copy.batch.ops, w->batch.ops, w->batch.count * sizeof(*copy.batch.ops));
		break;
	case CU_GRAPH_NODE_TYPE_CONDITIONAL:
		return graph_work_cond_copy(w, ret_work);
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
		graph_mem_get(w->mem);
		break;
	default:
		break;
	}
	*ret_work = copy;
	return CUDA_SUCCESS;
}

/* ---- from parameters ------------------------------------------------------------------------ */

CUresult graph_work_launch(struct cu_func *f, const struct launch *l, struct graph_work *ret_work)
{
	const struct func_layout *layout;
	struct graph_kernel *k;
	CUresult r;

	r = func_layout(f, &layout);
	if (r != CUDA_SUCCESS)
		return r;
	k = calloc(1, sizeof(*k) + layout->bytes);
	if (!k)
		return CUDA_ERROR_OUT_OF_MEMORY;
	k->refs = 1;
	k->params = calloc(layout->count + 1, sizeof(*k->params));
	r = k->params ? launch_collect(layout, l, k->block) : CUDA_ERROR_OUT_OF_MEMORY;
	if (r != CUDA_SUCCESS) {
		kernel_put(k);
		return r;
	}
	k->func = k->run = (CUfunction)f;
	k->ctx = (CUcontext)f->module->ctx;
	k->launch = *l;
	k->launch.stream = NULL;
	k->launch.done_event = NULL;
	k->launch.params = NULL;
	k->launch.block_of_params = k->block;
	k->launch.block_bytes = layout->bytes;
	k->param_count = layout->count;
	for (uint32_t i = 0; i < layout->count; i++)
		k->params[i] = k->block + layout->param[i].offset;
	*ret_work = (struct graph_work){ .type = CU_GRAPH_NODE_TYPE_KERNEL, .kernel = k };
	return CUDA_SUCCESS;
}

/* The function behind a kernel node's parameters. */
static CUresult find_func(const CUDA_KERNEL_NODE_PARAMS *p, struct cu_func **ret_func)
{
	struct cu_kernel *k;
	struct cu_ctx *ctx;
	CUresult r;

	if (p->func)
		return func_get(p->func, ret_func);
	k = cu_handle_get(p->kern, CU_KIND_KERNEL);
	if (!k)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_get(p->ctx, &ctx);
	return r == CUDA_SUCCESS ? kernel_func(k, ctx, ret_func) : r;
}

CUresult graph_work_kernel(const CUDA_KERNEL_NODE_PARAMS *p, struct graph_work *ret_work)
{
	struct launch l = { .params = p->kernelParams };
	struct cu_func *f;
	CUresult r;

	l.grid[0] = p->gridDimX;
	l.grid[1] = p->gridDimY;
	l.grid[2] = p->gridDimZ;
	l.block[0] = p->blockDimX;
	l.block[1] = p->blockDimY;
	l.block[2] = p->blockDimZ;
	l.shared_bytes = p->sharedMemBytes;
	r = find_func(p, &f);
	if (r == CUDA_SUCCESS)
		r = launch_extra(p->extra, &l);
	if (r == CUDA_SUCCESS)
		r = launch_check(f, &l, NULL);
	if (r == CUDA_SUCCESS)
		r = graph_work_launch(f, &l, ret_work);
	if (r != CUDA_SUCCESS)
		return r;
	ret_work->kernel->func = p->func;
	if (!p->func)
		ret_work->kernel->kern = p->kern;
	return CUDA_SUCCESS;
}

static CUresult check_ctx(CUcontext ctx)
{
	struct cu_ctx *found;

	return cu_ctx_get(ctx, &found);
}

CUresult graph_work_memcpy(const CUDA_MEMCPY3D *p, CUcontext ctx, struct graph_work *ret_work)
{
	CUresult r = check_ctx(ctx);

	if (r == CUDA_SUCCESS)
		r = cu_copy_3d_check(p);
	if (r != CUDA_SUCCESS)
		return r;
	*ret_work = (struct graph_work){ .type = CU_GRAPH_NODE_TYPE_MEMCPY,
					 .copy = { .p = *p, .ctx = ctx } };
	return CUDA_SUCCESS;
}

CUresult graph_work_memset(const CUDA_MEMSET_NODE_PARAMS *p, CUcontext ctx,
			   struct graph_work *ret_work)
{
	uint64_t row, bytes;
	struct place at;
	CUresult r;

	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_ctx(ctx);
	if (r != CUDA_SUCCESS)
		return r;
	if ((p->elementSize != 1 && p->elementSize != 2 && p->elementSize != 4) || !p->width ||
	    !p->height || p->dst % p->elementSize ||
	    __builtin_mul_overflow((uint64_t)p->width, p->elementSize, &row) ||
	    (p->height > 1 && (p->pitch < row || p->pitch % p->elementSize)) ||
	    __builtin_mul_overflow((uint64_t)p->height - 1, p->pitch, &bytes) ||
	    __builtin_add_overflow(bytes, row, &bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (!p->dst || place_find(p->dst, bytes, &at) < 0 || !at.known)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_work = (struct graph_work){ .type = CU_GRAPH_NODE_TYPE_MEMSET,
					 .fill = { .p = *p, .ctx = ctx } };
	return CUDA_SUCCESS;
}

CUresult graph_work_host(const CUDA_HOST_NODE_PARAMS *p, struct graph_work *ret_work)
{
	if (!p || !p->fn)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_work = (struct graph_work){ .type = CU_GRAPH_NODE_TYPE_HOST, .host = *p };
	return CUDA_SUCCESS;
}

CUresult graph_work_child(CUgraph child, struct graph_work *ret_work)
{
	struct cu_graph *g, *copy;
	CUresult r;

	r = graph_get(child, &g);
	if (r == CUDA_SUCCESS && graph_mem_used(g))
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r == CUDA_SUCCESS)
		r = graph_clone(g, &copy);
	if (r != CUDA_SUCCESS)
		return r;
	*ret_work = (struct graph_work){ .type = CU_GRAPH_NODE_TYPE_GRAPH, .child = copy };
	return CUDA_SUCCESS;
}

CUresult graph_work_event(CUgraphNodeType type, CUevent event, struct graph_work *ret_work)
{
	if (!cu_handle_get(event, CU_KIND_EVENT))
		return CUDA_ERROR_INVALID_HANDLE;
	*ret_work = (struct graph_work){ .type = type, .event = event };
	return CUDA_SUCCESS;
}

CUresult graph_work_batch(const CUDA_BATCH_MEM_OP_NODE_PARAMS *p, struct graph_work *ret_work)
{
	struct graph_work w = { .type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP };
	CUresult r;

	if (!p || !p->paramArray || !p->count || p->count > MAX_BATCH || p->flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_ctx(p->ctx);
	if (r != CUDA_SUCCESS)
		return r;
	w.batch.ctx = p->ctx;
	w.batch.count = p->count;
	w.batch.ops = malloc(p->count * sizeof(*w.batch.ops));
	if (!w.batch.ops)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memcpy(w.batch.ops, p->paramArray, p->count * sizeof(*w.batch.ops));
	*ret_work = w;
	return CUDA_SUCCESS;
}

/* The allocation of a node that exists cannot be changed: there is no @g then. */
static CUresult any_alloc(const struct cu_graph *g, const CUDA_MEM_ALLOC_NODE_PARAMS_v2 *p,
			  struct graph_work *ret_work)
{
	CUDA_MEM_ALLOC_NODE_PARAMS v1;

	_Static_assert(sizeof(v1) == sizeof(*p), "the same members");
	memcpy(&v1, p, sizeof(v1));
	return g ? graph_work_alloc(&v1, ret_work) : CUDA_ERROR_NOT_SUPPORTED;
}

static CUresult any_kernel(const CUDA_KERNEL_NODE_PARAMS_v3 *p, struct graph_work *ret_work)
{
	CUDA_KERNEL_NODE_PARAMS v2;

	_Static_assert(sizeof(v2) == sizeof(*p), "the same members");
	memcpy(&v2, p, sizeof(v2));
	return graph_work_kernel(&v2, ret_work);
}

CUresult graph_work_any(struct cu_graph *g, const CUgraphNodeParams *p, struct graph_work *ret_work)
{
	CUDA_BATCH_MEM_OP_NODE_PARAMS batch;
	CUDA_MEMSET_NODE_PARAMS fill;
	CUDA_HOST_NODE_PARAMS host;

	if (!p || p->reserved0[0] || p->reserved0[1] || p->reserved0[2] || p->reserved2)
		return CUDA_ERROR_INVALID_VALUE;
	switch (p->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return any_kernel(&p->kernel, ret_work);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		if (p->memcpy.flags || p->memcpy.reserved)
			return CUDA_ERROR_INVALID_VALUE;
		return graph_work_memcpy(&p->memcpy.copyParams, p->memcpy.copyCtx, ret_work);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		fill = (CUDA_MEMSET_NODE_PARAMS){ .dst = p->memset.dst,
						  .pitch = p->memset.pitch,
						  .value = p->memset.value,
						  .elementSize = p->memset.elementSize,
						  .width = p->memset.width,
						  .height = p->memset.height };
		return graph_work_memset(&fill, p->memset.ctx, ret_work);
	case CU_GRAPH_NODE_TYPE_HOST:
		host = (CUDA_HOST_NODE_PARAMS){ p->host.fn, p->host.userData };
		return graph_work_host(&host, ret_work);
	case CU_GRAPH_NODE_TYPE_GRAPH:
		if (p->graph.ownership != CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE)
			return CUDA_ERROR_NOT_SUPPORTED;
		return graph_work_child(p->graph.graph, ret_work);
	case CU_GRAPH_NODE_TYPE_EMPTY:
		*ret_work = (struct graph_work){ .type = CU_GRAPH_NODE_TYPE_EMPTY };
		return CUDA_SUCCESS;
	case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
		return graph_work_event(p->type, p->eventWait.event, ret_work);
	case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
		return graph_work_event(p->type, p->eventRecord.event, ret_work);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		batch = (CUDA_BATCH_MEM_OP_NODE_PARAMS){ p->memOp.ctx, p->memOp.count,
							 p->memOp.paramArray, p->memOp.flags };
		return graph_work_batch(&batch, ret_work);
	case CU_GRAPH_NODE_TYPE_CONDITIONAL:
		return graph_work_cond(g, &p->conditional, ret_work);
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
		return any_alloc(g, &p->alloc, ret_work);
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
		return g ? graph_work_free(p->free.dptr, ret_work) : CUDA_ERROR_NOT_SUPPORTED;
	case CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL:
	case CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT:
		return CUDA_ERROR_NOT_SUPPORTED;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult graph_work_replace(struct graph_node *n, struct graph_work *work)
{
	if (n->work.type != work->type) {
		graph_work_fini(work);
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (work->type == CU_GRAPH_NODE_TYPE_KERNEL && !work->kernel->attr_count) {
		/* Attributes are the node's, not the parameters'. */
		work->kernel->attr_count = n->work.kernel->attr_count;
		memcpy(work->kernel->attr, n->work.kernel->attr, sizeof(work->kernel->attr));
		work->kernel->launch.cooperative |= n->work.kernel->launch.cooperative;
		if (!work->kernel->launch.cluster[0])
			memcpy(work->kernel->launch.cluster, n->work.kernel->launch.cluster,
			       sizeof(work->kernel->launch.cluster));
	}
	graph_work_fini(&n->work);
	n->work = *work;
	graph_own(n);
	return CUDA_SUCCESS;
}

/* ---- running -------------------------------------------------------------------------------- */

static CUresult run_kernel(const struct graph_kernel *k, CUstream stream)
{
	struct cu_func *f = cu_handle_get(k->run, CU_KIND_FUNC);
	struct launch l = k->launch;

	if (!f) /* its module was unloaded */
		return CUDA_ERROR_INVALID_HANDLE;
	l.stream = stream;
	return launch_func(f, &l);
}

static CUresult run_fill(const CUDA_MEMSET_NODE_PARAMS *p, CUstream stream)
{
	switch (p->elementSize) {
	case 1:
		return impl_cuMemsetD2D8Async(p->dst, p->pitch, (unsigned char)p->value, p->width,
					      p->height, stream);
	case 2:
		return impl_cuMemsetD2D16Async(p->dst, p->height > 1 ? p->pitch : 0,
					       (unsigned short)p->value, p->width, p->height,
					       stream);
	default:
		return impl_cuMemsetD2D32Async(p->dst, p->height > 1 ? p->pitch : 0, p->value,
					       p->width, p->height, stream);
	}
}

CUresult graph_work_run(const struct graph_work *w, struct cu_stream *s)
{
	CUstream stream = (CUstream)s;

	switch (w->type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
		return run_kernel(w->kernel, stream);
	case CU_GRAPH_NODE_TYPE_MEMCPY:
		return cu_copy_3d_into(&w->copy.p, s);
	case CU_GRAPH_NODE_TYPE_MEMSET:
		return run_fill(&w->fill.p, stream);
	case CU_GRAPH_NODE_TYPE_HOST:
		return impl_cuLaunchHostFunc(stream, w->host.fn, w->host.userData);
	case CU_GRAPH_NODE_TYPE_GRAPH:
		return graph_run(w->child, s);
	case CU_GRAPH_NODE_TYPE_EMPTY:
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC: /* all of it is done before: graph_mem_launch() */
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
		return CUDA_SUCCESS;
	case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
		return impl_cuStreamWaitEvent(stream, w->event, 0);
	case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
		return impl_cuEventRecord(w->event, stream);
	case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
		return impl_cuStreamBatchMemOp_v2(stream, w->batch.count, w->batch.ops, 0);
	default:
		return CUDA_ERROR_NOT_SUPPORTED;
	}
}

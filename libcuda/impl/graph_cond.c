/* SPDX-License-Identifier: MIT */
/*
 * graph_cond.c - conditional nodes and the handles that decide what they do.
 *
 * A handle is the device address of 32 bits: cudaGraphSetConditional() in a kernel is a store there, and
 * the worker looks there when it comes to the node (graph_program.c makes the branches).
 */
#include <stdlib.h>

#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"

#define MOST_BODIES 65536u

/* ---- handles -------------------------------------------------------------------------------- */

static bool ctx_alive(const struct graph_cond *c)
{
	struct cu_ctx *ctx;

	return cu_ctx_get((CUcontext)c->ctx, &ctx) == CUDA_SUCCESS && ctx->id == c->ctx_id;
}

void graph_cond_put(struct graph_cond *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	/* What was launched may still look at it. */
	if (ctx_alive(c)) {
		cu_stream_sync_ctx(c->ctx);
		impl_cuMemFree_v2(c->va);
	}
	free(c);
}

static CUresult allocate(struct cu_ctx *ctx, CUdeviceptr *ret_va)
{
	CUcontext popped;
	CUresult r;

	r = impl_cuCtxPushCurrent_v2((CUcontext)ctx);
	if (r != CUDA_SUCCESS)
		return r;
	r = impl_cuMemAlloc_v2(ret_va, sizeof(uint32_t));
	if (r == CUDA_SUCCESS) {
		r = impl_cuMemsetD32_v2(*ret_va, 0, 1);
		if (r != CUDA_SUCCESS)
			impl_cuMemFree_v2(*ret_va);
	}
	impl_cuCtxPopCurrent_v2(&popped);
	return r;
}

CUresult impl_cuGraphConditionalHandleCreate(CUgraphConditionalHandle *pHandle_out, CUgraph hGraph,
					     CUcontext ctx, unsigned int defaultLaunchValue,
					     unsigned int flags)
{
	struct graph_cond *c;
	struct cu_ctx *owner;
	struct cu_graph *g;
	CUresult r;

	if (!pHandle_out || (flags & ~(unsigned)CU_GRAPH_COND_ASSIGN_DEFAULT))
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_get(hGraph, &g);
	if (r == CUDA_SUCCESS)
		r = ctx ? cu_ctx_get(ctx, &owner) : cu_ctx_usable(&owner);
	if (r != CUDA_SUCCESS)
		return r;
	c = calloc(1, sizeof(*c));
	if (!c)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = allocate(owner, &c->va);
	if (r != CUDA_SUCCESS) {
		free(c);
		return r;
	}
	c->refs = 1;
	c->ctx = owner;
	c->ctx_id = owner->id;
	c->value = defaultLaunchValue;
	c->assign = flags & CU_GRAPH_COND_ASSIGN_DEFAULT;
	c->next = g->conds;
	g->conds = c;
	*pHandle_out = c->va;
	return CUDA_SUCCESS;
}

/* Made for @g or a graph that it lies in. */
static struct graph_cond *find(const struct cu_graph *g, CUgraphConditionalHandle handle)
{
	for (; g; g = g->owner ? g->owner->graph : NULL)
		for (struct graph_cond *c = g->conds; c; c = c->next)
			if (c->va == handle)
				return c;
	return NULL;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static bool size_fits(CUgraphConditionalNodeType type, unsigned size)
{
	switch (type) {
	case CU_GRAPH_COND_TYPE_IF:
		return size == 1 || size == 2;
	case CU_GRAPH_COND_TYPE_WHILE:
		return size == 1;
	case CU_GRAPH_COND_TYPE_SWITCH:
		return size > 0 && size <= MOST_BODIES;
	default:
		return false;
	}
}

void graph_work_cond_fini(struct graph_work *w)
{
	for (unsigned i = 0; w->cond.body && i < w->cond.size; i++)
		graph_destroy(w->cond.body[i]);
	free(w->cond.body);
	graph_cond_put(w->cond.handle);
}

/* @w with bodies of its own: copies of @from's, or empty ones. */
static CUresult give_bodies(struct graph_work *w, struct cu_graph *const *from)
{
	CUresult r = CUDA_SUCCESS;

	w->cond.body = calloc(w->cond.size, sizeof(struct cu_graph *));
	if (!w->cond.body)
		r = CUDA_ERROR_OUT_OF_MEMORY;
	atomic_fetch_add(&w->cond.handle->refs, 1);
	for (unsigned i = 0; i < w->cond.size && r == CUDA_SUCCESS; i++)
		r = from ? graph_clone(from[i], &w->cond.body[i]) : graph_create(&w->cond.body[i]);
	if (r != CUDA_SUCCESS)
		graph_work_cond_fini(w);
	return r;
}

CUresult graph_work_cond_copy(const struct graph_work *w, struct graph_work *ret_work)
{
	struct graph_work copy = *w;
	CUresult r = give_bodies(&copy, w->cond.body);

	if (r == CUDA_SUCCESS)
		*ret_work = copy;
	return r;
}

CUresult graph_work_cond(struct cu_graph *g, const CUDA_CONDITIONAL_NODE_PARAMS *p,
			 struct graph_work *ret_work)
{
	struct graph_work w = { .type = CU_GRAPH_NODE_TYPE_CONDITIONAL };
	struct cu_ctx *ctx;
	CUresult r;

	if (!g) /* of a node that exists: its bodies cannot be given anew */
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!size_fits(p->type, p->size))
		return CUDA_ERROR_INVALID_VALUE;
	w.cond.handle = find(g, p->handle);
	if (!w.cond.handle)
		return CUDA_ERROR_INVALID_VALUE;
	r = p->ctx ? cu_ctx_get(p->ctx, &ctx) : cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	if (ctx != w.cond.handle->ctx)
		return CUDA_ERROR_INVALID_VALUE;
	w.cond.type = p->type;
	w.cond.size = p->size;
	w.cond.ctx = (CUcontext)ctx;
	r = give_bodies(&w, NULL);
	if (r == CUDA_SUCCESS)
		*ret_work = w;
	return r;
}

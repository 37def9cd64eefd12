/* SPDX-License-Identifier: MIT */
/*
 * graph_object.c - user objects: resources of the program that live as long as graphs need them.
 *
 * An object is counted; a graph that holds references passes them on to its copies, executable ones
 * included. The destructor runs in the thread that drops the last reference.
 */
#include <stdlib.h>

#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"

struct user_object {
	struct cu_head head;
	_Atomic unsigned long refs;
	void *ptr;
	CUhostFn destroy;
};

struct graph_held {
	struct graph_held *next;
	struct user_object *object;
	unsigned long count;
};

static CUresult object_get(CUuserObject handle, unsigned count, struct user_object **ret_object)
{
	struct user_object *o = cu_handle_get(handle, CU_KIND_USER_OBJECT);

	if (!o || !count || count > INT32_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_object = o;
	return CUDA_SUCCESS;
}

static void drop(struct user_object *o, unsigned long count)
{
	CUhostFn destroy = o->destroy;
	void *ptr = o->ptr;

	if (atomic_fetch_sub(&o->refs, count) != count)
		return;
	cu_handle_destroy(o);
	destroy(ptr);
}

static struct graph_held **held_at(struct cu_graph *g, const struct user_object *o)
{
	struct graph_held **at = &g->held;

	while (*at && (*at)->object != o)
		at = &(*at)->next;
	return at;
}

/* The references come from the caller. */
static CUresult hold(struct cu_graph *g, struct user_object *o, unsigned long count)
{
	struct graph_held **at = held_at(g, o);

	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return CUDA_ERROR_OUT_OF_MEMORY;
		(*at)->object = o;
	}
	(*at)->count += count;
	return CUDA_SUCCESS;
}

CUresult graph_hold_all(struct cu_graph *to, const struct cu_graph *from)
{
	CUresult r = CUDA_SUCCESS;

	for (const struct graph_held *h = from->held; h && r == CUDA_SUCCESS; h = h->next) {
		r = hold(to, h->object, 1);
		if (r == CUDA_SUCCESS)
			atomic_fetch_add(&h->object->refs, 1);
	}
	return r;
}

void graph_unhold_all(struct cu_graph *g)
{
	struct graph_held *h;

	while ((h = g->held)) {
		g->held = h->next;
		drop(h->object, h->count);
		free(h);
	}
}

/* ---- entry points --------------------------------------------------------------------------- */

CUresult impl_cuUserObjectCreate(CUuserObject *object_out, void *ptr, CUhostFn destroy,
				 unsigned int initialRefcount, unsigned int flags)
{
	struct user_object *o;

	/* The flag says that nobody waits for the destructor; the manual demands it. */
	if (!object_out || !destroy || !initialRefcount || initialRefcount > INT32_MAX ||
	    flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC)
		return CUDA_ERROR_INVALID_VALUE;
	o = cu_handle_create(CU_KIND_USER_OBJECT, sizeof(*o));
	if (!o)
		return CUDA_ERROR_OUT_OF_MEMORY;
	o->ptr = ptr;
	o->destroy = destroy;
	o->refs = initialRefcount;
	*object_out = (CUuserObject)o;
	return CUDA_SUCCESS;
}

CUresult impl_cuUserObjectRetain(CUuserObject object, unsigned int count)
{
	struct user_object *o;
	CUresult r = object_get(object, count, &o);

	if (r == CUDA_SUCCESS)
		atomic_fetch_add(&o->refs, count);
	return r;
}

CUresult impl_cuUserObjectRelease(CUuserObject object, unsigned int count)
{
	struct user_object *o;
	CUresult r = object_get(object, count, &o);

	if (r != CUDA_SUCCESS)
		return r;
	if (atomic_load(&o->refs) < count)
		return CUDA_ERROR_INVALID_VALUE;
	drop(o, count);
	return CUDA_SUCCESS;
}

CUresult impl_cuGraphRetainUserObject(CUgraph graph, CUuserObject object, unsigned int count,
				      unsigned int flags)
{
	struct user_object *o;
	struct cu_graph *g;
	CUresult r;

	if (flags & ~(unsigned)CU_GRAPH_USER_OBJECT_MOVE)
		return CUDA_ERROR_INVALID_VALUE;
	r = graph_get(graph, &g);
	if (r == CUDA_SUCCESS)
		r = object_get(object, count, &o);
	if (r == CUDA_SUCCESS)
		r = hold(g, o, count);
	if (r == CUDA_SUCCESS && !flags)
		atomic_fetch_add(&o->refs, count);
	return r;
}

CUresult impl_cuGraphReleaseUserObject(CUgraph graph, CUuserObject object, unsigned int count)
{
	struct graph_held **at, *h;
	struct user_object *o;
	struct cu_graph *g;
	CUresult r;

	r = graph_get(graph, &g);
	if (r == CUDA_SUCCESS)
		r = object_get(object, count, &o);
	if (r != CUDA_SUCCESS)
		return r;
	at = held_at(g, o);
	h = *at;
	if (!h || h->count < count)
		return CUDA_ERROR_INVALID_VALUE;
	h->count -= count;
	if (!h->count) {
		*at = h->next;
		free(h);
	}
	drop(o, count);
	return CUDA_SUCCESS;
}

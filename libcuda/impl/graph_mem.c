/* SPDX-License-Identifier: MIT */
/*
 * graph_mem.c - memory that graphs allocate.
 *
 * An allocation node has an address from the moment it is made, reserved for as long as the node, a copy of
 * it or an allocation that a launch left behind lives. Memory is put there before the first launch and
 * stays, as the manual allows, until cuDeviceGraphMemTrim() or the end: so a launch asks the worker for
 * nothing, and its nodes that allocate and free are no commands at all.
 *
 * What is allocated and what is not is therefore a matter of the order of calls in this process, which
 * is the order that the program has to keep anyway.
 */
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/vmm.h"
#include "libcuda/link/link.h"

#define UNIT (2ull << 20) /* of VMM mappings */

/** struct graph_mem - behind the address of an allocation node. */
struct graph_mem {
	struct graph_mem *next; /* all; guarded by lock, as all below but what is constant */
	unsigned refs;		/* nodes, and being allocated */
	unsigned execs;		/* executable graphs that allocate it */
	struct cu_device *dev;	/* constant */
	uint64_t va, size, bytes;
	CUmemPoolProps props;
	CUmemAccessDesc access[VGPU_MAX_DEVICES]; /* as the program gave it; constant */
	size_t access_count;
	bool mapped, live;
	bool next_live; /* of whoever looks ahead */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct graph_mem *all; /* guarded by lock */
/* High watermarks by ordinal; guarded by lock. */
static uint64_t used_high[VGPU_MAX_DEVICES], reserved_high[VGPU_MAX_DEVICES];

/* ---- amounts; the caller holds the lock ----------------------------------------------------- */

static uint64_t used(const struct cu_device *dev)
{
	uint64_t n = 0;

	for (const struct graph_mem *m = all; m; m = m->next)
		if (m->dev == dev && m->live)
			n += m->size;
	return n;
}

static uint64_t reserved(const struct cu_device *dev)
{
	uint64_t n = 0;

	for (const struct graph_mem *m = all; m; m = m->next)
		if (m->dev == dev && m->mapped)
			n += m->size;
	return n;
}

static void raise_to(uint64_t *high, uint64_t now)
{
	if (now > *high)
		*high = now;
}

/* ---- memory at the address; the caller holds the lock --------------------------------------- */

static CUresult let_access(const struct graph_mem *m)
{
	int err = 0;

	for (size_t i = 0; i < m->access_count && !err; i++)
		err = cu_vmm_access_set(cu_device_get(m->access[i].location.id)->link, m->va,
					m->size, (uint32_t)m->access[i].flags);
	return cu_from_errno(err);
}

static CUresult map(struct graph_mem *m)
{
	struct link_dev *dev = m->dev->link;
	uint64_t off;
	CUresult r;

	if (m->mapped)
		return CUDA_SUCCESS;
	r = cu_from_errno(cu_vmm_bind(dev, m->va, m->size, -1, &off));
	if (r != CUDA_SUCCESS)
		return r;
	r = let_access(m);
	if (r != CUDA_SUCCESS) {
		cu_vmm_unbind(dev, m->va, m->size);
		return r;
	}
	if (dev->arena && off <= dev->arena_bytes && m->size <= dev->arena_bytes - off)
		link_map_set_host(&dev->link->ranges, m->va, dev->arena + off);
	m->mapped = true;
	raise_to(&reserved_high[m->dev->ordinal], reserved(m->dev));
	return CUDA_SUCCESS;
}

static void unmap(struct graph_mem *m)
{
	if (!m->mapped)
		return;
	link_map_set_host(&m->dev->link->link->ranges, m->va, NULL);
	cu_vmm_unbind(m->dev->link, m->va, m->size);
	m->mapped = false;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void sync_one(struct cu_ctx *ctx, void *user)
{
	struct cu_ctx **list = user;

	while (*list)
		list++;
	*list = ctx;
}

/* Until nothing that was launched on @dev can use memory of graphs any more. */
static void quiesce(struct cu_device *dev)
{
	struct cu_ctx *list[VGPU_SHARE_CONTEXTS + 1] = { NULL };

	cu_ctx_each(dev, sync_one, list);
	for (struct cu_ctx **ctx = list; *ctx; ctx++)
		if ((*ctx)->active)
			cu_stream_sync_ctx(*ctx);
}

void graph_mem_get(struct graph_mem *m)
{
	pthread_mutex_lock(&lock);
	m->refs++;
	pthread_mutex_unlock(&lock);
}

void graph_mem_put(struct graph_mem *m)
{
	struct vgpu_va_free give;
	struct graph_mem **at;
	bool last;

	if (!m)
		return;
	pthread_mutex_lock(&lock);
	last = --m->refs == 0;
	for (at = &all; last && *at; at = &(*at)->next) {
		if (*at == m) {
			*at = m->next;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	if (!last)
		return;
	if (m->mapped)
		quiesce(m->dev);
	unmap(m);
	link_map_remove(&m->dev->link->link->ranges, m->va, NULL);
	give = (struct vgpu_va_free){ .va = m->va, .size = m->size };
	link_call(m->dev->link, VGPU_OP_VA_FREE, &give, sizeof(give));
	free(m);
}

CUdeviceptr graph_mem_va(const struct graph_mem *m)
{
	return m->va;
}

void graph_mem_params(const struct graph_mem *m, CUDA_MEM_ALLOC_NODE_PARAMS *ret_params)
{
	*ret_params = (CUDA_MEM_ALLOC_NODE_PARAMS){
		.poolProps = m->props,
		.accessDescs = m->access_count ? m->access : NULL,
		.accessDescCount = m->access_count,
		.bytesize = m->bytes,
		.dptr = m->va,
	};
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static CUresult check(const CUDA_MEM_ALLOC_NODE_PARAMS *p, struct cu_device **ret_dev)
{
	if (!p->bytesize || p->poolProps.allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
	    p->poolProps.handleTypes || p->poolProps.win32SecurityAttributes ||
	    p->accessDescCount > (size_t)cu_device_count() ||
	    (p->accessDescCount && !p->accessDescs))
		return CUDA_ERROR_INVALID_VALUE;
	if (p->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (p->bytesize > UINT64_MAX - UNIT)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < p->accessDescCount; i++) {
		const CUmemAccessDesc *d = &p->accessDescs[i];

		if (d->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
		    d->flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
			return CUDA_ERROR_INVALID_VALUE;
		if (!cu_device_get(d->location.id))
			return CUDA_ERROR_INVALID_DEVICE;
	}
	*ret_dev = cu_device_get(p->poolProps.location.id);
	return *ret_dev ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

/* The address, and that it is ours. */
static CUresult reserve(struct graph_mem *m)
{
	struct link_dev *dev = m->dev->link;
	struct vgpu_va_reserve va = { .size = m->size };
	struct vgpu_va_free give = { .size = m->size };
	struct link_range range = { .size = m->bytes,
				    .kind = LINK_GRAPH,
				    .dev = dev,
				    .object = m,
				    .worker_visible = true };
	int err;

	err = link_call(dev, VGPU_OP_VA_RESERVE, &va, sizeof(va));
	if (err < 0)
		return cu_from_errno(err);
	m->va = range.va = va.va;
	err = link_map_add(&dev->link->ranges, &range);
	if (err < 0) {
		give.va = va.va;
		link_call(dev, VGPU_OP_VA_FREE, &give, sizeof(give));
	}
	return cu_from_errno(err);
}

CUresult graph_work_alloc(const CUDA_MEM_ALLOC_NODE_PARAMS *p, struct graph_work *ret_work)
{
	struct cu_device *dev;
	struct graph_mem *m;
	CUresult r;

	r = check(p, &dev);
	if (r != CUDA_SUCCESS)
		return r;
	m = calloc(1, sizeof(*m));
	if (!m)
		return CUDA_ERROR_OUT_OF_MEMORY;
	m->refs = 1;
	m->dev = dev;
	m->bytes = p->bytesize;
	m->size = (p->bytesize + UNIT - 1) & ~(UNIT - 1);
	m->props = p->poolProps;
	m->access_count = p->accessDescCount;
	if (m->access_count)
		memcpy(m->access, p->accessDescs, m->access_count * sizeof(m->access[0]));
	r = reserve(m);
	if (r != CUDA_SUCCESS) {
		free(m);
		return r;
	}
	pthread_mutex_lock(&lock);
	m->next = all;
	all = m;
	pthread_mutex_unlock(&lock);
	*ret_work = (struct graph_work){ .type = CU_GRAPH_NODE_TYPE_MEM_ALLOC, .mem = m };
	return CUDA_SUCCESS;
}

/* With a reference for the caller; it is of @all, so that it is not about to end. */
static struct graph_mem *find(CUdeviceptr va)
{
	struct graph_mem *m;

	pthread_mutex_lock(&lock);
	for (m = all; m && m->va != va; m = m->next)
		;
	if (m)
		m->refs++;
	pthread_mutex_unlock(&lock);
	return m;
}

CUresult graph_work_free(CUdeviceptr va, struct graph_work *ret_work)
{
	struct graph_mem *m = find(va);

	if (!m)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_work = (struct graph_work){ .type = CU_GRAPH_NODE_TYPE_MEM_FREE, .mem = m };
	return CUDA_SUCCESS;
}

/* ---- graphs --------------------------------------------------------------------------------- */

static bool is_alloc(const struct graph_node *n)
{
	return n->work.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC;
}

static bool is_free(const struct graph_node *n)
{
	return n->work.type == CU_GRAPH_NODE_TYPE_MEM_FREE;
}

bool graph_mem_used(const struct cu_graph *g)
{
	for (size_t i = 0; i < g->count; i++)
		if (is_alloc(g->node[i]) || is_free(g->node[i]))
			return true;
	return false;
}

CUresult graph_mem_claim(const struct cu_graph *g)
{
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < g->count; i++)
		if (is_alloc(g->node[i]) && g->node[i]->work.mem->execs)
			r = CUDA_ERROR_NOT_SUPPORTED;
	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++)
		if (is_alloc(g->node[i]))
			g->node[i]->work.mem->execs++;
	pthread_mutex_unlock(&lock);
	return r;
}

void graph_mem_disclaim(const struct cu_graph *g)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < g->count; i++)
		if (is_alloc(g->node[i]))
			g->node[i]->work.mem->execs--;
	pthread_mutex_unlock(&lock);
}

/* What a launch does to each, without doing it. */
static CUresult look_ahead(const struct cu_graph *g, bool auto_free)
{
	for (size_t i = 0; i < g->count; i++)
		if (is_alloc(g->node[i]) || is_free(g->node[i]))
			g->node[i]->work.mem->next_live = g->node[i]->work.mem->live;
	for (size_t i = 0; i < g->count; i++) {
		struct graph_mem *m = g->order[i]->work.mem;

		if (is_alloc(g->order[i])) {
			if (m->next_live && !auto_free)
				return CUDA_ERROR_INVALID_VALUE;
			m->next_live = true;
		} else if (is_free(g->order[i])) {
			if (!m->next_live)
				return CUDA_ERROR_INVALID_VALUE;
			m->next_live = false;
		}
	}
	return CUDA_SUCCESS;
}

static void set_live(struct graph_mem *m, bool live)
{
	if (m->live != live)
		m->refs += live ? 1 : -1u;
	m->live = live;
	if (live)
		raise_to(&used_high[m->dev->ordinal], used(m->dev));
}

CUresult graph_mem_launch(const struct cu_graph *g, bool auto_free)
{
	CUresult r;

	if (!graph_mem_used(g))
		return CUDA_SUCCESS;
	pthread_mutex_lock(&lock);
	r = look_ahead(g, auto_free);
	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++)
		if (is_alloc(g->node[i]))
			r = map(g->node[i]->work.mem);
	/* A node still has its reference, so none of them ends here. */
	for (size_t i = 0; i < g->count && r == CUDA_SUCCESS; i++)
		if (is_alloc(g->order[i]) || is_free(g->order[i]))
			set_live(g->order[i]->work.mem, is_alloc(g->order[i]));
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult graph_mem_free(CUdeviceptr va)
{
	struct graph_mem *m = find(va);
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	if (!m)
		return r;
	pthread_mutex_lock(&lock);
	if (m->live) {
		set_live(m, false);
		r = CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&lock);
	graph_mem_put(m);
	return r;
}

/* ---- entry points --------------------------------------------------------------------------- */

CUresult impl_cuDeviceGraphMemTrim(CUdevice device)
{
	struct cu_device *dev = cu_device_get(device);

	if (!dev)
		return CUDA_ERROR_INVALID_DEVICE;
	quiesce(dev);
	pthread_mutex_lock(&lock);
	for (struct graph_mem *m = all; m; m = m->next)
		if (m->dev == dev && !m->live)
			unmap(m);
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attr, void *value)
{
	struct cu_device *dev = cu_device_get(device);
	CUresult r = CUDA_SUCCESS;
	uint64_t amount = 0;

	if (!dev)
		return CUDA_ERROR_INVALID_DEVICE;
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	switch (attr) {
	case CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT:
		amount = used(dev);
		break;
	case CU_GRAPH_MEM_ATTR_USED_MEM_HIGH:
		amount = used_high[dev->ordinal];
		break;
	case CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT:
		amount = reserved(dev);
		break;
	case CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH:
		amount = reserved_high[dev->ordinal];
		break;
	default:
		r = CUDA_ERROR_INVALID_VALUE;
	}
	pthread_mutex_unlock(&lock);
	if (r == CUDA_SUCCESS)
		*(cuuint64_t *)value = amount;
	return r;
}

/* Watermarks can be set to 0, which means to what is now. */
CUresult impl_cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attr, void *value)
{
	struct cu_device *dev = cu_device_get(device);
	CUresult r = CUDA_SUCCESS;

	if (!dev)
		return CUDA_ERROR_INVALID_DEVICE;
	if (!value || *(cuuint64_t *)value)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	if (attr == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH)
		used_high[dev->ordinal] = used(dev);
	else if (attr == CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
		reserved_high[dev->ordinal] = reserved(dev);
	else
		r = CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_unlock(&lock);
	return r;
}

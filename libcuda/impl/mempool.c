/* SPDX-License-Identifier: MIT */
/*
 * mempool.c - stream-ordered allocation and memory pools, as entry points; the allocator is pool.c.
 *
 * Pools lie on devices; other locations, and handles other than file descriptors, are answered
 * CUDA_ERROR_NOT_SUPPORTED. The descriptor of a pool holds no memory: it says whose pool it is, and that its
 * pointers may be imported (ipc.c).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcuda/impl/capture.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/ipc.h"
#include "libcuda/impl/pool.h"
#include "libcuda/link/link.h"

static CUresult get(CUmemoryPool handle, struct cu_pool **ret_pool)
{
	struct cu_pool *p = cu_handle_get(handle, CU_KIND_POOL);

	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_pool = p;
	return CUDA_SUCCESS;
}

static CUresult get_device(CUdevice ordinal, struct cu_device **ret_dev)
{
	*ret_dev = cu_device_get(ordinal);
	return *ret_dev ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

/* ---- which pool ----------------------------------------------------------------------------- */

static CUresult device_pool(CUdevice ordinal,
			    CUresult (*find)(struct cu_device *dev, struct cu_pool **ret_pool),
			    CUmemoryPool *ret_pool)
{
	struct cu_device *d;
	struct cu_pool *p;
	CUresult r;

	if (!ret_pool)
		return CUDA_ERROR_INVALID_VALUE;
	r = get_device(ordinal, &d);
	if (r == CUDA_SUCCESS)
		r = find(d, &p);
	if (r == CUDA_SUCCESS)
		*ret_pool = (CUmemoryPool)p;
	return r;
}

CUresult impl_cuDeviceGetDefaultMemPool(CUmemoryPool *pool_out, CUdevice dev)
{
	return device_pool(dev, cu_pool_default, pool_out);
}

CUresult impl_cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice dev)
{
	return device_pool(dev, cu_pool_current, pool);
}

CUresult impl_cuDeviceSetMemPool(CUdevice dev, CUmemoryPool pool)
{
	struct cu_device *d;
	struct cu_pool *p;
	CUresult r;

	r = get_device(dev, &d);
	if (r == CUDA_SUCCESS)
		r = get(pool, &p);
	if (r != CUDA_SUCCESS)
		return r;
	/* The pool's memory must lie on the device, and be ours to give. */
	if (p->dev != d || p->origin)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&d->primary_lock);
	d->current_pool = p;
	pthread_mutex_unlock(&d->primary_lock);
	return CUDA_SUCCESS;
}

static CUresult check_place(const CUmemLocation *location, CUmemAllocationType type)
{
	if (!location ||
	    (type != CU_MEM_ALLOCATION_TYPE_PINNED && type != CU_MEM_ALLOCATION_TYPE_MANAGED))
		return CUDA_ERROR_INVALID_VALUE;
	if (type != CU_MEM_ALLOCATION_TYPE_PINNED || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_NOT_SUPPORTED;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemGetDefaultMemPool(CUmemoryPool *pool_out, CUmemLocation *location,
				     CUmemAllocationType type)
{
	CUresult r = check_place(location, type);

	return r == CUDA_SUCCESS ? impl_cuDeviceGetDefaultMemPool(pool_out, location->id) : r;
}

CUresult impl_cuMemGetMemPool(CUmemoryPool *pool, CUmemLocation *location, CUmemAllocationType type)
{
	CUresult r = check_place(location, type);

	return r == CUDA_SUCCESS ? impl_cuDeviceGetMemPool(pool, location->id) : r;
}

CUresult impl_cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool pool)
{
	CUresult r = check_place(location, type);

	return r == CUDA_SUCCESS ? impl_cuDeviceSetMemPool(location->id, pool) : r;
}

/* ---- life and attributes -------------------------------------------------------------------- */

static CUresult can_share(struct cu_device *d)
{
	link_start(d->link->link);
	return d->link->arena_fd >= 0 ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

CUresult impl_cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *poolProps)
{
	static const unsigned char zeros[sizeof(poolProps->reserved)];
	struct cu_device *d;
	struct cu_pool *p;
	CUresult r;

	if (!pool || !poolProps)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_place(&poolProps->location, poolProps->allocType);
	if (r != CUDA_SUCCESS)
		return r;
	if (poolProps->win32SecurityAttributes ||
	    memcmp(poolProps->reserved, zeros, sizeof(zeros)) != 0)
		return CUDA_ERROR_INVALID_VALUE;
	if ((poolProps->handleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) ||
	    poolProps->usage)
		return CUDA_ERROR_NOT_SUPPORTED;
	r = get_device(poolProps->location.id, &d);
	/* The daemon must be able to open descriptors of ours. */
	if (r == CUDA_SUCCESS && poolProps->handleTypes)
		r = can_share(d);
	if (r == CUDA_SUCCESS)
		r = pool_create(d, false, poolProps->maxSize, &p);
	if (r != CUDA_SUCCESS)
		return r;
	p->shareable = poolProps->handleTypes != 0;
	*pool = (CUmemoryPool)p;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemPoolDestroy(CUmemoryPool pool)
{
	struct cu_pool *p;
	CUresult r = get(pool, &p);

	if (r != CUDA_SUCCESS)
		return r;
	if (p->is_default)
		return CUDA_ERROR_INVALID_VALUE;
	return pool_destroy(p);
}

CUresult impl_cuMemPoolTrimTo(CUmemoryPool pool, size_t minBytesToKeep)
{
	struct cu_pool *p;
	CUresult r = get(pool, &p);

	if (r == CUDA_SUCCESS)
		pool_trim(p, minBytesToKeep);
	return r;
}

static bool *switch_of(struct cu_pool *p, CUmemPool_attribute attr)
{
	switch (attr) {
	case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
		return &p->follow;
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
		return &p->opportunistic;
	case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
		return &p->internal;
	default:
		return NULL;
	}
}

static uint64_t *amount_of(struct cu_pool *p, CUmemPool_attribute attr)
{
	switch (attr) {
	case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
		return &p->threshold;
	case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
		return &p->reserved;
	case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
		return &p->reserved_high;
	case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
		return &p->used;
	case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
		return &p->used_high;
	default:
		return NULL;
	}
}

CUresult impl_cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
	const uint64_t *amount;
	struct cu_pool *p;
	const bool *on;
	CUresult r;

	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	r = get(pool, &p);
	if (r != CUDA_SUCCESS)
		return r;
	on = switch_of(p, attr);
	amount = amount_of(p, attr);
	if (!on && !amount)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&p->lock);
	if (on)
		*(int *)value = *on;
	else
		*(cuuint64_t *)value = *amount;
	pthread_mutex_unlock(&p->lock);
	return CUDA_SUCCESS;
}

/* A high watermark can only be set to 0, which means to what is now. */
static CUresult set_amount(struct cu_pool *p, CUmemPool_attribute attr, uint64_t value)
{
	switch (attr) {
	case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
		p->threshold = value;
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
		if (value)
			return CUDA_ERROR_INVALID_VALUE;
		p->reserved_high = p->reserved;
		return CUDA_SUCCESS;
	case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
		if (value)
			return CUDA_ERROR_INVALID_VALUE;
		p->used_high = p->used;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult impl_cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attr, void *value)
{
	struct cu_pool *p;
	CUresult r;
	bool *on;

	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	r = get(pool, &p);
	if (r != CUDA_SUCCESS)
		return r;
	on = switch_of(p, attr);
	pthread_mutex_lock(&p->lock);
	if (on)
		*on = *(const int *)value != 0;
	else
		r = set_amount(p, attr, *(const cuuint64_t *)value);
	pthread_mutex_unlock(&p->lock);
	return r;
}

/* ---- access --------------------------------------------------------------------------------- */

CUresult impl_cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *map, size_t count)
{
	struct cu_device *d;
	struct cu_pool *p;
	CUresult r;

	if (!map && count)
		return CUDA_ERROR_INVALID_VALUE;
	r = get(pool, &p);
	if (r != CUDA_SUCCESS)
		return r;
	for (size_t i = 0; i < count; i++) {
		if (map[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
		    (map[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE &&
		     map[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE))
			return CUDA_ERROR_INVALID_VALUE;
		r = get_device(map[i].location.id, &d);
		if (r != CUDA_SUCCESS)
			return r;
		/* The device's own access cannot be taken from it. */
		if (d == p->dev && map[i].flags == CU_MEM_ACCESS_FLAGS_PROT_NONE)
			return CUDA_ERROR_INVALID_DEVICE;
	}
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < count; i++)
		p->access[map[i].location.id] = (uint8_t)map[i].flags;
	pthread_mutex_unlock(&p->lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool memPool,
				 CUmemLocation *location)
{
	struct cu_device *d;
	struct cu_pool *p;
	CUresult r;

	if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	r = get(memPool, &p);
	if (r == CUDA_SUCCESS)
		r = get_device(location->id, &d);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&p->lock);
	*flags = (CUmemAccess_flags)p->access[d->ordinal];
	pthread_mutex_unlock(&p->lock);
	return CUDA_SUCCESS;
}

/* ---- other processes ------------------------------------------------------------------------ */

CUresult impl_cuMemPoolExportToShareableHandle(void *handle_out, CUmemoryPool pool,
					       CUmemAllocationHandleType handleType,
					       unsigned long long flags)
{
	struct ipc_place place = { 0 };
	struct cu_pool *p;
	CUresult r;
	int fd;

	if (!handle_out || flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = get(pool, &p);
	if (r != CUDA_SUCCESS)
		return r;
	if (!p->shareable || handleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_INVALID_VALUE;
	place.device = p->dev->link->index;
	place.id = p->id;
	cu_ipc_seal(&place, IPC_POOL);
	fd = memfd_create("vgpu-pool-name", MFD_CLOEXEC);
	if (fd < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	if (write(fd, &place, sizeof(place)) != (ssize_t)sizeof(place)) {
		close(fd);
		return CUDA_ERROR_OPERATING_SYSTEM;
	}
	*(int *)handle_out = fd;
	return CUDA_SUCCESS;
}

static struct cu_device *device_of(uint32_t index)
{
	for (int i = 0; i < cu_device_count(); i++)
		if (cu_device_get(i)->link->index == index)
			return cu_device_get(i);
	return NULL;
}

CUresult impl_cuMemPoolImportFromShareableHandle(CUmemoryPool *pool_out, void *handle,
						 CUmemAllocationHandleType handleType,
						 unsigned long long flags)
{
	struct ipc_place *place;
	struct cu_device *dev;
	struct cu_pool *p;
	CUresult r;

	if (!pool_out || flags || handleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_INVALID_VALUE;
	place = malloc(sizeof(*place));
	if (!place)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (pread((int)(intptr_t)handle, place, sizeof(*place), 0) != (ssize_t)sizeof(*place) ||
	    !cu_ipc_sealed(place, IPC_POOL)) {
		free(place);
		return CUDA_ERROR_INVALID_VALUE;
	}
	dev = device_of(place->device);
	r = dev ? pool_create(dev, false, 0, &p) : CUDA_ERROR_INVALID_DEVICE;
	if (r != CUDA_SUCCESS) {
		free(place);
		return r;
	}
	p->origin = place;
	*pool_out = (CUmemoryPool)p;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemPoolExportPointer(CUmemPoolPtrExportData *shareData_out, CUdeviceptr ptr)
{
	struct ipc_place place;
	CUresult r;

	_Static_assert(sizeof(place) == sizeof(*shareData_out), "as large as the manual's");
	if (!shareData_out)
		return CUDA_ERROR_INVALID_VALUE;
	r = pool_place(ptr, &place);
	if (r != CUDA_SUCCESS)
		return r;
	cu_ipc_seal(&place, IPC_POOLED);
	memcpy(shareData_out, &place, sizeof(place));
	return CUDA_SUCCESS;
}

CUresult impl_cuMemPoolImportPointer(CUdeviceptr *ptr_out, CUmemoryPool pool,
				     CUmemPoolPtrExportData *shareData)
{
	struct ipc_place place;
	struct cu_pool *p;
	struct cu_ctx *ctx;
	CUresult r;

	if (!ptr_out || !shareData)
		return CUDA_ERROR_INVALID_VALUE;
	r = get(pool, &p);
	if (r == CUDA_SUCCESS)
		r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	memcpy(&place, shareData, sizeof(place));
	if (!p->origin || !cu_ipc_sealed(&place, IPC_POOLED) || place.pid != p->origin->pid ||
	    place.id != p->origin->id)
		return CUDA_ERROR_INVALID_VALUE;
	return cu_ipc_open(&place, ctx, true, ptr_out);
}

/* ---- allocation ----------------------------------------------------------------------------- */

/* @s is being captured: the allocation becomes a node. */
static CUresult capture_alloc(const struct cu_pool *p, size_t bytes, struct cu_stream *s,
			      CUdeviceptr *ret_va)
{
	CUDA_MEM_ALLOC_NODE_PARAMS params = {
		.poolProps = { .allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
			       .location = { .type = CU_MEM_LOCATION_TYPE_DEVICE,
					     .id = p->dev->ordinal } },
		.bytesize = bytes,
	};
	struct graph_work w;
	CUdeviceptr va;
	CUresult r;

	r = graph_work_alloc(&params, &w);
	if (r != CUDA_SUCCESS)
		return r;
	va = graph_mem_va(w.mem);
	r = capture_add(s, &w);
	if (r == CUDA_SUCCESS)
		*ret_va = va;
	return r;
}

static CUresult alloc(struct cu_pool *p, size_t bytes, struct cu_stream *s, CUdeviceptr *ret_va)
{
	bool capturing;
	CUresult r = capture_check(s, &capturing);

	if (r != CUDA_SUCCESS)
		return r;
	return capturing ? capture_alloc(p, bytes, s, ret_va) : pool_alloc(p, bytes, s, ret_va);
}

CUresult impl_cuMemAllocFromPoolAsync(CUdeviceptr *dptr, size_t bytesize, CUmemoryPool pool,
				      CUstream hStream)
{
	struct cu_stream *s;
	struct cu_pool *p;
	CUresult r;

	if (!dptr || !bytesize)
		return CUDA_ERROR_INVALID_VALUE;
	r = get(pool, &p);
	if (r == CUDA_SUCCESS && p->origin)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = cu_stream_get(hStream, &s);
	return r == CUDA_SUCCESS ? alloc(p, bytesize, s, dptr) : r;
}

CUresult impl_cuMemAllocAsync(CUdeviceptr *dptr, size_t bytesize, CUstream hStream)
{
	struct cu_stream *s;
	struct cu_pool *p;
	CUresult r;

	if (!dptr || !bytesize)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(hStream, &s);
	if (r == CUDA_SUCCESS)
		r = cu_pool_current(s->ctx->dev, &p);
	return r == CUDA_SUCCESS ? alloc(p, bytesize, s, dptr) : r;
}

/* Only what a graph allocated can be freed by one. */
static CUresult capture_free(CUdeviceptr va, struct cu_stream *s)
{
	struct graph_work w;
	CUresult r = graph_work_free(va, &w);

	return r == CUDA_SUCCESS ? capture_add(s, &w) : r;
}

CUresult impl_cuMemFreeAsync(CUdeviceptr dptr, CUstream hStream)
{
	struct cu_stream *s;
	struct link_range r;
	bool capturing;
	CUresult err;

	err = cu_stream_get(hStream, &s);
	if (err == CUDA_SUCCESS)
		err = capture_check(s, &capturing);
	if (err != CUDA_SUCCESS)
		return err;
	if (!dptr)
		return CUDA_ERROR_INVALID_VALUE;
	if (link_map_find(&cu_link()->ranges, dptr, &r) < 0 || r.va != dptr)
		return CUDA_ERROR_INVALID_VALUE;
	if (capturing)
		return capture_free(dptr, s);
	if (r.kind == LINK_POOL)
		return pool_free(dptr, s);
	if (r.kind == LINK_GRAPH)
		return graph_mem_free(dptr);
	if (r.kind == LINK_IPC) {
		err = cu_stream_sync(s);
		return err == CUDA_SUCCESS ? cu_ipc_close(dptr, true) : err;
	}
	/* Memory of cuMemAlloc: after what is queued, by waiting for it. */
	if (r.kind != LINK_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	err = cu_stream_sync(s);
	return err == CUDA_SUCCESS ? impl_cuMemFree_v2(dptr) : err;
}

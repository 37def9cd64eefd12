/* SPDX-License-Identifier: MIT */
/*
 * external.c - external memory: descriptors of memory that this driver exported, in this process or another,
 * as cuMemExportToShareableHandle hands them out (CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD).
 *
 * An object is a piece of physical memory (vmm.c), a mapped buffer a reservation with a mapping of it in
 * whole units: the buffer may begin anywhere in the first. No graphics API exports to this driver, so there
 * are no other types, no mipmapped arrays in such memory, and no external semaphores: nobody could make one.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "libcuda/impl/external.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/vmm.h"

#define UNIT (2ull << 20) /* of mappings */

struct cu_external {
	struct cu_head head;
	CUmemGenericAllocationHandle memory;
	uint64_t size; /* as the program said */
};

struct buffer {
	struct buffer *next;
	CUdeviceptr ptr, base;
	uint64_t span;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct buffer *buffers; /* guarded by lock */
static atomic_size_t count;    /* of buffers: mostly 0, and cuMemFree asks each time */

CUresult impl_cuImportExternalMemory(CUexternalMemory *extMem_out,
				     const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *memHandleDesc)
{
	const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *d = memHandleDesc;
	CUmemGenericAllocationHandle memory;
	struct cu_external *e;
	CUresult r;

	if (!extMem_out || !d || !d->size || (d->flags & ~(unsigned)CUDA_EXTERNAL_MEMORY_DEDICATED))
		return CUDA_ERROR_INVALID_VALUE;
	if (d->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD)
		return CUDA_ERROR_NOT_SUPPORTED;
	r = impl_cuMemImportFromShareableHandle(&memory, (void *)(intptr_t)d->handle.fd,
						CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
	if (r != CUDA_SUCCESS)
		return r;
	if (d->size > ((const struct cu_phys *)(uintptr_t)memory)->size) {
		impl_cuMemRelease(memory);
		return CUDA_ERROR_INVALID_VALUE;
	}
	e = cu_handle_create(CU_KIND_EXTERNAL, sizeof(*e));
	if (!e) {
		impl_cuMemRelease(memory);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	e->memory = memory;
	e->size = d->size;
	close(d->handle.fd); /* the manual: from here on it is the driver's */
	*extMem_out = (CUexternalMemory)e;
	return CUDA_SUCCESS;
}

CUresult impl_cuDestroyExternalMemory(CUexternalMemory extMem)
{
	struct cu_external *e = cu_handle_get(extMem, CU_KIND_EXTERNAL);
	CUmemGenericAllocationHandle memory;

	if (!e)
		return CUDA_ERROR_INVALID_HANDLE;
	memory = e->memory;
	cu_handle_destroy(e);
	return impl_cuMemRelease(memory); /* buffers keep what they map */
}

/* All devices of the process may use it. */
static CUresult allow(CUdeviceptr base, uint64_t span)
{
	CUmemAccessDesc access = {
		.location = { .type = CU_MEM_LOCATION_TYPE_DEVICE },
		.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
	};
	CUresult r = CUDA_SUCCESS;
	int devices = 0;

	impl_cuDeviceGetCount(&devices);
	for (int i = 0; i < devices && r == CUDA_SUCCESS; i++) {
		access.location.id = i;
		r = impl_cuMemSetAccess(base, span, &access, 1);
	}
	return r;
}

static CUresult map(const struct cu_external *e, uint64_t offset, struct buffer *b)
{
	uint64_t first = offset & ~(UNIT - 1);
	CUresult r;

	r = impl_cuMemAddressReserve(&b->base, b->span, 0, 0, 0);
	if (r != CUDA_SUCCESS)
		return r;
	r = impl_cuMemMap(b->base, b->span, first, e->memory, 0);
	if (r != CUDA_SUCCESS)
		goto free_address;
	r = allow(b->base, b->span);
	if (r != CUDA_SUCCESS)
		goto unmap;
	b->ptr = b->base + (offset - first);
	return CUDA_SUCCESS;

unmap:
	impl_cuMemUnmap(b->base, b->span);
free_address:
	impl_cuMemAddressFree(b->base, b->span);
	return r;
}

CUresult impl_cuExternalMemoryGetMappedBuffer(CUdeviceptr *devPtr, CUexternalMemory extMem,
					      const CUDA_EXTERNAL_MEMORY_BUFFER_DESC *bufferDesc)
{
	const CUDA_EXTERNAL_MEMORY_BUFFER_DESC *d = bufferDesc;
	struct cu_external *e = cu_handle_get(extMem, CU_KIND_EXTERNAL);
	struct buffer *b;
	CUresult r;

	if (!e)
		return CUDA_ERROR_INVALID_HANDLE;
	if (!devPtr || !d || d->flags || !d->size || d->offset > e->size ||
	    d->size > e->size - d->offset)
		return CUDA_ERROR_INVALID_VALUE;
	b = calloc(1, sizeof(*b));
	if (!b)
		return CUDA_ERROR_OUT_OF_MEMORY;
	b->span = ((d->offset & (UNIT - 1)) + d->size + UNIT - 1) & ~(UNIT - 1);
	r = map(e, d->offset, b);
	if (r != CUDA_SUCCESS) {
		free(b);
		return r;
	}
	pthread_mutex_lock(&lock);
	b->next = buffers;
	buffers = b;
	pthread_mutex_unlock(&lock);
	atomic_fetch_add(&count, 1);
	*devPtr = b->ptr;
	return CUDA_SUCCESS;
}

bool external_free(CUdeviceptr ptr, CUresult *ret)
{
	struct buffer **at, *b;

	if (!atomic_load(&count))
		return false;
	pthread_mutex_lock(&lock);
	for (at = &buffers; *at && (*at)->ptr != ptr; at = &(*at)->next)
		;
	b = *at;
	if (b)
		*at = b->next;
	pthread_mutex_unlock(&lock);
	if (!b)
		return false;
	atomic_fetch_sub(&count, 1);
	*ret = impl_cuMemUnmap(b->base, b->span); /* waits for what is queued */
	if (*ret == CUDA_SUCCESS)
		*ret = impl_cuMemAddressFree(b->base, b->span);
	free(b);
	return true;
}

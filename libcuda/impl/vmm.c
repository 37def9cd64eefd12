/* SPDX-License-Identifier: MIT */
/*
 * vmm.c - the virtual memory management API: reservations, physical memory, mappings, access.
 *
 * The worker's handle of a piece of physical memory lives as long as the program holds it or any
 * mapping does, since a mapping can be turned into a handle again (cuMemRetainAllocationHandle).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/vmm.h"

#define GRANULARITY (2ull << 20)

static bool aligned(uint64_t x)
{
	return !(x & (GRANULARITY - 1));
}

static CUresult check_prop(const CUmemAllocationProp *prop, struct cu_device **ret_dev)
{
	struct cu_device *dev;

	if (prop->type != CU_MEM_ALLOCATION_TYPE_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	switch (prop->location.type) {
	case CU_MEM_LOCATION_TYPE_DEVICE:
		dev = cu_device_get(prop->location.id);
		if (!dev)
			return CUDA_ERROR_INVALID_DEVICE;
		break;
	case CU_MEM_LOCATION_TYPE_HOST:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
		dev = cu_device_get(0);
		break;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (prop->requestedHandleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!dev)
		return CUDA_ERROR_NO_DEVICE;
	*ret_dev = dev;
	return CUDA_SUCCESS;
}

static bool on_host(const CUmemAllocationProp *prop)
{
	return prop->location.type != CU_MEM_LOCATION_TYPE_DEVICE;
}

CUresult impl_cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *prop,
					    CUmemAllocationGranularity_flags option)
{
	struct cu_device *dev;
	CUresult r;

	if (!granularity || !prop ||
	    (option != CU_MEM_ALLOC_GRANULARITY_MINIMUM &&
	     option != CU_MEM_ALLOC_GRANULARITY_RECOMMENDED))
		return CUDA_ERROR_INVALID_VALUE;
	r = check_prop(prop, &dev);
	if (r == CUDA_SUCCESS)
		*granularity = GRANULARITY;
	return r;
}

/* ---- reservations --------------------------------------------------------------------------- */

CUresult impl_cuMemAddressReserve(CUdeviceptr *ptr, size_t size, size_t alignment, CUdeviceptr addr,
				  unsigned long long flags)
{
	struct vgpu_va_reserve req = { .size = size, .align = alignment, .va = addr };
	struct cu_device *dev = cu_device_get(0);
	struct link_range r = { .size = size, .kind = LINK_RESERVED };
	int err;

	if (!ptr || !size || !aligned(size) || flags || (alignment & (alignment - 1)))
		return CUDA_ERROR_INVALID_VALUE;
	if (!dev)
		return CUDA_ERROR_NO_DEVICE;
	if (alignment < GRANULARITY)
		req.align = 0;
	/* The address is a wish. */
	if (!aligned(addr) || !link_in_window(cu_link(), addr))
		req.va = 0;
	err = link_call(dev->link, VGPU_OP_VA_RESERVE, &req, sizeof(req));
	if (err < 0 && err != -ENOMEM && err != -ENODEV && req.va) {
		req = (struct vgpu_va_reserve){ .size = size, .align = req.align };
		err = link_call(dev->link, VGPU_OP_VA_RESERVE, &req, sizeof(req));
	}
	if (err < 0)
		return cu_from_errno(err);
	r.va = req.va;
	r.dev = dev->link;
	err = link_map_add(&cu_link()->reserved, &r);
	if (err < 0) {
		struct vgpu_va_free undo = { .va = req.va, .size = size };

		link_call(dev->link, VGPU_OP_VA_FREE, &undo, sizeof(undo));
		return cu_from_errno(err);
	}
	*ptr = req.va;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemAddressFree(CUdeviceptr ptr, size_t size)
{
	struct vgpu_va_free req = { .va = ptr, .size = size };
	struct link *l = cu_link();
	struct link_range r, mapped;
	int err;

	if (link_map_find(&l->reserved, ptr, &r) < 0 || r.va != ptr || r.size != size)
		return CUDA_ERROR_INVALID_VALUE;
	if (!link_map_next(&l->ranges, ptr, &mapped) && mapped.va < ptr + size)
		return CUDA_ERROR_INVALID_VALUE;
	if (link_map_remove(&l->reserved, ptr, NULL) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	err = link_call(r.dev, VGPU_OP_VA_FREE, &req, sizeof(req));
	return err == -EBUSY ? CUDA_ERROR_INVALID_VALUE : cu_from_errno(err);
}

/* ---- physical memory ------------------------------------------------------------------------ */

static struct cu_phys *phys_create(struct link_dev *dev, const CUmemAllocationProp *prop,
				   uint64_t size)
{
	struct cu_phys *p = cu_handle_create(CU_KIND_PHYS, sizeof(*p));

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	p->refs = 1;
	p->dev = dev;
	p->size = size;
	p->fd = -1;
	p->prop = *prop;
	return p;
}

static void phys_destroy(struct cu_phys *p)
{
	if (p->fd >= 0) {
		if (p->host)
			munmap(p->host, p->size);
		close(p->fd);
	}
	pthread_mutex_destroy(&p->lock);
	cu_handle_destroy(p);
}

/* Drops a reference of either kind; the last one ends the worker's handle. */
static CUresult phys_drop(struct cu_phys *p, unsigned *count)
{
	struct vgpu_phys_release req = { .phys = p->phys };
	bool last;
	int err;

	pthread_mutex_lock(&p->lock);
	if (!*count) {
		pthread_mutex_unlock(&p->lock);
		return CUDA_ERROR_INVALID_VALUE;
	}
	--*count;
	last = !p->refs && !p->mappings;
	pthread_mutex_unlock(&p->lock);
	if (!last)
		return CUDA_SUCCESS;
	err = link_call(p->dev, VGPU_OP_PHYS_RELEASE, &req, sizeof(req));
	phys_destroy(p);
	return cu_from_errno(err);
}

/* A handle the program holds; the caller got it from it. */
static struct cu_phys *phys_get(CUmemGenericAllocationHandle handle)
{
	struct cu_phys *p = cu_handle_get((const void *)(uintptr_t)handle, CU_KIND_PHYS);
	bool held;

	if (!p)
		return NULL;
	pthread_mutex_lock(&p->lock);
	held = p->refs != 0;
	pthread_mutex_unlock(&p->lock);
	return held ? p : NULL;
}

/* The view of a piece that has its own memfd; without it copies go by the node. */
static void phys_view(struct cu_phys *p)
{
	void *map =
		mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, p->fd, 0);

	if (map == MAP_FAILED)
		return;
	madvise(map, p->size, MADV_DONTDUMP);
	p->host = map;
}

/* Asks the worker; also gives the client its view. */
static int phys_back(struct cu_phys *p)
{
	struct vgpu_phys_create req = { .size = p->size, .fd = -1 };
	int r;

	if (on_host(&p->prop))
		req.flags |= VGPU_PHYS_HOST;
	if (p->prop.requestedHandleTypes) {
		r = link_pages_memfd("vgpu-phys", p->size, &p->fd);
		if (r < 0)
			return r;
		req.flags |= VGPU_PHYS_FD;
		req.fd = p->fd;
	}
	r = link_call(p->dev, VGPU_OP_PHYS_CREATE, &req, sizeof(req));
	if (r < 0)
		return r;
	p->phys = req.phys;
	p->arena_off = req.arena_off;
	if (p->fd >= 0)
		phys_view(p);
	else if (!on_host(&p->prop) && p->dev->arena && req.arena_off < p->dev->arena_bytes &&
		 p->size <= p->dev->arena_bytes - req.arena_off)
		p->host = p->dev->arena + req.arena_off;
	return 0;
}

CUresult impl_cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size,
			  const CUmemAllocationProp *prop, unsigned long long flags)
{
	struct cu_device *dev;
	struct cu_phys *p;
	CUresult r;
	int err;

	if (!handle || !prop || !size || !aligned(size) || flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_prop(prop, &dev);
	if (r != CUDA_SUCCESS)
		return r;
	p = phys_create(dev->link, prop, size);
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	err = phys_back(p);
	if (err < 0) {
		phys_destroy(p);
		return cu_from_errno(err);
	}
	*handle = (CUmemGenericAllocationHandle)(uintptr_t)p;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemRelease(CUmemGenericAllocationHandle handle)
{
	struct cu_phys *p = phys_get(handle);

	return p ? phys_drop(p, &p->refs) : CUDA_ERROR_INVALID_VALUE;
}

CUresult impl_cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *addr)
{
	struct cu_phys *p;
	struct link_range r;

	if (!handle || link_map_find(&cu_link()->ranges, (uint64_t)(uintptr_t)addr, &r) < 0 ||
	    r.kind != LINK_MAPPED)
		return CUDA_ERROR_INVALID_VALUE;
	p = r.object;
	pthread_mutex_lock(&p->lock);
	p->refs++;
	pthread_mutex_unlock(&p->lock);
	*handle = (CUmemGenericAllocationHandle)(uintptr_t)p;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *prop,
						     CUmemGenericAllocationHandle handle)
{
	struct cu_phys *p = phys_get(handle);

	if (!prop || !p)
		return CUDA_ERROR_INVALID_VALUE;
	*prop = p->prop;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemExportToShareableHandle(void *shareableHandle,
					   CUmemGenericAllocationHandle handle,
					   CUmemAllocationHandleType handleType,
					   unsigned long long flags)
{
	struct cu_phys *p = phys_get(handle);
	int fd;

	if (!shareableHandle || !p || flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (handleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!(p->prop.requestedHandleTypes & CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) || p->fd < 0)
		return CUDA_ERROR_INVALID_VALUE;
	fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	*(int *)shareableHandle = fd;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *osHandle,
					     CUmemAllocationHandleType shHandleType)
{
	struct vgpu_phys_import req = { .fd = (int)(intptr_t)osHandle };
	CUmemAllocationProp prop = {
		.type = CU_MEM_ALLOCATION_TYPE_PINNED,
		.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
		.location = { .type = CU_MEM_LOCATION_TYPE_DEVICE },
	};
	struct cu_device *dev;
	struct cu_phys *p;
	struct cu_ctx *ctx;
	struct stat st;
	int err;

	if (!handle)
		return CUDA_ERROR_INVALID_VALUE;
	if (shHandleType != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
		return CUDA_ERROR_NOT_SUPPORTED;
	dev = cu_ctx_current(&ctx) == CUDA_SUCCESS ? ctx->dev : cu_device_get(0);
	if (!dev)
		return CUDA_ERROR_NO_DEVICE;
	/* The size is what both sides see; the worker says it again. */
	if (fstat(req.fd, &st) < 0 || st.st_size <= 0 || !aligned((uint64_t)st.st_size))
		return CUDA_ERROR_INVALID_VALUE;
	prop.location.id = dev->ordinal;
	p = phys_create(dev->link, &prop, (uint64_t)st.st_size);
	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	err = link_call(dev->link, VGPU_OP_PHYS_IMPORT, &req, sizeof(req));
	if (err < 0) {
		phys_destroy(p);
		return err == -EPERM || err == -EBADF ? CUDA_ERROR_INVALID_VALUE
						      : cu_from_errno(err);
	}
	p->phys = req.phys;
	if (req.size < p->size)
		p->size = req.size;
	p->fd = fcntl(req.fd, F_DUPFD_CLOEXEC, 100);
	if (p->fd >= 0)
		phys_view(p);
	*handle = (CUmemGenericAllocationHandle)(uintptr_t)p;
	return CUDA_SUCCESS;
}

/* ---- for other rooms: memory without a handle ---------------------------------------------------- */

int cu_vmm_access_set(struct link_dev *dev, uint64_t va, uint64_t size, uint32_t prot)
{
	struct vgpu_va_access req = { .va = va, .size = size, .device = dev->index, .prot = prot };

	return link_call(dev, VGPU_OP_VA_ACCESS, &req, sizeof(req));
}

int cu_vmm_bind(struct link_dev *dev, uint64_t va, uint64_t size, int fd, uint64_t *ret_arena_off)
{
	struct vgpu_phys_create phys = { .size = size,
					 .flags = fd < 0 ? 0 : VGPU_PHYS_FD,
					 .fd = fd };
	struct vgpu_phys_release drop = { 0 };
	struct vgpu_va_map map = { .va = va, .size = size };
	int r;

	r = link_call(dev, VGPU_OP_PHYS_CREATE, &phys, sizeof(phys));
	if (r < 0)
		return r;
	map.phys = drop.phys = phys.phys;
	r = link_call(dev, VGPU_OP_VA_MAP, &map, sizeof(map));
	if (!r) {
		r = cu_vmm_access_set(dev, va, size, VGPU_PROT_READ_WRITE);
		if (r < 0)
			cu_vmm_unbind(dev, va, size);
	}
	link_call(dev, VGPU_OP_PHYS_RELEASE, &drop, sizeof(drop));
	if (!r)
		*ret_arena_off = phys.arena_off;
	return r;
}

void cu_vmm_unbind(struct link_dev *dev, uint64_t va, uint64_t size)
{
	struct vgpu_va_unmap unmap = { .va = va, .size = size };

	link_call(dev, VGPU_OP_VA_UNMAP, &unmap, sizeof(unmap));
}

/* ---- mappings ------------------------------------------------------------------------------- */

CUresult impl_cuMemMap(CUdeviceptr ptr, size_t size, size_t offset,
		       CUmemGenericAllocationHandle handle, unsigned long long flags)
{
	struct vgpu_va_map req = { .va = ptr, .size = size, .offset = offset };
	struct link_range reserved, r = { .va = ptr, .size = size, .kind = LINK_MAPPED };
	struct cu_phys *p = phys_get(handle);
	struct link *l = cu_link();
	int err;

	if (!p || !size || flags || !aligned(ptr) || !aligned(size) || !aligned(offset) ||
	    offset > p->size || size > p->size - offset)
		return CUDA_ERROR_INVALID_VALUE;
	if (link_map_find(&l->reserved, ptr, &reserved) < 0 ||
	    size > reserved.va + reserved.size - ptr)
		return CUDA_ERROR_INVALID_VALUE;

	pthread_mutex_lock(&p->lock);
	p->mappings++;
	pthread_mutex_unlock(&p->lock);
	req.phys = p->phys;
	r.dev = p->dev;
	r.object = p;
	r.arena_off = p->arena_off + offset;
	r.host = p->host ? p->host + offset : NULL;
	r.worker_visible = true;
	err = link_map_add(&l->ranges, &r);
	if (err < 0)
		goto drop;
	err = link_call(p->dev, VGPU_OP_VA_MAP, &req, sizeof(req));
	if (err < 0)
		goto forget;
	return CUDA_SUCCESS;

forget:
	link_map_remove(&l->ranges, ptr, NULL);
drop:
	phys_drop(p, &p->mappings);
	return err == -EEXIST || err == -EBUSY ? CUDA_ERROR_INVALID_VALUE : cu_from_errno(err);
}

/* Are there whole mappings, one after the other, that make up [ptr, +size)? */
static bool whole_mappings(struct link *l, uint64_t ptr, uint64_t size)
{
	uint64_t at = ptr;
	struct link_range r;

	if (!size || ptr + size < ptr)
		return false;
	while (at < ptr + size) {
		if (link_map_find(&l->ranges, at, &r) < 0 || r.va != at || r.kind != LINK_MAPPED)
			return false;
		at += r.size;
	}
	return at == ptr + size;
}

static void sync_current(void)
{
	struct cu_ctx *ctx;

	if (cu_ctx_current(&ctx) == CUDA_SUCCESS)
		cu_stream_sync_ctx(ctx);
}

CUresult impl_cuMemUnmap(CUdeviceptr ptr, size_t size)
{
	struct vgpu_va_unmap req = { .va = ptr, .size = size };
	struct cu_device *dev = cu_device_get(0);
	struct link *l = cu_link();
	struct link_range r;
	int err;

	if (!dev || !whole_mappings(l, ptr, size))
		return CUDA_ERROR_INVALID_VALUE;
	/* What is queued may still use it. */
	sync_current();
	err = link_call(dev->link, VGPU_OP_VA_UNMAP, &req, sizeof(req));
	if (err < 0)
		return cu_from_errno(err);
	for (uint64_t at = ptr; at < ptr + size; at += r.size) {
		if (link_map_remove(&l->ranges, at, &r) < 0)
			break;
		phys_drop(r.object, &((struct cu_phys *)r.object)->mappings);
	}
	return CUDA_SUCCESS;
}

static CUresult access_one(uint64_t ptr, uint64_t size, const CUmemAccessDesc *desc)
{
	struct vgpu_va_access req = { .va = ptr, .size = size, .prot = (uint32_t)desc->flags };
	struct cu_device *dev;
	struct link *l = cu_link();
	struct link_range r;
	uint32_t shift;
	int err;

	if (desc->flags != CU_MEM_ACCESS_FLAGS_PROT_NONE &&
	    desc->flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
	    desc->flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
		return CUDA_ERROR_INVALID_VALUE;
	if (desc->location.type == CU_MEM_LOCATION_TYPE_HOST ||
	    desc->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (desc->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	dev = cu_device_get(desc->location.id);
	if (!dev)
		return CUDA_ERROR_INVALID_DEVICE;
	req.device = dev->link->index;
	err = link_call(dev->link, VGPU_OP_VA_ACCESS, &req, sizeof(req));
	if (err < 0)
		return cu_from_errno(err);
	shift = 2 * (dev->link->index & 15);
	for (uint64_t at = ptr; at < ptr + size; at += r.size) {
		if (link_map_find(&l->ranges, at, &r) < 0)
			break;
		link_map_set_flags(&l->ranges, at,
				   (r.flags & ~(3u << shift)) | (uint32_t)desc->flags << shift);
	}
	return CUDA_SUCCESS;
}

CUresult impl_cuMemSetAccess(CUdeviceptr ptr, size_t size, const CUmemAccessDesc *desc,
			     size_t count)
{
	CUresult r = CUDA_SUCCESS;

	if (!desc || !count || !whole_mappings(cu_link(), ptr, size))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++)
		r = access_one(ptr, size, &desc[i]);
	return r;
}

CUresult impl_cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location,
			     CUdeviceptr ptr)
{
	struct cu_device *dev;
	struct link_range r;

	if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	dev = cu_device_get(location->id);
	if (!dev)
		return CUDA_ERROR_INVALID_DEVICE;
	if (link_map_find(&cu_link()->ranges, ptr, &r) < 0 || r.kind != LINK_MAPPED)
		return CUDA_ERROR_INVALID_VALUE;
	*flags = cu_vmm_access(r.flags, dev->link->index);
	return CUDA_SUCCESS;
}

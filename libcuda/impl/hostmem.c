/* SPDX-License-Identifier: MIT */
/*
 * hostmem.c - pinned host memory: allocated by us, or the program's own, registered.
 *
 * With shared pages it has one address on both sides. Without, it is memory of this process alone:
 * copies work, a device pointer to it is refused.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/hostmem.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/place.h"

#define PAGE 4096ull
#define ALLOC_FLAGS                                                                                \
	(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED)
#define REGISTER_FLAGS                                                                             \
	(CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |                              \
	 CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY)

static uint64_t page_down(uint64_t x)
{
	return x & ~(PAGE - 1);
}

static uint64_t page_up(uint64_t x)
{
	return (x + PAGE - 1) & ~(PAGE - 1);
}

/* ---- allocated ------------------------------------------------------------------------------ */

static void free_in_worker(struct link_dev *dev, uint64_t va)
{
	struct vgpu_mem_free req = { .va = va };

	link_call(dev, VGPU_OP_MEM_FREE, &req, sizeof(req));
}

static int alloc_shared(struct cu_ctx *ctx, size_t bytes, unsigned flags, uint64_t *ret_va)
{
	struct vgpu_mem_alloc req = {
		.ctx = ctx->ctx, .kind = VGPU_MEM_HOST, .size = page_up(bytes), .align = PAGE
	};
	struct link *l = ctx->dev->link->link;
	int r;

	r = link_call(ctx->dev->link, VGPU_OP_MEM_ALLOC, &req, sizeof(req));
	if (r < 0)
		return r;
	r = link_pages_map_host(l, req.va, page_up(bytes), req.arena_off);
	if (r < 0)
		goto free_memory;
	r = cu_memory_add(ctx, LINK_PINNED, req.va, bytes, req.arena_off, flags);
	if (r < 0)
		goto unmap;
	*ret_va = req.va;
	return 0;

unmap:
	link_pages_unmap(l, req.va, page_up(bytes));
free_memory:
	free_in_worker(ctx->dev->link, req.va);
	return r;
}

static int alloc_private(struct cu_ctx *ctx, size_t bytes, unsigned flags, uint64_t *ret_va)
{
	void *p = mmap(NULL, page_up(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	struct link_range range = {
		.va = (uint64_t)(uintptr_t)p,
		.size = bytes,
		.kind = LINK_PINNED,
		.flags = flags,
		.dev = ctx->dev->link,
		.host = p,
		.ctx = ctx,
	};
	int r;

	if (p == MAP_FAILED)
		return -ENOMEM;
	r = link_map_add(&ctx->dev->link->link->ranges, &range);
	if (r < 0) {
		munmap(p, page_up(bytes));
		return r;
	}
	*ret_va = range.va;
	return 0;
}

CUresult impl_cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags)
{
	struct cu_ctx *ctx;
	uint64_t va;
	CUresult r;
	int err;

	if (!pp || !bytesize || bytesize > SIZE_MAX - PAGE || (Flags & ~(unsigned)ALLOC_FLAGS))
		return CUDA_ERROR_INVALID_VALUE;
	r = capture_unsafe();
	if (r == CUDA_SUCCESS)
		r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	if (ctx->dev->link->link->host_fd >= 0)
		err = alloc_shared(ctx, bytesize, Flags, &va);
	else
		err = alloc_private(ctx, bytesize, Flags, &va);
	if (err < 0)
		return cu_from_errno(err);
	*pp = (void *)(uintptr_t)va;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemAllocHost_v2(void **pp, size_t bytesize)
{
	return impl_cuMemHostAlloc(pp, bytesize, 0);
}

CUresult impl_cuMemFreeHost(void *p)
{
	uint64_t va = (uint64_t)(uintptr_t)p;
	struct link *l = cu_link();
	struct link_range r;
	CUresult error;

	if (!p || link_map_find(&l->ranges, va, &r) < 0 || r.va != va || r.kind != LINK_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	error = cu_stream_sync_ctx(r.ctx);
	if (link_map_remove(&l->ranges, va, &r) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	if (!r.worker_visible) {
		munmap(p, page_up(r.size));
		return error;
	}
	/* Ours first: the worker may give the address to somebody else the moment it is free. */
	link_pages_unmap(l, va, page_up(r.size));
	free_in_worker(r.dev, va);
	return error;
}

CUresult impl_cuMemHostGetDevicePointer_v2(CUdeviceptr *pdptr, void *p, unsigned int Flags)
{
	struct place at;

	if (!pdptr || !p || Flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (place_find((uint64_t)(uintptr_t)p, 1, &at) < 0 || !at.known ||
	    (at.range.kind != LINK_PINNED && at.range.kind != LINK_REGISTERED &&
	     at.range.kind != LINK_MANAGED))
		return CUDA_ERROR_INVALID_VALUE;
	if (!at.worker_visible)
		return CUDA_ERROR_NOT_SUPPORTED;
	*pdptr = (CUdeviceptr)(uintptr_t)p;
	return CUDA_SUCCESS;
}

CUresult impl_cuMemHostGetFlags(unsigned int *pFlags, void *p)
{
	struct link_range r;

	if (!pFlags || !p || link_map_find(&cu_link()->ranges, (uint64_t)(uintptr_t)p, &r) < 0 ||
	    r.kind != LINK_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	*pFlags = r.flags;
	return CUDA_SUCCESS;
}

/* ---- registered ----------------------------------------------------------------------------- */

/* Back to what they were. */
static void undo_share(const struct link_range *run)
{
	struct vgpu_host_unregister req = { .va = run->va };

	link_call(run->dev, VGPU_OP_HOST_UNREGISTER, &req, sizeof(req));
	if (run->replaced && link_pages_private(run->va, run->size) < 0)
		cu_log(CU_LOG_WARN, "0x%llx stays shared after its registration: no memory",
		       (unsigned long long)run->va);
}

/* One registration less for the runs of [@from, @to); the lock is held. */
static void put_runs(struct link *l, uint64_t from, uint64_t to)
{
	struct link_range run;

	while (from < to && !link_map_next(&l->registered, from, &run) && run.va < to) {
		from = run.va + run.size;
		if (run.flags > 1) {
			link_map_set_flags(&l->registered, run.va, run.flags - 1);
			continue;
		}
		undo_share(&run);
		link_map_remove(&l->registered, run.va, NULL);
	}
}

void cu_hostmem_unregister(const struct link_range *r)
{
	struct link *l = r->dev->link;

	if (!r->worker_visible)
		return;
	pthread_mutex_lock(&l->register_lock);
	put_runs(l, page_down(r->va), page_up(r->va + r->size));
	pthread_mutex_unlock(&l->register_lock);
}

/* The program's pages become shared ones, unless they are; the worker maps them where they are. */
static int share(struct cu_ctx *ctx, uint64_t va, uint64_t size, bool *ret_replaced)
{
	struct vgpu_host_register req = { .va = va, .size = size, .ctx = ctx->ctx };
	bool replaced = true, read_only;
	int r;

	r = link_pages_share(va, size, &req.fd, &read_only);
	if (r == -ENOTSUP) {
		replaced = false;
		req.flags = VGPU_HOST_MAPPED;
		r = link_pages_find(va, size, &req.fd, &req.offset, &read_only);
	}
	if (r < 0)
		return r;
	if (read_only)
		req.flags |= VGPU_HOST_READ_ONLY;
	r = link_call(ctx->dev->link, VGPU_OP_HOST_REGISTER, &req, sizeof(req));
	close(req.fd);
	if (r < 0 && replaced)
		link_pages_private(va, size);
	/* Taken in the worker, or a file that the daemon does not want. */
	if (r == -EADDRINUSE || (!replaced && (r == -EPERM || r == -EACCES || r == -EAGAIN)))
		return -ENOTSUP;
	if (r == 0)
		*ret_replaced = replaced;
	return r;
}

/* Pages that are registered already count one more; what lies between them becomes runs, too. */
static int get_runs(struct cu_ctx *ctx, uint64_t from, uint64_t to)
{
	struct link *l = ctx->dev->link->link;
	struct link_range run;
	uint64_t at = from, next;
	int r = 0;

	pthread_mutex_lock(&l->register_lock);
	while (r == 0 && at < to) {
		next = to;
		if (!link_map_next(&l->registered, at, &run)) {
			if (run.va <= at) {
				link_map_set_flags(&l->registered, run.va, run.flags + 1);
				at = run.va + run.size;
				continue;
			}
			if (run.va < to)
				next = run.va;
		}
		run = (struct link_range){ .va = at,
					   .size = next - at,
					   .kind = LINK_REGISTERED,
					   .flags = 1,
					   .dev = ctx->dev->link,
					   .ctx = ctx };
		r = share(ctx, at, next - at, &run.replaced);
		if (r == 0) {
			r = link_map_add(&l->registered, &run);
			if (r < 0)
				undo_share(&run);
		}
		if (r == 0)
			at = next;
	}
	if (r < 0)
		put_runs(l, from, at);
	pthread_mutex_unlock(&l->register_lock);
	return r;
}

CUresult impl_cuMemHostRegister_v2(void *p, size_t bytesize, unsigned int Flags)
{
	struct link_range range = { .va = (uint64_t)(uintptr_t)p, .size = bytesize };
	struct link_range other;
	uint64_t from = page_down(range.va), to = range.va + bytesize;
	struct link *l;
	struct cu_ctx *ctx;
	CUresult r;
	int err;

	if (!p || !bytesize || to < range.va || to > UINT64_MAX - PAGE ||
	    (Flags & ~(unsigned)REGISTER_FLAGS))
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	if (Flags & CU_MEMHOSTREGISTER_IOMEMORY)
		return CUDA_ERROR_NOT_SUPPORTED;
	l = ctx->dev->link->link;
	if (!link_map_next(&l->ranges, range.va, &other) && other.va < to)
		return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
	if (link_in_window(l, range.va))
		return CUDA_ERROR_INVALID_VALUE;
	if (l->host_fd >= 0) {
		err = get_runs(ctx, from, page_up(to));
		if (err == -ENOTSUP) {
			cu_log(CU_LOG_WARN,
			       "cuMemHostRegister(%p, %zu): no way to share this memory with the "
			       "device",
			       p, bytesize);
			return CUDA_ERROR_NOT_SUPPORTED;
		}
		if (err < 0)
			return cu_from_errno(err);
		range.worker_visible = true;
	}
	range.kind = LINK_REGISTERED;
	range.flags = Flags;
	range.dev = ctx->dev->link;
	range.host = p;
	range.ctx = ctx;
	err = link_map_add(&l->ranges, &range);
	if (err < 0) {
		cu_hostmem_unregister(&range);
		return err == -EEXIST ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED
				      : cu_from_errno(err);
	}
	return CUDA_SUCCESS;
}

CUresult impl_cuMemHostRegister(void *p, size_t bytesize, unsigned int Flags)
{
	return impl_cuMemHostRegister_v2(p, bytesize, Flags);
}

CUresult impl_cuMemHostUnregister(void *p)
{
	uint64_t va = (uint64_t)(uintptr_t)p;
	struct link *l = cu_link();
	struct link_range r;
	CUresult error;

	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	if (link_map_find(&l->ranges, va, &r) < 0 || r.va != va || r.kind != LINK_REGISTERED)
		return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
	error = cu_stream_sync_ctx(r.ctx);
	if (link_map_remove(&l->ranges, va, &r) < 0)
		return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
	cu_hostmem_unregister(&r);
	return error;
}

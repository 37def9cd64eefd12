/* SPDX-License-Identifier: MIT */
/*
 * share.c - the shared pages: made once, before the first operation that needs the worker.
 *
 * Each kind stands by itself. Without CONTROL commands travel by SUBMIT; without HOST pinned memory
 * is not visible to kernels; without DEVICE bytes travel by pread and pwrite. None of this is an
 * error.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "libcuda/link/internal.h"

#define HOST_BYTES (256ull << 30)
#define TWO_MIB	   (2ull << 20)

/* Under a limit on file sizes the kernel sends SIGXFSZ for a memfd as well. */
static bool file_limit_allows(uint64_t bytes)
{
	struct rlimit lim;

	return getrlimit(RLIMIT_FSIZE, &lim) < 0 || lim.rlim_cur == RLIM_INFINITY ||
	       lim.rlim_cur >= bytes;
}

static int announce(struct link_dev *dev, uint32_t kind, int fd, uint64_t size)
{
	struct vgpu_share share = { .kind = kind, .fd = fd, .size = size };

	return link_call_raw(dev, VGPU_OP_SHARE, &share, sizeof(share));
}

/* A memfd of @size known to the worker and, with @ret_map, mapped here; *ret_fd stays open if
 * wanted. */
static int share_one(struct link_dev *dev, const char *name, uint32_t kind, uint64_t size,
		     void **ret_map, int *ret_fd)
{
	void *map = NULL;
	int fd, r;

	if (!file_limit_allows(size))
		return -EFBIG;
	r = link_pages_memfd(name, size, &fd);
	if (r < 0)
		return r;
	if (ret_map) {
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
		if (map == MAP_FAILED) {
			r = -errno;
			goto close_fd;
		}
		madvise(map, size, MADV_DONTDUMP);
		madvise(map, size, MADV_DONTFORK);
	}
	r = announce(dev, kind, fd, size);
	if (r < 0)
		goto unmap;
	if (ret_map)
		*ret_map = map;
	if (ret_fd)
		*ret_fd = fd;
	else
		close(fd);
	return 0;

unmap:
	if (map)
		munmap(map, size);
close_fd:
	close(fd);
	return r;
}

void link_share_pages(struct link *l)
{
	const char *off = secure_getenv("VGPU_SHARED_PAGES");
	uint64_t host = HOST_BYTES;
	void *map;

	if ((off && !strcmp(off, "0")) || !(l->dev[0]->features & VGPU_FEATURE_SHARED_PAGES))
		return;

	if (!share_one(l->dev[0], "vgpu-control", VGPU_SHARE_CONTROL, VGPU_SHARE_CONTROL_BYTES,
		       &map, NULL))
		l->control = map;
	/* Pinned memory is mapped at its address in the upper half of the window. */
	if (host > l->window_size / 2)
		host = l->window_size / 2;
	if (l->window_reserved &&
	    share_one(l->dev[0], "vgpu-host", VGPU_SHARE_HOST, host, NULL, &l->host_fd) < 0)
		l->host_fd = -1;

	for (uint32_t i = 0; i < l->dev_count; i++) {
		struct link_dev *d = l->dev[i];
		uint64_t bytes = (d->info.mem_total + TWO_MIB - 1) & ~(TWO_MIB - 1);

		if (!bytes ||
		    share_one(d, "vgpu-device", VGPU_SHARE_DEVICE, bytes, &map, &d->arena_fd) < 0)
			continue;
		d->arena = map;
		d->arena_bytes = bytes;
	}
}

void link_unshare_pages(struct link *l)
{
	for (uint32_t i = 0; i < l->dev_count; i++) {
		if (l->dev[i]->arena)
			munmap(l->dev[i]->arena, l->dev[i]->arena_bytes);
		if (l->dev[i]->arena_fd >= 0)
			close(l->dev[i]->arena_fd);
	}
	if (l->host_fd >= 0)
		close(l->host_fd);
	if (l->control)
		munmap(l->control, VGPU_SHARE_CONTROL_BYTES);
	l->control = NULL;
	l->host_fd = -1;
}

int link_start(struct link *l)
{
	if (__atomic_load_n(&l->started, __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&l->start_lock);
	if (!l->started) {
		link_share_pages(l);
		__atomic_store_n(&l->started, 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&l->start_lock);
	return 0;
}

bool link_shared(const struct link *l)
{
	return l->control != NULL;
}

uint32_t link_ctx_error(const struct link *l, uint32_t slot)
{
	if (!l->control || slot >= VGPU_SHARE_CONTEXTS)
		return 0;
	return __atomic_load_n(&l->control->ctx[slot].error, __ATOMIC_ACQUIRE);
}

uint32_t link_ctx_console(const struct link *l, uint32_t slot)
{
	if (!l->control || slot >= VGPU_SHARE_CONTEXTS)
		return 1;
	return __atomic_load_n(&l->control->ctx[slot].console, __ATOMIC_ACQUIRE);
}

/* SPDX-License-Identifier: MIT */
/*
 * mem.h - memory of one client process: addresses of its window, the arenas behind them, copies.
 *
 *   window   [ lower half: device memory, reservations | upper half: the HOST arena, in order ]
 *   arena    a memfd; given out in units of 2 MiB, punched empty when they come back
 *   mapping  a range of addresses bound to backing; everything else in the window is PROT_NONE
 *
 * All functions may be called from any thread; one lock guards all of it. Whoever touches memory
 * for long pins the range: taking a mapping away waits for pins, so that a copy never faults.
 * Kernels pin nothing; their faults belong to the backend.
 *
 * Errors besides those of vgpu_ioctl.h: -EFAULT where a range is not mapped, or not so.
 */
#ifndef MEM_MEM_H
#define MEM_MEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ioctl/vgpu_ioctl.h"
#include "ioctl/vgpu_share.h"

#define MEM_UNIT 0x200000ull /* granularity of backing and of reservations */

struct mem;

/** Where memory comes from. Descriptors become mem's; -1: make a memfd of that size. */
struct mem_arena_config {
	int fd;
	uint64_t bytes;
	uint64_t capacity; /* devices: most bytes that may be backed at one time */
};

struct mem_config {
	uint64_t window_base, window_size;
	uint32_t device_count;
	struct mem_arena_config host;
	struct mem_arena_config device[VGPU_MAX_DEVICES];
};

int mem_create(const struct mem_config *config, struct mem **ret_mem);
void mem_destroy(struct mem *m);

/** mem_take_charge() - bytes by which the backing of @device grew since the last call. */
int64_t mem_take_charge(struct mem *m, uint32_t device);

/* ------------------------------------------------------------------ alloc.c, hostreg.c */

struct mem_block;

/** Whose allocations die together: a context. Zero it before use. */
struct mem_owner {
	struct mem_block *blocks;
};

/** mem_alloc() - MEM_ALLOC. Content is undefined where units are shared. */
int mem_alloc(struct mem *m, struct mem_owner *owner, uint32_t device, struct vgpu_mem_alloc *req);
/** mem_alloc_zeroed() - the same for the daemon's own use, filled with zeros. */
int mem_alloc_zeroed(struct mem *m, struct mem_owner *owner, uint32_t device, uint32_t kind,
		     uint64_t size, uint64_t *ret_va, uint64_t *ret_arena_off);
int mem_free(struct mem *m, uint64_t va);
/** mem_owner_fini() - free all allocations and registrations of @owner. */
void mem_owner_fini(struct mem *m, struct mem_owner *owner);

/** mem_host_register() - HOST_REGISTER; @fd becomes mem's if it returns 0. */
int mem_host_register(struct mem *m, struct mem_owner *owner, const struct vgpu_host_register *req,
		      int fd);
int mem_host_unregister(struct mem *m, uint64_t va);
/** mem_host_ranges() - what is registered: {start, bytes}, rising; the caller frees it. */
int mem_host_ranges(struct mem *m, uint64_t (**ret_ranges)[2], size_t *ret_count);

/* ------------------------------------------------------------------------------- va.c, phys.c */

int mem_va_reserve(struct mem *m, struct vgpu_va_reserve *req);
int mem_va_free(struct mem *m, uint64_t va, uint64_t size);
int mem_va_map(struct mem *m, const struct vgpu_va_map *req);
int mem_va_unmap(struct mem *m, uint64_t va, uint64_t size);
int mem_va_access(struct mem *m, const struct vgpu_va_access *req);

/** mem_phys_create(), mem_phys_import() - @fd becomes mem's if they return 0. */
int mem_phys_create(struct mem *m, uint32_t device, struct vgpu_phys_create *req, int fd);
int mem_phys_import(struct mem *m, struct vgpu_phys_import *req, int fd);
int mem_phys_release(struct mem *m, uint32_t phys);

/* ------------------------------------------------------------------------------------- copy.c */

int mem_copy(struct mem *m, uint64_t dst, uint64_t src, uint64_t bytes);
int mem_copy_rect(struct mem *m, const struct vgpu_cmd_copy_rect *c);
int mem_fill(struct mem *m, const struct vgpu_cmd_fill *c);
/** mem_read(), mem_write() - between device-visible memory and a private buffer. */
int mem_read(struct mem *m, uint64_t va, void *buf, uint64_t bytes);
int mem_write(struct mem *m, uint64_t va, const void *buf, uint64_t bytes);
/** mem_on_device() - whether @va lies where device memory has its addresses. */
bool mem_on_device(const struct mem *m, uint64_t va);
/** mem_load(), mem_store() - one aligned word of 4 or 8 bytes, in one access. */
int mem_load(struct mem *m, uint64_t va, uint32_t bytes, uint64_t *ret_value);
int mem_store(struct mem *m, uint64_t va, uint32_t bytes, uint64_t value);

#endif

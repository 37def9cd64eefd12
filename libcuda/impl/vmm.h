/* SPDX-License-Identifier: MIT */
/*
 * vmm.h - physical memory handles of the virtual memory management API.
 */
#ifndef IMPL_VMM_H
#define IMPL_VMM_H

#include "libcuda/core/ctx.h"
#include "libcuda/link/link.h"

/** struct cu_phys - a CUmemGenericAllocationHandle. */
struct cu_phys {
	struct cu_head head;
	pthread_mutex_t lock;
	unsigned refs;	   /* the program's: create, import, retain; guarded by lock */
	unsigned mappings; /* guarded by lock */
	struct link_dev *dev;
	uint32_t phys; /* the worker's handle */
	uint64_t size;
	uint64_t arena_off;
	int fd;	       /* its own memfd if it can be exported or was imported, else -1 */
	uint8_t *host; /* client's view of all of it, NULL without shared pages */
	CUmemAllocationProp prop;
};

/** cu_vmm_access() - protection of a mapping for the daemon's device @index; @flags of its range.
 */
static inline unsigned cu_vmm_access(uint32_t flags, uint32_t index)
{
	return flags >> (2 * (index & 15)) & 3;
}

/**
 * cu_vmm_bind() - fresh memory of @dev at @va, inside a reservation, which it may read and write; 0 or
 * -errno. The mapping holds the memory: cu_vmm_unbind() gives it back. @fd: a memfd of that size that the
 * memory is to be, or -1: a part of the arena.
 */
int cu_vmm_bind(struct link_dev *dev, uint64_t va, uint64_t size, int fd, uint64_t *ret_arena_off);
void cu_vmm_unbind(struct link_dev *dev, uint64_t va, uint64_t size);
/** cu_vmm_access_set() - of the device with @dev's index to whole mappings; 0 or -errno. */
int cu_vmm_access_set(struct link_dev *dev, uint64_t va, uint64_t size, uint32_t prot);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * pool.h - memory pools: what stream-ordered allocations are cut from.
 *
 *   cu_pool ── pool_chunk, a VMM mapping ── pool_block, side by side, used or free
 *
 * A free block remembers the command behind which its memory is nobody's any more. A stream that
 * comes after that command anyway may have the block at once, any other when it is done.
 */
#ifndef IMPL_POOL_H
#define IMPL_POOL_H

#include "libcuda/core/stream.h"

struct pool_chunk;

/** struct cu_pool - a CUmemoryPool; it belongs to a device, not to a context. */
struct cu_pool {
	struct cu_head head;
	struct cu_pool *next; /* all pools; guarded by the list's lock */
	struct cu_device *dev;
	bool is_default;	  /* constant */
	bool shareable;		  /* its memory can be opened by other processes; constant */
	struct ipc_place *origin; /* of a pool of another process: what it says; constant */
	uint64_t id;		  /* unique in the process; constant */
	bool closed;		  /* destroyed by the program; guarded by lock */
	size_t max_bytes;	  /* 0: as the device has; constant */
	pthread_mutex_t lock;
	struct pool_chunk *chunks;	      /* guarded by lock, as all below */
	struct pool_block *free_list;	      /* of all chunks */
	bool follow, opportunistic, internal; /* CU_MEMPOOL_ATTR_REUSE_* */
	uint64_t threshold;
	uint64_t reserved, reserved_high;
	uint64_t used, used_high;
	uint8_t access[VGPU_MAX_DEVICES]; /* CUmemAccess_flags, by ordinal */
};

CUresult pool_create(struct cu_device *dev, bool is_default, size_t max_bytes,
		     struct cu_pool **ret_pool);
/** pool_place() - where an allocation of a shareable pool lies. INVALID_VALUE: it is none. */
CUresult pool_place(CUdeviceptr va, struct ipc_place *ret_place);
/** pool_destroy() - the handle goes; the memory when the last allocation does. */
CUresult pool_destroy(struct cu_pool *p);

/** pool_alloc() - memory that commands of @s may use from here on. */
CUresult pool_alloc(struct cu_pool *p, size_t bytes, struct cu_stream *s, CUdeviceptr *ret_va);
/** pool_free() - after all that is in @s so far; @s NULL: now. INVALID_VALUE: not of a pool. */
CUresult pool_free(CUdeviceptr va, struct cu_stream *s);
/** pool_trim() - give memory back until at most @keep bytes are reserved. */
void pool_trim(struct cu_pool *p, uint64_t keep);
/** pool_synced() - after a wait of the program: pools give back what is above their threshold. */
void pool_synced(void);
/** pool_ctx_fini() - @ctx is going; with the last one of its device goes what pools hold. */
void pool_ctx_fini(struct cu_ctx *ctx);

/** cu_pool_default(), cu_pool_current() - of a device. */
CUresult cu_pool_default(struct cu_device *dev, struct cu_pool **ret_pool);
CUresult cu_pool_current(struct cu_device *dev, struct cu_pool **ret_pool);
/** cu_pool_of() - the pool of an allocation's range. */
struct cu_pool *cu_pool_of(const void *object);

#endif

/* SPDX-License-Identifier: MIT */
/* handle.c - slots for handles; see handle.h. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "libcuda/core/handle.h"

#define HANDLE_SLOTS (4u << 20) /* most handles alive at once, of all kinds */
#define KNOWN_SLOTS  1024u	/* shown to a leak checker at a time */

/* Of the program's address sanitizer, if it has one: what hangs on handles is not lost. */
void __lsan_register_root_region(const void *p, size_t bytes) __attribute__((weak));

struct slot {
	struct cu_head head;
	struct slot *next_free; /* valid while kind is CU_KIND_FREE */
	uint8_t rest[CU_HANDLE_BYTES - sizeof(struct cu_head) - sizeof(struct slot *)];
};

static struct {
	pthread_mutex_t lock;
	_Atomic(struct slot *) base;	     /* written once, under lock */
	struct slot *first_free, *last_free; /* guarded by lock: a queue, oldest first */
	uint32_t used, free;		     /* guarded by lock */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Only address space: pages come when a slot is first used. */
static struct slot *pool_base(void)
{
	struct slot *base = atomic_load_explicit(&pool.base, memory_order_acquire);

	if (base)
		return base;
	base = mmap(NULL, (size_t)HANDLE_SLOTS * sizeof(struct slot), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	atomic_store_explicit(&pool.base, base, memory_order_release);
	return base;
}

void *cu_handle_create(enum cu_kind kind, size_t bytes)
{
	struct slot *base, *s = NULL;

	if (bytes > sizeof(struct slot))
		return NULL;
	pthread_mutex_lock(&pool.lock);
	base = pool_base();
	if (!base)
		goto unlock;
	/* Old slots are used again late, so that stale handles stay invalid for long. */
	if (pool.first_free && (pool.free > 1024 || pool.used == HANDLE_SLOTS)) {
		s = pool.first_free;
		pool.first_free = s->next_free;
		if (!pool.first_free)
			pool.last_free = NULL;
		pool.free--;
	} else if (pool.used < HANDLE_SLOTS) {
		s = &base[pool.used++];
		if (__lsan_register_root_region && pool.used % KNOWN_SLOTS == 1)
			__lsan_register_root_region(s, KNOWN_SLOTS * sizeof(*s));
	}
unlock:
	pthread_mutex_unlock(&pool.lock);
	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	__atomic_store_n(&s->head.kind, (uint32_t)kind, __ATOMIC_RELEASE);
	return s;
}

void cu_handle_destroy(void *handle)
{
	struct slot *s = handle;

	if (!s)
		return;
	__atomic_store_n(&s->head.kind, (uint32_t)CU_KIND_FREE, __ATOMIC_RELEASE);
	pthread_mutex_lock(&pool.lock);
	s->next_free = NULL;
	if (pool.last_free)
		pool.last_free->next_free = s;
	else
		pool.first_free = s;
	pool.last_free = s;
	pool.free++;
	pthread_mutex_unlock(&pool.lock);
}

enum cu_kind cu_handle_kind(const void *handle)
{
	const struct slot *base = atomic_load_explicit(&pool.base, memory_order_acquire);
	uintptr_t off;

	if (!base || (uintptr_t)handle < (uintptr_t)base)
		return CU_KIND_FREE;
	off = (uintptr_t)handle - (uintptr_t)base;
	if (off >= (uintptr_t)HANDLE_SLOTS * sizeof(*base) || off % sizeof(*base))
		return CU_KIND_FREE;
	return (enum cu_kind)__atomic_load_n(&base[off / sizeof(*base)].head.kind,
					     __ATOMIC_ACQUIRE);
}

void *cu_handle_get(const void *handle, enum cu_kind kind)
{
	return cu_handle_kind(handle) == kind ? (void *)(uintptr_t)handle : NULL;
}

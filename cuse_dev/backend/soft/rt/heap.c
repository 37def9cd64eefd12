/* SPDX-License-Identifier: MIT */
/*
 * heap.c - malloc and free for kernels: boundary tags and size-class lists in device memory.
 *
 *   head | block | block | ... | end mark        all offsets from the aligned start of the region
 *
 *   block = tag (16 bytes), then the caller's bytes; a free one keeps its list links there
 *   tag   = size | used,  size of the block before it | check
 *
 * Kernels can write anywhere in here, also while we look. So a tag is copied, then tested (its check
 * covers its place, so a copied or stale one does not pass), every offset is tested before it is
 * followed, every walk is bounded. A list that leads to a bad tag is dropped; its memory is lost.
 */
#include "cuse_dev/backend/soft/rt/heap.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define HEAP_MAGIC     0x70616568757067ull
#define HEAP_BROKEN    0xdeadull /* in place of the magic: nothing more is given out */
#define HEAP_TAG       16u	 /* bytes of a tag */
#define HEAP_MIN_BLOCK 32u	 /* tag and two links */
#define HEAP_SUB_BITS  2	 /* four classes per power of two */
#define HEAP_BINS      192
#define HEAP_WALK      64	     /* blocks of one class looked at */
#define HEAP_LOCK_NS   2000000000ull /* a lock that is held longer was overwritten */

struct heap_head {
	uint64_t magic;
	uint32_t lock;
	uint32_t pad;
	uint64_t end;		      /* offset of the end mark */
	uint64_t map[HEAP_BINS / 64]; /* which bins may have blocks */
	uint64_t bin[HEAP_BINS];      /* offset of the first free block, 0 none */
};

struct heap_tag {
	uint64_t size_used; /* bytes with tag, multiple of 16; bit 0: used */
	uint64_t prev;	    /* bytes of the block before / 16 << 20 | check */
};

struct heap {
	uint8_t *base;
	uint64_t bytes;
	struct heap_head *head;
	uint64_t first, end; /* our own idea of them, not the region's */
};

/* A tag, taken apart. */
struct block {
	uint64_t off, size, prev;
	bool used;
};

static uint64_t tag_check(uint64_t off, uint64_t size_used, uint64_t prev_units)
{
	uint64_t h = (off ^ 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;

	h = (h ^ size_used ^ h >> 31) * 0x94d049bb133111ebull;
	h = (h ^ prev_units ^ h >> 29) * 0xbf58476d1ce4e5b9ull;
	return h >> 44;
}

static bool block_get(const struct heap *h, uint64_t off, struct block *ret)
{
	struct heap_tag t;

	if (off < h->first || off > h->end || off % HEAP_TAG)
		return false;
	memcpy(&t, h->base + off, sizeof(t));
	ret->off = off;
	ret->used = t.size_used & 1;
	ret->size = t.size_used & ~15ull;
	ret->prev = (t.prev >> 20) * 16;
	return (t.prev & 0xfffff) == tag_check(off, t.size_used, t.prev >> 20) &&
	       ret->size >= HEAP_TAG && ret->size <= h->end + HEAP_TAG - off &&
	       ret->prev <= off - h->first;
}

static void block_put(const struct heap *h, const struct block *b)
{
	struct heap_tag t = { .size_used = b->size | b->used };

	t.prev = b->prev / 16 << 20 | tag_check(b->off, t.size_used, b->prev / 16);
	memcpy(h->base + b->off, &t, sizeof(t));
}

/* A tag that no longer starts a block must not look like one. */
static void block_forget(const struct heap *h, uint64_t off)
{
	memset(h->base + off, 0, HEAP_TAG);
}

static uint64_t *link_next(const struct heap *h, uint64_t off)
{
	return (uint64_t *)(h->base + off + HEAP_TAG);
}

static uint64_t *link_prev(const struct heap *h, uint64_t off)
{
	return (uint64_t *)(h->base + off + HEAP_TAG + 8);
}

/* Class of a size: all blocks of a class above bin_of(n) have at least n bytes. */
static uint32_t bin_of(uint64_t size)
{
	uint32_t log = 63 - (uint32_t)__builtin_clzll(size);
	uint32_t sub = (uint32_t)(size >> (log - HEAP_SUB_BITS)) & ((1u << HEAP_SUB_BITS) - 1);
	uint32_t bin = (log - 5) << HEAP_SUB_BITS | sub;

	return bin < HEAP_BINS ? bin : HEAP_BINS - 1;
}

static bool list_block(const struct heap *h, uint64_t off, struct block *ret)
{
	return block_get(h, off, ret) && !ret->used && ret->size >= HEAP_MIN_BLOCK;
}

static void list_add(const struct heap *h, const struct block *b)
{
	uint32_t bin = bin_of(b->size);
	uint64_t first = h->head->bin[bin];
	struct block f;

	if (first && list_block(h, first, &f))
		*link_prev(h, first) = b->off;
	else
		first = 0;
	*link_next(h, b->off) = first;
	*link_prev(h, b->off) = 0;
	h->head->bin[bin] = b->off;
	h->head->map[bin / 64] |= 1ull << (bin % 64);
}

static void list_remove(const struct heap *h, const struct block *b)
{
	uint64_t next = *link_next(h, b->off), prev = *link_prev(h, b->off);
	uint32_t bin = bin_of(b->size);
	struct block n;

	if (next && !list_block(h, next, &n))
		next = 0;
	if (h->head->bin[bin] == b->off)
		h->head->bin[bin] = next;
	else if (prev && list_block(h, prev, &n))
		*link_next(h, prev) = next;
	if (next)
		*link_prev(h, next) = prev;
}

/* The first block of the class that has @need bytes. */
static bool bin_search(const struct heap *h, uint32_t bin, uint64_t need, struct block *ret)
{
	uint64_t off = h->head->bin[bin];

	for (int i = 0; off && i < HEAP_WALK; i++) {
		if (!list_block(h, off, ret)) {
			if (i == 0)
				h->head->bin[bin] = 0;
			return false;
		}
		if (ret->size >= need)
			return true;
		off = *link_next(h, off);
	}
	return false;
}

static bool heap_search(const struct heap *h, uint64_t need, struct block *ret)
{
	uint32_t bin = bin_of(need);

	if (bin_search(h, bin, need, ret))
		return true;
	for (bin++; bin < HEAP_BINS; bin++) {
		uint64_t bits = h->head->map[bin / 64] >> (bin % 64);

		if (!bits) {
			bin |= 63;
			continue;
		}
		bin += (uint32_t)__builtin_ctzll(bits);
		if (bin_search(h, bin, need, ret))
			return true;
		if (!h->head->bin[bin])
			h->head->map[bin / 64] &= ~(1ull << (bin % 64));
	}
	return false;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool heap_lock(struct heap *h)
{
	uint64_t start = 0;

	for (uint32_t i = 1;; i++) {
		uint32_t free_word = 0;

		if (__atomic_compare_exchange_n(&h->head->lock, &free_word, 1, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
		if (i % 128 == 0) {
			start = start ? start : now_ns();
			if (now_ns() - start > HEAP_LOCK_NS)
				break;
			sched_yield();
		}
	}
	__atomic_store_n(&h->head->magic, HEAP_BROKEN, __ATOMIC_RELAXED);
	return false;
}

static void heap_unlock(struct heap *h)
{
	__atomic_store_n(&h->head->lock, 0, __ATOMIC_RELEASE);
}

static void heap_format(struct heap *h)
{
	struct block all = { .off = h->first, .size = h->end - h->first };
	struct block mark = { .off = h->end, .size = HEAP_TAG, .prev = all.size, .used = true };

	block_put(h, &all);
	block_put(h, &mark);
	list_add(h, &all);
	h->head->end = h->end;
	__atomic_store_n(&h->head->magic, HEAP_MAGIC, __ATOMIC_RELAXED); /* read before the lock */
}

/* Locked on success. */
static bool heap_open(struct heap *h, uint64_t va, uint64_t bytes)
{
	uint64_t skip = -va % RT_HEAP_ALIGN;

	if (!va || bytes < skip + sizeof(struct heap_head) + 16 + HEAP_MIN_BLOCK + HEAP_TAG)
		return false;
	h->base = (uint8_t *)(uintptr_t)(va + skip);
	h->bytes = (bytes - skip) & ~15ull;
	h->head = (struct heap_head *)h->base;
	h->first = (sizeof(struct heap_head) + 15) & ~15ull;
	h->end = h->bytes - HEAP_TAG;

	if (__atomic_load_n(&h->head->magic, __ATOMIC_RELAXED) == HEAP_BROKEN || !heap_lock(h))
		return false;
	if (!h->head->magic)
		heap_format(h);
	if (h->head->magic == HEAP_MAGIC && h->head->end == h->end)
		return true;
	heap_unlock(h);
	return false;
}

/* What is left behind the first @need bytes of a block becomes a free block. */
static bool split(struct heap *h, struct block *b, uint64_t need)
{
	struct block rest, after;

	if (!block_get(h, b->off + b->size, &after))
		return false;
	if (b->size - need < HEAP_MIN_BLOCK)
		return true;
	rest = (struct block){ .off = b->off + need, .size = b->size - need, .prev = need };
	after.prev = rest.size;
	b->size = need;
	block_put(h, &rest);
	block_put(h, &after);
	list_add(h, &rest);
	return true;
}

uint64_t rt_heap_malloc(uint64_t va, uint64_t bytes, uint64_t size)
{
	struct heap h;
	struct block b;
	uint64_t need, ptr = 0;

	if (!size || size > bytes || !heap_open(&h, va, bytes))
		return 0;
	need = ((size + 15) & ~15ull) + HEAP_TAG;
	if (need < HEAP_MIN_BLOCK)
		need = HEAP_MIN_BLOCK;

	if (heap_search(&h, need, &b)) {
		list_remove(&h, &b);
		if (split(&h, &b, need)) {
			b.used = true;
			block_put(&h, &b);
			ptr = (uint64_t)(uintptr_t)(h.base + b.off + HEAP_TAG);
		}
	}
	heap_unlock(&h);
	return ptr;
}

/* Joins b with the free blocks around it. */
static void join(struct heap *h, struct block *b)
{
	struct block n;

	if (block_get(h, b->off + b->size, &n) && !n.used && n.prev == b->size) {
		list_remove(h, &n);
		block_forget(h, n.off);
		b->size += n.size;
	}
	if (b->prev && block_get(h, b->off - b->prev, &n) && !n.used && n.size == b->prev) {
		list_remove(h, &n);
		block_forget(h, b->off);
		b->off = n.off;
		b->size += n.size;
		b->prev = n.prev;
	}
}

int rt_heap_free(uint64_t va, uint64_t bytes, uint64_t ptr)
{
	struct heap h;
	struct block b, after;
	uint64_t off;
	int r = -EINVAL;

	if (!ptr)
		return 0;
	if (!heap_open(&h, va, bytes))
		return -EINVAL;
	off = ptr - (uint64_t)(uintptr_t)h.base - HEAP_TAG;
	if (off < h.end && block_get(&h, off, &b) && b.used && b.size >= HEAP_MIN_BLOCK) {
		b.used = false;
		join(&h, &b);
		block_put(&h, &b);
		if (block_get(&h, b.off + b.size, &after)) {
			after.prev = b.size;
			block_put(&h, &after);
			list_add(&h, &b);
		}
		r = 0;
	}
	heap_unlock(&h);
	return r;
}

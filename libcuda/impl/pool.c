/* SPDX-License-Identifier: MIT */
/*
 * pool.c - the allocator behind memory pools; pool.h says what the parts are.
 *
 * No command allocates: a block is given out at once, if all that used it before comes earlier in
 * the order of the stream that gets it. Memory comes from the daemon in chunks, as VMM mappings,
 * which no context takes along.
 *
 * Locks: pools_lock, cu_pool.lock, ctx->lock (of queue.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/ipc.h"
#include "libcuda/impl/pool.h"
#include "libcuda/impl/queue.h"
#include "libcuda/impl/vmm.h"

#define GRAIN	    512u
#define UNIT	    (2ull << 20) /* of VMM mappings */
#define CHUNK_BYTES (32ull << 20)

struct pool_chunk {
	struct pool_chunk *next;
	struct cu_pool *pool;
	uint64_t va, size, arena_off;
	int fd;			  /* of a shareable pool: its own memfd, else -1 */
	uint8_t *view;		  /* all of it, where this process touches it; NULL */
	struct pool_block *first; /* by address, no gaps */
};

struct pool_block {
	struct pool_chunk *chunk;
	struct pool_block *prev, *next;		  /* neighbours in the chunk */
	struct pool_block *free_prev, *free_next; /* in pool->free_list */
	uint64_t va, size;
	bool used;
	struct queue *queue; /* of a free one: a reference; NULL: nothing is pending */
	uint64_t seq;	     /* the command of queue behind which it is free */
};

static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cu_pool *pools; /* guarded by pools_lock */
static _Atomic bool slack;    /* something was freed since pools were last looked at */

struct cu_pool *cu_pool_of(const void *object)
{
	return ((const struct pool_block *)object)->chunk->pool;
}

/* ---- blocks --------------------------------------------------------------------------------- */

static void list_free(struct cu_pool *p, struct pool_block *b)
{
	b->free_prev = NULL;
	b->free_next = p->free_list;
	if (p->free_list)
		p->free_list->free_prev = b;
	p->free_list = b;
}

static void unlist_free(struct cu_pool *p, struct pool_block *b)
{
	if (b->free_prev)
		b->free_prev->free_next = b->free_next;
	else
		p->free_list = b->free_next;
	if (b->free_next)
		b->free_next->free_prev = b->free_prev;
}

static void settle(struct pool_block *b)
{
	queue_put(b->queue);
	b->queue = NULL;
	b->seq = 0;
}

static bool settled(struct pool_block *b)
{
	if (b->queue && queue_done(b->queue, b->seq))
		settle(b);
	return !b->queue;
}

/* @b and the one after it, both free, become one. What is pending of either is then of both. */
static void join_next(struct cu_pool *p, struct pool_block *b)
{
	struct pool_block *n = b->next;

	unlist_free(p, n);
	b->size += n->size;
	b->next = n->next;
	if (n->next)
		n->next->prev = b;
	if (!b->queue) {
		b->queue = n->queue;
		b->seq = n->seq;
	} else {
		if (n->queue && n->seq > b->seq)
			b->seq = n->seq;
		queue_put(n->queue);
	}
	free(n);
}

static bool like(const struct pool_block *a, const struct pool_block *b)
{
	return a && b && !a->used && !b->used && a->queue == b->queue;
}

static void join(struct cu_pool *p, struct pool_block *b)
{
	if (like(b, b->next))
		join_next(p, b);
	if (like(b->prev, b))
		join_next(p, b->prev);
}

/* Does what @q does next come after what is in @o now, without more ado? */
static bool ordered(const struct cu_pool *p, const struct queue *q, const struct queue *o)
{
	if (q == o)
		return true;
	return p->follow && q->ctx == o->ctx &&
	       ((q->legacy && o->blocking) || (q->blocking && o->legacy));
}

static bool eligible(const struct cu_pool *p, struct pool_block *b, const struct queue *q)
{
	if (!b->queue || ordered(p, q, b->queue))
		return true;
	return p->opportunistic && settled(b);
}

/* The smallest free block that @q may have now. */
static struct pool_block *find(struct cu_pool *p, uint64_t size, const struct queue *q)
{
	struct pool_block *best = NULL;

	for (struct pool_block *b = p->free_list; b; b = b->free_next)
		if (b->size >= size && (!best || b->size < best->size) && eligible(p, b, q))
			best = b;
	return best;
}

/* Neighbours that @q may both have; done late, since other streams then wait for both. */
static void compact(struct cu_pool *p, const struct queue *q)
{
	for (struct pool_chunk *c = p->chunks; c; c = c->next) {
		for (struct pool_block *b = c->first; b; b = b->next) {
			while (!b->used && b->next && !b->next->used &&
			       (!b->queue || b->queue == q || settled(b)) &&
			       (!b->next->queue || b->next->queue == q || settled(b->next)))
				join_next(p, b);
		}
	}
}

/* Cuts @b down to @size; the rest stays free, pending on the same. */
static int split(struct cu_pool *p, struct pool_block *b, uint64_t size)
{
	struct pool_block *rest;

	if (b->size == size)
		return 0;
	rest = calloc(1, sizeof(*rest));
	if (!rest)
		return -ENOMEM;
	rest->chunk = b->chunk;
	rest->va = b->va + size;
	rest->size = b->size - size;
	rest->queue = b->queue;
	rest->seq = b->seq;
	if (rest->queue)
		queue_get(rest->queue);
	rest->prev = b;
	rest->next = b->next;
	if (b->next)
		b->next->prev = rest;
	b->next = rest;
	b->size = size;
	list_free(p, rest);
	return 0;
}

/* ---- chunks --------------------------------------------------------------------------------- */

static void chunk_unmap(struct pool_chunk *c)
{
	struct link_dev *dev = c->pool->dev->link;
	struct vgpu_va_free give = { .va = c->va, .size = c->size };

	cu_vmm_unbind(dev, c->va, c->size);
	link_call(dev, VGPU_OP_VA_FREE, &give, sizeof(give));
	if (c->fd >= 0) {
		munmap(c->view, c->size);
		close(c->fd);
	}
}

/* A file for memory that other processes are to open. */
static int chunk_file(struct pool_chunk *c)
{
	void *view;
	int r = link_pages_memfd("vgpu-pool", c->size, &c->fd);

	if (r < 0)
		return r;
	view = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, c->fd, 0);
	if (view == MAP_FAILED) {
		close(c->fd);
		c->fd = -1;
		return -ENOMEM;
	}
	madvise(view, c->size, MADV_DONTDUMP);
	c->view = view;
	return 0;
}

static int chunk_map(struct pool_chunk *c)
{
	struct link_dev *dev = c->pool->dev->link;
	struct vgpu_va_reserve va = { .size = c->size };
	struct vgpu_va_free give = { .size = c->size };
	int r;

	r = c->pool->shareable ? chunk_file(c) : 0;
	if (r < 0)
		return r;
	r = link_call(dev, VGPU_OP_VA_RESERVE, &va, sizeof(va));
	if (r < 0)
		goto close_file;
	r = cu_vmm_bind(dev, va.va, c->size, c->fd, &c->arena_off);
	if (r < 0)
		goto free_va;
	c->va = va.va;
	if (c->fd < 0 && dev->arena && c->arena_off <= dev->arena_bytes &&
	    c->size <= dev->arena_bytes - c->arena_off)
		c->view = dev->arena + c->arena_off;
	return 0;

free_va:
	give.va = va.va;
	link_call(dev, VGPU_OP_VA_FREE, &give, sizeof(give));
close_file:
	if (c->fd >= 0) {
		munmap(c->view, c->size);
		close(c->fd);
	}
	return r;
}

static int chunk_create(struct cu_pool *p, uint64_t size)
{
	struct pool_chunk *c = calloc(1, sizeof(*c));
	struct pool_block *b = calloc(1, sizeof(*b));
	int r = -ENOMEM;

	if (c && b && !(p->max_bytes && size > p->max_bytes - p->reserved)) {
		c->pool = p;
		c->size = size;
		c->fd = -1;
		r = chunk_map(c);
	}
	if (r < 0) {
		free(c);
		free(b);
		return r;
	}
	c->first = b;
	c->next = p->chunks;
	p->chunks = c;
	b->chunk = c;
	b->va = c->va;
	b->size = size;
	list_free(p, b);
	p->reserved += size;
	if (p->reserved > p->reserved_high)
		p->reserved_high = p->reserved;
	return 0;
}

/* All of @c is one free block, or becomes one. */
static bool chunk_idle(struct cu_pool *p, struct pool_chunk *c)
{
	struct pool_block *b;

	for (b = c->first; b; b = b->next)
		if (b->used || !settled(b))
			return false;
	while (c->first->next)
		join_next(p, c->first);
	return true;
}

/* Gives idle chunks back while more than @keep bytes are reserved. */
static void release(struct cu_pool *p, uint64_t keep)
{
	struct pool_chunk **at = &p->chunks, *c;

	while ((c = *at)) {
		if (p->reserved <= keep)
			return;
		if (p->reserved - c->size < keep || !chunk_idle(p, c)) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		unlist_free(p, c->first);
		chunk_unmap(c);
		p->reserved -= c->size;
		free(c->first);
		free(c);
	}
}

static int grow(struct cu_pool *p, uint64_t size)
{
	uint64_t large = (size + CHUNK_BYTES - 1) & ~(CHUNK_BYTES - 1);
	uint64_t exact = (size + UNIT - 1) & ~(UNIT - 1);
	int r;

	if (large < size || exact < size)
		return -ENOMEM;
	r = chunk_create(p, large);
	if (r == -ENOMEM && exact < large)
		r = chunk_create(p, exact);
	if (r == -ENOMEM && p->reserved > p->used) {
		release(p, 0);
		r = chunk_create(p, exact);
	}
	return r;
}

/* Memory that another stream still uses; @q is made to wait for it. */
static struct pool_block *find_pending(struct cu_pool *p, uint64_t size, struct queue *q)
{
	struct pool_block *best = NULL;

	for (struct pool_block *b = p->free_list; b; b = b->free_next)
		if (b->size >= size && (!best || b->size < best->size))
			best = b;
	if (best && best->queue && queue_follow(q, best->queue, best->seq) < 0)
		return NULL;
	return best;
}

/* ---- pools ---------------------------------------------------------------------------------- */

CUresult pool_create(struct cu_device *dev, bool is_default, size_t max_bytes,
		     struct cu_pool **ret_pool)
{
	struct cu_pool *p = cu_handle_create(CU_KIND_POOL, sizeof(*p));

	if (!p)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_init(&p->lock, NULL);
	p->dev = dev;
	p->is_default = is_default;
	p->max_bytes = max_bytes;
	p->id = cu_next_id();
	p->follow = p->opportunistic = p->internal = true;
	p->access[dev->ordinal] = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
	pthread_mutex_lock(&pools_lock);
	p->next = pools;
	pools = p;
	pthread_mutex_unlock(&pools_lock);
	*ret_pool = p;
	return CUDA_SUCCESS;
}

/* With pools_lock held: closed pools without memory are no more. */
static void reap(void)
{
	for (struct cu_pool **at = &pools; *at;) {
		struct cu_pool *p = *at;
		bool gone;

		pthread_mutex_lock(&p->lock);
		if (p->closed)
			release(p, 0);
		gone = p->closed && !p->chunks;
		pthread_mutex_unlock(&p->lock);
		if (!gone) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		pthread_mutex_destroy(&p->lock);
		free(p->origin);
		free(p);
	}
}

/* The handle ends now, what hangs on it later: so that lives on in a copy. */
CUresult pool_destroy(struct cu_pool *p)
{
	struct cu_pool *rest = malloc(sizeof(*rest));

	if (!rest)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_lock(&pools_lock);
	pthread_mutex_lock(&p->lock);
	*rest = *p;
	pthread_mutex_init(&rest->lock, NULL);
	rest->closed = true;
	for (struct pool_chunk *c = rest->chunks; c; c = c->next)
		c->pool = rest;
	for (struct cu_pool **at = &pools; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = rest;
			break;
		}
	}
	pthread_mutex_unlock(&p->lock);
	cu_handle_destroy(p);
	atomic_store(&slack, true);
	reap();
	pthread_mutex_unlock(&pools_lock);
	return CUDA_SUCCESS;
}

static CUresult take(struct cu_pool *p, uint64_t size, struct queue *q,
		     struct pool_block **ret_block)
{
	struct pool_block *b = find(p, size, q);
	int r = 0;

	if (!b && p->free_list) {
		compact(p, q);
		b = find(p, size, q);
	}
	if (!b) {
		r = grow(p, size);
		if (!r)
			b = find(p, size, q);
		else if (r == -ENOMEM && p->internal)
			b = find_pending(p, size, q);
	}
	if (!b)
		return r ? cu_from_errno(r) : CUDA_ERROR_OUT_OF_MEMORY;
	if (split(p, b, size) < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*ret_block = b;
	return CUDA_SUCCESS;
}

CUresult pool_alloc(struct cu_pool *p, size_t bytes, struct cu_stream *s, CUdeviceptr *ret_va)
{
	uint64_t size = ((uint64_t)bytes + GRAIN - 1) & ~(uint64_t)(GRAIN - 1);
	struct link_dev *dev = p->dev->link;
	struct link_range range = { .kind = LINK_POOL, .dev = dev, .worker_visible = true };
	struct pool_block *b = NULL;
	CUresult r;

	if (size < bytes)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_lock(&p->lock);
	r = take(p, size, queue_of(s), &b);
	if (r != CUDA_SUCCESS)
		goto unlock;
	range.va = b->va;
	range.size = bytes;
	range.object = b;
	range.arena_off = b->chunk->arena_off + (b->va - b->chunk->va);
	if (b->chunk->view)
		range.host = b->chunk->view + (b->va - b->chunk->va);
	r = cu_from_errno(link_map_add(&dev->link->ranges, &range));
	if (r != CUDA_SUCCESS)
		goto unlock;
	unlist_free(p, b);
	settle(b);
	b->used = true;
	p->used += size;
	if (p->used > p->used_high)
		p->used_high = p->used;
	*ret_va = b->va;
unlock:
	pthread_mutex_unlock(&p->lock);
	return r;
}

/* The pool of @b, locked. It may be destroyed, and so replaced, until the lock is held. */
static struct cu_pool *lock_pool_of(struct pool_block *b)
{
	struct cu_pool *p;

	pthread_mutex_lock(&pools_lock);
	p = b->chunk->pool;
	pthread_mutex_lock(&p->lock);
	pthread_mutex_unlock(&pools_lock);
	return p;
}

CUresult pool_free(CUdeviceptr va, struct cu_stream *s)
{
	struct link_table *ranges = &cu_link()->ranges;
	struct pool_block *b;
	struct link_range r;
	struct cu_pool *p;
	uint64_t seq = 0;
	int err = 0;
	bool closed;

	if (link_map_find(ranges, va, &r) < 0 || r.va != va || r.kind != LINK_POOL ||
	    link_map_remove(ranges, va, NULL) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	/* After this, the last command stands behind other streams, too, that this one follows. */
	if (s)
		err = queue_order(queue_of(s));
	if (s && !err)
		seq = link_submitted(queue_of(s)->link);
	b = r.object;
	p = lock_pool_of(b);
	b->used = false;
	p->used -= b->size;
	if (s && !err) {
		b->queue = queue_of(s);
		b->seq = seq;
		queue_get(b->queue);
	}
	list_free(p, b);
	join(p, b);
	closed = p->closed;
	pthread_mutex_unlock(&p->lock);
	atomic_store(&slack, true);
	if (closed) {
		pthread_mutex_lock(&pools_lock);
		reap();
		pthread_mutex_unlock(&pools_lock);
	}
	return cu_from_errno(err);
}

CUresult pool_place(CUdeviceptr va, struct ipc_place *ret_place)
{
	struct ipc_place place = { 0 };
	struct pool_block *b;
	struct link_range r;
	struct cu_pool *p;
	CUresult err = CUDA_ERROR_INVALID_VALUE;

	if (link_map_find(&cu_link()->ranges, va, &r) < 0 || r.va != va || r.kind != LINK_POOL)
		return err;
	b = r.object;
	p = lock_pool_of(b);
	if (p->shareable && cu_ipc_name(b->chunk->fd, &place) == 0) {
		place.device = p->dev->link->index;
		place.off = b->va - b->chunk->va;
		place.size = r.size;
		place.id = p->id;
		*ret_place = place;
		err = CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&p->lock);
	return err;
}

void pool_trim(struct cu_pool *p, uint64_t keep)
{
	pthread_mutex_lock(&p->lock);
	release(p, keep);
	pthread_mutex_unlock(&p->lock);
}

void pool_synced(void)
{
	if (!atomic_load(&slack) || !atomic_exchange(&slack, false))
		return;
	pthread_mutex_lock(&pools_lock);
	for (struct cu_pool *p = pools; p; p = p->next) {
		pthread_mutex_lock(&p->lock);
		release(p, p->threshold);
		/* Some of it may be pending: the next wait looks again. */
		if (p->reserved > p->threshold && p->free_list)
			atomic_store(&slack, true);
		pthread_mutex_unlock(&p->lock);
	}
	reap();
	pthread_mutex_unlock(&pools_lock);
}

static void count_ctx(struct cu_ctx *ctx, void *user)
{
	unsigned *others = user;

	if (ctx != ctx->dev->hidden)
		++*others;
}

void pool_ctx_fini(struct cu_ctx *ctx)
{
	struct link_table *ranges = &cu_link()->ranges;
	unsigned others = 0;
	struct link_range r;
	uint64_t at = 0;

	cu_ctx_each(ctx->dev, count_ctx, &others);
	if (others || ctx == ctx->dev->hidden)
		return;
	while (!link_map_next(ranges, at, &r)) {
		at = r.va + r.size;
		if (r.kind == LINK_POOL && r.dev == ctx->dev->link)
			pool_free(r.va, NULL);
	}
	pthread_mutex_lock(&pools_lock);
	for (struct cu_pool *p = pools; p; p = p->next) {
		if (p->dev != ctx->dev)
			continue;
		pthread_mutex_lock(&p->lock);
		release(p, 0);
		pthread_mutex_unlock(&p->lock);
	}
	reap();
	pthread_mutex_unlock(&pools_lock);
}

CUresult cu_pool_default(struct cu_device *dev, struct cu_pool **ret_pool)
{
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&dev->primary_lock);
	if (!dev->default_pool)
		r = pool_create(dev, true, 0, &dev->default_pool);
	if (r == CUDA_SUCCESS)
		*ret_pool = dev->default_pool;
	pthread_mutex_unlock(&dev->primary_lock);
	return r;
}

CUresult cu_pool_current(struct cu_device *dev, struct cu_pool **ret_pool)
{
	struct cu_pool *p;

	pthread_mutex_lock(&dev->primary_lock);
	p = dev->current_pool;
	pthread_mutex_unlock(&dev->primary_lock);
	/* Destroying the current pool makes the default one current. */
	if (p && cu_handle_get(p, CU_KIND_POOL)) {
		*ret_pool = p;
		return CUDA_SUCCESS;
	}
	return cu_pool_default(dev, ret_pool);
}

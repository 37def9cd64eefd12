/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - MEM_ALLOC and MEM_FREE: backing, addresses and access in one step.
 *
 * Small allocations share units of a pool, one pool per device and one for the host, as hardware
 * does; a unit goes back when its last piece does. Host pieces are whole pages, because the client
 * maps each at its address. In the upper half the address says where in the HOST arena the byte
 * lies (va = upper + offset), so neighbours there merge into one mapping.
 */
#include "cuse_dev/mem/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/limits.h"

#define SMALL_MAX    (MEM_UNIT / 2) /* larger ones get units of their own */
#define DEVICE_PIECE 512u
#define HOST_PIECE   4096u

struct mem_block {
	struct avl_node node;
	struct mem_block *prev, *next; /* of one owner */
	struct mem_owner *owner;
	struct mem_arena *arena;
	struct mem_range *piece; /* in arena->pool; NULL: units of its own */
	uint64_t va;
};

static struct mem_block *entry(struct avl_node *n)
{
	return avl_entry(n, struct mem_block, node);
}

static int before(const struct avl_node *a, const struct avl_node *b)
{
	return entry((struct avl_node *)a)->va < entry((struct avl_node *)b)->va;
}

static struct mem_block *find(const struct mem *m, uint64_t va)
{
	struct avl_node *n = m->blocks.root;

	while (n && entry(n)->va != va)
		n = n->child[va > entry(n)->va];
	return entry(n);
}

/* Units of @arena, mapped readable and writable. */
static int back(struct mem *m, struct mem_arena *arena, enum mem_map_kind kind, uint64_t size,
		struct mem_mapping **ret_map)
{
	bool host = arena == &m->arena[MEM_HOST_ARENA];
	struct mem_range *range = NULL;
	struct mem_mapping *map;
	struct mem_phys *p;
	int r;

	r = mem_phys_take(m, arena, size, &p);
	if (r < 0)
		return r;
	if (!host) {
		r = mem_space_take(&m->lower, size, MEM_UNIT, &mem_for_backing, &range);
		if (r < 0)
			goto put_phys;
	}
	r = mem_map_add(m, kind, host ? m->upper + p->off : range->addr, size, p, 0, &map);
	if (r < 0)
		goto give_range;
	r = mem_map_protect(m, map, VGPU_PROT_READ_WRITE);
	if (r < 0)
		goto remove_map;
	mem_phys_put(m, p); /* the mapping holds it */
	*ret_map = map;
	return 0;

remove_map:
	mem_map_remove(m, map);
give_range:
	if (range)
		mem_space_give(&m->lower, range);
put_phys:
	mem_phys_put(m, p);
	return r;
}

static int unback(struct mem *m, struct mem_mapping *map)
{
	struct mem_range *range = mem_space_find(&m->lower, map->va);
	int r = mem_map_remove(m, map);

	if (r == 0 && range)
		mem_space_give(&m->lower, range);
	return r;
}

/* A piece of a unit that others share, after adding a unit to the pool if it must be. */
static int take_piece(struct mem *m, struct mem_block *b, uint64_t size, uint64_t align)
{
	struct mem_mapping *map;
	int r;

	r = mem_space_take(&b->arena->pool, size, align, b, &b->piece);
	if (r == 0)
		return 0;
	r = back(m, b->arena, MEM_MAP_POOL, MEM_UNIT, &map);
	if (r < 0)
		return r;
	r = mem_space_add(&b->arena->pool, map->va, MEM_UNIT, NULL);
	if (r < 0) {
		unback(m, map);
		return r;
	}
	return mem_space_take(&b->arena->pool, size, align, b, &b->piece);
}

static int give_piece(struct mem *m, struct mem_block *b)
{
	struct mem_range *range = b->piece;
	struct mem_mapping *map = mem_map_at(m, range->addr);
	int r;

	range = mem_space_give(&b->arena->pool, range);
	if (range->size < MEM_UNIT)
		return 0;
	mem_space_drop(&b->arena->pool, range);
	r = unback(m, map);
	if (r < 0) /* no page table entry to be had: keep the unit for the next one */
		(void)mem_space_add(&b->arena->pool, map->va, MEM_UNIT, NULL);
	return 0;
}

static int block_create(struct mem *m, struct mem_owner *owner, struct mem_arena *arena,
			uint64_t size, uint64_t align, struct mem_block **ret_block)
{
	uint32_t grain = arena == &m->arena[MEM_HOST_ARENA] ? HOST_PIECE : DEVICE_PIECE;
	struct mem_mapping *map;
	struct mem_block *b;
	int r;

	/* Also keeps the rounding below from wrapping. */
	if (m->block_count >= LIMIT_ALLOCATIONS || size > arena->capacity)
		return -ENOMEM;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->arena = arena;
	if (size <= SMALL_MAX && align <= SMALL_MAX) {
		size = (size + grain - 1) & ~(uint64_t)(grain - 1);
		r = take_piece(m, b, size, align > grain ? align : grain);
		if (r == 0)
			b->va = b->piece->addr;
	} else {
		size = (size + MEM_UNIT - 1) & ~(MEM_UNIT - 1);
		r = back(m, arena, MEM_MAP_BLOCK, size, &map);
		if (r == 0)
			b->va = map->va;
	}
	if (r < 0) {
		free(b);
		return r;
	}
	avl_insert(&m->blocks, &b->node, before);
	m->block_count++;
	b->owner = owner;
	b->next = owner->blocks;
	if (b->next)
		b->next->prev = b;
	owner->blocks = b;
	*ret_block = b;
	return 0;
}

static int block_destroy(struct mem *m, struct mem_block *b)
{
	int r = b->piece ? give_piece(m, b) : unback(m, mem_map_at(m, b->va));

	if (r < 0)
		return r;
	avl_remove(&m->blocks, &b->node);
	m->block_count--;
	if (b->next)
		b->next->prev = b->prev;
	if (b->prev)
		b->prev->next = b->next;
	else
		b->owner->blocks = b->next;
	free(b);
	return 0;
}

int mem_alloc(struct mem *m, struct mem_owner *owner, uint32_t device, struct vgpu_mem_alloc *req)
{
	struct mem_mapping *map;
	struct mem_block *b;
	int r;

	if (!req->size || req->kind > VGPU_MEM_MANAGED || (req->align & (req->align - 1)) ||
	    req->align > MEM_UNIT || device >= m->device_count)
		return -EINVAL;
	pthread_mutex_lock(&m->lock);
	r = block_create(m, owner,
			 &m->arena[req->kind == VGPU_MEM_DEVICE ? device : MEM_HOST_ARENA],
			 req->size, req->align, &b);
	if (r == 0) {
		map = mem_map_at(m, b->va);
		req->va = b->va;
		req->arena_off = map->phys->off + (b->va - map->va);
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

int mem_alloc_zeroed(struct mem *m, struct mem_owner *owner, uint32_t device, uint32_t kind,
		     uint64_t size, uint64_t *ret_va, uint64_t *ret_arena_off)
{
	struct vgpu_mem_alloc req = { .kind = kind, .size = size };
	int r = mem_alloc(m, owner, device, &req);

	if (r < 0)
		return r;
	/* Units of one's own were punched empty before. */
	if (size <= SMALL_MAX)
		memset((void *)req.va, 0, size);
	*ret_va = req.va;
	*ret_arena_off = req.arena_off;
	return 0;
}

/* The bytes that freeing @b may make inaccessible. */
static uint64_t extent(const struct mem *m, const struct mem_block *b)
{
	return b->piece ? b->piece->size : mem_map_at(m, b->va)->size;
}

int mem_free(struct mem *m, uint64_t va)
{
	struct mem_block *b;
	int r = -EINVAL;

	pthread_mutex_lock(&m->lock);
	b = find(m, va);
	if (b) {
		mem_wait_unpinned(m, va, extent(m, b));
		b = find(m, va);
	}
	if (b)
		r = block_destroy(m, b);
	pthread_mutex_unlock(&m->lock);
	return r;
}

void mem_owner_fini(struct mem *m, struct mem_owner *owner)
{
	struct mem_block *b;

	pthread_mutex_lock(&m->lock);
	while ((b = owner->blocks)) {
		mem_wait_unpinned(m, b->va, extent(m, b));
		if (b != owner->blocks)
			continue; /* waiting gives the lock away */
		if (block_destroy(m, b) < 0)
			break; /* the process is out of mappings; what stays is accounted for */
	}
	mem_host_owner_fini(m, owner);
	pthread_mutex_unlock(&m->lock);
}

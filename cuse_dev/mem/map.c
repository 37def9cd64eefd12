/* SPDX-License-Identifier: MIT */
/*
 * map.c - which addresses are bound to which backing, and who may not be disturbed there.
 *
 * The tree is the truth; page tables follow it:
 *
 *   mapping with prot != NONE      backing mapped shared at va
 *   everything else in the window  PROT_NONE, so a stray access faults
 */
#include "cuse_dev/mem/state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static struct mem_mapping *entry(struct avl_node *n)
{
	return avl_entry(n, struct mem_mapping, node);
}

static int before(const struct avl_node *a, const struct avl_node *b)
{
	return entry((struct avl_node *)a)->va < entry((struct avl_node *)b)->va;
}

struct mem_mapping *mem_map_from(const struct mem *m, uint64_t va)
{
	struct avl_node *n = m->maps.root;
	struct mem_mapping *best = NULL;

	while (n) {
		struct mem_mapping *map = entry(n);

		if (va < map->va + map->size) {
			best = map;
			n = n->child[0];
		} else {
			n = n->child[1];
		}
	}
	return best;
}

struct mem_mapping *mem_map_at(const struct mem *m, uint64_t va)
{
	struct mem_mapping *map = mem_map_from(m, va);

	return map && map->va <= va ? map : NULL;
}

bool mem_map_overlaps(const struct mem *m, uint64_t va, uint64_t size)
{
	struct mem_mapping *map = mem_map_from(m, va);

	return map && map->va < va + size;
}

int mem_map_add(struct mem *m, enum mem_map_kind kind, uint64_t va, uint64_t size,
		struct mem_phys *phys, uint64_t phys_off, struct mem_mapping **ret_map)
{
	struct mem_mapping *map = calloc(1, sizeof(*map));

	if (!map)
		return -ENOMEM;
	*map = (struct mem_mapping){
		.kind = kind,
		.va = va,
		.size = size,
		.phys = phys,
		.phys_off = phys_off,
	};
	phys->refs++;
	avl_insert(&m->maps, &map->node, before);
	*ret_map = map;
	return 0;
}

static int make_inaccessible(const struct mem_mapping *map)
{
	if (map->kind == MEM_MAP_HOST)
		return munmap((void *)map->va, map->size) < 0 ? -errno : 0;
	if (mmap((void *)map->va, map->size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -ENOMEM;
	return 0;
}

int mem_map_protect(struct mem *m, struct mem_mapping *map, uint32_t prot)
{
	int flags = MAP_SHARED | MAP_NORESERVE;
	int access = PROT_READ | (prot == VGPU_PROT_READ_WRITE ? PROT_WRITE : 0);
	void *at = (void *)map->va;
	void *got;

	if (prot == map->prot)
		return 0;
	if (prot == VGPU_PROT_NONE) {
		int r = make_inaccessible(map);

		if (r < 0)
			return r;
		goto done;
	}
	/* Outside the window lie things of this process that must not be replaced. */
	flags |= map->kind == MEM_MAP_HOST ? MAP_FIXED_NOREPLACE : MAP_FIXED;
	got = mmap(at, map->size, access, flags, map->phys->fd,
		   (off_t)(map->phys->off + map->phys_off));
	if (got == MAP_FAILED)
		return errno == EEXIST ? -EADDRINUSE : -ENOMEM;
	if (got != at) {
		munmap(got, map->size);
		return -EADDRINUSE;
	}
	/* A hint; where the host keeps huge pages for shared memory, faults become rare. */
	if (map->size >= MEM_UNIT)
		(void)madvise(at, map->size, MADV_HUGEPAGE);
done:
	map->prot = prot;
	return 0;
}

int mem_map_remove(struct mem *m, struct mem_mapping *map)
{
	int r;

	if (map->prot != VGPU_PROT_NONE) {
		r = make_inaccessible(map);
		if (r < 0)
			return r;
	}
	avl_remove(&m->maps, &map->node);
	mem_phys_put(m, map->phys);
	free(map);
	return 0;
}

int mem_check(const struct mem *m, uint64_t va, uint64_t bytes, uint32_t prot)
{
	struct mem_mapping *map;
	uint64_t end;

	if (__builtin_add_overflow(va, bytes, &end))
		return -EFAULT;
	for (map = mem_map_at(m, va); va < end; map = entry(avl_next(&map->node))) {
		if (!map || map->va > va || (map->prot & prot) != prot)
			return -EFAULT;
		va = map->va + map->size;
	}
	return 0;
}

int mem_pin(struct mem *m, struct mem_pin *pin, uint64_t va, uint64_t bytes, uint32_t prot)
{
	int r;

	*pin = (struct mem_pin){ .va = va, .bytes = bytes };
	pthread_mutex_lock(&m->lock);
	r = mem_check(m, va, bytes, prot);
	if (r == 0) {
		pin->next = m->pins;
		if (pin->next)
			pin->next->prev = pin;
		m->pins = pin;
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

void mem_unpin(struct mem *m, struct mem_pin *pin)
{
	pthread_mutex_lock(&m->lock);
	if (pin->next)
		pin->next->prev = pin->prev;
	if (pin->prev)
		pin->prev->next = pin->next;
	else
		m->pins = pin->next;
	pthread_cond_broadcast(&m->unpinned);
	pthread_mutex_unlock(&m->lock);
}

static bool pinned(const struct mem *m, uint64_t va, uint64_t bytes)
{
	const struct mem_pin *p;

	for (p = m->pins; p; p = p->next)
		if (p->va < va + bytes && va < p->va + p->bytes)
			return true;
	return false;
}

void mem_wait_unpinned(struct mem *m, uint64_t va, uint64_t bytes)
{
	while (pinned(m, va, bytes))
		pthread_cond_wait(&m->unpinned, &m->lock);
}

/* SPDX-License-Identifier: MIT */
/*
 * va.c - the VMM interface: reserve addresses, bind backing to them, set who may access it.
 */
#include "cuse_dev/mem/state.h"

#include <errno.h>
#include <stdlib.h>

#include "cuse_dev/base/limits.h"

/* A well-formed, non-empty range of whole units. */
static bool whole_units(uint64_t va, uint64_t size)
{
	uint64_t end;

	return size && !(va % MEM_UNIT) && !(size % MEM_UNIT) &&
	       !__builtin_add_overflow(va, size, &end);
}

int mem_va_reserve(struct mem *m, struct vgpu_va_reserve *req)
{
	uint64_t align = req->align > MEM_UNIT ? req->align : MEM_UNIT;
	struct mem_range *range = NULL;
	int r = -EEXIST;

	if (!req->size || req->size % MEM_UNIT || (align & (align - 1)) ||
	    (req->align & (req->align - 1)))
		return -EINVAL;

	pthread_mutex_lock(&m->lock);
	if (m->reservation_count >= LIMIT_RESERVATIONS || req->size > m->size) {
		r = -ENOMEM;
		goto unlock;
	}
	/* The wish is a hint, as in CUDA. */
	if (req->va && !(req->va & (align - 1)))
		r = mem_space_take_at(&m->lower, req->va, req->size, &mem_for_reservation, &range);
	if (r == -EEXIST)
		r = mem_space_take(&m->lower, req->size, align, &mem_for_reservation, &range);
	if (r < 0)
		goto unlock;
	m->reservation_count++;
	req->va = range->addr;
unlock:
	pthread_mutex_unlock(&m->lock);
	return r;
}

/* The reservation that all of [@va, +@size) lies in. */
static struct mem_range *reservation(struct mem *m, uint64_t va, uint64_t size)
{
	struct mem_range *range = mem_space_find(&m->lower, va);

	if (!range || range->owner != &mem_for_reservation ||
	    range->size - (va - range->addr) < size)
		return NULL;
	return range;
}

int mem_va_free(struct mem *m, uint64_t va, uint64_t size)
{
	struct mem_range *range;
	int r = 0;

	if (!whole_units(va, size))
		return -EINVAL;
	pthread_mutex_lock(&m->lock);
	range = reservation(m, va, size);
	if (!range || range->addr != va || range->size != size) {
		r = -EINVAL;
	} else if (mem_map_overlaps(m, va, size)) {
		r = -EBUSY;
	} else {
		mem_space_give(&m->lower, range);
		m->reservation_count--;
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

int mem_va_map(struct mem *m, const struct vgpu_va_map *req)
{
	struct mem_mapping *map;
	struct mem_phys *p;
	int r;

	if (!whole_units(req->va, req->size) || req->offset % MEM_UNIT || req->pad)
		return -EINVAL;
	pthread_mutex_lock(&m->lock);
	p = idtab_get(&m->phys, req->phys);
	if (!p)
		r = -EBADF;
	else if (req->offset > p->size || req->size > p->size - req->offset ||
		 !reservation(m, req->va, req->size))
		r = -EINVAL;
	else if (mem_map_overlaps(m, req->va, req->size))
		r = -EBUSY;
	else if (m->map_count >= LIMIT_MAPPINGS)
		r = -ENOMEM;
	else
		r = mem_map_add(m, MEM_MAP_VMM, req->va, req->size, p, req->offset, &map);
	if (r == 0)
		m->map_count++;
	pthread_mutex_unlock(&m->lock);
	return r;
}

/* Whether whole VMM mappings tile [@va, +@size) without a gap. */
static bool tiled(const struct mem *m, uint64_t va, uint64_t size)
{
	uint64_t end = va + size;

	while (va < end) {
		struct mem_mapping *map = mem_map_at(m, va);

		if (!map || map->kind != MEM_MAP_VMM || map->va != va || map->size > end - va)
			return false;
		va += map->size;
	}
	return true;
}

int mem_va_unmap(struct mem *m, uint64_t va, uint64_t size)
{
	uint64_t end = va + size;
	int r = 0;

	if (!whole_units(va, size))
		return -EINVAL;
	pthread_mutex_lock(&m->lock);
	mem_wait_unpinned(m, va, size);
	if (!tiled(m, va, size))
		r = -EINVAL;
	while (r == 0 && va < end) {
		struct mem_mapping *map = mem_map_at(m, va);

		va += map->size;
		r = mem_map_remove(m, map);
		if (r == 0)
			m->map_count--;
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

static int grant(struct mem *m, struct mem_mapping *map, uint32_t device, uint32_t prot)
{
	uint8_t old = map->grant[device];
	uint32_t all = 0, i;
	int r;

	map->grant[device] = (uint8_t)prot;
	for (i = 0; i < m->device_count; i++)
		all |= map->grant[i];
	r = mem_map_protect(m, map, all);
	if (r < 0)
		map->grant[device] = old;
	return r;
}

int mem_va_access(struct mem *m, const struct vgpu_va_access *req)
{
	uint64_t va = req->va, end = req->va + req->size;
	int r = 0;

	if (!whole_units(req->va, req->size) ||
	    (req->prot != VGPU_PROT_NONE && req->prot != VGPU_PROT_READ &&
	     req->prot != VGPU_PROT_READ_WRITE))
		return -EINVAL;
	pthread_mutex_lock(&m->lock);
	mem_wait_unpinned(m, req->va, req->size);
	if (req->device >= m->device_count || !tiled(m, req->va, req->size))
		r = -EINVAL;
	while (r == 0 && va < end) {
		struct mem_mapping *map = mem_map_at(m, va);

		r = grant(m, map, req->device, req->prot);
		va += map->size;
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

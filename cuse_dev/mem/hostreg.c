/* SPDX-License-Identifier: MIT */
/*
 * hostreg.c - memory that the client had already: its memfd, mapped here at the client's address.
 *
 * Such addresses lie outside the window and may be taken in this process; then the client must do
 * without.
 */
#include "cuse_dev/mem/state.h"

#include <errno.h>
#include <stdlib.h>

#include "cuse_dev/base/limits.h"

#define PAGE 4096u

int mem_host_register(struct mem *m, struct mem_owner *owner, uint64_t va, uint64_t size, int fd)
{
	struct mem_mapping *map;
	struct mem_phys *p;
	uint64_t end;
	int64_t have;
	int r;

	if (!va || va % PAGE || !size || size % PAGE || __builtin_add_overflow(va, size, &end))
		return -EINVAL;
	if (va < m->base + m->size && end > m->base)
		return -EINVAL;
	have = mem_memfd_check(fd, size);
	if (have < 0)
		return (int)have;

	pthread_mutex_lock(&m->lock);
	if (m->map_count >= LIMIT_MAPPINGS) {
		r = -ENOMEM;
		goto unlock;
	}
	if (mem_map_overlaps(m, va, size)) {
		r = -EADDRINUSE;
		goto unlock;
	}
	r = mem_phys_wrap(NULL, fd, size, &p);
	if (r < 0)
		goto unlock;
	r = mem_map_add(m, MEM_MAP_HOST, va, size, p, 0, &map);
	if (r < 0)
		goto put_phys;
	map->owner = owner;
	r = mem_map_protect(m, map, VGPU_PROT_READ_WRITE);
	if (r < 0)
		goto remove_map;
	m->map_count++;
	mem_phys_put(m, p); /* the mapping holds it */
	goto unlock;

remove_map:
	mem_map_remove(m, map);
put_phys:
	p->fd = -1; /* stays the caller's */
	mem_phys_put(m, p);
unlock:
	pthread_mutex_unlock(&m->lock);
	return r;
}

int mem_host_unregister(struct mem *m, uint64_t va)
{
	struct mem_mapping *map;
	int r = -EINVAL;

	pthread_mutex_lock(&m->lock);
	map = mem_map_at(m, va);
	if (map)
		mem_wait_unpinned(m, map->va, map->size);
	map = mem_map_at(m, va);
	if (map && map->kind == MEM_MAP_HOST && map->va == va) {
		r = mem_map_remove(m, map);
		if (r == 0)
			m->map_count--;
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

void mem_host_owner_fini(struct mem *m, struct mem_owner *owner)
{
	struct avl_node *n = avl_first(&m->maps);

	while (n) {
		struct mem_mapping *map = avl_entry(n, struct mem_mapping, node);

		n = avl_next(n);
		if (map->kind != MEM_MAP_HOST || map->owner != owner)
			continue;
		mem_wait_unpinned(m, map->va, map->size);
		if (mem_map_remove(m, map) == 0)
			m->map_count--;
	}
}

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
#include <unistd.h>

#include "cuse_dev/base/limits.h"

#define PAGE 4096u

/*
 * A memfd of ours cannot shrink. What the program has mapped can: whoever touches pages that went
 * gets SIGBUS, which is a kernel's fault, or the end of this process where a copy does.
 */
static int check_file(const struct vgpu_host_register *req, int fd)
{
	int64_t have;
	uint64_t end;

	if (!(req->flags & VGPU_HOST_MAPPED)) {
		if (req->offset)
			return -EINVAL;
		have = mem_memfd_check(fd, req->size);
		return have < 0 ? (int)have : 0;
	}
	if (req->offset % PAGE || __builtin_add_overflow(req->offset, req->size, &end) ||
	    end > INT64_MAX)
		return -EINVAL;
	have = lseek(fd, 0, SEEK_END);
	if (have < 0)
		return -errno;
	return ((uint64_t)have + PAGE - 1) / PAGE < end / PAGE ? -EINVAL : 0;
}

int mem_host_register(struct mem *m, struct mem_owner *owner, const struct vgpu_host_register *req,
		      int fd)
{
	uint64_t va = req->va, size = req->size, end;
	struct mem_mapping *map;
	struct mem_phys *p;
	int r;

	if (!va || va % PAGE || !size || size % PAGE || __builtin_add_overflow(va, size, &end) ||
	    req->flags & ~(VGPU_HOST_MAPPED | VGPU_HOST_READ_ONLY) || req->pad)
		return -EINVAL;
	if (va < m->base + m->size && end > m->base)
		return -EINVAL;
	r = check_file(req, fd);
	if (r < 0)
		return r;

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
	r = mem_map_add(m, MEM_MAP_HOST, va, size, p, req->offset, &map);
	if (r < 0)
		goto put_phys;
	map->owner = owner;
	r = mem_map_protect(
		m, map, req->flags & VGPU_HOST_READ_ONLY ? VGPU_PROT_READ : VGPU_PROT_READ_WRITE);
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

int mem_host_ranges(struct mem *m, uint64_t (**ret_ranges)[2], size_t *ret_count)
{
	uint64_t(*ranges)[2] = NULL;
	struct avl_node *n;
	size_t count = 0;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	for (n = avl_first(&m->maps); n; n = avl_next(n))
		count += avl_entry(n, struct mem_mapping, node)->kind == MEM_MAP_HOST;
	if (count) {
		ranges = calloc(count, sizeof(*ranges));
		r = ranges ? 0 : -ENOMEM;
	}
	*ret_count = 0;
	for (n = avl_first(&m->maps); r == 0 && count && n; n = avl_next(n)) {
		const struct mem_mapping *map = avl_entry(n, struct mem_mapping, node);

		if (map->kind != MEM_MAP_HOST)
			continue;
		/* Neighbours are one: an access may lie across. */
		if (*ret_count &&
		    ranges[*ret_count - 1][0] + ranges[*ret_count - 1][1] == map->va) {
			ranges[*ret_count - 1][1] += map->size;
			continue;
		}
		ranges[*ret_count][0] = map->va;
		ranges[(*ret_count)++][1] = map->size;
	}
	pthread_mutex_unlock(&m->lock);
	*ret_ranges = ranges;
	return r;
}

/* The first registration of @owner at @va or above. */
static struct mem_mapping *next_of(struct mem *m, const struct mem_owner *owner, uint64_t va)
{
	struct avl_node *n;

	for (n = avl_first(&m->maps); n; n = avl_next(n)) {
		struct mem_mapping *map = avl_entry(n, struct mem_mapping, node);

		if (map->kind == MEM_MAP_HOST && map->owner == owner && map->va >= va)
			return map;
	}
	return NULL;
}

void mem_host_owner_fini(struct mem *m, struct mem_owner *owner)
{
	struct mem_mapping *map;
	uint64_t va = 0;

	while ((map = next_of(m, owner, va))) {
		va = map->va;
		/* Waiting gives the lock away: what was there may have gone. */
		mem_wait_unpinned(m, va, map->size);
		map = mem_map_at(m, va);
		if (map && map->va == va && map->kind == MEM_MAP_HOST && map->owner == owner &&
		    mem_map_remove(m, map) == 0)
			m->map_count--;
		va++;
	}
}

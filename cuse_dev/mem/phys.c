/* SPDX-License-Identifier: MIT */
/*
 * phys.c - backing: units of an arena, or a memfd of its own, counted by reference.
 *
 * A unit that comes back is punched out of its memfd, so that the host has the pages again and the
 * next one to get it reads zeros.
 */
#include "cuse_dev/mem/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "cuse_dev/base/limits.h"

static int charge(struct mem_arena *a, uint64_t size)
{
	if (size > a->capacity || a->backed > a->capacity - size)
		return -ENOMEM;
	a->backed += size;
	a->charge += (int64_t)size;
	return 0;
}

static void discharge(struct mem_arena *a, uint64_t size)
{
	a->backed -= size;
	a->charge -= (int64_t)size;
}

int mem_phys_take(struct mem *m, struct mem_arena *arena, uint64_t size, struct mem_phys **ret_phys)
{
	struct mem_phys *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = charge(arena, size);
	if (r < 0)
		goto free_phys;
	r = mem_space_take(&arena->free, size, MEM_UNIT, p, &p->offset);
	if (r < 0)
		goto discharge;
	p->refs = 1;
	p->arena = arena;
	p->fd = arena->fd;
	p->off = p->offset->addr;
	p->size = size;
	*ret_phys = p;
	return 0;

discharge:
	discharge(arena, size);
free_phys:
	free(p);
	return r;
}

int mem_phys_wrap(struct mem_arena *charged, int fd, uint64_t size, struct mem_phys **ret_phys)
{
	struct mem_phys *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = charged ? charge(charged, size) : 0;
	if (r < 0) {
		free(p);
		return r;
	}
	*p = (struct mem_phys){ .refs = 1, .arena = charged, .fd = fd, .size = size };
	*ret_phys = p;
	return 0;
}

void mem_phys_put(struct mem *m, struct mem_phys *phys)
{
	if (!phys || --phys->refs)
		return;
	if (phys->offset) {
		/* Best effort: pages that stay cost memory, not correctness. */
		(void)fallocate(phys->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)phys->off, (off_t)phys->size);
		mem_space_give(&phys->arena->free, phys->offset);
	} else {
		close(phys->fd);
	}
	if (phys->arena)
		discharge(phys->arena, phys->size);
	free(phys);
}

int64_t mem_memfd_check(int fd, uint64_t size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	off_t end;

	/* What can shrink under a mapping ends in SIGBUS. */
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EPERM;
	end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	if (end == 0 || (size && (uint64_t)end != size))
		return -EINVAL;
	return end;
}

static int phys_add(struct mem *m, struct mem_phys *p, uint32_t *ret_id)
{
	int r = idtab_add(&m->phys, p, ret_id);

	return r == -ENOSPC ? -ENOMEM : r;
}

int mem_phys_create(struct mem *m, uint32_t device, struct vgpu_phys_create *req, int fd)
{
	struct mem_phys *p;
	int64_t end;
	int r;

	if (device >= m->device_count || !req->size || req->size % MEM_UNIT || req->pad ||
	    req->flags & ~(VGPU_PHYS_FD | VGPU_PHYS_HOST) ||
	    !!(req->flags & VGPU_PHYS_FD) != (fd >= 0))
		return -EINVAL;
	if (fd >= 0) {
		end = mem_memfd_check(fd, req->size);
		if (end < 0)
			return (int)end;
	}

	pthread_mutex_lock(&m->lock);
	if (fd >= 0)
		r = mem_phys_wrap(req->flags & VGPU_PHYS_HOST ? NULL : &m->arena[device], fd,
				  req->size, &p);
	else
		r = mem_phys_take(m,
				  &m->arena[req->flags & VGPU_PHYS_HOST ? MEM_HOST_ARENA : device],
				  req->size, &p);
	if (r < 0)
		goto unlock;
	r = phys_add(m, p, &req->phys);
	if (r < 0) {
		p->fd = fd >= 0 ? -1 : p->fd; /* stays the caller's */
		mem_phys_put(m, p);
		goto unlock;
	}
	req->arena_off = p->off;
unlock:
	pthread_mutex_unlock(&m->lock);
	return r;
}

int mem_phys_import(struct mem *m, struct vgpu_phys_import *req, int fd)
{
	struct mem_phys *p;
	int64_t end;
	int r;

	if (fd < 0)
		return -EINVAL;
	end = mem_memfd_check(fd, 0);
	if (end < 0)
		return (int)end;
	if ((uint64_t)end % MEM_UNIT)
		return -EINVAL;

	pthread_mutex_lock(&m->lock);
	r = mem_phys_wrap(NULL, fd, (uint64_t)end, &p);
	if (r < 0)
		goto unlock;
	r = phys_add(m, p, &req->phys);
	if (r < 0) {
		p->fd = -1; /* stays the caller's */
		mem_phys_put(m, p);
		goto unlock;
	}
	req->size = (uint64_t)end;
unlock:
	pthread_mutex_unlock(&m->lock);
	return r;
}

int mem_phys_release(struct mem *m, uint32_t phys)
{
	struct mem_phys *p;

	pthread_mutex_lock(&m->lock);
	p = idtab_remove(&m->phys, phys);
	mem_phys_put(m, p);
	pthread_mutex_unlock(&m->lock);
	return p ? 0 : -EBADF;
}

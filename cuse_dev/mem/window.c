/* SPDX-License-Identifier: MIT */
/*
 * window.c - reserve the window of addresses and set up the arenas, and take them down.
 */
#include "cuse_dev/mem/state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cuse_dev/base/limits.h"

#define WINDOW_MIN  (1ull << 32)
#define WINDOW_MAX  (1ull << 44)
#define ADDRESS_MAX (1ull << 47) /* user addresses of x86-64 end here */

char mem_for_reservation, mem_for_backing;

static int window_reserve(struct mem *m, uint64_t base, uint64_t size)
{
	void *got;
	int r;

	if (!base || base % MEM_UNIT || size < WINDOW_MIN || size > WINDOW_MAX ||
	    (size & (size - 1)) || base > ADDRESS_MAX - size)
		return -EINVAL;
	got = mmap((void *)base, size, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (got == MAP_FAILED)
		return -errno;
	if (got != (void *)base) { /* a kernel that does not know the flag */
		munmap(got, size);
		return -EEXIST;
	}
	m->base = base;
	m->size = size;
	m->upper = base + size / 2;
	r = mem_space_add(&m->lower, base, size / 2, NULL);
	if (r < 0)
		munmap(got, size);
	return r;
}

/* @most: bytes that can be addressed; an arena beyond that is not used to its end. */
static int arena_init(struct mem_arena *a, const struct mem_arena_config *c, uint64_t most)
{
	uint64_t bytes = (c->bytes < most ? c->bytes : most) & ~(MEM_UNIT - 1);
	int fd = c->fd, r;

	if (!bytes)
		return -EINVAL;
	if (fd < 0) {
		fd = memfd_create("vgpu-arena", MFD_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (ftruncate(fd, (off_t)c->bytes) < 0) {
			r = -errno;
			goto close_fd;
		}
	}
	r = mem_space_add(&a->free, 0, bytes, NULL);
	if (r < 0)
		goto close_fd;
	a->fd = fd;
	a->capacity = c->capacity ? c->capacity & ~(MEM_UNIT - 1) : bytes;
	return 0;

close_fd:
	if (c->fd < 0)
		close(fd);
	return r;
}

int mem_create(const struct mem_config *config, struct mem **ret_mem)
{
	struct mem *m = calloc(1, sizeof(*m));
	uint32_t i;
	int r;

	if (!m)
		return -ENOMEM;
	for (i = 0; i <= MEM_HOST_ARENA; i++)
		m->arena[i].fd = -1;
	idtab_init(&m->phys, LIMIT_PHYS);
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->unpinned, NULL);

	r = config->device_count > VGPU_MAX_DEVICES
		    ? -EINVAL
		    : window_reserve(m, config->window_base, config->window_size);
	if (r < 0)
		goto destroy;
	r = arena_init(&m->arena[MEM_HOST_ARENA], &config->host, m->size / 2);
	for (i = 0; r == 0 && i < config->device_count; i++)
		r = arena_init(&m->arena[i], &config->device[i], UINT64_MAX);
	if (r < 0)
		goto destroy;
	m->device_count = config->device_count;
	*ret_mem = m;
	return 0;

destroy:
	/* The caller keeps what he brought. */
	for (i = 0; i <= MEM_HOST_ARENA; i++)
		if ((i == MEM_HOST_ARENA ? &config->host : &config->device[i])->fd >= 0)
			m->arena[i].fd = -1;
	mem_destroy(m);
	return r;
}

void mem_destroy(struct mem *m)
{
	struct mem_phys *p;
	struct avl_node *n;
	uint32_t i = 0;

	if (!m)
		return;
	while ((n = avl_first(&m->maps)))
		mem_map_remove(m, avl_entry(n, struct mem_mapping, node));
	while ((p = idtab_next(&m->phys, &i)))
		mem_phys_put(m, p);
	idtab_fini(&m->phys);
	for (i = 0; i <= MEM_HOST_ARENA; i++) {
		mem_space_fini(&m->arena[i].free);
		mem_space_fini(&m->arena[i].pool);
		if (m->arena[i].fd >= 0)
			close(m->arena[i].fd);
	}
	mem_space_fini(&m->lower);
	if (m->size)
		munmap((void *)m->base, m->size);
	pthread_cond_destroy(&m->unpinned);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

int64_t mem_take_charge(struct mem *m, uint32_t device)
{
	int64_t charge = 0;

	pthread_mutex_lock(&m->lock);
	if (device < m->device_count) {
		charge = m->arena[device].charge;
		m->arena[device].charge = 0;
	}
	pthread_mutex_unlock(&m->lock);
	return charge;
}

/* SPDX-License-Identifier: MIT */
/*
 * state.h - what the files of mem share among themselves. Other rooms see mem.h only.
 *
 * Functions declared here want m->lock held.
 */
#ifndef MEM_STATE_H
#define MEM_STATE_H

#include <pthread.h>

#include "cuse_dev/base/idtab.h"
#include "cuse_dev/mem/mem.h"
#include "cuse_dev/mem/space.h"

#define MEM_HOST_ARENA VGPU_MAX_DEVICES /* index of the HOST arena in mem.arena */
#define MEM_NO_DEVICE  UINT32_MAX

struct mem_arena {
	int fd;
	uint64_t capacity;     /* most bytes backed at one time */
	uint64_t backed;       /* bytes, with the memfds of PHYS_CREATE */
	int64_t charge;	       /* change of backed that nobody has fetched yet */
	struct mem_space free; /* offsets, in units */
	struct mem_space pool; /* addresses inside units that small allocations share */
};

/* Backing. Lives while a handle or a mapping refers to it. */
struct mem_phys {
	uint32_t refs;
	struct mem_arena *arena;  /* charged there; NULL for imports and registered memory */
	struct mem_range *offset; /* its place in the arena, NULL when it has its own fd */
	int fd;
	uint64_t off, size;
};

enum mem_map_kind {
	MEM_MAP_BLOCK, /* one allocation */
	MEM_MAP_POOL,  /* a unit of a pool */
	MEM_MAP_VMM,   /* VA_MAP */
	MEM_MAP_HOST,  /* HOST_REGISTER, outside the window */
};

struct mem_mapping {
	struct avl_node node;
	enum mem_map_kind kind;
	uint64_t va, size;
	struct mem_phys *phys; /* holds a reference */
	uint64_t phys_off;
	uint32_t prot;			 /* VGPU_PROT_* in force */
	struct mem_owner *owner;	 /* MEM_MAP_HOST */
	uint8_t grant[VGPU_MAX_DEVICES]; /* MEM_MAP_VMM: prot = all of these together */
};

/* A range that someone reads or writes just now; lies on his stack. */
struct mem_pin {
	struct mem_pin *prev, *next;
	uint64_t va, bytes;
};

struct mem {
	pthread_mutex_t lock;
	pthread_cond_t unpinned;
	uint64_t base, size, upper; /* window; first address of the upper half */
	uint32_t device_count;
	struct mem_arena arena[VGPU_MAX_DEVICES + 1];
	struct mem_space lower; /* addresses of the lower half, in units */
	struct avl_tree maps;	/* struct mem_mapping, by va */
	struct avl_tree blocks; /* struct mem_block, by va */
	struct idtab phys;
	uint32_t block_count, map_count, reservation_count;
	struct mem_pin *pins;
};

/* Owners in mem.lower: what a range of addresses is for. */
extern char mem_for_reservation, mem_for_backing;

/* map.c */
struct mem_mapping *mem_map_at(const struct mem *m, uint64_t va);
/** mem_map_from() - the first mapping that ends behind @va. */
struct mem_mapping *mem_map_from(const struct mem *m, uint64_t va);
bool mem_map_overlaps(const struct mem *m, uint64_t va, uint64_t size);
/** mem_map_add() - take a reference on @phys; nothing is accessible yet. */
int mem_map_add(struct mem *m, enum mem_map_kind kind, uint64_t va, uint64_t size,
		struct mem_phys *phys, uint64_t phys_off, struct mem_mapping **ret_map);
int mem_map_protect(struct mem *m, struct mem_mapping *map, uint32_t prot);
/** mem_map_remove() - make inaccessible, forget, drop the reference. Unpinned already. */
int mem_map_remove(struct mem *m, struct mem_mapping *map);
/** mem_check() - 0 if all of [@va, +@bytes) is mapped with at least @prot. */
int mem_check(const struct mem *m, uint64_t va, uint64_t bytes, uint32_t prot);
/** mem_pin() - check, then hold; these two take the lock themselves. */
int mem_pin(struct mem *m, struct mem_pin *pin, uint64_t va, uint64_t bytes, uint32_t prot);
void mem_unpin(struct mem *m, struct mem_pin *pin);
/** mem_wait_unpinned() - drops the lock while it waits. */
void mem_wait_unpinned(struct mem *m, uint64_t va, uint64_t bytes);

/* phys.c */
int mem_phys_take(struct mem *m, struct mem_arena *arena, uint64_t size,
		  struct mem_phys **ret_phys);
int mem_phys_wrap(struct mem_arena *charged, int fd, uint64_t size, struct mem_phys **ret_phys);
void mem_phys_put(struct mem *m, struct mem_phys *phys);
/** mem_memfd_check() - a memfd of @size bytes (0: any) that cannot shrink. Returns its size. */
int64_t mem_memfd_check(int fd, uint64_t size);

/* hostreg.c */
void mem_host_owner_fini(struct mem *m, struct mem_owner *owner);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * space.h - numbers given out in ranges: addresses of the window, offsets of an arena, pieces of a
 * pool's units.
 *
 * A space consists of regions; the ranges of a region, used and free, tile it without gaps, and no
 * two free ones touch. Taking looks for the smallest free range that fits. Giving back only merges:
 * it never allocates and so never fails. Not thread-safe.
 */
#ifndef MEM_SPACE_H
#define MEM_SPACE_H

#include <stdint.h>

#include "cuse_dev/base/avl.h"

struct mem_range {
	struct avl_node by_addr;       /* among all */
	struct avl_node by_size;       /* among the free ones */
	struct mem_range *prev, *next; /* neighbours in the region, by address */
	uint64_t addr, size;
	void *owner; /* who uses it; NULL: free */
};

struct mem_space {
	struct avl_tree all, free;
	uint64_t used; /* bytes */
};

void mem_space_init(struct mem_space *s);
/** mem_space_fini() - forgets all ranges; owners are not looked at. */
void mem_space_fini(struct mem_space *s);

/** mem_space_add() - a new region, disjoint from all others; its one free range comes back. */
int mem_space_add(struct mem_space *s, uint64_t addr, uint64_t size, struct mem_range **ret_range);
/** mem_space_drop() - take a wholly free region away. */
void mem_space_drop(struct mem_space *s, struct mem_range *region);

/** mem_space_take() - @size bytes at a multiple of @align (power of two). -ENOMEM. */
int mem_space_take(struct mem_space *s, uint64_t size, uint64_t align, void *owner,
		   struct mem_range **ret_range);
/** mem_space_take_at() - exactly [@addr, +@size). -EEXIST if any of it is used or outside. */
int mem_space_take_at(struct mem_space *s, uint64_t addr, uint64_t size, void *owner,
		      struct mem_range **ret_range);
/** mem_space_give() - @range is free again; returns the free range that it is now part of. */
struct mem_range *mem_space_give(struct mem_space *s, struct mem_range *range);

/** mem_space_find() - the used range that @addr lies in, or NULL. */
struct mem_range *mem_space_find(const struct mem_space *s, uint64_t addr);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * place.h - where the bytes behind an address are, and moving them by the client's own hand.
 *
 * Any address that a program passes is one of: memory of ours that this process can touch somewhere
 * (device memory through its arena, pinned memory at its address), memory of ours that only the
 * daemon can touch (no shared pages), or the program's own memory.
 */
#ifndef IMPL_PLACE_H
#define IMPL_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcuda/core/ctx.h"
#include "libcuda/link/link.h"

struct place {
	struct link_range range; /* valid if known */
	bool known;		 /* in our map */
	bool worker_visible;	 /* commands may name it */
	bool device;		 /* ours, as opposed to the program's own memory */
	bool read_only;		 /* mapped so, at least in part */
	struct link_dev *dev;	 /* for reads and writes by the node */
	void *host;		 /* where the client touches the byte, NULL: by the node only */
	uint64_t bytes; /* from the address on that lie together, at most what was asked for */
};

/**
 * place_find() - the place of @va, and that all of [va, +bytes) is of one kind.
 *
 * -EINVAL: inside the window but not allocated, runs over its end, or mapped without access.
 */
int place_find(uint64_t va, uint64_t bytes, struct place *ret_place);

/**
 * place_copy() - copy now, by this thread. The ranges have been looked at by place_find() and
 * nothing that is queued touches them.
 */
int place_copy(uint64_t dst, uint64_t src, uint64_t bytes);

/** place_moves_fast() - can the client move these bytes without a round trip? */
bool place_moves_fast(const struct place *dst, const struct place *src);

/** cu_memory_add() - a range that @ctx owns; 0 or -errno. Used for module variables, too. */
int cu_memory_add(struct cu_ctx *ctx, enum link_kind kind, uint64_t va, uint64_t size,
		  uint64_t arena_off, unsigned flags);
/** cu_memory_remove() - forget it (module unloaded). */
void cu_memory_remove(uint64_t va);

#endif

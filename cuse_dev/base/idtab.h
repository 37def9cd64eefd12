/* SPDX-License-Identifier: MIT */
/*
 * idtab.h - handles: u32 numbers for pointers, with a generation so that a stale one is not found.
 *
 *   handle = generation << 20 | index        never 0
 *
 * Not thread-safe; the owner locks.
 */
#ifndef BASE_IDTAB_H
#define BASE_IDTAB_H

#include <stdint.h>

struct idtab {
	struct idtab_row *rows;
	uint32_t count, cap, free_head, limit, used;
};

/** idtab_init() - at most @limit live handles (up to 2^20 - 1). */
void idtab_init(struct idtab *t, uint32_t limit);
void idtab_fini(struct idtab *t);

/** idtab_add() - a handle for @p (not NULL). 0, -ENOMEM, -ENOSPC (limit). */
int idtab_add(struct idtab *t, void *p, uint32_t *ret_id);
/** idtab_get() - the pointer, or NULL for a stale or unknown handle. */
void *idtab_get(const struct idtab *t, uint32_t id);
/** idtab_remove() - forget it; returns the pointer or NULL. */
void *idtab_remove(struct idtab *t, uint32_t id);
/** idtab_next() - walk: the first live pointer at or after *pos, NULL at the end. */
void *idtab_next(const struct idtab *t, uint32_t *pos);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * arena.h - memory that goes all at once. Not thread-safe.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct base_arena;

/** arena_create() - NULL when out of memory. @limit: most bytes it may hold, 0 for no limit. */
struct base_arena *arena_create(size_t limit);
void arena_destroy(struct base_arena *a);

/** arena_alloc() - zeroed, 16-byte aligned; NULL when out of memory or over the limit. */
void *arena_alloc(struct base_arena *a, size_t bytes);

/** arena_grow() - room for @want elements: returns @old or a larger copy; *cap is updated. */
void *arena_grow(struct base_arena *a, void *old, size_t *cap, size_t want, size_t element);

/** arena_strndup() - a NUL-terminated copy. */
char *arena_strndup(struct base_arena *a, const char *s, size_t n);

/** arena_used() - bytes handed out. */
size_t arena_used(const struct base_arena *a);

#endif

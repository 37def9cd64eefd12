/* SPDX-License-Identifier: MIT */
/* arena.c - a chain of growing chunks; allocation moves a pointer. */
#include "cuse_dev/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN ((size_t)16 << 10)
#define CHUNK_MAX ((size_t)4 << 20)

struct chunk {
	struct chunk *next;
	size_t size, used;
	alignas(16) unsigned char data[];
};

struct base_arena {
	struct chunk *head; /* the one allocations come from */
	size_t limit, used, next_size;
};

struct base_arena *arena_create(size_t limit)
{
	struct base_arena *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->limit = limit;
	a->next_size = CHUNK_MIN;
	return a;
}

void arena_destroy(struct base_arena *a)
{
	struct chunk *c, *next;

	if (!a)
		return;
	for (c = a->head; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}

static struct chunk *chunk_add(struct base_arena *a, size_t bytes)
{
	size_t size = bytes > a->next_size ? bytes : a->next_size;
	struct chunk *c;

	if (size > SIZE_MAX - sizeof(*c))
		return NULL;
	c = calloc(1, sizeof(*c) + size);
	if (!c)
		return NULL;
	c->size = size;
	c->next = a->head;
	a->head = c;
	if (a->next_size < CHUNK_MAX)
		a->next_size *= 2;
	return c;
}

void *arena_alloc(struct base_arena *a, size_t bytes)
{
	struct chunk *c = a->head;
	void *p;

	if (bytes > SIZE_MAX - 15)
		return NULL;
	bytes = (bytes + 15) & ~(size_t)15;
	if (a->limit && bytes > a->limit - a->used)
		return NULL;
	if (!c || c->size - c->used < bytes) {
		c = chunk_add(a, bytes);
		if (!c)
			return NULL;
	}
	p = c->data + c->used;
	c->used += bytes;
	a->used += bytes;
	return p;
}

void *arena_grow(struct base_arena *a, void *old, size_t *cap, size_t want, size_t element)
{
	size_t n = *cap;
	void *p;

	if (want <= n)
		return old;
	if (n < 8)
		n = 8;
	while (n < want) {
		if (n > SIZE_MAX / 2)
			return NULL;
		n *= 2;
	}
	if (element && n > SIZE_MAX / element)
		return NULL;
	p = arena_alloc(a, n * element);
	if (!p)
		return NULL;
	if (*cap)
		memcpy(p, old, *cap * element);
	*cap = n;
	return p;
}

char *arena_strndup(struct base_arena *a, const char *s, size_t n)
{
	char *p = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;

	if (p)
		memcpy(p, s, n); /* the rest is zero already */
	return p;
}

size_t arena_used(const struct base_arena *a)
{
	return a->used;
}

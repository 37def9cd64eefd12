/* SPDX-License-Identifier: MIT */
/*
 * range.c - an ordered map of disjoint address ranges: a treap under a reader-writer lock.
 *
 * Look-ups hand out copies: a range may be freed by another thread at any time, and what a program
 * does with memory that it frees at the same time is its own affair.
 */
#include <stdlib.h>

#include "libcuda/link/internal.h"

struct link_node {
	struct link_range r;
	struct link_node *left, *right;
	uint32_t prio; /* heap order: no child's is greater */
};

static uint32_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ull;
	x ^= x >> 29;
	return (uint32_t)(x >> 16);
}

/* Parts @t into ranges below @va and those at or above it. */
static void split(struct link_node *t, uint64_t va, struct link_node **ret_low,
		  struct link_node **ret_high)
{
	while (t) {
		if (t->r.va < va) {
			*ret_low = t;
			ret_low = &t->right;
			t = t->right;
		} else {
			*ret_high = t;
			ret_high = &t->left;
			t = t->left;
		}
	}
	*ret_low = NULL;
	*ret_high = NULL;
}

static struct link_node *merge(struct link_node *low, struct link_node *high)
{
	struct link_node *root, **at = &root;

	while (low && high) {
		if (low->prio >= high->prio) {
			*at = low;
			at = &low->right;
			low = low->right;
		} else {
			*at = high;
			at = &high->left;
			high = high->left;
		}
	}
	*at = low ? low : high;
	return root;
}

/* Last range that starts at or below @va. */
static struct link_node *floor_of(struct link_node *t, uint64_t va)
{
	struct link_node *best = NULL;

	while (t) {
		if (t->r.va <= va) {
			best = t;
			t = t->right;
		} else {
			t = t->left;
		}
	}
	return best;
}

/* First range that starts at or above @va. */
static struct link_node *ceil_of(struct link_node *t, uint64_t va)
{
	struct link_node *best = NULL;

	while (t) {
		if (t->r.va >= va) {
			best = t;
			t = t->left;
		} else {
			t = t->right;
		}
	}
	return best;
}

int link_map_init(struct link_table *m)
{
	m->root = NULL;
	m->next_id = 1;
	m->count = 0;
	return -pthread_rwlock_init(&m->lock, NULL);
}

void link_map_fini(struct link_table *m)
{
	struct link_node *t;

	/* Turn left children up until there is none: no recursion, no stack. */
	while ((t = m->root)) {
		if (t->left) {
			struct link_node *up = t->left;

			t->left = up->right;
			up->right = t;
			m->root = up;
		} else {
			m->root = t->right;
			free(t);
		}
	}
	pthread_rwlock_destroy(&m->lock);
}

int link_map_add(struct link_table *m, const struct link_range *r)
{
	struct link_node *n, *near, **at;

	if (!r->size || r->va + r->size - 1 < r->va)
		return -EINVAL;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->r = *r;
	n->prio = mix(r->va);

	pthread_rwlock_wrlock(&m->lock);
	near = floor_of(m->root, r->va + r->size - 1);
	if (near && near->r.va + near->r.size > r->va) {
		pthread_rwlock_unlock(&m->lock);
		free(n);
		return -EEXIST;
	}
	n->r.id = m->next_id++;
	at = &m->root;
	while (*at && (*at)->prio >= n->prio)
		at = (*at)->r.va < r->va ? &(*at)->right : &(*at)->left;
	split(*at, r->va, &n->left, &n->right);
	*at = n;
	m->count++;
	pthread_rwlock_unlock(&m->lock);
	return 0;
}

int link_map_find(struct link_table *m, uint64_t va, struct link_range *ret_range)
{
	struct link_node *n;
	int r = -ENOENT;

	pthread_rwlock_rdlock(&m->lock);
	n = floor_of(m->root, va);
	if (n && va - n->r.va < n->r.size) {
		*ret_range = n->r;
		r = 0;
	}
	pthread_rwlock_unlock(&m->lock);
	return r;
}

int link_map_next(struct link_table *m, uint64_t va, struct link_range *ret_range)
{
	struct link_node *n;

	pthread_rwlock_rdlock(&m->lock);
	n = floor_of(m->root, va);
	if (!n || va - n->r.va >= n->r.size)
		n = ceil_of(m->root, va);
	if (n)
		*ret_range = n->r;
	pthread_rwlock_unlock(&m->lock);
	return n ? 0 : -ENOENT;
}

int link_map_remove(struct link_table *m, uint64_t va, struct link_range *ret_range)
{
	struct link_node **at, *n;

	pthread_rwlock_wrlock(&m->lock);
	at = &m->root;
	while (*at && (*at)->r.va != va)
		at = (*at)->r.va < va ? &(*at)->right : &(*at)->left;
	n = *at;
	if (n) {
		*at = merge(n->left, n->right);
		m->count--;
	}
	pthread_rwlock_unlock(&m->lock);
	if (!n)
		return -ENOENT;
	if (ret_range)
		*ret_range = n->r;
	free(n);
	return 0;
}

/* The node that starts at @va; the caller holds the lock for writing. */
static struct link_node *exact(struct link_table *m, uint64_t va)
{
	struct link_node *n = floor_of(m->root, va);

	return n && n->r.va == va ? n : NULL;
}

int link_map_set_flags(struct link_table *m, uint64_t va, uint32_t flags)
{
	struct link_node *n;

	pthread_rwlock_wrlock(&m->lock);
	n = exact(m, va);
	if (n)
		n->r.flags = flags;
	pthread_rwlock_unlock(&m->lock);
	return n ? 0 : -ENOENT;
}

int link_map_set_host(struct link_table *m, uint64_t va, void *host)
{
	struct link_node *n;

	pthread_rwlock_wrlock(&m->lock);
	n = exact(m, va);
	if (n)
		n->r.host = host;
	pthread_rwlock_unlock(&m->lock);
	return n ? 0 : -ENOENT;
}

int link_map_set_owner(struct link_table *m, uint64_t va, struct link_dev *dev, void *ctx)
{
	struct link_node *n;

	pthread_rwlock_wrlock(&m->lock);
	n = exact(m, va);
	if (n) {
		n->r.dev = dev;
		n->r.ctx = ctx;
	}
	pthread_rwlock_unlock(&m->lock);
	return n ? 0 : -ENOENT;
}

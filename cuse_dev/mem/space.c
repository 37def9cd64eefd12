/* SPDX-License-Identifier: MIT */
/* space.c - ranges tiling regions, see space.h. */
#include "cuse_dev/mem/space.h"

#include <errno.h>
#include <stdlib.h>

/* Best-fit candidates looked at before a range is wanted that fits at any alignment. */
#define ALIGN_TRIES 16

static struct mem_range *at_addr(struct avl_node *n)
{
	return avl_entry(n, struct mem_range, by_addr);
}

static struct mem_range *at_size(struct avl_node *n)
{
	return avl_entry(n, struct mem_range, by_size);
}

static int before_addr(const struct avl_node *a, const struct avl_node *b)
{
	return at_addr((struct avl_node *)a)->addr < at_addr((struct avl_node *)b)->addr;
}

static int before_size(const struct avl_node *a, const struct avl_node *b)
{
	const struct mem_range *x = at_size((struct avl_node *)a);
	const struct mem_range *y = at_size((struct avl_node *)b);

	return x->size != y->size ? x->size < y->size : x->addr < y->addr;
}

void mem_space_init(struct mem_space *s)
{
	*s = (struct mem_space){ 0 };
}

void mem_space_fini(struct mem_space *s)
{
	struct avl_node *n;

	while ((n = s->all.root)) {
		avl_remove(&s->all, n);
		free(at_addr(n));
	}
	mem_space_init(s);
}

int mem_space_add(struct mem_space *s, uint64_t addr, uint64_t size, struct mem_range **ret_range)
{
	struct mem_range *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->addr = addr;
	r->size = size;
	avl_insert(&s->all, &r->by_addr, before_addr);
	avl_insert(&s->free, &r->by_size, before_size);
	if (ret_range)
		*ret_range = r;
	return 0;
}

void mem_space_drop(struct mem_space *s, struct mem_range *region)
{
	avl_remove(&s->free, &region->by_size);
	avl_remove(&s->all, &region->by_addr);
	free(region);
}

/* The smallest free range of at least @size bytes. */
static struct mem_range *lower_bound(const struct mem_space *s, uint64_t size)
{
	struct avl_node *n = s->free.root;
	struct mem_range *best = NULL;

	while (n) {
		struct mem_range *r = at_size(n);

		if (r->size >= size) {
			best = r;
			n = n->child[0];
		} else {
			n = n->child[1];
		}
	}
	return best;
}

/* Where in the free range @r the wanted piece would begin; ~0 if it does not fit. */
static uint64_t place(const struct mem_range *r, uint64_t size, uint64_t align)
{
	uint64_t addr = (r->addr + align - 1) & ~(align - 1);

	if (addr < r->addr || addr - r->addr > r->size || r->size - (addr - r->addr) < size)
		return UINT64_MAX;
	return addr;
}

/* Cut [@addr, +@size) out of the free range @r, which becomes that piece. */
static int carve(struct mem_space *s, struct mem_range *r, uint64_t addr, uint64_t size,
		 void *owner)
{
	uint64_t front = addr - r->addr, back = r->size - front - size;
	struct mem_range *f = NULL, *b = NULL;

	if (front && !(f = calloc(1, sizeof(*f))))
		return -ENOMEM;
	if (back && !(b = calloc(1, sizeof(*b)))) {
		free(f);
		return -ENOMEM;
	}
	avl_remove(&s->free, &r->by_size);
	if (f) {
		/* @r keeps its place in the tree by address: that of the front piece is before it.
		 */
		f->addr = r->addr;
		f->size = front;
		f->prev = r->prev;
		f->next = r;
		if (f->prev)
			f->prev->next = f;
		r->prev = f;
	}
	r->addr = addr;
	r->size = size;
	r->owner = owner;
	if (f) {
		avl_insert(&s->all, &f->by_addr, before_addr);
		avl_insert(&s->free, &f->by_size, before_size);
	}
	if (b) {
		b->addr = addr + size;
		b->size = back;
		b->prev = r;
		b->next = r->next;
		if (b->next)
			b->next->prev = b;
		r->next = b;
		avl_insert(&s->all, &b->by_addr, before_addr);
		avl_insert(&s->free, &b->by_size, before_size);
	}
	s->used += size;
	return 0;
}

int mem_space_take(struct mem_space *s, uint64_t size, uint64_t align, void *owner,
		   struct mem_range **ret_range)
{
	struct mem_range *r = lower_bound(s, size);
	uint64_t addr = UINT64_MAX;
	int tries, err;

	for (tries = 0; r && tries < ALIGN_TRIES; tries++) {
		addr = place(r, size, align);
		if (addr != UINT64_MAX)
			break;
		r = at_size(avl_next(&r->by_size));
	}
	if (r && addr == UINT64_MAX && size <= UINT64_MAX - align) {
		r = lower_bound(s, size + align - 1);
		addr = r ? place(r, size, align) : UINT64_MAX;
	}
	if (!r || addr == UINT64_MAX)
		return -ENOMEM;
	err = carve(s, r, addr, size, owner);
	if (err < 0)
		return err;
	*ret_range = r;
	return 0;
}

/* The range, used or free, that @addr lies in. */
static struct mem_range *covering(const struct mem_space *s, uint64_t addr)
{
	struct avl_node *n = s->all.root;

	while (n) {
		struct mem_range *r = at_addr(n);

		if (addr < r->addr)
			n = n->child[0];
		else if (addr - r->addr >= r->size)
			n = n->child[1];
		else
			return r;
	}
	return NULL;
}

int mem_space_take_at(struct mem_space *s, uint64_t addr, uint64_t size, void *owner,
		      struct mem_range **ret_range)
{
	struct mem_range *r = covering(s, addr);
	int err;

	if (!r || r->owner || r->size - (addr - r->addr) < size)
		return -EEXIST;
	err = carve(s, r, addr, size, owner);
	if (err < 0)
		return err;
	*ret_range = r;
	return 0;
}

struct mem_range *mem_space_give(struct mem_space *s, struct mem_range *range)
{
	struct mem_range *p = range->prev, *n = range->next;

	s->used -= range->size;
	range->owner = NULL;
	if (n && !n->owner) {
		avl_remove(&s->free, &n->by_size);
		avl_remove(&s->all, &n->by_addr);
		range->size += n->size;
		range->next = n->next;
		if (range->next)
			range->next->prev = range;
		free(n);
	}
	if (p && !p->owner) {
		avl_remove(&s->free, &p->by_size);
		avl_remove(&s->all, &range->by_addr);
		p->size += range->size;
		p->next = range->next;
		if (p->next)
			p->next->prev = p;
		free(range);
		range = p;
	}
	avl_insert(&s->free, &range->by_size, before_size);
	return range;
}

struct mem_range *mem_space_find(const struct mem_space *s, uint64_t addr)
{
	struct mem_range *r = covering(s, addr);

	return r && r->owner ? r : NULL;
}

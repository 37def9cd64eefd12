/* SPDX-License-Identifier: MIT */
/* idtab.c - an array of rows with a free list through the free ones. */
#include "cuse_dev/base/idtab.h"

#include <errno.h>
#include <stdlib.h>

#define INDEX_BITS 20
#define INDEX_MASK ((1u << INDEX_BITS) - 1)
#define NO_ROW	   UINT32_MAX

struct idtab_row {
	void *p;	     /* NULL: free */
	uint32_t generation; /* 1 .. 4095, part of the handle */
	uint32_t next_free;
};

void idtab_init(struct idtab *t, uint32_t limit)
{
	*t = (struct idtab){ .limit = limit < INDEX_MASK ? limit : INDEX_MASK,
			     .free_head = NO_ROW };
}

void idtab_fini(struct idtab *t)
{
	free(t->rows);
	idtab_init(t, t->limit);
}

static int grow(struct idtab *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : 16;
	struct idtab_row *rows = realloc(t->rows, (size_t)cap * sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	t->rows = rows;
	t->cap = cap;
	return 0;
}

int idtab_add(struct idtab *t, void *p, uint32_t *ret_id)
{
	uint32_t i;
	int r;

	if (t->used >= t->limit)
		return -ENOSPC;
	if (t->free_head != NO_ROW) {
		i = t->free_head;
		t->free_head = t->rows[i].next_free;
	} else {
		if (t->count == t->cap) {
			r = grow(t);
			if (r < 0)
				return r;
		}
		i = t->count++;
		t->rows[i].generation = 1;
	}
	t->rows[i].p = p;
	t->used++;
	*ret_id = t->rows[i].generation << INDEX_BITS | i;
	return 0;
}

static struct idtab_row *row(const struct idtab *t, uint32_t id)
{
	uint32_t i = id & INDEX_MASK;

	if (i >= t->count || !t->rows[i].p || t->rows[i].generation != id >> INDEX_BITS)
		return NULL;
	return &t->rows[i];
}

void *idtab_get(const struct idtab *t, uint32_t id)
{
	struct idtab_row *r = row(t, id);

	return r ? r->p : NULL;
}

void *idtab_remove(struct idtab *t, uint32_t id)
{
	struct idtab_row *r = row(t, id);
	void *p;

	if (!r)
		return NULL;
	p = r->p;
	r->p = NULL;
	r->generation = r->generation % 4095 + 1;
	r->next_free = t->free_head;
	t->free_head = id & INDEX_MASK;
	t->used--;
	return p;
}

void *idtab_next(const struct idtab *t, uint32_t *pos)
{
	while (*pos < t->count) {
		struct idtab_row *r = &t->rows[(*pos)++];

		if (r->p)
			return r->p;
	}
	return NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * avl.c - see avl.h.
 *
 *   |height(child[0]) - height(child[1])| <= 1      after every public call
 */
#include "cuse_dev/base/avl.h"

static int height(const struct avl_node *n)
{
	return n ? n->height : 0;
}

static void measure(struct avl_node *n)
{
	int a = height(n->child[0]), b = height(n->child[1]);

	n->height = 1 + (a > b ? a : b);
}

/* Put @with in the place that @n has under its parent. */
static void substitute(struct avl_tree *t, struct avl_node *n, struct avl_node *with)
{
	struct avl_node *p = n->parent;

	if (!p)
		t->root = with;
	else
		p->child[p->child[1] == n] = with;
	if (with)
		with->parent = p;
}

/* Turn @n down to @side; its child on the other side takes its place. Returns that child. */
static struct avl_node *rotate(struct avl_tree *t, struct avl_node *n, int side)
{
	struct avl_node *up = n->child[!side];
	struct avl_node *inner = up->child[side];

	substitute(t, n, up);
	n->child[!side] = inner;
	if (inner)
		inner->parent = n;
	up->child[side] = n;
	n->parent = up;
	measure(n);
	measure(up);
	return up;
}

/* Restore heights and balance from @n up to the root. */
static void rebalance(struct avl_tree *t, struct avl_node *n)
{
	for (; n; n = n->parent) {
		int lean = height(n->child[1]) - height(n->child[0]);
		int deep = lean > 0;

		if (lean < -1 || lean > 1) {
			struct avl_node *c = n->child[deep];

			if (height(c->child[!deep]) > height(c->child[deep]))
				rotate(t, c, deep);
			n = rotate(t, n, !deep);
		} else {
			measure(n);
		}
	}
}

void avl_insert(struct avl_tree *t, struct avl_node *n,
		int (*before)(const struct avl_node *a, const struct avl_node *b))
{
	struct avl_node *p = NULL, **link = &t->root;

	while (*link) {
		p = *link;
		link = &p->child[!before(n, p)];
	}
	*n = (struct avl_node){ .parent = p, .height = 1 };
	*link = n;
	rebalance(t, p);
}

void avl_remove(struct avl_tree *t, struct avl_node *n)
{
	struct avl_node *from, *s;

	if (!n->child[0] || !n->child[1]) {
		from = n->parent;
		substitute(t, n, n->child[0] ? n->child[0] : n->child[1]);
		rebalance(t, from);
		return;
	}
	/* Two children: the next greater one, which has no smaller child, takes its place. */
	for (s = n->child[1]; s->child[0]; s = s->child[0])
		;
	from = s->parent == n ? s : s->parent;
	if (s->parent != n) {
		substitute(t, s, s->child[1]);
		s->child[1] = n->child[1];
		s->child[1]->parent = s;
	}
	s->child[0] = n->child[0];
	s->child[0]->parent = s;
	substitute(t, n, s);
	rebalance(t, from);
}

struct avl_node *avl_first(const struct avl_tree *t)
{
	struct avl_node *n = t->root;

	while (n && n->child[0])
		n = n->child[0];
	return n;
}

static struct avl_node *step(const struct avl_node *n, int side)
{
	struct avl_node *m;

	if (n->child[side]) {
		for (m = n->child[side]; m->child[!side]; m = m->child[!side])
			;
		return m;
	}
	for (m = n->parent; m && m->child[side] == n; m = m->parent)
		n = m;
	return m;
}

struct avl_node *avl_next(const struct avl_node *n)
{
	return step(n, 1);
}

struct avl_node *avl_prev(const struct avl_node *n)
{
	return step(n, 0);
}

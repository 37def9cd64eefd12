/* SPDX-License-Identifier: MIT */
/*
 * avl.h - an ordered set whose nodes lie inside the caller's structs (AVL tree).
 *
 * Nothing here allocates, so removing never fails. Look-ups are written by the user as a descent
 * over child[], because only he knows the key. Not thread-safe.
 */
#ifndef BASE_AVL_H
#define BASE_AVL_H

#include <stddef.h>

struct avl_node {
	struct avl_node *parent;
	struct avl_node *child[2]; /* smaller, greater */
	int height;		   /* 1 for a leaf */
};

struct avl_tree {
	struct avl_node *root;
};

/** container_of in the name of this room: the struct around a node, NULL for NULL. */
#define avl_entry(node, type, member)                                                              \
	({                                                                                         \
		struct avl_node *node_ = (node);                                                   \
		node_ ? (type *)(void *)((char *)node_ - offsetof(type, member)) : NULL;           \
	})

/** avl_insert() - @before(a, b): nonzero when a comes before b; equal nodes keep their order. */
void avl_insert(struct avl_tree *t, struct avl_node *n,
		int (*before)(const struct avl_node *a, const struct avl_node *b));
void avl_remove(struct avl_tree *t, struct avl_node *n);

/* In order; NULL when there is none. */
struct avl_node *avl_first(const struct avl_tree *t);
struct avl_node *avl_next(const struct avl_node *n);
struct avl_node *avl_prev(const struct avl_node *n);

#endif

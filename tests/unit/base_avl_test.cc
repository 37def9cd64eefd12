// SPDX-License-Identifier: MIT
// The ordered set: same content as std::set after any mix of inserts and removals, and balanced.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

extern "C" {
#include "cuse_dev/base/avl.h"
}

namespace {
struct item {
	struct avl_node node;
	int key;
};

int before(const struct avl_node *a, const struct avl_node *b)
{
	return ((const struct item *)a)->key < ((const struct item *)b)->key;
}

// Height below n; checks parents, order of heights and balance on the way.
int checked(const struct avl_node *n, const struct avl_node *parent)
{
	if (!n)
		return 0;
	EXPECT_EQ(parent, n->parent);
	int a = checked(n->child[0], n), b = checked(n->child[1], n);

	EXPECT_LE(abs(a - b), 1);
	EXPECT_EQ(1 + std::max(a, b), n->height);
	return n->height;
}
} // namespace

TEST(Avl, BehavesAsASet)
{
	std::mt19937 rng(7);
	std::vector<item> items(600);
	std::multiset<int> model;
	std::vector<bool> in(items.size());
	struct avl_tree t = {};

	for (int step = 0; step < 20000; step++) {
		size_t i = rng() % items.size();

		if (in[i]) {
			avl_remove(&t, &items[i].node);
			model.erase(model.find(items[i].key));
		} else {
			items[i].key = (int)(rng() % 300);
			avl_insert(&t, &items[i].node, before);
			model.insert(items[i].key);
		}
		in[i] = !in[i];
		if (step % 500)
			continue;
		checked(t.root, nullptr);
		auto want = model.begin();
		struct avl_node *last = nullptr;
		for (struct avl_node *n = avl_first(&t); n; last = n, n = avl_next(n)) {
			ASSERT_NE(model.end(), want);
			ASSERT_EQ(*want++, ((item *)n)->key);
			ASSERT_EQ(last, avl_prev(n));
		}
		ASSERT_EQ(model.end(), want);
	}
}

TEST(Avl, EntryOfNothingIsNothing)
{
	struct avl_tree t = {};

	EXPECT_EQ(nullptr, avl_first(&t));
	EXPECT_EQ(nullptr, avl_entry((struct avl_node *)nullptr, struct item, node));
}

/* SPDX-License-Identifier: MIT */
/*
 * The map of addresses: look-ups, neighbours, overlaps, and a long random run against a model.
 */
#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <random>

extern "C" {
#include "libcuda/link/link.h"
}

namespace {

class Range : public testing::Test {
protected:
	void SetUp() override { ASSERT_EQ(link_map_init(&table), 0); }
	void TearDown() override { link_map_fini(&table); }

	int add(uint64_t va, uint64_t size)
	{
		link_range r = {};

		r.va = va;
		r.size = size;
		r.kind = LINK_DEVICE;
		return link_map_add(&table, &r);
	}

	link_table table;
	link_range got;
};

TEST_F(Range, FindsFirstAndLastByte)
{
	ASSERT_EQ(add(0x1000, 0x100), 0);
	EXPECT_EQ(link_map_find(&table, 0x1000, &got), 0);
	EXPECT_EQ(got.va, 0x1000u);
	EXPECT_EQ(link_map_find(&table, 0x10ff, &got), 0);
	EXPECT_EQ(link_map_find(&table, 0xfff, &got), -ENOENT);
	EXPECT_EQ(link_map_find(&table, 0x1100, &got), -ENOENT);
}

TEST_F(Range, NeighboursMayTouch)
{
	ASSERT_EQ(add(0x2000, 0x100), 0);
	EXPECT_EQ(add(0x1f00, 0x100), 0);
	EXPECT_EQ(add(0x2100, 0x100), 0);
	EXPECT_EQ(table.count, 3u);
}

TEST_F(Range, RefusesOverlap)
{
	ASSERT_EQ(add(0x2000, 0x100), 0);
	EXPECT_EQ(add(0x2000, 0x100), -EEXIST);
	EXPECT_EQ(add(0x1f01, 0x100), -EEXIST);
	EXPECT_EQ(add(0x20ff, 1), -EEXIST);
	EXPECT_EQ(add(0x1000, 0x10000), -EEXIST);
	EXPECT_EQ(table.count, 1u);
}

TEST_F(Range, RefusesEmptyAndWrapping)
{
	EXPECT_EQ(add(0x1000, 0), -EINVAL);
	EXPECT_EQ(add(UINT64_MAX - 10, 100), -EINVAL);
	EXPECT_EQ(add(UINT64_MAX - 9, 10), 0);
}

TEST_F(Range, RemoveWantsTheStart)
{
	ASSERT_EQ(add(0x1000, 0x100), 0);
	EXPECT_EQ(link_map_remove(&table, 0x1001, &got), -ENOENT);
	EXPECT_EQ(link_map_remove(&table, 0x1000, &got), 0);
	EXPECT_EQ(got.size, 0x100u);
	EXPECT_EQ(link_map_remove(&table, 0x1000, &got), -ENOENT);
}

TEST_F(Range, NextWalksInOrder)
{
	ASSERT_EQ(add(0x3000, 0x100), 0);
	ASSERT_EQ(add(0x1000, 0x100), 0);
	ASSERT_EQ(link_map_next(&table, 0, &got), 0);
	EXPECT_EQ(got.va, 0x1000u);
	ASSERT_EQ(link_map_next(&table, 0x10ff, &got), 0);
	EXPECT_EQ(got.va, 0x1000u);
	ASSERT_EQ(link_map_next(&table, 0x1100, &got), 0);
	EXPECT_EQ(got.va, 0x3000u);
	EXPECT_EQ(link_map_next(&table, 0x3100, &got), -ENOENT);
}

TEST_F(Range, IdsAreNeverUsedAgain)
{
	ASSERT_EQ(add(0x1000, 0x100), 0);
	ASSERT_EQ(link_map_remove(&table, 0x1000, &got), 0);
	uint64_t first = got.id;
	ASSERT_EQ(add(0x1000, 0x100), 0);
	ASSERT_EQ(link_map_find(&table, 0x1000, &got), 0);
	EXPECT_GT(got.id, first);
}

TEST_F(Range, SetFlagsAndHost)
{
	int byte;

	ASSERT_EQ(add(0x1000, 0x100), 0);
	EXPECT_EQ(link_map_set_flags(&table, 0x1000, 7), 0);
	EXPECT_EQ(link_map_set_host(&table, 0x1000, &byte), 0);
	EXPECT_EQ(link_map_set_flags(&table, 0x1001, 9), -ENOENT);
	ASSERT_EQ(link_map_find(&table, 0x1080, &got), 0);
	EXPECT_EQ(got.flags, 7u);
	EXPECT_EQ(got.host, &byte);
}

TEST_F(Range, AgreesWithAModel)
{
	std::map<uint64_t, uint64_t> model;
	std::mt19937 rng(12345);

	for (int step = 0; step < 200000; step++) {
		uint64_t va = rng() % 100000 + 1, size = rng() % 40 + 1;

		if (rng() % 2) {
			auto after = model.lower_bound(va);
			bool clash = after != model.end() && after->first < va + size;
			if (after != model.begin()) {
				auto before = std::prev(after);
				clash |= before->first + before->second > va;
			}
			ASSERT_EQ(add(va, size), clash ? -EEXIST : 0);
			if (!clash)
				model[va] = size;
		} else if (rng() % 2) {
			bool there = model.erase(va);
			ASSERT_EQ(link_map_remove(&table, va, &got), there ? 0 : -ENOENT);
		} else {
			auto it = model.upper_bound(va);
			bool hit = it != model.begin() &&
				   va - std::prev(it)->first < std::prev(it)->second;
			ASSERT_EQ(link_map_find(&table, va, &got), hit ? 0 : -ENOENT);
			if (hit) {
				ASSERT_EQ(got.va, std::prev(it)->first);
			}
		}
		ASSERT_EQ(table.count, model.size());
	}
}

} // namespace

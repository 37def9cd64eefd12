// SPDX-License-Identifier: MIT
// base_meter_test.cc - busy time in all and by slots of time, and a page that says what cannot be.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

extern "C" {
#include "cuse_dev/base/meter.h"
}

namespace {
constexpr uint64_t kSlot = METER_SLOT_NS;
constexpr uint64_t kStart = 1000 * kSlot;

class Meter : public ::testing::Test {
protected:
	void SetUp() override
	{
		t = std::make_unique<meter_track>();
		memset(t.get(), 0, sizeof(*t));
	}
	uint64_t busy(uint64_t first, uint64_t now) { return meter_busy(t.get(), first, now); }

	std::unique_ptr<meter_track> t;
};

TEST_F(Meter, OneIntervalInOneSlot)
{
	meter_begin(t.get(), kStart + 10);
	meter_end(t.get(), kStart + 110);
	EXPECT_EQ(t->count, 1u);
	EXPECT_EQ(busy(1000, kStart + 200), 100u);
	EXPECT_EQ(busy(1001, kStart + 2 * kSlot), 0u);
	EXPECT_EQ(meter_total(t.get(), kStart, kStart + 200), 100u);
}

TEST_F(Meter, AnIntervalIsSpreadOverItsSlots)
{
	meter_begin(t.get(), kStart + kSlot / 2);
	meter_end(t.get(), kStart + 3 * kSlot + 7);
	EXPECT_EQ(busy(1000, kStart + 4 * kSlot), 2 * kSlot + kSlot / 2 + 7);
	EXPECT_EQ(busy(1002, kStart + 4 * kSlot), kSlot + 7);
	EXPECT_EQ(busy(1003, kStart + 4 * kSlot), 7u);
}

TEST_F(Meter, WhatGoesOnCounts)
{
	meter_begin(t.get(), kStart);
	EXPECT_EQ(busy(1000, kStart + 50), 50u);
	EXPECT_EQ(busy(1002, kStart + 3 * kSlot), kSlot);
	EXPECT_EQ(meter_total(t.get(), kStart, kStart + 3 * kSlot), 3 * kSlot);
}

TEST_F(Meter, LongerThanTheRing)
{
	uint64_t end = kStart + 1000 * kSlot;

	meter_begin(t.get(), kStart);
	meter_end(t.get(), end);
	EXPECT_EQ(busy((end >> METER_SHIFT) - 10, end), 10 * kSlot);
	EXPECT_EQ(meter_total(t.get(), kStart, end), 1000 * kSlot);
}

TEST_F(Meter, ASlotIsUsedAgain)
{
	meter_begin(t.get(), kStart);
	meter_end(t.get(), kStart + 100);
	meter_begin(t.get(), kStart + METER_SLOTS * kSlot);
	meter_end(t.get(), kStart + METER_SLOTS * kSlot + 5);
	EXPECT_EQ(busy(1000, kStart + METER_SLOTS * kSlot + 10), 5u);
	EXPECT_EQ(meter_total(t.get(), kStart, kStart + METER_SLOTS * kSlot + 10), 105u);
}

TEST_F(Meter, Bytes)
{
	meter_bytes(t.get(), kStart, 100);
	meter_bytes(t.get(), kStart + kSlot, 11);
	EXPECT_EQ(t->bytes, 111u);
	EXPECT_EQ(meter_moved(t.get(), 1000, kStart + kSlot), 111u);
	EXPECT_EQ(meter_moved(t.get(), 1001, kStart + kSlot), 11u);
}

TEST_F(Meter, NonsenseIsNotBelieved)
{
	memset(t.get(), 0xff, sizeof(*t));
	EXPECT_EQ(meter_total(t.get(), kStart, kStart + 100), 100u);
	EXPECT_LE(busy(1000, kStart + 100), 100u);
	t->since_ns = kStart - 1; /* before it was born */
	for (auto &s : t->slot) {
		s.number = 1000;
		s.busy_ns = ~0ull;
	}
	EXPECT_EQ(busy(1000, kStart + 100), 100u);
	EXPECT_EQ(meter_total(t.get(), kStart, kStart + 100), 100u);
}

TEST_F(Meter, FoldedIntoAnother)
{
	meter_track sum = {};

	meter_begin(t.get(), kStart);
	meter_end(t.get(), kStart + 100);
	meter_bytes(t.get(), kStart, 5);
	meter_begin(t.get(), kStart + kSlot); /* died in it */
	meter_fold(&sum, t.get(), kStart, kStart + kSlot + 30);
	meter_fold(&sum, t.get(), kStart, kStart + kSlot + 30);
	EXPECT_EQ(sum.busy_ns, 260u);
	EXPECT_EQ(sum.count, 4u);
	EXPECT_EQ(sum.bytes, 10u);
	EXPECT_EQ(meter_busy(&sum, 1000, kStart + 2 * kSlot), 260u);
	EXPECT_EQ(meter_busy(&sum, 1001, kStart + 2 * kSlot), 60u);
}
} // namespace

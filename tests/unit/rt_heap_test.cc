/* SPDX-License-Identifier: MIT */
/*
 * The device heap: alignment, exhaustion, coalescing, refused frees, threads, and a scribbling kernel.
 */
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <thread>
#include <vector>

extern "C" {
#include "cuse_dev/backend/soft/rt/heap.h"
}

namespace {

class Heap : public ::testing::Test {
protected:
	static constexpr uint64_t kBytes = 1 << 20;
	std::vector<uint8_t> mem = std::vector<uint8_t>(kBytes + 64, 0);
	uint64_t va = ((uint64_t)mem.data() + 31) & ~31ull;

	uint64_t Alloc(uint64_t n) { return rt_heap_malloc(va, kBytes, n); }
	int Free(uint64_t p) { return rt_heap_free(va, kBytes, p); }
	/* The largest block that can be had: a measure of fragmentation. */
	uint64_t Largest()
	{
		uint64_t low = 0, high = kBytes;

		while (low < high) {
			uint64_t mid = (low + high + 1) / 2, p = Alloc(mid);

			if (p) {
				EXPECT_EQ(0, Free(p));
				low = mid;
			} else {
				high = mid - 1;
			}
		}
		return low;
	}
};

TEST_F(Heap, AlignedAndInside)
{
	for (uint64_t n : { 1, 15, 16, 17, 100, 4096, 100000 }) {
		uint64_t p = Alloc(n);

		ASSERT_NE(0u, p);
		EXPECT_EQ(0u, p % RT_HEAP_ALIGN);
		EXPECT_GE(p, va);
		EXPECT_LE(p + n, va + kBytes);
		memset((void *)p, 0xff, n);
	}
}

TEST_F(Heap, ZeroAndTooMuch)
{
	EXPECT_EQ(0u, Alloc(0));
	EXPECT_EQ(0u, Alloc(kBytes));
	EXPECT_EQ(0u, Alloc(~0ull));
	EXPECT_EQ(0u, Alloc(~0ull - 15));
	EXPECT_NE(0u, Alloc(kBytes / 2));
	EXPECT_EQ(0u, Alloc(kBytes / 2));
	EXPECT_EQ(0u, rt_heap_malloc(0, kBytes, 16));
	EXPECT_EQ(0u, rt_heap_malloc(va, 64, 16));
}

TEST_F(Heap, MostOfTheRegionIsUsable)
{
	EXPECT_GT(Largest(), kBytes - 4096);
}

TEST_F(Heap, FreeingAllGivesOneBlockBack)
{
	uint64_t before = Largest();
	std::vector<uint64_t> p;

	for (uint64_t n = 8;; n = n % 777 + 13) {
		uint64_t q = Alloc(n);

		if (!q)
			break;
		memset((void *)q, 0x5a, n);
		p.push_back(q);
	}
	EXPECT_GT(p.size(), 1000u);
	for (size_t i = 0; i < p.size(); i += 2)
		EXPECT_EQ(0, Free(p[i]));
	for (size_t i = 1; i < p.size(); i += 2)
		EXPECT_EQ(0, Free(p[i]));
	EXPECT_EQ(before, Largest());
}

TEST_F(Heap, WrongFreesAreRefusedAndHarmless)
{
	uint64_t a = Alloc(100), b = Alloc(100);

	EXPECT_EQ(0, Free(0));
	EXPECT_EQ(-EINVAL, Free(a + 16));
	EXPECT_EQ(-EINVAL, Free(a + 1));
	EXPECT_EQ(-EINVAL, Free(va));
	EXPECT_EQ(-EINVAL, Free(va + kBytes));
	EXPECT_EQ(-EINVAL, Free(16));
	EXPECT_EQ(-EINVAL, Free(~0ull));
	EXPECT_EQ(0, Free(a));
	EXPECT_EQ(-EINVAL, Free(a)) << "double free";
	EXPECT_EQ(0, Free(b));
	EXPECT_EQ(-EINVAL, Free(b)) << "double free of a joined block";
	EXPECT_GT(Largest(), kBytes - 4096);
}

TEST_F(Heap, NoOverlapUnderRandomUse)
{
	std::map<uint64_t, uint64_t> live;
	uint32_t seed = 7;

	for (int i = 0; i < 20000; i++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 31 || live.empty()) {
			uint64_t n = (seed >> 8) % 5000 + 1, p = Alloc(n);

			if (!p)
				continue;
			auto next = live.lower_bound(p);

			if (next != live.end()) {
				ASSERT_LE(p + n, next->first);
			}
			if (next != live.begin()) {
				auto prev = std::prev(next);
				ASSERT_LE(prev->first + prev->second, p);
			}
			live[p] = n;
			memset((void *)p, (int)seed, n);
		} else {
			auto it = live.lower_bound(va + (seed >> 4) % kBytes);

			if (it == live.end())
				it = live.begin();
			ASSERT_EQ(0, Free(it->first));
			live.erase(it);
		}
	}
	for (auto &l : live)
		ASSERT_EQ(0, Free(l.first));
	EXPECT_GT(Largest(), kBytes - 4096);
}

TEST_F(Heap, Threads)
{
	std::vector<std::thread> t;

	for (int k = 0; k < 4; k++) {
		t.emplace_back([this, k] {
			for (int i = 0; i < 3000; i++) {
				uint64_t n = (uint64_t)(i % 97 + 1) * 16, p = Alloc(n);

				if (!p)
					continue;
				memset((void *)p, k + 1, n);
				for (uint64_t j = 0; j < n; j++)
					ASSERT_EQ(k + 1, ((uint8_t *)p)[j]);
				ASSERT_EQ(0, Free(p));
			}
		});
	}
	for (auto &x : t)
		x.join();
	EXPECT_GT(Largest(), kBytes - 4096);
}

/* One wait, then every call fails at once. */
TEST_F(Heap, OverwrittenLockBreaksTheHeapOnly)
{
	uint64_t p = Alloc(64);
	uint32_t taken = 1;

	memcpy((void *)(va + 8), &taken, sizeof(taken));
	EXPECT_EQ(0u, Alloc(64));
	for (int i = 0; i < 1000; i++) {
		EXPECT_EQ(0u, Alloc(64));
		EXPECT_EQ(-EINVAL, Free(p));
	}
}

/* Whatever a kernel writes over the state: no access outside (run under a sanitizer), no hang. */
TEST_F(Heap, ScribblingStaysInside)
{
	uint32_t seed = 99;

	for (int round = 0; round < 300; round++) {
		std::fill(mem.begin(), mem.end(), 0);
		std::vector<uint64_t> p;

		for (int i = 0; i < 50; i++)
			p.push_back(Alloc((uint64_t)i * 37 + 1));
		for (int i = 0; i < 50; i += 3)
			Free(p[i]);
		for (int i = 0; i < 40; i++) {
			seed = seed * 1664525 + 1013904223;
			uint64_t at = (seed >> 8) % (round % 2 ? kBytes - 8 : 60000);

			if (at >= 8 && at < 16)
				continue; /* the lock: a test of its own */
			seed = seed * 1664525 + 1013904223;
			memcpy((void *)(va + (at & ~7ull)), &seed, 4);
		}
		memset((void *)(va + 8), 0, 8);
		for (int i = 0; i < 50; i++) {
			Free(p[i]);
			uint64_t q = Alloc(seed % 3000);

			if (q) {
				ASSERT_GE(q, va);
				ASSERT_LT(q, va + kBytes);
			}
		}
	}
}

} // namespace

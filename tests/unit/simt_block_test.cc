// SPDX-License-Identifier: MIT
// Blocks and grids: barriers with counts, exits, waiting warps, grid sync, special registers.
#include "simt_fixture.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

class Block : public Simt {};

// CPU time of every thread of this process, in ns, by its number.
static std::map<std::string, unsigned long long> cpu_times()
{
	std::map<std::string, unsigned long long> times;
	DIR *dir = opendir("/proc/self/task");

	for (struct dirent *d; dir && (d = readdir(dir));) {
		std::string path = std::string("/proc/self/task/") + d->d_name + "/schedstat";
		FILE *f = fopen(path.c_str(), "r");
		unsigned long long ns;

		if (f && fscanf(f, "%llu", &ns) == 1)
			times[d->d_name] = ns;
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return times;
}

// bar.red over odd block sizes, all threads see the same.
TEST_F(Block, BarRed)
{
	load(R"(
unit params=8 depth=1 barrier
func "k" regs u32 u32 u64 pred u32 pred
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %2 = 0
	mad.wide u32 %2 = %0, 4, %2
	rem u32 %1 = %0, 3
	setp u32 cmp=eq %3, _ = %1, 0, _
	bar sub=red.popc %4 = 0, _, %3
	bar sub=red.and %5 = 1, _, %3
	@%5 add u32 %4 = %4, 10000
	bar sub=red.or %5 = 2, _, %3
	@%5 add u32 %4 = %4, 20000
	st u32 space=global %2, %4
	exit
)");
	for (uint32_t n : { 1u, 31u, 33u, 97u, 1024u }) {
		block(n);
		grid(3);
		ASSERT_EQ(0u, run(kWindow)) << fault.what;
		for (uint32_t i = 0; i < n; i++)
			ASSERT_EQ((n + 2) / 3 + (n == 1 ? 10000 : 0) + 20000, words()[i])
				<< i << " of " << n;
	}
}

// Producer warps arrive, consumer warps sync: bar 1 for 64 threads. Both halves of a diverged warp.
TEST_F(Block, ArriveWithCount)
{
	load(R"(
unit shared=256 params=8 depth=1 barrier
func "k" regs u32 u32 u64 pred u32
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %2 = 0
	mad.wide u32 %2 = %0, 4, %2
	shl u32 %1 = %0, 2
	setp u32 cmp=lt %3, _ = %0, 32, _
	br %3 1 2
block
	bar sub=sync 1, 64
	ld u32 u32 space=shared off=128 %4 = %1
	st u32 space=global %2, %4
	exit
block
	add u32 %4 = %0, 500
	st u32 space=shared %1, %4
	bar sub=arrive 1, 64
	exit
)");
	block(64);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(532 + i, words()[i]);
}

TEST_F(Block, DivergedHalvesMeetAtBarrier)
{
	load(R"(
unit params=8 depth=1 barrier
func "k" regs u32 u32 u64 pred u32
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %2 = 0
	mad.wide u32 %2 = %0, 4, %2
	and u32 %1 = %0, 1
	setp u32 cmp=eq %3, _ = %1, 0, _
	br %3 1 2
block
	bar sub=sync 0
	mov u32 %4 = 1
	jump 3
block
	bar sub=sync 0
	mov u32 %4 = 2
	jump 3
block
	st u32 space=global %2, %4
	exit
)");
	block(70);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	for (uint32_t i = 0; i < 70; i++)
		EXPECT_EQ(1 + (i & 1), words()[i]);
}

TEST_F(Block, ExitedThreadsDoNotCount)
{
	load(R"(
unit params=8 depth=1 barrier
func "k" regs u32 u64 pred
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %1 = 0
	mad.wide u32 %1 = %0, 4, %1
	setp u32 cmp=ge %2, _ = %0, 40, _
	br %2 2 1
block
	bar sub=sync 0
	st u32 space=global %1, 9
	exit
block
	exit
)");
	memset(words(), 0, 1024);
	block(200);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	for (uint32_t i = 0; i < 200; i++)
		EXPECT_EQ(i < 40 ? 9u : 0u, words()[i]);
}

TEST_F(Block, DeadlockIsAFault)
{
	load(R"(
unit depth=1 barrier
func "k" regs u32 pred
block
	sreg u32 sub=%tid.x %0 =
	setp u32 cmp=lt %1, _ = %0, 32, _
	br %1 1 2
block
	bar sub=sync 0
	exit
block
	bar sub=sync 1
	exit
)");
	block(64);
	EXPECT_EQ(719u, run());
	EXPECT_NE(nullptr, strstr(fault.what, "deadlock")) << fault.what;
}

// Warp 1 waits for a flag that warp 2 writes; polls with volatile loads.
TEST_F(Block, WarpsWaitForEachOther)
{
	load(R"(
unit params=8 depth=1
func "k" regs u32 u64 u32 pred u32
block
	ld u64 u64 space=param %1 = 0
	sreg u32 sub=%warpid %0 =
	sreg u32 sub=%nwarpid %4 =
	add u32 %0 = %0, 1
	setp u32 cmp=eq %3, _ = %0, %4, _
	br %3 2 1
block
	mul.wide u32 %1 = %0, 4
	jump 4
block
	mul.wide u32 %1 = %4, 4
	jump 3
block
	jump 5
block
	ld u64 u64 space=param off=0 %1 = 0
	mad.wide u32 %1 = %0, 4, %1
	ld u32 u32 space=global sem=volatile %2 = %1
	setp u32 cmp=eq %3, _ = %2, 0, _
	br %3 4 5
block
	ld u64 u64 space=param %1 = 0
	sub u32 %0 = %0, 1
	mad.wide u32 %1 = %0, 4, %1
	st u32 space=global sem=volatile %1, 1
	exit
)");
	memset(words(), 0, 256);
	block(1024);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(1u, words()[i]);
}

// A grid barrier as cooperative groups do it: the workspace behind envreg1/2, 60 blocks.
static const char *grid_sync = R"(
unit params=8 depth=1 barrier gridsync
func "k" regs u32 u32 u64 u64 pred u32 u64 u64 u32 u32
block
	ld u64 u64 space=param %2 = 0
	sreg u32 sub=%ctaid.x %0 =
	sreg u32 sub=%tid.x %1 =
	setp u32 cmp=ne %4, _ = %1, 0, _
	mad.wide u32 %3 = %0, 4, %2
	@!%4 st u32 space=global %3, 5
	sreg u32 sub=%envreg off=1 %5 =
	sreg u32 sub=%envreg off=2 %8 =
	pack u64 %6 = %8, %5
	bar sub=sync 0
	br %4 4 1
block
	sreg u32 sub=%nctaid.x %5 =
	sub u32 %5 = 0x80000001, %5
	setp u32 cmp=eq %4, _ = %0, 0, _
	selp u32 %5 = %5, 1, %4
	atom u32 sub=add sem=release off=4 %8 = %6, %5
	jump 2
block
	ld u32 u32 sem=acquire off=4 %9 = %6
	xor u32 %9 = %9, %8
	and u32 %9 = %9, 0x80000000
	setp u32 cmp=eq %4, _ = %9, 0, _
	br %4 2 3
block
	jump 4
block
	bar sub=sync 0
	sreg u32 sub=%nctaid.x %5 =
	add u32 %8 = %0, 1
	rem u32 %8 = %8, %5
	mad.wide u32 %3 = %8, 4, %2
	ld u32 u32 space=global sem=volatile %9 = %3
	mad.wide u32 %3 = %0, 4, %2
	setp u32 cmp=eq %4, _ = %1, 33, _
	@%4 st u32 space=global off=4096 %3, %9
	exit
)";

TEST_F(Block, GridSync)
{
	load(grid_sync);
	memset(words(), 0, 8192);
	launch.cooperative = true;
	grid(60);
	block(64);
	for (uint32_t threads : { 1u, 2u, 4u }) {
		memset(words(), 0, 8192);
		simt_device_destroy(device);
		device = nullptr;
		dev.threads = threads;
		ASSERT_EQ(0u, run(kWindow)) << fault.what;
		for (uint32_t i = 0; i < 60; i++)
			EXPECT_EQ(5u, words()[1024 + i]) << i;
	}
}

TEST_F(Block, SpecialRegistersOfOddShapes)
{
	load(R"(
unit params=8 depth=1
func "k" regs u32 u32 u32 u64 u32 u32 u32
block
	sreg u32 sub=%tid.x %0 =
	sreg u32 sub=%tid.y %1 =
	sreg u32 sub=%tid.z %2 =
	ld u64 u64 space=param %3 = 0
	sreg u32 sub=%ntid.x %4 =
	sreg u32 sub=%ntid.y %5 =
	mad u32 %6 = %2, %5, %1
	mad u32 %6 = %6, %4, %0
	mad.wide u32 %3 = %6, 16, %3
	mad u32 %0 = %1, 100, %0
	mad u32 %0 = %2, 10000, %0
	sreg u32 sub=%laneid %1 =
	sreg u32 sub=%warpid %2 =
	sreg u32 sub=%lanemask_lt %4 =
	st u32 space=global %3, %0, %1, %2, %4
	exit
)");
	block(7, 5, 3);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	for (uint32_t z = 0; z < 3; z++)
		for (uint32_t y = 0; y < 5; y++)
			for (uint32_t x = 0; x < 7; x++) {
				uint32_t n = x + 7 * (y + 5 * z), *p = words() + 4 * n;

				ASSERT_EQ(x + 100 * y + 10000 * z, p[0]);
				ASSERT_EQ(n % 32, p[1]);
				ASSERT_EQ(n / 32, p[2]);
				ASSERT_EQ((1u << (n % 32)) - 1, p[3]);
			}
}

// Two host threads launch on one device at once.
TEST_F(Block, ConcurrentLaunches)
{
	load(R"(
unit params=8 depth=1
func "k" regs u64 u32 u32
block
	ld u64 u64 space=param %0 = 0
	red u32 sub=add space=global %0, 1
	exit
)");
	uint64_t a = kWindow, b = kWindow + 64;
	struct backend_launch la = launch, lb;
	struct backend_fault fa = {}, fb = {};

	words()[0] = words()[16] = 0;
	ASSERT_EQ(0, simt_device_create(&dev, &device));
	la.grid[0] = 500;
	la.block[0] = 128;
	la.param_bytes = 8; /* exactly what the kernel has */
	lb = la;
	la.params = &a;
	lb.params = &b;
	std::thread t([&] { EXPECT_EQ(0u, simt_launch(device, code, "a", &la, &fa)); });
	EXPECT_EQ(0u, simt_launch(device, code, "b", &lb, &fb));
	t.join();
	EXPECT_EQ(64000u, words()[0]);
	EXPECT_EQ(64000u, words()[16]);
}

// The blocks of one launch run on all threads of the device.
TEST_F(Block, BlocksRunOnAllThreads)
{
	load(R"(
unit params=8 depth=1
func "k" regs u64 u32 u32
block
	ld u64 u64 space=param %0 = 0
	red u32 sub=add space=global %0, 1
	exit
)");
	auto before = cpu_times();
	auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
	uint32_t want = 0, busy = 0;

	if (before.empty())
		GTEST_SKIP() << "no /proc/self/task/*/schedstat";
	dev.threads = 3;
	grid(20000);
	block(128);
	words()[0] = 0;
	while (busy != 2 && std::chrono::steady_clock::now() < until) {
		ASSERT_EQ(0u, run(kWindow)) << fault.what;
		want += 20000 * 128;
		ASSERT_EQ(want, words()[0]);
		busy = 0;
		for (const auto &[thread, ns] : cpu_times())
			busy += !before.count(thread) && ns > 1000000;
	}
	EXPECT_EQ(2u, busy) << "helpers with more than 1 ms of CPU time";
}

/*
 * A grid of 400 blocks is running on two threads of the device and its launcher when a more urgent one comes:
 * until all of that one's blocks have started, each thread starts no more than the few that it has taken already.
 */
TEST_F(Block, UrgentGridsStartFirst)
{
	// Params: the clock; where each block puts its time; turns. A block's start is its tick of the clock.
	load(R"(
unit params=24 depth=1
func "k" regs u64 u64 u32 u32 u32 u32 pred
block
	ld u64 u64 space=param %0 = 0
	ld u64 u64 space=param %1 = 8
	ld u32 u32 space=param %2 = 16
	sreg u32 sub=%ctaid.x %3 =
	mad.wide u32 %1 = %3, 4, %1
	atom u32 sub=add space=global %4 = %0, 1
	st u32 space=global %1, %4
	mov u32 %5 = 0
	jump 1
block
	add u32 %5 = %5, 1
	setp u32 cmp=lt %6, _ = %5, %2, _
	br %6 1 2
block
	exit
)");
	constexpr uint32_t kLow = 600, kHigh = 150, kTaken = 3 * 4;
	uint64_t low[3] = { kWindow, kWindow + 4096, 10000 };
	uint64_t high[3] = { kWindow, kWindow + 8192, 10000 };
	struct backend_launch ll = launch, lh;
	struct backend_fault fl = {}, fh = {};
	uint32_t first, last, between = 0;

	memset(words(), 0, 16384);
	dev.threads = 3;
	ASSERT_EQ(0, simt_device_create(&dev, &device));
	ll.block[0] = 1;
	ll.param_bytes = 24;
	lh = ll;
	ll.params = low;
	ll.grid[0] = kLow;
	lh.params = high;
	lh.grid[0] = kHigh;
	lh.priority = -3;
	std::thread t([&] { EXPECT_EQ(0u, simt_launch(device, code, "low", &ll, &fl)); });
	while (__atomic_load_n(words(), __ATOMIC_ACQUIRE) < 10)
		std::this_thread::yield();
	EXPECT_EQ(0u, simt_launch(device, code, "high", &lh, &fh));
	t.join();
	std::sort(words() + 2048, words() + 2048 + kHigh);
	first = words()[2048];
	last = words()[2048 + kHigh - 1 -
		       kTaken]; /* the last few have been taken, which counts as started */
	for (uint32_t i = 0; i < kLow; i++)
		between += words()[1024 + i] > first && words()[1024 + i] < last;
	EXPECT_LE(between, kTaken)
		<< "blocks of the other grid started between " << first << " and " << last;
	EXPECT_EQ(kLow + kHigh, words()[0]);
	EXPECT_LT(last, kLow) << "the urgent grid came too late to say anything";
}

// Grids of all priorities at once, again and again: none is lost, none waits for ever.
TEST_F(Block, ManyPriorities)
{
	load(R"(
unit params=8 depth=1
func "k" regs u64 u32 u32
block
	ld u64 u64 space=param %0 = 0
	red u32 sub=add space=global %0, 1
	exit
)");
	std::vector<std::thread> threads;

	memset(words(), 0, 4096);
	dev.threads = 3;
	ASSERT_EQ(0, simt_device_create(&dev, &device));
	for (uint32_t i = 0; i < 6; i++)
		threads.emplace_back([this, i] {
			uint64_t at = kWindow + 64 * i;
			struct backend_launch l = launch;
			struct backend_fault f = {};

			l.params = &at;
			l.param_bytes = 8;
			l.grid[0] = 3000;
			l.block[0] = 64;
			l.priority = -(int32_t)i;
			for (int round = 0; round < 10; round++)
				EXPECT_EQ(0u, simt_launch(device, code, "k", &l, &f));
		});
	for (auto &t : threads)
		t.join();
	for (uint32_t i = 0; i < 6; i++)
		EXPECT_EQ(10u * 3000 * 64, words()[16 * i]);
}

static const char *count_and_wait = R"(
unit params=16 depth=1
func "k" regs u64 u32 u32 u32 pred
block
	ld u64 u64 space=param %0 = 0
	ld u32 u32 space=param %1 = 8
	ld u32 u32 space=param %3 = 12
	red u32 sub=add space=global %0, %3
	jump 1
block
	ld u32 u32 space=global sem=volatile %2 = %0
	setp u32 cmp=lt %4, _ = %2, %1, _
	br %4 1 2
block
	exit
)";

// Each block of the urgent grid waits for all blocks of one that is under way.
TEST_F(Block, AnUrgentGridMayWaitForAnother)
{
	load(count_and_wait);
	struct {
		uint64_t count;
		uint32_t until, add;
	} low = { kWindow, 0, 1 }, high = { kWindow, 4000, 0 };
	struct backend_launch ll = launch, lh;
	struct backend_fault fl = {}, fh = {};

	dev.threads = 2;
	ASSERT_EQ(0, simt_device_create(&dev, &device));
	ll.block[0] = 1;
	ll.param_bytes = 16;
	lh = ll;
	ll.params = &low;
	ll.grid[0] = 4000;
	lh.params = &high;
	lh.grid[0] = 200;
	lh.priority = -1;
	for (int round = 0; round < 5; round++) {
		words()[0] = 0;
		std::thread t([&] { EXPECT_EQ(0u, simt_launch(device, code, "low", &ll, &fl)); });
		while (!__atomic_load_n(words(), __ATOMIC_ACQUIRE))
			std::this_thread::yield();
		EXPECT_EQ(0u, simt_launch(device, code, "high", &lh, &fh));
		t.join();
		EXPECT_EQ(4000u, words()[0]);
	}
}

// One that waits for its turn behind a grid that never ends can be cancelled, and so can that one.
TEST_F(Block, WhoGivesWayCanBeCancelled)
{
	load(count_and_wait);
	struct {
		uint64_t count;
		uint32_t until, add;
	} low = { kWindow, 0, 1 }, high = { kWindow + 64, UINT32_MAX, 0 };
	uint32_t cancel_low = 0, cancel_high = 0;
	struct backend_launch ll = launch, lh;
	struct backend_fault fl = {}, fh = {};

	memset(words(), 0, 4096);
	dev.threads = 2;
	dev.sm_count =
		1; /* few blocks are alive at once, so the urgent grid has always more to start */
	ASSERT_EQ(0, simt_device_create(&dev, &device));
	ll.block[0] = 1;
	ll.param_bytes = 16;
	lh = ll;
	ll.params = &low;
	ll.grid[0] = 1000000;
	ll.cancel = &cancel_low;
	lh.params = &high;
	lh.grid[0] = 1000000;
	lh.priority = -1;
	lh.cancel = &cancel_high;
	std::thread a([&] { EXPECT_EQ(719u, simt_launch(device, code, "high", &lh, &fh)); });
	usleep(50000);
	std::thread b([&] { EXPECT_EQ(719u, simt_launch(device, code, "low", &ll, &fl)); });
	usleep(50000);
	__atomic_store_n(&cancel_low, 1, __ATOMIC_RELEASE);
	b.join();
	EXPECT_LT(words()[0], 1000000u);
	__atomic_store_n(&cancel_high, 1, __ATOMIC_RELEASE);
	a.join();
}

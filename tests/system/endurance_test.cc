/* SPDX-License-Identifier: MIT */
/*
 * endurance_test.cc - a week of use in small: nothing grows.
 *
 * 10,000 cycles of open, context, memory, launch, exit, each a process of its own, or as many as fit
 * VGPU_TEST_SECONDS (default 40 s). VGPU_TEST_CYCLES sets the count and lifts the bound.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "system/system_test.h"

using Endurance = SystemTest;

static double seconds()
{
	timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static unsigned long number(const char *name, unsigned long fallback)
{
	const char *s = getenv(name);

	return s ? strtoul(s, nullptr, 0) : fallback;
}

TEST_F(Endurance, CyclesLeaveNothingBehind)
{
	const unsigned long cycles = number("VGPU_TEST_CYCLES", 10000), warm_up = 50;
	const double bound =
		getenv("VGPU_TEST_CYCLES") ? 1e9 : (double)number("VGPU_TEST_SECONDS", 40);
	support_daemon_usage before{}, after{};
	double begin = seconds();
	unsigned long i;

	for (i = 0; i < cycles && seconds() - begin < bound; i++) {
		auto r = prog({ client(), i % 4 == 3 ? "drop" : "cycle" }).user(NOBODY).run();

		ASSERT_EQ(r->res.code, 0) << "cycle " << i << ": " << r->text();
		if (i == warm_up) {
			ASSERT_EQ(support_daemon_settle(daemon, 5000), 0);
			ASSERT_EQ(support_daemon_measure(daemon, &before), 0);
		}
	}
	ASSERT_GT(i, warm_up) << "too slow to say anything";
	ASSERT_EQ(support_daemon_settle(daemon, 5000), 0) << "workers stayed behind";
	/* The daemon empties the pages of the last client after it reaped the worker. */
	double late = seconds() + 5;
	do {
		ASSERT_EQ(support_daemon_measure(daemon, &after), 0);
	} while (after.fds > before.fds && seconds() < late && !usleep(10000));
	printf("%lu cycles in %.1f s; the daemon: %u -> %u descriptors, %lu -> %lu KiB\n", i,
	       seconds() - begin, before.fds, after.fds, before.rss_kib, after.rss_kib);
	EXPECT_LE(after.fds, before.fds);
	EXPECT_EQ(after.children, 0u);
	EXPECT_EQ(after.zombies, 0u);
	EXPECT_LE(after.rss_kib, before.rss_kib + 512);
	auto r = prog({ client(), "probe" }).run();
	EXPECT_EQ(r->values()["early_free"], std::to_string(78ull << 30)) << "device memory leaked";
}

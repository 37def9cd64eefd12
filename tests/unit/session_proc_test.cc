/* SPDX-License-Identifier: MIT */
/* session_proc_test.cc - which process is behind a thread, and is it dying. */
#include <gtest/gtest.h>

#include <csignal>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <sys/mman.h>
#include <unistd.h>

extern "C" {
#include "cuse_dev/session/proc.h"
}

TEST(Proc, AThreadBelongsToItsProcess)
{
	struct proc_id main_id = {}, id = {};
	uint32_t tid = 0;

	ASSERT_EQ(proc_identify(static_cast<uint32_t>(getpid()), &main_id), 0);
	std::thread([&] {
		tid = static_cast<uint32_t>(gettid());
		EXPECT_EQ(proc_identify(tid, &id), 0);
	}).join();
	EXPECT_NE(tid, static_cast<uint32_t>(getpid()));
	EXPECT_EQ(id.tgid, static_cast<uint32_t>(getpid()));
	EXPECT_EQ(id.start, main_id.start);
	EXPECT_GT(id.start, 0u);
}

TEST(Proc, NamesMayHoldAnything)
{
	struct proc_id before = {}, after = {};

	ASSERT_EQ(proc_identify(static_cast<uint32_t>(getpid()), &before), 0);
	prctl(PR_SET_NAME, "a) b (1 2\n3");
	ASSERT_EQ(proc_identify(static_cast<uint32_t>(getpid()), &after), 0);
	EXPECT_EQ(before.start, after.start);
	EXPECT_EQ(before.tgid, after.tgid);
}

TEST(Proc, NobodyIsNobody)
{
	struct proc_id id = {};

	EXPECT_EQ(proc_identify(0, &id), -ESRCH);
	EXPECT_EQ(proc_identify(0x7fffffff, &id), -ESRCH);
	EXPECT_FALSE(proc_dying(0));
	EXPECT_TRUE(proc_dying(0x7fffffff)) << "it has gone";
}

TEST(Proc, OtherSignalsDoNotMeanDeath)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	EXPECT_FALSE(proc_dying(static_cast<uint32_t>(gettid())));
	sigset_t none;
	signal(SIGUSR1, SIG_IGN);
	sigpending(&none);
	sigprocmask(SIG_SETMASK, &old, nullptr);
}

TEST(Proc, GroupsOfAThread)
{
	gid_t groups[256];
	int n = getgroups(256, groups);

	for (int i = 0; i < n; i++)
		EXPECT_TRUE(proc_in_group(static_cast<uint32_t>(getpid()), groups[i]));
	EXPECT_FALSE(proc_in_group(static_cast<uint32_t>(getpid()), 987654321));
	EXPECT_FALSE(proc_in_group(0, 0));
}

TEST(Proc, TheHostHasMemory)
{
	uint64_t total = 0, avail = proc_mem_available(&total);

	EXPECT_GT(avail, 0u);
	EXPECT_LE(avail, total);
}

TEST(Proc, WhatIsSharedIsNotPrivate)
{
	const size_t bytes = 64 << 20;
	uint32_t me = static_cast<uint32_t>(getpid());
	uint64_t before = proc_mem_private(me), after;
	void *mine, *all;

	all = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(all, MAP_FAILED);
	after = proc_mem_private(me);
	EXPECT_LT(after, before + bytes / 2);
	mine = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(mine, MAP_FAILED);
	EXPECT_GE(proc_mem_private(me), after + bytes / 2);
	munmap(all, bytes);
	munmap(mine, bytes);
	EXPECT_EQ(proc_mem_private(0), 0u);
}

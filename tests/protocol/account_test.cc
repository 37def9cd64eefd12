/* SPDX-License-Identifier: MIT */
/* account_test.cc - device memory, quotas, who may open, how many. */
#include "harness.h"

#include <cerrno>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1ull << 20)

class Account : public Protocol {
protected:
	/* start() - the worker of the process that owns @s. */
	void start_worker(struct session *s)
	{
		struct vgpu_ctx_create cc = {};
		Answer a;

		send(s, VGPU_IOC_CTX_CREATE, cc, &a);
		take_init();
		reply_with(take(), cc);
	}
	/* alloc() - MEM_ALLOC that the worker grants with @charge; its errno. */
	int alloc(struct session *s, uint64_t size, int64_t charge)
	{
		struct vgpu_mem_alloc m = {};
		Answer a;

		m.size = size;
		send(s, VGPU_IOC_MEM_ALLOC, m, &a);
		if (!a.there)
			reply_with(take(), m, charge);
		EXPECT_TRUE(a.there);
		return a.error;
	}
	uint64_t mine(struct session *s)
	{
		struct vgpu_mem_info m = {};

		EXPECT_EQ(call(s, VGPU_IOC_MEM_INFO, &m), 0);
		return m.mine;
	}
};

TEST_F(Account, TheWholeDeviceAndNotOneMore)
{
	struct session *s;
	uint64_t all;

	configure({ "T4,memory=1G" });
	s = greeted();
	start_worker(s);
	all = free_bytes(s) & ~(2 * MIB - 1);
	EXPECT_EQ(alloc(s, all + 1, 0), ENOMEM);
	EXPECT_EQ(alloc(s, all, static_cast<int64_t>(all)), 0);
	EXPECT_LT(free_bytes(s), 2 * MIB);
	EXPECT_EQ(mine(s), all);
	EXPECT_EQ(alloc(s, 1, 0), ENOMEM);
}

TEST_F(Account, SizesThatOverflow)
{
	struct vgpu_phys_create p = {};
	struct session *s = greeted();

	start_worker(s);
	EXPECT_EQ(alloc(s, ~0ull, 0), ENOMEM);
	EXPECT_EQ(alloc(s, 1ull << 63, 0), ENOMEM);
	p.size = ~0ull - 5;
	p.fd = -1;
	EXPECT_EQ(call(s, VGPU_IOC_PHYS_CREATE, &p), ENOMEM);
}

TEST_F(Account, WhatIsInFlightIsTaken)
{
	struct vgpu_mem_alloc m = {};
	struct session *s;
	Answer a;

	configure({ "T4,memory=1G" });
	s = greeted();
	start_worker(s);
	m.size = 600 * MIB;
	send(s, VGPU_IOC_MEM_ALLOC, m, &a);
	EXPECT_EQ(alloc(s, 600 * MIB, 0), ENOMEM);
	reply(take(), -EINVAL, nullptr, 0);
	EXPECT_EQ(a.error, EINVAL);
	EXPECT_EQ(mine(s), 0u) << "a refused one is given back";
	EXPECT_EQ(alloc(s, 600 * MIB, 600 * MIB), 0);
}

TEST_F(Account, TheReplyCorrectsTheCharge)
{
	struct vgpu_mem_free f = {};
	struct session *s = greeted();
	Answer a;

	start_worker(s);
	EXPECT_EQ(alloc(s, 100, 2 * MIB), 0);
	EXPECT_EQ(mine(s), 2 * MIB);
	EXPECT_EQ(alloc(s, 100, 0), 0); /* the same unit holds it */
	EXPECT_EQ(mine(s), 2 * MIB);
	send(s, VGPU_IOC_MEM_FREE, f, &a);
	reply_with(take(), f, -2 * static_cast<int64_t>(MIB));
	EXPECT_EQ(mine(s), 0u);
}

TEST_F(Account, AWorkerCannotGiveBackWhatItNeverHad)
{
	Process other;
	struct session_caller them = { other.pid(), me.uid, me.gid };
	struct vgpu_mem_free f = {};
	struct session *s = greeted(), *t = greeted_as(them);
	uint64_t before;
	Answer a;

	start_worker(s);
	EXPECT_EQ(alloc(s, 64 * MIB, 64 * MIB), 0);
	before = free_bytes(s);
	me = them;
	start_worker(t);
	send(t, VGPU_IOC_MEM_FREE, f, &a);
	reply_with(take(), f, INT64_MIN);
	EXPECT_EQ(free_bytes(t), before);
	EXPECT_EQ(mine(t), 0u);
}

TEST_F(Account, HostMemoryIsNotCharged)
{
	struct vgpu_mem_alloc m = {};
	struct vgpu_phys_create p = {};
	struct session *s;
	Answer a;

	configure({ "T4,memory=1G" });
	s = greeted();
	start_worker(s);
	m.size = 4096 * MIB;
	m.kind = VGPU_MEM_HOST;
	send(s, VGPU_IOC_MEM_ALLOC, m, &a);
	EXPECT_FALSE(a.there);
	reply_with(take(), m);
	EXPECT_EQ(mine(s), 0u);
	p.size = 512 * MIB;
	p.flags = VGPU_PHYS_HOST;
	p.fd = -1;
	send(s, VGPU_IOC_PHYS_CREATE, p, &a);
	EXPECT_EQ(mine(s), 0u);
	reply_with(take(), p);
}

TEST_F(Account, DevicesAreCountedApart)
{
	struct session *s0, *s1;
	uint64_t before;

	configure({ "T4,memory=1G", "T4,memory=1G" });
	s0 = greeted(0);
	s1 = greeted(1);
	before = free_bytes(s1);
	start_worker(s0);
	EXPECT_EQ(alloc(s0, 100 * MIB, 100 * MIB), 0);
	EXPECT_EQ(free_bytes(s1), before);
	EXPECT_EQ(free_bytes(s0), before - 100 * MIB);
}

TEST_F(Account, TheEndOfAClientGivesAllBack)
{
	Process other;
	struct session_caller them = { other.pid(), me.uid, me.gid }, self = me;
	struct session *s = greeted(), *t = greeted_as(them);
	uint64_t before = free_bytes(s);
	char c;

	me = them;
	start_worker(t);
	EXPECT_EQ(alloc(t, 64 * MIB, 64 * MIB), 0);
	me = self;
	EXPECT_EQ(free_bytes(s), before - 64 * MIB);
	other.end();
	spin();
	EXPECT_EQ(free_bytes(s), before);
	EXPECT_EQ(recv(worker, &c, 1, MSG_DONTWAIT), 0) << "its worker lives on";
	me = them;
	struct vgpu_mem_info m = {};
	EXPECT_EQ(call(t, VGPU_IOC_MEM_INFO, &m), ENODEV);
	me = self;
}

TEST_F(Account, ClosingAllGivesAllBack)
{
	struct session *s = greeted(), *t = greeted();
	uint64_t before = free_bytes(s);

	start_worker(s);
	EXPECT_EQ(alloc(s, 64 * MIB, 64 * MIB), 0);
	release(s);
	EXPECT_EQ(free_bytes(t), before - 64 * MIB) << "another file of the process keeps it";
	release(t);
	EXPECT_EQ(free_bytes(greeted()), before);
}

/* ---- quotas -------------------------------------------------------------------------------- */

TEST_F(Account, MemoryQuotaOfAUser)
{
	Process p;
	struct session_caller them = { p.pid(), 12345, 12345 };
	struct session *s, *t;

	configure({ "T4,memory=1G,quota_memory_per_uid=100M" });
	s = greeted();
	EXPECT_EQ(free_bytes(s), 100 * MIB);
	start_worker(s);
	EXPECT_EQ(alloc(s, 100 * MIB + 1, 0), EDQUOT);
	EXPECT_EQ(alloc(s, 100 * MIB, 100 * MIB), 0);
	EXPECT_EQ(alloc(s, 1, 0), EDQUOT);
	EXPECT_EQ(free_bytes(s), 0u);
	t = greeted_as(them);
	me = them;
	EXPECT_EQ(free_bytes(t), 100 * MIB) << "another user's";
}

TEST_F(Account, ClientQuotaOfAUser)
{
	Process p[3];
	struct vgpu_hello h = {};
	struct session *s;

	configure({ "T4,quota_clients_per_uid=2" });
	greeted_as({ p[0].pid(), 12345, 1 });
	greeted_as({ p[0].pid(), 12345, 1 }); /* a second file is no second client */
	greeted_as({ p[1].pid(), 12345, 1 });
	h.magic = VGPU_MAGIC;
	s = open_as({ p[2].pid(), 12345, 1 });
	me.tid = p[2].pid();
	EXPECT_EQ(call(s, VGPU_IOC_HELLO, &h), EDQUOT);
	p[0].end();
	spin();
	EXPECT_EQ(call(s, VGPU_IOC_HELLO, &h), 0);
}

TEST_F(Account, StrictPolicyKeepsToTheHost)
{
	struct session *s;
	uint64_t free;

	configure({ "H100-80GB,memory=256G" }, "strict");
	s = greeted();
	free = free_bytes(s);
	EXPECT_LT(free, static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
				static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
	start_worker(s);
	EXPECT_EQ(alloc(s, 200ull << 30, 0), ENOMEM);
}

TEST_F(Account, LazyPolicyPromisesTheProfile)
{
	struct session *s;

	configure({ "H100-80GB,memory=256G" });
	s = greeted();
	start_worker(s);
	EXPECT_EQ(alloc(s, 200ull << 30, static_cast<int64_t>(200ull << 30)), 0);
}

/* ---- who may ------------------------------------------------------------------------------- */

TEST_F(Account, ListsOfUsersAndGroups)
{
	configure({ "T4,allow_uid=1001 1002,allow_gid=77" });
	EXPECT_EQ(open_error({ 0, 1001, 1 }), 0);
	EXPECT_EQ(open_error({ 0, 1003, 1 }), -EACCES);
	EXPECT_EQ(open_error({ 0, 1003, 77 }), 0);
	EXPECT_EQ(open_error({ 0, 0, 0 }), 0) << "root";
}

TEST_F(Account, ModeAndGroupOfTheNode)
{
	configure({ "T4,mode=0640,group=77" });
	EXPECT_EQ(open_error({ 0, 1001, 77 }, 0, 4), 0);
	EXPECT_EQ(open_error({ 0, 1001, 77 }, 0, 6), -EACCES);
	EXPECT_EQ(open_error({ 0, 1001, 1 }, 0, 4), -EACCES);
}

TEST_F(Account, AProcessDoesNotBecomeAnotherUsers)
{
	Process other;

	configure({});
	EXPECT_EQ(open_error({ other.pid(), 0, 0 }), 0);
	EXPECT_EQ(open_error({ other.pid(), 1001, 1 }), 0) << "root may become anybody";
	EXPECT_EQ(open_error({ me.tid, 1001, 1 }), 0);
	EXPECT_EQ(open_error({ me.tid, 1001, 1 }), 0);
	EXPECT_EQ(open_error({ me.tid, 1002, 1 }), -EACCES);
	EXPECT_EQ(open_error({ me.tid, 0, 0 }), -EACCES) << "by a set-uid program";
}

TEST_F(Account, OpenFilesOfAProcess)
{
	Process other;

	configure({});
	for (int i = 0; i < LIMIT_SESSIONS_PER_PROC; i++)
		ASSERT_EQ(open_error(me), 0);
	EXPECT_EQ(open_error(me), -EMFILE);
	EXPECT_EQ(open_error({ other.pid(), me.uid, me.gid }), 0)
		<< "another process is not concerned";
}

TEST_F(Account, OpenFilesOfAll)
{
	configure({});
	for (unsigned i = 0; i < LIMIT_SESSIONS; i++) /* invisible ones: a client each */
		ASSERT_EQ(open_error({ 0, 1001 + i / LIMIT_SESSIONS_PER_UID, 1 }), 0);
	EXPECT_EQ(open_error({ 0, 9, 1 }), -ENFILE);
}

TEST_F(Account, OpenFilesOfAUser)
{
	configure({});
	for (int i = 0; i < LIMIT_SESSIONS_PER_UID; i++)
		ASSERT_EQ(open_error({ 0, 1001, 1 }), 0);
	EXPECT_EQ(open_error({ 0, 1001, 1 }), -EDQUOT);
	EXPECT_EQ(open_error({ 0, 1002, 1 }), 0) << "another user is not concerned";
}

TEST_F(Account, FilesOfTheDeadCountForWhoOpenedThem)
{
	auto other = std::make_unique<Process>();
	int r = 0, n;

	/* They live on where they were passed to: no way to have more than one's share. */
	configure({});
	for (n = 0; !r && n <= LIMIT_SESSIONS_PER_UID; n++) {
		if (n && n % LIMIT_SESSIONS_PER_PROC == 0) {
			other = std::make_unique<Process>(); /* the last one ends here */
			spin();
		}
		r = open_error({ other->pid(), 1001, 1 });
	}
	EXPECT_EQ(r, -EDQUOT);
	EXPECT_EQ(n, LIMIT_SESSIONS_PER_UID + 1);
	EXPECT_EQ(open_error({ me.tid, 1002, 1 }), 0);
}

TEST_F(Account, ProcessesOfAll)
{
	std::vector<std::unique_ptr<Process>> all;
	struct rlimit files;

	/* One descriptor watches each process. */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < LIMIT_PROCESSES + 64)
		GTEST_SKIP() << "too few descriptors";
	configure({});
	for (int i = 0; i < LIMIT_PROCESSES; i++) {
		all.push_back(std::make_unique<Process>());
		uid_t uid = static_cast<uid_t>(1001 + i / LIMIT_PROCESSES_PER_UID);
		ASSERT_EQ(open_error({ all.back()->pid(), uid, 1 }), 0) << i;
		if (i == LIMIT_PROCESSES_PER_UID) {
			Process more;
			EXPECT_EQ(open_error({ more.pid(), 1001, 1 }), -EDQUOT);
		}
	}
	EXPECT_EQ(open_error(me), -ENFILE);
	EXPECT_EQ(open_error({ all[0]->pid(), 1001, 1 }), 0) << "one that is known may open more";
	all[0]->end();
	spin();
	EXPECT_EQ(open_error(me), 0);
}

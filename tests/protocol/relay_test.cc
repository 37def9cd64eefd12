/* SPDX-License-Identifier: MIT */
/* relay_test.cc - requests to the worker and back: order, interrupts, death, nonsense, limits. */
#include "harness.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

class Relay : public Protocol {
protected:
	/* started() - a session whose worker serves. */
	struct session *started()
	{
		struct session *s = greeted();
		struct vgpu_ctx_create cc = {};
		Answer a;

		send(s, VGPU_IOC_CTX_CREATE, cc, &a);
		take_init();
		reply_with(take(), cc);
		EXPECT_TRUE(a.there);
		return s;
	}
	static struct vgpu_wait wait()
	{
		struct vgpu_wait w = {};

		w.seq = 1;
		return w;
	}
	static struct vgpu_mem_alloc alloc(uint64_t size)
	{
		struct vgpu_mem_alloc m = {};

		m.size = size;
		return m;
	}
};

TEST_F(Relay, TheFirstOneStartsTheWorkerOnce)
{
	struct session *s = started(), *other = greeted();
	struct vgpu_wait w = wait();
	Answer a;

	EXPECT_EQ(starts, 1);
	send(other, VGPU_IOC_WAIT, w, &a);
	EXPECT_EQ(starts, 1) << "one worker per process";
	reply_with(take(), w);
	send(s, VGPU_IOC_WAIT, w, &a);
	reply_with(take(), w);
	EXPECT_EQ(a.error, 0);
}

TEST_F(Relay, AShortStructReachesTheWorkerInFull)
{
	struct session *s = started();
	struct vgpu_func_get f = {};
	Answer a;

	f.module = 7;
	f.index = VGPU_BY_NAME;
	strcpy(f.name, "k");
	raw(s, _IOC(_IOC_READ | _IOC_WRITE, 'V', VGPU_OP_FUNC_GET, 18), &f, 18, 18, &a);
	Received r = take();
	ASSERT_EQ(r.payload.size(), sizeof(f));
	f.func = 5;
	reply_with(r, f);
	ASSERT_EQ(a.bytes.size(), 18u);
	EXPECT_EQ(memcmp(a.bytes.data(), &f, 18), 0);
}

TEST_F(Relay, AnswersComeInAnyOrder)
{
	struct session *s = started();
	struct vgpu_wait w = wait();
	Answer a, b;

	send(s, VGPU_IOC_WAIT, w, &a);
	send(s, VGPU_IOC_WAIT, w, &b);
	Received ra = take(), rb = take();
	EXPECT_NE(ra.head.tag, rb.head.tag);
	reply_with(rb, w);
	EXPECT_TRUE(b.there);
	EXPECT_FALSE(a.there);
	reply_with(ra, w);
	EXPECT_TRUE(a.there);
}

TEST_F(Relay, ErrorsOfTheWorkerReachTheCaller)
{
	struct session *s = started();
	struct vgpu_wait w = wait();
	Answer a;

	send(s, VGPU_IOC_WAIT, w, &a);
	reply(take(), -EBADF, nullptr, 0);
	EXPECT_EQ(a.error, EBADF);
}

TEST_F(Relay, AWaitingClientDoesNotHoldUpAnother)
{
	struct session *s = started();
	struct vgpu_wait w = wait();
	Process other;
	struct session_caller them = { other.pid(), me.uid, me.gid };
	int mine;
	Answer a, b;

	send(s, VGPU_IOC_WAIT, w, &a);
	Received waiting = take();
	mine = worker;
	struct session *t = greeted_as(them);
	me = them;
	EXPECT_GT(free_bytes(t), 0u);
	send(t, VGPU_IOC_WAIT, w, &b);
	EXPECT_EQ(starts, 2);
	take_init();
	reply_with(take(), w);
	EXPECT_TRUE(b.there);
	EXPECT_FALSE(a.there);
	close(worker);
	worker = mine;
	reply_with(waiting, w);
	EXPECT_TRUE(a.there);
}

/* ---- interrupts ---------------------------------------------------------------------------- */

TEST_F(Relay, ASignalEndsAWait)
{
	struct session *s = started();
	struct vgpu_wait w = wait();
	Answer a;

	send(s, VGPU_IOC_WAIT, w, &a);
	Received r = take();
	EXPECT_TRUE(session_interrupt(a.pending, false));
	EXPECT_EQ(a.error, EINTR);
	Received c = take();
	EXPECT_EQ(c.head.kind, static_cast<uint32_t>(WIRE_CANCEL));
	EXPECT_EQ(c.head.tag, r.head.tag);
	reply(r, -EINTR, nullptr, 0); /* nobody hears it, and nobody minds */
	EXPECT_FALSE(take().there);
	EXPECT_GT(free_bytes(s), 0u);
}

TEST_F(Relay, ASignalDoesNotLoseAnAllocation)
{
	struct session *s = started();
	Answer a;

	send(s, VGPU_IOC_MEM_ALLOC, alloc(4096), &a);
	Received r = take();
	EXPECT_FALSE(session_interrupt(a.pending, false));
	EXPECT_FALSE(a.there);
	reply_with(r, alloc(4096));
	EXPECT_TRUE(a.there);
}

TEST_F(Relay, ADyingCallerIsLetGoAndItsMemoryStillCounted)
{
	struct session *s = started();
	uint64_t before = free_bytes(s);
	Answer a;

	send(s, VGPU_IOC_MEM_ALLOC, alloc(2 << 20), &a);
	Received r = take();
	EXPECT_TRUE(session_interrupt(a.pending, true));
	EXPECT_EQ(a.error, EINTR);
	take();
	reply_with(r, alloc(2 << 20), 2 << 20);
	EXPECT_EQ(free_bytes(s), before - (2 << 20));
}

/* ---- death and nonsense -------------------------------------------------------------------- */

TEST_F(Relay, DeathAnswersAllAndStays)
{
	struct session *s = started(), *other = greeted();
	struct vgpu_wait w = wait();
	struct vgpu_ctx_create cc = {};
	char buf[8];
	Answer a, b;

	send(s, VGPU_IOC_WAIT, w, &a);
	transfer(s, 0x700000000000, 8, buf, &b);
	kill_worker();
	EXPECT_EQ(a.error, ENODEV);
	EXPECT_EQ(b.error, ENODEV);
	EXPECT_EQ(call(other, VGPU_IOC_CTX_CREATE, &cc), ENODEV);
	transfer(s, 0x700000000000, 8, nullptr, &b);
	EXPECT_EQ(b.error, ENODEV);
	EXPECT_EQ(starts, 1) << "no second worker behind the client's back";
	EXPECT_GT(free_bytes(s), 0u) << "queries go on";
}

TEST_F(Relay, AfterClosingAllANewWorkerMayCome)
{
	struct session *s = started();

	kill_worker();
	release(s);
	started();
	EXPECT_EQ(starts, 2);
}

TEST_F(Relay, DeathIsWrittenOnTheSharedPagesAndEmptiesTheArena)
{
	const size_t bytes = sizeof(struct vgpu_share_control);
	int control = memfd(VGPU_SHARE_CONTROL_BYTES), dev = memfd(1ull << 30);
	struct vgpu_share sc = { VGPU_SHARE_CONTROL, control, VGPU_SHARE_CONTROL_BYTES };
	struct vgpu_share sd = { VGPU_SHARE_DEVICE, dev, 1ull << 30 };
	struct vgpu_ctx_create cc = {};
	struct stat st;
	struct session *s;
	Answer a;

	configure({ "T4,memory=1G" });
	s = greeted();
	ASSERT_EQ(call(s, VGPU_IOC_SHARE, &sc), 0);
	ASSERT_EQ(call(s, VGPU_IOC_SHARE, &sd), 0);
	auto *map = static_cast<struct vgpu_share_control *>(
		mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, control, 0));
	ASSERT_NE(map, MAP_FAILED);
	map->ctx[3].error = 700; /* one that had its own error keeps it */
	map->stream[5].done_word = 41;
	ASSERT_EQ(fallocate(dev, 0, 0, 8 << 20), 0);
	send(s, VGPU_IOC_CTX_CREATE, cc, &a);
	take_init();
	kill_worker();
	auto *word = &map->stream[VGPU_SHARE_STREAMS - 1].done_word;
	for (int i = 0; i < 2000 && !__atomic_load_n(word, __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	EXPECT_EQ(map->worker_alive, 3u);
	EXPECT_EQ(map->ctx[0].error, 719u);
	EXPECT_EQ(map->ctx[3].error, 700u);
	EXPECT_EQ(map->ctx[VGPU_SHARE_CONTEXTS - 1].error, 719u);
	EXPECT_EQ(map->stream[5].done_word, 42u);
	EXPECT_EQ(*word, 1u);
	for (int i = 0; i < 2000 && !fstat(dev, &st) && st.st_blocks; i++)
		usleep(1000);
	EXPECT_EQ(st.st_blocks, 0);
	munmap(map, bytes);
	close(control);
	close(dev);
}

class RelayNonsense : public Relay {
protected:
	/* refused() - the worker's message ended it: the waiting call got ENODEV, the socket is
	 * shut. */
	void refused(const Answer &a)
	{
		char c;

		spin();
		EXPECT_EQ(a.error, ENODEV);
		EXPECT_EQ(recv(worker, &c, 1, MSG_DONTWAIT), 0);
	}
};

TEST_F(RelayNonsense, UnknownTag)
{
	struct session *s = started();
	struct vgpu_wait w = wait();
	Answer a;

	send(s, VGPU_IOC_WAIT, w, &a);
	Received r = take();
	r.head.tag += 1000;
	testing::internal::CaptureStderr();
	reply_with(r, w);
	EXPECT_NE(testing::internal::GetCapturedStderr().find("fits no request"),
		  std::string::npos);
	refused(a);
}

TEST_F(RelayNonsense, PayloadOfOtherSize)
{
	struct session *s = started();
	struct vgpu_wait w = wait();
	Answer a;

	send(s, VGPU_IOC_WAIT, w, &a);
	testing::internal::CaptureStderr();
	reply(take(), 0, &w, sizeof(w) - 8);
	testing::internal::GetCapturedStderr();
	refused(a);
}

TEST_F(RelayNonsense, PositiveStatus)
{
	struct session *s = started();
	struct vgpu_wait w = wait();
	Answer a;

	send(s, VGPU_IOC_WAIT, w, &a);
	testing::internal::CaptureStderr();
	reply(take(), 1, &w, sizeof(w));
	testing::internal::GetCapturedStderr();
	refused(a);
}

TEST_F(RelayNonsense, AnErrnoTheKernelWouldNotTake)
{
	struct session *s = started();
	struct vgpu_wait w = wait();
	Answer a;

	send(s, VGPU_IOC_WAIT, w, &a);
	testing::internal::CaptureStderr();
	reply(take(), -512, nullptr, 0);
	testing::internal::GetCapturedStderr();
	refused(a);
}

TEST_F(RelayNonsense, MoreBytesReadThanAsked)
{
	struct session *s = started();
	Answer a;

	transfer(s, 0x700000000000, 8, nullptr, &a);
	testing::internal::CaptureStderr();
	reply(take(), 9, nullptr, 0);
	testing::internal::GetCapturedStderr();
	refused(a);
}

/* ---- transfers ----------------------------------------------------------------------------- */

TEST_F(Relay, TransfersGoThroughTheBounceBuffer)
{
	struct session *s = greeted();
	struct vgpu_bulk_base base = { 0x700000000000 };
	struct wire_bulk bulk;
	std::string text = "hello, device";
	Answer a;

	ASSERT_EQ(call(s, VGPU_IOC_BULK_BASE, &base), 0);
	transfer(s, 64, static_cast<uint32_t>(text.size()), text.data(), &a);
	Received init = take_init();
	auto *bounce =
		static_cast<char *>(mmap(nullptr, WIRE_BOUNCE_SLOTS * WIRE_BOUNCE_BYTES,
					 PROT_READ | PROT_WRITE, MAP_SHARED, init.fds[0], 0));
	ASSERT_NE(bounce, MAP_FAILED);
	Received r = take();
	EXPECT_EQ(r.head.kind, static_cast<uint32_t>(WIRE_WRITE));
	memcpy(&bulk, r.payload.data(), sizeof(bulk));
	EXPECT_EQ(bulk.offset, 0x700000000040u);
	EXPECT_EQ(std::string(bounce + bulk.slot * WIRE_BOUNCE_BYTES, bulk.bytes), text);
	reply(r, static_cast<int32_t>(text.size()), nullptr, 0);
	EXPECT_EQ(a.count, text.size());

	transfer(s, 0, 5, nullptr, &a);
	r = take();
	EXPECT_EQ(r.head.kind, static_cast<uint32_t>(WIRE_READ));
	memcpy(&bulk, r.payload.data(), sizeof(bulk));
	memcpy(bounce + bulk.slot * WIRE_BOUNCE_BYTES, "DEVIC", 5);
	reply(r, 5, nullptr, 0);
	EXPECT_EQ(std::string(a.bytes.begin(), a.bytes.end()), "DEVIC");
	munmap(bounce, WIRE_BOUNCE_SLOTS * WIRE_BOUNCE_BYTES);
}

TEST_F(Relay, TransfersBeyondTheSlotsWaitUpToALimit)
{
	struct session *s = started();
	const size_t most = WIRE_BOUNCE_SLOTS + LIMIT_BULK_WAITING;
	std::vector<Answer> a(most + 1);
	std::vector<Received> got;
	char byte = 'x';

	for (size_t i = 0; i < most; i++)
		transfer(s, 0x700000000000 + i, 1, &byte, &a[i]);
	transfer(s, 0x700000000000, 1, &byte, &a[most]);
	EXPECT_EQ(a[most].error, ENOMEM);
	for (size_t i = 0; i < most; i++) {
		Received r = take();
		struct wire_bulk bulk;

		ASSERT_TRUE(r.there) << i;
		memcpy(&bulk, r.payload.data(), sizeof(bulk));
		EXPECT_EQ(bulk.offset, 0x700000000000 + i) << "not in order";
		got.push_back(std::move(r));
		EXPECT_LE(got.size(), static_cast<size_t>(WIRE_BOUNCE_SLOTS));
		if (got.size() == WIRE_BOUNCE_SLOTS || i + 1 == most) {
			EXPECT_FALSE(take().there) << "a slot given out twice";
			for (const auto &g : got)
				reply(g, 1, nullptr, 0);
			got.clear();
		}
	}
	for (size_t i = 0; i < most; i++)
		EXPECT_EQ(a[i].count, 1u) << i;
}

TEST_F(Relay, ATransferThatWaitsCanBeInterrupted)
{
	struct session *s = started();
	std::vector<Answer> a(WIRE_BOUNCE_SLOTS + 1);
	std::vector<Received> got;
	char byte = 'x';

	for (auto &x : a)
		transfer(s, 0x700000000000, 1, &byte, &x);
	EXPECT_FALSE(session_interrupt(a[0].pending, false)) << "it is being moved";
	EXPECT_TRUE(session_interrupt(a.back().pending, false));
	EXPECT_EQ(a.back().error, EINTR);
	for (int i = 0; i < WIRE_BOUNCE_SLOTS; i++)
		reply(take(), 1, nullptr, 0);
	EXPECT_FALSE(take().there);
}

/* ---- limits -------------------------------------------------------------------------------- */

TEST_F(Relay, PendingRequestsAreLimited)
{
	struct session *s = started();
	struct vgpu_wait w = wait();
	std::vector<Answer> a(LIMIT_PENDING_PER_PROC + 1);

	for (auto &x : a)
		send(s, VGPU_IOC_WAIT, w, &x);
	EXPECT_FALSE(a[LIMIT_PENDING_PER_PROC - 1].there);
	EXPECT_EQ(a[LIMIT_PENDING_PER_PROC].error, ENOMEM);
	for (int i = 0; i < LIMIT_PENDING_PER_PROC; i++)
		reply_with(take(), w);
	EXPECT_EQ(a[LIMIT_PENDING_PER_PROC - 1].error, 0);
	EXPECT_TRUE(a[LIMIT_PENDING_PER_PROC - 1].there);
}

TEST_F(Relay, AFullSocketDoesNotLoseOrder)
{
	struct session *s = started();
	auto sub = std::make_unique<struct vgpu_submit>();
	std::vector<Answer> a(LIMIT_PENDING_PER_PROC);

	memset(sub.get(), 0, sizeof(*sub));
	for (size_t i = 0; i < a.size(); i++) {
		sub->stream = static_cast<uint32_t>(i);
		send(s, VGPU_IOC_SUBMIT, *sub, &a[i]);
	}
	for (size_t i = 0; i < a.size(); i++) {
		Received r = take();

		ASSERT_TRUE(r.there) << i;
		memcpy(sub.get(), r.payload.data(), sizeof(*sub));
		EXPECT_EQ(sub->stream, i);
		reply_with(r, *sub);
	}
}

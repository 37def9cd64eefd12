// SPDX-License-Identifier: MIT
// Shared rings: order, doorbell, wrap, every command, and what a hostile client can write there.
#include "tests/unit/worker_front.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include <chrono>

namespace {
// A stream fed through its shared ring, as libcuda does it.
class Ring {
public:
	Ring(Front *front, uint32_t ctx) : f(front)
	{
		id = f->stream(ctx, &slot);
		share = &f->control->stream[slot];
		ring = (uint8_t *)f->control + VGPU_SHARE_RING_OFF(slot);
	}
	void put(const void *data, uint32_t bytes)
	{
		for (uint32_t i = 0; i < bytes; i++)
			ring[(tail + i) % VGPU_RING_BYTES] = ((const uint8_t *)data)[i];
		set_tail(tail + bytes);
	}
	void set_tail(uint64_t t)
	{
		tail = t;
		__atomic_store_n(&share->tail, t, __ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (__atomic_exchange_n(&share->asleep, 0, __ATOMIC_SEQ_CST))
			syscall(SYS_futex, &share->asleep, FUTEX_WAKE, 1, nullptr, nullptr, 0);
	}
	template <class T> void command(uint32_t op, T c)
	{
		c.head.op = op;
		c.head.bytes = sizeof(c);
		put(&c, sizeof(c));
		seq++;
	}
	void launch(const Front::launch &c)
	{
		put(&c, c.l.head.bytes);
		seq++;
	}
	void nop() { command(VGPU_CMD_NOP, vgpu_cmd_nop()); }
	void host_ack(uint64_t token)
	{
		__atomic_store_n(&share->host_ack, token, __ATOMIC_RELEASE);
		__atomic_add_fetch(&share->host_word, 1, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &share->host_word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
	}
	bool done(uint64_t want = 0)
	{
		return __atomic_load_n(&share->done_seq, __ATOMIC_ACQUIRE) >= (want ? want : seq);
	}
	// As a client waits: sleeping on done_word.
	bool wait(uint64_t want = 0, int ms = 3000)
	{
		struct timespec t = { 0, 10000000 };

		auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);

		while (std::chrono::steady_clock::now() < end) {
			__atomic_store_n(&share->waiters, 1, __ATOMIC_SEQ_CST);
			uint32_t word = __atomic_load_n(&share->done_word, __ATOMIC_SEQ_CST);
			if (done(want)) {
				__atomic_store_n(&share->waiters, 0, __ATOMIC_SEQ_CST);
#ifdef __SANITIZE_THREAD__
				/* It does not know that two addresses are one page. */
				f->wait(id, want ? want : seq);
#endif
				return true;
			}
			syscall(SYS_futex, &share->done_word, FUTEX_WAIT, word, &t, nullptr, 0);
		}
		return done(want);
	}

	Front *f;
	uint32_t id, slot;
	struct vgpu_share_stream *share;
	uint8_t *ring;
	uint64_t tail = 0, seq = 0;
};

class Queue : public ::testing::Test {
protected:
	Queue() : f(true), ctx(f.ctx()) {}

	uint32_t error()
	{
		return __atomic_load_n(&f.control->ctx[f.ctx_slot].error, __ATOMIC_ACQUIRE);
	}
	bool fails_with(uint32_t e)
	{
		for (int i = 0; i < 3000 && error() != e; i++)
			usleep(1000);
		return error() == e;
	}

	Front f;
	uint32_t ctx;
};
} // namespace

TEST_F(Queue, WorkerSaysThatItLives)
{
	EXPECT_EQ(1u, f.control->worker_alive);
	f.leave();
	EXPECT_EQ(2u, f.control->worker_alive);
}

TEST_F(Queue, ManyCommandsWrapTheRing)
{
	Ring r(&f, ctx);
	uint64_t va = f.alloc(ctx, 4096);
	uint32_t mod = f.module(ctx), w = f.func(mod, "write");

	for (uint32_t i = 0; i < 20000; i++) {
		while (r.tail + 256 >
		       __atomic_load_n(&r.share->head, __ATOMIC_ACQUIRE) + VGPU_RING_BYTES)
			;
		r.launch(Front::make_launch(w, 16, va + i % 16 * 4, i));
		if (i % 3 == 0)
			r.nop();
	}
	ASSERT_TRUE(r.wait());
	EXPECT_EQ(r.seq, r.share->done_seq);
	EXPECT_EQ(r.tail, r.share->head);
	for (uint32_t i = 0; i < 16; i++)
		EXPECT_EQ(20000 - 16 + i, ((uint32_t *)va)[i]);
	EXPECT_EQ(0u, error());
}

TEST_F(Queue, DoorbellWakesASleeper)
{
	Ring r(&f, ctx);

	for (int i = 0; i < 20; i++) {
		for (int k = 0; k < 200 && !__atomic_load_n(&r.share->asleep, __ATOMIC_SEQ_CST);
		     k++)
			usleep(1000);
		EXPECT_EQ(1u, r.share->asleep);
		if (i % 2)
			usleep(15000); /* behind the first short nap */
		r.nop();
		ASSERT_TRUE(r.wait());
	}
}

TEST_F(Queue, CopiesAndFills)
{
	Ring r(&f, ctx);
	uint64_t a = f.alloc(ctx, 8192), b = f.alloc(ctx, 8192, VGPU_MEM_HOST);
	struct vgpu_cmd_fill fill = {};
	struct vgpu_cmd_copy copy = {};
	struct vgpu_cmd_copy_rect rect = {};

	fill.dst = a;
	fill.width = 2048;
	fill.height = 1;
	fill.element = 4;
	fill.value = 0xabcd;
	r.command(VGPU_CMD_FILL, fill);
	copy.dst = b;
	copy.src = a;
	copy.bytes = 4096;
	r.command(VGPU_CMD_COPY, copy);
	rect.dst = b + 4096;
	rect.src = a;
	rect.dst_pitch = rect.src_pitch = 16;
	rect.width = 8;
	rect.height = 2;
	rect.depth = 1;
	r.command(VGPU_CMD_COPY_RECT, rect);
	ASSERT_TRUE(r.wait());
	EXPECT_EQ(0u, error());
	EXPECT_EQ(0xabcdu, ((uint32_t *)b)[1023]);
	EXPECT_EQ(0xabcdu, ((uint32_t *)b)[1024 + 5]);
	EXPECT_EQ(0u, ((uint32_t *)b)[1024 + 2]);
	copy.src = a + (1 << 30);
	r.command(VGPU_CMD_COPY, copy);
	ASSERT_TRUE(r.wait());
	EXPECT_TRUE(fails_with(700));
}

TEST_F(Queue, EventsOrderStreams)
{
	Ring a(&f, ctx), b(&f, ctx);
	uint32_t mod = f.module(ctx);
	uint64_t va = f.alloc(ctx, 64);
	struct vgpu_cmd_event_record rec = {};
	struct vgpu_cmd_event_wait wait = {};
	struct vgpu_event_query q = {};

	rec.slot = wait.slot = q.slot = VGPU_SHARE_EVENTS - 1;
	rec.gen = wait.gen = 3;
	b.command(VGPU_CMD_EVENT_WAIT, wait);
	b.launch(Front::make_launch(f.func(mod, "write"), 16, va, 2));
	usleep(5000);
	EXPECT_FALSE(b.done(1));
	a.launch(Front::make_launch(f.func(mod, "slow_write"), 16, va, 1));
	a.command(VGPU_CMD_EVENT_RECORD, rec);
	ASSERT_TRUE(b.wait());
	EXPECT_EQ(2u, *(uint32_t *)va);
	EXPECT_EQ(3u, f.control->event[rec.slot].gen);
	EXPECT_NE(0u, f.control->event[rec.slot].time_ns);
	ASSERT_EQ(0, f.call(VGPU_OP_EVENT_QUERY, &q));
	EXPECT_EQ(3u, q.gen);
	EXPECT_EQ(f.control->event[rec.slot].time_ns, q.time_ns);
	/* What the client scribbles there is not believed. */
	f.control->event[rec.slot].gen = 99;
	wait.gen = 4;
	b.command(VGPU_CMD_EVENT_WAIT, wait);
	usleep(5000);
	EXPECT_FALSE(b.done());
	rec.gen = 4;
	a.command(VGPU_CMD_EVENT_RECORD, rec);
	ASSERT_TRUE(b.wait());
	q.slot = VGPU_SHARE_EVENTS;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_EVENT_QUERY, &q));
}

TEST_F(Queue, EventSlotBeyondTheEndIsRefused)
{
	Ring a(&f, ctx);
	struct vgpu_cmd_event_record rec = {};

	rec.slot = VGPU_SHARE_EVENTS;
	rec.gen = 1;
	a.command(VGPU_CMD_EVENT_RECORD, rec);
	EXPECT_TRUE(fails_with(719));
}

TEST_F(Queue, StreamWaits)
{
	Ring a(&f, ctx), b(&f, ctx), gone(&f, ctx);
	uint32_t mod = f.module(ctx);
	uint64_t va = f.alloc(ctx, 64);
	struct vgpu_cmd_stream_wait w = {};
	struct vgpu_stream_destroy d = { gone.id, 0 };

	w.stream = a.id;
	w.seq = 1;
	b.command(VGPU_CMD_STREAM_WAIT, w);
	b.launch(Front::make_launch(f.func(mod, "write"), 16, va, 2));
	usleep(5000);
	EXPECT_FALSE(b.done(1));
	a.launch(Front::make_launch(f.func(mod, "slow_write"), 16, va, 1));
	ASSERT_TRUE(b.wait());
	EXPECT_EQ(2u, *(uint32_t *)va);

	/* Destroyed while waited for, and before. */
	w.stream = gone.id;
	w.seq = 1000;
	b.command(VGPU_CMD_STREAM_WAIT, w);
	usleep(2000);
	EXPECT_FALSE(b.done());
	EXPECT_EQ(0, f.call(VGPU_OP_STREAM_DESTROY, &d));
	ASSERT_TRUE(b.wait());
	b.command(VGPU_CMD_STREAM_WAIT, w);
	ASSERT_TRUE(b.wait());
	EXPECT_EQ(0u, error());

	w.stream = b.id;
	w.seq = b.seq + 5;
	b.command(VGPU_CMD_STREAM_WAIT, w);
	EXPECT_TRUE(fails_with(719));
}

TEST_F(Queue, ReusedSlotStartsFromZero)
{
	uint32_t slot;
	{
		Ring a(&f, ctx);
		struct vgpu_stream_destroy d = { a.id, 0 };

		for (int i = 0; i < 100; i++)
			a.nop();
		ASSERT_TRUE(a.wait());
		slot = a.slot;
		EXPECT_EQ(0, f.call(VGPU_OP_STREAM_DESTROY, &d));
	}
	usleep(10000);
	f.alloc(ctx, 1);
	Ring b(&f, ctx);
	EXPECT_EQ(slot, b.slot);
	b.nop();
	ASSERT_TRUE(b.wait());
	EXPECT_EQ(1u, b.share->done_seq);
	EXPECT_EQ(0u, error());
}

TEST_F(Queue, HostCallWaitsForTheClient)
{
	Ring r(&f, ctx);
	struct vgpu_cmd_host_call h = {};
	struct vgpu_wait w = {};

	h.token = 1;
	r.command(VGPU_CMD_HOST_CALL, h);
	r.nop();
	w.stream = r.id;
	w.seq = ~0ull;
	w.host_token = 1;
	w.timeout_ns = ~0ull;
	ASSERT_EQ(0, f.call(VGPU_OP_WAIT, &w));
	EXPECT_EQ(1u, w.done_token);
	EXPECT_EQ(1u, r.share->host_token);
	usleep(5000);
	EXPECT_FALSE(r.done(1));
	r.host_ack(1);
	ASSERT_TRUE(r.wait());
	h.token = 1;
	r.command(VGPU_CMD_HOST_CALL, h);
	EXPECT_TRUE(fails_with(719));
}

TEST_F(Queue, ValueWaitAndWrite)
{
	Ring a(&f, ctx), b(&f, ctx);
	uint64_t va = f.alloc(ctx, 64);
	struct vgpu_cmd_value_wait w = {};
	struct vgpu_cmd_value_write s = {};

	uint64_t zero[8] = {};
	EXPECT_EQ(64, f.bulk(true, va, zero, 64));
	w.va = s.va = va;
	w.bytes = s.bytes = 4;
	w.value = 5;
	b.command(VGPU_CMD_VALUE_WAIT, w);
	s.value = 4;
	a.command(VGPU_CMD_VALUE_WRITE, s);
	ASSERT_TRUE(a.wait());
	usleep(3000);
	EXPECT_FALSE(b.done());
	s.value = 5;
	a.command(VGPU_CMD_VALUE_WRITE, s);
	ASSERT_TRUE(b.wait());
	w.flags = 3;
	w.value = 0xffffffff;
	b.command(VGPU_CMD_VALUE_WAIT, w);
	usleep(3000);
	EXPECT_FALSE(b.done());
	/* The address goes away under the wait. */
	struct vgpu_mem_free m = { va };
	ASSERT_EQ(0, f.call(VGPU_OP_MEM_FREE, &m));
	EXPECT_TRUE(fails_with(700));
	EXPECT_TRUE(b.wait());
}

TEST_F(Queue, SubmitIsForPrivateRings)
{
	Ring r(&f, ctx);
	struct vgpu_cmd_nop n = {};

	EXPECT_EQ(-EBUSY, f.command(r.id, VGPU_CMD_NOP, n));
}

TEST_F(Queue, GarbageCommandIsRefusedAndTheStreamGoesOn)
{
	Ring r(&f, ctx);
	struct vgpu_cmd c = { 0xffff, 16 };
	uint64_t body[2];

	memcpy(body, &c, 8);
	r.put(body, 16);
	EXPECT_TRUE(fails_with(719));
	r.seq++;
	r.nop();
	EXPECT_TRUE(r.wait());
}

TEST_F(Queue, WrongSizesAreRefused)
{
	Ring r(&f, ctx);
	struct {
		struct vgpu_cmd_copy c;
		uint64_t more;
	} c = {};

	c.c.head.op = VGPU_CMD_COPY;
	c.c.head.bytes = sizeof(c);
	r.put(&c, sizeof(c));
	EXPECT_TRUE(fails_with(719));
}

struct Hostile {
	const char *name;
	struct vgpu_cmd head;
	uint64_t tail;
};

class QueueHostile : public Queue, public ::testing::WithParamInterface<Hostile> {};

TEST_P(QueueHostile, BreaksOnlyItsContext)
{
	Ring r(&f, ctx);
	struct vgpu_wait w = {};
	struct vgpu_ctx_destroy d = { ctx, 0 };

	memcpy(r.ring, &GetParam().head, 8);
	r.set_tail(GetParam().tail);
	EXPECT_TRUE(fails_with(719));
	w.stream = r.id;
	w.seq = 100;
	w.host_token = ~0ull;
	w.timeout_ns = ~0ull;
	EXPECT_EQ(0, f.call(VGPU_OP_WAIT, &w));
	EXPECT_EQ(719u, w.error);
	EXPECT_EQ(0, f.call(VGPU_OP_CTX_DESTROY, &d));

	uint32_t next = f.ctx();
	Ring ok(&f, next);
	ok.nop();
	EXPECT_TRUE(ok.wait());
	EXPECT_EQ(0u, error());
}

INSTANTIATE_TEST_SUITE_P(
	All, QueueHostile,
	::testing::Values(
		Hostile{ "SizeZero", { VGPU_CMD_NOP, 0 }, 8 },
		Hostile{ "SizeFour", { VGPU_CMD_NOP, 4 }, 8 },
		Hostile{ "SizeOdd", { VGPU_CMD_NOP, 12 }, 16 },
		Hostile{ "SizeOverMax", { VGPU_CMD_LAUNCH, VGPU_CMD_MAX_BYTES + 8 }, 65536 },
		Hostile{ "SizeHuge", { VGPU_CMD_LAUNCH, 0xfffffff8u }, 65536 },
		Hostile{ "TailFarAhead", { VGPU_CMD_NOP, 8 }, VGPU_RING_BYTES + 8 },
		Hostile{ "TailAllOnes", { VGPU_CMD_NOP, 8 }, ~0ull }),
	[](const ::testing::TestParamInfo<Hostile> &i) { return i.param.name; });

TEST_F(Queue, LargestCommandFits)
{
	Ring r(&f, ctx);
	std::vector<char> c(VGPU_CMD_MAX_BYTES);
	struct vgpu_cmd head = { 77, VGPU_CMD_MAX_BYTES };

	r.nop();
	memcpy(c.data(), &head, sizeof(head));
	r.put(c.data(), VGPU_CMD_MAX_BYTES);
	r.seq++;
	EXPECT_TRUE(r.wait());
	EXPECT_EQ(719u, error());
}

TEST_F(Queue, ScribblingOnWorkerFieldsHarmsNobody)
{
	Ring r(&f, ctx);

	for (int i = 0; i < 200; i++) {
		r.share->head = ~0ull;
		r.share->done_seq = 5;
		r.share->asleep = (uint32_t)i;
		r.share->done_word = 0;
		r.nop();
	}
	EXPECT_EQ(0u, f.wait(r.id, 200));
	EXPECT_EQ(200u, f.done);
	EXPECT_EQ(0u, error());
}

TEST(QueuePrivate, SubmitInPiecesAndFull)
{
	Front f(false);
	uint32_t ctx = f.ctx(), s = f.stream(ctx);
	uint64_t va = f.alloc(ctx, 64);
	struct vgpu_cmd_value_wait w = {};
	struct vgpu_cmd_nop n[64] = {};
	struct vgpu_submit bad = {};
	uint32_t v = 0;
	int r = 0, count = 0;

	EXPECT_EQ(4, f.bulk(true, va, &v, 4));
	w.head = { VGPU_CMD_VALUE_WAIT, sizeof(w) };
	w.va = va;
	w.value = 1;
	w.bytes = 4;
	EXPECT_EQ(0, f.submit(s, &w, 16));
	EXPECT_EQ(0, f.submit(s, (char *)&w + 16, sizeof(w) - 16));
	for (auto &x : n)
		x.head = { VGPU_CMD_NOP, 8 };
	while (r == 0 && count < 1000) {
		r = f.submit(s, n, sizeof(n));
		count += r == 0;
	}
	EXPECT_EQ(-EAGAIN, r);
	EXPECT_GE(count, (int)(VGPU_RING_BYTES / sizeof(n)) - 1);
	v = 1;
	EXPECT_EQ(4, f.bulk(true, va, &v, 4));
	EXPECT_EQ(0u, f.wait(s, 1 + (uint64_t)count * 64));
	EXPECT_EQ(1 + (uint64_t)count * 64, f.done);
	bad.stream = s;
	bad.bytes = 12;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_SUBMIT, &bad));
	bad.bytes = VGPU_SUBMIT_BYTES + 8;
	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_SUBMIT, &bad));
	bad.bytes = 8;
	bad.stream = s + 1;
	EXPECT_EQ(-EBADF, f.call(VGPU_OP_SUBMIT, &bad));
}

TEST(QueuePrivate, HostDone)
{
	Front f(false);
	uint32_t ctx = f.ctx(), s = f.stream(ctx);
	struct vgpu_cmd_host_call h = {};
	struct vgpu_host_done d = { s, 0, 1 };
	struct vgpu_wait w = {};

	EXPECT_EQ(-EINVAL, f.call(VGPU_OP_HOST_DONE, &d));
	h.token = 1;
	EXPECT_EQ(0, f.command(s, VGPU_CMD_HOST_CALL, h));
	w.stream = s;
	w.seq = 1;
	w.host_token = 1;
	w.timeout_ns = ~0ull;
	ASSERT_EQ(0, f.call(VGPU_OP_WAIT, &w));
	EXPECT_EQ(1u, w.done_token);
	EXPECT_EQ(0u, w.done_seq);
	EXPECT_EQ(0, f.call(VGPU_OP_HOST_DONE, &d));
	EXPECT_EQ(0u, f.wait(s, 1));
	EXPECT_EQ(1u, f.done);
}

TEST(QueuePrivate, EndOfTheFrontEndsAllWaits)
{
	Front f(false);
	uint32_t ctx = f.ctx(), a = f.stream(ctx), b = f.stream(ctx), c = f.stream(ctx);
	struct vgpu_cmd_host_call h = {};
	struct vgpu_cmd_event_wait e = {};
	struct vgpu_cmd_stream_wait s = {};

	h.token = 1;
	e.gen = 1;
	s.stream = a;
	s.seq = 100;
	EXPECT_EQ(0, f.command(a, VGPU_CMD_HOST_CALL, h));
	EXPECT_EQ(0, f.command(b, VGPU_CMD_EVENT_WAIT, e));
	EXPECT_EQ(0, f.command(c, VGPU_CMD_STREAM_WAIT, s));
	usleep(2000);
	f.leave();
}

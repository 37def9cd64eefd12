/* SPDX-License-Identifier: MIT */
/*
 * The client's half of a ring, against a consumer written from vgpu_share.h alone.
 */
#include <gtest/gtest.h>

#include <algorithm>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

extern "C" {
#include "libcuda/link/link.h"
}

namespace {

long futex(uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, nullptr, nullptr, 0);
}

/* A link with a control page and one stream, and nobody at the other end yet. */
class Ring : public testing::Test {
protected:
	void SetUp() override
	{
		void *p = mmap(nullptr, VGPU_SHARE_CONTROL_BYTES, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		ASSERT_NE(p, MAP_FAILED);
		link_ = static_cast<struct link *>(calloc(1, sizeof(struct link)));
		link_->control = static_cast<vgpu_share_control *>(p);
		link_->control->worker_alive = 1;
		link_->started = 1;
		memset(&dev_, 0, sizeof(dev_));
		dev_.link = link_;
		dev_.fd = -1;
		link_->dev[0] = &dev_;
		link_->dev_count = 1;
		memset(&stream_, 0, sizeof(stream_));
		stream_.dev = &dev_;
		stream_.slot = 3;
		stream_.share = share_ = &link_->control->stream[3];
		stream_.ring = static_cast<uint8_t *>(p) + VGPU_SHARE_RING_OFF(3);
		pthread_mutex_init(&stream_.lock, nullptr);
	}

	void TearDown() override
	{
		stop();
		munmap(link_->control, VGPU_SHARE_CONTROL_BYTES);
		free(link_);
	}

	/* Takes commands, keeps them, completes them. */
	void consume()
	{
		uint64_t head = 0, seq = 0;

		while (!stopping_) {
			uint64_t tail = __atomic_load_n(&share_->tail, __ATOMIC_ACQUIRE);

			if (head == tail) {
				__atomic_store_n(&share_->asleep, 1, __ATOMIC_SEQ_CST);
				if (__atomic_load_n(&share_->tail, __ATOMIC_SEQ_CST) == head &&
				    !stopping_)
					futex(&share_->asleep, FUTEX_WAIT, 1);
				__atomic_store_n(&share_->asleep, 0, __ATOMIC_SEQ_CST);
				continue;
			}
			vgpu_cmd cmd;
			take(head, &cmd, sizeof(cmd));
			std::vector<uint8_t> all(cmd.bytes);
			take(head, all.data(), cmd.bytes);
			seen_.push_back(all);
			head += cmd.bytes;
			__atomic_store_n(&share_->head, head, __ATOMIC_RELEASE);
			if (delay_us_)
				usleep(delay_us_);
			__atomic_store_n(&share_->done_seq, ++seq, __ATOMIC_SEQ_CST);
			ring_bell();
		}
	}

	void ring_bell()
	{
		__atomic_add_fetch(&share_->done_word, 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&share_->waiters, __ATOMIC_SEQ_CST))
			futex(&share_->done_word, FUTEX_WAKE, INT_MAX);
	}

	void take(uint64_t at, void *to, size_t bytes)
	{
		for (size_t i = 0; i < bytes; i++)
			static_cast<uint8_t *>(to)[i] = stream_.ring[(at + i) % VGPU_RING_BYTES];
	}

	void start()
	{
		worker_ = std::thread([this] { consume(); });
	}

	void stop()
	{
		if (!worker_.joinable())
			return;
		stopping_ = true;
		__atomic_store_n(&share_->asleep, 0, __ATOMIC_SEQ_CST);
		futex(&share_->asleep, FUTEX_WAKE, INT_MAX);
		worker_.join();
	}

	int nop(uint64_t *seq = nullptr)
	{
		vgpu_cmd cmd = { VGPU_CMD_NOP, sizeof(cmd) };

		return link_submit(&stream_, &cmd, seq);
	}

	struct link *link_;
	link_dev dev_;
	link_stream stream_;
	vgpu_share_stream *share_;
	std::thread worker_;
	std::atomic<bool> stopping_{ false };
	std::vector<std::vector<uint8_t>> seen_;
	unsigned delay_us_ = 0;
};

TEST_F(Ring, SeqCountsFromOne)
{
	uint64_t seq = 0;

	EXPECT_EQ(link_submitted(&stream_), 0u);
	ASSERT_EQ(nop(&seq), 0);
	EXPECT_EQ(seq, 1u);
	ASSERT_EQ(nop(&seq), 0);
	EXPECT_EQ(seq, 2u);
	EXPECT_EQ(link_submitted(&stream_), 2u);
	EXPECT_EQ(share_->tail, 2 * sizeof(vgpu_cmd));
}

TEST_F(Ring, BodyArrivesPaddedAcrossTheEnd)
{
	std::vector<std::vector<uint8_t>> sent;
	uint64_t seq = 0;

	start();
	for (unsigned i = 0; i < 2000; i++) {
		vgpu_cmd_launch cmd = {};
		std::vector<uint8_t> body(i % 997);

		cmd.head.op = VGPU_CMD_LAUNCH;
		cmd.head.bytes = sizeof(cmd);
		cmd.func = i;
		for (size_t b = 0; b < body.size(); b++)
			body[b] = static_cast<uint8_t>(i + b);
		ASSERT_EQ(link_submit_body(&stream_, &cmd.head, body.data(), body.size(), &seq), 0);
		sent.push_back(body);
	}
	ASSERT_EQ(link_wait(&stream_, seq, 5000000000ull), 0);
	stop();
	ASSERT_EQ(seen_.size(), sent.size());
	for (unsigned i = 0; i < sent.size(); i++) {
		auto *cmd = reinterpret_cast<vgpu_cmd_launch *>(seen_[i].data());
		size_t used = sizeof(*cmd) + sent[i].size();

		ASSERT_EQ(cmd->func, i);
		ASSERT_EQ(seen_[i].size(), (used + 7) / 8 * 8);
		ASSERT_TRUE(std::equal(sent[i].begin(), sent[i].end(),
				       reinterpret_cast<decltype(sent[i].data())>(seen_[i].data() +
										  sizeof(*cmd))));
		for (size_t b = used; b < seen_[i].size(); b++)
			ASSERT_EQ(seen_[i][b], 0);
	}
}

TEST_F(Ring, TooLargeIsRefused)
{
	vgpu_cmd cmd = { VGPU_CMD_NOP, sizeof(cmd) };
	std::vector<uint8_t> body(VGPU_CMD_MAX_BYTES);

	EXPECT_EQ(link_submit_body(&stream_, &cmd, body.data(), VGPU_CMD_MAX_BYTES - sizeof(cmd),
				   nullptr),
		  0);
	EXPECT_EQ(link_submit_body(&stream_, &cmd, body.data(),
				   VGPU_CMD_MAX_BYTES - sizeof(cmd) + 1, nullptr),
		  -EINVAL);
	cmd.bytes = 4;
	EXPECT_EQ(link_submit(&stream_, &cmd, nullptr), -EINVAL);
}

TEST_F(Ring, FullRingWaits)
{
	uint64_t seq = 0;

	delay_us_ = 20;
	start();
	for (unsigned i = 0; i < 40; i++) {
		vgpu_cmd cmd = { VGPU_CMD_NOP, sizeof(cmd) };
		std::vector<uint8_t> body(VGPU_CMD_MAX_BYTES - sizeof(cmd));

		ASSERT_EQ(link_submit_body(&stream_, &cmd, body.data(), body.size(), &seq), 0);
		ASSERT_LE(share_->tail - __atomic_load_n(&share_->head, __ATOMIC_ACQUIRE),
			  VGPU_RING_BYTES);
	}
	EXPECT_EQ(link_wait(&stream_, seq, 5000000000ull), 0);
}

TEST_F(Ring, WaitSleepsAndWakes)
{
	uint64_t seq;

	delay_us_ = 2000;
	start();
	for (int i = 0; i < 50; i++) {
		ASSERT_EQ(nop(&seq), 0);
		EXPECT_EQ(link_done(&stream_, seq), 0);
		ASSERT_EQ(link_wait(&stream_, seq, 5000000000ull), 0);
		EXPECT_EQ(link_done(&stream_, seq), 1);
	}
	EXPECT_EQ(share_->waiters, 0u);
}

TEST_F(Ring, NoWakeIsLost)
{
	uint64_t seq;

	start();
	for (int i = 0; i < 3000; i++) {
		ASSERT_EQ(nop(&seq), 0);
		ASSERT_EQ(link_wait(&stream_, seq, 2000000000ull), 0) << i;
	}
}

TEST_F(Ring, WaitTimesOut)
{
	uint64_t seq;

	ASSERT_EQ(nop(&seq), 0);
	EXPECT_EQ(link_wait(&stream_, seq, 0), -ETIMEDOUT);
	EXPECT_EQ(link_wait(&stream_, seq, 1000000), -ETIMEDOUT);
	EXPECT_EQ(share_->waiters, 0u);
}

TEST_F(Ring, DeathOfTheWorkerEndsAWait)
{
	uint64_t seq;

	ASSERT_EQ(nop(&seq), 0);
	std::thread killer([this] {
		usleep(20000);
		__atomic_store_n(&link_->control->worker_alive, 3, __ATOMIC_SEQ_CST);
		ring_bell();
	});
	EXPECT_EQ(link_wait(&stream_, seq, LINK_FOREVER), -ENODEV);
	killer.join();
	EXPECT_EQ(nop(), -ENODEV);
	EXPECT_EQ(link_done(&stream_, seq), -ENODEV);
}

TEST_F(Ring, SilenceAloneIsNoDeath)
{
	uint64_t seq;
	int ends[2];

	/* After a long sleep the node is asked; any answer but ENODEV means that somebody is there. */
	ASSERT_EQ(pipe(ends), 0);
	dev_.fd = ends[0];
	ASSERT_EQ(nop(&seq), 0);
	EXPECT_EQ(link_wait(&stream_, seq, 600000000ull), -ETIMEDOUT);
	EXPECT_EQ(link_->dead, 0u);
	close(ends[0]);
	close(ends[1]);
}

TEST_F(Ring, HostCallTokens)
{
	uint64_t token = 0, seq = 0;

	ASSERT_EQ(link_host_call(&stream_, &token, &seq), 0);
	EXPECT_EQ(token, 1u);
	EXPECT_EQ(link_wait_token(&stream_, token, seq, 1000000), -ETIMEDOUT);
	EXPECT_FALSE(link_at_token(&stream_, token));
	__atomic_store_n(&share_->host_token, 1, __ATOMIC_SEQ_CST);
	EXPECT_EQ(link_wait_token(&stream_, token, seq, 1000000), 0);
	EXPECT_TRUE(link_at_token(&stream_, token));
	uint32_t word = share_->host_word;
	ASSERT_EQ(link_host_done(&stream_, token), 0);
	EXPECT_EQ(share_->host_ack, 1u);
	EXPECT_NE(share_->host_word, word);
}

TEST_F(Ring, TokenThatIsPassedWithoutAStop)
{
	uint64_t token, seq;

	ASSERT_EQ(link_host_call(&stream_, &token, &seq), 0);
	__atomic_store_n(&share_->done_seq, seq, __ATOMIC_SEQ_CST);
	EXPECT_EQ(link_wait_token(&stream_, token, seq, LINK_FOREVER), 0);
	EXPECT_FALSE(link_at_token(&stream_, token));
}

TEST_F(Ring, EventSlots)
{
	uint32_t a, b, c;
	uint64_t gen, time_ns;

	pthread_mutex_init(&link_->event_lock, nullptr);
	ASSERT_EQ(link_event_alloc(link_, &a), 0);
	ASSERT_EQ(link_event_alloc(link_, &b), 0);
	EXPECT_NE(a, b);
	link_event_free(link_, a);
	ASSERT_EQ(link_event_alloc(link_, &c), 0);
	EXPECT_EQ(c, a);

	/* A record on its way keeps the slot from the next owner. */
	uint64_t want = link_event_next(link_, c);
	link_event_free(link_, c);
	ASSERT_EQ(link_event_alloc(link_, &a), 0);
	EXPECT_NE(a, c);
	link_->control->event[c].time_ns = 77;
	link_->control->event[c].gen = want;
	ASSERT_EQ(link_event_state(&dev_, c, &gen, &time_ns), 0);
	EXPECT_EQ(gen, want);
	EXPECT_EQ(time_ns, 77u);
	EXPECT_EQ(link_event_state(&dev_, VGPU_SHARE_EVENTS, &gen, &time_ns), -EINVAL);
}

TEST_F(Ring, EventSlotsRunOutAndComeBack)
{
	std::vector<uint32_t> slots;
	uint32_t slot;

	pthread_mutex_init(&link_->event_lock, nullptr);
	while (!link_event_alloc(link_, &slot))
		slots.push_back(slot);
	EXPECT_EQ(slots.size(), VGPU_SHARE_EVENTS);
	/* Freed while pending: not usable. Once recorded: found by the next one in need. */
	uint64_t gen = link_event_next(link_, slots[500]);
	link_event_free(link_, slots[500]);
	EXPECT_EQ(link_event_alloc(link_, &slot), -ENOSPC);
	link_->control->event[slots[500]].gen = gen;
	ASSERT_EQ(link_event_alloc(link_, &slot), 0);
	EXPECT_EQ(slot, slots[500]);
}

} // namespace

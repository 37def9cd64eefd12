// SPDX-License-Identifier: MIT
// Operations and ring contents drawn from words that hurt: the worker must answer and live on.
#include "tests/unit/worker_front.h"

#include <random>

extern "C" {
#include "ioctl/ops.h"
}

namespace {
// Words that a hostile client would try, and those that the worker itself has handed out.
class Words {
public:
	explicit Words(uint32_t seed) : rng(seed) {}
	void learn(const void *reply, uint32_t bytes)
	{
		for (uint32_t i = 0; i + 8 <= bytes && i < 128; i += 8) {
			uint64_t w;
			memcpy(&w, (const char *)reply + i, 8);
			if (w)
				known[next++ % known.size()] = w;
		}
	}
	uint64_t draw()
	{
		/* clang-format off */
		static const uint64_t edges[] = {
			0, 1, 2, 3, 4, 8, 512, 4096, 0x7fffffff, 0x80000000, 0xffffffff, ~0ull, ~0ull - 7,
			1ull << 63, MEM_UNIT, 2 * MEM_UNIT, MEM_UNIT - 1, Front::kWindow,
			Front::kWindow + (1ull << 33), Front::kWindow + (1ull << 34) - 4096,
			VGPU_SHARE_EVENTS, VGPU_SHARE_EVENTS - 1, VGPU_CMD_MAX_BYTES, 1ull << 20 | 1,
		};
		/* clang-format on */
		switch (rng() % 4) {
		case 0:
			return edges[rng() % (sizeof(edges) / sizeof(edges[0]))];
		case 1:
			return rng() % 4 | (uint64_t)(rng() % 4) << 32;
		case 2:
			return known[rng() % known.size()];
		default:
			return known[rng() % known.size()] + rng() % 3 * MEM_UNIT;
		}
	}
	void fill(void *p, uint32_t bytes)
	{
		memset(p, 0, bytes);
		for (uint32_t i = 0; i + 8 <= bytes && i < 96; i += 8) {
			uint64_t w = draw();
			memcpy((char *)p + i, &w, 8);
		}
	}
	std::mt19937 rng;

private:
	std::vector<uint64_t> known = std::vector<uint64_t>(64, 1);
	size_t next = 0;
};

const uint32_t kNoWait[] = { VGPU_OP_WAIT, VGPU_OP_CTX_DESTROY };

bool may_park(uint32_t op)
{
	return op == kNoWait[0] || op == kNoWait[1];
}
} // namespace

class Hostile : public ::testing::TestWithParam<uint32_t> {};

TEST_P(Hostile, OperationsAreAnswered)
{
	Front f(GetParam() % 2 == 0);
	Words w(GetParam());
	uint32_t ctx = f.ctx(), refused = 0, done = 0;
	std::vector<char> a(WIRE_MAX_PAYLOAD);
	int fd = f.memfd(2 * MEM_UNIT);

	f.module(ctx);
	f.alloc(ctx, 4096);
	for (int i = 0; i < 4000; i++) {
		uint32_t op = 0x10 + w.rng() % 0x36;
		const struct ops_desc *d = ops_find(op);

		if (!d || d->where != OPS_WORKER || may_park(op))
			continue;
		w.fill(a.data(), d->size);
		/* Handles mostly stand first; make half of the calls go deeper. */
		if (w.rng() % 2)
			memcpy(a.data(), &ctx, 4);
		std::vector<int> fds;
		if (w.rng() % 3 == 0)
			fds.push_back(fd);
		uint64_t tag = f.send(WIRE_CALL, op, a.data(), d->size, fds);
		/* One that takes memory away may wait for a stream that never ends. */
		if (!f.answered(tag, 200))
			break;
		int r = f.receive(tag, a.data(), d->size);
		EXPECT_LE(r, 0);
		EXPECT_GT(r, -4096);
		if (r == 0) {
			w.learn(a.data(), d->size);
			done++;
		} else {
			refused++;
		}
	}
	EXPECT_GT(done, 20u);
	EXPECT_GT(refused, 20u);
}

TEST_P(Hostile, RingsOfGarbage)
{
	Front f(true);
	Words w(GetParam());

	for (int round = 0; round < 60; round++) {
		uint32_t ctx = f.ctx(), slot;
		uint32_t stream = f.stream(ctx, &slot);
		uint64_t va = f.alloc(ctx, 1 << 20), tail = 0;
		auto *share = &f.control->stream[slot];
		auto *ring = (char *)f.control + VGPU_SHARE_RING_OFF(slot);
		uint32_t kernel = f.func(f.module(ctx), "print");

		w.learn(&va, 8);
		w.learn(&kernel, 4);
		for (int i = 0; i < 40; i++) {
			static const uint32_t sizes[] = { 8, 24, 32, 48, 64, 80, 88, 96, 4096 };
			struct vgpu_cmd head = { (uint32_t)(w.rng() % 13),
						 sizes[w.rng() % (sizeof(sizes) / 4)] };
			std::vector<char> c(head.bytes);

			w.fill(c.data(), head.bytes);
			memcpy(c.data(), &head, sizeof(head));
			for (uint32_t k = 0; k < head.bytes; k++)
				ring[(tail + k) % VGPU_RING_BYTES] = c[k];
			tail += head.bytes;
		}
		if (round % 8 == 7)
			tail = w.draw();
		__atomic_store_n(&share->tail, tail, __ATOMIC_RELEASE);
		__atomic_store_n(&share->asleep, 0, __ATOMIC_SEQ_CST);
		struct vgpu_wait wait = {};
		wait.stream = stream;
		wait.seq = 40;
		wait.host_token = ~0ull;
		wait.timeout_ns = 20000000;
		EXPECT_EQ(0, f.call(VGPU_OP_WAIT, &wait));
	}
}

INSTANTIATE_TEST_SUITE_P(Seeds, Hostile, ::testing::Range(1u, 4u));

/* SPDX-License-Identifier: MIT */
/*
 * random_test.cc - noise from both sides: clients that send anything, workers that answer anything.
 *
 * There is nothing to expect but that the front goes on, that every request is answered at most
 * once and all of them in the end, and that the accounts balance. The seed is fixed; a sanitizer
 * build sees more.
 */
#include "harness.h"

#include <cerrno>
#include <deque>
#include <random>
#include <sys/socket.h>

class Random : public Protocol {
protected:
	uint32_t pick(uint32_t below) { return static_cast<uint32_t>(rng() % below); }
	void fill(void *p, size_t bytes)
	{
		auto *c = static_cast<unsigned char *>(p);

		/* Mostly zeros and small numbers, so that some of it gets past the checks. */
		for (size_t i = 0; i < bytes; i++)
			c[i] = pick(16) ? 0 : static_cast<unsigned char>(rng());
	}
	uint32_t command()
	{
		static const uint32_t good[] = {
#define X(nr, NAME, name, where, since) static_cast<uint32_t>(VGPU_IOC_##NAME),
			VGPU_OPS(X)
#undef X
		};

		if (!pick(8))
			return static_cast<uint32_t>(rng());
		return good[pick(sizeof(good) / sizeof(good[0]))];
	}

	std::mt19937_64 rng{ 20240229 };
};

TEST_F(Random, TheFrontGoesOn)
{
	std::deque<Answer> answers;
	std::vector<unsigned char> in(VGPU_MAX_PAYLOAD + 1);
	std::vector<struct session *> files;
	unsigned calls = 0, relayed = 0;

	configure({ "T4,memory=1G", "H100-80GB" });
	log_init("random", static_cast<enum log_level>(0)); /* complaints are expected */
	for (int round = 0; round < 200; round++) {
		files.clear();
		for (int i = 0; i < 4; i++)
			files.push_back(pick(4) ? greeted(pick(2)) : open(pick(2)));
		for (int step = 0; step < 60; step++) {
			struct session *s = files[pick(4)];
			uint32_t cmd = command();
			size_t bytes = _IOC_SIZE(cmd), out = pick(50) ? bytes : pick(16384);

			answers.emplace_back();
			fill(in.data(), bytes);
			if (pick(10))
				raw(s, cmd, in.data(), bytes, out, &answers.back());
			else if (session_greeted(s))
				transfer(s, rng(), pick(5000), pick(2) ? in.data() : nullptr,
					 &answers.back());
			calls++;
			relayed += answers.back().pending != nullptr;
			if (answers.back().pending && !pick(8))
				session_interrupt(answers.back().pending, pick(2));
			if (worker < 0 || pick(3))
				continue;
			Received r = take();
			if (!r.there)
				continue;
			const struct ops_desc *op = ops_find(r.head.op);
			size_t size = r.head.kind == WIRE_CALL && op ? op->size : 0;
			int32_t status = pick(4) ? 0 : -static_cast<int32_t>(pick(130));

			fill(in.data(), size);
			if (r.head.kind == WIRE_CANCEL)
				continue;
			if (!pick(100))
				r.head.tag += pick(3);
			if (!pick(100))
				size = pick(WIRE_MAX_PAYLOAD);
			spin();
			/* The front may have hung up on us by now; that is its right. */
			std::vector<unsigned char> m(sizeof(struct wire_msg) + size);
			struct wire_msg head = {};
			head.kind = pick(200) ? static_cast<uint32_t>(WIRE_REPLY) : pick(9);
			head.tag = r.head.tag;
			head.status = status;
			head.payload_bytes = static_cast<uint32_t>(size);
			head.charge = pick(4) ? 0 : static_cast<int64_t>(rng() >> pick(64));
			memcpy(m.data(), &head, sizeof(head));
			memcpy(m.data() + sizeof(head), in.data(), size);
			if (::send(worker, m.data(), m.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
				break;
			spin();
		}
		for (struct session *s : files)
			release(s);
		spin();
		if (worker >= 0)
			close(worker);
		worker = -1;
		for (const Answer &a : answers)
			ASSERT_TRUE(a.there || !a.pending) << "round " << round;
		answers.clear();
		struct session *s = greeted(0);
		struct vgpu_mem_info m = {};
		ASSERT_EQ(call(s, VGPU_IOC_MEM_INFO, &m), 0);
		ASSERT_EQ(m.free, m.total - m.reserved) << "round " << round;
		release(s);
	}
	EXPECT_GT(relayed, calls / 20) << "nearly all was refused: the noise is too loud";
}

// SPDX-License-Identifier: MIT
// The front between a client that sends anything and a worker that answers anything.
//
// The input is a list of steps; what must hold in the end: every request was answered once, and all memory
// is free again.
#include "tests/protocol/harness.h"

#include <cstdlib>
#include <deque>
#include <sys/socket.h>
#include <unistd.h>

namespace {

class Input {
public:
	Input(const uint8_t *data, size_t bytes) : p(data), end(data + bytes) {}
	bool empty() const { return p == end; }
	template <typename T> T take()
	{
		T v = {};
		size_t n = std::min<size_t>(sizeof(T), static_cast<size_t>(end - p));

		memcpy(&v, p, n);
		p += n;
		return v;
	}
	void fill(void *out, size_t bytes)
	{
		size_t n = std::min<size_t>(take<uint8_t>(),
					    std::min<size_t>(bytes, static_cast<size_t>(end - p)));

		memset(out, 0, bytes);
		memcpy(out, p, n);
		p += n;
	}

private:
	const uint8_t *p, *end;
};

class Steps : public Protocol {
public:
	void TestBody() override {}
	void run(Input &in)
	{
		SetUp();
		configure({ "T4,memory=1G", "H100-80GB" });
		log_init("fuzz", static_cast<enum log_level>(0));
		for (int i = 0; i < 3; i++)
			files.push_back(i < 2 ? greeted(i & 1) : open(0));
		while (!in.empty() && answers.size() < 64)
			step(in);
		for (struct session *s : files)
			release(s);
		spin();
		if (worker >= 0)
			close(worker);
		worker = -1;
		for (const Answer &a : answers)
			if (!a.there && a.pending)
				abort();
		struct session *s = greeted(0);
		struct vgpu_mem_info m = {};
		if (call(s, VGPU_IOC_MEM_INFO, &m) || m.free != m.total - m.reserved)
			abort();
		release(s);
		TearDown();
		if (::testing::Test::HasFailure())
			abort();
	}

private:
	void step(Input &in)
	{
		uint8_t what = in.take<uint8_t>();
		struct session *s = files[what >> 6 & 1 ? what >> 7 : 2];

		switch (what & 7) {
		case 0:
		case 1:
			ioctl(in, s);
			break;
		case 2:
			if (!session_greeted(s))
				break;
			answers.emplace_back();
			in.fill(buf.data(), 64);
			transfer(s, in.take<uint64_t>(), in.take<uint16_t>() % 8192,
				 what & 8 ? buf.data() : nullptr, &answers.back());
			break;
		case 3:
			if (!answers.empty() && answers.back().pending && !answers.back().there)
				session_interrupt(answers.back().pending, what & 8);
			break;
		case 4:
			if (worker >= 0)
				close(worker);
			worker = -1;
			spin();
			break;
		default:
			reply_anything(in, what & 8);
		}
	}
	void ioctl(Input &in, struct session *s)
	{
		uint8_t nr = in.take<uint8_t>();
		const struct ops_desc *d = ops_find(nr);
		uint32_t cmd = d ? _IOC(_IOC_READ | _IOC_WRITE, VGPU_IOC_TYPE, nr, d->size)
				 : in.take<uint32_t>();
		size_t bytes = _IOC_SIZE(cmd);

		answers.emplace_back();
		in.fill(buf.data(), bytes);
		/* exact, so that each byte too far is seen */
		std::vector<unsigned char> exact(buf.begin(),
						 buf.begin() + static_cast<long>(bytes));
		raw(s, cmd, exact.data(), bytes, bytes, &answers.back());
	}
	void reply_anything(Input &in, bool bent)
	{
		Received r;

		if (worker < 0)
			return;
		r = take();
		if (!r.there || r.head.kind == WIRE_CANCEL)
			return;
		const struct ops_desc *op = ops_find(r.head.op);
		size_t size = r.head.kind == WIRE_CALL && op ? op->size : 0;
		struct {
			struct wire_msg head;
			unsigned char payload[WIRE_MAX_PAYLOAD];
		} m = {};

		if (bent)
			size = in.take<uint16_t>() % WIRE_MAX_PAYLOAD;
		m.head.kind = WIRE_REPLY;
		m.head.tag = r.head.tag + (bent ? in.take<uint8_t>() & 1 : 0);
		m.head.status = in.take<int8_t>();
		m.head.charge = bent ? in.take<int64_t>() : in.take<int8_t>() * (2ll << 20);
		m.head.payload_bytes = static_cast<uint32_t>(size);
		in.fill(m.payload, size);
		spin();
		::send(worker, &m, sizeof(m.head) + size, MSG_NOSIGNAL | MSG_DONTWAIT);
		spin();
	}

	std::deque<Answer> answers;
	std::vector<struct session *> files;
	std::vector<unsigned char> buf = std::vector<unsigned char>(VGPU_MAX_PAYLOAD + 1);
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	Input in(data, bytes);
	Steps steps;

	steps.run(in);
	return 0;
}

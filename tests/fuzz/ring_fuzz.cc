// SPDX-License-Identifier: MIT
// A worker's ring and its operations, by somebody who writes anything there.
//
// The first byte chooses: commands through the ring on the shared page, through SUBMIT, as a graph, or a list
// of operations. Words of a few patterns are replaced by what the worker has handed out, so that the input
// gets behind the first check.
#include "tests/unit/worker_front.h"

#include <cstdlib>
#include <memory>

extern "C" {
#include "ioctl/ops.h"
}

namespace {

struct Known {
	uint64_t va;
	uint32_t handle[4]; /* context, stream, kernel, module */
};

void fill_in(std::vector<char> &bytes, const Known &k)
{
	for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
		uint64_t w;
		uint32_t h[2];

		memcpy(&w, &bytes[i], 8);
		if (w >> 56 == 0xf1) {
			w = k.va + (w & 0xfffff);
			memcpy(&bytes[i], &w, 8);
			continue;
		}
		memcpy(h, &bytes[i], 8);
		for (uint32_t &x : h)
			if (x >> 24 == 0xf2)
				x = k.handle[x & 3];
		memcpy(&bytes[i], h, 8);
	}
}

void ring(Front &f, const Known &k, uint32_t slot, const std::vector<char> &in, uint64_t seq)
{
	auto *share = &f.control->stream[slot];
	auto *ring = reinterpret_cast<char *>(f.control) + VGPU_SHARE_RING_OFF(slot);
	struct vgpu_wait wait = {};

	memcpy(ring, in.data(), in.size());
	__atomic_store_n(&share->tail, in.size(), __ATOMIC_RELEASE);
	__atomic_store_n(&share->asleep, 0, __ATOMIC_SEQ_CST);
	wait.stream = k.handle[1];
	wait.seq = seq;
	wait.host_token = ~0ull;
	wait.timeout_ns = 2000000;
	f.call(VGPU_OP_WAIT, &wait);
}

/* {u8 number, u8 descriptor, u16 bytes, bytes} one after the other */
void operations(Front &f, const std::vector<char> &in)
{
	std::vector<char> a(WIRE_MAX_PAYLOAD);
	int fd = f.own.back();

	for (size_t i = 0; i + 4 <= in.size();) {
		uint32_t op = static_cast<uint8_t>(in[i]), with_fd = in[i + 1] & 1;
		uint16_t n;
		const struct ops_desc *d = ops_find(op);

		memcpy(&n, &in[i + 2], 2);
		i += 4;
		n = static_cast<uint16_t>(std::min<size_t>(n, in.size() - i));
		if (!d || d->where != OPS_WORKER || op == VGPU_OP_WAIT ||
		    op == VGPU_OP_CTX_DESTROY) {
			i += n;
			continue;
		}
		std::fill(a.begin(), a.end(), 0);
		memcpy(a.data(), &in[i], std::min<size_t>(n, d->size));
		i += n;
		uint64_t tag = f.send(WIRE_CALL, op, a.data(), d->size,
				      with_fd ? std::vector<int>{ fd } : std::vector<int>{});
		if (!f.answered(tag, 50))
			return; /* it waits for a stream that never ends */
		int r = f.receive(tag, a.data(), d->size);
		if (r > 0 || r <= -4096)
			abort();
	}
}

/* Commands that are kept and run twice, as far as they end at once. */
void graph(Front &f, const Known &k, uint32_t slot, const std::vector<char> &in)
{
	struct vgpu_blob_create b = {};
	struct vgpu_blob_destroy d = {};
	struct vgpu_graph_create g = {};
	struct vgpu_graph_destroy gone = {};
	struct vgpu_cmd_graph_run run = {};

	b.size = in.size();
	b.fd = -1;
	if (f.call(VGPU_OP_BLOB_CREATE, &b) < 0)
		return;
	for (size_t at = 0; at < in.size(); at += 4096)
		f.bulk(true, VGPU_BLOB_OFFSET(b.slot) + at, &in[at],
		       static_cast<uint32_t>(std::min<size_t>(4096, in.size() - at)));
	g.ctx = k.handle[0];
	g.blob = d.blob = b.blob;
	int r = f.call(VGPU_OP_GRAPH_CREATE, &g);
	f.call(VGPU_OP_BLOB_DESTROY, &d);
	if (r < 0)
		return;
	run.head = { VGPU_CMD_GRAPH_RUN, sizeof(run) };
	gone.graph = run.graph = g.graph;
	std::vector<char> twice(2 * sizeof(run));
	memcpy(&twice[0], &run, sizeof(run));
	memcpy(&twice[sizeof(run)], &run, sizeof(run));
	ring(f, k, slot, twice, 2);
	f.call(VGPU_OP_GRAPH_DESTROY, &gone);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static std::unique_ptr<Front> f;
	static int uses;
	uint32_t slot;
	Known k;

	if (bytes < 2)
		return 0;
	if (!f || uses++ == 40) {
		f.reset();
		f.reset(new Front(true));
		f->memfd(2 << 20);
		uses = 0;
	}
	k.handle[0] = f->ctx();
	k.handle[1] = f->stream(k.handle[0], &slot);
	k.handle[3] = f->module(k.handle[0]);
	k.handle[2] = f->func(k.handle[3], "print");
	k.va = f->alloc(k.handle[0], 1 << 20);

	std::vector<char> in(data + 1, data + bytes);
	in.resize(std::min<size_t>((in.size() + 7) & ~size_t(7), VGPU_RING_BYTES));
	fill_in(in, k);
	switch (data[0] % 4) {
	case 0:
		ring(*f, k, slot, in, 1000);
		break;
	case 1:
		operations(*f, in);
		break;
	case 3:
		graph(*f, k, slot, in);
		break;
	default:
		in.resize(std::min<size_t>(in.size(), VGPU_SUBMIT_BYTES));
		f->submit(k.handle[1], in.data(), static_cast<uint32_t>(in.size()));
	}
	if (::testing::Test::HasFailure())
		abort();
	return 0;
}

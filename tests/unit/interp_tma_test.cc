// SPDX-License-Identifier: MIT
// Tensor copies against a reference that goes element by element: ranks, types, boxes that hang over,
// strides, swizzles, im2col, gather and scatter, reductions; and what a map must not say.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <sys/mman.h>
#include <vector>

extern "C" {
#include "cuse_dev/backend/backend.h"
#include "ioctl/vgpu_tensormap.h"
}

#include "support/window.h"

namespace {

const uint64_t WINDOW = TEST_WINDOW, TENSOR = WINDOW + (1 << 20), BOX = WINDOW + (3 << 20);
const size_t MAPPED = 4 << 20, TENSOR_BYTES = 2 << 20, SHARED = 32768;

const char *const HEAD =
	".version 8.7\n.target sm_100a\n.address_size 64\n"
	".visible .entry k(.param .align 64 .b8 map[128], .param .u64 out, .param .u32 bytes,\n"
	" .param .u32 c0, .param .u32 c1, .param .u32 c2, .param .u32 c3, .param .u32 c4,\n"
	" .param .u32 f0, .param .u32 f1, .param .u32 f2)\n{\n"
	".shared .align 1024 .b8 s[32768]; .shared .align 8 .b64 m;\n"
	".reg .u64 %a, %b, %map; .reg .u32 %t, %n, %p, %x, %c<5>, %f<3>; .reg .u16 %o<3>; .reg "
	".pred %q, %z;\n"
	"mov.u64 %map, map; cvta.param.u64 %map, %map;\n"
	"ld.param.u64 %a, [out]; ld.param.u32 %n, [bytes]; mov.u32 %t, %tid.x; setp.eq.u32 %z, "
	"%t, 0;\n"
	"ld.param.u32 %c0, [c0]; ld.param.u32 %c1, [c1]; ld.param.u32 %c2, [c2];\n"
	"ld.param.u32 %c3, [c3]; ld.param.u32 %c4, [c4];\n"
	"ld.param.u32 %f0, [f0]; cvt.u16.u32 %o0, %f0; ld.param.u32 %f1, [f1]; cvt.u16.u32 %o1, "
	"%f1;\n"
	"ld.param.u32 %f2, [f2]; cvt.u16.u32 %o2, %f2;\n"
	"mov.u32 %p, s; mad.lo.u32 %p, %t, 4, %p; mad.wide.u32 %a, %t, 4, %a;\n";

/* The box's bytes come from or go to memory in words. */
std::string move(const char *what)
{
	return std::string("mov.u32 %x, %t; mov.u32 %f0, %p; mov.u64 %b, %a;\nL:\n") + what +
	       "add.u64 %b, %b, 1024; add.u32 %f0, %f0, 1024; add.u32 %x, %x, 256;\n"
	       "setp.lt.u32 %q, %x, 8192; @%q bra L;\nbar.sync 0;\n";
}

std::string load(const std::string &inst)
{
	return HEAD + move("st.shared.u32 [%f0], 0xcccccccc;\n") +
	       "@!%z bra W;\nmbarrier.init.shared.b64 [m], 1;\n"
	       "mbarrier.arrive.expect_tx.shared.b64 _, [m], %n;\n" +
	       inst +
	       "W: bar.sync 0;\nV: mbarrier.try_wait.parity.shared.b64 %q, [m], 0; @!%q bra V;\n" +
	       "mov.u32 %x, %t; mov.u32 %f0, %p; mov.u64 %b, %a; .reg .u32 %v;\nR:\n"
	       "ld.shared.u32 %v, [%f0]; st.global.u32 [%b], %v;\n"
	       "add.u64 %b, %b, 1024; add.u32 %f0, %f0, 1024; add.u32 %x, %x, 256;\n"
	       "setp.lt.u32 %q, %x, 8192; @%q bra R;\nret;\n}\n";
}

std::string store(const std::string &inst)
{
	return HEAD + std::string(".reg .u32 %v;\n") +
	       move("ld.global.u32 %v, [%b]; st.shared.u32 [%f0], %v;\n") + "@!%z bra W;\n" + inst +
	       "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;\nW: ret;\n}\n";
}

struct Params {
	struct vgpu_tensormap map;
	uint64_t out;
	uint32_t bytes;
	int32_t c[5];
	uint32_t f[3];
};

class Kernel {
public:
	explicit Kernel(const std::string &text)
	{
		struct backend_device dev = {};
		struct backend_image_info info;
		struct backend_log log = {};

		dev.cc = 100;
		dev.sm_count = 4;
		dev.warp_size = 32;
		dev.max_threads_per_block = 1024;
		dev.max_shared_per_block = 49152;
		dev.max_shared_per_block_optin = 232448;
		dev.clock_khz = 1000000;
		dev.window_base = WINDOW;
		dev.window_size = 1ull << 40;
		dev.threads = 1;
		EXPECT_EQ(0, backend_soft.open(&dev, &backend));
		EXPECT_EQ(0u, backend_soft.module_load(backend, text.data(), text.size(), true, &m,
						       &info, &log))
			<< log.text;
		EXPECT_EQ(0, backend_soft.module_bind(m, WINDOW, WINDOW, true));
		EXPECT_EQ(0, backend_soft.func_by_name(m, "k", &f));
		EXPECT_EQ(0u, backend_soft.func_info(f, &fi, &log)) << log.text << text;
	}
	~Kernel()
	{
		backend_soft.module_unload(m);
		backend_soft.close(backend);
	}
	uint32_t run(const Params &p)
	{
		struct backend_launch l = {};

		for (int i = 0; i < 3; i++)
			l.grid[i] = l.block[i] = l.cluster[i] = 1;
		l.block[0] = 256;
		l.params = &p;
		l.param_bytes = fi.param_bytes;
		return backend_soft.launch(f, &l, &fault);
	}
	struct backend_fault fault = {};

private:
	void *backend = nullptr;
	struct backend_module *m = nullptr;
	struct backend_func *f = nullptr;
	struct backend_func_info fi = {};
};

const struct {
	uint8_t type, bytes;
	uint64_t nan;
} kinds[] = { { VGPU_TENSORMAP_U8, 1, 0 },
	      { VGPU_TENSORMAP_U16, 2, 0 },
	      { VGPU_TENSORMAP_F32, 4, 0x7fffffff },
	      { VGPU_TENSORMAP_F16, 2, 0x7fff },
	      { VGPU_TENSORMAP_U64, 8, 0 } };

uint8_t *tensor()
{
	return (uint8_t *)TENSOR;
}

class Tma : public ::testing::Test {
protected:
	void SetUp() override
	{
		ASSERT_EQ((void *)WINDOW,
			  mmap((void *)WINDOW, MAPPED, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	}
	void TearDown() override { munmap((void *)WINDOW, MAPPED); }

	uint32_t pick(uint32_t least, uint32_t most) { return least + rng() % (most - least + 1); }

	/* A tensor that fits the memory, rows padded. */
	struct vgpu_tensormap shape(uint32_t rank, uint32_t kind)
	{
		struct vgpu_tensormap m = {};
		uint64_t stride;

		m.magic = VGPU_TENSORMAP_MAGIC;
		m.rank = (uint8_t)rank;
		m.type = kinds[kind].type;
		m.address = TENSOR;
		m.dim[0] = pick(1, 70) - 1;
		stride = ((m.dim[0] + 1) * kinds[kind].bytes + 15) / 16 * 16 + 16 * pick(0, 1);
		for (uint32_t i = 1; i < rank; i++) {
			m.dim[i] = pick(1, rank > 3 ? 6 : 20) - 1;
			m.stride[i - 1] = stride;
			stride *= m.dim[i] + 1;
		}
		EXPECT_LE(stride, TENSOR_BYTES);
		for (uint32_t i = 0; i < rank; i++)
			m.element_stride[i] = 1;
		return m;
	}

	/* Rows of the box, and whether they are swizzled. */
	void rows(struct vgpu_tensormap *m, uint32_t kind)
	{
		m->swizzle = (uint8_t)pick(0, 3);
		if (m->swizzle)
			m->box[0] = (uint16_t)((16u << m->swizzle) / kinds[kind].bytes);
		else
			m->box[0] = (uint16_t)(16 * pick(1, 4) / kinds[kind].bytes);
		if (m->swizzle == VGPU_TENSORMAP_SWIZZLE_128B)
			m->atomicity = (uint8_t)pick(0, 2);
		m->fill = kinds[kind].nan ? (uint8_t)pick(0, 1) : 0;
	}

	void scribble(uint64_t at, size_t n)
	{
		for (size_t i = 0; i < n; i += 4)
			*(uint32_t *)(at + i) = (uint32_t)rng();
	}

	std::mt19937 rng{ 20250801 };
};

/* Where a byte of the box goes, as the pictures of the manual have it. */
size_t place(const struct vgpu_tensormap &m, size_t x)
{
	size_t row = x / 128, in = x % 128;

	if (!m.swizzle)
		return x;
	if (m.atomicity == VGPU_TENSORMAP_ATOM_16B) {
		size_t pieces = 1u << m.swizzle, first = in / 16 / pieces * pieces,
		       k = in / 16 % pieces;

		return row * 128 + (first + (k ^ row % pieces)) * 16 + in % 16;
	}
	in = (in / 32 ^ row % 4) * 32 + in % 32;
	if (m.atomicity == VGPU_TENSORMAP_ATOM_32B_FLIP && row % 2)
		in = in / 16 * 16 + (in % 16 + 8) % 16;
	return row * 128 + in;
}

/* An element by its coordinates; outside: nothing. */
uint8_t *element(const struct vgpu_tensormap &m, uint32_t bytes, const std::vector<int64_t> &at)
{
	uint8_t *p = tensor();

	for (uint32_t i = 0; i < m.rank; i++) {
		if (at[i] < 0 || at[i] > m.dim[i])
			return nullptr;
		p += (uint64_t)at[i] * (i ? m.stride[i - 1] : bytes);
	}
	return p;
}

/* Coordinates of all elements of a box in their order. */
std::vector<std::vector<int64_t>> tile(const struct vgpu_tensormap &m, const int32_t *c)
{
	std::vector<std::vector<int64_t>> all;
	uint32_t n[5], total = 1;

	for (uint32_t i = 0; i < m.rank; i++) {
		n[i] = i ? (m.box[i] + m.element_stride[i] - 1u) / m.element_stride[i] : m.box[i];
		total *= n[i];
	}
	for (uint32_t k = 0; k < total; k++) {
		std::vector<int64_t> at;
		uint32_t left = k;

		for (uint32_t i = 0; i < m.rank; i++) {
			at.push_back(c[i] + (int64_t)(left % n[i]) * (i ? m.element_stride[i] : 1));
			left /= n[i];
		}
		all.push_back(at);
	}
	return all;
}

/* Pixels by number: the box of pixels as one long row, images one after the other. */
std::vector<std::vector<int64_t>> im2col(const struct vgpu_tensormap &m, const int32_t *c,
					 const uint32_t *f)
{
	std::vector<std::vector<int64_t>> all;
	uint32_t spatial = m.rank - 2u;
	int64_t n[3], first = 0, scale = 1;

	for (uint32_t i = 0; i < spatial; i++) {
		int64_t high = (int64_t)m.dim[i + 1] + m.upper[i], step = m.element_stride[i + 1];

		n[i] = (high - m.lower[i]) / step + 1;
		first += (c[i + 1] - m.lower[i]) / step * scale;
		scale *= n[i];
	}
	first += c[m.rank - 1] * scale;
	for (int64_t k = 0; k < m.box[1]; k++)
		for (int64_t e = 0; e < m.box[0]; e++) {
			std::vector<int64_t> at = { c[0] + e };
			int64_t left = first + k;

			for (uint32_t i = 0; i < spatial; i++) {
				at.push_back(m.lower[i] + left % n[i] * m.element_stride[i + 1] +
					     (int64_t)f[i]);
				left /= n[i];
			}
			at.push_back(left);
			all.push_back(at);
		}
	return all;
}

std::string coords(uint32_t n)
{
	std::string s = "{%c0";

	for (uint32_t i = 1; i < n; i++)
		s += ", %c" + std::to_string(i);
	return s + "}";
}

/* After a load: the box in shared memory, which was 0xcc before. */
void check_box(const struct vgpu_tensormap &m, uint32_t kind,
	       const std::vector<std::vector<int64_t>> &elements)
{
	std::vector<uint8_t> want(SHARED, 0xcc);
	uint32_t bytes = kinds[kind].bytes;
	uint64_t fill = m.fill ? kinds[kind].nan : 0;

	for (size_t k = 0; k < elements.size(); k++) {
		const uint8_t *p = element(m, bytes, elements[k]);

		for (uint32_t b = 0; b < bytes; b++)
			want[place(m, k * bytes + b)] = p ? p[b] : ((uint8_t *)&fill)[b];
	}
	for (size_t i = 0; i < SHARED; i++)
		ASSERT_EQ(want[i], *(uint8_t *)(BOX + i))
			<< "byte " << i << " of " << elements.size() * bytes << ", rank "
			<< (int)m.rank << " swizzle " << (int)m.swizzle << "/" << (int)m.atomicity;
}

} // namespace

TEST_F(Tma, LoadsTiles)
{
	for (uint32_t rank = 1; rank <= 5; rank++) {
		Kernel k(load(
			"cp.async.bulk.tensor." + std::to_string(rank) +
			"d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [s], [%map, " +
			coords(rank) + "], [m];\n"));

		for (int n = 0; n < 40; n++) {
			uint32_t kind = pick(0, 4);
			struct vgpu_tensormap m = shape(rank, kind);
			Params p = {};

			scribble(TENSOR, TENSOR_BYTES / 8);
			rows(&m, kind);
			for (uint32_t i = 1; i < rank; i++) {
				m.box[i] = (uint16_t)pick(1, rank > 3 ? 3 : 9);
				m.element_stride[i] = (uint8_t)pick(1, 3);
			}
			for (uint32_t i = 0; i < rank; i++)
				p.c[i] = (int32_t)pick(0, m.dim[i] + 12) - 6;
			auto all = tile(m, p.c);
			p.map = m;
			p.out = BOX;
			p.bytes = (uint32_t)all.size() * kinds[kind].bytes;
			ASSERT_LE(p.bytes, SHARED);
			ASSERT_EQ(0u, k.run(p)) << k.fault.what;
			check_box(m, kind, all);
			if (HasFatalFailure())
				return;
		}
	}
}

TEST_F(Tma, StoresTiles)
{
	for (uint32_t rank = 1; rank <= 5; rank++) {
		Kernel k(store("cp.async.bulk.tensor." + std::to_string(rank) +
			       "d.global.shared::cta.tile.bulk_group [%map, " + coords(rank) +
			       "], [s];\n"));

		for (int n = 0; n < 8; n++) {
			uint32_t kind = pick(0, 4), bytes = kinds[kind].bytes;
			struct vgpu_tensormap m = shape(rank, kind);
			Params p = {};

			scribble(TENSOR, TENSOR_BYTES);
			scribble(BOX, SHARED);
			std::vector<uint8_t> want(tensor(), tensor() + TENSOR_BYTES);
			rows(&m, kind);
			for (uint32_t i = 1; i < rank; i++)
				m.box[i] = (uint16_t)pick(1, rank > 3 ? 3 : 9);
			for (uint32_t i = 0; i < rank; i++)
				p.c[i] = (int32_t)pick(0, m.dim[i] + 12) - 6;
			auto all = tile(m, p.c);
			p.map = m;
			p.out = BOX;
			ASSERT_EQ(0u, k.run(p)) << k.fault.what;
			for (size_t e = 0; e < all.size(); e++)
				if (uint8_t *at = element(m, bytes, all[e]))
					for (uint32_t b = 0; b < bytes; b++)
						want[at + b - tensor()] =
							*(uint8_t *)(BOX + place(m, e * bytes + b));
			ASSERT_EQ(0, memcmp(want.data(), tensor(), TENSOR_BYTES))
				<< "rank " << rank;
		}
	}
}

TEST_F(Tma, Reduces)
{
	Kernel add(store("cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile.bulk_group "
			 "[%map, {%c0, %c1}], [s];\n"));
	Kernel min(store("cp.reduce.async.bulk.tensor.2d.global.shared::cta.min.tile.bulk_group "
			 "[%map, {%c0, %c1}], [s];\n"));
	struct vgpu_tensormap m = {};
	Params p = {};

	m.magic = VGPU_TENSORMAP_MAGIC;
	m.rank = 2;
	m.type = VGPU_TENSORMAP_U32;
	m.address = TENSOR;
	m.dim[0] = 9;
	m.dim[1] = 4;
	m.stride[0] = 64;
	m.box[0] = 8;
	m.box[1] = 4;
	m.element_stride[0] = m.element_stride[1] = 1;
	scribble(BOX, SHARED);
	p.map = m;
	p.out = BOX;
	p.c[0] = 4;
	p.c[1] = 2;
	for (Kernel *k : { &add, &min }) {
		scribble(TENSOR, 4096);
		std::vector<uint32_t> want((uint32_t *)TENSOR, (uint32_t *)(TENSOR + 4096));
		const uint32_t *box = (const uint32_t *)BOX;

		for (uint32_t y = 2; y < 5; y++)
			for (uint32_t x = 4; x < 10; x++) {
				uint32_t &w = want[y * 16 + x], v = box[(y - 2) * 8 + x - 4];

				w = k == &add ? w + v : std::min(w, v);
			}
		ASSERT_EQ(0u, k->run(p)) << k->fault.what;
		ASSERT_EQ(0, memcmp(want.data(), (void *)TENSOR, 4096));
	}
	p.map.type = VGPU_TENSORMAP_U8;
	p.map.box[0] = 16;
	EXPECT_EQ(719u, add.run(p)) << "bytes cannot be added";
}

TEST_F(Tma, GathersAndScattersRows)
{
	Kernel gather(load(
		"cp.async.bulk.tensor.2d.shared::cta.global.tile::gather4.mbarrier::complete_tx"
		"::bytes [s], [%map, {%c0, %c1, %c2, %c3, %c4}], [m];\n"));
	Kernel scatter(store("cp.async.bulk.tensor.2d.global.shared::cta.tile::scatter4.bulk_group "
			     "[%map, {%c0, %c1, %c2, %c3, %c4}], [s];\n"));
	struct vgpu_tensormap m = shape(2, 2);
	std::vector<std::vector<int64_t>> all;
	Params p = {};

	m.dim[0] = 30;
	m.dim[1] = 19;
	m.stride[0] = 128;
	m.box[0] = 32;
	m.box[1] = 1;
	m.swizzle = VGPU_TENSORMAP_SWIZZLE_128B;
	scribble(TENSOR, 4096);
	p.map = m;
	p.out = BOX;
	p.bytes = 512;
	for (int i = 0; i < 5; i++)
		p.c[i] = (int[]){ -2, 7, 19, 0, 20 }[i];
	for (int r = 1; r < 5; r++)
		for (int e = 0; e < 32; e++)
			all.push_back({ p.c[0] + e, p.c[r] });
	ASSERT_EQ(0u, gather.run(p)) << gather.fault.what;
	check_box(m, 2, all);
	scribble(BOX, SHARED);
	std::vector<uint8_t> want(tensor(), tensor() + 8192);
	for (size_t e = 0; e < all.size(); e++)
		if (uint8_t *at = element(m, 4, all[e]))
			memcpy(&want[at - tensor()], (void *)(BOX + place(m, e * 4)), 4);
	ASSERT_EQ(0u, scatter.run(p)) << scatter.fault.what;
	ASSERT_EQ(0, memcmp(want.data(), tensor(), want.size()));
}

TEST_F(Tma, LoadsPixelsForConvolutions)
{
	static const char *const offsets[] = { "%o0", "%o0, %o1", "%o0, %o1, %o2" };

	for (uint32_t rank = 3; rank <= 5; rank++) {
		Kernel k(load("cp.async.bulk.tensor." + std::to_string(rank) +
			      "d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [s], "
			      "[%map, " +
			      coords(rank) + "], [m], {" + offsets[rank - 3] + "};\n"));

		for (int n = 0; n < 40; n++) {
			uint32_t kind = pick(0, 4);
			struct vgpu_tensormap m = shape(rank, kind);
			Params p = {};

			scribble(TENSOR, TENSOR_BYTES / 8);
			rows(&m, kind);
			m.mode = VGPU_TENSORMAP_IM2COL;
			m.box[1] = (uint16_t)pick(1, 60);
			for (uint32_t i = 0; i + 2 < rank; i++) {
				m.lower[i] = (int16_t)((int)pick(0, 3) - 2);
				m.upper[i] = (int16_t)((int)pick(0, 3) - 2);
				if ((int)m.dim[i + 1] + m.upper[i] < m.lower[i])
					m.upper[i] = (int16_t)(m.lower[i] - (int)m.dim[i + 1]);
				m.element_stride[i + 1] = (uint8_t)pick(1, 2);
				p.f[i] = pick(0, 3);
				/* the first pixel is one of those that are visited */
				int steps = ((int)m.dim[i + 1] + m.upper[i] - m.lower[i]) /
					    m.element_stride[i + 1];
				p.c[i + 1] = m.lower[i] + (int)pick(0, (uint32_t)steps) *
								  m.element_stride[i + 1];
			}
			p.c[0] = (int32_t)pick(0, m.dim[0] + 4) - 2;
			p.c[rank - 1] = (int32_t)pick(0, m.dim[rank - 1]);
			auto all = im2col(m, p.c, p.f);
			p.map = m;
			p.out = BOX;
			p.bytes = (uint32_t)all.size() * kinds[kind].bytes;
			ASSERT_EQ(0u, k.run(p)) << k.fault.what;
			check_box(m, kind, all);
			if (HasFatalFailure())
				return;
		}
	}
}

TEST_F(Tma, FlushesSubnormals)
{
	Kernel k(load(
		"cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [s], "
		"[%map, {%c0}], [m];\n"));
	struct vgpu_tensormap m = shape(1, 2);
	static const uint32_t in[4] = { 0x00400000, 0x80000001, 0x3f800000, 0x00800000 },
			      out[4] = { 0, 0x80000000, 0x3f800000, 0x00800000 };
	Params p = {};

	m.type = VGPU_TENSORMAP_F32_FTZ;
	m.dim[0] = 3;
	m.box[0] = 4;
	memcpy((void *)TENSOR, in, 16);
	p.map = m;
	p.out = BOX;
	p.bytes = 16;
	ASSERT_EQ(0u, k.run(p)) << k.fault.what;
	EXPECT_EQ(0, memcmp(out, (void *)BOX, 16));
}

TEST_F(Tma, ReplacesFields)
{
	/* All fields of a map are set by the kernel, in shared memory, then it is copied out. */
	Kernel k(std::string(HEAD) +
		 "@!%z bra E; .reg .u64 %w; .reg .b64 %g;\n"
		 "ld.u64 %w, [%map]; st.shared.u64 [s], %w;\n"
		 "mov.u64 %g, s; cvta.shared.u64 %g, %g;\n"
		 "tensormap.replace.tile.global_address.shared::cta.b1024.b64 [s], %a;\n"
		 "tensormap.replace.tile.rank.shared::cta.b1024.b32 [s], 1;\n"
		 "tensormap.replace.tile.box_dim.b1024.b32 [%g], 0, 32;\n"
		 "tensormap.replace.tile.box_dim.shared::cta.b1024.b32 [s], 1, %c0;\n"
		 "tensormap.replace.tile.global_dim.shared::cta.b1024.b32 [s], 0, 100;\n"
		 "tensormap.replace.tile.global_dim.shared::cta.b1024.b32 [s], 1, 50;\n"
		 "tensormap.replace.tile.global_stride.shared::cta.b1024.b64 [s], 0, 208;\n"
		 "tensormap.replace.tile.element_stride.shared::cta.b1024.b32 [s], 0, 1;\n"
		 "tensormap.replace.tile.element_stride.shared::cta.b1024.b32 [s], 1, 2;\n"
		 "tensormap.replace.tile.elemtype.shared::cta.b1024.b32 [s], 6;\n"
		 "tensormap.replace.tile.interleave_layout.shared::cta.b1024.b32 [s], 0;\n"
		 "tensormap.replace.tile.swizzle_mode.shared::cta.b1024.b32 [s], 2;\n"
		 "tensormap.replace.tile.fill_mode.shared::cta.b1024.b32 [s], 1;\n"
		 "tensormap.replace.tile.swizzle_atomicity.shared::cta.b1024.b32 [s], 0;\n"
		 "E: bar.warp.sync -1; setp.ge.u32 %q, %t, 32; @%q ret;\n"
		 "ld.param.u64 %b, [out];\n"
		 "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync."
		 "aligned [%b], [s], 128;\n"
		 "fence.proxy.tensormap::generic.acquire.gpu [%b], 128;\nret;\n}\n");
	struct vgpu_tensormap want = {}, got;
	Params p = {};

	memset((void *)BOX, 0, 4096);
	p.map.magic = VGPU_TENSORMAP_MAGIC;
	p.out = BOX;
	p.c[0] = 8;
	ASSERT_EQ(0u, k.run(p)) << k.fault.what;
	memcpy(&got, (void *)BOX, sizeof(got));
	want.magic = VGPU_TENSORMAP_MAGIC;
	want.address = BOX;
	want.rank = 2;
	want.type = VGPU_TENSORMAP_F16;
	want.box[0] = 32;
	want.box[1] = 8;
	want.dim[0] = 99;
	want.dim[1] = 49;
	want.stride[0] = 208;
	want.element_stride[0] = 1;
	want.element_stride[1] = 2;
	want.swizzle = VGPU_TENSORMAP_SWIZZLE_64B;
	want.fill = 1;
	want.pad[0] = got.pad[0];
	EXPECT_EQ(want.address, got.address);
	EXPECT_EQ(want.rank, got.rank);
	EXPECT_EQ(want.type, got.type);
	EXPECT_EQ(0, memcmp(want.box, got.box, sizeof(got.box)));
	EXPECT_EQ(0, memcmp(want.dim, got.dim, sizeof(got.dim)));
	EXPECT_EQ(want.stride[0], got.stride[0]);
	EXPECT_EQ(want.element_stride[1], got.element_stride[1]);
	EXPECT_EQ(want.swizzle, got.swizzle);
	EXPECT_EQ(want.fill, got.fill);
}

TEST_F(Tma, RefusesBadMaps)
{
	Kernel k(load(
		"cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
		"[s], [%map, {%c0, %c1}], [m];\n"));
	struct vgpu_tensormap good = {};
	Params p = {};

	good.magic = VGPU_TENSORMAP_MAGIC;
	good.rank = 2;
	good.type = VGPU_TENSORMAP_U32;
	good.address = TENSOR;
	good.dim[0] = good.dim[1] = 31;
	good.stride[0] = 128;
	good.box[0] = good.box[1] = 4;
	good.element_stride[0] = good.element_stride[1] = 1;
	p.map = good;
	p.out = BOX;
	p.bytes = 64;
	EXPECT_EQ(0u, k.run(p)) << k.fault.what;
#define BAD(error, field, value)                                                                   \
	p.map = good;                                                                              \
	p.map.field = value;                                                                       \
	EXPECT_EQ(error, k.run(p)) << #field " = " #value ": " << k.fault.what
	BAD(719u, magic, 0);
	BAD(719u, mode, 1);
	BAD(719u, rank, 0);
	BAD(719u, rank, 3);
	BAD(719u, rank, 6);
	BAD(719u, type, VGPU_TENSORMAP_TYPES);
	BAD(801u, interleave, 1);
	BAD(801u, swizzle, 4);
	BAD(801u, swizzle, 3);
	BAD(801u, atomicity, VGPU_TENSORMAP_ATOM_64B);
	BAD(719u, box[0], 0);
	BAD(719u, box[0], 257);
	BAD(719u, box[0], 3);
	BAD(719u, box[1], 300);
	BAD(719u, element_stride[1], 0);
	BAD(719u, element_stride[1], 9);
	BAD(700u, address, WINDOW - 4096);
	BAD(700u, address, WINDOW + MAPPED);
	BAD(700u, stride[0], 1ull << 39);
	BAD(716u, address, TENSOR + 2);
#undef BAD
}

// SPDX-License-Identifier: MIT
// wgmma: a warp group multiplies matrices in shared memory, laid out as the canonical layouts say.
#include <gtest/gtest.h>

#include "ptx/matrix/matrix.h"

namespace {

struct Case {
	uint32_t n, k;
	const char *d, *a, *b;
	const char *after;
	bool sat;
};

/*
 * A canonical layout as a function of the element (line, k) in units of 16 bytes, written down from the
 * tables of layouts: T = 16 bytes / size elements stand in a unit.
 */
struct Layout {
	uint32_t swizzle; /* 0, 32, 64, 128 */
	bool transposed;
	uint32_t leading, stride; /* bytes */

	uint32_t address(uint32_t line, uint32_t k, uint32_t bits) const
	{
		uint32_t per = 128 / bits, unit, in;

		if (!transposed) {
			uint32_t s = swizzle ? swizzle / 16 : 1;

			/* ((8,m),2):((s,stride),(1 or leading)) */
			in = k % per * bits / 8;
			unit = line % 8 * s * 16 + line / 8 * stride +
			       (swizzle ? k / per * 16 : k / per * leading);
		} else if (!swizzle) {
			/* ((1,n),(8,k)):((x,stride),(1,leading)) */
			in = line % per * bits / 8;
			unit = line / per * stride + k % 8 * 16 + k / 8 * leading;
		} else {
			/* ((s,n),(8,k)):((1,leading),(s,stride)) */
			uint32_t s = swizzle / 16;

			in = line % per * bits / 8;
			unit = line / per % s * 16 + line / per / s * leading + k % 8 * s * 16 +
			       k / 8 * stride;
		}
		return unit + in;
	}
	/* 16-byte columns of the repeating pattern are xored with its rows of 128 bytes */
	uint32_t swizzled(uint32_t at) const
	{
		uint32_t m = swizzle == 128 ? 7 : swizzle == 64 ? 3 : swizzle == 32 ? 1 : 0;

		return at ^ (at / 128 & m) * 16;
	}
	uint64_t descriptor(uint32_t start) const
	{
		uint64_t mode = swizzle == 128 ? 1 : swizzle == 64 ? 2 : swizzle == 32 ? 3 : 0;

		return (uint64_t)(start >> 4) | (uint64_t)(leading >> 4) << 16 |
		       (uint64_t)(stride >> 4) << 32 | mode << 62;
	}
};

std::string word(const char *name, uint64_t v)
{
	return "mov.u64 %" + std::string(name) + ", " + std::to_string(v) + ";\n";
}

/* @lines of A or B by @l into the image of shared memory. */
void store(std::vector<uint8_t> *shared, uint32_t start, const Layout &l, const Format *f,
	   uint32_t lines, uint32_t k, const std::function<double(uint32_t, uint32_t)> &value)
{
	for (uint32_t i = 0; i < lines; i++)
		for (uint32_t e = 0; e < k; e++) {
			uint32_t unit = 128 / f->bits;
			/* bits of one element start inside a byte for b1 */
			uint32_t at = l.swizzled(start + l.address(i, e, f->bits));
			uint64_t bit = 8ull * at + (f->bits < 8 ? e % unit * f->bits % 8 : 0);

			put_bits(shared, bit, f->bits, format_code(f, value(i, e)));
		}
}

struct Variant {
	Layout a, b;
	bool a_regs, scale_d;
	int nega, negb;
};

void run_case(const Case &c, const Variant &v)
{
	const Format *fa = format(c.a), *fb = format(c.b), *fd = format(c.d);
	bool floats = strcmp(c.d, "s32") != 0, half = fa->bits == 16, bits = fa->bits == 1;
	uint32_t nd = c.n * fd->bits / 64, na = 16 * c.k * fa->bits / 1024, b_at = 16384,
		 shared_bytes = 49152;
	Matrix a(64, c.k), b(c.k, c.n), d(64, c.n);
	Numbers num(c.n + c.k);
	std::vector<uint8_t> shared(shared_bytes);
	MatrixRun run;
	std::string s;

	for (double &x : a.v)
		x = num.small(fa);
	for (double &x : b.v)
		x = num.small(fb);
	for (double &x : d.v)
		x = num.small(fd);
	store(&shared, 0, v.a, fa, 64, c.k, [&](uint32_t r, uint32_t k) { return a.at(r, k); });
	store(&shared, b_at, v.b, fb, c.n, c.k, [&](uint32_t r, uint32_t k) { return b.at(k, r); });
	run.in = shared;
	run.in.resize(shared_bytes + (nd + na) * 512);
	for (uint32_t t = 0; t < 128; t++) {
		uint32_t row = t / 32 * 16 + t % 32 / 4, per = 32 / fd->bits, pa = 32 / fa->bits;

		for (uint32_t i = 0; i < nd * per; i++) {
			uint32_t p = i / 2, r = row + p % 2 * 8,
				 col = p / 2 * 8 + t % 4 * 2 + i % 2;

			put_bits(&run.in,
				 8ull * shared_bytes + (i / per * 128 + t) * 32 +
					 i % per * fd->bits,
				 fd->bits, format_code(fd, d.at(r, col)));
		}
		for (uint32_t i = 0; i < na * pa; i++) {
			uint32_t reg = i / pa, r = row + reg % 2 * 8,
				 k = reg / 2 * 4 * pa + t % 4 * pa + i % pa;

			put_bits(&run.in,
				 8ull * (shared_bytes + nd * 512) + (reg * 128 + t) * 32 +
					 i % pa * fa->bits,
				 fa->bits, format_code(fa, a.at(r, k)));
		}
	}
	s = ".shared .align 1024 .b8 s[49152];\n.reg .b64 %da, %db, %x, %y; .reg .b32 %w, %i; "
	    ".reg .pred %p, %q;\n" +
	    load_regs("d", nd, shared_bytes, 4, 128) +
	    load_regs("a", na, shared_bytes + nd * 512, 4, 128) +
	    "mov.u32 %i, 0;\nmov.u64 %y, s;\nmad.wide.u32 %y, %lane, 4, %y;\nmov.b64 %x, %lin;\n"
	    "L: ld.global.b32 %w, [%x];\nst.shared.b32 [%y], %w;\nadd.u64 %x, %x, 512;\n"
	    "add.u64 %y, %y, 512;\nadd.u32 %i, %i, 1;\nsetp.lt.u32 %q, %i, 96;\n@%q bra L;\n"
	    "bar.sync 0;\nwgmma.fence.sync.aligned;\n" +
	    word("da", v.a.descriptor(0)) + word("db", v.b.descriptor(b_at)) + "setp.ne.u32 %p, " +
	    (v.scale_d ? "1" : "0") + ", 0;\nwgmma.mma_async.sync.aligned.m64n" +
	    std::to_string(c.n) + "k" + std::to_string(c.k) + (c.sat ? ".satfinite" : "") + "." +
	    c.d + "." + c.a + "." + c.b + c.after + " " + regs("d", nd) + ", " +
	    (v.a_regs ? regs("a", na) : "%da") + ", %db, %p";
	if (floats)
		s += ", " + std::to_string(v.nega) + ", " + std::to_string(v.negb);
	if (half && !v.a_regs)
		s += v.a.transposed ? ", 1" : ", 0";
	if (half)
		s += v.b.transposed ? ", 1" : ", 0";
	s += ";\nwgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n" +
	     store_regs("d", nd, 4, 128);
	run.text = matrix_kernel(s);
	run.threads = 128;
	run.out_bytes = nd * 512;
	matrix_run(run, [&](const std::vector<uint8_t> &out) {
		for (uint32_t t = 0; t < 128; t++)
			for (uint32_t i = 0; i < nd * 32 / fd->bits; i++) {
				uint32_t per = 32 / fd->bits, p = i / 2,
					 r = t / 32 * 16 + t % 32 / 4 + p % 2 * 8,
					 col = p / 2 * 8 + t % 4 * 2 + i % 2;
				double want = 0;

				for (uint32_t k = 0; k < c.k; k++)
					want += bits ? a.at(r, k) != 0 && b.at(k, col) != 0
						     : a.at(r, k) * b.at(k, col) *
								(floats ? v.nega * v.negb : 1);
				want += v.scale_d ? d.at(r, col) : 0;
				ASSERT_EQ(want, fd->value(get_bits(out,
								   (i / per * 128 + t) * 32 +
									   i % per * fd->bits,
								   fd->bits)))
					<< "thread " << t << ", element " << i;
			}
	});
}

/* Lines of @bytes along k in a row of the pattern, packed groups of eight. */
Layout k_major(uint32_t swizzle, uint32_t lines)
{
	if (!swizzle) /* core matrices of 128 bytes, k next to k */
		return { 0, false, 128, 256 };
	return { swizzle, false, 16, 8 * swizzle };
}

Layout mn_major(uint32_t swizzle, uint32_t lines)
{
	if (!swizzle)
		return { 0, true, lines / 8 * 128, 128 };
	return { swizzle, true, 16 * swizzle, 8 * swizzle };
}

const Case all[] = {
	{ 8, 16, "f32", "f16", "f16", "", false },
	{ 64, 16, "f16", "f16", "f16", "", false },
	{ 128, 16, "f32", "bf16", "bf16", "", false },
	{ 16, 8, "f32", "tf32", "tf32", "", false },
	{ 24, 32, "f32", "e4m3", "e5m2", "", false },
	{ 32, 32, "f16", "e5m2", "e5m2", "", false },
	{ 64, 32, "s32", "s8", "u8", "", false },
	{ 96, 32, "s32", "u8", "u8", "", true },
	{ 16, 256, "s32", "b1", "b1", ".and.popc", false },
};

TEST(Wgmma, EveryTypeAndSwizzle)
{
	for (const Case &c : all)
		for (uint32_t sw : { 0u, 32u, 64u, 128u }) {
			Variant v = { k_major(sw, 64), k_major(sw, c.n), false, true, 1, 1 };

			run_case(c, v);
			v.a_regs = true;
			v.scale_d = false;
			v.nega = -1;
			run_case(c, v);
			if (HasFailure())
				return;
		}
}

TEST(Wgmma, TransposedOperands)
{
	const Case c = { 128, 16, "f32", "f16", "f16", "", false };

	for (uint32_t sw : { 0u, 32u, 64u, 128u }) {
		run_case(c, { mn_major(sw, 64), k_major(sw, c.n), false, true, 1, -1 });
		run_case(c, { k_major(sw, 64), mn_major(sw, c.n), false, true, -1, -1 });
		run_case(c, { mn_major(sw, 64), mn_major(sw, c.n), false, false, 1, 1 });
		run_case(c, { k_major(sw, 64), mn_major(sw, c.n), true, true, 1, 1 });
		if (HasFailure())
			return;
	}
}

TEST(Wgmma, TheLargest)
{
	run_case({ 256, 16, "f32", "bf16", "bf16", "", false },
		 { k_major(128, 64), k_major(128, 256), false, true, 1, 1 });
}

TEST(Wgmma, OutsideOfSharedMemory)
{
	MatrixRun run;
	uint32_t error;
	std::string what;

	run.threads = 128;
	run.in.resize(64);
	run.text = matrix_kernel(
		".shared .align 128 .b8 s[256];\n.reg .b64 %da, %db; .reg .b32 %d<4>; "
		".reg .pred %p;\nsetp.ne.u32 %p, 0, 0;\n" +
		word("da", k_major(0, 64).descriptor(0)) + word("db", k_major(0, 8).descriptor(0)) +
		"wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%d0,%d1,%d2,%d3}, "
		"%da, %db, %p, 1, 1, 0, 0;\n");
	what = matrix_fault(run, &error);
	EXPECT_EQ(700u, error) << what;
	EXPECT_NE(std::string::npos, what.find("shared")) << what;
}

TEST(Wgmma, Refused)
{
	auto refuse = [](const std::string &inst) {
		return matrix_refused(matrix_kernel(
			".reg .b32 %d<9>; .reg .b64 %x; .reg .pred %p;\n" + inst + "\n"));
	};
	const std::string d = " {%d0,%d1,%d2,%d3}, %x, %x, %p, 1, 1";

	EXPECT_EQ("", refuse("wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16" + d + ", 0, 0;"));
	EXPECT_NE("", refuse("wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16" + d + ";"));
	EXPECT_NE("", refuse("wgmma.mma_async.sync.aligned.m64n9k16.f32.f16.f16" + d + ", 0, 0;"));
	EXPECT_NE("", refuse("wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16" + d + ", 2, 0;"));
	EXPECT_NE("", refuse("wgmma.mma_async.sync.aligned.m64n8k8.f32.tf32.tf32" + d + ", 1, 1;"));
	EXPECT_NE("", refuse("wgmma.wait_group.sync.aligned;"));
	EXPECT_NE("", refuse("wgmma.sync.aligned;"));
}

} // namespace

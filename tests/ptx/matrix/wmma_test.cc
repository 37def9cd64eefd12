// SPDX-License-Identifier: MIT
// wmma: matrices from memory through fragments and back, in every shape, type and layout.
#include <gtest/gtest.h>

#include "ptx/matrix/matrix.h"

namespace {

struct Case {
	uint32_t m, n, k;
	const char *type, *d; /* of A and B; of D and C */
	uint32_t a_regs, b_regs, c_regs;
};

const Case cases[] = {
	{ 16, 16, 16, "f16", "f32", 8, 8, 8 },	{ 32, 8, 16, "f16", "f32", 8, 8, 8 },
	{ 8, 32, 16, "f16", "f32", 8, 8, 8 },	{ 16, 16, 16, "f16", "f16", 8, 8, 4 },
	{ 32, 8, 16, "f16", "f16", 8, 8, 4 },	{ 8, 32, 16, "f16", "f16", 8, 8, 4 },
	{ 16, 16, 16, "bf16", "f32", 4, 4, 8 }, { 32, 8, 16, "bf16", "f32", 8, 2, 8 },
	{ 8, 32, 16, "bf16", "f32", 2, 8, 8 },	{ 16, 16, 8, "tf32", "f32", 4, 4, 8 },
	{ 8, 8, 4, "f64", "f64", 1, 1, 2 },	{ 16, 16, 16, "s8", "s32", 2, 2, 8 },
	{ 32, 8, 16, "u8", "s32", 4, 1, 8 },	{ 8, 32, 16, "s8", "s32", 1, 4, 8 },
	{ 8, 8, 32, "s4", "s32", 1, 1, 2 },	{ 8, 8, 32, "u4", "s32", 1, 1, 2 },
	{ 8, 8, 128, "b1", "s32", 1, 1, 2 },
};

std::string shape(const Case &c)
{
	return ".m" + std::to_string(c.m) + "n" + std::to_string(c.n) + "k" + std::to_string(c.k);
}

/* A matrix in memory; @stride elements from line to line. */
struct Stored {
	uint32_t at, stride;
	bool col;
	const Format *f;

	uint64_t bit(uint32_t r, uint32_t c) const
	{
		return 8ull * at + ((uint64_t)(col ? c : r) * stride + (col ? r : c)) * f->bits;
	}
	uint32_t bytes(uint32_t rows, uint32_t cols) const
	{
		return ((col ? cols : rows) * stride * f->bits / 8 + 63) / 64 * 64;
	}
};

std::string layout(bool col)
{
	return col ? ".col" : ".row";
}

/* Registers are 64 bits wide for f64. */
std::string declare(const Case &c)
{
	std::string b = strcmp(c.type, "f64") ? ".b32 " : ".b64 ";

	return ".reg " + b +
	       "%a<8>, %b<8>, %c<8>, %d<8>;\n.reg .b64 %pa, %pb, %pc; .reg .b32 %st;\n";
}

/* @padded: lines stand further apart than they are long. @space: "", ".global" or ".shared". */
void run_case(const Case &c, bool a_col, bool b_col, bool c_col, bool padded,
	      const std::string &space)
{
	const Format *f = format(c.type), *fd = format(c.d);
	uint32_t pad = padded ? 128 / f->bits : 0, padd = padded ? 8 : 0;
	Stored a = { 0, (a_col ? c.m : c.k) + pad, a_col, f };
	Stored b = { a.bytes(c.m, c.k), (b_col ? c.k : c.n) + pad, b_col, f };
	Stored cc = { b.at + b.bytes(c.k, c.n), (c_col ? c.m : c.n) + padd, c_col, fd };
	Stored d = { 0, cc.stride, c_col, fd };
	uint32_t total = cc.at + cc.bytes(c.m, c.n);
	bool narrow = !strcmp(c.type, "f16"), bits = !strcmp(c.type, "b1");
	std::string types =
		narrow ? std::string(".") + c.d + "." + c.d
		       : std::string(".") + c.d + "." + c.type + "." + c.type + "." + c.d;
	Matrix ma(c.m, c.k), mb(c.k, c.n), mc(c.m, c.n);
	Numbers num(c.m + c.k + a_col * 2 + b_col);
	MatrixRun run;
	std::string s = declare(c), base = "%in";

	run.in.resize(total);
	for (uint32_t i = 0; i < c.m * c.k; i++)
		put_bits(&run.in, a.bit(i / c.k, i % c.k), f->bits,
			 format_code(f, ma.v[i] = num.small(f)));
	for (uint32_t i = 0; i < c.k * c.n; i++)
		put_bits(&run.in, b.bit(i / c.n, i % c.n), f->bits,
			 format_code(f, mb.v[i] = num.small(f)));
	for (uint32_t i = 0; i < c.m * c.n; i++)
		put_bits(&run.in, cc.bit(i / c.n, i % c.n), fd->bits,
			 format_code(fd, mc.v[i] = num.small(fd)));
	if (space == ".shared") {
		base = "%sh";
		s += ".shared .align 128 .b8 s[16384]; .reg .b64 %sh, %x, %y; .reg .b32 %w;\n"
		     "mov.u64 %sh, s;\n";
		for (uint32_t i = 0; i < total; i += 128)
			s += "ld.global.b32 %w, [%lin+" + std::to_string(i) +
			     "]; mad.wide.u32 %x, %lane, 4, %sh; st.shared.b32 [%x+" +
			     std::to_string(i) + "], %w;\n";
		s += "bar.sync 0;\n";
	}
	auto load = [&](const char *which, const Stored &m, const char *type, uint32_t n) {
		s += "add.u64 %p" + std::string(which) + ", " + base + ", " + std::to_string(m.at) +
		     ";\nwmma.load." + which + ".sync.aligned" + layout(m.col) + shape(c) + space +
		     "." + type + " " + regs(which, n) + ", [%p" + which + "]" +
		     (padded ? ", " + std::to_string(m.stride) : "") + ";\n";
	};
	load("a", a, c.type, c.a_regs);
	load("b", b, c.type, c.b_regs);
	load("c", cc, c.d, c.c_regs);
	s += "wmma.mma" + std::string(bits ? ".xor.popc" : "") + ".sync.aligned" + layout(a_col) +
	     layout(b_col) + shape(c) + types + " " + regs("d", c.c_regs) + ", " +
	     regs("a", c.a_regs) + ", " + regs("b", c.b_regs) + ", " + regs("c", c.c_regs) + ";\n" +
	     "mov.u32 %st, " + std::to_string(d.stride) + ";\nwmma.store.d.sync.aligned" +
	     layout(c_col) + shape(c) + ".global." + c.d + " [%out], " + regs("d", c.c_regs) +
	     (padded ? ", %st" : "") + ";\n";
	run.text = matrix_kernel(s);
	run.out_bytes = d.bytes(c.m, c.n);
	matrix_run(run, [&](const std::vector<uint8_t> &out) {
		for (uint32_t i = 0; i < c.m; i++)
			for (uint32_t j = 0; j < c.n; j++) {
				double want = mc.at(i, j);

				for (uint32_t k = 0; k < c.k; k++)
					want += bits ? ma.at(i, k) != mb.at(k, j)
						     : ma.at(i, k) * mb.at(k, j);
				ASSERT_EQ(want, fd->value(get_bits(out, d.bit(i, j), fd->bits)))
					<< shape(c) << " " << c.type << " row " << i << ", column "
					<< j << "\n"
					<< run.text;
			}
		if (padded) { /* between the lines nothing is written */
			ASSERT_EQ(0xa5u,
				  out[d.bit(0, 0) / 8 + ((c_col ? c.m : c.n)) * fd->bits / 8]);
		}
	});
}

TEST(Wmma, EveryShapeTypeAndLayout)
{
	for (const Case &c : cases) {
		bool small = format(c.type)->bits < 8;

		for (int l = 0; l < 8 && !HasFailure(); l++) {
			if (small && (l & 3) != 2)
				continue; /* A by rows, B by columns only */
			run_case(c, l & 1, l & 2, l & 4, l & 4, l % 3 ? ".global" : "");
		}
	}
}

TEST(Wmma, SharedMemory)
{
	for (const Case &c : cases) {
		run_case(c, false, true, false, true, ".shared");
		if (HasFailure())
			return;
	}
}

/* The copies in an f16 fragment follow what a program does to each of its registers. */
TEST(Wmma, FragmentsSurviveElementwiseWork)
{
	MatrixRun run;

	run.in.resize(512);
	for (int i = 0; i < 256; i++)
		put_bits(&run.in, 16 * i, 16, format_code(format("f16"), i % 17 == 0 ? 1 : 0));
	std::string s = ".reg .b32 %a<8>, %b<8>, %d<8>, %z;\nmov.b32 %z, 0f00000000;\n"
			"wmma.load.a.sync.aligned.row.m16n16k16.global.f16 " +
			regs("a", 8) +
			", [%in];\nwmma.load.b.sync.aligned.col.m16n16k16.global.f16 " +
			regs("b", 8) + ", [%in];\n";

	for (int i = 0; i < 8; i++)
		s += "add.f16x2 %a" + std::to_string(i) + ", %a" + std::to_string(i) + ", %a" +
		     std::to_string(i) + ";\n";
	s += "wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 " + regs("d", 8) + ", " +
	     regs("a", 8) + ", " + regs("b", 8) +
	     ", {%z,%z,%z,%z,%z,%z,%z,%z};\n"
	     "wmma.store.d.sync.aligned.row.m16n16k16.global.f32 [%out], " +
	     regs("d", 8) + ";\n";
	run.text = matrix_kernel(s);
	run.out_bytes = 1024;
	matrix_run(run, [&](const std::vector<uint8_t> &out) {
		for (int i = 0; i < 256; i++)
			ASSERT_EQ(i % 17 ? 0.0 : 2.0,
				  format("f32")->value(get_bits(out, 32 * i, 32)));
	});
}

TEST(Wmma, Rounding)
{
	/* 1 + 2^-60: up and down */
	for (const char *r : { ".rn", ".rz", ".rm", ".rp" }) {
		MatrixRun run;
		double one = 1, tiny = std::ldexp(1, -60), got = 0;

		run.in.resize(64 * 8 * 3);
		memcpy(&run.in[0], &one, 8);	/* A[0][0] */
		memcpy(&run.in[256], &tiny, 8); /* B[0][0] */
		memcpy(&run.in[512], &one, 8);	/* C[0][0] */
		run.text = matrix_kernel(
			".reg .b64 %a0, %b0, %c<2>, %d<2>, %p;\nadd.u64 %p, %in, 256;\n"
			"wmma.load.a.sync.aligned.row.m8n8k4.f64 {%a0}, [%in];\n"
			"wmma.load.b.sync.aligned.col.m8n8k4.f64 {%b0}, [%p];\nadd.u64 %p, %in, "
			"512;\n"
			"wmma.load.c.sync.aligned.row.m8n8k4.f64 {%c0,%c1}, [%p];\n"
			"wmma.mma.sync.aligned.row.col.m8n8k4.f64.f64.f64.f64" +
			std::string(r) +
			" {%d0,%d1}, {%a0}, {%b0}, {%c0,%c1};\n"
			"wmma.store.d.sync.aligned.row.m8n8k4.f64 [%out], {%d0,%d1};\n");
		run.out_bytes = 512;
		matrix_run(run,
			   [&](const std::vector<uint8_t> &out) { memcpy(&got, out.data(), 8); });
		EXPECT_EQ(strcmp(r, ".rp") ? 1.0 : 1 + std::ldexp(1, -52), got) << r;
	}
}

TEST(Wmma, Faults)
{
	MatrixRun run;
	uint32_t error;
	std::string what;

	run.in.resize(64);
	run.text = matrix_kernel(".reg .b32 %a<8>; .reg .b64 %p;\nmov.u64 %p, 64;\n"
				 "wmma.load.a.sync.aligned.row.m16n16k16.global.f16 " +
				 regs("a", 8) + ", [%p];\n");
	what = matrix_fault(run, &error);
	EXPECT_EQ(700u, error) << what;
	run.text = matrix_kernel(".reg .b32 %a<8>; .reg .b64 %p;\nadd.u64 %p, %in, 1;\n"
				 "wmma.load.a.sync.aligned.row.m16n16k16.global.f16 " +
				 regs("a", 8) + ", [%p];\n");
	what = matrix_fault(run, &error);
	EXPECT_EQ(716u, error) << what;
}

TEST(Wmma, Refused)
{
	auto refuse = [](const std::string &inst) {
		return matrix_refused(matrix_kernel(".reg .b32 %r<40>;\n" + inst + "\n"));
	};
	const std::string eight = "{%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}";

	EXPECT_EQ("", refuse("wmma.load.a.sync.aligned.m16n16k16.row.f16 " + eight + ", [%in];"));
	EXPECT_NE("", refuse("wmma.load.a.sync.aligned.row.m16n8k16.f16 " + eight + ", [%in];"));
	EXPECT_NE("", refuse("wmma.load.a.sync.aligned.row.m16n16k16.f16 {%r0,%r1}, [%in];"));
	EXPECT_NE("", refuse("wmma.load.sync.aligned.row.m16n16k16.f16 " + eight + ", [%in];"));
	EXPECT_NE("", refuse("wmma.store.a.sync.aligned.row.m16n16k16.f16 [%in], " + eight + ";"));
	EXPECT_NE("", refuse("wmma.load.a.sync.aligned.col.m8n8k32.s4 {%r0}, [%in];"));
	EXPECT_NE("", refuse("wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32.rz " + eight + ", " +
			     eight + ", " + eight + ", " + eight + ";"));
}

} // namespace

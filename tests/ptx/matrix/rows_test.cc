// SPDX-License-Identifier: MIT
// ldmatrix, stmatrix, movmatrix: bytes of rows in shared memory and their places in registers.
#include <gtest/gtest.h>

#include "ptx/matrix/matrix.h"

namespace {

/* 1024 bytes of shared memory s, filled with the input; %row = s + 16 * lane. */
const char prologue[] = ".reg .b32 %row, %t<9>; .reg .b64 %rowg, %g;\n"
			".shared .align 128 .b8 s[1024];\n"
			"mov.u32 %row, s; mad.lo.u32 %row, %lane, 16, %row;\n"
			"ld.global.v4.b32 {%t0,%t1,%t2,%t3}, [%fill];\n"
			"st.shared.v4.b32 [%row], {%t0,%t1,%t2,%t3};\n"
			"ld.global.v4.b32 {%t0,%t1,%t2,%t3}, [%fill+512];\n"
			"st.shared.v4.b32 [%row+512], {%t0,%t1,%t2,%t3};\n"
			"bar.sync 0;\n"
			"cvt.u64.u32 %g, %row; cvta.shared.u64 %rowg, %g;\n";

std::string rows_kernel(const std::string &body)
{
	return matrix_kernel(".reg .b64 %fill; mad.wide.u32 %fill, %lane, 16, %in;\n" +
			     std::string(prologue) + body);
}

std::vector<uint8_t> counted(size_t n)
{
	std::vector<uint8_t> v(n);

	for (size_t i = 0; i < n; i++)
		v[i] = (uint8_t)(i * 7 + i / 256 * 3);
	return v;
}

uint32_t half_at(const std::vector<uint8_t> &v, size_t row, size_t col)
{
	return v[16 * row + 2 * col] | (uint32_t)v[16 * row + 2 * col + 1] << 8;
}

void load_halves(const std::string &words, uint32_t num, bool trans, const std::string &address)
{
	MatrixRun run;

	run.in = counted(1024);
	run.text = rows_kernel(".reg .b32 %d<4>;\nldmatrix.sync.aligned." + words + " " +
			       regs("d", num) + ", " + address + ";\n" + store_regs("d", num));
	run.out_bytes = 128 * num;
	matrix_run(run, [&](const std::vector<uint8_t> &out) {
		for (uint32_t m = 0; m < num; m++)
			for (uint32_t lane = 0; lane < 32; lane++)
				for (uint32_t h = 0; h < 2; h++) {
					uint32_t r = lane / 4, c = lane % 4 * 2 + h;
					uint32_t want = trans ? half_at(run.in, 8 * m + c, r)
							      : half_at(run.in, 8 * m + r, c);

					ASSERT_EQ(want,
						  get_bits(out, (m * 32 + lane) * 32 + 16 * h, 16))
						<< words << " matrix " << m << " lane " << lane;
				}
	});
}

TEST(Ldmatrix, HalvesInEveryOrderOfWords)
{
	for (uint32_t n : { 1u, 2u, 4u }) {
		std::string x = ".x" + std::to_string(n);

		load_halves("m8n8" + x + ".shared.b16", n, false, "[%row]");
		load_halves("m8n8" + x + ".trans.shared.b16", n, true, "[%row]");
		load_halves("m8n8" + x + ".b16", n, false, "[%rowg]");
		load_halves("m8n8" + x + ".trans.b16", n, true, "[%rowg]");
		load_halves("x" + std::to_string(n) + ".m8n8.shared.b16", n, false, "[%row]");
		load_halves("x" + std::to_string(n) + ".trans.m8n8.shared.b16", n, true, "[%row]");
		load_halves("m8n8" + x + ".shared::cta.b16", n, false, "[%row]");
	}
}

TEST(Ldmatrix, AFragmentForMma)
{
	/* an offset moves every row */
	MatrixRun run;

	run.in = counted(1024);
	run.text = rows_kernel(".reg .b32 %d<1>;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%d0}, "
			       "[%row+32];\n" +
			       store_regs("d", 1));
	run.out_bytes = 128;
	matrix_run(run, [&](const std::vector<uint8_t> &out) {
		ASSERT_EQ(0, memcmp(out.data(), run.in.data() + 32, 128));
	});
}

TEST(Ldmatrix, SquaresOfBytes)
{
	for (uint32_t n : { 1u, 2u }) {
		MatrixRun run;

		run.in = counted(1024);
		run.text = rows_kernel(".reg .b32 %d<4>;\nldmatrix.sync.aligned.m16n16.x" +
				       std::to_string(n) + ".trans.shared.b8 " + regs("d", 2 * n) +
				       ", [%row];\n" + store_regs("d", 2 * n));
		run.out_bytes = 256 * n;
		matrix_run(run, [&](const std::vector<uint8_t> &out) {
			for (uint32_t e = 0; e < 256 * n; e++) {
				uint32_t reg = e / 128, lane = e / 4 % 32;
				uint32_t r = lane / 4 + reg % 2 * 8, c = lane % 4 * 4 + e % 4;

				ASSERT_EQ(run.in[16 * (16 * (reg / 2) + c) + r], out[e]) << e;
			}
		});
	}
}

TEST(Ldmatrix, PackedElements)
{
	for (uint32_t bits : { 6u, 4u }) {
		MatrixRun run;

		run.in = counted(1024);
		run.text = rows_kernel(
			".reg .b32 %d<4>;\nldmatrix.sync.aligned.m8n16.x4.shared.b8x16." +
			std::string(bits == 6 ? "b6x16_p32 " : "b4x16_p64 ") + regs("d", 4) +
			", [%row];\n" + store_regs("d", 4));
		run.out_bytes = 512;
		matrix_run(run, [&](const std::vector<uint8_t> &out) {
			for (uint32_t e = 0; e < 512; e++) {
				uint32_t row = e / 16;

				ASSERT_EQ(get_bits(run.in, 128 * row + bits * (e % 16), bits),
					  out[e])
					<< bits << " bits, byte " << e;
			}
		});
		run.text = rows_kernel(
			".reg .b32 %d<4>;\nldmatrix.sync.aligned.m16n16.x2.trans.shared."
			"b8x16." +
			std::string(bits == 6 ? "b6x16_p32 " : "b4x16_p64 ") + regs("d", 4) +
			", [%row];\n" + store_regs("d", 4));
		matrix_run(run, [&](const std::vector<uint8_t> &out) {
			for (uint32_t e = 0; e < 512; e++) {
				uint32_t reg = e / 128, lane = e / 4 % 32;
				uint32_t r = lane / 4 + reg % 2 * 8, c = lane % 4 * 4 + e % 4;

				ASSERT_EQ(get_bits(run.in, 128 * (16 * (reg / 2) + c) + bits * r,
						   bits),
					  out[e])
					<< bits << " bits, byte " << e;
			}
		});
	}
}

TEST(Ldmatrix, FaultsAreTheLanes)
{
	MatrixRun run;
	uint32_t error;
	std::string what;

	run.in = counted(1024);
	run.text = rows_kernel(".reg .b32 %d<1>;\nadd.u32 %row, %row, 8;\n"
			       "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%d0}, [%row];\n" +
			       store_regs("d", 1));
	what = matrix_fault(run, &error);
	EXPECT_EQ(716u, error) << what;
	run.text = rows_kernel(".reg .b32 %d<1>;\nadd.u32 %row, %row, 65536;\n"
			       "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%d0}, [%row];\n" +
			       store_regs("d", 1));
	what = matrix_fault(run, &error);
	EXPECT_EQ(700u, error) << what;
}

TEST(Stmatrix, Halves)
{
	for (uint32_t n : { 1u, 2u, 4u })
		for (bool trans : { false, true }) {
			MatrixRun run;

			run.in = counted(1024);
			/* registers come from the fill; rows go to the second half of s and then out */
			run.text = rows_kernel(
				load_regs("a", n, 0) + "stmatrix.sync.aligned.m8n8.x" +
				std::to_string(n) + (trans ? ".trans" : "") +
				".shared.b16 [%row+512], " + regs("a", n) +
				";\nbar.sync 0;\nld.shared.v4.b32 {%t0,%t1,%t2,%t3}, [%row+512];\n"
				"mad.wide.u32 %g, %lane, 16, %out;\n"
				"st.global.v4.b32 [%g], {%t0,%t1,%t2,%t3};\n");
			run.out_bytes = 512;
			matrix_run(run, [&](const std::vector<uint8_t> &out) {
				for (uint32_t e = 0; e < 64 * n; e++) {
					uint32_t lane = e / 2 % 32, r = lane / 4,
						 c = lane % 4 * 2 + e % 2;
					uint32_t row = e / 64 * 8 + (trans ? c : r),
						 col = trans ? r : c;

					ASSERT_EQ(get_bits(run.in, 16 * e, 16),
						  half_at(out, row, col))
						<< e;
				}
				for (uint32_t i = 128 * n; i < 512;
				     i++) /* nothing else is written */
					ASSERT_EQ(run.in[512 + i], out[i]) << i;
			});
		}
}

TEST(Stmatrix, Bytes)
{
	MatrixRun run;

	run.in = counted(1024);
	run.text = rows_kernel(load_regs("a", 4, 0) +
			       "stmatrix.sync.aligned.m16n8.x4.trans.shared.b8 [%row], " +
			       regs("a", 4) +
			       ";\nbar.sync 0;\nld.shared.v4.b32 {%t0,%t1,%t2,%t3}, [%row];\n"
			       "mad.wide.u32 %g, %lane, 16, %out;\n"
			       "st.global.v4.b32 [%g], {%t0,%t1,%t2,%t3};\n");
	run.out_bytes = 512;
	matrix_run(run, [&](const std::vector<uint8_t> &out) {
		for (uint32_t e = 0; e < 512; e++) {
			uint32_t lane = e / 4 % 32, i = e % 4;
			uint32_t row = lane / 4 + (i >= 2 ? 8 : 0), col = lane % 4 * 2 + i % 2;

			ASSERT_EQ(run.in[e], out[16 * (8 * (e / 128) + col) + row]) << e;
		}
	});
}

TEST(Movmatrix, Transposes)
{
	MatrixRun run;

	run.in = counted(128);
	run.text = matrix_kernel(load_regs("a", 1, 0) +
				 ".reg .b32 %d<1>;\n"
				 "movmatrix.sync.aligned.m8n8.trans.b16 %d0, %a0;\n" +
				 store_regs("d", 1));
	run.out_bytes = 128;
	matrix_run(run, [&](const std::vector<uint8_t> &out) {
		for (uint32_t r = 0; r < 8; r++)
			for (uint32_t c = 0; c < 8; c++)
				ASSERT_EQ(get_bits(run.in, 16 * (8 * r + c), 16),
					  get_bits(out, 16 * (8 * c + r), 16));
	});
}

/* Lanes that come by different ways meet at the instruction. */
TEST(Movmatrix, WaitsForAllLanes)
{
	MatrixRun run;

	run.in = counted(128);
	run.text = matrix_kernel(load_regs("a", 1, 0) +
				 ".reg .b32 %d<1>, %i; .reg .pred %p;\n"
				 "mov.u32 %i, %lane;\nL: setp.eq.u32 %p, %i, 0;\n@%p bra E;\n"
				 "sub.u32 %i, %i, 1;\nbra L;\n"
				 "E: movmatrix.sync.aligned.m8n8.trans.b16 %d0, %a0;\n" +
				 store_regs("d", 1));
	run.out_bytes = 128;
	matrix_run(run, [&](const std::vector<uint8_t> &out) {
		for (uint32_t i = 0; i < 64; i++)
			ASSERT_EQ(get_bits(run.in, 16 * i, 16),
				  get_bits(out, 16 * (i % 8 * 8 + i / 8), 16));
	});
}

TEST(Rows, Refused)
{
	auto refuse = [](const std::string &inst) {
		return matrix_refused(matrix_kernel(".reg .b32 %r<9>;\n" + inst + "\n"));
	};

	EXPECT_NE(std::string::npos,
		  refuse("ldmatrix.sync.aligned.m8n8.x3.shared.b16 {%r0,%r1,%r2}, [%r4];")
			  .find("x4"));
	EXPECT_NE(std::string::npos,
		  refuse("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r0}, [%r4];")
			  .find("2 registers"));
	EXPECT_NE("", refuse("ldmatrix.sync.aligned.m16n16.x1.shared.b8 {%r0,%r1}, [%r4];"));
	EXPECT_NE("", refuse("ldmatrix.sync.aligned.m16n16.x4.trans.shared.b8 {%r0,%r1}, [%r4];"));
	EXPECT_NE("", refuse("stmatrix.sync.aligned.m16n8.x1.shared.b8 [%r4], {%r0};"));
	EXPECT_NE("", refuse("movmatrix.sync.aligned.m8n8.b16 %r0, %r1;"));
	EXPECT_NE(std::string::npos,
		  refuse("tcgen05.wait::ld.sync.aligned;")
			  .find("tcgen05.wait::ld.sync.aligned' needs tensor memory"));
}

} // namespace

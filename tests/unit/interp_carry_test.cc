// SPDX-License-Identifier: MIT
// Operations with four operands or a carry give what rt_eval() gives, bit by bit: all lanes and some,
// on every instruction set.
#include "simt_fixture.h"

extern "C" {
#include "cuse_dev/backend/soft/rt/rt.h"
}

namespace {
struct Row {
	ir_op op;
	ir_type type;
	const char *text;
	uint32_t bits;
	int ns;
	bool carry;
};

const Row rows[] = {
	{ IR_OP_ADDC, IR_U32, "addc u32", 32, 2, true },
	{ IR_OP_ADDC, IR_S64, "addc s64", 64, 2, true },
	{ IR_OP_SUBC, IR_S32, "subc s32", 32, 2, true },
	{ IR_OP_SUBC, IR_U64, "subc u64", 64, 2, true },
	{ IR_OP_MADC_LO, IR_U32, "madc.lo u32", 32, 3, true },
	{ IR_OP_MADC_HI, IR_U32, "madc.hi u32", 32, 3, true },
	{ IR_OP_MADC_HI, IR_S32, "madc.hi s32", 32, 3, true },
	{ IR_OP_MADC_LO, IR_S64, "madc.lo s64", 64, 3, true },
	{ IR_OP_MADC_HI, IR_U64, "madc.hi u64", 64, 3, true },
	{ IR_OP_MADC_HI, IR_S64, "madc.hi s64", 64, 3, true },
	{ IR_OP_BFI, IR_U32, "bfi u32", 32, 4, false },
};

uint64_t operand(uint64_t *state, int k)
{
	static const uint64_t edges[] = { 0,  1,  ~0ull, 0x80000000u, 0x7fffffffu,
					  31, 32, 33,	 255,	      256 };

	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (*state >> 60) < 8 || k > 1 ? edges[(*state >> 33) % 10] : *state ^ *state >> 29;
}
} // namespace

class InterpCarry : public Simt {
protected:
	/* Lane i: operands at 32 * i, result at 1024 + 16 * i, carry out behind it. */
	std::string text(const Row &r, bool guarded)
	{
		std::string w = r.bits == 64 ? "u64" : "u32", s;

		s = "unit params=8 depth=1 func \"k\" regs u32 u64 pred pred pred u64 " + w + " " +
		    w + " " + w + " " + w + " " + w +
		    " u32 u64\nblock\nsreg u32 sub=%tid.x %0 =\nld u64 u64 space=param %1 = 0\n"
		    "mad.wide u32 %5 = %0, 16, %1\nmad.wide u32 %1 = %0, 32, %1\n"
		    "and u32 %11 = %0, 5\nsetp u32 cmp=eq %2, _ = %11, 1, _\n";
		for (int k = 0; k < 4; k++)
			s += "ld " + w + " " + w + " space=global off=" + std::to_string(8 * k) +
			     " %" + std::to_string(6 + k) + " = %1\n";
		s += "ld u8 u32 space=global off=24 %11 = %1\nand u32 %11 = %11, 1\n"
		     "setp u32 cmp=ne %3, _ = %11, 0, _\nmov " +
		     w + " %10 = 0\nsetp u32 cmp=ne %4, _ = %0, %0, _\n";
		s += (guarded ? "@%2 " : "") + std::string(r.text) +
		     (r.carry ? " %10, %4 = " : " %10 = ");
		for (int k = 0; k < r.ns; k++)
			s += (k ? ", %" : "%") + std::to_string(6 + k);
		s += r.carry ? ", %3\n" : "\n";
		return s + "st " + w +
		       " space=global off=1024 %5, %10\nselp u64 %12 = 1, 0, %4\n"
		       "st u64 space=global off=1032 %5, %12\nexit\n";
	}

	void check(const Row &r, bool guarded)
	{
		uint64_t *cells = (uint64_t *)kWindow, state = 7;
		uint64_t mask = r.bits == 64 ? ~0ull : 0xffffffffu;

		load(text(r, guarded));
		for (int round = 0; round < 40; round++) {
			for (int i = 0; i < 128; i++)
				cells[i] = operand(&state, i & 3);
			memset(cells + 128, 0, 512);
			ASSERT_EQ(0u, run(kWindow)) << fault.what;
			for (int i = 0; i < 32; i++) {
				struct rt_value src[4] = {}, dst[2] = {};
				struct ir_inst in = {};
				bool runs = !guarded || (i & 5) == 1;

				in.op = r.op;
				in.type = r.type;
				in.nd = r.carry ? 2 : 1;
				in.ns = (uint8_t)(r.ns + r.carry);
				for (int k = 0; k < r.ns; k++)
					src[k].lo = cells[4 * i + k] & mask;
				if (r.carry)
					src[r.ns].lo = cells[4 * i + 3] & 1;
				ASSERT_EQ(0, rt_eval(&in, src, dst));
				ASSERT_EQ(runs ? dst[0].lo & mask : 0, cells[128 + 2 * i])
					<< r.text << " lane " << i << std::hex << " of "
					<< src[0].lo << ", " << src[1].lo << ", " << src[2].lo
					<< ", " << src[3].lo;
				ASSERT_EQ(runs && r.carry ? dst[1].lo : 0, cells[129 + 2 * i])
					<< r.text << " carry of lane " << i << std::hex << " of "
					<< src[0].lo << ", " << src[1].lo << ", " << src[2].lo
					<< ", " << src[3].lo;
			}
		}
	}

	void check_all()
	{
		for (const Row &r : rows)
			for (int guarded = 0; guarded < 2 && !HasFatalFailure(); guarded++)
				check(r, guarded);
	}
};

TEST_F(InterpCarry, Sse2)
{
	handlers = interp_vec_sse2;
	check_all();
}

TEST_F(InterpCarry, Avx2)
{
	if (!__builtin_cpu_supports("avx2"))
		GTEST_SKIP() << "this CPU has no AVX2";
	handlers = interp_vec_avx2;
	check_all();
}

TEST_F(InterpCarry, Avx512)
{
	if (interp_vec_handlers() != interp_vec_avx512)
		GTEST_SKIP() << "this CPU has no AVX-512";
	handlers = interp_vec_avx512;
	check_all();
}

// SPDX-License-Identifier: MIT
// Every vector handler gives what rt_eval() gives, bit by bit: random and special operands, register
// and immediate forms, all lanes and some.
#include "simt_fixture.h"

#include <cstdio>

extern "C" {
#include "cuse_dev/backend/soft/rt/rt.h"
}

namespace {
struct Row {
	const char *name;
	ir_op op;
	ir_type type, type2;
	ir_cmp cmp;
	uint32_t mods;
	int ns;
	uint32_t dbits, bits[3];
};

constexpr uint32_t kFtz = 16, kSat = 32, kInt = 512;
#define M_SAT	  kSat
#define M_INT	  kInt
#define M_FTZ	  kFtz
#define M_RZI	  (IR_RZ | kInt)
#define M_APPROX  IR_APPROX
#define M_SUB(n)  ((uint32_t)(n) << 10)
#define NONE_TYPE IR_NONE
#define BITSOF(T) (uint32_t)(sizeof(T) * 8)

/* clang-format off */
const Row rows[] = {
#define UN(name, OP, TYPE, TYPE2, MODS, D, A, expr) \
	{ #name, IR_OP_##OP, IR_##TYPE, IR_##TYPE2, IR_EQ, MODS, 1, BITSOF(D), { BITSOF(A), 0, 0 } },
#define BIN2(name, OP, TYPE, TYPE2, MODS, D, A, B, COMM, expr) \
	{ #name, IR_OP_##OP, IR_##TYPE, IR_##TYPE2, IR_EQ, MODS, 2, BITSOF(D), { BITSOF(A), BITSOF(B), 0 } },
#define TER2(name, OP, TYPE, TYPE2, MODS, D, A, B, C, expr) \
	{ #name, IR_OP_##OP, IR_##TYPE, IR_##TYPE2, IR_EQ, MODS, 3, BITSOF(D), { BITSOF(A), BITSOF(B), BITSOF(C) } },
#define CMP(name, TYPE, C, A, expr) \
	{ #name, IR_OP_SETP, IR_##TYPE, IR_NONE, IR_##C, 0, 2, 1, { BITSOF(A), BITSOF(A), 0 } },
#define CMPZ(name, TYPE, C, A, expr) \
	{ #name, IR_OP_SETP, IR_##TYPE, IR_NONE, IR_##C, kFtz, 2, 1, { BITSOF(A), BITSOF(A), 0 } },
#define UNV(name, OP, TYPE, MODS, T, call) \
	{ #name, IR_OP_##OP, IR_##TYPE, IR_NONE, IR_EQ, MODS, 1, BITSOF(T), { BITSOF(T), 0, 0 } },
#define BINV(name, OP, TYPE, MODS, T, call) \
	{ #name, IR_OP_##OP, IR_##TYPE, IR_NONE, IR_EQ, MODS, 2, BITSOF(T), { BITSOF(T), BITSOF(T), 0 } },
#include "cuse_dev/backend/soft/interp/fast.def"
};
/* clang-format on */

uint64_t rng_state = 88172645463325252ull;

uint64_t rng()
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

/* Often something at the edge of a format. */
uint64_t operand(uint32_t bits)
{
	static const uint64_t edges[] = {
		0,
		1,
		~0ull,
		0x80000000u,
		0x7fffffffu,
		0x7f800000u,
		0xff800000u,
		0x7fc00000u,
		0x7f800001u,
		0x00000001u,
		0x80000001u,
		0x007fffffu,
		0x3f800000u,
		0xbf800000u,
		0x4f000000u,
		0x5f000000u,
		0xcf000000u,
		0x7ff0000000000000ull,
		0xfff0000000000000ull,
		0x7ff8000000000001ull,
		0x3ff0000000000000ull,
		0x8000000000000000ull,
		0x43e0000000000000ull,
		31,
		32,
		33,
		63,
		64,
		0x7c00,
		0xfc00,
		0x7e00,
		0x0001,
		0x8000,
		0x3c00,
		0x7bff,
		0x00800000u,
		0x0d800000u,
	};
	uint64_t v = rng();

	switch (rng() % 4) {
	case 0:
		v = edges[rng() % (sizeof(edges) / sizeof(edges[0]))];
		break;
	case 1: /* a float of moderate size */
		v = bits == 32 ? (v & 0x83ffffffu) | 0x3c000000u
			       : (v & 0x803fffffffffffffull) | 0x3fc0000000000000ull;
		break;
	default:
		break;
	}
	return bits == 64 ? v : v & ((1ull << bits) - 1);
}

const char *round_name(uint32_t r)
{
	static const char *const names[] = { "rn", "rz", "rm", "rp", "rna", "rs", "approx" };

	return names[r];
}

const char *cmp_name(ir_cmp c)
{
	static const char *const names[] = { "eq",  "ne",  "lt",  "le",	 "gt",	"ge",  "equ",
					     "neu", "ltu", "leu", "gtu", "geu", "num", "nan" };

	return names[c];
}

std::string width(uint32_t bits)
{
	return bits == 1 ? "pred" : "u" + std::to_string(bits);
}
} // namespace

class InterpFast : public Simt {
protected:
	/* Kernel: lane i takes its operands from 64-bit cells at 8 * (3 * i + k), result to cell 96 + i. */
	std::string text(const Row &r, int imm_at, uint64_t imm, bool guarded)
	{
		std::string s = "unit params=8 depth=1 func \"k\" regs u32 u64 u64 pred u32 u64 " +
				width(r.dbits),
			    op;

		for (int k = 0; k < 3; k++)
			s += " " + width(k < r.ns ? r.bits[k] : 32);
		s += "\nblock\nsreg u32 sub=%tid.x %0 =\nld u64 u64 space=param %1 = 0\n"
		     "mad.wide u32 %2 = %0, 24, %1\nmad.wide u32 %1 = %0, 8, %1\n"
		     "and u32 %4 = %0, 5\nsetp u32 cmp=eq %3, _ = %4, 1, _\n";
		for (int k = 0; k < r.ns; k++)
			s += "ld u" + std::to_string(r.bits[k]) + " u" + std::to_string(r.bits[k]) +
			     " space=global off=" + std::to_string(8 * k) + " %" +
			     std::to_string(7 + k) + " = %2\n";
		if (r.dbits == 1)
			s += "setp u32 cmp=ne %6, _ = %0, %0, _\n";
		else
			s += "mov " + width(r.dbits) + " %6 = 0\n";
		op = std::string(ir_op_text(r.op)) + " " + ir_type_text(r.type) + " ";
		if (r.type2)
			op += std::string(ir_type_text(r.type2)) + " ";
		if (r.mods & 15)
			op += std::string("round=") + round_name(r.mods & 15) + " ";
		if (r.op == IR_OP_SETP)
			op += std::string("cmp=") + cmp_name(r.cmp) + " ";
		if (r.mods >> 10)
			op += "sub=" + std::to_string(r.mods >> 10) + " ";
		if (r.mods & kFtz)
			op += "ftz ";
		if (r.mods & kSat)
			op += "sat ";
		if (r.mods & kInt)
			op += "int ";
		op += r.op == IR_OP_SETP ? "%6, _ = " : "%6 = ";
		for (int k = 0; k < r.ns; k++) {
			op += k ? ", " : "";
			op += k == imm_at ? std::to_string(imm) : "%" + std::to_string(7 + k);
		}
		if (r.op == IR_OP_SETP)
			op += ", _";
		s += (guarded ? "@%3 " : "") + op + "\n";
		if (r.dbits == 1)
			s += "selp u64 %5 = 1, 0, %6\n";
		else if (r.dbits == 64)
			s += "mov u64 %5 = %6\n";
		else
			s += "cvt u64 u" + std::to_string(r.dbits) + " %5 = %6\n";
		return s + "st u64 space=global off=768 %1, %5\nexit\n";
	}

	bool check(const Row &r, int imm_at, bool guarded)
	{
		uint64_t *cells = (uint64_t *)kWindow,
			 imm = imm_at >= 0 ? operand(r.bits[imm_at]) : 0;
		std::string kernel = text(r, imm_at, imm, guarded);

		load(kernel);
		for (int round = 0; round < 8; round++) {
			for (int i = 0; i < 32; i++)
				for (int k = 0; k < 3; k++)
					cells[3 * i + k] = k < r.ns ? operand(r.bits[k]) : 0;
			if (run(kWindow) != 0) {
				ADD_FAILURE() << r.name << ": " << fault.what << "\n" << kernel;
				return false;
			}
			for (int i = 0; i < 32; i++) {
				struct rt_value src[3] = {}, dst[2] = {};
				struct ir_inst in = {};
				uint64_t want, mask = r.dbits == 64 ? ~0ull : (1ull << r.dbits) - 1;

				in.op = r.op;
				in.type = r.type;
				in.type2 = r.type2;
				in.cmp = r.cmp;
				in.round = r.mods & 15;
				in.ftz = r.mods & kFtz;
				in.sat = r.mods & kSat;
				in.integer_round = r.mods & kInt;
				in.sub = (uint8_t)(r.mods >> 10);
				in.nd = r.op == IR_OP_SETP ? 2 : 1;
				in.ns = (uint8_t)(r.op == IR_OP_SETP ? 3 : r.ns);
				for (int k = 0; k < r.ns; k++)
					src[k].lo = k == imm_at ? imm : cells[3 * i + k];
				if (rt_eval(&in, src, dst) != 0) {
					ADD_FAILURE() << r.name << ": unknown to rt_eval()";
					return false;
				}
				want = guarded && (i & 5) != 1 ? 0 : dst[0].lo & mask;
				if (want != cells[96 + i]) {
					ADD_FAILURE()
						<< std::hex << r.name << (guarded ? " guarded" : "")
						<< " of " << src[0].lo << ", " << src[1].lo << ", "
						<< src[2].lo << ": " << cells[96 + i] << ", not "
						<< want;
					return false;
				}
			}
		}
		return true;
	}

	void check_all()
	{
		for (const Row &r : rows) {
			bool ok = check(r, -1, false) && check(r, -1, true);

			for (int k = 0; ok && k < r.ns && r.ns > 1; k++)
				ok = check(r, k, k & 1);
		}
	}
};

TEST_F(InterpFast, Sse2EqualsReference)
{
	handlers = interp_vec_sse2;
	check_all();
}

TEST_F(InterpFast, Avx2EqualsReference)
{
	if (!__builtin_cpu_supports("avx2"))
		GTEST_SKIP() << "this CPU has no AVX2";
	handlers = interp_vec_avx2;
	check_all();
}

TEST_F(InterpFast, Avx512EqualsReference)
{
	if (interp_vec_handlers() != interp_vec_avx512)
		GTEST_SKIP() << "this CPU has no AVX-512";
	handlers = interp_vec_avx512;
	check_all();
}

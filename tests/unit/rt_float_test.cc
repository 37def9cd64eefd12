/* SPDX-License-Identifier: MIT */
/*
 * Float arithmetic: every rounding mode against the CPU's own, f16 against exact sums in double,
 * and the rules of ftz, sat, relu, NaN and signed zero.
 */
#include <cfenv>

#include "rt_eval.hh"

namespace {

const int kModes[4][2] = { { IR_RN, FE_TONEAREST },
			   { IR_RZ, FE_TOWARDZERO },
			   { IR_RM, FE_DOWNWARD },
			   { IR_RP, FE_UPWARD } };

template <class T> T Native(ir_op op, T x, T y, T z)
{
	volatile T a = x, b = y, c = z, r = 0;

	switch (op) {
	case IR_OP_ADD:
		r = a + b;
		break;
	case IR_OP_SUB:
		r = a - b;
		break;
	case IR_OP_MUL:
		r = a * b;
		break;
	case IR_OP_DIV:
		r = a / b;
		break;
	case IR_OP_RCP:
		r = (T)1 / a;
		break;
	case IR_OP_SQRT:
		r = std::sqrt(a);
		break;
	default:
		r = std::fma(a, b, c);
		break;
	}
	return r;
}

uint32_t Operands(ir_op op)
{
	return op == IR_OP_SQRT || op == IR_OP_RCP ? 1 : op == IR_OP_FMA ? 3 : 2;
}

class RoundingModes : public ::testing::TestWithParam<ir_op> {};

TEST_P(RoundingModes, F32AsTheCpu)
{
	Rng g(GetParam());

	for (int i = 0; i < 60000; i++) {
		auto *mode = kModes[i & 3];
		std::vector<uint64_t> s = { RandomF32(g), RandomF32(g), RandomF32(g) };

		fesetround(mode[1]);
		float want = Native<float>(GetParam(), ToF(s[0]), ToF(s[1]), ToF(s[2]));
		fesetround(FE_TONEAREST);
		std::vector<uint64_t> used(s.begin(), s.begin() + Operands(GetParam()));
		uint64_t got = Eval(Inst(GetParam(), IR_F32).Round(mode[0]), used);

		if (std::isnan(want))
			ASSERT_EQ(0x7fffffffu, got);
		else
			ASSERT_EQ(F(want), got) << std::hex << s[0] << " " << s[1] << " " << s[2]
						<< " mode " << mode[0];
	}
}

TEST_P(RoundingModes, F64AsTheCpu)
{
	Rng g(GetParam() + 100);

	for (int i = 0; i < 60000; i++) {
		auto *mode = kModes[i & 3];
		std::vector<uint64_t> s = { RandomF64(g), RandomF64(g), RandomF64(g) };

		fesetround(mode[1]);
		double want = Native<double>(GetParam(), ToD(s[0]), ToD(s[1]), ToD(s[2]));
		fesetround(FE_TONEAREST);
		std::vector<uint64_t> used(s.begin(), s.begin() + Operands(GetParam()));
		uint64_t got = Eval(Inst(GetParam(), IR_F64).Round(mode[0]), used);

		if (std::isnan(want))
			ASSERT_TRUE(std::isnan(ToD(got)));
		else
			ASSERT_EQ(D(want), got) << std::hex << s[0] << " " << s[1] << " " << s[2]
						<< " mode " << mode[0];
	}
}

INSTANTIATE_TEST_SUITE_P(Ops, RoundingModes,
			 ::testing::Values(IR_OP_ADD, IR_OP_SUB, IR_OP_MUL, IR_OP_DIV, IR_OP_RCP,
					   IR_OP_SQRT, IR_OP_FMA));

TEST(RtFloat, CallersModeDoesNotMatter)
{
	Inst add(IR_OP_ADD, IR_F32), ex2(IR_OP_EX2, IR_F32);
	uint64_t a = Eval(add, { F(1), F(1e-9f) }), b = Eval(ex2.Round(IR_APPROX), { F(0.3f) });

	fesetround(FE_UPWARD);
	EXPECT_EQ(a, Eval(add, { F(1), F(1e-9f) }));
	EXPECT_EQ(b, Eval(ex2, { F(0.3f) }));
	EXPECT_EQ(FE_UPWARD, fegetround()) << "the caller's mode is kept";
	fesetround(FE_TONEAREST);
}

/* Sums and products of halves are exact in double; one conversion then rounds. */
TEST(RtFloat, HalfSumsAndProducts)
{
	Rng g(3);

	for (int i = 0; i < 200000; i++) {
		uint16_t a = (uint16_t)g(), b = (uint16_t)g();
		double x = rt_f16_to_f32(a), y = rt_f16_to_f32(b);
		int mode = i & 3;
		uint64_t sum = Eval(Inst(IR_OP_ADD, IR_F16).Round(mode), { a, b });
		uint64_t product = Eval(Inst(IR_OP_MUL, IR_F16).Round(mode), { a, b });
		Inst cvt = Inst(IR_OP_CVT, IR_F16).From(IR_F64).Round(mode);

		if (!(x + y == 0 && mode == IR_RM)) {
			ASSERT_EQ(Eval(cvt, { D(x + y) }), sum) << std::hex << a << " " << b;
		}
		ASSERT_EQ(Eval(cvt, { D(x * y) }), product) << std::hex << a << " " << b;
	}
}

TEST(RtFloat, PackedIsTwoScalars)
{
	Rng g(4);

	for (int i = 0; i < 20000; i++) {
		uint32_t a = (uint32_t)g(), b = (uint32_t)g(), c = (uint32_t)g();

		for (auto t : { IR_F16, IR_BF16 }) {
			ir_type packed = t == IR_F16 ? IR_F16X2 : IR_BF16X2;
			uint64_t lo =
				Eval(Inst(IR_OP_FMA, t), { a & 0xffff, b & 0xffff, c & 0xffff });
			uint64_t hi = Eval(Inst(IR_OP_FMA, t), { a >> 16, b >> 16, c >> 16 });

			ASSERT_EQ(hi << 16 | lo, Eval(Inst(IR_OP_FMA, packed), { a, b, c }));
		}
	}
	EXPECT_EQ(F(5) << 32 | F(3),
		  Eval(Inst(IR_OP_ADD, IR_F32X2), { F(4) << 32 | F(1), F(1) << 32 | F(2) }));
}

TEST(RtFloat, FlushToZero)
{
	uint64_t sub = 0x00400000, nsub = 0x80400000, min = 0x00800000;

	EXPECT_EQ(sub, Eval(Inst(IR_OP_ADD, IR_F32), { sub, 0 }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_ADD, IR_F32).Ftz(), { sub, 0 }));
	EXPECT_EQ(0x80000000u, Eval(Inst(IR_OP_MUL, IR_F32).Ftz(), { nsub, F(1) }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_MUL, IR_F32).Ftz(), { min, F(0.5f) })) << "result flushed";
	EXPECT_EQ(min, Eval(Inst(IR_OP_MUL, IR_F32).Ftz(), { min, F(1) }));
	EXPECT_EQ(0x80000000u, Eval(Inst(IR_OP_NEG, IR_F32).Ftz(), { sub }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_ADD, IR_F16).Ftz(), { 0x0200, 0 }));
	EXPECT_EQ(F(INFINITY), Eval(Inst(IR_OP_RCP, IR_F32).Round(IR_RN).Ftz(), { sub }));
	EXPECT_EQ(0x7fffffffu, Eval(Inst(IR_OP_MUL, IR_F32).Ftz(), { sub, F(INFINITY) }))
		<< "0 * inf";
}

TEST(RtFloat, Saturate)
{
	Inst add = Inst(IR_OP_ADD, IR_F32).Sat();

	EXPECT_EQ(F(1), Eval(add, { F(3), F(4) }));
	EXPECT_EQ(F(0), Eval(add, { F(-3), F(1) }));
	EXPECT_EQ(F(0.75f), Eval(add, { F(0.5f), F(0.25f) }));
	EXPECT_EQ(0u, Eval(add, { F(NAN), F(1) })) << "NaN becomes +0";
	EXPECT_EQ(0u, Eval(add, { F(-0.0f), F(-0.0f) })) << "-0 becomes +0";
	EXPECT_EQ(F(1), Eval(add, { F(INFINITY), F(1) }));
	EXPECT_EQ(0x3c00u, Eval(Inst(IR_OP_FMA, IR_F16).Sat(), { 0x4000, 0x4000, 0 }));
}

TEST(RtFloat, Relu)
{
	Inst fma = Inst(IR_OP_FMA, IR_F16).Relu();

	EXPECT_EQ(0u, Eval(fma, { 0xbc00, 0x3c00, 0 })) << "-1";
	EXPECT_EQ(0x3c00u, Eval(fma, { 0x3c00, 0x3c00, 0 }));
	EXPECT_EQ(0x7fffu, Eval(fma, { 0x7e01, 0x3c00, 0 })) << "NaN is canonical";
}

TEST(RtFloat, MinMax)
{
	Inst mn(IR_OP_MIN, IR_F32), mx(IR_OP_MAX, IR_F32);
	uint64_t nan = F(NAN), nz = F(-0.0f), pz = F(0.0f);

	EXPECT_EQ(F(1), Eval(mn, { F(1), F(2) }));
	EXPECT_EQ(F(2), Eval(mx, { F(1), F(2) }));
	EXPECT_EQ(F(2), Eval(mn, { nan, F(2) }));
	EXPECT_EQ(F(2), Eval(mx, { F(2), nan }));
	EXPECT_EQ(0x7fffffffu, Eval(mn, { nan, nan }));
	EXPECT_EQ(nz, Eval(mn, { pz, nz })) << "+0 > -0";
	EXPECT_EQ(pz, Eval(mx, { nz, pz }));
	EXPECT_EQ(0x7fffffffu, Eval(Inst(IR_OP_MIN, IR_F32).Nan(), { nan, F(2) }));
	EXPECT_EQ(F(-1), Eval(Inst(IR_OP_MIN, IR_F32).Xorsign(), { F(-1), F(2) }));
	EXPECT_EQ(F(3), Eval(Inst(IR_OP_MAX, IR_F32).Xorsign(), { F(-3), F(-2) }));
	EXPECT_EQ(F(-3), Eval(Inst(IR_OP_MIN3, IR_F32), { F(1), F(-3), F(2) }));
	EXPECT_EQ(F(2), Eval(Inst(IR_OP_MAX3, IR_F32), { F(1), nan, F(2) }));
	EXPECT_EQ(0x7fffu, Eval(Inst(IR_OP_MAX, IR_BF16).Nan(), { 0x7fc1, 0x3f80 }));
	EXPECT_EQ(D(-2), Eval(Inst(IR_OP_MIN, IR_F64), { D(-2), D(5) }));
}

TEST(RtFloat, SignOperations)
{
	EXPECT_EQ(F(2), Eval(Inst(IR_OP_ABS, IR_F32), { F(-2) }));
	EXPECT_EQ(D(-2), Eval(Inst(IR_OP_NEG, IR_F64), { D(2) }));
	EXPECT_EQ(0xbc00u, Eval(Inst(IR_OP_NEG, IR_F16), { 0x3c00 }));
	EXPECT_EQ(F(-3), Eval(Inst(IR_OP_COPYSIGN, IR_F32), { F(-1), F(3) }));
	EXPECT_EQ(D(3), Eval(Inst(IR_OP_COPYSIGN, IR_F64), { D(1), D(-3) }));
	EXPECT_EQ(0x80000000u, Eval(Inst(IR_OP_ADD, IR_F32).Round(IR_RM), { F(1), F(-1) }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_ADD, IR_F32).Round(IR_RP), { F(1), F(-1) }));
}

TEST(RtFloat, Testp)
{
	const uint64_t v[] = { F(1), F(0), F(INFINITY), F(NAN), 0x00000001 };
	/*                        finite infinite number notanumber normal subnormal */
	const char *want[] = { "101010", "101000", "011000", "000100", "101001" };

	for (int i = 0; i < 5; i++) {
		for (int sub = 0; sub < 6; sub++)
			EXPECT_EQ((uint64_t)(want[i][sub] - '0'),
				  Eval(Inst(IR_OP_TESTP, IR_F32).Sub(sub), { v[i] }))
				<< i << " " << sub;
	}
}

TEST(RtFloat, NanOfDoublesKeepsItsPayload)
{
	uint64_t nan = 0x7ff8000000001234ull;

	EXPECT_EQ(nan, Eval(Inst(IR_OP_ADD, IR_F64), { nan, D(1) }));
	EXPECT_EQ(nan, Eval(Inst(IR_OP_FMA, IR_F64), { D(0), D(INFINITY), nan }));
}

TEST(RtFloat, GrossF64Approximations)
{
	Rng g(9);

	for (int i = 0; i < 20000; i++) {
		uint64_t a = (g() & 0x000fffffffffffffull) | (600 + g() % 800) << 52;
		uint64_t r = Eval(Inst(IR_OP_RCP, IR_F64).Round(IR_APPROX).Ftz(), { a });
		uint64_t q = Eval(Inst(IR_OP_RSQRT, IR_F64).Round(IR_APPROX).Ftz(), { a });

		ASSERT_EQ(0u, r & 0xffffffff);
		ASSERT_EQ(0u, q & 0xffffffff);
		ASSERT_NEAR(1.0, ToD(r) * ToD(a), 0x1p-19);
		ASSERT_NEAR(1.0, ToD(q) * ToD(q) * ToD(a), 0x1p-18);
	}
	EXPECT_EQ(D(INFINITY), Eval(Inst(IR_OP_RSQRT, IR_F64).Round(IR_APPROX), { 0 }));
	EXPECT_EQ(D(0), Eval(Inst(IR_OP_RCP, IR_F64).Round(IR_APPROX).Ftz(), { D(INFINITY) }));
}

TEST(RtFloat, WhatDoesNotExistIsRefused)
{
	EXPECT_EQ(-ENOTSUP, EvalAll(Inst(IR_OP_ADD, IR_TF32), { 0, 0 }).r);
	EXPECT_EQ(-ENOTSUP, EvalAll(Inst(IR_OP_ADD, IR_E4M3X2), { 0, 0 }).r);
	EXPECT_EQ(-ENOTSUP, EvalAll(Inst(IR_OP_SIN, IR_F64).Round(IR_APPROX), { 0 }).r);
	EXPECT_EQ(-ENOTSUP, EvalAll(Inst(IR_OP_REM, IR_F32), { 0, 0 }).r);
	EXPECT_EQ(-ENOTSUP, EvalAll(Inst(IR_OP_LD, IR_F32), { 0 }).r);
	EXPECT_EQ(-ENOTSUP, EvalAll(Inst(IR_OP_ADD, IR_PRED), { 0, 0 }).r);
}

} // namespace

/* SPDX-License-Identifier: MIT */
/*
 * The .approx functions: error bounds and special values of the PTX manual, sampled over all floats;
 * vector and scalar forms agree bit by bit.
 */
#include "rt_eval.hh"

extern "C" {
#include "cuse_dev/backend/soft/rt/vec.h"
}

namespace {

typedef void (*vec_fn)(float *, const float *, bool);

void Tanh(float *d, const float *a, bool)
{
	rt_vec_tanh_f32(d, a);
}

const struct {
	ir_op op;
	vec_fn vec;
} kFunctions[] = {
	{ IR_OP_EX2, rt_vec_ex2_f32 }, { IR_OP_LG2, rt_vec_lg2_f32 },
	{ IR_OP_SIN, rt_vec_sin_f32 }, { IR_OP_COS, rt_vec_cos_f32 },
	{ IR_OP_RCP, rt_vec_rcp_f32 }, { IR_OP_SQRT, rt_vec_sqrt_f32 },
	{ IR_OP_TANH, Tanh },	       { IR_OP_RSQRT, rt_vec_rsqrt_f32 },
};

/* Every stride-th float, 32 at a time. */
template <class Check> void Sweep(vec_fn fn, bool ftz, uint64_t stride, Check check)
{
	float a[RT_LANES], d[RT_LANES];

	for (uint64_t u = 0; u < 1ull << 32; u += stride * RT_LANES) {
		for (int i = 0; i < RT_LANES; i++)
			a[i] = rt_f32((uint32_t)(u + stride * (uint64_t)i));
		fn(d, a, ftz);
		for (int i = 0; i < RT_LANES; i++)
			check(a[i], d[i]);
		if (::testing::Test::HasFatalFailure())
			return;
	}
}

/* Distance in units of the last place of the exact result. */
double Ulps(float got, double want)
{
	int e;

	if (std::isinf(got) || std::fabs(want) > 3.4028235677973366e38)
		return std::isinf(got) && std::fabs(want) > 3.4028233e38 ? 0 : 1e9;
	std::frexp(want, &e);
	return std::fabs(got - want) / std::ldexp(1.0, (e < -125 ? -125 : e) - 24);
}

TEST(RtApprox, Ex2WithinTwoUlp)
{
	double worst = 0;

	Sweep(rt_vec_ex2_f32, false, 997, [&](float x, float y) {
		if (std::isnan(x)) {
			ASSERT_TRUE(std::isnan(y));
			return;
		}
		worst = std::fmax(worst, Ulps(y, std::exp2((double)x)));
		ASSERT_LT(worst, 2.0) << x << " " << y;
	});
	RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(RtApprox, Lg2WithinBounds)
{
	Sweep(rt_vec_lg2_f32, false, 997, [&](float x, float y) {
		if (!(x > 0) || std::isinf(x))
			return;
		double want = std::log2((double)x), error = std::fabs(y - want);

		ASSERT_LE(error, x > 0.5f && x < 2 ? 0x1p-22 : std::fabs(want) * 0x1p-22)
			<< x << " " << y;
	});
}

TEST(RtApprox, Lg2NearOneKeepsItsDigits)
{
	for (int i = -2000; i <= 2000; i++) {
		float x = 1.0f + (float)i * 0x1p-22f, y;
		float a[RT_LANES] = { x }, d[RT_LANES];

		rt_vec_lg2_f32(d, a, false);
		y = d[0];
		ASSERT_LE(std::fabs(y - std::log2((double)x)),
			  std::fabs(std::log2((double)x)) * 0x1p-21)
			<< x;
	}
}

TEST(RtApprox, SinCosWithinBounds)
{
	for (bool cosine : { false, true }) {
		Sweep(cosine ? rt_vec_cos_f32 : rt_vec_sin_f32, false, 997, [&](float x, float y) {
			if (!std::isfinite(x)) {
				ASSERT_TRUE(std::isnan(y));
				return;
			}
			ASSERT_LE(std::fabs(y), 1.0f) << x;
			if (std::fabs(x) > 1e6f)
				return;
			double want = cosine ? std::cos((double)x) : std::sin((double)x);
			ASSERT_LE(std::fabs(y - want), 0x1p-20) << x;
			if (std::fabs(x) <= 6.2831855f) {
				ASSERT_LE(std::fabs(y - want), 0x1p-20 * 0.7071) << x;
			}
		});
	}
}

TEST(RtApprox, RootsAndReciprocals)
{
	Sweep(rt_vec_rcp_f32, false, 1999, [&](float x, float y) {
		if (x != 0 && std::isfinite(x)) {
			ASSERT_LE(Ulps(y, 1.0 / (double)x), 1.0) << x;
		}
	});
	Sweep(rt_vec_sqrt_f32, false, 1999, [&](float x, float y) {
		if (x > 0 && std::isfinite(x)) {
			double want = std::sqrt((double)x);
			ASSERT_LE(std::fabs(y - want), want * 0x1p-23) << x;
		}
	});
	Sweep(rt_vec_rsqrt_f32, false, 1999, [&](float x, float y) {
		if (x > 0 && std::isfinite(x)) {
			double want = 1.0 / std::sqrt((double)x);
			ASSERT_LE(std::fabs(y - want), want * 0x1.1p-23) << x;
		}
	});
}

TEST(RtApprox, TanhWithinBound)
{
	Sweep(Tanh, false, 997, [&](float x, float y) {
		if (std::isnan(x)) {
			ASSERT_TRUE(std::isnan(y));
			return;
		}
		double want = std::tanh((double)x);

		ASSERT_LE(std::fabs(y - want), std::fabs(want) * 0x1p-21 + 0x1p-150) << x;
	});
}

TEST(RtApprox, DivisionIsRounded)
{
	Rng g(1);

	for (int i = 0; i < 20000; i++) {
		float a[RT_LANES], b[RT_LANES], d[RT_LANES];

		for (int k = 0; k < RT_LANES; k++) {
			a[k] = rt_f32(RandomF32(g));
			b[k] = rt_f32(RandomF32(g));
		}
		rt_vec_div_f32(d, a, b, false);
		for (int k = 0; k < RT_LANES; k++) {
			float want = a[k] / b[k];

			if (std::isnan(want))
				ASSERT_EQ(0x7fffffffu, F(d[k]));
			else
				ASSERT_EQ(F(want), F(d[k]));
		}
	}
}

TEST(RtApprox, ScalarEqualsVector)
{
	Rng g(2);

	for (auto &f : kFunctions) {
		for (int i = 0; i < 2000; i++) {
			float a[RT_LANES], d[RT_LANES];
			bool ftz = i & 1 && f.op != IR_OP_TANH;

			for (int k = 0; k < RT_LANES; k++)
				a[k] = rt_f32(RandomF32(g));
			f.vec(d, a, ftz);
			for (int k = 0; k < RT_LANES; k++)
				ASSERT_EQ(Eval(Inst(f.op, IR_F32).Round(IR_APPROX).Ftz(ftz),
					       { F(a[k]) }),
					  F(d[k]))
					<< f.op << " " << a[k];
		}
	}
}

/*
 * The manual's tables of special values: -inf, -1, -subnormal, -0, +0, +subnormal, +1, +inf, NaN.
 * "x" is a value the table does not fix.
 */
TEST(RtApprox, SpecialValues)
{
	const uint32_t in[] = { 0xff800000, 0xbf800000, 0x80000001, 0x80000000, 0,
				1,	    0x3f800000, 0x7f800000, 0x7fc00000 };
	const uint32_t X = 0x12345678, N = 0x7fffffff, P = 0x7f800000, M = 0xff800000,
		       ONE = 0x3f800000, NZ = 0x80000000, MONE = 0xbf800000, Z = 0;
	struct {
		ir_op op;
		bool ftz;
		uint32_t want[9];
	} rows[] = {
		{ IR_OP_EX2, false, { Z, 0x3f000000, ONE, ONE, ONE, ONE, 0x40000000, P, N } },
		{ IR_OP_EX2, true, { Z, 0x3f000000, ONE, ONE, ONE, ONE, 0x40000000, P, N } },
		{ IR_OP_LG2, false, { N, N, N, M, M, 0xc3150000, Z, P, N } },
		{ IR_OP_LG2, true, { N, N, M, M, M, M, Z, P, N } },
		{ IR_OP_SIN, false, { N, X, 0x80000001, NZ, Z, 1, X, N, N } },
		{ IR_OP_SIN, true, { N, X, NZ, NZ, Z, Z, X, N, N } },
		{ IR_OP_COS, false, { N, X, ONE, ONE, ONE, ONE, X, N, N } },
		{ IR_OP_COS, true, { N, X, ONE, ONE, ONE, ONE, X, N, N } },
		{ IR_OP_RCP, false, { NZ, MONE, M, M, P, P, ONE, Z, N } },
		{ IR_OP_RCP, true, { NZ, MONE, M, M, P, P, ONE, Z, N } },
		{ IR_OP_SQRT, false, { N, N, N, NZ, Z, 0x1a3504f3, ONE, P, N } },
		{ IR_OP_SQRT, true, { N, N, NZ, NZ, Z, Z, ONE, P, N } },
		{ IR_OP_RSQRT, false, { N, N, N, M, P, 0x64b504f3, ONE, Z, N } },
		{ IR_OP_RSQRT, true, { N, N, M, M, P, P, ONE, Z, N } },
		{ IR_OP_TANH, false, { MONE, X, 0x80000001, NZ, Z, 1, X, ONE, N } },
	};

	for (auto &row : rows) {
		for (int i = 0; i < 9; i++) {
			uint64_t got =
				Eval(Inst(row.op, IR_F32).Round(IR_APPROX).Ftz(row.ftz), { in[i] });

			if (row.want[i] != X) {
				EXPECT_EQ(row.want[i], got)
					<< std::hex << "op " << row.op << " ftz " << row.ftz
					<< " of " << in[i];
			}
		}
	}
}

TEST(RtApprox, HalfFunctions)
{
	for (uint32_t h = 0; h < 0x10000; h++) {
		for (auto t : { IR_F16, IR_BF16 }) {
			float x = t == IR_F16 ? rt_f16_to_f32((uint16_t)h)
					      : rt_bf16_to_f32((uint16_t)h);
			uint64_t e = Eval(Inst(IR_OP_EX2, t).Round(IR_APPROX), { h });
			uint64_t th = Eval(Inst(IR_OP_TANH, t).Round(IR_APPROX), { h });
			auto value = [&](uint64_t v) {
				return t == IR_F16 ? rt_f16_to_f32((uint16_t)v)
						   : rt_bf16_to_f32((uint16_t)v);
			};

			if (std::isnan(x)) {
				ASSERT_EQ(0x7fffu, e);
				ASSERT_EQ(0x7fffu, th);
				continue;
			}
			double want = std::exp2((double)x);
			if (want < (t == IR_F16 ? 65504 : 3e38) &&
			    want > (t == IR_F16 ? 6.2e-5 : 1.2e-38)) {
				ASSERT_NEAR(value(e), want, want * (t == IR_F16 ? 0x1p-10 : 0x1p-7))
					<< x;
			}
			want = std::tanh((double)x);
			ASSERT_NEAR(value(th), want,
				    std::fabs(want) * (t == IR_F16 ? 0x1p-10 : 0x1p-8) + 0x1p-25)
				<< x;
		}
	}
}

} // namespace

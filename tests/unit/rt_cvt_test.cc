/* SPDX-License-Identifier: MIT */
/*
 * Conversions: halves exhaustively and in every rounding mode, the narrow formats' tables, float to
 * integer at the edges, and the inline and vector forms against the reference.
 */
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "rt_eval.hh"

extern "C" {
#include "cuse_dev/backend/soft/rt/vec.h"
}

namespace {

Inst Cvt(ir_type to, ir_type from, int round = IR_RN)
{
	return Inst(IR_OP_CVT, to).From(from).Round(round);
}

bool NanBhalf(uint32_t h)
{
	return (h & 0x7fff) > 0x7f80;
}

/* The value of a half, from its definition. */
double HalfValue(uint32_t h)
{
	int e = h >> 10 & 31, m = h & 1023;
	double v = e ? std::ldexp(1024 + m, e - 25) : std::ldexp(m, -24);

	if (e == 31)
		v = m ? NAN : INFINITY;
	return h & 0x8000 ? -v : v;
}

TEST(RtCvt, EveryHalfToFloat)
{
	for (uint32_t h = 0; h < 0x10000; h++) {
		double want = HalfValue(h);
		uint64_t f = Eval(Cvt(IR_F32, IR_F16), { h }), d = Eval(Cvt(IR_F64, IR_F16), { h });

		ASSERT_EQ(f, rt_bits_f32(rt_f16_to_f32((uint16_t)h))) << std::hex << h;
		if (std::isnan(want)) {
			ASSERT_EQ(0x7fffffffu, f);
			ASSERT_TRUE(std::isnan(ToD(d)));
			continue;
		}
		ASSERT_EQ(F((float)want), f) << std::hex << h;
		ASSERT_EQ(D(want), d);
		ASSERT_EQ(h, Eval(Cvt(IR_F16, IR_F32), { f })) << "and back";
		ASSERT_EQ(h, rt_f32_to_f16(ToF(f)));
	}
}

/* Between each half and the next: on it, the middle, and one float to either side of both. */
TEST(RtCvt, FloatToHalfAtEveryEdge)
{
	for (uint32_t h = 0; h < 0x7c00; h++) {
		float low = (float)HalfValue(h);
		/* Above the largest half, what would be the next one. */
		float high = h == 0x7bff ? 65536.0f : (float)HalfValue(h + 1),
		      mid = (low + high) / 2;
		float below = std::nextafterf(mid, 0), above = std::nextafterf(mid, INFINITY);
		float more = std::nextafterf(low, INFINITY);
		uint32_t even = h & 1 ? h + 1 : h, max = h == 0x7bff ? h : h + 1;

		ASSERT_EQ(even, Eval(Cvt(IR_F16, IR_F32), { F(mid) }));
		ASSERT_EQ(h, Eval(Cvt(IR_F16, IR_F32), { F(below) }));
		ASSERT_EQ(h + 1, Eval(Cvt(IR_F16, IR_F32), { F(above) }));
		ASSERT_EQ(h, Eval(Cvt(IR_F16, IR_F32, IR_RZ), { F(above) }));
		ASSERT_EQ(h, Eval(Cvt(IR_F16, IR_F32, IR_RM), { F(above) }));
		ASSERT_EQ(h + 1, Eval(Cvt(IR_F16, IR_F32, IR_RP), { F(more) }));
		ASSERT_EQ((h + 1) | 0x8000, Eval(Cvt(IR_F16, IR_F32, IR_RM), { F(-more) }));
		ASSERT_EQ(h | 0x8000, Eval(Cvt(IR_F16, IR_F32, IR_RP), { F(-above) }));
		ASSERT_EQ(h + 1, Eval(Cvt(IR_F16, IR_F32, IR_RNA), { F(mid) }));
		ASSERT_EQ(max, Eval(Cvt(IR_F16, IR_F32).Sub(1), { F(above) })) << "satfinite";
		ASSERT_EQ(max, Eval(Cvt(IR_F16, IR_F32).Sat().Sub(1), { F(above) })) << "satfinite";
		for (float f : { low, more, below, mid, above }) {
			ASSERT_EQ(Eval(Cvt(IR_F16, IR_F32), { F(f) }), rt_f32_to_f16(f)) << f;
			ASSERT_EQ(Eval(Cvt(IR_F16, IR_F32), { F(-f) }), rt_f32_to_f16(-f)) << f;
		}
	}
}

TEST(RtCvt, InlineAndVectorFormsAreTheReference)
{
	Rng g(1);

	for (int i = 0; i < 3000; i++) {
		float f[RT_LANES], back[RT_LANES];
		uint16_t h[RT_LANES], b[RT_LANES], any[RT_LANES];

		for (int k = 0; k < RT_LANES; k++) {
			f[k] = rt_f32(k & 1 ? RandomF32(g)
					    : (uint32_t)(g() & 0x807fffff) |
						      (uint32_t)(100 + g() % 50) << 23);
			any[k] = (uint16_t)g();
		}
		rt_vec_f32_to_f16(h, f);
		rt_vec_f32_to_bf16(b, f);
		for (int k = 0; k < RT_LANES; k++) {
			ASSERT_EQ(Eval(Cvt(IR_F16, IR_F32), { F(f[k]) }), h[k])
				<< std::hex << F(f[k]);
			ASSERT_EQ(rt_f32_to_f16(f[k]), h[k]);
			ASSERT_EQ(Eval(Cvt(IR_BF16, IR_F32), { F(f[k]) }), b[k])
				<< std::hex << F(f[k]);
			ASSERT_EQ(rt_f32_to_bf16(f[k]), b[k]);
		}
		rt_vec_f16_to_f32(back, any);
		for (int k = 0; k < RT_LANES; k++)
			ASSERT_EQ(Eval(Cvt(IR_F32, IR_F16), { any[k] }), F(back[k]));
		rt_vec_bf16_to_f32(back, any);
		for (int k = 0; k < RT_LANES; k++) {
			ASSERT_EQ((uint32_t)any[k] << 16, F(back[k]));
			if (!NanBhalf(any[k])) {
				ASSERT_EQ(Eval(Cvt(IR_F32, IR_BF16), { any[k] }), F(back[k]));
			}
		}
	}
}

#if defined(__x86_64__)
template <int imm> __attribute__((target("f16c"))) uint32_t CpuHalf(float f)
{
	return (uint16_t)_cvtss_sh(f, imm);
}

TEST(RtCvt, FloatToHalfAsTheCpu)
{
	if (!__builtin_cpu_supports(
		    "avx2")) /* the feature that not every compiler can name came first */
		GTEST_SKIP() << "needs F16C";
	for (uint64_t u = 0; u < 1ull << 32; u += 9973) {
		float f = rt_f32((uint32_t)u);

		if (std::isnan(f)) {
			ASSERT_EQ(0x7fffu, Eval(Cvt(IR_F16, IR_F32), { u }));
			continue;
		}
		ASSERT_EQ(CpuHalf<0>(f), Eval(Cvt(IR_F16, IR_F32, IR_RN), { u })) << std::hex << u;
		ASSERT_EQ(CpuHalf<1>(f), Eval(Cvt(IR_F16, IR_F32, IR_RM), { u })) << std::hex << u;
		ASSERT_EQ(CpuHalf<2>(f), Eval(Cvt(IR_F16, IR_F32, IR_RP), { u })) << std::hex << u;
		ASSERT_EQ(CpuHalf<3>(f), Eval(Cvt(IR_F16, IR_F32, IR_RZ), { u })) << std::hex << u;
	}
}
#endif

TEST(RtCvt, BrainFloatAtEveryEdge)
{
	for (uint32_t h = 0; h < 0x7f80; h++) {
		uint32_t low = h << 16, mid = low | 0x8000;

		ASSERT_EQ(low, Eval(Cvt(IR_F32, IR_BF16), { h }));
		ASSERT_EQ(h, Eval(Cvt(IR_BF16, IR_F32), { low }));
		ASSERT_EQ(h + (h & 1), Eval(Cvt(IR_BF16, IR_F32), { mid }));
		ASSERT_EQ(h, Eval(Cvt(IR_BF16, IR_F32), { mid - 1 }));
		ASSERT_EQ(h + 1, Eval(Cvt(IR_BF16, IR_F32), { mid + 1 }));
		ASSERT_EQ(h, Eval(Cvt(IR_BF16, IR_F32, IR_RZ), { mid + 1 }));
		ASSERT_EQ(h + 1, Eval(Cvt(IR_BF16, IR_F32, IR_RP), { low + 1 }));
		ASSERT_EQ(h + (h & 1), rt_f32_to_bf16(rt_f32(mid)));
	}
	EXPECT_EQ(0x7fffu, Eval(Cvt(IR_BF16, IR_F32), { 0xffc01234 }));
	EXPECT_EQ(0x7f80u, Eval(Cvt(IR_BF16, IR_F32), { 0x7f7fffff }));
	EXPECT_EQ(0x7f7fu, Eval(Cvt(IR_BF16, IR_F32).Sub(1), { 0x7f7fffff })) << "satfinite";
}

TEST(RtCvt, PairsAndRelu)
{
	EXPECT_EQ(0x40003c00u, Eval(Cvt(IR_F16X2, IR_F32), { F(2), F(1) }))
		<< "a is the upper half";
	EXPECT_EQ(0x40000000u, Eval(Cvt(IR_F16X2, IR_F32).Relu(), { F(2), F(-1) }));
	EXPECT_EQ(0x7fff0000u, Eval(Cvt(IR_BF16X2, IR_F32).Relu(), { F(NAN), F(-1) }));
	EXPECT_EQ(0u, Eval(Cvt(IR_F16, IR_F32).Relu(), { F(-3) }));
	EXPECT_EQ(-ENOTSUP, EvalAll(Cvt(IR_F16X2, IR_F32), { 1, 2, 3 }).r) << "stochastic";
}

TEST(RtCvt, Tf32)
{
	EXPECT_EQ(0x3f802000u, Eval(Cvt(IR_TF32, IR_F32, IR_RNA), { 0x3f801000 })) << "tie away";
	EXPECT_EQ(0x3f800000u, Eval(Cvt(IR_TF32, IR_F32, IR_RN), { 0x3f801000 })) << "tie to even";
	EXPECT_EQ(0x3f802000u, Eval(Cvt(IR_TF32, IR_F32, IR_RN), { 0x3f801001 }));
	EXPECT_EQ(0xbf800000u, Eval(Cvt(IR_TF32, IR_F32, IR_RZ), { 0xbf801fff }));
	EXPECT_EQ(0x7f800000u, Eval(Cvt(IR_TF32, IR_F32, IR_RNA), { 0x7f7fffff }));
	EXPECT_EQ(0x7fffffffu, Eval(Cvt(IR_TF32, IR_F32, IR_RNA), { 0x7fc00000 }));
}

struct Narrow {
	ir_type t;
	int exp, man, bits;
	double max;
	bool inf, nan;
};
const Narrow kNarrow[] = {
	{ IR_E4M3X2, 4, 3, 8, 448, false, true },  { IR_E5M2X2, 5, 2, 8, 57344, true, true },
	{ IR_E2M3X2, 2, 3, 6, 7.5, false, false }, { IR_E3M2X2, 3, 2, 6, 28, false, false },
	{ IR_E2M1X2, 2, 1, 4, 6, false, false },
};

/* From the definition; NAN for what is none. */
double NarrowValue(const Narrow &n, uint32_t v)
{
	int e = v >> n.man & ((1 << n.exp) - 1), m = v & ((1 << n.man) - 1),
	    bias = (1 << (n.exp - 1)) - 1;
	double d = e ? std::ldexp((1 << n.man) + m, e - bias - n.man)
		     : std::ldexp(m, 1 - bias - n.man);

	if (n.inf && e == (1 << n.exp) - 1)
		d = m ? NAN : INFINITY;
	else if (n.nan && d > n.max)
		d = NAN;
	return v >> (n.exp + n.man) & 1 ? -d : d;
}

TEST(RtCvt, NarrowFormats)
{
	for (auto &n : kNarrow) {
		int shift = n.t == IR_E2M1X2 ? 4 : 8;

		for (uint32_t v = 0; v < 1u << n.bits; v++) {
			double d = NarrowValue(n, v);
			uint64_t half = Eval(Cvt(IR_F16X2, n.t), { v << shift }) >> 16;

			if (std::isnan(d)) {
				ASSERT_EQ(0x7fffu, half) << n.t << " " << v;
				continue;
			}
			ASSERT_EQ(HalfValue((uint32_t)half), d) << n.t << " " << v;
			if (std::isinf(d))
				continue;
			/* And back, from two f32 and from halves; ties in between go to even. */
			ASSERT_EQ((uint64_t)v << shift,
				  Eval(Cvt(n.t, IR_F32).Sat(), { F((float)d), F(0) }))
				<< n.t << " " << d;
			ASSERT_EQ((uint64_t)v, Eval(Cvt(n.t, IR_F16X2).Sat(), { half }));
			double next = NarrowValue(n, v + 1);

			if ((v + 1) >> (n.bits - 1) == v >> (n.bits - 1) && std::isfinite(next)) {
				ASSERT_EQ((uint64_t)(v + (v & 1)),
					  Eval(Cvt(n.t, IR_F32).Sat(),
					       { F(0), F((float)((d + next) / 2)) }));
			}
		}
		auto put = [&](float f) { return Eval(Cvt(n.t, IR_F32).Sat(), { F(0), F(f) }); };

		EXPECT_EQ(n.max, NarrowValue(n, (uint32_t)put(1e30f)));
		EXPECT_EQ(-n.max, NarrowValue(n, (uint32_t)put(-INFINITY)));
		if (n.nan)
			EXPECT_EQ(0x7fu, put(NAN));
		else
			EXPECT_EQ(n.max, NarrowValue(n, (uint32_t)put(NAN)));
		EXPECT_EQ(0u, Eval(Cvt(n.t, IR_F32).Sat().Relu(), { F(-1), F(-2) }));
	}
}

TEST(RtCvt, BareExponents)
{
	EXPECT_EQ(127u << 8 | 128u, Eval(Cvt(IR_UE8M0X2, IR_F32, IR_RZ), { F(1.9f), F(2) }));
	EXPECT_EQ(128u << 8 | 128u, Eval(Cvt(IR_UE8M0X2, IR_F32, IR_RP), { F(1.9f), F(2) }));
	EXPECT_EQ(255u << 8, Eval(Cvt(IR_UE8M0X2, IR_F32, IR_RZ), { F(NAN), F(0) }));
	EXPECT_EQ(0x3f804000u, Eval(Cvt(IR_BF16X2, IR_UE8M0X2), { 127 << 8 | 128 }));
	EXPECT_EQ(0x7fff0040u, Eval(Cvt(IR_BF16X2, IR_UE8M0X2), { 255 << 8 | 0 }));
}

TEST(RtCvt, IntegerToInteger)
{
	EXPECT_EQ((uint64_t)-1, Eval(Cvt(IR_S32, IR_S8), { 0xff }));
	EXPECT_EQ(255u, Eval(Cvt(IR_S32, IR_U8), { 0xff }));
	EXPECT_EQ((uint64_t)-128, Eval(Cvt(IR_S8, IR_S32), { 0x180 })) << "extended beyond 8 bits";
	EXPECT_EQ(127u, Eval(Cvt(IR_S8, IR_S32).Sat(), { 300 }));
	EXPECT_EQ(0u, Eval(Cvt(IR_U8, IR_S32).Sat(), { (uint32_t)-5 }));
	EXPECT_EQ(0xffffffffu, Eval(Cvt(IR_U32, IR_S64), { ~0ull }));
	EXPECT_EQ(0xffffffffu, Eval(Cvt(IR_U32, IR_U64).Sat(), { ~0ull }));
}

TEST(RtCvt, IntegerToFloatInEveryMode)
{
	EXPECT_EQ(F(16777216), Eval(Cvt(IR_F32, IR_S32, IR_RN), { 16777217 }));
	EXPECT_EQ(F(16777218), Eval(Cvt(IR_F32, IR_S32, IR_RP), { 16777217 }));
	EXPECT_EQ(F(-16777218), Eval(Cvt(IR_F32, IR_S32, IR_RM), { (uint32_t)-16777217 }));
	EXPECT_EQ(F(-16777216), Eval(Cvt(IR_F32, IR_S32, IR_RZ), { (uint32_t)-16777217 }));
	EXPECT_EQ(F(0x1p64f), Eval(Cvt(IR_F32, IR_U64), { ~0ull }));
	EXPECT_EQ(0x7c00u, Eval(Cvt(IR_F16, IR_U32), { 70000 }));
	EXPECT_EQ(0x7bffu, Eval(Cvt(IR_F16, IR_U32, IR_RZ), { 70000 }));
	EXPECT_EQ(0u, Eval(Cvt(IR_F32, IR_S32), { 0 }));
	Rng g(2);
	for (int i = 0; i < 50000; i++) {
		uint64_t v = g() >> (g() & 63);

		ASSERT_EQ(D((double)v), Eval(Cvt(IR_F64, IR_U64), { v }));
		ASSERT_EQ(F((float)(int64_t)v), Eval(Cvt(IR_F32, IR_S64), { v }));
		ASSERT_EQ(F((float)(uint32_t)v), Eval(Cvt(IR_F32, IR_U32), { v }));
	}
}

TEST(RtCvt, FloatToIntegerRounding)
{
	const double v[] = { 0.5, 1.5, 2.5, -0.5, -1.5, 2.3, -2.7, 0.0, 1e-40 };
	const int64_t rn[] = { 0, 2, 2, 0, -2, 2, -3, 0, 0 },
		      rz[] = { 0, 1, 2, 0, -1, 2, -2, 0, 0 };
	const int64_t rm[] = { 0, 1, 2, -1, -2, 2, -3, 0, 0 },
		      rp[] = { 1, 2, 3, 0, -1, 3, -2, 0, 1 };

	for (int i = 0; i < 9; i++) {
		auto get = [&](int m) {
			return (int64_t)Eval(Cvt(IR_S32, IR_F64, m).Integral(), { D(v[i]) });
		};

		EXPECT_EQ(rn[i], get(IR_RN)) << v[i];
		EXPECT_EQ(rz[i], get(IR_RZ)) << v[i];
		EXPECT_EQ(rm[i], get(IR_RM)) << v[i];
		EXPECT_EQ(rp[i], get(IR_RP)) << v[i];
	}
	EXPECT_EQ(1u, Eval(Cvt(IR_S32, IR_F32, IR_RP).Integral(), { 1 }));
	EXPECT_EQ(0u, Eval(Cvt(IR_S32, IR_F32, IR_RP).Integral().Ftz(), { 1 })) << "flushed first";
}

TEST(RtCvt, FloatToIntegerClampsAndNan)
{
	EXPECT_EQ(0x7fffffffu, Eval(Cvt(IR_S32, IR_F32, IR_RZ), { F(1e30f) }));
	EXPECT_EQ((uint64_t)INT32_MIN, Eval(Cvt(IR_S32, IR_F32, IR_RZ), { F(-INFINITY) }));
	EXPECT_EQ(0u, Eval(Cvt(IR_U32, IR_F32, IR_RZ), { F(-5) }));
	EXPECT_EQ(255u, Eval(Cvt(IR_U8, IR_F32, IR_RZ), { F(300) }));
	EXPECT_EQ((uint64_t)-128, Eval(Cvt(IR_S8, IR_F16, IR_RZ), { 0xfbff }));
	EXPECT_EQ(~0ull, Eval(Cvt(IR_U64, IR_F64, IR_RZ), { D(1e300) }));
	/* NaN: zero, unless a 64-bit type takes part. */
	EXPECT_EQ(0u, Eval(Cvt(IR_S32, IR_F32, IR_RZ), { F(NAN) }));
	EXPECT_EQ(0u, Eval(Cvt(IR_U16, IR_F16, IR_RZ), { 0x7e00 }));
	EXPECT_EQ(1ull << 63, Eval(Cvt(IR_S64, IR_F32, IR_RZ), { F(NAN) }));
	EXPECT_EQ(1ull << 63, Eval(Cvt(IR_U64, IR_F64, IR_RZ), { D(NAN) }));
	EXPECT_EQ((uint64_t)INT32_MIN, Eval(Cvt(IR_S32, IR_F64, IR_RZ), { D(NAN) }));
	EXPECT_EQ(1ull << 31, Eval(Cvt(IR_U32, IR_F64, IR_RZ), { D(NAN) }));
}

TEST(RtCvt, InlineFloatToInteger)
{
	Rng g(3);

	for (int i = 0; i < 200000; i++) {
		float f = rt_f32(RandomF32(g));
		double d = rt_f64(i & 1 ? RandomF64(g) : D(f));
		auto c = [&](ir_type t, ir_type from, uint64_t v) {
			return Eval(Cvt(t, from, IR_RZ), { v });
		};

		ASSERT_EQ(c(IR_S32, IR_F32, F(f)), (uint64_t)rt_f32_to_s32(f)) << f;
		ASSERT_EQ(c(IR_U32, IR_F32, F(f)), rt_f32_to_u32(f)) << f;
		ASSERT_EQ(c(IR_S64, IR_F32, F(f)), (uint64_t)rt_f32_to_s64(f)) << f;
		ASSERT_EQ(c(IR_U64, IR_F32, F(f)), rt_f32_to_u64(f)) << f;
		ASSERT_EQ(c(IR_S32, IR_F64, D(d)), (uint64_t)rt_f64_to_s32(d)) << d;
		ASSERT_EQ(c(IR_U32, IR_F64, D(d)), rt_f64_to_u32(d)) << d;
		ASSERT_EQ(c(IR_S64, IR_F64, D(d)), (uint64_t)rt_f64_to_s64(d)) << d;
		ASSERT_EQ(c(IR_U64, IR_F64, D(d)), rt_f64_to_u64(d)) << d;
	}
}

TEST(RtCvt, FloatToFloat)
{
	EXPECT_EQ(F(-0.0f), Eval(Cvt(IR_F32, IR_F32, IR_RN).Integral(), { F(-0.3f) }));
	EXPECT_EQ(F(-1), Eval(Cvt(IR_F32, IR_F32, IR_RM).Integral(), { F(-0.3f) }));
	EXPECT_EQ(F(1e30f), Eval(Cvt(IR_F32, IR_F32, IR_RZ).Integral(), { F(1e30f) }));
	EXPECT_EQ(F(INFINITY), Eval(Cvt(IR_F32, IR_F32, IR_RZ).Integral(), { F(INFINITY) }));
	EXPECT_EQ(D(4), Eval(Cvt(IR_F64, IR_F64, IR_RP).Integral(), { D(3.2) }));
	EXPECT_EQ(F(1), Eval(Cvt(IR_F32, IR_F32).Sat(), { F(7) }));
	EXPECT_EQ(0u, Eval(Cvt(IR_F32, IR_F32).Sat(), { F(NAN) }));
	EXPECT_EQ(0x80000000u, Eval(Cvt(IR_F32, IR_F32).Ftz(), { 0x80000001 }));
	EXPECT_EQ(0x3c00u, Eval(Cvt(IR_F16, IR_F32).Sat(), { F(7) }));
	EXPECT_EQ(D(0.1f), Eval(Cvt(IR_F64, IR_F32), { F(0.1f) }));
	EXPECT_EQ(F(0.1f), Eval(Cvt(IR_F32, IR_F64), { D(0.1) }));
	EXPECT_EQ(F(std::nextafterf(0.1f, 0)), Eval(Cvt(IR_F32, IR_F64, IR_RZ), { D(0.1) }));
	EXPECT_EQ(0u, Eval(Cvt(IR_F32, IR_F64).Ftz(), { D(1e-40) }));
	EXPECT_EQ(0x3f80u, Eval(Cvt(IR_BF16, IR_F16), { 0x3c00 }));
	EXPECT_EQ(0x3c00u, Eval(Cvt(IR_F16, IR_BF16), { 0x3f80 }));
}

TEST(RtCvt, PackSaturated)
{
	Inst p = Inst(IR_OP_CVT_PACK, IR_S16).From(IR_S32);

	EXPECT_EQ(0x7fff8000u, Eval(p, { 40000, (uint32_t)-40000 }));
	p = Inst(IR_OP_CVT_PACK, IR_U8).From(IR_S32);
	EXPECT_EQ(0x1234ff00u, Eval(p, { 300, (uint32_t)-1, 0x1234 }));
	p = Inst(IR_OP_CVT_PACK, IR_S8).From(IR_S32).Sub(4);
	EXPECT_EQ(0x01234578u, Eval(p, { 7, (uint32_t)-100, 0x012345 }));
}

} // namespace

/* SPDX-License-Identifier: MIT */
/*
 * Integer and bit operations: against plain C in wider types, and the tables of the PTX manual.
 */
#include "rt_eval.hh"

namespace {

typedef __int128 s128;
typedef unsigned __int128 u128;

struct IntType {
	ir_type t;
	int bits;
	bool sign;
};
const IntType kTypes[] = { { IR_U16, 16, false }, { IR_S16, 16, true },	 { IR_U32, 32, false },
			   { IR_S32, 32, true },  { IR_U64, 64, false }, { IR_S64, 64, true } };

s128 Num(const IntType &t, uint64_t v)
{
	v &= t.bits == 64 ? ~0ull : (1ull << t.bits) - 1;
	if (t.sign && v >> (t.bits - 1))
		return (s128)v - ((s128)1 << t.bits);
	return (s128)v;
}

/* As rt_eval() hands a result out. */
uint64_t Cut(const IntType &t, s128 v)
{
	return (uint64_t)Num(t, (uint64_t)v);
}

uint64_t Interesting(Rng &g)
{
	static const uint64_t v[] = { 0,
				      1,
				      2,
				      ~0ull,
				      ~1ull,
				      0x7fffffff,
				      0x80000000,
				      0x7fff,
				      0x8000,
				      1ull << 63,
				      (1ull << 63) - 1,
				      0xffffffff,
				      24,
				      32,
				      31,
				      33,
				      64 };

	return g() >> 63 ? v[g() % (sizeof(v) / sizeof(v[0]))] : g() >> (g() & 63);
}

TEST(RtInt, ArithmeticOfAllTypes)
{
	for (auto &t : kTypes) {
		Rng g(t.t);

		for (int i = 0; i < 20000; i++) {
			uint64_t x = Interesting(g), y = Interesting(g), z = Interesting(g);
			s128 a = Num(t, x), b = Num(t, y), c = Num(t, z);
			s128 p = (s128)((u128)a * (u128)b);
			std::vector<uint64_t> two = { x, y }, three = { x, y, z };

			ASSERT_EQ(Cut(t, a + b), Eval(Inst(IR_OP_ADD, t.t), two));
			ASSERT_EQ(Cut(t, a - b), Eval(Inst(IR_OP_SUB, t.t), two));
			ASSERT_EQ(Cut(t, p), Eval(Inst(IR_OP_MUL, t.t), two));
			ASSERT_EQ(Cut(t, p >> t.bits), Eval(Inst(IR_OP_MUL_HI, t.t), two));
			ASSERT_EQ(Cut(t, (s128)((u128)p + (u128)c)),
				  Eval(Inst(IR_OP_MAD, t.t), three));
			ASSERT_EQ(Cut(t, (p >> t.bits) + c), Eval(Inst(IR_OP_MAD_HI, t.t), three));
			ASSERT_EQ(Cut(t, c + (a > b ? a - b : b - a)),
				  Eval(Inst(IR_OP_SAD, t.t), three));
			ASSERT_EQ(Cut(t, a < b ? a : b), Eval(Inst(IR_OP_MIN, t.t), two));
			ASSERT_EQ(Cut(t, a > b ? a : b), Eval(Inst(IR_OP_MAX, t.t), two));
			ASSERT_EQ(b ? Cut(t, a / b) : Cut(t, -1), Eval(Inst(IR_OP_DIV, t.t), two));
			ASSERT_EQ(Cut(t, b ? a % b : -1), Eval(Inst(IR_OP_REM, t.t), two));
			ASSERT_EQ(Cut(t, -a), Eval(Inst(IR_OP_NEG, t.t), { x }));
			ASSERT_EQ(Cut(t, a < 0 ? -a : a), Eval(Inst(IR_OP_ABS, t.t), { x }));
		}
	}
}

TEST(RtInt, WideResults)
{
	for (auto &t : kTypes) {
		Rng g(t.t + 50);

		for (int i = 0; i < 5000; i++) {
			uint64_t x = Interesting(g), y = Interesting(g), z = Interesting(g);
			u128 p = (u128)Num(t, x) * (u128)Num(t, y);
			Result m = EvalAll(Inst(IR_OP_MUL_WIDE, t.t), { x, y });
			IntType w = { t.t, 2 * t.bits, t.sign };

			ASSERT_EQ(0, m.r);
			if (t.bits == 64) {
				ASSERT_EQ((uint64_t)p, m.d[0].lo);
				ASSERT_EQ((uint64_t)(p >> 64), m.d[0].hi);
				continue;
			}
			ASSERT_EQ(Cut(w, (s128)p), m.d[0].lo);
			ASSERT_EQ(Cut(w, (s128)(p + z)),
				  Eval(Inst(IR_OP_MAD_WIDE, t.t), { x, y, z }));
		}
	}
}

TEST(RtInt, Saturation)
{
	EXPECT_EQ(0x7fffffffu, Eval(Inst(IR_OP_ADD, IR_S32).Sat(), { 0x7fffffff, 1 }));
	EXPECT_EQ((uint64_t)INT32_MIN, Eval(Inst(IR_OP_SUB, IR_S32).Sat(), { 0x80000000, 1 }));
	EXPECT_EQ(0x7fffffffu,
		  Eval(Inst(IR_OP_MAD_HI, IR_S32).Sat(), { 0x7fffffff, 0x7fffffff, 0x7fffffff }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_MAX, IR_S32).Relu(), { (uint64_t)-5, (uint64_t)-7 }));
}

TEST(RtInt, Mul24)
{
	EXPECT_EQ((uint64_t)(uint32_t)(0xffffffull * 0xffffffull),
		  Eval(Inst(IR_OP_MUL24_LO, IR_U32), { 0xffffffff, 0xaaffffff }));
	EXPECT_EQ((0xffffffull * 0xffffffull) >> 16,
		  Eval(Inst(IR_OP_MUL24_HI, IR_U32), { 0xffffff, 0xffffff }));
	EXPECT_EQ(1u, Eval(Inst(IR_OP_MUL24_LO, IR_S32), { 0xffffff, 0xffffff })) << "-1 * -1";
	EXPECT_EQ((uint64_t)-1, Eval(Inst(IR_OP_MUL24_HI, IR_S32), { 0xffffff, 1 }));
	EXPECT_EQ(106u, Eval(Inst(IR_OP_MAD24_LO, IR_S32), { 3, 2, 100 }));
	EXPECT_EQ(0x7fffffffu,
		  Eval(Inst(IR_OP_MAD24_HI, IR_S32).Sat(), { 0x7fffff, 0x7fffff, 0x7fffffff }));
}

TEST(RtInt, CarryChains)
{
	Rng g(5);

	for (int i = 0; i < 5000; i++) {
		uint64_t a[2] = { g(), Interesting(g) }, b[2] = { Interesting(g), g() };
		u128 x = (u128)a[1] << 64 | a[0], y = (u128)b[1] << 64 | b[0];
		Result lo = EvalAll(Inst(IR_OP_ADDC, IR_U64), { a[0], b[0], 0 });
		Result hi = EvalAll(Inst(IR_OP_ADDC, IR_U64), { a[1], b[1], lo.d[1].lo });

		ASSERT_TRUE(((u128)hi.d[0].lo << 64 | lo.d[0].lo) == x + y);
		ASSERT_EQ((uint64_t)(x + y < x), hi.d[1].lo);
		lo = EvalAll(Inst(IR_OP_SUBC, IR_U64), { a[0], b[0], 0 });
		hi = EvalAll(Inst(IR_OP_SUBC, IR_U64), { a[1], b[1], lo.d[1].lo });
		ASSERT_TRUE(((u128)hi.d[0].lo << 64 | lo.d[0].lo) == x - y);
		ASSERT_EQ((uint64_t)(x < y), hi.d[1].lo) << "borrow";
		/* mad.lo.cc, madc.hi: 32 x 32 + 64 */
		uint32_t p = (uint32_t)g(), q = (uint32_t)g();
		lo = EvalAll(Inst(IR_OP_MADC_LO, IR_U32), { p, q, (uint32_t)a[0], 0 });
		hi = EvalAll(Inst(IR_OP_MADC_HI, IR_U32), { p, q, a[0] >> 32, lo.d[1].lo });
		ASSERT_EQ((uint64_t)p * q + a[0], hi.d[0].lo << 32 | lo.d[0].lo);
	}
	Result s = EvalAll(Inst(IR_OP_ADDC, IR_S32), { 0xffffffff, 0, 1 });
	EXPECT_EQ(0u, s.d[0].lo);
	EXPECT_EQ(1u, s.d[1].lo);
}

TEST(RtInt, PackedHalves)
{
	EXPECT_EQ(0x0000ffffu, Eval(Inst(IR_OP_ADD, IR_U16X2), { 0xffff0000, 0x0001ffff }));
	EXPECT_EQ(0xffff0001u, Eval(Inst(IR_OP_MIN, IR_S16X2), { 0xffff0001, 0x00010002 }));
	EXPECT_EQ(0x00010001u, Eval(Inst(IR_OP_MIN, IR_U16X2), { 0xffff0001, 0x00010002 }));
	EXPECT_EQ(0x00000002u, Eval(Inst(IR_OP_MAX, IR_S16X2).Relu(), { 0xffff0001, 0xfffe0002 }));
}

TEST(RtBits, Logic)
{
	EXPECT_EQ(0x0f00u, Eval(Inst(IR_OP_AND, IR_U16), { 0xff00, 0x0fff }));
	EXPECT_EQ(0xffffu, Eval(Inst(IR_OP_OR, IR_U16), { 0xff00, 0x0fff }));
	EXPECT_EQ(0xf0ffu, Eval(Inst(IR_OP_XOR, IR_U16), { 0xff00, 0x0fff }));
	EXPECT_EQ(0x00ffu, Eval(Inst(IR_OP_NOT, IR_U16), { 0xff00 }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_NOT, IR_PRED), { 1 }));
	EXPECT_EQ(1u, Eval(Inst(IR_OP_NOT, IR_PRED), { ~1ull }));
	EXPECT_EQ(1u, Eval(Inst(IR_OP_CNOT, IR_U32), { 0xffffffff00000000ull }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_CNOT, IR_U32), { 8 }));
}

TEST(RtBits, Lop3AllTables)
{
	Rng g(6);

	for (uint32_t table = 0; table < 256; table++) {
		uint32_t a = (uint32_t)g(), b = (uint32_t)g(), c = (uint32_t)g(), want = 0;

		for (int i = 0; i < 32; i++)
			want |= (table >> ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1)) & 1)
				<< i;
		ASSERT_EQ(want, Eval(Inst(IR_OP_LOP3, IR_U32), { a, b, c, table }));
	}
	/* The manual's own: 0xF0 & 0xCC is a & b. */
	EXPECT_EQ(0x10u, Eval(Inst(IR_OP_LOP3, IR_U32), { 0x30, 0x50, 0xffff, 0xF0 & 0xCC }));
	Result p = EvalAll(Inst(IR_OP_LOP3P, IR_U32).Bool(IR_BOOL_AND), { 1, 1, 0, 0xc0, 0 });
	EXPECT_EQ(1u, p.d[0].lo);
	EXPECT_EQ(0u, p.d[1].lo);
	p = EvalAll(Inst(IR_OP_LOP3P, IR_U32).Bool(IR_BOOL_OR), { 1, 1, 0, 0xc0, 0 });
	EXPECT_EQ(1u, p.d[1].lo);
}

TEST(RtBits, Shifts)
{
	EXPECT_EQ(0u, Eval(Inst(IR_OP_SHL, IR_U32), { 1, 32 }));
	EXPECT_EQ(0x80000000u, Eval(Inst(IR_OP_SHL, IR_U32), { 1, 31 }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_SHL, IR_U64), { 1, 0xffffffff }));
	EXPECT_EQ((uint64_t)-1, Eval(Inst(IR_OP_SHR, IR_S32), { 0x80000000, 99 }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_SHR, IR_U32), { 0x80000000, 32 }));
	EXPECT_EQ(1u, Eval(Inst(IR_OP_SHR, IR_U16), { 0xff8000, 15 }));
	EXPECT_EQ((uint64_t)-2, Eval(Inst(IR_OP_SHR, IR_S64), { 1ull << 63, 62 }));
}

TEST(RtBits, FunnelShifts)
{
	for (uint32_t n = 0; n < 70; n++) {
		uint64_t v = 0x123456789abcdef0ull;
		uint32_t clamp = n < 32 ? n : 32, wrap = n & 31;
		std::vector<uint64_t> s = { 0x9abcdef0, 0x12345678, n };

		EXPECT_EQ((uint32_t)(v << clamp >> 32), Eval(Inst(IR_OP_SHF_L, IR_U32), s));
		EXPECT_EQ((uint32_t)(v >> clamp), Eval(Inst(IR_OP_SHF_R, IR_U32), s));
		EXPECT_EQ((uint32_t)(v << wrap >> 32), Eval(Inst(IR_OP_SHF_L, IR_U32).Sub(1), s));
		EXPECT_EQ((uint32_t)(v >> wrap), Eval(Inst(IR_OP_SHF_R, IR_U32).Sub(1), s));
	}
}

TEST(RtBits, Fields)
{
	EXPECT_EQ(0x5u, Eval(Inst(IR_OP_BFE, IR_U32), { 0xa50, 4, 4 }));
	EXPECT_EQ((uint64_t)-6, Eval(Inst(IR_OP_BFE, IR_S32), { 0xa50, 8, 4 }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_BFE, IR_S32), { 0xffffffff, 3, 0 }));
	EXPECT_EQ(1u, Eval(Inst(IR_OP_BFE, IR_U32), { 0x80000000, 31, 8 }));
	EXPECT_EQ((uint64_t)-1, Eval(Inst(IR_OP_BFE, IR_S32), { 0x80000000, 31, 8 }));
	EXPECT_EQ((uint64_t)-1, Eval(Inst(IR_OP_BFE, IR_S32), { 0x80000000, 40, 8 }))
		<< "sign beyond";
	EXPECT_EQ(0u, Eval(Inst(IR_OP_BFE, IR_U32), { 0x80000000, 40, 8 }));
	EXPECT_EQ(0xa5u, Eval(Inst(IR_OP_BFE, IR_U32), { 0xa5, 0x100, 0x108 }))
		<< "low 8 bits count";
	EXPECT_EQ(0xdeadbeefull, Eval(Inst(IR_OP_BFE, IR_U64), { 0xdeadbeef00000000ull, 32, 32 }));
	EXPECT_EQ(0xff5ffu, Eval(Inst(IR_OP_BFI, IR_U32), { 5, 0xfffff, 8, 4 }) & 0xfffffu)
		<< "into";
	EXPECT_EQ(0x7fffffffu, Eval(Inst(IR_OP_BFI, IR_U32), { 0, 0xffffffff, 31, 9 }));
	EXPECT_EQ(0x1234u, Eval(Inst(IR_OP_BFI, IR_U32), { 0xff, 0x1234, 33, 4 }));
	EXPECT_EQ(0x1234u, Eval(Inst(IR_OP_BFI, IR_U32), { 0xff, 0x1234, 3, 0 }));
}

TEST(RtBits, Counting)
{
	EXPECT_EQ(31u, Eval(Inst(IR_OP_BFIND, IR_U32), { 0x80000000 }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_BFIND, IR_U32).Sub(1), { 0x80000000 }));
	EXPECT_EQ(0xffffffffu, Eval(Inst(IR_OP_BFIND, IR_U32), { 0 }));
	EXPECT_EQ(0xffffffffu, Eval(Inst(IR_OP_BFIND, IR_U32).Sub(1), { 0 }));
	EXPECT_EQ(0xffffffffu, Eval(Inst(IR_OP_BFIND, IR_S32), { 0xffffffff }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_BFIND, IR_S32), { 0xfffffffe }));
	EXPECT_EQ(40u, Eval(Inst(IR_OP_BFIND, IR_U64), { 1ull << 40 }));
	EXPECT_EQ(0x80000000u, Eval(Inst(IR_OP_BREV, IR_U32), { 1 }));
	EXPECT_EQ(1ull << 62, Eval(Inst(IR_OP_BREV, IR_U64), { 2 }));
	EXPECT_EQ(32u, Eval(Inst(IR_OP_POPC, IR_U32), { ~0ull }));
	EXPECT_EQ(64u, Eval(Inst(IR_OP_POPC, IR_U64), { ~0ull }));
	EXPECT_EQ(32u, Eval(Inst(IR_OP_CLZ, IR_U32), { 0 }));
	EXPECT_EQ(64u, Eval(Inst(IR_OP_CLZ, IR_U64), { 0 }));
	EXPECT_EQ(7u, Eval(Inst(IR_OP_CLZ, IR_U32), { 0x01000000 }));
}

TEST(RtBits, ExtendAndMask)
{
	EXPECT_EQ((uint64_t)-1, Eval(Inst(IR_OP_SZEXT, IR_S32), { 0xf, 4 }));
	EXPECT_EQ(0xfu, Eval(Inst(IR_OP_SZEXT, IR_U32), { 0xff, 4 }));
	EXPECT_EQ(0xffu, Eval(Inst(IR_OP_SZEXT, IR_U32), { 0xff, 40 })) << "clamp";
	EXPECT_EQ(0u, Eval(Inst(IR_OP_SZEXT, IR_U32).Sub(1), { 0xff, 32 })) << "wrap to 0";
	EXPECT_EQ(0u, Eval(Inst(IR_OP_SZEXT, IR_S32), { 0xff, 0 }));
	EXPECT_EQ(0xf0u, Eval(Inst(IR_OP_BMSK, IR_U32), { 4, 4 }));
	EXPECT_EQ(0xfffffff0u, Eval(Inst(IR_OP_BMSK, IR_U32), { 4, 32 }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_BMSK, IR_U32), { 32, 4 }));
	EXPECT_EQ(0x0fu, Eval(Inst(IR_OP_BMSK, IR_U32).Sub(1), { 32, 4 }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_BMSK, IR_U32).Sub(1), { 4, 32 }));
	EXPECT_EQ(0xc0000000u, Eval(Inst(IR_OP_BMSK, IR_U32), { 30, 4 }));
}

TEST(RtBits, FindNthSet)
{
	Inst fns(IR_OP_FNS, IR_U32);

	EXPECT_EQ(3u, Eval(fns, { 0x18, 3, 0 }));
	EXPECT_EQ(0xffffffffu, Eval(fns, { 0x18, 2, 0 }));
	EXPECT_EQ(3u, Eval(fns, { 0x18, 0, 1 }));
	EXPECT_EQ(4u, Eval(fns, { 0x18, 0, 2 }));
	EXPECT_EQ(0xffffffffu, Eval(fns, { 0x18, 0, 3 }));
	EXPECT_EQ(4u, Eval(fns, { 0x18, 31, (uint32_t)-1 }));
	EXPECT_EQ(3u, Eval(fns, { 0x18, 31, (uint32_t)-2 }));
	EXPECT_EQ(0xffffffffu, Eval(fns, { 0xffffffff, 5, 0x80000000 }));
}

/* The table of prmt's modes: a = 33221100 (bytes 3..0), b = 77665544. */
TEST(RtBits, Permute)
{
	struct {
		ir_prmt mode;
		uint32_t want[4];
	} rows[] = {
		{ IR_PRMT_F4E, { 0x33221100, 0x44332211, 0x55443322, 0x66554433 } },
		{ IR_PRMT_B4E, { 0x55667700, 0x66770011, 0x77001122, 0x00112233 } },
		{ IR_PRMT_RC8, { 0x00000000, 0x11111111, 0x22222222, 0x33333333 } },
		{ IR_PRMT_ECL, { 0x33221100, 0x33221111, 0x33222222, 0x33333333 } },
		{ IR_PRMT_ECR, { 0x00000000, 0x11111100, 0x22221100, 0x33221100 } },
		{ IR_PRMT_RC16, { 0x11001100, 0x33223322, 0x11001100, 0x33223322 } },
	};

	for (auto &row : rows) {
		for (uint32_t c = 0; c < 4; c++)
			EXPECT_EQ(row.want[c], Eval(Inst(IR_OP_PRMT, IR_U32).Sub(row.mode),
						    { 0x33221100, 0x77665544, c }))
				<< row.mode << " " << c;
	}
	EXPECT_EQ(0x44002277u, Eval(Inst(IR_OP_PRMT, IR_U32), { 0x33221100, 0x77665544, 0x4027 }));
	EXPECT_EQ(0x00ff7f80u, Eval(Inst(IR_OP_PRMT, IR_U32), { 0x0000807f, 0, 0x8901 }))
		<< "the sign of byte 0, of byte 1, then two plain bytes";
}

TEST(RtBits, DotProducts)
{
	Rng g(8);

	for (int i = 0; i < 3000; i++) {
		uint32_t a = (uint32_t)g(), b = (uint32_t)g(), c = (uint32_t)g();

		for (int k = 0; k < 4; k++) {
			bool sa = k & 1, sb = k & 2;
			int64_t four = (int32_t)c, lo = (int32_t)c, hi = (int32_t)c;

			for (int j = 0; j < 4; j++) {
				int64_t y = sb ? (int8_t)(b >> 8 * j) : (uint8_t)(b >> 8 * j);
				int64_t x = sa ? (int8_t)(a >> 8 * j) : (uint8_t)(a >> 8 * j);
				int64_t h = sa ? (int16_t)(a >> 16 * (j & 1))
					       : (uint16_t)(a >> 16 * (j & 1));

				four += x * y;
				(j < 2 ? lo : hi) += h * y;
			}
			auto inst = [&](ir_op op, int sub) {
				return Inst(op, sa ? IR_S32 : IR_U32)
					.From(sb ? IR_S32 : IR_U32)
					.Sub(sub);
			};
			ASSERT_EQ((uint32_t)four, (uint32_t)Eval(inst(IR_OP_DP4A, 0), { a, b, c }));
			ASSERT_EQ((uint32_t)lo, (uint32_t)Eval(inst(IR_OP_DP2A, 0), { a, b, c }));
			ASSERT_EQ((uint32_t)hi, (uint32_t)Eval(inst(IR_OP_DP2A, 1), { a, b, c }));
		}
	}
}

TEST(RtSelect, IntegerComparisons)
{
	struct {
		ir_cmp cmp;
		bool s[3], u[3]; /* a, b: (-1, 1), (1, -1), (5, 5) */
	} rows[] = {
		{ IR_EQ, { 0, 0, 1 }, { 0, 0, 1 } }, { IR_NE, { 1, 1, 0 }, { 1, 1, 0 } },
		{ IR_LT, { 1, 0, 0 }, { 0, 1, 0 } }, { IR_LE, { 1, 0, 1 }, { 0, 1, 1 } },
		{ IR_GT, { 0, 1, 0 }, { 1, 0, 0 } }, { IR_GE, { 0, 1, 1 }, { 1, 0, 1 } },
	};
	const uint64_t a[] = { 0xffffffff, 1, 5 }, b[] = { 1, 0xffffffff, 5 };

	for (auto &row : rows) {
		for (int i = 0; i < 3; i++) {
			EXPECT_EQ(row.s[i],
				  Eval(Inst(IR_OP_SETP, IR_S32).Cmp(row.cmp), { a[i], b[i] }));
			EXPECT_EQ(row.u[i],
				  Eval(Inst(IR_OP_SETP, IR_U32).Cmp(row.cmp), { a[i], b[i] }));
		}
	}
}

TEST(RtSelect, FloatComparisons)
{
	const double v[] = { 1, 2, NAN, -0.0, 0.0, INFINITY };
	const ir_type types[] = { IR_F32, IR_F64, IR_F16, IR_BF16 };

	for (auto t : types) {
		for (double x : v) {
			for (double y : v) {
				Inst cvt = Inst(IR_OP_CVT, t).From(IR_F64);
				uint64_t a = Eval(cvt, { D(x) }), b = Eval(cvt, { D(y) });
				bool un = std::isnan(x) || std::isnan(y);
				bool want[] = { x == y,	      !un && x != y, x<y, x <= y, x> y,
						x >= y,	      un || x == y,  un || x != y,
						un || x < y,  un || x <= y,  un || x > y,
						un || x >= y, !un,	     un };

				for (int c = IR_EQ; c <= IR_NAN; c++) {
					Result r = EvalAll(Inst(IR_OP_SETP, t).Cmp((ir_cmp)c),
							   { a, b });

					ASSERT_EQ(0, r.r);
					ASSERT_EQ(want[c], r.d[0].lo) << x << " " << c << " " << y;
					ASSERT_EQ(!want[c], r.d[1].lo);
				}
			}
		}
	}
	EXPECT_EQ(1u, Eval(Inst(IR_OP_SETP, IR_F32).Cmp(IR_EQ).Ftz(), { 1, 0x80000002 }));
}

TEST(RtSelect, BooleanCombination)
{
	for (int c = 0; c < 2; c++) {
		for (int t = 0; t < 2; t++) {
			std::vector<uint64_t> s = { 1, t ? 1u : 2u, (uint64_t)c };
			auto run = [&](ir_bool b) {
				return EvalAll(Inst(IR_OP_SETP, IR_U32).Cmp(IR_EQ).Bool(b), s);
			};

			EXPECT_EQ((uint64_t)(t && c), run(IR_BOOL_AND).d[0].lo);
			EXPECT_EQ((uint64_t)(!t && c), run(IR_BOOL_AND).d[1].lo);
			EXPECT_EQ((uint64_t)(t || c), run(IR_BOOL_OR).d[0].lo);
			EXPECT_EQ((uint64_t)(t ^ c), run(IR_BOOL_XOR).d[0].lo);
			EXPECT_EQ((uint64_t)(!t ^ c), run(IR_BOOL_XOR).d[1].lo);
		}
	}
}

TEST(RtSelect, PackedComparisonHasTwoAnswers)
{
	Result r = EvalAll(Inst(IR_OP_SETP, IR_F16X2).Cmp(IR_LT), { 0x40003c00, 0x3c004000 });

	EXPECT_EQ(1u, r.d[0].lo) << "low: 1 < 2";
	EXPECT_EQ(0u, r.d[1].lo) << "high: 2 < 1";
	EXPECT_EQ(0x00003c00u, Eval(Inst(IR_OP_SET, IR_F16X2).From(IR_F16X2).Cmp(IR_LT),
				    { 0x40003c00, 0x3c004000 }));
	EXPECT_EQ(0x0000ffffu, Eval(Inst(IR_OP_SET, IR_U32).From(IR_F16X2).Cmp(IR_LT),
				    { 0x40003c00, 0x3c004000 }));
}

TEST(RtSelect, SetSelpSlct)
{
	EXPECT_EQ(0xffffffffu, Eval(Inst(IR_OP_SET, IR_U32).From(IR_S32).Cmp(IR_LT), { 1, 2 }));
	EXPECT_EQ(F(1), Eval(Inst(IR_OP_SET, IR_F32).From(IR_F32).Cmp(IR_LT), { F(1), F(2) }));
	EXPECT_EQ(0u, Eval(Inst(IR_OP_SET, IR_F32).From(IR_S32).Cmp(IR_GT), { 1, 2 }));
	EXPECT_EQ(0x3f80u, Eval(Inst(IR_OP_SET, IR_BF16).From(IR_BF16).Cmp(IR_EQ), { 7, 7 }));
	EXPECT_EQ(7u, Eval(Inst(IR_OP_SELP, IR_U32), { 7, 8, 1 }));
	EXPECT_EQ(8u, Eval(Inst(IR_OP_SELP, IR_U64), { 7, 8, 0 }));
	Inst slct = Inst(IR_OP_SLCT, IR_U32).From(IR_F32);
	EXPECT_EQ(7u, Eval(slct, { 7, 8, F(-0.0f) }));
	EXPECT_EQ(8u, Eval(slct, { 7, 8, F(-1) }));
	EXPECT_EQ(8u, Eval(slct, { 7, 8, F(NAN) }));
	EXPECT_EQ(7u, Eval(slct.Ftz(), { 7, 8, 0x80000001 }));
	EXPECT_EQ(8u, Eval(Inst(IR_OP_SLCT, IR_U64).From(IR_S32), { 7, 8, 0x80000000 }));
}

TEST(RtMove, PackAndUnpack)
{
	Inst unpack(IR_OP_UNPACK, IR_U64);

	EXPECT_EQ(0x0004000300020001ull, Eval(Inst(IR_OP_PACK, IR_U64), { 1, 2, 3, 4 }));
	EXPECT_EQ(0x0000000200000001ull, Eval(Inst(IR_OP_PACK, IR_U64), { 1, 2 }));
	EXPECT_EQ(0x0201u, Eval(Inst(IR_OP_PACK, IR_U16), { 1, 0xf02 }));
	Result r = EvalAll(Inst(IR_OP_PACK, IR_U128), { 1, 2 });
	EXPECT_EQ(1u, r.d[0].lo);
	EXPECT_EQ(2u, r.d[0].hi);
	unpack.nd = 4;
	r = EvalAll(unpack, { 0x8004000300020001ull });
	EXPECT_EQ(1u, r.d[0].lo);
	EXPECT_EQ(0x8004u, r.d[3].lo);
}

TEST(RtMove, Addresses)
{
	Inst cvta(IR_OP_CVTA, IR_U64), is(IR_OP_ISSPACEP, IR_U64);

	cvta.space = is.space = IR_SPACE_SHARED;
	uint64_t g = Eval(cvta, { 0x40 });
	EXPECT_EQ(1u, Eval(is, { g }));
	cvta.op = IR_OP_CVTA_TO;
	EXPECT_EQ(0x40u, Eval(cvta, { g }));
	is.space = IR_SPACE_GLOBAL;
	EXPECT_EQ(0u, Eval(is, { g }));
	EXPECT_EQ(1u, Eval(is, { 0x700000000000ull }));
	cvta.space = IR_SPACE_GLOBAL;
	EXPECT_EQ(0x700000000000ull, Eval(cvta, { 0x700000000000ull }));
}

} // namespace

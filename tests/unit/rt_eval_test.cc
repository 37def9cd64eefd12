/* SPDX-License-Identifier: MIT */
/*
 * rt_eval() as a whole: any instruction with any modifiers is answered or refused, never worse, and the
 * promises of rt.h about sources and results hold for all of them.
 */
#include "rt_eval.hh"

namespace {

struct Row {
	ir_op op;
	int nd, ns;
};
const Row kRows[] = {
#define IR_OP(NAME, text, nd, ns) { IR_OP_##NAME, nd, ns },
#include "cuse_dev/backend/soft/ir/ir_op.def"
#undef IR_OP
};

Inst RandomInst(Rng &g, const Row &row)
{
	Inst in(row.op, (ir_type)(g() % IR_TYPE_COUNT));
	uint64_t flags = g();

	in.nd = (uint8_t)(row.nd < 0 ? 1 + g() % 4 : row.nd);
	in.type2 = (uint8_t)(g() % IR_TYPE_COUNT);
	in.round = (uint8_t)(g() % (IR_APPROX + 1));
	in.cmp = (uint8_t)(g() % (IR_NAN + 1));
	in.boolop = (uint8_t)(g() % 4);
	in.sub = (uint8_t)(flags >> 32 & 1 ? g() : g() % 3);
	in.space = (uint8_t)(g() % (IR_SPACE_FRAME + 1));
	in.ftz = flags & 1;
	in.sat = (flags & 6) == 6;
	in.nan = flags & 8;
	in.relu = (flags & 48) == 48;
	in.xorsign = (flags & 192) == 192;
	in.integer_round = flags & 256;
	return in;
}

TEST(RtEval, AnythingIsAnsweredOrRefused)
{
	Rng g(11);
	long answered = 0;

	for (int i = 0; i < 300000; i++) {
		const Row &row = kRows[g() % (sizeof(kRows) / sizeof(kRows[0]))];
		Inst in = RandomInst(g, row);
		uint32_t ns = row.ns < 0 ? 1 + g() % 4 : (uint32_t)row.ns;
		rt_value s[5], d[5], again[5];

		for (auto &v : s)
			v = { g() >> (g() & 63), g() };
		memset(d, 0x5a, sizeof(d));
		memset(again, 0x5a, sizeof(again));
		in.ns = (uint8_t)ns;
		int r = rt_eval(&in, s, d);
		ASSERT_TRUE(r == 0 || r == -ENOTSUP) << r;
		if (r < 0) {
			ASSERT_EQ(0, memcmp(d, again, sizeof(d)))
				<< "untouched on refusal: op " << in.op;
			continue;
		}
		answered++;
		for (uint32_t k = in.nd; k < 5; k++)
			ASSERT_EQ(0x5a5a5a5a5a5a5a5aull, d[k].lo) << "wrote past nd: op " << in.op;
		ASSERT_EQ(0, rt_eval(&in, s, again));
		ASSERT_EQ(0, memcmp(d, again, sizeof(d)))
			<< "same sources, same result: op " << in.op;
	}
	EXPECT_GT(answered, 20000);
}

/* Arithmetic: what lies above the type's bits in a source does not matter. */
TEST(RtEval, UpperBitsOfSourcesDoNotCount)
{
	Rng g(12);

	for (int i = 0; i < 100000; i++) {
		const Row &row = kRows[g() % (IR_OP_SLCT - 1)];
		Inst in = RandomInst(g, row);
		uint32_t bits = ir_type_bits((ir_type)in.type);
		rt_value s[5], t[5], d[5] = {}, e[5] = {};

		/* Operations whose sources have widths of their own are tested elsewhere. */
		if (bits >= 64 || row.ns < 0 || in.op == IR_OP_MAD_WIDE || in.op == IR_OP_SHL ||
		    in.op == IR_OP_SHR || in.op == IR_OP_BFE || in.op == IR_OP_BFI ||
		    in.op == IR_OP_LOP3 || in.op == IR_OP_LOP3P || in.op == IR_OP_SET || bits < 8)
			continue;
		for (int k = 0; k < 5; k++) {
			s[k] = { g(), g() };
			t[k] = { (s[k].lo & ((1ull << bits) - 1)) | g() << bits, g() };
		}
		in.ns = (uint8_t)row.ns;
		if (rt_eval(&in, s, d) == 0) {
			ASSERT_EQ(0, rt_eval(&in, t, e));
			ASSERT_EQ(d[0].lo, e[0].lo) << "op " << in.op << " type " << (int)in.type;
		}
	}
}

} // namespace

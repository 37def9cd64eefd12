/* SPDX-License-Identifier: MIT */
/*
 * How the rt tests write instructions: Eval(Op(...), {sources}).
 */
#ifndef RT_EVAL_HH
#define RT_EVAL_HH

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

extern "C" {
#include "cuse_dev/backend/soft/rt/num.h"
#include "cuse_dev/backend/soft/rt/rt.h"
}

struct Inst : ir_inst {
	Inst(ir_op o, ir_type t) : ir_inst()
	{
		op = (uint16_t)o;
		type = (uint8_t)t;
		guard = -1;
		nd = o == IR_OP_ADDC || o == IR_OP_SUBC || o == IR_OP_MADC_LO ||
				     o == IR_OP_MADC_HI || o == IR_OP_SETP || o == IR_OP_LOP3P
			     ? 2
			     : 1;
	}
	Inst &From(ir_type t)
	{
		type2 = (uint8_t)t;
		return *this;
	}
	Inst &Round(int r)
	{
		round = (uint8_t)r;
		return *this;
	}
	Inst &Integral()
	{
		integer_round = true;
		return *this;
	}
	Inst &Sub(int s)
	{
		sub = (uint8_t)s;
		return *this;
	}
	Inst &Cmp(ir_cmp c)
	{
		cmp = (uint8_t)c;
		return *this;
	}
	Inst &Bool(ir_bool b)
	{
		boolop = (uint8_t)b;
		return *this;
	}
	Inst &Ftz(bool on = true)
	{
		ftz = on;
		return *this;
	}
	Inst &Sat()
	{
		sat = true;
		return *this;
	}
	Inst &Relu()
	{
		relu = true;
		return *this;
	}
	Inst &Nan()
	{
		nan = true;
		return *this;
	}
	Inst &Xorsign()
	{
		xorsign = true;
		return *this;
	}
};

struct Result {
	int r;
	rt_value d[4];
};

inline Result EvalAll(Inst in, const std::vector<uint64_t> &src)
{
	/* What lies above a source's type must not matter. */
	rt_value s[5];
	Result out = {};

	in.ns = (uint8_t)src.size();
	for (size_t i = 0; i < src.size(); i++)
		s[i] = { src[i], 0xdeadbeefdeadbeefull };
	out.r = rt_eval(&in, s, out.d);
	return out;
}

inline uint64_t Eval(const Inst &in, const std::vector<uint64_t> &src)
{
	Result out = EvalAll(in, src);

	EXPECT_EQ(0, out.r) << "op " << in.op << " type " << (int)in.type;
	return out.d[0].lo;
}

inline uint64_t F(float f)
{
	return rt_bits_f32(f);
}
inline uint64_t D(double d)
{
	return rt_bits_f64(d);
}
inline float ToF(uint64_t u)
{
	return rt_f32((uint32_t)u);
}
inline double ToD(uint64_t u)
{
	return rt_f64(u);
}

/* A stream of bits that repeats from run to run. */
struct Rng {
	uint64_t s;

	explicit Rng(uint64_t seed = 1) : s(seed * 0x9e3779b97f4a7c15ull + 1) {}
	uint64_t operator()()
	{
		s ^= s << 13;
		s ^= s >> 7;
		s ^= s << 17;
		return s * 0x2545f4914f6cdd1dull;
	}
};

/* Floats of which many are special, and pairs of which many lie close together. */
inline uint32_t RandomF32(Rng &g)
{
	static const uint32_t special[] = { 0,		0x80000000, 0x3f800000, 0xbf800000,
					    0x7f800000, 0xff800000, 0x7fc00000, 1,
					    0x80000001, 0x7fffff,   0x800000,	0x7f7fffff,
					    0xff7fffff, 0x3f7fffff, 0x3f800001 };
	uint64_t r = g();

	switch (r >> 61) {
	case 0:
		return special[(r >> 8) % (sizeof(special) / sizeof(special[0]))];
	case 1:
		return (uint32_t)(r & 0x807fffff) | (uint32_t)(120 + (r >> 40) % 16) << 23;
	case 2:
		return (uint32_t)(r & 0x80ffffff);
	default:
		return (uint32_t)r;
	}
}

inline uint64_t RandomF64(Rng &g)
{
	static const uint64_t special[] = { 0,
					    1ull << 63,
					    0x3ff0000000000000,
					    0x7ff0000000000000,
					    0xfff0000000000000,
					    0x7ff8000000000000,
					    1,
					    0x000fffffffffffff,
					    0x0010000000000000,
					    0x7fefffffffffffff,
					    0x3ff0000000000001 };
	uint64_t r = g();

	switch (g() >> 61) {
	case 0:
		return special[(r >> 8) % (sizeof(special) / sizeof(special[0]))];
	case 1:
		return (r & 0x800fffffffffffffull) | (1010 + (r >> 54) % 24) << 52;
	case 2:
		return r & 0x801fffffffffffffull;
	default:
		return r;
	}
}

#endif

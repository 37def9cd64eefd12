// SPDX-License-Identifier: MIT
// generate.cc - see generate.h. One method per kind of statement; each leaves the kernel valid.
#include "ptx/random/generate.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

namespace {

// Registers that statements read and write; the kernel's own have other names.
enum { R = 8, D = 4, F = 6, E = 3, P = 4 };

class Generator {
public:
	explicit Generator(uint64_t seed) : rng(seed) {}

	std::string kernel()
	{
		std::string all;

		uint32_t most = chance(25) ? 1 + pick(2) : 0;

		while ((uint32_t)functions < most) {
			function();
			all += text;
			functions++;
		}
		head();
		block(0, 12 + pick(30));
		together = false;
		block(0, pick(12));
		tail();
		return start() + all + text;
	}

private:
	std::mt19937_64 rng;
	std::string text;
	int labels = 0;
	int loops = 0;
	int functions = 0;    // that exist so far
	bool inside = false;  // of a function
	bool together = true; // all threads of a block still come by: none has left

	uint32_t pick(uint32_t n) { return (uint32_t)(rng() % n); }
	bool chance(uint32_t percent) { return pick(100) < percent; }
	template <size_t N> const char *one(const char *const (&list)[N]) { return list[pick(N)]; }

	__attribute__((format(printf, 2, 3))) void put(const char *format, ...)
	{
		char line[512];
		va_list ap;

		va_start(ap, format);
		vsnprintf(line, sizeof(line), format, ap);
		va_end(ap);
		text += "\t";
		text += line;
		text += "\n";
	}
	static std::string reg(const char *kind, uint32_t n)
	{
		return "%" + std::string(kind) + std::to_string(n);
	}
	std::string r() { return reg("r", pick(R)); }
	std::string d() { return reg("d", pick(D)); }
	std::string f() { return reg("f", pick(F)); }
	std::string e() { return reg("e", pick(E)); }
	std::string p() { return reg("p", pick(P)); }

	// Source of 32 bits: often a register, else a number that is likely to matter.
	std::string s32()
	{
		static const char *const odd[] = { "0",	 "1",  "-1",	     "2",    "31",
						   "32", "33", "0x80000000", "255",  "0x7fffffff",
						   "4",	 "7",  "0xff00ff",   "1000", "-65536" };

		return chance(75) ? r() : one(odd);
	}
	std::string s64()
	{
		static const char *const odd[] = { "0",
						   "1",
						   "-1",
						   "63",
						   "0x8000000000000000",
						   "0xffffffff",
						   "0x123456789abcdef" };

		return chance(75) ? d() : one(odd);
	}
	std::string sf()
	{
		static const char *const odd[] = { "0f00000000", "0f80000000", "0f3f800000",
						   "0fbf000000", "0f7f800000", "0f7fc00000",
						   "0f00000001", "0f7f7fffff", "0f42280000" };

		return chance(80) ? f() : one(odd);
	}
	// "@%p1 " or nothing
	std::string guard()
	{
		return chance(80) ? "" : "@" + std::string(chance(30) ? "!" : "") + p() + " ";
	}

	// ---- straight lines ------------------------------------------------------------------

	void int32()
	{
		static const char *const two[] = {
			"add.u32",     "sub.s32",     "mul.lo.u32",   "mul.hi.u32", "mul.hi.s32",
			"and.b32",     "or.b32",      "xor.b32",      "min.s32",    "min.u32",
			"max.s32",     "max.u32",     "shl.b32",      "shr.u32",    "shr.s32",
			"add.sat.s32", "sub.sat.s32", "mul24.lo.u32", "div.u32",    "rem.u32",
		};
		static const char *const one_of[] = { "not.b32",	   "neg.s32",	"abs.s32",
						      "popc.b32",	   "clz.b32",	"brev.b32",
						      "cnot.b32",	   "bfind.u32", "bfind.s32",
						      "bfind.shiftamt.u32" };
		static const char *const three[] = {
			"mad.lo.s32",	"mad.hi.u32",	   "sad.u32",	     "sad.s32",
			"bfe.u32",	"bfe.s32",	   "mad24.lo.s32",   "dp4a.u32.s32",
			"dp4a.s32.s32", "dp2a.lo.s32.u32", "shf.l.wrap.b32", "shf.r.clamp.b32",
			"prmt.b32"
		};
		std::string g = guard();

		switch (pick(8)) {
		case 0:
			put("%s%s %s, %s;", g.c_str(), one(one_of), r().c_str(), r().c_str());
			break;
		case 1:
		case 2:
			put("%s%s %s, %s, %s, %s;", g.c_str(), one(three), r().c_str(), r().c_str(),
			    s32().c_str(), s32().c_str());
			break;
		case 3:
			put("%slop3.b32 %s, %s, %s, %s, %u;", g.c_str(), r().c_str(), r().c_str(),
			    r().c_str(), s32().c_str(), pick(256));
			break;
		case 4:
			put("%sbfi.b32 %s, %s, %s, %s, %s;", g.c_str(), r().c_str(), r().c_str(),
			    r().c_str(), s32().c_str(), s32().c_str());
			break;
		default:
			put("%s%s %s, %s, %s;", g.c_str(), one(two), r().c_str(), r().c_str(),
			    s32().c_str());
		}
	}

	void int64()
	{
		static const char *const two[] = { "add.u64", "sub.s64", "mul.lo.s64", "mul.hi.u64",
						   "and.b64", "or.b64",	 "xor.b64",    "min.s64",
						   "max.u64", "div.u64", "rem.s64" };
		static const char *const shift[] = { "shl.b64", "shr.u64", "shr.s64" };
		static const char *const wide[] = { "mul.wide.u32", "mul.wide.s32" };
		static const char *const mad[] = { "mad.wide.u32", "mad.wide.s32" };

		switch (pick(5)) {
		case 0:
			put("%s %s, %s, %s;", one(shift), d().c_str(), d().c_str(), s32().c_str());
			break;
		case 1:
			put("%s %s, %s, %s;", one(wide), d().c_str(), r().c_str(), s32().c_str());
			break;
		case 2:
			put("%s %s, %s, %s, %s;", one(mad), d().c_str(), r().c_str(), s32().c_str(),
			    d().c_str());
			break;
		default:
			put("%s%s %s, %s, %s;", guard().c_str(), one(two), d().c_str(), d().c_str(),
			    s64().c_str());
		}
	}

	void float32()
	{
		static const char *const two[] = {
			"add.rn.f32",	  "sub.rn.f32",	    "mul.rn.f32",  "div.rn.f32",
			"min.f32",	  "max.f32",	    "add.rz.f32",  "mul.rp.f32",
			"add.rn.ftz.f32", "mul.rn.ftz.f32", "min.NaN.f32", "copysign.f32",
			"add.rn.sat.f32", "sub.rm.f32"
		};
		static const char *const one_of[] = { "neg.f32", "abs.f32", "sqrt.rn.f32",
						      "rcp.rn.f32", "sqrt.rz.f32" };

		switch (pick(4)) {
		case 0:
			put("%s%s %s, %s;", guard().c_str(), one(one_of), f().c_str(), f().c_str());
			break;
		case 1:
			put("%sfma.rn%s.f32 %s, %s, %s, %s;", guard().c_str(),
			    chance(20) ? ".ftz" : "", f().c_str(), f().c_str(), sf().c_str(),
			    sf().c_str());
			break;
		default:
			put("%s%s %s, %s, %s;", guard().c_str(), one(two), f().c_str(), f().c_str(),
			    sf().c_str());
		}
	}

	void float64()
	{
		static const char *const two[] = { "add.rn.f64", "sub.rn.f64", "mul.rn.f64",
						   "div.rn.f64", "min.f64",    "max.f64",
						   "mul.rz.f64" };

		if (chance(30))
			put("fma.rn.f64 %s, %s, %s, %s;", e().c_str(), e().c_str(), e().c_str(),
			    e().c_str());
		else
			put("%s%s %s, %s, %s;", guard().c_str(), one(two), e().c_str(), e().c_str(),
			    e().c_str());
	}

	void convert()
	{
		static const char *const narrow[] = { "cvt.s32.s8",	 "cvt.u32.u8",
						      "cvt.s32.s16",	 "cvt.sat.s8.s32",
						      "cvt.sat.u16.u32", "cvt.sat.u8.s32",
						      "cvt.sat.u32.s32" };

		switch (pick(12)) {
		case 0:
			put("cvt.u32.u64 %s, %s;", r().c_str(), d().c_str());
			break;
		case 1:
			put("cvt.%s %s, %s;", chance(50) ? "u64.u32" : "s64.s32", d().c_str(),
			    r().c_str());
			break;
		case 2:
			put("cvt.%s %s, %s;", chance(50) ? "rn.f32.s32" : "rz.f32.u32", f().c_str(),
			    r().c_str());
			break;
		case 3:
			put("cvt.%s %s, %s;", chance(50) ? "rzi.s32.f32" : "rni.u32.f32",
			    r().c_str(), f().c_str());
			break;
		case 4:
			put("cvt.f64.f32 %s, %s;", e().c_str(), f().c_str());
			break;
		case 5:
			put("cvt.%s.f32.f64 %s, %s;", chance(50) ? "rn" : "rz", f().c_str(),
			    e().c_str());
			break;
		case 6:
			put("cvt.rn.f64.%s %s, %s;", chance(50) ? "s64" : "u64", e().c_str(),
			    d().c_str());
			break;
		case 7:
			put("cvt.rzi.%s.f64 %s, %s;", chance(50) ? "s64" : "u64", d().c_str(),
			    e().c_str());
			break;
		case 8:
			put("mov.b32 %s, %s;", r().c_str(), f().c_str());
			break;
		case 9:
			put("mov.b32 %s, %s;", f().c_str(), r().c_str());
			break;
		case 10:
			put("{.reg .b16 %%h; cvt.rn.f16.f32 %%h, %s; cvt.f32.f16 %s, %%h;}",
			    f().c_str(), f().c_str());
			break;
		default:
			put("%s %s, %s;", one(narrow), r().c_str(), r().c_str());
		}
	}

	void compare()
	{
		static const char *const ints[] = { "eq.u32", "ne.s32", "lt.s32", "lt.u32",
						    "ge.s32", "gt.u32", "le.s32" };
		static const char *const floats[] = { "lt.f32",	 "gt.f32",  "equ.f32",	 "neu.f32",
						      "num.f32", "nan.f32", "le.ftz.f32" };
		static const char *const logic[] = { "and", "or", "xor" };

		switch (pick(5)) {
		case 0:
			put("setp.%s %s, %s, %s;", one(floats), p().c_str(), f().c_str(),
			    sf().c_str());
			break;
		case 1: {
			uint32_t a = pick(P), b = (a + 1 + pick(P - 1)) % P;

			put("setp.lt.%s.s32 %%p%u|%%p%u, %s, %s, %s;", one(logic), a, b,
			    r().c_str(), s32().c_str(), p().c_str());
			break;
		}
		case 2:
			put("%s.pred %s, %s, %s;", one(logic), p().c_str(), p().c_str(),
			    p().c_str());
			break;
		case 3:
			put("set.%s.u32.s32 %s, %s, %s;", chance(50) ? "lt" : "ge", r().c_str(),
			    r().c_str(), s32().c_str());
			break;
		default:
			put("setp.%s %s, %s, %s;", one(ints), p().c_str(), r().c_str(),
			    s32().c_str());
		}
	}

	void select()
	{
		switch (pick(4)) {
		case 0:
			put("selp.f32 %s, %s, %s, %s;", f().c_str(), f().c_str(), sf().c_str(),
			    p().c_str());
			break;
		case 1:
			put("slct.s32.s32 %s, %s, %s, %s;", r().c_str(), r().c_str(), s32().c_str(),
			    r().c_str());
			break;
		case 2:
			put("selp.b64 %s, %s, %s, %s;", d().c_str(), d().c_str(), s64().c_str(),
			    p().c_str());
			break;
		default:
			put("selp.b32 %s, %s, %s, %s;", r().c_str(), r().c_str(), s32().c_str(),
			    p().c_str());
		}
	}

	// Pairs of halves, whatever stands in a register.
	void packed()
	{
		static const char *const two[] = {
			"add.f16x2",  "sub.rn.f16x2",	"mul.f16x2",	 "min.f16x2",
			"max.f16x2",  "max.NaN.f16x2",	"add.sat.f16x2", "mul.ftz.f16x2",
			"min.bf16x2", "max.NaN.bf16x2",
		};
		static const char *const one_of[] = { "neg.f16x2", "abs.f16x2", "abs.bf16x2",
						      "ex2.approx.f16x2", "tanh.approx.f16x2" };
		static const char *const three[] = { "fma.rn.f16x2", "fma.rn.sat.f16x2",
						     "fma.rn.relu.f16x2", "fma.rn.bf16x2" };

		switch (pick(7)) {
		case 0:
			put("%s%s %s, %s;", guard().c_str(), one(one_of), r().c_str(), r().c_str());
			break;
		case 1:
			put("%s%s %s, %s, %s, %s;", guard().c_str(), one(three), r().c_str(),
			    r().c_str(), r().c_str(), r().c_str());
			break;
		case 2: {
			uint32_t a = pick(P), b = (a + 1 + pick(P - 1)) % P;

			put("setp.%s.f16x2 %%p%u|%%p%u, %s, %s;", chance(50) ? "lt" : "neu", a, b,
			    r().c_str(), r().c_str());
			break;
		}
		case 3:
			put("set.%s.f16x2.f16x2 %s, %s, %s;", chance(50) ? "ge" : "nan",
			    r().c_str(), r().c_str(), r().c_str());
			break;
		case 4:
			put("cvt.rn.%s.f32 %s, %s, %s;", chance(50) ? "f16x2" : "bf16x2",
			    r().c_str(), f().c_str(), sf().c_str());
			break;
		default:
			put("%s%s %s, %s, %s;", guard().c_str(), one(two), r().c_str(), r().c_str(),
			    r().c_str());
		}
	}

	// ---- memory --------------------------------------------------------------------------

	// An index below 8 in %i, as an address in %a.
	void local()
	{
		put("and.b32 %%i, %s, 7;", r().c_str());
		put("mul.wide.u32 %%a, %%i, 4;");
		put("mov.u64 %%b, loc;");
		put("add.s64 %%a, %%a, %%b;");
		if (chance(50))
			put("%sst.local.u32 [%%a], %s;", guard().c_str(), r().c_str());
		else if (chance(30))
			put("ld.local.s8 %s, [%%a+%u];", r().c_str(), pick(4));
		else
			put("%sld.local.u32 %s, [%%a];", guard().c_str(), r().c_str());
	}

	void global()
	{
		switch (pick(4)) {
		case 0: // an own word of the input, at an address that varies
			put("and.b32 %%i, %s, %u;", r().c_str(), RANDOM_IN - 1);
			put("mad.wide.u32 %%a, %%i, 4, %%in;");
			put("ld.global.%s %s, [%%a];", chance(30) ? "nc.u32" : "u32", r().c_str());
			break;
		case 1: // the same word for all
			put("ld.global.u32 %s, [%%in0+%u];", r().c_str(), 4 * pick(RANDOM_IN));
			break;
		case 2:
			put("ld.global.v4.f32 {%%f0, %%f1, %%f2, %%f3}, [%%in+%u];", 16 * pick(2));
			break;
		default: {
			static const char *const ops[] = { "add.u32", "min.u32", "max.s32",
							   "xor.b32", "or.b32",	 "and.b32" };
			uint32_t op = pick(6);

			// One word for each operation: different ones on one would not commute.
			put("%sred.global.%s [%%sums+%u], %s;", guard().c_str(), ops[op], 4 * op,
			    r().c_str());
		}
		}
	}

	// On words that belong to the thread alone, so that what comes back is known: two at the end
	// of its results, and the one in shared memory.
	void atomic()
	{
		static const char *const two[] = { "add.u32", "min.s32", "max.u32", "exch.b32",
						   "and.b32", "or.b32",	 "xor.b32", "inc.u32",
						   "dec.u32", "add.f32", "min.u32", "max.s32" };
		static const char *const wide[] = { "add.u64", "exch.b64", "min.s64",
						    "max.u64", "and.b64",  "xor.b64" };
		static const char *const sem[] = { "", ".relaxed.gpu", ".acquire.cta",
						   ".release.sys", ".acq_rel.gpu" };
		std::string to = chance(50) ? ".shared" : ".global",
			    at = to == ".shared" ? "[%mine]"
				 : chance(50)	 ? "[%out+120]"
						 : "[%out+124]";
		const char *s = one(sem), *op = one(two);
		std::string g = guard();

		switch (pick(6)) {
		case 0:
			put("%satom%s%s.cas.b32 %s, %s, %s, %s;", g.c_str(), s, to.c_str(),
			    r().c_str(), at.c_str(), s32().c_str(), s32().c_str());
			break;
		case 1:
			put("%satom%s.global.%s %s, [%%out+120], %s;", g.c_str(), s, one(wide),
			    d().c_str(), s64().c_str());
			break;
		case 2:
			put("%satom%s.global.cas.b64 %s, [%%out+120], %s, %s;", g.c_str(), s,
			    d().c_str(), d().c_str(), d().c_str());
			break;
		case 3:
			put("%satom%s%s.add.noftz.f16x2 %s, %s, %s;", g.c_str(), s, to.c_str(),
			    r().c_str(), at.c_str(), r().c_str());
			break;
		default:
			if (strstr(op, "f32"))
				put("%satom%s%s.%s %s, %s, %s;", g.c_str(), s, to.c_str(), op,
				    f().c_str(), at.c_str(), sf().c_str());
			else
				put("%satom%s%s.%s %s, %s, %s;", g.c_str(), s, to.c_str(), op,
				    r().c_str(), at.c_str(), s32().c_str());
		}
	}

	// ---- where all threads come ----------------------------------------------------------

	void exchange()
	{
		put("st.shared.u32 [%%mine], %s;", r().c_str());
		put("bar.sync 0;");
		put("add.u32 %%i, %%tx, %s;", s32().c_str());
		put("rem.u32 %%i, %%i, %%nt;");
		put("mul.lo.u32 %%i, %%i, 4;");
		put("mov.u32 %%j, sh;");
		put("add.u32 %%i, %%i, %%j;");
		put("ld.shared.u32 %s, [%%i];", r().c_str());
		put("bar.sync 0;");
	}

	void lanes()
	{
		static const char *const shfl[] = { "up", "down", "bfly", "idx" };
		static const char *const redux[] = { "add.u32", "min.s32", "max.u32", "xor.b32" };
		const char *how = one(shfl);

		switch (pick(5)) {
		case 0:
			put("vote.sync.%s.pred %s, %s, %%warp;", chance(50) ? "any" : "all",
			    p().c_str(), p().c_str());
			break;
		case 1:
			put("vote.sync.ballot.b32 %s, %s, %%warp;", r().c_str(), p().c_str());
			break;
		case 2:
			put("redux.sync.%s %s, %s, %%warp;", one(redux), r().c_str(), r().c_str());
			break;
		case 3:
			put("match.any.sync.b32 %s, %s, %%warp;", r().c_str(), r().c_str());
			break;
		default:
			// A lane that does not exist gives no value that one could rely on.
			put("shfl.sync.%s.b32 %%i|%%q, %s, %s, %s, %%warp;", how, r().c_str(),
			    (chance(50) ? r() : std::to_string(pick(32))).c_str(),
			    how[0] == 'u' ? "0" : "31");
			put("@%%full mov.b32 %s, %%i;", r().c_str());
		}
	}

	// ---- control -------------------------------------------------------------------------

	void branch(int depth)
	{
		int l = labels++;

		put("@%s%s bra ELSE%d;", chance(50) ? "!" : "", p().c_str(), l);
		block(depth + 1, 1 + pick(6));
		if (chance(60)) {
			put("bra JOIN%d;", l);
			text += "ELSE" + std::to_string(l) + ":\n";
			block(depth + 1, 1 + pick(6));
			text += "JOIN" + std::to_string(l) + ":\n";
		} else {
			text += "ELSE" + std::to_string(l) + ":\n";
		}
	}

	void loop(int depth)
	{
		int l = labels++, k = loops++;

		put("mov.u32 %%c%d, 0;", k);
		if (chance(60))
			put("and.b32 %%n%d, %s, 7;", k, r().c_str());
		else
			put("mov.u32 %%n%d, %u;", k, pick(6));
		text += "LOOP" + std::to_string(l) + ":\n";
		put("setp.ge.u32 %%q, %%c%d, %%n%d;", k, k);
		put("@%%q bra DONE%d;", l);
		block(depth + 1, 1 + pick(7));
		put("add.u32 %%c%d, %%c%d, 1;", k, k);
		if (chance(25))
			put("@%s bra DONE%d;", p().c_str(), l);
		put("bra LOOP%d;", l);
		text += "DONE" + std::to_string(l) + ":\n";
	}

	void table(int depth)
	{
		int l = labels++;
		std::string list;

		for (int i = 0; i < 4; i++)
			list += (i ? ", " : "") + ("CASE" + std::to_string(l)) + "_" +
				std::to_string(i);
		put("and.b32 %%i, %s, 3;", r().c_str());
		text += "TAB" + std::to_string(l) + ": .branchtargets " + list + ";\n";
		put("brx.idx %%i, TAB%d;", l);
		for (int i = 0; i < 4; i++) {
			text += "CASE" + std::to_string(l) + "_" + std::to_string(i) + ":\n";
			block(depth + 1, 1 + pick(3));
			if (i < 3 && chance(70))
				put("bra END%d;", l);
		}
		text += "END" + std::to_string(l) + ":\n";
	}

	// Some threads leave, with a word to show where.
	void leave()
	{
		std::string who = p();

		put("@%s st.global.u32 [%%out+116], %s;", who.c_str(), r().c_str());
		put("@%s %s;", who.c_str(), chance(50) ? "exit" : "ret");
	}

	// By name, or by address with the others of its kind.
	void call()
	{
		uint32_t which = pick((uint32_t)functions);
		std::string a = r(), b = sf(), to = r();
		int l = labels++;

		put("{.param .b32 x; .param .b32 y; .param .b32 z;");
		put("st.param.b32 [x], %s;", a.c_str());
		put("st.param.f32 [y], %s;", b.c_str());
		if (chance(70)) {
			put("call (z), fn%u, (x, y);", which);
		} else {
			put("PROTO%d: .callprototype (.param .b32 _) _ (.param .b32 _, .param .b32 "
			    "_);",
			    l);
			put("mov.u64 %%a, fn0;");
			if (functions > 1) {
				put("mov.u64 %%b, fn1;");
				put("selp.b64 %%a, %%a, %%b, %s;", p().c_str());
			}
			put("call (z), %%a, (x, y), PROTO%d;", l);
		}
		put("ld.param.b32 %s, [z];}", to.c_str());
	}

	void block(int depth, uint32_t n)
	{
		for (uint32_t i = 0; i < n; i++) {
			uint32_t k = pick(100);

			if (depth < 3 && k < 7)
				branch(depth);
			else if (depth < 3 && loops < 12 && k < 12)
				loop(depth);
			else if (depth < 2 && k < 14)
				table(depth);
			else if (depth == 0 && together && k < 20)
				exchange();
			else if (depth == 0 && together && k < 28)
				lanes();
			else if (!together && !inside && k < 18)
				leave();
			else if (functions && k < 31)
				call();
			else if (!inside && k < 35)
				atomic();
			else if (k < 39)
				packed();
			else if (k < 50)
				int32();
			else if (k < 58)
				int64();
			else if (k < 68)
				float32();
			else if (k < 72)
				float64();
			else if (k < 78)
				convert();
			else if (k < 86)
				compare();
			else if (k < 90)
				select();
			else if (k < 94)
				local();
			else if (inside)
				select();
			else
				global();
		}
	}

	// ---- around it -----------------------------------------------------------------------

	static const char *start() { return ".version 8.0\n.target sm_90\n.address_size 64\n"; }

	void registers()
	{
		put(".reg .b32 %%r<%d>, %%c<13>, %%n<13>, %%i, %%j, %%tx, %%nt, %%gid, %%warp, "
		    "%%mine;",
		    R);
		put(".reg .b64 %%d<%d>, %%in, %%in0, %%out, %%sums, %%a, %%b;", D);
		put(".reg .f32 %%f<%d>;", F);
		put(".reg .f64 %%e<%d>;", E);
		put(".reg .pred %%p<%d>, %%q, %%full;", P);
		put(".local .align 4 .b8 loc[32];");
	}

	// fnN(integer, float): registers of its own, all of them made of the two.
	void function()
	{
		text = ".func (.param .b32 z) fn" + std::to_string(functions) +
		       "(.param .b32 x, .param .b32 y)\n{\n";
		inside = true;
		loops = 0;
		registers();
		put("ld.param.b32 %%r0, [x];");
		put("ld.param.f32 %%f0, [y];");
		for (int i = 1; i < R; i++)
			put("mad.lo.s32 %%r%d, %%r%d, %u, %%r0;", i, i - 1, pick(9));
		values(1);
		block(1, 4 + pick(10));
		put("mov.b32 %%i, %s;", f().c_str());
		put("xor.b32 %%i, %%i, %s;", r().c_str());
		put("st.param.b32 [z], %%i;");
		put("ret;");
		text += "}\n";
		inside = false;
		loops = 0;
	}

	// Everything else from the integers.
	void values(int first_float)
	{
		for (int i = 0; i < D; i++)
			put("mov.b64 %%d%d, {%%r%d, %%r%d};", i, i, i + 3);
		for (int i = first_float; i < F; i++)
			put(i % 2 ? "mov.b32 %%f%d, %%r%d;" : "cvt.rn.f32.s32 %%f%d, %%r%d;", i, i);
		for (int i = 0; i < E; i++)
			put("cvt.rn.f64.s32 %%e%d, %%r%d;", i, i);
		for (int i = 0; i < P; i++)
			put("setp.lt.s32 %%p%d, %%r%d, %%r%d;", i, i, i + 1);
		put("mov.u64 %%a, loc;");
		for (int i = 0; i < 8; i++)
			put("st.local.u32 [%%a+%d], %%r%d;", 4 * i, i);
	}

	void head()
	{
		text = ".visible .entry k(.param .u64 p_in, .param .u64 p_out, .param .u64 "
		       "p_sums)\n{\n";
		registers();
		put(".shared .align 4 .b8 sh[%d];", RANDOM_THREADS * 4);
		put("ld.param.u64 %%in0, [p_in];");
		put("ld.param.u64 %%out, [p_out];");
		put("ld.param.u64 %%sums, [p_sums];");
		put("mov.u32 %%i, %%ntid.x;");
		put("mov.u32 %%j, %%tid.x;");
		put("mov.u32 %%tx, %%tid.y;");
		put("mad.lo.u32 %%tx, %%tx, %%i, %%j;");
		put("mov.u32 %%nt, %%ntid.y;");
		put("mul.lo.u32 %%nt, %%nt, %%i;");
		put("mov.u32 %%i, %%ctaid.x;");
		put("mad.lo.u32 %%gid, %%i, %%nt, %%tx;");
		put("mad.wide.u32 %%in, %%gid, %d, %%in0;", RANDOM_IN * 4);
		put("mad.wide.u32 %%out, %%gid, %d, %%out;", RANDOM_OUT * 4);
		put("mov.u32 %%mine, sh;");
		put("mad.lo.u32 %%mine, %%tx, 4, %%mine;");
		put("mov.b32 %%warp, -1;");
		put("activemask.b32 %%warp;");
		put("setp.eq.u32 %%full, %%warp, -1;");
		for (int i = 0; i < R; i++)
			put("ld.global.u32 %%r%d, [%%in+%d];", i, 4 * (i % RANDOM_IN));
		values(0);
		put("st.shared.u32 [%%mine], %%r4;");
		// Registers that depend on the thread's place alone: other shapes for a compiler.
		put("mov.u32 %%r1, %%gid;");
		put("mov.u32 %%r2, %%tid.x;");
		put("mov.u32 %%r5, %%tid.y;");
		put("mov.u32 %%r3, %%ctaid.x;");
	}

	void tail()
	{
		int at = 0;

		for (int i = 0; i < R; i++, at += 4)
			put("st.global.u32 [%%out+%d], %%r%d;", at, i);
		for (int i = 0; i < D; i++, at += 8)
			put("st.global.u64 [%%out+%d], %%d%d;", at, i);
		for (int i = 0; i < F; i++, at += 4)
			put("st.global.f32 [%%out+%d], %%f%d;", at, i);
		at = (at + 7) / 8 * 8;
		for (int i = 0; i < E; i++, at += 8)
			put("st.global.f64 [%%out+%d], %%e%d;", at, i);
		put("mov.u32 %%i, 0;");
		for (int i = 0; i < P; i++)
			put("@%%p%d or.b32 %%i, %%i, %d;", i, 1 << i);
		put("st.global.u32 [%%out+%d], %%i;", at);
		put("ret;");
		text += "}\n";
	}
};

} // namespace

std::string random_kernel(uint64_t seed)
{
	return Generator(seed).kernel();
}

// SPDX-License-Identifier: MIT
// Grammar of bodies: scopes, ranges, vectors, operand forms, labels; what is refused and where.
#include <gtest/gtest.h>

#include "unit/ptx_text.h"

namespace {

void good(const std::string &body, const std::string &before = "")
{
	PtxUnit u(ptx_kernel(body, before));

	EXPECT_EQ(0u, u.code) << body << "\n" << u.where();
	EXPECT_EQ("", u.verify()) << body << "\n" << u.ir();
}

void bad(const std::string &body, const std::string &where)
{
	PtxUnit u(ptx_kernel(body));

	EXPECT_EQ(218u, u.code) << body << "\n" << u.ir();
	EXPECT_EQ(where, u.where()) << body;
}

} // namespace

TEST(PtxBody, BlanksAndPredicates)
{
	good("@ ! %p1 add.s32 %r1 , %r2,-3;\n@%p1\tadd .s32 %r1,%r2,0x3;;");
	good("mov.pred %p1, 1; @!%p1 ret; @%p1 exit;");
}

TEST(PtxBody, ScopesHideAndEnd)
{
	good("{ .reg .b32 %r1; { .reg .u64 %r1; mov.u64 %r1, 5; } mov.u32 %r1, 5; } mov.u32 %r1, "
	     "5;");
	bad("{ .reg .b32 t; }\nmov.u32 t, 1;", "8:1: mov: the result must be a register");
	good("{ .reg .b32 %r<3>; mov.u32 %r2, 1; } mov.u32 %r19, 1;");
	bad("{ .reg .u64 %r<3>;\nmov.u32 %r2, 1; }",
	    "8:1: mov: register '%r' does not fit the type");
}

TEST(PtxBody, LabelsBelongToTheirScope)
{
	good("L: { L: add.s32 %r1,%r1,1; @%p1 bra L; } { L: @%p2 bra L; } @%p3 bra L;");
	bad("{ M: }\nbra M;", "8:1: bra: there is no label 'M'");
	bad("N:\nN: ret;", "8:4: label 'N' is defined twice");
}

TEST(PtxBody, VectorsAndSinks)
{
	good(".reg .v4 .f32 v; .reg .v2 .u32 w; mov.v2.u32 w, {0, %r1}; ld.global.v4.f32 v, "
	     "[%d1];\n"
	     "mov.f32 %r1, v.x; mov.b32 %r2, v.w; st.global.v2.b32 [%d1+-8], {%r1, _ignored};",
	     ".global .u32 _ignored;");
	good("ld.global.v4.u32 {%r1,_,%r2,_}, [%d1]; mov.b64 {%r1, _}, %d2; mov.b32 %r1, {%h1, "
	     "%h2};");
	good("mov.b128 %q1, {%d1, %d2}; mov.b128 {%d3, %d4}, %q1;");
	bad("ld.global.v4.u32 {%r1,%r2}, [%d1];", "7:1: ld: a vector of 4 is expected");
}

TEST(PtxBody, OperandForms)
{
	good("ld.param.u64 %d1, [p0]; ld.param.u32 %r1, [p1+0]; ld.global.u32 %r2, [x+4];\n"
	     "ld.u32 %r1, [%d1 - 4]; ld.global.u32 %r1, [64]; mov.u64 %d2, x+8; mov.u32 %r3, "
	     "2*(3+WARP_SZ);\n"
	     "st.global.u32 [%d1].unified, %r1; setp.lt.and.u32 %p1|%p2, %r1, %r2, !%p3;\n"
	     "shfl.sync.idx.b32 %r1|%p1, %r2, 0, 31, -1; mov.u32 %r1, %tid.x; mov.u32 %r1, "
	     "%envreg2;",
	     ".global .u32 x[4];");
	bad("ld.param.u32 %r1, [nope];", "7:1: ld: 'nope' is not declared");
	bad("ld.shared.u32 %r1, [p1];", "7:1: ld: 'p1' is in another state space");
	bad("add.s32 %r1, %r2;", "7:1: add: 2 operands are wrong here");
	bad("add.s32 %r1, %r2, %d1;", "7:1: add: register '%d' does not fit the type");
	bad("add.f32 %r1, %r2, 3;", "7:1: add: an integer cannot be used with a float type");
}

TEST(PtxBody, ModifiersInAnyOrderButNoneIgnored)
{
	good("add.f32.ftz %r1,%r2,%r3; min.s32.relu %r1,%r2,%r3; atom.add.release.gpu.u32 "
	     "%r1,[%d1],1;\n"
	     "ld.global.acquire.gpu.u32 %r1,[%d1]; vote.ballot.sync.b32 %r1, %p1, -1;");
	bad("add.wrap.s32 %r1, %r2, %r3;", "7:1: add: modifier '.wrap' cannot stand here");
	bad("add.m8n8.s32 %r1, %r2, %r3;", "7:1: add: modifier '.m8n8' cannot stand here");
	bad("mul.s32 %r1, %r2, %r3;",
	    "7:1: mul: .lo, .hi or .wide goes with integers, and only with them");
}

TEST(PtxBody, UnknownInstructionsFailTheirKernelOnly)
{
	bad("add.s32 %r1, %r1, 1;\n  frobnicate.u32 %r1;", "8:3: unknown instruction 'frobnicate'");
}

TEST(PtxBody, KnownButNotExecutedIsRefusedByName)
{
	PtxUnit u(ptx_kernel("add.s32 %r1, %r1, 1;\n tcgen05.wait::ld.sync.aligned;"));

	EXPECT_EQ(801u, u.code);
	EXPECT_EQ("8:2: instruction 'tcgen05.wait::ld.sync.aligned' needs tensor memory, which "
		  "there is "
		  "none of",
		  u.where());
	EXPECT_EQ(1u, u.info.unsupported);
}

TEST(PtxBody, TextureTensorAndClusterFormsParse)
{
	const char *lines[] = {
		"tex.2d.v4.f32.f32 {%r1,%r2,%r3,%r4}, [t, {%r5,%r6}];",
		"tex.2d.v4.f32.f32 {%r1,%r2,%r3,%r4}, [t, s, {%r5,%r6}];",
		"suld.b.2d.v2.b32.trap {%r1,%r2}, [%d1, {%r5,%r6}];",
		"cp.async.cg.shared.global.L2::128B [%r1], [%d1], 16, %r2;",
		"cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
		"[%r1], "
		"[%d1, {%r2, %r3}], [%r4];",
		"mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r1], %r2;",
		"mapa.shared::cluster.u32 %r1, %r2, %r3;",
		"wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%r1,%r2,%r3,%r4}, %d1, %d2, 1, "
		"1, 1, 0, 0;",
		"barrier.cluster.arrive.release.aligned;",
		"tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r1,%r2}, [%r3];",
		"multimem.ld_reduce.relaxed.sys.global.add.acc::f32.v4.bf16x2 {%r1,%r2,%r3,%r4}, "
		"[%d1];",
		"mma.sp::ordered_metadata.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
		"{%r1,%r2,%r3,%r4}, "
		"{%r1,%r2}, {%r1,%r2}, {%r1,%r2,%r3,%r4}, %r5, 0x0;",
		"elect.sync _|%p1, -1; setmaxnreg.inc.sync.aligned.u32 40; mapa.u64 %d1, %d2, %r1;",
	};

	for (const char *t : lines) {
		PtxUnit u(ptx_kernel(t, ".global .texref t; .global .samplerref s;"));

		/* executed, or refused as known */
		EXPECT_TRUE(u.code == 0 || u.code == 801) << t << "\n" << u.where();
		EXPECT_EQ("", u.verify());
	}
}

TEST(PtxBody, VariablesStayRelativeToTheirModuleInTheText)
{
	PtxUnit u(std::string(ptx_head) +
		  ".global .u32 a; .global .u32 b; .entry k() { .reg .u64 %d; .reg .u32 %r; "
		  "mov.u64 %d, b+8; ld.global.u32 %r, [b]; mov.u32 %r, b; ret; }");

	ASSERT_EQ(0u, u.code) << u.err.text;
	EXPECT_NE(std::string::npos, u.ir().find("global 0xc")) << u.ir();
	EXPECT_NE(std::string::npos, u.ir().find("global 0x4")) << u.ir();
	EXPECT_EQ(std::string::npos, u.ir().find("0x700000000004")) << u.ir();
}

TEST(PtxBody, NestingIsLimited)
{
	std::string open, close;

	for (int i = 0; i < 64; i++) {
		open += "{";
		close += "}";
	}
	good(open + close);
	bad(open + "{" + close + "}", "7:65: blocks nested too deeply");
	bad("mov.u32 %r1, " + std::string(1000, '!') + "1;", "7:20: operand nested too deeply");
	bad("mov.b32 %r1, " + std::string(1000, '{') + "1" + std::string(1000, '}') + ";",
	    "7:20: operand nested too deeply");
}

TEST(PtxBody, RegistersAreLimited)
{
	good(".reg .b32 %x<1000000>; mov.u32 %x999999, 1;");
	bad(".reg .b32 %x<1048577>;", "7:14: bad number of registers");
	bad(".reg .b32 %x<1048576>;",
	    "7:22: too many registers"); /* with those of the test's own */
	bad(".reg .b32 %x<0>;", "7:14: bad number of registers");
}

TEST(PtxBody, ListsAndModifiersAreLimited)
{
	std::string mods, list = "%r1";

	for (int i = 0; i < 22; i++)
		mods += ".ftz";
	bad("add" + mods + ".rn.f32 %r1, %r2, %r3;", "7:1: add: modifier '.ftz' cannot stand here");
	bad("add" + mods + ".ftz.rn.f32 %r1, %r2, %r3;", "7:1: bad modifiers");
	for (int i = 1; i < 1024; i++)
		list += ",%r1";
	bad("mov.b32 %r1, {" + list + "};", "7:1: mov: bad number of parts");
	bad("mov.b32 %r1, {" + list + ",%r1};", "7:4111: too many operands");
}

TEST(PtxBody, ReservedSharedMemoryIsNotTheProgramsOwn)
{
	PtxUnit u(ptx_kernel(".shared .b8 s[100]; mov.u32 %r1, %reserved_smem_offset_1;\n"
			     "st.shared.u8 [s], %r1; mov.u32 %r2, dyn;",
			     ".extern .shared .b8 dyn[];"));

	EXPECT_EQ(0u, u.code) << u.where();
	EXPECT_EQ(100u, u.info.shared_static);
	EXPECT_EQ(0u, u.u->shared_bytes % 16);
	EXPECT_LE(100u + 2048u, u.u->shared_bytes);
}

// SPDX-License-Identifier: MIT
// Small PTX kernels from text to result through backend_soft: what lowering must get right about
// control flow, calls, memory spaces and chains, seen by executing it.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <sys/mman.h>
#include <vector>

#include "tests/support/window.h"

extern "C" {
#include "cuse_dev/backend/backend.h"
}

namespace {

const uint64_t WINDOW = TEST_WINDOW;

struct Launched {
	void *backend = nullptr;
	struct backend_module *m = nullptr;
	struct backend_image_info info = {};
	struct backend_log log = {};
	struct backend_fault fault = {};
	struct backend_func_info fi = {};
	uint32_t loaded = 0, result = 0xffffffff;
	char *mem;

	explicit Launched(const std::string &text, uint32_t threads = 32, uint32_t dynamic = 0)
	{
		struct backend_device dev = {};
		struct backend_launch l = {};
		struct backend_func *f = nullptr;
		struct {
			uint64_t out;
			uint32_t n;
		} params;

		dev.cc = 90;
		dev.sm_count = 4;
		dev.warp_size = 32;
		dev.max_threads_per_block = 1024;
		dev.max_shared_per_block = 49152;
		dev.max_shared_per_block_optin = 232448;
		dev.clock_khz = 1000000;
		dev.window_base = WINDOW;
		dev.window_size = 1ull << 40;
		dev.threads = 1;
		mem = static_cast<char *>(mmap((void *)WINDOW, 1 << 20, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
					       -1, 0));
		EXPECT_NE(MAP_FAILED, (void *)mem);
		EXPECT_EQ(0, backend_soft.open(&dev, &backend));
		loaded = backend_soft.module_load(backend, text.data(), text.size(), false, &m,
						  &info, &log);
		if (loaded)
			return;
		EXPECT_EQ(0, backend_soft.module_bind(m, WINDOW + 65536, WINDOW + 131072, true));
		EXPECT_EQ(0, backend_soft.func_by_name(m, "k", &f));
		if (!f)
			return;
		result = backend_soft.func_info(f, &fi, &log);
		params.out = WINDOW;
		params.n = threads;
		for (int i = 0; i < 3; i++)
			l.grid[i] = l.block[i] = l.cluster[i] = 1;
		l.block[0] = threads;
		l.dynamic_shared = dynamic;
		l.params = &params;
		l.param_bytes = fi.param_bytes;
		l.stack_bytes = 8192;
		if (!result)
			result = backend_soft.launch(f, &l, &fault);
	}
	~Launched()
	{
		if (!loaded)
			backend_soft.module_unload(m);
		backend_soft.close(backend);
		munmap(mem, 1 << 20);
	}
	uint32_t u32(int i) const { return ((const uint32_t *)mem)[i]; }
};

/* A kernel that stores %out of thread %t at out[%t]. */
std::string kernel(const std::string &body, const std::string &before = "")
{
	return ".version 8.4\n.target sm_90\n.address_size 64\n" + before +
	       ".visible .entry k(.param .u64 p0, .param .u32 p1)\n{\n"
	       ".reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<20>, %t, %n, %out; .reg .b64 "
	       "%d<20>, %a;\n"
	       "mov.u32 %t, %tid.x; ld.param.u32 %n, [p1]; ld.param.u64 %d0, [p0];\n"
	       "mul.wide.u32 %d1, %t, 4; add.u64 %a, %d0, %d1; mov.u32 %out, 0;\n" +
	       body + "\nst.global.u32 [%a], %out;\nret;\n}\n";
}

void expect(const std::string &body, uint32_t (*f)(uint32_t t), const std::string &before = "",
	    uint32_t dynamic = 0)
{
	Launched r(kernel(body, before), 32, dynamic);

	ASSERT_EQ(0u, r.loaded) << r.log.text;
	ASSERT_EQ(0u, r.result) << r.log.text << r.fault.what;
	for (uint32_t t = 0; t < 32; t++)
		ASSERT_EQ(f(t), r.u32((int)t)) << "thread " << t << "\n" << body;
}

} // namespace

TEST(PtxRun, DivergentLoopsAndBreaks)
{
	/* how many steps of the Collatz walk from t + 1, at most 20 */
	expect("add.u32 %r1, %t, 1;\n"
	       "LOOP: setp.eq.u32 %p1, %r1, 1; @%p1 bra DONE;\n"
	       "setp.ge.u32 %p2, %out, 20; @%p2 bra DONE;\n"
	       "add.u32 %out, %out, 1; and.b32 %r2, %r1, 1; setp.ne.u32 %p3, %r2, 0; @%p3 bra "
	       "ODD;\n"
	       "shr.u32 %r1, %r1, 1; bra LOOP;\n"
	       "ODD: mad.lo.u32 %r1, %r1, 3, 1; bra LOOP;\nDONE:",
	       [](uint32_t t) {
		       uint32_t n = t + 1, s = 0;

		       for (; n != 1 && s < 20; s++)
			       n = n & 1 ? 3 * n + 1 : n / 2;
		       return s;
	       });
}

TEST(PtxRun, BranchTables)
{
	expect("and.b32 %r1, %t, 3;\nts: .branchtargets A, B, C, B;\nbrx.idx %r1, ts;\n"
	       "A: mov.u32 %out, 10; bra E;\nB: mov.u32 %out, 20; bra E;\nC: mov.u32 %out, 30;\nE:",
	       [](uint32_t t) {
		       return (uint32_t[]){ 10, 20, 30, 20 }[t & 3];
	       });
}

TEST(PtxRun, GuardedBranchTable)
{
	expect("and.b32 %r1, %t, 1; setp.lt.u32 %p1, %t, 8;\nts: .branchtargets A, B;\n"
	       "@%p1 brx.idx %r1, ts;\nmov.u32 %out, 5; bra E;\nA: mov.u32 %out, 10; bra E;\n"
	       "B: mov.u32 %out, 20;\nE:",
	       [](uint32_t t) { return t >= 8  ? 5u
				       : t & 1 ? 20u
					       : 10u; });
}

TEST(PtxRun, GuardedReturnAndExit)
{
	expect("setp.gt.u32 %p1, %t, 20; @%p1 ret; setp.gt.u32 %p2, %t, 10; @%p2 exit; mov.u32 "
	       "%out, 7;",
	       [](uint32_t t) { return t > 10 ? 0u : 7u; });
}

TEST(PtxRun, CallsThroughParamSpace)
{
	expect(
		"{ .param .b32 q; .param .align 8 .b8 s[12]; .param .b32 r;\n"
		"st.param.b32 [q], %t; st.param.b32 [s], 100; st.param.b32 [s+8], %t;\n"
		"call.uni (r), f, (q, s); ld.param.b32 %out, [r]; }",
		[](uint32_t t) { return t * 2 + 100 + t; },
		".func (.param .b32 r) f(.param .b32 a, .param .align 8 .b8 s[12]) {\n"
		".reg .b32 %x<5>; .reg .b64 %y;\nld.param.u32 %x1, [a]; mov.b64 %y, s;\n"
		"ld.param.u32 %x2, [%y]; ld.param.u32 %x3, [s+8];\n"
		"add.u32 %x1, %x1, %x1; add.u32 %x1, %x1, %x2; add.u32 %x1, %x1, %x3;\n"
		"st.param.b32 [r], %x1; ret; }\n");
}

TEST(PtxRun, CallsThroughRegistersAndRecursion)
{
	/* fib(t & 7) */
	expect(
		"and.b32 %r1, %t, 7; call (%out), fib, (%r1);",
		[](uint32_t t) { return (uint32_t[]){ 0, 1, 1, 2, 3, 5, 8, 13 }[t & 7]; },
		".func (.reg .u32 r) fib(.reg .u32 n) {\n.reg .u32 a, b, c; .reg .pred p;\n"
		"mov.u32 r, n; setp.lt.u32 p, n, 2; @p ret; sub.u32 a, n, 1; call (b), fib, (a);\n"
		"sub.u32 a, n, 2; call (c), fib, (a); add.u32 r, b, c; ret; }\n");
}

TEST(PtxRun, IndirectCalls)
{
	const char *fs =
		".func (.param .b32 r) f1(.param .b32 a) { .reg .u32 x; ld.param.u32 x, [a]; "
		"add.u32 x, x, 1; st.param.u32 [r], x; ret; }\n"
		".func (.param .b32 r) f2(.param .b32 a) { .reg .u32 x; ld.param.u32 x, [a]; "
		"mul.lo.u32 x, x, x; st.param.u32 [r], x; ret; }\n"
		".func (.param .b32 r) broken(.param .b32 a) { frob; }\n"
		".global .u64 tab[2] = {f1, f2};\n";

	expect(
		"and.b32 %r1, %t, 1; mul.wide.u32 %d2, %r1, 8; mov.u64 %d3, tab; add.u64 %d2, %d2, "
		"%d3;\n"
		"ld.global.u64 %d4, [%d2]; { .param .b32 q; .param .b32 r; st.param.b32 [q], %t;\n"
		"pr: .callprototype (.param .b32 _) _ (.param .b32 _);\n"
		"call (r), %d4, (q), pr; ld.param.b32 %out, [r]; }",
		[](uint32_t t) { return t & 1 ? t * t : t + 1; }, fs);
}

TEST(PtxRun, SharedLocalAndDynamic)
{
	expect(
		".shared .align 4 .u32 s[32]; .local .align 8 .b8 loc[64]; .reg .b32 %sa;\n"
		"shl.b32 %r1, %t, 2; mov.u32 %r2, s; add.u32 %r2, %r2, %r1; st.shared.u32 [%r2], "
		"%t;\n"
		"mov.u32 %sa, dyn; add.u32 %r3, %sa, %r1; st.shared.u32 [%r3], 1000;\n"
		"bar.sync 0; xor.b32 %r4, %r1, 4; mov.u32 %r5, s; add.u32 %r5, %r5, %r4;\n"
		"ld.shared.u32 %r6, [%r5]; ld.shared.u32 %r7, [dyn+4];\n"
		"mov.u64 %d2, loc; cvta.local.u64 %d3, %d2; st.u32 [%d3+8], %r6; ld.local.u32 %r8, "
		"[loc+8];\n"
		"add.u32 %out, %r8, %r7; sub.u32 %r9, %sa, 128; add.u32 %out, %out, %r9;",
		[](uint32_t t) { return (t ^ 1) + 1000; }, ".extern .shared .align 16 .b8 dyn[];\n",
		128);
}

TEST(PtxRun, CarryChains)
{
	/* the high word of 0xffffffff:ffffffff + t:1 - 0:1 and of a product */
	expect("add.cc.u32 %r1, -1, 1; addc.u32 %r2, %t, 0; sub.cc.u32 %r3, 0, %t; subc.u32 %r4, "
	       "0, 0;\n"
	       "mad.lo.cc.u32 %r5, -1, 2, 2; madc.hi.u32 %r6, -1, 2, 0; shl.b32 %r6, %r6, 16;\n"
	       "add.u32 %out, %r2, %r4; add.u32 %out, %out, %r6;",
	       [](uint32_t t) { return t + 1 + (t ? 0xffffffffu : 0) + (2u << 16); });
}

TEST(PtxRun, NarrowConversionsExtend)
{
	expect("neg.s32 %r1, %t; cvt.s8.s32 %r2, %r1; cvt.u8.u32 %r3, %r1; cvt.s16.s8 %h1, %r1;\n"
	       "cvt.s32.s16 %r4, %h1; add.s32 %out, %r2, %r3; add.s32 %out, %out, %r4;",
	       [](uint32_t t) {
		       int n = -(int)t;

		       return (uint32_t)((int8_t)n + (uint8_t)n + (int16_t)(int8_t)n);
	       });
}

TEST(PtxRun, WarpOperations)
{
	expect("setp.lt.u32 %p1, %t, 5; vote.sync.ballot.b32 %r1, %p1, -1;\n"
	       "shfl.sync.bfly.b32 %r2|%p2, %t, 1, 31, -1; redux.sync.add.s32 %r3, 1, -1;\n"
	       "vote.sync.all.pred %p3, !%p4, -1; selp.u32 %r4, 100, 0, %p3;\n"
	       "add.u32 %out, %r1, %r2; add.u32 %out, %out, %r3; add.u32 %out, %out, %r4;",
	       [](uint32_t t) { return 31 + (t ^ 1) + 32 + 100; });
}

TEST(PtxRun, VideoInstructions)
{
	expect("mov.u32 %r1, 0x10203040; mov.u32 %r2, 0x11223344; mov.u32 %r3, 0;\n"
	       "vabsdiff4.u32.u32.u32.add %r4, %r1, %r2, %t; vadd.s32.u32.u32 %r5, %r1.b1, "
	       "%r2.h1;\n"
	       "vsub.u32.u32.u32.sat %r6, %r1, %r2; vadd4.u32.u32.u32.sat %r7, %r1, 0xf0f0f0f0, "
	       "%r3;\n"
	       "add.u32 %out, %r4, %r5; add.u32 %out, %out, %r6; add.u32 %out, %out, %r7;",
	       [](uint32_t t) { return (t + 1 + 2 + 3 + 4) + (0x30 + 0x1122) + 0 + 0xffffffffu; });
}

TEST(PtxRun, AtomicsAndVectors)
{
	expect(
		"mov.u64 %d2, c; atom.global.add.u32 %r1, [%d2], 1; red.global.max.u32 [%d2+4], "
		"%t;\n"
		"bar.sync 0; ld.global.v2.u32 {%r2, %r3}, [%d2]; mad.lo.u32 %out, %r2, 100, %r3;",
		[](uint32_t t) { return 42u * 100 + 31; },
		".global .align 8 .u32 c[2] = {10, 3};\n");
}

TEST(PtxRun, AttributesComeFromTheText)
{
	Launched r(kernel(".shared .b8 s[100]; .local .b8 l[20]; st.shared.u8 [s], %t; st.local.u8 "
			  "[l], %t;"));

	ASSERT_EQ(0u, r.result) << r.log.text << r.fault.what;
	EXPECT_EQ(100u, r.fi.shared_bytes);
	EXPECT_LE(20u, r.fi.local_bytes);
	EXPECT_EQ(90u, r.fi.ptx_version);
	EXPECT_EQ(1024u, r.fi.max_threads);
	EXPECT_EQ(12u, r.fi.param_bytes);
	EXPECT_EQ(2u, r.fi.param_count);
	EXPECT_EQ(8u, r.fi.param_offset[1]);
	EXPECT_LE(r.fi.num_regs * 1024u, 65536u) << "a full block must fit";
}

TEST(PtxRun, SyntaxErrorsReachTheLog)
{
	Launched r(kernel("frob.u32 %r1;"));

	EXPECT_EQ(218u, r.result);
	EXPECT_NE(nullptr, strstr(r.log.text, "9:1: unknown instruction 'frob'")) << r.log.text;
}

TEST(PtxRun, RefusalsNameTheInstruction)
{
	Launched r(kernel("griddepcontrol.wait; tcgen05.wait::ld.sync.aligned;"));

	EXPECT_EQ(801u, r.result);
	EXPECT_NE(nullptr, strstr(r.log.text, "tcgen05.wait::ld")) << r.log.text;
}

TEST(PtxRun, UnresolvedFunctionsAreNamed)
{
	Launched r(kernel("{ .param .b32 a; call nothing, (a); }",
			  ".extern .func nothing(.param .b32 a);\n"));

	EXPECT_EQ(218u, r.result);
	EXPECT_NE(nullptr, strstr(r.log.text, "unresolved extern function 'nothing'"))
		<< r.log.text;
}

TEST(PtxRun, FaultsNameTheLine)
{
	Launched r(kernel("mov.u64 %d3, 0x10;\nld.global.u32 %r1, [%d3];"));

	EXPECT_EQ(700u, r.result) << r.fault.what;
	EXPECT_EQ(10u, r.fault.line);
}

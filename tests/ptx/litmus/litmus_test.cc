// SPDX-License-Identifier: MIT
// The memory model's litmus tests (PTX ISA 8): small programs whose threads run on CPU threads of
// their own, and the outcomes that the model forbids. Each runs interpreted, compiled, and with the two
// tiers side by side, with addresses that make rows, one place, and scattered lanes.
//
// What is allowed need not appear, so it is only counted (--gtest_output=xml has the numbers). A case
// gets LITMUS_MS milliseconds (default below) for each way to run it.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>

#include "tests/support/window.h"

extern "C" {
#define _Alignas(n) alignas(n)
#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/backend/soft/interp/vec.h"
#include "cuse_dev/backend/soft/llvm/llvm.h"
#include "cuse_dev/backend/soft/ptx/ptx.h"
#include "cuse_dev/base/console.h"
}

namespace {

enum { ROLES = 4, LANES = 32, TURNS = 256, TURNS_SHARED = 64, PLACES = 3 };

const int MS = 5;
const uint64_t BYTES = 4u << 20, PLACE_BYTES = TURNS * LANES * 4;
const uint64_t PLACE = TEST_WINDOW, OUT = TEST_WINDOW + (1u << 20),
	       COUNTER = TEST_WINDOW + (2u << 20), GLOBALS = TEST_WINDOW + (3u << 20);

// What the threads of one lane and turn have read (%a, %b of each role), and what stands in x, y, z.
struct Outcome {
	uint32_t a[ROLES], b[ROLES];
	uint32_t x, y, z;
};

struct Litmus {
	const char *name;
	int roles;
	// $s: the scope, $m: the state space; addresses %x, %y, %z; all places are 0 before.
	const char *code[ROLES];
	bool (*forbidden)(const Outcome &o);
	bool (*weak)(const Outcome &o) = nullptr; // allowed, and seen on machines that reorder
	bool final = false;			  // looks at x, y, z
};

bool never(const Outcome &)
{
	return false;
}
bool both_zero(const Outcome &o)
{
	return !o.a[0] && !o.a[1];
}
bool stale(const Outcome &o)
{
	return o.a[1] && !o.b[1];
}

#define ST(sem, p, v) "st." sem ".$s.$m.u32 [%" p "], " v ";\n"
#define LD(sem, r, p) "ld." sem ".$s.$m.u32 %" r ", [%" p "];\n"
#define ST_WEAK(p, v) "st.$m.u32 [%" p "], " v ";\n"
#define LD_WEAK(r, p) "ld.$m.u32 %" r ", [%" p "];\n"
#define FENCE(sem)    "fence." sem ".$s;\n"

const Litmus tests[] = {
	// Message passing: who sees the flag sees what was written before it.
	{ "mp_release_acquire",
	  2,
	  { ST_WEAK("x", "1") ST("release", "y", "1"), LD("acquire", "a", "y") LD_WEAK("b", "x") },
	  stale },
	{ "mp_fences",
	  2,
	  { ST_WEAK("x", "1") FENCE("acq_rel") ST("relaxed", "y", "1"),
	    LD("relaxed", "a", "y") FENCE("acq_rel") LD_WEAK("b", "x") },
	  stale },
	{ "mp_membar",
	  2,
	  { ST_WEAK("x", "1") "membar.gl;\nst.volatile.$m.u32 [%y], 1;\n",
	    "ld.volatile.$m.u32 %a, [%y];\nmembar.gl;\n" LD_WEAK("b", "x") },
	  stale },
	{ "mp_atomics",
	  2,
	  { ST_WEAK("x", "1") "atom.release.$s.$m.exch.b32 %t, [%y], 1;\n",
	    "atom.acquire.$s.$m.or.b32 %a, [%y], 0;\n" LD_WEAK("b", "x") },
	  stale },
	{ "mp_reduction",
	  2,
	  { ST_WEAK("x", "1") "red.release.$s.$m.add.u32 [%y], 1;\n",
	    LD("acquire", "a", "y") LD_WEAK("b", "x") },
	  stale },
	{ "mp_vector",
	  2,
	  { ST_WEAK("x", "1") ST("release", "y", "1"),
	    // Loads of the same word before and after it: none may stand for the other.
	    LD_WEAK("t", "x") LD("acquire", "a", "y") LD_WEAK("b", "x") },
	  stale },
	{ "mp_relaxed",
	  2,
	  { ST("relaxed", "x", "1") ST("relaxed", "y", "1"),
	    LD("relaxed", "a", "y") LD("relaxed", "b", "x") },
	  never,
	  stale },

	// Store buffering: only fence.sc orders a store before a later load.
	{ "sb_fence_sc",
	  2,
	  { ST("relaxed", "x", "1") FENCE("sc") LD("relaxed", "a", "y"),
	    ST("relaxed", "y", "1") FENCE("sc") LD("relaxed", "a", "x") },
	  both_zero },
	{ "sb_weak_fence_sc",
	  2,
	  { ST_WEAK("x", "1") FENCE("sc") LD("relaxed", "a", "y"),
	    ST_WEAK("y", "1") "membar.gl;\n" LD("relaxed", "a", "x") },
	  both_zero },
	{ "sb_release_acquire",
	  2,
	  { ST("release", "x", "1") LD("acquire", "a", "y"),
	    ST("release", "y", "1") LD("acquire", "a", "x") },
	  never,
	  both_zero },

	// Load buffering: nobody reads what depends on the read.
	{ "lb_acquire_release",
	  2,
	  { LD("acquire", "a", "x") ST("release", "y", "1"),
	    LD("acquire", "a", "y") ST("release", "x", "1") },
	  [](const Outcome &o) { return o.a[0] && o.a[1]; } },
	{ "lb_no_thin_air",
	  2,
	  { LD("relaxed", "a", "x") ST("relaxed", "y", "%a"),
	    LD("relaxed", "a", "y") ST("relaxed", "x", "%a") },
	  [](const Outcome &o) { return o.a[0] || o.a[1]; } },

	// Coherence: one order of the writes to a place, and nobody reads against it.
	{ "co_read_read",
	  2,
	  { ST("relaxed", "x", "1") ST("relaxed", "x", "2"),
	    LD("relaxed", "a", "x") LD("relaxed", "b", "x") },
	  [](const Outcome &o) { return o.a[1] > o.b[1]; } },
	{ "co_volatile",
	  2,
	  { "st.volatile.$m.u32 [%x], 1;\nst.volatile.$m.u32 [%x], 2;\n",
	    "ld.volatile.$m.u32 %a, [%x];\nld.volatile.$m.u32 %b, [%x];\n" },
	  [](const Outcome &o) { return o.a[1] > o.b[1]; } },
	{ "co_read_atomic",
	  2,
	  { ST("relaxed", "x", "1") ST("relaxed", "x", "2"),
	    "atom.relaxed.$s.$m.add.u32 %a, [%x], 0;\n" LD("relaxed", "b", "x") },
	  [](const Outcome &o) { return o.a[1] > o.b[1] && o.b[1]; } },
	{ "co_write_write",
	  2,
	  { ST("relaxed", "x", "1") ST("relaxed", "x", "2"), LD("relaxed", "a", "x") },
	  [](const Outcome &o) { return o.x != 2; },
	  nullptr,
	  true },
	{ "co_write_read",
	  2,
	  { ST("relaxed", "x", "1") LD("relaxed", "a", "x"), ST("relaxed", "x", "2") },
	  [](const Outcome &o) { return !o.a[0] || (o.a[0] == 2 && o.x == 1); },
	  nullptr,
	  true },
	{ "co_read_write",
	  2,
	  { LD("relaxed", "a", "x") ST("relaxed", "x", "1"), ST("relaxed", "x", "2") },
	  [](const Outcome &o) { return o.a[0] == 1 || (o.a[0] == 2 && o.x == 2); },
	  nullptr,
	  true },
	{ "co_two_readers",
	  4,
	  { ST("relaxed", "x", "1"), ST("relaxed", "x", "2"),
	    LD("relaxed", "a", "x") LD("relaxed", "b", "x"),
	    LD("relaxed", "a", "x") LD("relaxed", "b", "x") },
	  [](const Outcome &o) {
		  return (o.a[2] && !o.b[2]) ||
			 (o.a[2] == 1 && o.b[2] == 2 && o.a[3] == 2 && o.b[3] == 1) ||
			 (o.a[2] == 2 && o.b[2] == 1 && o.a[3] == 1 && o.b[3] == 2);
	  } },

	// Cycles that go through the order of writes.
	{ "s",
	  2,
	  { ST("relaxed", "x", "2") ST("release", "y", "1"),
	    LD("acquire", "a", "y") ST("relaxed", "x", "1") },
	  [](const Outcome &o) { return o.a[1] == 1 && o.x == 2; },
	  nullptr,
	  true },
	{ "r",
	  2,
	  { ST("relaxed", "x", "1") FENCE("sc") ST("relaxed", "y", "1"),
	    ST("relaxed", "y", "2") FENCE("sc") LD("relaxed", "a", "x") },
	  [](const Outcome &o) { return o.y == 2 && !o.a[1]; },
	  nullptr,
	  true },
	{ "two_plus_two_writes",
	  2,
	  { ST("relaxed", "x", "1") FENCE("sc") ST("relaxed", "y", "2"),
	    ST("relaxed", "y", "1") FENCE("sc") ST("relaxed", "x", "2") },
	  [](const Outcome &o) { return o.x == 1 && o.y == 1; },
	  nullptr,
	  true },

	// What one has seen counts as before what one writes.
	{ "write_to_read_causality",
	  3,
	  { ST("relaxed", "x", "1"), LD("relaxed", "a", "x") ST("release", "y", "1"),
	    LD("acquire", "a", "y") LD("relaxed", "b", "x") },
	  [](const Outcome &o) { return o.a[1] && o.a[2] && !o.b[2]; } },
	{ "isa2",
	  3,
	  { ST_WEAK("x", "1") ST("release", "y", "1"),
	    LD("acquire", "a", "y") ST("release", "z", "%a"),
	    LD("acquire", "a", "z") LD("relaxed", "b", "x") },
	  [](const Outcome &o) { return o.a[2] && !o.b[2]; } },

	// Independent reads of independent writes: with fence.sc all agree which was first.
	{ "iriw_fence_sc",
	  4,
	  { ST("relaxed", "x", "1"), ST("relaxed", "y", "1"),
	    LD("relaxed", "a", "x") FENCE("sc") LD("relaxed", "b", "y"),
	    LD("relaxed", "a", "y") FENCE("sc") LD("relaxed", "b", "x") },
	  [](const Outcome &o) { return o.a[2] && !o.b[2] && o.a[3] && !o.b[3]; } },
	{ "iriw_acquire",
	  4,
	  { ST("release", "x", "1"), ST("release", "y", "1"),
	    LD("acquire", "a", "x") LD("acquire", "b", "y"),
	    LD("acquire", "a", "y") LD("acquire", "b", "x") },
	  never,
	  [](const Outcome &o) { return o.a[2] && !o.b[2] && o.a[3] && !o.b[3]; } },
};

// How the addresses of a warp's lanes look.
enum Shape { ROW, ONE, SCATTER };
const char *const shape_names[] = { "a row", "one place", "scattered" };

// Where the roles are, and what they share.
enum Where { GRID, CTA };

std::string replaced(std::string s, const char *what, const char *with)
{
	for (size_t at; (at = s.find(what)) != std::string::npos;)
		s.replace(at, strlen(what), with);
	return s;
}

std::string kernel(const Litmus &t, Shape shape, Where where, const char *scope)
{
	static const char *const lane[] = {
		"mad.lo.u32 %o, %i, 128, %lane4;\n",
		"mul.lo.u32 %o, %i, 128;\n",
		"mul.lo.u32 %o, %lane4, 7;\nand.b32 %o, %o, 127;\nmad.lo.u32 %o, %i, 128, %o;\n",
	};
	const char *space = where == CTA ? "shared" : "global";
	std::string turns = std::to_string(where == CTA ? TURNS_SHARED : TURNS), s, body;

	s = ".version 8.0\n.target sm_90\n.address_size 64\n"
	    ".visible .entry k(.param .u64 places, .param .u64 out, .param .u64 counter,\n"
	    "	.param .u32 first, .param .u32 roles)\n{\n"
	    ".reg .b32 %i, %o, %lane4, %role, %roles, %want, %a, %b, %t, %u;\n"
	    ".reg .b64 %base, %x, %y, %z, %out, %counter, %w;\n.reg .pred %p, %q;\n";
	if (where == CTA)
		s += ".shared .align 128 .b8 sh[" + std::to_string(PLACES * TURNS_SHARED * 128) +
		     "];\n";
	s += "ld.param.u64 %out, [out];\nld.param.u64 %counter, [counter];\n"
	     "ld.param.u32 %roles, [roles];\nld.param.u32 %role, [first];\n"
	     "mov.u32 %t, %tid.x;\nand.b32 %lane4, %t, 31;\nshl.b32 %lane4, %lane4, 2;\n";
	if (where == CTA)
		s += "shr.u32 %role, %t, 5;\nmov.u64 %base, sh;\n"
		     "mul.lo.u32 %o, %t, 4;\nmov.u32 %u, sh;\nadd.u32 %u, %u, %o;\n"
		     "mov.u32 %t, %ntid.x;\nshl.b32 %t, %t, 2;\n"
		     "CLEAR: setp.ge.u32 %p, %o, " +
		     std::to_string(PLACES * TURNS_SHARED * 128) +
		     ";\n@%p bra CLEARED;\nst.shared.u32 [%u], 0;\nadd.u32 %u, %u, %t;\n"
		     "add.u32 %o, %o, %t;\nbra CLEAR;\nCLEARED: bar.sync 0;\n";
	else
		s += "mov.u32 %t, %ctaid.x;\nadd.u32 %role, %role, %t;\n"
		     "ld.param.u64 %base, [places];\n";
	// Results: two words for each role, turn and lane.
	s += "mul.lo.u32 %o, %role, " + turns + "; shl.b32 %o, %o, 8;\n" +
	     "mad.lo.u32 %o, %lane4, 2, %o;\ncvt.u64.u32 %w, %o;\nadd.u64 %out, %out, %w;\n"
	     "mov.u32 %i, 0;\nmov.u32 %want, 0;\nsetp.eq.u32 %p, %lane4, 0;\n"
	     // All begin the next few turns together.
	     "TURN: and.b32 %t, %i, 3;\nsetp.ne.u32 %q, %t, 0;\n@%q bra GO;\n"
	     "add.u32 %want, %want, %roles;\n"
	     "@%p red.release.sys.global.add.u32 [%counter], 1;\n"
	     "SPIN: ld.acquire.sys.global.u32 %t, [%counter];\nsetp.lt.u32 %q, %t, %want;\n"
	     "@%q bra SPIN;\nGO:\n";
	s += lane[shape];
	s += "cvt.u64.u32 %w, %o;\nadd.u64 %x, %base, %w;\nadd.u64 %y, %x, " +
	     std::to_string(where == CTA ? TURNS_SHARED * 128 : PLACE_BYTES) +
	     ";\nadd.u64 %z, %y, " +
	     std::to_string(where == CTA ? TURNS_SHARED * 128 : PLACE_BYTES) +
	     ";\nmov.u32 %a, 0;\nmov.u32 %b, 0;\n";
	for (int r = 1; r < t.roles; r++)
		s += "setp.eq.u32 %q, %role, " + std::to_string(r) + ";\n@%q bra ROLE" +
		     std::to_string(r) + ";\n";
	for (int r = 0; r < t.roles; r++)
		s += "ROLE" + std::to_string(r) + ":\n" +
		     replaced(replaced(t.code[r], "$s", scope), "$m", space) + "bra DONE;\n";
	s += "DONE: st.global.v2.u32 [%out], {%a, %b};\nadd.u64 %out, %out, 256;\n"
	     "add.u32 %i, %i, 1;\nsetp.lt.u32 %q, %i, " +
	     turns + ";\n@%q bra TURN;\nret;\n}\n";
	return s;
}

struct Params {
	uint64_t places = PLACE, out = OUT, counter = COUNTER;
	uint32_t first = 0, roles = 0;
};

class LitmusTest : public ::testing::TestWithParam<Litmus> {
protected:
	struct simt_device *whole = nullptr, *single[ROLES] = {};
	struct backend_console *console = nullptr;
	uint64_t turns = 0, weak = 0;

	void SetUp() override
	{
		struct backend_device dev = {};
		void *p = mmap((void *)TEST_WINDOW, BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		ASSERT_EQ((void *)TEST_WINDOW, p);
		dev.cc = 90;
		dev.sm_count = ROLES;
		dev.warp_size = 32;
		dev.max_threads_per_block = 1024;
		dev.max_shared_per_block = 49152;
		dev.max_shared_per_block_optin = 232448;
		dev.clock_khz = 1000000;
		dev.window_base = TEST_WINDOW;
		dev.window_size = 1ull << 40;
		dev.threads = ROLES;
		ASSERT_EQ(0, simt_device_create(&dev, &whole));
		dev.threads = 1;
		for (auto &d : single)
			ASSERT_EQ(0, simt_device_create(&dev, &d));
		ASSERT_EQ(0, console_create(65536, &console));
	}
	void TearDown() override
	{
		console_destroy(console);
		simt_device_destroy(whole);
		for (auto *d : single)
			if (d)
				simt_device_destroy(d);
		munmap((void *)TEST_WINDOW, BYTES);
	}

	void launch(struct simt_device *d, const struct simt_code *code, Params p, uint32_t blocks,
		    uint32_t block)
	{
		struct backend_launch l = {};
		struct backend_fault fault = {};

		for (int i = 0; i < 3; i++)
			l.grid[i] = l.block[i] = 1;
		l.grid[0] = blocks;
		l.block[0] = block;
		l.cooperative = true;
		l.params = &p;
		l.param_bytes = sizeof(p);
		l.console = console;
		l.stack_bytes = 4096;
		EXPECT_EQ(0u, simt_launch(d, code, "k", &l, &fault)) << fault.what;
	}

	// Every lane and turn is one trial.
	void look(Shape shape, Where where, const char *how)
	{
		const Litmus &t = GetParam();
		const uint32_t n = where == CTA ? TURNS_SHARED : TURNS;
		auto *place = (const uint32_t *)PLACE, *out = (const uint32_t *)OUT;

		for (uint32_t i = 0; i < n * LANES; i++) {
			uint32_t lane = i % LANES, at = i - lane;
			Outcome o = {};

			at += shape == ONE ? 0 : shape == ROW ? lane : lane * 7 % LANES;
			for (int r = 0; r < t.roles; r++) {
				o.a[r] = out[2 * ((uint32_t)r * n * LANES + i)];
				o.b[r] = out[2 * ((uint32_t)r * n * LANES + i) + 1];
			}
			o.x = place[at];
			o.y = place[PLACE_BYTES / 4 + at];
			o.z = place[2 * PLACE_BYTES / 4 + at];
			ASSERT_FALSE(t.forbidden(o))
				<< t.name << ", " << how << ", " << shape_names[shape] << ", turn "
				<< i / LANES << ", lane " << lane << ": a " << o.a[0] << o.a[1]
				<< o.a[2] << o.a[3] << " b " << o.b[0] << o.b[1] << o.b[2] << o.b[3]
				<< " x " << o.x << " y " << o.y << " z " << o.z;
			weak += t.weak && t.weak(o);
			turns++;
		}
	}

	// codes: of even and of odd roles; the same one: as one grid.
	void repeat(struct simt_code *const codes[2], Shape shape, Where where, const char *how)
	{
		using clock = std::chrono::steady_clock;
		const char *ms = getenv("LITMUS_MS");
		auto end = clock::now() + std::chrono::milliseconds(ms ? atoi(ms) : MS);
		uint32_t roles = (uint32_t)GetParam().roles;

		do {
			Params p;

			memset((void *)PLACE, 0, PLACES * PLACE_BYTES);
			memset((void *)OUT, 0x5a, ROLES * TURNS * LANES * 8);
			*(uint32_t *)COUNTER = 0;
			p.roles = roles;
			if (where == CTA) {
				launch(whole, codes[0], p, 1, roles * LANES);
			} else if (codes[0] == codes[1]) {
				launch(whole, codes[0], p, roles, LANES);
			} else {
				std::vector<std::thread> threads;

				for (uint32_t r = 0; r < roles; r++) {
					p.first = r;
					threads.emplace_back([this, r, p, codes] {
						launch(single[r], codes[r % 2], p, 1, LANES);
					});
				}
				for (auto &x : threads)
					x.join();
			}
			look(shape, where, how);
		} while (!HasFailure() && clock::now() < end);
	}

#ifdef VGPU_HAVE_LLVM
	/* At both levels, and in a grid of which other blocks are interpreted. */
	void compiled(const struct ir_unit *u, struct simt_code *wide, Shape shape, Where where)
	{
		for (uint32_t level : { LLVM_QUICK, LLVM_GOOD }) {
			struct llvm_options opt = {};
			struct simt_code *code = nullptr;
			void *object = nullptr;
			char text[256] = "";
			size_t bytes = 0;

			opt.level = level;
			ASSERT_EQ(0, llvm_compile(u, &opt, &object, &bytes, text, sizeof(text)))
				<< text;
			ASSERT_EQ(0, llvm_load(object, bytes, wide, u->base_va, &code, text,
					       sizeof(text)))
				<< text;
			struct simt_code *const both[] = { code, code }, *const mixed[] = { code,
											    wide };

			repeat(both, shape, where, level ? "compiled" : "compiled quickly");
			if (where == GRID)
				repeat(mixed, shape, where, "compiled beside interpreted");
			free(object);
			simt_code_destroy(code);
		}
	}
#endif

	void all_tiers(Shape shape, Where where, const char *scope)
	{
		std::string ptx = kernel(GetParam(), shape, where, scope);
		struct ptx_place place = { GLOBALS, GLOBALS };
		struct simt_code *base = nullptr, *wide = nullptr;
		struct ptx_unit_info info = {};
		struct ptx_module *m = nullptr;
		struct ir_unit *u = nullptr;
		struct ptx_error err = {};
		char text[256] = "";

		SCOPED_TRACE(ptx);
		ASSERT_EQ(0u, ptx_module_load(strdup(ptx.c_str()), ptx.size(), &m, &err))
			<< err.line << ":" << err.column << ": " << err.text;
		ASSERT_EQ(0u,
			  ptx_unit_create(m, ptx_module_kernel(m, "k"), &place, &u, &info, &err))
			<< err.line << ":" << err.column << ": " << err.text;
		ASSERT_EQ(0, interp_prepare_with(u, interp_vec_sse2, &base, text, sizeof(text)))
			<< text;
		ASSERT_EQ(0, interp_prepare(u, &wide, text, sizeof(text))) << text;
		struct simt_code *const narrow[] = { base, base }, *const inter[] = { wide, wide };

		if (interp_vec_handlers() != interp_vec_sse2)
			repeat(narrow, shape, where, "interpreted, SSE2");
		repeat(inter, shape, where, "interpreted");
#ifdef VGPU_HAVE_LLVM
		compiled(u, wide, shape, where);
#endif
		simt_code_destroy(base);
		simt_code_destroy(wide);
		ptx_unit_destroy(u);
		ptx_module_unload(m);
	}
};

TEST_P(LitmusTest, BetweenBlocks)
{
	all_tiers(ROW, GRID, "gpu");
	all_tiers(ONE, GRID, "sys");
	all_tiers(SCATTER, GRID, "gpu");
	RecordProperty("trials", std::to_string(turns));
	RecordProperty("weak", std::to_string(weak));
	if (GetParam().weak)
		printf("%s: %llu of %llu were out of order\n", GetParam().name,
		       (unsigned long long)weak, (unsigned long long)turns);
}

// Warps of a block, through shared memory: the turns of its scheduler must not show either.
class LitmusWarps : public LitmusTest {};

TEST_P(LitmusWarps, InOneBlock)
{
	all_tiers(ROW, CTA, "cta");
}

std::vector<Litmus> without_final()
{
	std::vector<Litmus> v;

	for (auto &t : tests)
		if (!t.final)
			v.push_back(t);
	return v;
}

std::string name_of(const ::testing::TestParamInfo<Litmus> &i)
{
	return i.param.name;
}

INSTANTIATE_TEST_SUITE_P(All, LitmusTest, ::testing::ValuesIn(tests), name_of);
INSTANTIATE_TEST_SUITE_P(All, LitmusWarps, ::testing::ValuesIn(without_final()), name_of);

} // namespace

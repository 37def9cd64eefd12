// SPDX-License-Identifier: MIT
// Random kernels: both tiers, every vector table of the interpreter, odd blocks, one CPU thread and
// several give the same bits.
//
// Seeds 1 .. RANDOM_COUNT (default below), or RANDOM_SEED alone. A difference names its seed, leaves
// the PTX in a file and says how many registers differ; what the interpreter without wide vectors
// computes is taken as right.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#include <sys/mman.h>

#include "ptx/random/generate.h"
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

const unsigned COUNT = 6; // some ten seconds; more in the full belt
const uint32_t BLOCKS = 3;
const uint64_t BYTES = 16u << 20;
const uint64_t IN = TEST_WINDOW, OUT = IN + (1u << 20), SUMS = IN + (8u << 20),
	       GLOBALS = IN + (9u << 20);

// Of a block; special: the compiler is told.
struct Shape {
	uint32_t x, y;
	bool special;
};

unsigned number(const char *name, unsigned otherwise)
{
	const char *v = getenv(name);

	return v ? (unsigned)strtoul(v, nullptr, 10) : otherwise;
}

class Random : public ::testing::Test {
protected:
	struct simt_device *devices[2] = {};
	struct backend_console *console = nullptr;
	bool calls = false;

	void SetUp() override
	{
		struct backend_device dev = {};
		void *p = mmap((void *)TEST_WINDOW, BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		ASSERT_EQ((void *)TEST_WINDOW, p);
		dev.cc = 90;
		dev.sm_count = 4;
		dev.warp_size = 32;
		dev.max_threads_per_block = 1024;
		dev.max_shared_per_block = 49152;
		dev.max_shared_per_block_optin = 232448;
		dev.clock_khz = 1000000;
		dev.window_base = TEST_WINDOW;
		dev.window_size = 1ull << 40;
		for (unsigned i = 0; i < 2; i++) {
			dev.threads = i ? 3 : 1;
			ASSERT_EQ(0, simt_device_create(&dev, &devices[i]));
		}
		ASSERT_EQ(0, console_create(65536, &console));
	}
	void TearDown() override
	{
		console_destroy(console);
		for (auto *d : devices)
			if (d)
				simt_device_destroy(d);
		munmap((void *)TEST_WINDOW, BYTES);
	}

	// What stands in memory afterwards.
	std::vector<uint32_t> run(struct simt_device *device, const struct simt_code *code,
				  const Shape &block, uint64_t seed)
	{
		uint64_t params[3] = { IN, OUT, SUMS };
		struct backend_launch l = {};
		struct backend_fault fault = {};
		uint32_t threads = block.x * block.y * BLOCKS, words = threads * RANDOM_OUT;
		auto *in = (uint32_t *)IN, *out = (uint32_t *)OUT, *sums = (uint32_t *)SUMS;
		uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;

		for (uint32_t i = 0; i < threads * RANDOM_IN; i++) {
			x = x * 6364136223846793005ull + 1442695040888963407ull;
			in[i] = x >> 62 ? (uint32_t)(x >> 32) : (uint32_t)(x >> 32) % 9;
		}
		memset(out, 0x5a, words * 4);
		memset(sums, 0x33, RANDOM_SUMS * 4);
		l.grid[0] = BLOCKS;
		l.grid[1] = l.grid[2] = 1;
		l.block[0] = block.x;
		l.block[1] = block.y;
		l.block[2] = 1;
		l.params = params;
		l.param_bytes = sizeof(params);
		l.console = console;
		l.stack_bytes = 65536;
		EXPECT_EQ(0u, simt_launch(device, code, "k", &l, &fault)) << fault.what;
		std::vector<uint32_t> v(out, out + words);

		v.insert(v.end(), sums, sums + RANDOM_SUMS);
		return v;
	}

	static unsigned differences(const std::vector<uint32_t> &a, const std::vector<uint32_t> &b,
				    size_t *first)
	{
		unsigned n = 0;

		for (size_t i = a.size(); i-- > 0;)
			if (a[i] != b[i]) {
				n++;
				*first = i;
			}
		return n;
	}

	void same(const std::vector<uint32_t> &want, const std::vector<uint32_t> &got,
		  const char *who, const Shape &block)
	{
		size_t at = 0;
		unsigned n = differences(want, got, &at);

		EXPECT_EQ(0u, n) << who << ", blocks of " << block.x << " x " << block.y
				 << ": first thread " << at / RANDOM_OUT << ", word "
				 << at % RANDOM_OUT << std::hex << ": " << got[at] << ", not "
				 << want[at];
	}

	void compare(const struct ir_unit *u, const Shape &block, uint64_t seed)
	{
		struct simt_code *code = nullptr;
		std::vector<uint32_t> want;
		char err[256] = "";

		ASSERT_EQ(0, interp_prepare_with(u, interp_vec_sse2, &code, err, sizeof(err)))
			<< err;
		want = run(devices[0], code, block, seed);
		same(want, run(devices[1], code, block, seed), "interpreter, 3 CPU threads", block);
		simt_code_destroy(code);
		if (interp_vec_handlers() != interp_vec_sse2) {
			ASSERT_EQ(0, interp_prepare(u, &code, err, sizeof(err))) << err;
			same(want, run(devices[0], code, block, seed), "interpreter, wide", block);
			simt_code_destroy(code);
		}
#ifdef VGPU_HAVE_LLVM
		/* Made for a shape, and for any. */
		compiled(u, block, seed, want, block.special);
#endif
	}

#ifdef VGPU_HAVE_LLVM
	void compiled(const struct ir_unit *u, const Shape &block, uint64_t seed,
		      const std::vector<uint32_t> &want, bool special)
	{
		struct llvm_options opt = {};
		struct simt_code *like = nullptr, *code = nullptr;
		void *object = nullptr;
		char err[256] = "";
		size_t bytes = 0;

		if (special) {
			opt.block[0] = block.x;
			opt.block[1] = block.y;
			opt.block[2] = 1;
		}
		opt.level = special ? LLVM_GOOD : LLVM_QUICK;
		ASSERT_EQ(0, interp_prepare(u, &like, err, sizeof(err))) << err;
		int r = llvm_compile(u, &opt, &object, &bytes, err, sizeof(err));

		// A kernel that calls stays with the interpreter, and is only that.
		if (r == -ENOTSUP && !strcmp(err, "calls of functions") && calls) {
			simt_code_destroy(like);
			return;
		}
		ASSERT_EQ(0, r) << err;
		ASSERT_EQ(0, llvm_load(object, bytes, like, u->base_va, &code, err, sizeof(err)))
			<< err;
		for (unsigned i = 0; i < 2; i++)
			same(want, run(devices[i], code, block, seed),
			     special ? "compiled" : "compiled for any block", block);
		free(object);
		simt_code_destroy(code);
		simt_code_destroy(like);
	}
#endif

	void kernel(uint64_t seed)
	{
		static const Shape blocks[] = { { 32, 1, false },
						{ 1, 1, false },
						{ 31, 1, false },
						{ 97, 1, true },
						{ 8, 12, true },
						{ 13, 5, false },
						{ RANDOM_THREADS, 1, true } };
		std::string ptx = random_kernel(seed), path;
		struct ptx_place place = { GLOBALS, GLOBALS };
		struct ptx_unit_info info = {};
		struct ptx_module *m = nullptr;
		struct ir_unit *u = nullptr;
		struct ptx_error err = {};
		const char *tmp = getenv("TMPDIR");

		calls = ptx.find(".func") != std::string::npos;
		SCOPED_TRACE("RANDOM_SEED=" + std::to_string(seed));
		EXPECT_EQ(0u, ptx_module_load(strdup(ptx.c_str()), ptx.size(), &m, &err))
			<< err.line << ":" << err.column << ": " << err.text;
		if (m) {
			EXPECT_EQ(0u, ptx_unit_create(m, ptx_module_kernel(m, "k"), &place, &u,
						      &info, &err))
				<< err.line << ":" << err.column << ": " << err.text;
		}
		if (u && !HasFailure())
			for (const Shape &b : blocks)
				compare(u, b, seed);
		ptx_unit_destroy(u);
		if (m)
			ptx_module_unload(m);
		if (!HasFailure())
			return;
		path = std::string(tmp ? tmp : "/tmp") + "/random_" + std::to_string(seed) + ".ptx";
		std::ofstream(path) << ptx;
		FAIL() << "the kernel stands in " << path;
	}
};

TEST_F(Random, SameBitsEverywhere)
{
	unsigned seed = number("RANDOM_SEED", 0), count = number("RANDOM_COUNT", COUNT);

	if (seed) {
		kernel(seed);
		return;
	}
	for (unsigned i = 1; i <= count && !HasFailure(); i++)
		kernel(i);
}

} // namespace

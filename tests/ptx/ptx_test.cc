// SPDX-License-Identifier: MIT
// Runs every .ptx file below the directory given at build time: in process, through the front end, the
// interpreter and the scheduler, with each table of vector handlers that this CPU has.
//
// A body (a case without .version) is judged as one thread's computation. It is wrapped into kernels
// that run it with a full warp, with partial warps, in diverged groups, in a loop that lanes leave one
// after the other, and as a function called by some lanes; the results must be the same.
#include <gtest/gtest.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <algorithm>
#include <thread>

#include <sys/mman.h>
#include <unistd.h>

#include "ptx/case.h"

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

const uint64_t WINDOW = TEST_WINDOW;
const uint64_t MAPPED = 32u << 20;
const uint64_t GLOBALS = WINDOW + (16u << 20), MANAGED = WINDOW + (24u << 20),
	       HEAP = WINDOW + (28u << 20);
const uint64_t HEAP_BYTES = 1u << 20;

/* Stands for the compiled tier in a list of the interpreter's tables. */
const interp_fn *const COMPILED = nullptr;

std::vector<const interp_fn *> executors()
{
	std::vector<const interp_fn *> t = { interp_vec_handlers() };

	if (t[0] == interp_vec_avx512)
		t.push_back(interp_vec_avx2);
	if (t[0] != interp_vec_sse2)
		t.push_back(interp_vec_sse2);
#ifdef VGPU_HAVE_LLVM
	t.push_back(COMPILED);
#endif
	return t;
}

/* What the compiler has made last. */
struct Object {
	void *data = nullptr;
	size_t bytes = 0;
	uint32_t block[3] = {};
};

#ifdef VGPU_HAVE_LLVM
/* The compiled form of @like, or @like itself where the compiler leaves the kernel to the interpreter. */
struct simt_code *compiled(Object *o, const struct ir_unit *unit, const uint32_t *block,
			   struct simt_code *like)
{
	/* Both levels have their turns, over the kernels that a case is wrapped into; all good in the full belt. */
	static const unsigned one_of = getenv("PTX_TEST_GOOD") ? 1 : 4;
	static unsigned nth;
	struct llvm_options opt = {};
	struct simt_code *code = nullptr;
	char err[512] = "";
	int r;

	/* Made for 32 threads, and for any other number of them. */
	if (block[0] == 32 || block[1] > 1 || block[2] > 1)
		memcpy(opt.block, block, sizeof(opt.block));
	if (!o->bytes || memcmp(o->block, opt.block, sizeof(o->block))) {
		free(o->data);
		*o = Object();
		memcpy(o->block, opt.block, sizeof(o->block));
		opt.print = llvm_print_flags(getenv("VGPU_PRINT"));
		opt.level = nth++ % one_of ? LLVM_QUICK : LLVM_GOOD;
		r = llvm_compile(unit, &opt, &o->data, &o->bytes, err, sizeof(err));
		if (r == -ENOTSUP)
			return like;
		EXPECT_EQ(0, r) << err;
		if (r)
			return like;
	}
	r = llvm_load(o->data, o->bytes, like, unit->base_va, &code, err, sizeof(err));
	EXPECT_EQ(0, r) << err;
	EXPECT_TRUE(r || llvm_code_fits(code, block));
	if (r)
		return like;
	simt_code_destroy(like);
	return code;
}
#endif

/* ---- a body as a module ------------------------------------------------------------------------ */

enum Wrap { PLAIN, SPLIT, LOOP, CALLED, WRAPS };

const char *const wrap_name[] = { "plain", "split", "loop", "called" };

std::string reg_type(const PtxBuffer &b)
{
	return b.type.bytes == 1 ? "." + b.type.name.substr(0, 1) + "16" : "." + b.type.name;
}

std::string registers(const PtxCase &c)
{
	std::string s = ".reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<17>; .reg .f32 %f<9>; "
			".reg .b64 %rd<17>; .reg .f64 %fd<9>; .reg .b128 %q<5>;\n";

	for (const PtxBuffer &b : c.buffers)
		s += ".reg " + reg_type(b) + " " + b.reg + ";\n";
	return s;
}

/* .func (.param .u32 o_d) f(.param .u32 i_a, ...) */
std::string as_function(const PtxCase &c)
{
	std::string in, out, loads, stores;

	for (const PtxBuffer &b : c.buffers) {
		std::string name = "p_" + b.reg.substr(1), t = reg_type(b);
		bool result = b.role == PtxBuffer::Out;

		(result ? out : in) += (result ? out : in).empty() ? "" : ", ";
		(result ? out : in) += ".param " + t + " " + name;
		if (result)
			stores += "st.param" + t + " [" + name + "], " + b.reg + ";\n";
		else
			loads += "ld.param" + t + " " + b.reg + ", [" + name + "];\n";
	}
	return ".func (" + out + ") f(" + in + ")\n{\n" + registers(c) + loads + c.text + stores +
	       "ret;\n}\n";
}

std::string call(const PtxCase &c)
{
	std::string before, after, in, out;

	for (const PtxBuffer &b : c.buffers) {
		std::string name = "c_" + b.reg.substr(1), t = reg_type(b);
		bool result = b.role == PtxBuffer::Out;

		before += ".param " + t + " " + name + ";\n";
		(result ? out : in) += (result ? out : in).empty() ? "" : ", ";
		(result ? out : in) += name;
		if (result)
			after += "ld.param" + t + " " + b.reg + ", [" + name + "];\n";
		else
			before += "st.param" + t + " [" + name + "], " + b.reg + ";\n";
	}
	return "{\n" + before + "call (" + out + "), f, (" + in + ");\n" + after + "}\n";
}

std::string around(const PtxCase &c, Wrap wrap)
{
	const std::string body = "{\n" + c.text + "}\n";

	switch (wrap) {
	case SPLIT:
		return "rem.u32 %w0, %w1, 3;\nsetp.eq.u32 %wp, %w0, 1;\n@%wp bra W1;\n"
		       "setp.eq.u32 %wp, %w0, 2;\n@%wp bra W2;\n" +
		       body + "bra WE;\nW1:\n" + body + "bra WE;\nW2:\n" + body + "WE:\n";
	case LOOP:
		return "and.b32 %w0, %w1, 3;\nWL:\n" + body +
		       "sub.s32 %w0, %w0, 1;\nsetp.ge.s32 %wp, %w0, 0;\n@%wp bra WL;\n";
	case CALLED:
		return "and.b32 %w0, %w1, 1;\nsetp.eq.u32 %wp, %w0, 1;\n@%wp bra W1;\n" + call(c) +
		       "bra WE;\nW1:\n" + call(c) + "WE:\n";
	default:
		return body;
	}
}

std::string module(const PtxCase &c, Wrap wrap)
{
	std::string params, loads, stores, s;

	if (c.whole)
		return c.text;
	for (const PtxBuffer &b : c.buffers) {
		std::string p = "wb_" + b.reg.substr(1), size = std::to_string(b.type.bytes);
		std::string address = "ld.param.u64 %wa, [" + p +
				      "];\n"
				      "mad.wide.u32 %wa, %w1, " +
				      size + ", %wa;\n";

		params += params.empty() ? "" : ", ";
		if (b.role == PtxBuffer::Arg) {
			params += ".param ." + b.type.name + " " + p;
			loads += "ld.param." + b.type.name + " " + b.reg + ", [" + p + "];\n";
			continue;
		}
		params += ".param .u64 " + p;
		if (b.role == PtxBuffer::In)
			loads += address + "ld.global." + b.type.name + " " + b.reg + ", [%wa];\n";
		else
			stores += address + "st.global." + b.type.name + " [%wa], " + b.reg + ";\n";
	}
	s = ".version 8.7\n.target " + c.target + "\n.address_size 64\n";
	if (wrap == CALLED)
		s += as_function(c);
	s += ".visible .entry k(" + params + ")\n{\n" + registers(c) +
	     ".reg .b32 %w<3>; .reg .pred %wp; .reg .b64 %wa;\n"
	     "mov.u32 %w1, %ctaid.x;\nmov.u32 %w2, %ntid.x;\nmov.u32 %w0, %tid.x;\n"
	     "mad.lo.u32 %w1, %w1, %w2, %w0;\n";
	return s + loads + around(c, wrap) + stores + "ret;\n}\n";
}

/* ---- one module in memory ---------------------------------------------------------------------- */

std::string line_of(const std::string &text, uint32_t line)
{
	size_t at = 0;

	for (; line > 1 && at != std::string::npos; line--)
		at = text.find('\n', at) + 1;
	return line ? text.substr(at, text.find('\n', at) - at) : "";
}

class Module {
public:
	explicit Module(const std::string &text) : ptx(text)
	{
		struct ptx_place place = { GLOBALS, MANAGED };
		char *copy = static_cast<char *>(calloc(1, text.size() + 64));
		struct ptx_func *f = nullptr;

		memcpy(copy, text.data(), text.size());
		result = ptx_module_load(copy, text.size(), &m, &err);
		if (result)
			return;
		for (size_t i = 0; i < m->nfuncs && !f; i++)
			if (m->funcs[i]->is_entry && m->funcs[i]->defined)
				f = m->funcs[i];
		if (!f) {
			result = 500;
			return;
		}
		result = ptx_module_init_data(m, &place, true, &err);
		if (!result)
			result = ptx_unit_create(m, f, &place, &unit, &info, &err);
		if (!result && ir_verify(unit, err.text, sizeof(err.text)) < 0)
			result = 999;
	}
	~Module()
	{
		free(object.data);
		ptx_unit_destroy(unit);
		ptx_module_unload(m);
	}
	Module(const Module &) = delete;
	Module &operator=(const Module &) = delete;

	std::string ir() const
	{
		char *t = unit ? ir_print(unit) : nullptr;
		std::string s = t ? t : "";

		free(t);
		return s;
	}

	const std::string ptx;
	uint32_t result;
	struct ptx_module *m = nullptr;
	struct ir_unit *unit = nullptr;
	struct ptx_unit_info info = {};
	struct ptx_error err = {};
	Object object;
};

class PtxTest : public ::testing::Test {
public:
	explicit PtxTest(const PtxCase &which) : c(which) {}

protected:
	void SetUp() override
	{
		void *p = mmap((void *)WINDOW, MAPPED, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
			       -1, 0);

		ASSERT_EQ((void *)WINDOW, p);
		dev.cc = 90;
		dev.sm_count = 4;
		dev.warp_size = 32;
		dev.max_threads_per_block = 1024;
		dev.max_shared_per_block = 49152;
		dev.max_shared_per_block_optin = 232448;
		dev.reserved_shared_per_block = 1024;
		dev.clock_khz = 1000000;
		dev.window_base = WINDOW;
		dev.window_size = 1ull << 40;
		dev.threads = 2;
		ASSERT_EQ(0, simt_device_create(&dev, &device));
		ASSERT_EQ(0, console_create(1 << 20, &console));
	}

	void TearDown() override
	{
		console_destroy(console);
		simt_device_destroy(device);
		munmap((void *)WINDOW, MAPPED);
	}

	void TestBody() override
	{
		static const uint32_t sizes[] = { 32, 1, 31, 33, 97, 1024 };

		for (int w = PLAIN; w < (c.whole || c.sized ? SPLIT : WRAPS); w++) {
			Module m(module(c, (Wrap)w));

			if (!c.refused.empty()) {
				EXPECT_NE(0u, m.result);
				EXPECT_NE(nullptr, strstr(m.err.text, c.refused.c_str()))
					<< m.err.text;
				return;
			}
			if (m.result) {
				ADD_FAILURE()
					<< wrap_name[w] << ": error " << m.result << " at "
					<< m.err.line << ":" << m.err.column << ": " << m.err.text;
				explain(m);
				return;
			}
			for (const interp_fn *t : executors())
				for (uint32_t n : sizes) {
					run(m, t, c.whole || c.sized ? c.block[0] : n,
					    wrap_name[w]);
					if (HasFailure()) {
						explain(m);
						return;
					}
					if (c.whole || c.sized)
						break;
				}
		}
	}

private:
	/* What is needed to look at it: the IR here, the PTX in a file, and the command. */
	void explain(const Module &m)
	{
		const char *tmp = getenv("TMPDIR");
		std::string path = std::string(tmp ? tmp : "/tmp") + "/ptx_test." + c.name + ".ptx";

		std::ofstream(path) << m.ptx;
		printf("%s\nThe case stands in %s:%d; what was compiled in %s\n"
		       "repeat: ptx_test --gtest_filter='%s.%s'\n",
		       m.ir().c_str(), c.file.c_str(), c.line, path.c_str(),
		       ::testing::UnitTest::GetInstance()->current_test_info()->test_suite_name(),
		       c.name.c_str());
	}

	/* A body gets as many blocks as its values want; its values repeat for all threads. */
	uint32_t blocks(uint32_t block) const
	{
		size_t n = 1;

		for (const PtxBuffer &b : c.buffers)
			n = std::max({ n, b.before.size(), b.after.size() });
		return c.whole || c.sized ? c.grid[0] : (uint32_t)((n + block - 1) / block);
	}

	size_t elements(const PtxBuffer &b, uint32_t block) const
	{
		return c.whole ? std::max(b.before.size(), b.after.size())
			       : (size_t)block * blocks(block);
	}

	/* Every buffer gets its own place with a guard behind it. */
	std::vector<uint8_t> lay_out(uint32_t block, std::vector<uint64_t> *ret_at)
	{
		std::vector<uint8_t> params;
		uint64_t at = WINDOW + 4096;

		memset((void *)WINDOW, 0, 4096);
		for (const PtxBuffer &b : c.buffers) {
			uint64_t v = at;
			size_t size = b.role == PtxBuffer::Arg ? b.type.bytes : 8;

			if (b.role == PtxBuffer::Arg) {
				v = b.before[0];
			} else {
				size_t n = elements(b, block);

				memset((void *)at, 0xa5, n * b.type.bytes + 256);
				for (size_t i = 0; i < n && !b.before.empty(); i++)
					memcpy((char *)at + i * b.type.bytes,
					       &b.before[i % b.before.size()], b.type.bytes);
				ret_at->push_back(at);
				at += (n * b.type.bytes + 256 + 511) / 512 * 512;
			}
			params.resize((params.size() + size - 1) / size * size + size);
			memcpy(params.data() + params.size() - size, &v, size);
		}
		params.resize((params.size() + 15) / 8 * 8);
		return params;
	}

	void run(Module &m, const interp_fn *table, uint32_t block, const char *how)
	{
		struct ptx_place place = { GLOBALS, MANAGED };
		struct simt_code *code = nullptr;
		struct backend_launch l = {};
		struct backend_fault fault = {};
		struct ptx_error perr;
		std::vector<uint64_t> at;
		std::vector<uint8_t> params = lay_out(block, &at);
		char err[256] = "", text[65536];
		uint32_t r;

		ASSERT_EQ(0u, ptx_module_init_data(m.m, &place, true, &perr));
		memcpy(l.grid, c.grid, sizeof(l.grid));
		memcpy(l.block, c.block, sizeof(l.block));
		l.block[0] = block;
		ASSERT_EQ(0, interp_prepare_with(m.unit,
						 table == COMPILED ? interp_vec_handlers() : table,
						 &code, err, sizeof(err)))
			<< err;
#ifdef VGPU_HAVE_LLVM
		if (table == COMPILED)
			code = compiled(&m.object, m.unit, l.block, code);
#endif
		if (HasFailure()) {
			simt_code_destroy(code);
			return;
		}
		l.grid[0] = blocks(block);
		memcpy(l.cluster, c.cluster, sizeof(l.cluster));
		l.dynamic_shared = c.shared;
		l.cooperative = c.cooperative;
		l.params = params.data();
		l.param_bytes = (uint32_t)params.size();
		l.console = console;
		l.heap_va = HEAP;
		l.heap_bytes = HEAP_BYTES;
		l.stack_bytes = c.stack;
		uint32_t cancel = c.cancel_ms == 0;
		std::thread canceller;

		l.cancel = &cancel;
		if (c.cancel_ms > 0)
			canceller = std::thread([&] {
				usleep((useconds_t)c.cancel_ms * 1000);
				__atomic_store_n(&cancel, 1, __ATOMIC_RELAXED);
			});
		r = simt_launch(device, code, "k", &l, &fault);
		if (canceller.joinable())
			canceller.join();
		simt_code_destroy(code);
		ASSERT_EQ(c.fault, r) << fault.what << " " << how << " block " << block;
		if (c.fault_thread >= 0) {
			EXPECT_EQ((uint32_t)c.fault_thread, fault.tid[0]) << fault.what;
		}
		if (!c.fault_line.empty()) {
			EXPECT_NE(std::string::npos, line_of(m.ptx, fault.line).find(c.fault_line))
				<< "line " << fault.line << ": " << line_of(m.ptx, fault.line);
		}
		int stream;
		size_t got = console_read(console, text, sizeof(text), &stream);

		EXPECT_EQ(c.print, std::string(text, got));
		if (!r)
			compare(at, block, how);
	}

	void compare(const std::vector<uint64_t> &at, uint32_t block, const char *how)
	{
		size_t k = 0;

		for (const PtxBuffer &b : c.buffers) {
			if (b.role == PtxBuffer::Arg)
				continue;
			const char *p = (const char *)at[k++];
			size_t n = elements(b, block);

			for (size_t i = 0; i < n && !b.after.empty(); i++) {
				uint64_t got = 0;

				memcpy(&got, p + i * b.type.bytes, b.type.bytes);
				if (same(b, i % b.after.size(), got))
					continue;
				ADD_FAILURE() << how << ", block " << block << ": " << b.reg << "["
					      << i << "] is " << show(b, got) << ", not "
					      << show(b, b.after[i % b.after.size()]);
				return;
			}
			for (int i = 0; i < 256; i++)
				ASSERT_EQ('\xa5', p[n * b.type.bytes + i])
					<< "written past the end";
		}
	}

	static double number(const PtxBuffer &b, uint64_t bits)
	{
		double d;
		float f;

		memcpy(&d, &bits, 8);
		memcpy(&f, &bits, 4);
		return b.type.bytes == 4 ? f : d;
	}

	static bool same(const PtxBuffer &b, size_t i, uint64_t got)
	{
		double want = number(b, b.after[i]), have = number(b, got);

		if (b.type.kind != 'f' || got == b.after[i])
			return got == b.after[i];
		if (b.any_nan[i])
			return std::isnan(have);
		return b.tolerance > 0 && std::fabs(have - want) <= b.tolerance * std::fabs(want);
	}

	static std::string show(const PtxBuffer &b, uint64_t bits)
	{
		char s[80];

		if (b.type.kind == 'f')
			snprintf(s, sizeof(s), "%.17g (%#llx)", number(b, bits),
				 (unsigned long long)bits);
		else
			snprintf(s, sizeof(s), "%#llx", (unsigned long long)bits);
		return s;
	}

	const PtxCase &c;
	struct backend_device dev = {};
	struct simt_device *device = nullptr;
	struct backend_console *console = nullptr;
};

} // namespace

int main(int argc, char **argv)
{
	static std::vector<PtxCase> cases;
	std::vector<std::string> paths;
	const char *dir = getenv("PTX_TEST_CASES"); /* another directory, for trying */
	std::string error;

	::testing::InitGoogleTest(&argc, argv);
	for (const auto &e :
	     std::filesystem::recursive_directory_iterator(dir ? dir : PTX_TEST_DIR))
		if (e.path().extension() == ".ptx" &&
		    e.path().parent_path().filename() != "frontend")
			paths.push_back(e.path());
	std::sort(paths.begin(), paths.end());
	for (const std::string &p : paths) {
		std::vector<PtxCase> more;

		if (!ptx_cases_read(p, &more, &error)) {
			fprintf(stderr, "%s\n", error.c_str());
			return 1;
		}
		cases.insert(cases.end(), more.begin(), more.end());
	}
	for (const PtxCase &c : cases) {
		std::filesystem::path p(c.file);
		std::string suite = p.parent_path().filename().string() + "_" + p.stem().string();

		::testing::RegisterTest(suite.c_str(), c.name.c_str(), nullptr, nullptr,
					c.file.c_str(), c.line,
					[&c]() -> ::testing::Test * { return new PtxTest(c); });
	}
	return RUN_ALL_TESTS();
}

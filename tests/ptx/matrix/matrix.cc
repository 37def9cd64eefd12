// SPDX-License-Identifier: MIT
// The harness of the matrix tests.
#include "ptx/matrix/matrix.h"
#include "support/window.h"

#include <gtest/gtest.h>
#include <map>
#include <sys/mman.h>

extern "C" {
#define _Alignas(n) alignas(n)
#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/backend/soft/interp/vec.h"
#include "cuse_dev/backend/soft/ptx/ptx.h"
}

namespace {

const uint64_t WINDOW = TEST_WINDOW, BYTES = 4u << 20, OUT = WINDOW + (2u << 20);

std::vector<const interp_fn *> tables()
{
	std::vector<const interp_fn *> t = { interp_vec_handlers() };

	if (t[0] == interp_vec_avx512)
		t.push_back(interp_vec_avx2);
	if (t[0] != interp_vec_sse2)
		t.push_back(interp_vec_sse2);
	return t;
}

struct Unit {
	struct ptx_module *m = nullptr;
	struct ir_unit *u = nullptr;
	struct ptx_unit_info info = {};
	struct ptx_error err = {};
	uint32_t code;

	explicit Unit(const std::string &text)
	{
		struct ptx_place place = { WINDOW + (3u << 20), WINDOW + (3u << 20) };
		char *copy = static_cast<char *>(calloc(1, text.size() + 64));

		memcpy(copy, text.data(), text.size());
		code = ptx_module_load(copy, text.size(), &m, &err);
		if (code)
			return;
		code = ptx_unit_create(m, ptx_module_kernel(m, "k"), &place, &u, &info, &err);
		if (!code && ir_verify(u, err.text, sizeof(err.text)) < 0)
			code = 999;
	}
	~Unit()
	{
		ptx_unit_destroy(u);
		ptx_module_unload(m);
	}
	Unit(const Unit &) = delete;
	Unit &operator=(const Unit &) = delete;
};

/* One launch; the window is mapped by the caller. */
uint32_t launch(const Unit &unit, const MatrixRun &run, const interp_fn *table,
		struct backend_fault *fault)
{
	struct backend_device dev = {};
	struct simt_device *device = nullptr;
	struct simt_code *code = nullptr;
	struct backend_launch l = {};
	uint64_t params[2] = { WINDOW, OUT };
	char err[256] = "";
	uint32_t r;

	dev.cc = 90;
	dev.sm_count = 1;
	dev.warp_size = 32;
	dev.max_threads_per_block = 1024;
	dev.max_shared_per_block = 49152;
	dev.max_shared_per_block_optin = 232448;
	dev.clock_khz = 1000000;
	dev.window_base = WINDOW;
	dev.window_size = 1ull << 40;
	dev.threads = 1;
	EXPECT_EQ(0, simt_device_create(&dev, &device));
	EXPECT_EQ(0, interp_prepare_with(unit.u, table, &code, err, sizeof(err))) << err;
	for (int i = 0; i < 3; i++)
		l.grid[i] = l.block[i] = l.cluster[i] = 1;
	l.block[0] = run.threads;
	l.params = params;
	l.param_bytes = sizeof(params);
	l.stack_bytes = 1024;
	r = code ? simt_launch(device, code, "k", &l, fault) : 999;
	simt_code_destroy(code);
	simt_device_destroy(device);
	return r;
}

class Window {
public:
	Window()
	{
		p = mmap((void *)WINDOW, BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
		EXPECT_EQ((void *)WINDOW, p);
	}
	~Window() { munmap(p, BYTES); }

private:
	void *p;
};

/* ---- formats ----------------------------------------------------------------------------------- */

/* sign, exponent and fraction of a small float without infinities */
double small_float(uint64_t c, int exponent, int fraction)
{
	uint64_t m = c & ((1u << fraction) - 1), e = c >> fraction & ((1u << exponent) - 1);
	int bias = (1 << (exponent - 1)) - 1;
	double v = e ? std::ldexp(1 + std::ldexp((double)m, -fraction), (int)e - bias)
		     : std::ldexp((double)m, 1 - bias - fraction);

	return c >> (exponent + fraction) & 1 ? -v : v;
}

double f32_value(uint64_t c)
{
	uint32_t u = (uint32_t)c;
	float f;

	memcpy(&f, &u, 4);
	return f;
}

double f64_value(uint64_t c)
{
	double d;

	memcpy(&d, &c, 8);
	return d;
}

const Format formats[] = {
	{ "f16", 16, [](uint64_t c) { return small_float(c, 5, 10); } },
	{ "bf16", 16, [](uint64_t c) { return small_float(c, 8, 7); } },
	{ "tf32", 32, [](uint64_t c) { return f32_value(c & ~0x1fffull); } },
	{ "f32", 32, f32_value },
	{ "f64", 64, f64_value },
	{ "s32", 32, [](uint64_t c) { return (double)(int32_t)c; } },
	{ "s8", 8, [](uint64_t c) { return (double)(int8_t)c; } },
	{ "u8", 8, [](uint64_t c) { return (double)(uint8_t)c; } },
	{ "s4", 4, [](uint64_t c) { return (double)(c & 8 ? (int)c - 16 : (int)c); } },
	{ "u4", 4, [](uint64_t c) { return (double)c; } },
	{ "b1", 1, [](uint64_t c) { return (double)c; } },
	{ "e4m3", 8, [](uint64_t c) { return small_float(c, 4, 3); } },
	{ "e5m2", 8, [](uint64_t c) { return small_float(c, 5, 2); } },
	{ "e3m2", 8, [](uint64_t c) { return small_float(c & 63, 3, 2); } },
	{ "e2m3", 8, [](uint64_t c) { return small_float(c & 63, 2, 3); } },
	{ "e2m1", 8, [](uint64_t c) { return small_float(c >> 2 & 15, 2, 1); } },
	{ "p4", 4, [](uint64_t c) { return small_float(c, 2, 1); } },
	{ "ue8m0", 8, [](uint64_t c) { return std::ldexp(1.0, (int)c - 127); } },
	{ "ue4m3", 8, [](uint64_t c) { return small_float(c & 127, 4, 3); } },
};

} // namespace

const Format *format(const std::string &name)
{
	for (const Format &f : formats)
		if (name == f.name)
			return &f;
	ADD_FAILURE() << "no format " << name;
	return &formats[0];
}

uint64_t format_code(const Format *f, double v)
{
	uint64_t c = 0;
	float s = (float)v;

	if (f->bits == 64) {
		memcpy(&c, &v, 8);
		return c;
	}
	if (!strcmp(f->name, "s32"))
		return (uint32_t)(int32_t)v;
	if (f->bits == 32) {
		memcpy(&c, &s, 4);
		return c;
	}
	static std::map<std::pair<const Format *, double>, uint64_t> known;
	auto at = known.find({ f, v });

	if (at != known.end())
		return at->second;
	for (c = 0; c < 1ull << f->bits; c++)
		if (f->value(c) == v)
			return known[{ f, v }] = c;
	ADD_FAILURE() << v << " is no " << f->name;
	return 0;
}

double Numbers::small(const Format *f)
{
	static const double floats[] = { 0, 1, -1, 2, -2, 0.5, -0.5, 1.5, -3, 4 };
	std::string n = f->name;

	if (n == "b1")
		return next(2);
	if (n == "u4" || n == "u8")
		return next(n == "u4" ? 16 : 256);
	if (n == "s4" || n == "s8")
		return (double)next(n == "s4" ? 16 : 256) - (n == "s4" ? 8 : 128);
	if (n == "s32")
		return (double)next(1000000) - 500000;
	return floats[next(10)];
}

void put_bits(std::vector<uint8_t> *b, uint64_t at, uint32_t bits, uint64_t v)
{
	for (uint32_t i = 0; i < bits; i++, at++)
		(*b)[at / 8] = (uint8_t)(((*b)[at / 8] & ~(1u << at % 8)) | (v >> i & 1) << at % 8);
}

uint64_t get_bits(const std::vector<uint8_t> &b, uint64_t at, uint32_t bits)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < bits; i++, at++)
		v |= (uint64_t)(b[at / 8] >> at % 8 & 1) << i;
	return v;
}

std::string regs(const std::string &name, uint32_t n)
{
	std::string s = "{";

	for (uint32_t i = 0; i < n; i++)
		s += (i ? ", %" : "%") + name + std::to_string(i);
	return s + "}";
}

static std::string moves(const char *op, const std::string &name, uint32_t n, uint32_t at,
			 uint32_t size, uint32_t threads)
{
	std::string s, t = size == 8 ? ".b64 " : ".b32 ", a = size == 8 ? "8" : "";
	bool load = op[0] == 'l';

	for (uint32_t i = 0; i < n; i++) {
		std::string r = "%" + name + std::to_string(i),
			    m = std::string(load ? "[%lin" : "[%lout") + a + "+" +
				std::to_string(at + i * threads * size) + "]";

		s += op + t + (load ? r + ", " + m : m + ", " + r) + ";\n";
	}
	return s;
}

std::string load_regs(const std::string &name, uint32_t n, uint32_t at, uint32_t size,
		      uint32_t threads)
{
	return ".reg .b" + std::to_string(8 * size) + " %" + name + "<" + std::to_string(n) +
	       ">;\n" + moves("ld.global", name, n, at, size, threads);
}

std::string store_regs(const std::string &name, uint32_t n, uint32_t size, uint32_t threads)
{
	return moves("st.global", name, n, 0, size, threads);
}

std::string matrix_kernel(const std::string &body, const std::string &target)
{
	return ".version 8.8\n.target " + target +
	       "\n.address_size 64\n"
	       ".visible .entry k(.param .u64 in, .param .u64 out)\n{\n"
	       ".reg .b64 %in, %out, %lin, %lout, %lin8, %lout8; .reg .b32 %lane;\n"
	       "ld.param.u64 %in, [in]; ld.param.u64 %out, [out]; mov.u32 %lane, %tid.x;\n"
	       "mad.wide.u32 %lin, %lane, 4, %in; mad.wide.u32 %lout, %lane, 4, %out;\n"
	       "mad.wide.u32 %lin8, %lane, 8, %in; mad.wide.u32 %lout8, %lane, 8, %out;\n" +
	       body + "ret;\n}\n";
}

void matrix_run(const MatrixRun &run,
		const std::function<void(const std::vector<uint8_t> &)> &check)
{
	Unit unit(run.text);
	Window window;

	ASSERT_EQ(0u, unit.code) << unit.err.line << ":" << unit.err.column << ": " << unit.err.text
				 << "\n"
				 << run.text;
	for (const interp_fn *t : tables()) {
		struct backend_fault fault = {};
		std::vector<uint8_t> out(run.out_bytes);

		memset((void *)WINDOW, 0xa5, BYTES);
		memcpy((void *)WINDOW, run.in.data(), run.in.size());
		ASSERT_EQ(0u, launch(unit, run, t, &fault)) << fault.what << "\n" << run.text;
		memcpy(out.data(), (void *)OUT, out.size());
		check(out);
		ASSERT_EQ(0xa5, *(uint8_t *)(OUT + out.size())) << "written past the end";
		if (::testing::Test::HasFailure()) {
			printf("table %d of the CPU's, with\n%s", (int)(t != tables()[0]),
			       run.text.c_str());
			return;
		}
	}
}

std::string matrix_refused(const std::string &text)
{
	Unit unit(text);

	return unit.code ? unit.err.text : unit.info.unsupported ? "unsupported" : "";
}

std::string matrix_fault(const MatrixRun &run, uint32_t *ret_error)
{
	Unit unit(run.text);
	Window window;
	struct backend_fault fault = {};

	EXPECT_EQ(0u, unit.code) << unit.err.text;
	memcpy((void *)WINDOW, run.in.data(), run.in.size());
	*ret_error = unit.code ? 0 : launch(unit, run, interp_vec_handlers(), &fault);
	return fault.what;
}

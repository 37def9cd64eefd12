// SPDX-License-Identifier: MIT
// Instructions of one operand over all their inputs, as kernels in both tiers: where the manual says
// how large an error may be, it is not larger; where the result is fixed, it is that.
//
// 16 bits: always all. 32 bits: every DENSE_STRIDE-th (default below; 1 is all of them, minutes). All
// ways to run a kernel must give the same bits, so only one of them is compared with the reference, which
// is the C library's double, or the CPU's own rounding where the result is exact.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
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

const uint32_t STRIDE = 8191, BLOCK = 256, CHUNK = 1u << 20;
const uint64_t BYTES = 8u << 20, OUT = TEST_WINDOW, GLOBALS = TEST_WINDOW + (7u << 20);
const uint32_t NAN32 = 0x7fffffff;

float as_float(uint32_t u)
{
	float f;

	memcpy(&f, &u, 4);
	return f;
}
uint32_t bits(float f)
{
	uint32_t u;

	memcpy(&u, &f, 4);
	return u;
}
bool subnormal(float f)
{
	return f != 0 && std::fabs(f) < 0x1p-126f;
}
float flushed(float f)
{
	return subnormal(f) ? std::copysign(0.0f, f) : f;
}
double half(uint32_t h)
{
	int e = (int)(h >> 10 & 31), m = (int)(h & 1023);
	double v = e == 31 ? (m ? NAN : INFINITY)
		   : e	   ? std::ldexp(1024 + m, e - 25)
			   : std::ldexp(m, -24);

	return h >> 15 & 1 ? -v : v;
}
double brain(uint32_t h)
{
	return as_float(h << 16);
}

// |got - want| <= relative * |want| + absolute, and NaN for NaN, infinity for infinity.
bool near(double got, double want, double relative, double absolute)
{
	if (std::isnan(want) || std::isnan(got))
		return std::isnan(want) && std::isnan(got);
	if (std::isinf(want) || std::isinf(got))
		return want == got;
	return std::fabs(got - want) <= relative * std::fabs(want) + absolute;
}

bool same(uint32_t got, float want)
{
	return got == (std::isnan(want) ? NAN32 : bits(want));
}

// ---- references ------------------------------------------------------------------------------------

template <bool FTZ> float source(uint32_t in)
{
	return FTZ ? flushed(as_float(in)) : as_float(in);
}

template <bool FTZ> bool rcp(uint32_t in, uint32_t out)
{
	float y = 1.0f / source<FTZ>(in);

	return same(out, FTZ ? flushed(y) : y);
}
template <bool FTZ> bool root(uint32_t in, uint32_t out)
{
	return same(out, std::sqrt(source<FTZ>(in)));
}
template <bool FTZ> bool rsqrt(uint32_t in, uint32_t out)
{
	float x = source<FTZ>(in);

	if (x < 0)
		return out == NAN32;
	if (x == 0)
		return same(out, std::copysign(INFINITY, x));
	return near(as_float(out), 1 / std::sqrt((double)x), 0x1.125p-23, 0); // 2^-22.9
}
template <bool FTZ> bool ex2(uint32_t in, uint32_t out)
{
	double x = source<FTZ>(in), want = std::exp2(x);
	float y = as_float(out);
	int e;

	if (std::isnan(x))
		return out == NAN32;
	if (FTZ && want < 0x1p-126 * (1 + 0x1p-22) && out == 0)
		return true;
	if (std::isinf(y))
		return y > 0 && want > 0x1.fffffap127;
	if (FTZ && subnormal(y))
		return false;
	std::frexp(want, &e);
	return std::fabs(y - want) <= std::ldexp(2.0, std::max(e, -125) - 24);
}
template <bool FTZ> bool lg2(uint32_t in, uint32_t out)
{
	float x = source<FTZ>(in);
	bool inner = x > 0.5f && x < 2;

	if (std::isnan(x) || x < 0)
		return out == NAN32;
	return near(as_float(out), std::log2((double)x), inner ? 0 : 0x1p-22, inner ? 0x1p-22 : 0);
}
template <bool FTZ> bool circle(double want, uint32_t in, uint32_t out)
{
	float x = source<FTZ>(in), y = as_float(out);

	if (!std::isfinite(x))
		return out == NAN32;
	if (!(std::fabs(y) <= 1))
		return false;
	// Beyond 2 pi the manual's bound grows; ours is stated to 10^6.
	if (std::fabs(x) <= 6.2831855f)
		return std::fabs(y - want) <= 0x1.6a09ep-21;
	return std::fabs(x) > 1e6f || std::fabs(y - want) <= 0x1p-20;
}
template <bool FTZ> bool sine(uint32_t in, uint32_t out)
{
	return circle<FTZ>(std::sin((double)source<FTZ>(in)), in, out);
}
template <bool FTZ> bool cosine(uint32_t in, uint32_t out)
{
	return circle<FTZ>(std::cos((double)source<FTZ>(in)), in, out);
}
bool tanh32(uint32_t in, uint32_t out)
{
	float x = as_float(in);

	return std::isnan(x) ? out == NAN32
			     : near(as_float(out), std::tanh((double)x), 0x1p-11, 0x1p-149);
}

// To integers: NaN is 0, what lies outside is clamped.
template <class T, double (*ROUND)(double)> bool integer(uint32_t in, uint32_t out)
{
	double x = ROUND(as_float(in)), lo = (double)std::numeric_limits<T>::min(),
	       hi = (double)std::numeric_limits<T>::max();

	return out == (uint32_t)(std::isnan(x) ? 0 : (T)std::min(std::max(x, lo), hi));
}
template <class T, double (*ROUND)(double)> bool integer16(uint32_t in, uint32_t out)
{
	return integer<T, ROUND>(bits((float)half(in)), out);
}

enum Mode { RN, RZ, RM, RP };

// A value that double holds, rounded to float.
template <Mode MODE> float rounded(double v)
{
	float f = (float)v;

	if (MODE == RZ && std::fabs(f) > std::fabs(v))
		f = std::nextafter(f, 0.0f);
	if (MODE == RM && f > v)
		f = std::nextafter(f, -INFINITY);
	if (MODE == RP && f < v)
		f = std::nextafter(f, INFINITY);
	return f;
}
template <class T, Mode MODE> bool from_integer(uint32_t in, uint32_t out)
{
	return out == bits(rounded<MODE>((double)(T)in));
}
template <Mode MODE> bool narrow_half(uint32_t in, uint32_t out)
{
	double x = as_float(in), below, unit, v;
	int e;

	if (std::isnan(x))
		return out == 0x7fff;
	if (std::isinf(x))
		return half(out) == x;
	std::frexp(x, &e);
	unit = std::ldexp(1.0, std::max(e, -13) - 11); // the distance of two halves there
	below = std::floor(x / unit);
	v = x / unit - below;
	if (MODE == RN)
		below += v > 0.5 || (v == 0.5 && std::fmod(below, 2) != 0);
	else if (v != 0)
		below += MODE == RP || (MODE == RZ && x < 0);
	below *= unit;
	if (std::fabs(below) > 65504)
		below = std::copysign(MODE == RN || (MODE == RP && x > 0) || (MODE == RM && x < 0)
					      ? INFINITY
					      : 65504.0,
				      x);
	return out <= 0xffff && half(out) == below && (out >> 15) == (in >> 31);
}
bool narrow_brain(uint32_t in, uint32_t out)
{
	if (std::isnan(as_float(in)))
		return out == 0x7fff;
	return out == (in + 0x7fff + (in >> 16 & 1)) >> 16;
}

template <double (*VALUE)(uint32_t)> bool widened(uint32_t in, uint32_t out)
{
	return same(out, (float)VALUE(in));
}
bool ex2_half(uint32_t in, uint32_t out)
{
	double want = std::exp2(half(in));

	return want >= 65520 ? half(out) == INFINITY || (want < 65536 && half(out) == 65504)
			     : near(half(out), want, 0x1.125p-10, 0x1p-25); // 2^-9.9
}
bool ex2_brain(uint32_t in, uint32_t out)
{
	double x = brain(in), want = std::exp2(subnormal((float)x) ? 0 : x);

	if (want < 0x1p-126 * (1 + 0x1p-8))
		return out == 0 || (want >= 0x1p-126 * (1 - 0x1p-7) && out == 0x80);
	return want > 0x1.fep127 ? brain(out) == INFINITY || brain(out) >= 0x1.fcp127
				 : near(brain(out), want, 0x1p-7, 0);
}
bool tanh_half(uint32_t in, uint32_t out)
{
	return near(half(out), std::tanh(half(in)), 0, 0x1.0248p-11); // 2^-10.987
}
bool tanh_brain(uint32_t in, uint32_t out)
{
	return near(brain(out), std::tanh(brain(in)), 0, 0x1p-8);
}

// ---- forms -----------------------------------------------------------------------------------------

struct Form {
	const char *name;
	int in_bits;
	const char *code; // %r0 to %r1; %f, %h, %s are free
	bool (*right)(uint32_t in, uint32_t out);
};

#define FLOAT(text)    "mov.b32 %f0, %r0;\n" text ".f32 %f1, %f0;\nmov.b32 %r1, %f1;\n"
#define TO_INT(text)   "mov.b32 %f0, %r0;\n" text " %r1, %f0;\n"
#define FROM_INT(text) text " %f1, %r0;\nmov.b32 %r1, %f1;\n"
#define TO_SHORT(text) "mov.b32 %f0, %r0;\n" text " %h0, %f0;\ncvt.u32.u16 %r1, %h0;\n"
#define SHORT(text)    "cvt.u16.u32 %h0, %r0;\n" text " %h1, %h0;\ncvt.u32.u16 %r1, %h1;\n"
#define FROM_SHORT(text, kind, move)                                                               \
	"cvt.u16.u32 %h0, %r0;\n" text " %" kind ", %h0;\n" move ".b32 %r1, %" kind ";\n"
#define PAIR(text) "prmt.b32 %r2, %r0, 0, 0x1010;\n" text " %r3, %r2;\nand.b32 %r1, %r3, 0xffff;\n"
#define BOTH(name, text, fn)                                                                       \
	{ name, 32, FLOAT(text), fn<false> },                                                      \
	{                                                                                          \
		name "_ftz", 32, FLOAT(text ".ftz"), fn<true>                                      \
	}

const Form forms[] = {
	BOTH("sin_approx", "sin.approx", sine),
	BOTH("cos_approx", "cos.approx", cosine),
	BOTH("lg2_approx", "lg2.approx", lg2),
	BOTH("ex2_approx", "ex2.approx", ex2),
	BOTH("rcp_approx", "rcp.approx", rcp),
	BOTH("sqrt_approx", "sqrt.approx", root),
	BOTH("rsqrt_approx", "rsqrt.approx", rsqrt),
	{ "tanh_approx", 32, FLOAT("tanh.approx"), tanh32 },
	BOTH("rcp_rn", "rcp.rn", rcp),
	BOTH("sqrt_rn", "sqrt.rn", root),

	{ "cvt_rni_s32_f32", 32, TO_INT("cvt.rni.s32.f32"), integer<int32_t, std::nearbyint> },
	{ "cvt_rzi_s32_f32", 32, TO_INT("cvt.rzi.s32.f32"), integer<int32_t, std::trunc> },
	{ "cvt_rmi_s32_f32", 32, TO_INT("cvt.rmi.s32.f32"), integer<int32_t, std::floor> },
	{ "cvt_rpi_s32_f32", 32, TO_INT("cvt.rpi.s32.f32"), integer<int32_t, std::ceil> },
	{ "cvt_rni_u32_f32", 32, TO_INT("cvt.rni.u32.f32"), integer<uint32_t, std::nearbyint> },
	{ "cvt_rzi_u32_f32", 32, TO_INT("cvt.rzi.u32.f32"), integer<uint32_t, std::trunc> },
	{ "cvt_rn_f32_s32", 32, FROM_INT("cvt.rn.f32.s32"), from_integer<int32_t, RN> },
	{ "cvt_rz_f32_s32", 32, FROM_INT("cvt.rz.f32.s32"), from_integer<int32_t, RZ> },
	{ "cvt_rm_f32_s32", 32, FROM_INT("cvt.rm.f32.s32"), from_integer<int32_t, RM> },
	{ "cvt_rp_f32_s32", 32, FROM_INT("cvt.rp.f32.s32"), from_integer<int32_t, RP> },
	{ "cvt_rn_f32_u32", 32, FROM_INT("cvt.rn.f32.u32"), from_integer<uint32_t, RN> },
	{ "cvt_rz_f32_u32", 32, FROM_INT("cvt.rz.f32.u32"), from_integer<uint32_t, RZ> },
	{ "cvt_rn_f16_f32", 32, TO_SHORT("cvt.rn.f16.f32"), narrow_half<RN> },
	{ "cvt_rz_f16_f32", 32, TO_SHORT("cvt.rz.f16.f32"), narrow_half<RZ> },
	{ "cvt_rm_f16_f32", 32, TO_SHORT("cvt.rm.f16.f32"), narrow_half<RM> },
	{ "cvt_rp_f16_f32", 32, TO_SHORT("cvt.rp.f16.f32"), narrow_half<RP> },
	{ "cvt_rn_bf16_f32", 32, TO_SHORT("cvt.rn.bf16.f32"), narrow_brain },

	{ "ex2_approx_f16", 16, SHORT("ex2.approx.f16"), ex2_half },
	{ "ex2_approx_f16x2", 16, PAIR("ex2.approx.f16x2"), ex2_half },
	{ "ex2_approx_bf16", 16, SHORT("ex2.approx.ftz.bf16"), ex2_brain },
	{ "ex2_approx_bf16x2", 16, PAIR("ex2.approx.ftz.bf16x2"), ex2_brain },
	{ "tanh_approx_f16", 16, SHORT("tanh.approx.f16"), tanh_half },
	{ "tanh_approx_f16x2", 16, PAIR("tanh.approx.f16x2"), tanh_half },
	{ "tanh_approx_bf16", 16, SHORT("tanh.approx.bf16"), tanh_brain },
	{ "tanh_approx_bf16x2", 16, PAIR("tanh.approx.bf16x2"), tanh_brain },
	{ "cvt_f32_f16", 16, FROM_SHORT("cvt.f32.f16", "f0", "mov"), widened<half> },
	{ "cvt_f32_bf16", 16, FROM_SHORT("cvt.f32.bf16", "f0", "mov"), widened<brain> },
	{ "cvt_rni_s32_f16", 16, FROM_SHORT("cvt.rni.s32.f16", "r2", "mov"),
	  integer16<int32_t, std::nearbyint> },
	{ "cvt_rzi_u32_f16", 16, FROM_SHORT("cvt.rzi.u32.f16", "r2", "mov"),
	  integer16<uint32_t, std::trunc> },
	{ "cvt_rmi_s32_f16", 16, FROM_SHORT("cvt.rmi.s32.f16", "r2", "mov"),
	  integer16<int32_t, std::floor> },
	{ "cvt_rpi_s32_f16", 16, FROM_SHORT("cvt.rpi.s32.f16", "r2", "mov"),
	  integer16<int32_t, std::ceil> },
};

std::string kernel(const Form &f)
{
	return std::string(
		       ".version 8.0\n.target sm_90\n.address_size 64\n"
		       ".visible .entry k(.param .u64 out, .param .u32 first, .param .u32 "
		       "stride)\n{\n"
		       ".reg .b32 %r<4>, %i, %t; .reg .b16 %h<2>; .reg .f32 %f<2>; .reg .b64 %a;\n"
		       "mov.u32 %i, %ctaid.x;\nmov.u32 %t, %tid.x;\n"
		       "mad.lo.u32 %i, %i, 256, %t;\nld.param.u32 %r0, [first];\n"
		       "ld.param.u32 %t, [stride];\nmad.lo.u32 %r0, %i, %t, %r0;\n") +
	       f.code +
	       "ld.param.u64 %a, [out];\nmad.wide.u32 %a, %i, 4, %a;\n"
	       "st.global.u32 [%a], %r1;\nret;\n}\n";
}

class Dense : public ::testing::TestWithParam<Form> {
protected:
	struct simt_device *device = nullptr;
	struct backend_console *console = nullptr;
	unsigned cpus = std::max(1u, std::thread::hardware_concurrency());

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
		dev.threads = cpus;
		ASSERT_EQ(0, simt_device_create(&dev, &device));
		ASSERT_EQ(0, console_create(65536, &console));
	}
	void TearDown() override
	{
		console_destroy(console);
		simt_device_destroy(device);
		munmap((void *)TEST_WINDOW, BYTES);
	}

	void run(const struct simt_code *code, uint32_t first, uint32_t stride, uint32_t count)
	{
		struct {
			uint64_t out;
			uint32_t first, stride;
		} params = { OUT, first, stride };
		struct backend_launch l = {};
		struct backend_fault fault = {};

		for (int i = 0; i < 3; i++)
			l.grid[i] = l.block[i] = 1;
		l.grid[0] = (count + BLOCK - 1) / BLOCK;
		l.block[0] = BLOCK;
		l.params = &params;
		l.param_bytes = sizeof(params);
		l.console = console;
		l.stack_bytes = 4096;
		memset((void *)OUT, 0x5a, count * 4);
		ASSERT_EQ(0u, simt_launch(device, code, "k", &l, &fault)) << fault.what;
	}

	// The first input whose result is wrong, or count.
	uint32_t wrong(uint32_t first, uint32_t stride, uint32_t count)
	{
		auto *out = (const uint32_t *)OUT;
		auto right = GetParam().right;
		std::atomic<uint32_t> found{ count };
		std::vector<std::thread> threads;

		for (unsigned c = 0; c < cpus; c++) {
			threads.emplace_back([&, c] {
				for (uint32_t i = c; i < count; i += cpus) {
					uint32_t was = found;

					if (right(first + i * stride, out[i]))
						continue;
					while (i < was && !found.compare_exchange_weak(was, i))
						;
					return;
				}
			});
		}
		for (auto &t : threads)
			t.join();
		return found;
	}

	void sweep(const std::vector<struct simt_code *> &codes, uint32_t stride)
	{
		uint64_t all = 1ull << GetParam().in_bits;
		uint64_t total = (all + stride - 1) / stride;
		std::vector<uint32_t> want;

		for (uint64_t at = 0; at < total; at += CHUNK) {
			auto count = (uint32_t)std::min<uint64_t>(CHUNK, total - at);
			auto first = (uint32_t)(at * stride);
			uint32_t bad;

			run(codes[0], first, stride, count);
			bad = wrong(first, stride, count);
			ASSERT_EQ(count, bad)
				<< GetParam().name << std::hex << " of 0x" << first + bad * stride
				<< " gives 0x" << ((const uint32_t *)OUT)[bad];
			want.assign((const uint32_t *)OUT, (const uint32_t *)OUT + count);
			for (size_t c = 1; c < codes.size(); c++) {
				auto *out = (const uint32_t *)OUT;

				run(codes[c], first, stride, count);
				bad = (uint32_t)(std::mismatch(want.begin(), want.end(), out)
							 .first -
						 want.begin());
				ASSERT_EQ(count, bad)
					<< GetParam().name << ", way " << c << std::hex << " of 0x"
					<< first + bad * stride << " gives 0x" << out[bad]
					<< ", not 0x" << want[bad];
			}
		}
	}
};

TEST_P(Dense, AllInputs)
{
	const char *v = getenv("DENSE_STRIDE");
	uint32_t stride = v ? (uint32_t)std::max(1, atoi(v)) : STRIDE;
	std::string ptx = kernel(GetParam());
	struct ptx_place place = { GLOBALS, GLOBALS };
	std::vector<struct simt_code *> codes;
	struct ptx_unit_info info = {};
	struct ptx_module *m = nullptr;
	struct simt_code *code = nullptr;
	struct ir_unit *u = nullptr;
	struct ptx_error err = {};
	char text[256] = "";

	ASSERT_EQ(0u, ptx_module_load(strdup(ptx.c_str()), ptx.size(), &m, &err))
		<< err.line << ":" << err.column << ": " << err.text << "\n"
		<< ptx;
	ASSERT_EQ(0u, ptx_unit_create(m, ptx_module_kernel(m, "k"), &place, &u, &info, &err))
		<< err.line << ":" << err.column << ": " << err.text << "\n"
		<< ptx;
	ASSERT_EQ(0, interp_prepare_with(u, interp_vec_sse2, &code, text, sizeof(text))) << text;
	codes.push_back(code);
	ASSERT_EQ(0, interp_prepare(u, &code, text, sizeof(text))) << text;
	codes.push_back(code);
#ifdef VGPU_HAVE_LLVM
	struct llvm_options opt = {};
	void *object = nullptr;
	size_t bytes = 0;

	opt.level = LLVM_GOOD;
	ASSERT_EQ(0, llvm_compile(u, &opt, &object, &bytes, text, sizeof(text))) << text;
	ASSERT_EQ(0, llvm_load(object, bytes, codes[1], u->base_va, &code, text, sizeof(text)))
		<< text;
	codes.insert(codes.begin(), code); // the fastest is compared with the reference
	free(object);
#endif
	sweep(codes, GetParam().in_bits == 16 ? 1 : stride);
	for (auto *c : codes)
		simt_code_destroy(c);
	ptx_unit_destroy(u);
	ptx_module_unload(m);
}

INSTANTIATE_TEST_SUITE_P(Forms, Dense, ::testing::ValuesIn(forms),
			 [](const auto &i) { return std::string(i.param.name); });

} // namespace

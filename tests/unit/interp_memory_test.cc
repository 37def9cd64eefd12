// SPDX-License-Identifier: MIT
// Loads and stores give the same whatever pattern the lanes' addresses have: rows, one place, halves,
// anything; all lanes and some; every width; global, shared, generic and local memory.
#include "simt_fixture.h"

namespace {
constexpr uint32_t kData = 0x10000; /* where the accesses go */

struct Width {
	const char *type, *reg;
	uint32_t bytes, bits, elems;
	bool sign;
};

const Width widths[] = {
	{ "u8", "u16", 1, 16, 1, false },  { "s8", "u32", 1, 32, 1, true },
	{ "u16", "u16", 2, 16, 1, false }, { "s16", "u32", 2, 32, 1, true },
	{ "u32", "u32", 4, 32, 1, false }, { "s32", "u64", 4, 64, 1, true },
	{ "u64", "u64", 8, 64, 1, false }, { "u32", "u32", 4, 32, 2, false },
	{ "u32", "u32", 4, 32, 4, false }, { "u64", "u64", 8, 64, 2, false },
	{ "u16", "u16", 2, 16, 4, false }, { "u8", "u16", 1, 16, 2, false },
};

/* Element numbers of the lanes. */
const int kPatterns = 9;
uint32_t pattern(int p, uint32_t lane)
{
	switch (p) {
	case 0: /* a row */
		return 5 + lane;
	case 1: /* one place */
		return 9;
	case 2: /* two rows of 16 */
		return (lane & 15) + (lane >> 4) * 40;
	case 3: /* a place per half */
		return 3 + (lane >> 4) * 7;
	case 4: /* place, then row */
		return lane < 16 ? 2 : lane;
	case 5: /* row, then place */
		return lane < 16 ? lane + 1 : 50;
	case 6: /* a row but for the last */
		return lane == 31 ? 0 : lane + 8;
	case 7: /* downwards */
		return 40 - lane;
	default:
		return lane * 11 % 61;
	}
}

uint64_t cell(uint32_t byte)
{
	return (uint8_t)(byte * 37 + (byte >> 8) * 11 + 1);
}
} // namespace

class InterpMemory : public Simt {
protected:
	/* Cells at 0: pattern of lane i at 8 * i. Loaded values go to 1024 + 64 * lane + 8 * element. */
	std::string head(const Width &w, uint32_t mask, const char *space, uint64_t to_space)
	{
		std::string s = "unit shared=8192 params=8 depth=1 func \"k\" frame=4096 regs u32 "
				"u64 u64 u64 pred "
				"u32 u64 u32 ";

		for (int i = 0; i < 4; i++)
			s += std::string(w.reg) + " ";
		s += "\nblock\nsreg u32 sub=%tid.x %0 =\nld u64 u64 space=param %1 = 0\n"
		     "mad.wide u32 %2 = %0, 8, %1\nld u64 u64 space=global %3 = %2\n"
		     "mov u32 %5 = 1\nshl u32 %5 = %5, %0\nand u32 %5 = %5, " +
		     std::to_string(mask) +
		     "\nsetp u32 cmp=ne %4, _ = %5, 0, _\n"
		     "mad.wide u32 %6 = %0, 64, %1\n";
		if (std::string(space) == "global")
			s += "add u64 %3 = %3, %1\nadd u64 %3 = %3, " + std::to_string(kData) +
			     "\n";
		else if (to_space)
			s += "add u64 %3 = %3, " + std::to_string(to_space) + "\n";
		return s + "cvt u32 u64 %7 = %3\n";
	}

	static std::string list(const Width &w)
	{
		std::string s;

		for (uint32_t e = 0; e < w.elems; e++)
			s += (e ? ", %" : "%") + std::to_string(8 + e);
		return s;
	}

	static std::string store_out(const Width &w, const char *guard)
	{
		std::string s;

		for (uint32_t e = 0; e < w.elems; e++)
			s += std::string(guard) + "st u" + std::to_string(w.bits) +
			     " space=global off=" + std::to_string(4096 + 8 * e) + " %6, %" +
			     std::to_string(8 + e) + "\n";
		return s;
	}

	void fill(const Width &w, int p)
	{
		uint8_t *b = (uint8_t *)kWindow;

		memset(b, 0, kData);
		for (uint32_t i = 0; i < 32; i++)
			((uint64_t *)b)[i] = (uint64_t)pattern(p, i) * w.bytes * w.elems;
		for (uint32_t i = 0; i < 8192; i++)
			b[kData + i] = (uint8_t)cell(i);
	}

	uint64_t expected(const Width &w, int p, uint32_t lane, uint32_t e)
	{
		uint64_t v = 0;

		for (uint32_t k = 0; k < w.bytes; k++)
			v |= cell((pattern(p, lane) * w.elems + e) * w.bytes + k) << (8 * k);
		if (w.sign && v >> (8 * w.bytes - 1))
			v |= ~0ull << (8 * w.bytes);
		return w.bits == 64 ? v : v & ((1ull << w.bits) - 1);
	}

	void load_global(const Width &w, int p, uint32_t mask)
	{
		std::string s = head(w, mask, "global", 0);

		for (uint32_t e = 0; e < w.elems; e++)
			s += "mov " + std::string(w.reg) + " %" + std::to_string(8 + e) + " = 77\n";
		s += std::string("@%4 ld ") + w.type + " " + w.reg + " space=global " + list(w) +
		     " = %3\n" + store_out(w, "") + "exit\n";
		load(s);
		fill(w, p);
		ASSERT_EQ(0u, run(kWindow)) << fault.what << "\n" << s;
		for (uint32_t i = 0; i < 32; i++)
			for (uint32_t e = 0; e < w.elems; e++) {
				uint64_t got = 0, want = mask >> i & 1 ? expected(w, p, i, e) : 77;

				memcpy(&got, (uint8_t *)kWindow + 4096 + 64 * i + 8 * e,
				       w.bits / 8);
				ASSERT_EQ(want, got) << w.type << " to " << w.reg << ", " << w.elems
						     << " elements, pattern " << p << ", mask "
						     << std::hex << mask << ", lane " << i << "\n"
						     << s;
			}
	}

	/* Stores to @space and reads back lane by lane what global memory then holds. */
	void store_to(const Width &w, int p, uint32_t mask, const char *space, uint64_t to_space,
		      bool wide)
	{
		std::string s = head(w, mask, space, to_space), at = wide ? "%3" : "%7";
		bool local = std::string(space) == "local" || to_space == IR_LOCAL_APERTURE;
		uint8_t want[8192] = {}, *got = (uint8_t *)kWindow + kData;

		/* lane and element make the value */
		for (uint32_t e = 0; e < w.elems; e++)
			s += "mad u32 %5 = %0, 8, " + std::to_string(0x41020301 + e) + "\n" +
			     (w.bits == 32   ? "mov"
			      : w.bits == 16 ? "cvt u16"
					     : "cvt u64") +
			     " u32 %" + std::to_string(8 + e) + " = %5\n";
		s += std::string("@%4 st ") + w.type + " space=" + space + " " + at + ", " +
		     list(w) + "\n";
		if (std::string(space) != "global")
			s += std::string("@%4 ld ") + w.type + " " + w.reg + " space=" + space +
			     " " + list(w) + " = " + at + "\n" + store_out(w, "@%4 ");
		load(s + "exit\n");
		fill(w, p);
		memset(got, 0, sizeof(want));
		ASSERT_EQ(0u, run(kWindow)) << fault.what << "\n" << s;
		for (uint32_t i = 0; i < 32; i++)
			for (uint32_t e = 0; mask >> i & 1 && e < w.elems; e++) {
				uint64_t v = i * 8 + 0x41020301 + e;

				memcpy(want + (pattern(p, i) * w.elems + e) * w.bytes, &v, w.bytes);
			}
		if (std::string(space) == "global") {
			ASSERT_EQ(0, memcmp(want, got, sizeof(want)))
				<< w.type << " x " << w.elems << ", pattern " << p << ", mask "
				<< std::hex << mask;
			return;
		}
		for (uint32_t i = 0; i < 32; i++)
			for (uint32_t e = 0; mask >> i & 1 && e < w.elems; e++) {
				uint64_t read = 0, v = 0;

				memcpy(&read, (uint8_t *)kWindow + 4096 + 64 * i + 8 * e,
				       w.bits / 8);
				if (local)
					v = i * 8 + 0x41020301 + e; /* nobody else writes there */
				else
					memcpy(&v, want + (pattern(p, i) * w.elems + e) * w.bytes,
					       w.bytes);
				v &= w.bytes == 8 ? ~0ull : (1ull << (8 * w.bytes)) - 1;
				if (w.sign && v >> (8 * w.bytes - 1))
					v |= ~0ull << (8 * w.bytes);
				v &= w.bits == 64 ? ~0ull : (1ull << w.bits) - 1;
				ASSERT_EQ(v, read) << space << " " << w.type << " x " << w.elems
						   << ", pattern " << p << ", mask " << std::hex
						   << mask << ", lane " << i << "\n"
						   << s;
			}
	}

	void check_all()
	{
		const uint32_t masks[] = { ~0u, 0x0000fff0u, 0x80000001u, 0x00010000u,
					   0xa5a5f00fu };

		for (const Width &w : widths)
			for (int p = 0; p < kPatterns; p++)
				for (uint32_t mask : masks) {
					load_global(w, p, mask);
					store_to(w, p, mask, "global", 0, true);
					store_to(w, p, mask, "shared", 0, false);
					if (mask == ~0u || p == 0) {
						store_to(w, p, mask, "shared", 0, true);
						store_to(w, p, mask, "generic", IR_SHARED_APERTURE,
							 true);
						store_to(w, p, mask, "local", 0, true);
						store_to(w, p, mask, "local", 0, false);
						store_to(w, p, mask, "generic", IR_LOCAL_APERTURE,
							 true);
					}
					if (HasFatalFailure())
						return;
				}
	}
};

TEST_F(InterpMemory, Sse2)
{
	handlers = interp_vec_sse2;
	check_all();
}

TEST_F(InterpMemory, Avx2)
{
	if (!__builtin_cpu_supports("avx2"))
		GTEST_SKIP() << "this CPU has no AVX2";
	handlers = interp_vec_avx2;
	check_all();
}

TEST_F(InterpMemory, Avx512)
{
	if (interp_vec_handlers() != interp_vec_avx512)
		GTEST_SKIP() << "this CPU has no AVX-512";
	handlers = interp_vec_avx512;
	check_all();
}

/* The ends of what may be reached, for rows, parts of rows and halves: exactly. */
TEST_F(InterpMemory, EndsAreExact)
{
	static const struct {
		uint32_t offset, mask, error;
		int lane;
		const char *space;
	} rows[] = {
		{ 8192 - 128, ~0u, 0, 0, "shared" },
		{ 8192 - 124, ~0u, 700, 31, "shared" },
		{ 8192 - 64, 0x0000ffff, 0, 0, "shared" },
		{ 8192 - 60, 0x0000ffff, 700, 15, "shared" },
		{ 0u - 64, 0xffff0000, 0, 0, "shared" },
		{ 0u - 68, 0xffff0000, 700, 16, "shared" },
		{ 2, ~0u, 716, 0, "shared" },
		{ 0u - 4, ~0u, 700, 0, "shared" },
	};

	for (const auto &r : rows) {
		load("unit shared=8192 params=8 depth=1 func \"k\" regs u32 u32 pred u32 "
		     "u32\nblock\n"
		     "sreg u32 sub=%tid.x %0 =\nmov u32 %3 = 1\nshl u32 %3 = %3, %0\nand u32 %3 = "
		     "%3, " +
		     std::to_string(r.mask) +
		     "\nsetp u32 cmp=ne %2, _ = %3, 0, _\nmad u32 %1 = %0, 4, " +
		     std::to_string(r.offset) + "\n@%2 ld u32 u32 space=" + r.space +
		     " %4 = %1\nexit\n");
		EXPECT_EQ(r.error, run(kWindow))
			<< std::hex << r.offset << " mask " << r.mask << " " << fault.what;
		if (r.error) {
			EXPECT_EQ((uint32_t)r.lane, fault.tid[0]) << std::hex << r.offset;
		}
	}
}

/* The last page of the window is not mapped: a masked row that ends before it is fine. */
TEST_F(InterpMemory, PartOfARowBesideMissingPages)
{
	const std::string kernel =
		"unit params=16 depth=1 func \"k\" regs u32 u64 pred u32 u64\nblock\n"
		"sreg u32 sub=%tid.x %0 =\nld u64 u64 space=param %1 = 0\nld u32 u32 space=param "
		"%3 = 8\n"
		"mad.wide u32 %4 = %0, 4, %1\nsetp u32 cmp=lt %2, _ = %0, %3, _\n"
		"@%2 ld u32 u32 space=global %3 = %4\n@%2 st u32 space=global %4, %3\nexit\n";

	load(kernel);
	EXPECT_EQ(0u, run(kWindow + kMapped - 40, 10)) << fault.what;
	EXPECT_EQ(700u, run(kWindow + kMapped - 40, 11));
	EXPECT_EQ(10u, fault.tid[0]);
	EXPECT_EQ(kWindow + kMapped, fault.address);
}

/* Lanes that add at one place see each other's additions in ascending order. */
TEST_F(InterpMemory, AdditionsAtOnePlace)
{
	const struct {
		const char *type, *space;
		uint32_t bytes;
	} rows[] = {
		{ "u32", "global", 4 }, { "s32", "shared", 4 },	 { "u64", "global", 8 },
		{ "u64", "shared", 8 }, { "u32", "generic", 4 },
	};

	for (const auto &r : rows) {
		bool shared = std::string(r.space) == "shared";
		std::string w = r.bytes == 8 ? "u64" : "u32", at = shared ? "%7" : "%1";

		load("unit shared=64 params=8 depth=1 func \"k\" regs u32 u64 pred u32 " + w +
		     " u64 " + w +
		     " u32\nblock\nsreg u32 sub=%tid.x %0 =\nld u64 u64 space=param %1 = 0\n"
		     "mad.wide u32 %5 = %0, 8, %1\nand u32 %3 = %0, 2\nsetp u32 cmp=ne %2, _ = %3, "
		     "0, _\n"
		     "mov u32 %7 = 0\nmov " +
		     w + " %4 = 0\n" +
		     (r.bytes == 8 ? "cvt u64 u32 %6 = %0\n" : "mov u32 %6 = %0\n") +
		     (shared ? "st " + w + " space=shared off=16 %7, 0\n" : "") + "@%2 atom " +
		     r.type + " sub=add space=" + r.space + " off=16 %4 = " + at + ", %6\n" +
		     "st " + w +
		     " space=global off=1024 %5, %4\n"
		     "ld " +
		     w + " " + w + " space=" + r.space + " off=16 %4 = " + at +
		     "\n"
		     "st " +
		     w + " space=global off=2048 %5, %4\nexit\n");
		memset((void *)kWindow, 0, 4096);
		if (!shared)
			words()[4] = 1000;
		ASSERT_EQ(0u, run(kWindow)) << fault.what;
		for (uint32_t i = 0, sum = shared ? 0 : 1000; i < 32; i++) {
			ASSERT_EQ(i & 2 ? sum : 0, words()[256 + 2 * i])
				<< r.space << " " << r.type << " lane " << i;
			sum += i & 2 ? i : 0;
		}
		ASSERT_EQ((shared ? 0u : 1000u) + 8 * 33, words()[512]) << r.space << " " << r.type;
	}
}

/* Several accesses through one register, in between another value of it, other sizes, other lanes. */
TEST_F(InterpMemory, ManyAccessesThroughOneRegister)
{
	const interp_fn *const all[] = { interp_vec_sse2, interp_vec_handlers() };

	for (int run_nr = 0; run_nr < 2 * kPatterns * 4; run_nr++) {
		int p = run_nr / 2 % kPatterns, kind = run_nr / 2 / kPatterns;
		bool shared = kind & 1;
		std::string a = shared ? "%7" : "%3", sp = shared ? "shared" : "global";
		std::string s =
			"unit shared=2176 params=8 depth=1 func \"k\" regs u32 u64 u64 u64 pred "
			"u32 u64 u32 "
			"u32 u32\nblock\nsreg u32 sub=%tid.x %0 =\nld u64 u64 space=param %1 = 0\n"
			"mad.wide u32 %2 = %0, 8, %1\nld u64 u64 space=global %3 = %2\n"
			"cvt u32 u64 %7 = %3\nadd u64 %3 = %3, %1\nadd u64 %3 = %3, " +
			std::to_string(kData) +
			"\nmad.wide u32 %6 = %0, 64, %1\nmul u32 %5 = %0, 4\n"
			"mad.wide u32 %2 = %0, 4, %1\nadd u64 %2 = %2, " +
			std::to_string(kData) + "\n";
		int out = 0;
		auto put = [&](const char *type, int off) {
			s += std::string("ld ") + type + " u32 space=" + sp +
			     " off=" + std::to_string(off) + " %8 = " + a +
			     "\nst u32 space=global off=" + std::to_string(4096 + 4 * out++) +
			     " %6, %8\n";
		};

		if (shared)
			for (int k = 0; k < 2048 - 80; k += 48) /* 20 lanes are enough */
				s += "ld u32 u32 space=global off=" + std::to_string(k) +
				     " %8 = %2\n" + "st u32 space=shared off=" + std::to_string(k) +
				     " %5, %8\n";
		handlers = all[run_nr & 1];
		put("u32", 0);
		put("u32", 64);
		put("u32", 4);
		put("u16", 6);
		put("u16", 8);
		s += "add " + std::string(shared ? "u32 " : "u64 ") + a + " = " + a + ", 16\n";
		put("u32", 0);
		put("u32", 128);
		s += "setp u32 cmp=lt %4, _ = %0, 9, _\nbr %4 1 2\nblock\n";
		put("u32", 12);
		put("u32", 0);
		s += "jump 2\nblock\n";
		put("u32", 8);
		s += "st u32 space=" + sp + " off=32 " + a + ", %0\n";
		put("u32", 32);
		load(s + "exit\n");
		fill(widths[4], p);
		block(kind & 2 ? 20 : 32);
		ASSERT_EQ(0u, run(kWindow)) << fault.what << "\n" << s;
		for (uint32_t i = 0; i < (kind & 2 ? 20u : 32u); i++) {
			const int offs[] = { 0, 64, 4, 6, 8, 16, 144, 28, 16, 24 };
			const uint32_t *got = (uint32_t *)(kWindow + 4096 + 64 * i);
			uint32_t last = i;

			for (int k = 0; k < 10; k++) {
				uint32_t want = 0, at = 4 * pattern(p, i) + offs[k];

				for (uint32_t b = 0; b < (k == 3 || k == 4 ? 2u : 4u); b++)
					want |= (uint32_t)cell(at + b) << (8 * b);
				if ((k == 7 || k == 8) && i >= 9)
					want = 0;
				ASSERT_EQ(want, got[k]) << sp << " pattern " << p << " access " << k
							<< " lane " << i;
			}
			for (uint32_t j = i; j < (kind & 2 ? 20u : 32u); j++)
				last = pattern(p, j) == pattern(p, i) ? j : last;
			ASSERT_EQ(last, got[10]) << sp << " pattern " << p << " lane " << i;
		}
	}
	block(32);
}

/* A note must not let an offset pass that leads out of memory. */
TEST_F(InterpMemory, OffsetsAfterTheFirstAreChecked)
{
	for (int off : { 8192 - 128, 8192 - 124, -4, 2 }) {
		load("unit shared=8192 params=8 depth=1 func \"k\" regs u32 u32 u32\nblock\n"
		     "sreg u32 sub=%tid.x %0 =\nmul u32 %1 = %0, 4\nld u32 u32 space=shared %2 = "
		     "%1\n"
		     "ld u32 u32 space=shared off=" +
		     std::to_string(off) + " %2 = %1\nexit\n");
		EXPECT_EQ(off == 2	      ? 716u
			  : off == 8192 - 128 ? 0u
					      : 700u,
			  run(kWindow))
			<< off << fault.what;
		if (off == 8192 - 124 || off == -4) {
			EXPECT_EQ(off < 0 ? 0u : 31u, fault.tid[0]);
		}
	}
}

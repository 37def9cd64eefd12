// SPDX-License-Identifier: MIT
// Memory: widths, vectors, spaces, atomics; and what a bad access says about itself.
#include "simt_fixture.h"

extern "C" {
#include "cuse_dev/backend/soft/rt/num.h"
}

class Memory : public Simt {
protected:
	/* Stores %5 (u32, tid) at the address that @line leaves in %3. */
	std::string access(const std::string &lines)
	{
		return R"(
unit shared=64 params=16 depth=1
func "k" frame=32 regs u32 u32 u32 u64 pred u32 u64
block
	sreg u32 sub=%tid.x %5 =
	ld u64 u64 space=param %3 = 0
	ld u64 u64 space=param %6 = 8
	mad.wide u32 %3 = %5, 4, %3
)" + lines + "\nexit\n";
	}
};

TEST_F(Memory, WidthsAndSigns)
{
	uint8_t *src = (uint8_t *)kWindow;
	uint64_t *out = (uint64_t *)(kWindow + 4096);

	load(R"(
unit params=16 depth=1
func "k" regs u32 u64 u64 u16 u32 u64 u64 u128
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %1 = 0
	ld u64 u64 space=param %2 = 8
	mad.wide u32 %1 = %0, 16, %1
	mad.wide u32 %2 = %0, 128, %2
	ld s8 s16 space=global %3 = %1
	cvt u64 s16 %5 = %3
	st u64 space=global %2, %5
	ld u8 u32 space=global off=1 %4 = %1
	cvt u64 u32 %5 = %4
	st u64 space=global off=8 %2, %5
	ld s16 s64 space=global off=2 %5 = %1
	st u64 space=global off=16 %2, %5
	ld s32 s64 space=global off=4 %5 = %1
	st u64 space=global off=24 %2, %5
	ld u64 u64 space=global off=0 %5, %6 = %1
	st u64 space=global off=32 %2, %5, %6
	ld u128 u128 space=global %7 = %1
	st u128 space=global off=48 %2, %7
	ld u8 u16 space=global %3, _, _, %3 = %1
	st u8 space=global off=64 %2, %3, 7, 8, %3
	ld u32 u32 space=global %4, %0, _, _ = %1
	st u16 space=global off=80 %2, %4
	st u32 space=global off=96 %2, 1, 2, %0, %4
	exit
)");
	for (uint32_t n : { 32u, 21u }) {
		for (int i = 0; i < 1024; i++)
			src[i] = (uint8_t)(i * 37 + 11);
		memset(out, 0, 8192);
		block(n);
		ASSERT_EQ(0u, run(kWindow, kWindow + 4096)) << fault.what;
		for (uint32_t i = 0; i < n; i++) {
			uint8_t *s = src + 16 * i;
			uint64_t *o = out + 16 * i;

			EXPECT_EQ((uint64_t)(int8_t)s[0], o[0]);
			EXPECT_EQ(s[1], o[1]);
			EXPECT_EQ((uint64_t) * (int16_t *)(s + 2), o[2]);
			EXPECT_EQ((uint64_t) * (int32_t *)(s + 4), o[3]);
			EXPECT_EQ(0, memcmp(s, o + 4, 16));
			EXPECT_EQ(0, memcmp(s, o + 6, 16));
			EXPECT_EQ(s[3] | 7u << 8 | 8u << 16 | (uint32_t)s[3] << 24, (uint32_t)o[8]);
			EXPECT_EQ(*(uint16_t *)s, o[10]);
			EXPECT_EQ(1 | 2ull << 32, o[12]);
			EXPECT_EQ(*(uint32_t *)(s + 4) | (uint64_t) * (uint32_t *)s << 32, o[13]);
		}
		EXPECT_EQ(0u, out[16 * n]);
	}
}

TEST_F(Memory, GenericAddressesOfAllSpaces)
{
	load(R"(
unit shared=256 params=16 depth=1
func "k" frame=16 regs u32 u64 u64 u32 pred
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %1 = 0
	mad.wide u32 %1 = %0, 4, %1
	mul.wide u32 %2 = %0, 4
	cvta u64 space=shared %2 = %2
	st u32 %2, %0
	isspacep u64 space=shared %4 = %2
	@!%4 trap
	isspacep u64 space=global %4 = %2
	@%4 trap
	cvta.to u64 space=shared %2 = %2
	ld u32 u32 space=shared %3 = %2
	frame u64 off=8 %2 =
	cvta u64 space=local %2 = %2
	add u32 %3 = %3, 1
	st u32 %2, %3
	ld u32 u32 space=frame %3 = 8
	add u32 %3 = %3, 1
	isspacep u64 space=global %4 = %1
	@!%4 trap
	st u32 %1, %3
	mov u64 %2 = 8
	cvta u64 space=param %2 = %2
	ld u32 u32 %3 = %2
	st u32 off=512 %1, %3
	exit
)");
	ASSERT_EQ(0u, run(kWindow, 77)) << fault.what;
	for (uint32_t i = 0; i < 32; i++) {
		EXPECT_EQ(i + 2, words()[i]);
		EXPECT_EQ(77u, words()[128 + i]);
	}
}

TEST_F(Memory, LanesThatDoNotRunTouchNothing)
{
	/* Odd lanes have wild addresses and are guarded out. */
	load(access("and u32 %0 = %5, 1\nsetp u32 cmp=eq %4, _ = %0, 0, _\n"
		    "@!%4 mov u64 %3 = 1\n@%4 st u32 space=global %3, %5\n"
		    "@%4 ld u32 u32 %1 = %3\n@%4 red u32 sub=add %3, 1"));
	memset(words(), 0xff, 256);
	block(31);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(i & 1 || i == 31 ? ~0u : i + 1, words()[i]);
}

struct FaultCase {
	const char *name, *lines;
	uint64_t base;
	uint32_t error, lane;
	uint64_t address;
};

class MemoryFault : public Memory, public ::testing::WithParamInterface<FaultCase> {};

TEST_P(MemoryFault, SaysWhereAndWho)
{
	const FaultCase &c = GetParam();

	load(access(c.lines));
	grid(1, 2, 1);
	ASSERT_EQ(c.error, run(c.base, 5)) << fault.what;
	EXPECT_EQ(c.address, fault.address) << fault.what;
	EXPECT_EQ(c.lane, fault.tid[0]) << fault.what;
	EXPECT_EQ(77u, fault.line) << fault.what;
	EXPECT_NE(nullptr, strstr(fault.what, "kernel")) << fault.what;
	/* The next launch is not disturbed. */
	EXPECT_EQ(0u, [&] {
		load(access("st u32 space=global %3, %5"));
		return run(kWindow);
	}()) << fault.what;
}

static const FaultCase faults[] = {
	{ "OutsideOfWindow", "st u32 space=global %3, %5 !77:1", 0x1000, 700, 0, 0x1000 },
	{ "UnmappedPage", "st u32 space=global %3, %5 !77:1", kWindow + kMapped - 40, 700, 10,
	  kWindow + kMapped },
	{ "UnmappedPageLoad", "ld u32 u32 space=global %1 = %3 !77:1", kWindow + kMapped - 40, 700,
	  10, kWindow + kMapped },
	{ "UnmappedScattered",
	  "mul.wide u32 %6 = %5, 4096 add u64 %3 = %3, %6 ld u32 u32 space=global %1 = %3 !77:1",
	  kWindow + kMapped - 4096 * 20, 700, 20, kWindow + kMapped + 80 },
	{ "UnmappedGuarded",
	  "setp u32 cmp=eq %4, _ = %5, 9, _ @%4 add u64 %3 = %3, 0x2000000 setp u32 cmp=gt %4, _ = "
	  "%5, 4, _ "
	  "@%4 ld u32 u32 space=global %1 = %3 !77:1",
	  kWindow, 700, 9, kWindow + 0x2000000 + 36 },
	{ "UnmappedAtomic", "atom u32 sub=add space=global %1 = %3, 1 !77:1",
	  kWindow + kMapped - 12, 700, 3, kWindow + kMapped },
	{ "EndOfWindow", "st u32 space=global %3, %5 !77:1", kWindow + kWindowBytes - 8, 700, 2,
	  kWindow + kWindowBytes },
	{ "NullGeneric", "st u32 %3, %5 !77:1", 0, 700, 0, 0 },
	{ "Misaligned", "st u32 space=global off=2 %3, %5 !77:1", kWindow, 716, 0, kWindow + 2 },
	{ "MisalignedVector", "ld u32 u32 space=global %0, %1 = %3 !77:1", kWindow, 716, 1,
	  kWindow + 4 },
	{ "MisalignedLane",
	  "setp u32 cmp=eq %4, _ = %5, 6, _ @%4 add u64 %3 = %3, 1 ld u32 u32 space=global %1 = %3 "
	  "!77:1",
	  kWindow, 716, 6, kWindow + 25 },
	{ "SharedEnd", "shl u32 %0 = %5, 2 st u32 space=shared %0, %5 !77:1", kWindow, 700, 16,
	  64 },
	{ "SharedConstant", "ld u32 u32 space=shared %0 = 64 !77:1", kWindow, 700, 0, 64 },
	{ "LocalEnd", "mul u32 %0 = %5, 100 st u32 space=local %0, %5 !77:1", kWindow, 700, 11,
	  1100 },
	{ "Trap", "setp u32 cmp=eq %4, _ = %5, 4, _ @%4 trap !77:1", kWindow, 719, 4, 0 },
	{ "Unsupported", "unsupported !77:1", kWindow, 715, 0, 0 },
};

INSTANTIATE_TEST_SUITE_P(All, MemoryFault, ::testing::ValuesIn(faults),
			 [](const ::testing::TestParamInfo<FaultCase> &i) {
				 return std::string(i.param.name);
			 });

TEST_F(Memory, FaultKnowsTheBlock)
{
	load(access("sreg u32 sub=%ctaid.y %0 = setp u32 cmp=eq %4, _ = %0, 3, _ @%4 trap !5:6"));
	grid(1, 4, 1);
	dev.threads = 1;
	EXPECT_EQ(719u, run(kWindow));
	EXPECT_EQ(0u, fault.ctaid[0]);
	EXPECT_EQ(3u, fault.ctaid[1]);
	EXPECT_EQ(5u, fault.line);
}

TEST_F(Memory, RegisteredHostRange)
{
	static uint32_t host[64];
	const uint64_t range[1][2] = { { (uint64_t)host, sizeof(host) } };

	load(access("st u32 space=global %3, %5\nst u32 off=128 %3, %5"));
	EXPECT_EQ(700u, run((uint64_t)host));
	ASSERT_EQ(0, simt_host_ranges(device, range, 1));
	EXPECT_EQ(0u, run((uint64_t)host)) << fault.what;
	EXPECT_EQ(31u, host[31]);
	EXPECT_EQ(31u, host[63]);
	EXPECT_EQ(700u, run((uint64_t)(host + 1)));
	ASSERT_EQ(0, simt_host_ranges(device, NULL, 0));
	EXPECT_EQ(700u, run((uint64_t)host));
}

TEST_F(Memory, DynamicSharedCounts)
{
	load(access("shl u32 %0 = %5, 2 st u32 space=shared off=64 %0, %5 ld u32 u32 space=shared "
		    "off=64 %1 = %0 "
		    "st u32 space=global %3, %1"));
	EXPECT_EQ(700u, run(kWindow));
	launch.dynamic_shared = 128;
	EXPECT_EQ(0u, run(kWindow)) << fault.what;
	EXPECT_EQ(31u, words()[31]);
	launch.dynamic_shared = 124;
	EXPECT_EQ(700u, run(kWindow));
	EXPECT_EQ(31u, fault.tid[0]);
}

TEST_F(Memory, AtomicsGiveOldValues)
{
	load(R"(
unit shared=16 params=16 depth=1
func "k" regs u32 u64 u64 u32 u64 pred u16
block
	ld u64 u64 space=param %1 = 0
	sreg u32 sub=%tid.x %0 =
	mad.wide u32 %2 = %0, 4, %1
	atom u32 sub=add space=global off=1024 %3 = %1, 2
	st u32 space=global %2, %3
	red u32 sub=max space=global off=1028 %1, %0
	red s32 sub=min space=global off=1032 %1, %0
	atom u32 sub=inc space=global off=1036 _ = %1, 9
	atom u32 sub=dec space=global off=1040 _ = %1, 4
	red f32 sub=add space=global off=1044 %1, 0x3f000000
	red f64 sub=add space=global off=1048 %1, 0x3fe0000000000000
	red f16x2 sub=add space=global off=1056 %1, 0x3c004000
	cvt u64 u32 %4 = %0
	red u64 sub=max space=global off=1064 %1, %4
	red u32 sub=xor space=global off=1072 %1, %0
	red u32 sub=or space=global off=1076 %1, %0
	atom u32 sub=exch space=global off=1080 _ = %1, %0
	atom u32 sub=cas space=global off=1084 _ = %1, 0, 5
	setp u32 cmp=eq %5, _ = %0, 0, _
	@%5 st u64 space=shared 8, 0
	red u32 sub=add space=shared 8, 3
	ld u32 u32 space=shared %3 = 8
	st u32 space=global off=1088 %1, %3
	atom u16 sub=cas space=global off=1092 %6 = %1, 0, 3
	exit
)");
	memset(words(), 0, 4096);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(2 * i, words()[i]);
	uint32_t *w = words() + 256;
	EXPECT_EQ(64u, w[0]);
	EXPECT_EQ(31u, w[1]);
	EXPECT_EQ(0u, w[2]);
	EXPECT_EQ(2u, w[3]);
	EXPECT_EQ(3u, w[4]); /* 0 -> 4 3 2 1 0 4 ...: 32 steps */
	EXPECT_EQ(16.0f, rt_f32(w[5]));
	EXPECT_EQ(16.0, *(double *)(w + 6));
	EXPECT_EQ(32.0f, rt_f16_to_f32((uint16_t)(w[8] >> 16)));
	EXPECT_EQ(64.0f, rt_f16_to_f32((uint16_t)w[8]));
	EXPECT_EQ(31u, w[10]);
	EXPECT_EQ(0u, w[12]);
	EXPECT_EQ(31u, w[13]);
	EXPECT_EQ(31u, w[14]);
	EXPECT_EQ(5u, w[15]);
	EXPECT_EQ(96u, w[16]);
	EXPECT_EQ(3u, w[17]);
}

TEST_F(Memory, Cas128)
{
	uint64_t *p = (uint64_t *)(kWindow + 1024);

	load(R"(
unit params=16 depth=1
func "k" regs u64 u128 u128 u64 u64
block
	ld u64 u64 space=param %0 = 0
	mov u64 %3 = 1
	mov u64 %4 = 2
	pack u128 %1 = %3, %4
	pack u128 %2 = %4, %3
	atom u128 sub=cas space=global off=1024 %1 = %0, %1, %2
	st u128 space=global %0, %1
	exit
)");
	p[0] = 1;
	p[1] = 2;
	block(1);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	EXPECT_EQ(2u, p[0]);
	EXPECT_EQ(1u, p[1]);
	EXPECT_EQ(1u, ((uint64_t *)kWindow)[0]);
	EXPECT_EQ(2u, ((uint64_t *)kWindow)[1]);
}

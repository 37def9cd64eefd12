// SPDX-License-Identifier: MIT
// Straight code, branches, loops, shared memory and barriers, from IR text.
#include "simt_fixture.h"

class Interp : public Simt {};

static const char *vector_add = R"(
unit params=24 depth=1
func "add" regs u32 u32 u32 u64 u64 u64 u64 u32 u32 u32 pred u32
block
	sreg u32 sub=%ctaid.x %0 =
	sreg u32 sub=%ntid.x %1 =
	sreg u32 sub=%tid.x %2 =
	mad u32 %2 = %0, %1, %2
	ld u32 u32 space=param off=0 %11 = 16
	setp u32 cmp=ge %10, _ = %2, %11, _
	br %10 2 1
block
	ld u64 u64 space=param %3 = 0
	ld u64 u64 space=param %4 = 8
	mul.wide u32 %5 = %2, 4
	add u64 %3 = %3, %5
	add u64 %4 = %4, %5
	ld u32 u32 space=global %7 = %3
	ld u32 u32 space=global %8 = %4
	add u32 %9 = %7, %8
	st u32 space=global %3, %9
	jump 2
block
	exit
)";

TEST_F(Interp, VectorAdd)
{
	const uint32_t n = 10007;

	load(vector_add);
	for (uint32_t i = 0; i < n + 256; i++) {
		words()[i] = i;
		words()[65536 + i] = 1000 * i;
	}
	grid((n + 255) / 256);
	block(256);
	ASSERT_EQ(0u, run(kWindow, kWindow + 65536 * 4, n)) << fault.what;
	for (uint32_t i = 0; i < n; i++)
		ASSERT_EQ(1001 * i, words()[i]) << i;
	for (uint32_t i = n; i < n + 256; i++)
		ASSERT_EQ(i, words()[i]) << i;
}

// Collatz: every lane loops a different number of times.
TEST_F(Interp, DivergentLoop)
{
	load(R"(
unit params=8 depth=1
func "k" regs u32 u32 u32 u64 u64 pred pred u32 u32
block
	sreg u32 sub=%tid.x %0 =
	add u32 %1 = %0, 1
	mov u32 %2 = 0
	jump 1
block
	setp u32 cmp=eq %5, _ = %1, 1, _
	br %5 5 2
block
	and u32 %7 = %1, 1
	setp u32 cmp=ne %6, _ = %7, 0, _
	add u32 %2 = %2, 1
	br %6 3 4
block
	mad u32 %1 = %1, 3, 1
	jump 1
block
	shr u32 %1 = %1, 1
	jump 1
block
	ld u64 u64 space=param %3 = 0
	mad.wide u32 %4 = %0, 4, %3
	st u32 space=global %4, %2
	exit
)");
	for (uint32_t threads : { 1u, 31u, 32u, 33u, 97u, 1024u }) {
		memset(words(), 0xff, 1025 * 4);
		block(threads);
		ASSERT_EQ(0u, run(kWindow)) << fault.what;
		for (uint32_t i = 0; i < threads; i++) {
			uint32_t n = i + 1, steps = 0;

			for (; n != 1; steps++)
				n = n & 1 ? 3 * n + 1 : n >> 1;
			ASSERT_EQ(steps, words()[i]) << i << " of " << threads;
		}
		ASSERT_EQ(~0u, words()[threads]);
	}
}

// Tree reduction in shared memory with a barrier in a loop.
TEST_F(Interp, SharedReduce)
{
	load(R"(
unit shared=4096 params=8 depth=1 barrier
func "k" regs u32 u32 u32 u32 u32 pred pred u64 u32 u32
block
	sreg u32 sub=%tid.x %0 =
	shl u32 %1 = %0, 2
	add u32 %2 = %0, 1
	st u32 space=shared %1, %2
	sreg u32 sub=%ntid.x %3 =
	jump 1
block
	bar sub=sync 0
	shr u32 %3 = %3, 1
	setp u32 cmp=eq %5, _ = %3, 0, _
	br %5 4 2
block
	setp u32 cmp=ge %6, _ = %0, %3, _
	br %6 1 3
block
	mad u32 %4 = %3, 4, %1
	ld u32 u32 space=shared %8 = %4
	ld u32 u32 space=shared %9 = %1
	add u32 %8 = %8, %9
	st u32 space=shared %1, %8
	jump 1
block
	setp u32 cmp=ne %6, _ = %0, 0, _
	br %6 6 5
block
	ld u32 u32 space=shared %8 = 0
	ld u64 u64 space=param %7 = 0
	sreg u32 sub=%ctaid.x %9 =
	mad.wide u32 %7 = %9, 4, %7
	st u32 space=global %7, %8
	jump 6
block
	exit
)");
	for (uint32_t threads : { 1u, 2u, 32u, 64u, 512u, 1024u }) {
		memset(words(), 0, 256);
		block(threads);
		grid(20);
		ASSERT_EQ(0u, run(kWindow)) << fault.what;
		for (uint32_t i = 0; i < 20; i++)
			ASSERT_EQ(threads * (threads + 1) / 2, words()[i]) << threads;
	}
}

// SPDX-License-Identifier: MIT
// Shapes of control flow: nested divergence, switch, early exit, calls of all kinds, spinning lanes.
#include "simt_fixture.h"

class Control : public Simt {};

// if (t & 1) { if (t & 2) a else b } else { if (t & 4) exit else c }, then a sum over the rest.
TEST_F(Control, NestedAndEarlyExit)
{
	load(R"(
unit params=8 depth=1
func "k" regs u32 u32 u32 u64 pred
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %3 = 0
	mad.wide u32 %3 = %0, 4, %3
	mov u32 %2 = 0
	and u32 %1 = %0, 1
	setp u32 cmp=ne %4, _ = %1, 0, _
	br %4 1 4
block
	and u32 %1 = %0, 2
	setp u32 cmp=ne %4, _ = %1, 0, _
	br %4 2 3
block
	add u32 %2 = %2, 100
	jump 7
block
	add u32 %2 = %2, 200
	jump 7
block
	and u32 %1 = %0, 4
	setp u32 cmp=ne %4, _ = %1, 0, _
	br %4 5 6
block
	exit
block
	add u32 %2 = %2, 300
	jump 7
block
	activemask %1 =
	popc u32 %1 = %1
	mad u32 %2 = %1, 1000, %2
	st u32 space=global %3, %2
	exit
)");
	for (uint32_t n : { 1u, 31u, 32u, 97u }) {
		memset(words(), 0, 512);
		block(n);
		ASSERT_EQ(0u, run(kWindow)) << fault.what;
		for (uint32_t i = 0; i < n; i++) {
			uint32_t left = 0, warp = i / 32 * 32;

			for (uint32_t k = warp; k < n && k < warp + 32; k++)
				left += k & 1 || !(k & 4);
			EXPECT_EQ(i & 1	  ? (i & 2 ? 100 : 200) + 1000 * left
				  : i & 4 ? 0
					  : 300 + 1000 * left,
				  words()[i])
				<< i << " of " << n;
		}
	}
}

TEST_F(Control, Switch)
{
	load(R"(
unit params=16 depth=1
func "k" regs u32 u32 u32 u64 u32
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %3 = 0
	ld u32 u32 space=param %4 = 8
	mad.wide u32 %3 = %0, 4, %3
	rem u32 %1 = %0, %4
	switch %1 [3 1 2 3 1]
block
	mov u32 %2 = 11
	jump 4
block
	mov u32 %2 = 22
	jump 4
block
	mov u32 %2 = 33
	jump 4
block
	st u32 space=global %3, %2
	exit
)");
	block(33);
	ASSERT_EQ(0u, run(kWindow, 5)) << fault.what;
	for (uint32_t i = 0; i < 33; i++) {
		static const uint32_t want[] = { 33, 11, 22, 33, 11 };

		EXPECT_EQ(want[i % 5], words()[i]) << i;
	}
	EXPECT_EQ(715u, run(kWindow, 6));
	EXPECT_EQ(5u, fault.tid[0]);
}

// fib(n) by real recursion, a different n in each lane.
static const char *fib = R"(
unit params=16 depth=0
func "k" code=0 frame=16 params() rets() regs u32 u64 u32
block
	sreg u32 sub=%tid.x %0 =
	and u32 %2 = %0, 15
	st u32 space=frame 0, %2
	call args(0:4) rets(4:4) func=1
	ld u32 u32 space=frame %2 = 4
	ld u64 u64 space=param %1 = 0
	mad.wide u32 %1 = %0, 4, %1
	st u32 space=global %1, %2
	exit
func "fib" code=7 frame=32 params(0:4) rets(4:4) regs u32 u32 u32 pred
block
	ld u32 u32 space=frame %0 = 0
	setp u32 cmp=lt %3, _ = %0, 2, _
	br %3 1 2
block
	st u32 space=frame 4, %0
	ret
block
	sub u32 %1 = %0, 1
	st u32 space=frame 8, %1
	call args(8:4) rets(12:4) func=1
	sub u32 %1 = %0, 2
	st u32 space=frame 16, %1
	call args(16:4) rets(20:4) func=1
	ld u32 u32 space=frame %1 = 12
	ld u32 u32 space=frame %2 = 20
	add u32 %1 = %1, %2
	st u32 space=frame 4, %1
	ret
)";

TEST_F(Control, Recursion)
{
	uint32_t f[16] = { 0, 1 };

	for (int i = 2; i < 16; i++)
		f[i] = f[i - 1] + f[i - 2];
	load(fib);
	launch.stack_bytes = 4096;
	block(97);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	for (uint32_t i = 0; i < 97; i++)
		EXPECT_EQ(f[i & 15], words()[i]) << i;
}

TEST_F(Control, StackOverflowIsAFault)
{
	load(fib);
	launch.stack_bytes = 256;
	EXPECT_EQ(719u, run(kWindow));
	EXPECT_NE(nullptr, strstr(fault.what, "stack overflow")) << fault.what;
	/* and the next launch is not disturbed */
	launch.stack_bytes = 4096;
	EXPECT_EQ(0u, run(kWindow)) << fault.what;
}

static const char *indirect = R"(
unit params=16 depth=0
func "k" code=0 frame=16 regs u32 u64 u64 u32 pred
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %1 = 0
	mad.wide u32 %1 = %0, 4, %1
	rem u32 %3 = %0, 3
	add u32 %3 = %3, 5
	cvt u64 u32 %2 = %3
	shl u64 %2 = %2, 4
	add u64 %2 = %2, 0x80300000000
	setp u32 cmp=eq %4, _ = %0, 13, _
	ld u32 u32 space=param %3 = 8
	@%4 cvt u64 u32 %2 = %3
	st u32 space=frame 0, %0
	setp u32 cmp=ne %4, _ = %0, 14, _
	@%4 call.ind args(0:4) rets(4:4) = %2
	ld u32 u32 space=frame %3 = 4
	st u32 space=global %1, %3
	exit
func "a" code=5 frame=16 params(0:4) rets(4:4) regs u32
block
	ld u32 u32 space=frame %0 = 0
	add u32 %0 = %0, 1000
	st u32 space=frame 4, %0
	ret
func "b" code=6 frame=16 params(0:4) rets(4:4) regs u32
block
	ld u32 u32 space=frame %0 = 0
	add u32 %0 = %0, 2000
	st u32 space=frame 4, %0
	ret
func "c" code=7 frame=16 params(0:4) rets(4:4) regs u32
block
	ld u32 u32 space=frame %0 = 0
	add u32 %0 = %0, 3000
	st u32 space=frame 4, %0
	ret
)";

TEST_F(Control, IndirectCalls)
{
	std::string text = indirect;

	text.replace(text.find("call.ind args(0:4) rets(4:4) = %2"), 33,
		     "call.ind args(0:4) rets(4:4) func=0 %2");
	load(text);
	block(12);
	ASSERT_EQ(0u, run(kWindow, 0)) << fault.what;
	for (uint32_t i = 0; i < 12; i++)
		EXPECT_EQ(i + 1000 * (i % 3 + 1), words()[i]) << i;
	block(32);
	EXPECT_EQ(718u, run(kWindow, 0x1234));
	EXPECT_EQ(13u, fault.tid[0]);
	EXPECT_EQ(0x1234u, fault.address);
}

// Lanes of one warp fight for a lock: while (cas(lock, 0, 1) != 0); n++; lock = 0.
static const char *spin_lock = R"(
unit params=8 depth=1
func "k" regs u32 u64 u32 pred
block
	ld u64 u64 space=param %1 = 0
	jump 1
block
	atom u32 sub=cas space=global sem=acquire %0 = %1, 0, 1
	setp u32 cmp=ne %3, _ = %0, 0, _
	br %3 1 2
block
	ld u32 u32 space=global sem=volatile off=4 %2 = %1
	add u32 %2 = %2, 1
	st u32 space=global sem=volatile off=4 %1, %2
	atom u32 sub=exch space=global sem=release %0 = %1, 0
	exit
)";

TEST_F(Control, SpinLockOfLanes)
{
	load(spin_lock);
	words()[0] = words()[1] = 0;
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	EXPECT_EQ(32u, words()[1]);
	block(97);
	grid(7);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	EXPECT_EQ(32u + 97 * 7, words()[1]);
}

// Lane 0 waits for lane 31 which comes behind it in program order, without polling hints.
TEST_F(Control, WeakSpinEnds)
{
	load(R"(
unit params=8 depth=1
func "k" regs u32 u64 u32 pred
block
	ld u64 u64 space=param %1 = 0
	sreg u32 sub=%tid.x %0 =
	setp u32 cmp=eq %3, _ = %0, 31, _
	br %3 2 1
block
	ld u32 u32 space=global %2 = %1
	setp u32 cmp=eq %3, _ = %2, 0, _
	br %3 1 3
block
	st u32 space=global %1, 1
	jump 3
block
	exit
)");
	words()[0] = 0;
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
}

TEST_F(Control, EndlessLoopIsCancelled)
{
	uint32_t cancel = 1;

	load("unit func \"k\" regs u32 block jump 0");
	launch.cancel = &cancel;
	EXPECT_EQ(719u, run());
}

TEST_F(Control, GuardedStoreAndMergeAfterCalls)
{
	load(R"(
unit params=8 depth=2
func "k" frame=16 regs u32 u64 u32 pred pred
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %1 = 0
	mad.wide u32 %1 = %0, 4, %1
	and u32 %2 = %0, 1
	setp u32 cmp=eq %3, %4 = %2, 0, _
	st u32 space=frame 0, %0
	@%3 call args(0:4) rets(4:4) func=1
	activemask %2 =
	st u32 space=global off=512 %1, %2
	@!%3 st u32 space=frame 4, %0
	ld u32 u32 space=frame %2 = 4
	@%4 st u32 space=global %1, 7
	@%3 st u32 space=global %1, %2
	exit
func "half" frame=16 params(0:4) rets(4:4) regs u32 pred
block
	ld u32 u32 space=frame %0 = 0
	setp u32 cmp=lt %1, _ = %0, 16, _
	br %1 1 2
block
	st u32 space=frame 4, 55
	ret
block
	mul u32 %0 = %0, 2
	st u32 space=frame 4, %0
	ret
)");
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	for (uint32_t i = 0; i < 32; i++) {
		EXPECT_EQ(i & 1 ? 7 : i < 16 ? 55 : 2 * i, words()[i]) << i;
		EXPECT_EQ(~0u, words()[128 + i]) << i;
	}
}

// A callee entered by some lanes is "full" with them; the others' stale registers must not be used.
TEST_F(Control, CalleeOfSomeLanesStoresOnlyTheirs)
{
	load(R"(
unit shared=128 params=8 depth=2
func "k" frame=16 regs u32 u64 u32 pred
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %1 = 0
	mad.wide u32 %1 = %0, 4, %1
	shl u32 %2 = %0, 2
	st u32 space=shared %2, 0
	st u64 space=frame 0, %1
	st u32 space=frame 8, %0
	call args(0:8 8:4) func=1
	setp u32 cmp=lt %3, _ = %0, 16, _
	@%3 call args(0:8 8:4) func=1
	ld u32 u32 space=shared %2 = %2
	st u32 space=global off=256 %1, %2
	exit
func "f" frame=16 params(0:8 8:4) regs u64 u32 u32 u32
block
	ld u64 u64 space=frame %0 = 0
	ld u32 u32 space=frame %1 = 8
	ld u32 u32 space=global %2 = %0
	add u32 %2 = %2, 1
	st u32 space=global %0, %2
	shl u32 %3 = %1, 2
	ld u32 u32 space=shared %2 = %3
	add u32 %2 = %2, 1
	st u32 space=shared %3, %2
	ret
)");
	memset(words(), 0, 512);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	for (uint32_t i = 0; i < 32; i++) {
		EXPECT_EQ(i < 16 ? 2u : 1u, words()[i]) << i;
		EXPECT_EQ(i < 16 ? 2u : 1u, words()[64 + i]) << i;
	}
}

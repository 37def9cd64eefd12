// SPDX-License-Identifier: MIT
// printf, assert and malloc of device code.
#include "simt_fixture.h"

class Builtin : public Simt {
protected:
	void SetUp() override
	{
		Simt::SetUp();
		ASSERT_EQ(0, console_create(65536, &console));
		launch.console = console;
	}

	void TearDown() override
	{
		console_destroy(console);
		Simt::TearDown();
	}

	std::string text(int want_stream)
	{
		char buf[65536];
		int stream = 0;
		size_t n = console_read(console, buf, sizeof(buf), &stream);

		EXPECT_EQ(want_stream, stream);
		return std::string(buf, n);
	}

	struct backend_console *console = nullptr;
};

TEST_F(Builtin, Printf)
{
	load(R"(
unit params=8 depth=1
func "k" frame=48 regs u32 u64 u64 u32
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %1 = 0
	st u32 space=frame 0, %0
	st f64 space=frame 8, 0x3ff8000000000000
	frame u64 %2 =
	cvta u64 space=local %2 = %2
	st u64 space=frame 16, %1
	st u64 space=frame 24, %2
	call.builtin args(16:8 24:8) rets(32:4) func=0
	ld u32 u32 space=frame %3 = 32
	mad.wide u32 %1 = %0, 4, %1
	st u32 space=global off=64 %1, %3
	exit
)");
	strcpy((char *)kWindow, "lane %d: %.2f\n");
	block(3);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	EXPECT_EQ("lane 0: 1.50\nlane 1: 1.50\nlane 2: 1.50\n", text(1));
	EXPECT_EQ(2u, words()[17]);
}

TEST_F(Builtin, Assert)
{
	load(R"(
unit params=8 depth=1
func "k" frame=48 regs u32 u64 pred
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %1 = 0
	st u64 space=frame 0, %1
	add u64 %1 = %1, 16
	st u64 space=frame 8, %1
	st u32 space=frame 16, 42
	add u64 %1 = %1, 16
	st u64 space=frame 24, %1
	st u64 space=frame 32, 1
	setp u32 cmp=eq %2, _ = %0, 33, _
	@%2 call.builtin args(0:8 8:8 16:4 24:8 32:8) func=1 !9:1
	exit
)");
	strcpy((char *)kWindow, "x < 3");
	strcpy((char *)kWindow + 16, "a.cu");
	strcpy((char *)kWindow + 32, "void f()");
	block(64);
	EXPECT_EQ(710u, run(kWindow));
	EXPECT_EQ(33u, fault.tid[0]);
	EXPECT_EQ(9u, fault.line);
	EXPECT_EQ("a.cu:42: void f(): block: [0,0,0], thread: [33,0,0] Assertion `x < 3` failed.\n",
		  text(2));
}

TEST_F(Builtin, Malloc)
{
	load(R"(
unit params=8 depth=1
func "k" frame=32 regs u32 u64 u64
block
	sreg u32 sub=%tid.x %0 =
	ld u64 u64 space=param %1 = 0
	mad.wide u32 %1 = %0, 8, %1
	st u64 space=frame 0, 40
	call.builtin args(0:8) rets(8:8) func=2
	ld u64 u64 space=frame %2 = 8
	st u64 space=global %1, %2
	st u32 %2, %0
	st u64 space=frame 0, %2
	call.builtin args(0:8) func=3
	exit
)");
	launch.heap_va = kWindow + 65536;
	launch.heap_bytes = 65536;
	block(64);
	ASSERT_EQ(0u, run(kWindow)) << fault.what;
	for (int i = 0; i < 64; i++) {
		uint64_t p = ((uint64_t *)kWindow)[i];

		EXPECT_GE(p, launch.heap_va);
		EXPECT_LE(p + 40, launch.heap_va + launch.heap_bytes);
		EXPECT_EQ(0u, p % 16);
	}
}

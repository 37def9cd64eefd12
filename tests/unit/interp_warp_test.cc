// SPDX-License-Identifier: MIT
// Lanes that look at each other: shfl, vote, match, redux, elect, and waiting for members.
#include "simt_fixture.h"

class Warp : public Simt {
protected:
	/* Runs @lines with %0 = lane, %1 = 3 * lane + 1; stores %2 of each lane. */
	void go(const std::string &lines, uint32_t threads = 32)
	{
		load(R"(
unit params=8 depth=1
func "k" regs u32 u32 u32 u64 pred pred u32
block
	sreg u32 sub=%tid.x %0 =
	mad u32 %1 = %0, 3, 1
	ld u64 u64 space=param %3 = 0
	mad.wide u32 %3 = %0, 4, %3
	mov u32 %2 = 0
)" + lines);
		memset(words(), 0xff, 256);
		block(threads);
		ASSERT_EQ(0u, run(kWindow)) << fault.what << lines;
	}

	static constexpr const char *out = "\nst u32 space=global %3, %2\nexit\n";
};

TEST_F(Warp, Shuffles)
{
	go(std::string(
		   "shfl u32 sub=down %2, %4 = %1, 3, 31, 0xffffffff\n@!%4 add u32 %2 = %2, 1000") +
	   out);
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(i + 3 < 32 ? 3 * (i + 3) + 1 : 3 * i + 1001, words()[i]) << i;
	go(std::string(
		   "shfl u32 sub=up %2, %4 = %1, 5, 0, 0xffffffff\n@!%4 add u32 %2 = %2, 1000") +
	   out);
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(i >= 5 ? 3 * (i - 5) + 1 : 3 * i + 1001, words()[i]) << i;
	go(std::string("shfl u32 sub=bfly %2, _ = %1, 7, 31, 0xffffffff") + out);
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(3 * (i ^ 7) + 1, words()[i]) << i;
	/* Segments of 8: c = 0x1800 | 31 */
	go(std::string("shfl u32 sub=idx %2, _ = %1, 10, 0x181f, 0xffffffff") + out);
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(3 * ((i & 24) | 2) + 1, words()[i]) << i;
	go(std::string("shfl u32 sub=down %2, %4 = %1, 3, 0x181f, 0xffffffff\n@!%4 add u32 %2 = "
		       "%2, 1000") +
	   out);
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(i % 8 + 3 < 8 ? 3 * (i + 3) + 1 : 3 * i + 1001, words()[i]) << i;
}

TEST_F(Warp, VotesAndMasks)
{
	go(std::string("and u32 %6 = %0, 3\nsetp u32 cmp=eq %4, _ = %6, 0, _\n"
		       "vote u32 sub=ballot %2 = %4, 0xffffffff") +
	   out);
	EXPECT_EQ(0x11111111u, words()[5]);
	go(std::string("setp u32 cmp=lt %4, _ = %0, 40, _\nvote pred sub=all %5 = %4, 0xffffffff\n"
		       "@%5 or u32 %2 = %2, 1\nsetp u32 cmp=lt %4, _ = %0, 3, _\n"
		       "vote pred sub=all %5 = %4, 0xffffffff\n@%5 or u32 %2 = %2, 2\n"
		       "vote pred sub=any %5 = %4, 0xffffffff\n@%5 or u32 %2 = %2, 4\n"
		       "vote pred sub=uni %5 = %4, 0xffffffff\n@%5 or u32 %2 = %2, 8") +
	   out);
	EXPECT_EQ(5u, words()[9]);
	go(std::string("and u32 %6 = %0, 3\nmatch.any u32 %2 = %6, 0xffffffff") + out);
	EXPECT_EQ(0x22222222u, words()[5]);
	go(std::string("and u32 %6 = %0, 0\nmatch.all u32 %2, %4 = %6, 0xffffffff\n@!%4 mov u32 %2 "
		       "= 3") +
	   out);
	EXPECT_EQ(0xffffffffu, words()[5]);
	go(std::string("redux u32 sub=add %2 = %1, 0xffffffff") + out);
	EXPECT_EQ(3u * 496 + 32, words()[7]);
	go(std::string("sub u32 %1 = 5, %1\nredux s32 sub=min %2 = %1, 0xffffffff") + out);
	EXPECT_EQ(5u - 94, words()[7]);
	go(std::string("elect %2, %4 = 0xffffffff\n@%4 add u32 %2 = %2, 50") + out);
	EXPECT_EQ(50u, words()[0]);
	EXPECT_EQ(0u, words()[1]);
	go(std::string("activemask %2 =") + out, 20);
	EXPECT_EQ(0xfffffu, words()[19]);
}

// One half shuffles inside a branch, with its own mask; the others do something else.
TEST_F(Warp, HalfMaskInBranch)
{
	go(R"(
	setp u32 cmp=lt %4, _ = %0, 16, _
	br %4 1 2
block
	shfl u32 sub=bfly %2, _ = %1, 1, 31, 0xffff
	jump 3
block
	shfl u32 sub=bfly %2, _ = %1, 2, 31, 0xffff0000
	jump 3
block
	st u32 space=global %3, %2
	exit
)");
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(3 * (i < 16 ? i ^ 1 : i ^ 2) + 1, words()[i]) << i;
}

// All lanes are members but arrive over different ways: the sync makes them wait.
TEST_F(Warp, DivergedLanesMeetAtSync)
{
	go(R"(
	and u32 %6 = %0, 1
	setp u32 cmp=eq %4, _ = %6, 0, _
	br %4 2 1
block
	add u32 %1 = %1, 500
	jump 3
block
	jump 3
block
	jump 4
block
	shfl u32 sub=bfly %2, _ = %1, 1, 31, 0xffffffff
	st u32 space=global %3, %2
	exit
)");
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(3 * (i ^ 1) + 1 + (i & 1 ? 0 : 500), words()[i]) << i;
}

// Different program points, one mask: __syncwarp() in both branches, with data through memory.
TEST_F(Warp, SyncAtDifferentPlaces)
{
	go(R"(
	setp u32 cmp=lt %4, _ = %0, 16, _
	br %4 1 2
block
	warpsync 0xffffffff
	ld u32 u32 space=global off=64 %2 = %3
	jump 3
block
	st u32 space=global %3, %1
	warpsync 0xffffffff
	jump 3
block
	warpsync 0xffffffff
	st u32 space=global %3, %2
	exit
)");
	for (uint32_t i = 0; i < 16; i++)
		EXPECT_EQ(3 * (i + 16) + 1, words()[i]) << i;
}

TEST_F(Warp, ExitedMembersDoNotCount)
{
	go(R"(
	setp u32 cmp=ge %4, _ = %0, 20, _
	br %4 2 1
block
	vote u32 sub=ballot %2 = 1, 0xffffffff
	st u32 space=global %3, %2
	exit
block
	exit
)");
	EXPECT_EQ(0xfffffu, words()[0]);
	EXPECT_EQ(~0u, words()[20]);
}

// Lanes of one warp with masks of their own in one instruction: tiles of 8.
TEST_F(Warp, TilesWithTheirOwnMasks)
{
	go(std::string("and u32 %6 = %0, 24\nshl u32 %6 = 255, %6\nredux u32 sub=add %2 = %1, %6") +
	   out);
	for (uint32_t i = 0; i < 32; i++)
		EXPECT_EQ(3 * (8 * (i / 8 * 8) + 28) + 8, words()[i]) << i;
}

TEST_F(Warp, MemberThatNeverComesIsADeadlock)
{
	load(R"(
unit params=8 depth=1 barrier
func "k" regs u32 pred
block
	sreg u32 sub=%tid.x %0 =
	setp u32 cmp=eq %1, _ = %0, 0, _
	br %1 1 2
block
	bar sub=sync 0
	exit
block
	warpsync 0xffffffff
	bar sub=sync 0
	exit
)");
	EXPECT_EQ(719u, run(kWindow));
}

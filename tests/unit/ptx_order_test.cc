// SPDX-License-Identifier: MIT
// The order of blocks: after their predecessors, loops in one piece, whatever the order in the
// text.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "unit/ptx_text.h"

namespace {

/* label -> position, in the only function */
std::map<std::string, uint32_t> positions(const PtxUnit &u)
{
	std::map<std::string, uint32_t> at;

	for (uint32_t i = 0; u.u && i < u.u->funcs[0]->nblocks; i++)
		if (u.u->funcs[0]->blocks[i].label)
			at[u.u->funcs[0]->blocks[i].label] = i;
	return at;
}

} // namespace

TEST(PtxOrder, ExitsOfALoopComeAfterIt)
{
	/* the way out stands inside the loop in the text */
	PtxUnit u(ptx_kernel("H: setp.eq.u32 %p1,%r1,0; @%p1 bra OUT1; bra B;\n"
			     "OUT1: add.u32 %r9,%r9,1; bra END;\n"
			     "B: setp.eq.u32 %p2,%r2,0; @!%p2 bra C; bra OUT2;\n"
			     "C: sub.u32 %r1,%r1,1; bra H;\nOUT2: add.u32 %r9,%r9,2;\nEND: ret;"));
	auto at = positions(u);

	ASSERT_EQ(0u, u.code) << u.where();
	EXPECT_LT(at["H"], at["B"]);
	EXPECT_LT(at["B"], at["C"]);
	EXPECT_LT(at["C"], at["OUT1"]);
	EXPECT_LT(at["C"], at["OUT2"]);
	EXPECT_EQ(u.u->funcs[0]->nblocks - 1, at["END"]) << u.ir();
}

TEST(PtxOrder, JoinsComeAfterBothArms)
{
	PtxUnit u(ptx_kernel(
		"@%p1 bra A; bra B;\nJ: add.u32 %r1,%r1,1; ret;\nA: add.u32 %r1,%r1,2; bra J;\n"
		"B: add.u32 %r1,%r1,3; bra J;"));
	auto at = positions(u);

	ASSERT_EQ(0u, u.code) << u.where();
	EXPECT_GT(at["J"], at["A"]);
	EXPECT_GT(at["J"], at["B"]);
}

TEST(PtxOrder, UnreachableBlocksAreGone)
{
	PtxUnit u(ptx_kernel(
		"bra E;\nDEAD: add.u32 %r1,%r1,1; bra DEAD;\nE: add.u32 %r1,%r1,1; ret;"));

	ASSERT_EQ(0u, u.code) << u.where();
	EXPECT_EQ(0u, positions(u).count("DEAD")) << u.ir();
}

TEST(PtxOrder, RandomGraphsKeepEveryForwardEdgeForward)
{
	/* edges go to larger numbers (any way) or back to a block that dominates: as compilers make
	 * them */
	std::mt19937 rng(1);

	for (int round = 0; round < 200; round++) {
		int n = 3 + (int)(rng() % 30);
		std::vector<int> order;
		std::string body = "bra L0;\n";

		for (int i = 0; i < n; i++)
			order.push_back(i);
		std::shuffle(order.begin(), order.end(), rng);
		for (int i : order) {
			int a = i + 1 + (int)(rng() % 4), b = i + 1 + (int)(rng() % 2);
			std::string l = "L" + std::to_string(i) + ": add.u32 %r1, %r1, 1; ";

			if (i == n - 1)
				body += l + "ret;\n";
			else
				body += l + "@%p1 bra L" + std::to_string(std::min(a, n - 1)) +
					"; bra L" + std::to_string(std::min(b, n - 1)) + ";\n";
		}
		PtxUnit u(ptx_kernel(body));
		ASSERT_EQ(0u, u.code) << u.where();
		const struct ir_func *f = u.u->funcs[0];

		for (uint32_t i = 0; i < f->nblocks; i++) {
			if (f->blocks[i].term == IR_TERM_JUMP ||
			    f->blocks[i].term == IR_TERM_BRANCH) {
				ASSERT_LT(i, f->blocks[i].target[0]) << u.ir();
			}
			if (f->blocks[i].term == IR_TERM_BRANCH) {
				ASSERT_LT(i, f->blocks[i].target[1]) << u.ir();
			}
		}
		EXPECT_EQ("", u.verify());
	}
}

TEST(PtxOrder, IrreducibleGraphsAndSelfLoopsAreTaken)
{
	PtxUnit u(ptx_kernel("@%p1 bra B;\nA: add.u32 %r1,%r1,1; @%p2 bra B; ret;\n"
			     "B: add.u32 %r1,%r1,2; @%p3 bra A; S: @%p4 bra S; T: bra T;"));

	EXPECT_EQ(0u, u.code) << u.where();
	EXPECT_EQ("", u.verify());
}

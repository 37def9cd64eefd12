// SPDX-License-Identifier: MIT
// The opcode and modifier lists: sorted, so that bisection finds every row and nothing else.
#include <gtest/gtest.h>

#include <cstring>

extern "C" {
#include "cuse_dev/backend/soft/ir/ir.h"
#include "cuse_dev/backend/soft/ptx/table.h"
}

TEST(PtxTable, EveryOpcodeIsFoundWhereItStands)
{
	for (int i = 0; i < PTX_OP_COUNT; i++) {
		const char *text = ptx_op_text((enum ptx_op)i);

		EXPECT_EQ(i, ptx_op_find(text, strlen(text))) << text;
		if (i) {
			EXPECT_LT(strcmp(ptx_op_text((enum ptx_op)(i - 1)), text), 0) << text;
		}
	}
}

TEST(PtxTable, EveryModifierIsFoundWhereItStands)
{
	for (int i = 0; i < PTX_MOD_COUNT; i++) {
		const char *text = ptx_mod_info((enum ptx_mod)i)->text;

		EXPECT_EQ(i, ptx_mod_find(text, strlen(text))) << text;
		if (i) {
			EXPECT_LT(strcmp(ptx_mod_info((enum ptx_mod)(i - 1))->text, text), 0)
				<< text;
		}
	}
}

TEST(PtxTable, StrangersAreNotFound)
{
	EXPECT_EQ(PTX_OP_COUNT, ptx_op_find("ad", 2));
	EXPECT_EQ(PTX_OP_COUNT, ptx_op_find("addx", 4));
	EXPECT_EQ(PTX_OP_COUNT, ptx_op_find("", 0));
	EXPECT_EQ(PTX_OP_COUNT, ptx_op_find("zzz", 3));
	EXPECT_EQ(PTX_MOD_OTHER, ptx_mod_find("f3", 2));
	EXPECT_EQ(PTX_MOD_OTHER, ptx_mod_find("f323", 4));
	EXPECT_EQ(PTX_MOD_OTHER, ptx_mod_find("m16n8k16", 8));
}

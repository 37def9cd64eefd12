// SPDX-License-Identifier: MIT
// The text form reads back what it printed, and says where it cannot; verify refuses what is broken.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

extern "C" {
#include "cuse_dev/backend/soft/ir/ir.h"
#include "cuse_dev/base/arena.h"
}

class IrText : public ::testing::Test {
protected:
	void SetUp() override { arena = arena_create(0); }
	void TearDown() override { arena_destroy(arena); }

	int read(const std::string &text, struct ir_unit **ret_unit)
	{
		err[0] = 0;
		return ir_read(text.c_str(), arena, ret_unit, err, sizeof(err));
	}

	std::string print(const struct ir_unit *u)
	{
		char *text = ir_print(u);
		std::string s = text;

		free(text);
		return s;
	}

	/* Verify's answer for a kernel with one block. */
	std::string verify(const std::string &lines, const std::string &term = "exit")
	{
		struct ir_unit *u;

		if (read("unit params=8 func \"k\" frame=16 regs u16 u32 u64 pred u32 "
			 "u128\nblock\n" +
				 lines + "\n" + term,
			 &u) < 0)
			return std::string("read: ") + err;
		return ir_verify(u, err, sizeof(err)) == 0 ? "" : err;
	}

	struct base_arena *arena = nullptr;
	char err[256] = "";
};

TEST_F(IrText, EverythingSurvives)
{
	static const char text[] =
		"unit shared=16 params=24 depth=2 barrier gridsync\n"
		"func \"k \\\"q\\\"\" code=3 frame=32 params(0:4) rets(4:8 16:4)\n"
		"regs u32:\"%r1\" u64 pred u16 u128\n"
		"block \"LBL\" !4\n"
		"\t@!%2 fma f32 round=rz ftz sat nan relu xorsign %0 = %0, %0, 0x3f800000 !5:6\n"
		"\tcvt s32 f32 round=rm ftz int %0 = %0\n"
		"\tset u32 s16 cmp=geu boolop=xor %0 = %3, %3, %2\n"
		"\tatom u32 space=shared sem=acq_rel scope=gpu sub=cas off=-8 %0 = %1, 0x1, 0x2\n"
		"\tsreg u32 sub=%envreg off=2 %0 =\n"
		"\tshfl u32 sub=bfly sync %0, _ = %0, 0x1, 0x1f, _\n"
		"\tcall args(0:4 4:4) rets(8:4) func=1\n"
		"\tbar sub=red.and %2 = 0x0, _, %2\n"
		"\tprmt u32 sub=f4e %0 = %0, %0, %0\n"
		"\tsub u32 %0 = %0, %0\n"
		"\tpmevent\n"
		"\tbr !%2 1 0 uni\n"
		"block\n"
		"\tswitch %0 [0 1 2]\n"
		"block\n"
		"\tret\n"
		"func \"f\" code=0 frame=16 params(0:4 4:4) rets(8:4)\n"
		"regs\n"
		"block\n"
		"\texit\n";
	struct ir_unit *u, *v;

	ASSERT_EQ(0, read(text, &u)) << err;
	EXPECT_EQ(text, print(u));
	ASSERT_EQ(0, read(print(u), &v)) << err;
	EXPECT_EQ(print(u), print(v));
	EXPECT_EQ(-8, u->funcs[0]->blocks[0].insts[3].offset);
	EXPECT_TRUE(u->funcs[0]->blocks[0].uniform);
}

TEST_F(IrText, NumbersInAllForms)
{
	struct ir_unit *u;

	ASSERT_EQ(0, read("unit func \"k\" regs u64 block mov u64 %0 = -1 mov u64 %0 = 1.5f "
			  "mov u64 %0 = -2.0d mov u64 %0 = 0x10 exit // end",
			  &u))
		<< err;
	EXPECT_EQ(~0ull, u->funcs[0]->blocks[0].insts[0].opnd[1].imm);
	EXPECT_EQ(0x3fc00000u, u->funcs[0]->blocks[0].insts[1].opnd[1].imm);
	EXPECT_EQ(0xc000000000000000ull, u->funcs[0]->blocks[0].insts[2].opnd[1].imm);
	EXPECT_EQ(16u, u->funcs[0]->blocks[0].insts[3].opnd[1].imm);
}

TEST_F(IrText, AddressesOfVariablesCountFromTheirModule)
{
	struct ir_unit *u;

	ASSERT_EQ(0, read("unit func \"k\" regs u64 block mov u64 %0 = global 0x40 "
			  "add u64 %0 = managed 0x8, 0x8 exit",
			  &u))
		<< err;
	const struct ir_operand *mov = u->funcs[0]->blocks[0].insts[0].opnd;
	const struct ir_operand *add = u->funcs[0]->blocks[0].insts[1].opnd;
	EXPECT_EQ(IR_BASE_GLOBAL, mov[1].base);
	EXPECT_EQ(0x40u, mov[1].imm);
	EXPECT_EQ(IR_BASE_MANAGED, add[1].base);
	EXPECT_EQ(IR_BASE_NONE, add[2].base);
	const std::string text = print(u);
	EXPECT_NE(std::string::npos, text.find("mov u64 %0 = global 0x40")) << text;
	/* wherever they lie, the text is the same */
	u->base_va[IR_BASE_GLOBAL] = 0x700000000000;
	u->base_va[IR_BASE_MANAGED] = 0x780000000000;
	u->funcs[0]->blocks[0].insts[0].opnd[1].imm += 0x700000000000;
	u->funcs[0]->blocks[0].insts[1].opnd[1].imm += 0x780000000000;
	EXPECT_EQ(text, print(u));
}

TEST_F(IrText, ErrorsSayWhere)
{
	struct ir_unit *u;

	EXPECT_EQ(-EINVAL, read("unit func \"k\" regs u32\nblock\n  frobnicate %0 exit", &u));
	EXPECT_EQ(0, strncmp(err, "3:3:", 4)) << err;
	EXPECT_EQ(-EINVAL, read("unit func \"k", &u));
	EXPECT_EQ(-EINVAL, read("unit func \"k\" regs block mov u32 round=sideways", &u));
	EXPECT_EQ(-EINVAL, read("unit func \"k\" regs block", &u));
	EXPECT_EQ(-EINVAL, read("", &u));
}

TEST_F(IrText, EveryPrefixIsRefusedOrRead)
{
	const std::string text =
		"unit params=8 func \"k\" frame=4 params(0:4) regs u32:\"a\" pred block \"x\" !3 "
		"@!%1 add u32 ftz %0 = %0, 1.5f !4:5 switch %0 [0 0] block br %1 0 1 uni";
	struct ir_unit *u;

	for (size_t n = 0; n < text.size(); n++)
		(void)read(text.substr(0, n), &u);
	ASSERT_EQ(0, read(text, &u)) << err;
}

TEST_F(IrText, VerifyAcceptsAndRefuses)
{
	EXPECT_EQ("", verify("add u32 %1 = %1, %4\nmul.wide u32 %2 = %1, 3\nshl u64 %2 = %2, %1\n"
			     "setp u64 cmp=lt %3, _ = %2, 7, _\npack u32 %1 = %0, %0\ncvt u64 u8 "
			     "%2 = %0"));
	EXPECT_NE("", verify("add u32 %1 = %1, %2"));
	EXPECT_NE("", verify("add u32 %2 = %1, %1"));
	EXPECT_NE("", verify("add u32 %1 = %1"));
	EXPECT_NE("", verify("add u32 %1 = %1, _"));
	EXPECT_NE("", verify("add u32 %1 = %1, %9"));
	EXPECT_NE("", verify("@%1 add u32 %1 = %1, %1"));
	EXPECT_NE("", verify("mul.wide u32 %1 = %1, 3"));
	EXPECT_NE("", verify("shl u64 %2 = %2, %2"));
	EXPECT_NE("", verify("setp u32 cmp=lt %1, _ = %1, 7, _"));
	EXPECT_NE("", verify("ld u32 u32 space=global %3 = %2"));
	EXPECT_NE("", verify("call args(0:4) func=0"));
	EXPECT_NE("", verify("call args(12:8) func=0"));
	EXPECT_NE("", verify("call func=1"));
	EXPECT_NE("", verify("", "jump 1"));
	EXPECT_NE("", verify("", "br %1 0 0"));
	EXPECT_NE("", verify("", "br %3 0 1"));
	EXPECT_NE("", verify("", "switch %2 [0]"));
	EXPECT_NE("", verify("", "switch %1 []"));
	EXPECT_NE(std::string::npos, verify("add u32 %1 = %1, %2 !7:9").find("7:9"));
}

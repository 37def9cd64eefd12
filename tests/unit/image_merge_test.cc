/* SPDX-License-Identifier: MIT */
/* Several PTX texts as one: heads, names that collide and names that do not. */
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

extern "C" {
#include "cuse_dev/backend/soft/image/merge.h"
}

namespace {

const std::string head = ".version 7.0\n.target sm_75\n.address_size 64\n";

int merge(const std::vector<std::string> &in, std::string *out)
{
	std::vector<const char *> p;
	char *text = nullptr;

	for (const auto &s : in)
		p.push_back(s.c_str());
	int r = image_merge(p.data(), unsigned(p.size()), &text);

	if (!r)
		*out = text;
	free(text);
	return r;
}

size_t count(const std::string &s, const std::string &what)
{
	size_t n = 0;

	for (size_t at = s.find(what); at != std::string::npos; at = s.find(what, at + 1))
		n++;
	return n;
}

TEST(ImageMerge, OneHeadWithTheHighest)
{
	std::string out;

	ASSERT_EQ(merge({ head + ".visible .entry a() { ret; }\n",
			  "// c\n.version 8.4 .target sm_90, debug /* x */ .address_size 64\n"
			  ".visible .entry b() { ret; }\n" },
			&out),
		  0);
	EXPECT_EQ(count(out, ".version"), 1u) << out;
	EXPECT_EQ(count(out, ".address_size"), 1u) << out;
	EXPECT_EQ(out.rfind(".version 8.4\n.target sm_90\n", 0), 0u) << out;
	EXPECT_EQ(count(out, "debug"), 0u) << out;
}

TEST(ImageMerge, LocalNamesAreKeptApart)
{
	std::string out;
	const std::string one = head + ".global .align 4 .u32 x[2] = { 1, 2 }, y;\n"
				       ".func (.reg .u32 r) f(.reg .u32 a) { mov.u32 r, a; ret; }\n"
				       ".visible .entry ";

	ASSERT_EQ(merge({ one + "a() { mov.u64 %rd1, x; call (r), f, (y); ret; }\n",
			  one + "b() { mov.u64 %rd1, x; ret; }\n" },
			&out),
		  0);
	EXPECT_EQ(count(out, "x$link0"), 2u) << out;
	EXPECT_EQ(count(out, "x$link1"), 2u) << out;
	EXPECT_EQ(count(out, "f$link0"), 2u) << out;
	EXPECT_EQ(count(out, "y$link0"), 2u) << out;
	EXPECT_EQ(count(out, "a$link"), 0u) << out;
}

TEST(ImageMerge, WhatIsShownKeepsItsName)
{
	std::string out;

	ASSERT_EQ(merge({ head + ".extern .func g();\n.visible .global .u32 v;\n.weak .func w() { "
				 "ret; }\n",
			  head + ".visible .func g() { ret; }\n.extern .global .u32 v;\n"
				 ".weak .func w() { ret; }\n" },
			&out),
		  0);
	EXPECT_EQ(count(out, "$link"), 0u) << out;
}

/* A name of one's own gives way to the one that another text shows. */
TEST(ImageMerge, LocalAgainstShown)
{
	std::string out;

	ASSERT_EQ(merge({ head + ".func g() { ret; }\n.visible .entry a() { call g; ret; }\n",
			  head + ".visible .func g() { ret; }\n" },
			&out),
		  0);
	EXPECT_EQ(count(out, "g$link0"), 2u) << out;
	EXPECT_EQ(count(out, "$link1"), 0u) << out;
}

/* Declared without, defined with a directive: it is one thing. */
TEST(ImageMerge, ForwardDeclaration)
{
	std::string out;

	ASSERT_EQ(merge({ head + ".func g();\n.visible .func g() { ret; }\n",
			  head + ".extern .func g();\n" },
			&out),
		  0);
	EXPECT_EQ(count(out, "$link"), 0u) << out;
}

TEST(ImageMerge, StringsAndInstructionsAreLeftAlone)
{
	std::string out;

	ASSERT_EQ(merge({ head + ".file 1 \"add\"\n.global .u32 add;\n.pragma \"add\";\n"
				 ".visible .entry a() { add.u32 %r1, %r2, %r3; // add\n ret; }\n",
			  head + ".global .u32 add;\n" },
			&out),
		  0);
	EXPECT_EQ(count(out, "add$link0"), 1u) << out;
	EXPECT_EQ(count(out, "add.u32"), 1u) << out;
	EXPECT_EQ(count(out, "\"add\""), 2u) << out;
}

TEST(ImageMerge, Refusals)
{
	std::string out;

	EXPECT_EQ(merge({}, &out), -EINVAL);
	EXPECT_EQ(merge({ "" }, &out), -EINVAL);
	EXPECT_EQ(merge({ head, "hello" }, &out), -EINVAL);
	EXPECT_EQ(merge({ ".version 7.0\n" }, &out), -EINVAL);
	EXPECT_EQ(merge({ ".version 7.0\n.target sm_20\n.address_size 32\n" }, &out), -ENOTSUP);
	/* What does not end is left to the compiler; it must not be read beyond. */
	EXPECT_EQ(merge({ head + ".visible .entry a( {", head + "/* x", head + ".file \"x" }, &out),
		  0);
}

} // namespace

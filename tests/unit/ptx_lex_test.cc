// SPDX-License-Identifier: MIT
// Tokens: all kinds of literals, names, comments, positions; constant expressions; brace scanning.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

extern "C" {
#include "cuse_dev/backend/soft/ptx/tree.h"
}

namespace {

struct Lex {
	std::string text;
	struct ptx_lex lex = {};
	struct ptx_error err = {};

	explicit Lex(const std::string &t) : text(t + std::string(64, '\0'))
	{
		ptx_lex_start(&lex, text.data(), text.data() + t.size(), text.data(), 1, &err);
	}
};

uint64_t value(const char *text, int kind)
{
	Lex l(text);

	EXPECT_EQ(kind, l.lex.tok.kind) << text << ": " << l.err.text;
	EXPECT_EQ(0u, l.err.code) << text;
	return l.lex.tok.bits;
}

int64_t expr(const std::string &text)
{
	Lex l(text);
	struct ptx_value v = {};

	EXPECT_TRUE(ptx_expr(&l.lex, &v)) << text << ": " << l.err.text;
	EXPECT_EQ(PTX_TOK_END, l.lex.tok.kind) << text;
	return (int64_t)v.bits;
}

} // namespace

TEST(PtxLex, IntegerLiterals)
{
	EXPECT_EQ(0u, value("0", PTX_TOK_INT));
	EXPECT_EQ(42u, value("42", PTX_TOK_INT));
	EXPECT_EQ(42u, value("42U", PTX_TOK_INT));
	EXPECT_EQ(0x1fu, value("0x1F", PTX_TOK_INT));
	EXPECT_EQ(0x1fu, value("0X1fU", PTX_TOK_INT));
	EXPECT_EQ(63u, value("077", PTX_TOK_INT));
	EXPECT_EQ(5u, value("0b101", PTX_TOK_INT));
	EXPECT_EQ(UINT64_MAX, value("18446744073709551615", PTX_TOK_INT));
	EXPECT_EQ(UINT64_MAX, value("0xffffffffffffffff", PTX_TOK_INT));
}

TEST(PtxLex, FloatLiterals)
{
	double d;
	uint64_t bits;

	EXPECT_EQ(0x3f800000u, value("0f3F800000", PTX_TOK_F32));
	EXPECT_EQ(0x3ff0000000000000u, value("0d3FF0000000000000", PTX_TOK_F64));
	bits = value("1.5e3", PTX_TOK_F64);
	memcpy(&d, &bits, 8);
	EXPECT_EQ(1500.0, d);
	bits = value(".25", PTX_TOK_F64);
	memcpy(&d, &bits, 8);
	EXPECT_EQ(0.25, d);
}

TEST(PtxLex, BadLiteralsAreErrors)
{
	for (const char *t :
	     { "18446744073709551616", "0x", "08", "12ab", "0f3F80", "0b2", "\"abc" }) {
		Lex l(t);

		EXPECT_EQ(218u, l.err.code) << t;
	}
}

TEST(PtxLex, NamesAndPositions)
{
	Lex l("// one\n  %r1 /* two\nlines */ $L_x _ .loc");

	EXPECT_EQ(std::string("%r1"), std::string(l.lex.tok.text, l.lex.tok.len));
	EXPECT_EQ(2u, l.lex.tok.line);
	EXPECT_EQ(3u, l.lex.tok.column);
	ptx_lex_next(&l.lex);
	EXPECT_EQ(std::string("$L_x"), std::string(l.lex.tok.text, l.lex.tok.len));
	EXPECT_EQ(3u, l.lex.tok.line);
	EXPECT_EQ(10u, l.lex.tok.column);
	ptx_lex_next(&l.lex);
	EXPECT_EQ(1u, l.lex.tok.len);
	ptx_lex_next(&l.lex);
	EXPECT_EQ(PTX_TOK_DIRECTIVE, l.lex.tok.kind);
	EXPECT_EQ(std::string("loc"), std::string(l.lex.tok.text, l.lex.tok.len));
	ptx_lex_next(&l.lex);
	EXPECT_EQ(PTX_TOK_END, l.lex.tok.kind);
}

TEST(PtxExpr, PrecedenceAndSigns)
{
	EXPECT_EQ(7, expr("1+2*3"));
	EXPECT_EQ(9, expr("(1+2)*3"));
	EXPECT_EQ(-8, expr("-1<<3"));
	EXPECT_EQ(1, expr("3>2 && 2>=2"));
	EXPECT_EQ(5, expr("0 ? 4 : 5"));
	EXPECT_EQ(-2, expr("-5/2"));
	EXPECT_EQ(32, expr("WARP_SZ"));
	EXPECT_EQ(~7, expr("~7"));
	EXPECT_EQ(-1, expr("-1>>4"));
	EXPECT_EQ(1, expr("(.u64)-1>>63"));
}

TEST(PtxExpr, NestingIsLimited)
{
	std::string deep(40, '('), deeper(5000, '(');
	Lex ok(deep + "1" + std::string(40, ')')), bad(deeper + "1" + std::string(5000, ')'));
	struct ptx_value v;

	EXPECT_TRUE(ptx_expr(&ok.lex, &v)) << ok.err.text;
	EXPECT_FALSE(ptx_expr(&bad.lex, &v));
	EXPECT_EQ(218u, bad.err.code);
}

TEST(PtxExpr, DivisionByZeroIsAnError)
{
	for (const char *t : { "1/0", "1%(2-2)" }) {
		Lex l(t);
		struct ptx_value v;

		EXPECT_FALSE(ptx_expr(&l.lex, &v)) << t;
	}
	EXPECT_EQ(INT64_MIN, expr("-9223372036854775807-1"));
}

TEST(PtxScan, FindsTheEndAndCountsLines)
{
	/* every alignment of the interesting characters against the vector chunks */
	for (size_t pad = 0; pad < 40; pad++) {
		std::string t = std::string(pad, ' ') + "{a,b}\n// } \"\n/* } \n */ \"}\" {{}\n}" +
				std::string(pad, '\n') + "} tail";
		std::string z = t + std::string(64, '\0');
		uint32_t line = 1;
		const char *start = z.data();
		bool statics = true;
		const char *e =
			ptx_scan_braces(z.data(), z.data() + t.size(), &line, &start, &statics);

		ASSERT_NE(nullptr, e) << pad;
		EXPECT_EQ(std::string(" tail"), std::string(e, (size_t)(z.data() + t.size() - e)))
			<< pad;
		EXPECT_EQ(5 + pad, line) << pad;
		EXPECT_EQ(e - 1, pad ? start : e - 1) << pad;
		EXPECT_FALSE(statics);
	}
}

TEST(PtxScan, NoEndIsNoEnd)
{
	for (const char *t : { "", "{", "{}", "/* }", "\"}", "// }", "{ { } " }) {
		std::string z = std::string(t) + std::string(64, '\0');
		uint32_t line = 1;
		const char *start = z.data();
		bool statics;

		EXPECT_EQ(nullptr,
			  ptx_scan_braces(z.data(), z.data() + strlen(t), &line, &start, &statics))
			<< t;
	}
}

TEST(PtxScan, SeesVariablesOfTheModule)
{
	const struct {
		const char *text;
		bool statics;
	} rows[] = {
		{ ".global .u32 x;", true },
		{ "\t.const .u32 x;", true },
		{ "ret;.global .u32 x;", true },
		{ "/**/.const\t.u32 x;", true },
		{ "ld.global.u32 %r, x;", false },
		{ "// .global .u32 x;", false },
		{ "/* .const .u32 x; */", false },
		{ "\" .global \"", false },
		{ ".globals x;", false },
		{ ".callprototype ()_();", false },
		{ "st.volatile.global.u32 [x], 1;", false },
	};

	for (const auto &row : rows)
		for (size_t pad = 0; pad < 40; pad++) {
			std::string z = "{" + std::string(pad, '\n') + row.text + "\n}";
			uint32_t line = 1;
			const char *start = z.c_str();
			bool statics = !row.statics;

			ASSERT_NE(nullptr, ptx_scan_braces(z.c_str() + 1, z.c_str() + z.size(),
							   &line, &start, &statics))
				<< row.text;
			EXPECT_EQ(row.statics, statics) << row.text << " after " << pad;
		}
}

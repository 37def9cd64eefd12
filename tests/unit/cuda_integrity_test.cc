/* SPDX-License-Identifier: MIT */
/* The integrity answer: MD2 against the vectors of RFC 1319, HMAC against RFC 2104 written out. */
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "libcuda/core/integrity.h"
}

static std::string md2(const std::string &text)
{
	uint8_t d[16];
	char hex[33];

	cu_integrity_md2(text.data(), text.size(), d);
	for (int i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", d[i]);
	return hex;
}

TEST(Integrity, Md2VectorsOfTheRfc)
{
	EXPECT_EQ(md2(""), "8350e5a3e24c153df2275c9f80692773");
	EXPECT_EQ(md2("a"), "32ec01ec4a6dac72c0ab96fb34c0b5d1");
	EXPECT_EQ(md2("abc"), "da853b0d3f88d99b30283a69e6ded6bb");
	EXPECT_EQ(md2("message digest"), "ab4f496bfb2a530b219ff33031fe06b0");
	EXPECT_EQ(md2("abcdefghijklmnopqrstuvwxyz"), "4e8ddff3650292ab5a4108c3aa47940b");
	EXPECT_EQ(md2("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
		  "da33def2a42df13975352846c30338cd");
	EXPECT_EQ(md2("1234567890123456789012345678901234567890"
		      "1234567890123456789012345678901234567890"),
		  "d5976f79d83d3a0dc9806c3c66f3efd8");
}

static std::vector<uint8_t> answer(const cu_integrity_input &in,
				   const std::vector<cu_integrity_device> &devices)
{
	std::vector<uint8_t> a(16);

	cu_integrity_answer(&in, devices.data(), devices.size(), a.data());
	return a;
}

TEST(Integrity, EachValueCounts)
{
	cu_integrity_input in = { 13000, 13002, 77, 88, 0x1000, 0x2000, 0x3000, 1700000000 };
	cu_integrity_device dev = {};
	auto base = answer(in, { dev });

	EXPECT_EQ(base, answer(in, { dev }));
	auto changed = in;
	changed.time++;
	EXPECT_NE(base, answer(changed, { dev }));
	changed = in;
	changed.thread++;
	EXPECT_NE(base, answer(changed, { dev }));
	changed = in;
	changed.function++;
	EXPECT_NE(base, answer(changed, { dev }));
	EXPECT_NE(base, answer(in, {}));
	EXPECT_NE(base, answer(in, { dev, dev }));
	dev.pci_device = 1;
	EXPECT_NE(base, answer(in, { dev }));
}

TEST(Integrity, FirstTwoQuestionsHaveFixedAnswers)
{
	cu_integrity_input in = { 13000, 11080, 77, 88, 0x1000, 0x2000, 0x3000, 1700000000 };
	auto zero = answer(in, {});

	in.time++;
	EXPECT_EQ(answer(in, {}), zero);
	in.version = 11081;
	auto one = answer(in, {});
	EXPECT_NE(one, zero);
	in.version = 11082;
	EXPECT_NE(answer(in, {}), zero);
	EXPECT_NE(answer(in, {}), one);
}

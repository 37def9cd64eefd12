// SPDX-License-Identifier: MIT
// Fat binaries: payloads of every packing, the choice among several, damaged and hostile ones.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <lz4.h>
#include <string>
#include <vector>
#include <zstd.h>

extern "C" {
#include "cuse_dev/backend/soft/image/fatbin.h"
#include "cuse_dev/backend/soft/image/image.h"
}

namespace {

enum Packing { PLAIN, LZ4P, ZSTDP };

std::string ptx(int sm, const char *suffix = "")
{
	return ".version 8.4\n.target sm_" + std::to_string(sm) + suffix +
	       "\n.address_size 64\n.entry k() { ret; }\n" + std::string(2000, ' ');
}

void put(std::string &s, size_t at, const void *v, size_t n)
{
	memcpy(&s[at], v, n);
}

std::string entry(uint16_t kind, uint32_t sm, const std::string &data, Packing packing = PLAIN)
{
	std::string head(64, '\0'), packed = data;
	uint64_t flags = 0, raw = data.size();
	uint32_t header = 64, stored = 0;
	uint64_t padded;
	uint16_t version = 0x101;

	if (packing == LZ4P) {
		packed.resize((size_t)LZ4_compressBound((int)data.size()));
		stored = (uint32_t)LZ4_compress_default(data.data(), &packed[0], (int)data.size(),
							(int)packed.size());
		packed.resize(stored);
		flags = 0x2000;
	} else if (packing == ZSTDP) {
		packed.resize(ZSTD_compressBound(data.size()));
		stored = (uint32_t)ZSTD_compress(&packed[0], packed.size(), data.data(),
						 data.size(), 3);
		packed.resize(stored);
		flags = 0x8000;
	}
	while (packed.size() % 8)
		packed += '\0';
	padded = packed.size();
	put(head, 0, &kind, 2);
	put(head, 2, &version, 2);
	put(head, 4, &header, 4);
	put(head, 8, &padded, 8);
	put(head, 16, &stored, 4);
	put(head, 28, &sm, 4);
	put(head, 40, &flags, 8);
	if (flags)
		put(head, 56, &raw, 8);
	return head + packed;
}

std::string container(const std::string &entries)
{
	std::string head(16, '\0');
	uint32_t magic = FATBIN_CONTAINER_MAGIC;
	uint16_t version = 1, header = 16;
	uint64_t bytes = entries.size();

	put(head, 0, &magic, 4);
	put(head, 4, &version, 2);
	put(head, 6, &header, 2);
	put(head, 8, &bytes, 8);
	return head + entries;
}

struct Pick {
	struct image_text text = {};
	struct backend_log log = {};
	uint32_t r;
	uint32_t target = 0;

	Pick(const std::string &image, uint32_t cc, bool lenient = false)
	{
		/* an exact copy, so that a sanitizer sees each byte too far */
		std::vector<char> copy(image.begin(), image.end());
		char suffix;

		r = image_pick(copy.data(), copy.size(), cc, lenient, &text, &log);
		if (!r)
			target = image_target(text.text, text.bytes, &suffix);
	}
	~Pick() { free(r ? nullptr : text.text); }
};

} // namespace

TEST(ImageFatbin, EveryPackingUnpacks)
{
	for (Packing p : { PLAIN, LZ4P, ZSTDP }) {
		Pick k(container(entry(1, 90, ptx(90), p)), 90);

		ASSERT_EQ(0u, k.r) << p << k.log.text;
		EXPECT_EQ(ptx(90), std::string(k.text.text, k.text.bytes)) << p;
	}
}

TEST(ImageFatbin, OwnThenHighestBelowThenLenientlyLowestAbove)
{
	std::string many = container(entry(1, 120, ptx(120)) + entry(1, 75, ptx(75), LZ4P) +
				     entry(2, 90, "cubin") + entry(1, 90, ptx(90)) +
				     entry(1, 80, ptx(80), ZSTDP) + entry(1, 100, ptx(100)));

	EXPECT_EQ(90u, Pick(many, 90).target);
	EXPECT_EQ(80u, Pick(many, 89).target);
	EXPECT_EQ(75u, Pick(many, 75).target);
	EXPECT_EQ(120u, Pick(many, 130).target);
	EXPECT_EQ(209u, Pick(many, 70).r);
	EXPECT_EQ(75u, Pick(many, 70, true).target);
}

TEST(ImageFatbin, ArchitectureSpecificPtxRunsOnlyThere)
{
	std::string two = container(entry(1, 90, ptx(90, "a")) + entry(1, 80, ptx(80)));

	EXPECT_EQ(90u, Pick(two, 90).target);
	EXPECT_EQ(80u, Pick(two, 100).target);
	EXPECT_EQ(90u, Pick(two, 100, true).target);
	EXPECT_EQ(209u, Pick(container(entry(1, 90, ptx(90, "a"))), 100).r);
}

TEST(ImageFatbin, ContainersMayFollowEachOther)
{
	std::string two = container(entry(2, 80, "x")) + std::string(8, '\0') +
			  container(entry(1, 80, ptx(80)));

	EXPECT_EQ(80u, Pick(two, 90).target);
}

TEST(ImageFatbin, MachineCodeAloneIsNamed)
{
	Pick k(container(entry(2, 86, "cubin")), 90);
	Pick elf("\177ELF and so on", 90);

	EXPECT_EQ(209u, k.r);
	EXPECT_NE(nullptr, strstr(k.log.text, "sm_86")) << k.log.text;
	EXPECT_EQ(209u, elf.r);
}

TEST(ImageFatbin, TextWithAndWithoutNul)
{
	EXPECT_EQ(80u, Pick(ptx(80), 90).target);
	EXPECT_EQ(80u, Pick("// c\n" + ptx(80) + std::string(1, '\0') + "rest", 90).target);
	EXPECT_EQ(209u, Pick(ptx(100), 90).r);
	EXPECT_EQ(200u, Pick("garbage", 90).r);
	EXPECT_EQ(200u, Pick("", 90).r);
}

TEST(ImageFatbin, EveryTruncationAndDamageIsSurvived)
{
	std::string whole = container(entry(1, 80, ptx(80), LZ4P) + entry(1, 90, ptx(90), ZSTDP));

	for (size_t n = 0; n < whole.size(); n++)
		EXPECT_NE(0u, Pick(whole.substr(0, n), 90).r) << n;
	for (size_t n = 0; n < whole.size(); n++)
		for (int v : { 0x00, 0x7f, 0x80, 0xff }) {
			std::string b = whole;

			b[n] = (char)v;
			Pick k(b, 90); /* any answer, no crash, no wild read */
		}
}

TEST(ImageFatbin, HugeSizesAreRefused)
{
	std::string e = entry(1, 90, ptx(90), LZ4P);
	uint64_t huge = 1ull << 40;

	put(e, 56, &huge, 8);
	EXPECT_EQ(200u, Pick(container(e), 90).r);
	huge = ptx(90).size() + 1;
	put(e, 56, &huge, 8);
	EXPECT_EQ(200u, Pick(container(e), 90).r);
	e = entry(1, 90, ptx(90));
	huge = UINT64_MAX;
	put(e, 8, &huge, 8);
	EXPECT_EQ(200u, Pick(container(e), 90).r);
}

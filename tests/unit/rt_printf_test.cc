/* SPDX-License-Identifier: MIT */
/*
 * The device's printf: the packed arguments as nvcc lays them out, all conversions, and garbage.
 */
#include <cerrno>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

extern "C" {
#include "cuse_dev/backend/soft/rt/printf.h"
}

namespace {

/* Device memory: bytes at 0x1000 and up; address 0 and everything else is not readable. */
struct Memory {
	std::vector<uint8_t> bytes;

	uint64_t Put(const void *p, size_t n, size_t align = 1)
	{
		while (bytes.size() % align)
			bytes.push_back(0);
		uint64_t va = 0x1000 + bytes.size();

		bytes.insert(bytes.end(), (const uint8_t *)p, (const uint8_t *)p + n);
		return va;
	}
	uint64_t Text(const std::string &s) { return Put(s.c_str(), s.size() + 1); }
};

int Read(void *ctx, uint64_t va, void *buf, size_t n)
{
	auto *m = static_cast<Memory *>(ctx);

	if (va < 0x1000 || va + n > 0x1000 + m->bytes.size())
		return -EFAULT;
	memcpy(buf, m->bytes.data() + (va - 0x1000), n);
	return 0;
}

class Printf : public ::testing::Test {
protected:
	Memory mem;
	std::vector<uint8_t> args;
	int result = 0;

	template <class T> void Arg(T v)
	{
		while (args.size() % sizeof(T))
			args.push_back(0xee);
		args.insert(args.end(), (uint8_t *)&v, (uint8_t *)&v + sizeof(T));
	}
	std::string Run(const std::string &format, size_t size = RT_PRINTF_MAX)
	{
		std::vector<char> out(size + 1, '#');
		size_t n = 0;
		uint64_t f = mem.Text(format), a = mem.Put(args.data(), args.size(), 16);

		result = rt_printf(Read, &mem, f, a, out.data(), size, &n);
		EXPECT_LE(n, size);
		EXPECT_EQ('#', out[size]) << "wrote past the end";
		return std::string(out.data(), n);
	}
};

TEST_F(Printf, PlainText)
{
	EXPECT_EQ("hello 100%\n", Run("hello 100%%\n"));
	EXPECT_EQ(0, result);
}

TEST_F(Printf, IntegersAndTheirAlignment)
{
	Arg<int>(-5);
	Arg<long long>(1ll << 40);
	Arg<unsigned>(0xffffffffu);
	Arg<unsigned long>(~0ul);
	EXPECT_EQ("-5 1099511627776 4294967295 ffffffffffffffff", Run("%d %lld %u %lx"));
	EXPECT_EQ(4, result);
}

TEST_F(Printf, Narrow)
{
	Arg<int>(0x12345);
	Arg<int>(0x1ff);
	Arg<int>(0x1ff);
	Arg<int>('A');
	EXPECT_EQ("9029 -1 255 A", Run("%hd %hhd %hhu %c"));
}

TEST_F(Printf, AllIntegerConversions)
{
	for (int i = 0; i < 6; i++)
		Arg<int>(255);
	EXPECT_EQ("255 255 377 255 ff FF", Run("%d %i %o %u %x %X"));
	EXPECT_EQ(6, result);
}

TEST_F(Printf, Floats)
{
	Arg<int>(7); /* the double behind it is aligned to 8 */
	for (int i = 0; i < 8; i++)
		Arg<double>(1.5);
	EXPECT_EQ("7 1.500000 1.500000 1.500000e+00 1.500000E+00 1.5 1.5 0x1.8p+0 0X1.8P+0",
		  Run("%d %f %F %e %E %g %G %a %A"));
}

TEST_F(Printf, SpecialFloats)
{
	Arg<double>(INFINITY);
	Arg<double>(-INFINITY);
	Arg<double>(NAN);
	EXPECT_EQ("inf -INF nan", Run("%f %F %g"));
}

TEST_F(Printf, FlagsWidthPrecision)
{
	Arg<int>(42);
	Arg<int>(42);
	Arg<int>(42);
	Arg<int>(42);
	Arg<double>(3.14159);
	Arg<int>(42);
	EXPECT_EQ("[   42][42   ][00042][+42][  3.14][0x2a]",
		  Run("[%5d][%-5d][%05d][%+d][%6.2f][%#x]"));
}

TEST_F(Printf, StarTakesArguments)
{
	Arg<int>(6);
	Arg<int>(2);
	Arg<double>(2.71828);
	Arg<int>(-4);
	Arg<int>(9);
	EXPECT_EQ("[  2.72][9   ]", Run("[%*.*f][%*d]"));
	EXPECT_EQ(5, result);
}

TEST_F(Printf, Strings)
{
	uint64_t s = mem.Text("a string that is longer than one chunk of reading");

	Arg<uint64_t>(s);
	Arg<uint64_t>(s);
	Arg<uint64_t>(s);
	Arg<uint64_t>(0);
	EXPECT_EQ("[a string that is longer than one chunk of reading][a str][  a s][(null)]",
		  Run("[%s][%.5s][%5.3s][%s]"));
	EXPECT_EQ(4, result);
}

TEST_F(Printf, Pointer)
{
	Arg<uint64_t>(0x700000000040ull);
	EXPECT_EQ("0x700000000040", Run("%p"));
}

TEST_F(Printf, WriteBackIsRefused)
{
	Arg<uint64_t>(0x1000);
	EXPECT_EQ("ab", Run("ab%n"));
	EXPECT_EQ(-EINVAL, result);
}

TEST_F(Printf, BadAddresses)
{
	char buf[16];
	size_t n = 9;

	EXPECT_EQ(-EINVAL, rt_printf(Read, &mem, 0, 0, buf, sizeof(buf), &n));
	EXPECT_EQ(0u, n);
	EXPECT_EQ(-EFAULT, rt_printf(Read, &mem, 8, 0, buf, sizeof(buf), &n));
	Arg<uint64_t>(0xdead0000);
	Run("x%s");
	EXPECT_EQ(-EFAULT, result);
	args.clear();
	Run("%d");
	EXPECT_EQ(-EFAULT, result);
}

TEST_F(Printf, OutputIsCutNotOverrun)
{
	Arg<int>(1000000000);
	Arg<int>(1);
	EXPECT_EQ("xxxxx   ", Run("xxxxx%*d", 8));
	args.clear();
	Arg<double>(1e300);
	EXPECT_EQ(32u, Run("%2000000000.2000000000f", 32).size());
	EXPECT_EQ(0u, Run("abc", 0).size());
}

TEST_F(Printf, FormatWithoutEndStops)
{
	mem.bytes.assign(64, '%');
	char buf[256];
	size_t n;
	int r = rt_printf(Read, &mem, 0x1000, 0x1000, buf, sizeof(buf), &n);

	EXPECT_EQ(-EFAULT, r);
	EXPECT_EQ(32u, n);
}

TEST_F(Printf, GarbageNeverCrashes)
{
	uint32_t seed = 1;
	const char set[] = "%dsxfnlh*.0-+ #1239cpzqjtLgGaA%%";

	for (int i = 0; i < 5000; i++) {
		std::string f;

		args.clear();
		mem.bytes.clear();
		for (int k = 0; k < 24; k++) {
			seed = seed * 1664525 + 1013904223;
			f += set[(seed >> 16) % (sizeof(set) - 1)];
			Arg<uint32_t>(seed >> (k % 20));
		}
		Run(f, seed >> 20 & 0x7f);
		EXPECT_LE(result, 64);
	}
}

} // namespace

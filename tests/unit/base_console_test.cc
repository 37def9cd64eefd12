/* SPDX-License-Identifier: MIT */
/* base_console_test.cc - the printf FIFO: whole records or none, in order, two streams, many
 * writers. */
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include "cuse_dev/base/console.h"
}

class Console : public ::testing::Test {
protected:
	void make(size_t bytes) { ASSERT_EQ(console_create(bytes, &c), 0); }
	void TearDown() override { console_destroy(c); }
	int put(const std::string &s, int to = 1)
	{
		return console_write(c, to, s.data(), s.size());
	}
	std::string get(size_t size = 4096)
	{
		std::string s(size, '?');

		stream = 0;
		s.resize(console_read(c, &s[0], size, &stream));
		return s;
	}

	struct backend_console *c = nullptr;
	int stream = 0;
};

TEST_F(Console, EmptyGivesNothing)
{
	make(256);
	EXPECT_EQ(get(), "");
	EXPECT_EQ(stream, 0);
	EXPECT_EQ(console_pending(c), 0u);
}

TEST_F(Console, TooSmallToHoldARecord)
{
	EXPECT_EQ(console_create(0, &c), -EINVAL);
	EXPECT_EQ(console_create(8, &c), -EINVAL);
	EXPECT_EQ(c, nullptr);
}

TEST_F(Console, RecordsOfOneStreamJoin)
{
	make(256);
	EXPECT_EQ(put("one "), 0);
	EXPECT_EQ(put("two"), 0);
	EXPECT_EQ(console_pending(c), 7u);
	EXPECT_EQ(get(), "one two");
	EXPECT_EQ(stream, 1);
	EXPECT_EQ(console_pending(c), 0u);
}

TEST_F(Console, StreamsKeepTheirOrder)
{
	make(256);
	put("a", 1);
	put("b", 2);
	put("c", 1);
	EXPECT_EQ(get(), "a");
	EXPECT_EQ(stream, 1);
	EXPECT_EQ(get(), "b");
	EXPECT_EQ(stream, 2);
	EXPECT_EQ(get(), "c");
	EXPECT_EQ(stream, 1);
}

TEST_F(Console, ARecordCanBeReadInPieces)
{
	make(256);
	put("abcdef", 2);
	EXPECT_EQ(get(4), "abcd");
	EXPECT_EQ(stream, 2);
	EXPECT_EQ(console_pending(c), 2u);
	put("gh", 1);
	EXPECT_EQ(get(), "ef");
	EXPECT_EQ(stream, 2);
	EXPECT_EQ(get(), "gh");
	EXPECT_EQ(stream, 1);
}

TEST_F(Console, WhatDoesNotFitIsLostWholeAndCounted)
{
	make(8 + 10);
	EXPECT_EQ(put("0123456789a"), -ENOSPC);
	EXPECT_EQ(console_lost(c), 11u);
	EXPECT_EQ(put("0123456789"), 0);
	EXPECT_EQ(put("x"), -ENOSPC);
	EXPECT_EQ(console_lost(c), 12u);
	EXPECT_EQ(get(), "0123456789");
	EXPECT_EQ(put("again"), 0);
	EXPECT_EQ(get(), "again");
}

TEST_F(Console, AroundTheEndManyTimes)
{
	make(61);
	for (int i = 0; i < 1000; i++) {
		std::string s = "record " + std::to_string(i);

		ASSERT_EQ(put(s, 1 + i % 2), 0);
		ASSERT_EQ(get(), s);
		ASSERT_EQ(stream, 1 + i % 2);
	}
}

TEST_F(Console, NothingIsNoRecord)
{
	make(64);
	EXPECT_EQ(put(""), 0);
	EXPECT_EQ(get(), "");
}

TEST_F(Console, ManyWritersDoNotMix)
{
	const int writers = 4, each = 500;
	std::vector<std::thread> threads;
	std::string all, part;
	size_t lines = 0;

	make(1 << 20);
	for (int t = 0; t < writers; t++) {
		threads.emplace_back([this, t] {
			for (int i = 0; i < each; i++)
				put(std::string(20, static_cast<char>('a' + t)) + "\n");
		});
	}
	for (auto &t : threads)
		t.join();
	while (!(part = get()).empty())
		all += part;
	for (size_t at = 0; at < all.size(); at += 21, lines++) {
		std::string line = all.substr(at, 21);

		ASSERT_EQ(line, std::string(20, line[0]) + "\n");
	}
	EXPECT_EQ(lines, static_cast<size_t>(writers * each));
}

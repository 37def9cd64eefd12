// SPDX-License-Identifier: MIT
// base_store_test.cc - what is put is found; what is broken is a miss, whatever broke it.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <string>
#include <vector>

extern "C" {
#include "cuse_dev/base/store.h"
}

namespace {

constexpr uint64_t kBytes = 2 << 20;

store_key Key(uint64_t n)
{
	store_hash *h = store_hash_create();

	store_hash_add(h, &n, sizeof(n));
	return store_hash_end(h);
}

std::string Content(uint64_t n, size_t bytes)
{
	std::mt19937_64 rng(n);
	std::string s(bytes, '\0');

	for (auto &c : s)
		c = static_cast<char>(rng());
	return s;
}

class Store : public testing::Test {
protected:
	void SetUp() override
	{
		fd_ = memfd_create("store", MFD_CLOEXEC);
		ASSERT_GE(fd_, 0);
		ASSERT_EQ(store_format(fd_, kBytes), 0);
		ASSERT_EQ(store_open(fd_, &s_), 0);
	}

	void TearDown() override
	{
		store_close(s_);
		close(fd_);
	}

	int Put(uint64_t n, const std::string &c)
	{
		store_key k = Key(n);

		return store_put(s_, &k, c.data(), c.size());
	}

	// 0 and the content, or the error.
	int Find(uint64_t n, std::string *ret)
	{
		store_key k = Key(n);
		void *p = nullptr;
		size_t bytes = 0;
		int r = store_find(s_, &k, &p, &bytes);

		if (r == 0)
			ret->assign(static_cast<char *>(p), bytes);
		free(p);
		return r;
	}

	int fd_ = -1;
	store *s_ = nullptr;
};

TEST_F(Store, FindsWhatWasPut)
{
	std::string got;

	EXPECT_EQ(Find(1, &got), -ENOENT);
	for (uint64_t n = 0; n < 50; n++)
		ASSERT_EQ(Put(n, Content(n, n * 37)), 0);
	for (uint64_t n = 0; n < 50; n++) {
		ASSERT_EQ(Find(n, &got), 0) << n;
		EXPECT_EQ(got, Content(n, n * 37)) << n;
	}
	EXPECT_EQ(Find(51, &got), -ENOENT);
}

TEST_F(Store, ReplacesUnderTheSameKey)
{
	std::string got;

	ASSERT_EQ(Put(1, "old"), 0);
	ASSERT_EQ(Put(1, "newer"), 0);
	ASSERT_EQ(Find(1, &got), 0);
	EXPECT_EQ(got, "newer");
}

TEST_F(Store, StaysWithinItsSizeAndKeepsTheNewest)
{
	struct stat st;
	std::string got;

	for (uint64_t n = 0; n < 2000; n++)
		ASSERT_EQ(Put(n, Content(n, 5000)), 0);
	ASSERT_EQ(fstat(fd_, &st), 0);
	EXPECT_EQ(static_cast<uint64_t>(st.st_size), kBytes);
	ASSERT_EQ(Find(1999, &got), 0);
	EXPECT_EQ(got, Content(1999, 5000));
	EXPECT_EQ(Find(0, &got), -ENOENT);
	for (uint64_t n = 0; n < 2000; n++) {
		if (Find(n, &got) == 0) {
			EXPECT_EQ(got, Content(n, 5000)) << n;
		}
	}
}

TEST_F(Store, RefusesWhatIsTooLarge)
{
	std::string got;

	EXPECT_EQ(Put(1, std::string(kBytes / 2, 'x')), -EFBIG);
	EXPECT_EQ(Find(1, &got), -ENOENT);
}

TEST_F(Store, CountsWhatItHas)
{
	struct store_stat st;

	ASSERT_EQ(Put(1, Content(1, 100)), 0);
	ASSERT_EQ(Put(2, Content(2, 200)), 0);
	ASSERT_EQ(Put(2, Content(3, 300)), 0);
	ASSERT_EQ(store_count(s_, &st), 0);
	EXPECT_EQ(st.entries, 2u);
	EXPECT_EQ(st.bytes, 400u);
	EXPECT_EQ(st.puts, 3u);
	EXPECT_LE(st.file_bytes, kBytes);
}

TEST_F(Store, EveryFlippedBitIsAMiss)
{
	const std::string content = Content(7, 300);
	std::vector<unsigned char> all(kBytes);
	std::string got;
	size_t used = 0;

	ASSERT_EQ(Put(7, content), 0);
	ASSERT_EQ(pread(fd_, all.data(), all.size(), 0), static_cast<ssize_t>(all.size()));
	for (size_t i = 64; i < all.size(); i++) {
		if (!all[i])
			continue;
		used++;
		unsigned char bad = all[i] ^ 0x10;
		ASSERT_EQ(pwrite(fd_, &bad, 1, static_cast<off_t>(i)), 1);
		int r = Find(7, &got);
		if (r == 0) {
			EXPECT_EQ(got, content) << "byte " << i; // the slot's age is no content
		} else {
			EXPECT_EQ(r, -ENOENT) << "byte " << i;
		}
		ASSERT_EQ(pwrite(fd_, &all[i], 1, static_cast<off_t>(i)), 1);
	}
	EXPECT_GT(used, 300u);
	EXPECT_EQ(Find(7, &got), 0);
}

TEST_F(Store, AShorterFileIsAMiss)
{
	std::string got;

	ASSERT_EQ(Put(7, Content(7, 30000)), 0);
	ASSERT_EQ(ftruncate(fd_, 20000), 0);
	EXPECT_NE(Find(7, &got), 0);
	ASSERT_EQ(ftruncate(fd_, 10), 0);
	EXPECT_NE(Find(7, &got), 0);
	EXPECT_NE(Put(8, "x"), 0);
}

TEST_F(Store, RandomBytesAreNoStore)
{
	std::mt19937_64 rng(1);
	store *other = nullptr;

	for (int i = 0; i < 200; i++) {
		std::vector<uint64_t> noise(512);
		for (auto &w : noise)
			w = rng();
		if (i % 2) { // a right beginning, and then nonsense
			ASSERT_EQ(pread(fd_, noise.data(), 8, 0), 8);
		}
		int fd = memfd_create("noise", MFD_CLOEXEC);
		ASSERT_EQ(write(fd, noise.data(), 4096), 4096);
		EXPECT_EQ(store_open(fd, &other), -EINVAL);
		close(fd);
	}
}

TEST_F(Store, ManyWritersAndReadersAtOnce)
{
	char path[64];
	std::vector<pid_t> children;
	int bad = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd_);
	for (uint64_t c = 0; c < 4; c++) {
		pid_t pid = fork();

		ASSERT_GE(pid, 0);
		if (!pid) {
			// An open file of one's own: flock goes by that.
			int fd = open(path, O_RDWR | O_CLOEXEC);
			store *s = nullptr;
			std::string got;

			if (fd < 0 || store_open(fd, &s) < 0)
				_exit(2);
			s_ = s;
			for (uint64_t n = 0; n < 400; n++) {
				int r = Put(n % 50, Content(n % 50, 20000));
				if (r != 0 && r != -EAGAIN)
					_exit(3);
				r = Find((n * 7) % 50, &got);
				if (r == 0 && got != Content((n * 7) % 50, 20000))
					_exit(4);
				if (r != 0 && r != -ENOENT)
					_exit(5);
			}
			_exit(0);
		}
		children.push_back(pid);
	}
	for (pid_t pid : children) {
		int status = -1;

		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		EXPECT_EQ(WEXITSTATUS(status), 0);
		bad += status != 0;
	}
	EXPECT_EQ(bad, 0);
}

} // namespace

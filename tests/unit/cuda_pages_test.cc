/* SPDX-License-Identifier: MIT */
/*
 * Registered memory: a program's pages become shared ones and private ones again, with the content kept,
 * and pages that cannot be replaced unnoticed are refused.
 */
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

extern "C" {
#include "libcuda/link/link.h"
}

namespace {

const size_t page = 4096;

char *anonymous(size_t bytes, int prot = PROT_READ | PROT_WRITE)
{
	void *p = mmap(nullptr, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? nullptr : static_cast<char *>(p);
}

uint64_t at(const void *p)
{
	return reinterpret_cast<uint64_t>(p);
}

TEST(Pages, MemfdIsSealedAndHigh)
{
	int fd = -1;

	ASSERT_EQ(link_pages_memfd("test", 1 << 21, &fd), 0);
	EXPECT_GE(fd, 100);
	int seals = fcntl(fd, F_GET_SEALS);
	EXPECT_EQ(seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	EXPECT_EQ(lseek(fd, 0, SEEK_END), 1 << 21);
	EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

TEST(Pages, ShareKeepsContentAndShowsWrites)
{
	char *p = anonymous(64 * page);
	int fd = -1;

	ASSERT_NE(p, nullptr);
	strcpy(p, "first");
	strcpy(p + 63 * page, "last");
	ASSERT_EQ(link_pages_share(at(p), 64 * page, &fd), 0);
	EXPECT_STREQ(p, "first");
	EXPECT_STREQ(p + 63 * page, "last");

	char *other = static_cast<char *>(
		mmap(nullptr, 64 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	ASSERT_NE(other, MAP_FAILED);
	EXPECT_STREQ(other + 63 * page, "last");
	strcpy(other + 5 * page, "from the other side");
	EXPECT_STREQ(p + 5 * page, "from the other side");

	ASSERT_EQ(link_pages_private(at(p), 64 * page), 0);
	EXPECT_STREQ(p + 5 * page, "from the other side");
	strcpy(p, "mine alone");
	EXPECT_STREQ(other, "first");
	munmap(other, 64 * page);
	munmap(p, 64 * page);
	close(fd);
}

TEST(Pages, UntouchedPagesStayUntouched)
{
	char *p = anonymous(256 * page);
	int fd = -1;

	ASSERT_NE(p, nullptr);
	p[7 * page] = 1;
	ASSERT_EQ(link_pages_share(at(p), 256 * page, &fd), 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_DATA), static_cast<off_t>(7 * page));
	EXPECT_EQ(lseek(fd, 7 * page, SEEK_HOLE), static_cast<off_t>(8 * page));
	munmap(p, 256 * page);
	close(fd);
}

TEST(Pages, PartOfTheHeap)
{
	char *block = static_cast<char *>(malloc(1 << 20));
	int fd = -1;

	memset(block, 'x', 1 << 20);
	uint64_t from = (at(block) + page - 1) & ~(page - 1);
	ASSERT_EQ(link_pages_share(from, 100 * page, &fd), 0);
	for (size_t i = 0; i < 1 << 20; i++)
		ASSERT_EQ(block[i], 'x') << i;
	ASSERT_EQ(link_pages_private(from, 100 * page), 0);
	close(fd);
	free(block);
}

TEST(Pages, RefusesSharedMapping)
{
	void *p = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = -1;

	EXPECT_EQ(link_pages_share(at(p), page, &fd), -ENOTSUP);
	EXPECT_EQ(fd, -1);
	munmap(p, page);
}

TEST(Pages, RefusesFileMapping)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), fd = -1;
	void *p = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);

	ASSERT_NE(p, MAP_FAILED);
	EXPECT_EQ(link_pages_share(at(p), page, &fd), -ENOTSUP);
	munmap(p, page);
	close(file);
}

TEST(Pages, RefusesReadOnly)
{
	char *p = anonymous(page, PROT_READ);
	int fd = -1;

	EXPECT_EQ(link_pages_share(at(p), page, &fd), -ENOTSUP);
	munmap(p, page);
}

TEST(Pages, RefusesAHole)
{
	char *p = anonymous(3 * page);
	int fd = -1;

	munmap(p + page, page);
	EXPECT_EQ(link_pages_share(at(p), 3 * page, &fd), -EINVAL); /* not even memory */
	munmap(p, page);
	munmap(p + 2 * page, page);
}

TEST(Pages, RefusesItsOwnStack)
{
	char here = 0;
	int fd = -1;

	EXPECT_EQ(link_pages_share(at(&here) & ~(page - 1), page, &fd), -ENOTSUP);
}

TEST(Pages, RefusesUnaligned)
{
	char *p = anonymous(2 * page);
	int fd = -1;

	EXPECT_EQ(link_pages_share(at(p) + 1, page, &fd), -EINVAL);
	EXPECT_EQ(link_pages_share(at(p), page - 1, &fd), -EINVAL);
	EXPECT_EQ(link_pages_share(at(p), 0, &fd), -EINVAL);
	munmap(p, 2 * page);
}

} // namespace

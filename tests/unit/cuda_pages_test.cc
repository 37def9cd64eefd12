/* SPDX-License-Identifier: MIT */
/*
 * Registered memory: a program's pages become shared ones and private ones again, with the content kept,
 * and pages that cannot be replaced unnoticed are refused.
 */
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
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
	bool ro = true;
	int fd = -1;

	ASSERT_NE(p, nullptr);
	strcpy(p, "first");
	strcpy(p + 63 * page, "last");
	ASSERT_EQ(link_pages_share(at(p), 64 * page, &fd, &ro), 0);
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
	bool ro;

	ASSERT_NE(p, nullptr);
	p[7 * page] = 1;
	ASSERT_EQ(link_pages_share(at(p), 256 * page, &fd, &ro), 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_DATA), static_cast<off_t>(7 * page));
	EXPECT_EQ(lseek(fd, 7 * page, SEEK_HOLE), static_cast<off_t>(8 * page));
	munmap(p, 256 * page);
	close(fd);
}

TEST(Pages, PartOfTheHeap)
{
	char *block = static_cast<char *>(malloc(1 << 20));
	int fd = -1;
	bool ro;

	memset(block, 'x', 1 << 20);
	uint64_t from = (at(block) + page - 1) & ~(page - 1);
	ASSERT_EQ(link_pages_share(from, 100 * page, &fd, &ro), 0);
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
	bool ro;

	EXPECT_EQ(link_pages_share(at(p), page, &fd, &ro), -ENOTSUP);
	EXPECT_EQ(fd, -1);
	munmap(p, page);
}

TEST(Pages, PrivateFileMappingKeepsContentAndProtection)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), fd = -1;
	std::string was(2 * page, 0);
	bool ro = false;
	auto *p = static_cast<char *>(mmap(nullptr, 2 * page, PROT_READ, MAP_PRIVATE, file, 0));

	ASSERT_NE(p, MAP_FAILED);
	ASSERT_EQ(pread(file, &was[0], was.size(), 0), static_cast<ssize_t>(was.size()));
	ASSERT_EQ(link_pages_share(at(p), 2 * page, &fd, &ro), 0);
	EXPECT_TRUE(ro);
	EXPECT_EQ(memcmp(p, was.data(), was.size()), 0);
	EXPECT_EXIT(
		{
			*p = 1;
			_exit(0);
		},
		testing::KilledBySignal(SIGSEGV), "");
	ASSERT_EQ(link_pages_private(at(p), 2 * page), 0);
	EXPECT_EQ(memcmp(p, was.data(), was.size()), 0);
	munmap(p, 2 * page);
	close(file);
	close(fd);
}

TEST(Pages, PastTheEndOfAFileIsNoMemory)
{
	char name[] = "/tmp/vgpu-pages-XXXXXX";
	int file = mkstemp(name), fd = -1;
	bool ro;

	unlink(name);
	ASSERT_EQ(ftruncate(file, page), 0);
	void *p = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	ASSERT_NE(p, MAP_FAILED);
	EXPECT_EQ(link_pages_share(at(p), 2 * page, &fd, &ro), -EINVAL);
	EXPECT_EQ(link_pages_share(at(p), page, &fd, &ro), 0);
	munmap(p, 2 * page);
	close(file);
	close(fd);
}

TEST(Pages, MixedProtectionIsRefused)
{
	char *p = anonymous(2 * page);
	bool ro;
	int fd = -1;

	ASSERT_EQ(mprotect(p, page, PROT_READ), 0);
	EXPECT_EQ(link_pages_share(at(p), 2 * page, &fd, &ro), -ENOTSUP);
	munmap(p, 2 * page);
}

/* The file behind a shared mapping: by its name, or among the open descriptors. */
TEST(Pages, FindsWhatIsMappedShared)
{
	char name[] = "/tmp/vgpu-pages-XXXXXX";
	int file = mkstemp(name), memfd = memfd_create("test", MFD_CLOEXEC), fd;
	uint64_t offset = 0;
	bool ro = true;

	for (int source : { file, memfd }) {
		ASSERT_EQ(ftruncate(source, 4 * page), 0);
		auto *p = static_cast<char *>(
			mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_SHARED, source, page));
		ASSERT_NE(p, MAP_FAILED);
		ASSERT_EQ(link_pages_find(at(p) + page, page, &fd, &offset, &ro), 0);
		EXPECT_EQ(offset, 2 * page);
		EXPECT_FALSE(ro);
		ASSERT_EQ(pwrite(fd, "seen", 5, static_cast<off_t>(offset)), 5);
		EXPECT_STREQ(p + page, "seen");
		EXPECT_NE(fd, source);
		close(fd);
		munmap(p, 3 * page);
	}
	void *p = mmap(nullptr, page, PROT_READ, MAP_SHARED, file, 0);
	ASSERT_EQ(link_pages_find(at(p), page, &fd, &offset, &ro), 0);
	EXPECT_TRUE(ro);
	EXPECT_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
	munmap(p, page);
	unlink(name);
	close(file);
	close(memfd);
}

TEST(Pages, FindsNothingBehindPrivateMemory)
{
	char *p = anonymous(page);
	uint64_t offset;
	bool ro;
	int fd = -1;

	EXPECT_EQ(link_pages_find(at(p), page, &fd, &offset, &ro), -ENOTSUP);
	munmap(p, page);
	EXPECT_EQ(link_pages_find(at(p), page, &fd, &offset, &ro), -EINVAL);
}

TEST(Pages, RefusesAHole)
{
	char *p = anonymous(3 * page);
	int fd = -1;
	bool ro;

	munmap(p + page, page);
	EXPECT_EQ(link_pages_share(at(p), 3 * page, &fd, &ro), -EINVAL); /* not even memory */
	munmap(p, page);
	munmap(p + 2 * page, page);
}

TEST(Pages, RefusesItsOwnStack)
{
	char here = 0;
	int fd = -1;
	bool ro;

	EXPECT_EQ(link_pages_share(at(&here) & ~(page - 1), page, &fd, &ro), -ENOTSUP);
}

TEST(Pages, RefusesUnaligned)
{
	char *p = anonymous(2 * page);
	int fd = -1;
	bool ro;

	EXPECT_EQ(link_pages_share(at(p) + 1, page, &fd, &ro), -EINVAL);
	EXPECT_EQ(link_pages_share(at(p), page - 1, &fd, &ro), -EINVAL);
	EXPECT_EQ(link_pages_share(at(p), 0, &fd, &ro), -EINVAL);
	munmap(p, 2 * page);
}

} // namespace

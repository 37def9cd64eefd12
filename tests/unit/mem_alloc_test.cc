// SPDX-License-Identifier: MIT
// Memory of a client: addresses, arenas, the VMM interface, copies; limits and refusals.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <set>
#include <vector>

#include "tests/support/window.h"

extern "C" {
#include "cuse_dev/base/limits.h"
#include "cuse_dev/mem/mem.h"
#include "cuse_dev/mem/space.h"
}

namespace {
const uint64_t kWindow = TEST_WINDOW;
const uint64_t kUnit = MEM_UNIT;

class Mem : public ::testing::Test {
protected:
	void SetUp() override
	{
		struct mem_config c = {};

		c.window_base = kWindow;
		c.window_size = 1ull << 34;
		c.device_count = 2;
		c.host = { -1, 1ull << 32, 0 };
		c.device[0] = { -1, 64 * kUnit, 60 * kUnit };
		c.device[1] = { -1, 8 * kUnit, 8 * kUnit };
		ASSERT_EQ(0, mem_create(&c, &m));
	}
	void TearDown() override
	{
		mem_owner_fini(m, &owner);
		mem_destroy(m);
	}
	int alloc(uint64_t size, uint64_t *va, uint32_t kind = VGPU_MEM_DEVICE, uint64_t align = 0,
		  uint32_t device = 0)
	{
		struct vgpu_mem_alloc a = {};

		a.kind = kind;
		a.size = size;
		a.align = align;
		int r = mem_alloc(m, &owner, device, &a);
		*va = a.va;
		off = a.arena_off;
		return r;
	}
	int sealed(uint64_t size, unsigned seals = F_SEAL_SHRINK | F_SEAL_GROW)
	{
		int fd = memfd_create("t", MFD_ALLOW_SEALING | MFD_CLOEXEC);

		EXPECT_EQ(0, ftruncate(fd, (off_t)size));
		EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, seals));
		return fd;
	}
	uint32_t phys(uint64_t size)
	{
		struct vgpu_phys_create p = {};

		p.size = size;
		p.fd = -1;
		EXPECT_EQ(0, mem_phys_create(m, 0, &p, -1));
		return p.phys;
	}
	uint64_t reserve(uint64_t size)
	{
		struct vgpu_va_reserve v = {};

		v.size = size;
		EXPECT_EQ(0, mem_va_reserve(m, &v));
		return v.va;
	}
	int map(uint64_t va, uint64_t size, uint32_t p, uint64_t offset = 0)
	{
		struct vgpu_va_map a = {};

		a.va = va;
		a.size = size;
		a.phys = p;
		a.offset = offset;
		return mem_va_map(m, &a);
	}
	int access(uint64_t va, uint64_t size, uint32_t prot, uint32_t device = 0)
	{
		struct vgpu_va_access a = { va, size, device, prot };

		return mem_va_access(m, &a);
	}

	struct mem *m = nullptr;
	struct mem_owner owner = {};
	uint64_t off = 0;
};
} // namespace

TEST_F(Mem, SmallAllocationsShareAUnitAndGiveItBack)
{
	uint64_t a, b, c;

	ASSERT_EQ(0, alloc(1, &a));
	EXPECT_EQ((int64_t)kUnit, mem_take_charge(m, 0));
	ASSERT_EQ(0, alloc(513, &b));
	ASSERT_EQ(0, alloc(1000, &c, VGPU_MEM_DEVICE, 65536));
	EXPECT_EQ(0, mem_take_charge(m, 0));
	EXPECT_EQ(0u, a % 512);
	EXPECT_EQ(0u, b % 512);
	EXPECT_EQ(0u, c % 65536);
	EXPECT_EQ(a / kUnit, b / kUnit);
	memset((void *)b, 7, 513);
	EXPECT_EQ(0, mem_free(m, a));
	EXPECT_EQ(0, mem_free(m, b));
	EXPECT_EQ(-EINVAL, mem_free(m, b));
	EXPECT_EQ(0, mem_take_charge(m, 0));
	EXPECT_EQ(0, mem_free(m, c));
	EXPECT_EQ(-(int64_t)kUnit, mem_take_charge(m, 0));
}

TEST_F(Mem, FreeWantsTheExactAddress)
{
	uint64_t a;

	ASSERT_EQ(0, alloc(3 * kUnit, &a));
	EXPECT_EQ(-EINVAL, mem_free(m, a + kUnit));
	EXPECT_EQ(-EINVAL, mem_free(m, 0));
	EXPECT_EQ(0, mem_free(m, a));
	EXPECT_EQ(-EINVAL, mem_free(m, a));
}

TEST_F(Mem, FullDeviceSaysNoMemoryAndRecovers)
{
	uint64_t a, b;

	EXPECT_EQ(-ENOMEM, alloc(61 * kUnit, &a));
	ASSERT_EQ(0, alloc(60 * kUnit, &a));
	EXPECT_EQ(-ENOMEM, alloc(1, &b));
	EXPECT_EQ(-ENOMEM, alloc(UINT64_MAX, &b));
	EXPECT_EQ(0, alloc(1, &b, VGPU_MEM_DEVICE, 0, 1));
	ASSERT_EQ(0, mem_free(m, a));
	ASSERT_EQ(0, alloc(60 * kUnit, &a));
}

TEST_F(Mem, BadRequestsAreRefused)
{
	uint64_t a;

	EXPECT_EQ(-EINVAL, alloc(0, &a));
	EXPECT_EQ(-EINVAL, alloc(1, &a, 3));
	EXPECT_EQ(-EINVAL, alloc(1, &a, VGPU_MEM_DEVICE, 3));
	EXPECT_EQ(-EINVAL, alloc(1, &a, VGPU_MEM_DEVICE, 2 * kUnit));
	EXPECT_EQ(-EINVAL, alloc(1, &a, VGPU_MEM_DEVICE, 0, 2));
}

TEST_F(Mem, HostMemoryLiesInTheUpperHalfInArenaOrder)
{
	uint64_t a, b;

	ASSERT_EQ(0, alloc(100, &a, VGPU_MEM_HOST));
	EXPECT_EQ(kWindow + (1ull << 33) + off, a);
	ASSERT_EQ(0, alloc(5 * kUnit, &b, VGPU_MEM_MANAGED));
	EXPECT_EQ(kWindow + (1ull << 33) + off, b);
	EXPECT_EQ(0u, a % 4096);
	EXPECT_EQ(0, mem_take_charge(m, 0));
}

TEST_F(Mem, FreedMemoryComesBackEmptyAndUnmapped)
{
	uint64_t a, v;

	ASSERT_EQ(0, alloc(kUnit, &a));
	memset((void *)a, 0xaa, kUnit);
	ASSERT_EQ(0, mem_free(m, a));
	EXPECT_EQ(-EFAULT, mem_read(m, a, &v, 8));
	ASSERT_EQ(0, alloc(kUnit, &a));
	ASSERT_EQ(0, mem_read(m, a + kUnit - 8, &v, 8));
	EXPECT_EQ(0u, v);
}

TEST_F(Mem, StrayAccessKillsTheProcess)
{
	EXPECT_DEATH(*(volatile char *)(kWindow + kUnit) = 1, "");
}

TEST_F(Mem, RandomAllocationsNeverOverlap)
{
	std::mt19937 rng(1);
	std::vector<std::pair<uint64_t, uint64_t>> live;

	for (int i = 0; i < 20000; i++) {
		if (live.size() > 400 || (!live.empty() && rng() % 3 == 0)) {
			size_t k = rng() % live.size();
			ASSERT_EQ(0, mem_free(m, live[k].first));
			live[k] = live.back();
			live.pop_back();
			continue;
		}
		uint64_t size = 1 + rng() % 40000, va;
		if (alloc(size, &va) == 0) {
			memset((void *)va, (int)(va >> 9), size);
			live.push_back({ va, size });
		}
	}
	std::set<std::pair<uint64_t, uint64_t>> sorted(live.begin(), live.end());
	uint64_t end = 0;
	for (auto &p : sorted) {
		EXPECT_GE(p.first, end);
		end = p.first + p.second;
		EXPECT_EQ((uint8_t)(p.first >> 9), *(uint8_t *)p.first);
		EXPECT_EQ((uint8_t)(p.first >> 9), *(uint8_t *)(end - 1));
	}
	mem_owner_fini(m, &owner);
	int64_t total = mem_take_charge(m, 0);
	EXPECT_EQ(0, total);
}

TEST_F(Mem, VmmMapsTwiceAndKeepsBackingWhileMapped)
{
	uint32_t p = phys(2 * kUnit);
	uint64_t va = reserve(8 * kUnit);

	EXPECT_EQ((int64_t)(2 * kUnit), mem_take_charge(m, 0));
	ASSERT_EQ(0, map(va, 2 * kUnit, p));
	ASSERT_EQ(0, map(va + 4 * kUnit, kUnit, p, kUnit));
	EXPECT_EQ(-EBUSY, map(va + kUnit, kUnit, p));
	EXPECT_EQ(-EINVAL, map(va + 6 * kUnit, 2 * kUnit, p, kUnit));
	EXPECT_EQ(-EINVAL, map(va + 7 * kUnit, 2 * kUnit, p));
	EXPECT_EQ(-EBADF, map(va + 6 * kUnit, kUnit, p + 1));
	EXPECT_EQ(-EINVAL, map(kWindow + (1ull << 32), kUnit, p));
	uint32_t word = 5;
	EXPECT_EQ(-EFAULT, mem_write(m, va, &word, 4));
	ASSERT_EQ(0, access(va, 2 * kUnit, VGPU_PROT_READ_WRITE));
	ASSERT_EQ(0, access(va + 4 * kUnit, kUnit, VGPU_PROT_READ));
	EXPECT_EQ(-EINVAL, access(va, kUnit, VGPU_PROT_READ));
	EXPECT_EQ(-EINVAL, access(va, 2 * kUnit, 2));
	EXPECT_EQ(-EINVAL, access(va, 2 * kUnit, 3, 2));
	ASSERT_EQ(0, mem_write(m, va + kUnit, &word, 4));
	word = 0;
	ASSERT_EQ(0, mem_read(m, va + 4 * kUnit, &word, 4));
	EXPECT_EQ(5u, word);
	EXPECT_EQ(-EFAULT, mem_write(m, va + 4 * kUnit, &word, 4));
	EXPECT_EQ(0, mem_phys_release(m, p));
	EXPECT_EQ(-EBADF, mem_phys_release(m, p));
	EXPECT_EQ(0, mem_take_charge(m, 0));
	EXPECT_EQ(-EBUSY, mem_va_free(m, va, 8 * kUnit));
	EXPECT_EQ(-EINVAL, mem_va_unmap(m, va, kUnit));
	EXPECT_EQ(-EINVAL, mem_va_unmap(m, va, 5 * kUnit));
	EXPECT_EQ(0, mem_va_unmap(m, va, 2 * kUnit));
	EXPECT_EQ(0, mem_take_charge(m, 0));
	EXPECT_EQ(0, mem_va_unmap(m, va + 4 * kUnit, kUnit));
	EXPECT_EQ(-(int64_t)(2 * kUnit), mem_take_charge(m, 0));
	EXPECT_EQ(-EINVAL, mem_va_free(m, va, 4 * kUnit));
	EXPECT_EQ(0, mem_va_free(m, va, 8 * kUnit));
	EXPECT_EQ(-EINVAL, mem_va_free(m, va, 8 * kUnit));
}

TEST_F(Mem, OneUnmapOverManyChunks)
{
	uint64_t va = reserve(1ull << 32);

	for (int i = 0; i < 16; i++) {
		uint32_t p = phys(kUnit);
		ASSERT_EQ(0, map(va + i * kUnit, kUnit, p));
		ASSERT_EQ(0, mem_phys_release(m, p));
	}
	ASSERT_EQ(0, access(va, 16 * kUnit, VGPU_PROT_READ_WRITE));
	memset((void *)va, 1, 16 * kUnit);
	EXPECT_EQ(0, mem_copy(m, va + 3 * kUnit + 5, va + 1, 4 * kUnit));
	ASSERT_EQ(0, mem_va_unmap(m, va, 16 * kUnit));
	EXPECT_EQ(0, mem_take_charge(m, 0));
	EXPECT_EQ(0, mem_va_free(m, va, 1ull << 32));
}

TEST_F(Mem, ReservationsAreCheckedAndWishesAreHints)
{
	struct vgpu_va_reserve v = {};

	EXPECT_EQ(-EINVAL, mem_va_reserve(m, &v));
	v.size = kUnit + 1;
	EXPECT_EQ(-EINVAL, mem_va_reserve(m, &v));
	v.size = kUnit;
	v.align = 3 * kUnit;
	EXPECT_EQ(-EINVAL, mem_va_reserve(m, &v));
	v.align = 0;
	v.size = 1ull << 40;
	EXPECT_EQ(-ENOMEM, mem_va_reserve(m, &v));
	v = {};
	v.size = kUnit;
	v.va = kWindow + 100 * kUnit;
	ASSERT_EQ(0, mem_va_reserve(m, &v));
	EXPECT_EQ(kWindow + 100 * kUnit, v.va);
	ASSERT_EQ(0, mem_va_reserve(m, &v));
	EXPECT_NE(kWindow + 100 * kUnit, v.va);
	v.va = 0;
	v.align = 64 * kUnit;
	ASSERT_EQ(0, mem_va_reserve(m, &v));
	EXPECT_EQ(0u, v.va % (64 * kUnit));
}

TEST_F(Mem, AFullWindowSaysNoMemory)
{
	struct vgpu_va_reserve v = {};
	int n = 0;

	v.size = kUnit;
	while (mem_va_reserve(m, &v) == 0) {
		v.va = 0;
		n++;
	}
	EXPECT_EQ((int)((1ull << 33) / kUnit), n);
}

TEST_F(Mem, ForeignMemoryMustBeSealedAndOfItsSize)
{
	struct vgpu_phys_import a = {};
	struct vgpu_phys_create p = {};
	int open_fd = memfd_create("t", MFD_ALLOW_SEALING), odd = sealed(kUnit + 4096);
	int good = sealed(2 * kUnit);

	ASSERT_EQ(0, ftruncate(open_fd, (off_t)kUnit));
	EXPECT_EQ(-EPERM, mem_phys_import(m, &a, open_fd));
	EXPECT_EQ(-EINVAL, mem_phys_import(m, &a, odd));
	p.size = kUnit;
	p.flags = VGPU_PHYS_FD;
	EXPECT_EQ(-EINVAL, mem_phys_create(m, 0, &p, good));
	EXPECT_EQ(-EINVAL, mem_phys_create(m, 0, &p, -1));
	p.size = 2 * kUnit;
	ASSERT_EQ(0, mem_phys_create(m, 0, &p, dup(good)));
	EXPECT_EQ((int64_t)(2 * kUnit), mem_take_charge(m, 0));
	ASSERT_EQ(0, mem_phys_import(m, &a, good));
	EXPECT_EQ(2 * kUnit, a.size);
	uint64_t va = reserve(4 * kUnit);
	ASSERT_EQ(0, map(va, 2 * kUnit, p.phys));
	ASSERT_EQ(0, map(va + 2 * kUnit, 2 * kUnit, a.phys));
	ASSERT_EQ(0, access(va, 4 * kUnit, VGPU_PROT_READ_WRITE));
	*(int *)(va + 64) = 77;
	EXPECT_EQ(77, *(int *)(va + 2 * kUnit + 64));
	close(open_fd);
	close(odd);
}

TEST_F(Mem, RegisteredHostMemory)
{
	auto reg = [this](uint64_t at, uint64_t size, int own, uint64_t offset = 0,
			  uint32_t flags = 0) {
		struct vgpu_host_register req = {};

		req.va = at;
		req.size = size;
		req.offset = offset;
		req.flags = flags;
		return mem_host_register(m, &owner, &req, own);
	};
	uint64_t(*ranges)[2];
	size_t count;
	int fd = sealed(8192);
	/* An address that is surely free: reserve it, then let go. */
	void *hole = mmap(nullptr, 16384, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t va = (uint64_t)hole, x = 9;

	EXPECT_EQ(-EADDRINUSE, reg(va, 8192, fd));
	munmap(hole, 16384);
	EXPECT_EQ(-EINVAL, reg(va + 1, 8192, fd));
	EXPECT_EQ(-EINVAL, reg(va, 4096, fd));
	EXPECT_EQ(-EINVAL, reg(kWindow + 4096, 8192, fd));
	EXPECT_EQ(-EFAULT, mem_write(m, va, &x, 8));
	ASSERT_EQ(0, reg(va, 8192, fd));
	EXPECT_EQ(0, mem_write(m, va + 8184, &x, 8));
	EXPECT_EQ(-EFAULT, mem_write(m, va + 8188, &x, 8));
	EXPECT_EQ(-EINVAL, mem_host_unregister(m, va + 4096));
	EXPECT_EQ(-EINVAL, mem_va_unmap(m, va, 8192));
	EXPECT_EQ(0, mem_host_ranges(m, &ranges, &count));
	ASSERT_EQ(1u, count);
	EXPECT_EQ(va, ranges[0][0]);
	EXPECT_EQ(8192u, ranges[0][1]);
	free(ranges);
	EXPECT_EQ(0, mem_host_unregister(m, va));
	EXPECT_EQ(-EINVAL, mem_host_unregister(m, va));

	/* What the program has mapped itself: unsealed, from an offset on, perhaps to be read only. */
	int own = memfd_create("test", MFD_CLOEXEC);
	ASSERT_EQ(0, ftruncate(own, 12288 - 100));
	ASSERT_EQ(5, pwrite(own, "there", 5, 4096));
	EXPECT_EQ(-EPERM, reg(va, 8192, own));
	EXPECT_EQ(-EINVAL, reg(va, 8192, own, 8192, VGPU_HOST_MAPPED));
	EXPECT_EQ(-EINVAL, reg(va, 8192, own, 100, VGPU_HOST_MAPPED));
	EXPECT_EQ(-EINVAL, reg(va, 8192, own, -4096ull, VGPU_HOST_MAPPED));
	EXPECT_EQ(-EINVAL, reg(va, 8192, own, 4096, 4));
	ASSERT_EQ(0, reg(va, 8192, own, 4096, VGPU_HOST_MAPPED | VGPU_HOST_READ_ONLY));
	EXPECT_EQ(0, mem_read(m, va, &x, 8));
	EXPECT_EQ(0, memcmp(&x, "there", 5));
	EXPECT_EQ(-EFAULT, mem_write(m, va, &x, 8));
	EXPECT_EQ(0, mem_host_unregister(m, va));
	EXPECT_EQ(0, mem_host_ranges(m, &ranges, &count));
	EXPECT_EQ(0u, count);
}

TEST_F(Mem, CopiesAreCheckedAtBothEnds)
{
	uint64_t a, b;

	ASSERT_EQ(0, alloc(2 * kUnit, &a));
	ASSERT_EQ(0, alloc(2 * kUnit, &b));
	*(uint64_t *)(a + 2 * kUnit - 8) = 42;
	EXPECT_EQ(0, mem_copy(m, b, a, 2 * kUnit));
	EXPECT_EQ(42u, *(uint64_t *)(b + 2 * kUnit - 8));
	mem_free(m, b);
	EXPECT_EQ(-EFAULT, mem_copy(m, b, a, 8));
	EXPECT_EQ(-EFAULT, mem_copy(m, a, b, 8));
	EXPECT_EQ(-EFAULT, mem_copy(m, a, UINT64_MAX - 3, 8));
	EXPECT_EQ(-EFAULT, mem_copy(m, a, (uint64_t)&a, 8));
	EXPECT_EQ(0, mem_copy(m, b, a, 0));
}

TEST_F(Mem, RectanglesAndFills)
{
	uint64_t a, b;
	struct vgpu_cmd_copy_rect c = {};
	struct vgpu_cmd_fill f = {};

	ASSERT_EQ(0, alloc(4096, &a));
	ASSERT_EQ(0, alloc(4096, &b));
	for (int i = 0; i < 4096; i++)
		((uint8_t *)a)[i] = (uint8_t)i;
	memset((void *)b, 0xff, 4096);
	c.src = a + 3;
	c.src_pitch = 64;
	c.src_height = 4;
	c.dst = b;
	c.dst_pitch = 16;
	c.dst_height = 3;
	c.width = 5;
	c.height = 3;
	c.depth = 2;
	ASSERT_EQ(0, mem_copy_rect(m, &c));
	EXPECT_EQ((uint8_t)(3 + 4 * 64 + 2 * 64 + 4), ((uint8_t *)b)[3 * 16 + 2 * 16 + 4]);
	EXPECT_EQ(0xff, ((uint8_t *)b)[5]);
	c.height = 1ull << 60;
	c.dst_height = c.src_height = 1ull << 60;
	EXPECT_EQ(-EFAULT, mem_copy_rect(m, &c));
	c.height = 3;
	c.src_height = c.dst_height = 3;
	c.src_pitch = 4;
	EXPECT_EQ(-EINVAL, mem_copy_rect(m, &c));

	f.dst = b;
	f.pitch = 64;
	f.width = 3;
	f.height = 2;
	f.element = 4;
	f.value = 0x01020304;
	ASSERT_EQ(0, mem_fill(m, &f));
	EXPECT_EQ(0x01020304u, *(uint32_t *)(b + 64 + 8));
	f.element = 3;
	EXPECT_EQ(-EINVAL, mem_fill(m, &f));
	f.element = 2;
	f.dst = b + 1;
	EXPECT_EQ(-EINVAL, mem_fill(m, &f));
	f.dst = b;
	f.width = UINT64_MAX;
	EXPECT_EQ(-EFAULT, mem_fill(m, &f));
	f.width = 1;
	f.height = UINT64_MAX;
	f.pitch = UINT64_MAX - 1;
	EXPECT_EQ(-EFAULT, mem_fill(m, &f));
}

TEST_F(Mem, WordsMustBeAligned)
{
	uint64_t a, v;

	ASSERT_EQ(0, alloc(64, &a));
	EXPECT_EQ(0, mem_store(m, a + 8, 8, 0x1122334455667788));
	EXPECT_EQ(0, mem_load(m, a + 12, 4, &v));
	EXPECT_EQ(0x11223344u, v);
	EXPECT_EQ(-EINVAL, mem_load(m, a + 2, 4, &v));
	EXPECT_EQ(-EINVAL, mem_load(m, a, 2, &v));
}

TEST(MemWindow, BadWindowsAreRefused)
{
	struct mem_config c = {};
	struct mem *m;

	c.device_count = 0;
	c.host = { -1, 1ull << 32, 0 };
	c.window_base = kWindow + 4096;
	c.window_size = 1ull << 34;
	EXPECT_EQ(-EINVAL, mem_create(&c, &m));
	c.window_base = kWindow;
	c.window_size = 3ull << 33;
	EXPECT_EQ(-EINVAL, mem_create(&c, &m));
	c.window_size = 1ull << 45;
	EXPECT_EQ(-EINVAL, mem_create(&c, &m));
	c.window_size = 1ull << 34;
	c.window_base = 0;
	EXPECT_EQ(-EINVAL, mem_create(&c, &m));
	c.window_base = ~0ull << 21;
	EXPECT_EQ(-EINVAL, mem_create(&c, &m));
	void *taken = mmap((void *)(kWindow + (1ull << 33)), 4096, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ((void *)(kWindow + (1ull << 33)), taken);
	c.window_base = kWindow;
	EXPECT_EQ(-EEXIST, mem_create(&c, &m));
	munmap(taken, 4096);
}

TEST(MemLimits, HandlesReservationsAndMappingsAreExact)
{
#if defined(__SANITIZE_THREAD__)
	GTEST_SKIP() << "no room for a window of 2 TiB beside the sanitizer's own memory";
#endif
	struct mem_config c = {};
	struct vgpu_phys_create p = {};
	struct vgpu_va_reserve v = {};
	struct vgpu_va_map a = {};
	struct mem *m;

	c.window_base = kWindow;
	c.window_size = 1ull << 41;
	c.device_count = 1;
	c.host = { -1, 1ull << 32, 0 };
	c.device[0] = { -1, 1ull << 41, 0 };
	ASSERT_EQ(0, mem_create(&c, &m));

	p.size = kUnit;
	p.fd = -1;
	for (int i = 0; i < LIMIT_PHYS; i++)
		ASSERT_EQ(0, mem_phys_create(m, 0, &p, -1));
	uint32_t last = p.phys;
	EXPECT_EQ(-ENOMEM, mem_phys_create(m, 0, &p, -1));
	EXPECT_EQ((int64_t)(LIMIT_PHYS * kUnit), mem_take_charge(m, 0));
	ASSERT_EQ(0, mem_phys_release(m, last));
	EXPECT_EQ(0, mem_phys_create(m, 0, &p, -1));

	v.size = kUnit;
	for (int i = 0; i < LIMIT_RESERVATIONS; i++) {
		v.va = 0;
		ASSERT_EQ(0, mem_va_reserve(m, &v));
	}
	uint64_t one = v.va;
	v.va = 0;
	EXPECT_EQ(-ENOMEM, mem_va_reserve(m, &v));
	ASSERT_EQ(0, mem_va_free(m, one, kUnit));
	v.size = (LIMIT_MAPPINGS + 1) * kUnit;
	v.va = 0;
	ASSERT_EQ(0, mem_va_reserve(m, &v));

	a.size = kUnit;
	a.phys = p.phys;
	for (uint64_t i = 0; i < LIMIT_MAPPINGS; i++) {
		a.va = v.va + i * kUnit;
		ASSERT_EQ(0, mem_va_map(m, &a));
	}
	a.va += kUnit;
	EXPECT_EQ(-ENOMEM, mem_va_map(m, &a));
	ASSERT_EQ(0, mem_va_unmap(m, v.va, kUnit));
	EXPECT_EQ(0, mem_va_map(m, &a));
	mem_destroy(m);
}

TEST(MemLimits, AllocationsAreExact)
{
	struct mem_config c = {};
	struct vgpu_mem_alloc a = {};
	struct mem_owner owner = {};
	struct mem *m;

	c.window_base = kWindow;
	c.window_size = 1ull << 34;
	c.device_count = 1;
	c.host = { -1, 1ull << 32, 0 };
	c.device[0] = { -1, 1ull << 33, 0 };
	ASSERT_EQ(0, mem_create(&c, &m));
	a.size = 1;
	for (int i = 0; i < LIMIT_ALLOCATIONS; i++)
		ASSERT_EQ(0, mem_alloc(m, &owner, 0, &a));
	uint64_t last = a.va;
	EXPECT_EQ(-ENOMEM, mem_alloc(m, &owner, 0, &a));
	ASSERT_EQ(0, mem_free(m, last));
	EXPECT_EQ(0, mem_alloc(m, &owner, 0, &a));
	mem_owner_fini(m, &owner);
	EXPECT_EQ(0, mem_take_charge(m, 0));
	mem_destroy(m);
}

TEST(MemSpace, AMillionRangesStayFast)
{
	struct mem_space s;
	struct mem_range *r;
	std::vector<struct mem_range *> all;
	char me;

	mem_space_init(&s);
	ASSERT_EQ(0, mem_space_add(&s, 0, 512ull << 20, nullptr));
	for (int i = 0; i < 1 << 20; i++) {
		ASSERT_EQ(0, mem_space_take(&s, 512, 512, &me, &r));
		all.push_back(r);
	}
	EXPECT_EQ(-ENOMEM, mem_space_take(&s, 512, 512, &me, &r));
	for (size_t i = 0; i < all.size(); i += 2)
		mem_space_give(&s, all[i]);
	EXPECT_EQ(-ENOMEM, mem_space_take(&s, 1024, 512, &me, &r));
	for (size_t i = 1; i < all.size(); i += 2)
		r = mem_space_give(&s, all[i]);
	EXPECT_EQ(512ull << 20, r->size);
	EXPECT_EQ(0u, s.used);
	mem_space_fini(&s);
}

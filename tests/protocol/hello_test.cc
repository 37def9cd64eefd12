/* SPDX-License-Identifier: MIT */
/* hello_test.cc - greeting: versions, features, the window; the queries of the front. */
#include "harness.h"

#include <cerrno>

class Hello : public Protocol {
protected:
	static struct vgpu_hello good()
	{
		struct vgpu_hello h = {};

		h.magic = VGPU_MAGIC;
		h.version_major = VGPU_VERSION_MAJOR;
		h.version_minor = VGPU_VERSION_MINOR;
		return h;
	}
};

TEST_F(Hello, SaysWhoIsThere)
{
	struct vgpu_hello h = good();
	struct session *s;

	configure({ "H100-80GB", "T4" });
	h.features = VGPU_FEATURE_SHARED_PAGES | 1ull << 63;
	s = open(1);
	ASSERT_EQ(call(s, VGPU_IOC_HELLO, &h), 0);
	EXPECT_EQ(h.features, VGPU_FEATURE_SHARED_PAGES);
	EXPECT_EQ(h.device, 1u);
	EXPECT_EQ(h.device_count, 2u);
	EXPECT_EQ(h.pid, static_cast<uint32_t>(getpid()));
	EXPECT_EQ(h.driver_version, 13000u);
	EXPECT_STRNE(h.driver_string, "");
	EXPECT_NE(h.session, 0u);
}

TEST_F(Hello, WrongMagic)
{
	struct vgpu_hello h = good();

	h.magic++;
	EXPECT_EQ(call(open(), VGPU_IOC_HELLO, &h), EINVAL);
}

TEST_F(Hello, AfterARefusalItMayBeTriedAgain)
{
	struct vgpu_hello h = good();
	struct session *s = open();

	h.magic++;
	EXPECT_EQ(call(s, VGPU_IOC_HELLO, &h), EINVAL);
	h = good();
	EXPECT_EQ(call(s, VGPU_IOC_HELLO, &h), 0);
}

TEST_F(Hello, OtherMajorVersion)
{
	struct vgpu_hello h = good();

	h.version_major++;
	EXPECT_EQ(call(open(), VGPU_IOC_HELLO, &h), EPROTONOSUPPORT);
}

TEST_F(Hello, NewerMinorVersionIsAnsweredWithOurs)
{
	struct vgpu_hello h = good();

	h.version_minor = VGPU_VERSION_MINOR + 7;
	EXPECT_EQ(call(open(), VGPU_IOC_HELLO, &h), 0);
	EXPECT_EQ(h.version_minor, VGPU_VERSION_MINOR);
}

TEST_F(Hello, FirstWindowOfAProcessCounts)
{
	struct vgpu_hello h = good();

	EXPECT_EQ(call(open(), VGPU_IOC_HELLO, &h), 0); /* one that has none decides nothing */
	EXPECT_EQ(h.window_size, 0u);
	h = good();
	h.window_base = 0x700000000000;
	h.window_size = 1ull << 40;
	EXPECT_EQ(call(open(), VGPU_IOC_HELLO, &h), 0);
	h.window_base = 0x600000000000;
	h.window_size = 1ull << 32;
	EXPECT_EQ(call(open(), VGPU_IOC_HELLO, &h), 0);
	EXPECT_EQ(h.window_base, 0x700000000000u);
	EXPECT_EQ(h.window_size, 1ull << 40);
}

TEST_F(Hello, WindowLimits)
{
	struct {
		uint64_t base, size;
		int error;
	} row[] = {
		{ 0x700000000000, 1ull << 32, 0 },
		{ 0x600000000000, 1ull << 44, 0 },
		{ 0x700000000000, 1ull << 31, EINVAL },
		{ 0x600000000000, 1ull << 45, EINVAL },
		{ 0x700000000000, (1ull << 40) + 1, EINVAL },
		{ 0x700000000000, 3ull << 39, EINVAL },
		{ 0x700000000001, 1ull << 40, EINVAL },
		{ 0x700000100000, 1ull << 40, EINVAL },
		{ 0x7f0000000000, 1ull << 40, 0 },
		{ 0x7f0000200000, 1ull << 40, EINVAL },
		{ ~0ull << 21, 1ull << 40, EINVAL },
		{ 0x700000000000, 0, EINVAL },
	};

	for (const auto &r : row) {
		struct vgpu_hello h = good();

		h.window_base = r.base;
		h.window_size = r.size;
		EXPECT_EQ(call(open(), VGPU_IOC_HELLO, &h), r.error)
			<< std::hex << r.base << " " << r.size;
	}
}

TEST_F(Hello, AnInvisibleProcessGetsNoSharedPages)
{
	struct session_caller nobody = { 0, getuid(), getgid() };
	struct vgpu_hello h = good();
	struct vgpu_share sh = { VGPU_SHARE_CONTROL, 0, VGPU_SHARE_CONTROL_BYTES };
	struct session *s = open_as(nobody);

	me = nobody;
	h.features = ~0ull;
	ASSERT_EQ(call(s, VGPU_IOC_HELLO, &h), 0);
	EXPECT_EQ(h.features, VGPU_FEATURE_VMM | VGPU_FEATURE_TELEMETRY | VGPU_FEATURE_TASKS);
	EXPECT_EQ(h.pid, 0u);
	EXPECT_EQ(call(s, VGPU_IOC_SHARE, &sh), ENOTSUP);
}

TEST_F(Hello, AnInheritedFileBelongsToWhoGreets)
{
	struct session *s = open();
	struct vgpu_hello h = good();
	struct vgpu_mem_info m = {};
	Process other;
	struct session_caller self = me;

	me.tid = other.pid();
	EXPECT_EQ(call(s, VGPU_IOC_HELLO, &h), 0);
	EXPECT_EQ(h.pid, other.pid());
	me = self;
	EXPECT_EQ(call(s, VGPU_IOC_MEM_INFO, &m), EACCES);
}

TEST_F(Hello, AnotherProcessMayNotUseAGreetedFile)
{
	struct session *s = greeted();
	struct vgpu_mem_info m = {};
	Process other;

	me.tid = other.pid();
	EXPECT_EQ(call(s, VGPU_IOC_MEM_INFO, &m), EACCES);
}

TEST_F(Hello, QueriesStartNoWorker)
{
	struct vgpu_device_info info = {};
	struct vgpu_device_attrs attrs = {};
	struct vgpu_mem_info m = {};
	struct session *s;

	configure({ "T4,memory=1G,library_cc=12.1" });
	s = greeted();
	ASSERT_EQ(call(s, VGPU_IOC_DEVICE_INFO, &info), 0);
	EXPECT_STREQ(info.profile, "T4");
	EXPECT_EQ(info.cc_major * 10 + info.cc_minor, 75u);
	EXPECT_EQ(info.library_cc, 121u);
	EXPECT_EQ(info.mem_total, 1ull << 30);
	ASSERT_EQ(call(s, VGPU_IOC_DEVICE_ATTRS, &attrs), 0);
	EXPECT_NE(attrs.known[0], 0u);
	ASSERT_EQ(call(s, VGPU_IOC_MEM_INFO, &m), 0);
	EXPECT_EQ(m.total, 1ull << 30);
	EXPECT_EQ(m.free, m.total - m.reserved);
	EXPECT_EQ(m.mine, 0u);
	EXPECT_EQ(starts, 0);
}

/* SPDX-License-Identifier: MIT */
/* guard_test.cc - too little memory ends the worker of whoever holds most, and gives it back. */
#include "harness.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern "C" {
#include "cuse_dev/session/front.h"
}

static const uint64_t total = 8ull << 30, plenty = 4ull << 30, little = 1 << 20;

class Guard : public Protocol {
protected:
	int arena = -1;

	void TearDown() override
	{
		if (arena >= 0)
			close(arena);
		Protocol::TearDown();
	}
	/* holding() - a session whose worker serves and whose device pages have @bytes in them. */
	struct session *holding(size_t bytes)
	{
		struct session *s;
		struct vgpu_ctx_create cc = {};
		struct vgpu_share sh = {};
		Answer a;

		configure({ "T4,memory=1G" });
		s = greeted();
		arena = memfd(1ull << 30);
		sh = { VGPU_SHARE_DEVICE, arena, 1ull << 30 };
		EXPECT_EQ(call(s, VGPU_IOC_SHARE, &sh), 0);
		std::vector<char> data(bytes, 'x');
		EXPECT_EQ(pwrite(arena, data.data(), bytes, 0), static_cast<ssize_t>(bytes));
		send(s, VGPU_IOC_CTX_CREATE, cc, &a);
		take_init();
		reply_with(take(), cc);
		EXPECT_TRUE(a.there);
		return s;
	}
	int create_ctx(struct session *s, Answer *a)
	{
		struct vgpu_ctx_create cc = {};

		send(s, VGPU_IOC_CTX_CREATE, cc, a);
		return a->there ? a->error : 0;
	}
	uint64_t blocks()
	{
		struct stat st = {};

		fstat(arena, &st);
		return static_cast<uint64_t>(st.st_blocks) * 512;
	}
};

TEST_F(Guard, NobodyToLookAfter)
{
	configure({});
	greeted();
	EXPECT_EQ(guard_check(&front->guard, 0, total), 0u);
}

TEST_F(Guard, LooksMoreOftenTheLessThereIs)
{
	uint64_t far, near;
	Answer a;

	ASSERT_NE(holding(64 << 20), nullptr);
	far = guard_check(&front->guard, plenty, total);
	near = guard_check(&front->guard, total / 40 + (256 << 20), total);
	EXPECT_GT(far, near);
	EXPECT_GT(near, 0u);
	EXPECT_LE(far, 1000000000u);
	EXPECT_EQ(blocks(), 64u << 20);
}

TEST_F(Guard, TheWorkerEndsAndItsMemoryIsFree)
{
	struct session *s = holding(64 << 20);
	Answer a;

	testing::internal::CaptureStderr();
	log_init("daemon", LOG_L_INFO);
	EXPECT_GT(guard_check(&front->guard, little, total), 0u);
	EXPECT_NE(testing::internal::GetCapturedStderr().find("which holds 64 MiB"),
		  std::string::npos);
	spin();
	EXPECT_EQ(create_ctx(s, &a), ENODEV);
	for (int i = 0; i < 1000 && blocks(); i++)
		usleep(1000);
	EXPECT_EQ(blocks(), 0u);
}

TEST_F(Guard, WhoHoldsLittleIsLeftAlone)
{
	struct session *s = holding(1 << 20);
	Answer a;

	EXPECT_GT(guard_check(&front->guard, little, total), 0u);
	spin();
	EXPECT_EQ(create_ctx(s, &a), 0);
	reply_with(take(), vgpu_ctx_create{});
}

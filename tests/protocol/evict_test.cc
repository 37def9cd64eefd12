/* SPDX-License-Identifier: MIT */
/*
 * evict_test.cc - what an administrator does to clients and devices, as clients see it.
 */
#include "harness.h"

extern "C" {
#include "cuse_dev/session/front.h"
}

class Evict : public Protocol {
protected:
	struct vgpu_ctx_create ctx = {};
	struct client *client_of(struct session *s) { return s->client; }
};

TEST_F(Evict, AnswersWhatIsPendingAndGivesTheMemoryBack)
{
	struct session *s = greeted();
	struct vgpu_mem_alloc m = {};
	Answer a, b;

	m.size = 1ull << 30;
	send(s, VGPU_IOC_CTX_CREATE, ctx, &a);
	take_init();
	take();
	send(s, VGPU_IOC_MEM_ALLOC, m, &b);
	EXPECT_EQ(front->device[0].charged, 1ull << 30);
	client_evict(client_of(s), "test");
	EXPECT_EQ(a.error, ENODEV);
	EXPECT_EQ(b.error, ENODEV);
	EXPECT_EQ(front->device[0].charged, 0u);
	EXPECT_EQ(call(s, VGPU_IOC_CTX_CREATE, &ctx), ENODEV);
	EXPECT_EQ(starts, 1) << "it gets no other worker";
}

TEST_F(Evict, AClientWithoutWorkerGetsNone)
{
	struct session *s = greeted();
	struct vgpu_mem_info m = {};

	client_evict(client_of(s), "test");
	EXPECT_EQ(call(s, VGPU_IOC_CTX_CREATE, &ctx), ENODEV);
	EXPECT_EQ(starts, 0);
	EXPECT_EQ(call(s, VGPU_IOC_MEM_INFO, &m), 0) << "questions are still answered";
}

TEST_F(Evict, TwiceIsFine)
{
	struct session *s = greeted();

	client_evict(client_of(s), "test");
	client_evict(client_of(s), "test");
}

TEST_F(Evict, AnotherProcessGoesOn)
{
	Process other;
	struct session_caller who = { other.pid(), getuid(), getgid() };
	struct session *s = greeted(), *o = greeted_as(who);
	Answer a;

	client_evict(client_of(s), "test");
	me = who;
	send(o, VGPU_IOC_CTX_CREATE, ctx, &a);
	EXPECT_FALSE(a.there);
	take_init();
	reply_with(take(), ctx);
	EXPECT_TRUE(a.there);
	EXPECT_EQ(a.error, 0);
}

/* ---- devices -------------------------------------------------------------------------------- */

TEST_F(Evict, ADeviceThatIsAddedIsForNewWorkers)
{
	struct config_device t4 = {};
	Process other;
	struct session_caller who = { other.pid(), getuid(), getgid() };
	struct session *s = greeted(), *late;
	uint32_t index = 0;
	Answer a;

	send(s, VGPU_IOC_CTX_CREATE, ctx, &a);
	take_init();
	reply_with(take(), ctx);
	strcpy(t4.profile, "T4");
	t4.mode = 0666;
	ASSERT_EQ(front_add_device(front, &t4, &index), 0);
	ASSERT_EQ(index, 1u);
	late = greeted(1);
	EXPECT_EQ(call(late, VGPU_IOC_CTX_CREATE, &ctx), ENODEV) << "its worker knows one device";

	close(worker);
	late = greeted_as(who, 1);
	me = who;
	send(late, VGPU_IOC_CTX_CREATE, ctx, &a);
	EXPECT_FALSE(a.there);
	Received init = take_init();
	auto *in = reinterpret_cast<struct wire_init *>(init.payload.data());
	EXPECT_EQ(in->device_count, 2u);
	EXPECT_STREQ(in->device[1].profile, "T4");
	reply_with(take(), ctx);
	EXPECT_EQ(a.error, 0);
}

TEST_F(Evict, ADeviceInThePlaceOfAnotherIsNotThatOne)
{
	struct config_device t4 = {};
	struct session *s;
	Answer a;

	configure({ "H100-80GB", "L4" });
	s = greeted(0);
	send(s, VGPU_IOC_CTX_CREATE, ctx, &a);
	take_init();
	reply_with(take(), ctx);
	front_remove_device(front); /* nobody uses it */
	strcpy(t4.profile, "T4");
	t4.mode = 0666;
	ASSERT_EQ(front_add_device(front, &t4, nullptr), 0);
	EXPECT_EQ(call(greeted(1), VGPU_IOC_CTX_CREATE, &ctx), ENODEV);
	EXPECT_EQ(call(s, VGPU_IOC_DEVICE_INFO, std::make_unique<vgpu_device_info>().get()), 0);
}

TEST_F(Evict, RemovingADeviceEndsItsClientsAlone)
{
	Process other;
	struct session_caller who = { other.pid(), getuid(), getgid() };
	struct session *mine, *theirs;
	uint32_t pids[2];

	configure({ "H100-80GB", "L4" });
	mine = greeted(0);
	session_open(front, 1, &who, 6, &theirs); /* it goes with its device */
	EXPECT_EQ(front_device_users(front, 0, pids, 2), 1u);
	EXPECT_EQ(pids[0], static_cast<uint32_t>(getpid()));
	EXPECT_EQ(front_device_users(front, 1, pids, 2), 1u);
	EXPECT_EQ(pids[0], other.pid());
	front_remove_device(front);
	EXPECT_EQ(front_device_count(front), 1u);
	EXPECT_EQ(front->session_count, 1u);
	EXPECT_FALSE(client_of(mine)->evicted);
	EXPECT_EQ(front->client_count, 1u);
}

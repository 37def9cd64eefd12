/* SPDX-License-Identifier: MIT */
/*
 * isolation_test.cc - what one client breaks, and a bystander that must not notice.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "system/system_test.h"

/* A client that computes and checks all the while; at the end it must have been right throughout. */
class Isolation : public SystemTest {
protected:
	support_child *bystander = nullptr;

	void SetUp() override
	{
		SystemTest::SetUp();
		if (IsSkipped() || HasFatalFailure())
			return;
		bystander = prog({ client(), "busy", "4" }).user(NOBODY).start();
		ASSERT_NE(bystander, nullptr);
		ASSERT_EQ(support_child_saw(bystander, "busy", 20000), 0);
	}
	void TearDown() override
	{
		if (bystander) {
			auto r = finish(bystander);

			EXPECT_EQ(r->res.code, 0) << "the bystander noticed: " << r->text();
			EXPECT_GT(atoi(r->values()["rounds"].c_str()), 10) << r->text();
			/* Two cores may be shared by a spinning kernel, but nobody waits for it. */
			EXPECT_LT(atof(r->values()["worst_ms"].c_str()), 1000) << r->text();
			EXPECT_EQ(support_daemon_settle(daemon, 5000), 0)
				<< "workers stayed behind";
		}
		SystemTest::TearDown();
	}
	void wild(const char *kind, const char *code)
	{
		auto r = prog({ client(), "wild", kind }).user(NOBODY).run();

		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_EQ(r->values()["result"], code) << r->text();
		EXPECT_EQ(r->values()["later"], code) << "the error must be sticky\n" << r->text();
	}
};

TEST_F(Isolation, StoreToAnAddressOfNobody)
{
	wild("store", "700");
}

TEST_F(Isolation, LoadFromUnmappedDeviceMemory)
{
	wild("load", "700");
}

TEST_F(Isolation, StoreOutsideSharedMemory)
{
	auto r = prog({ client(), "wild", "shared" }).user(NOBODY).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_NE(r->values()["result"], "0");
}

TEST_F(Isolation, MisalignedStore)
{
	wild("misaligned", "716");
}

TEST_F(Isolation, Trap)
{
	auto r = prog({ client(), "wild", "trap" }).user(NOBODY).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_EQ(r->values()["result"], r->values()["later"]);
}

TEST_F(Isolation, KernelThatNeverEndsDiesWithItsClient)
{
	support_child *spin = prog({ client(), "spin" }).user(NOBODY).start();

	ASSERT_NE(spin, nullptr);
	ASSERT_EQ(support_child_saw(spin, "spinning", 20000), 0);
	usleep(300000);
	support_child_kill(spin, SIGKILL);
	auto r = finish(spin);
	EXPECT_EQ(r->res.signal, SIGKILL) << r->text();
	/* The bystander's worker is the only one left. */
	for (int i = 0; i < 400 && support_daemon_workers(daemon, nullptr, 0) > 1; i++)
		usleep(5000);
	EXPECT_EQ(support_daemon_workers(daemon, nullptr, 0), 1u);
}

TEST_F(Isolation, SigkilledClientGivesItsMemoryBack)
{
	support_child *hold = prog({ client(), "hold" }).user(NOBODY).start();

	ASSERT_NE(hold, nullptr);
	ASSERT_EQ(support_child_saw(hold, "holding", 20000), 0);
	EXPECT_EQ(support_daemon_workers(daemon, nullptr, 0), 2u);
	auto during = prog({ client(), "probe" }).run();
	support_child_kill(hold, SIGKILL);
	finish(hold);
	for (int i = 0; i < 400 && support_daemon_workers(daemon, nullptr, 0) > 1; i++)
		usleep(5000);
	EXPECT_EQ(support_daemon_workers(daemon, nullptr, 0), 1u);
	auto later = prog({ client(), "probe" }).run();
	EXPECT_GT(atoll(later->values()["early_free"].c_str()),
		  atoll(during->values()["early_free"].c_str()));
}

TEST_F(Isolation, ClientThatLeavesWithoutAGoodbye)
{
	auto r = prog({ client(), "drop" }).user(NOBODY).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	for (int i = 0; i < 400 && support_daemon_workers(daemon, nullptr, 0) > 1; i++)
		usleep(5000);
	EXPECT_EQ(support_daemon_workers(daemon, nullptr, 0), 1u);
}

TEST_F(Isolation, SigkilledWorkerIsAnErrorForItsClientAlone)
{
	pid_t before[4] = {}, after[4] = {}, victim = 0;

	ASSERT_EQ(support_daemon_workers(daemon, before, 4), 1u);
	support_child *spin = prog({ client(), "spin" }).user(NOBODY).start();
	ASSERT_NE(spin, nullptr);
	ASSERT_EQ(support_child_saw(spin, "spinning", 20000), 0);
	ASSERT_EQ(support_daemon_workers(daemon, after, 4), 2u);
	for (pid_t p : after)
		if (p && p != before[0])
			victim = p;
	ASSERT_NE(victim, 0);
	/* That a worker was killed is worth a line in the log. */
	support_daemon_allow(daemon, "worker");
	kill(victim, SIGKILL);
	auto r = finish(spin);
	EXPECT_EQ(r->res.code, 2) << r->text();
	EXPECT_FALSE(r->res.timed_out);
	EXPECT_LT(r->res.seconds, 10) << "a waiting client must hear of it at once";
	EXPECT_NE(strstr(r->res.out, "cuCtxSynchronize: "), nullptr) << r->text();
}

using DaemonDeath = SystemTest;

TEST_F(DaemonDeath, ClientsGetAnErrorAndWorkersDie)
{
	support_child *hold = prog({ client(), "hold" }).user(NOBODY).start();
	support_child *spin = prog({ client(), "spin" }).user(NOBODY).start();
	pid_t workers[4] = {};

	ASSERT_NE(hold, nullptr);
	ASSERT_NE(spin, nullptr);
	ASSERT_EQ(support_child_saw(hold, "holding", 20000), 0);
	ASSERT_EQ(support_child_saw(spin, "spinning", 20000), 0);
	ASSERT_EQ(support_daemon_workers(daemon, workers, 4), 2u);
	support_daemon_kill(daemon);
	auto r = finish(spin);
	EXPECT_FALSE(r->res.timed_out) << "a waiting client must not hang for ever\n" << r->text();
	EXPECT_NE(r->res.code, 0) << r->text();
	support_child_kill(hold, SIGKILL);
	finish(hold);
	for (int i = 0; i < 2; i++) {
		for (int t = 0; t < 400 && kill(workers[i], 0) == 0; t++)
			usleep(5000);
		EXPECT_NE(kill(workers[i], 0), 0)
			<< "worker " << workers[i] << " outlived its front";
	}
}

TEST_F(DaemonDeath, StartsAgainAfterACrash)
{
	auto r = prog({ client(), "cycle" }).user(NOBODY).run();

	ASSERT_EQ(r->res.code, 0) << r->text();
	support_daemon_kill(daemon);
	r = prog({ client(), "cycle" }).user(NOBODY).run();
	EXPECT_NE(r->res.code, 0) << "there is no daemon";
	ASSERT_EQ(support_daemon_restart(daemon), 0);
	r = prog({ client(), "cycle" }).user(NOBODY).run();
	EXPECT_EQ(r->res.code, 0) << r->text();
}

/* SPDX-License-Identifier: MIT */
/*
 * control_test.cc - vgpuctl against a running daemon with real clients: what it shows, what its
 * changes do to programs, what it says when something is wrong.
 */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "system/system_test.h"

static bool has(const std::string &text, const std::string &part)
{
	return text.find(part) != std::string::npos;
}

class Vgpuctl : public SystemTest {
protected:
	void SetUp() override
	{
		support_daemon_options opt = {};
		const char *missing = support_missing(SUPPORT_NEED_SYSTEM);

		if (missing)
			GTEST_SKIP() << missing;
		ASSERT_EQ(support_world_enter(), 0);
		opt.run_dir = "/run/vgpu";
		ASSERT_EQ(support_world_daemon(&opt, &daemon), 0);
	}
	/* As installed: the socket is at its usual place. */
	prog ctl(std::vector<std::string> args)
	{
		args.insert(args.begin(), support_world_program(support_path_vgpuctl()));
		return prog(args);
	}
	std::string out(std::vector<std::string> args)
	{
		auto r = ctl(args).run();

		EXPECT_EQ(r->res.code, 0) << args[0] << " " << r->text();
		EXPECT_STREQ(r->res.err, "");
		return r->res.out;
	}
	std::string error(std::vector<std::string> args, int code)
	{
		auto r = ctl(args).run();

		EXPECT_EQ(r->res.code, code) << args[0] << " " << r->text();
		return r->res.err;
	}
	/* A client that has 64 MiB and a context, and waits. */
	support_child *holder()
	{
		support_child *c = prog({ client(), "keep", "67108864" }).start();

		EXPECT_EQ(support_child_saw(c, "keeping", 20000), 0);
		return c;
	}
};

TEST_F(Vgpuctl, ShowsDaemonDeviceAndClient)
{
	support_child *c = holder();
	std::string pid = std::to_string(support_child_pid(c));
	std::string s = out({ "status" }), l = out({ "clients" });

	EXPECT_PRED2(has, s, "process " + std::to_string(support_daemon_pid(daemon)));
	EXPECT_PRED2(has, s, "1 clients with");
	EXPECT_PRED2(has, s, "66.0 MiB of 80.0 GiB");
	EXPECT_PRED2(has, s, "/dev/nvidia-vgpu0");
	EXPECT_PRED2(has, l, pid);
	EXPECT_PRED2(has, l, "client");
	EXPECT_PRED2(has, l, "0: 66.0 MiB, 0.");
	EXPECT_PRED2(has, out({ "clients", "--json" }), "\"memory\": 69206016");
	EXPECT_PRED2(has, out({ "--json", "status" }), "\"used\": 69206016");
	EXPECT_PRED2(has, out({ "events" }), "worker-started");
	support_child_kill(c, SIGKILL);
	finish(c);
}

TEST_F(Vgpuctl, EvictedProcessesSeeAFatalErrorAndOthersDoNot)
{
	support_child *victim = holder(), *other = holder();
	pid_t pid = support_child_pid(victim);

	EXPECT_PRED2(has, out({ "evict", std::to_string(pid) }), "66.0 MiB of device memory");
	EXPECT_PRED2(has, out({ "status" }), "66.0 MiB of 80.0 GiB") << "the other's";
	support_child_kill(victim, SIGUSR1); /* it tries to go on */
	auto r = finish(victim);
	EXPECT_EQ(r->res.code, 2) << r->text();
	EXPECT_NE(strstr(r->res.out, ": 719"), nullptr) << r->text();
	support_child_kill(other, SIGUSR1);
	r = finish(other);
	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_PRED2(has, out({ "events" }), "client-evicted");
	EXPECT_PRED2(has, error({ "evict", std::to_string(pid) }, 1), "has no device open");
}

TEST_F(Vgpuctl, AddedDevicesAreFoundAndRemovedOnesAreGone)
{
	out({ "add", "T4,memory=4G" });
	EXPECT_EQ(prog({ client(), "probe" }).run()->values()["count"], "2");
	support_child *c = holder();
	EXPECT_PRED2(has, error({ "remove", "1" }, 1),
		     "in use by 1 process (" + std::to_string(support_child_pid(c)) + ")");
	EXPECT_PRED2(has, out({ "remove", "1", "--force" }), "1 clients were evicted");
	support_child_kill(c, SIGUSR1);
	auto r = finish(c);
	EXPECT_EQ(r->res.code, 2) << r->text();
	EXPECT_NE(access("/dev/nvidia-vgpu1", F_OK), 0);
	EXPECT_EQ(prog({ client(), "probe" }).run()->values()["count"], "1");
	/* The last one, and another in its place. */
	out({ "remove", "0" });
	EXPECT_PRED2(has, out({ "status" }), "no device");
	r = prog({ client(), "probe" }).run();
	EXPECT_NE(strstr(r->res.out, ": 100"), nullptr) << r->text(); /* CUDA_ERROR_NO_DEVICE */
	out({ "add", "L4" });
	auto v = prog({ client(), "probe" }).run()->values();
	EXPECT_EQ(v["name"], "NVIDIA L4");
	r = prog({ client(), "cycle" }).user(NOBODY).run();
	EXPECT_EQ(r->res.code, 0) << r->text();
}

TEST_F(Vgpuctl, DevicesComeAndGoWhileClientsWork)
{
	std::vector<support_child *> all;

	for (int round = 0; round < 10; round++) {
		all.push_back(prog({ client(), "cycle" }).start());
		out({ "add", "T4,memory=1G" });
		all.push_back(prog({ client(), "cycle" }).start());
		out({ "remove", "1", "--force" });
	}
	for (support_child *c : all)
		finish(c); /* they may have been evicted; the daemon must not mind */
	EXPECT_EQ(support_daemon_settle(daemon, 10000), 0);
	auto r = prog({ client(), "cycle" }).run();
	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_PRED2(has, out({ "status" }), "0 B of 80.0 GiB");
}

TEST_F(Vgpuctl, FaultsSayWhatBrokeAndWhere)
{
	EXPECT_PRED2(has, out({ "faults" }), "no fault");
	support_child *c = prog({ client(), "wild", "store" }).start();
	std::string pid = std::to_string(support_child_pid(c));

	EXPECT_EQ(finish(c)->res.code, 0);
	std::string s = out({ "faults" });
	EXPECT_PRED2(has, s, "Xid 31, error 700");
	EXPECT_PRED2(has, s, "process " + pid + " (");
	EXPECT_PRED2(has, s, "kernel poke, block (0, 0, 0), thread (");
	EXPECT_PRED2(has, s, "address 0x123450000");
	EXPECT_PRED2(has, out({ "faults", "--json" }), "\"address\": \"0x123450000\"");
	EXPECT_PRED2(has, out({ "status" }), "1 faults so far");
	EXPECT_PRED2(has, out({ "events" }), "Xid 31, kernel poke");
}

TEST_F(Vgpuctl, AQuotaHoldsForRunningPrograms)
{
	EXPECT_PRED2(has, out({ "quota", "0", "--memory=32M" }), "32.0 MiB");
	auto r = prog({ client(), "keep", "67108864" }).run();
	EXPECT_EQ(r->res.code, 2) << r->text();
	EXPECT_NE(strstr(r->res.out, "cuMemAlloc_v2: 2"), nullptr) << r->text();
	EXPECT_PRED2(has, out({ "status" }), "each user can have 32.0 MiB");
}

TEST_F(Vgpuctl, FollowsEvents)
{
	prog p = ctl({ "events", "--follow", "--json" });
	support_child *c = p.start();

	out({ "quota", "0", "--clients=100" });
	EXPECT_EQ(support_child_saw(c, "\"event\":\"quota-changed\"", 10000), 0);
	prog({ client(), "probe" }).run();
	EXPECT_EQ(support_child_saw(c, "\"event\":\"client-closed\"", 10000), 0);
	support_daemon_kill(daemon);
	auto r = finish(c);
	EXPECT_EQ(r->res.code, 3) << r->text();
	EXPECT_NE(strstr(r->res.err, "ended the connection"), nullptr) << r->text();
}

TEST_F(Vgpuctl, OthersAskButDoNotChange)
{
	auto r = ctl({ "status" }).user(NOBODY).run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	r = ctl({ "evict", "1" }).user(NOBODY).run();
	EXPECT_EQ(r->res.code, 1);
	EXPECT_NE(strstr(r->res.err, "for root and the members of control_group"), nullptr);
}

TEST_F(Vgpuctl, ErrorsNameWhatIsWrongAndWhatToDo)
{
	EXPECT_PRED2(has, error({ "dance" }, 2), "\"dance\" is no command");
	EXPECT_PRED2(has, error({ "status", "x" }, 2), "\"x\" is too much");
	EXPECT_PRED2(has, error({ "status", "--colour" }, 2), "colour");
	EXPECT_PRED2(has, error({ "evict" }, 2), "wants PID");
	EXPECT_PRED2(has, error({ "evict", "me" }, 2), "\"me\"");
	EXPECT_PRED2(has, error({ "remove", "16" }, 2), "0 to 15");
	EXPECT_PRED2(has, error({ "quota", "0" }, 2), "--memory");
	EXPECT_PRED2(has, error({ "quota", "0", "--memory=1Q" }, 1), "such as 8G");
	EXPECT_PRED2(has, error({ "add", "T5" }, 1), "there are H100-80GB");
	EXPECT_PRED2(has, error({ "--socket=/nowhere", "status" }, 3), "Start it:");
	EXPECT_EQ(ctl({}).run()->res.code, 2);
	auto r = prog({ "/bin/sh", "-c",
			std::string(support_world_program(support_path_vgpuctl())) +
				" status >/dev/full" })
			 .run();
	EXPECT_EQ(r->res.code, 1) << r->text();
}

TEST_F(Vgpuctl, EveryCommandHasHelpAndIsCompleted)
{
	std::string names = out({ "complete" });
	size_t count = 0;

	for (size_t at = 0, end; at < names.size(); at = end + 1, count++) {
		end = names.find('\n', at);
		std::string name = names.substr(at, end - at);
		if (name.compare(0, 2, "--") == 0)
			continue;
		EXPECT_PRED2(has, out({ name, "--help" }), "Usage: vgpuctl " + name);
		EXPECT_PRED2(has, out({ "help", name }), "Usage: vgpuctl " + name);
	}
	EXPECT_GE(count, 8u);
	EXPECT_PRED2(has, out({ "complete", "remove" }), "--force");
	EXPECT_PRED2(has, out({ "complete", "smi" }), "--query-gpu=");
}

/* What bash makes of a line that ends in @words, the last of them unfinished. */
static std::string completed(const std::string &vgpuctl, const std::string &words)
{
	prog p({ "/bin/bash", "-c",
		 "vgpuctl() { " + vgpuctl +
			 " \"$@\"; }; . " SYSTEM_COMPLETION "; COMP_WORDS=(vgpuctl " + words +
			 "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _vgpuctl; "
			 "echo \"${COMPREPLY[*]}\"" });
	auto r = p.run();

	EXPECT_EQ(r->res.code, 0) << r->text();
	return r->res.out;
}

TEST_F(Vgpuctl, BashCompletes)
{
	std::string v = support_world_program(support_path_vgpuctl());

	if (access("/bin/bash", X_OK))
		GTEST_SKIP() << "no bash here";
	out({ "add", "T4,memory=1G" });
	EXPECT_EQ(completed(v, "re"), "remove\n");
	EXPECT_EQ(completed(v, "help do"), "doctor\n");
	EXPECT_EQ(completed(v, "quota --me"), "--memory=\n");
	EXPECT_EQ(completed(v, "remove ''"), "0 1\n");
	EXPECT_EQ(completed(v, "add L"), "L4\n");
	EXPECT_EQ(completed(v, "--json st"), "status\n");
	EXPECT_PRED2(has, completed(v, "cdi --"), "--no-hook");
	EXPECT_PRED2(has, completed(v, "doctor /bin/bas"), "/bin/bash");
	support_child *c = holder();
	EXPECT_EQ(completed(v, "evict ''"), std::to_string(support_child_pid(c)) + "\n");
	support_child_kill(c, SIGKILL);
	finish(c);
}

TEST_F(Vgpuctl, AFrozenDaemonIsNoticed)
{
	kill(support_daemon_pid(daemon), SIGSTOP);
	EXPECT_PRED2(has, error({ "status" }, 3), "did not answer within");
	kill(support_daemon_pid(daemon), SIGCONT);
}

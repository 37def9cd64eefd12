/* SPDX-License-Identifier: MIT */
/*
 * ollama_test.cc - Ollama finds the device, keeps finding it, and computes with it.
 *
 * ollama.sh builds it from source and puts it in a root as its package would; by hand, since that takes too
 * long for every run. The server's environment holds HOME, its address and its own switch for a talkative log. What
 * Ollama finds is said by its log alone: library=CUDA, or library=cpu, and how long a refresh took.
 */
#include <signal.h>
#include <string.h>

#include "system/root_test.h"

namespace {

const char ollama[] = "/usr/bin/ollama";

class Ollama : public RootTest {
protected:
	const std::vector<std::string> env = { "HOME=/tmp", "OLLAMA_HOST=127.0.0.1:21434",
					       "OLLAMA_DEBUG=1" };
	support_child *server = nullptr;
	std::string dir = std::string(SYSTEM_PROGRAMS) + "/ollama/root";

	void SetUp() override
	{
		RootTest::SetUp();
		if (!IsSkipped())
			enter_root(dir, ollama, "tests/system/ollama.sh, by hand");
	}

	void TearDown() override
	{
		if (server)
			stop();
		RootTest::TearDown();
	}

	/* Its log goes to stdout, where support_child_saw() looks. */
	void start()
	{
		prog p({ "/bin/sh", "-c",
			 "exec /usr/sbin/chroot " + dir + " " + ollama + " serve 2>&1" });

		p.env = env;
		server = p.timeout(240000).start();
		ASSERT_NE(server, nullptr);
		ASSERT_EQ(support_child_saw(server, "inference compute", 90000), 0) << stop();
	}

	std::string stop()
	{
		support_child_kill(server, SIGTERM);
		auto r = finish(server);

		server = nullptr;
		return r->text();
	}

	/* Milliseconds of each discovery that the log tells of: "took" duration=1.5s or 790.12ms. */
	static std::vector<double> took(const std::string &log, const std::string &what)
	{
		std::string key = "msg=\"" + what + "\" duration=";
		std::vector<double> v;

		for (size_t at = 0; (at = log.find(key, at)) != std::string::npos; at++) {
			char *unit;
			double t = strtod(log.c_str() + at + key.size(), &unit);

			v.push_back(!strncmp(unit, "ms", 2) ? t : *unit == 's' ? t * 1000 : 0);
		}
		return v;
	}
};

} // namespace

TEST_F(Ollama, FindsTheDeviceAndLeavesNothingBehind)
{
	start();
	/* The children that looked were killed by Ollama; their workers must be gone with them. */
	EXPECT_EQ(support_daemon_settle(daemon, 5000), 0);
	std::string log = stop();

	EXPECT_NE(log.find("library=CUDA compute=9.0 name=CUDA0 description=\"NVIDIA H100 80GB "
			   "HBM3\""),
		  std::string::npos)
		<< log;
	EXPECT_EQ(log.find("library=cpu"), std::string::npos) << log;
	EXPECT_NE(log.find("total=\"80.0 GiB\" available=\"78.0 GiB\""), std::string::npos) << log;
	EXPECT_EQ(log.find("could not verify NVIDIA driver"), std::string::npos) << log;
	for (double ms : took(log, "GPU bootstrap discovery took"))
		printf("first discovery: %.0f ms\n", ms);
}

TEST_F(Ollama, RunsAModelAndRefreshes)
{
	start();
	auto r = in_root({ ollama, "create", "tiny", "-f", "/models/Modelfile" }, 60, env);
	ASSERT_EQ(r->res.code, 0) << r->text() << stop();
	for (int i = 0; i < 2; i++) {
		r = in_root({ ollama, "run", "tiny", "hello", "--keepalive", "0s" }, 120, env);
		EXPECT_EQ(r->res.code, 0) << r->text();
	}
	EXPECT_EQ(support_daemon_settle(daemon, 10000), 0);
	std::string log = stop();
	auto refresh = took(log, "overall device VRAM discovery took");

	EXPECT_NE(log.find("offloaded 3/3 layers to GPU"), std::string::npos) << log;
	EXPECT_NE(log.find("CUDA0 model buffer size"), std::string::npos) << log;
	EXPECT_EQ(log.find("using old values"), std::string::npos) << log;
	EXPECT_GE(refresh.size(), 2u) << log;
	for (double ms : refresh)
		printf("refresh: %.1f ms\n", ms);
}

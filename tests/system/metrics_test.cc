/* SPDX-License-Identifier: MIT */
/*
 * metrics_test.cc - "vgpuctl metrics" in its three ways: once, into a file, over HTTP; with a daemon,
 * with clients, and without.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <cmath>
#include <regex>
#include <set>
#include <sstream>

#include "system/system_test.h"

#define PORT 29417

static bool has(const std::string &text, const std::string &part)
{
	return text.find(part) != std::string::npos;
}

/* Prometheus' text form: comments, and name{label="value",...} number; a TYPE ahead of each name. */
static std::string misfit(const std::string &text)
{
	static const std::regex comment("# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) .+");
	static const std::regex sample("([a-zA-Z_:][a-zA-Z0-9_:]*)"
				       "(\\{[a-zA-Z_][a-zA-Z0-9_]*=\"([^\"\\\\]|\\\\.)*\""
				       "(,[a-zA-Z_][a-zA-Z0-9_]*=\"([^\"\\\\]|\\\\.)*\")*\\})?"
				       " [-+0-9.eE]+");
	std::set<std::string> typed;
	std::istringstream in(text);
	std::smatch m;
	std::string l;

	while (std::getline(in, l)) {
		if (std::regex_match(l, m, comment)) {
			if (m[1] == "TYPE" && !typed.insert(m[2]).second)
				return "typed twice: " + l;
		} else if (!std::regex_match(l, m, sample)) {
			return "no sample: " + l;
		} else if (!typed.count(m[1])) {
			return "no type: " + l;
		}
	}
	return typed.empty() ? "nothing" : "";
}

/* The value of the first sample whose beginning is @name; NAN when there is none. */
static double value(const std::string &text, const std::string &name)
{
	std::istringstream in(text);
	std::string l;

	while (std::getline(in, l)) {
		if (l.compare(0, name.size(), name) == 0 &&
		    (l[name.size()] == '{' || l[name.size()] == ' '))
			return atof(l.substr(l.rfind(' ')).c_str());
	}
	return std::nan("");
}

class Metrics : public SystemTest {
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
	prog ctl(std::vector<std::string> args)
	{
		args.insert(args.begin(),
			    { support_world_program(support_path_vgpuctl()), "metrics" });
		return prog(args).user(NOBODY);
	}
};

TEST_F(Metrics, OnceToStandardOutput)
{
	auto r = ctl({}).run();
	std::string out = r->res.out;

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_EQ(misfit(out), "");
	EXPECT_EQ(value(out, "vgpu_up"), 1);
	EXPECT_EQ(value(out, "vgpu_clients"), 0);
	EXPECT_EQ(value(out, "DCGM_FI_DEV_FB_TOTAL"), 81920);
	EXPECT_EQ(value(out, "DCGM_FI_DEV_FB_FREE"), 79872);
	EXPECT_EQ(value(out, "DCGM_FI_DEV_FB_USED"), 0);
	EXPECT_PRED2(has, out, "gpu=\"0\",UUID=\"GPU-");
	EXPECT_PRED2(has, out, "modelName=\"NVIDIA H100 80GB HBM3\"");
}

TEST_F(Metrics, ClientsCount)
{
	support_child *c = prog({ client(), "keep", "67108864" }).start();

	ASSERT_EQ(support_child_saw(c, "keeping", 20000), 0);
	std::string out = ctl({}).run()->res.out;
	EXPECT_EQ(value(out, "vgpu_clients"), 1);
	EXPECT_EQ(value(out, "DCGM_FI_DEV_FB_USED"), 66);
	EXPECT_FALSE(has(out, "vgpu_client_memory_bytes"));
	out = ctl({ "--per-client" }).run()->res.out;
	EXPECT_EQ(misfit(out), "");
	EXPECT_EQ(value(out, "vgpu_client_memory_bytes"), 69206016);
	EXPECT_PRED2(has, out, "pid=\"" + std::to_string(support_child_pid(c)) + "\"");
	support_child_kill(c, SIGKILL);
	finish(c);
}

TEST_F(Metrics, WhatWasDoneIsCounted)
{
	std::string out = ctl({}).run()->res.out;

	EXPECT_EQ(value(out, "vgpu_device_kernels_total"), 0);
	EXPECT_EQ(value(out, "DCGM_FI_DEV_XID_ERRORS"), 0);
	EXPECT_EQ(value(out, "DCGM_FI_DEV_GPU_UTIL"), 0);
	EXPECT_GT(value(out, "DCGM_FI_DEV_POWER_USAGE"), 10) << "an idle H100";
	EXPECT_PRED2(has, out, "DCGM_FI_DRIVER_VERSION=\"580.95.05\"");
	EXPECT_EQ(prog({ client(), "wild", "store" }).run()->res.code, 0);
	out = ctl({}).run()->res.out;
	EXPECT_EQ(misfit(out), "");
	EXPECT_GE(value(out, "vgpu_device_kernels_total"), 2);
	EXPECT_GT(value(out, "vgpu_device_busy_seconds_total"), 0);
	EXPECT_EQ(value(out, "DCGM_FI_DEV_XID_ERRORS"), 31);
	EXPECT_EQ(value(out, "vgpu_faults_total"), 1);
	support_child *c = prog({ client(), "spin" }).start();
	ASSERT_EQ(support_child_saw(c, "spinning", 20000), 0);
	sleep(2); /* what is asked for is the last second */
	out = ctl({ "--per-client" }).run()->res.out;
	EXPECT_GT(value(out, "DCGM_FI_DEV_GPU_UTIL"), 90);
	EXPECT_EQ(value(out, "DCGM_FI_DEV_SM_CLOCK"), 1980);
	EXPECT_GT(value(out, "vgpu_client_busy_seconds_total"), 1);
	support_child_kill(c, SIGKILL);
	finish(c);
}

TEST_F(Metrics, WithoutADaemon)
{
	support_daemon_kill(daemon);
	auto r = ctl({}).run();

	EXPECT_EQ(r->res.code, 3) << r->text();
	EXPECT_EQ(value(r->res.out, "vgpu_up"), 0);
	EXPECT_EQ(misfit(r->res.out), "");
}

TEST_F(Metrics, IntoAFile)
{
	std::string path = std::string(support_world_dir()) + "/vgpu.prom";
	auto r = prog({ support_world_program(support_path_vgpuctl()), "metrics",
			"--textfile=" + path })
			 .run();
	std::ifstream f(path);
	std::stringstream s;

	EXPECT_EQ(r->res.code, 0) << r->text();
	s << f.rdbuf();
	EXPECT_EQ(value(s.str(), "vgpu_up"), 1);
	EXPECT_NE(access((path + ".new").c_str(), F_OK), 0);
	r = ctl({ "--textfile=/nonexistent/x" }).run();
	EXPECT_EQ(r->res.code, 1);
	EXPECT_NE(strstr(r->res.err, "/nonexistent/x"), nullptr) << r->text();
}

static std::string request(const std::string &text)
{
	struct sockaddr_in a = {};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	std::string all;
	char buf[65536];
	ssize_t n;

	a.sin_family = AF_INET;
	a.sin_port = htons(PORT);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, reinterpret_cast<struct sockaddr *>(&a), sizeof(a)) == 0 &&
	    send(fd, text.data(), text.size(), MSG_NOSIGNAL) > 0) {
		while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
			all.append(buf, static_cast<size_t>(n));
	}
	close(fd);
	return all;
}

class Served : public Metrics {
protected:
	support_child *server = nullptr;

	void SetUp() override
	{
		Metrics::SetUp();
		if (IsSkipped())
			return;
		prog p = ctl({ "--listen=127.0.0.1:" + std::to_string(PORT) });
		server = p.start();
		for (int i = 0; i < 1000 && get().empty(); i++)
			usleep(10000);
	}
	void TearDown() override
	{
		if (server) {
			support_child_kill(server, SIGTERM);
			auto r = finish(server);
			EXPECT_EQ(r->res.code, 0) << r->text();
		}
		Metrics::TearDown();
	}
	std::string get(const std::string &path = "/metrics")
	{
		return request("GET " + path + " HTTP/1.0\r\n\r\n");
	}
};

TEST_F(Served, OverHttp)
{
	std::string r = get();
	size_t body = r.find("\r\n\r\n");

	ASSERT_NE(body, std::string::npos) << r;
	EXPECT_PRED2(has, r, " 200 ");
	EXPECT_PRED2(has, r, "text/plain; version=0.0.4");
	EXPECT_EQ(misfit(r.substr(body + 4)), "");
	EXPECT_EQ(value(r.substr(body + 4), "vgpu_up"), 1);
	support_daemon_kill(daemon);
	r = get();
	EXPECT_PRED2(has, r, " 200 ");
	EXPECT_PRED2(has, r, "vgpu_up 0\n");
	ASSERT_EQ(support_daemon_restart(daemon), 0);
	EXPECT_PRED2(has, get(), "vgpu_up 1\n");
}

TEST_F(Served, NothingElseIsThere)
{
	EXPECT_PRED2(has, get("/"), " 404 ");
	EXPECT_PRED2(has, get("/metrics/../../etc/passwd"), " 404 ");
	EXPECT_PRED2(has, request("POST /metrics HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"), " 405 ");
	request("nonsense\r\n\r\n");
	request("GET /metrics HTTP/1.0\r\n" + std::string(100000, 'x') + "\r\n\r\n");
	EXPECT_PRED2(has, get(), "vgpu_up 1\n") << "and it goes on";
}

TEST_F(Served, IdleConnectionsDoNotKeepItBusy)
{
	std::vector<int> idle;
	struct sockaddr_in a = {};

	a.sin_family = AF_INET;
	a.sin_port = htons(PORT);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 10; i++) {
		idle.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		EXPECT_EQ(connect(idle.back(), reinterpret_cast<struct sockaddr *>(&a), sizeof(a)),
			  0);
	}
	EXPECT_PRED2(has, get(), "vgpu_up 1\n");
	for (int fd : idle)
		close(fd);
}

TEST_F(Metrics, MistakesAreNamed)
{
	auto r = ctl({ "--listen=localhost" }).run();

	EXPECT_EQ(r->res.code, 2);
	EXPECT_NE(strstr(r->res.err, "ADDRESS:PORT"), nullptr) << r->text();
	r = ctl({ "--listen=127.0.0.1:99999999" }).run();
	EXPECT_EQ(r->res.code, 2) << r->text();
	r = ctl({ "--listen=192.0.2.1:9400" }).run(); /* an address of nobody */
	EXPECT_EQ(r->res.code, 1);
	EXPECT_NE(strstr(r->res.err, "192.0.2.1:9400"), nullptr) << r->text();
	r = ctl({ "--listen=127.0.0.1:1234", "--textfile=/x" }).run();
	EXPECT_EQ(r->res.code, 2);
}

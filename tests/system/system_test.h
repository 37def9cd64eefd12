/* SPDX-License-Identifier: MIT */
/*
 * system_test.h - what the system tests share: a world with a daemon per test, and clients in it.
 */
#ifndef SYSTEM_TEST_H
#define SYSTEM_TEST_H

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/child.h"
#include "support/daemon.h"
#include "support/paths.h"
#include "support/world.h"

#define NOBODY 65534

/* Result of a program; frees itself. */
struct ran {
	support_child_result res{};

	ran() = default;
	ran(const ran &) = delete;
	ran &operator=(const ran &) = delete;
	~ran() { support_child_result_free(&res); }
	std::string text() const
	{
		char *t = support_child_text(&res);
		std::string s = t ? t : "";

		free(t);
		return s;
	}
	/** "key=value" lines of stdout. */
	std::map<std::string, std::string> values() const
	{
		std::map<std::string, std::string> v;
		std::string out = res.out ? res.out : "";

		for (size_t at = 0, end; at < out.size(); at = end + 1) {
			end = out.find('\n', at);
			if (end == std::string::npos)
				end = out.size();
			size_t eq = out.find('=', at);
			if (eq < end)
				v[out.substr(at, eq - at)] = out.substr(eq + 1, end - eq - 1);
		}
		return v;
	}
};

/* A program in the making: arguments, environment, user. */
struct prog {
	std::vector<std::string> argv, env;
	support_child_spec spec{};
	std::vector<const char *> c_argv, c_env;

	explicit prog(std::vector<std::string> a) : argv(std::move(a)) {}
	prog &user(uid_t uid)
	{
		spec.drop = true;
		spec.uid = uid;
		spec.gid = uid;
		return *this;
	}
	prog &root(const char *dir)
	{
		spec.chroot_dir = dir;
		return *this;
	}
	prog &timeout(unsigned ms)
	{
		spec.timeout_ms = ms;
		return *this;
	}
	const support_child_spec *get()
	{
		c_argv.clear();
		c_env.clear();
		for (const auto &s : argv)
			c_argv.push_back(s.c_str());
		c_argv.push_back(nullptr);
		for (const auto &s : env)
			c_env.push_back(s.c_str());
		c_env.push_back(nullptr);
		spec.argv = c_argv.data();
		spec.env = c_env.data(); /* empty unless a test says otherwise */
		return &spec;
	}
	std::unique_ptr<ran> run()
	{
		auto r = std::make_unique<ran>();
		int e = support_child_run(get(), &r->res);

		EXPECT_EQ(e, 0) << "cannot run " << argv[0];
		return r;
	}
	support_child *start()
	{
		support_child *c = nullptr;

		EXPECT_EQ(support_child_start(get(), &c), 0) << "cannot run " << argv[0];
		return c;
	}
};

inline std::unique_ptr<ran> finish(support_child *c)
{
	auto r = std::make_unique<ran>();

	support_child_wait(c, &r->res);
	return r;
}

/* The client program, where every user can run it. */
inline std::string client()
{
	const char *p = support_world_program(SYSTEM_CLIENT);

	return p ? p : "";
}

class SystemTest : public ::testing::Test {
protected:
	support_daemon *daemon = nullptr;

	void SetUp() override
	{
		const char *missing = support_missing(SUPPORT_NEED_SYSTEM);

		if (missing)
			GTEST_SKIP() << missing;
		ASSERT_EQ(support_world_enter(), 0);
		ASSERT_EQ(support_world_daemon(nullptr, &daemon), 0);
	}
	void TearDown() override
	{
		char *bad = support_daemon_stop(daemon);

		EXPECT_EQ(bad, nullptr) << bad;
		free(bad);
	}
};

#endif

/* SPDX-License-Identifier: MIT */
/*
 * harness.h - a daemon in this process: a door made of function calls, a worker made of a socket.
 *
 * A call is answered at once by the front, or stands until the test plays the worker: take() gives
 * what the worker would receive, reply() sends what it would say.
 */
#ifndef TESTS_PROTOCOL_HARNESS_H
#define TESTS_PROTOCOL_HARNESS_H

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

extern "C" {
#include "cuse_dev/base/limits.h"
#include "cuse_dev/base/log.h"
#include "cuse_dev/door/admit.h"
#include "cuse_dev/session/config.h"
#include "cuse_dev/session/loop.h"
#include "cuse_dev/session/session.h"
#include "cuse_dev/session/spawn.h"
#include "cuse_dev/session/wire.h"
#include "ioctl/vgpu_ioctl.h"
#include "ioctl/vgpu_share.h"
}

/** One answer, as a client would see it. */
struct Answer {
	bool there = false;
	int error = 0; /* positive errno */
	std::vector<unsigned char> bytes;
	size_t count = 0;
	struct pending *pending = nullptr; /* what interrupt() needs while it is not there */
};

/** What the worker got. */
struct Received {
	bool there = false;
	struct wire_msg head = {};
	std::vector<unsigned char> payload;
	std::vector<int> fds; /* closed with the object */

	Received() = default;
	Received(Received &&) = default;
	Received &operator=(Received &&) = default;
	~Received();
};

/** A process other than this one, to be a client. */
class Process {
public:
	Process();
	~Process();
	void end();
	uint32_t pid() const { return static_cast<uint32_t>(pid_); }

private:
	pid_t pid_;
};

class Protocol : public ::testing::Test {
protected:
	void SetUp() override;
	void TearDown() override;

	/**
	 * configure() - in the body of a test, before the first open: "T4,memory=1G". Before it,
	 * with_compiler(): the daemon has one, and keeps what is compiled in @cache_dir, "none": nowhere.
	 */
	void with_compiler(const std::string &cache_dir) { cache_dir_ = cache_dir; }
	void configure(const std::vector<std::string> &devices, const char *overcommit = "lazy");

	struct session *open(uint32_t device = 0);
	struct session *open_as(const struct session_caller &who, uint32_t device = 0,
				int access = 6);
	int open_error(const struct session_caller &who, uint32_t device = 0, int access = 6);
	void release(struct session *s);
	/** greeted() - open and HELLO as this process, or as somebody else. */
	struct session *greeted(uint32_t device = 0);
	struct session *greeted_as(const struct session_caller &who, uint32_t device = 0);

	/* raw() - any command, any sizes. The answer object must outlive the call. */
	void raw(struct session *s, uint32_t cmd, const void *in, size_t in_bytes, size_t out_bytes,
		 Answer *a);
	template <typename T> int call(struct session *s, uint32_t cmd, T *arg)
	{
		Answer a;

		raw(s, cmd, arg, sizeof(T), sizeof(T), &a);
		if (!a.there)
			return -1;
		if (!a.error)
			memcpy(arg, a.bytes.data(), sizeof(T));
		return a.error;
	}
	template <typename T> void send(struct session *s, uint32_t cmd, const T &arg, Answer *a)
	{
		raw(s, cmd, &arg, sizeof(T), sizeof(T), a);
	}
	void transfer(struct session *s, uint64_t offset, uint32_t bytes, const void *data,
		      Answer *a);

	/* The worker's side. worker: the socket, -1 before the first start. */
	Received take();
	/** take_init() - the first message, answered. */
	Received take_init();
	void reply(const Received &req, int32_t status, const void *payload, size_t bytes,
		   int64_t charge = 0);
	template <typename T> void reply_with(const Received &req, const T &out, int64_t charge = 0)
	{
		reply(req, 0, &out, sizeof(T), charge);
	}
	void kill_worker();
	/** spin() - let the front handle what is there. */
	void spin();

	uint64_t free_bytes(struct session *s);

	struct session_caller me;
	struct front *front = nullptr;
	int worker = -1, worker_stderr = -1;
	int starts = 0;
	/* The same of a compiler: its socket, its cache. */
	int compiler = -1, compiler_cache = -1, compiler_starts = 0;

private:
	static int start(const struct spawn *sp, const struct spawn_ends *ends, uint32_t tgid,
			 pid_t *ret_pid, int *ret_pidfd);
	struct config config_;
	static int start_compiler(const struct spawn *sp, const struct spawn_ends *ends,
				  uint32_t tgid, pid_t *ret_pid, int *ret_pidfd);
	struct Spawn {
		struct spawn base;
		Protocol *test;
	} spawn_, compiler_spawn_;
	std::string cache_dir_;
	std::vector<struct session *> open_;
};

/** memfd() - sealed as SHARE wants it, unless told otherwise. */
int memfd(uint64_t bytes, int seals = -1);

#endif

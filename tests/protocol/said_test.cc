/* SPDX-License-Identifier: MIT */
/* said_test.cc - a worker's stderr in the daemon's log: whole lines, clean ones, not too many. */
#include "harness.h"

#include <fcntl.h>
#include <unistd.h>

extern "C" {
#include "cuse_dev/session/said.h"
}

class Said : public Protocol {
protected:
	void SetUp() override
	{
		Protocol::SetUp();
		log_init("daemon", LOG_L_INFO);
		Answer a;
		struct vgpu_ctx_create cc = {};
		s = greeted();
		send(s, VGPU_IOC_CTX_CREATE, cc, &a);
		take_init();
		reply_with(take(), cc);
		ASSERT_GE(worker_stderr, 0);
	}
	/* log_of() - what the front logs when the worker says @text. */
	std::string log_of(const std::string &text)
	{
		testing::internal::CaptureStderr();
		EXPECT_EQ(write(worker_stderr, text.data(), text.size()),
			  static_cast<ssize_t>(text.size()));
		spin();
		return testing::internal::GetCapturedStderr();
	}
	static size_t count(const std::string &in, const std::string &what)
	{
		size_t n = 0;

		for (size_t at = in.find(what); at != std::string::npos; at = in.find(what, at + 1))
			n++;
		return n;
	}

	struct session *s = nullptr;
};

TEST_F(Said, WholeLinesThatNameTheWorker)
{
	std::string who = " of process " + std::to_string(getpid()) + " says: ";

	EXPECT_EQ(log_of("half a "), "");
	std::string log = log_of("line\nsecond\n");
	EXPECT_NE(log.find(who + "half a line\n"), std::string::npos) << log;
	EXPECT_NE(log.find(who + "second\n"), std::string::npos) << log;
}

TEST_F(Said, ControlCharactersStayOut)
{
	std::string log = log_of(std::string("a\x1b[2Jb\rc\0d\x7f\n", 12));

	EXPECT_NE(log.find("says: a?[2Jb?c?d?\n"), std::string::npos) << log;
}

TEST_F(Said, ALongLineIsCutIntoPieces)
{
	std::string log = log_of(std::string(SAID_LINE_BYTES + 1, 'x') + "\n");

	EXPECT_EQ(count(log, "says: "), 2u) << log;
	EXPECT_EQ(count(log, "x"), SAID_LINE_BYTES + 1u);
}

TEST_F(Said, AFloodIsCountedNotLogged)
{
	std::string many, log;

	for (int i = 0; i < SAID_LINES + 100; i++)
		many += "again\n";
	log = log_of(many);
	EXPECT_EQ(count(log, "again"), static_cast<size_t>(SAID_LINES));
	/* And the one that floods has to wait, not the front. */
	ASSERT_EQ(fcntl(worker_stderr, F_SETFL, O_NONBLOCK), 0);
	while (write(worker_stderr, many.data(), many.size()) > 0)
		spin();
	struct vgpu_mem_info m = {};
	EXPECT_EQ(call(s, VGPU_IOC_MEM_INFO, &m), 0);
	/* What was lost is said at the end. */
	testing::internal::CaptureStderr();
	kill_worker();
	log = testing::internal::GetCapturedStderr();
	size_t at = log.find(" said ");
	ASSERT_NE(at, std::string::npos) << log;
	EXPECT_GT(strtoul(log.c_str() + at + 6, nullptr, 10), 1000u) << log;
	EXPECT_EQ(count(log, "again"), 0u);
}

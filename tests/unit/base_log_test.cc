// SPDX-License-Identifier: MIT
// A log that nobody reads: lines are lost and counted, never waited for.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

extern "C" {
#include "cuse_dev/base/log.h"
}

namespace {

const int LINES = 4000; /* more than a pipe or a socket takes */

// What a child logs whose stderr is `theirs`; it signals by its end that it did not wait.
pid_t talker(int theirs, int go)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	char byte;

	alarm(20);
	dup2(theirs, 2);
	log_init("talker", LOG_L_INFO);
	log_never_wait();
	for (int i = 0; i < LINES; i++)
		log_info("line %d of a text that is long enough to fill a pipe soon", i);
	if (write(go, "x", 1) != 1 || read(go, &byte, 1) != 1)
		_exit(3);
	log_info("room again");
	_exit(0);
}

std::string read_some(int fd)
{
	std::string text;
	char buf[65536];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0 ||
	       (n < 0 && errno == ENOTSOCK && (n = read(fd, buf, sizeof(buf))) > 0))
		text.append(buf, (size_t)n);
	return text;
}

void check(int ours, int theirs)
{
	int go[2], status = -1;
	char byte;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go));
	pid_t pid = talker(theirs, go[1]);
	close(go[1]);
	close(theirs);
	ASSERT_EQ(1, read(go[0], &byte, 1)) << "it waited for its reader";

	std::string early = read_some(ours);
	ASSERT_EQ(1, write(go[0], "x", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	std::string late = read_some(ours);
	int said = 0, lost = 0;

	for (size_t at = 0; (at = early.find('\n', at)) != std::string::npos; at++)
		said++;
	EXPECT_EQ(0u, early.find("talker: line 0 of"));
	EXPECT_GT(said, 100);
	EXPECT_EQ(1, sscanf(late.c_str(), "talker: warning: %d lines are lost", &lost)) << late;
	EXPECT_EQ(LINES, said + lost);
	EXPECT_NE(std::string::npos, late.find("\ntalker: room again\n")) << late;
	close(ours);
	close(go[0]);
}

} // namespace

TEST(Log, APipeThatIsFull)
{
	int pair[2];

	ASSERT_EQ(0, pipe2(pair, O_CLOEXEC));
	ASSERT_EQ(0, fcntl(pair[0], F_SETFL, O_NONBLOCK));
	check(pair[0], pair[1]);
}

TEST(Log, ASocketAsOfTheJournal)
{
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	check(pair[0], pair[1]);
}

TEST(Log, TheDescriptorOfOthersStaysAsItWas)
{
	int pair[2];

	ASSERT_EQ(0, pipe2(pair, O_CLOEXEC));
	pid_t pid = fork();
	if (!pid) {
		dup2(pair[1], 2);
		log_never_wait();
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, nullptr, 0));
	EXPECT_EQ(0, fcntl(pair[1], F_GETFL) & O_NONBLOCK);
	close(pair[0]);
	close(pair[1]);
}

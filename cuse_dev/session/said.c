/* SPDX-License-Identifier: MIT */
/* said.c - bytes into lines, lines into the log, as long as there are not too many. */
#include "cuse_dev/session/said.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"

#define NS	   1000000000ull
#define READ_BYTES 4096
#define PIPE_BYTES (64 << 10) /* what is left in it at the end */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

static void tell_lost(struct said *s)
{
	if (s->lost)
		log_notice("%s %d of process %u said %llu more lines, which are lost", s->what,
			   (int)s->pid, s->tgid, (unsigned long long)s->lost);
	s->lost = 0;
}

static void end_line(struct said *s)
{
	uint64_t now = now_ns();

	if (now - s->since_ns >= SAID_SECONDS * NS) {
		tell_lost(s);
		s->since_ns = now;
		s->lines = 0;
	}
	if (s->lines < SAID_LINES)
		log_notice("%s %d of process %u says: %.*s", s->what, (int)s->pid, s->tgid,
			   (int)s->used, s->line);
	else
		s->lost++;
	s->lines += s->lines < SAID_LINES;
	s->used = 0;
}

static void take(struct said *s, const char *bytes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '\n') {
			end_line(s);
			continue;
		}
		if (s->used == sizeof(s->line))
			end_line(s);
		s->line[s->used++] = c < ' ' || c == 0x7f ? '?' : (char)c;
	}
}

static void on_pause_over(struct loop_source *src, uint32_t events)
{
	struct said *s = container_of(src, struct said, pause);

	loop_remove(s->loop, &s->pause);
	close(s->pause.fd);
	s->pause.fd = -1;
	loop_add(s->loop, &s->pipe, EPOLLIN);
}

/* Not a busy daemon, nor a silent one: a pipe's content in a second. */
static void pause_reading(struct said *s)
{
	const struct itimerspec second = { .it_value.tv_sec = 1 };

	s->pause.ready = on_pause_over;
	s->pause.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->pause.fd < 0)
		return;
	if (timerfd_settime(s->pause.fd, 0, &second, NULL) < 0 ||
	    loop_add(s->loop, &s->pause, EPOLLIN) < 0) {
		close(s->pause.fd);
		s->pause.fd = -1;
		return;
	}
	loop_remove(s->loop, &s->pipe);
}

/* Up to @most bytes. False: there will be no more. */
static bool read_some(struct said *s, size_t most)
{
	char buf[READ_BYTES];
	ssize_t n;

	while (most) {
		n = read(s->pipe.fd, buf, sizeof(buf) < most ? sizeof(buf) : most);
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR);
		take(s, buf, (size_t)n);
		most -= (size_t)n;
	}
	return true;
}

static void on_pipe(struct loop_source *src, uint32_t events)
{
	struct said *s = container_of(src, struct said, pipe);

	if (!read_some(s, s->lines < SAID_LINES ? READ_BYTES : PIPE_BYTES))
		loop_remove(s->loop, &s->pipe); /* the rest is said_close()'s */
	else if (s->lines == SAID_LINES)
		pause_reading(s);
}

int said_open(struct said *s, struct loop *loop, int *ret_theirs)
{
	int pair[2], r;

	*s = (struct said){
		.loop = loop, .what = "worker", .pipe.fd = -1, .pause.fd = -1, .since_ns = now_ns()
	};
	s->pipe.ready = on_pipe;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	s->pipe.fd = pair[0];
	r = fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : loop_add(loop, &s->pipe, EPOLLIN);
	if (r < 0) {
		close(pair[0]);
		close(pair[1]);
		s->pipe.fd = -1;
		return r;
	}
	*ret_theirs = pair[1];
	return 0;
}

void said_close(struct said *s)
{
	if (!s->loop || s->pipe.fd < 0)
		return;
	if (s->pause.fd >= 0) {
		loop_remove(s->loop, &s->pause);
		close(s->pause.fd);
		s->pause.fd = -1;
	}
	read_some(s, PIPE_BYTES);
	if (s->used)
		end_line(s);
	tell_lost(s);
	loop_remove(s->loop, &s->pipe);
	close(s->pipe.fd);
	s->pipe.fd = -1;
}

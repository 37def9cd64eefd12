/* SPDX-License-Identifier: MIT */
/* server.c - the socket, its connections, lines in and out; nothing here waits. */
#include "cuse_dev/control/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/control/conn.h"

#define BACKLOG	       16
#define TEXT_OF(x)     #x
#define LIMIT_TEXT(x)  TEXT_OF(x)
#define KEPT_FOR_ADMIN 4 /* of LIMIT_CONTROL_CONNS */

static void conn_close(struct conn *c)
{
	loop_remove(front_loop(c->ctl->front), &c->src);
	close(c->src.fd);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->ctl->conn_count--;
	free(c->out);
	free(c);
}

/* ---- out ------------------------------------------------------------------------------------ */

/* 0: all of it; -EAGAIN: the rest when the socket takes it; else the connection is of no use. */
static int flush(struct conn *c)
{
	ssize_t n;

	while (c->out_sent < c->out_bytes) {
		n = send(c->src.fd, c->out + c->out_sent, c->out_bytes - c->out_sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		c->out_sent += (size_t)n;
	}
	free(c->out);
	c->out = NULL;
	c->out_bytes = c->out_sent = 0;
	return 0;
}

/* Takes @object. Nothing may be on its way already. */
static int say(struct conn *c, json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL, *line;

	json_decref(object);
	if (!text)
		return -ENOMEM;
	c->out_bytes = strlen(text) + 1;
	line = realloc(text, c->out_bytes + 1);
	if (!line) {
		free(text);
		c->out_bytes = 0;
		return -ENOMEM;
	}
	line[c->out_bytes - 1] = '\n';
	c->out = line;
	c->out_sent = 0;
	return flush(c);
}

/* The next event for a follower. -ENOENT: it has them all. */
static int say_event(struct conn *c)
{
	const struct event *e = event_next(c->ctl->front, c->seen);
	uint64_t lost;
	int r;

	if (!e)
		return -ENOENT;
	lost = e->seq - c->seen - 1;
	if (lost) {
		c->seen += lost;
		return say(c, json_pack("{s:I}", "lost", (json_int_t)lost));
	}
	r = say(c, json_pack("{s:o}", "event", report_event(e)));
	c->seen = e->seq;
	return r;
}

/* ---- in ------------------------------------------------------------------------------------- */

static int refuse_line(struct conn *c)
{
	c->ends = true;
	return say(c, json_pack("{s:b, s:s, s:s}", "ok", 0, "error", "EMSGSIZE", "message",
				"a request has at most " LIMIT_TEXT(
					LIMIT_CONTROL_REQUEST) " bytes with its newline"));
}

/* One request of those that are here. -ENOENT: none is complete. */
static int next_request(struct conn *c)
{
	char *end = memchr(c->in, '\n', c->in_used);
	size_t bytes;
	int r;

	if (!end)
		return c->in_used == sizeof(c->in) ? refuse_line(c) : -ENOENT;
	bytes = (size_t)(end - c->in);
	r = say(c, request_handle(c, c->in, bytes));
	c->in_used -= bytes + 1;
	memmove(c->in, end + 1, c->in_used);
	return r;
}

/*
 * Sends, answers one request, or sends one event: a single step, so that others get their turn; what is
 * left makes the socket readable or writable again, or is asked for by EPOLLOUT.
 */
static int step(struct conn *c)
{
	int r = c->out ? flush(c) : 0;

	if (!r && !c->ends)
		r = c->following ? say_event(c) : next_request(c);
	return r;
}

static void wait_for(struct conn *c, int r)
{
	uint32_t events = 0;

	/* More may be there already, of which no event tells: come again when it can be answered. */
	if (r == -EAGAIN || (!r && !c->ends))
		events = EPOLLOUT;
	else
		events = EPOLLIN;
	loop_change(front_loop(c->ctl->front), &c->src, events);
}

static int receive(struct conn *c)
{
	ssize_t n = recv(c->src.fd, c->in + c->in_used, sizeof(c->in) - c->in_used, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!n)
		return -EPIPE;
	if (c->following)
		return -EPROTO; /* it was said that nothing more is read */
	c->in_used += (size_t)n;
	return 0;
}

static void on_conn(struct loop_source *src, uint32_t events)
{
	struct conn *c = container_of(src, struct conn, src);
	int r = 0;

	if (events & EPOLLIN && c->in_used < sizeof(c->in))
		r = receive(c);
	else if (events & (EPOLLHUP | EPOLLERR))
		r = -EPIPE;
	if (r >= 0)
		r = step(c);
	if ((r < 0 && r != -EAGAIN && r != -ENOENT) || (!r && c->ends)) {
		conn_close(c);
		return;
	}
	wait_for(c, r);
}

/* ---- who ------------------------------------------------------------------------------------ */

static bool in_groups(int fd, gid_t primary, gid_t wanted)
{
	gid_t *groups;
	socklen_t bytes = 0, i;
	bool found = primary == wanted;

	if (found || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes) == 0 ||
	    errno != ERANGE)
		return found;
	groups = malloc(bytes);
	if (groups && !getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes)) {
		for (i = 0; i < bytes / sizeof(*groups) && !found; i++)
			found = groups[i] == wanted;
	}
	free(groups);
	return found;
}

static int identify(struct conn *c)
{
	gid_t group = c->ctl->config->control_group;
	struct ucred who;
	socklen_t bytes = sizeof(who);

	if (getsockopt(c->src.fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) < 0)
		return -errno;
	c->uid = who.uid;
	c->may_change = !who.uid || who.uid == geteuid() ||
			(group != CONFIG_NO_GROUP && in_groups(c->src.fd, who.gid, group));
	return 0;
}

/* Some room is kept for those who may mend something. */
static bool room_for(const struct conn *c)
{
	const struct conn *o;
	uint32_t same = 0;

	if (c->may_change)
		return c->ctl->conn_count < LIMIT_CONTROL_CONNS;
	for (o = c->ctl->conns; o; o = o->next)
		same += o->uid == c->uid;
	return same < LIMIT_CONTROL_PER_UID &&
	       c->ctl->conn_count < LIMIT_CONTROL_CONNS - KEPT_FOR_ADMIN;
}

static void on_listen(struct loop_source *src, uint32_t events)
{
	static const char full[] = "{\"ok\":false,\"error\":\"EUSERS\",\"message\":\"too many "
				   "connections to the control socket\"}\n";
	struct control *ctl = container_of(src, struct control, listen);
	struct conn *c;
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		goto close_fd;
	c->ctl = ctl;
	c->src.fd = fd;
	c->src.ready = on_conn;
	if (identify(c) < 0)
		goto free_conn;
	if (!room_for(c)) {
		if (send(fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			log_debug("control: %m");
		goto free_conn;
	}
	if (loop_add(front_loop(ctl->front), &c->src, EPOLLIN) < 0)
		goto free_conn;
	c->next = ctl->conns;
	c->link = &ctl->conns;
	if (c->next)
		c->next->link = &c->next;
	ctl->conns = c;
	ctl->conn_count++;
	return;

free_conn:
	free(c);
close_fd:
	close(fd);
}

/* Something happened: followers that are up to date get to know. The others have EPOLLOUT. */
static void on_news(struct loop_source *src, uint32_t events)
{
	struct control *ctl = container_of(src, struct control, news);
	struct conn *c;
	uint64_t count;

	if (read(src->fd, &count, sizeof(count)) < 0)
		return;
	ctl->front->events.watched = false;
	for (c = ctl->conns; c; c = c->next) {
		ctl->front->events.watched |= c->following;
		if (c->following)
			loop_change(front_loop(ctl->front), &c->src, EPOLLIN | EPOLLOUT);
	}
}

/* ---- the socket ----------------------------------------------------------------------------- */

static int listen_at(struct control *ctl)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const struct config *c = ctl->config;
	gid_t group = c->control_group == CONFIG_NO_GROUP ? (gid_t)-1 : c->control_group;
	int fd;

	if (strlen(ctl->path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, ctl->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	ctl->listen.fd = fd;
	/* We hold the lock of this directory: a socket there is that of a daemon that has died. */
	if (unlink(ctl->path) < 0 && errno != ENOENT)
		return -errno;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, BACKLOG) < 0 ||
	    chmod(ctl->path, c->control_mode) < 0 || chown(ctl->path, (uid_t)-1, group) < 0)
		return -errno;
	return loop_add(front_loop(ctl->front), &ctl->listen, EPOLLIN);
}

int control_create(const struct config *c, struct front *f, struct door_set *doors,
		   struct control **ret_control)
{
	struct control *ctl;
	int r;

	*ret_control = NULL;
	if (!c->control_mode)
		return 0;
	ctl = calloc(1, sizeof(*ctl));
	if (!ctl)
		return -ENOMEM;
	ctl->config = c;
	ctl->front = f;
	ctl->doors = doors;
	clock_gettime(CLOCK_MONOTONIC, &ctl->started);
	ctl->listen = (struct loop_source){ .fd = -1, .ready = on_listen };
	ctl->news = (struct loop_source){ .fd = f->events.wake, .ready = on_news };
	if ((size_t)snprintf(ctl->path, sizeof(ctl->path), "%s/" CONTROL_NAME, c->run_dir) >=
	    sizeof(ctl->path))
		r = -ENAMETOOLONG;
	else
		r = loop_add(front_loop(f), &ctl->news, EPOLLIN);
	if (r < 0)
		goto free_control;
	r = listen_at(ctl);
	if (r < 0) {
		log_warn("%s: %s", ctl->path, strerror(-r));
		goto remove_news;
	}
	*ret_control = ctl;
	return 0;

remove_news:
	loop_remove(front_loop(f), &ctl->news);
	if (ctl->listen.fd >= 0)
		close(ctl->listen.fd);
free_control:
	free(ctl);
	return r;
}

void control_destroy(struct control *ctl)
{
	if (!ctl)
		return;
	while (ctl->conns)
		conn_close(ctl->conns);
	loop_remove(front_loop(ctl->front), &ctl->listen);
	loop_remove(front_loop(ctl->front), &ctl->news);
	close(ctl->listen.fd);
	unlink(ctl->path);
	free(ctl);
}

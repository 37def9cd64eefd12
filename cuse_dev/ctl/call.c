/* SPDX-License-Identifier: MIT */
/* call.c - the other end of the control socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cuse_dev/control/protocol.h"
#include "cuse_dev/ctl/ctl.h"

#define ANSWER_SECONDS 10

/* What can be done about it. */
static void advise(const char *path, int error)
{
	const bool systemd = !access("/run/systemd/system", F_OK);

	ctl_error("%s: %s", path, strerror(error));
	switch (error) {
	case ENOENT:
	case ECONNREFUSED:
		fprintf(stderr,
			"The daemon vgpu-cuse does not run here, or has another run_dir "
			"(--socket).\n"
			"Start it:  %s\nIts log:   %s\n"
			"In a container, ask on the host: the socket is there.\n",
			systemd ? "systemctl start vgpu-cuse" : "/etc/init.d/vgpu-cuse start",
			systemd ? "journalctl -u vgpu-cuse" : "/var/log/vgpu-cuse.log");
		break;
	case EACCES:
		fprintf(stderr, "Who may use it is said by control_mode and control_group in "
				"/etc/vgpu/vgpu.conf; root always may.\n");
		break;
	case EAGAIN:
		fprintf(stderr, "The daemon did not answer within %d s; see its log.\n",
			ANSWER_SECONDS);
		break;
	default:
		break;
	}
}

static int connect_to(const char *path, int *ret_fd)
{
	const struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int ctl_read(FILE *f, json_t **ret_object)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int e;

	errno = 0;
	n = getline(&line, &cap, f);
	e = errno;
	*ret_object = n > 0 ? json_loadb(line, (size_t)n, 0, NULL) : NULL;
	free(line);
	if (*ret_object)
		return CTL_OK;
	if (n > 0)
		ctl_error("the daemon's answer is no JSON");
	else if (e == EAGAIN)
		advise("control socket", e);
	else
		ctl_error("the daemon ended the connection%s%s", e ? ": " : "",
			  e ? strerror(e) : "");
	return CTL_NO_DAEMON;
}

int ctl_ask(FILE *f, json_t *request, json_t **ret_answer)
{
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_t *answer;
	int r;

	json_decref(request);
	if (!text) {
		ctl_error("a word of the request is no UTF-8 text");
		return CTL_FAILED;
	}
	/* A daemon that refused the connection has said why; that is read below. */
	if (fprintf(f, "%s\n", text) > 0)
		fflush(f);
	free(text);
	r = ctl_read(f, &answer);
	if (r)
		return r;
	if (!json_is_true(json_object_get(answer, "ok"))) {
		ctl_error("%s", ctl_text(answer, "message"));
		json_decref(answer);
		return CTL_FAILED;
	}
	*ret_answer = answer;
	return CTL_OK;
}

int ctl_open(const struct ctl *ctl, FILE **ret_file)
{
	json_t *hello;
	int fd = -1, r;
	FILE *f;

	r = connect_to(ctl->socket, &fd);
	if (r < 0) {
		if (!ctl->quiet)
			advise(ctl->socket, -r);
		return CTL_NO_DAEMON;
	}
	f = fdopen(fd, "r+");
	if (!f) {
		close(fd);
		return CTL_FAILED;
	}
	r = ctl_ask(f, json_pack("{s:s}", "op", "hello"), &hello);
	if (r)
		goto close_file;
	if (ctl_get(hello, "protocol", NULL) != CONTROL_PROTOCOL) {
		ctl_error("the daemon (version %s) speaks control protocol %lld, this program %d; "
			  "install them from one package and restart the daemon",
			  ctl_text(hello, "version"), (long long)ctl_get(hello, "protocol", NULL),
			  CONTROL_PROTOCOL);
		r = CTL_FAILED;
	}
	json_decref(hello);
	if (!r) {
		*ret_file = f;
		return CTL_OK;
	}
close_file:
	fclose(f);
	return r;
}

int ctl_call(const struct ctl *ctl, json_t *request, json_t **ret_answer)
{
	FILE *f;
	int r = ctl_open(ctl, &f);

	if (r) {
		json_decref(request);
		return r;
	}
	r = ctl_ask(f, request, ret_answer);
	fclose(f);
	return r;
}

int ctl_clients(const struct ctl *ctl, json_t **ret_array)
{
	json_t *all = json_array(), *page;
	json_int_t below = INT64_MAX;
	FILE *f = NULL;
	int r = all ? ctl_open(ctl, &f) : CTL_FAILED;

	if (r) {
		json_decref(all);
		return r;
	}
	while (!r && below) {
		r = ctl_ask(f, json_pack("{s:s, s:I}", "op", "clients", "below", below), &page);
		if (r)
			break;
		if (json_array_extend(all, json_object_get(page, "clients")) < 0)
			r = CTL_FAILED;
		below = ctl_get(page, "below", NULL);
		json_decref(page);
	}
	fclose(f);
	if (!r)
		*ret_array = all;
	else
		json_decref(all);
	return r;
}

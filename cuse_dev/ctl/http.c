/* SPDX-License-Identifier: MIT */
/* http.c - GET /metrics, by libmicrohttpd: one thread, few connections, short times. */
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cuse_dev/ctl/metrics.h"

#define CONNECTIONS 16u
#define SECONDS	    10u
#define MEMORY	    16384u /* of one connection, with all its headers */

struct server {
	const struct ctl *ctl;
	bool per_client;
};

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
			      char *body, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(body), body, mode);
	enum MHD_Result done;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *body)
{
	return answer(c, status, "text/plain; charset=utf-8", (char *)(uintptr_t)body,
		      MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result on_request(void *closure, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_bytes, void **state)
{
	const struct server *s = closure;
	char *body = NULL;
	size_t bytes;
	FILE *f;

	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET is all there is\n");
	if (strcmp(url, "/metrics"))
		return answer_text(c, MHD_HTTP_NOT_FOUND, "there is /metrics\n");
	f = open_memstream(&body, &bytes);
	if (!f)
		return MHD_NO;
	metrics_write(s->ctl, s->per_client, f);
	if (fclose(f) == EOF)
		return MHD_NO;
	return answer(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", body,
		      MHD_RESPMEM_MUST_FREE);
}

/* "host:port" or "[host]:port". */
static int resolve(const char *address, struct addrinfo **ret_info)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
				  .ai_socktype = SOCK_STREAM };
	char copy[128], *host = copy, *port;
	uint64_t number;

	snprintf(copy, sizeof(copy), "%s", address);
	port = strrchr(copy, ':');
	if (!port)
		return EAI_NONAME;
	*port++ = '\0';
	/* getaddrinfo() takes larger numbers too, and cuts them off. */
	if (!ctl_number(port, UINT16_MAX, &number) || !number)
		return EAI_SERVICE;
	if (*host == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		host++;
	} else if (strchr(host, ':')) {
		return EAI_NONAME;
	}
	return getaddrinfo(host, port, &hints, ret_info);
}

static int listen_on(const struct addrinfo *info)
{
	int one = 1, fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, CONNECTIONS) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int serve(struct server *s, int fd, const char *address)
{
	struct MHD_Daemon *d;
	sigset_t set;
	int sig;

	/* Before the thread begins, so that the signal finds us alone. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, on_request, s,
			     MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
			     MHD_OPTION_CONNECTION_TIMEOUT, SECONDS,
			     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY, MHD_OPTION_END);
	if (!d) {
		ctl_error("--listen=%s: the HTTP server does not start", address);
		close(fd);
		return CTL_FAILED;
	}
	fprintf(stderr, "vgpuctl: serving http://%s/metrics\n", address);
	sigwait(&set, &sig);
	MHD_stop_daemon(d);
	return CTL_OK;
}

int metrics_serve(const struct ctl *ctl, bool per_client, const char *address)
{
	struct ctl quiet = *ctl;
	struct server s = { .ctl = &quiet, .per_client = per_client };
	struct addrinfo *info;
	int fd;

	quiet.quiet = true; /* vgpu_up says so, with every request */
	if (resolve(address, &info)) {
		ctl_error("--listen=%s: want ADDRESS:PORT in numbers, such as 127.0.0.1:9400",
			  address);
		return CTL_USAGE;
	}
	fd = listen_on(info);
	freeaddrinfo(info);
	if (fd < 0) {
		ctl_error("--listen=%s: %s", address, strerror(-fd));
		return CTL_FAILED;
	}
	return serve(&s, fd, address);
}

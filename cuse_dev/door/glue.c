/* SPDX-License-Identifier: MIT */
/*
 * glue.c - libfuse's low-level session, not blocking, in the front's loop.
 *
 * Replies may come long after the request; libfuse allows that from any place. fi->fh carries the
 * session from open to release.
 */
#include "cuse_dev/door/glue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/door/admit.h"
#include "cuse_dev/session/proc.h"

static struct session *session_of(const struct fuse_file_info *fi)
{
	return (struct session *)(uintptr_t)fi->fh;
}

static struct session_caller caller_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct session_caller){ .tid = ctx->pid > 0 ? (uint32_t)ctx->pid : 0,
					.uid = ctx->uid,
					.gid = ctx->gid };
}

/* ---- answers -------------------------------------------------------------------------------- */

static void answer_fail(void *token, int error)
{
	fuse_reply_err(token, error);
}

static void answer_reply(void *token, const void *out, size_t bytes)
{
	fuse_reply_ioctl(token, 0, out, bytes);
}

static void answer_data(void *token, const void *data, size_t bytes)
{
	fuse_reply_buf(token, data, bytes);
}

static void answer_count(void *token, size_t bytes)
{
	fuse_reply_write(token, bytes);
}

static const struct session_answer_ops answers = {
	.fail = answer_fail,
	.reply = answer_reply,
	.data = answer_data,
	.count = answer_count,
};

static struct session_answer answer_to(fuse_req_t req)
{
	return (struct session_answer){ .ops = &answers, .token = req };
}

static void on_interrupt(fuse_req_t req, void *data)
{
	session_interrupt(data, proc_dying(caller_of(req).tid));
}

/*
 * From here the request may be interrupted. An interrupt that came first is handled here: libfuse
 * would call back at once, holding a lock of the request that the reply frees.
 */
static void await(fuse_req_t req, struct pending *p)
{
	if (!p)
		return;
	if (fuse_req_interrupted(req) && session_interrupt(p, proc_dying(caller_of(req).tid)))
		return;
	if (!fuse_req_interrupted(req))
		fuse_req_interrupt_func(req, on_interrupt, p);
}

/* ---- requests ------------------------------------------------------------------------------- */

void glue_open(fuse_req_t req, struct fuse_file_info *fi)
{
	static const int access_of[] = { [O_RDONLY] = 4, [O_WRONLY] = 2, [O_RDWR] = 6 };
	struct door *d = fuse_req_userdata(req);
	struct session_caller who = caller_of(req);
	struct session *s;
	int mode = fi->flags & O_ACCMODE, r;

	r = mode > O_RDWR ? -EINVAL : session_open(d->front, d->device, &who, access_of[mode], &s);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	fi->fh = (uint64_t)(uintptr_t)s;
	fi->direct_io = 1;
	fi->noflush = 1;
	if (fuse_reply_open(req, fi) == -ENOENT) /* the open was interrupted; no release follows */
		session_release(s);
}

void glue_release(fuse_req_t req, struct fuse_file_info *fi)
{
	session_release(session_of(fi));
	fuse_reply_err(req, 0);
}

static void transfer(fuse_req_t req, const char *data, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct session *s = session_of(fi);
	struct session_bulk bulk = { .answer = answer_to(req),
				     .offset = (uint64_t)off,
				     .bytes = (uint32_t)size,
				     .data = data };
	struct session_caller who = caller_of(req);
	int r = session_check_caller(s, &who);

	if (!r && !session_greeted(s))
		r = -EPROTO;
	if (!r && size > UINT32_MAX)
		r = -EINVAL;
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	await(req, session_transfer(s, &bulk));
}

void glue_read(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi)
{
	transfer(req, NULL, size, off, fi);
}

void glue_write(fuse_req_t req, const char *data, size_t size, off_t off, struct fuse_file_info *fi)
{
	transfer(req, data, size, off, fi);
}

void glue_ioctl(fuse_req_t req, uint32_t cmd, struct fuse_file_info *fi, unsigned flags,
		const void *in, size_t in_bytes, size_t out_bytes)
{
	struct admit_request io = { .answer = answer_to(req),
				    .caller = caller_of(req),
				    .cmd = cmd,
				    .in = in,
				    .in_bytes = in_bytes,
				    .out_bytes = out_bytes };

	/* 32-bit callers and unrestricted ioctls would need the other side's pointers. */
	if (flags & (FUSE_IOCTL_COMPAT | FUSE_IOCTL_UNRESTRICTED | FUSE_IOCTL_DIR)) {
		fuse_reply_err(req, flags & FUSE_IOCTL_DIR ? ENOTTY : ENOTSUP);
		return;
	}
	await(req, admit_ioctl(session_of(fi), &io));
}

/* ---- the session in the loop ---------------------------------------------------------------- */

void glue_init(struct fuse_conn_info *conn)
{
	/* Pipes cost more than they save for requests of a few hundred bytes. */
	conn->want &=
		~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->max_background = 64;
}

static void on_request(struct loop_source *src, uint32_t events)
{
	struct door *d = container_of(src, struct door, src);
	int r;

	r = fuse_session_receive_buf(d->se, &d->buf);
	if (r > 0) {
		fuse_session_process_buf(d->se, &d->buf);
		return;
	}
	if (r == -EINTR || r == -EAGAIN)
		return;
	log_error("%s: the node was taken away (%s); ending", d->path,
		  r ? strerror(-r) : "unmounted");
	loop_remove(front_loop(d->front), src);
	front_loop(d->front)->stop = true;
	front_loop(d->front)->error = -ENODEV;
}

/* libfuse's own words; it would write them, and wait, itself. Its levels are syslog's, as ours. */
static void on_fuse_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char text[512];
	size_t n;

	if (level < FUSE_LOG_ERR)
		level = FUSE_LOG_ERR;
	vsnprintf(text, sizeof(text), fmt, ap);
	n = strlen(text);
	while (n && text[n - 1] == '\n')
		text[--n] = 0;
	if (n)
		log_line((enum log_level)level, "libfuse: %s", text);
}

int glue_create(const struct door_ops *ops, struct front *f, uint32_t device, const char *path,
		struct door **ret_door)
{
	struct door *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->ops = ops;
	d->front = f;
	d->device = device;
	d->src.fd = -1;
	d->src.ready = on_request;
	fuse_set_log_func(on_fuse_log);
	d->path = strdup(path);
	if (!d->path) {
		free(d);
		return -ENOMEM;
	}
	*ret_door = d;
	return 0;
}

int glue_start(struct door *d)
{
	int fd = fuse_session_fd(d->se), flags, r;

	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	d->src.fd = fd;
	r = loop_add(front_loop(d->front), &d->src, EPOLLIN);
	if (r < 0)
		d->src.fd = -1;
	return r;
}

void glue_stop(struct door *d)
{
	if (d->src.fd >= 0)
		loop_remove(front_loop(d->front), &d->src);
	d->src.fd = -1;
}

void glue_destroy(struct door *d)
{
	free(d->buf.mem);
	free(d->path);
	free(d);
}

bool door_ready(const struct door *d)
{
	return d->ready;
}

void door_close(struct door *d)
{
	if (d)
		d->ops->close(d);
}

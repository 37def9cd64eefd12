/* SPDX-License-Identifier: MIT */
/*
 * ring.c - streams: commands in, completion out.
 *
 * With shared pages a command is a copy into the ring, one release store, and a futex wake only
 * when the stream's thread sleeps; waiting is a spin of some microseconds before it becomes a
 * sleep, since waking an idle core costs more than most kernels run. Without, the same bytes travel
 * by SUBMIT and the wait is the daemon's.
 *
 * What the worker writes is read once and believed: it can only harm the client it belongs to.
 */
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "libcuda/link/internal.h"

#define SPIN_NS	 50000ull
#define SLEEP_NS 250000000ull /* then look whether there still is somebody to wait for */
#define NONE	 (~0ull)

#define WORKER_SERVES 1 /* worker_alive; everything above means that it has gone */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
}

static void futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void futex_wait(uint32_t *word, uint32_t value, uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000ull),
			       .tv_nsec = (long)(ns % 1000000000ull) };

	syscall(SYS_futex, word, FUTEX_WAIT, value, &ts, NULL, 0);
}

static bool worker_gone(const struct link *l)
{
	return __atomic_load_n(&l->dead, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&l->control->worker_alive, __ATOMIC_ACQUIRE) > WORKER_SERVES;
}

/* ---- life ----------------------------------------------------------------------------------- */

int link_stream_create(struct link_dev *dev, uint32_t ctx, uint32_t ctx_slot, uint32_t flags,
		       int32_t priority, struct link_stream **ret_stream)
{
	struct vgpu_stream_create req = { .ctx = ctx, .flags = flags, .priority = priority };
	struct vgpu_stream_destroy undo = { 0 };
	struct link *l = dev->link;
	struct link_stream *s;
	int r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	r = link_call(dev, VGPU_OP_STREAM_CREATE, &req, sizeof(req));
	if (r < 0)
		goto free_stream;
	r = -EIO;
	if (l->control && req.slot >= VGPU_SHARE_STREAMS)
		goto destroy;

	s->dev = dev;
	s->handle = req.stream;
	s->slot = req.slot;
	s->ctx_slot = ctx_slot;
	if (l->control) {
		s->share = &l->control->stream[req.slot];
		s->ring = (uint8_t *)l->control + VGPU_SHARE_RING_OFF(req.slot);
	}
	pthread_mutex_init(&s->lock, NULL);
	*ret_stream = s;
	return 0;

destroy:
	undo.stream = req.stream;
	link_call(dev, VGPU_OP_STREAM_DESTROY, &undo, sizeof(undo));
free_stream:
	free(s);
	return r;
}

void link_stream_destroy(struct link_stream *s, bool in_daemon)
{
	struct vgpu_stream_destroy req;

	if (!s)
		return;
	if (in_daemon) {
		req = (struct vgpu_stream_destroy){ .stream = s->handle };
		link_call(s->dev, VGPU_OP_STREAM_DESTROY, &req, sizeof(req));
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- submission ----------------------------------------------------------------------------- */

static uint64_t shared_done(const struct link_stream *s)
{
	return __atomic_load_n(&s->share->done_seq, __ATOMIC_ACQUIRE);
}

/* Copies to byte count @at of the ring, around its end if need be. */
static void put(struct link_stream *s, uint64_t at, const void *from, size_t bytes)
{
	size_t off = at % VGPU_RING_BYTES;
	size_t first = VGPU_RING_BYTES - off;

	if (first > bytes)
		first = bytes;
	memcpy(s->ring + off, from, first);
	memcpy(s->ring, (const uint8_t *)from + first, bytes - first);
}

/* Until @bytes fit. A full ring holds commands that are not done, so some completion will come. */
static int make_room(struct link_stream *s, size_t bytes)
{
	for (;;) {
		uint64_t head = __atomic_load_n(&s->share->head, __ATOMIC_ACQUIRE);
		uint64_t done = shared_done(s);
		int r;

		if (s->tail - head > VGPU_RING_BYTES)
			return -EIO;
		if (VGPU_RING_BYTES - (s->tail - head) >= bytes)
			return 0;
		if (done >= s->seq)
			return -EIO;
		r = link_wait(s, done + 1, LINK_FOREVER);
		if (r < 0)
			return r;
	}
}

/* A command on its way: its struct and what stands behind it. */
struct parts {
	const struct vgpu_cmd *cmd;
	const void *body;
	size_t body_bytes;
	size_t padded; /* of all together */
};

static int submit_shared(struct link_stream *s, const struct parts *p)
{
	static const uint8_t zeros[8];
	struct vgpu_cmd head = { .op = p->cmd->op, .bytes = (uint32_t)p->padded };
	size_t used = p->cmd->bytes + p->body_bytes;
	int r;

	if (worker_gone(s->dev->link))
		return -ENODEV;
	r = make_room(s, p->padded);
	if (r < 0)
		return r;
	put(s, s->tail, &head, sizeof(head));
	put(s, s->tail + sizeof(head), p->cmd + 1, p->cmd->bytes - sizeof(head));
	if (p->body_bytes)
		put(s, s->tail + p->cmd->bytes, p->body, p->body_bytes);
	put(s, s->tail + used, zeros, p->padded - used);
	s->tail += p->padded;
	__atomic_store_n(&s->seq, s->seq + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&s->share->tail, s->tail, __ATOMIC_RELEASE);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* The word changes before the wake: see vgpu_share.h. */
	if (__atomic_load_n(&s->share->asleep, __ATOMIC_RELAXED) &&
	    __atomic_exchange_n(&s->share->asleep, 0, __ATOMIC_ACQ_REL))
		futex_wake(&s->share->asleep);
	return 0;
}

static int send_bytes(struct link_stream *s, const uint8_t *from, size_t bytes)
{
	struct vgpu_submit req;
	int r;

	while (bytes) {
		size_t n = bytes < VGPU_SUBMIT_BYTES ? bytes : VGPU_SUBMIT_BYTES;

		req.stream = s->handle;
		req.bytes = (uint32_t)n;
		memcpy(req.data, from, n);
		r = link_call(s->dev, VGPU_OP_SUBMIT, &req, offsetof(struct vgpu_submit, data) + n);
		if (r == -EAGAIN) {
			/* Full: what is in there must be done first, or some of it. */
			r = link_wait(s, __atomic_load_n(&s->done, __ATOMIC_ACQUIRE) + 1,
				      LINK_FOREVER);
			if (!r)
				continue;
		}
		if (r < 0)
			return r;
		from += n;
		bytes -= n;
	}
	return 0;
}

static int submit_by_call(struct link_stream *s, const struct parts *p)
{
	uint8_t small[512], *all = small;
	int r;

	if (p->padded > sizeof(small)) {
		all = malloc(p->padded);
		if (!all)
			return -ENOMEM;
	}
	memset(all + p->padded - 8, 0, 8);
	memcpy(all, p->cmd, p->cmd->bytes);
	if (p->body_bytes)
		memcpy(all + p->cmd->bytes, p->body, p->body_bytes);
	((struct vgpu_cmd *)all)->bytes = (uint32_t)p->padded;
	r = send_bytes(s, all, p->padded);
	if (!r)
		__atomic_store_n(&s->seq, s->seq + 1, __ATOMIC_RELEASE);
	if (all != small)
		free(all);
	return r;
}

/* The caller holds s->lock. */
static int submit(struct link_stream *s, const struct vgpu_cmd *cmd, const void *body,
		  size_t body_bytes, uint64_t *ret_seq)
{
	struct parts p = { .cmd = cmd, .body = body, .body_bytes = body_bytes };
	int r;

	if (cmd->bytes < sizeof(*cmd) || cmd->bytes > VGPU_CMD_MAX_BYTES ||
	    body_bytes > VGPU_CMD_MAX_BYTES)
		return -EINVAL;
	p.padded = (cmd->bytes + body_bytes + 7) & ~(size_t)7;
	if (p.padded > VGPU_CMD_MAX_BYTES)
		return -EINVAL;
	r = s->share ? submit_shared(s, &p) : submit_by_call(s, &p);
	if (!r && ret_seq)
		*ret_seq = s->seq;
	return r;
}

int link_submit_body(struct link_stream *s, const struct vgpu_cmd *cmd, const void *body,
		     size_t body_bytes, uint64_t *ret_seq)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = submit(s, cmd, body, body_bytes, ret_seq);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int link_submit(struct link_stream *s, const struct vgpu_cmd *cmd, uint64_t *ret_seq)
{
	return link_submit_body(s, cmd, NULL, 0, ret_seq);
}

uint64_t link_submitted(const struct link_stream *s)
{
	return __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE);
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* A daemon that was killed cannot say so on the pages: ask the node. */
static int still_there(struct link_stream *s)
{
	struct vgpu_mem_info info;

	if (worker_gone(s->dev->link))
		return -ENODEV;
	if (link_call_raw(s->dev, VGPU_OP_MEM_INFO, &info, sizeof(info)) == -ENODEV) {
		link_mark_dead(s->dev->link);
		return -ENODEV;
	}
	return 0;
}

static bool reached(const uint64_t *counter, uint64_t want)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE) >= want;
}

/*
 * What a host function did comes before what follows its stream's wait; the worker in between is
 * out of the thread sanitizer's sight.
 */
#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define SEEN_BY_WAITERS(s) __tsan_release(s)
#define SEES_HOST_CALLS(s) __tsan_acquire(s)
#else
#define SEEN_BY_WAITERS(s) ((void)(s))
#define SEES_HOST_CALLS(s) ((void)(s))
#endif

/* What is waited for: @seq done, or host token @token reached; NONE for one of them. */
struct goal {
	uint64_t seq, token;
};

static bool met(const struct link_stream *s, const struct goal *g)
{
	return reached(&s->share->done_seq, g->seq) || reached(&s->share->host_token, g->token);
}

static int spin(struct link_stream *s, const struct goal *g, uint64_t start, uint64_t timeout_ns)
{
	uint64_t spent = 0;

	while (spent < SPIN_NS && spent < timeout_ns) {
		for (int i = 0; i < 32; i++) {
			if (met(s, g))
				return 1;
			relax();
		}
		if (worker_gone(s->dev->link))
			return met(s, g) ? 1 : -ENODEV;
		spent = now_ns() - start;
	}
	return 0;
}

static int wait_shared(struct link_stream *s, const struct goal *g, uint64_t timeout_ns)
{
	uint64_t start = now_ns(), spent;
	int r;

	r = spin(s, g, start, timeout_ns);
	if (r)
		return r < 0 ? r : 0;

	__atomic_add_fetch(&s->share->waiters, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		uint32_t word = __atomic_load_n(&s->share->done_word, __ATOMIC_SEQ_CST);
		uint64_t before = now_ns();

		r = 0;
		if (met(s, g))
			break;
		r = -ENODEV;
		if (worker_gone(s->dev->link))
			break;
		r = -ETIMEDOUT;
		spent = before - start;
		if (spent >= timeout_ns)
			break;
		futex_wait(&s->share->done_word, word,
			   timeout_ns - spent < SLEEP_NS ? timeout_ns - spent : SLEEP_NS);
		if (!met(s, g) && now_ns() - before >= SLEEP_NS && still_there(s) < 0) {
			r = -ENODEV;
			break;
		}
	}
	__atomic_sub_fetch(&s->share->waiters, 1, __ATOMIC_SEQ_CST);
	if (r == -ENODEV)
		link_mark_dead(s->dev->link);
	return r;
}

/*
 * WAIT over the node. This one may take for ever, so signals are let through to the program's
 * handlers and the wait starts again.
 */
static int wait_by_call(struct link_stream *s, uint64_t seq, uint64_t token, uint64_t timeout_ns,
			struct vgpu_wait *ret_reply)
{
	struct vgpu_wait req = {
		.stream = s->handle, .seq = seq, .host_token = token, .timeout_ns = timeout_ns
	};
	unsigned long cmd = _IOWR(VGPU_IOC_TYPE, VGPU_OP_WAIT, struct vgpu_wait);

	if (__atomic_load_n(&s->dev->link->dead, __ATOMIC_ACQUIRE))
		return -ENODEV;
	while (ioctl(s->dev->fd, cmd, &req) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != ENODEV && errno != ENOTCONN && errno != ECONNABORTED)
			return -errno;
		link_mark_dead(s->dev->link);
		return -ENODEV;
	}
	/* The error first: another thread that sees the commands done must see it too. */
	if (req.error)
		__atomic_store_n(&s->error, req.error, __ATOMIC_RELEASE);
	__atomic_store_n(&s->done, req.done_seq, __ATOMIC_RELEASE);
	__atomic_store_n(&s->done_token, req.done_token, __ATOMIC_RELEASE);
	*ret_reply = req;
	return 0;
}

int link_done(struct link_stream *s, uint64_t seq)
{
	struct vgpu_wait reply;
	int r;

	if (s->share) {
		if (reached(&s->share->done_seq, seq))
			return 1;
		return worker_gone(s->dev->link) ? -ENODEV : 0;
	}
	if (reached(&s->done, seq))
		return 1;
	r = wait_by_call(s, seq, NONE, 0, &reply);
	return r < 0 ? r : reply.done_seq >= seq;
}

/*
 * Without shared pages WAIT also returns on a sticky error, while commands that complete without
 * running are still on their way: look again, at intervals that grow.
 */
static int wait_reply(struct link_stream *s, uint64_t seq, uint64_t token, uint64_t timeout_ns)
{
	uint64_t start = now_ns(), pause_ns = 20000;
	struct vgpu_wait reply;
	int r;

	for (;;) {
		uint64_t spent = now_ns() - start;
		uint64_t left = timeout_ns == LINK_FOREVER ? LINK_FOREVER
				: spent >= timeout_ns	   ? 0
							   : timeout_ns - spent;

		r = wait_by_call(s, seq, token, left, &reply);
		if (r < 0)
			return r;
		if (seq != NONE && reply.done_seq >= seq)
			return 0;
		if (token != NONE && reply.done_token >= token)
			return 0;
		if (!left)
			return -ETIMEDOUT;
		if (reply.error) {
			struct timespec ts = { .tv_nsec = (long)pause_ns };

			nanosleep(&ts, NULL);
			if (pause_ns < 10000000)
				pause_ns *= 2;
		}
	}
}

int link_wait(struct link_stream *s, uint64_t seq, uint64_t timeout_ns)
{
	struct goal g = { .seq = seq, .token = NONE };

	int r;

	if (s->share)
		r = met(s, &g) ? 0 : wait_shared(s, &g, timeout_ns);
	else
		r = reached(&s->done, seq) ? 0 : wait_reply(s, seq, NONE, timeout_ns);
	SEES_HOST_CALLS(s);
	return r;
}

uint32_t link_stream_error(struct link_stream *s)
{
	if (s->share)
		return link_ctx_error(s->dev->link, s->ctx_slot);
	return __atomic_load_n(&s->error, __ATOMIC_ACQUIRE);
}

/* ---- host calls ----------------------------------------------------------------------------- */

int link_host_call(struct link_stream *s, uint64_t *ret_token, uint64_t *ret_seq)
{
	struct vgpu_cmd_host_call cmd = {
		.head = { .op = VGPU_CMD_HOST_CALL, .bytes = sizeof(cmd) },
	};
	int r;

	pthread_mutex_lock(&s->lock);
	cmd.token = s->token + 1;
	r = submit(s, &cmd.head, NULL, 0, ret_seq);
	if (!r) {
		s->token++;
		*ret_token = s->token;
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

int link_wait_token(struct link_stream *s, uint64_t token, uint64_t seq, uint64_t timeout_ns)
{
	struct goal g = { .seq = seq, .token = token };

	if (!s->share)
		return wait_reply(s, seq, token, timeout_ns);
	return met(s, &g) ? 0 : wait_shared(s, &g, timeout_ns);
}

bool link_at_token(struct link_stream *s, uint64_t token)
{
	return reached(s->share ? &s->share->host_token : &s->done_token, token);
}

int link_host_done(struct link_stream *s, uint64_t token)
{
	struct vgpu_host_done req = { .stream = s->handle, .token = token };

	SEEN_BY_WAITERS(s);
	if (!s->share)
		return link_call(s->dev, VGPU_OP_HOST_DONE, &req, sizeof(req));
	__atomic_store_n(&s->share->host_ack, token, __ATOMIC_RELEASE);
	__atomic_add_fetch(&s->share->host_word, 1, __ATOMIC_SEQ_CST);
	futex_wake(&s->share->host_word);
	return 0;
}

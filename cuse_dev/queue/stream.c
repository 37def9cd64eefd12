/* SPDX-License-Identifier: MIT */
/*
 * stream.c - the thread of a stream and its ring.
 *
 *   open ──close──▶ closing ──ring empty──▶ finished ──reap──▶ gone
 *
 * The ring's bytes and tail belong to the client and may be anything at any time: tail is read once
 * per look, a command is copied before it is checked.
 */
#include "cuse_dev/queue/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/limits.h"

#define ERROR_LAUNCH_FAILED   719 /* CUresult */
#define ERROR_ILLEGAL_ADDRESS 700

#define SPIN_MIN_NS   (QUEUE_SPIN_NS / 8)
#define SPIN_MAX_NS   (QUEUE_SPIN_NS * 4) /* a client that slept needs about this long to go on */
#define PREEMPTED_NS  200000u		  /* between two looks: someone else wants this CPU */
#define MISSES	      3	 /* in a row: the client cannot run while we spin, or is slow */
#define CROWDED_WAITS 64 /* so many waits spin but shortly after either */
#define FIRST_NAP_NS  10000000u
#define THREAD_STACK  (4u << 20)

/* ------------------------------------------------------------------------------ publication */

static void publish(struct queue_stream *s)
{
	__atomic_store_n(&s->share->done_word, ++s->done_word, __ATOMIC_SEQ_CST);
	atomic_thread_fence(memory_order_seq_cst);
	if (__atomic_load_n(&s->share->waiters, __ATOMIC_RELAXED))
		queue_futex_wake(&s->share->done_word);
	queue_progress(s->q);
}

static void publish_done(struct queue_stream *s)
{
	uint64_t seq = atomic_load(&s->done_seq) + 1;

	__atomic_store_n(&s->share->done_seq, seq, __ATOMIC_RELEASE);
	atomic_store(&s->done_seq, seq);
	publish(s);
}

void queue_stream_publish_host(struct queue_stream *s, uint64_t token)
{
	__atomic_store_n(&s->share->host_token, token, __ATOMIC_RELEASE);
	atomic_store(&s->host_token, token);
	publish(s);
}

/* ------------------------------------------------------------------------------ ring, reading */

/* Bytes that may be taken; -EPROTO when tail is impossible. */
static int64_t available(struct queue_stream *s)
{
	bool closing = atomic_load(&s->closing); /* before tail: nothing in front of it is missed */
	uint64_t tail = __atomic_load_n(&s->share->tail, __ATOMIC_ACQUIRE);

	if (closing)
		tail = s->close_tail;
	if (tail - s->head > VGPU_RING_BYTES)
		return -EPROTO;
	return (int64_t)(tail - s->head);
}

/* Whether there is a reason not to sleep for @want bytes. */
static bool awake(struct queue_stream *s, uint32_t want)
{
	int64_t n = available(s);

	return n < 0 || n >= want || atomic_load(&s->closing);
}

static bool spin(struct queue_stream *s, uint32_t want)
{
	uint64_t now = queue_now_ns(), before;
	uint64_t until = now + (s->crowded ? SPIN_MIN_NS : s->spin_ns);
	bool ok = false;
	int i;

	if (!queue_spin_begin(s->q))
		return awake(s, want);
	if (s->crowded)
		s->crowded--;
	else
		s->misses++;
	do {
		for (i = 0; i < 32 && !ok; i++) {
			ok = awake(s, want);
			queue_pause();
		}
		before = now;
		now = queue_now_ns();
		if (now - before > PREEMPTED_NS)
			s->crowded = CROWDED_WAITS;
	} while (!ok && now < until);
	queue_spin_end(s->q);
	if (ok) {
		s->misses = 0;
	} else if (s->misses >= MISSES) {
		s->misses = 0;
		s->crowded = CROWDED_WAITS;
	}
	return ok;
}

static void sleep_for_bytes(struct queue_stream *s, uint32_t want)
{
	/* A client that wakes without clearing the word can only be missed just before a sleep. */
	uint64_t nap = FIRST_NAP_NS;

	for (;;) {
		__atomic_store_n(&s->share->asleep, 1, __ATOMIC_SEQ_CST);
		atomic_thread_fence(memory_order_seq_cst);
		if (awake(s, want))
			break;
		queue_futex_wait(&s->share->asleep, 1, nap);
		nap = 0;
	}
	__atomic_store_n(&s->share->asleep, 0, __ATOMIC_RELAXED);
}

/* Wait until @want bytes are there. -ESHUTDOWN: closing and there will not be more. */
static int wait_for_bytes(struct queue_stream *s, uint32_t want)
{
	uint64_t begin, gap;
	int64_t n;

	if (!awake(s, want)) {
		begin = queue_now_ns();
		if (!spin(s, want)) {
			sleep_for_bytes(s, want);
			/*
			 * Spin next time as long as it would have paid this time. Otherwise two
			 * sides that have once fallen asleep wake each other for ever.
			 */
			gap = queue_now_ns() - begin;
			if (gap < SPIN_MAX_NS)
				s->spin_ns =
					gap + gap / 2 < SPIN_MAX_NS ? gap + gap / 2 : SPIN_MAX_NS;
			else if (s->spin_ns > SPIN_MIN_NS)
				s->spin_ns /= 2;
		}
	}
	n = available(s);
	if (n < 0)
		return (int)n;
	return n >= want ? 0 : -ESHUTDOWN;
}

static void copy_out(struct queue_stream *s, void *to, uint32_t off, uint32_t bytes)
{
	uint32_t at = (uint32_t)((s->head + off) % VGPU_RING_BYTES);
	uint32_t first = VGPU_RING_BYTES - at < bytes ? VGPU_RING_BYTES - at : bytes;

	memcpy(to, s->ring + at, first);
	memcpy((uint8_t *)to + first, s->ring, bytes - first);
}

/* The next command, complete and private in s->cmd. */
static int take_command(struct queue_stream *s)
{
	struct vgpu_cmd head;
	int r;

	r = wait_for_bytes(s, sizeof(head));
	if (r < 0)
		return r;
	copy_out(s, &head, 0, sizeof(head));
	if (head.bytes < sizeof(head) || head.bytes % 8 || head.bytes > VGPU_CMD_MAX_BYTES)
		return -EPROTO;
	r = wait_for_bytes(s, head.bytes);
	if (r < 0)
		return r;
	memcpy(s->cmd, &head, sizeof(head));
	copy_out(s, s->cmd + sizeof(head), sizeof(head), head.bytes - (uint32_t)sizeof(head));
	s->head += head.bytes;
	__atomic_store_n(&s->share->head, s->head, __ATOMIC_RELEASE);
	return 0;
}

/* -------------------------------------------------------------------------------- the thread */

bool queue_stream_dead(const struct queue_stream *s)
{
	return atomic_load(&s->cut) || queue_ctx_error(s->ctx);
}

static void run(struct queue_stream *s)
{
	const struct vgpu_cmd *cmd = (const struct vgpu_cmd *)s->cmd;
	int r;

	/* A record is bookkeeping; other contexts may wait for it. */
	if (queue_stream_dead(s) && cmd->op != VGPU_CMD_EVENT_RECORD)
		return;
	r = queue_command_run(s, cmd);
	if (r == -EFAULT)
		queue_ctx_refuse(s->ctx, ERROR_ILLEGAL_ADDRESS,
				 "a command touches memory that is not mapped");
	else if (r < 0)
		queue_ctx_refuse(s->ctx, ERROR_LAUNCH_FAILED,
				 "a command is malformed or names an unknown object");
}

static void *stream_main(void *arg)
{
	struct queue_stream *s = arg;
	int r;

	for (;;) {
		r = take_command(s);
		if (r < 0)
			break;
		run(s);
		publish_done(s);
	}
	if (r == -EPROTO) {
		atomic_store(&s->broken, true);
		queue_ctx_refuse(s->ctx, ERROR_LAUNCH_FAILED, "the command ring is corrupt");
	}
	atomic_store(&s->finished, true);
	publish(s);
	return NULL;
}

static int start(struct queue_stream *s)
{
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	r = pthread_create(&s->thread, &attr, stream_main, s);
	pthread_attr_destroy(&attr);
	if (r)
		return -ENOMEM;
	s->started = true;
	return 0;
}

/* ------------------------------------------------------------------------- from the dispatcher */

int queue_stream_create(struct queue *q, struct queue_ctx *c, int32_t priority, uint32_t *ret_id,
			uint32_t *ret_slot)
{
	struct queue_stream *s;
	uint32_t slot;
	int r;

	for (slot = 0; slot < LIMIT_STREAMS && q->by_slot[slot]; slot++)
		;
	if (slot == LIMIT_STREAMS)
		return -ENOMEM;
	s = aligned_alloc(64, (sizeof(*s) + 63) & ~(size_t)63);
	if (!s)
		return -ENOMEM;
	memset(s, 0, offsetof(struct queue_stream, cmd));
	s->q = q;
	s->ctx = c;
	s->slot = slot;
	s->priority = priority;
	s->spin_ns = QUEUE_SPIN_NS;
	s->share = &q->control->stream[slot];
	s->ring = (uint8_t *)q->control + VGPU_SHARE_RING_OFF(slot);
	memset(s->share, 0, sizeof(*s->share));

	pthread_mutex_lock(&q->lock);
	r = idtab_add(&q->streams, s, &s->id);
	if (r == 0)
		q->by_slot[slot] = s;
	pthread_mutex_unlock(&q->lock);
	if (r < 0)
		goto free_stream;
	atomic_fetch_add(&c->streams, 1);
	/* Only its own thread sees when a client writes to a shared ring. */
	r = q->shared ? start(s) : 0;
	if (r < 0)
		goto forget;
	*ret_id = s->id;
	*ret_slot = slot;
	return 0;

forget:
	atomic_fetch_sub(&c->streams, 1);
	pthread_mutex_lock(&q->lock);
	idtab_remove(&q->streams, s->id);
	q->by_slot[slot] = NULL;
	pthread_mutex_unlock(&q->lock);
free_stream:
	free(s);
	return r == -ENOSPC ? -ENOMEM : r;
}

void queue_stream_kick(struct queue_stream *s)
{
	__atomic_store_n(&s->share->asleep, 0, __ATOMIC_SEQ_CST);
	queue_futex_wake(&s->share->asleep);
	/* A bit that the client's own counting does not reach. */
	__atomic_xor_fetch(&s->share->host_word, 1u << 31, __ATOMIC_SEQ_CST);
	queue_futex_wake(&s->share->host_word);
}

/* A stream that is not closed yet. */
static struct queue_stream *find(struct queue *q, uint32_t id)
{
	struct queue_stream *s;

	pthread_mutex_lock(&q->lock);
	s = idtab_get(&q->streams, id);
	pthread_mutex_unlock(&q->lock);
	return s && !atomic_load(&s->closing) ? s : NULL;
}

int queue_stream_sms(struct queue *q, uint32_t id, uint32_t sms)
{
	struct queue_stream *s = find(q, id);

	if (!s)
		return -EBADF;
	if (!sms || sms > s->ctx->device.sm_count)
		return -EINVAL;
	atomic_store(&s->sms, sms);
	return 0;
}

int queue_stream_close(struct queue *q, uint32_t id)
{
	struct queue_stream *s = find(q, id);

	if (!s)
		return -EBADF;
	s->close_tail = __atomic_load_n(&s->share->tail, __ATOMIC_ACQUIRE);
	atomic_store(&s->closing, true);
	atomic_fetch_add(&q->draining, 1);
	if (!s->started)
		atomic_store(&s->finished, true);
	queue_stream_kick(s);
	return 0;
}

void queue_reap(struct queue *q)
{
	uint32_t slot;

	if (!atomic_load(&q->draining))
		return;
	for (slot = 0; slot < VGPU_SHARE_STREAMS; slot++) {
		struct queue_stream *s = q->by_slot[slot];

		if (!s || !atomic_load(&s->closing) || !atomic_load(&s->finished))
			continue;
		pthread_mutex_lock(&q->lock);
		if (s->holds) {
			s = NULL; /* a waiting stream is about to see that it finished */
		} else {
			idtab_remove(&q->streams, s->id);
			q->by_slot[slot] = NULL;
		}
		pthread_mutex_unlock(&q->lock);
		if (!s)
			continue;
		if (s->started)
			pthread_join(s->thread, NULL);
		atomic_fetch_sub(&s->ctx->streams, 1);
		atomic_fetch_sub(&q->draining, 1);
		free(s);
	}
}

int queue_submit(struct queue *q, uint32_t id, const void *data, uint32_t bytes)
{
	struct queue_stream *s = find(q, id);
	uint64_t tail, head;
	uint32_t at, first;
	int r;

	if (!s)
		return -EBADF;
	if (q->shared)
		return -EBUSY;
	if (atomic_load(&s->finished))
		return 0; /* its ring broke; the error stands on the context */
	head = __atomic_load_n(&s->share->head, __ATOMIC_ACQUIRE);
	tail = s->share->tail; /* private memory: only this thread writes it */
	if (VGPU_RING_BYTES - (tail - head) < bytes)
		return -EAGAIN;
	if (!s->started) {
		r = start(s);
		if (r < 0)
			return r;
	}
	at = (uint32_t)(tail % VGPU_RING_BYTES);
	first = VGPU_RING_BYTES - at < bytes ? VGPU_RING_BYTES - at : bytes;
	memcpy(s->ring + at, data, first);
	memcpy(s->ring, (const uint8_t *)data + first, bytes - first);
	__atomic_store_n(&s->share->tail, tail + bytes, __ATOMIC_RELEASE);
	atomic_thread_fence(memory_order_seq_cst);
	if (__atomic_exchange_n(&s->share->asleep, 0, __ATOMIC_SEQ_CST))
		queue_futex_wake(&s->share->asleep);
	return 0;
}

int queue_host_done(struct queue *q, uint32_t id, uint64_t token)
{
	struct queue_stream *s = find(q, id);

	if (!s)
		return -EBADF;
	if (token > atomic_load(&s->host_token))
		return -EINVAL;
	if (token > __atomic_load_n(&s->share->host_ack, __ATOMIC_RELAXED))
		__atomic_store_n(&s->share->host_ack, token, __ATOMIC_RELEASE);
	__atomic_add_fetch(&s->share->host_word, 1, __ATOMIC_SEQ_CST);
	queue_futex_wake(&s->share->host_word);
	return 0;
}

int queue_stream_state(struct queue *q, uint32_t id, struct vgpu_wait *ret_state)
{
	struct queue_stream *s = find(q, id);

	if (!s)
		return -EBADF;
	ret_state->done_seq = atomic_load(&s->done_seq);
	ret_state->done_token = atomic_load(&s->host_token);
	/* Last: who sees a faulty command done must see its error. */
	ret_state->error = queue_ctx_error(s->ctx);
	return 0;
}

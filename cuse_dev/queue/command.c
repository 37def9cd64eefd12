/* SPDX-License-Identifier: MIT */
/*
 * command.c - what each command of VGPU_CMDS does. Commands are private copies here.
 */
#include "cuse_dev/queue/state.h"

#include <errno.h>

#define HOST_GRACE_NS (5ull * 1000000000)

typedef int command_fn(struct queue_stream *s, const void *cmd);

static int run_nop(struct queue_stream *s, const struct vgpu_cmd_nop *c)
{
	return 0;
}

static int run_launch(struct queue_stream *s, const struct vgpu_cmd_launch *c)
{
	return queue_launch(s, c);
}

static int run_copy(struct queue_stream *s, const struct vgpu_cmd_copy *c)
{
	int r;

	queue_meter_begin(s->ctx, METER_COPY);
	r = mem_copy(s->q->mem, c->dst, c->src, c->bytes);
	queue_meter_end(s->ctx, METER_COPY);
	if (r == 0)
		queue_meter_moved(s->ctx, c->dst, c->src, c->bytes);
	return r;
}

static int run_copy_rect(struct queue_stream *s, const struct vgpu_cmd_copy_rect *c)
{
	int r;

	queue_meter_begin(s->ctx, METER_COPY);
	r = mem_copy_rect(s->q->mem, c);
	queue_meter_end(s->ctx, METER_COPY);
	if (r == 0)
		queue_meter_moved(s->ctx, c->dst, c->src, c->width * c->height * c->depth);
	return r;
}

static int run_fill(struct queue_stream *s, const struct vgpu_cmd_fill *c)
{
	int r;

	queue_meter_begin(s->ctx, METER_COPY);
	r = mem_fill(s->q->mem, c);
	queue_meter_end(s->ctx, METER_COPY);
	if (r == 0)
		queue_meter_moved(s->ctx, c->dst, 0, c->width * c->height * c->element);
	return r;
}

static int run_event_record(struct queue_stream *s, const struct vgpu_cmd_event_record *c)
{
	if (c->slot >= VGPU_SHARE_EVENTS || c->pad)
		return -EINVAL;
	queue_record(s->q, c->slot, c->gen);
	return 0;
}

struct event_wait {
	struct queue_stream *s;
	const struct vgpu_cmd_event_wait *c;
};

static bool event_reached(void *arg)
{
	const struct event_wait *w = arg;

	return atomic_load(&w->s->q->event[w->c->slot].gen) >= w->c->gen || queue_stream_dead(w->s);
}

static int run_event_wait(struct queue_stream *s, const struct vgpu_cmd_event_wait *c)
{
	struct event_wait w = { s, c };

	if (c->slot >= VGPU_SHARE_EVENTS || c->pad)
		return -EINVAL;
	queue_wait(s->q, event_reached, &w, 0);
	return 0;
}

struct stream_wait {
	struct queue_stream *s, *target;
	uint64_t seq;
};

static bool stream_reached(void *arg)
{
	const struct stream_wait *w = arg;

	return atomic_load(&w->target->done_seq) >= w->seq || atomic_load(&w->target->finished) ||
	       queue_stream_dead(w->s);
}

static int run_stream_wait(struct queue_stream *s, const struct vgpu_cmd_stream_wait *c)
{
	struct stream_wait w = { .s = s, .seq = c->seq };

	if (c->pad)
		return -EINVAL;
	pthread_mutex_lock(&s->q->lock);
	w.target = idtab_get(&s->q->streams, c->stream);
	if (w.target)
		w.target->holds++;
	pthread_mutex_unlock(&s->q->lock);
	if (!w.target)
		return 0; /* destroyed: all it had is done */

	if (w.target != s)
		queue_wait(s->q, stream_reached, &w, 0);

	pthread_mutex_lock(&s->q->lock);
	w.target->holds--;
	pthread_mutex_unlock(&s->q->lock);
	/* It could not be reaped meanwhile. */
	queue_progress(s->q);
	if (w.target == s && c->seq > atomic_load(&s->done_seq))
		return -EINVAL; /* waits for itself */
	return 0;
}

static int run_host_call(struct queue_stream *s, const struct vgpu_cmd_host_call *c)
{
	struct vgpu_share_stream *share = s->share;
	uint64_t until, now;
	uint32_t word;

	if (c->token <= atomic_load(&s->host_token) || c->token == UINT64_MAX)
		return -EINVAL;
	queue_stream_publish_host(s, c->token);
	if (queue_spin_begin(s->q)) {
		until = queue_now_ns() + QUEUE_SPIN_NS / 2;
		while (__atomic_load_n(&share->host_ack, __ATOMIC_ACQUIRE) < c->token &&
		       queue_now_ns() < until)
			queue_pause();
		queue_spin_end(s->q);
	}
	for (until = 0;;) {
		word = __atomic_load_n(&share->host_word, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&share->host_ack, __ATOMIC_ACQUIRE) >= c->token ||
		    queue_stream_dead(s))
			return 0;
		/* A client that destroyed the stream may have forgotten the call, too. */
		now = queue_now_ns();
		if (!until && atomic_load(&s->closing))
			until = now + HOST_GRACE_NS;
		if (until && now >= until)
			return 0;
		queue_futex_wait(&share->host_word, word, until ? until - now : 0);
	}
}

static int run_value_write(struct queue_stream *s, const struct vgpu_cmd_value_write *c)
{
	int r;

	if (c->pad)
		return -EINVAL;
	r = mem_store(s->q->mem, c->va, c->bytes, c->value);
	if (r == 0)
		queue_progress(s->q);
	return r;
}

struct value_wait {
	struct queue_stream *s;
	const struct vgpu_cmd_value_wait *c;
	int r;
};

static bool value_holds(uint64_t have, const struct vgpu_cmd_value_wait *c)
{
	uint64_t mask = c->bytes == 4 ? UINT32_MAX : UINT64_MAX;

	switch (c->flags) {
	case 0: /* GEQ, cyclic */
		return c->bytes == 4 ? (int32_t)((uint32_t)have - (uint32_t)c->value) >= 0
				     : (int64_t)(have - c->value) >= 0;
	case 1:
		return (have & mask) == (c->value & mask);
	case 2:
		return (have & c->value & mask) != 0;
	default: /* NOR */
		return (~(have | c->value) & mask) != 0;
	}
}

static bool value_reached(void *arg)
{
	struct value_wait *w = arg;
	uint64_t have;

	w->r = mem_load(w->s->q->mem, w->c->va, w->c->bytes, &have);
	return w->r < 0 || value_holds(have, w->c) || queue_stream_dead(w->s);
}

static int run_value_wait(struct queue_stream *s, const struct vgpu_cmd_value_wait *c)
{
	struct value_wait w = { .s = s, .c = c };

	if (c->flags > 3)
		return -EINVAL;
	/* Memory changes without a word; looking again is all there is. */
	queue_wait(s->q, value_reached, &w, 200000);
	return w.r;
}

static int run_graph_run(struct queue_stream *s, const struct vgpu_cmd_graph_run *c)
{
	return c->pad ? -EINVAL : queue_graph_run(s, c);
}

/* Where it leads, and what is a task, is known in a graph only. */
static int run_branch(struct queue_stream *s, const struct vgpu_cmd_branch *c)
{
	return -EINVAL;
}

static int run_task(struct queue_stream *s, const struct vgpu_cmd_task *c)
{
	return -EINVAL;
}

#define X(nr, NAME, name)                                                                          \
	static int call_##name(struct queue_stream *s, const void *cmd)                            \
	{                                                                                          \
		return run_##name(s, cmd);                                                         \
	}
VGPU_CMDS(X)
#undef X

static const struct {
	uint32_t bytes;
	command_fn *run;
} commands[] = {
#define X(nr, NAME, name) [nr] = { sizeof(struct vgpu_cmd_##name), call_##name },
	VGPU_CMDS(X)
#undef X
};

/* Header, struct and, where there is one, what follows it, padded. */
static bool size_fits(const struct vgpu_cmd *cmd, uint32_t bytes)
{
	uint64_t more = 0;

	if (cmd->bytes < bytes)
		return false;
	if (cmd->op == VGPU_CMD_LAUNCH)
		more = ((const struct vgpu_cmd_launch *)cmd)->param_bytes;
	else if (cmd->op == VGPU_CMD_TASK)
		more = ((const struct vgpu_cmd_task *)cmd)->deps * sizeof(uint32_t);
	return cmd->bytes == ((bytes + more + 7) & ~7ull);
}

bool queue_command_fits(const struct vgpu_cmd *cmd)
{
	return cmd->op < sizeof(commands) / sizeof(commands[0]) && commands[cmd->op].run &&
	       size_fits(cmd, commands[cmd->op].bytes);
}

int queue_command_run(struct queue_stream *s, const struct vgpu_cmd *cmd)
{
	return queue_command_fits(cmd) ? commands[cmd->op].run(s, cmd) : -EINVAL;
}

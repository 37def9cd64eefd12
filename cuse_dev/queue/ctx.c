/* SPDX-License-Identifier: MIT */
/*
 * ctx.c - a context as its commands see it: the sticky error, what kernels are given (console,
 * heap, stack), and its end.
 */
#include "cuse_dev/queue/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/limits.h"

#define STACK_DEFAULT 1024u
#define HEAP_DEFAULT  (8u << 20)
#define HEAP_MAX      (1ull << 40)

/* A closed context's waits end after the first time, its kernels after the second. */
#define CUT_WAITS_NS   (5ull * 1000000000)
#define CUT_KERNELS_NS (30ull * 1000000000)

int queue_ctx_create(struct queue *q, const struct queue_device *device, struct queue_ctx **ret_ctx)
{
	struct queue_ctx *c;
	uint32_t slot;
	int r;

	for (slot = 0; slot < LIMIT_CONTEXTS && q->ctx_slot[slot]; slot++)
		;
	if (slot == LIMIT_CONTEXTS)
		return -ENOMEM;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	r = console_create(LIMIT_CONSOLE_BYTES, &c->console);
	if (r < 0) {
		free(c);
		return r;
	}
	c->q = q;
	c->device = *device;
	c->slot = slot;
	c->limit[QUEUE_LIMIT_STACK] = STACK_DEFAULT;
	c->limit[QUEUE_LIMIT_CONSOLE] = LIMIT_CONSOLE_BYTES;
	c->limit[QUEUE_LIMIT_HEAP] = HEAP_DEFAULT;
	pthread_mutex_init(&c->lock, NULL);
	q->ctx_slot[slot] = c;
	__atomic_store_n(&q->control->ctx[slot].error, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&q->control->ctx[slot].console, 0, __ATOMIC_RELEASE);
	*ret_ctx = c;
	return 0;
}

void queue_ctx_destroy(struct queue_ctx *c)
{
	if (!c)
		return;
	queue_graph_drop(c);
	mem_owner_fini(c->q->mem, &c->owner);
	console_destroy(c->console);
	c->q->ctx_slot[c->slot] = NULL;
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* The streams of @c, one after the other; queue.lock is held. */
static struct queue_stream *next_stream(struct queue_ctx *c, uint32_t *pos)
{
	while (*pos < VGPU_SHARE_STREAMS) {
		struct queue_stream *s = c->q->by_slot[(*pos)++];

		if (s && s->ctx == c)
			return s;
	}
	return NULL;
}

void queue_ctx_close(struct queue_ctx *c)
{
	struct queue_stream *s;
	uint32_t pos = 0, id;

	c->closed_ns = queue_now_ns();
	for (;;) {
		pthread_mutex_lock(&c->q->lock);
		do
			s = next_stream(c, &pos);
		while (s && atomic_load(&s->closing));
		id = s ? s->id : 0;
		pthread_mutex_unlock(&c->q->lock);
		if (!s)
			return;
		queue_stream_close(c->q, id);
	}
}

void queue_ctx_cut(struct queue_ctx *c, int level)
{
	struct queue_stream *s;
	uint32_t pos = 0;

	if (level <= c->cut)
		return;
	c->cut = level;
	pthread_mutex_lock(&c->q->lock);
	while ((s = next_stream(c, &pos))) {
		atomic_store(&s->cut, true);
		if (level > 1)
			atomic_store(&s->cancel, 1);
		queue_stream_kick(s);
	}
	pthread_mutex_unlock(&c->q->lock);
	queue_progress(c->q);
}

bool queue_ctx_settle(struct queue_ctx *c, uint64_t *ret_when_ns)
{
	uint64_t age;

	if (!atomic_load(&c->streams))
		return true;
	age = queue_now_ns() - c->closed_ns;
	if (age >= CUT_WAITS_NS)
		queue_ctx_cut(c, age >= CUT_KERNELS_NS ? 2 : 1);
	*ret_when_ns = c->closed_ns + (age < CUT_WAITS_NS     ? CUT_WAITS_NS
				       : age < CUT_KERNELS_NS ? CUT_KERNELS_NS
							      : age + CUT_WAITS_NS);
	return false;
}

uint32_t queue_ctx_slot(const struct queue_ctx *c)
{
	return c->slot;
}

struct mem_owner *queue_ctx_owner(struct queue_ctx *c)
{
	return &c->owner;
}

uint32_t queue_ctx_error(const struct queue_ctx *c)
{
	return atomic_load(&c->error);
}

void queue_ctx_fault(struct queue_ctx *c, const struct backend_fault *fault, const char *kernel)
{
	struct queue_stream *s;
	uint32_t pos = 0;
	bool first;

	pthread_mutex_lock(&c->lock);
	first = !c->status.error;
	if (first) {
		memcpy(c->status.ctaid, fault->ctaid, sizeof(c->status.ctaid));
		memcpy(c->status.tid, fault->tid, sizeof(c->status.tid));
		c->status.error = fault->error;
		c->status.address = fault->address;
		c->status.line = fault->line;
		snprintf(c->status.kernel, sizeof(c->status.kernel), "%s", kernel);
		snprintf(c->status.what, sizeof(c->status.what), "%s", fault->what);
		atomic_store(&c->error, fault->error);
		__atomic_store_n(&c->q->control->ctx[c->slot].error, fault->error,
				 __ATOMIC_RELEASE);
		queue_meter_fault(c, &c->status);
	}
	pthread_mutex_unlock(&c->lock);
	if (!first)
		return;
	/* Its other streams must not go on waiting. */
	pthread_mutex_lock(&c->q->lock);
	while ((s = next_stream(c, &pos)))
		queue_stream_kick(s);
	pthread_mutex_unlock(&c->q->lock);
	queue_progress(c->q);
}

void queue_ctx_refuse(struct queue_ctx *c, uint32_t error, const char *what)
{
	struct backend_fault fault = { .error = error };

	snprintf(fault.what, sizeof(fault.what), "%s", what);
	queue_ctx_fault(c, &fault, "");
}

void queue_ctx_status(struct queue_ctx *c, struct vgpu_ctx_status *ret_status)
{
	uint32_t ctx = ret_status->ctx;

	pthread_mutex_lock(&c->lock);
	*ret_status = c->status;
	pthread_mutex_unlock(&c->lock);
	ret_status->ctx = ctx;
}

uint64_t queue_ctx_limit(struct queue_ctx *c, enum queue_limit limit)
{
	uint64_t value;

	pthread_mutex_lock(&c->lock);
	value = c->limit[limit];
	pthread_mutex_unlock(&c->lock);
	return value;
}

/* A heap whose head is still zero has never been used by malloc in a kernel. */
static bool heap_untouched(const struct queue_ctx *c)
{
	static const char zero[64];

	return !c->heap_va || memcmp((const void *)c->heap_va, zero, sizeof(zero)) == 0;
}

static int set_heap(struct queue_ctx *c, uint64_t value)
{
	if (value > HEAP_MAX || c->running || !heap_untouched(c))
		return -EINVAL;
	if (c->heap_va)
		mem_free(c->q->mem, c->heap_va);
	c->heap_va = 0;
	c->heap_bytes = 0;
	c->launched = false; /* the next launch allocates anew */
	return 0;
}

static int set_console(struct queue_ctx *c, uint64_t value)
{
	struct backend_console *fresh;
	int r;

	if (!value || value > LIMIT_CONSOLE_BYTES_MAX || c->running || console_pending(c->console))
		return -EINVAL;
	r = console_create(value, &fresh);
	if (r < 0)
		return r;
	console_destroy(c->console);
	c->console = fresh;
	return 0;
}

int queue_ctx_set_limit(struct queue_ctx *c, enum queue_limit limit, uint64_t value)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (value == c->limit[limit])
		goto unlock;
	switch (limit) {
	case QUEUE_LIMIT_STACK:
		value = (value + 15) & ~15ull;
		r = value && value <= LIMIT_STACK_BYTES_MAX ? 0 : -EINVAL;
		break;
	case QUEUE_LIMIT_CONSOLE:
		r = set_console(c, value);
		break;
	case QUEUE_LIMIT_HEAP:
		r = set_heap(c, value);
		break;
	default:
		r = -EINVAL;
	}
	if (r == 0)
		c->limit[limit] = value;
unlock:
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* How much text waits, for the client to see; c->lock is held. */
static void publish_console(struct queue_ctx *c)
{
	size_t n = console_pending(c->console);

	__atomic_store_n(&c->q->control->ctx[c->slot].console,
			 n > UINT32_MAX ? UINT32_MAX : (uint32_t)n, __ATOMIC_RELEASE);
}

void queue_ctx_console(struct queue_ctx *c, struct vgpu_console_read *ret_text)
{
	int stream = 0;

	pthread_mutex_lock(&c->lock);
	ret_text->bytes =
		(uint32_t)console_read(c->console, ret_text->text, sizeof(ret_text->text), &stream);
	ret_text->stream = ret_text->bytes ? (uint32_t)stream : 0;
	ret_text->more = console_pending(c->console) > 0;
	ret_text->lost = console_lost(c->console);
	publish_console(c);
	pthread_mutex_unlock(&c->lock);
}

void queue_ctx_enter(struct queue_ctx *c, struct backend_launch *l)
{
	uint64_t va, off;

	pthread_mutex_lock(&c->lock);
	c->running++;
	if (!c->launched) {
		c->launched = true;
		/* Without memory for it kernels run, and their malloc says NULL. */
		if (c->limit[QUEUE_LIMIT_HEAP] &&
		    mem_alloc_zeroed(c->q->mem, &c->owner, c->device.index, VGPU_MEM_DEVICE,
				     c->limit[QUEUE_LIMIT_HEAP], &va, &off) == 0) {
			c->heap_va = va;
			c->heap_bytes = c->limit[QUEUE_LIMIT_HEAP];
		}
	}
	l->console = c->console;
	l->heap_va = c->heap_va;
	l->heap_bytes = c->heap_bytes;
	l->stack_bytes = (uint32_t)c->limit[QUEUE_LIMIT_STACK];
	pthread_mutex_unlock(&c->lock);
}

void queue_ctx_leave(struct queue_ctx *c)
{
	pthread_mutex_lock(&c->lock);
	c->running--;
	publish_console(c);
	pthread_mutex_unlock(&c->lock);
}

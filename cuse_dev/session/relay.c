/* SPDX-License-Identifier: MIT */
/*
 * relay.c - from session to worker and back.
 *
 * Memory is charged before an operation that allocates is sent, so that two clients cannot be
 * promised the same bytes; the reply corrects the charge. A request whose caller has left stays
 * pending until the worker answers, for the sake of the account.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuse_dev/base/limits.h"
#include "cuse_dev/base/log.h"
#include "cuse_dev/session/front.h"
#include "cuse_dev/session/worker.h"

#define UNIT (2ull << 20) /* device memory is handed out in these */

static void fail(const struct session_answer *a, int error)
{
	a->ops->fail(a->token, error);
}

/* What an operation may allocate at most, before the worker has looked at it. */
static uint64_t wanted(const struct session_request *call)
{
	const struct vgpu_mem_alloc *mem = call->arg;
	const struct vgpu_phys_create *phys = call->arg;

	if (call->nr == VGPU_OP_MEM_ALLOC && mem->kind == VGPU_MEM_DEVICE)
		return mem->size;
	if (call->nr == VGPU_OP_PHYS_CREATE && !(phys->flags & VGPU_PHYS_HOST))
		return phys->size;
	return 0;
}

static int take(struct session *s, const struct session_request *call, uint64_t *ret_taken)
{
	uint64_t bytes = wanted(call);

	if (bytes > s->front->device[s->device].total)
		return -ENOMEM;
	bytes = (bytes + UNIT - 1) & ~(UNIT - 1);
	if (bytes) {
		int r = account_take(s->client, s->device, bytes);

		if (r < 0)
			return r;
	}
	*ret_taken = bytes;
	return 0;
}

static int need_worker(struct session *s)
{
	const struct worker *w;
	int r;

	if (!s->client || s->client->worker_died)
		return -ENODEV;
	r = s->client->worker ? 0 : worker_start(s->client);
	if (r < 0)
		return r;
	/* A device that came after the worker's start, perhaps in the place of another. */
	w = s->client->worker;
	if (w->generation[s->device] != s->front->device[s->device].generation)
		return -ENODEV;
	return 0;
}

struct pending *relay_call(struct session *s, const struct session_request *call)
{
	struct wire_msg msg = { .kind = WIRE_CALL, .op = call->nr, .device = s->device };
	uint64_t taken = 0;
	struct pending *p;
	int r, fd = call->fd;

	r = need_worker(s);
	if (r >= 0)
		r = take(s, call, &taken);
	if (r < 0)
		goto close_fd;
	p = worker_pending(s->client->worker, WIRE_CALL, s->device, &call->answer);
	if (!p) {
		r = -ENOMEM;
		goto give;
	}
	p->nr = call->nr;
	p->reply_bytes = call->reply_bytes;
	p->taken = taken;
	msg.tag = p->tag;
	msg.payload_bytes = call->desc->size;
	r = worker_send(p->worker, &msg, call->arg, fd);
	fd = -1;
	if (r < 0) {
		worker_forget(p);
		goto give;
	}
	return p;

give:
	account_give(s->client, s->device, taken);
close_fd:
	if (fd >= 0)
		close(fd);
	log_debug("session %llu: %s: %s", (unsigned long long)s->number, call->desc->name,
		  strerror(-r));
	fail(&call->answer, -r);
	return NULL;
}

/* ---- pread and pwrite ----------------------------------------------------------------------- */

static int send_bulk(struct pending *p, const void *data)
{
	struct worker *w = p->worker;
	struct wire_bulk bulk = { .offset = p->offset, .bytes = p->bytes };
	struct wire_msg msg = {
		.kind = p->kind, .tag = p->tag, .device = p->device, .payload_bytes = sizeof(bulk)
	};
	int slot = __builtin_ctz(~w->slots_used);

	p->slot = slot;
	w->slots_used |= 1u << slot;
	bulk.slot = (uint32_t)slot;
	if (data)
		memcpy(w->bounce + (size_t)slot * WIRE_BOUNCE_BYTES, data, p->bytes);
	return worker_send(w, &msg, &bulk, -1);
}

static bool slot_free(const struct worker *w)
{
	return w->slots_used != (1u << WIRE_BOUNCE_SLOTS) - 1;
}

/* Until a slot is free the bytes to write are kept here, which is why the number is limited. */
static int wait_for_slot(struct pending *p, const void *data)
{
	struct worker *w = p->worker;

	if (w->waiting_count >= LIMIT_BULK_WAITING)
		return -ENOMEM;
	if (data) {
		p->data = malloc(p->bytes);
		if (!p->data)
			return -ENOMEM;
		memcpy(p->data, data, p->bytes);
	}
	*w->waiting_last = p;
	w->waiting_last = &p->next_waiting;
	w->waiting_count++;
	return 0;
}

static void slot_done(struct pending *p)
{
	struct worker *w = p->worker;
	struct pending *next;

	w->slots_used &= ~(1u << p->slot);
	next = w->waiting;
	if (!next)
		return;
	w->waiting = next->next_waiting;
	if (!w->waiting)
		w->waiting_last = &w->waiting;
	w->waiting_count--;
	next->next_waiting = NULL;
	if (send_bulk(next, next->data) < 0) {
		fail(&next->answer, ENOMEM);
		w->slots_used &= ~(1u << next->slot);
		worker_forget(next);
		return;
	}
	free(next->data);
	next->data = NULL;
}

struct pending *relay_bulk(struct session *s, const struct session_bulk *bulk)
{
	enum wire_kind kind = bulk->data ? WIRE_WRITE : WIRE_READ;
	struct pending *p;
	int r;

	r = need_worker(s);
	if (r < 0)
		goto refuse;
	p = worker_pending(s->client->worker, kind, s->device, &bulk->answer);
	if (!p) {
		r = -ENOMEM;
		goto refuse;
	}
	p->offset = bulk->offset;
	p->bytes = bulk->bytes;
	r = slot_free(p->worker) ? send_bulk(p, bulk->data) : wait_for_slot(p, bulk->data);
	if (r < 0) {
		if (p->slot >= 0)
			p->worker->slots_used &= ~(1u << p->slot);
		worker_forget(p);
		goto refuse;
	}
	return p;

refuse:
	fail(&bulk->answer, -r);
	return NULL;
}

/* ---- replies -------------------------------------------------------------------------------- */

static struct pending *find(struct worker *w, uint64_t tag)
{
	struct pending *p;

	for (p = w->pending; p && p->tag != tag; p = p->next)
		;
	return p;
}

static int reply_bulk(struct pending *p, int32_t status)
{
	struct worker *w = p->worker;

	if (p->slot < 0 || status > (int32_t)p->bytes)
		return -EIO;
	if (!p->answered) {
		if (status < 0)
			fail(&p->answer, -status);
		else if (p->kind == WIRE_WRITE)
			p->answer.ops->count(p->answer.token, (size_t)status);
		else
			p->answer.ops->data(p->answer.token,
					    w->bounce + (size_t)p->slot * WIRE_BOUNCE_BYTES,
					    (size_t)status);
	}
	slot_done(p);
	worker_forget(p);
	return 0;
}

static void reply_init(struct worker *w, struct pending *p, int32_t status)
{
	worker_forget(p);
	if (status >= 0)
		return;
	log_error("worker %d of process %u could not set up: %s", (int)w->pid, w->client->id.tgid,
		  strerror(-status));
}

static int reply_call(struct pending *p, const struct wire_msg *msg, const void *payload)
{
	const struct ops_desc *desc = ops_find(p->nr);
	uint64_t out[(VGPU_MAX_PAYLOAD + 8) / 8];

	if (msg->status > 0 || (!msg->status && msg->payload_bytes != desc->size))
		return -EIO;
	account_correct(p->worker->client, p->device, p->taken, msg->charge);
	if (!msg->status && p->nr == VGPU_OP_CTX_CREATE)
		telemetry_context(p->worker->client, p->device, 1);
	if (!msg->status && p->nr == VGPU_OP_CTX_DESTROY)
		telemetry_context(p->worker->client, p->device, -1);
	if (msg->status < 0)
		log_debug("worker %d: %s: %s", (int)p->worker->pid, desc->name,
			  strerror(-msg->status));
	if (!p->answered && msg->status < 0) {
		fail(&p->answer, -msg->status);
	} else if (!p->answered) {
		memset(out, 0, p->reply_bytes);
		memcpy(out, payload, p->reply_bytes < desc->size ? p->reply_bytes : desc->size);
		p->answer.ops->reply(p->answer.token, out, p->reply_bytes);
	}
	worker_forget(p);
	return 0;
}

int relay_reply(struct worker *w, const struct wire_msg *msg, const void *payload)
{
	struct pending *p = find(w, msg->tag);

	if (!p || msg->status <= -512) /* the kernel takes no error beyond */
		return -EIO;
	switch (p->kind) {
	case WIRE_INIT:
		reply_init(w, p, msg->status);
		return msg->status < 0 ? -ENODEV : 0;
	case WIRE_CALL:
		return reply_call(p, msg, payload);
	default:
		return reply_bulk(p, msg->status);
	}
}

bool session_interrupt(struct pending *p, bool dying)
{
	struct wire_msg msg = { .kind = WIRE_CANCEL, .op = p->nr, .tag = p->tag };
	bool wait = p->kind == WIRE_CALL && p->nr == VGPU_OP_WAIT;
	bool unsent = p->kind != WIRE_CALL && p->slot < 0;

	if (p->answered || (!wait && !unsent && !dying))
		return false;
	fail(&p->answer, EINTR);
	p->answered = true;
	if (unsent) {
		worker_forget(p);
		return true;
	}
	/* Without memory for the message the worker finds out when the wait ends by itself. */
	if (worker_send(p->worker, &msg, NULL, -1) < 0)
		log_debug("a wait of process %u could not be cancelled",
			  p->worker->client->id.tgid);
	return true;
}

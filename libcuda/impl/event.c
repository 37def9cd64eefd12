/* SPDX-License-Identifier: MIT */
/*
 * event.c - events: a slot on the shared page, and which command last recorded it.
 *
 * An event is complete when its slot has reached the generation of its last record. Who waits for
 * one on the host waits for the command in its queue; who waits in a stream names slot and
 * generation.
 */
#include <errno.h>
#include <stdlib.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/pool.h"
#include "libcuda/impl/queue.h"

#define EVENT_FLAGS (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)

/* cu_event.priv: the last record. */
struct mark {
	pthread_mutex_t lock;
	struct queue *queue;	      /* guarded by lock; a reference */
	uint64_t seq;		      /* guarded by lock */
	struct capture_mark *capture; /* guarded by lock; the last record was captured */
};

static CUresult find(CUevent handle, struct cu_event **ret_event)
{
	struct cu_event *e = cu_handle_get(handle, CU_KIND_EVENT);

	if (!e)
		return CUDA_ERROR_INVALID_HANDLE;
	*ret_event = e;
	return CUDA_SUCCESS;
}

/* The event's context, NULL when it has been destroyed. */
static struct cu_ctx *ctx_of(const struct cu_event *e)
{
	struct cu_ctx *ctx = cu_handle_get(e->ctx, CU_KIND_CTX);

	return ctx && ctx->id == e->ctx_id && ctx->active ? ctx : NULL;
}

/* 1: complete (or never recorded), 0: not yet, -errno. */
static int complete(const struct cu_event *e, uint64_t *ret_time_ns)
{
	uint64_t want = atomic_load(&e->gen), gen, time_ns;
	int r;

	if (!want)
		return 1;
	r = link_event_state(e->ctx->dev->link, e->slot, &gen, &time_ns);
	if (r < 0)
		return r;
	if (ret_time_ns)
		*ret_time_ns = time_ns;
	return gen >= want;
}

CUresult impl_cuEventCreate(CUevent *phEvent, unsigned int Flags)
{
	struct cu_event *e;
	struct cu_ctx *ctx;
	struct mark *m;
	CUresult r;
	int err;

	if (!phEvent || (Flags & ~(unsigned)EVENT_FLAGS))
		return CUDA_ERROR_INVALID_VALUE;
	if (Flags & CU_EVENT_INTERPROCESS)
		return Flags & CU_EVENT_DISABLE_TIMING ? CUDA_ERROR_NOT_SUPPORTED
						       : CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	m = calloc(1, sizeof(*m));
	e = m ? cu_handle_create(CU_KIND_EVENT, sizeof(*e)) : NULL;
	if (!e) {
		free(m);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	err = link_event_alloc(ctx->dev->link->link, &e->slot);
	if (err < 0) {
		cu_handle_destroy(e);
		free(m);
		return cu_from_errno(err);
	}
	pthread_mutex_init(&m->lock, NULL);
	e->ctx = ctx;
	e->ctx_id = ctx->id;
	e->flags = Flags;
	e->priv = m;
	*phEvent = (CUevent)e;
	return CUDA_SUCCESS;
}

CUresult impl_cuEventDestroy_v2(CUevent hEvent)
{
	struct cu_event *e;
	struct cu_ctx *ctx;
	struct mark *m;
	uint32_t slot;
	CUresult r;

	r = find(hEvent, &e);
	if (r != CUDA_SUCCESS)
		return r;
	ctx = ctx_of(e);
	m = e->priv;
	slot = e->slot;
	cu_handle_destroy(e);
	link_event_free(cu_link(), slot);
	queue_put(m->queue);
	capture_mark_free(m->capture);
	pthread_mutex_destroy(&m->lock);
	free(m);
	return ctx ? cu_ctx_error(ctx) : CUDA_SUCCESS;
}

CUresult impl_cuEventDestroy(CUevent hEvent)
{
	return impl_cuEventDestroy_v2(hEvent);
}

static CUresult record(struct cu_event *e, struct cu_stream *s)
{
	struct vgpu_cmd_event_record cmd = {
		.head = { .op = VGPU_CMD_EVENT_RECORD, .bytes = sizeof(cmd) },
		.slot = e->slot,
	};
	struct queue *q = queue_of(s), *old = NULL;
	struct mark *m = e->priv;
	uint64_t seq;
	int r;

	pthread_mutex_lock(&m->lock);
	cmd.gen = link_event_next(s->ctx->dev->link->link, e->slot);
	r = queue_submit(q, &cmd.head, &seq);
	if (!r) {
		if (m->queue != q) {
			queue_get(q);
			old = m->queue;
			m->queue = q;
		}
		m->seq = seq;
		capture_mark_free(m->capture);
		m->capture = NULL;
		atomic_store(&e->gen, cmd.gen);
	}
	pthread_mutex_unlock(&m->lock);
	queue_put(old);
	return cu_from_errno(r);
}

/* A node that records or waits when the graph runs. */
static CUresult add_node(struct cu_stream *s, CUgraphNodeType type, CUevent event)
{
	struct graph_work w;
	CUresult r = graph_work_event(type, event, &w);

	return r == CUDA_SUCCESS ? capture_add(s, &w) : r;
}

static CUresult record_captured(struct cu_event *e, struct cu_stream *s)
{
	struct mark *m = e->priv;
	CUresult r;

	pthread_mutex_lock(&m->lock);
	r = capture_event_record(s, &m->capture);
	pthread_mutex_unlock(&m->lock);
	return r;
}

/* Was the last record captured? Then there is nothing that could be waited for. */
static bool is_captured(const struct cu_event *e)
{
	struct mark *m = e->priv;
	bool r;

	pthread_mutex_lock(&m->lock);
	r = m->capture != NULL;
	pthread_mutex_unlock(&m->lock);
	return r;
}

CUresult impl_cuEventRecordWithFlags(CUevent hEvent, CUstream hStream, unsigned int flags)
{
	struct cu_stream *s;
	struct cu_event *e;
	bool capturing;
	CUresult r;

	if (flags & ~(unsigned)CU_EVENT_RECORD_EXTERNAL)
		return CUDA_ERROR_INVALID_VALUE;
	r = find(hEvent, &e);
	if (r == CUDA_SUCCESS)
		r = cu_stream_get(hStream, &s);
	if (r == CUDA_SUCCESS)
		r = capture_check(s, &capturing);
	if (r != CUDA_SUCCESS)
		return r;
	if (ctx_of(e) != s->ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	if (!capturing)
		return flags ? CUDA_ERROR_INVALID_VALUE : record(e, s);
	return flags ? add_node(s, CU_GRAPH_NODE_TYPE_EVENT_RECORD, hEvent) : record_captured(e, s);
}

CUresult impl_cuEventRecord(CUevent hEvent, CUstream hStream)
{
	return impl_cuEventRecordWithFlags(hEvent, hStream, CU_EVENT_RECORD_DEFAULT);
}

CUresult impl_cuEventQuery(CUevent hEvent)
{
	struct cu_event *e;
	struct cu_ctx *ctx;
	CUresult r;
	int done;

	r = find(hEvent, &e);
	if (r != CUDA_SUCCESS)
		return r;
	ctx = ctx_of(e);
	if (!ctx)
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	if (is_captured(e))
		return CUDA_ERROR_CAPTURED_EVENT;
	r = capture_unsafe();
	if (r != CUDA_SUCCESS)
		return r;
	done = complete(e, NULL);
	if (!done) {
		r = cu_ctx_error(ctx);
		return r != CUDA_SUCCESS ? r : CUDA_ERROR_NOT_READY;
	}
	return queue_result(ctx, done < 0 ? done : 0);
}

CUresult impl_cuEventSynchronize(CUevent hEvent)
{
	struct queue *q;
	struct cu_event *e;
	struct cu_ctx *ctx;
	struct mark *m;
	uint64_t seq;
	CUresult r;
	int err = 0;

	r = find(hEvent, &e);
	if (r != CUDA_SUCCESS)
		return r;
	ctx = ctx_of(e);
	if (!ctx)
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	if (is_captured(e))
		return CUDA_ERROR_CAPTURED_EVENT;
	m = e->priv;
	pthread_mutex_lock(&m->lock);
	q = m->queue;
	seq = m->seq;
	if (q)
		queue_get(q);
	pthread_mutex_unlock(&m->lock);
	if (q)
		err = queue_wait(q, seq);
	queue_put(q);
	pool_synced();
	return queue_result(ctx, err);
}

CUresult impl_cuEventElapsedTime_v2(float *pMilliseconds, CUevent hStart, CUevent hEnd)
{
	uint64_t start_ns = 0, end_ns = 0;
	struct cu_event *start, *end;
	struct cu_ctx *ctx;
	CUresult r;
	int a, b;

	if (!pMilliseconds)
		return CUDA_ERROR_INVALID_VALUE;
	r = find(hStart, &start);
	if (r == CUDA_SUCCESS)
		r = find(hEnd, &end);
	if (r != CUDA_SUCCESS)
		return r;
	ctx = ctx_of(start);
	if (!ctx || !ctx_of(end))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	if ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING || !start->gen || !end->gen ||
	    ctx != ctx_of(end))
		return CUDA_ERROR_INVALID_HANDLE;
	a = complete(start, &start_ns);
	b = complete(end, &end_ns);
	if (a < 0 || b < 0)
		return queue_result(ctx, a < 0 ? a : b);
	r = cu_ctx_error(ctx);
	if (r != CUDA_SUCCESS)
		return r;
	if (!a || !b)
		return CUDA_ERROR_NOT_READY;
	*pMilliseconds = (float)((double)((int64_t)(end_ns - start_ns)) / 1e6);
	return CUDA_SUCCESS;
}

CUresult impl_cuEventElapsedTime(float *pMilliseconds, CUevent hStart, CUevent hEnd)
{
	return impl_cuEventElapsedTime_v2(pMilliseconds, hStart, hEnd);
}

static CUresult wait_captured(struct cu_event *e, struct cu_stream *s)
{
	struct mark *m = e->priv;
	CUresult r;

	pthread_mutex_lock(&m->lock);
	r = capture_event_wait(s, m->capture);
	pthread_mutex_unlock(&m->lock);
	return r;
}

CUresult impl_cuStreamWaitEvent(CUstream hStream, CUevent hEvent, unsigned int Flags)
{
	struct vgpu_cmd_event_wait cmd = {
		.head = { .op = VGPU_CMD_EVENT_WAIT, .bytes = sizeof(cmd) },
	};
	struct cu_stream *s;
	struct cu_event *e;
	bool capturing;
	CUresult r;

	if (Flags & ~(unsigned)CU_EVENT_WAIT_EXTERNAL)
		return CUDA_ERROR_INVALID_VALUE;
	r = find(hEvent, &e);
	if (r == CUDA_SUCCESS)
		r = cu_stream_get(hStream, &s);
	if (r == CUDA_SUCCESS)
		r = capture_check(s, &capturing);
	if (r != CUDA_SUCCESS)
		return r;
	if (!ctx_of(e))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	if (Flags)
		return capturing ? add_node(s, CU_GRAPH_NODE_TYPE_WAIT_EVENT, hEvent)
				 : CUDA_ERROR_INVALID_VALUE;
	if (capturing || is_captured(e))
		return wait_captured(e, s);
	cmd.slot = e->slot;
	cmd.gen = atomic_load(&e->gen);
	/* Asking costs a round trip without shared pages: then the stream finds out. */
	if (!cmd.gen || (link_shared(cu_link()) && complete(e, NULL) == 1))
		return CUDA_SUCCESS;
	return cu_from_errno(queue_submit(queue_of(s), &cmd.head, NULL));
}

/* SPDX-License-Identifier: MIT */
/*
 * event.c - events: a slot on the shared page, and which command last recorded it.
 *
 * An event is complete when its slot has reached the generation of its last record. Who waits for
 * one on the host waits for the command in its queue; who waits in a stream names slot and
 * generation.
 *
 * Events that other processes may know (CU_EVENT_INTERPROCESS) have words of memory instead, ipc.h: the slot
 * is not used.
 */
#include <errno.h>
#include <stdlib.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/ipc.h"
#include "libcuda/impl/pool.h"
#include "libcuda/impl/queue.h"

#define EVENT_FLAGS (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)

/* cu_event.priv: the last record. */
struct mark {
	pthread_mutex_t lock;
	struct queue *queue;	      /* guarded by lock; a reference */
	uint64_t seq;		      /* guarded by lock */
	struct capture_mark *capture; /* guarded by lock; the last record was captured */
	struct ipc_event *ipc;	      /* constant; NULL for most */
	uint64_t ipc_seq;	      /* guarded by lock; number of the record at seq */
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
	const struct mark *m = e->priv;
	uint64_t want = atomic_load(&e->gen), gen, time_ns;
	int r;

	if (m->ipc)
		return ipc_event_done(m->ipc, ipc_event_last(m->ipc));
	if (!want)
		return 1;
	r = link_event_state(e->ctx->dev->link, e->slot, &gen, &time_ns);
	if (r < 0)
		return r;
	if (ret_time_ns)
		*ret_time_ns = time_ns;
	return gen >= want;
}

/* @ipc is the event's from here on, also on failure. */
static CUresult create(struct cu_ctx *ctx, unsigned flags, struct ipc_event *ipc,
		       CUevent *ret_event)
{
	struct mark *m = calloc(1, sizeof(*m));
	struct cu_event *e = m ? cu_handle_create(CU_KIND_EVENT, sizeof(*e)) : NULL;
	int err;

	if (!e) {
		free(m);
		ipc_event_destroy(ipc);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	err = link_event_alloc(ctx->dev->link->link, &e->slot);
	if (err < 0) {
		cu_handle_destroy(e);
		free(m);
		ipc_event_destroy(ipc);
		return cu_from_errno(err);
	}
	pthread_mutex_init(&m->lock, NULL);
	m->ipc = ipc;
	e->ctx = ctx;
	e->ctx_id = ctx->id;
	e->flags = flags;
	e->priv = m;
	*ret_event = (CUevent)e;
	return CUDA_SUCCESS;
}

CUresult impl_cuEventCreate(CUevent *phEvent, unsigned int Flags)
{
	struct ipc_event *ipc = NULL;
	struct cu_ctx *ctx;
	CUresult r;
	int err = 0;

	if (!phEvent || (Flags & ~(unsigned)EVENT_FLAGS))
		return CUDA_ERROR_INVALID_VALUE;
	if ((Flags & CU_EVENT_INTERPROCESS) && !(Flags & CU_EVENT_DISABLE_TIMING))
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	if (Flags & CU_EVENT_INTERPROCESS)
		err = ipc_event_create(ctx->dev->link, &ipc);
	if (err < 0)
		return cu_from_errno(err);
	return create(ctx, Flags, ipc, phEvent);
}

CUresult impl_cuIpcGetEventHandle(CUipcEventHandle *pHandle, CUevent event)
{
	struct cu_event *e;
	struct mark *m;
	CUresult r;

	if (!pHandle)
		return CUDA_ERROR_INVALID_VALUE;
	r = find(event, &e);
	if (r != CUDA_SUCCESS)
		return r;
	m = e->priv;
	return m->ipc ? ipc_event_export(m->ipc, pHandle) : CUDA_ERROR_INVALID_HANDLE;
}

CUresult impl_cuIpcOpenEventHandle(CUevent *phEvent, CUipcEventHandle handle)
{
	struct ipc_event *ipc;
	struct cu_ctx *ctx;
	CUresult r;

	if (!phEvent)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_usable(&ctx);
	if (r == CUDA_SUCCESS)
		r = ipc_event_import(&handle, ctx->dev->link, &ipc);
	if (r != CUDA_SUCCESS)
		return r;
	return create(ctx, CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS, ipc, phEvent);
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
	ipc_event_destroy(m->ipc);
	pthread_mutex_destroy(&m->lock);
	free(m);
	return ctx ? cu_ctx_error(ctx) : CUDA_SUCCESS;
}

CUresult impl_cuEventDestroy(CUevent hEvent)
{
	return impl_cuEventDestroy_v2(hEvent);
}

/* The command of a record; the caller holds the lock of @m. */
static int submit_record(struct cu_event *e, struct mark *m, struct queue *q, uint64_t *ret_gen,
			 uint64_t *ret_seq)
{
	struct vgpu_cmd_event_record cmd = {
		.head = { .op = VGPU_CMD_EVENT_RECORD, .bytes = sizeof(cmd) },
		.slot = e->slot,
	};
	struct vgpu_cmd_value_write write;
	int r;

	if (!m->ipc) {
		*ret_gen = cmd.gen = link_event_next(q->ctx->dev->link->link, e->slot);
		return queue_submit(q, &cmd.head, ret_seq);
	}
	*ret_gen = ipc_event_record(m->ipc, &write);
	r = queue_submit(q, &write.head, ret_seq);
	if (r < 0)
		ipc_event_abandon(m->ipc, *ret_gen);
	else
		m->ipc_seq = *ret_gen;
	return r;
}

static CUresult record(struct cu_event *e, struct cu_stream *s)
{
	struct queue *q = queue_of(s), *old = NULL;
	struct mark *m = e->priv;
	uint64_t seq, gen;
	int r;

	pthread_mutex_lock(&m->lock);
	r = submit_record(e, m, q, &gen, &seq);
	if (!r) {
		if (m->queue != q) {
			queue_get(q);
			old = m->queue;
			m->queue = q;
		}
		m->seq = seq;
		capture_mark_free(m->capture);
		m->capture = NULL;
		atomic_store(&e->gen, gen);
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

/* The last record is another process's: a stream of our own waits for it, and we for the stream. */
static CUresult wait_elsewhere(struct cu_ctx *ctx, const struct ipc_event *ipc)
{
	struct vgpu_cmd_value_wait cmd;
	uint64_t last = ipc_event_last(ipc), seq;
	struct queue *q;
	CUresult r;
	int err;

	if (ipc_event_done(ipc, last))
		return CUDA_SUCCESS;
	r = queue_create(ctx, CU_STREAM_NON_BLOCKING, 0, &q);
	if (r != CUDA_SUCCESS)
		return r;
	ipc_event_wait(ipc, last, &cmd);
	err = queue_submit(q, &cmd.head, &seq);
	if (!err)
		err = queue_wait(q, seq);
	queue_close(q);
	return cu_from_errno(err);
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
	q = m->ipc && ipc_event_last(m->ipc) != m->ipc_seq ? NULL : m->queue;
	seq = m->seq;
	if (q)
		queue_get(q);
	pthread_mutex_unlock(&m->lock);
	if (q)
		err = queue_wait(q, seq);
	else if (m->ipc)
		r = wait_elsewhere(ctx, m->ipc);
	queue_put(q);
	if (r != CUDA_SUCCESS)
		return r;
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

static CUresult wait_ipc(const struct ipc_event *ipc, struct cu_stream *s)
{
	uint64_t last = ipc_event_last(ipc);
	struct vgpu_cmd_value_wait cmd;

	if (ipc_event_done(ipc, last))
		return CUDA_SUCCESS;
	ipc_event_wait(ipc, last, &cmd);
	return cu_from_errno(queue_submit(queue_of(s), &cmd.head, NULL));
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
	if (((struct mark *)e->priv)->ipc)
		return wait_ipc(((struct mark *)e->priv)->ipc, s);
	cmd.slot = e->slot;
	cmd.gen = atomic_load(&e->gen);
	/* Asking costs a round trip without shared pages: then the stream finds out. */
	if (!cmd.gen || (link_shared(cu_link()) && complete(e, NULL) == 1))
		return CUDA_SUCCESS;
	return cu_from_errno(queue_submit(queue_of(s), &cmd.head, NULL));
}

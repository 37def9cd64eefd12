/* SPDX-License-Identifier: MIT */
/*
 * stream.c - streams: handles, the default ones, waits, values in memory.
 *
 * The order between queues is in queue.c, host functions in callback.c, capturing in capture.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/place.h"
#include "libcuda/impl/pool.h"
#include "libcuda/impl/queue.h"

#define PRIORITY_LEAST	  0
#define PRIORITY_GREATEST (-5)

static int clamp_priority(int priority)
{
	if (priority > PRIORITY_LEAST)
		return PRIORITY_LEAST;
	return priority < PRIORITY_GREATEST ? PRIORITY_GREATEST : priority;
}

/* ---- handles -------------------------------------------------------------------------------- */

/* A handle for @q; the caller puts it where it belongs. */
static struct cu_stream *wrap(struct cu_ctx *ctx, struct queue *q, unsigned flags, int priority)
{
	struct cu_stream *s = cu_handle_create(CU_KIND_STREAM, sizeof(*s));

	if (!s)
		return NULL;
	s->ctx = ctx;
	s->ctx_id = ctx->id;
	s->link = q->link;
	s->id = cu_next_id();
	s->flags = flags;
	s->priority = priority;
	s->priv = q;
	return s;
}

static void list(struct cu_ctx *ctx, struct cu_stream *s)
{
	pthread_mutex_lock(&ctx->lock);
	s->next = ctx->streams;
	ctx->streams = s;
	pthread_mutex_unlock(&ctx->lock);
}

static void unlist(struct cu_ctx *ctx, struct cu_stream *s)
{
	pthread_mutex_lock(&ctx->lock);
	for (struct cu_stream **at = &ctx->streams; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			break;
		}
	}
	pthread_mutex_unlock(&ctx->lock);
}

static CUresult make(struct cu_ctx *ctx, unsigned flags, int priority, const void *owner,
		     struct cu_stream **ret_stream)
{
	struct cu_stream *s;
	struct queue *q;
	CUresult r;

	r = queue_create(ctx, flags, priority, &q);
	if (r != CUDA_SUCCESS)
		return r;
	q->owner = owner;
	s = wrap(ctx, q, flags, priority);
	if (!s) {
		queue_close(q);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	list(ctx, s);
	*ret_stream = s;
	return CUDA_SUCCESS;
}

CUresult cu_stream_make(struct cu_ctx *ctx, int priority, struct cu_stream **ret_stream)
{
	return make(ctx, CU_STREAM_NON_BLOCKING, priority, NULL, ret_stream);
}

void cu_stream_drop(struct cu_stream *s)
{
	struct queue *q = queue_of(s);

	unlist(s->ctx, s);
	cu_handle_destroy(s);
	queue_close(q);
}

/* The legacy stream is made when it is first used. */
static CUresult get_legacy(struct cu_ctx *ctx, struct cu_stream **ret_stream)
{
	CUresult r = CUDA_SUCCESS;
	struct queue *q;

	pthread_mutex_lock(&ctx->lock);
	if (!ctx->legacy) {
		r = queue_create_legacy(ctx, &q);
		if (r == CUDA_SUCCESS) {
			ctx->legacy = wrap(ctx, q, CU_STREAM_DEFAULT, 0);
			if (!ctx->legacy) {
				q->closed = true;
				q->legacy = false;
				r = CUDA_ERROR_OUT_OF_MEMORY;
			}
		}
	}
	if (r == CUDA_SUCCESS)
		*ret_stream = ctx->legacy;
	pthread_mutex_unlock(&ctx->lock);
	return r;
}

/* Is @s still what this thread put into its table? Contexts, and their streams with them, come and
 * go. */
static bool is_own(const struct cu_thread *t, const struct cu_stream *s)
{
	return cu_handle_get(s, CU_KIND_STREAM) && queue_of(s)->owner == t;
}

static CUresult get_per_thread(struct cu_ctx *ctx, struct cu_stream **ret_stream)
{
	struct cu_thread *t = cu_thread();
	struct cu_stream **table, *s;
	unsigned free_at = t->stream_count;
	CUresult r;

	for (unsigned i = 0; i < t->stream_count; i++) {
		s = t->streams[i];
		if (!is_own(t, s)) {
			free_at = i;
		} else if (s->ctx == ctx && s->ctx_id == ctx->id) {
			*ret_stream = s;
			return CUDA_SUCCESS;
		}
	}
	if (free_at == t->stream_count) {
		table = realloc(t->streams, (t->stream_count + 1) * sizeof(*table));
		if (!table)
			return CUDA_ERROR_OUT_OF_MEMORY;
		t->streams = table;
		table[t->stream_count++] = NULL;
	}
	r = make(ctx, CU_STREAM_DEFAULT, 0, t, &s);
	if (r != CUDA_SUCCESS)
		return r;
	t->streams[free_at] = s;
	*ret_stream = s;
	return CUDA_SUCCESS;
}

void cu_stream_thread_fini(struct cu_thread *t)
{
	for (unsigned i = 0; i < t->stream_count; i++)
		if (is_own(t, t->streams[i]))
			cu_stream_drop(t->streams[i]);
	free(t->streams);
	t->streams = NULL;
	t->stream_count = 0;
}

/* As cu_stream_get(), without a look at the sticky error. */
static CUresult find(CUstream handle, struct cu_stream **ret_stream)
{
	struct cu_ctx *ctx;
	struct cu_stream *s;
	CUresult r;

	if (!handle)
		handle = cu_thread()->per_thread ? CU_STREAM_PER_THREAD : CU_STREAM_LEGACY;
	if (handle != CU_STREAM_LEGACY && handle != CU_STREAM_PER_THREAD) {
		s = cu_handle_get(handle, CU_KIND_STREAM);
		if (!s)
			return CUDA_ERROR_INVALID_HANDLE;
		*ret_stream = s;
		return CUDA_SUCCESS;
	}
	r = cu_ctx_current(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	if (handle == CU_STREAM_LEGACY)
		return get_legacy(ctx, ret_stream);
	return get_per_thread(ctx, ret_stream);
}

CUresult cu_stream_get(CUstream handle, struct cu_stream **ret_stream)
{
	struct cu_stream *s;
	CUresult r;

	r = find(handle, &s);
	if (r != CUDA_SUCCESS)
		return r;
	r = cu_ctx_error(s->ctx);
	if (r != CUDA_SUCCESS)
		return r;
	*ret_stream = s;
	return CUDA_SUCCESS;
}

CUresult cu_stream_ctx_init(struct cu_ctx *ctx)
{
	ctx->legacy = NULL;
	ctx->streams = NULL;
	ctx->stream_priv = NULL;
	return CUDA_SUCCESS;
}

void cu_stream_ctx_fini(struct cu_ctx *ctx)
{
	struct cu_stream *s;

	/* Here, where signals get through, and not in the daemon's CTX_DESTROY. */
	queue_sync_ctx(ctx);
	cu_ctx_console(ctx);

	pthread_mutex_lock(&ctx->lock);
	while ((s = ctx->streams)) {
		ctx->streams = s->next;
		cu_handle_destroy(s);
	}
	cu_handle_destroy(ctx->legacy);
	ctx->legacy = NULL;
	pthread_mutex_unlock(&ctx->lock);
	queue_fini_ctx(ctx);
}

/* ---- what other files use ------------------------------------------------------------------- */

CUresult cu_stream_submit(struct cu_stream *s, struct vgpu_cmd *cmd, size_t bytes, const void *body,
			  size_t body_bytes, uint64_t *ret_seq)
{
	if (bytes > VGPU_CMD_MAX_BYTES)
		return CUDA_ERROR_INVALID_VALUE;
	cmd->bytes = (uint32_t)bytes;
	return cu_from_errno(queue_submit_body(queue_of(s), cmd, body, body_bytes, ret_seq));
}

CUresult cu_stream_sync(struct cu_stream *s)
{
	struct queue *q = queue_of(s);

	if (q->legacy)
		return queue_result(s->ctx, queue_quiesce(q));
	return queue_result(s->ctx, queue_wait(q, link_submitted(q->link)));
}

CUresult cu_stream_sync_ctx(struct cu_ctx *ctx)
{
	return queue_result(ctx, queue_sync_ctx(ctx));
}

/* ---- entry points: life --------------------------------------------------------------------- */

CUresult impl_cuStreamCreateWithPriority(CUstream *phStream, unsigned int flags, int priority)
{
	struct cu_stream *s;
	struct cu_ctx *ctx;
	CUresult r;

	if (!phStream || (flags & ~(unsigned)CU_STREAM_NON_BLOCKING))
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	r = make(ctx, flags, clamp_priority(priority), NULL, &s);
	if (r != CUDA_SUCCESS)
		return r;
	*phStream = (CUstream)s;
	return CUDA_SUCCESS;
}

CUresult impl_cuStreamCreate(CUstream *phStream, unsigned int Flags)
{
	return impl_cuStreamCreateWithPriority(phStream, Flags, 0);
}

CUresult impl_cuStreamDestroy_v2(CUstream hStream)
{
	struct cu_stream *s = cu_handle_get(hStream, CU_KIND_STREAM);
	CUresult r;

	/* The default streams have no handle that could be given back. */
	if (!s || queue_of(s)->legacy || queue_of(s)->owner)
		return CUDA_ERROR_INVALID_HANDLE;
	r = cu_ctx_error(s->ctx);
	cu_stream_drop(s);
	return r;
}

CUresult impl_cuStreamDestroy(CUstream hStream)
{
	return impl_cuStreamDestroy_v2(hStream);
}

CUresult impl_cuStreamSynchronize(CUstream hStream)
{
	struct cu_stream *s;
	CUresult r = cu_stream_get(hStream, &s);

	if (r == CUDA_SUCCESS)
		r = capture_refuse(s);
	if (r == CUDA_SUCCESS)
		r = cu_stream_sync(s);
	pool_synced();
	return r;
}

CUresult impl_cuStreamQuery(CUstream hStream)
{
	struct cu_stream *s;
	struct queue *q;
	CUresult r;
	int done;

	r = cu_stream_get(hStream, &s);
	if (r == CUDA_SUCCESS)
		r = capture_refuse(s);
	if (r != CUDA_SUCCESS)
		return r;
	q = queue_of(s);
	done = q->legacy ? queue_idle(q) : queue_done(q, link_submitted(q->link));
	if (!done)
		return CUDA_ERROR_NOT_READY;
	return queue_result(s->ctx, done < 0 ? done : 0);
}

/* ---- entry points: questions ---------------------------------------------------------------- */

#define GET_FN(name, type, value)                                                                  \
	CUresult impl_cuStreamGet##name(CUstream hStream, type *ret)                               \
	{                                                                                          \
		struct cu_stream *s;                                                               \
		CUresult r = ret ? cu_stream_get(hStream, &s) : CUDA_ERROR_INVALID_VALUE;          \
                                                                                                   \
		if (r == CUDA_SUCCESS)                                                             \
			*ret = (value);                                                            \
		return r;                                                                          \
	}

GET_FN(Flags, unsigned int, s->flags)
GET_FN(Priority, int, s->priority)
GET_FN(Id, unsigned long long, s->id)
GET_FN(Ctx, CUcontext, (CUcontext)s->ctx)
GET_FN(Device, CUdevice, s->ctx->dev->ordinal)

CUresult impl_cuStreamGetCtx_v2(CUstream hStream, CUcontext *pCtx, CUgreenCtx *pGreenCtx)
{
	CUresult r = impl_cuStreamGetCtx(hStream, pCtx);

	return r == CUDA_SUCCESS && pGreenCtx ? impl_cuStreamGetGreenCtx(hStream, pGreenCtx) : r;
}

/* ---- entry points: attributes --------------------------------------------------------------- */

/* Hints to caches and to how a thread waits; kept, since a program may ask for what it set. */
static CUstreamAttrValue *attribute_of(struct queue *q, CUstreamAttrID attr)
{
	switch ((int)attr) {
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
		return &q->window;
	case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
		return &q->policy;
	default:
		return NULL;
	}
}

CUresult impl_cuStreamGetAttribute(CUstream hStream, CUstreamAttrID attr, CUstreamAttrValue *value)
{
	CUstreamAttrValue *slot;
	struct cu_stream *s;
	CUresult r;

	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(hStream, &s);
	if (r != CUDA_SUCCESS)
		return r;
	if ((int)attr == CU_LAUNCH_ATTRIBUTE_PRIORITY) {
		value->priority = s->priority;
		return CUDA_SUCCESS;
	}
	slot = attribute_of(queue_of(s), attr);
	if (!slot)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&s->ctx->lock);
	*value = *slot;
	pthread_mutex_unlock(&s->ctx->lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuStreamSetAttribute(CUstream hStream, CUstreamAttrID attr,
				   const CUstreamAttrValue *value)
{
	CUstreamAttrValue *slot;
	struct cu_stream *s;
	CUresult r;

	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(hStream, &s);
	if (r != CUDA_SUCCESS)
		return r;
	if ((int)attr == CU_LAUNCH_ATTRIBUTE_PRIORITY) {
		s->priority = clamp_priority(value->priority);
		return CUDA_SUCCESS;
	}
	slot = attribute_of(queue_of(s), attr);
	if (!slot)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&s->ctx->lock);
	*slot = *value;
	pthread_mutex_unlock(&s->ctx->lock);
	return CUDA_SUCCESS;
}

CUresult impl_cuStreamCopyAttributes(CUstream dstStream, CUstream srcStream)
{
	CUstreamAttrValue window, policy;
	struct cu_stream *dst, *src;
	CUresult r;

	r = cu_stream_get(dstStream, &dst);
	if (r == CUDA_SUCCESS)
		r = cu_stream_get(srcStream, &src);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&src->ctx->lock);
	window = queue_of(src)->window;
	policy = queue_of(src)->policy;
	pthread_mutex_unlock(&src->ctx->lock);
	pthread_mutex_lock(&dst->ctx->lock);
	queue_of(dst)->window = window;
	queue_of(dst)->policy = policy;
	pthread_mutex_unlock(&dst->ctx->lock);
	return CUDA_SUCCESS;
}

/* ---- entry points: values in memory --------------------------------------------------------- */

static CUresult check_value_address(CUdeviceptr addr, unsigned bytes)
{
	struct place p;

	if (!addr || addr % bytes)
		return CUDA_ERROR_INVALID_VALUE;
	if (place_find(addr, bytes, &p) < 0 || !p.worker_visible)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult submit_value(struct cu_stream *s, const struct vgpu_cmd *cmd,
			     const CUstreamBatchMemOpParams *op)
{
	CUDA_BATCH_MEM_OP_NODE_PARAMS p = {
		.ctx = (CUcontext)s->ctx,
		.count = 1,
		.paramArray = (CUstreamBatchMemOpParams *)op,
	};
	struct graph_work w;
	bool capturing;
	CUresult r = capture_check(s, &capturing);

	if (r != CUDA_SUCCESS)
		return r;
	if (!capturing)
		return cu_from_errno(queue_submit(queue_of(s), cmd, NULL));
	r = graph_work_batch(&p, &w);
	return r == CUDA_SUCCESS ? capture_add(s, &w) : r;
}

static CUresult write_value(CUstream stream, CUdeviceptr addr, uint64_t value, unsigned bytes,
			    unsigned flags)
{
	struct vgpu_cmd_value_write cmd = {
		.head = { .op = VGPU_CMD_VALUE_WRITE, .bytes = sizeof(cmd) },
		.va = addr,
		.value = value,
		.bytes = bytes,
	};
	CUstreamBatchMemOpParams op = { .writeValue = {
						.operation =
							bytes == 4
								? CU_STREAM_MEM_OP_WRITE_VALUE_32
								: CU_STREAM_MEM_OP_WRITE_VALUE_64,
						.address = addr,
						.value64 = value,
						.flags = flags,
					} };
	struct cu_stream *s;
	CUresult r;

	/* All writes here are ordered; without a barrier is only a permission. */
	if (flags & ~(unsigned)CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(stream, &s);
	if (r == CUDA_SUCCESS)
		r = check_value_address(addr, bytes);
	return r == CUDA_SUCCESS ? submit_value(s, &cmd.head, &op) : r;
}

static CUresult wait_value(CUstream stream, CUdeviceptr addr, uint64_t value, unsigned bytes,
			   unsigned flags)
{
	struct vgpu_cmd_value_wait cmd = {
		.head = { .op = VGPU_CMD_VALUE_WAIT, .bytes = sizeof(cmd) },
		.va = addr,
		.value = value,
		.bytes = bytes,
		.flags = flags & ~(unsigned)CU_STREAM_WAIT_VALUE_FLUSH,
	};
	CUstreamBatchMemOpParams op = { .waitValue = {
						.operation =
							bytes == 4 ? CU_STREAM_MEM_OP_WAIT_VALUE_32
								   : CU_STREAM_MEM_OP_WAIT_VALUE_64,
						.address = addr,
						.value64 = value,
						.flags = flags,
					} };
	struct cu_stream *s;
	CUresult r;

	if (cmd.flags > CU_STREAM_WAIT_VALUE_NOR)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(stream, &s);
	if (r == CUDA_SUCCESS)
		r = check_value_address(addr, bytes);
	return r == CUDA_SUCCESS ? submit_value(s, &cmd.head, &op) : r;
}

#define VALUE_FN(bits, suffix)                                                                     \
	CUresult impl_cuStreamWriteValue##bits##suffix(CUstream stream, CUdeviceptr addr,          \
						       cuuint##bits##_t value, unsigned int flags) \
	{                                                                                          \
		return write_value(stream, addr, value, bits / 8, flags);                          \
	}                                                                                          \
	CUresult impl_cuStreamWaitValue##bits##suffix(CUstream stream, CUdeviceptr addr,           \
						      cuuint##bits##_t value, unsigned int flags)  \
	{                                                                                          \
		return wait_value(stream, addr, value, bits / 8, flags);                           \
	}
VALUE_FN(32, )
VALUE_FN(32, _v2)
VALUE_FN(64, )
VALUE_FN(64, _v2)
#undef VALUE_FN

static CUresult batch_op(CUstream stream, const CUstreamBatchMemOpParams *p)
{
	switch (p->operation) {
	case CU_STREAM_MEM_OP_WAIT_VALUE_32:
		return wait_value(stream, p->waitValue.address, p->waitValue.value, 4,
				  p->waitValue.flags);
	case CU_STREAM_MEM_OP_WAIT_VALUE_64:
		return wait_value(stream, p->waitValue.address, p->waitValue.value64, 8,
				  p->waitValue.flags);
	case CU_STREAM_MEM_OP_WRITE_VALUE_32:
		return write_value(stream, p->writeValue.address, p->writeValue.value, 4,
				   p->writeValue.flags);
	case CU_STREAM_MEM_OP_WRITE_VALUE_64:
		return write_value(stream, p->writeValue.address, p->writeValue.value64, 8,
				   p->writeValue.flags);
	case CU_STREAM_MEM_OP_BARRIER:
	case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
		return CUDA_SUCCESS; /* commands of a stream see each other's writes */
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult impl_cuStreamBatchMemOp_v2(CUstream stream, unsigned int count,
				    CUstreamBatchMemOpParams *paramArray, unsigned int flags)
{
	CUresult r = CUDA_SUCCESS;

	if (!paramArray || !count || count > 256 || flags)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < count && r == CUDA_SUCCESS; i++)
		r = batch_op(stream, &paramArray[i]);
	return r;
}

CUresult impl_cuStreamBatchMemOp(CUstream stream, unsigned int count,
				 CUstreamBatchMemOpParams *paramArray, unsigned int flags)
{
	return impl_cuStreamBatchMemOp_v2(stream, count, paramArray, flags);
}

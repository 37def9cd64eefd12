/* SPDX-License-Identifier: MIT */
/*
 * green.c - green contexts: a part of a device's multiprocessors, and streams that use no more.
 *
 * All green contexts of a device are its primary context, as the manual says; what they have of their own is
 * their streams. A multiprocessor is a share of the CPU threads that run blocks: a stream of a green
 * context with a quarter of the multiprocessors uses a quarter of the threads, at least one.
 */
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/queue.h"
#include "libcuda/link/link.h"

#define MAGIC 0x6e657247u

/** struct cu_green - a CUgreenCtx. */
struct cu_green {
	struct cu_head head;
	struct cu_device *dev;
	struct cu_ctx *ctx; /* the primary one, retained */
	unsigned sms;
	uint64_t id;
};

/** struct cu_resource - a CUdevResourceDesc; nothing in the API ends one. */
struct cu_resource {
	struct cu_head head;
	struct cu_device *dev;
	unsigned sms;
};

/* In the padding of a CUdevResource: what it is a part of. */
struct origin {
	uint32_t magic;
	int32_t ordinal;
	uint32_t is_part; /* a result of a split: cannot be split again */
};

/* ---- resources ------------------------------------------------------------------------------ */

static unsigned all_sms(const struct cu_device *dev)
{
	return (unsigned)cu_device_attr(dev, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 1);
}

/* As the manual has it by compute capability: the smallest part, and of what it is a multiple. */
static void granularity(const struct cu_device *dev, unsigned *ret_least, unsigned *ret_step)
{
	unsigned major = dev->link->info.cc_major;

	*ret_least = major >= 9 ? 8 : major == 8 ? 4 : major == 7 ? 2 : 1;
	*ret_step = major >= 9 ? 8 : major >= 7 ? 2 : 1;
}

static void set_resource(CUdevResource *r, const struct cu_device *dev, unsigned sms, bool is_part)
{
	struct origin o = { MAGIC, dev->ordinal, is_part };

	memset(r, 0, sizeof(*r));
	if (!sms) /* type INVALID: nothing is there */
		return;
	r->type = CU_DEV_RESOURCE_TYPE_SM;
	memcpy(r->_internal_padding, &o, sizeof(o));
	r->sm.smCount = sms;
	granularity(dev, &r->sm.minSmPartitionSize, &r->sm.smCoscheduledAlignment);
}

static CUresult get_resource(const CUdevResource *r, struct cu_device **ret_dev, bool *ret_is_part)
{
	struct origin o;

	if (r->type != CU_DEV_RESOURCE_TYPE_SM)
		return CUDA_ERROR_INVALID_RESOURCE_TYPE;
	memcpy(&o, r->_internal_padding, sizeof(o));
	*ret_dev = o.magic == MAGIC ? cu_device_get(o.ordinal) : NULL;
	if (!*ret_dev || !r->sm.smCount || r->sm.smCount > all_sms(*ret_dev))
		return CUDA_ERROR_INVALID_VALUE;
	*ret_is_part = o.is_part;
	return CUDA_SUCCESS;
}

static CUresult hand_out(CUdevResource *resource, CUdevResourceType type,
			 const struct cu_device *dev, unsigned sms)
{
	if (!resource)
		return CUDA_ERROR_INVALID_VALUE;
	if (type != CU_DEV_RESOURCE_TYPE_SM)
		return CUDA_ERROR_INVALID_RESOURCE_TYPE;
	set_resource(resource, dev, sms, false);
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceGetDevResource(CUdevice device, CUdevResource *resource,
				     CUdevResourceType type)
{
	struct cu_device *dev = cu_device_get(device);

	return dev ? hand_out(resource, type, dev, all_sms(dev)) : CUDA_ERROR_INVALID_DEVICE;
}

CUresult impl_cuCtxGetDevResource(CUcontext hCtx, CUdevResource *resource, CUdevResourceType type)
{
	struct cu_ctx *ctx;
	CUresult r = cu_ctx_get(hCtx, &ctx);

	return r == CUDA_SUCCESS ? hand_out(resource, type, ctx->dev, all_sms(ctx->dev)) : r;
}

CUresult impl_cuDevSmResourceSplitByCount(CUdevResource *result, unsigned int *nbGroups,
					  const CUdevResource *input, CUdevResource *remaining,
					  unsigned int useFlags, unsigned int minCount)
{
	unsigned least, step, size, groups, total;
	struct cu_device *dev;
	bool is_part;
	CUresult r;

	if (!nbGroups || !input ||
	    (useFlags & ~(unsigned)(CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING |
				    CU_DEV_SM_RESOURCE_SPLIT_MAX_POTENTIAL_CLUSTER_SIZE)))
		return CUDA_ERROR_INVALID_VALUE;
	r = get_resource(input, &dev, &is_part);
	if (r != CUDA_SUCCESS)
		return r;
	total = input->sm.smCount;
	if (minCount > total)
		return CUDA_ERROR_INVALID_VALUE;
	if (is_part)
		return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
	granularity(dev, &least, &step);
	if (useFlags & CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING) {
		least = least < 2 ? least : 2;
		step = step < 2 ? step : 2;
	}
	size = minCount > least ? minCount : least;
	size = (size + step - 1) / step * step;
	groups = total / size;
	if (!result) {
		*nbGroups = groups;
		return CUDA_SUCCESS;
	}
	if (*nbGroups < groups)
		groups = *nbGroups;
	if (!groups)
		return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
	for (unsigned i = 0; i < groups; i++)
		set_resource(&result[i], dev, size, true);
	if (remaining)
		set_resource(remaining, dev, total - groups * size, true);
	*nbGroups = groups;
	return CUDA_SUCCESS;
}

CUresult impl_cuDevResourceGenerateDesc(CUdevResourceDesc *phDesc, CUdevResource *resources,
					unsigned int nbResources)
{
	struct cu_device *dev = NULL, *one;
	struct cu_resource *desc;
	unsigned sms = 0;
	bool is_part;
	CUresult r;

	if (!phDesc || !resources || !nbResources)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < nbResources; i++) {
		r = get_resource(&resources[i], &one, &is_part);
		if (r != CUDA_SUCCESS)
			return r;
		if (dev && dev != one)
			return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
		dev = one;
		sms += resources[i].sm.smCount;
		if (sms > all_sms(dev))
			return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
	}
	desc = cu_handle_create(CU_KIND_RESOURCE, sizeof(*desc));
	if (!desc)
		return CUDA_ERROR_OUT_OF_MEMORY;
	desc->dev = dev;
	desc->sms = sms;
	*phDesc = (CUdevResourceDesc)desc;
	return CUDA_SUCCESS;
}

/* ---- green contexts ------------------------------------------------------------------------- */

static CUresult get(CUgreenCtx handle, struct cu_green **ret_green)
{
	struct cu_green *g = cu_handle_get(handle, CU_KIND_GREEN);

	if (!g)
		return CUDA_ERROR_INVALID_CONTEXT;
	*ret_green = g;
	return CUDA_SUCCESS;
}

CUresult impl_cuGreenCtxCreate(CUgreenCtx *phCtx, CUdevResourceDesc desc, CUdevice dev,
			       unsigned int flags)
{
	struct cu_resource *res = cu_handle_get(desc, CU_KIND_RESOURCE);
	struct cu_device *d = cu_device_get(dev);
	struct cu_green *g;
	CUcontext primary;
	CUresult r;

	if (!phCtx || !res || flags != CU_GREEN_CTX_DEFAULT_STREAM)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d || res->dev != d)
		return CUDA_ERROR_INVALID_DEVICE;
	g = cu_handle_create(CU_KIND_GREEN, sizeof(*g));
	if (!g)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = impl_cuDevicePrimaryCtxRetain(&primary, dev);
	if (r == CUDA_SUCCESS)
		r = cu_ctx_get(primary, &g->ctx);
	if (r != CUDA_SUCCESS) {
		cu_handle_destroy(g);
		return r;
	}
	g->dev = d;
	g->sms = res->sms;
	g->id = cu_next_id();
	*phCtx = (CUgreenCtx)g;
	return CUDA_SUCCESS;
}

CUresult impl_cuGreenCtxDestroy(CUgreenCtx hCtx)
{
	struct cu_green *g;
	CUdevice dev;
	CUresult r = get(hCtx, &g);

	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&g->ctx->lock);
	for (struct cu_stream *s = g->ctx->streams; s; s = s->next)
		if (s->green == g)
			s->green = NULL;
	pthread_mutex_unlock(&g->ctx->lock);
	dev = g->dev->ordinal;
	cu_handle_destroy(g);
	return impl_cuDevicePrimaryCtxRelease_v2(dev);
}

CUresult impl_cuCtxFromGreenCtx(CUcontext *pContext, CUgreenCtx hCtx)
{
	struct cu_green *g;
	CUresult r;

	if (!pContext)
		return CUDA_ERROR_INVALID_VALUE;
	r = get(hCtx, &g);
	if (r == CUDA_SUCCESS)
		*pContext = (CUcontext)g->ctx;
	return r;
}

CUresult impl_cuGreenCtxGetDevResource(CUgreenCtx hCtx, CUdevResource *resource,
				       CUdevResourceType type)
{
	struct cu_green *g;
	CUresult r = get(hCtx, &g);

	return r == CUDA_SUCCESS ? hand_out(resource, type, g->dev, g->sms) : r;
}

CUresult impl_cuGreenCtxGetId(CUgreenCtx greenCtx, unsigned long long *greenCtxId)
{
	struct cu_green *g;
	CUresult r;

	if (!greenCtxId)
		return CUDA_ERROR_INVALID_VALUE;
	r = get(greenCtx, &g);
	if (r == CUDA_SUCCESS)
		*greenCtxId = g->id;
	return r;
}

CUresult impl_cuGreenCtxStreamCreate(CUstream *phStream, CUgreenCtx greenCtx, unsigned int flags,
				     int priority)
{
	struct vgpu_stream_sms req = { 0 };
	struct cu_green *g;
	struct cu_stream *s;
	CUstream stream;
	CUcontext popped;
	CUresult r;
	int err;

	if (!phStream || flags != CU_STREAM_NON_BLOCKING)
		return CUDA_ERROR_INVALID_VALUE;
	r = get(greenCtx, &g);
	if (r == CUDA_SUCCESS)
		r = impl_cuCtxPushCurrent_v2((CUcontext)g->ctx);
	if (r != CUDA_SUCCESS)
		return r;
	r = impl_cuStreamCreateWithPriority(&stream, flags, priority);
	impl_cuCtxPopCurrent_v2(&popped);
	if (r != CUDA_SUCCESS)
		return r;
	s = (struct cu_stream *)stream;
	req.stream = queue_of(s)->link->handle;
	req.sms = g->sms;
	err = link_call(g->dev->link, VGPU_OP_STREAM_SMS, &req, sizeof(req));
	if (err < 0) {
		impl_cuStreamDestroy_v2(stream);
		return cu_from_errno(err);
	}
	s->green = g;
	*phStream = stream;
	return CUDA_SUCCESS;
}

CUresult impl_cuStreamGetGreenCtx(CUstream hStream, CUgreenCtx *phCtx)
{
	struct cu_stream *s;
	CUresult r;

	if (!phCtx)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(hStream, &s);
	if (r == CUDA_SUCCESS)
		*phCtx = (CUgreenCtx)s->green;
	return r;
}

/* ---- events on contexts --------------------------------------------------------------------- */

/* The streams of @ctx, or of @green alone, each with a reference to its queue. */
static CUresult gather(struct cu_ctx *ctx, const struct cu_green *green, struct queue ***ret_queues,
		       size_t *ret_count)
{
	struct queue **list;
	size_t n = 1;

	pthread_mutex_lock(&ctx->lock);
	for (const struct cu_stream *s = ctx->streams; s; s = s->next)
		n++;
	list = calloc(n, sizeof(struct queue *));
	n = 0;
	for (struct cu_stream *s = ctx->streams; list && s; s = s->next)
		if (!green || s->green == green)
			list[n++] = queue_of(s);
	if (list && !green && ctx->legacy)
		list[n++] = queue_of(ctx->legacy);
	for (size_t i = 0; i < n; i++)
		queue_get(list[i]);
	pthread_mutex_unlock(&ctx->lock);
	*ret_queues = list;
	*ret_count = n;
	return list ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static void let_go(struct queue **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		queue_put(list[i]);
	free(list);
}

/*
 * By way of a stream that exists for this alone: a record in it comes after all that is in the others (@before),
 * or the others come after what it waits for.
 */
static CUresult join(struct cu_ctx *ctx, const struct cu_green *green, CUevent event, bool before)
{
	struct queue **list;
	struct cu_stream *s;
	CUstream tmp;
	CUcontext popped;
	CUresult r;
	size_t n;
	int err = 0;

	r = capture_refuse_ctx(ctx);
	if (r == CUDA_SUCCESS)
		r = gather(ctx, green, &list, &n);
	if (r != CUDA_SUCCESS)
		return r;
	r = impl_cuCtxPushCurrent_v2((CUcontext)ctx);
	if (r != CUDA_SUCCESS)
		goto let_go;
	r = impl_cuStreamCreate(&tmp, CU_STREAM_NON_BLOCKING);
	if (r != CUDA_SUCCESS)
		goto pop;
	s = (struct cu_stream *)tmp;
	if (!before)
		r = impl_cuStreamWaitEvent(tmp, event, 0);
	for (size_t i = 0; i < n && r == CUDA_SUCCESS && !err; i++)
		err = before ? queue_follow(queue_of(s), list[i], link_submitted(list[i]->link))
			     : queue_follow(list[i], queue_of(s),
					    link_submitted(queue_of(s)->link));
	if (err < 0)
		r = cu_from_errno(err);
	if (r == CUDA_SUCCESS && before)
		r = impl_cuEventRecord(event, tmp);
	impl_cuStreamDestroy_v2(tmp);
pop:
	impl_cuCtxPopCurrent_v2(&popped);
let_go:
	let_go(list, n);
	return r;
}

CUresult impl_cuCtxRecordEvent(CUcontext hCtx, CUevent hEvent)
{
	struct cu_ctx *ctx;
	CUresult r = cu_ctx_get(hCtx, &ctx);

	return r == CUDA_SUCCESS ? join(ctx, NULL, hEvent, true) : r;
}

CUresult impl_cuCtxWaitEvent(CUcontext hCtx, CUevent hEvent)
{
	struct cu_ctx *ctx;
	CUresult r = cu_ctx_get(hCtx, &ctx);

	if (r == CUDA_SUCCESS && !cu_handle_get(hEvent, CU_KIND_EVENT))
		r = CUDA_ERROR_INVALID_HANDLE;
	return r == CUDA_SUCCESS ? join(ctx, NULL, hEvent, false) : r;
}

CUresult impl_cuGreenCtxRecordEvent(CUgreenCtx hCtx, CUevent hEvent)
{
	struct cu_green *g;
	CUresult r = get(hCtx, &g);

	return r == CUDA_SUCCESS ? join(g->ctx, g, hEvent, true) : r;
}

CUresult impl_cuGreenCtxWaitEvent(CUgreenCtx hCtx, CUevent hEvent)
{
	struct cu_green *g;
	CUresult r = get(hCtx, &g);

	if (r == CUDA_SUCCESS && !cu_handle_get(hEvent, CU_KIND_EVENT))
		r = CUDA_ERROR_INVALID_HANDLE;
	return r == CUDA_SUCCESS ? join(g->ctx, g, hEvent, false) : r;
}

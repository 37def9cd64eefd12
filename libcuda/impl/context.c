/* SPDX-License-Identifier: MIT */
/*
 * context.c - contexts that a program creates, the stack of current ones, and their settings. Not
 * here: primary contexts (primary.c), the mechanics (core/ctx.c).
 */
#include <errno.h>

#include "libcuda/core/ctx.h"
#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/pool.h"
#include "libcuda/link/link.h"

/* What the range is on hardware since Volta; the worker clamps to the same. */
#define PRIORITY_LEAST	  0
#define PRIORITY_GREATEST (-5)

static CUresult create(CUcontext *pctx, unsigned flags, CUdevice dev, unsigned api_version)
{
	struct cu_device *d = cu_device_get(dev);
	struct cu_ctx *ctx;
	CUresult r;

	if (!pctx || !cu_ctx_flags_valid(flags))
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	r = cu_ctx_create(d, flags, false, &ctx);
	if (r != CUDA_SUCCESS)
		return r;
	ctx->api_version = api_version;
	ctx->attached = 1;
	r = cu_ctx_activate(ctx);
	if (r != CUDA_SUCCESS)
		goto destroy;
	r = cu_ctx_push(ctx);
	if (r != CUDA_SUCCESS)
		goto destroy;
	*pctx = (CUcontext)ctx;
	return CUDA_SUCCESS;

destroy:
	cu_ctx_destroy(ctx);
	return r;
}

CUresult impl_cuCtxCreate(CUcontext *pctx, unsigned int flags, CUdevice dev)
{
	return create(pctx, flags, dev, 3010);
}

CUresult impl_cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev)
{
	return create(pctx, flags, dev, 3020);
}

/* Execution affinity is a thing of MPS; without it drivers refuse it with this code. */
CUresult impl_cuCtxCreate_v3(CUcontext *pctx, CUexecAffinityParam *paramsArray, int numParams,
			     unsigned int flags, CUdevice dev)
{
	if (numParams < 0 || (numParams && !paramsArray))
		return CUDA_ERROR_INVALID_VALUE;
	if (numParams)
		return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
	return create(pctx, flags, dev, 3020);
}

CUresult impl_cuCtxCreate_v4(CUcontext *pctx, CUctxCreateParams *ctxCreateParams,
			     unsigned int flags, CUdevice dev)
{
	if (ctxCreateParams) {
		if (ctxCreateParams->cigParams)
			return CUDA_ERROR_NOT_SUPPORTED;
		return impl_cuCtxCreate_v3(pctx, ctxCreateParams->execAffinityParams,
					   ctxCreateParams->numExecAffinityParams, flags, dev);
	}
	return create(pctx, flags, dev, 3020);
}

static void forget_peer(struct cu_ctx *ctx, void *user)
{
	uint32_t slot = ((struct cu_ctx *)user)->slot;

	ctx->peers[slot / 64] &= ~(1ull << (slot % 64));
}

CUresult impl_cuCtxDestroy_v2(CUcontext handle)
{
	struct cu_ctx *ctx = cu_handle_get(handle, CU_KIND_CTX), *top;

	if (!ctx || ctx->primary)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (cu_ctx_top(&top) == CUDA_SUCCESS && top == ctx)
		cu_ctx_pop(&top);
	cu_ctx_each(NULL, forget_peer, ctx);
	cu_ctx_destroy(ctx);
	return CUDA_SUCCESS;
}

CUresult impl_cuCtxDestroy(CUcontext ctx)
{
	return impl_cuCtxDestroy_v2(ctx);
}

/* The old reference count: cuCtxCreate counts one, the last detach destroys. */
CUresult impl_cuCtxAttach(CUcontext *pctx, unsigned int flags)
{
	struct cu_ctx *ctx;
	CUresult r;

	if (!pctx || flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_current(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	if (ctx->primary)
		return CUDA_ERROR_INVALID_CONTEXT;
	ctx->attached++;
	*pctx = (CUcontext)ctx;
	return CUDA_SUCCESS;
}

CUresult impl_cuCtxDetach(CUcontext handle)
{
	struct cu_ctx *ctx = cu_handle_get(handle, CU_KIND_CTX);

	if (!ctx || ctx->primary || !ctx->attached)
		return CUDA_ERROR_INVALID_CONTEXT;
	return --ctx->attached ? CUDA_SUCCESS : impl_cuCtxDestroy_v2(handle);
}

/* ---- the stack ------------------------------------------------------------------------------ */

CUresult impl_cuCtxPushCurrent_v2(CUcontext handle)
{
	struct cu_ctx *ctx = cu_handle_get(handle, CU_KIND_CTX);

	return ctx ? cu_ctx_push(ctx) : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult impl_cuCtxPushCurrent(CUcontext ctx)
{
	return impl_cuCtxPushCurrent_v2(ctx);
}

CUresult impl_cuCtxPopCurrent_v2(CUcontext *pctx)
{
	struct cu_ctx *ctx;
	CUresult r = cu_ctx_pop(&ctx);

	if (r == CUDA_SUCCESS && pctx)
		*pctx = (CUcontext)ctx;
	return r;
}

CUresult impl_cuCtxPopCurrent(CUcontext *pctx)
{
	return impl_cuCtxPopCurrent_v2(pctx);
}

CUresult impl_cuCtxSetCurrent(CUcontext handle)
{
	struct cu_ctx *ctx = cu_handle_get(handle, CU_KIND_CTX);

	if (handle && !ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	return cu_ctx_set(ctx);
}

CUresult impl_cuCtxGetCurrent(CUcontext *pctx)
{
	struct cu_ctx *ctx;
	CUresult r;

	if (!pctx)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_top(&ctx);
	if (r == CUDA_SUCCESS)
		*pctx = (CUcontext)ctx;
	return r;
}

/* ---- what it is ----------------------------------------------------------------------------- */

/* As cu_ctx_get(), but an inactive primary context will do. */
static CUresult any_ctx(CUcontext handle, struct cu_ctx **ret_ctx)
{
	CUresult r = CUDA_SUCCESS;

	if (handle)
		*ret_ctx = cu_handle_get(handle, CU_KIND_CTX);
	else
		r = cu_ctx_top(ret_ctx);
	if (r == CUDA_SUCCESS && !*ret_ctx)
		r = CUDA_ERROR_INVALID_CONTEXT;
	return r;
}

CUresult impl_cuCtxGetDevice_v2(CUdevice *device, CUcontext handle)
{
	struct cu_ctx *ctx;
	CUresult r;

	if (!device)
		return CUDA_ERROR_INVALID_VALUE;
	r = any_ctx(handle, &ctx);
	if (r == CUDA_SUCCESS)
		*device = ctx->dev->ordinal;
	return r;
}

CUresult impl_cuCtxGetDevice(CUdevice *device)
{
	return impl_cuCtxGetDevice_v2(device, NULL);
}

CUresult impl_cuCtxGetFlags(unsigned int *flags)
{
	struct cu_ctx *ctx;
	CUresult r;

	if (!flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_current(&ctx);
	if (r == CUDA_SUCCESS)
		*flags = ctx->flags;
	return r;
}

CUresult impl_cuCtxSetFlags(unsigned int flags)
{
	struct cu_ctx *ctx;
	CUresult r;

	if (!cu_ctx_flags_valid(flags))
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_current(&ctx);
	if (r == CUDA_SUCCESS)
		ctx->flags = flags;
	return r;
}

CUresult impl_cuCtxGetId(CUcontext handle, unsigned long long *ctxId)
{
	struct cu_ctx *ctx;
	CUresult r;

	if (!ctxId)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_get(handle, &ctx);
	if (r == CUDA_SUCCESS)
		*ctxId = ctx->id;
	return r;
}

CUresult impl_cuCtxGetApiVersion(CUcontext handle, unsigned int *version)
{
	struct cu_ctx *ctx;
	CUresult r;

	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	r = any_ctx(handle, &ctx);
	if (r == CUDA_SUCCESS)
		*version = ctx->api_version;
	return r;
}

CUresult impl_cuCtxGetStreamPriorityRange(int *leastPriority, int *greatestPriority)
{
	struct cu_ctx *ctx;
	CUresult r = cu_ctx_current(&ctx);

	if (r != CUDA_SUCCESS)
		return r;
	if (leastPriority)
		*leastPriority = PRIORITY_LEAST;
	if (greatestPriority)
		*greatestPriority = PRIORITY_GREATEST;
	return CUDA_SUCCESS;
}

CUresult impl_cuCtxGetExecAffinity(CUexecAffinityParam *pExecAffinity, CUexecAffinityType type)
{
	struct cu_ctx *ctx;
	CUresult r;

	if (!pExecAffinity)
		return CUDA_ERROR_INVALID_VALUE;
	if (type != CU_EXEC_AFFINITY_TYPE_SM_COUNT)
		return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
	r = cu_ctx_current(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	pExecAffinity->type = type;
	pExecAffinity->param.smCount.val =
		(unsigned)cu_device_attr(ctx->dev, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 1);
	return CUDA_SUCCESS;
}

/* ---- settings ------------------------------------------------------------------------------- */

static CUresult limit_call(CUlimit limit, bool set, size_t *value)
{
	struct vgpu_ctx_limit req = { .limit = (uint32_t)limit, .set = set, .value = *value };
	struct cu_ctx *ctx;
	CUresult r;
	int err;

	if ((unsigned)limit >= CU_LIMIT_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	req.ctx = ctx->ctx;
	err = link_call(ctx->dev->link, VGPU_OP_CTX_LIMIT, &req, sizeof(req));
	if (err < 0)
		return err == -ENOTSUP ? CUDA_ERROR_UNSUPPORTED_LIMIT : cu_from_errno(err);
	*value = (size_t)req.value;
	return CUDA_SUCCESS;
}

/*
 * Contexts that share the GPU with graphics have limits of their own. None of ours is one: what only
 * tells that is answered here, true for every context.
 */
static bool graphics_limit(CUlimit limit, const struct cu_ctx *ctx, size_t *ret_value)
{
	switch ((int)limit) {
	case CU_LIMIT_SHMEM_SIZE:
		*ret_value = (size_t)cu_device_attr(
			ctx->dev, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 0);
		return true;
	case CU_LIMIT_CIG_ENABLED:
	case CU_LIMIT_CIG_SHMEM_FALLBACK_ENABLED:
		*ret_value = 0;
		return true;
	default:
		return false;
	}
}

CUresult impl_cuCtxSetLimit(CUlimit limit, size_t value)
{
	struct cu_ctx *ctx;
	size_t fixed;
	CUresult r = cu_ctx_usable(&ctx);

	if (r == CUDA_SUCCESS && graphics_limit(limit, ctx, &fixed))
		return CUDA_ERROR_UNSUPPORTED_LIMIT;
	return limit_call(limit, true, &value);
}

CUresult impl_cuCtxGetLimit(size_t *pvalue, CUlimit limit)
{
	struct cu_ctx *ctx;
	size_t value = 0;
	CUresult r;

	if (!pvalue)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS || !graphics_limit(limit, ctx, &value))
		r = limit_call(limit, false, &value);
	if (r == CUDA_SUCCESS)
		*pvalue = value;
	return r;
}

CUresult impl_cuCtxGetCacheConfig(CUfunc_cache *pconfig)
{
	struct cu_ctx *ctx;
	CUresult r;

	if (!pconfig)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_current(&ctx);
	if (r == CUDA_SUCCESS)
		*pconfig = (CUfunc_cache)ctx->cache_config;
	return r;
}

/* A preference, as on hardware; there is one L1 cache here and it is the CPU's. */
CUresult impl_cuCtxSetCacheConfig(CUfunc_cache config)
{
	struct cu_ctx *ctx;
	CUresult r;

	if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_current(&ctx);
	if (r == CUDA_SUCCESS)
		ctx->cache_config = (int)config;
	return r;
}

CUresult impl_cuCtxGetSharedMemConfig(CUsharedconfig *pConfig)
{
	struct cu_ctx *ctx;
	CUresult r;

	if (!pConfig)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_current(&ctx);
	if (r == CUDA_SUCCESS)
		*pConfig = (CUsharedconfig)ctx->shared_config;
	return r;
}

/* Banks cannot be configured since Maxwell: the setting is checked and has no effect. */
CUresult impl_cuCtxSetSharedMemConfig(CUsharedconfig config)
{
	struct cu_ctx *ctx;

	if ((unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
		return CUDA_ERROR_INVALID_VALUE;
	return cu_ctx_current(&ctx);
}

/* No line is set aside for persisting accesses, so none has to be given back. */
CUresult impl_cuCtxResetPersistingL2Cache(void)
{
	struct cu_ctx *ctx;

	return cu_ctx_usable(&ctx);
}

/* ---- waiting -------------------------------------------------------------------------------- */

CUresult impl_cuCtxSynchronize_v2(CUcontext handle)
{
	struct cu_ctx *ctx;
	CUresult r = cu_ctx_get(handle, &ctx);

	if (r != CUDA_SUCCESS)
		return r;
	r = capture_refuse_ctx(ctx);
	if (r != CUDA_SUCCESS)
		return r;
	r = cu_stream_sync_ctx(ctx);
	cu_ctx_console(ctx);
	pool_synced();
	return r == CUDA_SUCCESS ? cu_ctx_error(ctx) : r;
}

CUresult impl_cuCtxSynchronize(void)
{
	return impl_cuCtxSynchronize_v2(NULL);
}

/* ---- peers ---------------------------------------------------------------------------------- */

static CUresult peer_pair(CUcontext handle, struct cu_ctx **ret_ctx, struct cu_ctx **ret_peer)
{
	CUresult r = cu_ctx_usable(ret_ctx);

	if (r != CUDA_SUCCESS)
		return r;
	if (!handle)
		return CUDA_ERROR_INVALID_CONTEXT;
	return cu_ctx_get(handle, ret_peer);
}

CUresult impl_cuCtxEnablePeerAccess(CUcontext peerContext, unsigned int Flags)
{
	struct cu_ctx *ctx, *peer;
	uint64_t bit;
	CUresult r;

	if (Flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = peer_pair(peerContext, &ctx, &peer);
	if (r != CUDA_SUCCESS)
		return r;
	if (peer == ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (peer->dev == ctx->dev)
		return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
	bit = 1ull << (peer->slot % 64);
	pthread_mutex_lock(&ctx->lock);
	if (ctx->peers[peer->slot / 64] & bit)
		r = CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
	ctx->peers[peer->slot / 64] |= bit;
	pthread_mutex_unlock(&ctx->lock);
	return r;
}

CUresult impl_cuCtxDisablePeerAccess(CUcontext peerContext)
{
	struct cu_ctx *ctx, *peer;
	uint64_t bit;
	CUresult r = peer_pair(peerContext, &ctx, &peer);

	if (r != CUDA_SUCCESS)
		return r;
	bit = 1ull << (peer->slot % 64);
	pthread_mutex_lock(&ctx->lock);
	if (!(ctx->peers[peer->slot / 64] & bit))
		r = CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
	ctx->peers[peer->slot / 64] &= ~bit;
	pthread_mutex_unlock(&ctx->lock);
	return r;
}

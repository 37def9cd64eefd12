/* SPDX-License-Identifier: MIT */
/*
 * ctx.c - contexts: their life, which one is current, their sticky error and their console.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/ctx.h"
#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/link/link.h"

static struct cu_ctx *live; /* guarded by the process lock */

CUresult cu_ctx_create(struct cu_device *dev, unsigned flags, bool primary, struct cu_ctx **ret_ctx)
{
	struct cu_ctx *ctx = cu_handle_create(CU_KIND_CTX, sizeof(*ctx));

	if (!ctx)
		return CUDA_ERROR_OUT_OF_MEMORY;
	ctx->dev = dev;
	ctx->flags = flags;
	ctx->primary = primary;
	ctx->id = cu_next_id();
	ctx->api_version = 3020;
	pthread_mutex_init(&ctx->lock, NULL);
	cu_lock();
	ctx->next_live = live;
	live = ctx;
	cu_unlock();
	*ret_ctx = ctx;
	return CUDA_SUCCESS;
}

CUresult cu_ctx_activate(struct cu_ctx *ctx)
{
	struct vgpu_ctx_create req = { .flags = ctx->flags };
	struct vgpu_ctx_destroy undo = { 0 };
	CUresult res;
	int r;

	r = link_call(ctx->dev->link, VGPU_OP_CTX_CREATE, &req, sizeof(req));
	if (r < 0) {
		cu_log(CU_LOG_ERROR, "no context on device %d: %s", ctx->dev->ordinal,
		       strerror(-r));
		return r == -ENODEV ? CUDA_ERROR_DEVICE_UNAVAILABLE : cu_from_errno(r);
	}
	ctx->ctx = req.ctx;
	ctx->slot = req.slot;
	ctx->error = 0;
	ctx->said = false;
	ctx->cache_config = CU_FUNC_CACHE_PREFER_NONE;
	ctx->shared_config = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
	res = cu_stream_ctx_init(ctx);
	if (res != CUDA_SUCCESS)
		goto destroy;
	ctx->active = true;
	return CUDA_SUCCESS;

destroy:
	undo.ctx = req.ctx;
	link_call(ctx->dev->link, VGPU_OP_CTX_DESTROY, &undo, sizeof(undo));
	return res;
}

/* The runtime's values go before the context does: their destructors may still use it. */
static void drop_locals(struct cu_ctx *ctx)
{
	struct cu_ctx_local *l;

	for (;;) {
		pthread_mutex_lock(&ctx->lock);
		l = ctx->locals;
		if (l)
			ctx->locals = l->next;
		pthread_mutex_unlock(&ctx->lock);
		if (!l)
			return;
		if (l->dtor)
			l->dtor((CUcontext)ctx, l->key, l->value);
		free(l);
	}
}

void cu_ctx_deactivate(struct cu_ctx *ctx)
{
	struct vgpu_ctx_destroy req = { .ctx = ctx->ctx };

	if (!ctx->active)
		return;
	cu_stream_sync_ctx(ctx);
	cu_ctx_console(ctx);
	drop_locals(ctx);
	ctx->active = false;
	cu_module_ctx_fini(ctx);
	cu_stream_ctx_fini(ctx);
	cu_memory_ctx_fini(ctx);
	link_call(ctx->dev->link, VGPU_OP_CTX_DESTROY, &req, sizeof(req));
	ctx->ctx = 0;
	ctx->error = 0;
	ctx->id = cu_next_id();
}

void cu_ctx_destroy(struct cu_ctx *ctx)
{
	struct cu_ctx **p;

	cu_ctx_deactivate(ctx);
	cu_lock();
	for (p = &live; *p; p = &(*p)->next_live) {
		if (*p == ctx) {
			*p = ctx->next_live;
			break;
		}
	}
	cu_unlock();
	pthread_mutex_destroy(&ctx->lock);
	cu_handle_destroy(ctx);
}

void cu_ctx_each(struct cu_device *dev, void (*fn)(struct cu_ctx *ctx, void *user), void *user)
{
	cu_lock();
	for (struct cu_ctx *c = live; c; c = c->next_live)
		if (c->active && (!dev || c->dev == dev))
			fn(c, user);
	cu_unlock();
}

/* --------------------------------------------------------------------------------------------- */

CUresult cu_ctx_push(struct cu_ctx *ctx)
{
	struct cu_thread *t = cu_thread();

	if (t->depth == t->cap) {
		unsigned cap = t->cap ? t->cap * 2 : 8;
		struct cu_stack_entry *stack = realloc(t->stack, cap * sizeof(*stack));

		if (!stack)
			return CUDA_ERROR_OUT_OF_MEMORY;
		t->stack = stack;
		t->cap = cap;
	}
	t->stack[t->depth++] = (struct cu_stack_entry){ .ctx = ctx, .id = ctx ? ctx->id : 0 };
	return CUDA_SUCCESS;
}

CUresult cu_ctx_pop(struct cu_ctx **ret_ctx)
{
	struct cu_thread *t = cu_thread();

	if (!t->depth)
		return CUDA_ERROR_INVALID_CONTEXT;
	*ret_ctx = t->stack[--t->depth].ctx;
	return CUDA_SUCCESS;
}

CUresult cu_ctx_set(struct cu_ctx *ctx)
{
	struct cu_thread *t = cu_thread();

	if (!ctx) {
		if (t->depth)
			t->depth--;
		return CUDA_SUCCESS;
	}
	if (!t->depth)
		return cu_ctx_push(ctx);
	t->stack[t->depth - 1] = (struct cu_stack_entry){ .ctx = ctx, .id = ctx->id };
	return CUDA_SUCCESS;
}

CUresult cu_ctx_top(struct cu_ctx **ret_ctx)
{
	const struct cu_thread *t = cu_thread();
	const struct cu_stack_entry *e;

	if (!t->depth || !t->stack[t->depth - 1].ctx) {
		*ret_ctx = NULL;
		return CUDA_SUCCESS;
	}
	e = &t->stack[t->depth - 1];
	if (!cu_handle_get(e->ctx, CU_KIND_CTX) || (!e->ctx->primary && e->ctx->id != e->id))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*ret_ctx = e->ctx;
	return CUDA_SUCCESS;
}

CUresult cu_ctx_current(struct cu_ctx **ret_ctx)
{
	struct cu_ctx *ctx;
	CUresult r = cu_ctx_top(&ctx);

	if (r != CUDA_SUCCESS)
		return r;
	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!ctx->active)
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*ret_ctx = ctx;
	return CUDA_SUCCESS;
}

CUresult cu_ctx_usable(struct cu_ctx **ret_ctx)
{
	CUresult r = cu_ctx_current(ret_ctx);

	return r == CUDA_SUCCESS ? cu_ctx_error(*ret_ctx) : r;
}

CUresult cu_ctx_get(CUcontext handle, struct cu_ctx **ret_ctx)
{
	struct cu_ctx *ctx;

	if (!handle)
		return cu_ctx_current(ret_ctx);
	ctx = cu_handle_get(handle, CU_KIND_CTX);
	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!ctx->active)
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*ret_ctx = ctx;
	return CUDA_SUCCESS;
}

/* --------------------------------------------------------------------------------------------- */

/* Tell once, in the log, what went wrong where. */
static void say_error(struct cu_ctx *ctx, CUresult error)
{
	struct vgpu_ctx_status st = { .ctx = ctx->ctx };

	if (!cu_log_on(CU_LOG_ERROR) || atomic_exchange(&ctx->said, true))
		return;
	if (link_call(ctx->dev->link, VGPU_OP_CTX_STATUS, &st, sizeof(st)) < 0)
		return;
	st.kernel[sizeof(st.kernel) - 1] = 0;
	st.what[sizeof(st.what) - 1] = 0;
	cu_log_line(CU_LOG_ERROR,
		    "%s: kernel %s, block (%u,%u,%u), thread (%u,%u,%u), address %#llx, PTX line "
		    "%u: %s",
		    cu_error_name(error) ? cu_error_name(error) : "error", st.kernel, st.ctaid[0],
		    st.ctaid[1], st.ctaid[2], st.tid[0], st.tid[1], st.tid[2],
		    (unsigned long long)st.address, st.line, st.what);
}

CUresult cu_ctx_error(struct cu_ctx *ctx)
{
	struct link *l = ctx->dev->link->link;
	uint32_t e;

	if (__atomic_load_n(&l->dead, __ATOMIC_ACQUIRE)) {
		e = link_ctx_error(l, ctx->slot);
		return e ? (CUresult)e : cu_from_errno(-ENODEV);
	}
	e = link_ctx_error(l, ctx->slot);
	if (!e)
		e = ctx->error;
	if (e)
		say_error(ctx, (CUresult)e);
	return (CUresult)e;
}

void cu_ctx_sticky(struct cu_ctx *ctx, uint32_t error)
{
	if (error)
		ctx->error = error;
}

static pthread_mutex_t console_lock = PTHREAD_MUTEX_INITIALIZER; /* keeps texts in one piece */

void cu_ctx_console(struct cu_ctx *ctx)
{
	struct vgpu_console_read req;
	struct link *l = ctx->dev->link->link;

	if (!ctx->ctx || !link_ctx_console(l, ctx->slot))
		return;
	pthread_mutex_lock(&console_lock);
	do {
		memset(&req, 0, offsetof(struct vgpu_console_read, text));
		req.ctx = ctx->ctx;
		if (link_call(ctx->dev->link, VGPU_OP_CONSOLE_READ, &req, sizeof(req)) < 0)
			break;
		if (!req.bytes || req.bytes > sizeof(req.text))
			break;
		/* Through stdio, so that it stands in order with what the program prints. */
		fwrite(req.text, 1, req.bytes, req.stream == 2 ? stderr : stdout);
	} while (req.more);
	pthread_mutex_unlock(&console_lock);
}

static void console_one(struct cu_ctx *ctx, void *user)
{
	cu_ctx_console(ctx);
}

void cu_ctx_console_all(void)
{
	cu_ctx_each(NULL, console_one, NULL);
}

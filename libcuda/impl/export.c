/* SPDX-License-Identifier: MIT */
/*
 * export.c - the private tables behind cuGetExportTable, as far as NVIDIA's libraries need them to
 * run. None of this is documented by NVIDIA; what each slot does was found out by watching what the
 * libraries do with it.
 *
 * A table is an array of pointers whose word 0 is its size in bytes (one has no such word). A slot
 * that we do not know answers CUDA_ERROR_NOT_SUPPORTED, a table that we do not know
 * CUDA_ERROR_NOT_FOUND. Some are refused on purpose: to "succeed" with NVRTC's compile cache means
 * a hit with empty PTX.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcuda/core/call.h"
#include "libcuda/core/ctx.h"
#include "libcuda/core/error.h"
#include "libcuda/core/integrity.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/export.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/module.h"
#include "libcuda/impl/primary.h"
#include "libcuda/link/link.h"

/* The slots are entry points like any other: init check, trace, caller. */
#define SLOT(name, params, body)                                                                   \
	static CUresult name params                                                                \
	{                                                                                          \
		static _Atomic bool said;                                                          \
		struct cu_call call;                                                               \
		CUresult r = cu_enter(&call, #name, 0, __builtin_return_address(0));               \
                                                                                                   \
		if (r == CUDA_SUCCESS)                                                             \
			r = body;                                                                  \
		return cu_leave(&call, r, &said);                                                  \
	}

static CUresult unknown_slot(void)
{
	cu_log_once(CU_LOG_WARN, "a library called an unknown slot of a private table");
	return CUDA_ERROR_NOT_SUPPORTED;
}

/* The context that a slot is given, NULL for the current one; an inactive primary one will do. */
static struct cu_ctx *slot_ctx(CUcontext handle)
{
	struct cu_ctx *ctx;

	if (handle)
		return cu_handle_get(handle, CU_KIND_CTX);
	return cu_ctx_top(&ctx) == CUDA_SUCCESS ? ctx : NULL;
}

/* ---- CUDART_INTERFACE ----------------------------------------------------------------------- */

static CUresult primary_of(CUcontext *ret_ctx, CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);
	struct cu_ctx *ctx;
	CUresult r;

	if (!ret_ctx)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	r = cu_primary_handle(d, &ctx);
	if (r == CUDA_SUCCESS)
		*ret_ctx = (CUcontext)ctx;
	return r;
}

static CUresult load_ext(CUmodule *ret_module, const void *image, void *a, void *b, unsigned c)
{
	if (a || b || c)
		return CUDA_ERROR_NOT_SUPPORTED;
	return impl_cuModuleLoadData(ret_module, image);
}

SLOT(cudart_load, (CUmodule * m, const void *wrapper), impl_cuModuleLoadData(m, wrapper))
SLOT(cudart_primary, (CUcontext * ctx, CUdevice dev), primary_of(ctx, dev))
SLOT(cudart_load_wrapper, (CUmodule * m, const void *wrapper, void *a, void *b, unsigned c),
     load_ext(m, wrapper, a, b, c))
SLOT(cudart_load_container, (const void *container, CUmodule *m, void *a, void *b, unsigned c),
     load_ext(m, container, a, b, c))

/* The runtime announces something here and looks at no answer. */
static void cudart_notice(uintptr_t what)
{
}

/* On hardware this loads the compiler's libraries early; ours is in the worker. */
static CUresult cudart_compilers(void)
{
	return CUDA_SUCCESS;
}

/* ---- tools ---------------------------------------------------------------------------------- */

/* Where a profiler would put its hooks; all zero, as without one. */
static uint32_t hooks_a[1024], hooks_b[14];

static void tools_hooks_a(void **ret_hooks, size_t *ret_count)
{
	*ret_hooks = hooks_a;
	*ret_count = sizeof(hooks_a) / sizeof(hooks_a[0]);
}

static void tools_hooks_b(void **ret_hooks, size_t *ret_count)
{
	*ret_hooks = hooks_b;
	*ret_count = sizeof(hooks_b) / sizeof(hooks_b[0]);
}

SLOT(tools_current, (CUcontext * ctx), impl_cuCtxGetCurrent(ctx))

/* ---- CONTEXT_LOCAL_STORAGE ------------------------------------------------------------------- */

static CUresult storage_set(CUcontext handle, void *key, void *value,
			    void (*dtor)(CUcontext, void *, void *))
{
	struct cu_ctx *ctx = slot_ctx(handle);
	struct cu_ctx_local *l;

	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&ctx->lock);
	for (l = ctx->locals; l && l->key != key;)
		l = l->next;
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (l) {
			l->key = key;
			l->next = ctx->locals;
			ctx->locals = l;
		}
	}
	if (l) {
		l->value = value;
		l->dtor = dtor;
	}
	pthread_mutex_unlock(&ctx->lock);
	return l ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult storage_del(CUcontext handle, void *key)
{
	struct cu_ctx *ctx = slot_ctx(handle);
	struct cu_ctx_local **p, *found = NULL;

	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&ctx->lock);
	for (p = &ctx->locals; *p; p = &(*p)->next) {
		if ((*p)->key == key) {
			found = *p;
			*p = found->next;
			break;
		}
	}
	pthread_mutex_unlock(&ctx->lock);
	free(found);
	return CUDA_SUCCESS;
}

static CUresult storage_find(void **ret_value, CUcontext handle, void *key)
{
	struct cu_ctx *ctx = slot_ctx(handle);
	struct cu_ctx_local *l;
	void *value = NULL;

	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	pthread_mutex_lock(&ctx->lock);
	for (l = ctx->locals; l && l->key != key;)
		l = l->next;
	if (l)
		value = l->value;
	pthread_mutex_unlock(&ctx->lock);
	if (!l)
		return CUDA_ERROR_INVALID_HANDLE;
	*ret_value = value;
	return CUDA_SUCCESS;
}

SLOT(storage_put, (CUcontext ctx, void *key, void *value, void (*dtor)(CUcontext, void *, void *)),
     storage_set(ctx, key, value, dtor))
SLOT(storage_delete, (CUcontext ctx, void *key), storage_del(ctx, key))
SLOT(storage_get, (void **value, CUcontext ctx, void *key), storage_find(value, ctx, key))

/* ---- CONTEXT_CHECKS ------------------------------------------------------------------------- */

/* Some state of a context that is never anything but zero. */
static CUresult checks_context(CUcontext ctx, uint32_t *ret_state, const void **ret_more)
{
	*ret_state = 0;
	return CUDA_SUCCESS;
}

static uint32_t checks_state(void)
{
	return 0;
}

/* ---- context tools -------------------------------------------------------------------------- */

static CUresult stream_handle(CUcontext handle, CUstream stream, void **ret_stream)
{
	struct cu_stream *s;
	CUresult r = cu_stream_get(stream, &s);

	if (r == CUDA_SUCCESS)
		*ret_stream = s;
	return r;
}

static CUresult stream_id(CUcontext handle, void *stream, uint64_t *ret_id)
{
	struct cu_stream *s = cu_handle_get(stream, CU_KIND_STREAM);

	if (!s)
		return CUDA_ERROR_INVALID_HANDLE;
	*ret_id = s->id;
	return CUDA_SUCCESS;
}

SLOT(context_id, (CUcontext ctx, unsigned long long *id), impl_cuCtxGetId(ctx, id))
SLOT(context_stream_id, (CUcontext ctx, void *stream, uint64_t *id), stream_id(ctx, stream, id))
SLOT(context_stream, (CUcontext ctx, CUstream stream, void **ret), stream_handle(ctx, stream, ret))

/* ---- module tools --------------------------------------------------------------------------- */

/* Calls back for each function of the module; answers how many there are. */
static uint64_t module_functions(CUcontext ctx, CUmodule module,
				 void (*fn)(void *user, CUfunction f, uint64_t owner), void *user)
{
	struct cu_call call;
	uint64_t n = 0;

	if (cu_enter(&call, "module_functions", 0, __builtin_return_address(0)) == CUDA_SUCCESS)
		n = cu_module_each_func(module, fn, user);
	cu_leave(&call, CUDA_SUCCESS, NULL);
	return n;
}

/* ---- INTEGRITY_CHECK ------------------------------------------------------------------------ */

#define SIZE_OF(slots) ((const void *)(uintptr_t)((slots) * sizeof(void *)))
#define FN(name)       ((const void *)(uintptr_t)name)

#define CUDART_SLOTS 13
static const void *const cudart_interface[CUDART_SLOTS] = {
	[0] = SIZE_OF(CUDART_SLOTS),   [1] = FN(cudart_load),	[2] = FN(cudart_primary),
	[3] = FN(unknown_slot),	       [4] = FN(unknown_slot),	[5] = FN(unknown_slot),
	[6] = FN(cudart_load_wrapper), [7] = FN(cudart_notice), [8] = FN(cudart_load_container),
	[9] = FN(unknown_slot),	       [10] = FN(unknown_slot), [11] = FN(unknown_slot),
	[12] = FN(cudart_compilers),
};

#if VGPU_WITH_INTEGRITY
static CUresult integrity_check(uint32_t version, uint64_t time, uint8_t ret_answer[16]);

static const void *const integrity_table[3] = {
	[0] = SIZE_OF(3),
	[1] = FN(integrity_check),
	[2] = FN(unknown_slot),
};

static CUresult integrity_check(uint32_t version, uint64_t time, uint8_t ret_answer[16])
{
	struct cu_integrity_device devices[VGPU_MAX_DEVICES];
	struct cu_integrity_input in = {
		.version = version,
		.pid = (uint32_t)getpid(),
		.thread = (uint32_t)pthread_self(),
		.cudart_table = (uintptr_t)cudart_interface,
		.integrity_table = (uintptr_t)integrity_table,
		.function = (uintptr_t)integrity_table[1],
		.time = time,
	};
	int n = cu_device_count(), driver_version;

	impl_cuDriverGetVersion(&driver_version);
	in.driver_version = (uint32_t)driver_version;
	for (int i = 0; i < n; i++) {
		const struct vgpu_device_info *info = &cu_device_get(i)->link->info;

		memcpy(devices[i].uuid, info->uuid, sizeof(devices[i].uuid));
		devices[i].pci_domain = (int32_t)info->pci_domain;
		devices[i].pci_bus = (int32_t)info->pci_bus;
		devices[i].pci_device = (int32_t)info->pci_device;
	}
	cu_integrity_answer(&in, devices, (size_t)n, ret_answer);
	return CUDA_SUCCESS;
}
#endif

/* ---- the tables ----------------------------------------------------------------------------- */

static const void *const tools_hooks[7] = {
	[0] = SIZE_OF(7),	 [1] = FN(unknown_slot), [2] = FN(tools_hooks_a),
	[3] = FN(unknown_slot),	 [4] = FN(unknown_slot), [5] = FN(unknown_slot),
	[6] = FN(tools_hooks_b),
};

static const void *const tools_tls[4] = {
	[0] = SIZE_OF(4),
	[1] = FN(unknown_slot),
	[2] = FN(tools_current),
	[3] = FN(unknown_slot),
};

static const void *const local_storage[4] = {
	[0] = FN(storage_put),
	[1] = FN(storage_delete),
	[2] = FN(storage_get),
	[3] = NULL,
};

#define CHECKS_SLOTS 18
static const void *const context_checks[CHECKS_SLOTS] = {
	[0] = SIZE_OF(CHECKS_SLOTS),
	[1] = FN(unknown_slot),
	[2] = FN(checks_context),
	[3] = FN(checks_state),
	[4 ... CHECKS_SLOTS - 1] = FN(unknown_slot),
};

#define CONTEXT_SLOTS 96
static const void *const context_tools[CONTEXT_SLOTS] = {
	[0] = SIZE_OF(CONTEXT_SLOTS), [1 ... 3] = FN(unknown_slot),
	[4] = FN(context_id),	      [5 ... 38] = FN(unknown_slot),
	[39] = FN(context_stream_id), [40 ... 50] = FN(unknown_slot),
	[51] = FN(context_stream),    [52 ... CONTEXT_SLOTS - 1] = FN(unknown_slot),
};

#define MODULE_SLOTS 16
static const void *const module_tools[MODULE_SLOTS] = {
	[0] = SIZE_OF(MODULE_SLOTS),
	[1 ... 6] = FN(unknown_slot),
	[7] = FN(module_functions),
	[8 ... MODULE_SLOTS - 1] = FN(unknown_slot),
};

/* As it is printed. */
#define BYTE(x, n) (uint8_t)((x) >> 8 * (n))
#define UUID(a, b, c, d, e)                                                                        \
	{                                                                                          \
		BYTE(a, 3), BYTE(a, 2), BYTE(a, 1), BYTE(a, 0), BYTE(b, 1), BYTE(b, 0),            \
			BYTE(c, 1), BYTE(c, 0), BYTE(d, 1), BYTE(d, 0), BYTE(e, 5), BYTE(e, 4),    \
			BYTE(e, 3), BYTE(e, 2), BYTE(e, 1), BYTE(e, 0)                             \
	}

static const struct export
{
	uint8_t id[16];
	const void *const *table; /* NULL: known, and refused */
}
exports[] = {
	/* CUDART_INTERFACE */
	{ UUID(0x6bd5fb6c, 0x5bf4, 0xe74a, 0x8987, 0xd93912fd9df9), cudart_interface },
	/* TOOLS_RUNTIME_CALLBACK_HOOKS */
	{ UUID(0xa094798c, 0x2e74, 0x2e74, 0x93f2, 0x0800200c0a66), tools_hooks },
	/* TOOLS_TLS */
	{ UUID(0x42d85a81, 0x23f6, 0xcb47, 0x8298, 0xf6e78a3aecdc), tools_tls },
	/* CONTEXT_LOCAL_STORAGE */
	{ UUID(0xc693336e, 0x1121, 0xdf11, 0xa8c3, 0x68f355d89593), local_storage },
	/* CONTEXT_CHECKS */
	{ UUID(0x263e8860, 0x7cd2, 0x6143, 0x92f6, 0xbbd5006dfa7e), context_checks },
#if VGPU_WITH_INTEGRITY
	/* INTEGRITY_CHECK */
	{ UUID(0xd4082055, 0xbde6, 0x704b, 0x8d34, 0xba123c66e1f2), integrity_table },
#endif
	/* context tools: cuBLAS, cuSOLVER, cuDNN */
	{ UUID(0x21318c60, 0x9714, 0x3248, 0x8ca6, 0x41ff7324c8f2), context_tools },
	/* module tools: cuFFT */
	{ UUID(0x6e163fbe, 0xb958, 0x444d, 0x835c, 0xe182aff1991e), module_tools },
	/* compile cache of NVRTC: refused, see above */
	{ UUID(0xda9151d3, 0x3ae6, 0xcc41, 0xa5c0, 0x4f26d533e328), NULL },
	/* asked for by the runtime 13 first of all; it goes on without */
	{ UUID(0xf8cff951, 0x2146, 0x8b4e, 0xb9e2, 0xfb469e7c0dd9), NULL },
};

CUresult cu_export_find(const CUuuid *id, const void **ret_table)
{
	const uint8_t *b = (const uint8_t *)id->bytes;

	*ret_table = NULL;
	for (size_t i = 0; i < sizeof(exports) / sizeof(exports[0]); i++) {
		if (memcmp(exports[i].id, b, sizeof(exports[i].id)))
			continue;
		*ret_table = exports[i].table;
		return *ret_table ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
	}
	cu_log(CU_LOG_INFO, /* a library tries what it can do without */
	       "unknown private table "
	       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
	       b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
	       b[13], b[14], b[15]);
	return CUDA_ERROR_NOT_FOUND;
}

/* SPDX-License-Identifier: MIT */
/*
 * module.h - images in the worker and the functions in them: handle types, and what library.c,
 * func.c, launch.c and occupancy.c need of each other.
 *
 *   cu_library ── image, no context      cu_kernel ── name in a library
 *       │ one per context that uses it       │
 *   cu_module ── image in one context    cu_func ── kernel of one module
 */
#ifndef IMPL_MODULE_H
#define IMPL_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcuda/core/ctx.h"
#include "libcuda/impl/image.h"
#include "libcuda/impl/jit.h"

#define FUNC_CACHE_CONFIG 0x10000u /* attr of FUNC_SET: CUfunc_cache */

struct cu_library;
struct cu_kernel;
struct cu_texref;

/** An address that was handed out and is listed in the link's map. */
struct module_global {
	struct module_global *next;
	uint64_t va;
	uint64_t map_va,
		map_size; /* pages of a managed variable in this process, size 0 for none */
};

struct cu_module {
	struct cu_head head;
	struct cu_ctx *ctx;
	uint64_t ctx_id;
	struct cu_module *next;	    /* in ctx->modules; guarded by ctx->lock */
	struct cu_library *library; /* it was loaded for, NULL; constant */
	uint32_t module;	    /* the worker's handle */
	uint32_t ptx_target;
	bool wrapped; /* nvcc's wrapper was around it: the runtime library loaded it; constant */
	pthread_mutex_t lock;	 /* guards the rest */
	struct cu_func **bucket; /* by name */
	struct module_global *globals;
	struct cu_texref *refs;	   /* texture and surface references that were asked for */
	_Atomic bool refs_changed; /* since texref_apply() */
};

/** Where parameters lie; made once, then constant. */
struct func_layout {
	uint32_t count;
	uint32_t bytes;
	struct {
		uint32_t offset, size;
	} param[];
};

/** State of the old launch API (cuFuncSetBlockShape, cuParamSetv ...). */
struct func_old {
	unsigned block[3], shared_bytes, param_bytes;
	uint8_t params[4096];
};

struct cu_func {
	struct cu_head head;
	struct cu_module *module;
	struct cu_func *next; /* in its bucket; guarded by module->lock */
	uint32_t func;	      /* the worker's handle */
	char *name;	      /* constant */
	pthread_mutex_t lock; /* guards info_known, refused, info, old */
	bool info_known;
	bool refused; /* the log has said why */
	uint32_t info[offsetof(struct vgpu_func_info, log) / 4];
	_Atomic(struct func_layout *) layout;
	struct func_old *old;
};

/* ---- module.c ------------------------------------------------------------------------------- */

/**
 * module_load() - @jit may be NULL. @same: a module of this image, whose managed variables it is to
 * have, or NULL.
 */
CUresult module_load(struct cu_ctx *ctx, const struct image *image, bool lenient,
		     const struct jit_options *jit, struct cu_library *library,
		     const struct cu_module *same, struct cu_module **ret_module);
/** module_bequeath() - @to goes on with the managed variables of @from; the library is locked. */
void module_bequeath(struct cu_module *from, struct cu_module *to);
/** module_destroy() - @in_worker: also there. */
void module_destroy(struct cu_module *m, bool in_worker);
/** module_get() - check a CUmodule, and that its context can be used. */
CUresult module_get(CUmodule handle, struct cu_module **ret_module);
/** module_func() - kernel by name; CUDA_ERROR_NOT_FOUND. */
CUresult module_func(struct cu_module *m, const char *name, struct cu_func **ret_func);
/** module_func_at() - kernel by index. */
CUresult module_func_at(struct cu_module *m, uint32_t index, struct cu_func **ret_func);
CUresult module_func_count(struct cu_module *m, uint32_t *ret_count);
/** module_global() - variable by name; @managed: only such a one. Outputs may be NULL. */
CUresult module_global(struct cu_module *m, const char *name, bool managed, CUdeviceptr *ret_va,
		       size_t *ret_size);
/** module_variable() - address of the variable of that name if it is of @kind (vgpu_global_get.kind). */
CUresult module_variable(struct cu_module *m, const char *name, uint32_t kind, uint64_t *ret_va);
/** cu_module_each_func() - answers how many there are. */
uint64_t cu_module_each_func(CUmodule handle, void (*fn)(void *user, CUfunction f, uint64_t owner),
			     void *user);

/* ---- library.c ------------------------------------------------------------------------------ */

/** library_forget() - module @m of @lib is going; another one gets its managed variables. */
void library_forget(struct cu_library *lib, struct cu_module *m);
/** library_lock() - guards, beside the library, which of its modules lists a managed variable. */
void library_lock(struct cu_library *lib);
void library_unlock(struct cu_library *lib);
/** kernel_func() - the function behind a kernel in @ctx; loads its library there if needed. */
CUresult kernel_func(struct cu_kernel *k, struct cu_ctx *ctx, struct cu_func **ret_func);

/* ---- func.c --------------------------------------------------------------------------------- */

/** func_get() - a CUfunction argument: a function, or a kernel (of the current context). */
CUresult func_get(CUfunction handle, struct cu_func **ret_func);
/** func_info() - attributes; compiles if needed, and says why it cannot. Fills all but the log. */
CUresult func_info(struct cu_func *f, struct vgpu_func_info *ret_info);
CUresult func_layout(struct cu_func *f, const struct func_layout **ret_layout);
CUresult func_attribute(struct cu_func *f, CUfunction_attribute attr, int *ret_value);
CUresult func_set(struct cu_func *f, uint32_t attr, int value);
CUresult func_param(struct cu_func *f, size_t index, size_t *ret_offset, size_t *ret_size);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * library.c - libraries and kernels: images that belong to no context and are loaded into each one
 * that uses them, when it does.
 *
 * Lock order: library->lock, then a context's or a module's.
 */
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/call.h"
#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/module.h"

#define KERNEL_BUCKETS 256u

struct kernel_attr {
	int ordinal;
	uint32_t attr;
	int value;
};

struct cu_kernel {
	struct cu_head head;
	struct cu_library *library;
	struct cu_kernel *next;	   /* in its bucket; guarded by library->lock */
	char *name;		   /* constant */
	struct kernel_attr *attrs; /* guarded by library->lock */
	unsigned attr_count;	   /* guarded by library->lock */
	/* The function last asked for; a new id of the context makes it stale. */
	_Atomic uint64_t cached_id;
	_Atomic(struct cu_func *) cached;
};

struct library_module {
	struct library_module *next;
	struct cu_module *module;
};

struct cu_library {
	struct cu_head head;
	struct image image;
	void *owned;  /* our copy of it, NULL if the program keeps it */
	bool lenient; /* loaded by one of NVIDIA's libraries */
	pthread_mutex_t lock;
	struct library_module *modules; /* guarded by lock */
	/*
	 * Managed variables are the same in all contexts. Who asks for them without one gets those
	 * of this context.
	 */
	struct cu_ctx *home;	   /* guarded by lock */
	uint64_t home_id;	   /* guarded by lock; home->id, stale after a reset */
	bool home_retained;	   /* guarded by lock; the primary context is held for it */
	struct cu_kernel **bucket; /* guarded by lock */
};

/* ---- modules of a library ------------------------------------------------------------------- */

static CUresult module_in_locked(struct cu_library *lib, struct cu_ctx *ctx,
				 const struct jit_options *jit, struct cu_module **ret_module)
{
	struct library_module *lm;
	CUresult r;

	for (lm = lib->modules; lm; lm = lm->next) {
		if (lm->module->ctx == ctx && lm->module->ctx_id == ctx->id) {
			*ret_module = lm->module;
			return CUDA_SUCCESS;
		}
	}
	lm = calloc(1, sizeof(*lm));
	if (!lm)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = module_load(ctx, &lib->image, lib->lenient, jit, lib,
			lib->modules ? lib->modules->module : NULL, &lm->module);
	if (r != CUDA_SUCCESS) {
		free(lm);
		return r;
	}
	lm->next = lib->modules;
	lib->modules = lm;
	*ret_module = lm->module;
	return CUDA_SUCCESS;
}

static CUresult module_in(struct cu_library *lib, struct cu_ctx *ctx, struct cu_module **ret_module)
{
	CUresult r;

	pthread_mutex_lock(&lib->lock);
	r = module_in_locked(lib, ctx, NULL, ret_module);
	pthread_mutex_unlock(&lib->lock);
	return r;
}

void library_forget(struct cu_library *lib, struct cu_module *m)
{
	struct library_module **p, *found = NULL;

	pthread_mutex_lock(&lib->lock);
	for (p = &lib->modules; *p; p = &(*p)->next) {
		if ((*p)->module == m) {
			found = *p;
			*p = found->next;
			break;
		}
	}
	if (found && lib->modules)
		module_bequeath(m, lib->modules->module);
	pthread_mutex_unlock(&lib->lock);
	free(found);
}

void library_lock(struct cu_library *lib)
{
	pthread_mutex_lock(&lib->lock);
}

void library_unlock(struct cu_library *lib)
{
	pthread_mutex_unlock(&lib->lock);
}

/*
 * Questions about a library need no context, but its content is known to a worker's module only.
 * Where nobody has loaded it yet, and nothing is current, it goes into a context of our own.
 */
static CUresult own_ctx(struct cu_device *dev, struct cu_ctx **ret_ctx)
{
	struct cu_ctx *ctx;
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&dev->primary_lock);
	if (!dev->hidden) {
		r = cu_ctx_create(dev, 0, false, &ctx);
		if (r == CUDA_SUCCESS) {
			r = cu_ctx_activate(ctx);
			if (r == CUDA_SUCCESS)
				dev->hidden = ctx;
			else
				cu_ctx_destroy(ctx);
		}
	}
	if (r == CUDA_SUCCESS)
		*ret_ctx = dev->hidden;
	pthread_mutex_unlock(&dev->primary_lock);
	return r;
}

/* Any module of @lib, on @dev unless that is NULL; one in the current context if there is one. */
static CUresult any_module(struct cu_library *lib, struct cu_device *dev,
			   struct cu_module **ret_module)
{
	struct library_module *lm;
	struct cu_module *found = NULL;
	struct cu_ctx *ctx;
	CUresult r;

	r = cu_ctx_current(&ctx);
	if (r == CUDA_SUCCESS && (!dev || ctx->dev == dev)) {
		r = cu_ctx_error(ctx);
		return r == CUDA_SUCCESS ? module_in(lib, ctx, ret_module) : r;
	}
	pthread_mutex_lock(&lib->lock);
	for (lm = lib->modules; lm && !found; lm = lm->next)
		if (!dev || lm->module->ctx->dev == dev)
			found = lm->module;
	pthread_mutex_unlock(&lib->lock);
	if (found) {
		*ret_module = found;
		return CUDA_SUCCESS;
	}
	r = own_ctx(dev ? dev : cu_device_get(0), &ctx);
	return r == CUDA_SUCCESS ? module_in(lib, ctx, ret_module) : r;
}

/* ---- load and unload ------------------------------------------------------------------------ */

struct library_options {
	bool preserved;
};

static CUresult parse_options(CUlibraryOption *option, void **value, unsigned count,
			      struct library_options *ret_options)
{
	struct library_options o = { 0 };

	if (count && !option)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < count; i++) {
		switch (option[i]) {
		case CU_LIBRARY_BINARY_IS_PRESERVED:
			/* Being there is enough; the runtime gives no value. */
			o.preserved = true;
			break;
		case CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE:
			if (value && value[i]) {
				cu_log_once(
					CU_LOG_WARN,
					"libraries with tables of host functions are not built");
				return CUDA_ERROR_NOT_SUPPORTED;
			}
			break;
		default:
			return CUDA_ERROR_INVALID_VALUE;
		}
	}
	*ret_options = o;
	return CUDA_SUCCESS;
}

static void library_free(struct cu_library *lib)
{
	struct cu_kernel *k;

	for (unsigned i = 0; lib->bucket && i < KERNEL_BUCKETS; i++) {
		while ((k = lib->bucket[i])) {
			lib->bucket[i] = k->next;
			free(k->attrs);
			free(k->name);
			cu_handle_destroy(k);
		}
	}
	free(lib->bucket);
	free(lib->owned);
	pthread_mutex_destroy(&lib->lock);
	cu_handle_destroy(lib);
}

/* A text is compiled at once if there is somewhere to put it, so that its author hears of mistakes.
 */
static CUresult load_now(struct cu_library *lib, const struct jit_options *jit)
{
	struct cu_module *m;
	struct cu_ctx *ctx;
	CUresult r;

	if ((!lib->image.text && !jit->count) || cu_ctx_usable(&ctx) != CUDA_SUCCESS) {
		jit_finish(jit, CUDA_SUCCESS, "");
		return CUDA_SUCCESS;
	}
	pthread_mutex_lock(&lib->lock);
	r = module_in_locked(lib, ctx, jit, &m);
	pthread_mutex_unlock(&lib->lock);
	return r;
}

CUresult impl_cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *jitOptions,
				void **jitOptionsValues, unsigned int numJitOptions,
				CUlibraryOption *libraryOptions, void **libraryOptionValues,
				unsigned int numLibraryOptions)
{
	struct library_options opt;
	struct jit_options jit;
	struct cu_library *lib;
	struct image image;
	CUresult r;

	if (!library || !code)
		return CUDA_ERROR_INVALID_VALUE;
	r = jit_parse(numJitOptions, jitOptions, jitOptionsValues, &jit);
	if (r == CUDA_SUCCESS)
		r = parse_options(libraryOptions, libraryOptionValues, numLibraryOptions, &opt);
	if (r != CUDA_SUCCESS)
		return r;
	r = image_find(code, &image);
	if (r != CUDA_SUCCESS) {
		jit_finish(&jit, r, "");
		return r;
	}
	lib = cu_handle_create(CU_KIND_LIBRARY, sizeof(*lib));
	if (!lib) {
		free(image.made);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	pthread_mutex_init(&lib->lock, NULL);
	lib->image = image;
	lib->owned = image.made;
	lib->lenient = cu_device_count() && cu_caller_is_library(cu_device_get(0));
	r = CUDA_ERROR_OUT_OF_MEMORY;
	if (!opt.preserved && !image.made) {
		lib->owned = malloc(image.size);
		if (!lib->owned)
			goto free_library;
		memcpy(lib->owned, image.data, image.size);
		lib->image.data = lib->owned;
	}
	r = load_now(lib, &jit);
	if (r != CUDA_SUCCESS)
		goto free_library;
	*library = (CUlibrary)lib;
	return CUDA_SUCCESS;

free_library:
	library_free(lib);
	return r;
}

CUresult impl_cuLibraryLoadFromFile(CUlibrary *library, const char *fileName,
				    CUjit_option *jitOptions, void **jitOptionsValues,
				    unsigned int numJitOptions, CUlibraryOption *libraryOptions,
				    void **libraryOptionValues, unsigned int numLibraryOptions)
{
	void *data;
	CUresult r;

	for (unsigned i = 0; libraryOptions && i < numLibraryOptions; i++)
		if (libraryOptions[i] == CU_LIBRARY_BINARY_IS_PRESERVED)
			return CUDA_ERROR_INVALID_VALUE; /* the buffer is ours */
	r = image_read(fileName, &data, NULL);
	if (r != CUDA_SUCCESS)
		return r;
	r = impl_cuLibraryLoadData(library, data, jitOptions, jitOptionsValues, numJitOptions,
				   libraryOptions, libraryOptionValues, numLibraryOptions);
	free(data);
	return r;
}

CUresult impl_cuLibraryUnload(CUlibrary library)
{
	struct cu_library *lib = cu_handle_get(library, CU_KIND_LIBRARY);
	struct cu_module *m;

	if (!lib)
		return CUDA_ERROR_INVALID_HANDLE;
	for (;;) {
		pthread_mutex_lock(&lib->lock);
		m = lib->modules ? lib->modules->module : NULL;
		pthread_mutex_unlock(&lib->lock);
		if (!m)
			break;
		cu_stream_sync_ctx(m->ctx);
		cu_ctx_console(m->ctx);
		module_destroy(m, true);
	}
	if (lib->home_retained && lib->home->id == lib->home_id)
		impl_cuDevicePrimaryCtxRelease_v2(lib->home->dev->ordinal);
	library_free(lib);
	return CUDA_SUCCESS;
}

/* ---- kernels -------------------------------------------------------------------------------- */

static uint32_t hash_text(const char *s)
{
	uint32_t h = 2166136261u;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h;
}

/* The handle for a name that is known to exist. */
static CUresult kernel_of(struct cu_library *lib, const char *name, struct cu_kernel **ret_kernel)
{
	struct cu_kernel *k = NULL, **bucket;
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

	pthread_mutex_lock(&lib->lock);
	if (!lib->bucket)
		lib->bucket = calloc(KERNEL_BUCKETS, sizeof(*lib->bucket));
	if (!lib->bucket)
		goto unlock;
	bucket = &lib->bucket[hash_text(name) % KERNEL_BUCKETS];
	for (k = *bucket; k && strcmp(k->name, name);)
		k = k->next;
	if (!k) {
		k = cu_handle_create(CU_KIND_KERNEL, sizeof(*k));
		if (!k)
			goto unlock;
		k->name = strdup(name);
		if (!k->name) {
			cu_handle_destroy(k);
			goto unlock;
		}
		k->library = lib;
		k->next = *bucket;
		*bucket = k;
	}
	*ret_kernel = k;
	r = CUDA_SUCCESS;
unlock:
	pthread_mutex_unlock(&lib->lock);
	return r;
}

/* Attributes that were set for the kernel hold in modules that are loaded later, too. */
static CUresult func_in(struct cu_kernel *k, struct cu_module *m, struct cu_func **ret_func)
{
	struct cu_library *lib = k->library;
	struct cu_func *f;
	CUresult r = module_func(m, k->name, &f);

	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&lib->lock);
	for (unsigned i = 0; i < k->attr_count; i++)
		if (k->attrs[i].ordinal == m->ctx->dev->ordinal)
			func_set(f, k->attrs[i].attr, k->attrs[i].value);
	pthread_mutex_unlock(&lib->lock);
	*ret_func = f;
	return CUDA_SUCCESS;
}

CUresult kernel_func(struct cu_kernel *k, struct cu_ctx *ctx, struct cu_func **ret_func)
{
	struct cu_module *m;
	struct cu_func *f;
	CUresult r;

	/* The id is written last and read first, so it never vouches for another function. */
	if (atomic_load_explicit(&k->cached_id, memory_order_acquire) == ctx->id) {
		f = atomic_load_explicit(&k->cached, memory_order_acquire);
		if (f && f->head.kind == CU_KIND_FUNC && f->module->ctx == ctx) {
			*ret_func = f;
			return CUDA_SUCCESS;
		}
	}
	r = module_in(k->library, ctx, &m);
	if (r == CUDA_SUCCESS)
		r = func_in(k, m, &f);
	if (r != CUDA_SUCCESS)
		return r;
	atomic_store(&k->cached_id, 0);
	atomic_store(&k->cached, f);
	atomic_store_explicit(&k->cached_id, ctx->id, memory_order_release);
	*ret_func = f;
	return CUDA_SUCCESS;
}

static CUresult kernel_get(CUkernel handle, struct cu_kernel **ret_kernel)
{
	*ret_kernel = cu_handle_get(handle, CU_KIND_KERNEL);
	return *ret_kernel ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* The kernel's function on a device, in whatever context. */
static CUresult kernel_on(CUkernel handle, CUdevice dev, struct cu_kernel **ret_kernel,
			  struct cu_func **ret_func)
{
	struct cu_device *d = cu_device_get(dev);
	struct cu_module *m;
	CUresult r = kernel_get(handle, ret_kernel);

	if (r != CUDA_SUCCESS)
		return r;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	r = any_module((*ret_kernel)->library, d, &m);
	return r == CUDA_SUCCESS ? module_func(m, (*ret_kernel)->name, ret_func) : r;
}

static CUresult library_get(CUlibrary handle, struct cu_library **ret_library)
{
	*ret_library = cu_handle_get(handle, CU_KIND_LIBRARY);
	return *ret_library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* A library, and a module of it in whatever context: what needs no current one. */
static CUresult library_any(CUlibrary handle, struct cu_library **ret_library,
			    struct cu_module **ret_module)
{
	CUresult r = library_get(handle, ret_library);

	return r == CUDA_SUCCESS ? any_module(*ret_library, NULL, ret_module) : r;
}

/* Its module in the current context. */
static CUresult library_here(CUlibrary handle, struct cu_module **ret_module)
{
	struct cu_library *lib;
	struct cu_ctx *ctx;
	CUresult r = library_get(handle, &lib);

	if (r == CUDA_SUCCESS)
		r = cu_ctx_usable(&ctx);
	return r == CUDA_SUCCESS ? module_in(lib, ctx, ret_module) : r;
}

CUresult impl_cuLibraryGetKernel(CUkernel *pKernel, CUlibrary library, const char *name)
{
	struct cu_library *lib;
	struct cu_kernel *k;
	struct cu_module *m;
	struct cu_func *f;
	CUresult r;

	if (!pKernel || !name)
		return CUDA_ERROR_INVALID_VALUE;
	r = library_any(library, &lib, &m);
	if (r == CUDA_SUCCESS)
		r = module_func(m, name, &f);
	if (r == CUDA_SUCCESS)
		r = kernel_of(lib, name, &k);
	if (r == CUDA_SUCCESS)
		*pKernel = (CUkernel)k;
	return r;
}

CUresult impl_cuLibraryGetKernelCount(unsigned int *count, CUlibrary lib)
{
	struct cu_library *l;
	struct cu_module *m;
	CUresult r;

	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	r = library_any(lib, &l, &m);
	return r == CUDA_SUCCESS ? module_func_count(m, count) : r;
}

CUresult impl_cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int numKernels, CUlibrary lib)
{
	struct cu_library *l;
	struct cu_kernel *k;
	struct cu_module *m;
	struct cu_func *f;
	uint32_t n;
	CUresult r;

	if (!kernels || !numKernels)
		return CUDA_ERROR_INVALID_VALUE;
	r = library_any(lib, &l, &m);
	if (r == CUDA_SUCCESS)
		r = module_func_count(m, &n);
	for (uint32_t i = 0; r == CUDA_SUCCESS && i < n && i < numKernels; i++) {
		r = module_func_at(m, i, &f);
		if (r == CUDA_SUCCESS)
			r = kernel_of(l, f->name, &k);
		if (r == CUDA_SUCCESS)
			kernels[i] = (CUkernel)k;
	}
	return r;
}

CUresult impl_cuLibraryGetModule(CUmodule *pMod, CUlibrary library)
{
	struct cu_module *m;
	CUresult r = pMod ? library_here(library, &m) : CUDA_ERROR_INVALID_VALUE;

	if (r == CUDA_SUCCESS)
		*pMod = (CUmodule)m;
	return r;
}

CUresult impl_cuLibraryGetGlobal(CUdeviceptr *dptr, size_t *bytes, CUlibrary library,
				 const char *name)
{
	struct cu_module *m;
	CUresult r;

	if (!name || (!dptr && !bytes))
		return CUDA_ERROR_INVALID_VALUE;
	r = library_here(library, &m);
	return r == CUDA_SUCCESS ? module_global(m, name, false, dptr, bytes) : r;
}

/*
 * The runtime asks for managed variables before it makes any context current. They then live where
 * its kernels will run: in the first device's primary context, which is held until the library
 * goes.
 */
static CUresult managed_home(struct cu_library *lib, struct cu_ctx **ret_ctx)
{
	CUcontext primary;
	CUresult r;

	pthread_mutex_lock(&lib->lock);
	if (lib->home && lib->home->id == lib->home_id) {
		*ret_ctx = lib->home;
		pthread_mutex_unlock(&lib->lock);
		return CUDA_SUCCESS;
	}
	lib->home_retained = false;
	r = cu_ctx_usable(ret_ctx);
	if (r == CUDA_ERROR_INVALID_CONTEXT || r == CUDA_ERROR_CONTEXT_IS_DESTROYED) {
		r = impl_cuDevicePrimaryCtxRetain(&primary, 0);
		lib->home_retained = r == CUDA_SUCCESS;
		*ret_ctx = (struct cu_ctx *)primary;
	}
	if (r == CUDA_SUCCESS) {
		lib->home = *ret_ctx;
		lib->home_id = (*ret_ctx)->id;
	}
	pthread_mutex_unlock(&lib->lock);
	return r;
}

CUresult impl_cuLibraryGetManaged(CUdeviceptr *dptr, size_t *bytes, CUlibrary library,
				  const char *name)
{
	struct cu_library *lib;
	struct cu_module *m;
	struct cu_ctx *ctx;
	CUresult r;

	if (!name || (!dptr && !bytes))
		return CUDA_ERROR_INVALID_VALUE;
	r = library_get(library, &lib);
	if (r == CUDA_SUCCESS)
		r = managed_home(lib, &ctx);
	if (r == CUDA_SUCCESS)
		r = module_in(lib, ctx, &m);
	return r == CUDA_SUCCESS ? module_global(m, name, true, dptr, bytes) : r;
}

/* Functions with one address for host and device are a thing of devices that share the host's. */
CUresult impl_cuLibraryGetUnifiedFunction(void **fptr, CUlibrary library, const char *symbol)
{
	struct cu_library *lib;
	CUresult r;

	if (!fptr || !symbol)
		return CUDA_ERROR_INVALID_VALUE;
	r = library_get(library, &lib);
	return r == CUDA_SUCCESS ? CUDA_ERROR_NOT_FOUND : r;
}

static CUresult kernel_here(struct cu_kernel *k, struct cu_func **ret_func)
{
	struct cu_ctx *ctx;
	CUresult r = cu_ctx_usable(&ctx);

	return r == CUDA_SUCCESS ? kernel_func(k, ctx, ret_func) : r;
}

CUresult impl_cuKernelGetFunction(CUfunction *pFunc, CUkernel kernel)
{
	struct cu_kernel *k;
	struct cu_func *f;
	CUresult r = pFunc ? kernel_get(kernel, &k) : CUDA_ERROR_INVALID_VALUE;

	if (r == CUDA_SUCCESS)
		r = kernel_here(k, &f);
	if (r == CUDA_SUCCESS)
		*pFunc = (CUfunction)f;
	return r;
}

CUresult impl_cuKernelGetLibrary(CUlibrary *pLib, CUkernel kernel)
{
	struct cu_kernel *k;
	CUresult r = pLib ? kernel_get(kernel, &k) : CUDA_ERROR_INVALID_VALUE;

	if (r == CUDA_SUCCESS)
		*pLib = (CUlibrary)k->library;
	return r;
}

CUresult impl_cuKernelGetName(const char **name, CUkernel hfunc)
{
	struct cu_kernel *k;
	CUresult r = name ? kernel_get(hfunc, &k) : CUDA_ERROR_INVALID_VALUE;

	if (r == CUDA_SUCCESS)
		*name = k->name;
	return r;
}

CUresult impl_cuKernelGetParamInfo(CUkernel kernel, size_t paramIndex, size_t *paramOffset,
				   size_t *paramSize)
{
	struct cu_kernel *k;
	struct cu_module *m;
	struct cu_func *f;
	CUresult r;

	if (!paramOffset)
		return CUDA_ERROR_INVALID_VALUE;
	r = kernel_get(kernel, &k);
	if (r == CUDA_SUCCESS)
		r = any_module(k->library, NULL, &m);
	if (r == CUDA_SUCCESS)
		r = module_func(m, k->name, &f);
	return r == CUDA_SUCCESS ? func_param(f, paramIndex, paramOffset, paramSize) : r;
}

CUresult impl_cuKernelGetAttribute(int *pi, CUfunction_attribute attrib, CUkernel kernel,
				   CUdevice dev)
{
	struct cu_kernel *k;
	struct cu_func *f;
	CUresult r;

	if (!pi)
		return CUDA_ERROR_INVALID_VALUE;
	r = kernel_on(kernel, dev, &k, &f);
	return r == CUDA_SUCCESS ? func_attribute(f, attrib, pi) : r;
}

/* Set it in every module of the device that there is, and remember it for those to come. */
static CUresult kernel_set(CUkernel kernel, CUdevice dev, uint32_t attr, int value)
{
	struct library_module *lm;
	struct kernel_attr *a = NULL;
	struct cu_kernel *k;
	struct cu_func *f;
	CUresult r = kernel_on(kernel, dev, &k, &f);

	if (r == CUDA_SUCCESS)
		r = func_set(f, attr, value);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&k->library->lock);
	for (lm = k->library->modules; lm; lm = lm->next)
		if (lm->module != f->module && lm->module->ctx->dev->ordinal == dev &&
		    module_func(lm->module, k->name, &f) == CUDA_SUCCESS)
			func_set(f, attr, value);
	for (unsigned i = 0; i < k->attr_count; i++)
		if (k->attrs[i].ordinal == dev && k->attrs[i].attr == attr)
			a = &k->attrs[i];
	if (!a) {
		a = realloc(k->attrs, (k->attr_count + 1) * sizeof(*a));
		if (a) {
			k->attrs = a;
			a = &k->attrs[k->attr_count++];
		}
	}
	if (a)
		*a = (struct kernel_attr){ .ordinal = dev, .attr = attr, .value = value };
	pthread_mutex_unlock(&k->library->lock);
	return a ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult impl_cuKernelSetAttribute(CUfunction_attribute attrib, int val, CUkernel kernel,
				   CUdevice dev)
{
	if ((unsigned)attrib >= CU_FUNC_ATTRIBUTE_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	return kernel_set(kernel, dev, (uint32_t)attrib, val);
}

CUresult impl_cuKernelSetCacheConfig(CUkernel kernel, CUfunc_cache config, CUdevice dev)
{
	if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
		return CUDA_ERROR_INVALID_VALUE;
	return kernel_set(kernel, dev, FUNC_CACHE_CONFIG, (int)config);
}

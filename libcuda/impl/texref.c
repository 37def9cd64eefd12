/* SPDX-License-Identifier: MIT */
/*
 * texref.c - texture and surface references: variables of a module through which kernels read what the host bound.
 *
 * Binding and settings are kept here until a kernel of the module is launched. What has changed by then becomes a
 * texture of the worker, and its handle the variable's value. Not here: how a texture is described (texture.c), and
 * what an instruction finds in the variable (backend/soft/interp).
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/array.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/module.h"
#include "libcuda/impl/queue.h"
#include "libcuda/impl/texture.h"

#define KNOWN_FLAGS                                                                                \
	(CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_SRGB |                 \
	 CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION | CU_TRSF_SEAMLESS_CUBEMAP)

/* Values of vgpu_global_get.kind. */
enum { VARIABLE_TEXREF = 2, VARIABLE_SURFREF = 3 };

struct cu_texref {
	struct cu_head head;
	struct cu_module *module; /* NULL: of cuTexRefCreate, no kernel can name it; constant */
	struct cu_texref *next;	  /* guarded by module->lock, as the four behind it */
	char *name;
	uint64_t va;	 /* of the variable */
	uint64_t handle; /* the texture that the variable names, 0 for none */
	bool surface;

	pthread_mutex_t lock; /* guards the rest; taken after module->lock */
	bool changed;
	bool bound;
	CUDA_RESOURCE_DESC res;
	CUDA_TEXTURE_DESC tex;
	CUarray_format format;
	unsigned channels;
};

/* ---- life ----------------------------------------------------------------------------------- */

/* As the compiler's own references start: clamped, no filter, unnormalized. */
static struct cu_texref *create(bool surface)
{
	struct cu_texref *t =
		cu_handle_create(surface ? CU_KIND_SURFREF : CU_KIND_TEXREF, sizeof(*t));

	if (!t)
		return NULL;
	_Static_assert(sizeof(*t) <= CU_HANDLE_BYTES, "a reference fits its slot");
	t->surface = surface;
	t->format = CU_AD_FORMAT_FLOAT;
	t->channels = 1;
	for (int i = 0; i < 3; i++)
		t->tex.addressMode[i] = CU_TR_ADDRESS_MODE_CLAMP;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

static void destroy(struct cu_texref *t)
{
	pthread_mutex_destroy(&t->lock);
	free(t->name);
	cu_handle_destroy(t);
}

static struct cu_texref *find_locked(struct cu_module *m, const char *name, bool surface)
{
	struct cu_texref *t = m->refs;

	while (t && (t->surface != surface || strcmp(t->name, name)))
		t = t->next;
	return t;
}

static CUresult of_module(CUmodule hmod, const char *name, bool surface, void **ret_ref)
{
	struct cu_texref *t = NULL;
	struct cu_module *m;
	uint64_t va;
	CUresult r;

	if (!ret_ref || !name)
		return CUDA_ERROR_INVALID_VALUE;
	r = module_get(hmod, &m);
	if (r == CUDA_SUCCESS)
		r = module_variable(m, name, surface ? VARIABLE_SURFREF : VARIABLE_TEXREF, &va);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&m->lock);
	t = find_locked(m, name, surface);
	if (!t) {
		t = create(surface);
		if (t && !(t->name = strdup(name))) {
			destroy(t);
			t = NULL;
		}
		if (t) {
			t->module = m;
			t->va = va;
			t->next = m->refs;
			m->refs = t;
		}
	}
	pthread_mutex_unlock(&m->lock);
	if (!t)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*ret_ref = t;
	return CUDA_SUCCESS;
}

void texref_fini(struct cu_module *m, bool in_worker)
{
	struct cu_texref *t;

	while ((t = m->refs)) {
		m->refs = t->next;
		if (t->handle && in_worker)
			texture_destroy(m->ctx, t->handle);
		destroy(t);
	}
}

/* ---- to the kernels ------------------------------------------------------------------------- */

/* In a queue of its own: what the program's streams hold is done, and not all of them may exist. */
static CUresult set_variable(struct cu_ctx *ctx, uint64_t va, uint64_t value)
{
	struct vgpu_cmd_value_write cmd = {
		.head = { .op = VGPU_CMD_VALUE_WRITE, .bytes = sizeof(cmd) },
		.va = va,
		.value = value,
		.bytes = 8,
	};
	struct queue *q;
	uint64_t seq;
	CUresult r;
	int err;

	r = queue_create(ctx, CU_STREAM_NON_BLOCKING, 0, &q);
	if (r != CUDA_SUCCESS)
		return r;
	err = queue_submit(q, &cmd.head, &seq);
	if (!err)
		err = queue_wait(q, seq);
	queue_close(q);
	return queue_result(ctx, err);
}

/*
 * 0 for what cannot be read: an array that is gone, settings that do not fit it. A kernel that does
 * not use it shall run all the same; one that does is told.
 */
static uint64_t make(const struct cu_texref *t)
{
	struct cu_ctx *ctx = NULL;
	struct vgpu_tex_desc desc;
	uint64_t handle = 0;
	CUresult r;

	if (!t->bound)
		return 0;
	r = texture_describe(&t->res, &t->tex, NULL, t->surface, &desc, &ctx);
	if (r == CUDA_SUCCESS && ctx != t->module->ctx)
		r = CUDA_ERROR_INVALID_CONTEXT;
	if (r == CUDA_SUCCESS)
		r = texture_create(ctx, &desc, &handle);
	if (r != CUDA_SUCCESS)
		cu_log(CU_LOG_WARN, "reference %s: what is bound to it cannot be read, error %d",
		       t->name, (int)r);
	return r == CUDA_SUCCESS ? handle : 0;
}

static CUresult apply_one(struct cu_texref *t)
{
	struct cu_ctx *ctx = t->module->ctx;
	uint64_t old = t->handle;
	CUresult r;

	t->handle = make(t);
	if (!t->handle && !old)
		return CUDA_SUCCESS;
	r = set_variable(ctx, t->va, t->handle);
	if (old)
		texture_destroy(ctx, old);
	return r;
}

CUresult texref_apply(struct cu_module *m)
{
	CUresult r = CUDA_SUCCESS;

	if (!atomic_load(&m->refs_changed))
		return CUDA_SUCCESS;
	pthread_mutex_lock(&m->lock);
	/* Earlier kernels read what was bound when they were launched. */
	if (atomic_exchange(&m->refs_changed, false))
		r = cu_stream_sync_ctx(m->ctx);
	for (struct cu_texref *t = m->refs; t && r == CUDA_SUCCESS; t = t->next) {
		pthread_mutex_lock(&t->lock);
		if (t->changed) {
			t->changed = false;
			r = apply_one(t);
		}
		pthread_mutex_unlock(&t->lock);
	}
	pthread_mutex_unlock(&m->lock);
	return r;
}

/* ---- binding -------------------------------------------------------------------------------- */

static struct cu_texref *get(const void *handle)
{
	return cu_handle_get(handle, CU_KIND_TEXREF);
}

static void changed_unlock(struct cu_texref *t)
{
	t->changed = true;
	pthread_mutex_unlock(&t->lock);
	if (t->module)
		atomic_store(&t->module->refs_changed, true);
}

/* Can be read at all; whether the settings fit, which may still change, shows at the launch. */
static CUresult check_resource(const CUDA_RESOURCE_DESC *res, bool surface)
{
	static const CUDA_TEXTURE_DESC any = { .flags = CU_TRSF_NORMALIZED_COORDINATES };
	struct vgpu_tex_desc desc;
	struct cu_ctx *ctx;

	return texture_describe(res, &any, NULL, surface, &desc, &ctx);
}

static CUresult bind(struct cu_texref *t, const CUDA_RESOURCE_DESC *res, CUarray_format format,
		     unsigned channels)
{
	CUresult r = check_resource(res, t->surface);

	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&t->lock);
	t->res = *res;
	t->bound = true;
	t->format = format;
	t->channels = channels;
	changed_unlock(t);
	return CUDA_SUCCESS;
}

static CUresult bind_array(struct cu_texref *t, CUarray handle)
{
	CUDA_RESOURCE_DESC res = { .resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = handle };
	struct cu_array *a;
	CUresult r = cu_array_get(handle, &a);

	return r == CUDA_SUCCESS ? bind(t, &res, a->desc.Format, a->desc.NumChannels) : r;
}

static void unbind(struct cu_texref *t)
{
	pthread_mutex_lock(&t->lock);
	t->bound = false;
	changed_unlock(t);
}

CUresult impl_cuModuleGetTexRef(CUtexref *pTexRef, CUmodule hmod, const char *name)
{
	return of_module(hmod, name, false, (void **)pTexRef);
}

CUresult impl_cuModuleGetSurfRef(CUsurfref *pSurfRef, CUmodule hmod, const char *name)
{
	return of_module(hmod, name, true, (void **)pSurfRef);
}

CUresult impl_cuTexRefCreate(CUtexref *pTexRef)
{
	struct cu_texref *t;

	if (!pTexRef)
		return CUDA_ERROR_INVALID_VALUE;
	t = create(false);
	if (!t)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*pTexRef = (CUtexref)t;
	return CUDA_SUCCESS;
}

/* Those of modules go with them. */
CUresult impl_cuTexRefDestroy(CUtexref hTexRef)
{
	struct cu_texref *t = get(hTexRef);

	if (!t || t->module)
		return CUDA_ERROR_INVALID_VALUE;
	destroy(t);
	return CUDA_SUCCESS;
}

CUresult impl_cuTexRefSetArray(CUtexref hTexRef, CUarray hArray, unsigned int Flags)
{
	struct cu_texref *t = get(hTexRef);

	if (!t || Flags != CU_TRSA_OVERRIDE_FORMAT)
		return CUDA_ERROR_INVALID_VALUE;
	return bind_array(t, hArray);
}

CUresult impl_cuTexRefSetMipmappedArray(CUtexref hTexRef, CUmipmappedArray hMipmappedArray,
					unsigned int Flags)
{
	CUDA_RESOURCE_DESC res = { .resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY,
				   .res.mipmap.hMipmappedArray = hMipmappedArray };
	struct cu_texref *t = get(hTexRef);
	struct cu_mipmap *m;
	CUresult r;

	if (!t || Flags != CU_TRSA_OVERRIDE_FORMAT)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_mipmap_get(hMipmappedArray, &m);
	return r == CUDA_SUCCESS ? bind(t, &res, m->desc.Format, m->desc.NumChannels) : r;
}

/* No bytes: nothing is bound any more. */
CUresult impl_cuTexRefSetAddress_v2(size_t *ByteOffset, CUtexref hTexRef, CUdeviceptr dptr,
				    size_t bytes)
{
	CUDA_RESOURCE_DESC res = { .resType = CU_RESOURCE_TYPE_LINEAR };
	struct cu_texref *t = get(hTexRef);
	struct cu_ctx *ctx;
	uint64_t offset;
	CUresult r;

	if (!t)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	offset =
		dptr % (uint64_t)cu_device_attr(ctx->dev, CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 1);
	if (offset && !ByteOffset)
		return CUDA_ERROR_INVALID_VALUE;
	if (!bytes) {
		unbind(t);
	} else {
		res.res.linear.devPtr = dptr - offset;
		res.res.linear.sizeInBytes = bytes + offset;
		pthread_mutex_lock(&t->lock);
		res.res.linear.format = t->format;
		res.res.linear.numChannels = t->channels;
		pthread_mutex_unlock(&t->lock);
		r = bind(t, &res, res.res.linear.format, res.res.linear.numChannels);
	}
	if (r == CUDA_SUCCESS && ByteOffset)
		*ByteOffset = offset;
	return r;
}

CUresult impl_cuTexRefSetAddress2D_v3(CUtexref hTexRef, const CUDA_ARRAY_DESCRIPTOR *desc,
				      CUdeviceptr dptr, size_t Pitch)
{
	CUDA_RESOURCE_DESC res = { .resType = CU_RESOURCE_TYPE_PITCH2D };
	struct cu_texref *t = get(hTexRef);

	if (!t || !desc)
		return CUDA_ERROR_INVALID_VALUE;
	res.res.pitch2D.devPtr = dptr;
	res.res.pitch2D.format = desc->Format;
	res.res.pitch2D.numChannels = desc->NumChannels;
	res.res.pitch2D.width = desc->Width;
	res.res.pitch2D.height = desc->Height;
	res.res.pitch2D.pitchInBytes = Pitch;
	return bind(t, &res, desc->Format, desc->NumChannels);
}

CUresult impl_cuTexRefSetAddress2D_v2(CUtexref hTexRef, const CUDA_ARRAY_DESCRIPTOR *desc,
				      CUdeviceptr dptr, size_t Pitch)
{
	return impl_cuTexRefSetAddress2D_v3(hTexRef, desc, dptr, Pitch);
}

CUresult impl_cuSurfRefSetArray(CUsurfref hSurfRef, CUarray hArray, unsigned int Flags)
{
	struct cu_texref *t = cu_handle_get(hSurfRef, CU_KIND_SURFREF);

	if (!t || Flags)
		return CUDA_ERROR_INVALID_VALUE;
	return bind_array(t, hArray);
}

/* All references of its module are the function's own: there is nothing left to do. */
CUresult impl_cuParamSetTexRef(CUfunction hfunc, int texunit, CUtexref hTexRef)
{
	struct cu_texref *t = get(hTexRef);
	struct cu_func *f;
	CUresult r = func_get(hfunc, &f);

	if (r != CUDA_SUCCESS)
		return r;
	if (!t || texunit != CU_PARAM_TR_DEFAULT || t->module != f->module)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

/* ---- settings ------------------------------------------------------------------------------- */

/* Memory is read in the format that the reference has at the launch; an array has its own. */
CUresult impl_cuTexRefSetFormat(CUtexref hTexRef, CUarray_format fmt, int NumPackedComponents)
{
	struct cu_texref *t = get(hTexRef);
	uint32_t texel;
	CUresult r;

	if (!t || NumPackedComponents < 0)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_tex_texel(fmt, (unsigned)NumPackedComponents, &texel);
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&t->lock);
	t->format = fmt;
	t->channels = (unsigned)NumPackedComponents;
	if (t->res.resType == CU_RESOURCE_TYPE_LINEAR) {
		t->res.res.linear.format = fmt;
		t->res.res.linear.numChannels = t->channels;
	}
	changed_unlock(t);
	return CUDA_SUCCESS;
}

/* A setting of the reference that is good when @good, done by @assignment. */
#define TEXREF_SET(good, assignment)                                                               \
	do {                                                                                       \
		struct cu_texref *t = get(hTexRef);                                                \
                                                                                                   \
		if (!t || !(good))                                                                 \
			return CUDA_ERROR_INVALID_VALUE;                                           \
		pthread_mutex_lock(&t->lock);                                                      \
		assignment;                                                                        \
		changed_unlock(t);                                                                 \
		return CUDA_SUCCESS;                                                               \
	} while (0)

CUresult impl_cuTexRefSetAddressMode(CUtexref hTexRef, int dim, CUaddress_mode am)
{
	TEXREF_SET(dim >= 0 && dim < 3 && (unsigned)am <= CU_TR_ADDRESS_MODE_BORDER,
		   t->tex.addressMode[dim] = am);
}

CUresult impl_cuTexRefSetFilterMode(CUtexref hTexRef, CUfilter_mode fm)
{
	TEXREF_SET((unsigned)fm <= CU_TR_FILTER_MODE_LINEAR, t->tex.filterMode = fm);
}

CUresult impl_cuTexRefSetMipmapFilterMode(CUtexref hTexRef, CUfilter_mode fm)
{
	TEXREF_SET((unsigned)fm <= CU_TR_FILTER_MODE_LINEAR, t->tex.mipmapFilterMode = fm);
}

CUresult impl_cuTexRefSetMipmapLevelBias(CUtexref hTexRef, float bias)
{
	TEXREF_SET(true, t->tex.mipmapLevelBias = bias);
}

CUresult impl_cuTexRefSetMipmapLevelClamp(CUtexref hTexRef, float minMipmapLevelClamp,
					  float maxMipmapLevelClamp)
{
	TEXREF_SET(true, (t->tex.minMipmapLevelClamp = minMipmapLevelClamp,
			  t->tex.maxMipmapLevelClamp = maxMipmapLevelClamp));
}

CUresult impl_cuTexRefSetMaxAnisotropy(CUtexref hTexRef, unsigned int maxAniso)
{
	TEXREF_SET(true, t->tex.maxAnisotropy = maxAniso);
}

CUresult impl_cuTexRefSetBorderColor(CUtexref hTexRef, float *pBorderColor)
{
	TEXREF_SET(pBorderColor,
		   memcpy(t->tex.borderColor, pBorderColor, sizeof(t->tex.borderColor)));
}

CUresult impl_cuTexRefSetFlags(CUtexref hTexRef, unsigned int Flags)
{
	TEXREF_SET(!(Flags & ~(unsigned)KNOWN_FLAGS), t->tex.flags = Flags);
}

/* ---- what was set --------------------------------------------------------------------------- */

/* An answer for @out of reference @t, if @has it. */
#define REF_GET(kind, handle, out, has, assignment)                                                \
	do {                                                                                       \
		struct cu_texref *t = cu_handle_get(handle, kind);                                 \
		bool there;                                                                        \
                                                                                                   \
		if (!t || !(out))                                                                  \
			return CUDA_ERROR_INVALID_VALUE;                                           \
		pthread_mutex_lock(&t->lock);                                                      \
		there = (has);                                                                     \
		if (there)                                                                         \
			assignment;                                                                \
		pthread_mutex_unlock(&t->lock);                                                    \
		return there ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;                            \
	} while (0)

#define TEXREF_GET(out, has, assignment) REF_GET(CU_KIND_TEXREF, hTexRef, out, has, assignment)

static bool has_array(const struct cu_texref *t)
{
	return t->bound && t->res.resType == CU_RESOURCE_TYPE_ARRAY;
}

CUresult impl_cuTexRefGetAddress_v2(CUdeviceptr *pdptr, CUtexref hTexRef)
{
	TEXREF_GET(pdptr,
		   t->bound && (t->res.resType == CU_RESOURCE_TYPE_LINEAR ||
				t->res.resType == CU_RESOURCE_TYPE_PITCH2D),
		   *pdptr = t->res.resType == CU_RESOURCE_TYPE_LINEAR ? t->res.res.linear.devPtr
								      : t->res.res.pitch2D.devPtr);
}

CUresult impl_cuTexRefGetArray(CUarray *phArray, CUtexref hTexRef)
{
	TEXREF_GET(phArray, has_array(t), *phArray = t->res.res.array.hArray);
}

CUresult impl_cuTexRefGetMipmappedArray(CUmipmappedArray *phMipmappedArray, CUtexref hTexRef)
{
	TEXREF_GET(phMipmappedArray, t->bound && t->res.resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY,
		   *phMipmappedArray = t->res.res.mipmap.hMipmappedArray);
}

CUresult impl_cuTexRefGetAddressMode(CUaddress_mode *pam, CUtexref hTexRef, int dim)
{
	TEXREF_GET(pam, dim >= 0 && dim < 3, *pam = t->tex.addressMode[dim]);
}

CUresult impl_cuTexRefGetFilterMode(CUfilter_mode *pfm, CUtexref hTexRef)
{
	TEXREF_GET(pfm, true, *pfm = t->tex.filterMode);
}

CUresult impl_cuTexRefGetFormat(CUarray_format *pFormat, int *pNumChannels, CUtexref hTexRef)
{
	TEXREF_GET(pFormat && pNumChannels, true,
		   (*pFormat = t->format, *pNumChannels = (int)t->channels));
}

CUresult impl_cuTexRefGetMipmapFilterMode(CUfilter_mode *pfm, CUtexref hTexRef)
{
	TEXREF_GET(pfm, true, *pfm = t->tex.mipmapFilterMode);
}

CUresult impl_cuTexRefGetMipmapLevelBias(float *pbias, CUtexref hTexRef)
{
	TEXREF_GET(pbias, true, *pbias = t->tex.mipmapLevelBias);
}

CUresult impl_cuTexRefGetMipmapLevelClamp(float *pminMipmapLevelClamp, float *pmaxMipmapLevelClamp,
					  CUtexref hTexRef)
{
	TEXREF_GET(pminMipmapLevelClamp && pmaxMipmapLevelClamp, true,
		   (*pminMipmapLevelClamp = t->tex.minMipmapLevelClamp,
		    *pmaxMipmapLevelClamp = t->tex.maxMipmapLevelClamp));
}

CUresult impl_cuTexRefGetMaxAnisotropy(int *pmaxAniso, CUtexref hTexRef)
{
	TEXREF_GET(pmaxAniso, true, *pmaxAniso = (int)t->tex.maxAnisotropy);
}

CUresult impl_cuTexRefGetBorderColor(float *pBorderColor, CUtexref hTexRef)
{
	TEXREF_GET(pBorderColor, true,
		   memcpy(pBorderColor, t->tex.borderColor, sizeof(t->tex.borderColor)));
}

CUresult impl_cuTexRefGetFlags(unsigned int *pFlags, CUtexref hTexRef)
{
	TEXREF_GET(pFlags, true, *pFlags = t->tex.flags);
}

CUresult impl_cuSurfRefGetArray(CUarray *phArray, CUsurfref hSurfRef)
{
	REF_GET(CU_KIND_SURFREF, hSurfRef, phArray, has_array(t),
		*phArray = t->res.res.array.hArray);
}

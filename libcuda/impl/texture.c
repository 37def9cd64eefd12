/* SPDX-License-Identifier: MIT */
/*
 * texture.c - texture and surface objects.
 *
 * An object's value is the worker's handle. What the program gave is kept beside it, for the
 * functions that hand it back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/array.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/place.h"
#include "libcuda/impl/texture.h"

#define KNOWN_FLAGS                                                                                \
	(CU_TRSF_READ_AS_INTEGER | CU_TRSF_NORMALIZED_COORDINATES | CU_TRSF_SRGB |                 \
	 CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION | CU_TRSF_SEAMLESS_CUBEMAP)

#define ATTR(dev, name) ((uint64_t)cu_device_attr(dev, CU_DEVICE_ATTRIBUTE_##name, 0))

/** An object's descriptors. */
struct object {
	bool surface, has_view;
	CUDA_RESOURCE_DESC res;
	CUDA_TEXTURE_DESC tex;
	CUDA_RESOURCE_VIEW_DESC view;
};

/* ---- resources ------------------------------------------------------------------------------ */

static uint32_t shape_of(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	bool layered = d->Flags & CUDA_ARRAY3D_LAYERED;

	if (d->Flags & CUDA_ARRAY3D_CUBEMAP)
		return layered ? VGPU_TEX_CUBE_LAYERED : VGPU_TEX_CUBE;
	if (layered)
		return d->Height ? VGPU_TEX_2D_LAYERED : VGPU_TEX_1D_LAYERED;
	return d->Depth ? VGPU_TEX_3D : d->Height ? VGPU_TEX_2D : VGPU_TEX_1D;
}

static void set_level(struct vgpu_tex_desc *d, uint32_t i, const struct cu_array *a)
{
	d->level[i] = (struct vgpu_tex_level){
		.offset = a->va - d->va,
		.pitch = a->pitch,
		.slice = a->slice,
		.width = a->width,
		.height = a->height,
		.depth = a->depth,
	};
}

static CUresult from_array(const CUDA_RESOURCE_DESC *res, struct vgpu_tex_desc *d,
			   struct cu_ctx **ret_ctx)
{
	struct cu_array *a;
	CUresult r = cu_array_get(res->res.array.hArray, &a);

	if (r != CUDA_SUCCESS)
		return r;
	*ret_ctx = a->ctx;
	d->va = a->va;
	d->bytes = cu_array_bytes(a);
	d->shape = shape_of(&a->desc);
	d->format = a->desc.Format;
	d->channels = a->desc.NumChannels;
	d->levels = 1;
	set_level(d, 0, a);
	return CUDA_SUCCESS;
}

static CUresult from_mipmap(const CUDA_RESOURCE_DESC *res, struct vgpu_tex_desc *d,
			    struct cu_ctx **ret_ctx)
{
	struct cu_mipmap *m;
	CUresult r = cu_mipmap_get(res->res.mipmap.hMipmappedArray, &m);

	if (r != CUDA_SUCCESS)
		return r;
	*ret_ctx = m->ctx;
	d->va = m->va;
	d->bytes = m->bytes;
	d->shape = shape_of(&m->desc);
	d->format = m->desc.Format;
	d->channels = m->desc.NumChannels;
	d->levels = m->levels;
	for (unsigned i = 0; i < m->levels; i++)
		set_level(d, i, m->level[i]);
	return CUDA_SUCCESS;
}

/* Plain memory of ours, all of it. */
static CUresult check_memory(uint64_t va, uint64_t bytes)
{
	struct place p;

	if (!va || place_find(va, bytes, &p) < 0 || !p.known || !p.worker_visible)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult from_linear(const CUDA_RESOURCE_DESC *res, struct vgpu_tex_desc *d,
			    struct cu_ctx **ret_ctx)
{
	const struct cu_device *dev;
	uint64_t n, bytes = res->res.linear.sizeInBytes;
	uint32_t texel;
	CUresult r = cu_ctx_usable(ret_ctx);

	if (r == CUDA_SUCCESS)
		r = cu_tex_texel(res->res.linear.format, res->res.linear.numChannels, &texel);
	if (r != CUDA_SUCCESS)
		return r;
	dev = (*ret_ctx)->dev;
	n = bytes / texel;
	if (!n || n > ATTR(dev, MAXIMUM_TEXTURE1D_LINEAR_WIDTH) || n > VGPU_TEX_EXTENT ||
	    res->res.linear.devPtr % ATTR(dev, TEXTURE_ALIGNMENT))
		return CUDA_ERROR_INVALID_VALUE;
	d->va = res->res.linear.devPtr;
	d->bytes = n * texel;
	d->shape = VGPU_TEX_LINEAR;
	d->format = res->res.linear.format;
	d->channels = res->res.linear.numChannels;
	d->levels = 1;
	d->level[0] = (struct vgpu_tex_level){ .width = (uint32_t)n, .height = 1, .depth = 1 };
	return check_memory(d->va, d->bytes);
}

static CUresult from_pitch2d(const CUDA_RESOURCE_DESC *res, struct vgpu_tex_desc *d,
			     struct cu_ctx **ret_ctx)
{
	uint64_t w = res->res.pitch2D.width, h = res->res.pitch2D.height;
	uint64_t pitch = res->res.pitch2D.pitchInBytes;
	const struct cu_device *dev;
	uint32_t texel;
	CUresult r = cu_ctx_usable(ret_ctx);

	if (r == CUDA_SUCCESS)
		r = cu_tex_texel(res->res.pitch2D.format, res->res.pitch2D.numChannels, &texel);
	if (r != CUDA_SUCCESS)
		return r;
	dev = (*ret_ctx)->dev;
	if (!w || !h || w > ATTR(dev, MAXIMUM_TEXTURE2D_LINEAR_WIDTH) ||
	    h > ATTR(dev, MAXIMUM_TEXTURE2D_LINEAR_HEIGHT) ||
	    pitch > ATTR(dev, MAXIMUM_TEXTURE2D_LINEAR_PITCH) || pitch < w * texel ||
	    pitch % ATTR(dev, TEXTURE_PITCH_ALIGNMENT) ||
	    res->res.pitch2D.devPtr % ATTR(dev, TEXTURE_ALIGNMENT))
		return CUDA_ERROR_INVALID_VALUE;
	d->va = res->res.pitch2D.devPtr;
	d->bytes = (h - 1) * pitch + w * texel;
	d->shape = VGPU_TEX_2D;
	d->format = res->res.pitch2D.format;
	d->channels = res->res.pitch2D.numChannels;
	d->levels = 1;
	d->level[0] = (struct vgpu_tex_level){
		.pitch = pitch, .width = (uint32_t)w, .height = (uint32_t)h, .depth = 1
	};
	return check_memory(d->va, d->bytes);
}

static CUresult from_resource(const CUDA_RESOURCE_DESC *res, struct vgpu_tex_desc *d,
			      struct cu_ctx **ret_ctx)
{
	if (res->flags)
		return CUDA_ERROR_INVALID_VALUE;
	switch (res->resType) {
	case CU_RESOURCE_TYPE_ARRAY:
		return from_array(res, d, ret_ctx);
	case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
		return from_mipmap(res, d, ret_ctx);
	case CU_RESOURCE_TYPE_LINEAR:
		return from_linear(res, d, ret_ctx);
	case CU_RESOURCE_TYPE_PITCH2D:
		return from_pitch2d(res, d, ret_ctx);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

/* ---- how it is read ------------------------------------------------------------------------- */

static uint32_t float_bits(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

static bool gives_floats(const struct vgpu_tex_desc *d, unsigned flags)
{
	const struct cu_tex_format *f = cu_tex_format(d->format);

	return f->class >= VGPU_TEX_FLOAT || (f->bytes < 4 && !(flags & CU_TRSF_READ_AS_INTEGER));
}

static bool wide_integers(const struct vgpu_tex_desc *d)
{
	const struct cu_tex_format *f = cu_tex_format(d->format);

	return f->class < VGPU_TEX_FLOAT && f->bytes >= 4;
}

static uint32_t flags_of(unsigned flags)
{
	return (flags & CU_TRSF_NORMALIZED_COORDINATES ? VGPU_TEX_NORMALIZED : 0) |
	       (flags & CU_TRSF_READ_AS_INTEGER ? VGPU_TEX_AS_INTEGER : 0) |
	       (flags & CU_TRSF_SRGB ? VGPU_TEX_SRGB : 0) |
	       (flags & CU_TRSF_SEAMLESS_CUBEMAP ? VGPU_TEX_SEAMLESS : 0);
}

static CUresult from_texture(const CUDA_TEXTURE_DESC *tex, struct vgpu_tex_desc *d)
{
	bool linear = d->shape == VGPU_TEX_LINEAR;

	if (tex->flags & ~(unsigned)KNOWN_FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	for (int i = 0; i < 3; i++) {
		if ((unsigned)tex->addressMode[i] > CU_TR_ADDRESS_MODE_BORDER)
			return CUDA_ERROR_INVALID_VALUE;
		d->address[i] = tex->addressMode[i];
	}
	if ((unsigned)tex->filterMode > CU_TR_FILTER_MODE_LINEAR ||
	    (unsigned)tex->mipmapFilterMode > CU_TR_FILTER_MODE_LINEAR)
		return CUDA_ERROR_INVALID_VALUE;
	/* Integers cannot be mixed. */
	if (!linear && tex->filterMode == CU_TR_FILTER_MODE_LINEAR && wide_integers(d))
		return CUDA_ERROR_INVALID_VALUE;
	if (d->levels > 1 && !(tex->flags & CU_TRSF_NORMALIZED_COORDINATES))
		return CUDA_ERROR_INVALID_VALUE;
	/* Narrow ones that are read as what they are: taken (ffmpeg asks for it), and not mixed. */
	d->filter =
		linear || !gives_floats(d, tex->flags) ? CU_TR_FILTER_MODE_POINT : tex->filterMode;
	d->mip_filter = tex->mipmapFilterMode;
	d->anisotropy = tex->maxAnisotropy < 16 ? tex->maxAnisotropy : 16;
	d->bias = float_bits(tex->mipmapLevelBias);
	d->min_level = float_bits(tex->minMipmapLevelClamp);
	d->max_level = float_bits(tex->maxMipmapLevelClamp);
	for (int i = 0; i < 4; i++)
		d->border[i] = float_bits(tex->borderColor[i]);
	d->flags |= flags_of(tex->flags);
	return CUDA_SUCCESS;
}

/* ---- views ---------------------------------------------------------------------------------- */

/* What a view makes of the texels; those of compressed blocks are not built. */
static CUresult view_format(CUresourceViewFormat view, uint32_t *format, uint32_t *channels)
{
	static const uint8_t formats[] = { CU_AD_FORMAT_UNSIGNED_INT8,	CU_AD_FORMAT_SIGNED_INT8,
					   CU_AD_FORMAT_UNSIGNED_INT16, CU_AD_FORMAT_SIGNED_INT16,
					   CU_AD_FORMAT_UNSIGNED_INT32, CU_AD_FORMAT_SIGNED_INT32,
					   CU_AD_FORMAT_HALF,		CU_AD_FORMAT_FLOAT };
	uint32_t have, want;

	if (view == CU_RES_VIEW_FORMAT_NONE)
		return CUDA_SUCCESS;
	if (view >= CU_RES_VIEW_FORMAT_UNSIGNED_BC1 && view <= CU_RES_VIEW_FORMAT_UNSIGNED_BC7)
		return CUDA_ERROR_NOT_SUPPORTED;
	if ((unsigned)view > CU_RES_VIEW_FORMAT_UNSIGNED_BC7)
		return CUDA_ERROR_INVALID_VALUE;
	/* Three of each, with 1, 2 and 4 channels; the texel's size must stay. */
	cu_tex_texel(*format, *channels, &have);
	*format = formats[(view - 1) / 3];
	*channels = 1u << (view - 1) % 3;
	cu_tex_texel(*format, *channels, &want);
	return have == want ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult view_levels(const CUDA_RESOURCE_VIEW_DESC *v, struct vgpu_tex_desc *d)
{
	uint32_t n = v->lastMipmapLevel - v->firstMipmapLevel + 1;

	if (v->lastMipmapLevel < v->firstMipmapLevel || v->lastMipmapLevel >= d->levels)
		return CUDA_ERROR_INVALID_VALUE;
	memmove(&d->level[0], &d->level[v->firstMipmapLevel], n * sizeof(d->level[0]));
	memset(&d->level[n], 0, (VGPU_TEX_LEVELS - n) * sizeof(d->level[0]));
	d->levels = n;
	return CUDA_SUCCESS;
}

static CUresult view_layers(const CUDA_RESOURCE_VIEW_DESC *v, struct vgpu_tex_desc *d)
{
	bool layered = d->shape == VGPU_TEX_1D_LAYERED || d->shape == VGPU_TEX_2D_LAYERED ||
		       d->shape == VGPU_TEX_CUBE_LAYERED;
	uint32_t n = v->lastLayer - v->firstLayer + 1, each = 1;

	if (!layered)
		return v->firstLayer || v->lastLayer ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
	if (d->shape == VGPU_TEX_CUBE_LAYERED)
		each = 6;
	if (v->lastLayer < v->firstLayer || v->lastLayer >= d->level[0].depth / each)
		return CUDA_ERROR_INVALID_VALUE;
	for (uint32_t i = 0; i < d->levels; i++) {
		d->level[i].offset += (uint64_t)v->firstLayer * each * d->level[i].slice;
		d->level[i].depth = n * each;
	}
	return CUDA_SUCCESS;
}

static CUresult from_view(const CUDA_RESOURCE_DESC *res, const CUDA_RESOURCE_VIEW_DESC *v,
			  struct vgpu_tex_desc *d)
{
	CUresult r;

	if (res->resType != CU_RESOURCE_TYPE_ARRAY &&
	    res->resType != CU_RESOURCE_TYPE_MIPMAPPED_ARRAY)
		return CUDA_ERROR_INVALID_VALUE;
	r = view_format(v->format, &d->format, &d->channels);
	if (r != CUDA_SUCCESS)
		return r;
	if (v->width != d->level[0].width ||
	    (v->height != d->level[0].height && (v->height || d->level[0].height != 1)) ||
	    (d->shape == VGPU_TEX_3D && v->depth != d->level[0].depth))
		return CUDA_ERROR_INVALID_VALUE;
	r = view_layers(v, d);
	return r == CUDA_SUCCESS ? view_levels(v, d) : r;
}

/* ---- making --------------------------------------------------------------------------------- */

static CUresult check_surface(const CUDA_RESOURCE_DESC *res, struct vgpu_tex_desc *d)
{
	struct cu_array *a;

	/* from_resource() has found the array. */
	if (res->resType != CU_RESOURCE_TYPE_ARRAY ||
	    cu_array_get(res->res.array.hArray, &a) != CUDA_SUCCESS ||
	    !(a->desc.Flags & CUDA_ARRAY3D_SURFACE_LDST))
		return CUDA_ERROR_INVALID_VALUE;
	d->flags |= VGPU_TEX_SURFACE;
	return CUDA_SUCCESS;
}

CUresult texture_describe(const CUDA_RESOURCE_DESC *res, const CUDA_TEXTURE_DESC *tex,
			  const CUDA_RESOURCE_VIEW_DESC *view, bool surface,
			  struct vgpu_tex_desc *ret_desc, struct cu_ctx **ret_ctx)
{
	CUresult r;

	memset(ret_desc, 0, sizeof(*ret_desc));
	r = from_resource(res, ret_desc, ret_ctx);
	if (r != CUDA_SUCCESS)
		return r;
	if (surface)
		return check_surface(res, ret_desc);
	if (view)
		r = from_view(res, view, ret_desc);
	return r == CUDA_SUCCESS ? from_texture(tex, ret_desc) : r;
}

CUresult texture_create(struct cu_ctx *ctx, const struct vgpu_tex_desc *desc, uint64_t *ret_handle)
{
	struct vgpu_tex_create req = { .ctx = ctx->ctx, .desc = *desc };
	int r = link_call(ctx->dev->link, VGPU_OP_TEX_CREATE, &req, sizeof(req));

	if (r < 0)
		return cu_from_errno(r);
	*ret_handle = req.handle;
	return CUDA_SUCCESS;
}

void texture_destroy(struct cu_ctx *ctx, uint64_t handle)
{
	struct vgpu_tex_destroy req = { .ctx = ctx->ctx, .handle = handle };
	int r = link_call(ctx->dev->link, VGPU_OP_TEX_DESTROY, &req, sizeof(req));

	if (r < 0 && r != -ENODEV)
		cu_log(CU_LOG_ERROR, "destroying texture 0x%llx: error %d",
		       (unsigned long long)handle, -r);
}

static CUresult create(const CUDA_RESOURCE_DESC *res, const CUDA_TEXTURE_DESC *tex,
		       const CUDA_RESOURCE_VIEW_DESC *view, bool surface, uint64_t *ret_handle)
{
	struct link_range range = { .size = 1 };
	struct vgpu_tex_desc desc;
	struct cu_ctx *ctx;
	struct object *o;
	CUresult r;

	if (!ret_handle || !res || (!surface && !tex))
		return CUDA_ERROR_INVALID_VALUE;
	r = capture_unsafe();
	if (r == CUDA_SUCCESS)
		r = texture_describe(res, tex, view, surface, &desc, &ctx);
	if (r == CUDA_SUCCESS)
		r = cu_ctx_error(ctx);
	if (r != CUDA_SUCCESS)
		return r;
	o = calloc(1, sizeof(*o));
	if (!o)
		return CUDA_ERROR_OUT_OF_MEMORY;
	o->surface = surface;
	o->res = *res;
	if (tex)
		o->tex = *tex;
	o->has_view = view;
	if (view)
		o->view = *view;
	r = texture_create(ctx, &desc, &range.va);
	if (r != CUDA_SUCCESS)
		goto free_object;
	range.ctx = ctx;
	range.object = o;
	if (link_map_add(&cu_link()->textures, &range) < 0) {
		r = CUDA_ERROR_OUT_OF_MEMORY;
		goto destroy_texture;
	}
	*ret_handle = range.va;
	return CUDA_SUCCESS;

destroy_texture:
	texture_destroy(ctx, range.va);
free_object:
	free(o);
	return r;
}

void texture_ctx_fini(struct cu_ctx *ctx)
{
	struct link_table *t = &cu_link()->textures;
	struct link_range r;
	uint64_t at = 0;

	while (!link_map_next(t, at, &r)) {
		at = r.va + 1;
		if (r.ctx != ctx)
			continue;
		link_map_remove(t, r.va, NULL);
		free(r.object);
	}
}

/* ---- entry points --------------------------------------------------------------------------- */

static CUresult find(uint64_t handle, bool surface, struct link_range *ret)
{
	if (link_map_find(&cu_link()->textures, handle, ret) < 0 ||
	    ((const struct object *)ret->object)->surface != surface)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult destroy(uint64_t handle, bool surface)
{
	struct link_range r;
	CUresult e = find(handle, surface, &r);

	if (e == CUDA_SUCCESS)
		e = capture_unsafe();
	if (e != CUDA_SUCCESS)
		return e;
	if (link_map_remove(&cu_link()->textures, handle, &r) < 0)
		return CUDA_ERROR_INVALID_VALUE; /* another thread was faster */
	/* What is queued may still read through it. Should that fail, its own caller hears of it. */
	cu_stream_sync_ctx(r.ctx);
	texture_destroy(r.ctx, handle);
	free(r.object);
	return CUDA_SUCCESS;
}

CUresult impl_cuTexObjectCreate(CUtexObject *pTexObject, const CUDA_RESOURCE_DESC *pResDesc,
				const CUDA_TEXTURE_DESC *pTexDesc,
				const CUDA_RESOURCE_VIEW_DESC *pResViewDesc)
{
	uint64_t handle;
	CUresult r = create(pResDesc, pTexDesc, pResViewDesc, false, pTexObject ? &handle : NULL);

	if (r == CUDA_SUCCESS)
		*pTexObject = handle;
	return r;
}

CUresult impl_cuTexObjectDestroy(CUtexObject texObject)
{
	return destroy(texObject, false);
}

CUresult impl_cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *pResDesc, CUtexObject texObject)
{
	struct link_range r;
	CUresult e = pResDesc ? find(texObject, false, &r) : CUDA_ERROR_INVALID_VALUE;

	if (e == CUDA_SUCCESS)
		*pResDesc = ((const struct object *)r.object)->res;
	return e;
}

CUresult impl_cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *pTexDesc, CUtexObject texObject)
{
	struct link_range r;
	CUresult e = pTexDesc ? find(texObject, false, &r) : CUDA_ERROR_INVALID_VALUE;

	if (e == CUDA_SUCCESS)
		*pTexDesc = ((const struct object *)r.object)->tex;
	return e;
}

CUresult impl_cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC *pResViewDesc,
					     CUtexObject texObject)
{
	struct link_range r;
	CUresult e = pResViewDesc ? find(texObject, false, &r) : CUDA_ERROR_INVALID_VALUE;

	if (e != CUDA_SUCCESS)
		return e;
	if (!((const struct object *)r.object)->has_view)
		return CUDA_ERROR_INVALID_VALUE;
	*pResViewDesc = ((const struct object *)r.object)->view;
	return CUDA_SUCCESS;
}

CUresult impl_cuSurfObjectCreate(CUsurfObject *pSurfObject, const CUDA_RESOURCE_DESC *pResDesc)
{
	uint64_t handle;
	CUresult r = create(pResDesc, NULL, NULL, true, pSurfObject ? &handle : NULL);

	if (r == CUDA_SUCCESS)
		*pSurfObject = handle;
	return r;
}

CUresult impl_cuSurfObjectDestroy(CUsurfObject surfObject)
{
	return destroy(surfObject, true);
}

CUresult impl_cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *pResDesc, CUsurfObject surfObject)
{
	struct link_range r;
	CUresult e = pResDesc ? find(surfObject, true, &r) : CUDA_ERROR_INVALID_VALUE;

	if (e == CUDA_SUCCESS)
		*pResDesc = ((const struct object *)r.object)->res;
	return e;
}

/* SPDX-License-Identifier: MIT */
/*
 * array.c - arrays and mipmapped arrays: what the manual allows, and their memory.
 *
 * Not here: copies (rect.c), textures and surfaces (texture.c). Sparse arrays, deferred mapping, block
 * compression and planes of video are not built: CUDA_ERROR_NOT_SUPPORTED.
 */
#include <errno.h>

#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/array.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/impl.h"
#include "libcuda/link/link.h"

#define ROW_ALIGN   64u	 /* of rows: fits every texel */
#define LEVEL_ALIGN 512u /* of the first texel of a level, as cuMemAlloc's */

#define KNOWN_FLAGS                                                                                \
	(CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST | CUDA_ARRAY3D_CUBEMAP |                 \
	 CUDA_ARRAY3D_TEXTURE_GATHER | CUDA_ARRAY3D_COLOR_ATTACHMENT)
#define UNBUILT_FLAGS                                                                              \
	(CUDA_ARRAY3D_DEPTH_TEXTURE | CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING |        \
	 CUDA_ARRAY3D_VIDEO_ENCODE_DECODE)

/* ---- formats -------------------------------------------------------------------------------- */

const struct cu_tex_format *cu_tex_format(unsigned format)
{
	static const struct cu_tex_format formats[] = {
#define X(nr, NAME, channels, bytes, class) [nr] = { channels, bytes, VGPU_TEX_##class },
		VGPU_TEX_FORMATS(X)
#undef X
	};

	if (format >= sizeof(formats) / sizeof(formats[0]) || !formats[format].bytes)
		return NULL;
	return &formats[format];
}

/* Formats that exist but are blocks of texels, several planes, or odd bits. */
static bool unbuilt_format(unsigned format)
{
	return (format >= CU_AD_FORMAT_BC1_UNORM && format <= 0xb5) || format == 0x50;
}

CUresult cu_tex_texel(unsigned format, unsigned channels, uint32_t *ret_bytes)
{
	const struct cu_tex_format *f = cu_tex_format(format);

	if (!f)
		return unbuilt_format(format) ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
	if (f->channels ? channels != f->channels : channels != 1 && channels != 2 && channels != 4)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_bytes = f->bytes * channels;
	return CUDA_SUCCESS;
}

/* ---- shapes --------------------------------------------------------------------------------- */

/* Most width, height and depth, by kind of array; 0: attribute does not apply. */
struct bounds {
	CUdevice_attribute width, height, depth;
};

#define ATTR(name) CU_DEVICE_ATTRIBUTE_MAXIMUM_##name

static struct bounds bounds_of(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	bool surface = d->Flags & CUDA_ARRAY3D_SURFACE_LDST;
	bool layered = d->Flags & CUDA_ARRAY3D_LAYERED;

	if (d->Flags & CUDA_ARRAY3D_CUBEMAP) {
		if (layered)
			return surface ? (struct bounds){ ATTR(SURFACECUBEMAP_LAYERED_WIDTH), 0,
							  ATTR(SURFACECUBEMAP_LAYERED_LAYERS) }
				       : (struct bounds){ ATTR(TEXTURECUBEMAP_LAYERED_WIDTH), 0,
							  ATTR(TEXTURECUBEMAP_LAYERED_LAYERS) };
		return (struct bounds){ surface ? ATTR(SURFACECUBEMAP_WIDTH)
						: ATTR(TEXTURECUBEMAP_WIDTH),
					0, 0 };
	}
	if (layered && d->Height)
		return surface ? (struct bounds){ ATTR(SURFACE2D_LAYERED_WIDTH),
						  ATTR(SURFACE2D_LAYERED_HEIGHT),
						  ATTR(SURFACE2D_LAYERED_LAYERS) }
			       : (struct bounds){ ATTR(TEXTURE2D_LAYERED_WIDTH),
						  ATTR(TEXTURE2D_LAYERED_HEIGHT),
						  ATTR(TEXTURE2D_LAYERED_LAYERS) };
	if (layered)
		return surface ? (struct bounds){ ATTR(SURFACE1D_LAYERED_WIDTH), 0,
						  ATTR(SURFACE1D_LAYERED_LAYERS) }
			       : (struct bounds){ ATTR(TEXTURE1D_LAYERED_WIDTH), 0,
						  ATTR(TEXTURE1D_LAYERED_LAYERS) };
	if (d->Depth)
		return surface ? (struct bounds){ ATTR(SURFACE3D_WIDTH), ATTR(SURFACE3D_HEIGHT),
						  ATTR(SURFACE3D_DEPTH) }
			       : (struct bounds){ ATTR(TEXTURE3D_WIDTH), ATTR(TEXTURE3D_HEIGHT),
						  ATTR(TEXTURE3D_DEPTH) };
	if (d->Height && (d->Flags & CUDA_ARRAY3D_TEXTURE_GATHER))
		return (struct bounds){ ATTR(TEXTURE2D_GATHER_WIDTH), ATTR(TEXTURE2D_GATHER_HEIGHT),
					0 };
	if (d->Height)
		return surface ? (struct bounds){ ATTR(SURFACE2D_WIDTH), ATTR(SURFACE2D_HEIGHT), 0 }
			       : (struct bounds){ ATTR(TEXTURE2D_WIDTH), ATTR(TEXTURE2D_HEIGHT),
						  0 };
	return (struct bounds){ surface ? ATTR(SURFACE1D_WIDTH) : ATTR(TEXTURE1D_WIDTH), 0, 0 };
}

static bool within(const struct cu_device *dev, uint64_t n, CUdevice_attribute attr)
{
	return !attr || n <= (uint64_t)cu_device_attr(dev, attr, 0);
}

static bool fits_device(const struct cu_device *dev, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	struct bounds b = bounds_of(d);

	/* 3D arrays may also be flatter and deeper than the first three attributes say. */
	if (b.depth == ATTR(TEXTURE3D_DEPTH) &&
	    within(dev, d->Width, ATTR(TEXTURE3D_WIDTH_ALTERNATE)) &&
	    within(dev, d->Height, ATTR(TEXTURE3D_HEIGHT_ALTERNATE)) &&
	    within(dev, d->Depth, ATTR(TEXTURE3D_DEPTH_ALTERNATE)))
		return true;
	return within(dev, d->Width, b.width) && within(dev, d->Height, b.height) &&
	       within(dev, d->Depth, b.depth);
}

static CUresult check(const struct cu_device *dev, const CUDA_ARRAY3D_DESCRIPTOR *d,
		      uint32_t *ret_texel)
{
	CUresult r = cu_tex_texel(d->Format, d->NumChannels, ret_texel);

	if (r != CUDA_SUCCESS)
		return r;
	if (d->Flags & ~(unsigned)(KNOWN_FLAGS | UNBUILT_FLAGS))
		return CUDA_ERROR_INVALID_VALUE;
	if (d->Flags & UNBUILT_FLAGS)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!d->Width)
		return CUDA_ERROR_INVALID_VALUE;
	if (d->Flags & CUDA_ARRAY3D_CUBEMAP) {
		if (d->Width != d->Height || !d->Depth || d->Depth % 6 ||
		    (!(d->Flags & CUDA_ARRAY3D_LAYERED) && d->Depth != 6))
			return CUDA_ERROR_INVALID_VALUE;
	} else if (d->Flags & CUDA_ARRAY3D_LAYERED) {
		if (!d->Depth)
			return CUDA_ERROR_INVALID_VALUE;
	} else if (d->Depth && !d->Height) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	if ((d->Flags & CUDA_ARRAY3D_TEXTURE_GATHER) &&
	    (!d->Height || d->Depth || (d->Flags & CUDA_ARRAY3D_CUBEMAP)))
		return CUDA_ERROR_INVALID_VALUE;
	return fits_device(dev, d) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- memory --------------------------------------------------------------------------------- */

static uint64_t align_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

/* Sizes are bounded by the device's attributes: nothing here overflows. */
static void lay_out(struct cu_array *a)
{
	const CUDA_ARRAY3D_DESCRIPTOR *d = &a->desc;

	a->width = (uint32_t)d->Width;
	a->height = d->Height ? (uint32_t)d->Height : 1;
	a->depth = d->Depth ? (uint32_t)d->Depth : 1;
	a->pitch = align_up((uint64_t)a->width * a->texel, ROW_ALIGN);
	a->slice = a->pitch * a->height;
}

uint64_t cu_array_bytes(const struct cu_array *a)
{
	return a->slice * a->depth;
}

/* @object: the array or mipmapped array that the memory goes with. */
static CUresult memory_take(struct cu_ctx *ctx, uint64_t bytes, void *object, uint64_t *ret_va)
{
	struct link_dev *dev = ctx->dev->link;
	struct vgpu_mem_alloc req = { .ctx = ctx->ctx, .kind = VGPU_MEM_DEVICE, .size = bytes };
	struct link_range range = { .size = bytes,
				    .kind = LINK_ARRAY,
				    .dev = dev,
				    .ctx = ctx,
				    .object = object,
				    .worker_visible = true };
	struct vgpu_mem_free undo;
	int r = link_call(dev, VGPU_OP_MEM_ALLOC, &req, sizeof(req));

	if (r < 0)
		return cu_from_errno(r);
	range.va = req.va;
	range.arena_off = req.arena_off;
	if (dev->arena && req.arena_off <= dev->arena_bytes &&
	    bytes <= dev->arena_bytes - req.arena_off)
		range.host = dev->arena + req.arena_off;
	r = link_map_add(&dev->link->ranges, &range);
	if (r < 0) {
		undo.va = req.va;
		link_call(dev, VGPU_OP_MEM_FREE, &undo, sizeof(undo));
		return cu_from_errno(r);
	}
	*ret_va = req.va;
	return CUDA_SUCCESS;
}

/* Waits for what is queued, as cuMemFree does. */
static CUresult memory_give(struct cu_ctx *ctx, uint64_t va)
{
	struct vgpu_mem_free req = { .va = va };
	CUresult error = cu_stream_sync_ctx(ctx);
	struct link_range r;
	int err;

	if (link_map_remove(&cu_link()->ranges, va, &r) < 0)
		return error;
	err = link_call(r.dev, VGPU_OP_MEM_FREE, &req, sizeof(req));
	if (err < 0 && err != -ENODEV)
		cu_log(CU_LOG_ERROR, "freeing an array: error %d", -err);
	return error;
}

static CUresult array_create(struct cu_ctx *ctx, const CUDA_ARRAY3D_DESCRIPTOR *d,
			     struct cu_array **ret_array)
{
	struct cu_array *a;
	uint32_t texel;
	CUresult r = check(ctx->dev, d, &texel);

	if (r != CUDA_SUCCESS)
		return r;
	a = cu_handle_create(CU_KIND_ARRAY, sizeof(*a));
	if (!a)
		return CUDA_ERROR_OUT_OF_MEMORY;
	a->ctx = ctx;
	a->desc = *d;
	a->texel = texel;
	lay_out(a);
	r = memory_take(ctx, cu_array_bytes(a), a, &a->va);
	if (r != CUDA_SUCCESS) {
		cu_handle_destroy(a);
		return r;
	}
	*ret_array = a;
	return CUDA_SUCCESS;
}

/* ---- arrays --------------------------------------------------------------------------------- */

CUresult cu_array_get(CUarray handle, struct cu_array **ret_array)
{
	*ret_array = cu_handle_get(handle, CU_KIND_ARRAY);
	return *ret_array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cu_mipmap_get(CUmipmappedArray handle, struct cu_mipmap **ret_mipmap)
{
	*ret_mipmap = cu_handle_get(handle, CU_KIND_MIPMAP);
	return *ret_mipmap ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult begin(struct cu_ctx **ret_ctx)
{
	CUresult r = capture_unsafe();

	return r == CUDA_SUCCESS ? cu_ctx_usable(ret_ctx) : r;
}

CUresult impl_cuArray3DCreate_v2(CUarray *pHandle, const CUDA_ARRAY3D_DESCRIPTOR *pAllocateArray)
{
	struct cu_array *a;
	struct cu_ctx *ctx;
	CUresult r;

	if (!pHandle || !pAllocateArray)
		return CUDA_ERROR_INVALID_VALUE;
	r = begin(&ctx);
	if (r == CUDA_SUCCESS)
		r = array_create(ctx, pAllocateArray, &a);
	if (r == CUDA_SUCCESS)
		*pHandle = (CUarray)a;
	return r;
}

CUresult impl_cuArrayCreate_v2(CUarray *pHandle, const CUDA_ARRAY_DESCRIPTOR *pAllocateArray)
{
	CUDA_ARRAY3D_DESCRIPTOR d = { 0 };

	if (!pHandle || !pAllocateArray)
		return CUDA_ERROR_INVALID_VALUE;
	d.Width = pAllocateArray->Width;
	d.Height = pAllocateArray->Height;
	d.Format = pAllocateArray->Format;
	d.NumChannels = pAllocateArray->NumChannels;
	return impl_cuArray3DCreate_v2(pHandle, &d);
}

CUresult impl_cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *pArrayDescriptor, CUarray hArray)
{
	struct cu_array *a;
	CUresult r = cu_array_get(hArray, &a);

	if (r != CUDA_SUCCESS)
		return r;
	if (!pArrayDescriptor)
		return CUDA_ERROR_INVALID_VALUE;
	*pArrayDescriptor = a->desc;
	return CUDA_SUCCESS;
}

CUresult impl_cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR *pArrayDescriptor, CUarray hArray)
{
	struct cu_array *a;
	CUresult r = cu_array_get(hArray, &a);

	if (r != CUDA_SUCCESS)
		return r;
	if (!pArrayDescriptor)
		return CUDA_ERROR_INVALID_VALUE;
	pArrayDescriptor->Width = a->desc.Width;
	pArrayDescriptor->Height = a->desc.Height;
	pArrayDescriptor->Format = a->desc.Format;
	pArrayDescriptor->NumChannels = a->desc.NumChannels;
	return CUDA_SUCCESS;
}

CUresult impl_cuArrayDestroy(CUarray hArray)
{
	struct cu_array *a;
	struct cu_ctx *ctx;
	uint64_t va;
	CUresult r = cu_array_get(hArray, &a);

	if (r != CUDA_SUCCESS)
		return r;
	if (a->owner) /* goes with its mipmapped array */
		return CUDA_ERROR_INVALID_HANDLE;
	r = capture_unsafe();
	if (r != CUDA_SUCCESS)
		return r;
	ctx = a->ctx;
	va = a->va;
	cu_handle_destroy(a);
	return memory_give(ctx, va);
}

/* What the next three tell exists for sparse, deferred and planar arrays alone: none is built. */

CUresult impl_cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *memoryRequirements,
					   CUarray array, CUdevice device)
{
	struct cu_array *a;
	CUresult r = cu_array_get(array, &a);

	if (r != CUDA_SUCCESS)
		return r;
	return cu_device_get(device) ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_DEVICE;
}

CUresult impl_cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *sparseProperties,
					 CUarray array)
{
	struct cu_array *a;
	CUresult r = cu_array_get(array, &a);

	return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : r;
}

CUresult impl_cuArrayGetPlane(CUarray *pPlaneArray, CUarray hArray, unsigned int planeIdx)
{
	struct cu_array *a;
	CUresult r = cu_array_get(hArray, &a);

	return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : r;
}

/* ---- mipmapped arrays ----------------------------------------------------------------------- */

static size_t halved(size_t n, unsigned level)
{
	return n && !(n >> level) ? 1 : n >> level;
}

/* Layers and faces stay; slices of 3D halve. */
static void level_desc(const CUDA_ARRAY3D_DESCRIPTOR *d, unsigned level,
		       CUDA_ARRAY3D_DESCRIPTOR *ret)
{
	*ret = *d;
	ret->Width = halved(d->Width, level);
	ret->Height = halved(d->Height, level);
	if (!(d->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)))
		ret->Depth = halved(d->Depth, level);
}

/* As many as there are until all directions are 1. */
static unsigned most_levels(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	size_t n = d->Width > d->Height ? d->Width : d->Height;
	unsigned levels = 1;

	if (!(d->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)) && d->Depth > n)
		n = d->Depth;
	while (n >>= 1)
		levels++;
	return levels < VGPU_TEX_LEVELS ? levels : VGPU_TEX_LEVELS;
}

static void mipmap_free(struct cu_mipmap *m)
{
	for (unsigned i = 0; i < m->levels; i++)
		cu_handle_destroy(m->level[i]);
	cu_handle_destroy(m);
}

void cu_array_forget(void *object)
{
	if (cu_handle_kind(object) == CU_KIND_MIPMAP)
		mipmap_free(object);
	else
		cu_handle_destroy(object);
}

/* Makes the levels' handles; ->va is an offset until there is memory. */
static CUresult mipmap_levels(struct cu_mipmap *m, unsigned levels, uint32_t texel)
{
	for (; m->levels < levels; m->levels++) {
		struct cu_array *a = cu_handle_create(CU_KIND_ARRAY, sizeof(*a));

		if (!a)
			return CUDA_ERROR_OUT_OF_MEMORY;
		m->level[m->levels] = a;
		a->ctx = m->ctx;
		a->owner = m;
		a->texel = texel;
		level_desc(&m->desc, m->levels, &a->desc);
		lay_out(a);
		a->va = m->bytes;
		m->bytes = align_up(m->bytes + cu_array_bytes(a), LEVEL_ALIGN);
	}
	return CUDA_SUCCESS;
}

CUresult impl_cuMipmappedArrayCreate(CUmipmappedArray *pHandle,
				     const CUDA_ARRAY3D_DESCRIPTOR *pMipmappedArrayDesc,
				     unsigned int numMipmapLevels)
{
	const CUDA_ARRAY3D_DESCRIPTOR *d = pMipmappedArrayDesc;
	struct cu_mipmap *m;
	struct cu_ctx *ctx;
	uint32_t texel;
	CUresult r;

	if (!pHandle || !d || !numMipmapLevels)
		return CUDA_ERROR_INVALID_VALUE;
	r = begin(&ctx);
	if (r == CUDA_SUCCESS)
		r = check(ctx->dev, d, &texel);
	if (r != CUDA_SUCCESS)
		return r;
	if (d->Flags & CUDA_ARRAY3D_TEXTURE_GATHER)
		return CUDA_ERROR_INVALID_VALUE;
	if (numMipmapLevels > most_levels(d)) /* the manual: clamped */
		numMipmapLevels = most_levels(d);
	m = cu_handle_create(CU_KIND_MIPMAP, sizeof(*m));
	if (!m)
		return CUDA_ERROR_OUT_OF_MEMORY;
	m->ctx = ctx;
	m->desc = *d;
	r = mipmap_levels(m, numMipmapLevels, texel);
	if (r == CUDA_SUCCESS)
		r = memory_take(ctx, m->bytes, m, &m->va);
	if (r != CUDA_SUCCESS) {
		mipmap_free(m);
		return r;
	}
	for (unsigned i = 0; i < m->levels; i++)
		m->level[i]->va += m->va;
	*pHandle = (CUmipmappedArray)m;
	return CUDA_SUCCESS;
}

CUresult impl_cuMipmappedArrayGetLevel(CUarray *pLevelArray, CUmipmappedArray hMipmappedArray,
				       unsigned int level)
{
	struct cu_mipmap *m;
	CUresult r = cu_mipmap_get(hMipmappedArray, &m);

	if (r != CUDA_SUCCESS)
		return r;
	if (!pLevelArray || level >= m->levels)
		return CUDA_ERROR_INVALID_VALUE;
	*pLevelArray = (CUarray)m->level[level];
	return CUDA_SUCCESS;
}

CUresult impl_cuMipmappedArrayDestroy(CUmipmappedArray hMipmappedArray)
{
	struct cu_mipmap *m;
	struct cu_ctx *ctx;
	uint64_t va;
	CUresult r = cu_mipmap_get(hMipmappedArray, &m);

	if (r == CUDA_SUCCESS)
		r = capture_unsafe();
	if (r != CUDA_SUCCESS)
		return r;
	ctx = m->ctx;
	va = m->va;
	mipmap_free(m);
	return memory_give(ctx, va);
}

CUresult
impl_cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *memoryRequirements,
					   CUmipmappedArray mipmap, CUdevice device)
{
	struct cu_mipmap *m;
	CUresult r = cu_mipmap_get(mipmap, &m);

	if (r != CUDA_SUCCESS)
		return r;
	return cu_device_get(device) ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_DEVICE;
}

CUresult impl_cuMipmappedArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *sparseProperties,
						  CUmipmappedArray mipmap)
{
	struct cu_mipmap *m;
	CUresult r = cu_mipmap_get(mipmap, &m);

	return r == CUDA_SUCCESS ? CUDA_ERROR_INVALID_VALUE : r;
}

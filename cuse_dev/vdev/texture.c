/* SPDX-License-Identifier: MIT */
/*
 * texture.c - textures and surfaces of a context: descriptions checked, handles owned.
 *
 * Whether the memory is there is found out when a kernel reads it. All of a context's handles go with
 * it.
 */
#include "cuse_dev/vdev/state.h"

#include <errno.h>
#include <stdlib.h>

struct vdev_texture {
	struct avl_node node; /* in vdev_ctx.textures, by handle */
	uint64_t handle;
};

static struct vdev_texture *entry(const struct avl_node *n)
{
	return avl_entry((struct avl_node *)n, struct vdev_texture, node);
}

static int before(const struct avl_node *a, const struct avl_node *b)
{
	return entry(a)->handle < entry(b)->handle;
}

/* ---- checks --------------------------------------------------------------------------------- */

static const struct {
	uint8_t channels, bytes;
} formats[] = {
#define X(nr, NAME, channels, bytes, class) [nr] = { channels, bytes },
	VGPU_TEX_FORMATS(X)
#undef X
};

/* Bytes of a texel, 0: no such format. */
static uint32_t texel_bytes(const struct vgpu_tex_desc *d)
{
	uint32_t n = d->channels;

	if (d->format >= sizeof(formats) / sizeof(formats[0]) || !formats[d->format].bytes)
		return 0;
	if (formats[d->format].channels ? n != formats[d->format].channels
					: n != 1 && n != 2 && n != 4)
		return 0;
	return formats[d->format].bytes * n;
}

/* Extents are below 2^29 and pitches below 2^40: products of two fit, sums are checked. */
#define MAX_PITCH (1ull << 40)

static bool level_fits(const struct vgpu_tex_desc *d, const struct vgpu_tex_level *l,
		       uint32_t texel)
{
	uint64_t end, rows, slices;

	if (l->pad || !l->width || !l->height || !l->depth || l->width > VGPU_TEX_EXTENT ||
	    l->height > VGPU_TEX_EXTENT || l->depth > VGPU_TEX_EXTENT)
		return false;
	if (l->pitch > MAX_PITCH || __builtin_mul_overflow(l->height - 1u, l->pitch, &rows) ||
	    __builtin_mul_overflow(l->depth - 1u, l->slice, &slices))
		return false;
	if (__builtin_add_overflow(l->offset, (uint64_t)l->width * texel, &end) ||
	    __builtin_add_overflow(end, rows, &end) || __builtin_add_overflow(end, slices, &end))
		return false;
	return end <= d->bytes;
}

static bool shape_fits(const struct vgpu_tex_desc *d, const struct vgpu_tex_level *l)
{
	switch (d->shape) {
	case VGPU_TEX_LINEAR:
		return l->height == 1 && l->depth == 1 && d->levels == 1 &&
		       !(d->flags & VGPU_TEX_SURFACE);
	case VGPU_TEX_1D:
		return l->height == 1 && l->depth == 1;
	case VGPU_TEX_2D:
		return l->depth == 1;
	case VGPU_TEX_3D:
	case VGPU_TEX_2D_LAYERED:
		return true;
	case VGPU_TEX_1D_LAYERED:
		return l->height == 1;
	case VGPU_TEX_CUBE:
		return l->depth == 6 && l->width == l->height;
	case VGPU_TEX_CUBE_LAYERED:
		return l->depth % 6 == 0 && l->width == l->height;
	default:
		return false;
	}
}

static int check(const struct vgpu_tex_desc *d)
{
	uint32_t texel = texel_bytes(d);
	uint64_t end;

	if (!texel || d->flags & ~VGPU_TEX_FLAGS || !d->levels || d->levels > VGPU_TEX_LEVELS)
		return -EINVAL;
	if (__builtin_add_overflow(d->va, d->bytes, &end))
		return -EINVAL;
	for (int i = 0; i < 3; i++)
		if (d->address[i] > VGPU_TEX_BORDER)
			return -EINVAL;
	if (d->filter > VGPU_TEX_BILIN || d->mip_filter > VGPU_TEX_BILIN || d->anisotropy > 16)
		return -EINVAL;
	if (d->flags & VGPU_TEX_SURFACE && d->levels != 1)
		return -EINVAL;
	for (uint32_t i = 0; i < d->levels; i++)
		if (!level_fits(d, &d->level[i], texel) || !shape_fits(d, &d->level[i]))
			return -EINVAL;
	return 0;
}

/* ---- handles -------------------------------------------------------------------------------- */

int vdev_tex_create(struct vdev *v, struct vgpu_tex_create *req)
{
	struct vdev_ctx *c = idtab_get(&v->ctxs, req->ctx);
	struct vdev_texture *t;
	int r;

	if (!c)
		return -EBADF;
	r = check(&req->desc);
	if (r < 0)
		return r;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	r = v->ops->texture_create(v->device[c->device].handle, &req->desc, &t->handle);
	if (r < 0) {
		free(t);
		return -ENOMEM;
	}
	req->handle = t->handle;
	avl_insert(&c->textures, &t->node, before);
	return 0;
}

static void texture_free(struct vdev *v, struct vdev_ctx *c, struct vdev_texture *t)
{
	avl_remove(&c->textures, &t->node);
	v->ops->texture_destroy(v->device[c->device].handle, t->handle);
	free(t);
}

int vdev_tex_destroy(struct vdev *v, uint32_t ctx, uint64_t handle)
{
	struct vdev_ctx *c = idtab_get(&v->ctxs, ctx);
	struct avl_node *n;

	if (!c)
		return -EBADF;
	for (n = c->textures.root; n; n = n->child[entry(n)->handle < handle])
		if (entry(n)->handle == handle)
			break;
	if (!n)
		return -EBADF;
	texture_free(v, c, entry(n));
	return 0;
}

void vdev_tex_free_all(struct vdev *v, struct vdev_ctx *c)
{
	while (c->textures.root)
		texture_free(v, c, entry(c->textures.root));
}

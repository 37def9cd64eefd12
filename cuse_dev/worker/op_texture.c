/* SPDX-License-Identifier: MIT */
/* op_texture.c - textures and surfaces. */
#include <errno.h>

#include "cuse_dev/worker/worker.h"

int op_tex_create(struct worker_call *c, struct vgpu_tex_create *a)
{
	return a->pad ? -EINVAL : vdev_tex_create(c->w->vdev, a);
}

int op_tex_destroy(struct worker_call *c, struct vgpu_tex_destroy *a)
{
	return a->pad ? -EINVAL : vdev_tex_destroy(c->w->vdev, a->ctx, a->handle);
}

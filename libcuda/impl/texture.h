/* SPDX-License-Identifier: MIT */
/*
 * texture.h - textures and surfaces: from the program's descriptors to the worker's description.
 */
#ifndef IMPL_TEXTURE_H
#define IMPL_TEXTURE_H

#include "ioctl/vgpu_texture.h"
#include "libcuda/core/ctx.h"

/**
 * texture_describe() - checks what the manual says must hold.
 *
 * @view may be NULL; @surface: @tex is not looked at. *ret_ctx: whose memory it is.
 */
CUresult texture_describe(const CUDA_RESOURCE_DESC *res, const CUDA_TEXTURE_DESC *tex,
			  const CUDA_RESOURCE_VIEW_DESC *view, bool surface,
			  struct vgpu_tex_desc *ret_desc, struct cu_ctx **ret_ctx);
/** texture_create(), texture_destroy() - the handle that kernels use. */
CUresult texture_create(struct cu_ctx *ctx, const struct vgpu_tex_desc *desc, uint64_t *ret_handle);
void texture_destroy(struct cu_ctx *ctx, uint64_t handle);
/** texture_ctx_fini() - the context goes, with all its objects. */
void texture_ctx_fini(struct cu_ctx *ctx);

struct cu_module;

/** texref_apply() - before a launch: references that changed get to where kernels find them. */
CUresult texref_apply(struct cu_module *m);
/** texref_fini() - the module goes; @in_worker: textures must be destroyed there. */
void texref_fini(struct cu_module *m, bool in_worker);

#endif

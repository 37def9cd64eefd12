/* SPDX-License-Identifier: MIT */
/*
 * texture.h - handles of textures and surfaces, and their descriptions.
 *
 * A handle is device << 56 | generation << 20 | slot + 1. Slots never move and never go away before the table does,
 * so that a kernel that uses a destroyed handle reads a stale or a half new description and never
 * memory that is not there; whoever uses a description checks what comes of it (rt/texture.h).
 */
#ifndef SOFT_SIMT_TEXTURE_H
#define SOFT_SIMT_TEXTURE_H

#include <stdint.h>

#include "ioctl/vgpu_texture.h"

struct simt_textures;

/** simt_textures_create() - address space only; pages come with use. */
int simt_textures_create(uint32_t device, struct simt_textures **ret_table);
void simt_textures_destroy(struct simt_textures *t);

/** simt_textures_add() - -ENOSPC: all slots are taken. Any thread. */
int simt_textures_add(struct simt_textures *t, const struct vgpu_tex_desc *desc,
		      uint64_t *ret_handle);
/** simt_textures_remove() - -ENOENT. Any thread. */
int simt_textures_remove(struct simt_textures *t, uint64_t handle);
/** simt_textures_find() - NULL: no such handle. Takes no lock. */
const struct vgpu_tex_desc *simt_textures_find(const struct simt_textures *t, uint64_t handle);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * vgpu_bundle.h - several images as one, for MODULE_LOAD: they are linked and become one module.
 *
 * Here: the layout of a bundle. Each part is what a linker is given: PTX text, a fat binary, a host
 * object with device code in it, or an archive of such objects; which one, its first bytes tell.
 * Parts lie behind the table, in its order, and do not overlap; what each is in itself is checked
 * when it is read.
 *
 *   struct vgpu_bundle        magic, number of parts, bytes of all
 *   struct vgpu_bundle_part   one for each part
 *   the parts                 each 8-byte aligned
 */
#ifndef VGPU_BUNDLE_H
#define VGPU_BUNDLE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VGPU_BUNDLE_MAGIC 0x4b4c4756u /* "VGLK" */
#define VGPU_BUNDLE_PARTS 65536u      /* at most */

struct vgpu_bundle {
	uint32_t magic; /**< VGPU_BUNDLE_MAGIC */
	uint32_t parts; /**< 1 to VGPU_BUNDLE_PARTS */
	uint64_t bytes; /**< of all of it, this struct included */
};

struct vgpu_bundle_part {
	uint64_t offset; /**< from the start of the bundle */
	uint64_t bytes;	 /**< not 0 */
};

#ifdef __cplusplus
}
#endif
#endif /* VGPU_BUNDLE_H */

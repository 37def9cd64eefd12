/* SPDX-License-Identifier: MIT */
/* bundle.h - several images linked into one text. */
#ifndef SOFT_IMAGE_BUNDLE_H
#define SOFT_IMAGE_BUNDLE_H

#include "cuse_dev/backend/soft/image/image.h"

/** bundle_link() - as image_pick(), of an image that begins with VGPU_BUNDLE_MAGIC. */
uint32_t bundle_link(const void *image, size_t bytes, uint32_t cc, bool lenient,
		     struct image_text *ret_text, struct backend_log *log);

#endif

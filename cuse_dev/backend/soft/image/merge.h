/* SPDX-License-Identifier: MIT */
/*
 * merge.h - several PTX texts become one, as a linker would see them.
 *
 * Names that a text shows to others (.visible, .extern, .weak, .common, and all kernels) stay; what
 * it keeps to itself is renamed where another text has the same name. Who defines what, and what
 * nobody defines, is found out by the compiler when it reads the result.
 */
#ifndef SOFT_IMAGE_MERGE_H
#define SOFT_IMAGE_MERGE_H

#include <stddef.h>

/**
 * image_merge() - @ret_text: NUL-terminated, free() it.
 *
 * -EINVAL: one of them is no PTX, -ENOTSUP: it has 32-bit addresses, -E2BIG, -ENOMEM.
 */
int image_merge(const char *const *texts, unsigned count, char **ret_text);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * link_text.h - several PTX texts become one, as a linker would see them.
 *
 * Names that a text shows to others (.visible, .extern, .weak, .common, and all kernels) stay; what
 * it keeps to itself is renamed where another text has the same name. Who defines what, and what
 * nobody defines, is found out by the compiler when it reads the result.
 */
#ifndef IMPL_LINK_TEXT_H
#define IMPL_LINK_TEXT_H

#include <stddef.h>

/**
 * link_text_merge() - @ret_text: NUL-terminated, free() it.
 *
 * -EINVAL: one of them is no PTX, -ENOTSUP: it has 32-bit addresses, -ENOMEM.
 */
int link_text_merge(const char *const *texts, unsigned count, char **ret_text);

#endif

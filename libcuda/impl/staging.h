/* SPDX-License-Identifier: MIT */
/*
 * staging.h - a few buffers per context, readable by the worker, through which small pageable
 * copies go to busy streams.
 */
#ifndef IMPL_STAGING_H
#define IMPL_STAGING_H

#include "libcuda/impl/queue.h"

#define STAGING_BYTES 65536u /* of one buffer */

/**
 * staging_copy() - take @bytes of @src now, and copy them to @dst when @q gets there.
 *
 * 1: done so; 0: not possible (too large, or no buffer is free); -errno.
 */
int staging_copy(struct queue *q, uint64_t dst, const void *src, uint64_t bytes);
/** staging_fini() - the context goes. */
void staging_fini(struct cu_ctx *ctx);

#endif

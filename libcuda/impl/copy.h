/* SPDX-License-Identifier: MIT */
/*
 * copy.h - one copy as all entry points say it: which sides, which stream, may it return early.
 */
#ifndef IMPL_COPY_H
#define IMPL_COPY_H

#include "libcuda/impl/place.h"
#include "libcuda/impl/queue.h"

/* What an entry point says about a side by its name; UNIFIED: the address tells. */
enum copy_side { COPY_HOST, COPY_DEVICE, COPY_UNIFIED };

/** cu_copy_linear() - @bytes from @src to @dst in the order of @stream. */
CUresult cu_copy_linear(uint64_t dst, enum copy_side dst_side, uint64_t src,
			enum copy_side src_side, uint64_t bytes, CUstream stream, bool async);

/** cu_copy_3d() - a box, in the order of @stream. */
CUresult cu_copy_3d(const CUDA_MEMCPY3D *p, CUstream stream, bool async);
/** cu_copy_3d_check() - is the descriptor right, and is what it names there? */
CUresult cu_copy_3d_check(const CUDA_MEMCPY3D *p);
/** cu_copy_3d_late() - would it be done by a thread of this process, when the stream gets there? */
bool cu_copy_3d_late(const CUDA_MEMCPY3D *p);
/** cu_copy_3d_into() - into @s without any wait, pageable memory or not. */
CUresult cu_copy_3d_into(const CUDA_MEMCPY3D *p, struct cu_stream *s);

#endif

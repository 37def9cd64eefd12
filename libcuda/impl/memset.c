/* SPDX-License-Identifier: MIT */
/*
 * memset.c - fills: one command, whatever the size.
 *
 * A fill of device memory returns at once, also by the functions without a stream; one of pinned
 * memory by these waits, as the manual's table of synchronisation behaviour has it.
 */
#include <errno.h>
#include <stdlib.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/place.h"
#include "libcuda/impl/queue.h"

struct fill {
	uint64_t dst, pitch, width, height; /* pitch in bytes, width in elements */
	uint32_t value, element;
};

/* Memory that only this process has (pinned, without shared pages). */
static void fill_here(const struct place *p, const struct fill *f)
{
	for (uint64_t y = 0; y < f->height; y++) {
		uint8_t *row = (uint8_t *)p->host + y * f->pitch;

		for (uint64_t x = 0; x < f->width; x++)
			for (uint32_t b = 0; b < f->element; b++)
				row[x * f->element + b] = (uint8_t)(f->value >> (8 * b));
	}
}

static CUresult submit(struct queue *q, const struct fill *f, bool wait)
{
	struct vgpu_cmd_fill cmd = {
		.head = { .op = VGPU_CMD_FILL, .bytes = sizeof(cmd) },
		.dst = f->dst,
		.pitch = f->pitch,
		.width = f->width,
		.height = f->height,
		.value = f->value,
		.element = f->element,
	};
	struct cu_ctx *ctx = q->ctx;
	uint64_t seq;
	int r = queue_submit(q, &cmd.head, &seq);

	if (r < 0)
		return cu_from_errno(r);
	return wait ? queue_result(ctx, queue_wait(q, seq)) : CUDA_SUCCESS;
}

static CUresult capture(struct cu_stream *s, const struct fill *f)
{
	CUDA_MEMSET_NODE_PARAMS p = {
		.dst = f->dst,
		.pitch = f->pitch,
		.value = f->value,
		.elementSize = f->element,
		.width = f->width,
		.height = f->height,
	};
	struct graph_work w;
	CUresult r = graph_work_memset(&p, (CUcontext)s->ctx, &w);

	return r == CUDA_SUCCESS ? capture_add(s, &w) : r;
}

static CUresult fill(const struct fill *f, CUstream stream, bool async)
{
	uint64_t row_bytes, bytes;
	bool capturing = false;
	struct cu_stream *s;
	struct place p;
	CUresult r;

	r = cu_stream_get(stream, &s);
	if (r == CUDA_SUCCESS)
		r = async ? capture_check(s, &capturing) : capture_refuse(s);
	if (r != CUDA_SUCCESS)
		return r;
	if (!f->width || !f->height)
		return CUDA_SUCCESS;
	if (!f->dst || f->dst % f->element || f->pitch % f->element ||
	    __builtin_mul_overflow(f->width, (uint64_t)f->element, &row_bytes) ||
	    (f->height > 1 && f->pitch < row_bytes) ||
	    __builtin_mul_overflow(f->height - 1, f->pitch, &bytes) ||
	    __builtin_add_overflow(bytes, row_bytes, &bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (place_find(f->dst, bytes, &p) < 0 || !p.device || !p.known || p.read_only)
		return CUDA_ERROR_INVALID_VALUE;
	if (capturing)
		return capture(s, f);
	if (p.worker_visible)
		return submit(queue_of(s), f, !async && p.range.kind == LINK_PINNED);
	r = queue_result(s->ctx, queue_quiesce(queue_of(s)));
	if (r == CUDA_SUCCESS)
		fill_here(&p, f);
	return r;
}

#define FILL_FN(bits, type)                                                                        \
	CUresult impl_cuMemsetD##bits##Async(CUdeviceptr dst, type v, size_t n, CUstream stream)   \
	{                                                                                          \
		struct fill f = { dst, 0, n, 1, v, bits / 8 };                                     \
		return fill(&f, stream, true);                                                     \
	}                                                                                          \
	CUresult impl_cuMemsetD##bits##_v2(CUdeviceptr dst, type v, size_t n)                      \
	{                                                                                          \
		struct fill f = { dst, 0, n, 1, v, bits / 8 };                                     \
		return fill(&f, NULL, false);                                                      \
	}                                                                                          \
	CUresult impl_cuMemsetD2D##bits##Async(CUdeviceptr dst, size_t pitch, type v, size_t w,    \
					       size_t h, CUstream stream)                          \
	{                                                                                          \
		struct fill f = { dst, pitch, w, h, v, bits / 8 };                                 \
		return fill(&f, stream, true);                                                     \
	}                                                                                          \
	CUresult impl_cuMemsetD2D##bits##_v2(CUdeviceptr dst, size_t pitch, type v, size_t w,      \
					     size_t h)                                             \
	{                                                                                          \
		struct fill f = { dst, pitch, w, h, v, bits / 8 };                                 \
		return fill(&f, NULL, false);                                                      \
	}
FILL_FN(8, unsigned char)
FILL_FN(16, unsigned short)
FILL_FN(32, unsigned int)
#undef FILL_FN

/* SPDX-License-Identifier: MIT */
/*
 * device.c - dynamic parallelism: what the device runtime (libcudadevrt, as PTX) expects of the driver.
 *
 * All of them return an enum simt_cnp, but for the two that give a buffer for parameters. That is memory of the
 * device's heap, so that the program can write there; of the second form a head stands before it.
 */
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/backend/soft/interp/code.h"
#include "cuse_dev/backend/soft/interp/device.h"
#include "cuse_dev/backend/soft/rt/heap.h"
#include "cuse_dev/backend/soft/simt/children.h"

#define HEAD_MAGIC	 0x6b636e75616c5056ull
#define STREAM_TAIL	 3u		/* cudaStreamTailLaunch */
#define STREAM_HANDLES	 0x100000000ull /* above all that have a meaning of their own */
#define STREAM_OF_GRAPHS (1ull << 56)
#define PARAM_BYTES_MAX	 32764u

/* Before the parameters. Device code can write there: what is in it is checked again. */
struct head {
	uint64_t magic;
	uint32_t code;
	uint32_t grid[3], block[3];
	uint32_t shared;
	uint32_t pad[6];
};

_Static_assert(sizeof(struct head) == 64, "parameters behind it stay aligned");

/* One call of one lane. */
struct call {
	struct interp_warp *w;
	const struct interp_ext *x;
	uint32_t lane;
	const struct backend_launch *l;
	struct simt_children *kids;
};

static uint8_t *frame(const struct call *c)
{
	const struct interp_warp *w = c->w;

	return w->base.local + c->lane * w->base.local_stride + w->frame->base;
}

static void argument_bytes(const struct call *c, uint32_t i, void *to, size_t bytes)
{
	memset(to, 0, bytes);
	if (i < c->x->nargs)
		memcpy(to, frame(c) + c->x->args[i].offset,
		       c->x->args[i].size < bytes ? c->x->args[i].size : bytes);
}

static uint64_t argument(const struct call *c, uint32_t i)
{
	uint64_t v;

	argument_bytes(c, i, &v, sizeof(v));
	return v;
}

static void result(const struct call *c, uint64_t v)
{
	if (c->x->nrets)
		memcpy(frame(c) + c->x->rets[0].offset, &v,
		       c->x->rets[0].size < 8 ? c->x->rets[0].size : 8);
}

/* A code number that no module has, if it is no address of a function. */
static uint32_t code_of(uint64_t address)
{
	uint64_t n = address - IR_CODE_BASE;

	return n % 16 || n / 16 >= UINT32_MAX ? UINT32_MAX : (uint32_t)(n / 16);
}

/* Where there is no room for an error in the answer: the runtime notes all others itself. */
static void note(const struct call *c, uint32_t error)
{
	static const uint8_t cuda_errors[] = {
		[SIMT_CNP_INVALID_VALUE] = 1,	      [SIMT_CNP_INVALID_DEVICE] = 101,
		[SIMT_CNP_OUT_OF_MEMORY] = 2,	      [SIMT_CNP_MAX_DEPTH] = 65,
		[SIMT_CNP_INVALID_CONFIGURATION] = 9, [SIMT_CNP_PENDING_COUNT] = 69,
	};

	if (error)
		__atomic_store_n(&c->kids->last_error, cuda_errors[error], __ATOMIC_RELAXED);
}

/* ---- launches ------------------------------------------------------------------------------- */

static uint64_t give_buffer(const struct call *c, uint64_t bytes)
{
	uint64_t va = c->l->heap_va ? rt_heap_malloc(c->l->heap_va, c->l->heap_bytes, bytes) : 0;

	if (!va)
		note(c, SIMT_CNP_OUT_OF_MEMORY);
	return va;
}

static void take_buffer(const struct call *c, uint64_t va)
{
	if (c->l->heap_va)
		rt_heap_free(c->l->heap_va, c->l->heap_bytes, va);
}

/* (u32 alignment, u32 bytes) */
static uint64_t parameter_buffer(const struct call *c)
{
	uint64_t bytes = argument(c, 1);

	if (bytes > PARAM_BYTES_MAX) {
		note(c, SIMT_CNP_INVALID_VALUE);
		return 0;
	}
	return give_buffer(c, bytes ? bytes : 1);
}

/* (u64 function, dim3 grid, dim3 block, u32 shared) */
static uint64_t parameter_buffer_v2(const struct call *c)
{
	struct head h = { .magic = HEAD_MAGIC, .code = code_of(argument(c, 0)) };
	uint64_t va;
	uint32_t r;

	argument_bytes(c, 1, h.grid, sizeof(h.grid));
	argument_bytes(c, 2, h.block, sizeof(h.block));
	h.shared = (uint32_t)argument(c, 3);
	r = simt_children_check(c->kids, h.code, h.grid, h.block);
	note(c, r);
	if (r)
		return 0;
	va = give_buffer(c, sizeof(h) + c->kids->param_bytes[h.code] + 1);
	if (!va)
		return 0;
	memcpy((void *)(uintptr_t)va, &h, sizeof(h));
	return va + sizeof(h);
}

/* @params: device address. */
static uint32_t launch(const struct call *c, const struct head *h, uint64_t params, uint64_t stream)
{
	struct simt_child *child;
	uint32_t bytes, r;

	r = simt_children_check(c->kids, h->code, h->grid, h->block);
	if (r)
		return r;
	if (stream >= STREAM_OF_GRAPHS)
		return SIMT_CNP_INVALID_VALUE;
	bytes = c->kids->param_bytes[h->code];
	child = calloc(1, sizeof(*child) + bytes);
	if (!child)
		return SIMT_CNP_OUT_OF_MEMORY;
	child->code = h->code;
	memcpy(child->grid, h->grid, sizeof(child->grid));
	memcpy(child->block, h->block, sizeof(child->block));
	child->shared = h->shared;
	child->param_bytes = bytes;
	r = SIMT_CNP_INVALID_VALUE;
	if (!bytes || interp_read(c->w, c->lane, params, child->params, bytes))
		r = simt_children_add(c->kids, child, stream == STREAM_TAIL);
	if (r)
		free(child);
	return r;
}

/* (u64 function, u64 buffer, u64 grid *, u64 block *, u32 shared, u64 stream) */
static uint32_t launch_device(const struct call *c)
{
	struct head h = { .code = code_of(argument(c, 0)), .shared = (uint32_t)argument(c, 4) };
	uint64_t buffer = argument(c, 1);
	uint32_t r = SIMT_CNP_INVALID_VALUE;

	if (interp_read(c->w, c->lane, argument(c, 2), h.grid, sizeof(h.grid)) &&
	    interp_read(c->w, c->lane, argument(c, 3), h.block, sizeof(h.block)))
		r = launch(c, &h, buffer, argument(c, 5));
	take_buffer(c, buffer);
	return r;
}

/* (u64 buffer, u64 stream) */
static uint32_t launch_device_v2(const struct call *c)
{
	uint64_t buffer = argument(c, 0);
	struct head h;
	uint32_t r;

	if (buffer < sizeof(h) || !interp_read(c->w, c->lane, buffer - sizeof(h), &h, sizeof(h)) ||
	    h.magic != HEAD_MAGIC)
		return SIMT_CNP_INVALID_VALUE;
	r = launch(c, &h, buffer, argument(c, 1));
	take_buffer(c, buffer - sizeof(h));
	return r;
}

/* ---- streams and events: all is in one order anyway ----------------------------------------- */

/* (u64 handle *, u32 flags) */
static uint32_t new_handle(const struct call *c)
{
	uint64_t h = STREAM_HANDLES + __atomic_add_fetch(&c->kids->handles, 1, __ATOMIC_RELAXED);

	return interp_write(c->w, c->lane, argument(c, 0), &h, sizeof(h)) ? SIMT_CNP_SUCCESS
									  : SIMT_CNP_INVALID_VALUE;
}

/* A handle, at place @i, that was given out. */
static uint32_t known_handle(const struct call *c, uint32_t i)
{
	return argument(c, i) > STREAM_HANDLES ? SIMT_CNP_SUCCESS : SIMT_CNP_INVALID_VALUE;
}

/* ---- questions ------------------------------------------------------------------------------ */

static uint32_t answer(const struct call *c, uint32_t i, const void *value, size_t bytes)
{
	return interp_write(c->w, c->lane, argument(c, i), value, bytes) ? SIMT_CNP_SUCCESS
									 : SIMT_CNP_INVALID_VALUE;
}

/* CUdevice_attribute */
static uint32_t attribute(const struct call *c)
{
	const struct backend_device *d = c->w->base.grid->dev;
	uint32_t v;

	if ((uint32_t)argument(c, 2) != d->index)
		return SIMT_CNP_INVALID_DEVICE;
	switch ((uint32_t)argument(c, 1)) {
	case 1:
		v = d->max_threads_per_block;
		break;
	case 8:
		v = d->max_shared_per_block;
		break;
	case 10:
		v = d->warp_size;
		break;
	case 13:
		v = d->clock_khz;
		break;
	case 16:
		v = d->sm_count;
		break;
	case 75:
		v = d->cc / 10;
		break;
	case 76:
		v = d->cc % 10;
		break;
	case 97:
		v = d->max_shared_per_block_optin;
		break;
	default:
		return SIMT_CNP_INVALID_VALUE;
	}
	return answer(c, 0, &v, sizeof(v));
}

/* (u64 value *, u32 cudaLimit) */
static uint32_t limit(const struct call *c)
{
	uint64_t v;

	switch ((uint32_t)argument(c, 1)) {
	case 0:
		v = c->l->stack_bytes;
		break;
	case 2:
		v = c->l->heap_bytes;
		break;
	default:
		return SIMT_CNP_INVALID_VALUE;
	}
	return answer(c, 0, &v, sizeof(v));
}

/* A cudaError_t; the runtime clears it where that is asked for. It is the grid's, not the thread's. */
static uint32_t last_error(const struct call *c)
{
	return __atomic_load_n(&c->kids->last_error, __ATOMIC_RELAXED);
}

/* (u32 error) -> the same */
static uint32_t set_error(const struct call *c)
{
	uint32_t e = (uint32_t)argument(c, 0);

	__atomic_store_n(&c->kids->last_error, e, __ATOMIC_RELAXED);
	return e;
}

/* ---- who is called -------------------------------------------------------------------------- */

static uint32_t status_of(const struct call *c, uint32_t id)
{
	static const uint32_t zero;

	switch (id) {
	case IR_BUILTIN_CNP_LAUNCH:
		return launch_device(c);
	case IR_BUILTIN_CNP_LAUNCH_V2:
		return launch_device_v2(c);
	case IR_BUILTIN_CNP_STREAM_CREATE:
	case IR_BUILTIN_CNP_EVENT_CREATE:
		return new_handle(c);
	case IR_BUILTIN_CNP_STREAM_DESTROY:
	case IR_BUILTIN_CNP_EVENT_DESTROY:
	case IR_BUILTIN_CNP_EVENT_RECORD:
		return known_handle(c, 0);
	case IR_BUILTIN_CNP_STREAM_WAIT:
		return known_handle(c, 1);
	case IR_BUILTIN_CNP_DEVICE:
		return answer(c, 0, &c->w->base.grid->dev->index, 4);
	case IR_BUILTIN_CNP_ATTRIBUTE:
		return attribute(c);
	case IR_BUILTIN_CNP_LIMIT:
		return limit(c);
	case IR_BUILTIN_CNP_CACHE_CONFIG:
	case IR_BUILTIN_CNP_SHARED_CONFIG:
		return answer(c, 0, &zero, sizeof(zero));
	default:
		return SIMT_CNP_INVALID_VALUE;
	}
}

void interp_device_call(struct interp_warp *w, const struct interp_ext *x, uint32_t lane,
			uint32_t id)
{
	struct call c = { w, x, lane, w->base.grid->launch, w->base.grid->children };

	/* Only a test of the interpreter alone has no lists. */
	if (!c.kids) {
		result(&c, id == IR_BUILTIN_CNP_BUFFER || id == IR_BUILTIN_CNP_BUFFER_V2
				   ? 0
				   : SIMT_CNP_OUT_OF_MEMORY);
		return;
	}
	switch (id) {
	case IR_BUILTIN_CNP_BUFFER:
		result(&c, parameter_buffer(&c));
		return;
	case IR_BUILTIN_CNP_BUFFER_V2:
		result(&c, parameter_buffer_v2(&c));
		return;
	case IR_BUILTIN_CNP_LAST_ERROR:
		result(&c, last_error(&c));
		return;
	case IR_BUILTIN_CNP_SET_ERROR:
		result(&c, set_error(&c));
		return;
	default:
		result(&c, status_of(&c, id));
	}
}

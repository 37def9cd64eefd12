/* SPDX-License-Identifier: MIT */
/*
 * builtin.c - what device code expects from the driver: vprintf, __assertfail, malloc, free; what the device
 * runtime expects is in device.c.
 *
 * Arguments and results lie in the running frame. Lanes go in ascending order.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cuse_dev/backend/soft/interp/code.h"
#include "cuse_dev/backend/soft/interp/device.h"
#include "cuse_dev/backend/soft/rt/heap.h"
#include "cuse_dev/backend/soft/rt/printf.h"
#include "cuse_dev/base/console.h"

struct lane_reader {
	struct interp_warp *w;
	uint32_t lane;
};

static int read_lane(void *ctx, uint64_t va, void *buf, size_t n)
{
	struct lane_reader *r = ctx;

	return interp_read(r->w, r->lane, va, buf, n) ? 0 : -EFAULT;
}

static uint64_t argument(struct interp_warp *w, const struct interp_ext *x, uint32_t lane,
			 uint32_t i)
{
	uint64_t v = 0;

	if (i < x->nargs)
		memcpy(&v,
		       w->base.local + lane * w->base.local_stride + w->frame->base +
			       x->args[i].offset,
		       x->args[i].size < 8 ? x->args[i].size : 8);
	return v;
}

static void result(struct interp_warp *w, const struct interp_ext *x, uint32_t lane, uint64_t v)
{
	if (x->nrets)
		memcpy(w->base.local + lane * w->base.local_stride + w->frame->base +
			       x->rets[0].offset,
		       &v, x->rets[0].size < 8 ? x->rets[0].size : 8);
}

static void write_console(struct interp_warp *w, int stream, const char *text, size_t bytes)
{
	if (w->base.grid->launch->console && bytes)
		console_write(w->base.grid->launch->console, stream, text, bytes);
}

static void do_vprintf(struct interp_warp *w, const struct interp_ext *x, uint32_t lane)
{
	struct lane_reader r = { w, lane };
	char text[RT_PRINTF_MAX];
	size_t bytes = 0;
	int n;

	n = rt_printf(read_lane, &r, argument(w, x, lane, 0), argument(w, x, lane, 1), text,
		      sizeof(text), &bytes);
	if (n >= 0)
		write_console(w, 1, text, bytes);
	result(w, x, lane, n >= 0 ? (uint64_t)n : (uint64_t)-1);
}

/* A string of the device for a message; unreadable is empty. */
static void fetch(struct interp_warp *w, uint32_t lane, uint64_t va, char *buf, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && interp_read(w, lane, va + n, buf + n, 1) && buf[n])
		n++;
	buf[n] = 0;
}

static const struct interp_inst *do_assert(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	char message[512], file[256], func[512], text[1536];
	const uint32_t *b = w->base.block->ctaid;

	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m), t[3];
		int n;

		fetch(w, lane, argument(w, x, lane, 0), message, sizeof(message));
		fetch(w, lane, argument(w, x, lane, 1), file, sizeof(file));
		fetch(w, lane, argument(w, x, lane, 3), func, sizeof(func));
		simt_lane_tid(&w->base, lane, t);
		n = snprintf(
			text, sizeof(text),
			"%s:%u: %s: block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `%s` failed.\n",
			file, (uint32_t)argument(w, x, lane, 2), func, b[0], b[1], b[2], t[0], t[1],
			t[2], message);
		write_console(w, 2, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
	}
	return interp_fault(w, in, 710, __builtin_ctz(w->mask), 0, "assertion `%.100s` failed",
			    message);
}

const struct interp_inst *interp_op_builtin(struct interp_warp *w, const struct interp_inst *in)
{
	const struct backend_launch *l = w->base.grid->launch;
	const struct interp_ext *x = in->ext;

	if (in->imm == IR_BUILTIN_ASSERTFAIL)
		return do_assert(w, in);
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);

		if (in->imm > IR_BUILTIN_FREE) {
			interp_device_call(w, x, lane, (uint32_t)in->imm);
			continue;
		}
		switch (in->imm) {
		case IR_BUILTIN_VPRINTF:
			do_vprintf(w, x, lane);
			break;
		case IR_BUILTIN_MALLOC:
			result(w, x, lane,
			       l->heap_va ? rt_heap_malloc(l->heap_va, l->heap_bytes,
							   argument(w, x, lane, 0))
					  : 0);
			break;
		default:
			if (l->heap_va)
				rt_heap_free(l->heap_va, l->heap_bytes, argument(w, x, lane, 0));
			break;
		}
	}
	return in + 1;
}

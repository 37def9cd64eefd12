/* SPDX-License-Identifier: MIT */
/*
 * mma.c - the product of fragments: where the registers are; rt/mma.h computes.
 */
#include "cuse_dev/backend/soft/interp/matrix.h"

#include <string.h>

void interp_mma_results(struct interp_warp *w, const struct interp_ext *x, void *const *from)
{
	for (uint32_t i = 0; i < x->ir.nd; i++) {
		const struct interp_opnd *o = &x->opnd[i];
		uint32_t bytes = o->bits / 8;

		if (o->off == NO_REG)
			continue;
		if (w->full) {
			memcpy(w->regs + o->off, from[i], bytes * LANES_N);
			continue;
		}
		for (uint32_t m = w->mask; m; m &= m - 1) {
			uint32_t at = bytes * (uint32_t)__builtin_ctz(m);

			memcpy(w->regs + o->off + at, (const uint8_t *)from[i] + at, bytes);
		}
	}
}

const struct interp_inst *interp_op_mma(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	const struct interp_mma *mma = x->mma;
	const struct ir_mma_regs *r = &mma->regs;
	struct rt_mma_args g = { .sat = x->ir.sat, .round = x->ir.round };
	uint32_t at = 1, first = (uint32_t)__builtin_ctz(w->mask);
	uint32_t bytes = ir_mat_bits(mma->x.d) == 64 ? 256 : 128;
	void *d[RT_MMA_REGS];

	for (uint32_t i = 0; i < r->a; i++)
		g.a[i] = interp_mma_source(w, x, at++);
	for (uint32_t i = 0; i < r->b; i++)
		g.b[i] = interp_mma_source(w, x, at++);
	for (uint32_t i = 0; i < r->c; i++)
		g.c[i] = interp_mma_source(w, x, at++);
	if (mma->x.sparse) {
		g.meta = interp_mma_source(w, x, at);
		g.selector = (uint32_t)interp_value(w, &x->opnd[x->ir.nd + at + 1], first);
		at += 2;
	}
	for (uint32_t i = 0; mma->x.scale && i < 2; i++, at += 3) {
		g.scale[i] = interp_mma_source(w, x, at);
		g.byte_id[i] = (uint32_t)interp_value(w, &x->opnd[x->ir.nd + at + 1], first);
		g.thread_id[i] = (uint32_t)interp_value(w, &x->opnd[x->ir.nd + at + 2], first);
	}
	for (uint32_t i = 0; i < r->d; i++)
		d[i] = w->scratch + i * bytes;
	rt_mma(mma->ops, &mma->x, &g, d);
	interp_mma_results(w, x, d);
	return in + 1;
}

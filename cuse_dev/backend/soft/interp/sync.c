/* SPDX-License-Identifier: MIT */
/*
 * sync.c - lanes that look at or wait for each other: *.sync, bar, match, redux, elect.
 */
#include "cuse_dev/backend/soft/interp/code.h"
#include "cuse_dev/backend/soft/rt/num.h"

/* Stands in front of each instruction with a mask of members: go on when all have come. */
const struct interp_inst *interp_op_sync(struct interp_warp *w, const struct interp_inst *in)
{
	uint32_t lane = (uint32_t)__builtin_ctz(w->mask), alive = w->base.lanes & ~w->base.exited;
	uint32_t members = (uint32_t)in->imm;

	if (in->a != NO_REG) {
		const uint32_t *a = (const uint32_t *)(w->regs + in->a);

		members = a[lane];
		/* Groups with masks of their own, such as halves of a warp: one after the other. */
		for (uint32_t m = w->mask; m; m &= m - 1) {
			uint32_t same = 0;

			if (a[__builtin_ctz(m)] == members)
				continue;
			for (uint32_t k = w->mask; k; k &= k - 1)
				same |= a[__builtin_ctz(k)] == members ? k & -k : 0;
			interp_wait(w, w->frame, in->seg, w->mask & ~same);
			w->mask = same;
			w->full = false;
			break;
		}
	}
	/* Both ways on use the permission up; left over, it would let lanes pass the next one alone. */
	if ((members & alive & ~w->mask) == 0 || (w->mask & ~w->sync_ok) == 0) {
		w->sync_ok &= ~w->mask;
		return in + 1;
	}
	return interp_block(w, in, WAIT_SYNC, members);
}

/* ---- barriers of the block ------------------------------------------------------------------- */

static uint32_t pred_lanes(const struct interp_warp *w, const struct interp_opnd *o)
{
	if (o->off == NO_REG)
		return o->imm & 1 ? ~0u : 0;
	return *(const uint32_t *)(w->regs + o->off);
}

const struct interp_inst *interp_op_bar(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	const struct interp_opnd *o = x->opnd + x->ir.nd;
	uint32_t lane = (uint32_t)__builtin_ctz(w->mask), id, count = 0, preds = 0;
	bool wait;

	id = (uint32_t)interp_value(w, &o[0], lane);
	if (id >= SIMT_BAR_CLUSTER)
		return interp_fault(w, in, 715, (int)lane, 0, "no barrier %u", id);
	for (uint32_t m = w->mask; m; m &= m - 1)
		if (interp_value(w, &o[0], (uint32_t)__builtin_ctz(m)) != id)
			return interp_fault(w, in, 715, __builtin_ctz(m), 0,
					    "threads of a warp at different barriers");
	if (x->ir.ns > 1)
		count = (uint32_t)interp_value(w, &o[1], lane);
	if (x->ir.ns > 2)
		preds = pred_lanes(w, &o[2]);
	wait = x->ir.sub != IR_BAR_ARRIVE;
	if (count % SIMT_LANES)
		return interp_fault(w, in, 715, (int)lane, 0,
				    "barrier for %u threads, which is no multiple of 32", count);
	simt_barrier_arrive(&w->base, id, count, w->mask, wait, preds);
	return wait ? interp_block(w, in, WAIT_BAR, id) : in + 1;
}

const struct interp_inst *interp_op_cluster_wait(struct interp_warp *w,
						 const struct interp_inst *in)
{
	uint32_t pass = simt_cluster_wait(&w->base, w->mask);

	if (pass == w->mask)
		return in + 1;
	if (pass)
		interp_wait(w, w->frame, in->seg, pass);
	w->mask &= ~pass;
	w->full = false;
	return interp_block(w, in, WAIT_BAR, SIMT_BAR_CLUSTER);
}

/* ---- across the lanes ------------------------------------------------------------------------ */

static uint32_t members_of(const struct interp_warp *w, const struct interp_opnd *o, uint32_t lane)
{
	if (o->off == NO_REG && !o->imm)
		return w->mask;
	return (uint32_t)interp_value(w, o, lane) & w->mask;
}

static void do_match(struct interp_warp *w, const struct interp_ext *x, bool all)
{
	const struct interp_opnd *a = &x->opnd[x->ir.nd], *mask = a + 1;
	uint32_t mem[LANES_N], same[LANES_N];

	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);

		mem[lane] = members_of(w, mask, lane);
		same[lane] = 0;
		for (uint32_t k = mem[lane]; k; k &= k - 1)
			if (interp_value(w, a, (uint32_t)__builtin_ctz(k)) ==
			    interp_value(w, a, lane))
				same[lane] |= k & -k;
	}
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);
		bool equal = same[lane] == mem[lane];

		if (x->opnd[0].off != NO_REG)
			interp_put(w, x->opnd[0].off, 32, lane,
				   !all	   ? same[lane]
				   : equal ? mem[lane]
					   : 0,
				   0);
		if (all && x->opnd[1].off != NO_REG)
			interp_put(w, x->opnd[1].off, 1, lane, equal, 0);
	}
}

/* redux.sync.{min,max}{.abs}{.NaN}.f32 */
static uint64_t redux_f32(const struct ir_inst *ir, uint64_t x, uint64_t y)
{
	float a = rt_f32((uint32_t)x), b = rt_f32((uint32_t)y);

	if (ir->sat) {
		a = __builtin_fabsf(a);
		b = __builtin_fabsf(b);
	}
	if (a != a || b != b) {
		if (ir->nan || (a != a && b != b))
			return RT_NAN_F32;
		return rt_bits_f32(a != a ? b : a);
	}
	if (a == b) /* -0 is less than +0 */
		return ir->sub == IR_ATOM_MIN ? rt_bits_f32(a) | rt_bits_f32(b)
					      : rt_bits_f32(a) & rt_bits_f32(b);
	return rt_bits_f32((a < b) == (ir->sub == IR_ATOM_MIN) ? a : b);
}

static uint64_t redux_step(const struct ir_inst *ir, uint64_t x, uint64_t y)
{
	if (ir->type == IR_F32)
		return redux_f32(ir, x, y);
	switch (ir->sub) {
	case IR_ATOM_ADD:
		return (uint32_t)(x + y);
	case IR_ATOM_AND:
		return x & y;
	case IR_ATOM_OR:
		return x | y;
	case IR_ATOM_XOR:
		return x ^ y;
	case IR_ATOM_MIN:
		if (ir->type == IR_S32)
			return (int32_t)x < (int32_t)y ? x : y;
		return x < y ? x : y;
	default:
		if (ir->type == IR_S32)
			return (int32_t)x > (int32_t)y ? x : y;
		return x > y ? x : y;
	}
}

static void do_redux(struct interp_warp *w, const struct interp_ext *x)
{
	const struct interp_opnd *a = &x->opnd[1], *mask = &x->opnd[2];
	uint32_t members = 0;
	uint64_t v = 0;
	uint32_t out[LANES_N];

	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m), mine = members_of(w, mask, lane);

		if (!members || mine != members) {
			members = mine;
			v = 0;
			for (uint32_t k = members, first = 1; k; k &= k - 1, first = 0) {
				uint64_t y =
					(uint32_t)interp_value(w, a, (uint32_t)__builtin_ctz(k));

				/* One lane alone is reduced with itself: abs and NaN apply. */
				v = first ? (x->ir.type == IR_F32 ? redux_step(&x->ir, y, y) : y)
					  : redux_step(&x->ir, v, y);
			}
		}
		out[lane] = (uint32_t)v;
	}
	for (uint32_t m = w->mask; x->opnd[0].off != NO_REG && m; m &= m - 1)
		interp_put(w, x->opnd[0].off, 32, (uint32_t)__builtin_ctz(m), out[__builtin_ctz(m)],
			   0);
}

const struct interp_inst *interp_op_warp(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;

	switch (x->ir.op) {
	case IR_OP_MATCH_ANY:
		do_match(w, x, false);
		return in + 1;
	case IR_OP_MATCH_ALL:
		do_match(w, x, true);
		return in + 1;
	case IR_OP_REDUX:
		do_redux(w, x);
		return in + 1;
	case IR_OP_ACTIVEMASK:
		for (uint32_t m = w->mask; x->opnd[0].off != NO_REG && m; m &= m - 1)
			interp_put(w, x->opnd[0].off, 32, (uint32_t)__builtin_ctz(m), w->mask, 0);
		return in + 1;
	case IR_OP_ELECT:
		for (uint32_t m = w->mask; m; m &= m - 1) {
			uint32_t lane = (uint32_t)__builtin_ctz(m);
			uint32_t members = members_of(w, &x->opnd[2], lane);
			uint32_t leader = members ? (uint32_t)__builtin_ctz(members) : lane;

			if (x->opnd[0].off != NO_REG)
				interp_put(w, x->opnd[0].off, 32, lane, leader, 0);
			if (x->opnd[1].off != NO_REG)
				interp_put(w, x->opnd[1].off, 1, lane, leader == lane, 0);
		}
		return in + 1;
	default:
		return interp_fault(w, in, 715, -1, 0, "no %s here", ir_op_text(x->ir.op));
	}
}

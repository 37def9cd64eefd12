/* SPDX-License-Identifier: MIT */
/*
 * slow.c - handlers that go lane by lane: rt_eval() for what has no vector path, special registers,
 * and the odd ones of addresses and stacks.
 */
#include <string.h>
#include <time.h>

#include "cuse_dev/backend/soft/interp/code.h"
#include "cuse_dev/backend/soft/rt/rt.h"

#define MAX_OPERANDS 20

const struct interp_inst *interp_op_eval(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	struct rt_value src[MAX_OPERANDS], dst[MAX_OPERANDS];
	uint32_t nd = x->ir.nd, ns = x->ir.ns;

	if (nd > MAX_OPERANDS || ns > MAX_OPERANDS)
		return interp_fault(w, in, 715, -1, 0, "too many operands");
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);

		for (uint32_t i = 0; i < ns; i++) {
			const struct interp_opnd *o = &x->opnd[nd + i];

			src[i].lo = interp_value(w, o, lane);
			src[i].hi = o->off != NO_REG && o->bits == 128
					    ? ((const uint64_t *)(w->regs + o->off))[2 * lane + 1]
					    : 0;
		}
		if (rt_eval(&x->ir, src, dst) < 0)
			return interp_fault(w, in, 715, (int)lane, 0, "no %s for type %s",
					    ir_op_text(x->ir.op), ir_type_text(x->ir.type));
		for (uint32_t i = 0; i < nd; i++)
			if (x->opnd[i].off != NO_REG)
				interp_put(w, x->opnd[i].off, x->opnd[i].bits, lane, dst[i].lo,
					   dst[i].hi);
	}
	return in + 1;
}

/* ---- special registers ----------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Cycles of the device's clock. */
static uint64_t clock_of(const struct interp_warp *w)
{
	uint64_t khz = w->base.grid->dev->clock_khz;
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * khz * 1000u + (uint64_t)t.tv_nsec * khz / 1000000u;
}

static uint64_t cluster_value(const struct interp_warp *w, enum ir_sreg s)
{
	const uint32_t *grid = w->base.grid->launch->grid, *cta = w->base.block->ctaid;
	uint32_t n[3], at[3];

	for (uint32_t i = 0; i < 3; i++) {
		n[i] = w->base.grid->cluster[i];
		at[i] = cta[i] % n[i];
	}
	switch (s) {
	case IR_SREG_CLUSTERID_X:
	case IR_SREG_CLUSTERID_Y:
	case IR_SREG_CLUSTERID_Z:
		return cta[s - IR_SREG_CLUSTERID_X] / n[s - IR_SREG_CLUSTERID_X];
	case IR_SREG_NCLUSTERID_X:
	case IR_SREG_NCLUSTERID_Y:
	case IR_SREG_NCLUSTERID_Z:
		return grid[s - IR_SREG_NCLUSTERID_X] / n[s - IR_SREG_NCLUSTERID_X];
	case IR_SREG_CLUSTER_CTAID_X:
	case IR_SREG_CLUSTER_CTAID_Y:
	case IR_SREG_CLUSTER_CTAID_Z:
		return at[s - IR_SREG_CLUSTER_CTAID_X];
	case IR_SREG_CLUSTER_NCTAID_X:
	case IR_SREG_CLUSTER_NCTAID_Y:
	case IR_SREG_CLUSTER_NCTAID_Z:
		return n[s - IR_SREG_CLUSTER_NCTAID_X];
	case IR_SREG_CLUSTER_CTARANK:
		return at[0] + n[0] * (at[1] + (uint64_t)n[1] * at[2]);
	case IR_SREG_CLUSTER_NCTARANK:
		return (uint64_t)n[0] * n[1] * n[2];
	default: /* IS_EXPLICIT_CLUSTER */
		return n[0] * n[1] * n[2] > 1;
	}
}

/* Those that are the same for all lanes. */
static uint64_t uniform_value(const struct interp_warp *w, enum ir_sreg s, int64_t number)
{
	const struct simt_grid *g = w->base.grid;
	const struct simt_block *b = w->base.block;
	uint64_t ws = (uint64_t)(uintptr_t)&g->workspace;

	switch (s) {
	case IR_SREG_NTID_X:
	case IR_SREG_NTID_Y:
	case IR_SREG_NTID_Z:
		return g->launch->block[s - IR_SREG_NTID_X];
	case IR_SREG_CTAID_X:
	case IR_SREG_CTAID_Y:
	case IR_SREG_CTAID_Z:
		return b->ctaid[s - IR_SREG_CTAID_X];
	case IR_SREG_NCTAID_X:
	case IR_SREG_NCTAID_Y:
	case IR_SREG_NCTAID_Z:
		return g->launch->grid[s - IR_SREG_NCTAID_X];
	case IR_SREG_WARPID:
		return w->base.index;
	case IR_SREG_NWARPID:
		return b->nwarps;
	case IR_SREG_SMID:
		return g->dev->sm_count ? b->linear % g->dev->sm_count : 0;
	case IR_SREG_NSMID:
		return g->dev->sm_count;
	case IR_SREG_GRIDID:
		return g->id;
	case IR_SREG_CLOCK:
		return (uint32_t)clock_of(w);
	case IR_SREG_CLOCK_HI:
		return clock_of(w) >> 32;
	case IR_SREG_CLOCK64:
		return clock_of(w);
	case IR_SREG_GLOBALTIMER:
		return now_ns();
	case IR_SREG_GLOBALTIMER_LO:
		return (uint32_t)now_ns();
	case IR_SREG_GLOBALTIMER_HI:
		return now_ns() >> 32;
	case IR_SREG_TOTAL_SMEM_SIZE:
	case IR_SREG_AGGR_SMEM_SIZE:
		return g->shared_bytes;
	case IR_SREG_DYNAMIC_SMEM_SIZE:
		return g->launch->dynamic_shared;
	case IR_SREG_RESERVED_SMEM_OFFSET_BEGIN:
	case IR_SREG_RESERVED_SMEM_OFFSET_END:
	case IR_SREG_RESERVED_SMEM_OFFSET_CAP:
	case IR_SREG_CURRENT_GRAPH_EXEC:
	case IR_SREG_PM:
		return 0;
	case IR_SREG_ENVREG:
		return number == 1 ? ws >> 32 : number == 2 ? (uint32_t)ws : 0;
	default:
		return cluster_value(w, s);
	}
}

static uint64_t lane_value(const struct interp_warp *w, enum ir_sreg s, uint32_t lane)
{
	switch (s) {
	case IR_SREG_LANEID:
		return lane;
	case IR_SREG_LANEMASK_EQ:
		return 1u << lane;
	case IR_SREG_LANEMASK_LE:
		return (2u << lane) - 1;
	case IR_SREG_LANEMASK_LT:
		return (1u << lane) - 1;
	case IR_SREG_LANEMASK_GE:
		return ~0u << lane;
	default: /* LANEMASK_GT */
		return ~((2u << lane) - 1);
	}
}

static void tids(const struct interp_warp *w, uint32_t axis, uint64_t v[LANES_N])
{
	const uint32_t *n = w->base.grid->launch->block;
	uint32_t tid[3];

	simt_lane_tid(&w->base, 0, tid);
	for (uint32_t i = 0; i < LANES_N; i++) {
		v[i] = tid[axis];
		if (++tid[0] == n[0]) {
			tid[0] = 0;
			if (++tid[1] == n[1]) {
				tid[1] = 0;
				tid[2]++;
			}
		}
	}
}

/* The ones every kernel begins with; false: another one, or a shape that is not so simple. */
static bool sreg_simple(const struct interp_warp *w, enum ir_sreg s, uint32_t *d)
{
	const struct backend_launch *l = w->base.grid->launch;
	bool flat = l->block[1] == 1 && l->block[2] == 1;
	uint32_t v = 0, step = 0;

	switch (s) {
	case IR_SREG_TID_X:
		if (!flat)
			return false;
		v = w->base.index * SIMT_LANES;
		step = 1;
		break;
	case IR_SREG_TID_Y:
	case IR_SREG_TID_Z:
		if (!flat)
			return false;
		break;
	case IR_SREG_LANEID:
		step = 1;
		break;
	case IR_SREG_NTID_X:
	case IR_SREG_NTID_Y:
	case IR_SREG_NTID_Z:
	case IR_SREG_CTAID_X:
	case IR_SREG_CTAID_Y:
	case IR_SREG_CTAID_Z:
	case IR_SREG_NCTAID_X:
	case IR_SREG_NCTAID_Y:
	case IR_SREG_NCTAID_Z:
	case IR_SREG_WARPID:
	case IR_SREG_NWARPID:
		v = (uint32_t)uniform_value(w, s, 0);
		break;
	default:
		return false;
	}
	for (uint32_t i = 0; i < LANES_N; i++)
		d[i] = v + step * i;
	return true;
}

const struct interp_inst *interp_op_sreg(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	enum ir_sreg s = x->ir.sub;
	uint64_t v[LANES_N];

	if (in->d == NO_REG)
		return in + 1;
	if (w->full && x->opnd[0].bits == 32 && sreg_simple(w, s, (uint32_t *)(w->regs + in->d)))
		return in + 1;
	if (s <= IR_SREG_TID_Z) {
		tids(w, s - IR_SREG_TID_X, v);
	} else if (s == IR_SREG_LANEID || (s >= IR_SREG_LANEMASK_EQ && s <= IR_SREG_LANEMASK_GT)) {
		for (uint32_t i = 0; i < LANES_N; i++)
			v[i] = lane_value(w, s, i);
	} else {
		v[0] = uniform_value(w, s, x->ir.offset);
		for (uint32_t i = 1; i < LANES_N; i++)
			v[i] = v[0];
	}
	if (x->opnd[0].bits == 32 && w->full) {
		for (uint32_t i = 0; i < LANES_N; i++)
			((uint32_t *)(w->regs + in->d))[i] = (uint32_t)v[i];
		return in + 1;
	}
	for (uint32_t m = w->mask; m; m &= m - 1)
		interp_put(w, in->d, x->opnd[0].bits, (uint32_t)__builtin_ctz(m),
			   v[__builtin_ctz(m)], 0);
	return in + 1;
}

/* ---- addresses and stacks -------------------------------------------------------------------- */

const struct interp_inst *interp_op_fence(struct interp_warp *w, const struct interp_inst *in)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return in + 1;
}

static void put_all(struct interp_warp *w, const struct interp_opnd *o, uint64_t v)
{
	for (uint32_t m = w->mask; o->off != NO_REG && m; m &= m - 1)
		interp_put(w, o->off, o->bits, (uint32_t)__builtin_ctz(m), v, 0);
}

/* All lanes get the same address: the frame grows by what the hungriest one wants. */
static const struct interp_inst *do_alloca(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	uint64_t align = x->ir.offset > 16 ? (uint64_t)x->ir.offset : 16, most = 0, at;

	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint64_t n = interp_value(w, &x->opnd[1], (uint32_t)__builtin_ctz(m));

		most = n > most ? n : most;
	}
	at = (w->frame->top + align - 1) & -align;
	if (most > w->base.grid->local_bytes || at + most > w->base.grid->local_bytes)
		return interp_fault(w, in, 719, __builtin_ctz(w->mask), 0,
				    "stack overflow: alloca of %llu bytes",
				    (unsigned long long)most);
	w->frame->top = (uint32_t)(at + most);
	put_all(w, &x->opnd[0], at);
	return in + 1;
}

static uint64_t space_base(uint8_t space)
{
	switch (space) {
	case IR_SPACE_SHARED:
		return IR_SHARED_APERTURE;
	case IR_SPACE_LOCAL:
		return IR_LOCAL_APERTURE;
	case IR_SPACE_PARAM:
		return IR_PARAM_APERTURE;
	default:
		return 0;
	}
}

static void do_cvta(struct interp_warp *w, const struct interp_ext *x)
{
	uint64_t base = space_base(x->ir.space);

	if (x->ir.space == IR_SPACE_FRAME)
		base = IR_LOCAL_APERTURE + w->frame->base;
	if (x->ir.op == IR_OP_CVTA_TO)
		base = -base;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);

		interp_put(w, x->opnd[0].off, x->opnd[0].bits, lane,
			   interp_value(w, &x->opnd[1], lane) + base, 0);
	}
}

static void do_isspacep(struct interp_warp *w, const struct interp_ext *x)
{
	uint64_t base = space_base(x->ir.space);

	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);
		uint64_t va = interp_value(w, &x->opnd[1], lane);
		bool any = va - IR_SHARED_APERTURE < 3 * IR_APERTURE_BYTES;
		uint64_t tag = (va - base) >> IR_CLUSTER_SHIFT;
		bool mine = x->ir.space != IR_SPACE_SHARED || x->ir.sub || !tag ||
			    tag - 1 == w->base.block->rank;

		interp_put(w, x->opnd[0].off, 1, lane,
			   base				   ? va - base < IR_APERTURE_BYTES && mine
			   : x->ir.space == IR_SPACE_CONST ? 0
							   : !any,
			   0);
	}
}

const struct interp_inst *interp_op_misc(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	struct timespec t = { 0 };

	switch (x->ir.op) {
	case IR_OP_FRAME_ADDR:
		put_all(w, &x->opnd[0], w->frame->base + (uint64_t)x->ir.offset);
		return in + 1;
	case IR_OP_ALLOCA:
		return do_alloca(w, in);
	case IR_OP_STACKSAVE:
		put_all(w, &x->opnd[0], w->frame->top);
		return in + 1;
	case IR_OP_STACKRESTORE:
		/* Others of the frame may still use what lies above. */
		if (w->full)
			w->frame->top = (uint32_t)interp_value(w, &x->opnd[0],
							       (uint32_t)__builtin_ctz(w->mask));
		if (w->frame->top < w->frame->base + w->frame->func->frame_bytes ||
		    w->frame->top > w->base.grid->local_bytes)
			return interp_fault(w, in, 719, __builtin_ctz(w->mask), 0,
					    "stackrestore to a place outside of the frame");
		return in + 1;
	case IR_OP_CVTA:
	case IR_OP_CVTA_TO:
		if (x->opnd[0].off != NO_REG)
			do_cvta(w, x);
		return in + 1;
	case IR_OP_ISSPACEP:
		if (x->opnd[0].off != NO_REG)
			do_isspacep(w, x);
		return in + 1;
	case IR_OP_NANOSLEEP:
		/* Whoever sleeps waits for others; give the CPU away, but never for long. */
		t.tv_nsec = (long)(interp_value(w, &x->opnd[0], (uint32_t)__builtin_ctz(w->mask)) %
				   2000);
		w->polls++;
		if (!w->waiting && t.tv_nsec > 1000 && w->base.block->nwarps == 1)
			nanosleep(&t, NULL);
		return in + 1;
	case IR_OP_CLUSTER_ARRIVE:
		simt_cluster_arrive(&w->base, w->mask);
		return in + 1;
	case IR_OP_TRAP:
		return interp_fault(w, in, 719, __builtin_ctz(w->mask), 0, "trap");
	case IR_OP_BRKPT:
		return interp_fault(w, in, 719, __builtin_ctz(w->mask), 0,
				    "brkpt without a debugger");
	case IR_OP_UNSUPPORTED:
		return interp_fault(w, in, 715, __builtin_ctz(w->mask), 0,
				    "an instruction that is not supported yet");
	default:
		return interp_op_warp(w, in);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * async.c - asynchronous copies, mbarrier, addresses of clusters; all done at once, lane by lane.
 *
 * The word of an mbarrier, which lies in the kernel's shared memory (a kernel may copy it, but knows
 * nothing of it):
 *
 *	bit  0 .. 19	arrivals that this phase still waits for
 *	bit 20 .. 39	arrivals that the next phase will wait for
 *	bit 40 .. 60	bytes that are expected and have not come, signed
 *	bit 61 .. 63	number of the phase
 *
 * The word as it was before an arrival is the state that an arrival returns. Who reaches it runs
 * on the same CPU thread, so it is changed by plain loads and stores. Tensor copies stand in tma.c.
 */
#include <string.h>

#include "cuse_dev/backend/soft/interp/async.h"

#define MBAR_COUNT    ((1u << 20) - 1) /* most arrivals, most bytes either way */
#define MBAR_EXPECTED 20
#define MBAR_TX	      40
#define MBAR_PHASE    61
#define SHARED_OFFSET ((1ull << IR_CLUSTER_SHIFT) - 1)
#define CANCEL_BYTES  16u /* what try_cancel answers */
#define BULK_ALIGN    16u

/* ---- addresses ------------------------------------------------------------------------------- */

uint64_t interp_async_address(const struct interp_warp *w, const struct interp_opnd *o,
			      uint32_t lane)
{
	uint64_t va = interp_value(w, &o[0], lane), at = o[1].imm;
	int64_t offset = (int32_t)at;

	switch (at >> 32) {
	case IR_SPACE_SHARED:
		va += (uint64_t)offset;
		return (o[0].bits == 32 ? (uint32_t)va : va) + IR_SHARED_APERTURE;
	case IR_SPACE_PARAM:
		return va + (uint64_t)offset + IR_PARAM_APERTURE;
	default:
		return va + (uint64_t)offset;
	}
}

uint8_t *interp_async_ptr(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			  uint64_t va, uint64_t bytes, uint32_t align)
{
	uint8_t *p;

	w->cur = in;
	w->cur_lane = lane;
	if (va & (align - 1)) {
		interp_fault(w, in, 716, (int)lane, va, "0x%llx is not aligned to %u bytes",
			     (unsigned long long)va, align);
		return NULL;
	}
	p = interp_generic_ptr(w, lane, va, bytes);
	if (!p)
		interp_fault(w, in, 700, (int)lane, va,
			     "access outside of memory: 0x%llx, %llu bytes", (unsigned long long)va,
			     (unsigned long long)bytes);
	return p;
}

static bool in_shared(uint64_t va)
{
	return va - IR_SHARED_APERTURE < IR_APERTURE_BYTES;
}

bool interp_want_shared(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			uint64_t va)
{
	if (in_shared(va))
		return true;
	interp_fault(w, in, 717, (int)lane, va, "0x%llx is not in shared memory",
		     (unsigned long long)va);
	return false;
}

uint64_t interp_peer_address(uint64_t va, uint32_t rank)
{
	uint64_t offset = (va - IR_SHARED_APERTURE) & SHARED_OFFSET;

	return IR_SHARED_APERTURE + (((uint64_t)rank + 1) << IR_CLUSTER_SHIFT) + offset;
}

/* ---- mbarrier -------------------------------------------------------------------------------- */

static uint32_t pending(uint64_t m)
{
	return m & MBAR_COUNT;
}

static int64_t missing(uint64_t m)
{
	return (int64_t)(m << (64 - MBAR_PHASE)) >> (64 - MBAR_PHASE + MBAR_TX);
}

static uint64_t make(uint64_t phase, int64_t tx, uint64_t expected, uint64_t left)
{
	return phase << MBAR_PHASE | ((uint64_t)tx & ((2u << 20) - 1)) << MBAR_TX |
	       expected << MBAR_EXPECTED | left;
}

static uint64_t *mbar_at(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			 uint64_t va)
{
	return interp_want_shared(w, in, lane, va)
		       ? (uint64_t *)(void *)interp_async_ptr(w, in, lane, va, 8, 8)
		       : NULL;
}

/* @tx bytes more are expected, then @count lanes arrive, of which @drop will not come again. */
static bool mbar_update(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			uint64_t *m, int64_t tx, uint64_t count, uint64_t drop)
{
	uint64_t phase = *m >> MBAR_PHASE, expected = *m >> MBAR_EXPECTED & MBAR_COUNT,
		 left = pending(*m);

	tx += missing(*m);
	if (tx > MBAR_COUNT || tx < -(int64_t)MBAR_COUNT) {
		interp_fault(w, in, 719, (int)lane, 0, "mbarrier: %lld bytes expected",
			     (long long)tx);
		return false;
	}
	if (count > left || drop > expected) {
		interp_fault(w, in, 719, (int)lane, 0,
			     "mbarrier: %llu arrivals, %llu are expected (is it initialised?)",
			     (unsigned long long)count, (unsigned long long)left);
		return false;
	}
	left -= count;
	expected -= drop;
	if (!left && !tx) {
		phase++;
		left = expected;
	}
	*m = make(phase, tx, expected, left);
	return true;
}

bool interp_mbar_complete_tx(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			     uint64_t va, uint64_t bytes)
{
	uint64_t *m = mbar_at(w, in, lane, va);

	if (m && bytes > MBAR_COUNT) {
		interp_fault(w, in, 719, (int)lane, va, "mbarrier: a copy of %llu bytes",
			     (unsigned long long)bytes);
		return false;
	}
	return m && mbar_update(w, in, lane, m, -(int64_t)bytes, 0, 0);
}

/* One lane; false: fault. */
static bool mbar_one(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
		     bool *ret_waits)
{
	const struct interp_ext *x = in->ext;
	const struct interp_opnd *d = x->opnd, *s = d + x->ir.nd;
	uint64_t *m, old, v = x->ir.ns > 2 ? interp_value(w, &s[2], lane) : 0;
	bool done;

	if (x->ir.sub == IR_MBAR_PENDING) {
		if (d->off != NO_REG)
			interp_put(w, d->off, 32, lane, pending(interp_value(w, s, lane)), 0);
		return true;
	}
	m = mbar_at(w, in, lane, interp_async_address(w, s, lane));
	if (!m)
		return false;
	old = *m;
	switch (x->ir.sub) {
	case IR_MBAR_INIT:
		if (!v || v > MBAR_COUNT) {
			interp_fault(w, in, 719, (int)lane, 0, "mbarrier.init: a count of %llu",
				     (unsigned long long)v);
			return false;
		}
		*m = make(0, 0, v, v);
		return true;
	case IR_MBAR_INVAL:
		*m = 0;
		return true;
	case IR_MBAR_EXPECT_TX:
		return mbar_update(w, in, lane, m, (int64_t)v, 0, 0);
	case IR_MBAR_COMPLETE_TX:
		return mbar_update(w, in, lane, m, -(int64_t)v, 0, 0);
	case IR_MBAR_ARRIVE:
	case IR_MBAR_ARRIVE_DROP:
		/* A state means nothing in another block. */
		if (d->off != NO_REG)
			interp_put(w, d->off, 64, lane, old, 0);
		return !v || mbar_update(w, in, lane, m, (int64_t)interp_value(w, &s[3], lane), v,
					 x->ir.sub == IR_MBAR_ARRIVE_DROP ? v : 0);
	case IR_MBAR_TEST:
	case IR_MBAR_TRY:
		done = old >> MBAR_PHASE != v >> MBAR_PHASE;
		break;
	default: /* by parity */
		done = (old >> MBAR_PHASE & 1) != (v & 1);
		break;
	}
	if (d->off != NO_REG)
		interp_put(w, d->off, 1, lane, done, 0);
	*ret_waits &= !done;
	return true;
}

static const struct interp_inst *do_mbar(struct interp_warp *w, const struct interp_inst *in)
{
	uint8_t sub = in->ext->ir.sub;
	bool waits = sub >= IR_MBAR_TEST && sub <= IR_MBAR_TRY_PARITY;

	for (uint32_t m = w->mask; m; m &= m - 1)
		if (!mbar_one(w, in, (uint32_t)__builtin_ctz(m), &waits))
			return NULL;
	if (waits) {
		/* Nobody gets on: others have their turn at the next jump back. */
		w->polls++;
		if (w->budget > 1)
			w->budget = 1;
	}
	return in + 1;
}

/* ---- cp.async -------------------------------------------------------------------------------- */

static bool cp_async_one(struct interp_warp *w, const struct interp_inst *in, uint32_t lane)
{
	const struct interp_opnd *s = in->ext->opnd;
	uint32_t size = (uint32_t)s[4].imm, n = size;
	uint64_t to = interp_async_address(w, s, lane), from = interp_async_address(w, s + 2, lane);
	uint8_t *p, *q;

	if (in->imm & 1) {
		uint64_t want = interp_value(w, &s[5], lane);

		n = want < size ? (uint32_t)want : size;
	}
	if (in->imm & 2 && interp_value(w, &s[6], lane))
		n = 0;
	p = interp_async_ptr(w, in, lane, to, size, size);
	if (!p)
		return false;
	/* A source that is not read may lie anywhere. */
	q = n ? interp_async_ptr(w, in, lane, from, n, size) : NULL;
	if (n && !q)
		return false;
	if (n == 16) {
		memcpy(p, q, 16);
		return true;
	}
	if (n)
		memcpy(p, q, n);
	memset(p + n, 0, size - n);
	return true;
}

static const struct interp_inst *do_cp_async(struct interp_warp *w, const struct interp_inst *in)
{
	for (uint32_t m = w->mask; m; m &= m - 1)
		if (!cp_async_one(w, in, (uint32_t)__builtin_ctz(m)))
			return NULL;
	return in + 1;
}

/* ---- bulk copies ----------------------------------------------------------------------------- */

static void copy_masked(uint8_t *p, const uint8_t *q, uint64_t n, uint64_t mask)
{
	for (uint64_t i = 0; i < n; i++)
		if (mask >> (i % 16) & 1)
			p[i] = q[i];
}

static void reduce(uint8_t *p, const uint8_t *q, uint64_t n, const struct ir_inst *ir, bool plain)
{
	uint32_t bytes = ir_type_bits(ir->type) / 8;

	for (uint64_t i = 0; i < n; i += bytes) {
		uint64_t v = 0;

		memcpy(&v, q + i, bytes);
		interp_atomic(p + i, ir, plain, v);
	}
}

/* Blocks that get a copy: those of the mask, or none: just the address. */
static bool bulk_to(struct interp_warp *w, const struct interp_inst *in, uint32_t lane, uint64_t to,
		    const uint8_t *from, uint64_t bytes, uint64_t mbar)
{
	const struct interp_ext *x = in->ext;
	uint8_t *p = interp_async_ptr(w, in, lane, to, bytes, BULK_ALIGN);

	if (!p)
		return false;
	if (x->ir.op == IR_OP_RED_BULK)
		reduce(p, from, bytes, &x->ir, in_shared(to));
	else if (in->imm & 4)
		copy_masked(p, from, bytes, interp_value(w, &x->opnd[8], lane));
	else
		memmove(p, from, bytes);
	return !(in->imm & 1) || interp_mbar_complete_tx(w, in, lane, mbar, bytes);
}

static bool bulk_one(struct interp_warp *w, const struct interp_inst *in, uint32_t lane)
{
	const struct interp_opnd *s = in->ext->opnd;
	uint64_t to = interp_async_address(w, s, lane), from = interp_async_address(w, s + 2, lane),
		 bytes = interp_value(w, &s[4], lane),
		 mbar = in->imm & 1 ? interp_async_address(w, s + 5, lane) : 0, blocks;
	const uint8_t *q;

	if (bytes % BULK_ALIGN) {
		interp_fault(w, in, 716, (int)lane, to, "a bulk copy of %llu bytes",
			     (unsigned long long)bytes);
		return false;
	}
	q = interp_async_ptr(w, in, lane, from, bytes, BULK_ALIGN);
	if (!q)
		return false;
	if (!(in->imm & 2))
		return bulk_to(w, in, lane, to, q, bytes, mbar);
	if (!interp_want_shared(w, in, lane, to))
		return false;
	for (blocks = interp_value(w, &s[7], lane); blocks; blocks &= blocks - 1) {
		uint32_t rank = (uint32_t)__builtin_ctzll(blocks);

		if (!bulk_to(w, in, lane, interp_peer_address(to, rank), q, bytes,
			     interp_peer_address(mbar, rank)))
			return false;
	}
	return true;
}

static const struct interp_inst *do_bulk(struct interp_warp *w, const struct interp_inst *in)
{
	for (uint32_t m = w->mask; m; m &= m - 1)
		if (!bulk_one(w, in, (uint32_t)__builtin_ctz(m)))
			return NULL;
	return in + 1;
}

static const struct interp_inst *do_fill(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_opnd *s = in->ext->opnd;

	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);
		uint64_t va = interp_async_address(w, s, lane), n = interp_value(w, &s[2], lane);
		uint8_t *p;

		if (!interp_want_shared(w, in, lane, va))
			return NULL;
		if (n % 8)
			return interp_fault(w, in, 716, (int)lane, va, "st.bulk of %llu bytes",
					    (unsigned long long)n);
		p = interp_async_ptr(w, in, lane, va, n, 8);
		if (!p)
			return NULL;
		memset(p, 0, n);
	}
	return in + 1;
}

/* ---- clusters -------------------------------------------------------------------------------- */

static const struct interp_inst *do_mapa(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	bool shared = x->ir.space == IR_SPACE_SHARED, rank = x->ir.op == IR_OP_CTARANK;

	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);
		uint64_t va = interp_value(w, &x->opnd[1], lane), tag;

		va += shared ? IR_SHARED_APERTURE : 0;
		if (!interp_want_shared(w, in, lane, va))
			return NULL;
		tag = (va - IR_SHARED_APERTURE) >> IR_CLUSTER_SHIFT;
		if (rank)
			va = tag ? tag - 1 : w->base.block->rank;
		else
			va = interp_peer_address(va, (uint32_t)interp_value(w, &x->opnd[2], lane)) -
			     (shared ? IR_SHARED_APERTURE : 0);
		if (x->opnd[0].off != NO_REG)
			interp_put(w, x->opnd[0].off, x->opnd[0].bits, lane, va, 0);
	}
	return in + 1;
}

static bool cancel_to(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
		      uint64_t to, uint64_t mbar, const uint32_t answer[4])
{
	uint8_t *p = interp_async_ptr(w, in, lane, to, CANCEL_BYTES, CANCEL_BYTES);

	if (!p)
		return false;
	memcpy(p, answer, CANCEL_BYTES);
	return interp_mbar_complete_tx(w, in, lane, mbar, CANCEL_BYTES);
}

static const struct interp_inst *do_try_cancel(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_opnd *s = in->ext->opnd;
	uint32_t n = in->ext->ir.sub ? w->base.block->leader->npeers : 1;

	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m), answer[4] = { 0 };
		uint64_t to = interp_async_address(w, s, lane),
			 mbar = interp_async_address(w, s + 2, lane);

		if (!interp_want_shared(w, in, lane, to))
			return NULL;
		answer[3] = simt_cluster_cancel(w->base.grid, answer);
		for (uint32_t r = 0; r < n; r++)
			if (!cancel_to(w, in, lane, n > 1 ? interp_peer_address(to, r) : to,
				       n > 1 ? interp_peer_address(mbar, r) : mbar, answer))
				return NULL;
	}
	return in + 1;
}

const struct interp_inst *interp_op_async(struct interp_warp *w, const struct interp_inst *in)
{
	switch (in->ext->ir.op) {
	case IR_OP_CP_ASYNC:
		return do_cp_async(w, in);
	case IR_OP_MBAR:
		return do_mbar(w, in);
	case IR_OP_CP_BULK:
	case IR_OP_RED_BULK:
		return do_bulk(w, in);
	case IR_OP_FILL_BULK:
		return do_fill(w, in);
	case IR_OP_MAPA:
	case IR_OP_CTARANK:
		return do_mapa(w, in);
	default: /* TRY_CANCEL */
		return do_try_cancel(w, in);
	}
}

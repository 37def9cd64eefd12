/* SPDX-License-Identifier: MIT */
/*
 * atom.c - atom and red (PTX ISA 9.7.13.5, .6), lane by lane in ascending order.
 *
 * Global memory is shared with other CPU threads: real atomics. Shared memory belongs to a cluster
 * and so to one thread: plain reads and writes are atomic enough.
 */
#include <string.h>

#include "cuse_dev/backend/soft/interp/async.h"
#include "cuse_dev/backend/soft/interp/code.h"
#include "cuse_dev/backend/soft/rt/num.h"

typedef unsigned __int128 u128;

static float canonical(float f)
{
	return f == f ? f : rt_f32(RT_NAN_F32);
}

static float pick_f32(bool min, float x, float y)
{
	if (x != x || y != y)
		return x != x && y != y ? rt_f32(RT_NAN_F32) : x != x ? y : x;
	if (x == y)
		return rt_f32(min ? rt_bits_f32(x) | rt_bits_f32(y)
				  : rt_bits_f32(x) & rt_bits_f32(y));
	return (x < y) == min ? x : y;
}

static float float_op(uint8_t sub, float x, float y)
{
	return sub == IR_ATOM_ADD ? canonical(x + y) : pick_f32(sub == IR_ATOM_MIN, x, y);
}

static uint16_t half_op(uint8_t sub, uint8_t type, uint16_t x, uint16_t y)
{
	if (type == IR_BF16 || type == IR_BF16X2)
		return rt_f32_to_bf16(float_op(sub, rt_bf16_to_f32(x), rt_bf16_to_f32(y)));
	return rt_f32_to_f16(float_op(sub, rt_f16_to_f32(x), rt_f16_to_f32(y)));
}

static uint64_t f64_op(uint64_t x, uint64_t y)
{
	double r = rt_f64(x) + rt_f64(y);

	return r == r ? rt_bits_f64(r) : RT_NAN_F64;
}

static int64_t as_signed(uint64_t v, uint32_t bits)
{
	return bits == 64 ? (int64_t)v : bits == 32 ? (int32_t)v : (int16_t)v;
}

/* What is stored when @old was there. */
static uint64_t apply(uint8_t sub, uint8_t type, bool flush, uint64_t old, uint64_t b, uint64_t c)
{
	uint32_t bits = ir_type_bits(type);

	if (sub == IR_ATOM_EXCH)
		return b;
	if (sub == IR_ATOM_CAS)
		return old == b ? c : old;
	if (ir_type_float(type)) {
		switch (type) {
		case IR_F32:
			if (flush && sub == IR_ATOM_ADD)
				return rt_bits_f32(
					rt_ftz_f32(float_op(sub, rt_ftz_f32(rt_f32((uint32_t)old)),
							    rt_ftz_f32(rt_f32((uint32_t)b)))));
			return rt_bits_f32(
				float_op(sub, rt_f32((uint32_t)old), rt_f32((uint32_t)b)));
		case IR_F64:
			return f64_op(old, b);
		case IR_F16:
		case IR_BF16:
			return half_op(sub, type, (uint16_t)old, (uint16_t)b);
		default:
			return half_op(sub, type, (uint16_t)old, (uint16_t)b) |
			       (uint32_t)half_op(sub, type, (uint16_t)(old >> 16),
						 (uint16_t)(b >> 16))
				       << 16;
		}
	}
	switch (sub) {
	case IR_ATOM_ADD:
		return old + b;
	case IR_ATOM_AND:
		return old & b;
	case IR_ATOM_OR:
		return old | b;
	case IR_ATOM_XOR:
		return old ^ b;
	case IR_ATOM_INC:
		return old >= b ? 0 : old + 1;
	case IR_ATOM_DEC:
		return old == 0 || old > b ? b : old - 1;
	default:
		break;
	}
	if (ir_type_signed(type))
		return (as_signed(old, bits) < as_signed(b, bits)) == (sub == IR_ATOM_MIN) ? old
											   : b;
	return (old < b) == (sub == IR_ATOM_MIN) ? old : b;
}

#define ATOMIC(T, name)                                                                            \
	static uint64_t name(void *at, const struct ir_inst *ir, bool plain, uint64_t b,           \
			     uint64_t c)                                                           \
	{                                                                                          \
		T *p = at, old, new;                                                               \
		if (plain) {                                                                       \
			old = *p;                                                                  \
			*p = (T)apply(ir->sub, ir->type, false, old, (T)b, (T)c);                  \
			return old;                                                                \
		}                                                                                  \
		if (!ir_type_float(ir->type)) {                                                    \
			switch (ir->sub) {                                                         \
			case IR_ATOM_ADD:                                                          \
				return __atomic_fetch_add(p, (T)b, __ATOMIC_SEQ_CST);              \
			case IR_ATOM_AND:                                                          \
				return __atomic_fetch_and(p, (T)b, __ATOMIC_SEQ_CST);              \
			case IR_ATOM_OR:                                                           \
				return __atomic_fetch_or(p, (T)b, __ATOMIC_SEQ_CST);               \
			case IR_ATOM_XOR:                                                          \
				return __atomic_fetch_xor(p, (T)b, __ATOMIC_SEQ_CST);              \
			case IR_ATOM_EXCH:                                                         \
				return __atomic_exchange_n(p, (T)b, __ATOMIC_SEQ_CST);             \
			default:                                                                   \
				break;                                                             \
			}                                                                          \
		}                                                                                  \
		old = __atomic_load_n(p, __ATOMIC_RELAXED);                                        \
		do {                                                                               \
			new = (T)apply(ir->sub, ir->type, true, old, (T)b, (T)c);                  \
		} while (!__atomic_compare_exchange_n(p, &old, new, false, __ATOMIC_SEQ_CST,       \
						      __ATOMIC_SEQ_CST));                          \
		return old;                                                                        \
	}
ATOMIC(uint16_t, atomic_16)
ATOMIC(uint32_t, atomic_32)
ATOMIC(uint64_t, atomic_64)

void interp_atomic(void *at, const struct ir_inst *ir, bool plain, uint64_t b)
{
	switch (ir_type_bits(ir->type)) {
	case 16:
		atomic_16(at, ir, plain, b, 0);
		break;
	case 32:
		atomic_32(at, ir, plain, b, 0);
		break;
	default:
		atomic_64(at, ir, plain, b, 0);
		break;
	}
}

static u128 atomic_128(u128 *p, const struct ir_inst *ir, bool plain, u128 b, u128 c)
{
	u128 old = *p, new, seen;

	for (;;) {
		new = ir->sub == IR_ATOM_EXCH ? b : old == b ? c : old;
		if (plain) {
			*p = new;
			return old;
		}
		seen = __sync_val_compare_and_swap(p, old, new);
		if (seen == old)
			return old;
		old = seen;
	}
}

static u128 wide(const struct interp_warp *w, const struct interp_opnd *o, uint32_t lane)
{
	u128 v = o->imm;

	if (o->off != NO_REG)
		memcpy(&v, w->regs + o->off + 16 * lane, 16);
	return v;
}

static void one(struct interp_warp *w, const struct interp_inst *in, uint32_t lane, uint8_t *p,
		bool plain)
{
	const struct interp_ext *x = in->ext;
	const struct interp_opnd *d = x->opnd, *b = d + x->ir.nd + 1, *c = b + in->n;
	bool cas = x->ir.sub == IR_ATOM_CAS;

	for (uint32_t e = 0; e < in->n; e++, p += in->bytes) {
		bool out = x->ir.nd && d[e].off != NO_REG;
		uint64_t bv = interp_value(w, &b[e], lane),
			 cv = cas ? interp_value(w, &c[e], lane) : 0, r;
		u128 v;

		switch (in->bytes) {
		case 2:
			r = atomic_16(p, &x->ir, plain, bv, cv);
			break;
		case 4:
			r = atomic_32(p, &x->ir, plain, bv, cv);
			break;
		case 8:
			r = atomic_64(p, &x->ir, plain, bv, cv);
			break;
		default:
			v = atomic_128((u128 *)p, &x->ir, plain, wide(w, &b[e], lane),
				       cas ? wide(w, &c[e], lane) : 0);
			if (out)
				interp_put(w, d[e].off, 128, lane, (uint64_t)v,
					   (uint64_t)(v >> 64));
			continue;
		}
		if (out)
			interp_put(w, d[e].off, d[e].bits, lane, r, 0);
	}
}

/* Window and shared addresses without a call per lane; false: interp_lane_ptrs() must look. */
static bool quick_ptrs(struct interp_warp *w, const struct interp_inst *in, uint8_t **p)
{
	const struct simt_grid *g = w->base.grid;
	uint64_t size = (uint64_t)in->n * in->bytes, low = g->window_base,
		 limit = g->window_size - size;
	uint8_t *base = (uint8_t *)low;

	if (in->flags & INTERP_ADDR0)
		return false;
	if (in->space == IR_SPACE_SHARED && g->shared_bytes >= size) {
		low = 0;
		limit = g->shared_bytes - size;
		base = w->base.block->shared;
	} else if (in->space > IR_SPACE_GLOBAL) {
		return false;
	}
	w->cur = in;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);
		uint64_t va = interp_lane_address(w, in, lane);

		if (va - low > limit || va & (size - 1))
			return false;
		p[lane] = base + (va - low);
	}
	return true;
}

/*
 * All lanes add integers at one place: one addition of the sum. Each lane sees what those before it
 * have added, as if they had gone one by one.
 */
static bool add_at_one(struct interp_warp *w, const struct interp_inst *in, uint8_t **p, bool plain)
{
	const struct interp_ext *x = in->ext;
	const struct interp_opnd *b = &x->opnd[x->ir.nd + 1];
	uint8_t *at = p[__builtin_ctz(w->mask)];
	uint64_t before[SIMT_LANES], sum = 0, old;

	for (uint32_t m = w->mask; m; m &= m - 1)
		if (p[__builtin_ctz(m)] != at)
			return false;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);

		before[lane] = sum;
		sum += interp_value(w, b, lane);
	}
	if (in->bytes == 4)
		old = plain ? *(uint32_t *)at
			    : __atomic_fetch_add((uint32_t *)at, (uint32_t)sum, __ATOMIC_SEQ_CST);
	else
		old = plain ? *(uint64_t *)at
			    : __atomic_fetch_add((uint64_t *)at, sum, __ATOMIC_SEQ_CST);
	if (plain && in->bytes == 4)
		*(uint32_t *)at = (uint32_t)(old + sum);
	else if (plain)
		*(uint64_t *)at = old + sum;
	for (uint32_t m = w->mask; x->ir.nd && x->opnd[0].off != NO_REG && m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);

		interp_put(w, x->opnd[0].off, x->opnd[0].bits, lane, old + before[lane], 0);
	}
	return true;
}

/* The most common one by far: 32-bit integer addition. */
static void add_u32(struct interp_warp *w, const struct interp_inst *in, uint8_t **p, bool plain)
{
	const struct interp_ext *x = in->ext;
	const struct interp_opnd *b = &x->opnd[x->ir.nd + 1];
	uint32_t *out = x->ir.nd && x->opnd[0].off != NO_REG
				? (uint32_t *)(w->regs + x->opnd[0].off)
				: NULL;

	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m), *q = (uint32_t *)p[lane], old;
		uint32_t v = b->off == NO_REG ? (uint32_t)b->imm
					      : ((const uint32_t *)(w->regs + b->off))[lane];

		if (plain) {
			old = *q;
			*q = old + v;
		} else {
			old = __atomic_fetch_add(q, v, __ATOMIC_SEQ_CST);
		}
		if (out)
			out[lane] = old;
	}
}

const struct interp_inst *interp_op_atom(struct interp_warp *w, const struct interp_inst *in)
{
	const uint8_t *shared = w->base.block->shared;
	uint8_t *p[LANES_N];

	if (!ir_atom_exists(in->ext->ir.sub, in->ext->ir.type))
		return interp_fault(w, in, 715, __builtin_ctz(w->mask), 0,
				    "no such atomic operation");
	if (!quick_ptrs(w, in, p) && !interp_lane_ptrs(w, in, p))
		return NULL;
	if (in->flags & INTERP_POLL)
		w->polls++;
	if (in->n == 1 && in->bytes >= 4 && in->ext->ir.sub == IR_ATOM_ADD &&
	    (in->ext->ir.type == IR_U32 || in->ext->ir.type == IR_S32 ||
	     in->ext->ir.type == IR_U64 || in->ext->ir.type == IR_S64) &&
	    (w->mask & (w->mask - 1)) &&
	    add_at_one(w, in, p,
		       shared && (uintptr_t)p[__builtin_ctz(w->mask)] - (uintptr_t)shared <
					 w->base.block->shared_cap))
		return in + 1;
	if (in->bytes == 4 && in->n == 1 && in->ext->ir.sub == IR_ATOM_ADD &&
	    !ir_type_float(in->ext->ir.type) && in->space != IR_SPACE_GENERIC) {
		add_u32(w, in, p, in->space == IR_SPACE_SHARED);
		return in + 1;
	}
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);

		one(w, in, lane, p[lane],
		    shared && (uintptr_t)p[lane] - (uintptr_t)shared < w->base.block->shared_cap);
	}
	return in + 1;
}

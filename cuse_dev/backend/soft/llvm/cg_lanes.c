/* SPDX-License-Identifier: MIT */
/*
 * cg_lanes.c - memory operations that go lane by lane: atomics (PTX ISA 9.7.13.5, .6), and stores of bytes
 * and halves anywhere.
 *
 *	store addresses and operands of all lanes in the frame
 *	for each lane i with mask[i], lowest first:	old[i] = *ptrs[i]; *ptrs[i] = op(old[i], b[i])
 *
 * Shared memory belongs to one CPU thread, so plain reads and writes are atomic there. Lanes that add
 * to one global place and want no result add their sum. Floats in global memory, halves, inc and
 * dec are the interpreter's.
 */
#include "cuse_dev/backend/soft/llvm/cg.h"

#include "cuse_dev/backend/soft/llvm/cg_mem.h"

typedef LLVMValueRef V;

struct loop {
	LLVMBasicBlockRef body, done;
	V left, lane;
};

static V room_at(struct cg *g, uint32_t room, V lane, LLVMTypeRef t)
{
	return LLVMBuildGEP2(g->b, t, g->room[room], &lane, 1, "");
}

static V get(struct cg *g, uint32_t room, V lane, LLVMTypeRef t)
{
	return LLVMBuildLoad2(g->b, t, room_at(g, room, lane, t), "");
}

/* The mask is not empty. */
static struct loop loop_begin(struct cg *g)
{
	struct loop l = { .body = LLVMAppendBasicBlockInContext(g->lc, g->fn, "lane"),
			  .done = LLVMAppendBasicBlockInContext(g->lc, g->fn, "lanes_done") };
	LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);
	V a[2] = { NULL, LLVMConstInt(g->i1, 1, false) };

	LLVMBuildBr(g->b, l.body);
	LLVMPositionBuilderAtEnd(g->b, l.body);
	l.left = LLVMBuildPhi(g->b, g->i32, "left");
	LLVMAddIncoming(l.left, &g->mask, &from, 1);
	a[0] = l.left;
	l.lane = cg_intrinsic(g, "llvm.cttz", &g->i32, 1, a, 2);
	return l;
}

static void loop_end(struct cg *g, struct loop *l)
{
	V next = LLVMBuildSub(g->b, l->left, cg_i32(g, 1), ""), none;
	LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);

	next = LLVMBuildAnd(g->b, l->left, next, "");
	LLVMAddIncoming(l->left, &next, &from, 1);
	none = LLVMBuildICmp(g->b, LLVMIntEQ, next, cg_i32(g, 0), "");
	LLVMBuildCondBr(g->b, none, l->done, l->body);
	LLVMPositionBuilderAtEnd(g->b, l->done);
}

static V lane_pointer(struct cg *g, V base, V off, V lane)
{
	LLVMTypeRef t = cg_int(g, cg_width(off));

	return cg_mem_pointer(g, base, get(g, 0, lane, t));
}

void cg_lanes_store(struct cg *g, const struct mem *m, V base, V off)
{
	LLVMTypeRef t = cg_int(g, 8 * m->size);
	struct loop l;

	LLVMBuildStore(g->b, off, g->room[0]);
	LLVMBuildStore(g->b, cg_mem_stored(g, m, 0), g->room[1]);
	l = loop_begin(g);
	LLVMSetAlignment(
		LLVMBuildStore(g->b, get(g, 1, l.lane, t), lane_pointer(g, base, off, l.lane)),
		m->size);
	loop_end(g, &l);
}

/* ---- atomics -------------------------------------------------------------------------------- */

static bool known(const struct ir_inst *in, bool shared)
{
	uint32_t bits = ir_type_bits(in->type);

	if (bits != 32 && bits != 64)
		return false;
	if (in->sub == IR_ATOM_EXCH || in->sub == IR_ATOM_CAS)
		return true;
	if (in->type == IR_F32)
		return shared && in->sub == IR_ATOM_ADD;
	return !ir_type_float(in->type) && in->type != IR_U16X2 && in->type != IR_S16X2 &&
	       in->sub <= IR_ATOM_XOR;
}

/* What is stored when @old was there. */
static V apply(struct cg *g, const struct ir_inst *in, V old, V b, V c)
{
	bool sign = ir_type_signed(in->type);
	V is;

	switch (in->sub) {
	case IR_ATOM_ADD:
		if (in->type == IR_F32)
			return cg_canonical(g, cg_bits_of(g, LLVMBuildFAdd(g->b, cg_float(g, old),
									   cg_float(g, b), "")));
		return LLVMBuildAdd(g->b, old, b, "");
	case IR_ATOM_AND:
		return LLVMBuildAnd(g->b, old, b, "");
	case IR_ATOM_OR:
		return LLVMBuildOr(g->b, old, b, "");
	case IR_ATOM_XOR:
		return LLVMBuildXor(g->b, old, b, "");
	case IR_ATOM_EXCH:
		return b;
	case IR_ATOM_CAS:
		return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, old, b, ""), c, old,
				       "");
	default:
		is = LLVMBuildICmp(g->b, sign ? LLVMIntSLT : LLVMIntULT, old, b, "");
		return in->sub == IR_ATOM_MIN ? LLVMBuildSelect(g->b, is, old, b, "")
					      : LLVMBuildSelect(g->b, is, b, old, "");
	}
}

static V shared_one(struct cg *g, const struct ir_inst *in, V p, V b, V c)
{
	V old = LLVMBuildLoad2(g->b, LLVMTypeOf(b), p, "old");

	LLVMBuildStore(g->b, apply(g, in, old, b, c), p);
	return old;
}

static V global_one(struct cg *g, const struct ir_inst *in, V p, V b, V c)
{
	static const LLVMAtomicRMWBinOp ops[] = {
		[IR_ATOM_ADD] = LLVMAtomicRMWBinOpAdd,	 [IR_ATOM_AND] = LLVMAtomicRMWBinOpAnd,
		[IR_ATOM_OR] = LLVMAtomicRMWBinOpOr,	 [IR_ATOM_XOR] = LLVMAtomicRMWBinOpXor,
		[IR_ATOM_EXCH] = LLVMAtomicRMWBinOpXchg,
	};
	bool sign = ir_type_signed(in->type);
	LLVMAtomicRMWBinOp op =
		in->sub == IR_ATOM_MIN	 ? (sign ? LLVMAtomicRMWBinOpMin : LLVMAtomicRMWBinOpUMin)
		: in->sub == IR_ATOM_MAX ? (sign ? LLVMAtomicRMWBinOpMax : LLVMAtomicRMWBinOpUMax)
					 : LLVMAtomicRMWBinOpAdd;

	if (in->sub == IR_ATOM_CAS)
		return LLVMBuildExtractValue(
			g->b,
			LLVMBuildAtomicCmpXchg(g->b, p, b, c,
					       LLVMAtomicOrderingSequentiallyConsistent,
					       LLVMAtomicOrderingSequentiallyConsistent, false),
			0, "old");
	if (in->sub != IR_ATOM_MIN && in->sub != IR_ATOM_MAX)
		op = ops[in->sub];
	return LLVMBuildAtomicRMW(g->b, op, p, b, LLVMAtomicOrderingSequentiallyConsistent, false);
}

static V operand(struct cg *g, const struct mem *m, uint32_t e)
{
	return cg_mem_stored(g, m, e);
}

/* red.add at one place: the sum of the lanes that run. */
static void add_sum(struct cg *g, const struct mem *m, V base, V off)
{
	V v = operand(g, m, 0), p;
	LLVMTypeRef t = LLVMTypeOf(v);

	v = LLVMBuildSelect(g->b, cg_mask_vector(g), v, LLVMConstNull(t), "");
	v = cg_intrinsic(g, "llvm.vector.reduce.add", &t, 1, &v, 1);
	p = cg_mem_pointer(g, base, cg_first_lane(g, off));
	if (m->shared)
		shared_one(g, m->in, p, v, NULL);
	else
		global_one(g, m->in, p, v, NULL);
}

/* The operand of all lanes, or NULL when they differ. */
static V same_operand(struct cg *g, const struct mem *m)
{
	const struct ir_operand *o = &m->in->opnd[m->in->nd + 1];
	struct cg_val v = cg_read(g, o, 8 * m->size);

	if (v.s.kind != CG_UNI || (o->kind == IR_OPND_REG && g->regs[o->reg].s.raw))
		return NULL;
	return cg_resize(g, v.u, 8 * m->size, false);
}

#define TOGETHER 8u /* as many as a CPU has registers for */

/*
 * All 32 lanes at places in shared memory: no loop over bits, in the same order. Places come out of vector registers: a CPU
 * may let no read of the frame pass a write to it knows not where.
 */
static void all_lanes(struct cg *g, const struct mem *m, V base, V off)
{
	V same = same_operand(g, m), v = same ? NULL : operand(g, m, 0), p[TOGETHER];

	for (uint32_t i = 0; i < CG_LANES; i += TOGETHER) {
		for (uint32_t k = 0; k < TOGETHER; k++) {
			V lane = LLVMBuildExtractElement(g->b, off, cg_i32(g, i + k), "");

			p[k] = cg_mem_pointer(g, base, lane);
		}
		for (uint32_t k = 0; k < TOGETHER; k++)
			shared_one(g, m->in, p[k],
				   same ? same
					: LLVMBuildExtractElement(g->b, v, cg_i32(g, i + k), ""),
				   NULL);
	}
}

static V some_lanes(struct cg *g, const struct mem *m, V base, V off, bool out)
{
	const struct ir_inst *in = m->in;
	LLVMTypeRef t = cg_int(g, 8 * m->size);
	bool cas = in->sub == IR_ATOM_CAS;
	V b, c = NULL, old;
	struct loop l;

	LLVMBuildStore(g->b, off, g->room[0]);
	LLVMBuildStore(g->b, operand(g, m, 0), g->room[1]);
	if (cas)
		LLVMBuildStore(g->b, operand(g, m, 1), g->room[2]);
	l = loop_begin(g);
	b = get(g, 1, l.lane, t);
	if (cas)
		c = get(g, 2, l.lane, t);
	old = m->shared ? shared_one(g, in, lane_pointer(g, base, off, l.lane), b, c)
			: global_one(g, in, lane_pointer(g, base, off, l.lane), b, c);
	if (out)
		LLVMBuildStore(g->b, old, room_at(g, 3, l.lane, t));
	loop_end(g, &l);
	return out ? LLVMBuildLoad2(g->b, cg_vec(t), g->room[3], "") : NULL;
}

static V each_lane(struct cg *g, const struct mem *m, V base, V off, bool out)
{
	LLVMBasicBlockRef all, some, both;
	V full;

	if (!m->shared || out || m->in->sub == IR_ATOM_CAS || m->in->sub == IR_ATOM_EXCH)
		return some_lanes(g, m, base, off, out);
	all = LLVMAppendBasicBlockInContext(g->lc, g->fn, "all");
	some = LLVMAppendBasicBlockInContext(g->lc, g->fn, "some");
	both = LLVMAppendBasicBlockInContext(g->lc, g->fn, "both");
	full = LLVMBuildICmp(g->b, LLVMIntEQ, g->mask, cg_i32(g, ~0u), "");
	LLVMBuildCondBr(g->b, full, all, some);
	LLVMPositionBuilderAtEnd(g->b, all);
	all_lanes(g, m, base, off);
	LLVMBuildBr(g->b, both);
	LLVMPositionBuilderAtEnd(g->b, some);
	some_lanes(g, m, base, off, false);
	LLVMBuildBr(g->b, both);
	LLVMPositionBuilderAtEnd(g->b, both);
	return NULL;
}

bool cg_atomic(struct cg *g, const struct ir_inst *in)
{
	const struct ir_operand *o = &in->opnd[in->nd];
	struct mem m = { .in = in,
			 .offset = in->offset,
			 .from = in->offset,
			 .size = ir_type_bits(in->type) / 8,
			 .shared = in->space == IR_SPACE_SHARED,
			 .n = 1 };
	bool out = in->nd && in->opnd[0].kind == IR_OPND_REG;
	LLVMBasicBlockRef next;
	struct cg_val a, r;
	V off, base, old = NULL;

	m.total = m.size;
	if (!g->aside || in->nd > 1 || in->ns != (in->sub == IR_ATOM_CAS ? 3 : 2) ||
	    !known(in, m.shared) || in->space == IR_SPACE_LOCAL || in->space == IR_SPACE_FRAME ||
	    in->space == IR_SPACE_PARAM)
		return false;
	a = cg_read(g, o, m.shared ? 32 : 64);
	if (!m.shared && a.s.kind == CG_UNI && cg_width(a.u) != 64)
		return false;
	if (!m.shared && a.s.kind != CG_UNI && a.s.kind != CG_WIDE && g->regs[o->reg].bits != 64)
		return false;
	if (out)
		cg_set_field(g, offsetof(struct llvm_ctx, polls), cg_i32(g, 1));
	off = cg_mem_offsets(g, &m, &a, &base);
	next = cg_mem_begin(g, &m, cg_mem_checked(g, &m, off));
	cg_mem_note(g, &m, NULL, 0);
	if (!out && in->sub == IR_ATOM_ADD && a.s.kind == CG_UNI && in->type != IR_F32)
		add_sum(g, &m, base, off);
	else
		old = each_lane(g, &m, base, off, out);
	if (old) {
		r = cg_value_var(cg_resize(g, old, g->regs[in->opnd[0].reg].bits, false));
		cg_write(g, &in->opnd[0], &r);
	}
	cg_mem_end(g, &m, next);
	return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * cg_shape.c - what the lanes of each register have in common: uniform, affine, or neither.
 *
 *	mov.u32 r1, %tid.x		r1  AFF stride 1
 *	mad.lo.s32 r2, %ctaid, 256, r1	r2  AFF stride 1, one scalar base
 *	mul.wide.s32 rd1, r2, 4		rd1 WIDE 0 + 4 * sext(r2)
 *	add.s64 rd2, rd0, rd1		rd2 WIDE rd0 + 4 * sext(r2)
 *	ld.global.f32 f1, [rd2]		one vector load
 *
 * A register has one shape, the least special one of its definitions. 32-bit arithmetic wraps, so a
 * widened affine value is affine only while its 32-bit part does not wrap within the warp; that is
 * looked at where the address is used, and the part is kept for it.
 */
#include "cuse_dev/backend/soft/llvm/cg.h"

static const struct cg_shape var = { .kind = CG_VAR };

static struct cg_shape uni(uint32_t align)
{
	return (struct cg_shape){ .kind = CG_UNI, .align = (uint8_t)(align > 31 ? 31 : align) };
}

static struct cg_shape aff(uint32_t groups, int32_t stride, uint32_t align)
{
	if (groups == 1 && stride == 0)
		return uni(align);
	return (struct cg_shape){ .kind = CG_AFF,
				  .groups = (uint8_t)groups,
				  .stride = stride,
				  .align = (uint8_t)(align > 31 ? 31 : align) };
}

static uint32_t zeros(uint64_t v)
{
	return (uint32_t)v ? (uint32_t)__builtin_ctz((uint32_t)v) : 31;
}

struct cg_shape cg_shape_operand(const struct cg *g, const struct ir_operand *o)
{
	if (o->kind == IR_OPND_REG)
		return g->regs[o->reg].s;
	return uni(ir_is_number(o) ? zeros(o->imm) : 0);
}

/* A UNI or AFF shape with @n groups. */
static struct cg_shape spread(struct cg_shape s, uint32_t n)
{
	uint32_t width = CG_LANES / n;

	if (s.kind == CG_UNI)
		return (struct cg_shape){ .kind = CG_AFF, .groups = (uint8_t)n, .align = s.align };
	if (s.groups < n) {
		uint32_t step = zeros((uint64_t)(uint32_t)s.stride * width);

		s.align = step < s.align ? (uint8_t)step : s.align;
		s.groups = (uint8_t)n;
		s.counts = false;
	}
	return s;
}

static bool lines(struct cg_shape s)
{
	return s.kind == CG_UNI || s.kind == CG_AFF;
}

static uint32_t groups_of(struct cg_shape s)
{
	return s.kind == CG_AFF ? s.groups : 1;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static struct cg_shape join(struct cg_shape a, struct cg_shape b)
{
	if (a.kind == CG_NONE)
		return b;
	if (b.kind == CG_NONE)
		return a;
	if (a.kind == CG_UNI && b.kind == CG_UNI)
		return uni(min_u32(a.align, b.align));
	if (lines(a) && lines(b)) {
		uint32_t n = max_u32(groups_of(a), groups_of(b));

		a = spread(a, n);
		b = spread(b, n);
		if (a.stride != b.stride)
			return var;
		n = min_u32(a.align, b.align);
		b.counts &= a.counts;
		b.align = (uint8_t)n;
		return b.groups == 1 && !b.stride ? uni(n) : b;
	}
	if (a.kind == CG_WIDE && b.kind == CG_WIDE && a.scale == b.scale && a.sign == b.sign) {
		if (a.vector != b.vector)
			return var;
		if (a.vector)
			return a;
		if (a.stride != b.stride)
			return var;
		a.groups = (uint8_t)max_u32(a.groups, b.groups);
		return a;
	}
	return var;
}

/* ---- arithmetic on shapes ------------------------------------------------------------------- */

static struct cg_shape add(struct cg_shape a, struct cg_shape b, bool minus)
{
	uint32_t n;

	if (!lines(a) || !lines(b))
		return var;
	n = max_u32(groups_of(a), groups_of(b));
	if (a.kind == CG_UNI && b.kind == CG_UNI)
		return uni(min_u32(a.align, b.align));
	a = spread(a, n);
	b = spread(b, n);
	return aff(n,
		   (int32_t)(minus ? (uint32_t)a.stride - (uint32_t)b.stride
				   : (uint32_t)a.stride + (uint32_t)b.stride),
		   min_u32(a.align, b.align));
}

/* By a number that is known. */
static struct cg_shape times(struct cg_shape a, uint32_t by)
{
	if (!lines(a))
		return var;
	if (a.kind == CG_UNI)
		return uni(a.align + zeros(by));
	return aff(a.groups, (int32_t)((uint32_t)a.stride * by), a.align + zeros(by));
}

static struct cg_shape mul(struct cg_shape a, const struct ir_operand *ao, struct cg_shape b,
			   const struct ir_operand *bo)
{
	if (ir_is_number(bo))
		return times(a, (uint32_t)bo->imm);
	if (ir_is_number(ao))
		return times(b, (uint32_t)ao->imm);
	if (!lines(a) || !lines(b) || (a.kind == CG_AFF && a.stride) ||
	    (b.kind == CG_AFF && b.stride))
		return var;
	return aff(max_u32(groups_of(a), groups_of(b)), 0, a.align + b.align);
}

/* A stride so large that lanes of a group wrap is of no use as an address. */
static bool modest(struct cg_shape s)
{
	return s.stride > -(1 << 24) && s.stride < (1 << 24);
}

/* 32 bits to 64, times @scale. */
static struct cg_shape widen(struct cg_shape a, bool sign, int64_t scale)
{
	struct cg_shape w = { .kind = CG_WIDE, .sign = sign, .scale = scale };

	if (a.kind == CG_UNI || a.kind == CG_NONE)
		return a;
	if (a.kind == CG_AFF && modest(a)) {
		w.groups = a.groups;
		w.stride = a.stride;
		return w;
	}
	if (a.kind != CG_VAR && a.kind != CG_AFF)
		return var;
	w.vector = true;
	return w;
}

static struct cg_shape add_wide(struct cg_shape a, struct cg_shape b, bool minus)
{
	if (a.kind == CG_UNI && b.kind == CG_UNI)
		return uni(min_u32(a.align, b.align));
	if (a.kind == CG_WIDE && b.kind == CG_UNI)
		return a;
	if (a.kind == CG_UNI && b.kind == CG_WIDE) {
		b.scale = minus ? -b.scale : b.scale;
		return b;
	}
	return var;
}

static struct cg_shape times_wide(struct cg_shape a, int64_t by)
{
	if (a.kind == CG_UNI)
		return uni(a.align + zeros((uint64_t)by));
	if (a.kind != CG_WIDE)
		return var;
	a.scale = (int64_t)((uint64_t)a.scale * (uint64_t)by);
	return a;
}

/* x & (2^k - 1) of a row of neighbours: the row itself, or its parts. */
static struct cg_shape mask_low(struct cg_shape a, uint64_t imm)
{
	uint32_t k = zeros(~imm), n;

	if (a.kind != CG_AFF || a.stride != 1 || (uint32_t)imm != (1ull << k) - 1 || k < 3)
		return var;
	n = k >= 5 ? 1 : CG_LANES >> k;
	a = spread(a, max_u32(n, a.groups));
	if (a.align < zeros(CG_LANES / a.groups))
		return var;
	return aff(a.groups, 1, a.align);
}

static struct cg_shape shift_right(struct cg_shape a, uint64_t k)
{
	bool row = a.groups == 1 && a.align >= 5;
	struct cg_shape r;
	uint32_t n;

	if (a.kind != CG_AFF || a.stride != 1 || k < 3 || k > 31)
		return var;
	n = k >= 5 ? 1 : CG_LANES >> k;
	a = spread(a, max_u32(n, a.groups));
	if (a.align < zeros(CG_LANES / a.groups))
		return var;
	r = aff(a.groups, 0, 0);
	r.counts = row && k < 5;
	return r;
}

/* (tid >> 3) & ~3, which is 4 * (tid / 32): what differs between the groups is masked off. */
static struct cg_shape mask_high(struct cg_shape a, uint64_t imm)
{
	return a.counts && !(imm & (a.groups - 1u)) ? uni(zeros(imm)) : var;
}

/* ---- special registers ---------------------------------------------------------------------- */

/* Lanes that are neighbours in x: 32, 16 or 8, or 0 where it is not known. */
static uint32_t neighbours(const uint32_t n[3])
{
	if (!n[0])
		return 0;
	if ((n[1] == 1 && n[2] == 1) || n[0] % 32 == 0)
		return 32;
	return n[0] % 16 == 0 ? 16 : n[0] % 8 == 0 ? 8 : 0;
}

static struct cg_shape sreg(const struct cg *g, const struct ir_inst *in)
{
	const uint32_t *n = g->opt->block;
	uint32_t width = neighbours(n);

	switch (in->sub) {
	case IR_SREG_TID_X:
		return width ? aff(CG_LANES / width, 1, zeros(width)) : var;
	case IR_SREG_TID_Y:
	case IR_SREG_TID_Z:
		return width ? aff(CG_LANES / width, 0, 0) : var;
	case IR_SREG_LANEID:
		return aff(1, 1, 31);
	case IR_SREG_NTID_X:
	case IR_SREG_NTID_Y:
	case IR_SREG_NTID_Z:
		return uni(n[0] ? zeros(n[in->sub - IR_SREG_NTID_X]) : 0);
	case IR_SREG_LANEMASK_EQ:
	case IR_SREG_LANEMASK_LE:
	case IR_SREG_LANEMASK_LT:
	case IR_SREG_LANEMASK_GE:
	case IR_SREG_LANEMASK_GT:
		return var;
	default:
		return uni(0);
	}
}

/* ---- instructions --------------------------------------------------------------------------- */

bool cg_pure(const struct ir_inst *in)
{
	return (in->op >= IR_OP_ADD && in->op <= IR_OP_CVT_PACK) || in->op == IR_OP_CVTA ||
	       in->op == IR_OP_CVTA_TO || in->op == IR_OP_ISSPACEP;
}

static bool is_int(uint8_t t, uint32_t bits)
{
	return !ir_type_float(t) && ir_type_bits(t) == bits && t != IR_U16X2 && t != IR_S16X2;
}

/* The same for all lanes of a group: computed once per group. */
static struct cg_shape per_group(const struct cg *g, const struct ir_inst *in)
{
	uint32_t n = 1;

	switch (in->op) {
	case IR_OP_ADD:
	case IR_OP_SUB:
	case IR_OP_MUL:
	case IR_OP_MAD:
	case IR_OP_AND:
	case IR_OP_OR:
	case IR_OP_XOR:
	case IR_OP_NOT:
	case IR_OP_SHL:
	case IR_OP_SHR:
	case IR_OP_MIN:
	case IR_OP_MAX:
	case IR_OP_NEG:
		break;
	default:
		return var;
	}
	for (uint32_t k = in->nd; k < (uint32_t)in->nd + in->ns; k++) {
		struct cg_shape s = cg_shape_operand(g, &in->opnd[k]);

		if (!lines(s) || (s.kind == CG_AFF && s.stride))
			return var;
		n = max_u32(n, groups_of(s));
	}
	return aff(n, 0, 0);
}

static struct cg_shape alu32(const struct cg *g, const struct ir_inst *in)
{
	const struct ir_operand *o = in->opnd + in->nd;
	struct cg_shape a = cg_shape_operand(g, &o[0]), b = var, s = var;

	if (in->ns > 1)
		b = cg_shape_operand(g, &o[1]);
	switch (in->op) {
	case IR_OP_ADD:
	case IR_OP_SUB:
		s = in->sat ? var : add(a, b, in->op == IR_OP_SUB);
		break;
	case IR_OP_MUL:
		s = mul(a, &o[0], b, &o[1]);
		break;
	case IR_OP_MAD:
		s = add(mul(a, &o[0], b, &o[1]), cg_shape_operand(g, &o[2]), false);
		break;
	case IR_OP_SHL:
		if (ir_is_number(&o[1]) && o[1].imm < 32)
			s = times(a, 1u << o[1].imm);
		break;
	case IR_OP_AND:
		if (ir_is_number(&o[1]))
			s = a.counts ? mask_high(a, o[1].imm) : mask_low(a, o[1].imm);
		break;
	case IR_OP_SHR:
		if (ir_is_number(&o[1]))
			s = shift_right(a, o[1].imm);
		break;
	default:
		break;
	}
	return s.kind == CG_VAR ? per_group(g, in) : s;
}

static struct cg_shape alu64(const struct cg *g, const struct ir_inst *in)
{
	const struct ir_operand *o = in->opnd + in->nd;
	struct cg_shape a = cg_shape_operand(g, &o[0]), b = var;

	if (in->ns > 1)
		b = cg_shape_operand(g, &o[1]);
	switch (in->op) {
	case IR_OP_ADD:
	case IR_OP_SUB:
		return in->sat ? var : add_wide(a, b, in->op == IR_OP_SUB);
	case IR_OP_MUL:
		if (ir_is_number(&o[1]))
			return times_wide(a, (int64_t)o[1].imm);
		return ir_is_number(&o[0]) ? times_wide(b, (int64_t)o[0].imm) : var;
	case IR_OP_SHL:
		return ir_is_number(&o[1]) && o[1].imm < 63 ? times_wide(a, 1ll << o[1].imm) : var;
	default:
		return var;
	}
}

static struct cg_shape wide(const struct cg *g, const struct ir_inst *in)
{
	const struct ir_operand *o = in->opnd + in->nd;
	bool sign = in->type == IR_S32, second = ir_is_number(&o[1]);
	uint64_t imm = second ? o[1].imm : o[0].imm;
	struct cg_shape s;

	if (ir_type_bits(in->type) != 32 || (!second && !ir_is_number(&o[0])))
		return var;
	s = widen(cg_shape_operand(g, &o[second ? 0 : 1]), sign,
		  sign ? (int64_t)(int32_t)imm : (int64_t)(uint32_t)imm);
	return in->op == IR_OP_MAD_WIDE ? add_wide(s, cg_shape_operand(g, &o[2]), false) : s;
}

static struct cg_shape convert(const struct cg *g, const struct ir_inst *in)
{
	struct cg_shape a = cg_shape_operand(g, &in->opnd[in->nd]);

	if (in->sat || in->ns != 1)
		return var;
	if (is_int(in->type, 64) && is_int(in->type2, 32))
		return widen(a, in->type2 == IR_S32, 1);
	if (is_int(in->type, 32) && is_int(in->type2, 32))
		return a;
	if (is_int(in->type, 64) && is_int(in->type2, 64))
		return a;
	if (is_int(in->type, 32) && is_int(in->type2, 64) && a.kind == CG_WIDE && !a.vector)
		return aff(a.groups, (int32_t)((uint64_t)a.stride * (uint64_t)a.scale), 0);
	return var;
}

static bool all_uniform(const struct cg *g, const struct ir_inst *in, bool *ret_none)
{
	bool all = true;

	for (uint32_t k = in->nd; k < (uint32_t)in->nd + in->ns; k++) {
		struct cg_shape s = cg_shape_operand(g, &in->opnd[k]);

		all &= s.kind == CG_UNI;
		*ret_none |= s.kind == CG_NONE;
	}
	return all;
}

static struct cg_shape pure(const struct cg *g, const struct ir_inst *in, bool all)
{
	struct cg_shape s = var;

	switch (in->op) {
	case IR_OP_MUL_WIDE:
	case IR_OP_MAD_WIDE:
		s = wide(g, in);
		break;
	case IR_OP_CVT:
		s = convert(g, in);
		break;
	case IR_OP_MOV:
	case IR_OP_CVTA:
	case IR_OP_CVTA_TO:
		s = cg_shape_operand(g, &in->opnd[1]);
		if (in->op != IR_OP_MOV &&
		    (in->space == IR_SPACE_FRAME || ir_type_bits(in->type) != 64))
			s = var;
		break;
	default:
		if (is_int(in->type, 32))
			s = alu32(g, in);
		else if (is_int(in->type, 64))
			s = alu64(g, in);
		break;
	}
	return all && s.kind != CG_UNI ? uni(0) : s;
}

struct cg_shape cg_shape_of(const struct cg *g, const struct ir_inst *in, uint32_t k)
{
	bool none = false, all = all_uniform(g, in, &none);

	if (none)
		return (struct cg_shape){ .kind = CG_NONE };
	if (cg_pure(in))
		return k == 0 || all ? pure(g, in, all) : var;
	switch (in->op) {
	case IR_OP_SREG:
		return sreg(g, in);
	case IR_OP_FRAME_ADDR:
	case IR_OP_VOTE:
	case IR_OP_ACTIVEMASK:
		return uni(0);
	case IR_OP_BAR:
		return uni(0);
	case IR_OP_LD:
		return all && in->space != IR_SPACE_LOCAL && in->space != IR_SPACE_FRAME &&
				       in->space != IR_SPACE_GENERIC
			       ? uni(0)
			       : var;
	default:
		return var;
	}
}

static bool same(const struct cg_shape *a, const struct cg_shape *b)
{
	return a->kind == b->kind && a->groups == b->groups && a->align == b->align &&
	       a->counts == b->counts && a->sign == b->sign && a->vector == b->vector &&
	       a->stride == b->stride && a->scale == b->scale;
}

/* A register takes in a definition. */
static bool define(struct cg *g, uint32_t r, struct cg_shape s)
{
	struct cg_reg *reg = &g->regs[r];

	if (reg->s.kind == CG_VAR || s.kind == CG_NONE)
		return false;
	if (reg->bits == 1 && s.kind != CG_UNI)
		s = var;
	if (reg->bits != 32 && s.kind == CG_AFF)
		s = var;
	if (reg->bits != 64 && s.kind == CG_WIDE)
		s = var;
	s = join(reg->s, s);
	if (same(&s, &reg->s))
		return false;
	reg->s = s;
	return true;
}

bool cg_shape_pass(struct cg *g)
{
	bool changed = false;

	for (uint32_t b = 0; b < g->nblocks; b++) {
		const struct cg_block *blk = &g->blocks[b];

		for (uint32_t i = 0; i < blk->count; i++) {
			const struct ir_inst *in = &blk->insts[i];
			bool guard = in->guard >= 0 && !(blk->bare && i == 0) &&
				     g->regs[in->guard].s.kind > CG_UNI;

			for (uint32_t k = 0; k < in->nd; k++) {
				uint32_t r = in->opnd[k].reg;

				if (in->opnd[k].kind != IR_OPND_REG)
					continue;
				changed |= define(g, r,
						  guard || cg_bit(blk->keep, r)
							  ? var
							  : cg_shape_of(g, in, k));
			}
		}
	}
	return changed;
}

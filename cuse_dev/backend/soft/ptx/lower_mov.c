/* SPDX-License-Identifier: MIT */
/* lower_mov.c - moves, conversions, address space conversions (ISA 9.7.9). */
#include "cuse_dev/backend/soft/ptx/lower.h"

#define PARTS 16

static void mov_pack(struct ptx_lower *l, uint8_t type)
{
	const struct ptx_opnd *v = ptx_lo_opnd(l, 1);
	struct ir_operand s[PARTS];
	uint32_t bits;
	uint8_t part;

	if (!v->nsub || v->nsub > PARTS || ptx_lo_bits(type) % v->nsub) {
		ptx_lo_fail(l, "bad number of parts");
		return;
	}
	bits = ptx_lo_bits(type) / v->nsub;
	part = bits == 64 ? IR_U64 : bits == 32 ? IR_U32 : bits == 16 ? IR_U16 : IR_U8;
	if (bits < 8 || ptx_lo_bits(part) != bits) {
		ptx_lo_fail(l, "bad number of parts");
		return;
	}
	for (uint32_t i = 0; i < v->nsub; i++)
		s[i] = ptx_lo_src(l, &v->sub[i], part);
	ptx_lo_emit1(l, IR_OP_PACK, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), type), v->nsub, s);
}

static void mov_unpack(struct ptx_lower *l, uint8_t type)
{
	const struct ptx_opnd *v = ptx_lo_opnd(l, 0);
	struct ir_operand d[PARTS], s;
	uint32_t bits;
	uint8_t part;

	if (!v->nsub || v->nsub > PARTS || ptx_lo_bits(type) % v->nsub) {
		ptx_lo_fail(l, "bad number of parts");
		return;
	}
	bits = ptx_lo_bits(type) / v->nsub;
	part = bits == 64 ? IR_U64 : bits == 32 ? IR_U32 : bits == 16 ? IR_U16 : IR_U8;
	if (bits < 8 || ptx_lo_bits(part) != bits) {
		ptx_lo_fail(l, "bad number of parts");
		return;
	}
	for (uint32_t i = 0; i < v->nsub; i++)
		d[i] = ptx_lo_dst(l, &v->sub[i], part);
	s = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
	ptx_lo_emit(l, IR_OP_UNPACK, type, v->nsub, d, 1, &s);
}

/* mov.v2.u32 {a, b}, {c, d}: all sources are read before a result is written. */
static void mov_vector(struct ptx_lower *l, uint8_t type)
{
	const struct ptx_opnd *to, *from;
	uint32_t n = ptx_lo_list(ptx_lo_opnd(l, 0), &to);
	struct ir_operand s[PARTS];

	if (ptx_lo_list(ptx_lo_opnd(l, 1), &from) != n || n > PARTS) {
		ptx_lo_fail(l, "vectors of different length");
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct ir_operand a = ptx_lo_src(l, &from[i], type);

		s[i] = a;
		if (a.kind == IR_OPND_REG && n > 1) {
			s[i] = ptx_lo_temp(l, type);
			ptx_lo_emit1(l, IR_OP_MOV, type, s[i], 1, &a);
		}
	}
	for (uint32_t i = 0; i < n; i++)
		if (to[i].kind != PTX_O_SINK)
			ptx_lo_emit1(l, IR_OP_MOV, type, ptx_lo_dst(l, &to[i], type), 1, &s[i]);
}

static void mov_plain(struct ptx_lower *l, const struct ptx_opnd *d, const struct ptx_opnd *a,
		      uint8_t type)
{
	struct ir_operand to = ptx_lo_dst(l, d, type);
	uint32_t before = l->f->nregs;
	struct ir_operand s = ptx_lo_src(l, a, type);

	/* what was just computed into a register of its own goes straight to where it is wanted */
	if (a->kind != PTX_O_REG && s.kind == IR_OPND_REG && s.reg == before &&
	    l->f->nregs == before + 1 && l->ninsts && to.kind == IR_OPND_REG && !l->err->code) {
		l->insts[l->ninsts - 1].opnd[0] = to;
		l->f->nregs--;
		return;
	}
	ptx_lo_emit1(l, IR_OP_MOV, type, to, 1, &s);
}

void ptx_lower_mov(struct ptx_lower *l, enum ir_op op)
{
	const struct ptx_opnd *d = ptx_lo_opnd(l, 0), *a = ptx_lo_opnd(l, 1);
	uint8_t vec, type;

	if (!ptx_lo_count(l, 2, 2))
		return;
	if (ptx_lo_kind(l, PTX_KIND_VEC, &vec)) {
		mov_vector(l, ptx_lo_type(l));
		return;
	}
	type = ptx_lo_type(l);
	if (a->kind == PTX_O_VEC && d->kind == PTX_O_VEC) {
		mov_vector(l, type);
	} else if (a->kind == PTX_O_VEC) {
		mov_pack(l, type);
	} else if (d->kind == PTX_O_VEC) {
		mov_unpack(l, type);
	} else {
		mov_plain(l, d, a, type);
	}
}

/* cvt.pack.sat.type.type2{.b32} d, a, b{, c} */
static void cvt_pack(struct ptx_lower *l)
{
	struct ir_operand s[3];
	struct ir_inst *i;
	uint8_t to, from, third;
	uint32_t n = l->in->nopnds - 1u;

	if (!ptx_lo_count(l, 3, 4))
		return;
	ptx_lo_mod(l, PTX_MOD_SAT);
	to = ptx_lo_type(l);
	from = ptx_lo_type(l);
	if (ptx_lo_kind(l, PTX_KIND_TYPE, &third) != (n == 3)) {
		ptx_lo_fail(l, "bad form of cvt.pack");
		return;
	}
	for (uint32_t k = 0; k < n; k++)
		s[k] = ptx_lo_src(l, ptx_lo_opnd(l, 1 + k), k < 2 ? from : IR_U32);
	i = ptx_lo_emit1(l, IR_OP_CVT_PACK, to, ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_U32), n, s);
	i->type2 = from;
	i->sat = true;
}

static bool is_pair(uint8_t t)
{
	switch (t) {
	case IR_F16X2:
	case IR_BF16X2:
	case IR_E4M3X2:
	case IR_E5M2X2:
	case IR_E2M3X2:
	case IR_E3M2X2:
	case IR_E2M1X2:
	case IR_UE8M0X2:
		return true;
	default:
		return false;
	}
}

/* Bits of a register as an integer of its own width. */
static uint8_t storage_type(uint8_t storage, bool is_signed)
{
	switch (storage) {
	case IR_U16:
		return is_signed ? IR_S16 : IR_U16;
	case IR_U32:
		return is_signed ? IR_S32 : IR_U32;
	case IR_U64:
		return is_signed ? IR_S64 : IR_U64;
	default:
		return IR_U128;
	}
}

static void convert_bits(struct ptx_lower *l, uint8_t to, struct ir_operand d, uint8_t from,
			 struct ir_operand s)
{
	ptx_lo_emit1(l, IR_OP_CVT, to, d, 1, &s)->type2 = from;
}

/* A source of @type; what a wider register holds above it does not count. */
static struct ir_operand cvt_source(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type)
{
	struct ir_operand s = ptx_lo_src_wide(l, o, type), narrow;
	uint8_t have = ptx_lo_reg_type(l, s);

	if (s.kind != IR_OPND_REG || have == ptx_lo_storage(type))
		return s;
	narrow = ptx_lo_temp(l, type);
	convert_bits(l, storage_type(ptx_lo_storage(type), false), narrow, have, s);
	return narrow;
}

/*
 * IR converts between registers as wide as their types. A wider result is extended afterwards by
 * the type's signedness, as the manual has it. sub 1: .satfinite.
 */
void ptx_lower_cvt(struct ptx_lower *l, enum ir_op op)
{
	struct ptx_lo_flags fl;
	struct ir_operand s[3], d, result;
	struct ir_inst *i;
	uint32_t values, n = l->in->nopnds - 1u;
	uint8_t iround, to, from, rs;
	bool has_iround, finite, wide;

	if (ptx_lo_mod(l, PTX_MOD_PACK)) {
		cvt_pack(l);
		return;
	}
	if (!ptx_lo_count(l, 2, 4))
		return;
	has_iround = ptx_lo_kind(l, PTX_KIND_IROUND, &iround);
	finite = ptx_lo_mod(l, PTX_MOD_SATFINITE);
	ptx_lo_flags(l, &fl);
	rs = fl.has_round && fl.round == IR_RS;
	to = ptx_lo_type(l);
	from = ptx_lo_type(l);
	values = is_pair(to) && !is_pair(from) ? 2 : 1;
	if (n != values + rs) {
		if (n > 1 || to > IR_UE8M0X2)
			ptx_lo_refuse(l);
		else
			ptx_lo_fail(l, "%u operands are wrong here", n + 1);
		return;
	}
	for (uint32_t k = 0; k < n; k++)
		s[k] = cvt_source(l, ptx_lo_opnd(l, 1 + k), k < values ? from : IR_U32);
	d = ptx_lo_dst_wide(l, ptx_lo_opnd(l, 0), to);
	wide = d.kind == IR_OPND_REG && ptx_lo_reg_type(l, d) != ptx_lo_storage(to);
	result = wide ? ptx_lo_temp(l, to) : d;
	i = ptx_lo_emit1(l, IR_OP_CVT, to, result, n, s);
	ptx_lo_apply(i, &fl);
	i->type2 = from;
	i->sat |= finite;
	i->sub = finite;
	i->integer_round = has_iround;
	if (has_iround)
		i->round = iround;
	if (wide)
		convert_bits(l, storage_type(ptx_lo_reg_type(l, d), ptx_lo_is_signed(to)), d,
			     ptx_lo_is_float(to) ? ptx_lo_storage(to) : to, result);
}

/* ---- address spaces -------------------------------------------------------------------------- */

void ptx_lower_cvta(struct ptx_lower *l, enum ir_op op)
{
	bool to = ptx_lo_mod(l, PTX_MOD_TO);
	struct ir_operand s;
	struct ir_inst *i;
	uint8_t space, type;

	if (!ptx_lo_count(l, 2, 2))
		return;
	if (!ptx_lo_kind(l, PTX_KIND_SPACE, &space)) {
		ptx_lo_fail(l, "the state space is missing");
		return;
	}
	type = ptx_lo_type(l);
	s = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
	/* parameters of a device function lie in local memory */
	if (space == IR_SPACE_PARAM && !l->fn->is_entry)
		space = IR_SPACE_LOCAL;
	i = ptx_lo_emit1(l, to ? IR_OP_CVTA_TO : IR_OP_CVTA, type,
			 ptx_lo_dst(l, ptx_lo_opnd(l, 0), type), 1, &s);
	i->space = space;
}

void ptx_lower_isspacep(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand s;
	struct ir_inst *i;
	uint8_t space;
	bool cluster;

	if (!ptx_lo_count(l, 2, 2))
		return;
	cluster = ptx_lo_mod(l, PTX_MOD_SHARED_CLUSTER);
	if (cluster) {
		space = IR_SPACE_SHARED;
	} else if (!ptx_lo_kind(l, PTX_KIND_SPACE, &space)) {
		ptx_lo_fail(l, "the state space is missing");
		return;
	}
	s = ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U64);
	i = ptx_lo_emit1(l, IR_OP_ISSPACEP, IR_U64, ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_PRED), 1,
			 &s);
	i->space = space;
	i->sub = cluster;
}

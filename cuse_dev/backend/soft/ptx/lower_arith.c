/* SPDX-License-Identifier: MIT */
/*
 * lower_arith.c - integer and float arithmetic (ISA 9.7.1 - 9.7.5).
 *
 * The carry flag CC.CF is a predicate register of the function. The manual says that a subtraction
 * leaves the borrow there, but hardware adds the complement and leaves the carry, which is the
 * opposite; compilers read it with addc after sub.cc (128-bit division does). IR_OP_SUBC knows
 * borrows, so the flag is turned over before and after.
 */
#include "cuse_dev/backend/soft/ptx/lower.h"

static struct ir_operand carry(struct ptx_lower *l)
{
	struct ir_operand o;

	if (!l->cc) {
		o = ptx_lo_temp(l, IR_PRED);
		l->cc = o.reg + 1;
	}
	o = (struct ir_operand){ .kind = IR_OPND_REG, .reg = l->cc - 1 };
	return o;
}

/* d = op(a, b, ...) with @n sources, all of one type. */
static struct ir_inst *same_type(struct ptx_lower *l, enum ir_op op, uint8_t type, uint32_t n)
{
	struct ir_operand s[4], d;

	for (uint32_t i = 0; i < n; i++)
		s[i] = ptx_lo_src(l, ptx_lo_opnd(l, 1 + i), type);
	d = ptx_lo_dst(l, ptx_lo_opnd(l, 0), type);
	return ptx_lo_emit1(l, op, type, d, n, s);
}

/* A narrower float source of the mixed-precision forms, widened. */
static struct ir_operand widened(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t from,
				 uint8_t to)
{
	struct ir_operand a = ptx_lo_src(l, o, from), d = ptx_lo_temp(l, to);
	struct ir_inst *i = ptx_lo_emit1(l, IR_OP_CVT, to, d, 1, &a);

	i->type2 = from;
	return d;
}

void ptx_lower_unary(struct ptx_lower *l, enum ir_op op)
{
	struct ptx_lo_flags fl;
	uint8_t type;

	if (!ptx_lo_count(l, 2, 2))
		return;
	ptx_lo_flags(l, &fl);
	type = ptx_lo_type(l);
	ptx_lo_apply(same_type(l, op, type, 1), &fl);
}

static void with_carry(struct ptx_lower *l, enum ir_op op, uint8_t type, bool in, bool out)
{
	struct ir_operand d[2], s[3], flag;

	s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
	s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 2), type);
	s[2] = in ? carry(l) : ptx_lo_imm(0);
	if (in && op == IR_OP_SUBC) {
		flag = s[2];
		s[2] = ptx_lo_temp(l, IR_PRED);
		ptx_lo_emit1(l, IR_OP_NOT, IR_PRED, s[2], 1, &flag);
	}
	d[0] = ptx_lo_dst(l, ptx_lo_opnd(l, 0), type);
	d[1] = out ? carry(l) : ptx_lo_none();
	ptx_lo_emit(l, op, type, 2, d, 3, s);
	if (out && op == IR_OP_SUBC) {
		flag = d[1];
		ptx_lo_emit1(l, IR_OP_NOT, IR_PRED, flag, 1, &flag);
	}
}

void ptx_lower_addsub(struct ptx_lower *l, enum ir_op op)
{
	bool in = op == IR_OP_ADDC || op == IR_OP_SUBC;
	bool out = ptx_lo_mod(l, PTX_MOD_CC);
	enum ir_op chain = op == IR_OP_ADD || op == IR_OP_ADDC ? IR_OP_ADDC : IR_OP_SUBC;
	struct ptx_lo_flags fl;
	struct ir_operand s[2];
	uint8_t type, from;

	if (!ptx_lo_count(l, 3, 3))
		return;
	ptx_lo_flags(l, &fl);
	type = ptx_lo_type(l);
	if (in || out) {
		with_carry(l, chain, type, in, out);
		return;
	}
	if (ptx_lo_kind(l, PTX_KIND_TYPE, &from)) { /* add.f32.f16 */
		s[0] = widened(l, ptx_lo_opnd(l, 1), from, type);
		s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 2), type);
		ptx_lo_apply(
			ptx_lo_emit1(l, op, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), type), 2, s),
			&fl);
		return;
	}
	ptx_lo_apply(same_type(l, op, type, 2), &fl);
}

enum half { HALF_NONE, HALF_LO, HALF_HI, HALF_WIDE };

static enum half take_half(struct ptx_lower *l)
{
	if (ptx_lo_mod(l, PTX_MOD_LO))
		return HALF_LO;
	if (ptx_lo_mod(l, PTX_MOD_HI))
		return HALF_HI;
	return ptx_lo_mod(l, PTX_MOD_WIDE) ? HALF_WIDE : HALF_NONE;
}

static uint8_t twice(struct ptx_lower *l, uint8_t type)
{
	switch (type) {
	case IR_U16:
		return IR_U32;
	case IR_S16:
		return IR_S32;
	case IR_U32:
		return IR_U64;
	case IR_S32:
		return IR_S64;
	case IR_U64:
	case IR_S64:
		return IR_U128;
	default:
		ptx_lo_fail(l, ".wide does not go with this type");
		return type;
	}
}

void ptx_lower_mul(struct ptx_lower *l, enum ir_op op)
{
	enum half half = take_half(l);
	struct ptx_lo_flags fl;
	struct ir_operand s[2];
	uint8_t type;

	if (!ptx_lo_count(l, 3, 3))
		return;
	ptx_lo_flags(l, &fl);
	type = ptx_lo_type(l);
	if ((half == HALF_NONE) != ptx_lo_is_float(type)) {
		ptx_lo_fail(l, ".lo, .hi or .wide goes with integers, and only with them");
		return;
	}
	if (half == HALF_WIDE) {
		s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
		s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 2), type);
		ptx_lo_emit1(l, IR_OP_MUL_WIDE, type,
			     ptx_lo_dst(l, ptx_lo_opnd(l, 0), twice(l, type)), 2, s);
		return;
	}
	ptx_lo_apply(same_type(l, half == HALF_HI ? IR_OP_MUL_HI : op, type, 2), &fl);
}

/* mad.cc, madc: carry in and out around lo or hi of a product. */
static void mad_carry(struct ptx_lower *l, enum half half, uint8_t type, bool in, bool out)
{
	struct ir_operand d[2], s[4];

	for (uint32_t i = 0; i < 3; i++)
		s[i] = ptx_lo_src(l, ptx_lo_opnd(l, 1 + i), type);
	s[3] = in ? carry(l) : ptx_lo_imm(0);
	d[0] = ptx_lo_dst(l, ptx_lo_opnd(l, 0), type);
	d[1] = out ? carry(l) : ptx_lo_none();
	if (half == HALF_LO)
		ptx_lo_emit(l, IR_OP_MADC_LO, type, 2, d, 4, s);
	else if (half == HALF_HI)
		ptx_lo_emit(l, IR_OP_MADC_HI, type, 2, d, 4, s);
	else
		ptx_lo_fail(l, ".lo or .hi is missing");
}

static void mad_float(struct ptx_lower *l, uint8_t type, const struct ptx_lo_flags *fl)
{
	struct ir_operand s[3];
	uint8_t from;

	if (!ptx_lo_kind(l, PTX_KIND_TYPE, &from)) {
		ptx_lo_apply(same_type(l, IR_OP_FMA, type, 3), fl);
		return;
	}
	s[0] = widened(l, ptx_lo_opnd(l, 1), from, type); /* fma.rn.f32.f16 */
	s[1] = widened(l, ptx_lo_opnd(l, 2), from, type);
	s[2] = ptx_lo_src(l, ptx_lo_opnd(l, 3), type);
	ptx_lo_apply(ptx_lo_emit1(l, IR_OP_FMA, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), type), 3, s),
		     fl);
}

void ptx_lower_mad(struct ptx_lower *l, enum ir_op op)
{
	enum half half = take_half(l);
	bool out = ptx_lo_mod(l, PTX_MOD_CC);
	struct ptx_lo_flags fl;
	struct ir_operand s[3];
	uint8_t type;

	if (!ptx_lo_count(l, 4, 4))
		return;
	ptx_lo_flags(l, &fl);
	type = ptx_lo_type(l);
	if (op == IR_OP_FMA || (op == IR_OP_MAD && ptx_lo_is_float(type))) {
		if (!ptx_lo_is_float(type) || half != HALF_NONE || out)
			ptx_lo_fail(l, "bad modifiers");
		else
			mad_float(l, type, &fl);
	} else if (op == IR_OP_MADC_LO || out) {
		mad_carry(l, half, type, op == IR_OP_MADC_LO, out);
	} else if (half == HALF_WIDE) {
		uint8_t wide = twice(l, type);

		s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
		s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 2), type);
		s[2] = ptx_lo_src(l, ptx_lo_opnd(l, 3), wide);
		ptx_lo_emit1(l, IR_OP_MAD_WIDE, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), wide), 3, s);
	} else if (half == HALF_NONE) {
		ptx_lo_fail(l, ".lo, .hi or .wide is missing");
	} else {
		ptx_lo_apply(same_type(l, half == HALF_HI ? IR_OP_MAD_HI : IR_OP_MAD, type, 3),
			     &fl);
	}
}

void ptx_lower_mul24(struct ptx_lower *l, enum ir_op op)
{
	bool mad = op == IR_OP_MAD24_LO;
	enum half half = take_half(l);
	struct ptx_lo_flags fl;
	uint8_t type;

	if (!ptx_lo_count(l, mad ? 4 : 3, mad ? 4 : 3))
		return;
	ptx_lo_flags(l, &fl);
	type = ptx_lo_type(l);
	if (half != HALF_LO && half != HALF_HI) {
		ptx_lo_fail(l, ".lo or .hi is missing");
		return;
	}
	if (half == HALF_HI)
		op = mad ? IR_OP_MAD24_HI : IR_OP_MUL24_HI;
	ptx_lo_apply(same_type(l, op, type, mad ? 3 : 2), &fl);
}

void ptx_lower_sad(struct ptx_lower *l, enum ir_op op)
{
	if (ptx_lo_count(l, 4, 4))
		same_type(l, IR_OP_SAD, ptx_lo_type(l), 3);
}

void ptx_lower_div(struct ptx_lower *l, enum ir_op op)
{
	struct ptx_lo_flags fl;

	if (!ptx_lo_count(l, 3, 3))
		return;
	ptx_lo_flags(l, &fl);
	ptx_lo_apply(same_type(l, IR_OP_DIV, ptx_lo_type(l), 2), &fl);
}

void ptx_lower_rem(struct ptx_lower *l, enum ir_op op)
{
	if (ptx_lo_count(l, 3, 3))
		same_type(l, IR_OP_REM, ptx_lo_type(l), 2);
}

/* The three-input form's .abs takes the magnitude of every input first. */
static void minmax3(struct ptx_lower *l, enum ir_op op, uint8_t type, const struct ptx_lo_flags *fl)
{
	struct ir_operand s[3];
	struct ir_inst *i;

	for (uint32_t k = 0; k < 3; k++) {
		s[k] = ptx_lo_src(l, ptx_lo_opnd(l, 1 + k), type);
		if (fl->abs) {
			struct ir_operand a = s[k];

			s[k] = ptx_lo_temp(l, type);
			ptx_lo_emit1(l, IR_OP_ABS, type, s[k], 1, &a);
		}
	}
	i = ptx_lo_emit1(l, op, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), type), 3, s);
	ptx_lo_apply(i, fl);
}

void ptx_lower_minmax(struct ptx_lower *l, enum ir_op op)
{
	struct ptx_lo_flags fl;
	uint8_t type;

	if (!ptx_lo_count(l, 3, 4))
		return;
	ptx_lo_flags(l, &fl);
	type = ptx_lo_type(l);
	if (l->in->nopnds == 4)
		minmax3(l, op == IR_OP_MIN ? IR_OP_MIN3 : IR_OP_MAX3, type, &fl);
	else if (fl.abs != fl.xorsign)
		ptx_lo_fail(l, ".xorsign and .abs go together");
	else
		ptx_lo_apply(same_type(l, op, type, 2), &fl);
}

void ptx_lower_copysign(struct ptx_lower *l, enum ir_op op)
{
	if (ptx_lo_count(l, 3, 3))
		same_type(l, IR_OP_COPYSIGN, ptx_lo_type(l), 2);
}

void ptx_lower_testp(struct ptx_lower *l, enum ir_op op)
{
	static const uint16_t words[] = { PTX_MOD_FINITE,     PTX_MOD_INFINITE, PTX_MOD_NUMBER,
					  PTX_MOD_NOTANUMBER, PTX_MOD_NORMAL,	PTX_MOD_SUBNORMAL };
	struct ir_operand a;
	struct ir_inst *i;
	uint8_t sub, type;

	if (!ptx_lo_count(l, 2, 2))
		return;
	for (sub = 0; sub < 6; sub++)
		if (ptx_lo_mod(l, (enum ptx_mod)words[sub]))
			break;
	type = ptx_lo_type(l);
	if (sub == 6) {
		ptx_lo_fail(l, "the property to test is missing");
		return;
	}
	a = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
	i = ptx_lo_emit1(l, IR_OP_TESTP, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_PRED), 1, &a);
	i->sub = sub;
}

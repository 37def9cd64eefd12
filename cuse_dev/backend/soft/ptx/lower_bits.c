/* SPDX-License-Identifier: MIT */
/* lower_bits.c - logic, shifts, bit fields, bytes (ISA 9.7.1, 9.7.8, 9.7.9.7). */
#include "cuse_dev/backend/soft/ptx/lower.h"

/* d of @dt = op(sources of types st[]) */
static struct ir_inst *typed(struct ptx_lower *l, enum ir_op op, uint8_t type, uint8_t dt,
			     uint32_t n, const uint8_t *st)
{
	struct ir_operand s[5];

	for (uint32_t i = 0; i < n; i++)
		s[i] = ptx_lo_src(l, ptx_lo_opnd(l, 1 + i), st[i]);
	return ptx_lo_emit1(l, op, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), dt), n, s);
}

void ptx_lower_logic(struct ptx_lower *l, enum ir_op op)
{
	uint8_t t;

	if (!ptx_lo_count(l, 3, 3))
		return;
	t = ptx_lo_type(l);
	typed(l, op, t, t, 2, (uint8_t[]){ t, t });
}

void ptx_lower_shift(struct ptx_lower *l, enum ir_op op)
{
	uint8_t t;

	if (!ptx_lo_count(l, 3, 3))
		return;
	t = ptx_lo_type(l);
	typed(l, op, t, t, 2, (uint8_t[]){ t, IR_U32 });
}

static bool wrap_or_clamp(struct ptx_lower *l, uint8_t *ret_sub)
{
	if (ptx_lo_mod(l, PTX_MOD_WRAP)) {
		*ret_sub = 1;
		return true;
	}
	*ret_sub = 0;
	if (ptx_lo_mod(l, PTX_MOD_CLAMP))
		return true;
	ptx_lo_fail(l, ".clamp or .wrap is missing");
	return false;
}

void ptx_lower_shf(struct ptx_lower *l, enum ir_op op)
{
	bool left = ptx_lo_mod(l, PTX_MOD_L), right = ptx_lo_mod(l, PTX_MOD_R);
	uint8_t sub, t;

	if (!ptx_lo_count(l, 4, 4) || !wrap_or_clamp(l, &sub))
		return;
	if (left == right) {
		ptx_lo_fail(l, ".l or .r is missing");
		return;
	}
	t = ptx_lo_type(l);
	typed(l, left ? IR_OP_SHF_L : IR_OP_SHF_R, t, t, 3, (uint8_t[]){ t, t, IR_U32 })->sub = sub;
}

void ptx_lower_bfe(struct ptx_lower *l, enum ir_op op)
{
	uint8_t t;

	if (!ptx_lo_count(l, 4, 4))
		return;
	t = ptx_lo_type(l);
	typed(l, IR_OP_BFE, t, t, 3, (uint8_t[]){ t, IR_U32, IR_U32 });
}

void ptx_lower_bfi(struct ptx_lower *l, enum ir_op op)
{
	uint8_t t;

	if (!ptx_lo_count(l, 5, 5))
		return;
	t = ptx_lo_type(l);
	typed(l, IR_OP_BFI, t, t, 4, (uint8_t[]){ t, t, IR_U32, IR_U32 });
}

void ptx_lower_bfind(struct ptx_lower *l, enum ir_op op)
{
	uint8_t sub = ptx_lo_mod(l, PTX_MOD_SHIFTAMT), t;

	if (!ptx_lo_count(l, 2, 2))
		return;
	t = ptx_lo_type(l);
	typed(l, IR_OP_BFIND, t, IR_U32, 1, &t)->sub = sub;
}

/* popc, clz: the result has 32 bits */
void ptx_lower_count(struct ptx_lower *l, enum ir_op op)
{
	uint8_t t;

	if (!ptx_lo_count(l, 2, 2))
		return;
	t = ptx_lo_type(l);
	typed(l, op, t, IR_U32, 1, &t);
}

/* szext, bmsk: .clamp or .wrap and two sources */
void ptx_lower_modal2(struct ptx_lower *l, enum ir_op op)
{
	uint8_t sub, t;

	if (!ptx_lo_count(l, 3, 3) || !wrap_or_clamp(l, &sub))
		return;
	t = ptx_lo_type(l);
	typed(l, op, t, t, 2, (uint8_t[]){ t, IR_U32 })->sub = sub;
}

void ptx_lower_fns(struct ptx_lower *l, enum ir_op op)
{
	if (!ptx_lo_count(l, 4, 4))
		return;
	ptx_lo_type(l);
	typed(l, IR_OP_FNS, IR_U32, IR_U32, 3, (uint8_t[]){ IR_U32, IR_U32, IR_U32 });
}

void ptx_lower_prmt(struct ptx_lower *l, enum ir_op op)
{
	static const uint16_t words[] = { PTX_MOD_F4E, PTX_MOD_B4E, PTX_MOD_RC8,
					  PTX_MOD_ECL, PTX_MOD_ECR, PTX_MOD_RC16 };
	uint8_t sub = IR_PRMT_DEFAULT;

	if (!ptx_lo_count(l, 4, 4))
		return;
	ptx_lo_type(l);
	for (uint8_t i = 0; i < 6; i++)
		if (ptx_lo_mod(l, (enum ptx_mod)words[i]))
			sub = (uint8_t)(IR_PRMT_F4E + i);
	typed(l, IR_OP_PRMT, IR_U32, IR_U32, 3, (uint8_t[]){ IR_U32, IR_U32, IR_U32 })->sub = sub;
}

void ptx_lower_dp(struct ptx_lower *l, enum ir_op op)
{
	bool two = l->in->op == PTX_OP_DP2A;
	uint8_t a, b, c, sub = 0;
	struct ir_inst *i;

	if (!ptx_lo_count(l, 4, 4))
		return;
	if (two) {
		sub = ptx_lo_mod(l, PTX_MOD_HI);
		if (!sub && !ptx_lo_mod(l, PTX_MOD_LO)) {
			ptx_lo_fail(l, ".lo or .hi is missing");
			return;
		}
	}
	a = ptx_lo_type(l);
	b = ptx_lo_type(l);
	c = ptx_lo_is_signed(a) || ptx_lo_is_signed(b) ? IR_S32 : IR_U32;
	i = typed(l, two ? IR_OP_DP2A : IR_OP_DP4A, a, c, 3, (uint8_t[]){ a, b, c });
	i->type2 = b;
	i->sub = sub;
}

static bool take_bool(struct ptx_lower *l, uint8_t *ret_bool)
{
	*ret_bool = IR_BOOL_NONE;
	if (ptx_lo_mod(l, PTX_MOD_AND))
		*ret_bool = IR_BOOL_AND;
	else if (ptx_lo_mod(l, PTX_MOD_OR))
		*ret_bool = IR_BOOL_OR;
	else if (ptx_lo_mod(l, PTX_MOD_XOR))
		*ret_bool = IR_BOOL_XOR;
	return *ret_bool != IR_BOOL_NONE;
}

void ptx_lower_lop3(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand d[2], s[5];
	uint8_t b, t;
	bool with_bool = take_bool(l, &b);
	struct ir_inst *i;

	if (!ptx_lo_count(l, with_bool ? 6 : 5, with_bool ? 6 : 5))
		return;
	t = ptx_lo_type(l);
	for (uint32_t k = 0; k < 3; k++)
		s[k] = ptx_lo_src(l, ptx_lo_opnd(l, 1 + k), t);
	s[3] = ptx_lo_src(l, ptx_lo_opnd(l, 4), IR_U32);
	if (s[3].kind != IR_OPND_IMM || s[3].imm > 255) {
		ptx_lo_fail(l, "the table must be an immediate of 8 bits");
		return;
	}
	if (!with_bool) {
		ptx_lo_emit1(l, IR_OP_LOP3, t, ptx_lo_dst(l, ptx_lo_opnd(l, 0), t), 4, s);
		return;
	}
	s[4] = ptx_lo_pred(l, ptx_lo_opnd(l, 5));
	ptx_lo_dst_pair(l, ptx_lo_opnd(l, 0), t, IR_PRED, &d[0], &d[1]);
	i = ptx_lo_emit(l, IR_OP_LOP3P, t, 2, d, 5, s);
	i->boolop = b;
}

/* ---- compare and select (9.7.6, 9.7.7) ------------------------------------------------------- */

struct compare {
	uint8_t cmp, boolop;
	bool ftz;
};

static bool take_compare(struct ptx_lower *l, struct compare *c)
{
	if (!ptx_lo_kind(l, PTX_KIND_CMP, &c->cmp)) {
		/* ".hi" is listed as a half */
		if (!ptx_lo_mod(l, PTX_MOD_HI)) {
			ptx_lo_fail(l, "the comparison is missing");
			return false;
		}
		c->cmp = IR_GT;
	}
	take_bool(l, &c->boolop);
	c->ftz = ptx_lo_mod(l, PTX_MOD_FTZ);
	return true;
}

void ptx_lower_setp(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand d[2], s[3];
	struct compare c;
	struct ir_inst *i;
	uint8_t t;

	if (!take_compare(l, &c) || !ptx_lo_count(l, c.boolop ? 4 : 3, c.boolop ? 4 : 3))
		return;
	t = ptx_lo_type(l);
	s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 1), t);
	s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 2), t);
	s[2] = c.boolop ? ptx_lo_pred(l, ptx_lo_opnd(l, 3)) : ptx_lo_none();
	ptx_lo_dst_pair(l, ptx_lo_opnd(l, 0), IR_PRED, IR_PRED, &d[0], &d[1]);
	i = ptx_lo_emit(l, IR_OP_SETP, t, 2, d, 3, s);
	i->cmp = c.cmp;
	i->boolop = c.boolop;
	i->ftz = c.ftz;
}

void ptx_lower_set(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand s[3];
	struct compare c;
	struct ir_inst *i;
	uint8_t to, from;

	if (!take_compare(l, &c) || !ptx_lo_count(l, c.boolop ? 4 : 3, c.boolop ? 4 : 3))
		return;
	to = ptx_lo_type(l);
	from = ptx_lo_type(l);
	s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 1), from);
	s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 2), from);
	s[2] = c.boolop ? ptx_lo_pred(l, ptx_lo_opnd(l, 3)) : ptx_lo_none();
	i = ptx_lo_emit1(l, IR_OP_SET, to, ptx_lo_dst(l, ptx_lo_opnd(l, 0), to), 3, s);
	i->type2 = from;
	i->cmp = c.cmp;
	i->boolop = c.boolop;
	i->ftz = c.ftz;
}

void ptx_lower_selp(struct ptx_lower *l, enum ir_op op)
{
	uint8_t t;

	if (!ptx_lo_count(l, 4, 4))
		return;
	t = ptx_lo_type(l);
	typed(l, IR_OP_SELP, t, t, 3, (uint8_t[]){ t, t, IR_PRED });
}

void ptx_lower_slct(struct ptx_lower *l, enum ir_op op)
{
	bool ftz = ptx_lo_mod(l, PTX_MOD_FTZ);
	struct ir_inst *i;
	uint8_t t, c;

	if (!ptx_lo_count(l, 4, 4))
		return;
	t = ptx_lo_type(l);
	c = ptx_lo_type(l);
	i = typed(l, IR_OP_SLCT, t, t, 3, (uint8_t[]){ t, t, c });
	i->type2 = c;
	i->ftz = ftz;
}

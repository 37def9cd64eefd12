/* SPDX-License-Identifier: MIT */
/*
 * decode_compute.c - arithmetic, comparisons and predicates: one vector handler, or a short row of them.
 */
#include "cuse_dev/backend/soft/interp/decode.h"

static void decode_fast(struct dec *d, const struct fast *f, int32_t dst)
{
	uint32_t ns = f->kind == FAST_UN ? 1 : f->kind == FAST_TER ? 3 : 2;
	uint32_t order[3] = { 0, 1, 2 }, bits[3] = { f->abits, f->bbits, f->cbits };
	int32_t off[3] = { NO_REG, NO_REG, NO_REG };
	int imm = -1;
	struct interp_inst *p;

	if (f->comm && src(d, 0)->kind == IR_OPND_IMM) {
		order[0] = 1;
		order[1] = 0;
	}
	if (f->imm && src(d, order[ns - 1])->kind == IR_OPND_IMM)
		imm = (int)ns - 1;
	else if (f->kind == FAST_TER && src(d, 1)->kind == IR_OPND_IMM)
		imm = 1;
	for (uint32_t i = 0; i < ns; i++)
		if ((int)i != imm)
			off[i] = decode_vec_src(d, order[i], bits[i]);
	p = emit_vec(d, f->h + (imm < 0 ? 0u : imm == (int)ns - 1 ? 1u : 2u));
	if (!p)
		return;
	p->d = dst;
	p->a = off[0];
	p->b = off[1];
	p->c = off[2];
	if (imm >= 0)
		p->imm = src(d, order[imm])->imm;
}

/* p, q = cmp(a, b) boolop c */
static bool decode_setp(struct dec *d)
{
	static const uint16_t ops[] = {
		[IR_BOOL_AND] = VEC_X_pand, [IR_BOOL_OR] = VEC_X_por, [IR_BOOL_XOR] = VEC_X_pxor
	};
	const struct ir_inst *in = d->in;
	struct ir_inst plain = *in;
	bool combined = in->boolop != IR_BOOL_NONE && src(d, 2)->kind != IR_OPND_NONE;
	const struct fast *f;
	int32_t p = dst_off(d, 0), q = dst_off(d, 1), raw, other, c = NO_REG;

	/* ftz only matters for subnormals: leave those to the exact path. */
	plain.sat = false;
	f = in->boolop <= IR_BOOL_XOR ? decode_fast_find(&plain) : NULL;
	if (!f)
		return false;
	if (!combined && q == NO_REG) {
		if (p != NO_REG)
			decode_fast(d, f, p);
		return true;
	}
	raw = decode_temp_pred(d);
	decode_fast(d, f, raw);
	if (combined)
		c = decode_pred_src(d, 2);
	if (q != NO_REG) {
		other = decode_temp_pred(d);
		decode_emit_pred(d, VEC_X_pnot, other, raw, NO_REG);
		if (combined)
			decode_emit_pred(d, ops[in->boolop], other, other, c);
		if (combined && p != NO_REG)
			decode_emit_pred(d, ops[in->boolop], raw, raw, c);
		decode_emit_pred(d, VEC_X_pmov, q, other, NO_REG);
		if (p != NO_REG)
			decode_emit_pred(d, VEC_X_pmov, p, raw, NO_REG);
	} else if (p != NO_REG) {
		decode_emit_pred(d, ops[in->boolop], p, raw, c);
	}
	return true;
}

static bool decode_pred_op(struct dec *d)
{
	uint32_t h;

	switch (d->in->op) {
	case IR_OP_MOV:
		h = VEC_X_pmov;
		break;
	case IR_OP_NOT:
		h = VEC_X_pnot;
		break;
	case IR_OP_AND:
		h = VEC_X_pand;
		break;
	case IR_OP_OR:
		h = VEC_X_por;
		break;
	case IR_OP_XOR:
		h = VEC_X_pxor;
		break;
	default:
		return false;
	}
	if (dst_off(d, 0) != NO_REG) {
		int32_t a = decode_pred_src(d, 0),
			b = d->in->ns > 1 ? decode_pred_src(d, 1) : NO_REG;

		decode_emit_pred(d, h, dst_off(d, 0), a, b);
	}
	return true;
}

static bool decode_selp(struct dec *d)
{
	uint32_t bits = ir_type_bits(d->in->type);
	struct interp_inst *p;
	int32_t a, b, c;

	if (bits != 16 && bits != 32 && bits != 64)
		return false;
	a = decode_vec_src(d, 0, bits);
	b = decode_vec_src(d, 1, bits);
	c = decode_pred_src(d, 2);
	p = emit_vec(d, bits == 16 ? VEC_X_selp_16 : bits == 32 ? VEC_X_selp_32 : VEC_X_selp_64);
	if (p) {
		p->d = dst_off(d, 0);
		p->a = a;
		p->b = b;
		p->c = c;
	}
	return true;
}

static bool decode_lop3(struct dec *d)
{
	struct interp_inst *p;
	int32_t s[3];

	if (ir_type_bits(d->in->type) != 32 || src(d, 3)->kind != IR_OPND_IMM)
		return false;
	for (uint32_t i = 0; i < 3; i++)
		s[i] = decode_vec_src(d, i, 32);
	p = emit_vec(d, VEC_X_lop3);
	if (p) {
		p->d = dst_off(d, 0);
		p->a = s[0];
		p->b = s[1];
		p->c = s[2];
		p->imm = src(d, 3)->imm;
	}
	return true;
}

static bool decode_pack(struct dec *d)
{
	uint32_t bits = ir_type_bits(d->in->type);
	struct interp_inst *p;
	int32_t a, b;

	if (d->in->op == IR_OP_PACK) {
		if (d->in->ns != 2 || (bits != 64 && bits != 32))
			return false;
		a = decode_vec_src(d, 0, bits / 2);
		b = decode_vec_src(d, 1, bits / 2);
		p = emit_vec(d, bits == 64 ? VEC_X_pack_32 : VEC_X_pack_16);
		if (p) {
			p->d = dst_off(d, 0);
			p->a = a;
			p->b = b;
		}
		return true;
	}
	if (d->in->nd != 2 || (bits != 64 && bits != 32))
		return false;
	a = decode_vec_src(d, 0, bits);
	for (uint32_t i = 0; i < 2; i++) {
		if (dst_off(d, i) == NO_REG)
			continue;
		p = emit_vec(d, bits == 64 ? VEC_X_unpack_32 : VEC_X_unpack_16);
		if (p) {
			p->d = dst_off(d, i);
			p->a = a;
			p->imm = i * bits / 2;
		}
	}
	return true;
}

static bool decode_bfi(struct dec *d)
{
	struct interp_inst *p;
	int32_t s[4];

	if (ir_type_bits(d->in->type) != 32)
		return false;
	for (uint32_t i = 0; i < 4; i++)
		s[i] = decode_vec_src(d, i, 32);
	p = emit_vec(d, VEC_X_bfi_32);
	if (p) {
		p->d = dst_off(d, 0);
		p->a = s[0];
		p->b = s[1];
		p->c = s[2];
		p->e = s[3];
	}
	return true;
}

/* madc multiplies into a temporary; signs only matter there. */
static bool decode_carry(struct dec *d)
{
	const struct ir_inst *in = d->in;
	bool mad = in->op == IR_OP_MADC_LO || in->op == IR_OP_MADC_HI,
	     wide = ir_type_bits(in->type) == 64;
	bool sign = ir_type_signed(in->type);
	uint32_t bits = wide ? 64 : 32, h;
	struct interp_inst *p;
	int32_t a, b, c, dst = dst_off(d, 0);

	if (ir_type_bits(in->type) != bits || in->sat)
		return false;
	a = decode_vec_src(d, 0, bits);
	b = decode_vec_src(d, 1, bits);
	if (mad) {
		if (in->op == IR_OP_MADC_LO)
			h = wide ? VEC_mul_u64 : VEC_mul_u32;
		else if (wide)
			h = sign ? VEC_mulh_s64 : VEC_mulh_u64;
		else
			h = sign ? VEC_mulh_s32 : VEC_mulh_u32;
		p = emit_vec(d, h);
		if (!p)
			return true;
		p->d = decode_temp_vec(d);
		p->a = a;
		p->b = b;
		a = p->d;
		b = decode_vec_src(d, 2, bits);
	}
	c = decode_pred_src(d, mad ? 3 : 2);
	if (dst == NO_REG)
		dst = decode_temp_vec(d);
	if (in->op == IR_OP_SUBC)
		h = wide ? VEC_X_subc_64 : VEC_X_subc_32;
	else
		h = wide ? VEC_X_addc_64 : VEC_X_addc_32;
	p = emit_vec(d, h);
	if (p) {
		p->d = dst;
		p->e = dst_off(d, 1);
		p->a = a;
		p->b = b;
		p->c = c;
	}
	return true;
}

bool decode_compute(struct dec *d)
{
	const struct ir_inst *in = d->in;
	const struct fast *f;

	if (in->op == IR_OP_SETP)
		return decode_setp(d);
	if (in->nd == 1 && dst_off(d, 0) == NO_REG && in->op <= IR_OP_CVT_PACK)
		return true; /* nothing to compute */
	if (in->type == IR_PRED)
		return decode_pred_op(d);
	switch (in->op) {
	case IR_OP_SELP:
		return decode_selp(d);
	case IR_OP_LOP3:
		return decode_lop3(d);
	case IR_OP_BFI:
		return decode_bfi(d);
	case IR_OP_ADDC:
	case IR_OP_SUBC:
	case IR_OP_MADC_LO:
	case IR_OP_MADC_HI:
		return decode_carry(d);
	case IR_OP_PACK:
	case IR_OP_UNPACK:
		return decode_pack(d);
	case IR_OP_MOV:
		if (src(d, 0)->kind == IR_OPND_IMM && ir_type_bits(in->type) <= 64) {
			decode_emit_bcast(d, dst_off(d, 0), reg_bits(d, in->opnd[0].reg),
					  src(d, 0)->imm);
			return true;
		}
		break;
	default:
		break;
	}
	f = decode_fast_find(in);
	if (!f || (in->op == IR_OP_CVT && in->ns != (f->kind == FAST_UN ? 1 : 2)))
		return false;
	decode_fast(d, f, dst_off(d, 0));
	return true;
}

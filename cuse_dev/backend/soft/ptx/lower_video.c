/* SPDX-License-Identifier: MIT */
/*
 * lower_video.c - video instructions (ISA 9.7.19, 9.7.20), spelt out in ordinary IR
 *
 *	vadd.s32.u32.s32.sat.add d, a.b0, b.h1, c:
 *	t = (s64)byte 0 of a + (s64)upper half of b; t clamped to s32; d = t + c
 *
 * Everything before the clamp is done in 64 bits, which no 32-bit operation leaves. vmad, vavrg and
 * the lane selectors of the SIMD forms are refused.
 */
#include "cuse_dev/backend/soft/ptx/lower.h"

#include <string.h>

#define IMM(v) ptx_lo_imm((uint64_t)(int64_t)(v))

struct part {
	uint32_t pos, len;
};

static struct ir_operand op2(struct ptx_lower *l, enum ir_op op, uint8_t type, struct ir_operand a,
			     struct ir_operand b)
{
	struct ir_operand s[2] = { a, b }, d = ptx_lo_temp(l, type);

	ptx_lo_emit1(l, op, type, d, 2, s);
	return d;
}

/* ".b2" or ".h1", or the whole word. */
static bool selected(struct ptx_lower *l, const char *sel, struct part *ret_part)
{
	*ret_part = (struct part){ 0, 32 };
	if (!sel[0])
		return true;
	if (sel[0] == 'b' && sel[1] >= '0' && sel[1] <= '3' && !sel[2])
		*ret_part = (struct part){ 8u * (uint32_t)(sel[1] - '0'), 8 };
	else if (sel[0] == 'h' && sel[1] >= '0' && sel[1] <= '1' && !sel[2])
		*ret_part = (struct part){ 16u * (uint32_t)(sel[1] - '0'), 16 };
	else
		ptx_lo_fail(l, "bad selector '.%s'", sel);
	return !l->err->code;
}

/* A part of a word as a number of 64 bits. */
static struct ir_operand extract(struct ptx_lower *l, struct ir_operand word, struct part p,
				 bool is_signed)
{
	uint8_t type = is_signed ? IR_S32 : IR_U32;
	struct ir_operand s[3] = { word, ptx_lo_imm(p.pos), ptx_lo_imm(p.len) }, t = word, d;

	if (p.len < 32) {
		t = ptx_lo_temp(l, type);
		ptx_lo_emit1(l, IR_OP_BFE, type, t, 3, s);
	}
	d = ptx_lo_temp(l, IR_S64);
	ptx_lo_emit1(l, IR_OP_CVT, IR_S64, d, 1, &t)->type2 = type;
	return d;
}

static struct ir_operand source_part(struct ptx_lower *l, uint32_t i, uint8_t type)
{
	struct ptx_opnd o = *ptx_lo_opnd(l, i);
	struct part p;

	if (!selected(l, o.sel, &p))
		return ptx_lo_imm(0);
	o.sel[0] = 0;
	return extract(l, ptx_lo_src(l, &o, IR_U32), p, ptx_lo_is_signed(type));
}

static struct ir_operand clamp(struct ptx_lower *l, struct ir_operand v, uint32_t bits,
			       bool is_signed)
{
	int64_t lo = is_signed ? -(1ll << (bits - 1)) : 0;
	int64_t hi = is_signed ? (1ll << (bits - 1)) - 1 : (1ll << bits) - 1;

	return op2(l, IR_OP_MIN, IR_S64, op2(l, IR_OP_MAX, IR_S64, v, IMM(lo)), IMM(hi));
}

static struct ir_operand low_word(struct ptx_lower *l, struct ir_operand v)
{
	struct ir_operand d = ptx_lo_temp(l, IR_U32);

	ptx_lo_emit1(l, IR_OP_CVT, IR_U32, d, 1, &v)->type2 = IR_U64;
	return d;
}

static struct ir_operand absolute_difference(struct ptx_lower *l, struct ir_operand a,
					     struct ir_operand b)
{
	struct ir_operand t = op2(l, IR_OP_SUB, IR_S64, a, b), d = ptx_lo_temp(l, IR_S64);

	ptx_lo_emit1(l, IR_OP_ABS, IR_S64, d, 1, &t);
	return d;
}

static struct ir_operand shift(struct ptx_lower *l, enum ir_op op, struct ir_operand a,
			       struct ir_operand b)
{
	struct ir_operand n;

	if (ptx_lo_mod(l, PTX_MOD_WRAP))
		b = op2(l, IR_OP_AND, IR_U64, b, IMM(31));
	else if (ptx_lo_mod(l, PTX_MOD_CLAMP))
		b = op2(l, IR_OP_MIN, IR_U64, b, IMM(32));
	else
		ptx_lo_fail(l, ".clamp or .wrap is missing");
	n = low_word(l, b);
	return op2(l, op, IR_S64, a, n);
}

static struct ir_operand compared(struct ptx_lower *l, struct ir_operand a, struct ir_operand b)
{
	struct ir_operand d[2] = { ptx_lo_temp(l, IR_PRED) }, s[3] = { a, b };
	struct ir_operand v[3] = { IMM(1), IMM(0) }, r = ptx_lo_temp(l, IR_S64);
	struct ir_inst *i;
	uint8_t cmp;

	if (!ptx_lo_kind(l, PTX_KIND_CMP, &cmp))
		ptx_lo_fail(l, "the comparison is missing");
	i = ptx_lo_emit(l, IR_OP_SETP, IR_S64, 2, d, 3, s);
	i->cmp = l->err->code ? 0 : cmp;
	v[2] = d[0];
	ptx_lo_emit1(l, IR_OP_SELP, IR_S64, r, 3, v);
	return r;
}

static struct ir_operand combine(struct ptx_lower *l, struct ir_operand a, struct ir_operand b)
{
	switch (l->in->op) {
	case PTX_OP_VADD:
	case PTX_OP_VADD2:
	case PTX_OP_VADD4:
		return op2(l, IR_OP_ADD, IR_S64, a, b);
	case PTX_OP_VSUB:
	case PTX_OP_VSUB2:
	case PTX_OP_VSUB4:
		return op2(l, IR_OP_SUB, IR_S64, a, b);
	case PTX_OP_VABSDIFF:
	case PTX_OP_VABSDIFF2:
	case PTX_OP_VABSDIFF4:
		return absolute_difference(l, a, b);
	case PTX_OP_VMIN:
	case PTX_OP_VMIN2:
	case PTX_OP_VMIN4:
		return op2(l, IR_OP_MIN, IR_S64, a, b);
	case PTX_OP_VMAX:
	case PTX_OP_VMAX2:
	case PTX_OP_VMAX4:
		return op2(l, IR_OP_MAX, IR_S64, a, b);
	case PTX_OP_VSHL:
		return shift(l, IR_OP_SHL, a, b);
	case PTX_OP_VSHR:
		return shift(l, IR_OP_SHR, a, b);
	default:
		return compared(l, a, b);
	}
}

/* The scalar forms: a second operation with c, or a merge into a part of it. */
static void finish(struct ptx_lower *l, struct ir_operand t, uint8_t type, struct part part)
{
	struct ptx_opnd to = *ptx_lo_opnd(l, 0);
	enum ir_op second = IR_OP_NONE;
	struct ir_operand d, s[4];

	to.sel[0] = 0;
	d = ptx_lo_dst(l, &to, IR_U32);
	if (ptx_lo_mod(l, PTX_MOD_ADD))
		second = IR_OP_ADD;
	else if (ptx_lo_mod(l, PTX_MOD_MIN))
		second = IR_OP_MIN;
	else if (ptx_lo_mod(l, PTX_MOD_MAX))
		second = IR_OP_MAX;
	s[0] = t;
	if (part.len < 32) {
		s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 3), IR_U32);
		s[2] = ptx_lo_imm(part.pos);
		s[3] = ptx_lo_imm(part.len);
		ptx_lo_emit1(l, IR_OP_BFI, IR_U32, d, 4, s);
	} else if (second) {
		s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 3), IR_U32);
		ptx_lo_emit1(l, second, type, d, 2, s);
	} else {
		ptx_lo_emit1(l, IR_OP_MOV, IR_U32, d, 1, s);
	}
}

void ptx_lower_video(struct ptx_lower *l, enum ir_op op)
{
	bool set = l->in->op == PTX_OP_VSET, sat = ptx_lo_mod(l, PTX_MOD_SAT);
	struct ir_operand a, b, t;
	uint8_t to = IR_U32, at, bt;
	struct part part;

	if (l->in->op == PTX_OP_VMAD) {
		ptx_lo_refuse(l);
		return;
	}
	if (!ptx_lo_count(l, 3, 4) || !selected(l, ptx_lo_opnd(l, 0)->sel, &part))
		return;
	if (!set)
		to = ptx_lo_type(l);
	at = ptx_lo_type(l);
	bt = ptx_lo_type(l);
	a = source_part(l, 1, at);
	b = source_part(l, 2, bt);
	t = combine(l, a, b);
	if (sat)
		t = clamp(l, t, part.len, ptx_lo_is_signed(to));
	if (!l->err->code)
		finish(l, low_word(l, t), to, part);
}

static bool has_selectors(const struct ptx_lower *l)
{
	for (uint32_t i = 0; i < l->in->nopnds; i++)
		if (l->in->opnds[i].sel[0])
			return true;
	return false;
}

/* Two or four lanes of one word; with .add the lanes' results and c are summed. */
void ptx_lower_video_simd(struct ptx_lower *l, enum ir_op op)
{
	const char *name = ptx_op_text(l->in->op);
	uint32_t lanes = name[strlen(name) - 1] == '2' ? 2 : 4, bits = 32 / lanes;
	bool sat = ptx_lo_mod(l, PTX_MOD_SAT), add = ptx_lo_mod(l, PTX_MOD_ADD);
	struct ir_operand a, b, r;
	uint8_t to, at, bt;

	if (!strncmp(name, "vset", 4) || !strncmp(name, "vavrg", 5) || has_selectors(l)) {
		ptx_lo_refuse(l);
		return;
	}
	if (!ptx_lo_count(l, 3, 4))
		return;
	to = ptx_lo_type(l);
	at = ptx_lo_type(l);
	bt = ptx_lo_type(l);
	a = ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U32);
	b = ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U32);
	r = add && l->in->nopnds == 4 ? ptx_lo_src(l, ptx_lo_opnd(l, 3), IR_U32) : ptx_lo_imm(0);
	for (uint32_t i = 0; i < lanes; i++) {
		struct part p = { i * bits, bits };
		struct ir_operand t = combine(l, extract(l, a, p, ptx_lo_is_signed(at)),
					      extract(l, b, p, ptx_lo_is_signed(bt)));
		struct ir_operand s[4];

		if (sat)
			t = clamp(l, t, bits, ptx_lo_is_signed(to));
		s[0] = low_word(l, t);
		s[1] = r;
		s[2] = ptx_lo_imm(p.pos);
		s[3] = ptx_lo_imm(p.len);
		r = ptx_lo_temp(l, IR_U32);
		ptx_lo_emit1(l, add ? IR_OP_ADD : IR_OP_BFI, IR_U32, r, add ? 2 : 4, s);
	}
	ptx_lo_emit1(l, IR_OP_MOV, IR_U32, ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_U32), 1, &r);
}

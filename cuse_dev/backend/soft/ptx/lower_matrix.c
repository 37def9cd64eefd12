/* SPDX-License-Identifier: MIT */
/*
 * lower_matrix.c - wmma and what moves matrices: ldmatrix, stmatrix, movmatrix (ISA 9.7.14).
 *
 * wmma.mma is an mma with more registers: its fragments are ours to lay out, and they are laid out as
 * those of mma are. Fragments of f16 have eight registers whatever the shape; the elements stand in
 * the first ones and again in the rest.
 */
#include "cuse_dev/backend/soft/ptx/matrix.h"

#define MEMBERS	     UINT32_MAX
#define WMMA_F16     8u /* registers of an A or B */
#define WMMA_LARGEST 16u

static uint32_t copies_of(uint16_t type, uint32_t regs)
{
	return type == IR_MAT_F16 && regs && regs < WMMA_F16 ? WMMA_F16 / regs : 1;
}

/* Types of wmma.mma: d c, or d a b c. */
static bool product_types(struct ptx_lower *l, struct ir_mma *x)
{
	uint16_t t[4];
	uint32_t n = 0;

	while (n < 4 && (t[n] = ptx_matrix_type(l)) != IR_MAT_NONE)
		n++;
	if (n != 2 && n != 4) {
		ptx_lo_fail(l, "two or four types are expected, not %u", n);
		return false;
	}
	x->d = t[0];
	x->a = n == 2 ? IR_MAT_F16 : t[1];
	x->b = n == 2 ? IR_MAT_F16 : t[2];
	x->c = t[n - 1];
	return true;
}

static void wmma_mma(struct ptx_lower *l)
{
	struct ir_operand d[WMMA_LARGEST], s[4 * WMMA_LARGEST] = { ptx_lo_imm(MEMBERS) };
	struct ir_mma x = { 0 };
	struct ir_mma_regs r;
	struct ir_inst *i;
	uint16_t col;
	uint8_t round = IR_RN;
	bool sat;

	/* How a matrix stood in memory is a matter of load and store. */
	if (!ptx_matrix_layout(l, &col) || !ptx_matrix_layout(l, &col)) {
		ptx_lo_fail(l, "the layout is missing");
		return;
	}
	if (!ptx_matrix_shape(l, &x) || !product_types(l, &x))
		return;
	ptx_matrix_bitop(l, &x);
	sat = ptx_lo_mod(l, PTX_MOD_SATFINITE);
	ptx_lo_kind(l, PTX_KIND_ROUND, &round);
	if (!ptx_lo_count(l, 4, 4) || !ptx_matrix_valid(l, IR_OP_MMA, &x, &r))
		return;
	if ((sat && x.d != IR_MAT_S32) || (round != IR_RN && x.d != IR_MAT_F64)) {
		ptx_lo_fail(l, "neither saturation nor rounding can be chosen for .%s",
			    ir_mat_text(x.d));
		return;
	}
	if (!ptx_matrix_regs(l, ptx_lo_opnd(l, 0), x.d, r.d, 1, true, d) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 1), x.a, r.a, copies_of(x.a, r.a), false, s + 1) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 2), x.b, r.b, copies_of(x.b, r.b), false,
			     s + 1 + r.a) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 3), x.c, r.c, 1, false, s + 1 + r.a + r.b))
		return;
	i = ptx_matrix_emit(l, IR_OP_MMA, &x, r.d, d, 1 + r.a + r.b + r.c, s);
	i->sat = sat;
	i->round = round;
}

/* Rows stand one after the other unless a stride is given. */
static struct ir_operand stride_of(struct ptx_lower *l, const struct ir_mma *x, uint32_t at)
{
	uint32_t rows = x->frag == IR_FRAG_B ? x->k : x->m;
	uint32_t cols = x->frag == IR_FRAG_A ? x->k : x->n;

	if (l->in->nopnds > at)
		return ptx_lo_src(l, ptx_lo_opnd(l, at), IR_U32);
	return ptx_lo_imm(x->acol ? rows : cols);
}

/* Which matrix a load or store is about, and of what. */
static bool take_fragment(struct ptx_lower *l, struct ir_mma *x)
{
	uint16_t type;

	x->frag = ptx_matrix_word(l, "a")   ? IR_FRAG_A
		  : ptx_matrix_word(l, "b") ? IR_FRAG_B
					    : IR_FRAG_C;
	if (x->frag == IR_FRAG_C && !ptx_matrix_word(l, "c") && !ptx_matrix_word(l, "d")) {
		ptx_lo_fail(l, ".a, .b, .c or .d is missing");
		return false;
	}
	if (!ptx_matrix_shape(l, x))
		return false;
	if (!ptx_matrix_layout(l, &x->acol)) {
		ptx_lo_fail(l, "the layout is missing");
		return false;
	}
	type = ptx_matrix_type(l);
	/* The accumulators of a shape say which products have it; any of those will do. */
	x->d = x->frag == IR_FRAG_C ? type : type == IR_MAT_F64 ? IR_MAT_F64 : IR_MAT_F32;
	x->a = x->frag != IR_FRAG_C ? type : IR_MAT_NONE;
	if (x->frag == IR_FRAG_C)
		x->a = x->k == 4	    ? IR_MAT_F64
		       : x->k == 8	    ? IR_MAT_TF32
		       : x->k == 32	    ? IR_MAT_S4
		       : x->k == 128	    ? IR_MAT_B1
		       : type == IR_MAT_S32 ? IR_MAT_S8
					    : IR_MAT_F16;
	else if (ir_mat_bits(type) <= 8)
		x->d = IR_MAT_S32;
	x->b = x->a;
	x->c = x->d;
	if (x->acol != (x->frag == IR_FRAG_B) && x->frag != IR_FRAG_C && ir_mat_bits(x->a) < 8) {
		ptx_lo_fail(l, "elements of less than a byte have .row for A and .col for B");
		return false;
	}
	return true;
}

static bool matrix_space(struct ptx_lower *l, uint32_t at, struct ptx_lo_addr *ret)
{
	uint8_t space = IR_SPACE_GENERIC;
	bool has = ptx_lo_kind(l, PTX_KIND_SPACE, &space);

	return ptx_lo_address(l, ptx_lo_opnd(l, at), has, space, ret);
}

static void wmma_load(struct ptx_lower *l)
{
	struct ir_operand d[WMMA_LARGEST], s[3] = { ptx_lo_imm(MEMBERS) };
	struct ir_mma x = { 0 };
	struct ir_mma_regs r;
	struct ptx_lo_addr at;
	struct ir_inst *i;

	if (!ptx_lo_count(l, 2, 3) || !take_fragment(l, &x) ||
	    !ptx_matrix_valid(l, IR_OP_WMMA_LD, &x, &r) || !matrix_space(l, 1, &at) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 0), x.frag == IR_FRAG_C ? x.d : x.a, r.d, 1, true,
			     d))
		return;
	s[1] = at.base;
	s[2] = stride_of(l, &x, 2);
	i = ptx_matrix_emit(l, IR_OP_WMMA_LD, &x, r.d, d, 3, s);
	i->space = at.space;
	i->offset = at.offset;
}

static void wmma_store(struct ptx_lower *l)
{
	struct ir_operand s[3 + WMMA_LARGEST] = { ptx_lo_imm(MEMBERS) };
	struct ir_mma x = { 0 };
	struct ir_mma_regs r;
	struct ptx_lo_addr at;
	struct ir_inst *i;

	if (!ptx_lo_count(l, 2, 3) || !take_fragment(l, &x) ||
	    !ptx_matrix_valid(l, IR_OP_WMMA_ST, &x, &r) || !matrix_space(l, 0, &at) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 1), x.d, r.d, 1, false, s + 3))
		return;
	if (x.frag != IR_FRAG_C) {
		ptx_lo_fail(l, "only .d can be stored");
		return;
	}
	s[1] = at.base;
	s[2] = stride_of(l, &x, 2);
	i = ptx_matrix_emit(l, IR_OP_WMMA_ST, &x, 0, NULL, 3 + r.d, s);
	i->space = at.space;
	i->offset = at.offset;
}

void ptx_lower_wmma(struct ptx_lower *l, enum ir_op op)
{
	ptx_lo_mod(l, PTX_MOD_SYNC);
	ptx_lo_mod(l, PTX_MOD_ALIGNED);
	if (ptx_matrix_word(l, "load"))
		wmma_load(l);
	else if (ptx_matrix_word(l, "store"))
		wmma_store(l);
	else if (ptx_matrix_word(l, "mma"))
		wmma_mma(l);
	else
		ptx_lo_fail(l, ".load, .store or .mma is missing");
}

/* ---- rows ------------------------------------------------------------------------------------ */

static bool take_rows(struct ptx_lower *l, struct ir_mma *x)
{
	x->num = ptx_matrix_word(l, "x1")   ? 1
		 : ptx_matrix_word(l, "x2") ? 2
		 : ptx_matrix_word(l, "x4") ? 4
					    : 0;
	if (!x->num) {
		ptx_lo_fail(l, ".x1, .x2 or .x4 is missing");
		return false;
	}
	x->acol = ptx_matrix_word(l, "trans");
	if (!ptx_matrix_shape(l, x))
		return false;
	x->a = ptx_matrix_word(l, "b8x16") ? IR_MAT_B8 : ptx_matrix_type(l);
	x->b = x->a == IR_MAT_B8 ? ptx_matrix_type(l) : x->a;
	if (x->b == IR_MAT_NONE)
		x->b = x->a;
	return true;
}

void ptx_lower_ldmatrix(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand d[4], s[2] = { ptx_lo_imm(MEMBERS) };
	struct ir_mma x = { 0 };
	struct ir_mma_regs r;
	struct ptx_lo_addr at;
	struct ir_inst *i;

	ptx_lo_mod(l, PTX_MOD_SYNC);
	ptx_lo_mod(l, PTX_MOD_ALIGNED);
	if (!ptx_lo_count(l, 2, 2) || !take_rows(l, &x) ||
	    !ptx_matrix_valid(l, IR_OP_LDMATRIX, &x, &r) || !matrix_space(l, 1, &at) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 0), x.a, r.d, 1, true, d))
		return;
	s[1] = at.base;
	i = ptx_matrix_emit(l, IR_OP_LDMATRIX, &x, r.d, d, 2, s);
	i->space = at.space;
	i->offset = at.offset;
}

void ptx_lower_stmatrix(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand s[2 + 4] = { ptx_lo_imm(MEMBERS) };
	struct ir_mma x = { 0 };
	struct ir_mma_regs r;
	struct ptx_lo_addr at;
	struct ir_inst *i;

	ptx_lo_mod(l, PTX_MOD_SYNC);
	ptx_lo_mod(l, PTX_MOD_ALIGNED);
	if (!ptx_lo_count(l, 2, 2) || !take_rows(l, &x) ||
	    !ptx_matrix_valid(l, IR_OP_STMATRIX, &x, &r) || !matrix_space(l, 0, &at) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 1), x.a, r.d, 1, false, s + 2))
		return;
	s[1] = at.base;
	i = ptx_matrix_emit(l, IR_OP_STMATRIX, &x, 0, NULL, 2 + r.d, s);
	i->space = at.space;
	i->offset = at.offset;
}

void ptx_lower_movmatrix(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand d, s[2] = { ptx_lo_imm(MEMBERS) };
	struct ir_mma x = { 0 };
	struct ir_mma_regs r;

	ptx_lo_mod(l, PTX_MOD_SYNC);
	ptx_lo_mod(l, PTX_MOD_ALIGNED);
	if (!ptx_lo_count(l, 2, 2) || !ptx_matrix_shape(l, &x))
		return;
	if (!ptx_matrix_word(l, "trans"))
		ptx_lo_fail(l, ".trans is missing");
	x.a = ptx_matrix_type(l);
	if (!ptx_matrix_valid(l, IR_OP_MOVMATRIX, &x, &r))
		return;
	s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U32);
	d = ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_U32);
	ptx_matrix_emit(l, IR_OP_MOVMATRIX, &x, 1, &d, 2, s);
}

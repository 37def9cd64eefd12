/* SPDX-License-Identifier: MIT */
/*
 * lower_mma.c - mma, mma.sp and wgmma (ISA 9.7.14, 9.7.15): products of matrices in registers.
 *
 * The order of the words differs between compilers, so they are sorted by what they are: shape, types in
 * their order (d a b c), layouts in theirs (a b). Whether the whole exists is asked of ir_mma_valid().
 */
#include "cuse_dev/backend/soft/ptx/lower.h"

#include <string.h>

#include "cuse_dev/backend/soft/ptx/matrix.h"
#include "cuse_dev/base/arena.h"

#define MEMBERS UINT32_MAX

/* ---- words ----------------------------------------------------------------------------------- */

static bool is_text(const struct ptx_mod_use *mod, const char *text)
{
	return mod->len == strlen(text) && memcmp(mod->text, text, mod->len) == 0;
}

bool ptx_matrix_word(struct ptx_lower *l, const char *text)
{
	for (uint32_t i = 0; i < l->in->nmods; i++) {
		if (l->used >> i & 1 || !is_text(&l->in->mods[i], text))
			continue;
		l->used |= 1u << i;
		return true;
	}
	return false;
}

/* A letter and a number of up to three digits; *at is moved behind it. */
static bool dimension(const char **at, const char *end, char letter, uint16_t *ret)
{
	uint32_t v = 0;
	const char *p = *at;

	if (p == end || *p++ != letter || p == end)
		return false;
	for (; p < end && *p >= '0' && *p <= '9' && v < 1000; p++)
		v = 10 * v + (uint32_t)(*p - '0');
	*at = p;
	*ret = (uint16_t)v;
	return v != 0;
}

bool ptx_matrix_shape(struct ptx_lower *l, struct ir_mma *x)
{
	for (uint32_t i = 0; i < l->in->nmods; i++) {
		const char *p = l->in->mods[i].text, *end = p + l->in->mods[i].len;

		if (l->used >> i & 1 || !dimension(&p, end, 'm', &x->m) ||
		    !dimension(&p, end, 'n', &x->n))
			continue;
		if (p < end)
			dimension(&p, end, 'k', &x->k);
		if (p < end)
			continue;
		l->used |= 1u << i;
		return true;
	}
	ptx_lo_fail(l, "the shape is missing");
	return false;
}

uint16_t ptx_matrix_type(struct ptx_lower *l)
{
	for (uint32_t i = 0; i < l->in->nmods; i++) {
		for (uint16_t t = IR_MAT_NONE + 1; t < IR_MAT_COUNT; t++) {
			if (l->used >> i & 1 || t == IR_MAT_P4 ||
			    !is_text(&l->in->mods[i], ir_mat_text(t)))
				continue;
			l->used |= 1u << i;
			return t;
		}
	}
	return IR_MAT_NONE;
}

bool ptx_matrix_layout(struct ptx_lower *l, uint16_t *ret_col)
{
	for (uint32_t i = 0; i < l->in->nmods; i++) {
		bool col = is_text(&l->in->mods[i], "col");

		if (l->used >> i & 1 || (!col && !is_text(&l->in->mods[i], "row")))
			continue;
		l->used |= 1u << i;
		*ret_col = col;
		return true;
	}
	return false;
}

/* ---- operands -------------------------------------------------------------------------------- */

bool ptx_matrix_regs(struct ptx_lower *l, const struct ptx_opnd *o, uint32_t type, uint32_t count,
		     uint32_t copies, bool result, struct ir_operand *ret)
{
	uint8_t reg = ir_mat_bits(type) == 64 ? IR_U64 : IR_U32;
	const struct ptx_opnd *parts;
	uint32_t n = ptx_lo_list(o, &parts);

	if (n != count * copies) {
		ptx_lo_fail(l, "a fragment of %u registers is expected, not %u", count * copies, n);
		return false;
	}
	for (uint32_t i = 0; i < count; i++)
		ret[i] = result ? ptx_lo_dst(l, &parts[i], reg) : ptx_lo_src(l, &parts[i], reg);
	return true;
}

struct ir_inst *ptx_matrix_emit(struct ptx_lower *l, enum ir_op op, const struct ir_mma *x,
				uint32_t nd, const struct ir_operand *d, uint32_t ns,
				const struct ir_operand *s)
{
	struct ir_inst *i = ptx_lo_emit(l, op, IR_NONE, nd, d, ns, s);
	struct ir_aux *aux = arena_alloc(l->arena, sizeof(*aux));

	if (!aux) {
		ptx_fail(l->err, PTX_ERR_MEMORY, l->in->line, l->in->column, "out of memory");
		return i;
	}
	aux->mma = *x;
	i->aux = aux;
	i->sync = true;
	return i;
}

bool ptx_matrix_valid(struct ptx_lower *l, enum ir_op op, const struct ir_mma *x,
		      struct ir_mma_regs *ret)
{
	if (ir_mma_valid(op, x, ret))
		return true;
	ptx_lo_fail(l, "there is no m%un%uk%u of .%s.%s.%s.%s with these modifiers", x->m, x->n,
		    x->k, ir_mat_text(x->d), ir_mat_text(x->a), ir_mat_text(x->b),
		    ir_mat_text(x->c));
	return false;
}

/* ---- mma ------------------------------------------------------------------------------------- */

/* .kind, .block_scale, .scale_vec and the type of scales. */
static bool take_scales(struct ptx_lower *l, struct ir_mma *x)
{
	bool mxf4 = ptx_matrix_word(l, "kind::mxf4"), nvf4 = ptx_matrix_word(l, "kind::mxf4nvf4");
	bool mxf8 = ptx_matrix_word(l, "kind::mxf8f6f4");
	bool plain = ptx_matrix_word(l, "kind::f8f6f4");
	bool scaled = ptx_matrix_word(l, "block_scale");

	if (scaled != (mxf4 || nvf4 || mxf8)) {
		ptx_lo_fail(l, ".block_scale and .kind do not fit together");
		return false;
	}
	if (!plain && !scaled &&
	    (x->a == IR_MAT_E2M1 || x->a == IR_MAT_E3M2 || x->a == IR_MAT_E2M3 ||
	     x->b == IR_MAT_E2M1 || x->b == IR_MAT_E3M2 || x->b == IR_MAT_E2M3)) {
		ptx_lo_fail(l, ".kind::f8f6f4 is missing");
		return false;
	}
	if (!scaled)
		return true;
	x->scale = ptx_matrix_word(l, "scale_vec::1X")	 ? 1
		   : ptx_matrix_word(l, "scale_vec::2X") ? 2
		   : ptx_matrix_word(l, "scale_vec::4X") ? 4
		   : mxf8				 ? 1
							 : 2;
	x->stype = ptx_matrix_type(l);
	if ((mxf4 || nvf4) && x->a == IR_MAT_E2M1 && x->b == IR_MAT_E2M1)
		x->a = x->b = IR_MAT_P4;
	if (mxf4 && x->scale != 2) {
		ptx_lo_fail(l, ".kind::mxf4 has .scale_vec::2X only");
		return false;
	}
	return true;
}

void ptx_matrix_bitop(struct ptx_lower *l, struct ir_mma *x)
{
	if (ptx_lo_mod(l, PTX_MOD_XOR))
		x->bitop = IR_BITOP_XOR;
	else if (ptx_lo_mod(l, PTX_MOD_AND))
		x->bitop = IR_BITOP_AND;
	if (x->bitop && !ptx_lo_mod(l, PTX_MOD_POPC))
		ptx_lo_fail(l, ".popc is missing");
}

/* The metadata register and the number of the threads that have it. */
static bool take_metadata(struct ptx_lower *l, uint32_t at, struct ir_operand *ret)
{
	ret[0] = ptx_lo_src(l, ptx_lo_opnd(l, at), IR_U32);
	ret[1] = ptx_lo_src(l, ptx_lo_opnd(l, at + 1), IR_U32);
	if (ret[1].kind == IR_OPND_IMM && ret[1].imm < 4)
		return true;
	ptx_lo_fail(l, "the sparsity selector must be a constant from 0 to 3");
	return false;
}

/* data, {byte, thread} */
static bool take_scale(struct ptx_lower *l, uint32_t at, struct ir_operand *ret)
{
	const struct ptx_opnd *parts;

	ret[0] = ptx_lo_src(l, ptx_lo_opnd(l, at), IR_U32);
	if (ptx_lo_list(ptx_lo_opnd(l, at + 1), &parts) != 2) {
		ptx_lo_fail(l, "{byte-id, thread-id} is expected");
		return false;
	}
	for (uint32_t i = 0; i < 2; i++)
		ret[1 + i] = ptx_lo_src(l, &parts[i], IR_U16);
	return true;
}

void ptx_lower_mma(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand d[16], s[64] = { ptx_lo_imm(MEMBERS) };
	struct ir_mma x = { 0 };
	struct ir_mma_regs regs;
	struct ir_inst *i;
	uint32_t ns = 1, at = 4;
	uint16_t a_col = 0, b_col = 0;
	bool sat;

	ptx_lo_mod(l, PTX_MOD_SYNC);
	ptx_lo_mod(l, PTX_MOD_ALIGNED);
	if (ptx_matrix_word(l, "sp"))
		x.sparse = 1;
	if (ptx_matrix_word(l, "sp::ordered_metadata"))
		x.sparse = 2;
	if (!ptx_matrix_shape(l, &x))
		return;
	if (!ptx_matrix_layout(l, &a_col) || !ptx_matrix_layout(l, &b_col)) {
		ptx_lo_fail(l, "the layout is missing");
		return;
	}
	x.d = ptx_matrix_type(l);
	x.a = ptx_matrix_type(l);
	x.b = ptx_matrix_type(l);
	x.c = ptx_matrix_type(l);
	ptx_matrix_bitop(l, &x);
	x.quad = x.m == 8 && x.k == 4 && x.a == IR_MAT_F16;
	/* Only there the layouts mean something; everywhere else they are .row.col. */
	x.acol = x.quad ? a_col : a_col != 0;
	x.bcol = x.quad ? b_col : b_col != 1;
	sat = ptx_lo_mod(l, PTX_MOD_SATFINITE);
	if (!take_scales(l, &x) || !ptx_matrix_valid(l, IR_OP_MMA, &x, &regs))
		return;
	if (sat && x.d != IR_MAT_S32) {
		ptx_lo_fail(l, ".satfinite is for integers");
		return;
	}
	at += x.sparse ? 2u : 0u;
	if (!ptx_lo_count(l, at + (x.scale ? 4u : 0u), at + (x.scale ? 4u : 0u)) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 0), x.d, regs.d, 1, true, d) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 1), x.a, regs.a, 1, false, s + ns) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 2), x.b, regs.b, 1, false, s + ns + regs.a) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 3), x.c, regs.c, 1, false, s + ns + regs.a + regs.b))
		return;
	ns += regs.a + regs.b + regs.c;
	if (x.sparse) {
		if (!take_metadata(l, 4, s + ns))
			return;
		ns += 2;
	}
	if (x.scale) {
		if (!take_scale(l, at, s + ns) || !take_scale(l, at + 2, s + ns + 3))
			return;
		ns += 6;
	}
	i = ptx_matrix_emit(l, IR_OP_MMA, &x, regs.d, d, ns, s);
	i->sat = sat;
}

/* ---- wgmma ----------------------------------------------------------------------------------- */

/* An immediate that is one of two values; says which. */
static uint16_t either(struct ptx_lower *l, uint32_t at, int64_t no, int64_t yes)
{
	const struct ptx_opnd *o = ptx_lo_opnd(l, at);
	int64_t v = (int64_t)o->bits;

	if (o->kind != PTX_O_INT || (v != no && v != yes))
		ptx_lo_fail(l, "operand %u must be %lld or %lld", at, (long long)no,
			    (long long)yes);
	return v == yes;
}

/* imm-scale-a, imm-scale-b {, imm-trans-a} {, imm-trans-b} of the float types */
static void take_signs(struct ptx_lower *l, struct ir_mma *x, uint32_t at)
{
	bool half = x->a == IR_MAT_F16 || x->a == IR_MAT_BF16;

	if (x->d == IR_MAT_S32) {
		ptx_lo_count(l, at, at);
		return;
	}
	if (!ptx_lo_count(l, at + 2 + (half ? 1u + x->adesc : 0u),
			  at + 2 + (half ? 1u + x->adesc : 0u)))
		return;
	x->nega = either(l, at, 1, -1);
	x->negb = either(l, at + 1, 1, -1);
	at += 2;
	if (half && x->adesc)
		x->acol = either(l, at++, 0, 1);
	if (half)
		x->bcol = either(l, at, 0, 1);
}

static void lower_mma_async(struct ptx_lower *l)
{
	struct ir_operand d[128], s[260] = { ptx_lo_imm(MEMBERS) };
	struct ir_mma x = { 0 };
	struct ir_mma_regs regs;
	uint32_t ns = 1, at;
	struct ir_inst *i;
	bool sat = ptx_lo_mod(l, PTX_MOD_SATFINITE);

	if (ptx_matrix_word(l, "sp"))
		x.sparse = 1;
	if (!ptx_matrix_shape(l, &x))
		return;
	x.d = x.c = ptx_matrix_type(l);
	x.a = ptx_matrix_type(l);
	x.b = ptx_matrix_type(l);
	ptx_matrix_bitop(l, &x);
	x.adesc = ptx_lo_opnd(l, 1)->kind != PTX_O_VEC;
	at = x.sparse ? 5 : 3;
	take_signs(l, &x, at + 1);
	if (l->err->code || !ptx_matrix_valid(l, IR_OP_WGMMA, &x, &regs) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 0), x.d, regs.d, 1, true, d) ||
	    !ptx_matrix_regs(l, ptx_lo_opnd(l, 0), x.d, regs.d, 1, false, s + ns))
		return;
	ns += regs.d;
	if (x.adesc)
		s[ns] = ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U64);
	else if (!ptx_matrix_regs(l, ptx_lo_opnd(l, 1), x.a, regs.a, 1, false, s + ns))
		return;
	ns += regs.a;
	s[ns++] = ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U64);
	s[ns++] = ptx_lo_pred(l, ptx_lo_opnd(l, at));
	if (x.sparse) {
		if (!take_metadata(l, 3, s + ns))
			return;
		ns += 2;
	}
	i = ptx_matrix_emit(l, IR_OP_WGMMA, &x, regs.d, d, ns, s);
	i->sat = sat;
	i->space = IR_SPACE_SHARED;
}

/* The product is done when the instruction is: nothing is left to fence or to wait for. */
void ptx_lower_wgmma(struct ptx_lower *l, enum ir_op op)
{
	ptx_lo_mod(l, PTX_MOD_SYNC);
	ptx_lo_mod(l, PTX_MOD_ALIGNED);
	if (ptx_matrix_word(l, "mma_async")) {
		lower_mma_async(l);
		return;
	}
	if (ptx_matrix_word(l, "fence") || ptx_matrix_word(l, "commit_group")) {
		ptx_lo_count(l, 0, 0);
		return;
	}
	if (!ptx_matrix_word(l, "wait_group"))
		ptx_lo_fail(l, ".mma_async, .fence, .commit_group or .wait_group is missing");
	else
		ptx_lo_count(l, 1, 1);
}

/* SPDX-License-Identifier: MIT */
/*
 * ir_mma.c - which matrix instructions exist, and how many registers their fragments have.
 */
#include "cuse_dev/backend/soft/ir/ir.h"

enum {
	PAIR = 1 << 0,
	SAME = 1 << 1,
	SP = 1 << 2,
	Q = 1 << 4,
	ANY = 1 << 5,
	S1 = 1 << 6,
	S2 = 1 << 7,
	N4 = 1 << 8,
	BIT = 1 << 9,
	NEG = 1 << 10,
};

#define T(NAME)	 (1u << IR_MAT_##NAME)
#define T_HALF	 (T(F16) | T(F32))
#define T_INT8	 (T(S8) | T(U8))
#define T_INT4	 (T(S4) | T(U4))
#define T_FP8	 (T(E4M3) | T(E5M2))
#define T_NARROW (T_FP8 | T(E3M2) | T(E2M3) | T(E2M1))

static const struct row {
	uint16_t op, m, n, k;
	uint32_t a, b, d, flags;
} rows[] = {
#define IR_MMA(OP, m, n, k, a, b, d, flags) { IR_OP_##OP, m, n, k, a, b, d, flags },
#include "ir_mma.def"
#undef IR_MMA
};

static bool has(uint32_t set, uint32_t type)
{
	return type < IR_MAT_COUNT && set >> type & 1;
}

static bool scales_fit(const struct row *r, const struct ir_mma *x)
{
	switch (x->scale) {
	case 0:
		return !(r->flags & (S1 | S2 | N4)) && x->stype == IR_MAT_NONE;
	case 1:
		return r->flags & S1 && x->stype == IR_MAT_UE8M0;
	case 2:
		return r->flags & S2 && x->stype == IR_MAT_UE8M0;
	case 4:
		return r->flags & N4 && (x->stype == IR_MAT_UE8M0 || x->stype == IR_MAT_UE4M3);
	default:
		return false;
	}
}

static bool row_fits(const struct row *r, enum ir_op op, const struct ir_mma *x)
{
	uint32_t f = r->flags;

	if (r->op != op || r->m != x->m || r->k != x->k)
		return false;
	if (op == IR_OP_WGMMA ? x->n > r->n || x->n % 8 || !x->n : x->n != r->n)
		return false;
	if (!has(r->a, x->a) || !has(r->b, x->b) || !has(r->d, x->c) || !has(r->d, x->d))
		return false;
	if ((f & PAIR && x->a != x->b) || (f & SAME && x->c != x->d))
		return false;
	if (!(f & SP) != !x->sparse || x->sparse > 2 || !(f & Q) != !x->quad)
		return false;
	if (f & BIT ? !x->bitop || x->bitop > IR_BITOP_AND : x->bitop)
		return false;
	if ((!(f & ANY) && (x->acol || x->bcol)) || (!(f & NEG) && (x->nega || x->negb)))
		return false;
	if (op == IR_OP_WGMMA ? !x->adesc && x->acol : x->adesc)
		return false;
	return !x->frag && !x->num && scales_fit(r, x);
}

/* Registers of all lanes that hold @elements of @type. */
static uint32_t regs_of(uint32_t elements, uint32_t type)
{
	uint32_t bits = ir_mat_bits(type), reg = bits == 64 ? 64 : 32;

	return elements * bits / (32 * reg);
}

static bool multiply(enum ir_op op, const struct ir_mma *x, struct ir_mma_regs *ret)
{
	uint32_t m = op == IR_OP_WGMMA ? 16 : x->m;

	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!row_fits(&rows[i], op, x))
			continue;
		ret->a = regs_of(m * x->k / (x->sparse ? 2 : 1), x->a);
		ret->b = regs_of(x->k * x->n, x->b);
		ret->c = regs_of(m * x->n, x->c);
		ret->d = regs_of(m * x->n, x->d);
		if (x->quad) {
			ret->a = ret->b = 2;
			ret->c *= 4;
			ret->d *= 4;
		}
		if (op == IR_OP_WGMMA) {
			ret->a = x->adesc ? 1 : ret->a;
			ret->b = 1;
		}
		return true;
	}
	return false;
}

/* A fragment in memory is one of those that MMA takes; A and B of f16 are held more than once. */
static bool fragment(const struct ir_mma *x, struct ir_mma_regs *ret)
{
	struct ir_mma whole = { .m = x->m, .n = x->n, .k = x->k };
	struct ir_mma_regs regs;

	whole.a = whole.b = x->a;
	whole.c = whole.d = x->d;
	whole.bitop = x->a == IR_MAT_B1 ? IR_BITOP_XOR : IR_BITOP_NONE;
	if (x->n + x->m < 24 && x->a != IR_MAT_F64 && ir_mat_bits(x->a) > 4)
		return false; /* mma has 8x8 shapes that wmma has not */
	if (x->m == 16 && x->n == 8)
		return false;
	if (x->frag > IR_FRAG_C || x->num || !multiply(IR_OP_MMA, &whole, &regs))
		return false;
	ret->d = x->frag == IR_FRAG_A ? regs.a : x->frag == IR_FRAG_B ? regs.b : regs.d;
	if (x->frag != IR_FRAG_C && x->a == IR_MAT_F16)
		ret->d = 8;
	return true;
}

/* ldmatrix: b is what stands in memory. */
static bool rows_fit(enum ir_op op, const struct ir_mma *x, struct ir_mma_regs *ret)
{
	bool small = x->m == 8 && x->n == 8 && x->a == IR_MAT_B16 && x->b == IR_MAT_B16;
	bool packed = x->b == IR_MAT_B6P32 || x->b == IR_MAT_B4P64;

	if ((x->num != 1 && x->num != 2 && x->num != 4) || x->k)
		return false;
	ret->d = x->num;
	if (small)
		return true;
	if (x->a != IR_MAT_B8 || (x->b != IR_MAT_B8 && (!packed || op != IR_OP_LDMATRIX)))
		return false;
	if (op == IR_OP_STMATRIX)
		return x->m == 16 && x->n == 8 && x->acol;
	if (x->m == 8 && x->n == 16)
		return packed && !x->acol;
	ret->d = 2u * x->num;
	return x->m == 16 && x->n == 16 && x->acol && x->num <= 2;
}

bool ir_mma_valid(enum ir_op op, const struct ir_mma *x, struct ir_mma_regs *ret_regs)
{
	*ret_regs = (struct ir_mma_regs){ 0 };
	switch (op) {
	case IR_OP_MMA:
	case IR_OP_WGMMA:
		return multiply(op, x, ret_regs);
	case IR_OP_WMMA_LD:
	case IR_OP_WMMA_ST:
		return fragment(x, ret_regs);
	case IR_OP_LDMATRIX:
	case IR_OP_STMATRIX:
		return rows_fit(op, x, ret_regs);
	case IR_OP_MOVMATRIX:
		ret_regs->d = 1;
		return x->m == 8 && x->n == 8 && x->a == IR_MAT_B16;
	default:
		return false;
	}
}

uint32_t ir_mma_sources(enum ir_op op, const struct ir_mma *x, const struct ir_mma_regs *regs)
{
	switch (op) {
	case IR_OP_MMA:
		return 1 + regs->a + regs->b + regs->c + (x->sparse ? 2 : 0) + (x->scale ? 6 : 0);
	case IR_OP_WGMMA:
		return 1 + regs->d + regs->a + 2 + (x->sparse ? 2 : 0);
	case IR_OP_WMMA_LD:
		return 3;
	case IR_OP_WMMA_ST:
		return 3 + regs->d;
	case IR_OP_STMATRIX:
		return 2 + regs->d;
	default: /* LDMATRIX, MOVMATRIX */
		return 2;
	}
}

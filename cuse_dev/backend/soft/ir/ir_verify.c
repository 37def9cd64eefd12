/* SPDX-License-Identifier: MIT */
/*
 * ir_verify.c - is a unit well formed: what every consumer may rely on without checking again.
 *
 * Operand counts come from ir_op.def, widths from want_bits(). Not here: whether a combination of
 * operation, type and modifiers exists (rt_eval() knows).
 */
#include "cuse_dev/backend/soft/ir/ir.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define ANY_WIDTH 0u

struct verify {
	const struct ir_unit *unit;
	const struct ir_func *func;
	const struct ir_inst *in;
	uint32_t block;
	char *err;
	size_t err_bytes;
};

static const struct {
	int8_t nd, ns;
} counts[IR_OP_COUNT] = {
#define IR_OP(NAME, text, d, s) [IR_OP_##NAME] = { d, s },
#include "ir_op.def"
#undef IR_OP
};

__attribute__((format(printf, 2, 3))) static int bad(struct verify *v, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (v->err_bytes)
		snprintf(v->err, v->err_bytes, "%u:%u: %s, block %u%s%s: %s",
			 v->in ? v->in->line : 0, v->in ? v->in->column : 0,
			 v->func && v->func->name ? v->func->name : "unit", v->block,
			 v->in ? ", " : "", v->in ? ir_op_text(v->in->op) : "", text);
	return -EINVAL;
}

/* The width of the register that holds a value of @bits. */
static uint32_t reg_bits(uint32_t bits)
{
	return bits > 1 && bits < 16 ? 16 : bits;
}

static uint32_t type_reg_bits(uint8_t type)
{
	return reg_bits(ir_type_bits(type));
}

/* Results. ANY_WIDTH: not checked (loads and stores convert from the register's own width). */
static uint32_t want_result(const struct ir_inst *in, uint32_t i)
{
	uint32_t t = type_reg_bits(in->type);

	switch (in->op) {
	case IR_OP_MUL_WIDE:
	case IR_OP_MAD_WIDE:
		return 2 * ir_type_bits(in->type);
	case IR_OP_ADDC:
	case IR_OP_SUBC:
	case IR_OP_MADC_LO:
	case IR_OP_MADC_HI:
	case IR_OP_LOP3P:
		return i ? 1 : t;
	case IR_OP_SETP:
	case IR_OP_TESTP:
	case IR_OP_ISSPACEP:
		return 1;
	case IR_OP_BFIND:
	case IR_OP_POPC:
	case IR_OP_CLZ:
	case IR_OP_DP4A:
	case IR_OP_DP2A:
	case IR_OP_CVT_PACK:
	case IR_OP_MATCH_ANY:
	case IR_OP_ACTIVEMASK:
		return 32;
	case IR_OP_UNPACK:
		return reg_bits(ir_type_bits(in->type) / (in->nd ? in->nd : 1));
	case IR_OP_SHFL:
	case IR_OP_MATCH_ALL:
	case IR_OP_ELECT:
		return i ? 1 : 32;
	case IR_OP_VOTE:
		return in->sub == IR_VOTE_BALLOT ? 32 : 1;
	case IR_OP_BAR:
		return in->sub == IR_BAR_RED_POPC ? 32 : 1;
	case IR_OP_LD:
		return type_reg_bits(in->type2);
	case IR_OP_TEX:
		return i == IR_TEX_RESULTS - 1 ? 1 : ANY_WIDTH;
	case IR_OP_SULD:
		return ANY_WIDTH;
	case IR_OP_CVTA:
	case IR_OP_CVTA_TO:
	case IR_OP_FRAME_ADDR:
	case IR_OP_ALLOCA:
	case IR_OP_STACKSAVE:
	case IR_OP_UNSUPPORTED:
		return ANY_WIDTH;
	case IR_OP_MBAR:
		return in->sub >= IR_MBAR_TEST && in->sub <= IR_MBAR_TRY_PARITY ? 1
		       : in->sub == IR_MBAR_PENDING				? 32
										: 64;
	case IR_OP_CTARANK:
		return 32;
	default:
		return t;
	}
}

static uint32_t want_source(const struct ir_inst *in, uint32_t i)
{
	uint32_t t = type_reg_bits(in->type), t2 = type_reg_bits(in->type2);

	switch (in->op) {
	case IR_OP_MAD_WIDE:
		return i == 2 ? 2 * ir_type_bits(in->type) : t;
	case IR_OP_ADDC:
	case IR_OP_SUBC:
	case IR_OP_SELP:
		return i == 2 ? 1 : t;
	case IR_OP_SETP:
		return i == 2 ? 1 : t;
	case IR_OP_MADC_LO:
	case IR_OP_MADC_HI:
		return i == 3 ? 1 : t;
	case IR_OP_LOP3:
		return i == 3 ? 32 : t;
	case IR_OP_LOP3P:
		return i == 4 ? 1 : i == 3 ? 32 : t;
	case IR_OP_SHL:
	case IR_OP_SHR:
		return i == 1 ? 32 : t;
	case IR_OP_BFE:
		return i >= 1 ? 32 : t;
	case IR_OP_BFI:
		return i >= 2 ? 32 : t;
	case IR_OP_SHF_L:
	case IR_OP_SHF_R:
	case IR_OP_FNS:
	case IR_OP_PRMT:
	case IR_OP_DP4A:
	case IR_OP_DP2A:
	case IR_OP_SHFL:
	case IR_OP_WARP_SYNC:
	case IR_OP_ELECT:
	case IR_OP_NANOSLEEP:
		return 32;
	case IR_OP_SET:
		return i == 2 ? 1 : t2;
	case IR_OP_SLCT:
		return i == 2 ? t2 : t;
	case IR_OP_PACK:
		return reg_bits(ir_type_bits(in->type) / (in->ns ? in->ns : 1));
	case IR_OP_CVT:
		return i == 2 ? 32 : t2;
	case IR_OP_CVT_PACK:
		return i == 2 ? 32 : t2;
	case IR_OP_VOTE:
		return i == 0 ? 1 : 32;
	case IR_OP_MATCH_ANY:
	case IR_OP_MATCH_ALL:
	case IR_OP_REDUX:
		return i == 1 ? 32 : t;
	case IR_OP_BAR:
		return i == 2 ? 1 : 32;
	case IR_OP_ATOM:
	case IR_OP_RED:
		return i == 0 ? ANY_WIDTH : t;
	case IR_OP_TEX:
		return i <= IR_TEX_S_SAMPLER ? 64 : 32;
	case IR_OP_TXQ:
		return i ? 32 : 64;
	case IR_OP_ISTYPEP:
		return 64;
	case IR_OP_SULD:
	case IR_OP_SUST:
	case IR_OP_SURED:
		return i == IR_TEX_S_HANDLE ? 64 : i < IR_SURF_SOURCES ? 32 : ANY_WIDTH;
	case IR_OP_LD:
	case IR_OP_ST:
	case IR_OP_PREFETCH:
	case IR_OP_CVTA:
	case IR_OP_CVTA_TO:
	case IR_OP_ISSPACEP:
	case IR_OP_ALLOCA:
	case IR_OP_STACKRESTORE:
	case IR_OP_CALL_INDIRECT:
	case IR_OP_UNSUPPORTED:
	case IR_OP_MBAR:
	case IR_OP_CP_BULK:
	case IR_OP_RED_BULK:
	case IR_OP_FILL_BULK:
	case IR_OP_CP_TENSOR:
	case IR_OP_TENSORMAP:
	case IR_OP_TRY_CANCEL:
	case IR_OP_CTARANK:
		return ANY_WIDTH;
	case IR_OP_CP_ASYNC:
		return i == 6 ? 1 : i == 5 ? 32 : ANY_WIDTH;
	case IR_OP_MAPA:
		return i == 1 ? 32 : t;
	default:
		return t;
	}
}

static int check_reg(struct verify *v, uint32_t reg, uint32_t bits, const char *what, uint32_t i)
{
	uint32_t have;

	if (reg >= v->func->nregs)
		return bad(v, "%s %u: no register %u", what, i, reg);
	have = ir_type_bits(v->func->regs[reg].type);
	if (bits != ANY_WIDTH && have != bits)
		return bad(v, "%s %u: register %u is %u bits wide, %u wanted", what, i, reg, have,
			   bits);
	if (bits == ANY_WIDTH && have == 1 && v->in->op != IR_OP_UNSUPPORTED)
		return bad(v, "%s %u: a predicate where a value is wanted", what, i);
	return 0;
}

/* Which sources may be absent. */
static bool may_be_none(const struct ir_inst *in, uint32_t i)
{
	switch (in->op) {
	case IR_OP_SETP:
	case IR_OP_SET:
		return i == 2;
	case IR_OP_LOP3P:
		return i == 4;
	case IR_OP_SHFL:
		return i == 3;
	case IR_OP_VOTE:
	case IR_OP_MATCH_ANY:
	case IR_OP_MATCH_ALL:
	case IR_OP_REDUX:
	case IR_OP_BAR:
		return i == 1;
	case IR_OP_CP_ASYNC:
	case IR_OP_CP_BULK:
		return i >= 5;
	case IR_OP_RED_BULK:
		return i >= 5;
	case IR_OP_CP_TENSOR: /* the block mask */
		return i + 1u == in->ns;
	case IR_OP_TENSORMAP:
		return i == 2;
	case IR_OP_TEX:
	case IR_OP_TXQ:
		return i > IR_TEX_S_HANDLE;
	case IR_OP_SULD:
	case IR_OP_SUST:
	case IR_OP_SURED:
		return i > IR_TEX_S_HANDLE && i < IR_SURF_SOURCES;
	case IR_OP_UNSUPPORTED:
		return true;
	default:
		return false;
	}
}

/* Elements of a surface access, and the fields whose values choose a row of a table. */
static int check_texture(struct verify *v)
{
	const struct ir_inst *in = v->in;
	uint32_t n = in->op == IR_OP_SULD ? in->nd : in->ns - IR_SURF_SOURCES;

	if (in->op == IR_OP_TXQ)
		return in->sub < IR_QUERY_COUNT ? 0 : bad(v, "no query %u", in->sub);
	if (in->op == IR_OP_ISTYPEP)
		return in->sub < 3 ? 0 : bad(v, "no type %u", in->sub);
	if (in->sub > IR_GEOM_A2DMS)
		return bad(v, "no geometry %u", in->sub);
	if (in->op == IR_OP_TEX)
		return (in->offset & 15) <= IR_TEX_GRAD && in->offset >> 4 <= 4 && in->offset >= 0
			       ? 0
			       : bad(v, "no mode %lld", (long long)in->offset);
	if (in->ns < IR_SURF_SOURCES || n < 1 || n > 4 || ir_type_bits(in->type) < 8 ||
	    ir_type_bits(in->type) > 64)
		return bad(v, "bad type or count of elements");
	if (in->sub > IR_GEOM_A2D || (in->offset & 15) > IR_EDGE_ZERO || in->offset < 0 ||
	    in->offset >> 8 > IR_ATOM_DEC)
		return bad(v, "no mode %lld", (long long)in->offset);
	return 0;
}

static int check_slots(struct verify *v, const struct ir_slot *s, uint32_t n, const char *what)
{
	for (uint32_t i = 0; i < n; i++)
		if ((uint64_t)s[i].offset + s[i].size > v->func->frame_bytes)
			return bad(v, "%s %u is outside of the frame", what, i);
	return 0;
}

static int check_call(struct verify *v)
{
	const struct ir_aux *aux = v->in->aux;
	const struct ir_func *f;
	int r;

	if (!aux)
		return bad(v, "call without aux");
	r = check_slots(v, aux->args, aux->count, "argument");
	if (r == 0)
		r = check_slots(v, aux->rets, aux->nrets, "result");
	if (r < 0)
		return r;
	if (v->in->op == IR_OP_CALL_BUILTIN)
		return aux->func < IR_BUILTIN_COUNT ? 0 : bad(v, "no builtin %u", aux->func);
	if (v->in->op != IR_OP_CALL)
		return 0;
	if (aux->func >= v->unit->nfuncs)
		return bad(v, "no function %u", aux->func);
	f = v->unit->funcs[aux->func];
	if (f->nparams != aux->count || f->nrets != aux->nrets)
		return bad(v, "%s wants %u arguments and %u results", f->name ? f->name : "callee",
			   f->nparams, f->nrets);
	return 0;
}

/* How many sources and results the forms of MBAR have. */
static int check_mbar(struct verify *v)
{
	static const uint8_t ns[] = {
		[IR_MBAR_INIT] = 3,	   [IR_MBAR_INVAL] = 2,	  [IR_MBAR_EXPECT_TX] = 3,
		[IR_MBAR_COMPLETE_TX] = 3, [IR_MBAR_ARRIVE] = 4,  [IR_MBAR_ARRIVE_DROP] = 4,
		[IR_MBAR_TEST] = 3,	   [IR_MBAR_TRY] = 3,	  [IR_MBAR_TEST_PARITY] = 3,
		[IR_MBAR_TRY_PARITY] = 3,  [IR_MBAR_PENDING] = 1,
	};
	const struct ir_inst *in = v->in;

	if (in->sub >= sizeof(ns))
		return bad(v, "no such form");
	if (in->ns != ns[in->sub] || in->nd != (in->sub >= IR_MBAR_ARRIVE))
		return bad(v, "%u results and %u sources are wrong", in->nd, in->ns);
	return 0;
}

static int check_tensor(struct verify *v)
{
	const struct ir_inst *in = v->in;
	uint32_t mode = IR_TENSOR_MODE(in->offset), n = IR_TENSOR_COORDS(in->offset),
		 offsets = IR_TENSOR_OFFSETS(in->offset), want = 2 + n + offsets;

	if (in->sub > IR_TENSOR_PREFETCH || mode > IR_TENSOR_IM2COL_W_128 || n < 1 || n > 5 ||
	    offsets > 3 || IR_TENSOR_ATOM(in->offset) > IR_ATOM_DEC)
		return bad(v, "no such form");
	want += in->sub != IR_TENSOR_PREFETCH ? 2 : 0;
	want += in->sub == IR_TENSOR_LOAD ? 3 : 0;
	return in->ns == want ? 0 : bad(v, "%u sources, %u wanted", in->ns, want);
}

/* Widths of a matrix instruction's operand: results, then sources. */
static uint32_t matrix_bits(const struct ir_inst *in, uint32_t i)
{
	const struct ir_mma *x = &in->aux->mma;
	uint32_t wide = ir_mat_bits(x->a) == 64 ? 64 : 32;

	if (i < in->nd)
		return wide;
	i -= in->nd;
	if (i == 0)
		return 32;
	switch (in->op) {
	case IR_OP_LDMATRIX:
	case IR_OP_STMATRIX:
	case IR_OP_WMMA_LD:
	case IR_OP_WMMA_ST:
		return i == 1 ? ANY_WIDTH : i == 2 && in->op != IR_OP_STMATRIX ? 32 : wide;
	case IR_OP_WGMMA:
		if (i > in->nd) {
			uint32_t after = x->sparse ? 2 : 0, left = in->ns - i;

			if (left == after + 1)
				return 1; /* scale-d */
			if (left == after + 2)
				return 64; /* descriptor of B */
			return left > after && x->adesc ? 64 : 32;
		}
		return 32;
	default:
		return x->scale ? ANY_WIDTH : wide;
	}
}

static int check_matrix(struct verify *v)
{
	const struct ir_inst *in = v->in;
	struct ir_mma_regs regs;
	int r = 0;

	if (!in->aux || !ir_mma_valid(in->op, &in->aux->mma, &regs))
		return bad(v, "no such shape or types");
	if (in->nd != (in->op == IR_OP_STMATRIX || in->op == IR_OP_WMMA_ST ? 0 : regs.d) ||
	    in->ns != ir_mma_sources(in->op, &in->aux->mma, &regs))
		return bad(v, "wrong number of registers");
	if (in->space > IR_SPACE_FRAME)
		return bad(v, "no such space");
	if (in->sat && in->aux->mma.d != IR_MAT_S32)
		return bad(v, "saturation is for integers");
	for (uint32_t i = 0; i < (uint32_t)in->nd + in->ns && r == 0; i++)
		if (in->opnd[i].kind == IR_OPND_REG)
			r = check_reg(v, in->opnd[i].reg, matrix_bits(in, i), "operand", i);
		else if (in->opnd[i].kind == IR_OPND_NONE && i >= in->nd)
			r = bad(v, "operand %u is missing", i);
		else if (in->opnd[i].kind == IR_OPND_IMM && i < in->nd)
			r = bad(v, "result %u is no register", i);
	return r;
}

static int check_inst(struct verify *v)
{
	const struct ir_inst *in = v->in;
	const struct ir_operand *o = in->opnd;
	int r;

	if (in->op == IR_OP_NONE || in->op >= IR_OP_COUNT)
		return bad(v, "no operation %u", in->op);
	if (in->type >= IR_TYPE_COUNT || in->type2 >= IR_TYPE_COUNT)
		return bad(v, "no such type");
	if (counts[in->op].nd >= 0 && counts[in->op].nd != in->nd)
		return bad(v, "%u results, %d wanted", in->nd, counts[in->op].nd);
	if (counts[in->op].ns >= 0 && counts[in->op].ns != in->ns)
		return bad(v, "%u sources, %d wanted", in->ns, counts[in->op].ns);
	if (in->guard >= 0) {
		r = check_reg(v, (uint32_t)in->guard, 1, "guard", 0);
		if (r < 0)
			return r;
	}
	if (ir_op_is_matrix(in->op))
		return check_matrix(v);
	if (in->op == IR_OP_SREG && in->sub >= IR_SREG_COUNT)
		return bad(v, "no special register %u", in->sub);
	for (uint32_t i = 0; i < in->nd; i++) {
		if (o[i].kind == IR_OPND_NONE)
			continue;
		if (o[i].kind != IR_OPND_REG)
			return bad(v, "result %u is no register", i);
		r = check_reg(v, o[i].reg, want_result(in, i), "result", i);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < in->ns; i++) {
		if (o[in->nd + i].kind == IR_OPND_NONE && !may_be_none(in, i))
			return bad(v, "source %u is missing", i);
		if (o[in->nd + i].kind != IR_OPND_REG)
			continue;
		r = check_reg(v, o[in->nd + i].reg, want_source(in, i), "source", i);
		if (r < 0)
			return r;
	}
	switch (in->op) {
	case IR_OP_LD:
	case IR_OP_ST:
	case IR_OP_ATOM:
	case IR_OP_RED:
		if (ir_type_bits(in->type) < 8 || in->nd > 8 || in->ns > 10 || in->ns < 1)
			return bad(v, "bad type or count of elements");
		if ((in->op == IR_OP_LD && !in->nd) || (in->op == IR_OP_ST && in->ns < 2))
			return bad(v, "no elements");
		if (in->space > IR_SPACE_FRAME)
			return bad(v, "no such space");
		break;
	case IR_OP_CALL:
	case IR_OP_CALL_INDIRECT:
	case IR_OP_CALL_BUILTIN:
		return check_call(v);
	case IR_OP_MBAR:
		return check_mbar(v);
	case IR_OP_CP_TENSOR:
		return check_tensor(v);
	case IR_OP_TENSORMAP:
		return in->sub <= IR_TENSORMAP_ATOMICITY ? 0 : bad(v, "no such field");
	case IR_OP_TEX:
	case IR_OP_TXQ:
	case IR_OP_ISTYPEP:
	case IR_OP_SULD:
	case IR_OP_SUST:
	case IR_OP_SURED:
		return check_texture(v);
	default:
		break;
	}
	return 0;
}

static int check_term(struct verify *v, const struct ir_block *b)
{
	v->in = NULL;
	switch (b->term) {
	case IR_TERM_BRANCH:
		if (b->pred >= v->func->nregs || v->func->regs[b->pred].type != IR_PRED)
			return bad(v, "branch on register %u, which is no predicate", b->pred);
		if (b->target[1] >= v->func->nblocks)
			return bad(v, "no block %u", b->target[1]);
		/* fall through */
	case IR_TERM_JUMP:
		return b->target[0] < v->func->nblocks ? 0 : bad(v, "no block %u", b->target[0]);
	case IR_TERM_SWITCH:
		if (b->pred >= v->func->nregs || ir_type_bits(v->func->regs[b->pred].type) != 32)
			return bad(v, "switch on register %u, which is not 32 bits wide", b->pred);
		if (!b->aux || !b->aux->count)
			return bad(v, "switch without targets");
		for (uint32_t i = 0; i < b->aux->count; i++)
			if (b->aux->targets[i] >= v->func->nblocks)
				return bad(v, "no block %u", b->aux->targets[i]);
		return 0;
	case IR_TERM_RET:
	case IR_TERM_EXIT:
		return 0;
	default:
		return bad(v, "no terminator %u", b->term);
	}
}

static int check_func(struct verify *v)
{
	const struct ir_func *f = v->func;
	int r;

	v->block = 0;
	v->in = NULL;
	if (!f->nblocks)
		return bad(v, "no blocks");
	for (uint32_t i = 0; i < f->nregs; i++)
		if (f->regs[i].type != IR_PRED &&
		    (ir_type_bits(f->regs[i].type) < 16 || ir_type_bits(f->regs[i].type) > 128))
			return bad(v, "register %u has no width", i);
	r = check_slots(v, f->params, f->nparams, "parameter");
	if (r == 0)
		r = check_slots(v, f->rets, f->nrets, "result");
	for (uint32_t b = 0; r == 0 && b < f->nblocks; b++) {
		v->block = b;
		for (uint32_t i = 0; r == 0 && i < f->blocks[b].count; i++) {
			v->in = &f->blocks[b].insts[i];
			r = check_inst(v);
		}
		if (r == 0)
			r = check_term(v, &f->blocks[b]);
	}
	return r;
}

int ir_verify(const struct ir_unit *unit, char *err, size_t err_bytes)
{
	struct verify v = { .unit = unit, .err = err, .err_bytes = err_bytes };

	if (!unit->nfuncs)
		return bad(&v, "no functions");
	for (uint32_t i = 0; i < unit->nfuncs; i++) {
		int r;

		v.func = unit->funcs[i];
		r = check_func(&v);
		if (r < 0)
			return r;
	}
	return 0;
}

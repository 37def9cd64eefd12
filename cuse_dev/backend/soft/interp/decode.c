/* SPDX-License-Identifier: MIT */
/*
 * decode.c - IR to the instruction stream: interp_prepare().
 *
 * Each IR instruction becomes one handler, or a short row of them: immediates that no handler takes
 * are put into a temporary register first, setp with a second result or a bool op is a comparison
 * and operations on predicates. What has no vector handler goes through rt_eval(), lane by lane.
 * Not here: where registers lie (alloc.c).
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/backend/soft/interp/alloc.h"
#include "cuse_dev/backend/soft/interp/code.h"
#include "cuse_dev/backend/soft/interp/matrix.h"
#include "cuse_dev/backend/soft/interp/vec.h"
#include "cuse_dev/base/arena.h"

#define TEMP_BYTES 256u
#define TEMPS	   8u

/* ---- the table of vector handlers, by what they do ------------------------------------------ */

enum fast_kind { FAST_UN, FAST_BIN, FAST_TER, FAST_CMP };

struct fast {
	uint16_t op;
	uint8_t type, type2, cmp, kind;
	bool comm, imm; /* may swap; has a handler with an immediate */
	uint32_t mods;
	uint16_t h; /* + 1: last source immediate; TER + 2: the middle one */
	uint8_t abits, bbits, cbits;
};

#define BITS(T) (sizeof(T) * 8)
/* clang-format off */
static const struct fast fasts[] = {
#define UN(name, OP, TYPE, TYPE2, MODS, D, A, expr)                                                \
	{ IR_OP_##OP, IR_##TYPE, IR_##TYPE2, 0, FAST_UN, 0, 0, MODS, VEC_##name, BITS(A), 0, 0 },
#define BIN2(name, OP, TYPE, TYPE2, MODS, D, A, B, COMM, expr) \
	{ IR_OP_##OP, IR_##TYPE, IR_##TYPE2, 0, FAST_BIN, COMM, 1, MODS, VEC_##name, BITS(A), BITS(B), 0 },
#define TER2(name, OP, TYPE, TYPE2, MODS, D, A, B, C, expr) \
	{ IR_OP_##OP, IR_##TYPE, IR_##TYPE2, 0, FAST_TER, 0, 1, MODS, VEC_##name, BITS(A), BITS(B), BITS(C) },
#define CMP(name, TYPE, C, A, expr)                                                                \
	{ IR_OP_SETP, IR_##TYPE, 0, IR_##C, FAST_CMP, 0, 1, 0, VEC_##name, BITS(A), BITS(A), 0 },
#define CMPZ(name, TYPE, C, A, expr)                                                               \
	{ IR_OP_SETP, IR_##TYPE, 0, IR_##C, FAST_CMP, 0, 1, M_FTZ, VEC_##name, BITS(A), BITS(A), 0 },
#define UNV(name, OP, TYPE, MODS, T, call)                                                         \
	{ IR_OP_##OP, IR_##TYPE, 0, 0, FAST_UN, 0, 0, MODS, VEC_##name, BITS(T), 0, 0 },
#define BINV(name, OP, TYPE, MODS, T, call)                                                        \
	{ IR_OP_##OP, IR_##TYPE, 0, 0, FAST_BIN, 0, 0, MODS, VEC_##name, BITS(T), BITS(T), 0 },
#include "cuse_dev/backend/soft/interp/fast.def"
};
/* clang-format on */

#define FASTS	  (sizeof(fasts) / sizeof(fasts[0]))
#define HASH_SIZE 2048u

static uint16_t fast_hash[HASH_SIZE]; /* index + 1, 0: free; written once */
static pthread_once_t fast_once = PTHREAD_ONCE_INIT;

static uint32_t hash_of(uint16_t op, uint8_t type, uint8_t type2, uint8_t cmp, uint32_t mods)
{
	uint64_t k = (uint64_t)op << 40 ^ (uint64_t)type << 32 ^ (uint64_t)type2 << 24 ^
		     (uint64_t)cmp << 16 ^ mods;

	return (uint32_t)(k * 0x9e3779b97f4a7c15ull >> 53) % HASH_SIZE;
}

static void fast_init(void)
{
	for (uint32_t i = 0; i < FASTS; i++) {
		const struct fast *f = &fasts[i];
		uint32_t h = hash_of(f->op, f->type, f->type2, f->cmp, f->mods);

		while (fast_hash[h])
			h = (h + 1) % HASH_SIZE;
		fast_hash[h] = (uint16_t)(i + 1);
	}
}

static uint8_t to_unsigned(uint8_t t)
{
	switch (t) {
	case IR_S16:
		return IR_U16;
	case IR_S32:
		return IR_U32;
	case IR_S64:
		return IR_U64;
	default:
		return t;
	}
}

static uint8_t to_bits(uint8_t t)
{
	switch (ir_type_bits(t)) {
	case 8:
	case 16:
		return IR_U16;
	case 32:
		return IR_U32;
	case 64:
		return IR_U64;
	default:
		return t;
	}
}

/* Types under which fast.def knows the instruction. */
static void normalise(const struct ir_inst *in, uint8_t *type, uint8_t *type2)
{
	bool ints = !ir_type_float(in->type) && !ir_type_float(in->type2);

	*type = in->type;
	*type2 = in->op == IR_OP_CVT || in->op == IR_OP_DP4A || in->op == IR_OP_SLCT ? in->type2
										     : IR_NONE;
	switch (in->op) {
	case IR_OP_ADD:
	case IR_OP_SUB:
	case IR_OP_MUL:
	case IR_OP_MAD:
	case IR_OP_AND:
	case IR_OP_OR:
	case IR_OP_XOR:
	case IR_OP_NOT:
	case IR_OP_CNOT:
	case IR_OP_SHL:
	case IR_OP_POPC:
	case IR_OP_CLZ:
	case IR_OP_BREV:
	case IR_OP_PRMT:
	case IR_OP_SHF_L:
	case IR_OP_SHF_R:
		*type = to_unsigned(in->type);
		break;
	case IR_OP_MOV:
	case IR_OP_SELP:
	case IR_OP_SLCT:
		*type = to_bits(in->type);
		break;
	case IR_OP_CVT:
		if (ints && ir_type_bits(in->type) > 8)
			*type = to_unsigned(in->type);
		if (ints && ir_type_bits(in->type) <= ir_type_bits(in->type2) && in->type2 != IR_S8)
			*type2 = to_unsigned(in->type2);
		break;
	default:
		break;
	}
}

static uint32_t mods_of(const struct ir_inst *in)
{
	return in->round | (in->ftz ? M_FTZ : 0) | (in->sat ? M_SAT : 0) | (in->nan ? M_NAN : 0) |
	       (in->relu ? M_RELU : 0) | (in->xorsign ? M_XORS : 0) |
	       (in->integer_round ? M_INT : 0) | M_SUB(in->sub);
}

static const struct fast *fast_find(const struct ir_inst *in)
{
	uint8_t type, type2, cmp = in->op == IR_OP_SETP ? in->cmp : 0;
	uint32_t mods = mods_of(in), h;

	pthread_once(&fast_once, fast_init);
	normalise(in, &type, &type2);
	for (h = hash_of(in->op, type, type2, cmp, mods); fast_hash[h]; h = (h + 1) % HASH_SIZE) {
		const struct fast *f = &fasts[fast_hash[h] - 1];

		if (f->op == in->op && f->type == type && f->type2 == type2 && f->cmp == cmp &&
		    f->mods == mods)
			return f;
	}
	return NULL;
}

/* ---- the decoder ---------------------------------------------------------------------------- */

struct dec {
	struct base_arena *arena, *tmp;
	const struct ir_unit *unit;
	const struct ir_func *f;
	struct interp_code *code;
	struct interp_func *out;
	const interp_fn *vec;
	int32_t *off;
	struct interp_inst *insts; /* in tmp, grows */
	size_t cap;
	uint32_t n;
	uint32_t *seg_at; /* segment: instruction */
	size_t seg_cap;
	uint32_t nsegs;
	uint32_t *block_seg;
	uint32_t here;	    /* segment being decoded */
	uint32_t temp_base; /* of the vector temporaries */
	uint32_t temp_used, temp_most;
	uint32_t pred_used;
	struct {
		uint32_t reg, size; /* size 0: free */
		uint8_t space;
	} notes[INTERP_NOTES];
	uint32_t next_note;
	const struct ir_inst *in;
	uint32_t line;
	bool loops;
	bool bridge; /* registers lie in slots */
	char *err;
	size_t err_bytes;
	int error;
};

__attribute__((format(printf, 2, 3))) static void fail(struct dec *d, const char *fmt, ...)
{
	va_list ap;
	int n = 0;

	if (d->error)
		return;
	d->error = -EINVAL;
	if (!d->err_bytes)
		return;
	if (d->in)
		n = snprintf(d->err, d->err_bytes, "%u:%u: %s: ", d->in->line, d->in->column,
			     ir_op_text(d->in->op));
	va_start(ap, fmt);
	if (n >= 0 && (size_t)n < d->err_bytes)
		vsnprintf(d->err + n, d->err_bytes - (size_t)n, fmt, ap);
	va_end(ap);
}

/* The next instruction, zeroed; a dummy after an error. Valid until the next emit(). */
static struct interp_inst *emit(struct dec *d, interp_fn fn)
{
	static const struct interp_inst zero = {
		.d = NO_REG, .a = NO_REG, .b = NO_REG, .c = NO_REG, .e = NO_REG
	};
	struct interp_inst *p = arena_grow(d->tmp, d->insts, &d->cap, (size_t)d->n + 2, sizeof(*p));

	if (!p) {
		if (!d->error)
			d->error = -ENOMEM;
		d->n = 0;
		if (!d->insts)
			return NULL;
	} else {
		d->insts = p;
	}
	p = &d->insts[d->n++];
	*p = zero;
	p->fn = fn;
	p->line = d->line;
	p->here = d->here;
	return p;
}

static struct interp_inst *emit_vec(struct dec *d, uint32_t h)
{
	return emit(d, d->vec[h]);
}

static uint32_t new_seg(struct dec *d)
{
	uint32_t *p = arena_grow(d->tmp, d->seg_at, &d->seg_cap, (size_t)d->nsegs + 1, sizeof(*p));

	if (!p) {
		d->error = d->error ? d->error : -ENOMEM;
		return 0;
	}
	d->seg_at = p;
	d->seg_at[d->nsegs] = NO_SEG;
	return d->nsegs++;
}

static void place_seg(struct dec *d, uint32_t seg)
{
	if (d->error)
		return;
	d->seg_at[seg] = d->n;
	d->here = seg;
	memset(d->notes, 0, sizeof(d->notes)); /* other lanes may come */
}

static uint32_t reg_bits(const struct dec *d, uint32_t reg)
{
	return ir_type_bits(d->f->regs[reg].type);
}

static int32_t dst_off(const struct dec *d, uint32_t i)
{
	const struct ir_operand *o = &d->in->opnd[i];

	return o->kind == IR_OPND_REG ? d->off[o->reg] : NO_REG;
}

static const struct ir_operand *src(const struct dec *d, uint32_t i)
{
	return &d->in->opnd[d->in->nd + i];
}

static int32_t temp_vec(struct dec *d)
{
	uint32_t t = d->temp_used++;

	if (t >= TEMPS)
		fail(d, "too many temporaries");
	if (d->temp_used > d->temp_most)
		d->temp_most = d->temp_used;
	return (int32_t)(d->temp_base + t * TEMP_BYTES);
}

static int32_t temp_pred(struct dec *d)
{
	uint32_t t = d->pred_used++;

	if (t >= ALLOC_TEMP_PREDS)
		fail(d, "too many temporaries");
	return (int32_t)(t * 4);
}

static void emit_bcast(struct dec *d, int32_t off, uint32_t bits, uint64_t imm)
{
	struct interp_inst *p = emit_vec(d, bits == 16	 ? VEC_X_bcast_16
					    : bits == 32 ? VEC_X_bcast_32
							 : VEC_X_bcast_64);

	if (!p)
		return;
	p->d = off;
	p->imm = imm;
}

/* A source as a vector register; immediates are put into a temporary. */
static int32_t vec_src(struct dec *d, uint32_t i, uint32_t bits)
{
	const struct ir_operand *o = src(d, i);
	int32_t t;

	if (o->kind == IR_OPND_REG)
		return d->off[o->reg];
	t = temp_vec(d);
	emit_bcast(d, t, bits, o->imm);
	return t;
}

static int32_t pred_src(struct dec *d, uint32_t i)
{
	const struct ir_operand *o = src(d, i);
	struct interp_inst *p;
	int32_t t;

	if (o->kind == IR_OPND_REG)
		return d->off[o->reg];
	t = temp_pred(d);
	p = emit_vec(d, VEC_X_pimm);
	if (p) {
		p->d = t;
		p->imm = o->imm;
	}
	return t;
}

static void emit_pred(struct dec *d, uint32_t h, int32_t dst, int32_t a, int32_t b)
{
	struct interp_inst *p = emit_vec(d, h);

	if (!p)
		return;
	p->d = dst;
	p->a = a;
	p->b = b;
}

/* Everything about the instruction, for handlers that look at it themselves. */
static struct interp_ext *make_ext(struct dec *d)
{
	const struct ir_inst *in = d->in;
	struct interp_ext *x = arena_alloc(d->arena, sizeof(*x));
	uint32_t n = (uint32_t)in->nd + in->ns;

	if (!x) {
		d->error = d->error ? d->error : -ENOMEM;
		return NULL;
	}
	x->ir = *in;
	x->ir.opnd = NULL;
	x->ir.aux = NULL;
	x->opnd = arena_alloc(d->arena, n * sizeof(*x->opnd) + 1);
	if (!x->opnd) {
		d->error = d->error ? d->error : -ENOMEM;
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct ir_operand *o = &in->opnd[i];

		x->opnd[i].off = o->kind == IR_OPND_REG ? d->off[o->reg] : NO_REG;
		x->opnd[i].bits = o->kind == IR_OPND_REG ? reg_bits(d, o->reg) : 0;
		x->opnd[i].imm = o->kind == IR_OPND_IMM ? o->imm : 0;
	}
	return x;
}

static struct interp_inst *emit_ext(struct dec *d, interp_fn fn)
{
	const struct interp_ext *x = make_ext(d);
	struct interp_inst *p = emit(d, fn);

	if (p)
		p->ext = x;
	return p;
}

/* ---- computing ------------------------------------------------------------------------------- */

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
			off[i] = vec_src(d, order[i], bits[i]);
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
	f = in->boolop <= IR_BOOL_XOR ? fast_find(&plain) : NULL;
	if (!f)
		return false;
	if (!combined && q == NO_REG) {
		if (p != NO_REG)
			decode_fast(d, f, p);
		return true;
	}
	raw = temp_pred(d);
	decode_fast(d, f, raw);
	if (combined)
		c = pred_src(d, 2);
	if (q != NO_REG) {
		other = temp_pred(d);
		emit_pred(d, VEC_X_pnot, other, raw, NO_REG);
		if (combined)
			emit_pred(d, ops[in->boolop], other, other, c);
		if (combined && p != NO_REG)
			emit_pred(d, ops[in->boolop], raw, raw, c);
		emit_pred(d, VEC_X_pmov, q, other, NO_REG);
		if (p != NO_REG)
			emit_pred(d, VEC_X_pmov, p, raw, NO_REG);
	} else if (p != NO_REG) {
		emit_pred(d, ops[in->boolop], p, raw, c);
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
		int32_t a = pred_src(d, 0), b = d->in->ns > 1 ? pred_src(d, 1) : NO_REG;

		emit_pred(d, h, dst_off(d, 0), a, b);
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
	a = vec_src(d, 0, bits);
	b = vec_src(d, 1, bits);
	c = pred_src(d, 2);
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
		s[i] = vec_src(d, i, 32);
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
		a = vec_src(d, 0, bits / 2);
		b = vec_src(d, 1, bits / 2);
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
	a = vec_src(d, 0, bits);
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
		s[i] = vec_src(d, i, 32);
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
	a = vec_src(d, 0, bits);
	b = vec_src(d, 1, bits);
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
		p->d = temp_vec(d);
		p->a = a;
		p->b = b;
		a = p->d;
		b = vec_src(d, 2, bits);
	}
	c = pred_src(d, mad ? 3 : 2);
	if (dst == NO_REG)
		dst = temp_vec(d);
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

static bool decode_compute(struct dec *d)
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
			emit_bcast(d, dst_off(d, 0), reg_bits(d, in->opnd[0].reg), src(d, 0)->imm);
			return true;
		}
		break;
	default:
		break;
	}
	f = fast_find(in);
	if (!f || (in->op == IR_OP_CVT && in->ns != (f->kind == FAST_UN ? 1 : 2)))
		return false;
	decode_fast(d, f, dst_off(d, 0));
	return true;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static uint32_t load_handler(const struct ir_inst *in, uint32_t to)
{
	uint32_t from = ir_type_bits(in->type);
	bool sign = ir_type_signed(in->type);

	switch (from << 8 | to) {
	case 8 << 8 | 16:
		return sign ? VEC_X_ld_8_s16 : VEC_X_ld_8_u16;
	case 8 << 8 | 32:
		return sign ? VEC_X_ld_8_s32 : VEC_X_ld_8_u32;
	case 8 << 8 | 64:
		return sign ? VEC_X_ld_8_s64 : VEC_X_ld_8_u64;
	case 16 << 8 | 16:
		return VEC_X_ld_16_u16;
	case 16 << 8 | 32:
		return sign ? VEC_X_ld_16_s32 : VEC_X_ld_16_u32;
	case 16 << 8 | 64:
		return sign ? VEC_X_ld_16_s64 : VEC_X_ld_16_u64;
	case 32 << 8 | 32:
		return VEC_X_ld_32_u32;
	case 32 << 8 | 64:
		return sign ? VEC_X_ld_32_s64 : VEC_X_ld_32_u64;
	case 64 << 8 | 64:
		return VEC_X_ld_64_u64;
	default:
		return VEC_COUNT;
	}
}

static uint32_t store_handler(uint32_t to, uint32_t from)
{
	switch (to << 8 | from) {
	case 8 << 8 | 16:
		return VEC_X_st_8_16;
	case 8 << 8 | 32:
		return VEC_X_st_8_32;
	case 8 << 8 | 64:
		return VEC_X_st_8_64;
	case 16 << 8 | 16:
		return VEC_X_st_16_16;
	case 16 << 8 | 32:
		return VEC_X_st_16_32;
	case 16 << 8 | 64:
		return VEC_X_st_16_64;
	case 32 << 8 | 32:
		return VEC_X_st_32_32;
	case 32 << 8 | 64:
		return VEC_X_st_32_64;
	case 64 << 8 | 64:
		return VEC_X_st_64_64;
	default:
		return VEC_COUNT;
	}
}

/* The address and what is common to loads, stores and atomics. */
static void set_place(struct dec *d, struct interp_inst *p, uint32_t elems, uint32_t bytes,
		      const struct ir_operand *a)
{
	const struct ir_inst *in = d->in;

	if (!p)
		return;
	p->n = (uint8_t)elems;
	p->bytes = (uint8_t)bytes;
	p->space = in->space;
	p->imm = (uint64_t)in->offset;
	if (a->kind == IR_OPND_REG) {
		p->a = d->off[a->reg];
		if (reg_bits(d, a->reg) == 64)
			p->flags |= INTERP_ADDR64;
		else if (reg_bits(d, a->reg) != 32)
			fail(d, "an address has 32 or 64 bits");
	} else {
		p->imm += a->imm;
		p->flags |= INTERP_ADDR0;
		if (in->space == IR_SPACE_PARAM &&
		    (p->imm > d->unit->param_bytes ||
		     (uint64_t)p->n * p->bytes > d->unit->param_bytes - p->imm ||
		     p->imm % ((uint64_t)p->n * p->bytes)))
			fail(d, "outside of the parameters");
	}
	if (in->sem >= IR_SEM_VOLATILE)
		p->flags |= INTERP_POLL;
}

static void set_address(struct dec *d, struct interp_inst *p, uint32_t elems)
{
	set_place(d, p, elems, ir_type_bits(d->in->type) / 8, src(d, 0));
}

/* A vector access that other threads may watch: its elements must move together. */
static bool moves_whole(const struct ir_inst *in, uint32_t n)
{
	return n > 1 && in->sem >= IR_SEM_VOLATILE && n * ir_type_bits(in->type) <= 256;
}

/* Who else uses this register as an address? Guards let fewer lanes run and so take no part. */
static void set_note(struct dec *d, struct interp_inst *p)
{
	const struct ir_operand *a = src(d, 0);
	uint32_t size = (uint32_t)p->n * p->bytes, i;

	if (a->kind != IR_OPND_REG || d->in->guard >= 0)
		return;
	for (i = 0; i < INTERP_NOTES; i++) {
		if (d->notes[i].size == size && d->notes[i].reg == a->reg &&
		    d->notes[i].space == p->space) {
			p->e = (int32_t)i;
			return;
		}
	}
	i = d->next_note++ % INTERP_NOTES;
	d->notes[i].reg = a->reg;
	d->notes[i].size = size;
	d->notes[i].space = p->space;
	p->e = (int32_t)i | INTERP_NOTE_FIRST;
}

/* Registers that an instruction has written. */
static void drop_notes(struct dec *d)
{
	for (uint32_t k = 0; k < d->in->nd; k++)
		for (uint32_t i = 0; i < INTERP_NOTES; i++)
			if (d->in->opnd[k].kind == IR_OPND_REG &&
			    d->notes[i].reg == d->in->opnd[k].reg)
				d->notes[i].size = 0;
}

/* The elements of a vector access: one width for all of them. */
static uint32_t elem_bits(struct dec *d, uint32_t from, uint32_t n)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct ir_operand *o = &d->in->opnd[from + i];

		if (o->kind != IR_OPND_REG)
			continue;
		if (bits && bits != reg_bits(d, o->reg))
			fail(d, "elements of different widths");
		bits = reg_bits(d, o->reg);
	}
	return bits;
}

static void decode_load(struct dec *d)
{
	const struct ir_inst *in = d->in;
	uint32_t bits = elem_bits(d, 0, in->nd), n = in->nd, h;
	int32_t nowhere = NO_REG;
	struct interp_inst *p;

	if (!n || (n & (n - 1)))
		fail(d, "1, 2, 4 or 8 elements");
	if (!bits)
		bits = ir_type_bits(in->type) < 16 ? 16 : ir_type_bits(in->type);
	if (ir_type_bits(in->type) == 128) {
		p = emit_ext(d, interp_op_mem128);
	} else if (moves_whole(in, n)) {
		set_address(d, emit_ext(d, interp_op_mem_whole), n);
		return;
	} else {
		h = load_handler(in, bits);
		if (h == VEC_COUNT) {
			fail(d, "a load of %u bits into %u", ir_type_bits(in->type), bits);
			return;
		}
		/* Without a register it still has to fault. */
		if (n == 1 && dst_off(d, 0) == NO_REG)
			nowhere = temp_vec(d);
		p = n > 1 ? emit_ext(d, d->vec[h]) : emit_vec(d, h);
		if (p)
			p->d = n == 1 && dst_off(d, 0) == NO_REG ? nowhere : dst_off(d, 0);
	}
	set_address(d, p, n);
	if (p && p->fn != interp_op_mem128)
		set_note(d, p);
}

static void decode_store(struct dec *d)
{
	const struct ir_inst *in = d->in;
	uint32_t size = ir_type_bits(in->type), n = (uint32_t)in->ns - 1, bits, h;
	struct interp_ext *x;
	struct interp_inst *p;

	if (!n || (n & (n - 1)))
		fail(d, "1, 2, 4 or 8 elements");
	bits = elem_bits(d, in->nd + 1u, n);
	if (!bits)
		bits = size < 16 ? 16 : size;
	if (size == 128) {
		p = emit_ext(d, interp_op_mem128);
		set_address(d, p, n);
		return;
	}
	if (moves_whole(in, n)) {
		set_address(d, emit_ext(d, interp_op_mem_whole), n);
		return;
	}
	h = store_handler(size, bits);
	if (h == VEC_COUNT) {
		fail(d, "a store of %u bits from %u", size, bits);
		return;
	}
	x = make_ext(d);
	if (!x)
		return;
	/* Immediates need a place each; equal ones share it. */
	for (uint32_t i = 1; i <= n; i++) {
		uint32_t k;

		for (k = 1; k < i; k++)
			if (src(d, k)->kind == IR_OPND_IMM && src(d, k)->imm == src(d, i)->imm)
				break;
		if (src(d, i)->kind == IR_OPND_REG)
			x->opnd[i - 1].off = d->off[src(d, i)->reg];
		else if (k < i)
			x->opnd[i - 1].off = x->opnd[k - 1].off;
		else
			x->opnd[i - 1].off = vec_src(d, i, bits);
	}
	p = emit_vec(d, h);
	if (p) {
		p->d = x->opnd[0].off;
		p->ext = x;
	}
	set_address(d, p, n);
	if (p)
		set_note(d, p);
}

static void decode_atom(struct dec *d)
{
	const struct ir_inst *in = d->in;
	uint32_t per = in->sub == IR_ATOM_CAS ? 2 : 1, n = ((uint32_t)in->ns - 1) / per;
	struct interp_inst *p;

	if (!n || (uint32_t)in->ns != 1 + n * per || (n & (n - 1)) || (in->nd && in->nd != n))
		fail(d, "wrong number of operands");
	if (ir_type_bits(in->type) == 8)
		fail(d, "no atomics on bytes");
	p = emit_ext(d, interp_op_atom);
	set_address(d, p, n);
	if (p && in->op == IR_OP_ATOM && (in->sub == IR_ATOM_CAS || in->sub == IR_ATOM_EXCH))
		p->flags |= INTERP_POLL;
}

/* Moves between generic addresses and a space are additions. */
static bool decode_cvta(struct dec *d)
{
	const struct ir_inst *in = d->in;
	bool to = in->op == IR_OP_CVTA_TO;
	uint64_t base = 0;
	struct interp_inst *p;
	int32_t a;

	if (in->opnd[0].kind != IR_OPND_REG)
		return true;
	if (reg_bits(d, in->opnd[0].reg) != 64 ||
	    (src(d, 0)->kind == IR_OPND_REG && reg_bits(d, src(d, 0)->reg) != 64))
		return false;
	switch (in->space) {
	case IR_SPACE_SHARED:
		base = IR_SHARED_APERTURE;
		break;
	case IR_SPACE_LOCAL:
		base = IR_LOCAL_APERTURE;
		break;
	case IR_SPACE_PARAM:
		base = IR_PARAM_APERTURE;
		break;
	case IR_SPACE_FRAME:
		return false;
	default:
		break;
	}
	a = vec_src(d, 0, 64);
	p = emit_vec(d, base ? VEC_add_u64_i : VEC_mov_64);
	if (p) {
		p->d = dst_off(d, 0);
		p->a = a;
		p->imm = to ? -base : base;
	}
	return true;
}

/* ---- whole warp and control ------------------------------------------------------------------ */

/* Which source is the mask of members, or -1. */
static int member_source(const struct ir_inst *in)
{
	switch (in->op) {
	case IR_OP_SHFL:
		return 3;
	case IR_OP_VOTE:
	case IR_OP_MATCH_ANY:
	case IR_OP_MATCH_ALL:
	case IR_OP_REDUX:
		return 1;
	case IR_OP_ELECT:
	case IR_OP_WARP_SYNC:
		return 0;
	default:
		return ir_op_is_matrix(in->op) ? 0 : -1;
	}
}

static void decode_shfl(struct dec *d)
{
	int32_t a = vec_src(d, 0, 32), b = vec_src(d, 1, 32), c = vec_src(d, 2, 32);
	struct interp_inst *p = emit_vec(d, VEC_X_shfl);

	if (!p)
		return;
	p->d = dst_off(d, 0);
	p->e = dst_off(d, 1);
	p->a = a;
	p->b = b;
	p->c = c;
	p->imm = d->in->sub;
}

static void decode_vote(struct dec *d)
{
	int32_t a = pred_src(d, 0), b = NO_REG;
	struct interp_inst *p;

	if (src(d, 1)->kind != IR_OPND_NONE)
		b = vec_src(d, 1, 32);
	p = emit_vec(d, VEC_X_vote);
	if (!p)
		return;
	p->d = dst_off(d, 0);
	p->a = a;
	p->b = b;
	p->imm = d->in->sub;
}

static const struct rt_mma_ops *mma_ops(const interp_fn *handlers)
{
	if (handlers == interp_vec_handlers())
		return rt_mma_ops();
#ifdef __x86_64__
	if (handlers == interp_vec_avx512)
		return &rt_mma_avx512;
	if (handlers == interp_vec_avx2)
		return &rt_mma_avx2;
#endif
	return &rt_mma_sse2;
}

/* 32 lanes of an immediate, as a register would hold them. */
static const void *fixed_lanes(struct dec *d, const struct ir_operand *o)
{
	bool wide = d->in->aux->mma.a == IR_MAT_F64;
	uint32_t *p = arena_alloc(d->arena, 2 * LANES_N * sizeof(*p));

	for (uint32_t i = 0; p && i < 2 * LANES_N; i++)
		p[i] = (uint32_t)(wide && i % 2 ? o->imm >> 32 : o->imm);
	return p;
}

static void decode_matrix(struct dec *d)
{
	static const interp_fn fns[] = {
		[IR_OP_MMA - IR_OP_MMA] = interp_op_mma,
		[IR_OP_LDMATRIX - IR_OP_MMA] = interp_op_ldmatrix,
		[IR_OP_STMATRIX - IR_OP_MMA] = interp_op_stmatrix,
		[IR_OP_MOVMATRIX - IR_OP_MMA] = interp_op_movmatrix,
		[IR_OP_WMMA_LD - IR_OP_MMA] = interp_op_wmma_ld,
		[IR_OP_WMMA_ST - IR_OP_MMA] = interp_op_wmma_st,
		[IR_OP_WGMMA - IR_OP_MMA] = interp_op_wgmma,
	};
	const struct ir_inst *in = d->in;
	uint32_t n = (uint32_t)in->nd + in->ns;
	struct interp_mma *m = arena_alloc(d->arena, sizeof(*m));
	struct interp_ext *x = make_ext(d);
	struct interp_inst *p;

	if (m)
		m->fixed = arena_alloc(d->arena, n * sizeof(*m->fixed));
	if (!m || !x || !m->fixed) {
		d->error = d->error ? d->error : -ENOMEM;
		return;
	}
	m->x = in->aux->mma;
	ir_mma_valid(in->op, &m->x, &m->regs);
	m->ops = mma_ops(d->vec);
	x->mma = m;
	for (uint32_t i = in->nd; i < n; i++) {
		if (in->opnd[i].kind == IR_OPND_REG)
			continue;
		m->fixed[i] = fixed_lanes(d, &in->opnd[i]);
		if (!m->fixed[i])
			d->error = d->error ? d->error : -ENOMEM;
	}
	p = emit(d, fns[in->op - IR_OP_MMA]);
	if (p)
		p->ext = x;
	if (in->op == IR_OP_LDMATRIX || in->op == IR_OP_STMATRIX)
		set_place(d, p, 1, 16, src(d, 1));
	else if (in->op == IR_OP_WMMA_LD || in->op == IR_OP_WMMA_ST)
		set_place(d, p, 1, 1, src(d, 1));
	else if (in->op == IR_OP_WGMMA && p)
		p->space = in->space;
}

/* Instructions at which lanes wait for others of their warp. */
static void decode_warp_op(struct dec *d)
{
	int m = member_source(d->in);
	struct interp_inst *p;

	if (m >= 0 && src(d, (uint32_t)m)->kind != IR_OPND_NONE) {
		uint32_t at = new_seg(d);
		const struct ir_operand *o = src(d, (uint32_t)m);

		place_seg(d, at);
		p = emit(d, interp_op_sync);
		if (p) {
			p->seg = at;
			p->a = o->kind == IR_OPND_REG ? d->off[o->reg] : NO_REG;
			p->imm = o->imm;
		}
	}
	if (d->in->op == IR_OP_SHFL)
		decode_shfl(d);
	else if (d->in->op == IR_OP_VOTE)
		decode_vote(d);
	else if (ir_op_is_matrix(d->in->op))
		decode_matrix(d);
	else if (d->in->op != IR_OP_WARP_SYNC)
		emit_ext(d, interp_op_misc);
}

static bool copy_slots(struct dec *d, const struct ir_slot *from, uint32_t n, struct ir_slot **ret)
{
	*ret = arena_alloc(d->arena, n * sizeof(**ret) + 1);
	if (!*ret) {
		d->error = d->error ? d->error : -ENOMEM;
		return false;
	}
	if (n)
		memcpy(*ret, from, n * sizeof(**ret));
	return true;
}

static void decode_call(struct dec *d, uint32_t after)
{
	const struct ir_inst *in = d->in;
	struct interp_ext *x = make_ext(d);
	struct interp_inst *p;

	if (!x || !copy_slots(d, in->aux->args, in->aux->count, &x->args) ||
	    !copy_slots(d, in->aux->rets, in->aux->nrets, &x->rets))
		return;
	x->nargs = in->aux->count;
	x->nrets = in->aux->nrets;
	p = emit(d, in->op == IR_OP_CALL ? interp_call : interp_call_indirect);
	if (p) {
		p->ext = x;
		p->imm = in->aux->func;
		p->seg = after;
	}
}

static void decode_builtin(struct dec *d)
{
	const struct ir_inst *in = d->in;
	struct interp_ext *x = make_ext(d);
	struct interp_inst *p;

	if (!x || !copy_slots(d, in->aux->args, in->aux->count, &x->args) ||
	    !copy_slots(d, in->aux->rets, in->aux->nrets, &x->rets))
		return;
	x->nargs = in->aux->count;
	x->nrets = in->aux->nrets;
	p = emit(d, interp_op_builtin);
	if (p) {
		p->ext = x;
		p->imm = in->aux->func;
	}
}

static bool stops_lanes(const struct ir_inst *in)
{
	switch (in->op) {
	case IR_OP_CALL:
	case IR_OP_CALL_INDIRECT:
	case IR_OP_BAR:
	case IR_OP_CLUSTER_WAIT:
		return true;
	default:
		return member_source(in) >= 0;
	}
}

/* Operations after which lanes go on elsewhere or later: they stand on their own, with segments. */
static void decode_stopping(struct dec *d)
{
	const struct ir_inst *in = d->in;
	uint32_t around = 0, after;
	struct interp_inst *p;

	if (in->guard >= 0) {
		uint32_t at = new_seg(d);

		around = d->n;
		p = emit_vec(d, VEC_X_branch);
		if (!p)
			return;
		p->a = d->off[in->guard];
		p->flags = in->guard_not ? INTERP_NOT : 0;
		p->seg = at;
		place_seg(d, at);
	}
	if (member_source(in) >= 0) {
		decode_warp_op(d);
		if (in->guard < 0)
			return;
		after = new_seg(d);
	} else {
		after = new_seg(d);
		if (in->op == IR_OP_CALL || in->op == IR_OP_CALL_INDIRECT) {
			decode_call(d, after);
		} else {
			p = emit_ext(d,
				     in->op == IR_OP_BAR ? interp_op_bar : interp_op_cluster_wait);
			if (p)
				p->seg = after;
		}
	}
	if (in->guard >= 0) {
		d->insts[around].seg2 = after;
		p = emit_vec(d, VEC_X_jump);
		if (p)
			p->seg = after;
	}
	place_seg(d, after);
}

/* imm: which of the sources that may be absent are there, as bits 1, 2, 4. */
static void decode_async(struct dec *d, uint32_t a, uint32_t b, uint32_t c)
{
	const uint32_t maybe[] = { a, b, c };
	struct interp_inst *p = emit_ext(d, interp_op_async);

	for (uint32_t i = 0; p && i < 3; i++)
		if (maybe[i] < d->in->ns && src(d, maybe[i])->kind != IR_OPND_NONE)
			p->imm |= 1u << i;
}

static const interp_fn texture_handlers[] = {
	[IR_OP_TEX - IR_OP_TEX] = interp_op_tex,
	[IR_OP_TXQ - IR_OP_TEX] = interp_op_txq,
	[IR_OP_ISTYPEP - IR_OP_TEX] = interp_op_istypep,
	[IR_OP_SULD - IR_OP_TEX] = interp_op_suld,
	[IR_OP_SUST - IR_OP_TEX] = interp_op_sust,
	[IR_OP_SURED - IR_OP_TEX] = interp_op_sured,
};

static void decode_plain(struct dec *d)
{
	const struct ir_inst *in = d->in;
	struct interp_inst *p;

	switch (in->op) {
	case IR_OP_LD:
		decode_load(d);
		if (in->sem == IR_SEM_ACQUIRE || in->sem == IR_SEM_SC)
			emit(d, interp_op_fence);
		return;
	case IR_OP_ST:
		if (in->sem == IR_SEM_RELEASE || in->sem == IR_SEM_SC)
			emit(d, interp_op_fence);
		decode_store(d);
		return;
	case IR_OP_ATOM:
	case IR_OP_RED:
		decode_atom(d);
		return;
	case IR_OP_CVTA:
	case IR_OP_CVTA_TO:
		if (decode_cvta(d))
			return;
		break;
	case IR_OP_CALL_BUILTIN:
		decode_builtin(d);
		return;
	case IR_OP_SREG:
		if (in->sub <= IR_SREG_TID_Z && dst_off(d, 0) != NO_REG &&
		    reg_bits(d, in->opnd[0].reg) == 32) {
			p = emit_vec(d, VEC_X_tid);
			if (p) {
				p->d = dst_off(d, 0);
				p->imm = in->sub - IR_SREG_TID_X;
			}
			return;
		}
		p = emit_ext(d, interp_op_sreg);
		if (p)
			p->d = dst_off(d, 0);
		return;
	case IR_OP_FENCE:
		emit(d, interp_op_fence);
		return;
	case IR_OP_CP_ASYNC:
		decode_async(d, 5, 6, 8);
		return;
	case IR_OP_CP_BULK:
	case IR_OP_RED_BULK:
		decode_async(d, 5, 7, 8);
		return;
	case IR_OP_CP_TENSOR:
		p = emit_ext(d, interp_op_tensor);
		if (p)
			p->imm = src(d, in->ns - 1u)->kind != IR_OPND_NONE;
		return;
	case IR_OP_TENSORMAP:
		emit_ext(d, interp_op_tensor);
		return;
	case IR_OP_MBAR:
	case IR_OP_FILL_BULK:
	case IR_OP_MAPA:
	case IR_OP_CTARANK:
	case IR_OP_TRY_CANCEL:
		emit_ext(d, interp_op_async);
		return;
	case IR_OP_PREFETCH:
	case IR_OP_PMEVENT:
		return;
	default:
		break;
	}
	if (in->op >= IR_OP_TEX && in->op <= IR_OP_SURED)
		emit_ext(d, texture_handlers[in->op - IR_OP_TEX]);
	else if (in->op >= IR_OP_FRAME_ADDR)
		emit_ext(d, interp_op_misc);
	else if (!decode_compute(d))
		emit_ext(d, interp_op_eval);
}

static void decode_inst(struct dec *d)
{
	const struct ir_inst *in = d->in;
	uint32_t guard = d->n;
	struct interp_inst *p;

	d->temp_used = 0;
	d->pred_used = 0;
	d->line = in->line;
	if (stops_lanes(in)) {
		decode_stopping(d);
		memset(d->notes, 0, sizeof(d->notes));
		return;
	}
	if (in->guard >= 0) {
		p = emit_vec(d, VEC_X_guard);
		if (!p)
			return;
		p->a = d->off[in->guard];
		p->flags = in->guard_not ? INTERP_NOT : 0;
	}
	decode_plain(d);
	if (in->guard >= 0 && !d->error)
		d->insts[guard].imm = d->n - guard - 1;
	drop_notes(d);
}

static uint32_t target(struct dec *d, uint32_t from, uint32_t to)
{
	if (to <= from)
		d->loops = true;
	return d->block_seg[to];
}

static void decode_term(struct dec *d, uint32_t b, const uint32_t *preds)
{
	const struct ir_block *blk = &d->f->blocks[b];
	struct interp_ext *x;
	struct interp_inst *p;

	d->in = NULL;
	d->line = blk->count ? blk->insts[blk->count - 1].line : blk->line;
	switch (blk->term) {
	case IR_TERM_JUMP:
		if (blk->target[0] == b + 1 && preds[b + 1] == 1)
			return; /* falls through; nobody else waits there */
		p = emit_vec(d, VEC_X_jump);
		if (p)
			p->seg = target(d, b, blk->target[0]);
		return;
	case IR_TERM_BRANCH:
		p = emit_vec(d, VEC_X_branch);
		if (!p)
			return;
		p->a = d->off[blk->pred];
		p->flags = blk->pred_not ? INTERP_NOT : 0;
		p->seg = target(d, b, blk->target[0]);
		p->seg2 = target(d, b, blk->target[1]);
		return;
	case IR_TERM_SWITCH:
		x = arena_alloc(d->arena, sizeof(*x));
		p = emit(d, interp_op_switch);
		if (!p || !x)
			return;
		p->ext = x;
		p->a = d->off[blk->pred];
		x->count = blk->aux->count;
		x->targets = arena_alloc(d->arena, x->count * sizeof(*x->targets));
		for (uint32_t i = 0; x->targets && i < x->count; i++)
			x->targets[i] = target(d, b, blk->aux->targets[i]);
		if (!x->targets)
			d->error = -ENOMEM;
		return;
	case IR_TERM_RET:
		emit(d, interp_ret);
		return;
	default:
		emit(d, interp_exit);
		return;
	}
}

/* How many ways lead to each block. */
static uint32_t *count_preds(struct dec *d)
{
	uint32_t *n = arena_alloc(d->tmp, ((size_t)d->f->nblocks + 1) * sizeof(*n));

	for (uint32_t b = 0; n && b < d->f->nblocks; b++) {
		const struct ir_block *blk = &d->f->blocks[b];

		if (blk->term == IR_TERM_JUMP || blk->term == IR_TERM_BRANCH)
			n[blk->target[0]]++;
		if (blk->term == IR_TERM_BRANCH)
			n[blk->target[1]]++;
		for (uint32_t i = 0; blk->term == IR_TERM_SWITCH && i < blk->aux->count; i++)
			n[blk->aux->targets[i]]++;
	}
	return n;
}

static int finish_func(struct dec *d)
{
	struct interp_func *o = d->out;

	o->insts = arena_alloc(d->arena, ((size_t)d->n + 1) * sizeof(*o->insts) + 64);
	o->segs = arena_alloc(d->arena, (size_t)d->nsegs * sizeof(*o->segs));
	if (!o->insts || !o->segs)
		return -ENOMEM;
	o->insts = (void *)(((uintptr_t)o->insts + 63) & ~(uintptr_t)63);
	memcpy(o->insts, d->insts, (size_t)d->n * sizeof(*o->insts));
	o->ninsts = d->n;
	o->nsegs = d->nsegs;
	for (uint32_t i = 0; i < d->nsegs; i++)
		o->segs[i].inst = &o->insts[d->seg_at[i]];
	o->reg_bytes = d->temp_base + d->temp_most * TEMP_BYTES;
	return 0;
}

/*
 * Segments must be numbered in program order, also those inside blocks, while jumps forward need
 * the numbers of later blocks: count first.
 */
static uint32_t segs_in_block(const struct ir_block *b)
{
	uint32_t n = 1;

	for (uint32_t i = 0; i < b->count; i++) {
		const struct ir_inst *in = &b->insts[i];
		int m = member_source(in);

		if (!stops_lanes(in))
			continue;
		if (in->guard >= 0)
			n++;
		if (m >= 0)
			n += (in->opnd[in->nd + m].kind != IR_OPND_NONE) + (in->guard >= 0);
		else
			n++;
	}
	return n;
}

/* The instructions of one level, with an end; returns where, or NO_SEG when there are none. */
static uint32_t decode_prologue(struct dec *d, const uint8_t *hoisted, uint8_t level)
{
	const struct ir_func *f = d->f;
	uint32_t start = d->n;

	for (uint32_t b = 0; b < f->nblocks; b++) {
		for (uint32_t i = 0; i < f->blocks[b].count && !d->error; i++) {
			d->in = &f->blocks[b].insts[i];
			if (*hoisted++ == level)
				decode_inst(d);
		}
	}
	if (d->n == start)
		return NO_SEG;
	emit(d, interp_op_end);
	return start;
}

static int decode_func(struct dec *d)
{
	const struct ir_func *f = d->f;
	uint32_t live = 0, *preds, seg = 0, start[2] = { NO_SEG, NO_SEG };
	uint8_t *hoisted = NULL, *pinned = NULL;
	int r;

	d->off = arena_alloc(d->tmp, (size_t)f->nregs * sizeof(*d->off) + 1);
	d->block_seg = arena_alloc(d->tmp, (size_t)f->nblocks * sizeof(*d->block_seg));
	preds = count_preds(d);
	if (!d->off || !d->block_seg || !preds)
		return -ENOMEM;
	if (f == d->unit->funcs[0] && !d->bridge) {
		r = interp_hoist(d->tmp, f, &hoisted, &pinned);
		if (r < 0)
			return r;
	}
	if (d->bridge) {
		for (uint32_t i = 0; i < f->nregs; i++)
			d->off[i] = (int32_t)(i * INTERP_BRIDGE_SLOT + INTERP_BRIDGE_HEAD);
		d->temp_base = f->nregs * INTERP_BRIDGE_SLOT + INTERP_BRIDGE_HEAD;
	} else {
		r = interp_alloc(d->tmp, f, pinned, d->off, &d->temp_base, &live);
		if (r < 0)
			return r;
	}
	if (live > d->code->base.registers)
		d->code->base.registers = live;
	for (uint32_t b = 0; b < f->nblocks; b++) {
		d->block_seg[b] = seg;
		seg += segs_in_block(&f->blocks[b]);
	}
	for (uint32_t i = 0; hoisted && i < 2; i++)
		start[i] = decode_prologue(d, hoisted, i ? HOIST_BLOCK : HOIST_LAUNCH);
	for (uint32_t b = 0; b < f->nblocks && !d->error; b++) {
		if (new_seg(d) != d->block_seg[b])
			fail(d, "segments out of order");
		place_seg(d, d->block_seg[b]);
		for (uint32_t i = 0; i < f->blocks[b].count && !d->error; i++) {
			d->in = &f->blocks[b].insts[i];
			if (!hoisted || !*hoisted++)
				decode_inst(d);
		}
		if (!d->error)
			decode_term(d, b, preds);
	}
	d->in = NULL;
	if (d->error)
		return d->error;
	d->out->name =
		arena_strndup(d->arena, f->name ? f->name : "", f->name ? strlen(f->name) : 0);
	d->out->code = f->code;
	d->out->frame_bytes = (f->frame_bytes + 15) & ~15u;
	d->out->nparams = f->nparams;
	d->out->nrets = f->nrets;
	if (!d->out->name || !copy_slots(d, f->params, f->nparams, &d->out->params) ||
	    !copy_slots(d, f->rets, f->nrets, &d->out->rets))
		return -ENOMEM;
	r = finish_func(d);
	for (uint32_t i = 0; r == 0 && i < 2; i++)
		d->out->prologue[i] = start[i] == NO_SEG ? NULL : d->out->insts + start[i];
	return r;
}

/* ---- the whole ------------------------------------------------------------------------------- */

enum { UNSEEN, OPEN, CLOSED };

/* Deepest chain of frames below function @i; recursion and indirect calls are flagged. */
static uint32_t local_need(const struct ir_unit *u, uint32_t i, uint8_t *state, uint32_t *need,
			   bool *recursive)
{
	const struct ir_func *f = u->funcs[i];
	uint32_t most = 0;

	if (state[i] == CLOSED)
		return need[i];
	if (state[i] == OPEN) {
		*recursive = true;
		return 0;
	}
	state[i] = OPEN;
	for (uint32_t b = 0; b < f->nblocks; b++) {
		for (uint32_t k = 0; k < f->blocks[b].count; k++) {
			const struct ir_inst *in = &f->blocks[b].insts[k];
			uint32_t n = 0;

			if (in->op == IR_OP_CALL)
				n = local_need(u, in->aux->func, state, need, recursive);
			else if (in->op == IR_OP_CALL_INDIRECT || in->op == IR_OP_ALLOCA)
				*recursive = true;
			if (n > most)
				most = n;
		}
	}
	state[i] = CLOSED;
	need[i] = ((f->frame_bytes + 15) & ~15u) + most + (i ? INTERP_SLOT : 0);
	return need[i];
}

static bool has_calls(const struct ir_func *f)
{
	for (uint32_t b = 0; b < f->nblocks; b++)
		for (uint32_t k = 0; k < f->blocks[b].count; k++)
			if (f->blocks[b].insts[k].op == IR_OP_CALL ||
			    f->blocks[b].insts[k].op == IR_OP_CALL_INDIRECT ||
			    f->blocks[b].insts[k].op == IR_OP_ALLOCA ||
			    f->blocks[b].insts[k].space == IR_SPACE_LOCAL)
				return true;
	return false;
}

static int measure(struct interp_code *code, const struct ir_unit *unit, struct base_arena *tmp)
{
	uint8_t *state = arena_alloc(tmp, unit->nfuncs);
	uint32_t *need = arena_alloc(tmp, unit->nfuncs * sizeof(*need));

	if (!state || !need)
		return -ENOMEM;
	code->base.local_bytes = local_need(unit, 0, state, need, &code->base.recursive);
	for (uint32_t i = 1; code->base.recursive && i < unit->nfuncs; i++) {
		uint32_t n = local_need(unit, i, state, need, &code->base.recursive);

		/* Any of them may be called indirectly from the kernel. */
		if (n + need[0] > code->base.local_bytes)
			code->base.local_bytes = n + need[0];
	}
	code->base.uses_local = code->base.local_bytes || has_calls(unit->funcs[0]);
	code->base.shared_bytes = unit->shared_bytes;
	code->base.param_bytes = unit->param_bytes;
	code->base.registers = 1;
	return 0;
}

void interp_code_destroy(struct simt_code *c)
{
	struct interp_code *code = (struct interp_code *)c;

	arena_destroy(code->arena);
	free(code);
}

int interp_prepare(const struct ir_unit *unit, struct simt_code **ret_code, char *err,
		   size_t err_bytes)
{
	return interp_prepare_with(unit, interp_vec_handlers(), ret_code, err, err_bytes);
}

static int prepare(const struct ir_unit *unit, const interp_fn *handlers, bool bridge,
		   struct simt_code **ret_code, char *err, size_t err_bytes)
{
	static uint64_t serial;
	struct interp_code *code = calloc(1, sizeof(*code));
	struct base_arena *tmp = arena_create(0);
	int r = -ENOMEM;

	if (!code || !tmp)
		goto free_code;
	r = ir_verify(unit, err, err_bytes);
	if (r < 0)
		goto free_code;
	r = -ENOMEM;
	code->arena = arena_create(0);
	if (!code->arena)
		goto free_code;
	code->base.tier = &interp_tier;
	code->handlers = handlers;
	code->serial = __atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED);
	code->nfuncs = unit->nfuncs;
	code->funcs = arena_alloc(code->arena, unit->nfuncs * sizeof(*code->funcs));
	if (!code->funcs || measure(code, unit, tmp) < 0)
		goto free_arena;
	for (uint32_t i = 0; i < unit->nfuncs; i++) {
		struct dec d = { .arena = code->arena,
				 .tmp = tmp,
				 .unit = unit,
				 .f = unit->funcs[i],
				 .code = code,
				 .out = &code->funcs[i],
				 .vec = code->handlers,
				 .bridge = bridge,
				 .err = err,
				 .err_bytes = err_bytes };

		code->funcs[i].index = i;
		r = decode_func(&d);
		if (r < 0)
			goto free_arena;
		code->base.insts += d.n;
		code->base.has_loops |= d.loops;
	}
	if (code->base.registers > 255)
		code->base.registers = 255;
	code->base.has_loops |= code->base.recursive;
	arena_destroy(tmp);
	*ret_code = &code->base;
	return 0;

free_arena:
	arena_destroy(code->arena);
free_code:
	arena_destroy(tmp);
	free(code);
	return r;
}

int interp_prepare_with(const struct ir_unit *unit, const interp_fn *handlers,
			struct simt_code **ret_code, char *err, size_t err_bytes)
{
	return prepare(unit, handlers, false, ret_code, err, err_bytes);
}

int interp_prepare_bridge(const struct ir_unit *unit, struct simt_code **ret_code, char *err,
			  size_t err_bytes)
{
	return prepare(unit, interp_vec_handlers(), true, ret_code, err, err_bytes);
}

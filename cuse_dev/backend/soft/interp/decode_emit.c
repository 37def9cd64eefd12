/* SPDX-License-Identifier: MIT */
/*
 * decode_emit.c - the instruction stream as it grows: instructions, segments, temporaries.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cuse_dev/backend/soft/interp/alloc.h"
#include "cuse_dev/backend/soft/interp/decode.h"

#define TEMPS 8u

void decode_fail(struct dec *d, const char *fmt, ...)
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

/* The next instruction, zeroed; a dummy after an error. Valid until the next decode_emit(). */
struct interp_inst *decode_emit(struct dec *d, interp_fn fn)
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

uint32_t decode_new_seg(struct dec *d)
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

void decode_place_seg(struct dec *d, uint32_t seg)
{
	if (d->error)
		return;
	d->seg_at[seg] = d->n;
	d->here = seg;
	memset(d->notes, 0, sizeof(d->notes)); /* other lanes may come */
}

int32_t decode_temp_vec(struct dec *d)
{
	uint32_t t = d->temp_used++;

	if (t >= TEMPS)
		decode_fail(d, "too many temporaries");
	if (d->temp_used > d->temp_most)
		d->temp_most = d->temp_used;
	return (int32_t)(d->temp_base + t * DECODE_TEMP_BYTES);
}

int32_t decode_temp_pred(struct dec *d)
{
	uint32_t t = d->pred_used++;

	if (t >= ALLOC_TEMP_PREDS)
		decode_fail(d, "too many temporaries");
	return (int32_t)(t * 4);
}

void decode_emit_bcast(struct dec *d, int32_t off, uint32_t bits, uint64_t imm)
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
int32_t decode_vec_src(struct dec *d, uint32_t i, uint32_t bits)
{
	const struct ir_operand *o = src(d, i);
	int32_t t;

	if (o->kind == IR_OPND_REG)
		return d->off[o->reg];
	t = decode_temp_vec(d);
	decode_emit_bcast(d, t, bits, o->imm);
	return t;
}

int32_t decode_pred_src(struct dec *d, uint32_t i)
{
	const struct ir_operand *o = src(d, i);
	struct interp_inst *p;
	int32_t t;

	if (o->kind == IR_OPND_REG)
		return d->off[o->reg];
	t = decode_temp_pred(d);
	p = emit_vec(d, VEC_X_pimm);
	if (p) {
		p->d = t;
		p->imm = o->imm;
	}
	return t;
}

void decode_emit_pred(struct dec *d, uint32_t h, int32_t dst, int32_t a, int32_t b)
{
	struct interp_inst *p = emit_vec(d, h);

	if (!p)
		return;
	p->d = dst;
	p->a = a;
	p->b = b;
}

/* Everything about the instruction, for handlers that look at it themselves. */
struct interp_ext *decode_make_ext(struct dec *d)
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

struct interp_inst *decode_emit_ext(struct dec *d, interp_fn fn)
{
	const struct interp_ext *x = decode_make_ext(d);
	struct interp_inst *p = decode_emit(d, fn);

	if (p)
		p->ext = x;
	return p;
}

bool decode_copy_slots(struct dec *d, const struct ir_slot *from, uint32_t n, struct ir_slot **ret)
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

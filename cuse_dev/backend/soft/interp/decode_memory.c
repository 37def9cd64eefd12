/* SPDX-License-Identifier: MIT */
/*
 * decode_memory.c - loads, stores, atomics, and moves between address spaces.
 */
#include "cuse_dev/backend/soft/interp/decode.h"

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
void decode_set_place(struct dec *d, struct interp_inst *p, uint32_t elems, uint32_t bytes,
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
			decode_fail(d, "an address has 32 or 64 bits");
	} else {
		p->imm += a->imm;
		p->flags |= INTERP_ADDR0;
		if (in->space == IR_SPACE_PARAM &&
		    (p->imm > d->unit->param_bytes ||
		     (uint64_t)p->n * p->bytes > d->unit->param_bytes - p->imm ||
		     p->imm % ((uint64_t)p->n * p->bytes)))
			decode_fail(d, "outside of the parameters");
	}
	if (in->sem >= IR_SEM_VOLATILE)
		p->flags |= INTERP_POLL;
}

static void set_address(struct dec *d, struct interp_inst *p, uint32_t elems)
{
	decode_set_place(d, p, elems, ir_type_bits(d->in->type) / 8, src(d, 0));
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
void decode_drop_notes(struct dec *d)
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
			decode_fail(d, "elements of different widths");
		bits = reg_bits(d, o->reg);
	}
	return bits;
}

void decode_load(struct dec *d)
{
	const struct ir_inst *in = d->in;
	uint32_t bits = elem_bits(d, 0, in->nd), n = in->nd, h;
	int32_t nowhere = NO_REG;
	struct interp_inst *p;

	if (!n || (n & (n - 1)))
		decode_fail(d, "1, 2, 4 or 8 elements");
	if (!bits)
		bits = ir_type_bits(in->type) < 16 ? 16 : ir_type_bits(in->type);
	if (ir_type_bits(in->type) == 128) {
		p = decode_emit_ext(d, interp_op_mem128);
	} else if (moves_whole(in, n)) {
		set_address(d, decode_emit_ext(d, interp_op_mem_whole), n);
		return;
	} else {
		h = load_handler(in, bits);
		if (h == VEC_COUNT) {
			decode_fail(d, "a load of %u bits into %u", ir_type_bits(in->type), bits);
			return;
		}
		/* Without a register it still has to fault. */
		if (n == 1 && dst_off(d, 0) == NO_REG)
			nowhere = decode_temp_vec(d);
		p = n > 1 ? decode_emit_ext(d, d->vec[h]) : emit_vec(d, h);
		if (p)
			p->d = n == 1 && dst_off(d, 0) == NO_REG ? nowhere : dst_off(d, 0);
	}
	set_address(d, p, n);
	if (p && p->fn != interp_op_mem128)
		set_note(d, p);
}

void decode_store(struct dec *d)
{
	const struct ir_inst *in = d->in;
	uint32_t size = ir_type_bits(in->type), n = (uint32_t)in->ns - 1, bits, h;
	struct interp_ext *x;
	struct interp_inst *p;

	if (!n || (n & (n - 1)))
		decode_fail(d, "1, 2, 4 or 8 elements");
	bits = elem_bits(d, in->nd + 1u, n);
	if (!bits)
		bits = size < 16 ? 16 : size;
	if (size == 128) {
		p = decode_emit_ext(d, interp_op_mem128);
		set_address(d, p, n);
		return;
	}
	if (moves_whole(in, n)) {
		set_address(d, decode_emit_ext(d, interp_op_mem_whole), n);
		return;
	}
	h = store_handler(size, bits);
	if (h == VEC_COUNT) {
		decode_fail(d, "a store of %u bits from %u", size, bits);
		return;
	}
	x = decode_make_ext(d);
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
			x->opnd[i - 1].off = decode_vec_src(d, i, bits);
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

void decode_atom(struct dec *d)
{
	const struct ir_inst *in = d->in;
	uint32_t per = in->sub == IR_ATOM_CAS ? 2 : 1, n = ((uint32_t)in->ns - 1) / per;
	struct interp_inst *p;

	if (!n || (uint32_t)in->ns != 1 + n * per || (n & (n - 1)) || (in->nd && in->nd != n))
		decode_fail(d, "wrong number of operands");
	if (ir_type_bits(in->type) == 8)
		decode_fail(d, "no atomics on bytes");
	p = decode_emit_ext(d, interp_op_atom);
	set_address(d, p, n);
	if (p && in->op == IR_OP_ATOM && (in->sub == IR_ATOM_CAS || in->sub == IR_ATOM_EXCH))
		p->flags |= INTERP_POLL;
}

/* Moves between generic addresses and a space are additions. */
bool decode_cvta(struct dec *d)
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
	a = decode_vec_src(d, 0, 64);
	p = emit_vec(d, base ? VEC_add_u64_i : VEC_mov_64);
	if (p) {
		p->d = dst_off(d, 0);
		p->a = a;
		p->imm = to ? -base : base;
	}
	return true;
}

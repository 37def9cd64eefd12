/* SPDX-License-Identifier: MIT */
/* lower_util.c - modifiers, operands, addresses and emission for the families. */
#include "cuse_dev/backend/soft/ptx/lower.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cuse_dev/base/arena.h"
#include "cuse_dev/base/limits.h"

void ptx_lo_fail(struct ptx_lower *l, const char *fmt, ...)
{
	va_list ap;
	char text[200];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ptx_fail(l->err, PTX_ERR_SYNTAX, l->in ? l->in->line : l->fn->line,
		 l->in ? l->in->column : 0, "%s%s%s", l->in ? ptx_op_text(l->in->op) : "",
		 l->in ? ": " : "", text);
}

static void no_memory(struct ptx_lower *l)
{
	ptx_fail(l->err, PTX_ERR_MEMORY, l->in ? l->in->line : l->fn->line, 0, "out of memory");
}

void ptx_lo_refuse(struct ptx_lower *l)
{
	const struct ptx_inst *in = l->in;
	char name[160];
	size_t n;

	n = (size_t)snprintf(name, sizeof(name), "%s", ptx_op_text(in->op));
	for (uint32_t i = 0; i < in->nmods && n + in->mods[i].len + 2 < sizeof(name); i++)
		n += (size_t)snprintf(name + n, sizeof(name) - n, ".%.*s", in->mods[i].len,
				      in->mods[i].text);
	if (!l->un->guessing) {
		l->un->info.unsupported++;
		ptx_fail(&l->un->refusal, PTX_ERR_UNSUPPORTED, in->line, in->column,
			 in->op == PTX_OP_TCGEN05
				 ? "instruction '%s' needs tensor memory, which there is none of"
				 : "instruction '%s' is not executed yet",
			 name);
	}
	l->used = UINT32_MAX;
	ptx_lo_emit(l, IR_OP_UNSUPPORTED, IR_NONE, 0, NULL, 0, NULL);
}

/* ---- modifiers ------------------------------------------------------------------------------- */

bool ptx_lo_mod(struct ptx_lower *l, enum ptx_mod m)
{
	for (uint32_t i = 0; i < l->in->nmods; i++) {
		if (l->in->mods[i].id != m || l->used >> i & 1)
			continue;
		l->used |= 1u << i;
		return true;
	}
	return false;
}

bool ptx_lo_kind(struct ptx_lower *l, enum ptx_mod_kind k, uint8_t *ret_value)
{
	for (uint32_t i = 0; i < l->in->nmods; i++) {
		const struct ptx_mod_row *row = ptx_mod_info(l->in->mods[i].id);

		if (!row || row->kind != k || l->used >> i & 1)
			continue;
		l->used |= 1u << i;
		*ret_value = row->value;
		return true;
	}
	return false;
}

uint8_t ptx_lo_type(struct ptx_lower *l)
{
	uint8_t t;

	if (ptx_lo_kind(l, PTX_KIND_TYPE, &t))
		return t;
	ptx_lo_fail(l, "a type is missing");
	return IR_U32;
}

void ptx_lo_ignore(struct ptx_lower *l, enum ptx_mod_kind k)
{
	uint8_t v;

	while (ptx_lo_kind(l, k, &v))
		;
}

void ptx_lo_flags(struct ptx_lower *l, struct ptx_lo_flags *fl)
{
	memset(fl, 0, sizeof(*fl));
	fl->has_round = ptx_lo_kind(l, PTX_KIND_ROUND, &fl->round);
	fl->ftz = ptx_lo_mod(l, PTX_MOD_FTZ);
	fl->sat = ptx_lo_mod(l, PTX_MOD_SAT);
	fl->relu = ptx_lo_mod(l, PTX_MOD_RELU);
	fl->nan = ptx_lo_mod(l, PTX_MOD_NAN_RESULT);
	fl->xorsign = ptx_lo_mod(l, PTX_MOD_XORSIGN);
	fl->abs = ptx_lo_mod(l, PTX_MOD_ABS);
}

void ptx_lo_apply(struct ir_inst *i, const struct ptx_lo_flags *fl)
{
	i->round = fl->round;
	i->ftz = fl->ftz;
	i->sat = fl->sat;
	i->relu = fl->relu;
	i->nan = fl->nan;
	i->xorsign = fl->xorsign;
}

bool ptx_lo_count(struct ptx_lower *l, uint32_t least, uint32_t most)
{
	if (l->in->nopnds >= least && l->in->nopnds <= most)
		return true;
	ptx_lo_fail(l, "%u operands are wrong here", l->in->nopnds);
	return false;
}

const struct ptx_opnd *ptx_lo_opnd(struct ptx_lower *l, uint32_t i)
{
	static const struct ptx_opnd none = { .kind = PTX_O_NONE };

	return i < l->in->nopnds ? &l->in->opnds[i] : &none;
}

/* ---- types ----------------------------------------------------------------------------------- */

uint32_t ptx_lo_bits(uint8_t type)
{
	static const uint8_t bits[] = {
#define X(NAME, text, bits, class) bits,
		IR_TYPES(X)
#undef X
	};

	return bits[type];
}

/* Class letters of the type list as numbers. */
enum { CLASS_N, CLASS_P, CLASS_U, CLASS_S, CLASS_F };

static int type_class(uint8_t type)
{
	static const uint8_t classes[] = {
#define X(NAME, text, bits, class) CLASS_##class,
		IR_TYPES(X)
#undef X
	};

	return classes[type];
}

bool ptx_lo_is_float(uint8_t type)
{
	return type_class(type) == CLASS_F;
}

bool ptx_lo_is_signed(uint8_t type)
{
	return type_class(type) == CLASS_S;
}

uint8_t ptx_lo_storage(uint8_t type)
{
	uint32_t bits = ptx_lo_bits(type);

	if (type == IR_PRED)
		return IR_PRED;
	return bits <= 16 ? IR_U16 : bits == 32 ? IR_U32 : bits == 64 ? IR_U64 : IR_U128;
}

/* ---- registers ------------------------------------------------------------------------------- */

struct ir_operand ptx_lo_none(void)
{
	return (struct ir_operand){ .kind = IR_OPND_NONE };
}

struct ir_operand ptx_lo_imm(uint64_t v)
{
	return (struct ir_operand){ .kind = IR_OPND_IMM, .imm = v };
}

static struct ir_operand new_reg(struct ptx_lower *l, uint8_t storage, const char *name)
{
	struct ir_func *f = l->f;
	struct ir_operand o = { .kind = IR_OPND_REG };

	f->regs = arena_grow(l->arena, f->regs, &l->regs_cap, f->nregs + 1, sizeof(*f->regs));
	if (!f->regs) {
		no_memory(l);
		l->regs_cap = 0;
		f->nregs = 0;
		return ptx_lo_imm(0);
	}
	f->regs[f->nregs].type = storage;
	f->regs[f->nregs].name = name;
	o.reg = f->nregs++;
	return o;
}

struct ir_operand ptx_lo_temp(struct ptx_lower *l, uint8_t type)
{
	return new_reg(l, ptx_lo_storage(type), NULL);
}

struct ir_operand ptx_lo_reg(struct ptx_lower *l, uint32_t body_reg)
{
	const struct ptx_reg *r = &l->b->regs[body_reg];
	struct ir_operand o = { .kind = IR_OPND_REG };

	if (!l->reg_map[body_reg]) {
		char name[80];

		if (r->number == UINT32_MAX)
			snprintf(name, sizeof(name), "%.64s", r->base);
		else
			snprintf(name, sizeof(name), "%.64s%u", r->base, r->number);
		o = new_reg(l, ptx_lo_storage(r->type),
			    arena_strndup(l->arena, name, strlen(name)));
		if (o.kind != IR_OPND_REG)
			return o;
		l->reg_map[body_reg] = o.reg + 1;
	}
	o.reg = l->reg_map[body_reg] - 1;
	return o;
}

uint8_t ptx_lo_reg_type(const struct ptx_lower *l, struct ir_operand o)
{
	return o.kind == IR_OPND_REG && o.reg < l->f->nregs ? l->f->regs[o.reg].type : IR_U64;
}

/* ---- variables and addresses ----------------------------------------------------------------- */

static bool shared_address(struct ptx_lower *l, struct ptx_var *v, struct ir_operand *ret_imm)
{
	struct ptx_lo_unit *un = l->un;
	uint64_t *at = v->in_body ? &v->offset : &un->shared_at[v->index];
	uint64_t start;

	*ret_imm = ptx_lo_imm(0);
	if (v->unsized || (!v->defined && !v->size)) { /* dynamic */
		if (un->dynamic_align < v->align)
			un->dynamic_align = v->align;
		ret_imm->reg = PTX_LO_DYNAMIC;
		return true;
	}
	if (v->in_body ? *at != UINT64_MAX : *at) {
		ret_imm->imm = v->in_body ? *at : *at - 1;
		return true;
	}
	start = (un->shared_bytes + (uint64_t)v->align - 1) & ~((uint64_t)v->align - 1);
	if (start + v->size > (64u << 20)) {
		ptx_lo_fail(l, "too much shared memory");
		return false;
	}
	un->shared_bytes = (uint32_t)(start + v->size);
	*at = v->in_body ? start : start + 1;
	ret_imm->imm = start;
	return true;
}

bool ptx_lo_var(struct ptx_lower *l, struct ptx_var *v, const struct ptx_opnd *at,
		uint8_t *ret_space, struct ir_operand *ret_imm)
{
	*ret_imm = ptx_lo_imm(0);
	switch (v->space) {
	case PTX_SPACE_SHARED:
		*ret_space = IR_SPACE_SHARED;
		return shared_address(l, v, ret_imm);
	case PTX_SPACE_LOCAL:
		*ret_space = IR_SPACE_FRAME;
		ret_imm->imm = v->offset;
		return true;
	case PTX_SPACE_PARAM:
		*ret_space = v->in_body ? IR_SPACE_FRAME : IR_SPACE_PARAM;
		ret_imm->imm = v->offset;
		return true;
	default:
		*ret_space = v->space == PTX_SPACE_CONST ? IR_SPACE_CONST : IR_SPACE_GLOBAL;
		if (!v->defined) {
			ptx_fail(l->err, PTX_ERR_SYNTAX, at->line, at->column,
				 "unresolved extern variable '%.80s'", v->name);
			return false;
		}
		if (v->space == PTX_SPACE_CONST && !l->un->const_seen[v->index]) {
			l->un->const_seen[v->index] = 1;
			l->un->info.const_bytes += (uint32_t)v->size;
		}
		ret_imm->imm = ptx_var_address(v, l->un->place);
		ret_imm->base = v->managed ? IR_BASE_MANAGED : IR_BASE_GLOBAL;
		return true;
	}
}

bool ptx_lo_address(struct ptx_lower *l, const struct ptx_opnd *mem, bool has_space, uint8_t space,
		    struct ptx_lo_addr *ret)
{
	const struct ptx_opnd *base;
	uint8_t var_space;

	memset(ret, 0, sizeof(*ret));
	ret->space = has_space ? space : IR_SPACE_GENERIC;
	if (mem->kind != PTX_O_MEM || mem->nsub != 1) {
		ptx_lo_fail(l, "an address in [ ] is expected");
		return false;
	}
	base = &mem->sub[0];
	ret->offset = mem->offset;
	switch (base->kind) {
	case PTX_O_INT:
		ret->base = ptx_lo_imm(base->bits);
		return true;
	case PTX_O_REG:
		ret->base = ptx_lo_reg(l, base->reg);
		if (ptx_lo_reg_type(l, ret->base) != IR_U64 &&
		    ptx_lo_reg_type(l, ret->base) != IR_U32) {
			ptx_lo_fail(l, "an address needs a 32 or 64 bit register");
			return false;
		}
		/* parameters of a device function lie in its frame */
		if (ret->space == IR_SPACE_PARAM && !l->fn->is_entry)
			ret->space = IR_SPACE_LOCAL;
		return true;
	case PTX_O_VAR:
		if (!ptx_lo_var(l, base->var, base, &var_space, &ret->base))
			return false;
		/* a named variable says by itself where it is; a wrong space would be wild */
		if (has_space && space != var_space &&
		    !(var_space == IR_SPACE_FRAME &&
		      (space == IR_SPACE_LOCAL || space == IR_SPACE_PARAM)) &&
		    !(var_space == IR_SPACE_CONST && space == IR_SPACE_GLOBAL)) {
			ptx_lo_fail(l, "'%.80s' is in another state space", base->var->name);
			return false;
		}
		ret->space = var_space;
		return true;
	case PTX_O_NAME:
		ptx_lo_fail(l, "'%.*s' is not declared", (int)(base->len > 80 ? 80 : base->len),
			    base->name);
		return false;
	default:
		ptx_lo_fail(l, "bad address");
		return false;
	}
}

/* ---- sources --------------------------------------------------------------------------------- */

static uint64_t mask_to(uint64_t v, uint8_t type)
{
	uint32_t bits = ptx_lo_bits(type);

	return bits >= 64 ? v : v & ((1ull << bits) - 1);
}

/* A float literal's bits as a value of @type. */
static struct ir_operand float_literal(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type)
{
	uint32_t b32;
	double d;
	float f;
	uint64_t bits = o->bits;

	if (!ptx_lo_is_float(type) && !(o->kind == PTX_O_F64 && ptx_lo_bits(type) == 32))
		return ptx_lo_imm(mask_to(bits, type));
	if (o->kind == PTX_O_F32) {
		b32 = (uint32_t)bits;
		memcpy(&f, &b32, 4);
		d = (double)f;
	} else {
		memcpy(&d, &bits, 8);
		f = (float)d;
		memcpy(&b32, &f, 4);
	}
	if (type == IR_F32 || type == IR_TF32 || !ptx_lo_is_float(type))
		return ptx_lo_imm(b32);
	if (type == IR_F64) {
		memcpy(&bits, &d, 8);
		return ptx_lo_imm(bits);
	}
	if (ptx_lo_bits(type) == 64)
		return ptx_lo_imm(bits);
	ptx_lo_fail(l, "a float literal cannot be used with this type");
	return ptx_lo_imm(0);
}

/*
 * Shared memory that is not the program's: two parts of 1 KiB, one for each reader of
 * %reserved_smem_offset_<n>. It exists in units that ask where it is.
 */
#define RESERVED_PART 1024u

static struct ir_operand reserved_shared(struct ptx_lower *l, const struct ptx_opnd *o)
{
	struct ptx_lo_unit *un = l->un;

	if (!un->reserved_at) {
		un->shared_bytes = (un->shared_bytes + 127) & ~127u;
		un->reserved_at = un->shared_bytes + 1;
		un->reserved_bytes = 2 * RESERVED_PART;
		un->shared_bytes += un->reserved_bytes;
	}
	if (o->reg == IR_SREG_RESERVED_SMEM_OFFSET_BEGIN)
		return ptx_lo_imm(un->reserved_at - 1 + RESERVED_PART * o->bits);
	return ptx_lo_imm(un->reserved_at - 1 + un->reserved_bytes);
}

static struct ir_operand read_sreg(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type)
{
	static const uint8_t types[] = {
#define X(NAME, text, type) IR_##type,
		IR_SREGS(X)
#undef X
	};
	uint8_t t = types[o->reg];
	struct ir_operand d, wide;
	struct ir_inst *i;

	if (o->reg >= IR_SREG_RESERVED_SMEM_OFFSET_BEGIN &&
	    o->reg <= IR_SREG_RESERVED_SMEM_OFFSET_CAP)
		return reserved_shared(l, o);
	d = ptx_lo_temp(l, t);
	i = ptx_lo_emit1(l, IR_OP_SREG, t, d, 0, NULL);
	i->sub = (uint8_t)o->reg;
	i->offset = (int64_t)o->bits;
	if (o->reg == IR_SREG_ENVREG && (o->bits == 1 || o->bits == 2))
		l->un->u->uses_grid_sync = true;
	if (ptx_lo_storage(t) == ptx_lo_storage(type))
		return d;
	if (t == IR_PRED || type == IR_PRED) {
		ptx_lo_fail(l, "a special register of another width");
		return d;
	}
	wide = ptx_lo_temp(l, type);
	i = ptx_lo_emit1(l, IR_OP_CVT, ptx_lo_storage(type), wide, 1, &d);
	i->type2 = t;
	return wide;
}

/* The address of a variable as a value. */
static struct ir_operand var_value(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type)
{
	struct ir_operand imm, d;
	struct ir_inst *i;
	uint8_t space;

	if (!ptx_lo_var(l, o->var, o, &space, &imm))
		return ptx_lo_imm(0);
	imm.imm += (uint64_t)o->offset;
	if (space != IR_SPACE_FRAME) {
		if (imm.reg != PTX_LO_DYNAMIC)
			imm.imm = mask_to(imm.imm, type);
		if (ir_type_bits(type) < 64)
			imm.base = IR_BASE_NONE;
		return imm;
	}
	d = ptx_lo_temp(l, type);
	i = ptx_lo_emit1(l, IR_OP_FRAME_ADDR, ptx_lo_storage(type), d, 0, NULL);
	i->offset = (int64_t)imm.imm;
	return d;
}

static struct ir_operand negated(struct ptx_lower *l, struct ir_operand p)
{
	struct ir_operand d;

	if (p.kind == IR_OPND_IMM)
		return ptx_lo_imm(!p.imm);
	d = ptx_lo_temp(l, IR_PRED);
	ptx_lo_emit1(l, IR_OP_NOT, IR_PRED, d, 1, &p);
	return d;
}

static struct ir_operand source(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type,
				bool wide)
{
	struct ir_operand r;

	if (o->neg && (type != IR_PRED || o->kind != PTX_O_REG)) {
		if (o->kind == PTX_O_INT)
			return ptx_lo_imm(mask_to(!o->bits, type));
		ptx_lo_fail(l, "'!' is for predicates");
		return ptx_lo_imm(0);
	}
	switch (o->kind) {
	case PTX_O_REG:
		r = ptx_lo_reg(l, o->reg);
		if (o->sel[0]) {
			ptx_lo_fail(l, "selector '.%s' cannot stand here", o->sel);
		} else if (ptx_lo_reg_type(l, r) != ptx_lo_storage(type)) {
			if (!wide || ptx_lo_reg_type(l, r) == IR_PRED ||
			    ptx_lo_bits(ptx_lo_reg_type(l, r)) < ptx_lo_bits(type))
				ptx_lo_fail(l, "register '%s' does not fit the type",
					    l->b->regs[o->reg].base);
		}
		return o->neg ? negated(l, r) : r;
	case PTX_O_INT:
		if (ptx_lo_is_float(type) && o->bits) {
			ptx_lo_fail(l, "an integer cannot be used with a float type");
			return ptx_lo_imm(0);
		}
		return ptx_lo_imm(type == IR_PRED ? o->bits != 0 : mask_to(o->bits, type));
	case PTX_O_F32:
	case PTX_O_F64:
		return float_literal(l, o, type);
	case PTX_O_SREG:
		return read_sreg(l, o, type);
	case PTX_O_VAR:
		return var_value(l, o, type);
	case PTX_O_FUNC:
		return ptx_lo_imm(IR_CODE_BASE + 16ull * o->func->index);
	case PTX_O_NAME:
		ptx_lo_fail(l, "'%.*s' is not declared", (int)(o->len > 80 ? 80 : o->len), o->name);
		return ptx_lo_imm(0);
	default:
		ptx_lo_fail(l, "operand of a kind that cannot stand here");
		return ptx_lo_imm(0);
	}
}

struct ir_operand ptx_lo_src(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type)
{
	return source(l, o, type, false);
}

struct ir_operand ptx_lo_src_wide(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type)
{
	return source(l, o, type, true);
}

struct ir_operand ptx_lo_pred(struct ptx_lower *l, const struct ptx_opnd *o)
{
	return source(l, o, IR_PRED, false);
}

/* ---- results --------------------------------------------------------------------------------- */

static struct ir_operand result(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type,
				bool wide)
{
	struct ir_operand r;

	if (o->kind == PTX_O_SINK)
		return ptx_lo_none();
	if (o->kind != PTX_O_REG || o->neg || o->sel[0]) {
		ptx_lo_fail(l, "the result must be a register");
		return ptx_lo_none();
	}
	r = ptx_lo_reg(l, o->reg);
	if (ptx_lo_reg_type(l, r) != ptx_lo_storage(type) &&
	    (!wide || ptx_lo_reg_type(l, r) == IR_PRED ||
	     ptx_lo_bits(ptx_lo_reg_type(l, r)) < ptx_lo_bits(type)))
		ptx_lo_fail(l, "register '%s' does not fit the type", l->b->regs[o->reg].base);
	return r;
}

struct ir_operand ptx_lo_dst(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type)
{
	return result(l, o, type, false);
}

struct ir_operand ptx_lo_dst_wide(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type)
{
	return result(l, o, type, true);
}

void ptx_lo_dst_pair(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type, uint8_t type2,
		     struct ir_operand *ret_d, struct ir_operand *ret_p)
{
	*ret_p = ptx_lo_none();
	if (o->kind != PTX_O_PAIR) {
		*ret_d = ptx_lo_dst(l, o, type);
		return;
	}
	*ret_d = ptx_lo_dst(l, &o->sub[0], type);
	*ret_p = ptx_lo_dst(l, &o->sub[1], type2);
}

uint32_t ptx_lo_list(const struct ptx_opnd *o, const struct ptx_opnd **ret_parts)
{
	if (o->kind == PTX_O_VEC) {
		*ret_parts = o->sub;
		return o->nsub;
	}
	*ret_parts = o;
	return 1;
}

/* ---- emission -------------------------------------------------------------------------------- */

static void add_fixup(struct ptx_lower *l, struct ir_operand *o)
{
	struct ptx_lo_fixup *x = arena_alloc(l->un->scratch, sizeof(*x));

	if (!x) {
		no_memory(l);
		return;
	}
	o->reg = 0;
	x->imm = &o->imm;
	x->next = l->un->fixups;
	l->un->fixups = x;
}

struct ir_inst *ptx_lo_emit(struct ptx_lower *l, enum ir_op op, uint8_t type, uint32_t nd,
			    const struct ir_operand *d, uint32_t ns, const struct ir_operand *s)
{
	struct ir_operand *o = arena_alloc(l->arena, (nd + ns) * sizeof(*o));
	struct ir_inst *i, *grown;

	grown = arena_grow(l->un->scratch, l->insts, &l->insts_cap, l->ninsts + 2,
			   sizeof(*l->insts));
	if (!grown || !o) {
		no_memory(l);
		/* the array always has one spare row (ptx_lo_function() makes the first) */
		i = &l->insts[l->insts_cap - 1];
		memset(i, 0, sizeof(*i));
		return i;
	}
	l->insts = grown;
	i = &l->insts[l->ninsts++];
	memset(i, 0, sizeof(*i));
	i->op = (uint16_t)op;
	i->type = type;
	i->nd = (uint8_t)nd;
	i->ns = (uint8_t)ns;
	i->guard = l->guard;
	i->guard_not = l->guard_not;
	if (l->in) {
		i->line = l->in->line;
		i->column = l->in->column;
	}
	if (nd)
		memcpy(o, d, nd * sizeof(*o));
	if (ns)
		memcpy(o + nd, s, ns * sizeof(*o));
	i->opnd = o;
	for (uint32_t k = nd; k < nd + ns; k++)
		if (o[k].kind == IR_OPND_IMM && o[k].reg == PTX_LO_DYNAMIC)
			add_fixup(l, &o[k]);
	return i;
}

struct ir_inst *ptx_lo_emit1(struct ptx_lower *l, enum ir_op op, uint8_t type, struct ir_operand d,
			     uint32_t ns, const struct ir_operand *s)
{
	return ptx_lo_emit(l, op, type, 1, &d, ns, s);
}

/* SPDX-License-Identifier: MIT */
/* lower_mem.c - loads, stores, atomics, fences, the stack (ISA 9.7.9, 9.7.13). */
#include "cuse_dev/backend/soft/ptx/lower.h"

#define VECTOR_MOST 16

/* Memory knows widths; only signedness of narrow loads matters beyond that. */
static uint8_t memory_type(uint8_t t)
{
	switch (ptx_lo_bits(t)) {
	case 8:
		return ptx_lo_is_signed(t) ? IR_S8 : IR_U8;
	case 16:
		return ptx_lo_is_signed(t) ? IR_S16 : IR_U16;
	case 32:
		return ptx_lo_is_signed(t) ? IR_S32 : IR_U32;
	case 64:
		return ptx_lo_is_signed(t) ? IR_S64 : IR_U64;
	default:
		return IR_U128;
	}
}

/* A register type, as wide as @storage, with the signedness of what is loaded into it. */
static uint8_t register_type(uint8_t storage, uint8_t loaded)
{
	if (!ptx_lo_is_signed(loaded))
		return storage;
	return storage == IR_U16   ? IR_S16
	       : storage == IR_U32 ? IR_S32
	       : storage == IR_U64 ? IR_S64
				   : storage;
}

struct access {
	uint8_t sem, scope, space;
	bool has_space;
	uint8_t vec;
	uint8_t type;
};

/* What stands after ld, st, atom and red alike. */
static bool take_access(struct ptx_lower *l, struct access *a, uint8_t sem)
{
	uint8_t v;

	*a = (struct access){ .sem = sem, .scope = IR_SCOPE_GPU, .vec = 1 };
	if (ptx_lo_kind(l, PTX_KIND_SEM, &v))
		a->sem = v;
	if (ptx_lo_kind(l, PTX_KIND_SCOPE, &v))
		a->scope = v;
	a->has_space = ptx_lo_kind(l, PTX_KIND_SPACE, &a->space);
	if (ptx_lo_kind(l, PTX_KIND_VEC, &v))
		a->vec = v;
	ptx_lo_ignore(l, PTX_KIND_CACHE);
	a->type = ptx_lo_type(l);
	return !l->err->code;
}

static bool vector_parts(struct ptx_lower *l, const struct ptx_opnd *o, const struct access *a,
			 const struct ptx_opnd **ret_parts)
{
	if (ptx_lo_list(o, ret_parts) == a->vec && a->vec <= VECTOR_MOST)
		return true;
	ptx_lo_fail(l, "a vector of %u is expected", a->vec);
	return false;
}

void ptx_lower_ld(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand d[VECTOR_MOST];
	const struct ptx_opnd *parts;
	struct ptx_lo_addr at;
	struct access a;
	struct ir_inst *i;
	uint8_t reg = IR_NONE;

	if (!ptx_lo_count(l, 2, 3) || !take_access(l, &a, IR_SEM_WEAK) ||
	    !vector_parts(l, ptx_lo_opnd(l, 0), &a, &parts) ||
	    !ptx_lo_address(l, ptx_lo_opnd(l, 1), a.has_space, a.space, &at))
		return;
	for (uint32_t k = 0; k < a.vec; k++) {
		d[k] = ptx_lo_dst_wide(l, &parts[k], a.type);
		if (d[k].kind != IR_OPND_REG)
			continue;
		if (reg != IR_NONE && reg != ptx_lo_reg_type(l, d[k]))
			ptx_lo_fail(l, "registers of different width");
		reg = ptx_lo_reg_type(l, d[k]);
	}
	if (reg == IR_NONE)
		reg = ptx_lo_storage(a.type);
	i = ptx_lo_emit(l, IR_OP_LD, memory_type(a.type), a.vec, d, 1, &at.base);
	i->type2 = register_type(reg, a.type);
	i->space = at.space;
	i->offset = at.offset;
	i->sem = a.sem;
	i->scope = a.scope;
}

void ptx_lower_st(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand s[1 + VECTOR_MOST];
	const struct ptx_opnd *parts;
	struct ptx_lo_addr at;
	struct access a;
	struct ir_inst *i;
	bool told;

	if (ptx_lo_mod(l, PTX_MOD_BULK)) {
		ptx_lo_st_bulk(l);
		return;
	}
	ptx_lo_mod(l, PTX_MOD_ASYNC); /* done at once */
	told = ptx_lo_mod(l, PTX_MOD_MBARRIER_BYTES);
	if (!ptx_lo_count(l, 2, 3) || !take_access(l, &a, IR_SEM_WEAK) ||
	    !vector_parts(l, ptx_lo_opnd(l, 1), &a, &parts) ||
	    !ptx_lo_address(l, ptx_lo_opnd(l, 0), a.has_space, a.space, &at))
		return;
	s[0] = at.base;
	for (uint32_t k = 0; k < a.vec; k++)
		s[1 + k] = ptx_lo_src_wide(l, &parts[k], a.type);
	i = ptx_lo_emit(l, IR_OP_ST, memory_type(a.type), 0, NULL, 1u + a.vec, s);
	i->space = at.space;
	i->offset = at.offset;
	i->sem = a.sem;
	i->scope = a.scope;
	if (told && ptx_lo_count(l, 3, 3))
		ptx_lo_complete_tx(l, ptx_lo_opnd(l, 2), a.vec * ptx_lo_bits(a.type) / 8);
}

static bool take_atom(struct ptx_lower *l, uint8_t *ret_sub)
{
	static const uint16_t words[] = {
		[IR_ATOM_ADD] = PTX_MOD_ADD,   [IR_ATOM_MIN] = PTX_MOD_MIN,
		[IR_ATOM_MAX] = PTX_MOD_MAX,   [IR_ATOM_AND] = PTX_MOD_AND,
		[IR_ATOM_OR] = PTX_MOD_OR,     [IR_ATOM_XOR] = PTX_MOD_XOR,
		[IR_ATOM_EXCH] = PTX_MOD_EXCH, [IR_ATOM_CAS] = PTX_MOD_CAS,
		[IR_ATOM_INC] = PTX_MOD_INC,   [IR_ATOM_DEC] = PTX_MOD_DEC,
	};

	for (uint8_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!ptx_lo_mod(l, (enum ptx_mod)words[i]))
			continue;
		*ret_sub = i;
		return true;
	}
	ptx_lo_fail(l, "the operation is missing");
	return false;
}

/* atom d, [a], b{, c}{, policy} and red [a], b{, policy} */
void ptx_lower_atom(struct ptx_lower *l, enum ir_op op)
{
	bool red = l->in->op == PTX_OP_RED;
	struct ir_operand d[VECTOR_MOST], s[2 + VECTOR_MOST];
	const struct ptx_opnd *to, *from;
	uint32_t at_arg = red ? 0 : 1, ns;
	struct ptx_lo_addr at;
	struct access a;
	struct ir_inst *i;
	bool told;
	uint8_t sub;

	if (red)
		ptx_lo_mod(l, PTX_MOD_ASYNC); /* done at once */
	told = red && ptx_lo_mod(l, PTX_MOD_MBARRIER_BYTES);
	if (!ptx_lo_count(l, at_arg + 2, at_arg + 4) || !take_atom(l, &sub) ||
	    !take_access(l, &a, IR_SEM_RELAXED) ||
	    !ptx_lo_address(l, ptx_lo_opnd(l, at_arg), a.has_space, a.space, &at) ||
	    !vector_parts(l, ptx_lo_opnd(l, at_arg + 1), &a, &from))
		return;
	if (!ir_atom_exists(sub, a.type)) {
		ptx_lo_fail(l, "there is no such atomic operation on this type");
		return;
	}
	s[0] = at.base;
	for (uint32_t k = 0; k < a.vec; k++)
		s[1 + k] = ptx_lo_src(l, &from[k], a.type);
	ns = 1u + a.vec;
	if (sub == IR_ATOM_CAS) {
		if (!ptx_lo_count(l, at_arg + 3, at_arg + 4))
			return;
		s[ns++] = ptx_lo_src(l, ptx_lo_opnd(l, at_arg + 2), a.type);
	}
	if (!red) {
		if (!vector_parts(l, ptx_lo_opnd(l, 0), &a, &to))
			return;
		for (uint32_t k = 0; k < a.vec; k++)
			d[k] = ptx_lo_dst(l, &to[k], a.type);
	}
	i = ptx_lo_emit(l, red ? IR_OP_RED : IR_OP_ATOM, a.type, red ? 0 : a.vec, d, ns, s);
	i->sub = sub;
	i->space = at.space;
	i->offset = at.offset;
	i->sem = a.sem;
	i->scope = a.scope;
	if (told && ptx_lo_count(l, 3, 3))
		ptx_lo_complete_tx(l, ptx_lo_opnd(l, 2), ptx_lo_bits(a.type) / 8);
}

/* fence, membar. What orders the asynchronous proxy is at least as strong as a full fence here. */
void ptx_lower_fence(struct ptx_lower *l, enum ir_op op)
{
	uint8_t sem = IR_SEM_ACQ_REL, scope = IR_SCOPE_SYS;
	bool known = l->in->nopnds == 0 && l->in->nmods;
	struct ir_inst *i;

	if (l->in->op == PTX_OP_MEMBAR)
		sem = IR_SEM_SC;
	ptx_lo_kind(l, PTX_KIND_SEM, &sem);
	ptx_lo_kind(l, PTX_KIND_SCOPE, &scope);
	for (uint32_t k = 0; k < l->in->nmods; k++)
		if (l->in->mods[k].id == PTX_MOD_PROXY ||
		    l->in->mods[k].id == PTX_MOD_MBARRIER_INIT ||
		    l->in->mods[k].id == PTX_MOD_OTHER) {
			sem = IR_SEM_SC;
			scope = IR_SCOPE_SYS;
			known = true;
			l->used = UINT32_MAX;
		}
	if (!known) {
		ptx_lo_fail(l, "bad form");
		return;
	}
	i = ptx_lo_emit(l, IR_OP_FENCE, IR_NONE, 0, NULL, 0, NULL);
	i->sem = sem;
	i->scope = scope;
}

/* prefetch, discard, applypriority, griddepcontrol, pmevent, setmaxnreg: hints without effect here.
 */
void ptx_lower_nothing(struct ptx_lower *l, enum ir_op op)
{
	l->used = UINT32_MAX;
}

/* A cache policy is an opaque number that nothing here looks at. */
void ptx_lower_createpolicy(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand zero = ptx_lo_imm(0);

	l->used = UINT32_MAX;
	if (ptx_lo_count(l, 1, 5))
		ptx_lo_emit1(l, IR_OP_MOV, IR_U64, ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_U64), 1,
			     &zero);
}

void ptx_lower_alloca(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand s;
	struct ir_inst *i;
	uint64_t align = 8;
	uint8_t type;

	if (!ptx_lo_count(l, 2, 3))
		return;
	type = ptx_lo_type(l);
	if (l->in->nopnds == 3)
		align = ptx_lo_opnd(l, 2)->bits;
	if (!align || align > 4096 || (align & (align - 1))) {
		ptx_lo_fail(l, "bad alignment");
		return;
	}
	s = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
	i = ptx_lo_emit1(l, IR_OP_ALLOCA, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), type), 1, &s);
	i->offset = (int64_t)align;
}

void ptx_lower_stack(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand s;
	uint8_t type;

	if (!ptx_lo_count(l, 1, 1))
		return;
	type = ptx_lo_type(l);
	if (op == IR_OP_STACKSAVE) {
		ptx_lo_emit1(l, op, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), type), 0, NULL);
		return;
	}
	s = ptx_lo_src(l, ptx_lo_opnd(l, 0), type);
	ptx_lo_emit(l, op, type, 0, NULL, 1, &s);
}

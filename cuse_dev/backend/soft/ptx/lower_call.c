/* SPDX-License-Identifier: MIT */
/*
 * lower_call.c - branches, returns and calls (ISA 9.7.12).
 *
 * Arguments and results of a call are pieces of the caller's frame. Where PTX names a .param
 * variable that piece is the variable; a register or number gets a piece of its own.
 */
#include "cuse_dev/backend/soft/ptx/lower.h"

#include <string.h>

#include "cuse_dev/base/arena.h"

/* ---- flow ------------------------------------------------------------------------------------ */

/* The block now ends; the rest of a guarded flow instruction goes on in the next one. */
static struct ptx_lo_block *end_block(struct ptx_lower *l, uint8_t term)
{
	struct ptx_lo_block *b = ptx_lo_block_now(l);

	if (b) {
		b->term = term;
		b->line = l->in ? l->in->line : l->b->end_line;
	}
	return b;
}

/* "@p ret" and the like: others go around a block that does it. The guard is then done with. */
static bool around(struct ptx_lower *l)
{
	struct ptx_lo_block *b;

	if (l->guard < 0)
		return true;
	b = end_block(l, IR_TERM_BRANCH);
	if (!b)
		return false;
	b->pred = (uint32_t)l->guard;
	b->pred_not = l->guard_not;
	b->target[0] = (int64_t)l->nblocks;
	b->target[1] = (int64_t)l->nblocks + 1;
	l->guard = -1;
	ptx_lo_block_begin(l);
	return !l->err->code;
}

static void store_results(struct ptx_lower *l)
{
	const struct ptx_proto *pr = &l->fn->proto;

	for (uint32_t k = 0; k < pr->nrets; k++) {
		uint32_t reg = l->b->formal_reg[pr->nparams + k];
		struct ir_operand s[2] = { ptx_lo_imm(l->b->rets[k].offset) };
		struct ir_inst *i;

		if (reg == UINT32_MAX)
			continue;
		s[1] = ptx_lo_reg(l, reg);
		i = ptx_lo_emit(l, IR_OP_ST, ptx_lo_storage(ptx_lo_reg_type(l, s[1])), 0, NULL, 2,
				s);
		if (pr->rets[k].size == 1)
			i->type = IR_U8;
		i->space = IR_SPACE_FRAME;
	}
}

static bool label_target(struct ptx_lower *l, const struct ptx_opnd *o, int64_t *ret_target)
{
	const struct ptx_label *lb =
		o->kind == PTX_O_NAME ? ptx_body_label(l->b, o, l->in->scope) : NULL;

	if (!lb) {
		ptx_lo_fail(l, "there is no label '%.*s'", (int)(o->len > 80 ? 80 : o->len),
			    o->name ? o->name : "");
		return false;
	}
	*ret_target = ~(int64_t)lb->at;
	return true;
}

static void flow_bra(struct ptx_lower *l)
{
	struct ptx_lo_block *b;
	int64_t target;
	bool uni = ptx_lo_mod(l, PTX_MOD_UNI);

	if (!ptx_lo_count(l, 1, 1) || !label_target(l, ptx_lo_opnd(l, 0), &target))
		return;
	b = end_block(l, l->guard >= 0 ? IR_TERM_BRANCH : IR_TERM_JUMP);
	if (!b)
		return;
	b->uniform = uni;
	b->target[0] = target;
	if (l->guard >= 0) {
		b->pred = (uint32_t)l->guard;
		b->pred_not = l->guard_not;
		b->target[1] = (int64_t)l->nblocks;
	}
	ptx_lo_block_begin(l);
}

static void flow_brx(struct ptx_lower *l)
{
	const struct ptx_opnd *o = ptx_lo_opnd(l, 1);
	const struct ptx_list *list;
	struct ptx_lo_block *b;
	struct ir_operand idx;
	int64_t *targets;

	ptx_lo_mod(l, PTX_MOD_IDX);
	ptx_lo_mod(l, PTX_MOD_UNI);
	if (!ptx_lo_count(l, 2, 2))
		return;
	list = o->kind == PTX_O_NAME ? ptx_body_list(l->b, o, l->in->scope) : NULL;
	if (!list || list->proto || !list->count) {
		ptx_lo_fail(l, "a list of branch targets is expected");
		return;
	}
	targets = arena_alloc(l->un->scratch, list->count * sizeof(*targets));
	if (!targets) {
		ptx_fail(l->err, PTX_ERR_MEMORY, l->in->line, 0, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < list->count; i++)
		if (!label_target(l, &list->items[i], &targets[i]))
			return;
	if (!around(l))
		return;
	idx = ptx_lo_src(l, ptx_lo_opnd(l, 0), IR_U32);
	if (idx.kind == IR_OPND_IMM) {
		struct ir_operand t = ptx_lo_temp(l, IR_U32);

		ptx_lo_emit1(l, IR_OP_MOV, IR_U32, t, 1, &idx);
		idx = t;
	}
	b = end_block(l, IR_TERM_SWITCH);
	if (!b)
		return;
	b->pred = idx.reg;
	b->targets = targets;
	b->ntargets = list->count;
	ptx_lo_block_begin(l);
}

/* bra, brx, ret, exit */
void ptx_lower_flow(struct ptx_lower *l, enum ir_op op)
{
	switch (l->in->op) {
	case PTX_OP_BRA:
		flow_bra(l);
		return;
	case PTX_OP_BRX:
		flow_brx(l);
		return;
	default:
		break;
	}
	ptx_lo_mod(l, PTX_MOD_UNI);
	if (!ptx_lo_count(l, 0, 0) || !around(l))
		return;
	if (l->in->op == PTX_OP_RET)
		store_results(l);
	end_block(l, l->in->op == PTX_OP_RET ? IR_TERM_RET : IR_TERM_EXIT);
	ptx_lo_block_begin(l);
}

/* ---- calls ----------------------------------------------------------------------------------- */

struct call {
	const struct ptx_opnd *rets, *callee, *args, *list;
	uint32_t nrets, nargs;
};

static bool split_call(struct ptx_lower *l, struct call *c)
{
	const struct ptx_inst *in = l->in;
	uint32_t i = 0;

	memset(c, 0, sizeof(*c));
	if (i < in->nopnds && in->opnds[i].kind == PTX_O_LIST) {
		c->rets = in->opnds[i].sub;
		c->nrets = in->opnds[i++].nsub;
	}
	if (i < in->nopnds)
		c->callee = &in->opnds[i++];
	if (i < in->nopnds && in->opnds[i].kind == PTX_O_LIST) {
		c->args = in->opnds[i].sub;
		c->nargs = in->opnds[i++].nsub;
	}
	if (i < in->nopnds)
		c->list = &in->opnds[i++];
	if (c->callee && i == in->nopnds)
		return true;
	ptx_lo_fail(l, "bad form");
	return false;
}

static uint8_t slot_type(uint32_t size)
{
	return size == 1   ? IR_U8
	       : size == 2 ? IR_U16
	       : size == 4 ? IR_U32
	       : size == 8 ? IR_U64
			   : IR_U128;
}

static bool is_frame_var(const struct ptx_opnd *o)
{
	return o->kind == PTX_O_VAR && o->var->in_body && o->var->space == PTX_SPACE_PARAM;
}

/* One argument or result: the variable's piece, or a new one that a register goes through. */
static bool call_slot(struct ptx_lower *l, const struct ptx_opnd *o, const struct ptx_param *p,
		      bool is_ret, struct ir_slot *slot)
{
	uint8_t type = slot_type(p->size);
	struct ir_operand s[2];
	struct ir_inst *i;

	slot->size = p->size;
	if (is_frame_var(o)) {
		slot->offset = (uint32_t)o->var->offset;
		if (p->unsized)
			slot->size = (uint32_t)o->var->size;
		if (o->var->size >= slot->size)
			return true;
		ptx_lo_fail(l, "'%.80s' is smaller than the parameter", o->var->name);
		return false;
	}
	if (p->unsized || !p->size || p->size > 16 || (p->size & (p->size - 1))) {
		ptx_lo_fail(l, "an argument does not fit its parameter");
		return false;
	}
	slot->offset = ptx_lo_frame(l, p->size);
	if (is_ret)
		return !l->err->code;
	s[0] = ptx_lo_imm(slot->offset);
	s[1] = ptx_lo_src_wide(l, o, type);
	i = ptx_lo_emit(l, IR_OP_ST, type, 0, NULL, 2, s);
	i->space = IR_SPACE_FRAME;
	return !l->err->code;
}

static bool call_slots(struct ptx_lower *l, const struct ptx_opnd *list, uint32_t n,
		       const struct ptx_param *formal, uint32_t nformal, bool is_ret,
		       struct ir_slot **ret_slots)
{
	struct ir_slot *slots = arena_alloc(l->arena, n * sizeof(*slots));

	if (!slots) {
		ptx_fail(l->err, PTX_ERR_MEMORY, l->in->line, 0, "out of memory");
		return false;
	}
	if (n != nformal) {
		ptx_lo_fail(l, "%u %s where the function has %u", n,
			    is_ret ? "results" : "arguments", nformal);
		return false;
	}
	for (uint32_t i = 0; i < n; i++)
		if (!call_slot(l, &list[i], &formal[i], is_ret, &slots[i]))
			return false;
	*ret_slots = slots;
	return true;
}

static const struct {
	const char *name;
	uint8_t id;
} builtins[] = {
	{ "vprintf", IR_BUILTIN_VPRINTF },
	{ "__assertfail", IR_BUILTIN_ASSERTFAIL },
	{ "malloc", IR_BUILTIN_MALLOC },
	{ "free", IR_BUILTIN_FREE },
#define CNP(name) "__cuda_syscall_cnpv2" name
	{ CNP("GetParameterBuffer"), IR_BUILTIN_CNP_BUFFER },
	{ CNP("GetParameterBufferV2"), IR_BUILTIN_CNP_BUFFER_V2 },
	{ CNP("LaunchDevice"), IR_BUILTIN_CNP_LAUNCH },
	{ CNP("LaunchDeviceV2"), IR_BUILTIN_CNP_LAUNCH_V2 },
	{ CNP("StreamCreate"), IR_BUILTIN_CNP_STREAM_CREATE },
	{ CNP("StreamDestroy"), IR_BUILTIN_CNP_STREAM_DESTROY },
	{ CNP("StreamWaitEvent"), IR_BUILTIN_CNP_STREAM_WAIT },
	{ CNP("EventCreate"), IR_BUILTIN_CNP_EVENT_CREATE },
	{ CNP("EventDestroy"), IR_BUILTIN_CNP_EVENT_DESTROY },
	{ CNP("EventRecord"), IR_BUILTIN_CNP_EVENT_RECORD },
	{ CNP("GetLastError"), IR_BUILTIN_CNP_LAST_ERROR },
	{ CNP("SetLastError"), IR_BUILTIN_CNP_SET_ERROR },
	{ CNP("GetDevice"), IR_BUILTIN_CNP_DEVICE },
	{ CNP("DeviceGetAttribute"), IR_BUILTIN_CNP_ATTRIBUTE },
	{ CNP("GetLimit"), IR_BUILTIN_CNP_LIMIT },
	{ CNP("GetCacheConfig"), IR_BUILTIN_CNP_CACHE_CONFIG },
	{ CNP("GetSharedMemConfig"), IR_BUILTIN_CNP_SHARED_CONFIG },
#undef CNP
};

/* Who is called. Sets op, and func of the aux. */
static bool find_callee(struct ptx_lower *l, const struct call *c, enum ir_op *ret_op,
			const struct ptx_proto **ret_proto, uint32_t *ret_func)
{
	const struct ptx_opnd *o = c->callee;
	const struct ptx_list *list;

	if (o->kind == PTX_O_FUNC) {
		*ret_proto = &o->func->proto;
		*ret_op = IR_OP_CALL;
		if (o->func->defined && !o->func->is_entry)
			return ptx_lo_reach(l->un, o->func, ret_func);
		for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
			if (!o->func->defined && !strcmp(builtins[i].name, o->func->name)) {
				*ret_op = IR_OP_CALL_BUILTIN;
				*ret_func = builtins[i].id;
				return true;
			}
		ptx_lo_fail(l, "unresolved extern function '%.120s'", o->func->name);
		return false;
	}
	if (o->kind != PTX_O_REG) {
		ptx_lo_fail(l, "unresolved extern function '%.*s'",
			    (int)(o->len > 120 ? 120 : o->len), o->name ? o->name : "");
		return false;
	}
	list = c->list && c->list->kind == PTX_O_NAME ? ptx_body_list(l->b, c->list, l->in->scope)
						      : NULL;
	*ret_op = IR_OP_CALL_INDIRECT;
	if (list && list->proto) {
		struct ptx_lo_indirect *x = arena_alloc(l->un->scratch, sizeof(*x));

		if (!x)
			return false;
		x->proto = *ret_proto = list->proto;
		x->next = l->un->indirect;
		l->un->indirect = x;
		return true;
	}
	for (uint32_t i = 0; list && i < list->count; i++) { /* .calltargets */
		uint32_t ignored;

		if (list->items[i].kind != PTX_O_FUNC || !list->items[i].func->defined) {
			ptx_lo_fail(l, "bad list of call targets");
			return false;
		}
		*ret_proto = &list->items[i].func->proto;
		if (!ptx_lo_reach(l->un, list->items[i].func, &ignored))
			return false;
	}
	if (!*ret_proto)
		ptx_lo_fail(l, "an indirect call needs a prototype or a list of targets");
	return *ret_proto;
}

/* Results that the caller keeps in registers come out of their pieces after the call. */
static void load_results(struct ptx_lower *l, const struct call *c, const struct ir_aux *aux)
{
	for (uint32_t k = 0; k < c->nrets; k++) {
		const struct ptx_opnd *o = &c->rets[k];
		uint8_t type = slot_type(aux->rets[k].size);
		struct ir_operand s, d;
		struct ir_inst *i;

		if (is_frame_var(o) || o->kind == PTX_O_SINK)
			continue;
		s = ptx_lo_imm(aux->rets[k].offset);
		d = ptx_lo_dst_wide(l, o, type);
		i = ptx_lo_emit1(l, IR_OP_LD, type, d, 1, &s);
		i->type2 = ptx_lo_reg_type(l, d);
		i->space = IR_SPACE_FRAME;
	}
}

void ptx_lower_call(struct ptx_lower *l, enum ir_op op)
{
	const struct ptx_proto *pr = NULL;
	struct ir_aux *aux = arena_alloc(l->arena, sizeof(*aux));
	struct ir_operand target;
	struct ir_inst *i;
	struct call c;

	ptx_lo_mod(l, PTX_MOD_UNI);
	if (!aux) {
		ptx_fail(l->err, PTX_ERR_MEMORY, l->in->line, 0, "out of memory");
		return;
	}
	if (!split_call(l, &c) || !find_callee(l, &c, &op, &pr, &aux->func))
		return;
	if (!call_slots(l, c.args, c.nargs, pr->params, pr->nparams, false, &aux->args) ||
	    !call_slots(l, c.rets, c.nrets, pr->rets, pr->nrets, true, &aux->rets))
		return;
	aux->count = c.nargs;
	aux->nrets = c.nrets;
	if (op == IR_OP_CALL_INDIRECT) {
		target = ptx_lo_src(l, c.callee, IR_U64);
		i = ptx_lo_emit(l, op, IR_U64, 0, NULL, 1, &target);
	} else {
		i = ptx_lo_emit(l, op, IR_NONE, 0, NULL, 0, NULL);
	}
	i->aux = aux;
	load_results(l, &c, aux);
}

/* SPDX-License-Identifier: MIT */
/*
 * body.c - the statements of one function: declarations, labels, instructions, nested scopes.
 *
 * Frame of a device function: results, parameters, then local variables and the argument space of
 * calls in order of declaration; argument space of a { } is used again after it.
 */
#include "cuse_dev/backend/soft/ptx/tree.h"

#include <stdio.h>
#include <string.h>

#include "cuse_dev/base/arena.h"
#include "cuse_dev/base/limits.h"

static bool no_memory(struct ptx_body_parser *bp)
{
	ptx_fail(bp->lex.err, PTX_ERR_MEMORY, bp->lex.tok.line, bp->lex.tok.column,
		 "out of memory");
	return false;
}

static bool frame_take(struct ptx_body_parser *bp, uint32_t align, uint64_t size,
		       uint64_t *ret_offset)
{
	struct ptx_body *b = bp->b;
	uint64_t at = (b->frame_bytes + (uint64_t)align - 1) & ~((uint64_t)align - 1);

	if (size > UINT32_MAX / 4 || at + size > UINT32_MAX / 4) {
		ptx_lex_fail(&bp->lex, "too much local memory");
		return false;
	}
	*ret_offset = at;
	b->frame_bytes = (uint32_t)(at + size);
	if (b->frame_align < align)
		b->frame_align = align;
	return true;
}

/* ---- declarations ---------------------------------------------------------------------------- */

static bool regs_add(struct ptx_body_parser *bp, uint8_t type, const char *base, uint32_t count,
		     bool numbered)
{
	struct ptx_body *b = bp->b;

	if (count > LIMIT_PTX_REGISTERS - b->nregs) {
		ptx_lex_fail(&bp->lex, "too many registers");
		return false;
	}
	b->regs = arena_grow(b->arena, b->regs, &b->regs_cap, b->nregs + count, sizeof(*b->regs));
	if (!b->regs)
		return no_memory(bp);
	for (uint32_t i = 0; i < count; i++) {
		struct ptx_reg *r = &b->regs[b->nregs++];

		r->type = type;
		r->base = base;
		r->number = numbered ? i : UINT32_MAX;
	}
	return true;
}

/* The "<n>" that makes n names of one, or nothing: 0. */
static bool decl_family(struct ptx_lex *lex, const char *what, uint32_t limit, uint32_t *ret_count)
{
	*ret_count = 0;
	if (!ptx_lex_accept(lex, '<'))
		return true;
	/* a number, not an expression: ">" ends it */
	if (lex->tok.kind != PTX_TOK_INT || !lex->tok.bits || lex->tok.bits > limit) {
		ptx_lex_fail(lex, "bad number of %s", what);
		return false;
	}
	*ret_count = (uint32_t)lex->tok.bits;
	ptx_lex_next(lex);
	ptx_lex_expect(lex, '>');
	return !lex->err->code;
}

static bool decl_reg(struct ptx_body_parser *bp)
{
	struct ptx_decl d = { .space = PTX_SPACE_REG, .vec = 1 };
	struct ptx_lex *lex = &bp->lex;

	ptx_lex_next(lex);
	if (!ptx_decl_type(lex, &d))
		return false;
	do {
		struct ptx_scope_entry e = { .name = lex->tok.text,
					     .len = lex->tok.len,
					     .vec = d.vec };
		const char *base;

		if (lex->tok.kind != PTX_TOK_IDENT) {
			ptx_lex_fail(lex, "the name of a register is expected");
			return false;
		}
		ptx_lex_next(lex);
		if (!decl_family(lex, "registers", LIMIT_PTX_REGISTERS, &e.count))
			return false;
		base = arena_strndup(bp->b->arena, e.name, e.len);
		if (!base)
			return no_memory(bp);
		e.base = (uint32_t)bp->b->nregs;
		if (!regs_add(bp, d.type, base, (e.count ? e.count : 1) * d.vec,
			      e.count || d.vec > 1) ||
		    !ptx_operand_scope_add(bp, &e))
			return false;
	} while (ptx_lex_accept(lex, ','));
	ptx_lex_expect(lex, ';');
	return !lex->err->code;
}

static struct ptx_var *var_add(struct ptx_body_parser *bp, const char *name, uint32_t len)
{
	struct ptx_body *b = bp->b;
	struct ptx_var *v = arena_alloc(b->arena, sizeof(*v));
	struct ptx_scope_entry e = { .name = name, .len = len, .var = v };

	if (v)
		v->name = arena_strndup(b->arena, name, len);
	b->vars = arena_grow(b->arena, b->vars, &b->vars_cap, b->nvars + 1, sizeof(*b->vars));
	if (!v || !v->name || !b->vars) {
		no_memory(bp);
		return NULL;
	}
	b->vars[b->nvars++] = v;
	v->defined = true;
	v->in_body = true;
	v->line = bp->lex.tok.line;
	return ptx_operand_scope_add(bp, &e) ? v : NULL;
}

static bool variable(struct ptx_body_parser *bp, const struct ptx_decl *d, const char *name,
		     uint32_t len, uint64_t size, bool unsized)
{
	struct ptx_var *v = var_add(bp, name, len);

	if (!v)
		return false;
	v->space = d->space;
	v->type = d->type;
	v->unsized = unsized;
	v->size = unsized ? 0 : size;
	v->align = ptx_type_bytes(d->type) * d->vec;
	if (d->align > v->align)
		v->align = d->align;
	if (unsized && d->space != PTX_SPACE_SHARED && d->space != PTX_SPACE_PARAM) {
		ptx_lex_fail(&bp->lex, "'%.80s' has no size", v->name);
		return false;
	}
	v->offset = UINT64_MAX; /* shared: given when it is used */
	return d->space == PTX_SPACE_SHARED || frame_take(bp, v->align, v->size, &v->offset);
}

/* name0 to name(n-1), as gcc has its parameters. */
static bool variable_family(struct ptx_body_parser *bp, const struct ptx_decl *d, const char *name,
			    uint32_t len, uint32_t count, uint64_t size)
{
	for (uint32_t i = 0; i < count; i++) {
		char *one = arena_alloc(bp->b->arena, len + 11);
		int n;

		if (!one)
			return no_memory(bp);
		n = snprintf(one, len + 11, "%.*s%u", (int)len, name, i);
		if (!variable(bp, d, one, (uint32_t)n, size, false))
			return false;
	}
	return true;
}

static bool decl_variable(struct ptx_body_parser *bp, uint8_t space)
{
	struct ptx_decl d = { .space = space, .vec = 1 };
	struct ptx_lex *lex = &bp->lex;

	ptx_lex_next(lex);
	if (!ptx_decl_type(lex, &d))
		return false;
	do {
		const char *name = lex->tok.text;
		uint32_t len = lex->tok.len, count, ndims;
		uint64_t dims[8], size;
		bool unsized, good;

		if (lex->tok.kind != PTX_TOK_IDENT) {
			ptx_lex_fail(lex, "the name of a variable is expected");
			return false;
		}
		ptx_lex_next(lex);
		if (!decl_family(lex, "variables", LIMIT_PTX_FAMILY, &count))
			return false;
		if (count) {
			size = (uint64_t)ptx_type_bytes(d.type) * d.vec;
			good = variable_family(bp, &d, name, len, count, size);
		} else {
			good = ptx_decl_array(lex, &d, &size, &unsized, dims, &ndims) &&
			       variable(bp, &d, name, len, size, unsized);
		}
		if (!good)
			return false;
	} while (ptx_lex_accept(lex, ','));
	ptx_lex_expect(lex, ';');
	return !lex->err->code;
}

/* Globals and constants: the module knows them since it was loaded (inner.c). */
static bool decl_static(struct ptx_body_parser *bp, uint8_t space)
{
	struct ptx_decl d = { .space = space, .vec = 1 };
	struct ptx_lex *lex = &bp->lex;

	ptx_lex_next(lex);
	if (!ptx_decl_type(lex, &d))
		return false;
	do {
		struct ptx_scope_entry e = { .name = lex->tok.text, .len = lex->tok.len };
		struct ptx_var again = { .name = "", .type = d.type };
		uint64_t dims[8];
		uint32_t ndims;

		if (lex->tok.kind != PTX_TOK_IDENT) {
			ptx_lex_fail(lex, "the name of a variable is expected");
			return false;
		}
		e.var = ptx_inner_find(bp->f, e.name);
		again.name = e.var ? e.var->name : "";
		ptx_lex_next(lex);
		if (!ptx_decl_array(lex, &d, &again.size, &again.unsized, dims, &ndims))
			return false;
		if (ptx_lex_accept(lex, '=') &&
		    !ptx_decl_init(lex, bp->b->arena, &d, &again, dims, ndims))
			return false;
		if (!e.var || again.unsized) {
			ptx_lex_fail(lex, "bad variable '%.*s'", (int)(e.len > 80 ? 80 : e.len),
				     e.name);
			return false;
		}
		if (!ptx_operand_scope_add(bp, &e))
			return false;
	} while (ptx_lex_accept(lex, ','));
	ptx_lex_expect(lex, ';');
	return !lex->err->code;
}

/* label: .branchtargets a, b;   .calltargets f, g;   .callprototype (..) _ (..); */
static bool decl_list(struct ptx_body_parser *bp, const char *name, uint32_t len)
{
	struct ptx_lex *lex = &bp->lex;
	struct ptx_list *l = arena_alloc(bp->b->arena, sizeof(*l));
	bool proto = ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "callprototype");

	if (!l)
		return no_memory(bp);
	l->name = name;
	l->len = len;
	l->scope = bp->scope;
	l->next = bp->b->lists;
	bp->b->lists = l;
	ptx_lex_next(lex);
	if (!proto)
		return ptx_operand_list(bp, ';', &l->items, &l->count, 2);
	l->proto = arena_alloc(bp->b->arena, sizeof(*l->proto));
	if (!l->proto)
		return no_memory(bp);
	if (ptx_lex_is(lex, '(') &&
	    !ptx_decl_params(lex, bp->b->arena, &l->proto->rets, &l->proto->nrets, NULL, NULL))
		return false;
	if (lex->tok.kind == PTX_TOK_IDENT)
		ptx_lex_next(lex);
	if (ptx_lex_is(lex, '(') &&
	    !ptx_decl_params(lex, bp->b->arena, &l->proto->params, &l->proto->nparams,
			     &l->proto->param_bytes, &l->proto->variadic))
		return false;
	while (lex->tok.kind == PTX_TOK_DIRECTIVE) { /* .noreturn, .abi_preserve n */
		ptx_lex_next(lex);
		if (lex->tok.kind == PTX_TOK_INT)
			ptx_lex_next(lex);
	}
	ptx_lex_expect(lex, ';');
	return !lex->err->code;
}

/* "function_name label {+ n}" or "inlined_at file line column" after a .loc */
static void loc_extra(struct ptx_lex *lex)
{
	bool name = ptx_lex_is_word(lex, PTX_TOK_IDENT, "function_name");

	ptx_lex_next(lex);
	if (name) {
		ptx_lex_next(lex);
		if (ptx_lex_accept(lex, '+'))
			ptx_lex_next(lex);
	}
	while (!name && lex->tok.kind == PTX_TOK_INT)
		ptx_lex_next(lex);
}

static bool body_directive(struct ptx_body_parser *bp)
{
	struct ptx_lex *lex = &bp->lex;
	const struct ptx_tok *t = &lex->tok;

	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "loc") ||
	    ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "file")) {
		ptx_lex_next(lex);
		while (t->kind == PTX_TOK_INT || t->kind == PTX_TOK_STRING)
			ptx_lex_next(lex);
		while (ptx_lex_accept(lex, ','))
			loc_extra(lex);
		return !lex->err->code;
	}
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "pragma")) {
		while (t->kind != PTX_TOK_END && !ptx_lex_is(lex, ';'))
			ptx_lex_next(lex);
		ptx_lex_expect(lex, ';');
		return !lex->err->code;
	}
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "reg"))
		return decl_reg(bp);
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "local"))
		return decl_variable(bp, PTX_SPACE_LOCAL);
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "param"))
		return decl_variable(bp, PTX_SPACE_PARAM);
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "shared"))
		return decl_variable(bp, PTX_SPACE_SHARED);
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "global"))
		return decl_static(bp, PTX_SPACE_GLOBAL);
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "const"))
		return decl_static(bp, PTX_SPACE_CONST);
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "extern")) { /* .extern .shared x[]; */
		ptx_lex_next(lex);
		if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "shared"))
			return decl_variable(bp, PTX_SPACE_SHARED);
	}
	ptx_lex_fail(lex, "'.%.*s' cannot stand in a function", (int)(t->len > 40 ? 40 : t->len),
		     t->text);
	return false;
}

/* ---- instructions ---------------------------------------------------------------------------- */

static bool inst_modifiers(struct ptx_body_parser *bp, struct ptx_inst *in)
{
	struct ptx_mod_use mods[LIMIT_PTX_MODIFIERS];
	struct ptx_mod_use *copy;
	const char *text;
	uint32_t len;

	while (ptx_lex_modifier(&bp->lex, &text, &len)) {
		if (in->nmods == LIMIT_PTX_MODIFIERS || !len || len > 64) {
			ptx_lex_fail(&bp->lex, "bad modifiers");
			return false;
		}
		mods[in->nmods].id = (uint16_t)ptx_mod_find(text, len);
		mods[in->nmods].len = (uint16_t)len;
		mods[in->nmods++].text = text;
	}
	if (!in->nmods)
		return true;
	copy = arena_alloc(bp->b->arena, in->nmods * sizeof(*copy));
	if (!copy)
		return no_memory(bp);
	memcpy(copy, mods, in->nmods * sizeof(*copy));
	in->mods = copy;
	return true;
}

static bool inst_operands(struct ptx_body_parser *bp, struct ptx_inst *in)
{
	struct ptx_lex *lex = &bp->lex;
	struct ptx_opnd opnds[16];
	uint32_t n = 0;

	while (!lex->err->code && !ptx_lex_is(lex, ';')) {
		struct ptx_opnd *o = &opnds[n];

		if (n++ == 16) {
			ptx_lex_fail(lex, "too many operands");
			return false;
		}
		if (in->op == PTX_OP_CALL && ptx_lex_is(lex, '(')) {
			memset(o, 0, sizeof(*o));
			o->kind = PTX_O_LIST;
			o->line = lex->tok.line;
			o->column = lex->tok.column;
			ptx_lex_next(lex);
			if (!ptx_operand_list(bp, ')', &o->sub, &o->nsub, 2))
				return false;
		} else if (!ptx_operand(bp, o, LIMIT_PTX_NESTING)) {
			return false;
		}
		if (!ptx_lex_accept(lex, ','))
			break;
	}
	ptx_lex_expect(lex, ';');
	if (lex->err->code)
		return false;
	in->nopnds = (uint16_t)n;
	in->opnds = arena_alloc(bp->b->arena, n * sizeof(*in->opnds));
	if (!in->opnds)
		return no_memory(bp);
	if (n)
		memcpy(in->opnds, opnds, n * sizeof(*in->opnds));
	return true;
}

static bool inst_guard(struct ptx_body_parser *bp, struct ptx_inst *in)
{
	struct ptx_lex *lex = &bp->lex;
	struct ptx_opnd o;

	in->guard_not = ptx_lex_accept(lex, '!');
	memset(&o, 0, sizeof(o));
	if (lex->tok.kind != PTX_TOK_IDENT ||
	    !ptx_operand_find(bp, lex->tok.text, lex->tok.len, &o) || o.kind != PTX_O_REG ||
	    bp->b->regs[o.reg].type != IR_PRED) {
		ptx_lex_fail(lex, "a predicate register is expected after '@'");
		return false;
	}
	in->guarded = true;
	in->guard = o.reg;
	ptx_lex_next(lex);
	return true;
}

static bool body_inst(struct ptx_body_parser *bp)
{
	struct ptx_lex *lex = &bp->lex;
	struct ptx_body *b = bp->b;
	struct ptx_inst in = { .scope = bp->scope };
	enum ptx_op op;

	if (ptx_lex_accept(lex, '@') && !inst_guard(bp, &in))
		return false;
	in.line = lex->tok.line;
	in.column = lex->tok.column;
	op = lex->tok.kind == PTX_TOK_IDENT ? ptx_op_find(lex->tok.text, lex->tok.len)
					    : PTX_OP_COUNT;
	if (op == PTX_OP_COUNT) {
		ptx_lex_fail(lex, "unknown instruction '%.*s'",
			     (int)(lex->tok.len > 40 ? 40 : lex->tok.len), lex->tok.text);
		return false;
	}
	in.op = (uint16_t)op;
	if (!inst_modifiers(bp, &in))
		return false;
	ptx_lex_next(lex);
	if (!inst_operands(bp, &in))
		return false;
	b->insts = arena_grow(b->arena, b->insts, &b->insts_cap, b->ninsts + 1, sizeof(*b->insts));
	if (!b->insts)
		return no_memory(bp);
	b->insts[b->ninsts++] = in;
	return true;
}

static bool body_label(struct ptx_body_parser *bp)
{
	struct ptx_lex *lex = &bp->lex;
	struct ptx_body *b = bp->b;
	const char *name = lex->tok.text;
	uint32_t len = lex->tok.len;
	struct ptx_label *l, **bucket;

	ptx_lex_next(lex);
	ptx_lex_expect(lex, ':');
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "branchtargets") ||
	    ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "calltargets") ||
	    ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "callprototype"))
		return decl_list(bp, name, len);
	l = arena_alloc(b->arena, sizeof(*l));
	if (!l)
		return no_memory(bp);
	l->name = name;
	l->len = len;
	l->hash = ptx_hash(name, len);
	l->scope = bp->scope;
	l->at = (uint32_t)b->ninsts;
	bucket = &b->label_hash[l->hash % PTX_BODY_BUCKETS];
	for (struct ptx_label *o = *bucket; o; o = o->next)
		if (o->scope == l->scope && o->len == len && !memcmp(o->name, name, len)) {
			ptx_lex_fail(lex, "label '%.*s' is defined twice",
				     (int)(len > 80 ? 80 : len), name);
			return false;
		}
	l->next = *bucket;
	*bucket = l;
	b->nlabels++;
	return true;
}

/* ---- scopes ---------------------------------------------------------------------------------- */

struct scope_mark {
	uint32_t scope;
	size_t nstack, nvars;
	uint32_t frame_bytes;
};

static bool scope_open(struct ptx_body_parser *bp, struct scope_mark *marks)
{
	struct ptx_body *b = bp->b;
	struct scope_mark *k;

	if (bp->depth == LIMIT_PTX_NESTING) {
		ptx_lex_fail(&bp->lex, "blocks nested too deeply");
		return false;
	}
	k = &marks[bp->depth++];
	k->scope = bp->scope;
	k->nstack = bp->nstack;
	k->nvars = b->nvars;
	k->frame_bytes = b->frame_bytes;
	b->scope_parent = arena_grow(b->arena, b->scope_parent, &b->scopes_cap, b->nscopes + 1,
				     sizeof(*b->scope_parent));
	if (!b->scope_parent)
		return no_memory(bp);
	b->scope_parent[b->nscopes] = bp->scope;
	bp->scope = (uint32_t)b->nscopes++;
	return true;
}

static void scope_close(struct ptx_body_parser *bp, const struct scope_mark *k,
			uint32_t *frame_most)
{
	struct ptx_body *b = bp->b;
	bool local = false;

	while (bp->nstack > k->nstack) {
		struct ptx_scope_entry *e = bp->stack[--bp->nstack];

		bp->buckets[e->hash % PTX_BODY_BUCKETS] = e->next;
	}
	for (size_t i = k->nvars; i < b->nvars; i++)
		local |= b->vars[i]->space == PTX_SPACE_LOCAL;
	if (*frame_most < b->frame_bytes)
		*frame_most = b->frame_bytes;
	if (!local)
		b->frame_bytes = k->frame_bytes;
	bp->scope = k->scope;
	bp->depth--;
}

static bool body_statements(struct ptx_body_parser *bp, uint32_t *frame_most)
{
	struct scope_mark marks[LIMIT_PTX_NESTING];
	struct ptx_lex *lex = &bp->lex;

	while (lex->tok.kind != PTX_TOK_END) {
		const char *p = lex->p;
		bool ok = true;

		if (lex->tok.kind == PTX_TOK_DIRECTIVE) {
			ok = body_directive(bp);
		} else if (lex->tok.kind == PTX_TOK_IDENT) {
			while (*p == ' ' || *p == '\t')
				p++;
			ok = *p == ':' && p[1] != ':' ? body_label(bp) : body_inst(bp);
		} else if (ptx_lex_is(lex, '{')) {
			ok = scope_open(bp, marks);
			ptx_lex_next(lex);
		} else if (ptx_lex_is(lex, '}') && bp->depth) {
			scope_close(bp, &marks[bp->depth - 1], frame_most);
			ptx_lex_next(lex);
		} else if (!ptx_lex_accept(lex, ';')) {
			ok = body_inst(bp);
		}
		if (!ok)
			return false;
	}
	return !lex->err->code;
}

/* ---- formals --------------------------------------------------------------------------------- */

static bool formal(struct ptx_body_parser *bp, const struct ptx_param *p, bool entry,
		   uint32_t *ret_reg, struct ir_slot *slot)
{
	struct ptx_body *b = bp->b;
	struct ptx_scope_entry e = { .name = p->name, .len = (uint32_t)strlen(p->name), .vec = 1 };
	struct ptx_var *v;
	uint64_t at = p->offset;

	if (!entry && !frame_take(bp, p->align, p->size, &at))
		return false;
	slot->offset = (uint32_t)at;
	slot->size = p->size;
	*ret_reg = UINT32_MAX;
	if (p->in_reg) {
		*ret_reg = e.base = (uint32_t)b->nregs;
		return regs_add(bp, p->type, p->name, 1, false) && ptx_operand_scope_add(bp, &e);
	}
	v = var_add(bp, p->name, e.len);
	if (!v)
		return false;
	v->space = PTX_SPACE_PARAM;
	v->type = p->type;
	v->align = p->align;
	v->size = p->size;
	v->unsized = p->unsized;
	v->in_body = !entry;
	v->offset = at;
	return true;
}

static bool formals(struct ptx_body_parser *bp)
{
	struct ptx_body *b = bp->b;
	const struct ptx_proto *pr = &bp->f->proto;
	uint32_t n = pr->nparams + pr->nrets;

	b->formal_reg = arena_alloc(b->arena, (n + 1) * sizeof(*b->formal_reg));
	b->params = arena_alloc(b->arena, (n + 1) * sizeof(*b->params));
	if (!b->formal_reg || !b->params)
		return no_memory(bp);
	b->rets = b->params + pr->nparams;
	for (uint32_t i = 0; i < pr->nparams; i++)
		if (!formal(bp, &pr->params[i], bp->f->is_entry, &b->formal_reg[i], &b->params[i]))
			return false;
	for (uint32_t i = 0; i < pr->nrets; i++)
		if (!formal(bp, &pr->rets[i], false, &b->formal_reg[pr->nparams + i], &b->rets[i]))
			return false;
	return true;
}

struct ptx_body *ptx_body_parse(struct ptx_module *m, struct ptx_func *f,
				struct base_arena *scratch, struct ptx_error *err)
{
	struct ptx_body_parser *bp = arena_alloc(scratch, sizeof(*bp));
	struct ptx_body *b = arena_alloc(scratch, sizeof(*b));
	uint32_t frame_most = 0;

	if (b)
		b->label_hash = arena_alloc(scratch, PTX_BODY_BUCKETS * sizeof(*b->label_hash));
	if (b)
		b->scope_parent = arena_grow(scratch, NULL, &b->scopes_cap, 1, sizeof(uint32_t));
	if (!bp || !b || !b->label_hash || !b->scope_parent) {
		ptx_fail(err, PTX_ERR_MEMORY, f->line, 0, "out of memory");
		return NULL;
	}
	b->arena = scratch;
	b->frame_align = 16;
	b->nscopes = 1;
	bp->m = m;
	bp->f = f;
	bp->b = b;
	ptx_lex_start(&bp->lex, f->body, f->body_end, f->body_line_start, f->body_line, err);
	if (!formals(bp) || !body_statements(bp, &frame_most))
		return NULL;
	if (bp->depth) {
		ptx_lex_fail(&bp->lex, "a block has no end");
		return NULL;
	}
	if (b->frame_bytes < frame_most)
		b->frame_bytes = frame_most;
	b->end_line = bp->lex.line;
	return b;
}

const struct ptx_label *ptx_body_label(const struct ptx_body *b, const struct ptx_opnd *o,
				       uint32_t scope)
{
	uint32_t h = ptx_hash(o->name, o->len);

	for (;;) {
		for (struct ptx_label *l = b->label_hash[h % PTX_BODY_BUCKETS]; l; l = l->next)
			if (l->hash == h && l->scope == scope && l->len == o->len &&
			    !memcmp(l->name, o->name, o->len))
				return l;
		if (!scope)
			return NULL;
		scope = b->scope_parent[scope];
	}
}

const struct ptx_list *ptx_body_list(const struct ptx_body *b, const struct ptx_opnd *o,
				     uint32_t scope)
{
	for (;;) {
		for (const struct ptx_list *l = b->lists; l; l = l->next)
			if (l->scope == scope && l->len == o->len &&
			    !memcmp(l->name, o->name, o->len))
				return l;
		if (!scope)
			return NULL;
		scope = b->scope_parent[scope];
	}
}

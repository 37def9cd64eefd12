/* SPDX-License-Identifier: MIT */
/*
 * inner.c - variables in the module's memory: what one is made of, and those declared in bodies.
 *
 *	.entry k() { ... { .global .u32 count = 1; ... } }
 *
 * Such a variable exists once, from the module's loading on (ISA 5.1: no automatic storage but in
 * .local), while bodies are parsed only when a kernel needs them. So the module's one pass reads
 * the declarations of the few bodies that have any; the rest of these bodies it passes over. Their
 * names are seen in their block alone: a body asks for a variable by where its name stands.
 */
#include "cuse_dev/backend/soft/ptx/ptx.h"

#include <string.h>

#include "cuse_dev/base/arena.h"
#include "cuse_dev/base/limits.h"

struct ptx_var *ptx_var_create(struct ptx_module *m, struct ptx_lex *lex)
{
	struct ptx_var *v = arena_alloc(m->arena, sizeof(*v));

	m->vars = arena_grow(m->arena, m->vars, &m->vars_cap, m->nvars + 1, sizeof(*m->vars));
	if (!v || !m->vars) {
		ptx_fail(lex->err, PTX_ERR_MEMORY, lex->tok.line, lex->tok.column, "out of memory");
		return NULL;
	}
	v->index = (uint32_t)m->nvars;
	v->line = lex->tok.line;
	m->vars[m->nvars++] = v;
	return v;
}

void ptx_var_define(struct ptx_var *v, const struct ptx_decl *d, uint64_t size, bool unsized)
{
	v->space = d->space;
	v->type = d->type;
	v->opaque = d->opaque;
	v->managed = d->managed && d->space == PTX_SPACE_GLOBAL;
	v->unsized = unsized;
	v->size = unsized ? 0 : size;
	v->align = ptx_type_bytes(d->type) * d->vec;
	if (d->align > v->align)
		v->align = d->align;
}

bool ptx_var_place(struct ptx_module *m, struct ptx_lex *lex, struct ptx_var *v)
{
	uint64_t *total = v->managed ? &m->managed_bytes : &m->global_bytes;

	if (v->space == PTX_SPACE_SHARED || (v->linkage == PTX_LINK_EXTERN && !v->defined))
		return true;
	v->offset = (*total + v->align - 1) & ~(uint64_t)(v->align - 1);
	if (v->offset + v->size > LIMIT_PTX_VARIABLE_BYTES) {
		ptx_lex_fail(lex, "variables too large");
		return false;
	}
	*total = v->offset + v->size;
	return true;
}

/* ---- in bodies ------------------------------------------------------------------------------- */

struct inner {
	struct ptx_module *m;
	struct ptx_func *f;
	struct ptx_lex lex;
	/* blocks that are open; those of operands and initialisers come and go without harm */
	size_t seen[LIMIT_PTX_NESTING]; /* variables when it was opened */
	size_t nvisible;
	uint32_t depth;
	struct ptx_var **visible; /* [nvisible], the latest hides the others */
	size_t visible_cap;
};

static const struct ptx_var *visible_find(const struct inner *in, const char *name, size_t len)
{
	for (size_t i = in->nvisible; i--;)
		if (strlen(in->visible[i]->name) == len && !memcmp(in->visible[i]->name, name, len))
			return in->visible[i];
	return NULL;
}

static bool remember(struct inner *in, struct ptx_var *v)
{
	struct ptx_func *f = in->f;
	struct base_arena *a = in->m->arena;

	f->statics =
		arena_grow(a, f->statics, &f->statics_cap, f->nstatics + 1, sizeof(*f->statics));
	in->visible = arena_grow(a, in->visible, &in->visible_cap, in->nvisible + 1,
				 sizeof(*in->visible));
	if (!f->statics || !in->visible) {
		ptx_fail(in->lex.err, PTX_ERR_MEMORY, v->line, 0, "out of memory");
		return false;
	}
	f->statics[f->nstatics++] = v;
	in->visible[in->nvisible++] = v;
	return true;
}

static bool inner_declarator(struct inner *in, const struct ptx_decl *d)
{
	struct ptx_lex *lex = &in->lex;
	struct ptx_module *m = in->m;
	struct ptx_var fresh = { .in_body = true, .defined = true, .at = lex->tok.text }, *v;
	uint64_t dims[8], size;
	uint32_t ndims, index;
	bool unsized;

	if (lex->tok.kind != PTX_TOK_IDENT)
		return false;
	fresh.line = lex->tok.line;
	fresh.name = arena_strndup(m->arena, lex->tok.text, lex->tok.len);
	if (!fresh.name) {
		ptx_fail(lex->err, PTX_ERR_MEMORY, fresh.line, 0, "out of memory");
		return false;
	}
	ptx_lex_next(lex);
	if (!ptx_decl_array(lex, d, &size, &unsized, dims, &ndims))
		return false;
	ptx_var_define(&fresh, d, size, unsized);
	if (ptx_lex_accept(lex, '=') && !ptx_decl_init(lex, m->arena, d, &fresh, dims, ndims))
		return false;
	if (fresh.unsized)
		return false;
	if (m->nsyms == LIMIT_PTX_SYMBOLS) {
		ptx_lex_fail(lex, "too many symbols");
		return false;
	}
	m->nsyms++;
	if (!ptx_var_place(m, lex, &fresh))
		return false;
	v = ptx_var_create(m, lex);
	if (!v)
		return false;
	index = v->index;
	*v = fresh;
	v->index = index;
	if (!remember(in, v))
		return false;
	for (struct ptx_reloc *r = v->relocs; r; r = r->next)
		r->var = visible_find(in, r->name, r->name_len);
	return true;
}

static bool inner_variable(struct inner *in, uint8_t space)
{
	struct ptx_decl d = { .space = space, .vec = 1 };
	struct ptx_lex *lex = &in->lex;

	ptx_lex_next(lex);
	if (!ptx_decl_type(lex, &d))
		return false;
	do {
		if (!inner_declarator(in, &d))
			return false;
	} while (ptx_lex_accept(lex, ','));
	return ptx_lex_is(lex, ';');
}

static bool inner_brace(struct inner *in)
{
	if (ptx_lex_is(&in->lex, '{')) {
		if (in->depth == LIMIT_PTX_NESTING)
			return false;
		in->seen[in->depth++] = in->nvisible;
	} else if (ptx_lex_is(&in->lex, '}') && in->depth) {
		in->nvisible = in->seen[--in->depth];
	}
	return true;
}

static void inner_statements(struct inner *in)
{
	struct ptx_lex *lex = &in->lex;
	uint8_t before = PTX_TOK_PUNCT;

	while (lex->tok.kind != PTX_TOK_END) {
		/* "ld.global" and "@p ld .global" have a word before the dot */
		bool first = before != PTX_TOK_IDENT && before != PTX_TOK_DIRECTIVE;
		bool ok = true;

		before = lex->tok.kind;
		if (first && ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "global"))
			ok = inner_variable(in, PTX_SPACE_GLOBAL);
		else if (first && ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "const"))
			ok = inner_variable(in, PTX_SPACE_CONST);
		else
			ok = inner_brace(in);
		if (!ok)
			return;
		if (first && before == PTX_TOK_DIRECTIVE && ptx_lex_is(lex, ';'))
			before = PTX_TOK_PUNCT;
		ptx_lex_next(lex);
	}
}

bool ptx_inner_load(struct ptx_module *m, struct ptx_func *f, struct ptx_error *err)
{
	struct inner *in = arena_alloc(m->arena, sizeof(*in));
	struct ptx_error local = { 0 };

	if (!in) {
		ptx_fail(err, PTX_ERR_MEMORY, f->line, 0, "out of memory");
		return false;
	}
	in->m = m;
	in->f = f;
	ptx_lex_start(&in->lex, f->body, f->body_end, f->body_line_start, f->body_line, &local);
	inner_statements(in);
	if (local.code == PTX_ERR_MEMORY) {
		*err = local;
		return false;
	}
	return true;
}

struct ptx_var *ptx_inner_find(const struct ptx_func *f, const char *at)
{
	size_t lo = 0, hi = f->nstatics;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (f->statics[mid]->at == at)
			return f->statics[mid];
		if (f->statics[mid]->at < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

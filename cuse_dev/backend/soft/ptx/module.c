/* SPDX-License-Identifier: MIT */
/*
 * module.c - one fast pass over the text of a module: its directives, variables and functions.
 *
 * Bodies are only skipped here (scan.c); what is wrong inside one concerns its kernel alone.
 */
#include "cuse_dev/backend/soft/ptx/ptx.h"

#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/arena.h"
#include "cuse_dev/base/limits.h"

uint32_t ptx_hash(const char *s, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h ^ h >> 15;
}

struct ptx_sym *ptx_module_find(const struct ptx_module *m, const char *name, size_t len)
{
	uint32_t h = ptx_hash(name, len);
	struct ptx_sym *s;

	for (s = m->hash[h & (m->hash_size - 1)]; s; s = s->next)
		if (s->hash == h && s->len == len && !memcmp(s->name, name, len))
			return s;
	return NULL;
}

struct ptx_func *ptx_module_kernel(const struct ptx_module *m, const char *name)
{
	struct ptx_sym *s = ptx_module_find(m, name, strlen(name));

	return s && s->func && s->func->is_entry && s->func->defined ? s->func : NULL;
}

/* ---- symbols --------------------------------------------------------------------------------- */

struct loader {
	struct ptx_module *m;
	struct ptx_lex lex;
	uint8_t linkage;
};

static bool no_memory(struct loader *ld)
{
	ptx_fail(ld->lex.err, PTX_ERR_MEMORY, ld->lex.tok.line, ld->lex.tok.column,
		 "out of memory");
	return false;
}

static void rehash(struct ptx_module *m)
{
	uint32_t size = m->hash_size * 4;
	struct ptx_sym **hash = arena_alloc(m->arena, size * sizeof(*hash));

	if (!hash)
		return; /* only slower */
	for (uint32_t i = 0; i < m->hash_size; i++) {
		struct ptx_sym *s, *next;

		for (s = m->hash[i]; s; s = next) {
			next = s->next;
			s->next = hash[s->hash & (size - 1)];
			hash[s->hash & (size - 1)] = s;
		}
	}
	m->hash = hash;
	m->hash_size = size;
}

static struct ptx_sym *symbol_add(struct loader *ld, const char *name, size_t len)
{
	struct ptx_module *m = ld->m;
	struct ptx_sym *s;

	if (m->nsyms == LIMIT_PTX_SYMBOLS) {
		ptx_lex_fail(&ld->lex, "too many symbols");
		return NULL;
	}
	if (m->nsyms > 2 * m->hash_size)
		rehash(m);
	s = arena_alloc(m->arena, sizeof(*s));
	if (s)
		s->name = arena_strndup(m->arena, name, len);
	if (!s || !s->name) {
		no_memory(ld);
		return NULL;
	}
	s->len = (uint32_t)len;
	s->hash = ptx_hash(name, len);
	s->next = m->hash[s->hash & (m->hash_size - 1)];
	m->hash[s->hash & (m->hash_size - 1)] = s;
	m->nsyms++;
	return s;
}

/* The symbol named by the current token, made if new; takes the token. */
static struct ptx_sym *symbol_take(struct loader *ld)
{
	struct ptx_lex *lex = &ld->lex;
	struct ptx_sym *s;

	if (lex->tok.kind != PTX_TOK_IDENT) {
		ptx_lex_fail(lex, "a name is expected");
		return NULL;
	}
	s = ptx_module_find(ld->m, lex->tok.text, lex->tok.len);
	if (!s)
		s = symbol_add(ld, lex->tok.text, lex->tok.len);
	if (s)
		ptx_lex_next(lex);
	return s;
}

/* ---- variables ------------------------------------------------------------------------------- */

static bool load_declarator(struct loader *ld, const struct ptx_decl *d)
{
	struct ptx_module *m = ld->m;
	struct ptx_lex *lex = &ld->lex;
	struct ptx_sym *s = symbol_take(ld);
	struct ptx_var *v;
	uint64_t dims[8], size;
	uint32_t ndims;
	bool unsized;

	if (!s)
		return false;
	v = s->var;
	if (s->func || (v && v->defined && ld->linkage != PTX_LINK_EXTERN &&
			ld->linkage != PTX_LINK_WEAK && ld->linkage != PTX_LINK_COMMON)) {
		ptx_lex_fail(lex, "'%.80s' is defined twice", s->name);
		return false;
	}
	if (!v) {
		v = ptx_var_create(m, lex);
		if (!v)
			return false;
		s->var = v;
		v->name = s->name;
	} else if (v->defined) {
		struct ptx_var skipped = { .name = s->name, .type = d->type };

		/* a second .weak, .common or .extern: the first one stays */
		if (!ptx_decl_array(lex, d, &skipped.size, &skipped.unsized, dims, &ndims))
			return false;
		return !ptx_lex_accept(lex, '=') ||
		       ptx_decl_init(lex, m->arena, d, &skipped, dims, ndims);
	}
	if (!ptx_decl_array(lex, d, &size, &unsized, dims, &ndims))
		return false;
	ptx_var_define(v, d, size, unsized);
	v->linkage = ld->linkage;
	v->defined = ld->linkage != PTX_LINK_EXTERN;
	if (ptx_lex_accept(lex, '=')) {
		if (d->space == PTX_SPACE_SHARED) {
			ptx_lex_fail(lex, "shared variable '%.80s' cannot be initialised", v->name);
			return false;
		}
		if (d->opaque ? !ptx_decl_opaque(lex, m->arena, d, v)
			      : !ptx_decl_init(lex, m->arena, d, v, dims, ndims))
			return false;
	}
	return ptx_var_place(m, lex, v);
}

static bool load_variable(struct loader *ld, uint8_t space)
{
	struct ptx_decl d = { .space = space, .vec = 1 };
	struct ptx_lex *lex = &ld->lex;

	ptx_lex_next(lex);
	if (ptx_lex_accept(lex, '[')) { /* .const[2], of old */
		struct ptx_value v;

		if (!ptx_expr(lex, &v))
			return false;
		ptx_lex_expect(lex, ']');
	}
	if (!ptx_decl_type(lex, &d))
		return false;
	do {
		if (!load_declarator(ld, &d))
			return false;
	} while (ptx_lex_accept(lex, ','));
	ptx_lex_expect(lex, ';');
	return !lex->err->code;
}

/* ---- functions ------------------------------------------------------------------------------- */

static bool load_numbers(struct ptx_lex *lex, uint32_t *out, uint32_t most)
{
	struct ptx_value v;
	uint32_t n = 0;

	ptx_lex_next(lex);
	for (uint32_t i = 0; i < most; i++)
		out[i] = 1;
	do {
		if (!ptx_expr(lex, &v))
			return false;
		if (v.is_float || v.bits > UINT32_MAX || n == most) {
			ptx_lex_fail(lex, "bad performance directive");
			return false;
		}
		out[n++] = (uint32_t)v.bits;
	} while (ptx_lex_accept(lex, ','));
	return true;
}

/* What may stand between the parameters and the body. */
static bool load_directives(struct ptx_lex *lex, struct ptx_func *f)
{
	uint32_t ignored[3];

	while (lex->tok.kind == PTX_TOK_DIRECTIVE) {
		const struct {
			const char *word;
			uint32_t *value;
			uint32_t count;
		} rows[] = {
			{ "maxntid", f->maxntid, 3 },
			{ "reqntid", f->reqntid, 3 },
			{ "reqnctapercluster", f->cluster, 3 },
			{ "minnctapersm", &f->minnctapersm, 1 },
			{ "maxnctapersm", &f->maxnctapersm, 1 },
			{ "maxnreg", &f->maxnreg, 1 },
			{ "maxclusterrank", &f->max_cluster_rank, 1 },
			{ "abi_preserve", ignored, 1 },
			{ "abi_preserve_control", ignored, 1 },
		};
		size_t i;

		for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, rows[i].word))
				break;
		if (i < sizeof(rows) / sizeof(rows[0])) {
			if (!load_numbers(lex, rows[i].value, rows[i].count))
				return false;
			continue;
		}
		if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "explicitcluster")) {
			f->explicit_cluster = true;
		} else if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "blocksareclusters")) {
			f->blocks_are_clusters = true;
		} else if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "noreturn")) {
			f->noreturn = true;
		} else if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "pragma")) {
			ptx_lex_next(lex);
			while (lex->tok.kind == PTX_TOK_STRING) {
				ptx_lex_next(lex);
				if (!ptx_lex_accept(lex, ','))
					break;
			}
			ptx_lex_expect(lex, ';');
			continue;
		} else {
			ptx_lex_fail(lex, "unknown directive '.%.*s'",
				     (int)(lex->tok.len > 40 ? 40 : lex->tok.len), lex->tok.text);
			return false;
		}
		ptx_lex_next(lex);
	}
	return !lex->err->code;
}

static bool skip_body(struct loader *ld, struct ptx_func *f)
{
	struct ptx_lex *lex = &ld->lex;
	/* the current token is "{", so lex->p is just after it */
	const char *start = lex->p, *line_start = lex->line_start, *after;
	uint32_t line = lex->line;
	bool statics;

	after = ptx_scan_braces(start, lex->end, &line, &line_start, &statics);
	if (!after) {
		ptx_lex_fail(lex, "a block has no end");
		return false;
	}
	if (f) {
		f->body = start;
		f->body_end = after - 1;
		f->body_line_start = lex->line_start;
		f->body_line = lex->line;
		if (statics && !ptx_inner_load(ld->m, f, lex->err))
			return false;
	}
	lex->p = after;
	lex->line = line;
	lex->line_start = line_start;
	ptx_lex_next(lex);
	return true;
}

static struct ptx_func *function_of(struct loader *ld, struct ptx_sym *s)
{
	struct ptx_module *m = ld->m;
	struct ptx_func *f = s->func;

	if (f)
		return f;
	if (s->var) {
		ptx_lex_fail(&ld->lex, "'%.80s' is defined twice", s->name);
		return NULL;
	}
	f = arena_alloc(m->arena, sizeof(*f));
	m->funcs = arena_grow(m->arena, m->funcs, &m->funcs_cap, m->nfuncs + 1, sizeof(*m->funcs));
	if (!f || !m->funcs) {
		no_memory(ld);
		return NULL;
	}
	f->name = s->name;
	f->index = (uint32_t)m->nfuncs;
	m->funcs[m->nfuncs++] = f;
	s->func = f;
	return f;
}

static bool load_function(struct loader *ld, bool is_entry)
{
	struct ptx_lex *lex = &ld->lex;
	struct ptx_func fresh = { .is_entry = is_entry, .linkage = ld->linkage };
	struct ptx_proto *pr = &fresh.proto;
	struct ptx_func *f;
	struct ptx_sym *s;

	ptx_lex_next(lex);
	while (lex->tok.kind == PTX_TOK_DIRECTIVE &&
	       ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "attribute")) {
		ptx_lex_next(lex);
		while (!lex->err->code && lex->tok.kind != PTX_TOK_END && !ptx_lex_is(lex, ')'))
			ptx_lex_next(lex);
		ptx_lex_expect(lex, ')');
		if (ptx_lex_is(lex, ')'))
			ptx_lex_next(lex);
	}
	if (!is_entry && ptx_lex_is(lex, '(') &&
	    !ptx_decl_params(lex, ld->m->arena, &pr->rets, &pr->nrets, NULL, NULL))
		return false;
	fresh.line = lex->tok.line;
	s = symbol_take(ld);
	if (!s)
		return false;
	f = function_of(ld, s);
	if (!f)
		return false;
	if (ptx_lex_is(lex, '(') && !ptx_decl_params(lex, ld->m->arena, &pr->params, &pr->nparams,
						     &pr->param_bytes, &pr->variadic))
		return false;
	if (!load_directives(lex, &fresh))
		return false;
	fresh.name = f->name;
	fresh.index = f->index;
	fresh.address_in_data = f->address_in_data;
	if (ptx_lex_is(lex, '{')) {
		if (f->defined && f->linkage != PTX_LINK_WEAK && fresh.linkage != PTX_LINK_WEAK) {
			ptx_lex_fail(lex, "'%.80s' is defined twice", f->name);
			return false;
		}
		fresh.defined = true;
		if (f->defined)
			return skip_body(ld, NULL);
		if (!skip_body(ld, &fresh))
			return false;
		*f = fresh;
		return true;
	}
	if (!f->defined)
		*f = fresh;
	if (ptx_lex_is(lex, ';'))
		ptx_lex_next(lex);
	else if (!is_entry || lex->tok.kind != PTX_TOK_DIRECTIVE)
		ptx_lex_expect(lex, ';');
	return !lex->err->code;
}

/* ---- module directives ----------------------------------------------------------------------- */

static bool load_version(struct ptx_lex *lex, struct ptx_module *m)
{
	const char *p;
	uint32_t major = 0, minor = 0;

	ptx_lex_next(lex);
	p = lex->tok.text;
	if (lex->tok.kind != PTX_TOK_F64) {
		ptx_lex_fail(lex, "bad .version");
		return false;
	}
	for (; *p >= '0' && *p <= '9' && major < 1000; p++)
		major = major * 10 + (uint32_t)(*p - '0');
	for (p++; *p >= '0' && *p <= '9' && minor < 1000; p++)
		minor = minor * 10 + (uint32_t)(*p - '0');
	m->version = major * 10 + minor;
	ptx_lex_next(lex);
	return true;
}

static bool load_target(struct ptx_lex *lex, struct ptx_module *m)
{
	ptx_lex_next(lex);
	do {
		const struct ptx_tok *t = &lex->tok;
		bool sm = t->kind == PTX_TOK_IDENT && t->len > 3 && !memcmp(t->text, "sm_", 3);

		if (t->kind != PTX_TOK_IDENT) {
			ptx_lex_fail(lex, "bad .target");
			return false;
		}
		if (sm) {
			uint32_t v = 0, i;

			for (i = 3;
			     i < t->len && t->text[i] >= '0' && t->text[i] <= '9' && v < 1000; i++)
				v = v * 10 + (uint32_t)(t->text[i] - '0');
			m->target = v;
			m->target_suffix = i < t->len ? t->text[i] : 0;
		}
		ptx_lex_next(lex);
	} while (ptx_lex_accept(lex, ','));
	return !lex->err->code;
}

/* .file 1 "name", 123, 456  -- and .loc, which has no place in a module but does no harm */
static void skip_file(struct ptx_lex *lex)
{
	ptx_lex_next(lex);
	while (lex->tok.kind == PTX_TOK_INT || lex->tok.kind == PTX_TOK_STRING ||
	       ptx_lex_is(lex, ','))
		ptx_lex_next(lex);
}

static void skip_to_semicolon(struct ptx_lex *lex)
{
	while (lex->tok.kind != PTX_TOK_END && !ptx_lex_is(lex, ';'))
		ptx_lex_next(lex);
	ptx_lex_expect(lex, ';');
}

/* .alias fAlias, fAliasee; */
static bool load_alias(struct loader *ld)
{
	struct ptx_lex *lex = &ld->lex;
	struct ptx_sym *a, *b;
	struct ptx_func *f;

	ptx_lex_next(lex);
	a = symbol_take(ld);
	ptx_lex_expect(lex, ',');
	b = a ? symbol_take(ld) : NULL;
	ptx_lex_expect(lex, ';');
	if (!b || lex->err->code)
		return false;
	f = b->func;
	if (!f || !f->defined || (a->func && a->func->defined) || a->var) {
		ptx_lex_fail(lex, "bad .alias '%.80s'", a->name);
		return false;
	}
	if (a->func) { /* declared before: keep its number, take the body */
		struct ptx_func *d = a->func;
		const char *name = d->name;
		uint32_t index = d->index;

		*d = *f;
		d->name = name;
		d->index = index;
	} else {
		a->func = f;
	}
	return true;
}

static bool load_statement(struct loader *ld)
{
	struct ptx_lex *lex = &ld->lex;
	const struct ptx_tok *t = &lex->tok;
	static const struct {
		const char *word;
		uint8_t linkage;
	} linkages[] = {
		{ "visible", PTX_LINK_VISIBLE },
		{ "extern", PTX_LINK_EXTERN },
		{ "weak", PTX_LINK_WEAK },
		{ "common", PTX_LINK_COMMON },
	};
	static const struct {
		const char *word;
		uint8_t space;
	} spaces[] = {
		{ "global", PTX_SPACE_GLOBAL },
		{ "const", PTX_SPACE_CONST },
		{ "shared", PTX_SPACE_SHARED },
		{ "tex", PTX_SPACE_GLOBAL },
	};

	if (t->kind != PTX_TOK_DIRECTIVE) {
		if (ptx_lex_accept(lex, ';'))
			return true;
		ptx_lex_fail(lex, "syntax error near '%.*s'", (int)(t->len > 40 ? 40 : t->len),
			     t->text);
		return false;
	}
	for (size_t i = 0; i < sizeof(linkages) / sizeof(linkages[0]); i++) {
		if (!ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, linkages[i].word))
			continue;
		ld->linkage = linkages[i].linkage;
		ptx_lex_next(lex);
		return true;
	}
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, spaces[i].word)) {
			bool ok = load_variable(ld, spaces[i].space);

			ld->linkage = PTX_LINK_NONE;
			return ok;
		}
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "func") ||
	    ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "entry")) {
		bool ok = load_function(ld, t->len == 5);

		ld->linkage = PTX_LINK_NONE;
		return ok;
	}
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "version"))
		return load_version(lex, ld->m);
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "target"))
		return load_target(lex, ld->m);
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "address_size"))
		return load_numbers(lex, &ld->m->address_size, 1);
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "alias"))
		return load_alias(ld);
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "file") ||
	    ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "loc")) {
		skip_file(lex);
		return true;
	}
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "pragma")) {
		skip_to_semicolon(lex);
		return !lex->err->code;
	}
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "section")) {
		ptx_lex_next(lex); /* .debug_str or a name */
		ptx_lex_next(lex);
		if (ptx_lex_is(lex, '{'))
			return skip_body(ld, NULL);
		ptx_lex_expect(lex, '{');
		return false;
	}
	ptx_lex_fail(lex, "unknown directive '.%.*s'", (int)(t->len > 40 ? 40 : t->len), t->text);
	return false;
}

/* Marks the functions whose address the data holds, so that indirect calls find them. */
static void mark_addresses(struct ptx_module *m)
{
	for (size_t i = 0; i < m->nvars; i++)
		for (struct ptx_reloc *r = m->vars[i]->relocs; r; r = r->next) {
			struct ptx_sym *s =
				r->var ? NULL : ptx_module_find(m, r->name, r->name_len);

			if (s && s->func)
				s->func->address_in_data = true;
		}
}

uint32_t ptx_module_load(char *text, size_t bytes, struct ptx_module **ret_module,
			 struct ptx_error *err)
{
	struct loader ld = { 0 };
	struct ptx_module *m = calloc(1, sizeof(*m));

	memset(err, 0, sizeof(*err));
	if (!m) {
		free(text);
		return err->code = PTX_ERR_MEMORY;
	}
	m->text = text;
	m->bytes = bytes;
	m->address_size = 64;
	m->arena = arena_create(LIMIT_PTX_MODULE_ARENA);
	m->hash_size = PTX_HASH_SIZE;
	m->hash = m->arena ? arena_alloc(m->arena, m->hash_size * sizeof(*m->hash)) : NULL;
	if (!m->hash) {
		err->code = PTX_ERR_MEMORY;
		goto unload;
	}
	ld.m = m;
	ptx_lex_start(&ld.lex, text, text + bytes, text, 1, err);
	while (ld.lex.tok.kind != PTX_TOK_END)
		if (!load_statement(&ld))
			break;
	if (!err->code && (!m->version || !m->target))
		ptx_lex_fail(&ld.lex, "no .version or no .target");
	if (!err->code && m->address_size != 64)
		ptx_lex_fail(&ld.lex, ".address_size %u is not supported", m->address_size);
	if (err->code)
		goto unload;
	m->global_bytes = (m->global_bytes + 511) & ~511ull;
	m->managed_bytes = (m->managed_bytes + 511) & ~511ull;
	mark_addresses(m);
	*ret_module = m;
	return 0;

unload:
	ptx_module_unload(m);
	return err->code;
}

void ptx_module_unload(struct ptx_module *m)
{
	if (!m)
		return;
	arena_destroy(m->arena);
	free(m->text);
	free(m);
}

/* SPDX-License-Identifier: MIT */
/*
 * decl.c - declarations: types, dimensions, initialisers, parameter lists (ISA 5.4, 7.1).
 */
#include "cuse_dev/backend/soft/ptx/tree.h"

#include <string.h>

#include "cuse_dev/base/arena.h"
#include "cuse_dev/backend/backend.h"
#include "cuse_dev/base/limits.h"

uint32_t ptx_type_bytes(uint8_t type)
{
	switch (type) {
#define X(NAME, text, bits, class)                                                                 \
	case IR_##NAME:                                                                            \
		return (bits) / 8 ? (bits) / 8 : 1;
		IR_TYPES(X)
#undef X
	default:
		return 1;
	}
}

static bool decl_align(struct ptx_lex *lex, struct ptx_decl *d)
{
	struct ptx_value v;

	ptx_lex_next(lex);
	if (!ptx_expr(lex, &v))
		return false;
	if (v.is_float || !v.bits || v.bits > 4096 || (v.bits & (v.bits - 1))) {
		ptx_lex_fail(lex, "alignment must be a power of two");
		return false;
	}
	d->align = (uint32_t)v.bits;
	return true;
}

/* .attribute(.managed) and the like */
static bool decl_attribute(struct ptx_lex *lex, struct ptx_decl *d)
{
	ptx_lex_next(lex);
	ptx_lex_expect(lex, '(');
	while (lex->tok.kind == PTX_TOK_DIRECTIVE) {
		if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "managed"))
			d->managed = true;
		ptx_lex_next(lex);
		if (ptx_lex_accept(lex, '(')) { /* .unified(uuid, uuid) */
			while (!lex->err->code && lex->tok.kind != PTX_TOK_END &&
			       !ptx_lex_is(lex, ')'))
				ptx_lex_next(lex);
			ptx_lex_expect(lex, ')');
		}
		if (!ptx_lex_accept(lex, ','))
			break;
	}
	ptx_lex_expect(lex, ')');
	return !lex->err->code;
}

static bool word_is(const struct ptx_tok *t, const char *w)
{
	return strlen(w) == t->len && !memcmp(w, t->text, t->len);
}

bool ptx_decl_type(struct ptx_lex *lex, struct ptx_decl *d)
{
	while (lex->tok.kind == PTX_TOK_DIRECTIVE) {
		const struct ptx_tok *t = &lex->tok;
		const struct ptx_mod_row *row = ptx_mod_info(ptx_mod_find(t->text, t->len));

		if (row && row->kind == PTX_KIND_TYPE) {
			d->type = row->value;
		} else if (row && row->kind == PTX_KIND_VEC) {
			d->vec = row->value;
		} else if (row && row->kind == PTX_KIND_SPACE && d->ptr) {
			; /* what a pointer parameter points to: only a hint */
		} else if (word_is(t, "ptr")) {
			d->ptr = true;
		} else if (word_is(t, "texref") || word_is(t, "samplerref") ||
			   word_is(t, "surfref")) {
			d->type = IR_U64;
			d->opaque = word_is(t, "texref")    ? BACKEND_TEXREF
				    : word_is(t, "surfref") ? BACKEND_SURFREF
							    : BACKEND_SAMPLERREF;
		} else if (word_is(t, "align")) {
			struct ptx_decl pointee = { 0 };

			if (!decl_align(lex, d->ptr ? &pointee : d))
				return false;
			continue;
		} else if (word_is(t, "attribute")) {
			if (!decl_attribute(lex, d))
				return false;
			continue;
		} else {
			ptx_lex_fail(lex, "unexpected '.%.*s' in a declaration",
				     (int)(t->len > 40 ? 40 : t->len), t->text);
			return false;
		}
		ptx_lex_next(lex);
	}
	if (lex->err->code)
		return false;
	if (!d->type) {
		ptx_lex_fail(lex, "declaration without a type");
		return false;
	}
	return true;
}

bool ptx_decl_array(struct ptx_lex *lex, const struct ptx_decl *d, uint64_t *ret_size,
		    bool *ret_unsized, uint64_t dims[8], uint32_t *ret_ndims)
{
	uint64_t size = ptx_type_bytes(d->type);
	uint32_t n = 0;

	*ret_unsized = false;
	while (ptx_lex_accept(lex, '[')) {
		struct ptx_value v = { 0 };

		if (n == 7) {
			ptx_lex_fail(lex, "too many dimensions");
			return false;
		}
		if (ptx_lex_is(lex, ']') && !n)
			*ret_unsized = true;
		else if (!ptx_expr(lex, &v))
			return false;
		ptx_lex_expect(lex, ']');
		if (v.is_float || v.bits > LIMIT_PTX_VARIABLE_BYTES) {
			ptx_lex_fail(lex, "bad array size");
			return false;
		}
		dims[n++] = v.bits;
	}
	if (d->vec > 1)
		dims[n++] = d->vec;
	for (uint32_t i = *ret_unsized; i < n; i++) {
		if (dims[i] && size > LIMIT_PTX_VARIABLE_BYTES / dims[i]) {
			ptx_lex_fail(lex, "variable too large");
			return false;
		}
		size *= dims[i];
	}
	*ret_size = size; /* of one row when unsized */
	*ret_ndims = n;
	return !lex->err->code;
}

/* ---- initialisers ---------------------------------------------------------------------------- */

struct init {
	struct ptx_lex *lex;
	struct base_arena *arena;
	struct ptx_var *v;
	uint32_t elem; /* bytes */
	uint64_t pos;  /* bytes */
	size_t cap;
};

static bool init_room(struct init *in)
{
	uint8_t *p;

	if (!in->v->unsized && in->pos + in->elem > in->v->size) {
		ptx_lex_fail(in->lex, "too many initialisers for '%.80s'", in->v->name);
		return false;
	}
	p = arena_grow(in->arena, in->v->data, &in->cap, in->pos + in->elem, 1);
	if (!p) {
		ptx_fail(in->lex->err, PTX_ERR_MEMORY, in->lex->tok.line, in->lex->tok.column,
			 "out of memory");
		return false;
	}
	in->v->data = p;
	if (in->v->data_bytes < in->pos + in->elem)
		in->v->data_bytes = in->pos + in->elem;
	return true;
}

/* A number in the element's type. */
static uint64_t convert(const struct ptx_value *v, uint8_t type)
{
	double d;
	float f;
	uint64_t bits = v->bits;

	if (type != IR_F32 && type != IR_F64)
		return bits;
	if (v->tok == PTX_TOK_F32) {
		uint32_t b = (uint32_t)bits;

		if (type == IR_F32)
			return bits;
		memcpy(&f, &b, 4);
		d = (double)f;
	} else if (v->tok == PTX_TOK_F64) {
		memcpy(&d, &bits, 8);
	} else {
		d = (double)(int64_t)bits;
	}
	if (type == IR_F64) {
		memcpy(&bits, &d, 8);
		return bits;
	}
	f = (float)d;
	bits = 0;
	memcpy(&bits, &f, 4);
	return bits;
}

/* name, name+4, generic(name), generic(name)+4, after an optional mask "0xff(" */
static bool init_address(struct init *in, uint64_t mask)
{
	struct ptx_lex *lex = in->lex;
	struct ptx_reloc *r = arena_alloc(in->arena, sizeof(*r));
	bool generic = ptx_lex_is_word(lex, PTX_TOK_IDENT, "generic");

	if (!r) {
		ptx_fail(lex->err, PTX_ERR_MEMORY, lex->tok.line, 0, "out of memory");
		return false;
	}
	if (generic) {
		ptx_lex_next(lex);
		ptx_lex_expect(lex, '(');
	}
	if (lex->tok.kind != PTX_TOK_IDENT) {
		ptx_lex_fail(lex, "a name is expected in the initialiser of '%.80s'", in->v->name);
		return false;
	}
	r->name = lex->tok.text;
	r->name_len = lex->tok.len;
	r->line = lex->tok.line;
	r->column = lex->tok.column;
	ptx_lex_next(lex);
	if (generic)
		ptx_lex_expect(lex, ')');
	if (ptx_lex_is(lex, '+') || ptx_lex_is(lex, '-')) {
		struct ptx_value v;
		bool minus = ptx_lex_is(lex, '-');

		ptx_lex_next(lex);
		if (!ptx_expr(lex, &v))
			return false;
		r->addend = (int64_t)(minus ? 0 - v.bits : v.bits);
	}
	r->offset = in->pos;
	r->bytes = in->elem < 8 ? in->elem : 8;
	if (mask) {
		r->shift = (uint32_t)__builtin_ctzll(mask);
		r->bytes = 1;
	}
	r->next = in->v->relocs;
	in->v->relocs = r;
	return true;
}

static bool init_element(struct init *in)
{
	struct ptx_lex *lex = in->lex;
	struct ptx_value v;
	uint64_t bits;

	if (!init_room(in))
		return false;
	if (lex->tok.kind == PTX_TOK_IDENT && !ptx_lex_is_word(lex, PTX_TOK_IDENT, "WARP_SZ")) {
		if (!init_address(in, 0))
			return false;
	} else if (lex->tok.kind == PTX_TOK_INT && *lex->p == '(') {
		uint64_t mask = lex->tok.bits;

		if (!mask || in->elem != 1) {
			ptx_lex_fail(lex, "a mask needs 8-bit elements");
			return false;
		}
		ptx_lex_next(lex);
		ptx_lex_next(lex);
		if (!init_address(in, mask))
			return false;
		ptx_lex_expect(lex, ')');
	} else {
		if (!ptx_expr(lex, &v))
			return false;
		bits = convert(&v, in->v->type);
		memcpy(in->v->data + in->pos, &bits, in->elem < 8 ? in->elem : 8);
	}
	in->pos += in->elem;
	return !lex->err->code;
}

bool ptx_decl_init(struct ptx_lex *lex, struct base_arena *arena, const struct ptx_decl *d,
		   struct ptx_var *v, const uint64_t *dims, uint32_t ndims)
{
	struct init in = { lex, arena, v, ptx_type_bytes(d->type), 0, 0 };
	uint64_t start[9], span[9];
	uint32_t level = 0;

	/* span[k]: bytes of what the k-th brace encloses */
	span[ndims] = in.elem;
	for (uint32_t i = ndims; i-- > 0;)
		span[i] = dims[i] && span[i + 1] <= LIMIT_PTX_VARIABLE_BYTES / dims[i]
				  ? span[i + 1] * dims[i]
				  : 0;
	do {
		while (ptx_lex_accept(lex, '{')) {
			if (level == (ndims ? ndims : 1)) {
				ptx_lex_fail(lex, "initialiser nested too deeply");
				return false;
			}
			start[level++] = in.pos;
		}
		if (!ptx_lex_is(lex, '}') && !init_element(&in))
			return false;
		while (level && ptx_lex_is(lex, '}')) {
			ptx_lex_next(lex);
			level--;
			if (level || !v->unsized)
				in.pos = start[level] + span[level];
		}
		if (lex->err->code)
			return false;
	} while (level && (ptx_lex_accept(lex, ',') || (ptx_lex_fail(lex, "',' expected"), false)));
	if (lex->err->code)
		return false;
	if (v->unsized) {
		v->size = v->data_bytes;
		v->unsized = false;
	}
	return true;
}

/* ---- initialisers of samplers (ISA 5.3) ------------------------------------------------------ */

/* Words that stand for numbers of VGPU_TEX_*. clamp_ogl is a filter's affair: the edge is as near. */
static const struct {
	const char *word;
	uint8_t value;
} sampler_words[] = {
	{ "wrap", VGPU_TEX_WRAP },
	{ "mirror", VGPU_TEX_MIRROR },
	{ "clamp_ogl", VGPU_TEX_CLAMP },
	{ "clamp_to_edge", VGPU_TEX_CLAMP },
	{ "clamp_to_border", VGPU_TEX_BORDER },
	{ "nearest", VGPU_TEX_POINT },
	{ "linear", VGPU_TEX_BILIN },
};

static bool sampler_value(struct ptx_lex *lex, uint64_t *ret_value)
{
	struct ptx_value v;

	if (lex->tok.kind != PTX_TOK_IDENT) {
		if (!ptx_expr(lex, &v))
			return false;
		*ret_value = v.bits;
		return true;
	}
	for (size_t i = 0; i < sizeof(sampler_words) / sizeof(sampler_words[0]); i++) {
		if (!word_is(&lex->tok, sampler_words[i].word))
			continue;
		*ret_value = sampler_words[i].value;
		ptx_lex_next(lex);
		return true;
	}
	ptx_lex_fail(lex, "'%.*s' is no value of a sampler",
		     (int)(lex->tok.len > 40 ? 40 : lex->tok.len), lex->tok.text);
	return false;
}

/* name = value; the fields of a texture or surface are the driver's: read and left. */
static bool opaque_field(struct ptx_lex *lex, uint64_t *word)
{
	static const struct {
		const char *name;
		uint8_t shift;
	} fields[] = { { "addr_mode_0", 0 },
		       { "addr_mode_1", 4 },
		       { "addr_mode_2", 8 },
		       { "filter_mode", 12 },
		       { "force_unnormalized_coords", 13 } };
	struct ptx_tok name = lex->tok;
	uint64_t value;

	if (name.kind != PTX_TOK_IDENT) {
		ptx_lex_fail(lex, "the name of a field is expected");
		return false;
	}
	ptx_lex_next(lex);
	ptx_lex_expect(lex, '=');
	if (lex->err->code || !sampler_value(lex, &value))
		return false;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (word_is(&name, fields[i].name))
			*word |= (value & 15) << fields[i].shift;
	return true;
}

bool ptx_decl_opaque(struct ptx_lex *lex, struct base_arena *arena, const struct ptx_decl *d,
		     struct ptx_var *v)
{
	uint64_t word = (uint64_t)IR_SAMPLER_TAG << 48;

	ptx_lex_expect(lex, '{');
	while (!lex->err->code && !ptx_lex_is(lex, '}')) {
		if (!opaque_field(lex, &word))
			return false;
		if (!ptx_lex_accept(lex, ','))
			break;
	}
	ptx_lex_expect(lex, '}');
	if (lex->err->code || d->opaque != BACKEND_SAMPLERREF)
		return !lex->err->code;
	v->data = arena_alloc(arena, sizeof(word));
	if (!v->data) {
		ptx_fail(lex->err, PTX_ERR_MEMORY, lex->tok.line, lex->tok.column, "out of memory");
		return false;
	}
	memcpy(v->data, &word, sizeof(word));
	v->data_bytes = sizeof(word);
	return true;
}

/* ---- parameters ------------------------------------------------------------------------------ */

static bool decl_param(struct ptx_lex *lex, struct base_arena *arena, struct ptx_param *p)
{
	struct ptx_decl d = { .space = PTX_SPACE_PARAM, .vec = 1 };
	uint64_t dims[8], size;
	uint32_t ndims;

	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "reg")) {
		p->in_reg = true;
	} else if (!ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "param")) {
		ptx_lex_fail(lex, "'.param' or '.reg' expected");
		return false;
	}
	ptx_lex_next(lex);
	if (!ptx_decl_type(lex, &d))
		return false;
	if (lex->tok.kind != PTX_TOK_IDENT) {
		ptx_lex_fail(lex, "the name of a parameter is expected");
		return false;
	}
	p->name = arena_strndup(arena, lex->tok.text, lex->tok.len);
	ptx_lex_next(lex);
	if (!p->name) {
		ptx_fail(lex->err, PTX_ERR_MEMORY, lex->tok.line, 0, "out of memory");
		return false;
	}
	if (!ptx_decl_array(lex, &d, &size, &p->unsized, dims, &ndims))
		return false;
	if (size > LIMIT_KERNEL_PARAM_BYTES) {
		ptx_lex_fail(lex, "parameter '%.80s' is too large", p->name);
		return false;
	}
	p->type = d.type;
	p->size = p->unsized ? 0 : (uint32_t)size;
	p->align = ptx_type_bytes(d.type) * d.vec;
	if (d.align > p->align)
		p->align = d.align;
	return true;
}

bool ptx_decl_params(struct ptx_lex *lex, struct base_arena *arena, struct ptx_param **ret_list,
		     uint32_t *ret_count, uint32_t *ret_bytes, bool *ret_variadic)
{
	struct ptx_param *list = NULL;
	size_t cap = 0, n = 0;
	uint32_t bytes = 0;

	ptx_lex_expect(lex, '(');
	while (!lex->err->code && !ptx_lex_is(lex, ')')) {
		struct ptx_param *p;

		if (n == LIMIT_PTX_OPERANDS) {
			ptx_lex_fail(lex, "too many parameters");
			return false;
		}
		list = arena_grow(arena, list, &cap, n + 1, sizeof(*list));
		if (!list) {
			ptx_fail(lex->err, PTX_ERR_MEMORY, lex->tok.line, 0, "out of memory");
			return false;
		}
		p = &list[n++];
		if (!decl_param(lex, arena, p))
			return false;
		if (p->unsized && ret_variadic)
			*ret_variadic = true;
		bytes = (bytes + p->align - 1) & ~(p->align - 1);
		p->offset = bytes;
		bytes += p->size;
		if (bytes > LIMIT_KERNEL_PARAM_BYTES) {
			ptx_lex_fail(lex, "too many bytes of parameters");
			return false;
		}
		if (!ptx_lex_accept(lex, ','))
			break;
	}
	ptx_lex_expect(lex, ')');
	*ret_list = list;
	*ret_count = (uint32_t)n;
	if (ret_bytes)
		*ret_bytes = bytes;
	return !lex->err->code;
}

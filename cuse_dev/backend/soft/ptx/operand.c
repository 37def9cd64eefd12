/* SPDX-License-Identifier: MIT */
/*
 * operand.c - operands of instructions, with their names looked up (ISA chapter 6).
 */
#include "cuse_dev/backend/soft/ptx/tree.h"

#include <string.h>

#include "cuse_dev/base/arena.h"
#include "cuse_dev/base/limits.h"

#define OPERAND_DEPTH 6 /* { } in [ ] in ( ) and then some */

static bool no_memory(struct ptx_body_parser *bp)
{
	ptx_fail(bp->lex.err, PTX_ERR_MEMORY, bp->lex.tok.line, bp->lex.tok.column,
		 "out of memory");
	return false;
}

/* ---- names ----------------------------------------------------------------------------------- */

bool ptx_operand_scope_add(struct ptx_body_parser *bp, const struct ptx_scope_entry *e)
{
	struct base_arena *a = bp->b->arena;
	struct ptx_scope_entry *n = arena_alloc(a, sizeof(*n));
	struct ptx_scope_entry **bucket;

	bp->stack = arena_grow(a, bp->stack, &bp->stack_cap, bp->nstack + 1, sizeof(*bp->stack));
	if (!n || !bp->stack)
		return no_memory(bp);
	*n = *e;
	n->hash = ptx_hash(e->name, e->len);
	n->order = (uint32_t)bp->nstack;
	bucket = &bp->buckets[n->hash % PTX_BODY_BUCKETS];
	n->next = *bucket;
	*bucket = n;
	bp->stack[bp->nstack++] = n;
	return true;
}

static struct ptx_scope_entry *scope_find(struct ptx_body_parser *bp, const char *name,
					  uint32_t len, bool range)
{
	uint32_t h = ptx_hash(name, len);
	struct ptx_scope_entry *e;

	for (e = bp->buckets[h % PTX_BODY_BUCKETS]; e; e = e->next)
		if (e->hash == h && e->len == len && !e->count == !range &&
		    !memcmp(e->name, name, len))
			return e;
	return NULL;
}

/* "%r12" as number 12 of the range "%r". */
static struct ptx_scope_entry *range_find(struct ptx_body_parser *bp, const char *name,
					  uint32_t len, uint32_t *ret_number)
{
	uint32_t digits = 0, number = 0;
	struct ptx_scope_entry *e;

	while (digits < len && digits < 9 && name[len - digits - 1] >= '0' &&
	       name[len - digits - 1] <= '9')
		digits++;
	/* "%r1" may be number 1 of "%r", or "%f12" number 2 of a range "%f1" */
	for (; digits; digits--) {
		const char *d = name + len - digits;

		if (*d == '0' && digits > 1)
			continue;
		e = scope_find(bp, name, len - digits, true);
		if (!e)
			continue;
		for (uint32_t i = 0; i < digits; i++)
			number = number * 10 + (uint32_t)(d[i] - '0');
		if (number < e->count) {
			*ret_number = number;
			return e;
		}
		number = 0;
	}
	return NULL;
}

static bool vector_of(struct ptx_body_parser *bp, struct ptx_opnd *o, uint32_t base, uint32_t n)
{
	o->kind = PTX_O_VEC;
	o->nsub = n;
	o->sub = arena_alloc(bp->b->arena, n * sizeof(*o->sub));
	if (!o->sub)
		return no_memory(bp);
	for (uint32_t i = 0; i < n; i++) {
		o->sub[i].kind = PTX_O_REG;
		o->sub[i].reg = base + i;
		o->sub[i].line = o->line;
		o->sub[i].column = o->column;
	}
	return true;
}

bool ptx_operand_find(struct ptx_body_parser *bp, const char *name, uint32_t len,
		      struct ptx_opnd *o)
{
	uint32_t number = 0;
	struct ptx_scope_entry *e = scope_find(bp, name, len, false);
	struct ptx_scope_entry *r = range_find(bp, name, len, &number);

	if (r && (!e || e->order < r->order))
		e = r;
	else
		number = 0;
	if (!e)
		return false;
	if (e->var) {
		o->kind = PTX_O_VAR;
		o->var = e->var;
		return true;
	}
	if (e->vec > 1)
		return vector_of(bp, o, e->base + number * e->vec, e->vec);
	o->kind = PTX_O_REG;
	o->reg = e->base + number;
	return true;
}

static const struct {
	const char *text;
	uint8_t len;
} sreg_names[] = {
#define X(NAME, text, type) { text, sizeof(text) - 1 },
	IR_SREGS(X)
#undef X
};

/* %envreg7, %pm3, %pm0_64: a name and a number. */
static bool numbered_sreg(struct ptx_opnd *o, const char *name, uint32_t len)
{
	uint32_t skip, n = 0;

	if (len > 7 && !memcmp(name, "%envreg", 7)) {
		o->reg = IR_SREG_ENVREG;
		skip = 7;
	} else if (len > 3 && !memcmp(name, "%pm", 3)) {
		o->reg = IR_SREG_PM;
		skip = 3;
	} else {
		return false;
	}
	for (; skip < len && name[skip] >= '0' && name[skip] <= '9' && n < 100; skip++)
		n = n * 10 + (uint32_t)(name[skip] - '0');
	if (n > 31 || (skip < len && (len - skip != 3 || memcmp(name + skip, "_64", 3))))
		return false;
	o->kind = PTX_O_SREG;
	o->bits = n;
	return true;
}

/* %reserved_smem_offset_0 and _1, which the toolkit's cooperative groups read. */
static bool reserved_sreg(struct ptx_opnd *o, const char *name, uint32_t len)
{
	static const char prefix[] = "%reserved_smem_offset_";
	uint32_t n = sizeof(prefix) - 1;

	if (len != n + 1 || memcmp(name, prefix, n) || name[n] < '0' || name[n] > '1')
		return false;
	o->kind = PTX_O_SREG;
	o->reg = IR_SREG_RESERVED_SMEM_OFFSET_BEGIN;
	o->bits = (uint32_t)(name[n] - '0');
	return true;
}

static bool sreg_find(struct ptx_opnd *o, const char *name, uint32_t len)
{
	char buf[40];
	size_t n = len;

	if (*name != '%' || n + strlen(o->sel) + 2 > sizeof(buf))
		return false;
	memcpy(buf, name, n);
	if (o->sel[0]) {
		buf[n++] = '.';
		memcpy(buf + n, o->sel, strlen(o->sel));
		n += strlen(o->sel);
	}
	for (uint32_t i = 0; i < IR_SREG_COUNT; i++)
		if (sreg_names[i].len == n && !memcmp(sreg_names[i].text, buf, n) &&
		    i != IR_SREG_ENVREG && i != IR_SREG_PM) {
			o->kind = PTX_O_SREG;
			o->reg = i;
			o->sel[0] = 0;
			return true;
		}
	return reserved_sreg(o, name, len) || numbered_sreg(o, name, len);
}

/* "%v.x" is one register of a vector. Other selectors stay for video instructions. */
static bool component(struct ptx_body_parser *bp, struct ptx_opnd *o)
{
	static const char xyzw[] = "xyzw", rgba[] = "rgba";
	const char *at;
	uint32_t i;

	if (o->kind != PTX_O_VEC)
		return true;
	at = strchr(xyzw, o->sel[0]);
	i = at ? (uint32_t)(at - xyzw) : 0;
	if (!at) {
		at = strchr(rgba, o->sel[0]);
		i = at ? (uint32_t)(at - rgba) : 0;
	}
	if (!at || o->sel[1] || i >= o->nsub) {
		ptx_lex_fail(&bp->lex, "no component '.%s' there", o->sel);
		return false;
	}
	o->kind = PTX_O_REG;
	o->reg = o->sub[i].reg;
	o->nsub = 0;
	o->sel[0] = 0;
	return true;
}

static bool operand_offset(struct ptx_body_parser *bp, struct ptx_opnd *o)
{
	struct ptx_lex *lex = &bp->lex;

	while (ptx_lex_is(lex, '+') || ptx_lex_is(lex, '-')) {
		bool minus = ptx_lex_is(lex, '-');
		struct ptx_value v;

		ptx_lex_next(lex);
		if (!ptx_expr(lex, &v))
			return false;
		if (v.is_float) {
			ptx_lex_fail(lex, "an offset must be an integer");
			return false;
		}
		o->offset = (int64_t)((uint64_t)o->offset + (minus ? 0 - v.bits : v.bits));
	}
	return true;
}

static bool operand_name(struct ptx_body_parser *bp, struct ptx_opnd *o)
{
	struct ptx_lex *lex = &bp->lex;
	const char *name = lex->tok.text;
	uint32_t len = lex->tok.len;

	o->name = name;
	o->len = len;
	if (lex->p < lex->end && *lex->p == '.') {
		const char *sel;
		uint32_t sel_len;

		ptx_lex_modifier(lex, &sel, &sel_len);
		if (!sel_len || sel_len >= sizeof(o->sel)) {
			ptx_lex_fail(lex, "bad selector");
			return false;
		}
		memcpy(o->sel, sel, sel_len);
	}
	ptx_lex_next(lex);
	if (len == 1 && *name == '_') {
		o->kind = PTX_O_SINK;
		return true;
	}
	if (ptx_operand_find(bp, name, len, o)) {
		if (o->sel[0] && !component(bp, o))
			return false;
	} else if (!sreg_find(o, name, len)) {
		struct ptx_sym *s = ptx_module_find(bp->m, name, len);

		o->kind = !s ? PTX_O_NAME : s->func ? PTX_O_FUNC : PTX_O_VAR;
		o->var = s ? s->var : NULL;
		o->func = s ? s->func : NULL;
	}
	return true;
}

/* ---- forms ----------------------------------------------------------------------------------- */

bool ptx_operand_list(struct ptx_body_parser *bp, char close, struct ptx_opnd **ret_list,
		      uint32_t *ret_count, uint32_t depth)
{
	size_t first = bp->ntmp, n;

	while (!bp->lex.err->code && !ptx_lex_is(&bp->lex, close)) {
		struct ptx_opnd o;

		if (bp->ntmp - first == LIMIT_PTX_OPERANDS) {
			ptx_lex_fail(&bp->lex, "too many operands");
			return false;
		}
		if (!ptx_operand(bp, &o, depth))
			return false;
		bp->tmp = arena_grow(bp->b->arena, bp->tmp, &bp->tmp_cap, bp->ntmp + 1, sizeof(o));
		if (!bp->tmp)
			return no_memory(bp);
		bp->tmp[bp->ntmp++] = o;
		if (!ptx_lex_accept(&bp->lex, ','))
			break;
	}
	ptx_lex_expect(&bp->lex, close);
	if (bp->lex.err->code)
		return false;
	n = bp->ntmp - first;
	*ret_list = arena_alloc(bp->b->arena, n * sizeof(**ret_list));
	if (!*ret_list)
		return no_memory(bp);
	if (n)
		memcpy(*ret_list, bp->tmp + first, n * sizeof(**ret_list));
	*ret_count = (uint32_t)n;
	bp->ntmp = first;
	return true;
}

/* After "[": base, offset, and what texture and tensor forms add. */
static bool operand_memory(struct ptx_body_parser *bp, struct ptx_opnd *o, uint32_t depth)
{
	struct ptx_lex *lex = &bp->lex;

	o->kind = PTX_O_MEM;
	if (!ptx_operand_list(bp, ']', &o->sub, &o->nsub, depth))
		return false;
	if (!o->nsub) {
		ptx_lex_fail(lex, "empty address");
		return false;
	}
	if (ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "unified"))
		ptx_lex_next(lex);
	o->offset = o->sub[0].offset;
	o->sub[0].offset = 0;
	return true;
}

static bool operand_plain(struct ptx_body_parser *bp, struct ptx_opnd *o, uint32_t depth)
{
	struct ptx_lex *lex = &bp->lex;
	struct ptx_value v;

	if (ptx_lex_accept(lex, '!')) {
		if (!ptx_operand(bp, o, depth - 1))
			return false;
		o->neg = !o->neg;
		return true;
	}
	if (ptx_lex_accept(lex, '{')) {
		o->kind = PTX_O_VEC;
		return ptx_operand_list(bp, '}', &o->sub, &o->nsub, depth - 1);
	}
	if (ptx_lex_accept(lex, '['))
		return operand_memory(bp, o, depth - 1);
	if (ptx_lex_is(lex, '-') && (*lex->p == '%' || *lex->p == '_' || *lex->p == '$')) {
		ptx_lex_next(lex); /* vmad's "-a"; "neg" makes others refuse it */
		if (lex->tok.kind == PTX_TOK_IDENT && operand_name(bp, o)) {
			o->neg = true;
			return true;
		}
		ptx_lex_fail(lex, "a register is expected after '-'");
		return false;
	}
	if (lex->tok.kind == PTX_TOK_IDENT && !ptx_lex_is_word(lex, PTX_TOK_IDENT, "WARP_SZ"))
		return operand_name(bp, o) && operand_offset(bp, o);
	if (!ptx_expr(lex, &v))
		return false;
	o->kind = v.tok == PTX_TOK_F32 ? PTX_O_F32 : v.tok == PTX_TOK_F64 ? PTX_O_F64 : PTX_O_INT;
	o->bits = v.bits;
	o->is_unsigned = v.is_unsigned;
	return true;
}

bool ptx_operand(struct ptx_body_parser *bp, struct ptx_opnd *o, uint32_t depth)
{
	struct ptx_lex *lex = &bp->lex;
	struct ptx_opnd first;

	memset(o, 0, sizeof(*o));
	o->line = lex->tok.line;
	o->column = lex->tok.column;
	if (!depth) {
		ptx_lex_fail(lex, "operand nested too deeply");
		return false;
	}
	if (depth > OPERAND_DEPTH)
		depth = OPERAND_DEPTH;
	if (!operand_plain(bp, o, depth))
		return false;
	if (!ptx_lex_is(lex, '|'))
		return true;
	ptx_lex_next(lex);
	first = *o;
	memset(o, 0, sizeof(*o));
	o->kind = PTX_O_PAIR;
	o->line = first.line;
	o->column = first.column;
	o->nsub = 2;
	o->sub = arena_alloc(bp->b->arena, 2 * sizeof(*o->sub));
	if (!o->sub)
		return no_memory(bp);
	o->sub[0] = first;
	return ptx_operand(bp, &o->sub[1], depth - 1);
}

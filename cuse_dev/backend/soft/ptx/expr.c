/* SPDX-License-Identifier: MIT */
/*
 * expr.c - constant expressions (ISA 4.6): 64-bit integers, signed unless an operand is unsigned,
 * and plain float literals with an optional sign.
 */
#include "cuse_dev/backend/soft/ptx/tree.h"

#include <string.h>

#include "cuse_dev/base/limits.h"

static bool expr_level(struct ptx_lex *lex, int min_prec, uint32_t depth, struct ptx_value *ret);

static bool need_int(struct ptx_lex *lex, const struct ptx_value *v)
{
	if (!v->is_float)
		return true;
	ptx_lex_fail(lex, "an integer is needed in this expression");
	return false;
}

/* "(.u64) x", "(.s64) x" or "( expression )" after the opening bracket. */
static bool expr_bracket(struct ptx_lex *lex, uint32_t depth, struct ptx_value *ret)
{
	bool is_unsigned;

	if (lex->tok.kind == PTX_TOK_DIRECTIVE) {
		is_unsigned = ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "u64");
		if (!is_unsigned && !ptx_lex_is_word(lex, PTX_TOK_DIRECTIVE, "s64")) {
			ptx_lex_fail(lex, "bad cast in an expression");
			return false;
		}
		ptx_lex_next(lex);
		ptx_lex_expect(lex, ')');
		if (!expr_level(lex, 100, depth, ret) || !need_int(lex, ret))
			return false;
		ret->is_unsigned = is_unsigned;
		return true;
	}
	if (!expr_level(lex, 0, depth, ret))
		return false;
	ptx_lex_expect(lex, ')');
	return true;
}

static void negate(struct ptx_value *v)
{
	if (!v->is_float)
		v->bits = 0 - v->bits;
	else
		v->bits ^= v->tok == PTX_TOK_F32 ? 0x80000000ull : 1ull << 63;
}

static bool expr_unary(struct ptx_lex *lex, uint32_t depth, struct ptx_value *ret)
{
	const struct ptx_tok *t = &lex->tok;
	char c = t->kind == PTX_TOK_PUNCT ? t->punct : 0;

	if (!depth) {
		ptx_lex_fail(lex, "expression nested too deeply");
		return false;
	}
	if (c == '-' || c == '+' || c == '~' || c == '!') {
		ptx_lex_next(lex);
		if (!expr_unary(lex, depth - 1, ret))
			return false;
		if (c == '-')
			negate(ret);
		if ((c == '~' || c == '!') && !need_int(lex, ret))
			return false;
		if (c == '~')
			ret->bits = ~ret->bits;
		if (c == '!')
			ret->bits = !ret->bits;
		return true;
	}
	if (c == '(') {
		ptx_lex_next(lex);
		return expr_bracket(lex, depth - 1, ret);
	}
	memset(ret, 0, sizeof(*ret));
	if (t->kind == PTX_TOK_INT || t->kind == PTX_TOK_F32 || t->kind == PTX_TOK_F64) {
		ret->tok = t->kind;
		ret->is_float = t->kind != PTX_TOK_INT;
		ret->is_unsigned = t->is_unsigned;
		ret->bits = t->bits;
	} else if (ptx_lex_is_word(lex, PTX_TOK_IDENT, "WARP_SZ")) {
		ret->tok = PTX_TOK_INT;
		ret->bits = 32;
	} else {
		ptx_lex_fail(lex, "syntax error near '%.*s': a constant is expected",
			     (int)(t->len > 40 ? 40 : t->len), t->text);
		return false;
	}
	ptx_lex_next(lex);
	return !lex->err->code;
}

enum binary {
	B_NONE,
	B_MUL,
	B_DIV,
	B_REM,
	B_ADD,
	B_SUB,
	B_SHL,
	B_SHR,
	B_LT,
	B_LE,
	B_GT,
	B_GE,
	B_EQ,
	B_NE,
	B_AND,
	B_XOR,
	B_OR,
	B_LAND,
	B_LOR,
	B_TERNARY
};

static const int8_t binary_prec[] = {
	-1, 10, 10, 10, 9, 9, 8, 8, 7, 7, 7, 7, 6, 6, 5, 4, 3, 2, 1, 0
};

/* The operator at the current token, without taking it; *ret_chars: how many characters it has. */
static enum binary peek_binary(const struct ptx_lex *lex, int *ret_chars)
{
	char c, n;

	*ret_chars = 1;
	if (lex->tok.kind != PTX_TOK_PUNCT)
		return B_NONE;
	c = lex->tok.punct;
	n = lex->p < lex->end ? *lex->p : 0;
	*ret_chars = 2;
	if (c == '<' && n == '<')
		return B_SHL;
	if (c == '>' && n == '>')
		return B_SHR;
	if (c == '<' && n == '=')
		return B_LE;
	if (c == '>' && n == '=')
		return B_GE;
	if (c == '=' && n == '=')
		return B_EQ;
	if (c == '!' && n == '=')
		return B_NE;
	if (c == '&' && n == '&')
		return B_LAND;
	if (c == '|' && n == '|')
		return B_LOR;
	*ret_chars = 1;
	switch (c) {
	case '*':
		return B_MUL;
	case '/':
		return B_DIV;
	case '%':
		return B_REM;
	case '+':
		return B_ADD;
	case '-':
		return B_SUB;
	case '<':
		return B_LT;
	case '>':
		return B_GT;
	case '&':
		return B_AND;
	case '^':
		return B_XOR;
	case '|':
		return B_OR;
	case '?':
		return B_TERNARY;
	default:
		return B_NONE;
	}
}

static uint64_t compare(enum binary op, bool u, uint64_t a, uint64_t b)
{
	bool lt = u ? a < b : (int64_t)a < (int64_t)b;

	switch (op) {
	case B_LT:
		return lt;
	case B_GE:
		return !lt;
	case B_LE:
		return lt || a == b;
	case B_GT:
		return !lt && a != b;
	case B_EQ:
		return a == b;
	default:
		return a != b;
	}
}

static uint64_t divide(enum binary op, bool u, uint64_t a, uint64_t b)
{
	if (u)
		return op == B_DIV ? a / b : a % b;
	if (b == UINT64_MAX)
		return op == B_DIV ? 0 - a : 0;
	return (uint64_t)(op == B_DIV ? (int64_t)a / (int64_t)b : (int64_t)a % (int64_t)b);
}

static bool apply(struct ptx_lex *lex, enum binary op, struct ptx_value *l,
		  const struct ptx_value *r)
{
	bool u = l->is_unsigned || r->is_unsigned;
	uint64_t a = l->bits, b = r->bits;

	if (!need_int(lex, l) || !need_int(lex, r))
		return false;
	switch (op) {
	case B_MUL:
		l->bits = a * b;
		break;
	case B_ADD:
		l->bits = a + b;
		break;
	case B_SUB:
		l->bits = a - b;
		break;
	case B_AND:
		l->bits = a & b;
		break;
	case B_XOR:
		l->bits = a ^ b;
		break;
	case B_OR:
		l->bits = a | b;
		break;
	case B_LAND:
		l->bits = a && b;
		break;
	case B_LOR:
		l->bits = a || b;
		break;
	case B_SHL:
		l->bits = b > 63 ? 0 : a << b;
		break;
	case B_SHR:
		if (l->is_unsigned)
			l->bits = b > 63 ? 0 : a >> b;
		else
			l->bits = (uint64_t)((int64_t)a >> (b > 63 ? 63 : b));
		break;
	case B_DIV:
	case B_REM:
		if (!b) {
			ptx_lex_fail(lex, "division by zero in an expression");
			return false;
		}
		l->bits = divide(op, u, a, b);
		break;
	default:
		l->bits = compare(op, u, a, b);
		break;
	}
	if (op != B_SHL && op != B_SHR)
		l->is_unsigned = u;
	return true;
}

static bool expr_level(struct ptx_lex *lex, int min_prec, uint32_t depth, struct ptx_value *ret)
{
	struct ptx_value r, other;
	enum binary op;
	int chars;

	if (!expr_unary(lex, depth, ret))
		return false;
	for (;;) {
		op = peek_binary(lex, &chars);
		if (op == B_NONE || binary_prec[op] < min_prec)
			return !lex->err->code;
		ptx_lex_next(lex);
		if (chars == 2)
			ptx_lex_next(lex);
		if (op == B_TERNARY) {
			if (!need_int(lex, ret) || !expr_level(lex, 0, depth - 1, &r))
				return false;
			ptx_lex_expect(lex, ':');
			if (!expr_level(lex, 0, depth - 1, &other))
				return false;
			*ret = ret->bits ? r : other;
			continue;
		}
		if (!expr_level(lex, binary_prec[op] + 1, depth - 1, &r) ||
		    !apply(lex, op, ret, &r))
			return false;
	}
}

bool ptx_expr(struct ptx_lex *lex, struct ptx_value *ret)
{
	const struct ptx_tok *t = &lex->tok;

	/* nearly always it is one number */
	if (t->kind == PTX_TOK_INT && (*lex->p == ';' || *lex->p == ',' || *lex->p == ']')) {
		memset(ret, 0, sizeof(*ret));
		ret->tok = PTX_TOK_INT;
		ret->is_unsigned = t->is_unsigned;
		ret->bits = t->bits;
		ptx_lex_next(lex);
		return true;
	}
	return expr_level(lex, 0, LIMIT_PTX_NESTING, ret);
}

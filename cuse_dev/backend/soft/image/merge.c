/* SPDX-License-Identifier: MIT */
/*
 * merge.c - joins PTX texts; merge.h says what for.
 *
 * Only the outermost level is understood: statements begin with directives and end with ';' or with
 * the brace of a body. Words inside bodies are looked at to be renamed, nothing else.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/backend/soft/image/merge.h"
#include "cuse_dev/base/limits.h"

struct word {
	const char *at;
	size_t bytes;
};

/* A name of the outermost level. */
struct symbol {
	struct word name;
	unsigned input;
	bool local, renamed;
};

struct merge {
	struct symbol *symbol;
	size_t count, cap;
	struct word version, target; /* the highest of all texts */
	FILE *out;
	size_t written; /* names get longer: no more than a text may have */
};

/* ---- words ---------------------------------------------------------------------------------- */

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$' || c == '%' || c == '.';
}

/* Behind blanks and comments. */
static const char *skip(const char *p)
{
	const char *end;

	for (;;) {
		if (*p == ' ' || (*p >= '\t' && *p <= '\r')) {
			p++;
		} else if (p[0] == '/' && p[1] == '/') {
			p += strcspn(p, "\n");
		} else if (p[0] == '/' && p[1] == '*') {
			end = strstr(p + 2, "*/");
			p = end ? end + 2 : p + strlen(p);
		} else {
			return p;
		}
	}
}

/* The token at @p (not blank): a word, a string, or one character; returns what is behind it. */
static const char *token(const char *p, struct word *ret)
{
	const char *q = p;

	if (*q == '"') {
		for (q++; *q && *q != '"'; q++)
			if (*q == '\\' && q[1])
				q++;
		if (*q)
			q++;
	} else if (word_char(*q)) {
		while (word_char(*q))
			q++;
	} else if (*q) {
		q++;
	}
	*ret = (struct word){ p, (size_t)(q - p) };
	return q;
}

static bool is(const struct word *w, const char *text)
{
	return w->bytes == strlen(text) && !memcmp(w->at, text, w->bytes);
}

static bool same(const struct word *a, const struct word *b)
{
	return a->bytes == b->bytes && !memcmp(a->at, b->at, a->bytes);
}

static bool is_name(const struct word *w)
{
	return word_char(*w->at) && *w->at != '.' && !(*w->at >= '0' && *w->at <= '9');
}

/* ---- the outermost level -------------------------------------------------------------------- */

static int add_symbol(struct merge *m, const struct word *name, unsigned input, bool local)
{
	struct symbol *more;

	if (m->count == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		more = realloc(m->symbol, m->cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		m->symbol = more;
	}
	m->symbol[m->count++] = (struct symbol){ .name = *name, .input = input, .local = local };
	return 0;
}

/* What a statement is so far. */
struct statement {
	bool shown;    /* its names are for others */
	bool function; /* .func or .entry: one name, perhaps a body */
	bool variable;
	bool value; /* behind '=' */
	bool named; /* no name is expected (any more) */
	int paren, brace;
};

static int read_word(struct merge *m, unsigned input, struct statement *s, const struct word *w)
{
	if (is(w, ".visible") || is(w, ".extern") || is(w, ".weak") || is(w, ".common")) {
		s->shown = true;
	} else if (is(w, ".entry")) {
		s->shown = s->function = true;
	} else if (is(w, ".func")) {
		s->function = true;
	} else if (is(w, ".global") || is(w, ".const") || is(w, ".shared") || is(w, ".local")) {
		s->variable = true;
	} else if ((s->function || s->variable) && !s->named && is_name(w)) {
		s->named = true;
		return add_symbol(m, w, input, !s->shown);
	}
	return 0;
}

/* Reads one statement that begins at @p; *ret_end is behind it. */
static int read_statement(struct merge *m, unsigned input, const char *p, const char **ret_end)
{
	struct statement s = { 0 };
	struct word w;
	bool end = false;
	int r = 0;

	while (!end && !r && *(p = skip(p))) {
		p = token(p, &w);
		if (*w.at == '(') {
			s.paren++;
		} else if (*w.at == ')') {
			s.paren--;
		} else if (*w.at == '{') {
			s.brace++;
		} else if (*w.at == '}') {
			end = --s.brace <= 0 && !s.value;
		} else if (s.brace || s.paren) {
			continue;
		} else if (*w.at == ';') {
			end = true;
		} else if (*w.at == '=') {
			s.value = true;
		} else if (*w.at == ',') {
			s.named = s.function;
		} else {
			r = read_word(m, input, &s, &w);
		}
	}
	*ret_end = p;
	return r;
}

static unsigned number_of(const struct word *w)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < w->bytes; i++)
		if (w->at[i] >= '0' && w->at[i] <= '9')
			n = n * 10 + (unsigned)(w->at[i] - '0');
	return n;
}

/*
 * A directive of the head, if one begins at @p: behind it, else NULL. Several of one kind in the
 * result would be wrong, so the head of the result is written anew.
 */
static const char *head(struct merge *m, const char *p, int *ret_error)
{
	struct word w, value;
	const char *q = token(p, &w);

	if (!is(&w, ".version") && !is(&w, ".target") && !is(&w, ".address_size"))
		return NULL;
	q = token(skip(q), &value);
	if (is(&w, ".version")) {
		if (!m->version.at || number_of(&value) > number_of(&m->version))
			m->version = value;
		return q;
	}
	if (is(&w, ".address_size")) {
		if (number_of(&value) != 64)
			*ret_error = -ENOTSUP;
		return q;
	}
	if (!m->target.at || number_of(&value) > number_of(&m->target))
		m->target = value;
	while (*skip(q) == ',')
		q = token(skip(skip(q) + 1), &value);
	return q;
}

static int read_text(struct merge *m, unsigned input, const char *p)
{
	const char *behind;
	struct word w;
	bool first = true;
	int r = 0;

	while (!r && *(p = skip(p))) {
		token(p, &w);
		if (first && !is(&w, ".version"))
			return -EINVAL;
		first = false;
		behind = head(m, p, &r);
		if (behind)
			p = behind;
		else if (is(&w, ".file") || is(&w, ".loc"))
			p += strcspn(p, "\n");
		else
			r = read_statement(m, input, p, &p);
	}
	return first ? -EINVAL : r;
}

/* ---- the result ----------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;
	size_t n = x->name.bytes < y->name.bytes ? x->name.bytes : y->name.bytes;
	int c = memcmp(x->name.at, y->name.at, n);

	if (c)
		return c;
	if (x->name.bytes != y->name.bytes)
		return x->name.bytes < y->name.bytes ? -1 : 1;
	return x->input < y->input ? -1 : x->input > y->input;
}

/* Local names that another text has, too. The symbols are sorted from here on. */
static void choose_names(struct merge *m)
{
	size_t i, j, k;

	if (m->count)
		qsort(m->symbol, m->count, sizeof(*m->symbol), by_name);
	for (i = 0; i < m->count; i = j) {
		bool several = false;

		for (j = i; j < m->count && same(&m->symbol[i].name, &m->symbol[j].name); j++)
			several |= m->symbol[j].input != m->symbol[i].input;
		for (k = i; several && k < j; k++)
			m->symbol[k].renamed = m->symbol[k].local;
	}
	/* A text that shows a name somewhere means the same thing by it everywhere. */
	for (i = 0; i < m->count; i = j) {
		bool shown = false;

		for (j = i; j < m->count && !by_name(&m->symbol[i], &m->symbol[j]); j++)
			shown |= !m->symbol[j].renamed;
		for (k = i; shown && k < j; k++)
			m->symbol[k].renamed = false;
	}
}

static bool renamed(const struct merge *m, const struct word *w, unsigned input)
{
	struct symbol key = { .name = *w, .input = input };
	const struct symbol *s;

	if (!m->count || !is_name(w))
		return false;
	s = bsearch(&key, m->symbol, m->count, sizeof(key), by_name);
	return s && s->renamed;
}

/* 0, or -E2BIG. */
static int write_text(struct merge *m, unsigned input, const char *p)
{
	const char *from, *behind;
	struct word w;
	int ignored = 0, depth = 0;

	for (;;) {
		from = p;
		p = skip(p);
		fwrite(from, 1, (size_t)(p - from), m->out);
		m->written += (size_t)(p - from);
		if (!*p)
			break;
		behind = depth ? NULL : head(m, p, &ignored);
		if (behind) {
			p = behind;
			continue;
		}
		p = token(p, &w);
		depth += (*w.at == '{') - (*w.at == '}');
		fwrite(w.at, 1, w.bytes, m->out);
		m->written += w.bytes;
		if (renamed(m, &w, input))
			m->written += (size_t)fprintf(m->out, "$link%u", input);
		if (m->written > LIMIT_PTX_BYTES)
			return -E2BIG;
	}
	fputc('\n', m->out);
	return 0;
}

int image_merge(const char *const *texts, unsigned count, char **ret_text)
{
	struct merge m = { 0 };
	size_t bytes;
	char *text = NULL;
	unsigned i;
	int r = count ? 0 : -EINVAL;

	for (i = 0; i < count && !r; i++)
		r = read_text(&m, i, texts[i]);
	if (!r && (!m.version.at || !m.target.at))
		r = -EINVAL;
	if (r)
		goto free_symbols;
	choose_names(&m);
	m.out = open_memstream(&text, &bytes);
	if (!m.out) {
		r = -ENOMEM;
		goto free_symbols;
	}
	fprintf(m.out, ".version %.*s\n.target %.*s\n.address_size 64\n", (int)m.version.bytes,
		m.version.at, (int)m.target.bytes, m.target.at);
	for (i = 0; i < count && !r; i++)
		r = write_text(&m, i, texts[i]);
	if (fclose(m.out) && !r)
		r = -ENOMEM;
	if (r) {
		free(text);
		goto free_symbols;
	}
	*ret_text = text;
free_symbols:
	free(m.symbol);
	return r;
}

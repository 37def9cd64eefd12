/* SPDX-License-Identifier: MIT */
/*
 * scan.c - find the end of a body without reading it.
 *
 * Modules hold hundreds of megabytes of bodies of which few are ever run, so this loop decides how
 * long loading takes. Sixteen bytes at a time; only braces, slashes and quotes are looked at
 * singly, and ".g" and ".c" that nothing stands before: a variable of the module may begin there.
 */
#include "cuse_dev/backend/soft/ptx/lex.h"

#include <ctype.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct scan {
	const char *end;
	uint32_t line;
	const char *line_start;
	size_t depth;
	bool statics;
};

/* Is this ".global" or ".const", and not a part of an instruction? p[-1] is the "{" at least. */
static bool starts_static(const char *p, const char *end)
{
	static const struct {
		const char *word;
		size_t len;
	} words[] = { { ".global", 7 }, { ".const", 6 } };

	if (p[-1] > ' ' && !strchr(";:{}/", p[-1]))
		return false;
	for (size_t i = 0; i < 2; i++)
		if ((size_t)(end - p) > words[i].len && !memcmp(p, words[i].word, words[i].len))
			return !isalnum((unsigned char)p[words[i].len]);
	return false;
}

/* Over a comment or string that starts at @p; NULL when it has no end. */
static const char *skip_quoted(struct scan *s, const char *p)
{
	const char *q;

	if (*p == '"') {
		for (q = p + 1; q < s->end && *q != '"' && *q != '\n'; q++)
			;
		return q < s->end && *q == '"' ? q + 1 : NULL;
	}
	if (p[1] == '/') {
		q = memchr(p, '\n', (size_t)(s->end - p));
		return q ? q : s->end;
	}
	if (p[1] != '*')
		return p + 1;
	for (q = p + 2; q < s->end && !(*q == '*' && q[1] == '/'); q++) {
		if (*q == '\n') {
			s->line++;
			s->line_start = q + 1;
		}
	}
	return q < s->end ? q + 2 : NULL;
}

/* One character of interest. Returns where to go on, NULL on error; depth 0 is the end. */
static const char *step(struct scan *s, const char *p)
{
	switch (*p) {
	case '\n':
		s->line++;
		s->line_start = p + 1;
		return p + 1;
	case '{':
		s->depth++;
		return p + 1;
	case '}':
		s->depth--;
		return p + 1;
	case '/':
	case '"':
		return skip_quoted(s, p);
	case '.':
		s->statics |= starts_static(p, s->end);
		return p + 1;
	default:
		return p + 1;
	}
}

#ifdef __SSE2__
/* Lines of a chunk up to bit @upto. */
static void count_lines(struct scan *s, const char *chunk, uint32_t lines, uint32_t upto)
{
	lines &= (uint32_t)((1ull << upto) - 1);
	if (!lines)
		return;
	s->line += (uint32_t)__builtin_popcount(lines);
	s->line_start = chunk + 32 - __builtin_clz(lines);
}

static uint32_t equal_mask(__m128i v, char c)
{
	return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
}

/* Dots before a 'g' or 'c', below bit @until. The byte after the chunk may be the text's NUL. */
static void look_for_statics(struct scan *s, const char *p, __m128i v, uint32_t until)
{
	__m128i next = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
	uint32_t dots = equal_mask(v, '.') & (equal_mask(next, 'g') | equal_mask(next, 'c'));

	for (dots &= (1u << until) - 1; dots && !s->statics; dots &= dots - 1)
		s->statics = starts_static(p + __builtin_ctz(dots), s->end);
}

const char *ptx_scan_braces(const char *p, const char *end, uint32_t *line, const char **line_start,
			    bool *ret_statics)
{
	struct scan s = { end, *line, *line_start, 1, false };

	while (p && p + 16 <= end && s.depth) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		uint32_t lines = equal_mask(v, '\n');
		uint32_t open = equal_mask(v, '{'), close = equal_mask(v, '}');
		uint32_t quoted = equal_mask(v, '/') | equal_mask(v, '"');

		uint32_t braces = open | close, until = 16;

		if (quoted)
			until = (uint32_t)__builtin_ctz(quoted);
		for (braces &= (1u << until) - 1; braces; braces &= braces - 1) {
			if (open & braces & -braces) {
				s.depth++;
			} else if (!--s.depth) {
				until = (uint32_t)__builtin_ctz(braces) + 1;
				quoted = 0;
				break;
			}
		}
		count_lines(&s, p, lines, until);
		look_for_statics(&s, p, v, until);
		p = quoted ? step(&s, p + until) : p + until;
	}
	while (p && p < end && s.depth)
		p = step(&s, p);
	if (!p || s.depth)
		return NULL;
	*line = s.line;
	*line_start = s.line_start;
	*ret_statics = s.statics;
	return p;
}
#else
const char *ptx_scan_braces(const char *p, const char *end, uint32_t *line, const char **line_start,
			    bool *ret_statics)
{
	struct scan s = { end, *line, *line_start, 1, false };

	while (p && p < end && s.depth)
		p = step(&s, p);
	if (!p || s.depth)
		return NULL;
	*line = s.line;
	*line_start = s.line_start;
	*ret_statics = s.statics;
	return p;
}
#endif

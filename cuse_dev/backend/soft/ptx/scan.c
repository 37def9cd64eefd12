/* SPDX-License-Identifier: MIT */
/*
 * scan.c - find the end of a body without reading it.
 *
 * Modules hold hundreds of megabytes of bodies of which few are ever run, so this loop decides how
 * long loading takes. Sixteen bytes at a time; only braces, slashes and quotes are looked at
 * singly.
 */
#include "cuse_dev/backend/soft/ptx/lex.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct scan {
	const char *end;
	uint32_t line;
	const char *line_start;
	size_t depth;
};

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

const char *ptx_scan_braces(const char *p, const char *end, uint32_t *line, const char **line_start)
{
	struct scan s = { end, *line, *line_start, 1 };

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
		p = quoted ? step(&s, p + until) : p + until;
	}
	while (p && p < end && s.depth)
		p = step(&s, p);
	if (!p || s.depth)
		return NULL;
	*line = s.line;
	*line_start = s.line_start;
	return p;
}
#else
const char *ptx_scan_braces(const char *p, const char *end, uint32_t *line, const char **line_start)
{
	struct scan s = { end, *line, *line_start, 1 };

	while (p && p < end && s.depth)
		p = step(&s, p);
	if (!p || s.depth)
		return NULL;
	*line = s.line;
	*line_start = s.line_start;
	return p;
}
#endif

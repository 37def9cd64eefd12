/* SPDX-License-Identifier: MIT */
/* table.c - the list of symbols as data; see table.h. */
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "libcuda/api/extra.h"
#include "libcuda/api/table.h"

#define ROW(sym, base, since, pt, built) { #base, #sym, since, pt, built, (void *)(uintptr_t)sym },
static const struct api_symbol symbols[] = {
#define CU_FN(sym, base, since, params, args)	    ROW(sym, base, since, false, true)
#define CU_EARLY(sym, base, since, params, args)    ROW(sym, base, since, false, true)
#define CU_PT(sym, base, since, params, args, like) ROW(sym, base, since, true, true)
#define CU_STUB(sym, base, since, params, args)	    ROW(sym, base, since, false, false)
#define CU_FOREIGN(sym, base, since, per_thread)    ROW(sym, base, since, per_thread, false)
#include "libcuda/api/all.def"
};

#define SYMBOLS (sizeof(symbols) / sizeof(symbols[0]))
#define BUCKETS 1024u

/* Chains of rows with the same hash of base: the runtime library makes 440 look-ups at start. */
static uint16_t bucket_first[BUCKETS]; /* index + 1, 0 none */
static uint16_t row_next[SYMBOLS];
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

static uint32_t hash_text(const char *s)
{
	uint32_t h = 2166136261u;

	while (*s)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h;
}

static void index_setup(void)
{
	for (size_t i = 0; i < SYMBOLS; i++) {
		uint16_t *first = &bucket_first[hash_text(symbols[i].base) % BUCKETS];

		row_next[i] = *first;
		*first = (uint16_t)(i + 1);
	}
}

const struct api_symbol *api_table_find(const char *base, int version, bool per_thread,
					bool *ret_known)
{
	const struct api_symbol *best = NULL;

	pthread_once(&index_once, index_setup);
	*ret_known = false;
	for (uint16_t i = bucket_first[hash_text(base) % BUCKETS]; i; i = row_next[i - 1]) {
		const struct api_symbol *s = &symbols[i - 1];

		if (strcmp(s->base, base))
			continue;
		*ret_known = true;
		if (s->since > version || (s->per_thread && !per_thread))
			continue;
		/* The newest one wins; of one version the per-thread variant, where wanted. */
		if (!best || s->since > best->since ||
		    (s->since == best->since && s->per_thread && !best->per_thread))
			best = s;
	}
	return best;
}

const struct api_symbol *api_table_all(size_t *ret_count)
{
	*ret_count = SYMBOLS;
	return symbols;
}

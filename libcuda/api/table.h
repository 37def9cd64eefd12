/* SPDX-License-Identifier: MIT */
/* table.h - the list of symbols as data; what cuGetProcAddress answers from. */
#ifndef API_TABLE_H
#define API_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct api_symbol {
	const char *base; /* name that is looked up */
	const char *name; /* the symbol */
	int since;	  /* CUDA version, e.g. 12000 */
	bool per_thread;
	bool built; /* false: answers NOT_SUPPORTED */
	void *function;
};

/** api_table_find() - best symbol for @base at @version; NULL with *ret_known telling whether a
 * later one exists. */
const struct api_symbol *api_table_find(const char *base, int version, bool per_thread,
					bool *ret_known);

/** api_table_all() - every row, in the order of the lists. */
const struct api_symbol *api_table_all(size_t *ret_count);

#endif

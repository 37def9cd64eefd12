/* SPDX-License-Identifier: MIT */
/* table.c - bisection over the opcode and modifier lists. */
#include "cuse_dev/backend/soft/ptx/table.h"

#include <string.h>

#include "cuse_dev/backend/soft/ir/ir.h"

static const char *const op_text[] = {
#define PTX_OP(NAME, text, lower, ir) text,
#include "ptx_op.def"
#undef PTX_OP
};

static const struct ptx_mod_row mod_rows[] = {
#define PTX_MOD(NAME, text, kind, value, flags) { text, PTX_KIND_##kind, value, flags },
#include "ptx_mod.def"
#undef PTX_MOD
};

/* strcmp of a string with a counted one. */
static int compare(const char *row, const char *text, size_t len)
{
	int r = strncmp(row, text, len);

	return r ? r : (unsigned char)row[len];
}

enum ptx_op ptx_op_find(const char *text, size_t len)
{
	size_t lo = 0, hi = PTX_OP_COUNT;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int r = compare(op_text[mid], text, len);

		if (!r)
			return (enum ptx_op)mid;
		if (r < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return PTX_OP_COUNT;
}

const char *ptx_op_text(enum ptx_op op)
{
	return op < PTX_OP_COUNT ? op_text[op] : "?";
}

enum ptx_mod ptx_mod_find(const char *text, size_t len)
{
	size_t lo = 0, hi = PTX_MOD_COUNT;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int r = compare(mod_rows[mid].text, text, len);

		if (!r)
			return (enum ptx_mod)mid;
		if (r < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return PTX_MOD_OTHER;
}

const struct ptx_mod_row *ptx_mod_info(enum ptx_mod m)
{
	return m < PTX_MOD_COUNT ? &mod_rows[m] : NULL;
}

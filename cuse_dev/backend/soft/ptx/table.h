/* SPDX-License-Identifier: MIT */
/*
 * table.h - the two lists ptx_op.def and ptx_mod.def as enums and look-ups.
 */
#ifndef SOFT_PTX_TABLE_H
#define SOFT_PTX_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum ptx_op {
#define PTX_OP(NAME, text, lower, ir) PTX_OP_##NAME,
#include "ptx_op.def"
#undef PTX_OP
	PTX_OP_COUNT
};

enum ptx_mod {
#define PTX_MOD(NAME, text, kind, value, flags) PTX_MOD_##NAME,
#include "ptx_mod.def"
#undef PTX_MOD
	PTX_MOD_COUNT,
	PTX_MOD_OTHER /* not in the list */
};

enum ptx_mod_kind {
	PTX_KIND_TYPE,
	PTX_KIND_SPACE,
	PTX_KIND_ROUND,
	PTX_KIND_IROUND,
	PTX_KIND_CMP,
	PTX_KIND_SEM,
	PTX_KIND_SCOPE,
	PTX_KIND_VEC,
	PTX_KIND_CACHE,
	PTX_KIND_WORD,
};

#define PTX_TYPE_BITS 1 /* flag of .b8 .. .b128 */

struct ptx_mod_row {
	const char *text;
	uint8_t kind, value, flags;
};

/** ptx_op_find() - PTX_OP_COUNT when there is no such instruction. */
enum ptx_op ptx_op_find(const char *text, size_t len);
const char *ptx_op_text(enum ptx_op op);
/** ptx_mod_find() - PTX_MOD_OTHER when it is not in the list. */
enum ptx_mod ptx_mod_find(const char *text, size_t len);
const struct ptx_mod_row *ptx_mod_info(enum ptx_mod m);

#endif

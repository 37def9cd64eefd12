/* SPDX-License-Identifier: MIT */
/* alloc.h - where the registers of a function lie in its frame. */
#ifndef SOFT_INTERP_ALLOC_H
#define SOFT_INTERP_ALLOC_H

#include "cuse_dev/backend/soft/ir/ir.h"

/* The start of every frame: predicates for expansions, and the first byte of allocated ones. */
#define ALLOC_TEMP_PREDS 4u

/**
 * interp_alloc() - offsets for all registers
 *
 * @tmp: memory that may go afterwards. ret_off[r] is the byte offset of register r.
 * *ret_bytes: end of the registers, multiple of 64; *ret_live: most 32-bit registers alive at once.
 * 0, -ENOMEM.
 */
int interp_alloc(struct base_arena *tmp, const struct ir_func *f, int32_t *ret_off,
		 uint32_t *ret_bytes, uint32_t *ret_live);

#endif

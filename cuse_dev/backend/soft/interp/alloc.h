/* SPDX-License-Identifier: MIT */
/* alloc.h - where the registers of a function lie in its frame, and which keep their values there. */
#ifndef SOFT_INTERP_ALLOC_H
#define SOFT_INTERP_ALLOC_H

#include "cuse_dev/backend/soft/ir/ir.h"

/* The start of every frame: predicates for expansions, and the first byte of allocated ones. */
#define ALLOC_TEMP_PREDS 4u

/** enum hoist_level - how long a result stays right; the later one covers the earlier one */
enum hoist_level { HOIST_NOT, HOIST_LAUNCH, HOIST_BLOCK };

/**
 * interp_hoist() - what need not be computed by every warp
 *
 * ret_inst[i]: level of the i-th instruction of all blocks; ret_reg[r]: of the register, which then
 * needs a place of its own. 0, -ENOMEM.
 */
int interp_hoist(struct base_arena *tmp, const struct ir_func *f, uint8_t **ret_inst,
		 uint8_t **ret_reg);

/**
 * interp_alloc() - offsets for all registers
 *
 * @tmp: memory that may go afterwards. @pinned: registers that live all the time (not 0), or NULL.
 * ret_off[r] is the byte offset of register r.
 * *ret_bytes: end of the registers, multiple of 64; *ret_live: most 32-bit registers alive at once.
 * 0, -ENOMEM.
 */
int interp_alloc(struct base_arena *tmp, const struct ir_func *f, const uint8_t *pinned,
		 int32_t *ret_off, uint32_t *ret_bytes, uint32_t *ret_live);

#endif

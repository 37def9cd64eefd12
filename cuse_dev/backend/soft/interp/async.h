/* SPDX-License-Identifier: MIT */
/* async.h - what asynchronous copies share: addresses with their space, mbarriers, atomics. */
#ifndef SOFT_INTERP_ASYNC_H
#define SOFT_INTERP_ASYNC_H

#include "cuse_dev/backend/soft/interp/code.h"

/** interp_async_address() - the generic address that two sources say, see IR_AT(). */
uint64_t interp_async_address(const struct interp_warp *w, const struct interp_opnd *o,
			      uint32_t lane);
/** interp_async_ptr() - where a generic address lies; NULL: a fault is recorded. */
uint8_t *interp_async_ptr(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			  uint64_t va, uint64_t bytes, uint32_t align);
/** interp_want_shared() - false: a fault is recorded. */
bool interp_want_shared(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			uint64_t va);
/** interp_peer_address() - the same place of shared memory in block @rank of the cluster. */
uint64_t interp_peer_address(uint64_t va, uint32_t rank);
/** interp_mbar_complete_tx() - @bytes have come; false: a fault is recorded. */
bool interp_mbar_complete_tx(struct interp_warp *w, const struct interp_inst *in, uint32_t lane,
			     uint64_t va, uint64_t bytes);
/** interp_atomic() - one element of 2, 4 or 8 bytes; plain: nobody else can see it. */
void interp_atomic(void *at, const struct ir_inst *ir, bool plain, uint64_t b);

#endif

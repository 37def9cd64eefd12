/* SPDX-License-Identifier: MIT */
/*
 * tier.h - which code a launch runs: interpreted at first, compiled quickly when the kernel is hot, and well
 * when it stays so.
 *
 * Here: how hot a kernel is, per block shape; asking cache and compiler; publishing what comes back.
 * A launch never waits for a compiler: each block of a grid takes the best code there is when it
 * starts. Only the first launch of a shape looks into the cache before its first block. Not here: how to compile (llvm/), the compiler's process (session/compiler.h).
 *
 *	tier ─┬─ tier_func (a kernel) ── tier_variant (a block shape) ── code, when there is some
 *	      └─ thread: cache look-ups, messages to and from the compiler
 */
#ifndef SOFT_TIER_H
#define SOFT_TIER_H

#include <stdbool.h>
#include <stdint.h>

#include "cuse_dev/backend/soft/ir/ir.h"
#include "cuse_dev/backend/soft/simt/launch.h"

struct tier;
struct tier_func;
struct tier_variant;

/**
 * tier_create() - @sock: to the compiler (job.h); @cache: a store, read-only, or -1. Both become its own.
 */
int tier_create(int sock, int cache, struct tier **ret_tier);
/** tier_destroy() - no tier_func may be left. */
void tier_destroy(struct tier *t);

/** tier_func_create() - @interp: its interpreted code, which must live as long. NULL: no memory. */
struct tier_func *tier_func_create(struct tier *t, const struct ir_unit *unit,
				   const struct simt_code *interp);
/** tier_func_destroy() - no launch of it may run. */
void tier_func_destroy(struct tier_func *f);

/** tier_variant() - of this block shape; NULL: no memory. */
struct tier_variant *tier_variant(struct tier_func *f, const uint32_t block[3]);
/** tier_slot() - where its code appears, NULL until then; read with an acquire load. */
const struct simt_code *const *tier_slot(const struct tier_variant *v);
/**
 * tier_will_run() - a launch of about @work warp instructions begins: in the cache? hot enough at once? The
 * slot may be filled when it returns.
 * tier_has_run() - it took @ns. Both only while tier_open() says that there may be better code one day.
 */
bool tier_open(const struct tier_variant *v);
void tier_will_run(struct tier_variant *v, uint64_t work);
void tier_has_run(struct tier_variant *v, uint64_t ns);

/** tier_idle() - nothing is asked for any more; for tests and tools. */
bool tier_idle(struct tier *t);

#endif

/* SPDX-License-Identifier: MIT */
/* hints.h - what was said of managed memory. */
#ifndef IMPL_HINTS_H
#define IMPL_HINTS_H

#include <stdint.h>

/** cu_hints_forget() - the memory is gone; its addresses will be others'. */
void cu_hints_forget(uint64_t va, uint64_t bytes);

#endif

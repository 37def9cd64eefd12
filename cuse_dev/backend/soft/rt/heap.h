/* SPDX-License-Identifier: MIT */
/*
 * heap.h - the device's malloc and free.
 *
 * The heap is the memory [va, va + bytes), addressable in this process at va; all state lies
 * inside. Zero-filled memory is an empty heap. Several CPU threads may call at once. Kernels can
 * scribble over the state: that may lose memory or make calls fail, but never leads outside.
 */
#ifndef SOFT_RT_HEAP_H
#define SOFT_RT_HEAP_H

#include <stdint.h>

#define RT_HEAP_ALIGN 16

/** rt_heap_malloc() - a 16-byte aligned address, or 0 when exhausted (or size is 0). */
uint64_t rt_heap_malloc(uint64_t va, uint64_t bytes, uint64_t size);

/** rt_heap_free() - ptr 0 is fine. -EINVAL: not what malloc gave, or freed already; no effect. */
int rt_heap_free(uint64_t va, uint64_t bytes, uint64_t ptr);

#endif

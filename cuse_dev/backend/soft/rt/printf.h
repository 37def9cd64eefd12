/* SPDX-License-Identifier: MIT */
/*
 * printf.h - the device's printf: nvcc turns it into vprintf(format, packed arguments).
 *
 * Both live in device memory and are fetched through a reader, as are strings for %s. The packed
 * arguments stand in order, each at its natural alignment: int and smaller as 4 bytes, long,
 * long long and pointers as 8, all floats as 8-byte doubles.
 */
#ifndef SOFT_RT_PRINTF_H
#define SOFT_RT_PRINTF_H

#include <stddef.h>
#include <stdint.h>

/** Copy @n bytes at generic address @va out. 0, or a negative errno when it is not readable. */
typedef int (*rt_read_fn)(void *ctx, uint64_t va, void *buf, size_t n);

#define RT_PRINTF_MAX 8192 /* bytes of text that one call can make; what is longer is cut */

/**
 * rt_printf() - format into @buf (@size bytes, no NUL is written)
 *
 * Returns the number of arguments taken, which is what device code gets back; -EFAULT (or what
 * the reader said) when format, arguments or a string could not be read; -EINVAL for %n, and for a
 * NULL format. *ret_bytes is the length of the text made up to there, also in case of an error.
 */
int rt_printf(rt_read_fn read, void *ctx, uint64_t format_va, uint64_t args_va, char *buf,
	      size_t size, size_t *ret_bytes);

#endif

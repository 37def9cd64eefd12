/* SPDX-License-Identifier: MIT */
/*
 * filter.h - the system calls that a jailed program may still make once it has set up.
 *
 * All of ours get what memory, the descriptors they hold, threads and libc need; nothing that names a file,
 * a socket or another process, and no memory that can be written and executed. What one of them
 * needs beside that it adds itself.
 *
 * A library of its own (vgpu_filter): not everything that is linked with base needs libseccomp.
 */
#ifndef BASE_FILTER_H
#define BASE_FILTER_H

#include <stddef.h>
#include <stdint.h>

struct filter {
	void *ctx;
	int error; /* the first that happened; filter_load() answers it */
};

/** filter_init() - a filter with what all may. Never fails: see filter_load(). */
void filter_init(struct filter *f);

void filter_allow(struct filter *f, const int *calls, size_t count);

/** filter_allow_if() - @call where its argument @arg, masked with @mask, is @value. */
void filter_allow_if(struct filter *f, int call, unsigned int arg, uint64_t mask, uint64_t value);

/** filter_load() - from here on, for all threads; ends with @f. 0 or -errno. */
int filter_load(struct filter *f);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * cache.h - where compiled kernels lie between runs: one file (base/store.h) per user.
 *
 *	<cache_dir>/<uid>/kernels-<stamp>
 *
 * The files belong to the daemon's user and nobody else may open them: a compiler gets a descriptor
 * to write its client's file, a worker one to read it. So no user can put code into the cache of
 * another. The stamp changes with the compiler and the CPU; files with another stamp are removed.
 */
#ifndef SESSION_CACHE_H
#define SESSION_CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct front;

/** cache_stamp() - for the compiler at @program on this CPU; 0 when it cannot be read. */
uint64_t cache_stamp(const char *program);

/** cache_open() - the file of @uid, made if it is missing. -1: there is no cache. */
int cache_open(const struct front *f, uid_t uid, bool write);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * store.h - a file of bounded size that keeps byte strings under 128-bit keys: a cache on disk.
 *
 * Here: look up, put, list. Not here: what is kept, where the file lies, who may open it.
 *
 * A reader takes no lock and trusts nothing: it copies, checks bounds and a checksum over key and
 * content, and calls everything else a miss. So a torn write, an overwritten entry, a shorter file
 * or random bytes cost a look-up, never more. Writers exclude each other by flock(2). New entries
 * overwrite the oldest.
 *
 *	+--------+---------------------------+--------------------------------------+
 *	| header | index: sets of four slots | ring of entries: head, content, pad  |
 *	+--------+---------------------------+--------------------------------------+
 *
 * Any number of threads and processes may use one file; one struct store belongs to one thread at a
 * time. Numbers are in the host's byte order: the file never leaves it.
 */
#ifndef BASE_STORE_H
#define BASE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_MIN_BYTES (1ull << 20) /* smallest file that works */

struct store_key {
	uint64_t word[2];
};

struct store_stat {
	uint64_t entries;    /* that can be found */
	uint64_t bytes;	     /* of their contents */
	uint64_t file_bytes; /* of the file, most of it may be a hole */
	uint64_t puts;	     /* since the file was made */
};

struct store;

/**
 * store_open() - use the file behind @fd, which stays the caller's and must outlive the store
 *
 * -EINVAL: not such a file, or of another version.
 */
int store_open(int fd, struct store **ret_store);
void store_close(struct store *s);

/** store_format() - make the empty file @fd a store of @bytes. -EINVAL: below STORE_MIN_BYTES. */
int store_format(int fd, uint64_t bytes);

/** store_find() - a copy of the content, the caller's to free. -ENOENT, -ENOMEM, -EIO. */
int store_find(struct store *s, const struct store_key *key, void **ret_data, size_t *ret_bytes);

/**
 * store_put() - keep a copy of @data; one that is there already is replaced
 *
 * -EFBIG: larger than a quarter of the file; -EAGAIN: another writer is busy; -EIO, -ENOSPC.
 */
int store_put(struct store *s, const struct store_key *key, const void *data, size_t bytes);

/** store_count() - counts what can be found; reads the whole file. */
int store_count(struct store *s, struct store_stat *ret_stat);

/** store_key_begin() ... - the key of several byte strings one after the other. */
struct store_hash;
struct store_hash *store_hash_create(void);
void store_hash_add(struct store_hash *h, const void *data, size_t bytes);
/** store_hash_end() - frees @h. */
struct store_key store_hash_end(struct store_hash *h);

#endif

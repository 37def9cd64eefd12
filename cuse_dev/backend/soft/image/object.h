/* SPDX-License-Identifier: MIT */
/* object.h - device code in host objects and in archives of them. */
#ifndef SOFT_IMAGE_OBJECT_H
#define SOFT_IMAGE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct object_range - bytes of a file that hold fat binary containers, one behind the other */
struct object_range {
	const unsigned char *data;
	size_t bytes;
};

enum object_kind {
	OBJECT_NONE,  /* something else */
	OBJECT_HOST,  /* an ELF file of the host */
	OBJECT_CUBIN, /* machine code of a GPU */
	OBJECT_ARCHIVE,
};

enum object_kind object_kind(const void *data, size_t bytes);

/**
 * object_section() - the @index-th section with device code of a host object; false: no more, or
 * what it says of itself does not fit the file.
 */
bool object_section(const void *data, size_t bytes, unsigned index, struct object_range *ret_range);

/**
 * archive_next() - the next member behind *@at (0 at first); its data. False at the end or where
 * the archive is damaged.
 */
bool archive_next(const void *data, size_t bytes, size_t *at, struct object_range *ret_member);

#endif

/* SPDX-License-Identifier: MIT */
/* fatbin.h - the entries of fat binary containers. */
#ifndef SOFT_IMAGE_FATBIN_H
#define SOFT_IMAGE_FATBIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FATBIN_CONTAINER_MAGIC 0xba55ed50u
#define FATBIN_WRAPPER_MAGIC   0x466243b1u

enum fatbin_kind { FATBIN_PTX = 1, FATBIN_ELF = 2 };

struct fatbin_entry {
	uint16_t kind;
	uint32_t sm; /* major * 10 + minor */
	bool lz4, zstd;
	const unsigned char *payload;
	size_t payload_bytes; /* as stored */
	uint64_t bytes;	      /* unpacked */
};

struct fatbin_walk {
	const unsigned char *p, *end;	/* the rest of the image */
	const unsigned char *entry_end; /* of the container being walked */
	bool broken;
};

void fatbin_walk_start(struct fatbin_walk *w, const void *image, size_t bytes);
/** fatbin_walk_next() - false at the end, or when something does not fit (then w->broken). */
bool fatbin_walk_next(struct fatbin_walk *w, struct fatbin_entry *ret_entry);
/** fatbin_container_bytes() - of the container at @p; 0: there is none, or it does not fit. */
size_t fatbin_container_bytes(const unsigned char *p, size_t bytes);
/** fatbin_unpack() - the payload in malloc'd memory with a NUL behind it. 0, -EINVAL, -ENOMEM. */
int fatbin_unpack(const struct fatbin_entry *e, char **ret_text, size_t *ret_bytes);

#endif

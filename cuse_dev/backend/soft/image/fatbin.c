/* SPDX-License-Identifier: MIT */
/*
 * fatbin.c - fat binary containers
 *
 *	container  u32 magic, u16 version, u16 header size, u64 bytes that follow
 *	entry      0 u16 kind   2 u16 version  4 u32 header size   8 u64 payload, padded
 *	          16 u32 stored size when packed  24 u16 minor  26 u16 major  28 u32 sm
 *	          40 u64 flags (0x2000 LZ4, 0x8000 zstd)  56 u64 unpacked size
 *
 * Containers may follow each other, padded with zeros to eight bytes.
 */
#include "cuse_dev/backend/soft/image/fatbin.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "cuse_dev/base/limits.h"

#define CONTAINER_HEADER 16
#define ENTRY_HEADER	 64
#define FLAG_LZ4	 0x2000u
#define FLAG_ZSTD	 0x8000u

static uint16_t get16(const unsigned char *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

static uint32_t get32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static uint64_t get64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

void fatbin_walk_start(struct fatbin_walk *w, const void *image, size_t bytes)
{
	memset(w, 0, sizeof(*w));
	w->p = image;
	w->end = w->p + bytes;
	w->entry_end = w->p;
}

size_t fatbin_container_bytes(const unsigned char *p, size_t bytes)
{
	uint16_t header;
	uint64_t behind;

	if (bytes < CONTAINER_HEADER || get32(p) != FATBIN_CONTAINER_MAGIC)
		return 0;
	header = get16(p + 6);
	behind = get64(p + 8);
	if (header < CONTAINER_HEADER || header > bytes || behind > bytes - header)
		return 0;
	return header + (size_t)behind;
}

/* Into the next container; false when there is none. */
static bool open_container(struct fatbin_walk *w)
{
	size_t bytes;

	while ((size_t)(w->end - w->p) >= 4 && !get32(w->p))
		w->p += 4; /* padding */
	if ((size_t)(w->end - w->p) < CONTAINER_HEADER || get32(w->p) != FATBIN_CONTAINER_MAGIC)
		return false;
	bytes = fatbin_container_bytes(w->p, (size_t)(w->end - w->p));
	if (!bytes) {
		w->broken = true;
		return false;
	}
	w->entry_end = w->p + bytes;
	w->p += get16(w->p + 6);
	return true;
}

bool fatbin_walk_next(struct fatbin_walk *w, struct fatbin_entry *ret_entry)
{
	const unsigned char *p;
	uint32_t header, stored;
	uint64_t padded, flags;
	size_t left;

	while ((size_t)(w->entry_end - w->p) < ENTRY_HEADER) {
		w->p = w->entry_end;
		if (!open_container(w))
			return false;
	}
	p = w->p;
	left = (size_t)(w->entry_end - p);
	header = get32(p + 4);
	padded = get64(p + 8);
	if (header < ENTRY_HEADER || header > left || padded > left - header) {
		w->broken = true;
		return false;
	}
	flags = get64(p + 40);
	stored = get32(p + 16);
	memset(ret_entry, 0, sizeof(*ret_entry));
	ret_entry->kind = get16(p);
	ret_entry->sm = get32(p + 28);
	ret_entry->lz4 = flags & FLAG_LZ4;
	ret_entry->zstd = flags & FLAG_ZSTD;
	ret_entry->payload = p + header;
	ret_entry->payload_bytes = (size_t)padded;
	ret_entry->bytes = padded;
	if (ret_entry->lz4 || ret_entry->zstd) {
		ret_entry->bytes = get64(p + 56);
		if (stored && stored <= padded)
			ret_entry->payload_bytes = stored;
	}
	w->p = p + header + padded;
	return true;
}

int fatbin_unpack(const struct fatbin_entry *e, char **ret_text, size_t *ret_bytes)
{
	size_t got = 0;
	char *text;

	if (e->bytes > LIMIT_PTX_BYTES || e->payload_bytes > LIMIT_PTX_BYTES)
		return -EINVAL;
	/* LZ4 makes at most 255 bytes of one */
	if (e->lz4 && e->bytes / 255 > e->payload_bytes + 1)
		return -EINVAL;
	text = malloc(e->bytes + 64); /* room for readers of whole vectors */
	if (!text)
		return -ENOMEM;
	if (e->zstd) {
		got = ZSTD_decompress(text, e->bytes, e->payload, e->payload_bytes);
		if (ZSTD_isError(got))
			got = SIZE_MAX;
	} else if (e->lz4) {
		int r = LZ4_decompress_safe((const char *)e->payload, text, (int)e->payload_bytes,
					    (int)e->bytes);

		got = r < 0 ? SIZE_MAX : (size_t)r;
	} else {
		memcpy(text, e->payload, e->bytes);
		got = e->bytes;
	}
	if (got != e->bytes) {
		free(text);
		return -EINVAL;
	}
	memset(text + got, 0, 64);
	*ret_text = text;
	*ret_bytes = got;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * share.h - take over a descriptor that a client names by number.
 */
#ifndef DOOR_SHARE_H
#define DOOR_SHARE_H

#include <stdint.h>

enum share_rule {
	SHARE_READ,   /* a memfd of at least this size, to read from once */
	SHARE_SEALED, /* writable, sealed against shrink, grow and seals, of exactly this size */
	SHARE_SEALED_ANY, /* the same, of any size */
	SHARE_FILE,	  /* what a program maps: of at least this size, writable */
	SHARE_FILE_READ,  /* the same, to be read only */
};

struct share_want {
	int fd; /* the caller's number */
	enum share_rule rule;
	uint64_t size;
};

/**
 * share_open() - our own descriptor for it.
 *
 * -EBADF: no such descriptor; -EPERM: not a memfd (for SHARE_FILE: nor a regular file of a local
 * file system), read-only, or seals missing; -EINVAL: size;
 * -ENOTSUP: descriptors of that process are not for us to see.
 */
int share_open(uint32_t tid, const struct share_want *want, int *ret_fd);

#endif

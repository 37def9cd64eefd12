/* SPDX-License-Identifier: MIT */
/*
 * ops.h - the operation list as a table, for both sides: names for logs and traces, sizes for checks.
 */
#ifndef VGPU_OPS_H
#define VGPU_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "ioctl/vgpu_ioctl.h"

enum ops_where { OPS_FRONT, OPS_WORKER };

struct ops_desc {
	const char *name;     /* "MEM_ALLOC"; NULL for a hole in the numbers */
	uint32_t size;	      /* bytes of its struct */
	enum ops_where where; /* who answers */
	uint32_t since;	      /* minor version that brought it */
};

/** ops_find() - the row of operation @nr, or NULL if there is none. */
const struct ops_desc *ops_find(uint32_t nr);

#endif

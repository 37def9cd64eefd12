/* SPDX-License-Identifier: MIT */
/* ops.c - VGPU_OPS expanded into the table of ops.h. */
#include "ioctl/ops.h"

static const struct ops_desc table[] = {
#define X(nr, NAME, name, where, since)                                                            \
	[nr] = { #NAME, sizeof(struct vgpu_##name), OPS_##where, since },
	VGPU_OPS(X)
#undef X
};

#define X(nr, NAME, name, where, since)                                                            \
	_Static_assert(sizeof(struct vgpu_##name) <= VGPU_MAX_PAYLOAD,                             \
		       "struct vgpu_" #name " exceeds a restricted ioctl");
VGPU_OPS(X)
#undef X

const struct ops_desc *ops_find(uint32_t nr)
{
	if (nr >= sizeof(table) / sizeof(table[0]) || !table[nr].name)
		return NULL;
	return &table[nr];
}

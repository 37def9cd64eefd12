/* SPDX-License-Identifier: MIT */
/* hostmem.h - what memory.c must know of registered memory. */
#ifndef IMPL_HOSTMEM_H
#define IMPL_HOSTMEM_H

#include "libcuda/link/link.h"

/** cu_hostmem_unregister() - the pages become the program's own again; @r is out of the map
 * already. */
void cu_hostmem_unregister(const struct link_range *r);

#endif

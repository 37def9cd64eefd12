/* SPDX-License-Identifier: MIT */
/* primary.h - the one thing that others need of primary contexts. */
#ifndef IMPL_PRIMARY_H
#define IMPL_PRIMARY_H

#include "libcuda/core/ctx.h"

/** cu_primary_handle() - the primary context's handle, active or not. */
CUresult cu_primary_handle(struct cu_device *dev, struct cu_ctx **ret_ctx);

#endif

/* SPDX-License-Identifier: MIT */
/* device.h - dynamic parallelism's calls of device code. */
#ifndef SOFT_INTERP_DEVICE_H
#define SOFT_INTERP_DEVICE_H

#include "cuse_dev/backend/soft/interp/code.h"

/** interp_device_call() - a lane calls IR_BUILTIN_CNP_...; arguments and results lie in its frame. */
void interp_device_call(struct interp_warp *w, const struct interp_ext *x, uint32_t lane,
			uint32_t id);

#endif

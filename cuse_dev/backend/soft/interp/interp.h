/* SPDX-License-Identifier: MIT */
/*
 * interp.h - the interpreter tier: decodes an IR unit once, then runs it 32 lanes at a time.
 */
#ifndef SOFT_INTERP_H
#define SOFT_INTERP_H

#include <stddef.h>

#include "cuse_dev/backend/soft/ir/ir.h"
#include "cuse_dev/backend/soft/simt/launch.h"

/**
 * interp_prepare() - decode a verified unit
 *
 * The code keeps nothing of the unit except what it copies; the unit may go afterwards. @err gets
 * a text when -EINVAL is returned (something in the unit that cannot be executed at all). Else 0
 * or -ENOMEM. Free with simt_code_destroy().
 */
int interp_prepare(const struct ir_unit *unit, struct simt_code **ret_code, char *err,
		   size_t err_bytes);

/* Operand i of a bridged operation lies at INTERP_BRIDGE_HEAD + i * INTERP_BRIDGE_SLOT. */
#define INTERP_BRIDGE_SLOT 512u
#define INTERP_BRIDGE_HEAD 64u

/**
 * interp_prepare_bridge() - decode operations that code of another tier calls one by one
 *
 * Each function of the unit is one operation and an exit; register i lies at a fixed place, for
 * whoever puts operands there. Otherwise as interp_prepare().
 */
int interp_prepare_bridge(const struct ir_unit *unit, struct simt_code **ret_code, char *err,
			  size_t err_bytes);

#endif

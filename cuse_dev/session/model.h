/* SPDX-License-Identifier: MIT */
/*
 * model.h - power, heat and clocks of a card that does not exist, from how busy it is.
 *
 *	power  = idle + (limit - idle) * busy
 *	target = idle temperature + (load temperature - idle temperature) * busy
 *	dT/dt  = (target - T) / MODEL_TAU_S
 *
 * The state moves on when somebody looks; nothing wakes up for it. docs/nvml.md tells the reader.
 */
#ifndef SESSION_MODEL_H
#define SESSION_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "ioctl/vgpu_ioctl.h"

#define MODEL_TAU_S 25.0

struct model {
	uint64_t at_ns;	  /* when the rest was true */
	uint64_t busy_ns; /* of the device, in all */
	double temp_c;
	double energy_mj;
};

void model_init(struct model *m, const struct vgpu_board_info *b, uint64_t now);
/** model_move() - to @now, when the device has been busy for @busy_ns in all. */
void model_move(struct model *m, const struct vgpu_board_info *b, uint64_t now, uint64_t busy_ns);
/**
 * model_fill() - the model's fields of @s, whose util_kernel is set. @used: somebody has a context.
 */
void model_fill(const struct model *m, const struct vgpu_board_info *b, bool used,
		struct vgpu_device_state *s);

#endif

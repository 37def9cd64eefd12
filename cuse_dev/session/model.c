/* SPDX-License-Identifier: MIT */
/* model.c - the formulas of model.h. */
#include "cuse_dev/session/model.h"

#include <math.h>

#define NS_PER_S     1e9
#define FULL	     10000.0 /* hundredths of a percent */
#define MEM_WARMER_C 8.0     /* than the chip */
#define FAN_MIN	     30.0    /* percent, up to this many degrees: */
#define FAN_FROM_C   40.0

static double between(double low, double high, double part)
{
	return low + (high - low) * part;
}

void model_init(struct model *m, const struct vgpu_board_info *b, uint64_t now)
{
	*m = (struct model){ .at_ns = now, .temp_c = b->temp_idle_c };
}

void model_move(struct model *m, const struct vgpu_board_info *b, uint64_t now, uint64_t busy_ns)
{
	double dt, busy, target;

	if (now <= m->at_ns)
		return;
	dt = (double)(now - m->at_ns) / NS_PER_S;
	busy = busy_ns > m->busy_ns ? (double)(busy_ns - m->busy_ns) / NS_PER_S / dt : 0;
	busy = busy < 1 ? busy : 1;
	target = between(b->temp_idle_c, b->temp_load_c, busy);
	m->temp_c = target + (m->temp_c - target) * exp(-dt / MODEL_TAU_S);
	m->energy_mj += between(b->power_idle_mw, b->power_limit_mw, busy) * dt;
	m->at_ns = now;
	if (busy_ns > m->busy_ns)
		m->busy_ns = busy_ns;
}

static uint32_t fan(const struct model *m, const struct vgpu_board_info *b)
{
	double part = (m->temp_c - FAN_FROM_C) / (b->temp_max_c - FAN_FROM_C);

	if (!b->fan_count)
		return 0;
	return (uint32_t)between(FAN_MIN, 100, part < 0 ? 0 : part > 1 ? 1 : part);
}

void model_fill(const struct model *m, const struct vgpu_board_info *b, bool used,
		struct vgpu_device_state *s)
{
	bool active = used || s->util_kernel || s->util_copy;

	s->energy_mj = (uint64_t)m->energy_mj;
	s->power_mw = (uint32_t)between(b->power_idle_mw, b->power_limit_mw, s->util_kernel / FULL);
	s->temp_mc = (uint32_t)(m->temp_c * 1000);
	s->temp_mem_mc = b->temp_mem_max_c ? (uint32_t)((m->temp_c + MEM_WARMER_C) * 1000) : 0;
	s->fan_percent = fan(m, b);
	s->sm_mhz = active ? b->sm_max_mhz : b->sm_idle_mhz;
	s->mem_mhz = active ? b->mem_max_mhz : b->mem_idle_mhz;
	s->video_mhz = active ? b->video_max_mhz : b->video_idle_mhz;
	s->perf_state = active ? 0 : b->idle_state;
}

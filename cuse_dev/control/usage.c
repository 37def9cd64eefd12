/* SPDX-License-Identifier: MIT */
/*
 * usage.c - what the devices and their clients did, and what broke, as JSON.
 *
 * Names are those of struct vgpu_device_state and its neighbours, and so are the units.
 */
#include <stdio.h>

#include "cuse_dev/control/conn.h"

json_t *usage_device(const struct control *ctl, uint32_t index)
{
	struct front *f = ctl->front;
	struct vgpu_device_state s;
	json_t *o;

	telemetry_state(f, index, &s);
	o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "busy_ns", (json_int_t)s.busy_ns,
		      "copy_ns", (json_int_t)s.copy_ns, "kernels", (json_int_t)s.kernels,
		      "in_bytes", (json_int_t)s.in_bytes, "out_bytes", (json_int_t)s.out_bytes,
		      "energy_mj", (json_int_t)s.energy_mj, "contexts", (json_int_t)s.contexts,
		      "last_xid", (json_int_t)fault_last_xid(f, index));
	if (!o ||
	    json_object_update_new(
		    o, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "util_kernel",
				 (json_int_t)s.util_kernel, "util_copy", (json_int_t)s.util_copy,
				 "power_mw", (json_int_t)s.power_mw, "temp_mc",
				 (json_int_t)s.temp_mc, "sm_mhz", (json_int_t)s.sm_mhz, "mem_mhz",
				 (json_int_t)s.mem_mhz, "video_mhz", (json_int_t)s.video_mhz,
				 "perf_state", (json_int_t)s.perf_state)) < 0)
		goto free_object;
	/* What the card does not have is left out. */
	if (s.temp_mem_mc && json_object_set_new(o, "temp_mem_mc", json_integer(s.temp_mem_mc)) < 0)
		goto free_object;
	return o;

free_object:
	json_decref(o);
	return NULL;
}

json_t *usage_client(const struct client *c, uint32_t index)
{
	struct vgpu_client_entry e;

	telemetry_client(c, index, &e);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "index",
			 (json_int_t)index, "memory", (json_int_t)e.mem_used, "memory_peak",
			 (json_int_t)e.mem_peak, "contexts", (json_int_t)e.contexts, "busy_ns",
			 (json_int_t)e.busy_ns, "copy_ns", (json_int_t)e.copy_ns, "kernels",
			 (json_int_t)e.kernels, "util_kernel", (json_int_t)e.util_kernel,
			 "util_copy", (json_int_t)e.util_copy);
}

static json_t *fault(const struct vgpu_fault_entry *e, uint32_t tgid)
{
	char address[24];

	/* Not every reader of JSON has 64-bit integers, and people read addresses so. */
	snprintf(address, sizeof(address), "0x%llx", (unsigned long long)e->address);
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:s, s:s, s:s, s:I, s:[I, I, I], "
		"s:[I, I, I]}",
		"number", (json_int_t)e->serial, "time_ns", (json_int_t)e->time_us * 1000, "device",
		(json_int_t)e->device, "pid", (json_int_t)tgid, "uid", (json_int_t)e->uid, "name",
		e->name, "xid", (json_int_t)e->xid, "error", (json_int_t)e->error, "kernel",
		e->kernel, "text", e->what, "address", address, "ptx_line", (json_int_t)e->line,
		"block", (json_int_t)e->ctaid[0], (json_int_t)e->ctaid[1], (json_int_t)e->ctaid[2],
		"thread", (json_int_t)e->tid[0], (json_int_t)e->tid[1], (json_int_t)e->tid[2]);
}

json_t *usage_faults(const struct control *ctl, uint64_t since)
{
	json_t *list = json_array(), *o;
	const struct vgpu_fault_entry *e;
	uint32_t tgid;
	int n;

	for (n = 0; n < LIMIT_CONTROL_PAGE && (e = fault_next(ctl->front, since, &tgid)); n++) {
		since = e->serial;
		o = fault(e, tgid);
		if (!list || !o || json_array_append_new(list, o) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:o, s:I}", "faults", list, "last", (json_int_t)fault_last(ctl->front));
}

/* SPDX-License-Identifier: MIT */
/*
 * event.c - sets of events, and waiting for them: the faults of kernels, as Xid numbers.
 *
 * The daemon does not call its clients. A waiter asks for faults behind the last one it saw, ten
 * times a second while it waits, and never when nobody does. Events are those after
 * nvmlDeviceRegisterEvents.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "libcuda/nvml/nv.h"

#define SUPPORTED   ((unsigned long long)nvmlEventTypeXidCriticalError)
#define ASK_EVERY   100 /* ms */
#define NO_INSTANCE 0xffffffffu
#define MAX_SETS    64 /* that a process has at a time */

/** struct nvmlEventSet_st - guarded by the process's lock */
struct nvmlEventSet_st {
	uint64_t seen; /* serial of the last fault that was looked at */
	bool started;
	bool wanted[VGPU_MAX_DEVICES]; /* by the daemon's number */
};

static struct nvmlEventSet_st *sets[MAX_SETS];

static bool is_set(nvmlEventSet_t set)
{
	for (unsigned i = 0; set && i < MAX_SETS; i++) {
		if (sets[i] == set)
			return true;
	}
	return false;
}

nvmlReturn_t answer_nvmlEventSetCreate(nvmlEventSet_t *set)
{
	NV_NEED(set);
	for (unsigned i = 0; i < MAX_SETS; i++) {
		if (sets[i])
			continue;
		sets[i] = calloc(1, sizeof(*sets[i]));
		if (!sets[i])
			return NVML_ERROR_MEMORY;
		*set = sets[i];
		return NVML_SUCCESS;
	}
	return NVML_ERROR_INSUFFICIENT_RESOURCES;
}

nvmlReturn_t answer_nvmlEventSetFree(nvmlEventSet_t set)
{
	NV_NEED(is_set(set));
	for (unsigned i = 0; i < MAX_SETS; i++) {
		if (sets[i] == set)
			sets[i] = NULL;
	}
	free(set);
	return NVML_SUCCESS;
}

NV_GET(nvmlDeviceGetSupportedEventTypes, unsigned long long, SUPPORTED)

nvmlReturn_t answer_nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long eventTypes,
					     nvmlEventSet_t set)
{
	struct vgpu_device_state state;
	nvmlReturn_t r;

	NV_NEED(is_set(set));
	if (eventTypes & ~SUPPORTED)
		return NVML_ERROR_NOT_SUPPORTED;
	if (!eventTypes)
		return NVML_SUCCESS;
	if (!set->started) {
		r = nv_state(device, &state);
		if (r != NVML_SUCCESS)
			return r;
		set->seen = state.last_fault;
		set->started = true;
	}
	if (device->daemon < VGPU_MAX_DEVICES)
		set->wanted[device->daemon] = true;
	return NVML_SUCCESS;
}

static nvmlDevice_t of_daemon(uint32_t number)
{
	for (unsigned i = 0; i < nv_count(); i++) {
		if (nv_device(i)->daemon == number)
			return nv_device(i);
	}
	return NULL;
}

/* The oldest fault of a wanted device behind the last one: SUCCESS, TIMEOUT for none yet. */
static nvmlReturn_t look(nvmlEventSet_t set, nvmlEventData_t *ret_data)
{
	struct vgpu_fault_list list = { .after = set->seen };
	int r;

	if (!set->started || !nv_count())
		return NVML_ERROR_TIMEOUT;
	r = nv_call(nv_device(0), VGPU_OP_FAULT_LIST, &list, sizeof(list));
	if (r < 0)
		return nv_error(r);
	if (list.last < set->seen)
		set->seen = 0; /* a daemon that was restarted counts from 1 again */
	for (uint32_t i = 0; i < list.count && i < VGPU_FAULT_ENTRIES; i++) {
		const struct vgpu_fault_entry *e = &list.entry[i];

		set->seen = e->serial;
		if (e->device >= VGPU_MAX_DEVICES || !set->wanted[e->device] ||
		    !of_daemon(e->device))
			continue;
		*ret_data = (nvmlEventData_t){ .device = of_daemon(e->device),
					       .eventType = nvmlEventTypeXidCriticalError,
					       .eventData = e->xid,
					       .gpuInstanceId = NO_INSTANCE,
					       .computeInstanceId = NO_INSTANCE };
		return NVML_SUCCESS;
	}
	return NVML_ERROR_TIMEOUT;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

nvmlReturn_t answer_nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data,
					unsigned int timeoutms)
{
	uint64_t end = now_ms() + timeoutms, now;
	struct timespec pause = { 0 };
	nvmlReturn_t r;

	for (;;) {
		r = nv_enter();
		if (r != NVML_SUCCESS)
			return r;
		r = data && is_set(set) ? look(set, data) : NVML_ERROR_INVALID_ARGUMENT;
		nv_leave();
		now = now_ms();
		if (r != NVML_ERROR_TIMEOUT || now >= end)
			return r;
		pause.tv_nsec = (long)(end - now < ASK_EVERY ? end - now : ASK_EVERY) * 1000000;
		nanosleep(&pause, NULL);
	}
}

nvmlReturn_t answer_nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *data,
				     unsigned int timeoutms)
{
	return answer_nvmlEventSetWait_v2(set, data, timeoutms);
}

/* SPDX-License-Identifier: MIT */
/*
 * users.c - processes on a device: who they are, how much they use, and what was used before.
 *
 * A process counts while it has a context; one that only looks, as this library does, has none. A
 * process that the caller's pid namespace does not show is left out, as NVIDIA's driver does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libcuda/nvml/nv.h"

#define NO_INSTANCE 0xffffffffu /* the device has no instances (MIG) */

typedef bool (*each_fn)(const struct vgpu_client_entry *e, void *arg);

/* Calls @fn for each process of @kind until it answers false. */
static nvmlReturn_t each(nvmlDevice_t device, uint32_t kind, each_fn fn, void *arg)
{
	struct vgpu_client_list *list = calloc(1, sizeof(*list));
	uint64_t after = 0;
	bool more = true;
	int r = 0;

	if (!list)
		return NVML_ERROR_MEMORY;
	while (more) {
		memset(list, 0, sizeof(*list));
		list->after = after;
		list->kind = kind;
		r = nv_call(device, VGPU_OP_CLIENT_LIST, list, sizeof(*list));
		if (r < 0)
			break;
		more = list->more && list->count;
		for (uint32_t i = 0; i < list->count && i < VGPU_CLIENT_ENTRIES; i++) {
			after = list->entry[i].serial;
			if (list->entry[i].pid && !fn(&list->entry[i], arg)) {
				more = false;
				break;
			}
		}
	}
	free(list);
	return nv_error(r);
}

/* ---- the running ones ----------------------------------------------------------------------- */

struct running {
	unsigned int found, room;
	nvmlProcessInfo_v2_t *out;
};

static bool add_running(const struct vgpu_client_entry *e, void *arg)
{
	struct running *s = arg;

	if (!e->contexts)
		return true;
	if (s->found < s->room)
		s->out[s->found] = (nvmlProcessInfo_v2_t){ .pid = e->pid,
							   .usedGpuMemory = e->mem_used,
							   .gpuInstanceId = NO_INSTANCE,
							   .computeInstanceId = NO_INSTANCE };
	s->found++;
	return true;
}

nvmlReturn_t answer_nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device,
							    unsigned int *infoCount,
							    nvmlProcessInfo_t *infos)
{
	struct running s = { .out = infos };
	nvmlReturn_t r;

	NV_NEED(infoCount && (infos || !*infoCount));
	s.room = *infoCount;
	r = each(device, VGPU_CLIENTS_LIVE, add_running, &s);
	if (r != NVML_SUCCESS)
		return r;
	*infoCount = s.found;
	return s.found > s.room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device,
							    unsigned int *infoCount,
							    nvmlProcessInfo_v2_t *infos)
{
	return answer_nvmlDeviceGetComputeRunningProcesses_v3(device, infoCount, infos);
}

nvmlReturn_t answer_nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device,
							 unsigned int *infoCount,
							 nvmlProcessInfo_v1_t *infos)
{
	nvmlProcessInfo_v2_t *wide;
	unsigned int room;
	nvmlReturn_t r;

	NV_NEED(infoCount && (infos || !*infoCount));
	room = *infoCount;
	if (room > VGPU_CLIENT_ENTRIES * 64)
		room = VGPU_CLIENT_ENTRIES * 64;
	wide = calloc(room + 1, sizeof(*wide));
	if (!wide)
		return NVML_ERROR_MEMORY;
	*infoCount = room;
	r = answer_nvmlDeviceGetComputeRunningProcesses_v3(device, infoCount, wide);
	for (unsigned int i = 0; r == NVML_SUCCESS && i < *infoCount; i++)
		infos[i] = (nvmlProcessInfo_v1_t){ .pid = wide[i].pid,
						   .usedGpuMemory = wide[i].usedGpuMemory };
	free(wide);
	return r;
}

/* Nothing draws here, and there is no MPS server. */
#define NOBODY(sym, type)                                                                          \
	nvmlReturn_t answer_##sym(nvmlDevice_t device, unsigned int *infoCount, type *infos)       \
	{                                                                                          \
		NV_NEED(infoCount);                                                                \
		*infoCount = 0;                                                                    \
		return NVML_SUCCESS;                                                               \
	}
NOBODY(nvmlDeviceGetGraphicsRunningProcesses, nvmlProcessInfo_v1_t)
NOBODY(nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlProcessInfo_v2_t)
NOBODY(nvmlDeviceGetGraphicsRunningProcesses_v3, nvmlProcessInfo_t)
NOBODY(nvmlDeviceGetMPSComputeRunningProcesses, nvmlProcessInfo_v1_t)
NOBODY(nvmlDeviceGetMPSComputeRunningProcesses_v2, nvmlProcessInfo_v2_t)
NOBODY(nvmlDeviceGetMPSComputeRunningProcesses_v3, nvmlProcessInfo_t)

struct detail {
	unsigned int found, room;
	nvmlProcessDetail_v1_t *out;
};

static bool add_detail(const struct vgpu_client_entry *e, void *arg)
{
	struct detail *s = arg;

	if (!e->contexts)
		return true;
	if (s->found < s->room)
		s->out[s->found] = (nvmlProcessDetail_v1_t){ .pid = e->pid,
							     .usedGpuMemory = e->mem_used,
							     .gpuInstanceId = NO_INSTANCE,
							     .computeInstanceId = NO_INSTANCE };
	s->found++;
	return true;
}

struct named {
	unsigned int found, room;
	struct nv_named_process *out;
};

static bool add_named(const struct vgpu_client_entry *e, void *arg)
{
	struct named *s = arg;

	if (!e->contexts)
		return true;
	if (s->found < s->room) {
		struct nv_named_process *p = &s->out[s->found];

		memset(p, 0, sizeof(*p));
		p->process.pid = e->pid;
		p->process.usedGpuMemory = e->mem_used;
		p->process.gpuInstanceId = NO_INSTANCE;
		p->process.computeInstanceId = NO_INSTANCE;
		memcpy(p->name, e->name, strnlen(e->name, sizeof(e->name)));
	}
	s->found++;
	return true;
}

nvmlReturn_t nv_named_processes(nvmlDevice_t device, unsigned int *count,
				struct nv_named_process *out)
{
	struct named s = { .room = *count, .out = out };
	nvmlReturn_t r = each(device, VGPU_CLIENTS_LIVE, add_named, &s);

	if (r != NVML_SUCCESS)
		return r;
	*count = s.found;
	return s.found > s.room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

#define DETAIL_COMPUTE 0 /* nvmlProcessDetailList_t.mode; 1 graphics, 2 MPS */

nvmlReturn_t answer_nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device,
							  nvmlProcessDetailList_t *plist)
{
	struct detail s = { 0 };
	nvmlReturn_t r;

	NV_NEED_VERSION(plist, nvmlProcessDetailList_v1_t, 1);
	NV_NEED(plist->mode <= 2 && (plist->procArray || !plist->numProcArrayEntries));
	s.room = plist->numProcArrayEntries;
	s.out = plist->procArray;
	r = plist->mode == DETAIL_COMPUTE ? each(device, VGPU_CLIENTS_LIVE, add_detail, &s)
					  : NVML_SUCCESS;
	if (r != NVML_SUCCESS)
		return r;
	plist->numProcArrayEntries = s.found;
	return s.found > s.room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

/* ---- how busy they were --------------------------------------------------------------------- */

static unsigned long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000;
}

struct busy {
	unsigned int found, room;
	unsigned long long now, after;
	nvmlProcessUtilizationInfo_v1_t *out;
};

static bool add_busy(const struct vgpu_client_entry *e, void *arg)
{
	struct busy *s = arg;

	if (!e->contexts || s->now <= s->after)
		return true;
	if (s->found < s->room)
		s->out[s->found] =
			(nvmlProcessUtilizationInfo_v1_t){ .timeStamp = s->now,
							   .pid = e->pid,
							   .smUtil = nv_percent(e->util_kernel),
							   .memUtil = nv_percent(e->util_copy) };
	s->found++;
	return true;
}

/* The caller's @count entries, or how many there are. */
static nvmlReturn_t busy_list(nvmlDevice_t device, unsigned long long after, unsigned int *count,
			      nvmlProcessUtilizationInfo_v1_t *out)
{
	struct busy s = { .room = out ? *count : 0, .now = now_us(), .after = after, .out = out };
	nvmlReturn_t r = each(device, VGPU_CLIENTS_LIVE, add_busy, &s);

	if (r != NVML_SUCCESS)
		return r;
	*count = s.found;
	if (!s.found)
		return NVML_ERROR_NOT_FOUND;
	return s.found > s.room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

struct busiest {
	bool any;
	nvmlProcessUtilizationInfo_v1_t kernels, copies;
};

static bool compare_busy(const struct vgpu_client_entry *e, void *arg)
{
	struct busiest *s = arg;
	nvmlProcessUtilizationInfo_v1_t one = { .timeStamp = now_us(),
						.pid = e->pid,
						.smUtil = nv_percent(e->util_kernel),
						.memUtil = nv_percent(e->util_copy) };

	if (!e->contexts)
		return true;
	if (!s->any || one.smUtil > s->kernels.smUtil)
		s->kernels = one;
	if (!s->any || one.memUtil > s->copies.memUtil)
		s->copies = one;
	s->any = true;
	return true;
}

nvmlReturn_t nv_busiest(nvmlDevice_t device, nvmlProcessUtilizationInfo_v1_t *ret_kernels,
			nvmlProcessUtilizationInfo_v1_t *ret_copies)
{
	struct busiest s = { .any = false };
	nvmlReturn_t r = each(device, VGPU_CLIENTS_LIVE, compare_busy, &s);

	if (r != NVML_SUCCESS)
		return r;
	if (!s.any)
		return NVML_ERROR_NOT_FOUND;
	*ret_kernels = s.kernels;
	*ret_copies = s.copies;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
						    nvmlProcessUtilizationSample_t *utilization,
						    unsigned int *processSamplesCount,
						    unsigned long long lastSeenTimeStamp)
{
	nvmlProcessUtilizationInfo_v1_t *wide = NULL;
	nvmlReturn_t r;

	NV_NEED(processSamplesCount);
	if (*processSamplesCount > VGPU_CLIENT_ENTRIES * 64)
		*processSamplesCount = VGPU_CLIENT_ENTRIES * 64;
	if (utilization && *processSamplesCount) {
		wide = calloc(*processSamplesCount, sizeof(*wide));
		if (!wide)
			return NVML_ERROR_MEMORY;
	}
	r = busy_list(device, lastSeenTimeStamp, processSamplesCount, wide);
	for (unsigned int i = 0; r == NVML_SUCCESS && i < *processSamplesCount; i++)
		utilization[i] = (nvmlProcessUtilizationSample_t){ .pid = wide[i].pid,
								   .timeStamp = wide[i].timeStamp,
								   .smUtil = wide[i].smUtil,
								   .memUtil = wide[i].memUtil };
	free(wide);
	return r;
}

nvmlReturn_t
answer_nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device,
					     nvmlProcessesUtilizationInfo_t *procesesUtilInfo)
{
	NV_NEED_VERSION(procesesUtilInfo, nvmlProcessesUtilizationInfo_v1_t, 1);
	return busy_list(device, procesesUtilInfo->lastSeenTimeStamp,
			 &procesesUtilInfo->processSamplesCount, procesesUtilInfo->procUtilArray);
}

/* ---- how busy the device was ---------------------------------------------------------------- */

nvmlReturn_t answer_nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t type,
					 unsigned long long lastSeenTimeStamp,
					 nvmlValueType_t *sampleValType, unsigned int *sampleCount,
					 nvmlSample_t *samples)
{
	struct vgpu_sample_list list = { .after_us = lastSeenTimeStamp };
	int r;

	NV_NEED(sampleValType && sampleCount && type < NVML_SAMPLINGTYPE_COUNT);
	if (type != NVML_GPU_UTILIZATION_SAMPLES && type != NVML_MEMORY_UTILIZATION_SAMPLES)
		return NVML_ERROR_NOT_SUPPORTED;
	*sampleValType = NVML_VALUE_TYPE_UNSIGNED_INT;
	if (!samples) {
		*sampleCount = VGPU_SAMPLES;
		return NVML_SUCCESS;
	}
	r = nv_call(device, VGPU_OP_SAMPLE_LIST, &list, sizeof(list));
	if (r < 0)
		return nv_error(r);
	if (!list.count)
		return NVML_ERROR_NOT_FOUND;
	if (*sampleCount > list.count)
		*sampleCount = list.count;
	for (unsigned int i = 0; i < *sampleCount && i < VGPU_SAMPLES; i++) {
		samples[i].timeStamp = list.sample[i].time_us;
		samples[i].sampleValue.uiVal =
			nv_percent(type == NVML_GPU_UTILIZATION_SAMPLES ? list.sample[i].util_kernel
									: list.sample[i].util_copy);
	}
	return NVML_SUCCESS;
}

/* ---- accounting: the daemon keeps the last that have ended, always ---------------------------- */

struct accounting {
	unsigned int found, room;
	unsigned int *pids;
};

static bool add_pid(const struct vgpu_client_entry *e, void *arg)
{
	struct accounting *s = arg;

	if (!e->contexts && !(e->flags & VGPU_CLIENT_ENDED))
		return true;
	if (s->found < s->room)
		s->pids[s->found] = e->pid;
	s->found++;
	return true;
}

nvmlReturn_t answer_nvmlDeviceGetAccountingPids(nvmlDevice_t device, unsigned int *count,
						unsigned int *pids)
{
	struct accounting s = { .pids = pids };
	nvmlReturn_t r;

	NV_NEED(count && (pids || !*count));
	s.room = *count;
	r = each(device, VGPU_CLIENTS_ENDED, add_pid, &s);
	if (r == NVML_SUCCESS)
		r = each(device, VGPU_CLIENTS_LIVE, add_pid, &s);
	if (r != NVML_SUCCESS)
		return r;
	*count = s.found;
	return s.found > s.room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

struct wanted {
	unsigned int pid;
	bool found;
	struct vgpu_client_entry entry; /* the youngest of that number */
};

static bool match_pid(const struct vgpu_client_entry *e, void *arg)
{
	struct wanted *s = arg;

	if (e->pid == s->pid && (e->contexts || e->flags & VGPU_CLIENT_ENDED)) {
		s->entry = *e;
		s->found = true;
	}
	return true;
}

nvmlReturn_t answer_nvmlDeviceGetAccountingStats(nvmlDevice_t device, unsigned int pid,
						 nvmlAccountingStats_t *stats)
{
	struct wanted s = { .pid = pid };
	const struct vgpu_client_entry *e = &s.entry;
	bool running;
	nvmlReturn_t r;

	NV_NEED(stats);
	r = each(device, VGPU_CLIENTS_ENDED, match_pid, &s);
	if (r == NVML_SUCCESS)
		r = each(device, VGPU_CLIENTS_LIVE, match_pid, &s);
	if (r != NVML_SUCCESS)
		return r;
	if (!s.found)
		return NVML_ERROR_NOT_FOUND;
	running = !(e->flags & VGPU_CLIENT_ENDED);
	*stats = (nvmlAccountingStats_t){ .maxMemoryUsage = e->mem_peak,
					  .time = running ? 0 : e->time_ns / 1000000,
					  .startTime = e->start_us,
					  .isRunning = running };
	if (e->time_ns) {
		stats->gpuUtilization = (unsigned int)(e->busy_ns * 100 / e->time_ns);
		stats->memoryUtilization = (unsigned int)(e->copy_ns * 100 / e->time_ns);
	}
	return NVML_SUCCESS;
}

NV_GET(nvmlDeviceGetAccountingMode, nvmlEnableState_t, NVML_FEATURE_ENABLED)
NV_GET(nvmlDeviceGetAccountingBufferSize, unsigned int, VGPU_CLIENTS_KEPT)

nvmlReturn_t answer_nvmlDeviceSetAccountingMode(nvmlDevice_t device, nvmlEnableState_t mode)
{
	NV_NEED(mode == NVML_FEATURE_ENABLED || mode == NVML_FEATURE_DISABLED);
	return mode == NVML_FEATURE_ENABLED ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

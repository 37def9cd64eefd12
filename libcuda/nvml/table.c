/* SPDX-License-Identifier: MIT */
/*
 * table.c - the private table that nvidia-smi wants to have.
 *
 * Nobody publishes what its functions do. The few below are what nvidia-smi 535 and 550 were seen
 * to ask for and to show of the answer; every other slot answers that it is not supported, which nvidia-smi
 * takes for N/A. Without the table it does not start. Word 0 is the size in bytes, as in the
 * driver's own tables.
 */
#include <string.h>

#include "libcuda/nvml/nv.h"

#define SLOTS 512

#define SLOT_PATH      23  /* what lies between two PCI addresses */
#define SLOT_MONITORED 72  /* may this device be shown by dmon and pmon? */
#define SLOT_SAMPLES   145 /* which process kept each engine busy, over time */
#define SLOT_COMPUTE   213 /* processes with their names, as nvidia-smi lists them */
#define SLOT_GRAPHICS  214
#define SLOT_MPS       215

static nvmlReturn_t not_supported(void)
{
	return NVML_ERROR_NOT_SUPPORTED;
}

#define PATH_HOSTBRIDGE 2 /* shown as PHB; 0 and 1 are switches, 3 and 4 other processors */

/* All devices lie behind the processor's own bridge (topology.c). */
static nvmlReturn_t path(const char *address, const char *other, unsigned int *ret)
{
	nvmlReturn_t r = nv_enter();

	if (r != NVML_SUCCESS)
		return r;
	nv_leave();
	NV_NEED(address && other && ret);
	*ret = PATH_HOSTBRIDGE;
	return NVML_SUCCESS;
}

static nvmlReturn_t monitored(nvmlDevice_t device, unsigned int *ret)
{
	nvmlReturn_t r = nv_enter_device(device);

	if (r != NVML_SUCCESS)
		return r;
	nv_leave();
	NV_NEED(ret);
	*ret = 1;
	return NVML_SUCCESS;
}

static nvmlReturn_t compute(nvmlDevice_t device, unsigned int *count, struct nv_named_process *out)
{
	nvmlReturn_t r = nv_enter_device(device);

	if (r != NVML_SUCCESS)
		return r;
	r = count && out ? nv_named_processes(device, count, out) : NVML_ERROR_INVALID_ARGUMENT;
	nv_leave();
	return r;
}

/* An engine in a sample: how busy, by whom. */
struct engine {
	unsigned long long percent;
	unsigned int pid;
	unsigned int pad;
	char name[64];
};

/* A sample as far as it is known: engines for video follow, fewer in 535 than in 550. */
struct sample {
	unsigned long long time_us;
	struct engine kernels, memory;
};

/*
 * One sample only, since the size of one depends on nvidia-smi's version: the last second, and the
 * process that was busiest in it. nvidia-smi shows "-" for the others.
 */
static nvmlReturn_t samples(nvmlDevice_t device, unsigned long long last_seen,
			    nvmlValueType_t *type, unsigned int *count, struct sample *out)
{
	nvmlProcessUtilizationInfo_v1_t kernels, memory;
	nvmlReturn_t r = nv_enter_device(device);

	if (r != NVML_SUCCESS)
		return r;
	r = type && count && *count && out ? nv_busiest(device, &kernels, &memory)
					   : NVML_ERROR_INVALID_ARGUMENT;
	nv_leave();
	if (r != NVML_SUCCESS)
		return r;
	if (kernels.timeStamp <= last_seen)
		return NVML_ERROR_NOT_FOUND;
	*type = NVML_VALUE_TYPE_UNSIGNED_INT;
	*count = 1;
	out->time_us = kernels.timeStamp;
	out->kernels = (struct engine){ .percent = kernels.smUtil, .pid = kernels.pid };
	out->memory = (struct engine){ .percent = memory.memUtil, .pid = memory.pid };
	return NVML_SUCCESS;
}

/* Nothing draws here, and there is no MPS server. */
static nvmlReturn_t nobody(nvmlDevice_t device, unsigned int *count, void *out)
{
	nvmlReturn_t r = nv_enter_device(device);

	if (r != NVML_SUCCESS)
		return r;
	nv_leave();
	NV_NEED(count);
	*count = 0;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlInternalGetExportTable(const void **table, const void *id);

nvmlReturn_t nvmlInternalGetExportTable(const void **table, const void *id)
{
	static const unsigned char known[16] = { 0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
						 0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4 };
	static const void *const slots[SLOTS] = {
		[0] = (const void *)sizeof(slots),
		[1 ... SLOT_PATH - 1] = (const void *)not_supported,
		[SLOT_PATH] = (const void *)path,
		[SLOT_PATH + 1 ... SLOT_MONITORED - 1] = (const void *)not_supported,
		[SLOT_MONITORED] = (const void *)monitored,
		[SLOT_MONITORED + 1 ... SLOT_SAMPLES - 1] = (const void *)not_supported,
		[SLOT_SAMPLES] = (const void *)samples,
		[SLOT_SAMPLES + 1 ... SLOT_COMPUTE - 1] = (const void *)not_supported,
		[SLOT_COMPUTE] = (const void *)compute,
		[SLOT_GRAPHICS] = (const void *)nobody,
		[SLOT_MPS] = (const void *)nobody,
		[SLOT_MPS + 1 ... SLOTS - 1] = (const void *)not_supported,
	};

	NV_NEED(table && id);
	if (memcmp(id, known, sizeof(known)))
		return NVML_ERROR_NOT_FOUND;
	*table = slots;
	return NVML_SUCCESS;
}

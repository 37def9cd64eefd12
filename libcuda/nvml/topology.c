/* SPDX-License-Identifier: MIT */
/*
 * topology.c - where devices are: CPUs, memory nodes, each other, NVLink.
 *
 * Kernels run on the CPUs of this machine and memory is its memory: the devices are everywhere.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcuda/nvml/nv.h"

/* Sets the bits of a list of the kernel's, "0-3,8", that fit; false when it cannot be read. */
static bool read_list(const char *path, unsigned int words, unsigned long *set)
{
	FILE *f = fopen(path, "re");
	unsigned int from, to;
	int n;

	if (!f)
		return false;
	memset(set, 0, words * sizeof(*set));
	while ((n = fscanf(f, "%u-%u", &from, &to)) >= 1) {
		if (n == 1)
			to = from;
		for (; from <= to && from / (8 * sizeof(*set)) < words; from++)
			set[from / (8 * sizeof(*set))] |= 1ul << from % (8 * sizeof(*set));
		if (fgetc(f) != ',')
			break;
	}
	fclose(f);
	return true;
}

nvmlReturn_t answer_nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int cpuSetSize,
					     unsigned long *cpuSet)
{
	NV_NEED(cpuSet && cpuSetSize);
	return read_list("/sys/devices/system/cpu/online", cpuSetSize, cpuSet)
		       ? NVML_SUCCESS
		       : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t answer_nvmlDeviceGetCpuAffinityWithinScope(nvmlDevice_t device,
							unsigned int cpuSetSize,
							unsigned long *cpuSet,
							nvmlAffinityScope_t scope)
{
	NV_NEED(scope == NVML_AFFINITY_SCOPE_NODE || scope == NVML_AFFINITY_SCOPE_SOCKET);
	return answer_nvmlDeviceGetCpuAffinity(device, cpuSetSize, cpuSet);
}

nvmlReturn_t answer_nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned int nodeSetSize,
						unsigned long *nodeSet, nvmlAffinityScope_t scope)
{
	NV_NEED(nodeSet && nodeSetSize &&
		(scope == NVML_AFFINITY_SCOPE_NODE || scope == NVML_AFFINITY_SCOPE_SOCKET));
	return read_list("/sys/devices/system/node/online", nodeSetSize, nodeSet)
		       ? NVML_SUCCESS
		       : NVML_ERROR_NOT_SUPPORTED;
}

/* All CPUs are near: the calling thread may run on any of them, as far as it may. */
static nvmlReturn_t all_cpus(void)
{
	cpu_set_t set;

	memset(&set, 0xff, sizeof(set));
	return sched_setaffinity(0, sizeof(set), &set) ? NVML_ERROR_UNKNOWN : NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceSetCpuAffinity(nvmlDevice_t device)
{
	return all_cpus();
}

nvmlReturn_t answer_nvmlDeviceClearCpuAffinity(nvmlDevice_t device)
{
	return all_cpus();
}

/* Any two lie behind the same host bridge: the processor itself. */
nvmlReturn_t answer_nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t device, nvmlDevice_t device2,
							nvmlGpuTopologyLevel_t *pathInfo)
{
	NV_NEED(nv_is_device(device2) && pathInfo);
	*pathInfo = device == device2 ? NVML_TOPOLOGY_INTERNAL : NVML_TOPOLOGY_HOSTBRIDGE;
	return NVML_SUCCESS;
}

static nvmlReturn_t hand_out(nvmlDevice_t but, unsigned int *count, nvmlDevice_t *deviceArray)
{
	unsigned int room = *count, n = 0;

	for (unsigned i = 0; i < nv_count(); i++) {
		if (nv_device(i) == but)
			continue;
		if (deviceArray && n < room)
			deviceArray[n] = nv_device(i);
		n++;
	}
	*count = deviceArray && n > room ? room : n;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device,
						     nvmlGpuTopologyLevel_t level,
						     unsigned int *count, nvmlDevice_t *deviceArray)
{
	NV_NEED(count);
	if (level == NVML_TOPOLOGY_HOSTBRIDGE)
		return hand_out(device, count, deviceArray);
	*count = 0;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlSystemGetTopologyGpuSet(unsigned int cpuNumber, unsigned int *count,
						nvmlDevice_t *deviceArray)
{
	NV_NEED(count && cpuNumber < (unsigned int)sysconf(_SC_NPROCESSORS_CONF));
	return hand_out(NULL, count, deviceArray);
}

nvmlReturn_t answer_nvmlDeviceOnSameBoard(nvmlDevice_t device, nvmlDevice_t device2,
					  int *onSameBoard)
{
	NV_NEED(nv_is_device(device2) && onSameBoard);
	*onSameBoard = device == device2;
	return NVML_SUCCESS;
}

/* What libcuda does between devices: everything but NVLink. */
nvmlReturn_t answer_nvmlDeviceGetP2PStatus(nvmlDevice_t device, nvmlDevice_t device2,
					   nvmlGpuP2PCapsIndex_t p2pIndex,
					   nvmlGpuP2PStatus_t *p2pStatus)
{
	NV_NEED(nv_is_device(device2) && p2pStatus);
	switch (p2pIndex) {
	case NVML_P2P_CAPS_INDEX_READ:
	case NVML_P2P_CAPS_INDEX_WRITE:
	case NVML_P2P_CAPS_INDEX_ATOMICS:
	case NVML_P2P_CAPS_INDEX_PCI:
		*p2pStatus = NVML_P2P_STATUS_OK;
		return NVML_SUCCESS;
	case NVML_P2P_CAPS_INDEX_NVLINK:
		*p2pStatus = NVML_P2P_STATUS_NOT_SUPPORTED;
		return NVML_SUCCESS;
	default:
		return NVML_ERROR_INVALID_ARGUMENT;
	}
}

/* ---- NVLink: the card's links, none of which is connected ------------------------------------- */

nvmlReturn_t answer_nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned int link,
					     nvmlEnableState_t *isActive)
{
	NV_NEED(isActive && link < NVML_NVLINK_MAX_LINKS);
	if (link >= device->board.nvlinks)
		return NVML_ERROR_NOT_SUPPORTED;
	*isActive = NVML_FEATURE_DISABLED;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetNvLinkCapability(nvmlDevice_t device, unsigned int link,
						  nvmlNvLinkCapability_t capability,
						  unsigned int *capResult)
{
	NV_NEED(capResult && link < NVML_NVLINK_MAX_LINKS && capability < NVML_NVLINK_CAP_COUNT);
	if (link >= device->board.nvlinks)
		return NVML_ERROR_NOT_SUPPORTED;
	*capResult = 0;
	return NVML_SUCCESS;
}

/* ---- the fabric of NVSwitches: there is none --------------------------------------------------- */

nvmlReturn_t answer_nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device,
					       nvmlGpuFabricInfo_t *gpuFabricInfo)
{
	NV_NEED(gpuFabricInfo);
	*gpuFabricInfo = (nvmlGpuFabricInfo_t){ .status = NVML_SUCCESS,
						.state = NVML_GPU_FABRIC_STATE_NOT_SUPPORTED };
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device,
						nvmlGpuFabricInfoV_t *gpuFabricInfo)
{
	nvmlGpuFabricInfo_v3_t now = { .status = NVML_SUCCESS,
				       .state = NVML_GPU_FABRIC_STATE_NOT_SUPPORTED,
				       .healthSummary =
					       NVML_GPU_FABRIC_HEALTH_SUMMARY_NOT_SUPPORTED };

	NV_NEED(gpuFabricInfo);
	now.version = gpuFabricInfo->version;
	if (now.version == nvmlGpuFabricInfo_v3)
		*gpuFabricInfo = now;
	else if (now.version == nvmlGpuFabricInfo_v2)
		/* The same, but for its end. */
		memcpy(gpuFabricInfo, &now, offsetof(nvmlGpuFabricInfo_v3_t, healthSummary));
	else
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	return NVML_SUCCESS;
}

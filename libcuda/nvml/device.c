/* SPDX-License-Identifier: MIT */
/*
 * device.c - which devices there are, and what each is: handles, names, PCI, the chip.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "libcuda/nvml/nv.h"

/* ---- handles -------------------------------------------------------------------------------- */

nvmlReturn_t answer_nvmlDeviceGetCount_v2(unsigned int *deviceCount)
{
	NV_NEED(deviceCount);
	*deviceCount = nv_count();
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetCount(unsigned int *deviceCount)
{
	return answer_nvmlDeviceGetCount_v2(deviceCount);
}

nvmlReturn_t answer_nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
	NV_NEED(device && nv_device(index));
	*device = nv_device(index);
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
	return answer_nvmlDeviceGetHandleByIndex_v2(index, device);
}

nvmlReturn_t answer_nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
	NV_NEED(uuid && device);
	for (unsigned i = 0; i < nv_count(); i++) {
		if (!strcasecmp(uuid, nv_device(i)->uuid)) {
			*device = nv_device(i);
			return NVML_SUCCESS;
		}
	}
	return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t answer_nvmlDeviceGetHandleByUUIDV(const nvmlUUID_t *uuid, nvmlDevice_t *device)
{
	char text[sizeof(uuid->value.str) + 1];

	NV_NEED_VERSION(uuid, nvmlUUID_v1_t, 1);
	NV_NEED(device);
	if (uuid->type == NVML_UUID_TYPE_ASCII) {
		memcpy(text, uuid->value.str, sizeof(uuid->value.str));
		text[sizeof(text) - 1] = 0;
		return answer_nvmlDeviceGetHandleByUUID(text, device);
	}
	NV_NEED(uuid->type == NVML_UUID_TYPE_BINARY);
	for (unsigned i = 0; i < nv_count(); i++) {
		if (!memcmp(uuid->value.bytes, nv_device(i)->info.uuid, 16)) {
			*device = nv_device(i);
			return NVML_SUCCESS;
		}
	}
	return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t answer_nvmlDeviceGetHandleByPciBusId_v2(const char *pciBusId, nvmlDevice_t *device)
{
	unsigned int domain = 0, bus, slot, function = 0;
	int end = 0;

	NV_NEED(pciBusId && device);
	if (sscanf(pciBusId, "%x:%x:%x%n.%x%n", &domain, &bus, &slot, &end, &function, &end) < 3) {
		domain = 0;
		end = 0;
		if (sscanf(pciBusId, "%x:%x%n.%x%n", &bus, &slot, &end, &function, &end) < 2)
			return NVML_ERROR_INVALID_ARGUMENT;
	}
	NV_NEED(!pciBusId[end]);
	for (unsigned i = 0; i < nv_count(); i++) {
		const struct vgpu_device_info *info = &nv_device(i)->info;

		if (info->pci_domain == domain && info->pci_bus == bus &&
		    info->pci_device == slot && !function) {
			*device = nv_device(i);
			return NVML_SUCCESS;
		}
	}
	return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t answer_nvmlDeviceGetHandleByPciBusId(const char *pciBusId, nvmlDevice_t *device)
{
	return answer_nvmlDeviceGetHandleByPciBusId_v2(pciBusId, device);
}

/* ---- names ---------------------------------------------------------------------------------- */

nvmlReturn_t answer_nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
	return nv_text(name, length, device->info.name);
}

nvmlReturn_t answer_nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
	return nv_text(uuid, length, device->uuid);
}

nvmlReturn_t answer_nvmlDeviceGetVbiosVersion(nvmlDevice_t device, char *version,
					      unsigned int length)
{
	return nv_text(version, length, device->board.vbios);
}

static nvmlBrandType_t brand(const char *name)
{
	static const struct {
		const char *begin;
		nvmlBrandType_t brand;
	} table[] = {
		{ "Tesla", NVML_BRAND_TESLA },		 { "NVIDIA GeForce", NVML_BRAND_GEFORCE },
		{ "NVIDIA RTX", NVML_BRAND_NVIDIA_RTX }, { "Quadro RTX", NVML_BRAND_QUADRO_RTX },
		{ "Quadro", NVML_BRAND_QUADRO },	 { "NVIDIA TITAN", NVML_BRAND_TITAN },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!strncmp(name, table[i].begin, strlen(table[i].begin)))
			return table[i].brand;
	}
	return NVML_BRAND_NVIDIA;
}

NV_GET(nvmlDeviceGetBrand, nvmlBrandType_t, brand(device->info.name))
NV_GET(nvmlDeviceGetIndex, unsigned int, nv_index(device))
NV_GET(nvmlDeviceGetMinorNumber, unsigned int, device->node)
NV_GET(nvmlDeviceGetMultiGpuBoard, unsigned int, 0)
NV_GET(nvmlDeviceGetBoardId, unsigned int,
       device->info.pci_domain << 16 | device->info.pci_bus << 8 | device->info.pci_device << 3)

/* ---- the chip ------------------------------------------------------------------------------- */

unsigned int nv_arch(nvmlDevice_t device)
{
	switch (device->info.cc_major) {
	case 7:
		return device->info.cc_minor < 5 ? NVML_DEVICE_ARCH_VOLTA : NVML_DEVICE_ARCH_TURING;
	case 8:
		return device->info.cc_minor < 9 ? NVML_DEVICE_ARCH_AMPERE : NVML_DEVICE_ARCH_ADA;
	case 9:
		return NVML_DEVICE_ARCH_HOPPER;
	case 10:
	case 11:
	case 12:
		return NVML_DEVICE_ARCH_BLACKWELL;
	default:
		return NVML_DEVICE_ARCH_UNKNOWN;
	}
}

NV_GET(nvmlDeviceGetArchitecture, nvmlDeviceArchitecture_t, nv_arch(device))
NV_GET(nvmlDeviceGetNumGpuCores, unsigned int, device->board.core_count)
NV_GET(nvmlDeviceGetMemoryBusWidth, unsigned int, device->board.bus_width)
NV_GET(nvmlDeviceGetBusType, nvmlBusType_t, NVML_BUS_TYPE_PCIE)

nvmlReturn_t answer_nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
	NV_NEED(major && minor);
	*major = (int)device->info.cc_major;
	*minor = (int)device->info.cc_minor;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetAttributes_v2(nvmlDevice_t device,
					       nvmlDeviceAttributes_t *attributes)
{
	NV_NEED(attributes);
	*attributes = (nvmlDeviceAttributes_t){ .multiprocessorCount = device->board.sm_count,
						.memorySizeMB = device->info.mem_total >> 20 };
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetAttributes(nvmlDevice_t device, nvmlDeviceAttributes_t *attributes)
{
	return answer_nvmlDeviceGetAttributes_v2(device, attributes);
}

/* ---- PCI ------------------------------------------------------------------------------------ */

nvmlReturn_t answer_nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
	NV_NEED(pci);
	*pci = (nvmlPciInfo_t){ .domain = device->info.pci_domain,
				.bus = device->info.pci_bus,
				.device = device->info.pci_device,
				.pciDeviceId = device->board.pci_ids,
				.pciSubSystemId = device->board.pci_subsystem };
	snprintf(pci->busIdLegacy, sizeof(pci->busIdLegacy), NVML_DEVICE_PCI_BUS_ID_LEGACY_FMT,
		 pci->domain & 0xffff, pci->bus & 0xff, pci->device & 0xff);
	snprintf(pci->busId, sizeof(pci->busId), NVML_DEVICE_PCI_BUS_ID_FMT,
		 NVML_DEVICE_PCI_BUS_ID_FMT_ARGS(pci));
	return NVML_SUCCESS;
}

/* The first two versions end before busId; their callers have no room for it. */
static nvmlReturn_t old_pci_info(nvmlDevice_t device, nvmlPciInfo_t *pci, size_t room)
{
	nvmlPciInfo_t now;

	NV_NEED(pci);
	answer_nvmlDeviceGetPciInfo_v3(device, &now);
	memcpy(pci, &now, room);
	return NVML_SUCCESS;
}

/* What nvmlDeviceGetPciInfo_v2 knew: four words that are reserved, and no busId. */
nvmlReturn_t answer_nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
	return old_pci_info(device, pci, offsetof(nvmlPciInfo_t, busId));
}

nvmlReturn_t answer_nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
	return old_pci_info(device, pci, offsetof(nvmlPciInfo_t, pciSubSystemId));
}

nvmlReturn_t answer_nvmlDeviceGetPciInfoExt(nvmlDevice_t device, nvmlPciInfoExt_t *pci)
{
	NV_NEED_VERSION(pci, nvmlPciInfoExt_v1_t, 1);
	pci->domain = device->info.pci_domain;
	pci->bus = device->info.pci_bus;
	pci->device = device->info.pci_device;
	pci->pciDeviceId = device->board.pci_ids;
	pci->pciSubSystemId = device->board.pci_subsystem;
	pci->baseClass = 0x03; /* display controller, as all NVIDIA cards for computing are */
	pci->subClass = 0x02;  /* 3D controller */
	snprintf(pci->busId, sizeof(pci->busId), NVML_DEVICE_PCI_BUS_ID_FMT,
		 NVML_DEVICE_PCI_BUS_ID_FMT_ARGS(pci));
	return NVML_SUCCESS;
}

NV_GET(nvmlDeviceGetMaxPcieLinkGeneration, unsigned int, device->board.pcie_gen)
NV_GET(nvmlDeviceGetGpuMaxPcieLinkGeneration, unsigned int, device->board.pcie_gen)
NV_GET(nvmlDeviceGetMaxPcieLinkWidth, unsigned int, device->board.pcie_width)
NV_GET(nvmlDeviceGetCurrPcieLinkGeneration, unsigned int, device->board.pcie_gen)
NV_GET(nvmlDeviceGetCurrPcieLinkWidth, unsigned int, device->board.pcie_width)
NV_GET(nvmlDeviceGetPcieReplayCounter, unsigned int, 0)
/* The values of NVML_PCIE_LINK_MAX_SPEED_* count generations. */
NV_GET(nvmlDeviceGetPcieLinkMaxSpeed, unsigned int, device->board.pcie_gen)
/* Mbit/s of a lane: 2500, 5000, then doubling from 8000. */
NV_GET(nvmlDeviceGetPcieSpeed, unsigned int,
       device->board.pcie_gen < 3 ? 2500u * device->board.pcie_gen
				  : 8000u << (device->board.pcie_gen - 3))

nvmlReturn_t answer_nvmlDeviceGetPcieThroughput(nvmlDevice_t device, nvmlPcieUtilCounter_t counter,
						unsigned int *value)
{
	struct vgpu_device_state state;
	nvmlReturn_t r;

	NV_NEED(value &&
		(counter == NVML_PCIE_UTIL_TX_BYTES || counter == NVML_PCIE_UTIL_RX_BYTES));
	r = nv_state(device, &state);
	if (r == NVML_SUCCESS)
		*value = (unsigned int)((counter == NVML_PCIE_UTIL_TX_BYTES ? state.out_rate
									    : state.in_rate) >>
					10);
	return r;
}

nvmlReturn_t answer_nvmlDeviceGetAddressingMode(nvmlDevice_t device,
						nvmlDeviceAddressingMode_t *mode)
{
	NV_NEED_VERSION(mode, nvmlDeviceAddressingMode_v1_t, 1);
	mode->value = NVML_DEVICE_ADDRESSING_MODE_NONE; /* a kernel cannot touch any host page */
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetCapabilities(nvmlDevice_t device, nvmlDeviceCapabilities_t *caps)
{
	NV_NEED_VERSION(caps, nvmlDeviceCapabilities_v1_t, 1);
	caps->capMask = 0;
	return NVML_SUCCESS;
}

/* ---- settings: what they are; another value than that is refused ----------------------------- */

NV_GET(nvmlDeviceGetComputeMode, nvmlComputeMode_t, NVML_COMPUTEMODE_DEFAULT)
NV_GET(nvmlDeviceGetPersistenceMode, nvmlEnableState_t, NVML_FEATURE_ENABLED)
NV_GET(nvmlDeviceGetDisplayMode, nvmlEnableState_t, NVML_FEATURE_DISABLED)
NV_GET(nvmlDeviceGetDisplayActive, nvmlEnableState_t, NVML_FEATURE_DISABLED)
NV_GET(nvmlDeviceGetVirtualizationMode, nvmlGpuVirtualizationMode_t,
       NVML_GPU_VIRTUALIZATION_MODE_NONE)

nvmlReturn_t answer_nvmlDeviceSetComputeMode(nvmlDevice_t device, nvmlComputeMode_t mode)
{
	NV_NEED(mode < NVML_COMPUTEMODE_COUNT);
	return mode == NVML_COMPUTEMODE_DEFAULT ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t answer_nvmlDeviceSetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t mode)
{
	NV_NEED(mode == NVML_FEATURE_ENABLED || mode == NVML_FEATURE_DISABLED);
	return mode == NVML_FEATURE_ENABLED ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

/* ---- MIG: cards that have it, have it off ---------------------------------------------------- */

static bool has_mig(nvmlDevice_t device)
{
	return device->info.cc_major >= 8 && device->info.cc_major < 12 && !device->info.cc_minor;
}

nvmlReturn_t answer_nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *currentMode,
					 unsigned int *pendingMode)
{
	NV_NEED(currentMode && pendingMode);
	if (!has_mig(device))
		return NVML_ERROR_NOT_SUPPORTED;
	*currentMode = *pendingMode = NVML_DEVICE_MIG_DISABLE;
	return NVML_SUCCESS;
}

NV_GET(nvmlDeviceIsMigDeviceHandle, unsigned int, 0)
NV_GET(nvmlDeviceGetMaxMigDeviceCount, unsigned int, 0)

nvmlReturn_t answer_nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index,
							nvmlDevice_t *migDevice)
{
	NV_NEED(migDevice);
	return has_mig(device) ? NVML_ERROR_NOT_FOUND : NVML_ERROR_NOT_SUPPORTED;
}

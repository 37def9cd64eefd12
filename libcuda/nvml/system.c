/* SPDX-License-Identifier: MIT */
/*
 * system.c - the machine and the driver: versions, names of processes, units, what is not built.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcuda/nvml/nv.h"

int nv_absent(void);

int nv_absent(void)
{
	nvmlReturn_t r = nv_enter();

	if (r != NVML_SUCCESS)
		return r;
	nv_leave();
	return NVML_ERROR_NOT_SUPPORTED;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
	switch (result) {
#define NV_ERROR(code, text)                                                                       \
	case code:                                                                                 \
		return text;
#include "libcuda/nvml/error.def"
	default:
		return "Unknown Error";
	}
}

nvmlReturn_t answer_nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
	NV_NEED(version);
	if (!nv_count())
		return NVML_ERROR_DRIVER_NOT_LOADED;
	return nv_text(version, length, nv_device(0)->driver_string);
}

/* The library's version is the interface's and the driver's; before nvmlInit there is no driver. */
nvmlReturn_t answer_nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
	char text[64];
	nvmlReturn_t r;

	NV_NEED(version);
	r = nv_enter();
	if (r != NVML_SUCCESS)
		return nv_text(version, length, NVML_API_VERSION_STR);
	snprintf(text, sizeof(text), "%s%s%s", NVML_API_VERSION_STR, nv_count() ? "." : "",
		 nv_count() ? nv_device(0)->driver_string : "");
	nv_leave();
	return nv_text(version, length, text);
}

nvmlReturn_t answer_nvmlSystemGetCudaDriverVersion(int *cudaDriverVersion)
{
	NV_NEED(cudaDriverVersion);
	if (!nv_count())
		return NVML_ERROR_DRIVER_NOT_LOADED;
	*cudaDriverVersion = (int)nv_device(0)->driver_version;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlSystemGetCudaDriverVersion_v2(int *cudaDriverVersion)
{
	return answer_nvmlSystemGetCudaDriverVersion(cudaDriverVersion);
}

nvmlReturn_t answer_nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
	char path[64], text[1024];
	ssize_t n = -1;
	int fd;

	NV_NEED(name && length);
	snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n <= 0)
		return NVML_ERROR_NOT_FOUND;
	text[n] = 0;
	/* A name that does not fit is cut, as the manual says. */
	snprintf(name, length, "%s", text);
	return NVML_SUCCESS;
}

/* S-class units are machines of 2008; there is none. */
nvmlReturn_t answer_nvmlUnitGetCount(unsigned int *unitCount)
{
	NV_NEED(unitCount);
	*unitCount = 0;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlUnitGetHandleByIndex(unsigned int index, nvmlUnit_t *unit)
{
	return NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t answer_nvmlSystemGetHicVersion(unsigned int *hwbcCount, nvmlHwbcEntry_t *hwbcEntries)
{
	NV_NEED(hwbcCount);
	*hwbcCount = 0;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlGetExcludedDeviceCount(unsigned int *deviceCount)
{
	NV_NEED(deviceCount);
	*deviceCount = 0;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlGetExcludedDeviceInfoByIndex(unsigned int index,
						     nvmlExcludedDeviceInfo_t *info)
{
	return NVML_ERROR_INVALID_ARGUMENT;
}

/* ---- confidential computing: neither this machine's processor nor a device takes part ---------- */

nvmlReturn_t answer_nvmlSystemGetConfComputeState(nvmlConfComputeSystemState_t *state)
{
	NV_NEED(state);
	*state = (nvmlConfComputeSystemState_t){ .environment =
							 NVML_CC_SYSTEM_ENVIRONMENT_UNAVAILABLE,
						 .ccFeature = NVML_CC_SYSTEM_FEATURE_DISABLED,
						 .devToolsMode = NVML_CC_SYSTEM_DEVTOOLS_MODE_OFF };
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlSystemGetConfComputeSettings(nvmlSystemConfComputeSettings_t *settings)
{
	NV_NEED_VERSION(settings, nvmlSystemConfComputeSettings_v1_t, 1);
	*settings =
		(nvmlSystemConfComputeSettings_t){ .version = settings->version,
						   .environment =
							   NVML_CC_SYSTEM_ENVIRONMENT_UNAVAILABLE,
						   .ccFeature = NVML_CC_SYSTEM_FEATURE_DISABLED,
						   .devToolsMode = NVML_CC_SYSTEM_DEVTOOLS_MODE_OFF,
						   .multiGpuMode = NVML_CC_SYSTEM_MULTIGPU_NONE };
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlSystemGetConfComputeCapabilities(nvmlConfComputeSystemCaps_t *capabilities)
{
	NV_NEED(capabilities);
	capabilities->cpuCaps = NVML_CC_SYSTEM_CPU_CAPS_NONE;
	capabilities->gpusCaps = NVML_CC_SYSTEM_GPUS_CC_NOT_CAPABLE;
	return NVML_SUCCESS;
}

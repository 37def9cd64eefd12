/* SPDX-License-Identifier: MIT */
/*
 * state.c - memory, utilisation, clocks, power, heat, fans, ECC. docs/nvml.md says what of it is
 * measured and what follows from the daemon's model.
 */
#include <string.h>

#include "libcuda/nvml/nv.h"

/* ---- memory --------------------------------------------------------------------------------- */

nvmlReturn_t answer_nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
	struct vgpu_device_state state;
	nvmlReturn_t r;

	NV_NEED(memory);
	r = nv_state(device, &state);
	if (r != NVML_SUCCESS)
		return r;
	/* This version counts what the card keeps for itself as used. */
	memory->total = state.mem_total;
	memory->used = state.mem_reserved + state.mem_used;
	memory->free = memory->total - memory->used;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
	struct vgpu_device_state state;
	nvmlReturn_t r;

	NV_NEED_VERSION(memory, nvmlMemory_v2_t, 2);
	r = nv_state(device, &state);
	if (r != NVML_SUCCESS)
		return r;
	memory->total = state.mem_total;
	memory->reserved = state.mem_reserved;
	memory->used = state.mem_used;
	memory->free = state.mem_total - state.mem_reserved - state.mem_used;
	return NVML_SUCCESS;
}

/* The arenas are mapped by processes, never through this aperture. */
nvmlReturn_t answer_nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *bar1Memory)
{
	NV_NEED(bar1Memory);
	bar1Memory->bar1Total = device->board.bar1_bytes;
	bar1Memory->bar1Free = device->board.bar1_bytes;
	bar1Memory->bar1Used = 0;
	return NVML_SUCCESS;
}

/* ---- utilisation ---------------------------------------------------------------------------- */

nvmlReturn_t answer_nvmlDeviceGetUtilizationRates(nvmlDevice_t device,
						  nvmlUtilization_t *utilization)
{
	struct vgpu_device_state state;
	nvmlReturn_t r;

	NV_NEED(utilization);
	r = nv_state(device, &state);
	if (r != NVML_SUCCESS)
		return r;
	utilization->gpu = nv_percent(state.util_kernel);
	utilization->memory = nv_percent(state.util_copy);
	return NVML_SUCCESS;
}

nvmlReturn_t
answer_nvmlDeviceGetDynamicPstatesInfo(nvmlDevice_t device,
				       nvmlGpuDynamicPstatesInfo_t *pDynamicPstatesInfo)
{
	struct vgpu_device_state state;
	nvmlReturn_t r;

	NV_NEED(pDynamicPstatesInfo);
	r = nv_state(device, &state);
	if (r != NVML_SUCCESS)
		return r;
	memset(pDynamicPstatesInfo, 0, sizeof(*pDynamicPstatesInfo));
	pDynamicPstatesInfo->utilization[NVML_GPU_UTILIZATION_DOMAIN_GPU].bIsPresent = 1;
	pDynamicPstatesInfo->utilization[NVML_GPU_UTILIZATION_DOMAIN_GPU].percentage =
		nv_percent(state.util_kernel);
	pDynamicPstatesInfo->utilization[NVML_GPU_UTILIZATION_DOMAIN_FB].bIsPresent = 1;
	pDynamicPstatesInfo->utilization[NVML_GPU_UTILIZATION_DOMAIN_FB].percentage =
		nv_percent(state.util_copy);
	return NVML_SUCCESS;
}

/* There are no video engines, so none of them is ever busy. */
static nvmlReturn_t idle_engine(unsigned int *utilization, unsigned int *samplingPeriodUs)
{
	NV_NEED(utilization && samplingPeriodUs);
	*utilization = 0;
	*samplingPeriodUs = 1000000;
	return NVML_SUCCESS;
}

#define IDLE_ENGINE(sym)                                                                           \
	nvmlReturn_t answer_##sym(nvmlDevice_t device, unsigned int *utilization,                  \
				  unsigned int *samplingPeriodUs)                                  \
	{                                                                                          \
		return idle_engine(utilization, samplingPeriodUs);                                 \
	}
IDLE_ENGINE(nvmlDeviceGetEncoderUtilization)
IDLE_ENGINE(nvmlDeviceGetDecoderUtilization)
IDLE_ENGINE(nvmlDeviceGetJpgUtilization)
IDLE_ENGINE(nvmlDeviceGetOfaUtilization)

nvmlReturn_t answer_nvmlDeviceGetEncoderStats(nvmlDevice_t device, unsigned int *sessionCount,
					      unsigned int *averageFps,
					      unsigned int *averageLatency)
{
	NV_NEED(sessionCount && averageFps && averageLatency);
	*sessionCount = *averageFps = *averageLatency = 0;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetEncoderSessions(nvmlDevice_t device, unsigned int *sessionCount,
						 nvmlEncoderSessionInfo_t *sessionInfos)
{
	NV_NEED(sessionCount);
	*sessionCount = 0;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetFBCStats(nvmlDevice_t device, nvmlFBCStats_t *fbcStats)
{
	NV_NEED(fbcStats);
	*fbcStats = (nvmlFBCStats_t){ 0 };
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetFBCSessions(nvmlDevice_t device, unsigned int *sessionCount,
					     nvmlFBCSessionInfo_t *sessionInfo)
{
	NV_NEED(sessionCount);
	*sessionCount = 0;
	return NVML_SUCCESS;
}

/* ---- clocks --------------------------------------------------------------------------------- */

static unsigned int clock_now(const struct vgpu_device_state *state, nvmlClockType_t type)
{
	switch (type) {
	case NVML_CLOCK_MEM:
		return state->mem_mhz;
	case NVML_CLOCK_VIDEO:
		return state->video_mhz;
	default:
		return state->sm_mhz;
	}
}

static unsigned int clock_max(const struct vgpu_board_info *board, nvmlClockType_t type)
{
	switch (type) {
	case NVML_CLOCK_MEM:
		return board->mem_max_mhz;
	case NVML_CLOCK_VIDEO:
		return board->video_max_mhz;
	default:
		return board->sm_max_mhz;
	}
}

nvmlReturn_t answer_nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type,
					   unsigned int *clock)
{
	struct vgpu_device_state state;
	nvmlReturn_t r;

	NV_NEED(clock && type < NVML_CLOCK_COUNT);
	r = nv_state(device, &state);
	if (r == NVML_SUCCESS)
		*clock = clock_now(&state, type);
	return r;
}

nvmlReturn_t answer_nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, nvmlClockType_t type,
					      unsigned int *clock)
{
	NV_NEED(clock && type < NVML_CLOCK_COUNT);
	*clock = clock_max(&device->board, type);
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetMaxCustomerBoostClock(nvmlDevice_t device,
						       nvmlClockType_t clockType,
						       unsigned int *clockMHz)
{
	return answer_nvmlDeviceGetMaxClockInfo(device, clockType, clockMHz);
}

nvmlReturn_t answer_nvmlDeviceGetClock(nvmlDevice_t device, nvmlClockType_t clockType,
				       nvmlClockId_t clockId, unsigned int *clockMHz)
{
	NV_NEED(clockMHz && clockType < NVML_CLOCK_COUNT && clockId < NVML_CLOCK_ID_COUNT);
	if (clockId == NVML_CLOCK_ID_CURRENT)
		return answer_nvmlDeviceGetClockInfo(device, clockType, clockMHz);
	if (clockId == NVML_CLOCK_ID_CUSTOMER_BOOST_MAX)
		return answer_nvmlDeviceGetMaxClockInfo(device, clockType, clockMHz);
	return NVML_ERROR_NOT_SUPPORTED; /* nobody can set an application's clocks */
}

static bool memory_clock(const struct vgpu_board_info *board, unsigned int mhz)
{
	for (unsigned i = 0; i < board->mem_clocks && i < 4; i++) {
		if (board->mem_clock_mhz[i] == mhz)
			return true;
	}
	return false;
}

nvmlReturn_t answer_nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned int *count,
						       unsigned int *clocksMHz)
{
	unsigned int n, room;

	NV_NEED(count);
	n = device->board.mem_clocks < 4 ? device->board.mem_clocks : 4;
	room = *count;
	*count = n;
	if (room < n)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	NV_NEED(clocksMHz);
	memcpy(clocksMHz, device->board.mem_clock_mhz, n * sizeof(*clocksMHz));
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device,
							 unsigned int memoryClockMHz,
							 unsigned int *count,
							 unsigned int *clocksMHz)
{
	const struct vgpu_board_info *b = &device->board;
	unsigned int n, room;

	NV_NEED(count);
	if (!memory_clock(b, memoryClockMHz))
		return NVML_ERROR_NOT_FOUND;
	n = b->sm_step_mhz ? (b->sm_max_mhz - b->sm_min_mhz) / b->sm_step_mhz + 1 : 1;
	room = *count;
	*count = n;
	if (room < n)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	NV_NEED(clocksMHz);
	for (unsigned int i = 0; i < n; i++)
		clocksMHz[i] = b->sm_min_mhz + (n - 1 - i) * b->sm_step_mhz;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetMinMaxClockOfPState(nvmlDevice_t device, nvmlClockType_t type,
						     nvmlPstates_t pstate,
						     unsigned int *minClockMHz,
						     unsigned int *maxClockMHz)
{
	const struct vgpu_board_info *b = &device->board;

	NV_NEED(minClockMHz && maxClockMHz && type < NVML_CLOCK_COUNT);
	if (pstate != NVML_PSTATE_0 && pstate != (nvmlPstates_t)b->idle_state)
		return NVML_ERROR_NOT_SUPPORTED;
	*minClockMHz = type == NVML_CLOCK_MEM	  ? b->mem_idle_mhz
		       : type == NVML_CLOCK_VIDEO ? b->video_idle_mhz
						  : b->sm_min_mhz;
	*maxClockMHz = pstate == NVML_PSTATE_0 ? clock_max(b, type) : *minClockMHz;
	return NVML_SUCCESS;
}

static unsigned long long event_reasons(const struct vgpu_device_state *state)
{
	return state->contexts || state->util_kernel ? nvmlClocksEventReasonNone
						     : nvmlClocksEventReasonGpuIdle;
}

NV_GET_STATE(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, event_reasons(&state))
NV_GET_STATE(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, event_reasons(&state))
/* All are known: the modelled card never meets any but the first. */
NV_GET(nvmlDeviceGetSupportedClocksEventReasons, unsigned long long, nvmlClocksEventReasonAll)
NV_GET(nvmlDeviceGetSupportedClocksThrottleReasons, unsigned long long, nvmlClocksEventReasonAll)
NV_GET_STATE(nvmlDeviceGetPerformanceState, nvmlPstates_t, (nvmlPstates_t)state.perf_state)
NV_GET_STATE(nvmlDeviceGetPowerState, nvmlPstates_t, (nvmlPstates_t)state.perf_state)
NV_GET(nvmlDeviceGetAdaptiveClockInfoStatus, unsigned int,
       NVML_ADAPTIVE_CLOCKING_INFO_STATUS_DISABLED)

nvmlReturn_t answer_nvmlDeviceGetSupportedPerformanceStates(nvmlDevice_t device,
							    nvmlPstates_t *pstates,
							    unsigned int size)
{
	nvmlPstates_t known[2] = { NVML_PSTATE_0, (nvmlPstates_t)device->board.idle_state };
	unsigned int n = known[1] == NVML_PSTATE_0 ? 1 : 2, room = size / sizeof(*pstates);

	NV_NEED(pstates);
	if (room < n)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	for (unsigned int i = 0; i < room; i++)
		pstates[i] = i < n ? known[i] : NVML_PSTATE_UNKNOWN;
	return NVML_SUCCESS;
}

/* ---- power ---------------------------------------------------------------------------------- */

NV_GET_STATE(nvmlDeviceGetPowerUsage, unsigned int, state.power_mw)
NV_GET_STATE(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, state.energy_mj)
NV_GET(nvmlDeviceGetPowerManagementMode, nvmlEnableState_t, NVML_FEATURE_ENABLED)
NV_GET(nvmlDeviceGetPowerManagementLimit, unsigned int, device->board.power_limit_mw)
NV_GET(nvmlDeviceGetPowerManagementDefaultLimit, unsigned int, device->board.power_limit_mw)
NV_GET(nvmlDeviceGetEnforcedPowerLimit, unsigned int, device->board.power_limit_mw)
NV_GET(nvmlDeviceGetPowerSource, nvmlPowerSource_t, NVML_POWER_SOURCE_AC)

nvmlReturn_t answer_nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device,
								 unsigned int *minLimit,
								 unsigned int *maxLimit)
{
	NV_NEED(minLimit && maxLimit);
	*minLimit = device->board.power_min_mw;
	*maxLimit = device->board.power_max_mw;
	return NVML_SUCCESS;
}

/* The modelled card never reaches a limit. */
nvmlReturn_t answer_nvmlDeviceGetViolationStatus(nvmlDevice_t device,
						 nvmlPerfPolicyType_t perfPolicyType,
						 nvmlViolationTime_t *violTime)
{
	struct vgpu_device_state state;
	nvmlReturn_t r;

	NV_NEED(violTime);
	if (perfPolicyType > NVML_PERF_POLICY_RELIABILITY)
		return NVML_ERROR_NOT_SUPPORTED;
	r = nv_state(device, &state);
	if (r != NVML_SUCCESS)
		return r;
	violTime->referenceTime = state.uptime_ns / 1000;
	violTime->violationTime = 0;
	return NVML_SUCCESS;
}

/* ---- heat ----------------------------------------------------------------------------------- */

nvmlReturn_t answer_nvmlDeviceGetTemperature(nvmlDevice_t device,
					     nvmlTemperatureSensors_t sensorType,
					     unsigned int *temp)
{
	struct vgpu_device_state state;
	nvmlReturn_t r;

	NV_NEED(temp && sensorType == NVML_TEMPERATURE_GPU);
	r = nv_state(device, &state);
	if (r == NVML_SUCCESS)
		*temp = (state.temp_mc + 500) / 1000;
	return r;
}

nvmlReturn_t answer_nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature)
{
	unsigned int degrees;
	nvmlReturn_t r;

	NV_NEED_VERSION(temperature, nvmlTemperature_v1_t, 1);
	r = answer_nvmlDeviceGetTemperature(device, temperature->sensorType, &degrees);
	if (r == NVML_SUCCESS)
		temperature->temperature = (int)degrees;
	return r;
}

nvmlReturn_t answer_nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device,
						      nvmlTemperatureThresholds_t thresholdType,
						      unsigned int *temp)
{
	unsigned int degrees;

	NV_NEED(temp && thresholdType < NVML_TEMPERATURE_THRESHOLD_COUNT);
	switch (thresholdType) {
	case NVML_TEMPERATURE_THRESHOLD_SHUTDOWN:
		degrees = device->board.temp_shutdown_c;
		break;
	case NVML_TEMPERATURE_THRESHOLD_SLOWDOWN:
		degrees = device->board.temp_slowdown_c;
		break;
	case NVML_TEMPERATURE_THRESHOLD_MEM_MAX:
		degrees = device->board.temp_mem_max_c;
		break;
	case NVML_TEMPERATURE_THRESHOLD_GPU_MAX:
		degrees = device->board.temp_max_c;
		break;
	default:
		degrees = 0;
	}
	if (!degrees)
		return NVML_ERROR_NOT_SUPPORTED;
	*temp = degrees;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetMarginTemperature(nvmlDevice_t device,
						   nvmlMarginTemperature_t *marginTempInfo)
{
	struct vgpu_device_state state;
	nvmlReturn_t r;

	NV_NEED_VERSION(marginTempInfo, nvmlMarginTemperature_v1_t, 1);
	r = nv_state(device, &state);
	if (r == NVML_SUCCESS)
		marginTempInfo->marginTemperature =
			(int)device->board.temp_slowdown_c - (int)(state.temp_mc + 500) / 1000;
	return r;
}

#define SENSOR_ALL 15 /* NVML_THERMAL_TARGET_ALL as an index: every sensor */

nvmlReturn_t answer_nvmlDeviceGetThermalSettings(nvmlDevice_t device, unsigned int sensorIndex,
						 nvmlGpuThermalSettings_t *pThermalSettings)
{
	struct vgpu_device_state state;
	unsigned int sensors, i, n = 0;
	nvmlReturn_t r;

	NV_NEED(pThermalSettings);
	r = nv_state(device, &state);
	if (r != NVML_SUCCESS)
		return r;
	sensors = state.temp_mem_mc ? 2 : 1;
	NV_NEED(sensorIndex < sensors || sensorIndex == SENSOR_ALL);
	memset(pThermalSettings, 0, sizeof(*pThermalSettings));
	for (i = 0; i < sensors; i++) {
		if (sensorIndex != SENSOR_ALL && sensorIndex != i)
			continue;
		pThermalSettings->sensor[n].controller = NVML_THERMAL_CONTROLLER_GPU_INTERNAL;
		pThermalSettings->sensor[n].target =
			i ? NVML_THERMAL_TARGET_MEMORY : NVML_THERMAL_TARGET_GPU;
		pThermalSettings->sensor[n].currentTemp =
			(int)((i ? state.temp_mem_mc : state.temp_mc) + 500) / 1000;
		pThermalSettings->sensor[n].defaultMaxTemp =
			(int)(i ? device->board.temp_mem_max_c : device->board.temp_max_c);
		n++;
	}
	pThermalSettings->count = n;
	return NVML_SUCCESS;
}

NV_GET_IF(nvmlDeviceGetNumFans, unsigned int, true, device->board.fan_count)

nvmlReturn_t answer_nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned int fan,
					     unsigned int *speed)
{
	struct vgpu_device_state state;
	nvmlReturn_t r;

	NV_NEED(speed);
	if (!device->board.fan_count)
		return NVML_ERROR_NOT_SUPPORTED;
	NV_NEED(fan < device->board.fan_count);
	r = nv_state(device, &state);
	if (r == NVML_SUCCESS)
		*speed = state.fan_percent;
	return r;
}

nvmlReturn_t answer_nvmlDeviceGetFanSpeed(nvmlDevice_t device, unsigned int *speed)
{
	return answer_nvmlDeviceGetFanSpeed_v2(device, 0, speed);
}

nvmlReturn_t answer_nvmlDeviceGetTargetFanSpeed(nvmlDevice_t device, unsigned int fan,
						unsigned int *targetSpeed)
{
	return answer_nvmlDeviceGetFanSpeed_v2(device, fan, targetSpeed);
}

/* ---- ECC: host memory corrects or stops; nothing of it ever reaches the device ---------------- */

nvmlReturn_t answer_nvmlDeviceGetEccMode(nvmlDevice_t device, nvmlEnableState_t *current,
					 nvmlEnableState_t *pending)
{
	NV_NEED(current && pending);
	if (!device->board.ecc)
		return NVML_ERROR_NOT_SUPPORTED;
	*current = *pending = NVML_FEATURE_ENABLED;
	return NVML_SUCCESS;
}

NV_GET_IF(nvmlDeviceGetDefaultEccMode, nvmlEnableState_t, device->board.ecc, NVML_FEATURE_ENABLED)

nvmlReturn_t answer_nvmlDeviceGetTotalEccErrors(nvmlDevice_t device,
						nvmlMemoryErrorType_t errorType,
						nvmlEccCounterType_t counterType,
						unsigned long long *eccCounts)
{
	NV_NEED(eccCounts && errorType < NVML_MEMORY_ERROR_TYPE_COUNT &&
		counterType < NVML_ECC_COUNTER_TYPE_COUNT);
	if (!device->board.ecc)
		return NVML_ERROR_NOT_SUPPORTED;
	*eccCounts = 0;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetDetailedEccErrors(nvmlDevice_t device,
						   nvmlMemoryErrorType_t errorType,
						   nvmlEccCounterType_t counterType,
						   nvmlEccErrorCounts_t *eccCounts)
{
	NV_NEED(eccCounts && errorType < NVML_MEMORY_ERROR_TYPE_COUNT &&
		counterType < NVML_ECC_COUNTER_TYPE_COUNT);
	if (!device->board.ecc)
		return NVML_ERROR_NOT_SUPPORTED;
	*eccCounts = (nvmlEccErrorCounts_t){ 0 };
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device,
						    nvmlMemoryErrorType_t errorType,
						    nvmlEccCounterType_t counterType,
						    nvmlMemoryLocation_t locationType,
						    unsigned long long *count)
{
	NV_NEED(locationType < NVML_MEMORY_LOCATION_COUNT);
	/* From Ampere on there are two places alone. */
	if (nv_arch(device) >= NVML_DEVICE_ARCH_AMPERE &&
	    locationType != NVML_MEMORY_LOCATION_DRAM && locationType != NVML_MEMORY_LOCATION_SRAM)
		return NVML_ERROR_NOT_SUPPORTED;
	return answer_nvmlDeviceGetTotalEccErrors(device, errorType, counterType, count);
}

nvmlReturn_t answer_nvmlDeviceGetSramEccErrorStatus(nvmlDevice_t device,
						    nvmlEccSramErrorStatus_t *status)
{
	NV_NEED_VERSION(status, nvmlEccSramErrorStatus_v1_t, 1);
	if (!device->board.ecc || nv_arch(device) < NVML_DEVICE_ARCH_AMPERE)
		return NVML_ERROR_NOT_SUPPORTED;
	*status = (nvmlEccSramErrorStatus_t){ .version = status->version };
	return NVML_SUCCESS;
}

static bool retires_pages(nvmlDevice_t device)
{
	return device->board.ecc && nv_arch(device) < NVML_DEVICE_ARCH_AMPERE;
}

static bool remaps_rows(nvmlDevice_t device)
{
	return device->board.ecc && nv_arch(device) >= NVML_DEVICE_ARCH_AMPERE;
}

nvmlReturn_t answer_nvmlDeviceGetRetiredPages_v2(nvmlDevice_t device,
						 nvmlPageRetirementCause_t cause,
						 unsigned int *pageCount,
						 unsigned long long *addresses,
						 unsigned long long *timestamps)
{
	NV_NEED(pageCount && cause < NVML_PAGE_RETIREMENT_CAUSE_COUNT);
	if (!retires_pages(device))
		return NVML_ERROR_NOT_SUPPORTED;
	*pageCount = 0;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetRetiredPages(nvmlDevice_t device, nvmlPageRetirementCause_t cause,
					      unsigned int *pageCount,
					      unsigned long long *addresses)
{
	return answer_nvmlDeviceGetRetiredPages_v2(device, cause, pageCount, addresses, NULL);
}

NV_GET_IF(nvmlDeviceGetRetiredPagesPendingStatus, nvmlEnableState_t, retires_pages(device),
	  NVML_FEATURE_DISABLED)

nvmlReturn_t answer_nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned int *corrRows,
					      unsigned int *uncRows, unsigned int *isPending,
					      unsigned int *failureOccurred)
{
	NV_NEED(corrRows && uncRows && isPending && failureOccurred);
	if (!remaps_rows(device))
		return NVML_ERROR_NOT_SUPPORTED;
	*corrRows = *uncRows = *isPending = *failureOccurred = 0;
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetRepairStatus(nvmlDevice_t device, nvmlRepairStatus_t *repairStatus)
{
	NV_NEED_VERSION(repairStatus, nvmlRepairStatus_v1_t, 1);
	repairStatus->bChannelRepairPending = 0;
	repairStatus->bTpcRepairPending = 0;
	return NVML_SUCCESS;
}

/* SPDX-License-Identifier: MIT */
/*
 * field.c - nvmlDeviceGetFieldValues: one call for many numbers, each with an error of its own.
 */
#include <time.h>

#include "libcuda/nvml/nv.h"

static void set_uint(nvmlFieldValue_t *v, unsigned int value)
{
	v->valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
	v->value.uiVal = value;
}

static void set_ull(nvmlFieldValue_t *v, unsigned long long value)
{
	v->valueType = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
	v->value.ullVal = value;
}

/* Distance to a threshold, as newer cards tell it. */
static void set_margin(nvmlFieldValue_t *v, uint32_t slowdown, uint32_t threshold)
{
	v->valueType = NVML_VALUE_TYPE_SIGNED_INT;
	v->value.siVal = (int)slowdown - (int)threshold;
}

static bool is_ecc_count(unsigned int id)
{
	return id >= NVML_FI_DEV_ECC_SBE_VOL_TOTAL && id <= NVML_FI_DEV_ECC_DBE_AGG_CBU;
}

static bool is_zero_count(unsigned int id)
{
	return (id >= NVML_FI_DEV_PERF_POLICY_POWER && id <= NVML_FI_DEV_PERF_POLICY_RELIABILITY) ||
	       id == NVML_FI_DEV_PCIE_REPLAY_COUNTER ||
	       id == NVML_FI_DEV_PCIE_REPLAY_ROLLOVER_COUNTER;
}

static bool is_remapped(unsigned int id)
{
	return id >= NVML_FI_DEV_REMAPPED_COR && id <= NVML_FI_DEV_REMAPPED_FAILURE;
}

static bool is_retired(unsigned int id)
{
	return (id >= NVML_FI_DEV_RETIRED_SBE && id <= NVML_FI_DEV_RETIRED_PENDING) ||
	       id == NVML_FI_DEV_RETIRED_PENDING_SBE || id == NVML_FI_DEV_RETIRED_PENDING_DBE;
}

/* Power of more than the card itself: no module is around it. */
static bool is_of_module(const nvmlFieldValue_t *v)
{
	return v->fieldId >= NVML_FI_DEV_POWER_AVERAGE &&
	       v->fieldId <= NVML_FI_DEV_POWER_REQUESTED_LIMIT &&
	       v->fieldId != NVML_FI_DEV_ENERGY && v->scopeId != NVML_POWER_SCOPE_GPU;
}

static nvmlReturn_t from_card(nvmlDevice_t device, nvmlFieldValue_t *v)
{
	const struct vgpu_board_info *b = &device->board;
	bool remaps = nv_arch(device) >= NVML_DEVICE_ARCH_AMPERE;

	if (is_ecc_count(v->fieldId) || v->fieldId == NVML_FI_DEV_ECC_CURRENT ||
	    v->fieldId == NVML_FI_DEV_ECC_PENDING || is_remapped(v->fieldId) ||
	    is_retired(v->fieldId)) {
		if (!b->ecc || (is_remapped(v->fieldId) && !remaps) ||
		    (is_retired(v->fieldId) && remaps))
			return NVML_ERROR_NOT_SUPPORTED;
		if (is_ecc_count(v->fieldId))
			set_ull(v, 0);
		else
			set_uint(v, v->fieldId <= NVML_FI_DEV_ECC_PENDING ? 1 : 0);
		return NVML_SUCCESS;
	}
	if (is_zero_count(v->fieldId)) {
		set_ull(v, 0);
		return NVML_SUCCESS;
	}
	switch (v->fieldId) {
	case NVML_FI_DEV_NVLINK_LINK_COUNT:
		set_uint(v, b->nvlinks);
		break;
	case NVML_FI_DEV_NVSWITCH_CONNECTED_LINK_COUNT:
	case NVML_FI_DEV_C2C_LINK_COUNT:
	case NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED:
	case NVML_FI_DEV_GET_GPU_RECOVERY_ACTION:
		set_uint(v, 0);
		break;
	case NVML_FI_DEV_POWER_MIN_LIMIT:
		set_uint(v, b->power_min_mw);
		break;
	case NVML_FI_DEV_POWER_MAX_LIMIT:
		set_uint(v, b->power_max_mw);
		break;
	case NVML_FI_DEV_POWER_DEFAULT_LIMIT:
	case NVML_FI_DEV_POWER_CURRENT_LIMIT:
	case NVML_FI_DEV_POWER_REQUESTED_LIMIT:
		set_uint(v, b->power_limit_mw);
		break;
	case NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT:
		set_margin(v, b->temp_slowdown_c, b->temp_shutdown_c);
		break;
	case NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT:
		set_margin(v, b->temp_slowdown_c, b->temp_slowdown_c);
		break;
	case NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT:
		set_margin(v, b->temp_slowdown_c, b->temp_max_c);
		break;
	default:
		return NVML_ERROR_NOT_SUPPORTED;
	}
	return NVML_SUCCESS;
}

static nvmlReturn_t from_state(const struct vgpu_device_state *state, nvmlFieldValue_t *v)
{
	switch (v->fieldId) {
	case NVML_FI_DEV_MEMORY_TEMP:
		if (!state->temp_mem_mc)
			return NVML_ERROR_NOT_SUPPORTED;
		set_uint(v, (state->temp_mem_mc + 500) / 1000);
		break;
	case NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION:
	case NVML_FI_DEV_ENERGY:
		set_ull(v, state->energy_mj);
		break;
	case NVML_FI_DEV_POWER_AVERAGE:
	case NVML_FI_DEV_POWER_INSTANT:
		set_uint(v, state->power_mw);
		break;
	case NVML_FI_DEV_PCIE_COUNT_TX_BYTES:
		set_ull(v, state->out_bytes);
		break;
	case NVML_FI_DEV_PCIE_COUNT_RX_BYTES:
		set_ull(v, state->in_bytes);
		break;
	default:
		return NVML_ERROR_NOT_SUPPORTED;
	}
	return NVML_SUCCESS;
}

nvmlReturn_t answer_nvmlDeviceGetFieldValues(nvmlDevice_t device, int valuesCount,
					     nvmlFieldValue_t *values)
{
	struct vgpu_device_state state;
	struct timespec t;
	nvmlReturn_t r;

	NV_NEED(values && valuesCount > 0);
	r = nv_state(device, &state);
	if (r != NVML_SUCCESS)
		return r;
	clock_gettime(CLOCK_REALTIME, &t);
	for (int i = 0; i < valuesCount; i++) {
		nvmlFieldValue_t *v = &values[i];

		v->timestamp = (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
		v->latencyUsec = 0;
		v->value.ullVal = 0;
		v->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
		if (is_of_module(v))
			continue;
		v->nvmlReturn = from_state(&state, v);
		if (v->nvmlReturn != NVML_SUCCESS)
			v->nvmlReturn = from_card(device, v);
	}
	return NVML_SUCCESS;
}

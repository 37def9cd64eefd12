/* SPDX-License-Identifier: MIT */
/*
 * table.c - the private table that nvidia-smi wants to have.
 *
 * Nobody publishes what its functions do, so each answers that it is not supported; without the
 * table nvidia-smi does not start. Word 0 is its size in bytes, as in the driver's own tables.
 */
#include <string.h>

#include "libcuda/nvml/nv.h"

#define SLOTS 512

static nvmlReturn_t not_supported(void)
{
	return NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlInternalGetExportTable(const void **table, const void *id);

nvmlReturn_t nvmlInternalGetExportTable(const void **table, const void *id)
{
	static const unsigned char known[16] = { 0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
						 0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4 };
	static const void *slots[SLOTS];

	NV_NEED(table && id);
	if (memcmp(id, known, sizeof(known)))
		return NVML_ERROR_NOT_FOUND;
	if (!__atomic_load_n(&slots[0], __ATOMIC_ACQUIRE)) {
		for (unsigned i = 1; i < SLOTS; i++)
			slots[i] = (const void *)(uintptr_t)not_supported;
		__atomic_store_n(&slots[0], (const void *)sizeof(slots), __ATOMIC_RELEASE);
	}
	*table = slots;
	return NVML_SUCCESS;
}

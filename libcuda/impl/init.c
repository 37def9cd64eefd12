/* SPDX-License-Identifier: MIT */
/*
 * init.c - start, versions, error texts, look-up of entry points. Not here: the private tables
 * (export.c).
 */
#include <string.h>

#include "libcuda/api/table.h"
#include "libcuda/core/ctx.h"
#include "libcuda/core/error.h"
#include "libcuda/impl/export.h"
#include "libcuda/impl/impl.h"

#define DRIVER_VERSION 13000 /* CUDA 13.0 */

CUresult impl_cuInit(unsigned int Flags)
{
	return cu_process_init(Flags);
}

/* What this library can do: its own version, not that of the daemon behind it. */
CUresult impl_cuDriverGetVersion(int *driverVersion)
{
	if (!driverVersion)
		return CUDA_ERROR_INVALID_VALUE;
	*driverVersion = DRIVER_VERSION;
	return CUDA_SUCCESS;
}

CUresult impl_cuGetErrorName(CUresult error, const char **pStr)
{
	if (!pStr)
		return CUDA_ERROR_INVALID_VALUE;
	*pStr = cu_error_name(error);
	return *pStr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult impl_cuGetErrorString(CUresult error, const char **pStr)
{
	if (!pStr)
		return CUDA_ERROR_INVALID_VALUE;
	*pStr = cu_error_text(error);
	return *pStr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult impl_cuGetProcAddress_v2(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags,
				  CUdriverProcAddressQueryResult *symbolStatus)
{
	const cuuint64_t known =
		CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
	const struct api_symbol *s;
	bool per_thread, exists;

	if (!symbol || !pfn || (flags & ~known) || flags == known)
		return CUDA_ERROR_INVALID_VALUE;
	per_thread = flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM ||
		     (!flags && cu_thread()->per_thread);
	*pfn = NULL;
	s = api_table_find(symbol, cudaVersion, per_thread, &exists);
	if (!s) {
		if (symbolStatus)
			*symbolStatus = exists ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
					       : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
		cu_log(CU_LOG_DEBUG, "look-up of %s for %d: none", symbol, cudaVersion);
		return CUDA_ERROR_NOT_FOUND;
	}
	*pfn = s->function;
	if (symbolStatus)
		*symbolStatus = CU_GET_PROC_ADDRESS_SUCCESS;
	return CUDA_SUCCESS;
}

CUresult impl_cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags)
{
	return impl_cuGetProcAddress_v2(symbol, pfn, cudaVersion, flags, NULL);
}

CUresult impl_cuGetExportTable(const void **ppExportTable, const CUuuid *pExportTableId)
{
	if (!ppExportTable || !pExportTableId)
		return CUDA_ERROR_INVALID_VALUE;
	return cu_export_find(pExportTableId, ppExportTable);
}

/* SPDX-License-Identifier: MIT */
/* export.h - the private tables that NVIDIA's libraries ask cuGetExportTable for. */
#ifndef IMPL_EXPORT_H
#define IMPL_EXPORT_H

#include <cuda.h>

/** cu_export_find() - CUDA_ERROR_NOT_FOUND for a table that is not answered. */
CUresult cu_export_find(const CUuuid *id, const void **ret_table);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * external.h - buffers of external memory, as cuMemFree sees them.
 */
#ifndef IMPL_EXTERNAL_H
#define IMPL_EXTERNAL_H

#include <cuda.h>
#include <stdbool.h>

/** external_free() - true: @ptr was a mapped buffer, and *@ret says whether it is gone. */
bool external_free(CUdeviceptr ptr, CUresult *ret);

#endif

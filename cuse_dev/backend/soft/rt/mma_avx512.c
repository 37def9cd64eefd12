/* SPDX-License-Identifier: MIT */
/* mma_avx512.c - matrix products for avx512; the flags stand in ../CMakeLists.txt. */
#define MMA_OPS rt_mma_avx512
#include "cuse_dev/backend/soft/rt/mma_body.h"

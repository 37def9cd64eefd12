/* SPDX-License-Identifier: MIT */
/* mma_avx2.c - matrix products for avx2; the flags stand in ../CMakeLists.txt. */
#define MMA_OPS rt_mma_avx2
#include "cuse_dev/backend/soft/rt/mma_body.h"

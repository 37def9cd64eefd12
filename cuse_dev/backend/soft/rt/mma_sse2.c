/* SPDX-License-Identifier: MIT */
/* mma_sse2.c - matrix products for sse2; the flags stand in ../CMakeLists.txt. */
#define MMA_OPS rt_mma_sse2
#include "cuse_dev/backend/soft/rt/mma_body.h"

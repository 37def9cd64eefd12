/* SPDX-License-Identifier: MIT */
/* vec_avx2.c - the vector handlers for avx2; the flags stand in ../CMakeLists.txt. */
#define VEC_TABLE interp_vec_avx2
#include "cuse_dev/backend/soft/interp/vec_body.h"

/* SPDX-License-Identifier: MIT */
/* vec_avx512.c - the vector handlers for avx512; the flags stand in ../CMakeLists.txt. */
#define VEC_TABLE interp_vec_avx512
#include "cuse_dev/backend/soft/interp/vec_body.h"

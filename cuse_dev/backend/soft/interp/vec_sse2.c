/* SPDX-License-Identifier: MIT */
/* vec_sse2.c - the vector handlers for sse2; the flags stand in ../CMakeLists.txt. */
#define VEC_TABLE interp_vec_sse2
#include "cuse_dev/backend/soft/interp/vec_body.h"

/* SPDX-License-Identifier: MIT */
/*
 * vec.h - the vector handlers: their numbers, and the tables of pointers, one per instruction set.
 *
 * vec_body.h is compiled once per instruction set; interp_vec_handlers() says which table this CPU
 * can run. The numbers come from fast.def; the ones that do not fit its forms stand in VEC_EXTRA.
 */
#ifndef SOFT_INTERP_VEC_H
#define SOFT_INTERP_VEC_H

#include "cuse_dev/backend/soft/interp/code.h"

/* Modifiers of an instruction as one number. */
#define M_FTZ	 (1u << 4)
#define M_SAT	 (1u << 5)
#define M_NAN	 (1u << 6)
#define M_RELU	 (1u << 7)
#define M_XORS	 (1u << 8)
#define M_INT	 (1u << 9)
#define M_SUB(n) ((uint32_t)(n) << 10)
#define M_RZI	 (IR_RZ | M_INT)
#define M_APPROX IR_APPROX

/* X(name): handlers beside fast.def */
/* clang-format off */
#define VEC_MEM(X, kind)                                                                           \
	X(kind##_8_u16) X(kind##_8_s16) X(kind##_8_u32) X(kind##_8_s32) X(kind##_8_u64)            \
	X(kind##_8_s64) X(kind##_16_u16) X(kind##_16_u32) X(kind##_16_s32) X(kind##_16_u64)        \
	X(kind##_16_s64) X(kind##_32_u32) X(kind##_32_u64) X(kind##_32_s64) X(kind##_64_u64)
#define VEC_STORE(X)                                                                               \
	X(st_8_16) X(st_8_32) X(st_8_64) X(st_16_16) X(st_16_32) X(st_16_64) X(st_32_32)           \
	X(st_32_64) X(st_64_64)
#define VEC_EXTRA(X)                                                                               \
	X(bcast_16) X(bcast_32) X(bcast_64) X(selp_16) X(selp_32) X(selp_64) X(lop3)               \
	X(tid) X(bfi_32) X(addc_32) X(addc_64) X(subc_32) X(subc_64)                                       \
	X(pack_32) X(unpack_32) X(pack_16) X(unpack_16)                                            \
	X(pmov) X(pimm) X(pand) X(por) X(pxor) X(pnot)                                             \
	X(jump) X(branch) X(guard) X(shfl) X(vote)                                                 \
	VEC_MEM(X, ld) VEC_STORE(X)

enum vec_handler {
#define UN(name, OP, TYPE, TYPE2, MODS, D, A, expr) VEC_##name,
#define BIN2(name, OP, TYPE, TYPE2, MODS, D, A, B, COMM, expr) VEC_##name, VEC_##name##_i,
#define TER2(name, OP, TYPE, TYPE2, MODS, D, A, B, C, expr) VEC_##name, VEC_##name##_i, VEC_##name##_m,
#define CMP(name, TYPE, C, A, expr) VEC_##name, VEC_##name##_i,
#define CMPZ(name, TYPE, C, A, expr) VEC_##name, VEC_##name##_i,
#define UNV(name, OP, TYPE, MODS, T, call) VEC_##name,
#define BINV(name, OP, TYPE, MODS, T, call) VEC_##name,
#include "cuse_dev/backend/soft/interp/fast.def"
#define X(name) VEC_X_##name,
	VEC_EXTRA(X)
#undef X
	VEC_COUNT
};
/* clang-format on */

extern const interp_fn interp_vec_sse2[VEC_COUNT];
extern const interp_fn interp_vec_avx2[VEC_COUNT];
extern const interp_fn interp_vec_avx512[VEC_COUNT];

/** interp_vec_handlers() - the best table that this CPU runs. */
const interp_fn *interp_vec_handlers(void);

/** interp_prepare_with() - interp_prepare() for a given table; every table is tested that way. */
int interp_prepare_with(const struct ir_unit *unit, const interp_fn *handlers,
			struct simt_code **ret_code, char *err, size_t err_bytes);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * absent.c - the exported functions that are not built.
 *
 * Without nvml.h, so that none needs its parameters: what they were given does not matter, and they
 * touch nothing of it. Nothing is logged either: programs ask for all they know, on real cards too,
 * and take this answer for "N/A".
 */
int nv_absent(void);

#define NV_INIT(sym, params, args)
#define NV_FN(sym, params, args)
#define NV_DEV(sym, params, args)
#define NV_WAIT(sym, params, args)
#define NV_NO(sym)                                                                                 \
	int sym(void);                                                                             \
	int sym(void)                                                                              \
	{                                                                                          \
		return nv_absent();                                                                \
	}
#include "libcuda/nvml/nvml.def"

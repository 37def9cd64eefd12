/* SPDX-License-Identifier: MIT */
/*
 * entry.c - the exported functions; the bodies are all the same on purpose.
 *
 * Those that are not built have no parameters here: what they were given does not matter.
 */
#include "libcuda/nvml/nv.h"

#define NV_INIT(sym, params, args)                                                                 \
	nvmlReturn_t sym params                                                                    \
	{                                                                                          \
		return answer_##sym args;                                                          \
	}
#define NV_FN(sym, params, args)                                                                   \
	nvmlReturn_t sym params                                                                    \
	{                                                                                          \
		nvmlReturn_t r = nv_enter();                                                       \
                                                                                                   \
		if (r != NVML_SUCCESS)                                                             \
			return r;                                                                  \
		r = answer_##sym args;                                                             \
		nv_leave();                                                                        \
		return r;                                                                          \
	}
#define NV_DEV(sym, params, args)                                                                  \
	nvmlReturn_t sym params                                                                    \
	{                                                                                          \
		nvmlReturn_t r = nv_enter_device(device);                                          \
                                                                                                   \
		if (r != NVML_SUCCESS)                                                             \
			return r;                                                                  \
		r = answer_##sym args;                                                             \
		nv_leave();                                                                        \
		return r;                                                                          \
	}
#define NV_WAIT(sym, params, args) NV_INIT(sym, params, args)
#define NV_NO(sym)
#include "libcuda/nvml/nvml.def"

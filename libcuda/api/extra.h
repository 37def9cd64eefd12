/* SPDX-License-Identifier: MIT */
/*
 * extra.h - prototypes of what the driver exports and cuda.h does not declare: the profiler's
 * three, and the functions of headers for other APIs, whose parameters no stub looks at.
 */
#ifndef API_EXTRA_H
#define API_EXTRA_H

#include <cuda.h>

typedef enum { CU_OUT_KEY_VALUE_PAIR = 0, CU_OUT_CSV = 1 } CUoutput_mode;

#define CU_EXTRA(sym, params) CUresult CUDAAPI sym params;
CU_EXTRA(cuProfilerInitialize,
	 (const char *configFile, const char *outputFile, CUoutput_mode outputMode))
CU_EXTRA(cuProfilerStart, (void))
CU_EXTRA(cuProfilerStop, (void))
CU_EXTRA(cuGetProcAddress_v2_ptsz, (const char *symbol, void **pfn, int cudaVersion,
				    cuuint64_t flags, CUdriverProcAddressQueryResult *symbolStatus))
#undef CU_EXTRA

#define CU_FN(sym, base, since, params, args)
#define CU_EARLY(sym, base, since, params, args)
#define CU_PT(sym, base, since, params, args, like)
#define CU_STUB(sym, base, since, params, args)
#define CU_FOREIGN(sym, base, since, per_thread) CUresult CUDAAPI sym(void);
#include "libcuda/api/all.def"
#undef CU_FN
#undef CU_EARLY
#undef CU_PT
#undef CU_STUB
#undef CU_FOREIGN

#endif

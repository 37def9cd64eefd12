/* SPDX-License-Identifier: MIT */
/*
 * entry.c - the exported symbols. All bodies are the same on purpose; what differs stands in the
 * lists (all.def), what they do in impl/.
 */
#include <stdbool.h>

#include "libcuda/api/extra.h"
#include "libcuda/core/call.h"
#include "libcuda/impl/impl.h"

#define CU_EXPORT __attribute__((visibility("default")))

#define ENTRY(sym, flags, params, body)                                                            \
	CU_EXPORT CUresult CUDAAPI sym params                                                      \
	{                                                                                          \
		static _Atomic bool said;                                                          \
		struct cu_call call;                                                               \
		CUresult r = cu_enter(&call, #sym, flags, __builtin_return_address(0));            \
                                                                                                   \
		if (r == CUDA_SUCCESS)                                                             \
			r = body;                                                                  \
		return cu_leave(&call, r, &said);                                                  \
	}

/* What is not built has a body here, so that its per-thread variants find one, too. */
#define CU_FN(sym, base, since, params, args)
#define CU_EARLY(sym, base, since, params, args)
#define CU_PT(sym, base, since, params, args, like)
#define CU_STUB(sym, base, since, params, args)                                                    \
	static CUresult impl_##sym params                                                          \
	{                                                                                          \
		return CUDA_ERROR_NOT_SUPPORTED;                                                   \
	}
#define CU_FOREIGN(sym, base, since, per_thread) CU_STUB(sym, base, since, (void), ())
#include "libcuda/api/all.def"
#undef CU_FN
#undef CU_EARLY
#undef CU_PT
#undef CU_STUB
#undef CU_FOREIGN

#define CU_FN(sym, base, since, params, args)	 ENTRY(sym, 0, params, impl_##sym args)
#define CU_EARLY(sym, base, since, params, args) ENTRY(sym, CU_CALL_EARLY, params, impl_##sym args)
#define CU_PT(sym, base, since, params, args, like)                                                \
	ENTRY(sym, CU_CALL_PER_THREAD, params, impl_##like args)
#define CU_STUB(sym, base, since, params, args)	 ENTRY(sym, 0, params, impl_##sym args)
#define CU_FOREIGN(sym, base, since, per_thread) ENTRY(sym, 0, (void), impl_##sym())
#include "libcuda/api/all.def"

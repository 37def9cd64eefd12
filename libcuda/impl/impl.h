/* SPDX-License-Identifier: MIT */
/*
 * impl.h - the functions behind the entry points: impl_<symbol>, with the public signature.
 *
 * Generated from api/ by the preprocessor: a CU_FN line without its function is a link error.
 */
#ifndef IMPL_IMPL_H
#define IMPL_IMPL_H

#include "libcuda/api/extra.h"

#define CU_FN(sym, base, since, params, args)	 CUresult impl_##sym params;
#define CU_EARLY(sym, base, since, params, args) CUresult impl_##sym params;
#define CU_PT(sym, base, since, params, args, like)
#define CU_STUB(sym, base, since, params, args)
#define CU_FOREIGN(sym, base, since, per_thread)
#include "libcuda/api/all.def"
#undef CU_FN
#undef CU_EARLY
#undef CU_PT
#undef CU_STUB
#undef CU_FOREIGN

#endif

/* SPDX-License-Identifier: MIT */
/*
 * cg_mask.c - the lanes that run, as 32 bits or as a vector of bits, and the struct they share.
 */
#include "cuse_dev/backend/soft/llvm/cg.h"

LLVMValueRef cg_mask_to_vector(struct cg *g, LLVMValueRef bits)
{
	return LLVMBuildBitCast(g->b, bits, cg_vec(g->i1), "");
}

LLVMValueRef cg_mask_from_vector(struct cg *g, LLVMValueRef v)
{
	return LLVMBuildBitCast(g->b, v, g->i32, "");
}

LLVMValueRef cg_mask_vector(struct cg *g)
{
	/* Made where it is used: the first use need not come before all others. */
	return cg_mask_to_vector(g, g->mask);
}

LLVMValueRef cg_mask_first(struct cg *g)
{
	LLVMValueRef a[2] = { g->mask, LLVMConstInt(g->i1, 1, false) };

	return cg_intrinsic(g, "llvm.cttz", &g->i32, 1, a, 2);
}

LLVMValueRef cg_pred_mask(struct cg *g, const struct cg_val *v)
{
	if (v->s.kind == CG_UNI)
		return LLVMBuildSExt(g->b, v->u, g->i32, "");
	return cg_mask_from_vector(g, v->v);
}

LLVMValueRef cg_first_lane(struct cg *g, LLVMValueRef vector)
{
	return LLVMBuildExtractElement(g->b, vector, cg_mask_first(g), "");
}

/* ---- the shared struct ---------------------------------------------------------------------- */

static LLVMValueRef at(struct cg *g, LLVMValueRef base, uint64_t offset)
{
	LLVMValueRef i = cg_i64(g, offset);

	return LLVMBuildGEP2(g->b, g->i8, base, &i, 1, "");
}

LLVMValueRef cg_field(struct cg *g, uint32_t offset, LLVMTypeRef t, const char *name)
{
	return LLVMBuildLoad2(g->b, t, at(g, g->ctx, offset), name);
}

void cg_set_field(struct cg *g, uint32_t offset, LLVMValueRef v)
{
	LLVMBuildStore(g->b, v, at(g, g->ctx, offset));
}

LLVMValueRef cg_runtime(struct cg *g, uint32_t index, LLVMTypeRef ret, LLVMValueRef *args,
			uint32_t n)
{
	LLVMTypeRef types[8] = { g->ptr };
	LLVMValueRef all[8] = { g->ctx }, table, f;

	for (uint32_t i = 0; i < n; i++) {
		types[i + 1] = LLVMTypeOf(args[i]);
		all[i + 1] = args[i];
	}
	table = CG_FIELD(g, table, ptr);
	f = LLVMBuildLoad2(g->b, g->ptr, at(g, table, (uint64_t)index * sizeof(void (*)(void))),
			   "");
	return LLVMBuildCall2(g->b, LLVMFunctionType(ret, types, n + 1, false), f, all, n + 1, "");
}

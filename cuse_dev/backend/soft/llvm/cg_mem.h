/* SPDX-License-Identifier: MIT */
/* cg_mem.h - an access to memory while it is emitted; private to cg_mem.c and cg_lanes.c. */
#ifndef SOFT_LLVM_CG_MEM_H
#define SOFT_LLVM_CG_MEM_H

#include "cuse_dev/backend/soft/llvm/cg.h"

struct mem {
	const struct ir_inst *in;
	int64_t offset; /* of the instruction */
	int64_t from;	/* an offset that is known not to wrap, at most that one */
	bool load, shared, local;
	bool ordered;	  /* others may watch */
	int64_t reach;	  /* of a check: another access lies so far behind */
	uint32_t n, size; /* elements, bytes of one */
	uint32_t total;	  /* bytes of a lane */
	uint32_t groups;  /* rows or spots */
	LLVMValueRef local_bytes;
};

/** cg_mem_checked() - are all lanes that run inside? @off counts from the start of the memory. */
LLVMValueRef cg_mem_checked(struct cg *g, const struct mem *m, LLVMValueRef off);
/**
 * cg_mem_begin() - the fast way begins, if @ok (NULL: surely); else the slow copy goes on, or the bridge does it and both
 * meet at cg_mem_end().
 */
LLVMBasicBlockRef cg_mem_begin(struct cg *g, const struct mem *m, LLVMValueRef ok);
void cg_mem_end(struct cg *g, const struct mem *m, LLVMBasicBlockRef next);
/** cg_mem_note() - what a trap needs to know. @address: of lane 0, or NULL. */
void cg_mem_note(struct cg *g, const struct mem *m, LLVMValueRef address, uint64_t step);
/** cg_mem_stored() - what a store writes, in all lanes. */
LLVMValueRef cg_mem_stored(struct cg *g, const struct mem *m, uint32_t e);
/** cg_mem_offsets() - of all lanes, from the start of the memory; *ret_base: where that is. */
LLVMValueRef cg_mem_offsets(struct cg *g, const struct mem *m, const struct cg_val *a,
			    LLVMValueRef *ret_base);
/** cg_lanes_store() - a scatter of what has no instruction for it. */
void cg_lanes_store(struct cg *g, const struct mem *m, LLVMValueRef base, LLVMValueRef off);
LLVMValueRef cg_mem_pointer(struct cg *g, LLVMValueRef base, LLVMValueRef offset);

#endif

/* SPDX-License-Identifier: MIT */
/* cg_mem.h - an access to memory while it is emitted; private to cg_mem.c and cg_atom.c. */
#ifndef SOFT_LLVM_CG_MEM_H
#define SOFT_LLVM_CG_MEM_H

#include "cuse_dev/backend/soft/llvm/cg.h"

struct mem {
	const struct ir_inst *in;
	bool load, shared, local;
	bool ordered;	  /* others may watch */
	uint32_t n, size; /* elements, bytes of one */
	uint32_t total;	  /* bytes of a lane */
	uint32_t groups;  /* rows or spots */
	LLVMValueRef local_bytes;
};

LLVMValueRef cg_mem_pointer(struct cg *g, LLVMValueRef base, LLVMValueRef offset);

#endif

/* SPDX-License-Identifier: MIT */
/* run.h - loaded code and a warp that runs it; private to the room's runtime half. */
#ifndef SOFT_LLVM_RUN_H
#define SOFT_LLVM_RUN_H

#include "cuse_dev/backend/soft/interp/code.h"
#include "cuse_dev/backend/soft/llvm/abi.h"
#include "cuse_dev/backend/soft/llvm/llvm.h"

#define LLVM_GROUPS SIMT_LANES

struct llvm_code {
	struct simt_code base;
	llvm_entry entry;
	struct llvm_info info;
	uint64_t base_va[IR_BASE_COUNT];
	struct simt_code *bridge; /* the bridged operations, one function each; or NULL */
	size_t slot_bytes;	  /* that the largest of them wants */
	uint8_t *image;
	size_t image_bytes;
};

/** Lanes of a warp that wait at a block. */
struct llvm_group {
	uint32_t lanes, members, block;
	bool bar; /* for a barrier, else for members */
};

/*
 * The first part is an interpreter's warp: bridged operations run on it. Everything of the compiled code
 * is behind it.
 */
struct llvm_warp {
	struct interp_warp iw;
	struct llvm_ctx c;
	struct interp_frame frame; /* of the kernel, for bridged operations */
	const struct llvm_code *code;
	void *sp;	 /* of the warp, while it does not run */
	void *caller_sp; /* of whoever runs it */
	uint8_t *stack;
	uint32_t *pending;
	uint32_t npending;
	uint8_t *slots;
	size_t slot_bytes;
	uint8_t *frames;
	size_t frames_bytes;
	uint32_t ngroups;
	struct llvm_group groups[LLVM_GROUPS];
	uint32_t turn; /* block from which pick() looks on, after a turn was given */
	uint32_t looks;
	enum simt_stop stop;
};

extern const struct simt_tier llvm_tier;
void llvm_code_destroy(struct simt_code *base);

/** llvm_switch() - save the stack pointer (and what a call keeps) to *@save, go on at @to. */
void llvm_switch(void **save, void *to);
/** llvm_stack_create() - with a guard page below; NULL when out of memory. */
uint8_t *llvm_stack_create(void);
void llvm_stack_destroy(uint8_t *stack);
/** llvm_stack_begin() - what llvm_switch() goes to, to call @start on an empty stack. */
void *llvm_stack_begin(uint8_t *stack, void (*start)(void));

#define LLVM_STACK_BYTES (1u << 20)

#endif

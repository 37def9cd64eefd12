/* SPDX-License-Identifier: MIT */
/*
 * llvm.h - the compiled tier: an IR unit becomes machine code for whole warps.
 *
 * Two halves that meet in an ELF object and in abi.h. The compiler (cg_*.c) needs LLVM and runs in
 * a process of its own; the loader and the runtime (load.c, warp.c, bridge.c) run in the worker,
 * need no LLVM and believe nothing that the object says. Not here: when a kernel is worth it,
 * processes, the cache.
 */
#ifndef SOFT_LLVM_H
#define SOFT_LLVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuse_dev/backend/soft/ir/ir.h"
#include "cuse_dev/backend/soft/simt/launch.h"

/* What llvm_compile() prints to stderr. */
#define LLVM_PRINT_IR	1u /* the unit, with each register's shape and each block's frontier */
#define LLVM_PRINT_LLVM 2u /* LLVM IR as generated */
#define LLVM_PRINT_OPT	4u /* LLVM IR after the passes */
#define LLVM_PRINT_ASM	8u /* assembly */

enum llvm_level { LLVM_QUICK, LLVM_GOOD };

struct llvm_options {
	uint32_t block[3];    /* the block shape that the code is made for; 0, 0, 0: any */
	const char *cpu;      /* a name that LLVM knows, such as x86-64-v3; NULL: this machine's */
	const char *features; /* of that CPU, or NULL */
	uint32_t level;	      /* LLVM_QUICK: soon, LLVM_GOOD: fast code */
	uint32_t print;	      /* LLVM_PRINT_* */
};

/**
 * llvm_compile() - a verified unit to a relocatable object in memory; free() it
 *
 * For huge kernels there is one level only. -ENOTSUP: the unit stays with the interpreter (@err says why); -EINVAL, -ENOMEM. Any number of
 * threads may compile at once.
 */
int llvm_compile(const struct ir_unit *unit, const struct llvm_options *opt, void **ret_object,
		 size_t *ret_bytes, char *err, size_t err_bytes);

/** llvm_print_flags() - "ir,llvm,opt,asm" as in VGPU_PRINT; unknown words are ignored. */
uint32_t llvm_print_flags(const char *words);

/** llvm_version() - of the LLVM that was built in, for cache keys. */
const char *llvm_version(void);

/**
 * llvm_load() - an object to executable code
 *
 * @like: the same kernel as the interpreter has it; facts about memory are taken from there, not from the
 * object. @base_va: as in the unit that the interpreter's was made of. The object is checked: nothing in it is run, read or written outside of itself until
 * the code is called. -EINVAL with @err for one that is not as llvm_compile() makes them, -ENOTSUP
 * on machines that cannot run any. Free with simt_code_destroy().
 */
int llvm_load(const void *object, size_t bytes, const struct simt_code *like,
	      const uint64_t base_va[IR_BASE_COUNT], struct simt_code **ret_code, char *err,
	      size_t err_bytes);

/** llvm_code_place() - where loaded code lies, for tools that name it. */
void llvm_code_place(const struct simt_code *code, const void **ret_at, size_t *ret_bytes);

/** llvm_code_fits() - may a launch with this block shape run the code? */
bool llvm_code_fits(const struct simt_code *code, const uint32_t block[3]);

/** llvm_code_level() - LLVM_GOOD: no better code is to be had. */
enum llvm_level llvm_code_level(const struct simt_code *code);

#endif

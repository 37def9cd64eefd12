/* SPDX-License-Identifier: MIT */
/*
 * ptx.h - the PTX front end: index a module, make the IR unit of one kernel.
 *
 * A module is indexed once (variables, functions, where their bodies are); a body is parsed and
 * lowered each time a kernel that reaches it is compiled. Reading a module that is not being loaded
 * is safe from several threads.
 */
#ifndef SOFT_PTX_H
#define SOFT_PTX_H

#include "cuse_dev/backend/soft/ir/ir.h"
#include "cuse_dev/backend/soft/ptx/tree.h"

/** ptx_module_load() - @text (bytes + 1, NUL at the end, from malloc) is taken over, also on
 * failure. 0 or a CUresult in err->code. */
uint32_t ptx_module_load(char *text, size_t bytes, struct ptx_module **ret_module,
			 struct ptx_error *err);
void ptx_module_unload(struct ptx_module *m);
struct ptx_func *ptx_module_kernel(const struct ptx_module *m, const char *name);

/** struct ptx_place - where the module's variables lie in device memory */
struct ptx_place {
	uint64_t global_va, managed_va;
};

/**
 * ptx_module_init_data() - write every initialiser through its address, those of managed variables
 * only if @managed_new. 0 or a CUresult in err.
 */
uint32_t ptx_module_init_data(const struct ptx_module *m, const struct ptx_place *place,
			      bool managed_new, struct ptx_error *err);
uint64_t ptx_var_address(const struct ptx_var *v, const struct ptx_place *place);

/** struct ptx_unit_info - what a kernel's attributes need beside the unit */
struct ptx_unit_info {
	uint32_t shared_static; /* bytes, not rounded */
	uint32_t const_bytes;	/* of the .const variables it names */
	uint32_t unsupported;	/* instructions that are not executed yet; err names the first */
};

/**
 * ptx_unit_create() - parse and lower kernel @f and everything it can reach
 *
 * 0 or a CUresult in err->code. With code 801 the unit is complete but holds IR_OP_UNSUPPORTED; it
 * is returned all the same. The unit goes with ptx_unit_destroy().
 */
uint32_t ptx_unit_create(struct ptx_module *m, struct ptx_func *f, const struct ptx_place *place,
			 struct ir_unit **ret_unit, struct ptx_unit_info *ret_info,
			 struct ptx_error *err);
void ptx_unit_destroy(struct ir_unit *u);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * linker.c - cuLink*: what is to be linked is collected here and linked in the worker. The result,
 * which the manual calls a cubin, is a bundle of the inputs (ioctl/vgpu_bundle.h): it can be loaded as
 * a module, kept in a file, and linked again. Machine code cannot be run here, so it cannot be linked
 * either.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/call.h"
#include "libcuda/core/error.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/module.h"

struct cu_linker {
	struct cu_head head;
	struct cu_ctx *ctx;
	uint64_t ctx_id;
	CUjit_option *option; /* our copy; the values stay the program's */
	struct jit_options jit;
	struct image_part *part; /* our copies */
	unsigned count;
	void *result; /* NULL: not completed */
	size_t result_bytes;
};

static CUresult linker_get(CUlinkState state, struct cu_linker **ret_linker)
{
	*ret_linker = cu_handle_get(state, CU_KIND_LINK);
	return *ret_linker ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult impl_cuLinkCreate_v2(unsigned int numOptions, CUjit_option *options, void **optionValues,
			      CUlinkState *stateOut)
{
	struct cu_linker *s;
	struct cu_ctx *ctx;
	CUresult r;

	if (!stateOut)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_ctx_usable(&ctx);
	if (r != CUDA_SUCCESS)
		return r;
	s = cu_handle_create(CU_KIND_LINK, sizeof(*s));
	if (!s)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = jit_parse(numOptions, options, optionValues, &s->jit);
	if (r != CUDA_SUCCESS)
		goto destroy;
	if (numOptions) {
		s->option = malloc(numOptions * sizeof(*s->option));
		r = CUDA_ERROR_OUT_OF_MEMORY;
		if (!s->option)
			goto destroy;
		memcpy(s->option, options, numOptions * sizeof(*s->option));
		s->jit.option = s->option;
	}
	s->ctx = ctx;
	s->ctx_id = ctx->id;
	*stateOut = (CUlinkState)s;
	return CUDA_SUCCESS;

destroy:
	cu_handle_destroy(s);
	return r;
}

CUresult impl_cuLinkCreate(unsigned int numOptions, CUjit_option *options, void **optionValues,
			   CUlinkState *stateOut)
{
	return impl_cuLinkCreate_v2(numOptions, options, optionValues, stateOut);
}

CUresult impl_cuLinkDestroy(CUlinkState state)
{
	struct cu_linker *s;
	CUresult r = linker_get(state, &s);

	if (r != CUDA_SUCCESS)
		return r;
	for (unsigned i = 0; i < s->count; i++)
		free((void *)(uintptr_t)s->part[i].data);
	free(s->part);
	free(s->option);
	free(s->result);
	cu_handle_destroy(s);
	return CUDA_SUCCESS;
}

/* What the worker need not be asked about. */
static CUresult check_input(CUjitInputType type, const void *data, size_t size)
{
	bool elf = size >= SELFMAG && !memcmp(data, ELFMAG, SELFMAG);

	switch ((int)type) {
	case CU_JIT_INPUT_PTX:
		return elf ? CUDA_ERROR_INVALID_IMAGE : CUDA_SUCCESS;
	case CU_JIT_INPUT_CUBIN:
		if (elf)
			cu_log(CU_LOG_ERROR,
			       "linking a cubin: machine code cannot run here, PTX is "
			       "needed");
		/* What a linker here gave out comes back under this name. */
		return elf ? CUDA_ERROR_NO_BINARY_FOR_GPU : CUDA_SUCCESS;
	case CU_JIT_INPUT_FATBINARY:
	case CU_JIT_INPUT_OBJECT:
	case CU_JIT_INPUT_LIBRARY:
		return CUDA_SUCCESS;
	default:
		if ((unsigned)type >= CU_JIT_NUM_INPUT_TYPES)
			return CUDA_ERROR_INVALID_VALUE;
		cu_log(CU_LOG_WARN, "linking inputs of type %d is not built", (int)type);
		return CUDA_ERROR_NOT_SUPPORTED;
	}
}

CUresult impl_cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t size,
			       const char *name, unsigned int numOptions, CUjit_option *options,
			       void **optionValues)
{
	struct image_part *more;
	struct jit_options jit;
	struct cu_linker *s;
	void *copy;
	CUresult r;

	(void)name;
	r = linker_get(state, &s);
	if (r != CUDA_SUCCESS)
		return r;
	if (!data || !size || s->result)
		return CUDA_ERROR_INVALID_VALUE;
	r = jit_parse(numOptions, options, optionValues, &jit);
	if (r == CUDA_SUCCESS)
		r = check_input(type, data, size);
	if (r != CUDA_SUCCESS)
		return r;
	more = realloc(s->part, (s->count + 1) * sizeof(*more));
	if (!more)
		return CUDA_ERROR_OUT_OF_MEMORY;
	s->part = more;
	copy = malloc(size);
	if (!copy)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memcpy(copy, data, size);
	s->part[s->count++] = (struct image_part){ copy, size };
	return CUDA_SUCCESS;
}

CUresult impl_cuLinkAddData(CUlinkState state, CUjitInputType type, void *data, size_t size,
			    const char *name, unsigned int numOptions, CUjit_option *options,
			    void **optionValues)
{
	return impl_cuLinkAddData_v2(state, type, data, size, name, numOptions, options,
				     optionValues);
}

CUresult impl_cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path,
			       unsigned int numOptions, CUjit_option *options, void **optionValues)
{
	struct cu_linker *s;
	size_t size;
	void *data;
	CUresult r;

	r = linker_get(state, &s);
	if (r == CUDA_SUCCESS)
		r = image_read(path, &data, &size);
	if (r != CUDA_SUCCESS)
		return r;
	r = impl_cuLinkAddData_v2(state, type, data, size, path, numOptions, options, optionValues);
	free(data);
	return r;
}

CUresult impl_cuLinkAddFile(CUlinkState state, CUjitInputType type, const char *path,
			    unsigned int numOptions, CUjit_option *options, void **optionValues)
{
	return impl_cuLinkAddFile_v2(state, type, path, numOptions, options, optionValues);
}

/* Compiles all of it once, so that what is wrong or missing is said now and to this log. */
static CUresult check(struct cu_linker *s, const void *bundle, size_t bytes)
{
	struct image image = { .data = bundle, .size = bytes, .text = true };
	struct jit_options jit = s->jit;
	struct cu_module *m;
	char unread[16];
	CUresult r;

	if (!jit.error) {
		jit.error = unread;
		jit.error_size = sizeof(unread);
	}
	r = module_load(s->ctx, &image, cu_caller_is_library(s->ctx->dev), &jit, NULL, NULL, &m);
	if (r == CUDA_SUCCESS)
		module_destroy(m, true);
	return r;
}

static CUresult complete(struct cu_linker *s)
{
	struct cu_ctx *ctx;
	size_t bytes;
	void *bundle;
	CUresult r;

	r = cu_ctx_get((CUcontext)s->ctx, &ctx);
	if (r == CUDA_SUCCESS && ctx->id != s->ctx_id)
		r = CUDA_ERROR_CONTEXT_IS_DESTROYED;
	if (r == CUDA_SUCCESS)
		r = cu_ctx_error(ctx);
	if (r == CUDA_SUCCESS)
		r = image_bundle(s->part, s->count, &bundle, &bytes);
	if (r != CUDA_SUCCESS)
		return r;
	r = check(s, bundle, bytes);
	if (r != CUDA_SUCCESS) {
		free(bundle);
		return r;
	}
	s->result = bundle;
	s->result_bytes = bytes;
	return CUDA_SUCCESS;
}

CUresult impl_cuLinkComplete(CUlinkState state, void **cubinOut, size_t *sizeOut)
{
	struct cu_linker *s;
	CUresult r;

	r = linker_get(state, &s);
	if (r != CUDA_SUCCESS)
		return r;
	if (!cubinOut || (!s->count && !s->result))
		return CUDA_ERROR_INVALID_VALUE;
	if (!s->result)
		r = complete(s);
	if (r != CUDA_SUCCESS)
		return r;
	*cubinOut = s->result;
	if (sizeOut)
		*sizeOut = s->result_bytes;
	return CUDA_SUCCESS;
}

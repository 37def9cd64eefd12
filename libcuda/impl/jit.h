/* SPDX-License-Identifier: MIT */
/* jit.h - options of the compiler. */
#ifndef IMPL_JIT_H
#define IMPL_JIT_H

#include <stddef.h>
#include <stdint.h>

#include <cuda.h>

struct jit_options {
	unsigned count;
	const CUjit_option *option;
	void **value;
	char *info, *error; /* buffers of the caller, NULL for none */
	size_t info_size, error_size;
	uint64_t start_ns;
};

CUresult jit_parse(unsigned count, const CUjit_option *option, void **value,
		   struct jit_options *ret_jit);
/** jit_finish() - hand log, sizes and time back. @log: what the compiler said. */
void jit_finish(const struct jit_options *jit, CUresult r, const char *log);

#endif

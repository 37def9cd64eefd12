/* SPDX-License-Identifier: MIT */
/*
 * jit.c - the options that a program gives the compiler. Those that ask for something back (logs,
 * time) are served; those that steer the code of hardware (registers, optimisation, line info) have
 * no meaning here and are accepted; those that change what the program means are refused.
 */
#include <string.h>
#include <time.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/jit.h"

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

CUresult jit_parse(unsigned count, const CUjit_option *option, void **value,
		   struct jit_options *ret_jit)
{
	struct jit_options j = { .count = count, .option = option, .value = value };

	if (count && (!option || !value))
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < count; i++) {
		switch (option[i]) {
		case CU_JIT_INFO_LOG_BUFFER:
			j.info = value[i];
			break;
		case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
			j.info_size = (unsigned)(uintptr_t)value[i];
			break;
		case CU_JIT_ERROR_LOG_BUFFER:
			j.error = value[i];
			break;
		case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
			j.error_size = (unsigned)(uintptr_t)value[i];
			break;
		case CU_JIT_GLOBAL_SYMBOL_NAMES:
		case CU_JIT_GLOBAL_SYMBOL_ADDRESSES:
			cu_log_once(CU_LOG_WARN, "JIT option for symbols of the host is not built");
			return CUDA_ERROR_NOT_SUPPORTED;
		default:
			if ((unsigned)option[i] >= CU_JIT_NUM_OPTIONS)
				return CUDA_ERROR_INVALID_VALUE;
		}
	}
	j.start_ns = now_ns();
	*ret_jit = j;
	return CUDA_SUCCESS;
}

/* As much of @text as fits, always terminated; returns its bytes. */
static size_t put_log(char *buf, size_t size, const char *text)
{
	size_t n = strlen(text);

	if (!buf || !size)
		return 0;
	if (n > size - 1)
		n = size - 1;
	memcpy(buf, text, n);
	buf[n] = 0;
	return n;
}

void jit_finish(const struct jit_options *jit, CUresult r, const char *log)
{
	size_t info, error;
	float ms;

	info = put_log(jit->info, jit->info_size, r == CUDA_SUCCESS ? log : "");
	error = put_log(jit->error, jit->error_size, r != CUDA_SUCCESS ? log : "");
	for (unsigned i = 0; i < jit->count; i++) {
		switch (jit->option[i]) {
		case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
			jit->value[i] = (void *)(uintptr_t)info;
			break;
		case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
			jit->value[i] = (void *)(uintptr_t)error;
			break;
		case CU_JIT_WALL_TIME:
			/* A float in the bytes of the pointer. */
			ms = (float)(now_ns() - jit->start_ns) / 1e6f;
			jit->value[i] = NULL;
			memcpy(&jit->value[i], &ms, sizeof(ms));
			break;
		default:
			break;
		}
	}
}

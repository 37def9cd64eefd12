/* SPDX-License-Identifier: MIT */
/*
 * call.h - what happens around every entry point: is the driver up, who calls, trace.
 */
#ifndef CORE_CALL_H
#define CORE_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include <cuda.h>

#include "libcuda/core/process.h"

/** One entry point that is being executed; lives on its stack. */
struct cu_call {
	struct cu_call *outer; /* the call whose callback made this one, NULL */
	const char *symbol;
	const void *caller; /* return address into the program */
	uint64_t start_ns;  /* with trace only */
	bool per_thread;    /* came through a _ptsz or _ptds symbol */
	bool told;	    /* the log has a line about it */
};

/* Kinds of entry points. */
#define CU_CALL_PER_THREAD (1u << 0)
#define CU_CALL_EARLY	   (1u << 1) /* allowed before cuInit */

/** cu_enter() - CUDA_SUCCESS, or why the call must not go on. Always followed by cu_leave(). */
CUresult cu_enter(struct cu_call *call, const char *symbol, unsigned flags, const void *caller);
/** cu_leave() - returns @r. What is not supported leaves a line in the log, once per symbol. */
CUresult cu_leave(struct cu_call *call, CUresult r, _Atomic bool *said);

/**
 * cu_caller_is_library() - does the entry point's caller lie in one of NVIDIA's libraries?
 *
 * They pick kernels by compute capability and carry machine code for all that they know; for a
 * device newer than that they use PTX. So they, and only they, see @dev's library_cc; the list of
 * their soname prefixes comes with the device.
 */
bool cu_caller_is_library(const struct cu_device *dev);
/** cu_caller_cc() - major * 10 + minor that this caller shall see. */
int cu_caller_cc(const struct cu_device *dev);

#endif

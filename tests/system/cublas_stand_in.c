/* SPDX-License-Identifier: MIT */
/*
 * cublas_stand_in.c - lets libggml-cuda.so load without the 500 MB of cuBLAS, for a test that only
 * lists devices. Every function ends the process: nobody can mistake it for the library.
 */
#include <stdio.h>
#include <stdlib.h>

#define REFUSE(name)                                                                               \
	void name(void);                                                                           \
	__attribute__((visibility("default"))) void name(void)                                     \
	{                                                                                          \
		fprintf(stderr, "%s: this is the stand-in, not cuBLAS\n", #name);                  \
		abort();                                                                           \
	}

REFUSE(cublasCreate_v2)
REFUSE(cublasDestroy_v2)
REFUSE(cublasGemmBatchedEx)
REFUSE(cublasGemmEx)
REFUSE(cublasGemmStridedBatchedEx)
REFUSE(cublasGetStatusString)
REFUSE(cublasSetMathMode)
REFUSE(cublasSetStream_v2)
REFUSE(cublasSetWorkspace_v2)
REFUSE(cublasSgemmBatched)
REFUSE(cublasSgemmStridedBatched)
REFUSE(cublasSgemm_v2)
REFUSE(cublasStrsmBatched)

/* SPDX-License-Identifier: MIT */
/*
 * sanitized.c - a program with a sanitizer of its own, which libcuda must not upset: neither its
 * addresses nor its search for leaks. Says "ok" when the device computed.
 */
#include <stdio.h>

#include <cuda.h>

#define TRY(call)                                                                                  \
	do {                                                                                       \
		CUresult r_ = (call);                                                              \
		if (r_) {                                                                          \
			printf("%s = %d\n", #call, (int)r_);                                       \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

int main(void)
{
	unsigned int *pinned, value = 0;
	CUdeviceptr mem, managed;
	CUstream stream;
	CUcontext ctx;
	CUdevice dev;

	TRY(cuInit(0));
	TRY(cuDeviceGet(&dev, 0));
	TRY(cuDevicePrimaryCtxRetain(&ctx, dev));
	TRY(cuCtxSetCurrent(ctx));
	TRY(cuStreamCreate(&stream, 0));
	TRY(cuMemAlloc(&mem, 1 << 20));
	TRY(cuMemsetD32Async(mem, 7, 1 << 18, stream));
	TRY(cuMemHostAlloc((void **)&pinned, 4096, 0));
	TRY(cuMemcpyDtoHAsync(pinned, mem, 4096, stream));
	TRY(cuMemAllocManaged(&managed, 4096, CU_MEM_ATTACH_GLOBAL));
	TRY(cuMemsetD32(managed, 9, 16));
	TRY(cuCtxSynchronize());
	TRY(cuMemcpyDtoH(&value, mem + 4000, 4));
	if (value != 7 || pinned[5] != 7 || *(unsigned int *)managed != 9) {
		printf("%u %u %u\n", value, pinned[5], *(unsigned int *)managed);
		return 1;
	}
	puts("ok");
	return 0;
}

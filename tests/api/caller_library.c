/* SPDX-License-Identifier: MIT */
/*
 * caller_library.c - asks for the compute capability from inside a library. Built twice: under a name that
 * begins like one of NVIDIA's, and under another.
 */
#include <cuda.h>

__attribute__((visibility("default"))) int caller_library_cc(CUdevice dev);

int caller_library_cc(CUdevice dev)
{
	int major = 0, minor = 0;

	if (cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, dev) ||
	    cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, dev))
		return -1;
	return major * 10 + minor;
}

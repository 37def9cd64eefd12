/* SPDX-License-Identifier: MIT */
/*
 * device.c - devices and their properties. Everything here is answered from what link_open()
 * brought: no call goes to the daemon.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/call.h"
#include "libcuda/core/ctx.h"
#include "libcuda/core/error.h"
#include "libcuda/impl/impl.h"
#include "libcuda/link/link.h"

CUresult impl_cuDeviceGet(CUdevice *device, int ordinal)
{
	if (!device)
		return CUDA_ERROR_INVALID_VALUE;
	if (!cu_device_get(ordinal))
		return CUDA_ERROR_INVALID_DEVICE;
	*device = ordinal;
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceGetCount(int *count)
{
	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	*count = cu_device_count();
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceGetName(char *name, int len, CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);

	if (!name || len <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	snprintf(name, (size_t)len, "%.*s", (int)sizeof(d->link->info.name), d->link->info.name);
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);

	if (!uuid)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	memcpy(uuid->bytes, d->link->info.uuid, sizeof(uuid->bytes));
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
	return impl_cuDeviceGetUuid_v2(uuid, dev);
}

/* There is no such thing outside Windows; drivers on Linux answer so. */
CUresult impl_cuDeviceGetLuid(char *luid, unsigned int *deviceNodeMask, CUdevice dev)
{
	return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult impl_cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);

	if (!bytes)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	*bytes = d->link->info.mem_total;
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);
	const struct vgpu_device_attrs *a;
	unsigned i = (unsigned)attrib;

	if (!pi)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	a = &d->link->attrs;
	if (i >= VGPU_MAX_ATTRS || !(a->known[i / 64] >> (i % 64) & 1))
		return CUDA_ERROR_INVALID_VALUE;
	switch (attrib) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
		*pi = cu_caller_cc(d) / 10;
		break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
		*pi = cu_caller_cc(d) % 10;
		break;
	default:
		*pi = a->value[i];
	}
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceComputeCapability(int *major, int *minor, CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);
	int cc;

	if (!major || !minor)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	cc = cu_caller_cc(d);
	*major = cc / 10;
	*minor = cc % 10;
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceGetProperties(CUdevprop *prop, CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);

	if (!prop)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
#define ATTR(name) cu_device_attr(d, CU_DEVICE_ATTRIBUTE_##name, 0)
	*prop = (CUdevprop){
		.maxThreadsPerBlock = ATTR(MAX_THREADS_PER_BLOCK),
		.maxThreadsDim = { ATTR(MAX_BLOCK_DIM_X), ATTR(MAX_BLOCK_DIM_Y),
				   ATTR(MAX_BLOCK_DIM_Z) },
		.maxGridSize = { ATTR(MAX_GRID_DIM_X), ATTR(MAX_GRID_DIM_Y), ATTR(MAX_GRID_DIM_Z) },
		.sharedMemPerBlock = ATTR(MAX_SHARED_MEMORY_PER_BLOCK),
		.totalConstantMemory = ATTR(TOTAL_CONSTANT_MEMORY),
		.SIMDWidth = ATTR(WARP_SIZE),
		.memPitch = ATTR(MAX_PITCH),
		.regsPerBlock = ATTR(MAX_REGISTERS_PER_BLOCK),
		.clockRate = ATTR(CLOCK_RATE),
		.textureAlign = ATTR(TEXTURE_ALIGNMENT),
	};
#undef ATTR
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceGetPCIBusId(char *pciBusId, int len, CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);
	int n;

	if (!pciBusId || len <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	n = snprintf(pciBusId, (size_t)len, "%04X:%02X:%02X.0", d->link->info.pci_domain,
		     d->link->info.pci_bus, d->link->info.pci_device);
	return n < len ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* "domain:bus:device.function", "domain:bus:device" or "bus:device.function", all hexadecimal. */
CUresult impl_cuDeviceGetByPCIBusId(CUdevice *dev, const char *pciBusId)
{
	unsigned domain = 0, bus, device, function = 0;
	int used = 0;

	if (!dev || !pciBusId)
		return CUDA_ERROR_INVALID_VALUE;
	if (!((sscanf(pciBusId, "%x:%x:%x.%x%n", &domain, &bus, &device, &function, &used) == 4 &&
	       !pciBusId[used]) ||
	      (sscanf(pciBusId, "%x:%x:%x%n", &domain, &bus, &device, &used) == 3 &&
	       !pciBusId[used]) ||
	      (domain = 0, sscanf(pciBusId, "%x:%x.%x%n", &bus, &device, &function, &used) == 3 &&
				   !pciBusId[used])))
		return CUDA_ERROR_INVALID_VALUE;
	for (int i = 0; i < cu_device_count(); i++) {
		const struct vgpu_device_info *info = &cu_device_get(i)->link->info;

		if (info->pci_domain == domain && info->pci_bus == bus &&
		    info->pci_device == device && !function) {
			*dev = i;
			return CUDA_SUCCESS;
		}
	}
	return CUDA_ERROR_INVALID_DEVICE;
}

/* --------------------------------------------------------------------------------------------- */

/*
 * Peers. All devices of a process live in one worker and one window of addresses, so any of them
 * can reach the memory of any other.
 */
CUresult impl_cuDeviceCanAccessPeer(int *canAccessPeer, CUdevice dev, CUdevice peerDev)
{
	if (!canAccessPeer)
		return CUDA_ERROR_INVALID_VALUE;
	if (!cu_device_get(dev) || !cu_device_get(peerDev))
		return CUDA_ERROR_INVALID_DEVICE;
	*canAccessPeer = dev != peerDev;
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attrib, CUdevice srcDevice,
				      CUdevice dstDevice)
{
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	if (!cu_device_get(srcDevice) || !cu_device_get(dstDevice) || srcDevice == dstDevice)
		return CUDA_ERROR_INVALID_DEVICE;
	switch (attrib) {
	case CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK:
		*value = 0;
		break;
	case CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED:
	case CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED:
		*value = 1;
		break;
	case CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED:
	case CU_DEVICE_P2P_ATTRIBUTE_ONLY_PARTIAL_NATIVE_ATOMIC_SUPPORTED:
		*value = 0;
		break;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

/* Between whom atomics are native, all of them are. */
static CUresult atomic_capabilities(unsigned int *capabilities, const CUatomicOperation *operations,
				    unsigned int count, bool native)
{
	if (!capabilities || !operations || !count)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < count; i++)
		if ((unsigned)operations[i] >= CU_ATOMIC_OPERATION_MAX)
			return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < count; i++)
		capabilities[i] = !native ? 0
					  : CU_ATOMIC_CAPABILITY_SIGNED |
						    CU_ATOMIC_CAPABILITY_UNSIGNED |
						    CU_ATOMIC_CAPABILITY_SCALAR_32 |
						    CU_ATOMIC_CAPABILITY_SCALAR_64;
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceGetHostAtomicCapabilities(unsigned int *capabilities,
						const CUatomicOperation *operations,
						unsigned int count, CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	return atomic_capabilities(
		capabilities, operations, count,
		cu_device_attr(d, CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED, 0));
}

CUresult impl_cuDeviceGetP2PAtomicCapabilities(unsigned int *capabilities,
					       const CUatomicOperation *operations,
					       unsigned int count, CUdevice srcDevice,
					       CUdevice dstDevice)
{
	if (!cu_device_get(srcDevice) || !cu_device_get(dstDevice) || srcDevice == dstDevice)
		return CUDA_ERROR_INVALID_DEVICE;
	return atomic_capabilities(capabilities, operations, count, true);
}

CUresult impl_cuDeviceGetExecAffinitySupport(int *pi, CUexecAffinityType type, CUdevice dev)
{
	if (!pi)
		return CUDA_ERROR_INVALID_VALUE;
	if (!cu_device_get(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	if (type != CU_EXEC_AFFINITY_TYPE_SM_COUNT)
		return CUDA_ERROR_INVALID_VALUE;
	*pi = 0; /* only under MPS */
	return CUDA_SUCCESS;
}

static int channel_bytes(CUarray_format format)
{
	switch (format) {
	case CU_AD_FORMAT_UNSIGNED_INT8:
	case CU_AD_FORMAT_SIGNED_INT8:
		return 1;
	case CU_AD_FORMAT_UNSIGNED_INT16:
	case CU_AD_FORMAT_SIGNED_INT16:
	case CU_AD_FORMAT_HALF:
		return 2;
	case CU_AD_FORMAT_UNSIGNED_INT32:
	case CU_AD_FORMAT_SIGNED_INT32:
	case CU_AD_FORMAT_FLOAT:
		return 4;
	default:
		return 0;
	}
}

/* The limit of the hardware is one of elements, whatever their size. */
CUresult impl_cuDeviceGetTexture1DLinearMaxWidth(size_t *maxWidthInElements, CUarray_format format,
						 unsigned numChannels, CUdevice dev)
{
	struct cu_device *d = cu_device_get(dev);
	int bytes = channel_bytes(format);

	if (!maxWidthInElements || !bytes ||
	    (numChannels != 1 && numChannels != 2 && numChannels != 4))
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	*maxWidthInElements =
		(size_t)cu_device_attr(d, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH, 0);
	return CUDA_SUCCESS;
}

/* Memory is coherent: there is nothing that a flush would have to bring along. */
CUresult impl_cuFlushGPUDirectRDMAWrites(CUflushGPUDirectRDMAWritesTarget target,
					 CUflushGPUDirectRDMAWritesScope scope)
{
	struct cu_ctx *ctx;

	if (target != CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TARGET_CURRENT_CTX ||
	    (scope != CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_OWNER &&
	     scope != CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_ALL_DEVICES))
		return CUDA_ERROR_INVALID_VALUE;
	return cu_ctx_usable(&ctx);
}

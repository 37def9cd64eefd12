/* SPDX-License-Identifier: MIT */
/*
 * launch.c - launches: what the manual says is wrong is refused here, the rest goes into the
 * stream.
 */
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/error.h"
#include "libcuda/core/stream.h"
#include "libcuda/impl/capture.h"
#include "libcuda/impl/graph.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/launch.h"
#include "libcuda/impl/texture.h"
#include "libcuda/link/link.h"

#define STACK_PARAM_BYTES 4096 /* larger blocks are built on the heap */
#define PORTABLE_CLUSTER  8    /* blocks; more needs the function's consent */
#define LARGEST_CLUSTER	  16

/*
 * No code of the driver API, but what the runtime library takes for cudaErrorInvalidConfiguration:
 * it hands codes on as they are.
 */
#define INVALID_CONFIGURATION ((CUresult)9)

static CUresult check_shape(const struct cu_device *dev, const struct launch *l)
{
	static const CUdevice_attribute grid_max[3] = {
		CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X,
		CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y,
		CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z,
	};
	static const CUdevice_attribute block_max[3] = {
		CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X,
		CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y,
		CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z,
	};
	uint64_t threads = 1;

	for (int i = 0; i < 3; i++) {
		if (!l->grid[i] || !l->block[i] ||
		    l->grid[i] > (unsigned)cu_device_attr(dev, grid_max[i], 65535) ||
		    l->block[i] > (unsigned)cu_device_attr(dev, block_max[i], 64))
			return CUDA_ERROR_INVALID_VALUE;
		threads *= l->block[i];
	}
	if (threads >
	    (unsigned)cu_device_attr(dev, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult check_func(const struct vgpu_func_info *info, const struct launch *l)
{
	uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2];

	if (info->reqntid[0]) {
		for (int i = 0; i < 3; i++)
			if (l->block[i] != (info->reqntid[i] ? info->reqntid[i] : 1))
				return CUDA_ERROR_INVALID_VALUE;
	}
	if (threads > info->max_threads)
		return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
	if (l->shared_bytes > info->max_dynamic_shared)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

/* The cluster that the launch runs with: its own, else the kernel's, else 1,1,1. */
static CUresult find_cluster(const struct vgpu_func_info *info, const struct launch *l,
			     uint32_t ret_cluster[3])
{
	bool own = l->cluster[0] || l->cluster[1] || l->cluster[2], fixed = info->cluster[0];
	uint64_t blocks = 1;

	if (!own && !fixed && info->cluster_must_be_set)
		return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	for (int i = 0; i < 3; i++) {
		uint32_t c = own ? l->cluster[i] : fixed ? info->cluster[i] : 1;

		if (own && fixed && l->cluster[i] != info->cluster[i])
			return CUDA_ERROR_INVALID_CLUSTER_SIZE;
		if (!c || l->grid[i] % c)
			return CUDA_ERROR_INVALID_CLUSTER_SIZE;
		ret_cluster[i] = c;
		blocks *= c;
	}
	if (blocks > (info->nonportable_cluster ? LARGEST_CLUSTER : PORTABLE_CLUSTER))
		return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	return CUDA_SUCCESS;
}

/* All blocks of a cooperative grid must be resident at once. */
static CUresult check_cooperative(struct cu_func *f, const struct launch *l)
{
	struct cu_device *dev = f->module->ctx->dev;
	struct vgpu_func_occupancy occ = {
		.func = f->func,
		.block_size = l->block[0] * l->block[1] * l->block[2],
		.dynamic_shared = l->shared_bytes,
	};
	uint64_t sms = (uint64_t)cu_device_attr(dev, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 1);
	uint64_t blocks = (uint64_t)l->grid[0] * l->grid[1];
	int r;

	r = link_call(dev->link, VGPU_OP_FUNC_OCCUPANCY, &occ, sizeof(occ));
	if (r < 0)
		return cu_from_errno(r);
	/* grid[0] and grid[1] are below 2^31 and 2^16: only the last product could overflow. */
	if (blocks > occ.blocks * sms || blocks * l->grid[2] > occ.blocks * sms)
		return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
	return CUDA_SUCCESS;
}

static void gather(const struct func_layout *layout, void **params, uint8_t *block)
{
	memset(block, 0, layout->bytes);
	for (uint32_t i = 0; i < layout->count; i++)
		memcpy(block + layout->param[i].offset, params[i], layout->param[i].size);
}

/* Every parameter lies inside the block: checked once here, as the worker's word is not proof. */
static bool layout_fits(const struct func_layout *layout)
{
	for (uint32_t i = 0; i < layout->count; i++)
		if (layout->param[i].offset > layout->bytes ||
		    layout->param[i].size > layout->bytes - layout->param[i].offset)
			return false;
	return true;
}

/* Of a block of parameters, up to the end of the last one. */
static size_t needed_bytes(const struct func_layout *layout)
{
	size_t n = 0;

	for (uint32_t i = 0; i < layout->count; i++)
		if (n < (size_t)layout->param[i].offset + layout->param[i].size)
			n = (size_t)layout->param[i].offset + layout->param[i].size;
	return n;
}

CUresult launch_collect(const struct func_layout *layout, const struct launch *l, uint8_t *block)
{
	if (!layout_fits(layout))
		return CUDA_ERROR_UNKNOWN;
	if (l->params) {
		for (uint32_t i = 0; i < layout->count; i++)
			if (!l->params[i])
				return CUDA_ERROR_INVALID_VALUE;
		gather(layout, l->params, block);
		return CUDA_SUCCESS;
	}
	if (layout->count && (!l->block_of_params || l->block_bytes < needed_bytes(layout)))
		return CUDA_ERROR_INVALID_VALUE;
	/* A block may be longer, or lack the padding behind its last parameter. */
	memset(block, 0, layout->bytes);
	if (l->block_of_params)
		memcpy(block, l->block_of_params,
		       l->block_bytes < layout->bytes ? l->block_bytes : layout->bytes);
	return CUDA_SUCCESS;
}

static CUresult submit(struct cu_func *f, const struct launch *l, const uint32_t cluster[3],
		       struct cu_stream *s)
{
	struct vgpu_cmd_launch cmd = {
		.head = { .op = VGPU_CMD_LAUNCH },
		.func = f->func,
		.flags = l->cooperative ? VGPU_LAUNCH_COOPERATIVE : 0,
		.grid = { l->grid[0], l->grid[1], l->grid[2] },
		.block = { l->block[0], l->block[1], l->block[2] },
		.cluster = { cluster[0], cluster[1], cluster[2] },
		.shared_bytes = l->shared_bytes,
	};
	uint8_t small[STACK_PARAM_BYTES], *block = small;
	const struct func_layout *layout;
	CUresult r;

	r = func_layout(f, &layout);
	if (r != CUDA_SUCCESS)
		return r;
	cmd.param_bytes = layout->bytes;
	if (layout->bytes > sizeof(small)) {
		block = malloc(layout->bytes);
		if (!block)
			return CUDA_ERROR_OUT_OF_MEMORY;
	}
	r = launch_collect(layout, l, block);
	if (r == CUDA_SUCCESS)
		r = cu_stream_submit(s, &cmd.head, sizeof(cmd), block, layout->bytes, NULL);
	if (block != small)
		free(block);
	return r;
}

static CUresult refuse_shape(const struct cu_func *f, const struct launch *l)
{
	CUresult r = check_shape(f->module->ctx->dev, l);

	return r != CUDA_SUCCESS && f->module->wrapped ? INVALID_CONFIGURATION : r;
}

static CUresult check_kernel(struct cu_func *f, const struct launch *l, uint32_t ret_cluster[3])
{
	struct vgpu_func_info info;
	CUresult r;

	r = func_info(f, &info);
	if (r == CUDA_SUCCESS)
		r = check_func(&info, l);
	if (r == CUDA_SUCCESS)
		r = find_cluster(&info, l, ret_cluster);
	if (r == CUDA_SUCCESS && l->cooperative)
		r = check_cooperative(f, l);
	if (r == CUDA_SUCCESS)
		r = texref_apply(f->module);
	return r;
}

CUresult launch_check(struct cu_func *f, const struct launch *l, uint32_t ret_cluster[3])
{
	uint32_t cluster[3];
	CUresult r = refuse_shape(f, l);

	return r == CUDA_SUCCESS ? check_kernel(f, l, ret_cluster ? ret_cluster : cluster) : r;
}

static CUresult capture(struct cu_func *f, const struct launch *l, struct cu_stream *s)
{
	struct graph_work w;
	CUresult r = graph_work_launch(f, l, &w);

	return r == CUDA_SUCCESS ? capture_add(s, &w) : r;
}

CUresult launch_func(struct cu_func *f, const struct launch *l)
{
	struct cu_stream *s;
	uint32_t cluster[3];
	bool capturing;
	CUresult r;

	r = refuse_shape(f, l);
	if (r == CUDA_SUCCESS)
		r = cu_stream_get(l->stream, &s);
	if (r == CUDA_SUCCESS)
		r = capture_check(s, &capturing);
	if (r != CUDA_SUCCESS)
		return r;
	if (s->ctx != f->module->ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	r = check_kernel(f, l, cluster);
	if (r == CUDA_SUCCESS)
		r = capturing ? capture(f, l, s) : submit(f, l, cluster, s);
	if (r == CUDA_SUCCESS && l->done_event)
		r = impl_cuEventRecord(l->done_event, l->stream);
	return r;
}

/* ---- entry points --------------------------------------------------------------------------- */

/* The other way to give parameters: a list of (key, value) that ends with CU_LAUNCH_PARAM_END. */
CUresult launch_extra(void **extra, struct launch *l)
{
	if (!extra)
		return CUDA_SUCCESS;
	if (l->params)
		return CUDA_ERROR_INVALID_VALUE;
	for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
		if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
			l->block_of_params = extra[1];
		else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
			l->block_bytes = *(const size_t *)extra[1];
		else
			return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

static CUresult launch(CUfunction handle, struct launch *l, void **extra)
{
	struct cu_func *f;
	CUresult r;

	r = func_get(handle, &f);
	if (r == CUDA_SUCCESS)
		r = launch_extra(extra, l);
	return r == CUDA_SUCCESS ? launch_func(f, l) : r;
}

CUresult impl_cuLaunchKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY,
			     unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY,
			     unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream,
			     void **kernelParams, void **extra)
{
	struct launch l = {
		.grid = { gridDimX, gridDimY, gridDimZ },
		.block = { blockDimX, blockDimY, blockDimZ },
		.shared_bytes = sharedMemBytes,
		.stream = hStream,
		.params = kernelParams,
	};

	return launch(f, &l, extra);
}

CUresult impl_cuLaunchCooperativeKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY,
					unsigned int gridDimZ, unsigned int blockDimX,
					unsigned int blockDimY, unsigned int blockDimZ,
					unsigned int sharedMemBytes, CUstream hStream,
					void **kernelParams)
{
	struct launch l = {
		.grid = { gridDimX, gridDimY, gridDimZ },
		.block = { blockDimX, blockDimY, blockDimZ },
		.shared_bytes = sharedMemBytes,
		.cooperative = true,
		.stream = hStream,
		.params = kernelParams,
	};

	return launch(f, &l, NULL);
}

CUresult launch_attribute(const CUlaunchAttribute *a, struct launch *l)
{
	switch (a->id) {
	case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
		l->cooperative = a->value.cooperative;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
		l->cluster[0] = a->value.clusterDim.x;
		l->cluster[1] = a->value.clusterDim.y;
		l->cluster[2] = a->value.clusterDim.z;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
		/* After the whole kernel is later than asked for, and right. */
		l->done_event = a->value.programmaticEvent.event;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
		l->done_event = a->value.launchCompletionEvent.event;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
		return a->value.deviceUpdatableKernelNode.deviceUpdatable ? CUDA_ERROR_NOT_SUPPORTED
									  : CUDA_SUCCESS;
	/* Hints; kernels of a stream run one after the other, in full view of each other's writes.
	 */
	case CU_LAUNCH_ATTRIBUTE_IGNORE:
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
	case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
	case CU_LAUNCH_ATTRIBUTE_PRIORITY:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
	case CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING:
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult impl_cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **kernelParams,
			       void **extra)
{
	struct launch l = { .params = kernelParams };
	CUresult r;

	if (!config || (config->numAttrs && !config->attrs))
		return CUDA_ERROR_INVALID_VALUE;
	l.grid[0] = config->gridDimX;
	l.grid[1] = config->gridDimY;
	l.grid[2] = config->gridDimZ;
	l.block[0] = config->blockDimX;
	l.block[1] = config->blockDimY;
	l.block[2] = config->blockDimZ;
	l.shared_bytes = config->sharedMemBytes;
	l.stream = config->hStream;
	for (unsigned i = 0; i < config->numAttrs; i++) {
		r = launch_attribute(&config->attrs[i], &l);
		if (r != CUDA_SUCCESS)
			return r;
	}
	return launch(f, &l, extra);
}

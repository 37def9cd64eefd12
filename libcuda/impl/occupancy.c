/* SPDX-License-Identifier: MIT */
/*
 * occupancy.c - how many blocks a multiprocessor of the device would hold. The worker counts for
 * one shape; the searches over shapes are here, because they ask the program back.
 */
#include "libcuda/core/error.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/module.h"
#include "libcuda/link/link.h"

static CUresult resident(struct cu_func *f, unsigned block_size, size_t dynamic, int *ret_blocks)
{
	struct vgpu_func_occupancy req = {
		.func = f->func,
		.block_size = block_size,
		.dynamic_shared = dynamic,
	};
	struct vgpu_func_info info;
	CUresult res = func_info(f, &info);
	int r;

	if (res != CUDA_SUCCESS)
		return res;
	/* A launch with more than the function was given leave for would be refused. */
	if (dynamic > info.max_dynamic_shared) {
		*ret_blocks = 0;
		return CUDA_SUCCESS;
	}
	r = link_call(f->module->ctx->dev->link, VGPU_OP_FUNC_OCCUPANCY, &req, sizeof(req));
	if (r < 0)
		return cu_from_errno(r);
	*ret_blocks = (int)req.blocks;
	return CUDA_SUCCESS;
}

static int attr(const struct cu_func *f, CUdevice_attribute a)
{
	return cu_device_attr(f->module->ctx->dev, a, 0);
}

CUresult impl_cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *numBlocks, CUfunction func,
								   int blockSize,
								   size_t dynamicSMemSize,
								   unsigned int flags)
{
	struct cu_func *f;
	CUresult r;

	if (!numBlocks || blockSize <= 0 || (flags & ~CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
		return CUDA_ERROR_INVALID_VALUE;
	r = func_get(func, &f);
	return r == CUDA_SUCCESS ? resident(f, (unsigned)blockSize, dynamicSMemSize, numBlocks) : r;
}

CUresult impl_cuOccupancyMaxActiveBlocksPerMultiprocessor(int *numBlocks, CUfunction func,
							  int blockSize, size_t dynamicSMemSize)
{
	return impl_cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(numBlocks, func, blockSize,
									 dynamicSMemSize, 0);
}

/* The block size that keeps most threads resident; of equal ones the largest. */
CUresult
impl_cuOccupancyMaxPotentialBlockSizeWithFlags(int *minGridSize, int *blockSize, CUfunction func,
					       CUoccupancyB2DSize blockSizeToDynamicSMemSize,
					       size_t dynamicSMemSize, int blockSizeLimit,
					       unsigned int flags)
{
	struct vgpu_func_info info;
	struct cu_func *f;
	int limit, warp, best_threads = 0, best_size = 0, best_blocks = 0;
	CUresult r;

	if (!minGridSize || !blockSize || blockSizeLimit < 0 ||
	    (flags & ~CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
		return CUDA_ERROR_INVALID_VALUE;
	r = func_get(func, &f);
	if (r == CUDA_SUCCESS)
		r = func_info(f, &info);
	if (r != CUDA_SUCCESS)
		return r;
	warp = attr(f, CU_DEVICE_ATTRIBUTE_WARP_SIZE);
	if (warp <= 0)
		return CUDA_ERROR_UNKNOWN;
	limit = attr(f, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
	if ((int)info.max_threads < limit)
		limit = (int)info.max_threads;
	if (blockSizeLimit && blockSizeLimit < limit)
		limit = blockSizeLimit;
	for (int top = (limit + warp - 1) / warp * warp; top > 0; top -= warp) {
		int size = top < limit ? top : limit, blocks;
		size_t dynamic = blockSizeToDynamicSMemSize ? blockSizeToDynamicSMemSize(size)
							    : dynamicSMemSize;

		r = resident(f, (unsigned)size, dynamic, &blocks);
		if (r != CUDA_SUCCESS)
			return r;
		if (size * blocks > best_threads) {
			best_threads = size * blocks;
			best_size = size;
			best_blocks = blocks;
		}
		if (best_threads == attr(f, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR))
			break;
	}
	*blockSize = best_size;
	*minGridSize = best_blocks * attr(f, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
	return CUDA_SUCCESS;
}

CUresult impl_cuOccupancyMaxPotentialBlockSize(int *minGridSize, int *blockSize, CUfunction func,
					       CUoccupancyB2DSize blockSizeToDynamicSMemSize,
					       size_t dynamicSMemSize, int blockSizeLimit)
{
	return impl_cuOccupancyMaxPotentialBlockSizeWithFlags(minGridSize, blockSize, func,
							      blockSizeToDynamicSMemSize,
							      dynamicSMemSize, blockSizeLimit, 0);
}

/* What each of so many blocks may have, in the units that hardware hands shared memory out in. */
CUresult impl_cuOccupancyAvailableDynamicSMemPerBlock(size_t *dynamicSmemSize, CUfunction func,
						      int numBlocks, int blockSize)
{
	const size_t unit = 128;
	struct vgpu_func_info info;
	struct cu_func *f;
	size_t each, reserved, fixed;
	int most;
	CUresult r;

	if (!dynamicSmemSize || numBlocks <= 0 || blockSize <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	r = func_get(func, &f);
	if (r == CUDA_SUCCESS)
		r = func_info(f, &info);
	if (r == CUDA_SUCCESS)
		r = resident(f, (unsigned)blockSize, 0, &most);
	if (r != CUDA_SUCCESS)
		return r;
	if (numBlocks > most)
		return CUDA_ERROR_INVALID_VALUE;
	reserved = (size_t)attr(f, CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK);
	each = (size_t)attr(f, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR) /
	       (size_t)numBlocks / unit * unit;
	fixed = reserved + info.shared_bytes;
	each = each > fixed ? each - fixed : 0;
	*dynamicSmemSize = each < info.max_dynamic_shared ? each : info.max_dynamic_shared;
	return CUDA_SUCCESS;
}

/* ---- clusters ------------------------------------------------------------------------------- */

static CUresult config_cluster(const CUlaunchConfig *config, struct cu_func *f,
			       const struct vgpu_func_info *info, unsigned *ret_blocks)
{
	unsigned c[3] = { info->cluster[0], info->cluster[1], info->cluster[2] };

	for (unsigned i = 0; i < config->numAttrs; i++) {
		if (config->attrs[i].id != CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
			continue;
		c[0] = config->attrs[i].value.clusterDim.x;
		c[1] = config->attrs[i].value.clusterDim.y;
		c[2] = config->attrs[i].value.clusterDim.z;
	}
	for (int i = 0; i < 3; i++)
		if (!c[i])
			c[i] = 1;
	if (c[0] > 16 || c[1] > 16 || c[2] > 16)
		return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	*ret_blocks = c[0] * c[1] * c[2];
	return *ret_blocks <= (info->nonportable_cluster ? 16u : 8u)
		       ? CUDA_SUCCESS
		       : CUDA_ERROR_INVALID_CLUSTER_SIZE;
}

/* Clusters stay within a group of multiprocessors; we count as if all of them were one group. */
CUresult impl_cuOccupancyMaxActiveClusters(int *numClusters, CUfunction func,
					   const CUlaunchConfig *config)
{
	struct vgpu_func_info info;
	struct cu_func *f;
	unsigned cluster;
	int blocks;
	CUresult r;

	if (!numClusters || !config || (config->numAttrs && !config->attrs))
		return CUDA_ERROR_INVALID_VALUE;
	r = func_get(func, &f);
	if (r == CUDA_SUCCESS && !attr(f, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH))
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r == CUDA_SUCCESS)
		r = func_info(f, &info);
	if (r == CUDA_SUCCESS)
		r = config_cluster(config, f, &info, &cluster);
	if (r == CUDA_SUCCESS)
		r = resident(f, config->blockDimX * config->blockDimY * config->blockDimZ,
			     config->sharedMemBytes, &blocks);
	if (r == CUDA_SUCCESS)
		*numClusters =
			blocks * attr(f, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) / (int)cluster;
	return r;
}

CUresult impl_cuOccupancyMaxPotentialClusterSize(int *clusterSize, CUfunction func,
						 const CUlaunchConfig *config)
{
	struct vgpu_func_info info;
	struct cu_func *f;
	int blocks;
	CUresult r;

	if (!clusterSize || !config)
		return CUDA_ERROR_INVALID_VALUE;
	r = func_get(func, &f);
	if (r == CUDA_SUCCESS && !attr(f, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH))
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r == CUDA_SUCCESS)
		r = func_info(f, &info);
	if (r == CUDA_SUCCESS)
		r = resident(f, config->blockDimX * config->blockDimY * config->blockDimZ,
			     config->sharedMemBytes, &blocks);
	if (r == CUDA_SUCCESS)
		*clusterSize = !blocks ? 0 : info.nonportable_cluster ? 16 : 8;
	return r;
}

/* SPDX-License-Identifier: MIT */
/*
 * async.cu - asynchronous copies, barriers, clusters and tensor copies as CUDA C++ offers them, each
 * compared with what the CPU computes.
 *
 * Built by nvcc for compute_80 and compute_90; what an architecture has not is left out and said.
 * Exit code 0: all right; 1: a wrong result; 2: a CUDA error.
 */
#pragma nv_diag_suppress static_var_with_dynamic_init
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda/barrier>
#include <cuda/pipeline>
#include <cuda/ptx>
#include <cuda_pipeline.h>
#include <vector>

#include <cuda.h>
#include <cuda_runtime.h>

namespace cg = cooperative_groups;
using block_barrier = cuda::barrier<cuda::thread_scope_block>;

#define CHECK(call)                                                                                \
	do {                                                                                       \
		cudaError_t e_ = (call);                                                           \
		if (e_ != cudaSuccess) {                                                           \
			fprintf(stderr, "%s:%d: %s: %s (%s)\n", __FILE__, __LINE__, #call,         \
				cudaGetErrorName(e_), cudaGetErrorString(e_));                     \
			exit(2);                                                                   \
		}                                                                                  \
	} while (0)

static int wrong;

static void report(const char *name, bool ok)
{
	printf("%-28s %s\n", name, ok ? "right" : "WRONG");
	wrong += !ok;
}

template <class T> struct Managed {
	explicit Managed(size_t n) : count(n)
	{
		CHECK(cudaMallocManaged(&p, n * sizeof(T)));
		memset((void *)p, 0, n * sizeof(T));
	}
	~Managed()
	{
		cudaFree(p);
	}
	T &operator[](size_t i)
	{
		return p[i];
	}
	T *p = nullptr;
	size_t count;
};

static void numbers(Managed<int> &a)
{
	for (size_t i = 0; i < a.count; i++)
		a[i] = (int)(i * 2654435761u >> 7);
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* Sums of tiles, each tile copied by the whole block. */
__global__ void group_copy(const int *in, int *out, int tiles)
{
	__shared__ int tile[256];
	cg::thread_block block = cg::this_thread_block();
	int sum = 0;

	for (int t = 0; t < tiles; t++) {
		cg::memcpy_async(block, tile, in + (blockIdx.x * tiles + t) * 256, sizeof(tile));
		cg::wait(block);
		sum += tile[(threadIdx.x * 7 + t) % 256];
		block.sync();
	}
	out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

/* The same with two buffers and cuda::pipeline, for the block. */
__global__ void pipeline_block(const int *in, int *out, int tiles)
{
	__shared__ alignas(16) int tile[2][256];
	__shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
	auto block = cg::this_thread_block();
	auto pipe = cuda::make_pipeline(block, &state);
	int sum = 0;

	for (int t = 0, next = 0; t < tiles; t++) {
		for (; next < tiles && next < t + 2; next++) {
			pipe.producer_acquire();
			cuda::memcpy_async(block, tile[next % 2],
					   in + (blockIdx.x * tiles + next) * 256,
					   cuda::aligned_size_t<16>(1024), pipe);
			pipe.producer_commit();
		}
		pipe.consumer_wait();
		sum += tile[t % 2][(threadIdx.x * 7 + t) % 256];
		pipe.consumer_release();
	}
	out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

/* One warp of producers, the others consume. */
__global__ void pipeline_roles(const int *in, int *out, int tiles)
{
	__shared__ alignas(16) int tile[2][256];
	__shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
	auto block = cg::this_thread_block();
	auto pipe = cuda::make_pipeline(block, &state, (size_t)32);
	int sum = 0;

	if (threadIdx.x < 32) {
		for (int t = 0; t < tiles; t++) {
			pipe.producer_acquire();
			for (int i = threadIdx.x; i < 64; i += 32)
				cuda::memcpy_async((int4 *)tile[t % 2] + i,
						   (const int4 *)(in + (blockIdx.x * tiles + t) * 256) + i,
						   cuda::aligned_size_t<16>(16), pipe);
			pipe.producer_commit();
		}
		return;
	}
	for (int t = 0; t < tiles; t++) {
		pipe.consumer_wait();
		sum += tile[t % 2][((threadIdx.x - 32) * 7 + t) % 256];
		pipe.consumer_release();
	}
	out[blockIdx.x * 256 + threadIdx.x - 32] = sum;
}

/* Thread-wide pipeline: cp.async and its groups. */
__global__ void pipeline_thread(const int *in, int *out, int tiles)
{
	__shared__ int tile[4][256];
	int sum = 0;

	for (int t = 0; t < tiles + 3; t++) {
		if (t < tiles)
			__pipeline_memcpy_async(&tile[t % 4][threadIdx.x],
						&in[(blockIdx.x * tiles + t) * 256 + threadIdx.x], 4);
		__pipeline_commit();
		if (t < 3)
			continue;
		__pipeline_wait_prior(3);
		sum += tile[(t - 3) % 4][threadIdx.x] ^ t;
	}
	out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

/* A barrier that is told of the copy, arrivals in two halves. */
__global__ void barrier_copy(const int *in, int *out, int tiles)
{
	__shared__ alignas(16) int tile[256];
	__shared__ block_barrier bar;
	auto block = cg::this_thread_block();
	int sum = 0;

	if (block.thread_rank() == 0)
		init(&bar, block.size());
	block.sync();
	for (int t = 0; t < tiles; t++) {
		cuda::memcpy_async(block, tile, in + (blockIdx.x * tiles + t) * 256,
				   cuda::aligned_size_t<16>(1024), bar);
		block_barrier::arrival_token token = bar.arrive();
		sum ^= t;
		bar.wait(std::move(token));
		sum += tile[(threadIdx.x * 7 + t) % 256];
		bar.arrive_and_wait();
	}
	out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

/* Threads leave one after the other; the rest goes on in phases. */
__global__ void barrier_drop(int *out)
{
	__shared__ block_barrier bar;
	__shared__ int phase[128];

	if (threadIdx.x == 0)
		init(&bar, blockDim.x);
	phase[threadIdx.x] = 0;
	__syncthreads();
	for (unsigned i = 0; i < 8; i++) {
		if (threadIdx.x % 8 == i) {
			bar.arrive_and_drop();
			break;
		}
		phase[threadIdx.x]++;
		bar.arrive_and_wait();
	}
	out[threadIdx.x] = phase[threadIdx.x];
}

static void copies()
{
	const int blocks = 6, tiles = 5;
	Managed<int> in(blocks * tiles * 256), out(blocks * 256);
	struct {
		const char *name;
		void (*kernel)(const int *, int *, int);
		int threads, mix; /* 0 sum, 1 by thread ^ t, 2 running xor of t first */
	} all[] = { { "cg::memcpy_async", group_copy, 256, 0 },
		    { "pipeline of a block", pipeline_block, 256, 0 },
		    { "pipeline with roles", pipeline_roles, 288, 0 },
		    { "pipeline of a thread", pipeline_thread, 256, 1 },
		    { "barrier and memcpy_async", barrier_copy, 256, 2 } };

	numbers(in);
	for (auto &k : all) {
		bool ok = true;

		memset(out.p, 0, out.count * 4);
		k.kernel<<<blocks, k.threads>>>(in.p, out.p, tiles);
		CHECK(cudaGetLastError());
		CHECK(cudaDeviceSynchronize());
		for (int b = 0; b < blocks; b++)
			for (int i = 0; i < 256; i++) {
				int sum = 0;

				for (int t = 0; t < tiles; t++) {
					const int *tile = &in[(b * tiles + t) * 256];

					if (k.mix == 2)
						sum ^= t;
					sum += k.mix == 1 ? tile[i] ^ (t + 3) : tile[(i * 7 + t) % 256];
				}
				ok = ok && out[b * 256 + i] == sum;
			}
		report(k.name, ok);
	}
	bool ok = true;

	barrier_drop<<<1, 128>>>(out.p);
	CHECK(cudaDeviceSynchronize());
	for (int i = 0; i < 128; i++)
		ok = ok && out[i] == i % 8;
	report("barrier, arrive and drop", ok);
}

/* ---- clusters and tensor copies, from compute_90 on ------------------------------------------ */

#ifdef WITH_CLUSTERS
/* A histogram whose bins are spread over the shared memory of a cluster. */
__global__ void cluster_histogram(const int *in, int n, int *bins, int count)
{
	extern __shared__ int mine[];
	cg::cluster_group cluster = cg::this_cluster();
	int each = count / (int)cluster.num_blocks();

	for (int i = threadIdx.x; i < each; i += blockDim.x)
		mine[i] = 0;
	cluster.sync();
	for (int i = cluster.thread_rank(); i < n; i += (int)cluster.num_threads()) {
		int bin = (unsigned)in[i] % (unsigned)count;
		int *there = cluster.map_shared_rank(mine, bin / each);

		atomicAdd(there + bin % each, 1);
	}
	cluster.sync();
	for (int i = threadIdx.x; i < each; i += blockDim.x)
		atomicAdd(&bins[cluster.block_rank() * each + i], mine[i]);
}

/* Compiled for a shape of its own; a value goes round. */
__global__ void __cluster_dims__(2, 2, 1) cluster_ring(int *out)
{
	__shared__ int value;
	cg::cluster_group cluster = cg::this_cluster();
	unsigned r = cluster.block_rank(), n = cluster.num_blocks();

	if (threadIdx.x == 0)
		value = (int)r * 10;
	for (unsigned i = 0; i < 3; i++) {
		cluster.sync();
		int v = *cluster.map_shared_rank(&value, (r + 1) % n);

		cluster.sync();
		if (threadIdx.x == 0)
			value = v + 1;
	}
	cluster.sync();
	if (threadIdx.x == 0)
		out[blockIdx.y * gridDim.x + blockIdx.x] = value;
}

static void clusters()
{
	const int n = 5000, count = 512;
	Managed<int> in(n), bins(count), ring(8 * 4);
	cudaLaunchConfig_t config = {};
	cudaLaunchAttribute attr[1];
	std::vector<int> want(count);
	bool ok = true;

	numbers(in);
	for (int i = 0; i < n; i++)
		want[(unsigned)in[i] % count]++;
	for (int size = 1; size <= 8; size *= 2) {
		int active = 0;

		memset(bins.p, 0, count * 4);
		config.gridDim = (unsigned)size;
		config.blockDim = 96;
		config.dynamicSmemBytes = (size_t)count / size * 4;
		attr[0].id = cudaLaunchAttributeClusterDimension;
		attr[0].val.clusterDim.x = (unsigned)size;
		attr[0].val.clusterDim.y = attr[0].val.clusterDim.z = 1;
		config.attrs = attr;
		config.numAttrs = 1;
		CHECK(cudaOccupancyMaxActiveClusters(&active, cluster_histogram, &config));
		ok = ok && active > 0;
		CHECK(cudaLaunchKernelEx(&config, cluster_histogram, (const int *)in.p, n, bins.p,
					 count));
		CHECK(cudaDeviceSynchronize());
		ok = ok && !memcmp(bins.p, want.data(), count * 4);
	}
	report("cluster histogram", ok);

	cluster_ring<<<dim3(8, 4), 64>>>(ring.p);
	CHECK(cudaGetLastError());
	CHECK(cudaDeviceSynchronize());
	ok = true;
	for (int y = 0; y < 4; y++)
		for (int x = 0; x < 8; x++) {
			int r = x % 2 + 2 * (y % 2);

			ok = ok && ring[y * 8 + x] == (r + 3) % 4 * 10 + 3;
		}
	report("cluster ring", ok);
}

/* A tile comes by a tensor copy, is transposed, and goes by another one. */
__global__ void tensor_transpose(const __grid_constant__ CUtensorMap from,
				 const __grid_constant__ CUtensorMap to)
{
	__shared__ alignas(128) float a[32][32], b[32][32];
	__shared__ alignas(8) uint64_t bar;
	namespace ptx = cuda::ptx;
	int32_t at[2] = { (int)blockIdx.x * 32, (int)blockIdx.y * 32 };
	int32_t there[2] = { at[1], at[0] };

	if (threadIdx.x == 0) {
		ptx::mbarrier_init(&bar, 1);
		ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
		ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &bar,
					       sizeof(a));
		ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, &a, &from, at, &bar);
	}
	__syncthreads();
	while (!ptx::mbarrier_try_wait_parity(&bar, 0))
		;
	for (int i = threadIdx.x; i < 1024; i += blockDim.x)
		b[i % 32][i / 32] = a[i / 32][i % 32];
	ptx::fence_proxy_async(ptx::space_shared);
	__syncthreads();
	if (threadIdx.x == 0) {
		ptx::cp_async_bulk_tensor(ptx::space_global, ptx::space_shared, &to, there, &b);
		ptx::cp_async_bulk_commit_group();
		ptx::cp_async_bulk_wait_group_read(ptx::n32_t<0>());
	}
}

/* Bulk copies in and out, with a reduction into global memory. */
__global__ void bulk_add(const int *in, int *sum)
{
	__shared__ alignas(16) int tile[512];
	__shared__ block_barrier bar;
	namespace ptx = cuda::ptx;

	if (threadIdx.x == 0) {
		init(&bar, blockDim.x);
		ptx::fence_proxy_async(ptx::space_shared);
	}
	__syncthreads();
	block_barrier::arrival_token token;
	if (threadIdx.x == 0) {
		cuda::memcpy_async(tile, in + blockIdx.x * 512, cuda::aligned_size_t<16>(sizeof(tile)),
				   bar);
		token = cuda::device::barrier_arrive_tx(bar, 1, 0);
	} else {
		token = bar.arrive();
	}
	bar.wait(std::move(token));
	for (int i = threadIdx.x; i < 512; i += blockDim.x)
		tile[i] *= 3;
	ptx::fence_proxy_async(ptx::space_shared);
	__syncthreads();
	if (threadIdx.x == 0) {
		ptx::cp_reduce_async_bulk(ptx::space_global, ptx::space_shared, ptx::op_add, sum, tile,
					  (uint32_t)sizeof(tile));
		ptx::cp_async_bulk_commit_group();
		ptx::cp_async_bulk_wait_group(ptx::n32_t<0>());
	}
}

static CUtensorMap matrix(float *p, uint64_t width, uint64_t height)
{
	void *encode = nullptr;
	cudaDriverEntryPointQueryResult found;
	CUtensorMap map;
	cuuint64_t dims[2] = { width, height }, strides[1] = { width * 4 };
	cuuint32_t box[2] = { 32, 32 }, steps[2] = { 1, 1 };

	CHECK(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &encode, 12000,
					       cudaEnableDefault, &found));
	CUresult r = ((decltype(&cuTensorMapEncodeTiled))encode)(
		&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, p, dims, strides, box, steps,
		CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
		CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
	if (r != CUDA_SUCCESS) {
		fprintf(stderr, "cuTensorMapEncodeTiled: %d\n", (int)r);
		exit(2);
	}
	return map;
}

static void tensors()
{
	const int w = 100, h = 76;
	Managed<float> a(w * h), b(w * h);
	Managed<int> in(512 * 20), sum(512);
	bool ok = true;

	for (int i = 0; i < w * h; i++)
		a[i] = (float)i;
	tensor_transpose<<<dim3((w + 31) / 32, (h + 31) / 32), 128>>>(matrix(a.p, w, h),
								       matrix(b.p, h, w));
	CHECK(cudaGetLastError());
	CHECK(cudaDeviceSynchronize());
	for (int y = 0; y < h; y++)
		for (int x = 0; x < w; x++)
			ok = ok && b[x * h + y] == a[y * w + x];
	report("tensor copies", ok);

	numbers(in);
	bulk_add<<<20, 128>>>(in.p, sum.p);
	CHECK(cudaGetLastError());
	CHECK(cudaDeviceSynchronize());
	ok = true;
	for (int i = 0; i < 512; i++) {
		unsigned want = 0;

		for (int t = 0; t < 20; t++)
			want += (unsigned)in[t * 512 + i] * 3u;
		ok = ok && (unsigned)sum[i] == want;
	}
	report("bulk copies", ok);
}
#endif

int main()
{
	copies();
#ifdef WITH_CLUSTERS
	clusters();
	tensors();
#else
	printf("clusters and tensor copies: not in this architecture\n");
#endif
	if (!wrong)
		printf("all results right\n");
	return wrong ? 1 : 0;
}

// SPDX-License-Identifier: MIT
// kernels.cu - the kernels of the speed table, each as one writes it for a GPU, and how they are launched.
#include <cuda_runtime.h>

#include "work.h"

#define THREADS 256

__global__ void saxpy(float a, const float *x, const float *y, float *out, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		out[i] = a * x[i] + y[i];
}

// The sum of a warp, in all its lanes.
__device__ float warp_sum(float v)
{
	for (int d = 16; d; d /= 2)
		v += __shfl_xor_sync(~0u, v, d);
	return v;
}

__device__ float warp_max(float v)
{
	for (int d = 16; d; d /= 2)
		v = fmaxf(v, __shfl_xor_sync(~0u, v, d));
	return v;
}

__device__ float block_sum(float v)
{
	__shared__ float part[THREADS / 32];
	float sum = 0;

	v = warp_sum(v);
	__syncthreads();
	if (threadIdx.x % 32 == 0)
		part[threadIdx.x / 32] = v;
	__syncthreads();
	for (int i = 0; i < THREADS / 32; i++)
		sum += part[i];
	return sum;
}

__device__ float block_max(float v)
{
	__shared__ float part[THREADS / 32];
	float most;

	v = warp_max(v);
	__syncthreads();
	if (threadIdx.x % 32 == 0)
		part[threadIdx.x / 32] = v;
	__syncthreads();
	most = part[0];
	for (int i = 1; i < THREADS / 32; i++)
		most = fmaxf(most, part[i]);
	return most;
}

// One sum per block; a tree in shared memory.
__global__ void reduction(const float *in, float *out, int n)
{
	__shared__ float part[THREADS];
	float sum = 0;

	for (int i = blockIdx.x * THREADS + threadIdx.x; i < n; i += gridDim.x * THREADS)
		sum += in[i];
	part[threadIdx.x] = sum;
	__syncthreads();
	for (int d = THREADS / 2; d; d /= 2) {
		if (threadIdx.x < d)
			part[threadIdx.x] += part[threadIdx.x + d];
		__syncthreads();
	}
	if (threadIdx.x == 0)
		out[blockIdx.x] = part[0];
}

// 32 x 8 threads move a tile of 32 x 32.
__global__ void transpose(const float *in, float *out, int n)
{
	__shared__ float tile[32][33];
	int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;

	for (int i = 0; i < 32; i += 8)
		tile[threadIdx.y + i][threadIdx.x] = in[(y + i) * n + x];
	__syncthreads();
	x = blockIdx.y * 32 + threadIdx.x;
	y = blockIdx.x * 32 + threadIdx.y;
	for (int i = 0; i < 32; i += 8)
		out[(y + i) * n + x] = tile[threadIdx.x][threadIdx.y + i];
}

__global__ void stencil(const float *in, float *out, int n)
{
	int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;

	if (x > 0 && y > 0 && x < n - 1 && y < n - 1)
		out[y * n + x] = 0.5f * in[y * n + x] +
				 0.125f * (in[y * n + x - 1] + in[y * n + x + 1] +
					   in[(y - 1) * n + x] + in[(y + 1) * n + x]);
}

__global__ void histogram(const unsigned int *in, unsigned int *out, int n)
{
	__shared__ unsigned int bins[256];

	bins[threadIdx.x] = 0;
	__syncthreads();
	for (int i = blockIdx.x * THREADS + threadIdx.x; i < n; i += gridDim.x * THREADS) {
		unsigned int v = in[i];

		atomicAdd(&bins[v & 255], 1);
		atomicAdd(&bins[v >> 8 & 255], 1);
		atomicAdd(&bins[v >> 16 & 255], 1);
		atomicAdd(&bins[v >> 24], 1);
	}
	__syncthreads();
	atomicAdd(&out[threadIdx.x], bins[threadIdx.x]);
}

__global__ void nbody(const float4 *in, float4 *out, int n)
{
	__shared__ float4 tile[THREADS];
	int i = blockIdx.x * THREADS + threadIdx.x;
	float4 me = in[i], sum = make_float4(0, 0, 0, 0);

	for (int j = 0; j < n; j += THREADS) {
		tile[threadIdx.x] = in[j + threadIdx.x];
		__syncthreads();
#pragma unroll 8
		for (int k = 0; k < THREADS; k++) {
			float4 o = tile[k];
			float dx = o.x - me.x, dy = o.y - me.y, dz = o.z - me.z;
			float r = rsqrtf(dx * dx + dy * dy + dz * dz + 1e-3f), f = o.w * r * r * r;

			sum.x += dx * f;
			sum.y += dy * f;
			sum.z += dz * f;
		}
		__syncthreads();
	}
	out[i] = sum;
}

#define TILE 16

__global__ void sgemm(const float *a, const float *b, float *c, int n)
{
	__shared__ float as[TILE][TILE], bs[TILE][TILE];
	int row = blockIdx.y * TILE + threadIdx.y, col = blockIdx.x * TILE + threadIdx.x;
	float sum = 0;

	for (int k = 0; k < n; k += TILE) {
		as[threadIdx.y][threadIdx.x] = a[row * n + k + threadIdx.x];
		bs[threadIdx.y][threadIdx.x] = b[(k + threadIdx.y) * n + col];
		__syncthreads();
#pragma unroll
		for (int i = 0; i < TILE; i++)
			sum += as[threadIdx.y][i] * bs[i][threadIdx.x];
		__syncthreads();
	}
	c[row * n + col] = sum;
}

// One block per row.
__global__ void softmax(const float *in, float *out, int n)
{
	const float *row = in + blockIdx.x * n;
	float most = -INFINITY, sum = 0;

	for (int i = threadIdx.x; i < n; i += THREADS)
		most = fmaxf(most, row[i]);
	most = block_max(most);
	for (int i = threadIdx.x; i < n; i += THREADS)
		sum += expf(row[i] - most);
	sum = 1 / block_sum(sum);
	for (int i = threadIdx.x; i < n; i += THREADS)
		out[blockIdx.x * n + i] = expf(row[i] - most) * sum;
}

__global__ void layernorm(const float *in, const float *scale, const float *bias, float *out, int n)
{
	const float *row = in + blockIdx.x * n;
	float sum = 0, var = 0;

	for (int i = threadIdx.x; i < n; i += THREADS)
		sum += row[i];
	sum = block_sum(sum) / n;
	for (int i = threadIdx.x; i < n; i += THREADS)
		var += (row[i] - sum) * (row[i] - sum);
	var = rsqrtf(block_sum(var) / n + 1e-5f);
	for (int i = threadIdx.x; i < n; i += THREADS)
		out[blockIdx.x * n + i] = (row[i] - sum) * var * scale[i] + bias[i];
}

// A matrix of bytes times a vector of bytes; one warp per row.
__global__ void dot8(const int *a, const int *x, int *y, int words)
{
	int row = blockIdx.x * (THREADS / 32) + threadIdx.x / 32, sum = 0;

	for (int i = threadIdx.x % 32; i < words; i += 32)
		sum = __dp4a(a[row * words + i], x[i], sum);
	for (int d = 16; d; d /= 2)
		sum += __shfl_down_sync(~0u, sum, d);
	if (threadIdx.x % 32 == 0)
		y[row] = sum;
}

void gpu_saxpy(const struct work *w)
{
	saxpy<<<(w->n + THREADS - 1) / THREADS, THREADS>>>(2.5f, (float *)w->gpu[0],
							   (float *)w->gpu[1], (float *)w->gpu[2],
							   w->n);
}

void gpu_reduction(const struct work *w)
{
	reduction<<<REDUCTION_BLOCKS, THREADS>>>((float *)w->gpu[0], (float *)w->gpu[2], w->n);
}

void gpu_transpose(const struct work *w)
{
	transpose<<<dim3(w->n / 32, w->n / 32), dim3(32, 8)>>>((float *)w->gpu[0],
							       (float *)w->gpu[2], w->n);
}

void gpu_stencil(const struct work *w)
{
	stencil<<<dim3((w->n + 31) / 32, (w->n + 7) / 8), dim3(32, 8)>>>(
		(float *)w->gpu[0], (float *)w->gpu[2], w->n);
}

void gpu_histogram(const struct work *w)
{
	cudaMemsetAsync(w->gpu[2], 0, 256 * sizeof(int));
	histogram<<<32, THREADS>>>((unsigned int *)w->gpu[0], (unsigned int *)w->gpu[2], w->n);
}

void gpu_nbody(const struct work *w)
{
	nbody<<<w->n / THREADS, THREADS>>>((float4 *)w->gpu[0], (float4 *)w->gpu[2], w->n);
}

void gpu_sgemm(const struct work *w)
{
	sgemm<<<dim3(w->n / TILE, w->n / TILE), dim3(TILE, TILE)>>>(
		(float *)w->gpu[0], (float *)w->gpu[1], (float *)w->gpu[2], w->n);
}

void gpu_softmax(const struct work *w)
{
	softmax<<<w->n, THREADS>>>((float *)w->gpu[0], (float *)w->gpu[2], w->n);
}

void gpu_layernorm(const struct work *w)
{
	layernorm<<<w->n, THREADS>>>((float *)w->gpu[0], (float *)w->gpu[1],
				     (float *)w->gpu[1] + w->n, (float *)w->gpu[2], w->n);
}

void gpu_dot8(const struct work *w)
{
	dot8<<<w->n / (THREADS / 32), THREADS>>>((int *)w->gpu[0], (int *)w->gpu[1],
						 (int *)w->gpu[2], w->n / 4);
}

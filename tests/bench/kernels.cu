// SPDX-License-Identifier: MIT
// kernels.cu - the kernels of the benchmark; compiled to PTX and loaded through the driver API.

extern "C" __global__ void bench_empty()
{
}

extern "C" __global__ void bench_saxpy(float a, const float *x, float *y, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		y[i] = a * x[i] + y[i];
}

#define TILE 16

// C = A * B for square row-major matrices whose side is a multiple of TILE.
extern "C" __global__ void bench_sgemm(const float *a, const float *b, float *c, int n)
{
	__shared__ float as[TILE][TILE], bs[TILE][TILE];
	int row = blockIdx.y * TILE + threadIdx.y;
	int col = blockIdx.x * TILE + threadIdx.x;
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

// Until the host says so.
extern "C" __global__ void bench_wait(volatile unsigned *flag)
{
	while (!*flag)
		;
}

// A chain of dependent operations.
extern "C" __global__ void bench_turns(unsigned *out, int turns)
{
	unsigned x = threadIdx.x;

	for (int i = 0; i < turns; i++)
		x = x * 1664525u + 1013904223u;
	out[threadIdx.x] = x;
}

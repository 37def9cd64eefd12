// SPDX-License-Identifier: MIT
//
// rdc_main.cu - a program of several files whose device code needs each other's (nvcc -rdc=true); the
// other file is rdc_other.cu. Exit status 0 when all results are right.
//
#include <cstdio>

__device__ int base = 1000;
static __device__ int own = 100;
extern __device__ int scaled(int v);
extern __constant__ int shift;
int other_says(void);

__global__ void sum(int *out, int v)
{
	out[threadIdx.x] = scaled(v + threadIdx.x) + base + own + shift;
}

#define CHECK(call)                                                                                \
	do {                                                                                       \
		cudaError_t check_r = (call);                                                      \
		if (check_r != cudaSuccess) {                                                      \
			printf("%s: %s\n", #call, cudaGetErrorString(check_r));                    \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

int main()
{
	int *d, h[32], fresh = 2000, bad = 0;

	CHECK(cudaMalloc(&d, sizeof(h)));
	CHECK(cudaMemcpyToSymbol(base, &fresh, sizeof(fresh)));
	sum<<<1, 32>>>(d, 5);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(h, d, sizeof(h), cudaMemcpyDeviceToHost));
	for (int i = 0; i < 32; i++)
		if (h[i] != 2 * (5 + i) + 2000 + 100 + 7) {
			printf("element %d is %d\n", i, h[i]);
			bad++;
		}
	if (other_says() != 2000) {
		printf("the other file sees %d\n", other_says());
		bad++;
	}
	if (!bad)
		printf("all results right\n");
	return bad != 0;
}

// SPDX-License-Identifier: MIT
//
// rdc_other.cu - what rdc_main.cu needs: a function and a constant; and it uses a variable of that.
//
extern __device__ int base;
__constant__ int shift = 7;
static __device__ int own = 2; // another than that of rdc_main.cu

__device__ int scaled(int v)
{
	return v * own;
}

__global__ void tell(int *p)
{
	*p = base;
}

int other_says(void)
{
	int *d, h = 0;

	cudaMalloc(&d, sizeof(h));
	tell<<<1, 1>>>(d);
	cudaMemcpy(&h, d, sizeof(h), cudaMemcpyDeviceToHost);
	cudaFree(d);
	return h;
}

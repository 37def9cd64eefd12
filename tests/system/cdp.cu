// SPDX-License-Identifier: MIT
//
// cdp.cu - kernels that launch kernels (nvcc -rdc=true, libcudadevrt): streams, fire-and-forget, tail launches,
// recursion, device-side memcpy and memset, events, errors. Exit status 0 when all results are right.
//
#include <cstdio>

#define CHECK(call)                                                                                \
	do {                                                                                       \
		cudaError_t check_r = (call);                                                      \
		if (check_r != cudaSuccess) {                                                      \
			printf("%s: %s\n", #call, cudaGetErrorString(check_r));                    \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

struct Big {
	int v[100];
};

__global__ void add(int *p, int v)
{
	atomicAdd(p + threadIdx.x, v);
}

__global__ void take(int *p, Big b, char c, double d)
{
	p[threadIdx.x] = b.v[threadIdx.x] + c + (int)d;
}

// Each way to launch, by thread 0 of each block.
__global__ void parent(int *p)
{
	cudaStream_t s;

	if (threadIdx.x)
		return;
	add<<<2, 8>>>(p, 1);
	cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
	add<<<1, 8, 0, s>>>(p, 10);
	cudaStreamDestroy(s);
	add<<<1, 8, 0, cudaStreamFireAndForget>>>(p, 100);
	add<<<1, 8, 0, cudaStreamTailLaunch>>>(p, 1000);
}

__global__ void with_parameters(int *p)
{
	Big b;

	for (int i = 0; i < 100; i++)
		b.v[i] = i;
	take<<<1, 100>>>(p, b, 3, 0.5);
}

// p[0] counts; a tail launch sees what all others before it did.
__global__ void seen(int *p)
{
	p[1] = p[0];
}

__global__ void tail_is_last(int *p)
{
	seen<<<1, 1, 0, cudaStreamTailLaunch>>>(p);
	for (int i = 0; i < 50; i++)
		add<<<1, 1>>>(p, 1);
}

// Sorts [lo, hi) by itself on both sides of a pivot.
__global__ void quicksort(int *p, int lo, int hi)
{
	int i = lo, k = hi - 1, pivot = p[(lo + hi) / 2];

	while (i <= k) {
		while (p[i] < pivot)
			i++;
		while (p[k] > pivot)
			k--;
		if (i <= k) {
			int t = p[i];
			p[i++] = p[k];
			p[k--] = t;
		}
	}
	if (lo < k)
		quicksort<<<1, 1, 0, cudaStreamFireAndForget>>>(p, lo, k + 1);
	if (i < hi - 1)
		quicksort<<<1, 1, 0, cudaStreamFireAndForget>>>(p, i, hi);
}

// A chain much deeper than any nesting.
__global__ void chain(int *p, int n)
{
	p[0]++;
	if (n > 1)
		chain<<<1, 1, 0, cudaStreamTailLaunch>>>(p, n - 1);
}

// The PTX of the device runtime 13.0 sets 0, whatever the value is.
__global__ void memory(int *p, const int *q)
{
	cudaMemsetAsync(p, 0, 64 * sizeof(int), 0);
	cudaMemcpyAsync(p + 64, q, 64 * sizeof(int), cudaMemcpyDeviceToDevice, 0);
}

__global__ void events(int *p)
{
	cudaStream_t a, b;
	cudaEvent_t e;

	cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking);
	cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking);
	cudaEventCreateWithFlags(&e, cudaEventDisableTiming);
	add<<<1, 1, 0, a>>>(p, 5);
	cudaEventRecord(e, a);
	cudaStreamWaitEvent(b, e, 0);
	seen<<<1, 1, 0, b>>>(p);
	cudaEventDestroy(e);
	cudaStreamDestroy(a);
	cudaStreamDestroy(b);
}

__global__ void errors(int *p)
{
	int dev = -1;

	add<<<1, 2000>>>(p, 1);
	p[0] = cudaPeekAtLastError();
	p[1] = cudaGetLastError();
	p[2] = cudaGetLastError();
	p[3] = cudaGetDevice(&dev);
	p[4] = dev;
	p[5] = 0;
	cudaDeviceGetAttribute(&p[5], cudaDevAttrWarpSize, dev);
}

__global__ void wild()
{
	*(volatile int *)16 = 1;
}

__global__ void launches_wild()
{
	wild<<<1, 1>>>();
}

static int bad;

static void expect(const char *what, int have, int want)
{
	if (have != want) {
		printf("%s: %d, not %d\n", what, have, want);
		bad++;
	}
}

int main()
{
	const int n = 1000;
	static int h[n];
	int *p, *q;
	cudaError_t e;

	CHECK(cudaMalloc(&p, sizeof(h)));
	CHECK(cudaMalloc(&q, sizeof(h)));

	CHECK(cudaMemset(p, 0, sizeof(h)));
	parent<<<3, 32>>>(p);
	CHECK(cudaMemcpy(h, p, sizeof(h), cudaMemcpyDeviceToHost));
	for (int i = 0; i < 8; i++)
		expect("all ways to launch", h[i], 3 * 1112);
	expect("all ways to launch, beyond", h[8], 0);

	with_parameters<<<1, 1>>>(p);
	CHECK(cudaMemcpy(h, p, sizeof(h), cudaMemcpyDeviceToHost));
	for (int i = 0; i < 100; i++)
		expect("parameters", h[i], i + 3);

	CHECK(cudaMemset(p, 0, sizeof(h)));
	tail_is_last<<<1, 1>>>(p);
	CHECK(cudaMemcpy(h, p, sizeof(h), cudaMemcpyDeviceToHost));
	expect("tail launch", h[1], 50);

	for (int i = 0; i < n; i++)
		h[i] = (i * 7919 + 13) % 1009;
	CHECK(cudaMemcpy(p, h, sizeof(h), cudaMemcpyHostToDevice));
	quicksort<<<1, 1>>>(p, 0, n);
	CHECK(cudaMemcpy(h, p, sizeof(h), cudaMemcpyDeviceToHost));
	for (int i = 1; i < n; i++)
		expect("sorted", h[i - 1] <= h[i], 1);

	CHECK(cudaMemset(p, 0, sizeof(h)));
	chain<<<1, 1>>>(p, 5000);
	CHECK(cudaMemcpy(h, p, sizeof(h), cudaMemcpyDeviceToHost));
	expect("chain", h[0], 5000);

	for (int i = 0; i < n; i++)
		h[i] = i;
	CHECK(cudaMemcpy(q, h, sizeof(h), cudaMemcpyHostToDevice));
	CHECK(cudaMemset(p, 0x22, sizeof(h)));
	memory<<<1, 1>>>(p, q);
	CHECK(cudaMemcpy(h, p, sizeof(h), cudaMemcpyDeviceToHost));
	expect("memset", h[0] | h[63], 0);
	expect("memset and memcpy, beyond", h[128], 0x22222222);
	expect("memcpy", h[64 + 63], 63);

	CHECK(cudaMemset(p, 0, sizeof(h)));
	events<<<1, 1>>>(p);
	CHECK(cudaMemcpy(h, p, sizeof(h), cudaMemcpyDeviceToHost));
	expect("events", h[1], 5);

	errors<<<1, 1>>>(p);
	CHECK(cudaMemcpy(h, p, sizeof(h), cudaMemcpyDeviceToHost));
	expect("peek", h[0], cudaErrorInvalidConfiguration);
	expect("last error", h[1], cudaErrorInvalidConfiguration);
	expect("cleared", h[2], 0);
	expect("device", h[4], 0);
	expect("warp size", h[5], 32);

	launches_wild<<<1, 1>>>();
	e = cudaDeviceSynchronize();
	expect("fault of a child", e, cudaErrorIllegalAddress);
	if (!bad)
		printf("all results right\n");
	return bad != 0;
}

/* SPDX-License-Identifier: MIT */
/* feature_atomics.cu - libcu++: atomics of each scope, a lock, barriers, a semaphore, latches, asynchronous copies. */
#include <cuda/atomic>
#include <cuda/barrier>
#include <cuda/latch>
#include <cuda/pipeline>
#include <cuda/semaphore>

#include "feature.h"

__global__ void counts(int *total, float *sum, unsigned *most)
{
	cuda::atomic_ref<int, cuda::thread_scope_device> t(*total);
	cuda::atomic_ref<float, cuda::thread_scope_system> s(*sum);
	cuda::atomic_ref<unsigned, cuda::thread_scope_device> m(*most);

	t.fetch_add(1, cuda::memory_order_relaxed);
	s.fetch_add(0.5f);
	m.fetch_max((blockIdx.x * blockDim.x + threadIdx.x) * 7919u % 10007u);
}

__global__ void locked(cuda::binary_semaphore<cuda::thread_scope_device> *lock, volatile int *value)
{
	/* One thread of a warp at a time, as a lock without forward progress in the warp would need it, too. */
	for (int i = 0; i < 32; i++)
		if (threadIdx.x % 32 == i) {
			lock->acquire();
			*value = *value + 1;
			lock->release();
		}
}

/* Half of the block makes, the other half takes. */
__global__ void handed(int *out)
{
	__shared__ cuda::barrier<cuda::thread_scope_block> full, empty;
	__shared__ int slot[64];

	if (!threadIdx.x) {
		init(&full, 128);
		init(&empty, 128);
	}
	__syncthreads();
	for (int round = 0; round < 4; round++) {
		if (threadIdx.x < 64) {
			if (round)
				empty.arrive_and_wait();
			slot[threadIdx.x] = round * 1000 + threadIdx.x;
			(void)full.arrive();
		} else {
			full.arrive_and_wait();
			out[round * 64 + threadIdx.x - 64] = slot[127 - threadIdx.x];
			if (round < 3)
				(void)empty.arrive();
		}
	}
}

__global__ void piped(const int4 *in, int4 *out, int rounds)
{
	__shared__ int4 stage[2][64];
	auto pipe = cuda::make_pipeline();

	for (int r = 0; r <= rounds; r++) {
		if (r < rounds) {
			pipe.producer_acquire();
			cuda::memcpy_async(&stage[r % 2][threadIdx.x], &in[r * 64 + threadIdx.x],
					   cuda::aligned_size_t<16>(16), pipe);
			pipe.producer_commit();
		}
		if (r) {
			if (r < rounds)
				cuda::pipeline_consumer_wait_prior<1>(pipe);
			else
				cuda::pipeline_consumer_wait_prior<0>(pipe);
			int4 v = stage[(r - 1) % 2][threadIdx.x];

			v.x += v.w;
			out[(r - 1) * 64 + threadIdx.x] = v;
			pipe.consumer_release();
		}
	}
}

__global__ void latched(cuda::latch<cuda::thread_scope_device> *l, int *in, int *out)
{
	in[blockIdx.x] = blockIdx.x + 1;
	l->arrive_and_wait();
	int sum = 0;

	for (unsigned i = 0; i < gridDim.x; i++)
		sum += ((volatile int *)in)[i];
	out[blockIdx.x] = sum;
}

template <typename T> __global__ void make(T *p, int n)
{
	new (p) T(n);
}

int main()
{
	device_array<int> total(1), value(1);
	device_array<float> sum(1);
	device_array<unsigned> most(1);

	counts<<<32, 128>>>(total.p, sum.p, most.p);
	OK(cudaGetLastError());
	unsigned want = 0;
	for (unsigned i = 0; i < 4096; i++)
		want = std::max(want, i * 7919u % 10007u);
	part("fetch_add", total.get()[0] == 4096);
	part("fetch_add_float", sum.get()[0] == 2048);
	part("fetch_max", most.get()[0] == want);

	using semaphore = cuda::binary_semaphore<cuda::thread_scope_device>;
	device_array<char> room(sizeof(semaphore) + 64);
	make<<<1, 1>>>((semaphore *)room.p, 1);
	locked<<<4, 64>>>((semaphore *)room.p, value.p);
	OK(cudaGetLastError());
	part("semaphore", value.get()[0] == 256);

	device_array<int> out(256);
	handed<<<1, 128>>>(out.p);
	OK(cudaGetLastError());
	auto o = out.get();
	bool right = true;
	for (int i = 0; i < 256; i++)
		right = right && o[i] == i / 64 * 1000 + 63 - i % 64;
	part("barrier", right);

	std::vector<int4> v(320);
	for (int i = 0; i < 320; i++)
		v[i] = make_int4(i, i * 2, i * 3, i * 5);
	device_array<int4> in4(v), out4(v.size());
	piped<<<1, 64>>>(in4.p, out4.p, 5);
	OK(cudaGetLastError());
	auto o4 = out4.get();
	right = true;
	for (int i = 0; i < 320; i++)
		right = right && o4[i].x == i * 6 && o4[i].z == i * 3 && o4[i].w == i * 5;
	part("pipeline", right);

	using latch = cuda::latch<cuda::thread_scope_device>;
	device_array<char> place(sizeof(latch) + 64);
	device_array<int> li(16), lo(16);
	make<<<1, 1>>>((latch *)place.p, 16);
	OK(cudaDeviceSynchronize());
	latch *l = (latch *)place.p;
	void *args[] = { &l, &li.p, &lo.p };
	OK(cudaLaunchCooperativeKernel((const void *)latched, 16, 1, args, 0, 0));
	right = true;
	for (int x : lo.get())
		right = right && x == 136;
	part("latch", right);
	return finish();
}

/* SPDX-License-Identifier: MIT */
/* feature_groups.cu - cooperative groups: tiles, coalesced and labelled groups, reduce, scan, the whole grid. */
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>

#include "feature.h"

namespace cg = cooperative_groups;

__global__ void tiles(const int *in, int *sum, int *scan, int *odd)
{
	auto block = cg::this_thread_block();
	auto tile = cg::tiled_partition<16>(block);
	int i = block.group_index().x * block.size() + block.thread_rank();

	sum[i] = cg::reduce(tile, in[i], cg::plus<int>());
	scan[i] = cg::exclusive_scan(tile, in[i]);
	odd[i] = -1;
	if (in[i] & 1) {
		auto active = cg::coalesced_threads();

		odd[i] = active.thread_rank() + 100 * active.size();
	}
}

__global__ void labels(const int *in, int *largest)
{
	auto warp = cg::tiled_partition<32>(cg::this_thread_block());
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	auto same = cg::labeled_partition(warp, in[i] % 3);

	largest[i] = cg::reduce(same, in[i], cg::greater<int>());
}

__global__ void staged(const float *in, float *out)
{
	__shared__ float s[256];
	auto block = cg::this_thread_block();

	cg::memcpy_async(block, s, in + blockIdx.x * 256, sizeof(s));
	cg::wait(block);
	out[blockIdx.x * 256 + threadIdx.x] = s[255 - threadIdx.x];
}

/* Every block waits for all others, again and again: a prefix by doubling over the grid. */
__global__ void whole(int *a, int *b, int n)
{
	auto grid = cg::this_grid();
	int i = grid.thread_rank();

	for (int step = 1; step < n; step *= 2) {
		b[i] = a[i] + (i >= step ? a[i - step] : 0);
		grid.sync();
		int *t = a;
		a = b;
		b = t;
	}
}

static bool run_tiles(const std::vector<int> &v)
{
	device_array<int> in(v), sum(v.size()), scan(v.size()), odd(v.size());

	tiles<<<v.size() / 128, 128>>>(in.p, sum.p, scan.p, odd.p);
	OK(cudaGetLastError());
	auto s = sum.get(), x = scan.get(), o = odd.get();
	for (size_t t = 0; t < v.size(); t += 16) {
		int total = 0;

		for (size_t i = t; i < t + 16; i++) {
			if (x[i] != total)
				return false;
			total += v[i];
		}
		for (size_t i = t; i < t + 16; i++)
			if (s[i] != total)
				return false;
	}
	for (size_t w = 0; w < v.size(); w += 32) {
		int count = 0, rank = 0;

		for (size_t i = w; i < w + 32; i++)
			count += v[i] & 1;
		for (size_t i = w; i < w + 32; i++)
			if (o[i] != (v[i] & 1 ? rank++ + 100 * count : -1))
				return false;
	}
	return true;
}

static bool run_labels(const std::vector<int> &v)
{
	device_array<int> in(v), largest(v.size());

	labels<<<v.size() / 128, 128>>>(in.p, largest.p);
	OK(cudaGetLastError());
	auto l = largest.get();
	for (size_t w = 0; w < v.size(); w += 32)
		for (size_t i = w; i < w + 32; i++) {
			int most = v[i];

			for (size_t j = w; j < w + 32; j++)
				if (v[j] % 3 == v[i] % 3 && v[j] > most)
					most = v[j];
			if (l[i] != most)
				return false;
		}
	return true;
}

static bool run_staged()
{
	std::vector<float> v(1024);

	for (size_t i = 0; i < v.size(); i++)
		v[i] = float(i);
	device_array<float> in(v), out(v.size());

	staged<<<4, 256>>>(in.p, out.p);
	OK(cudaGetLastError());
	auto o = out.get();
	for (size_t i = 0; i < v.size(); i++)
		if (o[i] != v[i - i % 256 + 255 - i % 256])
			return false;
	return true;
}

static bool run_whole()
{
	int n = 1024, steps = 0;
	std::vector<int> v(n);

	for (auto &x : v)
		x = next_random() % 100;
	device_array<int> a(v), b(n);
	void *args[] = { &a.p, &b.p, &n };

	OK(cudaLaunchCooperativeKernel((const void *)whole, 8, n / 8, args, 0, 0));
	for (int s = 1; s < n; s *= 2)
		steps++;
	auto r = steps % 2 ? b.get() : a.get();
	int total = 0;
	for (int i = 0; i < n; i++)
		if (r[i] != (total += v[i]))
			return false;
	return true;
}

int main()
{
	std::vector<int> v(1024);

	for (auto &x : v)
		x = next_random() % 1000;
	part("tiles", run_tiles(v));
	part("labels", run_labels(v));
	part("staged", run_staged());
	part("grid", run_whole());
	return finish();
}

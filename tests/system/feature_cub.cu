/* SPDX-License-Identifier: MIT */
/* feature_cub.cu - CUB over the device: histogram, radix sort, scans, reductions, selection, run lengths. */
#include <algorithm>
#include <cub/cub.cuh>

#include "feature.h"

/* CUB's two calls: for the size, and for the work. */
template <typename Call> static void twice(Call call)
{
	size_t bytes = 0;

	OK(call(nullptr, bytes));
	device_array<char> temporary(bytes + 1);
	OK(call(temporary.p, bytes));
}

struct is_even {
	__host__ __device__ bool operator()(int x) const { return x % 2 == 0; }
};

int main()
{
	const int n = 20011;
	std::vector<int> v(n);
	std::vector<float> f(n);

	for (int i = 0; i < n; i++) {
		v[i] = int(next_random() % 256);
		f[i] = float(int(next_random() % 2001) - 1000) / 8;
	}
	device_array<int> in(v), out(n), bins(256), one(1), index(n), index_out(n);
	device_array<float> fin(f), fout(n);

	twice([&](void *t, size_t &b) {
		return cub::DeviceHistogram::HistogramEven(t, b, in.p, bins.p, 257, 0, 256, n);
	});
	std::vector<int> want(256);
	for (int x : v)
		want[x]++;
	part("histogram", bins.get() == want);

	twice([&](void *t, size_t &b) { return cub::DeviceRadixSort::SortKeys(t, b, in.p, out.p, n); });
	std::vector<int> sorted = v;
	std::sort(sorted.begin(), sorted.end());
	part("sort_keys", out.get() == sorted);

	std::vector<int> order(n);
	for (int i = 0; i < n; i++)
		order[i] = i;
	OK(cudaMemcpy(index.p, order.data(), n * sizeof(int), cudaMemcpyHostToDevice));
	twice([&](void *t, size_t &b) {
		return cub::DeviceRadixSort::SortPairsDescending(t, b, fin.p, fout.p, index.p,
								 index_out.p, n);
	});
	std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return f[a] > f[b]; });
	part("sort_pairs", index_out.get() == order);

	twice([&](void *t, size_t &b) { return cub::DeviceScan::InclusiveSum(t, b, in.p, out.p, n); });
	want.assign(n, 0);
	for (int i = 0, s = 0; i < n; i++)
		want[i] = s += v[i];
	part("scan", out.get() == want);

	twice([&](void *t, size_t &b) { return cub::DeviceReduce::Sum(t, b, in.p, one.p, n); });
	part("sum", one.get()[0] == want[n - 1]);
	twice([&](void *t, size_t &b) { return cub::DeviceReduce::Max(t, b, fin.p, fout.p, n); });
	part("max", fout.get()[0] == *std::max_element(f.begin(), f.end()));

	twice([&](void *t, size_t &b) {
		return cub::DeviceSelect::If(t, b, in.p, out.p, one.p, n, is_even());
	});
	want.clear();
	std::copy_if(v.begin(), v.end(), std::back_inserter(want), is_even());
	auto got = out.get();
	got.resize(one.get()[0]);
	part("select", got == want);

	OK(cudaMemcpy(in.p, sorted.data(), n * sizeof(int), cudaMemcpyHostToDevice));
	twice([&](void *t, size_t &b) {
		return cub::DeviceRunLengthEncode::Encode(t, b, in.p, out.p, index.p, one.p, n);
	});
	bool right = true;
	auto values = out.get(), lengths = index.get();
	int runs = one.get()[0], at = 0;
	for (int i = 0; i < runs; i++)
		for (int k = 0; k < lengths[i]; k++, at++)
			right = right && at < n && sorted[at] == values[i];
	part("run_lengths", right && at == n);
	return finish();
}

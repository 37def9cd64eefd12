/* SPDX-License-Identifier: MIT */
/* feature_thrust.cu - Thrust: transform, reduce, sort by key, scan, unique, search, on vectors of the device. */
#include <algorithm>
#include <numeric>

#include <thrust/binary_search.h>
#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/functional.h>
#include <thrust/host_vector.h>
#include <thrust/inner_product.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sequence.h>
#include <thrust/sort.h>
#include <thrust/transform.h>
#include <thrust/unique.h>

#include "feature.h"

struct axpy {
	int a;
	__host__ __device__ int operator()(int x, int y) const { return a * x + y; }
};

int main()
{
	const int n = 10007;
	thrust::host_vector<int> h(n), want(n);

	for (int i = 0; i < n; i++)
		h[i] = int(next_random() % 5000);
	thrust::device_vector<int> a = h, b(n), keys = h;

	thrust::sequence(b.begin(), b.end());
	thrust::transform(a.begin(), a.end(), b.begin(), b.begin(), axpy{ 3 });
	for (int i = 0; i < n; i++)
		want[i] = 3 * h[i] + i;
	part("transform", thrust::host_vector<int>(b) == want);

	part("reduce", thrust::reduce(a.begin(), a.end()) == std::accumulate(h.begin(), h.end(), 0));
	long long dot = 0;
	for (int i = 0; i < n; i++)
		dot += (long long)h[i] * h[i];
	part("inner_product", thrust::inner_product(a.begin(), a.end(), a.begin(), 0ll,
						    thrust::plus<long long>(),
						    thrust::multiplies<long long>()) == dot);

	thrust::sequence(b.begin(), b.end());
	thrust::stable_sort_by_key(keys.begin(), keys.end(), b.begin(), thrust::greater<int>());
	std::iota(want.begin(), want.end(), 0);
	std::stable_sort(want.begin(), want.end(), [&](int x, int y) { return h[x] > h[y]; });
	part("sort_by_key", thrust::host_vector<int>(b) == want);

	thrust::exclusive_scan(a.begin(), a.end(), b.begin(), 5);
	for (int i = 0, s = 5; i < n; i++) {
		want[i] = s;
		s += h[i];
	}
	part("scan", thrust::host_vector<int>(b) == want);

	thrust::sort(a.begin(), a.end());
	std::sort(h.begin(), h.end());
	a.erase(thrust::unique(a.begin(), a.end()), a.end());
	h.erase(std::unique(h.begin(), h.end()), h.end());
	part("unique", thrust::host_vector<int>(a) == h);

	bool right = true;
	for (int x : { 0, 17, 2500, 4999, 9000 })
		right = right && thrust::lower_bound(a.begin(), a.end(), x) - a.begin() ==
					 std::lower_bound(h.begin(), h.end(), x) - h.begin();
	part("lower_bound", right);
	return finish();
}

/* SPDX-License-Identifier: MIT */
/* feature_wmma.cu - tensor cores by wmma: half, accumulating in float and in half, integers, both layouts. */
#include <cuda_fp16.h>
#include <mma.h>

#include "feature.h"

using namespace nvcuda;

template <typename Acc>
__global__ void halves(const half *a, const half *b, Acc *d, int n)
{
	wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> fa;
	wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> fb;
	wmma::fragment<wmma::accumulator, 16, 16, 16, Acc> fd;
	int row = blockIdx.y * 16, col = blockIdx.x * 16;

	wmma::fill_fragment(fd, Acc(0));
	for (int k = 0; k < n; k += 16) {
		wmma::load_matrix_sync(fa, a + row * n + k, n);
		wmma::load_matrix_sync(fb, b + col * n + k, n);
		wmma::mma_sync(fd, fa, fb, fd);
	}
	for (int i = 0; i < fd.num_elements; i++)
		fd.x[i] = fd.x[i] + Acc(1);
	wmma::store_matrix_sync(d + row * n + col, fd, n, wmma::mem_row_major);
}

__global__ void bytes(const signed char *a, const signed char *b, int *d)
{
	wmma::fragment<wmma::matrix_a, 32, 8, 16, signed char, wmma::col_major> fa;
	wmma::fragment<wmma::matrix_b, 32, 8, 16, signed char, wmma::row_major> fb;
	wmma::fragment<wmma::accumulator, 32, 8, 16, int> fd;

	wmma::fill_fragment(fd, -3);
	wmma::load_matrix_sync(fa, a, 32);
	wmma::load_matrix_sync(fb, b, 8);
	wmma::mma_sync(fd, fa, fb, fd);
	wmma::store_matrix_sync(d, fd, 32, wmma::mem_col_major);
}

template <typename Acc> static bool run_halves()
{
	const int n = 64;
	std::vector<half> a(n * n), b(n * n);

	/* Small whole numbers: every sum is exact in both types. */
	for (int i = 0; i < n * n; i++) {
		a[i] = __float2half(float(int(next_random() % 5) - 2));
		b[i] = __float2half(float(int(next_random() % 5) - 2));
	}
	device_array<half> da(a), db(b);
	device_array<Acc> dd(n * n);

	halves<Acc><<<dim3(n / 16, n / 16), 32>>>(da.p, db.p, dd.p, n);
	OK(cudaGetLastError());
	auto d = dd.get();
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			float sum = 1;

			for (int k = 0; k < n; k++)
				sum += __half2float(a[i * n + k]) * __half2float(b[j * n + k]);
			if (float(d[i * n + j]) != sum)
				return false;
		}
	return true;
}

static bool run_bytes()
{
	std::vector<signed char> a(32 * 16), b(16 * 8);

	for (auto &x : a)
		x = (signed char)next_random();
	for (auto &x : b)
		x = (signed char)next_random();
	device_array<signed char> da(a), db(b);
	device_array<int> dd(32 * 8);

	bytes<<<1, 32>>>(da.p, db.p, dd.p);
	OK(cudaGetLastError());
	auto d = dd.get();
	for (int i = 0; i < 32; i++)
		for (int j = 0; j < 8; j++) {
			int sum = -3;

			for (int k = 0; k < 16; k++)
				sum += a[k * 32 + i] * b[k * 8 + j];
			if (d[j * 32 + i] != sum)
				return false;
		}
	return true;
}

int main()
{
	part("half_to_float", run_halves<float>());
	part("half_to_half", run_halves<half>());
	part("bytes_to_int", run_bytes());
	return finish();
}

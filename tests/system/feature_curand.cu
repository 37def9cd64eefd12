/* SPDX-License-Identifier: MIT */
/* feature_curand.cu - cuRAND in kernels; its headers make the same numbers on the host, which is what is compared. */
#include <cmath>

#include <curand_kernel.h>

#include "feature.h"

template <typename State> __global__ void words(unsigned long long seed, unsigned *out, int each)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	State s;

	curand_init(seed, i, 3, &s);
	for (int k = 0; k < each; k++)
		out[i * each + k] = curand(&s);
}

template <typename State> __global__ void reals(unsigned long long seed, float *u, float *n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	State s;

	curand_init(seed, i, 0, &s);
	u[i] = curand_uniform(&s);
	n[i] = curand_normal(&s);
}

/* Philox4x32-10, after the paper: counter and key in, four words out. */
static void philox(unsigned c[4], unsigned k0, unsigned k1)
{
	for (int r = 0; r < 10; r++) {
		unsigned long long a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
		unsigned n[4] = { unsigned(b >> 32) ^ c[1] ^ k0, unsigned(b), unsigned(a >> 32) ^ c[3] ^ k1,
				  unsigned(a) };

		for (int i = 0; i < 4; i++)
			c[i] = n[i];
		k0 += 0x9E3779B9;
		k1 += 0xBB67AE85;
	}
}

static bool run_philox()
{
	const unsigned long long seed = 0x123456789abcdefull;
	device_array<unsigned> out(256 * 9);

	words<curandStatePhilox4_32_10_t><<<4, 64>>>(seed, out.p, 9);
	OK(cudaGetLastError());
	auto o = out.get();
	for (unsigned i = 0; i < 256; i++)
		for (unsigned k = 0; k < 9; k++) {
			unsigned at = 3 + k, c[4] = { at / 4, 0, i, 0 };

			philox(c, unsigned(seed), unsigned(seed >> 32));
			if (o[i * 9 + k] != c[at % 4])
				return false;
		}
	return true;
}

/* Marsaglia's xorwow behind the state that the device made. */
__global__ void xorwow_states(unsigned long long seed, curandStateXORWOW_t *s)
{
	curand_init(seed, blockIdx.x * blockDim.x + threadIdx.x, 0, &s[blockIdx.x * blockDim.x + threadIdx.x]);
}

__global__ void xorwow_words(curandStateXORWOW_t *s, unsigned *out)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	for (int k = 0; k < 5; k++)
		out[i * 5 + k] = curand(&s[i]);
}

static bool run_xorwow()
{
	device_array<curandStateXORWOW_t> states(128);
	device_array<unsigned> out(128 * 5);

	xorwow_states<<<2, 64>>>(77, states.p);
	auto s = states.get();
	xorwow_words<<<2, 64>>>(states.p, out.p);
	OK(cudaGetLastError());
	auto o = out.get();
	for (int i = 0; i < 128; i++) {
		for (int j = 0; j < i; j++) /* sequences differ */
			if (s[i].v[0] == s[j].v[0] && s[i].v[4] == s[j].v[4])
				return false;
		for (int k = 0; k < 5; k++) {
			unsigned t = s[i].v[0] ^ s[i].v[0] >> 2;

			for (int j = 0; j < 4; j++)
				s[i].v[j] = s[i].v[j + 1];
			s[i].v[4] ^= s[i].v[4] << 4 ^ t ^ t << 1;
			s[i].d += 362437;
			if (o[i * 5 + k] != s[i].v[4] + s[i].d)
				return false;
		}
	}
	return true;
}

template <typename State> static bool run_reals()
{
	const int n = 16384;
	device_array<float> u(n), g(n);
	double mean = 0, normal = 0, square = 0;

	reals<State><<<n / 256, 256>>>(99, u.p, g.p);
	OK(cudaGetLastError());
	for (float x : u.get()) {
		if (!(x > 0 && x <= 1))
			return false;
		mean += x;
	}
	for (float x : g.get()) {
		normal += x;
		square += double(x) * x;
	}
	/* Five standard deviations. */
	return fabs(mean / n - 0.5) < 0.012 && fabs(normal / n) < 0.04 && fabs(square / n - 1) < 0.06;
}

int main()
{
	part("philox", run_philox());
	part("xorwow", run_xorwow());
	part("philox_reals", run_reals<curandStatePhilox4_32_10_t>());
	part("xorwow_reals", run_reals<curandStateXORWOW_t>());
	part("mrg_reals", run_reals<curandStateMRG32k3a_t>());
	return finish();
}

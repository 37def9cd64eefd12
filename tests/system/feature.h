/* SPDX-License-Identifier: MIT */
/* feature.h - what the feature_*.cu programs share: "right NAME" or "wrong NAME ..." for each part, then "done". */
#ifndef FEATURE_H
#define FEATURE_H

#include <cstdio>
#include <cstdlib>
#include <vector>

#define OK(call)                                                                                   \
	do {                                                                                       \
		cudaError_t e_ = (call);                                                           \
		if (e_ != cudaSuccess) {                                                           \
			printf("failed %s: %s\n", #call, cudaGetErrorString(e_));                  \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static inline void part(const char *name, bool right)
{
	printf("%s %s\n", right ? "right" : "wrong", name);
	fflush(stdout);
}

/* The same numbers on every machine. */
static inline unsigned next_random()
{
	static unsigned x = 12345;

	x ^= x << 13;
	x ^= x >> 17;
	return x ^= x << 5;
}

template <typename T> struct device_array {
	T *p = nullptr;
	size_t n;

	explicit device_array(size_t count) : n(count)
	{
		OK(cudaMalloc(&p, n * sizeof(T)));
		OK(cudaMemset(p, 0, n * sizeof(T)));
	}
	explicit device_array(const std::vector<T> &v) : n(v.size())
	{
		OK(cudaMalloc(&p, n * sizeof(T)));
		OK(cudaMemcpy(p, v.data(), n * sizeof(T), cudaMemcpyHostToDevice));
	}
	device_array(const device_array &) = delete;
	device_array &operator=(const device_array &) = delete;
	~device_array() { cudaFree(p); }
	std::vector<T> get() const
	{
		std::vector<T> v(n);

		OK(cudaDeviceSynchronize());
		OK(cudaMemcpy(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
		return v;
	}
};

static inline int finish()
{
	OK(cudaDeviceSynchronize());
	printf("done\n");
	return 0;
}

#endif

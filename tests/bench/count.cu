// SPDX-License-Identifier: MIT
// count.cu - the shortest CUDA program; built with -DWITHOUT it never touches the runtime.
#include <cstdio>

int main()
{
	int n = -1;
#ifndef WITHOUT
	if (cudaGetDeviceCount(&n) != cudaSuccess || n < 1) {
		std::fprintf(stderr, "no device: %d\n", n);
		return 1;
	}
#endif
	return n == 0;
}

// SPDX-License-Identifier: MIT
// sort.cu - CUB's radix sort.
#include <cub/device/device_radix_sort.cuh>

#include "work.h"

void gpu_sort(const struct work *w)
{
	static size_t bytes;
	static void *room;

	if (!room) {
		cub::DeviceRadixSort::SortKeys(nullptr, bytes, (unsigned int *)w->gpu[0],
					       (unsigned int *)w->gpu[2], w->n);
		cudaMalloc(&room, bytes);
	}
	cub::DeviceRadixSort::SortKeys(room, bytes, (unsigned int *)w->gpu[0],
				       (unsigned int *)w->gpu[2], w->n);
}

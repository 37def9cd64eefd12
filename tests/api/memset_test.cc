/* SPDX-License-Identifier: MIT */
/* Fills: element sizes, rows, edges left alone, alignment. */
#include "api/api_test.h"

namespace {

using Memset = Api;

TEST_F(Memset, EightBits)
{
	CUdeviceptr p = alloc(1000);

	CU_OK(cuMemsetD8(p, 0x11, 1000));
	CU_OK(cuMemsetD8(p + 3, 0xab, 5));
	auto v = read(p, 12);
	EXPECT_EQ(v, (std::vector<uint8_t>{ 0x11, 0x11, 0x11, 0xab, 0xab, 0xab, 0xab, 0xab, 0x11,
					    0x11, 0x11, 0x11 }));
	CU_OK(cuMemFree(p));
}

TEST_F(Memset, SixteenAndThirtyTwoBits)
{
	CUdeviceptr p = alloc(1000);
	uint32_t out[4];

	CU_OK(cuMemsetD32(p, 0xdeadbeef, 250));
	CU_OK(cuMemsetD16(p + 2, 0x1234, 2));
	CU_OK(cuMemcpyDtoH(out, p, 16));
	EXPECT_EQ(out[0], 0x1234beefu);
	EXPECT_EQ(out[1], 0xdead1234u);
	EXPECT_EQ(out[2], 0xdeadbeefu);
	CU_OK(cuMemFree(p));
}

TEST_F(Memset, RowsLeaveTheGapsAlone)
{
	CUdeviceptr p = alloc(256 * 5);

	CU_OK(cuMemsetD8(p, 0, 256 * 5));
	CU_OK(cuMemsetD2D32(p + 8, 256, 0x01010101, 3, 4));
	auto v = read(p, 256 * 5);
	for (size_t i = 0; i < v.size(); i++) {
		size_t x = i % 256, y = i / 256;

		ASSERT_EQ(v[i], x >= 8 && x < 20 && y < 4 ? 1 : 0) << x << ' ' << y;
	}
	CU_OK(cuMemFree(p));
}

TEST_F(Memset, AsyncInOrder)
{
	CUdeviceptr p = alloc(1 << 20);
	CUstream s;

	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (unsigned i = 0; i <= 200; i++)
		CU_OK(cuMemsetD8Async(p, static_cast<unsigned char>(i), 1 << 20, s));
	CU_OK(cuStreamSynchronize(s));
	auto v = read(p, 1 << 20);
	EXPECT_EQ(v.front(), 200);
	EXPECT_EQ(v.back(), 200);
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuMemFree(p));
}

TEST_F(Memset, PinnedMemory)
{
	void *h;

	CU_OK(cuMemAllocHost(&h, 100));
	memset(h, 0, 100);
	CU_OK(cuMemsetD16(reinterpret_cast<CUdeviceptr>(h), 0x0102, 50));
	EXPECT_EQ(static_cast<uint8_t *>(h)[0], 2);
	EXPECT_EQ(static_cast<uint8_t *>(h)[99], 1);
	CU_OK(cuMemFreeHost(h));
}

TEST_F(Memset, Refusals)
{
	CUdeviceptr p = alloc(256);
	char here[4];

	CU_IS(cuMemsetD8(p, 1, 257), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemsetD32(p + 1, 1, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemsetD16(p + 1, 1, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemsetD8(0, 1, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemsetD8(reinterpret_cast<CUdeviceptr>(here), 1, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemsetD2D8(p, 4, 1, 8, 2), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemsetD32(p, 1, ~static_cast<size_t>(0) / 2), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemsetD8(p, 1, 0));
	CU_IS(cuMemsetD8Async(p, 1, 1, reinterpret_cast<CUstream>(0x1000)),
	      CUDA_ERROR_INVALID_HANDLE);
	CU_OK(cuMemFree(p));
}

} // namespace

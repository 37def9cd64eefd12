/* SPDX-License-Identifier: MIT */
/* Copies: all directions, all entry points, boxes, order with streams, refusals. */
#include "api/api_test.h"

#include <thread>
#include <unistd.h>

namespace {

class Copy : public Api, public testing::WithParamInterface<size_t> {};

TEST_P(Copy, ThereAndBack)
{
	size_t n = GetParam();
	auto data = pattern(n);
	CUdeviceptr a = alloc(n + 3), b = alloc(n);

	CU_OK(cuMemcpyHtoD(a + 3, data.data(), n));
	CU_OK(cuMemcpyDtoD(b, a + 3, n));
	EXPECT_EQ(read(b, n), data);
	CU_OK(cuMemFree(a));
	CU_OK(cuMemFree(b));
}

TEST_P(Copy, AsyncPageable)
{
	size_t n = GetParam();
	auto data = pattern(n), back = std::vector<uint8_t>(n);
	CUdeviceptr a = alloc(n), b = alloc(n);
	CUstream s;

	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(cuMemcpyHtoDAsync(a, data.data(), n, s));
	/* Pageable memory has been read when the call returns. */
	auto kept = data;
	std::fill(data.begin(), data.end(), 0);
	CU_OK(cuMemcpyDtoDAsync(b, a, n, s));
	CU_OK(cuMemcpyDtoHAsync(back.data(), b, n, s));
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(back, kept);
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuMemFree(a));
	CU_OK(cuMemFree(b));
}

TEST_P(Copy, AsyncPinned)
{
	size_t n = GetParam();
	auto data = pattern(n);
	CUdeviceptr a = alloc(n);
	void *h, *g;
	CUstream s;

	CU_OK(cuMemAllocHost(&h, n));
	CU_OK(cuMemAllocHost(&g, n));
	memcpy(h, data.data(), n);
	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(cuMemcpyHtoDAsync(a, h, n, s));
	CU_OK(cuMemcpyDtoHAsync(g, a, n, s));
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(memcmp(g, data.data(), n), 0);
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuMemFreeHost(h));
	CU_OK(cuMemFreeHost(g));
	CU_OK(cuMemFree(a));
}

INSTANTIATE_TEST_SUITE_P(Sizes, Copy, testing::Values(1, 5, 4096, 65536, 65537, 300000, 5000001));

using CopyOrder = Api;

TEST_F(CopyOrder, BusyStreamTakesSmallCopiesAtOnce)
{
	CUdeviceptr p = alloc(64);
	uint32_t v = 1, got = 0;
	CUstream s;
	Gate gate;

	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU_OK(cuMemsetD32(p, 7, 16));
	CU_OK(cuCtxSynchronize());
	CU_OK(gate.hold(s));
	for (v = 100; v < 116; v++)
		CU_OK(cuMemcpyHtoDAsync(p + 4 * (v - 100), &v, 4, s));
	CU_IS(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
	/* Nothing of it has happened, as the sync copy sees, which does not respect a non-blocking stream. */
	CU_OK(cuMemcpyDtoH(&got, p, 4));
	EXPECT_EQ(got, 7u);
	gate.open();
	CU_OK(cuStreamSynchronize(s));
	CU_OK(cuMemcpyDtoH(&got, p + 60, 4));
	EXPECT_EQ(got, 115u);
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuMemFree(p));
}

TEST_F(CopyOrder, SyncCopyWaitsForBlockingStreams)
{
	CUdeviceptr p = alloc(4);
	uint32_t got = 0;
	CUstream s;
	Gate gate;

	CU_OK(cuMemsetD32(p, 1, 1));
	CU_OK(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	CU_OK(gate.hold(s));
	CU_OK(cuMemsetD32Async(p, 2, 1, s));
	std::thread opener([&] {
		usleep(30000);
		gate.open();
	});
	CU_OK(cuMemcpyDtoH(&got, p, 4));
	EXPECT_EQ(got, 2u);
	opener.join();
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuMemFree(p));
}

TEST_F(CopyOrder, UnifiedFindsTheDirection)
{
	auto data = pattern(1000), back = std::vector<uint8_t>(1000);
	CUdeviceptr a = alloc(1000), b = alloc(1000);
	auto at = [](void *p) { return reinterpret_cast<CUdeviceptr>(p); };

	CU_OK(cuMemcpy(a, at(data.data()), 1000));
	CU_OK(cuMemcpy(b, a, 1000));
	CU_OK(cuMemcpy(at(back.data()), b, 1000));
	EXPECT_EQ(back, data);
	std::vector<uint8_t> third(1000);
	CU_OK(cuMemcpy(at(third.data()), at(data.data()), 1000));
	EXPECT_EQ(third, data);
	CU_OK(cuMemFree(a));
	CU_OK(cuMemFree(b));
}

TEST_F(CopyOrder, Refusals)
{
	CUdeviceptr p = alloc(4096);
	char buf[16] = {};

	CU_IS(cuMemcpyHtoD(p + 4090, buf, 16), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyHtoD(0, buf, 16), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyDtoH(nullptr, p, 16), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyHtoD(reinterpret_cast<CUdeviceptr>(buf), buf, 16), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyDtoD(p, reinterpret_cast<CUdeviceptr>(buf), 16), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemcpyHtoD(p, buf, 0));
	CU_OK(cuMemFree(p));
	CU_IS(cuMemcpyHtoD(p, buf, 16), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyDtoH(buf, p, 16), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyDtoD(p, p + 16, 16), CUDA_ERROR_INVALID_VALUE);
	/* And none of this has made the context unusable. */
	CU_OK(cuCtxSynchronize());
}

TEST_F(CopyOrder, Peer)
{
	CUdeviceptr a = alloc(100), b = alloc(100);
	auto data = pattern(100);

	CU_OK(cuMemcpyHtoD(a, data.data(), 100));
	CU_OK(cuMemcpyPeer(b, ctx, a, ctx, 100));
	EXPECT_EQ(read(b, 100), data);
	CU_IS(cuMemcpyPeer(b, nullptr, a, ctx, 100), CUDA_ERROR_INVALID_CONTEXT);
	CU_OK(cuMemFree(a));
	CU_OK(cuMemFree(b));
}

/* ---- boxes ---------------------------------------------------------------------------------- */

using Box = Api;

TEST_F(Box, PitchedThereAndBack)
{
	const size_t w = 100, h = 9, host_pitch = 123;
	auto data = pattern(host_pitch * h);
	CUDA_MEMCPY2D c = {};
	CUdeviceptr p;
	size_t pitch;

	CU_OK(cuMemAllocPitch(&p, &pitch, w, h, 4));
	CU_OK(cuMemsetD8(p, 0xee, pitch * h));
	c.srcMemoryType = CU_MEMORYTYPE_HOST;
	c.srcHost = data.data();
	c.srcPitch = host_pitch;
	c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
	c.dstDevice = p;
	c.dstPitch = pitch;
	c.WidthInBytes = w;
	c.Height = h;
	CU_OK(cuMemcpy2D(&c));
	auto raw = read(p, pitch * h);
	for (size_t y = 0; y < h; y++) {
		EXPECT_EQ(memcmp(&raw[y * pitch], &data[y * host_pitch], w), 0) << y;
		EXPECT_EQ(raw[y * pitch + w], 0xee) << y;
	}

	std::vector<uint8_t> back(w * h);
	CUDA_MEMCPY2D d = {};
	d.srcMemoryType = CU_MEMORYTYPE_DEVICE;
	d.srcDevice = p;
	d.srcPitch = pitch;
	d.dstMemoryType = CU_MEMORYTYPE_HOST;
	d.dstHost = back.data();
	d.dstPitch = w;
	d.WidthInBytes = w;
	d.Height = h;
	CU_OK(cuMemcpy2DUnaligned(&d));
	for (size_t y = 0; y < h; y++)
		EXPECT_EQ(memcmp(&back[y * w], &data[y * host_pitch], w), 0) << y;
	CU_OK(cuMemFree(p));
}

TEST_F(Box, PartOfABox)
{
	const size_t side = 8;
	std::vector<uint32_t> data(side * side * side), back(side * side * side, 0);
	CUdeviceptr p = alloc(data.size() * 4), q = alloc(data.size() * 4);
	CUDA_MEMCPY3D c = {};

	for (size_t i = 0; i < data.size(); i++)
		data[i] = static_cast<uint32_t>(i);
	CU_OK(cuMemcpyHtoD(p, data.data(), data.size() * 4));
	CU_OK(cuMemsetD8(q, 0, data.size() * 4));
	c.srcMemoryType = c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
	c.srcDevice = p;
	c.dstDevice = q;
	c.srcPitch = c.dstPitch = side * 4;
	c.srcHeight = c.dstHeight = side;
	c.srcXInBytes = 8, c.srcY = 3, c.srcZ = 1;
	c.dstXInBytes = 4, c.dstY = 2, c.dstZ = 4;
	c.WidthInBytes = 12, c.Height = 4, c.Depth = 3;
	CU_OK(cuMemcpy3D(&c));
	CU_OK(cuMemcpyDtoH(back.data(), q, back.size() * 4));
	for (size_t z = 0; z < side; z++)
		for (size_t y = 0; y < side; y++)
			for (size_t x = 0; x < side; x++) {
				bool in = x >= 1 && x < 4 && y >= 2 && y < 6 && z >= 4 && z < 7;
				uint32_t want =
					in ? data[((z - 3) * side + y + 1) * side + x + 1] : 0;

				ASSERT_EQ(back[(z * side + y) * side + x], want)
					<< x << ' ' << y << ' ' << z;
			}
	CU_OK(cuMemFree(p));
	CU_OK(cuMemFree(q));
}

TEST_F(Box, AsyncFromPinned)
{
	const size_t w = 64, h = 64;
	auto data = pattern(w * h);
	CUDA_MEMCPY2D c = {};
	CUdeviceptr p = alloc(128 * h);
	CUstream s;
	void *host;

	CU_OK(cuMemAllocHost(&host, w * h));
	memcpy(host, data.data(), w * h);
	CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	c.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
	c.srcDevice = reinterpret_cast<CUdeviceptr>(host);
	c.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
	c.dstDevice = p;
	c.dstPitch = 128;
	c.WidthInBytes = w;
	c.Height = h;
	CU_OK(cuMemcpy2DAsync(&c, s));
	CU_OK(cuStreamSynchronize(s));
	auto raw = read(p, 128 * h);
	for (size_t y = 0; y < h; y++)
		EXPECT_EQ(memcmp(&raw[y * 128], &data[y * w], w), 0) << y;
	CU_OK(cuStreamDestroy(s));
	CU_OK(cuMemFreeHost(host));
	CU_OK(cuMemFree(p));
}

TEST_F(Box, Refusals)
{
	std::vector<uint8_t> host(1000);
	CUdeviceptr p = alloc(1000);
	CUDA_MEMCPY2D good = {};

	good.srcMemoryType = CU_MEMORYTYPE_HOST;
	good.srcHost = host.data();
	good.srcPitch = 100;
	good.dstMemoryType = CU_MEMORYTYPE_DEVICE;
	good.dstDevice = p;
	good.dstPitch = 100;
	good.WidthInBytes = 100;
	good.Height = 10;
	CU_OK(cuMemcpy2D(&good));
	CU_IS(cuMemcpy2D(nullptr), CUDA_ERROR_INVALID_VALUE);

	CUDA_MEMCPY2D c = good;
	c.dstPitch = 99;
	CU_IS(cuMemcpy2D(&c), CUDA_ERROR_INVALID_VALUE);
	c = good;
	c.Height = 11;
	CU_IS(cuMemcpy2D(&c), CUDA_ERROR_INVALID_VALUE);
	c = good;
	c.dstXInBytes = 1;
	CU_IS(cuMemcpy2D(&c), CUDA_ERROR_INVALID_VALUE);
	c = good;
	c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
	c.srcArray = nullptr;
	CU_IS(cuMemcpy2D(&c), CUDA_ERROR_INVALID_HANDLE);
	c = good;
	c.srcMemoryType = static_cast<CUmemorytype>(9);
	CU_IS(cuMemcpy2D(&c), CUDA_ERROR_INVALID_VALUE);
	c = good;
	c.dstY = ~static_cast<size_t>(0) / 100;
	CU_IS(cuMemcpy2D(&c), CUDA_ERROR_INVALID_VALUE);
	c = good;
	c.Height = 0;
	CU_OK(cuMemcpy2D(&c));
	CU_OK(cuMemFree(p));
}

} // namespace

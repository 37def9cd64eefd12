/* SPDX-License-Identifier: MIT */
/* Many copies by one call, linear and boxes. */
#include "api/api_test.h"

namespace {

class CopyBatch : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		a = alloc(N);
		b = alloc(N);
		attr.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
	}
	void TearDown() override
	{
		CU_OK(cuStreamDestroy(s));
		CU_OK(cuMemFree(a));
		CU_OK(cuMemFree(b));
		Api::TearDown();
	}
	static CUdeviceptr host(void *p) { return reinterpret_cast<CUdeviceptr>(p); }

	static constexpr size_t N = 1 << 16;
	CUmemcpyAttributes attr = {};
	CUstream s = nullptr;
	CUdeviceptr a = 0, b = 0;
	size_t zero = 0;
};

TEST_F(CopyBatch, HostToDeviceToDeviceToHost)
{
	auto in = pattern(N);
	std::vector<uint8_t> out(N);
	CUdeviceptr dst[] = { a, a + N / 2, b, host(out.data()) };
	CUdeviceptr src[] = { host(in.data()), host(in.data() + N / 2), a, b };
	size_t sizes[] = { N / 2, N / 2, N, N };
	CUmemcpyAttributes two[2] = { attr, attr };
	size_t from[2] = { 0, 2 };

	two[0].srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL;
	CU_OK(cuMemcpyBatchAsync(dst, src, sizes, 4, two, from, 2, s));
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(out, in);
}

TEST_F(CopyBatch, SourceIsReadDuringTheCall)
{
	void *pinned;
	Gate gate;

	CU_OK(cuMemAllocHost(&pinned, N));
	memset(pinned, 1, N);
	CUdeviceptr dst = a, src = host(pinned);
	size_t n = N;

	attr.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_DURING_API_CALL;
	CU_OK(cuMemcpyBatchAsync(&dst, &src, &n, 1, &attr, &zero, 1, s));
	memset(pinned, 2, N);
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(read(a, N), std::vector<uint8_t>(N, 1));
	CU_OK(cuMemFreeHost(pinned));
}

TEST_F(CopyBatch, Captured)
{
	CUdeviceptr dst[] = { b, b + 100 }, src[] = { a + 100, a };
	size_t sizes[] = { 100, 100 };
	CUgraph g;
	CUgraphExec e;

	CU_OK(cuMemsetD8Async(a, 5, 100, s));
	CU_OK(cuMemsetD8Async(a + 100, 6, 100, s));
	CU_OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU_OK(cuMemcpyBatchAsync(dst, src, sizes, 2, &attr, &zero, 1, s));
	CU_OK(cuStreamEndCapture(s, &g));
	CU_OK(cuGraphInstantiate(&e, g, 0));
	CU_OK(cuGraphLaunch(e, s));
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(read(b, 100), std::vector<uint8_t>(100, 6));
	EXPECT_EQ(read(b + 100, 100), std::vector<uint8_t>(100, 5));
	CU_OK(cuGraphExecDestroy(e));
	CU_OK(cuGraphDestroy(g));
}

TEST_F(CopyBatch, NothingIsCopiedWhenOneIsWrong)
{
	CUdeviceptr dst[] = { b, b }, src[] = { a, a };
	size_t sizes[] = { 16, N + 1 }, bad[2] = { 1, 0 };
	CUmemcpyAttributes two[2] = { attr, attr };

	CU_OK(cuMemsetD8(a, 1, N));
	CU_OK(cuMemsetD8(b, 2, N));
	CU_OK(cuCtxSynchronize());
	CU_IS(cuMemcpyBatchAsync(dst, src, sizes, 2, &attr, &zero, 1, s), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuStreamSynchronize(s));
	EXPECT_EQ(read(b, 16), std::vector<uint8_t>(16, 2));
	sizes[1] = 16;
	CU_IS(cuMemcpyBatchAsync(dst, src, sizes, 2, &attr, &zero, 1, nullptr),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyBatchAsync(dst, src, sizes, 2, two, bad, 2, s), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyBatchAsync(dst, src, sizes, 0, &attr, &zero, 1, s), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyBatchAsync(dst, src, sizes, 2, &attr, &zero, 0, s), CUDA_ERROR_INVALID_VALUE);
	attr.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_INVALID;
	CU_IS(cuMemcpyBatchAsync(dst, src, sizes, 2, &attr, &zero, 1, s), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(CopyBatch, BoxesToAndFromAnArray)
{
	CUDA_ARRAY_DESCRIPTOR d = { 32, 16, CU_AD_FORMAT_UNSIGNED_INT32, 1 };
	CUDA_MEMCPY3D_BATCH_OP ops[2] = {};
	auto in = pattern(32 * 16 * 4);
	CUarray array;

	CU_OK(cuArrayCreate(&array, &d));
	CU_OK(cuMemcpyHtoD(a, in.data(), in.size()));
	/* All of it in, then a window of 8 x 4 elements out, into rows of 10. */
	ops[0].src.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
	ops[0].src.op.ptr.ptr = a;
	ops[0].dst.type = CU_MEMCPY_OPERAND_TYPE_ARRAY;
	ops[0].dst.op.array.array = array;
	ops[0].extent = { 32, 16, 1 };
	ops[0].srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
	ops[1].src.type = CU_MEMCPY_OPERAND_TYPE_ARRAY;
	ops[1].src.op.array.array = array;
	ops[1].src.op.array.offset = { 3, 5, 0 };
	ops[1].dst.type = CU_MEMCPY_OPERAND_TYPE_POINTER;
	ops[1].dst.op.ptr.ptr = b;
	ops[1].dst.op.ptr.rowLength = 10;
	ops[1].extent = { 8, 4, 1 };
	ops[1].srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
	CU_OK(cuMemcpy3DBatchAsync(2, ops, 0, s));
	CU_OK(cuStreamSynchronize(s));
	auto out = read(b, 10 * 4 * 4);
	for (size_t y = 0; y < 4; y++)
		EXPECT_EQ(memcmp(&out[y * 40], &in[((y + 5) * 32 + 3) * 4], 32), 0) << y;
	ops[1].extent.width = 0;
	CU_IS(cuMemcpy3DBatchAsync(2, ops, 0, s), CUDA_ERROR_INVALID_VALUE);
	ops[1].extent.width = 30;
	CU_IS(cuMemcpy3DBatchAsync(2, ops, 0, s), CUDA_ERROR_INVALID_VALUE);
	ops[1].extent.width = 8;
	CU_IS(cuMemcpy3DBatchAsync(2, ops, 1, s), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpy3DBatchAsync(0, ops, 0, s), CUDA_ERROR_INVALID_VALUE);
	ops[1].src.type = static_cast<CUmemcpy3DOperandType>(3);
	CU_IS(cuMemcpy3DBatchAsync(2, ops, 0, s), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuArrayDestroy(array));
}

} // namespace

/* SPDX-License-Identifier: MIT */
/*
 * api_test.h - what the tests of the driver API share: a context, a stream that can be held up, memory.
 */
#ifndef TESTS_API_TEST_H
#define TESTS_API_TEST_H

#include <cuda.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#define CU_OK(call)	  ASSERT_EQ(call, CUDA_SUCCESS)
#define CU_IS(call, code) EXPECT_EQ(call, code)

/** A fresh context, current in this thread. */
class Api : public testing::Test {
protected:
	void SetUp() override
	{
		CU_OK(cuInit(0));
		CU_OK(cuDeviceGet(&dev, 0));
		CU_OK(cuDevicePrimaryCtxRetain(&ctx, dev));
		CU_OK(cuCtxSetCurrent(ctx));
	}

	void TearDown() override
	{
		CU_IS(cuCtxSynchronize(), CUDA_SUCCESS);
		CU_IS(cuCtxSetCurrent(nullptr), CUDA_SUCCESS);
		CU_IS(cuDevicePrimaryCtxRelease(dev), CUDA_SUCCESS);
	}

	CUdeviceptr alloc(size_t bytes)
	{
		CUdeviceptr p = 0;

		EXPECT_EQ(cuMemAlloc(&p, bytes), CUDA_SUCCESS);
		return p;
	}

	std::vector<uint8_t> read(CUdeviceptr p, size_t bytes)
	{
		std::vector<uint8_t> out(bytes);

		EXPECT_EQ(cuMemcpyDtoH(out.data(), p, bytes), CUDA_SUCCESS);
		return out;
	}

	static std::vector<uint8_t> pattern(size_t bytes, unsigned seed = 1)
	{
		std::vector<uint8_t> v(bytes);
		uint32_t x = seed * 2654435761u + 1;

		for (auto &b : v) {
			x = x * 1664525u + 1013904223u;
			b = static_cast<uint8_t>(x >> 24);
		}
		return v;
	}

	/** False when kernels cannot see this process's memory: some answers differ then. */
	static bool shared_pages()
	{
		const char *s = getenv("VGPU_SHARED_PAGES");

		return !s || strcmp(s, "0");
	}

	CUdevice dev;
	CUcontext ctx;
};

/** Holds a stream up, by a host function that does not return, until it is released. */
class Gate {
public:
	~Gate() { open(); }

	CUresult hold(CUstream s) { return cuLaunchHostFunc(s, wait, this); }

	void open()
	{
		std::lock_guard<std::mutex> guard(lock_);

		open_ = true;
		change_.notify_all();
	}

private:
	static void wait(void *arg)
	{
		Gate *g = static_cast<Gate *>(arg);
		std::unique_lock<std::mutex> guard(g->lock_);

		g->change_.wait(guard, [g] { return g->open_; });
	}

	std::mutex lock_;
	std::condition_variable change_;
	bool open_ = false;
};

#endif

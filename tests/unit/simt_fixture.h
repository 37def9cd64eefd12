/* SPDX-License-Identifier: MIT */
/*
 * simt_fixture.h - run a kernel given as IR text over a window of real memory.
 */
#ifndef TESTS_SIMT_FIXTURE_H
#define TESTS_SIMT_FIXTURE_H

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <sys/mman.h>

#include "tests/support/window.h"

extern "C" {
#define _Alignas(n) alignas(n)
#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/backend/soft/interp/vec.h"
#undef M_FTZ
#undef M_SAT
#undef M_INT
#undef M_RZI
#undef M_APPROX
#undef M_SUB
#include "cuse_dev/backend/soft/ir/ir.h"
#include "cuse_dev/backend/soft/simt/launch.h"
#include "cuse_dev/base/arena.h"
#include "cuse_dev/base/console.h"
}

constexpr uint64_t kWindow = TEST_WINDOW;
constexpr uint64_t kWindowBytes = 1ull << 32;
constexpr uint64_t kMapped = 16u << 20;

class Simt : public ::testing::Test {
protected:
	void SetUp() override
	{
		void *p = mmap((void *)kWindow, kWindowBytes, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
			       -1, 0);

		ASSERT_EQ((void *)kWindow, p);
		ASSERT_EQ(0, mprotect(p, kMapped, PROT_READ | PROT_WRITE));
		dev.cc = 90;
		dev.sm_count = 132;
		dev.warp_size = 32;
		dev.max_threads_per_block = 1024;
		dev.clock_khz = 1980000;
		dev.window_base = kWindow;
		dev.window_size = kWindowBytes;
		dev.threads = 2;
		launch.stack_bytes = 1024;
		grid(1);
		block(32);
	}

	void TearDown() override
	{
		simt_code_destroy(code);
		simt_device_destroy(device);
		arena_destroy(arena);
		munmap((void *)kWindow, kWindowBytes);
	}

	void grid(uint32_t x, uint32_t y = 1, uint32_t z = 1)
	{
		uint32_t g[3] = { x, y, z };

		memcpy(launch.grid, g, sizeof(g));
	}

	void block(uint32_t x, uint32_t y = 1, uint32_t z = 1)
	{
		uint32_t b[3] = { x, y, z };

		memcpy(launch.block, b, sizeof(b));
	}

	/* Read, print, read again, decode. */
	void load(const std::string &text)
	{
		char err[256] = "";
		struct ir_unit *unit, *again;
		char *printed;

		simt_code_destroy(code);
		code = nullptr;
		arena_destroy(arena);
		arena = arena_create(0);
		ASSERT_EQ(0, ir_read(text.c_str(), arena, &unit, err, sizeof(err))) << err << "\n"
										    << text;
		printed = ir_print(unit);
		ASSERT_NE(nullptr, printed);
		ASSERT_EQ(0, ir_read(printed, arena, &again, err, sizeof(err))) << err << "\n"
										<< printed;
		free(printed);
		ASSERT_EQ(0, handlers
				     ? interp_prepare_with(again, handlers, &code, err, sizeof(err))
				     : interp_prepare(again, &code, err, sizeof(err)))
			<< err << "\n"
			<< text;
	}

	template <typename... Args> uint32_t run(Args... args)
	{
		std::vector<uint64_t> params = { (uint64_t)args... };

		params.resize(params.size() < 4 ? 4 : params.size());
		if (!device) {
			EXPECT_EQ(0, simt_device_create(&dev, &device));
		}
		launch.params = params.data();
		launch.param_bytes = (uint32_t)(params.size() * 8);
		memset(&fault, 0, sizeof(fault));
		return simt_launch(device, code, "kernel", &launch, &fault);
	}

	uint32_t *words() { return (uint32_t *)kWindow; }

	const interp_fn *handlers = nullptr; /* NULL: the best ones */
	struct backend_device dev = {};
	struct backend_launch launch = {};
	struct backend_fault fault = {};
	struct simt_device *device = nullptr;
	struct simt_code *code = nullptr;
	struct base_arena *arena = nullptr;
};

#endif

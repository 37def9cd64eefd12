// SPDX-License-Identifier: MIT
// session_model_test.cc - power, heat and clocks that follow from busy time.
#include <gtest/gtest.h>

extern "C" {
#include "cuse_dev/session/model.h"
}

namespace {
constexpr uint64_t kSecond = 1000000000ull;

class Model : public ::testing::Test {
protected:
	void SetUp() override
	{
		b.power_idle_mw = 10000;
		b.power_limit_mw = 110000;
		b.temp_idle_c = 30;
		b.temp_load_c = 70;
		b.temp_max_c = 90;
		b.sm_idle_mhz = 300;
		b.sm_max_mhz = 1500;
		b.mem_idle_mhz = 400;
		b.mem_max_mhz = 5000;
		b.idle_state = 8;
		model_init(&m, &b, kSecond);
	}
	struct vgpu_device_state fill(bool used, uint32_t util)
	{
		struct vgpu_device_state s = {};

		s.util_kernel = util;
		model_fill(&m, &b, used, &s);
		return s;
	}

	struct vgpu_board_info b = {};
	struct model m;
};

TEST_F(Model, Idle)
{
	model_move(&m, &b, 101 * kSecond, 0);
	EXPECT_EQ(fill(false, 0).temp_mc, 30000u);
	EXPECT_EQ(fill(false, 0).power_mw, 10000u);
	EXPECT_NEAR(static_cast<double>(fill(false, 0).energy_mj), 100 * 10000, 1);
	EXPECT_EQ(fill(false, 0).perf_state, 8u);
	EXPECT_EQ(fill(false, 0).sm_mhz, 300u);
	EXPECT_EQ(fill(false, 0).temp_mem_mc, 0u);
	EXPECT_EQ(fill(true, 0).perf_state, 0u);
	EXPECT_EQ(fill(true, 0).mem_mhz, 5000u);
}

TEST_F(Model, BusyAllTheTime)
{
	model_move(&m, &b, 26 * kSecond, 25 * kSecond);
	EXPECT_NEAR(fill(true, 10000).temp_mc, 30000 + 40000 * (1 - 0.3679), 10) << "after one tau";
	EXPECT_EQ(fill(true, 10000).power_mw, 110000u);
	EXPECT_NEAR(static_cast<double>(fill(true, 10000).energy_mj), 25 * 110000, 1);
	model_move(&m, &b, 1001 * kSecond, 1000 * kSecond);
	EXPECT_NEAR(fill(true, 10000).temp_mc, 70000, 1);
	model_move(&m, &b, 2001 * kSecond, 1000 * kSecond);
	EXPECT_NEAR(fill(true, 0).temp_mc, 30000, 1) << "cools down again";
}

TEST_F(Model, HalfBusyCountsHalf)
{
	model_move(&m, &b, 101 * kSecond, 50 * kSecond);
	EXPECT_NEAR(static_cast<double>(fill(true, 5000).energy_mj), 100 * 60000, 1);
	EXPECT_EQ(fill(true, 5000).power_mw, 60000u);
}

TEST_F(Model, TimeAndBusyTimeThatGoBack)
{
	model_move(&m, &b, 101 * kSecond, 500 * kSecond); /* more than there was */
	EXPECT_NEAR(static_cast<double>(fill(true, 0).energy_mj), 100 * 110000, 1);
	model_move(&m, &b, 50 * kSecond, 0);
	model_move(&m, &b, 201 * kSecond, 0);
	EXPECT_NEAR(static_cast<double>(fill(true, 0).energy_mj), 100 * 110000 + 100 * 10000, 1);
}

TEST_F(Model, Fans)
{
	EXPECT_EQ(fill(true, 0).fan_percent, 0u);
	b.fan_count = 2;
	EXPECT_EQ(fill(true, 0).fan_percent, 30u);
	model_move(&m, &b, 1001 * kSecond, 1000 * kSecond);
	EXPECT_EQ(fill(true, 0).fan_percent, 72u);
	b.temp_mem_max_c = 95;
	EXPECT_GT(fill(true, 0).temp_mem_mc, fill(true, 0).temp_mc);
}
} // namespace

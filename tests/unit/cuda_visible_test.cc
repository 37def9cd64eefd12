/* SPDX-License-Identifier: MIT */
/* CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <cuda.h>

extern "C" {
#include "libcuda/core/visible.h"
}

/* Three devices: node order 0, 1, 2; bus order 2, 1, 0; speed order 1, 0, 2. */
class Visible : public ::testing::Test {
protected:
	struct link link_ = {};
	struct link_dev dev_[3] = {};

	void SetUp() override
	{
		const int sms[3] = { 40, 132, 20 };

		link_.dev_count = 3;
		for (int i = 0; i < 3; i++) {
			auto &d = dev_[i];

			link_.dev[i] = &d;
			d.info.pci_bus = 9 - i;
			for (int j = 0; j < 16; j++)
				d.info.uuid[j] = static_cast<uint8_t>(0xa0 + 16 * (i > 1) + j +
								      (j == 3) * i);
			set(d, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, sms[i]);
			set(d, CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1000);
		}
	}
	static void set(struct link_dev &d, int attr, int value)
	{
		d.attrs.known[attr / 64] |= 1ull << (attr % 64);
		d.attrs.value[attr] = value;
	}
	std::vector<unsigned> pick(const char *visible, const char *order = nullptr)
	{
		unsigned out[VGPU_MAX_DEVICES];
		unsigned n = cu_visible_pick(&link_, visible, order, out);

		return std::vector<unsigned>(out, out + n);
	}
	std::string uuid(int i)
	{
		char text[41];

		cu_visible_uuid_text(dev_[i].info.uuid, text);
		return text;
	}
};

using V = std::vector<unsigned>;

TEST_F(Visible, AllByDefaultFastestFirst)
{
	EXPECT_EQ(pick(nullptr), (V{ 1, 0, 2 }));
	EXPECT_EQ(pick(nullptr, "FASTEST_FIRST"), (V{ 1, 0, 2 }));
	EXPECT_EQ(pick(nullptr, "PCI_BUS_ID"), (V{ 2, 1, 0 }));
}

TEST_F(Visible, IndicesCountInTheOrder)
{
	EXPECT_EQ(pick("0"), (V{ 1 }));
	EXPECT_EQ(pick("2,0"), (V{ 2, 1 }));
	EXPECT_EQ(pick("0", "PCI_BUS_ID"), (V{ 2 }));
	EXPECT_EQ(pick(" 1 , 2 "), (V{ 0, 2 }));
}

TEST_F(Visible, TheFirstBadEntryEndsTheList)
{
	EXPECT_EQ(pick(""), (V{}));
	EXPECT_EQ(pick("-1"), (V{}));
	EXPECT_EQ(pick("1,-1,0"), (V{ 0 }));
	EXPECT_EQ(pick("1,3,0"), (V{ 0 }));
	EXPECT_EQ(pick("0,x"), (V{ 1 }));
	EXPECT_EQ(pick("MIG-GPU-1/2/3"), (V{}));
	EXPECT_EQ(pick("NoDevFiles"), (V{}));
}

TEST_F(Visible, TwiceIsNoDeviceAtAll)
{
	EXPECT_EQ(pick("1,1"), (V{}));
	EXPECT_EQ(pick(("1," + uuid(0)).c_str()), (V{}));
}

TEST_F(Visible, ByUuidOrAnUnambiguousBeginning)
{
	EXPECT_EQ(uuid(0), "GPU-a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf");
	EXPECT_EQ(pick(uuid(0).c_str()), (V{ 0 }));
	EXPECT_EQ(pick((uuid(1) + "," + uuid(0)).c_str()), (V{ 1, 0 }));
	EXPECT_EQ(pick("GPU-a0a1a2a4"), (V{ 1 }));
	EXPECT_EQ(pick("gpu-B0"), (V{ 2 }));
	EXPECT_EQ(pick("GPU-a0a1"), (V{})) << "fits two devices";
	EXPECT_EQ(pick("GPU-ff"), (V{}));
}

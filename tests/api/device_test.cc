/* SPDX-License-Identifier: MIT */
/* Devices: every property of the default profile has an answer, and bad questions have theirs. */
#include "api/api_test.h"

#include <string>

/* The old calls are tested, too. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace {

class Device : public testing::Test {
protected:
	void SetUp() override
	{
		CU_OK(cuInit(0));
		CU_OK(cuDeviceGet(&dev, 0));
	}

	int attr(CUdevice_attribute a)
	{
		int v = -1;

		EXPECT_EQ(cuDeviceGetAttribute(&v, a, dev), CUDA_SUCCESS) << "attribute " << a;
		return v;
	}

	CUdevice dev;
};

TEST_F(Device, Identity)
{
	char name[100], bus[20];
	size_t total;
	CUuuid id;
	CUdevice d = 77;
	int n, major, minor;

	CU_OK(cuDeviceGetCount(&n));
	EXPECT_EQ(n, 1);
	CU_OK(cuDeviceGetName(name, sizeof(name), dev));
	EXPECT_STREQ(name, "NVIDIA H100 80GB HBM3");
	CU_OK(cuDeviceGetName(name, 7, dev));
	EXPECT_STREQ(name, "NVIDIA");
	CU_OK(cuDeviceTotalMem(&total, dev));
	EXPECT_EQ(total, 80ull << 30);
	CU_OK(cuDeviceGetUuid(&id, dev));
	EXPECT_NE(std::string(id.bytes, 16), std::string(16, '\0'));
	CU_OK(cuDeviceComputeCapability(&major, &minor, dev));
	EXPECT_EQ(major * 10 + minor, 90);
	EXPECT_EQ(attr(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR), 9);
	EXPECT_EQ(attr(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR), 0);
	CU_OK(cuDeviceGetPCIBusId(bus, sizeof(bus), dev));
	CU_OK(cuDeviceGetByPCIBusId(&d, bus));
	EXPECT_EQ(d, dev);
}

TEST_F(Device, EveryAttributeOfTheHeaderHasAnAnswer)
{
	int v;

	for (int a = 1; a < CU_DEVICE_ATTRIBUTE_MAX; a++)
		EXPECT_EQ(cuDeviceGetAttribute(&v, static_cast<CUdevice_attribute>(a), dev),
			  CUDA_SUCCESS)
			<< "attribute " << a;
	EXPECT_EQ(attr(CU_DEVICE_ATTRIBUTE_WARP_SIZE), 32);
	EXPECT_EQ(attr(CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING), 1);
	EXPECT_EQ(attr(CU_DEVICE_ATTRIBUTE_INTEGRATED), 0);
}

TEST_F(Device, BadQuestions)
{
	char text[4];
	CUdevice d;
	int v;

	CU_IS(cuDeviceGet(&d, 1), CUDA_ERROR_INVALID_DEVICE);
	CU_IS(cuDeviceGet(&d, -1), CUDA_ERROR_INVALID_DEVICE);
	CU_IS(cuDeviceGet(nullptr, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDeviceGetAttribute(&v, static_cast<CUdevice_attribute>(0), dev),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_MAX, dev), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 5),
	      CUDA_ERROR_INVALID_DEVICE);
	CU_IS(cuDeviceGetPCIBusId(text, sizeof(text), dev), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDeviceGetByPCIBusId(&d, "no such"), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDeviceGetByPCIBusId(&d, "0000:77:00.0"), CUDA_ERROR_INVALID_DEVICE);
	CU_IS(cuDeviceCanAccessPeer(&v, dev, 1), CUDA_ERROR_INVALID_DEVICE);
	CU_OK(cuDeviceCanAccessPeer(&v, dev, dev));
	EXPECT_EQ(v, 0);
}

TEST_F(Device, UnknownPrivateTableIsNotFound)
{
	CUuuid id = {};
	const void *table = &id;

	CU_IS(cuGetExportTable(&table, &id), CUDA_ERROR_NOT_FOUND);
	EXPECT_EQ(table, nullptr);
}

} // namespace

/* SPDX-License-Identifier: MIT */
/* Names and texts of results, and errno values as results. */
#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include <cuda.h>

extern "C" {
#include "libcuda/core/error.h"
}

TEST(Error, NamesAndTexts)
{
	const char *s = nullptr;

	EXPECT_EQ(cuGetErrorName(CUDA_SUCCESS, &s), CUDA_SUCCESS);
	EXPECT_STREQ(s, "CUDA_SUCCESS");
	EXPECT_EQ(cuGetErrorString(CUDA_SUCCESS, &s), CUDA_SUCCESS);
	EXPECT_STREQ(s, "no error");
	EXPECT_EQ(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &s), CUDA_SUCCESS);
	EXPECT_STREQ(s, "CUDA_ERROR_ILLEGAL_ADDRESS");
	EXPECT_EQ(cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &s), CUDA_SUCCESS);
	EXPECT_STREQ(s, "an illegal memory access was encountered");
}

TEST(Error, UnknownNumbersAreRefused)
{
	const char *s = "before";

	EXPECT_EQ(cuGetErrorName(static_cast<CUresult>(998), &s), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(s, nullptr);
	EXPECT_EQ(cuGetErrorString(static_cast<CUresult>(-1), &s), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(cuGetErrorName(CUDA_SUCCESS, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST(Error, EachHasItsOwnName)
{
	std::set<std::string> names;
	int n = 0;

	for (int i = 0; i < 1000; i++) {
		const char *name = cu_error_name(static_cast<CUresult>(i));

		if (!name)
			continue;
		n++;
		EXPECT_TRUE(names.insert(name).second) << name;
		EXPECT_NE(cu_error_text(static_cast<CUresult>(i)), nullptr);
	}
	EXPECT_EQ(n, 101) << "CUresult of CUDA 13.0 has so many";
}

TEST(Error, FromErrno)
{
	EXPECT_EQ(cu_from_errno(0), CUDA_SUCCESS);
	EXPECT_EQ(cu_from_errno(-ENOMEM), CUDA_ERROR_OUT_OF_MEMORY);
	EXPECT_EQ(cu_from_errno(-EDQUOT), CUDA_ERROR_OUT_OF_MEMORY);
	EXPECT_EQ(cu_from_errno(-EINVAL), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(cu_from_errno(-EBADF), CUDA_ERROR_INVALID_HANDLE);
	EXPECT_EQ(cu_from_errno(-ENOENT), CUDA_ERROR_NOT_FOUND);
	EXPECT_EQ(cu_from_errno(-ENOTSUP), CUDA_ERROR_NOT_SUPPORTED);
	EXPECT_EQ(cu_from_errno(-ENODEV), CUDA_ERROR_LAUNCH_FAILED);
	EXPECT_EQ(cu_from_errno(-EIO), CUDA_ERROR_UNKNOWN);
}

/* SPDX-License-Identifier: MIT */
/* What a program's stderr gets without being asked: what is not built and what was refused, once. */
#include "api/api_test.h"

#include <string>

/* OpenGL's types are not needed to ask. */
extern "C" CUresult cuGraphicsGLRegisterBuffer(CUgraphicsResource *r, unsigned buffer,
					       unsigned flags);

namespace {

class Log : public Api {
protected:
	template <class F> std::string said(F what)
	{
		testing::internal::CaptureStderr();
		what();
		return testing::internal::GetCapturedStderr();
	}
	static size_t lines(const std::string &text, const char *with)
	{
		size_t n = 0;

		for (size_t at = 0; (at = text.find(with, at)) != std::string::npos; at++)
			n++;
		return n;
	}
};

TEST_F(Log, WhatIsNotBuiltSaysSoOnce)
{
	std::string text = said([] {
		for (int i = 0; i < 3; i++)
			CU_IS(cuGraphicsGLRegisterBuffer(nullptr, 1, 0), CUDA_ERROR_NOT_SUPPORTED);
	});

	EXPECT_EQ(lines(text, "\n"), 1u) << text;
	EXPECT_EQ(lines(text, "cuGraphicsGLRegisterBuffer is not built"), 1u) << text;
	EXPECT_EQ(lines(text, "CUDA_ERROR_NOT_SUPPORTED"), 1u) << text;
}

TEST_F(Log, ARefusedKernelSaysSoOnce)
{
	static const char ptx[] = ".version 8.0\n.target sm_90\n.address_size 64\n"
				  ".visible .entry k() {\n\tno.such.instruction;\n\tret;\n}\n";
	std::string text = said([] {
		CUmodule m;
		CUfunction f;

		CU_OK(cuModuleLoadData(&m, ptx));
		CU_OK(cuModuleGetFunction(&f, m, "k"));
		for (int i = 0; i < 3; i++)
			CU_IS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr),
			      CUDA_ERROR_INVALID_PTX);
		CU_OK(cuModuleUnload(m));
	});

	EXPECT_EQ(lines(text, "kernel k cannot be compiled"), 1u) << text;
	EXPECT_EQ(lines(text, "5:2: unknown instruction 'no'"), 1u) << text;
	EXPECT_EQ(lines(text, "vgpu["), 1u) << text;
}

TEST_F(Log, LookingForThingsIsSilent)
{
	std::string text = said([] {
		static const CUuuid none = { { 1, 2, 3 } };
		const void *table;
		void *fn;
		int ordinal;

		CU_IS(cuGetExportTable(&table, &none), CUDA_ERROR_NOT_FOUND);
		CU_IS(cuGetProcAddress("cuNoSuchThing", &fn, 12000, 0, nullptr),
		      CUDA_ERROR_NOT_FOUND);
		CU_IS(cuDeviceGet(&ordinal, 99), CUDA_ERROR_INVALID_DEVICE);
		CU_IS(cuMemFree(0x1234), CUDA_ERROR_INVALID_VALUE);
	});

	EXPECT_EQ(text, "");
}

} // namespace

/* SPDX-License-Identifier: MIT */
/* cuLink: PTX texts that need each other become one module. */
#include "api/api_test.h"

#include <string>
#include <unistd.h>

namespace {

#define HEAD ".version 7.0\n.target sm_75\n.address_size 64\n"

using Linker = Api;

const char *const caller = HEAD R"(
.extern .func (.param .b32 r) twice(.param .b32 a);
.extern .global .align 4 .u32 base;
.global .align 4 .u32 own = 100;
.visible .entry k(.param .u64 out, .param .u32 v)
{
	.reg .b32 %r<6>;
	.reg .b64 %d<2>;
	ld.param.u64 %d0, [out];
	ld.param.u32 %r0, [v];
	{
		.param .b32 a;
		.param .b32 r;
		st.param.b32 [a], %r0;
		call.uni (r), twice, (a);
		ld.param.b32 %r1, [r];
	}
	ld.global.u32 %r2, [base];
	ld.global.u32 %r3, [own];
	add.u32 %r4, %r1, %r2;
	add.u32 %r4, %r4, %r3;
	st.global.u32 [%d0], %r4;
	ret;
}
)";

const char *const callee = HEAD R"(
.visible .global .align 4 .u32 base = 1000;
.global .align 4 .u32 own = 2;
.visible .func (.param .b32 r) twice(.param .b32 a)
{
	.reg .b32 %r<3>;
	ld.param.b32 %r0, [a];
	ld.global.u32 %r1, [own];
	mul.lo.u32 %r2, %r0, %r1;
	st.param.b32 [r], %r2;
	ret;
}
)";

CUresult add(CUlinkState s, const char *text)
{
	return cuLinkAddData(s, CU_JIT_INPUT_PTX, const_cast<char *>(text), strlen(text) + 1, "x",
			     0, nullptr, nullptr);
}

TEST_F(Linker, TextsThatNeedEachOther)
{
	for (int order = 0; order < 2; order++) {
		CUdeviceptr out = alloc(4);
		uint32_t v = 21, got = 0;
		void *args[] = { &out, &v };
		CUlinkState s;
		CUfunction f;
		CUmodule m;
		void *image;
		size_t size;

		CU_OK(cuLinkCreate(0, nullptr, nullptr, &s));
		CU_OK(add(s, order ? callee : caller));
		CU_OK(add(s, order ? caller : callee));
		CU_OK(cuLinkComplete(s, &image, &size));
		CU_OK(cuModuleLoadData(&m, image));
		CU_OK(cuLinkDestroy(s));
		CU_OK(cuModuleGetFunction(&f, m, "k"));
		CU_OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, args, nullptr));
		CU_OK(cuMemcpyDtoH(&got, out, 4));
		EXPECT_EQ(got, 42u + 1000 + 100);
		CU_OK(cuModuleUnload(m));
		CU_OK(cuMemFree(out));
	}
}

TEST_F(Linker, WhatNobodyDefinesIsInTheLog)
{
	char log[512] = "";
	CUjit_option opt[] = { CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES };
	void *val[] = { log, reinterpret_cast<void *>(sizeof(log)) };
	CUlinkState s;
	void *image;
	size_t size;

	CU_OK(cuLinkCreate(2, opt, val, &s));
	CU_OK(add(s, caller));
	CU_IS(cuLinkComplete(s, &image, &size), CUDA_ERROR_INVALID_PTX);
	EXPECT_TRUE(strstr(log, "twice") || strstr(log, "base")) << log;
	CU_OK(cuLinkDestroy(s));
}

TEST_F(Linker, TwoDefinitionsAreRefused)
{
	CUlinkState s;
	void *image;
	size_t size;

	CU_OK(cuLinkCreate(0, nullptr, nullptr, &s));
	CU_OK(add(s, callee));
	CU_OK(add(s, callee));
	CU_IS(cuLinkComplete(s, &image, &size), CUDA_ERROR_INVALID_PTX);
	CU_OK(cuLinkDestroy(s));
}

TEST_F(Linker, FromAFile)
{
	char path[] = "/tmp/api_linkerXXXXXX";
	int fd = mkstemp(path);
	CUlinkState s;
	void *image = nullptr, *again = nullptr;
	size_t size;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(write(fd, callee, strlen(callee)), ssize_t(strlen(callee)));
	close(fd);
	CU_OK(cuLinkCreate(0, nullptr, nullptr, &s));
	CU_IS(cuLinkAddFile(s, CU_JIT_INPUT_PTX, path, 0, nullptr, nullptr), CUDA_SUCCESS);
	unlink(path);
	CU_IS(cuLinkAddFile(s, CU_JIT_INPUT_PTX, path, 0, nullptr, nullptr),
	      CUDA_ERROR_FILE_NOT_FOUND);
	CU_OK(cuLinkComplete(s, &image, &size));
	CU_OK(cuLinkComplete(s, &again, nullptr));
	EXPECT_EQ(image, again);
	CU_OK(cuLinkDestroy(s));
}

/* What a linker gave out is an input like others. */
TEST_F(Linker, InTwoSteps)
{
	CUdeviceptr out = alloc(4);
	uint32_t v = 1, got = 0;
	void *args[] = { &out, &v };
	CUlinkState first, second;
	CUfunction f;
	CUmodule m;
	void *half, *image;
	size_t size;

	CU_OK(cuLinkCreate(0, nullptr, nullptr, &first));
	CU_OK(add(first, callee));
	CU_OK(cuLinkComplete(first, &half, &size));
	CU_OK(cuLinkCreate(0, nullptr, nullptr, &second));
	CU_OK(cuLinkAddData(second, CU_JIT_INPUT_CUBIN, half, size, "half", 0, nullptr, nullptr));
	CU_OK(cuLinkDestroy(first));
	CU_OK(add(second, caller));
	CU_OK(cuLinkComplete(second, &image, &size));
	CU_OK(cuModuleLoadData(&m, image));
	CU_OK(cuLinkDestroy(second));
	CU_OK(cuModuleGetFunction(&f, m, "k"));
	CU_OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, args, nullptr));
	CU_OK(cuMemcpyDtoH(&got, out, 4));
	EXPECT_EQ(got, 2u + 1000 + 100);
	CU_OK(cuModuleUnload(m));
	CU_OK(cuMemFree(out));
}

/* An object without device code is named as such when all of it is linked. */
TEST_F(Linker, ObjectWithoutDeviceCode)
{
	static char elf[64] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
	char log[512] = "";
	CUjit_option opt[] = { CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES };
	void *val[] = { log, reinterpret_cast<void *>(sizeof(log)) };
	CUlinkState s;
	void *image;
	size_t size;

	CU_OK(cuLinkCreate(2, opt, val, &s));
	CU_OK(cuLinkAddData(s, CU_JIT_INPUT_OBJECT, elf, sizeof(elf), "x", 0, nullptr, nullptr));
	CU_IS(cuLinkComplete(s, &image, &size), CUDA_ERROR_INVALID_IMAGE);
	EXPECT_NE(strstr(log, "object without device code"), nullptr) << log;
	CU_OK(cuLinkDestroy(s));
}

TEST_F(Linker, Refusals)
{
	static char elf[64] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
	CUlinkState s;
	void *image;
	size_t size;

	CU_IS(cuLinkCreate(0, nullptr, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuLinkCreate(0, nullptr, nullptr, &s));
	CU_IS(cuLinkComplete(s, &image, &size), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLinkAddData(s, CU_JIT_INPUT_CUBIN, elf, sizeof(elf), "x", 0, nullptr, nullptr),
	      CUDA_ERROR_NO_BINARY_FOR_GPU);
	CU_IS(cuLinkAddData(s, CU_JIT_INPUT_NVVM, elf, sizeof(elf), "x", 0, nullptr, nullptr),
	      CUDA_ERROR_NOT_SUPPORTED);
	CU_IS(cuLinkAddData(s, CUjitInputType(99), elf, sizeof(elf), "x", 0, nullptr, nullptr),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLinkAddData(s, CU_JIT_INPUT_PTX, nullptr, 5, "x", 0, nullptr, nullptr),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(add(s, "no PTX"));
	CU_IS(cuLinkComplete(s, &image, &size), CUDA_ERROR_INVALID_PTX);
	CU_OK(cuLinkDestroy(s));
	CU_IS(cuLinkDestroy(s), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(add(s, callee), CUDA_ERROR_INVALID_HANDLE);
}

} // namespace

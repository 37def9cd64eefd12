/* SPDX-License-Identifier: MIT */
/* Modules: load, refuse with a log, functions and variables by name and by index. */
#include "api/api_test.h"
#include "api/kernels.h"

#include <cstdio>
#include <string>
#include <unistd.h>

namespace {

using Module = Api;

TEST_F(Module, FunctionsByNameAndIndex)
{
	CUfunction f, again, all[kernels_count];
	CUmodule m, of;
	unsigned n;
	const char *name;

	CU_OK(cuModuleLoadData(&m, kernels_ptx));
	CU_OK(cuModuleGetFunction(&f, m, "saxpy"));
	CU_OK(cuModuleGetFunction(&again, m, "saxpy"));
	EXPECT_EQ(f, again);
	CU_IS(cuModuleGetFunction(&again, m, "no_such_kernel"), CUDA_ERROR_NOT_FOUND);
	CU_IS(cuModuleGetFunction(&again, m, nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuModuleGetFunctionCount(&n, m));
	EXPECT_EQ(n, kernels_count);
	CU_OK(cuModuleEnumerateFunctions(all, kernels_count, m));
	EXPECT_EQ(all[0], f);
	CU_OK(cuFuncGetName(&name, all[1]));
	EXPECT_STREQ(name, "tid");
	CU_OK(cuFuncGetModule(&of, f));
	EXPECT_EQ(of, m);
	CU_OK(cuModuleUnload(m));
	CU_IS(cuModuleGetFunction(&again, m, "saxpy"), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuFuncGetName(&name, f), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuModuleUnload(m), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Module, VariablesCanBeCopied)
{
	uint32_t v[10], w[10] = { 11 };
	CUdeviceptr p;
	size_t bytes;
	CUmodule m;

	CU_OK(cuModuleLoadData(&m, kernels_ptx));
	CU_OK(cuModuleGetGlobal(&p, &bytes, m, "table"));
	EXPECT_EQ(bytes, sizeof(v));
	CU_OK(cuMemcpyDtoH(v, p, bytes));
	EXPECT_EQ(v[0], 1u);
	EXPECT_EQ(v[9], 10u);
	CU_OK(cuMemcpyHtoD(p, w, bytes));
	CU_OK(cuMemcpyDtoH(v, p, bytes));
	EXPECT_EQ(v[0], 11u);
	CU_OK(cuModuleGetGlobal(nullptr, &bytes, m, "constants"));
	EXPECT_EQ(bytes, 64u);
	CU_IS(cuModuleGetGlobal(&p, &bytes, m, "no_such_variable"), CUDA_ERROR_NOT_FOUND);
	CU_OK(cuModuleUnload(m));
}

TEST_F(Module, TwoLoadsAreTwoModules)
{
	CUdeviceptr p, q;
	CUmodule a, b;

	CU_OK(cuModuleLoadData(&a, kernels_ptx));
	CU_OK(cuModuleLoadData(&b, kernels_ptx));
	CU_OK(cuModuleGetGlobal(&p, nullptr, a, "table"));
	CU_OK(cuModuleGetGlobal(&q, nullptr, b, "table"));
	EXPECT_NE(p, q);
	CU_OK(cuModuleUnload(a));
	CU_OK(cuMemsetD32(q, 7, 10));
	CU_OK(cuModuleUnload(b));
}

TEST_F(Module, ABadTextSaysWhere)
{
	const char *bad = ".version 7.0\n.target sm_75\n.address_size 64\n"
			  ".visible .entry k()\n{\n\tfrobnicate.u32 %r0;\n}\n";
	char log[512] = "", info[64] = "x";
	CUjit_option opt[] = { CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
			       CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES };
	void *val[] = { log, reinterpret_cast<void *>(sizeof(log)), info,
			reinterpret_cast<void *>(sizeof(info)) };
	CUmodule m;

	CU_IS(cuModuleLoadDataEx(&m, bad, 4, opt, val), CUDA_ERROR_INVALID_PTX);
	EXPECT_NE(std::string(log).find("6:2:"), std::string::npos) << log;
	EXPECT_EQ(reinterpret_cast<size_t>(val[1]), strlen(log));
	EXPECT_STREQ(info, "");
	EXPECT_EQ(reinterpret_cast<size_t>(val[3]), 0u);
}

/* Without a buffer for errors bodies are looked at when they are needed: the rest can be used. */
TEST_F(Module, ABadKernelHarmsNoOther)
{
	const char *bad = ".version 7.0\n.target sm_75\n.address_size 64\n"
			  ".visible .entry k()\n{\n\tfrobnicate.u32 %r0;\n}\n"
			  ".visible .entry good()\n{\n\tret;\n}\n";
	CUfunction f;
	CUmodule m;
	int v;

	CU_OK(cuModuleLoadData(&m, bad));
	CU_OK(cuModuleGetFunction(&f, m, "k"));
	CU_IS(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_NUM_REGS, f), CUDA_ERROR_INVALID_PTX);
	CU_IS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr),
	      CUDA_ERROR_INVALID_PTX);
	CU_OK(cuModuleGetFunction(&f, m, "good"));
	CU_OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
	CU_OK(cuCtxSynchronize());
	CU_OK(cuModuleUnload(m));
}

/* A log that does not fit is cut, with its NUL. */
TEST_F(Module, AShortLogIsCut)
{
	char log[8];
	CUjit_option opt[] = { CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES };
	void *val[] = { log, reinterpret_cast<void *>(sizeof(log)) };
	CUmodule m;

	memset(log, 'x', sizeof(log));
	CU_IS(cuModuleLoadDataEx(&m,
				 ".version 7.0\n.target sm_75\n.address_size 64\n"
				 ".visible .entry k(\n",
				 2, opt, val),
	      CUDA_ERROR_INVALID_PTX);
	EXPECT_EQ(log[7], 0);
	EXPECT_EQ(strlen(log), 7u);
}

TEST_F(Module, WhatIsNoImage)
{
	CUmodule m;

	CU_IS(cuModuleLoadData(&m, ""), CUDA_ERROR_INVALID_IMAGE);
	CU_IS(cuModuleLoadData(&m, nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuModuleLoadData(nullptr, kernels_ptx), CUDA_ERROR_INVALID_VALUE);
	EXPECT_NE(cuModuleLoadData(&m, "certainly no PTX"), CUDA_SUCCESS);
	CU_IS(cuModuleLoad(&m, "/no/such/file.ptx"), CUDA_ERROR_FILE_NOT_FOUND);

	static const unsigned char elf[64] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	CU_IS(cuModuleLoadData(&m, elf), CUDA_ERROR_INVALID_IMAGE);
}

TEST_F(Module, FromAFile)
{
	char path[] = "/tmp/api_moduleXXXXXX";
	int fd = mkstemp(path);
	CUfunction f;
	CUmodule m;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(write(fd, kernels_ptx, sizeof(kernels_ptx) - 1),
		  ssize_t(sizeof(kernels_ptx) - 1));
	close(fd);
	CU_IS(cuModuleLoad(&m, path), CUDA_SUCCESS);
	unlink(path);
	CU_OK(cuModuleGetFunction(&f, m, "tid"));
	CU_OK(cuModuleUnload(m));
}

/* A large image goes another way to the worker. */
TEST_F(Module, ALargeText)
{
	std::string text(3 << 20, '\n');
	CUfunction f;
	CUmodule m;

	text += kernels_ptx;
	CU_OK(cuModuleLoadData(&m, text.c_str()));
	CU_OK(cuModuleGetFunction(&f, m, "tid"));
	CU_OK(cuModuleUnload(m));
}

} // namespace

/* SPDX-License-Identifier: MIT */
/* Libraries and kernels: independent of contexts, loaded into each that uses them. */
#include "api/api_test.h"
#include "api/kernels.h"

#include <string>

namespace {

class Library : public Api {
protected:
	CUlibrary load(const char *text)
	{
		CUlibrary lib = nullptr;

		EXPECT_EQ(cuLibraryLoadData(&lib, text, nullptr, nullptr, 0, nullptr, nullptr, 0),
			  CUDA_SUCCESS);
		return lib;
	}

	/* Runs saxpy by @f in the current context and checks what it did. */
	void check(CUfunction f)
	{
		float host[100];
		CUdeviceptr x, y;
		unsigned n = 100;
		float a = 2;
		void *args[] = { &n, &a, &x, &y };

		CU_OK(cuMemAlloc(&x, sizeof(host)));
		CU_OK(cuMemAlloc(&y, sizeof(host)));
		CU_OK(cuMemsetD32(x, 0x40400000, 100)); /* 3.0 */
		CU_OK(cuMemsetD32(y, 0x3f800000, 100)); /* 1.0 */
		CU_OK(cuLaunchKernel(f, 2, 1, 1, 64, 1, 1, 0, nullptr, args, nullptr));
		CU_OK(cuMemcpyDtoH(host, y, sizeof(host)));
		for (float v : host)
			ASSERT_EQ(v, 7.f);
		CU_OK(cuMemFree(x));
		CU_OK(cuMemFree(y));
	}
};

TEST_F(Library, AKernelIsAFunctionInEveryContext)
{
	CUlibrary lib = load(kernels_ptx), of;
	CUkernel k, again;
	CUfunction f, g;
	CUcontext other;

	CU_OK(cuLibraryGetKernel(&k, lib, "saxpy"));
	CU_OK(cuLibraryGetKernel(&again, lib, "saxpy"));
	EXPECT_EQ(k, again);
	CU_OK(cuKernelGetLibrary(&of, k));
	EXPECT_EQ(of, lib);
	check(reinterpret_cast<CUfunction>(k));
	CU_OK(cuKernelGetFunction(&f, k));
	check(f);
	CU_OK(cuCtxCreate(&other, nullptr, 0, dev));
	check(reinterpret_cast<CUfunction>(k));
	CU_OK(cuKernelGetFunction(&g, k));
	EXPECT_NE(f, g);
	CU_OK(cuCtxDestroy(other));
	check(reinterpret_cast<CUfunction>(k));
	CU_OK(cuLibraryUnload(lib));
	CU_IS(cuLibraryUnload(lib), CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuKernelGetFunction(&f, k), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(Library, EnumerationAndNames)
{
	CUlibrary lib = load(kernels_ptx);
	CUkernel all[kernels_count], k;
	unsigned n;
	const char *name;
	size_t offset, size;

	CU_OK(cuLibraryGetKernelCount(&n, lib));
	ASSERT_EQ(n, kernels_count);
	CU_OK(cuLibraryEnumerateKernels(all, n, lib));
	CU_OK(cuKernelGetName(&name, all[0]));
	EXPECT_STREQ(name, "saxpy");
	CU_OK(cuKernelGetParamInfo(all[0], 3, &offset, &size));
	EXPECT_EQ(offset, 16u);
	EXPECT_EQ(size, 8u);
	CU_IS(cuKernelGetParamInfo(all[0], 4, &offset, &size), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLibraryGetKernel(&k, lib, "no_such_kernel"), CUDA_ERROR_NOT_FOUND);
	CU_OK(cuLibraryUnload(lib));
}

TEST_F(Library, NeedsNoContext)
{
	CUlibrary lib;
	CUkernel k;
	int regs;

	CU_OK(cuCtxSetCurrent(nullptr));
	lib = load(kernels_ptx);
	CU_OK(cuLibraryGetKernel(&k, lib, "saxpy"));
	CU_OK(cuKernelGetAttribute(&regs, CU_FUNC_ATTRIBUTE_NUM_REGS, k, dev));
	EXPECT_GT(regs, 0);
	CU_OK(cuCtxSetCurrent(ctx));
	check(reinterpret_cast<CUfunction>(k));
	CU_OK(cuLibraryUnload(lib));
}

TEST_F(Library, AttributesHoldInContextsToCome)
{
	CUlibrary lib = load(kernels_ptx);
	CUcontext other;
	CUfunction f;
	CUkernel k;
	int v;

	CU_OK(cuLibraryGetKernel(&k, lib, "saxpy"));
	CU_OK(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 70000, k, dev));
	CU_OK(cuKernelGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, k, dev));
	EXPECT_EQ(v, 70000);
	CU_OK(cuCtxCreate(&other, nullptr, 0, dev));
	CU_OK(cuKernelGetFunction(&f, k));
	CU_OK(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, f));
	EXPECT_EQ(v, 70000);
	CU_OK(cuCtxDestroy(other));
	CU_OK(cuLibraryUnload(lib));
}

TEST_F(Library, TheTextMayGoAway)
{
	std::string text = kernels_ptx;
	CUlibrary lib = load(text.c_str());
	CUcontext other;
	CUkernel k;

	text.assign(text.size(), 'x');
	CU_OK(cuCtxCreate(&other, nullptr, 0, dev));
	CU_OK(cuLibraryGetKernel(&k, lib, "saxpy"));
	check(reinterpret_cast<CUfunction>(k));
	CU_OK(cuLibraryUnload(lib));
	CU_OK(cuCtxDestroy(other));
}

TEST_F(Library, ManagedVariablesAreSeenByTheHost)
{
	const char *text = ".version 7.0\n.target sm_75\n.address_size 64\n"
			   ".visible .global .attribute(.managed) .align 4 .u32 shared = 41;\n"
			   ".visible .global .align 4 .u32 plain = 1;\n"
			   ".visible .entry add()\n{\n\t.reg .u32 %r<3>;\n"
			   "\tld.global.u32 %r0, [shared];\n\tadd.u32 %r1, %r0, 1;\n"
			   "\tst.global.u32 [shared], %r1;\n\tret;\n}\n";
	CUlibrary lib;
	CUdeviceptr p;
	size_t bytes;
	CUkernel k;

	if (!shared_pages())
		GTEST_SKIP() << "managed memory needs shared pages";
	CU_OK(cuCtxSetCurrent(nullptr));
	lib = load(text);
	CU_OK(cuLibraryGetManaged(&p, &bytes, lib, "shared"));
	EXPECT_EQ(bytes, 4u);
	volatile uint32_t *host = reinterpret_cast<volatile uint32_t *>(p);
	EXPECT_EQ(*host, 41u);
	CU_IS(cuLibraryGetManaged(&p, &bytes, lib, "plain"), CUDA_ERROR_NOT_FOUND);
	CU_OK(cuCtxSetCurrent(ctx));
	CU_OK(cuLibraryGetKernel(&k, lib, "add"));
	CU_OK(cuLaunchKernel(reinterpret_cast<CUfunction>(k), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr,
			     nullptr));
	CU_OK(cuCtxSynchronize());
	EXPECT_EQ(*host, 42u);
	CU_OK(cuLibraryUnload(lib));
}

/* One set of variables for all contexts, which stays when the first of them goes. */
TEST_F(Library, ManagedVariablesAreTheSameInEveryContext)
{
	const char *text = ".version 7.0\n.target sm_75\n.address_size 64\n"
			   ".visible .global .attribute(.managed) .align 4 .u32 shared = 41;\n"
			   ".visible .global .align 4 .u32 own = 1;\n"
			   ".visible .entry add()\n{\n\t.reg .u32 %r<3>;\n"
			   "\tld.global.u32 %r0, [shared];\n\tadd.u32 %r1, %r0, 1;\n"
			   "\tst.global.u32 [shared], %r1;\n"
			   "\tatom.global.add.u32 %r2, [own], 1;\n\tret;\n}\n";
	CUdeviceptr p, again, own[2];
	CUcontext other[2];
	CUmodule module;
	CUlibrary lib;
	CUkernel k;
	uint32_t value;

	if (!shared_pages())
		GTEST_SKIP() << "managed memory needs shared pages";
	CU_OK(cuCtxSetCurrent(nullptr));
	for (CUcontext &c : other)
		CU_OK(cuCtxCreate_v4(&c, nullptr, 0, 0)); /* the second is current */
	lib = load(text);
	CU_OK(cuCtxSetCurrent(other[0]));
	CU_OK(cuLibraryGetManaged(&p, nullptr, lib, "shared"));
	CU_OK(cuLibraryGetKernel(&k, lib, "add"));
	volatile uint32_t *host = reinterpret_cast<volatile uint32_t *>(p);
	for (unsigned i = 0; i < 4; i++) {
		CU_OK(cuCtxSetCurrent(other[i % 2]));
		CU_OK(cuLaunchKernel(reinterpret_cast<CUfunction>(k), 1, 1, 1, 1, 1, 1, 0, nullptr,
				     nullptr, nullptr));
		CU_OK(cuCtxSynchronize());
		EXPECT_EQ(*host, 42 + i);
		CU_OK(cuLibraryGetGlobal(&own[i % 2], nullptr, lib, "own"));
	}
	EXPECT_NE(own[0], own[1]);
	CU_OK(cuMemcpyDtoH_v2(&value, own[1], 4));
	EXPECT_EQ(value, 3u);
	CU_OK(cuLibraryGetModule(&module, lib));
	CU_OK(cuModuleGetGlobal_v2(&again, nullptr, module, "shared"));
	EXPECT_EQ(again, p);

	CU_OK(cuCtxDestroy_v2(other[0]));
	*host = 7;
	CU_OK(cuLaunchKernel(reinterpret_cast<CUfunction>(k), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr,
			     nullptr));
	CU_OK(cuMemcpyDtoH_v2(&value, p, 4));
	EXPECT_EQ(value, 8u);
	CU_OK(cuLibraryUnload(lib));
	CU_IS(cuMemcpyDtoH_v2(&value, p, 4), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuCtxDestroy_v2(other[1]));
	CU_OK(cuCtxSetCurrent(ctx));
}

TEST_F(Library, BadArguments)
{
	CUlibraryOption opt[] = { CU_LIBRARY_NUM_OPTIONS };
	CUlibrary lib;
	CUkernel k;

	CU_IS(cuLibraryLoadData(nullptr, kernels_ptx, nullptr, nullptr, 0, nullptr, nullptr, 0),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLibraryLoadData(&lib, nullptr, nullptr, nullptr, 0, nullptr, nullptr, 0),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLibraryLoadData(&lib, kernels_ptx, nullptr, nullptr, 0, opt, nullptr, 1),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLibraryGetKernel(&k, reinterpret_cast<CUlibrary>(&lib), "saxpy"),
	      CUDA_ERROR_INVALID_HANDLE);
	CU_IS(cuLibraryLoadFromFile(&lib, "/no/such/file", nullptr, nullptr, 0, nullptr, nullptr,
				    0),
	      CUDA_ERROR_FILE_NOT_FOUND);
}

/* No device here shares the host's functions: the symbol is not there, whatever its name. */
TEST_F(Library, HasNoUnifiedFunctions)
{
	CUlibrary lib;
	void *f;

	CU_OK(cuLibraryLoadData(&lib, kernels_ptx, nullptr, nullptr, 0, nullptr, nullptr, 0));
	CU_IS(cuLibraryGetUnifiedFunction(&f, lib, "saxpy"), CUDA_ERROR_NOT_FOUND);
	CU_IS(cuLibraryGetUnifiedFunction(nullptr, lib, "saxpy"), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLibraryGetUnifiedFunction(&f, lib, nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuLibraryUnload(lib));
	CU_IS(cuLibraryGetUnifiedFunction(&f, lib, "saxpy"), CUDA_ERROR_INVALID_HANDLE);
}

} // namespace

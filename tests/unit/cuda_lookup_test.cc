/* SPDX-License-Identifier: MIT */
/* cuGetProcAddress: which symbol a name, a version and a stream mode lead to. */
#include <gtest/gtest.h>

#include <dlfcn.h>
#include <set>
#include <string>

#include <cuda.h>

extern "C" {
#include "libcuda/api/table.h"
}

static std::string find(const char *base, int version, bool per_thread = false)
{
	bool known;
	const api_symbol *s = api_table_find(base, version, per_thread, &known);

	return s ? s->name : known ? "later" : "unknown";
}

TEST(Lookup, TheNewestThatTheVersionAllows)
{
	EXPECT_EQ(find("cuMemAlloc", 2000), "cuMemAlloc");
	EXPECT_EQ(find("cuMemAlloc", 3019), "cuMemAlloc");
	EXPECT_EQ(find("cuMemAlloc", 3020), "cuMemAlloc_v2");
	EXPECT_EQ(find("cuMemAlloc", 13000), "cuMemAlloc_v2");
	EXPECT_EQ(find("cuCtxCreate", 12050), "cuCtxCreate_v4");
	EXPECT_EQ(find("cuCtxCreate", 12040), "cuCtxCreate_v3");
	EXPECT_EQ(find("cuGetProcAddress", 11030), "cuGetProcAddress");
	EXPECT_EQ(find("cuGetProcAddress", 12000), "cuGetProcAddress_v2");
	EXPECT_EQ(find("cuLibraryLoadData", 11080), "later");
	EXPECT_EQ(find("cuNoSuchThing", 13000), "unknown");
	EXPECT_EQ(find("", 13000), "unknown");
}

TEST(Lookup, PerThreadVariantsOnlyWhereWanted)
{
	EXPECT_EQ(find("cuStreamSynchronize", 7000), "cuStreamSynchronize");
	EXPECT_EQ(find("cuStreamSynchronize", 7000, true), "cuStreamSynchronize_ptsz");
	EXPECT_EQ(find("cuStreamSynchronize", 6000, true), "cuStreamSynchronize");
	EXPECT_EQ(find("cuMemcpyHtoD", 7000, true), "cuMemcpyHtoD_v2_ptds");
	EXPECT_EQ(find("cuMemAlloc", 13000, true), "cuMemAlloc_v2") << "has no such variant";
}

TEST(Lookup, EveryRowIsSoundAndListedOnce)
{
	size_t n;
	const api_symbol *s = api_table_all(&n);
	std::set<std::string> names;

	EXPECT_GE(n, 650u);
	for (size_t i = 0; i < n; i++) {
		std::string name = s[i].name, base = s[i].base;

		EXPECT_TRUE(names.insert(name).second) << name << " is listed twice";
		EXPECT_EQ(name.compare(0, base.size(), base), 0) << name;
		EXPECT_GE(s[i].since, 2000) << name;
		EXPECT_LE(s[i].since, 13000) << name;
		EXPECT_NE(s[i].function, nullptr) << name;
		EXPECT_EQ(s[i].per_thread,
			  name.size() > 5 && name.find("_pt", name.size() - 5) != std::string::npos)
			<< name;
	}
}

TEST(Lookup, EntryPoint)
{
	CUdriverProcAddressQueryResult status;
	void *fn = &fn;

	EXPECT_EQ(cuGetProcAddress_v2("cuInit", &fn, 13000, 0, &status), CUDA_SUCCESS);
	EXPECT_EQ(fn, reinterpret_cast<void *>(&cuInit));
	EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SUCCESS);
	EXPECT_EQ(cuGetProcAddress_v2("cuNoSuchThing", &fn, 13000, 0, &status),
		  CUDA_ERROR_NOT_FOUND);
	EXPECT_EQ(fn, nullptr);
	EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	EXPECT_EQ(cuGetProcAddress_v2("cuLibraryLoadData", &fn, 11000, 0, &status),
		  CUDA_ERROR_NOT_FOUND);
	EXPECT_EQ(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
	EXPECT_EQ(cuGetProcAddress_v2("cuStreamSynchronize", &fn, 13000,
				      CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, nullptr),
		  CUDA_SUCCESS);
	EXPECT_EQ(fn, reinterpret_cast<void *>(&cuStreamSynchronize_ptsz));
	EXPECT_EQ(cuGetProcAddress_v2("cuInit", &fn, 13000, 3, nullptr), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(cuGetProcAddress_v2(nullptr, &fn, 13000, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(cuGetProcAddress_v2("cuInit", nullptr, 13000, 0, nullptr),
		  CUDA_ERROR_INVALID_VALUE);
}

/* Nothing may be called before cuInit but what the manual allows. */
TEST(Lookup, BeforeInit)
{
	CUdeviceptr p;
	int n;

	EXPECT_EQ(cuMemAlloc_v2(&p, 4), CUDA_ERROR_NOT_INITIALIZED);
	EXPECT_EQ(cuDeviceGetCount(&n), CUDA_ERROR_NOT_INITIALIZED);
	EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_NOT_INITIALIZED);
	EXPECT_EQ(cuDriverGetVersion(&n), CUDA_SUCCESS);
	EXPECT_EQ(n, 13000);
	EXPECT_EQ(cuDriverGetVersion(nullptr), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(cuInit(1), CUDA_ERROR_INVALID_VALUE);
}

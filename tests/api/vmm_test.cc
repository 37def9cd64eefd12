/* SPDX-License-Identifier: MIT */
/* The virtual memory management API, as allocators of frameworks use it. */
#include "api/api_test.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

const size_t MiB2 = 2u << 20;

class Vmm : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
		prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
		prop.location.id = dev;
		rw.location = prop.location;
		rw.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
	}

	CUmemAllocationProp prop = {};
	CUmemAccessDesc rw = {};
};

TEST_F(Vmm, GranularityIsTwoMiB)
{
	size_t g = 0;

	CU_OK(cuMemGetAllocationGranularity(&g, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
	EXPECT_EQ(g, MiB2);
	CU_OK(cuMemGetAllocationGranularity(&g, &prop, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
	EXPECT_EQ(g, MiB2);
	CU_IS(cuMemGetAllocationGranularity(nullptr, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
	      CUDA_ERROR_INVALID_VALUE);
	prop.location.id = 99;
	CU_IS(cuMemGetAllocationGranularity(&g, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
	      CUDA_ERROR_INVALID_DEVICE);
}

TEST_F(Vmm, WholeLife)
{
	CUmemGenericAllocationHandle h;
	CUdeviceptr va;
	auto data = pattern(MiB2);
	unsigned long long access = 9;

	CU_OK(cuMemAddressReserve(&va, 4 * MiB2, 0, 0, 0));
	EXPECT_EQ(va % MiB2, 0u);
	CU_OK(cuMemCreate(&h, MiB2, &prop, 0));
	CU_OK(cuMemMap(va + MiB2, MiB2, 0, h, 0));
	CU_OK(cuMemGetAccess(&access, &prop.location, va + MiB2));
	EXPECT_EQ(access, 0u);
	CU_IS(cuMemcpyHtoD(va + MiB2, data.data(), 4), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemSetAccess(va + MiB2, MiB2, &rw, 1));
	CU_OK(cuMemGetAccess(&access, &prop.location, va + MiB2));
	EXPECT_EQ(access, 3u);
	/* The handle may go first: the mapping keeps the memory. */
	CU_OK(cuMemRelease(h));
	CU_OK(cuMemcpyHtoD(va + MiB2, data.data(), MiB2));
	EXPECT_EQ(read(va + MiB2, MiB2), data);
	CU_OK(cuMemUnmap(va + MiB2, MiB2));
	CU_IS(cuMemcpyHtoD(va + MiB2, data.data(), 4), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemAddressFree(va, 4 * MiB2));
}

TEST_F(Vmm, GrowingPool)
{
	const size_t n = 8;
	CUdeviceptr va;

	/* As ggml's pool does it: one reservation, chunks behind each other, one unmap at the end. */
	CU_OK(cuMemAddressReserve(&va, 32ull << 30, 0, 0, 0));
	for (size_t i = 0; i < n; i++) {
		CUmemGenericAllocationHandle h;

		CU_OK(cuMemCreate(&h, MiB2, &prop, 0));
		CU_OK(cuMemMap(va + i * MiB2, MiB2, 0, h, 0));
		CU_OK(cuMemRelease(h));
		CU_OK(cuMemSetAccess(va + i * MiB2, MiB2, &rw, 1));
	}
	auto data = pattern(n * MiB2 - 100);
	CU_OK(cuMemcpyHtoD(va + 50, data.data(), data.size()));
	EXPECT_EQ(read(va + 50, data.size()), data);
	CU_OK(cuMemsetD8(va, 7, n * MiB2));
	EXPECT_EQ(read(va + n * MiB2 - 1, 1)[0], 7);
	CU_IS(cuMemcpyHtoD(va + 1, data.data(), n * MiB2), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemUnmap(va, n * MiB2));
	CU_OK(cuMemAddressFree(va, 32ull << 30));
}

TEST_F(Vmm, OnePieceTwoAddresses)
{
	CUmemGenericAllocationHandle h;
	CUdeviceptr va;
	uint32_t v = 0;

	CU_OK(cuMemAddressReserve(&va, 2 * MiB2, 0, 0, 0));
	CU_OK(cuMemCreate(&h, MiB2, &prop, 0));
	CU_OK(cuMemMap(va, MiB2, 0, h, 0));
	CU_OK(cuMemMap(va + MiB2, MiB2, 0, h, 0));
	CU_OK(cuMemSetAccess(va, 2 * MiB2, &rw, 1));
	CU_OK(cuMemsetD32(va + 16, 4711, 1));
	CU_OK(cuMemcpyDtoH(&v, va + MiB2 + 16, 4));
	EXPECT_EQ(v, 4711u);
	CU_OK(cuMemUnmap(va, 2 * MiB2));
	CU_OK(cuMemRelease(h));
	CU_OK(cuMemAddressFree(va, 2 * MiB2));
}

TEST_F(Vmm, RetainGivesTheHandleBack)
{
	CUmemGenericAllocationHandle h, again;
	CUmemAllocationProp got = {};
	CUdeviceptr va;

	CU_OK(cuMemAddressReserve(&va, MiB2, 0, 0, 0));
	CU_OK(cuMemCreate(&h, MiB2, &prop, 0));
	CU_OK(cuMemMap(va, MiB2, 0, h, 0));
	CU_OK(cuMemRelease(h));
	CU_IS(cuMemRelease(h), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemRetainAllocationHandle(&again, reinterpret_cast<void *>(va + 5)));
	EXPECT_EQ(again, h);
	CU_OK(cuMemGetAllocationPropertiesFromHandle(&got, again));
	EXPECT_EQ(got.location.id, dev);
	CU_OK(cuMemRelease(again));
	CU_OK(cuMemUnmap(va, MiB2));
	CU_IS(cuMemRetainAllocationHandle(&again, reinterpret_cast<void *>(va)),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemAddressFree(va, MiB2));
}

TEST_F(Vmm, Refusals)
{
	CUmemGenericAllocationHandle h, h2;
	CUdeviceptr va;

	CU_IS(cuMemAddressReserve(&va, 4096, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAddressReserve(&va, 0, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAddressReserve(&va, MiB2, 3, 0, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAddressReserve(&va, MiB2, 0, 0, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemCreate(&h, 4096, &prop, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemCreate(&h, 0, &prop, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemCreate(&h, MiB2, &prop, 1), CUDA_ERROR_INVALID_VALUE);

	CU_OK(cuMemAddressReserve(&va, 2 * MiB2, 0, 0, 0));
	CU_OK(cuMemCreate(&h, MiB2, &prop, 0));
	CU_OK(cuMemCreate(&h2, MiB2, &prop, 0));
	CU_IS(cuMemMap(va + 1, MiB2, 0, h, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemMap(va, 2 * MiB2, 0, h, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemMap(va + 2 * MiB2, MiB2, 0, h, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemMap(va, MiB2, 0, 12345, 0), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemMap(va, MiB2, 0, h, 0));
	CU_IS(cuMemMap(va, MiB2, 0, h2, 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemSetAccess(va, 2 * MiB2, &rw, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemAddressFree(va, 2 * MiB2), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemUnmap(va + MiB2, MiB2), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemUnmap(va, MiB2));
	CU_IS(cuMemAddressFree(va, MiB2), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemAddressFree(va, 2 * MiB2));
	CU_IS(cuMemAddressFree(va, 2 * MiB2), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemRelease(h));
	CU_OK(cuMemRelease(h2));
}

TEST_F(Vmm, AccountsAndExhaustion)
{
	CUmemGenericAllocationHandle h;
	size_t before, during, after, total;

	CU_OK(cuMemGetInfo(&before, &total));
	CU_OK(cuMemCreate(&h, 64 * MiB2, &prop, 0));
	CU_OK(cuMemGetInfo(&during, &total));
	EXPECT_EQ(before - during, 64 * MiB2);
	CU_OK(cuMemRelease(h));
	CU_OK(cuMemGetInfo(&after, &total));
	EXPECT_EQ(after, before);
	CU_IS(cuMemCreate(&h, 100ull << 30, &prop, 0), CUDA_ERROR_OUT_OF_MEMORY);
}

TEST_F(Vmm, NotExportableUnlessAsked)
{
	CUmemGenericAllocationHandle h;
	int fd;

	CU_OK(cuMemCreate(&h, MiB2, &prop, 0));
	CU_IS(cuMemExportToShareableHandle(&fd, h, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemRelease(h));
	prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_WIN32;
	CU_IS(cuMemCreate(&h, MiB2, &prop, 0), CUDA_ERROR_NOT_SUPPORTED);
}

TEST_F(Vmm, ExportAndImport)
{
	CUmemGenericAllocationHandle h, in;
	CUdeviceptr va;
	uint32_t v = 0;
	int fd = -1;

	prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	CUresult r = cuMemCreate(&h, MiB2, &prop, 0);
	if (r == CUDA_ERROR_NOT_SUPPORTED && !shared_pages())
		GTEST_SKIP() << "descriptors cannot be handed over";
	CU_OK(r);
	CU_OK(cuMemExportToShareableHandle(&fd, h, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
	ASSERT_GE(fd, 0);
	CU_OK(cuMemImportFromShareableHandle(&in,
					     reinterpret_cast<void *>(static_cast<intptr_t>(fd)),
					     CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
	close(fd);
	CU_OK(cuMemAddressReserve(&va, 2 * MiB2, 0, 0, 0));
	CU_OK(cuMemMap(va, MiB2, 0, h, 0));
	CU_OK(cuMemMap(va + MiB2, MiB2, 0, in, 0));
	CU_OK(cuMemSetAccess(va, 2 * MiB2, &rw, 1));
	CU_OK(cuMemsetD32(va, 31337, 4));
	CU_OK(cuMemcpyDtoH(&v, va + MiB2 + 12, 4));
	EXPECT_EQ(v, 31337u);
	CU_OK(cuMemUnmap(va, 2 * MiB2));
	CU_OK(cuMemAddressFree(va, 2 * MiB2));
	CU_OK(cuMemRelease(in));
	CU_OK(cuMemRelease(h));
}

TEST_F(Vmm, ImportRefusesOtherFiles)
{
	CUmemGenericAllocationHandle in;
	int ends[2];

	ASSERT_EQ(pipe(ends), 0);
	CU_IS(cuMemImportFromShareableHandle(
		      &in, reinterpret_cast<void *>(static_cast<intptr_t>(ends[0])),
		      CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemImportFromShareableHandle(&in,
					     reinterpret_cast<void *>(static_cast<intptr_t>(9999)),
					     CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR),
	      CUDA_ERROR_INVALID_VALUE);
	close(ends[0]);
	close(ends[1]);
}

TEST_F(Vmm, NobodyWritesWhatIsReadOnly)
{
	CUmemAllocationProp p = {};
	CUmemAccessDesc desc = {};
	CUmemGenericAllocationHandle h;
	const size_t size = 2 << 20;
	CUdeviceptr va, other = alloc(64);
	CUDA_MEMCPY2D rect = {};
	uint32_t x = 5;

	p.type = CU_MEM_ALLOCATION_TYPE_PINNED;
	p.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
	desc.location = p.location;
	CU_OK(cuMemAddressReserve(&va, 2 * size, 0, 0, 0));
	for (int i = 0; i < 2; i++) {
		CU_OK(cuMemCreate(&h, size, &p, 0));
		CU_OK(cuMemMap(va + i * size, size, 0, h, 0));
		CU_OK(cuMemRelease(h));
	}
	desc.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
	CU_OK(cuMemSetAccess(va, size, &desc, 1));
	desc.flags = CU_MEM_ACCESS_FLAGS_PROT_READ;
	CU_OK(cuMemSetAccess(va + size, size, &desc, 1));

	CU_IS(cuMemcpyHtoD(va + size, &x, 4), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyDtoD(va + size - 8, other, 16), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemsetD32(va + size, 1, 4), CUDA_ERROR_INVALID_VALUE);
	rect.srcMemoryType = CU_MEMORYTYPE_HOST;
	rect.srcHost = &x;
	rect.dstMemoryType = CU_MEMORYTYPE_DEVICE;
	rect.dstDevice = va + size;
	rect.WidthInBytes = 4;
	rect.Height = 1;
	CU_IS(cuMemcpy2D(&rect), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemcpyHtoD(va, &x, 4), CUDA_SUCCESS);
	x = 1;
	CU_IS(cuMemcpyDtoH(&x, va + size, 4), CUDA_SUCCESS);
	EXPECT_EQ(x, 0u);
	CU_OK(cuMemUnmap(va, 2 * size));
	CU_OK(cuMemAddressFree(va, 2 * size));
	CU_OK(cuMemFree(other));
}

/*
 * Each exportable allocation is a descriptor in this process and in the worker. Whichever runs out
 * of them first: no memory, and all goes on.
 */
TEST_F(Vmm, ExportableAllocationsRunOutAndGoOn)
{
	std::vector<CUmemGenericAllocationHandle> all;
	CUmemGenericAllocationHandle h;
	struct rlimit was, wide;
	CUdeviceptr va;
	CUresult r;

	if (!shared_pages())
		GTEST_SKIP() << "exportable memory needs shared pages";
	ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
	wide = was;
	wide.rlim_cur = wide.rlim_max;
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &wide), 0);
	prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	while ((r = cuMemCreate(&h, MiB2, &prop, 0)) == CUDA_SUCCESS && all.size() < 65536)
		all.push_back(h);
	CU_IS(r, CUDA_ERROR_OUT_OF_MEMORY);
	EXPECT_GT(all.size(), 200u);
	CU_IS(cuMemCreate(&h, MiB2, &prop, 0), CUDA_ERROR_OUT_OF_MEMORY);
	RecordProperty("allocations", static_cast<int>(all.size()));
	for (CUmemGenericAllocationHandle one : all)
		CU_OK(cuMemRelease(one));
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);

	CU_OK(cuMemCreate(&h, MiB2, &prop, 0));
	CU_OK(cuMemAddressReserve(&va, MiB2, 0, 0, 0));
	CU_OK(cuMemMap(va, MiB2, 0, h, 0));
	CU_OK(cuMemSetAccess(va, MiB2, &rw, 1));
	CU_OK(cuMemsetD32(va, 5, MiB2 / 4));
	EXPECT_EQ(read(va, 1)[0], 5);
	CU_OK(cuMemUnmap(va, MiB2));
	CU_OK(cuMemRelease(h));
	CU_OK(cuMemAddressFree(va, MiB2));
}

} // namespace

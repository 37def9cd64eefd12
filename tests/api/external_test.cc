/* SPDX-License-Identifier: MIT */
/* External memory: what this driver exported, opened again as memory of unknown origin. */
#include "api/api_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

constexpr size_t kUnit = 2u << 20, kBytes = 3 * kUnit;

class External : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CUmemAllocationProp prop = {};
		CUmemAccessDesc access = {};

		prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
		prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
		prop.location.id = dev;
		prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
		CUresult r = cuMemCreate(&phys, kBytes, &prop, 0);
		if (r == CUDA_ERROR_NOT_SUPPORTED)
			GTEST_SKIP() << "exporting memory needs shared pages";
		ASSERT_EQ(r, CUDA_SUCCESS);
		CU_OK(cuMemAddressReserve(&va, kBytes, 0, 0, 0));
		CU_OK(cuMemMap(va, kBytes, 0, phys, 0));
		access.location = prop.location;
		access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
		CU_OK(cuMemSetAccess(va, kBytes, &access, 1));
	}
	void TearDown() override
	{
		if (va) {
			CU_OK(cuMemUnmap(va, kBytes));
			CU_OK(cuMemAddressFree(va, kBytes));
			CU_OK(cuMemRelease(phys));
		}
		Api::TearDown();
	}
	int exported()
	{
		int fd = -1;

		EXPECT_EQ(cuMemExportToShareableHandle(&fd, phys,
						       CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0),
			  CUDA_SUCCESS);
		return fd;
	}
	static CUDA_EXTERNAL_MEMORY_HANDLE_DESC desc(int fd, size_t size)
	{
		CUDA_EXTERNAL_MEMORY_HANDLE_DESC d = {};

		d.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
		d.handle.fd = fd;
		d.size = size;
		return d;
	}
	static CUDA_EXTERNAL_MEMORY_BUFFER_DESC part(size_t offset, size_t size)
	{
		CUDA_EXTERNAL_MEMORY_BUFFER_DESC d = {};

		d.offset = offset;
		d.size = size;
		return d;
	}

	CUmemGenericAllocationHandle phys;
	CUdeviceptr va = 0;
};

TEST_F(External, BuffersShowTheSameMemory)
{
	int fd = exported();
	auto d = desc(fd, kBytes);
	auto whole = part(0, kBytes), piece = part(kUnit - 4096, 8192);
	auto in = pattern(kBytes), change = pattern(8192, 7);
	CUexternalMemory m;
	CUdeviceptr a, b;

	CU_OK(cuMemcpyHtoD(va, in.data(), kBytes));
	CU_OK(cuImportExternalMemory(&m, &d));
	EXPECT_EQ(fcntl(fd, F_GETFD), -1) << "the descriptor is the driver's now";
	CU_OK(cuExternalMemoryGetMappedBuffer(&a, m, &whole));
	CU_OK(cuExternalMemoryGetMappedBuffer(&b, m, &piece));
	EXPECT_NE(a, b);
	EXPECT_EQ(read(a, kBytes), in);
	CU_OK(cuMemcpyHtoD(b, change.data(), change.size()));
	EXPECT_EQ(read(va + kUnit - 4096, 8192), change);
	EXPECT_EQ(read(a + kUnit - 4096, 8192), change);
	CU_OK(cuMemsetD8(a, 9, 16)); /* the worker's way to it */
	EXPECT_EQ(read(va, 16), std::vector<uint8_t>(16, 9));
	/* Buffers outlive the object. */
	CU_OK(cuDestroyExternalMemory(m));
	EXPECT_EQ(read(b, 8192), change);
	CU_OK(cuMemFree(b));
	CU_OK(cuMemFree(a));
	CU_IS(cuMemFree(a), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDestroyExternalMemory(m), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(External, Refusals)
{
	int fd = exported(), file = memfd_create("anything", MFD_CLOEXEC);
	auto good = desc(fd, kBytes), bad = good;
	auto whole = part(0, kBytes);
	CUexternalMemory m;
	CUdeviceptr p;

	CU_IS(cuImportExternalMemory(nullptr, &good), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuImportExternalMemory(&m, nullptr), CUDA_ERROR_INVALID_VALUE);
	bad.size = 0;
	CU_IS(cuImportExternalMemory(&m, &bad), CUDA_ERROR_INVALID_VALUE);
	bad.size = kBytes + 1;
	CU_IS(cuImportExternalMemory(&m, &bad), CUDA_ERROR_INVALID_VALUE);
	bad = good;
	bad.flags = 2;
	CU_IS(cuImportExternalMemory(&m, &bad), CUDA_ERROR_INVALID_VALUE);
	bad = good;
	bad.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_WIN32;
	CU_IS(cuImportExternalMemory(&m, &bad), CUDA_ERROR_NOT_SUPPORTED);
	/* Not ours: no size, no seals. */
	bad = desc(file, kUnit);
	CU_IS(cuImportExternalMemory(&m, &bad), CUDA_ERROR_INVALID_VALUE);
	ASSERT_EQ(ftruncate(file, kUnit), 0);
	CU_IS(cuImportExternalMemory(&m, &bad), CUDA_ERROR_INVALID_VALUE);
	bad = desc(-1, kUnit);
	CU_IS(cuImportExternalMemory(&m, &bad), CUDA_ERROR_INVALID_VALUE);
	EXPECT_NE(fcntl(fd, F_GETFD), -1) << "what was refused stays the caller's";

	CU_OK(cuImportExternalMemory(&m, &good));
	CU_IS(cuExternalMemoryGetMappedBuffer(nullptr, m, &whole), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuExternalMemoryGetMappedBuffer(&p, m, nullptr), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuExternalMemoryGetMappedBuffer(&p, nullptr, &whole), CUDA_ERROR_INVALID_HANDLE);
	for (auto [offset, size] :
	     std::initializer_list<std::pair<size_t, size_t>>{ { 0, 0 },
							       { 0, kBytes + 1 },
							       { kBytes, 1 },
							       { kBytes + 1, 1 },
							       { 1, SIZE_MAX } }) {
		auto d = part(offset, size);

		CU_IS(cuExternalMemoryGetMappedBuffer(&p, m, &d), CUDA_ERROR_INVALID_VALUE);
	}
	whole.flags = 1;
	CU_IS(cuExternalMemoryGetMappedBuffer(&p, m, &whole), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuDestroyExternalMemory(m));
	close(file);
}

} // namespace

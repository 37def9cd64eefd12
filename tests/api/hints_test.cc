/* SPDX-License-Identifier: MIT */
/* Managed memory: advice and prefetches page by page, batches, attachment to streams. */
#include "api/api_test.h"

namespace {

CUmemLocation location(CUmemLocationType type, int id)
{
	CUmemLocation l{};

	l.type = type;
	l.id = id;
	return l;
}

class Hints : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		if (cuMemAllocManaged(&p, BYTES, CU_MEM_ATTACH_GLOBAL) == CUDA_ERROR_NOT_SUPPORTED)
			p = 0; /* without shared pages there is no managed memory */
	}
	void TearDown() override
	{
		CU_OK(cuMemFree(p));
		CU_OK(cuStreamDestroy(s));
		Api::TearDown();
	}
	bool there()
	{
		EXPECT_EQ(p != 0, shared_pages());
		return p != 0;
	}
	int ask(CUmem_range_attribute attr, uint64_t off = 0, uint64_t bytes = BYTES)
	{
		int v = 77;

		EXPECT_EQ(cuMemRangeGetAttribute(&v, sizeof(v), attr, p + off, bytes),
			  CUDA_SUCCESS);
		return v;
	}
	CUresult advise(CUmem_advise a, uint64_t off, uint64_t bytes, CUmemLocation l)
	{
		return cuMemAdvise(p + off, bytes, a, l);
	}

	static constexpr uint64_t PAGE = 4096, BYTES = 64 * PAGE;
	CUmemLocation device = location(CU_MEM_LOCATION_TYPE_DEVICE, 0);
	CUmemLocation host = location(CU_MEM_LOCATION_TYPE_HOST, 0);
	CUdeviceptr p = 0;
	CUstream s = nullptr;
};

TEST_F(Hints, NothingWasSaid)
{
	if (!there())
		return;
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY), 0);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION), CU_DEVICE_INVALID);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION), CU_DEVICE_INVALID);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY), CU_DEVICE_INVALID);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE),
		  CU_MEM_LOCATION_TYPE_INVALID);
}

TEST_F(Hints, PartsDiffer)
{
	if (!there())
		return;
	CU_OK(advise(CU_MEM_ADVISE_SET_READ_MOSTLY, 8 * PAGE, 8 * PAGE, device));
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 8 * PAGE, 8 * PAGE), 1);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 9 * PAGE, 1), 1);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 7 * PAGE, 2 * PAGE), 0);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 15 * PAGE, 2 * PAGE), 0);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY), 0);
	CU_OK(advise(CU_MEM_ADVISE_SET_READ_MOSTLY, 0, BYTES, device));
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY), 1);
	CU_OK(advise(CU_MEM_ADVISE_UNSET_READ_MOSTLY, 10 * PAGE, PAGE, device));
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY), 0);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 0, 10 * PAGE), 1);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, 11 * PAGE, 53 * PAGE), 1);
}

TEST_F(Hints, Locations)
{
	int by[3];

	if (!there())
		return;
	CU_OK(advise(CU_MEM_ADVISE_SET_PREFERRED_LOCATION, 0, BYTES, device));
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION), 0);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE), CU_MEM_LOCATION_TYPE_DEVICE);
	CU_OK(advise(CU_MEM_ADVISE_SET_PREFERRED_LOCATION, 0, PAGE, host));
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION), CU_DEVICE_INVALID);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, 0, PAGE), CU_DEVICE_CPU);
	CU_OK(advise(CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION, 0, BYTES, device));
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION, 0, PAGE), CU_DEVICE_INVALID);
	CU_OK(advise(CU_MEM_ADVISE_SET_ACCESSED_BY, 0, BYTES, device));
	CU_OK(advise(CU_MEM_ADVISE_SET_ACCESSED_BY, 0, BYTES, host));
	CU_OK(cuMemRangeGetAttribute(by, sizeof(by), CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, p, BYTES));
	EXPECT_EQ(by[0], 0);
	EXPECT_EQ(by[1], CU_DEVICE_CPU);
	EXPECT_EQ(by[2], CU_DEVICE_INVALID);
	CU_OK(advise(CU_MEM_ADVISE_UNSET_ACCESSED_BY, PAGE, PAGE, host));
	CU_OK(cuMemRangeGetAttribute(by, sizeof(by), CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, p, BYTES));
	EXPECT_EQ(by[1], CU_DEVICE_INVALID);
}

TEST_F(Hints, PrefetchesOneByOneAndInBatches)
{
	CUdeviceptr at[3];
	size_t sizes[3] = { PAGE, PAGE, 2 * PAGE }, first[2] = { 0, 2 }, wrong[2] = { 0, 0 };
	CUmemLocation where[2] = { device, host };

	if (!there())
		return;
	at[0] = p;
	at[1] = p + 4 * PAGE;
	at[2] = p + 8 * PAGE;
	CU_OK(cuMemPrefetchAsync(p, BYTES, host, 0, s));
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION), CU_DEVICE_CPU);
	CU_OK(cuMemPrefetchBatchAsync(at, sizes, 3, where, first, 2, 0, s));
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, 4 * PAGE, PAGE), 0);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, 8 * PAGE, 2 * PAGE),
		  CU_DEVICE_CPU);
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION), CU_DEVICE_INVALID);
	CU_OK(cuMemDiscardBatchAsync(at, sizes, 3, 0, s));
	CU_OK(cuMemDiscardAndPrefetchBatchAsync(at, sizes, 3, where, first, 1, 0, s));
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, 8 * PAGE, PAGE), 0);
	CU_IS(cuMemPrefetchBatchAsync(at, sizes, 3, where, wrong, 2, 0, s),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemPrefetchBatchAsync(at, sizes, 0, where, first, 2, 0, s),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemPrefetchBatchAsync(at, sizes, 3, where, first, 2, 1, s),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemPrefetchBatchAsync(at, sizes, 3, where, first, 2, 0, nullptr),
	      CUDA_ERROR_INVALID_VALUE);
	sizes[2] = BYTES;
	CU_IS(cuMemDiscardBatchAsync(at, sizes, 3, 0, s), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Hints, FreedIsForgotten)
{
	if (!there())
		return;
	CU_OK(advise(CU_MEM_ADVISE_SET_READ_MOSTLY, 0, BYTES, device));
	CU_OK(cuMemFree(p));
	CU_OK(cuMemAllocManaged(&p, BYTES, CU_MEM_ATTACH_GLOBAL));
	EXPECT_EQ(ask(CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY), 0);
}

TEST_F(Hints, SeveralQuestionsAtOnce)
{
	CUmem_range_attribute attrs[2] = { CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY,
					   CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION };
	int a = 7, b = 7;
	void *data[2] = { &a, &b };
	size_t sizes[2] = { 4, 4 };

	if (!there())
		return;
	CU_OK(cuMemPrefetchAsync(p, BYTES, device, 0, s));
	CU_OK(cuMemRangeGetAttributes(data, sizes, attrs, 2, p, BYTES));
	EXPECT_EQ(a, 0);
	EXPECT_EQ(b, 0);
	sizes[1] = 8;
	CU_IS(cuMemRangeGetAttributes(data, sizes, attrs, 2, p, BYTES), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Hints, Attachment)
{
	if (!there())
		return;
	CU_OK(cuStreamAttachMemAsync(s, p, 0, CU_MEM_ATTACH_SINGLE));
	CU_OK(cuStreamAttachMemAsync(s, p, BYTES, CU_MEM_ATTACH_HOST));
	CU_OK(cuStreamAttachMemAsync(nullptr, p, 0, CU_MEM_ATTACH_GLOBAL));
	CU_IS(cuStreamAttachMemAsync(nullptr, p, 0, CU_MEM_ATTACH_SINGLE),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuStreamAttachMemAsync(s, p + PAGE, 0, CU_MEM_ATTACH_SINGLE),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuStreamAttachMemAsync(s, p, PAGE, CU_MEM_ATTACH_SINGLE), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuStreamAttachMemAsync(s, p, 0, 0), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Hints, OnlyManagedMemory)
{
	CUdeviceptr d = alloc(BYTES);
	CUmemLocation nowhere = location(CU_MEM_LOCATION_TYPE_DEVICE, 99);
	int v;

	CU_IS(cuMemAdvise(d, BYTES, CU_MEM_ADVISE_SET_READ_MOSTLY, device),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemPrefetchAsync(d, BYTES, device, 0, s), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemRangeGetAttribute(&v, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, d, BYTES),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuStreamAttachMemAsync(s, d, 0, CU_MEM_ATTACH_GLOBAL), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuMemFree(d));
	if (!there())
		return;
	CU_IS(advise(CU_MEM_ADVISE_SET_PREFERRED_LOCATION, 0, BYTES, nowhere),
	      CUDA_ERROR_INVALID_DEVICE);
	CU_IS(cuMemRangeGetAttribute(&v, 8, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, p, BYTES),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemRangeGetAttribute(&v, 4, static_cast<CUmem_range_attribute>(99), p, BYTES),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuMemRangeGetAttribute(nullptr, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, p, BYTES),
	      CUDA_ERROR_INVALID_VALUE);
}

} // namespace

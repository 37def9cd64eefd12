/* SPDX-License-Identifier: MIT */
/* Handles: whatever a program passes, the check answers and never crashes. */
#include <gtest/gtest.h>

#include <cstdlib>

extern "C" {
#include "libcuda/core/handle.h"
}

TEST(Handle, LiveOnesAreFoundByKind)
{
	void *h = cu_handle_create(CU_KIND_CTX, 100);

	ASSERT_NE(h, nullptr);
	EXPECT_EQ(cu_handle_get(h, CU_KIND_CTX), h);
	EXPECT_EQ(cu_handle_get(h, CU_KIND_STREAM), nullptr);
	EXPECT_EQ(cu_handle_kind(h), CU_KIND_CTX);
	cu_handle_destroy(h);
	EXPECT_EQ(cu_handle_get(h, CU_KIND_CTX), nullptr);
}

TEST(Handle, ForeignValuesAreRefused)
{
	char *h = static_cast<char *>(cu_handle_create(CU_KIND_EVENT, 8));
	int local = 0;
	void *heap = malloc(64);

	EXPECT_EQ(cu_handle_kind(nullptr), CU_KIND_FREE);
	EXPECT_EQ(cu_handle_kind(&local), CU_KIND_FREE);
	EXPECT_EQ(cu_handle_kind(heap), CU_KIND_FREE);
	EXPECT_EQ(cu_handle_kind(reinterpret_cast<void *>(2)), CU_KIND_FREE);
	EXPECT_EQ(cu_handle_kind(reinterpret_cast<void *>(~0ull)), CU_KIND_FREE);
	EXPECT_EQ(cu_handle_kind(h + 8), CU_KIND_FREE);
	EXPECT_EQ(cu_handle_kind(h + CU_HANDLE_BYTES), CU_KIND_FREE);
	free(heap);
	cu_handle_destroy(h);
}

TEST(Handle, MemoryIsZeroAndAFreedOneRestsForLong)
{
	void *first = cu_handle_create(CU_KIND_FUNC, CU_HANDLE_BYTES);
	cu_handle_destroy(first);

	for (int i = 0; i < 1000; i++) {
		char *h = static_cast<char *>(cu_handle_create(CU_KIND_FUNC, CU_HANDLE_BYTES));

		ASSERT_NE(h, first);
		for (int j = sizeof(cu_head); j < CU_HANDLE_BYTES; j++)
			ASSERT_EQ(h[j], 0);
		h[CU_HANDLE_BYTES - 1] = 1;
		cu_handle_destroy(h);
	}
}

TEST(Handle, TooLargeIsRefused)
{
	EXPECT_EQ(cu_handle_create(CU_KIND_FUNC, CU_HANDLE_BYTES + 1), nullptr);
}

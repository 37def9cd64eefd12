// SPDX-License-Identifier: MIT
// Handles: found while live, gone when removed, stale ones never alias, the limit is exact.
#include <gtest/gtest.h>

#include <cerrno>

extern "C" {
#include "cuse_dev/base/idtab.h"
}

TEST(Idtab, StaleHandleIsNotFoundAfterReuse)
{
	struct idtab t;
	int a, b;
	uint32_t ia, ib;

	idtab_init(&t, 8);
	ASSERT_EQ(0, idtab_add(&t, &a, &ia));
	EXPECT_NE(0u, ia);
	EXPECT_EQ(&a, idtab_get(&t, ia));
	EXPECT_EQ(&a, idtab_remove(&t, ia));
	EXPECT_EQ(nullptr, idtab_get(&t, ia));
	ASSERT_EQ(0, idtab_add(&t, &b, &ib));
	EXPECT_NE(ia, ib);
	EXPECT_EQ(nullptr, idtab_get(&t, ia));
	EXPECT_EQ(&b, idtab_get(&t, ib));
	EXPECT_EQ(nullptr, idtab_remove(&t, ia));
	idtab_fini(&t);
}

TEST(Idtab, LimitIsExact)
{
	struct idtab t;
	int x;
	uint32_t id = 0;

	idtab_init(&t, 3);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, idtab_add(&t, &x, &id));
	EXPECT_EQ(-ENOSPC, idtab_add(&t, &x, &id));
	idtab_remove(&t, id);
	EXPECT_EQ(0, idtab_add(&t, &x, &id));
	idtab_fini(&t);
}

TEST(Idtab, WalkSeesEveryLiveOneOnce)
{
	struct idtab t;
	int x[5];
	uint32_t id[5], pos = 0;
	int seen = 0;

	idtab_init(&t, 100);
	for (int i = 0; i < 5; i++)
		ASSERT_EQ(0, idtab_add(&t, &x[i], &id[i]));
	idtab_remove(&t, id[2]);
	while (idtab_next(&t, &pos))
		seen++;
	EXPECT_EQ(4, seen);
	EXPECT_EQ(nullptr, idtab_get(&t, 0));
	EXPECT_EQ(nullptr, idtab_get(&t, 0xffffffffu));
	idtab_fini(&t);
}

/* SPDX-License-Identifier: MIT */
/*
 * sanitized_test.cc - programs that were built with a sanitizer find the device, compute, and end without a report.
 */
#include <string.h>

#include "system/system_test.h"

class Sanitized : public SystemTest {
protected:
	void run_program(const char *path)
	{
		const char *p = path[0] ? support_world_program(path) : nullptr;

		if (!p)
			GTEST_SKIP() << "the compiler has no such sanitizer";
		auto r = prog({ p }).user(NOBODY).timeout(60000).run();

		if (strstr(r->text().c_str(), "unexpected memory mapping"))
			GTEST_SKIP()
				<< "the sanitizer does not run with this kernel's address layout";
		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_STREQ(r->res.out, "ok\n") << r->text();
	}
};

TEST_F(Sanitized, Thread)
{
	run_program(SYSTEM_SANITIZED_THREAD);
}

TEST_F(Sanitized, AddressAndLeaks)
{
	run_program(SYSTEM_SANITIZED_ADDRESS);
}

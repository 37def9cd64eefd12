/* SPDX-License-Identifier: MIT */
/*
 * offload_test.cc - OpenMP offloading of Debian's gcc: it compiles offload_openmp.c in its own root, and libgomp links the
 * PTX (its own runtime's and the program's) through cuLink when the program starts.
 */
#include <string.h>

#include "system/root_test.h"

namespace {

const char gcc[] = "/usr/bin/gcc-12";

class Offload : public RootTest {
protected:
	void SetUp() override
	{
		RootTest::SetUp();
		if (IsSkipped())
			return;
		enter_root(std::string(SYSTEM_PROGRAMS) + "/offload/root", gcc,
			   "tests/system/fetch_debian.sh");
		if (root.empty())
			return;
		auto r = prog({ "/bin/cp", std::string(SYSTEM_SOURCES) + "/offload_openmp.c",
				root + "/tmp/" })
				 .run();
		ASSERT_EQ(r->res.code, 0) << r->text();
		r = in_root({ gcc, "-O2", "-fopenmp", "-foffload=nvptx-none", "-o", "/tmp/offload",
			      "/tmp/offload_openmp.c" },
			    120, { "PATH=/usr/bin" });
		ASSERT_EQ(r->res.code, 0) << r->text();
	}
};

} // namespace

TEST_F(Offload, RegionsRunOnTheDevice)
{
	auto r = in_root({ "/tmp/offload" }, 120);

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_STREQ(r->res.out, "right devices\nright on_device\nright axpy\nright reduction\n"
				 "right atomics\nright matrix\nright kept\ndone\n")
		<< r->text();
}

/* SPDX-License-Identifier: MIT */
/*
 * cudart_test.cc - shared CUDA runtimes of three major versions drive the device.
 *
 * They differ in what they ask of the driver: private tables, modules or libraries, which entry
 * points. The runtimes are NVIDIA's own, fetched by fetch_cudart.sh; cudart_probe.c says what they
 * are made to do. The static runtime is what demo_test.cc runs.
 */
#include <string.h>
#include <unistd.h>

#include "system/system_test.h"

class Cudart : public SystemTest {
protected:
	/* Runs the probe as nobody, in an empty environment, with the runtime beside it. */
	void probe(const std::string &lib)
	{
		std::string path = std::string(SYSTEM_CUDART_FETCHED) + "/" + lib;
		std::string dir = std::string(support_world_dir()) + "/cudart";

		if (!*SYSTEM_CUDART_FATBIN)
			GTEST_SKIP() << "needs nvcc";
		if (access(path.c_str(), R_OK) < 0)
			GTEST_SKIP() << "needs " << lib << " (tests/system/fetch_cudart.sh)";
		auto cp = prog({ "/bin/sh", "-ec",
				 "mkdir -p " + dir + " && cp -L " + path + " " + dir +
					 "/lib.so && cp " + SYSTEM_CUDART_FATBIN + " " + dir +
					 "/fatbin && chmod -R a+rX " + dir })
				  .run();
		ASSERT_EQ(cp->res.code, 0) << cp->text();
		const char *program = support_world_program(SYSTEM_CUDART_PROBE);
		ASSERT_NE(program, nullptr);
		auto r = prog({ program, dir + "/lib.so", dir + "/fatbin" })
				 .user(NOBODY)
				 .timeout(60000)
				 .run();
		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_NE(strstr(r->res.out, "\nok\n"), nullptr) << r->text();
		prog({ "/bin/rm", "-rf", dir }).run();
	}
};

TEST_F(Cudart, Version11)
{
	probe("11.8/nvidia/cuda_runtime/lib/libcudart.so.11.0");
}

TEST_F(Cudart, Version12)
{
	probe("12.4/nvidia/cuda_runtime/lib/libcudart.so.12");
}

TEST_F(Cudart, Version13)
{
	probe("13.0/nvidia/cu13/lib/libcudart.so.13");
}

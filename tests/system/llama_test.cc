/* SPDX-License-Identifier: MIT */
/*
 * llama_test.cc - the real CUDA backend of llama.cpp lists the device, started as Ollama starts its runner.
 *
 * The backend is the prebuilt one of the npm package @node-llama-cpp/linux-x64-cuda, fetched by
 * fetch_llama.sh. It is linked against libcublas.so.13, which nothing here calls: listing devices
 * does not, and the stand-in (cublas_stand_in.c) aborts with a clear word if anything should.
 */
#include <string.h>
#include <unistd.h>

#include "system/system_test.h"

using Llama = SystemTest;

TEST_F(Llama, BackendListsTheDeviceInASubprocess)
{
	const std::string lib = std::string(SYSTEM_LLAMA_DIR) + "/package/bins/linux-x64-cuda";
	const std::string cudart = SYSTEM_CUDART_DIR;

	if (access((lib + "/libggml-cuda.so").c_str(), R_OK) < 0)
		GTEST_SKIP() << "needs the npm package @node-llama-cpp/linux-x64-cuda "
				"(tests/system/fetch_llama.sh)";
	if (access((cudart + "/libcudart.so.13").c_str(), R_OK) < 0)
		GTEST_SKIP() << "needs libcudart.so.13 beside the toolkit";
	std::string dir = std::string(support_world_dir()) + "/llama";
	auto cp = prog({ "/bin/sh", "-ec",
			 "mkdir -p " + dir + " && cp " + lib + "/*.so " + cudart +
				 "/libcudart.so.13 " + SYSTEM_CUBLAS + " " + dir })
			  .run();
	ASSERT_EQ(cp->res.code, 0) << cp->text();
	const char *list = support_world_program(SYSTEM_GGML_LIST);
	ASSERT_NE(list, nullptr);

	/* The runner's own LD_LIBRARY_PATH does not hold libcuda: the system's loader path does. */
	prog p({ "/bin/sh", "-c",
		 std::string("LD_LIBRARY_PATH=") + dir + " /usr/bin/env - LD_LIBRARY_PATH=" + dir +
			 " " + list + "; exit $?" });
	auto r = p.user(NOBODY).timeout(120000).run();
	ASSERT_EQ(r->res.code, 0) << r->text();
	auto v = r->values();
	EXPECT_EQ(v["devices"], "1") << r->text();
	EXPECT_EQ(v["name"], "CUDA0");
	EXPECT_EQ(v["description"], "NVIDIA H100 80GB HBM3");
	EXPECT_EQ(v["total"], std::to_string(80ull << 30));
	EXPECT_GE(std::stoull(v["free"]), 77ull << 30);
	EXPECT_NE(strstr(r->res.err, "compute capability 9.0, VMM: yes"), nullptr) << r->text();
	prog({ "/bin/rm", "-rf", dir }).run();
}

/* SPDX-License-Identifier: MIT */
/*
 * python_test.cc - Numba, CuPy, cuda.core and PyTorch as PyPI has them (fetch_python.sh), each by its own
 * python_*.py, compared with NumPy and the CPU.
 *
 * Nothing may be wrong or fail. What they need of the environment is their own business: CuPy is
 * told by its own variable to make PTX, since machine code, its default, cannot run here.
 */
#include <string.h>

#include "system/system_test.h"

namespace {

class Python : public SystemTest {
protected:
	void check(const char *name, const char *set, int count, std::vector<std::string> env = {})
	{
		std::string python =
			std::string(SYSTEM_PROGRAMS) + "/python/" + set + "/bin/python";

		if (access(python.c_str(), X_OK) ||
		    access((std::string(SYSTEM_PROGRAMS) + "/python/" + set + "/packages").c_str(),
			   R_OK))
			GTEST_SKIP() << "needs tests/system/fetch_python.sh " << set;
		prog p({ python, "-B", std::string(SYSTEM_SOURCES) + "/python_" + name + ".py" });
		env.push_back(std::string("HOME=") + support_world_dir());
		p.env = std::move(env);
		auto r = p.timeout(280000).run();
		std::string out = "\n" + std::string(r->res.out ? r->res.out : "");
		int right = 0;

		for (size_t at = 0; (at = out.find("\nright ", at)) != std::string::npos; at++)
			right++;
		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_EQ(out.find("\nwrong "), std::string::npos) << r->text();
		EXPECT_EQ(out.find("\nfailed "), std::string::npos) << r->text();
		EXPECT_NE(out.find("\ndone\n"), std::string::npos) << r->text();
		EXPECT_EQ(right, count) << r->text();
	}
};

} // namespace

TEST_F(Python, Numba)
{
	check("numba", "numba", 9);
}

TEST_F(Python, Cupy)
{
	check("cupy", "cupy", 12, { "CUPY_COMPILE_WITH_PTX=1" });
}

TEST_F(Python, CudaCore)
{
	check("cuda_core", "numba", 6);
}

TEST_F(Python, Torch)
{
	check("torch", "torch", 11);
}

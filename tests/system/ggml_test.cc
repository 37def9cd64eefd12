/* SPDX-License-Identifier: MIT */
/*
 * ggml_test.cc - llama.cpp as Debian builds it (CUDA 12.4): its tools list the device, and its own test program
 * compares the CUDA backend with the CPU backend, operation by operation.
 *
 * test-backend-ops says "N/M tests passed" of what the backend supports. The operations here end in a few
 * seconds each; docs/programs.md has the count of all.
 */
#include <string.h>

#include "system/root_test.h"

namespace {

const char tester[] = "/usr/libexec/x86_64-linux-gnu/ggml/test-backend-ops";

class Ggml : public RootTest {
protected:
	void SetUp() override
	{
		RootTest::SetUp();
		if (!IsSkipped())
			enter_root(std::string(SYSTEM_PROGRAMS) + "/llama/root", tester,
				   "tests/system/fetch_debian.sh");
	}

	/* All cases of these operations whose parameters match; at least so many must have run. */
	void ops(const char *names, int at_least, const char *params = "")
	{
		std::vector<std::string> argv = { tester, "test", "-b", "CUDA0", "-o", names };

		if (*params) {
			argv.push_back("-p");
			argv.push_back(params);
		}
		auto r = in_root(argv, 240);
		const char *p = strstr(r->res.out, " tests passed");
		int passed = -1, all = -2;

		ASSERT_NE(p, nullptr) << r->text();
		while (p > r->res.out && p[-1] != ' ')
			p--;
		ASSERT_EQ(sscanf(p, "%d/%d", &passed, &all), 2) << p;
		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_EQ(passed, all) << r->text();
		EXPECT_GE(all, at_least);
		EXPECT_EQ(strstr(r->res.out, "FAIL"), nullptr) << r->text();
		printf("%s: %d of %d\n", names, passed, all);
	}
};

} // namespace

TEST_F(Ggml, ToolsListTheDevice)
{
	auto r = in_root({ "/usr/bin/llama-bench", "--list-devices" }, 60);

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_NE(strstr(r->res.out, "CUDA0: NVIDIA H100 80GB HBM3 (81920 MiB, "), nullptr)
		<< r->text();
}

TEST_F(Ggml, UnaryOperations)
{
	ops("ABS,SGN,NEG,STEP,TANH,ELU,RELU,SIGMOID,GELU,GELU_QUICK,GELU_ERF,SILU,HARDSWISH,"
	    "HARDSIGMOID,"
	    "EXP,EXPM1,SOFTPLUS,FLOOR,CEIL,ROUND,TRUNC,SQR,SQRT,LOG,SIN,COS,CLAMP,LEAKY_RELU,XIELU",
	    200);
}

TEST_F(Ggml, CopiesAndShapes)
{
	ops("CPY,SET_ROWS,DUP,SET,DIAG,DIAG_MASK_INF,REPEAT,REPEAT_BACK,ROLL,TRI,ARANGE,ACC,"
	    "UPSCALE,CUMSUM",
	    400);
}

TEST_F(Ggml, NormsAndReductions)
{
	ops("NORM,RMS_NORM_BACK,GROUP_NORM,L2_NORM,SUM,SUM_ROWS,MEAN,ARGMAX,COUNT_EQUAL,CROSS_"
	    "ENTROPY_LOSS,"
	    "CROSS_ENTROPY_LOSS_BACK,SOFT_MAX_BACK,OPT_STEP_ADAMW,OPT_STEP_SGD",
	    100);
}

TEST_F(Ggml, GatesStatesAndPooling)
{
	ops("GEGLU,REGLU,SWIGLU,SWIGLU_OAI,POOL_2D,SSM_CONV,RWKV_WKV6,RWKV_WKV7,GATED_LINEAR_ATTN,"
	    "TIMESTEP_EMBEDDING,OUT_PROD",
	    200);
}

TEST_F(Ggml, SortsAndTriangles)
{
	ops("ARGSORT,TOP_K,SOLVE_TRI", 100);
}

/* SPDX-License-Identifier: MIT */
/*
 * Kernels that launch kernels, by the calls that the device runtime makes: what may be launched, in which order
 * it runs, what is refused. The runtime itself is in system_rdc_test.
 */
#include "api/api_test.h"

namespace {

/*
 * digit:  p[0] = p[0] * 10 + v                 (one thread)
 * order:  launches digit 1 .. 4 into the null stream, the tail stream, fire-and-forget, a stream
 * shape:  asks for a buffer for a grid and a block as given; p[0] is the error, p[1] if there is one
 * nest:   p[0]++ and launches itself twice while depth is left; p[1] is the last error seen
 * many:   launches n of digit with v = 0; p[1] is the last launch's answer
 * forged: launches from a buffer that is none; p[0] is the answer
 */
const char *const ptx = R"(
.version 8.3
.target sm_75
.address_size 64
.extern .func (.param .b64 r) __cuda_syscall_cnpv2GetParameterBufferV2(.param .b64 f,
	.param .align 4 .b8 g[12], .param .align 4 .b8 b[12], .param .b32 s);
.extern .func (.param .b32 r) __cuda_syscall_cnpv2LaunchDeviceV2(.param .b64 a, .param .b64 s);
.extern .func (.param .b32 r) __cuda_syscall_cnpv2GetLastError();
.visible .entry digit(.param .u64 p, .param .u32 v)
{
	.reg .b32 %r<3>;
	.reg .b64 %d;
	ld.param.u64 %d, [p];
	ld.param.u32 %r0, [v];
	ld.global.u32 %r1, [%d];
	mad.lo.u32 %r1, %r1, 10, %r0;
	st.global.u32 [%d], %r1;
	ret;
}
.func (.param .b32 r) start(.param .b64 f, .param .b64 p, .param .b32 v, .param .b64 s)
{
	.reg .pred %q;
	.reg .b32 %r<3>;
	.reg .b64 %d<4>;
	ld.param.b64 %d0, [f];
	ld.param.b64 %d1, [p];
	ld.param.b32 %r0, [v];
	ld.param.b64 %d2, [s];
	{
		.param .b64 x0;
		.param .align 4 .b8 x1[12];
		.param .align 4 .b8 x2[12];
		.param .b32 x3;
		.param .b64 y;
		st.param.b64 [x0], %d0;
		st.param.b32 [x1], 1; st.param.b32 [x1+4], 1; st.param.b32 [x1+8], 1;
		st.param.b32 [x2], 1; st.param.b32 [x2+4], 1; st.param.b32 [x2+8], 1;
		st.param.b32 [x3], 0;
		call.uni (y), __cuda_syscall_cnpv2GetParameterBufferV2, (x0, x1, x2, x3);
		ld.param.b64 %d3, [y];
	}
	mov.b32 %r1, 4;
	setp.eq.u64 %q, %d3, 0;
	@%q bra NONE;
	st.u64 [%d3], %d1;
	st.u32 [%d3+8], %r0;
	{
		.param .b64 x0;
		.param .b64 x1;
		.param .b32 y;
		st.param.b64 [x0], %d3;
		st.param.b64 [x1], %d2;
		call.uni (y), __cuda_syscall_cnpv2LaunchDeviceV2, (x0, x1);
		ld.param.b32 %r1, [y];
	}
NONE:
	st.param.b32 [r], %r1;
	ret;
}
.visible .entry order(.param .u64 p)
{
	.reg .b32 %r;
	.reg .b64 %d<2>;
	ld.param.u64 %d0, [p];
	mov.u64 %d1, digit;
	{ .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 s; .param .b32 y;
	  st.param.b64 [a], %d1; st.param.b64 [b], %d0; st.param.b32 [c], 1; st.param.b64 [s], 0;
	  call.uni (y), start, (a, b, c, s); }
	{ .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 s; .param .b32 y;
	  st.param.b64 [a], %d1; st.param.b64 [b], %d0; st.param.b32 [c], 2; st.param.b64 [s], 3;
	  call.uni (y), start, (a, b, c, s); }
	{ .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 s; .param .b32 y;
	  st.param.b64 [a], %d1; st.param.b64 [b], %d0; st.param.b32 [c], 3; st.param.b64 [s], 4;
	  call.uni (y), start, (a, b, c, s); }
	{ .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 s; .param .b32 y;
	  st.param.b64 [a], %d1; st.param.b64 [b], %d0; st.param.b32 [c], 4;
	  st.param.b64 [s], 0x100000001;
	  call.uni (y), start, (a, b, c, s); ld.param.b32 %r, [y]; }
	st.global.u32 [%d0+4], %r;
	ret;
}
.visible .entry shape(.param .u64 p, .param .u64 f, .param .u32 g, .param .u32 b)
{
	.reg .pred %q;
	.reg .b32 %r<4>;
	.reg .b64 %d<4>;
	ld.param.u64 %d0, [p];
	ld.param.u64 %d1, [f];
	ld.param.u32 %r0, [g];
	ld.param.u32 %r1, [b];
	{
		.param .b64 x0;
		.param .align 4 .b8 x1[12];
		.param .align 4 .b8 x2[12];
		.param .b32 x3;
		.param .b64 y;
		st.param.b64 [x0], %d1;
		st.param.b32 [x1], %r0; st.param.b32 [x1+4], 1; st.param.b32 [x1+8], 1;
		st.param.b32 [x2], %r1; st.param.b32 [x2+4], 1; st.param.b32 [x2+8], 1;
		st.param.b32 [x3], 0;
		call.uni (y), __cuda_syscall_cnpv2GetParameterBufferV2, (x0, x1, x2, x3);
		ld.param.b64 %d2, [y];
	}
	{
		.param .b32 y;
		call.uni (y), __cuda_syscall_cnpv2GetLastError;
		ld.param.b32 %r2, [y];
	}
	setp.ne.u64 %q, %d2, 0;
	selp.u32 %r3, 1, 0, %q;
	st.global.u32 [%d0], %r2;
	st.global.u32 [%d0+4], %r3;
	ret;
}
.visible .entry nest(.param .u64 p, .param .u32 depth)
{
	.reg .pred %q;
	.reg .b32 %r<4>;
	.reg .b64 %d<2>;
	ld.param.u64 %d0, [p];
	ld.param.u32 %r0, [depth];
	ld.global.u32 %r1, [%d0];
	add.u32 %r1, %r1, 1;
	st.global.u32 [%d0], %r1;
	setp.eq.u32 %q, %r0, 0;
	@%q bra DONE;
	sub.u32 %r0, %r0, 1;
	mov.u64 %d1, nest;
	{ .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 s; .param .b32 y;
	  st.param.b64 [a], %d1; st.param.b64 [b], %d0; st.param.b32 [c], %r0; st.param.b64 [s], 0;
	  call.uni (y), start, (a, b, c, s); }
	{ .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 s; .param .b32 y;
	  st.param.b64 [a], %d1; st.param.b64 [b], %d0; st.param.b32 [c], 0; st.param.b64 [s], 0;
	  call.uni (y), start, (a, b, c, s); }
	{ .param .b32 y; call.uni (y), __cuda_syscall_cnpv2GetLastError; ld.param.b32 %r2, [y]; }
	setp.eq.u32 %q, %r2, 0;
	@%q bra DONE;
	st.global.u32 [%d0+4], %r2;
DONE:
	ret;
}
.visible .entry many(.param .u64 p, .param .u32 n)
{
	.reg .pred %q;
	.reg .b32 %r<4>;
	.reg .b64 %d<2>;
	ld.param.u64 %d0, [p];
	ld.param.u32 %r0, [n];
	mov.u64 %d1, digit;
AGAIN:
	{ .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 s; .param .b32 y;
	  st.param.b64 [a], %d1; st.param.b64 [b], %d0; st.param.b32 [c], 0; st.param.b64 [s], 0;
	  call.uni (y), start, (a, b, c, s); ld.param.b32 %r1, [y]; }
	sub.u32 %r0, %r0, 1;
	setp.ne.u32 %q, %r0, 0;
	@%q bra AGAIN;
	st.global.u32 [%d0+4], %r1;
	ret;
}
.visible .entry forged(.param .u64 p, .param .u64 buffer)
{
	.reg .b32 %r;
	.reg .b64 %d<2>;
	ld.param.u64 %d0, [p];
	ld.param.u64 %d1, [buffer];
	{
		.param .b64 x0;
		.param .b64 x1;
		.param .b32 y;
		st.param.b64 [x0], %d1;
		st.param.b64 [x1], 0;
		call.uni (y), __cuda_syscall_cnpv2LaunchDeviceV2, (x0, x1);
		ld.param.b32 %r, [y];
	}
	st.global.u32 [%d0], %r;
	ret;
}
)";

class DeviceLaunch : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuModuleLoadData(&module, ptx));
		p = alloc(64);
		CU_OK(cuMemsetD8(p, 0, 64));
	}
	void TearDown() override
	{
		CU_OK(cuMemFree(p));
		CU_OK(cuModuleUnload(module));
		Api::TearDown();
	}
	void run(const char *name, std::vector<void *> args)
	{
		CUfunction f;

		CU_OK(cuModuleGetFunction(&f, module, name));
		CU_OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, args.data(), nullptr));
		CU_OK(cuCtxSynchronize());
	}
	uint32_t word(unsigned i)
	{
		auto b = read(p + 4 * i, 4);
		uint32_t v;

		memcpy(&v, b.data(), 4);
		return v;
	}

	CUmodule module = nullptr;
	CUdeviceptr p = 0;
};

TEST_F(DeviceLaunch, InOrderAndTheTailLast)
{
	run("order", { &p });
	EXPECT_EQ(word(0), 1342u);
	EXPECT_EQ(word(1), 0u);
}

TEST_F(DeviceLaunch, Shapes)
{
	struct {
		uint64_t f;
		uint32_t grid, block, error;
	} const cases[] = {
		{ 0x80300000000, 1, 1024, 1 }, /* the first function is a declaration */
		{ 0x80300000030, 1, 1024, 0 }, /* digit */
		{ 0x80300000030, 1, 1025, 9 }, /* threads */
		{ 0x80300000030, 0, 1, 9 },    /* no block */
		{ 0x80300000030, 1, 0, 9 },    /* no thread */
		{ 0x80300000030, 0x80000000, 1, 9 },
		{ 0x80300000038, 1, 1, 1 }, /* between two functions */
		{ 0x80300000040, 1, 1, 1 }, /* no kernel */
		{ 0x8030fffff00, 1, 1, 1 }, /* beyond the last */
		{ 0, 1, 1, 1 },
	};

	for (auto &c : cases) {
		uint64_t f = c.f;
		uint32_t g = c.grid, b = c.block;

		run("shape", { &p, &f, &g, &b });
		EXPECT_EQ(word(0), c.error) << std::hex << c.f << " " << c.grid << " " << c.block;
		EXPECT_EQ(word(1), c.error ? 0u : 1u);
	}
}

TEST_F(DeviceLaunch, Nesting)
{
	uint32_t depth = 10;

	/* Each level but the last launches the next one and a last one. */
	run("nest", { &p, &depth });
	EXPECT_EQ(word(0), 21u);
	EXPECT_EQ(word(1), 0u);
	CU_OK(cuMemsetD8(p, 0, 64));
	depth = 40;
	run("nest", { &p, &depth });
	EXPECT_EQ(word(1), 65u); /* cudaErrorLaunchMaxDepthExceeded */
}

TEST_F(DeviceLaunch, AsManyAsMayBePending)
{
	uint32_t n = 65536;

	run("many", { &p, &n });
	EXPECT_EQ(word(1), 0u);
	n++;
	run("many", { &p, &n });
	EXPECT_EQ(word(1), 12u); /* the runtime makes cudaErrorLaunchPendingCountExceeded of it */
}

TEST_F(DeviceLaunch, BuffersThatAreNone)
{
	CUdeviceptr zeros = alloc(4096);
	uint64_t bad[] = { 0, 8, 0x1234, zeros + 64, 1ull << 62 };

	CU_OK(cuMemsetD8(zeros, 0, 4096));
	for (auto b : bad) {
		run("forged", { &p, &b });
		EXPECT_EQ(word(0), 1u) << b;
	}
	CU_OK(cuMemFree(zeros));
}

} // namespace

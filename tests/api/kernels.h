/* SPDX-License-Identifier: MIT */
/* kernels.h - PTX that several tests of the driver API load. */
#ifndef TESTS_API_KERNELS_H
#define TESTS_API_KERNELS_H

/*
 * saxpy:  y[i] = a * x[i] + y[i]            (u32 n, f32 a, u64 x, u64 y), any grid of x
 * tid:    out[block * ntid + tid] = tid     (u64 out)
 * big:    out[0] = last word of a 4000-byte parameter
 * hello:  printf("hi %d\n", v)
 * wild:   a store to address 16
 * spin:   waits until *flag is not 0
 */
static const char kernels_ptx[] = R"(
.version 7.0
.target sm_75
.address_size 64

.visible .global .align 4 .u32 table[10] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
.visible .const .align 4 .b8 constants[64];
.global .align 1 .b8 fmt[7] = { 104, 105, 32, 37, 100, 10, 0 };
.extern .func (.param .b32 ret) vprintf (.param .b64 a, .param .b64 b);

.visible .entry saxpy(.param .u32 n, .param .f32 a, .param .u64 x, .param .u64 y)
{
	.reg .pred %p;
	.reg .b32 %r<6>;
	.reg .f32 %f<4>;
	.reg .b64 %d<6>;
	ld.param.u32 %r0, [n];
	ld.param.f32 %f0, [a];
	ld.param.u64 %d0, [x];
	ld.param.u64 %d1, [y];
	mov.u32 %r1, %ctaid.x;
	mov.u32 %r2, %ntid.x;
	mov.u32 %r3, %tid.x;
	mad.lo.s32 %r4, %r1, %r2, %r3;
	setp.ge.u32 %p, %r4, %r0;
	@%p bra done;
	mul.wide.u32 %d2, %r4, 4;
	add.s64 %d3, %d0, %d2;
	add.s64 %d4, %d1, %d2;
	ld.global.f32 %f1, [%d3];
	ld.global.f32 %f2, [%d4];
	fma.rn.f32 %f3, %f0, %f1, %f2;
	st.global.f32 [%d4], %f3;
done:
	ret;
}

.visible .entry tid(.param .u64 out)
{
	.reg .b32 %r<5>;
	.reg .b64 %d<4>;
	ld.param.u64 %d0, [out];
	mov.u32 %r0, %ctaid.x;
	mov.u32 %r1, %ntid.x;
	mov.u32 %r2, %tid.x;
	mad.lo.s32 %r3, %r0, %r1, %r2;
	mul.wide.u32 %d1, %r3, 4;
	add.s64 %d2, %d0, %d1;
	st.global.u32 [%d2], %r2;
	ret;
}

.visible .entry big(.param .align 8 .b8 block[4000], .param .u64 out)
{
	.reg .b32 %r<2>;
	.reg .b64 %d<2>;
	ld.param.u64 %d0, [out];
	ld.param.u32 %r0, [block+3996];
	st.global.u32 [%d0], %r0;
	ret;
}

.visible .entry bounded(.param .u64 out)
.maxntid 64, 1, 1
{
	ret;
}

.visible .entry fixed(.param .u64 out)
.reqntid 32, 2, 1
{
	ret;
}

.visible .entry hello(.param .u32 v)
{
	.local .align 8 .b8 depot[8];
	.reg .b32 %r<3>;
	.reg .b64 %d<5>;
	mov.u64 %d0, depot;
	cvta.local.u64 %d1, %d0;
	ld.param.u32 %r0, [v];
	st.local.u32 [%d0], %r0;
	mov.u64 %d2, fmt;
	cvta.global.u64 %d3, %d2;
	{
		.param .b64 p0;
		.param .b64 p1;
		.param .b32 r0;
		st.param.b64 [p0], %d3;
		st.param.b64 [p1], %d1;
		call.uni (r0), vprintf, (p0, p1);
		ld.param.b32 %r1, [r0];
	}
	ret;
}

.visible .entry wild()
{
	.reg .b32 %r<2>;
	.reg .b64 %d<2>;
	mov.u64 %d0, 16;
	mov.u32 %r0, 1;
	st.global.u32 [%d0], %r0;
	ret;
}

.visible .entry spin(.param .u64 flag)
{
	.reg .pred %p;
	.reg .b32 %r<2>;
	.reg .b64 %d<2>;
	ld.param.u64 %d0, [flag];
again:
	ld.volatile.global.u32 %r0, [%d0];
	setp.eq.u32 %p, %r0, 0;
	@%p bra again;
	ret;
}
)";

static const unsigned kernels_count = 8;

#endif

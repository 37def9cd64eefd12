/* SPDX-License-Identifier: MIT */
/* lower_video.c - video instructions (ISA 9.7.19, 9.7.20). */
#include "cuse_dev/backend/soft/ptx/lower.h"

void ptx_lower_video(struct ptx_lower *l, enum ir_op op)
{
	ptx_lo_refuse(l);
}

void ptx_lower_video_simd(struct ptx_lower *l, enum ir_op op)
{
	ptx_lo_refuse(l);
}

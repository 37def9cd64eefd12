/* SPDX-License-Identifier: MIT */
/* lower_tma.c - tensor copies and tensor maps (ISA 9.7.9.27, 9.7.9.28). */
#include "cuse_dev/backend/soft/ptx/lower.h"

void ptx_lo_tensor_copy(struct ptx_lower *l, bool reduce)
{
	ptx_lo_refuse(l);
}

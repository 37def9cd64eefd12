/* SPDX-License-Identifier: MIT */
/* foreign_cuda.c - a libcuda.so.1 that is somebody else's, as far as "vgpuctl doctor" can tell. */
int foreign_cuda(void);

int foreign_cuda(void)
{
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* note.c - the mark by which this libcuda.so.1 is told from others; "vgpuctl doctor" reads it. */
#include "ioctl/note.h"

VGPU_NOTE

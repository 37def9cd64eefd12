/* SPDX-License-Identifier: MIT */
/* compiler.h - what the files of the program vgpu-compiler say to each other. */
#ifndef COMPILER_COMPILER_H
#define COMPILER_COMPILER_H

#include "cuse_dev/backend/soft/tier/job.h"

/** compiler_seccomp() - from now on only system calls that compiling needs. 0 or -errno. */
int compiler_seccomp(void);

#endif

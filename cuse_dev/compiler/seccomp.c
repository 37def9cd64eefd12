/* SPDX-License-Identifier: MIT */
/*
 * seccomp.c - the system calls that the compiler needs beside those that all may make (base/filter.h): its
 * cache is a file, and what it makes is run elsewhere.
 */
#include <seccomp.h>

#include "cuse_dev/base/filter.h"
#include "cuse_dev/compiler/compiler.h"

int compiler_seccomp(void)
{
	static const int calls[] = {
		SCMP_SYS(pwrite64),   SCMP_SYS(fstat),
		SCMP_SYS(newfstatat), /* as libc does fstat */
		SCMP_SYS(flock),      SCMP_SYS(getrusage),
		SCMP_SYS(pause),
	};
	struct filter f;

	filter_init(&f);
	filter_allow(&f, calls, sizeof(calls) / sizeof(calls[0]));
	return filter_load(&f);
}

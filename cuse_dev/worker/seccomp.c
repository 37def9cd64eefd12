/* SPDX-License-Identifier: MIT */
/*
 * seccomp.c - the system calls that a worker needs beside those that all may make (base/filter.h).
 */
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "cuse_dev/base/filter.h"
#include "cuse_dev/worker/worker.h"

int worker_seccomp(void)
{
	static const int calls[] = {
		SCMP_SYS(fallocate),
		SCMP_SYS(poll),
		SCMP_SYS(ppoll),
		SCMP_SYS(membarrier),
	};
	struct filter f;

	filter_init(&f);
	filter_allow(&f, calls, sizeof(calls) / sizeof(calls[0]));
	/* Compiled kernels become executable when they are no longer writable. */
	filter_allow_if(&f, SCMP_SYS(mprotect), 2, PROT_WRITE, 0);
	filter_allow_if(&f, SCMP_SYS(fcntl), 1, ~0ull, F_GET_SEALS);
	filter_allow_if(&f, SCMP_SYS(prctl), 0, ~0ull, PR_SET_NAME);
	return filter_load(&f);
}

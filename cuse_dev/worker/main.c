/* SPDX-License-Identifier: MIT */
/* main.c - the program vgpu-worker: started by the front with a socket as descriptor 3. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/worker/worker.h"

/*
 * A kernel's wild access is a signal that this program handles itself, also in a build with
 * sanitizers. Said here, because the environment of a worker is empty.
 */
#ifdef VGPU_SANITIZED
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:allocator_may_return_null=1";
}

__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0";
}
#endif

int main(int argc, char **argv)
{
	static const struct worker_options options = { .ops = &backend_soft, .jail = true };
	int type = 0, r;
	socklen_t len = sizeof(type);

	if (argc > 1 && !strcmp(argv[1], "--version")) {
		printf("vgpu-worker %d.%d\n", VGPU_VERSION_MAJOR, VGPU_VERSION_MINOR);
		return 0;
	}
	log_init("vgpu-worker", LOG_L_NOTICE);
	if (getsockopt(WIRE_WORKER_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET) {
		log_error("this program is started by vgpu-cuse, not by hand");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "vgpu-worker");
	r = worker_run(WIRE_WORKER_FD, &options);
	if (r < 0)
		log_error("talk with vgpu-cuse failed: %s", strerror(-r));
	/* Threads may still run kernels; memory goes with the process. */
	_exit(r < 0);
}

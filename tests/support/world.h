/* SPDX-License-Identifier: MIT */
/*
 * world.h - a machine with vgpu-cuse installed, for this test program and its children alone.
 *
 * The calling process gets a mount namespace of its own: a /dev with the usual nodes and nothing of
 * the host's GPUs, an empty /run, copies of the build's programs, libcuda.so.1 and
 * libnvidia-ml.so.1, and an ld.so.cache in which those are the ones the loader finds. A daemon
 * started with node_dir "/dev" then is found by any program without a single environment variable,
 * exactly as after installation, and nothing of it is visible outside or stays behind.
 *
 * Must be called before threads exist. Needs root.
 */
#ifndef SUPPORT_WORLD_H
#define SUPPORT_WORLD_H

#include "support/daemon.h"

#ifdef __cplusplus
extern "C" {
#endif

/** support_world_enter() - 0, or -errno after a line on stderr. Once per process. */
int support_world_enter(void);

/** support_world_daemon() - the daemon of this world on /dev; @opt as for support_daemon_start(). */
int support_world_daemon(const struct support_daemon_options *opt,
			 struct support_daemon **ret_daemon);

/** support_world_dir() - directory every user may read; programs put there can be run by anyone. */
const char *support_world_dir(void);

/**
 * support_world_program() - copy of the file @path that every user can execute (a build tree may lie in
 * a private home). The path lives until the process ends; NULL on failure.
 */
const char *support_world_program(const char *path);

#ifdef __cplusplus
}
#endif
#endif

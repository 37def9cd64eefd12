/* SPDX-License-Identifier: MIT */
/*
 * paths.c - what CMake told us, and a look at this machine. See paths.h.
 */
#include "support/paths.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The build passes "" for a target that does not exist. */
static const char *known(const char *path)
{
	return path[0] ? path : NULL;
}

const char *support_path_daemon(void)
{
	return known(SUPPORT_DAEMON);
}

const char *support_path_worker(void)
{
	return known(SUPPORT_WORKER);
}

const char *support_path_compiler(void)
{
	return known(SUPPORT_COMPILER);
}

const char *support_path_vgpuctl(void)
{
	return known(SUPPORT_VGPUCTL);
}

const char *support_path_libcuda(void)
{
	return known(SUPPORT_LIBCUDA);
}

const char *support_path_libnvml(void)
{
	return known(SUPPORT_LIBNVML);
}

const char *support_path_libdir(void)
{
	return known(SUPPORT_LIBDIR);
}

const char *support_path_source(void)
{
	return SUPPORT_SOURCE;
}

const char *support_path_build(void)
{
	return SUPPORT_BUILD;
}

const char *support_path_nvcc(void)
{
	return known(SUPPORT_NVCC);
}

static bool can_open_fuse(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* In a plain chroot "/" is no mount point, so a mount namespace cannot be kept to oneself. */
static bool root_is_mount(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], where[4096];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %*s %*s %*s %4095s", where) == 1 && !strcmp(where, "/");
	fclose(f);
	return found;
}

static bool can_run(const char *path)
{
	return path && access(path, X_OK) == 0;
}

/* Mounting is what root needs here and what a container may have taken away. */
static bool can_mount(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	unsigned long long caps = 0;

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	fclose(f);
	return caps & (1ull << 21); /* CAP_SYS_ADMIN */
}

const char *support_missing(unsigned needs)
{
	if ((needs & SUPPORT_NEED_ROOT) && geteuid() != 0)
		return "needs root";
	if ((needs & SUPPORT_NEED_ROOT) && !can_mount())
		return "needs CAP_SYS_ADMIN (a container without --privileged?)";
	if ((needs & SUPPORT_NEED_ROOT) && !root_is_mount())
		return "needs / to be a mount point (a plain chroot?)";
	if ((needs & SUPPORT_NEED_FUSE) && !can_open_fuse())
		return "needs /dev/fuse";
	if ((needs & SUPPORT_NEED_DAEMON) &&
	    !(can_run(support_path_daemon()) && can_run(support_path_worker())))
		return "needs vgpu-cuse and vgpu-worker in the build tree";
	if ((needs & SUPPORT_NEED_LIBCUDA) &&
	    !(support_path_libcuda() && access(support_path_libcuda(), R_OK) == 0))
		return "needs libcuda.so.1 in the build tree";
	return NULL;
}

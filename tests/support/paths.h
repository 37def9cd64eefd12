/* SPDX-License-Identifier: MIT */
/*
 * paths.h - where the build put the programs that tests start, and what this machine allows.
 *
 * Paths come from CMake. A program that is not part of this build gives NULL.
 */
#ifndef SUPPORT_PATHS_H
#define SUPPORT_PATHS_H

#ifdef __cplusplus
extern "C" {
#endif

const char *support_path_daemon(void);	 /* vgpu-cuse */
const char *support_path_worker(void);	 /* vgpu-worker */
const char *support_path_compiler(void); /* NULL without LLVM */
const char *support_path_vgpuctl(void);	 /* vgpuctl */
const char *support_path_libcuda(void);	 /* the file libcuda.so.1 */
const char *support_path_libnvml(void);	 /* the file libnvidia-ml.so.1 */
const char *support_path_libdir(void);	 /* its directory, for LD_LIBRARY_PATH */
const char *support_path_source(void);	 /* top of the source tree */
const char *support_path_build(void);	 /* top of the build tree */
const char *support_path_nvcc(void);	 /* NULL without a toolkit */

#define SUPPORT_NEED_ROOT    (1u << 0) /* uid 0 with CAP_SYS_ADMIN (mounts) */
#define SUPPORT_NEED_FUSE    (1u << 1) /* /dev/fuse can be opened */
#define SUPPORT_NEED_DAEMON  (1u << 2) /* vgpu-cuse and vgpu-worker are part of this build */
#define SUPPORT_NEED_LIBCUDA (1u << 3) /* and libcuda.so.1 is */
#define SUPPORT_NEED_SYSTEM                                                                        \
	(SUPPORT_NEED_ROOT | SUPPORT_NEED_FUSE | SUPPORT_NEED_DAEMON | SUPPORT_NEED_LIBCUDA)

/**
 * support_missing() - NULL when all of @needs is here, else one sentence that says what is not:
 * the text for GTEST_SKIP().
 */
const char *support_missing(unsigned needs);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT */
/*
 * launch.h - run a grid: the only door of simt/ that soft.c uses.
 *
 * Here: the pool of CPU threads, and a launch. Not here: how a warp executes (a tier makes a struct
 * simt_code, see interp/interp.h), what a module or a kernel's attributes are (soft.c).
 */
#ifndef SOFT_SIMT_LAUNCH_H
#define SOFT_SIMT_LAUNCH_H

#include <stddef.h>
#include <stdint.h>

#include "cuse_dev/backend/backend.h"

struct simt_code; /* an executable kernel, made by a tier, immutable; any number of launches */
struct simt_textures;
struct simt_children;
struct simt_device; /* threads and their scratch memory; one per backend */

/** simt_device_create() - dev->threads - 1 threads are started on first need. */
int simt_device_create(const struct backend_device *dev, struct simt_device **ret_device);
/** simt_device_destroy() - no launch may run. */
void simt_device_destroy(struct simt_device *d);

/**
 * simt_host_ranges() - memory outside the window that kernels may touch (cuMemHostRegister)
 *
 * Replaces the list; ranges are {start, bytes} pairs, rising, without overlaps. Takes effect for launches that start later.
 * 0, -ENOMEM.
 */
int simt_host_ranges(struct simt_device *d, const uint64_t (*ranges)[2], size_t count);

/** simt_device_textures() - the device's textures and surfaces. */
struct simt_textures *simt_device_textures(struct simt_device *d);

/**
 * simt_launch() - run it to the end on the calling thread and the pool
 *
 * @name: of the kernel, for fault texts. Returns ret_fault->error: 0 or a CUresult. Any number of
 * threads may launch at once.
 */
uint32_t simt_launch(struct simt_device *d, const struct simt_code *code, const char *name,
		     const struct backend_launch *l, struct backend_fault *ret_fault);

/**
 * simt_launch_better() - the same; blocks that start when there is code in *@better run that
 *
 * *@better (@better may be NULL) is written once, by another thread, with a release store; it is code
 * of the same kernel. @children (NULL: the grid may launch none): those that it launched are in
 * there afterwards.
 */
uint32_t simt_launch_better(struct simt_device *d, const struct simt_code *code,
			    const struct simt_code *const *better, struct simt_children *children,
			    const char *name, const struct backend_launch *l,
			    struct backend_fault *ret_fault);

/**
 * A launch that is made many times (simt_ready): what is the same each time is worked out once. It runs once at a
 * time, on the seat (simt_seat) of a thread, which keeps what that thread needs from one to the next.
 */
struct simt_ready;
struct simt_seat;

/** simt_seat_get() - for one thread at a time; it sees the host ranges of now. 0, -ENOMEM. */
int simt_seat_get(struct simt_device *d, struct simt_seat **ret_seat);
void simt_seat_put(struct simt_seat *s);
/** simt_ready_create() - @l is copied, what it points to must stay. -EINVAL: it does not fit the code. */
int simt_ready_create(struct simt_device *d, const struct simt_code *code,
		      const struct simt_code *const *better, const char *name,
		      const struct backend_launch *l, struct simt_ready **ret_ready);
void simt_ready_destroy(struct simt_ready *r);
/** simt_ready_code() - other code of the same kernel from the next run on, and no better one is looked for. */
void simt_ready_code(struct simt_ready *r, const struct simt_code *code);
/** simt_ready_run() - returns 0, or ret_fault->error; only then is there anything in @ret_fault. */
uint32_t simt_ready_run(struct simt_ready *r, const struct simt_seat *s,
			struct backend_fault *ret_fault);

/** simt_work() - about how many warp instructions a launch is, loops guessed. */
uint64_t simt_work(const struct simt_code *code, const struct backend_launch *l);

/** simt_code_destroy() - NULL is fine; no launch of it may run. */
void simt_code_destroy(struct simt_code *code);

/** simt_code_registers() - 32-bit registers per thread that the kernel needs, 1 .. 255. */
uint32_t simt_code_registers(const struct simt_code *code);
/** simt_code_local_bytes() - local memory per thread that the kernel needs (without recursion). */
uint32_t simt_code_local_bytes(const struct simt_code *code);

#endif

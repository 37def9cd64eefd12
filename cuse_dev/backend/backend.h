/* SPDX-License-Identifier: MIT */
/*
 * backend.h - what executes: the functions that soft (CPU) and host (a genuine GPU) provide.
 *
 * A backend knows images, kernels and launches. It does not know clients, handles, streams or who
 * allocates: addresses it is given are valid, mapped and owned by the caller. Nothing here calls
 * back; what a kernel prints goes into the console of its launch, what it breaks into the fault.
 *
 * All functions may be called from several threads; calls on one module that change it (bind,
 * func_set) are serialised by the caller. Return 0 or a negative errno, except where a CUresult is
 * said: those numbers are the wire's.
 */
#ifndef BACKEND_H
#define BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioctl/vgpu_texture.h"

struct backend_module;	/* one loaded image */
struct backend_func;	/* one kernel of it; lives as long as its module */
struct backend_ready;	/* a launch that is made many times */
struct backend_seat;	/* what a thread keeps from one of these to the next */
struct backend_console; /* base/console.h: bounded text FIFO, safe for many writers */

/** What the backend must know of the device; filled from vdev/profile.def. */
struct backend_device {
	uint32_t index; /* among the client's devices: tells handles of different ones apart */
	uint32_t cc;	/* major * 10 + minor */
	uint32_t sm_count;
	uint32_t warp_size; /* 32 */
	uint32_t max_threads_per_block;
	uint32_t max_shared_per_block;	     /* bytes, default limit (48 KiB) */
	uint32_t max_shared_per_block_optin; /* bytes */
	uint32_t reserved_shared_per_block;  /* bytes */
	uint32_t clock_khz;
	uint64_t window_base; /* device addresses: [window_base, window_base + window_size) */
	uint64_t window_size;
	uint32_t threads; /* CPU threads for blocks, >= 1 */
	void *compiler;	  /* of compiler_create(), NULL: none */
};

/** A refusal or a compiler message, in the words of the JIT log ("line:column: text" lines). */
struct backend_log {
	char text[4096];
	uint32_t bytes; /* used, with NUL */
};

/** struct backend_image_info - what module_load found */
struct backend_image_info {
	uint32_t ptx_target;	/* .target picked, major * 10 + minor */
	uint32_t functions;	/* kernels */
	uint32_t globals;	/* .global and .const variables that have a name outside */
	uint64_t global_bytes;	/* memory wanted for .global and .const, aligned to 512 */
	uint64_t managed_bytes; /* memory wanted for .managed variables */
};

/** Variables that hold a handle of the driver's. Values of vgpu_global_get.kind, less 1. */
enum backend_opaque {
	BACKEND_OPAQUE_NONE,
	BACKEND_TEXREF,
	BACKEND_SURFREF,
	BACKEND_SAMPLERREF,
};

struct backend_global {
	const char *name;
	uint64_t offset; /* into the memory of its kind, given to module_bind */
	uint64_t size;
	bool managed; /* offset counts in the managed memory */
	bool constant;
	uint8_t opaque; /* enum backend_opaque */
};

/** Attributes in the sense of cuFuncGetAttribute. */
struct backend_func_info {
	uint32_t max_threads, shared_bytes, const_bytes, local_bytes, num_regs;
	uint32_t ptx_version;
	uint32_t max_dynamic_shared; /* as set by func_set, default 48 KiB - static */
	int32_t preferred_carveout;
	uint32_t reqntid[3]; /* 0,0,0: none */
	uint32_t cluster[3]; /* 0,0,0: none */
	uint32_t cluster_must_be_set, nonportable_cluster, cluster_policy;
	uint32_t param_count, param_bytes;
	const uint32_t *param_offset, *param_size; /* [param_count], owned by the func */
};

/** One launch; checked by the caller against func_info and the device. */
struct backend_launch {
	uint32_t grid[3], block[3], cluster[3];
	uint32_t dynamic_shared;
	bool cooperative;
	const void *params; /* param_bytes */
	uint32_t param_bytes;
	struct backend_console *console;
	uint64_t heap_va; /* memory for the kernel's malloc, 0 none; the backend keeps its */
	uint64_t
		heap_bytes; /* free lists inside; zero-filled before the first launch of a context */
	uint32_t sms;	    /* of the device, that it may use; 0: all */
	int32_t priority;   /* blocks of a grid with a smaller number start first */
	uint32_t stack_bytes;		 /* CU_LIMIT_STACK_SIZE */
	const volatile uint32_t *cancel; /* nonzero: stop soon, result CUDA_ERROR_LAUNCH_FAILED */
};

/** Where and how a kernel died. */
struct backend_fault {
	uint32_t error; /* CUresult: 700 illegal address, 716 misaligned, 715 illegal
			    * instruction, 717 address space, 718 pc, 710 assert, 719 trap/other,
			    * 0 none */
	uint32_t ctaid[3], tid[3];
	uint64_t address;
	uint32_t line; /* PTX line, 0 unknown */
	char what[256];
};

struct backend_ops {
	const char *name; /* "soft", "host" */

	/*
	 * Optional: who compiles what runs often; one for all devices of the process. @sock leads to
	 * the compiler, @cache (-1: none) is a store to read; both become its own, also on failure.
	 */
	int (*compiler_create)(int sock, int cache, void **ret_compiler);
	void (*compiler_destroy)(void *compiler);

	int (*open)(const struct backend_device *dev, void **ret_backend);
	void (*close)(void *backend);

	/*
	 * Look at an image and index it. The bytes are the caller's and may vanish afterwards.
	 * lenient: any PTX target will do. Returns 0 or a CUresult (200, 209, 218, 222), then log
	 * says why.
	 */
	uint32_t (*module_load)(void *backend, const void *image, size_t bytes, bool lenient,
				struct backend_module **ret_module,
				struct backend_image_info *ret_info, struct backend_log *log);
	/*
	 * Give it memory: [global_va, +global_bytes), [managed_va, +managed_bytes), zero-filled and
	 * writable through these addresses in this process. Writes the initialisers, those of
	 * managed variables only if these are new.
	 */
	int (*module_bind)(struct backend_module *m, uint64_t global_va, uint64_t managed_va,
			   bool managed_new);
	void (*module_unload)(struct backend_module *m);
	int (*module_global)(struct backend_module *m, uint32_t index,
			     struct backend_global *ret_global);
	int (*module_find_global)(struct backend_module *m, const char *name,
				  struct backend_global *ret_global);

	/* Kernels: -ENOENT if there is none. Cheap, compiles nothing. */
	int (*func_by_name)(struct backend_module *m, const char *name,
			    struct backend_func **ret_func);
	int (*func_by_index)(struct backend_module *m, uint32_t index,
			     struct backend_func **ret_func);
	const char *(*func_name)(struct backend_func *f);
	/* Compiles if needed. 0 or a CUresult. */
	uint32_t (*func_info)(struct backend_func *f, struct backend_func_info *ret_info,
			      struct backend_log *log);
	/* CUfunction_attribute (or 0x10000: cache config). 0 or -EINVAL. */
	int (*func_set)(struct backend_func *f, uint32_t attr, int32_t value);

	/*
	 * Memory outside the window that kernels which start later may touch: {start, bytes},
	 * rising, without overlaps. Takes the place of the list before. -ENOMEM.
	 */
	int (*host_ranges)(void *backend, const uint64_t (*ranges)[2], size_t count);

	/*
	 * Textures and surfaces: a handle that kernels may use from now on, and no more. The
	 * description has been checked. -ENOSPC: too many.
	 */
	int (*texture_create)(void *backend, const struct vgpu_tex_desc *desc,
			      uint64_t *ret_handle);
	int (*texture_destroy)(void *backend, uint64_t handle);

	/* Runs to the end on the calling thread and the backend's own. Returns fault.error. */
	uint32_t (*launch)(struct backend_func *f, const struct backend_launch *l,
			   struct backend_fault *ret_fault);

	/*
	 * Optional, all or none: a launch that is made many times, and what is the same each time is
	 * worked out once. @l is copied, what it points to must stay. -ENOTSUP, -EINVAL: launch it as
	 * others.
	 */
	int (*prepare)(struct backend_func *f, const struct backend_launch *l,
		       struct backend_ready **ret_ready);
	void (*unprepare)(struct backend_ready *p);
	/* For all kernels of the device of @f, and one thread at a time. Hold it for a while only. */
	int (*seat_get)(struct backend_func *f, struct backend_seat **ret_seat);
	void (*seat_put)(struct backend_seat *s);
	/* Once at a time. Returns 0, or ret_fault->error; only then is there anything in it. */
	uint32_t (*launch_ready)(struct backend_ready *p, struct backend_seat *s,
				 struct backend_fault *ret_fault);
};

extern const struct backend_ops backend_soft;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * process.h - what libcuda knows of its process: devices, threads, contexts. The one place with
 * global state.
 *
 * Not here: how devices are reached (link/), what an entry point does (impl/).
 */
#ifndef CORE_PROCESS_H
#define CORE_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cuda.h>

#include "ioctl/vgpu_ioctl.h"
#include "libcuda/core/handle.h"

struct link;
struct link_dev;
struct cu_ctx;
struct cu_pool;
struct cu_stream;

/** A device that the program sees: ordinals are those of CUDA_VISIBLE_DEVICES. */
struct cu_device {
	struct link_dev *link; /* the open node, with its info and attributes */
	int ordinal;	       /* CUdevice */
	pthread_mutex_t primary_lock;
	struct cu_ctx *primary;	      /* guarded by primary_lock; the handle outlives a reset */
	unsigned primary_refs;	      /* guarded by primary_lock */
	unsigned primary_flags;	      /* guarded by primary_lock; for the next activation */
	struct cu_ctx *hidden;	      /* guarded by primary_lock; for questions about libraries */
	struct cu_pool *default_pool; /* guarded by primary_lock; NULL until asked for */
	struct cu_pool *current_pool; /* guarded by primary_lock; NULL: the default one */
};

/** cu_link() - the process's connection; NULL before devices were looked for. */
struct link *cu_link(void);

/** cu_device_get() - NULL for a number that is no device. */
struct cu_device *cu_device_get(CUdevice ordinal);
int cu_device_count(void);
/** cu_device_attr() - one CUdevice_attribute, @fallback where the device does not know it. */
int cu_device_attr(const struct cu_device *dev, CUdevice_attribute attr, int fallback);

/** What libcuda keeps per thread. */
struct cu_thread {
	struct cu_stack_entry {
		struct cu_ctx *ctx; /* may be NULL (cuCtxSetCurrent(NULL) after a push) */
		uint64_t id;	    /* ctx->id when it was pushed: tells a destroyed context */
	} * stack;
	unsigned depth, cap;
	bool per_thread;	    /* the call came through a _ptsz or _ptds symbol: stream 0 is
				       CU_STREAM_PER_THREAD */
	struct cu_stream **streams; /* owned by impl/stream.c: this thread's default streams */
	unsigned stream_count;
	struct cu_call *call;		 /* the entry point being executed, NULL */
	struct queue_recorder *recorder; /* owned by impl/queue.c: submissions are kept, not sent */
	bool in_callback; /* runs a host function of a stream: may not call the driver */
};

struct cu_thread *cu_thread(void);
/** cu_stream_thread_fini() - in impl/stream.c: this thread ends, with its default streams. */
void cu_stream_thread_fini(struct cu_thread *t);

/** cu_lock(), cu_unlock() - the process lock: list of contexts, devices. Never held while waiting.
 */
void cu_lock(void);
void cu_unlock(void);
/** cu_next_id() - a number never used before in this process. */
uint64_t cu_next_id(void);

/** cu_process_init() - cuInit: find the devices. Safe to call again. CUresult. */
CUresult cu_process_init(unsigned flags);
/** cu_process_state() - CUDA_SUCCESS after cuInit; NOT_INITIALIZED before and in a forked child. */
CUresult cu_process_state(void);
/** cu_process_devices() - as cu_process_init, but for calls allowed before cuInit (cuMemGetInfo).
 */
CUresult cu_process_devices(void);

#endif
